//! Events to notices: `report` with and without a digest window. Long because its tests share one form.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use app::events::flush_message;
use app::ports::PortErrorKind;
use app::report::BatchSummary;
use app::report::ports::DigestWindow;
use domain::notice::Notice;
use domain::policy::{Exemption, Reporting};
use domain::violation::{Channel, ClosedReason, OpenedBy, ResourceDetails, Update, ViolationGroup};
use testkit::scenario::{COVERAGE, HOME, Scenario, account, batch, cluster, event, region, report};
use testkit::world::World;

#[test]
fn violation_is_reported_when_opened_and_resolved() {
    let scenario = Scenario::new();
    scenario.report(&[event("orders", "NON_COMPLIANT", 10)]);
    scenario.expect_opened("orders");
    assert_eq!(scenario.report(&[event("orders", "NON_COMPLIANT", 10)]).duplicates, 1, "a duplicate");
    assert_eq!(scenario.report(&[event("orders", "COMPLIANT", 5)]).duplicates, 1, "an older, late event");
    scenario.expect_silence();
    scenario.report(&[event("orders", "NON_COMPLIANT", 20)]);
    assert_eq!(scenario.kinds(), Vec::<&str>::new(), "still open");
    scenario.report(&[event("orders", "COMPLIANT", 30)]);
    scenario.expect(&["violation.resolved"]);
    scenario.report(&[event("orders", "NON_COMPLIANT", 40)]);
    assert_eq!(scenario.kinds(), ["violation.opened"], "a regression is reported");
    scenario.report(&[event("orders", "NOT_APPLICABLE", 50)]);
    scenario.expect(&["violation.resolved"]);
}

#[test]
fn first_compliant_result_suppresses_late_events() {
    let scenario = Scenario::new();
    scenario.report(&[event("orders", "COMPLIANT", 10)]);
    scenario.report(&[event("orders", "NON_COMPLIANT", 5)]);
    scenario.expect_silence();
}

/// The default digest window of the application.
const WINDOW: Duration = Duration::from_secs(300);

/// The updates in the entries of a digest.
fn entries(notice: &Notice) -> Vec<(String, Update)> {
    match notice {
        Notice::ViolationDigest(digest) => {
            digest.entries.iter().map(|entry| (entry.key.resource_id.clone(), entry.update.clone())).collect()
        }
        other => panic!("no digest: {other:?}"),
    }
}

fn opened(resource: &str) -> (String, Update) {
    (resource.to_owned(), Update::Opened)
}

fn resolved(resource: &str) -> (String, Update) {
    (resource.to_owned(), Update::Resolved(ClosedReason::Satisfied))
}

fn group() -> ViolationGroup {
    ViolationGroup { account: account(HOME), control: COVERAGE.into() }
}

/// The due flush messages on the queue.
fn due_flushes(world: &World) -> Vec<Value> {
    let mut state = world.state();
    let now = state.now;
    let (due, later) = std::mem::take(&mut state.flushes).into_iter().partition(|(at, _)| *at <= now);
    state.flushes = later;
    let due: Vec<(Timestamp, ViolationGroup)> = due;
    due.iter().map(|(_, group)| flush_message(group)).collect()
}

#[test]
fn stored_updates_are_delivered_in_any_order() {
    let scenario = Scenario::new();
    scenario.report(&[
        event("orders", "COMPLIANT", 30),
        event("orders", "NON_COMPLIANT", 10),
        event("orders", "NON_COMPLIANT", 20),
    ]);
    let notices = scenario.take_notices();
    assert_eq!(notices.len(), 1);
    assert_eq!(entries(&notices[0]), [opened("orders"), resolved("orders")], "opened and resolved within one batch");
    scenario.report(&[event("orders", "NON_COMPLIANT", 50), event("orders", "COMPLIANT", 40)]);
    assert_eq!(scenario.kinds(), ["violation.opened"], "it was compliant at minute 40 already");
}

