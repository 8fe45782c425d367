use super::*;
use jiff::Timestamp;
use proptest::prelude::*;

fn key() -> Key {
    Key {
        account: AccountId::parse("222222222222").expect("12 digits"),
        region: RegionName::parse("eu-west-1").expect("a Region"),
        control: "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN".into(),
        resource_type: "AWS::RDS::DBCluster".into(),
        resource_id: "orders".into(),
    }
}

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_407_129 + second).expect("within range")
}

fn ordering(triggered: i64, recorded: i64, notified: i64) -> Ordering {
    Ordering { triggered: time(triggered), recorded: time(recorded), notified: time(notified) }
}

fn change(compliance: Compliance, ordering: Ordering) -> Change {
    Change {
        key: key(),
        compliance,
        ordering,
        rule_name: "rule".into(),
        rule_arn: "arn".into(),
        annotation: None,
        had_result: true,
    }
}

fn record(status: Status, pending: Option<Pending>) -> Record {
    Record {
        key: key(),
        status,
        since: Some(time(-100)),
        ordering: ordering(0, 0, 0),
        rule_name: "before".into(),
        rule_arn: "before".into(),
        annotation: None,
        pending,
    }
}

use super::Compliance::{Compliant, NonCompliant, NotApplicable};
use super::Pending::{NoLongerApplies, Opened, Resolved};
use super::Status::{Closed, Open};

/// Every state a record can be in: an open violation owes no resolution, a closed one no opening.
const STATES: [(Status, Option<Pending>); 5] =
    [(Open, None), (Open, Some(Opened)), (Closed, None), (Closed, Some(Resolved)), (Closed, Some(NoLongerApplies))];

#[test]
fn the_first_result_opens_or_is_noted() {
    for (compliance, status, since, pending) in [
        (NonCompliant, Open, Some(time(5)), Some(Opened)),
        (Compliant, Closed, None, None),
        (NotApplicable, Closed, None, None),
    ] {
        let change = change(compliance, ordering(5, 6, 7));
        let Outcome::Store(stored) = apply(None, &change) else { panic!("{compliance:?} is stored") };
        assert_eq!((stored.status, stored.since, stored.pending), (status, since, pending), "{compliance:?}");
        assert_eq!((stored.ordering, stored.rule_name.as_str()), (change.ordering, "rule"));
    }
}

#[test]
fn a_newer_result_leads_to_what_is_owed() {
    let before = Some(time(-100));
    let now = Some(time(5));
    // known, result, status, since, owed
    let cases = [
        ((Open, None), NonCompliant, Open, before, None),
        ((Open, Some(Opened)), NonCompliant, Open, before, Some(Opened)),
        ((Closed, None), NonCompliant, Open, now, Some(Opened)),
        ((Closed, Some(Resolved)), NonCompliant, Open, now, Some(Opened)),
        ((Closed, Some(NoLongerApplies)), NonCompliant, Open, now, Some(Opened)),
        ((Open, None), Compliant, Closed, before, Some(Resolved)),
        ((Open, Some(Opened)), Compliant, Closed, before, None),
        ((Closed, None), Compliant, Closed, before, None),
        ((Closed, Some(Resolved)), Compliant, Closed, before, Some(Resolved)),
        ((Closed, Some(NoLongerApplies)), Compliant, Closed, before, Some(NoLongerApplies)),
        ((Open, None), NotApplicable, Closed, before, Some(NoLongerApplies)),
        ((Open, Some(Opened)), NotApplicable, Closed, before, None),
        ((Closed, None), NotApplicable, Closed, before, None),
        ((Closed, Some(Resolved)), NotApplicable, Closed, before, Some(Resolved)),
        ((Closed, Some(NoLongerApplies)), NotApplicable, Closed, before, Some(NoLongerApplies)),
    ];
    assert_eq!(cases.len(), STATES.len() * 3, "every combination");
    for ((status, owed), compliance, expected, since, pending) in cases {
        let change = change(compliance, ordering(5, 5, 5));
        let Outcome::Store(stored) = apply(Some(&record(status, owed)), &change) else {
            panic!("{status:?} {owed:?} {compliance:?} is stored")
        };
        assert_eq!(
            (stored.status, stored.since, stored.pending),
            (expected, since, pending),
            "{status:?} {owed:?} {compliance:?}"
        );
        assert_eq!(stored.ordering, change.ordering);
    }
}

#[test]
fn the_same_result_and_an_older_one_change_nothing_and_remind_of_what_is_owed() {
    for (status, pending) in STATES {
        let known = record(status, pending);
        for compliance in [Compliant, NonCompliant, NotApplicable] {
            let same_state = (status == Open) == (compliance == NonCompliant);
            for (what, ordering, quiet) in [
                ("the same", ordering(0, 0, 0), if same_state { Quiet::Repeated } else { Quiet::Late }),
                ("triggered earlier", ordering(-1, 9, 9), Quiet::Late),
                ("recorded earlier", ordering(0, -1, 9), Quiet::Late),
            ] {
                let outcome = apply(Some(&known), &change(compliance, ordering));
                let expected = pending.map_or(Outcome::Quiet(quiet), Outcome::Owed);
                assert_eq!(outcome, expected, "{what}: {status:?} {pending:?} {compliance:?}");
            }
            // Config repeats a notification with a later notification time.
            let again = apply(Some(&known), &change(compliance, self::ordering(0, 0, 9)));
            let expected = pending.map_or(Outcome::Quiet(Quiet::Repeated), Outcome::Owed);
            assert_eq!(again == expected, same_state, "notified again: {status:?} {pending:?} {compliance:?}");
        }
    }
}

