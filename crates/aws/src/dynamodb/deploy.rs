//! The state of `deploy`. Partition `rollout`: one item for each StackSet, the marker of a removal, and the digest of the reporting
//! settings that were published last. Partition `policy`: the commit whose rejection was published last.

use app::deploy::ports::DeployStore;
use app::deploy::{DeployState, PublishedFramework, RolloutRecord};
use app::ports::{Result, Versioned};
use domain::policy::Reporting;
use framework::ids::{CommitId, StackSetName};

use super::frameworks::{FRAMEWORKS, MARK, REPORTING};
use super::{StateTable, document_item, key, read_document, read_text, read_version, text};

const ROLLOUTS: &str = "rollout";
const REMOVAL: &str = "#removal";
const POLICY: &str = "policy";
const REJECTED: &str = "rejected";

impl DeployStore for StateTable {
    async fn load_state(&self) -> Result<DeployState> {
        let mut memory = DeployState::default();
        for item in self.partition(ROLLOUTS).await? {
            match read_text(&item, "sk") {
                Some(REMOVAL) => memory.removing = true,
                Some(REPORTING) => memory.reporting_digest = read_text(&item, "digest").map(ToOwned::to_owned),
                Some(mark) if mark.starts_with(MARK) => {}
                _ => {
                    let value: RolloutRecord = read_document(&item)?;
                    memory.rollouts.insert(value.name.clone(), Versioned { value, version: read_version(&item) });
                }
            }
        }
        Ok(memory)
    }

    async fn put_rollout(&self, rollout: &Versioned<RolloutRecord>) -> Result<()> {
        let item = document_item(ROLLOUTS, rollout.value.name.as_str(), &rollout.value)?;
        self.put_version(item, rollout.version).await.map(drop)
    }

    async fn delete_rollout(&self, name: &StackSetName) -> Result<()> {
        self.delete(ROLLOUTS, name.as_str()).await
    }

    async fn set_removal(&self, removing: bool) -> Result<()> {
        if removing { self.put_item(key(ROLLOUTS, REMOVAL)).await } else { self.delete(ROLLOUTS, REMOVAL).await }
    }

    async fn rejected_commit(&self) -> Result<Option<CommitId>> {
        let item = self.item(POLICY, REJECTED).await?;
        Ok(item.as_ref().and_then(|item| read_text(item, "commit_id")).and_then(|id| CommitId::parse(id).ok()))
    }

    async fn set_rejected_commit(&self, commit: &CommitId) -> Result<()> {
        let mut item = key(POLICY, REJECTED);
        item.insert("commit_id".into(), text(commit.as_str()));
        self.put_item(item).await
    }

    async fn framework(&self, name: &StackSetName) -> Result<Option<PublishedFramework>> {
        self.document(FRAMEWORKS, name.as_str()).await
    }

    async fn put_framework(&self, facts: &PublishedFramework) -> Result<()> {
        self.put_document(FRAMEWORKS, facts.stack_set.as_str(), facts).await
    }

    async fn put_reporting(&self, reporting: &Reporting) -> Result<()> {
        self.put_document(FRAMEWORKS, REPORTING, reporting).await?;
        // The digest is written last: an invocation that ends in between publishes again.
        let mut item = key(ROLLOUTS, REPORTING);
        item.insert("digest".into(), text(reporting.digest().0));
        self.put_item(item).await
    }

    async fn delete_framework(&self, name: &StackSetName) -> Result<()> {
        self.delete(FRAMEWORKS, name.as_str()).await
    }
}
