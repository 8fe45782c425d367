//! The deployed state, as StackSets reports it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::value::{Error, StrDeserializer};

use framework::ids::{RegionName, UnitId};

use super::{AutoDeployment, Desired, DesiredInstance, Digest, Instance, Parameters, PermissionModel};

/// The observed state of a StackSet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// The StackSet; `None` if it does not exist or is deleted.
    pub stack_set: Option<ObservedStackSet>,
    /// All instances.
    pub instances: BTreeMap<Instance, ObservedInstance>,
    /// Organizational units with auto-deployment, and the Regions of each (`ListStackSetAutoDeploymentTargets`).
    pub auto_targets: BTreeMap<UnitId, BTreeSet<RegionName>>,
}

impl Observed {
    /// Returns the state after a complete rollout.
    pub fn after_rollout(desired: &Desired, owner: &str) -> Self {
        let instance = |(instance, goal): (&Instance, &DesiredInstance)| {
            let observed = ObservedInstance {
                status: InstanceStatus::Current,
                detailed: DetailedStatus::Succeeded,
                reason: None,
                overrides: Some(Arc::clone(&goal.overrides)),
                unit: goal.unit.clone(),
            };
            (instance.clone(), observed)
        };
        let service = desired.permissions.service_managed();
        let mut auto_targets: BTreeMap<UnitId, BTreeSet<RegionName>> = BTreeMap::new();
        for target in service.filter(|service| service.auto_deployment.enabled).into_iter().flat_map(|all| &all.targets)
        {
            for unit in &target.units {
                auto_targets.entry(unit.clone()).or_default().extend(target.regions.iter().cloned());
            }
        }
        Self {
            stack_set: Some(ObservedStackSet {
                owner: Some(owner.to_owned()),
                definition: Some(desired.definition_digest()),
                permissions: desired.permissions.model(),
                managed_execution: true,
                auto_deployment: service.map(|service| service.auto_deployment),
                template: Some(desired.template.clone()),
                parameters: desired.parameters.clone(),
                ..ObservedStackSet::default()
            }),
            instances: desired.instances.iter().map(instance).collect(),
            auto_targets,
        }
    }
}

/// The observed StackSet without its instances.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObservedStackSet {
    /// The id: `name:uuid`.
    pub id: String,
    /// The owner, from the tag of this application; `None` without the tag.
    pub owner: Option<String>,
    /// Digest of the definition that this application set last, from its tag.
    pub definition: Option<Digest>,
    /// Its permission model.
    pub permissions: PermissionModel,
    /// Whether `ManagedExecution` is on: conflicting operations are queued instead of rejected.
    pub managed_execution: bool,
    /// Its auto-deployment; `None` with self-managed permissions.
    pub auto_deployment: Option<AutoDeployment>,
    /// Its template, as CloudFormation returns it.
    pub template: Option<String>,
    /// The values of its parameters.
    pub parameters: Parameters,
    /// Its tags except those of this application: an update that sets tags removes all others.
    pub tags: BTreeMap<String, String>,
}

/// The observed state of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedInstance {
    /// Whether the stack matches the StackSet.
    pub status: InstanceStatus,
    /// The result of the last operation on it.
    pub detailed: DetailedStatus,
    /// `StatusReason`.
    pub reason: Option<String>,
    /// Parameter overrides in force; `None` if unknown, since StackSets does not list them.
    pub overrides: Option<Arc<Parameters>>,
    /// The organizational unit it was deployed through; `None` with self-managed permissions.
    pub unit: Option<UnitId>,
}

/// `StackInstance.Status` of the CloudFormation API.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum InstanceStatus {
    /// The stack matches the StackSet.
    Current,
    /// The StackSet changed since, or a create or update failed, was cancelled or is pending.
    Outdated,
    /// A delete failed; it can only be removed with its stack retained.
    Inoperable,
    /// A value that this version does not know; never a success.
    #[serde(skip)]
    Unknown(String),
}

impl InstanceStatus {
    /// Reads the value of the API.
    pub fn from_api(word: &str) -> Self {
        Self::deserialize(StrDeserializer::<Error>::new(word)).unwrap_or_else(|_| Self::Unknown(word.to_owned()))
    }
}

/// `StackInstanceStatus.DetailedStatus` of the CloudFormation API.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DetailedStatus {
    /// The operation has not reached it yet.
    Pending,
    /// The operation is working on it.
    Running,
    /// The last operation succeeded.
    Succeeded,
    /// The last operation failed.
    #[serde(alias = "FAILED_IMPORT")]
    Failed,
    /// The operation stopped before it reached the instance.
    Cancelled,
    /// A delete failed.
    Inoperable,
    /// The account is suspended, so StackSets skips it.
    SkippedSuspendedAccount,
    /// No value, or one that this version does not know.
    #[serde(skip)]
    Unknown(String),
}

impl DetailedStatus {
    /// Reads the value of the API.
    pub fn from_api(word: &str) -> Self {
        Self::deserialize(StrDeserializer::<Error>::new(word)).unwrap_or_else(|_| Self::Unknown(word.to_owned()))
    }
}

/// `StackSetOperation.Status` of the CloudFormation API, as far as reconciliation distinguishes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationStatus {
    /// Queued or running.
    InFlight,
    /// Stopping: it completes the instances that it has begun.
    Stopping,
    /// Ended, with any result: the status of the instances decides.
    Ended,
}

impl OperationStatus {
    /// Reads the value of the API. An unknown one counts as in flight: AWS rejects operations on a busy StackSet anyway, and the
    /// schedule reconciles again.
    pub fn from_api(word: &str) -> Self {
        match word {
            "SUCCEEDED" | "FAILED" | "STOPPED" => Self::Ended,
            "STOPPING" => Self::Stopping,
            _ => Self::InFlight,
        }
    }
}
