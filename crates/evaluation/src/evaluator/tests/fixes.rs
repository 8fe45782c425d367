//! Reasons and fixes for resources of inventory documents.

use serde_json::{Value, json};

use framework::control::find;

use super::*;

const ACCOUNT: &str = "222222222222";
const REGION: &str = "eu-west-1";
const COVERAGE: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN";
const RESTORE: &str = "RESTORE_TIME_FOR_RESOURCES_MEET_TARGET";
const AIR_GAPPED: &str = "RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT";

fn resource(kind: &str, arn: &str, tags: Value) -> Value {
    let arn = format!("arn:aws:{arn}").replace("::", &format!(":{REGION}:{ACCOUNT}:"));
    json!({"arn": arn, "account": ACCOUNT, "region": REGION, "type": kind, "tags": tags})
}

fn table(tags: Value) -> Value {
    resource("AWS::DynamoDB::Table", "dynamodb::table/t", tags)
}

fn file_system(tags: Value) -> Value {
    resource("AWS::EFS::FileSystem", "elasticfilesystem::file-system/fs-1", tags)
}

fn plan(id: &str, tags: Value, selections: Value) -> Value {
    json!({"id": id, "name": id, "account": ACCOUNT, "region": REGION, "tags": tags, "selections": selections})
}

fn document(resources: Value, plans: Value) -> Inventory {
    let on: BTreeMap<&str, bool> =
        crate::inventory::OPT_IN_SERVICES.into_iter().map(|service| (service, true)).collect();
    let text = json!({
        "version": 1, "asOf": "2026-11-01T00:00:00Z", "resources": resources, "plans": plans,
        "locations": [{"account": ACCOUNT, "region": REGION, "optIn": on}],
    });
    Inventory::read("inventory.json", &text.to_string()).unwrap_or_else(|diagnostic| panic!("{diagnostic}"))
}

fn query(control: &str, parameters: &[(&str, &str)]) -> ControlQuery {
    let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ControlQuery { parameters, ..ControlQuery::everything(find(control).expect("a control")) }
}

/// Returns the results as `WORD: reason`.
fn results(inventory: &Inventory, query: ControlQuery) -> Vec<String> {
    let mut found = Vec::new();
    Evaluator::new(inventory, &[query]).each(|own| found.push(format!("{}: {}", own.result.word(), own.result)));
    found
}

/// Returns reason and fix of the only resource, which no plan selects. A notice has the same fix.
fn uncovered(resource: Value, plans: Value) -> (String, String) {
    let (of_notice, plans_of_notice) = (json!(resource), json!(plans));
    let inventory = document(json!([resource]), plans);
    let query = [query(COVERAGE, &[])];
    let mut found = Vec::new();
    Evaluator::new(&inventory, &query).each(|own| match &own.result {
        ComplianceResult::NotCompliant(NonComplianceReason::NotSelected(reason)) => {
            found.push((reason.to_string(), reason.fix().unwrap_or_default()));
        }
        other => panic!("{other}"),
    });
    let (reason, fix) = found.pop().expect("a result");
    let plans: Vec<Plan> = serde_json::from_value(plans_of_notice).expect("plans");
    let options = remediation::options(&plans, serde_json::from_value(of_notice).expect("a resource"));
    let expected = (!fix.is_empty()).then(|| remediation::sentence(format!("{fix}.")));
    assert_eq!(options.expect("options"), Vec::from_iter(expected));
    (reason, fix)
}

/// The effect of a tag on the selection `s` of a plan.
fn tagging(tag: &str, plan: &str) -> String {
    format!("tag it {tag}: then the selection `s` of the plan `{plan}` selects it")
}

fn tagged(key: &str, value: &str) -> Value {
    json!([{"name": "s", "listOfTags": [{"key": key, "value": value}]}])
}

fn conditional(conditions: Value) -> Value {
    json!([{"name": "s", "resources": ["*"], "conditions": conditions}])
}

