//! The sweep: lost events, ended violations, blind spots, reminders, and pending deliveries. Long because its tests share one form.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::json;

use app::deploy::ControlVariant;
use app::ports::{PortErrorKind, Versioned};
use app::sweep::ports::ComplianceApi;
use domain::notice::{BlindSpotCause, BlindSpotReason, Notice};
use domain::policy::{Exemption, Reporting};
use domain::violation::{
    Channel, ClosedReason, ComplianceType, DetectionSource, OpenedBy, Opening, ResourceDetails, Update, ViolationStatus,
};
use framework::control::Severity;
use framework::ids::RegionName;
use testkit::scenario::{COVERAGE, HOME, RULE, Scenario, account, event, region, time};

#[test]
fn lost_event_is_found_and_reported_once() {
    let scenario = Scenario::new();
    scenario.in_force(&[HOME]).config("orders", ComplianceType::NonCompliant);
    let swept = scenario.sweep();
    assert_eq!((swept.accounts, swept.opened, swept.closed, swept.blind_spots), (1, 1, 0, 0), "{swept:?}");
    assert!(swept.complete && swept.failures.is_empty());
    let notices = scenario.take_notices();
    let Notice::ViolationOpened(notice) = &notices[0] else { panic!("{notices:?}") };
    assert_eq!((notices.len(), notice.detected_by), (1, DetectionSource::Sweep));
    let swept = scenario.sweep();
    assert_eq!((swept.opened, swept.reopened), (0, 0));
    scenario.report(&[event("orders", "NON_COMPLIANT", 10)]);
    assert!(scenario.kinds().is_empty(), "the late event is a duplicate");
}

#[test]
fn ended_violation_is_closed_with_reason() {
    for (now_in_config, expected) in [
        (Some(ComplianceType::Compliant), ClosedReason::Satisfied),
        // No result any more: the resource was deleted.
        (None, ClosedReason::ResourceGone),
    ] {
        let scenario = Scenario::new();
        scenario.in_force(&[HOME]).config_at(HOME, "orders", now_in_config, 30);
        scenario.report(&[event("orders", "NON_COMPLIANT", 10)]);
        scenario.take_notices();
        let swept = scenario.sweep();
        assert_eq!(swept.closed, 1, "{expected:?}: {swept:?}");
        assert_eq!(scenario.closings(), [expected]);
    }
}

#[test]
fn rule_without_results_closes_deleted_only() {
    let scenario = Scenario::new();
    scenario.in_force(&[HOME]);
    // The aggregator shows a rule of another control and none of this one: it omits rules without results.
    let other = "BACKUP_RECOVERY_POINT_ENCRYPTED-1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d".to_owned();
    scenario.state().compliance.insert((account(HOME), region()), BTreeMap::from([(other, Vec::new())]));
    scenario.report(&[event("orders", "NON_COMPLIANT", 10), event("deleted", "NON_COMPLIANT", 10)]);
    scenario.take_notices();
    scenario.resource(HOME, "orders", ResourceDetails::default());
    let swept = scenario.sweep();
    assert_eq!((swept.closed, swept.blind_spots), (1, 0), "{swept:?}");
    assert_eq!(scenario.closings(), [ClosedReason::ResourceGone]);
    let open: Vec<_> =
        scenario.state().violations.values().filter(|r| r.value.status == ViolationStatus::Open).cloned().collect();
    assert_eq!(
        (open.len(), open[0].value.key.resource_id.as_str()),
        (1, "orders"),
        "it exists, and has no new evaluation yet"
    );
}