#[test]
fn notices_of_one_batch_are_one_digest() {
    let scenario = Scenario::new();
    let mut events: Vec<Value> = (0..40).map(|n| event(&format!("c{n}"), "NON_COMPLIANT", 10)).collect();
    let mut other_account = event("orders", "NON_COMPLIANT", 10);
    other_account["account"] = json!("333333333333");
    other_account["detail"]["awsAccountId"] = json!("333333333333");
    other_account["detail"]["configRuleARN"] = json!(
        "arn:aws:config:eu-west-1:333333333333:config-rule/aws-service-rule/backup.amazonaws.com/config-rule-ab12cd"
    );
    events.push(other_account);
    let reported = scenario.report(&events);
    assert_eq!((reported.deliveries.delivered, reported.deliveries.notices, reported.deliveries.digests), (41, 2, 1));
    let notices = scenario.take_notices();
    let digest = notices.iter().find(|notice| notice.kind() == "violation.digest").unwrap();
    assert_eq!(entries(digest).len(), 40, "nothing is dropped");
    assert!(notices.iter().any(|notice| notice.kind() == "violation.opened"), "the other account has its own notice");
}

#[test]
fn notices_in_window_are_one_digest_at_its_end() {
    let scenario = Scenario::new();
    scenario.report_within(WINDOW, &[event("first", "NON_COMPLIANT", 1)]);
    assert_eq!(scenario.kinds(), ["violation.opened"], "the first notice is sent at once");
    for n in 0..5 {
        scenario.after_seconds(10);
        let reported = scenario.report_within(WINDOW, &[event(&format!("c{n}"), "NON_COMPLIANT", 2)]);
        assert_eq!((reported.deliveries.batched, reported.deliveries.delivered), (1, 0));
    }
    scenario.report_within(WINDOW, &[event("c0", "COMPLIANT", 3)]);
    assert!(scenario.kinds().is_empty(), "buffered");
    assert_eq!(scenario.state().flushes.len(), 1, "one flush message for all buffered notices");
    assert!(due_flushes(&scenario).is_empty(), "not before the window ends");
    scenario.after_seconds(300);
    let flushes = due_flushes(&scenario);
    assert_eq!(flushes.len(), 1);
    let reported = scenario.report_within(WINDOW, &flushes);
    assert_eq!((reported.deliveries.delivered, reported.deliveries.digests), (6, 1), "{reported:?}");
    let notices = scenario.take_notices();
    let updates: BTreeSet<(String, bool)> =
        entries(&notices[0]).into_iter().map(|(name, what)| (name, what == Update::Opened)).collect();
    assert_eq!(updates.len(), 6, "five opened, one of them resolved again: {updates:?}");
    assert!(scenario.state().violations.values().all(|record| record.value.pending.is_empty()));

    // The flush began a new window and scheduled a flush at its end, for records that were stored at that moment.
    scenario.after_seconds(301);
    let reported = scenario.report_within(WINDOW, &due_flushes(&scenario));
    assert_eq!(
        reported.deliveries,
        BatchSummary::default().deliveries,
        "nothing is buffered, and no further flush is scheduled"
    );
    assert!(scenario.state().flushes.is_empty());
    scenario.report_within(WINDOW, &[event("late", "NON_COMPLIANT", 4)]);
    assert_eq!(scenario.kinds(), ["violation.opened"], "the next one is sent at once");
}

#[test]
fn windows_of_groups_are_independent() {
    let scenario = Scenario::new();
    scenario.report_within(WINDOW, &[event("orders", "NON_COMPLIANT", 1)]);
    let mut other = event("orders", "NON_COMPLIANT", 1);
    other["detail"]["configRuleName"] =
        json!("AURORA-BACKUP_LAST_RECOVERY_POINT_CREATED-1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d");
    scenario.report_within(WINDOW, &[other]);
    assert_eq!(scenario.kinds().len(), 2);
}

