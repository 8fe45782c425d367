//! `preview`: two states of a policy and an inventory.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::{Ran, run};

const COVERAGE: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN";

fn template(controls: &[&str]) -> String {
    let controls: String = controls.iter().map(|control| format!("        - ControlName: {control}\n")).collect();
    format!(
        "Resources:\n  Framework:\n    Type: AWS::Backup::Framework\n    Properties:\n      FrameworkControls:\n{controls}"
    )
}

fn policy(more: &str) -> String {
    format!(
        "version: 1\nframeworks:\n  - name: org-backup\n    template: framework.yaml\n    targets:\n      - accounts: \
         ['222222222222']\n        regions: [eu-west-1]\n{more}"
    )
}

fn table(name: &str) -> Value {
    json!({
        "arn": format!("arn:aws:dynamodb:eu-west-1:222222222222:table/{name}"),
        "type": "AWS::DynamoDB::Table", "account": "222222222222", "region": "eu-west-1", "name": name, "tags": {},
    })
}

/// Two states in `before` and `after`, and an inventory with two unprotected tables and a vault that allows manual deletion.
fn states(folder: &Path, before: &str, after: &str, limits: &str) {
    for (name, template, policy) in [("before", before, policy("")), ("after", after, policy(limits))] {
        fs::create_dir_all(folder.join(name)).unwrap();
        fs::write(folder.join(name).join("framework.yaml"), template).unwrap();
        fs::write(folder.join(name).join("backup-compliance.yaml"), policy).unwrap();
    }
    let location = json!({ "account": "222222222222", "region": "eu-west-1", "optIn": { "DynamoDB": true } });
    let vault = json!({ "name": "main", "account": "222222222222", "region": "eu-west-1" });
    let document = json!({
        "version": 1, "asOf": "2099-01-01T00:00:00Z", "locations": [location],
        "resources": [table("a"), table("b")], "vaults": [vault],
    });
    fs::write(folder.join("inventory.json"), document.to_string()).unwrap();
}

fn preview(folder: &Path, more: &[&str]) -> Ran {
    let fixed = ["preview", "--before", "before", "--after", "after", "--inventory", "inventory.json"];
    run(folder, &[&fixed[..], more].concat())
}

fn parsed(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap()
}

