//! The use case of `report`: records compliance changes as violations and delivers notices of their transitions.
//!
//! The first notice about an account and control is delivered at once and opens a digest window. Later ones are buffered and delivered
//! as one digest when the window ends.

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

use domain::violation::{
    Channel, ComplianceChange, DetectionSource, ResourceDetails, ViolationGroup, ViolationKey, ViolationRecord,
};

use crate::delivery::{DeliveryCounts, NoticeDelivery, PARALLEL_WRITES, PendingRecord, Plans};
use crate::events::{BatchMessage, EventError, ReportRequest, report_request};
use crate::in_force::{PolicyContext, PolicyDirectory as _};
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
    /// Violation records, digest windows and the policy in force.
    pub store: E::Store,
    /// Delivers notices.
    pub channels: E::Channels,
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

struct BatchRun<'a, E: ReportEnv> {
    report: &'a Report<E>,
    context: PolicyContext<'a>,
    summary: BatchSummary,
}

impl<E: ReportEnv> Report<E> {
    /// Processes a batch. The failure of a message does not affect others.
    pub async fn handle(&self, messages: &[BatchMessage]) -> BatchSummary {
        let mut summary = BatchSummary::default();
        let mut batch = self.parse(messages, &mut summary).await;
        if batch.by_key.is_empty() && batch.flushes.is_empty() {
            return summary;
        }
        // Without the policy, exempt violations would be reported: the messages are redelivered instead.
        let messages = batch.by_key.values().flatten().map(|(_, message)| message);
        let messages = messages.chain(batch.flushes.values().flatten());
        let Some(in_force) = summary.check(self.store.in_force().await, messages) else { return summary };
        batch.by_key.retain(|key, changes| {
            let is_known = in_force.reports_on(&key.account);
            if !is_known {
                info!(account = %key.account, events = changes.len(), "ignored: the account is neither in the organization nor a target");
                summary.ignored += changes.len();
            }
            is_known
        });
        let (reporting, channels, now) = (in_force.reporting(), self.channels.enabled(), self.clock.now());
        let context = PolicyContext { in_force: &in_force, reporting: &reporting, channels: &channels, now };
        let mut run = BatchRun { report: self, context, summary };
        let mut records = run.record(batch.by_key).await;
        let flushed = run.flush(batch.flushes, &mut records).await;
        let buffered = run.buffered(&records, &flushed).await;
        let Self { store, channels, resources, .. } = self;
        let (buffered, plans) = (&buffered, Plans::new());
        let delivery = NoticeDelivery::<E> { store, channels, resources, context, only_due: false, buffered, plans };
        for (messages, reason) in delivery.deliver(records, &mut run.summary.deliveries).await {
            run.summary.fail(messages, &reason);
        }
        run.summary
    }

