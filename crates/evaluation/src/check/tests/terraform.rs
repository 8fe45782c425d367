//! Long because each case is a plan of Terraform with its expected findings.

use serde_json::{Value, json};

use super::*;
use crate::inventory::terraform::TerraformPlan;

const ESTATE: &str = include_str!("../../../tests/plans/estate.json");
const LOCKED: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK";

fn change(address: &str, after: &Value, unknown: &Value) -> Value {
    let (kind, name) = address.rsplit_once('.').unwrap_or_default();
    let (module, kind) = kind.rsplit_once('.').map_or((None, kind), |(module, kind)| (Some(module), kind));
    let name = name.split('[').next().unwrap_or_default();
    let change = json!({"actions": ["create"], "after": after, "after_unknown": unknown, "after_sensitive": {}});
    json!({"address": address, "module_address": module, "mode": "managed", "type": kind, "name": name, "change": change})
}

fn known(address: &str, after: &Value) -> Value {
    change(address, after, &json!({"id": true, "arn": true}))
}

fn table(tags: &Value) -> Value {
    known("aws_dynamodb_table.t", &json!({"name": "t", "tags": tags, "tags_all": tags}))
}

fn backup() -> Vec<Value> {
    let rule = json!({"rule_name": "daily", "target_vault_name": "main", "schedule": "cron(0 5 * * ? *)",
                      "lifecycle": [{"delete_after": 35, "cold_storage_after": null}], "copy_action": []});
    let tag = json!({"type": "STRINGEQUALS", "key": "backup", "value": "daily"});
    vec![
        known("aws_backup_plan.p", &json!({"name": "p", "rule": [rule]})),
        selection("aws_backup_selection.s", &json!({"name": "s", "selection_tag": [tag]})),
    ]
}

fn selection(address: &str, after: &Value) -> Value {
    change(address, after, &json!({"plan_id": true, "condition": true, "not_resources": true}))
}

/// A block of the configuration whose arguments are references.
fn block(address: &str, references: &[(&str, &[&str])]) -> Value {
    let (kind, name) = address.split_once('.').unwrap_or_default();
    let expressions: serde_json::Map<String, Value> =
        references.iter().map(|(key, all)| ((*key).to_owned(), json!({"references": all}))).collect();
    json!({"address": address, "mode": "managed", "type": kind, "name": name, "provider_config_key": "aws",
           "expressions": expressions})
}

const OF_PLAN: (&str, &[&str]) = ("plan_id", &["aws_backup_plan.p.id", "aws_backup_plan.p"]);

fn plan_of(changes: &[Value], blocks: &[Value]) -> Value {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let mut resources = BTreeMap::new();
    for change in changes.iter().filter(|change| change["module_address"].is_null()) {
        let address = format!("{}.{}", text(change, "type"), text(change, "name"));
        let references = if address == "aws_backup_selection.s" { &[OF_PLAN][..] } else { &[] };
        resources.insert(address.clone(), block(&address, references));
    }
    resources.extend(blocks.iter().map(|block| (text(block, "address"), block.clone())));
    let resources: Vec<Value> = resources.into_values().collect();
    let provider = json!({"name": "aws", "expressions": {"region": {"constant_value": "eu-west-1"}}});
    let configuration = json!({"provider_config": {"aws": provider}, "root_module": {"resources": resources}});
    json!({"format_version": "1.2", "resource_changes": changes, "configuration": configuration})
}

fn report(plan: &Value, controls: &[&str]) -> CheckReport {
    report_with(plan, controls, Vec::new())
}

fn report_with(plan: &Value, controls: &[&str], sources: Vec<(String, String)>) -> CheckReport {
    let plan = TerraformPlan::read("plan.json", &plan.to_string()).unwrap_or_else(|error| panic!("{error}"));
    let plan = plan.with_sources(sources);
    let files = [CheckedFile::Terraform(&plan)];
    let mut inventory = Inventory::new(Timestamp::UNIX_EPOCH);
    let added = template::add(&mut inventory, &anywhere(), &files);
    check(&inventory, &added, &anywhere(), &files, 1, &asked(controls), &|_| None)
}

fn coverage_of(changes: &[Value], blocks: &[Value]) -> Vec<String> {
    said(&report(&plan_of(changes, blocks), &[COVERAGE]))
}

fn with(mut changes: Vec<Value>, more: impl IntoIterator<Item = Value>) -> Vec<Value> {
    changes.extend(more);
    changes
}

