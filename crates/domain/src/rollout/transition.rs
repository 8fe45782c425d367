//! Transitions of a rollout: the recorded rollout and an observation give the new record and the next action.
//!
//! A reconciliation of one StackSet decides three times, each time before it reads or writes more:
//! [`settled`] from the record and the StackSet; [`Attempt::next`] once the operation in flight was looked up;
//! [`advance`] (or [`advance_removal`]) once the instances were read and [`next_step`](super::next_step) is known.
//! [`RolloutRecord::finish`] and [`RolloutRecord::reject`] record the end of an attempt after its notice was sent.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::json;

use framework::ids::CommitId;

use super::record::{AttemptEnd, InFlight, Phase, RemovalBlocked, RolloutRecord};
use super::{AppliedOverrides, Desired, ObservedStackSet, Operation, OperationStatus, RolloutStep, Verdict};
use crate::digest::{Digest, digest_of};

/// A reconciliation that needs no look at the instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The last rollout succeeded and the StackSet has the desired definition.
    Unchanged,
    /// The last rollout failed at this commit; a push or a full reconciliation retries it.
    FailedBefore,
}

/// Decides whether the instances need not be read; `None` if they have to be, as in every full reconciliation (`is_full`).
pub fn settled(
    desired: &Desired,
    known: Option<&RolloutRecord>,
    stack_set: Option<&ObservedStackSet>,
    commit: &CommitId,
    is_full: bool,
) -> Option<Settled> {
    // A framework that returned to the policy has to be recorded.
    let known = known.filter(|known| !is_full && !known.undeclared && known.digest == desired.digest())?;
    match known.phase {
        Phase::Succeeded => {
            let intact = stack_set.is_some_and(|found| found.definition == Some(desired.definition_digest()));
            intact.then_some(Settled::Unchanged)
        }
        // Every push retries, also one that changes nothing: its author expects a result.
        Phase::Failed => (known.commit == *commit).then_some(Settled::FailedBefore),
        Phase::Running | Phase::Removing | Phase::Abandoned => None,
    }
}

/// The commit that causes an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The commit.
    pub commit: CommitId,
    /// Its author.
    pub author: String,
    /// The first line of its message.
    pub message: String,
}

/// How a reconciliation goes on with a recorded rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// Nothing is recorded.
    First,
    /// The policy has changed, or the framework was being removed.
    Replaced,
    /// A push retries a failed rollout; attempts are counted from 1 again.
    Pushed,
    /// A full reconciliation retries a failed rollout.
    Retried,
    /// All retries are used; only a push starts over.
    Exhausted,
    /// The framework had left the policy; its last operations have no verdict.
    Returned,
    /// The rollout goes on, or has succeeded.
    Continued,
}

impl Attempt {
    /// Decides how to go on with a rollout of `digest`.
    pub fn next(known: Option<&RolloutRecord>, digest: &Digest, commit: &CommitId, is_full: bool) -> Self {
        let Some(known) = known else { return Self::First };
        match known.phase {
            Phase::Removing => Self::Replaced,
            _ if known.digest != *digest => Self::Replaced,
            Phase::Failed if !is_full || known.commit != *commit => Self::Pushed,
            Phase::Failed if !known.is_retried() => Self::Exhausted,
            Phase::Failed => Self::Retried,
            Phase::Abandoned => Self::Returned,
            Phase::Running | Phase::Succeeded => Self::Continued,
        }
    }

    /// Decides how to go on with the removal of a framework that has left the policy.
    pub fn next_removal(known: &RolloutRecord, commit: &CommitId, is_full: bool) -> Self {
        if !known.undeclared || known.commit != *commit {
            Self::Pushed
        } else if known.phase != Phase::Failed {
            Self::Continued
        } else if is_full && known.is_retried() {
            Self::Retried
        } else {
            Self::Exhausted
        }
    }

    /// Whether the record is of the desired digest, so that its operation in flight may be one of this rollout.
    pub fn keeps_digest(self) -> bool {
        !matches!(self, Self::First | Self::Replaced)
    }

