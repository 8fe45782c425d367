//! `StackSets` and `OrganizationalUnits`: the fake of `testkit::world`, the simulator, and the adapters.
//! Long because the contract and its three implementations belong together.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use app::deploy::StackSetRef;
use app::deploy::ports::{Acceptance, DeployedStackSets as _, OrganizationalUnits, StackSets, StartRequest};
use app::ports::{PortError, PortErrorKind};
use aws::CloudFormationStackSets;
use domain::policy::{CountOrPercentage, RegionConcurrency, RolloutSettings};
use domain::rollout::{
    AccountFilter, AccountFilterType, AutoDeployment, CallAs, DeploymentTargets, Desired, DetailedStatus, Instance,
    InstanceStatus, Observed, ObservedInstance, ObservedStackSet, Operation, OperationStatus, OperationTargets,
    OrganizationalUnitTarget, Parameters, PermissionModel, Permissions, ServiceManaged,
};
use framework::ids::{AccountId, RegionName, StackSetName, UnitId};
use sandbox::http::HttpRequest;
use sandbox::organization::{DATA, ROOT, WORKLOADS};
use sandbox::{wait, wire};
use testkit::simulator::{
    AccountState, FaultyWork, InjectedInstanceFault, OperationScope, OperationTask, SimulatedDefinition,
    SimulatedStackSet, Simulator,
};
use testkit::world::{FakeStackSet, World};

use crate::cloud::Local;

const FRAMEWORK: &str = r#"AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  Days: { Type: String, Default: "35" }
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkName: contract
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK
          ControlInputParameters: [{ ParameterName: requiredRetentionDays, ParameterValue: !Ref Days }]
"#;

const OWNER: &str = "backup-policy@main";
const CENTRAL: &str = "000000000000";
const MEMBERS: [(&str, &str); 3] = [("111111111111", WORKLOADS), ("222222222222", WORKLOADS), ("333333333333", DATA)];

/// An implementation of StackSets, with controls for its environment.
trait StackSetImplementation {
    type StackSets: StackSets;
    type Units: OrganizationalUnits;

    fn stack_sets(&self) -> &Self::StackSets;
    fn units(&self) -> &Self::Units;
    /// Ends operations where time does not pass.
    fn hurry(&self);
    /// The next work on an instance fails with this reason.
    fn breaks(&self, instance: &Instance, reason: &str);
    /// Suspends an account.
    fn suspend(&self, account: &AccountId);
    /// A StackSet that a user created by hand, without managed execution, tagged `team`, with instances of one
    /// account.
    fn made_by_hand(&self, name: &StackSetName, at: &OperationTargets);
    /// Whether it differs from AWS where the fake of `testkit::world` is simpler.
    fn is_fake(&self) -> bool {
        false
    }
}

fn account(id: &str) -> AccountId {
    AccountId::parse(id).unwrap()
}

fn region(name: &str) -> RegionName {
    RegionName::parse(name).unwrap()
}

fn unit(id: &str) -> UnitId {
    UnitId::parse(id).unwrap()
}

fn at(id: &str, name: &str) -> Instance {
    Instance { account: account(id), region: region(name) }
}

fn desired(name: &str, days: &str) -> Desired {
    Desired {
        name: StackSetName::parse(name).unwrap(),
        template: FRAMEWORK.to_owned(),
        capabilities: vec!["CAPABILITY_IAM".to_owned()],
        parameters: Parameters::from([("Days".to_owned(), days.to_owned())]),
        permissions: Permissions::SelfManaged,
        adopt: false,
        instances: BTreeMap::new(),
        skipped: BTreeMap::new(),
        rollout: RolloutSettings::default(),
    }
}

fn for_units(name: &str, call_as: CallAs) -> Desired {
    let target = OrganizationalUnitTarget {
        units: [unit(WORKLOADS)].into(),
        accounts: AccountFilter::All,
        regions: [region("eu-west-1")].into(),
        overrides: Parameters::new(),
    };
    let auto_deployment = AutoDeployment { enabled: true, retain_stacks: false };
    let service = ServiceManaged { call_as, auto_deployment, targets: vec![target] };
    Desired { permissions: Permissions::ServiceManaged(service), ..desired(name, "35") }
}

fn places(accounts: &[&str], regions: &[&str]) -> OperationTargets {
    OperationTargets {
        accounts: accounts.iter().map(|id| account(id)).collect(),
        regions: regions.iter().map(|name| region(name)).collect(),
        through: None,
    }
}

