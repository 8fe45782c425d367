//! Frameworks with organizational units as targets.

use std::collections::BTreeSet;
use std::sync::Arc;

use app::deploy::{FrameworkOutcome, ReconcileSummary};
use app::events::{DeployTrigger, ReconcileScope};
use domain::notice::{Notice, RolloutReport};
use domain::rollout::{
    AccountFilterType, CallAs, DetailedStatus, Instance, InstanceOutcome, InstanceStatus, ObservedInstance, Operation,
    Parameters,
};
use framework::ids::{AccountId, RegionName, UnitId};
use testkit::world::World;

use crate::deploy::{current, deploy, mutations, name, outcome, push_seen, settle};
use crate::policy::{FRAMEWORK, ONE, THREE, TWO};

pub(crate) const UNIT: &str = "ou-abcd-11111111";
pub(crate) const OTHER: &str = "ou-abcd-22222222";
pub(crate) const MANAGEMENT: &str = "999999999999";
const ORGANIZATIONS: &str = "organizations:ListAccountsForParent";

fn unit(text: &str) -> UnitId {
    UnitId::parse(text).unwrap()
}

fn accounts(list: &[&str]) -> BTreeSet<AccountId> {
    list.iter().map(|account| AccountId::parse(account).unwrap()).collect()
}

/// Puts exactly these accounts into a unit.
pub(crate) fn members(world: &World, of: &str, list: &[&str]) {
    let mut state = world.state();
    state.units.root = Some(unit("r-abcd"));
    state.units.management = Some(AccountId::parse(MANAGEMENT).unwrap());
    state.units.units.insert(unit(of), accounts(list));
}

/// A policy for units in two Regions; `more` are lines of the target, such as `excludedAccounts: []`.
pub(crate) fn policy(units: &[&str], more: &[&str]) -> String {
    let more: String = more.iter().map(|line| format!("        {line}\n")).collect();
    format!(
        "version: 1\nframeworks:\n  - name: backup-compliance\n    template: framework.yaml\n    targets:\n      - organizationalUnits: [{}]\n        regions: [us-east-1, eu-west-1]\n{more}",
        units.join(", ")
    )
}

fn push(world: &World, policy: &str) {
    world.push("Units", &[("backup-compliance.yaml", Some(policy)), ("framework.yaml", Some(FRAMEWORK))]);
}

pub(crate) async fn full(world: &World) -> ReconcileSummary {
    deploy(world).handle(&[DeployTrigger::Schedule(ReconcileScope::Full)]).await.unwrap()
}

/// A unit with two accounts, rolled out.
pub(crate) async fn rolled_out(policy: &str) -> World {
    let world = World::new();
    members(&world, UNIT, &[ONE, TWO]);
    members(&world, OTHER, &[THREE]);
    push(&world, policy);
    let seen = push_seen(&world).await.unwrap();
    assert_eq!(seen.rejected, Vec::<String>::new());
    settle(&world).await;
    world.take_notices();
    world.take_calls();
    world
}

/// The automatic deployment of StackSets for an account that joins a unit.
fn deployed_on_its_own(world: &World, account: &str) {
    let mut state = world.state();
    for region in ["us-east-1", "eu-west-1"] {
        let at = Instance { account: AccountId::parse(account).unwrap(), region: RegionName::parse(region).unwrap() };
        let found = ObservedInstance {
            status: InstanceStatus::Current,
            detailed: DetailedStatus::Succeeded,
            reason: None,
            overrides: Some(Arc::new(Parameters::new())),
            unit: Some(unit(UNIT)),
        };
        state.stack_sets.get_mut(&name()).unwrap().instances.insert(at, found);
    }
}

fn retention(world: &World, account: &str) -> BTreeSet<Option<String>> {
    let state = world.state();
    let instances = state.stack_sets[&name()].instances.iter();
    let of = instances.filter(|(instance, _)| instance.account.as_str() == account);
    of.map(|(_, found)| found.overrides.as_ref().unwrap().get("MinimumRetentionDays").cloned()).collect()
}

fn deployed(world: &World) -> BTreeSet<AccountId> {
    world.state().stack_sets[&name()].instances.keys().map(|instance| instance.account.clone()).collect()
}

fn in_force(world: &World) -> BTreeSet<AccountId> {
    let state = world.state();
    state.frameworks[&name()].variants.iter().flat_map(|variant| variant.accounts.iter().cloned()).collect()
}

fn succeeded(world: &World) -> RolloutReport {
    let notices = world.take_notices();
    let [Notice::RolloutSucceeded(report)] = notices.as_slice() else { panic!("{notices:?}") };
    report.clone()
}

