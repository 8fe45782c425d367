use app::events::{Batch, Message};
use app::ports::{PortErrorKind, ResourceId, Window};
use app::report::{Report, Reported};
use domain::ids::{AccountId, RegionName};
use domain::notice::Notice;
use domain::policy::{Exemption, Reporting};
use domain::violation::{Closing, Found, Group, Outlet, ResourceFacts, Told};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use testkit::world::World;

pub(crate) type WorldReport = Report<World, World, World, World, World, World>;

pub(crate) fn report(world: &World, window: Duration) -> WorldReport {
    Report {
        store: world.clone(),
        outlets: world.clone(),
        directory: world.clone(),
        resources: world.clone(),
        queue: world.clone(),
        clock: world.clone(),
        window,
    }
}

/// An event about the Aurora cluster `orders` at a minute of an hour.
pub(crate) fn event(compliance: &str, minute: u8) -> Value {
    about("orders", compliance, minute)
}

pub(crate) fn about(resource: &str, compliance: &str, minute: u8) -> Value {
    let rule = "AURORA-RESOURCES_PROTECTED_BY_BACKUP_PLAN-1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d";
    json!({
        "source": "aws.config",
        "detail-type": "Config Rules Compliance Change",
        "account": "222222222222",
        "region": "eu-west-1",
        "time": format!("2026-11-20T04:{minute:02}:31Z"),
        "detail": {
            "messageType": "ComplianceChangeNotification",
            "awsAccountId": "222222222222",
            "awsRegion": "eu-west-1",
            "configRuleName": rule,
            "configRuleARN": "arn:aws:config:eu-west-1:222222222222:config-rule/aws-service-rule/backup.amazonaws.com/config-rule-ab12cd",
            "resourceType": "AWS::RDS::DBCluster",
            "resourceId": resource,
            "newEvaluationResult": {
                "evaluationResultIdentifier": { "orderingTimestamp": format!("2026-11-20T04:{minute:02}:09.311Z") },
                "complianceType": compliance,
                "resultRecordedTime": format!("2026-11-20T04:{minute:02}:29.902Z"),
                "annotation": "The resource is not protected by a backup plan.",
            },
            "notificationCreationTime": format!("2026-11-20T04:{minute:02}:31.377Z"),
        },
    })
}

pub(crate) fn batch(events: &[Value]) -> Vec<Message> {
    let records: Vec<Value> = events
        .iter()
        .enumerate()
        .map(|(index, event)| {
            let body = event.as_str().map_or_else(|| event.to_string(), ToOwned::to_owned);
            json!({ "messageId": format!("m{index}"), "eventSource": "aws:sqs", "body": body })
        })
        .collect();
    let batch = Batch::read(json!({ "Records": records }));
    assert!(batch.queued);
    batch.messages
}

pub(crate) async fn send(world: &World, events: &[Value]) -> Reported {
    report(world, Duration::ZERO).handle(&batch(events)).await
}

pub(crate) fn kinds(world: &World) -> Vec<&'static str> {
    world.take_notices().iter().map(Notice::kind).collect()
}

#[tokio::test(flavor = "current_thread")]
async fn one_notice_when_it_opens_and_one_when_it_is_resolved() {
    let world = World::new();
    send(&world, &[event("NON_COMPLIANT", 10)]).await;
    assert_eq!(kinds(&world), ["violation.opened"]);
    assert_eq!(send(&world, &[event("NON_COMPLIANT", 10)]).await.quiet, 1, "the same event again");
    assert_eq!(send(&world, &[event("COMPLIANT", 5)]).await.quiet, 1, "an older one that comes late");
    assert_eq!(kinds(&world), Vec::<&str>::new());
    send(&world, &[event("NON_COMPLIANT", 20)]).await;
    assert_eq!(kinds(&world), Vec::<&str>::new(), "still open");
    send(&world, &[event("COMPLIANT", 30)]).await;
    assert_eq!(kinds(&world), ["violation.resolved"]);
    send(&world, &[event("NON_COMPLIANT", 40)]).await;
    assert_eq!(kinds(&world), ["violation.opened"], "a regression is news");
    send(&world, &[event("NOT_APPLICABLE", 50)]).await;
    assert_eq!(kinds(&world), ["violation.resolved"]);
}

