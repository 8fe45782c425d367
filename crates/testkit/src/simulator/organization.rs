//! Units within units, and accounts in them.

use domain::ids::{AccountId, UnitId};
use domain::rollout::Membership;
use std::collections::{BTreeMap, BTreeSet};

/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Organization {
    /// Its root.
    pub root: Option<UnitId>,
    /// Its management account.
    pub management: Option<AccountId>,
    /// Units and what each is in: a unit, or the root.
    pub parents: BTreeMap<UnitId, UnitId>,
    /// Accounts, and the unit that each is in.
    pub accounts: BTreeMap<AccountId, UnitId>,
    /// Accounts that are not active, in the organisation or not.
    pub states: BTreeMap<AccountId, AccountState>,
}

/// Whether an account can be worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountState {
    /// It can.
    Active,
    /// StackSets leave it alone, and say so.
    Suspended,
    /// It is as good as gone: StackSets can only let go of what was there.
    Closed,
}

impl Organization {
    /// Whether an account can be worked.
    #[must_use]
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

    /// Whether there is such a unit, or it is the root.
    #[must_use]
    pub fn has(&self, unit: &UnitId) -> bool {
        self.root.as_ref() == Some(unit) || self.parents.contains_key(unit)
    }

    /// Whether an account is in a unit, or in one of its child units.
    #[must_use]
    pub fn contains(&self, unit: &UnitId, account: &AccountId) -> bool {
        let mut at = self.accounts.get(account);
        // More steps than units: a tree that is none.
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

    /// What `OrganizationalUnits` tells.
    #[must_use]
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
