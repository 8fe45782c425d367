//! The words that several notices share.

use super::text::{fit, quoted, short, shown};
use crate::control;
use crate::violation::{Closing, Found, Heard, Told};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Counts of violations by something that they have in common, such as their owner: the largest first.
#[derive(Debug)]
pub(super) struct Counts<'t>(Vec<(Option<&'t str>, usize)>);

impl<'t> Counts<'t> {
    /// Entries of the JSON form.
    pub(super) const LISTED: usize = 25;

    /// Counts equal texts. `None` is counted as unknown.
    pub(super) fn of(texts: impl Iterator<Item = Option<&'t str>>) -> Self {
        let mut counts: BTreeMap<Option<&str>, usize> = BTreeMap::new();
        for text in texts {
            let count = counts.entry(text).or_default();
            *count = count.saturating_add(1);
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| Reverse(*count));
        Self(counts)
    }

    /// Returns the first of them in words, each made by `word`: `orders-team 412, unknown 3, 2 others 5`.
    pub(super) fn words(&self, word: impl Fn(&str) -> String) -> String {
        const NAMED: usize = 8;
        let (first, rest) = self.0.split_at(NAMED.min(self.0.len()));
        let first = first.iter().map(|(text, count)| format!("{} {count}", text.map_or("unknown".to_owned(), &word)));
        let others = rest.iter().map(|(_, count)| *count).fold(0, usize::saturating_add);
        let others = (others > 0).then(|| format!("{} others {others}", rest.len()));
        first.chain(others).collect::<Vec<_>>().join(", ")
    }

    /// Returns the first of them for the JSON form, and how many more there are.
    pub(super) fn json(&self, name: &str, budget: usize) -> (Value, usize) {
        let first = self.0.iter().take(Self::LISTED);
        let first = first.map(|(text, count)| json!({ name: text.map(|text| fit(text, budget)), "violations": count }));
        (first.collect(), self.0.len().saturating_sub(Self::LISTED))
    }
}

/// An option of a command with its value. A value that a shell would read otherwise than we mean it is left out.
pub(super) fn option(name: &str, value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.@+/=:".contains(c);
    if value.is_empty() || value.len() > 128 || value.starts_with(['-', '=']) || !value.chars().all(is_plain) {
        return String::new();
    }
    format!(" --{name} {value}")
}

/// The words for an owner in a count.
pub(super) fn owner_word(owner: &str) -> String {
    quoted(&shown(owner, 48))
}

/// The words for a resource type in a count.
pub(super) fn type_word(resource_type: &str) -> String {
    shown(control::resource_kind(resource_type), 48)
}

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
        Told::Opened | Told::ExemptionEnded(_) | Told::Exempted(_) | Told::Refreshed => None,
    }
}

/// Whether the violation is open and requires action: it is neither closed nor covered by an exemption.
pub(super) const fn is_open(told: &Told) -> bool {
    !matches!(told, Told::Resolved(_) | Told::Exempted(_))
}

/// Why several violations are closed, to follow "Resolved".
pub(super) fn closed_title(word: &str) -> &'static str {
    match word {
        "satisfied" => "the control is satisfied now",
        "notApplicable" => "the control does not apply any more",
        "resourceGone" => "the resource is gone",
        "controlRemoved" => "the control left the framework",
        _ => "the framework was removed",
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
