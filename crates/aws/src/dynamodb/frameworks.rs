//! The controls in force. Partition `framework`: an item a StackSet; `deploy` writes, `report` and `sweep` read.

use super::{StateTable, document, read_document, text};
use crate::error::wrap;
use app::deploy::FrameworkFacts;
use app::ports::{FrameworkDirectory, Result};
use domain::ids::StackSetName;

const FRAMEWORKS: &str = "framework";

impl StateTable {
    pub(super) async fn put_framework_item(&self, facts: &FrameworkFacts) -> Result<()> {
        self.client
            .put_item()
            .table_name(&self.name)
            .item("pk", text(FRAMEWORKS))
            .item("sk", text(facts.stack_set.as_str()))
            .item("document", document(facts)?)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| wrap("dynamodb:PutItem", &error))
    }

    pub(super) async fn forget_framework_item(&self, name: &StackSetName) -> Result<()> {
        self.delete(FRAMEWORKS, name.as_str()).await
    }
}

impl FrameworkDirectory for StateTable {
    async fn frameworks(&self) -> Result<Vec<FrameworkFacts>> {
        self.partition(FRAMEWORKS).await?.iter().map(read_document).collect()
    }
}
