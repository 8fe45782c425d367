//! The stored state of a violation, with an outbox of pending deliveries.
//!
//! A transition and its pending deliveries are stored in one write. A delivery is removed channel by channel once it succeeded, so
//! any function that reads a record can complete the deliveries that another one started.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use framework::control::Severity;

use super::{
    AppliedExemption, Channel, ClosedReason, DeliveryFailures, DetectionSource, OpenedBy, Opening, PendingDelivery,
    ResourceDetails, ResultOrdering, Update, ViolationKey,
};

/// Pending deliveries of one record. Older pairs of opened and resolved are only counted, in the next pending delivery.
const MAX_PENDING: usize = 8;

/// The stored state of a violation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ViolationRecord {
    /// The violation.
    pub key: ViolationKey,
    /// Whether it is open.
    pub status: ViolationStatus,
    /// Start of the current or last open period; `None` if it was never open.
    pub since: Option<Timestamp>,
    /// Position of the last result applied.
    pub ordering: ResultOrdering,
    /// The Config rule's name in that result.
    pub rule_name: String,
    /// The Config rule's ARN in that result; empty if not known.
    pub rule_arn: String,
    /// The rule's annotation in that result.
    pub annotation: Option<String>,
    /// Why it opened last.
    pub opened_by: OpenedBy,
    /// The source that reported its last opening.
    pub detected_by: DetectionSource,
    /// Why it closed; `None` while it is open and if it was never open.
    pub closed_reason: Option<ClosedReason>,
    /// The severity by the policy's rules when it opened last.
    pub severity: Severity,
    /// The resource in AWS Config when it opened last.
    pub resource: ResourceDetails,
    /// The exemption that covers it: it is recorded, and no notices are sent.
    pub exemption: Option<AppliedExemption>,
    /// When Security Hub last received its finding.
    pub finding_sent_at: Option<Timestamp>,
    /// When the last pending delivery was recorded, also if none is pending any more.
    pub last_pending_at: Option<Timestamp>,
    /// Pending deliveries, oldest first.
    pub pending: Vec<PendingDelivery>,
    /// Until when the sweep delivers the pending notices itself. A digest window that ends before then skips the record, or the same
    /// notice would be sent twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_claimed_until: Option<Timestamp>,
    /// The channels whose last delivery failed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub delivery_failures: BTreeMap<Channel, DeliveryFailures>,
}

/// The status of a violation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ViolationStatus {
    /// The resource breaks the control.
    Open,
    /// The resource does not break the control.
    Closed,
}

impl ViolationRecord {
    /// Records the opening, pending for all `channels` unless the violation is exempt.
    pub fn record_opening(&mut self, opening: Opening, channels: &BTreeSet<Channel>, now: Timestamp) {
        let Opening { opened_by, detected_by, severity, resource, exemption } = opening;
        (self.opened_by, self.detected_by, self.severity, self.resource) = (opened_by, detected_by, severity, resource);
        self.exemption = exemption;
        self.closed_reason = None;
        if self.exemption.is_none() {
            self.enqueue(Update::Opened, channels, now);
        }
    }

    /// Records the end, pending for all `channels` unless the violation was exempt.
    pub fn record_closing(&mut self, closing: ClosedReason, channels: &BTreeSet<Channel>, now: Timestamp) {
        self.status = ViolationStatus::Closed;
        self.closed_reason = Some(closing);
        if self.exemption.take().is_none() {
            self.enqueue(Update::Resolved(closing), channels, now);
        }
    }

    /// Records that an exemption covers the open violation from now on, pending for all `channels`.
    pub fn record_exemption(&mut self, exempt: AppliedExemption, channels: &BTreeSet<Channel>, now: Timestamp) {
        self.exemption = Some(exempt.clone());
        self.enqueue(Update::Exempted(exempt), channels, now);
    }

    /// Records that the exemption of the open violation ended, pending for all `channels`.
    pub fn record_exemption_end(&mut self, channels: &BTreeSet<Channel>, now: Timestamp) {
        if let Some(exempt) = self.exemption.take() {
            self.enqueue(Update::ExemptionEnded(exempt), channels, now);
        }
    }

    /// Records that the finding must be sent again before Security Hub deletes it.
    pub fn request_finding_refresh(&mut self, channels: &BTreeSet<Channel>, now: Timestamp) {
        let finding = channels.iter().filter(|channel| **channel == Channel::SecurityHub).copied().collect();
        self.enqueue(Update::Refreshed, &finding, now);
    }

