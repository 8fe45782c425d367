//! Every sample event of `report` and `sweep`, what becomes of it, and what it costs.

use std::time::Duration;

use domain::control;
use domain::policy::{Exemption, Reporting};
use domain::violation::{Closing, Outlet, Status};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use sandbox::config::{Compliance, Evaluation, Hidden};
use sandbox::events::samples::{self, now};
use serde_json::{Value, json};
use testkit::runtime_api::Outcome;

use crate::application::{Application, Running, bare, event, failures};

const VIOLATIONS: &str = "violation#";
const WINDOWS: &str = "window";
const COVERAGE: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN";
const FREQUENCY: &str = "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK";
const PAYMENTS: &str = "222222222222";
const REGION: &str = "eu-west-1";
const CLUSTER: &str = "AWS::RDS::DBCluster";
const ORDERS: &str = "cluster-7XK3Q2EXAMPLE5NWQ4";
const ROLE: &str = "backup-compliance-member";

const QUERY: &str = "dynamodb:Query";
const GET: &str = "dynamodb:GetItem";
const SCAN: &str = "dynamodb:Scan";
const READ: &str = "dynamodb:BatchGetItem";
const PUT: &str = "dynamodb:PutItem";
const NOTE: &str = "dynamodb:UpdateItem";
const SELECT: &str = "config:SelectAggregateResourceConfig";
const ITEMS: &str = "config:BatchGetAggregateResourceConfig";
const RULES: &str = "config:DescribeAggregateComplianceByConfigRules";
const RESULTS: &str = "config:GetAggregateComplianceDetailsByConfigRule";
const PUBLISH: &str = "sns:PublishBatch";
const SEND: &str = "sqs:SendMessage";
const IMPORT: &str = "securityhub:BatchImportFindings";
const EVENTS: &str = "events:PutEvents";
const ASSUME: &str = "sts:AssumeRole";

/// The calls of `report` since its last event, as a row of a table.
fn row(function: &Running<'_>, what: &str, kinds: &[&str]) -> Vec<String> {
    let made = function.calls();
    println!("| {what} | {} | {} | {} |", kinds.join(" "), made.len(), made.join(" "));
    made
}

/// Gives events one after the other to `report` with nothing on record; holds the last one's notices and calls against the
/// expected ones.
fn leads_to(
    application: &Application,
    report: &mut Running<'_>,
    events: &[&str],
    kinds: &[&str],
    calls: &[&str],
) -> Vec<Value> {
    application.forget(VIOLATIONS);
    application.forget(WINDOWS);
    let (last, before) = events.split_last().unwrap();
    for name in before {
        assert_eq!(report.answer(&event(name)), failures(&[]), "{name}");
        while !application.client.sqs_take(&application.notices, 0).unwrap().is_empty() {}
    }
    assert_eq!(report.answer(&event(last)), failures(&[]), "{events:?}");
    assert_eq!(row(report, &events.join(", then "), kinds), calls, "{events:?}");
    application.take_notices(kinds)
}

