//! Long because each case is a template with its expected findings.

use std::collections::BTreeMap;

use jiff::Timestamp;

use framework::control::CONTROLS;
use framework::ids::{AccountId, RegionName};
use syntax::diagnostic::apply;
use syntax::template::Template;

use super::*;
use crate::inventory::template::TemplateStack;
use crate::inventory::{OPT_IN_SERVICES, document, template};

mod judged;
mod organization;
mod rejected;
mod terraform;

const COVERAGE: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN";

fn asked(names: &[&str]) -> Vec<ControlQuery> {
    let of = |name: &&str| CONTROLS.iter().find(|control| control.name == *name).map(ControlQuery::everything);
    names.iter().filter_map(of).collect()
}

fn anywhere() -> DeploymentTarget {
    let mut target = DeploymentTarget::new(None, None).expect("a target");
    target.opt_in = OPT_IN_SERVICES.iter().map(|service| ((*service).to_owned(), true)).collect();
    target
}

fn here() -> DeploymentTarget {
    let (account, region) = (AccountId::parse("222222222222"), RegionName::parse("eu-west-1"));
    let mut target = DeploymentTarget::new(account.ok(), region.ok()).expect("a target");
    target.opt_in = anywhere().opt_in;
    target
}

fn checked_at(
    target: &DeploymentTarget,
    texts: &[&str],
    judged: usize,
    controls: &[&str],
    given: &[(&str, &str)],
) -> CheckReport {
    let mut inventory = Inventory::new(Timestamp::UNIX_EPOCH);
    checked_on(&mut inventory, target, texts, judged, controls, given)
}

fn checked_on(
    inventory: &mut Inventory,
    target: &DeploymentTarget,
    texts: &[&str],
    judged: usize,
    controls: &[&str],
    given: &[(&str, &str)],
) -> CheckReport {
    let templates: Vec<Template> = texts
        .iter()
        .enumerate()
        .map(|(number, text)| Template::read_source(&format!("{number}.yaml"), text).expect("a template"))
        .collect();
    let parameters: BTreeMap<String, String> =
        given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let stacks: Vec<CheckedFile<'_>> = templates
        .iter()
        .map(|template| CheckedFile::Template(TemplateStack::new(template, parameters.clone())))
        .collect();
    let added = template::add(inventory, target, &stacks);
    check(inventory, &added, target, &stacks, judged, &asked(controls), &|_| None)
}

/// Findings as `level line: problem; fix`.
fn said(checked: &CheckReport) -> Vec<String> {
    let of = |finding: &CheckFinding| {
        let Diagnostic { at, message: problem, help: fix, .. } = &finding.diagnostic;
        format!("{} {}: {problem}; {fix}", finding.level.as_str(), at.map_or(0, |at| at.line))
    };
    checked.findings.iter().map(of).collect()
}

fn coverage(text: &str) -> Vec<String> {
    said(&checked_at(&anywhere(), &[text], 1, &[COVERAGE], &[]))
}

fn with_plan(resources: &str, selection: &str) -> String {
    format!(
        "Parameters: {{ Any: {{ Type: String }}, Stage: {{ Type: String, Default: prod }} }}\nConditions:\n  IsOn: !Equals [!Ref Stage, prod]\n  \
         IsOff: !Equals [!Ref Stage, test]\n  Open: !Equals [!Ref Any, x]\nResources:\n{resources}  Plan:\n    Type: AWS::Backup::BackupPlan\n    \
         Properties: {{ BackupPlan: {{ BackupPlanName: daily, BackupPlanRule: [{{ RuleName: r, TargetBackupVault: v }}] }} }}\n  \
         Sel:\n    Type: AWS::Backup::BackupSelection\n    Properties:\n      BackupPlanId: !Ref Plan\n      BackupSelection:\n        \
         SelectionName: s\n{selection}"
    )
}

const BY_TAG: &str =
    "        ListOfTags: [{ ConditionType: STRINGEQUALS, ConditionKey: backup, ConditionValue: daily }]\n";

const TABLE: &str = "  T:\n    Type: AWS::DynamoDB::Table\n    Properties:\n      BillingMode: PAY_PER_REQUEST\n";

