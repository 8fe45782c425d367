//! One look.

use super::memory::{Memory, Phase, Rollout};
use super::wanted::{PolicyAt, Wanted};
use crate::events::{Look, Trigger};
use crate::lifecycle::RequestKind;
use crate::ports::{
    Clock, CommitFacts, DeployStore, Notifier, OrganizationalUnits, PolicyRepository, RequestStore, Responder, Result,
    StackSets, ViolationStore,
};
use domain::fault::Fault;
use domain::ids::{CommitId, StackSetName};
use domain::notice::{Notice, Rejection};
use domain::rollout::{Desired, Membership, ObservedStackSet, PermissionModel};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use tracing::field::Empty;
use tracing::{Instrument as _, info, info_span, warn};

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
    /// Verdicts are also written as comments on their commits.
    pub comment_on_commits: bool,
}

impl Application {
    /// What our tag says on StackSets that are ours: one application a repository and branch.
    #[must_use]
    pub fn owner(&self) -> String {
        owner(&self.repository, &self.branch)
    }
}

/// What our tag says on the StackSets of the application that follows this repository and branch.
#[must_use]
pub fn owner(repository: &str, branch: &str) -> String {
    format!("{repository}@{branch}")
}

/// The use case.
#[derive(Debug)]
pub struct Deploy<G, S, O, M, N, R, C> {
    /// What the application follows.
    pub application: Application,
    /// The policy repository.
    pub repository: G,
    /// CloudFormation StackSets.
    pub stack_sets: S,
    /// The organisation, for targets that are organizational units.
    pub organization: O,
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
    /// The same in numbers.
    pub counts: Counts,
}

/// What looks come to, in numbers; they become metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// StackSets that were looked at beyond what is remembered of them.
    pub reconciliations: usize,
    /// Calls to StackSets that change something.
    pub mutating_calls: usize,
    /// Rollouts that ended with every instance as wanted.
    pub rollouts_succeeded: usize,
    /// Rollouts that ended otherwise.
    pub rollouts_failed: usize,
    /// Instances that were as wanted, in the verdicts of this look.
    pub instances_succeeded: usize,
    /// Instances that were not.
    pub instances_failed: usize,
    /// Instances that StackSets leave alone.
    pub instances_skipped: usize,
    /// From the first look at a change to its last instance, in seconds; of the slowest rollout that succeeded in this look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_to_converge: Option<i64>,
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
    /// The policy no longer declares it, and does not say that it is to be removed.
    Undeclared,
}

