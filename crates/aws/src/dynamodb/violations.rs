//! Violations. Partition `violation#<account>#<region>`, one item for each violation. A record with pending deliveries is in the
//! sparse index `pending` by its group, an open one in `open` by its account. A closed record without pending deliveries expires.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tracing::error;

use app::ports::{Clock, Result, Versioned};
use app::violations::{PendingPage, PendingPosition, ViolationStore};
use domain::violation::{ViolationGroup, ViolationKey, ViolationRecord, ViolationStatus};
use framework::ids::AccountId;

use super::{
    ItemKey, StateTable, TableItem, document_item, moment, number, read_document, read_text, read_version, text,
};
use crate::clock::SystemClock;
use crate::error::wrap;

/// Time to live of closed records, by which late events and regressions are recognized.
const CLOSED_TTL_SECONDS: i64 = 90 * 24 * 60 * 60;
const PENDING: &str = "pending";
const OPEN: &str = "open";

impl StateTable {
    async fn indexed(&self, index: &str, attribute: &str, value: &str) -> Result<Vec<Versioned<ViolationRecord>>> {
        let query = self.client.query().table_name(&self.name).index_name(index);
        let query = query.key_condition_expression("#key = :value").expression_attribute_names("#key", attribute);
        let query = query.expression_attribute_values(":value", text(value));
        let mut items = query.into_paginator().items().send();
        let mut records = Vec::new();
        while let Some(item) = items.try_next().await.map_err(wrap("dynamodb:Query"))? {
            records.extend(readable(&item));
        }
        Ok(records)
    }
}

impl ViolationStore for StateTable {
    async fn read(&self, keys: &[ViolationKey]) -> Result<BTreeMap<ViolationKey, Versioned<ViolationRecord>>> {
        let mut records = BTreeMap::new();
        for item in self.items(keys.iter().map(item_key)).await? {
            // An unreadable record is skipped: only its own changes then fail, with a version conflict.
            records.extend(readable(&item).map(|record| (record.value.key.clone(), record)));
        }
        Ok(records)
    }

    async fn put(&self, record: &Versioned<ViolationRecord>) -> Result<u64> {
        self.put_version(item(&record.value, SystemClock.now())?, record.version).await
    }

    async fn pending_for(&self, group: &ViolationGroup) -> Result<Vec<Versioned<ViolationRecord>>> {
        self.indexed(PENDING, "pending_group", &group.to_string()).await
    }

    async fn pending(&self, before: Timestamp, position: Option<PendingPosition>, limit: usize) -> Result<PendingPage> {
        let mut page = PendingPage { records: Vec::new(), next: position };
        loop {
            // All groups, so a scan. The index is nearly empty.
            let start = page.next.take().map(|PendingPosition(key)| {
                key.into_iter().map(|(name, value)| (name, text(value))).collect::<TableItem>()
            });
            let scan = self.client.scan().table_name(&self.name).index_name(PENDING).set_exclusive_start_key(start);
            let scan = scan.filter_expression("pending_since < :before");
            let scan = scan.expression_attribute_values(":before", moment(before));
            let response = scan.send().await.map_err(wrap("dynamodb:Scan"))?;
            page.records.extend(response.items().iter().filter_map(readable));
            page.next = response.last_evaluated_key().filter(|key| !key.is_empty()).map(|key| {
                let names = key.iter().filter_map(|(name, value)| Some((name.clone(), value.as_s().ok()?.clone())));
                PendingPosition(names.collect())
            });
            if page.next.is_none() || page.records.len() >= limit {
                return Ok(page);
            }
        }
    }

    async fn open_in(&self, account: &AccountId) -> Result<Vec<Versioned<ViolationRecord>>> {
        self.indexed(OPEN, "open_account", account.as_str()).await
    }

    async fn accounts(&self) -> Result<BTreeSet<AccountId>> {
        let scan = self.client.scan().table_name(&self.name).index_name(OPEN).projection_expression("open_account");
        let mut items = scan.into_paginator().items().send();
        let mut accounts = BTreeSet::new();
        while let Some(item) = items.try_next().await.map_err(wrap("dynamodb:Scan"))? {
            accounts.extend(read_text(&item, "open_account").and_then(|account| AccountId::parse(account).ok()));
        }
        Ok(accounts)
    }
}

/// The record of an item. One in the format of another version is logged and skipped, so that others are still processed.
fn readable(item: &TableItem) -> Option<Versioned<ViolationRecord>> {
    let key = || (read_text(item, "pk").unwrap_or_default(), read_text(item, "sk").unwrap_or_default());
    let record =
        read_document(item).inspect_err(|error| error!(%error, key = ?key(), "violation record cannot be read"));
    Some(Versioned { value: record.ok()?, version: read_version(item) })
}

fn item_key(key: &ViolationKey) -> ItemKey {
    (format!("violation#{}#{}", key.account, key.region), key.sort_key())
}

fn item(record: &ViolationRecord, now: Timestamp) -> Result<TableItem> {
    let (partition, sort) = item_key(&record.key);
    let mut item = document_item(&partition, &sort, record)?;
    if let Some(since) = record.next_delivery() {
        item.insert("pending_group".into(), text(record.key.group().to_string()));
        item.insert("pending_since".into(), moment(since));
    }
    match record.status {
        ViolationStatus::Open => {
            item.insert("open_account".into(), text(record.key.account.as_str()));
            item.insert("open_since".into(), moment(record.since.unwrap_or(record.ordering.triggered)));
        }
        ViolationStatus::Closed if record.pending.is_empty() => {
            // By the machine's clock, as DynamoDB's time to live: a sweep as of another day must not expire records early.
            item.insert("expires_at".into(), number(now.as_second().saturating_add(CLOSED_TTL_SECONDS)));
        }
        ViolationStatus::Closed => {}
    }
    Ok(item)
}
