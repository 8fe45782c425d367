//! Every sample event of `report` and `sweep` with its effects. Long because one binary start per scenario shares
//! these helpers.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde_json::{Value, json};

use domain::policy::{Exemption, Reporting};
use domain::violation::{Channel, ClosedReason, ViolationStatus};
use framework::control;
use runtime_api::InvocationOutcome;
use sandbox::config::{Hidden, RuleCompliance, RuleEvaluation};
use sandbox::events::samples::{self, now};

use crate::application::{DeployedApplication, FunctionProcess, bare, event, failures};
use crate::cost;

const VIOLATIONS: &str = "violation#";
const WINDOWS: &str = "window";
const COVERAGE: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN";
const FREQUENCY: &str = "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK";
const PAYMENTS: &str = "222222222222";
const REGION: &str = "eu-west-1";
const CLUSTER: &str = "AWS::RDS::DBCluster";
const ORDERS: &str = "cluster-7XK3Q2EXAMPLE5NWQ4";
const ROLE: &str = "backup-compliance-member";

/// Delivers events one by one to `report`, without stored violations before, and checks the notices and calls of the
/// last one.
fn leads_to(
    application: &DeployedApplication,
    report: &mut FunctionProcess<'_>,
    events: &[&str],
    kinds: &[&str],
    cost: &str,
) -> Vec<Value> {
    application.forget(VIOLATIONS);
    application.forget(WINDOWS);
    let (last, before) = events.split_last().unwrap();
    for name in before {
        assert_eq!(report.answer(&event(name)), failures(&[]), "{name}");
        while !application.client.sqs_receive(&application.notices, 0).unwrap().is_empty() {}
    }
    assert_eq!(report.answer(&event(last)), failures(&[]), "{events:?}");
    cost::check(report, cost);
    application.take_notices(kinds)
}

#[test]
fn sample_events_have_documented_effects() {
    let application = DeployedApplication::start();
    let mut report = application.function("report");
    let mut case =
        |events: &[&str], kinds: &[&str], cost: &str| leads_to(&application, &mut report, events, kinds, cost);
    let (opened, resolved) = (["violation.opened"], ["violation.resolved"]);

    let notice = case(&["config-noncompliant.json"], &opened, "report: opened").remove(0);
    assert_eq!((&notice["account"], &notice["region"]), (&json!(PAYMENTS), &json!(REGION)));
    assert_eq!(notice["resource"]["id"], "orders");
    assert_eq!(notice["control"]["name"], COVERAGE);
    assert_eq!(notice["since"], samples::moved("2026-11-23T04:12:09.311Z"));
    assert_eq!((&notice["reason"], &notice["openedBy"]), (&json!("result"), &json!("regression")));
    assert!(notice["control"]["remediation"].as_str().is_some_and(|todo| !todo.is_empty()));

    case(&["config-noncompliant.json", "config-noncompliant.json"], &[], "report: known");
    // A few nanoseconds later it is still the same violation: updated, without a notice.
    case(&["config-noncompliant.json", "config-odd-timestamps.json"], &[], "report: recorded");
    case(&["config-odd-timestamps.json"], &opened, "report: opened");
    let notice = case(&["config-no-old-result.json"], &opened, "report: opened").remove(0);
    assert_eq!(notice["openedBy"], "rollout", "no state is known from before");
    let notice = case(&["config-noncompliant.json", "config-compliant.json"], &resolved, "report: resolved").remove(0);
    assert_eq!((&notice["noLongerApplies"], &notice["closedReason"]), (&json!(false), &json!("satisfied")));
    case(&["config-noncompliant.json", "config-compliant.json", "config-noncompliant.json"], &[], "report: known");
    case(&["config-compliant.json"], &[], "report: recorded");
    let notice =
        case(&["config-noncompliant.json", "config-not-applicable.json"], &resolved, "report: resolved").remove(0);
    assert_eq!((&notice["noLongerApplies"], &notice["closedReason"]), (&json!(true), &json!("notApplicable")));
    case(&["config-not-applicable.json"], &[], "report: recorded");
    // A resource that AWS Config finds needs no second query.
    let notice = case(&["config-noncompliant-resource-id.json"], &opened, "report: opened, resource known").remove(0);
    assert_eq!(notice["resource"]["name"], "orders", "the name comes from AWS Config");
    assert_eq!(notice["owner"], "orders-team@example.com", "and the owner from its tags");
    assert!(notice["remediationOptions"].to_string().contains("daily"), "a plan selects by a tag: {notice}");
    // Backup plans do not matter for other controls.
    let notice =
        case(&["config-noncompliant-backup-plan.json"], &opened, "report: opened, control without plans").remove(0);
    assert_eq!(notice["control"]["name"], FREQUENCY);
    let notice = case(&["config-unknown-control.json"], &opened, "report: opened, unknown control").remove(0);
    assert!(
        notice["rule"]["name"].as_str().unwrap().starts_with(notice["control"]["name"].as_str().unwrap()),
        "{notice}"
    );
    for near_miss in ["config-other-service-rule.json", "config-own-rule.json", "bad/sqs-no-records.json"] {
        case(&[near_miss], &[], "report: ignored event");
    }
    let digest = case(&["config-flood.json"], &["violation.digest"], "report: twelve at once").remove(0);
    assert_eq!((&digest["reason"], &digest["counts"]["opened"]), (&json!("changes"), &json!(12)));
    assert_eq!(digest["entries"].as_array().unwrap().len(), 12);
    assert_eq!((&digest["account"], &digest["control"]["name"]), (&json!(PAYMENTS), &json!(COVERAGE)));
    // Nothing is buffered, so there is nothing to deliver.
    case(&["report-flush.json"], &[], "report: flush without notices");
    report.stop();
    application.stop();
}

