//! Accounts of the organization.

use std::collections::BTreeMap;

use aws_sdk_organizations::types::{Account, AccountState, AccountStatus};

use app::ports::{PortErrorKind, Result};
use app::sweep::ports::Organization;
use framework::ids::AccountId;

use crate::clients::Clients;
use crate::error::{has_code, invalid, optional, wrap};

const OPERATION: &str = "organizations:ListAccounts";

/// The accounts of the organization, if this account may list them.
#[derive(Debug, Clone)]
pub struct OrganizationAccounts {
    client: Option<aws_sdk_organizations::Client>,
}

impl OrganizationAccounts {
    /// Without clients, the accounts are unknown.
    pub fn new(clients: Option<&Clients>) -> Self {
        Self { client: clients.map(|clients| aws_sdk_organizations::Client::new(&clients.config)) }
    }
}

impl Organization for OrganizationAccounts {
    async fn accounts(&self) -> Result<Option<BTreeMap<AccountId, String>>> {
        let Some(client) = &self.client else { return Ok(None) };
        let mut pages = client.list_accounts().into_paginator().send();
        let mut accounts = BTreeMap::new();
        while let Some(page) = pages.next().await {
            // Only the management account and delegated administrators may list accounts.
            let page = optional(page.map_err(wrap(OPERATION)), |error| {
                error.kind == PortErrorKind::Denied || has_code(error, &["AWSOrganizationsNotInUseException"])
            })?;
            let Some(page) = page else { return Ok(None) };
            for account in page.accounts().iter().filter(|account| is_active(account)) {
                let id = AccountId::parse(account.id().unwrap_or_default()).map_err(invalid(OPERATION))?;
                accounts.insert(id, account.name().unwrap_or_default().to_owned());
            }
        }
        Ok(Some(accounts))
    }
}

/// `State` replaces `Status`, which older endpoints send alone.
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
    fn accounts_closed_or_suspended_are_excluded() {
        let account = Account::builder;
        assert!(is_active(&account().state(AccountState::Active).build()));
        assert!(!is_active(&account().state(AccountState::PendingClosure).status(AccountStatus::Active).build()));
        assert!(!is_active(&account().status(AccountStatus::Suspended).build()));
        assert!(is_active(&account().build()));
    }
}