#[test]
fn recreated_framework_closes_deleted_only() {
    let scenario = Scenario::new();
    scenario.in_force(&[HOME]);
    scenario.report(&[event("orders", "NON_COMPLIANT", 10), event("deleted", "NON_COMPLIANT", 10)]);
    scenario.take_notices();
    // The new rule has a new name, and has evaluated one other resource only.
    let renamed = RULE.replace("1b2c3d4e", "99999999");
    scenario.config_at(HOME, "other", Some(ComplianceType::Compliant), 20);
    for rules in scenario.state().compliance.values_mut() {
        let mut results = rules.remove(RULE).unwrap();
        results.iter_mut().for_each(|result| result.rule_name.clone_from(&renamed));
        rules.insert(renamed.clone(), results);
    }
    scenario.resource(HOME, "orders", ResourceDetails::default());
    let swept = scenario.sweep();
    assert_eq!((swept.closed, swept.opened), (1, 0), "{swept:?}");
    assert_eq!(scenario.closings(), [ClosedReason::ResourceGone]);
}

#[test]
fn missing_resource_details_are_added_later() {
    let scenario = Scenario::new();
    scenario.in_force(&[HOME]).config("orders", ComplianceType::NonCompliant);
    let mut exemption = scratch("2099-01-31");
    exemption.resources = vec!["arn:aws:rds:*:*:cluster:scratch-*".into()];
    exemption.tags = BTreeMap::from([("stage".to_owned(), "sandbox".to_owned())]);
    scenario.state().reporting = Some(Reporting { exemptions: vec![exemption], ..Reporting::default() });
    scenario.report(&[event("orders", "NON_COMPLIANT", 10)]);
    assert_eq!(scenario.kinds(), ["violation.opened"], "its details are missing");
    let facts = ResourceDetails {
        name: Some("scratch-1".into()),
        arn: Some("arn:aws:rds:eu-west-1:222222222222:cluster:scratch-1".into()),
        tags: BTreeMap::from([("stage".to_owned(), "sandbox".to_owned())]),
    };
    scenario.resource(HOME, "orders", facts.clone());
    let swept = scenario.sweep();
    assert_eq!(swept.exempted, 1, "{swept:?}");
    assert_eq!(scenario.state().violations.values().next().unwrap().value.resource, facts);
}

#[test]
fn unsettled_deletion_does_not_delay_findings() {
    let scenario = Scenario::new();
    scenario.in_force(&[HOME]);
    scenario.report(&[event("orders", "NON_COMPLIANT", 10)]);
    scenario.config_at(HOME, "orders", Some(ComplianceType::Compliant), 30).config_at(
        HOME,
        "lost",
        Some(ComplianceType::NonCompliant),
        30,
    );
    scenario.take_notices();
    scenario.fail_next("config:GetAggregateComplianceDetailsByConfigRule", PortErrorKind::Retryable);
    let swept = scenario.sweep();
    assert_eq!((swept.opened, swept.closed, swept.blind_spots, swept.failures.len()), (1, 0, 0, 1), "{swept:?}");
    scenario.expect(&["violation.opened"]);
    assert_eq!(scenario.sweep().closed, 1, "settled by the next sweep");
}

#[test]
fn lagging_aggregator_changes_nothing() {
    let scenario = Scenario::new();
    scenario.in_force(&[HOME]).config_at(HOME, "orders", Some(ComplianceType::Compliant), 5).config_at(
        HOME,
        "bills",
        Some(ComplianceType::NonCompliant),
        5,
    );
    scenario.report(&[event("orders", "NON_COMPLIANT", 10), event("bills", "COMPLIANT", 10)]);
    let mut fresh = event("fresh", "NON_COMPLIANT", 10);
    fresh["detail"]["notificationCreationTime"] = json!(scenario.state().now.to_string());
    scenario.report(&[fresh]);
    scenario.take_notices();
    let swept = scenario.sweep();
    assert_eq!((swept.opened, swept.closed, swept.reopened), (0, 0, 0), "{swept:?}");
    scenario.after_hours(2);
    let swept = scenario.sweep();
    assert_eq!(swept.closed, 1, "the resource that is still missing in the aggregator was deleted: {swept:?}");
    scenario.config("fresh", ComplianceType::NonCompliant);
    scenario.after_hours(1);
    assert_eq!(scenario.sweep().reopened, 1, "reopened by its result");
}