#[tokio::test(flavor = "current_thread")]
async fn compliant_from_the_start_is_no_news_but_keeps_late_events_quiet() {
    let world = World::new();
    send(&world, &[event("COMPLIANT", 10)]).await;
    send(&world, &[event("NON_COMPLIANT", 5)]).await;
    assert_eq!(kinds(&world), Vec::<&str>::new());
}

/// With the window that the application has by default.
async fn send_calmly(world: &World, events: &[Value]) -> Reported {
    report(world, WINDOW).handle(&batch(events)).await
}

const WINDOW: Duration = Duration::from_secs(300);

fn pass(world: &World, seconds: i64) {
    let mut state = world.state();
    state.now = state.now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
}

/// What the entries of a digest tell.
fn entries(notice: &Notice) -> Vec<(String, Told)> {
    match notice {
        Notice::ViolationDigest(digest) => {
            digest.entries.iter().map(|entry| (entry.key.resource_id.clone(), entry.what.clone())).collect()
        }
        other => panic!("no digest: {other:?}"),
    }
}

fn opened(resource: &str) -> (String, Told) {
    (resource.to_owned(), Told::Opened)
}

fn resolved(resource: &str) -> (String, Told) {
    (resource.to_owned(), Told::Resolved(Closing::Satisfied))
}

fn group() -> Group {
    Group {
        account: AccountId::parse("222222222222").unwrap(),
        control: "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN".into(),
    }
}

/// The messages on the queue that ask for a flush and are due.
fn due_flushes(world: &World) -> Vec<Value> {
    let mut state = world.state();
    let now = state.now;
    let (due, later) = std::mem::take(&mut state.flushes).into_iter().partition(|(at, _)| *at <= now);
    state.flushes = later;
    let due: Vec<(Timestamp, Group)> = due;
    due.iter().map(|(_, group)| app::events::flush_message(group)).collect()
}

#[tokio::test(flavor = "current_thread")]
async fn every_turn_that_is_put_on_record_is_told_in_a_batch_in_any_order() {
    let world = World::new();
    send(&world, &[event("COMPLIANT", 30), event("NON_COMPLIANT", 10), event("NON_COMPLIANT", 20)]).await;
    let notices = world.take_notices();
    assert_eq!(notices.len(), 1);
    assert_eq!(entries(&notices[0]), [opened("orders"), resolved("orders")], "opened and resolved within one batch");
    send(&world, &[event("NON_COMPLIANT", 50), event("COMPLIANT", 40)]).await;
    assert_eq!(kinds(&world), ["violation.opened"], "it was right already at minute 40");
}

#[tokio::test(flavor = "current_thread")]
async fn notices_of_one_account_and_control_in_one_batch_are_one_digest() {
    let world = World::new();
    let mut events: Vec<Value> = (0..40).map(|n| about(&format!("c{n}"), "NON_COMPLIANT", 10)).collect();
    let mut other_account = event("NON_COMPLIANT", 10);
    other_account["account"] = json!("333333333333");
    other_account["detail"]["awsAccountId"] = json!("333333333333");
    other_account["detail"]["configRuleARN"] = json!(
        "arn:aws:config:eu-west-1:333333333333:config-rule/aws-service-rule/backup.amazonaws.com/config-rule-ab12cd"
    );
    events.push(other_account);
    let reported = send(&world, &events).await;
    assert_eq!((reported.tally.told, reported.tally.notices, reported.tally.digests), (41, 2, 1));
    let notices = world.take_notices();
    let digest = notices.iter().find(|notice| notice.kind() == "violation.digest").unwrap();
    assert_eq!(entries(digest).len(), 40, "nothing is dropped");
    assert!(notices.iter().any(|notice| notice.kind() == "violation.opened"), "the other account's is its own");
}