#[test]
fn missing_tag_is_found_and_the_edit_fixes_it() {
    let tags = |tags: &str| format!("{TABLE}{tags}");
    for (resource, line) in [
        (tags(""), ", with the property `Tags`"),
        (tags("      Tags:\n        - Key: a\n          Value: b\n"), ", under `Tags` in line 11"),
        (tags("      Tags:\n      - Value: b\n        Key: a\n"), ", under `Tags` in line 11"),
        (tags("      Tags:\n        - { Key: a, Value: b }\n"), ", under `Tags` in line 11"),
        (tags("      Tags: [{ Key: a, Value: b }, { Key: c, Value: d }]\n"), ", under `Tags` in line 11"),
        ("  T: { Type: AWS::S3::Bucket, Properties: { Tags: [ { Key: a, Value: b } ] } }\n".to_owned(), "line 7"),
        ("  T: { Type: AWS::S3::Bucket, Properties: { BucketName: b } }\n".to_owned(), ", with the property `Tags`"),
        (
            "  T:\n    Type: AWS::EFS::FileSystem\n    Properties:\n      Encrypted: true\n".to_owned(),
            ", with the property `FileSystemTags`",
        ),
        (
            "  T:\n    Type: AWS::Serverless::SimpleTable\n    Properties:\n      Tags:\n        a: b\n".to_owned(),
            ", under `Tags` in line 10",
        ),
        (tags("      Tags: []\n"), ", under `Tags` in line 11"),
        ("  T:\n    Type: AWS::Serverless::SimpleTable\n    Properties: { Tags: {} }\n".to_owned(), "line 9"),
        ("  T:\n    Type: AWS::S3::Bucket\n    Properties: {}\n".to_owned(), ", with the property `Tags`"),
        ("  T:\n    Type: AWS::S3::Bucket\n".to_owned(), ", with the property `Tags`"),
        (
            "  T:\n    Type: AWS::S3::Bucket # kept\n    DeletionPolicy: Retain\n".to_owned(),
            ", with the property `Tags`",
        ),
        ("  T:\n    DeletionPolicy: Retain\n    Type: 'AWS::Serverless::SimpleTable'\n".to_owned(), "property `Tags`"),
        ("  T: { Type: AWS::S3::Bucket }\n".to_owned(), ", with the property `Tags`"),
    ] {
        for line_end in ["\n", "\r\n"] {
            let text = with_plan(&resource, BY_TAG).replace('\n', line_end);
            let checked = checked_at(&anywhere(), &[&text], 1, &[COVERAGE], &[]);
            let [finding] = checked.findings.as_slice() else { panic!("{resource}: {:?}", said(&checked)) };
            assert_eq!((finding.level, finding.diagnostic.rule), (Level::Error, Some(COVERAGE)));
            let fix = &finding.diagnostic.help;
            assert!(fix.starts_with("tag it `backup` = `daily`") && fix.ends_with(line), "{resource}: {fix}");
            assert_eq!(finding.diagnostic.edits.len(), 1, "{resource}");
            let (fixed, made) = apply(&text, [finding.diagnostic.edits.as_slice()]);
            assert_eq!(made, 1);
            let after = said(&checked_at(&anywhere(), &[&fixed], 1, &[COVERAGE], &[]));
            assert!(after.is_empty(), "{fixed}\n{after:?}");
            assert_eq!(fixed.matches('\r').count(), if line_end == "\n" { 0 } else { fixed.matches('\n').count() });
        }
    }
}

#[test]
fn other_value_of_a_tag_is_shown_and_kept() {
    for tags in [
        "[{ Key: backup, Value: weekly }]",
        "[{ Key: backup, Value: 'weekly' }]",
        "[{ Key: backup, Value: !Sub 'weekly' }]",
        "!If [IsOn, [{ Key: backup, Value: weekly }], []]",
        "[{ Key: a, Value: b }, { Key: backup, Value: weekly }]",
        // The last one counts, and it is not literal.
        "[{ Key: backup, Value: daily }, !If [IsOn, { Key: backup, Value: weekly }, { Key: a, Value: b }]]",
        "[{ Key: backup, Value: weekly }, !If [IsOn, { Key: a, Value: b }, { Key: c, Value: d }]]",
    ] {
        let text = with_plan(&format!("{TABLE}      Tags: {tags}\n"), BY_TAG);
        let checked = checked_at(&anywhere(), &[&text], 1, &[COVERAGE], &[]);
        let [finding] = checked.findings.as_slice() else { panic!("{tags}: {:?}", said(&checked)) };
        let help = &finding.diagnostic.help;
        assert!(help.starts_with("tag it `backup` = `daily` (currently `weekly`)"), "{tags}: {help}");
        assert_eq!((finding.level, finding.diagnostic.edits.len()), (Level::Error, 0), "{tags}");
    }
}

