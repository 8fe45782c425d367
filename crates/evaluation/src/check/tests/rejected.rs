//! Plans, selections and vaults that AWS Backup rejects, or that do not have the intended effect.

use super::*;

const FREQUENCY: &str = "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK";
const LOCK: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK";

fn at(text: &str, control: &str) -> Vec<String> {
    said(&checked_at(&here(), &[text], 1, &[control], &[]))
}

fn has(found: &[String], start: &str, text: &str) -> bool {
    found.iter().any(|one| one.starts_with(start) && one.contains(text))
}

fn plan(rule: &str) -> String {
    format!(
        "Resources:\n  P:\n    Type: AWS::Backup::BackupPlan\n    Properties: {{ BackupPlan: {{ BackupPlanName: p, \
         BackupPlanRule: [{{ RuleName: r, {rule} }}] }} }}\n"
    )
}

#[test]
fn rejected_selections_cover_nothing() {
    let tagged = format!("{TABLE}      Tags: [{{ Key: backup, Value: daily }}]\n");
    for (selection, reason) in [
        (
            "        Conditions: { StringEquals: [{ ConditionKey: aws:ResourceTag/backup, ConditionValue: daily }] }\n",
            "`ListOfTags`",
        ),
        ("        Resources: []\n", "`ListOfTags`"),
        ("        Resources: []\n        ListOfTags: []\n", "`ListOfTags`"),
        ("        NotResources: ['arn:aws:s3:::*']\n", "`ListOfTags`"),
        (
            "        ListOfTags: [{ ConditionType: StringEquals, ConditionKey: backup, ConditionValue: daily }]\n",
            "`STRINGEQUALS`",
        ),
        (
            "        ListOfTags: [{ ConditionType: STRINGLIKE, ConditionKey: backup, ConditionValue: daily }]\n",
            "`STRINGEQUALS`",
        ),
        ("        Resources: [!Ref T]\n", "write `!GetAtt T.Arn`"),
        ("        Resources: [orders]\n", "is not an ARN"),
    ] {
        let found = at(&with_plan(&tagged, selection), COVERAGE);
        assert!(has(&found, "error", reason), "{selection}: {found:?}");
        assert!(has(&found, "error 7: `T`", "no plan selects it"), "{selection}: {found:?}");
        assert!(!found.iter().any(|one| one.contains("only at deployment") || one.contains("unknown")), "{found:?}");
    }
}

#[test]
fn accepted_selections_cover() {
    let tagged = format!("{TABLE}      Tags: [{{ Key: backup, Value: daily }}]\n");
    for selection in [
        "        Resources: ['*']\n        Conditions: { StringEquals: [{ ConditionKey: aws:ResourceTag/backup, ConditionValue: daily }] }\n",
        "        Resources: [!GetAtt T.Arn]\n",
        BY_TAG,
    ] {
        assert_eq!(at(&with_plan(&tagged, selection), COVERAGE), [""; 0], "{selection}");
    }
}

#[test]
fn prefixed_tag_keys_are_undecided() {
    let prefixed = "        ListOfTags: [{ ConditionType: STRINGEQUALS, ConditionKey: 'aws:ResourceTag/backup', ConditionValue: daily }]\n";
    let tagged = format!("{TABLE}      Tags: [{{ Key: backup, Value: daily }}]\n");
    let found = at(&with_plan(&tagged, prefixed), COVERAGE);
    assert!(has(&found, "warning 21", "write `backup`"), "{found:?}");
    assert!(
        has(&found, "warning 7: `T`", "whether the key `aws:ResourceTag/backup` of `ListOfTags` means the tag"),
        "{found:?}"
    );
    assert_eq!(found.len(), 2, "{found:?}");
    // Neither meaning selects a resource without the tag.
    assert!(has(&at(&with_plan(TABLE, prefixed), COVERAGE), "error 7: `T`", ""), "{found:?}");
}

#[test]
fn condition_keys_have_one_finding_at_the_selection() {
    let bare = "        Resources: ['*']\n        Conditions: { StringEquals: [{ ConditionKey: backup, ConditionValue: daily }] }\n";
    let found = at(&with_plan(TABLE, bare), COVERAGE);
    assert!(has(&found, "warning 21", "write `aws:ResourceTag/backup`"), "{found:?}");
    assert!(
        has(
            &found,
            "warning 7: `T`",
            "the effect of the condition key `backup`, which lacks the prefix `aws:ResourceTag/`; correct the key"
        ),
        "{found:?}"
    );
}

#[test]
fn unions_and_wrong_patterns_are_warnings() {
    let union = format!("        Resources: ['arn:aws:dynamodb:*:*:table/*']\n{BY_TAG}");
    let found = at(&with_plan(TABLE, &union), COVERAGE);
    assert!(found.len() == 1 && has(&found, "warning 21", "`Conditions: { StringEquals:"), "{found:?}");
    let wrong = "        Resources: ['arn:aws:dynamodb:*:*:table:*']\n";
    let found = at(&with_plan(TABLE, wrong), COVERAGE);
    assert!(has(&found, "error 7: `T`", ""), "{found:?}");
    assert!(has(&found, "warning 20", "write `arn:aws:dynamodb:*:*:table/*`"), "{found:?}");
}