#[test]
fn missing_tag_is_a_violation_until_it_is_there() {
    let found = report(&plan_of(&with(backup(), [table(&json!({}))]), &[]), &[COVERAGE]);
    let [finding] = found.findings.as_slice() else { panic!("{:?}", said(&found)) };
    let Diagnostic { file, at, message, help, address, edits, .. } = &finding.diagnostic;
    assert_eq!((file.as_str(), at.map(|at| at.line), edits.len()), ("plan.json", Some(1), 0));
    assert!(message.starts_with("`aws_dynamodb_table.t` (aws_dynamodb_table): "), "{message}");
    assert_eq!(help, "add `tags = { backup = \"daily\" }`");
    assert_eq!(address.as_deref(), Some("aws_dynamodb_table.t"));
    assert_eq!(coverage_of(&with(backup(), [table(&json!({"backup": "daily"}))]), &[]), [""; 0]);
}

#[test]
fn finding_is_at_the_block_in_the_source() {
    let plan = plan_of(&with(backup(), [table(&json!({}))]), &[]);
    let source = "# a comment\n\n  resource \"aws_dynamodb_table\" \"t\" {\n    name = \"t\"\n  }\n";
    let found = report_with(&plan, &[COVERAGE], vec![("main.tf".to_owned(), source.to_owned())]);
    let at = found.findings.first().map(|finding| (finding.diagnostic.file.as_str(), finding.diagnostic.at));
    assert_eq!(at, Some(("main.tf", Some(Position { line: 3, column: 3 }))));
}

#[test]
fn unknown_or_sensitive_tags_are_undecided() {
    let secret = {
        let mut change = table(&json!({"backup": "s3cret"}));
        change["change"]["after_sensitive"] = json!({"tags": {"backup": true}, "tags_all": {}});
        change
    };
    for own in [
        change("aws_dynamodb_table.t", &json!({"name": "t"}), &json!({"tags": true, "tags_all": true, "arn": true})),
        change("aws_dynamodb_table.t", &json!({"name": "t", "tags_all": {}}), &json!({"tags_all": {"backup": true}})),
        secret,
    ] {
        let found = coverage_of(&with(backup(), [own]), &[]);
        assert!(
            matches!(found.as_slice(), [one] if one.starts_with("warning ") && !one.contains("s3cret")),
            "{found:?}"
        );
    }
}

#[test]
fn open_tags_without_default_tags_are_those_written() {
    let own = |tags: Value| {
        change("aws_dynamodb_table.t", &json!({"name": "t", "tags": tags}), &json!({"tags_all": true, "arn": true}))
    };
    let blocks = [block("aws_dynamodb_table.t", &[])];
    let found = coverage_of(&with(backup(), [own(Value::Null)]), &blocks);
    assert!(matches!(found.as_slice(), [one] if one.starts_with("error ")), "{found:?}");
    assert_eq!(coverage_of(&with(backup(), [own(json!({"backup": "daily"}))]), &blocks), [""; 0]);
    let mut plan = plan_of(&with(backup(), [own(Value::Null)]), &blocks);
    plan["configuration"]["provider_config"]["aws"]["expressions"]["default_tags"] = json!([{}]);
    assert!(said(&report(&plan, &[COVERAGE])).iter().all(|one| one.starts_with("warning ")));
}

#[test]
fn deletions_are_not_judged_and_replacements_are() {
    for (actions, after, expected) in [
        (json!(["delete"]), Value::Null, 0),
        (json!(["forget"]), Value::Null, 0),
        (json!(["delete", "create"]), json!({"name": "t", "tags_all": {}}), 1),
        (
            json!(["no-op"]),
            json!({"name": "t", "tags_all": {}, "arn": "arn:aws:dynamodb:eu-west-1:222222222222:table/t"}),
            1,
        ),
    ] {
        let mut own = table(&json!({}));
        own["change"] = json!({"actions": actions, "after": after, "after_unknown": {}, "after_sensitive": {}});
        assert_eq!(coverage_of(&with(backup(), [own]), &[]).len(), expected, "{actions}");
    }
}

#[test]
fn incomplete_plan_is_undecided() {
    for (key, value) in
        [("complete", json!(false)), ("errored", json!(true)), ("deferred_changes", json!([{"reason": "x"}]))]
    {
        let mut plan = plan_of(&with(backup(), [table(&json!({}))]), &[]);
        plan[key] = value;
        let found = said(&report(&plan, &[COVERAGE]));
        assert!(
            found.len() == 2
                && found.iter().all(|one| one.starts_with("warning 1: unknown: ") || one.contains("unknown")),
            "{found:?}"
        );
    }
}

