//! Conversion of AWS Backup responses into inventory documents. Invalid values are reported, never replaced.

use std::collections::BTreeMap;

use aws_sdk_backup::types as sdk;
use aws_smithy_types::DateTime;
use jiff::Timestamp;

use app::inventory::{InvalidRow, Rows};
use evaluation::inventory::document::{
    Conditions, CopyAction, Lifecycle, Lock, LockMode, RecoveryPoint, RecoveryPointPart, Rule, RulePart, Selection,
    TagValue, Vault, VaultKind,
};
use framework::ids::Location;

use crate::config::inventory::status;

pub(super) fn take<T>(rows: &mut Rows<T>, at: &Location, item: Result<T, String>) {
    match item {
        Ok(item) => rows.items.push(item),
        Err(message) => {
            rows.invalid.push(InvalidRow { location: Some((at.account.clone(), at.region.clone())), message })
        }
    }
}

fn moment(time: &DateTime) -> Option<Timestamp> {
    Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).ok()?).ok()
}

fn lifecycle(of: Option<&sdk::Lifecycle>) -> Lifecycle {
    of.map_or_else(Lifecycle::default, |of| Lifecycle {
        cold_after_days: of.move_to_cold_storage_after_days(),
        delete_after_days: of.delete_after_days(),
    })
}

/// Returns whether an event ends the retention instead of a number of days, so that its length is unknown.
fn ends_at_an_event(of: Option<&sdk::Lifecycle>) -> bool {
    of.is_some_and(|of| of.delete_after_event().is_some())
}

fn owned(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(ToOwned::to_owned)
}

pub(super) fn rule(of: &sdk::BackupRule) -> Result<Rule, String> {
    let minutes = |what: &str, value: Option<i64>| {
        let minutes = value.map(u32::try_from).transpose();
        minutes.map_err(|_| format!("{what} of the rule {} is {}", of.rule_name(), value.unwrap_or_default()))
    };
    let mut unread = Vec::new();
    if ends_at_an_event(of.lifecycle()) {
        unread.push(RulePart::Lifecycle);
    }
    if of.copy_actions().iter().any(|copy| ends_at_an_event(copy.lifecycle())) {
        unread.push(RulePart::Copies);
    }
    let copies = of.copy_actions().iter().map(|copy| CopyAction {
        vault: copy.destination_backup_vault_arn().to_owned(),
        lifecycle: lifecycle(copy.lifecycle()),
    });
    Ok(Rule {
        name: of.rule_name().to_owned(),
        schedule: owned(of.schedule_expression()),
        target_vault: of.target_backup_vault_name().to_owned(),
        target_air_gapped_vault: owned(of.target_logically_air_gapped_backup_vault_arn()),
        lifecycle: lifecycle(of.lifecycle()),
        continuous: of.enable_continuous_backup().unwrap_or(false),
        copies: copies.collect(),
        start_window_minutes: minutes("StartWindowMinutes", of.start_window_minutes())?,
        completion_window_minutes: minutes("CompletionWindowMinutes", of.completion_window_minutes())?,
        unread,
    })
}

pub(super) fn selection(id: &str, of: &sdk::BackupSelection) -> Result<Selection, String> {
    let name = of.selection_name();
    let mut list_of_tags = Vec::new();
    for condition in of.list_of_tags() {
        let kind = condition.condition_type().as_str();
        if kind != "STRINGEQUALS" {
            return Err(format!("the selection {name} has the unknown condition type {kind}"));
        }
        let (key, value) = (condition.condition_key().to_owned(), condition.condition_value().to_owned());
        list_of_tags.push(TagValue { key, value });
    }
    let pairs = |of: &[sdk::ConditionParameter]| {
        let pair = |of: &sdk::ConditionParameter| {
            let key = owned(of.condition_key())?;
            Some(TagValue { key, value: of.condition_value()?.to_owned() })
        };
        let pairs: Option<Vec<TagValue>> = of.iter().map(pair).collect();
        pairs.ok_or_else(|| format!("a condition of the selection {name} has no key or no value"))
    };
    let conditions = match of.conditions() {
        None => Conditions::default(),
        Some(of) => Conditions {
            string_equals: pairs(of.string_equals())?,
            string_not_equals: pairs(of.string_not_equals())?,
            string_like: pairs(of.string_like())?,
            string_not_like: pairs(of.string_not_like())?,
        },
    };
    Ok(Selection {
        id: id.to_owned(),
        name: name.to_owned(),
        resources: of.resources().to_vec(),
        not_resources: of.not_resources().to_vec(),
        list_of_tags,
        conditions,
        unread: Vec::new(),
    })
}

