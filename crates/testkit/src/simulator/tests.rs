//! The rules in AWS's documentation, checked on the simulator.

use std::collections::BTreeSet;

use app::deploy::StackSetRef;
use app::deploy::ports::{Acceptance, DeployedStackSets as _, OrganizationalUnits, StackSets, StartRequest};
use app::ports::PortErrorKind;
use domain::policy::{ConcurrencyMode, CountOrPercentage, RegionConcurrency, RolloutSettings};
use domain::rollout::{
    AccountFilter, AccountFilterType, AutoDeployment, CallAs, DeploymentTargets, Desired, DetailedStatus,
    InstanceStatus, Operation, OperationStatus, OperationTargets, Parameters, PermissionModel, Permissions,
    ServiceManaged,
};
use framework::ids::RegionName;

use super::*;
use crate::world::World;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const OWNER: &str = "backup-policy@main";

fn name() -> StackSetName {
    StackSetName::parse("simulated").unwrap()
}

fn account(number: usize) -> AccountId {
    AccountId::parse(&format!("{number:012}")).unwrap()
}

fn region(name: &str) -> RegionName {
    RegionName::parse(name).unwrap()
}

fn unit(name: &str) -> UnitId {
    UnitId::parse(name).unwrap()
}

fn at(number: usize, name: &str) -> Instance {
    Instance { account: account(number), region: region(name) }
}

fn places(numbers: impl IntoIterator<Item = usize>, regions: &[&str]) -> OperationTargets {
    OperationTargets {
        accounts: numbers.into_iter().map(account).collect(),
        regions: regions.iter().map(|name| region(name)).collect(),
        through: None,
    }
}

fn whole(name: &str, regions: &[&str]) -> OperationTargets {
    OperationTargets {
        through: Some(DeploymentTargets { unit: unit(name), filter: AccountFilterType::Whole }),
        ..places([], regions)
    }
}

fn preferences(mode: ConcurrencyMode, most: u32, tolerance: u32) -> SimulatedPreferences {
    RolloutSettings {
        max_concurrency: CountOrPercentage::Count(most),
        failure_tolerance: CountOrPercentage::Count(tolerance),
        mode,
        regions: RegionConcurrency::Sequential,
        region_order: Vec::new(),
    }
}

fn definition(template: &str) -> SimulatedDefinition {
    SimulatedDefinition {
        template: template.to_owned(),
        parameters: Parameters::from([("Days".to_owned(), "35".to_owned())]),
        owner: None,
        digest: None,
        tags: BTreeMap::new(),
        auto_deployment: None,
    }
}

/// Each instance takes a minute.
fn simulator() -> Simulator {
    let simulator = Simulator::new(&World::new(), 1);
    {
        let mut cloud = simulator.cloud();
        cloud.settings.takes = (MINUTE, MINUTE);
        let mut stack_set =
            SimulatedStackSet::new(&name(), definition("one"), PermissionModel::SelfManaged, CallAs::Own);
        stack_set.managed_execution = true;
        cloud.stack_sets.insert(name(), stack_set);
    }
    simulator
}

fn fail(simulator: &Simulator, instance: Instance, times: Option<u32>, of: FaultyWork) {
    simulator.cloud().faults.insert(instance, InjectedInstanceFault { times, reason: "no role".into(), of });
}

fn create(simulator: &Simulator, places: OperationTargets, preferences: SimulatedPreferences) -> String {
    let task = OperationTask::Create(Parameters::new());
    simulator.by_hand(&name(), task, OperationScope::Places(places), preferences).unwrap()
}

fn run(simulator: &Simulator, id: &str) -> SimulatedOperation {
    simulator.cloud().stack_sets[&name()].operations[id].clone()
}

/// Attempted, failed, succeeded.
fn tally(run: &SimulatedOperation) -> (usize, usize, usize) {
    let (failed, succeeded) = (run.count(InstanceResult::Failed), run.count(InstanceResult::Succeeded));
    (failed + succeeded, failed, succeeded)
}

