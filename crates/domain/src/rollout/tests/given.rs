//! What instances were last given, which StackSets do not list.

use super::*;

/// What is known of each of these instances, all of them as they should be.
fn known_of(given: &Given, instances: impl IntoIterator<Item = Instance>) -> Vec<Option<Parameters>> {
    let unknown = ObservedInstance { overrides: None, ..current() };
    let mut seen = Observed {
        instances: instances.into_iter().map(|instance| (instance, unknown.clone())).collect(),
        ..Observed::default()
    };
    given.complete(&mut seen);
    seen.instances.into_values().map(|found| found.overrides.map(|known| Parameters::clone(&known))).collect()
}

fn stored(given: &Given) -> String {
    serde_json::to_string(given).expect("serialises")
}

fn both() -> [Instance; 2] {
    [instance(0, 0), instance(1, 0)]
}

#[test]
fn what_was_given_is_known_until_it_is_taken() {
    for (mut given, unknown) in [(Given::all_known(), Some(Parameters::new())), (Given::default(), None)] {
        assert_eq!(known_of(&given, both()), [unknown.clone(), unknown.clone()]);
        given.note(&create(&[0], days("35")));
        given.note(&update(&[1], Parameters::new()));
        assert_eq!(known_of(&given, both()), [Some(days("35")), Some(Parameters::new())]);
        given.note(&Operation::UpdateStackSet);
        given.note(&Operation::ManagedExecution);
        given.note(&update(&[0], days("90")));
        assert_eq!(known_of(&given, both()), [Some(days("90")), Some(Parameters::new())]);
        given.note(&delete(&[0, 1], false));
        assert_eq!(known_of(&given, both()), [None, None], "whatever the deletion did not come to");
        given.doubt(&Observed::default());
        assert_eq!(known_of(&given, both()), [unknown.clone(), unknown], "gone, and come again without us");
    }
}

/// An operation that failed at an instance, or was stopped before, may not have given it what it was to give; an update of the
/// StackSet makes it look right later on.
#[test]
fn what_an_instance_got_that_is_not_as_it_should_be_nobody_knows() {
    for mut given in [Given::all_known(), Given::default()] {
        given.note(&create(&[0, 1], days("35")));
        let cancelled = found(InstanceStatus::Outdated, DetailedStatus::Cancelled);
        let mut now = observed(&two(), &[((0, 0), current()), ((1, 0), cancelled)]);
        given.complete(&mut now);
        assert_eq!(now.instances[&instance(0, 0)].overrides, super::given(&days("35")));
        assert_eq!(now.instances[&instance(1, 0)].overrides, None);
        given.doubt(&now);
        assert_eq!(known_of(&given, both()), [Some(days("35")), None], "also later");
        assert_eq!(serde_json::from_str::<Given>(&stored(&given)).expect("is read"), given);
        given.note(&update(&[1], days("35")));
        assert_eq!(known_of(&given, both()), [Some(days("35")), Some(days("35"))]);
    }
}

/// StackSets removes what was in a unit that an account leaves, and deploys anew in the one that it joins.
#[test]
fn an_instance_that_is_deployed_through_another_unit_is_another() {
    let through = |unit: &str| {
        let unit = crate::ids::UnitId::parse(unit).expect("a unit");
        observed(&two(), &[((0, 0), ObservedInstance { unit: Some(unit), ..current() })])
    };
    let mut given = Given::all_known();
    given.note(&create(&[0], days("35")));
    let (mut one, mut other) = (through("ou-aaaa-11111111"), through("ou-aaaa-22222222"));
    assert!(given.doubt(&one), "the unit is remembered");
    assert!(!given.doubt(&one));
    given.complete(&mut one);
    given.complete(&mut other);
    assert_eq!(one.instances[&instance(0, 0)].overrides, super::given(&days("35")));
    assert_eq!(other.instances[&instance(0, 0)].overrides, None);
    assert!(given.doubt(&other));
    given.complete(&mut one);
    assert_eq!(one.instances[&instance(0, 0)].overrides, None, "coming back makes it no more certain");
}

/// An account that has moved is worked through the unit that it is in now, and StackSets may list it with that one or the old one.
#[test]
fn what_is_updated_through_the_unit_that_its_account_moved_to_is_known_whichever_is_listed() {
    let unit = |unit: &str| crate::ids::UnitId::parse(unit).expect("a unit");
    let [old, new, third] = ["ou-aaaa-11111111", "ou-aaaa-22222222", "ou-aaaa-33333333"].map(unit);
    let seen_through = |unit: &crate::ids::UnitId| {
        observed(&two(), &[((0, 0), ObservedInstance { unit: Some(unit.clone()), ..current() })])
    };
    for (listed, known) in [(&old, true), (&new, true), (&third, false)] {
        let mut given = Given::all_known();
        given.note(&create(&[0], days("35")));
        given.doubt(&seen_through(&old));
        let Operation::UpdateInstances { mut at, overrides } = update(&[0], days("90")) else { panic!("an update") };
        at.through = Some(Through { unit: new.clone(), filter: Filter::Listed });
        given.note(&Operation::UpdateInstances { at, overrides });
        let mut seen = seen_through(listed);
        given.doubt(&seen);
        given.complete(&mut seen);
        assert_eq!(seen.instances[&instance(0, 0)].overrides, known.then(|| super::given(&days("90"))).flatten());
        let elsewhere = if listed == &old { &new } else { &old };
        let mut later = seen_through(elsewhere);
        given.complete(&mut later);
        assert_eq!(later.instances[&instance(0, 0)].overrides, None, "from then on it is known which");
    }
}

