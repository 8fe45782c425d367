//! The use case of `inventory`: keeps an inventory of the organization that is at most about a day old.
//!
//! An invocation reads until its time is up and stores the completed reads; the next one resumes. Concurrent invocations do no harm: a
//! partial inventory whose first read precedes the stored inventory is dropped.

use std::future::Future;
use std::pin::pin;

use futures_util::future::{Either, select};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;
use tracing::{info, warn};

use super::partial::{EarlierReads, ReadRequest};
use super::ports::{InventoryStore, MemberBackup, RecordedInventory};
use super::{CompletedRead, InventoryError, InventoryOutcome, ReadFailure, ReadOptions, read};
use crate::ports::{Clock, PortError, PortErrorKind, Result};

/// The age of a stored inventory from which it is renewed. Less than a day, so that hourly invocations renew it every night.
const FRESH: SignedDuration = SignedDuration::from_hours(20);
/// Failures in the response, which is logged; the document has all of them.
const NAMED: usize = 20;

/// The adapters of [`InventoryRenewal`].
pub trait InventoryEnv {
    /// The bucket of the application.
    type Store: InventoryStore;
    /// The aggregator.
    type Aggregator: RecordedInventory;
    /// AWS Backup in member accounts.
    type Members: MemberBackup;
    /// The time.
    type Clock: Clock;
}

/// The use case.
#[derive(Debug)]
pub struct InventoryRenewal<E: InventoryEnv> {
    /// The scope and sources.
    pub request: ReadRequest,
    /// The number of locations to read concurrently.
    pub jobs: usize,
    /// The stored inventory.
    pub store: E::Store,
    /// The aggregator.
    pub aggregator: E::Aggregator,
    /// AWS Backup in member accounts; `None` reads the aggregator only.
    pub members: Option<E::Members>,
    /// The time.
    pub clock: E::Clock,
}

/// The end of an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RenewalEnd {
    /// The stored inventory is recent enough.
    Fresh,
    /// The time is up, and the completed reads are stored.
    Stopped,
    /// A new inventory is stored.
    Stored,
}

/// The result of an invocation, whose counts become metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RenewalSummary {
    /// The end.
    pub end: RenewalEnd,
    /// Stored inventories: 0 or 1.
    pub stored: usize,
    /// Accounts and Regions that this invocation has read.
    pub locations: usize,
    /// Failed reads of a stored inventory, which names the parts.
    pub failed_reads: usize,
    /// Seconds since the newest inventory was stored; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_since_stored: Option<u64>,
    /// The first of the failed reads.
    pub failures: Vec<String>,
}

/// Validates the event of an inventory. The error describes the expected event.
pub fn check_event(event: &Value) -> Result<(), String> {
    let is = |key: &str, expected: &str| event.get(key).and_then(Value::as_str) == Some(expected);
    if is("source", "backup-compliance.schedule") && is("task", "inventory") {
        return Ok(());
    }
    Err("not an event of the inventory: `{\"source\": \"backup-compliance.schedule\", \"task\": \"inventory\"}` is expected".into())
}

/// The completed reads of a run, as text.
struct KeptReads {
    text: String,
    /// Without those of earlier invocations.
    parts: usize,
    locations: usize,
}

impl KeptReads {
    fn keep(&mut self, part: &CompletedRead) -> Result<(), String> {
        self.text.push_str(&part.line().map_err(|error| error.to_string())?);
        self.parts = self.parts.saturating_add(1);
        if matches!(part, CompletedRead::Location(_)) {
            self.locations = self.locations.saturating_add(1);
        }
        Ok(())
    }
}

