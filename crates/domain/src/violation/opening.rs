//! Facts about a violation that are recorded when it opens.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use framework::control::Severity;

/// Facts about an opening that the result itself does not include.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// Why the violation opens now.
    pub opened_by: OpenedBy,
    /// The source that reported the result.
    pub detected_by: DetectionSource,
    /// The severity by the policy's rules.
    pub severity: Severity,
    /// The resource in AWS Config.
    pub resource: ResourceDetails,
    /// The exemption that covers the violation.
    pub exemption: Option<AppliedExemption>,
}

/// Facts that AWS Config has about a resource in addition to its id.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ResourceDetails {
    /// The name that users gave it.
    pub name: Option<String>,
    /// The ARN.
    pub arn: Option<String>,
    /// The tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// The reason for the opening of a violation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OpenedBy {
    /// The first result after the rollout of the control or of new parameters: the resource broke the control before.
    Rollout,
    /// The resource satisfied the control before.
    Regression,
    /// The first result for the resource, long after the rollout: the resource is new, or newly in scope.
    FirstResult,
}

/// The source of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DetectionSource {
    /// An event of AWS Config.
    Event,
    /// The sweep: the event was lost.
    Sweep,
}

/// The exemption that covers a violation, as it was when it was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedExemption {
    /// Why the resource may break the control.
    pub reason: String,
    /// The owner of the exemption.
    pub owner: String,
    /// The last day of the exemption.
    pub until: Date,
}

/// The reason for the end of a violation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ClosedReason {
    /// The resource satisfies the control.
    Satisfied,
    /// The control no longer applies to the resource (`NOT_APPLICABLE`).
    NotApplicable,
    /// AWS Config has no result for the resource any more: it was deleted.
    ResourceGone,
    /// The control was removed from the framework of the account and Region.
    ControlRemoved,
    /// The framework of the account and Region was removed.
    FrameworkRemoved,
}
