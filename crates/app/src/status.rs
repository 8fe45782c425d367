//! How things stand: what is deployed where, at which commit, what runs, what failed. From what `deploy` remembers, and from the
//! StackSets themselves where that is asked for. Nothing is changed.

use crate::deploy::{FrameworkFacts, InFlight, Phase, Rollout};
use crate::lifecycle::{RequestKind, Waiting};
use crate::plan::DeployedStackSets;
use crate::ports::{DeployStore, PolicyDirectory, PolicyRepository, RequestStore, Result};
use domain::ids::{AccountId, CommitId, RegionName, StackSetName};
use domain::rollout::{DetailedStatus, Instance, InstanceFault, InstanceStatus, ObservedInstance, OperationStatus};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Instances that are named of those that share a cause; the rest are counted.
const NAMED: usize = 5;

/// How things stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// When this was asked.
    pub at: Timestamp,
    /// The frameworks that `deploy` knows of, by name.
    pub frameworks: Vec<FrameworkStatus>,
    /// The application is being removed.
    pub removing: bool,
    /// Requests of CloudFormation that wait for their answer, oldest first.
    pub requests: Vec<PendingRequest>,
    /// The commit whose policy was rejected last; it may have been put right since.
    pub rejected: Option<CommitId>,
    /// The head of the branch, where that was asked.
    pub head: Option<CommitId>,
}

/// A request that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingRequest {
    /// What it asks for.
    pub kind: RequestKind,
    /// `LogicalResourceId`.
    pub resource: String,
    /// Since when.
    pub since: Timestamp,
}

/// One framework.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FrameworkStatus {
    /// The StackSet.
    pub stack_set: StackSetName,
    /// How far it is.
    pub phase: Phase,
    /// The commit that is being, or was last, rolled out.
    pub commit: CommitId,
    /// Its author.
    pub author: String,
    /// The first line of its message.
    pub message: String,
    /// When this rollout began.
    pub began: Timestamp,
    /// Which attempt at it this is, from 1.
    pub attempt: u32,
    /// Whether the full look tries it again, if it has failed.
    pub is_retried: bool,
    /// The policy no longer declares it.
    pub undeclared: bool,
    /// Accounts in which its controls are in force, as published; 0 where nothing was published.
    pub accounts: usize,
    /// Regions in which they are.
    pub regions: BTreeSet<RegionName>,
    /// The operation that was started last and that nobody has seen end yet.
    pub operation: Option<RunningOperation>,
    /// How the last attempt ended, when one has.
    pub ended: Option<EndedStatus>,
    /// What StackSets says now, where that was asked.
    pub live: Option<Live>,
}

/// An operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunningOperation {
    /// Its id.
    pub id: String,
    /// The operation of the CloudFormation API.
    pub operation: &'static str,
    /// The instances it works on.
    pub instances: usize,
    /// Since when, if that was written down.
    pub since: Option<Timestamp>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndedStatus {
    /// When.
    pub at: Timestamp,
    /// The instances that the policy wanted.
    pub total: usize,
    /// Those that were as they should be.
    pub succeeded: usize,
    /// Those that were not.
    pub failed: usize,
    /// Those that StackSets leave alone.
    pub skipped: usize,
    /// Why not, as far as it was written down instance by instance.
    pub causes: Vec<Cause>,
    /// What AWS refused, if that is why.
    pub trouble: Option<String>,
}

/// Instances that are not as they should be for one cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// What became of them.
    pub outcome: String,
    /// CloudFormation's reason.
    pub reason: String,
    /// How many.
    pub instances: usize,
    /// The first of them.
    pub first: Vec<Instance>,
}

/// What StackSets says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Live {
    /// Whether the StackSet is there.
    pub exists: bool,
    /// Instances by their status, in the words of the API.
    pub instances: BTreeMap<String, usize>,
    /// Accounts that have one.
    pub accounts: usize,
    /// Regions that have one.
    pub regions: BTreeSet<RegionName>,
    /// The operation that was started last is still going on.
    pub busy: bool,
    /// Instances that are not current, by cause.
    pub causes: Vec<Cause>,
}

impl Status {
    /// Whether something has failed and is not put right yet.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        let rejected = self.rejected.is_some() && self.rejected == self.head;
        rejected || self.frameworks.iter().any(FrameworkStatus::is_failure)
    }
}

