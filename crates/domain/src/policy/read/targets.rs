//! Reads targets: accounts or organizational units, and their settings.

use std::collections::{BTreeMap, BTreeSet};

use framework::ids::{AccountId, IdError, RegionName, UnitId};
use syntax::diagnostic::Diagnostics;
use syntax::yaml::{Node, ScalarKind};

use super::{ACCOUNTS, REGIONS, boolean, one_of, parameters};
use crate::policy::fields::{Fields, Keys, list, name};
use crate::policy::{AccountFilter, AutoDeployment, CallAs, PolicyTarget, TargetScope};

pub(in crate::policy) const TARGET: Keys = Keys {
    of: "a target",
    known: &["accounts", "organizationalUnits", "onlyAccounts", "excludedAccounts", "regions", "parameters"],
    unsupported: &[],
};

pub(in crate::policy) const AUTO_DEPLOYMENT: Keys =
    Keys { of: "`autoDeployment`", known: &["enabled", "retainStacks"], unsupported: &[] };

const UNITS: &str = "[ou-abcd-11111111]";

/// Maximum instances of a StackSet (CloudFormation quotas).
const MOST_INSTANCES: usize = 100_000;
/// Maximum organizational units of a call (API reference, `DeploymentTargets`); each target is at least one call.
pub(in crate::policy) const MOST_UNITS: usize = 50;

pub(in crate::policy) const CALLERS: [(&str, CallAs); 2] =
    [("self", CallAs::Own), ("delegatedAdministrator", CallAs::DelegatedAdministrator)];

pub(super) fn targets(
    diagnostics: &mut Diagnostics<'_, '_>,
    fields: &Fields<'_>,
    newer: &[RegionName],
) -> Vec<PolicyTarget> {
    let example = format!("`- accounts: {ACCOUNTS}` with `regions: {REGIONS}`");
    let Some(node) =
        fields.required(diagnostics, "targets", &format!("[{{ accounts: {ACCOUNTS}, regions: {REGIONS} }}]"))
    else {
        return Vec::new();
    };
    let items = list(diagnostics, node, "targets", &example).unwrap_or_default();
    let targets: Vec<PolicyTarget> = items.iter().filter_map(|item| target(diagnostics, item, newer)).collect();

    let instances: usize =
        targets.iter().map(|target| target.accounts().len().saturating_mul(target.regions.len())).sum();
    if instances > MOST_INSTANCES {
        let problem = format!("the targets have {instances} stack instances");
        diagnostics.report_error(
            node.at,
            problem,
            "split the framework: a StackSet has at most 100000 stack instances",
        );
    } else {
        report_mixture(diagnostics, &targets);
        report_contradictions(diagnostics, &targets);
        report_unit_contradictions(diagnostics, &targets);
    }
    targets
}

fn target(diagnostics: &mut Diagnostics<'_, '_>, node: &Node, newer: &[RegionName]) -> Option<PolicyTarget> {
    let fields = Fields::of(diagnostics, node, &TARGET)?;
    let place = place(diagnostics, &fields);
    let regions = fields
        .required(diagnostics, "regions", REGIONS)
        .map(|node| regions(diagnostics, node, newer))
        .unwrap_or_default();
    let parameters = parameters(diagnostics, &fields);
    Some(PolicyTarget { scope: place, regions, parameters, at: fields.at })
}

fn place(diagnostics: &mut Diagnostics<'_, '_>, fields: &Fields<'_>) -> TargetScope {
    const FILTERS: [&str; 2] = ["onlyAccounts", "excludedAccounts"];
    if !fields.means("organizationalUnits") {
        for key in FILTERS {
            if let Some(node) = fields.optional(diagnostics, key) {
                let problem = format!("`{key}` needs `organizationalUnits`, which this target does not have");
                diagnostics.report_error(
                    node.at,
                    problem,
                    "list the accounts under `accounts`, or add `organizationalUnits`",
                );
            }
        }
        if FILTERS.iter().any(|key| fields.has(key)) && !fields.means("accounts") {
            return TargetScope::OrganizationalUnits { units: Vec::new(), accounts: AccountFilter::All };
        }
        let accounts = fields.required(diagnostics, "accounts", ACCOUNTS).map(|node| accounts(diagnostics, node));
        return TargetScope::Accounts(accounts.unwrap_or_default());
    }
    if let Some(node) = fields.optional(diagnostics, "accounts") {
        let problem = "a target has either `accounts` or `organizationalUnits`";
        let fix = "select accounts of the organizational units with `onlyAccounts`, or use two frameworks: a StackSet has one permission model";
        diagnostics.report_error(node.at, problem, fix);
    }
    let units =
        fields.optional(diagnostics, "organizationalUnits").map(|node| units(diagnostics, node)).unwrap_or_default();
    TargetScope::OrganizationalUnits { units, accounts: filter(diagnostics, fields) }
}