#[test]
fn selected_resource_gets_no_advice() {
    let named = json!([{"name": "s", "resources": ["arn:aws:dynamodb:*:*:table/t"]}]);
    let plans = json!([plan("p", json!({}), named), plan("q", json!({}), json!([]))]);
    let plans: Vec<Plan> = serde_json::from_value(plans).expect("plans");
    let options = |plans: &[Plan]| {
        remediation::options(plans, serde_json::from_value(table(json!({}))).expect("a resource")).expect("options")
    };
    assert_eq!(options(&plans), Vec::<String>::new());
    assert_eq!(options(&plans[1..]), ["Add a selection to the plan `q`."]);
}

#[test]
fn plan_of_a_service_is_not_changed() {
    let listed = json!([{"name": "s", "resources": ["arn:aws:dynamodb:*:*:table/other"]}]);
    for (id, tags, can_change) in [
        ("aws/efs/73d922fb-9312-3a70-99c3-e69367f9fdad", json!({}), false),
        ("orgs/544033d1-b19c-3f2a-9c20-40bcfa82ca68", json!({}), false),
        ("p", json!({"aws-control-tower": "managed-by-control-tower"}), false),
        ("p", json!({}), true),
    ] {
        let (_, fix) = uncovered(table(json!({})), json!([plan(id, tags.clone(), listed.clone())]));
        assert_eq!(fix.starts_with("add `arn:"), can_change, "{id}: {fix}");
        // A tag is no change of the plan.
        let (_, fix) = uncovered(table(json!({})), json!([plan(id, tags, tagged("backup", "daily"))]));
        assert_eq!(fix, tagging("`backup` = `daily`", id));
    }
}

#[test]
fn automatic_backups_are_turned_on_for_efs_only() {
    let automatic = json!([plan("aws/efs/1", json!({}), tagged("aws:elasticfilesystem:default-backup", "enabled"))]);
    let expected =
        "turn automatic backups on (PutBackupPolicy): then the selection `s` of the plan `aws/efs/1` selects it";
    assert_eq!(uncovered(file_system(json!({})), automatic.clone()).1, expected);
    assert_eq!(uncovered(table(json!({})), automatic.clone()).1, "add it to another selection of a backup plan");
    let both = json!([automatic[0], plan("p", json!({}), tagged("backup", "daily"))]);
    assert_eq!(uncovered(table(json!({})), both).1, tagging("`backup` = `daily`", "p"));
}

#[test]
fn excluding_pattern_is_named_in_the_fix() {
    let excluding = json!([{"name": "s", "resources": ["*"], "notResources": ["arn:aws:dynamodb:*:*:table/*"]}]);
    let (reason, fix) = uncovered(table(json!({})), json!([plan("p", json!({}), excluding.clone())]));
    assert!(reason.ends_with("`arn:aws:dynamodb:*:*:table/*` excludes it"), "{reason}");
    let expected = "take `arn:aws:dynamodb:*:*:table/*` out of NotResources of the selection `s` of the plan `p`, or use another selection";
    assert_eq!(fix, expected);
    let managed = plan("orgs/1", json!({}), excluding.clone());
    assert_eq!(uncovered(table(json!({})), json!([managed])).1, "add it to another selection of a backup plan");
    // Another selection is the smaller change.
    let both = json!([plan("p", json!({}), excluding), plan("q", json!({}), tagged("backup", "daily"))]);
    assert_eq!(uncovered(table(json!({})), both).1, tagging("`backup` = `daily`", "q"));
}

#[test]
fn plan_without_selections_is_named() {
    let (reason, fix) = uncovered(table(json!({})), json!([plan("gold", json!({}), json!([]))]));
    assert_eq!(reason, "no plan selects it; the plan `gold` has no selections");
    assert_eq!(fix, "add a selection to the plan `gold`");
    let (reason, fix) = uncovered(table(json!({})), json!([]));
    assert_eq!((reason.as_str(), fix.as_str()), ("no plan selects it; its account and Region have none", ""));
    let (reason, _) = uncovered(table(json!({})), json!([plan("orgs/1", json!({}), json!([]))]));
    assert_eq!(reason, "no plan selects it; its account and Region have none");
}