#[test]
fn words_of_the_api_are_read_and_others_are_not_guessed() {
    for (word, compliance) in [
        ("COMPLIANT", Some(Compliant)),
        ("NON_COMPLIANT", Some(NonCompliant)),
        ("NOT_APPLICABLE", Some(NotApplicable)),
        ("INSUFFICIENT_DATA", None),
        ("compliant", None),
        ("", None),
    ] {
        assert_eq!(Compliance::from_api(word), compliance, "{word}");
    }
}

#[test]
fn records_are_stored_and_read_back() {
    let before = record(Closed, Some(NoLongerApplies));
    let json = serde_json::to_string(&before).expect("serialises");
    assert_eq!(serde_json::from_str::<Record>(&json).expect("deserialises"), before);
}

fn compliances() -> impl Strategy<Value = Compliance> {
    prop_oneof![Just(Compliant), Just(NonCompliant), Just(NotApplicable)]
}

/// Changes whose results differ in when they were triggered or recorded, each perhaps notified several times, in any order.
fn deliveries() -> impl Strategy<Value = Vec<Change>> {
    let results = prop::collection::btree_map((0i64..6, 0i64..3), compliances(), 1..8);
    results
        .prop_flat_map(|results| {
            let results: Vec<_> = results.into_iter().collect();
            let extra = prop::collection::vec((0..results.len(), 0i64..5), 0..8);
            (Just(results), extra)
        })
        .prop_map(|(results, extra)| {
            let once = (0..results.len()).map(|index| (index, 0));
            once.chain(extra)
                .map(|(index, notified)| {
                    let ((triggered, recorded), compliance) = results[index];
                    change(compliance, ordering(triggered, recorded, 10 + notified))
                })
                .collect::<Vec<_>>()
        })
        .prop_shuffle()
}

fn times() -> impl Strategy<Value = Timestamp> {
    let seconds =
        prop_oneof![Just(1_795_407_129_i64), 1_795_407_129_i64..1_795_407_132, -62_000_000_000_i64..253_000_000_000];
    let nanoseconds = prop_oneof![Just(0), Just(1), Just(999_999), Just(1_000_000), 0..1_000_000_000];
    (seconds, nanoseconds).prop_map(|(s, n)| Timestamp::new(s, n).expect("within range"))
}

fn orderings() -> impl Strategy<Value = Ordering> {
    (times(), times(), times()).prop_map(|(triggered, recorded, notified)| Ordering { triggered, recorded, notified })
}

proptest! {
    #[test]
    fn whatever_the_order_the_newest_result_counts(changes in deliveries()) {
        let mut known: Option<Record> = None;
        let (mut opened, mut resolved) = (0_i32, 0_i32);
        for change in &changes {
            let outcome = apply(known.as_ref(), change);
            if let Outcome::Store(record) = outcome {
                known = Some(*record);
            }
            // People are told at once what is owed.
            if let Some(record) = &mut known
                && let Some(pending) = record.pending.take()
            {
                prop_assert_eq!(pending == Opened, record.status == Open, "told what is so");
                if pending == Opened { opened += 1 } else { resolved += 1 }
                prop_assert!((0..=1).contains(&(opened - resolved)), "openings and resolutions alternate");
            }
        }
        let newest = changes.iter().max_by_key(|change| change.ordering).expect("at least one");
        let known = known.expect("the first is stored");
        prop_assert_eq!(known.status == Open, newest.compliance == NonCompliant);
        prop_assert_eq!(opened - resolved, i32::from(known.status == Open), "what was told last is so");
        prop_assert!(known.ordering.same_result(&newest.ordering));
    }

    #[test]
    fn untold_notices_never_contradict_the_record(changes in deliveries()) {
        let mut known: Option<Record> = None;
        for change in &changes {
            if let Outcome::Store(record) = apply(known.as_ref(), change) {
                prop_assert!(STATES.contains(&(record.status, record.pending)), "{:?} {:?}", record.status, record.pending);
                prop_assert_eq!(record.status == Open && record.since.is_none(), false);
                known = Some(*record);
            }
        }
    }

    #[test]
    fn sort_keys_sort_as_orderings_do(a in orderings(), b in orderings()) {
        prop_assert_eq!(a.sort_key().cmp(&b.sort_key()), a.cmp(&b), "{} {}", a.sort_key(), b.sort_key());
        prop_assert_eq!(a.sort_key().len(), b.sort_key().len());
    }
}
