//! Reads the state of rollouts from the records of `deploy`, and on request from StackSets. Changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use domain::rollout::{DetailedStatus, Instance, InstanceFailure, InstanceStatus, ObservedInstance, OperationStatus};
use framework::ids::{AccountId, CommitId, RegionName, StackSetName};

use crate::deploy::ports::{DeployStore, PolicyRepository};
use crate::deploy::{InFlight, Phase, PublishedFramework, RolloutRecord};
use crate::in_force::PolicyDirectory;
use crate::lifecycle::ports::RequestStore;
use crate::lifecycle::{RequestKind, WaitingRequest};
use crate::plan::DeployedStackSets;
use crate::ports::Result;

/// Maximum instances listed of a cause; the rest are counted.
const LISTED: usize = 5;

/// The state of all rollouts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    /// When the state was read.
    pub at: Timestamp,
    /// The recorded frameworks, by name.
    pub frameworks: Vec<FrameworkStatus>,
    /// The application is being removed.
    pub removing: bool,
    /// CloudFormation requests without a response, oldest first.
    pub requests: Vec<PendingRequest>,
    /// The commit whose policy was rejected last; a later commit may have fixed it.
    pub rejected: Option<CommitId>,
    /// The head of the branch, if it was read.
    pub head: Option<CommitId>,
}

/// A CloudFormation request without a response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingRequest {
    /// The kind of request.
    pub kind: RequestKind,
    /// `LogicalResourceId`.
    pub resource: String,
    /// When it was received.
    pub since: Timestamp,
}

/// The state of one framework.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FrameworkStatus {
    /// The StackSet.
    pub stack_set: StackSetName,
    /// The phase of the rollout.
    pub phase: Phase,
    /// The commit that is being, or was last, rolled out.
    pub commit: CommitId,
    /// The author of the commit.
    pub author: String,
    /// The first line of the commit message.
    pub message: String,
    /// When the rollout began.
    pub began: Timestamp,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// Whether a full reconciliation retries it if it has failed.
    pub is_retried: bool,
    /// The policy no longer declares it.
    pub undeclared: bool,
    /// The number of accounts in which its controls are in force; 0 if nothing is published.
    pub accounts: usize,
    /// The Regions in which its controls are in force.
    pub regions: BTreeSet<RegionName>,
    /// The last operation, if its end was not observed yet.
    pub operation: Option<RunningOperation>,
    /// The end of the last attempt, if one has ended.
    pub ended: Option<EndedStatus>,
    /// The current state from StackSets, if it was read.
    pub live: Option<LiveState>,
}

/// A running operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunningOperation {
    /// The `OperationId`.
    pub id: String,
    /// The operation of the CloudFormation API.
    pub operation: &'static str,
    /// The number of instances it works on.
    pub instances: usize,
    /// When it was started, if recorded.
    pub since: Option<Timestamp>,
}

/// The end of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndedStatus {
    /// When it ended.
    pub at: Timestamp,
    /// The number of desired instances.
    pub total: usize,
    /// The number of instances in the desired state.
    pub succeeded: usize,
    /// The number of failed instances.
    pub failed: usize,
    /// The number of instances that StackSets skips.
    pub skipped: usize,
    /// The causes of recorded failures and skips.
    pub causes: Vec<CommonCause>,
    /// The error of the call that AWS rejected, if that ended the attempt.
    pub error: Option<String>,
}

/// Instances with the same outcome and reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CommonCause {
    /// The outcome.
    pub outcome: String,
    /// The reason, from CloudFormation if it gave one.
    pub reason: String,
    /// The number of instances.
    pub instances: usize,
    /// The first instances.
    pub first: Vec<Instance>,
}

/// The current state of a StackSet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveState {
    /// Whether the StackSet exists.
    pub exists: bool,
    /// The number of instances by `StackInstance.Status`.
    pub instances: BTreeMap<String, usize>,
    /// The number of accounts with an instance.
    pub accounts: usize,
    /// The Regions with an instance.
    pub regions: BTreeSet<RegionName>,
    /// Whether the last operation is running.
    pub busy: bool,
    /// The causes of instances that are not current.
    pub causes: Vec<CommonCause>,
}

impl RolloutStatus {
    /// Whether the policy at the head is rejected, or a framework has failed.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        let rejected = self.rejected.is_some() && self.rejected == self.head;
        rejected || self.frameworks.iter().any(FrameworkStatus::is_failure)
    }
}

impl FrameworkStatus {
    /// Whether the last attempt failed, or StackSets has failed instances and no operation runs.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        let live = self.live.as_ref().is_some_and(|live| {
            let settled = self.phase == Phase::Succeeded && !live.busy;
            settled && (!live.exists || live.causes.iter().any(|cause| cause.outcome != SKIPPED))
        });
        self.phase == Phase::Failed || live
    }

    fn new(rollout: &RolloutRecord, facts: Option<&PublishedFramework>) -> Self {
        let variants = || facts.into_iter().flat_map(|facts| &facts.variants);
        let accounts: BTreeSet<&AccountId> = variants().flat_map(|variant| &variant.accounts).collect();
        let running = |InFlight { id, operation, size, recorded_at: since }: &InFlight| RunningOperation {
            id: id.clone(),
            operation: operation.api_name(),
            instances: *size,
            since: *since,
        };
        let ended = rollout.ended.as_ref().map(|ended| EndedStatus {
            at: ended.at,
            total: ended.verdict.total,
            succeeded: ended.verdict.succeeded,
            failed: ended.failed,
            skipped: ended.skipped,
            causes: causes(ended.verdict.failures.iter().chain(&ended.verdict.skipped).map(described)),
            error: ended.error.clone(),
        });
        Self {
            stack_set: rollout.name.clone(),
            phase: rollout.phase,
            commit: rollout.commit.clone(),
            author: rollout.author.clone(),
            message: rollout.message.clone(),
            began: rollout.started,
            attempt: rollout.attempt,
            is_retried: rollout.is_retried(),
            undeclared: rollout.undeclared,
            accounts: accounts.len(),
            regions: variants().flat_map(|variant| variant.regions.iter().cloned()).collect(),
            operation: rollout.in_flight.as_ref().map(running),
            ended,
            live: None,
        }
    }
}