/// The number of instances that began in each minute.
fn batches(run: &SimulatedOperation) -> Vec<usize> {
    let mut batches: Vec<(Timestamp, usize)> = Vec::new();
    for (at, _) in &run.begun {
        match batches.last_mut() {
            Some((minute, count)) if minute == at => *count += 1,
            _ => batches.push((*at, 1)),
        }
    }
    batches.into_iter().map(|(_, count)| count).collect()
}

/// AWS's worked example, strict: 1,000 instances, tolerance 100, at most 250 in parallel, 20 failures in every batch.
/// The illustration ends with the failure that uses up the tolerance. By AWS's smaller example, and by the API
/// reference, an operation fails with the next failure, so that the window has one place left.
#[test]
fn strict_tolerance_narrows_window_per_failure() {
    let simulator = simulator();
    let mut first = 0;
    for batch in [101, 81, 61, 41, 21] {
        for number in first..first + 20 {
            fail(&simulator, at(number, "eu-west-1"), None, FaultyWork::Everything);
        }
        first += batch;
    }
    fail(&simulator, at(305, "eu-west-1"), None, FaultyWork::Everything);
    let id = create(&simulator, places(0..1_000, &["eu-west-1"]), preferences(ConcurrencyMode::Strict, 250, 100));
    simulator.advance(MINUTE * 5);
    let five = run(&simulator, &id);
    assert_eq!(batches(&five), [101, 81, 61, 41, 21, 1]);
    assert_eq!(tally(&five), (305, 100, 205));
    assert_eq!(five.progress, SimulatedProgress::Running);
    simulator.run_until_idle();
    let over = run(&simulator, &id);
    assert_eq!((over.progress, tally(&over)), (SimulatedProgress::Failed, (306, 101, 205)));
    assert_eq!(over.count(InstanceResult::Cancelled), 694);
}

/// The same with soft tolerance and 50 failures in every batch.
#[test]
fn soft_tolerance_keeps_window() {
    let simulator = simulator();
    for number in (0..50).chain(250..300) {
        fail(&simulator, at(number, "eu-west-1"), None, FaultyWork::Everything);
    }
    let id = create(&simulator, places(0..1_000, &["eu-west-1"]), preferences(ConcurrencyMode::Soft, 250, 100));
    simulator.advance(MINUTE * 2);
    let two = run(&simulator, &id);
    assert_eq!(batches(&two)[..2], [250, 250]);
    assert_eq!(tally(&two), (500, 100, 400));
}

/// Tolerance 5, at most 10: six in parallel, five after one failure, three after three; nine were attempted when it
/// fails.
#[test]
fn strict_tolerance_matches_small_example() {
    let simulator = simulator();
    for number in [0, 3, 4, 6, 7, 8] {
        fail(&simulator, at(number, "eu-west-1"), None, FaultyWork::Everything);
    }
    let id = create(&simulator, places(0..100, &["eu-west-1"]), preferences(ConcurrencyMode::Strict, 10, 5));
    simulator.run_until_idle();
    let run = run(&simulator, &id);
    assert_eq!(batches(&run), [6, 3]);
    assert_eq!((run.progress, tally(&run)), (SimulatedProgress::Failed, (9, 6, 3)));
}

/// Tolerance 5, at most 10, soft: work in progress at the sixth failure is completed, fifteen in all.
#[test]
fn soft_tolerance_matches_small_example() {
    let simulator = simulator();
    for number in [0, 1, 2, 3, 4, 5, 10, 11] {
        fail(&simulator, at(number, "eu-west-1"), None, FaultyWork::Everything);
    }
    let id = create(&simulator, places(0..100, &["eu-west-1"]), preferences(ConcurrencyMode::Soft, 10, 5));
    simulator.run_until_idle();
    let run = run(&simulator, &id);
    assert_eq!((run.progress, tally(&run)), (SimulatedProgress::Failed, (15, 8, 7)));
}

/// AWS's defaults: no failure is tolerated, therefore one account at a time.
#[test]
fn default_preferences_deploy_one_by_one() {
    let simulator = simulator();
    let id = create(&simulator, places(0..4, &["eu-west-1"]), preferences(ConcurrencyMode::Strict, 1, 0));
    simulator.run_until_idle();
    assert_eq!(batches(&run(&simulator, &id)), [1, 1, 1, 1]);
}

