//! The same estate as a CloudFormation template and as a Terraform plan has the same verdicts.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use evaluation::ControlQuery;
use evaluation::check::{CheckReport, check};
use evaluation::inventory::template::{CheckedFile, DeploymentTarget, TemplateStack, add};
use evaluation::inventory::terraform::TerraformPlan;
use evaluation::inventory::{Inventory, OPT_IN_SERVICES};
use framework::control::CONTROLS;
use framework::ids::{AccountId, RegionName};
use syntax::diagnostic::Diagnostic;
use syntax::template::Template;

use super::generated::{Dice, KEYS, VALUES};
use super::world::{ACCOUNT, REGION, as_of};

/// An estate in both forms.
#[derive(Default)]
struct Estate {
    template: Map<String, Value>,
    changes: Vec<Value>,
    blocks: Vec<Value>,
}

impl Estate {
    fn add(&mut self, id: &str, kind: &str, properties: &Value, (type_name, after, unknown): (&str, Value, Value)) {
        self.template.insert(id.to_owned(), json!({"Type": kind, "Properties": properties}));
        self.change(id, type_name, &after, &unknown, &json!({}));
    }

    fn change(&mut self, id: &str, kind: &str, after: &Value, unknown: &Value, expressions: &Value) {
        let change = json!({"actions": ["create"], "after": after, "after_unknown": unknown, "after_sensitive": {}});
        let address = format!("{kind}.{id}");
        self.changes.push(json!({"address": address, "mode": "managed", "type": kind, "name": id, "change": change}));
        self.blocks.push(json!({"address": address, "mode": "managed", "type": kind, "name": id,
                                "provider_config_key": "aws", "expressions": expressions}));
    }
}

fn tags(dice: &mut Dice) -> BTreeMap<&'static str, &'static str> {
    let mut own = BTreeMap::new();
    for key in KEYS {
        if dice.one_in(2) {
            own.insert(key, dice.pick(&VALUES));
        }
    }
    own
}

