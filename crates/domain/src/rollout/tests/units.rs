//! Rollouts with service-managed permissions: properties that hold after any history, and examples.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use framework::ids::{AccountId, StackSetName, UnitId};

use super::{OWNER, days, overrides};
use crate::policy;
use crate::rollout::*;
use model::{ACCOUNTS, Aws, OUTSIDE, Organization, REGIONS, Reach, UNITS, Unknowns, account, at, region, unit};

mod model;

/// Runs an attempt as `deploy` does; returns its operations and its verdict.
fn attempt(
    desired: &mut Desired,
    aws: &mut Aws,
    given: &mut AppliedOverrides,
    reaches: Vec<Reach>,
) -> Result<(Vec<Operation>, Verdict), TestCaseError> {
    // Instances in an account that has left the organization stay.
    let smooth = reaches.iter().all(|reach| *reach == Reach::All) && !aws.organization.home.contains(&OUTSIDE);
    aws.smooth = smooth;
    let mut reaches = reaches.into_iter();
    let mut tried = BTreeSet::new();
    let mut done = Vec::new();
    let mut planned = None;
    for _ in 0..200 {
        let membership = aws.membership(desired);
        desired.resolve_organizational_units(&membership);
        let mut observed = aws.observe();
        given.forget_uncertain(&observed);
        given.add_to(&mut observed);
        let context = StepContext { owner: OWNER, membership: &membership, ended_operations: &tried };
        let planned = planned.get_or_insert_with(|| operations(desired, &observed, OWNER, &membership));
        match next_step(desired, &observed, context) {
            RolloutStep::CreateStackSet => {
                aws.now.stack_set = Some(ObservedStackSet {
                    managed_execution: true,
                    owner: Some(OWNER.into()),
                    definition: Some(desired.definition_digest()),
                    permissions: PermissionModel::ServiceManaged,
                    auto_deployment: desired.permissions.service_managed().map(|service| service.auto_deployment),
                    ..ObservedStackSet::default()
                });
            }
            RolloutStep::Start(operation) => {
                prop_assert!(tried.insert(operation.key()), "{operation:?} is tried again");
                aws.run(desired, &operation, reaches.next().unwrap_or(Reach::All))?;
                // The record round-trips between two reconciliations.
                given.record_operation(&operation);
                let stored = serde_json::to_string(given).expect("JSON");
                prop_assert_eq!(&serde_json::from_str::<AppliedOverrides>(&stored).expect("is read"), &*given);
                done.push(operation);
            }
            RolloutStep::Finished(verdict) => {
                prop_assert!(!smooth || done == *planned, "planned: {planned:#?}, done: {done:#?}");
                return Ok((done, verdict));
            }
            other => prop_assert!(false, "{other:?} is not a step of a rollout"),
        }
    }
    Err(TestCaseError::fail("the attempt does not end"))
}

/// Asserts that every instance is in the desired state and that the verdict agrees.
fn assert_converged(desired: &Desired, aws: &Aws, verdict: &Verdict) -> Result<(), TestCaseError> {
    for (instance, wanted) in &desired.instances {
        let existing = aws.now.instances.get(instance);
        prop_assert!(existing.is_some(), "{instance} is desired and missing");
        let existing = existing.expect("it exists");
        prop_assert_eq!(&existing.status, &InstanceStatus::Current, "{}", instance);
        prop_assert_eq!(existing.overrides.as_ref(), Some(&wanted.overrides), "{}", instance);
    }
    // Only instances remain that no operation can reach, since their accounts have left the organization.
    let members = aws.members(&unit(0));
    let left: BTreeSet<&Instance> = aws.now.instances.keys().filter(|instance| !desired.selects(instance)).collect();
    for instance in &left {
        prop_assert!(!members.contains(&instance.account), "{instance} is not desired");
    }
    prop_assert_eq!(verdict.failures.iter().map(|diagnostic| &diagnostic.instance).collect::<BTreeSet<_>>(), left);
    prop_assert!(verdict.failures.iter().all(|diagnostic| diagnostic.outcome == InstanceOutcome::NotDeleted));
    prop_assert!(verdict.skipped.iter().map(|diagnostic| &diagnostic.instance).eq(desired.skipped.keys()));
    let (instances, skipped) = (desired.instances.len(), desired.skipped.len());
    prop_assert_eq!((verdict.total, verdict.succeeded), (instances + skipped, instances));

    // Targeted units have auto-deployment, units that have left the policy do not.
    let service = desired.permissions.service_managed().expect("units");
    let all = aws.organization.all();
    let registered = &aws.now.auto_targets;
    for target in &service.targets {
        let whole = service.auto_deployment.enabled && !matches!(target.accounts, AccountFilter::Only(_));
        for unit in target.units.iter().filter(|_| whole) {
            let regions = registered.get(unit);
            prop_assert!(regions.is_some_and(|regions| target.regions.is_subset(regions)), "{unit}: {regions:?}");
        }
    }
    for (unit, regions) in registered.iter().filter(|(unit, _)| all.units.contains_key(*unit)) {
        for region in regions {
            let named = service.targets.iter().any(|one| one.units.contains(unit) && one.regions.contains(region));
            let known =
                |account: &AccountId| desired.selects(&Instance { account: account.clone(), region: region.clone() });
            let through = |(instance, existing): (&Instance, &ObservedInstance)| {
                existing.unit.as_ref() == Some(unit) && instance.region == *region
            };
            let needed = all.accounts(unit).any(known) || aws.now.instances.iter().any(through);
            prop_assert!(named || needed, "{unit} in {region} still has auto-deployment");
        }
    }
    Ok(())
}