    /// Returns when the next delivery is due: at once for a new record, later after a failure; `None` if none is pending.
    pub fn next_delivery(&self) -> Option<Timestamp> {
        let channels = self.pending.iter().flat_map(|delivery| &delivery.channels);
        channels.filter_map(|channel| self.next_delivery_to(*channel)).min()
    }

    /// Returns when the next delivery to a channel is due; `None` if no delivery is pending for it.
    pub fn next_delivery_to(&self, channel: Channel) -> Option<Timestamp> {
        let oldest = self.pending_for(channel).map(|delivery| delivery.at).min()?;
        Some(self.delivery_failures.get(&channel).map_or(oldest, |undelivered| undelivered.next_attempt().max(oldest)))
    }

    /// Records failed deliveries to a channel. After [`super::MAX_REJECTIONS`] and [`super::ABANDON_AFTER`] they are abandoned:
    /// no longer pending, with the error on record. Returns the number of abandoned deliveries. Later deliveries stay pending.
    pub fn record_failure(
        &mut self,
        channel: Channel,
        deliveries: &[PendingDelivery],
        reason: &str,
        is_rejected: bool,
        now: Timestamp,
    ) -> usize {
        let failed = DeliveryFailures::with_failure(self.delivery_failures.get(&channel), reason, is_rejected, now);
        let given_up = if failed.is_abandoned { self.dequeue(channel, deliveries) } else { 0 };
        self.delivery_failures.insert(channel, failed);
        given_up
    }

    /// Returns the deliveries that are pending for a channel.
    pub fn pending_for(&self, channel: Channel) -> impl Iterator<Item = &PendingDelivery> {
        self.pending.iter().filter(move |delivery| delivery.channels.contains(&channel))
    }

    /// Records successful deliveries to a channel. Deliveries that were recorded later stay pending.
    pub fn record_delivery(&mut self, channel: Channel, deliveries: &[PendingDelivery], now: Timestamp) {
        if channel == Channel::SecurityHub && self.pending.iter().any(|delivery| delivery.is_among(deliveries)) {
            self.finding_sent_at = Some(now);
        }
        self.dequeue(channel, deliveries);
        self.delivery_failures.remove(&channel);
        if self.pending.is_empty() {
            self.delivery_claimed_until = None;
        }
    }

    /// Removes a channel from pending deliveries. Returns how many were pending for it.
    fn dequeue(&mut self, channel: Channel, deliveries: &[PendingDelivery]) -> usize {
        let known = self.pending.iter_mut().filter(|delivery| delivery.is_among(deliveries));
        let removed = known.filter_map(|delivery| delivery.channels.take(&channel)).count();
        self.pending.retain(|delivery| !delivery.channels.is_empty());
        removed
    }

    fn enqueue(&mut self, update: Update, channels: &BTreeSet<Channel>, now: Timestamp) {
        // A finding has only a state: the last update replaces earlier ones.
        if channels.contains(&Channel::SecurityHub) {
            self.pending.iter_mut().for_each(|delivery| _ = delivery.channels.remove(&Channel::SecurityHub));
            self.pending.retain(|delivery| !delivery.channels.is_empty());
        }
        if channels.is_empty() {
            return;
        }
        // An update gets as many attempts as before the channel was abandoned; a refreshed finding gets one.
        if update != Update::Refreshed {
            self.delivery_failures
                .retain(|channel, undelivered| !(undelivered.is_abandoned && channels.contains(channel)));
        }
        // Their times identify and order transitions, also two in one instant, and two that were recorded by functions with
        // different clocks. Security Hub compares milliseconds.
        let last = self.pending.last().map(|delivery| delivery.at).max(self.last_pending_at);
        let next = last.and_then(|last| last.checked_add(SignedDuration::from_millis(1)).ok());
        let at = next.map_or(now, |next| next.max(now));
        self.last_pending_at = Some(at);
        self.delivery_claimed_until = None;
        let (since, channels) = (self.since, channels.clone());
        self.pending.push(PendingDelivery { update, at, since, channels, earlier_transitions: 0 });
        if self.pending.len() > MAX_PENDING {
            let gone = self.pending.drain(..2).map(|delivery| delivery.earlier_transitions.saturating_add(1));
            let gone = gone.fold(0, u32::saturating_add);
            if let Some(first) = self.pending.first_mut() {
                first.earlier_transitions = first.earlier_transitions.saturating_add(gone);
            }
        }
    }
}