#[derive(Debug)]
pub(super) struct LockDescription {
    pub(super) locked: Option<bool>,
    pub(super) min: Option<i64>,
    pub(super) max: Option<i64>,
    /// Whether a lock date exists, from which on the lock cannot be removed.
    pub(super) compliance: bool,
}

pub(super) fn vault(
    at: &Location,
    name: &str,
    kind: Option<&sdk::VaultType>,
    key: Option<&str>,
    lock: &LockDescription,
) -> Result<Vault, String> {
    let kind = match kind {
        None | Some(sdk::VaultType::BackupVault) => VaultKind::Ordinary,
        Some(sdk::VaultType::LogicallyAirGappedBackupVault) => VaultKind::AirGapped,
        Some(other) => return Err(format!("the vault {name} has the unknown type {}", other.as_str())),
    };
    let days = |what: &str, value: Option<i64>| {
        let days = value.map(u64::try_from).transpose();
        days.map_err(|_| format!("{what} of the vault {name} is {}", value.unwrap_or_default()))
    };
    let (min_retention_days, max_retention_days) =
        (days("MinRetentionDays", lock.min)?, days("MaxRetentionDays", lock.max)?);
    let air_gapped = kind == VaultKind::AirGapped;
    let mode = if lock.compliance || air_gapped { LockMode::Compliance } else { LockMode::Governance };
    let is_locked = lock.locked == Some(true);
    Ok(Vault {
        name: name.to_owned(),
        account: at.account.clone(),
        region: at.region.clone(),
        kind,
        tags: BTreeMap::new(),
        encryption_key: owned(key),
        policy: None,
        lock: is_locked.then_some(Lock { min_retention_days, max_retention_days, mode }),
        unread: Vec::new(),
    })
}

pub(super) fn recovery_point(
    at: &Location,
    vault: &str,
    of: &sdk::RecoveryPointByBackupVault,
) -> Result<RecoveryPoint, String> {
    let arn = owned(of.recovery_point_arn()).ok_or_else(|| format!("a recovery point in {vault} has no ARN"))?;
    let lacks = |what: &str| format!("the recovery point {arn} has no {what}");
    let created = of.creation_date().and_then(moment).ok_or_else(|| lacks("CreationDate"))?;
    let status = status(of.status().ok_or_else(|| lacks("Status"))?.as_str())
        .map_err(|message| format!("the recovery point {arn}: {message}"))?;
    let mut unread = Vec::new();
    if ends_at_an_event(of.lifecycle()) {
        unread.push(RecoveryPointPart::Lifecycle);
    }
    Ok(RecoveryPoint {
        resource: owned(of.resource_arn()).ok_or_else(|| lacks("ResourceArn"))?,
        account: at.account.clone(),
        region: at.region.clone(),
        vault: vault.to_owned(),
        vault_kind: None,
        tags: BTreeMap::new(),
        created,
        completed: of.completion_date().and_then(moment),
        status,
        lifecycle: lifecycle(of.lifecycle()),
        encrypted: Some(of.is_encrypted()),
        unread,
        arn,
    })
}

#[cfg(test)]
mod tests {
    use framework::ids::{AccountId, RegionName};

    use super::*;

    fn rule_of(
        change: impl FnOnce(sdk::builders::BackupRuleBuilder) -> sdk::builders::BackupRuleBuilder,
    ) -> sdk::BackupRule {
        change(sdk::BackupRule::builder().rule_name("daily").target_backup_vault_name("v")).build().unwrap()
    }