impl<E: InventoryEnv> InventoryRenewal<E> {
    /// Renews the inventory, unless it is fresh. When `stop` completes, the completed reads are stored for the next invocation.
    pub async fn run(&self, stop: impl Future<Output = ()>) -> Result<RenewalSummary> {
        let now = self.clock.now();
        let listing = self.store.listing().await?;
        let earlier = if listing.has_partial { self.earlier(now, listing.stored_at).await? } else { None };
        let age = listing.stored_at.map(|at| now.duration_since(at));
        if earlier.is_none() && age.is_some_and(|age| age < FRESH) {
            if listing.has_partial {
                self.store.remove_partial().await?;
            }
            return Ok(RenewalSummary::new(RenewalEnd::Fresh, age));
        }
        let (text, began, parts) = earlier.unwrap_or_else(|| (self.request.first_line(now), now, Vec::new()));
        info!(%began, earlier = parts.len(), "reading the organization");
        let mut kept = KeptReads { text, parts: 0, locations: 0 };
        let options = ReadOptions { scope: self.request.scope.clone(), jobs: self.jobs };
        let read = {
            let keep = |part: &CompletedRead| kept.keep(part);
            let reading = read(&self.aggregator, self.members.as_ref(), &options, (began, parts), keep, |_| ());
            // Boxed, since the future of a read is large.
            match select(Box::pin(reading), pin!(stop)).await {
                Either::Left((read, _)) => Some(read),
                Either::Right(_) => None,
            }
        };
        match read {
            Some(Ok(outcome)) => self.store_document(&outcome, &kept, listing.has_partial).await,
            Some(Err(InventoryError::Aggregator(error))) => Err(error),
            Some(Err(InventoryError::Store(message))) => Err(unwritten(message)),
            None => {
                if kept.parts > 0 {
                    self.store.put_partial(&kept.text).await?;
                } else {
                    warn!("no read was completed within the time of this invocation");
                }
                info!(parts = kept.parts, locations = kept.locations, "time is up, the next invocation resumes");
                let locations = kept.locations;
                Ok(RenewalSummary { locations, ..RenewalSummary::new(RenewalEnd::Stopped, age) })
            }
        }
    }

    /// Reads the partial inventory, and returns it if it is to be resumed.
    async fn earlier(
        &self,
        now: Timestamp,
        stored_at: Option<Timestamp>,
    ) -> Result<Option<(String, Timestamp, Vec<CompletedRead>)>> {
        let Some(mut text) = self.store.partial().await? else { return Ok(None) };
        match self.request.resume(&text, now) {
            // An invocation that was slower than another one, or ended before it removed the partial inventory.
            Ok(EarlierReads { began, .. }) if stored_at.is_some_and(|at| began <= at) => {
                info!(%began, "the partial inventory is dropped: a later one is stored");
                Ok(None)
            }
            Ok(EarlierReads { began, parts, length }) => {
                text.truncate(length);
                Ok(Some((text, began, parts)))
            }
            Err(fault) => {
                warn!(%fault, "the partial inventory is dropped");
                Ok(None)
            }
        }
    }

    async fn store_document(
        &self,
        InventoryOutcome { document, failures }: &InventoryOutcome,
        kept: &KeptReads,
        has_partial: bool,
    ) -> Result<RenewalSummary> {
        let text = serde_json::to_string(document).map_err(|error| unwritten(error.to_string()))?;
        self.store.put_newest(&text).await?;
        if has_partial && let Err(error) = self.store.remove_partial().await {
            // The next invocation drops it.
            warn!(%error, "the partial inventory was not removed");
        }
        let end = RenewalSummary::new(RenewalEnd::Stored, Some(SignedDuration::ZERO));
        let (locations, failed_reads) = (kept.locations, failures.len());
        Ok(RenewalSummary {
            locations,
            failed_reads,
            failures: failures.iter().take(NAMED).map(described).collect(),
            ..end
        })
    }
}

impl RenewalSummary {
    fn new(end: RenewalEnd, age: Option<SignedDuration>) -> Self {
        let seconds_since_stored = age.map(|age| u64::try_from(age.as_secs()).unwrap_or_default());
        let stored = usize::from(end == RenewalEnd::Stored);
        Self { end, stored, locations: 0, failed_reads: 0, seconds_since_stored, failures: Vec::new() }
    }
}

fn described(failure: &ReadFailure) -> String {
    let ReadFailure { location, subject, message, .. } = failure;
    match location {
        Some((account, region)) => format!("{account}/{region}: {subject}: {message}"),
        None => format!("{subject}: {message}"),
    }
}

fn unwritten(message: String) -> PortError {
    PortError { operation: "s3:PutObject", code: None, message, request_id: None, kind: PortErrorKind::Rejected }
}
