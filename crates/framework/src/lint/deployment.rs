//! The input of the checks that compare the frameworks of a policy.

use std::collections::BTreeSet;

use syntax::diagnostic::Position;

use crate::definition::Framework;
use crate::ids::RegionName;

/// The deployment of a framework template to some accounts and Regions.
#[derive(Clone, Debug)]
pub struct FrameworkDeployment {
    /// The name in the policy, which is the name of the StackSet.
    pub name: String,
    /// The position of the target in the policy.
    pub at: Position,
    /// The ids of accounts, or of organizational units that represent all of their accounts.
    pub accounts: BTreeSet<String>,
    /// The Regions.
    pub regions: BTreeSet<RegionName>,
    /// The frameworks of the template there.
    pub frameworks: Vec<Framework>,
}
