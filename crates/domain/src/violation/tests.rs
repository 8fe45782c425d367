use super::*;
use crate::control::Severity;
use jiff::Timestamp;
use proptest::prelude::*;
use std::collections::BTreeSet;

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
        annotation: Some("words".into()),
        had_result: true,
        previous: None,
    }
}

/// A record of earlier, with nothing owed.
fn record(status: Status) -> Record {
    let compliance = if status == Open { NonCompliant } else { Compliant };
    let Outcome::Store { record, .. } = apply(None, &change(compliance, ordering(0, 0, 0))) else { panic!("stored") };
    Record {
        since: Some(time(-100)),
        rule_name: "before".into(),
        rule_arn: "before".into(),
        annotation: None,
        found: Found::Regression,
        heard: Heard::Sweep,
        closed: (status == Closed).then_some(Closing::Satisfied),
        severity: Severity::High,
        resource: ResourceFacts { name: Some("orders".into()), ..ResourceFacts::default() },
        finding_at: Some(time(-50)),
        ..*record
    }
}

fn outlets() -> BTreeSet<Outlet> {
    [Outlet::Topic, Outlet::Chat, Outlet::Finding, Outlet::Event].into()
}

fn only(outlets: &[Outlet]) -> BTreeSet<Outlet> {
    outlets.iter().copied().collect()
}

fn opening(exempt: Option<Exempt>) -> Opening {
    let resource = ResourceFacts { arn: Some("arn".into()), ..ResourceFacts::default() };
    Opening { found: Found::Rollout, heard: Heard::Event, severity: Severity::Critical, resource, exempt }
}

fn exempt() -> Exempt {
    Exempt {
        reason: "throw-away".into(),
        owner: "data@example.com".into(),
        until: "2026-12-31".parse().expect("a date"),
    }
}

/// Every state in which a record can owe something or not: an open violation of which nothing, its opening or something older is
/// owed, a closed one likewise.
fn states() -> Vec<Record> {
    let mut states = Vec::new();
    for status in [Open, Closed] {
        states.push(record(status));
        let mut owing = record(status);
        match status {
            Open => owing.opened(opening(None), &outlets(), time(1)),
            Closed => owing.closed_by(Closing::ResourceGone, &outlets(), time(1)),
        }
        states.push(owing.clone());
        // Once there and back, and nobody was told.
        match status {
            Open => owing.closed_by(Closing::Satisfied, &outlets(), time(2)),
            Closed => owing.opened(opening(None), &outlets(), time(2)),
        }
        owing.status = status;
        states.push(owing);
        let exempted = Record { exempt: (status == Open).then(exempt), ..record(status) };
        states.push(exempted);
    }
    states
}

fn whats(record: &Record) -> Vec<&Told> {
    record.owed.iter().map(|debt| &debt.what).collect()
}

use super::Compliance::{Compliant, NonCompliant, NotApplicable};
use super::Status::{Closed, Open};

#[test]
fn the_first_result_opens_or_is_noted() {
    for (compliance, status, since, turn) in [
        (NonCompliant, Open, Some(time(5)), Some(Turn::Opens)),
        (Compliant, Closed, None, None),
        (NotApplicable, Closed, None, None),
    ] {
        let change = change(compliance, ordering(5, 6, 7));
        let Outcome::Store { record: stored, turn: found } = apply(None, &change) else {
            panic!("{compliance:?} is stored")
        };
        assert_eq!((stored.status, stored.since, found), (status, since, turn), "{compliance:?}");
        assert_eq!((stored.ordering, stored.rule_name.as_str()), (change.ordering, "rule"));
        assert_eq!((stored.closed, stored.owed.len(), &stored.exempt), (None, 0, &None));
    }
}