#[test]
fn stale_record_is_corrected() {
    let scenario = Scenario::new();
    scenario.in_force(&[HOME]);
    scenario.report(&[event("orders", "NON_COMPLIANT", 10), event("orders", "COMPLIANT", 20)]);
    scenario.take_notices();
    scenario.config_at(HOME, "orders", Some(ComplianceType::NonCompliant), 30);
    assert_eq!(scenario.sweep().reopened, 1);
    scenario.expect(&["violation.opened"]);
}

#[test]
fn removed_control_or_framework_closes_violations() {
    let scenario = Scenario::new();
    scenario.in_force(&[HOME]);
    scenario.report(&[event("orders", "NON_COMPLIANT", 10)]);
    scenario.take_notices();
    scenario.in_force(&["333333333333"]);
    assert_eq!(scenario.sweep().closed, 1);
    assert_eq!(scenario.closings(), [ClosedReason::FrameworkRemoved]);

    scenario.report(&[event("orders", "COMPLIANT", 20)]);
    scenario.in_force(&[HOME]);
    scenario.report(&[event("orders", "NON_COMPLIANT", 30)]);
    for facts in scenario.state().frameworks.values_mut() {
        for variant in &mut facts.variants {
            variant.controls = BTreeMap::from([("BACKUP_RECOVERY_POINT_ENCRYPTED".to_owned(), BTreeMap::new())]);
        }
    }
    scenario.take_notices();
    scenario.sweep();
    assert!(scenario.closings().contains(&ClosedReason::ControlRemoved));
}

#[test]
fn unpublished_frameworks_remove_nothing() {
    let scenario = Scenario::new();
    scenario.report(&[event("orders", "NON_COMPLIANT", 10)]);
    assert_eq!(scenario.sweep().closed, 0);
}

#[test]
fn unobserved_location_is_a_blind_spot() {
    let scenario = Scenario::new();
    scenario.in_force(&[HOME, "333333333333"]).config("orders", ComplianceType::NonCompliant);
    scenario.report(&[event("orders", "NON_COMPLIANT", 10)]);
    scenario.state().hidden.insert((ComplianceApi::Aggregator, account(HOME), region()));
    scenario.take_notices();
    let swept = scenario.sweep();
    assert_eq!((swept.closed, swept.blind_spots), (0, 2), "{swept:?}");
    let notices = scenario.take_notices();
    let Notice::BlindSpots(spots) = &notices[0] else { panic!("{notices:?}") };
    assert_eq!(spots.spots.len(), 2);
    assert_eq!(scenario.sweep().blind_spots, 2, "counted each time");
    assert!(scenario.kinds().is_empty(), "reported once");
    for facts in scenario.state().frameworks.values_mut() {
        let elsewhere = BTreeSet::from([RegionName::parse("us-west-2").unwrap()]);
        let nothing = ControlVariant { regions: elsewhere, controls: BTreeMap::new(), ..facts.variants[0].clone() };
        facts.variants.push(nothing);
    }
    assert_eq!(scenario.sweep().blind_spots, 2, "a location without controls is not a blind spot");

    scenario.state().sources = vec![ComplianceApi::Aggregator, ComplianceApi::Query, ComplianceApi::Member];
    let swept = scenario.sweep();
    assert_eq!((swept.closed, swept.blind_spots), (0, 1), "another source shows it: {swept:?}");
    scenario.state().hidden.clear();
    scenario.fail_next("config:DescribeAggregateComplianceByConfigRules", PortErrorKind::Denied);
    scenario.state().sources = vec![ComplianceApi::Aggregator];
    let swept = scenario.sweep();
    assert_eq!(
        (swept.closed, swept.blind_spots, swept.failures.len()),
        (0, 2, 1),
        "a failed call closes nothing: {swept:?}"
    );
}