#[test]
fn failed_region_cancels_later_regions() {
    let simulator = simulator();
    fail(&simulator, at(0, "us-east-1"), None, FaultyWork::Everything);
    let regions = ["eu-west-1", "us-east-1", "us-west-2"];
    let order = |names: &[&str]| RolloutSettings {
        region_order: names.iter().map(|name| region(name)).collect(),
        max_concurrency: CountOrPercentage::Percentage(100),
        ..preferences(ConcurrencyMode::Soft, 1, 0)
    };
    let id = create(&simulator, places(0..3, &regions), order(&["us-west-2", "us-east-1"]));
    simulator.run_until_idle();
    let run = run(&simulator, &id);
    assert_eq!(run.progress, SimulatedProgress::Failed);
    assert_eq!((batches(&run), run.count(InstanceResult::Cancelled)), (vec![3, 3], 3));
    let cloud = simulator.cloud();
    assert_eq!(cloud.fate(&name(), &at(1, "eu-west-1")), SimulatedOutcome::Cancelled);
    assert_eq!(cloud.fate(&name(), &at(0, "us-east-1")), SimulatedOutcome::Failed(Some("no role".into())));
    assert!(matches!(cloud.fate(&name(), &at(0, "us-west-2")), SimulatedOutcome::Current(_)));
}

#[test]
fn percentages_round_down_to_at_least_one() {
    let simulator = simulator();
    for number in [0, 1] {
        fail(&simulator, at(number, "eu-west-1"), None, FaultyWork::Everything);
    }
    let shares = RolloutSettings {
        max_concurrency: CountOrPercentage::Percentage(10),
        failure_tolerance: CountOrPercentage::Percentage(19),
        ..preferences(ConcurrencyMode::Soft, 1, 0)
    };
    // A tenth of nine is none, and one is in progress; 19 % of nine is one, and the second failure is too many.
    let id = create(&simulator, places(0..9, &["eu-west-1"]), shares);
    simulator.run_until_idle();
    let run = run(&simulator, &id);
    assert_eq!((batches(&run), run.progress), (vec![1, 1], SimulatedProgress::Failed));
}

#[test]
fn stopped_operation_completes_begun_work() {
    let simulator = simulator();
    let id = create(&simulator, places(0..4, &["eu-west-1"]), preferences(ConcurrencyMode::Soft, 1, 0));
    simulator.advance(MINUTE / 2);
    let now = simulator.now();
    simulator.cloud().stop(&name(), &id, now);
    assert_eq!(run(&simulator, &id).progress, SimulatedProgress::Stopping);
    simulator.run_until_idle();
    let run = run(&simulator, &id);
    assert_eq!((run.progress, tally(&run)), (SimulatedProgress::Stopped, (1, 0, 1)));
    assert_eq!(run.count(InstanceResult::Cancelled), 3);
}

#[test]
fn conflicting_operations_wait_and_others_run() {
    let simulator = simulator();
    let all = || preferences(ConcurrencyMode::Soft, 100, 0);
    let first = create(&simulator, places(0..2, &["eu-west-1"]), all());
    let beside = create(&simulator, places(2..4, &["eu-west-1"]), all());
    let behind = create(&simulator, places(1..3, &["eu-west-1"]), all());
    let last = simulator
        .by_hand(&name(), OperationTask::Define(Box::new(definition("two"))), OperationScope::All, all())
        .unwrap();
    let how = |id: &str| run(&simulator, id).progress;
    assert_eq!([&first, &beside, &behind, &last].map(|id| how(id)), {
        use SimulatedProgress::{Queued, Running};
        [Running, Running, Queued, Queued]
    });
    simulator.advance(MINUTE);
    assert_eq!(
        [how(&first), how(&behind), how(&last)],
        [SimulatedProgress::Succeeded, SimulatedProgress::Running, SimulatedProgress::Queued]
    );
    simulator.run_until_idle();
    assert_eq!(how(&last), SimulatedProgress::Succeeded);

    // Without managed execution, and beyond the limit of the queue, they are rejected.
    simulator.cloud().settings.queue_limit = 0;
    create(&simulator, places(0..2, &["eu-west-1"]), all());
    let again = || simulator.by_hand(&name(), OperationTask::DetectDrift, OperationScope::All, all());
    assert_eq!(again(), Err("OperationInProgressException"));
    simulator.run_until_idle();
    simulator.cloud().stack_sets.get_mut(&name()).unwrap().managed_execution = false;
    create(&simulator, places(0..2, &["eu-west-1"]), all());
    let beside = OperationScope::Places(places(5..6, &["eu-west-1"]));
    let refused = simulator.by_hand(&name(), OperationTask::Create(Parameters::new()), beside, all());
    assert_eq!(refused, Err("OperationInProgressException"));
}

