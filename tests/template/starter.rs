//! The starter content of the policy repository.

use serde_json::{Value, json};

use super::parsed::{ParsedTemplate, texts};
use super::{events, pattern, yaml};
use crate::files;

const FRAMEWORKS: &[(&str, &[&str])] = &[
    (
        "framework/framework.yaml",
        &[
            "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN",
            "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED",
            "BACKUP_RECOVERY_POINT_ENCRYPTED",
        ],
    ),
    (
        "framework/examples/five-controls/framework.yaml",
        &[
            "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN",
            "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED",
            "BACKUP_RECOVERY_POINT_ENCRYPTED",
            "BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK",
            "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK",
        ],
    ),
];

fn controls(template: &ParsedTemplate) -> &Vec<Value> {
    template.properties("Framework")["FrameworkControls"].as_array().unwrap()
}

#[test]
fn starter_frameworks_have_their_controls() {
    for (path, expected) in FRAMEWORKS {
        let template = ParsedTemplate::read(path);
        let names: Vec<&str> =
            controls(&template).iter().map(|control| control["ControlName"].as_str().unwrap()).collect();
        assert_eq!(names, *expected, "{path}");
        let name = template.properties("Framework")["FrameworkName"].as_str().unwrap();
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{path}: Backup rejects `{name}`");
    }
}

#[test]
fn five_controls_require_daily_backup_for_35_days() {
    let template = ParsedTemplate::read("framework/examples/five-controls/framework.yaml");
    let parameters = |index: usize| -> Vec<(&str, &str)> {
        let listed = controls(&template)[index]["ControlInputParameters"].as_array().unwrap();
        listed
            .iter()
            .map(|p| (p["ParameterName"].as_str().unwrap(), p["ParameterValue"].as_str().expect("values are strings")))
            .collect()
    };
    assert_eq!(parameters(3), [("requiredRetentionDays", "35")]);
    assert_eq!(
        parameters(4),
        [("requiredFrequencyUnit", "hours"), ("requiredFrequencyValue", "24"), ("requiredRetentionDays", "35")]
    );
}

/// The change from three controls to five must update the framework in place and keep the event rule.
#[test]
fn starter_frameworks_differ_in_controls_only() {
    let [mut three, mut five] = [0, 1].map(|index| yaml::parse(&files::read(FRAMEWORKS[index].0)));
    for template in [&mut three, &mut five] {
        template["Resources"]["Framework"]["Properties"]["FrameworkControls"] = Value::Null;
        template["Description"] = Value::Null;
    }
    assert_eq!(three, five);
}

#[test]
fn frameworks_forward_events_of_central_rule() {
    let application = ParsedTemplate::application();
    let central = application.resolve(&application.properties("ComplianceChangeRule")["EventPattern"]);
    for (path, _) in FRAMEWORKS {
        let template = ParsedTemplate::read(path);
        assert_eq!(template.section("Parameters")["ComplianceEventBusArn"]["Default"], "", "{path}");
        for id in ["ComplianceChangeRule", "ComplianceChangeRole"] {
            assert_eq!(template.resource(id)["Condition"], "SendsComplianceChanges", "{path}: {id}");
        }
        let forwarded = template.resolve(&template.properties("ComplianceChangeRule")["EventPattern"]);
        let mut passed = 0;
        for name in events::names() {
            for event in events::inner(&name) {
                let both = [&forwarded, &central].map(|pattern| pattern::matches(pattern, &event));
                assert_eq!(both[0], both[1], "{path}: {name}");
                passed += usize::from(both[0]);
            }
        }
        assert!(passed > 5, "{path}");
    }
}

#[test]
fn forwarding_role_is_minimal_and_unnamed() {
    for (path, _) in FRAMEWORKS {
        let template = ParsedTemplate::read(path);
        let role = template.properties("ComplianceChangeRole");
        assert!(role.get("RoleName").is_none(), "{path}: the template runs in several Regions of an account");
        let statements = role["Policies"][0]["PolicyDocument"]["Statement"].as_array().unwrap();
        assert_eq!(statements.len(), 1, "{path}");
        assert_eq!(statements[0]["Action"], "events:PutEvents", "{path}");
        assert_eq!(statements[0]["Resource"], json!({"Ref": "ComplianceEventBusArn"}), "{path}");
        // The execution role may create roles under this path only.
        let path_of_role = role["Path"].as_str().unwrap();
        let execution = files::read("framework/prerequisites/execution-role.yaml");
        assert!(execution.contains(&format!("role{path_of_role}*")), "{path}");
    }
}

#[test]
fn execution_role_is_limited_to_stack_sets() {
    let template = ParsedTemplate::read("framework/prerequisites/execution-role.yaml");
    let role = template.properties("ExecutionRole");
    let trust = &role["AssumeRolePolicyDocument"]["Statement"][0];
    assert_eq!(trust["Principal"], json!({"AWS": {"Ref": "AdministrationRoleArn"}}));
    let scope = &template.section("Parameters")["StackScope"];
    assert_eq!((&scope["Default"], &scope["AllowedValues"]), (&json!("stack-sets"), &json!(["stack-sets", "all"])));
    for statement in role["Policies"][0]["PolicyDocument"]["Statement"].as_array().unwrap() {
        for action in texts(&statement["Action"]) {
            if action == "cloudformation:*" {
                let stacks = template.resolve_without(&statement["Resource"], &["CoversAllStacks"]);
                assert_eq!(stacks, "arn:aws:cloudformation:*:000000000000:stack/StackSet-*");
                assert_eq!(template.resolve(&statement["Resource"]), "*", "the minimum that AWS documents");
            } else {
                assert!(!action.contains('*'), "{action}");
            }
        }
    }
}