#[test]
fn a_newer_result_leads_to_a_turn_or_to_none() {
    let before = Some(time(-100));
    let now = Some(time(5));
    // known, result, status, since, turn
    let cases = [
        (Open, NonCompliant, Open, before, None),
        (Open, Compliant, Closed, before, Some(Turn::Closes(Closing::Satisfied))),
        (Open, NotApplicable, Closed, before, Some(Turn::Closes(Closing::NotApplicable))),
        (Closed, NonCompliant, Open, now, Some(Turn::Opens)),
        (Closed, Compliant, Closed, before, None),
        (Closed, NotApplicable, Closed, before, None),
    ];
    for known in states() {
        for (_, compliance, expected, since, turn) in cases.iter().filter(|(status, ..)| *status == known.status) {
            let change = change(*compliance, ordering(5, 5, 5));
            let what = format!("{:?} owing {:?}, {compliance:?}", known.status, whats(&known));
            let Outcome::Store { record: stored, turn: found } = apply(Some(&known), &change) else {
                panic!("{what} is stored")
            };
            assert_eq!((stored.status, stored.since, found), (*expected, *since, *turn), "{what}");
            // What the result brings is taken, and everything else is as it was: it is for the turn to change.
            let expected = Record {
                status: *expected,
                since: *since,
                ordering: change.ordering,
                rule_name: "rule".into(),
                rule_arn: "arn".into(),
                annotation: Some("words".into()),
                ..known.clone()
            };
            assert_eq!(*stored, expected, "{what}");
        }
    }
}

#[test]
fn the_same_result_and_an_older_one_change_nothing() {
    for known in states() {
        for compliance in [Compliant, NonCompliant, NotApplicable] {
            let same_state = (known.status == Open) == (compliance == NonCompliant);
            for (what, ordering, quiet) in [
                ("the same", ordering(0, 0, 0), if same_state { Quiet::Repeated } else { Quiet::Late }),
                ("triggered earlier", ordering(-1, 9, 9), Quiet::Late),
                ("recorded earlier", ordering(0, -1, 9), Quiet::Late),
            ] {
                let outcome = apply(Some(&known), &change(compliance, ordering));
                assert_eq!(outcome, Outcome::Quiet(quiet), "{what}: {:?} {compliance:?}", known.status);
            }
            // Config repeats a notification with a later notification time.
            let again = apply(Some(&known), &change(compliance, ordering(0, 0, 9)));
            assert_eq!(again == Outcome::Quiet(Quiet::Repeated), same_state, "{:?} {compliance:?}", known.status);
        }
    }
}

#[test]
fn a_result_that_names_no_rule_leaves_the_one_that_is_known() {
    let change = Change { rule_arn: String::new(), ..change(NonCompliant, ordering(5, 5, 5)) };
    let Outcome::Store { record: stored, .. } = apply(Some(&record(Open)), &change) else { panic!("stored") };
    assert_eq!((stored.rule_name.as_str(), stored.rule_arn.as_str()), ("rule", "before"));
}

#[test]
fn an_opening_is_owed_to_everybody_with_what_is_known_then() {
    let mut record = Record { closed: Some(Closing::ResourceGone), ..record(Open) };
    record.opened(opening(None), &outlets(), time(6));
    assert_eq!((record.found, record.heard, record.severity), (Found::Rollout, Heard::Event, Severity::Critical));
    assert_eq!(record.closed, None);
    assert_eq!(record.resource, opening(None).resource);
    let debt = Debt { what: Told::Opened, at: time(6), since: record.since, outlets: outlets(), folded: 0 };
    assert_eq!(record.owed, [debt]);
}

#[test]
fn a_closing_is_owed_to_everybody_with_its_reason() {
    for closing in [
        Closing::Satisfied,
        Closing::NotApplicable,
        Closing::ResourceGone,
        Closing::ControlRemoved,
        Closing::FrameworkRemoved,
    ] {
        let mut record = record(Open);
        record.closed_by(closing, &outlets(), time(6));
        assert_eq!((record.status, record.closed), (Closed, Some(closing)));
        let debt =
            Debt { what: Told::Resolved(closing), at: time(6), since: record.since, outlets: outlets(), folded: 0 };
        assert_eq!(record.owed, [debt]);
    }
}