#[test]
fn notices_in_window_become_one_digest() {
    let application = DeployedApplication::start();
    let mut report = application.function_with("report", &[("DIGEST_WINDOW_SECONDS", "300")]);
    let mut case =
        |events: &[&str], kinds: &[&str], cost: &str| leads_to(&application, &mut report, events, kinds, cost);
    case(&["config-noncompliant.json"], &["violation.opened"], "report: opened, begins a window");
    case(&["config-noncompliant.json", "config-noncompliant.json"], &[], "report: known");
    // The first buffered notice schedules the end of the window.
    case(&["config-noncompliant.json", "config-compliant.json"], &[], "report: first buffered");
    let also = ["config-noncompliant.json", "config-compliant.json", "config-noncompliant-resource-id.json"];
    case(&also, &[], "report: next buffered");
    // Another control of the account has its own window.
    let elsewhere = ["config-noncompliant.json", "config-noncompliant-backup-plan.json"];
    case(&elsewhere, &["violation.opened"], "report: opened, begins a window, control without plans");
    // `orders` is delivered and stored; the other eleven are new.
    case(&["config-noncompliant.json", "config-flood.json"], &[], "report: eleven buffered");
    // A flush message for a window that is still open: another invocation is delivering, and continues with the rest.
    let all = ["config-noncompliant.json", "config-flood.json", "report-flush.json"];
    case(&all, &[], "report: flush of an open window");
    for window in application.items(WINDOWS) {
        let end = json!({
            "TableName": crate::application::TABLE, "Key": {"pk": window["pk"], "sk": window["sk"]},
            "UpdateExpression": "SET #until = :then", "ExpressionAttributeNames": {"#until": "until"},
            "ExpressionAttributeValues": {":then": {"N": "1"}},
        });
        application.client.json("dynamodb", "DynamoDB_20120810.UpdateItem", &end).unwrap();
    }
    assert_eq!(report.answer(&event("report-flush.json")), failures(&[]));
    cost::check(&report, "report: flush of eleven");
    let digest = application.take_notices(&["violation.digest"]).remove(0);
    assert_eq!(digest["counts"]["opened"], 11);
    assert!(digest["subject"].as_str().unwrap().contains("11 opened"), "{digest}");
    assert!(
        application.records().iter().all(|record| record.pending.is_empty() && record.status == ViolationStatus::Open)
    );
    report.stop();
    application.stop();
}

#[test]
fn queue_delivers_flush_message() {
    let application = DeployedApplication::start();
    let mut report = application.function_with("report", &[("DIGEST_WINDOW_SECONDS", "6")]);
    assert_eq!(report.answer(&event("config-noncompliant.json")), failures(&[]));
    application.take_notices(&["violation.opened"]);
    assert_eq!(report.answer(&event("config-compliant.json")), failures(&[]));
    assert_eq!(report.answer(&event("config-noncompliant-resource-id.json")), failures(&[]));
    application.take_notices(&[]);
    assert_eq!(application.client.sqs_depth(&application.report_queue).unwrap(), (0, 0), "not to be had yet");
    assert_eq!(application.client.sqs_delayed(&application.report_queue).unwrap(), 1, "asked for once");

    let flush = application.take_batch(&application.report_queue, 20);
    let body: Value = serde_json::from_str(flush["Records"][0]["body"].as_str().unwrap()).unwrap();
    assert_eq!(body, bare("report-flush.json"), "as the sample has it");
    assert_eq!(report.answer(&flush), failures(&[]));
    cost::check(&report, "report: flush of two");
    let digest = application.take_notices(&["violation.digest"]).remove(0);
    assert_eq!((&digest["counts"]["opened"], &digest["counts"]["resolved"]), (&json!(1), &json!(1)));
    assert!(application.records().iter().all(|record| record.pending.is_empty()));

    let again = application.take_batch(&application.report_queue, 20);
    assert_eq!(report.answer(&again), failures(&[]));
    cost::check(&report, "report: flush without notices");
    application.take_notices(&[]);
    assert_eq!(
        application.client.sqs_delayed(&application.report_queue).unwrap(),
        0,
        "and no further message is scheduled"
    );
    report.stop();
    application.stop();
}

