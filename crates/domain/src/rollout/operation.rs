//! One StackSets operation.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use framework::ids::{AccountId, RegionName, UnitId};

use super::{Digest, Instance, Parameters, digest_of};

/// One StackSets operation: exactly one mutating call, on the product of accounts and Regions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "operation")]
pub enum Operation {
    /// `UpdateStackSet` that only switches on managed execution, for adopted StackSets.
    ManagedExecution,
    /// `DeleteStackInstances`.
    DeleteInstances {
        /// The instances.
        #[serde(flatten)]
        at: OperationTargets,
        /// `RetainStacks`: for accounts that StackSets cannot reach.
        retain: bool,
    },
    /// `UpdateStackSet`, which updates every instance.
    UpdateStackSet,
    /// `CreateStackInstances`.
    CreateInstances {
        /// The instances.
        #[serde(flatten)]
        at: OperationTargets,
        /// Parameter overrides of these instances.
        overrides: Parameters,
    },
    /// `UpdateStackInstances`: sets the overrides, and retries failed instances.
    UpdateInstances {
        /// The instances.
        #[serde(flatten)]
        at: OperationTargets,
        /// Parameter overrides of these instances.
        overrides: Parameters,
    },
}

/// The instances of an operation: each account in each Region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationTargets {
    /// The accounts, also if StackSets is given an organizational unit.
    pub accounts: BTreeSet<AccountId>,
    /// The Regions.
    pub regions: BTreeSet<RegionName>,
    /// The organizational unit with service-managed permissions; `None` with self-managed ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<DeploymentTargets>,
}

/// `DeploymentTargets` of the CloudFormation API, with one organizational unit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeploymentTargets {
    /// The organizational unit. An operation without a filter also starts, or ends, its auto-deployment.
    pub unit: UnitId,
    /// Selects some of its accounts.
    pub filter: AccountFilterType,
}

/// `AccountFilterType` of the CloudFormation API.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AccountFilterType {
    /// The whole organizational unit (`NONE`).
    Whole,
    /// The accounts of the operation (`INTERSECTION`).
    Listed,
    /// All but these accounts (`DIFFERENCE`).
    Except(BTreeSet<AccountId>),
}

pub(super) fn product(
    accounts: &BTreeSet<AccountId>,
    regions: &BTreeSet<RegionName>,
) -> impl Iterator<Item = Instance> {
    accounts
        .iter()
        .flat_map(|account| regions.iter().map(|region| Instance { account: account.clone(), region: region.clone() }))
}

impl OperationTargets {
    /// Every instance.
    pub fn instances(&self) -> impl Iterator<Item = Instance> {
        product(&self.accounts, &self.regions)
    }

    /// The number of instances.
    pub fn size(&self) -> usize {
        self.accounts.len().saturating_mul(self.regions.len())
    }
}

impl Operation {
    /// Identifies the operation in its rollout.
    pub fn key(&self) -> Digest {
        digest_of(&serde_json::json!(self))
    }

    /// The instances it works on; `None` for an operation on the StackSet, which works on all.
    pub fn targets(&self) -> Option<&OperationTargets> {
        match self {
            Self::ManagedExecution | Self::UpdateStackSet => None,
            Self::DeleteInstances { at, .. } | Self::CreateInstances { at, .. } | Self::UpdateInstances { at, .. } => {
                Some(at)
            }
        }
    }

    /// The number of instances it works on; `all` is the number in the StackSet.
    pub fn size(&self, all: usize) -> usize {
        match self.targets() {
            Some(at) => at.size(),
            None if *self == Self::ManagedExecution => 0,
            None => all,
        }
    }

    /// The operation of the CloudFormation API.
    pub fn api_name(&self) -> &'static str {
        match self {
            Self::ManagedExecution | Self::UpdateStackSet => "UpdateStackSet",
            Self::DeleteInstances { .. } => "DeleteStackInstances",
            Self::CreateInstances { .. } => "CreateStackInstances",
            Self::UpdateInstances { .. } => "UpdateStackInstances",
        }
    }
}