#[test]
fn rejected_plans_are_findings_and_not_evaluated() {
    for (rule, line, reason) in [
        ("EnableContinuousBackup: true", "error 4", "`EnableContinuousBackup` without a `Lifecycle`"),
        ("EnableContinuousBackup: true, Lifecycle: { DeleteAfterDays: 100 }", "error 4", "write `DeleteAfterDays: 35`"),
        (
            "EnableContinuousBackup: true, Lifecycle: { MoveToColdStorageAfterDays: 1, DeleteAfterDays: 35 }",
            "error 4",
            "cold storage",
        ),
        ("Lifecycle: { DeleteAfterDays: 36501 }", "error 4", "36500"),
        ("Lifecycle: { MoveToColdStorageAfterDays: 30, DeleteAfterDays: 100 }", "error 4", "`DeleteAfterDays: 120`"),
        ("ScheduleExpression: 'cron(0 3 * * * *)'", "error 4", "write `cron(0 3 * * ? *)`"),
        ("ScheduleExpression: 'cron(0 3 ? * 0 *)'", "error 4", "day of the week"),
        ("ScheduleExpression: 'cron(0/10 * * * ? *)'", "error 4", "10 minutes apart"),
        ("StartWindowMinutes: 10", "error 4", "`StartWindowMinutes: 60`"),
    ] {
        let checked = checked_at(&here(), &[&plan(rule)], 1, &[FREQUENCY], &[]);
        let found = said(&checked);
        assert!(has(&found, line, reason), "{rule}: {found:?}");
        assert!(!found.iter().any(|one| one.contains("deployment")), "{rule}: {found:?}");
        assert_eq!(checked.rows, [], "{rule}");
    }
    let found = at(&plan("ScheduleExpression: rate(1 day)"), FREQUENCY);
    assert!(found.len() == 1 && has(&found, "warning 4", "rate(1 day)"), "{found:?}");
}

#[test]
fn selections_of_rejected_plans_cover_nothing() {
    let text =
        with_plan(TABLE, "        Resources: ['*']\n").replace("RuleName: r,", "RuleName: r, StartWindowMinutes: 1,");
    let found = at(&text, COVERAGE);
    assert!(found.len() == 2 && has(&found, "error 7: `T`", "no plan selects it"), "{found:?}");
    // A plan in a template that is not checked explains the finding.
    let own = format!("Resources:\n{TABLE}");
    let found = said(&checked_at(&here(), &[&own, &text.replace(TABLE, "")], 1, &[COVERAGE], &[]));
    assert!(has(&found, "error 2: `T`", "") && has(&found, "warning", "StartWindowMinutes"), "{found:?}");
}

#[test]
fn rejected_locks_lock_nothing() {
    for (lock, reason) in [
        ("MinRetentionDays: 30, ChangeableForDays: 1", "`ChangeableForDays: 3`"),
        ("MaxRetentionDays: 365", "`MinRetentionDays`"),
        ("MinRetentionDays: 40, MaxRetentionDays: 30", "exceeds"),
    ] {
        let vault = format!(
            "{TABLE}  V:\n    Type: AWS::Backup::BackupVault\n    Properties: {{ BackupVaultName: v, LockConfiguration: {{ {lock} }} }}\n"
        );
        let found = at(&with_plan(&vault, "        Resources: ['*']\n"), LOCK);
        assert!(has(&found, "error 13", reason), "{lock}: {found:?}");
        assert!(has(&found, "error 7: `T`", "`v` has no lock"), "{lock}: {found:?}");
    }
}

#[test]
fn warnings_can_be_suppressed() {
    let union = with_plan(TABLE, &format!("        Resources: ['arn:aws:dynamodb:*:*:table/*']\n{BY_TAG}"));
    let suppress = |rule: &str, until: &str| {
        let metadata = format!(
            "Metadata: {{ BackupCompliance: {{ Suppress: [{{ rule: {rule}, reason: intended, until: {until} }}] }} }}\n{union}"
        );
        at(&metadata, COVERAGE).len()
    };
    assert_eq!(
        (suppress("BC084", "2099-01-01"), suppress("BC051", "2099-01-01"), suppress("BC084", "1969-01-01")),
        (0, 1, 1)
    );
}

/// AWS Backup accepted what a live inventory has.
#[test]
fn selections_of_inventories_are_judged_as_documented() {
    let text = r#"{"version":1,"asOf":"2026-11-01T00:00:00Z","locations":[{"account":"222222222222","region":"eu-west-1",
        "optIn":{"DynamoDB":true}}],"plans":[{"id":"p","name":"daily","account":"222222222222","region":"eu-west-1",
        "selections":[{"name":"all"}]}]}"#;
    let mut inventory = Inventory::read("inventory.json", text).expect("an inventory");
    let own = format!("Resources:\n{TABLE}");
    assert_eq!(said(&checked_on(&mut inventory, &here(), &[&own], 1, &[COVERAGE], &[])), [""; 0]);
}