/// Each of `calls` so many times.
fn times(calls: &[(&'static str, usize)]) -> Vec<&'static str> {
    calls.iter().flat_map(|(call, times)| std::iter::repeat_n(*call, *times)).collect()
}

#[test]
fn each_event_does_what_the_readme_says_and_no_call_more() {
    let application = Application::start();
    let mut report = application.function("report");
    let mut case =
        |events: &[&str], kinds: &[&str], calls: &[&str]| leads_to(&application, &mut report, events, kinds, calls);
    let (opened, resolved) = (["violation.opened"], ["violation.resolved"]);
    let known = [QUERY, READ];
    let recorded = [QUERY, READ, PUT];
    // AWS Config has no resource of the id `orders`, so it is asked in both ways; the second query is for backup plans.
    let opens = [QUERY, READ, SELECT, ITEMS, PUT, SELECT, PUBLISH, PUT];
    let resolves = [QUERY, READ, PUT, PUBLISH, PUT];

    let notice = case(&["config-noncompliant.json"], &opened, &opens).remove(0);
    assert_eq!((&notice["account"], &notice["region"]), (&json!(PAYMENTS), &json!(REGION)));
    assert_eq!(notice["resource"]["id"], "orders");
    assert_eq!(notice["control"]["name"], COVERAGE);
    assert_eq!(notice["since"], samples::moved("2026-11-23T04:12:09.311Z"));
    assert_eq!((&notice["reason"], &notice["found"]), (&json!("result"), &json!("regression")));
    assert!(notice["control"]["remediation"].as_str().is_some_and(|todo| !todo.is_empty()));

    case(&["config-noncompliant.json", "config-noncompliant.json"], &[], &known);
    // Some nanoseconds later and still the same violation: kept up to date, and nobody is told.
    case(&["config-noncompliant.json", "config-odd-timestamps.json"], &[], &recorded);
    case(&["config-odd-timestamps.json"], &opened, &opens);
    let notice = case(&["config-no-old-result.json"], &opened, &opens).remove(0);
    assert_eq!(notice["found"], "rollout", "nobody knows of anything before");
    let notice = case(&["config-noncompliant.json", "config-compliant.json"], &resolved, &resolves).remove(0);
    assert_eq!((&notice["noLongerApplies"], &notice["closed"]), (&json!(false), &json!("satisfied")));
    case(&["config-noncompliant.json", "config-compliant.json", "config-noncompliant.json"], &[], &known);
    case(&["config-compliant.json"], &[], &recorded);
    let notice = case(&["config-noncompliant.json", "config-not-applicable.json"], &resolved, &resolves).remove(0);
    assert_eq!((&notice["noLongerApplies"], &notice["closed"]), (&json!(true), &json!("notApplicable")));
    case(&["config-not-applicable.json"], &[], &recorded);
    // What AWS Config has needs no second way.
    let found = [QUERY, READ, SELECT, PUT, SELECT, PUBLISH, PUT];
    let notice = case(&["config-noncompliant-resource-id.json"], &opened, &found).remove(0);
    assert_eq!(notice["resource"]["name"], "orders", "the name comes from AWS Config");
    assert_eq!(notice["owner"], "orders-team@example.com", "and the owner from its tags");
    assert!(notice["ways"].to_string().contains("daily"), "a plan takes in what has a tag: {notice}");
    // Backup plans say nothing about other controls.
    let notice =
        case(&["config-noncompliant-backup-plan.json"], &opened, &[QUERY, READ, SELECT, PUT, PUBLISH, PUT]).remove(0);
    assert_eq!(notice["control"]["name"], FREQUENCY);
    let other = [QUERY, READ, SELECT, ITEMS, PUT, PUBLISH, PUT];
    let notice = case(&["config-unknown-control.json"], &opened, &other).remove(0);
    assert!(
        notice["rule"]["name"].as_str().unwrap().starts_with(notice["control"]["name"].as_str().unwrap()),
        "{notice}"
    );
    for near_miss in ["config-other-service-rule.json", "config-own-rule.json", "bad/sqs-no-records.json"] {
        case(&[near_miss], &[], &[]);
    }
    let flood =
        times(&[(QUERY, 1), (READ, 1), (SELECT, 1), (ITEMS, 1), (PUT, 12), (SELECT, 1), (PUBLISH, 1), (PUT, 12)]);
    let digest = case(&["config-flood.json"], &["violation.digest"], &flood).remove(0);
    assert_eq!((&digest["reason"], &digest["counts"]["opened"]), (&json!("changes"), &json!(12)));
    assert_eq!(digest["entries"].as_array().unwrap().len(), 12);
    assert_eq!((&digest["account"], &digest["control"]["name"]), (&json!(PAYMENTS), &json!(COVERAGE)));
    // Nothing is held, so there is nothing to tell.
    case(&["report-flush.json"], &[], &[QUERY, QUERY]);
    report.stop();
    application.stop();
}

#[test]
fn within_a_window_what_follows_is_held_and_told_as_one_digest() {
    let application = Application::start();
    let mut report = application.function_with("report", &[("DIGEST_WINDOW_SECONDS", "300")]);
    let mut case =
        |events: &[&str], kinds: &[&str], calls: &[&str]| leads_to(&application, &mut report, events, kinds, calls);
    let opens = [QUERY, READ, SELECT, ITEMS, PUT, READ, PUT, SELECT, PUBLISH, PUT];
    case(&["config-noncompliant.json"], &["violation.opened"], &opens);
    case(&["config-noncompliant.json", "config-noncompliant.json"], &[], &[QUERY, READ]);
    // The first that is held sees to it that it is told when the window ends.
    case(&["config-noncompliant.json", "config-compliant.json"], &[], &[QUERY, READ, PUT, READ, SEND, NOTE]);
    let also = ["config-noncompliant.json", "config-compliant.json", "config-noncompliant-resource-id.json"];
    case(&also, &[], &[QUERY, READ, SELECT, PUT, READ]);
    // Another control of the account has a window of its own.
    let other = [QUERY, READ, SELECT, PUT, READ, PUT, PUBLISH, PUT];
    let elsewhere = ["config-noncompliant.json", "config-noncompliant-backup-plan.json"];
    case(&elsewhere, &["violation.opened"], &other);
    // `orders` is told and on record; the other eleven are new.
    let held = times(&[(QUERY, 1), (READ, 1), (SELECT, 1), (ITEMS, 1), (PUT, 11), (READ, 1), (SEND, 1), (NOTE, 1)]);
    case(&["config-noncompliant.json", "config-flood.json"], &[], &held);
    // A flush that finds a window that goes on: somebody else is telling, and sees to what is left.
    let all = ["config-noncompliant.json", "config-flood.json", "report-flush.json"];
    case(&all, &[], &[QUERY, QUERY, READ]);
    for window in application.items(WINDOWS) {
        let end = json!({
            "TableName": crate::application::TABLE, "Key": {"pk": window["pk"], "sk": window["sk"]},
            "UpdateExpression": "SET #until = :then", "ExpressionAttributeNames": {"#until": "until"},
            "ExpressionAttributeValues": {":then": {"N": "1"}},
        });
        application.client.json("dynamodb", "DynamoDB_20120810.UpdateItem", &end).unwrap();
    }
    assert_eq!(report.answer(&event("report-flush.json")), failures(&[]));
    let flush = times(&[(QUERY, 2), (READ, 1), (PUT, 1), (SEND, 1), (NOTE, 1), (SELECT, 1), (PUBLISH, 1), (PUT, 11)]);
    assert_eq!(row(&report, "report-flush.json, the window has ended", &["violation.digest"]), flush);
    let digest = application.take_notices(&["violation.digest"]).remove(0);
    assert_eq!(digest["counts"]["opened"], 11);
    assert!(digest["subject"].as_str().unwrap().contains("11 opened"), "{digest}");
    assert!(application.records().iter().all(|record| record.owed.is_empty() && record.status == Status::Open));
    report.stop();
    application.stop();
}

#[test]
fn the_queue_brings_the_end_of_a_window() {
    let application = Application::start();
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
    // The window has ended: another one begins with the digest, and what may come at this very moment is told when that ends.
    let calls = times(&[(QUERY, 2), (READ, 1), (PUT, 1), (SEND, 1), (NOTE, 1), (SELECT, 1), (PUBLISH, 1), (PUT, 2)]);
    assert_eq!(row(&report, "the end of a window", &["violation.digest"]), calls);
    let digest = application.take_notices(&["violation.digest"]).remove(0);
    assert_eq!((&digest["counts"]["opened"], &digest["counts"]["resolved"]), (&json!(1), &json!(1)));
    assert!(application.records().iter().all(|record| record.owed.is_empty()));

    let again = application.take_batch(&application.report_queue, 20);
    assert_eq!(report.answer(&again), failures(&[]));
    assert_eq!(report.calls(), [QUERY, QUERY], "nothing came meanwhile");
    application.take_notices(&[]);
    assert_eq!(application.client.sqs_delayed(&application.report_queue).unwrap(), 0, "and nobody asks again");
    report.stop();
    application.stop();
}

#[test]
fn what_can_never_be_understood_is_buried_with_the_reason() {
    let application = Application::start();
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
        assert_eq!(row(&report, name, &[]), [SEND], "{name}");
        let buried = application.take_batch(&application.report_dead_letters, 5);
        let buried = &buried["Records"][0];
        assert_eq!(buried["body"], batch["Records"][0]["body"], "{name}");
        let reason = buried["messageAttributes"]["reason"]["stringValue"].as_str().unwrap();
        assert!(reason.contains(expected), "{name}: {reason}");
        assert_eq!(buried["messageAttributes"]["function"]["stringValue"], "report");
        // Only where it cannot be buried it comes again.
        application.cloud.fail_next("sqs", "SendMessage", 403, "AccessDeniedException", "not you", 1);
        assert_eq!(report.answer(&batch), failures(&[id]), "{name}");
        // A person who tries it is told.
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
    // Everyone may send events that do not begin with `aws.`: not believed, and not kept either.
    assert_eq!(report.answer(&event("bad/wrong-source.json")), failures(&[]));
    assert_eq!(report.calls(), Vec::<String>::new());
    assert_eq!(application.items(VIOLATIONS), Vec::<Value>::new());

    let batch = event("bad/sqs-batch-one-poisoned.json");
    let poisoned = batch["Records"][1]["messageId"].as_str().unwrap();
    assert_eq!(report.answer(&batch), failures(&[]));
    let digest = application.take_notices(&["violation.digest"]).remove(0);
    let mut told: Vec<&str> =
        digest["entries"].as_array().unwrap().iter().map(|entry| entry["resource"]["id"].as_str().unwrap()).collect();
    told.sort_unstable();
    assert_eq!(told, ["invoices", "orders"]);
    let buried = application.take_batch(&application.report_dead_letters, 5);
    assert_eq!(buried["Records"].as_array().unwrap().len(), 1);
    assert_eq!(buried["Records"][0]["body"], batch["Records"][1]["body"]);
    // Delivered again, with the others: nobody hears of them twice.
    application.cloud.fail_next("sqs", "SendMessage", 403, "AccessDeniedException", "not you", 1);
    assert_eq!(report.answer(&batch), failures(&[poisoned]));
    application.take_notices(&[]);
    let log = report.stop();
    assert!(log.contains("not understood") && log.contains(poisoned), "{log}");
    application.stop();
}

#[test]
fn an_account_that_nobody_knows_is_ignored() {
    let application = Application::start();
    let mut report = application.function("report");
    application.in_force(&[PAYMENTS], &[REGION], &[COVERAGE]);
    assert_eq!(report.answer(&event("bad/unknown-account.json")), failures(&[]));
    assert_eq!(row(&report, "bad/unknown-account.json", &[]), [QUERY]);
    assert_eq!(report.answer(&bare("bad/unknown-account.json"))["ignored"], 1);
    assert_eq!(application.items(VIOLATIONS), Vec::<Value>::new());
    // A member of the organisation may have no framework yet.
    application.put("framework", "#accounts", &json!({"999999999999": "new-team"}));
    assert_eq!(report.answer(&event("bad/unknown-account.json")), failures(&[]));
    let notice = application.take_notices(&["violation.opened"]).remove(0);
    assert_eq!((&notice["account"], &notice["accountName"]), (&json!("999999999999"), &json!("new-team")));
    report.stop();
    application.stop();
}

#[test]
fn a_notice_that_could_not_be_told_is_told_later() {
    let application = Application::start();
    let mut report = application.function("report");
    let batch = event("config-noncompliant.json");
    let id = batch["Records"][0]["messageId"].as_str().unwrap();
    // The table cannot be read: nothing is lost.
    application.cloud.fail_next("dynamodb", "BatchGetItem", 400, "AccessDeniedException", "not you", 1);
    assert_eq!(report.answer(&batch), failures(&[id]));
    application.cloud.fail_next("dynamodb", "PutItem", 400, "AccessDeniedException", "not you", 1);
    assert_eq!(report.answer(&batch), failures(&[id]));
    assert_eq!(application.items(VIOLATIONS), Vec::<Value>::new());
    // What is in force is not known: nobody could say what is exempt.
    application.cloud.fail_next("dynamodb", "Query", 400, "AccessDeniedException", "not you", 1);
    assert_eq!(report.answer(&batch), failures(&[id]));
    // The topic is unwell, for longer than the SDK tries: it is on record and owed, and the message comes again.
    application.cloud.fail_next("sns", "PublishBatch", 503, "ServiceUnavailable", "later", 3);
    assert_eq!(report.answer(&batch), failures(&[id]));
    application.take_notices(&[]);
    assert_eq!(application.records()[0].owed_to(Outlet::Topic).count(), 1);
    assert_eq!(report.answer(&batch), failures(&[]));
    application.take_notices(&["violation.opened"]);
    assert_eq!(report.answer(&batch), failures(&[]));
    application.take_notices(&[]);

    // The topic refuses: the same message would be refused again, so the debt alone remains.
    application.cloud.fail_next("sns", "PublishBatch", 403, "AuthorizationError", "not you", 1);
    let answer = report.answer(&bare("config-compliant.json"));
    assert_eq!((&answer["refused"], &answer["told"]), (&json!(1), &json!(0)), "{answer}");
    application.take_notices(&[]);
    let record = application.records().remove(0);
    assert_eq!((record.status, record.closed), (Status::Closed, Some(Closing::Satisfied)));
    assert_eq!(record.owed_to(Outlet::Topic).count(), 1);
    // What is owed is told with what asks for it first: here the end of a window.
    assert_eq!(report.answer(&event("report-flush.json")), failures(&[]));
    assert_eq!(row(&report, "report-flush.json, one owed", &["violation.resolved"]), [QUERY, QUERY, PUBLISH, PUT]);
    application.take_notices(&["violation.resolved"]);

    // What AWS Config knows is not needed to tell it.
    application.cloud.fail_next("config", "SelectAggregateResourceConfig", 403, "AccessDeniedException", "not you", 2);
    assert_eq!(report.answer(&event("config-noncompliant-resource-id.json")), failures(&[]));
    let notice = application.take_notices(&["violation.opened"]).remove(0);
    assert_eq!(notice["resource"]["name"], ORDERS);
    let log = report.stop();
    assert!(log.contains("names and tags of resources are not known"), "{log}");
    assert!(log.contains("backup plans are not known"), "{log}");
    application.stop();
}

/// A queue that gets what is put on the default bus under this application's name.
fn queue_on_the_bus(application: &Application) -> String {
    let client = &application.client;
    let created = client.json("sqs", "AmazonSQS.CreateQueue", &json!({"QueueName": "events"})).unwrap();
    let rule = json!({"Name": "violations", "EventPattern": json!({"source": ["backup-compliance"]}).to_string()});
    client.json("events", "AWSEvents.PutRule", &rule).unwrap();
    let target = json!({"Id": "queue", "Arn": "arn:aws:sqs:us-east-1:000000000000:events"});
    client.json("events", "AWSEvents.PutTargets", &json!({"Rule": "violations", "Targets": [target]})).unwrap();
    created["QueueUrl"].as_str().unwrap().to_owned()
}

/// The topic for chat channels and a queue that hears of it.
fn chat(application: &Application) -> (String, String) {
    let created = application.client.query("sns", "CreateTopic", &[("Name", "chat")]).unwrap();
    let topic = sandbox::wire::xml_text(&created, "TopicArn").unwrap();
    let queue = application.client.subscribe_queue(&topic, "chat").unwrap();
    (topic, queue)
}

fn take_one(application: &Application, queue: &str) -> Value {
    let messages = application.client.sqs_take(queue, 10).unwrap();
    assert_eq!(messages.len(), 1, "{messages:?}");
    serde_json::from_str(&messages[0]).unwrap()
}

#[test]
fn every_outlet_hears_of_it_in_its_own_form() {
    let application = Application::start();
    let (topic, channel) = chat(&application);
    let events = queue_on_the_bus(&application);
    let settings =
        [("CHAT_TOPIC_ARN", topic.as_str()), ("SECURITY_HUB", "central"), ("NOTICE_EVENT_BUS_NAME", "default")];
    let mut report = application.function_with("report", &settings);
    let outlets = [IMPORT, EVENTS, PUBLISH, PUBLISH, PUT];

    assert_eq!(report.answer(&event("config-noncompliant-resource-id.json")), failures(&[]));
    let opens = [&[QUERY, READ, SELECT, PUT, SELECT][..], &outlets].concat();
    assert_eq!(row(&report, "opened, to all outlets", &["violation.opened"]), opens);
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

    // The same resource is right a day later.
    let mut compliant = bare("config-noncompliant-resource-id.json");
    compliant["detail"]["newEvaluationResult"] = bare("config-compliant.json")["detail"]["newEvaluationResult"].clone();
    report.answer(&compliant);
    assert_eq!(
        row(&report, "resolved, to all outlets", &["violation.resolved"]),
        [&[QUERY, READ, PUT][..], &outlets].concat()
    );
    application.take_notices(&["violation.resolved"]);
    assert!(take_one(&application, &channel)["Message"].as_str().unwrap().contains("orders"));
    assert_eq!(take_one(&application, &events)["detail-type"], "Backup Compliance Violation Resolved");
    let findings = application.cloud.findings();
    assert_eq!(findings.len(), 1, "one finding as long as the violation exists");
    assert_eq!((&findings[0]["Id"], &findings[0]["Compliance"]["Status"]), (&id, &json!("PASSED")));
    assert!(application.records()[0].owed.is_empty());
    report.stop();
    application.stop();
}

#[test]
fn a_finding_goes_into_the_account_of_the_resource_through_the_role() {
    let application = Application::start();
    let settings = [("SECURITY_HUB", "member"), ("MEMBER_ROLE_NAME", ROLE)];
    let mut report = application.function_with("report", &settings);
    // Security Hub is not enabled there: people are told all the same, and the finding stays owed.
    let answer = report.answer(&bare("config-noncompliant.json"));
    assert_eq!((&answer["told"], &answer["refused"]), (&json!(1), &json!(1)), "{answer}");
    let opens = [QUERY, READ, SELECT, ITEMS, PUT, SELECT, ASSUME, IMPORT, PUBLISH, PUT];
    assert_eq!(row(&report, "opened, findings in member accounts", &["violation.opened"]), opens);
    application.take_notices(&["violation.opened"]);
    let record = application.records().remove(0);
    assert_eq!((record.owed_to(Outlet::Finding).count(), record.owed_to(Outlet::Topic).count()), (1, 0));
    assert_eq!(application.cloud.findings(), Vec::<Value>::new());

    application.cloud.security_hub(PAYMENTS, REGION, true);
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
    assert_eq!(report.calls(), [QUERY, READ, PUT, IMPORT, PUBLISH, PUT]);
    assert_eq!(application.cloud.findings()[0]["Compliance"]["Status"], "PASSED");
    application.take_notices(&["violation.resolved"]);
    report.stop();
    application.stop();
}

fn hours(hours: i64) -> Timestamp {
    now() + SignedDuration::from_hours(hours)
}

/// What exempts the cluster `orders`, for so many days from now.
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

/// The sample event of the schedule, so many hours after the application was started.
fn due(application: &Application, hours: i64) -> Value {
    application.be_at(hours);
    event("schedule-sweep.json")
}

#[test]
fn what_is_exempt_is_recorded_and_told_when_the_exemption_ends() {
    let application = Application::start();
    application.publish(&exempt_orders(20));
    let mut report = application.function("report");
    let answer = report.answer(&bare("config-noncompliant-resource-id.json"));
    assert_eq!((&answer["exempt"], &answer["told"]), (&json!(1), &json!(0)), "{answer}");
    assert_eq!(row(&report, "an exempt violation", &[]), [QUERY, READ, SELECT, PUT]);
    application.take_notices(&[]);
    let record = application.records().remove(0);
    assert_eq!(record.exempt.unwrap().reason, "moves next month");
    assert_eq!((record.status, record.owed), (Status::Open, vec![]));

    let mut sweep = application.function("sweep");
    let swept = sweep.answer(&due(&application, 24));
    assert_eq!((&swept["exemptionsEnded"], &swept["notices"]), (&json!(0), &json!(0)), "{swept}");
    // Two weeks before, its owner hears of it: once.
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
    assert_eq!((&swept["exemptionsEnded"], &swept["told"]), (&json!(1), &json!(1)), "{swept}");
    let notice = application.take_notices(&["violation.opened"]).remove(0);
    assert_eq!(notice["reason"], "exemptionEnded");
    assert_eq!(notice["exemption"]["reason"], "moves next month");
    sweep.answer(&due(&application, 24 * 21 + 1));
    application.take_notices(&[]);

    // The other way round: an exemption comes to cover what people were told of.
    application.publish(&exempt_orders(60));
    let swept = sweep.answer(&due(&application, 24 * 21 + 2));
    assert_eq!(swept["exempted"], 1, "{swept}");
    let notice = application.take_notices(&["violation.exempted"]).remove(0);
    assert_eq!(notice["exemption"]["owner"], "orders-team@example.com");
    report.stop();
    sweep.stop();
    application.stop();
}

/// What the rule of the coverage control finds of a resource in account 222222222222; nobody hears of it.
fn lose(application: &Application, kind: &str, id: &str, compliance: Compliance, at: Timestamp) {
    let evaluation = Evaluation {
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

/// What a sweep asks before it comes to the first account.
const BEGINS: [&str; 4] = [QUERY, GET, SCAN, SCAN];
/// And after the last: what could not be seen, which exemptions end, whether reminders are due, and that it is through.
const ENDS: [&str; 5] = [PUT, GET, GET, GET, PUT];
/// The first sweep stores the begin of the first week.
const ENDS_FIRST: [&str; 6] = [PUT, GET, GET, GET, PUT, PUT];

fn sweep_calls(account: &[&'static str]) -> Vec<&'static str> {
    [&BEGINS[..], account, &ENDS].concat()
}

#[test]
fn the_sweep_finds_what_events_did_not_tell() {
    let application = Application::start();
    let mut sweep = application.function("sweep");
    let asked = event("schedule-sweep.json");
    let swept = sweep.answer(&asked);
    assert_eq!((&swept["complete"], &swept["accounts"]), (&json!(true), &json!(0)), "{swept}");
    let calls = [QUERY, GET, SCAN, SCAN, GET, GET, GET, PUT, PUT];
    assert_eq!(row(&sweep, "schedule-sweep.json, nothing in force", &[]), calls);

    application.in_force(&[PAYMENTS], &[REGION], &[COVERAGE]);
    lose(&application, CLUSTER, ORDERS, Compliance::NonCompliant, now());
    let swept = sweep.answer(&due(&application, 0));
    assert_eq!((&swept["opened"], &swept["told"], &swept["complete"]), (&json!(1), &json!(1), &json!(true)), "{swept}");
    let found = sweep_calls(&[QUERY, RULES, RESULTS, READ, SELECT, PUT, SELECT, PUBLISH, PUT]);
    assert_eq!(row(&sweep, "schedule-sweep.json, a lost event", &["violation.opened"]), found);
    let notice = application.take_notices(&["violation.opened"]).remove(0);
    assert_eq!((&notice["resource"]["name"], &notice["heard"]), (&json!("orders"), &json!("sweep")));

    let swept = sweep.answer(&due(&application, 0));
    assert_eq!((&swept["opened"], &swept["told"]), (&json!(0), &json!(0)), "once: {swept}");
    let quiet = sweep_calls(&[QUERY, RULES, RESULTS]);
    assert_eq!(row(&sweep, "schedule-sweep.json, nothing new, one open", &[]), quiet);

    lose(&application, CLUSTER, ORDERS, Compliance::Compliant, now());
    let swept = sweep.answer(&due(&application, 2));
    assert_eq!((&swept["closed"], &swept["told"]), (&json!(1), &json!(1)), "{swept}");
    let satisfied = sweep_calls(&[QUERY, RULES, RESULTS, PUT, PUBLISH, PUT]);
    assert_eq!(row(&sweep, "schedule-sweep.json, it is right again", &["violation.resolved"]), satisfied);
    let notice = application.take_notices(&["violation.resolved"]).remove(0);
    assert_eq!(notice["closed"], "satisfied");

    // Broken again, known from before; then AWS Config has no result for it any more.
    lose(&application, CLUSTER, ORDERS, Compliance::NonCompliant, now());
    let swept = sweep.answer(&due(&application, 4));
    assert_eq!((&swept["repaired"], &swept["opened"]), (&json!(1), &json!(0)), "{swept}");
    let notice = application.take_notices(&["violation.opened"]).remove(0);
    assert_eq!(notice["found"], "regression");
    // An aggregator shows rules with results only; here one of the control that has another type of resource.
    lose(&application, "AWS::DynamoDB::Table", "carts", Compliance::Compliant, now());
    application.cloud.remove_resource(PAYMENTS, REGION, CLUSTER, ORDERS);
    application.cloud.config().forget_results(PAYMENTS, REGION, CLUSTER, ORDERS);
    let swept = sweep.answer(&due(&application, 4));
    assert_eq!(swept["closed"], 0, "an aggregator lags behind: {swept}");
    let swept = sweep.answer(&due(&application, 6));
    assert_eq!((&swept["closed"], &swept["told"]), (&json!(1), &json!(1)), "{swept}");
    // Its own rule has no result any more: the inventory is asked whether it is there.
    let gone = sweep_calls(&[QUERY, RULES, SELECT, ITEMS, RESULTS, PUT, PUBLISH, PUT]);
    assert_eq!(row(&sweep, "schedule-sweep.json, it is gone", &["violation.resolved"]), gone);
    let notice = application.take_notices(&["violation.resolved"]).remove(0);
    assert_eq!(notice["closed"], "resourceGone");

    // The framework is taken out of the account.
    lose(&application, "AWS::DynamoDB::Table", "carts", Compliance::NonCompliant, now());
    sweep.answer(&due(&application, 8));
    application.take_notices(&["violation.opened"]);
    application.cloud.config().remove_rules(PAYMENTS, REGION, None);
    application.in_force(&["333333333333"], &["us-east-1"], &[COVERAGE]);
    sweep.answer(&due(&application, 10));
    let kinds = ["violation.digest", "violation.resolved"];
    let notices = application.take_notices(&kinds);
    let removed = notices.iter().find(|notice| notice["kind"] == "violation.resolved").unwrap();
    assert_eq!(removed["closed"], "frameworkRemoved");

    for wrong in [
        event("bad/empty-object.json"),
        json!({"source": "backup-compliance.schedule", "look": "full"}),
        bare("config-compliant.json"),
    ] {
        let said = sweep.refuse(&wrong);
        assert!(said.contains("\"look\": \"sweep\""), "{wrong}: {said}");
        assert_eq!(sweep.calls(), Vec::<String>::new(), "{wrong}");
    }
    sweep.stop();
    application.stop();
}

#[test]
fn the_sweep_has_three_ways_to_look_and_says_where_none_leads() {
    let application = Application::start();
    application.in_force(&[PAYMENTS], &[REGION], &[COVERAGE]);
    let config = application.cloud.config();
    let told = [READ, SELECT, PUT, SELECT, PUBLISH, PUT];

    // The aggregator shows no rules: its queries do.
    config.hide(PAYMENTS, REGION, Some(Hidden::Rules));
    lose(&application, CLUSTER, ORDERS, Compliance::NonCompliant, now());
    let mut sweep = application.function("sweep");
    let swept = sweep.answer(&due(&application, 0));
    assert_eq!((&swept["opened"], &swept["blindSpots"]), (&json!(1), &json!(0)), "{swept}");
    let calls = [&BEGINS[..], &[QUERY, RULES, SELECT], &told, &ENDS_FIRST].concat();
    assert_eq!(row(&sweep, "schedule-sweep.json, by query", &["violation.opened"]), calls);
    application.take_notices(&["violation.opened"]);
    lose(&application, CLUSTER, ORDERS, Compliance::Compliant, now());
    assert_eq!(sweep.answer(&due(&application, 2))["closed"], 1);
    let calls = sweep_calls(&[QUERY, RULES, SELECT, SELECT, PUT, PUBLISH, PUT]);
    assert_eq!(row(&sweep, "schedule-sweep.json, right again, by query", &["violation.resolved"]), calls);
    application.take_notices(&["violation.resolved"]);
    sweep.stop();

    // It shows nothing at all: the account itself does, to who may ask there.
    config.hide(PAYMENTS, REGION, Some(Hidden::Everything));
    lose(&application, CLUSTER, ORDERS, Compliance::NonCompliant, now());
    let mut sweep = application.function_with("sweep", &[("MEMBER_ROLE_NAME", ROLE)]);
    let swept = sweep.answer(&due(&application, 4));
    assert_eq!((&swept["repaired"], &swept["blindSpots"]), (&json!(1), &json!(0)), "{swept}");
    let there = [ASSUME, "config:DescribeConfigRules", "config:GetComplianceDetailsByConfigRule"];
    let calls = [&[QUERY, RULES, SELECT][..], &there, &[READ, SELECT, ITEMS, PUT, SELECT, PUBLISH, PUT]].concat();
    assert_eq!(row(&sweep, "schedule-sweep.json, in the account itself", &["violation.opened"]), sweep_calls(&calls));
    application.take_notices(&["violation.opened"]);
    lose(&application, CLUSTER, ORDERS, Compliance::Compliant, now());
    assert_eq!(sweep.answer(&due(&application, 6))["closed"], 1);
    application.take_notices(&["violation.resolved"]);
    // A new process has to ask for the role again, and the account does not let it in any more.
    sweep.stop();
    lose(&application, CLUSTER, ORDERS, Compliance::NonCompliant, now());
    application.cloud.let_in(PAYMENTS, false);
    let mut sweep = application.function_with("sweep", &[("MEMBER_ROLE_NAME", ROLE)]);
    let swept = sweep.answer(&due(&application, 8));
    assert_eq!((&swept["repaired"], &swept["blindSpots"]), (&json!(0), &json!(1)), "{swept}");
    let blind = [QUERY, RULES, SELECT, ASSUME, PUT, GET, PUBLISH, PUT, GET, GET, PUT];
    assert_eq!(row(&sweep, "schedule-sweep.json, a blind spot", &["violation.digest"]), [&BEGINS[..], &blind].concat());
    let digest = application.take_notices(&["violation.digest"]).remove(0);
    assert_eq!((&digest["reason"], &digest["counts"]["places"]), (&json!("blindSpots"), &json!(1)));
    assert_eq!((&digest["spots"][0]["account"], &digest["spots"][0]["region"]), (&json!(PAYMENTS), &json!(REGION)));
    assert_eq!(digest["spots"][0]["cause"], "roleNotAssumable");
    let swept = sweep.answer(&due(&application, 9));
    assert_eq!((&swept["blindSpots"], &swept["notices"]), (&json!(1), &json!(0)), "told once: {swept}");
    // It can be seen again, and what was broken meanwhile is told.
    config.hide(PAYMENTS, REGION, None);
    let swept = sweep.answer(&due(&application, 10));
    assert_eq!((&swept["repaired"], &swept["blindSpots"]), (&json!(1), &json!(0)), "{swept}");
    application.take_notices(&["violation.opened"]);
    sweep.stop();
    application.stop();
}

#[test]
fn the_sweep_sends_each_owner_one_reminder_a_week() {
    let application = Application::start();
    application.in_force(&[PAYMENTS], &[REGION], &[COVERAGE]);
    application.publish(&Reporting { reminders: vec![3, 10], ..Reporting::default() });
    let mut sweep = application.function("sweep");
    lose(&application, CLUSTER, ORDERS, Compliance::NonCompliant, now());
    lose(&application, "AWS::DynamoDB::Table", "carts", Compliance::NonCompliant, now());
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
fn a_record_that_somebody_else_changed_meanwhile_is_read_again() {
    let application = Application::start();
    let mut report = application.function("report");
    let conflict = || {
        let (code, message) = ("ConditionalCheckFailedException", "The conditional request failed");
        application.cloud.fail_next("dynamodb", "PutItem", 400, code, message, 1);
    };
    conflict();
    assert_eq!(report.answer(&event("config-noncompliant.json")), failures(&[]));
    let calls = [QUERY, READ, SELECT, ITEMS, PUT, READ, PUT, SELECT, PUBLISH, PUT];
    assert_eq!(row(&report, "opened, after a conflict", &["violation.opened"]), calls);
    application.take_notices(&["violation.opened"]);
    // Again and again: the message comes again.
    (0..3).for_each(|_| conflict());
    let batch = event("config-compliant.json");
    assert_eq!(report.answer(&batch), failures(&[batch["Records"][0]["messageId"].as_str().unwrap()]));
    assert_eq!(report.answer(&batch), failures(&[]));
    application.take_notices(&["violation.resolved"]);
    report.stop();
    application.stop();
}

#[test]
fn the_sweep_learns_who_is_a_member_and_keeps_findings_from_being_forgotten() {
    let application = Application::start();
    application.in_force(&[PAYMENTS], &[REGION], &[COVERAGE]);
    application.publish(&Reporting { reminders: Vec::new(), ..Reporting::default() });
    lose(&application, CLUSTER, ORDERS, Compliance::NonCompliant, now());
    let (topic, channel) = chat(&application);
    let settings =
        [("ORGANIZATION_ID", "o-sandbox123"), ("SECURITY_HUB", "central"), ("CHAT_TOPIC_ARN", topic.as_str())];
    let mut sweep = application.function_with("sweep", &settings);
    let organization = "organizations:ListAccounts";
    sweep.answer(&due(&application, 0));
    let begins = [QUERY, GET, organization, PUT, SCAN, SCAN];
    let told = [QUERY, RULES, RESULTS, READ, SELECT, PUT, SELECT, IMPORT, PUBLISH, PUBLISH, PUT];
    let what = "schedule-sweep.json, a lost event, with an organisation, chat and findings";
    assert_eq!(row(&sweep, what, &["violation.opened"]), [&begins[..], &told, &ENDS_FIRST].concat());
    let notice = application.take_notices(&["violation.opened"]).remove(0);
    assert_eq!(notice["accountName"], "payments");
    assert!(take_one(&application, &channel)["Message"].as_str().unwrap().contains("payments"));
    let first = application.cloud.findings()[0]["UpdatedAt"].clone();

    let begins = [QUERY, GET, organization, SCAN, SCAN];
    sweep.answer(&due(&application, 24 * 29));
    // A week without reminders is stored as well.
    let quiet = [&begins[..], &[QUERY, RULES, RESULTS], &ENDS_FIRST].concat();
    assert_eq!(sweep.calls(), quiet, "the names are as before");
    sweep.answer(&due(&application, 24 * 30 + 1));
    let again = [QUERY, RULES, RESULTS, PUT, IMPORT, PUT];
    assert_eq!(row(&sweep, "schedule-sweep.json, a finding again", &[]), [&begins[..], &again, &ENDS].concat());
    application.take_notices(&[]);
    assert_ne!(application.cloud.findings()[0]["UpdatedAt"], first);
    sweep.answer(&due(&application, 24 * 30 + 2));
    assert!(!sweep.calls().contains(&IMPORT.to_owned()), "once");
    sweep.stop();
    application.stop();
}

#[test]
fn the_sweep_tells_what_an_outlet_would_not_take() {
    let application = Application::start();
    let mut report = application.function("report");
    let mut sweep = application.function("sweep");
    application.cloud.fail_next("sns", "PublishBatch", 403, "AuthorizationError", "not you", 1);
    assert_eq!(report.answer(&event("config-noncompliant.json")), failures(&[]));
    // What was recorded a moment ago may be on its way.
    assert_eq!(sweep.answer(&due(&application, 0))["retold"], 0);
    let swept = sweep.answer(&due(&application, 1));
    assert_eq!((&swept["retold"], &swept["told"], &swept["closed"]), (&json!(1), &json!(1), &json!(0)), "{swept}");
    // The account is looked at, too: nothing of it is known.
    let calls =
        [&[QUERY, GET, SCAN][..], &[SELECT, PUBLISH, PUT], &[SCAN, QUERY, RULES, SELECT], &[SELECT, ITEMS], &ENDS]
            .concat();
    assert_eq!(row(&sweep, "schedule-sweep.json, one owed", &["violation.opened"]), calls);
    application.take_notices(&["violation.opened"]);
    assert_eq!(sweep.answer(&due(&application, 2))["retold"], 0, "once");
    application.take_notices(&[]);
    report.stop();
    sweep.stop();
    application.stop();
}

#[test]
fn the_sweep_ends_before_its_time_is_up_and_goes_on_from_there() {
    const ACCOUNTS: usize = 400;
    let application = Application::start();
    let accounts: Vec<String> = (1..ACCOUNTS).map(|number| format!("1000000{number:05}")).collect();
    let mut accounts: Vec<&str> = accounts.iter().map(String::as_str).collect();
    // The last of them, and the only one that can be seen.
    accounts.push(PAYMENTS);
    application.in_force(&accounts, &[REGION], &[COVERAGE]);
    lose(&application, CLUSTER, ORDERS, Compliance::NonCompliant, now());
    let mut sweep = application.function("sweep");
    let (mut rounds, mut done, mut opened) = (0, 0, 0);
    loop {
        rounds += 1;
        assert!(rounds < 100, "it does not come to an end: {done} of {ACCOUNTS}");
        // A second more than it keeps back.
        let outcome = sweep.invoke_within(&due(&application, 0), Duration::from_secs(46));
        let Outcome::Response(swept) = outcome else { panic!("{outcome:?}") };
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
    assert_eq!(digest["counts"]["places"], ACCOUNTS - 1);
    println!("| {ACCOUNTS} accounts | rounds of a second each | {rounds} |");
    sweep.stop();
    application.stop();
}