#[test]
fn throttled_account_is_blind_after_second_round() {
    let scenario = Scenario::new();
    scenario.in_force(&[HOME]).config("orders", ComplianceType::NonCompliant);
    let throttle = |times: usize| {
        (0..times).for_each(|_| {
            scenario.fail_next("config:DescribeAggregateComplianceByConfigRules", PortErrorKind::Retryable)
        });
    };
    throttle(1);
    let swept = scenario.sweep();
    assert_eq!((swept.blind_spots, swept.opened, swept.accounts), (0, 1, 1), "{swept:?}");
    scenario.expect(&["violation.opened"]);
    throttle(2);
    assert_eq!(scenario.sweep().blind_spots, 1);
    scenario.expect(&["violation.digest"]);
    throttle(2);
    assert_eq!(scenario.sweep().blind_spots, 1);
    assert_eq!(scenario.kinds(), [""; 0], "once");
    // The known cause stays while throttling hides it.
    scenario.fail_next("config:DescribeAggregateComplianceByConfigRules", PortErrorKind::Denied);
    scenario.sweep();
    scenario.expect(&["violation.digest"]);
    throttle(2);
    scenario.sweep();
    scenario.expect_silence();
    assert_eq!(scenario.state().blind[0].reason.cause, BlindSpotCause::AccessDenied);
    assert_eq!(scenario.sweep().blind_spots, 0);
}

#[test]
fn sweep_stops_before_deadline_and_continues() {
    let scenario = Scenario::new();
    let accounts = ["111111111111", HOME, "333333333333", "444444444444", "555555555555"];
    scenario.in_force(&accounts);
    for id in accounts {
        scenario.config_at(id, "orders", Some(ComplianceType::NonCompliant), 10);
    }
    let minutes = Cell::new(4_u64);
    let time_left = || {
        minutes.set(minutes.get().saturating_sub(1));
        Some(Duration::from_secs(60 * minutes.get()))
    };
    let first = scenario.sweep_within(time_left);
    assert_eq!((first.accounts, first.opened, first.complete), (2, 2, false), "{first:?}");
    let second = scenario.sweep();
    assert_eq!((second.accounts, second.opened, second.complete), (3, 3, true), "{second:?}");
    assert_eq!(scenario.sweep().accounts, 5, "the next round starts over");
}

#[test]
fn owners_and_platform_get_one_reminder_a_week() {
    let scenario = Scenario::new();
    let accounts = [HOME, "333333333333", "444444444444"];
    scenario.in_force(&accounts);
    scenario.state().now = time(10, "00");
    assert_eq!(scenario.sweep().reminded, 0, "the first week begins");
    for id in accounts {
        for name in ["orders", "bills"] {
            scenario.config_at(id, name, Some(ComplianceType::NonCompliant), 10);
            if name == "orders" {
                let tags = [("owner".to_owned(), "orders-team".to_owned())].into();
                scenario.resource(id, name, ResourceDetails { tags, ..ResourceDetails::default() });
            }
        }
    }
    scenario.state().now = time(10, "10");
    assert_eq!(scenario.sweep().opened, 6);
    scenario.take_notices();
    let mut sent = BTreeMap::new();
    for hour in 0..24 * 22 {
        scenario.after_hours(1);
        let swept = scenario.sweep();
        let notices = scenario.take_notices();
        assert_eq!(swept.reminded, reminders(&notices).values().map(|(violations, _)| violations).sum::<usize>());
        if !notices.is_empty() {
            sent.insert(hour / 24, reminders(&notices));
        }
    }
    // A day old after a week, as the sweep of that hour found them; seven days old a week later. Three accounts, and
    // one for each owner.
    let both = BTreeMap::from([(None, (3, 3)), (Some("orders-team".to_owned()), (3, 3))]);
    assert_eq!(sent, BTreeMap::from([(6, both.clone()), (13, both.clone()), (20, both.clone())]), "{sent:?}");

    // A failed reminder is sent by the next sweep, without the others.
    scenario.after_hours(24 * 7);
    scenario.fail_next("sns:Publish", PortErrorKind::Retryable);
    let swept = scenario.sweep();
    assert_eq!((swept.reminded, swept.failures.len()), (3, 1), "{swept:?}");
    assert_eq!(reminders(&scenario.take_notices()).len(), 1);
    scenario.after_hours(1);
    assert_eq!(scenario.sweep().reminded, 3);
    assert_eq!(reminders(&scenario.take_notices()).keys().cloned().collect::<Vec<_>>(), [None]);
    scenario.after_hours(1);
    assert_eq!(scenario.sweep().reminded, 0, "once");

    // Reminders contain no exempt or closed violations, and none for a policy without reminders.
    scenario.state().reporting = Some(Reporting { exemptions: vec![scratch("2030-12-31")], ..Reporting::default() });
    scenario.after_hours(24 * 7);
    let swept = scenario.sweep();
    assert_eq!((swept.exempted, swept.reminded), (6, 0), "{swept:?}");
    scenario.state().reporting = Some(Reporting { reminders: Vec::new(), ..Reporting::default() });
    scenario.after_hours(24 * 7);
    let swept = scenario.sweep();
    assert_eq!((swept.exemptions_ended, swept.reminded), (6, 0), "{swept:?}");
}

