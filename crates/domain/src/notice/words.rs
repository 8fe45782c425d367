//! The words that several notices share.

use super::text::short;
use crate::violation::{Closing, Found, Heard, Told};

/// What is wrong with several resources that break a control: "412 opened: *resources in no backup plan*".
pub(super) fn broken_by_many(control: &str) -> String {
    let words = match control {
        "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN" => "resources in no backup plan",
        "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK" => "plans short on frequency or retention",
        "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED" => "vaults that let people delete backups",
        "BACKUP_RECOVERY_POINT_ENCRYPTED" => "recovery points not encrypted",
        "BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK" => "recovery points not kept long enough",
        "BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION" => "resources not copied to another Region",
        "BACKUP_RESOURCES_PROTECTED_BY_CROSS_ACCOUNT" => "resources not copied to another account",
        "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK" => "resources in no locked vault",
        "BACKUP_LAST_RECOVERY_POINT_CREATED" => "resources with no recent recovery point",
        "RESTORE_TIME_FOR_RESOURCES_MEET_TARGET" => "resources that take too long to restore",
        "RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT" => "resources not in an air-gapped vault",
        unknown => return format!("breaking {}", short(unknown, 40)),
    };
    words.to_owned()
}

/// How a violation came to be, to follow "Found".
pub(super) const fn found(found: Found) -> &'static str {
    match found {
        Found::Rollout => "by the rollout of the control: it was like this before",
        Found::Regression => "as a regression: the resource satisfied the control before",
        Found::FirstResult => "with the first result for this resource: it is new, or newly in scope",
    }
}

/// What is said where the news was late.
pub(super) const fn heard(heard: Heard) -> &'static str {
    match heard {
        Heard::Event => "",
        Heard::Sweep => "; AWS Config's event was lost, the sweep noticed",
    }
}

/// The word of the JSON form.
pub(super) const fn found_word(found: Found) -> &'static str {
    match found {
        Found::Rollout => "rollout",
        Found::Regression => "regression",
        Found::FirstResult => "firstResult",
    }
}

/// The word of the JSON form.
pub(super) const fn heard_word(heard: Heard) -> &'static str {
    match heard {
        Heard::Event => "event",
        Heard::Sweep => "sweep",
    }
}

/// The word of the JSON form for why a violation is closed; `None` where it is not.
pub(super) const fn closed_word(told: &Told) -> Option<&'static str> {
    match told {
        Told::Resolved(Closing::Satisfied) => Some("satisfied"),
        Told::Resolved(Closing::NotApplicable) => Some("notApplicable"),
        Told::Resolved(Closing::ResourceGone) => Some("resourceGone"),
        Told::Resolved(Closing::ControlRemoved) => Some("controlRemoved"),
        Told::Resolved(Closing::FrameworkRemoved) => Some("frameworkRemoved"),
        Told::Exempted(_) => Some("exempted"),
        Told::Opened | Told::ExemptionEnded(_) | Told::Reminder(_) | Told::Refreshed => None,
    }
}

/// Why several violations are closed, to follow "Resolved".
pub(super) fn closed_title(word: &str) -> &'static str {
    match word {
        "satisfied" => "the control is satisfied now",
        "notApplicable" => "the control does not apply any more",
        "resourceGone" => "the resource is gone",
        "controlRemoved" => "the control left the framework",
        "frameworkRemoved" => "the framework was removed",
        _ => "exempt by the policy",
    }
}

/// Why one violation is closed, in a sentence.
pub(super) const fn closed_sentence(closing: Closing) -> &'static str {
    match closing {
        Closing::Satisfied => "There is nothing left to do.",
        Closing::NotApplicable => {
            "AWS Config says that the control does not apply to the resource any more. There is nothing left to do."
        }
        Closing::ResourceGone => {
            "AWS Config has no result for the resource any more: it was deleted. There is nothing left to do."
        }
        Closing::ControlRemoved => {
            "The control is no longer part of the framework there, so nobody checks it any more. There is nothing left to do."
        }
        Closing::FrameworkRemoved => {
            "No framework is in force there any more, so nobody checks it any more. There is nothing left to do."
        }
    }
}
