//! A resource that breaks a control, from the evaluation that first said so to the one that says it is right again.
//!
//! A violation is (account, Region, control, resource). The Config rule behind it has a name and an ARN that change when a
//! framework is recreated; the violation does not.

mod change;
mod record;

pub use change::{Change, Compliance, Ordering};
pub use record::{Outcome, Pending, Quiet, Record, Status, apply};

use crate::ids::{AccountId, RegionName};
use serde::{Deserialize, Serialize};

/// What a violation is known by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    /// The account that owns the resource.
    pub account: AccountId,
    /// The Region that the resource is in.
    pub region: RegionName,
    /// The control's name, or the Config rule's whole name where it names no control that we know.
    pub control: String,
    /// The resource's type as AWS Config names it, such as `AWS::RDS::DBCluster`.
    pub resource_type: String,
    /// The resource's id as AWS Config has it.
    pub resource_id: String,
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { account, region, control, resource_type, resource_id } = self;
        write!(f, "{account}/{region}/{control}/{resource_type}/{resource_id}")
    }
}

#[cfg(test)]
mod tests;
