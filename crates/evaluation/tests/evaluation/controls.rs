//! Each control with its documented examples, at its bounds, and with unread input.
//! Long because every control has its table of inventories here.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use evaluation::inventory::document::{
    CopyAction, Document, Lifecycle, LocationPart, Lock, PlanPart, RecoveryPoint, RecoveryPointPart,
    RecoveryPointStatus, Restore, RulePart, SelectionPart, Unread, VaultKind, VaultPart,
};
use evaluation::{ControlQuery, Evaluator, QueryScope};
use framework::ids::{AccountId, RegionName};

use super::world::{
    COVERAGE, account, all, as_of, asked, document, inventory, plan, region, resource, rule, selection, vault,
    verdicts, with, words,
};

const FREQUENCY: &str = "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK";
const DELETION: &str = "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED";
const ENCRYPTED: &str = "BACKUP_RECOVERY_POINT_ENCRYPTED";
const RETENTION: &str = "BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK";
const CROSS_REGION: &str = "BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION";
const CROSS_ACCOUNT: &str = "BACKUP_RESOURCES_PROTECTED_BY_CROSS_ACCOUNT";
const LOCK: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK";
const LAST: &str = "BACKUP_LAST_RECOVERY_POINT_CREATED";
const RESTORE: &str = "RESTORE_TIME_FOR_RESOURCES_MEET_TARGET";
const AIR_GAPPED: &str = "RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT";

/// Returns the result for the only item.
fn result(document: &Document, asked: &ControlQuery) -> char {
    let verdicts = verdicts(document.clone(), asked);
    assert_eq!(verdicts.len(), 1, "{verdicts:?}");
    *verdicts.values().next().unwrap()
}

fn unread(document: &mut Document, part: LocationPart) {
    document.locations[0].unread.push(Unread { part, reason: "AccessDenied".to_owned() });
}

fn ago(hours: i64) -> Timestamp {
    as_of() - SignedDuration::from_hours(hours)
}

fn point(resource: &str, hours: i64) -> RecoveryPoint {
    RecoveryPoint {
        arn: format!("arn:aws:backup:eu-west-1:111122223333:recovery-point:{hours}"),
        resource: resource.to_owned(),
        account: account(),
        region: region(),
        vault: "default".to_owned(),
        vault_kind: None,
        tags: Default::default(),
        created: ago(hours),
        completed: Some(ago(hours)),
        status: RecoveryPointStatus::Completed,
        lifecycle: Lifecycle { cold_after_days: None, delete_after_days: Some(35) },
        encrypted: Some(true),
        unread: Vec::new(),
    }
}

/// One table, selected by one plan with one rule and one vault.
fn covered() -> Document {
    let mut document = document();
    document.resources.push(resource("table/orders", &[]));
    document.plans.push(plan(vec![selection(&["*"], &[], &[])]));
    document.vaults.push(vault("default"));
    document
}

#[test]
fn one_rule_must_meet_frequency_and_retention() {
    let asked = asked(FREQUENCY, &[]);
    for (rules, expected) in [
        (vec![(None, Some(35))], '+'),
        (vec![(None, Some(34))], '-'),
        (vec![(None, None)], '+'),
        (vec![(None, Some(-1))], '+'),
        (vec![(Some("cron(0 5 * * ? *)"), Some(35))], '+'),
        (vec![(Some("cron(0 5 ? * MON-FRI *)"), Some(35))], '-'),
        (vec![(Some("rate(1 day)"), Some(35))], '+'),
        (vec![(Some("rate(25 hours)"), Some(35))], '-'),
        // Two rules that meet it together do not suffice.
        (vec![(Some("rate(12 hours)"), Some(7)), (Some("rate(7 days)"), Some(365))], '-'),
        (vec![(Some("rate(7 days)"), Some(365)), (Some("rate(12 hours)"), Some(35))], '+'),
        (vec![(Some("every day"), Some(35))], '?'),
        (vec![(Some("every day"), Some(34))], '-'),
        (vec![], '-'),
    ] {
        let mut document = document();
        let mut plan = plan(Vec::new());
        plan.rules = rules
            .iter()
            .map(|(schedule, days)| {
                let mut rule = rule();
                rule.schedule = schedule.map(str::to_owned);
                rule.lifecycle.delete_after_days = *days;
                rule
            })
            .collect();
        document.plans.push(plan);
        assert_eq!(result(&document, &asked), expected, "{rules:?}");
    }
}

