//! The state table: one DynamoDB table, a partition for each kind of thing. `ARCHITECTURE.md` has its layout.

mod deploy;
mod frameworks;
mod requests;
mod violations;

use crate::error::{unexpected, wrap};
use app::ports::Result;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;

type Item = HashMap<String, AttributeValue>;

/// The application's state table.
#[derive(Debug, Clone)]
pub struct StateTable {
    client: Client,
    name: String,
}

impl StateTable {
    /// The table of this name.
    #[must_use]
    pub fn new(client: Client, name: &str) -> Self {
        Self { client, name: name.to_owned() }
    }

    /// All items of a partition.
    async fn partition(&self, partition: &str) -> Result<Vec<Item>> {
        const OPERATION: &str = "dynamodb:Query";
        let mut pages = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(partition))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let mut items = Vec::new();
        while let Some(item) = pages.next().await {
            items.push(item.map_err(|error| wrap(OPERATION, &error))?);
        }
        Ok(items)
    }

    async fn delete(&self, partition: &str, sort: &str) -> Result<()> {
        self.client
            .delete_item()
            .table_name(&self.name)
            .key("pk", text(partition))
            .key("sk", text(sort))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| wrap("dynamodb:DeleteItem", &error))
    }
}

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: impl std::fmt::Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A whole document as JSON text: nothing queries inside it.
fn document<T: Serialize>(value: &T) -> Result<AttributeValue> {
    serde_json::to_string(value).map(text).map_err(|error| unexpected("dynamodb:PutItem", error.to_string()))
}

fn read_text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str)
}

fn read_document<T: DeserializeOwned>(item: &Item) -> Result<T> {
    let stored = read_text(item, "document").unwrap_or_default();
    serde_json::from_str(stored).map_err(|error| {
        let (partition, sort) = (read_text(item, "pk").unwrap_or("?"), read_text(item, "sk").unwrap_or("?"));
        unexpected("dynamodb:Query", format!("the item `{partition}` / `{sort}` cannot be read: {error}"))
    })
}
