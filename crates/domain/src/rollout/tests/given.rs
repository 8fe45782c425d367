//! The overrides that instances were last given.

use super::*;

/// The known overrides of these instances, all in the desired state.
fn known_of(given: &AppliedOverrides, instances: impl IntoIterator<Item = Instance>) -> Vec<Option<Parameters>> {
    let unknown = ObservedInstance { overrides: None, ..current() };
    let mut seen = Observed {
        instances: instances.into_iter().map(|instance| (instance, unknown.clone())).collect(),
        ..Observed::default()
    };
    given.add_to(&mut seen);
    seen.instances.into_values().map(|found| found.overrides.map(|known| Parameters::clone(&known))).collect()
}

fn stored(given: &AppliedOverrides) -> String {
    serde_json::to_string(given).expect("JSON")
}

fn both() -> [Instance; 2] {
    [instance(0, 0), instance(1, 0)]
}

#[test]
fn overrides_are_known_until_deletion() {
    for (mut given, unknown) in
        [(AppliedOverrides::known_empty(), Some(Parameters::new())), (AppliedOverrides::default(), None)]
    {
        assert_eq!(known_of(&given, both()), [unknown.clone(), unknown.clone()]);
        given.record_operation(&create(&[0], days("35")));
        given.record_operation(&update(&[1], Parameters::new()));
        assert_eq!(known_of(&given, both()), [Some(days("35")), Some(Parameters::new())]);
        given.record_operation(&Operation::UpdateStackSet);
        given.record_operation(&Operation::ManagedExecution);
        given.record_operation(&update(&[0], days("90")));
        assert_eq!(known_of(&given, both()), [Some(days("90")), Some(Parameters::new())]);
        given.record_operation(&delete(&[0, 1], false));
        assert_eq!(known_of(&given, both()), [None, None], "of instances that the deletion did not reach");
        given.forget_uncertain(&Observed::default());
        assert_eq!(
            known_of(&given, both()),
            [unknown.clone(), unknown],
            "deleted, and created again by auto-deployment"
        );
    }
}

/// An operation that failed at an instance, or stopped before it, may not have set the overrides. An update of the StackSet makes
/// the instance current later.
#[test]
fn overrides_of_failed_instance_are_unknown() {
    for mut given in [AppliedOverrides::known_empty(), AppliedOverrides::default()] {
        given.record_operation(&create(&[0, 1], days("35")));
        let cancelled = found(InstanceStatus::Outdated, DetailedStatus::Cancelled);
        let mut now = observed(&two(), &[((0, 0), current()), ((1, 0), cancelled)]);
        given.add_to(&mut now);
        assert_eq!(now.instances[&instance(0, 0)].overrides, super::given(&days("35")));
        assert_eq!(now.instances[&instance(1, 0)].overrides, None);
        given.forget_uncertain(&now);
        assert_eq!(known_of(&given, both()), [Some(days("35")), None], "also when it is current");
        assert_eq!(serde_json::from_str::<AppliedOverrides>(&stored(&given)).expect("is read"), given);
        given.record_operation(&update(&[1], days("35")));
        assert_eq!(known_of(&given, both()), [Some(days("35")), Some(days("35"))]);
    }
}

/// StackSets deletes the instance when its account leaves a unit, and creates another in the unit that it joins.
#[test]
fn overrides_unknown_after_move_to_another_unit() {
    let through = |unit: &str| {
        let unit = framework::ids::UnitId::parse(unit).expect("a unit");
        observed(&two(), &[((0, 0), ObservedInstance { unit: Some(unit), ..current() })])
    };
    let mut given = AppliedOverrides::known_empty();
    given.record_operation(&create(&[0], days("35")));
    let (mut one, mut other) = (through("ou-aaaa-11111111"), through("ou-aaaa-22222222"));
    assert!(given.forget_uncertain(&one), "the unit is recorded");
    assert!(!given.forget_uncertain(&one));
    given.add_to(&mut one);
    given.add_to(&mut other);
    assert_eq!(one.instances[&instance(0, 0)].overrides, super::given(&days("35")));
    assert_eq!(other.instances[&instance(0, 0)].overrides, None);
    assert!(given.forget_uncertain(&other));
    given.add_to(&mut one);
    assert_eq!(one.instances[&instance(0, 0)].overrides, None, "still unknown after the return");
}

/// An account that has moved is updated through its new unit; StackSets may list the instance with the new or the old unit.
#[test]
fn overrides_known_through_old_or_new_unit() {
    let unit = |unit: &str| framework::ids::UnitId::parse(unit).expect("a unit");
    let [old, new, third] = ["ou-aaaa-11111111", "ou-aaaa-22222222", "ou-aaaa-33333333"].map(unit);
    let seen_through = |unit: &framework::ids::UnitId| {
        observed(&two(), &[((0, 0), ObservedInstance { unit: Some(unit.clone()), ..current() })])
    };
    for (listed, known) in [(&old, true), (&new, true), (&third, false)] {
        let mut given = AppliedOverrides::known_empty();
        given.record_operation(&create(&[0], days("35")));
        given.forget_uncertain(&seen_through(&old));
        let Operation::UpdateInstances { mut at, overrides } = update(&[0], days("90")) else { panic!("an update") };
        at.through = Some(DeploymentTargets { unit: new.clone(), filter: AccountFilterType::Listed });
        given.record_operation(&Operation::UpdateInstances { at, overrides });
        let mut seen = seen_through(listed);
        given.forget_uncertain(&seen);
        given.add_to(&mut seen);
        assert_eq!(seen.instances[&instance(0, 0)].overrides, known.then(|| super::given(&days("90"))).flatten());
        let elsewhere = if listed == &old { &new } else { &old };
        let mut later = seen_through(elsewhere);
        given.add_to(&mut later);
        assert_eq!(later.instances[&instance(0, 0)].overrides, None, "the listed unit is recorded");
    }
}