#[test]
fn frequency_units_and_unread_rule_parts() {
    let with = |unit: &str, value: &str| {
        asked(FREQUENCY, &[("requiredFrequencyUnit", unit), ("requiredFrequencyValue", value)])
    };
    let mut document = document();
    document.plans.push(plan(Vec::new()));
    document.plans[0].rules[0].schedule = Some("cron(0 0/8 * * ? *)".to_owned());
    assert_eq!(result(&document, &with("hours", "8")), '+');
    assert_eq!(result(&document, &with("hours", "7")), '-');
    assert_eq!(result(&document, &with("days", "1")), '+');
    assert_eq!(result(&document, &with("weeks", "1")), '?', "a parameter that makes no sense is no verdict");
    // Cold storage does not change the retention.
    document.plans[0].rules[0].lifecycle = Lifecycle { cold_after_days: Some(1), delete_after_days: Some(91) };
    assert_eq!(result(&document, &asked(FREQUENCY, &[("requiredRetentionDays", "91")])), '+');
    assert_eq!(result(&document, &asked(FREQUENCY, &[("requiredRetentionDays", "92")])), '-');
    document.plans[0].rules[0].unread = vec![RulePart::Lifecycle];
    assert_eq!(result(&document, &with("hours", "8")), '?');
    assert_eq!(result(&document, &with("hours", "7")), '-', "however long it keeps, it runs too seldom");
    document.plans[0].unread = vec![PlanPart::Rules];
    assert_eq!(result(&document, &with("hours", "7")), '?', "another rule may do");
    document.plans[0].unread.clear();
    document.plans[0].rules[0].unread = vec![RulePart::Schedule];
    assert_eq!(result(&document, &with("hours", "7")), '?');
    document.plans[0].rules[0].unread.clear();
    document.plans[0].rules[0].continuous = true;
    assert_eq!(result(&document, &with("hours", "8")), '+');
    assert_eq!(result(&document, &with("hours", "7")), '?', "AWS does not say");
}

#[test]
fn plan_shortfalls_are_listed_by_rule() {
    let mut document = document();
    document.plans.push(plan(Vec::new()));
    document.plans[0].rules[0].schedule = Some("cron(0 5 ? * MON *)".to_owned());
    document.plans[0].rules[0].lifecycle.delete_after_days = Some(1);
    assert_eq!(
        words(document, &asked(FREQUENCY, &[])),
        "NON_COMPLIANT: the rule `daily` leaves up to 7 days between runs; the maximum is 1 day, and keeps for 1 day; \
         35 days are required"
    );
}

const ALL_THREE: [&str; 3] =
    ["backup:DeleteRecoveryPoint", "backup:UpdateRecoveryPointLifecycle", "backup:PutBackupVaultAccessPolicy"];
const ADMIN: &str = "arn:aws:iam::111122223333:role/backup-admin";

fn deny(change: impl FnOnce(&mut Value)) -> Value {
    let mut statement = json!({ "Effect": "Deny", "Principal": "*", "Action": ALL_THREE, "Resource": "*" });
    change(&mut statement);
    json!({ "Version": "2012-10-17", "Statement": [statement] })
}

fn judged(policy: Value, exempt: &str) -> char {
    let mut document = document();
    document.vaults.push(vault("default"));
    document.vaults[0].policy = Some(policy);
    let parameters = [("principalArnList", exempt)];
    result(&document, &asked(DELETION, if exempt.is_empty() { &[] } else { &parameters }))
}

