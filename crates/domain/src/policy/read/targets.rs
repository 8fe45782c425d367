//! Where a framework applies: accounts, or organizational units.

use std::collections::{BTreeMap, BTreeSet};

use super::{ACCOUNTS, REGIONS, boolean, one_of, parameters};
use crate::fault::Faults;
use crate::ids::{AccountId, IdError, RegionName, UnitId};
use crate::policy::fields::{Fields, Keys, list, name};
use crate::policy::{Place, Target};
use crate::rollout::{AccountFilter, AutoDeployment, CallAs};
use crate::yaml::{Node, ScalarKind};

pub(in crate::policy) const TARGET: Keys = Keys {
    of: "a target",
    known: &["accounts", "organizationalUnits", "onlyAccounts", "excludedAccounts", "regions", "parameters"],
    unsupported: &[],
};

pub(in crate::policy) const AUTO_DEPLOYMENT: Keys =
    Keys { of: "`autoDeployment`", known: &["enabled", "retainStacks"], unsupported: &[] };

const UNITS: &str = "[ou-abcd-11111111]";

/// Most instances of a StackSet (CloudFormation quotas).
const MOST_INSTANCES: usize = 100_000;
/// Most organizational units of one call (API reference, `DeploymentTargets`); each target is at least one call.
pub(in crate::policy) const MOST_UNITS: usize = 50;

pub(in crate::policy) const CALLERS: [(&str, CallAs); 2] =
    [("self", CallAs::Own), ("delegatedAdministrator", CallAs::DelegatedAdministrator)];

pub(super) fn targets(faults: &mut Faults<'_, '_>, fields: &Fields<'_>, newer: &[RegionName]) -> Vec<Target> {
    let example = format!("`- accounts: {ACCOUNTS}` with `regions: {REGIONS}`");
    let Some(node) = fields.required(faults, "targets", &format!("[{{ accounts: {ACCOUNTS}, regions: {REGIONS} }}]"))
    else {
        return Vec::new();
    };
    let items = list(faults, node, "targets", &example).unwrap_or_default();
    let targets: Vec<Target> = items.iter().filter_map(|item| target(faults, item, newer)).collect();

    let instances: usize =
        targets.iter().map(|target| target.accounts().len().saturating_mul(target.regions.len())).sum();
    if instances > MOST_INSTANCES {
        let problem = format!("the targets come to {instances} stack instances");
        faults.at(node.at, problem, "a StackSet holds 100000 at most: split the framework in two");
    } else {
        report_mixture(faults, &targets);
        report_contradictions(faults, &targets);
        report_unit_contradictions(faults, &targets);
    }
    targets
}

fn target(faults: &mut Faults<'_, '_>, node: &Node, newer: &[RegionName]) -> Option<Target> {
    let fields = Fields::of(faults, node, &TARGET)?;
    let place = place(faults, &fields);
    let regions =
        fields.required(faults, "regions", REGIONS).map(|node| regions(faults, node, newer)).unwrap_or_default();
    let parameters = parameters(faults, &fields);
    Some(Target { place, regions, parameters, at: fields.at })
}

fn place(faults: &mut Faults<'_, '_>, fields: &Fields<'_>) -> Place {
    const FILTERS: [&str; 2] = ["onlyAccounts", "excludedAccounts"];
    if !fields.means("organizationalUnits") {
        for key in FILTERS {
            if let Some(node) = fields.optional(faults, key) {
                let problem = format!("`{key}` narrows organizational units, and this target has none");
                faults.at(node.at, problem, "list the accounts under `accounts`, or add `organizationalUnits`");
            }
        }
        if FILTERS.iter().any(|key| fields.has(key)) && !fields.means("accounts") {
            return Place::Units { units: Vec::new(), accounts: AccountFilter::All };
        }
        let accounts = fields.required(faults, "accounts", ACCOUNTS).map(|node| accounts(faults, node));
        return Place::Accounts(accounts.unwrap_or_default());
    }
    if let Some(node) = fields.optional(faults, "accounts") {
        let problem = "a target has either `accounts` or `organizationalUnits`";
        let fix = "write `onlyAccounts` for some accounts of the units, or make two frameworks: one StackSet has one kind of permissions";
        faults.at(node.at, problem, fix);
    }
    let units = fields.optional(faults, "organizationalUnits").map(|node| units(faults, node)).unwrap_or_default();
    Place::Units { units, accounts: filter(faults, fields) }
}

