//! A naive second implementation of the controls from the text of the rules: recursion for `*`, loops over everything,
//! no preparation. It supports complete documents only and ignores `unread`.

use std::collections::BTreeMap;

use evaluation::inventory::document::{
    Document, Lifecycle, Plan, RecoveryPointStatus, Resource, Selection, TagValue, Vault, VaultKind,
};

/// This file is also part of a test of another package, and the path is valid in both.
#[path = "naive_policy.rs"]
mod policy;

/// `Some` for a result; `None` for cases that AWS does not document.
pub(crate) type Answer = Option<bool>;

pub(crate) fn like(pattern: &str, text: &str) -> bool {
    let mut chars = pattern.chars();
    match chars.next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = chars.as_str();
            like(rest, text) || (!text.is_empty() && like(pattern, &text[text.chars().next().unwrap().len_utf8()..]))
        }
        Some(own) => text.starts_with(own) && like(chars.as_str(), &text[own.len_utf8()..]),
    }
}

fn tag<'a>(resource: &'a Resource, key: &str) -> Option<&'a str> {
    resource.tags.get(key).map(|value| value.as_deref().unwrap())
}

/// Opt-in service, service and kind in the ARN, and whether other services share the ARN format.
fn service(resource: &Resource) -> Option<(&'static str, &'static str, &'static str, bool)> {
    Some(match (resource.kind.as_str(), resource.engine.as_deref()) {
        ("AWS::RDS::DBCluster", Some("neptune")) => ("Neptune", "rds", "cluster:", true),
        ("AWS::RDS::DBCluster", Some("docdb")) => ("DocumentDB", "rds", "cluster:", true),
        ("AWS::RDS::DBCluster", None | Some("aurora-mysql" | "aurora-postgresql")) => {
            ("Aurora", "rds", "cluster:", true)
        }
        ("AWS::RDS::DBCluster", Some(_)) => ("RDS", "rds", "cluster:", true),
        ("AWS::RDS::DBInstance", _) => ("RDS", "rds", "db:", false),
        ("AWS::EC2::Volume", _) => ("EBS", "ec2", "volume/", false),
        ("AWS::EC2::Instance", _) => ("EC2", "ec2", "instance/", false),
        ("AWS::DynamoDB::Table", _) => ("DynamoDB", "dynamodb", "table/", false),
        ("AWS::S3::Bucket", _) => ("S3", "s3", "", false),
        ("AWS::FSx::FileSystem", Some("OPENZFS")) => ("FSx for OpenZFS", "fsx", "file-system/", true),
        ("AWS::FSx::FileSystem", _) => ("FSx", "fsx", "file-system/", true),
        ("AWS::EFS::FileSystem", _) => ("EFS", "elasticfilesystem", "file-system/", false),
        ("AWS::StorageGateway::Volume", _) => ("Storage Gateway", "storagegateway", "gateway/", false),
        ("AWS::BackupGateway::VirtualMachine", _) => ("VirtualMachine", "backup-gateway", "vm/", false),
        _ => return None,
    })
}

fn opted_in(document: &Document, resource: &Resource) -> bool {
    let (name, ..) = service(resource).unwrap();
    let location = document
        .locations
        .iter()
        .find(|location| location.account.as_str() == resource.account && location.region.as_str() == resource.region);
    location.unwrap().opt_in[name]
}

fn names_the_type(pattern: &str, resource: &Resource) -> bool {
    let (_, service, kind, _) = service(resource).unwrap();
    let parts: Vec<&str> = pattern.split(':').collect();
    parts.len() >= 6 && parts[2] == service && parts[5..].join(":").starts_with(kind)
}

/// Returns whether a selection selects a resource for certain.
pub(crate) fn selected(document: &Document, resource: &Resource, selection: &Selection) -> bool {
    selected_by(document, resource, selection, false)
}