#[test]
fn failed_window_write_buffers_nothing() {
    for call in ["dynamodb:UpdateItem", "sqs:SendMessage"] {
        let scenario = Scenario::new();
        scenario.report_within(WINDOW, &[event("first", "NON_COMPLIANT", 1)]);
        scenario.fail_next(call, PortErrorKind::Retryable);
        let second = [event("second", "NON_COMPLIANT", 2)];
        assert_eq!(scenario.report_within(WINDOW, &second).failed, BTreeSet::from(["m0".to_owned()]), "{call}");
        assert!(scenario.report_within(WINDOW, &second).failed.is_empty());
        scenario.after_seconds(302);
        scenario.report_within(WINDOW, &due_flushes(&scenario));
        assert_eq!(scenario.kinds(), ["violation.opened"; 2], "{call}");
    }
}

#[test]
fn notice_has_name_owner_requirement_and_options() {
    let scenario = Scenario::new();
    let arn = "arn:aws:rds:eu-west-1:222222222222:cluster:orders";
    let tags = BTreeMap::from([("owner".to_owned(), "shop-team".to_owned())]);
    let facts = ResourceDetails { name: Some("orders".into()), arn: Some(arn.into()), tags };
    let plan = json!({
        "id": "p-1", "name": "gold", "account": HOME, "region": region(),
        "selections": [{"name": "tagged", "listOfTags": [{"key": "backup", "value": "daily"}]}],
    });
    {
        let mut state = scenario.state();
        state.resources.insert(cluster(HOME, "cluster-7XK3"), facts);
        state.plans.insert((account(HOME), region()), vec![serde_json::from_value(plan).unwrap()]);
        state.account_names.insert(account(HOME), "payments".into());
    }
    scenario.report(&[event("cluster-7XK3", "NON_COMPLIANT", 10)]);
    let notices = scenario.take_notices();
    let Notice::ViolationOpened(notice) = &notices[0] else { panic!("{notices:?}") };
    assert_eq!(notice.owner.as_deref(), Some("shop-team"));
    assert_eq!(notice.account_name.as_deref(), Some("payments"));
    assert_eq!(notice.resource.arn.as_deref(), Some(arn));
    assert!(
        notice.remediation_options[0].contains("`backup` = `daily`")
            && notice.remediation_options[0].contains("`gold`"),
        "{:?}",
        notice.remediation_options
    );
    assert!(notices[0].subject().contains("Aurora cluster orders is in no backup plan"), "{}", notices[0].subject());
}

#[test]
fn first_result_is_rollout_and_later_is_regression() {
    let found = |scenario: &Scenario| match &scenario.take_notices()[0] {
        Notice::ViolationOpened(notice) => notice.opened_by,
        other => panic!("{other:?}"),
    };
    let scenario = Scenario::new();
    scenario.report(&[event("orders", "NON_COMPLIANT", 10)]);
    assert_eq!(found(&scenario), OpenedBy::Rollout);
    scenario.report(&[event("orders", "COMPLIANT", 20)]);
    scenario.take_notices();
    scenario.report(&[event("orders", "NON_COMPLIANT", 30)]);
    assert_eq!(found(&scenario), OpenedBy::Regression);
    let mut known_before = event("other", "NON_COMPLIANT", 10);
    known_before["detail"]["oldEvaluationResult"] = json!({ "complianceType": "COMPLIANT" });
    scenario.report(&[known_before]);
    assert_eq!(found(&scenario), OpenedBy::Regression, "the event contains the compliant result before");
}

#[test]
fn exempt_violation_is_stored_without_notice() {
    let scenario = Scenario::new();
    let exemption = Exemption {
        control: framework::control::find(COVERAGE).unwrap(),
        resources: vec!["*".into()],
        accounts: Vec::new(),
        tags: BTreeMap::new(),
        reason: "throw-away".into(),
        owner: "data-platform@example.com".into(),
        until: "2099-01-01".parse().unwrap(),
    };
    scenario.state().reporting = Some(Reporting { exemptions: vec![exemption], ..Reporting::default() });
    scenario.state().channels =
        BTreeSet::from([Channel::Topic, Channel::Chat, Channel::SecurityHub, Channel::EventBus]);
    let reported = scenario.report(&[event("orders", "NON_COMPLIANT", 10)]);
    assert_eq!((reported.exempt, reported.deliveries.delivered), (1, 0));
    let reported = scenario.report(&[event("orders", "COMPLIANT", 20)]);
    assert_eq!(
        (reported.exempt, reported.deliveries.delivered),
        (1, 0),
        "its opening was not reported, so its end is not reported"
    );
    assert!(scenario.take_notices().is_empty() && scenario.state().delivered.is_empty());
    assert_eq!(scenario.state().violations.len(), 1);
}