#[test]
fn edited_json_remains_json() {
    let plan = with_plan("", BY_TAG);
    for rest in [
        "",
        ",\n      \"Properties\": {}",
        ",\n      \"Properties\": {\n        \"BucketName\": \"b\"\n      }",
        ",\n      \"Properties\": {\n        \"Tags\": []\n      }",
        ",\n      \"Properties\": {\n        \"Tags\": [\n          { \"Key\": \"a\", \"Value\": \"b\" }\n        ]\n      }",
    ] {
        let app = format!(
            "{{\n  \"Resources\": {{\n    \"T\": {{\n      \"Type\": \"AWS::S3::Bucket\"{rest}\n    }}\n  }}\n}}\n"
        );
        let checked = checked_at(&anywhere(), &[&app, &plan], 1, &[COVERAGE], &[]);
        let (fixed, made) = apply(&app, [checked.findings[0].diagnostic.edits.as_slice()]);
        assert_eq!(made, 1, "{app}");
        assert!(serde_json::from_str::<serde_json::Value>(&fixed).is_ok(), "{fixed}");
        assert!(checked_at(&anywhere(), &[&fixed, &plan], 1, &[COVERAGE], &[]).findings.is_empty(), "{fixed}");
    }
}

// Long because it is one table of templates.
#[test]
fn deployment_facts_are_undecided_and_named() {
    let tagged = |rest: &str| format!("{TABLE}      Tags: [{{ Key: backup, Value: daily }}]\n{rest}");
    let untagged = |rest: &str| format!("{TABLE}{rest}");
    let cases: &[(&str, String, &str)] = &[
        (
            "a value that is not known",
            untagged("      Tags: [{ Key: backup, Value: !Ref Any }]\n"),
            "the value of its tag `backup`",
        ),
        (
            "a tag that is not known",
            untagged("      Tags: [!If [Open, { Key: backup, Value: daily }, !Ref AWS::NoValue]]\n"),
            "its tags",
        ),
        ("tags that are not known", untagged("      Tags: !Ref Any\n"), "its tags"),
        ("a macro in it", untagged("      Fn::Transform: { Name: AWS::Include }\n"), "its tags"),
        (
            "a condition that is open",
            untagged("    Condition: Open\n"),
            "whether it exists, which its condition `Open` decides",
        ),
    ];
    for (what, resource, expected) in cases {
        let all = coverage(&with_plan(resource, BY_TAG));
        assert!(
            all.iter().any(
                |one| one.starts_with("warning 7: `T` (AWS::DynamoDB::Table): unknown: ") && one.contains(expected)
            ),
            "{what}: {all:?}"
        );
        assert!(all.iter().all(|one| one.starts_with("warning ")), "{what}: {all:?}");
    }
    assert!(coverage(&with_plan(&untagged("    Condition: IsOff\n"), BY_TAG)).is_empty(), "it is not there");
    assert!(coverage(&with_plan(&tagged("    Condition: Open\n"), BY_TAG)).is_empty(), "if it is there it is in");

    // Selections and plans that may not exist, or are unknown.
    let open = BY_TAG.replace("        ListOfTags", "        Conditions: !Ref Any\n        ListOfTags");
    for (what, text, expected) in [
        ("conditions", with_plan(&tagged(""), &open), "Conditions of the selection `s` of the plan `daily`"),
        ("the selection", with_plan(&tagged(""), &format!("{BY_TAG}    Condition: Open\n")), "the selection `s`"),
        (
            "the plan",
            with_plan(&tagged(""), BY_TAG).replace("BackupPlan\n", "BackupPlan\n    Condition: Open\n"),
            "the selection `s`",
        ),
        (
            "a loop",
            format!("{}  Fn::ForEach::L: [X, [a], {{}}]\n", with_plan(&untagged(""), BY_TAG)),
            "`Fn::ForEach` in 0.yaml may add more",
        ),
    ] {
        let all = coverage(&text);
        assert!(!all.is_empty() && all[0].contains(expected) && all[0].starts_with("warning"), "{what}: {all:?}");
    }
    let without = coverage(&with_plan(&tagged(""), &format!("{BY_TAG}    Condition: IsOff\n")));
    assert!(without[0].starts_with("error 7: `T` (AWS::DynamoDB::Table): no plan selects it"), "{without:?}");

    let mut target = anywhere();
    target.opt_in.clear();
    let all = said(&checked_at(&target, &[&with_plan(&tagged(""), BY_TAG)], 1, &[COVERAGE], &[]));
    assert!(all[0].contains("whether DynamoDB is enabled") && all[0].contains("--opt-in"), "{all:?}");
}

