//! `evaluate`: the exemptions of a policy, and the positions in SARIF.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::{run, run_with};

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
fn inventory(clusters: &[Value]) -> Value {
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

fn sarif(folder: &Path, args: &[&str], input: &str) -> Vec<Value> {
    let framework: &[&str] = if args.contains(&"--framework") { &[] } else { &["--framework", "framework.yaml"] };
    let args = [&["evaluate", "--format", "sarif"], framework, args].concat();
    let ran = run_with(folder, &args, &[], input);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    let log: Value = serde_json::from_str(&ran.stdout).unwrap();
    crate::sarif::valid_sarif(&log);
    log["runs"][0]["results"].as_array().unwrap().clone()
}

/// The file of each result, and the text in its region.
fn regions(folder: &Path, results: &[Value]) -> Vec<(String, String)> {
    let region = |result: &Value| {
        let location = &result["locations"][0]["physicalLocation"];
        let number = |key: &str| usize::try_from(location["region"][key].as_u64().unwrap()).unwrap() - 1;
        let file = location["artifactLocation"]["uri"].as_str().unwrap().to_owned();
        let text = fs::read_to_string(folder.join(&file)).unwrap();
        let line = text.lines().nth(number("startLine")).unwrap().chars();
        let end = location["region"].get("endColumn").map_or(usize::MAX, |_| number("endColumn"));
        (file, line.take(end).skip(number("startColumn")).collect())
    };
    results.iter().map(region).collect()
}

#[test]
fn sarif_result_is_at_its_item_in_the_document() {
    let folder = folder("2099-12-31");
    let path = folder.path();
    let mut other = inventory(&[cluster("größe \u{1f600}", "web"), cluster("shop", "web")]);
    other["locations"] = json!([]);
    other["plans"] = json!([]);
    fs::write(path.join("more.json"), other.to_string()).unwrap();
    let results = sarif(path, &["./inventory.json", "more.json"], "");
    let arn = |name: &str| format!("\"arn:aws:rds:eu-west-1:222222222222:cluster:{name}\"");
    let expected = [
        ("inventory.json", arn("orders")),
        ("inventory.json", arn("orders-test")),
        ("more.json", arn("größe \u{1f600}")),
        ("more.json", arn("shop")),
        ("inventory.json", "\"daily\"".to_owned()),
    ];
    assert_eq!(regions(path, &results), expected.map(|(file, text)| (file.to_owned(), text)));
    let fingerprints = |results: &[Value]| -> Vec<String> {
        results.iter().map(|result| result["partialFingerprints"].to_string()).collect()
    };
    let own = fingerprints(&results);
    assert_eq!(own.iter().collect::<std::collections::BTreeSet<_>>().len(), results.len());
    // The fingerprint depends on the item, not on its line.
    fs::write(path.join("inventory.json"), inventory(&[cluster("orders-test", "web")]).to_string()).unwrap();
    let moved = sarif(path, &["inventory.json"], "");
    assert_eq!(regions(path, &moved)[0], ("inventory.json".to_owned(), arn("orders-test")));
    assert_eq!(fingerprints(&moved), [own[1].clone(), own[4].clone()]);
}

#[test]
fn sarif_result_of_standard_input_is_at_its_control() {
    let folder = folder("2099-12-31");
    let input = fs::read_to_string(folder.path().join("inventory.json")).unwrap();
    let found = regions(folder.path(), &sarif(folder.path(), &["-"], &input));
    let of = |control: &str| ("framework.yaml".to_owned(), format!("ControlName: {control}"));
    let coverage = of("BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN");
    assert_eq!(found, [coverage.clone(), coverage, of("BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK")]);
}

#[test]
fn sarif_has_exempt_results_as_suppressed() {
    let folder = folder("2099-12-31");
    let results = sarif(folder.path(), &["inventory.json", "--framework", "."], "");
    let suppressions: Vec<&Value> = results.iter().map(|result| &result["suppressions"]).collect();
    let justified = |why: &str| json!([{ "kind": "external", "justification": why }]);
    let orders = justified("exempt until 2099-12-31: moved to another plan");
    let plan = justified("exempt until 2099-12-31: =weekly is enough");
    assert_eq!(suppressions, [&json!([]), &orders, &plan], "the findings are first");
    assert_eq!(results[1]["level"], "note");
}

#[test]
fn sarif_beyond_the_limit_reports_the_rest() {
    let folder = folder("2099-12-31");
    let clusters: Vec<Value> = (0..25_001).map(|number| cluster(&format!("c{number}"), "web")).collect();
    fs::write(folder.path().join("inventory.json"), inventory(&clusters).to_string()).unwrap();
    let args = ["evaluate", "--framework", "framework.yaml", "--format", "sarif", "inventory.json"];
    let ran = run(folder.path(), &args);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    let log: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(crate::sarif::rejections(&log), [""; 0]);
    let results = log["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 25_000);
    assert!(results.iter().all(|result| result["kind"] == "fail"));
    assert!(ran.stderr.contains("warning: 2 results left out: code scanning accepts 25000\n"), "{}", ran.stderr);
}
