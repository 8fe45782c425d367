//! The state table, one DynamoDB table with a partition for each kind of item. `ARCHITECTURE.md` documents its layout.

mod deploy;
mod documents;
mod requests;
mod sweep;
mod violations;
mod windows;

use std::collections::{BTreeSet, HashMap};
use std::str::FromStr;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::sleep;

use app::ports::{PortErrorKind, Result};

use crate::clients::Clients;
use crate::error::{failure, invalid, optional, wrap};
use documents::{check_size, document, read_document};

type TableItem = HashMap<String, AttributeValue>;

/// Keys in one call: the limit of `BatchGetItem`.
const BATCH: usize = 100;
/// Milliseconds before unprocessed keys are requested again. Progress restarts the sequence; its end without progress is an error.
const WAITS: [u64; 5] = [50, 100, 200, 400, 800];

type ItemKey = (String, String);

/// The application's state table.
#[derive(Debug, Clone)]
pub struct StateTable {
    client: Client,
    name: String,
}

impl StateTable {
    /// The table of this name.
    pub fn new(clients: &Clients, name: &str) -> Self {
        Self { client: Client::new(&clients.config), name: name.to_owned() }
    }

    /// Reads all items of a partition. Strongly consistent.
    async fn partition(&self, partition: &str) -> Result<Vec<TableItem>> {
        let query = self.client.query().table_name(&self.name).consistent_read(true);
        let query = query.key_condition_expression("pk = :pk").expression_attribute_values(":pk", text(partition));
        query.into_paginator().items().send().try_collect().await.map_err(wrap("dynamodb:Query"))
    }

    /// Reads the items of these keys that exist. Strongly consistent.
    async fn items(&self, keys: impl IntoIterator<Item = ItemKey>) -> Result<Vec<TableItem>> {
        const OPERATION: &str = "dynamodb:BatchGetItem";
        // DynamoDB rejects a call with duplicate keys.
        let keys: Vec<ItemKey> = keys.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let mut items = Vec::new();
        for batch in keys.chunks(BATCH) {
            let mut remaining: Vec<TableItem> = batch.iter().map(|(partition, sort)| key(partition, sort)).collect();
            let mut waits = WAITS.iter();
            loop {
                let requested = remaining.len();
                let request = KeysAndAttributes::builder().set_keys(Some(remaining)).consistent_read(true).build();
                let request =
                    self.client.batch_get_item().request_items(&self.name, request.map_err(invalid(OPERATION))?);
                let mut response = request.send().await.map_err(wrap(OPERATION))?;
                let found = response.responses.take().and_then(|mut tables| tables.remove(&self.name));
                items.extend(found.unwrap_or_default());
                let rest = response.unprocessed_keys.take().and_then(|mut tables| tables.remove(&self.name));
                remaining = rest.map(|rest| rest.keys).unwrap_or_default();
                if remaining.is_empty() {
                    break;
                }
                if remaining.len() < requested {
                    waits = WAITS.iter();
                }
                let Some(wait) = waits.next() else {
                    let message = format!("DynamoDB left {} keys unprocessed after all retries", remaining.len());
                    return Err(failure(OPERATION, PortErrorKind::Retryable, message));
                };
                sleep(Duration::from_millis(*wait)).await;
            }
        }
        Ok(items)
    }

    /// Reads an item if it exists. Strongly consistent.
    async fn item(&self, partition: &str, sort: &str) -> Result<Option<TableItem>> {
        let get =
            self.client.get_item().table_name(&self.name).set_key(Some(key(partition, sort))).consistent_read(true);
        Ok(get.send().await.map_err(wrap("dynamodb:GetItem"))?.item)
    }

    async fn document<T: DeserializeOwned>(&self, partition: &str, sort: &str) -> Result<Option<T>> {
        self.item(partition, sort).await?.as_ref().map(read_document).transpose()
    }

    async fn put_document<T: Serialize>(&self, partition: &str, sort: &str, value: &T) -> Result<()> {
        self.put_item(document_item(partition, sort, value)?).await
    }

    async fn put_item(&self, item: TableItem) -> Result<()> {
        check_size(&item)?;
        self.put(item).send().await.map(drop).map_err(wrap("dynamodb:PutItem"))
    }

    fn put(&self, item: TableItem) -> PutItemFluentBuilder {
        self.client.put_item().table_name(&self.name).set_item(Some(item))
    }

    /// Writes an item if the stored one still has the version `seen` (0: none is stored). Returns the new version.
    async fn put_version(&self, mut item: TableItem, seen: u64) -> Result<u64> {
        let version = seen.saturating_add(1);
        item.insert("version".into(), number(version));
        check_size(&item)?;
        let put = self.put(item);
        let put = if seen == 0 {
            put.condition_expression("attribute_not_exists(pk)")
        } else {
            put.condition_expression("version = :seen").expression_attribute_values(":seen", number(seen))
        };
        put.send().await.map(|_| version).map_err(wrap("dynamodb:PutItem"))
    }

    async fn delete(&self, partition: &str, sort: &str) -> Result<()> {
        let delete = self.client.delete_item().table_name(&self.name).set_key(Some(key(partition, sort)));
        delete.send().await.map(drop).map_err(wrap("dynamodb:DeleteItem"))
    }
}

fn key(partition: &str, sort: &str) -> TableItem {
    HashMap::from([("pk".to_owned(), text(partition)), ("sk".to_owned(), text(sort))])
}

fn item<const N: usize>(partition: &str, sort: &str, attributes: [(&str, AttributeValue); N]) -> TableItem {
    let attributes = attributes.map(|(name, value)| (name.to_owned(), value));
    key(partition, sort).into_iter().chain(attributes).collect()
}

fn document_item<T: Serialize>(partition: &str, sort: &str, value: &T) -> Result<TableItem> {
    Ok(item(partition, sort, [("document", document(value)?)]))
}

/// A failed condition of a conditional write is `None`.
fn condition_met<T>(outcome: Result<T>) -> Result<Option<T>> {
    optional(outcome, |error| error.kind == PortErrorKind::Conflict)
}

/// A time as text of fixed width, which sorts chronologically.
fn moment(time: Timestamp) -> AttributeValue {
    text(format!("{time:.9}"))
}

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: impl std::fmt::Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn read_text<'a>(item: &'a TableItem, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

fn read_number<T: FromStr>(item: &TableItem, name: &str) -> Option<T> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

fn read_version(item: &TableItem) -> u64 {
    read_number(item, "version").unwrap_or_default()
}
