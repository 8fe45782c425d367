//! An operation: origin, task, targets, preferences and status.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;

use domain::policy::{ConcurrencyMode, CountOrPercentage, RolloutSettings};
use domain::rollout::{Instance, OperationTargets, Parameters};
use framework::ids::{AccountId, RegionName};

use super::definition::SimulatedDefinition;

/// The preferences of operations (`OperationPreferences` of the CloudFormation API).
pub type SimulatedPreferences = RolloutSettings;

/// An operation.
#[derive(Debug, Clone)]
pub struct SimulatedOperation {
    /// Its id.
    pub id: String,
    /// Its origin.
    pub by: OperationOrigin,
    /// Its task.
    pub task: OperationTask,
    /// Its targets.
    pub scope: OperationScope,
    /// Its preferences.
    pub preferences: SimulatedPreferences,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// Its status.
    pub progress: SimulatedProgress,
    /// The result of each of its instances.
    pub results: BTreeMap<Instance, InstanceResult>,
    /// When work on each instance began, in that order.
    pub begun: Vec<(Timestamp, Instance)>,
    pub(super) regions: Vec<Region>,
}

/// The origin of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationOrigin {
    /// A call through the port.
    Port,
    /// A user.
    Hand,
    /// Automatic deployment after an account joined or left.
    AutoDeployment,
}

/// The task of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationTask {
    /// `CreateStackInstances`.
    Create(Parameters),
    /// `UpdateStackInstances`; `None` keeps all overrides.
    Update(Option<Parameters>),
    /// `UpdateStackSet` with another definition.
    Define(Box<SimulatedDefinition>),
    /// `DeleteStackInstances`.
    Delete {
        /// The stacks stay.
        retain: bool,
    },
    /// `UpdateStackSet` that switches managed execution.
    ManageExecution(bool),
    /// `DetectStackSetDrift`: takes its time and changes nothing.
    DetectDrift,
}

/// The targets of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationScope {
    /// All existing instances.
    All,
    /// Accounts, or units with a filter, in these Regions.
    Places(OperationTargets),
}

/// `StackSetOperation.Status` of the CloudFormation API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimulatedProgress {
    /// Waits for conflicting operations.
    Queued,
    /// Runs.
    Running,
    /// Was stopped, and completes the work that it has begun.
    Stopping,
    /// Ended within its failure tolerance.
    Succeeded,
    /// Ended beyond its failure tolerance.
    Failed,
    /// Ended because it was stopped.
    Stopped,
}

/// The result of an instance in an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceResult {
    /// Work has not begun.
    Pending,
    /// Work is in progress.
    Running,
    /// Work has succeeded.
    Succeeded,
    /// Work has failed.
    Failed,
    /// Work will not begin.
    Cancelled,
    /// Skipped: the account is suspended.
    Skipped,
}

#[derive(Debug, Clone)]
pub(super) struct Region {
    pub(super) name: RegionName,
    pub(super) pending: VecDeque<AccountId>,
    pub(super) running: usize,
    pub(super) failed: usize,
    /// The maximum concurrency.
    pub(super) most: usize,
    pub(super) tolerance: usize,
}

impl Region {
    pub(super) fn is_done(&self) -> bool {
        self.pending.is_empty() && self.running == 0
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed > self.tolerance
    }

    /// The number of instances that may be in progress now.
    ///
    /// The window slides: when one is done, the next begins. In strict mode, no more than would exceed the tolerance
    /// by one if all of them failed.
    pub(super) fn window(&self, mode: ConcurrencyMode) -> usize {
        match mode {
            ConcurrencyMode::Soft => self.most,
            ConcurrencyMode::Strict => self.most.min((self.tolerance + 1).saturating_sub(self.failed)),
        }
    }
}

impl SimulatedProgress {
    /// Whether the operation has ended.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Stopped)
    }
}

impl SimulatedOperation {
    /// An operation before its acceptance.
    pub fn new(
        id: &str,
        by: OperationOrigin,
        task: OperationTask,
        scope: OperationScope,
        preferences: SimulatedPreferences,
        now: Timestamp,
    ) -> Self {
        Self {
            id: id.to_owned(),
            by,
            task,
            scope,
            preferences,
            accepted: now,
            progress: SimulatedProgress::Queued,
            results: BTreeMap::new(),
            begun: Vec::new(),
            regions: Vec::new(),
        }
    }

    /// The number of instances with this result.
    pub fn count(&self, result: InstanceResult) -> usize {
        self.results.values().filter(|found| **found == result).count()
    }

    pub(super) fn prepare(&mut self, instances: &BTreeSet<Instance>) {
        self.results = instances.iter().map(|instance| (instance.clone(), InstanceResult::Pending)).collect();
        let mut accounts: BTreeMap<RegionName, VecDeque<AccountId>> = BTreeMap::new();
        for instance in instances {
            accounts.entry(instance.region.clone()).or_default().push_back(instance.account.clone());
        }
        let mut order: Vec<RegionName> =
            self.preferences.region_order.iter().filter(|region| accounts.contains_key(*region)).cloned().collect();
        // Assumed: Regions that the order does not name come last, by name.
        order.extend(accounts.keys().filter(|region| !self.preferences.region_order.contains(region)).cloned());
        self.regions = order
            .into_iter()
            .map(|name| {
                let pending = accounts.remove(&name).unwrap_or_default();
                let all = pending.len();
                let of = |amount| match amount {
                    CountOrPercentage::Count(count) => usize::try_from(count).unwrap_or(usize::MAX),
                    // Percentages round down.
                    CountOrPercentage::Percentage(percentage) => all * usize::from(percentage) / 100,
                };
                let most = of(self.preferences.max_concurrency).max(1);
                let tolerance = of(self.preferences.failure_tolerance);
                Region { name, pending, running: 0, failed: 0, most, tolerance }
            })
            .collect();
    }
}
