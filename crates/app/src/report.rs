//! The use case of `report`: records compliance changes as violations and delivers notices of their transitions.
//!
//! A batch is parsed, stored with its pending deliveries, delivered, and stored again without them. A crash at any point leads to a
//! second notice at worst, never to a lost one. The first notice about an account and control is delivered at once and opens a digest
//! window. Later ones are buffered and delivered as one digest when the window ends.

pub mod ports;
mod replay;

pub(crate) use replay::Replay;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::iter;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tracing::{error, info, warn};

use domain::policy::Reporting;
use domain::violation::{
    Channel, ComplianceChange, DetectionSource, ResourceDetails, ViolationGroup, ViolationKey, ViolationRecord,
};

use crate::delivery::{DeliveryCounts, NoticeDelivery, PARALLEL_WRITES, PendingRecord, repeated_conflict};
use crate::events::{BatchMessage, EventError, ReportRequest, report_request};
use crate::in_force::{InForce, PolicyDirectory};
use crate::ports::{Clock, PortErrorKind, Result, Versioned};
use crate::report::ports::{DigestWindow, ReportEnv, ReportQueue, WindowStore};
use crate::violations::{NotificationChannels, ResourceDirectory, ResourceId, ViolationStore};

/// Attempts to store a record that other writers change.
const ATTEMPTS: usize = 3;
/// Delay of a flush after the end of its digest window.
const FLUSH_DELAY: SignedDuration = SignedDuration::from_secs(1);

/// The use case.
#[derive(Debug)]
pub struct Report<E: ReportEnv> {
    /// Violation records and digest windows.
    pub store: E::Store,
    /// Delivers notices.
    pub channels: E::Channels,
    /// The policy in force.
    pub directory: E::Directory,
    /// Names and tags of resources, and backup plans.
    pub resources: E::Resources,
    /// The queue that feeds this function.
    pub queue: E::Queue,
    /// The time.
    pub clock: E::Clock,
    /// Length of a digest window. Zero disables buffering.
    pub digest_window: Duration,
}

/// The result of a batch, whose counts become metrics.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchSummary {
    /// Counts of deliveries.
    #[serde(flatten)]
    pub deliveries: DeliveryCounts,
    /// Transitions of exempt violations, which are recorded but not delivered.
    pub exempt: usize,
    /// Changes that were known, or older than the record.
    pub duplicates: usize,
    /// Events that are not addressed to this application.
    pub ignored: usize,
    /// Invalid messages, sent to the dead-letter queue with the reason.
    pub dead_lettered: usize,
    /// Number of messages to redeliver.
    pub retried: usize,
    /// Ids of the messages to redeliver.
    #[serde(skip)]
    pub failed: BTreeSet<String>,
    /// Reasons of failures.
    pub failures: Vec<String>,
}

/// The changes of one violation, oldest first, each with the id of its message.
type Changes = Vec<(ComplianceChange, String)>;

/// A parsed batch: changes by violation, and flush messages by group.
#[derive(Default)]
struct ParsedBatch {
    by_key: BTreeMap<ViolationKey, Changes>,
    flushes: BTreeMap<ViolationGroup, BTreeSet<String>>,
}

