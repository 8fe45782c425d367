use super::verdict::judge;
use super::*;
use crate::ids::StackSetName;
use crate::policy::Rollout;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

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
        instances: instances.iter().map(|((account, region), p)| (instance(*account, *region), p.clone())).collect(),
        rollout: Rollout::default(),
    }
}

/// Two accounts in one Region, without overrides.
fn two() -> Desired {
    desired(&[((0, 0), Parameters::new()), ((1, 0), Parameters::new())])
}

fn found(status: InstanceStatus, detailed: DetailedStatus) -> ObservedInstance {
    ObservedInstance { status, detailed, reason: None, overrides: Parameters::new() }
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
        }),
        instances: instances
            .iter()
            .map(|((account, region), found)| (instance(*account, *region), found.clone()))
            .collect(),
    }
}

fn step(desired: &Desired, observed: &Observed) -> Step {
    next_step(desired, observed, OWNER, &BTreeSet::new())
}

fn accounts(indices: &[usize]) -> BTreeSet<AccountId> {
    indices.iter().map(|index| instance(*index, 0).account).collect()
}

fn regions(indices: &[usize]) -> BTreeSet<RegionName> {
    indices.iter().map(|index| instance(0, *index).region).collect()
}

fn delete(of: &[usize], retain: bool) -> Operation {
    Operation::DeleteInstances { accounts: accounts(of), regions: regions(&[0]), retain }
}

fn create(of: &[usize], overrides: Parameters) -> Operation {
    Operation::CreateInstances { accounts: accounts(of), regions: regions(&[0]), overrides }
}

fn update(of: &[usize], overrides: Parameters) -> Operation {
    Operation::UpdateInstances { accounts: accounts(of), regions: regions(&[0]), overrides }
}

#[test]
fn a_missing_stack_set_is_created_and_a_foreign_one_left_alone() {
    let desired = two();
    assert_eq!(step(&desired, &Observed::default()), Step::CreateStackSet);
    for owner in [None, Some("other@main".to_owned())] {
        let mut foreign = observed(&desired, &[]);
        foreign.stack_set.as_mut().expect("there is one").owner.clone_from(&owner);
        assert_eq!(step(&desired, &foreign), Step::NotOurs { owner: owner.clone() });
        assert_eq!(next_removal_step(&foreign, OWNER, &BTreeSet::new()), Step::NotOurs { owner });
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
    now.instances.insert(instance(1, 0), ObservedInstance { overrides: days("90"), ..current() });
    assert_eq!(step(&desired, &now), Step::Finished(Verdict { total: 2, succeeded: 2, faults: vec![] }));
}

#[test]
fn what_was_tried_is_not_tried_again_but_reported() {
    let desired = two();
    let mut tried = BTreeSet::new();
    let mut now = observed(&desired, &[((0, 0), current()), ((2, 0), current())]);
    now.stack_set.as_mut().expect("there is one").definition = None;
    for expected in [delete(&[2], false), Operation::UpdateStackSet, create(&[1], Parameters::new())] {
        assert_eq!(next_step(&desired, &now, OWNER, &tried), Step::Start(expected.clone()));
        tried.insert(expected.key());
    }
    let Step::Finished(verdict) = next_step(&desired, &now, OWNER, &tried) else { panic!("nothing is left to try") };
    assert_eq!((verdict.total, verdict.succeeded), (2, 1));
    let faults: Vec<_> = verdict.faults.iter().map(|fault| (fault.instance.clone(), fault.outcome.as_str())).collect();
    assert_eq!(faults, [(instance(1, 0), "never reached"), (instance(2, 0), "not deleted")]);
}

/// Status, detailed status, how the verdict calls it, and whether it can be worked again.
fn states() -> Vec<(InstanceStatus, DetailedStatus, Option<&'static str>, bool)> {
    use DetailedStatus as D;
    use InstanceStatus as S;
    vec![
        (S::Current, D::Succeeded, None, true),
        (S::Current, D::Unknown(String::new()), None, true),
        (S::Current, D::Failed, Some("failed"), true),
        (S::Outdated, D::Failed, Some("failed"), true),
        (S::Outdated, D::Succeeded, Some("failed"), true),
        (S::Outdated, D::Cancelled, Some("cancelled"), true),
        (S::Outdated, D::Pending, Some("never reached"), true),
        (S::Outdated, D::Running, Some("never reached"), true),
        (S::Outdated, D::SkippedSuspendedAccount, Some("skipped"), false),
        (S::Current, D::SkippedSuspendedAccount, Some("skipped"), false),
        (S::Inoperable, D::Inoperable, Some("failed"), false),
        (S::Inoperable, D::Failed, Some("failed"), false),
        (S::Unknown("NEW".into()), D::Succeeded, Some("failed"), true),
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
        let Step::Finished(verdict) = next_step(&desired, &now, OWNER, &tried) else {
            panic!("{what}: nothing is left")
        };
        assert_eq!(verdict.faults.first().map(|fault| fault.outcome.as_str()), outcome, "{what}");
        assert_eq!((verdict.total, verdict.succeeded), (2, if outcome.is_some() { 1 } else { 2 }), "{what}");
        assert_eq!(verdict.is_success(), outcome.is_none());
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
        assert_eq!(next_removal_step(&now, OWNER, &BTreeSet::new()), Step::Start(delete(&[0], !workable)));
    }
}

#[test]
fn removal_deletes_instances_then_the_stack_set_and_names_what_is_left() {
    let none = BTreeSet::new();
    assert_eq!(next_removal_step(&Observed::default(), OWNER, &none), Step::Finished(Verdict::default()));
    assert_eq!(next_removal_step(&observed(&two(), &[]), OWNER, &none), Step::DeleteStackSet);
    let stuck = ObservedInstance { reason: Some("vault is locked".into()), ..current() };
    let now = observed(&two(), &[((0, 0), stuck)]);
    let tried = BTreeSet::from([delete(&[0], false).key()]);
    let Step::Finished(verdict) = next_removal_step(&now, OWNER, &tried) else { panic!("nothing is left to try") };
    let reason = "vault is locked".to_owned();
    let fault = InstanceFault { instance: instance(0, 0), outcome: "not deleted".into(), reason };
    assert_eq!(verdict, Verdict { total: 1, succeeded: 0, faults: vec![fault] });
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
    assert_eq!(changed(|d| drop(d.instances.insert(instance(0, 0), days("1")))), (true, false));
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
        ("STOPPING", OperationStatus::InFlight),
        ("PAUSED", OperationStatus::InFlight),
    ] {
        assert_eq!(OperationStatus::from_api(word), status, "{word}");
    }
}

