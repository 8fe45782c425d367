//! Reads targets: accounts or organizational units, and their settings.

use std::collections::{BTreeMap, BTreeSet};

use framework::ids::{AccountId, IdError, RegionName, UnitId};
use syntax::diagnostic::Position;
use syntax::yaml::{Node, ScalarKind};

use super::{ACCOUNTS, REGIONS, boolean, one_of, parameters};
use crate::policy::fields::{Errors, FieldKeys, Fields, list, name, reject, unique};
use crate::policy::{AccountFilter, AutoDeployment, CallAs, FrameworkPolicy, PolicyTarget, TargetScope};

pub(in crate::policy) const TARGET: FieldKeys = FieldKeys {
    of: "a target",
    known: &["accounts", "organizationalUnits", "onlyAccounts", "excludedAccounts", "regions", "parameters"],
};

pub(in crate::policy) const AUTO_DEPLOYMENT: FieldKeys =
    FieldKeys { of: "`autoDeployment`", known: &["enabled", "retainStacks"] };

const UNITS: &str = "[ou-abcd-11111111]";

/// Maximum instances of a StackSet (CloudFormation quotas).
const MOST_INSTANCES: usize = 100_000;
/// Maximum organizational units of a call (API reference, `DeploymentTargets`); each target is at least one call.
pub(in crate::policy) const MOST_UNITS: usize = 50;

pub(in crate::policy) const CALLERS: [(&str, CallAs); 2] =
    [("self", CallAs::Own), ("delegatedAdministrator", CallAs::DelegatedAdministrator)];

pub(super) fn targets(errors: &mut Errors<'_>, fields: &Fields<'_>, newer: &[RegionName]) -> Vec<PolicyTarget> {
    let example = format!("[{{ accounts: {ACCOUNTS}, regions: {REGIONS} }}]");
    let targets = fields.required(errors, "targets", &example, |errors, node| {
        let example = format!("`- accounts: {ACCOUNTS}` with `regions: {REGIONS}`");
        let items = list(errors, node, "targets", &example)?;
        let targets: Vec<PolicyTarget> = items.iter().filter_map(|item| target(errors, item, newer)).collect();
        let instances = targets.iter().map(|target| target.accounts().len().saturating_mul(target.regions.len()));
        let instances: usize = instances.sum();
        if instances > MOST_INSTANCES {
            let problem = format!("the targets have {instances} stack instances");
            let fix = "split the framework: a StackSet has at most 100000 stack instances";
            errors.report_error(node.at, problem, fix);
        } else {
            report_mixture(errors, &targets);
            report_partitions(errors, &targets);
            report_contradictions(errors, &targets);
            report_unit_contradictions(errors, &targets);
        }
        Some(targets)
    });
    targets.unwrap_or_default()
}

fn target(errors: &mut Errors<'_>, node: &Node, newer: &[RegionName]) -> Option<PolicyTarget> {
    let fields = Fields::of(errors, node, &TARGET)?;
    Some(PolicyTarget {
        scope: scope(errors, &fields),
        regions: fields
            .required(errors, "regions", REGIONS, |errors, node| regions(errors, node, newer))
            .unwrap_or_default(),
        parameters: fields.optional(errors, "parameters", parameters).unwrap_or_default(),
        at: fields.at,
    })
}

fn scope(errors: &mut Errors<'_>, fields: &Fields<'_>) -> TargetScope {
    const FILTERS: [&str; 2] = ["onlyAccounts", "excludedAccounts"];
    if !fields.means("organizationalUnits") {
        for key in FILTERS {
            let problem = format!("`{key}` needs `organizationalUnits`, which this target does not have");
            let fix = "list the accounts under `accounts`, or add `organizationalUnits`";
            fields.optional(errors, key, |errors, node| reject::<()>(errors, node.at, problem, fix));
        }
        if FILTERS.iter().any(|key| fields.has(key)) && !fields.means("accounts") {
            return TargetScope::OrganizationalUnits { units: Vec::new(), accounts: AccountFilter::All };
        }
        let accounts = fields.required(errors, "accounts", ACCOUNTS, accounts);
        return TargetScope::Accounts(accounts.unwrap_or_default());
    }
    let problem = "a target has either `accounts` or `organizationalUnits`";
    let fix = "select accounts of the organizational units with `onlyAccounts`, or use two frameworks: a StackSet has one permission model";
    fields.optional(errors, "accounts", |errors, node| reject::<()>(errors, node.at, problem, fix));
    let units = fields.optional(errors, "organizationalUnits", units).unwrap_or_default();
    TargetScope::OrganizationalUnits { units, accounts: filter(errors, fields) }
}

fn units(errors: &mut Errors<'_>, node: &Node) -> Option<Vec<UnitId>> {
    const NAME: &str = "the organizational unit";
    let items = list(errors, node, "organizationalUnits", UNITS)?;
    if items.len() > MOST_UNITS {
        let problem = format!("`organizationalUnits` has {} items", items.len());
        errors.report_error(node.at, problem, "list their parent, or split the target: AWS accepts at most 50");
    }
    Some(unique(errors, items, NAME, |errors, item| name(errors, item, NAME, UnitId::parse)))
}

