//! Lifecycles of recovery points.
//!
//! Sources: API reference, `Lifecycle` and `BackupRuleInput`; AWS Backup developer guide, "Continuous backups and point-in-time
//! recovery (PITR)". AWS Backup's own message is "DeleteAfterDays cannot be less than 1 or more than 36500 days".

use super::{Given, Rejection, days};

/// The longest retention in days (API reference, `BackupRuleInput`).
pub const MOST_DAYS: i64 = 36_500;

/// The longest retention of continuous backups in days ("Continuous backups and point-in-time recovery").
pub const MOST_CONTINUOUS_DAYS: i64 = 35;

/// The minimum in cold storage in days (API reference, `Lifecycle`).
pub const LEAST_COLD_DAYS: i64 = 90;

/// The number of days that means "never" in the API.
const NEVER: i64 = -1;

const DELETE: &str = "DeleteAfterDays";
const COLD: &str = "MoveToColdStorageAfterDays";

/// The numbers of a lifecycle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LifecycleDays {
    /// Days until cold storage. `-1` is never.
    pub cold_after: Given<i64>,
    /// Days from creation until deletion. `-1` is never.
    pub delete_after: Given<i64>,
}

impl LifecycleDays {
    /// Returns the retention in days, if limited and known.
    pub fn kept(self) -> Option<i64> {
        limit(self.delete_after)
    }

    /// Returns the reasons why AWS Backup rejects it for snapshots: days out of range, or fewer than 90 in cold storage.
    pub fn rejections(self) -> Vec<Rejection> {
        let mut rejections = self.out_of_range();
        if rejections.is_empty()
            && let (Some(cold), Some(delete)) = (limit(self.cold_after), limit(self.delete_after))
            && delete.saturating_sub(cold) < LEAST_COLD_DAYS
        {
            let least = cold.saturating_add(LEAST_COLD_DAYS);
            let message = format!(
                "backups move to cold storage after {} and are deleted after {}; they must stay there for {LEAST_COLD_DAYS} days",
                days(cold),
                days(delete)
            );
            let help = match delete - LEAST_COLD_DAYS {
                earlier @ 1.. => format!("write `{DELETE}: {least}` or more, or `{COLD}: {earlier}` or less"),
                _ => format!("write `{DELETE}: {least}` or more, or remove `{COLD}`"),
            };
            rejections.push(Rejection::new(DELETE, message, help));
        }
        rejections
    }

    /// Returns the reasons why AWS Backup rejects it for a rule with continuous backups: no retention, one beyond 35 days, or cold
    /// storage.
    pub fn continuous_rejections(self) -> Vec<Rejection> {
        let mut rejections = Vec::new();
        if limit(self.cold_after).is_some() {
            rejections.push(Rejection::new(
                COLD,
                format!("continuous backups cannot move to cold storage, and the rule has `{COLD}`"),
                format!(
                    "remove `{COLD}`, and keep continuous backups for at most {MOST_CONTINUOUS_DAYS} days; a second rule \
                     without `EnableContinuousBackup` can have cold storage"
                ),
            ));
        }
        let limits = format!("from 1 to {MOST_CONTINUOUS_DAYS}");
        match self.delete_after {
            Given::Absent | Given::Known(NEVER) => rejections.push(Rejection::new(
                DELETE,
                format!("the rule has `EnableContinuousBackup` without a `Lifecycle` with `{DELETE}` {limits}"),
                format!("add `Lifecycle: {{ {DELETE}: {MOST_CONTINUOUS_DAYS} }}`"),
            )),
            Given::Known(kept) if kept > MOST_CONTINUOUS_DAYS => rejections.push(Rejection::new(
                DELETE,
                format!("continuous backups are kept for {}; AWS Backup accepts `{DELETE}` {limits}", days(kept)),
                format!(
                    "write `{DELETE}: {MOST_CONTINUOUS_DAYS}`, and add a rule without `EnableContinuousBackup` that keeps \
                     backups for {}",
                    days(kept)
                ),
            )),
            Given::Known(_) | Given::Unknown => {}
        }
        rejections
    }

