use std::fs;
use std::path::PathBuf;

use crate::{run, run_with};

fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn opened_violation_is_rendered() {
    let ran = run(&project(), &["notice", "events/config-noncompliant.json"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!("notice_opened", ran.stdout);
}

#[test]
fn requirement_comes_from_policy() {
    let folder = tempfile::tempdir().unwrap();
    let framework = project().join("framework");
    fs::copy(framework.join("backup-compliance.yaml"), folder.path().join("backup-compliance.yaml")).unwrap();
    fs::copy(framework.join("examples/five-controls/framework.yaml"), folder.path().join("framework.yaml")).unwrap();
    let policy = folder.path().to_str().unwrap();
    let event = "events/config-noncompliant-backup-plan.json";
    let ran = run(&project(), &["notice", event, "--policy", policy]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!("notice_opened_backup_plan", ran.stdout);

    let ran = run(&project(), &["notice", event]);
    assert!(!ran.stdout.contains("35 days"), "unknown parameters are not guessed:\n{}", ran.stdout);

    fs::write(folder.path().join("framework.yaml"), "Resources: {}").unwrap();
    let ran = run(&project(), &["notice", event, "--policy", policy]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(2), ""));
    assert!(ran.stderr.contains("is not valid: "), "{}", ran.stderr);
}

#[test]
fn resolved_violation_has_note_about_record() {
    let ran = run(&project(), &["notice", "events/config-compliant.json"]);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert!(
        ran.stderr.starts_with("note: `report` sends this notice only if the violation is open on record"),
        "{}",
        ran.stderr
    );
    insta::assert_snapshot!("notice_resolved", ran.stdout);

    let ran = run(&project(), &["notice", "events/config-not-applicable.json"]);
    assert!(ran.stdout.contains("is no longer subject to the control"), "{}", ran.stdout);
}

#[test]
fn json_has_one_document_per_notice() {
    let ran = run(&project(), &["notice", "events/config-noncompliant.json", "--channel", "json"]);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&document["kind"], &document["severity"]), (&"violation.opened".into(), &"HIGH".into()));

    let ran = run(&project(), &["notice", "--format", "json", "events/config-noncompliant.json"]);
    let all: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(all, serde_json::json!({ "notices": [document], "ignored": [] }));
}

#[test]
fn foreign_event_exits_1_with_reason() {
    let ran = run(&project(), &["notice", "events/config-other-service-rule.json"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.starts_with("error: no notice: the rule `arn:"), "{}", ran.stderr);
    let ran = run_with(&project(), &["notice", "-"], &[], r#"{"Records": []}"#);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(1), "error: no notice: the batch has no messages\n"));
}

#[test]
fn invalid_event_exits_2_with_position() {
    let ran = run_with(&project(), &["notice", "-"], &[], "{\n  \"a\": 1,\n  b\n}");
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(2), ""));
    assert_eq!(ran.stderr, "error: -:3:3: the event is not JSON: key must be a string\n");
    let ran = run(&project(), &["notice", "events/bad/sqs-batch-one-poisoned.json"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(2), ""));
    assert!(ran.stderr.contains("not JSON at line 1, column "), "{}", ran.stderr);
    let ran = run(&project(), &["notice", "events/bad/account-mismatch.json"]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.stderr.contains("but its account is"), "{}", ran.stderr);
    let ran = run(&project(), &["notice", "gone.json"]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.stderr.contains("cannot read `gone.json`"), "{}", ran.stderr);
}

#[test]
fn changes_of_one_control_become_digest() {
    let body = |name: &str| {
        let text = fs::read_to_string(project().join("events").join(name)).unwrap();
        let batch: serde_json::Value = serde_json::from_str(&text).unwrap();
        batch["Records"][0].clone()
    };
    let batch = |names: &[&str]| {
        serde_json::json!({ "Records": names.iter().map(|name| body(name)).collect::<Vec<_>>() }).to_string()
    };
    let args = ["notice", "-", "--format", "json"];
    for (names, kinds) in [
        (&["config-compliant.json", "config-noncompliant.json"][..], &["violation.digest"][..]),
        (
            &["config-noncompliant-backup-plan.json", "config-noncompliant.json"],
            &["violation.opened", "violation.opened"],
        ),
        (&["config-noncompliant.json", "config-noncompliant.json"], &["violation.opened"]),
    ] {
        let ran = run_with(&project(), &args, &[], &batch(names));
        let shown: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let found: Vec<_> = shown["notices"].as_array().unwrap().iter().map(|notice| &notice["kind"]).collect();
        assert_eq!(found, kinds, "{names:?}");
    }
}