fn desired(service: ServiceManaged, template: u8) -> Desired {
    Desired {
        name: StackSetName::parse("backup-compliance").expect("a name"),
        template: format!("Resources: {{}} # {template}"),
        capabilities: vec![],
        parameters: Parameters::new(),
        permissions: Permissions::ServiceManaged(service),
        adopt: false,
        instances: BTreeMap::new(),
        skipped: BTreeMap::new(),
        rollout: policy::RolloutSettings::default(),
    }
}

fn target(
    units: &[usize],
    accounts: AccountFilter,
    regions: &[usize],
    overrides: Parameters,
) -> OrganizationalUnitTarget {
    OrganizationalUnitTarget {
        units: units.iter().copied().map(unit).collect(),
        accounts,
        regions: regions.iter().copied().map(region).collect(),
        overrides,
    }
}

fn service(enabled: bool, targets: Vec<OrganizationalUnitTarget>) -> ServiceManaged {
    let auto_deployment = AutoDeployment { enabled, retain_stacks: false };
    ServiceManaged { call_as: CallAs::Own, auto_deployment, targets }
}

fn some_of(most: usize, least: usize) -> impl Strategy<Value = Vec<usize>> {
    prop::sample::subsequence((0..most).collect::<Vec<_>>(), least..=most)
}

fn filters() -> impl Strategy<Value = AccountFilter> {
    let listed = || some_of(ACCOUNTS, 1).prop_map(|accounts| accounts.into_iter().map(account).collect());
    prop_oneof![
        3 => Just(AccountFilter::All),
        1 => listed().prop_map(AccountFilter::Only),
        1 => listed().prop_map(AccountFilter::Except),
    ]
}

fn policies() -> impl Strategy<Value = (ServiceManaged, u8)> {
    let units = prop::sample::subsequence((0..UNITS.len()).collect::<Vec<_>>(), 1..=2);
    let target = (units, filters(), some_of(REGIONS.len(), 1), overrides())
        .prop_map(|(units, accounts, regions, overrides)| target(&units, accounts, &regions, overrides));
    (prop::collection::vec(target, 1..=3), prop::bool::weighted(0.7), 0u8..2)
        .prop_map(|(targets, enabled, template)| (service(enabled, targets), template))
}

fn organizations() -> impl Strategy<Value = Organization> {
    let home = prop::collection::vec(prop_oneof![12 => 0..UNITS.len(), 1 => Just(OUTSIDE)], ACCOUNTS);
    let inactive = prop::collection::btree_set(0..ACCOUNTS, 0..=1);
    (home, inactive, prop::option::weighted(0.4, 0..ACCOUNTS)).prop_map(|(home, inactive, management)| Organization {
        home,
        inactive,
        management,
        deleted: BTreeSet::new(),
    })
}

fn models() -> impl Strategy<Value = Aws> {
    (organizations(), any::<[bool; 2]>()).prop_map(|(organization, [create_touches_existing, listed_registers])| Aws {
        organization,
        unknowns: Unknowns { create_touches_existing, listed_registers },
        now: Observed::default(),
        smooth: true,
    })
}