fn units(faults: &mut Faults<'_, '_>, node: &Node) -> Vec<UnitId> {
    let items = list(faults, node, "organizationalUnits", UNITS).unwrap_or_default();
    if items.len() > MOST_UNITS {
        let problem = format!("`organizationalUnits` lists {} units", items.len());
        faults.at(node.at, problem, "AWS takes 50 at most: name their parent, or make two targets");
    }
    let mut units: Vec<UnitId> = Vec::new();
    for item in items {
        let Some(unit) = name(faults, item, "the organizational unit", UnitId::parse) else { continue };
        if units.contains(&unit) {
            faults.at(item.at, format!("the organizational unit `{unit}` is listed twice"), "keep it once");
        } else {
            units.push(unit);
        }
    }
    units
}

fn filter(faults: &mut Faults<'_, '_>, fields: &Fields<'_>) -> AccountFilter {
    let only = fields.optional(faults, "onlyAccounts").map(|node| (node, listed(faults, node, "onlyAccounts")));
    let except =
        fields.optional(faults, "excludedAccounts").map(|node| (node, listed(faults, node, "excludedAccounts")));
    match (only, except) {
        (Some((_, only)), Some((node, except))) => {
            let problem = match only.intersection(&except).next() {
                Some(both) => format!("account {both} is both included and excluded"),
                None => "`onlyAccounts` and `excludedAccounts` are both given".to_owned(),
            };
            faults.at(node.at, problem, "keep one of the two: what is not in `onlyAccounts` is excluded anyway");
            AccountFilter::All
        }
        (Some((_, only)), None) => AccountFilter::Only(only),
        (None, Some((_, except))) => AccountFilter::Except(except),
        (None, None) => AccountFilter::All,
    }
}

fn listed(faults: &mut Faults<'_, '_>, node: &Node, key: &str) -> BTreeSet<AccountId> {
    let items = list(faults, node, key, ACCOUNTS).unwrap_or_default();
    items.iter().filter_map(|item| account(faults, item)).collect()
}

pub(super) fn accounts(faults: &mut Faults<'_, '_>, node: &Node) -> Vec<AccountId> {
    let items = list(faults, node, "accounts", ACCOUNTS).unwrap_or_default();
    items.iter().filter_map(|item| account(faults, item)).collect()
}

fn account(faults: &mut Faults<'_, '_>, node: &Node) -> Option<AccountId> {
    let (Some(ScalarKind::Number), Some(number)) = (node.scalar_kind(), node.as_str()) else {
        return name(faults, node, "the account id", AccountId::parse);
    };
    match AccountId::parse(number) {
        Ok(_) => {
            let problem = format!(
                "the account id `{number}` must be quoted: YAML reads it as a number (leading zeros would be lost)"
            );
            faults.at(node.at, problem, format!("write \"{number}\""));
        }
        Err(IdError { problem, fix }) => faults.at(node.at, problem, format!("{fix}, in quotes")),
    }
    None
}

/// The Regions of a target. One that this version does not know is far more often a typing error than newer, so `newRegions` of the
/// policy must list it.
fn regions(faults: &mut Faults<'_, '_>, node: &Node, newer: &[RegionName]) -> Vec<RegionName> {
    let items = list(faults, node, "regions", REGIONS).unwrap_or_default();
    let parse = |text: &str| {
        RegionName::parse_listed(text, newer).map_err(|IdError { problem, fix }| {
            let is_code = RegionName::parse(text).is_ok();
            let fix = if is_code {
                format!("{fix} (a newer Region is listed under `newRegions` of the policy)")
            } else {
                fix
            };
            IdError { problem, fix }
        })
    };
    items.iter().filter_map(|item| name(faults, item, "the Region", parse)).collect()
}

/// A StackSet has one permission model: accounts with roles that somebody made, or organizational units with roles of AWS.
fn report_mixture(faults: &mut Faults<'_, '_>, targets: &[Target]) {
    let is_units = |target: &&Target| matches!(target.place, Place::Units { .. });
    let Some(first) = targets.first() else { return };
    if let Some(other) = targets.iter().find(|target| is_units(target) != is_units(&first)) {
        let problem = format!(
            "this target and the one at {} mix accounts and organizational units, and a StackSet has one kind of permissions",
            first.at
        );
        faults.at(other.at, problem, "make two frameworks, each with a StackSet of its own");
    }
}

