//! Cloud assemblies of the CDK as input of `check`.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::{Ran, run};

const FRAMEWORK: &str = "\
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkControls:
        - ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
";

/// A backup plan for a tag.
const PLAN: &str = "\
Resources:
  Plan:
    Type: AWS::Backup::BackupPlan
    Properties: { BackupPlan: { BackupPlanName: p, BackupPlanRule: [{ RuleName: r, TargetBackupVault: v }] } }
  Selection:
    Type: AWS::Backup::BackupSelection
    Properties:
      BackupPlanId: !Ref Plan
      BackupSelection:
        SelectionName: s
        IamRoleArn: arn:aws:iam::111122223333:role/backup
        ListOfTags: [{ ConditionType: STRINGEQUALS, ConditionKey: backup, ConditionValue: daily }]
";

fn table(path: &str) -> Value {
    let metadata = json!({"aws:cdk:path": path});
    json!({"Type": "AWS::DynamoDB::Table", "Properties": {"BillingMode": "PAY_PER_REQUEST"}, "Metadata": metadata})
}

fn stack(template: &str, environment: &str, tags: &Value) -> Value {
    let properties = json!({"templateFile": template, "tags": tags});
    json!({"type": "aws:cloudformation:stack", "environment": environment, "properties": properties})
}

/// A cloud assembly with two stacks, a nested stack, and a nested assembly with a stack in another Region.
fn assembly() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, value: &Value| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, serde_json::to_string_pretty(value).unwrap()).unwrap();
    };
    fs::write(folder.path().join("framework.yaml"), FRAMEWORK).unwrap();
    fs::write(folder.path().join("plan.yaml"), PLAN).unwrap();
    let artifacts = json!({
        "Orders": stack("Orders.template.json", "aws://111122223333/eu-west-1", &json!({})),
        "Tagged": stack("Tagged.template.json", "aws://unknown-account/unknown-region", &json!({"backup": "daily"})),
        "Tree": {"type": "cdk:tree", "properties": {"file": "tree.json"}},
        "assembly-Prod": {"type": "cdk:cloud-assembly", "properties": {"directoryName": "assembly-Prod"}},
    });
    write("cdk.out/manifest.json", &json!({"version": "36.0.0", "artifacts": artifacts}));
    let nested = json!({"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "https://s3"},
                        "Metadata": {"aws:cdk:path": "Tagged/Inner", "aws:asset:path": "Inner.nested.template.json"}});
    write("cdk.out/Orders.template.json", &json!({"Resources": {"Orders1": table("Orders/Table/Resource")}}));
    write(
        "cdk.out/Tagged.template.json",
        &json!({"Resources": {"Tagged1": table("Tagged/Table/Resource"), "Inner": nested}}),
    );
    write(
        "cdk.out/Inner.nested.template.json",
        &json!({"Resources": {"Inner1": table("Tagged/Inner/Table/Resource")}}),
    );
    let inner = json!({"Prod": stack("Prod.template.json", "aws://111122223333/us-east-1", &json!({}))});
    write("cdk.out/assembly-Prod/manifest.json", &json!({"version": "36.0.0", "artifacts": inner}));
    write("cdk.out/assembly-Prod/Prod.template.json", &json!({"Resources": {"Prod1": table("Prod/Table/Resource")}}));
    // Not a stack.
    write("cdk.out/asset.1/data.template.json", &json!({"Resources": {"Other": table("Other")}}));
    folder
}

fn check(folder: &Path, args: &[&str]) -> Ran {
    run(folder, &[&["check", "--framework", "framework.yaml", "--opt-in", "all", "cdk.out"], args].concat())
}

fn findings(ran: &Ran) -> Vec<(String, String, String)> {
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let of = |finding: &Value| (text(finding, "file"), text(finding, "address"), text(finding, "help"));
    report["findings"].as_array().unwrap().iter().chain(report["warnings"].as_array().unwrap()).map(of).collect()
}

