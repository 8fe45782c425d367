//! One look.

use super::memory::{InFlight, Memory, Phase, Rollout};
use super::wanted::{PolicyAt, Wanted, WantedFramework};
use crate::events::{Look, Trigger};
use crate::lifecycle::{self, Answer, RequestKind, Waiting};
use crate::ports::{
    Clock, CommitFacts, DeployStore, Notifier, PolicyRepository, PortError, PortErrorKind, RequestStore, Responder,
    Result, StackSets, Versioned,
};
use domain::fault::Fault;
use domain::ids::{CommitId, StackSetName};
use domain::notice::{Notice, Rejection, RolloutReport};
use domain::rollout::{
    Digest, Observed, ObservedStackSet, Operation, OperationStatus, Step, Verdict, digest_of, next_step,
};
use serde::Serialize;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use tracing::{info, warn};

/// How often the schedule tries a failed rollout of one digest.
const ATTEMPTS: u32 = 3;
/// CloudFormation gives a custom resource an hour; the answer must be there before.
const ANSWER_WITHIN_SECONDS: i64 = 55 * 60;

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
    M: DeployStore + RequestStore,
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

    /// Brings one framework a step further.
    async fn bring(
        &self,
        framework: &WantedFramework,
        known: Option<Versioned<Rollout>>,
        stack_set: Option<ObservedStackSet>,
        commit: &CommitId,
        facts: &mut Option<CommitFacts>,
        look: Look,
    ) -> Result<FrameworkOutcome> {
        let desired = &framework.desired;
        let digest = desired.digest();
        let same = known.as_ref().is_some_and(|known| known.value.digest == digest);
        let intact = stack_set.as_ref().is_some_and(|found| found.definition == Some(desired.definition_digest()));
        if let Some(known) = &known
            && same
            && look < Look::Full
        {
            match known.value.phase {
                Phase::Succeeded if intact => return Ok(FrameworkOutcome::Unchanged),
                Phase::Failed => return Ok(FrameworkOutcome::FailedBefore),
                Phase::Running | Phase::Succeeded => {}
            }
        }

        let mut rollout = match known {
            Some(known) => known,
            None => Versioned { value: self.begin(desired, &digest, commit, facts).await?, version: 0 },
        };
        if let Some(in_flight) = rollout.value.in_flight.clone() {
            match self.stack_sets.operation(&desired.name, &in_flight.id).await? {
                Some(OperationStatus::InFlight) => return Ok(FrameworkOutcome::Waiting),
                Some(OperationStatus::Ended) => rollout.value.ended(),
                // Written down, never started: the look before this one ended too early.
                None => rollout.value.in_flight = None,
            }
        }
        if !same && rollout.version > 0 {
            let fresh = self.begin(desired, &digest, commit, facts).await?;
            let Rollout { sequence, overrides, .. } = rollout.value;
            rollout.value = Rollout { sequence, overrides, ..fresh };
        } else if rollout.value.phase == Phase::Failed {
            if rollout.value.attempt >= ATTEMPTS {
                return Ok(FrameworkOutcome::FailedBefore);
            }
            rollout.value.attempt = rollout.value.attempt.saturating_add(1);
            rollout.value.tried.clear();
        }
        if rollout.version == 0 || !same {
            self.memory.put_framework(&framework.facts).await?;
        }

        let mut observed = match stack_set {
            Some(stack_set) => self.stack_sets.observe(&desired.name, stack_set).await?,
            None => Observed::default(),
        };
        rollout.value.complete(&mut observed);
        let owner = self.application.owner();
        if let Step::CreateStackSet = next_step(desired, &observed, &owner, &rollout.value.tried) {
            self.remember(&mut rollout).await?;
            if let Err(error) = self.stack_sets.create(desired, &owner).await {
                return self.trouble(rollout, &error, desired.instances.len()).await;
            }
            // Creation is no operation and has no event: go on at once with what the StackSet looks like now.
            let created = self.stack_sets.describe(&desired.name).await?;
            observed = Observed { stack_set: created, ..Observed::default() };
        }
        match next_step(desired, &observed, &owner, &rollout.value.tried) {
            Step::Start(operation) => self.start(rollout, operation, framework, observed.instances.len()).await,
            Step::Finished(verdict) => self.finish(rollout, verdict).await,
            // Not there right after its creation, or taken over by somebody in between: the next look tells.
            Step::CreateStackSet | Step::NotOurs { .. } | Step::DeleteStackSet => Ok(FrameworkOutcome::Waiting),
        }
    }

    async fn begin(
        &self,
        desired: &domain::rollout::Desired,
        digest: &Digest,
        commit: &CommitId,
        facts: &mut Option<CommitFacts>,
    ) -> Result<Rollout> {
        let CommitFacts { author, message } = match facts {
            Some(facts) => facts.clone(),
            None => facts.insert(self.repository.commit(commit).await?).clone(),
        };
        Ok(Rollout {
            name: desired.name.clone(),
            digest: digest.clone(),
            commit: commit.clone(),
            author,
            message,
            phase: Phase::Running,
            attempt: 1,
            tried: BTreeSet::new(),
            in_flight: None,
            sequence: 0,
            created: 0,
            updated: 0,
            deleted: 0,
            overrides: BTreeMap::new(),
        })
    }

    async fn start(
        &self,
        mut rollout: Versioned<Rollout>,
        operation: Operation,
        framework: &WantedFramework,
        instances: usize,
    ) -> Result<FrameworkOutcome> {
        let size = operation.size(instances);
        let counter = match operation {
            Operation::CreateInstances { .. } => &mut rollout.value.created,
            Operation::DeleteInstances { .. } => &mut rollout.value.deleted,
            Operation::UpdateStackSet | Operation::UpdateInstances { .. } => &mut rollout.value.updated,
        };
        *counter = counter.saturating_add(size);
        rollout.value.phase = Phase::Running;
        let id = self.write_down(&mut rollout, &operation).await?;
        let owner = self.application.owner();
        let started =
            self.stack_sets.start(&rollout.value.name, &id, &operation, Some(&framework.desired), &owner).await;
        match started {
            Ok(_) => {
                info!(stack_set = %rollout.value.name, operation = %id, what = ?operation, "operation started");
                Ok(FrameworkOutcome::Started(id))
            }
            // Somebody else's operation is going on, or was just now: the schedule looks again.
            Err(error) if error.kind == PortErrorKind::Conflict => {
                info!(stack_set = %rollout.value.name, %error, "the StackSet is busy");
                Ok(FrameworkOutcome::Waiting)
            }
            Err(error) => self.trouble(rollout, &error, framework.desired.instances.len()).await,
        }
    }

    /// Remembers an operation before it is started, so that one whose answer is lost is found again.
    pub(super) async fn write_down(&self, rollout: &mut Versioned<Rollout>, operation: &Operation) -> Result<String> {
        let value = &mut rollout.value;
        value.sequence = value.sequence.saturating_add(1);
        let id = format!("bc-{}", digest_of(&json!([value.name, value.digest, value.sequence])));
        value.in_flight = Some(InFlight { id: id.clone(), operation: operation.clone() });
        self.remember(rollout).await?;
        Ok(id)
    }

    pub(super) async fn remember(&self, rollout: &mut Versioned<Rollout>) -> Result<()> {
        self.memory.put_rollout(rollout).await?;
        rollout.version = rollout.version.saturating_add(1);
        Ok(())
    }

    async fn finish(&self, mut rollout: Versioned<Rollout>, verdict: Verdict) -> Result<FrameworkOutcome> {
        let settled = rollout.value.phase == Phase::Succeeded && verdict.is_success();
        if settled {
            return Ok(FrameworkOutcome::Unchanged);
        }
        let success = verdict.is_success();
        let (succeeded, total) = (verdict.succeeded, verdict.total);
        let report = self.report(&rollout.value, verdict, None);
        self.tell(if success { Notice::RolloutSucceeded(report) } else { Notice::RolloutFailed(report) }).await?;
        rollout.value.phase = if success { Phase::Succeeded } else { Phase::Failed };
        rollout.value.tried.clear();
        rollout.value.in_flight = None;
        self.remember(&mut rollout).await?;
        Ok(if success {
            FrameworkOutcome::Succeeded
        } else {
            FrameworkOutcome::Failed(format!("{succeeded} of {total} instances are as wanted"))
        })
    }

    /// AWS refused a mutating call. What may pass later is left to the next delivery of the trigger; the rest is told.
    async fn trouble(
        &self,
        mut rollout: Versioned<Rollout>,
        error: &PortError,
        total: usize,
    ) -> Result<FrameworkOutcome> {
        if matches!(error.kind, PortErrorKind::Retryable | PortErrorKind::Conflict) {
            return Err(error.clone());
        }
        let verdict = Verdict { total, succeeded: 0, faults: Vec::new() };
        let report = self.report(&rollout.value, verdict, Some(error.explained()));
        self.tell(Notice::RolloutFailed(report)).await?;
        rollout.value.phase = Phase::Failed;
        rollout.value.in_flight = None;
        self.remember(&mut rollout).await?;
        Ok(FrameworkOutcome::Failed(error.explained()))
    }

    fn report(&self, rollout: &Rollout, verdict: Verdict, trouble: Option<String>) -> RolloutReport {
        let failed = !verdict.is_success() || trouble.is_some();
        let next = failed.then(|| {
            if rollout.attempt < ATTEMPTS {
                format!(
                    "The next hourly look tries again (attempt {} of {ATTEMPTS}). A push starts over.",
                    rollout.attempt.saturating_add(1)
                )
            } else {
                format!("It was tried {ATTEMPTS} times and is not tried again before the next push.")
            }
        });
        RolloutReport {
            stack_set: rollout.name.clone(),
            repository: self.application.repository.clone(),
            branch: self.application.branch.clone(),
            commit: rollout.commit.clone(),
            author: rollout.author.clone(),
            message: rollout.message.clone(),
            verdict,
            created: rollout.created,
            updated: rollout.updated,
            deleted: rollout.deleted,
            trouble,
            next,
        }
    }

    async fn tell(&self, notice: Notice) -> Result<()> {
        self.notifier.publish(std::slice::from_ref(&notice)).await.into_iter().collect()
    }

    /// Answers Create and Update requests: what is wrong with the policy or refused by AWS fails them, a rollout that is on
    /// its way does not.
    async fn answer_waiting(&self, waiting: &[Waiting], outcome: &Result<Seen>) -> Result<()> {
        for Waiting { request, since } in waiting {
            let envelope = &request.envelope;
            let answer = match outcome {
                Ok(seen) if !seen.rejected.is_empty() => {
                    Answer::failure(envelope, &format!("the policy is rejected: {}", seen.rejected.join(" | ")))
                }
                Ok(seen) => match seen.frameworks.values().find_map(FrameworkOutcome::failure) {
                    Some(failure) => Answer::failure(envelope, failure),
                    None => Answer::success(envelope),
                },
                Err(error) if error.kind == PortErrorKind::Retryable && !self.overdue(*since) => continue,
                Err(error) => Answer::failure(envelope, &error.explained()),
            };
            self.settle(&answer, &envelope.request_id).await?;
        }
        Ok(())
    }

    pub(super) fn overdue(&self, since: jiff::Timestamp) -> bool {
        self.clock.now().as_second().saturating_sub(since.as_second()) > ANSWER_WITHIN_SECONDS
    }

    /// Puts an answer, then forgets the request: a crash in between repeats the same answer, which changes nothing.
    pub(super) async fn settle(&self, answer: &Answer, request_id: &str) -> Result<()> {
        match lifecycle::put(&self.responder, answer).await {
            Ok(()) => info!(request = request_id, failure = ?answer.reason(), "CloudFormation is answered"),
            // An expired URL is refused for good: keeping the request would block every later look.
            Err(error) if error.kind != PortErrorKind::Retryable => {
                warn!(request = request_id, %error, "CloudFormation does not take the answer");
            }
            Err(error) => return Err(error),
        }
        self.memory.forget(request_id).await
    }
}

impl FrameworkOutcome {
    fn failure(&self) -> Option<&str> {
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
