//! The requirement of a control in plain words.

use std::collections::BTreeMap;

use super::Control;

impl Control {
    /// Returns the requirement in plain words with these parameters and the defaults of the others, such as "every backup plan must run
    /// at least every 24 hours and keep backups at least 35 days".
    /// Long because each control has its own sentence.
    #[must_use]
    pub fn requirement(&self, parameters: &BTreeMap<String, String>) -> String {
        let value = |name: &str| -> Option<&str> {
            let given = parameters.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
            given.or_else(|| self.parameter(name)?.default)
        };
        let or_unknown = |name: &str| value(name).unwrap_or("?");
        match self.name {
            "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN" => {
                "every resource must be in at least one backup plan".to_owned()
            }
            "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK" => format!(
                "every backup plan must run at least every {} and keep backups at least {}",
                interval(or_unknown("requiredFrequencyValue"), or_unknown("requiredFrequencyUnit")),
                count(or_unknown("requiredRetentionDays"), "days"),
            ),
            "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED" => {
                let rule = "every backup vault must deny manual deletion of recovery points";
                match value("principalArnList") {
                    Some(roles) => format!("{rule}, except by {}", list(roles)),
                    None => rule.to_owned(),
                }
            }
            "BACKUP_RECOVERY_POINT_ENCRYPTED" => "every recovery point must be encrypted".to_owned(),
            "BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK" => {
                format!(
                    "every recovery point must be kept at least {}",
                    count(or_unknown("requiredRetentionDays"), "days")
                )
            }
            "BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION" => match value("crossRegionList") {
                Some(regions) => format!("backups of every resource must be copied to {}", list(regions)),
                None => "backups of every resource must be copied to another Region".to_owned(),
            },
            "BACKUP_RESOURCES_PROTECTED_BY_CROSS_ACCOUNT" => match value("crossAccountList") {
                Some(accounts) => format!("backups of every resource must be copied to account {}", list(accounts)),
                None => "backups of every resource must be copied to another account".to_owned(),
            },
            "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK" => {
                let rule = "backups of every resource must be stored in a locked vault";
                match (value("minRetentionDays"), value("maxRetentionDays")) {
                    (Some(min), Some(max)) => {
                        format!("{rule} that keeps them between {min} and {}", count(max, "days"))
                    }
                    (Some(min), None) => format!("{rule} that keeps them at least {}", count(min, "days")),
                    (None, Some(max)) => format!("{rule} that keeps them at most {}", count(max, "days")),
                    (None, None) => rule.to_owned(),
                }
            }
            "BACKUP_LAST_RECOVERY_POINT_CREATED" => format!(
                "every resource must have a recovery point that is at most {} old",
                count(or_unknown("recoveryPointAgeValue"), or_unknown("recoveryPointAgeUnit")),
            ),
            "RESTORE_TIME_FOR_RESOURCES_MEET_TARGET" => match value("maxRestoreTime") {
                Some(minutes) => {
                    format!("the last restore test of every resource must take at most {}", count(minutes, "minutes"))
                }
                None => "the last restore test of every resource must meet the target time".to_owned(),
            },
            "RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT" => format!(
                "every resource must have a recovery point that is at most {} old in a logically air-gapped vault",
                count(or_unknown("recoveryPointAgeValue"), or_unknown("recoveryPointAgeUnit")),
            ),
            // A test of the catalog makes sure that this arm is not reached.
            _ => self.title.to_owned(),
        }
    }
}

/// "35 days", "1 day".
fn count(number: &str, unit: &str) -> String {
    match number {
        "1" => format!("1 {}", unit.strip_suffix('s').unwrap_or(unit)),
        _ => format!("{number} {unit}"),
    }
}

/// "24 hours", "day": the words after "every".
fn interval(number: &str, unit: &str) -> String {
    match number {
        "1" => unit.strip_suffix('s').unwrap_or(unit).to_owned(),
        _ => format!("{number} {unit}"),
    }
}

/// "a, b and c" from "a,b,c".
fn list(items: &str) -> String {
    let items: Vec<&str> = items.split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
    match items.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}