    /// Whether the attempt belongs to the commit of this reconciliation and not to the recorded one.
    pub fn needs_revision(self) -> bool {
        matches!(self, Self::First | Self::Replaced | Self::Pushed)
    }

    /// Returns the record of the new attempt; `None` if there is no attempt: the retries are exhausted, or an input is
    /// missing that [`Self::needs_revision`] asks for.
    #[must_use]
    pub fn begin(
        self,
        known: Option<RolloutRecord>,
        desired: &Desired,
        stack_set_exists: bool,
        revision: Option<Revision>,
        now: Timestamp,
    ) -> Option<RolloutRecord> {
        if self == Self::First {
            return Some(RolloutRecord::new(desired, revision?, stack_set_exists, now));
        }
        let mut known = known?;
        match self {
            Self::First | Self::Exhausted => return None,
            Self::Continued => return Some(known),
            Self::Replaced => {
                let new = RolloutRecord::new(desired, revision?, stack_set_exists, now);
                // An operation that was recorded and is not listed may become visible later. The next notice names the
                // retained stacks, whatever it reports.
                let RolloutRecord { sequence, in_flight, retained, applied_overrides, .. } = known;
                let applied_overrides = if stack_set_exists { applied_overrides } else { new.applied_overrides };
                return Some(RolloutRecord { sequence, in_flight, retained, applied_overrides, ..new });
            }
            Self::Pushed => known.take_revision(revision?, now),
            Self::Retried => known.attempt = known.attempt.saturating_add(1),
            Self::Returned => (known.attempt, known.started) = (1, now),
        }
        known.start_over();
        if self != Self::Returned {
            known.phase = Phase::Running;
        }
        Some(known)
    }

    /// Returns the record of the new attempt to remove a framework that has left the policy; `None` as for [`Self::begin`].
    #[must_use]
    pub fn begin_removal(
        self,
        mut known: RolloutRecord,
        revision: Option<Revision>,
        now: Timestamp,
    ) -> Option<RolloutRecord> {
        match self {
            Self::Exhausted => return None,
            Self::First | Self::Replaced | Self::Pushed => {
                known.take_revision(revision?, now);
                known.undeclared = true;
            }
            Self::Retried => known.attempt = known.attempt.saturating_add(1),
            Self::Returned | Self::Continued => {}
        }
        Some(known)
    }
}

/// State of the operation in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationProgress {
    /// It runs: a rollout waits for its end.
    Running,
    /// It was asked to stop and has not stopped yet.
    Stopping,
    /// No operation runs, as far as CloudFormation lists it.
    Idle,
}

/// The facts that decide the next action beside the record and the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation {
    /// How the attempt began.
    pub attempt: Attempt,
    /// The StackSet existed when it was read.
    pub stack_set_exists: bool,
    /// This reconciliation has created the StackSet: it is decided for the second time.
    pub just_created: bool,
    /// The number of stack instances.
    pub instances: usize,
    /// Overrides came into doubt and have to be recorded.
    pub overrides_doubted: bool,
    /// The current time.
    pub now: Timestamp,
}

/// The next action of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutAction {
    /// Do nothing before the next reconciliation.
    Wait,
    /// Create the StackSet, read it, and decide again.
    CreateStackSet,
    /// Start an operation that is recorded as in flight.
    Start(OperationStart),
    /// Everything is as desired, and was at the end of the last rollout.
    Unchanged,
    /// Send the notice of this verdict, then [`RolloutRecord::finish`].
    Report(Verdict),
}

/// An operation to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationStart {
    /// The `OperationId`.
    pub id: String,
    /// The operation.
    pub operation: Operation,
    /// It was recorded before: CloudFormation may have accepted it although it rejects it now.
    pub repeated: bool,
}

/// An action, and whether the record is written before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<A> {
    /// Write the record first.
    pub record: bool,
    /// The action.
    pub action: A,
}

