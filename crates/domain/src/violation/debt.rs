//! What is owed to people and machines about a violation.

use super::{Closing, Exempt};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Who is told of violations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outlet {
    /// The notification topic: e-mail, queues, functions, web hooks.
    Topic,
    /// The topic that chat channels subscribe to.
    Chat,
    /// Security Hub.
    Finding,
    /// The event bus.
    Event,
}

/// What there is to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Told {
    /// The violation has opened.
    Opened,
    /// It has closed, and why.
    Resolved(Closing),
    /// Its exemption holds no longer.
    ExemptionEnded(Exempt),
    /// An exemption has come to cover it: people need not act.
    Exempted(Exempt),
    /// Nothing new; what would be forgotten is said again.
    Refreshed,
}

/// Something that was recorded and is not known to have been told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Debt {
    /// What there is to tell.
    pub what: Told,
    /// When it was written down; no two debts of a record have one time.
    pub at: Timestamp,
    /// Since when the violation was open then.
    pub since: Option<Timestamp>,
    /// Those that have not been told yet.
    pub outlets: BTreeSet<Outlet>,
    /// Earlier turns, not told one by one: the resource went back and forth faster than anybody could be told.
    #[serde(default)]
    pub folded: u32,
}

/// Deliveries of a record to one channel that failed, since the last one that did not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Undelivered {
    /// Attempts that failed.
    pub attempts: u32,
    /// Of them, those that the service rejected: an equal request would be rejected again.
    pub rejections: u32,
    /// When the service rejected it first, or, as long as it did not, when the last attempt was made.
    pub first: Timestamp,
    /// When the last attempt was made.
    pub last: Timestamp,
    /// Why it failed.
    pub reason: String,
    /// Whether the channel was given up for what was pending then.
    pub given_up: bool,
}

/// A delivery is given up after so many rejections, and after [`GIVE_UP_AFTER`]: with an hourly sweep both are about five days.
pub const MOST_REJECTIONS: u32 = 10;
/// A delivery is not given up before, however often it was attempted: an operator must have time to repair a topic or a key.
pub const GIVE_UP_AFTER: SignedDuration = SignedDuration::from_hours(5 * 24);
/// The longest time between two attempts.
const LONGEST_BACKOFF: SignedDuration = SignedDuration::from_hours(23);
/// The longest reason that is kept, in characters.
const LONGEST_REASON: usize = 300;

impl Undelivered {
    /// When the next attempt is due: at the next sweep after the first failure, then after 1, 3, 7, 15 and each time 23 hours.
    #[must_use]
    pub fn due(&self) -> Timestamp {
        let doubled = 1_i64.checked_shl(self.attempts.saturating_sub(1)).filter(|hours| *hours > 0).unwrap_or(i64::MAX);
        let hours = doubled.saturating_sub(1).min(LONGEST_BACKOFF.as_hours());
        self.last.checked_add(SignedDuration::from_hours(hours)).unwrap_or(self.last)
    }

    /// The same with one more failure.
    #[must_use]
    pub fn after(before: Option<&Self>, reason: &str, is_rejected: bool, now: Timestamp) -> Self {
        let (attempts, rejections) = before.map_or((0, 0), |before| (before.attempts, before.rejections));
        let first = before.filter(|before| before.rejections > 0).map_or(now, |before| before.first);
        let rejections = rejections.saturating_add(u32::from(is_rejected));
        let given_up = is_rejected && rejections >= MOST_REJECTIONS && now.duration_since(first) >= GIVE_UP_AFTER;
        Self {
            attempts: attempts.saturating_add(1),
            rejections,
            first,
            last: now,
            reason: reason.chars().take(LONGEST_REASON).collect(),
            given_up,
        }
    }
}
