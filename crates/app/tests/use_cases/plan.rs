//! A plan and the work of `deploy` after it agree, for generated policies and states.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use proptest::prelude::*;

use app::deploy::ports::DeployStore as _;
use app::events::{DeployTrigger, ReconcileScope};
use app::plan::{PlanRequest, Planner, PushPlan, UndeclaredAction};
use domain::rollout::plan::{ActionReason, DefinitionChange, InstanceAction, StackSetAction};
use domain::rollout::{
    DetailedStatus, Instance, InstanceStatus, Membership, ObservedInstance, ObservedStackSet, Operation,
    OperationStatus, PermissionModel,
};
use framework::ids::{AccountId, CommitId, RegionName, StackSetName, UnitId};
use syntax::diagnostic::Diagnostic;
use testkit::deploy::{Deployer, EVENT_BUS, POLICY_FILE};
use testkit::world::{FakeStackSet, World};

const ACCOUNTS: [&str; 4] = ["111111111111", "222222222222", "333333333333", "444444444444"];
const MANAGEMENT: &str = "999999999999";
const REGIONS: [&str; 2] = ["eu-west-1", "us-east-1"];
const UNITS: [&str; 2] = ["ou-abcd-11111111", "ou-abcd-22222222"];
const OWNER: &str = "backup-policy@main";

fn template(days: u8) -> String {
    format!(
        r#"Parameters:
  ComplianceEventBusArn: {{ Type: String, Default: "" }}
  Days: {{ Type: String, Default: "{days}" }}
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkControls:
        - ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
        - ControlName: BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK
          ControlInputParameters:
            - {{ ParameterName: requiredRetentionDays, ParameterValue: !Ref Days }}
"#
    )
}

fn deploy(world: &World) -> Deployer {
    testkit::deploy::deploy("backup-policy", world, world)
}

fn question(commit: CommitId) -> PlanRequest {
    PlanRequest {
        commit,
        policy_file: POLICY_FILE.into(),
        owner: OWNER.into(),
        event_bus_arn: Some(EVENT_BUS.into()),
        only: None,
    }
}

async fn plan(world: &World, question: &PlanRequest) -> Result<PushPlan, Vec<Diagnostic>> {
    let planner = Planner { repository: world.clone(), stack_sets: world.clone(), organization: world.clone() };
    let memory = world.load_state().await.unwrap();
    planner.plan(question, Some(&memory), |_| {}).await.unwrap()
}

async fn plan_of_head(world: &World) -> Result<PushPlan, Vec<Diagnostic>> {
    let head = world.state().head.clone().unwrap();
    plan(world, &question(head)).await
}

/// Reconciles until no operation is in progress. Returns the started operations, in order, by StackSet.
async fn carry_out(world: &World) -> BTreeMap<StackSetName, Vec<Operation>> {
    let mut started: BTreeMap<StackSetName, Vec<Operation>> = BTreeMap::new();
    for _ in 0..60 {
        let seen =
            deploy(world).handle(&[DeployTrigger::Push, DeployTrigger::Schedule(ReconcileScope::Full)]).await.unwrap();
        assert_eq!(seen.rejected, Vec::<String>::new());
        for (name, stack_set) in &world.state().stack_sets {
            let mut in_flight =
                stack_set.operations.values().filter(|(status, _)| *status == OperationStatus::InFlight);
            if let Some((_, operation)) = in_flight.next() {
                started.entry(name.clone()).or_default().push(operation.clone());
            }
            assert!(in_flight.next().is_none(), "two at once");
        }
        if world.end_operations() == 0 {
            return started;
        }
    }
    panic!("the rollout does not settle");
}

/// A policy with one framework for accounts, one for organizational units, or both.
#[derive(Debug, Clone)]
struct Generated {
    days: u8,
    /// Per account: in no target, the first or the second.
    accounts: [u8; 4],
    both_regions: [bool; 2],
    overrides: Option<u8>,
    with_accounts: bool,
    with_units: bool,
    /// Per unit: in no target, the first or the second.
    units: [u8; 2],
    /// Of the first target: all of its accounts, or all but the first.
    excluded: bool,
    auto_deployment: bool,
    remove_undeclared: bool,
}