/// As the version before this one wrote it.
#[test]
fn what_was_stored_before_is_read() {
    let json = r#"{"complete":true,"groups":[{"accounts":["111111111111"],"regions":["eu-west-1"],"overrides":{"Days":"35"}}]}"#;
    let given: Given = serde_json::from_str(json).expect("is read");
    assert_eq!(known_of(&given, both()), [Some(days("35")), Some(Parameters::new())]);
}

/// A document of the state table holds 400 KB; there is more in it than this.
#[test]
fn a_hundred_thousand_instances_are_remembered_in_a_fraction_of_a_document() {
    let account = |number: u64| AccountId::parse(&format!("{:012}", 100_000_000_000 + number * 79_193_333));
    let regions: BTreeSet<RegionName> =
        crate::ids::REGIONS.iter().take(10).map(|name| RegionName::parse(name).expect("a Region")).collect();
    let places = |from: u64, to: u64| Places {
        accounts: (from..to).map(|number| account(number).expect("12 digits")).collect(),
        regions: regions.clone(),
        through: None,
    };
    let create = |at: Places, overrides: Parameters| Operation::CreateInstances { at, overrides };
    let mut one = Given::all_known();
    one.note(&create(places(0, 10_000), days("35")));
    assert!(stored(&one).len() < 160_000, "{}", stored(&one).len());
    assert_eq!(serde_json::from_str::<Given>(&stored(&one)).expect("is read"), one);

    let mut several = Given::default();
    for part in 0..4 {
        several.note(&create(places(part * 2_500, (part + 1) * 2_500), days(&part.to_string())));
    }
    assert!(stored(&several).len() < 160_000, "{}", stored(&several).len());

    let mut none = Given::all_known();
    none.note(&create(places(0, 10_000), Parameters::new()));
    assert!(stored(&none).len() < 100, "what has no overrides needs no word");
}

#[derive(Debug, Clone)]
enum Happening {
    Gives(Pairs),
    Takes(Pairs),
    Fails(Pairs),
    Vanishes(Pairs),
}

proptest! {
    /// Whatever was given, taken and doubted, in whatever groups: what is known is what a book with a line for each instance says.
    #[test]
    fn it_is_as_good_as_a_book_with_a_line_for_each_instance(
        complete in any::<bool>(),
        story in prop::collection::vec(
            prop_oneof![
                3 => pairs().prop_map(Happening::Gives),
                1 => pairs().prop_map(Happening::Takes),
                1 => pairs().prop_map(Happening::Fails),
                1 => pairs().prop_map(Happening::Vanishes),
            ],
            0..8,
        ),
    ) {
        let everything: Vec<Instance> = (0..3).flat_map(|a| (0..3).map(move |r| instance(a, r))).collect();
        let all_current = || -> BTreeMap<Instance, ObservedInstance> {
            everything.iter().map(|instance| (instance.clone(), current())).collect()
        };
        let unknown = complete.then(Parameters::new);
        let mut given = if complete { Given::all_known() } else { Given::default() };
        let mut book: BTreeMap<Instance, Option<Parameters>> =
            everything.iter().map(|instance| (instance.clone(), unknown.clone())).collect();
        for happening in story {
            match happening {
                Happening::Gives(pairs) => {
                    let groups = super::super::step::products(pairs.iter().map(|(at, what)| (at, what.clone())));
                    for (accounts, regions, overrides) in groups {
                        let (at, overrides) =
                            (Places { accounts, regions, through: None }, Parameters::clone(&overrides));
                        given.note(&Operation::CreateInstances { at, overrides });
                    }
                    book.extend(pairs.into_iter().map(|(instance, what)| (instance, Some(Parameters::clone(&what)))));
                }
                Happening::Takes(pairs) => {
                    let groups = super::super::step::products(pairs.keys().map(|at| (at, ())));
                    for (accounts, regions, ()) in groups {
                        let at = Places { accounts, regions, through: None };
                        given.note(&Operation::DeleteInstances { at, retain: false });
                    }
                    book.extend(pairs.into_keys().map(|instance| (instance, None)));
                }
                Happening::Fails(pairs) => {
                    let failed = found(InstanceStatus::Outdated, DetailedStatus::Failed);
                    let mut instances = all_current();
                    instances.extend(pairs.keys().map(|instance| (instance.clone(), failed.clone())));
                    given.doubt(&Observed { instances, ..Observed::default() });
                    book.extend(pairs.into_keys().map(|instance| (instance, None)));
                }
                Happening::Vanishes(pairs) => {
                    let mut instances = all_current();
                    instances.retain(|instance, _| !pairs.contains_key(instance));
                    let seen = Observed { instances, ..Observed::default() };
                    given.doubt(&seen);
                    prop_assert!(!given.doubt(&seen), "nothing is forgotten twice");
                    book.extend(pairs.into_keys().map(|instance| (instance, unknown.clone())));
                }
            }
            given = serde_json::from_str(&stored(&given)).expect("is read");
            prop_assert_eq!(known_of(&given, everything.clone()), book.values().cloned().collect::<Vec<_>>());
        }
    }
}
