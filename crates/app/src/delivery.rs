//! Delivers the pending notices of violation records to the channels.
//!
//! A record is stored with its pending deliveries before a channel is called. A delivery is removed from the record, which is stored
//! again, after its channel has accepted the notice. A crash in between leads to a second notice at worst, never to a lost one.

use std::collections::{BTreeMap, BTreeSet};
use std::future::ready;

use futures_util::StreamExt;
use futures_util::stream::iter;
use serde::Serialize;
use tracing::{error, info, warn};

use domain::notice::{Notice, NoticeContext, ViolationDigest, ViolationNotice};
use domain::violation::{Channel, PendingDelivery, Update, ViolationGroup, ViolationKey, ViolationRecord};
use evaluation::inventory::document::Plan;
use framework::ids::Location;

use crate::in_force::PolicyContext;
use crate::ports::{PortErrorKind, Result, Versioned};
use crate::remediation;
use crate::violations::{BackupPlans, NotificationChannels, ViolationEnv, ViolationStore};

pub(crate) const PARALLEL_WRITES: usize = 16;
/// Attempts to store a record that other writers change.
const ATTEMPTS: usize = 4;
/// Accounts and Regions whose backup plans are read for one batch. Notices of larger batches contain no remediation options.
const PLAN_LOCATIONS: usize = 10;
/// The control whose violations an existing backup plan can fix.
const COVERAGE: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN";

#[derive(Debug)]
pub(crate) struct PendingRecord {
    pub(crate) record: Versioned<ViolationRecord>,
    /// Ids of the SQS messages to redeliver if a delivery fails.
    pub(crate) messages: BTreeSet<String>,
    /// Accepted deliveries, and those of disabled channels.
    complete: Vec<(Channel, PendingDelivery)>,
    failed: BTreeMap<Channel, ChannelFailure>,
}

impl PendingRecord {
    pub(crate) fn new(record: Versioned<ViolationRecord>, messages: BTreeSet<String>) -> Self {
        Self { record, messages, complete: Vec::new(), failed: BTreeMap::new() }
    }
}

/// Counts of deliveries, which become metrics.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryCounts {
    /// Transitions that the notification topic has accepted.
    pub delivered: usize,
    /// Messages to the notification topic, single notices and digests.
    pub notices: usize,
    /// Digests among them.
    pub digests: usize,
    /// Transitions that are buffered until their digest window ends.
    pub batched: usize,
    /// Notices that a channel rejected. Their deliveries stay pending, and the sweep retries them.
    pub rejected: usize,
    /// Deliveries that were rejected too often and are not retried. The record contains the reason.
    pub given_up: usize,
    /// Deliveries that the invocation had no time for. The next sweep makes them.
    pub deferred: usize,
}

/// A failed delivery: the SQS messages to redeliver, and the reason.
pub(crate) type FailedDelivery = (BTreeSet<String>, String);

/// Delivers pending notices with the data of the policy in force.
#[derive(Debug)]
pub(crate) struct NoticeDelivery<'a, E: ViolationEnv> {
    pub(crate) store: &'a E::Store,
    pub(crate) channels: &'a E::Channels,
    pub(crate) resources: &'a E::Resources,
    pub(crate) context: PolicyContext<'a>,
    /// For records without SQS messages: only deliveries are made whose retry is due, and every failure is recorded.
    pub(crate) only_due: bool,
    /// Topics get no notices of these groups.
    pub(crate) buffered: &'a BTreeSet<ViolationGroup>,
    /// Backup plans, read before the notices are built.
    pub(crate) plans: Plans,
}

#[derive(Debug)]
struct ChannelFailure {
    deliveries: Vec<PendingDelivery>,
    reason: String,
    /// Whether the channel would reject the same notice again.
    is_rejected: bool,
}

/// A notice for one channel, and the deliveries that it completes with the index of their record.
type PendingNotice = (Notice, Vec<(usize, PendingDelivery)>);