impl Generated {
    fn text(&self) -> String {
        let mut text = format!("version: 1\nremoveUndeclared: {}\nframeworks:\n", self.remove_undeclared);
        let accounts = |target: u8| -> Vec<String> {
            let pairs = ACCOUNTS.iter().zip(self.accounts);
            pairs.filter(|(_, of)| *of == target).map(|(account, _)| format!("\"{account}\"")).collect()
        };
        let units = |target: u8| -> Vec<&str> {
            UNITS.iter().zip(self.units).filter(|(_, of)| *of == target).map(|(unit, _)| *unit).collect()
        };
        let rest = |target: u8| {
            let regions = if self.both_regions[usize::from(target) - 1] { "eu-west-1, us-east-1" } else { "eu-west-1" };
            let overrides = self.overrides.filter(|_| target == 2);
            let parameters =
                overrides.map_or_else(String::new, |days| format!("        parameters: {{ Days: \"{days}\" }}\n"));
            format!("        regions: [{regions}]\n{parameters}")
        };
        let mut none = true;
        if self.with_accounts && [1, 2].iter().any(|target| !accounts(*target).is_empty()) {
            none = false;
            text.push_str("  - name: alpha\n    template: framework.yaml\n    adopt: true\n    targets:\n");
            for target in [1, 2].into_iter().filter(|target| !accounts(*target).is_empty()) {
                write!(text, "      - accounts: [{}]\n{}", accounts(target).join(", "), rest(target)).unwrap();
            }
        }
        if self.with_units && self.units != [0, 0] {
            none = false;
            let auto = self.auto_deployment;
            write!(
                text,
                "  - name: beta\n    template: framework.yaml\n    autoDeployment: {{ enabled: {auto} }}\n    targets:\n"
            )
            .unwrap();
            for target in [1, 2].into_iter().filter(|target| !units(*target).is_empty()) {
                write!(text, "      - organizationalUnits: [{}]\n{}", units(target).join(", "), rest(target)).unwrap();
                if target == 1 && self.excluded {
                    let first = if self.units[0] == 1 { ACCOUNTS[0] } else { ACCOUNTS[2] };
                    writeln!(text, "        excludedAccounts: [\"{first}\"]").unwrap();
                }
            }
        }
        if none {
            text.push_str("  - name: gamma\n    template: framework.yaml\n    targets:\n      - accounts: [\"111111111111\"]\n        regions: [eu-west-1]\n");
        }
        text
    }

    fn push(&self, world: &World) {
        world.push("Policy", &[(POLICY_FILE, Some(&self.text())), ("framework.yaml", Some(&template(self.days)))]);
    }
}

fn generated() -> impl Strategy<Value = Generated> {
    let flags = proptest::array::uniform8(any::<bool>());
    let overrides = prop_oneof![Just(None), (60_u8..62).prop_map(Some)];
    (34_u8..36, proptest::array::uniform4(0_u8..3), overrides, proptest::array::uniform2(0_u8..3), flags).prop_map(
        |(days, accounts, overrides, units, flags)| Generated {
            days,
            accounts,
            overrides,
            units,
            both_regions: [flags[0], flags[1]],
            with_accounts: flags[2] || flags[3],
            with_units: flags[4] || flags[5],
            excluded: flags[6],
            auto_deployment: flags[7],
            remove_undeclared: flags[3] ^ flags[5],
        },
    )
}

/// Changes between the policy before and the planned one.
#[derive(Debug, Clone)]
struct Meanwhile {
    /// Instances (account, Region) on which the first rollout fails.
    broken: Vec<(usize, usize)>,
    /// Instances that a user deletes.
    gone: Vec<(usize, usize)>,
    /// An account that moves from the first unit to the second.
    moved: bool,
    /// An account that is suspended.
    suspended: Option<usize>,
    /// There was a foreign StackSet before.
    adopted: bool,
}

fn meanwhile() -> impl Strategy<Value = Meanwhile> {
    let places = || proptest::collection::vec((0_usize..4, 0_usize..2), 0..3);
    (places(), places(), any::<bool>(), proptest::option::weighted(0.3, 0_usize..4), any::<bool>())
        .prop_map(|(broken, gone, moved, suspended, adopted)| Meanwhile { broken, gone, moved, suspended, adopted })
}