#[test]
fn unreadable_message_is_dead_lettered_with_reason() {
    let application = DeployedApplication::start();
    let mut report = application.function("report");
    for (name, expected) in [
        ("bad/no-detail.json", "no `detail`"),
        ("bad/detail-is-text.json", "no `detail`"),
        ("bad/account-mismatch.json", "sent by account 333333333333"),
        ("bad/timestamp-is-text.json", "orderingTimestamp"),
        ("bad/flush-of-nothing.json", "control"),
    ] {
        let batch = event(name);
        let id = batch["Records"][0]["messageId"].as_str().unwrap();
        assert_eq!(report.answer(&batch), failures(&[]), "{name}");
        cost::check(&report, "report: dead letter");
        let buried = application.take_batch(&application.report_dead_letters, 5);
        let buried = &buried["Records"][0];
        assert_eq!(buried["body"], batch["Records"][0]["body"], "{name}");
        let reason = buried["messageAttributes"]["reason"]["stringValue"].as_str().unwrap();
        assert!(reason.contains(expected), "{name}: {reason}");
        assert_eq!(buried["messageAttributes"]["function"]["stringValue"], "report");
        // It returns to the queue only if dead-lettering fails.
        application.cloud.fail_next("sqs", "SendMessage", 403, "AccessDeniedException", "not you", 1);
        assert_eq!(report.answer(&batch), failures(&[id]), "{name}");
        // A direct invocation returns the error.
        let said = report.refuse(&bare(name));
        assert!(said.contains(expected), "{name}: {said}");
        assert_eq!(report.calls(), Vec::<String>::new(), "{name}");
    }
    for (wrong, expected) in [
        (event("bad/empty-object.json"), "no `source`"),
        (json!([]), "not a JSON object"),
        (json!(5), "not a JSON object"),
    ] {
        let said = report.refuse(&wrong);
        assert!(said.contains(expected), "{wrong}: {said}");
    }
    // All principals may send events whose source does not begin with `aws.`: such an event is rejected, and not kept.
    assert_eq!(report.answer(&event("bad/wrong-source.json")), failures(&[]));
    assert_eq!(report.calls(), Vec::<String>::new());
    assert_eq!(application.items(VIOLATIONS), Vec::<Value>::new());

    let batch = event("bad/sqs-batch-one-poisoned.json");
    let poisoned = batch["Records"][1]["messageId"].as_str().unwrap();
    assert_eq!(report.answer(&batch), failures(&[]));
    let digest = application.take_notices(&["violation.digest"]).remove(0);
    let mut delivered: Vec<&str> =
        digest["entries"].as_array().unwrap().iter().map(|entry| entry["resource"]["id"].as_str().unwrap()).collect();
    delivered.sort_unstable();
    assert_eq!(delivered, ["invoices", "orders"]);
    let buried = application.take_batch(&application.report_dead_letters, 5);
    assert_eq!(buried["Records"].as_array().unwrap().len(), 1);
    assert_eq!(buried["Records"][0]["body"], batch["Records"][1]["body"]);
    // Delivered again with the others: no second notices.
    application.cloud.fail_next("sqs", "SendMessage", 403, "AccessDeniedException", "not you", 1);
    assert_eq!(report.answer(&batch), failures(&[poisoned]));
    application.take_notices(&[]);
    let log = report.stop();
    assert!(log.contains("invalid message") && log.contains(poisoned), "{log}");
    application.stop();
}

#[test]
fn unknown_account_is_ignored() {
    let application = DeployedApplication::start();
    let mut report = application.function("report");
    application.in_force(&[PAYMENTS], &[REGION], &[COVERAGE]);
    assert_eq!(report.answer(&event("bad/unknown-account.json")), failures(&[]));
    cost::check(&report, "report: unknown account");
    assert_eq!(report.answer(&bare("bad/unknown-account.json"))["ignored"], 1);
    assert_eq!(application.items(VIOLATIONS), Vec::<Value>::new());
    // A member of the organization may have no framework yet.
    application.put("framework", "#accounts", &json!({"999999999999": "new-team"}));
    assert_eq!(report.answer(&event("bad/unknown-account.json")), failures(&[]));
    let notice = application.take_notices(&["violation.opened"]).remove(0);
    assert_eq!((&notice["account"], &notice["accountName"]), (&json!("999999999999"), &json!("new-team")));
    report.stop();
    application.stop();
}

#[test]
fn failed_delivery_is_retried() {
    let application = DeployedApplication::start();
    let mut report = application.function("report");
    let batch = event("config-noncompliant.json");
    let id = batch["Records"][0]["messageId"].as_str().unwrap();
    // The table is unreadable: no event is lost.
    application.cloud.fail_next("dynamodb", "BatchGetItem", 400, "AccessDeniedException", "not you", 1);
    assert_eq!(report.answer(&batch), failures(&[id]));
    application.cloud.fail_next("dynamodb", "PutItem", 400, "AccessDeniedException", "not you", 1);
    assert_eq!(report.answer(&batch), failures(&[id]));
    assert_eq!(application.items(VIOLATIONS), Vec::<Value>::new());
    // Without the frameworks in force the exemptions are unknown.
    application.cloud.fail_next("dynamodb", "Query", 400, "AccessDeniedException", "not you", 1);
    assert_eq!(report.answer(&batch), failures(&[id]));
    // The topic fails for longer than the SDK retries: the violation is stored with a pending delivery, and the
    // message returns.
    application.cloud.fail_next("sns", "PublishBatch", 503, "ServiceUnavailable", "later", 3);
    assert_eq!(report.answer(&batch), failures(&[id]));
    application.take_notices(&[]);
    assert_eq!(application.records()[0].pending_for(Channel::Topic).count(), 1);
    assert_eq!(report.answer(&batch), failures(&[]));
    application.take_notices(&["violation.opened"]);
    assert_eq!(report.answer(&batch), failures(&[]));
    application.take_notices(&[]);

    // The topic rejects the notice: a retry of the message would fail again, so only the pending delivery remains.
    application.cloud.fail_next("sns", "PublishBatch", 403, "AuthorizationError", "not you", 1);
    let answer = report.answer(&bare("config-compliant.json"));
    assert_eq!((&answer["rejected"], &answer["delivered"]), (&json!(1), &json!(0)), "{answer}");
    application.take_notices(&[]);
    let record = application.records().remove(0);
    assert_eq!((record.status, record.closed_reason), (ViolationStatus::Closed, Some(ClosedReason::Satisfied)));
    assert_eq!(record.pending_for(Channel::Topic).count(), 1);
    // The next trigger, here the end of a window, delivers pending notices first.
    assert_eq!(report.answer(&event("report-flush.json")), failures(&[]));
    cost::check(&report, "report: flush with a pending delivery");
    application.take_notices(&["violation.resolved"]);

    // The delivery needs no data of AWS Config.
    application.cloud.fail_next("config", "SelectAggregateResourceConfig", 403, "AccessDeniedException", "not you", 2);
    assert_eq!(report.answer(&event("config-noncompliant-resource-id.json")), failures(&[]));
    let notice = application.take_notices(&["violation.opened"]).remove(0);
    assert_eq!(notice["resource"]["name"], ORDERS);
    let log = report.stop();
    assert!(log.contains("names and tags of resources not read"), "{log}");
    assert!(log.contains("backup plans not read"), "{log}");
    application.stop();
}