/// Collects the log, one line for each event.
#[derive(Clone, Default)]
struct LogLines(std::sync::Arc<std::sync::Mutex<Vec<String>>>);

impl tracing::Subscriber for LogLines {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = String::new();
        event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            line.push_str(&format!("{}={value:?} ", field.name()));
        });
        self.0.lock().unwrap().push(line);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// `redrive` searches the log by the id of a message.
#[test]
fn failure_is_logged_with_message_ids() {
    let scenario = Scenario::new();
    let log = LogLines::default();
    let guard = tracing::subscriber::set_default(log.clone());
    scenario.fail_next("dynamodb:PutItem", PortErrorKind::Retryable);
    let reported = scenario.report(&[event("orders", "NON_COMPLIANT", 10)]);
    drop(guard);
    assert_eq!(reported.failed, BTreeSet::from(["m0".to_owned()]));
    let lines = log.0.lock().unwrap();
    assert!(
        lines.iter().any(|line| line.contains("messages=[\"m0\"]") && line.contains("dynamodb:PutItem")),
        "{lines:?}"
    );
}

#[test]
fn rejecting_channel_does_not_affect_others() {
    let scenario = Scenario::new();
    scenario.state().channels =
        BTreeSet::from([Channel::Topic, Channel::Chat, Channel::SecurityHub, Channel::EventBus]);
    scenario.fail_next("securityhub:BatchImportFindings", PortErrorKind::Rejected);
    let reported = scenario.report(&[event("orders", "NON_COMPLIANT", 10)]);
    assert!(reported.failed.is_empty(), "the same call would be rejected again: {reported:?}");
    assert_eq!((reported.deliveries.delivered, reported.deliveries.rejected), (1, 1));
    let delivered: Vec<Channel> = scenario.state().delivered.iter().map(|(outlet, _)| *outlet).collect();
    assert_eq!(delivered, [Channel::EventBus, Channel::Chat]);
    let owed: Vec<_> = scenario.state().violations.values().flat_map(|record| record.value.pending.clone()).collect();
    assert_eq!(owed.len(), 1);
    assert_eq!(owed[0].channels, BTreeSet::from([Channel::SecurityHub]), "pending for Security Hub only");
    scenario.report(&[event("orders", "COMPLIANT", 20)]);
    let findings = scenario.state().delivered.iter().filter(|(outlet, _)| *outlet == Channel::SecurityHub).count();
    assert_eq!(findings, 1, "a finding is a state: the new import replaces the rejected one");
    assert!(scenario.state().violations.values().all(|record| record.value.pending.is_empty()));
}

#[test]
fn timed_out_findings_are_left_to_sweep() {
    let scenario = Scenario::new();
    scenario.state().channels = BTreeSet::from([Channel::Topic, Channel::SecurityHub]);
    scenario.fail_next("securityhub:BatchImportFindings", PortErrorKind::OutOfTime);
    let reported = scenario.report(&[event("orders", "NON_COMPLIANT", 10)]);
    assert!(reported.failed.is_empty() && reported.failures.is_empty(), "{reported:?}");
    assert_eq!((reported.deliveries.delivered, reported.deliveries.rejected, reported.deliveries.deferred), (1, 0, 1));
    let pending: Vec<_> =
        scenario.state().violations.values().flat_map(|record| record.value.pending.clone()).collect();
    assert_eq!(pending.len(), 1, "the delivery stays pending");
    assert_eq!(pending[0].channels, BTreeSet::from([Channel::SecurityHub]));
}

