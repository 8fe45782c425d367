//! The requirement of a control in plain words.

use std::collections::BTreeMap;

use super::Control;

impl Control {
    /// Returns the requirement in plain words with these parameters and the defaults of the others, such as "every backup plan must run
    /// at least every 24 hours and keep backups at least 35 days".
    pub fn requirement(&self, parameters: &BTreeMap<String, String>) -> String {
        let value = |name: &str| -> Option<&str> {
            let given = parameters.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
            given.or_else(|| self.parameter(name)?.default)
        };
        let or_unknown = |name: &str| value(name).unwrap_or("?");
        let retention = || count(or_unknown("requiredRetentionDays"), "days");
        let recent = || {
            let age = count(or_unknown("recoveryPointAgeValue"), or_unknown("recoveryPointAgeUnit"));
            format!("every resource must have a recovery point that is at most {age} old")
        };
        match self.name {
            "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN" => {
                "every resource must be in at least one backup plan".to_owned()
            }
            "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK" => {
                let interval = count(or_unknown("requiredFrequencyValue"), or_unknown("requiredFrequencyUnit"));
                // "every day", not "every 1 day".
                let interval = interval.strip_prefix("1 ").unwrap_or(&interval);
                let retention = retention();
                format!("every backup plan must run at least every {interval} and keep backups at least {retention}")
            }
            "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED" => {
                let except = value("principalArnList").map(|roles| format!(", except by {}", list(roles)));
                let except = except.unwrap_or_default();
                format!("every backup vault must deny manual deletion of recovery points{except}")
            }
            "BACKUP_RECOVERY_POINT_ENCRYPTED" => "every recovery point must be encrypted".to_owned(),
            "BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK" => {
                format!("every recovery point must be kept at least {}", retention())
            }
            "BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION" => {
                let regions = value("crossRegionList").map_or("another Region".to_owned(), list);
                format!("backups of every resource must be copied to {regions}")
            }
            "BACKUP_RESOURCES_PROTECTED_BY_CROSS_ACCOUNT" => {
                let accounts = value("crossAccountList").map(|accounts| format!("account {}", list(accounts)));
                let accounts = accounts.as_deref().unwrap_or("another account");
                format!("backups of every resource must be copied to {accounts}")
            }
            "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK" => {
                let limits = match (value("minRetentionDays"), value("maxRetentionDays")) {
                    (Some(min), Some(max)) => format!(" that keeps them between {min} and {}", count(max, "days")),
                    (Some(min), None) => format!(" that keeps them at least {}", count(min, "days")),
                    (None, Some(max)) => format!(" that keeps them at most {}", count(max, "days")),
                    (None, None) => String::new(),
                };
                format!("backups of every resource must be stored in a locked vault{limits}")
            }
            "BACKUP_LAST_RECOVERY_POINT_CREATED" => recent(),
            "RESTORE_TIME_FOR_RESOURCES_MEET_TARGET" => {
                let target = value("maxRestoreTime").map(|most| format!("take at most {}", count(most, "minutes")));
                let target = target.as_deref().unwrap_or("meet the target time");
                format!("the last restore test of every resource must {target}")
            }
            "RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT" => recent() + " in a logically air-gapped vault",
            // A test of the catalog makes sure that this arm is not reached.
            _ => self.title.to_owned(),
        }
    }
}

/// "35 days", "1 day".
fn count(number: &str, unit: &str) -> String {
    let unit = if number == "1" { unit.strip_suffix('s').unwrap_or(unit) } else { unit };
    format!("{number} {unit}")
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
