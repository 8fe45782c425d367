//! What is known of a violation beyond the results of its rule.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What AWS Config knows of a resource beyond its id.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceFacts {
    /// The name that people use.
    pub name: Option<String>,
    /// The ARN.
    pub arn: Option<String>,
    /// The tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// How a violation came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Found {
    /// The first result after the control came into force there, or after its parameters changed: it was like this before.
    Rollout,
    /// The resource satisfied the control before.
    Regression,
    /// The first result for the resource, long after the rollout: the resource is new, or newly in scope.
    FirstResult,
}

/// Who brought the news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Heard {
    /// An event of AWS Config.
    Event,
    /// The sweep: the event was lost.
    Sweep,
}

/// Why a violation is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Closing {
    /// The resource satisfies the control.
    Satisfied,
    /// The control does not apply to the resource any more (`NOT_APPLICABLE`).
    NotApplicable,
    /// AWS Config has no result for the resource any more: it was deleted.
    ResourceGone,
    /// The control is no longer part of a framework there.
    ControlRemoved,
    /// No framework is in force there any more.
    FrameworkRemoved,
}