impl<E: ReportEnv> Report<E> {
    /// Processes a batch. The failure of a message does not affect others.
    pub async fn handle(&self, messages: &[BatchMessage]) -> BatchSummary {
        let mut reported = BatchSummary::default();
        let mut batch = self.parse(messages, &mut reported).await;
        if batch.by_key.is_empty() && batch.flushes.is_empty() {
            return reported;
        }
        // Without the policy, exempt violations would be reported: the messages are redelivered instead.
        let in_force = match self.directory.in_force().await {
            Ok(in_force) => in_force,
            Err(error) => {
                let messages = batch.by_key.into_values().flatten().map(|(_, message)| message);
                reported.fail(messages.chain(batch.flushes.into_values().flatten()), &error.to_string());
                return reported;
            }
        };
        batch.by_key.retain(|key, changes| {
            let is_known = in_force.reports_on(&key.account);
            if !is_known {
                info!(account = %key.account, events = changes.len(), "ignored: the account is neither in the organization nor a target");
                reported.ignored = reported.ignored.saturating_add(changes.len());
            }
            is_known
        });
        let reporting = in_force.reporting();
        let now = self.clock.now();
        let mut records = self.record(batch.by_key, &in_force, &reporting, now, &mut reported).await;
        let flushed = self.flush(batch.flushes, &mut records, now, &mut reported).await;
        let buffered = self.buffered(&records, &flushed, now, &mut reported).await;
        let (store, channels, resources) = (&self.store, &self.channels, &self.resources);
        let (in_force, reporting) = (&in_force, &reporting);
        let delivery = NoticeDelivery::<E> { store, channels, resources, in_force, reporting, now, only_due: false };
        for undelivered in delivery.deliver(records, &buffered, &mut reported.deliveries).await {
            reported.fail(undelivered.messages, &undelivered.reason);
        }
        reported
    }

    /// Parses a batch. Invalid messages are dead-lettered with the reason.
    async fn parse(&self, messages: &[BatchMessage], reported: &mut BatchSummary) -> ParsedBatch {
        let mut batch = ParsedBatch::default();
        for message in messages {
            let request =
                message.event.as_ref().map_err(|reason| EventError::Invalid(reason.clone())).and_then(report_request);
            match request {
                Ok(ReportRequest::Change(change)) => {
                    batch.by_key.entry(change.key.clone()).or_default().push((*change, message.id.clone()));
                }
                Ok(ReportRequest::Flush(group)) => {
                    batch.flushes.entry(group).or_default().insert(message.id.clone());
                }
                Err(EventError::Foreign(reason)) => {
                    info!(message = message.id, reason, "message ignored");
                    reported.ignored = reported.ignored.saturating_add(1);
                }
                Err(EventError::Invalid(reason)) => {
                    error!(message = message.id, reason, "invalid message");
                    // A direct invocation has no message id and returns the reason as its error.
                    if message.id.is_empty() {
                        reported.fail([String::new()], &reason);
                        continue;
                    }
                    match self.queue.dead_letter(&message.body, &reason).await {
                        Ok(()) => reported.dead_lettered = reported.dead_lettered.saturating_add(1),
                        Err(error) => {
                            warn!(message = message.id, %error, "message not dead-lettered, SQS does so after its last receive");
                            reported.fail([message.id.clone()], &reason);
                        }
                    }
                }
            }
        }
        for changes in batch.by_key.values_mut() {
            changes.sort_by_key(|(change, _)| change.ordering);
        }
        batch
    }

    /// Applies changes and stores the records. Returns the records that may have pending deliveries.
    async fn record(
        &self,
        by_key: BTreeMap<ViolationKey, Changes>,
        in_force: &InForce,
        reporting: &Reporting,
        now: Timestamp,
        reported: &mut BatchSummary,
    ) -> Vec<PendingRecord> {
        if by_key.is_empty() {
            return Vec::new();
        }
        let keys: Vec<ViolationKey> = by_key.keys().cloned().collect();
        let mut known = match self.store.read(&keys).await {
            Ok(known) => known,
            Err(error) => {
                reported.fail(by_key.into_values().flatten().map(|(_, message)| message), &error.to_string());
                return Vec::new();
            }
        };
        let opening = by_key
            .iter()
            .filter(|(key, changes)| {
                let known = known.get(*key).map(|known| &known.value);
                Replay::opens(known, changes.iter().map(|(change, _)| change))
            })
            .map(|(key, _)| key);
        let resources = look_up(&self.resources, opening).await;
        let channels = &self.channels.enabled();
        let replay = &Replay { in_force, reporting, channels, detected_by: DetectionSource::Event, now };
        let work = by_key.into_iter().map(|(key, changes)| {
            let (known, resource) = (known.remove(&key), resources.get(&key));
            async move {
                let stored = self.record_one(replay, &key, known, &changes, resource).await;
                let messages: BTreeSet<String> = changes.into_iter().map(|(_, message)| message).collect();
                (stored, messages)
            }
        });
        let mut work = iter(work).buffer_unordered(PARALLEL_WRITES);
        let mut records = Vec::new();
        while let Some((stored, messages)) = work.next().await {
            match stored {
                Ok(stored) => {
                    reported.duplicates = reported.duplicates.saturating_add(stored.duplicates);
                    reported.exempt = reported.exempt.saturating_add(stored.exempt);
                    records.extend(stored.record.map(|record| PendingRecord { record, messages }));
                }
                Err(error) => reported.fail(messages, &error.to_string()),
            }
        }
        records
    }

