//! What is in force. Partition `framework`: an item a StackSet, one for what the policy says about reporting, one for the names of
//! accounts; `deploy` and `sweep` write, `report` and `sweep` read.

use super::{StateTable, document, key, read_document, read_text};
use app::deploy::FrameworkFacts;
use app::ports::{InForce, PolicyDirectory, Result};
use domain::ids::{AccountId, StackSetName};
use domain::policy::Reporting;
use std::collections::BTreeMap;

const FRAMEWORKS: &str = "framework";
/// No StackSet's name begins with this character.
const MARK: char = '#';
const REPORTING: &str = "#reporting";
const ACCOUNTS: &str = "#accounts";

impl StateTable {
    pub(super) async fn put_framework_item(&self, facts: &FrameworkFacts) -> Result<()> {
        let mut item = key(FRAMEWORKS, facts.stack_set.as_str());
        item.insert("document".into(), document(facts)?);
        self.put_item(item).await
    }

    pub(super) async fn forget_framework_item(&self, name: &StackSetName) -> Result<()> {
        self.delete(FRAMEWORKS, name.as_str()).await
    }

    pub(super) async fn put_reporting_item(&self, reporting: &Reporting) -> Result<()> {
        let mut item = key(FRAMEWORKS, REPORTING);
        item.insert("document".into(), document(reporting)?);
        self.put_item(item).await
    }

    pub(super) async fn put_accounts_item(&self, accounts: &BTreeMap<AccountId, String>) -> Result<()> {
        let mut item = key(FRAMEWORKS, ACCOUNTS);
        item.insert("document".into(), document(accounts)?);
        self.put_item(item).await
    }
}

impl PolicyDirectory for StateTable {
    async fn in_force(&self) -> Result<InForce> {
        let mut in_force = InForce::default();
        for item in self.partition(FRAMEWORKS).await? {
            match read_text(&item, "sk") {
                Some(REPORTING) => in_force.reporting = Some(read_document(&item)?),
                Some(ACCOUNTS) => in_force.accounts = read_document(&item)?,
                // Of a later version.
                Some(mark) if mark.starts_with(MARK) => {}
                _ => in_force.frameworks.push(read_document(&item)?),
            }
        }
        Ok(in_force)
    }
}