impl<E: ViolationEnv> NoticeDelivery<'_, E> {
    /// Delivers the pending notices of these records to all enabled channels.
    pub(crate) async fn deliver(
        mut self,
        mut records: Vec<PendingRecord>,
        counts: &mut DeliveryCounts,
    ) -> Vec<FailedDelivery> {
        records.retain(|pending| !pending.record.value.pending.is_empty());
        let mut undelivered = Vec::new();
        if records.is_empty() {
            return undelivered;
        }
        self.plans = self.plans(&records).await;
        let enabled = self.context.channels;
        for PendingRecord { record, complete, .. } in &mut records {
            // Deliveries of channels that were disabled meanwhile are complete.
            complete.extend(record.value.pending.iter().flat_map(|delivery| {
                delivery.channels.difference(enabled).map(|channel| (*channel, delivery.clone()))
            }));
        }
        // Topics come last: the import of findings may be slow, and if the invocation ends between a notice and its record, the notice
        // is sent twice.
        let (topics, others): (Vec<Channel>, Vec<Channel>) =
            enabled.iter().copied().partition(|channel| matches!(channel, Channel::Topic | Channel::Chat));
        for channel in others.into_iter().chain(topics) {
            let notices = match channel {
                Channel::Topic | Channel::Chat => self.grouped_notices(channel, &records),
                Channel::SecurityHub | Channel::EventBus => self.single_notices(channel, &records),
            };
            if channel == Channel::Topic {
                let waiting = records.iter().map(|pending| &pending.record.value);
                let waiting = waiting.filter(|record| self.buffered.contains(&record.key.group()));
                counts.batched += waiting.map(|record| record.pending_for(channel).count()).sum::<usize>();
            }
            if !notices.is_empty() {
                undelivered.extend(self.deliver_to(channel, notices, &mut records, counts).await);
            }
        }
        undelivered.extend(self.store_outcomes(records, counts).await);
        undelivered
    }

    /// Calls one channel. Returns the failures whose SQS messages should be redelivered.
    async fn deliver_to(
        &self,
        channel: Channel,
        pending: Vec<PendingNotice>,
        records: &mut [PendingRecord],
        counts: &mut DeliveryCounts,
    ) -> Vec<FailedDelivery> {
        let (notices, deliveries): (Vec<Notice>, Vec<_>) = pending.into_iter().unzip();
        let mut undelivered = Vec::new();
        let results = self.channels.deliver(channel, &notices).await;
        for ((notice, deliveries), result) in notices.iter().zip(deliveries).zip(results) {
            let Err(error) = result else {
                info!(?channel, kind = notice.kind(), subject = notice.subject(), "notice delivered");
                if channel == Channel::Topic {
                    counts.notices += 1;
                    counts.delivered += deliveries.len();
                    counts.digests += usize::from(matches!(notice, Notice::ViolationDigest(_)));
                }
                for (index, delivery) in deliveries {
                    if let Some(pending) = records.get_mut(index) {
                        pending.complete.push((channel, delivery));
                    }
                }
                continue;
            };
            error!(?channel, kind = notice.kind(), subject = notice.subject(), %error, "notice not delivered");
            let is_rejected = match error.kind {
                PortErrorKind::OutOfTime => {
                    counts.deferred += deliveries.len();
                    continue;
                }
                PortErrorKind::Retryable | PortErrorKind::Conflict => {
                    let messages = deliveries.iter().filter_map(|(index, _)| records.get(*index));
                    let messages = messages.flat_map(|pending| pending.messages.iter().cloned()).collect();
                    undelivered.push((messages, error.to_string()));
                    // Redelivered messages retry the delivery. Without messages the record must schedule the retry.
                    if !self.only_due {
                        continue;
                    }
                    false
                }
                PortErrorKind::Denied | PortErrorKind::NotFound | PortErrorKind::Rejected => {
                    // The delivery stays pending: the sweep retries it, in case the cause was fixed.
                    counts.rejected += 1;
                    true
                }
            };
            for (index, delivery) in deliveries {
                let Some(pending) = records.get_mut(index) else { continue };
                let first = || ChannelFailure { deliveries: Vec::new(), reason: error.to_string(), is_rejected };
                pending.failed.entry(channel).or_insert_with(first).deliveries.push(delivery);
            }
        }
        undelivered
    }

    async fn store_outcomes(&self, records: Vec<PendingRecord>, counts: &mut DeliveryCounts) -> Vec<FailedDelivery> {
        let changed = records.into_iter().filter(|pending| !pending.complete.is_empty() || !pending.failed.is_empty());
        let writes =
            changed.map(|mut pending| async move { (self.store_outcome(&mut pending).await, pending.messages) });
        let mut writes = iter(writes).buffer_unordered(PARALLEL_WRITES);
        let mut undelivered = Vec::new();
        while let Some((result, messages)) = writes.next().await {
            match result {
                Ok(given_up) => counts.given_up += given_up,
                Err(error) => {
                    error!(%error, "delivery not recorded, the notice may be sent again");
                    undelivered.push((messages, error.to_string()));
                }
            }
        }
        undelivered
    }

    /// Stores the outcomes of one record. Returns the number of deliveries that are given up.
    async fn store_outcome(&self, PendingRecord { record, complete, failed, .. }: &mut PendingRecord) -> Result<usize> {
        let enabled = self.context.channels;
        let mut attempts = 0;
        loop {
            for (channel, delivery) in &*complete {
                let finding_at = record.value.finding_sent_at;
                record.value.record_delivery(*channel, std::slice::from_ref(delivery), self.context.now);
                if !enabled.contains(channel) {
                    // Nothing was delivered: if Security Hub is enabled again, the finding is imported at once.
                    record.value.finding_sent_at = finding_at;
                }
            }
            let mut given_up = 0_usize;
            for (channel, ChannelFailure { deliveries, reason, is_rejected }) in &*failed {
                let lost = record.value.record_failure(*channel, deliveries, reason, *is_rejected, self.context.now);
                if lost > 0 {
                    error!(violation = %record.value.key, ?channel, reason, "delivery given up after repeated rejections");
                }
                given_up += lost;
            }
            match self.store.put(record).await {
                Ok(_) => return Ok(given_up),
                Err(error) if error.kind == PortErrorKind::Conflict => {
                    // Another writer has stored a newer version, whose additions are kept.
                    let key = record.value.key.clone();
                    match self.store.read(std::slice::from_ref(&key)).await?.remove(&key) {
                        Some(newer) => *record = newer,
                        None => return Ok(0),
                    }
                    attempts += 1;
                    if attempts == ATTEMPTS {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn is_due(&self, record: &ViolationRecord, channel: Channel) -> bool {
        !self.only_due || record.next_delivery_to(channel).is_some_and(|due| due <= self.context.now)
    }

    /// Builds one notice for each account and control: that of a single transition, or a digest.
    fn grouped_notices(&self, channel: Channel, records: &[PendingRecord]) -> Vec<PendingNotice> {
        let mut groups: BTreeMap<ViolationGroup, Vec<(usize, PendingDelivery)>> = BTreeMap::new();
        for (index, pending) in records.iter().enumerate() {
            let record = &pending.record.value;
            let group = record.key.group();
            if !self.buffered.contains(&group) && self.is_due(record, channel) {
                let deliveries = record.pending_for(channel).map(|delivery| (index, delivery.clone()));
                groups.entry(group).or_default().extend(deliveries);
            }
        }
        let notices = groups.into_iter().filter_map(|(group, deliveries)| {
            let is_single =
                deliveries.len() == 1 && deliveries.iter().all(|(_, delivery)| delivery.earlier_transitions == 0);
            let entry = |(index, delivery): &(usize, PendingDelivery)| {
                Some(self.notice(&records.get(*index)?.record.value, delivery, is_single))
            };
            let mut entries: Vec<ViolationNotice> = deliveries.iter().filter_map(entry).collect();
            let last = entries.pop()?;
            let notice = if is_single {
                last.into()
            } else {
                let account_name = last.account_name.clone();
                entries.push(last);
                let ViolationGroup { account, control } = group;
                Notice::ViolationDigest(ViolationDigest { account, account_name, control, entries })
            };
            Some((notice, deliveries))
        });
        notices.collect()
    }

    fn single_notices(&self, channel: Channel, records: &[PendingRecord]) -> Vec<PendingNotice> {
        let records = records.iter().map(|pending| &pending.record.value).enumerate();
        let due = records.filter(|(_, record)| self.is_due(record, channel));
        due.flat_map(|(index, record)| {
            record
                .pending_for(channel)
                .map(move |delivery| (self.notice(record, delivery, true).into(), vec![(index, delivery.clone())]))
        })
        .collect()
    }

    /// Builds the notice of one transition. A single one that opens a violation contains remediation options.
    fn notice(&self, record: &ViolationRecord, delivery: &PendingDelivery, is_single: bool) -> ViolationNotice {
        let ViolationKey { account, control, .. } = &record.key;
        let has_advice = is_single && opens(delivery);
        let plans = self.plans.get(&location(&record.key)).map(Vec::as_slice).unwrap_or_default();
        let options = (has_advice && control == COVERAGE).then(|| remediation::options(plans, record));
        let context = NoticeContext {
            account_name: self.context.in_force.accounts.get(account).cloned(),
            owner_tag: Some(self.context.reporting.owner_tag.clone()),
            parameters: self.context.in_force.parameters(&record.key),
            remediation_options: options.unwrap_or_default(),
            closest_exemption: has_advice.then(|| self.context.near_miss(record)).flatten(),
        };
        ViolationNotice::new(record, delivery, context)
    }

    /// Reads the backup plans of the accounts and Regions with new violations of the coverage control.
    async fn plans(&self, records: &[PendingRecord]) -> Plans {
        let locations: BTreeSet<Location> = records
            .iter()
            .map(|pending| &pending.record.value)
            .filter(|record| record.key.control == COVERAGE && !self.buffered.contains(&record.key.group()))
            .filter(|record| record.pending.iter().any(opens))
            .map(|record| location(&record.key))
            .collect();
        if locations.len() > PLAN_LOCATIONS {
            return Plans::new();
        }
        let queries = locations.into_iter().map(|location| async move {
            let plans = self.resources.plans(&location.account, &location.region).await;
            // After an error the notice is sent without remediation options.
            let plans = plans.inspect_err(|error| {
                warn!(account = %location.account, region = %location.region, %error, "backup plans not read");
            });
            Some((location, plans.ok()?))
        });
        iter(queries).buffer_unordered(PLAN_LOCATIONS).filter_map(ready).collect().await
    }
}

pub(crate) type Plans = BTreeMap<Location, Vec<Plan>>;

fn location(key: &ViolationKey) -> Location {
    Location { account: key.account.clone(), region: key.region.clone() }
}

fn opens(delivery: &PendingDelivery) -> bool {
    matches!(delivery.update, Update::Opened | Update::ExemptionEnded(_))
}
