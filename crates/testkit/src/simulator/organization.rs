//! Units within units, and the accounts in them.

use std::collections::{BTreeMap, BTreeSet};

use domain::rollout::Membership;
use framework::ids::{AccountId, UnitId};

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SimulatedOrganization {
    /// The id of its root.
    pub root: Option<UnitId>,
    /// Its management account.
    pub management: Option<AccountId>,
    /// Units, each with its parent: a unit or the root.
    pub parents: BTreeMap<UnitId, UnitId>,
    /// Accounts, each with its unit.
    pub accounts: BTreeMap<AccountId, UnitId>,
    /// Accounts that are not active, inside or outside of the organization.
    pub states: BTreeMap<AccountId, AccountState>,
}

/// The status of an account for StackSets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountState {
    /// Work is possible.
    Active,
    /// StackSets skip the account and report it.
    Suspended,
    /// StackSets can only retain the stacks of the account.
    Closed,
}

impl SimulatedOrganization {
    /// The status of an account for StackSets.
    pub fn state(&self, account: &AccountId) -> AccountState {
        self.states.get(account).copied().unwrap_or(AccountState::Active)
    }

    /// Suspends, closes or reopens an account.
    pub fn set_state(&mut self, account: &AccountId, state: AccountState) {
        if state == AccountState::Active {
            self.states.remove(account);
        } else {
            self.states.insert(account.clone(), state);
        }
    }

    /// Whether the unit exists, or is the root.
    pub fn has(&self, unit: &UnitId) -> bool {
        self.root.as_ref() == Some(unit) || self.parents.contains_key(unit)
    }

    /// Whether an account is in a unit, or in one of its child units.
    pub fn contains(&self, unit: &UnitId, account: &AccountId) -> bool {
        let mut at = self.accounts.get(account);
        // More steps than units: the structure is not a tree.
        for _ in 0..=self.parents.len() {
            match at {
                Some(here) if here == unit => return true,
                Some(here) => at = self.parents.get(here),
                None => return false,
            }
        }
        false
    }

    /// The accounts in a unit and its child units to which StackSets with service-managed permissions deploy.
    pub fn members(&self, unit: &UnitId) -> impl Iterator<Item = &AccountId> {
        let below = self.accounts.keys().filter(move |account| self.contains(unit, account));
        below.filter(|account| self.management.as_ref() != Some(*account))
    }

    /// The organization in the form of `OrganizationalUnits`.
    pub fn membership(&self, units: &BTreeSet<UnitId>) -> Membership {
        let known: BTreeMap<UnitId, BTreeSet<AccountId>> = units
            .iter()
            .filter(|unit| self.has(unit))
            .map(|unit| {
                let below = self.accounts.keys().filter(|account| self.contains(unit, account));
                (unit.clone(), below.cloned().collect())
            })
            .collect();
        let inactive = known.values().flatten().filter(|account| self.state(account) != AccountState::Active);
        Membership {
            root: self.root.clone(),
            management: self.management.clone(),
            inactive: inactive.cloned().collect(),
            units: known,
        }
    }
}