#[test]
fn disabled_channel_has_no_pending_deliveries() {
    let scenario = Scenario::new();
    scenario.state().channels = BTreeSet::from([Channel::Topic, Channel::SecurityHub]);
    scenario.fail_next("securityhub:BatchImportFindings", PortErrorKind::Rejected);
    scenario.report(&[event("orders", "NON_COMPLIANT", 10)]);
    assert_eq!(scenario.state().violations.values().filter(|record| !record.value.pending.is_empty()).count(), 1);
    scenario.state().channels = BTreeSet::from([Channel::Topic]);
    scenario.report(&[event("orders", "NON_COMPLIANT", 10)]);
    let records: Vec<_> = scenario.state().violations.values().map(|record| record.value.clone()).collect();
    assert!(
        records.iter().all(|record| record.pending.is_empty() && record.finding_sent_at.is_none()),
        "dropped, not delivered"
    );
    assert_eq!(scenario.kinds(), ["violation.opened"], "reported once");
}

#[test]
fn flush_skips_notices_of_a_newer_window() {
    let scenario = Scenario::new();
    scenario.report_within(WINDOW, &[event("first", "NON_COMPLIANT", 1)]);
    scenario.report_within(WINDOW, &[event("second", "NON_COMPLIANT", 2)]);
    scenario.take_notices();
    let window = *scenario.state().windows.values().next().unwrap();
    scenario.after_seconds(300);
    // The other function has opened the next window just now, and is delivering.
    let later = DigestWindow {
        until: window.until.checked_add(SignedDuration::from_secs(300)).unwrap(),
        is_flush_requested: false,
    };
    scenario.state().windows.insert(group(), later);
    let flush = flush_message(&group());
    let reported = scenario.report_within(WINDOW, &[flush]);
    assert_eq!((reported.deliveries.delivered, reported.deliveries.batched), (0, 1));
    scenario.expect_silence();
    assert!(scenario.state().windows[&group()].is_flush_requested, "the rest is delivered at the end of that window");
}

/// Otherwise subscribers get the same notice twice, from `sweep` and from `report`.
#[test]
fn flush_leaves_claimed_records_to_sweep() {
    let scenario = Scenario::new();
    scenario.report_within(WINDOW, &[event("first", "NON_COMPLIANT", 1)]);
    scenario.report_within(WINDOW, &[event("second", "NON_COMPLIANT", 2)]);
    scenario.take_notices();
    scenario.after_seconds(301);
    // A sweep has stored the second record, and is about to deliver its update.
    let claim = scenario.state().now + SignedDuration::from_mins(10);
    for record in scenario.state().violations.values_mut().filter(|record| !record.value.pending.is_empty()) {
        record.value.delivery_claimed_until = Some(claim);
    }
    let flush = flush_message(&group());
    let reported = scenario.report_within(WINDOW, std::slice::from_ref(&flush));
    assert_eq!((reported.deliveries.delivered, reported.deliveries.batched), (0, 0));
    // The sweep ended before the delivery.
    scenario.after_seconds(601);
    let reported = scenario.report_within(WINDOW, &[flush]);
    assert_eq!((reported.deliveries.delivered, scenario.kinds()), (1, vec!["violation.opened"]));
    assert!(scenario.state().violations.values().all(|record| record.value.delivery_claimed_until.is_none()));
}

#[test]
fn rejected_message_does_not_block_others() {
    let scenario = Scenario::new();
    scenario.fail_next("sns:Publish", PortErrorKind::Rejected);
    let mut other = event("orders", "NON_COMPLIANT", 10);
    other["detail"]["configRuleName"] =
        json!("AURORA-BACKUP_LAST_RECOVERY_POINT_CREATED-1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d");
    let reported = scenario.report(&[event("orders", "NON_COMPLIANT", 10), other]);
    assert_eq!((reported.deliveries.delivered, reported.deliveries.rejected, reported.failed.len()), (1, 1, 0));
    assert_eq!(scenario.state().violations.values().filter(|record| !record.value.pending.is_empty()).count(), 1);
}