#[test]
fn referenced_resources_are_selected() {
    let two =
        format!("{TABLE}  U:\n    Type: AWS::DynamoDB::Table\n    Properties: {{ BillingMode: PAY_PER_REQUEST }}\n");
    let list = |arn: &str| with_plan(&two, &format!("        Resources: [{arn}]\n"));
    for arn in [
        "!GetAtt T.Arn",
        "!Sub '${T.Arn}'",
        "!Sub 'arn:aws:dynamodb:*:*:table/${T}'",
        "!Join ['', ['arn:aws:dynamodb:eu-west-1:222222222222:table/', !Ref T]]",
        "!Sub 'arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${T}'",
    ] {
        let mut target = here();
        // An ARN does not need the service to be enabled.
        target.opt_in.insert("DynamoDB".to_owned(), false);
        let all = said(&checked_at(&target, &[&list(arn)], 1, &[COVERAGE], &[]));
        assert_eq!(all.len(), 1, "{arn}: {all:?}");
        assert!(all[0].starts_with("error 11: `U`"), "{arn}: {all:?}");
    }
    for arn in [
        "!Sub 'arn:aws:dynamodb:us-east-1:*:table/${T}'",
        "!Sub 'arn:aws:s3:::${T}'",
        "!GetAtt T.StreamArn",
        "!Ref Any",
    ] {
        let all = said(&checked_at(&here(), &[&list(arn)], 1, &[COVERAGE], &[]));
        assert!(
            all.iter().all(|one| one.starts_with("warning ") && one.contains("Resources of the selection")),
            "{arn}: {all:?}"
        );
    }
    let named = list("'arn:aws:dynamodb:eu-west-1:222222222222:table/orders'").replacen(
        "BillingMode",
        "TableName: orders\n      BillingMode",
        1,
    );
    let all = said(&checked_at(&here(), &[&named], 1, &[COVERAGE], &[]));
    assert_eq!(all.len(), 1, "{all:?}");
}

const CLUSTER: &str = "  C:\n    Type: AWS::RDS::DBCluster\n    Properties: { Engine: aurora-mysql }\n  I:\n    Type: AWS::RDS::DBInstance\n    \
                       Properties: { DBClusterIdentifier: !Ref C, Engine: aurora-mysql, Tags: [{ Key: backup, Value: daily }] }\n";

#[test]
fn db_instance_is_evaluated_as_its_cluster() {
    let all = coverage(&with_plan(CLUSTER, BY_TAG));
    assert_eq!(all.len(), 2, "{all:?}");
    assert!(all[0].starts_with("error 7: `C`") && all[1].starts_with("error 10: `I`"), "{all:?}");
    assert!(all[1].ends_with("for its cluster `C`: tag it `backup` = `daily`"), "{all:?}");
    let tagged =
        CLUSTER.replace("Engine: aurora-mysql }", "Engine: aurora-mysql, Tags: [{ Key: backup, Value: daily }] }");
    assert!(coverage(&with_plan(&tagged, BY_TAG)).is_empty());
    // Two clusters whose ARNs start equally are distinct.
    let two =
        format!("{tagged}{}", CLUSTER.replace("  C:", "  D:").replace("  I:", "  J:").replace("!Ref C", "!Ref D"));
    let all = coverage(&with_plan(&two, BY_TAG));
    assert_eq!(all.len(), 2, "{all:?}");
    assert!(all[0].contains("`D`") && all[1].contains("`J`"), "{all:?}");
    let elsewhere = CLUSTER.replace("!Ref C", "!ImportValue c");
    let all = coverage(&with_plan(&elsewhere, BY_TAG));
    assert!(all[1].starts_with("warning 10: `I`") && all[1].contains("its cluster"), "{all:?}");
}