/// An event between two rollouts.
#[derive(Debug, Clone)]
enum Event {
    Push(ServiceManaged, u8),
    Reorganize(Organization),
    /// A full reconciliation without a change.
    Reconcile,
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => policies().prop_map(|(service, template)| Event::Push(service, template)),
        3 => organizations().prop_map(Event::Reorganize),
        1 => Just(Event::Reconcile),
    ]
}

fn reaches() -> impl Strategy<Value = Vec<Reach>> {
    prop::collection::vec(prop_oneof![2 => Just(Reach::All), 1 => any::<u16>().prop_map(Reach::Some)], 0..=3)
}

/// The management account does not change.
fn after(organization: Organization, before: &Organization) -> Organization {
    Organization { management: before.management, ..organization }
}

proptest! {
    /// After any pushes, moves of accounts and stopped operations, an attempt in which every operation succeeds converges, and no
    /// desired instance is ever deleted.
    #[test]
    fn units_rollout_converges_after_any_history(
        mut aws in models(),
        (service, template) in policies(),
        history in prop::collection::vec((events(), reaches()), 1..=5),
    ) {
        let mut given = AppliedOverrides::known_empty();
        let mut desired = desired(service, template);
        for (event, reaches) in std::iter::once((Event::Reconcile, Vec::new())).chain(history) {
            match event {
                Event::Push(service, template) => desired = self::desired(service, template),
                Event::Reorganize(organization) => aws.reorganize(after(organization, &aws.organization)),
                Event::Reconcile => {}
            }
            attempt(&mut desired, &mut aws, &mut given, reaches)?;
            // The history continues from the incomplete state; a copy of it converges here.
            let (mut desired, mut aws, mut given) = (desired.clone(), aws.clone(), given.clone());
            let (_, verdict) = attempt(&mut desired, &mut aws, &mut given, Vec::new())?;
            assert_converged(&desired, &aws, &verdict)?;
            let (again, verdict) = attempt(&mut desired, &mut aws, &mut given, Vec::new())?;
            let is_failed_deletion = |one: &Operation| matches!(one, Operation::DeleteInstances { .. }) && !verdict.is_success();
            prop_assert!(again.iter().all(is_failed_deletion), "a converged StackSet is not changed: {again:?}");
        }
    }

    /// The overrides of an adopted StackSet are unknown.
    #[test]
    fn units_adopted_stack_set_converges(
        mut aws in models(),
        (theirs, _) in policies(),
        (ours, template) in policies(),
        reaches in reaches(),
    ) {
        attempt(&mut desired(theirs, 9), &mut aws, &mut AppliedOverrides::known_empty(), Vec::new())?;
        let stack_set = aws.now.stack_set.as_mut().expect("the StackSet exists");
        (stack_set.owner, stack_set.definition, stack_set.managed_execution) = (None, None, false);
        let mut desired = desired(ours, template);
        desired.adopt = true;
        let mut given = AppliedOverrides::default();
        attempt(&mut desired, &mut aws, &mut given, reaches)?;
        let (_, verdict) = attempt(&mut desired, &mut aws, &mut given, Vec::new())?;
        assert_converged(&desired, &aws, &verdict)?;
        let stack_set = aws.now.stack_set.clone().expect("the StackSet exists");
        prop_assert_eq!((stack_set.owner.as_deref(), stack_set.managed_execution), (Some(OWNER), true));
        let (again, _) = attempt(&mut desired, &mut aws, &mut given, Vec::new())?;
        prop_assert!(again.iter().all(|one| matches!(one, Operation::DeleteInstances { .. })), "overrides are set once: {again:?}");
    }

    /// Removal deletes every reachable instance.
    #[test]
    fn units_removal_deletes_all_reachable_instances(
        mut aws in models(),
        (service, template) in policies(),
        moved in organizations(),
    ) {
        attempt(&mut desired(service, template), &mut aws, &mut AppliedOverrides::known_empty(), Vec::new())?;
        aws.reorganize(after(moved, &aws.organization));
        let nothing = desired(ServiceManaged::default(), 0);
        let mut tried = BTreeSet::new();
        for _ in 0..100 {
            let membership = aws.membership(&nothing);
            let context = StepContext { owner: OWNER, membership: &membership, ended_operations: &tried };
            match next_removal_step(&aws.observe(), context) {
                RolloutStep::Start(operation) => {
                    prop_assert!(tried.insert(operation.key()), "{operation:?} is tried again");
                    aws.run(&nothing, &operation, Reach::All)?;
                }
                RolloutStep::DeleteStackSet => {
                    prop_assert!(aws.now.instances.is_empty());
                    return Ok(());
                }
                RolloutStep::Finished(verdict) => {
                    let members = aws.members(&unit(0));
                    prop_assert!(!verdict.is_success());
                    prop_assert!(verdict.failures.iter().all(|diagnostic| !members.contains(&diagnostic.instance.account)));
                    return Ok(());
                }
                other => prop_assert!(false, "{other:?} is not a step of a removal"),
            }
        }
        prop_assert!(false, "the removal does not end");
    }

    /// In each Region an account of the units is either desired or skipped, and belongs to the first target that selects it.
    #[test]
    fn units_each_account_is_desired_or_skipped(organization in organizations(), (service, _) in policies()) {
        let mut placed = desired(service.clone(), 0);
        let membership = organization.membership(&placed.organizational_units());
        placed.resolve_organizational_units(&membership);
        for (one, r) in (0..ACCOUNTS).flat_map(|one| (0..REGIONS.len()).map(move |r| (one, r))) {
            let instance = at(one, r);
            let owner = service.targets.iter().find(|target| {
                target.regions.contains(&instance.region)
                    && target.accounts.selects(&instance.account)
                    && target.units.iter().any(|unit| membership.contains(unit, &instance.account))
            });
            let skip = if organization.management == Some(one) {
                Some(SkipReason::ManagementAccount)
            } else {
                organization.inactive.contains(&one).then_some(SkipReason::Suspended)
            };
            prop_assert_eq!(placed.skipped.get(&instance), owner.and(skip.as_ref()));
            let wanted = placed.instances.get(&instance);
            prop_assert_eq!(wanted.is_some(), owner.is_some() && skip.is_none());
            if let (Some(owner), Some(wanted)) = (owner, wanted) {
                prop_assert_eq!(&*wanted.overrides, &owner.overrides);
                let unit = wanted.unit.as_ref().expect("an instance has a unit");
                prop_assert!(owner.units.contains(unit) && membership.contains(unit, &instance.account));
            }
            prop_assert_eq!(placed.selects(&instance), owner.is_some());
        }
    }
}