fn units(diagnostics: &mut Diagnostics<'_, '_>, node: &Node) -> Vec<UnitId> {
    let items = list(diagnostics, node, "organizationalUnits", UNITS).unwrap_or_default();
    if items.len() > MOST_UNITS {
        let problem = format!("`organizationalUnits` has {} items", items.len());
        diagnostics.report_error(node.at, problem, "list their parent, or split the target: AWS accepts at most 50");
    }
    let mut units: Vec<UnitId> = Vec::new();
    for item in items {
        let Some(unit) = name(diagnostics, item, "the organizational unit", UnitId::parse) else { continue };
        if units.contains(&unit) {
            diagnostics.report_error(
                item.at,
                format!("the organizational unit `{unit}` is listed twice"),
                "list it once",
            );
        } else {
            units.push(unit);
        }
    }
    units
}

fn filter(diagnostics: &mut Diagnostics<'_, '_>, fields: &Fields<'_>) -> AccountFilter {
    let only =
        fields.optional(diagnostics, "onlyAccounts").map(|node| (node, listed(diagnostics, node, "onlyAccounts")));
    let except = fields
        .optional(diagnostics, "excludedAccounts")
        .map(|node| (node, listed(diagnostics, node, "excludedAccounts")));
    match (only, except) {
        (Some((_, only)), Some((node, except))) => {
            let problem = match only.intersection(&except).next() {
                Some(both) => format!("account {both} is both included and excluded"),
                None => "the target has both `onlyAccounts` and `excludedAccounts`".to_owned(),
            };
            diagnostics.report_error(
                node.at,
                problem,
                "keep one of the two: accounts that are not in `onlyAccounts` are excluded anyway",
            );
            AccountFilter::All
        }
        (Some((_, only)), None) => AccountFilter::Only(only),
        (None, Some((_, except))) => AccountFilter::Except(except),
        (None, None) => AccountFilter::All,
    }
}

fn listed(diagnostics: &mut Diagnostics<'_, '_>, node: &Node, key: &str) -> BTreeSet<AccountId> {
    let items = list(diagnostics, node, key, ACCOUNTS).unwrap_or_default();
    items.iter().filter_map(|item| account(diagnostics, item)).collect()
}

pub(super) fn accounts(diagnostics: &mut Diagnostics<'_, '_>, node: &Node) -> Vec<AccountId> {
    let items = list(diagnostics, node, "accounts", ACCOUNTS).unwrap_or_default();
    items.iter().filter_map(|item| account(diagnostics, item)).collect()
}

fn account(diagnostics: &mut Diagnostics<'_, '_>, node: &Node) -> Option<AccountId> {
    let (Some(ScalarKind::Number), Some(number)) = (node.scalar_kind(), node.as_str()) else {
        return name(diagnostics, node, "the account id", AccountId::parse);
    };
    match AccountId::parse(number) {
        Ok(_) => {
            let problem = format!(
                "the account id `{number}` must be quoted: YAML reads it as a number (leading zeros would be lost)"
            );
            diagnostics.report_error(node.at, problem, format!("write \"{number}\""));
        }
        Err(IdError { message: problem, help: fix }) => {
            diagnostics.report_error(node.at, problem, format!("{fix}, in quotes"))
        }
    }
    None
}

/// The Regions of a target. `newRegions` of the policy must list one that this version does not know: most are typing errors.
fn regions(diagnostics: &mut Diagnostics<'_, '_>, node: &Node, newer: &[RegionName]) -> Vec<RegionName> {
    let items = list(diagnostics, node, "regions", REGIONS).unwrap_or_default();
    let parse = |text: &str| {
        RegionName::parse_listed(text, newer).map_err(|IdError { message: problem, help: fix }| {
            let is_code = RegionName::parse(text).is_ok();
            let fix =
                if is_code { format!("{fix} (list a newer Region under `newRegions` of the policy)") } else { fix };
            IdError { message: problem, help: fix }
        })
    };
    items.iter().filter_map(|item| name(diagnostics, item, "the Region", parse)).collect()
}

/// Reports targets of two permission models: accounts need self-managed, organizational units service-managed permissions.
fn report_mixture(diagnostics: &mut Diagnostics<'_, '_>, targets: &[PolicyTarget]) {
    let is_units = |target: &&PolicyTarget| matches!(target.scope, TargetScope::OrganizationalUnits { .. });
    let Some(first) = targets.first() else { return };
    if let Some(other) = targets.iter().find(|target| is_units(target) != is_units(&first)) {
        let problem = format!(
            "this target and the one at {} mix accounts and organizational units, but a StackSet has one permission model",
            first.at
        );
        diagnostics.report_error(other.at, problem, "use two frameworks: each has its own StackSet");
    }
}

