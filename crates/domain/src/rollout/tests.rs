use super::verdict::judge;
use super::*;
use crate::ids::StackSetName;
use crate::policy::Rollout;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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
            .map(|((account, region), p)| (instance(*account, *region), Wanted::from(p.clone())))
            .collect(),
        skipped: BTreeMap::new(),
        rollout: Rollout::default(),
    }
}

/// Two accounts in one Region, without overrides.
fn two() -> Desired {
    desired(&[((0, 0), Parameters::new()), ((1, 0), Parameters::new())])
}

fn found(status: InstanceStatus, detailed: DetailedStatus) -> ObservedInstance {
    ObservedInstance { status, detailed, reason: None, overrides: given(&Parameters::new()), unit: None }
}

/// Overrides that are known.
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
fn with<T>(tried: &BTreeSet<Digest>, ask: impl FnOnce(Context<'_>) -> T) -> T {
    ask(Context { owner: OWNER, membership: &Membership::default(), tried })
}

fn step(desired: &Desired, observed: &Observed) -> Step {
    next(desired, observed, &BTreeSet::new())
}

fn next(desired: &Desired, observed: &Observed, tried: &BTreeSet<Digest>) -> Step {
    with(tried, |context| next_step(desired, observed, context))
}

fn next_removal(observed: &Observed, tried: &BTreeSet<Digest>) -> Step {
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
fn places(of: &[usize]) -> Places {
    Places { accounts: accounts(of), regions: regions(&[0]), through: None }
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
fn a_missing_stack_set_is_created_and_a_foreign_one_left_alone() {
    let desired = two();
    assert_eq!(step(&desired, &Observed::default()), Step::CreateStackSet);
    for owner in [None, Some("other@main".to_owned())] {
        let mut foreign = observed(&desired, &[]);
        foreign.stack_set.as_mut().expect("there is one").owner.clone_from(&owner);
        assert_eq!(step(&desired, &foreign), Step::NotOurs { owner: owner.clone() });
        assert_eq!(next_removal(&foreign, &BTreeSet::new()), Step::NotOurs { owner });
    }
}

#[test]
fn steps_come_in_the_order_of_deletion_update_creation_correction() {
    let desired = desired(&[((0, 0), Parameters::new()), ((1, 0), days("90"))]);
    // Account 2 has left the policy, account 1 lacks its override, account 0 is missing, the template is an old one.
    let mut now = observed(&desired, &[((1, 0), current()), ((2, 0), current())]);
    now.stack_set.as_mut().expect("there is one").definition = None;
    assert_eq!(step(&desired, &now), Step::Start(delete(&[2], false)));
    now.instances.remove(&instance(2, 0));
    assert_eq!(step(&desired, &now), Step::Start(Operation::UpdateStackSet));
    now.stack_set.as_mut().expect("there is one").definition = Some(desired.definition_digest());
    assert_eq!(step(&desired, &now), Step::Start(create(&[0], Parameters::new())));
    now.instances.insert(instance(0, 0), current());
    assert_eq!(step(&desired, &now), Step::Start(update(&[1], days("90"))));
    now.instances.insert(instance(1, 0), ObservedInstance { overrides: given(&days("90")), ..current() });
    assert_eq!(step(&desired, &now), Step::Finished(Verdict { total: 2, succeeded: 2, ..Verdict::default() }));
}

#[test]
fn what_was_tried_is_not_tried_again_but_reported() {
    let desired = two();
    let mut tried = BTreeSet::new();
    let mut now = observed(&desired, &[((0, 0), current()), ((2, 0), current())]);
    now.stack_set.as_mut().expect("there is one").definition = None;
    for expected in [delete(&[2], false), Operation::UpdateStackSet, create(&[1], Parameters::new())] {
        assert_eq!(next(&desired, &now, &tried), Step::Start(expected.clone()));
        tried.insert(expected.key());
    }
    let Step::Finished(verdict) = next(&desired, &now, &tried) else { panic!("nothing is left to try") };
    assert_eq!((verdict.total, verdict.succeeded), (2, 1));
    let faults: Vec<_> = verdict.faults.iter().map(|fault| (fault.instance.clone(), fault.outcome)).collect();
    assert_eq!(faults, [(instance(1, 0), Outcome::NeverReached), (instance(2, 0), Outcome::NotDeleted)]);
}

/// Status, detailed status, how the verdict calls it, and whether it can be worked again.
fn states() -> Vec<(InstanceStatus, DetailedStatus, Option<Outcome>, bool)> {
    use DetailedStatus as D;
    use InstanceStatus as S;
    vec![
        (S::Current, D::Succeeded, None, true),
        (S::Current, D::Unknown(String::new()), None, true),
        (S::Current, D::Failed, Some(Outcome::Failed), true),
        (S::Outdated, D::Failed, Some(Outcome::Failed), true),
        (S::Outdated, D::Succeeded, Some(Outcome::Failed), true),
        (S::Outdated, D::Cancelled, Some(Outcome::Cancelled), true),
        (S::Outdated, D::Pending, Some(Outcome::NeverReached), true),
        (S::Outdated, D::Running, Some(Outcome::NeverReached), true),
        (S::Outdated, D::SkippedSuspendedAccount, Some(Outcome::Skipped), false),
        (S::Current, D::SkippedSuspendedAccount, Some(Outcome::Skipped), false),
        (S::Inoperable, D::Inoperable, Some(Outcome::Failed), false),
        (S::Inoperable, D::Failed, Some(Outcome::Failed), false),
        (S::Unknown("NEW".into()), D::Succeeded, Some(Outcome::Failed), true),
    ]
}

#[test]
fn an_instance_that_is_not_right_is_worked_once_where_it_can_be() {
    let desired = two();
    for (status, detailed, outcome, workable) in states() {
        let what = format!("{status:?} {detailed:?}");
        let now = observed(&desired, &[((0, 0), current()), ((1, 0), found(status, detailed))]);
        let correction = update(&[1], Parameters::new());
        let tried = if outcome.is_some() && workable {
            assert_eq!(step(&desired, &now), Step::Start(correction.clone()), "{what}");
            BTreeSet::from([correction.key()])
        } else {
            BTreeSet::new()
        };
        let Step::Finished(verdict) = next(&desired, &now, &tried) else { panic!("{what}: nothing is left") };
        let told: Vec<_> = verdict.faults.iter().chain(&verdict.skipped).map(|fault| fault.outcome).collect();
        assert_eq!(told, Vec::from_iter(outcome), "{what}");
        assert_eq!((verdict.total, verdict.succeeded), (2, if outcome.is_some() { 1 } else { 2 }), "{what}");
        // What StackSets leave alone is named, and is no failure: trying again would change nothing.
        assert_eq!(verdict.skipped.len(), usize::from(outcome == Some(Outcome::Skipped)), "{what}");
        assert_eq!(verdict.is_success(), matches!(outcome, None | Some(Outcome::Skipped)), "{what}");
    }
}

#[test]
fn faults_have_cloud_formations_reason_or_ours() {
    let at = instance(0, 0);
    let mut failed = found(InstanceStatus::Outdated, DetailedStatus::Failed);
    for (told, reason) in [
        (Some("Account 111 should have a role"), "Account 111 should have a role"),
        (Some("  "), "CloudFormation gave no reason"),
        (None, "CloudFormation gave no reason"),
    ] {
        failed.reason = told.map(ToOwned::to_owned);
        assert_eq!(judge(&at, &failed).expect("a fault").reason, reason);
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
        assert_eq!(judge(&at, &found(status, detailed)).expect("a fault").reason, reason);
    }
}

#[test]
fn stacks_that_cannot_be_deleted_are_let_go() {
    let desired = desired(&[]);
    for (status, detailed, _, workable) in states() {
        let now = observed(&desired, &[((0, 0), found(status, detailed))]);
        assert_eq!(step(&desired, &now), Step::Start(delete(&[0], !workable)), "{now:?}");
        assert_eq!(next_removal(&now, &BTreeSet::new()), Step::Start(delete(&[0], !workable)));
    }
}

#[test]
fn removal_deletes_instances_then_the_stack_set_and_names_what_is_left() {
    let none = BTreeSet::new();
    assert_eq!(next_removal(&Observed::default(), &none), Step::Finished(Verdict::default()));
    assert_eq!(next_removal(&observed(&two(), &[]), &none), Step::DeleteStackSet);
    let stuck = ObservedInstance { reason: Some("vault is locked".into()), ..current() };
    let now = observed(&two(), &[((0, 0), stuck)]);
    let tried = BTreeSet::from([delete(&[0], false).key()]);
    let Step::Finished(verdict) = next_removal(&now, &tried) else { panic!("nothing is left to try") };
    let reason = "vault is locked".to_owned();
    let fault = InstanceFault { instance: instance(0, 0), outcome: Outcome::NotDeleted, reason };
    assert_eq!(verdict, Verdict { total: 1, faults: vec![fault], ..Verdict::default() });
}

#[test]
fn digests_change_with_what_they_are_of() {
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
    assert_eq!(changed(|d| d.adopt = true), (false, false), "once it is ours, it makes no difference");
    assert_eq!(changed(|d| d.rollout.failure_tolerance = crate::policy::Amount::Count(1)), (true, false));
    assert_eq!(desired.digest().to_string().len(), 32);
}

#[test]
fn words_that_aws_adds_are_never_taken_for_success() {
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
fn a_stack_set_of_nobody_is_taken_over_if_the_policy_says_so_and_one_of_somebody_never() {
    let mut desired = two();
    desired.adopt = true;
    let mut now = observed(&desired, &[((0, 0), current()), ((2, 0), current())]);
    let found = now.stack_set.as_mut().expect("there is one");
    (found.owner, found.definition, found.managed_execution) = (None, None, false);
    for instance in now.instances.values_mut() {
        instance.overrides = None;
    }
    // Overrides that nobody knows are set; the update brings the tag that makes it ours.
    let expected = [
        Operation::ManagedExecution,
        delete(&[2], false),
        Operation::UpdateStackSet,
        create(&[1], Parameters::new()),
        update(&[0], Parameters::new()),
    ];
    assert_eq!(plan(&desired, &now), expected);
    assert_eq!(step(&desired, &now), Step::Start(Operation::ManagedExecution));
    // The tag alone is reason enough for the update: without it nobody would know whose it is.
    now.stack_set.as_mut().expect("there is one").definition = Some(desired.definition_digest());
    assert_eq!(plan(&desired, &now), expected);

    now.stack_set.as_mut().expect("there is one").owner = Some("other@main".into());
    assert_eq!(step(&desired, &now), Step::NotOurs { owner: Some("other@main".into()) });
}

#[test]
fn a_permission_model_cannot_be_changed() {
    let mut desired = two();
    let now = observed(&desired, &[]);
    desired.permissions = Permissions::ServiceManaged(ServiceManaged::default());
    assert_eq!(step(&desired, &now), Step::OtherPermissions { found: PermissionModel::SelfManaged });
    let now = observed(&desired, &[]);
    assert_eq!(step(&two(), &now), Step::OtherPermissions { found: PermissionModel::ServiceManaged });
}

#[test]
fn operations_say_which_call_they_are_and_on_how_many_instances() {
    let all = [
        (Operation::ManagedExecution, "UpdateStackSet", 0),
        (delete(&[0, 1], false), "DeleteStackInstances", 2),
        (Operation::UpdateStackSet, "UpdateStackSet", 7),
        (create(&[0], days("1")), "CreateStackInstances", 1),
        (update(&[0, 1, 2], days("1")), "UpdateStackInstances", 3),
    ];
    let mut keys = BTreeSet::new();
    for (operation, api, size) in all {
        assert_eq!((operation.api(), operation.size(7)), (api, size));
        assert_eq!(operation.places().map(Places::size), (size != 0 && size != 7).then_some(size));
        let json = serde_json::to_string(&operation).expect("serialises");
        assert_eq!(serde_json::from_str::<Operation>(&json).expect("is read"), operation, "{json}");
        assert!(keys.insert(operation.key()), "{json}: keys differ");
    }
}

#[test]
fn outcomes_are_stored_in_words() {
    for (outcome, words) in [
        (Outcome::Failed, "failed"),
        (Outcome::Cancelled, "cancelled"),
        (Outcome::Skipped, "skipped"),
        (Outcome::NeverReached, "never reached"),
        (Outcome::NotDeleted, "not deleted"),
    ] {
        assert_eq!(serde_json::to_value(outcome).expect("serialises"), words);
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

/// Overrides as they are observed: known or not.
fn known() -> impl Strategy<Value = Option<Arc<Parameters>>> {
    prop::option::weighted(0.8, overrides().prop_map(Arc::new))
}

fn worlds() -> impl Strategy<Value = (Desired, Observed)> {
    let state = prop::sample::select(states());
    let there = prop::collection::btree_map((0usize..3, 0usize..3), (state, known()), 0..=9);
    (pairs(), there, any::<[bool; 4]>()).prop_map(|(wanted, there, [exists, up_to_date, managed, adopted])| {
        let instances = wanted.into_iter().map(|(instance, overrides)| (instance, Wanted { overrides, unit: None }));
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
        now.instances = there
            .into_iter()
            .map(|((a, r), ((status, detailed, _, _), overrides))| {
                (instance(a, r), ObservedInstance { overrides, ..self::found(status, detailed) })
            })
            .collect();
        (desired, now)
    })
}

fn workable(found: &ObservedInstance) -> bool {
    states()
        .iter()
        .any(|(status, detailed, _, workable)| (status, detailed, *workable) == (&found.status, &found.detailed, true))
}

/// StackSets in which every operation succeeds on every instance that can be worked.
fn run(desired: &Desired, now: &mut Observed, operation: &Operation) -> Result<(), TestCaseError> {
    let at = operation.places().into_iter().flat_map(Places::instances);
    match operation {
        Operation::ManagedExecution => {
            let found = now.stack_set.as_mut().expect("there is one");
            prop_assert!(!found.managed_execution, "it is on already");
            found.managed_execution = true;
        }
        Operation::DeleteInstances { retain, .. } => {
            for instance in at {
                prop_assert!(!desired.knows(&instance), "{instance} is wanted and deleted");
                let gone = now.instances.remove(&instance);
                prop_assert!(gone.is_some(), "{instance} is not there and deleted");
                prop_assert_eq!(gone.map(|found| workable(&found)), Some(!retain));
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
                prop_assert_eq!(wanted, Some(overrides), "{} is not wanted so", instance);
                let created = ObservedInstance { overrides: given(overrides), ..current() };
                prop_assert_eq!(now.instances.insert(instance, created), None, "it was there");
            }
        }
        Operation::UpdateInstances { overrides, .. } => {
            for instance in at {
                let wanted = desired.instances.get(&instance).map(|wanted| &*wanted.overrides);
                prop_assert_eq!(wanted, Some(overrides), "{} is not wanted so", instance);
                let found = now.instances.get_mut(&instance).expect("it is there");
                prop_assert!(workable(found), "{instance} cannot be worked");
                *found = ObservedInstance { overrides: given(overrides), ..current() };
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_world_is_brought_to_what_is_wanted_as_it_was_planned((desired, mut now) in worlds()) {
        let mut tried = BTreeSet::new();
        // At worst an operation for each instance that leaves, comes or is corrected, managed execution, one update, one creation.
        let bound = 2 * ACCOUNTS.len() * REGIONS.len() + 3;
        let planned = plan(&desired, &now);
        let mut done = Vec::new();
        let mut verdict = None;
        for _ in 0..=bound {
            match next(&desired, &now, &tried) {
                Step::CreateStackSet => {
                    prop_assert_eq!(&now, &Observed::default());
                    now = observed(&desired, &[]);
                }
                Step::Start(operation) => {
                    prop_assert!(tried.insert(operation.key()), "{operation:?} is tried again");
                    run(&desired, &mut now, &operation)?;
                    done.push(operation);
                }
                Step::Finished(end) => {
                    verdict = Some(end);
                    break;
                }
                other => prop_assert!(false, "{other:?} is no step of a rollout"),
            }
        }
        prop_assert_eq!(done, planned);
        let verdict = verdict.expect("it ends within the bound");
        prop_assert!(now.instances.keys().eq(desired.instances.keys()), "wanted and there are the same");
        let beyond_help: BTreeSet<&Instance> =
            now.instances.iter().filter(|(_, found)| !workable(found)).map(|(instance, _)| instance).collect();
        let named = || verdict.faults.iter().chain(&verdict.skipped);
        let blamed: BTreeSet<&Instance> = named().map(|fault| &fault.instance).collect();
        prop_assert_eq!(&blamed, &beyond_help, "only what cannot be worked is left");
        prop_assert_eq!(named().count(), blamed.len(), "each is named once");
        prop_assert_eq!((verdict.total, verdict.succeeded), (desired.instances.len(), desired.instances.len() - blamed.len()));
        for (instance, found) in now.instances.iter().filter(|(instance, _)| !blamed.contains(instance)) {
            prop_assert_eq!(&found.status, &InstanceStatus::Current);
            prop_assert_eq!(found.overrides.as_ref(), Some(&desired.instances[instance].overrides));
        }
        let stack_set = now.stack_set.expect("there is one");
        prop_assert_eq!((stack_set.owner.as_deref(), stack_set.managed_execution), (Some(OWNER), true));
    }

    #[test]
    fn every_world_can_be_removed((_, mut now) in worlds()) {
        let nothing = desired(&[]);
        let mut tried = BTreeSet::new();
        if let Some(found) = &mut now.stack_set {
            found.owner = Some(OWNER.into());
        }
        for _ in 0..=ACCOUNTS.len() * 2 + 1 {
            match next_removal(&now, &tried) {
                Step::Start(operation) => {
                    prop_assert!(tried.insert(operation.key()));
                    run(&nothing, &mut now, &operation)?;
                }
                Step::DeleteStackSet => {
                    prop_assert!(now.instances.is_empty());
                    now.stack_set = None;
                }
                Step::Finished(verdict) => {
                    prop_assert!(verdict.is_success() && now.stack_set.is_none());
                    return Ok(());
                }
                other => prop_assert!(false, "{other:?} is no step of a removal"),
            }
        }
        prop_assert!(false, "it does not end");
    }

    /// Nothing works: every operation is tried once, nothing is tried for ever, and the verdict accounts for everything.
    #[test]
    fn a_rollout_in_which_everything_fails_ends_and_blames((desired, now) in worlds()) {
        let mut tried = BTreeSet::new();
        if now.stack_set.is_none() {
            return Ok(());
        }
        loop {
            match next(&desired, &now, &tried) {
                Step::Start(operation) => prop_assert!(tried.insert(operation.key()), "{operation:?} is tried again"),
                Step::Finished(verdict) => {
                    let is_wanted = |fault: &&InstanceFault| desired.instances.contains_key(&fault.instance);
                    let wanted = verdict.faults.iter().filter(is_wanted).count() + verdict.skipped.len();
                    prop_assert_eq!(verdict.total, desired.instances.len());
                    prop_assert_eq!(verdict.succeeded + wanted, verdict.total);
                    let left = now.instances.keys().filter(|instance| !desired.instances.contains_key(instance));
                    let not_deleted = verdict.faults.iter().filter(|fault| fault.outcome == Outcome::NotDeleted);
                    prop_assert!(not_deleted.map(|fault| &fault.instance).eq(left));
                    break;
                }
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }

    #[test]
    fn groups_cover_exactly_the_pairs(pairs in pairs()) {
        let groups = super::step::products(pairs.iter().map(|(instance, overrides)| (instance, overrides.clone())));
        let mut covered = Pairs::new();
        let mut size = 0;
        for (accounts, regions, overrides) in groups.iter().cloned() {
            let at = Places { accounts, regions, through: None };
            size += at.size();
            for instance in at.instances() {
                prop_assert_eq!(covered.insert(instance, overrides.clone()), None, "no pair is in two groups");
            }
        }
        prop_assert_eq!(size, pairs.len());
        prop_assert_eq!(covered, pairs);
        prop_assert!(groups.len() <= ACCOUNTS.len() * 3, "a group an account and property at most");
    }
}