#[test]
fn selected_arns_follow_references() {
    let arns = |module: &str| {
        let address = format!("{module}aws_backup_selection.arns");
        change(&address, &json!({"name": "arns"}), &json!({"plan_id": true, "resources": true, "condition": true}))
    };
    let database = |address: &str| known(address, &json!({"engine": "postgres", "tags_all": {}}));
    let refs: (&str, &[&str]) = ("resources", &["aws_db_instance.x.arn", "aws_db_instance.x"]);
    let own = [block("aws_backup_selection.arns", &[OF_PLAN, refs])];
    assert_eq!(coverage_of(&with(backup(), [arns(""), database("aws_db_instance.x")]), &own), [""; 0]);
    // Two instances, of which the expression may mean either.
    let both = ["aws_db_instance.x[0]", "aws_db_instance.x[1]"].map(database);
    let found = coverage_of(&with(with(backup(), both), [arns("")]), &own);
    assert!(found.len() == 2 && found.iter().all(|one| one.starts_with("warning ")), "{found:?}");
    // The expression may choose.
    let refs: (&str, &[&str]) = ("resources", &["var.any", "aws_db_instance.x.arn", "aws_db_instance.x"]);
    let own = [block("aws_backup_selection.arns", &[OF_PLAN, refs])];
    let found = coverage_of(&with(backup(), [arns(""), database("aws_db_instance.x")]), &own);
    assert!(matches!(found.as_slice(), [one] if one.starts_with("warning ")), "{found:?}");
}

