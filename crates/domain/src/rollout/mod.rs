//! One StackSet brought from what is deployed to what the policy wants, one operation at a time.
//!
//! [`operations`] lists, in their order, the operations that a StackSet needs; a plan shows them. [`next_step`] is the first of
//! them that this attempt has not tried; `deploy` starts it, and asks again when it has ended, so lost, repeated and late
//! triggers are harmless. The order is that of AWS's own handler of `AWS::CloudFormation::StackSet`: managed execution, instances
//! that left the policy are deleted, the StackSet is updated, missing instances are created, parameter overrides are corrected.

mod cause;
mod desired;
mod given;
mod groups;
mod membership;
mod observed;
mod operation;
pub mod plan;
mod step;
mod verdict;

pub use cause::{Cause, Limit};
pub use desired::{
    AccountFilter, AutoDeployment, CallAs, Desired, Digest, PermissionModel, Permissions, ServiceManaged, SkipReason,
    UnitTarget, Wanted, digest_of,
};
pub use given::Given;
pub use groups::{Group, group, normalised};
pub use membership::Membership;
pub use observed::{DetailedStatus, InstanceStatus, Observed, ObservedInstance, ObservedStackSet, OperationStatus};
pub use operation::{Filter, Operation, Places, Through};
pub use step::{Context, Step, next_removal_step, next_step, operations, removal_operations};
pub use verdict::{InstanceFault, Outcome, Verdict};

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

#[cfg(any())]
mod tests;
