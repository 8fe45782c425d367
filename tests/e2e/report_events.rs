//! Every sample event of `report` and `sweep`, and what it costs.

use serde_json::{Value, json};

use crate::application::{Application, Running, bare, event, failures};

const VIOLATIONS: &str = "violation#";

/// A notice that is told: read, recorded, names and parameters looked up, published, marked.
const TOLD: [&str; 6] = [
    "dynamodb:BatchGetItem",
    "dynamodb:PutItem",
    "config:BatchGetAggregateResourceConfig",
    "dynamodb:Query",
    "sns:PublishBatch",
    "dynamodb:UpdateItem",
];

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
    let (last, before) = events.split_last().unwrap();
    for name in before {
        assert_eq!(report.answer(&event(name)), failures(&[]), "{name}");
        while !application.client.sqs_take(&application.notices, 0).unwrap().is_empty() {}
    }
    assert_eq!(report.answer(&event(last)), failures(&[]), "{events:?}");
    let made = report.calls();
    println!("| {} | {} | {} | {} |", events.join(", then "), kinds.join(" "), made.len(), made.join(" "));
    assert_eq!(made, calls, "{events:?}");
    application.take_notices(kinds)
}

#[test]
fn each_event_does_what_the_readme_says_and_no_call_more() {
    let application = Application::start();
    let mut report = application.function("report");
    let mut case =
        |events: &[&str], kinds: &[&str], calls: &[&str]| leads_to(&application, &mut report, events, kinds, calls);
    let (opened, resolved) = (["violation.opened"], ["violation.resolved"]);
    let read = ["dynamodb:BatchGetItem"];
    let recorded = ["dynamodb:BatchGetItem", "dynamodb:PutItem"];

    let notice = case(&["config-noncompliant.json"], &opened, &TOLD).remove(0);
    assert_eq!((&notice["account"], &notice["region"]), (&json!("222222222222"), &json!("eu-west-1")));
    assert_eq!(notice["resource"]["id"], "orders");
    assert_eq!(notice["control"]["name"], "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN");
    assert_eq!(notice["since"], "2026-11-23T04:12:09.311Z");
    assert!(notice["control"]["remediation"].as_str().is_some_and(|todo| !todo.is_empty()));

    case(&["config-noncompliant.json", "config-noncompliant.json"], &[], &read);
    // Some nanoseconds later and still the same violation: kept up to date, and nobody is told.
    case(&["config-noncompliant.json", "config-odd-timestamps.json"], &[], &recorded);
    case(&["config-odd-timestamps.json"], &opened, &TOLD);
    case(&["config-no-old-result.json"], &opened, &TOLD);
    let notice = case(&["config-noncompliant.json", "config-compliant.json"], &resolved, &TOLD).remove(0);
    assert_eq!(notice["noLongerApplies"], false);
    case(&["config-noncompliant.json", "config-compliant.json", "config-noncompliant.json"], &[], &read);
    case(&["config-compliant.json"], &[], &recorded);
    let notice = case(&["config-noncompliant.json", "config-not-applicable.json"], &resolved, &TOLD).remove(0);
    assert_eq!(notice["noLongerApplies"], true);
    case(&["config-not-applicable.json"], &[], &recorded);
    let notice = case(&["config-noncompliant-resource-id.json"], &opened, &TOLD).remove(0);
    assert_eq!(notice["resource"]["name"], "orders", "the name comes from AWS Config");
    let notice = case(&["config-noncompliant-backup-plan.json"], &opened, &TOLD).remove(0);
    assert_eq!(notice["control"]["name"], "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK");
    let notice = case(&["config-unknown-control.json"], &opened, &TOLD).remove(0);
    assert!(
        notice["rule"]["name"].as_str().unwrap().starts_with(notice["control"]["name"].as_str().unwrap()),
        "{notice}"
    );
    for near_miss in ["config-other-service-rule.json", "config-own-rule.json", "bad/sqs-no-records.json"] {
        case(&[near_miss], &[], &[]);
    }
    report.stop();
    application.stop();
}