#[test]
fn invalid_message_is_dead_lettered() {
    let scenario = Scenario::new();
    let mut elsewhere = event("orders", "NON_COMPLIANT", 10);
    elsewhere["detail"]["configRuleARN"] = json!("arn:aws:config:eu-west-1:222222222222:config-rule/config-rule-1");
    let mut forged = event("orders", "NON_COMPLIANT", 10);
    forged["account"] = json!("333333333333");
    let events =
        [json!("{not json"), event("orders", "NON_COMPLIANT", 10), elsewhere, forged, json!({ "source": "aws.ec2" })];
    let reported = scenario.report(&events);
    assert!(reported.failed.is_empty(), "{reported:?}");
    assert_eq!((reported.deliveries.delivered, reported.ignored, reported.dead_lettered), (1, 2, 2));
    let buried = scenario.state().dead_letters.clone();
    assert_eq!(buried[0].0, "{not json", "unchanged");
    assert!(buried[0].1.contains("line 1, column 2"), "{buried:?}");
    assert!(buried[1].1.contains("sent by account 333333333333"), "{buried:?}");

    scenario.fail_next("sqs:SendMessage", PortErrorKind::Retryable);
    let reported = scenario.report(&events);
    assert_eq!(reported.failed, BTreeSet::from(["m0".to_owned()]), "a message that cannot be dead-lettered returns");
}

#[test]
fn message_with_long_key_fails_alone() {
    let scenario = Scenario::new();
    let longest = |bytes: usize| {
        let key = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN#AWS::RDS::DBCluster#".len();
        "x".repeat(bytes - key)
    };
    let mut long_rule = event("orders", "NON_COMPLIANT", 10);
    long_rule["detail"]["configRuleName"] = json!("r".repeat(990));
    long_rule["detail"]["resourceType"] = json!("é".repeat(20));
    let flush = json!({ "source": "backup-compliance.report", "flush": { "account": "222222222222", "control": "c".repeat(1020) } });
    let events = [
        event("orders", "NON_COMPLIANT", 10),
        event(&longest(1025), "NON_COMPLIANT", 10),
        event(&longest(1024), "NON_COMPLIANT", 10),
        long_rule,
        flush,
    ];
    let reported = scenario.report(&events);
    assert!(reported.failed.is_empty() && reported.failures.is_empty(), "{reported:?}");
    assert_eq!((reported.deliveries.delivered, reported.dead_lettered), (2, 3));
    let buried = scenario.state().dead_letters.clone();
    assert!(buried[0].1.contains("1025 bytes, but a sort key of DynamoDB has at most 1,024"), "{buried:?}");
}

#[test]
fn unknown_account_is_ignored() {
    let scenario = Scenario::new();
    scenario.state().account_names.insert(account("999999999999"), "other".into());
    let reported = scenario.report(&[event("orders", "NON_COMPLIANT", 10)]);
    assert_eq!((reported.ignored, reported.deliveries.delivered), (1, 0));
    assert!(scenario.state().violations.is_empty());
}

