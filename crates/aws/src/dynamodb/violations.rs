//! Violations. Partition `violation#<account>#<region>`, an item a violation. Two sparse indexes: a record that owes something is in
//! `pending` by its group, an open one is in `open` by its account. A closed one that owes nothing expires.

use super::{Item, Place, StateTable, document, key, moment, number, read_document, read_text, read_version, text};
use crate::clock::SystemClock;
use crate::error::wrap;
use app::ports::{Clock, PendingPage, PendingPosition, Result, Versioned, ViolationStore};
use domain::ids::AccountId;
use domain::violation::{Group, Key, Record, Status};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use tracing::error;

/// Closed records are kept to tell late events from news, and what was broken before from what is new.
const CLOSED_KEPT_SECONDS: i64 = 90 * 24 * 60 * 60;
const PENDING: &str = "pending";
const OPEN: &str = "open";

impl StateTable {
    /// All records of a partition of an index.
    async fn indexed(&self, index: &str, attribute: &str, value: &str) -> Result<Vec<Versioned<Record>>> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(index)
            .key_condition_expression("#of = :of")
            .expression_attribute_names("#of", attribute)
            .expression_attribute_values(":of", text(value))
            .into_paginator()
            .items()
            .send();
        let mut records = Vec::new();
        while let Some(item) = pages.next().await {
            records.extend(readable(&item.map_err(|error| wrap("dynamodb:Query", &error))?));
        }
        Ok(records)
    }
}

impl ViolationStore for StateTable {
    async fn read(&self, keys: &[Key]) -> Result<BTreeMap<Key, Versioned<Record>>> {
        let mut records = BTreeMap::new();
        for item in self.items(keys.iter().map(place)).await? {
            // As if there were none: what concerns it cannot be stored, and comes again alone.
            records.extend(readable(&item).map(|record| (record.value.key.clone(), record)));
        }
        Ok(records)
    }

    async fn put(&self, record: &Versioned<Record>) -> Result<u64> {
        self.put_version(item(&record.value, SystemClock.now())?, record.version).await
    }

    async fn owed_by(&self, group: &Group) -> Result<Vec<Versioned<Record>>> {
        self.indexed(PENDING, "pending_group", &group.to_string()).await
    }

    async fn pending(&self, before: Timestamp, position: Option<PendingPosition>, limit: usize) -> Result<PendingPage> {
        let mut page = PendingPage { records: Vec::new(), next: position };
        loop {
            // All groups: a scan, of an index that holds next to nothing.
            let from = page
                .next
                .take()
                .map(|PendingPosition(key)| key.into_iter().map(|(name, value)| (name, text(value))).collect::<Item>());
            let answer = self
                .client
                .scan()
                .table_name(&self.name)
                .index_name(PENDING)
                .filter_expression("pending_since < :before")
                .expression_attribute_values(":before", moment(before))
                .set_exclusive_start_key(from)
                .send()
                .await
                .map_err(|error| wrap("dynamodb:Scan", &error))?;
            page.records.extend(answer.items().iter().filter_map(readable));
            page.next = answer.last_evaluated_key().filter(|key| !key.is_empty()).map(|key| {
                let names = key.iter().filter_map(|(name, value)| Some((name.clone(), value.as_s().ok()?.clone())));
                PendingPosition(names.collect())
            });
            if page.next.is_none() || page.records.len() >= limit {
                return Ok(page);
            }
        }
    }

    async fn open_in(&self, account: &AccountId) -> Result<Vec<Versioned<Record>>> {
        self.indexed(OPEN, "open_account", account.as_str()).await
    }

    async fn accounts(&self) -> Result<BTreeSet<AccountId>> {
        let mut pages = self
            .client
            .scan()
            .table_name(&self.name)
            .index_name(OPEN)
            .projection_expression("open_account")
            .into_paginator()
            .items()
            .send();
        let mut accounts = BTreeSet::new();
        while let Some(item) = pages.next().await {
            let item = item.map_err(|error| wrap("dynamodb:Scan", &error))?;
            accounts.extend(read_text(&item, "open_account").and_then(|account| AccountId::parse(account).ok()));
        }
        Ok(accounts)
    }
}

/// The record of an item. One that another version has written, in a form that this one does not know, must not stop all others.
fn readable(item: &Item) -> Option<Versioned<Record>> {
    let key = || (read_text(item, "pk").unwrap_or_default(), read_text(item, "sk").unwrap_or_default());
    record(item).inspect_err(|error| error!(%error, key = ?key(), "a record cannot be read")).ok()
}

fn record(item: &Item) -> Result<Versioned<Record>> {
    Ok(Versioned { value: read_document(item)?, version: read_version(item) })
}

fn place(key: &Key) -> Place {
    (format!("violation#{}#{}", key.account, key.region), key.sort_key())
}

fn item(record: &Record, now: Timestamp) -> Result<Item> {
    let (partition, sort) = place(&record.key);
    let mut item = key(&partition, &sort);
    item.insert("document".into(), document(record)?);
    if let Some(since) = record.pending_since() {
        item.insert("pending_group".into(), text(record.key.group().to_string()));
        item.insert("pending_since".into(), moment(since));
    }
    match record.status {
        Status::Open => {
            item.insert("open_account".into(), text(record.key.account.as_str()));
            item.insert("open_since".into(), moment(record.since.unwrap_or(record.ordering.triggered)));
        }
        Status::Closed if record.owed.is_empty() => {
            // Of the machine's clock, as the table's: a sweep as of another day must not have records removed early.
            item.insert("expires_at".into(), number(now.as_second().saturating_add(CLOSED_KEPT_SECONDS)));
        }
        Status::Closed => {}
    }
    Ok(item)
}