/// The reminders among notices: the number of violations and accounts, by owner.
fn reminders(notices: &[Notice]) -> BTreeMap<Option<String>, (usize, usize)> {
    let mut found = BTreeMap::new();
    for notice in notices {
        let Notice::ViolationReminder(reminder) = notice else { continue };
        let accounts: BTreeSet<_> = reminder.violations.iter().map(|open| &open.key.account).collect();
        let one = found.insert(reminder.owner.clone(), (reminder.violations.len(), accounts.len()));
        assert_eq!(one, None, "one each");
    }
    found
}

#[test]
fn blind_spots_have_their_cause() {
    let scenario = Scenario::new();
    scenario.in_force(&[HOME, "333333333333"]);
    let causes = |notices: &[Notice]| -> Vec<BlindSpotCause> {
        let spots = notices.iter().filter_map(|notice| match notice {
            Notice::BlindSpots(spots) => Some(&spots.spots),
            _ => None,
        });
        spots.flatten().map(|spot| spot.reason.cause).collect()
    };
    let place = |id: &str| (account(id), region());
    // Covered, recording, and without a result; and one that the aggregator does not cover.
    let reason = BlindSpotReason { cause: BlindSpotCause::NotAggregated, detail: None };
    scenario.state().blind_reasons.insert(place("333333333333"), reason);
    scenario.sweep();
    assert_eq!(causes(&scenario.take_notices()), [BlindSpotCause::NoResult, BlindSpotCause::NotAggregated]);
    // A changed cause is reported, the same cause is not.
    let reason = BlindSpotReason { cause: BlindSpotCause::NotRecording, detail: None };
    scenario.state().blind_reasons.insert(place("333333333333"), reason);
    scenario.sweep();
    assert_eq!(causes(&scenario.take_notices()), [BlindSpotCause::NotRecording]);
    scenario.sweep();
    assert_eq!(causes(&scenario.take_notices()), []);
    // A known cause stays while the aggregator cannot be queried.
    scenario.fail_next("config:DescribeConfigurationAggregatorSourcesStatus", PortErrorKind::Retryable);
    scenario.sweep();
    assert_eq!(causes(&scenario.take_notices()), []);
    scenario.sweep();
    assert_eq!(causes(&scenario.take_notices()), [], "and is not reported afterwards");
    // Without causes, the blind spots are reported all the same.
    scenario.state().blind.clear();
    scenario.fail_next("config:DescribeConfigurationAggregatorSourcesStatus", PortErrorKind::Retryable);
    let swept = scenario.sweep();
    assert_eq!((swept.blind_spots, swept.failures.len()), (2, 1), "{swept:?}");
    assert_eq!(causes(&scenario.take_notices()), [BlindSpotCause::NoResult; 2]);
    for (kind, cause) in [
        (PortErrorKind::Retryable, BlindSpotCause::Throttled),
        (PortErrorKind::Denied, BlindSpotCause::AccessDenied),
        (PortErrorKind::Rejected, BlindSpotCause::CallFailed),
    ] {
        scenario.state().blind.clear();
        // In both rounds.
        (0..4).for_each(|_| scenario.fail_next("config:DescribeAggregateComplianceByConfigRules", kind));
        scenario.sweep();
        scenario.take_faults();
        assert_eq!(causes(&scenario.take_notices()), [cause; 2], "{kind:?}");
    }
    scenario.state().sources.clear();
    scenario.sweep();
    assert_eq!(causes(&scenario.take_notices()), [BlindSpotCause::NoSource; 2]);
}

