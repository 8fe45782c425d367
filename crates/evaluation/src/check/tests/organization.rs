//! Backup policies of AWS Organizations as plans of `check`.

use serde_json::{Value, json};

use framework::ids::UnitId;

use super::*;
use crate::inventory::BackupPolicyFile;
use crate::inventory::terraform::TerraformPlan;

const FREQUENCY: &str = "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK";

/// A policy with one rule and these selections.
fn policy(regions: &Value, selections: &Value) -> Value {
    let rule = json!({
        "schedule_expression": {"@@assign": "cron(0 5 * * ? *)"},
        "target_backup_vault_name": {"@@assign": "main"},
        "lifecycle": {"delete_after_days": {"@@assign": "35"}},
    });
    json!({"plans": {"gold": {"regions": regions, "rules": {"daily": rule}, "selections": selections}}})
}

fn by_tag(values: &Value) -> Value {
    let role = json!({"@@assign": "arn:aws:iam::$account:role/b"});
    json!({"tags": {"tagged": {"iam_role_arn": role, "tag_key": {"@@assign": "backup"}, "tag_value": values}}})
}

fn here_only() -> Value {
    json!({"@@assign": ["eu-west-1", "us-east-1"]})
}

fn table(tags: &str) -> String {
    format!("Resources:\n{TABLE}      Tags: [{tags}]\n")
}

const DAILY: &str = "{ Key: backup, Value: daily }";

/// Returns the findings about an application with these policies in files of their own.
fn with_files(target: &DeploymentTarget, app: &str, policies: &[Value], controls: &[&str]) -> Vec<String> {
    let template = Template::read_source("app.yaml", app).expect("a template");
    let read = |(number, policy): (usize, &Value)| {
        BackupPolicyFile::read(&format!("{number}.json"), &policy.to_string()).expect("JSON")
    };
    let policies: Vec<BackupPolicyFile> = policies.iter().enumerate().map(read).collect();
    let app = CheckedFile::Template(TemplateStack::new(&template, BTreeMap::new()));
    let files: Vec<CheckedFile<'_>> = std::iter::once(app).chain(policies.iter().map(CheckedFile::Policy)).collect();
    let mut inventory = Inventory::new(Timestamp::UNIX_EPOCH);
    let added = template::add(&mut inventory, target, &files);
    said(&check(&inventory, &added, target, &files, files.len(), &asked(controls), &|_| None))
}

#[test]
fn policy_in_a_file_covers_by_tag() {
    let policy = policy(&here_only(), &by_tag(&json!({"@@assign": ["daily", "weekly"]})));
    for tags in [DAILY, "{ Key: backup, Value: weekly }"] {
        assert!(with_files(&here(), &table(tags), std::slice::from_ref(&policy), &[COVERAGE]).is_empty(), "{tags}");
    }
    let found = with_files(&here(), &table(""), std::slice::from_ref(&policy), &[COVERAGE]);
    assert_eq!(
        found,
        [
            "error 2: `T` (AWS::DynamoDB::Table): no plan selects it; the closest selection is `tagged` of the plan `gold`: neither its \
          ARN nor a tag matches; tag it `backup` = `daily`, under `Tags` in line 6"
        ]
    );
    // Its Region has no plan.
    let mut elsewhere = here();
    elsewhere.region = RegionName::parse("eu-north-1").expect("a Region");
    let found = with_files(&elsewhere, &table(DAILY), std::slice::from_ref(&policy), &[COVERAGE]);
    assert!(found.len() == 1 && found[0].starts_with("error 2: `T`"), "{found:?}");
    // Without the Region, nothing is certain.
    let found = with_files(&anywhere(), &table(DAILY), &[policy], &[COVERAGE]);
    assert!(
        found.len() == 1 && found[0].contains("whether the selection `tagged` of the plan `gold` exists"),
        "{found:?}"
    );
    assert!(found[0].contains("--region"), "{found:?}");
}

#[test]
fn effective_policy_has_no_operators() {
    let tags = json!({"tags": {"t": {"iam_role_arn": "r", "tag_key": "backup", "tag_value": ["daily"]}}});
    let rule = json!({"schedule_expression": "cron(0 5 * * ? *)", "target_backup_vault_name": "main"});
    let policy = json!({"plans": {"gold": {"regions": ["eu-west-1"], "rules": {"r": rule}, "selections": tags}}});
    assert!(with_files(&here(), &table(DAILY), &[policy], &[COVERAGE]).is_empty());
}

