//! Pending deliveries of a violation's notices, and failed ones.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{AppliedExemption, ClosedReason};

/// A channel that notices are delivered to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Channel {
    /// The notification topic: e-mail, queues, functions, web hooks.
    Topic,
    /// The topic that chat channels subscribe to.
    Chat,
    /// Security Hub.
    SecurityHub,
    /// The event bus.
    EventBus,
}

/// The subject of a notice about a violation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Update {
    /// The violation opened.
    Opened,
    /// The violation closed.
    Resolved(ClosedReason),
    /// The exemption that covered the violation ended.
    ExemptionEnded(AppliedExemption),
    /// An exemption covers the violation now: no action is required.
    Exempted(AppliedExemption),
    /// No change: the finding is sent again before Security Hub deletes it.
    Refreshed,
}

/// An update that was recorded and is not known to be delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingDelivery {
    /// The update.
    pub update: Update,
    /// When it was recorded; unique among the pending deliveries of a record.
    pub at: Timestamp,
    /// Start of the violation at that time.
    pub since: Option<Timestamp>,
    /// The channels that it is pending for.
    pub channels: BTreeSet<Channel>,
    /// Earlier transitions without notices of their own: they followed each other faster than they could be delivered.
    #[serde(default)]
    pub earlier_transitions: u32,
}

impl PendingDelivery {
    pub(super) fn is_among(&self, deliveries: &[Self]) -> bool {
        deliveries.iter().any(|delivery| delivery.at == self.at && delivery.update == self.update)
    }
}

/// Failed deliveries of a record to one channel since the last successful one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryFailures {
    /// Failed attempts.
    pub attempts: u32,
    /// Attempts that the service rejected: it would reject an equal request again.
    pub rejections: u32,
    /// Time of the first rejection; without one, of the last attempt.
    pub first: Timestamp,
    /// Time of the last attempt.
    pub last: Timestamp,
    /// The error of the last attempt.
    pub reason: String,
    /// Whether the deliveries that were pending then were abandoned.
    pub is_abandoned: bool,
}

/// A delivery is abandoned after this many rejections and [`ABANDON_AFTER`]: with an hourly sweep both take about five days.
pub const MAX_REJECTIONS: u32 = 10;
/// The least time until a delivery is abandoned: an operator must have time to repair a topic or a key.
pub const ABANDON_AFTER: SignedDuration = SignedDuration::from_hours(5 * 24);
const MAX_BACKOFF: SignedDuration = SignedDuration::from_hours(23);
/// The longest error that is stored, in characters.
const MAX_REASON: usize = 300;

impl DeliveryFailures {
    /// Returns the time of the next attempt: the next sweep after the first failure, then after 1, 3, 7, 15 and always 23 hours.
    pub fn next_attempt(&self) -> Timestamp {
        let doubled = 2_i64.saturating_pow(self.attempts.saturating_sub(1));
        let hours = doubled.saturating_sub(1).min(MAX_BACKOFF.as_hours());
        self.last.checked_add(SignedDuration::from_hours(hours)).unwrap_or(self.last)
    }

    pub(super) fn with_failure(before: Option<&Self>, reason: &str, is_rejected: bool, now: Timestamp) -> Self {
        let (attempts, rejections) = before.map_or((0, 0), |before| (before.attempts, before.rejections));
        let first = before.filter(|before| before.rejections > 0).map_or(now, |before| before.first);
        let rejections = rejections.saturating_add(u32::from(is_rejected));
        Self {
            attempts: attempts.saturating_add(1),
            rejections,
            first,
            last: now,
            reason: reason.chars().take(MAX_REASON).collect(),
            is_abandoned: is_rejected && rejections >= MAX_REJECTIONS && now.duration_since(first) >= ABANDON_AFTER,
        }
    }
}