impl<G, S, O, M, N, R, C> Deploy<G, S, O, M, N, R, C>
where
    G: PolicyRepository,
    S: StackSets,
    O: OrganizationalUnits,
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
        let waiting = self.give_settled(waiting).await?;
        let busy = memory.rollouts.values().any(|rollout| rollout.value.phase.is_busy());
        if look == Look::Light && waiting.is_empty() && !busy {
            return Ok(Seen { skipped: Some("nothing is pending".into()), ..Seen::default() });
        }
        if waiting.iter().any(|waiting| waiting.request.kind == RequestKind::Delete) {
            let names: Vec<StackSetName> = memory.rollouts.keys().cloned().collect();
            let outcome = self.remove_everything(memory, &waiting).await;
            if let Err(error) = &outcome {
                self.fail_waiting(&waiting, &names, error).await?;
            }
            return outcome;
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
        let mut wanted = match policy.read(&self.repository).await? {
            Ok(wanted) => wanted,
            Err(faults) => return self.reject(seen, &commit, faults).await,
        };
        let (mut found, mut faults) = self.describe(&wanted).await?;
        if faults.is_empty() {
            faults = self.place(&mut wanted, &memory, &mut found, &commit, look).await?;
        }
        if !faults.is_empty() {
            return self.reject(seen, &commit, faults).await;
        }
        seen.warnings = self.publish_reporting(&memory, &wanted, &commit).await?;
        let mut work = Work { commit: &commit, facts: None, look, counts: Counts::default() };
        for framework in &wanted.frameworks {
            let name = &framework.desired.name;
            let known = memory.rollouts.get(name).cloned();
            let Found { stack_set, membership } = found.remove(name).unwrap_or_default();
            let span = info_span!("rollout", stack_set = %name, commit = %commit, operation = Empty);
            let bringing = self.bring(framework, known, stack_set, membership, &mut work);
            let outcome = bringing.instrument(span.clone()).await?;
            span.in_scope(|| info!(outcome = ?outcome, "looked at the framework"));
            seen.frameworks.insert(name.clone(), outcome);
        }
        let declared: BTreeSet<&StackSetName> =
            wanted.frameworks.iter().map(|framework| &framework.desired.name).collect();
        for (name, rollout) in memory.rollouts.into_iter().filter(|(name, _)| !declared.contains(name)) {
            let span = info_span!("removal", stack_set = %name, commit = %commit, operation = Empty);
            let removing = self.undeclared(rollout, wanted.remove_undeclared, &mut work);
            seen.frameworks.insert(name, removing.instrument(span).await?);
        }
        seen.counts = work.counts;
        Ok(seen)
    }

    /// The StackSets of all frameworks, and a fault for each that belongs to somebody else.
    async fn describe(&self, wanted: &Wanted) -> Result<(BTreeMap<StackSetName, Found>, Vec<Fault>)> {
        let owner = self.application.owner();
        let mut all = BTreeMap::new();
        let mut faults = Vec::new();
        for framework in &wanted.frameworks {
            let desired = &framework.desired;
            let name = &desired.name;
            let stack_set = self.stack_sets.describe(framework.stack_set()).await?;
            let refusal = stack_set.as_ref().and_then(|found| refusal(desired, found, &owner));
            faults.extend(refusal.map(|(problem, fix)| wanted.fault(framework.at, problem, fix)));
            all.insert(name.clone(), Found { stack_set, membership: None });
        }
        Ok((all, faults))
    }

    /// Asks who belongs to the organizational units of those frameworks that are to be looked at, and finds their instances.
    async fn place(
        &self,
        wanted: &mut Wanted,
        memory: &Memory,
        found: &mut BTreeMap<StackSetName, Found>,
        commit: &CommitId,
        look: Look,
    ) -> Result<Vec<Fault>> {
        let mut faults = Vec::new();
        // Exemptions name accounts: when they have changed, they are held against those of the units.
        let judges = memory.reporting.as_deref() != Some(wanted.reporting.digest().0.as_str());
        for index in 0..wanted.frameworks.len() {
            let Some(framework) = wanted.frameworks.get(index) else { continue };
            let Some(found) = found.get_mut(&framework.desired.name) else { continue };
            let units = framework.desired.units();
            let known = memory.rollouts.get(&framework.desired.name).map(|known| &known.value);
            let desired = &framework.desired;
            let settled = settled(desired, known, found.stack_set.as_ref(), commit, look).is_some();
            if units.is_empty() || (settled && !judges) {
                continue;
            }
            let fresh = known.is_none_or(|known| known.digest != desired.digest());
            let membership = self.organization.membership(&units).await?;
            faults.extend(wanted.place(index, &membership, fresh));
            found.membership = Some(membership);
        }
        Ok(faults)
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
        self.tell(&notice).await?;
        self.comment(commit, &notice).await;
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

/// What was found of a framework before anything is done.
#[derive(Default)]
struct Found {
    stack_set: Option<ObservedStackSet>,
    /// Who belongs to its organizational units, where that was asked.
    membership: Option<Membership>,
}

/// What one look does, for all frameworks.
pub(super) struct Work<'a> {
    /// The head of the branch.
    pub(super) commit: &'a CommitId,
    /// Its author and message, once they were asked for.
    pub(super) facts: Option<CommitFacts>,
    /// How closely to look.
    pub(super) look: Look,
    /// What was done.
    pub(super) counts: Counts,
}

/// Why a StackSet cannot be worked by this policy: problem and fix.
pub(crate) fn refusal(desired: &Desired, found: &ObservedStackSet, owner: &str) -> Option<(String, String)> {
    let name = &desired.name;
    match found.owner.as_deref() {
        Some(ours) if ours == owner => {}
        Some(other) => {
            let problem = format!("a StackSet `{name}` exists already and belongs to the policy `{other}`");
            return Some((problem, "give the framework another name, or remove it from that policy first".to_owned()));
        }
        None if desired.adopt => {}
        None => {
            let problem = format!("a StackSet `{name}` exists already and was not made by this application");
            let fix = "give the framework another name, or write `adopt: true` to take the StackSet over: `backup-compliance plan` shows what would become of its instances";
            return Some((problem, fix.to_owned()));
        }
    }
    (found.permissions != desired.permissions.model()).then(|| {
        let (has, wants) = match found.permissions {
            PermissionModel::SelfManaged => ("self-managed permissions", "organizational units"),
            PermissionModel::ServiceManaged => ("service-managed permissions", "accounts"),
        };
        let problem = format!("the StackSet `{name}` has {has}, and the targets are {wants}");
        (problem, "AWS cannot change this while a StackSet has instances: give the framework another name".to_owned())
    })
}

/// What a look comes to that goes by what is remembered; `None` when the instances have to be looked at.
pub(crate) fn settled(
    desired: &Desired,
    known: Option<&Rollout>,
    stack_set: Option<&ObservedStackSet>,
    commit: &CommitId,
    look: Look,
) -> Option<FrameworkOutcome> {
    // One that had left the policy and is back has to be noted down.
    let known = known.filter(|known| known.digest == desired.digest() && !known.undeclared && look < Look::Full)?;
    match known.phase {
        Phase::Succeeded => {
            let intact = stack_set.is_some_and(|found| found.definition == Some(desired.definition_digest()));
            intact.then_some(FrameworkOutcome::Unchanged)
        }
        // A push tries again, also one that changes nothing: whoever pushes wants to see it done.
        Phase::Failed => (known.commit == *commit).then_some(FrameworkOutcome::FailedBefore),
        Phase::Running | Phase::Removing | Phase::Left => None,
    }
}