fn scratch(until: &str) -> Exemption {
    Exemption {
        control: framework::control::find(COVERAGE).unwrap(),
        resources: vec!["*".into()],
        accounts: Vec::new(),
        tags: BTreeMap::new(),
        reason: "throw-away test clusters".into(),
        owner: "data-platform@example.com".into(),
        until: until.parse().unwrap(),
    }
}

#[test]
fn exemption_end_is_announced_two_weeks_before() {
    let scenario = Scenario::new();
    scenario.in_force(&[HOME]).config("orders", ComplianceType::NonCompliant);
    scenario.state().reporting = Some(Reporting { exemptions: vec![scratch("2027-01-31")], ..Reporting::default() });
    scenario.report(&[event("orders", "NON_COMPLIANT", 10)]);
    let sweep_on = |day: &str| {
        scenario.state().now = format!("{day}T12:00:00Z").parse().unwrap();
        scenario.sweep()
    };
    scenario.expect_silence();
    sweep_on("2027-01-16");
    assert!(scenario.kinds().is_empty(), "15 days before");
    for _ in 0..2 {
        sweep_on("2027-01-17");
    }
    let notices = scenario.take_notices();
    let [Notice::ExemptionsExpiring(expiring)] = notices.as_slice() else { panic!("once: {notices:?}") };
    assert_eq!((expiring.owner.as_str(), expiring.exemptions[0].violations), ("data-platform@example.com", 1));
    sweep_on("2027-01-31");
    assert!(scenario.kinds().is_empty(), "it holds on its last day");
    let swept = sweep_on("2027-02-01");
    assert_eq!(swept.exemptions_ended, 1);
    let notices = scenario.take_notices();
    let [Notice::ViolationOpened(notice)] = notices.as_slice() else { panic!("{notices:?}") };
    assert!(matches!(&notice.update, Update::ExemptionEnded(exempt) if exempt.owner == "data-platform@example.com"));
    scenario.report(&[event("orders", "COMPLIANT", 20)]);
    assert_eq!(scenario.kinds(), ["violation.resolved"], "a violation like any other");
}

#[test]
fn newly_exempt_violation_is_reported() {
    let scenario = Scenario::new();
    scenario.state().channels = BTreeSet::from([Channel::Topic, Channel::SecurityHub]);
    scenario.in_force(&[HOME]).config("orders", ComplianceType::NonCompliant);
    scenario.report(&[event("orders", "NON_COMPLIANT", 10)]);
    scenario.take_notices();
    scenario.state().reporting = Some(Reporting { exemptions: vec![scratch("2099-01-31")], ..Reporting::default() });
    assert_eq!(scenario.sweep().exempted, 1);
    scenario.expect(&["violation.exempted"]);
    assert_eq!(scenario.state().delivered.len(), 2, "Security Hub is updated too");
    let record = scenario.state().violations.values().next().unwrap().value.clone();
    assert!(record.status == ViolationStatus::Open && record.exemption.is_some(), "still recorded");
    assert_eq!(scenario.sweep().exempted, 0);
}

#[test]
fn findings_are_renewed_before_expiry() {
    let scenario = Scenario::new();
    scenario.state().channels = BTreeSet::from([Channel::SecurityHub]);
    scenario.in_force(&[HOME]).config("orders", ComplianceType::NonCompliant);
    scenario.report(&[event("orders", "NON_COMPLIANT", 10)]);
    scenario.sweep();
    assert_eq!(scenario.state().delivered.len(), 1);
    scenario.after_hours(31 * 24);
    scenario.sweep();
    scenario.sweep();
    assert_eq!(scenario.state().delivered.len(), 2);
}

