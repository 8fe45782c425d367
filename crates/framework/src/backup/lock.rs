//! Vault locks and the retention of logically air-gapped vaults.
//!
//! Sources: API reference, `PutBackupVaultLockConfiguration` and `CreateLogicallyAirGappedBackupVault`; CloudFormation template
//! reference, `LockConfigurationType`, which requires a minimum that the API does not require.

use super::lifecycle::MOST_DAYS;
use super::{Given, Rejection, days};

/// The fewest days until a lock in compliance mode is final: AWS Backup enforces 72 hours.
pub const LEAST_CHANGEABLE_DAYS: i64 = 3;

/// The lowest minimum retention of a logically air-gapped vault in days.
pub const LEAST_AIR_GAPPED_DAYS: i64 = 7;

const MIN: &str = "MinRetentionDays";
const MAX: &str = "MaxRetentionDays";
const CHANGEABLE: &str = "ChangeableForDays";

/// The numbers of a lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LockDays {
    /// The minimum retention.
    pub min: Given<i64>,
    /// The maximum retention.
    pub max: Given<i64>,
    /// Days until the lock is final.
    pub changeable: Given<i64>,
}

impl LockDays {
    /// Returns the rejection of a lock without a minimum, which CloudFormation requires.
    pub fn without_minimum(self) -> Option<Rejection> {
        let message = format!("the lock has no `{MIN}`, which CloudFormation requires");
        (self.min == Given::Absent).then(|| Rejection::new(MIN, message, format!("add `{MIN}: 1` or more")))
    }

    /// Returns the days that are out of range.
    pub fn out_of_range(self) -> Vec<Rejection> {
        let values = [(MIN, self.min, 1), (MAX, self.max, 1), (CHANGEABLE, self.changeable, LEAST_CHANGEABLE_DAYS)];
        let wrong = |(property, value, least): (&'static str, Given<i64>, i64)| {
            let value = value.known().filter(|value| !(least..=MOST_DAYS).contains(value))?;
            let message = format!("`{property}` is {value}; AWS Backup accepts {least} to {MOST_DAYS}");
            let help = match property {
                CHANGEABLE if value < least => format!(
                    "write `{CHANGEABLE}: {least}` or more, or remove it for a lock in governance mode, which can be changed"
                ),
                _ if value < least => format!("write `{property}: {least}` or more"),
                _ => format!("write `{property}: {MOST_DAYS}` or less"),
            };
            Some(Rejection::new(property, message, help))
        };
        values.into_iter().filter_map(wrong).collect()
    }

    /// Returns the rejection of a minimum above the maximum.
    pub fn out_of_order(self) -> Option<Rejection> {
        let (min, max) = (self.min.known()?, self.max.known()?);
        (min > max).then(|| {
            let message = format!("`{MIN}` is {min} and exceeds `{MAX}`, which is {max}");
            Rejection::new(MIN, message, format!("write `{MIN}: {max}` or less, or `{MAX}: {min}` or more"))
        })
    }

    /// Returns the rejections of a logically air-gapped vault: both bounds are required, and the minimum is at least 7.
    pub fn air_gapped_rejections(self) -> Vec<Rejection> {
        let mut rejections = Vec::new();
        for (property, value) in [(MIN, self.min), (MAX, self.max)] {
            if value == Given::Absent {
                let message = format!("the logically air-gapped vault has no `{property}`, which is required");
                let help = match (property, self.min) {
                    (MAX, Given::Known(min)) => format!("add `{MAX}: {}` or more", min.max(LEAST_AIR_GAPPED_DAYS)),
                    _ => format!("add `{property}: {LEAST_AIR_GAPPED_DAYS}` or more"),
                };
                rejections.push(Rejection::new(property, message, help));
            }
            if let Some(days) = value.known()
                && !(LEAST_AIR_GAPPED_DAYS..=MOST_DAYS).contains(&days)
            {
                let message = format!(
                    "`{property}` of the logically air-gapped vault is {days}; AWS Backup accepts {LEAST_AIR_GAPPED_DAYS} to \
                     {MOST_DAYS}"
                );
                let help = match days < LEAST_AIR_GAPPED_DAYS {
                    true => format!("write `{property}: {LEAST_AIR_GAPPED_DAYS}` or more"),
                    false => format!("write `{property}: {MOST_DAYS}` or less"),
                };
                rejections.push(Rejection::new(property, message, help));
            }
        }
        if rejections.is_empty() {
            rejections.extend(self.out_of_order());
        }
        rejections
    }

