//! A StackSet and its instances.

use super::operation::Run;
use domain::ids::{RegionName, StackSetName, UnitId};
use domain::rollout::{
    AutoDeployment, CallAs, Desired, DetailedStatus, Digest, Instance, InstanceStatus, ObservedInstance,
    ObservedStackSet, Parameters, PermissionModel,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A StackSet.
#[derive(Debug, Clone)]
pub struct SimulatedStackSet {
    /// `name:uuid`.
    pub id: String,
    /// What its instances are made from.
    pub definition: Definition,
    /// Its permission model.
    pub permissions: PermissionModel,
    /// By whom it can be seen: by others it is not found.
    pub call_as: CallAs,
    /// Whether operations that do not conflict run side by side and others wait.
    pub managed_execution: bool,
    /// Its instances.
    pub instances: BTreeMap<Instance, SimulatedInstance>,
    /// Units, and Regions of each, to whose new accounts it deploys on its own while that is switched on.
    pub auto_targets: BTreeMap<UnitId, BTreeSet<RegionName>>,
    /// Operations by id.
    pub operations: BTreeMap<String, Run>,
    /// Those that run or wait, in the order in which they were accepted.
    pub(super) active: Vec<String>,
}

/// What instances are made from, and what is written on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The template.
    pub template: String,
    /// Values of its parameters.
    pub parameters: Parameters,
    /// Our tag that says whose it is.
    pub owner: Option<String>,
    /// Our tag that says what it was given.
    pub digest: Option<Digest>,
    /// All other tags.
    pub tags: BTreeMap<String, String>,
    /// What happens to accounts that join or leave its units.
    pub auto_deployment: Option<AutoDeployment>,
}

/// An instance; there may be no stack behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulatedInstance {
    /// Whether the stack matches the StackSet.
    pub status: InstanceStatus,
    /// How the last operation on it went.
    pub detailed: DetailedStatus,
    /// Why.
    pub reason: Option<String>,
    /// Its own values of parameters.
    pub overrides: Arc<Parameters>,
    /// The unit that it was deployed through.
    pub unit: Option<UnitId>,
    /// What is in the account.
    pub stack: Option<Stack>,
}

/// What is in an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// The template that it was made from.
    pub template: String,
    /// The values of its parameters.
    pub parameters: Parameters,
}

/// What has become of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// There is none.
    Missing,
    /// Its stack is what the StackSet says.
    Current(Stack),
    /// An operation tried, and failed.
    Failed(Option<String>),
    /// An operation was stopped, or stopped itself, before it came to it.
    Cancelled,
    /// Its account is suspended.
    Skipped,
    /// No operation has come to it yet.
    Waiting,
    /// It could not be deleted, and can only be let go of.
    Inoperable(Option<String>),
}

impl SimulatedInstance {
    /// One that nothing has been done for.
    #[must_use]
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

    /// What has become of it.
    #[must_use]
    pub fn fate(&self) -> Fate {
        match (&self.status, &self.detailed) {
            (_, DetailedStatus::SkippedSuspendedAccount) => Fate::Skipped,
            (InstanceStatus::Inoperable, _) => Fate::Inoperable(self.reason.clone()),
            (InstanceStatus::Current, _) => match &self.stack {
                Some(stack) => Fate::Current(stack.clone()),
                None => Fate::Missing,
            },
            (_, DetailedStatus::Cancelled) => Fate::Cancelled,
            (_, DetailedStatus::Pending | DetailedStatus::Running) => Fate::Waiting,
            _ => Fate::Failed(self.reason.clone()),
        }
    }

    /// What `ListStackInstances` tells of it: not its overrides.
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

impl Definition {
    /// As `deploy` gives it.
    #[must_use]
    pub fn of(desired: &Desired, owner: &str, tags: &BTreeMap<String, String>) -> Self {
        Self {
            template: desired.template.clone(),
            parameters: desired.parameters.clone(),
            owner: Some(owner.to_owned()),
            digest: Some(desired.definition_digest()),
            tags: tags.clone(),
            auto_deployment: desired.permissions.service_managed().map(|service| service.auto_deployment),
        }
    }

    /// The stack that it makes with these overrides.
    #[must_use]
    pub fn stack(&self, overrides: &Parameters) -> Stack {
        let mut parameters = self.parameters.clone();
        parameters.extend(overrides.iter().map(|(name, value)| (name.clone(), value.clone())));
        Stack { template: self.template.clone(), parameters }
    }
}

impl SimulatedStackSet {
    /// One without instances.
    #[must_use]
    pub fn new(name: &StackSetName, definition: Definition, permissions: PermissionModel, call_as: CallAs) -> Self {
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

    /// Whether any operation runs or waits.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.active.is_empty()
    }

    /// What `DescribeStackSet` tells.
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