#[test]
fn what_cannot_be_understood_fails_alone() {
    let application = Application::start();
    let mut report = application.function("report");
    for (name, expected) in [
        ("bad/no-detail.json", "no `detail`"),
        ("bad/detail-is-text.json", "no `detail`"),
        ("bad/account-mismatch.json", "sent by account 333333333333"),
        ("bad/timestamp-is-text.json", "orderingTimestamp"),
    ] {
        let batch = event(name);
        let id = batch["Records"][0]["messageId"].as_str().unwrap();
        assert_eq!(report.answer(&batch), failures(&[id]), "{name}");
        assert_eq!(report.calls(), Vec::<String>::new(), "{name}");
        let said = report.refuse(&bare(name));
        assert!(said.contains(expected), "{name}: {said}");
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
    report.answer(&event("bad/wrong-source.json"));
    assert_eq!(report.calls(), Vec::<String>::new());
    assert_eq!(application.items(VIOLATIONS), Vec::<Value>::new());

    let batch = event("bad/sqs-batch-one-poisoned.json");
    let poisoned = batch["Records"][1]["messageId"].as_str().unwrap();
    assert_eq!(report.answer(&batch), failures(&[poisoned]));
    let notices = application.take_notices(&["violation.opened", "violation.opened"]);
    let mut told: Vec<&str> = notices.iter().map(|notice| notice["resource"]["id"].as_str().unwrap()).collect();
    told.sort_unstable();
    assert_eq!(told, ["invoices", "orders"]);
    // Delivered again, with the others: nobody hears of them twice.
    assert_eq!(report.answer(&batch), failures(&[poisoned]));
    application.take_notices(&[]);
    let log = report.stop();
    assert!(log.contains("not understood") && log.contains(poisoned), "{log}");
    application.stop();
}

#[test]
fn a_notice_that_could_not_be_told_is_told_later() {
    let application = Application::start();
    let mut report = application.function("report");
    let batch = event("config-noncompliant.json");
    let id = batch["Records"][0]["messageId"].as_str().unwrap();
    application.cloud.fail_next("sns", "PublishBatch", 403, "AuthorizationError", "not you", 1);
    assert_eq!(report.answer(&batch), failures(&[id]));
    application.take_notices(&[]);
    assert_eq!(application.items(VIOLATIONS).len(), 1, "it is on record and owed");
    // The table cannot be read: nothing is lost either.
    application.cloud.fail_next("dynamodb", "BatchGetItem", 400, "AccessDeniedException", "not you", 1);
    assert_eq!(report.answer(&batch), failures(&[id]));
    assert_eq!(report.answer(&batch), failures(&[]));
    application.take_notices(&["violation.opened"]);
    // What config knows is not needed to tell it.
    application.cloud.fail_next(
        "config",
        "BatchGetAggregateResourceConfig",
        403,
        "AccessDeniedException",
        "not you",
        1,
    );
    assert_eq!(report.answer(&event("config-compliant.json")), failures(&[]));
    application.take_notices(&["violation.resolved"]);
    let log = report.stop();
    assert!(log.contains("resource names are not known"), "{log}");
    application.stop();
}

#[test]
fn the_sweep_tells_what_a_crash_left_untold() {
    let application = Application::start();
    let mut report = application.function("report");
    let mut sweep = application.function("sweep");
    let asked = event("schedule-sweep.json");
    assert_eq!(sweep.answer(&asked)["told"], 0);
    println!("| schedule-sweep.json | nothing owed | {} | {} |", sweep.calls().len(), sweep.calls().join(" "));
    assert_eq!(sweep.calls(), ["dynamodb:Query"]);

    application.cloud.fail_next("sns", "PublishBatch", 403, "AuthorizationError", "not you", 1);
    report.answer(&event("config-noncompliant.json"));
    // As if it had been recorded a while ago: what is on its way just now is left to `report`.
    let record = application.items(VIOLATIONS).remove(0);
    let update = json!({
        "TableName": crate::application::TABLE, "Key": {"pk": record["pk"], "sk": record["sk"]},
        "UpdateExpression": "SET pending_since = :then", "ExpressionAttributeValues": {":then": {"S": "2026-01-01T00:00:00Z"}},
    });
    application.client.json("dynamodb", "DynamoDB_20120810.UpdateItem", &update).unwrap();
    assert_eq!(sweep.answer(&asked)["told"], 1);
    println!("| schedule-sweep.json | one owed | {} | {} |", sweep.calls().len(), sweep.calls().join(" "));
    let told = ["config:BatchGetAggregateResourceConfig", "dynamodb:Query", "sns:PublishBatch", "dynamodb:UpdateItem"];
    assert_eq!(sweep.calls(), [&["dynamodb:Query"], told.as_slice()].concat());
    application.take_notices(&["violation.opened"]);
    assert_eq!(sweep.answer(&asked)["told"], 0, "once");
    application.take_notices(&[]);

    for wrong in [
        event("bad/empty-object.json"),
        json!({"source": "backup-compliance.schedule", "look": "full"}),
        bare("config-compliant.json"),
    ] {
        let said = sweep.refuse(&wrong);
        assert!(said.contains("\"look\": \"sweep\""), "{wrong}: {said}");
        assert_eq!(sweep.calls(), Vec::<String>::new(), "{wrong}");
    }
    report.stop();
    sweep.stop();
    application.stop();
}
