//! Recorded resources, and the errors of AWS Config.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A recorded resource of a member account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedResource {
    /// The account, 12 digits.
    pub account: String,
    /// The Region.
    pub region: String,
    /// The type, for instance `AWS::RDS::DBCluster`.
    pub resource_type: String,
    /// The id in compliance events.
    pub resource_id: String,
    /// The name; may be empty.
    #[serde(default)]
    pub resource_name: String,
    /// The ARN; may be empty.
    #[serde(default)]
    pub arn: String,
    /// The tags, by key.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// The configuration, in the shape of its type.
    #[serde(default)]
    pub configuration: Value,
}

/// Code and message of an error.
pub(super) type ConfigError = (&'static str, String);
