//! Delivers the pending notices of violation records to the channels.
//!
//! A record is stored with its pending deliveries before a channel is called. A delivery is removed from the record, which is stored
//! again, after its channel has accepted the notice. A crash in between leads to a second notice at worst, never to a lost one.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt;
use futures_util::stream::iter;
use jiff::Timestamp;
use serde::Serialize;
use tracing::{error, info, warn};

use domain::notice::{Notice, NoticeContext, ViolationDigest, ViolationNotice};
use domain::policy::Reporting;
use domain::violation::{Channel, PendingDelivery, Update, ViolationGroup, ViolationKey, ViolationRecord};
use evaluation::inventory::document::Plan;
use framework::ids::Location;

use crate::in_force::{InForce, near_miss};
use crate::ports::{PortError, PortErrorKind, Result, Versioned};
use crate::remediation;
use crate::violations::{BackupPlans, NotificationChannels, ViolationEnv, ViolationStore};

/// Parallel writes to the state table.
pub(crate) const PARALLEL_WRITES: usize = 16;
/// Attempts to store a record that other writers change.
const ATTEMPTS: usize = 4;
/// Accounts and Regions whose backup plans are read for one batch. Notices of larger batches contain no remediation options.
const PLAN_LOCATIONS: usize = 10;
/// The control whose violations an existing backup plan can fix.
const COVERAGE: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN";

/// A record that may have pending deliveries, and the ids of the SQS messages to redeliver if they fail.
#[derive(Debug, Clone)]
pub(crate) struct PendingRecord {
    pub(crate) record: Versioned<ViolationRecord>,
    pub(crate) messages: BTreeSet<String>,
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

/// A failed delivery whose SQS messages should be redelivered.
#[derive(Debug)]
pub(crate) struct FailedDelivery {
    pub(crate) messages: BTreeSet<String>,
    pub(crate) reason: String,
}

/// Delivers pending notices with the data of the policy in force.
#[derive(Debug)]
pub(crate) struct NoticeDelivery<'a, E: ViolationEnv> {
    pub(crate) store: &'a E::Store,
    pub(crate) channels: &'a E::Channels,
    pub(crate) resources: &'a E::Resources,
    pub(crate) in_force: &'a InForce,
    pub(crate) reporting: &'a Reporting,
    pub(crate) now: Timestamp,
    /// For records without SQS messages: only deliveries are made whose retry is due, and every failure is recorded.
    pub(crate) only_due: bool,
}

/// The deliveries of one record that were made or have failed.
#[derive(Default)]
struct Outcomes {
    /// Accepted deliveries, and those of disabled channels.
    complete: Vec<(Channel, PendingDelivery)>,
    failed: BTreeMap<Channel, ChannelFailure>,
}

struct ChannelFailure {
    deliveries: Vec<PendingDelivery>,
    reason: String,
    /// Whether the channel would reject the same notice again.
    is_rejected: bool,
}

/// A notice for one channel, and the deliveries that it completes with the index of their record.
struct PendingNotice {
    notice: Notice,
    deliveries: Vec<(usize, PendingDelivery)>,
}