    /// Returns the bound that backups violate which are kept this long, `None` for ever: the vault then fails each job. `vault`
    /// is the name of the vault, `rule` that of the rule.
    pub fn failed_job(self, kept: Option<i64>, vault: &str, rule: &str) -> Option<Rejection> {
        let (min, max) = (self.min.known(), self.max.known());
        let (property, bound) = match (kept, min, max) {
            (Some(kept), Some(min), _) if kept < min => (MIN, min),
            (Some(kept), _, Some(max)) if kept > max => (MAX, max),
            (None, _, Some(max)) => (MAX, max),
            _ => return None,
        };
        let how_long = kept.map_or_else(|| "without a limit".to_owned(), |kept| format!("for {}", days(kept)));
        let message = format!(
            "the vault `{vault}` fails every job of the rule `{rule}`: backups are kept {how_long}, and `{property}` of the vault \
             is {bound}"
        );
        let fitting = match (min, max) {
            (Some(min), Some(max)) if min < max => format!("from {min} to {max}"),
            (Some(min), None) => format!("{min} or more"),
            (None, Some(max)) => format!("{max} or less"),
            _ => bound.to_string(),
        };
        let help = format!("write `DeleteAfterDays` {fitting}, or use another vault");
        Some(Rejection::new("DeleteAfterDays", message, help))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(min: Option<i64>, max: Option<i64>, changeable: Option<i64>) -> LockDays {
        LockDays { min: min.into(), max: max.into(), changeable: changeable.into() }
    }

    fn properties(rejections: &[Rejection]) -> Vec<&'static str> {
        rejections.iter().map(|rejection| rejection.property).collect()
    }

    #[test]
    fn lock_numbers_have_documented_bounds() {
        for (lock, expected) in [
            (of(Some(1), Some(36_500), Some(3)), &[][..]),
            (of(Some(1), None, None), &[]),
            (of(Some(0), None, None), &[MIN]),
            (of(Some(-1), Some(0), Some(2)), &[MIN, MAX, CHANGEABLE]),
            (of(Some(1), Some(36_501), Some(36_501)), &[MAX, CHANGEABLE]),
            (of(Some(36_501), None, Some(0)), &[MIN, CHANGEABLE]),
        ] {
            assert_eq!(properties(&lock.out_of_range()), expected, "{lock:?}");
        }
        assert!(of(None, Some(30), None).without_minimum().is_some());
        assert_eq!(of(Some(30), None, None).without_minimum(), None);
        let unknown = LockDays { min: Given::Unknown, max: Given::Unknown, changeable: Given::Unknown };
        assert_eq!((unknown.without_minimum(), unknown.out_of_range()), (None, Vec::new()));
        assert!(of(Some(31), Some(30), None).out_of_order().is_some());
        assert_eq!(of(Some(30), Some(30), None).out_of_order(), None);
    }

    #[test]
    fn air_gapped_vaults_need_both_bounds() {
        for (lock, expected) in [
            (of(Some(7), Some(7), None), &[][..]),
            (of(None, None, None), &[MIN, MAX]),
            (of(Some(7), None, None), &[MAX]),
            (of(Some(6), Some(30), None), &[MIN]),
            (of(Some(7), Some(40_000), None), &[MAX]),
            (of(Some(31), Some(30), None), &[MIN]),
        ] {
            assert_eq!(properties(&lock.air_gapped_rejections()), expected, "{lock:?}");
        }
    }

    #[test]
    fn jobs_fail_outside_the_bounds_of_a_lock() {
        let lock = of(Some(30), Some(35), None);
        for (kept, property) in
            [(Some(29), Some(MIN)), (Some(30), None), (Some(35), None), (Some(40), Some(MAX)), (None, Some(MAX))]
        {
            let failed = lock.failed_job(kept, "main", "daily");
            assert_eq!(failed.is_some(), property.is_some(), "{kept:?}");
            assert!(property.is_none_or(|it| failed.is_some_and(|failed| failed.message.contains(it))), "{kept:?}");
        }
        assert_eq!(of(Some(30), None, None).failed_job(None, "main", "daily"), None);
        assert_eq!(LockDays::default().failed_job(Some(1), "main", "daily"), None);
    }
}
