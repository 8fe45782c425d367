//! A StackSet and its instances.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::rollout::{
    CallAs, DetailedStatus, Instance, InstanceStatus, ObservedInstance, ObservedStackSet, Parameters, PermissionModel,
};
use framework::ids::{RegionName, StackSetName, UnitId};

use super::definition::{SimulatedDefinition, SimulatedStack};
use super::run::SimulatedOperation;

/// A StackSet.
#[derive(Debug, Clone)]
pub struct SimulatedStackSet {
    /// `name:uuid`.
    pub id: String,
    /// Its definition.
    pub definition: SimulatedDefinition,
    /// Its permission model.
    pub permissions: PermissionModel,
    /// The `CallAs` with which it can be found.
    pub call_as: CallAs,
    /// Whether managed execution is on: operations without conflicts run in parallel, and others wait.
    pub managed_execution: bool,
    /// Its instances.
    pub instances: BTreeMap<Instance, SimulatedInstance>,
    /// Units with Regions, to whose new accounts it deploys while automatic deployment is on.
    pub auto_targets: BTreeMap<UnitId, BTreeSet<RegionName>>,
    /// Operations by id.
    pub operations: BTreeMap<String, SimulatedOperation>,
    /// The operations that run or wait, in the order of their acceptance.
    pub(super) active: Vec<String>,
}

/// An instance, with or without a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulatedInstance {
    /// Whether the stack matches the StackSet.
    pub status: InstanceStatus,
    /// The detailed status after the last operation.
    pub detailed: DetailedStatus,
    /// The reason for the status.
    pub reason: Option<String>,
    /// Its overrides of parameters.
    pub overrides: Arc<Parameters>,
    /// The unit that it was deployed through.
    pub unit: Option<UnitId>,
    /// The stack in the account.
    pub stack: Option<SimulatedStack>,
}

/// The outcome of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SimulatedOutcome {
    /// It does not exist.
    Missing,
    /// Its stack matches the StackSet.
    Current(SimulatedStack),
    /// An operation failed on it.
    Failed(Option<String>),
    /// An operation was stopped, or stopped itself, before it.
    Cancelled,
    /// Its account is suspended.
    Skipped,
    /// No operation has worked on it yet.
    Waiting,
    /// It could not be deleted and can only be retained.
    Inoperable(Option<String>),
}

impl SimulatedInstance {
    /// An instance before any work.
    pub fn new(overrides: Arc<Parameters>, unit: Option<UnitId>) -> Self {
        Self {
            status: InstanceStatus::Outdated,
            detailed: DetailedStatus::Pending,
            reason: None,
            overrides,
            unit,
            stack: None,
        }
    }

    /// The outcome of the instance.
    pub fn fate(&self) -> SimulatedOutcome {
        match (&self.status, &self.detailed) {
            (_, DetailedStatus::SkippedSuspendedAccount) => SimulatedOutcome::Skipped,
            (InstanceStatus::Inoperable, _) => SimulatedOutcome::Inoperable(self.reason.clone()),
            (InstanceStatus::Current, _) => match &self.stack {
                Some(stack) => SimulatedOutcome::Current(stack.clone()),
                None => SimulatedOutcome::Missing,
            },
            (_, DetailedStatus::Cancelled) => SimulatedOutcome::Cancelled,
            (_, DetailedStatus::Pending | DetailedStatus::Running) => SimulatedOutcome::Waiting,
            _ => SimulatedOutcome::Failed(self.reason.clone()),
        }
    }

    /// The instance in the form of `ListStackInstances`, without its overrides.
    pub(super) fn listed(&self) -> ObservedInstance {
        ObservedInstance {
            status: self.status.clone(),
            detailed: self.detailed.clone(),
            reason: self.reason.clone(),
            overrides: None,
            unit: self.unit.clone(),
        }
    }
}

impl SimulatedStackSet {
    /// A StackSet without instances.
    pub fn new(
        name: &StackSetName,
        definition: SimulatedDefinition,
        permissions: PermissionModel,
        call_as: CallAs,
    ) -> Self {
        Self {
            id: format!("{name}:6f0e1c9a-0000-4000-8000-000000000000"),
            definition,
            permissions,
            call_as,
            managed_execution: false,
            instances: BTreeMap::new(),
            auto_targets: BTreeMap::new(),
            operations: BTreeMap::new(),
            active: Vec::new(),
        }
    }

    /// Whether an operation runs or waits.
    pub fn is_busy(&self) -> bool {
        !self.active.is_empty()
    }

    /// The StackSet in the form of `DescribeStackSet`.
    pub(super) fn described(&self) -> ObservedStackSet {
        ObservedStackSet {
            id: self.id.clone(),
            owner: self.definition.owner.clone(),
            definition: self.definition.digest.clone(),
            permissions: self.permissions,
            managed_execution: self.managed_execution,
            auto_deployment: self.definition.auto_deployment,
            template: Some(self.definition.template.clone()),
            parameters: self.definition.parameters.clone(),
            tags: self.definition.tags.clone(),
        }
    }
}