/// Accounts 1 and 2 are in a unit, 3 in its child unit, 4 and 5 in another unit, 6 in the root.
fn organization() -> Organization {
    Organization { home: vec![1, 1, 2, 3, 3, 0], inactive: BTreeSet::new(), management: None, deleted: BTreeSet::new() }
}

fn aws(organization: Organization) -> Aws {
    let unknowns = Unknowns { create_touches_existing: false, listed_registers: false };
    Aws { organization, unknowns, now: Observed::default(), smooth: true }
}

/// Summarizes operations: call, unit, filter, accounts, Regions.
fn summary(operations: &[Operation]) -> Vec<String> {
    let name = |of: &UnitId| UNITS.iter().position(|(id, _)| *id == of.as_str()).expect("a unit of the model");
    let list = |accounts: &BTreeSet<AccountId>| -> String {
        (0..ACCOUNTS).filter(|one| accounts.contains(&account(*one))).map(|one| (one + 1).to_string()).collect()
    };
    let line = |operation: &Operation| {
        let Some(at) = operation.targets() else { return operation.api_name().to_owned() };
        let DeploymentTargets { unit, filter } = at.through.as_ref().expect("a unit");
        let how = match filter {
            AccountFilterType::Whole => "whole".to_owned(),
            AccountFilterType::Listed => "listed".to_owned(),
            AccountFilterType::Except(out) => format!("except {}", list(out)),
        };
        let retained = matches!(operation, Operation::DeleteInstances { retain: true, .. });
        let retained = if retained { " retained" } else { "" };
        let verb = operation.api_name().replace("StackInstances", "");
        format!("{verb} {} {how}: {} x {}{retained}", name(unit), list(&at.accounts), at.regions.len())
    };
    operations.iter().map(line).collect()
}

fn rolled_out(aws: &mut Aws, given: &mut AppliedOverrides, service: ServiceManaged) -> Vec<String> {
    let mut desired = desired(service, 0);
    let (done, verdict) = attempt(&mut desired, aws, given, Vec::new()).expect("the attempt succeeds");
    assert_converged(&desired, aws, &verdict).expect("converged");
    summary(&done)
}

const NOTHING: [&str; 0] = [];