fn account(number: usize) -> AccountId {
    AccountId::parse(ACCOUNTS[number]).unwrap()
}

fn instance((account, region): (usize, usize)) -> Instance {
    Instance { account: self::account(account), region: RegionName::parse(REGIONS[region]).unwrap() }
}

fn name(name: &str) -> StackSetName {
    StackSetName::parse(name).unwrap()
}

fn world() -> World {
    let world = World::new();
    let unit = |number: usize| UnitId::parse(UNITS[number]).unwrap();
    world.state().units = Membership {
        root: Some(UnitId::parse("r-abcd").unwrap()),
        management: Some(AccountId::parse(MANAGEMENT).unwrap()),
        units: BTreeMap::from([
            (unit(0), BTreeSet::from([account(0), account(1), AccountId::parse(MANAGEMENT).unwrap()])),
            (unit(1), BTreeSet::from([account(2), account(3)])),
        ]),
        inactive: BTreeSet::new(),
    };
    world
}

/// A StackSet that a user created by hand.
fn foreign() -> FakeStackSet {
    let current = ObservedInstance {
        status: InstanceStatus::Current,
        detailed: DetailedStatus::Succeeded,
        reason: None,
        overrides: None,
        unit: None,
    };
    FakeStackSet {
        observed: ObservedStackSet {
            id: "alpha:0".into(),
            permissions: PermissionModel::SelfManaged,
            template: Some(template(10)),
            ..ObservedStackSet::default()
        },
        template: template(10),
        instances: BTreeMap::from([(instance((0, 0)), current.clone()), (instance((3, 1)), current)]),
        auto_targets: BTreeMap::new(),
        operations: BTreeMap::new(),
    }
}

/// The StackSets of a plan, and the operations of each that has operations.
fn planned(outlook: &PushPlan) -> BTreeMap<StackSetName, Vec<Operation>> {
    let plans = outlook.plans().filter(|plan| !plan.operations.is_empty());
    plans
        .map(|plan| (plan.stack_set.clone(), plan.operations.iter().map(|one| one.operation.clone()).collect()))
        .collect()
}

async fn story(first: &Generated, meanwhile: &Meanwhile, then: &Generated) {
    let world = world();
    if meanwhile.adopted {
        world.state().stack_sets.insert(name("alpha"), foreign());
    }
    let broken = meanwhile.broken.iter().map(|place| (instance(*place).to_string(), "no role".to_owned()));
    world.state().broken = broken.collect();
    first.push(&world);
    carry_out(&world).await;
    {
        let mut state = world.state();
        state.broken.clear();
        for stack_set in state.stack_sets.values_mut() {
            for place in &meanwhile.gone {
                stack_set.instances.remove(&instance(*place));
            }
        }
        if meanwhile.moved {
            let units = &mut state.units.units;
            units.get_mut(&UnitId::parse(UNITS[0]).unwrap()).unwrap().remove(&account(1));
            units.get_mut(&UnitId::parse(UNITS[1]).unwrap()).unwrap().insert(account(1));
        }
        state.units.inactive.extend(meanwhile.suspended.map(account));
    }
    then.push(&world);
    world.take_calls();
    let outlook = match plan_of_head(&world).await {
        Ok(outlook) => outlook,
        Err(faults) => {
            let seen = deploy(&world).handle(&[DeployTrigger::Push]).await.unwrap();
            assert_eq!(seen.rejected, faults.iter().map(ToString::to_string).collect::<Vec<_>>());
            return;
        }
    };
    assert_eq!(World::mutating(&world.take_calls()), Vec::<&str>::new(), "a plan changes something");
    consistent(&world, &outlook);
    let before: BTreeSet<StackSetName> = world.state().stack_sets.keys().cloned().collect();
    let (mut expected, mut started) = (planned(&outlook), carry_out(&world).await);
    if meanwhile.moved {
        for operations in expected.values_mut().chain(started.values_mut()) {
            operations.retain(|operation| !only_ends_auto_deployment(operation));
        }
        expected.retain(|_, operations| !operations.is_empty());
        started.retain(|_, operations| !operations.is_empty());
    }
    assert_eq!(expected, started, "{outlook:#?}");

    let after: BTreeSet<StackSetName> = world.state().stack_sets.keys().cloned().collect();
    let fates = |fate: StackSetAction| -> BTreeSet<StackSetName> {
        outlook.plans().filter(|plan| plan.action == fate).map(|plan| plan.stack_set.clone()).collect()
    };
    assert_eq!(fates(StackSetAction::Create), after.difference(&before).cloned().collect());
    assert_eq!(fates(StackSetAction::Remove), before.difference(&after).cloned().collect());

    let again = plan_of_head(&world).await.expect("it was accepted");
    assert_eq!(planned(&again), BTreeMap::new(), "completed work is planned again");
    assert!(!again.is_change());
}

