//! One StackSets operation.

use super::{Digest, Instance, Parameters, digest_of};
use crate::ids::{AccountId, RegionName, UnitId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One StackSets operation: exactly one mutating call.
///
/// StackSets work on the product of accounts and Regions, so the pairs that need the same thing are grouped into products.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "operation")]
pub enum Operation {
    /// `UpdateStackSet` that switches managed execution on and leaves everything else as it is; for StackSets that others made.
    ManagedExecution,
    /// `DeleteStackInstances`.
    DeleteInstances {
        /// Where.
        #[serde(flatten)]
        at: Places,
        /// Leave the stacks where they are: for accounts that StackSets cannot reach.
        retain: bool,
    },
    /// `UpdateStackSet`, which brings every instance along.
    UpdateStackSet,
    /// `CreateStackInstances`.
    CreateInstances {
        /// Where.
        #[serde(flatten)]
        at: Places,
        /// Parameter overrides of these instances.
        overrides: Parameters,
    },
    /// `UpdateStackInstances`: sets the overrides, and so also works a failed instance again.
    UpdateInstances {
        /// Where.
        #[serde(flatten)]
        at: Places,
        /// Parameter overrides of these instances.
        overrides: Parameters,
    },
}

/// Accounts in Regions: each account in each Region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places {
    /// The accounts that are meant, also where StackSets is given units.
    pub accounts: BTreeSet<AccountId>,
    /// The Regions.
    pub regions: BTreeSet<RegionName>,
    /// How StackSets is told with service-managed permissions; `None` with self-managed ones, where it is given the accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<Through>,
}

/// `DeploymentTargets` of the CloudFormation API.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Through {
    /// The unit. A unit for which no account is filtered is also what StackSets deploys to on its own from then on, or no longer.
    pub unit: UnitId,
    /// Which of its accounts.
    pub filter: Filter,
}

/// How the accounts of a unit are narrowed to those that are meant (`AccountFilterType` of the CloudFormation API).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Filter {
    /// Not at all: the whole unit (`NONE`).
    Whole,
    /// To the accounts that are meant (`INTERSECTION`).
    Listed,
    /// By taking these away (`DIFFERENCE`).
    Except(BTreeSet<AccountId>),
}

impl Places {
    /// Every instance.
    pub fn instances(&self) -> impl Iterator<Item = Instance> {
        self.accounts.iter().flat_map(|account| {
            self.regions.iter().map(|region| Instance { account: account.clone(), region: region.clone() })
        })
    }

    /// The number of instances.
    #[must_use]
    pub fn size(&self) -> usize {
        self.accounts.len().saturating_mul(self.regions.len())
    }
}

impl Operation {
    /// Tells this operation from others of the same rollout.
    #[must_use]
    pub fn key(&self) -> Digest {
        digest_of(&serde_json::json!(self))
    }

    /// Where it works: on each account in each Region, and nowhere else, as far as anything is to be done there. `None`: on the
    /// StackSet, and so on all instances.
    #[must_use]
    pub fn places(&self) -> Option<&Places> {
        match self {
            Self::ManagedExecution | Self::UpdateStackSet => None,
            Self::DeleteInstances { at, .. } | Self::CreateInstances { at, .. } | Self::UpdateInstances { at, .. } => {
                Some(at)
            }
        }
    }

    /// The number of instances it works on; `all` is the number in the StackSet.
    #[must_use]
    pub fn size(&self, all: usize) -> usize {
        match self {
            Self::ManagedExecution => 0,
            Self::UpdateStackSet => all,
            Self::DeleteInstances { at, .. } | Self::CreateInstances { at, .. } | Self::UpdateInstances { at, .. } => {
                at.size()
            }
        }
    }

    /// The operation of the CloudFormation API.
    #[must_use]
    pub fn api(&self) -> &'static str {
        match self {
            Self::ManagedExecution | Self::UpdateStackSet => "UpdateStackSet",
            Self::DeleteInstances { .. } => "DeleteStackInstances",
            Self::CreateInstances { .. } => "CreateStackInstances",
            Self::UpdateInstances { .. } => "UpdateStackInstances",
        }
    }
}