#[test]
fn what_is_exempt_is_recorded_and_not_told() {
    let mut record = record(Open);
    record.opened(opening(Some(exempt())), &outlets(), time(6));
    assert_eq!((&record.exempt, record.owed.len(), record.status), (&Some(exempt()), 0, Open));
    // Who was never told that it opened is not told that it closed.
    let mut closed = record.clone();
    closed.closed_by(Closing::Satisfied, &outlets(), time(7));
    assert_eq!((&closed.exempt, closed.owed.len(), closed.status), (&None, 0, Closed));
    // On the day after, it is a violation like any other.
    record.exemption_ended(&outlets(), time(7));
    assert_eq!((&record.exempt, whats(&record)), (&None, vec![&Told::ExemptionEnded(exempt())]));
    record.exemption_ended(&outlets(), time(8));
    assert_eq!(record.owed.len(), 1, "it ends once");
    record.closed_by(Closing::Satisfied, &outlets(), time(9));
    assert_eq!(whats(&record), [&Told::ExemptionEnded(exempt()), &Told::Resolved(Closing::Satisfied)]);
}

#[test]
fn an_exemption_that_comes_later_is_told_as_an_end() {
    let mut record = record(Open);
    record.exempted(exempt(), &outlets(), time(6));
    assert_eq!((&record.exempt, record.status), (&Some(exempt()), Open));
    assert_eq!(whats(&record), [&Told::Exempted(exempt())]);
    record.closed_by(Closing::Satisfied, &outlets(), time(7));
    assert_eq!(whats(&record), [&Told::Exempted(exempt())], "its end was told");
}

#[test]
fn refreshed_findings_are_for_security_hub() {
    let mut record = record(Open);
    record.refresh_finding(&outlets(), time(8));
    assert_eq!(record.owed[0].what, Told::Refreshed);
    assert_eq!(record.owed[0].outlets, only(&[Outlet::Finding]));
    // Nobody there to be told, nothing owed.
    let before = record.owed.clone();
    record.refresh_finding(&only(&[Outlet::Topic]), time(9));
    assert_eq!(record.owed, before);
}

#[test]
fn nothing_is_owed_where_nobody_is_to_be_told() {
    let mut record = record(Open);
    record.opened(opening(None), &BTreeSet::new(), time(6));
    record.closed_by(Closing::Satisfied, &BTreeSet::new(), time(7));
    assert_eq!((record.owed.len(), record.pending_since()), (0, None));
}

#[test]
fn what_was_told_is_taken_off_outlet_by_outlet() {
    let mut record = record(Open);
    record.opened(opening(None), &outlets(), time(6));
    let debts = record.owed.clone();
    record.told(Outlet::Topic, &debts, time(7));
    assert_eq!(record.owed[0].outlets, only(&[Outlet::Chat, Outlet::Finding, Outlet::Event]));
    assert_eq!((record.owed_to(Outlet::Topic).count(), record.owed_to(Outlet::Chat).count()), (0, 1));
    assert_eq!(record.finding_at, Some(time(-50)), "that was not Security Hub");
    // Told twice is told.
    record.told(Outlet::Topic, &debts, time(8));
    record.told(Outlet::Finding, &debts, time(9));
    assert_eq!(record.finding_at, Some(time(9)));
    // What was written down since remains.
    record.closed_by(Closing::Satisfied, &outlets(), time(10));
    for outlet in outlets() {
        record.told(outlet, &debts, time(11));
    }
    assert_eq!(whats(&record), [&Told::Resolved(Closing::Satisfied)]);
    assert_eq!((record.owed[0].outlets.clone(), record.pending_since()), (outlets(), Some(time(10))));
}