/// Decides the next action of a rollout and changes its record accordingly.
#[must_use]
pub fn advance(
    mut rollout: RolloutRecord,
    step: RolloutStep,
    situation: Situation,
) -> (RolloutRecord, Decision<RolloutAction>) {
    let Situation { attempt, stack_set_exists, just_created, instances, overrides_doubted, now } = situation;
    // An operation that was recorded under another policy is not repeated, even if it is equal.
    let next = step.operation().filter(|_| attempt.keeps_digest());
    if stack_set_exists && !just_created && rollout.is_in_doubt(next, now) {
        return (rollout, Decision { record: false, action: RolloutAction::Wait });
    }
    if !attempt.keeps_digest() && !just_created {
        rollout.in_flight = None;
    }
    // Back in the policy: if the framework leaves again, a notice reports it again.
    let returned = std::mem::take(&mut rollout.undeclared);
    let (record, action) = match step {
        RolloutStep::Start(operation) => {
            if rollout.phase == Phase::Succeeded {
                // A full reconciliation found a difference: a new attempt with its own counts.
                rollout.start_over();
                rollout.attempt = 1;
                rollout.started = now;
            }
            rollout.phase = Phase::Running;
            (true, RolloutAction::Start(rollout.launch(operation, instances, now)))
        }
        RolloutStep::CreateStackSet if !just_created => (true, RolloutAction::CreateStackSet),
        RolloutStep::Finished(verdict) if rollout.phase == Phase::Succeeded && verdict.is_success() => {
            (returned || overrides_doubted, RolloutAction::Unchanged)
        }
        RolloutStep::Finished(verdict) => (returned, RolloutAction::Report(verdict)),
        // Not visible right after its creation, or adopted by another writer in between.
        RolloutStep::CreateStackSet
        | RolloutStep::OtherOwner(_)
        | RolloutStep::OtherPermissions(_)
        | RolloutStep::DeleteStackSet => (returned, RolloutAction::Wait),
    };
    (rollout, Decision { record, action })
}

/// The next action of a removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemovalAction {
    /// Record a change, and do nothing before the next reconciliation.
    Wait,
    /// Record the rollout, then start an operation.
    Start(OperationStart),
    /// Delete the empty StackSet.
    DeleteStackSet,
    /// Send the notice of the removal, then delete the record.
    Report,
    /// Send the notice of this verdict, then [`RolloutRecord::block_removal`].
    Block(Verdict),
    /// Delete the record without a notice.
    Forget,
}

/// Decides the next action of a removal and changes the record accordingly.
#[must_use]
pub fn advance_removal(
    mut rollout: RolloutRecord,
    step: RolloutStep,
    stack_set_exists: bool,
    instances: usize,
    now: Timestamp,
) -> (RolloutRecord, RemovalAction) {
    let next = step.operation();
    if stack_set_exists && rollout.is_in_doubt(next, now) {
        return (rollout, RemovalAction::Wait);
    }
    if next.is_none() {
        rollout.in_flight = None;
    }
    let action = match step {
        RolloutStep::Start(operation) => RemovalAction::Start(rollout.launch(operation, instances, now)),
        RolloutStep::DeleteStackSet => RemovalAction::DeleteStackSet,
        RolloutStep::Finished(verdict) if verdict.is_success() => RemovalAction::Report,
        RolloutStep::Finished(verdict) => RemovalAction::Block(verdict),
        // Owned by another policy: only stacks that were retained before need a notice.
        RolloutStep::OtherOwner(_) if !rollout.retained.is_empty() => RemovalAction::Report,
        RolloutStep::OtherOwner(_) | RolloutStep::CreateStackSet | RolloutStep::OtherPermissions(_) => {
            RemovalAction::Forget
        }
    };
    (rollout, action)
}

impl RolloutRecord {
    fn new(desired: &Desired, revision: Revision, stack_set_exists: bool, now: Timestamp) -> Self {
        let Revision { commit, author, message } = revision;
        Self {
            name: desired.name.clone(),
            digest: desired.digest(),
            commit,
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
            applied_overrides: AppliedOverrides::unrecorded(stack_set_exists),
            call_as: desired.permissions.call_as(),
            started: now,
            ended: None,
            retained: Vec::new(),
            undeclared: false,
            removal_blocked: None,
        }
    }