fn schema() -> jsonschema::Validator {
    let text = include_str!("../../../schemas/preview.schema.json");
    let schema: Value = serde_json::from_str(text).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

/// The control and id of each result of `evaluate` that is not compliant.
fn violations(folder: &Path, state: &str) -> BTreeSet<(String, String)> {
    let ran = run(folder, &["evaluate", "--format", "json", "--framework", state, "inventory.json"]);
    let text = |one: &Value, key: &str| one.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let evaluations = parsed(&ran).get("evaluations").unwrap().as_array().unwrap().clone();
    let wrong = evaluations.iter().filter(|one| text(one, "compliance") == "NON_COMPLIANT");
    wrong.map(|one| (text(one, "control"), text(one, if one.get("arn").is_some() { "arn" } else { "id" }))).collect()
}

#[test]
fn preview_equals_two_evaluations() {
    let folder = tempfile::tempdir().unwrap();
    let vaults = "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED";
    states(folder.path(), &template(&[vaults]), &template(&[COVERAGE]), "");
    let ran = preview(folder.path(), &["--format", "json"]);
    let document = parsed(&ran);
    let errors: Vec<String> = schema().iter_errors(&document).map(|error| error.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
    let listed = |key: &str| -> BTreeSet<(String, String)> {
        let all = document.pointer(&format!("/violations/{key}")).unwrap().as_array().unwrap();
        let text = |one: &Value, key: &str| one.get(key).unwrap().as_str().unwrap().to_owned();
        all.iter().map(|one| (text(one, "control"), text(one, "resource"))).collect()
    };
    let (before, after) = (violations(folder.path(), "before"), violations(folder.path(), "after"));
    assert_eq!((before.len(), after.len()), (1, 2), "{before:?} {after:?}");
    assert_eq!(listed("new"), after.difference(&before).cloned().collect());
    assert_eq!(listed("resolved"), before.difference(&after).cloned().collect());
    assert_eq!(document.pointer("/verdict"), Some(&json!("attention")));
    assert_eq!(document.pointer("/plan/0/instances/update"), Some(&json!(1)));
    assert_eq!(ran.status, Some(0));
    assert_eq!(preview(folder.path(), &["--strict"]).status, Some(1));
}

#[test]
fn change_over_a_limit_is_blocked() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (template(&["BACKUP_RECOVERY_POINT_ENCRYPTED"]), template(&[COVERAGE]));
    for (limits, status, verdict) in [
        ("preview: { maxNewViolations: 1 }\n", 1, "blocked"),
        ("preview: { maxNewViolations: 2, maxUndecided: 0 }\n", 0, "ok"),
        ("preview: { maxNewViolations: 2, maxMonthlyIncrease: 0 }\n", 1, "blocked"),
    ] {
        states(folder.path(), &old, &new, limits);
        let ran = preview(folder.path(), &[]);
        assert_eq!(ran.status, Some(status), "{limits}: {}", ran.stdout);
        assert!(ran.stdout.starts_with(&format!("{verdict}: before -> after\n")), "{}", ran.stdout);
        assert!(ran.stdout.contains("New violations (2)") && ran.stdout.contains("table/a"), "{}", ran.stdout);
    }
}

#[test]
fn invalid_policy_is_blocked_with_findings() {
    let folder = tempfile::tempdir().unwrap();
    states(folder.path(), &template(&[COVERAGE]), "Resources: {}\n", "");
    let ran = preview(folder.path(), &["--format", "json"]);
    let document = parsed(&ran);
    assert!(schema().is_valid(&document), "{document}");
    assert_eq!((ran.status, document.pointer("/verdict")), (Some(1), Some(&json!("blocked"))));
    assert_eq!(document.pointer("/findings/0/file"), Some(&json!("framework.yaml")));
    assert_eq!(document.pointer("/violations"), Some(&Value::Null));
}

#[test]
fn machine_formats_have_positions() {
    let folder = tempfile::tempdir().unwrap();
    states(folder.path(), &template(&["BACKUP_RECOVERY_POINT_ENCRYPTED"]), &template(&[COVERAGE]), "");
    let sarif = parsed(&preview(folder.path(), &["--format", "sarif"]));
    crate::sarif::valid_sarif(&sarif);
    assert_eq!(sarif.pointer("/runs/0/results/0/ruleId"), Some(&json!(COVERAGE)));
    let quality = parsed(&preview(folder.path(), &["--format", "codequality"]));
    assert_eq!(
        quality.pointer("/0/location"),
        Some(&json!({ "path": "backup-compliance.yaml", "lines": { "begin": 1 } }))
    );
    let fingerprints: BTreeSet<&str> =
        quality.as_array().unwrap().iter().map(|one| one.get("fingerprint").unwrap().as_str().unwrap()).collect();
    assert_eq!(fingerprints.len(), quality.as_array().unwrap().len());
    let markdown = preview(folder.path(), &["--format", "markdown"]).stdout;
    assert!(markdown.starts_with("**Backup Compliance: attention**\n"), "{markdown}");
}

#[test]
fn commits_of_a_repository_are_states() {
    let folder = tempfile::tempdir().unwrap();
    let git = |args: &[&str]| {
        let ran = Command::new("git").current_dir(folder.path()).args(args).output().unwrap();
        assert!(ran.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&ran.stderr));
    };
    let commit = |message: &str| {
        git(&["add", "--all"]);
        let user = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"];
        git(&[&user[..], &["commit", "--quiet", "--message", message]].concat());
    };
    git(&["init", "--quiet"]);
    fs::write(folder.path().join("README.md"), "nothing yet\n").unwrap();
    commit("begin");
    states(folder.path(), &template(&[COVERAGE]), &template(&[COVERAGE]), "");
    commit("policies");
    let of = |before: &str, after: &str| {
        let inventory = ["--inventory", "inventory.json", "--format", "json"];
        run(
            folder.path(),
            &[&["preview", "--before", before, "--after", after, "--policy", "after"], &inventory[..]].concat(),
        )
    };
    // The first commit has no policy: everything is new.
    let document = parsed(&of("HEAD~1", "HEAD"));
    assert_eq!(document.pointer("/violations/counts/new"), Some(&json!(2)), "{document}");
    assert_eq!(document.pointer("/plan/0/action"), Some(&json!("create")));
    let document = parsed(&of("HEAD", "."));
    assert_eq!(document.pointer("/violations/counts/unchanged"), Some(&json!(2)), "{document}");
    let unknown = of("no-such-commit", ".");
    assert_eq!(unknown.status, Some(2));
    assert!(unknown.stderr.contains("`no-such-commit` is neither a folder nor a commit"), "{}", unknown.stderr);
    assert_eq!(of("--output=x", ".").status, Some(2));
    let absolute = run(folder.path(), &["preview", "--before", ".", "--policy", "/x"]);
    assert_eq!((absolute.status, absolute.stdout.as_str()), (Some(2), ""));
}