#[test]
fn whole_unit_created_once_joiners_get_overrides() {
    let (mut aws, mut given) = (aws(organization()), AppliedOverrides::known_empty());
    let policy = |regions: &[usize]| service(true, vec![target(&[1], AccountFilter::All, regions, days("90"))]);
    assert_eq!(rolled_out(&mut aws, &mut given, policy(&[0, 1])), ["Create 1 whole: 123 x 2"]);
    assert_eq!(rolled_out(&mut aws, &mut given, policy(&[0, 1])), NOTHING);
    // Account 6 joins, 2 leaves: auto-deployment does everything but the overrides.
    aws.reorganize(Organization { home: vec![1, 0, 2, 3, 3, 1], ..organization() });
    assert_eq!(rolled_out(&mut aws, &mut given, policy(&[0, 1])), ["Update 1 listed: 6 x 2"]);
    // Each Region has its own auto-deployment.
    assert_eq!(rolled_out(&mut aws, &mut given, policy(&[0])), ["Delete 1 whole: 136 x 1"]);
    assert_eq!(rolled_out(&mut aws, &mut given, policy(&[0, 1])), ["Create 1 whole: 136 x 1"]);
}

#[test]
fn empty_unit_is_created_and_removed_as_a_whole() {
    let (mut aws, mut given) = (aws(organization()), AppliedOverrides::known_empty());
    let policy = |units: &[usize]| service(true, vec![target(units, AccountFilter::All, &[0], days("90"))]);
    assert_eq!(rolled_out(&mut aws, &mut given, policy(&[3, 4])), ["Create 3 whole: 45 x 1", "Create 4 whole:  x 1"]);
    assert_eq!(rolled_out(&mut aws, &mut given, policy(&[4])), ["Delete 3 whole: 45 x 1"]);
    assert_eq!(rolled_out(&mut aws, &mut given, policy(&[3])), ["Delete 4 whole:  x 1", "Create 3 whole: 45 x 1"]);
}

/// Deleting the whole parent would delete desired instances of the child unit too.
#[test]
fn parent_of_desired_child_is_deleted_by_account() {
    let (mut aws, mut given) = (aws(organization()), AppliedOverrides::known_empty());
    let policy = |units: &[usize]| service(true, vec![target(units, AccountFilter::All, &[0], Parameters::new())]);
    rolled_out(&mut aws, &mut given, policy(&[1]));
    assert_eq!(rolled_out(&mut aws, &mut given, policy(&[2])), ["Delete 1 listed: 12 x 1", "Create 2 whole:  x 1"]);
    // No instance of the parent is desired any more, so it is deleted as a whole.
    assert_eq!(
        rolled_out(&mut aws, &mut given, policy(&[3])),
        ["Delete 1 whole: 3 x 1", "Delete 2 whole:  x 1", "Create 3 whole: 45 x 1"]
    );
}

/// Creating the whole parent would set its overrides on the accounts of the child unit.
#[test]
fn parent_of_targeted_child_excludes_its_accounts() {
    let (mut aws, mut given) = (aws(organization()), AppliedOverrides::known_empty());
    let child = target(&[2], AccountFilter::All, &[0], days("90"));
    let policy = service(true, vec![child, target(&[1], AccountFilter::All, &[0], days("35"))]);
    assert_eq!(rolled_out(&mut aws, &mut given, policy), ["Create 2 whole: 3 x 1", "Create 1 except 3: 12 x 1"]);
}

/// One target excludes an account of the unit, another selects it: it is created once, with the overrides of the other.
#[test]
fn two_targets_of_one_unit_create_it_once() {
    let (mut aws, mut given) = (aws(organization()), AppliedOverrides::known_empty());
    let most = target(&[1], AccountFilter::Except([account(1)].into()), &[0], days("35"));
    let one = target(&[1], AccountFilter::Only([account(1)].into()), &[0], days("90"));
    let policy = service(true, vec![most, one]);
    assert_eq!(rolled_out(&mut aws, &mut given, policy), ["Create 1 except 2: 13 x 1", "Create 1 listed: 2 x 1"]);
}

#[test]
fn excluded_accounts_stay_out_of_the_whole_unit() {
    let (mut aws, mut given) = (aws(organization()), AppliedOverrides::known_empty());
    // The last account is not in the unit, so it is not excluded from the call.
    let out = AccountFilter::Except([1, 2, 4].map(account).into());
    let policy = || service(true, vec![target(&[1], out.clone(), &[0, 1], Parameters::new())]);
    assert_eq!(rolled_out(&mut aws, &mut given, policy()), ["Create 1 except 23: 1 x 2"]);
    // Auto-deployment has no filters: instances that it creates in an excluded account are deleted.
    aws.reorganize(Organization { home: vec![1, 1, 2, 3, 1, 0], ..organization() });
    assert_eq!(rolled_out(&mut aws, &mut given, policy()), ["Delete 1 listed: 235 x 2"]);
}

