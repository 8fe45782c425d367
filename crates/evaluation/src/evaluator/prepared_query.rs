//! Control queries compiled for an inventory.

use super::plan::RequiredCopies;
use super::ternary::Ternary;
use super::{ControlQuery, QueryScope, Uncertainty};
use crate::inventory::Symbol;

#[derive(Debug)]
pub(super) struct PreparedQuery<'a> {
    pub(super) query: &'a ControlQuery,
    pub(super) kind: SubjectKind,
    pub(super) test: ControlTest<'a>,
    /// For queries about resources: by plan of the inventory, whether it meets each target of the control.
    pub(super) plans: Vec<Vec<Ternary>>,
    /// The tag key of the scope, as interned in the inventory.
    pub(super) tag: Option<Symbol>,
}

impl PreparedQuery<'_> {
    /// Returns the reason why the scope is undecided.
    pub(super) fn scope_unknown(&self, tags_unread: bool) -> Uncertainty<'static> {
        match &self.query.scope {
            QueryScope::Tag { types, .. } if types.is_empty() || tags_unread => Uncertainty::Tags,
            _ => Uncertainty::Scope,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SubjectKind {
    Resources,
    Plans,
    Vaults,
    RecoveryPoints,
}

/// The test of a control, with its parameters.
#[derive(Debug)]
pub(super) enum ControlTest<'a> {
    Selected,
    Copied(RequiredCopies<'a>),
    Locked {
        min: Option<u64>,
        max: Option<u64>,
    },
    OftenAndLong {
        most_minutes: u64,
        days: u64,
    },
    NotDeleted {
        exempt: Vec<&'a str>,
    },
    Encrypted,
    Kept {
        days: u64,
    },
    Recent {
        most_minutes: i64,
    },
    Restored {
        most_minutes: u64,
    },
    AirGapped {
        most_minutes: i64,
    },
    /// A parameter is unknown or invalid.
    Unclear(&'static str),
}

/// Returns the test of a control. A test of the catalog ensures that every control has one.
pub(super) fn control_test(query: &ControlQuery) -> ControlTest<'_> {
    if let Some(name) = query.unclear() {
        return ControlTest::Unclear(name);
    }
    let signed = |minutes: u64| i64::try_from(minutes).unwrap_or(i64::MAX);
    let known = match query.control.name {
        "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN" => Some(ControlTest::Selected),
        "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK" => query
            .minutes("requiredFrequencyValue", "requiredFrequencyUnit")
            .zip(query.number("requiredRetentionDays"))
            .map(|(most_minutes, days)| ControlTest::OftenAndLong { most_minutes, days }),
        "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED" => {
            Some(ControlTest::NotDeleted { exempt: query.list("principalArnList") })
        }
        "BACKUP_RECOVERY_POINT_ENCRYPTED" => Some(ControlTest::Encrypted),
        "BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK" => {
            query.number("requiredRetentionDays").map(|days| ControlTest::Kept { days })
        }
        "BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION" => {
            Some(ControlTest::Copied(RequiredCopies::to_regions(query.list("crossRegionList"))))
        }
        "BACKUP_RESOURCES_PROTECTED_BY_CROSS_ACCOUNT" => {
            Some(ControlTest::Copied(RequiredCopies::to_accounts(query.list("crossAccountList"))))
        }
        "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK" => {
            Some(ControlTest::Locked { min: query.number("minRetentionDays"), max: query.number("maxRetentionDays") })
        }
        "BACKUP_LAST_RECOVERY_POINT_CREATED" => query
            .minutes("recoveryPointAgeValue", "recoveryPointAgeUnit")
            .map(|minutes| ControlTest::Recent { most_minutes: signed(minutes) }),
        "RESTORE_TIME_FOR_RESOURCES_MEET_TARGET" => {
            query.number("maxRestoreTime").map(|most_minutes| ControlTest::Restored { most_minutes })
        }
        "RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT" => query
            .minutes("recoveryPointAgeValue", "recoveryPointAgeUnit")
            .map(|minutes| ControlTest::AirGapped { most_minutes: signed(minutes) }),
        _ => None,
    };
    known.unwrap_or(ControlTest::Unclear("ControlName"))
}