#[tokio::test(flavor = "current_thread")]
async fn what_follows_within_the_window_is_told_as_one_digest_at_its_end() {
    let world = World::new();
    send_calmly(&world, &[about("first", "NON_COMPLIANT", 1)]).await;
    assert_eq!(kinds(&world), ["violation.opened"], "the first goes out at once");
    for n in 0..5 {
        pass(&world, 10);
        let reported = send_calmly(&world, &[about(&format!("c{n}"), "NON_COMPLIANT", 2)]).await;
        assert_eq!((reported.tally.held, reported.tally.told), (1, 0));
    }
    send_calmly(&world, &[about("c0", "COMPLIANT", 3)]).await;
    assert!(kinds(&world).is_empty(), "held");
    assert_eq!(world.state().flushes.len(), 1, "one flush, however many wait for it");
    assert!(due_flushes(&world).is_empty(), "not before the window ends");
    pass(&world, 300);
    let flushes = due_flushes(&world);
    assert_eq!(flushes.len(), 1);
    let reported = send_calmly(&world, &flushes).await;
    assert_eq!((reported.tally.told, reported.tally.digests), (6, 1), "{reported:?}");
    let notices = world.take_notices();
    let told: BTreeSet<(String, bool)> =
        entries(&notices[0]).into_iter().map(|(name, what)| (name, what == Told::Opened)).collect();
    assert_eq!(told.len(), 6, "five opened, one of them resolved again: {told:?}");
    assert!(world.state().violations.values().all(|record| record.value.owed.is_empty()));

    // The flush began a new window, and asked for a flush at its end, should somebody have stored something just then.
    pass(&world, 301);
    let reported = send_calmly(&world, &due_flushes(&world)).await;
    assert_eq!(
        reported.tally,
        app::report::Reported::default().tally,
        "nothing was left, and no further flush is asked for"
    );
    assert!(world.state().flushes.is_empty());
    send_calmly(&world, &[about("late", "NON_COMPLIANT", 4)]).await;
    assert_eq!(kinds(&world), ["violation.opened"], "calm again");
}

#[tokio::test(flavor = "current_thread")]
async fn the_window_of_one_account_and_control_does_not_hold_another() {
    let world = World::new();
    send_calmly(&world, &[event("NON_COMPLIANT", 1)]).await;
    let mut other = event("NON_COMPLIANT", 1);
    other["detail"]["configRuleName"] =
        json!("AURORA-BACKUP_LAST_RECOVERY_POINT_CREATED-1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d");
    send_calmly(&world, &[other]).await;
    assert_eq!(kinds(&world).len(), 2);
}