fn filter(errors: &mut Errors<'_>, fields: &Fields<'_>) -> AccountFilter {
    let mut listed = |key| {
        fields.optional(errors, key, |errors, node| {
            Some((node.at, account_list(errors, node, key).unwrap_or_default().into_iter().collect::<BTreeSet<_>>()))
        })
    };
    match (listed("onlyAccounts"), listed("excludedAccounts")) {
        (Some((_, only)), Some((at, except))) => {
            let problem = match only.intersection(&except).next() {
                Some(both) => format!("account {both} is both included and excluded"),
                None => "the target has both `onlyAccounts` and `excludedAccounts`".to_owned(),
            };
            let fix = "keep one of the two: accounts that are not in `onlyAccounts` are excluded anyway";
            errors.report_error(at, problem, fix);
            AccountFilter::All
        }
        (Some((_, only)), None) => AccountFilter::Only(only),
        (None, Some((_, except))) => AccountFilter::Except(except),
        (None, None) => AccountFilter::All,
    }
}

pub(super) fn accounts(errors: &mut Errors<'_>, node: &Node) -> Option<Vec<AccountId>> {
    account_list(errors, node, "accounts")
}

fn account_list(errors: &mut Errors<'_>, node: &Node, key: &str) -> Option<Vec<AccountId>> {
    Some(list(errors, node, key, ACCOUNTS)?.iter().filter_map(|item| account(errors, item)).collect())
}

fn account(errors: &mut Errors<'_>, node: &Node) -> Option<AccountId> {
    let (Some(ScalarKind::Number), Some(number)) = (node.scalar_kind(), node.as_str()) else {
        return name(errors, node, "the account id", AccountId::parse);
    };
    let (problem, fix) = match AccountId::parse(number) {
        Ok(_) => (
            format!(
                "the account id `{number}` must be quoted: YAML reads it as a number (leading zeros would be lost)"
            ),
            format!("write \"{number}\""),
        ),
        Err(IdError { message, help }) => (message, format!("{help}, in quotes")),
    };
    reject(errors, node.at, problem, fix)
}

/// The Regions of a target. `newRegions` of the policy must list one that this version does not know: most are typing errors.
fn regions(errors: &mut Errors<'_>, node: &Node, newer: &[RegionName]) -> Option<Vec<RegionName>> {
    let parse = |text: &str| {
        RegionName::parse_listed(text, newer).map_err(|IdError { message, help }| {
            let is_code = RegionName::parse(text).is_ok();
            let newer = if is_code { " (list a newer Region under `newRegions` of the policy)" } else { "" };
            IdError { message, help: help + newer }
        })
    };
    let items = list(errors, node, "regions", REGIONS)?;
    Some(items.iter().filter_map(|item| name(errors, item, "the Region", parse)).collect())
}

/// Reports targets of two permission models: accounts need self-managed, organizational units service-managed permissions.
fn report_mixture(errors: &mut Errors<'_>, targets: &[PolicyTarget]) {
    let is_units = |target: &&PolicyTarget| matches!(target.scope, TargetScope::OrganizationalUnits { .. });
    let Some(first) = targets.first() else { return };
    if let Some(other) = targets.iter().find(|target| is_units(target) != is_units(&first)) {
        let both = format!("this target and the one at {} mix accounts and organizational units", first.at);
        let problem = both + ", but a StackSet has one permission model";
        errors.report_error(other.at, problem, "use two frameworks: each has its own StackSet");
    }
}

/// Reports Regions of several partitions. An account, an organization and its roles are in one partition, so StackSets cannot leave it ("AWS
/// partitions", AWS Fault Isolation Boundaries). Regions that this version does not know are left out.
fn report_partitions(errors: &mut Errors<'_>, targets: &[PolicyTarget]) {
    fn first_of(target: &PolicyTarget) -> Option<(&PolicyTarget, &RegionName)> {
        Some((target, target.regions.iter().find(|region| is_known(region))?))
    }
    let fix = "use a policy for each partition: accounts and StackSets belong to one";
    for (target, first) in targets.iter().filter_map(first_of) {
        let is_other = |region: &&RegionName| is_known(region) && region.partition() != first.partition();
        if let Some(other) = target.regions.iter().find(is_other) {
            let problem = format!(
                "the target has Regions of two partitions: `{first}` of `{}` and `{other}` of `{}`",
                first.partition(),
                other.partition()
            );
            errors.report_error(target.at, problem, fix);
            return;
        }
    }
    let mut targets = targets.iter().filter_map(first_of);
    let Some((first, region)) = targets.next() else { return };
    if let Some((other, elsewhere)) = targets.find(|(_, other)| other.partition() != region.partition()) {
        let problem = format!(
            "this target is in the partition `{}`, and the one at {} in `{}`",
            elsewhere.partition(),
            first.at,
            region.partition()
        );
        errors.report_error(other.at, problem, fix);
    }
}

