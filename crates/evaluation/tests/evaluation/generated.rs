//! Generated documents with small alphabets, so that matches and mismatches are both common.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde_json::{Value, json};

use evaluation::inventory::document::{
    CopyAction, Document, Lifecycle, LocationRecord, Lock, LockMode, Plan, RecoveryPoint, RecoveryPointStatus,
    Resource, Restore, Rule, Selection, TagValue, Vault, VaultKind,
};
use framework::ids::{AccountId, RegionName};

use super::naive::SCHEDULES;
use super::world::{ACCOUNT, REGION, SERVICES, as_of, resource};

/// A random number generator (SplitMix64): the seed determines the document.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    pub(crate) fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    fn one_of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Returns a count up to a maximum, uniformly.
    fn some<T>(&mut self, most: usize, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        if self.one_in(2) {
            return Vec::new();
        }
        let count = 1 + self.below(most);
        (0..count).map(|_| one(self)).collect()
    }
}

pub(crate) const KEYS: [&str; 2] = ["k", "l"];
pub(crate) const VALUES: [&str; 4] = ["x", "y", "xy", "yx"];
const PATTERNS: [&str; 7] = ["x", "x*", "*y", "*", "*x*", "x*y", "X"];
const RESOURCES: [&str; 9] = [
    "volume/a",
    "volume/ab",
    "instance/a",
    "cluster:a",
    "db:a",
    "table/ab",
    "bucket-a",
    "file-system/fsx-a",
    "file-system/b",
];
const ARNS: [&str; 14] = [
    "*",
    "arn:aws:ec2:*",
    "arn:aws:ec2:*:*:volume/*",
    "arn:aws:ec2:*:*:*/a",
    "arn:aws:rds:*",
    "arn:aws:rds:*:*:db:*",
    "arn:aws:rds:*:*:cluster:*",
    "arn:aws:s3:::*",
    "arn:aws:s3:*",
    "arn:aws:fsx:*",
    "arn:aws:fsx:*:*:file-system/*",
    "arn:aws:dynamodb:*:*:table/*b",
    "*a",
    "arn:aws:*:eu-west-1:*",
];
const REGIONS: [&str; 2] = [REGION, "us-east-1"];
const ACCOUNTS: [&str; 2] = [ACCOUNT, "444455556666"];
const VAULTS: [&str; 2] = ["default", "locked"];

fn tag_value(dice: &mut Dice, values: &[&str]) -> TagValue {
    TagValue { key: (dice.pick(&KEYS)).to_owned(), value: (dice.pick(values)).to_owned() }
}

fn condition(dice: &mut Dice, values: &[&str]) -> TagValue {
    let TagValue { key, value } = tag_value(dice, values);
    TagValue { key: format!("aws:ResourceTag/{key}"), value }
}

fn lifecycle(dice: &mut Dice) -> Lifecycle {
    Lifecycle {
        cold_after_days: dice.one_in(4).then_some(1),
        delete_after_days: dice.pick(&[None, Some(-1), Some(7), Some(34), Some(35), Some(100)]),
    }
}

