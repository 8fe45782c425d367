//! What `deploy` remembers. Partition `rollout`: an item a StackSet, and the marker of a removal. Partition `policy`: the commit
//! whose rejection was told last.

use super::{StateTable, document, number, read_document, read_text, text};
use crate::error::wrap;
use app::deploy::{FrameworkFacts, Memory, Rollout};
use app::ports::{DeployStore, Result, Versioned};
use domain::ids::{CommitId, StackSetName};

const ROLLOUTS: &str = "rollout";
/// No StackSet's name begins with this character.
const REMOVAL: &str = "#removal";
const POLICY: &str = "policy";
const REJECTED: &str = "rejected";

impl DeployStore for StateTable {
    async fn memory(&self) -> Result<Memory> {
        let mut memory = Memory::default();
        for item in self.partition(ROLLOUTS).await? {
            if read_text(&item, "sk") == Some(REMOVAL) {
                memory.removing = true;
                continue;
            }
            let value: Rollout = read_document(&item)?;
            let version = item.get("version").and_then(|version| version.as_n().ok()?.parse().ok()).unwrap_or_default();
            memory.rollouts.insert(value.name.clone(), Versioned { value, version });
        }
        Ok(memory)
    }

    async fn put_rollout(&self, rollout: &Versioned<Rollout>) -> Result<()> {
        let put = self
            .client
            .put_item()
            .table_name(&self.name)
            .item("pk", text(ROLLOUTS))
            .item("sk", text(rollout.value.name.as_str()))
            .item("version", number(rollout.version.saturating_add(1)))
            .item("document", document(&rollout.value)?);
        let put = if rollout.version == 0 {
            put.condition_expression("attribute_not_exists(pk)")
        } else {
            put.condition_expression("version = :seen").expression_attribute_values(":seen", number(rollout.version))
        };
        put.send().await.map(|_| ()).map_err(|error| wrap("dynamodb:PutItem", &error))
    }

    async fn forget_rollout(&self, name: &StackSetName) -> Result<()> {
        self.delete(ROLLOUTS, name.as_str()).await
    }

    async fn set_removal(&self, removing: bool) -> Result<()> {
        if !removing {
            return self.delete(ROLLOUTS, REMOVAL).await;
        }
        self.client
            .put_item()
            .table_name(&self.name)
            .item("pk", text(ROLLOUTS))
            .item("sk", text(REMOVAL))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| wrap("dynamodb:PutItem", &error))
    }

    async fn rejected(&self) -> Result<Option<CommitId>> {
        let found = self
            .client
            .get_item()
            .table_name(&self.name)
            .key("pk", text(POLICY))
            .key("sk", text(REJECTED))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| wrap("dynamodb:GetItem", &error))?;
        Ok(found.item.as_ref().and_then(|item| read_text(item, "commit_id")).and_then(|id| CommitId::parse(id).ok()))
    }

    async fn set_rejected(&self, commit: &CommitId) -> Result<()> {
        self.client
            .put_item()
            .table_name(&self.name)
            .item("pk", text(POLICY))
            .item("sk", text(REJECTED))
            .item("commit_id", text(commit.as_str()))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| wrap("dynamodb:PutItem", &error))
    }

    async fn put_framework(&self, facts: &FrameworkFacts) -> Result<()> {
        self.put_framework_item(facts).await
    }

    async fn forget_framework(&self, name: &StackSetName) -> Result<()> {
        self.forget_framework_item(name).await
    }
}