#[tokio::test(flavor = "current_thread")]
async fn unchanged_push_does_not_read_units() {
    let world = World::new();
    members(&world, UNIT, &[ONE, TWO]);
    push(&world, &policy(&[UNIT], &[]));
    let seen = push_seen(&world).await.unwrap();
    assert!(matches!(outcome(&seen), FrameworkOutcome::Started(_)), "{seen:?}");
    assert_eq!(seen.counts.mutating_calls, 2);
    assert_eq!(mutations(&world), ["CreateStackSet", "CreateStackInstances"]);
    let operation = world.state().stack_sets[&name()].operations.values().next().unwrap().1.clone();
    let Operation::CreateInstances { at, .. } = operation else { panic!("{operation:?}") };
    assert_eq!((at.accounts, at.through.unwrap().filter), (accounts(&[ONE, TWO]), AccountFilterType::Whole));
    assert_eq!(outcome(&settle(&world).await), &FrameworkOutcome::Unchanged);
    assert_eq!(current(&world), 4);
    assert_eq!(in_force(&world), accounts(&[ONE, TWO]));
    assert_eq!(succeeded(&world).verdict.total, 4);

    world.take_calls();
    world.push("Explain", &[("README.md", Some("# Our policy"))]);
    assert_eq!(outcome(&push_seen(&world).await.unwrap()), &FrameworkOutcome::Unchanged);
    let calls = world.take_calls();
    assert!(calls.len() <= 6 && !calls.contains(&ORGANIZATIONS), "{calls:?}");
    assert_eq!(World::mutating(&calls), Vec::<&str>::new());
}

#[tokio::test(flavor = "current_thread")]
async fn joined_account_gets_overrides_later() {
    let world = rolled_out(&policy(&[UNIT], &["parameters: { MinimumRetentionDays: \"90\" }"])).await;
    members(&world, UNIT, &[ONE, TWO, THREE]);
    deployed_on_its_own(&world, THREE);
    let seen = full(&world).await;
    assert_eq!(seen.counts.mutating_calls, 1);
    assert_eq!(mutations(&world), ["UpdateStackInstances"]);
    settle(&world).await;
    for account in [ONE, TWO, THREE] {
        assert_eq!(retention(&world, account), BTreeSet::from([Some("90".to_owned())]), "{account}");
    }
    assert_eq!(in_force(&world), accounts(&[ONE, TWO, THREE]));
    // Counted separately from the work of the push.
    let report = succeeded(&world);
    assert_eq!((report.created, report.updated, report.verdict.total), (0, 2, 6));

    assert_eq!(outcome(&full(&world).await), &FrameworkOutcome::Unchanged);
    assert_eq!(mutations(&world), Vec::<&str>::new());
}

/// Without automatic deployment, or before it.
#[tokio::test(flavor = "current_thread")]
async fn joined_account_without_stack_is_deployed() {
    let world =
        rolled_out(&policy(&[UNIT], &[]).replace("    targets:", "    autoDeployment: false\n    targets:")).await;
    members(&world, UNIT, &[ONE, TWO, THREE]);
    full(&world).await;
    settle(&world).await;
    assert_eq!(mutations(&world), ["CreateStackInstances"]);
    assert_eq!((deployed(&world), current(&world)), (accounts(&[ONE, TWO, THREE]), 6));
}

#[tokio::test(flavor = "current_thread")]
async fn left_account_is_deleted_through_root() {
    let world = rolled_out(&policy(&[UNIT], &[])).await;
    members(&world, UNIT, &[ONE]);
    full(&world).await;
    let deletion = world.state().rollouts[&name()].value.in_flight.clone().unwrap().operation;
    let through = deletion.targets().unwrap().through.clone().unwrap();
    assert_eq!((through.unit.as_str(), through.filter), ("r-abcd", AccountFilterType::Listed));
    settle(&world).await;
    assert_eq!((deployed(&world), in_force(&world)), (accounts(&[ONE]), accounts(&[ONE])));
    assert_eq!(succeeded(&world).deleted, 2);
}

#[tokio::test(flavor = "current_thread")]
async fn undeclared_unit_is_deleted_with_auto_deployment() {
    let world = rolled_out(&policy(&[UNIT, OTHER], &[])).await;
    assert_eq!(deployed(&world), accounts(&[ONE, TWO, THREE]));
    push(&world, &policy(&[OTHER], &[]));
    push_seen(&world).await.unwrap();
    settle(&world).await;
    assert_eq!(mutations(&world), ["DeleteStackInstances"]);
    assert_eq!(deployed(&world), accounts(&[THREE]));
    let state = world.state();
    let registered = &state.stack_sets[&name()].auto_targets;
    let registered: Vec<&str> =
        registered.iter().filter(|(_, regions)| !regions.is_empty()).map(|(unit, _)| unit.as_str()).collect();
    assert_eq!(registered, [OTHER]);
}