/// Reports targets that give one stack instance two values of a parameter.
fn report_contradictions(diagnostics: &mut Diagnostics<'_, '_>, targets: &[PolicyTarget]) {
    let mut first: BTreeMap<(&AccountId, &RegionName), &PolicyTarget> = BTreeMap::new();
    for target in targets {
        let pairs =
            target.accounts().iter().flat_map(|account| target.regions.iter().map(move |region| (account, region)));
        // One diagnostic for each target, not for each instance.
        let mut reported = false;
        for pair @ (account, region) in pairs {
            let other = *first.entry(pair).or_insert(target);
            if other.parameters != target.parameters && !reported {
                let problem = format!(
                    "account {account} in {region} is also in the target at {}, with other parameters",
                    other.at
                );
                diagnostics.report_error(target.at, problem, "keep it in one target");
                reported = true;
            }
        }
    }
}

/// Reports organizational units in two targets. Child units are unknown before the rollout, which is left to `deploy`.
fn report_unit_contradictions(diagnostics: &mut Diagnostics<'_, '_>, targets: &[PolicyTarget]) {
    let mut first: BTreeMap<(&UnitId, &RegionName), (&PolicyTarget, &AccountFilter)> = BTreeMap::new();
    for target in targets {
        let TargetScope::OrganizationalUnits { units, accounts } = &target.scope else { continue };
        let pairs: Vec<_> =
            units.iter().flat_map(|unit| target.regions.iter().map(move |region| (unit, region))).collect();
        for pair @ (unit, region) in pairs {
            let (other, filter) = *first.entry(pair).or_insert((target, accounts));
            if other.at == target.at || are_disjoint(filter, accounts) {
                continue;
            }
            let problem = match contradicting_account(filter, accounts) {
                Some(account) => format!(
                    "this target and the one at {} have the organizational unit `{unit}`, and only one of them excludes account {account}",
                    other.at
                ),
                None => format!("the organizational unit `{unit}` in {region} is also in the target at {}", other.at),
            };
            diagnostics.report_error(
                target.at,
                problem,
                "keep it in one target, or separate the accounts of the two with `onlyAccounts`",
            );
            break;
        }
    }
}

/// Whether two filters of one organizational unit select disjoint accounts.
fn are_disjoint(one: &AccountFilter, other: &AccountFilter) -> bool {
    match (one, other) {
        (AccountFilter::Only(one), AccountFilter::Only(other)) => one.is_disjoint(other),
        (AccountFilter::Only(only), AccountFilter::Except(except))
        | (AccountFilter::Except(except), AccountFilter::Only(only)) => only.is_subset(except),
        _ => false,
    }
}

/// An account that one filter includes and the other excludes.
fn contradicting_account<'a>(one: &'a AccountFilter, other: &'a AccountFilter) -> Option<&'a AccountId> {
    match (one, other) {
        (AccountFilter::Only(only), AccountFilter::Except(except))
        | (AccountFilter::Except(except), AccountFilter::Only(only)) => only.intersection(except).next(),
        _ => None,
    }
}

/// `callAs` and `autoDeployment`, which only organizational units have. Auto-deployment is on by default, so that a new account
/// is covered.
pub(super) fn service_managed(
    diagnostics: &mut Diagnostics<'_, '_>,
    fields: &Fields<'_>,
    targets: &[PolicyTarget],
) -> (CallAs, AutoDeployment) {
    let mut call_as = CallAs::Own;
    let mut auto = AutoDeployment { enabled: true, retain_stacks: false };
    for key in ["callAs", "autoDeployment"] {
        let Some(node) = fields.optional(diagnostics, key) else { continue };
        if targets.iter().any(|target| matches!(target.scope, TargetScope::Accounts(_))) {
            let problem = format!("`{key}` needs organizational units, but the targets are accounts");
            diagnostics.report_error(
                node.at,
                problem,
                format!("remove `{key}`, or list `organizationalUnits` in the targets"),
            );
        } else if key == "callAs" {
            call_as = one_of(diagnostics, fields, key, &CALLERS).unwrap_or_default();
        } else {
            auto = auto_deployment(diagnostics, node).unwrap_or(auto);
        }
    }
    (call_as, auto)
}

fn auto_deployment(diagnostics: &mut Diagnostics<'_, '_>, node: &Node) -> Option<AutoDeployment> {
    if node.entries().is_none() {
        return Some(AutoDeployment { enabled: boolean(diagnostics, node, "autoDeployment")?, retain_stacks: false });
    }
    let fields = Fields::of(diagnostics, node, &AUTO_DEPLOYMENT)?;
    let enabled =
        fields.required(diagnostics, "enabled", "true").and_then(|node| boolean(diagnostics, node, "enabled"));
    let retain = fields.optional(diagnostics, "retainStacks");
    let retain_stacks = retain.and_then(|node| boolean(diagnostics, node, "retainStacks")).unwrap_or(false);
    if let (Some(false), true, Some(node)) = (enabled, retain_stacks, retain) {
        let problem = "`retainStacks` has no effect without auto-deployment";
        diagnostics.report_error(node.at, problem, "write `enabled: true`, or remove `retainStacks`");
    }
    Some(AutoDeployment { enabled: enabled?, retain_stacks })
}