type Pairs = BTreeMap<Instance, Parameters>;

fn overrides() -> impl Strategy<Value = Parameters> {
    prop_oneof![3 => Just(Parameters::new()), 1 => Just(days("35")), 1 => Just(days("90"))]
}

fn pairs() -> impl Strategy<Value = Pairs> {
    prop::collection::btree_map((0usize..3, 0usize..3), overrides(), 0..=9)
        .prop_map(|pairs| pairs.into_iter().map(|((a, r), overrides)| (instance(a, r), overrides)).collect())
}

fn worlds() -> impl Strategy<Value = (Desired, Observed)> {
    let state = prop::sample::select(states());
    let there = prop::collection::btree_map((0usize..3, 0usize..3), (state, overrides()), 0..=9);
    (pairs(), there, any::<bool>(), any::<bool>()).prop_map(|(wanted, there, exists, up_to_date)| {
        let desired = Desired { instances: wanted, ..desired(&[]) };
        if !exists {
            return (desired, Observed::default());
        }
        let mut now = observed(&desired, &[]);
        if !up_to_date {
            now.stack_set.as_mut().expect("there is one").definition = None;
        }
        now.instances = there
            .into_iter()
            .map(|((a, r), ((status, detailed, _, _), overrides))| {
                (instance(a, r), ObservedInstance { overrides, ..found(status, detailed) })
            })
            .collect();
        (desired, now)
    })
}

/// The instances of an operation that names accounts and Regions.
fn product(accounts: &BTreeSet<AccountId>, regions: &BTreeSet<RegionName>) -> Vec<Instance> {
    accounts
        .iter()
        .flat_map(|account| regions.iter().map(|region| Instance { account: account.clone(), region: region.clone() }))
        .collect()
}

fn workable(found: &ObservedInstance) -> bool {
    states()
        .iter()
        .any(|(status, detailed, _, workable)| (status, detailed, *workable) == (&found.status, &found.detailed, true))
}

