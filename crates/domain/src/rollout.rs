//! Reconciles one StackSet with the policy, one operation at a time.
//!
//! [`operations`] lists the operations that a StackSet needs, in order; a plan shows them. [`next_step`] is the first of them
//! that this attempt has not tried. `deploy` starts it and decides again when it has ended ([`transition`]), so lost, repeated
//! and late triggers are harmless. The order is that of AWS's own handler of `AWS::CloudFormation::StackSet`: switch on managed
//! execution, delete instances that left the policy, update the StackSet, create missing instances, correct overrides.

mod cause;
mod desired;
mod given;
mod groups;
mod membership;
mod observed;
mod operation;
pub mod plan;
pub mod record;
mod step;
pub mod transition;
mod verdict;

pub use cause::{FailureCause, Quota};
pub use desired::{Desired, DesiredInstance, OrganizationalUnitTarget, PermissionModel, Permissions, ServiceManaged};
pub use given::AppliedOverrides;
pub use groups::{FailureGroup, group_failures};
pub use membership::{Membership, SkipReason};
pub use observed::{DetailedStatus, InstanceStatus, Observed, ObservedInstance, ObservedStackSet, OperationStatus};
pub use operation::{AccountFilterType, DeploymentTargets, Operation, OperationTargets};
pub use step::{RolloutStep, StepContext, next_removal_step, next_step, operations, removal_operations};
pub use verdict::{InstanceFailure, InstanceOutcome, Verdict};

pub use crate::digest::{Digest, digest_of};
pub use crate::policy::{AccountFilter, AutoDeployment, CallAs};
/// The account and Region of a stack instance.
pub use framework::ids::Location as Instance;

use std::collections::BTreeMap;

/// Stack parameters: name to value, both as text, as in CloudFormation.
pub type Parameters = BTreeMap<String, String>;

#[cfg(test)]
mod tests;