    /// Parses a batch. Invalid messages are dead-lettered with the reason.
    async fn parse(&self, messages: &[BatchMessage], summary: &mut BatchSummary) -> ParsedBatch {
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
                    summary.ignored += 1;
                }
                Err(EventError::Invalid(reason)) => {
                    error!(message = message.id, reason, "invalid message");
                    // A direct invocation has no message id and returns the reason as its error.
                    if message.id.is_empty() {
                        summary.fail([String::new()], &reason);
                        continue;
                    }
                    match self.queue.dead_letter(&message.body, &reason).await {
                        Ok(()) => summary.dead_lettered += 1,
                        Err(error) => {
                            warn!(message = message.id, %error, "message not dead-lettered, SQS does so after its last receive");
                            summary.fail([message.id.clone()], &reason);
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

    async fn record_one(
        &self,
        replay: &Replay<'_>,
        key: &ViolationKey,
        mut known: Option<Versioned<ViolationRecord>>,
        changes: &Changes,
        resource: Option<&ResourceDetails>,
    ) -> Result<StoredChanges> {
        let mut attempts = 0;
        loop {
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
                    attempts += 1;
                    if attempts == ATTEMPTS {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
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

impl<E: ReportEnv> BatchRun<'_, E> {
    /// Applies changes and stores the records. Returns the records that may have pending deliveries.
    async fn record(&mut self, by_key: BTreeMap<ViolationKey, Changes>) -> Vec<PendingRecord> {
        if by_key.is_empty() {
            return Vec::new();
        }
        let (report, context, summary) = (self.report, self.context, &mut self.summary);
        let keys: Vec<ViolationKey> = by_key.keys().cloned().collect();
        let messages = by_key.values().flatten().map(|(_, message)| message);
        let Some(mut known) = summary.check(report.store.read(&keys).await, messages) else { return Vec::new() };
        let opening = by_key.iter().filter(|(key, changes)| {
            let known = known.get(*key).map(|known| &known.value);
            Replay::opens(known, changes.iter().map(|(change, _)| change))
        });
        let resources = look_up(&report.resources, opening.map(|(key, _)| key)).await;
        let replay = &Replay { context, detected_by: DetectionSource::Event };
        let work = by_key.into_iter().map(|(key, changes)| {
            let (known, resource) = (known.remove(&key), resources.get(&key));
            async move {
                let stored = report.record_one(replay, &key, known, &changes, resource).await;
                (stored, changes.into_iter().map(|(_, message)| message).collect::<BTreeSet<String>>())
            }
        });
        let mut work = iter(work).buffer_unordered(PARALLEL_WRITES);
        let mut records = Vec::new();
        while let Some((stored, messages)) = work.next().await {
            let Some(stored) = summary.check(stored, &messages) else { continue };
            summary.duplicates += stored.duplicates;
            summary.exempt += stored.exempt;
            records.extend(stored.record.map(|record| PendingRecord::new(record, messages)));
        }
        records
    }

    /// Adds the buffered records of groups whose digest window has ended. Returns the groups.
    async fn flush(
        &mut self,
        flushes: BTreeMap<ViolationGroup, BTreeSet<String>>,
        records: &mut Vec<PendingRecord>,
    ) -> BTreeSet<ViolationGroup> {
        let mut flushed = BTreeSet::new();
        for (group, messages) in flushes {
            let read = self.report.store.pending_for(&group).await;
            let Some(pending) = self.summary.check(read, &messages) else { continue };
            // Records of this batch are newer than their copies in the index. Claimed records are delivered by the sweep.
            let stored: BTreeSet<ViolationKey> =
                records.iter().map(|pending| pending.record.value.key.clone()).collect();
            let pending = pending.into_iter().filter(|Versioned { value, .. }| {
                value.delivery_claimed_until.is_none_or(|until| until <= self.context.now)
                    && !stored.contains(&value.key)
            });
            records.extend(pending.map(|record| PendingRecord::new(record, messages.clone())));
            flushed.insert(group);
        }
        flushed
    }

    /// Returns the groups with an open digest window, and requests the flush at its end.
    async fn buffered(
        &mut self,
        records: &[PendingRecord],
        flushed: &BTreeSet<ViolationGroup>,
    ) -> BTreeSet<ViolationGroup> {
        let (report, now, summary) = (self.report, self.context.now, &mut self.summary);
        let length = SignedDuration::try_from(report.digest_window).unwrap_or_default();
        let mut groups: BTreeMap<ViolationGroup, Vec<&PendingRecord>> = BTreeMap::new();
        for pending in records.iter().filter(|_| length.is_positive()) {
            let record = &pending.record.value;
            if [Channel::Topic, Channel::Chat].into_iter().any(|topic| record.pending_for(topic).next().is_some()) {
                groups.entry(record.key.group()).or_default().push(pending);
            }
        }
        let mut buffered: BTreeSet<ViolationGroup> = groups.keys().cloned().collect();
        if buffered.is_empty() {
            return buffered;
        }
        let messages = groups.values().flatten().flat_map(|pending| &pending.messages);
        let read = report.store.windows(&Vec::from_iter(buffered.iter().cloned())).await;
        let Some(windows) = summary.check(read, messages) else { return buffered };
        let until = now.checked_add(length).unwrap_or(now);
        for (group, pending) in groups {
            let window = windows.get(&group).filter(|window| window.until > now).copied();
            let is_buffered = report.is_buffered(&group, window, flushed.contains(&group), now, until).await;
            if summary.check(is_buffered, pending.iter().flat_map(|pending| &pending.messages)) == Some(false) {
                buffered.remove(&group);
            }
        }
        buffered
    }
}

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
    let keys: Vec<(&ViolationKey, ResourceId)> = keys.map(|key| (key, resource_id(key))).collect();
    let ids: BTreeSet<ResourceId> = keys.iter().map(|(_, id)| id.clone()).collect();
    if ids.is_empty() {
        return BTreeMap::new();
    }
    let found = directory.look_up(&Vec::from_iter(ids)).await.unwrap_or_else(|error| {
        warn!(%error, "names and tags of resources not read");
        BTreeMap::new()
    });
    keys.into_iter().filter_map(|(key, id)| Some((key.clone(), found.get(&id)?.clone()))).collect()
}

pub(crate) fn resource_id(key: &ViolationKey) -> ResourceId {
    ResourceId {
        account: key.account.clone(),
        region: key.region.clone(),
        kind: key.resource_type.clone(),
        id: key.resource_id.clone(),
    }
}

impl BatchSummary {
    /// Returns the value, or `None` after an error, which these messages have failed with.
    fn check<'m, T>(&mut self, result: Result<T>, messages: impl IntoIterator<Item = &'m String>) -> Option<T> {
        result.map_err(|error| self.fail(messages.into_iter().cloned(), &error.to_string())).ok()
    }

    fn fail(&mut self, messages: impl IntoIterator<Item = String>, reason: &str) {
        let messages: Vec<String> = messages.into_iter().collect();
        // The command `redrive` finds this line by a message id.
        error!(reason, ?messages, "messages failed and are redelivered");
        self.failed.extend(messages);
        self.retried = self.failed.len();
        self.failures.push(reason.to_owned());
    }
}