#[test]
fn unit_without_auto_deployment_lists_accounts() {
    let (mut aws, mut given) = (aws(organization()), AppliedOverrides::known_empty());
    let all = service(false, vec![target(&[1], AccountFilter::All, &[0], Parameters::new())]);
    assert_eq!(rolled_out(&mut aws, &mut given, all), ["Create 1 listed: 123 x 1"]);
    let only = AccountFilter::Only([0, 3].map(account).into());
    let some = service(true, vec![target(&[1, 3], only, &[0], Parameters::new())]);
    assert_eq!(
        rolled_out(&mut aws, &mut given, some),
        ["Delete 1 listed: 23 x 1", "UpdateStackSet", "Create 3 listed: 4 x 1"]
    );
}

#[test]
fn suspended_accounts_are_skipped_or_retained() {
    let mut aws = aws(Organization { management: Some(1), ..organization() });
    let mut given = AppliedOverrides::known_empty();
    let policy = |units: &[usize]| service(true, vec![target(units, AccountFilter::All, &[0], Parameters::new())]);
    assert_eq!(rolled_out(&mut aws, &mut given, policy(&[1])), ["Create 1 whole: 13 x 1"]);
    aws.reorganize(Organization { inactive: [2].into(), management: Some(1), ..organization() });
    assert_eq!(rolled_out(&mut aws, &mut given, policy(&[1])), NOTHING);
    assert_eq!(
        rolled_out(&mut aws, &mut given, policy(&[3])),
        ["Delete 1 listed: 3 x 1 retained", "Delete 1 whole: 1 x 1", "Create 3 whole: 45 x 1"]
    );
}

/// No call may name a deleted unit; its instances are reached through the root.
#[test]
fn deleted_unit_is_replaced_by_the_root() {
    let (mut aws, mut given) = (aws(organization()), AppliedOverrides::known_empty());
    let policy = |units: &[usize]| service(false, vec![target(units, AccountFilter::All, &[0], Parameters::new())]);
    rolled_out(&mut aws, &mut given, policy(&[3, 4]));
    aws.now.auto_targets.insert(unit(3), [region(0)].into());
    aws.organization = Organization { home: vec![1, 1, 2, 0, 0, 0], deleted: [3].into(), ..organization() };
    assert_eq!(rolled_out(&mut aws, &mut given, policy(&[4])), ["Delete 0 listed: 45 x 1"]);
}

/// Digests identify the policy, which does not include the accounts of its units.
#[test]
fn digest_ignores_the_accounts_of_units() {
    let policy = service(true, vec![target(&[1], AccountFilter::All, &[0], days("90"))]);
    let unplaced = desired(policy.clone(), 0);
    let mut placed = unplaced.clone();
    placed.resolve_organizational_units(&organization().all());
    assert_eq!((placed.digest(), placed.definition_digest()), (unplaced.digest(), unplaced.definition_digest()));
    assert_eq!(placed.organizational_units(), [unit(1)].into());
    let changes: [fn(&mut ServiceManaged); 6] = [
        |service| service.call_as = CallAs::DelegatedAdministrator,
        |service| service.targets[0].accounts = AccountFilter::Except([account(1)].into()),
        |service| service.targets[0].accounts = AccountFilter::Only([account(1)].into()),
        |service| service.targets[0].units = [unit(3)].into(),
        |service| service.targets[0].regions = [region(1)].into(),
        |service| service.targets[0].overrides = days("91"),
    ];
    let mut digests = BTreeSet::from([unplaced.digest()]);
    for change in changes {
        let mut changed = policy.clone();
        change(&mut changed);
        let changed = desired(changed, 0);
        assert!(digests.insert(changed.digest()));
        assert_eq!(changed.definition_digest(), unplaced.definition_digest(), "the StackSet itself does not change");
    }
    let mut manual = policy;
    manual.auto_deployment.enabled = false;
    assert_ne!(desired(manual, 0).definition_digest(), unplaced.definition_digest(), "`UpdateStackSet` has to set it");
}