fn any_resource(dice: &mut Dice) -> Resource {
    let mut it = resource(dice.pick(&RESOURCES), &[]);
    for key in KEYS {
        if dice.one_in(2) {
            it.tags.insert(key.to_owned(), Some((dice.pick(&VALUES)).to_owned()));
        }
    }
    if it.arn.contains(":cluster:") {
        it.engine = dice
            .pick(&[None, None, Some("aurora-mysql"), Some("mysql"), Some("neptune"), Some("docdb")])
            .map(str::to_owned);
    }
    if it.arn.contains(":fsx:") {
        it.engine = dice.pick(&[None, Some("WINDOWS"), Some("ONTAP"), Some("OPENZFS")]).map(str::to_owned);
    }
    it.active = !dice.one_in(10);
    if dice.one_in(3) {
        it.latest_restore_minutes = Some(dice.pick(&[59, 60, 61]));
    }
    if dice.one_in(2) {
        let is_managed = dice.one_in(2);
        let key = if is_managed { "of-aws" } else { "of-customer" };
        it.aws_managed_key = Some(is_managed);
        it.encryption_key = Some(format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/{key}"));
    }
    it
}

fn arn_pattern(dice: &mut Dice) -> String {
    if dice.one_in(3) { resource(dice.pick(&RESOURCES), &[]).arn } else { (dice.pick(&ARNS)).to_owned() }
}

pub(crate) fn any_selection(dice: &mut Dice) -> Selection {
    let mut selection = Selection { name: format!("s{}", dice.below(100)), ..Selection::default() };
    selection.resources = dice.some(2, arn_pattern);
    selection.list_of_tags = dice.some(2, |dice| match dice.one_in(3) {
        true => condition(dice, &VALUES),
        false => tag_value(dice, &VALUES),
    });
    if dice.one_in(3) {
        selection.not_resources = dice.some(2, arn_pattern);
    }
    if dice.one_in(2) {
        let conditions = &mut selection.conditions;
        match dice.below(5) {
            0 => conditions.string_equals = dice.some(2, |dice| condition(dice, &VALUES)),
            1 => conditions.string_not_equals = dice.some(2, |dice| condition(dice, &VALUES)),
            2 => conditions.string_like = dice.some(2, |dice| condition(dice, &PATTERNS)),
            3 => conditions.string_not_like = dice.some(2, |dice| condition(dice, &PATTERNS)),
            _ => {
                conditions.string_like = dice.some(2, |dice| condition(dice, &PATTERNS));
                conditions.string_not_like = dice.some(1, |dice| condition(dice, &PATTERNS));
                conditions.string_not_equals = dice.some(2, |dice| condition(dice, &VALUES));
            }
        }
    }
    selection
}

fn location(dice: &mut Dice) -> (AccountId, RegionName) {
    // Mostly one location, so that items meet.
    let far = dice.one_in(6);
    let account = if far { dice.pick(&ACCOUNTS) } else { ACCOUNT };
    let region = if far { dice.pick(&REGIONS) } else { REGION };
    (AccountId::parse(account).unwrap(), RegionName::parse(region).unwrap())
}

fn any_rule(dice: &mut Dice) -> Rule {
    Rule {
        name: "rule".to_owned(),
        schedule: if dice.one_in(4) { None } else { Some(dice.pick(&SCHEDULES).0.to_owned()) },
        target_vault: (dice.pick(&["default", "locked", "missing"])).to_owned(),
        target_air_gapped_vault: dice.one_in(6).then(|| {
            format!("arn:aws:backup:{REGION}:{ACCOUNT}:backup-vault:{}", dice.pick(&["gapped", "locked", "missing"]))
        }),
        lifecycle: lifecycle(dice),
        continuous: dice.one_in(6),
        copies: dice.some(2, |dice| CopyAction {
            vault: format!("arn:aws:backup:{}:{}:backup-vault:copies", dice.pick(&REGIONS), dice.pick(&ACCOUNTS)),
            lifecycle: Lifecycle::default(),
        }),
        ..Rule::default()
    }
}

fn any_plan(dice: &mut Dice, number: usize) -> Plan {
    let (account, region) = location(dice);
    Plan {
        id: format!("plan-{number}"),
        name: format!("plan {number}"),
        account,
        region,
        tags: BTreeMap::new(),
        rules: (0..=dice.below(2)).map(|_| any_rule(dice)).collect(),
        selections: dice.some(2, any_selection),
        unread: Vec::new(),
    }
}

fn any_vault(dice: &mut Dice, name: &str, account: &str, region: &str) -> Vault {
    let days = |dice: &mut Dice| dice.pick(&[None, Some(7), Some(30), Some(365)]);
    let lock = dice.one_in(2).then(|| Lock {
        min_retention_days: days(dice),
        max_retention_days: days(dice),
        mode: LockMode::Governance,
    });
    Vault {
        kind: if dice.one_in(3) { VaultKind::AirGapped } else { VaultKind::Ordinary },
        lock,
        policy: if dice.one_in(4) { None } else { Some(any_policy(dice)) },
        account: AccountId::parse(account).unwrap(),
        region: RegionName::parse(region).unwrap(),
        ..super::world::vault(name)
    }
}

const ACTIONS: [&str; 6] = [
    "backup:DeleteRecoveryPoint",
    "backup:Update*",
    "backup:PutBackupVaultAccessPolicy",
    "BACKUP:*",
    "backup:Describe*",
    "*Policy",
];
const ADMINS: [&str; 2] = ["arn:aws:iam::111122223333:role/admin", "arn:aws:iam::111122223333:role/other"];
const WILD: [&str; 3] = ["*", "arn:aws:iam::*:role/*", "arn:aws:iam::111122223333:role/a*"];

/// A statement of a vault policy, correct except for random changes.
fn any_statement(dice: &mut Dice) -> Value {
    let mut statement = json!({ "Effect": "Deny", "Principal": "*", "Action": "backup:*", "Resource": "*" });
    if dice.one_in(10) {
        statement["Effect"] = json!("Allow");
    }
    let actions: Vec<&str> = match dice.below(4) {
        0 => ACTIONS[..3].to_vec(),
        1 => (0..=dice.below(3)).map(|_| dice.pick(&ACTIONS)).collect(),
        _ => vec!["backup:*"],
    };
    statement["Action"] = json!(actions);
    let kept = statement.as_object_mut().unwrap();
    if dice.one_in(8) {
        kept.remove("Action");
        kept.insert("NotAction".to_owned(), json!(dice.pick(&ACTIONS)));
    }
    match dice.below(16) {
        0 => drop(kept.insert("Principal".to_owned(), json!({ "AWS": ADMINS[0] }))),
        1 => drop(kept.insert("Principal".to_owned(), json!({ "AWS": [ADMINS[0], "*"] }))),
        2 => drop(kept.insert("Principal".to_owned(), json!({ "Service": "*" }))),
        3 => drop(kept.remove("Principal")),
        4 => {
            kept.remove("Principal");
            kept.insert("NotPrincipal".to_owned(), json!({ "AWS": ADMINS[0] }));
        }
        _ => {}
    }
    match dice.below(12) {
        0 => drop(kept.insert("Resource".to_owned(), json!("arn:aws:backup:*:*:recovery-point:*"))),
        1 => drop(kept.insert("Resource".to_owned(), json!(["arn:aws:backup:x", "*"]))),
        2 => drop(kept.insert("Resource".to_owned(), json!("arn:aws:backup:x"))),
        3 => drop(kept.remove("Resource")),
        _ => {}
    }
    let conditions: serde_json::Map<String, Value> = dice
        .some(2, |dice| {
            let literal = || ["StringEquals", "StringNotEquals", "StringNotEquals", "Null"];
            let wild = || ["StringLike", "StringNotLike", "ArnLike", "ArnNotLike", "ArnEquals", "ArnNotEquals"];
            let (operator, values) = if dice.one_in(2) {
                (dice.pick(&literal()), (0..=dice.below(2)).map(|_| dice.pick(&ADMINS)).collect::<Vec<_>>())
            } else {
                let any = |dice: &mut Dice| if dice.one_in(3) { dice.pick(&WILD) } else { dice.pick(&ADMINS) };
                (dice.pick(&wild()), (0..=dice.below(2)).map(|_| any(dice)).collect())
            };
            let key = if dice.one_in(8) { "aws:userId" } else { "aws:PrincipalArn" };
            (operator.to_owned(), json!({ key: values }))
        })
        .into_iter()
        .collect();
    if !conditions.is_empty() {
        kept.insert("Condition".to_owned(), conditions.into());
    }
    statement
}

fn any_policy(dice: &mut Dice) -> Value {
    let statements: Vec<Value> = (0..=dice.below(3)).map(|_| any_statement(dice)).collect();
    json!({ "Version": "2012-10-17", "Statement": statements })
}

fn any_point(dice: &mut Dice, number: usize, resources: &[Resource]) -> RecoveryPoint {
    let (account, region) = location(dice);
    let status = [RecoveryPointStatus::Completed, RecoveryPointStatus::Partial, RecoveryPointStatus::Available];
    let status = if dice.one_in(2) { RecoveryPointStatus::Completed } else { dice.pick(&status) };
    let created = as_of() - SignedDuration::from_hours(dice.pick(&[0, 1, 23, 24, 25, 48, 49, 170, -1]));
    RecoveryPoint {
        arn: format!("point-{number}"),
        resource: dice.one_of(resources).arn.clone(),
        account,
        region,
        vault: (dice.pick(&VAULTS)).to_owned(),
        vault_kind: None,
        tags: BTreeMap::new(),
        created,
        completed: Some(created),
        status: if dice.one_in(10) { RecoveryPointStatus::Deleting } else { status },
        lifecycle: lifecycle(dice),
        encrypted: dice.pick(&[Some(true), Some(false), None]),
        unread: Vec::new(),
    }
}

/// A document without unread parts.
pub(crate) fn any_document(dice: &mut Dice) -> Document {
    let mut document = Document::new(as_of());
    for account in ACCOUNTS {
        for region in REGIONS {
            let opt_in = SERVICES.iter().map(|service| ((*service).to_owned(), !dice.one_in(5))).collect();
            document.locations.push(LocationRecord {
                account: AccountId::parse(account).unwrap(),
                region: RegionName::parse(region).unwrap(),
                opt_in,
                unread: Vec::new(),
            });
            for name in VAULTS {
                document.vaults.push(any_vault(dice, name, account, region));
            }
        }
    }
    for _ in 0..=dice.below(3) {
        let it = any_resource(dice);
        if !document.resources.iter().any(|other| other.arn == it.arn) {
            document.resources.push(it);
        }
    }
    let cluster = document.resources.iter().find(|it| it.arn.contains(":cluster:")).map(|it| it.arn.clone());
    if let Some(cluster) = cluster
        && dice.one_in(2)
    {
        for it in document.resources.iter_mut().filter(|it| it.arn.contains(":db:")) {
            it.cluster = Some(cluster.clone());
        }
    }
    let plans = dice.below(4);
    document.plans = (0..plans).map(|number| any_plan(dice, number)).collect();
    let points = dice.below(4);
    document.recovery_points = (0..points).map(|number| any_point(dice, number, &document.resources)).collect();
    let restores = dice.below(3);
    document.restores = (0..restores)
        .map(|number| Restore {
            resource: dice.one_of(&document.resources).arn.clone(),
            completed: as_of() - SignedDuration::from_hours(number as i64 * 5),
            minutes: dice.pick(&[59, 60, 61]),
        })
        .collect();
    document
}

/// Parameters of a control, or its defaults.
pub(crate) fn any_parameters(dice: &mut Dice, control: &str) -> BTreeMap<String, String> {
    let mut parameters = BTreeMap::new();
    let mut set = |name: &str, value: &str| drop(parameters.insert(name.to_owned(), value.to_owned()));
    match control {
        "RESTORE_TIME_FOR_RESOURCES_MEET_TARGET" => set("maxRestoreTime", "60"),
        _ if dice.one_in(3) => {}
        "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK" => {
            let (unit, value) = dice.pick(&[("hours", "12"), ("hours", "24"), ("days", "3"), ("days", "31")]);
            set("requiredFrequencyUnit", unit);
            set("requiredFrequencyValue", value);
            set("requiredRetentionDays", dice.pick(&["7", "34", "36"]));
        }
        "BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK" => set("requiredRetentionDays", dice.pick(&["7", "34", "36"])),
        "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED" => {
            set("principalArnList", dice.pick(&[ADMINS[0], &ADMINS.join(",")]));
        }
        "BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION" => {
            set("crossRegionList", dice.pick(&["us-east-1", "eu-west-1,us-east-1"]));
        }
        "BACKUP_RESOURCES_PROTECTED_BY_CROSS_ACCOUNT" => set("crossAccountList", dice.pick(&ACCOUNTS)),
        "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK" => {
            if dice.one_in(2) {
                set("minRetentionDays", dice.pick(&["1", "7"]));
            }
            if dice.one_in(2) {
                set("maxRetentionDays", dice.pick(&["30", "100", "36500"]));
            }
        }
        "BACKUP_LAST_RECOVERY_POINT_CREATED" | "RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT" => {
            let (unit, value) = dice.pick(&[("hours", "24"), ("days", "2"), ("days", "7")]);
            set("recoveryPointAgeUnit", unit);
            set("recoveryPointAgeValue", value);
        }
        _ => {}
    }
    parameters
}