fn pairs(tags: &BTreeMap<&str, &str>) -> Value {
    tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

fn resource(estate: &mut Estate, dice: &mut Dice, number: usize) {
    let (id, name, own) = (format!("R{number}"), format!("r{number}"), tags(dice));
    let both = |type_name, mut after: Value| {
        after["tags"] = json!(own);
        after["tags_all"] = json!(own);
        (type_name, after, json!({"id": true, "arn": true}))
    };
    let own = pairs(&own);
    match dice.below(7) {
        0 => estate.add(
            &id,
            "AWS::DynamoDB::Table",
            &json!({"TableName": name, "Tags": own}),
            both("aws_dynamodb_table", json!({"name": name})),
        ),
        1 => estate.add(&id, "AWS::EC2::Volume", &json!({"Tags": own}), both("aws_ebs_volume", json!({}))),
        2 => estate.add(
            &id,
            "AWS::RDS::DBInstance",
            &json!({"DBInstanceIdentifier": name, "Engine": "postgres", "Tags": own}),
            both("aws_db_instance", json!({"identifier": name, "engine": "postgres"})),
        ),
        3 => {
            let engine = dice.pick(&["aurora-mysql", "neptune", "mysql"]);
            estate.add(
                &id,
                "AWS::RDS::DBCluster",
                &json!({"DBClusterIdentifier": name, "Engine": engine, "Tags": own}),
                both("aws_rds_cluster", json!({"cluster_identifier": name, "engine": engine})),
            );
        }
        4 => estate.add(
            &id,
            "AWS::S3::Bucket",
            &json!({"BucketName": name, "Tags": own}),
            both("aws_s3_bucket", json!({"bucket": name})),
        ),
        5 => estate.add(
            &id,
            "AWS::FSx::FileSystem",
            &json!({"FileSystemType": "ONTAP", "Tags": own}),
            both("aws_fsx_ontap_file_system", json!({})),
        ),
        _ => estate.add(
            &id,
            "AWS::EFS::FileSystem",
            &json!({"FileSystemTags": own}),
            both("aws_efs_file_system", json!({})),
        ),
    }
}

fn backup(estate: &mut Estate, dice: &mut Dice, number: usize) {
    let (plan, vault, name) = (format!("P{number}"), format!("V{number}"), format!("v{number}"));
    let days = dice.pick(&[0, 1, 7, 35, 100, 40_000]);
    let cold = dice.pick(&[0, 0, 1, 30]);
    let schedule = dice.pick(&["cron(0 5 * * ? *)", "cron(0 5 ? * SUN *)", "cron(0 5 1 1 ? 1990)", "every day"]);
    let continuous = dice.one_in(4);
    let (mut lifecycle, mut lock) = (Map::new(), Map::new());
    if days > 0 {
        lifecycle.insert("DeleteAfterDays".to_owned(), json!(days));
    }
    if cold > 0 {
        lifecycle.insert("MoveToColdStorageAfterDays".to_owned(), json!(cold));
    }
    let mut rule = json!({"RuleName": "r", "TargetBackupVault": {"Ref": vault}, "ScheduleExpression": schedule,
                          "EnableContinuousBackup": continuous});
    if !lifecycle.is_empty() {
        rule["Lifecycle"] = Value::Object(lifecycle);
    }
    let planned = json!({"rule_name": "r", "target_vault_name": name, "schedule": schedule, "copy_action": [],
                         "enable_continuous_backup": continuous, "start_window": 60, "completion_window": 180,
                         "lifecycle": [{"delete_after": days, "cold_storage_after": cold}]});
    let own = json!({"BackupPlan": {"BackupPlanName": plan, "BackupPlanRule": [rule]}});
    let unknown = json!({"id": true, "arn": true});
    estate.add(
        &plan,
        "AWS::Backup::BackupPlan",
        &own,
        ("aws_backup_plan", json!({"name": plan, "rule": [planned]}), unknown),
    );
    let mut properties = json!({"BackupVaultName": name});
    if dice.one_in(2) {
        let (min, max) = (dice.pick(&[1, 7, 40_000]), dice.pick(&[0, 5, 365]));
        lock.insert("MinRetentionDays".to_owned(), json!(min));
        if max > 0 {
            lock.insert("MaxRetentionDays".to_owned(), json!(max));
        }
        properties["LockConfiguration"] = Value::Object(lock);
        let after = json!({"backup_vault_name": name, "min_retention_days": min, "max_retention_days": max});
        estate.change(&vault, "aws_backup_vault_lock_configuration", &after, &json!({"id": true}), &json!({}));
    }
    estate.add(
        &vault,
        "AWS::Backup::BackupVault",
        &properties,
        ("aws_backup_vault", json!({"name": name}), json!({"id": true, "arn": true})),
    );
    selection(estate, dice, number, &plan);
}

fn selection(estate: &mut Estate, dice: &mut Dice, number: usize, plan: &str) {
    let id = format!("S{number}");
    let mut own = json!({"SelectionName": id, "IamRoleArn": "arn:aws:iam::111122223333:role/r"});
    let mut after = json!({"name": id, "resources": [], "selection_tag": [], "condition": [], "not_resources": []});
    const ARNS: [&str; 5] =
        ["*", "arn:aws:dynamodb:*:*:table/*", "arn:aws:ec2:*:*:volume/*", "arn:aws:rds:*:*:db:r1", "arn:aws:s3:::*"];
    if !dice.one_in(3) {
        let all = [dice.pick(&ARNS)];
        own["Resources"] = json!(all);
        after["resources"] = json!(all);
    }
    if dice.one_in(3) {
        let all = [dice.pick(&ARNS)];
        own["NotResources"] = json!(all);
        after["not_resources"] = json!(all);
    }
    if dice.one_in(2) {
        let (key, value) = (dice.pick(&KEYS), dice.pick(&VALUES));
        own["ListOfTags"] = json!([{"ConditionType": "STRINGEQUALS", "ConditionKey": key, "ConditionValue": value}]);
        after["selection_tag"] = json!([{"type": "STRINGEQUALS", "key": key, "value": value}]);
    }
    if dice.one_in(2) {
        let key = format!("aws:ResourceTag/{}", dice.pick(&KEYS));
        let value = dice.pick(&VALUES);
        let (operator, argument) = dice.pick(&[
            ("StringEquals", "string_equals"),
            ("StringNotEquals", "string_not_equals"),
            ("StringLike", "string_like"),
            ("StringNotLike", "string_not_like"),
        ]);
        own["Conditions"] = json!({operator: [{"ConditionKey": key, "ConditionValue": value}]});
        let mut block = json!({"string_equals": [], "string_not_equals": [], "string_like": [], "string_not_like": []});
        block[argument] = json!([{"key": key, "value": value}]);
        after["condition"] = json!([block]);
    }
    let properties = json!({"BackupPlanId": {"Ref": plan}, "BackupSelection": own});
    estate.template.insert(id.clone(), json!({"Type": "AWS::Backup::BackupSelection", "Properties": properties}));
    let address = format!("aws_backup_plan.{plan}");
    let expressions = json!({"plan_id": {"references": [format!("{address}.id"), address]}});
    estate.change(&id, "aws_backup_selection", &after, &json!({"plan_id": true, "id": true}), &expressions);
}

fn target(is_known: bool) -> DeploymentTarget {
    let account = AccountId::parse(ACCOUNT).ok().filter(|_| is_known);
    let region = RegionName::parse(REGION).ok().filter(|_| is_known);
    let mut target = DeploymentTarget::new(account, region).expect("a target");
    target.opt_in = OPT_IN_SERVICES.iter().map(|service| ((*service).to_owned(), true)).collect();
    target
}

fn report(file: &CheckedFile<'_>, is_known: bool) -> CheckReport {
    let mut inventory = Inventory::new(as_of());
    let files = [file.clone()];
    let added = add(&mut inventory, &target(is_known), &files);
    let asked: Vec<ControlQuery> = CONTROLS.iter().map(ControlQuery::everything).collect();
    check(&inventory, &added, &target(is_known), &files, 1, &asked, &|_| None)
}

/// The verdicts: rule, level and name of the resource. Rejections are of a lock in one form and of its vault in the other.
fn verdicts(report: &CheckReport) -> Vec<(String, String, String)> {
    let of = |message: &str| {
        let name = message.split('`').nth(1).unwrap_or_default();
        name.rsplit('.').next().unwrap_or_default().to_owned()
    };
    let is_control = |rule: &str| !rule.starts_with("BC");
    let mut all: Vec<_> = report
        .findings
        .iter()
        .map(|finding| {
            let rule = finding.diagnostic.rule.unwrap_or_default();
            let name = if is_control(rule) { of(&finding.diagnostic.message) } else { String::new() };
            (rule.to_owned(), finding.level.as_str().to_owned(), name)
        })
        .collect();
    all.sort();
    all
}

/// Properties that Terraform names differently.
const PROPERTIES: [&str; 12] = [
    "BackupPlanRule",
    "ConditionKey",
    "Conditions",
    "DeleteAfterDays",
    "EnableContinuousBackup",
    "Lifecycle",
    "ListOfTags",
    "MaxRetentionDays",
    "MinRetentionDays",
    "MoveToColdStorageAfterDays",
    "Resources",
    "ScheduleExpression",
];

proptest! {
    #[test]
    fn both_forms_of_an_estate_have_equal_verdicts(seed in any::<u64>(), is_known in any::<bool>()) {
        let mut dice = Dice(seed);
        let mut estate = Estate::default();
        (0..1 + dice.below(6)).for_each(|number| resource(&mut estate, &mut dice, number));
        (0..dice.below(3)).for_each(|number| backup(&mut estate, &mut dice, number));
        let Estate { template, changes, blocks } = estate;
        let text = serde_json::to_string_pretty(&json!({"Resources": template})).expect("JSON");
        let plan = json!({
            "format_version": "1.2", "terraform_version": "1.11.4", "resource_changes": changes,
            "configuration": {"provider_config": {"aws": {"name": "aws"}}, "root_module": {"resources": blocks}},
        });
        let template = Template::read_source("template.json", &text).expect("a template");
        let terraform = TerraformPlan::read("plan.json", &plan.to_string()).expect("a plan");
        let stack = TemplateStack::new(&template, BTreeMap::new());
        let one = report(&CheckedFile::Template(stack), is_known);
        let other = report(&CheckedFile::Terraform(&terraform), is_known);
        prop_assert_eq!(verdicts(&one), verdicts(&other), "{}\n{:#?}\n{:#?}", text, one.findings, other.findings);
        let rejected = other.findings.iter().filter(|found| found.diagnostic.rule.is_some_and(|rule| rule.starts_with("BC")));
        for Diagnostic { message, help, .. } in rejected.map(|found| &found.diagnostic) {
            let is_property = |name: &&str| message.contains(name) || help.contains(name);
            prop_assert_eq!(PROPERTIES.iter().find(|name| is_property(name)), None, "{}; {}", message, help);
        }
        let counts = |report: &CheckReport| report.rows.iter().map(|(control, own)| (control.name, *own)).collect::<BTreeMap<_, _>>();
        prop_assert_eq!(counts(&one), counts(&other));
    }
}
