//! Results of AWS Config rules and their order.

use jiff::Timestamp;
use serde::de::value::{Error, StrDeserializer};
use serde::{Deserialize, Serialize};

use super::ViolationKey;

/// A parsed `Config Rules Compliance Change` event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComplianceChange {
    /// The violation that the result is about.
    pub key: ViolationKey,
    /// The new result.
    pub compliance: ComplianceType,
    /// The result's position among the results for the same key.
    pub ordering: ResultOrdering,
    /// The Config rule's name; differs for each account and Region.
    pub rule_name: String,
    /// The Config rule's ARN.
    pub rule_arn: String,
    /// The rule's annotation.
    pub annotation: Option<String>,
    /// Whether AWS Config had an earlier result for this rule and resource.
    pub had_result: bool,
    /// When the earlier result was triggered, if the event includes it.
    pub previous: Option<Timestamp>,
}

/// `complianceType` of an evaluation result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ComplianceType {
    /// The resource satisfies the control.
    Compliant,
    /// The resource breaks the control.
    NonCompliant,
    /// The control no longer applies to the resource.
    NotApplicable,
}

impl ComplianceType {
    /// Parses `complianceType`. Returns `None` for values that are not about compliance (`INSUFFICIENT_DATA`, or a new one).
    pub fn from_api(word: &str) -> Option<Self> {
        Self::deserialize(StrDeserializer::<Error>::new(word)).ok()
    }
}

/// The order of the results for one key: by the time of the event that triggered the evaluation, then by the time of the result,
/// then by the time of the notification, as the AWS Config API reference defines them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ResultOrdering {
    /// `orderingTimestamp`.
    pub triggered: Timestamp,
    /// `resultRecordedTime`.
    pub recorded: Timestamp,
    /// `notificationCreationTime`.
    pub notified: Timestamp,
}

impl ResultOrdering {
    /// Returns a text that sorts like the ordering: UTC to the nanosecond, of equal width for all times from year 0 to 9999.
    pub fn sort_key(&self) -> String {
        [self.triggered, self.recorded, self.notified].map(|time| format!("{time:.9}")).join("|")
    }

    /// Whether both belong to one result: AWS Config repeats a notification with another notification time.
    pub fn same_result(&self, other: &Self) -> bool {
        self.triggered == other.triggered && self.recorded == other.recorded
    }
}