fn is_known(region: &RegionName) -> bool {
    framework::ids::REGIONS.contains(&region.as_str())
}

/// Reports accounts that the frameworks have in several partitions.
pub(super) fn report_accounts_in_partitions(errors: &mut Errors<'_>, frameworks: &[FrameworkPolicy]) {
    let mut partitions: BTreeMap<&AccountId, (&str, Position)> = BTreeMap::new();
    for framework in frameworks {
        // The partitions of one framework were compared before.
        for target in &framework.targets {
            let Some(region) = target.regions.iter().find(|region| is_known(region)) else { continue };
            for account in target.accounts() {
                let (partition, at) = *partitions.entry(account).or_insert((region.partition(), target.at));
                if partition != region.partition() {
                    let problem = format!(
                        "account {account} is in the partition `{partition}` at {at} and in `{}` here",
                        region.partition()
                    );
                    errors.report_error(
                        target.at,
                        problem,
                        "correct the account or the Regions: an account is in one partition",
                    );
                    return;
                }
            }
        }
    }
}

/// Reports targets that give one stack instance two values of a parameter.
fn report_contradictions(errors: &mut Errors<'_>, targets: &[PolicyTarget]) {
    let mut first: BTreeMap<(&AccountId, &RegionName), &PolicyTarget> = BTreeMap::new();
    for target in targets {
        let pairs =
            target.accounts().iter().flat_map(|account| target.regions.iter().map(move |region| (account, region)));
        // One diagnostic for each target, not for each instance.
        let mut reported = false;
        for pair @ (account, region) in pairs {
            let PolicyTarget { at, parameters, .. } = *first.entry(pair).or_insert(target);
            if *parameters != target.parameters && !reported {
                let problem =
                    format!("account {account} in {region} is also in the target at {at}, with other parameters");
                errors.report_error(target.at, problem, "keep it in one target");
                reported = true;
            }
        }
    }
}

/// Reports organizational units in two targets. Child units are unknown before the rollout, which is left to `deploy`.
fn report_unit_contradictions(errors: &mut Errors<'_>, targets: &[PolicyTarget]) {
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
            let fix = "keep it in one target, or separate the accounts of the two with `onlyAccounts`";
            errors.report_error(target.at, problem, fix);
            break;
        }
    }
}

fn are_disjoint(one: &AccountFilter, other: &AccountFilter) -> bool {
    match (one, other) {
        (AccountFilter::Only(one), AccountFilter::Only(other)) => one.is_disjoint(other),
        (AccountFilter::Only(only), AccountFilter::Except(except))
        | (AccountFilter::Except(except), AccountFilter::Only(only)) => only.is_subset(except),
        _ => false,
    }
}

fn contradicting_account<'a>(one: &'a AccountFilter, other: &'a AccountFilter) -> Option<&'a AccountId> {
    match (one, other) {
        (AccountFilter::Only(only), AccountFilter::Except(except))
        | (AccountFilter::Except(except), AccountFilter::Only(only)) => only.intersection(except).next(),
        _ => None,
    }
}

/// `callAs` and `autoDeployment`, which only organizational units have. By default a new account is covered.
pub(super) fn service_managed(
    errors: &mut Errors<'_>,
    fields: &Fields<'_>,
    targets: &[PolicyTarget],
) -> (CallAs, AutoDeployment) {
    let default = AutoDeployment { enabled: true, retain_stacks: false };
    if targets.iter().any(|target| matches!(target.scope, TargetScope::Accounts(_))) {
        for key in ["callAs", "autoDeployment"] {
            let problem = format!("`{key}` needs organizational units, but the targets are accounts");
            let fix = format!("remove `{key}`, or list `organizationalUnits` in the targets");
            fields.optional(errors, key, |errors, node| reject::<()>(errors, node.at, problem, fix));
        }
        return (CallAs::Own, default);
    }
    let call_as = one_of(errors, fields, "callAs", &CALLERS).unwrap_or_default();
    (call_as, fields.optional(errors, "autoDeployment", auto_deployment).unwrap_or(default))
}

fn auto_deployment(errors: &mut Errors<'_>, node: &Node) -> Option<AutoDeployment> {
    if node.entries().is_none() {
        return Some(AutoDeployment { enabled: boolean(errors, node, "autoDeployment")?, retain_stacks: false });
    }
    let fields = Fields::of(errors, node, &AUTO_DEPLOYMENT)?;
    let enabled = fields.required(errors, "enabled", "true", |errors, node| boolean(errors, node, "enabled"));
    let retain =
        fields.optional(errors, "retainStacks", |errors, node| Some((node.at, boolean(errors, node, "retainStacks")?)));
    if let (Some(false), Some((at, true))) = (enabled, retain) {
        let problem = "`retainStacks` has no effect without auto-deployment";
        errors.report_error(at, problem, "write `enabled: true`, or remove `retainStacks`");
    }
    Some(AutoDeployment { enabled: enabled?, retain_stacks: retain.is_some_and(|(_, retain)| retain) })
}
