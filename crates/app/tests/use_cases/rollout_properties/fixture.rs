//! The accounts, Regions and units of all generated rollouts.

use domain::rollout::Instance;
use framework::ids::{AccountId, RegionName, StackSetName, UnitId};

/// The last of them is the management account.
pub(crate) const ACCOUNTS: [&str; 6] =
    ["111111111111", "222222222222", "333333333333", "444444444444", "555555555555", "999999999999"];
pub(crate) const MANAGEMENT: usize = 5;
pub(crate) const REGIONS: [&str; 3] = ["eu-west-1", "us-east-1", "ap-southeast-2"];
/// The second is in the first.
pub(crate) const UNITS: [&str; 3] = ["ou-root-11111111", "ou-root-22222222", "ou-root-33333333"];
pub(crate) const ROOT: &str = "r-root";
pub(crate) const STACK_SETS: [&str; 2] = ["backup-accounts", "backup-units"];

pub(crate) fn account(number: usize) -> AccountId {
    AccountId::parse(ACCOUNTS[number]).unwrap()
}

pub(crate) fn account_name(number: usize) -> &'static str {
    ACCOUNTS[number]
}

pub(crate) fn region(number: usize) -> RegionName {
    RegionName::parse(REGIONS[number]).unwrap()
}

pub(crate) fn region_name(number: usize) -> &'static str {
    REGIONS[number]
}

pub(crate) fn unit(number: usize) -> UnitId {
    UnitId::parse(UNITS[number]).unwrap()
}

pub(crate) fn root() -> UnitId {
    UnitId::parse(ROOT).unwrap()
}

pub(crate) fn stack_set_name(number: usize) -> &'static str {
    STACK_SETS[number]
}

pub(crate) fn stack_set(number: usize) -> StackSetName {
    StackSetName::parse(STACK_SETS[number]).unwrap()
}

pub(crate) fn instance(who: usize, place: usize) -> Instance {
    Instance { account: account(who), region: region(place) }
}