#[test]
fn notice_survives_failure_at_each_step() {
    for call in ["dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:Query", "sns:Publish"] {
        for lose_answer in [false, true] {
            let scenario = Scenario::new();
            if lose_answer {
                scenario.lose_next_answer(call);
            } else {
                scenario.fail_next(call, PortErrorKind::Retryable);
            }
            let first = scenario.report(&[event("orders", "NON_COMPLIANT", 10)]);
            assert_eq!(first.failed, BTreeSet::from(["m0".to_owned()]), "{call}");
            let second = scenario.report(&[event("orders", "NON_COMPLIANT", 10)]);
            assert!(second.failed.is_empty(), "{call}: {second:?}");
            let kinds = scenario.kinds();
            assert!((1..=2).contains(&kinds.len()), "{call}: {kinds:?}");
            assert!(kinds.iter().all(|kind| *kind == "violation.opened"), "{call}: {kinds:?}");
            scenario.report(&[event("orders", "NON_COMPLIANT", 10)]);
            assert!(scenario.kinds().is_empty(), "{call}: one delivery, unless its response was lost");
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn unrecorded_delivery_is_repeated_once() {
    let scenario = Scenario::new();
    // Frameworks in force, the record, its name, the write, backup plans, the delivery: then the process dies before
    // it can record the delivery.
    scenario.state().dies_in = Some(2 * 6);
    let events = batch(&[event("orders", "NON_COMPLIANT", 10)]);
    let report = report(&scenario, Duration::ZERO);
    assert!(tokio::time::timeout(Duration::from_millis(20), report.handle(&events)).await.is_err(), "the process dies");
    scenario.expect(&["violation.opened"]);
    scenario.state().dies_in = None;
    scenario.report(&[event("orders", "COMPLIANT", 20)]);
    let notices = scenario.take_notices();
    assert_eq!(entries(&notices[0]), [opened("orders"), resolved("orders")], "never a resolution without an opening");
}

#[test]
fn missing_names_do_not_delay_notice() {
    let scenario = Scenario::new();
    scenario.fail_next("config:SelectAggregateResourceConfig", PortErrorKind::Denied);
    scenario.fail_next("config:SelectAggregateResourceConfig", PortErrorKind::Denied);
    assert_eq!(scenario.report(&[event("orders", "NON_COMPLIANT", 10)]).deliveries.delivered, 1);
    scenario.expect_opened("orders");
}

#[test]
fn batch_reads_once_and_duplicates_cost_no_writes() {
    let scenario = Scenario::new();
    let events: Vec<Value> = (0..50).map(|n| event(&format!("c{n}"), "NON_COMPLIANT", 10)).collect();
    scenario.report(&events);
    let calls = scenario.take_calls();
    let count = |name: &str| calls.iter().filter(|call| **call == name).count();
    assert_eq!((count("dynamodb:BatchGetItem"), count("dynamodb:Query")), (1, 1), "records; frameworks in force");
    assert_eq!(count("dynamodb:PutItem"), 100, "each record with its pending delivery, and without");
    assert_eq!(count("config:SelectAggregateResourceConfig"), 2, "names of all; backup plans of one location");
    assert_eq!(count("sns:Publish"), 1);
    scenario.report(&events);
    assert_eq!(scenario.take_calls(), ["dynamodb:Query", "dynamodb:BatchGetItem"]);
}

#[test]
fn event_group_is_account_and_control() {
    assert_eq!(group().to_string(), "222222222222#BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN");
}

/// A topic that rejects everything for an hour in which every window ends with a flush: after an operator fixes it, no
/// notice is lost.
#[test]
fn rejections_for_an_hour_lose_no_notice() {
    let scenario = Scenario::new();
    (0..40).for_each(|_| scenario.fail_next("sns:Publish", PortErrorKind::Denied));
    for minute in 0..20_u8 {
        let compliance = if minute % 2 == 0 { "NON_COMPLIANT" } else { "COMPLIANT" };
        let reported = scenario.report(&[event("orders", compliance, 10 + minute)]);
        assert_eq!((reported.deliveries.rejected, reported.deliveries.given_up), (1, 0), "{reported:?}");
        scenario.after_seconds(180);
    }
    let record = scenario.state().violations.values().next().unwrap().value.clone();
    assert!(record.delivery_failures[&Channel::Topic].rejections >= 20, "{record:?}");
    assert!(!record.pending.is_empty());
    scenario.take_faults();
    let reported = scenario.report(&[event("orders", "NON_COMPLIANT", 55)]);
    assert!(reported.deliveries.delivered > 1, "{reported:?}");
    let record = scenario.state().violations.values().next().unwrap().value.clone();
    assert!(record.pending.is_empty() && record.delivery_failures.is_empty(), "{record:?}");
}
