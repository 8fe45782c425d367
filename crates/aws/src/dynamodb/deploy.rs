//! What `deploy` remembers. Partition `rollout`: an item a StackSet, the marker of a removal, and the digest of what was last
//! published about reporting. Partition `policy`: the commit whose rejection was told last.

use super::{StateTable, document, key, read_document, read_text, read_version, text};
use crate::error::unexpected;
use app::deploy::{FrameworkFacts, Memory, Rollout};
use app::ports::{DeployStore, Result, Versioned};
use domain::ids::{CommitId, StackSetName};
use domain::policy::Reporting;
use domain::rollout::digest_of;

const ROLLOUTS: &str = "rollout";
/// No StackSet's name begins with this character.
const MARK: char = '#';
const REMOVAL: &str = "#removal";
const REPORTING: &str = "#reporting";
const POLICY: &str = "policy";
const REJECTED: &str = "rejected";

impl DeployStore for StateTable {
    async fn memory(&self) -> Result<Memory> {
        let mut memory = Memory::default();
        for item in self.partition(ROLLOUTS).await? {
            match read_text(&item, "sk") {
                Some(REMOVAL) => memory.removing = true,
                Some(mark) if mark.starts_with(MARK) => {}
                _ => {
                    let value: Rollout = read_document(&item)?;
                    memory.rollouts.insert(value.name.clone(), Versioned { value, version: read_version(&item) });
                }
            }
        }
        Ok(memory)
    }

    async fn put_rollout(&self, rollout: &Versioned<Rollout>) -> Result<()> {
        let mut item = key(ROLLOUTS, rollout.value.name.as_str());
        item.insert("document".into(), document(&rollout.value)?);
        self.put_version(item, rollout.version).await.map(drop)
    }

    async fn forget_rollout(&self, name: &StackSetName) -> Result<()> {
        self.delete(ROLLOUTS, name.as_str()).await
    }

    async fn set_removal(&self, removing: bool) -> Result<()> {
        if !removing {
            return self.delete(ROLLOUTS, REMOVAL).await;
        }
        self.put_item(key(ROLLOUTS, REMOVAL)).await
    }

    async fn rejected(&self) -> Result<Option<CommitId>> {
        let found = self.item(POLICY, REJECTED).await?;
        Ok(found.as_ref().and_then(|item| read_text(item, "commit_id")).and_then(|id| CommitId::parse(id).ok()))
    }

    async fn set_rejected(&self, commit: &CommitId) -> Result<()> {
        let mut item = key(POLICY, REJECTED);
        item.insert("commit_id".into(), text(commit.as_str()));
        self.put_item(item).await
    }

    async fn put_framework(&self, facts: &FrameworkFacts) -> Result<()> {
        self.put_framework_item(facts).await
    }

    async fn put_reporting(&self, reporting: &Reporting) -> Result<()> {
        self.put_reporting_item(reporting).await?;
        // Afterwards: whoever ends in between publishes once more.
        let value =
            serde_json::to_value(reporting).map_err(|error| unexpected("dynamodb:PutItem", error.to_string()))?;
        let mut item = key(ROLLOUTS, REPORTING);
        item.insert("digest".into(), text(digest_of(&value).0));
        self.put_item(item).await
    }

    async fn forget_framework(&self, name: &StackSetName) -> Result<()> {
        self.forget_framework_item(name).await
    }
}