#[test]
fn plan_and_vault_findings_are_at_their_lines() {
    const FREQUENCY: &str = "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK";
    const DELETION: &str = "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED";
    const LOCK: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK";
    const REGION: &str = "BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION";
    let plan = |rule: &str, vault: &str| {
        format!(
            "Resources:\n  V:\n    Type: AWS::Backup::BackupVault\n    Properties: {{ BackupVaultName: v{vault} }}\n  P:\n    Type: AWS::Backup::BackupPlan\n    \
             Properties: {{ BackupPlan: {{ BackupPlanName: p, BackupPlanRule: [{{ RuleName: r, TargetBackupVault: !Ref V, {rule} }}] }} }}\n  S:\n    Type: AWS::Backup::BackupSelection\n    \
             Properties: {{ BackupPlanId: !GetAtt P.BackupPlanId, BackupSelection: {{ SelectionName: s, Resources: ['*'] }} }}\n  B: {{ Type: AWS::S3::Bucket }}\n"
        )
    };
    let daily = "ScheduleExpression: 'cron(0 5 ? * * *)', Lifecycle: { DeleteAfterDays: 35 }";
    let weekly = "ScheduleExpression: 'cron(0 5 ? * SUN *)', Lifecycle: { DeleteAfterDays: 35 }";
    let denies = ", AccessPolicy: { Statement: [{ Effect: Deny, Principal: '*', Resource: '*', Action: ['backup:DeleteRecoveryPoint', \
                  'backup:UpdateRecoveryPointLifecycle', 'backup:PutBackupVaultAccessPolicy'] }] }";
    let far = "CopyActions: [{ DestinationBackupVaultArn: !Sub 'arn:aws:backup:eu-central-1:${AWS::AccountId}:backup-vault:far' }]";
    let near = "CopyActions: [{ DestinationBackupVaultArn: !GetAtt V.BackupVaultArn }]";
    for (control, text, expected) in [
        (FREQUENCY, plan(daily, ""), ""),
        (FREQUENCY, plan(weekly, ""), "error 5: `P` (AWS::Backup::BackupPlan)"),
        (FREQUENCY, plan("ScheduleExpression: !ImportValue x", ""), "warning 5: `P`"),
        (DELETION, plan(daily, denies), ""),
        (DELETION, plan(daily, ""), "error 2: `V` (AWS::Backup::BackupVault): the vault has no access policy"),
        (DELETION, plan(daily, ", AccessPolicy: !ImportValue x"), "warning 2: `V`"),
        (LOCK, plan(daily, ", LockConfiguration: { MinRetentionDays: 30 }"), ""),
        (LOCK, plan(daily, ""), "error 11: `B`"),
        (LOCK, plan(daily, ", LockConfiguration: !ImportValue x"), "warning 11: `B`"),
        (REGION, plan(far, ""), ""),
        (REGION, plan(near, ""), "error 11: `B`"),
        (REGION, plan(daily, ""), "error 11: `B`"),
        (REGION, plan("CopyActions: [{ DestinationBackupVaultArn: !ImportValue x }]", ""), "warning 11: `B`"),
    ] {
        let all = said(&checked_at(&here(), &[&text], 1, &[control], &[]));
        match expected {
            "" => assert!(all.is_empty(), "{control} {text}: {all:?}"),
            _ => assert!(all.len() == 1 && all[0].starts_with(expected), "{control} {text}: {all:?}"),
        }
    }
    let later = checked_at(&here(), &[&plan(daily, "")], 1, &["BACKUP_LAST_RECOVERY_POINT_CREATED"], &[]).later;
    assert_eq!(later.len(), 1);
}

/// `!Sub "${Stage}"` is not a literal key of that text.
#[test]
fn unresolved_tag_key_leaves_the_tag_undecided() {
    let by_tag =
        "        ListOfTags: [{ ConditionType: STRINGEQUALS, ConditionKey: 'Stage', ConditionValue: daily }]\n";
    let resource = format!("{TABLE}      Tags:\n        - Key: !Ref Stage\n          Value: weekly\n");
    let text = with_plan(&resource, by_tag);
    let checked = checked_at(&anywhere(), &[&text], 1, &[COVERAGE], &[]);
    let edits: Vec<_> = checked.findings.iter().map(|finding| finding.diagnostic.edits.as_slice()).collect();
    let (fixed, made) = apply(&text, edits);
    assert!(made == 1 && fixed.contains("Value: weekly") && fixed.contains("Value: daily"), "{fixed}");
    assert!(coverage(&fixed).is_empty(), "{fixed}");
}

#[test]
fn vaults_of_equal_name_are_ambiguous() {
    const DELETION: &str = "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED";
    const LOCK: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK";
    let vault = |id: &str, name: &str, more: &str| {
        format!("  {id}: {{ Type: AWS::Backup::BackupVault{more}, Properties: {{ BackupVaultName: {name} }} }}\n")
    };
    let locked = "  L:\n    Type: AWS::Backup::BackupVault\n    Condition: Open\n    Properties: { BackupVaultName: v, LockConfiguration: { MinRetentionDays: 1 } }\n";
    let all = "        Resources: ['*']\n";
    let said = |text: &str, control: &str| said(&checked_at(&here(), &[text], 1, &[control], &[]));

    // Neither has a policy.
    let two = format!("Resources:\n{}{}", vault("V", "v", ""), vault("W", "v", ""));
    let found = said(&two, DELETION);
    assert!(found.len() == 2 && found.iter().all(|one| one.starts_with("error")), "{found:?}");

    for vaults in [format!("{}{locked}", vault("V", "v", "")), format!("{locked}{}", vault("V", "v", ""))] {
        let found = said(&with_plan(&format!("{TABLE}{vaults}"), all), LOCK);
        assert!(found.len() == 1 && found[0].contains("unknown: the vault `v`"), "{found:?}");
    }
    // A rule that names a vault may refer to one with an unresolved name.
    let found = said(&with_plan(&format!("{TABLE}{}", vault("V", "!Ref Any", "")), all), LOCK);
    assert!(found.len() == 1 && found[0].contains("warning 7: `T` (AWS::DynamoDB::Table): unknown"), "{found:?}");
    // Other vaults than those of the templates may exist.
    let found = said(&with_plan(&format!("{TABLE}{}", vault("V", "w", "")), all), LOCK);
    assert!(found.len() == 1 && found[0].contains("unknown: the vault `v`"), "{found:?}");
    let found = said(&with_plan(&format!("{TABLE}{}", vault("V", "v", "")), all), LOCK);
    assert!(found.len() == 1 && found[0].starts_with("error") && found[0].contains("`v` has no lock"), "{found:?}");
}