#[test]
fn a_later_finding_stands_for_the_ones_before() {
    let mut record = record(Open);
    record.opened(opening(None), &outlets(), time(6));
    record.refresh_finding(&outlets(), time(7));
    record.closed_by(Closing::Satisfied, &outlets(), time(8));
    assert_eq!(whats(&record), [&Told::Opened, &Told::Resolved(Closing::Satisfied)], "the refreshed one is not needed");
    let findings: Vec<_> = record.owed_to(Outlet::Finding).map(|debt| &debt.what).collect();
    assert_eq!(findings, [&Told::Resolved(Closing::Satisfied)]);
    assert_eq!(record.owed_to(Outlet::Event).count(), 2, "an event is a story");
}

#[test]
fn two_turns_in_one_instant_are_told_apart() {
    let mut record = record(Open);
    for at in [6, 6, 3] {
        record.opened(opening(None), &outlets(), time(at));
        record.closed_by(Closing::Satisfied, &outlets(), time(at));
    }
    let times: Vec<Timestamp> = record.owed.iter().map(|debt| debt.at).collect();
    assert_eq!(times.len(), 6);
    assert!(times.is_sorted_by(|earlier, later| earlier < later), "{times:?}");
    assert_eq!(record.pending_since(), Some(time(6)));
}

#[test]
fn of_many_turns_that_nobody_was_told_the_oldest_are_counted() {
    let people = only(&[Outlet::Topic]);
    let mut record = record(Open);
    for turn in 0..50 {
        if turn % 2 == 0 {
            record.opened(opening(None), &people, time(turn));
        } else {
            record.closed_by(Closing::Satisfied, &people, time(turn));
        }
        let folded: u32 = record.owed.iter().map(|debt| debt.folded).sum();
        assert!(record.owed.len() <= 8);
        assert_eq!(
            record.owed.len() + usize::try_from(folded).expect("small"),
            usize::try_from(turn).expect("small") + 1
        );
        // Opened and resolved alternate, and the first that is told is what it was.
        assert!(record.owed.iter().enumerate().all(|(n, debt)| (debt.what == Told::Opened) == (n % 2 == 0)));
    }
    assert_eq!(record.owed.last().map(|debt| &debt.what), Some(&Told::Resolved(Closing::Satisfied)));
    assert_eq!(record.owed[0].folded, 42);
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
    let mut before = record(Open);
    before.opened(opening(None), &outlets(), time(1));
    before.closed_by(Closing::FrameworkRemoved, &outlets(), time(2));
    before.opened(opening(Some(exempt())), &outlets(), time(3));
    before.exemption_ended(&outlets(), time(4));
    before.exempted(exempt(), &outlets(), time(6));
    before.refresh_finding(&outlets(), time(7));
    let json = serde_json::to_string(&before).expect("serialises");
    assert_eq!(serde_json::from_str::<Record>(&json).expect("deserialises"), before);
}