#[test]
fn failed_update_keeps_template_and_marks_outdated() {
    let simulator = simulator();
    let all = || preferences(ConcurrencyMode::Soft, 100, 0);
    create(&simulator, places(0..3, &["eu-west-1"]), all());
    simulator.run_until_idle();
    fail(&simulator, at(0, "eu-west-1"), Some(1), FaultyWork::Deploying);
    let one_by_one = preferences(ConcurrencyMode::Strict, 1, 0);
    let update = OperationTask::Define(Box::new(definition("two")));
    let id = simulator.by_hand(&name(), update, OperationScope::All, one_by_one).unwrap();
    let outdated = |simulator: &Simulator| {
        let cloud = simulator.cloud();
        cloud.stack_sets[&name()].instances.values().filter(|found| found.status == InstanceStatus::Outdated).count()
    };
    assert_eq!(outdated(&simulator), 3);
    simulator.run_until_idle();
    assert_eq!(run(&simulator, &id).progress, SimulatedProgress::Failed);
    assert_eq!(outdated(&simulator), 3);
    assert_eq!(simulator.cloud().stack_sets[&name()].definition.template, "two");
    // The stacks are unchanged.
    let stack = simulator.cloud().stack_sets[&name()].instances[&at(1, "eu-west-1")].stack.clone();
    assert_eq!(stack.map(|stack| stack.template).as_deref(), Some("one"));
    // The second attempt of a failed instance succeeds.
    let again = OperationScope::Places(places(0..3, &["eu-west-1"]));
    simulator.by_hand(&name(), OperationTask::Update(None), again, all()).unwrap();
    simulator.run_until_idle();
    assert_eq!(outdated(&simulator), 0);
}

#[test]
fn overrides_are_kept_replaced_and_removed() {
    let simulator = simulator();
    let all = || preferences(ConcurrencyMode::Soft, 100, 0);
    create(&simulator, places(0..1, &["eu-west-1"]), all());
    simulator.run_until_idle();
    let days = || {
        let stack = simulator.cloud().stack_sets[&name()].instances[&at(0, "eu-west-1")].stack.clone();
        stack.unwrap().parameters["Days"].clone()
    };
    let update = |overrides: Option<&str>| {
        let given = overrides.map(|days| {
            let some = (!days.is_empty()).then(|| ("Days".to_owned(), days.to_owned()));
            some.into_iter().collect()
        });
        let scope = OperationScope::Places(places(0..1, &["eu-west-1"]));
        simulator.by_hand(&name(), OperationTask::Update(given), scope, all()).unwrap();
        simulator.run_until_idle();
        days()
    };
    assert_eq!(update(Some("90")), "90");
    assert_eq!(update(None), "90", "no list keeps them");
    simulator.by_hand(&name(), OperationTask::Define(Box::new(definition("two"))), OperationScope::All, all()).unwrap();
    simulator.run_until_idle();
    assert_eq!(days(), "90", "they survive an update of the StackSet");
    assert_eq!(update(Some("")), "35", "omitted overrides fall back");
    let missing = OperationScope::Places(places(7..8, &["eu-west-1"]));
    assert_eq!(
        simulator.by_hand(&name(), OperationTask::Update(None), missing, all()),
        Err("StackInstanceNotFoundException"),
        "only existing instances can be updated"
    );
}