    async fn record_one(
        &self,
        replay: &Replay<'_>,
        key: &ViolationKey,
        mut known: Option<Versioned<ViolationRecord>>,
        changes: &Changes,
        resource: Option<&ResourceDetails>,
    ) -> Result<StoredChanges> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let before = known.as_ref().map(|known| &known.value);
            let replayed = replay.apply(before, changes.iter().map(|(change, _)| change), resource);
            let duplicates = replayed.duplicates;
            let Some(value) = replayed.record else {
                // An earlier attempt may have ended before its deliveries.
                return Ok(StoredChanges { record: known, duplicates, exempt: 0 });
            };
            let pending_before = before.map_or(0, |before| before.pending.len());
            let exempt = if value.pending.len() > pending_before { 0 } else { replayed.transitions };
            let record = Versioned { value, version: known.as_ref().map_or(0, |known| known.version) };
            match self.store.put(&record).await {
                Ok(version) => {
                    return Ok(StoredChanges { record: Some(Versioned { version, ..record }), duplicates, exempt });
                }
                Err(error) if error.kind == PortErrorKind::Conflict => {
                    info!(violation = %key, "record changed concurrently, reading it again");
                    known = self.store.read(std::slice::from_ref(key)).await?.remove(key);
                    last = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(repeated_conflict))
    }

    /// Adds the buffered records of groups whose digest window has ended. Returns the groups.
    async fn flush(
        &self,
        flushes: BTreeMap<ViolationGroup, BTreeSet<String>>,
        records: &mut Vec<PendingRecord>,
        now: Timestamp,
        reported: &mut BatchSummary,
    ) -> BTreeSet<ViolationGroup> {
        let mut flushed = BTreeSet::new();
        for (group, messages) in flushes {
            let pending = match self.store.pending_for(&group).await {
                Ok(pending) => pending,
                Err(error) => {
                    reported.fail(messages, &error.to_string());
                    continue;
                }
            };
            // Records of this batch are newer than their copies in the index. Claimed records are delivered by the sweep.
            let stored: BTreeSet<ViolationKey> =
                records.iter().map(|pending| pending.record.value.key.clone()).collect();
            let pending = pending.into_iter().filter(|record| {
                let is_claimed = record.value.delivery_claimed_until.is_some_and(|until| until > now);
                !is_claimed && !stored.contains(&record.value.key)
            });
            records.extend(pending.map(|record| PendingRecord { record, messages: messages.clone() }));
            flushed.insert(group);
        }
        flushed
    }

    /// Returns the groups with an open digest window, and requests the flush at its end.
    async fn buffered(
        &self,
        records: &[PendingRecord],
        flushed: &BTreeSet<ViolationGroup>,
        now: Timestamp,
        reported: &mut BatchSummary,
    ) -> BTreeSet<ViolationGroup> {
        let mut buffered = BTreeSet::new();
        let Some(length) = SignedDuration::try_from(self.digest_window).ok().filter(|length| length.is_positive())
        else {
            return buffered;
        };
        let mut groups: BTreeMap<ViolationGroup, Vec<&PendingRecord>> = BTreeMap::new();
        for pending in records {
            let record = &pending.record.value;
            if [Channel::Topic, Channel::Chat].into_iter().any(|topic| record.pending_for(topic).next().is_some()) {
                groups.entry(record.key.group()).or_default().push(pending);
            }
        }
        let names: Vec<ViolationGroup> = groups.keys().cloned().collect();
        if names.is_empty() {
            return buffered;
        }
        let windows = match self.store.windows(&names).await {
            Ok(windows) => windows,
            Err(error) => {
                reported.fail(groups.into_values().flat_map(messages), &error.to_string());
                return names.into_iter().collect();
            }
        };
        let until = now.checked_add(length).unwrap_or(now);
        for (group, pending) in groups {
            let window = windows.get(&group).filter(|window| window.until > now).copied();
            match self.is_buffered(&group, window, flushed.contains(&group), now, until).await {
                Ok(false) => {}
                Ok(true) => drop(buffered.insert(group)),
                Err(error) => {
                    reported.fail(messages(pending), &error.to_string());
                    buffered.insert(group);
                }
            }
        }
        buffered
    }