/// A queue for the events on the default bus with this application's name as source.
fn queue_on_the_bus(application: &DeployedApplication) -> String {
    let client = &application.client;
    let created = client.json("sqs", "AmazonSQS.CreateQueue", &json!({"QueueName": "events"})).unwrap();
    let rule = json!({"Name": "violations", "EventPattern": json!({"source": ["backup-compliance"]}).to_string()});
    client.json("events", "AWSEvents.PutRule", &rule).unwrap();
    let target = json!({"Id": "queue", "Arn": "arn:aws:sqs:us-east-1:000000000000:events"});
    client.json("events", "AWSEvents.PutTargets", &json!({"Rule": "violations", "Targets": [target]})).unwrap();
    created["QueueUrl"].as_str().unwrap().to_owned()
}

/// The topic for chat channels and a queue that is subscribed to it.
fn chat(application: &DeployedApplication) -> (String, String) {
    let created = application.client.query("sns", "CreateTopic", &[("Name", "chat")]).unwrap();
    let topic = sandbox::wire::xml_text(&created, "TopicArn").unwrap();
    let queue = application.client.subscribe_queue(&topic, "chat").unwrap();
    (topic, queue)
}

fn take_one(application: &DeployedApplication, queue: &str) -> Value {
    let messages = application.client.sqs_receive(queue, 10).unwrap();
    assert_eq!(messages.len(), 1, "{messages:?}");
    serde_json::from_str(&messages[0]).unwrap()
}

#[test]
fn channels_get_notices_in_their_form() {
    let application = DeployedApplication::start();
    let (topic, channel) = chat(&application);
    let events = queue_on_the_bus(&application);
    let settings =
        [("CHAT_TOPIC_ARN", topic.as_str()), ("SECURITY_HUB", "central"), ("NOTICE_EVENT_BUS_NAME", "default")];
    let mut report = application.function_with("report", &settings);

    assert_eq!(report.answer(&event("config-noncompliant-resource-id.json")), failures(&[]));
    cost::check(&report, "report: opened, all channels");
    application.take_notices(&["violation.opened"]);
    let message = take_one(&application, &channel);
    let said: Value = serde_json::from_str(message["Message"].as_str().unwrap()).unwrap();
    assert_eq!((&said["version"], &said["source"]), (&json!("1.0"), &json!("custom")), "{said}");
    assert!(said["content"]["title"].as_str().unwrap().contains("orders"), "{said}");
    let put = take_one(&application, &events);
    assert_eq!(put["detail-type"], "Backup Compliance Violation Opened");
    assert_eq!((&put["source"], &put["detail"]["kind"]), (&json!("backup-compliance"), &json!("violation.opened")));
    assert_eq!(put["detail"]["resource"]["id"], ORDERS);
    let findings = application.cloud.findings();
    assert_eq!(findings.len(), 1);
    let finding = &findings[0];
    assert_eq!((&finding["Compliance"]["Status"], &finding["RecordState"]), (&json!("FAILED"), &json!("ACTIVE")));
    assert_eq!(finding["AwsAccountId"], "000000000000");
    assert_eq!(finding["ProductFields"]["backup-compliance/account"], PAYMENTS);
    let id = finding["Id"].clone();

    // The same resource is compliant a day later.
    let mut compliant = bare("config-noncompliant-resource-id.json");
    compliant["detail"]["newEvaluationResult"] = bare("config-compliant.json")["detail"]["newEvaluationResult"].clone();
    report.answer(&compliant);
    cost::check(&report, "report: resolved, all channels");
    application.take_notices(&["violation.resolved"]);
    assert!(take_one(&application, &channel)["Message"].as_str().unwrap().contains("orders"));
    assert_eq!(take_one(&application, &events)["detail-type"], "Backup Compliance Violation Resolved");
    let findings = application.cloud.findings();
    assert_eq!(findings.len(), 1, "one finding as long as the violation exists");
    assert_eq!((&findings[0]["Id"], &findings[0]["Compliance"]["Status"]), (&id, &json!("PASSED")));
    assert!(application.records()[0].pending.is_empty());
    report.stop();
    application.stop();
}

