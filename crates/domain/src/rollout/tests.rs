use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use framework::ids::{AccountId, RegionName, StackSetName};

use super::verdict::evaluate;
use super::*;
use crate::policy::RolloutSettings;

mod given;
mod units;

const OWNER: &str = "policies@main";
const ACCOUNTS: [&str; 3] = ["111111111111", "222222222222", "333333333333"];
const REGIONS: [&str; 3] = ["eu-west-1", "us-east-1", "us-west-2"];

fn instance(account: usize, region: usize) -> Instance {
    Instance {
        account: AccountId::parse(ACCOUNTS[account]).expect("12 digits"),
        region: RegionName::parse(REGIONS[region]).expect("a Region"),
    }
}

fn days(days: &str) -> Parameters {
    Parameters::from([("Days".to_owned(), days.to_owned())])
}

fn desired(instances: &[((usize, usize), Parameters)]) -> Desired {
    Desired {
        name: StackSetName::parse("backup-compliance").expect("a name"),
        template: "Resources: {}".into(),
        capabilities: vec![],
        parameters: Parameters::new(),
        permissions: Permissions::SelfManaged,
        adopt: false,
        instances: instances
            .iter()
            .map(|((account, region), p)| (instance(*account, *region), DesiredInstance::from(p.clone())))
            .collect(),
        skipped: BTreeMap::new(),
        rollout: RolloutSettings::default(),
    }
}

/// Two accounts in one Region, without overrides.
fn two() -> Desired {
    desired(&[((0, 0), Parameters::new()), ((1, 0), Parameters::new())])
}

fn found(status: InstanceStatus, detailed: DetailedStatus) -> ObservedInstance {
    ObservedInstance { status, detailed, reason: None, overrides: given(&Parameters::new()), unit: None }
}

/// Known overrides.
fn given(overrides: &Parameters) -> Option<Arc<Parameters>> {
    Some(Arc::new(overrides.clone()))
}

fn current() -> ObservedInstance {
    found(InstanceStatus::Current, DetailedStatus::Succeeded)
}

fn observed(desired: &Desired, instances: &[((usize, usize), ObservedInstance)]) -> Observed {
    Observed {
        stack_set: Some(ObservedStackSet {
            id: "backup-compliance:1".into(),
            owner: Some(OWNER.into()),
            definition: Some(desired.definition_digest()),
            permissions: desired.permissions.model(),
            managed_execution: true,
            ..ObservedStackSet::default()
        }),
        instances: instances
            .iter()
            .map(|((account, region), found)| (instance(*account, *region), found.clone()))
            .collect(),
        auto_targets: BTreeMap::new(),
    }
}

