//! Reads the state of rollouts from the records of `deploy`, and on request from StackSets. Changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use domain::rollout::{DetailedStatus, Instance, InstanceFailure, InstanceStatus, ObservedInstance, OperationStatus};
use framework::ids::{AccountId, CommitId, RegionName, StackSetName};

use crate::deploy::ports::{DeployStore, DeployedStackSets, PolicyRepository};
use crate::deploy::{DeployState, Phase, PublishedFramework, RolloutRecord};
use crate::in_force::PolicyDirectory;
use crate::lifecycle::WaitingRequest;
use crate::lifecycle::ports::RequestStore;
use crate::ports::Result;

/// Maximum instances listed of a cause; the rest are counted.
const LISTED: usize = 5;

/// The state of all rollouts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutStatus {
    /// When the state was read.
    pub at: Timestamp,
    /// The recorded frameworks, by name.
    pub frameworks: Vec<FrameworkStatus>,
    /// The application is being removed.
    pub removing: bool,
    /// CloudFormation requests without a response, oldest first.
    pub requests: Vec<WaitingRequest>,
    /// The commit whose policy was rejected last; a later commit may have fixed it.
    pub rejected: Option<CommitId>,
    /// The head of the branch, if it was read.
    pub head: Option<CommitId>,
}

/// The state of one framework.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameworkStatus {
    /// The record of its rollout.
    pub rollout: RolloutRecord,
    /// The number of accounts in which its controls are in force; 0 if nothing is published.
    pub accounts: usize,
    /// The Regions in which its controls are in force.
    pub regions: BTreeSet<RegionName>,
    /// The causes of the failures and skips that are recorded with the end of the last attempt.
    pub causes: Vec<CommonCause>,
    /// The current state from StackSets, if it was read.
    pub live: Option<LiveState>,
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
    pub fn is_failure(&self) -> bool {
        let rejected = self.rejected.is_some() && self.rejected == self.head;
        rejected || self.frameworks.iter().any(FrameworkStatus::is_failure)
    }
}

impl FrameworkStatus {
    /// Whether the last attempt failed, or StackSets has failed instances and no operation runs.
    pub fn is_failure(&self) -> bool {
        let fails =
            |live: &LiveState| !live.busy && (!live.exists || live.causes.iter().any(|cause| cause.outcome != SKIPPED));
        let phase = self.rollout.phase;
        phase == Phase::Failed || (phase == Phase::Succeeded && self.live.as_ref().is_some_and(fails))
    }

    fn new(rollout: RolloutRecord, published: Option<&PublishedFramework>) -> Self {
        let variants = || published.into_iter().flat_map(|published| &published.variants);
        let accounts: BTreeSet<&AccountId> = variants().flat_map(|variant| &variant.accounts).collect();
        let ended = rollout.ended.iter().flat_map(|ended| ended.verdict.failures.iter().chain(&ended.verdict.skipped));
        let causes =
            causes(ended.map(|InstanceFailure { instance, outcome, reason }| {
                (instance, outcome.description(), reason.as_str())
            }));
        let regions = variants().flat_map(|variant| variant.regions.iter().cloned()).collect();
        Self { accounts: accounts.len(), regions, causes, live: None, rollout }
    }
}

/// Reads the state from the records of `deploy`.
pub async fn status(
    store: &(impl DeployStore + RequestStore + PolicyDirectory),
    now: Timestamp,
) -> Result<RolloutStatus> {
    let DeployState { rollouts, removing, .. } = store.load_state().await?;
    let in_force = store.in_force().await?;
    let frameworks = rollouts.into_iter().map(|(name, rollout)| {
        let published = in_force.frameworks.iter().find(|published| published.stack_set == name);
        FrameworkStatus::new(rollout.value, published)
    });
    Ok(RolloutStatus {
        at: now,
        frameworks: frameworks.collect(),
        removing,
        requests: store.waiting().await?,
        rejected: store.rejected_commit().await?,
        head: None,
    })
}

/// Adds the current state of StackSets, and the head of the branch if a repository is given; `reading` is called with each
/// StackSet before its instances are read.
pub async fn read_live(
    status: &mut RolloutStatus,
    stack_sets: &impl DeployedStackSets,
    repository: Option<&impl PolicyRepository>,
    mut reading: impl FnMut(&StackSetName),
) -> Result<()> {
    if let Some(repository) = repository {
        status.head = repository.head().await?;
    }
    for framework in &mut status.frameworks {
        reading(&framework.rollout.name);
        framework.live = Some(live(&framework.rollout, stack_sets).await?);
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
        *live.instances.entry(status_word(found).to_owned()).or_default() += 1;
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

/// Groups instances by outcome and reason, the most frequent first.
fn causes<'a>(faults: impl Iterator<Item = (&'a Instance, &'static str, &'a str)>) -> Vec<CommonCause> {
    let mut groups: BTreeMap<(&str, &str), (usize, Vec<Instance>)> = BTreeMap::new();
    for (instance, outcome, reason) in faults {
        let (count, first) = groups.entry((outcome, reason)).or_default();
        *count += 1;
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