#[test]
fn full_selection_gets_no_further_arn() {
    for (count, pattern, has_room) in [
        (29, "arn:aws:s3:::a", true),
        (30, "arn:aws:s3:::a", true),
        (499, "arn:aws:s3:::a", true),
        (500, "arn:aws:s3:::a", false),
        (29, "arn:aws:s3:::*", true),
        (30, "arn:aws:s3:::*", false),
    ] {
        let resources: Vec<String> = (0..count).map(|number| format!("{pattern}{number}")).collect();
        let selections = json!([{"name": "s", "resources": resources}]);
        let (_, fix) = uncovered(table(json!({})), json!([plan("p", json!({}), selections)]));
        assert_eq!(fix.starts_with("add `arn:"), has_room, "{count} {pattern}: {fix}");
    }
}

#[test]
fn keys_are_case_sensitive() {
    let equals = conditional(json!({"stringEquals": [{"key": "aws:ResourceTag/backup", "value": "daily"}]}));
    let (reason, fix) = uncovered(table(json!({"Backup": "daily"})), json!([plan("p", json!({}), equals.clone())]));
    assert!(reason.ends_with("does not hold (it has `Backup`; keys are case-sensitive)"), "{reason}");
    assert_eq!(fix, tagging("`backup` = `daily` (it has `Backup`; keys are case-sensitive)", "p"));
    let (_, fix) = uncovered(table(json!({"BACKUP": "x"})), json!([plan("p", json!({}), tagged("backup", "daily"))]));
    assert_eq!(fix, tagging("`backup` = `daily` (it has `BACKUP`; keys are case-sensitive)", "p"));
    let (_, fix) = uncovered(table(json!({"Backup": "x", "backup": "y"})), json!([plan("p", json!({}), equals)]));
    assert_eq!(fix, tagging("`backup` = `daily` (currently `y`)", "p"));
}

#[test]
fn star_in_a_listed_value_is_itself() {
    let (reason, fix) =
        uncovered(table(json!({"backup": "daily"})), json!([plan("p", json!({}), tagged("backup", "*"))]));
    let expected = "the `*` in `backup` = `*` of ListOfTags is itself (StringLike in Conditions takes patterns)";
    assert!(reason.ends_with(expected), "{reason}");
    assert!(!fix.contains("tag it"), "{fix}");
    let (reason, _) =
        uncovered(table(json!({"backup": "daily"})), json!([plan("p", json!({}), tagged("backup", "w*"))]));
    assert!(!reason.contains("ListOfTags"), "{reason}");
}

#[test]
fn contradicting_conditions_have_no_fix() {
    let condition = |value: &str| json!({"key": "aws:ResourceTag/stage", "value": value});
    for conditions in [
        json!({"stringEquals": [condition("a"), condition("b")]}),
        json!({"stringEquals": [condition("a")], "stringNotEquals": [condition("a")]}),
        json!({"stringLike": [condition("a*"), condition("b*")]}),
        json!({"stringEquals": [condition("a")], "stringNotLike": [condition("*")]}),
    ] {
        for stage in [json!({}), json!({"stage": "a"})] {
            let (reason, fix) = uncovered(table(stage), json!([plan("p", json!({}), conditional(conditions.clone()))]));
            assert!(reason.contains("its conditions on `stage` can never hold together"), "{reason}");
            assert_eq!(fix, "add it to another selection of a backup plan");
        }
    }
}