/// AWS Backup asks to tag the volumes of FSx for ONTAP, so that a tag of the file system may not count; nor may an entry
/// of `ListOfTags` whose key has the prefix of conditions, which AWS does not document.
fn selected_by(document: &Document, resource: &Resource, selection: &Selection, doubtful_tags_count: bool) -> bool {
    let arn = &resource.arn;
    let opted_in = opted_in(document, resource);
    let (_, _, _, shared) = service(resource).unwrap();
    let mut brought_in = false;
    if selection.resources.is_empty() && selection.list_of_tags.is_empty() && opted_in {
        brought_in = true;
    }
    for pattern in &selection.resources {
        if like(pattern, arn) {
            let needs_no_switch = names_the_type(pattern, resource) && !shared;
            brought_in |= needs_no_switch || opted_in;
        }
    }
    for TagValue { key, value } in &selection.list_of_tags {
        let bare = key.strip_prefix("aws:ResourceTag/");
        let doubtful = bare.is_some() || resource.engine.as_deref() == Some("ONTAP");
        let counts = !doubtful || doubtful_tags_count;
        if tag(resource, bare.unwrap_or(key)) == Some(value.as_str()) && opted_in && counts {
            brought_in = true;
        }
    }
    let mut left_out = false;
    for pattern in &selection.not_resources {
        if like(pattern, arn) {
            left_out = true;
        }
    }
    let mut conditions_hold = true;
    fn key(condition: &TagValue) -> &str {
        condition.key.strip_prefix("aws:ResourceTag/").unwrap()
    }
    for condition in &selection.conditions.string_equals {
        conditions_hold &= tag(resource, key(condition)) == Some(condition.value.as_str());
    }
    for condition in &selection.conditions.string_not_equals {
        conditions_hold &= tag(resource, key(condition)) != Some(condition.value.as_str());
    }
    for condition in &selection.conditions.string_like {
        conditions_hold &= tag(resource, key(condition)).is_some_and(|value| like(&condition.value, value));
    }
    for condition in &selection.conditions.string_not_like {
        conditions_hold &= !tag(resource, key(condition)).is_some_and(|value| like(&condition.value, value));
    }
    brought_in && conditions_hold && !left_out
}

/// The plans of each resource, those that back it up for certain and those that may, computed once for all controls,
/// because it dominates the time.
pub(crate) struct Plans<'a>(Vec<[Vec<&'a Plan>; 2]>);

impl<'a> Plans<'a> {
    pub(crate) fn of(document: &'a Document) -> Self {
        let of = |it: &Resource| {
            let certain = plans(document, it, false);
            let mut listed = document.plans.iter().flat_map(|plan| &plan.selections).flat_map(|own| &own.list_of_tags);
            let doubtful = it.engine.as_deref() == Some("ONTAP") || listed.any(|tag| tag.key.starts_with("aws:"));
            let possible = if doubtful { plans(document, it, true) } else { certain.clone() };
            [certain, possible]
        };
        Self(document.resources.iter().map(of).collect())
    }

    pub(crate) fn back_up(&self, document: &Document, resource: &Resource) -> &[Vec<&'a Plan>; 2] {
        &self.0[document.resources.iter().position(|it| std::ptr::eq(it, resource)).unwrap()]
    }
}

fn plans<'a>(document: &'a Document, resource: &Resource, doubtful_tags_count: bool) -> Vec<&'a Plan> {
    if service(resource).is_none() {
        return Vec::new();
    }
    let here = |plan: &&Plan| plan.account.as_str() == resource.account && plan.region.as_str() == resource.region;
    let selects = |selection: &Selection| selected_by(document, resource, selection, doubtful_tags_count);
    document.plans.iter().filter(here).filter(|plan| plan.selections.iter().any(selects)).collect()
}

/// Returns the cluster of a member, otherwise the resource itself.
pub(crate) fn stands_for<'a>(document: &'a Document, resource: &'a Resource) -> &'a Resource {
    match &resource.cluster {
        Some(arn) => document.resources.iter().find(|other| other.arn == *arn).unwrap(),
        None => resource,
    }
}

/// Identifies a vault: its name alone is not unique.
pub(crate) fn vault_key(vault: &Vault) -> String {
    format!("{} {} {}", vault.account, vault.region, vault.name)
}