fn all() -> OperationTargets {
    places(&["111111111111", "222222222222"], &["us-east-1", "eu-west-1"])
}

/// Accounts of a unit in one Region.
fn through(id: &str, filter: AccountFilterType, accounts: &[&str]) -> OperationTargets {
    OperationTargets { through: Some(DeploymentTargets { unit: unit(id), filter }), ..places(accounts, &["eu-west-1"]) }
}

fn create(at: OperationTargets) -> Operation {
    Operation::CreateInstances { at, overrides: Parameters::new() }
}

fn of(desired: &Desired) -> StackSetRef<'_> {
    StackSetRef { name: &desired.name, call_as: desired.permissions.call_as() }
}

async fn start(
    subject: &impl StackSetImplementation,
    id: &str,
    operation: &Operation,
    desired: &Desired,
) -> Result<Acceptance, PortError> {
    let of = of(desired);
    let found = subject.stack_sets().describe(of).await?.unwrap_or_default();
    let desired = (!matches!(operation, Operation::DeleteInstances { .. })).then_some(desired);
    subject.stack_sets().start(StartRequest { of, id, operation, desired, owner: OWNER, observed: &found }).await
}

/// Waits until an operation has ended.
async fn ended(subject: &impl StackSetImplementation, of: StackSetRef<'_>, id: &str) {
    subject.hurry();
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let status = subject.stack_sets().operation(of, id).await.unwrap();
        if status == Some(OperationStatus::Ended) {
            return;
        }
        assert!(Instant::now() < deadline, "operation {id}: expected Ended, observed {status:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Starts an operation, waits for its end, and returns the state after it.
async fn done(subject: &impl StackSetImplementation, id: &str, operation: Operation, desired: &Desired) -> Observed {
    assert_eq!(start(subject, id, &operation, desired).await.unwrap(), Acceptance::Started, "{id}");
    ended(subject, of(desired), id).await;
    observed(subject, of(desired)).await
}

async fn observed(subject: &impl StackSetImplementation, of: StackSetRef<'_>) -> Observed {
    let stack_set = subject.stack_sets().describe(of).await.unwrap().unwrap();
    subject.stack_sets().observe(of, stack_set).await.unwrap()
}

fn instances(observed: &Observed) -> Vec<String> {
    observed.instances.keys().map(ToString::to_string).collect()
}

fn assert_current(observed: &Observed) {
    let four = ["111111111111/eu-west-1", "111111111111/us-east-1", "222222222222/eu-west-1", "222222222222/us-east-1"];
    assert_eq!(instances(observed), four);
    for (instance, found) in &observed.instances {
        assert_eq!(
            (&found.status, &found.detailed),
            (&InstanceStatus::Current, &DetailedStatus::Succeeded),
            "{instance}"
        );
        assert_eq!(found.overrides, None, "{instance}: lists do not have the overrides");
        assert_eq!(found.unit, None, "{instance}");
    }
}

async fn missing_stack_set_is_not_an_error(subject: &impl StackSetImplementation) {
    let absent = desired("absent", "35");
    let of = of(&absent);
    let stack_sets = subject.stack_sets();
    assert_eq!(stack_sets.describe(of).await.unwrap(), None);
    stack_sets.delete(of).await.unwrap();
    assert_eq!(stack_sets.operation(of, "none").await.unwrap(), None);
    let stale =
        ObservedStackSet { id: "absent:0".to_owned(), owner: Some(OWNER.to_owned()), ..ObservedStackSet::default() };
    assert_eq!(stack_sets.observe(of, stale).await.unwrap(), Observed::default());
    let delete = Operation::DeleteInstances { at: all(), retain: false };
    let refused = start(subject, "delete-1", &delete, &absent).await.unwrap_err();
    assert_eq!(refused.kind, PortErrorKind::NotFound, "{refused}");
}

async fn first_creator_is_the_owner(subject: &impl StackSetImplementation) {
    let first = desired("owned", "35");
    let stack_sets = subject.stack_sets();
    stack_sets.create(&first, OWNER).await.unwrap();
    stack_sets.create(&first, OWNER).await.unwrap();
    stack_sets.create(&desired("owned", "90"), "other-policy@main").await.unwrap();
    let found = stack_sets.describe(of(&first)).await.unwrap().unwrap();
    assert!(found.id.starts_with("owned:"), "{}", found.id);
    let expected = ObservedStackSet {
        id: found.id.clone(),
        owner: Some(OWNER.to_owned()),
        definition: Some(first.definition_digest()),
        permissions: PermissionModel::SelfManaged,
        managed_execution: true,
        auto_deployment: None,
        template: found.template.clone(),
        parameters: first.parameters.clone(),
        tags: BTreeMap::new(),
    };
    assert_eq!(found, expected);
    assert_eq!(found.template.as_deref().map(str::trim), Some(FRAMEWORK.trim()));
    stack_sets.delete(of(&first)).await.unwrap();
}

async fn stack_set_is_created_updated_and_deleted(subject: &impl StackSetImplementation) {
    let before = desired("life", "35");
    let (of, stack_sets) = (of(&before), subject.stack_sets());
    stack_sets.create(&before, OWNER).await.unwrap();
    assert_eq!(observed(subject, of).await.instances, BTreeMap::new());

    let create = create(all());
    assert_eq!(stack_sets.operation(of, "create-1").await.unwrap(), None);
    assert_eq!(start(subject, "create-1", &create, &before).await.unwrap(), Acceptance::Started);
    assert_eq!(stack_sets.operation(of, "create-1").await.unwrap(), Some(OperationStatus::InFlight));
    assert_eq!(start(subject, "create-1", &create, &before).await.unwrap(), Acceptance::AlreadyStarted);
    let busy = stack_sets.delete(of).await.unwrap_err();
    assert_eq!(busy.kind, PortErrorKind::Conflict, "{busy}");
    ended(subject, of, "create-1").await;
    assert_eq!(start(subject, "create-1", &create, &before).await.unwrap(), Acceptance::AlreadyStarted);
    assert_current(&observed(subject, of).await);

    let after = desired("life", "90");
    start(subject, "update-1", &Operation::UpdateStackSet, &after).await.unwrap();
    // A lost response: the same call again starts no second operation.
    assert_eq!(
        start(subject, "update-1", &Operation::UpdateStackSet, &after).await.unwrap(),
        Acceptance::AlreadyStarted
    );
    ended(subject, of, "update-1").await;
    let updated = observed(subject, of).await;
    let tags = updated.stack_set.as_ref().map(|found| (found.owner.clone(), found.definition.clone()));
    assert_eq!(tags, Some((Some(OWNER.to_owned()), Some(after.definition_digest()))), "tags after an update");
    assert_eq!(updated.stack_set.as_ref().map(|found| &found.parameters), Some(&after.parameters));
    assert_eq!(updated.stack_set.as_ref().map(|found| found.managed_execution), Some(true), "it is left as it is");
    assert_current(&updated);

    for (id, days) in [("change-1", Some("365")), ("change-2", None)] {
        let at = places(&["222222222222"], &["us-east-1", "eu-west-1"]);
        let overrides = days.map(|days| ("Days".to_owned(), days.to_owned())).into_iter().collect();
        assert_current(&done(subject, id, Operation::UpdateInstances { at, overrides }, &after).await);
    }

    let full = stack_sets.delete(of).await.unwrap_err();
    assert_eq!(full.kind, PortErrorKind::Conflict, "{full}");
    let left = done(subject, "delete-1", Operation::DeleteInstances { at: all(), retain: false }, &after).await;
    assert_eq!(left.instances, BTreeMap::new());
    stack_sets.delete(of).await.unwrap();
    assert_eq!(stack_sets.describe(of).await.unwrap(), None);
    stack_sets.delete(of).await.unwrap();
}

/// One instance cannot be deployed: it is OUTDATED, with the reason, and the others are CURRENT. An instance that
/// cannot be deleted is INOPERABLE and can be retained.
async fn failed_instance_is_observed(subject: &impl StackSetImplementation) {
    let wanted = desired("failing", "35");
    let broken = at("222222222222", "eu-west-1");
    subject.stack_sets().create(&wanted, OWNER).await.unwrap();
    subject.breaks(&broken, "role not found");
    let found = done(subject, "create-1", create(all()), &wanted).await;
    let current = |found: &&ObservedInstance| found.status == InstanceStatus::Current;
    assert_eq!(found.instances.values().filter(current).count(), 3);
    let shown = |found: &Observed| {
        let found = &found.instances[&broken];
        (found.status.clone(), found.detailed.clone(), found.reason.clone())
    };
    let reason = || Some("role not found".to_owned());
    assert_eq!(shown(&found), (InstanceStatus::Outdated, DetailedStatus::Failed, reason()));

    subject.breaks(&broken, "role not found");
    let delete = |retain| Operation::DeleteInstances { at: all(), retain };
    let left = done(subject, "delete-1", delete(false), &wanted).await;
    assert_eq!(instances(&left), ["222222222222/eu-west-1"]);
    assert_eq!(shown(&left), (InstanceStatus::Inoperable, DetailedStatus::Inoperable, reason()));
    let one = Operation::DeleteInstances { at: places(&["222222222222"], &["eu-west-1"]), retain: true };
    let left = done(subject, "delete-2", one, &wanted).await;
    assert_eq!(left.instances, BTreeMap::new());
    subject.stack_sets().delete(of(&wanted)).await.unwrap();
}

/// A stopped operation cancels its remaining instances. A finished operation cannot be stopped, which is not an error.
async fn running_operation_is_stopped(subject: &impl StackSetImplementation) {
    // One account after the other, so that instances remain.
    let one_by_one = RolloutSettings {
        max_concurrency: CountOrPercentage::Count(1),
        regions: RegionConcurrency::Sequential,
        ..RolloutSettings::default()
    };
    let wanted = Desired { rollout: one_by_one, ..desired("stopped", "35") };
    let (of, stack_sets) = (of(&wanted), subject.stack_sets());
    stack_sets.create(&wanted, OWNER).await.unwrap();
    start(subject, "create-1", &create(all()), &wanted).await.unwrap();
    stack_sets.stop(of, "create-1").await.unwrap();
    let status = stack_sets.operation(of, "create-1").await.unwrap();
    assert!(matches!(status, Some(OperationStatus::Stopping | OperationStatus::Ended)), "{status:?}");
    stack_sets.stop(of, "create-1").await.unwrap();
    ended(subject, of, "create-1").await;
    stack_sets.stop(of, "create-1").await.unwrap();
    stack_sets.stop(of, "never-started").await.unwrap();
    if !subject.is_fake() {
        let found = observed(subject, of).await;
        assert!(found.instances.values().any(|found| found.detailed == DetailedStatus::Cancelled), "{found:?}");
    }
    let left = done(subject, "delete-1", Operation::DeleteInstances { at: all(), retain: false }, &wanted).await;
    assert_eq!(left.instances, BTreeMap::new());
    stack_sets.delete(of).await.unwrap();
}

/// Facts for an adoption. The switch to managed execution changes no other setting, and foreign tags stay.
async fn foreign_stack_sets_are_read_and_adopted(subject: &impl StackSetImplementation) {
    let wanted = Desired { adopt: true, ..desired("legacy", "90") };
    let (of, stack_sets) = (of(&wanted), subject.stack_sets());
    let there = places(&["111111111111"], &["eu-west-1"]);
    subject.made_by_hand(&wanted.name, &there);
    let found = stack_sets.describe(of).await.unwrap().unwrap();
    let expected = ObservedStackSet {
        id: found.id.clone(),
        owner: None,
        definition: None,
        permissions: PermissionModel::SelfManaged,
        managed_execution: false,
        auto_deployment: None,
        template: found.template.clone(),
        parameters: Parameters::from([("Days".to_owned(), "35".to_owned())]),
        tags: BTreeMap::from([("team".to_owned(), "backup".to_owned())]),
    };
    assert_eq!(found, expected);
    assert_eq!(found.template.as_deref().map(str::trim), Some(FRAMEWORK.trim()));
    assert_eq!(instances(&observed(subject, of).await), ["111111111111/eu-west-1"]);

    // Without managed execution a second operation is rejected while one runs.
    start(subject, "managed-1", &Operation::ManagedExecution, &wanted).await.unwrap();
    let rest = create(places(&["111111111111"], &["us-east-1"]));
    if subject.is_fake() || stack_sets.describe(of).await.unwrap().is_some_and(|found| !found.managed_execution) {
        let busy = start(subject, "create-1", &rest, &wanted).await.unwrap_err();
        assert_eq!(busy.kind, PortErrorKind::Conflict, "{busy}");
    }
    ended(subject, of, "managed-1").await;
    let managed = observed(subject, of).await;
    assert_eq!(managed.stack_set, Some(ObservedStackSet { managed_execution: true, ..expected.clone() }));
    assert!(managed.instances.values().all(|found| found.status == InstanceStatus::Current), "{managed:?}");

    let taken = done(subject, "update-1", Operation::UpdateStackSet, &wanted).await;
    let mine = ObservedStackSet {
        owner: Some(OWNER.to_owned()),
        definition: Some(wanted.definition_digest()),
        managed_execution: true,
        parameters: wanted.parameters.clone(),
        ..expected
    };
    assert_eq!(taken.stack_set, Some(mine));
    assert_eq!(instances(&taken), ["111111111111/eu-west-1"]);
    done(subject, "delete-1", Operation::DeleteInstances { at: there, retain: false }, &wanted).await;
    stack_sets.delete(of).await.unwrap();
}

async fn units_have_accounts(subject: &impl StackSetImplementation) {
    let accounts = |ids: &[&str]| ids.iter().map(|id| account(id)).collect::<BTreeSet<_>>();
    let nowhere = unit("ou-sbox-nowhere1");
    let asked = BTreeSet::from([unit(WORKLOADS), unit(DATA), unit(ROOT), nowhere.clone()]);
    let known = subject.units().membership(&asked).await.unwrap();
    assert_eq!(known.root, Some(unit(ROOT)));
    assert_eq!(known.management, Some(account(CENTRAL)));
    let workloads = ["111111111111", "222222222222", "333333333333"];
    assert_eq!(known.units[&unit(WORKLOADS)], accounts(&workloads), "with its child unit");
    assert_eq!(known.units[&unit(DATA)], accounts(&["333333333333"]));
    assert_eq!(known.units[&unit(ROOT)], accounts(&[&[CENTRAL], &workloads[..]].concat()));
    assert!(!known.units.contains_key(&nowhere), "{known:?}");
    assert_eq!(known.inactive, BTreeSet::new());
    subject.suspend(&account("222222222222"));
    let known = subject.units().membership(&[unit(WORKLOADS)].into()).await.unwrap();
    assert_eq!(known.units.keys().collect::<Vec<_>>(), [&unit(WORKLOADS)], "those that were asked for");
    assert_eq!(known.inactive, accounts(&["222222222222"]));
}

/// Account 222222222222 is suspended from here on.
async fn units_are_deployed_to(subject: &impl StackSetImplementation) {
    let wanted = for_units("units", CallAs::Own);
    let of = of(&wanted);
    subject.stack_sets().create(&wanted, OWNER).await.unwrap();
    let empty = observed(subject, of).await;
    let stack_set = empty.stack_set.unwrap();
    assert_eq!(stack_set.permissions, PermissionModel::ServiceManaged);
    assert_eq!(stack_set.auto_deployment, Some(AutoDeployment { enabled: true, retain_stacks: false }));
    assert_eq!(empty.auto_targets, BTreeMap::new());

    // A list of accounts is not tracked from then on; whole units, and units except for some accounts, are.
    let listed =
        done(subject, "create-1", create(through(WORKLOADS, AccountFilterType::Listed, &["111111111111"])), &wanted)
            .await;
    assert_eq!(instances(&listed), ["111111111111/eu-west-1"]);
    assert_eq!(listed.instances[&at("111111111111", "eu-west-1")].unit, Some(unit(WORKLOADS)));
    assert_eq!(listed.auto_targets, BTreeMap::new());
    let but = AccountFilterType::Except([account("222222222222")].into());
    let found = done(subject, "create-2", create(through(DATA, but, &["333333333333"])), &wanted).await;
    assert_eq!(found.instances[&at("333333333333", "eu-west-1")].unit, Some(unit(DATA)));
    let regions = BTreeSet::from([region("eu-west-1")]);
    assert_eq!(found.auto_targets, BTreeMap::from([(unit(DATA), regions.clone())]));
    let rest = create(through(WORKLOADS, AccountFilterType::Whole, &["111111111111"]));
    let found = done(subject, "create-3", rest, &wanted).await;
    assert_eq!(found.auto_targets, BTreeMap::from([(unit(DATA), regions.clone()), (unit(WORKLOADS), regions)]));
    for (instance, found) in &found.instances {
        if instance.account.as_str() == "222222222222" {
            assert_eq!(found.detailed, DetailedStatus::SkippedSuspendedAccount, "{found:?}");
        } else {
            assert_eq!(found.status, InstanceStatus::Current, "{instance}: {found:?}");
        }
    }

    let changed = Operation::UpdateInstances {
        at: through(WORKLOADS, AccountFilterType::Listed, &["111111111111"]),
        overrides: Parameters::from([("Days".to_owned(), "365".to_owned())]),
    };
    done(subject, "change-1", changed, &wanted).await;

    // A suspended account is retained; then the whole units, which ends their tracking.
    let suspended = Operation::DeleteInstances {
        at: through(WORKLOADS, AccountFilterType::Listed, &["222222222222"]),
        retain: true,
    };
    done(subject, "delete-1", suspended, &wanted).await;
    for (id, unit, accounts) in
        [("delete-2", DATA, &["333333333333"][..]), ("delete-3", WORKLOADS, &["111111111111", "333333333333"])]
    {
        let whole = Operation::DeleteInstances { at: through(unit, AccountFilterType::Whole, accounts), retain: false };
        done(subject, id, whole, &wanted).await;
    }
    let left = observed(subject, of).await;
    assert_eq!((instances(&left), left.auto_targets), (Vec::<String>::new(), BTreeMap::new()));
    subject.stack_sets().delete(of).await.unwrap();
}

/// A call without the `CallAs` of a StackSet does not find it.
async fn delegated_administrator_is_set_on_each_call(subject: &impl StackSetImplementation) {
    let wanted = for_units("delegated", CallAs::DelegatedAdministrator);
    let (of, stack_sets) = (of(&wanted), subject.stack_sets());
    stack_sets.create(&wanted, OWNER).await.unwrap();
    assert!(stack_sets.describe(of).await.unwrap().is_some());
    let forgotten = StackSetRef { call_as: CallAs::Own, ..of };
    assert_eq!(stack_sets.describe(forgotten).await.unwrap(), None);
    let listed = through(WORKLOADS, AccountFilterType::Listed, &["111111111111"]);
    let found = done(subject, "create-1", create(listed.clone()), &wanted).await;
    assert_eq!(instances(&found), ["111111111111/eu-west-1"]);
    assert_eq!(stack_sets.operation(forgotten, "create-1").await.unwrap(), None);
    done(subject, "delete-1", Operation::DeleteInstances { at: listed, retain: false }, &wanted).await;
    stack_sets.delete(forgotten).await.unwrap();
    assert!(stack_sets.describe(of).await.unwrap().is_some(), "the other caller has none of that name");
    stack_sets.delete(of).await.unwrap();
    assert_eq!(stack_sets.describe(of).await.unwrap(), None);
}

async fn holds(subject: &impl StackSetImplementation) {
    missing_stack_set_is_not_an_error(subject).await;
    first_creator_is_the_owner(subject).await;
    stack_set_is_created_updated_and_deleted(subject).await;
    failed_instance_is_observed(subject).await;
    running_operation_is_stopped(subject).await;
    foreign_stack_sets_are_read_and_adopted(subject).await;
    units_have_accounts(subject).await;
    units_are_deployed_to(subject).await;
}

// ------------------------------------------------------------------------------------------------ the fake

impl StackSetImplementation for World {
    type StackSets = Self;
    type Units = Self;

    fn stack_sets(&self) -> &Self {
        self
    }

    fn units(&self) -> &Self {
        self
    }

    fn hurry(&self) {
        self.end_operations();
        self.state().broken.clear();
    }

    fn breaks(&self, instance: &Instance, reason: &str) {
        self.state().broken.insert(instance.to_string(), reason.to_owned());
    }

    fn suspend(&self, account: &AccountId) {
        self.state().units.inactive.insert(account.clone());
    }

    fn made_by_hand(&self, name: &StackSetName, at: &OperationTargets) {
        let found = ObservedInstance {
            status: InstanceStatus::Current,
            detailed: DetailedStatus::Succeeded,
            reason: None,
            overrides: None,
            unit: None,
        };
        let observed = ObservedStackSet {
            id: format!("{name}:0"),
            template: Some(FRAMEWORK.to_owned()),
            parameters: Parameters::from([("Days".to_owned(), "35".to_owned())]),
            tags: BTreeMap::from([("team".to_owned(), "backup".to_owned())]),
            ..ObservedStackSet::default()
        };
        let made = FakeStackSet {
            observed,
            template: FRAMEWORK.to_owned(),
            instances: at.instances().map(|instance| (instance, found.clone())).collect(),
            auto_targets: BTreeMap::new(),
            operations: BTreeMap::new(),
        };
        self.state().stack_sets.insert(name.clone(), made);
    }

    fn is_fake(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn fake_fulfills_stack_set_contract() {
    let world = World::new();
    {
        let units = &mut world.state().units;
        (units.root, units.management) = (Some(unit(ROOT)), Some(account(CENTRAL)));
        let members: BTreeSet<AccountId> = MEMBERS.iter().map(|(id, _)| account(id)).collect();
        units.units.insert(unit(WORKLOADS), members.clone());
        units.units.insert(unit(DATA), [account("333333333333")].into());
        units.units.insert(unit(ROOT), members.into_iter().chain([account(CENTRAL)]).collect());
    }
    holds(&world).await;
}

// ------------------------------------------------------------------------------------------------ the simulator

impl StackSetImplementation for Simulator {
    type StackSets = Self;
    type Units = Self;

    fn stack_sets(&self) -> &Self {
        self
    }

    fn units(&self) -> &Self {
        self
    }

    fn hurry(&self) {
        self.run_until_idle();
    }

    fn breaks(&self, instance: &Instance, reason: &str) {
        let fault = InjectedInstanceFault { times: Some(1), reason: reason.to_owned(), of: FaultyWork::Everything };
        self.cloud().faults.insert(instance.clone(), fault);
    }

    fn suspend(&self, account: &AccountId) {
        self.set_state(account, AccountState::Suspended);
    }

    fn made_by_hand(&self, name: &StackSetName, at: &OperationTargets) {
        let definition = SimulatedDefinition {
            template: FRAMEWORK.to_owned(),
            parameters: Parameters::from([("Days".to_owned(), "35".to_owned())]),
            owner: None,
            digest: None,
            tags: BTreeMap::from([("team".to_owned(), "backup".to_owned())]),
            auto_deployment: None,
        };
        let made = SimulatedStackSet::new(name, definition, PermissionModel::SelfManaged, CallAs::Own);
        self.cloud().stack_sets.insert(name.clone(), made);
        let create = OperationTask::Create(Parameters::new());
        self.by_hand(name, create, OperationScope::Places(at.clone()), RolloutSettings::default()).unwrap();
        self.run_until_idle();
    }
}

#[tokio::test]
async fn simulator_fulfills_stack_set_contract() {
    let simulator = Simulator::new(&World::new(), 1);
    {
        let organization = &mut simulator.cloud().organization;
        (organization.root, organization.management) = (Some(unit(ROOT)), Some(account(CENTRAL)));
        organization.parents = [(unit(WORKLOADS), unit(ROOT)), (unit(DATA), unit(WORKLOADS))].into();
        organization.accounts = MEMBERS.iter().map(|(id, within)| (account(id), unit(within))).collect();
        organization.accounts.insert(account(CENTRAL), unit(ROOT));
    }
    holds(&simulator).await;
    delegated_administrator_is_set_on_each_call(&simulator).await;
}

// ------------------------------------------------------------------------------------------------ the adapters

struct Adapters {
    local: Local,
    stack_sets: CloudFormationStackSets,
    units: aws::OrganizationUnits,
}

impl Adapters {
    async fn start() -> Self {
        let local = Local::start().await;
        let made = local.client().send("s3", HttpRequest::new("PUT", "/templates")).unwrap();
        assert!(made.is_success());
        let stack_sets = CloudFormationStackSets::new(
            &local.clients,
            local.clients.template_bucket("templates"),
            "arn:aws:iam::000000000000:role/administration",
            "execution",
        );
        Self { stack_sets, units: local.clients.organizational_units(true), local }
    }

    fn query(&self, action: &str, parameters: &[(&str, &str)]) -> String {
        self.local.client().query("cloudformation", action, parameters).unwrap()
    }

    /// The override of `Days` of an instance.
    fn days(&self, name: &str, account: &str) -> Option<String> {
        let place = [("StackSetName", name), ("StackInstanceAccount", account), ("StackInstanceRegion", "eu-west-1")];
        wire::xml_text(&self.query("DescribeStackInstance", &place), "ParameterValue")
    }
}

impl StackSetImplementation for Adapters {
    type StackSets = CloudFormationStackSets;
    type Units = aws::OrganizationUnits;

    fn stack_sets(&self) -> &CloudFormationStackSets {
        &self.stack_sets
    }

    fn units(&self) -> &aws::OrganizationUnits {
        &self.units
    }

    fn hurry(&self) {}

    fn breaks(&self, instance: &Instance, reason: &str) {
        self.local.cloud.fail_instance(instance.account.as_str(), instance.region.as_str(), reason, 1);
    }

    fn suspend(&self, account: &AccountId) {
        self.local.cloud.set_suspended(account.as_str(), true);
    }

    fn made_by_hand(&self, name: &StackSetName, at: &OperationTargets) {
        let name = name.as_str();
        let days = [("Parameters.member.1.ParameterKey", "Days"), ("Parameters.member.1.ParameterValue", "35")];
        let tag = [("Tags.member.1.Key", "team"), ("Tags.member.1.Value", "backup")];
        let made = [&[("StackSetName", name), ("TemplateBody", FRAMEWORK)], &days[..], &tag[..]].concat();
        self.query("CreateStackSet", &made);
        for instance in at.instances() {
            let id = format!("by-hand-{}-{}", instance.account, instance.region);
            let (account, region) = (instance.account.as_str(), instance.region.as_str());
            let there = [("Accounts.member.1", account), ("Regions.member.1", region), ("OperationId", &id)];
            self.query("CreateStackInstances", &[&[("StackSetName", name)], &there[..]].concat());
            wait::until(&format!("the end of operation {id}"), || {
                let operation =
                    self.query("DescribeStackSetOperation", &[("StackSetName", name), ("OperationId", &id)]);
                let status = wire::xml_text(&operation, "Status").unwrap_or_default();
                Ok(wait::when(status != "RUNNING", || status))
            })
            .unwrap();
        }
    }
}

#[tokio::test]
async fn adapter_fulfills_stack_set_contract() {
    let adapters = Adapters::start().await;
    holds(&adapters).await;

    // Overrides are set, and removed by an empty list.
    let wanted = desired("overridden", "35");
    adapters.stack_sets.create(&wanted, OWNER).await.unwrap();
    let one = || places(&["111111111111"], &["eu-west-1"]);
    done(&adapters, "create-1", create(one()), &wanted).await;
    for (id, days) in [("change-1", Some("365")), ("change-2", None)] {
        let overrides = days.map(|days| ("Days".to_owned(), days.to_owned())).into_iter().collect();
        done(&adapters, id, Operation::UpdateInstances { at: one(), overrides }, &wanted).await;
        assert_eq!(adapters.days("overridden", "111111111111").as_deref(), days, "{id}");
    }

    // Managed execution queues operations that arrive while one runs.
    let longer = desired("overridden", "90");
    start(&adapters, "update-1", &Operation::UpdateStackSet, &longer).await.unwrap();
    let queued = Operation::DeleteInstances { at: one(), retain: false };
    assert_eq!(start(&adapters, "delete-1", &queued, &longer).await.unwrap(), Acceptance::Started);
    let status = adapters.stack_sets.operation(of(&wanted), "delete-1").await.unwrap();
    assert_eq!(status, Some(OperationStatus::InFlight));
    ended(&adapters, of(&wanted), "delete-1").await;
    assert_eq!(instances(&observed(&adapters, of(&wanted)).await), Vec::<String>::new());

    // Errors are complete: operation, code, message and request id.
    adapters.local.cloud.fail_next("cloudformation", "DescribeStackSet", 403, "AccessDenied", "you may not", 1);
    let denied = adapters.stack_sets.describe(of(&wanted)).await.unwrap_err();
    assert_eq!(denied.kind, PortErrorKind::Denied);
    assert_eq!((denied.operation, denied.code.as_deref()), ("cloudformation:DescribeStackSet", Some("AccessDenied")));
    assert_eq!(denied.message, "you may not");
    assert!(denied.request_id.as_deref().is_some_and(|id| id.len() == 36), "{denied:?}");
    assert!(denied.with_fix().contains("does not allow `cloudformation:DescribeStackSet`"), "{}", denied.with_fix());

    // All instances are listed, also those after the first page.
    let wide = desired("wide", "35");
    adapters.stack_sets.create(&wide, OWNER).await.unwrap();
    let many: Vec<String> = (0..60).map(|n| format!("1000000000{n:02}")).collect();
    let many = places(&many.iter().map(String::as_str).collect::<Vec<_>>(), &["us-east-1", "eu-west-1"]);
    assert_eq!(done(&adapters, "create-1", create(many), &wide).await.instances.len(), 120);

    // Trusted access and the callers that it requires, with CloudFormation's messages.
    adapters.local.cloud.set_trusted_access(false);
    let refused = adapters.stack_sets.create(&for_units("untrusted", CallAs::Own), OWNER).await.unwrap_err();
    assert_eq!(refused.kind, PortErrorKind::Rejected, "{refused}");
    assert!(refused.message.contains("enable organizations access"), "{refused}");
    adapters.local.cloud.set_trusted_access(true);
    let early = for_units("delegated", CallAs::DelegatedAdministrator);
    let refused = adapters.stack_sets.create(&early, OWNER).await.unwrap_err();
    assert!(refused.message.contains("not a delegated administrator"), "{refused}");
    adapters.local.cloud.set_management_account("999999999999");
    delegated_administrator_is_set_on_each_call(&adapters).await;
    assert_eq!(adapters.local.cloud.stop(), []);
}
