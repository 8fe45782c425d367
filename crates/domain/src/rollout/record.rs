//! The record of a rollout that is kept between two reconciliations.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use framework::ids::{CommitId, StackSetName};

use super::{AppliedOverrides, CallAs, Operation, OperationTargets, Verdict};
use crate::digest::Digest;

/// Most failed instances, and most skipped ones, that are recorded with their reasons; the rest are counted.
const RECORDED_FAULTS: usize = 20;
/// CloudFormation's reads are eventually consistent: an operation that it accepted is visible after this time.
const VISIBLE_AFTER_SECONDS: i64 = 5 * 60;

/// How often full reconciliations retry a failed rollout of one digest.
pub const RETRIES: u32 = 3;

/// A StackSet and the caller for whom each call to it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StackSetRef<'a> {
    /// The StackSet.
    pub name: &'a StackSetName,
    /// `CallAs` of the CloudFormation API.
    pub call_as: CallAs,
}

/// The rollout of one StackSet as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutRecord {
    /// The StackSet.
    pub name: StackSetName,
    /// Digest of the desired state that is being, or was last, rolled out.
    pub digest: Digest,
    /// The commit that caused the rollout.
    pub commit: CommitId,
    /// The author of the commit.
    pub author: String,
    /// The first line of the commit message.
    pub message: String,
    /// The phase.
    pub phase: Phase,
    /// The number of this attempt at the digest, from 1.
    pub attempt: u32,
    /// Operations of this attempt that have ended.
    pub tried: BTreeSet<Digest>,
    /// The operation that was started, or recorded just before its start.
    pub in_flight: Option<InFlight>,
    /// Counts operations, so that each has its own id.
    pub sequence: u64,
    /// Instances created by this attempt.
    pub created: usize,
    /// Instances updated by this attempt.
    pub updated: usize,
    /// Instances deleted by this attempt.
    pub deleted: usize,
    /// Parameter overrides that instances were last given.
    pub applied_overrides: AppliedOverrides,
    /// The caller for whom the StackSet is managed.
    #[serde(default)]
    pub call_as: CallAs,
    /// When this rollout began.
    pub started: Timestamp,
    /// The end of the last attempt, if one has ended.
    pub ended: Option<AttemptEnd>,
    /// Stacks that this removal has retained; no StackSet manages them any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retained: Vec<OperationTargets>,
    /// A notice has reported that the policy no longer declares the framework.
    #[serde(default)]
    pub undeclared: bool,
    /// The reason why the removal of the application could not remove the StackSet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removal_blocked: Option<RemovalBlocked>,
}

/// The phase of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Operations are going on.
    Running,
    /// Every instance is as desired, and the notice was sent.
    Succeeded,
    /// At least one instance is not as desired, and the notice was sent.
    Failed,
    /// The StackSet is being removed.
    Removing,
    /// The policy no longer declares the framework. Its last operation has ended without a verdict.
    Abandoned,
}

impl Phase {
    /// Whether operations are going on, so that a quick check has to read more than the record.
    pub fn is_busy(self) -> bool {
        matches!(self, Self::Running | Self::Removing)
    }
}

/// An operation and its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InFlight {
    /// The `OperationId`, chosen before the call.
    pub id: String,
    /// The operation.
    pub operation: Operation,
    /// The number of instances it works on.
    pub size: usize,
    /// When it was recorded, just before its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded_at: Option<Timestamp>,
}

/// A removal that cannot continue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovalBlocked {
    /// The id of the CloudFormation request that asked for the removal; the next request starts over.
    pub request: String,
    /// The remaining instances, each with its reason.
    pub reason: String,
}

/// The end of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptEnd {
    /// When it ended.
    pub at: Timestamp,
    /// The number of failed instances, also of those that the verdict omits.
    pub failed: usize,
    /// The number of skipped instances, also of those that the verdict omits.
    pub skipped: usize,
    /// The verdict, with at most 20 failed and 20 skipped instances.
    pub verdict: Verdict,
    /// The error of the call that AWS rejected, if that ended the attempt.
    pub error: Option<String>,
}

impl AttemptEnd {
    /// Records a verdict.
    pub fn new(at: Timestamp, verdict: &Verdict, trouble: Option<String>) -> Self {
        let first = |diagnostics: &[_]| diagnostics.iter().take(RECORDED_FAULTS).cloned().collect();
        Self {
            at,
            failed: verdict.failures.len(),
            skipped: verdict.skipped.len(),
            verdict: Verdict { failures: first(&verdict.failures), skipped: first(&verdict.skipped), ..*verdict },
            error: trouble,
        }
    }
}

impl RolloutRecord {
    /// The StackSet and its caller.
    pub fn stack_set(&self) -> StackSetRef<'_> {
        StackSetRef { name: &self.name, call_as: self.call_as }
    }

    /// Whether full reconciliations retry this rollout if it has failed.
    pub fn is_retried(&self) -> bool {
        self.attempt <= RETRIES
    }

    /// Whether the recorded operation may run although CloudFormation does not list it: the answer to its start was lost,
    /// and reads are eventually consistent. Starting the same operation again under its id is idempotent; any other has
    /// to wait.
    pub fn is_in_doubt(&self, next: Option<&Operation>, now: Timestamp) -> bool {
        self.in_flight.as_ref().is_some_and(|in_flight| {
            let age = in_flight.recorded_at.map(|since| now.as_second().saturating_sub(since.as_second()));
            next != Some(&in_flight.operation) && age.is_some_and(|age| age < VISIBLE_AFTER_SECONDS)
        })
    }

    /// Forgets the operations of earlier attempts.
    pub fn start_over(&mut self) {
        self.tried.clear();
        (self.created, self.updated, self.deleted) = (0, 0, 0);
    }

    /// Moves the operation in flight to those that have ended. Its instances are counted here, not at its start, so that an
    /// operation that was started twice counts once.
    pub fn operation_ended(&mut self) {
        let Some(InFlight { operation, size, .. }) = self.in_flight.take() else { return };
        self.tried.insert(operation.key());
        self.applied_overrides.record_operation(&operation);
        let counter = match operation {
            Operation::DeleteInstances { at, retain: true } => return self.retained.push(at),
            Operation::CreateInstances { .. } => &mut self.created,
            Operation::DeleteInstances { .. } => &mut self.deleted,
            Operation::UpdateStackSet | Operation::UpdateInstances { .. } => &mut self.updated,
            Operation::ManagedExecution => return,
        };
        *counter = counter.saturating_add(size);
    }
}
