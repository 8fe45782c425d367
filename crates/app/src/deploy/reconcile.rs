//! One look.

use super::memory::{Memory, Phase};
use super::wanted::{PolicyAt, Wanted};
use crate::events::{Look, Trigger};
use crate::lifecycle::RequestKind;
use crate::ports::{
    Clock, CommitFacts, DeployStore, Notifier, PolicyRepository, RequestStore, Responder, Result, StackSets,
    ViolationStore,
};
use domain::fault::Fault;
use domain::ids::{CommitId, StackSetName};
use domain::notice::{Notice, Rejection};
use domain::rollout::ObservedStackSet;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use tracing::{info, warn};

/// What the application follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// The policy repository.
    pub repository: String,
    /// Its branch.
    pub branch: String,
    /// The policy file in it.
    pub policy_file: String,
    /// Where frameworks forward compliance events to.
    pub event_bus_arn: String,
}

impl Application {
    /// What our tag says on StackSets that are ours: one application a repository and branch.
    #[must_use]
    pub fn owner(&self) -> String {
        format!("{}@{}", self.repository, self.branch)
    }
}

/// The use case.
#[derive(Debug)]
pub struct Deploy<G, S, M, N, R, C> {
    /// What the application follows.
    pub application: Application,
    /// The policy repository.
    pub repository: G,
    /// CloudFormation StackSets.
    pub stack_sets: S,
    /// What is remembered; also keeps the requests that wait.
    pub memory: M,
    /// Tells people.
    pub notifier: N,
    /// Answers CloudFormation.
    pub responder: R,
    /// The time.
    pub clock: C,
}

/// What a look saw and did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// The head of the branch; absent when the branch does not exist or was not looked at.
    pub commit: Option<CommitId>,
    /// What came of each framework.
    pub frameworks: BTreeMap<StackSetName, FrameworkOutcome>,
    /// The policy's faults, when it was refused.
    pub rejected: Vec<String>,
    /// What is odd about the policy; said once for each change of what it says about violations.
    pub warnings: Vec<String>,
    /// Why nothing was looked at.
    pub skipped: Option<String>,
}

/// What came of one framework.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "outcome", content = "detail")]
pub enum FrameworkOutcome {
    /// As wanted; nothing was done.
    Unchanged,
    /// An operation was started.
    Started(String),
    /// An operation is going on.
    Waiting,
    /// The rollout has ended, every instance as wanted.
    Succeeded,
    /// It has ended otherwise.
    Failed(String),
    /// It failed before; a push or the schedule tries again.
    FailedBefore,
    /// The StackSet and its instances are gone.
    Removed,
}