#[tokio::test(flavor = "current_thread")]
async fn a_window_that_cannot_be_written_holds_nothing_for_ever() {
    for call in ["dynamodb:UpdateItem", "sqs:SendMessage"] {
        let world = World::new();
        send_calmly(&world, &[about("first", "NON_COMPLIANT", 1)]).await;
        world.fail_next(call, PortErrorKind::Retryable);
        let second = [about("second", "NON_COMPLIANT", 2)];
        assert_eq!(send_calmly(&world, &second).await.failed, BTreeSet::from(["m0".to_owned()]), "{call}");
        assert!(send_calmly(&world, &second).await.failed.is_empty());
        pass(&world, 302);
        send_calmly(&world, &due_flushes(&world)).await;
        assert_eq!(kinds(&world), ["violation.opened"; 2], "{call}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn the_notice_says_name_owner_requirement_and_what_would_do() {
    let world = World::new();
    let account = AccountId::parse("222222222222").unwrap();
    let region = RegionName::parse("eu-west-1").unwrap();
    let id = ResourceId {
        account: account.clone(),
        region: region.clone(),
        kind: "AWS::RDS::DBCluster".into(),
        id: "cluster-7XK3".into(),
    };
    let arn = "arn:aws:rds:eu-west-1:222222222222:cluster:orders";
    let tags = BTreeMap::from([("owner".to_owned(), "shop-team".to_owned())]);
    let facts = ResourceFacts { name: Some("orders".into()), arn: Some(arn.into()), tags };
    let selection = app::ports::Selection {
        plan: "gold".into(),
        name: "tagged".into(),
        tags: vec![("backup".into(), "daily".into())],
        resources: Vec::new(),
    };
    {
        let mut state = world.state();
        state.resources.insert(id, facts);
        state.selections.insert((account.clone(), region), vec![selection]);
        state.account_names.insert(account, "payments".into());
    }
    send(&world, &[about("cluster-7XK3", "NON_COMPLIANT", 10)]).await;
    let notices = world.take_notices();
    let Notice::ViolationOpened(notice) = &notices[0] else { panic!("{notices:?}") };
    assert_eq!(notice.owner.as_deref(), Some("shop-team"));
    assert_eq!(notice.account_name.as_deref(), Some("payments"));
    assert_eq!(notice.resource.arn.as_deref(), Some(arn));
    assert!(notice.ways[0].contains("`backup` = `daily`") && notice.ways[0].contains("`gold`"), "{:?}", notice.ways);
    assert!(notices[0].subject().contains("Aurora cluster orders is in no backup plan"), "{}", notices[0].subject());
}

#[tokio::test(flavor = "current_thread")]
async fn a_first_result_is_found_by_the_rollout_and_a_later_one_is_a_regression() {
    let found = |world: &World| match &world.take_notices()[0] {
        Notice::ViolationOpened(notice) => notice.found,
        other => panic!("{other:?}"),
    };
    let world = World::new();
    send(&world, &[event("NON_COMPLIANT", 10)]).await;
    assert_eq!(found(&world), Found::Rollout);
    send(&world, &[event("COMPLIANT", 20)]).await;
    world.take_notices();
    send(&world, &[event("NON_COMPLIANT", 30)]).await;
    assert_eq!(found(&world), Found::Regression);
    let mut known_before = about("other", "NON_COMPLIANT", 10);
    known_before["detail"]["oldEvaluationResult"] = json!({ "complianceType": "COMPLIANT" });
    send(&world, &[known_before]).await;
    assert_eq!(found(&world), Found::Regression, "right before, says the event");
}

#[tokio::test(flavor = "current_thread")]
async fn an_exempt_violation_is_recorded_and_counted_and_not_told() {
    let world = World::new();
    let exemption = Exemption {
        control: domain::control::find("BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN").unwrap(),
        resources: vec!["*".into()],
        accounts: Vec::new(),
        tags: BTreeMap::new(),
        reason: "throw-away".into(),
        owner: "data-platform@example.com".into(),
        until: "2099-01-01".parse().unwrap(),
    };
    world.state().reporting = Some(Reporting { exemptions: vec![exemption], ..Reporting::default() });
    world.state().outlets = BTreeSet::from([Outlet::Topic, Outlet::Chat, Outlet::Finding, Outlet::Event]);
    let reported = send(&world, &[event("NON_COMPLIANT", 10)]).await;
    assert_eq!((reported.exempt, reported.tally.told), (1, 0));
    let reported = send(&world, &[event("COMPLIANT", 20)]).await;
    assert_eq!((reported.exempt, reported.tally.told), (1, 0), "nobody heard of it, nobody hears that it is over");
    assert!(world.take_notices().is_empty() && world.state().told.is_empty());
    assert_eq!(world.state().violations.len(), 1);
}

/// Keeps what is logged, a line for each event.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<String>>>);

impl tracing::Subscriber for Log {
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

/// `redrive` reads the log by the id of a message.
#[tokio::test(flavor = "current_thread")]
async fn failure_is_logged_with_the_ids_of_its_messages() {
    let world = World::new();
    let log = Log::default();
    let guard = tracing::subscriber::set_default(log.clone());
    world.fail_next("dynamodb:PutItem", PortErrorKind::Retryable);
    let reported = send(&world, &[event("NON_COMPLIANT", 10)]).await;
    drop(guard);
    assert_eq!(reported.failed, BTreeSet::from(["m0".to_owned()]));
    let lines = log.0.lock().unwrap();
    assert!(
        lines.iter().any(|line| line.contains("messages=[\"m0\"]") && line.contains("dynamodb:PutItem")),
        "{lines:?}"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn every_outlet_is_told_and_one_that_refuses_costs_the_others_nothing() {
    let world = World::new();
    world.state().outlets = BTreeSet::from([Outlet::Topic, Outlet::Chat, Outlet::Finding, Outlet::Event]);
    world.fail_next("securityhub:BatchImportFindings", PortErrorKind::Refused);
    let reported = send(&world, &[event("NON_COMPLIANT", 10)]).await;
    assert!(reported.failed.is_empty(), "the same call would be refused again: {reported:?}");
    assert_eq!((reported.tally.told, reported.tally.refused), (1, 1));
    let told: Vec<Outlet> = world.state().told.iter().map(|(outlet, _)| *outlet).collect();
    assert_eq!(told, [Outlet::Event, Outlet::Chat]);
    let owed: Vec<_> = world.state().violations.values().flat_map(|record| record.value.owed.clone()).collect();
    assert_eq!(owed.len(), 1);
    assert_eq!(owed[0].outlets, BTreeSet::from([Outlet::Finding]), "it stays owed to Security Hub only");
    send(&world, &[event("COMPLIANT", 20)]).await;
    let findings = world.state().told.iter().filter(|(outlet, _)| *outlet == Outlet::Finding).count();
    assert_eq!(findings, 1, "a finding is a state: the import that was refused is overtaken");
    assert!(world.state().violations.values().all(|record| record.value.owed.is_empty()));
}

#[tokio::test(flavor = "current_thread")]
async fn findings_without_time_are_left_to_the_sweep_and_fail_no_message() {
    let world = World::new();
    world.state().outlets = BTreeSet::from([Outlet::Topic, Outlet::Finding]);
    world.fail_next("securityhub:BatchImportFindings", PortErrorKind::OutOfTime);
    let reported = send(&world, &[event("NON_COMPLIANT", 10)]).await;
    assert!(reported.failed.is_empty() && reported.failures.is_empty(), "{reported:?}");
    assert_eq!((reported.tally.told, reported.tally.refused, reported.tally.deferred), (1, 0, 1));
    let pending: Vec<_> = world.state().violations.values().flat_map(|record| record.value.owed.clone()).collect();
    assert_eq!(pending.len(), 1, "it stays on record");
    assert_eq!(pending[0].outlets, BTreeSet::from([Outlet::Finding]));
}

#[tokio::test(flavor = "current_thread")]
async fn an_outlet_that_was_switched_off_is_owed_nothing_any_more() {
    let world = World::new();
    world.state().outlets = BTreeSet::from([Outlet::Topic, Outlet::Finding]);
    world.fail_next("securityhub:BatchImportFindings", PortErrorKind::Refused);
    send(&world, &[event("NON_COMPLIANT", 10)]).await;
    assert_eq!(world.state().violations.values().filter(|record| !record.value.owed.is_empty()).count(), 1);
    world.state().outlets = BTreeSet::from([Outlet::Topic]);
    send(&world, &[event("NON_COMPLIANT", 10)]).await;
    let records: Vec<_> = world.state().violations.values().map(|record| record.value.clone()).collect();
    assert!(records.iter().all(|record| record.owed.is_empty() && record.finding_at.is_none()), "let off, not told");
    assert_eq!(kinds(&world), ["violation.opened"], "and nobody hears of it twice");
}

#[tokio::test(flavor = "current_thread")]
async fn a_flush_that_finds_a_newer_window_does_not_tell_what_another_is_telling() {
    let world = World::new();
    send_calmly(&world, &[about("first", "NON_COMPLIANT", 1)]).await;
    send_calmly(&world, &[about("second", "NON_COMPLIANT", 2)]).await;
    world.take_notices();
    let window = *world.state().windows.values().next().unwrap();
    pass(&world, 300);
    // The other function has opened the next window just now, and is telling.
    let later = Window { until: window.until.checked_add(SignedDuration::from_secs(300)).unwrap(), flush_asked: false };
    world.state().windows.insert(group(), later);
    let flush = app::events::flush_message(&group());
    let reported = send_calmly(&world, &[flush]).await;
    assert_eq!((reported.tally.told, reported.tally.held), (0, 1));
    assert!(kinds(&world).is_empty());
    assert!(world.state().windows[&group()].flush_asked, "what is left then is told at the end of that window");
}

/// Otherwise people get the same notice twice, from the sweep and from `report`.
#[tokio::test(flavor = "current_thread")]
async fn flush_leaves_claimed_records_to_the_sweep() {
    let world = World::new();
    send_calmly(&world, &[about("first", "NON_COMPLIANT", 1)]).await;
    send_calmly(&world, &[about("second", "NON_COMPLIANT", 2)]).await;
    world.take_notices();
    pass(&world, 301);
    // A sweep has stored the second record, and is about to deliver what it owes.
    let claim = world.state().now + SignedDuration::from_mins(10);
    for record in world.state().violations.values_mut().filter(|record| !record.value.owed.is_empty()) {
        record.value.delivery_claimed_until = Some(claim);
    }
    let flush = app::events::flush_message(&group());
    let reported = send_calmly(&world, std::slice::from_ref(&flush)).await;
    assert_eq!((reported.tally.told, reported.tally.held), (0, 0));
    // It ended before it did.
    pass(&world, 601);
    let reported = send_calmly(&world, &[flush]).await;
    assert_eq!((reported.tally.told, kinds(&world)), (1, vec!["violation.opened"]));
    assert!(world.state().violations.values().all(|record| record.value.delivery_claimed_until.is_none()));
}

#[tokio::test(flavor = "current_thread")]
async fn a_topic_that_refuses_one_message_gets_the_others() {
    let world = World::new();
    world.fail_next("sns:Publish", PortErrorKind::Refused);
    let mut other = event("NON_COMPLIANT", 10);
    other["detail"]["configRuleName"] =
        json!("AURORA-BACKUP_LAST_RECOVERY_POINT_CREATED-1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d");
    let reported = send(&world, &[event("NON_COMPLIANT", 10), other]).await;
    assert_eq!((reported.tally.told, reported.tally.refused, reported.failed.len()), (1, 1, 0));
    assert_eq!(world.state().violations.values().filter(|record| !record.value.owed.is_empty()).count(), 1);
}

#[tokio::test(flavor = "current_thread")]
async fn a_poisoned_message_is_buried_with_the_reason_and_what_is_not_ours_is_accepted() {
    let world = World::new();
    let mut elsewhere = event("NON_COMPLIANT", 10);
    elsewhere["detail"]["configRuleARN"] = json!("arn:aws:config:eu-west-1:222222222222:config-rule/config-rule-1");
    let mut forged = event("NON_COMPLIANT", 10);
    forged["account"] = json!("333333333333");
    let events = [json!("{not json"), event("NON_COMPLIANT", 10), elsewhere, forged, json!({ "source": "aws.ec2" })];
    let reported = send(&world, &events).await;
    assert!(reported.failed.is_empty(), "{reported:?}");
    assert_eq!((reported.tally.told, reported.ignored, reported.buried), (1, 2, 2));
    let buried = world.state().buried.clone();
    assert_eq!(buried[0].0, "{not json", "as it came");
    assert!(buried[0].1.contains("line 1, column 2"), "{buried:?}");
    assert!(buried[1].1.contains("sent by account 333333333333"), "{buried:?}");

    world.fail_next("sqs:SendMessage", PortErrorKind::Retryable);
    let reported = send(&world, &events).await;
    assert_eq!(reported.failed, BTreeSet::from(["m0".to_owned()]), "what cannot be put aside now comes again");
}

#[tokio::test(flavor = "current_thread")]
async fn a_message_whose_key_is_too_long_fails_alone_with_the_reason() {
    let world = World::new();
    let longest = |bytes: usize| {
        let key = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN#AWS::RDS::DBCluster#".len();
        "x".repeat(bytes - key)
    };
    let mut long_rule = event("NON_COMPLIANT", 10);
    long_rule["detail"]["configRuleName"] = json!("r".repeat(990));
    long_rule["detail"]["resourceType"] = json!("é".repeat(20));
    let flush = json!({ "source": "backup-compliance.report", "flush": { "account": "222222222222", "control": "c".repeat(1020) } });
    let events = [
        event("NON_COMPLIANT", 10),
        about(&longest(1025), "NON_COMPLIANT", 10),
        about(&longest(1024), "NON_COMPLIANT", 10),
        long_rule,
        flush,
    ];
    let reported = send(&world, &events).await;
    assert!(reported.failed.is_empty() && reported.failures.is_empty(), "{reported:?}");
    assert_eq!((reported.tally.told, reported.buried), (2, 3));
    let buried = world.state().buried.clone();
    assert!(buried[0].1.contains("1025 bytes, and a key of DynamoDB has at most 1,024"), "{buried:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn an_account_that_is_neither_a_target_nor_in_the_organisation_is_ignored() {
    let world = World::new();
    let other = AccountId::parse("999999999999").unwrap();
    world.state().account_names.insert(other, "other".into());
    let reported = send(&world, &[event("NON_COMPLIANT", 10)]).await;
    assert_eq!((reported.ignored, reported.tally.told), (1, 0));
    assert!(world.state().violations.is_empty());
}

#[tokio::test(flavor = "current_thread")]
async fn a_notice_is_never_lost_wherever_it_fails() {
    for call in ["dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:Query", "sns:Publish"] {
        for lose_answer in [false, true] {
            let world = World::new();
            if lose_answer {
                world.lose_next_answer(call);
            } else {
                world.fail_next(call, PortErrorKind::Retryable);
            }
            let first = send(&world, &[event("NON_COMPLIANT", 10)]).await;
            assert_eq!(first.failed, BTreeSet::from(["m0".to_owned()]), "{call}");
            let second = send(&world, &[event("NON_COMPLIANT", 10)]).await;
            assert!(second.failed.is_empty(), "{call}: {second:?}");
            let told = kinds(&world);
            assert!((1..=2).contains(&told.len()), "{call}: {told:?}");
            assert!(told.iter().all(|kind| *kind == "violation.opened"), "{call}: {told:?}");
            send(&world, &[event("NON_COMPLIANT", 10)]).await;
            assert!(kinds(&world).is_empty(), "{call}: told is told, unless the answer that says so was lost");
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_notice_that_was_told_and_not_noted_is_told_once_more_and_its_end_too() {
    let world = World::new();
    // What is in force, the record, its name, storing, backup plans, telling: then it dies, before it can note that it has told.
    world.state().dies_in = Some(2 * 6);
    let events = batch(&[event("NON_COMPLIANT", 10)]);
    let report = report(&world, Duration::ZERO);
    assert!(tokio::time::timeout(Duration::from_millis(20), report.handle(&events)).await.is_err(), "it dies");
    assert_eq!(kinds(&world), ["violation.opened"]);
    world.state().dies_in = None;
    send(&world, &[event("COMPLIANT", 20)]).await;
    let notices = world.take_notices();
    assert_eq!(entries(&notices[0]), [opened("orders"), resolved("orders")], "never a resolution without an opening");
}

#[tokio::test(flavor = "current_thread")]
async fn names_that_cannot_be_had_do_not_hold_back_the_notice() {
    let world = World::new();
    world.fail_next("config:SelectAggregateResourceConfig", PortErrorKind::Denied);
    world.fail_next("config:SelectAggregateResourceConfig", PortErrorKind::Denied);
    assert_eq!(send(&world, &[event("NON_COMPLIANT", 10)]).await.tally.told, 1);
    assert_eq!(kinds(&world), ["violation.opened"]);
}

#[tokio::test(flavor = "current_thread")]
async fn a_batch_reads_once_and_quiet_events_cost_no_writes() {
    let world = World::new();
    let events: Vec<Value> = (0..50).map(|n| about(&format!("c{n}"), "NON_COMPLIANT", 10)).collect();
    send(&world, &events).await;
    let calls = world.take_calls();
    let count = |name: &str| calls.iter().filter(|call| **call == name).count();
    assert_eq!((count("dynamodb:BatchGetItem"), count("dynamodb:Query")), (1, 1), "records; what is in force");
    assert_eq!(count("dynamodb:PutItem"), 100, "each record with its debt, and without");
    assert_eq!(count("config:SelectAggregateResourceConfig"), 2, "names of all; backup plans of the one place");
    assert_eq!(count("sns:Publish"), 1);
    send(&world, &events).await;
    assert_eq!(world.take_calls(), ["dynamodb:Query", "dynamodb:BatchGetItem"]);
}

#[test]
fn the_group_of_the_events_is_their_account_and_control() {
    assert_eq!(group().to_string(), "222222222222#BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN");
}

/// A topic that rejects everything for an hour in which every window ends with a flush: an operator repairs it, and nothing is lost.
#[tokio::test(flavor = "current_thread")]
async fn rejections_of_one_hour_give_up_nothing() {
    let world = World::new();
    (0..40).for_each(|_| world.fail_next("sns:Publish", PortErrorKind::Denied));
    for minute in 0..20_u8 {
        let compliance = if minute % 2 == 0 { "NON_COMPLIANT" } else { "COMPLIANT" };
        let reported = send(&world, &[event(compliance, 10 + minute)]).await;
        assert_eq!((reported.tally.refused, reported.tally.given_up), (1, 0), "{reported:?}");
        pass(&world, 180);
    }
    let record = world.state().violations.values().next().unwrap().value.clone();
    assert!(record.undelivered[&Outlet::Topic].rejections >= 20, "{record:?}");
    assert!(!record.owed.is_empty());
    world.take_faults();
    let reported = send(&world, &[event("NON_COMPLIANT", 55)]).await;
    assert!(reported.tally.told > 1, "{reported:?}");
    let record = world.state().violations.values().next().unwrap().value.clone();
    assert!(record.owed.is_empty() && record.undelivered.is_empty(), "{record:?}");
}