    fn take_revision(&mut self, revision: Revision, now: Timestamp) {
        let Revision { commit, author, message } = revision;
        (self.commit, self.author, self.message) = (commit, author, message);
        self.attempt = 1;
        self.started = now;
    }

    /// Records an operation as in flight. One that is in flight already keeps its id, since CloudFormation may have
    /// accepted it without listing it yet.
    fn launch(&mut self, operation: Operation, instances: usize, now: Timestamp) -> OperationStart {
        let recorded = self.in_flight.take().filter(|in_flight| in_flight.operation == operation);
        let repeated = recorded.is_some();
        let id = recorded.map(|in_flight| in_flight.id).unwrap_or_else(|| {
            self.sequence = self.sequence.saturating_add(1);
            format!("bc-{}", digest_of(&json!([self.name, self.digest, self.sequence])))
        });
        let size = operation.size(instances);
        self.in_flight = Some(InFlight { id: id.clone(), operation: operation.clone(), size, recorded_at: Some(now) });
        OperationStart { id, operation, repeated }
    }

    /// Notes the status of the operation in flight; `None` if it was never started, or is not visible yet.
    pub fn observe_operation(&mut self, status: Option<OperationStatus>) -> OperationProgress {
        match status {
            Some(OperationStatus::InFlight) => return OperationProgress::Running,
            Some(OperationStatus::Stopping) => return OperationProgress::Stopping,
            Some(OperationStatus::Ended) => self.operation_ended(),
            None => {}
        }
        OperationProgress::Idle
    }

    /// Starts a removal, unless it is going on.
    pub fn start_removal(&mut self) {
        if self.phase != Phase::Removing {
            self.phase = Phase::Removing;
            self.start_over();
        }
    }

    /// Whether a removal stops the running operation: a rollout may take hours, and a removal has one. Deletions go on.
    pub fn is_stopped_by_removal(&self) -> bool {
        let in_flight = self.in_flight.as_ref();
        in_flight.is_some_and(|in_flight| !matches!(in_flight.operation, Operation::DeleteInstances { .. }))
    }

    /// Ends the work on a framework that has left the policy, once its operation has ended. Returns whether the record changed.
    pub fn leave(&mut self, status: Option<OperationStatus>, now: Timestamp) -> bool {
        if self.in_flight.is_some() {
            if self.observe_operation(status) != OperationProgress::Idle || self.is_in_doubt(None, now) {
                return false;
            }
            self.in_flight = None;
        }
        self.phase = Phase::Abandoned;
        true
    }

    /// Records the verdict of an attempt, after its notice was sent.
    pub fn finish(&mut self, verdict: &Verdict, now: Timestamp) {
        self.ended = Some(AttemptEnd::new(now, verdict, None));
        self.phase = if verdict.is_success() { Phase::Succeeded } else { Phase::Failed };
        self.retained.clear();
        self.tried.clear();
        self.in_flight = None;
    }

    /// Records that AWS rejected a call for good, after the notice was sent.
    pub fn reject(&mut self, verdict: &Verdict, error: String, now: Timestamp) {
        self.ended = Some(AttemptEnd::new(now, verdict, Some(error)));
        self.phase = Phase::Failed;
    }

    /// Forgets an operation that AWS has rejected, unless it was recorded before: the earlier call may have been accepted.
    pub fn forget_rejected(&mut self, repeated: bool) {
        if !repeated {
            self.in_flight = None;
        }
    }

    /// Records that a removal cannot continue, after the notice was sent. The next removal request starts over.
    pub fn block_removal(
        &mut self,
        verdict: &Verdict,
        error: Option<String>,
        request: Option<&str>,
        reason: &str,
        now: Timestamp,
    ) {
        self.ended = Some(AttemptEnd::new(now, verdict, error));
        self.phase = Phase::Failed;
        self.tried.clear();
        self.removal_blocked =
            request.map(|request| RemovalBlocked { request: request.to_owned(), reason: reason.to_owned() });
    }
}

impl RolloutStep {
    /// The operation that the step starts, if any.
    pub fn operation(&self) -> Option<&Operation> {
        if let Self::Start(operation) = self { Some(operation) } else { None }
    }
}

#[cfg(test)]
mod tests;