    /// Returns the days that are out of range.
    pub fn out_of_range(self) -> Vec<Rejection> {
        let mut rejections = Vec::new();
        if let Some(delete) = limit(self.delete_after)
            && !(1..=MOST_DAYS).contains(&delete)
        {
            let help = match delete {
                ..=0 => format!("write the days to keep backups, or remove `{DELETE}` to keep them without a limit"),
                _ => format!("write `{DELETE}: {MOST_DAYS}`, or remove it to keep backups without a limit"),
            };
            let message = format!("`{DELETE}` is {delete}; AWS Backup accepts 1 to {MOST_DAYS}");
            rejections.push(Rejection::new(DELETE, message, help));
        }
        if let Some(cold) = limit(self.cold_after)
            && !(0..=MOST_DAYS).contains(&cold)
        {
            let message = format!("`{COLD}` is {cold}; AWS Backup accepts 1 to {MOST_DAYS}");
            let help = format!("write the days until cold storage, or remove `{COLD}`");
            rejections.push(Rejection::new(COLD, message, help));
        }
        rejections
    }
}

/// Returns known days that are not "never".
fn limit(days: Given<i64>) -> Option<i64> {
    days.known().filter(|days| *days != NEVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(cold: Option<i64>, delete: Option<i64>) -> LifecycleDays {
        LifecycleDays { cold_after: cold.into(), delete_after: delete.into() }
    }

    fn properties(rejections: &[Rejection]) -> Vec<&'static str> {
        rejections.iter().map(|rejection| rejection.property).collect()
    }

    #[test]
    fn lifecycle_accepts_documented_ranges() {
        for (cold, delete) in [
            (None, None),
            (None, Some(1)),
            (None, Some(36_500)),
            (None, Some(-1)),
            (Some(-1), Some(1)),
            (Some(0), Some(90)),
            (Some(1), Some(91)),
            (Some(30), None),
            (Some(30), Some(-1)),
            (Some(36_410), Some(36_500)),
        ] {
            assert_eq!(of(cold, delete).rejections(), [], "{cold:?} {delete:?}");
        }
        let unknown = LifecycleDays { cold_after: Given::Unknown, delete_after: Given::Known(1) };
        assert_eq!(unknown.rejections(), []);
    }

    #[test]
    fn lifecycle_rejects_other_ranges() {
        for (cold, delete, property) in [
            (None, Some(0), DELETE),
            (None, Some(-2), DELETE),
            (None, Some(36_501), DELETE),
            (None, Some(i64::MAX), DELETE),
            (None, Some(i64::MIN), DELETE),
            (Some(-7), None, COLD),
            (Some(40_000), None, COLD),
            (Some(1), Some(90), DELETE),
            (Some(30), Some(119), DELETE),
            (Some(365), Some(30), DELETE),
            (Some(90), Some(90), DELETE),
        ] {
            assert_eq!(properties(&of(cold, delete).rejections()), [property], "{cold:?} {delete:?}");
        }
        let both = of(Some(30), Some(100)).rejections();
        let help = "write `DeleteAfterDays: 120` or more, or `MoveToColdStorageAfterDays: 10` or less";
        assert_eq!(both.first().map(|rejection| rejection.help.as_str()), Some(help));
    }

    #[test]
    fn continuous_rules_need_a_short_lifecycle() {
        for (cold, delete, expected) in [
            (None, Some(1), &[][..]),
            (None, Some(35), &[]),
            (Some(-1), Some(35), &[]),
            (None, Some(36), &[DELETE]),
            (None, None, &[DELETE]),
            (None, Some(-1), &[DELETE]),
            (Some(730), Some(2_555), &[COLD, DELETE]),
            (Some(1), Some(30), &[COLD]),
        ] {
            assert_eq!(properties(&of(cold, delete).continuous_rejections()), expected, "{cold:?} {delete:?}");
        }
        let unknown = LifecycleDays { cold_after: Given::Absent, delete_after: Given::Unknown };
        assert_eq!(unknown.continuous_rejections(), []);
    }
}