    #[test]
    fn unsupported_rule_properties_are_unread() {
        assert_eq!(rule(&rule_of(|it| it)).unwrap().unread, []);
        let event = sdk::LifecycleDeleteAfterEvent::DeleteAfterCopy;
        let at_event = sdk::Lifecycle::builder().delete_after_event(event).build();
        let copy = sdk::CopyAction::builder().destination_backup_vault_arn("arn:v").lifecycle(at_event.clone()).build();
        let gapped = rule_of(|it| it.target_logically_air_gapped_backup_vault_arn("arn:gapped"));
        assert_eq!(rule(&gapped).unwrap().target_air_gapped_vault.as_deref(), Some("arn:gapped"));
        let both = rule_of(|it| it.lifecycle(at_event).copy_actions(copy.unwrap()));
        assert_eq!(rule(&both).unwrap().unread, [RulePart::Lifecycle, RulePart::Copies]);
    }

    #[test]
    fn invalid_numbers_are_errors() {
        let invalid = rule(&rule_of(|it| it.start_window_minutes(-1))).unwrap_err();
        assert_eq!(invalid, "StartWindowMinutes of the rule daily is -1");
        let invalid = rule(&rule_of(|it| it.completion_window_minutes(i64::MAX))).unwrap_err();
        assert!(invalid.starts_with("CompletionWindowMinutes of the rule daily is 9"), "{invalid}");
    }

    #[test]
    fn selection_with_unknown_condition_type_is_error() {
        let of = |condition: sdk::Condition| {
            sdk::BackupSelection::builder()
                .selection_name("s")
                .iam_role_arn("arn:x")
                .list_of_tags(condition)
                .build()
                .unwrap()
        };
        let condition = |kind: &str| {
            let kind = sdk::ConditionType::from(kind);
            sdk::Condition::builder().condition_type(kind).condition_key("k").condition_value("v").build().unwrap()
        };
        assert_eq!(selection("id", &of(condition("STRINGEQUALS"))).unwrap().list_of_tags.len(), 1);
        let invalid = selection("id", &of(condition("STRINGLIKE"))).unwrap_err();
        assert!(invalid.contains("unknown condition type STRINGLIKE"), "{invalid}");
        let keyless = sdk::ConditionParameter::builder().condition_value("v").build();
        let conditions = sdk::Conditions::builder().string_like(keyless).build();
        let of = sdk::BackupSelection::builder().selection_name("s").iam_role_arn("arn:x").conditions(conditions);
        assert!(selection("id", &of.build().unwrap()).unwrap_err().contains("no key or no value"));
    }

    #[test]
    fn vault_lock_and_kind_are_converted() {
        let (account, region) = (AccountId::parse("222222222222").unwrap(), RegionName::parse("eu-west-1").unwrap());
        let at = &Location { account, region };
        let lock = |locked, compliance| LockDescription { locked, min: Some(7), max: None, compliance };
        let of = |kind: &str, lock: &LockDescription| vault(at, "v", Some(&sdk::VaultType::from(kind)), None, lock);
        let found = of("BACKUP_VAULT", &lock(Some(true), false)).unwrap().lock.unwrap();
        assert_eq!(
            (found.mode, found.min_retention_days, found.max_retention_days),
            (LockMode::Governance, Some(7), None)
        );
        let found = of("BACKUP_VAULT", &lock(Some(true), true)).unwrap().lock.unwrap();
        assert_eq!(found.mode, LockMode::Compliance);
        for open in [Some(false), None] {
            assert_eq!(of("BACKUP_VAULT", &lock(open, false)).unwrap().lock, None);
        }
        let air_gapped = of("LOGICALLY_AIR_GAPPED_BACKUP_VAULT", &lock(Some(true), false)).unwrap();
        assert_eq!((air_gapped.kind, air_gapped.lock.unwrap().mode), (VaultKind::AirGapped, LockMode::Compliance));
        assert!(of("NEW_KIND", &lock(None, false)).unwrap_err().contains("unknown type NEW_KIND"));
    }
}
