//! The accounts of organizational units, from AWS Organizations.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use framework::ids::{AccountId, UnitId};

/// The reason why StackSets does not deploy to an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SkipReason {
    /// The account is suspended or closed.
    Suspended,
    /// The management account, with service-managed permissions.
    ManagementAccount,
}

impl SkipReason {
    /// The reason, for reports.
    pub fn description(self) -> &'static str {
        match self {
            Self::Suspended => "the account is suspended",
            Self::ManagementAccount => {
                "StackSets with service-managed permissions never deploy to the management account"
            }
        }
    }
}

/// The organizational units of a rollout and their accounts; empty with self-managed permissions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Membership {
    /// The root, which contains every account.
    pub root: Option<UnitId>,
    /// The management account, to which service-managed permissions never deploy (CloudFormation user guide).
    pub management: Option<AccountId>,
    /// The accounts of each requested organizational unit and its child units; a unit that does not exist is missing.
    pub units: BTreeMap<UnitId, BTreeSet<AccountId>>,
    /// Accounts that are suspended, closed or being closed.
    pub inactive: BTreeSet<AccountId>,
}

impl Membership {
    /// The accounts of an organizational unit; none if it is unknown.
    pub fn accounts(&self, unit: &UnitId) -> impl Iterator<Item = &AccountId> {
        self.units.get(unit).into_iter().flatten()
    }

    /// Whether an account is in an organizational unit or its child units.
    pub fn contains(&self, unit: &UnitId, account: &AccountId) -> bool {
        self.units.get(unit).is_some_and(|accounts| accounts.contains(account))
    }

    /// The reason why StackSets does not deploy to an account.
    pub fn skip_reason(&self, account: &AccountId) -> Option<SkipReason> {
        if self.management.as_ref() == Some(account) {
            return Some(SkipReason::ManagementAccount);
        }
        self.inactive.contains(account).then_some(SkipReason::Suspended)
    }
}