#[test]
fn sweep_claims_records_before_delivery() {
    let scenario = Scenario::new();
    scenario.in_force(&[HOME]).config("orders", ComplianceType::NonCompliant);
    scenario.fail_next("sns:Publish", PortErrorKind::Retryable);
    scenario.sweep();
    let claim = || scenario.state().violations.values().next().unwrap().value.delivery_claimed_until;
    assert_eq!(claim(), Some(scenario.state().now + SignedDuration::from_mins(10)));
    scenario.after_hours(1);
    scenario.sweep();
    assert_eq!((claim(), scenario.kinds()), (None, vec!["violation.opened"]));
}

#[test]
fn sweep_delivers_after_crash() {
    let scenario = Scenario::new();
    scenario.in_force(&[HOME]).config("orders", ComplianceType::NonCompliant);
    scenario.fail_next("sns:Publish", PortErrorKind::Retryable);
    scenario.report(&[event("orders", "NON_COMPLIANT", 10)]);
    scenario.expect_silence();
    assert_eq!(scenario.sweep().redelivered, 0, "its writer is about to deliver it");
    scenario.after_hours(1);
    let swept = scenario.sweep();
    assert_eq!((swept.redelivered, scenario.kinds()), (1, vec!["violation.opened"]));
    assert_eq!(scenario.sweep().redelivered, 0);
}

#[test]
fn account_names_are_read_and_published() {
    let scenario = Scenario::new();
    scenario.in_force(&[HOME]).config("orders", ComplianceType::NonCompliant);
    let names = BTreeMap::from([(account(HOME), "payments".to_owned())]);
    scenario.state().organization = Some(names.clone());
    scenario.sweep();
    assert_eq!(scenario.state().account_names, names);
    let notices = scenario.take_notices();
    let Notice::ViolationOpened(notice) = &notices[0] else { panic!("{notices:?}") };
    assert_eq!(notice.account_name.as_deref(), Some("payments"));
}