#[test]
fn one_zone_file_systems_have_automatic_backups() {
    let of = |properties: &str| {
        coverage(&format!("Resources:\n  F:\n    Type: AWS::EFS::FileSystem\n    Properties: {{ {properties} }}\n"))
    };
    assert!(of("Encrypted: true")[0].starts_with("error"));
    for automatic in ["AvailabilityZoneName: eu-west-1a", "BackupPolicy: { Status: ENABLED }"] {
        let found = of(automatic);
        assert!(found.len() == 1 && found[0].starts_with("warning"), "{found:?}");
    }
    assert!(of("AvailabilityZoneName: eu-west-1a, BackupPolicy: { Status: DISABLED }")[0].starts_with("error"));
}

#[test]
fn existing_selections_of_a_plan_may_remain() {
    let inventory = || {
        let text = r#"{"version":1,"asOf":"2026-11-01T00:00:00Z","locations":[{"account":"222222222222","region":"eu-west-1",
            "optIn":{"DynamoDB":true}}],"plans":[{"id":"p","name":"daily","account":"222222222222","region":"eu-west-1",
            "selections":[{"name":"by-hand","resources":["arn:aws:dynamodb:*:*:table/*"]}]}]}"#;
        Inventory::read("inventory.json", text).expect("an inventory")
    };
    let plan = "  P:\n    Type: AWS::Backup::BackupPlan\n    Properties: { BackupPlan: { BackupPlanName: daily, BackupPlanRule: [{ RuleName: r }] } }\n";
    let text = format!("Resources:\n{TABLE}{plan}");
    let found = said(&checked_on(&mut inventory(), &here(), &[&text], 1, &[COVERAGE], &[]));
    assert!(
        found.len() == 1 && found[0].contains("unknown: whether the selection `by-hand` of the plan `daily` exists"),
        "{found:?}"
    );
}

/// An unresolved tag key may equal that of the stack, and overrides it.
#[test]
fn stack_tag_is_uncertain_beside_unresolved_key() {
    let mut target = here();
    target.tags.insert("backup".to_owned(), "daily".to_owned());
    let of = |tags: &str| {
        let table = format!("{TABLE}      Tags: [{tags}]\n");
        let text = with_plan(
            &table,
            "        ListOfTags: [{ ConditionType: STRINGEQUALS, ConditionKey: backup, ConditionValue: daily }]\n",
        );
        said(&checked_at(&target, &[&text], 1, &[COVERAGE], &[]))
    };
    assert_eq!(of("{ Key: a, Value: b }"), Vec::<String>::new());
    let found = of("{ Key: !Ref Any, Value: b }");
    assert!(found.len() == 1 && found[0].starts_with("warning"), "{found:?}");
}

#[test]
fn member_of_ambiguous_cluster_is_undecided() {
    let clusters = |second: &str| {
        let cluster = |id: &str, name: &str, tag: &str| {
            format!(
                "  {id}:\n    Type: AWS::RDS::DBCluster\n    Properties: {{ DBClusterIdentifier: {name}, Engine: aurora-mysql, \
                 Tags: [{{ Key: backup, Value: {tag} }}] }}\n"
            )
        };
        let member = "  M:\n    Type: AWS::RDS::DBInstance\n    Properties: { DBClusterIdentifier: c }\n";
        let resources = format!("{}{}{member}", cluster("A", "c", "daily"), cluster("B", second, "daily"));
        with_plan(&resources, BY_TAG)
    };
    for target in [anywhere(), here()] {
        let of = |second: &str| said(&checked_at(&target, &[&clusters(second)], 1, &[COVERAGE], &[]));
        assert!(of("d").is_empty(), "{:?}", of("d"));
        let twins = of("C");
        assert!(twins.iter().any(|one| one.starts_with("warning 13: `M`")), "{twins:?}");
        assert!(twins.iter().all(|one| !one.starts_with("error")), "{twins:?}");
    }
}