#[test]
fn types_without_rule_are_not_judged() {
    let all = json!([
        table(json!({})),
        file_system(json!({})),
        resource("AWS::RDS::DBInstance", "rds::db:d", json!({})),
        resource("AWS::BackupGateway::VirtualMachine", "backup-gateway::vm/v", json!({})),
        resource("AWS::StorageGateway::Volume", "storagegateway::gateway/g/volume/v", json!({})),
    ]);
    let inventory = document(all, json!([]));
    for (control, judged, others) in [
        (COVERAGE, 5, vec![]),
        (RESTORE, 3, vec!["AWS::BackupGateway::VirtualMachine", "AWS::StorageGateway::Volume"]),
        (AIR_GAPPED, 3, vec!["AWS::DynamoDB::Table", "AWS::RDS::DBInstance"]),
    ] {
        let query = query(control, &[("maxRestoreTime", "60")]);
        let queries = [query.clone()];
        let mut types = Vec::new();
        Evaluator::new(&inventory, &queries).each_without_rule(|_, resource| types.push(inventory.kind(resource)));
        types.sort_unstable();
        assert_eq!((results(&inventory, query).len(), types), (judged, others), "{control}");
    }
    let scoped =
        ControlQuery { scope: QueryScope::Types(vec!["AWS::DynamoDB::Table".to_owned()]), ..query(AIR_GAPPED, &[]) };
    let (found, mut count) = ([scoped], 0);
    Evaluator::new(&inventory, &found).each_without_rule(|_, _| count += 1);
    assert_eq!(count, 1);
}

#[test]
fn unread_restores_leave_listed_ones_undecided() {
    let mut inventory = document(json!([table(json!({}))]), json!([]));
    let resource = inventory.resources[0].arn().to_owned();
    inventory.restores.push(Restore { resource, completed: inventory.as_of(), minutes: 5 });
    let judged = |inventory: &Inventory| results(inventory, query(RESTORE, &[("maxRestoreTime", "60")])).remove(0);
    assert!(judged(&inventory).starts_with("COMPLIANT"), "{}", judged(&inventory));
    let record = inventory.locations[0].record.as_mut().expect("a location");
    record
        .unread
        .push(crate::inventory::document::Unread { part: LocationPart::Restores, reason: "denied".to_owned() });
    assert!(judged(&inventory).starts_with("UNDECIDED"), "{}", judged(&inventory));
}

#[test]
fn latest_restore_overrides_the_list_of_restores() {
    let mut own = table(json!({}));
    own["latestRestoreMinutes"] = json!(90);
    let mut inventory = document(json!([own]), json!([]));
    inventory.restores.push(Restore {
        resource: inventory.resources[0].arn().to_owned(),
        completed: inventory.as_of(),
        minutes: 5,
    });
    for (most, expected) in [
        ("60", "NON_COMPLIANT: its last restore took 90 minutes; the maximum is 60"),
        ("90", "COMPLIANT: its last restore took 90 minutes"),
    ] {
        assert_eq!(results(&inventory, query(RESTORE, &[("maxRestoreTime", most)])), [expected]);
    }
}

#[test]
fn aws_managed_keys_prevent_air_gapped_copies() {
    for (kind, arn, managed, expected) in [
        ("AWS::EC2::Volume", "ec2::volume/vol-1", json!(true), true),
        ("AWS::EC2::Volume", "ec2::volume/vol-1", json!(false), false),
        ("AWS::EC2::Volume", "ec2::volume/vol-1", json!(null), false),
        ("AWS::EFS::FileSystem", "elasticfilesystem::file-system/fs-1", json!(true), false),
    ] {
        let mut own = resource(kind, arn, json!({}));
        own["awsManagedKey"] = managed.clone();
        let found = results(&document(json!([own]), json!([])), query(AIR_GAPPED, &[]));
        assert!(found[0].starts_with("NON_COMPLIANT"), "{found:?}");
        assert_eq!(found[0].contains("AWS managed key"), expected, "{kind} {managed}: {found:?}");
    }
}

#[test]
fn documents_of_earlier_builds_are_read() {
    let text = |keys: &str| format!(r#"{{"version":1,"asOf":"2026-11-01T00:00:00Z",{keys}}}"#);
    let own = r#"[{"account":"222222222222","region":"eu-west-1"}]"#;
    let read = Inventory::read("i.json", &text(&format!(r#""places":{own}"#))).expect("an inventory");
    assert_eq!(read.locations().count(), 1);
    let both = Inventory::read("i.json", &text(&format!(r#""places":{own},"locations":{own}"#)));
    assert!(both.unwrap_err().to_string().contains("duplicate key"), "one name only");
}