#[test]
fn future_or_unreadable_event_is_rejected() {
    let now = "2026-12-01T00:00:00Z".parse().unwrap();
    let asked = |event: &serde_json::Value| app::sweep::check_event(event, now);
    let mut event = json!({ "source": "backup-compliance.schedule", "task": "sweep" });
    asked(&event).unwrap();
    for accepted in ["2026-12-01T00:00:00Z", "2026-11-30T00:00:00Z", "2026-12-01T00:04:59Z"] {
        event["time"] = json!(accepted);
        asked(&event).unwrap();
    }
    for (time, reason) in [
        (json!("2026-12-08T00:00:00Z"), "later than now (2026-12-01T00:00:00Z)"),
        (json!("next week"), "`time` is not a time: `\"next week\"`"),
        (json!("<aws.scheduler.scheduled-time>"), "is not a time"),
        (json!(null), "is not a time"),
        (json!(1_796_000_000), "is not a time"),
    ] {
        event["time"] = time;
        let error = asked(&event).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
    assert!(asked(&json!({ "source": "aws.config" })).is_err());
}

/// Twelve thousand open violations in accounts without Security Hub, and one notice that the topic once rejected.
/// Long because the sweeps of several days share one set of records.
#[test]
fn rejected_deliveries_are_given_up_without_delay() {
    const REJECTED: usize = 12_000;
    let scenario = Scenario::new();
    scenario.state().channels = BTreeSet::from([Channel::Topic, Channel::SecurityHub]);
    scenario.report(&[event("orders", "NON_COMPLIANT", 10)]);
    let mut template = scenario.state().violations.values().next().unwrap().value.clone();
    scenario.take_notices();
    scenario.state().violations.clear();
    template.last_pending_at = None;
    template.record_opening(
        Opening {
            opened_by: OpenedBy::FirstResult,
            detected_by: DetectionSource::Event,
            severity: Severity::High,
            resource: ResourceDetails::default(),
            exemption: None,
        },
        &BTreeSet::from([Channel::SecurityHub]),
        time(10, "10"),
    );
    let mut last = template.clone();
    last.key.account = account("999999999999");
    last.pending[0].channels = BTreeSet::from([Channel::Topic]);
    for number in 0..REJECTED {
        let mut record = template.clone();
        record.key.resource_id = format!("cluster-{number:05}");
        scenario.state().violations.insert(record.key.clone(), Versioned { value: record, version: 1 });
    }
    let topic = last.key.clone();
    scenario.state().violations.insert(topic.clone(), Versioned { value: last, version: 1 });
    let rejections = |count: usize| {
        for _ in 0..count {
            scenario.fail_next("securityhub:BatchImportFindings", PortErrorKind::Rejected);
        }
    };
    // Open, and observed in AWS Config: only the deliveries are left to do.
    rejections(REJECTED);
    let swept = scenario.sweep();
    assert_eq!((swept.redelivered, swept.deliveries.rejected, swept.deliveries.delivered), (REJECTED + 1, REJECTED, 1));
    assert_eq!(scenario.take_notices().len(), 1, "the last of the scan in the first sweep");
    assert!(scenario.state().violations[&topic].value.pending.is_empty());

    // A few of the rest in each sweep, until they are given up.
    scenario.state().violations.retain(|key, _| key.resource_id.as_str() < "cluster-00003");
    let mut attempts = 1;
    let mut sweeps = 1;
    let mut given_up = 0;
    while given_up < 3 {
        scenario.after_hours(1);
        sweeps += 1;
        assert!(sweeps < 24 * 10, "never given up");
        rejections(3);
        let swept = scenario.sweep();
        scenario.take_faults();
        attempts += usize::from(swept.deliveries.rejected > 0);
        given_up += swept.deliveries.given_up;
    }
    assert_eq!((attempts, given_up), (10, 3));
    assert!((24 * 4..24 * 7).contains(&sweeps), "{sweeps} hours");
    for record in scenario.state().violations.values() {
        let reason = &record.value.delivery_failures[&Channel::SecurityHub];
        assert!(
            record.value.pending.is_empty() && reason.is_abandoned && reason.reason.contains("Rejected"),
            "{record:?}"
        );
    }
    scenario.after_hours(24);
    scenario.take_calls();
    scenario.sweep();
    assert!(!scenario.take_calls().contains(&"securityhub:BatchImportFindings"));
    // New updates are attempted again.
    let mut record = scenario.state().violations.values().next().unwrap().clone();
    record.value.record_closing(ClosedReason::Satisfied, &BTreeSet::from([Channel::SecurityHub]), scenario.state().now);
    assert!(record.value.delivery_failures.is_empty() && !record.value.pending.is_empty());
}

/// The time of the first sweep ends within the second round, and again before the end of the round.
#[test]
fn second_round_waits_for_sweep_with_time() {
    let scenario = Scenario::new();
    scenario.in_force(&["111111111111", HOME]);
    for id in ["111111111111", HOME] {
        scenario.config_at(id, "orders", Some(ComplianceType::NonCompliant), 10);
    }
    let left = Cell::new(0_u64);
    let time_left = || {
        left.set(left.get().saturating_sub(1));
        Some(Duration::from_secs(44 + left.get()))
    };
    // Both accounts fail in the first round, and one in the second; reads of the clock: one for the deliveries, then
    // one for each account.
    (0..3)
        .for_each(|_| scenario.fail_next("config:DescribeAggregateComplianceByConfigRules", PortErrorKind::Retryable));
    for (looks, accounts) in [(5, 2), (3, 0), (2, 0)] {
        left.set(looks);
        let swept = scenario.sweep_within(time_left);
        assert_eq!((swept.complete, swept.accounts), (false, accounts), "{swept:?}");
        assert!(scenario.state().progress.value.is_some());
        assert!(!scenario.kinds().contains(&"violation.digest"), "no notice before the end of the round");
    }
    let swept = scenario.sweep();
    assert_eq!((swept.complete, swept.accounts, swept.blind_spots), (true, 0, 1), "{swept:?}");
    scenario.expect(&["violation.digest"]);
}
