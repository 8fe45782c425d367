//! The starter content of the policy repository.

use serde_json::{Value, json};

use crate::template::{Template, texts};
use crate::{events, files, pattern, yaml};

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

fn controls(template: &Template) -> &Vec<Value> {
    template.properties("Framework")["FrameworkControls"].as_array().unwrap()
}

#[test]
fn frameworks_have_their_controls() {
    for (path, expected) in FRAMEWORKS {
        let template = Template::read(path);
        let names: Vec<&str> =
            controls(&template).iter().map(|control| control["ControlName"].as_str().unwrap()).collect();
        assert_eq!(names, *expected, "{path}");
        let name = template.properties("Framework")["FrameworkName"].as_str().unwrap();
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{path}: Backup refuses `{name}`");
    }
}

#[test]
fn the_five_controls_ask_for_a_backup_a_day_kept_for_35_days() {
    let template = Template::read("framework/examples/five-controls/framework.yaml");
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

/// Growing from three controls to five must update the framework in place and leave the way of the events as it is.
#[test]
fn the_two_differ_in_their_controls_only() {
    let [mut three, mut five] = [0, 1].map(|index| yaml::parse(&files::read(FRAMEWORKS[index].0)));
    for template in [&mut three, &mut five] {
        template["Resources"]["Framework"]["Properties"]["FrameworkControls"] = Value::Null;
        template["Description"] = Value::Null;
    }
    assert_eq!(three, five);
}

#[test]
fn frameworks_forward_what_the_central_rule_takes() {
    let application = Template::application();
    let central = application.resolve(&application.properties("ComplianceChangeRule")["EventPattern"]);
    for (path, _) in FRAMEWORKS {
        let template = Template::read(path);
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
fn the_forwarding_role_can_do_one_thing_and_has_no_name() {
    for (path, _) in FRAMEWORKS {
        let template = Template::read(path);
        let role = template.properties("ComplianceChangeRole");
        assert!(role.get("RoleName").is_none(), "{path}: the template runs in several Regions of an account");
        let statements = role["Policies"][0]["PolicyDocument"]["Statement"].as_array().unwrap();
        assert_eq!(statements.len(), 1, "{path}");
        assert_eq!(statements[0]["Action"], "events:PutEvents", "{path}");
        assert_eq!(statements[0]["Resource"], json!({"Ref": "ComplianceEventBusArn"}), "{path}");
        // The execution role may make roles only there.
        let path_of_role = role["Path"].as_str().unwrap();
        let execution = files::read("framework/prerequisites/execution-role.yaml");
        assert!(execution.contains(&format!("role{path_of_role}*")), "{path}");
    }
}

#[test]
fn the_execution_role_trusts_the_administration_role_and_touches_only_stacks_of_stack_sets() {
    let template = Template::read("framework/prerequisites/execution-role.yaml");
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

/// AWS Backup may check them with the rights of the caller of `CreateFramework`, as its managed policy AWSBackupAuditAccess grants.
#[test]
fn the_execution_role_reads_the_recorders_that_a_framework_needs() {
    let template = Template::read("framework/prerequisites/execution-role.yaml");
    let statements = &template.properties("ExecutionRole")["Policies"][0]["PolicyDocument"]["Statement"];
    let mut recorders = statements.as_array().unwrap().iter().filter(|statement| {
        texts(&statement["Action"])
            == ["config:DescribeConfigurationRecorderStatus", "config:DescribeConfigurationRecorders"]
    });
    assert_eq!(recorders.next().expect("a statement for the recorders")["Resource"], "*");
}

#[test]
fn the_administration_role_serves_only_stack_sets_of_its_account() {
    let template = Template::read("framework/prerequisites/administration-role.yaml");
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
    assert!(["", "af-south-1", &domain::ids::OPT_IN_REGIONS.join(",")].into_iter().all(takes));
    for wrong in ["af-south-1, eu-south-1", "af-south-1,", "Cape Town", "*"] {
        assert!(!takes(wrong), "{wrong}");
    }
    let application = Template::application();
    for name in ["AdministrationRoleName", "ExecutionRoleName"] {
        let default = &template.section("Parameters")[name]["Default"];
        assert_eq!(*default, application.section("Parameters")[name]["Default"], "{name}");
    }
}

/// A retained role keeps its name, so the next deployment of its stack fails. The README shows the import, for which an operator cuts
/// off the outputs.
#[test]
fn a_retained_role_can_be_imported_as_the_readme_shows() {
    let readme = files::read("framework/README.md");
    assert!(readme.contains("sed '/^Outputs:/,$d'") && readme.contains("--change-set-type IMPORT"));
    for (path, id, name) in [
        ("administration-role.yaml", "AdministrationRole", "AdministrationRoleName"),
        ("execution-role.yaml", "ExecutionRole", "ExecutionRoleName"),
    ] {
        let template = Template::read(&format!("framework/prerequisites/{path}"));
        // An import takes retained resources only.
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
fn the_policy_file_is_the_one_of_the_story() {
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