/// Returns the results of a control by ARN, id or [`vault_key`].
/// Long because the naive evaluator is one function on purpose: it shares no code with the evaluator.
pub(crate) fn answers(
    document: &Document,
    plans_of: &Plans<'_>,
    control: &str,
    parameters: &BTreeMap<String, String>,
) -> BTreeMap<String, Answer> {
    let given = |name: &str| parameters.get(name).map(String::as_str);
    let number = |name: &str, default: i64| given(name).map_or(default, |value| value.parse().unwrap());
    let list = |name: &str| given(name).map(|list| list.split(',').collect::<Vec<_>>()).unwrap_or_default();
    let hours = |value: &str, unit: &str| number(value, 1) * if given(unit) == Some("hours") { 1 } else { 24 };
    let mut answers = BTreeMap::new();
    match control {
        "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK" => {
            for plan in &document.plans {
                let (mut met, mut doubtful) = (false, false);
                for rule in &plan.rules {
                    let often = longest_gap_minutes(rule.schedule.as_deref())
                        <= hours("requiredFrequencyValue", "requiredFrequencyUnit") * 60;
                    let required = number("requiredRetentionDays", 35);
                    let Some(long) = keeps(rule.lifecycle, required) else {
                        doubtful |= often || rule.continuous;
                        continue;
                    };
                    // Continuous backups are kept for at most 35 days, and AWS does not document whether their
                    // schedule counts.
                    let clear = !rule.continuous || (often && required <= 35);
                    met |= long && often && clear;
                    doubtful |= long && (often || rule.continuous) && !clear;
                }
                answers.insert(
                    plan.id.clone(),
                    if met {
                        Some(true)
                    } else if doubtful {
                        None
                    } else {
                        Some(false)
                    },
                );
            }
        }
        "BACKUP_RECOVERY_POINT_ENCRYPTED" => {
            for point in judged_points(document) {
                answers.insert(point.arn.clone(), point.encrypted);
            }
        }
        "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED" => {
            let exempt = list("principalArnList");
            for vault in document.vaults.iter().filter(|vault| vault.kind == VaultKind::Ordinary) {
                let answer = match &vault.policy {
                    Some(policy) => policy::is_protected(policy, &exempt),
                    None => Some(false),
                };
                answers.insert(vault_key(vault), answer);
            }
        }
        "BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK" => {
            for point in judged_points(document) {
                answers.insert(point.arn.clone(), keeps(point.lifecycle, number("requiredRetentionDays", 35)));
            }
        }
        _ => {
            for resource in document.resources.iter().filter(|resource| resource.active) {
                let it = stands_for(document, resource);
                let engine = it.engine.as_deref().or(resource.engine.as_deref());
                let asked_about = !matches!(engine, Some("neptune" | "docdb" | "OPENZFS"));
                let copies = control.ends_with("CROSS_REGION") || control.ends_with("CROSS_ACCOUNT");
                if service(resource).is_none() || !asked_about || (copies && engine == Some("ONTAP")) {
                    continue;
                }
                // AWS Config has no rule of these controls for these types.
                let without = match control {
                    "RESTORE_TIME_FOR_RESOURCES_MEET_TARGET" => {
                        ["AWS::StorageGateway::Volume", "AWS::BackupGateway::VirtualMachine", "-"]
                    }
                    "RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT" => {
                        ["AWS::RDS::DBInstance", "AWS::DynamoDB::Table", "AWS::FSx::FileSystem"]
                    }
                    _ => ["-"; 3],
                };
                if without.contains(&resource.kind.as_str()) {
                    continue;
                }
                // Ambiguous without an engine.
                if matches!(it.kind.as_str(), "AWS::RDS::DBCluster" | "AWS::FSx::FileSystem") && it.engine.is_none() {
                    answers.insert(resource.arn.clone(), None);
                    continue;
                }
                let answer_of = |plans: &[&Plan]| {
                    let copies: Vec<Vec<&str>> = plans
                        .iter()
                        .flat_map(|plan| plan.rules.iter().flat_map(|rule| rule.copies.iter()))
                        .map(|copy| copy.vault.split(':').collect())
                        .collect();
                    match control {
                        "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN" => Some(!plans.is_empty()),
                        "BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION" => {
                            Some(match list("crossRegionList").as_slice() {
                                [] => copies.iter().any(|vault| vault[3] != it.region),
                                wanted => wanted.iter().all(|region| copies.iter().any(|vault| vault[3] == *region)),
                            })
                        }
                        "BACKUP_RESOURCES_PROTECTED_BY_CROSS_ACCOUNT" => {
                            Some(match list("crossAccountList").as_slice() {
                                [] => copies.iter().any(|vault| vault[4] != it.account),
                                wanted => wanted.iter().all(|account| copies.iter().any(|vault| vault[4] == *account)),
                            })
                        }
                        "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK" => {
                            let mut answer = Some(false);
                            for rule in plans.iter().flat_map(|plan| &plan.rules) {
                                let vault = document.vaults.iter().find(|vault| {
                                    vault.name == rule.target_vault
                                        && vault.account.as_str() == it.account
                                        && vault.region.as_str() == it.region
                                });
                                let bounds = given("minRetentionDays").is_some() || given("maxRetentionDays").is_some();
                                if let Some(arn) = &rule.target_air_gapped_vault {
                                    // It is locked; its bounds are those of the vault, if the document has it.
                                    let name = arn.rsplit(':').next().unwrap();
                                    let own = document.vaults.iter().find(|vault| {
                                        vault.name == name
                                            && vault.kind == VaultKind::AirGapped
                                            && vault.account.as_str() == it.account
                                            && vault.region.as_str() == it.region
                                    });
                                    let lock = own.and_then(|vault| vault.lock);
                                    let within = lock.map(|lock| {
                                        lock.min_retention_days.unwrap_or(1) >= number("minRetentionDays", 0) as u64
                                            && lock.max_retention_days.unwrap_or(36_500)
                                                <= number("maxRetentionDays", 99_999) as u64
                                    });
                                    let locked = within.or((!bounds).then_some(true));
                                    answer = match (answer, locked) {
                                        (Some(true), _) | (_, Some(true)) => Some(true),
                                        (None, _) | (_, None) => None,
                                        _ => Some(false),
                                    };
                                    continue;
                                }
                                let Some(vault) = vault else { continue };
                                let bounds = given("minRetentionDays").is_some() || given("maxRetentionDays").is_some();
                                let locked = match vault.lock {
                                    Some(lock) => Some(
                                        lock.min_retention_days.unwrap_or(1) >= number("minRetentionDays", 0) as u64
                                            && lock.max_retention_days.unwrap_or(36_500)
                                                <= number("maxRetentionDays", 99_999) as u64,
                                    ),
                                    None if vault.kind == VaultKind::Ordinary => Some(false),
                                    None if bounds => None,
                                    None => Some(true),
                                };
                                answer = match (answer, locked) {
                                    (Some(true), _) | (_, Some(true)) => Some(true),
                                    (None, _) | (_, None) => None,
                                    _ => Some(false),
                                };
                            }
                            answer
                        }
                        "BACKUP_LAST_RECOVERY_POINT_CREATED" | "RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT" => {
                            let air_gapped = control == "RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT";
                            let (mut recent, mut continuous) = (false, false);
                            for point in document.recovery_points.iter().filter(|point| point.resource == it.arn) {
                                let vault = document.vaults.iter().find(|vault| {
                                    vault.name == point.vault
                                        && vault.account == point.account
                                        && vault.region == point.region
                                });
                                let kind = point.vault_kind.or(vault.map(|vault| vault.kind));
                                let here = point.account.as_str() == it.account && point.region.as_str() == it.region;
                                let counts = if air_gapped { kind == Some(VaultKind::AirGapped) } else { here };
                                let age = document.as_of.as_second() - point.created.as_second();
                                let young = age <= hours("recoveryPointAgeValue", "recoveryPointAgeUnit") * 3_600;
                                recent |= counts && young && point.status == RecoveryPointStatus::Completed;
                                continuous |= counts && point.status == RecoveryPointStatus::Available;
                            }
                            if recent {
                                Some(true)
                            } else if continuous {
                                None
                            } else {
                                Some(false)
                            }
                        }
                        "RESTORE_TIME_FOR_RESOURCES_MEET_TARGET" if it.latest_restore_minutes.is_some() => {
                            let minutes = i64::try_from(it.latest_restore_minutes.unwrap()).unwrap();
                            Some(minutes <= number("maxRestoreTime", 0))
                        }
                        "RESTORE_TIME_FOR_RESOURCES_MEET_TARGET" => {
                            let own = document.restores.iter().filter(|restore| restore.resource == it.arn);
                            let last = own.max_by_key(|restore| restore.completed);
                            last.map(|restore| i64::try_from(restore.minutes).unwrap() <= number("maxRestoreTime", 0))
                        }
                        other => panic!("{other}"),
                    }
                };
                let [certain, possible] = plans_of.back_up(document, it);
                let answer = answer_of(certain);
                answers.insert(resource.arn.clone(), answer.filter(|_| answer_of(possible) == answer));
            }
        }
    }
    answers
}