#[test]
fn undeletable_instance_is_inoperable_until_retained() {
    let simulator = simulator();
    let all = || preferences(ConcurrencyMode::Soft, 100, 100);
    create(&simulator, places(0..4, &["eu-west-1"]), all());
    simulator.run_until_idle();
    fail(&simulator, at(0, "eu-west-1"), None, FaultyWork::Deleting);
    simulator.set_state(&account(1), AccountState::Suspended);
    simulator.set_state(&account(2), AccountState::Closed);
    let delete = |retain| {
        let scope = OperationScope::Places(places(0..4, &["eu-west-1"]));
        simulator.by_hand(&name(), OperationTask::Delete { retain }, scope, all()).unwrap();
        simulator.run_until_idle();
    };
    delete(false);
    let fate = |number| simulator.cloud().fate(&name(), &at(number, "eu-west-1"));
    assert_eq!(fate(0), SimulatedOutcome::Inoperable(Some("no role".into())));
    assert_eq!(fate(1), SimulatedOutcome::Skipped);
    assert!(matches!(fate(2), SimulatedOutcome::Inoperable(_)));
    assert_eq!(fate(3), SimulatedOutcome::Missing);
    delete(true);
    assert_eq!(
        [fate(0), fate(1), fate(2)],
        [SimulatedOutcome::Missing, SimulatedOutcome::Missing, SimulatedOutcome::Missing]
    );
    assert_eq!(simulator.cloud().retained.len(), 3);
}

/// Units: `ou-root-11111111` with account 1 and the management account 9, and in it `ou-root-22222222` with 2 and 3.
fn with_units(auto: AutoDeployment) -> Simulator {
    let simulator = simulator();
    {
        let mut cloud = simulator.cloud();
        cloud.organization.root = Some(unit("r-root"));
        cloud.organization.management = Some(account(9));
        cloud.organization.parents.insert(unit("ou-root-11111111"), unit("r-root"));
        cloud.organization.parents.insert(unit("ou-root-22222222"), unit("ou-root-11111111"));
        for (number, name) in [
            (1, "ou-root-11111111"),
            (9, "ou-root-11111111"),
            (2, "ou-root-22222222"),
            (3, "ou-root-22222222"),
            (4, "r-root"),
        ] {
            cloud.organization.accounts.insert(account(number), unit(name));
        }
        let definition = SimulatedDefinition { auto_deployment: Some(auto), ..definition("one") };
        let mut stack_set = SimulatedStackSet::new(&name(), definition, PermissionModel::ServiceManaged, CallAs::Own);
        stack_set.managed_execution = true;
        cloud.stack_sets.insert(name(), stack_set);
    }
    simulator
}

fn there(simulator: &Simulator) -> Vec<String> {
    let cloud = simulator.cloud();
    let accounts: BTreeSet<&AccountId> =
        cloud.stack_sets[&name()].instances.keys().map(|instance| &instance.account).collect();
    accounts.into_iter().map(|account| account.as_str().trim_start_matches('0').to_owned()).collect()
}

#[test]
fn units_include_children_without_management_account() {
    let simulator = with_units(AutoDeployment { enabled: false, retain_stacks: false });
    let all = || preferences(ConcurrencyMode::Soft, 100, 0);
    let through = |filter, numbers: std::ops::Range<usize>| OperationTargets {
        through: Some(DeploymentTargets { unit: unit("ou-root-11111111"), filter }),
        ..places(numbers, &["eu-west-1"])
    };
    create(&simulator, through(AccountFilterType::Listed, 2..5), all());
    simulator.run_until_idle();
    assert_eq!(there(&simulator), ["2", "3"], "4 is not in the unit");
    assert!(simulator.cloud().stack_sets[&name()].auto_targets.is_empty());
    create(&simulator, through(AccountFilterType::Except(BTreeSet::from([account(3)])), 0..0), all());
    simulator.run_until_idle();
    assert_eq!(there(&simulator), ["1", "2", "3"]);
    let known = simulator.cloud().stack_sets[&name()].auto_targets.clone();
    assert_eq!(known, BTreeMap::from([(unit("ou-root-11111111"), BTreeSet::from([region("eu-west-1")]))]));
    let delete = OperationTask::Delete { retain: false };
    let scope = OperationScope::Places(whole("ou-root-11111111", &["eu-west-1"]));
    simulator.by_hand(&name(), delete, scope, all()).unwrap();
    simulator.run_until_idle();
    assert_eq!(there(&simulator), Vec::<String>::new());
    assert!(simulator.cloud().stack_sets[&name()].auto_targets.is_empty());
    let missing = OperationScope::Places(whole("ou-root-99999999", &["eu-west-1"]));
    let refused = simulator.by_hand(&name(), OperationTask::Create(Parameters::new()), missing, all());
    assert_eq!(refused, Err("ValidationError"));
}

