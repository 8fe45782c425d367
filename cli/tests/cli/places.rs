//! Frameworks that differ between accounts and Regions.

use std::fs;

use crate::run;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

const FRAMEWORK: &str = "\
Conditions: { A: !Equals [!Ref AWS::Region, us-east-1] }
Resources:
  F:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkControls:
        - !If [A, { ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN }, { ControlName: BACKUP_LAST_RECOVERY_POINT_CREATED }]
        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
";

const POLICY: &str = "\
version: 1
frameworks:
  - name: a
    template: f.yaml
    targets:
      - accounts: [\"111111111111\"]
        regions: [us-east-1, eu-west-1]
";

const UNITS: &str = "\
version: 1
frameworks:
  - name: a
    template: f.yaml
    targets:
      - organizationalUnits: [ou-abcd-11111111]
        regions: [us-east-1, eu-west-1]
";

/// One table without a backup in each Region.
fn inventory() -> String {
    let place = |region: &str| {
        format!("{{\"account\":\"111111111111\",\"region\":\"{region}\",\"optIn\":{{\"DynamoDB\":true}}}}")
    };
    let table = |region: &str| {
        format!(
            "{{\"arn\":\"arn:aws:dynamodb:{region}:111111111111:table/orders\",\"type\":\"AWS::DynamoDB::Table\",\
             \"account\":\"111111111111\",\"region\":\"{region}\"}}"
        )
    };
    let both = |of: &dyn Fn(&str) -> String| format!("[{},{}]", of("us-east-1"), of("eu-west-1"));
    format!(
        "{{\"version\":1,\"asOf\":\"2026-11-26T06:00:00Z\",\"locations\":{},\"resources\":{}}}",
        both(&place),
        both(&table)
    )
}

const TABLE: &str = "Resources:\n  T: { Type: AWS::DynamoDB::Table, Properties: { TableName: orders } }\n";

#[test]
fn inventory_is_evaluated_by_each_locations_controls() {
    let inventory = inventory();
    let folder = folder(&[
        ("f.yaml", FRAMEWORK),
        ("backup-compliance.yaml", POLICY),
        ("units.yaml", UNITS),
        ("i.json", &inventory),
    ]);
    for framework in [".", "f.yaml", "units.yaml"] {
        let ran = run(folder.path(), &["evaluate", "--format", "json", "--framework", framework, "i.json"]);
        assert_eq!(ran.status, Some(1), "{framework}: {}{}", ran.stdout, ran.stderr);
        let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let judged: Vec<_> = report["evaluations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| (item["region"].as_str().unwrap(), item["control"].as_str().unwrap()))
            .collect();
        assert!(
            judged.contains(&("us-east-1", "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN")),
            "{framework}: {judged:?}"
        );
        assert!(judged.contains(&("eu-west-1", "BACKUP_LAST_RECOVERY_POINT_CREATED")), "{framework}: {judged:?}");
        assert!(!judged.contains(&("us-east-1", "BACKUP_LAST_RECOVERY_POINT_CREATED")), "{framework}: {judged:?}");
        assert!(
            !judged.contains(&("eu-west-1", "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN")),
            "{framework}: {judged:?}"
        );
        assert_eq!(report["unread"], serde_json::json!([]), "{framework}: everything is known");
    }
}

#[test]
fn templates_are_checked_by_their_targets_controls() {
    let folder = folder(&[("f.yaml", FRAMEWORK), ("backup-compliance.yaml", POLICY), ("app.yaml", TABLE)]);
    for framework in [".", "f.yaml"] {
        let check = |more: &[&str]| {
            run(folder.path(), &[&["check", "--framework", framework, "--opt-in", "all", "app.yaml"], more].concat())
        };
        let here = check(&["--in-account", "111111111111", "--in-region", "us-east-1", "--strict"]);
        assert_eq!(here.status, Some(1), "{}{}", here.stdout, here.stderr);
        assert!(here.stdout.contains("BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN"), "{}", here.stdout);
        assert!(!here.stdout.contains("BC006"), "{}", here.stdout);
        let there = check(&["--account", "111111111111", "--region", "eu-west-1", "--strict"]);
        assert!(!there.stdout.contains("BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN"), "{}", there.stdout);
        assert!(!there.stdout.contains("BC006"), "{}", there.stdout);
    }
    // Without a target.
    let ran = run(folder.path(), &["check", "--framework", "f.yaml", "app.yaml"]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    let said = "f.yaml:7:11: warning: BC006 the control is known only at deployment and is not evaluated\n";
    assert!(ran.stdout.contains(said), "{}", ran.stdout);
    assert!(ran.stdout.contains("help: give the location with --account and --region"), "{}", ran.stdout);
    let ran = run(folder.path(), &["check", "--framework", "f.yaml", "app.yaml", "--strict"]);
    assert_eq!(ran.status, Some(1), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn framework_of_false_condition_has_no_controls() {
    let only =
        FRAMEWORK.replace("    Type: AWS::Backup::Framework\n", "    Type: AWS::Backup::Framework\n    Condition: A\n");
    let folder = folder(&[("f.yaml", &only), ("app.yaml", TABLE), ("i.json", &inventory())]);
    let check = |region: &str| {
        run(folder.path(), &["check", "--framework", "f.yaml", "--opt-in", "all", "--region", region, "app.yaml"])
    };
    assert_eq!(check("us-east-1").status, Some(1));
    let there = check("eu-west-1");
    assert_eq!(there.status, Some(2), "{}{}", there.stdout, there.stderr);
    assert!(there.stderr.contains("`f.yaml` has no framework in the account and Region"), "{}", there.stderr);
    let ran = run(folder.path(), &["evaluate", "--format", "json", "--framework", "f.yaml", "i.json"]);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let regions: Vec<_> = report["evaluations"].as_array().unwrap().iter().map(|item| &item["region"]).collect();
    assert_eq!(regions, ["us-east-1"]);
}

#[test]
fn unresolved_framework_parts_are_undecided() {
    let with = |item: &str| {
        FRAMEWORK.replace(
            "        - ControlName: BACKUP_RECOVERY",
            &format!("        - {item}\n        - ControlName: BACKUP_RECOVERY"),
        )
    };
    let made = "Transform: AWS::LanguageExtensions\nParameters: { Names: { Type: CommaDelimitedList, Default: a } }\nResources:\n  Fn::ForEach::F: [X, !Ref Names, { \"F${X}\": { Type: AWS::Backup::Framework } }]\n";
    let list =
        "Resources:\n  F:\n    Type: AWS::Backup::Framework\n    Properties: { FrameworkControls: !ImportValue x }\n";
    for framework in [with("Fn::Transform: { Name: AWS::Include }").as_str(), &with("!ImportValue x"), made, list] {
        let folder = folder(&[("f.yaml", framework), ("app.yaml", TABLE), ("i.json", &inventory())]);
        for command in [&["check", "app.yaml", "--region", "eu-west-1"][..], &["evaluate", "i.json"]] {
            let ran = run(folder.path(), &[command, &["--framework", "f.yaml"]].concat());
            if framework == made || framework == list {
                assert_eq!(ran.status, Some(0), "nothing is known to be wrong: {}{}", ran.stdout, ran.stderr);
            }
            assert!(
                ["undecided", "not read", "some results are undecided"].iter().any(|said| ran.stderr.contains(said)),
                "{command:?} {framework}\n{}{}",
                ran.stdout,
                ran.stderr
            );
            assert!(ran.stdout.contains("f.yaml:"), "{command:?} {framework}\n{}{}", ran.stdout, ran.stderr);
            let ran = run(folder.path(), &[command, &["--framework", "f.yaml", "--strict"]].concat());
            assert_eq!(ran.status, Some(1), "{command:?} {framework}\n{}{}", ran.stdout, ran.stderr);
        }
    }
}

#[test]
fn policy_is_linted_in_its_locations() {
    let typo = FRAMEWORK.replace("{ ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN }", "{ ControlName: TYPO }");
    let folder = folder(&[("f.yaml", &typo), ("backup-compliance.yaml", POLICY), ("units.yaml", UNITS)]);
    for policy in [".", "units.yaml"] {
        let ran = run(folder.path(), &["lint", policy]);
        assert_eq!(ran.status, Some(1), "{}{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.contains("the control `TYPO` does not exist"), "{}", ran.stdout);
    }
    fs::write(folder.path().join("backup-compliance.yaml"), POLICY.replace("us-east-1, ", "")).unwrap();
    let ran = run(folder.path(), &["lint"]);
    assert_eq!(ran.status, Some(0), "the branch is taken nowhere: {}{}", ran.stdout, ran.stderr);
    let ran = run(folder.path(), &["lint", "f.yaml"]);
    assert_eq!(ran.status, Some(1), "of the template alone nobody knows: {}", ran.stdout);
}