/// One account in one Region has one stack, which has one value for each parameter.
fn report_contradictions(faults: &mut Faults<'_, '_>, targets: &[Target]) {
    let mut first: BTreeMap<(&AccountId, &RegionName), &Target> = BTreeMap::new();
    for target in targets {
        let pairs =
            target.accounts().iter().flat_map(|account| target.regions.iter().map(move |region| (account, region)));
        // One fault for a target, however many of its instances are affected.
        let mut reported = false;
        for pair @ (account, region) in pairs {
            let other = *first.entry(pair).or_insert(target);
            if other.parameters != target.parameters && !reported {
                let problem = format!(
                    "account {account} in {region} is also in the target at {}, with other parameters",
                    other.at
                );
                faults.at(target.at, problem, "keep it in one target");
                reported = true;
            }
        }
    }
}

/// The same of units that two targets name; what a unit shares with its child units only AWS knows.
fn report_unit_contradictions(faults: &mut Faults<'_, '_>, targets: &[Target]) {
    let mut first: BTreeMap<(&UnitId, &RegionName), (&Target, &AccountFilter)> = BTreeMap::new();
    for target in targets {
        let Place::Units { units, accounts } = &target.place else { continue };
        let pairs: Vec<_> =
            units.iter().flat_map(|unit| target.regions.iter().map(move |region| (unit, region))).collect();
        for pair @ (unit, region) in pairs {
            let (other, filter) = *first.entry(pair).or_insert((target, accounts));
            if other.at == target.at || are_apart(filter, accounts) {
                continue;
            }
            let problem = match both(filter, accounts) {
                Some(account) => format!(
                    "account {account} of the organizational unit `{unit}` is included by one of this target and the one at {} and excluded by the other",
                    other.at
                ),
                None => format!("the organizational unit `{unit}` in {region} is also in the target at {}", other.at),
            };
            faults.at(
                target.at,
                problem,
                "keep the unit in one target, or narrow both with `onlyAccounts` so that they share no account",
            );
            break;
        }
    }
}

/// Whether two filters of one unit admit no account in common.
fn are_apart(one: &AccountFilter, other: &AccountFilter) -> bool {
    match (one, other) {
        (AccountFilter::Only(one), AccountFilter::Only(other)) => one.is_disjoint(other),
        (AccountFilter::Only(only), AccountFilter::Except(except))
        | (AccountFilter::Except(except), AccountFilter::Only(only)) => only.is_subset(except),
        _ => false,
    }
}

/// An account that one filter lists as wanted and the other as unwanted.
fn both<'a>(one: &'a AccountFilter, other: &'a AccountFilter) -> Option<&'a AccountId> {
    match (one, other) {
        (AccountFilter::Only(only), AccountFilter::Except(except))
        | (AccountFilter::Except(except), AccountFilter::Only(only)) => only.intersection(except).next(),
        _ => None,
    }
}

/// `callAs` and `autoDeployment`, which are about organizational units only. New accounts of a unit are deployed to unless the
/// policy says otherwise: an account that nobody backs up is what all this is there to prevent.
pub(super) fn service_managed(
    faults: &mut Faults<'_, '_>,
    fields: &Fields<'_>,
    targets: &[Target],
) -> (CallAs, AutoDeployment) {
    let mut call_as = CallAs::Own;
    let mut auto = AutoDeployment { enabled: true, retain_stacks: false };
    for key in ["callAs", "autoDeployment"] {
        let Some(node) = fields.optional(faults, key) else { continue };
        if targets.iter().any(|target| matches!(target.place, Place::Accounts(_))) {
            let problem = format!("`{key}` is about organizational units, and the targets are accounts");
            faults.at(node.at, problem, format!("remove `{key}`, or name `organizationalUnits` in the targets"));
        } else if key == "callAs" {
            call_as = one_of(faults, node, key, &CALLERS).unwrap_or_default();
        } else {
            auto = auto_deployment(faults, node).unwrap_or(auto);
        }
    }
    (call_as, auto)
}

fn auto_deployment(faults: &mut Faults<'_, '_>, node: &Node) -> Option<AutoDeployment> {
    if node.entries().is_none() {
        return Some(AutoDeployment { enabled: boolean(faults, node, "autoDeployment")?, retain_stacks: false });
    }
    let fields = Fields::of(faults, node, &AUTO_DEPLOYMENT)?;
    let enabled = fields.required(faults, "enabled", "true").and_then(|node| boolean(faults, node, "enabled"));
    let retain = fields.optional(faults, "retainStacks");
    let retain_stacks = retain.and_then(|node| boolean(faults, node, "retainStacks")).unwrap_or(false);
    if let (Some(false), true, Some(node)) = (enabled, retain_stacks, retain) {
        let problem = "`retainStacks` is about accounts that leave, which is only noticed with auto-deployment";
        faults.at(node.at, problem, "write `enabled: true`, or remove `retainStacks`");
    }
    Some(AutoDeployment { enabled: enabled?, retain_stacks })
}