#[test]
fn types_and_conditions_of_a_policy_select() {
    let types = |types: &[&str], excluded: &[&str]| {
        let condition = json!({"c": {"condition_key": {"@@assign": "aws:ResourceTag/backup"},
                                     "condition_value": {"@@assign": "d*"}}});
        json!({"resources": {"typed": {
            "iam_role_arn": {"@@assign": "r"}, "resource_types": {"@@assign": types},
            "not_resource_types": {"@@assign": excluded}, "conditions": {"string_like": condition}}}})
    };
    const TABLES: &str = "arn:aws:dynamodb:*:*:table/*";
    for (selection, tags, expected) in [
        (types(&[TABLES], &[]), DAILY, None),
        (types(&["*"], &[]), DAILY, None),
        (types(&["*"], &[TABLES]), DAILY, Some("excludes it")),
        (types(&["arn:aws:ec2:*:*:volume/*"], &[]), DAILY, Some("neither its ARN nor a tag matches")),
        (types(&[TABLES], &[]), "", Some("tag it `backup`")),
    ] {
        let found = with_files(&here(), &table(tags), &[policy(&here_only(), &selection)], &[COVERAGE]);
        match expected {
            None => assert!(found.is_empty(), "{selection}: {found:?}"),
            Some(part) => assert!(found.len() == 1 && found[0].contains(part), "{selection}: {found:?}"),
        }
        // Nobody can add an ARN to it.
        assert!(!found.iter().any(|text| text.contains("add its ARN")), "{found:?}");
    }
}

#[test]
fn policies_are_merged_from_the_root_down() {
    let parent = policy(&json!({"@@assign": ["us-east-1"]}), &by_tag(&json!({"@@assign": ["weekly", "never"]})));
    let child = json!({"plans": {"gold": {
        "regions": {"@@append": ["eu-west-1"]},
        "rules": {"daily": {"lifecycle": {"delete_after_days": {"@@assign": "7"}}}},
        "selections": {"tags": {"tagged": {"tag_value": {"@@append": ["daily"], "@@remove": ["never"]}}}},
    }}});
    let both = [parent.clone(), child.clone()];
    assert!(with_files(&here(), &table(DAILY), &both, &[COVERAGE]).is_empty());
    let never = with_files(&here(), &table("{ Key: backup, Value: never }"), &both, &[COVERAGE]);
    assert!(never.len() == 1 && never[0].starts_with("error"), "{never:?}");
    let kept = with_files(&here(), &table(DAILY), &both, &[FREQUENCY]);
    assert!(kept.len() == 1 && kept[0].contains("keeps for 7 days; 35 days are required"), "{kept:?}");
    // A parent may forbid it.
    let mut closed = parent;
    closed["plans"]["gold"]["regions"]["@@operators_allowed_for_child_policies"] = json!(["@@none"]);
    let found = with_files(&here(), &table(DAILY), &[closed, child], &[COVERAGE]);
    assert!(found.len() == 1 && found[0].starts_with("error"), "{found:?}");
}

#[test]
fn missing_parent_policy_is_reported_once() {
    let child = json!({"plans": {"gold": {
        "regions": {"@@append": ["eu-west-1"]},
        "selections": {"tags": {"tagged": {"tag_value": {"@@append": ["daily"]}}}},
    }}});
    let app = format!("Resources:\n{TABLE}{}", TABLE.replace("  T:", "  U:"));
    let found = with_files(&here(), &app, &[child], &[COVERAGE]);
    let about_parent = found.iter().filter(|text| text.contains("what a parent policy adds to the plan `gold`"));
    assert_eq!(about_parent.count(), 1, "{found:?}");
    assert!(found.iter().all(|text| text.starts_with("warning")), "{found:?}");
    // What it adds is certain.
    let known = policy(&json!({"@@append": ["eu-west-1"]}), &by_tag(&json!({"@@append": ["daily"]})));
    let found = with_files(&here(), &table(DAILY), &[known], &[COVERAGE]);
    assert!(found.len() == 1 && found[0].contains("what a parent policy adds"), "{found:?}");
}

fn in_template(content: &str, targets: &str) -> String {
    let policy = format!(
        "  P:\n    Type: AWS::Organizations::Policy\n    Properties:\n      Name: p\n      Type: BACKUP_POLICY\n      \
         TargetIds: {targets}\n      Content: {content}\n"
    );
    format!("Resources:\n{TABLE}      Tags: [{DAILY}]\n{policy}")
}

#[test]
fn policy_of_a_template_applies_to_its_targets() {
    let content = policy(&here_only(), &by_tag(&json!({"@@assign": ["daily"]}))).to_string();
    let quoted = format!("'{content}'");
    let unit = UnitId::parse("ou-abcd-11111111").expect("a unit");
    let mut in_unit = here();
    in_unit.units.push(unit);
    for (target, targets, expected) in [
        (here(), "[r-abcd]", None),
        (here(), "['222222222222']", None),
        (here(), "['333333333333', '222222222222']", None),
        (here(), "['333333333333']", Some("error")),
        (here(), "[ou-abcd-11111111]", Some("warning")),
        (here(), "[]", Some("warning")),
        (here(), "[!ImportValue unit]", Some("warning")),
        (in_unit.clone(), "[ou-abcd-11111111]", None),
        (in_unit, "[ou-abcd-22222222]", Some("error")),
    ] {
        for content in [&content, &quoted] {
            let found = said(&checked_at(&target, &[&in_template(content, targets)], 1, &[COVERAGE], &[]));
            match expected {
                None => assert!(found.is_empty(), "{targets}: {found:?}"),
                Some(level) => assert!(
                    !found.is_empty() && found.iter().all(|text| text.starts_with(level)),
                    "{targets}: {found:?}"
                ),
            }
        }
    }
}