#[test]
fn a_group_is_what_is_told_together() {
    let other = Key { region: RegionName::parse("us-east-1").expect("a Region"), resource_id: "x".into(), ..key() };
    assert_eq!(other.group(), key().group());
    assert_eq!(key().group().to_string(), "222222222222#BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN");
    assert_ne!(Key { control: "other".into(), ..key() }.group(), key().group());
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

/// Applies a change as the use cases do: a turn is written down before the record is stored.
fn step(known: Option<&Record>, change: &Change, now: Timestamp) -> Option<(Record, Option<Turn>)> {
    let Outcome::Store { mut record, turn } = apply(known, change) else { return None };
    match turn {
        Some(Turn::Opens) => record.opened(opening(None), &outlets(), now),
        Some(Turn::Closes(closing)) => record.closed_by(closing, &outlets(), now),
        None => {}
    }
    Some((*record, turn))
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
        let mut turns: Vec<Turn> = Vec::new();
        for change in &changes {
            if let Some((record, turn)) = step(known.as_ref(), change, time(20)) {
                prop_assert_eq!(record.status == Open && record.since.is_none(), false);
                prop_assert_eq!(record.status == Open && record.closed.is_some(), false);
                known = Some(record);
                turns.extend(turn);
            }
        }
        let newest = changes.iter().max_by_key(|change| change.ordering).expect("at least one");
        let known = known.expect("the first is stored");
        prop_assert_eq!(known.status == Open, newest.compliance == NonCompliant);
        prop_assert!(known.ordering.same_result(&newest.ordering));
        prop_assert!(turns.iter().enumerate().all(|(n, turn)| (*turn == Turn::Opens) == (n % 2 == 0)), "{turns:?}");
        prop_assert_eq!(turns.len() % 2 == 1, known.status == Open, "what happened last is so");
    }

    /// Each outlet may be told at any time or not at all; in the end each has heard of every turn, once, in order.
    #[test]
    fn every_outlet_hears_of_every_turn_once(
        changes in deliveries(),
        told in prop::collection::vec(prop::sample::subsequence(vec![Outlet::Topic, Outlet::Chat, Outlet::Event], 0..=3), 16),
    ) {
        let mut known: Option<Record> = None;
        let mut turns = 0;
        let mut heard: Vec<(Outlet, Told)> = Vec::new();
        let tell = |record: &mut Record, outlet: Outlet, heard: &mut Vec<(Outlet, Told)>| {
            let debts: Vec<Debt> = record.owed_to(outlet).cloned().collect();
            heard.extend(debts.iter().map(|debt| (outlet, debt.what.clone())));
            record.told(outlet, &debts, time(30));
        };
        for (change, told) in changes.iter().zip(told) {
            if let Some((record, turn)) = step(known.as_ref(), change, time(20)) {
                known = Some(record);
                turns += usize::from(turn.is_some());
            }
            if let Some(record) = &mut known {
                told.into_iter().for_each(|outlet| tell(record, outlet, &mut heard));
            }
        }
        let mut record = known.expect("the first is stored");
        outlets().into_iter().for_each(|outlet| tell(&mut record, outlet, &mut heard));
        prop_assert_eq!(record.owed.len(), 0, "nothing is owed any more");
        for outlet in [Outlet::Topic, Outlet::Chat, Outlet::Event] {
            let story: Vec<_> = heard.iter().filter(|(to, _)| *to == outlet).map(|(_, what)| what).collect();
            prop_assert!(story.iter().enumerate().all(|(n, what)| (**what == Told::Opened) == (n % 2 == 0)), "{story:?}");
            prop_assert_eq!(story.len(), turns, "at most 8 turns: none is folded");
        }
        let findings = heard.iter().filter(|(to, _)| *to == Outlet::Finding).count();
        prop_assert_eq!(findings, usize::from(turns > 0), "only the last state");
    }

    #[test]
    fn sort_keys_sort_as_orderings_do(a in orderings(), b in orderings()) {
        prop_assert_eq!(a.sort_key().cmp(&b.sort_key()), a.cmp(&b), "{} {}", a.sort_key(), b.sort_key());
        prop_assert_eq!(a.sort_key().len(), b.sort_key().len());
    }
}

/// Throttling for days is not a rejection: it neither counts nor starts the five days.
#[test]
fn time_to_give_up_begins_with_the_first_rejection() {
    let hours = |hours: i64| time(6) + jiff::SignedDuration::from_hours(hours);
    let mut record = record(Open);
    record.opened(opening(None), &only(&[Outlet::Topic]), time(6));
    let debts = record.owed.clone();
    for hour in 0..200 {
        assert_eq!(record.not_delivered(Outlet::Topic, &debts, "throttled", false, hours(hour)), 0);
    }
    for hour in 200..319 {
        assert_eq!(record.not_delivered(Outlet::Topic, &debts, "denied", true, hours(hour)), 0, "{hour}");
    }
    assert_eq!(record.not_delivered(Outlet::Topic, &debts, "denied", true, hours(320)), 1);
    assert!(record.owed.is_empty() && record.undelivered[&Outlet::Topic].given_up);
}