impl<E: ViolationEnv> NoticeDelivery<'_, E> {
    /// Delivers the pending notices of these records to all enabled channels. Topics get no notices of the groups in `buffered`.
    pub(crate) async fn deliver(
        &self,
        mut records: Vec<PendingRecord>,
        buffered: &BTreeSet<ViolationGroup>,
        counts: &mut DeliveryCounts,
    ) -> Vec<FailedDelivery> {
        records.retain(|pending| !pending.record.value.pending.is_empty());
        let mut undelivered = Vec::new();
        if records.is_empty() {
            return undelivered;
        }
        let plans = self.plans(&records, buffered).await;
        let enabled = self.channels.enabled();
        let mut outcomes: Vec<Outcomes> = Vec::new();
        for pending in &records {
            // Deliveries of channels that were disabled meanwhile are complete.
            let disabled = pending.record.value.pending.iter().flat_map(|delivery| {
                delivery.channels.difference(&enabled).map(|channel| (*channel, delivery.clone()))
            });
            outcomes.push(Outcomes { complete: disabled.collect(), ..Outcomes::default() });
        }
        // Topics come last: the import of findings may be slow, and if the invocation ends between a notice and its record, the notice
        // is sent twice.
        let (topics, others): (Vec<Channel>, Vec<Channel>) =
            enabled.into_iter().partition(|channel| matches!(channel, Channel::Topic | Channel::Chat));
        for channel in others.into_iter().chain(topics) {
            let notices = match channel {
                Channel::Topic | Channel::Chat => self.grouped_notices(channel, &records, buffered, &plans),
                Channel::SecurityHub | Channel::EventBus => self.single_notices(channel, &records, &plans),
            };
            if channel == Channel::Topic {
                let waiting = records.iter().filter(|pending| buffered.contains(&pending.record.value.key.group()));
                counts.batched = waiting
                    .map(|pending| pending.record.value.pending_for(channel).count())
                    .fold(counts.batched, usize::saturating_add);
            }
            if !notices.is_empty() {
                undelivered.extend(self.deliver_to(channel, notices, &records, &mut outcomes, counts).await);
            }
        }
        undelivered.extend(self.store_outcomes(records, outcomes, counts).await);
        undelivered
    }

    /// Calls one channel. Returns the failures whose SQS messages should be redelivered.
    async fn deliver_to(
        &self,
        channel: Channel,
        pending: Vec<PendingNotice>,
        records: &[PendingRecord],
        outcomes: &mut [Outcomes],
        counts: &mut DeliveryCounts,
    ) -> Vec<FailedDelivery> {
        let (notices, deliveries): (Vec<Notice>, Vec<Vec<(usize, PendingDelivery)>>) =
            pending.into_iter().map(|pending| (pending.notice, pending.deliveries)).unzip();
        let mut undelivered = Vec::new();
        let results = self.channels.deliver(channel, &notices).await;
        for ((notice, deliveries), result) in notices.iter().zip(deliveries).zip(results) {
            let Err(error) = result else {
                info!(?channel, kind = notice.kind(), subject = notice.subject(), "notice delivered");
                if channel == Channel::Topic {
                    counts.notices = counts.notices.saturating_add(1);
                    counts.delivered = counts.delivered.saturating_add(deliveries.len());
                    let is_digest = matches!(notice, Notice::ViolationDigest(_));
                    counts.digests = counts.digests.saturating_add(usize::from(is_digest));
                }
                for (index, delivery) in deliveries {
                    if let Some(outcomes) = outcomes.get_mut(index) {
                        outcomes.complete.push((channel, delivery));
                    }
                }
                continue;
            };
            error!(?channel, kind = notice.kind(), subject = notice.subject(), %error, "notice not delivered");
            let Some(is_rejected) = self.count_failure(&error, &deliveries, records, counts, &mut undelivered) else {
                continue;
            };
            for (index, delivery) in deliveries {
                let Some(outcomes) = outcomes.get_mut(index) else { continue };
                let failed = outcomes.failed.entry(channel).or_insert_with(|| ChannelFailure {
                    deliveries: Vec::new(),
                    reason: error.to_string(),
                    is_rejected,
                });
                failed.deliveries.push(delivery);
            }
        }
        undelivered
    }

    /// Counts a failed notice. Returns whether the channel rejected it, or `None` if the record need not contain the failure.
    fn count_failure(
        &self,
        error: &PortError,
        deliveries: &[(usize, PendingDelivery)],
        records: &[PendingRecord],
        counts: &mut DeliveryCounts,
        undelivered: &mut Vec<FailedDelivery>,
    ) -> Option<bool> {
        match error.kind {
            PortErrorKind::OutOfTime => {
                counts.deferred = counts.deferred.saturating_add(deliveries.len());
                None
            }
            PortErrorKind::Retryable | PortErrorKind::Conflict => {
                let messages = deliveries.iter().filter_map(|(index, _)| records.get(*index));
                let messages = messages.flat_map(|pending| pending.messages.iter().cloned()).collect();
                undelivered.push(FailedDelivery { messages, reason: error.to_string() });
                // Redelivered messages retry the delivery. Without messages the record must schedule the retry.
                self.only_due.then_some(false)
            }
            PortErrorKind::Denied | PortErrorKind::NotFound | PortErrorKind::Rejected => {
                // The delivery stays pending: the sweep retries it, in case the cause was fixed.
                counts.rejected = counts.rejected.saturating_add(1);
                Some(true)
            }
        }
    }

    /// Stores the outcomes, record by record.
    async fn store_outcomes(
        &self,
        records: Vec<PendingRecord>,
        outcomes: Vec<Outcomes>,
        counts: &mut DeliveryCounts,
    ) -> Vec<FailedDelivery> {
        let changed = records
            .into_iter()
            .zip(outcomes)
            .filter(|(_, outcomes)| !outcomes.complete.is_empty() || !outcomes.failed.is_empty());
        let mut writes = iter(changed.map(|(PendingRecord { record, messages }, outcomes)| async move {
            (self.store_outcome(record, &outcomes).await, messages)
        }))
        .buffer_unordered(PARALLEL_WRITES);
        let mut undelivered = Vec::new();
        while let Some((result, messages)) = writes.next().await {
            match result {
                Ok(given_up) => counts.given_up = counts.given_up.saturating_add(given_up),
                Err(error) => {
                    error!(%error, "delivery not recorded, the notice may be sent again");
                    undelivered.push(FailedDelivery { messages, reason: error.to_string() });
                }
            }
        }
        undelivered
    }

    /// Stores the outcomes of one record. Returns the number of deliveries that are given up.
    async fn store_outcome(&self, mut record: Versioned<ViolationRecord>, outcomes: &Outcomes) -> Result<usize> {
        let enabled = self.channels.enabled();
        let mut last = None;
        for _ in 0..ATTEMPTS {
            for (channel, delivery) in &outcomes.complete {
                let finding_at = record.value.finding_sent_at;
                record.value.record_delivery(*channel, std::slice::from_ref(delivery), self.now);
                if !enabled.contains(channel) {
                    // Nothing was delivered: if Security Hub is enabled again, the finding is imported at once.
                    record.value.finding_sent_at = finding_at;
                }
            }
            let mut given_up = 0_usize;
            for (channel, ChannelFailure { deliveries, reason, is_rejected }) in &outcomes.failed {
                let lost = record.value.record_failure(*channel, deliveries, reason, *is_rejected, self.now);
                if lost > 0 {
                    error!(violation = %record.value.key, ?channel, reason, "delivery given up after repeated rejections");
                }
                given_up = given_up.saturating_add(lost);
            }
            match self.store.put(&record).await {
                Ok(_) => return Ok(given_up),
                Err(error) if error.kind == PortErrorKind::Conflict => {
                    // Another writer has stored a newer version, whose additions are kept.
                    let key = record.value.key.clone();
                    match self.store.read(std::slice::from_ref(&key)).await?.remove(&key) {
                        Some(newer) => record = newer,
                        None => return Ok(0),
                    }
                    last = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(repeated_conflict))
    }

    fn is_due(&self, record: &ViolationRecord, channel: Channel) -> bool {
        !self.only_due || record.next_delivery_to(channel).is_some_and(|due| due <= self.now)
    }

    /// Builds one notice for each account and control: that of a single transition, or a digest.
    fn grouped_notices(
        &self,
        channel: Channel,
        records: &[PendingRecord],
        buffered: &BTreeSet<ViolationGroup>,
        plans: &Plans,
    ) -> Vec<PendingNotice> {
        let mut groups: BTreeMap<ViolationGroup, Vec<(usize, PendingDelivery)>> = BTreeMap::new();
        for (index, pending) in records.iter().enumerate() {
            let record = &pending.record.value;
            let group = record.key.group();
            if !buffered.contains(&group) && self.is_due(record, channel) {
                let deliveries = record.pending_for(channel).map(|delivery| (index, delivery.clone()));
                groups.entry(group).or_default().extend(deliveries);
            }
        }
        let notices = groups.into_iter().filter_map(|(group, deliveries)| {
            let is_single =
                deliveries.len() == 1 && deliveries.iter().all(|(_, delivery)| delivery.earlier_transitions == 0);
            let mut entries: Vec<ViolationNotice> = deliveries
                .iter()
                .filter_map(|(index, delivery)| Some((records.get(*index)?, delivery)))
                .map(|(pending, delivery)| self.notice(&pending.record.value, delivery, plans, is_single))
                .collect();
            let last = entries.pop()?;
            let notice = if is_single {
                last.into()
            } else {
                let account_name = last.account_name.clone();
                entries.push(last);
                let ViolationGroup { account, control } = group;
                Notice::ViolationDigest(ViolationDigest { account, account_name, control, entries })
            };
            Some(PendingNotice { notice, deliveries })
        });
        notices.collect()
    }

    /// Builds one notice for each transition.
    fn single_notices(&self, channel: Channel, records: &[PendingRecord], plans: &Plans) -> Vec<PendingNotice> {
        let due = records.iter().enumerate().filter(|(_, pending)| self.is_due(&pending.record.value, channel));
        let deliveries = due.flat_map(|(index, pending)| {
            pending.record.value.pending_for(channel).map(move |delivery| (index, &pending.record.value, delivery))
        });
        deliveries
            .map(|(index, record, delivery)| PendingNotice {
                notice: self.notice(record, delivery, plans, true).into(),
                deliveries: vec![(index, delivery.clone())],
            })
            .collect()
    }

    /// Builds the notice of one transition. A single one that opens a violation contains remediation options.
    fn notice(
        &self,
        record: &ViolationRecord,
        delivery: &PendingDelivery,
        plans: &Plans,
        is_single: bool,
    ) -> ViolationNotice {
        let ViolationKey { account, region, control, .. } = &record.key;
        let has_advice = is_single && opens(delivery);
        let plans = plans.get(&location(&record.key)).map(Vec::as_slice).unwrap_or_default();
        let context = NoticeContext {
            account_name: self.in_force.accounts.get(account).cloned(),
            owner_tag: Some(self.reporting.owner_tag.clone()),
            parameters: self.in_force.parameters(account, region, control),
            remediation_options: if has_advice && control == COVERAGE {
                remediation::options(plans, record)
            } else {
                Vec::new()
            },
            closest_exemption: if has_advice { near_miss(self.reporting, record, self.now) } else { None },
        };
        ViolationNotice::new(record, delivery, context)
    }

    /// Reads the backup plans of the accounts and Regions with new violations of the coverage control.
    async fn plans(&self, records: &[PendingRecord], buffered: &BTreeSet<ViolationGroup>) -> Plans {
        let locations: BTreeSet<Location> = records
            .iter()
            .map(|pending| &pending.record.value)
            .filter(|record| record.key.control == COVERAGE && !buffered.contains(&record.key.group()))
            .filter(|record| record.pending.iter().any(opens))
            .map(|record| location(&record.key))
            .collect();
        let mut plans = Plans::new();
        if locations.len() > PLAN_LOCATIONS {
            return plans;
        }
        let mut queries = iter(locations.into_iter().map(|location| async move {
            let plans = self.resources.plans(&location.account, &location.region).await;
            (location, plans)
        }))
        .buffer_unordered(PLAN_LOCATIONS);
        while let Some((location, result)) = queries.next().await {
            match result {
                Ok(found) => drop(plans.insert(location, found)),
                // The notice is sent without remediation options.
                Err(error) => {
                    warn!(account = %location.account, region = %location.region, %error, "backup plans not read");
                }
            }
        }
        plans
    }
}

type Plans = BTreeMap<Location, Vec<Plan>>;

fn location(key: &ViolationKey) -> Location {
    Location { account: key.account.clone(), region: key.region.clone() }
}

fn opens(delivery: &PendingDelivery) -> bool {
    matches!(delivery.update, Update::Opened | Update::ExemptionEnded(_))
}

/// The error when other writers change a record during every attempt.
pub(crate) fn repeated_conflict() -> PortError {
    PortError {
        operation: "dynamodb:PutItem",
        code: None,
        message: "the record changed during every attempt".into(),
        request_id: None,
        kind: PortErrorKind::Retryable,
    }
}