/// AWS Backup may check these permissions of the caller of `CreateFramework`; its managed policy AWSBackupAuditAccess
/// grants them.
#[test]
fn execution_role_reads_config_recorders() {
    let template = ParsedTemplate::read("framework/prerequisites/execution-role.yaml");
    let statements = &template.properties("ExecutionRole")["Policies"][0]["PolicyDocument"]["Statement"];
    let mut recorders = statements.as_array().unwrap().iter().filter(|statement| {
        texts(&statement["Action"])
            == ["config:DescribeConfigurationRecorderStatus", "config:DescribeConfigurationRecorders"]
    });
    assert_eq!(recorders.next().expect("a statement for the recorders")["Resource"], "*");
}

#[test]
fn administration_role_serves_own_stack_sets() {
    let template = ParsedTemplate::read("framework/prerequisites/administration-role.yaml");
    let trust =
        template.resolve(&template.properties("AdministrationRole")["AssumeRolePolicyDocument"]["Statement"][0]);
    assert_eq!(trust["Condition"]["StringEquals"], json!({"aws:SourceAccount": "000000000000"}));
    let source = json!({"aws:SourceArn": "arn:aws:cloudformation:*:000000000000:stackset/*"});
    assert_eq!(trust["Condition"]["StringLike"], source);
    let principals = |regions: &str| {
        let trust = &template.properties("AdministrationRole")["AssumeRolePolicyDocument"]["Statement"][0];
        let text = trust["Principal"]["Service"].to_string();
        let text = text.replace(r#"{"Ref":"OptInRegions"}"#, &json!(regions).to_string());
        let not: &[&str] = if regions.is_empty() { &["HasOptInRegions"] } else { &[] };
        template.resolve_without(&serde_json::from_str(&text).unwrap(), not)
    };
    let condition = json!({"Fn::Not": [{"Fn::Equals": [{"Ref": "OptInRegions"}, ""]}]});
    assert_eq!(template.section("Conditions")["HasOptInRegions"], condition);
    let global = "cloudformation.amazonaws.com";
    assert_eq!(principals(""), global);
    let regional = ["af-south-1", "eu-south-1"].map(|region| format!("cloudformation.{region}.amazonaws.com"));
    assert_eq!(principals("af-south-1"), json!([global, regional[0]]));
    assert_eq!(principals("af-south-1,eu-south-1"), json!([global, regional[0], regional[1]]));
    let takes = |regions: &str| template.takes("OptInRegions", regions);
    assert!(["", "af-south-1", &framework::ids::OPT_IN_REGIONS.join(",")].into_iter().all(takes));
    for wrong in ["af-south-1, eu-south-1", "af-south-1,", "Cape Town", "*"] {
        assert!(!takes(wrong), "{wrong}");
    }
    let application = ParsedTemplate::application();
    for name in ["AdministrationRoleName", "ExecutionRoleName"] {
        let default = &template.section("Parameters")[name]["Default"];
        assert_eq!(*default, application.section("Parameters")[name]["Default"], "{name}");
    }
}

/// A retained role keeps its name, so that the next deployment of its stack fails. The README shows the import, for
/// which an operator removes the outputs.
#[test]
fn retained_role_can_be_imported_as_documented() {
    let readme = files::read("framework/README.md");
    assert!(readme.contains("sed '/^Outputs:/,$d'") && readme.contains("--change-set-type IMPORT"));
    for (path, id, name) in [
        ("administration-role.yaml", "AdministrationRole", "AdministrationRoleName"),
        ("execution-role.yaml", "ExecutionRole", "ExecutionRoleName"),
    ] {
        let template = ParsedTemplate::read(&format!("framework/prerequisites/{path}"));
        // An import accepts retained resources only.
        assert_eq!(template.resource(id)["DeletionPolicy"], "Retain", "{path}");
        assert_eq!(template.properties(id)["RoleName"], json!({"Ref": name}), "{path}");
        let outputs = template.text().split_once("\nOutputs:\n").expect("outputs").1;
        assert!(outputs.lines().all(|line| line.is_empty() || line.starts_with(' ')), "{path}: outputs come last");
        let role = template.section("Parameters")[name]["Default"].as_str().unwrap();
        assert!(readme.contains(&format!("`{id}`")) || readme.contains(&format!("LogicalResourceId={id}")), "{path}");
        assert!(readme.contains(role), "{path}");
    }
}

#[test]
fn starter_policy_matches_the_example() {
    let policy = yaml::parse(&files::read("framework/backup-compliance.yaml"));
    assert_eq!(policy["version"], 1);
    let frameworks = policy["frameworks"].as_array().unwrap();
    assert_eq!(frameworks.len(), 1);
    assert_eq!(frameworks[0]["name"], "backup-compliance");
    assert_eq!(frameworks[0]["template"], "framework.yaml");
    let target = &frameworks[0]["targets"][0];
    assert_eq!(texts(&target["accounts"]), ["111111111111", "222222222222", "333333333333"]);
    assert_eq!(texts(&target["regions"]), ["us-east-1", "eu-west-1"]);
}