#[test]
fn finding_is_imported_into_resource_account() {
    let application = DeployedApplication::start();
    let settings = [("SECURITY_HUB", "member"), ("MEMBER_ROLE_NAME", ROLE)];
    let mut report = application.function_with("report", &settings);
    // Security Hub is not enabled there: the topic is notified, and the delivery of the finding stays pending.
    let answer = report.answer(&bare("config-noncompliant.json"));
    assert_eq!((&answer["delivered"], &answer["rejected"]), (&json!(1), &json!(1)), "{answer}");
    cost::check(&report, "report: opened, finding in member account");
    application.take_notices(&["violation.opened"]);
    let record = application.records().remove(0);
    assert_eq!((record.pending_for(Channel::SecurityHub).count(), record.pending_for(Channel::Topic).count()), (1, 0));
    assert_eq!(application.cloud.findings(), Vec::<Value>::new());

    application.cloud.set_security_hub(PAYMENTS, REGION, true);
    report.answer(&event("report-flush.json"));
    let findings = application.cloud.findings();
    assert_eq!(findings.len(), 1);
    assert_eq!(
        (&findings[0]["AwsAccountId"], &findings[0]["Compliance"]["Status"]),
        (&json!(PAYMENTS), &json!("FAILED"))
    );
    assert!(findings[0]["ProductArn"].as_str().unwrap().starts_with("arn:aws:securityhub:eu-west-1:222222222222:"));
    // The role is assumed once for an hour.
    report.answer(&event("config-compliant.json"));
    cost::check(&report, "report: resolved, finding in member account");
    assert_eq!(application.cloud.findings()[0]["Compliance"]["Status"], "PASSED");
    application.take_notices(&["violation.resolved"]);
    report.stop();
    application.stop();
}

fn hours(hours: i64) -> Timestamp {
    now() + SignedDuration::from_hours(hours)
}

/// An exemption of the cluster `orders`, for this number of days from now.
fn exempt_orders(days: i64) -> Reporting {
    let exemption = Exemption {
        control: control::find(COVERAGE).unwrap(),
        resources: vec!["arn:aws:rds:*:*:cluster:orders".into()],
        accounts: Vec::new(),
        tags: [].into(),
        reason: "moves next month".into(),
        owner: "orders-team@example.com".into(),
        until: hours(24 * days).to_zoned(TimeZone::UTC).date(),
    };
    Reporting { exemptions: vec![exemption], ..Reporting::default() }
}

/// The sample event of the schedule, this number of hours after the start of the application.
fn due(application: &DeployedApplication, hours: i64) -> Value {
    application.be_at(hours);
    event("schedule-sweep.json")
}

#[test]
fn exempt_violation_is_reported_when_exemption_ends() {
    let application = DeployedApplication::start();
    application.publish(&exempt_orders(20));
    let mut report = application.function("report");
    let answer = report.answer(&bare("config-noncompliant-resource-id.json"));
    assert_eq!((&answer["exempt"], &answer["delivered"]), (&json!(1), &json!(0)), "{answer}");
    cost::check(&report, "report: exempt");
    application.take_notices(&[]);
    let record = application.records().remove(0);
    assert_eq!(record.exemption.unwrap().reason, "moves next month");
    assert_eq!((record.status, record.pending), (ViolationStatus::Open, vec![]));

    let mut sweep = application.function("sweep");
    let swept = sweep.answer(&due(&application, 24));
    assert_eq!((&swept["exemptionsEnded"], &swept["notices"]), (&json!(0), &json!(0)), "{swept}");
    // Two weeks before the end its owner gets one notice.
    let swept = sweep.answer(&due(&application, 24 * 10));
    assert_eq!(swept["exemptionsEnded"], 0, "{swept}");
    let digest = application.take_notices(&["violation.digest"]).remove(0);
    assert_eq!(
        (&digest["reason"], &digest["owner"]),
        (&json!("exemptionsExpiring"), &json!("orders-team@example.com"))
    );
    assert_eq!(digest["counts"], json!({"exemptions": 1, "violations": 1}));
    sweep.answer(&due(&application, 24 * 20));
    application.take_notices(&[]);
    let swept = sweep.answer(&due(&application, 24 * 21));
    assert_eq!((&swept["exemptionsEnded"], &swept["delivered"]), (&json!(1), &json!(1)), "{swept}");
    let notice = application.take_notices(&["violation.opened"]).remove(0);
    assert_eq!(notice["reason"], "exemptionEnded");
    assert_eq!(notice["exemption"]["reason"], "moves next month");
    sweep.answer(&due(&application, 24 * 21 + 1));
    application.take_notices(&[]);

    // The reverse: an exemption begins to cover a violation that was reported.
    application.publish(&exempt_orders(60));
    let swept = sweep.answer(&due(&application, 24 * 21 + 2));
    assert_eq!(swept["exempted"], 1, "{swept}");
    let notice = application.take_notices(&["violation.exempted"]).remove(0);
    assert_eq!(notice["exemption"]["owner"], "orders-team@example.com");
    report.stop();
    sweep.stop();
    application.stop();
}