#[test]
fn later_level_of_templates_wins() {
    let at = |days: &str| {
        let mut policy = policy(&here_only(), &by_tag(&json!({"@@assign": ["daily"]})));
        policy["plans"]["gold"]["rules"]["daily"]["lifecycle"]["delete_after_days"]["@@assign"] = json!(days);
        policy.to_string()
    };
    // The order of files does not matter.
    let (account, root) = (in_template(&at("7"), "['222222222222']"), in_template(&at("35"), "[r-abcd]"));
    for texts in [[&account, &root], [&root, &account]] {
        let found = said(&checked_at(&here(), &texts.map(String::as_str), 2, &[FREQUENCY], &[]));
        assert!(found.len() == 1 && found[0].contains("`P` (plan `gold` of AWS::Organizations::Policy)"), "{found:?}");
        assert!(found[0].contains("keeps for 7 days"), "{found:?}");
    }
}

#[test]
fn invalid_policy_is_a_finding_with_position() {
    let mut wrong = policy(&here_only(), &by_tag(&json!({"@@assign": ["daily"]})));
    wrong["plans"]["gold"]["regions"] = json!({"@@asign": ["eu-west-1"]});
    let found = with_files(&here(), &table(DAILY), &[wrong.clone()], &[COVERAGE]);
    assert!(found.iter().any(|text| text.contains("`@@asign` is not an operator; use `@@assign`")), "{found:?}");
    // It is rejected, so that nothing covers the table.
    assert!(found.iter().any(|text| text.starts_with("error 2: `T`")), "{found:?}");

    let found = said(&checked_at(&here(), &[&in_template("'{\"plans\": {'", "[r-abcd]")], 1, &[COVERAGE], &[]));
    assert!(found.iter().any(|text| text.starts_with("error 13: the backup policy is invalid: ")), "{found:?}");
    for (part, value, message) in [
        ("rules", json!([]), "`plans.gold.rules` is a list; write an object"),
        ("regions", json!(["eu-west-1"]), "the value of `plans.gold.regions` has no operator; write"),
        ("region", here_only(), "has the unknown setting `region`; did you mean `regions`?"),
        ("selections", json!({"tags": {}, "resources": {}}), "has both `tags` and `resources`"),
    ] {
        let mut wrong = policy(&here_only(), &by_tag(&json!({"@@assign": ["daily"]})));
        wrong["plans"]["gold"][part] = value;
        let found = with_files(&here(), &table(DAILY), &[wrong], &[COVERAGE]);
        assert!(found.iter().any(|text| text.contains(message)), "{message}: {found:?}");
    }
}

#[test]
fn policy_of_terraform_counts_as_a_plan() {
    let content = policy(&here_only(), &by_tag(&json!({"@@assign": ["daily"]}))).to_string();
    let change = |kind: &str, name: &str, after: &Value, unknown: &Value| {
        let change = json!({"actions": ["create"], "after": after, "after_unknown": unknown, "after_sensitive": {}});
        json!({"address": format!("{kind}.{name}"), "mode": "managed", "type": kind, "name": name, "change": change})
    };
    let report = |tags: &Value, target: &str| {
        let policy = json!({"name": "p", "type": "BACKUP_POLICY", "content": content});
        let changes = [
            change(
                "aws_dynamodb_table",
                "t",
                &json!({"name": "t", "tags": tags, "tags_all": tags}),
                &json!({"arn": true}),
            ),
            change("aws_organizations_policy", "p", &policy, &json!({"id": true})),
            change(
                "aws_organizations_policy_attachment",
                "a",
                &json!({"target_id": target}),
                &json!({"policy_id": true}),
            ),
        ];
        let expressions =
            json!({"policy_id": {"references": ["aws_organizations_policy.p.id", "aws_organizations_policy.p"]}});
        let block = json!({"address": "aws_organizations_policy_attachment.a", "mode": "managed", "name": "a",
                           "type": "aws_organizations_policy_attachment", "provider_config_key": "aws",
                           "expressions": expressions});
        let configuration = json!({"root_module": {"resources": [block]}});
        let plan = json!({"format_version": "1.2", "resource_changes": changes, "configuration": configuration});
        let plan = TerraformPlan::read("plan.json", &plan.to_string()).expect("a plan");
        let files = [CheckedFile::Terraform(&plan)];
        let mut inventory = Inventory::new(Timestamp::UNIX_EPOCH);
        let added = template::add(&mut inventory, &here(), &files);
        said(&check(&inventory, &added, &here(), &files, 1, &asked(&[COVERAGE]), &|_| None))
    };
    assert!(report(&json!({"backup": "daily"}), "r-abcd").is_empty());
    let found = report(&json!({}), "r-abcd");
    assert!(found.len() == 1 && found[0].ends_with("add `tags = { backup = \"daily\" }`"), "{found:?}");
    let found = report(&json!({"backup": "daily"}), "333333333333");
    assert!(found.len() == 1 && found[0].starts_with("error"), "{found:?}");
}
