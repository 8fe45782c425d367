//! Which accounts belong to which organizational units, as AWS Organizations says.

use super::SkipReason;
use crate::ids::{AccountId, UnitId};
use std::collections::{BTreeMap, BTreeSet};

/// The part of an organisation that a rollout is about. Empty for a StackSet with self-managed permissions, which knows accounts
/// only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Membership {
    /// The root, through which every account can be reached.
    pub root: Option<UnitId>,
    /// The management account: StackSets with service-managed permissions never deploy to it (CloudFormation user guide, "Create
    /// StackSets with service-managed permissions").
    pub management: Option<AccountId>,
    /// Every account below each of the units that were asked for, those of their child units too. A unit that does not exist, or
    /// is not in this organisation, is missing.
    pub units: BTreeMap<UnitId, BTreeSet<AccountId>>,
    /// Accounts among them that are suspended, closed or being closed.
    pub inactive: BTreeSet<AccountId>,
}

impl Membership {
    /// The accounts below a unit; none where nothing is known of it.
    pub fn accounts(&self, unit: &UnitId) -> impl Iterator<Item = &AccountId> {
        self.units.get(unit).into_iter().flatten()
    }

    /// Whether an account is below a unit.
    #[must_use]
    pub fn contains(&self, unit: &UnitId, account: &AccountId) -> bool {
        self.units.get(unit).is_some_and(|accounts| accounts.contains(account))
    }

    /// Whether StackSets with service-managed permissions deploy to an account at all.
    #[must_use]
    pub fn is_deployed_to(&self, account: &AccountId) -> bool {
        self.skips(account).is_none()
    }

    /// Why they do not.
    #[must_use]
    pub fn skips(&self, account: &AccountId) -> Option<SkipReason> {
        if self.management.as_ref() == Some(account) {
            return Some(SkipReason::ManagementAccount);
        }
        self.inactive.contains(account).then_some(SkipReason::Suspended)
    }
}
