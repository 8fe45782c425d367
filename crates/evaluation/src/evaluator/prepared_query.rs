//! Control queries compiled for an inventory.

use super::plan::{CopyTargetKind, RequiredCopies};
use super::ternary::Ternary;
use super::{ControlQuery, QueryScope, Uncertainty};
use crate::inventory::{ProtectedType, Symbol};

#[derive(Debug)]
pub(super) struct PreparedQuery<'a> {
    pub(super) query: &'a ControlQuery,
    pub(super) kind: SubjectKind,
    /// Whether AWS Config has a rule of the control for every type that Audit Manager evaluates.
    pub(super) has_all_types: bool,
    pub(super) test: ControlTest<'a>,
    /// For queries about resources: by plan of the inventory, whether it meets each target of the control.
    pub(super) plans: Vec<Vec<Ternary>>,
    /// The tag key of the scope, as interned in the inventory.
    pub(super) tag: Option<Symbol>,
}

impl PreparedQuery<'_> {
    /// Returns whether AWS Config has a rule of the control for a type.
    pub(super) fn judges(&self, protected: &ProtectedType) -> bool {
        self.has_all_types || self.query.control.resource_types.contains(&protected.config_type)
    }

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

/// The test of a control, with its parameters. `Unclear` names a parameter that is unknown or invalid.
#[derive(Debug)]
pub(super) enum ControlTest<'a> {
    Selected,
    Copied(RequiredCopies<'a>),
    Locked { min: Option<u64>, max: Option<u64> },
    OftenAndLong { most_minutes: u64, days: u64 },
    NotDeleted { exempt: Vec<&'a str> },
    Encrypted,
    Kept { days: u64 },
    Recent { most_minutes: i64, air_gapped: bool },
    Restored { most_minutes: u64 },
    Unclear(&'static str),
}

/// Returns the test of a control. A test of the catalog ensures that every control has one.
pub(super) fn control_test(query: &ControlQuery) -> ControlTest<'_> {
    let known = match query.unclear() {
        Some(name) => Some(ControlTest::Unclear(name)),
        None => known_test(query),
    };
    known.unwrap_or(ControlTest::Unclear("ControlName"))
}

fn known_test(query: &ControlQuery) -> Option<ControlTest<'_>> {
    let recent = |air_gapped| {
        let minutes = query.minutes("recoveryPointAgeValue", "recoveryPointAgeUnit")?;
        Some(ControlTest::Recent { most_minutes: i64::try_from(minutes).unwrap_or(i64::MAX), air_gapped })
    };
    let copied = |list, to| ControlTest::Copied(RequiredCopies { list: query.list(list), to });
    Some(match query.control.name {
        "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN" => ControlTest::Selected,
        "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK" => ControlTest::OftenAndLong {
            most_minutes: query.minutes("requiredFrequencyValue", "requiredFrequencyUnit")?,
            days: query.number("requiredRetentionDays")?,
        },
        "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED" => {
            ControlTest::NotDeleted { exempt: query.list("principalArnList") }
        }
        "BACKUP_RECOVERY_POINT_ENCRYPTED" => ControlTest::Encrypted,
        "BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK" => {
            ControlTest::Kept { days: query.number("requiredRetentionDays")? }
        }
        "BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION" => copied("crossRegionList", CopyTargetKind::Region),
        "BACKUP_RESOURCES_PROTECTED_BY_CROSS_ACCOUNT" => copied("crossAccountList", CopyTargetKind::Account),
        "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK" => {
            ControlTest::Locked { min: query.number("minRetentionDays"), max: query.number("maxRetentionDays") }
        }
        "BACKUP_LAST_RECOVERY_POINT_CREATED" => recent(false)?,
        "RESTORE_TIME_FOR_RESOURCES_MEET_TARGET" => {
            ControlTest::Restored { most_minutes: query.number("maxRestoreTime")? }
        }
        "RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT" => recent(true)?,
        _ => return None,
    })
}
