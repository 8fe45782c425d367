//! The state table: one DynamoDB table, a partition for each kind of thing. `ARCHITECTURE.md` has its layout.

mod deploy;
mod documents;
mod frameworks;
mod requests;
mod sweep;
mod violations;
mod windows;

use crate::error::{unexpected, wrap};
use app::ports::{PortError, PortErrorKind, Result};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use documents::{document, fits, read_document};
use jiff::Timestamp;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use tokio::time::sleep;

type Item = HashMap<String, AttributeValue>;

/// `BatchGetItem` takes at most 100 keys.
const BATCH: usize = 100;
/// Waits before keys that were left unprocessed are asked for again. Whenever some come, it begins anew; when none came after all
/// of them, the table is too busy.
const WAITS: [Duration; 5] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
];

/// Where an item is: partition and sort key.
type Place = (String, String);

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

    /// The items in these places, those that exist. Strongly consistent.
    async fn items(&self, places: impl IntoIterator<Item = Place>) -> Result<Vec<Item>> {
        const OPERATION: &str = "dynamodb:BatchGetItem";
        // A key that is named twice has the whole call refused.
        let places: Vec<Place> = places.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let mut items = Vec::new();
        for batch in places.chunks(BATCH) {
            let mut wanted: Vec<Item> = batch.iter().map(|(partition, sort)| key(partition, sort)).collect();
            let mut waits = WAITS.iter();
            loop {
                let asked = wanted.len();
                let request = KeysAndAttributes::builder()
                    .set_keys(Some(wanted))
                    .consistent_read(true)
                    .build()
                    .map_err(|error| unexpected(OPERATION, error.to_string()))?;
                let mut answer = self
                    .client
                    .batch_get_item()
                    .request_items(&self.name, request)
                    .send()
                    .await
                    .map_err(|error| wrap(OPERATION, &error))?;
                let found = answer.responses.take().and_then(|mut tables| tables.remove(&self.name));
                items.extend(found.unwrap_or_default());
                let rest = answer.unprocessed_keys.take().and_then(|mut tables| tables.remove(&self.name));
                wanted = rest.map(|rest| rest.keys).unwrap_or_default();
                if wanted.is_empty() {
                    break;
                }
                if wanted.len() < asked {
                    waits = WAITS.iter();
                }
                let Some(wait) = waits.next() else { return Err(busy(OPERATION, wanted.len())) };
                sleep(*wait).await;
            }
        }
        Ok(items)
    }

    /// One item, if it exists. Strongly consistent.
    async fn item(&self, partition: &str, sort: &str) -> Result<Option<Item>> {
        let found = self.client.get_item().table_name(&self.name).set_key(Some(key(partition, sort)));
        let answer = found.consistent_read(true).send().await;
        answer.map(|answer| answer.item).map_err(|error| wrap("dynamodb:GetItem", &error))
    }

    /// Puts an item, whatever is there.
    async fn put_item(&self, item: Item) -> Result<()> {
        fits(&item)?;
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item)).send().await;
        put.map(drop).map_err(|error| wrap("dynamodb:PutItem", &error))
    }

    /// Puts an item in place of the one of the version that was seen (0: of none), and says its new version.
    async fn put_version(&self, mut item: Item, seen: u64) -> Result<u64> {
        let version = seen.saturating_add(1);
        item.insert("version".into(), number(version));
        fits(&item)?;
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item));
        let put = if seen == 0 {
            put.condition_expression("attribute_not_exists(pk)")
        } else {
            put.condition_expression("version = :seen").expression_attribute_values(":seen", number(seen))
        };
        put.send().await.map(|_| version).map_err(|error| wrap("dynamodb:PutItem", &error))
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

fn key(partition: &str, sort: &str) -> Item {
    HashMap::from([("pk".to_owned(), text(partition)), ("sk".to_owned(), text(sort))])
}

fn busy(operation: &'static str, left: usize) -> PortError {
    let message = format!("the table is too busy: {left} keys were left unprocessed again and again");
    PortError { operation, code: None, message, request_id: None, kind: PortErrorKind::Retryable }
}

/// A time as a text that sorts as times do: all of one width.
fn moment(time: Timestamp) -> AttributeValue {
    text(format!("{time:.9}"))
}

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: impl std::fmt::Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn read_text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str)
}

/// 0 where there is none: then it is nobody's.
fn read_version(item: &Item) -> u64 {
    item.get("version").and_then(|version| version.as_n().ok()?.parse().ok()).unwrap_or_default()
}