/// A unit that the policy no longer names can be deleted as a whole only when no instance in it is desired. An account
/// that has moved out of it counts as in it until StackSets has worked on it through its new unit, so that this one
/// operation may appear after the others.
fn only_ends_auto_deployment(operation: &Operation) -> bool {
    matches!(operation, Operation::DeleteInstances { at, .. } if at.accounts.is_empty())
}

/// Every instance has one planned outcome, and the operations work on those with a change.
fn consistent(world: &World, outlook: &PushPlan) {
    for plan in outlook.plans() {
        let mut fates: BTreeMap<Instance, InstanceAction> = BTreeMap::new();
        for group in &plan.groups {
            for instance in group.instances() {
                assert_eq!(fates.insert(instance.clone(), group.action), None, "{instance} has two fates");
            }
        }
        let state = world.state();
        let there = state.stack_sets.get(&plan.stack_set).map(|stack_set| &stack_set.instances);
        for (instance, fate) in &fates {
            let is_there = there.is_some_and(|there| there.contains_key(instance));
            assert!(
                *fate == InstanceAction::Skip || is_there == (*fate != InstanceAction::Create),
                "{instance} {fate:?}"
            );
            let worked = plan.operations.iter().any(|one| {
                let at = one.operation.targets();
                at.map_or(is_there && one.operation == Operation::UpdateStackSet, |at| {
                    at.accounts.contains(&instance.account) && at.regions.contains(&instance.region)
                })
            });
            match fate {
                InstanceAction::Keep => assert!(!worked, "{instance} is worked on and planned as unchanged"),
                InstanceAction::Skip => {}
                _ => assert!(worked, "no operation works on {instance}, which is planned to {}", fate.word()),
            }
        }
        for (instance, _) in there.into_iter().flatten() {
            assert!(fates.contains_key(instance), "nothing is said of {instance}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn deploy_starts_operations_of_plan_in_order(
        first in generated(),
        meanwhile in meanwhile(),
        then in generated(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(story(&first, &meanwhile, &then));
    }
}

/// Accounts 1 to 3 in both Regions, the third with a different number of days.
fn usual() -> Generated {
    Generated {
        days: 34,
        accounts: [1, 1, 2, 0],
        both_regions: [true, true],
        overrides: Some(60),
        with_accounts: true,
        with_units: false,
        units: [0, 0],
        excluded: false,
        auto_deployment: false,
        remove_undeclared: false,
    }
}

async fn rolled_out(policy: &Generated) -> World {
    let world = world();
    policy.push(&world);
    carry_out(&world).await;
    world
}

#[tokio::test(flavor = "current_thread")]
async fn changed_default_applies_without_override() {
    let world = rolled_out(&usual()).await;
    Generated { days: 35, accounts: [1, 0, 2, 1], ..usual() }.push(&world);
    let outlook = plan_of_head(&world).await.unwrap();
    let plan = &outlook.frameworks[0].plan;
    assert_eq!(plan.action, StackSetAction::Update);
    let told: Vec<String> = plan.framework.changes.iter().map(DefinitionChange::description).collect();
    assert_eq!(
        told,
        [
            "control BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK: requiredRetentionDays changes from `34` to `35`: every recovery point must be kept at least 35 days",
            "section `Parameters` of the template changes",
        ]
    );
    let [elsewhere] = plan.framework.override_changes.as_slice() else {
        panic!("{:?}", plan.framework.override_changes)
    };
    assert_eq!((elsewhere.instances, elsewhere.changes.len()), (2, 0), "the override still says 60");
    let tally = plan.instances;
    assert_eq!((tally.create, tally.update, tally.delete, tally.unchanged), (2, 4, 2, 0));
    let operations: Vec<(&str, usize)> =
        plan.operations.iter().map(|one| (one.operation.api_name(), one.instances)).collect();
    assert_eq!(operations, [("DeleteStackInstances", 2), ("UpdateStackSet", 4), ("CreateStackInstances", 2)]);
}

#[tokio::test(flavor = "current_thread")]
async fn unknown_overrides_are_set_and_reported() {
    let world = rolled_out(&usual()).await;
    let head = world.state().head.clone().unwrap();
    let planner = Planner { repository: world.clone(), stack_sets: world.clone(), organization: world.clone() };
    let outlook = planner.plan(&question(head), None, |_| {}).await.unwrap().unwrap();
    assert!(!outlook.has_records);
    let plan = &outlook.frameworks[0].plan;
    assert!(plan.groups.iter().all(|group| group.reasons.contains(&ActionReason::OverridesUnknown)), "{plan:#?}");
    assert_eq!(plan.action, StackSetAction::Keep);
}

#[tokio::test(flavor = "current_thread")]
async fn unknown_event_bus_is_unchanged() {
    let world = rolled_out(&usual()).await;
    let head = world.state().head.clone().unwrap();
    let question = PlanRequest { event_bus_arn: None, ..question(head) };
    let outlook = plan(&world, &question).await.unwrap();
    assert!(!outlook.is_change(), "{outlook:#?}");
}

#[tokio::test(flavor = "current_thread")]
async fn plan_names_running_and_deferred_work() {
    let world = rolled_out(&usual()).await;
    world.state().stack_sets.get_mut(&name("alpha")).unwrap().instances.remove(&instance((0, 0)));
    let outlook = plan_of_head(&world).await.unwrap();
    assert!(outlook.frameworks[0].left_to_full_reconciliation);
    assert_eq!(outlook.frameworks[0].plan.instances.create, 1);
    deploy(&world).handle(&[DeployTrigger::Schedule(ReconcileScope::Full)]).await.unwrap();
    let outlook = plan_of_head(&world).await.unwrap();
    let busy = outlook.frameworks[0].running_operation.as_ref().expect("an operation runs");
    assert_eq!((busy.operation.api_name(), busy.size), ("CreateStackInstances", 1));
    assert_eq!(busy.recorded_at, Some(world.state().now));
}

#[tokio::test(flavor = "current_thread")]
async fn undeclared_framework_follows_policy() {
    for remove in [false, true] {
        let world = rolled_out(&usual()).await;
        Generated { with_accounts: false, remove_undeclared: remove, ..usual() }.push(&world);
        let outlook = plan_of_head(&world).await.unwrap();
        let [undeclared] = outlook.undeclared.as_slice() else { panic!("{outlook:#?}") };
        assert_eq!(undeclared.name, name("alpha"));
        match (&undeclared.action, remove) {
            (UndeclaredAction::Keep, false) => {}
            (UndeclaredAction::Remove(plan), true) => {
                assert_eq!((plan.action, plan.instances.delete), (StackSetAction::Remove, 6));
                assert!(matches!(plan.framework.changes[0], DefinitionChange::FrameworkRemoved { .. }));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn foreign_stack_set_is_reported_with_position() {
    let world = world();
    world.state().stack_sets.insert(name("alpha"), foreign());
    let text = usual().text().replace("    adopt: true\n", "");
    world.push("Policy", &[(POLICY_FILE, Some(&text)), ("framework.yaml", Some(&template(34)))]);
    let faults = plan_of_head(&world).await.unwrap_err();
    assert_eq!((faults.len(), faults[0].at.is_some()), (1, true));
    assert!(faults[0].message.contains("was not created by this application"), "{faults:?}");
}
