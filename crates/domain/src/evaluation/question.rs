//! The questions of a framework, made ready.

use super::plan::Copies;
use super::truth::Truth;
use super::{Asked, Narrowed, Unknown};
use crate::inventory::Text;

/// A question, made ready.
#[derive(Debug)]
pub(super) struct Question<'a> {
    pub(super) asked: &'a Asked,
    pub(super) about: About,
    pub(super) test: Test<'a>,
    /// For questions about the plans of a resource: what each plan of the inventory does of what is asked.
    pub(super) plans: Vec<Vec<Truth>>,
    /// The tag that it is narrowed to, as the inventory has it.
    pub(super) tag: Option<Text>,
}

impl Question<'_> {
    /// What is not known where it is not known whether something is asked about.
    pub(super) fn scope_unknown(&self, tags_unread: bool) -> Unknown<'static> {
        match &self.asked.scope {
            Narrowed::Tag { types, .. } if types.is_empty() || tags_unread => Unknown::Tags,
            _ => Unknown::Scope,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Resources,
    Plans,
    Vaults,
    RecoveryPoints,
}

/// What a control tests, with its parameters.
#[derive(Debug)]
pub(super) enum Test<'a> {
    Selected,
    Copied(Copies<'a>),
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
    /// A parameter is not known or makes no sense.
    Unclear(&'static str),
}

/// What a control tests; the catalogue's own test keeps names from being missing here.
pub(super) fn test(asked: &Asked) -> Test<'_> {
    if let Some(name) = asked.unclear() {
        return Test::Unclear(name);
    }
    let signed = |minutes: u64| i64::try_from(minutes).unwrap_or(i64::MAX);
    let known = match asked.control.name {
        "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN" => Some(Test::Selected),
        "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK" => asked
            .minutes("requiredFrequencyValue", "requiredFrequencyUnit")
            .zip(asked.number("requiredRetentionDays"))
            .map(|(most_minutes, days)| Test::OftenAndLong { most_minutes, days }),
        "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED" => {
            Some(Test::NotDeleted { exempt: asked.list("principalArnList") })
        }
        "BACKUP_RECOVERY_POINT_ENCRYPTED" => Some(Test::Encrypted),
        "BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK" => {
            asked.number("requiredRetentionDays").map(|days| Test::Kept { days })
        }
        "BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION" => {
            Some(Test::Copied(Copies::to_regions(asked.list("crossRegionList"))))
        }
        "BACKUP_RESOURCES_PROTECTED_BY_CROSS_ACCOUNT" => {
            Some(Test::Copied(Copies::to_accounts(asked.list("crossAccountList"))))
        }
        "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK" => {
            Some(Test::Locked { min: asked.number("minRetentionDays"), max: asked.number("maxRetentionDays") })
        }
        "BACKUP_LAST_RECOVERY_POINT_CREATED" => asked
            .minutes("recoveryPointAgeValue", "recoveryPointAgeUnit")
            .map(|minutes| Test::Recent { most_minutes: signed(minutes) }),
        "RESTORE_TIME_FOR_RESOURCES_MEET_TARGET" => {
            asked.number("maxRestoreTime").map(|most_minutes| Test::Restored { most_minutes })
        }
        "RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT" => asked
            .minutes("recoveryPointAgeValue", "recoveryPointAgeUnit")
            .map(|minutes| Test::AirGapped { most_minutes: signed(minutes) }),
        _ => None,
    };
    known.unwrap_or(Test::Unclear("ControlName"))
}