#[test]
fn auto_deployment_ignores_overrides_and_filters() {
    for retain_stacks in [false, true] {
        let simulator = with_units(AutoDeployment { enabled: true, retain_stacks });
        let all = preferences(ConcurrencyMode::Soft, 100, 0);
        let filter = AccountFilterType::Except(BTreeSet::from([account(4)]));
        let through = Some(DeploymentTargets { unit: unit("ou-root-22222222"), filter });
        let overrides = Parameters::from([("Days".to_owned(), "90".to_owned())]);
        let scope = OperationScope::Places(OperationTargets { through, ..places([], &["eu-west-1"]) });
        simulator.by_hand(&name(), OperationTask::Create(overrides.clone()), scope, all).unwrap();
        simulator.run_until_idle();
        assert_eq!(there(&simulator), ["2", "3"]);
        simulator.move_account(&account(4), Some(&unit("ou-root-22222222")));
        simulator.move_account(&account(9), Some(&unit("ou-root-22222222")));
        simulator.move_account(&account(2), Some(&unit("ou-root-11111111")));
        simulator.move_account(&account(3), None);
        simulator.run_until_idle();
        assert_eq!(there(&simulator), ["4"], "although the filter leaves it out; never the management account");
        let cloud = simulator.cloud();
        assert!(cloud.stack_sets[&name()].instances[&at(4, "eu-west-1")].overrides.is_empty());
        assert_eq!(cloud.retained.len(), if retain_stacks { 2 } else { 0 });
    }
}

#[tokio::test(flavor = "current_thread")]
async fn ids_callers_and_read_delay_are_respected() {
    let simulator = simulator();
    simulator.cloud().settings.hidden_for = SignedDuration::from_secs(5);
    let of = |name| StackSetRef { name, call_as: CallAs::Own };
    let name = name();
    let found = simulator.describe(of(&name)).await.unwrap().unwrap();
    let other = StackSetRef { name: &name, call_as: CallAs::DelegatedAdministrator };
    assert_eq!(simulator.describe(other).await.unwrap(), None);
    let operation = Operation::CreateInstances { at: places(0..2, &["eu-west-1"]), overrides: Parameters::new() };
    let desired = desired();
    let start = |of, id| StartRequest {
        of,
        id,
        operation: &operation,
        desired: Some(&desired),
        owner: OWNER,
        observed: &found,
    };
    assert_eq!(simulator.start(start(other, "id-1")).await.unwrap_err().kind, PortErrorKind::NotFound);
    assert_eq!(simulator.start(start(of(&name), "id-1")).await.unwrap(), Acceptance::Started);
    assert_eq!(simulator.start(start(of(&name), "id-1")).await.unwrap(), Acceptance::AlreadyStarted);
    assert_eq!(simulator.operation(of(&name), "id-1").await.unwrap(), None);
    simulator.advance(SignedDuration::from_secs(5));
    assert_eq!(simulator.operation(of(&name), "id-1").await.unwrap(), Some(OperationStatus::InFlight));
    assert_eq!(simulator.delete(of(&name)).await.unwrap_err().kind, PortErrorKind::Conflict);
    simulator.run_until_idle();
    assert_eq!(simulator.operation(of(&name), "id-1").await.unwrap(), Some(OperationStatus::Ended));
    assert_eq!(simulator.delete(of(&name)).await.unwrap_err().kind, PortErrorKind::Conflict, "it is not empty");
    let listed = simulator.observe(of(&name), found.clone()).await.unwrap();
    assert!(listed.instances.values().all(|found| found.detailed == DetailedStatus::Succeeded));
    assert!(listed.instances.values().all(|found| found.overrides.is_none()), "lists do not have them");

    simulator.cloud().settings.stale_within = SignedDuration::from_secs(1);
    assert_eq!(simulator.start(start(of(&name), "id-2")).await.unwrap(), Acceptance::Started);
    let stale = simulator.start(start(of(&name), "id-3")).await.unwrap_err();
    assert_eq!((stale.code.as_deref(), stale.kind), (Some("StaleRequestException"), PortErrorKind::Conflict));
}