/// Puts a result of the coverage control for a resource in account 222222222222, without an event.
fn lose(application: &DeployedApplication, kind: &str, id: &str, compliance: RuleCompliance, at: Timestamp) {
    let evaluation = RuleEvaluation {
        account: PAYMENTS.into(),
        region: REGION.into(),
        control: COVERAGE.into(),
        resource_type: kind.into(),
        resource_id: id.into(),
        compliance,
        at: Some(at),
        annotation: Some("no plan has it".into()),
    };
    application.cloud.evaluate(&evaluation).expect("AWS Config sends an event, which gets lost");
}

/// Long because each sweep depends on the state after the sweeps before.
#[test]
fn sweep_finds_violations_without_events() {
    let application = DeployedApplication::start();
    let mut sweep = application.function("sweep");
    let asked = event("schedule-sweep.json");
    let swept = sweep.answer(&asked);
    assert_eq!((&swept["complete"], &swept["accounts"]), (&json!(true), &json!(0)), "{swept}");
    cost::check(&sweep, "sweep: no framework in force");

    application.in_force(&[PAYMENTS], &[REGION], &[COVERAGE]);
    lose(&application, CLUSTER, ORDERS, RuleCompliance::NonCompliant, now());
    let swept = sweep.answer(&due(&application, 0));
    assert_eq!(
        (&swept["opened"], &swept["delivered"], &swept["complete"]),
        (&json!(1), &json!(1), &json!(true)),
        "{swept}"
    );
    cost::check(&sweep, "sweep: lost event");
    let notice = application.take_notices(&["violation.opened"]).remove(0);
    assert_eq!((&notice["resource"]["name"], &notice["detectedBy"]), (&json!("orders"), &json!("sweep")));

    let swept = sweep.answer(&due(&application, 0));
    assert_eq!((&swept["opened"], &swept["delivered"]), (&json!(0), &json!(0)), "once: {swept}");
    cost::check(&sweep, "sweep: no change");

    lose(&application, CLUSTER, ORDERS, RuleCompliance::Compliant, now());
    let swept = sweep.answer(&due(&application, 2));
    assert_eq!((&swept["closed"], &swept["delivered"]), (&json!(1), &json!(1)), "{swept}");
    cost::check(&sweep, "sweep: compliant again");
    let notice = application.take_notices(&["violation.resolved"]).remove(0);
    assert_eq!(notice["closedReason"], "satisfied");

    // Broken again, with a stored violation; then AWS Config has no result for it.
    lose(&application, CLUSTER, ORDERS, RuleCompliance::NonCompliant, now());
    let swept = sweep.answer(&due(&application, 4));
    assert_eq!((&swept["reopened"], &swept["opened"]), (&json!(1), &json!(0)), "{swept}");
    let notice = application.take_notices(&["violation.opened"]).remove(0);
    assert_eq!(notice["openedBy"], "regression");
    // An aggregator shows rules with results only; here one of the control that has another type of resource.
    lose(&application, "AWS::DynamoDB::Table", "carts", RuleCompliance::Compliant, now());
    application.cloud.remove_resource(PAYMENTS, REGION, CLUSTER, ORDERS);
    application.cloud.config().forget_results(PAYMENTS, REGION, CLUSTER, ORDERS);
    let swept = sweep.answer(&due(&application, 4));
    assert_eq!(swept["closed"], 0, "an aggregator lags behind: {swept}");
    let swept = sweep.answer(&due(&application, 6));
    assert_eq!((&swept["closed"], &swept["delivered"]), (&json!(1), &json!(1)), "{swept}");
    cost::check(&sweep, "sweep: resource deleted");
    let notice = application.take_notices(&["violation.resolved"]).remove(0);
    assert_eq!(notice["closedReason"], "resourceGone");

    // The framework is removed from the account.
    lose(&application, "AWS::DynamoDB::Table", "carts", RuleCompliance::NonCompliant, now());
    sweep.answer(&due(&application, 8));
    application.take_notices(&["violation.opened"]);
    application.cloud.config().remove_rules(PAYMENTS, REGION, None);
    application.in_force(&["333333333333"], &["us-east-1"], &[COVERAGE]);
    sweep.answer(&due(&application, 10));
    let kinds = ["violation.digest", "violation.resolved"];
    let notices = application.take_notices(&kinds);
    let removed = notices.iter().find(|notice| notice["kind"] == "violation.resolved").unwrap();
    assert_eq!(removed["closedReason"], "frameworkRemoved");

    for wrong in [
        event("bad/empty-object.json"),
        json!({"source": "backup-compliance.schedule", "task": "full-reconciliation"}),
        bare("config-compliant.json"),
    ] {
        let said = sweep.refuse(&wrong);
        assert!(said.contains("\"task\": \"sweep\""), "{wrong}: {said}");
        assert_eq!(sweep.calls(), Vec::<String>::new(), "{wrong}");
    }
    sweep.stop();
    application.stop();
}

