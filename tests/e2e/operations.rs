//! Commands of an operator, with the table and the queues of the application.

use std::process::Command;

use serde_json::{Value, json};

use runtime_api::host_environment;
use sandbox::config::{RuleCompliance, RuleEvaluation};
use sandbox::events::samples;
use sandbox::wait;

use crate::application::{DeployedApplication, TABLE, event, failures};
use crate::binaries::program;

const STACK: &str = "backup-compliance";

/// The output of the program.
struct CommandOutput {
    status: Option<i32>,
    out: String,
    err: String,
}

impl CommandOutput {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }
}

/// Runs the program with the credentials of the cloud and no other variables.
fn run(application: &DeployedApplication, arguments: &[&str]) -> CommandOutput {
    let program = program("backup-compliance", &application.cloud.directory().join("tmp/cli"));
    let output = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(host_environment())
        .envs(application.cloud.environment())
        .env("HOME", "/nonexistent")
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    CommandOutput { status: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// A stack with the outputs that the program reads, as template.yaml declares them.
fn create_stack(application: &DeployedApplication) {
    let output = |name: &str, value: &str| (name.to_owned(), json!({"Value": value}));
    let outputs = serde_json::Map::from_iter([
        output("StateTableName", TABLE),
        output("ReportQueueUrl", &application.report_queue),
        output("ReportDeadLetterQueueUrl", &application.report_dead_letters),
    ]);
    let template = json!({
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "of-the-stack"}}},
        "Outputs": outputs,
    });
    let parameters = [("StackName", STACK), ("TemplateBody", &template.to_string())];
    application.client.query("cloudformation", "CreateStack", &parameters).unwrap();
    application.wait_for("a stack with 3 outputs", || {
        let outputs = application.client.stack_outputs(STACK);
        Ok(wait::when(outputs.as_ref().is_ok_and(|outputs| outputs.len() == 3), || format!("{outputs:?}")))
    });
}

/// Long because a cloud is started and filled once for all formats.
#[test]
fn open_violations_are_listed_in_each_format() {
    let application = DeployedApplication::start();
    create_stack(&application);
    let nothing = run(&application, &["violations"]);
    assert_eq!((nothing.status, nothing.err.as_str()), (Some(0), ""), "{}", nothing.out);
    assert!(nothing.out.contains("no framework is in force"), "{}", nothing.out);
    let controls = ["BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN", "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK"];
    application.in_force(&["222222222222"], &["eu-west-1"], &controls);
    let nothing = run(&application, &["violations"]);
    assert!(!nothing.out.contains("no framework is in force"), "{}", nothing.out);

    let mut report = application.function("report");
    for name in ["config-noncompliant-resource-id.json", "config-noncompliant-backup-plan.json"] {
        assert_eq!(report.answer(&event(name)), failures(&[]));
    }
    let people = run(&application, &["violations"]);
    assert_eq!((people.status, people.err.as_str()), (Some(1), ""), "{}", people.out);
    for said in ["orders", "Aurora cluster", "monthly-archive", "222222222222", "eu-west-1", "orders-team@example.com"]
    {
        assert!(people.out.contains(said), "`{said}` is missing:\n{}", people.out);
    }
    // The same without reading the stack.
    assert_eq!(run(&application, &["violations", "--table", TABLE]).out.lines().count(), people.out.lines().count());

    let listed = run(
        &application,
        &["violations", "--format", "json", "--control", "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN"],
    );
    assert_eq!(listed.status, Some(1));
    let listed = listed.json();
    assert_eq!((&listed["counts"]["open"], &listed["counts"]["listed"]), (&json!(1), &json!(1)), "{listed}");
    let violation = &listed["violations"][0];
    assert_eq!(violation["resourceName"], "orders");
    assert_eq!(violation["resourceArn"], "arn:aws:rds:eu-west-1:222222222222:cluster:orders");
    assert_eq!((&violation["severity"], &violation["detectedBy"]), (&json!("HIGH"), &json!("event")));
    assert_eq!(violation["since"], samples::moved("2026-11-23T04:12:09.311Z"));

    let sheet = run(&application, &["violations", "--format", "csv", "--sort", "control"]);
    assert_eq!((sheet.status, sheet.err.as_str()), (Some(1), ""));
    let lines: Vec<&str> = sheet.out.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 3, "{}", sheet.out);
    assert!(lines[0].starts_with("account,account_name,region,control,"), "{}", lines[0]);
    assert!(lines.iter().skip(1).all(|line| line.starts_with("222222222222,,eu-west-1,BACKUP_")), "{}", sheet.out);

    // An unobserved account and Region is named.
    let evaluation = RuleEvaluation {
        account: "333333333333".into(),
        region: "us-east-1".into(),
        control: "BACKUP_RECOVERY_POINT_ENCRYPTED".into(),
        resource_type: "AWS::Backup::RecoveryPoint".into(),
        resource_id: "recovery-point".into(),
        compliance: RuleCompliance::Compliant,
        at: None,
        annotation: None,
    };
    drop(application.cloud.evaluate(&evaluation));
    application.in_force(&["111111111111", "333333333333"], &["us-east-1"], &["BACKUP_RECOVERY_POINT_ENCRYPTED"]);
    application.put("framework", "#accounts", &json!({"111111111111": "shop", "222222222222": "payments"}));
    let mut sweep = application.function("sweep");
    sweep.answer(&json!({"source": "backup-compliance.schedule", "task": "sweep"}));
    let people = run(&application, &["violations"]);
    assert!(people.out.contains("111111111111") && people.out.contains("us-east-1"), "{}", people.out);
    let listed = run(&application, &["violations", "--format", "json"]).json();
    let blind = listed["blindSpots"].as_array().unwrap();
    assert_eq!(blind.len(), 1, "{listed}");
    assert_eq!((&blind[0]["account"], &blind[0]["accountName"]), (&json!("111111111111"), &json!("shop")));

    let wrong = run(&application, &["violations", "--table", "no-such-table"]);
    assert_eq!((wrong.status, wrong.out.as_str()), (Some(2), ""), "{}", wrong.err);
    assert!(wrong.err.contains("dynamodb:") && wrong.err.lines().count() == 1, "{}", wrong.err);
    report.stop();
    sweep.stop();
    application.stop();
}