/// StackSets in which every operation succeeds on every instance that can be worked.
fn run(desired: &Desired, now: &mut Observed, operation: &Operation) -> Result<(), TestCaseError> {
    match operation {
        Operation::DeleteInstances { accounts, regions, retain } => {
            for instance in product(accounts, regions) {
                prop_assert!(!desired.instances.contains_key(&instance), "{instance} is wanted and deleted");
                let gone = now.instances.remove(&instance);
                prop_assert!(gone.is_some(), "{instance} is not there and deleted");
                prop_assert_eq!(gone.map(|found| workable(&found)), Some(!retain));
            }
        }
        Operation::UpdateStackSet => {
            now.stack_set.as_mut().expect("there is one").definition = Some(desired.definition_digest());
            for found in now.instances.values_mut().filter(|found| workable(found)) {
                (found.status, found.detailed) = (InstanceStatus::Current, DetailedStatus::Succeeded);
            }
        }
        Operation::CreateInstances { accounts, regions, overrides } => {
            for instance in product(accounts, regions) {
                prop_assert_eq!(desired.instances.get(&instance), Some(overrides), "{} is not wanted so", instance);
                let before =
                    now.instances.insert(instance, ObservedInstance { overrides: overrides.clone(), ..current() });
                prop_assert_eq!(before, None, "it was there");
            }
        }
        Operation::UpdateInstances { accounts, regions, overrides } => {
            for instance in product(accounts, regions) {
                prop_assert_eq!(desired.instances.get(&instance), Some(overrides), "{} is not wanted so", instance);
                let found = now.instances.get_mut(&instance).expect("it is there");
                prop_assert!(workable(found), "{instance} cannot be worked");
                *found = ObservedInstance { overrides: overrides.clone(), ..current() };
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_world_is_brought_to_what_is_wanted((desired, mut now) in worlds()) {
        let mut tried = BTreeSet::new();
        // At worst an operation for each instance that leaves, comes or is corrected, one update, one creation.
        let bound = 2 * ACCOUNTS.len() * REGIONS.len() + 2;
        let mut verdict = None;
        for _ in 0..=bound {
            match next_step(&desired, &now, OWNER, &tried) {
                Step::CreateStackSet => {
                    prop_assert_eq!(&now, &Observed::default());
                    now = observed(&desired, &[]);
                }
                Step::Start(operation) => {
                    prop_assert!(tried.insert(operation.key()), "{operation:?} is tried again");
                    run(&desired, &mut now, &operation)?;
                }
                Step::Finished(end) => {
                    verdict = Some(end);
                    break;
                }
                other => prop_assert!(false, "{other:?} is no step of a rollout"),
            }
        }
        let verdict = verdict.expect("it ends within the bound");
        prop_assert!(now.instances.keys().eq(desired.instances.keys()), "wanted and there are the same");
        let beyond_help: BTreeSet<&Instance> =
            now.instances.iter().filter(|(_, found)| !workable(found)).map(|(instance, _)| instance).collect();
        let blamed: BTreeSet<&Instance> = verdict.faults.iter().map(|fault| &fault.instance).collect();
        prop_assert_eq!(&blamed, &beyond_help, "only what cannot be worked is left");
        prop_assert_eq!((verdict.total, verdict.succeeded), (desired.instances.len(), desired.instances.len() - blamed.len()));
        for (instance, found) in now.instances.iter().filter(|(instance, _)| !blamed.contains(instance)) {
            prop_assert_eq!(&found.status, &InstanceStatus::Current);
            prop_assert_eq!(&found.overrides, &desired.instances[instance]);
        }
    }

    #[test]
    fn every_world_can_be_removed((_, mut now) in worlds()) {
        let nothing = desired(&[]);
        let mut tried = BTreeSet::new();
        for _ in 0..=ACCOUNTS.len() * 2 + 1 {
            match next_removal_step(&now, OWNER, &tried) {
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
            match next_step(&desired, &now, OWNER, &tried) {
                Step::Start(operation) => prop_assert!(tried.insert(operation.key()), "{operation:?} is tried again"),
                Step::Finished(verdict) => {
                    let wanted = verdict.faults.iter().filter(|fault| desired.instances.contains_key(&fault.instance));
                    prop_assert_eq!(verdict.total, desired.instances.len());
                    prop_assert_eq!(verdict.succeeded + wanted.count(), verdict.total);
                    let left = now.instances.keys().filter(|instance| !desired.instances.contains_key(instance));
                    let not_deleted = verdict.faults.iter().filter(|fault| fault.outcome == "not deleted");
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
        for (accounts, regions, overrides) in &groups {
            for instance in product(accounts, regions) {
                prop_assert_eq!(covered.insert(instance, overrides.clone()), None, "no pair is in two groups");
            }
        }
        prop_assert_eq!(covered, pairs);
        prop_assert!(groups.len() <= ACCOUNTS.len() * 3, "a group an account and property at most");
    }

    #[test]
    fn sizes_are_the_numbers_of_instances(pairs in pairs()) {
        let groups = super::step::products(pairs.iter().map(|(instance, overrides)| (instance, overrides.clone())));
        let total: usize = groups
            .into_iter()
            .map(|(accounts, regions, overrides)| Operation::CreateInstances { accounts, regions, overrides }.size(99))
            .sum();
        prop_assert_eq!(total, pairs.len());
        prop_assert_eq!(Operation::UpdateStackSet.size(pairs.len()), pairs.len());
    }
}