#[test]
fn vault_policy_must_deny_three_actions() {
    type Case = (&'static str, char, fn(&mut Value));
    let cases: [Case; 25] = [
        ("as documented", '+', |_| {}),
        ("a principal of AWS", '+', |s| s["Principal"] = json!({ "AWS": "*" })),
        ("in a list", '+', |s| s["Principal"] = json!({ "AWS": ["arn:aws:iam::111122223333:root", "*"] })),
        ("some principals", '-', |s| s["Principal"] = json!({ "AWS": "arn:aws:iam::111122223333:root" })),
        ("a service", '-', |s| s["Principal"] = json!({ "Service": "*" })),
        // IAM rejects each of these, so that the effect is unknown.
        ("no principal", '?', |s| drop(s.as_object_mut().unwrap().remove("Principal"))),
        ("NotPrincipal has no wildcard as Principal", '-', |s| {
            s.as_object_mut().unwrap().remove("Principal");
            s["NotPrincipal"] = json!({ "AWS": ADMIN });
        }),
        ("allowed", '-', |s| s["Effect"] = json!("Allow")),
        ("one action", '-', |s| s["Action"] = json!("backup:DeleteRecoveryPoint")),
        ("all actions", '+', |s| s["Action"] = json!("*")),
        ("all of backup, in another case", '+', |s| s["Action"] = json!(["BACKUP:*"])),
        ("wildcards of both kinds", '+', |s| {
            s["Action"] = json!(["backup:Delete*", "backup:?pdateRecoveryPointLifecycle", "backup:Put*Policy"]);
        }),
        ("NotAction that names none of them", '+', |s| {
            s.as_object_mut().unwrap().remove("Action");
            s["NotAction"] = json!("backup:Describe*");
        }),
        ("NotAction that names one", '-', |s| {
            s.as_object_mut().unwrap().remove("Action");
            s["NotAction"] = json!("backup:Delete*");
        }),
        ("no action at all", '-', |s| drop(s.as_object_mut().unwrap().remove("Action"))),
        ("one vault", '-', |s| s["Resource"] = json!("arn:aws:backup:eu-west-1:111122223333:backup-vault:default")),
        ("no resource", '?', |s| drop(s.as_object_mut().unwrap().remove("Resource"))),
        ("resources with a wildcard", '?', |s| s["Resource"] = json!("arn:aws:backup:*:*:recovery-point:*")),
        ("* among others", '+', |s| s["Resource"] = json!(["arn:aws:ec2:*", "*"])),
        ("Resource beside NotResource", '?', |s| s["NotResource"] = json!("arn:aws:ec2:*")),
        ("NotAction beside Action", '?', |s| s["NotAction"] = json!("ec2:*")),
        ("no actions in NotAction", '?', |s| {
            s.as_object_mut().unwrap().remove("Action");
            s["NotAction"] = json!([]);
        }),
        ("a condition that is a text", '?', |s| s["Condition"] = json!("x")),
        ("an operator with a text", '?', |s| s["Condition"] = json!({ "StringNotEquals": "x" })),
        ("a key without values", '?', |s| s["Condition"] = json!({ "StringNotEquals": { "aws:PrincipalArn": [] } })),
    ];
    for (what, expected, change) in cases {
        assert_eq!(judged(deny(change), ""), expected, "{what}");
    }
    let as_text = Value::String(deny(|_| {}).to_string());
    assert_eq!(judged(as_text, ""), '+', "as the API gives it");
    assert_eq!(judged(json!("no JSON"), ""), '?');
    assert_eq!(judged(json!({}), ""), '?');
    assert_eq!(judged(json!({ "Statement": [] }), ""), '-');
    let one = deny(|_| {})["Statement"][0].clone();
    assert_eq!(judged(json!({ "Statement": one }), ""), '+', "a statement that is no list");
}

#[test]
fn denials_across_statements_are_uncertain() {
    let statement =
        |actions: &[&str]| json!({ "Effect": "Deny", "Principal": "*", "Action": actions, "Resource": "*" });
    let of = |statements: Vec<Value>| json!({ "Statement": statements });
    assert_eq!(judged(of(vec![statement(&ALL_THREE[..1]), statement(&ALL_THREE[1..])]), ""), '?');
    assert_eq!(judged(of(vec![statement(&ALL_THREE[..1]), statement(&ALL_THREE[2..])]), ""), '-');
}

#[test]
fn only_framework_roles_may_be_exempt() {
    let other = "arn:aws:iam::111122223333:role/other";
    let excepting =
        |operator: &str, key: &str, value: Value| deny(|s| s["Condition"] = json!({ operator: { key: value } }));
    for operator in
        ["StringNotEquals", "ArnNotLike", "StringNotLike", "ArnNotEqualsIfExists", "ForAllValues:StringNotLike"]
    {
        for key in ["aws:PrincipalArn", "aws:principalarn"] {
            assert_eq!(judged(excepting(operator, key, json!(ADMIN)), ADMIN), '+', "{operator} {key}");
            assert_eq!(judged(excepting(operator, key, json!([ADMIN, other])), ADMIN), '-', "{operator} {key}");
            let both = format!("{ADMIN},{other}");
            assert_eq!(judged(excepting(operator, key, json!([ADMIN, other])), &both), '+', "{operator} {key}");
            assert_eq!(judged(excepting(operator, key, json!(ADMIN)), ""), '-', "{operator} {key}");
        }
    }
    assert_eq!(judged(excepting("ArnNotLike", "aws:PrincipalArn", json!("arn:aws:iam::*:role/*")), ADMIN), '-');
    assert_eq!(judged(excepting("ArnLike", "aws:PrincipalArn", json!(other)), ADMIN), '-', "denied to one only");
    assert_eq!(judged(excepting("StringLike", "aws:PrincipalArn", json!("*")), ""), '+', "always holds");
    assert_eq!(judged(excepting("StringNotLike", "aws:userId", json!("AROAEXAMPLE:*")), ADMIN), '?');
    assert_eq!(judged(excepting("Null", "aws:PrincipalArn", json!("true")), ADMIN), '?');
    let two = deny(|s| {
        s["Condition"] = json!({
            "StringNotEquals": { "aws:PrincipalArn": ADMIN },
            "ArnNotLike": { "aws:PrincipalArn": other },
        });
    });
    assert_eq!(judged(two.clone(), ADMIN), '-', "all conditions must hold, so both are left out");
    assert_eq!(judged(two, &format!("{ADMIN}, {other}")), '+');
    assert_eq!(judged(deny(|s| s["Condition"] = json!([])), ""), '?');
    assert_eq!(judged(deny(|s| s["Condition"] = json!({})), ""), '+');
}

#[test]
fn missing_policy_violates_and_unread_is_undecided() {
    let asked = asked(DELETION, &[]);
    let mut document = document();
    document.vaults.push(vault("default"));
    assert_eq!(words(document.clone(), &asked), "NON_COMPLIANT: the vault has no access policy");
    document.vaults[0].unread.push(VaultPart::Policy);
    assert_eq!(result(&document, &asked), '?');
    document.vaults[0].unread.clear();
    unread(&mut document, LocationPart::VaultPolicies);
    assert_eq!(
        words(document.clone(), &asked),
        "UNDECIDED: unknown: the policies of vaults of account 111122223333 in eu-west-1 (AccessDenied)"
    );
    document.vaults[0].kind = VaultKind::AirGapped;
    assert!(verdicts(document, &asked).is_empty());
}

#[test]
fn recovery_points_need_encryption_and_retention() {
    let mut document = document();
    document.recovery_points.push(point("arn:aws:dynamodb:eu-west-1:111122223333:table/orders", 1));
    let set = |document: &mut Document, change: fn(&mut RecoveryPoint)| change(&mut document.recovery_points[0]);
    let keeps = |days: &str| asked(RETENTION, &[("requiredRetentionDays", days)]);
    assert_eq!(result(&document, &asked(ENCRYPTED, &[])), '+');
    assert_eq!(result(&document, &asked(RETENTION, &[])), '+', "35 days are the default");
    assert_eq!(result(&document, &keeps("36")), '-');
    set(&mut document, |point| point.encrypted = Some(false));
    assert_eq!(result(&document, &asked(ENCRYPTED, &[])), '-');
    set(&mut document, |point| point.encrypted = None);
    assert_eq!(result(&document, &asked(ENCRYPTED, &[])), '?');
    set(&mut document, |point| point.lifecycle.delete_after_days = None);
    assert_eq!(words(document.clone(), &keeps("36500")), "COMPLIANT: its retention is unlimited");
    set(&mut document, |point| point.unread.push(RecoveryPointPart::Lifecycle));
    assert_eq!(result(&document, &keeps("1")), '?');
    set(&mut document, |point| point.status = RecoveryPointStatus::Deleting);
    assert!(verdicts(document, &keeps("1")).is_empty());
}

fn copy_to(region: &str, account: &str) -> CopyAction {
    CopyAction {
        vault: format!("arn:aws:backup:{region}:{account}:backup-vault:copies"),
        lifecycle: Lifecycle::default(),
    }
}

#[test]
fn copies_must_reach_other_or_each_listed_region() {
    let any = asked(CROSS_REGION, &[]);
    let two = asked(CROSS_REGION, &[("crossRegionList", "us-east-1,eu-central-1")]);
    let mut document = covered();
    assert_eq!(
        words(document.clone(), &any),
        "NON_COMPLIANT: the plan `gold` does not copy its backups to another Region or account"
    );
    document.plans[0].rules[0].copies.push(copy_to("eu-west-1", "444455556666"));
    assert_eq!(result(&document, &any), '-', "the same Region");
    document.plans[0].rules[0].copies.push(copy_to("us-east-1", "111122223333"));
    assert_eq!(result(&document, &any), '+');
    assert_eq!(
        words(document.clone(), &two),
        "NON_COMPLIANT: the plan `gold` does not copy its backups to eu-central-1"
    );
    // Another plan may make the other copy.
    let mut other = plan(vec![selection(&["*"], &[], &[])]);
    other.name = "silver".to_owned();
    other.rules[0].copies.push(copy_to("eu-central-1", "111122223333"));
    document.plans.push(other);
    assert_eq!(result(&document, &two), '+');
    // But a plan that does not select the resource does not count.
    document.plans[1].selections[0].not_resources.push("*".to_owned());
    assert_eq!(result(&document, &two), '-');
    document.plans[1].selections[0].unread.push(SelectionPart::NotResources);
    assert_eq!(result(&document, &two), '-', "left out, whatever else is");
    document.plans[1].selections[0].not_resources.clear();
    assert_eq!(
        words(document.clone(), &two),
        "UNDECIDED: unknown: NotResources of the selection `selection` of the plan `silver`"
    );
    assert_eq!(result(&document, &any), '+', "known without it");
    // A vault name that is known only at deployment.
    document.plans.truncate(1);
    document.plans[0].rules[0].copies[1].vault = "vault".to_owned();
    assert_eq!(words(document, &any), "UNDECIDED: unknown: the target of copies to `vault`");
}

#[test]
fn copies_must_reach_other_or_each_listed_account() {
    let any = asked(CROSS_ACCOUNT, &[]);
    let listed = asked(CROSS_ACCOUNT, &[("crossAccountList", "444455556666")]);
    let mut document = covered();
    document.plans[0].rules[0].copies.push(copy_to("us-east-1", "111122223333"));
    assert_eq!(result(&document, &any), '-');
    document.plans[0].rules[0].copies.push(copy_to("eu-west-1", "777788889999"));
    assert_eq!(result(&document, &any), '+');
    assert_eq!(result(&document, &listed), '-');
    document.plans[0].rules[0].copies.push(copy_to("eu-west-1", "444455556666"));
    assert_eq!(result(&document, &listed), '+');
    document.plans[0].rules[0].copies.truncate(1);
    document.plans[0].rules[0].unread.push(RulePart::Copies);
    assert_eq!(result(&document, &listed), '?');
    // A resource without a plan gets that reason first.
    document.plans[0].selections.clear();
    assert!(words(document, &listed).starts_with("NON_COMPLIANT: no plan selects it"));
}

#[test]
fn ontap_copies_are_not_evaluated() {
    let mut document = covered();
    document.resources = vec![resource("file-system/fsx1", &[])];
    document.resources[0].engine = Some("ONTAP".to_owned());
    assert!(verdicts(document.clone(), &asked(CROSS_REGION, &[])).is_empty());
    assert_eq!(result(&document, &asked(COVERAGE, &[])), '+');
}

#[test]
fn vault_lock_must_be_within_bounds() {
    let any = asked(LOCK, &[]);
    let within = |min: &str, max: &str| asked(LOCK, &[("minRetentionDays", min), ("maxRetentionDays", max)]);
    let mut document = covered();
    assert_eq!(result(&document, &any), '-');
    document.vaults[0].lock =
        Some(Lock { min_retention_days: Some(7), max_retention_days: Some(90), ..Lock::default() });
    assert_eq!(result(&document, &any), '+');
    assert_eq!(result(&document, &within("7", "90")), '+');
    assert_eq!(result(&document, &within("8", "90")), '-');
    assert_eq!(result(&document, &within("7", "89")), '-');
    document.vaults[0].lock = Some(Lock::default());
    assert_eq!(result(&document, &any), '+');
    assert_eq!(result(&document, &within("1", "36500")), '+', "the bounds that there are anyway");
    assert_eq!(
        words(document.clone(), &within("2", "36500")),
        "NON_COMPLIANT: the plan `gold` does not store its backups in a vault with the required lock: the lock of `default` \
         has a minimum of none; 2 are required"
    );
    assert_eq!(result(&document, &within("1", "36499")), '-');
    document.vaults[0].lock = None;
    unread(&mut document, LocationPart::VaultLocks);
    assert_eq!(words(document.clone(), &any), "UNDECIDED: unknown: the lock of the vault `default`");
    document.vaults[0].kind = VaultKind::AirGapped;
    assert_eq!(result(&document, &any), '+', "an air-gapped vault is locked");
    assert_eq!(result(&document, &within("1", "36500")), '?');
    document.vaults.clear();
    assert!(words(document.clone(), &any).ends_with("with the required lock: the vault `default` does not exist"));
    unread(&mut document, LocationPart::Vaults);
    assert_eq!(words(document, &any), "UNDECIDED: unknown: the vault `default`");
}

#[test]
fn last_recovery_point_must_be_recent() {
    let hours = |hours: &str| asked(LAST, &[("recoveryPointAgeValue", hours), ("recoveryPointAgeUnit", "hours")]);
    let mut document = covered();
    let arn = document.resources[0].arn.clone();
    assert_eq!(result(&document, &asked(LAST, &[])), '-');
    document.recovery_points =
        vec![point("arn:aws:dynamodb:eu-west-1:111122223333:table/other", 1), point(&arn, 25), point(&arn, 48)];
    assert_eq!(result(&document, &hours("25")), '+', "just");
    assert_eq!(
        words(document.clone(), &asked(LAST, &[])),
        "NON_COMPLIANT: its newest recovery point is 25 hours old; the maximum is 1 day"
    );
    // A recovery point in another location does not count.
    document.recovery_points.push(RecoveryPoint { region: RegionName::parse("us-east-1").unwrap(), ..point(&arn, 1) });
    document
        .recovery_points
        .push(RecoveryPoint { account: AccountId::parse("444455556666").unwrap(), ..point(&arn, 1) });
    assert_eq!(result(&document, &asked(LAST, &[])), '-');
    document.recovery_points.push(RecoveryPoint { status: RecoveryPointStatus::Partial, ..point(&arn, 1) });
    assert_eq!(result(&document, &asked(LAST, &[])), '-');
    document.recovery_points.push(RecoveryPoint { status: RecoveryPointStatus::Available, ..point(&arn, 900) });
    assert_eq!(result(&document, &asked(LAST, &[])), '?', "continuous");
    document.recovery_points.pop();
    unread(&mut document, LocationPart::RecoveryPoints);
    assert_eq!(result(&document, &asked(LAST, &[])), '?');
    assert_eq!(result(&document, &asked(LAST, &[("recoveryPointAgeValue", "2")])), '+', "known without the others");
}

#[test]
fn last_restore_must_meet_the_target() {
    let asked = |minutes: &str| asked(RESTORE, &[("maxRestoreTime", minutes)]);
    let mut document = covered();
    let restore = |hours, minutes| Restore {
        resource: "arn:aws:dynamodb:eu-west-1:111122223333:table/orders".to_owned(),
        completed: ago(hours),
        minutes,
    };
    assert_eq!(result(&document, &asked("720")), '?', "AWS does not say what never restored comes to");
    document.restores = vec![restore(5, 720), restore(50, 1)];
    assert_eq!(result(&document, &asked("720")), '+');
    assert_eq!(
        words(document.clone(), &asked("719")),
        "NON_COMPLIANT: its last restore took 720 minutes; the maximum is 719"
    );
    let without = super::world::asked(RESTORE, &[]);
    assert_eq!(words(document, &without), "UNDECIDED: unknown: the parameter `maxRestoreTime` of the control");
}

#[test]
fn air_gapped_recovery_point_must_be_recent() {
    let week = asked(AIR_GAPPED, &[("recoveryPointAgeValue", "7"), ("recoveryPointAgeUnit", "days")]);
    let mut document = covered();
    assert_eq!(verdicts(document.clone(), &week).len(), 0, "AWS Config has no rule for tables");
    document.resources[0] = resource("volume/orders", &[]);
    let arn = document.resources[0].arn.clone();
    document.recovery_points.push(point(&arn, 24));
    assert_eq!(result(&document, &week), '-', "an ordinary vault");
    document.recovery_points.push(RecoveryPoint { vault: "copies".to_owned(), ..point(&arn, 7 * 24) });
    assert_eq!(words(document.clone(), &week), "UNDECIDED: unknown: the vault `copies`");
    document.recovery_points[1].vault_kind = Some(VaultKind::AirGapped);
    assert_eq!(result(&document, &week), '+');
    document.recovery_points[1].vault_kind = None;
    let mut copies = vault("copies");
    copies.kind = VaultKind::AirGapped;
    document.vaults.push(copies);
    assert_eq!(result(&document, &week), '+');
    document.recovery_points[1].created = ago(7 * 24 + 1);
    assert_eq!(result(&document, &week), '-');
    // Copies are in other accounts.
    document.locations.push(evaluation::inventory::document::LocationRecord {
        account: AccountId::parse("999999999999").unwrap(),
        unread: vec![Unread { part: LocationPart::RecoveryPoints, reason: "AccessDenied".to_owned() }],
        ..document.locations[0].clone()
    });
    assert_eq!(
        words(document, &week),
        "UNDECIDED: unknown: all recovery points of account 999999999999 in eu-west-1 (AccessDenied)"
    );
}

#[test]
fn rejected_lifecycles_are_undecided() {
    let often_and_long = |lifecycle: Lifecycle, continuous: bool, days: &str| {
        let mut document = document();
        let mut plan = plan(Vec::new());
        plan.rules[0].lifecycle = lifecycle;
        plan.rules[0].continuous = continuous;
        document.plans.push(plan);
        result(&document, &asked(FREQUENCY, &[("requiredRetentionDays", days)]))
    };
    let lifecycle = |cold, delete| Lifecycle { cold_after_days: cold, delete_after_days: delete };
    for (cold, delete, expected) in [
        (Some(30), Some(120), '+'),
        (Some(30), Some(119), '?'),
        (Some(30), Some(-1), '+'),
        (Some(30), None, '+'),
        (Some(-1), Some(35), '+'),
        (None, Some(-1), '+'),
        (None, Some(-5), '?'),
        (None, Some(0), '?'),
        (Some(-2), None, '?'),
    ] {
        assert_eq!(often_and_long(lifecycle(cold, delete), false, "35"), expected, "{cold:?} {delete:?}");
    }
    // Continuous backups are kept for at most 35 days.
    assert_eq!(often_and_long(lifecycle(None, Some(35)), true, "35"), '+');
    assert_eq!(often_and_long(lifecycle(None, Some(365)), true, "36"), '?');
    assert_eq!(often_and_long(lifecycle(None, Some(35)), true, "36"), '-');
}

#[test]
fn resource_without_engine_is_undecided() {
    let mut document = covered();
    let mut cluster = resource("cluster:orders", &[]);
    cluster.engine = None;
    let mut member = resource("db:orders-1", &[]);
    member.cluster = Some(cluster.arn.clone());
    document.resources = vec![cluster, member];
    let judged =
        |document: &Document| verdicts(document.clone(), &asked(COVERAGE, &[])).into_values().collect::<String>();
    assert_eq!(judged(&document), "??");
    for (engine, expected) in [("aurora-postgresql", "++"), ("mysql", "++"), ("neptune", ""), ("docdb", "")] {
        document.resources[0].engine = Some(engine.to_owned());
        assert_eq!(judged(&document), expected, "{engine}: a member is what its cluster is");
    }
}

#[test]
fn control_scope_filters_by_type_tag_or_id() {
    let mut document = covered();
    document.resources =
        vec![resource("table/a", &["stage=prod"]), resource("volume/b", &["stage=test"]), resource("bucket", &[])];
    document.resources[1].id = Some("vol-1".to_owned());
    document.resources[2].unread.push(evaluation::inventory::document::ResourcePart::Tags);
    let judged = |scope: QueryScope| {
        let asked = ControlQuery { scope, ..asked(COVERAGE, &[]) };
        let verdicts = verdicts(document.clone(), &asked);
        verdicts.iter().map(|(id, sign)| format!("{}{sign}", id.rsplit(['/', ':']).next().unwrap())).collect::<Vec<_>>()
    };
    let tag = |value: Option<&str>| QueryScope::Tag {
        key: "stage".to_owned(),
        value: value.map(str::to_owned),
        types: Vec::new(),
    };
    assert_eq!(judged(QueryScope::All), ["a+", "bucket+", "vol-1+"]);
    let types = || vec!["AWS::EC2::Volume".to_owned()];
    let both = QueryScope::Tag { key: "stage".to_owned(), value: None, types: types() };
    assert_eq!(judged(both), ["a?", "bucket?", "vol-1+"], "of another type, with the tag: AWS does not say");
    assert_eq!(judged(QueryScope::Resource { id: "vol-1".to_owned(), types: types() }), ["vol-1+"]);
    let other = vec!["AWS::S3::Bucket".to_owned()];
    assert!(
        judged(QueryScope::Resource { id: "vol-1".to_owned(), types: other }).is_empty(),
        "ids of types can be alike"
    );
    assert_eq!(judged(QueryScope::Types(vec!["AWS::EC2::Volume".to_owned()])), ["vol-1+"]);
    assert_eq!(judged(tag(Some("prod"))), ["a+", "bucket?"], "whose tags nobody has read may have this one");
    assert_eq!(judged(tag(None)), ["a+", "bucket?", "vol-1+"]);
    assert_eq!(judged(QueryScope::Resource { id: "vol-1".to_owned(), types: Vec::new() }), ["vol-1+"]);
    assert_eq!(judged(QueryScope::Unknown), ["a?", "bucket?", "vol-1?"]);
}

#[test]
fn inactive_resources_are_not_evaluated() {
    let mut document = covered();
    document.resources[0].active = false;
    assert!(verdicts(document, &asked(COVERAGE, &[])).is_empty());
}

#[test]
fn unread_location_is_undecided() {
    let mut document = covered();
    document.locations.clear();
    document.plans.clear();
    assert_eq!(
        words(document.clone(), &asked(COVERAGE, &[])),
        "UNDECIDED: unknown: anything of account 111122223333 in eu-west-1"
    );
    let inventory = inventory(&document);
    assert_eq!(inventory.gaps().len(), 1);
}

#[test]
fn coverage_is_undecided_with_aggregator_data_only() {
    let mut document = document();
    document.resources.push(resource("table/orders", &["backup=true"]));
    let mut of_config = selection(&[], &[], &[]);
    of_config.unread = vec![SelectionPart::ListOfTags, SelectionPart::Conditions];
    document.plans.push(plan(vec![of_config]));
    assert_eq!(
        words(document.clone(), &asked(COVERAGE, &[])),
        "UNDECIDED: unknown: ListOfTags of the selection `selection` of the plan `gold`; Conditions of the selection `selection` \
         of the plan `gold`"
    );
    document.plans[0].selections[0].not_resources.push("arn:aws:dynamodb:*".to_owned());
    assert_eq!(result(&document, &asked(COVERAGE, &[])), '-', "left out for certain");
    document.plans[0].selections.push(with(selection(&["*"], &[], &[]), [&["backup=true"], &[], &[], &[]]));
    assert_eq!(result(&document, &asked(COVERAGE, &[])), '+');
}

/// Every control of the catalog yields evaluations, in a stable order.
#[test]
fn evaluations_are_in_a_stable_order() {
    let mut document = covered();
    document.recovery_points.push(point("arn:aws:dynamodb:eu-west-1:111122223333:table/orders", 1));
    let asked: Vec<ControlQuery> = framework::control::CONTROLS
        .iter()
        .map(|control| {
            let mut asked = ControlQuery::everything(control);
            asked.parameters.insert("maxRestoreTime".to_owned(), "60".to_owned());
            asked
        })
        .collect();
    let inventory = inventory(&document);
    let evaluator = Evaluator::new(&inventory, &asked);
    let evaluations = all(&evaluator);
    let questions: Vec<usize> = evaluations.iter().map(|evaluation| evaluation.query_index).collect();
    // AWS Config has no rule of the last control for tables.
    assert_eq!(questions, [0, 5, 6, 7, 8, 9, 1, 2, 3, 4]);
    assert!(
        !evaluations.iter().any(|evaluation| evaluation.result.to_string().contains("ControlName")),
        "{evaluations:?}"
    );
    assert_eq!(evaluations, all(&evaluator));
}
