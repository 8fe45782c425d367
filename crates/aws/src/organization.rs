//! Who belongs to the organisation.

use crate::error::{unexpected, wrap};
use app::ports::{Organization, PortErrorKind, Result};
use aws_sdk_organizations::types::{Account, AccountState, AccountStatus};
use domain::ids::AccountId;
use std::collections::BTreeMap;

const OPERATION: &str = "organizations:ListAccounts";

/// The organisation, if this account is to ask.
#[derive(Debug, Clone)]
pub struct OrganizationAccounts {
    client: Option<aws_sdk_organizations::Client>,
}

impl OrganizationAccounts {
    /// Without a client nobody is asked, and nothing is known.
    #[must_use]
    pub fn new(client: Option<aws_sdk_organizations::Client>) -> Self {
        Self { client }
    }
}

impl Organization for OrganizationAccounts {
    async fn accounts(&self) -> Result<Option<BTreeMap<AccountId, String>>> {
        let Some(client) = &self.client else { return Ok(None) };
        let mut pages = client.list_accounts().into_paginator().send();
        let mut accounts = BTreeMap::new();
        while let Some(page) = pages.next().await {
            let page = match page.map_err(|error| wrap(OPERATION, &error)) {
                Ok(page) => page,
                // Only the management account and delegated administrators may ask.
                Err(error) if error.kind == PortErrorKind::Denied => return Ok(None),
                Err(error) if error.code.as_deref() == Some("AWSOrganizationsNotInUseException") => return Ok(None),
                Err(error) => return Err(error),
            };
            for account in page.accounts().iter().filter(|account| is_active(account)) {
                let id = AccountId::parse(account.id().unwrap_or_default());
                let id = id.map_err(|error| unexpected(OPERATION, error.to_string()))?;
                accounts.insert(id, account.name().unwrap_or_default().to_owned());
            }
        }
        Ok(Some(accounts))
    }
}

/// `State` has come in the place of `Status`; whoever does not send it yet sends the other.
fn is_active(account: &Account) -> bool {
    match (account.state(), account.status()) {
        (Some(state), _) => *state == AccountState::Active,
        (None, Some(status)) => *status == AccountStatus::Active,
        (None, None) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_and_suspended_accounts_are_left_out() {
        let account = Account::builder;
        assert!(is_active(&account().state(AccountState::Active).build()));
        assert!(!is_active(&account().state(AccountState::PendingClosure).status(AccountStatus::Active).build()));
        assert!(!is_active(&account().status(AccountStatus::Suspended).build()));
        assert!(is_active(&account().build()));
    }
}