#[test]
fn stacks_of_an_assembly_are_checked_by_manifest() {
    let folder = assembly();
    let ran = check(folder.path(), &["--plans", "plan.yaml", "--format", "json"]);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    let found = findings(&ran);
    // The tags of a stack are on its resources and on those of its nested stacks.
    let files: Vec<&str> = found.iter().map(|(file, ..)| file.as_str()).collect();
    assert_eq!(files, ["cdk.out/Orders.template.json", "cdk.out/assembly-Prod/Prod.template.json"], "{found:?}");
    let (_, construct, help) = &found[0];
    assert_eq!(construct, "Orders/Table");
    let words = "in the CDK: `Tags.of(construct).add('backup', 'daily')`, with the construct `Orders/Table`";
    assert!(
        help.starts_with("tag it `backup` = `daily`, with the property `Tags`; ") && help.contains(words),
        "{help}"
    );

    let ran = check(folder.path(), &["--plans", "plan.yaml"]);
    assert!(ran.stdout.contains("`Orders1` (AWS::DynamoDB::Table, construct `Orders/Table`)"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("nested stack") && !ran.stdout.contains("Other"), "{}", ran.stdout);
    let ran = check(folder.path(), &["--plans", "plan.yaml", "--format", "sarif"]);
    let log: Value = serde_json::from_str(&ran.stdout).unwrap();
    crate::sarif::valid_sarif(&log);
    let place = &log["runs"][0]["results"][0]["locations"][0];
    assert_eq!(place["logicalLocations"][0]["fullyQualifiedName"], "Orders/Table", "{log:#}");
    let ran = check(folder.path(), &["--plans", "plan.yaml", "--exclude", "assembly-Prod", "--format", "json"]);
    assert_eq!(findings(&ran).len(), 1, "{}", ran.stdout);
    let ran = check(folder.path(), &["--plans", "plan.yaml", "--exclude", "Prod.template.json", "--format", "json"]);
    assert_eq!(findings(&ran).len(), 1, "{}", ran.stdout);
}

#[test]
fn environment_of_a_stack_is_its_place() {
    let folder = assembly();
    // This plan exists in one Region only.
    let policy = json!({"plans": {"p": {
        "regions": {"@@assign": ["eu-west-1"]},
        "rules": {"r": {"schedule_expression": {"@@assign": "cron(0 5 * * ? *)"}, "target_backup_vault_name": {"@@assign": "v"}}},
        "selections": {"resources": {"all": {"iam_role_arn": {"@@assign": "r"}, "resource_types": {"@@assign": ["*"]}}}},
    }}});
    fs::write(folder.path().join("policy.json"), policy.to_string()).unwrap();
    let ran = check(folder.path(), &["--plans", "policy.json", "--region", "eu-west-1", "--format", "json"]);
    let files: Vec<String> = findings(&ran).into_iter().map(|(file, ..)| file).collect();
    assert_eq!(files, ["cdk.out/assembly-Prod/Prod.template.json"], "{}", ran.stdout);
}

#[test]
fn manifest_with_wrong_paths_is_a_clear_error() {
    let change = |folder: &Path, name: &str, from: &str, to: &str| {
        let path = folder.join("cdk.out").join(name);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{name}: {from}");
        fs::write(path, text.replace(from, to)).unwrap();
    };
    for (name, from, to, message) in [
        (
            "manifest.json",
            "Orders.template.json",
            "Gone.json",
            "cdk.out/manifest.json: `Orders` names `Gone.json`, which does not exist; run `cdk synth` again",
        ),
        (
            "manifest.json",
            "Orders.template.json",
            "../plan.yaml",
            "cdk.out/manifest.json: `Orders` names `../plan.yaml`, which is outside of the cloud assembly",
        ),
        ("manifest.json", "Orders.template.json", "/etc/hosts", "which is outside of the cloud assembly"),
        (
            "manifest.json",
            "\"directoryName\": \"assembly-Prod\"",
            "\"directoryName\": \"asset.1\"",
            "names the assembly `asset.1`, which has no `manifest.json`",
        ),
        ("Tagged.template.json", "Inner.nested", "../../Inner.nested", "cdk.out/Tagged.template.json: `Inner` names"),
        ("manifest.json", "\"artifacts\": {", "\"artifacts\": [", "cdk.out/manifest.json:2:"),
    ] {
        let folder = assembly();
        change(folder.path(), name, from, to);
        let ran = check(folder.path(), &["--plans", "plan.yaml"]);
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(2), ""), "{to}: {}", ran.stderr);
        assert!(ran.stderr.contains(message), "{to}: {}", ran.stderr);
    }
}

#[cfg(unix)]
#[test]
fn link_out_of_an_assembly_is_an_error() {
    let folder = assembly();
    let template = folder.path().join("cdk.out/Orders.template.json");
    fs::remove_file(&template).unwrap();
    std::os::unix::fs::symlink(folder.path().join("plan.yaml"), &template).unwrap();
    let ran = check(folder.path(), &["--plans", "plan.yaml"]);
    assert_eq!(ran.status, Some(2), "{}", ran.stdout);
    assert!(ran.stderr.contains("is a link out of the cloud assembly"), "{}", ran.stderr);
}

/// A template is checked once; the stacks that share it are not passed over in silence.
#[test]
fn template_of_two_stacks_is_announced() {
    let folder = assembly();
    let manifest = folder.path().join("cdk.out/manifest.json");
    let mut document: Value = serde_json::from_str(&fs::read_to_string(&manifest).unwrap()).unwrap();
    document["artifacts"]["Other"] = stack("Orders.template.json", "aws://111122223333/us-east-1", &json!({}));
    // The metadata of constructs makes manifests large.
    document["artifacts"]["Tree"]["metadata"] = json!({"/Tree": [{"type": "note", "data": "x".repeat(2 << 20)}]});
    fs::write(&manifest, document.to_string()).unwrap();
    let ran = check(folder.path(), &["--plans", "plan.yaml"]);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    let announced = "Orders.template.json` is the template of several stacks; only the first is checked";
    assert!(ran.stderr.contains(announced), "{}", ran.stderr);
}
