//! Plans of Terraform as input of `check`.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::{Ran, run_with};

const FRAMEWORK: &str = "\
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkControls:
        - ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
";

const SOURCE: &str = "# The orders.\nresource \"aws_dynamodb_table\" \"orders\" {\n  name = \"orders\"\n}\n";

/// A plan of a table with these tags, and of a backup plan with a selection by tag.
fn plan(tags: &Value) -> Value {
    let change = |address: &str, after: &Value, expressions: &Value| {
        let (kind, name) = address.split_once('.').unwrap();
        let unknown = json!({"id": true, "arn": true, "plan_id": true, "condition": true, "not_resources": true});
        let change = json!({"actions": ["create"], "after": after, "after_unknown": unknown, "after_sensitive": {}});
        let change = json!({"address": address, "mode": "managed", "type": kind, "name": name, "change": change});
        let block = json!({"address": address, "mode": "managed", "type": kind, "name": name, "provider_config_key": "aws",
                           "expressions": expressions});
        (change, block)
    };
    let tag = json!({"type": "STRINGEQUALS", "key": "backup", "value": "daily"});
    let rule = json!({"rule_name": "daily", "target_vault_name": "main", "schedule": "cron(0 5 * * ? *)"});
    let reference = json!({"plan_id": {"references": ["aws_backup_plan.p.id", "aws_backup_plan.p"]}});
    let (changes, blocks): (Vec<Value>, Vec<Value>) = [
        change("aws_dynamodb_table.orders", &json!({"name": "orders", "tags": tags, "tags_all": tags}), &json!({})),
        change("aws_backup_plan.p", &json!({"name": "p", "rule": [rule]}), &json!({})),
        change("aws_backup_selection.s", &json!({"name": "s", "selection_tag": [tag]}), &reference),
    ]
    .into_iter()
    .unzip();
    let region = json!({"region": {"constant_value": "eu-west-1"}});
    json!({
        "format_version": "1.2",
        "terraform_version": "1.11.4",
        "variables": {"password": {"value": "p4ssword"}},
        "resource_changes": changes,
        "configuration": {"provider_config": {"aws": {"name": "aws", "expressions": region}},
                          "root_module": {"resources": blocks}},
    })
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("framework.yaml"), FRAMEWORK).unwrap();
    folder
}

fn check(folder: &Path, args: &[&str], input: &str) -> Ran {
    run_with(folder, &[&["check", "--framework", "framework.yaml", "--opt-in", "all"], args].concat(), &[], input)
}

#[test]
fn plan_is_refused_by_one_missing_tag() {
    let folder = folder();
    let refused = check(folder.path(), &["-"], &plan(&json!({})).to_string());
    assert_eq!(refused.status, Some(1), "{}{}", refused.stdout, refused.stderr);
    assert!(refused.stdout.contains("<stdin>:1:1: "), "{}", refused.stdout);
    assert!(refused.stdout.contains("`aws_dynamodb_table.orders` (aws_dynamodb_table)"), "{}", refused.stdout);
    assert!(refused.stdout.contains("add `tags = { backup = \"daily\" }`"), "{}", refused.stdout);
    assert!(!refused.stdout.contains("p4ssword"));
    let accepted = check(folder.path(), &["-"], &plan(&json!({"backup": "daily"})).to_string());
    assert_eq!(accepted.status, Some(0), "{}{}", accepted.stdout, accepted.stderr);
}

#[test]
fn finding_names_the_block_and_the_address() {
    let folder = folder();
    let app = folder.path().join("app");
    fs::create_dir(&app).unwrap();
    fs::write(app.join("main.tf"), SOURCE).unwrap();
    fs::write(app.join("plan.json"), plan(&json!({})).to_string()).unwrap();
    // A file of another tool with a key of plans.
    fs::write(app.join("other.json"), r#"{"format_version": "1.2", "planned_values": {}}"#).unwrap();
    for input in ["app", "app/plan.json"] {
        let ran = check(folder.path(), &[input, "--format", "sarif"], "");
        assert_eq!(ran.status, Some(1), "{}{}", ran.stdout, ran.stderr);
        let log: Value = serde_json::from_str(&ran.stdout).unwrap();
        let location = log.pointer("/runs/0/results/0/locations/0").unwrap();
        let get = |pointer: &str| location.pointer(pointer).cloned().unwrap_or_default();
        assert_eq!(get("/physicalLocation/artifactLocation/uri"), "app/main.tf");
        assert_eq!(get("/physicalLocation/region/startLine"), 2);
        assert_eq!(get("/logicalLocations/0/fullyQualifiedName"), "aws_dynamodb_table.orders");
    }
}

#[test]
fn plan_provides_plans_for_templates() {
    let folder = folder();
    fs::write(folder.path().join("backup.json"), plan(&json!({"backup": "daily"})).to_string()).unwrap();
    let table = |tags: &str| {
        let text = format!("Resources:\n  T:\n    Type: AWS::DynamoDB::Table\n    Properties: {{ Tags: [{tags}] }}\n");
        fs::write(folder.path().join("app.yaml"), text).unwrap();
        check(folder.path(), &["app.yaml", "--plans", "backup.json"], "")
    };
    assert_eq!(table("").status, Some(1));
    let ran = table("{ Key: backup, Value: daily }");
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn large_plan_is_read_and_other_version_refused() {
    let folder = folder();
    let mut large = plan(&json!({"backup": "daily"}));
    large["prior_state"] = json!({"values": "x".repeat(7 << 20)});
    fs::write(folder.path().join("large.json"), large.to_string()).unwrap();
    // A plan begins with its version.
    let text = large.to_string();
    let text = text.replacen('{', r#"{"format_version":"1.2","#, 1).replacen(r#","format_version":"1.2","#, ",", 1);
    let ran = check(folder.path(), &["-"], &text);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    let other = plan(&json!({})).to_string().replace(r#""format_version":"1.2""#, r#""format_version":"2.0""#);
    let ran = check(folder.path(), &["-"], &other);
    assert_eq!(ran.status, Some(2), "{}", ran.stdout);
    assert!(ran.stderr.contains("`format_version` is `2.0`, and only version 1 is supported"), "{}", ran.stderr);
}