    async fn is_buffered(
        &self,
        group: &ViolationGroup,
        window: Option<DigestWindow>,
        is_flush: bool,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool> {
        let window = match window {
            // A flush may be slightly early. A late one must not end the window that another notice has opened meanwhile.
            Some(window) if is_flush && window.until.duration_since(now) <= FLUSH_DELAY => return Ok(false),
            Some(window) => window,
            None if self.store.open_window(group, now, until).await? => {
                // Records that another invocation stores at this moment are delivered at the end of the new window.
                if is_flush {
                    self.request_flush(group, now, until).await?;
                }
                return Ok(false);
            }
            // Another invocation has just opened the window.
            None => DigestWindow { until, is_flush_requested: false },
        };
        if !window.is_flush_requested {
            self.request_flush(group, now, window.until).await?;
        }
        Ok(true)
    }

    async fn request_flush(&self, group: &ViolationGroup, now: Timestamp, until: Timestamp) -> Result<()> {
        let delay = until.duration_since(now).saturating_add(FLUSH_DELAY);
        // The flush message is sent before the window records it: a duplicate message is harmless.
        self.queue.request_flush(group, Duration::try_from(delay).unwrap_or_default()).await?;
        self.store.record_flush_request(group, until).await
    }
}

/// The stored changes of one violation.
struct StoredChanges {
    record: Option<Versioned<ViolationRecord>>,
    duplicates: usize,
    exempt: usize,
}

/// Looks up the resources of violations in AWS Config. After an error the notices are sent without names and tags.
pub(crate) async fn look_up<'k>(
    directory: &impl ResourceDirectory,
    keys: impl Iterator<Item = &'k ViolationKey>,
) -> BTreeMap<ViolationKey, ResourceDetails> {
    let mut by_resource: BTreeMap<ResourceId, Vec<&ViolationKey>> = BTreeMap::new();
    for key in keys {
        by_resource.entry(resource_id(key)).or_default().push(key);
    }
    if by_resource.is_empty() {
        return BTreeMap::new();
    }
    let ids: Vec<ResourceId> = by_resource.keys().cloned().collect();
    let found = directory.look_up(&ids).await.unwrap_or_else(|error| {
        warn!(%error, "names and tags of resources not read");
        BTreeMap::new()
    });
    let known = by_resource.into_iter().filter_map(|(id, keys)| found.get(&id).map(|facts| (keys, facts)));
    known.flat_map(|(keys, facts)| keys.into_iter().map(move |key| (key.clone(), facts.clone()))).collect()
}

fn messages(of: Vec<&PendingRecord>) -> impl Iterator<Item = String> {
    of.into_iter().flat_map(|pending| pending.messages.iter().cloned())
}

/// The resource of a violation.
pub(crate) fn resource_id(key: &ViolationKey) -> ResourceId {
    ResourceId {
        account: key.account.clone(),
        region: key.region.clone(),
        kind: key.resource_type.clone(),
        id: key.resource_id.clone(),
    }
}

impl BatchSummary {
    fn fail(&mut self, messages: impl IntoIterator<Item = String>, reason: &str) {
        let messages: Vec<String> = messages.into_iter().collect();
        // The command `redrive` finds this line by a message id.
        error!(reason, ?messages, "messages failed and are redelivered");
        self.failed.extend(messages);
        self.retried = self.failed.len();
        self.failures.push(reason.to_owned());
    }
}
