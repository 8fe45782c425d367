//! Violations: a resource that breaks a control, from the result that opens the violation to the one that closes it.
//!
//! A violation is identified by account, Region, control and resource. The name and the ARN of its Config rule change when a
//! framework is recreated; the violation does not.

mod compliance;
mod delivery;
mod opening;
mod record;
mod transition;

pub use compliance::{ComplianceChange, ComplianceType, ResultOrdering};
pub use delivery::{ABANDON_AFTER, Channel, DeliveryFailures, MAX_REJECTIONS, PendingDelivery, Update};
pub use opening::{AppliedExemption, ClosedReason, DetectionSource, OpenedBy, Opening, ResourceDetails};
pub use record::{ViolationRecord, ViolationStatus};
pub use transition::{ChangeOutcome, SuppressedReason, Transition, apply};

use serde::{Deserialize, Serialize};

use framework::ids::{AccountId, RegionName};

/// The identity of a violation. The field that differs most comes first, since keys are compared often.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ViolationKey {
    /// The resource's id in AWS Config.
    pub resource_id: String,
    /// The account that owns the resource.
    pub account: AccountId,
    /// The resource's Region.
    pub region: RegionName,
    /// The control's name, or the full name of the Config rule if it belongs to no known control.
    pub control: String,
    /// The resource's type in AWS Config, such as `AWS::RDS::DBCluster`.
    pub resource_type: String,
}

/// The account and control whose notices form one digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ViolationGroup {
    /// The account.
    pub account: AccountId,
    /// The control, as in [`ViolationKey::control`].
    pub control: String,
}

/// The longest sort key of the state table, in bytes ("Quotas in Amazon DynamoDB").
const MAX_SORT_KEY: usize = 1024;

impl ViolationKey {
    /// Returns the group whose digest reports this violation.
    pub fn group(&self) -> ViolationGroup {
        ViolationGroup { account: self.account.clone(), control: self.control.clone() }
    }

    /// Returns the sort key of the violation's record in the state table.
    pub fn sort_key(&self) -> String {
        format!("{}#{}#{}", self.control, self.resource_type, self.resource_id)
    }

    /// Returns the length of the sort key in bytes if the table would reject it or the key of the group.
    pub fn excess_length(&self) -> Option<usize> {
        let length = self.sort_key().len();
        (length > MAX_SORT_KEY || self.group().excess_length().is_some()).then_some(length)
    }
}

impl std::fmt::Display for ViolationKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { account, region, control, resource_type, resource_id } = self;
        write!(f, "{account}/{region}/{control}/{resource_type}/{resource_id}")
    }
}

impl ViolationGroup {
    /// Returns the length of the group's key in bytes if the table would reject it.
    pub fn excess_length(&self) -> Option<usize> {
        Some(self.to_string().len()).filter(|length| *length > MAX_SORT_KEY)
    }
}

impl std::fmt::Display for ViolationGroup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}#{}", self.account, self.control)
    }
}

#[cfg(test)]
mod tests;