#[test]
fn dead_letters_are_shown_and_redriven() {
    let application = DeployedApplication::start();
    create_stack(&application);
    let empty = run(&application, &["redrive"]);
    assert_eq!((empty.status, empty.err.as_str()), (Some(0), ""), "{}", empty.out);

    // One message that `report` dead-lettered, and one that failed five times.
    let mut report = application.function("report");
    assert_eq!(report.answer(&event("bad/no-detail.json")), failures(&[]));
    let change = event("config-noncompliant.json")["Records"][0]["body"].as_str().unwrap().to_owned();
    application.client.sqs_send(&application.report_dead_letters, &change, None).unwrap();

    let shown = run(&application, &["redrive"]);
    assert_eq!(shown.status, Some(1), "{}", shown.err);
    for said in ["no `detail`", "orders", "2 messages", "1 of them invalid"] {
        assert!(shown.out.contains(said), "`{said}` is missing:\n{}", shown.out);
    }
    assert_eq!(application.client.sqs_depth(&application.report_queue).unwrap(), (0, 0), "nothing is changed");

    let sent = redrive_when_visible(&application, &["redrive", "--format", "json", "report", "--send"], 2);
    assert_eq!(sent.status, Some(1), "one is left: {}", sent.err);
    let sent = sent.json();
    let mut outcomes: Vec<(&str, &str)> = sent["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| (message["validity"].as_str().unwrap(), message["outcome"].as_str().unwrap()))
        .collect();
    outcomes.sort_unstable();
    assert_eq!(outcomes, [("invalid", "notSent"), ("valid", "sent")], "{sent}");

    let back = application.take_batch(&application.report_queue, 5);
    assert_eq!(back["Records"].as_array().unwrap().len(), 1);
    assert_eq!(back["Records"][0]["body"], change);
    assert_eq!(report.answer(&back), failures(&[]));
    application.take_notices(&["violation.opened"]);

    // The other message is deleted by its id.
    let kept = sent["messages"].as_array().unwrap().iter().find(|message| message["outcome"] == "notSent").unwrap();
    let id = kept["id"].as_str().unwrap();
    let gone = redrive_when_visible(&application, &["redrive", "--format", "json", "--delete", "--only", id], 1);
    assert_eq!((gone.status, &gone.json()["messages"][0]["outcome"]), (Some(0), &json!("deleted")), "{}", gone.err);
    let empty = run(&application, &["redrive"]);
    assert_eq!(empty.status, Some(0), "{}", empty.out);
    report.stop();
    application.stop();
}

/// Runs a redrive until it finds this number of messages: received messages are invisible for a moment.
fn redrive_when_visible(application: &DeployedApplication, arguments: &[&str], messages: usize) -> CommandOutput {
    application.wait_for(&format!("{messages} visible dead letters"), || {
        let (visible, _) = application.client.sqs_depth(&application.report_dead_letters)?;
        Ok(wait::when(usize::try_from(visible)? >= messages, || format!("{visible}")))
    });
    run(application, arguments)
}
