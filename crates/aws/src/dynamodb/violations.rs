//! Violations. Partition `violation#<account>#<region>`, an item a violation. A record that owes a notice is in the sparse index
//! `pending`; a closed one expires.

use super::{Item, StateTable, document, number, read_document, text};
use crate::error::wrap;
use app::ports::{Result, ViolationStore};
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use domain::violation::{Key, Ordering, Record, Status};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};

/// `BatchGetItem` takes at most 100 keys.
const BATCH: usize = 100;
/// Closed records are kept to tell late events from news; Config's own results are not older than a day or two.
const CLOSED_KEPT_SECONDS: i64 = 90 * 24 * 60 * 60;
const PENDING_INDEX: &str = "pending";
/// The one value of the index's partition key.
const OWED: &str = "notice";

impl ViolationStore for StateTable {
    async fn read(&self, keys: &[Key]) -> Result<BTreeMap<Key, Record>> {
        const OPERATION: &str = "dynamodb:BatchGetItem";
        let mut records = BTreeMap::new();
        for batch in keys.chunks(BATCH) {
            let mut wanted: Vec<Item> = batch.iter().map(item_key).collect();
            while !wanted.is_empty() {
                let request = KeysAndAttributes::builder()
                    .set_keys(Some(std::mem::take(&mut wanted)))
                    .consistent_read(true)
                    .build()
                    .map_err(|error| crate::error::unexpected(OPERATION, error.to_string()))?;
                let mut answer = self
                    .client
                    .batch_get_item()
                    .request_items(&self.name, request)
                    .send()
                    .await
                    .map_err(|error| wrap(OPERATION, &error))?;
                let found = answer.responses.take().and_then(|mut tables| tables.remove(&self.name));
                for item in found.unwrap_or_default() {
                    let record: Record = read_document(&item)?;
                    records.insert(record.key.clone(), record);
                }
                // What did not fit into one answer is asked for again.
                if let Some(rest) = answer.unprocessed_keys.take().and_then(|mut tables| tables.remove(&self.name)) {
                    wanted = rest.keys;
                }
            }
        }
        Ok(records)
    }

    async fn put(&self, record: &Record, seen: Option<&Ordering>) -> Result<()> {
        let mut item = item_key(&record.key);
        item.insert("document".into(), document(record)?);
        item.insert("ordering_key".into(), text(record.ordering.sort_key()));
        item.insert("status".into(), text(if record.status == Status::Open { "OPEN" } else { "CLOSED" }));
        if record.pending.is_some() {
            item.insert("pending_kind".into(), text(OWED));
            item.insert("pending_since".into(), text(record.ordering.notified.to_string()));
        } else if record.status == Status::Closed {
            item.insert("expires_at".into(), number(expiry(record.ordering.notified)));
        }
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item));
        let put = match seen {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(seen) => put
                .condition_expression("ordering_key = :seen AND ordering_key < :new")
                .expression_attribute_values(":seen", text(seen.sort_key()))
                .expression_attribute_values(":new", text(record.ordering.sort_key())),
        };
        put.send().await.map(|_| ()).map_err(|error| wrap("dynamodb:PutItem", &error))
    }

    async fn told(&self, record: &Record, at: Timestamp) -> Result<()> {
        let told = Record { pending: None, ..record.clone() };
        let mut update = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(item_key(&record.key)))
            .condition_expression("ordering_key = :seen")
            .expression_attribute_values(":seen", text(record.ordering.sort_key()))
            .expression_attribute_values(":document", document(&told)?)
            .expression_attribute_values(":at", text(at.to_string()));
        update = if record.status == Status::Closed {
            update
                .update_expression(
                    "SET document = :document, told_at = :at, expires_at = :expiry REMOVE pending_kind, pending_since",
                )
                .expression_attribute_values(":expiry", number(expiry(at)))
        } else {
            update.update_expression(
                "SET document = :document, told_at = :at REMOVE pending_kind, pending_since, expires_at",
            )
        };
        match update.send().await {
            Ok(_) => Ok(()),
            // A later result is on record; what it owes is its own.
            Err(error)
                if error.as_service_error().is_some_and(|error| error.is_conditional_check_failed_exception()) =>
            {
                Ok(())
            }
            Err(error) => Err(wrap("dynamodb:UpdateItem", &error)),
        }
    }

    async fn owing(&self, before: Timestamp, limit: usize) -> Result<Vec<Record>> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(PENDING_INDEX)
            .key_condition_expression("pending_kind = :kind AND pending_since < :before")
            .expression_attribute_values(":kind", text(OWED))
            .expression_attribute_values(":before", text(before.to_string()))
            .into_paginator()
            .items()
            .send();
        let mut records = Vec::new();
        while records.len() < limit
            && let Some(item) = pages.next().await
        {
            records.push(read_document(&item.map_err(|error| wrap("dynamodb:Query", &error))?)?);
        }
        Ok(records)
    }
}

fn item_key(key: &Key) -> HashMap<String, AttributeValue> {
    let Key { account, region, control, resource_type, resource_id } = key;
    HashMap::from([
        ("pk".to_owned(), text(format!("violation#{account}#{region}"))),
        ("sk".to_owned(), text(format!("{control}#{resource_type}#{resource_id}"))),
    ])
}

fn expiry(from: Timestamp) -> i64 {
    from.as_second().saturating_add(CLOSED_KEPT_SECONDS)
}