/// Returns whether the key of a resource without a recent recovery point in an air-gapped vault is why none was ever
/// there: AWS Backup stores there only what it encrypts itself, or what has a customer managed key.
pub(crate) fn key_prevents_copies(document: &Document, resource: &Resource) -> bool {
    let it = stands_for(document, resource);
    let fully_managed = ["AWS::EFS::FileSystem", "AWS::S3::Bucket", "AWS::BackupGateway::VirtualMachine"];
    if it.aws_managed_key != Some(true) || fully_managed.contains(&it.kind.as_str()) {
        return false;
    }
    let mut own = document.recovery_points.iter().filter(|point| point.resource == it.arn);
    !own.any(|point| {
        let vault = document
            .vaults
            .iter()
            .find(|vault| vault.name == point.vault && vault.account == point.account && vault.region == point.region);
        let kind = point.vault_kind.or(vault.map(|vault| vault.kind));
        kind == Some(VaultKind::AirGapped) && point.status == RecoveryPointStatus::Completed
    })
}

/// Returns whether a lifecycle keeps for a number of days; `None` if AWS Backup rejects it.
fn keeps(lifecycle: Lifecycle, required: i64) -> Option<bool> {
    let delete = lifecycle.delete_after_days.unwrap_or(-1);
    let cold = lifecycle.cold_after_days.unwrap_or(-1);
    if delete == -1 {
        return (cold >= -1).then_some(true);
    }
    if delete < 1 || cold < -1 || (cold != -1 && delete < cold + 90) {
        return None;
    }
    Some(delete >= required)
}

fn judged_points(document: &Document) -> impl Iterator<Item = &evaluation::inventory::document::RecoveryPoint> {
    let not = [RecoveryPointStatus::Creating, RecoveryPointStatus::Deleting];
    document.recovery_points.iter().filter(move |point| !not.contains(&point.status))
}

/// Schedules of the generated plans with their longest gaps, computed by hand.
pub(crate) const SCHEDULES: [(&str, i64); 8] = [
    ("cron(0 5 * * ? *)", 1_440),
    ("cron(0 0/12 * * ? *)", 720),
    ("cron(0 5 ? * MON-FRI *)", 3 * 1_440),
    ("cron(0 5 ? * SUN *)", 7 * 1_440),
    ("cron(0 5 L * ? *)", 31 * 1_440),
    ("cron(15 3,4 * * ? *)", 23 * 60),
    ("rate(8 hours)", 480),
    ("rate(2 days)", 2 * 1_440),
];

fn longest_gap_minutes(schedule: Option<&str>) -> i64 {
    match schedule {
        None => 1_440,
        Some(schedule) => SCHEDULES.iter().find(|(expression, _)| *expression == schedule).unwrap().1,
    }
}
