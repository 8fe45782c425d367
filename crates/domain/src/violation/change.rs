//! What AWS Config says about one resource and one rule at one time.

use super::Key;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One `Config Rules Compliance Change`, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The violation that it is about.
    pub key: Key,
    /// The new result.
    pub compliance: Compliance,
    /// Its place among the results for the same key.
    pub ordering: Ordering,
    /// The Config rule's name; differs per account and Region.
    pub rule_name: String,
    /// The Config rule's ARN.
    pub rule_arn: String,
    /// What the rule adds in words, if anything.
    pub annotation: Option<String>,
    /// Whether Config had a result for this rule and resource before.
    pub had_result: bool,
    /// When that result was triggered, if the event says it.
    pub previous: Option<Timestamp>,
}

/// `complianceType` of an evaluation result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Compliance {
    /// The resource satisfies the control.
    Compliant,
    /// It does not.
    NonCompliant,
    /// The control no longer applies to it.
    NotApplicable,
}

impl Compliance {
    /// Reads the word of the event; `None` for a word that says nothing about compliance (`INSUFFICIENT_DATA`, or a new one).
    #[must_use]
    pub fn from_api(word: &str) -> Option<Self> {
        match word {
            "COMPLIANT" => Some(Self::Compliant),
            "NON_COMPLIANT" => Some(Self::NonCompliant),
            "NOT_APPLICABLE" => Some(Self::NotApplicable),
            _ => None,
        }
    }
}

/// Where a result stands among the results for one key: by the time of the event that triggered the evaluation, then by the
/// time of the result, then by the time of the notification, as the AWS Config API reference defines them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ordering {
    /// `orderingTimestamp`.
    pub triggered: Timestamp,
    /// `resultRecordedTime`.
    pub recorded: Timestamp,
    /// `notificationCreationTime`.
    pub notified: Timestamp,
}

impl Ordering {
    /// A text that sorts as the ordering does: UTC to the nanosecond, of one width for every time from year 0 to 9999.
    #[must_use]
    pub fn sort_key(&self) -> String {
        [self.triggered, self.recorded, self.notified].map(|time| format!("{time:.9}")).join("|")
    }

    /// Whether two results are one: Config repeats a notification with another notification time.
    #[must_use]
    pub fn same_result(&self, other: &Self) -> bool {
        self.triggered == other.triggered && self.recorded == other.recorded
    }
}