impl<G, S, M, N, R, C> Deploy<G, S, M, N, R, C>
where
    G: PolicyRepository,
    S: StackSets,
    M: DeployStore + RequestStore + ViolationStore,
    N: Notifier,
    R: Responder,
    C: Clock,
{
    /// Acts on triggers. However many there are, they mean one look, as close as the closest of them asks for.
    ///
    /// # Errors
    /// When AWS could not be asked; the triggers should come again.
    pub async fn handle(&self, triggers: &[Trigger]) -> Result<Seen> {
        let mut asked: Option<Look> = None;
        let mut requests = false;
        let mut ended = BTreeSet::new();
        let mut reason = None;
        for trigger in triggers {
            match trigger {
                Trigger::Ignored(why) => {
                    info!(why, "ignored");
                    reason = Some(why.clone());
                }
                Trigger::Nonsense(why) => {
                    warn!(why, "not understood, dropped");
                    reason = Some(why.clone());
                }
                Trigger::Push => asked = asked.max(Some(Look::Normal)),
                Trigger::OperationEnded { stack_set } => {
                    ended.insert(stack_set.as_str());
                }
                Trigger::Request { .. } => {
                    asked = asked.max(Some(Look::Normal));
                    requests = true;
                }
                Trigger::Schedule(look) => {
                    asked = asked.max(Some(*look));
                    requests = true;
                }
            }
        }
        if asked.is_none() && ended.is_empty() {
            return Ok(Seen { skipped: reason, ..Seen::default() });
        }
        let memory = self.memory.memory().await?;
        if memory.rollouts.keys().any(|name| ended.contains(name.as_str())) {
            asked = asked.max(Some(Look::Normal));
        }
        match asked {
            Some(look) => self.look(memory, look, requests).await,
            None => Ok(Seen { skipped: Some("an operation on a StackSet that is not ours".into()), ..Seen::default() }),
        }
    }

    async fn look(&self, memory: Memory, look: Look, requests: bool) -> Result<Seen> {
        let waiting = if requests || memory.removing { self.memory.waiting().await? } else { Vec::new() };
        let busy = memory.rollouts.values().any(|rollout| rollout.value.phase == Phase::Running);
        if look == Look::Light && waiting.is_empty() && !busy {
            return Ok(Seen { skipped: Some("nothing is pending".into()), ..Seen::default() });
        }
        if waiting.iter().any(|waiting| waiting.request.kind == RequestKind::Delete) {
            return self.remove_everything(memory, &waiting).await;
        }
        if memory.removing {
            if waiting.is_empty() {
                return Ok(Seen { skipped: Some("the application is being removed".into()), ..Seen::default() });
            }
            // Deleted and created again on the same table (its removal failed and was taken back).
            self.memory.set_removal(false).await?;
        }
        let outcome = self.converge(memory, look).await;
        self.answer_waiting(&waiting, &outcome).await?;
        outcome
    }

    async fn converge(&self, memory: Memory, look: Look) -> Result<Seen> {
        let Some(commit) = self.repository.head().await? else {
            let branch = &self.application.branch;
            info!(branch, "the branch does not exist yet: nothing to roll out");
            return Ok(Seen { skipped: Some(format!("the branch `{branch}` does not exist yet")), ..Seen::default() });
        };
        let mut seen = Seen { commit: Some(commit.clone()), ..Seen::default() };
        let Application { policy_file, event_bus_arn, .. } = &self.application;
        let policy = PolicyAt { commit: &commit, policy_file, event_bus_arn };
        let wanted = match policy.read(&self.repository).await? {
            Ok(wanted) => wanted,
            Err(faults) => return self.reject(seen, &commit, faults).await,
        };
        let (found, faults) = self.describe(&wanted).await?;
        if !faults.is_empty() {
            return self.reject(seen, &commit, faults).await;
        }
        let undeclared = memory.rollouts.keys().filter(|name| !found.contains_key(name));
        for name in undeclared {
            warn!(stack_set = %name, "the policy no longer declares this framework; it is left as it is");
        }
        seen.warnings = self.publish_reporting(&memory, &wanted, &commit).await?;
        let mut facts = None;
        for (framework, stack_set) in wanted.frameworks.iter().zip(found.values_in_order(&wanted)) {
            let known = memory.rollouts.get(&framework.desired.name).cloned();
            let name = framework.desired.name.clone();
            let outcome = self.bring(framework, known, stack_set, &commit, &mut facts, look).await?;
            info!(stack_set = %name, commit = %commit, outcome = ?outcome, "looked at the framework");
            seen.frameworks.insert(name, outcome);
        }
        Ok(seen)
    }

    /// The StackSets of all frameworks, and a fault for each that belongs to somebody else.
    async fn describe(&self, wanted: &Wanted) -> Result<(Found, Vec<Fault>)> {
        let owner = self.application.owner();
        let mut found = Found::default();
        let mut faults = Vec::new();
        for framework in &wanted.frameworks {
            let name = &framework.desired.name;
            let stack_set = self.stack_sets.describe(name).await?;
            if let Some(stack_set) = &stack_set
                && stack_set.owner.as_deref() != Some(owner.as_str())
            {
                let whose = stack_set.owner.as_deref().map_or_else(
                    || "was not made by this application".to_owned(),
                    |other| format!("belongs to the policy `{other}`"),
                );
                let mut fault = Fault::of_file(
                    &self.application.policy_file,
                    format!("a StackSet `{name}` exists already and {whose}"),
                    "give the framework another name, or delete that StackSet first",
                );
                fault.at = Some(framework.at);
                faults.push(fault);
            }
            found.0.insert(name.clone(), stack_set);
        }
        Ok((found, faults))
    }

    async fn reject(&self, mut seen: Seen, commit: &CommitId, faults: Vec<Fault>) -> Result<Seen> {
        seen.rejected = faults.iter().map(ToString::to_string).collect();
        warn!(commit = %commit, faults = ?seen.rejected, "the policy is rejected; nothing was touched");
        if self.memory.rejected().await?.as_ref() == Some(commit) {
            return Ok(seen);
        }
        let CommitFacts { author, message } = self.repository.commit(commit).await?;
        let Application { repository, branch, .. } = self.application.clone();
        let notice =
            Notice::PolicyRejected(Rejection { repository, branch, commit: commit.clone(), author, message, faults });
        self.tell(notice).await?;
        self.memory.set_rejected(commit).await?;
        Ok(seen)
    }
}

impl FrameworkOutcome {
    pub(super) fn failure(&self) -> Option<&str> {
        match self {
            Self::Failed(reason) => Some(reason),
            _ => None,
        }
    }
}

#[derive(Default)]
struct Found(BTreeMap<StackSetName, Option<ObservedStackSet>>);

impl Found {
    fn contains_key(&self, name: &StackSetName) -> bool {
        self.0.contains_key(name)
    }

    fn values_in_order<'a>(&'a self, wanted: &'a Wanted) -> impl Iterator<Item = Option<ObservedStackSet>> + 'a {
        wanted.frameworks.iter().map(|framework| self.0.get(&framework.desired.name).cloned().flatten())
    }
}