/// The context of self-managed permissions.
fn with<T>(tried: &BTreeSet<Digest>, ask: impl FnOnce(StepContext<'_>) -> T) -> T {
    ask(StepContext { owner: OWNER, membership: &Membership::default(), ended_operations: tried })
}

fn step(desired: &Desired, observed: &Observed) -> RolloutStep {
    next(desired, observed, &BTreeSet::new())
}

fn next(desired: &Desired, observed: &Observed, tried: &BTreeSet<Digest>) -> RolloutStep {
    with(tried, |context| next_step(desired, observed, context))
}

fn next_removal(observed: &Observed, tried: &BTreeSet<Digest>) -> RolloutStep {
    with(tried, |context| next_removal_step(observed, context))
}

fn plan(desired: &Desired, observed: &Observed) -> Vec<Operation> {
    operations(desired, observed, OWNER, &Membership::default())
}

fn accounts(indices: &[usize]) -> BTreeSet<AccountId> {
    indices.iter().map(|index| instance(*index, 0).account).collect()
}

fn regions(indices: &[usize]) -> BTreeSet<RegionName> {
    indices.iter().map(|index| instance(0, *index).region).collect()
}

/// Accounts in the first Region.
fn places(of: &[usize]) -> OperationTargets {
    OperationTargets { accounts: accounts(of), regions: regions(&[0]), through: None }
}

fn delete(of: &[usize], retain: bool) -> Operation {
    Operation::DeleteInstances { at: places(of), retain }
}

fn create(of: &[usize], overrides: Parameters) -> Operation {
    Operation::CreateInstances { at: places(of), overrides }
}

fn update(of: &[usize], overrides: Parameters) -> Operation {
    Operation::UpdateInstances { at: places(of), overrides }
}

#[test]
fn missing_stack_set_is_created_foreign_one_is_not() {
    let desired = two();
    assert_eq!(step(&desired, &Observed::default()), RolloutStep::CreateStackSet);
    for owner in [None, Some("other@main".to_owned())] {
        let mut foreign = observed(&desired, &[]);
        foreign.stack_set.as_mut().expect("there is one").owner.clone_from(&owner);
        assert_eq!(step(&desired, &foreign), RolloutStep::OtherOwner(owner.clone()));
        assert_eq!(next_removal(&foreign, &BTreeSet::new()), RolloutStep::OtherOwner(owner));
    }
}

#[test]
fn steps_delete_update_create_correct_in_order() {
    let desired = desired(&[((0, 0), Parameters::new()), ((1, 0), days("90"))]);
    // Account 2 has left the policy, account 1 lacks its override, account 0 is missing, the template is an old one.
    let mut now = observed(&desired, &[((1, 0), current()), ((2, 0), current())]);
    now.stack_set.as_mut().expect("there is one").definition = None;
    assert_eq!(step(&desired, &now), RolloutStep::Start(delete(&[2], false)));
    now.instances.remove(&instance(2, 0));
    assert_eq!(step(&desired, &now), RolloutStep::Start(Operation::UpdateStackSet));
    now.stack_set.as_mut().expect("there is one").definition = Some(desired.definition_digest());
    assert_eq!(step(&desired, &now), RolloutStep::Start(create(&[0], Parameters::new())));
    now.instances.insert(instance(0, 0), current());
    assert_eq!(step(&desired, &now), RolloutStep::Start(update(&[1], days("90"))));
    now.instances.insert(instance(1, 0), ObservedInstance { overrides: given(&days("90")), ..current() });
    assert_eq!(step(&desired, &now), RolloutStep::Finished(Verdict { total: 2, succeeded: 2, ..Verdict::default() }));
}

#[test]
fn tried_operation_is_reported_not_repeated() {
    let desired = two();
    let mut tried = BTreeSet::new();
    let mut now = observed(&desired, &[((0, 0), current()), ((2, 0), current())]);
    now.stack_set.as_mut().expect("there is one").definition = None;
    for expected in [delete(&[2], false), Operation::UpdateStackSet, create(&[1], Parameters::new())] {
        assert_eq!(next(&desired, &now, &tried), RolloutStep::Start(expected.clone()));
        tried.insert(expected.key());
    }
    let RolloutStep::Finished(verdict) = next(&desired, &now, &tried) else { panic!("nothing is left to try") };
    assert_eq!((verdict.total, verdict.succeeded), (2, 1));
    let diagnostics: Vec<_> =
        verdict.failures.iter().map(|diagnostic| (diagnostic.instance.clone(), diagnostic.outcome)).collect();
    assert_eq!(
        diagnostics,
        [(instance(1, 0), InstanceOutcome::NeverReached), (instance(2, 0), InstanceOutcome::NotDeleted)]
    );
}

/// Status, detailed status, outcome in the verdict, and whether operations work on the instance.
fn states() -> Vec<(InstanceStatus, DetailedStatus, Option<InstanceOutcome>, bool)> {
    use DetailedStatus as D;
    use InstanceStatus as S;
    vec![
        (S::Current, D::Succeeded, None, true),
        (S::Current, D::Unknown(String::new()), None, true),
        (S::Current, D::Failed, Some(InstanceOutcome::Failed), true),
        (S::Outdated, D::Failed, Some(InstanceOutcome::Failed), true),
        (S::Outdated, D::Succeeded, Some(InstanceOutcome::Failed), true),
        (S::Outdated, D::Cancelled, Some(InstanceOutcome::Cancelled), true),
        (S::Outdated, D::Pending, Some(InstanceOutcome::NeverReached), true),
        (S::Outdated, D::Running, Some(InstanceOutcome::NeverReached), true),
        (S::Outdated, D::SkippedSuspendedAccount, Some(InstanceOutcome::Skipped), false),
        (S::Current, D::SkippedSuspendedAccount, Some(InstanceOutcome::Skipped), false),
        (S::Inoperable, D::Inoperable, Some(InstanceOutcome::Failed), false),
        (S::Inoperable, D::Failed, Some(InstanceOutcome::Failed), false),
        (S::Unknown("NEW".into()), D::Succeeded, Some(InstanceOutcome::Failed), true),
    ]
}

#[test]
fn failed_instance_is_updated_once_if_workable() {
    let desired = two();
    for (status, detailed, outcome, workable) in states() {
        let case = format!("{status:?} {detailed:?}");
        let now = observed(&desired, &[((0, 0), current()), ((1, 0), found(status, detailed))]);
        let correction = update(&[1], Parameters::new());
        let tried = if outcome.is_some() && workable {
            assert_eq!(step(&desired, &now), RolloutStep::Start(correction.clone()), "{case}");
            BTreeSet::from([correction.key()])
        } else {
            BTreeSet::new()
        };
        let RolloutStep::Finished(verdict) = next(&desired, &now, &tried) else { panic!("{case}: nothing is left") };
        let outcomes: Vec<_> =
            verdict.failures.iter().chain(&verdict.skipped).map(|diagnostic| diagnostic.outcome).collect();
        assert_eq!(outcomes, Vec::from_iter(outcome), "{case}");
        assert_eq!((verdict.total, verdict.succeeded), (2, if outcome.is_some() { 1 } else { 2 }), "{case}");
        // Skipped instances are reported but are not failures.
        assert_eq!(verdict.skipped.len(), usize::from(outcome == Some(InstanceOutcome::Skipped)), "{case}");
        assert_eq!(verdict.is_success(), matches!(outcome, None | Some(InstanceOutcome::Skipped)), "{case}");
    }
}

#[test]
fn fault_reason_defaults_without_status_reason() {
    let at = instance(0, 0);
    let mut failed = found(InstanceStatus::Outdated, DetailedStatus::Failed);
    for (status_reason, reason) in [
        (Some("Account 111 should have a role"), "Account 111 should have a role"),
        (Some("  "), "CloudFormation gave no reason"),
        (None, "CloudFormation gave no reason"),
    ] {
        failed.reason = status_reason.map(ToOwned::to_owned);
        assert_eq!(evaluate(&at, &failed).expect("a diagnostic").reason, reason);
    }
    for (status, detailed, reason) in [
        (InstanceStatus::Outdated, DetailedStatus::SkippedSuspendedAccount, "the account is suspended"),
        (
            InstanceStatus::Inoperable,
            DetailedStatus::Inoperable,
            "the instance is inoperable: an earlier delete failed",
        ),
        (InstanceStatus::Unknown("NEW".into()), DetailedStatus::Succeeded, "unknown instance status `NEW`"),
    ] {
        assert_eq!(evaluate(&at, &found(status, detailed)).expect("a diagnostic").reason, reason);
    }
}

#[test]
fn unworkable_instance_is_deleted_with_stack_retained() {
    let desired = desired(&[]);
    for (status, detailed, _, workable) in states() {
        let now = observed(&desired, &[((0, 0), found(status, detailed))]);
        assert_eq!(step(&desired, &now), RolloutStep::Start(delete(&[0], !workable)), "{now:?}");
        assert_eq!(next_removal(&now, &BTreeSet::new()), RolloutStep::Start(delete(&[0], !workable)));
    }
}

#[test]
fn removal_deletes_instances_then_stack_set() {
    let none = BTreeSet::new();
    assert_eq!(next_removal(&Observed::default(), &none), RolloutStep::Finished(Verdict::default()));
    assert_eq!(next_removal(&observed(&two(), &[]), &none), RolloutStep::DeleteStackSet);
    let stuck = ObservedInstance { reason: Some("vault is locked".into()), ..current() };
    let now = observed(&two(), &[((0, 0), stuck)]);
    let tried = BTreeSet::from([delete(&[0], false).key()]);
    let RolloutStep::Finished(verdict) = next_removal(&now, &tried) else { panic!("nothing is left to try") };
    let reason = "vault is locked".to_owned();
    let diagnostic = InstanceFailure { instance: instance(0, 0), outcome: InstanceOutcome::NotDeleted, reason };
    assert_eq!(verdict, Verdict { total: 1, failures: vec![diagnostic], ..Verdict::default() });
}

#[test]
fn digests_change_with_their_inputs() {
    let desired = two();
    let changed = |change: fn(&mut Desired)| {
        let mut other = desired.clone();
        change(&mut other);
        (other.digest() != desired.digest(), other.definition_digest() != desired.definition_digest())
    };
    assert_eq!(changed(|_| {}), (false, false));
    assert_eq!(changed(|d| d.template.push(' ')), (true, true));
    assert_eq!(changed(|d| d.parameters = days("1")), (true, true));
    assert_eq!(changed(|d| d.capabilities.push("CAPABILITY_IAM".into())), (true, true));
    assert_eq!(changed(|d| drop(d.instances.remove(&instance(0, 0)))), (true, false));
    assert_eq!(changed(|d| drop(d.instances.insert(instance(0, 0), days("1").into()))), (true, false));
    assert_eq!(changed(|d| d.adopt = true), (false, false), "irrelevant once it is owned");
    assert_eq!(changed(|d| d.rollout.failure_tolerance = crate::policy::CountOrPercentage::Count(1)), (true, false));
    assert_eq!(desired.digest().to_string().len(), 32);
}

#[test]
fn status_unknown_value_is_never_success() {
    assert_eq!(InstanceStatus::from_api("CURRENT"), InstanceStatus::Current);
    assert_eq!(InstanceStatus::from_api("MOSTLY"), InstanceStatus::Unknown("MOSTLY".into()));
    assert_eq!(DetailedStatus::from_api("FAILED_IMPORT"), DetailedStatus::Failed);
    assert_eq!(DetailedStatus::from_api("DREAMING"), DetailedStatus::Unknown("DREAMING".into()));
    for (word, status) in [
        ("SUCCEEDED", OperationStatus::Ended),
        ("FAILED", OperationStatus::Ended),
        ("STOPPED", OperationStatus::Ended),
        ("QUEUED", OperationStatus::InFlight),
        ("RUNNING", OperationStatus::InFlight),
        ("STOPPING", OperationStatus::Stopping),
        ("PAUSED", OperationStatus::InFlight),
    ] {
        assert_eq!(OperationStatus::from_api(word), status, "{word}");
    }
}

#[test]
fn adoption_takes_unowned_stack_sets_only() {
    let mut desired = two();
    desired.adopt = true;
    let mut now = observed(&desired, &[((0, 0), current()), ((2, 0), current())]);
    let found = now.stack_set.as_mut().expect("there is one");
    (found.owner, found.definition, found.managed_execution) = (None, None, false);
    for instance in now.instances.values_mut() {
        instance.overrides = None;
    }
    // Unknown overrides are set; the update sets the owner tag.
    let expected = [
        Operation::ManagedExecution,
        delete(&[2], false),
        Operation::UpdateStackSet,
        create(&[1], Parameters::new()),
        update(&[0], Parameters::new()),
    ];
    assert_eq!(plan(&desired, &now), expected);
    assert_eq!(step(&desired, &now), RolloutStep::Start(Operation::ManagedExecution));
    // A missing owner tag alone requires the update.
    now.stack_set.as_mut().expect("there is one").definition = Some(desired.definition_digest());
    assert_eq!(plan(&desired, &now), expected);

    now.stack_set.as_mut().expect("there is one").owner = Some("other@main".into());
    assert_eq!(step(&desired, &now), RolloutStep::OtherOwner(Some("other@main".into())));
}

#[test]
fn permission_model_cannot_change() {
    let mut desired = two();
    let now = observed(&desired, &[]);
    desired.permissions = Permissions::ServiceManaged(ServiceManaged::default());
    assert_eq!(step(&desired, &now), RolloutStep::OtherPermissions(PermissionModel::SelfManaged));
    let now = observed(&desired, &[]);
    assert_eq!(step(&two(), &now), RolloutStep::OtherPermissions(PermissionModel::ServiceManaged));
}

#[test]
fn operation_api_size_and_key_match_the_table() {
    let all = [
        (Operation::ManagedExecution, "UpdateStackSet", 0),
        (delete(&[0, 1], false), "DeleteStackInstances", 2),
        (Operation::UpdateStackSet, "UpdateStackSet", 7),
        (create(&[0], days("1")), "CreateStackInstances", 1),
        (update(&[0, 1, 2], days("1")), "UpdateStackInstances", 3),
    ];
    let mut keys = BTreeSet::new();
    for (operation, api, size) in all {
        assert_eq!((operation.api_name(), operation.size(7)), (api, size));
        assert_eq!(operation.targets().map(OperationTargets::size), (size != 0 && size != 7).then_some(size));
        let json = serde_json::to_string(&operation).expect("JSON");
        assert_eq!(serde_json::from_str::<Operation>(&json).expect("is read"), operation, "{json}");
        assert!(keys.insert(operation.key()), "{json}: keys differ");
    }
}

#[test]
fn outcome_serializes_as_displayed() {
    for (outcome, words) in [
        (InstanceOutcome::Failed, "failed"),
        (InstanceOutcome::Cancelled, "cancelled"),
        (InstanceOutcome::Skipped, "skipped"),
        (InstanceOutcome::NeverReached, "never reached"),
        (InstanceOutcome::NotDeleted, "not deleted"),
    ] {
        assert_eq!(serde_json::to_value(outcome).expect("JSON"), words);
        assert_eq!(format!("{outcome:>14}"), format!("{words:>14}"));
    }
}

type Pairs = BTreeMap<Instance, Arc<Parameters>>;

fn overrides() -> impl Strategy<Value = Parameters> {
    prop_oneof![3 => Just(Parameters::new()), 1 => Just(days("35")), 1 => Just(days("90"))]
}

fn pairs() -> impl Strategy<Value = Pairs> {
    let pairs = prop::collection::btree_map((0usize..3, 0usize..3), overrides(), 0..=9);
    pairs.prop_map(|pairs| pairs.into_iter().map(|((a, r), overrides)| (instance(a, r), Arc::new(overrides))).collect())
}

/// Observed overrides, known or unknown.
fn known() -> impl Strategy<Value = Option<Arc<Parameters>>> {
    prop::option::weighted(0.8, overrides().prop_map(Arc::new))
}

fn scenarios() -> impl Strategy<Value = (Desired, Observed)> {
    let state = prop::sample::select(states());
    let existing = prop::collection::btree_map((0usize..3, 0usize..3), (state, known()), 0..=9);
    (pairs(), existing, any::<[bool; 4]>()).prop_map(
        |(desired_overrides, existing, [exists, up_to_date, managed, adopted])| {
            let instances = desired_overrides
                .into_iter()
                .map(|(instance, overrides)| (instance, DesiredInstance { overrides, unit: None }));
            let desired = Desired { instances: instances.collect(), adopt: adopted, ..desired(&[]) };
            if !exists {
                return (desired, Observed::default());
            }
            let mut now = observed(&desired, &[]);
            let found = now.stack_set.as_mut().expect("there is one");
            found.managed_execution = managed;
            if adopted {
                found.owner = None;
            }
            if !up_to_date {
                found.definition = None;
            }
            now.instances = existing
                .into_iter()
                .map(|((a, r), ((status, detailed, _, _), overrides))| {
                    (instance(a, r), ObservedInstance { overrides, ..self::found(status, detailed) })
                })
                .collect();
            (desired, now)
        },
    )
}

fn workable(found: &ObservedInstance) -> bool {
    states()
        .iter()
        .any(|(status, detailed, _, workable)| (status, detailed, *workable) == (&found.status, &found.detailed, true))
}

/// Runs an operation that succeeds on every workable instance.
fn run(desired: &Desired, now: &mut Observed, operation: &Operation) -> Result<(), TestCaseError> {
    let at = operation.targets().into_iter().flat_map(OperationTargets::instances);
    match operation {
        Operation::ManagedExecution => {
            let found = now.stack_set.as_mut().expect("there is one");
            prop_assert!(!found.managed_execution, "it is on already");
            found.managed_execution = true;
        }
        Operation::DeleteInstances { retain, .. } => {
            for instance in at {
                prop_assert!(!desired.selects(&instance), "{instance} is desired and deleted");
                let removed = now.instances.remove(&instance);
                prop_assert!(removed.is_some(), "{instance} does not exist and is deleted");
                prop_assert_eq!(removed.map(|found| workable(&found)), Some(!retain));
            }
        }
        Operation::UpdateStackSet => {
            let found = now.stack_set.as_mut().expect("there is one");
            (found.definition, found.owner) = (Some(desired.definition_digest()), Some(OWNER.into()));
            for found in now.instances.values_mut().filter(|found| workable(found)) {
                (found.status, found.detailed) = (InstanceStatus::Current, DetailedStatus::Succeeded);
            }
        }
        Operation::CreateInstances { overrides, .. } => {
            for instance in at {
                let wanted = desired.instances.get(&instance).map(|wanted| &*wanted.overrides);
                prop_assert_eq!(wanted, Some(overrides), "{} is not desired with these overrides", instance);
                let created = ObservedInstance { overrides: given(overrides), ..current() };
                prop_assert_eq!(now.instances.insert(instance, created), None, "it existed already");
            }
        }
        Operation::UpdateInstances { overrides, .. } => {
            for instance in at {
                let wanted = desired.instances.get(&instance).map(|wanted| &*wanted.overrides);
                prop_assert_eq!(wanted, Some(overrides), "{} is not desired with these overrides", instance);
                let found = now.instances.get_mut(&instance).expect("it exists");
                prop_assert!(workable(found), "{instance} is not workable");
                *found = ObservedInstance { overrides: given(overrides), ..current() };
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn rollout_converges_as_planned((desired, mut now) in scenarios()) {
        let mut tried = BTreeSet::new();
        // At most an operation for each instance that is deleted, created or corrected, and one each for managed execution, the
        // update and the creation of the StackSet.
        let bound = 2 * ACCOUNTS.len() * REGIONS.len() + 3;
        let planned = plan(&desired, &now);
        let mut done = Vec::new();
        let mut verdict = None;
        for _ in 0..=bound {
            match next(&desired, &now, &tried) {
                RolloutStep::CreateStackSet => {
                    prop_assert_eq!(&now, &Observed::default());
                    now = observed(&desired, &[]);
                }
                RolloutStep::Start(operation) => {
                    prop_assert!(tried.insert(operation.key()), "{operation:?} is tried again");
                    run(&desired, &mut now, &operation)?;
                    done.push(operation);
                }
                RolloutStep::Finished(end) => {
                    verdict = Some(end);
                    break;
                }
                other => prop_assert!(false, "{other:?} is not a step of a rollout"),
            }
        }
        prop_assert_eq!(done, planned);
        let verdict = verdict.expect("it ends within the bound");
        prop_assert!(now.instances.keys().eq(desired.instances.keys()), "exactly the desired instances exist");
        let unworkable: BTreeSet<&Instance> =
            now.instances.iter().filter(|(_, found)| !workable(found)).map(|(instance, _)| instance).collect();
        let reported = || verdict.failures.iter().chain(&verdict.skipped);
        let blamed: BTreeSet<&Instance> = reported().map(|diagnostic| &diagnostic.instance).collect();
        prop_assert_eq!(&blamed, &unworkable, "only unworkable instances are reported");
        prop_assert_eq!(reported().count(), blamed.len(), "each is reported once");
        prop_assert_eq!((verdict.total, verdict.succeeded), (desired.instances.len(), desired.instances.len() - blamed.len()));
        for (instance, found) in now.instances.iter().filter(|(instance, _)| !blamed.contains(instance)) {
            prop_assert_eq!(&found.status, &InstanceStatus::Current);
            prop_assert_eq!(found.overrides.as_ref(), Some(&desired.instances[instance].overrides));
        }
        let stack_set = now.stack_set.expect("there is one");
        prop_assert_eq!((stack_set.owner.as_deref(), stack_set.managed_execution), (Some(OWNER), true));
    }

    #[test]
    fn removal_converges((_, mut now) in scenarios()) {
        let nothing = desired(&[]);
        let mut tried = BTreeSet::new();
        if let Some(found) = &mut now.stack_set {
            found.owner = Some(OWNER.into());
        }
        for _ in 0..=ACCOUNTS.len() * 2 + 1 {
            match next_removal(&now, &tried) {
                RolloutStep::Start(operation) => {
                    prop_assert!(tried.insert(operation.key()));
                    run(&nothing, &mut now, &operation)?;
                }
                RolloutStep::DeleteStackSet => {
                    prop_assert!(now.instances.is_empty());
                    now.stack_set = None;
                }
                RolloutStep::Finished(verdict) => {
                    prop_assert!(verdict.is_success() && now.stack_set.is_none());
                    return Ok(());
                }
                other => prop_assert!(false, "{other:?} is not a step of a removal"),
            }
        }
        prop_assert!(false, "the removal does not end");
    }

    /// If every operation fails, each is tried once, and the verdict counts every instance.
    #[test]
    fn rollout_that_always_fails_ends_with_verdict((desired, now) in scenarios()) {
        let mut tried = BTreeSet::new();
        if now.stack_set.is_none() {
            return Ok(());
        }
        loop {
            match next(&desired, &now, &tried) {
                RolloutStep::Start(operation) => prop_assert!(tried.insert(operation.key()), "{operation:?} is tried again"),
                RolloutStep::Finished(verdict) => {
                    let is_desired = |diagnostic: &&InstanceFailure| desired.instances.contains_key(&diagnostic.instance);
                    let failed = verdict.failures.iter().filter(is_desired).count() + verdict.skipped.len();
                    prop_assert_eq!(verdict.total, desired.instances.len());
                    prop_assert_eq!(verdict.succeeded + failed, verdict.total);
                    let left = now.instances.keys().filter(|instance| !desired.instances.contains_key(instance));
                    let not_deleted = verdict.failures.iter().filter(|diagnostic| diagnostic.outcome == InstanceOutcome::NotDeleted);
                    prop_assert!(not_deleted.map(|diagnostic| &diagnostic.instance).eq(left));
                    break;
                }
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }

    #[test]
    fn products_cover_exactly_the_instances(pairs in pairs()) {
        let groups = super::step::products(pairs.iter().map(|(instance, overrides)| (instance, overrides.clone())));
        let mut covered = Pairs::new();
        let mut size = 0;
        for (accounts, regions, overrides) in groups.iter().cloned() {
            let at = OperationTargets { accounts, regions, through: None };
            size += at.size();
            for instance in at.instances() {
                prop_assert_eq!(covered.insert(instance, overrides.clone()), None, "no instance is in two products");
            }
        }
        prop_assert_eq!(size, pairs.len());
        prop_assert_eq!(covered, pairs);
        prop_assert!(groups.len() <= ACCOUNTS.len() * 3, "at most one product for each account and property");
    }
}