#[test]
fn sweep_uses_three_sources_and_names_blind_spots() {
    let application = DeployedApplication::start();
    application.in_force(&[PAYMENTS], &[REGION], &[COVERAGE]);
    let config = application.cloud.config();

    // The aggregator shows no rules: its queries do.
    config.set_hidden(PAYMENTS, REGION, Some(Hidden::Rules));
    lose(&application, CLUSTER, ORDERS, RuleCompliance::NonCompliant, now());
    let mut sweep = application.function("sweep");
    let swept = sweep.answer(&due(&application, 0));
    assert_eq!((&swept["opened"], &swept["blindSpots"]), (&json!(1), &json!(0)), "{swept}");
    cost::check(&sweep, "sweep: lost event, by query");
    application.take_notices(&["violation.opened"]);
    lose(&application, CLUSTER, ORDERS, RuleCompliance::Compliant, now());
    assert_eq!(sweep.answer(&due(&application, 2))["closed"], 1);
    cost::check(&sweep, "sweep: compliant again, by query");
    application.take_notices(&["violation.resolved"]);
    sweep.stop();

    // The aggregator shows nothing: the account itself is read, if the role permits.
    config.set_hidden(PAYMENTS, REGION, Some(Hidden::Everything));
    lose(&application, CLUSTER, ORDERS, RuleCompliance::NonCompliant, now());
    let mut sweep = application.function_with("sweep", &[("MEMBER_ROLE_NAME", ROLE)]);
    let swept = sweep.answer(&due(&application, 4));
    assert_eq!((&swept["reopened"], &swept["blindSpots"]), (&json!(1), &json!(0)), "{swept}");
    cost::check(&sweep, "sweep: lost event, in the account");
    application.take_notices(&["violation.opened"]);
    lose(&application, CLUSTER, ORDERS, RuleCompliance::Compliant, now());
    assert_eq!(sweep.answer(&due(&application, 6))["closed"], 1);
    application.take_notices(&["violation.resolved"]);
    // A new process has to assume the role again, and the account denies it.
    sweep.stop();
    lose(&application, CLUSTER, ORDERS, RuleCompliance::NonCompliant, now());
    application.cloud.set_assume_role_allowed(PAYMENTS, false);
    let mut sweep = application.function_with("sweep", &[("MEMBER_ROLE_NAME", ROLE)]);
    let swept = sweep.answer(&due(&application, 8));
    assert_eq!((&swept["reopened"], &swept["blindSpots"]), (&json!(0), &json!(1)), "{swept}");
    cost::check(&sweep, "sweep: blind spot");
    let digest = application.take_notices(&["violation.digest"]).remove(0);
    assert_eq!((&digest["reason"], &digest["counts"]["locations"]), (&json!("blindSpots"), &json!(1)));
    assert_eq!(
        (&digest["blindSpots"][0]["account"], &digest["blindSpots"][0]["region"]),
        (&json!(PAYMENTS), &json!(REGION))
    );
    assert_eq!(digest["blindSpots"][0]["cause"], "roleNotAssumable");
    let swept = sweep.answer(&due(&application, 9));
    assert_eq!((&swept["blindSpots"], &swept["notices"]), (&json!(1), &json!(0)), "one notice: {swept}");
    // The account is visible again, and violations from the meantime are reported.
    config.set_hidden(PAYMENTS, REGION, None);
    let swept = sweep.answer(&due(&application, 10));
    assert_eq!((&swept["reopened"], &swept["blindSpots"]), (&json!(1), &json!(0)), "{swept}");
    application.take_notices(&["violation.opened"]);
    sweep.stop();
    application.stop();
}

#[test]
fn sweep_sends_one_reminder_a_week_to_each_owner() {
    let application = DeployedApplication::start();
    application.in_force(&[PAYMENTS], &[REGION], &[COVERAGE]);
    application.publish(&Reporting { reminders: vec![3, 10], ..Reporting::default() });
    let mut sweep = application.function("sweep");
    lose(&application, CLUSTER, ORDERS, RuleCompliance::NonCompliant, now());
    lose(&application, "AWS::DynamoDB::Table", "carts", RuleCompliance::NonCompliant, now());
    assert_eq!(sweep.answer(&due(&application, 0))["opened"], 2);
    application.take_notices(&["violation.digest"]);
    assert_eq!(sweep.answer(&due(&application, 24 * 7 - 1))["reminded"], 0);
    for (days, old) in [(7, 0), (14, 2)] {
        assert_eq!(sweep.answer(&due(&application, 24 * days + 1))["reminded"], 2, "{days}");
        let reminder = application.take_notices(&["violation.reminder"]).remove(0);
        assert_eq!(reminder["owner"], "orders-team@example.com");
        let ages = json!([{"days": 3, "violations": 2}, {"days": 10, "violations": old}]);
        assert_eq!((&reminder["counts"]["violations"], &reminder["counts"]["ages"]), (&json!(2), &ages));
        assert_eq!(sweep.answer(&due(&application, 24 * days + 2))["reminded"], 0, "once");
        application.take_notices(&[]);
    }
    sweep.stop();
    application.stop();
}