#[test]
fn references_pass_through_modules() {
    let database = known(r#"module.db["a"].aws_db_instance.x"#, &json!({"engine": "postgres", "tags_all": {}}));
    let other = known(r#"module.db["b"].aws_db_instance.x"#, &json!({"engine": "postgres", "tags_all": {}}));
    let of_module = change(
        "module.backup.aws_backup_selection.arns",
        &json!({"name": "arns"}),
        &json!({"plan_id": true, "resources": true, "condition": true}),
    );
    let mut plan = plan_of(&with(backup(), [of_module, database, other]), &[]);
    let arn: (&str, &[&str]) = ("resources", &["var.arns"]);
    let id: (&str, &[&str]) = ("plan_id", &["var.plan"]);
    plan["configuration"]["root_module"]["module_calls"] = json!({
        "backup": {
            "expressions": {
                "arns": {"references": ["module.db[\"a\"].arn", "module.db[\"a\"]"]},
                "plan": {"references": ["aws_backup_plan.p.id", "aws_backup_plan.p"]},
            },
            "module": {"resources": [block("aws_backup_selection.arns", &[arn, id])]},
        },
        "db": {"module": {
            "outputs": {"arn": {"expression": {"references": ["aws_db_instance.x.arn", "aws_db_instance.x"]}}},
            "resources": [block("aws_db_instance.x", &[])],
        }},
    });
    let found = report(&plan, &[COVERAGE]);
    let addresses: Vec<_> = found.findings.iter().map(|finding| finding.diagnostic.address.as_deref()).collect();
    // The plan does not contain literal members of the list.
    assert_eq!(addresses, [Some(r#"module.db["b"].aws_db_instance.x"#)], "{:?}", said(&found));
}

#[test]
fn rejected_plan_is_named_in_words_of_terraform() {
    let mut changes = with(backup(), [table(&json!({"backup": "daily"}))]);
    changes[0]["change"]["after"]["rule"][0]["lifecycle"] = json!([{"delete_after": 40_000}]);
    let found = report(&plan_of(&changes, &[]), &[COVERAGE]);
    let rules: Vec<_> = found.findings.iter().map(|finding| finding.diagnostic.rule).collect();
    assert_eq!(rules.len(), 2, "{:?}", said(&found));
    assert!(said(&found).iter().any(|one| {
        one.contains("`aws_backup_plan.p` (aws_backup_plan): `delete_after` is 40000;")
            && one.contains("`delete_after = 36500`")
    }));
    assert!(said(&found).iter().any(|one| one.contains("`aws_dynamodb_table.t`")));
}

#[test]
fn volumes_have_the_tags_of_their_argument() {
    let instance = |after: Value| {
        let unknown = json!({"id": true, "arn": true, "root_block_device": after.get("root_block_device").is_none()});
        let mut all = json!({"tags_all": {"backup": "daily"}, "tags": {"backup": "daily"}});
        all.as_object_mut().into_iter().for_each(|own| own.extend(after.as_object().cloned().unwrap_or_default()));
        coverage_of(&with(backup(), [change("aws_instance.i", &all, &unknown)]), &[])
    };
    assert_eq!(instance(json!({"volume_tags": {"backup": "daily"}})), [""; 0]);
    assert_eq!(instance(json!({"root_block_device": [{"tags": {"backup": "daily"}}]})), [""; 0]);
    let found = instance(json!({}));
    assert!(
        matches!(found.as_slice(), [one] if one.contains("add `volume_tags = { backup = \"daily\" }`")),
        "{found:?}"
    );
    let found =
        instance(json!({"root_block_device": [{"tags": {"backup": "daily"}}], "ebs_block_device": [{"tags": {}}]}));
    assert!(matches!(found.as_slice(), [one] if one.contains("in `ebs_block_device`")), "{found:?}");
}

#[test]
fn lock_of_its_own_resource_locks_the_vault() {
    let vault = known("aws_backup_vault.main", &json!({"name": "main"}));
    let lock = |days: i64| {
        let after = json!({"backup_vault_name": "main", "min_retention_days": days, "max_retention_days": 0});
        known("aws_backup_vault_lock_configuration.main", &after)
    };
    let of = |more: Vec<Value>| {
        let changes = with(with(backup(), [table(&json!({"backup": "daily"})), vault.clone()]), more);
        said(&report(&plan_of(&changes, &[]), &[LOCKED]))
    };
    assert_eq!(of(vec![lock(7)]), [""; 0]);
    assert!(matches!(of(Vec::new()).as_slice(), [one] if one.starts_with("error ")), "{:?}", of(Vec::new()));
    let rejected = of(vec![lock(40_000)]);
    assert!(rejected.iter().any(|one| one.contains("`min_retention_days` is 40000")), "{rejected:?}");
}

#[test]
fn region_settings_decide_the_opt_in() {
    let settings =
        |on: bool| known("aws_backup_region_settings.s", &json!({"resource_type_opt_in_preference": {"DynamoDB": on}}));
    let own = table(&json!({"backup": "daily"}));
    assert_eq!(coverage_of(&with(backup(), [own.clone(), settings(true)]), &[]), [""; 0]);
    assert_eq!(coverage_of(&with(backup(), [own, settings(false)]), &[]).len(), 1);
}

#[test]
fn unknown_region_of_a_plan_is_undecided() {
    let mut plan = plan_of(&with(backup(), [table(&json!({}))]), &[block("aws_dynamodb_table.t", &[])]);
    let resources = plan["configuration"]["root_module"]["resources"].as_array_mut().expect("resources");
    for block in resources.iter_mut().filter(|block| block["type"] == "aws_backup_plan") {
        block["provider_config_key"] = json!("aws.other");
    }
    let found = said(&report(&plan, &[COVERAGE]));
    assert!(matches!(found.as_slice(), [one] if one.starts_with("warning ") && one.contains("--region")), "{found:?}");
}

#[test]
fn plan_covers_its_region_only() {
    let mut own = table(&json!({"backup": "daily"}));
    own["change"]["after"]["region"] = json!("eu-central-1");
    let found = coverage_of(&with(backup(), [own]), &[]);
    assert!(matches!(found.as_slice(), [one] if one.starts_with("error ")), "{found:?}");
}

#[test]
fn recorded_plan_is_judged_without_secrets() {
    let plan: Value = serde_json::from_str(ESTATE).unwrap_or_default();
    let found = report(&plan, &[COVERAGE]);
    let said = said(&found);
    assert!(said.iter().all(|one| !one.contains("hunter2")), "{said:?}");
    let of = |level: &str| -> Vec<&str> {
        let of_level = found.findings.iter().filter(|finding| finding.level.as_str() == level);
        of_level.filter_map(|finding| finding.diagnostic.address.as_deref()).collect()
    };
    // Its service is disabled in the settings of the plan; what others depend on are expressions of the selections by ARN.
    assert_eq!(of("error"), ["aws_fsx_lustre_file_system.l"], "{said:#?}");
    assert!(of("warning").contains(&"aws_s3_bucket.b[0]"), "{said:#?}");
    assert_eq!(found.not_judged.iter().map(|own| own.kind.as_str()).collect::<Vec<_>>(), ["aws_dynamodb_table"]);
    assert!(!said.iter().any(|one| one.contains("`aws_dynamodb_table.t`")), "{said:#?}");
}