/// The format of the version before organizational units.
#[test]
fn overrides_read_the_format_without_units() {
    let json = r#"{"complete":true,"groups":[{"accounts":["111111111111"],"regions":["eu-west-1"],"overrides":{"Days":"35"}}]}"#;
    let given: AppliedOverrides = serde_json::from_str(json).expect("is read");
    assert_eq!(known_of(&given, both()), [Some(days("35")), Some(Parameters::new())]);
}

/// DynamoDB limits items to 400 KB, and the item has other fields too.
#[test]
fn overrides_of_100000_instances_fit_in_an_item() {
    let account = |number: u64| AccountId::parse(&format!("{:012}", 100_000_000_000 + number * 79_193_333));
    let regions: BTreeSet<RegionName> =
        framework::ids::REGIONS.iter().take(10).map(|name| RegionName::parse(name).expect("a Region")).collect();
    let places = |from: u64, to: u64| OperationTargets {
        accounts: (from..to).map(|number| account(number).expect("12 digits")).collect(),
        regions: regions.clone(),
        through: None,
    };
    let create = |at: OperationTargets, overrides: Parameters| Operation::CreateInstances { at, overrides };
    let mut one = AppliedOverrides::known_empty();
    one.record_operation(&create(places(0, 10_000), days("35")));
    assert!(stored(&one).len() < 160_000, "{}", stored(&one).len());
    assert_eq!(serde_json::from_str::<AppliedOverrides>(&stored(&one)).expect("is read"), one);

    let mut several = AppliedOverrides::default();
    for part in 0..4 {
        several.record_operation(&create(places(part * 2_500, (part + 1) * 2_500), days(&part.to_string())));
    }
    assert!(stored(&several).len() < 160_000, "{}", stored(&several).len());

    let mut none = AppliedOverrides::known_empty();
    none.record_operation(&create(places(0, 10_000), Parameters::new()));
    assert!(stored(&none).len() < 100, "instances without overrides take no space");
}

#[derive(Debug, Clone)]
enum Event {
    Create(Pairs),
    Delete(Pairs),
    Fail(Pairs),
    Vanish(Pairs),
}

proptest! {
    /// The grouped overrides agree with a model that has an entry for each instance.
    #[test]
    fn overrides_match_a_model_by_instance(
        complete in any::<bool>(),
        history in prop::collection::vec(
            prop_oneof![
                3 => pairs().prop_map(Event::Create),
                1 => pairs().prop_map(Event::Delete),
                1 => pairs().prop_map(Event::Fail),
                1 => pairs().prop_map(Event::Vanish),
            ],
            0..8,
        ),
    ) {
        let everything: Vec<Instance> = (0..3).flat_map(|a| (0..3).map(move |r| instance(a, r))).collect();
        let all_current = || -> BTreeMap<Instance, ObservedInstance> {
            everything.iter().map(|instance| (instance.clone(), current())).collect()
        };
        let unknown = complete.then(Parameters::new);
        let mut given = if complete { AppliedOverrides::known_empty() } else { AppliedOverrides::default() };
        let mut model: BTreeMap<Instance, Option<Parameters>> =
            everything.iter().map(|instance| (instance.clone(), unknown.clone())).collect();
        for event in history {
            match event {
                Event::Create(pairs) => {
                    let groups = super::super::step::products(pairs.iter().map(|(at, what)| (at, what.clone())));
                    for (accounts, regions, overrides) in groups {
                        let (at, overrides) =
                            (OperationTargets { accounts, regions, through: None }, Parameters::clone(&overrides));
                        given.record_operation(&Operation::CreateInstances { at, overrides });
                    }
                    model.extend(pairs.into_iter().map(|(instance, what)| (instance, Some(Parameters::clone(&what)))));
                }
                Event::Delete(pairs) => {
                    let groups = super::super::step::products(pairs.keys().map(|at| (at, ())));
                    for (accounts, regions, ()) in groups {
                        let at = OperationTargets { accounts, regions, through: None };
                        given.record_operation(&Operation::DeleteInstances { at, retain: false });
                    }
                    model.extend(pairs.into_keys().map(|instance| (instance, None)));
                }
                Event::Fail(pairs) => {
                    let failed = found(InstanceStatus::Outdated, DetailedStatus::Failed);
                    let mut instances = all_current();
                    instances.extend(pairs.keys().map(|instance| (instance.clone(), failed.clone())));
                    given.forget_uncertain(&Observed { instances, ..Observed::default() });
                    model.extend(pairs.into_keys().map(|instance| (instance, None)));
                }
                Event::Vanish(pairs) => {
                    let mut instances = all_current();
                    instances.retain(|instance, _| !pairs.contains_key(instance));
                    let seen = Observed { instances, ..Observed::default() };
                    given.forget_uncertain(&seen);
                    prop_assert!(!given.forget_uncertain(&seen), "overrides are forgotten once");
                    model.extend(pairs.into_keys().map(|instance| (instance, unknown.clone())));
                }
            }
            given = serde_json::from_str(&stored(&given)).expect("is read");
            prop_assert_eq!(known_of(&given, everything.clone()), model.values().cloned().collect::<Vec<_>>());
        }
    }
}