/// Templates for several stages have equal names, and each instance is a member of the cluster in its own template.
#[test]
fn clusters_of_equal_name_in_templates_are_distinct() {
    let template = |tag: &str, by: &str| {
        let cluster = format!(
            "  C:\n    Type: AWS::RDS::DBCluster\n    Properties: {{ DBClusterIdentifier: orders, Engine: aurora-mysql, \
             Tags: [{{ Key: backup, Value: {tag} }}] }}\n"
        );
        let member = format!("  M:\n    Type: AWS::RDS::DBInstance\n    Properties: {{ DBClusterIdentifier: {by} }}\n");
        format!("Resources:\n{cluster}{member}")
    };
    let plan = with_plan("", BY_TAG);
    for target in [anywhere(), here()] {
        for by in ["!Ref C", "orders", "ORDERS"] {
            let (good, bad) = (template("daily", by), template("weekly", by));
            for (texts, expected) in [([&good, &good], [0, 0]), ([&good, &bad], [0, 2]), ([&bad, &good], [2, 0])] {
                let checked = checked_at(&target, &[texts[0], texts[1], &plan], 2, &[COVERAGE], &[]);
                let of = |file: usize| {
                    let name = format!("{file}.yaml");
                    checked.findings.iter().filter(|finding| finding.diagnostic.file == name).count()
                };
                assert!(checked.findings.iter().all(|finding| finding.level == Level::Error), "{:?}", said(&checked));
                assert_eq!([of(0), of(1)], expected, "{by}: {:?}", said(&checked));
            }
        }
        // An instance in a third template may be a member of either.
        let third =
            "Resources:\n  M:\n    Type: AWS::RDS::DBInstance\n    Properties: { DBClusterIdentifier: orders }\n";
        let (good, bad) = (template("daily", "!Ref C"), template("weekly", "!Ref C"));
        let found = checked_at(&target, &[third, &good, &bad, &plan], 1, &[COVERAGE], &[]).findings;
        assert_eq!((found.len(), found[0].level), (1, Level::Warning), "{found:?}");
        let Diagnostic { message: problem, help: fix, .. } = &found[0].diagnostic;
        let expected = "unknown: its cluster `orders` (several have this name: `C` in 1.yaml, `C` in 2.yaml)";
        assert!(problem.ends_with(expected), "{problem}");
        assert_eq!(fix, "refer to the cluster with `!Ref`, or check the templates that contain it one by one");
    }
}

#[test]
fn cluster_of_unknown_engine_is_undecided() {
    let cluster = |engine: &str| {
        format!(
            "Parameters: {{ E: {{ Type: String }} }}\nResources:\n  C:\n    Type: AWS::RDS::DBCluster\n    Properties: {{ Engine: {engine} }}\n"
        )
    };
    assert!(coverage(&cluster("aurora-mysql"))[0].starts_with("error 3: `C`"));
    assert!(coverage(&cluster("docdb")).is_empty(), "DocumentDB is not judged");
    let unknown = coverage(&cluster("!Ref E"));
    assert!(
        unknown.len() == 1 && unknown[0].starts_with("warning 3: `C` (AWS::RDS::DBCluster): unknown: its engine"),
        "{unknown:?}"
    );
}

#[test]
fn plans_of_other_sources_count_without_findings() {
    let app = format!("Resources:\n{TABLE}      Tags: [{{ Key: backup, Value: daily }}]\n");
    let plans = with_plan(&TABLE.replace("  T:", "  Other:"), BY_TAG);
    assert_eq!(checked_at(&anywhere(), &[&app], 1, &[COVERAGE], &[]).findings.len(), 1, "no plan at all");
    assert!(checked_at(&anywhere(), &[&app, &plans], 1, &[COVERAGE], &[]).findings.is_empty());

    let document: document::Document = {
        let mut document = document::Document::new(Timestamp::UNIX_EPOCH);
        let target = here();
        let (Some(account), Some(region)) = (target.account().cloned(), target.region().cloned()) else { panic!() };
        let selection = document::Selection {
            name: "s".to_owned(),
            list_of_tags: vec![document::TagValue { key: "backup".to_owned(), value: "daily".to_owned() }],
            ..document::Selection::default()
        };
        document.plans.push(document::Plan {
            id: "1".to_owned(),
            name: "daily".to_owned(),
            account,
            region,
            tags: BTreeMap::new(),
            rules: Vec::new(),
            selections: vec![selection],
            unread: Vec::new(),
        });
        document
    };
    let inventory =
        Inventory::read("inventory.json", &serde_json::to_string(&document).expect("JSON")).expect("an inventory");
    let checked = checked_on(&mut inventory.clone(), &here(), &[&app], 1, &[COVERAGE], &[]);
    assert!(checked.findings.is_empty(), "{:?}", said(&checked));
    // A plan of the same name in a template is that plan after its update.
    let changed = with_plan("", &BY_TAG.replace("daily", "hourly"));
    let checked = checked_on(&mut inventory.clone(), &here(), &[&app, &changed], 1, &[COVERAGE], &[]);
    assert!(said(&checked)[0].contains("tag it `backup` = `hourly` (currently `daily`)"), "{:?}", said(&checked));
    // A selection may be added to an existing plan.
    let added = "Resources:\n  Sel:\n    Type: AWS::Backup::BackupSelection\n    Properties: { BackupPlanId: '1', BackupSelection: { SelectionName: x, Resources: ['*'] } }\n  B: { Type: AWS::S3::Bucket }\n";
    let checked = checked_on(&mut inventory.clone(), &here(), &[added], 1, &[COVERAGE], &[]);
    assert!(checked.findings.is_empty(), "{:?}", said(&checked));
}

