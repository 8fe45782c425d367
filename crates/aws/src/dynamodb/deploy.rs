//! The state of `deploy`. Partition `rollout`: one item for each StackSet, the marker of a removal, the digest of the published
//! reporting settings, the revision that was accepted last. Partition `policy`: the commit whose rejection was published last. Partition `framework`, the policy in
//! force: one item for each StackSet, one for the reporting settings, one for the names of accounts (from `sweep`).

use app::deploy::ports::DeployStore;
use app::deploy::{AcceptedRevision, DeployState, PublishedFramework, RolloutRecord};
use app::in_force::{InForce, PolicyDirectory};
use app::ports::{Result, Versioned};
use domain::policy::Reporting;
use framework::ids::{CommitId, StackSetName};

use super::{StateTable, document_item, item, key, read_document, read_text, read_version, text};

const ROLLOUTS: &str = "rollout";
const REMOVAL: &str = "#removal";
const POLICY: &str = "policy";
pub(super) const FRAMEWORKS: &str = "framework";
/// First character of sort keys that are not StackSet names.
const MARK: char = '#';
const REPORTING: &str = "#reporting";
const ACCEPTED: &str = "#accepted";
pub(super) const ACCOUNTS: &str = "#accounts";
const REJECTED: &str = "rejected";

impl DeployStore for StateTable {
    async fn load_state(&self) -> Result<DeployState> {
        let mut memory = DeployState::default();
        for item in self.partition(ROLLOUTS).await? {
            match read_text(&item, "sk") {
                Some(REMOVAL) => memory.removing = true,
                Some(REPORTING) => memory.reporting_digest = read_text(&item, "digest").map(ToOwned::to_owned),
                Some(ACCEPTED) => memory.accepted = Some(read_document(&item)?),
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
        self.put_item(item(POLICY, REJECTED, [("commit_id", text(commit.as_str()))])).await
    }

    async fn put_accepted(&self, accepted: &AcceptedRevision) -> Result<()> {
        self.put_document(ROLLOUTS, ACCEPTED, accepted).await
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
        self.put_item(item(ROLLOUTS, REPORTING, [("digest", text(reporting.digest().0))])).await
    }

    async fn delete_framework(&self, name: &StackSetName) -> Result<()> {
        self.delete(FRAMEWORKS, name.as_str()).await
    }
}

impl PolicyDirectory for StateTable {
    async fn in_force(&self) -> Result<InForce> {
        let mut in_force = InForce::default();
        for item in self.partition(FRAMEWORKS).await? {
            match read_text(&item, "sk") {
                Some(REPORTING) => in_force.reporting = Some(read_document(&item)?),
                Some(ACCOUNTS) => in_force.accounts = read_document(&item)?,
                // An item of a later version.
                Some(mark) if mark.starts_with(MARK) => {}
                _ => in_force.frameworks.push(read_document(&item)?),
            }
        }
        Ok(in_force)
    }
}
