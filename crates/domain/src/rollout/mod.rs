//! One StackSet brought from what is deployed to what the policy wants, one operation at a time.
//!
//! [`next_step`] is a pure function of what is wanted, what was observed and what this attempt already tried. It is asked
//! again after every operation, so lost, repeated and late triggers are harmless. The order of its steps is that of AWS's
//! own handler of `AWS::CloudFormation::StackSet`: instances that left the policy are deleted, the StackSet is updated,
//! missing instances are created, parameter overrides are corrected.

mod desired;
mod observed;
mod step;
mod verdict;

pub use desired::{Desired, Digest, digest_of};
pub use observed::{DetailedStatus, InstanceStatus, Observed, ObservedInstance, ObservedStackSet, OperationStatus};
pub use step::{Operation, Step, next_removal_step, next_step};
pub use verdict::{InstanceFault, Verdict};

use crate::ids::{AccountId, RegionName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Stack parameters: name to value, both as text, as CloudFormation has them.
pub type Parameters = BTreeMap<String, String>;

/// One stack instance: an account and a Region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Instance {
    /// The account that the stack is in.
    pub account: AccountId,
    /// The Region that the stack is in.
    pub region: RegionName,
}

impl std::fmt::Display for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.account, self.region)
    }
}

#[cfg(test)]
mod tests;