#[tokio::test(flavor = "current_thread")]
async fn faults_come_from_its_world() {
    let world = World::new();
    let simulator = Simulator::new(&world, 1);
    let desired = desired();
    world.lose_next_answer("cloudformation:CreateStackSet");
    assert_eq!(simulator.create(&desired, OWNER).await.unwrap_err().kind, PortErrorKind::Retryable);
    assert!(simulator.cloud().stack_sets.contains_key(&desired.name), "it has taken effect");
    world.fail_next("organizations:ListAccountsForParent", PortErrorKind::Denied);
    assert_eq!(simulator.membership(&BTreeSet::new()).await.unwrap_err().kind, PortErrorKind::Denied);
    assert_eq!(world.take_calls(), ["cloudformation:CreateStackSet", "organizations:ListAccountsForParent"]);
    world.state().dies_in = Some(1);
    let name = desired.name.clone();
    let delete = simulator.delete(StackSetRef { name: &name, call_as: CallAs::Own });
    let died = tokio::time::timeout(std::time::Duration::from_millis(1), delete).await.is_err();
    assert!(died && simulator.cloud().stack_sets.is_empty(), "it died after the effect");
}

#[test]
fn same_seed_has_same_history() {
    let history = |seed| {
        let simulator = simulator();
        simulator.cloud().settings.takes = (SignedDuration::from_secs(1), MINUTE);
        simulator.cloud().dice = Dice::new(seed);
        create(&simulator, places(0..50, &["eu-west-1"]), preferences(ConcurrencyMode::Soft, 7, 0));
        simulator.run_until_idle();
        let cloud = simulator.cloud();
        cloud.log.clone()
    };
    assert_eq!(history(1), history(1));
    assert_ne!(history(1), history(2));
}

fn desired() -> Desired {
    Desired {
        name: name(),
        template: "one".into(),
        capabilities: Vec::new(),
        parameters: Parameters::new(),
        permissions: Permissions::SelfManaged,
        adopt: false,
        instances: BTreeMap::new(),
        skipped: BTreeMap::new(),
        rollout: RolloutSettings::default(),
    }
}

#[tokio::test(flavor = "current_thread")]
async fn organization_lists_accounts_of_units() {
    let simulator = with_units(AutoDeployment::default());
    simulator.set_state(&account(3), AccountState::Closed);
    let asked = BTreeSet::from([unit("ou-root-11111111"), unit("ou-root-99999999")]);
    let told = simulator.membership(&asked).await.unwrap();
    assert_eq!(told.root, Some(unit("r-root")));
    assert_eq!(told.management, Some(account(9)));
    assert_eq!(told.inactive, BTreeSet::from([account(3)]));
    let below = [1, 2, 3, 9].map(account);
    assert_eq!(told.units, BTreeMap::from([(unit("ou-root-11111111"), BTreeSet::from(below))]));
    // The membership that a policy uses excludes the management account, as the simulator does.
    let mut wanted = desired();
    wanted.permissions = Permissions::ServiceManaged(ServiceManaged {
        targets: vec![domain::rollout::OrganizationalUnitTarget {
            units: BTreeSet::from([unit("ou-root-11111111")]),
            accounts: AccountFilter::All,
            regions: BTreeSet::from([region("eu-west-1")]),
            overrides: Parameters::new(),
        }],
        ..ServiceManaged::default()
    });
    wanted.resolve_organizational_units(&told);
    assert_eq!(wanted.instances.len(), 2);
}
