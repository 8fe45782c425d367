//! Settings: operation preferences, account filters and callers, as CloudFormation takes them, and the limits of a change.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use framework::ids::{AccountId, RegionName};

/// `OperationPreferences` of the CloudFormation API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutSettings {
    /// Accounts that are worked on at the same time in a Region.
    pub max_concurrency: CountOrPercentage,
    /// Accounts that may fail in a Region before the operation stops there.
    pub failure_tolerance: CountOrPercentage,
    /// Whether the tolerance also limits the concurrency.
    #[serde(default)]
    pub mode: ConcurrencyMode,
    /// Whether Regions are worked on at the same time.
    pub regions: RegionConcurrency,
    /// The Regions in the order in which they are worked on; empty leaves the order to AWS.
    pub region_order: Vec<RegionName>,
}

impl Default for RolloutSettings {
    fn default() -> Self {
        Self {
            max_concurrency: CountOrPercentage::Percentage(100),
            failure_tolerance: CountOrPercentage::Percentage(10),
            mode: ConcurrencyMode::Soft,
            regions: RegionConcurrency::Parallel,
            region_order: Vec::new(),
        }
    }
}

impl RolloutSettings {
    /// The settings of a removal: all accounts in parallel, and one account does not block the removal from the others.
    pub fn for_removal() -> Self {
        Self { failure_tolerance: CountOrPercentage::Percentage(100), ..Self::default() }
    }
}

/// A number of accounts, or a share of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CountOrPercentage {
    /// A number of accounts.
    Count(u32),
    /// A percentage of the accounts, 0 to 100.
    Percentage(u8),
}

/// `ConcurrencyMode` of the CloudFormation API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ConcurrencyMode {
    /// The concurrency stays constant, so accounts that are being worked on may exceed the tolerance.
    #[default]
    Soft,
    /// The concurrency is at most one more than the remaining tolerance, so the tolerance is never exceeded.
    Strict,
}

/// `RegionConcurrencyType` of the CloudFormation API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RegionConcurrency {
    /// All at the same time.
    Parallel,
    /// One after the other.
    Sequential,
}

/// `AccountFilterType` of the CloudFormation API, with its accounts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AccountFilter {
    /// All accounts of the organizational units (`NONE`).
    #[default]
    All,
    /// Accounts of the organizational units that are in this list (`INTERSECTION`).
    Only(BTreeSet<AccountId>),
    /// Accounts of the organizational units that are not in this list (`DIFFERENCE`).
    Except(BTreeSet<AccountId>),
}

impl AccountFilter {
    /// Whether the filter selects an account of the organizational units.
    pub fn selects(&self, account: &AccountId) -> bool {
        match self {
            Self::All => true,
            Self::Only(listed) => listed.contains(account),
            Self::Except(listed) => !listed.contains(account),
        }
    }
}

/// `CallAs` of the CloudFormation API, which every call needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CallAs {
    /// `SELF`: this account, or the management account with service-managed permissions.
    #[default]
    Own,
    /// `DELEGATED_ADMIN`: a delegated administrator of the organization; the StackSet is in the management account.
    DelegatedAdministrator,
}

/// `AutoDeployment` of the CloudFormation API: accounts that join or leave a targeted organizational unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AutoDeployment {
    /// StackSets deploys to accounts that join, without overrides, and removes from accounts that leave.
    pub enabled: bool,
    /// Stacks of accounts that leave are retained; only with `enabled`.
    pub retain_stacks: bool,
}

/// Limits of a change; `None` means no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct PreviewLimits {
    /// Violations that the change adds.
    pub max_new_violations: Option<u32>,
    /// Results that are undecided after the change.
    pub max_undecided: Option<u32>,
    /// The increase of the cost in US dollars a month, at the upper end of the estimate.
    pub max_monthly_increase: Option<u32>,
}
