use std::collections::BTreeSet;

use jiff::Timestamp;
use proptest::prelude::*;

use framework::control::Severity;

use super::*;

fn key() -> ViolationKey {
    ViolationKey {
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

fn ordering(triggered: i64, recorded: i64, notified: i64) -> ResultOrdering {
    ResultOrdering { triggered: time(triggered), recorded: time(recorded), notified: time(notified) }
}

fn change(compliance: ComplianceType, ordering: ResultOrdering) -> ComplianceChange {
    ComplianceChange {
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

/// A record without pending deliveries.
fn record(status: ViolationStatus) -> ViolationRecord {
    let compliance = if status == Open { NonCompliant } else { Compliant };
    let ChangeOutcome::Store { record, .. } = apply(None, &change(compliance, ordering(0, 0, 0))) else {
        panic!("stored")
    };
    ViolationRecord {
        since: Some(time(-100)),
        rule_name: "before".into(),
        rule_arn: "before".into(),
        annotation: None,
        opened_by: OpenedBy::Regression,
        detected_by: DetectionSource::Sweep,
        closed_reason: (status == Closed).then_some(ClosedReason::Satisfied),
        severity: Severity::High,
        resource: ResourceDetails { name: Some("orders".into()), ..ResourceDetails::default() },
        finding_sent_at: Some(time(-50)),
        ..*record
    }
}

fn channels() -> BTreeSet<Channel> {
    [Channel::Topic, Channel::Chat, Channel::SecurityHub, Channel::EventBus].into()
}

fn only(channels: &[Channel]) -> BTreeSet<Channel> {
    channels.iter().copied().collect()
}

fn opening(exempt: Option<AppliedExemption>) -> Opening {
    let resource = ResourceDetails { arn: Some("arn".into()), ..ResourceDetails::default() };
    Opening {
        opened_by: OpenedBy::Rollout,
        detected_by: DetectionSource::Event,
        severity: Severity::Critical,
        resource,
        exemption: exempt,
    }
}

fn exempt() -> AppliedExemption {
    AppliedExemption {
        reason: "throw-away".into(),
        owner: "data@example.com".into(),
        until: "2026-12-31".parse().expect("a date"),
    }
}

/// Open and closed records: without pending deliveries, with one, with two, exempt.
fn states() -> Vec<ViolationRecord> {
    let mut states = Vec::new();
    for status in [Open, Closed] {
        states.push(record(status));
        let mut pending = record(status);
        match status {
            Open => pending.record_opening(opening(None), &channels(), time(1)),
            Closed => pending.record_closing(ClosedReason::ResourceGone, &channels(), time(1)),
        }
        states.push(pending.clone());
        // There and back without a delivery.
        match status {
            Open => pending.record_closing(ClosedReason::Satisfied, &channels(), time(2)),
            Closed => pending.record_opening(opening(None), &channels(), time(2)),
        }
        pending.status = status;
        states.push(pending);
        let exempted = ViolationRecord { exemption: (status == Open).then(exempt), ..record(status) };
        states.push(exempted);
    }
    states
}

fn updates(record: &ViolationRecord) -> Vec<&Update> {
    record.pending.iter().map(|delivery| &delivery.update).collect()
}

use super::ComplianceType::{Compliant, NonCompliant, NotApplicable};
use super::ViolationStatus::{Closed, Open};

#[test]
fn first_result_opens_or_is_recorded() {
    for (compliance, status, since, turn) in [
        (NonCompliant, Open, Some(time(5)), Some(Transition::Opens)),
        (Compliant, Closed, None, None),
        (NotApplicable, Closed, None, None),
    ] {
        let change = change(compliance, ordering(5, 6, 7));
        let ChangeOutcome::Store { record: stored, transition: found } = apply(None, &change) else {
            panic!("{compliance:?} is stored")
        };
        assert_eq!((stored.status, stored.since, found), (status, since, turn), "{compliance:?}");
        assert_eq!((stored.ordering, stored.rule_name.as_str()), (change.ordering, "rule"));
        assert_eq!((stored.closed_reason, stored.pending.len(), &stored.exemption), (None, 0, &None));
    }
}

#[test]
fn newer_result_causes_expected_transition() {
    let before = Some(time(-100));
    let now = Some(time(5));
    // known, result, status, since, turn
    let cases = [
        (Open, NonCompliant, Open, before, None),
        (Open, Compliant, Closed, before, Some(Transition::Closes(ClosedReason::Satisfied))),
        (Open, NotApplicable, Closed, before, Some(Transition::Closes(ClosedReason::NotApplicable))),
        (Closed, NonCompliant, Open, now, Some(Transition::Opens)),
        (Closed, Compliant, Closed, before, None),
        (Closed, NotApplicable, Closed, before, None),
    ];
    for known in states() {
        for (_, compliance, expected, since, turn) in cases.iter().filter(|(status, ..)| *status == known.status) {
            let change = change(*compliance, ordering(5, 5, 5));
            let what = format!("{:?} with pending {:?}, {compliance:?}", known.status, updates(&known));
            let ChangeOutcome::Store { record: stored, transition: found } = apply(Some(&known), &change) else {
                panic!("{what} is stored")
            };
            assert_eq!((stored.status, stored.since, found), (*expected, *since, *turn), "{what}");
            // The result changes its own fields only; the transition changes the others.
            let expected = ViolationRecord {
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
fn duplicate_and_older_results_change_nothing() {
    for known in states() {
        for compliance in [Compliant, NonCompliant, NotApplicable] {
            let same_state = (known.status == Open) == (compliance == NonCompliant);
            for (what, ordering, quiet) in [
                (
                    "the same",
                    ordering(0, 0, 0),
                    if same_state { SuppressedReason::Duplicate } else { SuppressedReason::OutOfOrder },
                ),
                ("triggered earlier", ordering(-1, 9, 9), SuppressedReason::OutOfOrder),
                ("recorded earlier", ordering(0, -1, 9), SuppressedReason::OutOfOrder),
            ] {
                let outcome = apply(Some(&known), &change(compliance, ordering));
                assert_eq!(outcome, ChangeOutcome::Suppressed(quiet), "{what}: {:?} {compliance:?}", known.status);
            }
            // Config repeats a notification with a later notification time.
            let again = apply(Some(&known), &change(compliance, ordering(0, 0, 9)));
            assert_eq!(
                again == ChangeOutcome::Suppressed(SuppressedReason::Duplicate),
                same_state,
                "{:?} {compliance:?}",
                known.status
            );
        }
    }
}

#[test]
fn result_without_rule_arn_keeps_known_one() {
    let change = ComplianceChange { rule_arn: String::new(), ..change(NonCompliant, ordering(5, 5, 5)) };
    let ChangeOutcome::Store { record: stored, .. } = apply(Some(&record(Open)), &change) else { panic!("stored") };
    assert_eq!((stored.rule_name.as_str(), stored.rule_arn.as_str()), ("rule", "before"));
}

#[test]
fn opening_is_pending_for_all_channels() {
    let mut record = ViolationRecord { closed_reason: Some(ClosedReason::ResourceGone), ..record(Open) };
    record.record_opening(opening(None), &channels(), time(6));
    assert_eq!(
        (record.opened_by, record.detected_by, record.severity),
        (OpenedBy::Rollout, DetectionSource::Event, Severity::Critical)
    );
    assert_eq!(record.closed_reason, None);
    assert_eq!(record.resource, opening(None).resource);
    let delivery = PendingDelivery {
        update: Update::Opened,
        at: time(6),
        since: record.since,
        channels: channels(),
        earlier_transitions: 0,
    };
    assert_eq!(record.pending, [delivery]);
}

#[test]
fn closing_is_pending_with_its_reason() {
    for closing in [
        ClosedReason::Satisfied,
        ClosedReason::NotApplicable,
        ClosedReason::ResourceGone,
        ClosedReason::ControlRemoved,
        ClosedReason::FrameworkRemoved,
    ] {
        let mut record = record(Open);
        record.record_closing(closing, &channels(), time(6));
        assert_eq!((record.status, record.closed_reason), (Closed, Some(closing)));
        let delivery = PendingDelivery {
            update: Update::Resolved(closing),
            at: time(6),
            since: record.since,
            channels: channels(),
            earlier_transitions: 0,
        };
        assert_eq!(record.pending, [delivery]);
    }
}

#[test]
fn exempt_violation_has_no_pending_deliveries() {
    let mut record = record(Open);
    record.record_opening(opening(Some(exempt())), &channels(), time(6));
    assert_eq!((&record.exemption, record.pending.len(), record.status), (&Some(exempt()), 0, Open));
    // Without a notice about the opening there is none about the end.
    let mut closed = record.clone();
    closed.record_closing(ClosedReason::Satisfied, &channels(), time(7));
    assert_eq!((&closed.exemption, closed.pending.len(), closed.status), (&None, 0, Closed));
    // After the exemption it is a regular violation.
    record.record_exemption_end(&channels(), time(7));
    assert_eq!((&record.exemption, updates(&record)), (&None, vec![&Update::ExemptionEnded(exempt())]));
    record.record_exemption_end(&channels(), time(8));
    assert_eq!(record.pending.len(), 1, "the exemption ends once");
    record.record_closing(ClosedReason::Satisfied, &channels(), time(9));
    assert_eq!(updates(&record), [&Update::ExemptionEnded(exempt()), &Update::Resolved(ClosedReason::Satisfied)]);
}

#[test]
fn later_exemption_is_pending_and_suppresses_end() {
    let mut record = record(Open);
    record.record_exemption(exempt(), &channels(), time(6));
    assert_eq!((&record.exemption, record.status), (&Some(exempt()), Open));
    assert_eq!(updates(&record), [&Update::Exempted(exempt())]);
    record.record_closing(ClosedReason::Satisfied, &channels(), time(7));
    assert_eq!(updates(&record), [&Update::Exempted(exempt())], "the exemption was the last update");
}

#[test]
fn refreshed_finding_is_pending_for_security_hub() {
    let mut record = record(Open);
    record.request_finding_refresh(&channels(), time(8));
    assert_eq!(record.pending[0].update, Update::Refreshed);
    assert_eq!(record.pending[0].channels, only(&[Channel::SecurityHub]));
    // Without the channel, nothing is pending.
    let before = record.pending.clone();
    record.request_finding_refresh(&only(&[Channel::Topic]), time(9));
    assert_eq!(record.pending, before);
}

#[test]
fn no_channels_no_pending_deliveries() {
    let mut record = record(Open);
    record.record_opening(opening(None), &BTreeSet::new(), time(6));
    record.record_closing(ClosedReason::Satisfied, &BTreeSet::new(), time(7));
    assert_eq!((record.pending.len(), record.next_delivery()), (0, None));
}

#[test]
fn delivered_updates_are_removed_by_channel() {
    let mut record = record(Open);
    record.record_opening(opening(None), &channels(), time(6));
    let deliveries = record.pending.clone();
    record.record_delivery(Channel::Topic, &deliveries, time(7));
    assert_eq!(record.pending[0].channels, only(&[Channel::Chat, Channel::SecurityHub, Channel::EventBus]));
    assert_eq!((record.pending_for(Channel::Topic).count(), record.pending_for(Channel::Chat).count()), (0, 1));
    assert_eq!(record.finding_sent_at, Some(time(-50)), "not the channel of findings");
    // Deliveries are idempotent.
    record.record_delivery(Channel::Topic, &deliveries, time(8));
    record.record_delivery(Channel::SecurityHub, &deliveries, time(9));
    assert_eq!(record.finding_sent_at, Some(time(9)));
    // Later updates stay pending.
    record.record_closing(ClosedReason::Satisfied, &channels(), time(10));
    for channel in channels() {
        record.record_delivery(channel, &deliveries, time(11));
    }
    assert_eq!(updates(&record), [&Update::Resolved(ClosedReason::Satisfied)]);
    assert_eq!((record.pending[0].channels.clone(), record.next_delivery()), (channels(), Some(time(10))));
}

#[test]
fn later_finding_replaces_earlier_ones() {
    let mut record = record(Open);
    record.record_opening(opening(None), &channels(), time(6));
    record.request_finding_refresh(&channels(), time(7));
    record.record_closing(ClosedReason::Satisfied, &channels(), time(8));
    assert_eq!(
        updates(&record),
        [&Update::Opened, &Update::Resolved(ClosedReason::Satisfied)],
        "the refreshed finding is replaced"
    );
    let findings: Vec<_> = record.pending_for(Channel::SecurityHub).map(|delivery| &delivery.update).collect();
    assert_eq!(findings, [&Update::Resolved(ClosedReason::Satisfied)]);
    assert_eq!(record.pending_for(Channel::EventBus).count(), 2, "events are not replaced");
}

#[test]
fn transitions_in_one_instant_have_different_times() {
    let mut record = record(Open);
    for at in [6, 6, 3] {
        record.record_opening(opening(None), &channels(), time(at));
        record.record_closing(ClosedReason::Satisfied, &channels(), time(at));
    }
    let times: Vec<Timestamp> = record.pending.iter().map(|delivery| delivery.at).collect();
    assert_eq!(times.len(), 6);
    assert!(times.is_sorted_by(|earlier, later| earlier < later), "{times:?}");
    assert_eq!(record.next_delivery(), Some(time(6)));
}

#[test]
fn oldest_of_many_pending_deliveries_are_counted() {
    let people = only(&[Channel::Topic]);
    let mut record = record(Open);
    for turn in 0..50 {
        if turn % 2 == 0 {
            record.record_opening(opening(None), &people, time(turn));
        } else {
            record.record_closing(ClosedReason::Satisfied, &people, time(turn));
        }
        let folded: u32 = record.pending.iter().map(|delivery| delivery.earlier_transitions).sum();
        assert!(record.pending.len() <= 8);
        assert_eq!(
            record.pending.len() + usize::try_from(folded).expect("small"),
            usize::try_from(turn).expect("small") + 1
        );
        // Opened and resolved alternate.
        assert!(
            record.pending.iter().enumerate().all(|(n, delivery)| (delivery.update == Update::Opened) == (n % 2 == 0))
        );
    }
    assert_eq!(
        record.pending.last().map(|delivery| &delivery.update),
        Some(&Update::Resolved(ClosedReason::Satisfied))
    );
    assert_eq!(record.pending[0].earlier_transitions, 42);
}

#[test]
fn known_compliance_types_are_parsed() {
    for (word, compliance) in [
        ("COMPLIANT", Some(Compliant)),
        ("NON_COMPLIANT", Some(NonCompliant)),
        ("NOT_APPLICABLE", Some(NotApplicable)),
        ("INSUFFICIENT_DATA", None),
        ("compliant", None),
        ("", None),
    ] {
        assert_eq!(ComplianceType::from_api(word), compliance, "{word}");
    }
}

#[test]
fn record_survives_serialization() {
    let mut before = record(Open);
    before.record_opening(opening(None), &channels(), time(1));
    before.record_closing(ClosedReason::FrameworkRemoved, &channels(), time(2));
    before.record_opening(opening(Some(exempt())), &channels(), time(3));
    before.record_exemption_end(&channels(), time(4));
    before.record_exemption(exempt(), &channels(), time(6));
    before.request_finding_refresh(&channels(), time(7));
    let json = serde_json::to_string(&before).expect("JSON");
    assert_eq!(serde_json::from_str::<ViolationRecord>(&json).expect("deserialises"), before);
}

#[test]
fn group_is_account_and_control() {
    let other =
        ViolationKey { region: RegionName::parse("us-east-1").expect("a Region"), resource_id: "x".into(), ..key() };
    assert_eq!(other.group(), key().group());
    assert_eq!(key().group().to_string(), "222222222222#BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN");
    assert_ne!(ViolationKey { control: "other".into(), ..key() }.group(), key().group());
}

fn compliances() -> impl Strategy<Value = ComplianceType> {
    prop_oneof![Just(Compliant), Just(NonCompliant), Just(NotApplicable)]
}

/// Changes in any order, with results of different times, some notified several times.
fn deliveries() -> impl Strategy<Value = Vec<ComplianceChange>> {
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

/// Applies a change like the use cases: a transition is recorded before the record is stored.
fn step(
    known: Option<&ViolationRecord>,
    change: &ComplianceChange,
    now: Timestamp,
) -> Option<(ViolationRecord, Option<Transition>)> {
    let ChangeOutcome::Store { mut record, transition: turn } = apply(known, change) else { return None };
    match turn {
        Some(Transition::Opens) => record.record_opening(opening(None), &channels(), now),
        Some(Transition::Closes(closing)) => record.record_closing(closing, &channels(), now),
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

fn orderings() -> impl Strategy<Value = ResultOrdering> {
    (times(), times(), times()).prop_map(|(triggered, recorded, notified)| ResultOrdering {
        triggered,
        recorded,
        notified,
    })
}

proptest! {
    #[test]
    fn newest_result_wins_in_any_order(changes in deliveries()) {
        let mut known: Option<ViolationRecord> = None;
        let mut turns: Vec<Transition> = Vec::new();
        for change in &changes {
            if let Some((record, turn)) = step(known.as_ref(), change, time(20)) {
                prop_assert_eq!(record.status == Open && record.since.is_none(), false);
                prop_assert_eq!(record.status == Open && record.closed_reason.is_some(), false);
                known = Some(record);
                turns.extend(turn);
            }
        }
        let newest = changes.iter().max_by_key(|change| change.ordering).expect("at least one");
        let known = known.expect("the first is stored");
        prop_assert_eq!(known.status == Open, newest.compliance == NonCompliant);
        prop_assert!(known.ordering.same_result(&newest.ordering));
        prop_assert!(turns.iter().enumerate().all(|(n, turn)| (*turn == Transition::Opens) == (n % 2 == 0)), "{turns:?}");
        prop_assert_eq!(turns.len() % 2 == 1, known.status == Open, "the last transition gives the status");
    }

    /// Deliveries at random times: in the end each channel received each transition once, in order.
    #[test]
    fn every_channel_receives_each_transition_once(
        changes in deliveries(),
        delivered in prop::collection::vec(prop::sample::subsequence(vec![Channel::Topic, Channel::Chat, Channel::EventBus], 0..=3), 16),
    ) {
        let mut known: Option<ViolationRecord> = None;
        let mut turns = 0;
        let mut received: Vec<(Channel, Update)> = Vec::new();
        let deliver = |record: &mut ViolationRecord, channel: Channel, received: &mut Vec<(Channel, Update)>| {
            let deliveries: Vec<PendingDelivery> = record.pending_for(channel).cloned().collect();
            received.extend(deliveries.iter().map(|delivery| (channel, delivery.update.clone())));
            record.record_delivery(channel, &deliveries, time(30));
        };
        for (change, delivered) in changes.iter().zip(delivered) {
            if let Some((record, turn)) = step(known.as_ref(), change, time(20)) {
                known = Some(record);
                turns += usize::from(turn.is_some());
            }
            if let Some(record) = &mut known {
                delivered.into_iter().for_each(|channel| deliver(record, channel, &mut received));
            }
        }
        let mut record = known.expect("the first is stored");
        channels().into_iter().for_each(|channel| deliver(&mut record, channel, &mut received));
        prop_assert_eq!(record.pending.len(), 0, "no delivery is pending");
        for channel in [Channel::Topic, Channel::Chat, Channel::EventBus] {
            let updates: Vec<_> = received.iter().filter(|(to, _)| *to == channel).map(|(_, what)| what).collect();
            prop_assert!(updates.iter().enumerate().all(|(n, what)| (**what == Update::Opened) == (n % 2 == 0)), "{updates:?}");
            prop_assert_eq!(updates.len(), turns, "at most 8 transitions: none is only counted");
        }
        let findings = received.iter().filter(|(to, _)| *to == Channel::SecurityHub).count();
        prop_assert_eq!(findings, usize::from(turns > 0), "only the last finding");
    }

    #[test]
    fn sort_key_sorts_like_ordering(a in orderings(), b in orderings()) {
        prop_assert_eq!(a.sort_key().cmp(&b.sort_key()), a.cmp(&b), "{} {}", a.sort_key(), b.sort_key());
        prop_assert_eq!(a.sort_key().len(), b.sort_key().len());
    }
}

/// Throttling is not a rejection: it neither counts nor starts the five days.
#[test]
fn time_to_abandon_starts_at_first_rejection() {
    let hours = |hours: i64| time(6) + jiff::SignedDuration::from_hours(hours);
    let mut record = record(Open);
    record.record_opening(opening(None), &only(&[Channel::Topic]), time(6));
    let deliveries = record.pending.clone();
    for hour in 0..200 {
        assert_eq!(record.record_failure(Channel::Topic, &deliveries, "throttled", false, hours(hour)), 0);
    }
    for hour in 200..319 {
        assert_eq!(record.record_failure(Channel::Topic, &deliveries, "denied", true, hours(hour)), 0, "{hour}");
    }
    assert_eq!(record.record_failure(Channel::Topic, &deliveries, "denied", true, hours(320)), 1);
    assert!(record.pending.is_empty() && record.delivery_failures[&Channel::Topic].is_abandoned);
}