impl FrameworkStatus {
    /// Whether its last attempt failed, or StackSets has instances that are not as they should be and nobody is at it.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        let live = self.live.as_ref().is_some_and(|live| {
            let settled = self.phase == Phase::Succeeded && !live.busy;
            settled && (!live.exists || live.causes.iter().any(|cause| cause.outcome != SKIPPED))
        });
        self.phase == Phase::Failed || live
    }

    fn new(rollout: &Rollout, facts: Option<&FrameworkFacts>) -> Self {
        let variants = || facts.into_iter().flat_map(|facts| &facts.variants);
        let accounts: BTreeSet<&AccountId> = variants().flat_map(|variant| &variant.accounts).collect();
        let running = |InFlight { id, operation, size, since }: &InFlight| RunningOperation {
            id: id.clone(),
            operation: operation.api(),
            instances: *size,
            since: *since,
        };
        let ended = rollout.ended.as_ref().map(|ended| EndedStatus {
            at: ended.at,
            total: ended.verdict.total,
            succeeded: ended.verdict.succeeded,
            failed: ended.failed,
            skipped: ended.skipped,
            causes: causes(ended.verdict.faults.iter().chain(&ended.verdict.skipped).map(in_words)),
            trouble: ended.trouble.clone(),
        });
        Self {
            stack_set: rollout.name.clone(),
            phase: rollout.phase,
            commit: rollout.commit.clone(),
            author: rollout.author.clone(),
            message: rollout.message.clone(),
            began: rollout.began,
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

/// How things stand by what `deploy` remembers.
///
/// # Errors
/// When the table cannot be read.
pub async fn status<M>(memory: &M, now: Timestamp) -> Result<Status>
where
    M: DeployStore + RequestStore + PolicyDirectory,
{
    let remembered = memory.memory().await?;
    let in_force = memory.in_force().await?;
    let facts: BTreeMap<&StackSetName, &FrameworkFacts> =
        in_force.frameworks.iter().map(|facts| (&facts.stack_set, facts)).collect();
    let rollouts = remembered.rollouts.values();
    let frameworks =
        rollouts.map(|rollout| FrameworkStatus::new(&rollout.value, facts.get(&rollout.value.name).copied())).collect();
    let pending = |Waiting { request, since, .. }: Waiting| PendingRequest {
        kind: request.kind,
        resource: request.envelope.logical_resource_id,
        since,
    };
    Ok(Status {
        at: now,
        frameworks,
        removing: remembered.removing,
        requests: memory.waiting().await?.into_iter().map(pending).collect(),
        rejected: memory.rejected().await?,
        head: None,
    })
}

/// Adds what StackSets says, and the head of the branch where the repository is known; `looking` is told the StackSet whose
/// instances are read next.
///
/// # Errors
/// When AWS cannot be asked.
pub async fn look<M: DeployStore>(
    status: &mut Status,
    memory: &M,
    stack_sets: &impl DeployedStackSets,
    repository: Option<&impl PolicyRepository>,
    mut looking: impl FnMut(&StackSetName),
) -> Result<()> {
    if let Some(repository) = repository {
        status.head = repository.head().await?;
    }
    let rollouts = memory.memory().await?.rollouts;
    for framework in &mut status.frameworks {
        let Some(rollout) = rollouts.get(&framework.stack_set).map(|rollout| &rollout.value) else { continue };
        looking(&framework.stack_set);
        framework.live = Some(live(rollout, stack_sets).await?);
    }
    Ok(())
}

async fn live(rollout: &Rollout, stack_sets: &impl DeployedStackSets) -> Result<Live> {
    let of = rollout.stack_set();
    let Some(stack_set) = stack_sets.describe(of).await? else { return Ok(Live::default()) };
    let observed = stack_sets.observe(of, stack_set).await?;
    let operation = match &rollout.in_flight {
        Some(in_flight) => stack_sets.operation(of, &in_flight.id).await?,
        None => None,
    };
    let mut live = Live {
        exists: true,
        busy: matches!(operation, Some(OperationStatus::InFlight | OperationStatus::Stopping)),
        ..Live::default()
    };
    let mut accounts = BTreeSet::new();
    let mut wrong = Vec::new();
    for (instance, found) in &observed.instances {
        accounts.insert(&instance.account);
        if !live.regions.contains(&instance.region) {
            live.regions.insert(instance.region.clone());
        }
        let word = status_word(found);
        if found.status != InstanceStatus::Current || matches!(found.detailed, DetailedStatus::Failed) {
            let reason = found.reason.as_deref().unwrap_or("CloudFormation gave no reason");
            wrong.push((instance, outcome_word(found), reason));
        }
        match live.instances.get_mut(word) {
            Some(count) => *count = count.saturating_add(1),
            None => drop(live.instances.insert(word.to_owned(), 1)),
        }
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

/// What becomes of instances in suspended accounts, which is no failure.
const SKIPPED: &str = "skipped";

fn outcome_word(found: &ObservedInstance) -> &'static str {
    match &found.detailed {
        DetailedStatus::SkippedSuspendedAccount => SKIPPED,
        DetailedStatus::Pending | DetailedStatus::Running => "in progress",
        DetailedStatus::Cancelled => "cancelled",
        _ => "failed",
    }
}

fn in_words(fault: &InstanceFault) -> (&Instance, &'static str, &str) {
    (&fault.instance, fault.outcome.words(), &fault.reason)
}

/// Instances by cause, the most frequent first.
fn causes<'a>(faults: impl Iterator<Item = (&'a Instance, &'static str, &'a str)>) -> Vec<Cause> {
    let mut groups: BTreeMap<(&str, &str), (usize, Vec<Instance>)> = BTreeMap::new();
    for (instance, outcome, reason) in faults {
        let (count, first) = groups.entry((outcome, reason)).or_default();
        *count = count.saturating_add(1);
        if first.len() < NAMED {
            first.push(instance.clone());
        }
    }
    let cause = |((outcome, reason), (instances, first)): ((&str, &str), _)| Cause {
        outcome: outcome.to_owned(),
        reason: reason.to_owned(),
        instances,
        first,
    };
    let mut causes: Vec<Cause> = groups.into_iter().map(cause).collect();
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.instances));
    causes
}
