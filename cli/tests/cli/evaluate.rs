//! `evaluate` with the exemptions of a policy.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::run;

const FRAMEWORK: &str = "\
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkControls:
        - ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
        - ControlName: BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK
          ControlInputParameters:
            - { ParameterName: requiredFrequencyUnit, ParameterValue: hours }
            - { ParameterName: requiredFrequencyValue, ParameterValue: '24' }
            - { ParameterName: requiredRetentionDays, ParameterValue: '35' }
";

/// A policy whose exemptions cover the cluster `orders` and the plan `daily`.
fn policy(until: &str) -> String {
    format!(
        "\
version: 1
frameworks:
  - name: org-backup
    template: framework.yaml
    targets:
      - accounts: ['222222222222']
        regions: [eu-west-1]
exemptions:
  - control: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
    resources: ['arn:aws:rds:*:*:cluster:orders*']
    tags: {{ team: data }}
    reason: moved to another plan
    owner: data@example.com
    until: {until}
  - control: BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK
    resources: ['*']
    reason: '=weekly is enough'
    owner: data@example.com
    until: {until}
"
    )
}

fn cluster(name: &str, team: &str) -> Value {
    json!({
        "arn": format!("arn:aws:rds:eu-west-1:222222222222:cluster:{name}"),
        "type": "AWS::RDS::DBCluster",
        "account": "222222222222",
        "region": "eu-west-1",
        "engine": "aurora-mysql",
        "name": name,
        "tags": { "team": team },
    })
}

/// An inventory with these clusters and a plan that runs once a week.
pub(crate) fn inventory(clusters: &[Value]) -> Value {
    let location = json!({ "account": "222222222222", "region": "eu-west-1", "optIn": { "Aurora": true } });
    let rule = json!({
        "schedule": "cron(0 5 ? * 1 *)",
        "targetVault": "Default",
        "lifecycle": { "deleteAfterDays": 35 },
    });
    let plan = json!({
        "id": "plan-1",
        "name": "daily",
        "account": "222222222222",
        "region": "eu-west-1",
        "rules": [rule],
    });
    json!({
        "version": 1,
        "asOf": "2026-11-26T06:00:00Z",
        "locations": [location],
        "resources": clusters,
        "plans": [plan],
    })
}

fn folder(until: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let document = inventory(&[cluster("orders", "data"), cluster("orders-test", "web")]);
    for (name, text) in [
        ("framework.yaml", FRAMEWORK.to_owned()),
        ("backup-compliance.yaml", policy(until)),
        ("inventory.json", serde_json::to_string_pretty(&document).unwrap()),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn evaluate(folder: &Path, more: &[&str]) -> (Option<i32>, String) {
    let ran = run(folder, &[&["evaluate", "--framework", ".", "inventory.json"], more].concat());
    assert!(!ran.stderr.contains("error:"), "{}", ran.stderr);
    (ran.status, ran.stdout)
}

/// The ids of the results with the last day of their exemption.
fn exemptions(folder: &Path, more: &[&str]) -> Vec<(String, Option<String>)> {
    let (_, json) = evaluate(folder, &[&["--format", "json"], more].concat());
    let document: Value = serde_json::from_str(&json).unwrap();
    crate::example::valid_evaluation(&document);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let evaluations = document.get("evaluations").unwrap().as_array().unwrap().iter();
    evaluations
        .map(|one| (one.get("name").and_then(text).unwrap(), one.pointer("/exemption/until").and_then(text)))
        .collect()
}

#[test]
fn exempt_result_is_listed_and_no_finding() {
    let folder = folder("2099-12-31");
    let (status, text) = evaluate(folder.path(), &[]);
    assert_eq!(status, Some(1), "the tag of the other cluster does not match:\n{text}");
    let orders = "orders (AWS::RDS::DBCluster) in 222222222222 eu-west-1: exempt until 2099-12-31, ";
    assert!(text.contains(orders) && text.contains("\n  exemption: moved to another plan\n"), "{text}");
    assert!(text.contains("orders-test (AWS::RDS::DBCluster) in 222222222222 eu-west-1: not compliant, "), "{text}");
    assert!(text.ends_with("\n2 controls: 1 finding, 2 exempt\n"), "{text}");
    let only = ["--control", "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK"];
    assert_eq!(evaluate(folder.path(), &only).0, Some(0));
    assert_eq!(evaluate(folder.path(), &[&only[..], &["--strict"]].concat()).0, Some(0));
    assert_eq!(evaluate(folder.path(), &[&only[..], &["--no-exemptions"]].concat()).0, Some(1));
}

#[test]
fn exemption_is_in_every_machine_format() {
    let folder = folder("2099-12-31");
    let until = || Some("2099-12-31".to_owned());
    let names = ["orders", "orders-test", "daily"].map(str::to_owned);
    let found = exemptions(folder.path(), &[]);
    assert_eq!(found, names.clone().into_iter().zip([until(), None, until()]).collect::<Vec<_>>());
    let without = exemptions(folder.path(), &["--no-exemptions"]);
    assert_eq!(without, names.into_iter().map(|name| (name, None)).collect::<Vec<_>>());
    let document: Value = serde_json::from_str(&evaluate(folder.path(), &["--format", "json"]).1).unwrap();
    assert_eq!(document["evaluations"][0]["exemption"]["reason"], "moved to another plan");
    let counts = |row: usize| (&document["summary"][row]["notCompliant"], &document["summary"][row]["exempt"]);
    assert_eq!(counts(0), (&1.into(), &1.into()));
    assert_eq!(counts(1), (&0.into(), &1.into()));

    let (status, csv) = evaluate(folder.path(), &["--format", "csv"]);
    assert_eq!(status, Some(1));
    let ends: Vec<&str> = csv.lines().map(|line| line.rsplit(',').next().unwrap()).collect();
    assert_eq!(ends, ["exemption_reason", "moved to another plan", "", "'=weekly is enough"]);
    assert!(csv.lines().nth(1).unwrap().contains(",2099-12-31,"), "{csv}");
}

#[test]
fn ended_exemption_is_not_honored() {
    let folder = folder("2020-01-31");
    assert!(exemptions(folder.path(), &[]).iter().all(|(_, until)| until.is_none()));
}
