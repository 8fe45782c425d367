//! A resource that breaks a control, from the evaluation that first said so to the one that says it is right again.
//!
//! A violation is (account, Region, control, resource). The Config rule behind it has a name and an ARN that change when a
//! framework is recreated; the violation does not.

mod change;
mod debt;
mod facts;
mod record;

pub use change::{Change, Compliance, Ordering};
pub use debt::{Debt, GIVE_UP_AFTER, MOST_REJECTIONS, Outlet, Told, Undelivered};
pub use facts::{Closing, Found, Heard, ResourceFacts};
pub use record::{Exempt, Opening, Outcome, Quiet, Record, Status, Turn, apply};

use crate::ids::{AccountId, RegionName};
use serde::{Deserialize, Serialize};

/// What a violation is known by.
///
/// What differs most between the violations of a flood stands first: keys are compared often.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    /// The resource's id as AWS Config has it.
    pub resource_id: String,
    /// The account that owns the resource.
    pub account: AccountId,
    /// The Region that the resource is in.
    pub region: RegionName,
    /// The control's name, or the Config rule's whole name where it names no control that we know.
    pub control: String,
    /// The resource's type as AWS Config names it, such as `AWS::RDS::DBCluster`.
    pub resource_type: String,
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { account, region, control, resource_type, resource_id } = self;
        write!(f, "{account}/{region}/{control}/{resource_type}/{resource_id}")
    }
}

/// Violations that are told together: those of one account and control.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// The account.
    pub account: AccountId,
    /// The control, as in [`Key::control`].
    pub control: String,
}

impl Key {
    /// The group that it is told in.
    #[must_use]
    pub fn group(&self) -> Group {
        Group { account: self.account.clone(), control: self.control.clone() }
    }
}

/// The longest key of an item that the state table accepts, in bytes.
/// [DynamoDB quotas](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html): 1,024 for a sort key.
const LONGEST_SORT_KEY: usize = 1024;

impl Key {
    /// The sort key of its record in the state table.
    #[must_use]
    pub fn sort_key(&self) -> String {
        format!("{}#{}#{}", self.control, self.resource_type, self.resource_id)
    }

    /// The length of its sort key in bytes, where the table would reject it.
    #[must_use]
    pub fn excess_length(&self) -> Option<usize> {
        let length = self.sort_key().len();
        (length > LONGEST_SORT_KEY || self.group().excess_length().is_some()).then_some(length)
    }
}

impl Group {
    /// The length of its own key in bytes, where the table would reject it.
    #[must_use]
    pub fn excess_length(&self) -> Option<usize> {
        let length = self.to_string().len();
        (length > LONGEST_SORT_KEY).then_some(length)
    }
}

impl std::fmt::Display for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}#{}", self.account, self.control)
    }
}

#[cfg(test)]
mod tests;