/// The parts of the state table that [`status`] reads.
pub trait StatusStore: DeployStore + RequestStore + PolicyDirectory {}

impl<T: DeployStore + RequestStore + PolicyDirectory> StatusStore for T {}

/// Reads the state from the records of `deploy`.
///
/// # Errors
/// If the table cannot be read.
pub async fn status(memory: &impl StatusStore, now: Timestamp) -> Result<RolloutStatus> {
    let remembered = memory.load_state().await?;
    let in_force = memory.in_force().await?;
    let facts: BTreeMap<&StackSetName, &PublishedFramework> =
        in_force.frameworks.iter().map(|facts| (&facts.stack_set, facts)).collect();
    let rollouts = remembered.rollouts.values();
    let frameworks =
        rollouts.map(|rollout| FrameworkStatus::new(&rollout.value, facts.get(&rollout.value.name).copied())).collect();
    let pending = |WaitingRequest { request, since, .. }: WaitingRequest| PendingRequest {
        kind: request.kind,
        resource: request.envelope.logical_resource_id,
        since,
    };
    Ok(RolloutStatus {
        at: now,
        frameworks,
        removing: remembered.removing,
        requests: memory.waiting().await?.into_iter().map(pending).collect(),
        rejected: memory.rejected_commit().await?,
        head: None,
    })
}

/// Adds the current state of StackSets, and the head of the branch if a repository is given; `reading` is called with each
/// StackSet before its instances are read.
///
/// # Errors
/// If a call to AWS fails.
pub async fn read_live(
    status: &mut RolloutStatus,
    memory: &impl DeployStore,
    stack_sets: &impl DeployedStackSets,
    repository: Option<&impl PolicyRepository>,
    mut reading: impl FnMut(&StackSetName),
) -> Result<()> {
    if let Some(repository) = repository {
        status.head = repository.head().await?;
    }
    let rollouts = memory.load_state().await?.rollouts;
    for framework in &mut status.frameworks {
        let Some(rollout) = rollouts.get(&framework.stack_set).map(|rollout| &rollout.value) else { continue };
        reading(&framework.stack_set);
        framework.live = Some(live(rollout, stack_sets).await?);
    }
    Ok(())
}

async fn live(rollout: &RolloutRecord, stack_sets: &impl DeployedStackSets) -> Result<LiveState> {
    let of = rollout.stack_set();
    let Some(stack_set) = stack_sets.describe(of).await? else { return Ok(LiveState::default()) };
    let observed = stack_sets.observe(of, stack_set).await?;
    let operation = match &rollout.in_flight {
        Some(in_flight) => stack_sets.operation(of, &in_flight.id).await?,
        None => None,
    };
    let mut live = LiveState {
        exists: true,
        busy: matches!(operation, Some(OperationStatus::InFlight | OperationStatus::Stopping)),
        ..LiveState::default()
    };
    let mut accounts = BTreeSet::new();
    let mut wrong = Vec::new();
    for (instance, found) in &observed.instances {
        accounts.insert(&instance.account);
        live.regions.insert(instance.region.clone());
        if found.status != InstanceStatus::Current || matches!(found.detailed, DetailedStatus::Failed) {
            let reason = found.reason.as_deref().unwrap_or("CloudFormation gave no reason");
            wrong.push((instance, outcome_word(found), reason));
        }
        let count = live.instances.entry(status_word(found).to_owned()).or_default();
        *count = count.saturating_add(1);
    }
    live.accounts = accounts.len();
    live.causes = causes(wrong.into_iter());
    Ok(live)
}

fn status_word(found: &ObservedInstance) -> &str {
    match &found.status {
        InstanceStatus::Current => "CURRENT",
        InstanceStatus::Outdated => "OUTDATED",
        InstanceStatus::Inoperable => "INOPERABLE",
        InstanceStatus::Unknown(word) => word,
    }
}

/// The outcome of instances in suspended accounts, which is not a failure.
const SKIPPED: &str = "skipped";

fn outcome_word(found: &ObservedInstance) -> &'static str {
    match &found.detailed {
        DetailedStatus::SkippedSuspendedAccount => SKIPPED,
        DetailedStatus::Pending | DetailedStatus::Running => "in progress",
        DetailedStatus::Cancelled => "cancelled",
        _ => "failed",
    }
}

fn described(fault: &InstanceFailure) -> (&Instance, &'static str, &str) {
    (&fault.instance, fault.outcome.description(), &fault.reason)
}

/// Groups instances by outcome and reason, the most frequent first.
fn causes<'a>(faults: impl Iterator<Item = (&'a Instance, &'static str, &'a str)>) -> Vec<CommonCause> {
    let mut groups: BTreeMap<(&str, &str), (usize, Vec<Instance>)> = BTreeMap::new();
    for (instance, outcome, reason) in faults {
        let (count, first) = groups.entry((outcome, reason)).or_default();
        *count = count.saturating_add(1);
        if first.len() < LISTED {
            first.push(instance.clone());
        }
    }
    let cause = |((outcome, reason), (instances, first)): ((&str, &str), _)| CommonCause {
        outcome: outcome.to_owned(),
        reason: reason.to_owned(),
        instances,
        first,
    };
    let mut causes: Vec<CommonCause> = groups.into_iter().map(cause).collect();
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.instances));
    causes
}