#[test]
fn every_channel_has_its_format() {
    let shown = |event: &str, channel: &str| -> serde_json::Value {
        let ran = run(&project(), &["notice", event, "--channel", channel]);
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        serde_json::from_str(&ran.stdout).unwrap()
    };
    let opened = "events/config-noncompliant.json";
    let chat = shown(opened, "chat");
    assert_eq!((&chat["version"], &chat["source"]), (&"1.0".into(), &"custom".into()));
    let title = "[HIGH] Aurora cluster orders is in no backup plan (222222222222, eu-west-1)";
    assert_eq!(chat["content"]["title"], title);
    let finding = shown(opened, "finding");
    assert_eq!((&finding["AwsAccountId"], &finding["RecordState"]), (&"222222222222".into(), &"ACTIVE".into()));
    assert_eq!(finding["ProductArn"], "arn:aws:securityhub:eu-west-1:222222222222:product/222222222222/default");
    let passed = shown("events/config-compliant.json", "finding");
    assert_eq!((&finding["Id"], &finding["Compliance"]["Status"]), (&passed["Id"], &"FAILED".into()));
    assert_eq!(passed["Compliance"]["Status"], "PASSED");
    let event = shown(opened, "event");
    assert_eq!(event["detail-type"], "Backup Compliance Violation Opened");
    assert_eq!(event["detail"], shown(opened, "json"));

    let ran = run(&project(), &["notice", "--format", "json", opened, "--channel", "finding"]);
    let all: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(all, serde_json::json!({ "notices": [finding], "ignored": [] }));
}

#[test]
fn findings_and_events_are_never_digests() {
    let body = |name: &str| {
        let text = fs::read_to_string(project().join("events").join(name)).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["Records"][0].clone()
    };
    let batch = serde_json::json!({ "Records": [body("config-noncompliant.json"), body("config-compliant.json")] });
    let shown = |channel: &str| -> Vec<serde_json::Value> {
        let args = ["notice", "-", "--format", "json", "--channel", channel];
        let ran = run_with(&project(), &args, &[], &batch.to_string());
        let shown: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        shown["notices"].as_array().unwrap().clone()
    };
    let types: Vec<_> = shown("event").iter().map(|event| event["detail-type"].clone()).collect();
    assert_eq!(types, ["Backup Compliance Violation Opened", "Backup Compliance Violation Resolved"]);
    // A finding has only its last state.
    let states: Vec<_> = shown("finding").iter().map(|finding| finding["Compliance"]["Status"].clone()).collect();
    assert_eq!(states, ["PASSED"]);
    assert_eq!(shown("chat").len(), 1);
}

#[test]
fn severities_and_exemptions_come_from_the_policy() {
    let folder = tempfile::tempdir().unwrap();
    let framework = project().join("framework");
    let policy = |more: &str| {
        let start = "version: 1\nframeworks:\n  - name: backup-compliance\n    template: framework.yaml\n    targets:\n      \
                     - accounts: [\"222222222222\"]\n        regions: [eu-west-1]\n";
        fs::write(folder.path().join("backup-compliance.yaml"), format!("{start}{more}")).unwrap();
    };
    fs::copy(framework.join("examples/five-controls/framework.yaml"), folder.path().join("framework.yaml")).unwrap();
    let shown =
        || run(&project(), &["notice", "events/config-noncompliant.json", "--policy", folder.path().to_str().unwrap()]);
    policy("notices:\n  severity:\n    - accounts: [\"222222222222\"]\n      severity: critical\n");
    let ran = shown();
    assert!(ran.stdout.starts_with("Subject: [CRITICAL] Aurora cluster orders is in no backup plan"), "{}", ran.stdout);
    policy(
        "exemptions:\n  - control: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN\n    resources: [\"*\"]\n    \
         reason: throw-away\n    owner: data@example.com\n    until: 2027-01-31\n",
    );
    let ran = shown();
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(1), ""), "{}", ran.stderr);
    assert!(
        ran.stderr.ends_with(
            "is exempt until 2027-01-31 (data@example.com): the violation is recorded, and no notice is sent\n"
        ),
        "{}",
        ran.stderr
    );
}