#[test]
fn concurrent_change_is_read_again() {
    let application = DeployedApplication::start();
    let mut report = application.function("report");
    let conflict = || {
        let (code, message) = ("ConditionalCheckFailedException", "The conditional request failed");
        application.cloud.fail_next("dynamodb", "PutItem", 400, code, message, 1);
    };
    conflict();
    assert_eq!(report.answer(&event("config-noncompliant.json")), failures(&[]));
    cost::check(&report, "report: opened, after a conflict");
    application.take_notices(&["violation.opened"]);
    // Permanently: the message returns to the queue.
    (0..3).for_each(|_| conflict());
    let batch = event("config-compliant.json");
    assert_eq!(report.answer(&batch), failures(&[batch["Records"][0]["messageId"].as_str().unwrap()]));
    assert_eq!(report.answer(&batch), failures(&[]));
    application.take_notices(&["violation.resolved"]);
    report.stop();
    application.stop();
}

#[test]
fn sweep_stores_members_and_renews_findings() {
    let application = DeployedApplication::start();
    application.in_force(&[PAYMENTS], &[REGION], &[COVERAGE]);
    application.publish(&Reporting { reminders: Vec::new(), ..Reporting::default() });
    lose(&application, CLUSTER, ORDERS, RuleCompliance::NonCompliant, now());
    let (topic, channel) = chat(&application);
    let settings =
        [("ORGANIZATION_ID", "o-sandbox123"), ("SECURITY_HUB", "central"), ("CHAT_TOPIC_ARN", topic.as_str())];
    let mut sweep = application.function_with("sweep", &settings);
    sweep.answer(&due(&application, 0));
    cost::check(&sweep, "sweep: organization, chat and findings");
    let notice = application.take_notices(&["violation.opened"]).remove(0);
    assert_eq!(notice["accountName"], "payments");
    assert!(take_one(&application, &channel)["Message"].as_str().unwrap().contains("payments"));
    let first = application.cloud.findings()[0]["UpdatedAt"].clone();

    sweep.answer(&due(&application, 24 * 29));
    // A week without reminders is stored as well.
    cost::check(&sweep, "sweep: organization, no change");
    sweep.answer(&due(&application, 24 * 30 + 1));
    cost::check(&sweep, "sweep: organization, finding renewed");
    application.take_notices(&[]);
    assert_ne!(application.cloud.findings()[0]["UpdatedAt"], first);
    sweep.answer(&due(&application, 24 * 30 + 2));
    assert!(!sweep.calls().contains(&cost::IMPORT.to_owned()), "once");
    sweep.stop();
    application.stop();
}

#[test]
fn sweep_retries_rejected_deliveries() {
    let application = DeployedApplication::start();
    let mut report = application.function("report");
    let mut sweep = application.function("sweep");
    application.cloud.fail_next("sns", "PublishBatch", 403, "AuthorizationError", "not you", 1);
    assert_eq!(report.answer(&event("config-noncompliant.json")), failures(&[]));
    // A delivery that was recorded a moment ago may be in progress.
    assert_eq!(sweep.answer(&due(&application, 0))["redelivered"], 0);
    let swept = sweep.answer(&due(&application, 1));
    assert_eq!(
        (&swept["redelivered"], &swept["delivered"], &swept["closed"]),
        (&json!(1), &json!(1), &json!(0)),
        "{swept}"
    );
    cost::check(&sweep, "sweep: pending delivery");
    application.take_notices(&["violation.opened"]);
    assert_eq!(sweep.answer(&due(&application, 2))["redelivered"], 0, "once");
    application.take_notices(&[]);
    report.stop();
    sweep.stop();
    application.stop();
}

#[test]
fn sweep_stops_before_timeout_and_continues() {
    const ACCOUNTS: usize = 400;
    let application = DeployedApplication::start();
    let accounts: Vec<String> = (1..ACCOUNTS).map(|number| format!("1000000{number:05}")).collect();
    let mut accounts: Vec<&str> = accounts.iter().map(String::as_str).collect();
    // The last account, and the only visible one.
    accounts.push(PAYMENTS);
    application.in_force(&accounts, &[REGION], &[COVERAGE]);
    lose(&application, CLUSTER, ORDERS, RuleCompliance::NonCompliant, now());
    let mut sweep = application.function("sweep");
    let (mut rounds, mut done, mut opened) = (0, 0, 0);
    loop {
        rounds += 1;
        assert!(rounds < 100, "it does not come to an end: {done} of {ACCOUNTS}");
        // One second more than the reserved time.
        let outcome = sweep.invoke_within(&due(&application, 0), Duration::from_secs(46));
        let InvocationOutcome::Response(swept) = outcome else { panic!("{outcome:?}") };
        done += swept["accounts"].as_u64().unwrap();
        opened += swept["opened"].as_u64().unwrap();
        if swept["complete"] == json!(true) {
            assert_eq!(opened, 1, "{swept}");
            assert_eq!(swept["blindSpots"], ACCOUNTS - 1, "those of earlier rounds are counted: {swept}");
            break;
        }
        let notices = &json!(swept["opened"].as_u64().unwrap());
        assert_eq!((&swept["notices"], &swept["failures"]), (notices, &json!([])), "{swept}");
    }
    assert!(rounds > 1, "all was done at once");
    assert_eq!(done, u64::try_from(ACCOUNTS).unwrap(), "each account once");
    let notices = application.take_notices(&["violation.digest", "violation.opened"]);
    let digest = notices.iter().find(|notice| notice["reason"] == "blindSpots").unwrap();
    assert_eq!(digest["counts"]["locations"], ACCOUNTS - 1);
    println!("| {ACCOUNTS} accounts | rounds of a second each | {rounds} |");
    sweep.stop();
    application.stop();
}
