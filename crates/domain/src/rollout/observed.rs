//! What is deployed, as StackSets report it.

use super::{AutoDeployment, Digest, Instance, Parameters, PermissionModel};
use crate::ids::{RegionName, UnitId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A StackSet as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// The StackSet, if there is one (a deleted one counts as absent).
    pub stack_set: Option<ObservedStackSet>,
    /// All its instances.
    pub instances: BTreeMap<Instance, ObservedInstance>,
    /// Units, and Regions of each, to whose new accounts StackSets deploys on its own (`ListStackSetAutoDeploymentTargets`).
    pub auto_targets: BTreeMap<UnitId, BTreeSet<RegionName>>,
}

/// The StackSet itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObservedStackSet {
    /// `name:uuid`.
    pub id: String,
    /// Who manages it, from our own tag; `None` when nobody of ours does.
    pub owner: Option<String>,
    /// The definition that it was last given by us, from our own tag.
    pub definition: Option<Digest>,
    /// Its permission model, which cannot be changed while it has instances.
    pub permissions: PermissionModel,
    /// Whether operations that do not conflict run side by side and others are queued, instead of being refused.
    pub managed_execution: bool,
    /// What happens to accounts that join its units; `None` with self-managed permissions.
    pub auto_deployment: Option<AutoDeployment>,
    /// Its template, as CloudFormation keeps it.
    pub template: Option<String>,
    /// The values of its parameters.
    pub parameters: Parameters,
    /// Its tags, without ours: an update that gives tags takes all others away.
    pub tags: BTreeMap<String, String>,
}

/// One instance of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedInstance {
    /// Whether the stack matches the StackSet.
    pub status: InstanceStatus,
    /// How the last operation on it went.
    pub detailed: DetailedStatus,
    /// Why, in CloudFormation's words.
    pub reason: Option<String>,
    /// Parameter overrides in force; `None` where nobody knows. StackSets do not list them.
    pub overrides: Option<Arc<Parameters>>,
    /// The organizational unit that it was deployed through; `None` with self-managed permissions.
    pub unit: Option<UnitId>,
}

/// `StackInstance.Status` of the CloudFormation API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstanceStatus {
    /// The stack matches the StackSet.
    Current,
    /// The StackSet changed since, or a create or update failed, was cancelled or is pending.
    Outdated,
    /// A delete failed; only removal with the stack retained is possible.
    Inoperable,
    /// A word that AWS did not have when this was written; never taken for success.
    Unknown(String),
}

impl InstanceStatus {
    /// Reads the word of the API.
    #[must_use]
    pub fn from_api(word: &str) -> Self {
        match word {
            "CURRENT" => Self::Current,
            "OUTDATED" => Self::Outdated,
            "INOPERABLE" => Self::Inoperable,
            other => Self::Unknown(other.to_owned()),
        }
    }
}

/// `StackInstanceStatus.DetailedStatus` of the CloudFormation API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DetailedStatus {
    /// Waits for its turn.
    Pending,
    /// Being worked on.
    Running,
    /// The last operation succeeded.
    Succeeded,
    /// The last operation failed.
    Failed,
    /// The operation stopped before it came to this instance.
    Cancelled,
    /// A delete failed.
    Inoperable,
    /// The account is suspended; StackSets leave it alone.
    SkippedSuspendedAccount,
    /// Not told, or a word that AWS did not have when this was written.
    Unknown(String),
}

impl DetailedStatus {
    /// Reads the word of the API.
    #[must_use]
    pub fn from_api(word: &str) -> Self {
        match word {
            "PENDING" => Self::Pending,
            "RUNNING" => Self::Running,
            "SUCCEEDED" => Self::Succeeded,
            "FAILED" | "FAILED_IMPORT" => Self::Failed,
            "CANCELLED" => Self::Cancelled,
            "INOPERABLE" => Self::Inoperable,
            "SKIPPED_SUSPENDED_ACCOUNT" => Self::SkippedSuspendedAccount,
            other => Self::Unknown(other.to_owned()),
        }
    }
}

/// `StackSetOperation.Status` of the CloudFormation API, as far as a reconciler must tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationStatus {
    /// Queued or running: look again when it has ended.
    InFlight,
    /// It was asked to stop, and is still at what it has begun: look again when it has ended.
    Stopping,
    /// Ended, with whatever outcome: the instances tell the truth, not this word.
    Ended,
}

impl OperationStatus {
    /// Reads the word of the API. An unknown word counts as in flight: acting on a StackSet that is still busy is refused by
    /// AWS anyway, and the schedule looks again.
    #[must_use]
    pub fn from_api(word: &str) -> Self {
        match word {
            "SUCCEEDED" | "FAILED" | "STOPPED" => Self::Ended,
            "STOPPING" => Self::Stopping,
            _ => Self::InFlight,
        }
    }
}