#[tokio::test(flavor = "current_thread")]
async fn impossible_targets_are_rejected_at_their_position() {
    for (case, policy, template, expected) in [
        (
            "the management account",
            policy(&[UNIT], &["onlyAccounts: [\"111111111111\", \"999999999999\"]"]),
            FRAMEWORK.to_owned(),
            "backup-compliance.yaml:6:9: account 999999999999 is the management account",
        ),
        (
            "a unit that is not there",
            policy(&[UNIT, "ou-abcd-33333333"], &[]),
            FRAMEWORK.to_owned(),
            "backup-compliance.yaml:6:9: the organizational unit `ou-abcd-33333333` is not in this organization",
        ),
        (
            "an account that is elsewhere",
            policy(&[UNIT], &["excludedAccounts: [\"333333333333\"]"]),
            FRAMEWORK.to_owned(),
            "backup-compliance.yaml:6:9: account 333333333333 is in none of the organizational units of this target",
        ),
        (
            "macros",
            policy(&[UNIT], &[]),
            FRAMEWORK.replacen("Parameters:", "Transform: AWS::LanguageExtensions\nParameters:", 1),
            "backup-compliance.yaml:3:5: the template `framework.yaml` uses macros or nested stacks",
        ),
    ] {
        let world = World::new();
        members(&world, UNIT, &[ONE, TWO, MANAGEMENT]);
        members(&world, OTHER, &[THREE]);
        world.push("Wrong", &[("backup-compliance.yaml", Some(&policy)), ("framework.yaml", Some(&template))]);
        let seen = push_seen(&world).await.unwrap();
        assert!(seen.rejected.len() == 1 && seen.rejected[0].starts_with(expected), "{case}: {:?}", seen.rejected);
        assert!(matches!(world.take_notices().as_slice(), [Notice::PolicyRejected(_)]), "{case}");
        assert_eq!(mutations(&world), Vec::<&str>::new(), "{case}");
        assert_eq!(seen.counts.mutating_calls, 0, "{case}");
    }
}

/// The move of an account does not make the policy invalid for all others.
#[tokio::test(flavor = "current_thread")]
async fn moved_account_does_not_invalidate_policy() {
    let world = rolled_out(&policy(&[UNIT], &["excludedAccounts: [\"222222222222\"]"])).await;
    assert_eq!(deployed(&world), accounts(&[ONE]));
    members(&world, UNIT, &[ONE]);
    let seen = full(&world).await;
    assert_eq!((seen.rejected.len(), outcome(&seen)), (0, &FrameworkOutcome::Unchanged));
}

#[tokio::test(flavor = "current_thread")]
async fn suspended_and_management_accounts_are_named() {
    let world = World::new();
    members(&world, UNIT, &[ONE, TWO, MANAGEMENT]);
    world.state().units.inactive = accounts(&[TWO]);
    push(&world, &policy(&[UNIT], &[]));
    push_seen(&world).await.unwrap();
    world.end_operations();
    let seen = push_seen(&world).await.unwrap();
    assert_eq!(outcome(&seen), &FrameworkOutcome::Succeeded);
    let counts = seen.counts;
    assert_eq!((counts.instances_succeeded, counts.instances_failed, counts.instances_skipped), (2, 0, 4));
    assert_eq!((counts.rollouts_succeeded, counts.rollouts_failed, counts.seconds_to_converge), (1, 0, Some(0)));
    let verdict = succeeded(&world).verdict;
    assert_eq!((verdict.total, verdict.succeeded, verdict.skipped.len()), (6, 2, 4));
    assert!(verdict.skipped.iter().all(|fault| fault.outcome == InstanceOutcome::Skipped));
    assert!(verdict.skipped.iter().any(|fault| fault.reason.contains("management account")), "{verdict:?}");
    assert!(verdict.skipped.iter().any(|fault| fault.reason.contains("suspended")), "{verdict:?}");
    assert_eq!(in_force(&world), accounts(&[ONE]));
}

#[tokio::test(flavor = "current_thread")]
async fn delegated_administrator_is_used_on_each_call() {
    let own = policy(&[UNIT], &[]);
    let world = rolled_out(&own).await;
    assert_eq!(world.state().rollouts[&name()].value.call_as, CallAs::Own);
    push(&world, &own.replace("    targets:", "    callAs: delegatedAdministrator\n    targets:"));
    push_seen(&world).await.unwrap();
    assert_eq!(world.state().rollouts[&name()].value.call_as, CallAs::DelegatedAdministrator);
}

/// An exemption names accounts. The accounts of units are read when exemptions change, and an unchanged fleet is not
/// deployed to.
#[tokio::test(flavor = "current_thread")]
async fn exemptions_are_checked_with_accounts_of_units() {
    let world = rolled_out(&policy(&[UNIT], &[])).await;
    let exempting = |account: &str| {
        format!(
            "{}exemptions:\n  - {{ control: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN, resources: [\"*\"], accounts: [\"{account}\"], reason: tests, owner: ada@example.com, until: 2027-12-31 }}\n",
            policy(&[UNIT], &[])
        )
    };
    for (account, warned) in [(THREE, true), (TWO, false)] {
        push(&world, &exempting(account));
        let seen = push_seen(&world).await.unwrap();
        assert_eq!(outcome(&seen), &FrameworkOutcome::Unchanged);
        let elsewhere = seen.warnings.iter().any(|warning| warning.contains("is in no target of this policy"));
        assert_eq!(elsewhere, warned, "{account}: {:?}", seen.warnings);
        assert_eq!(mutations(&world), Vec::<&str>::new());
    }
}