#[test]
fn stack_tags_and_global_table_replicas_count() {
    let mut target = anywhere();
    target.tags.insert("backup".to_owned(), "daily".to_owned());
    let text = with_plan(TABLE, BY_TAG);
    assert!(checked_at(&target, &[&text], 1, &[COVERAGE], &[]).findings.is_empty());
    let own = with_plan(&format!("{TABLE}      Tags: [{{ Key: backup, Value: never }}]\n"), BY_TAG);
    assert_eq!(checked_at(&target, &[&own], 1, &[COVERAGE], &[]).findings.len(), 1, "its own tag wins");

    let global = |here: &str, there: &str| {
        let replica =
            |region: &str, value: &str| format!("{{ Region: {region}, Tags: [{{ Key: backup, Value: {value} }}] }}");
        let resource = format!(
            "  G:\n    Type: AWS::DynamoDB::GlobalTable\n    Properties: {{ Replicas: [{}, {}] }}\n",
            replica("us-east-1", there),
            replica("eu-west-1", here)
        );
        with_plan(&resource, BY_TAG)
    };
    let levels = |target: &DeploymentTarget, text: &str| -> Vec<Level> {
        checked_at(target, &[text], 1, &[COVERAGE], &[]).findings.iter().map(|finding| finding.level).collect()
    };
    assert!(levels(&here(), &global("daily", "never")).is_empty());
    assert_eq!(levels(&here(), &global("never", "daily")), [Level::Error]);
    assert_eq!(levels(&anywhere(), &global("daily", "never")), [Level::Warning]);
}

#[test]
fn unresolved_resource_sources_are_named() {
    let text = "Resources:\n  Nested: { Type: AWS::CloudFormation::Stack, Properties: { TemplateURL: x } }\n";
    let all = coverage(text);
    assert_eq!(
        all,
        [
            "warning 2: unknown: the resources of the nested stack `Nested`; check its template too; known only at deployment"
        ]
    );
    let efs = "  T:\n    Type: AWS::EFS::FileSystem\n    Properties: { BackupPolicy: { Status: ENABLED } }\n";
    let all = coverage(&with_plan(efs, BY_TAG));
    assert!(all[0].starts_with("warning 7: `T`") && all[0].contains("automatic backups of EFS"), "{all:?}");
    assert!(all[0].contains("tag it `backup` = `daily`") && !all[0].contains("--parameter"), "{all:?}");
}

proptest::proptest! {
    /// No input causes a panic, and no edit makes a template unreadable.
    #[test]
    fn nearly_valid_templates_never_panic(
        app in crate::edited::edited(include_str!("../../../../examples/orders/app.yaml")),
        plans in crate::edited::edited(include_str!("../../../../examples/orders/backup.yaml")),
    ) {
        let read = |file: &str, text: &str| Template::read_source(file, text);
        if let (Ok(template), Ok(plans)) = (read("t", &app), read("p", &plans)) {
            let stack = |template| CheckedFile::Template(TemplateStack::new(template, BTreeMap::new()));
            let stacks = [stack(&template), stack(&plans)];
            let mut inventory = Inventory::new(Timestamp::UNIX_EPOCH);
            let added = template::add(&mut inventory, &here(), &stacks);
            let checked = check(&inventory, &added, &here(), &stacks, 1, &asked(&[COVERAGE]), &|_| None);
            for finding in &checked.findings {
                let (fixed, _) = apply(&app, [finding.diagnostic.edits.as_slice()]);
                proptest::prop_assert!(Template::read_source("t", &fixed).is_ok());
            }
        }
    }
}
