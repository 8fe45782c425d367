//! Labels and counts that several notices share.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use framework::control;

use super::text::{fit, quoted, short, shown};
use crate::violation::{ClosedReason, DetectionSource, OpenedBy, Update};

/// Violations counted by a property such as their owner, the largest count first. `None` stands for unknown.
#[derive(Debug)]
pub(super) struct GroupedCounts<'t>(Vec<(Option<&'t str>, usize)>);

impl<'t> GroupedCounts<'t> {
    pub(super) const LISTED: usize = 25;

    pub(super) fn of(values: impl Iterator<Item = Option<&'t str>>) -> Self {
        let mut counts: Vec<_> = tally(values).into_iter().collect();
        counts.sort_by_key(|(_, count)| Reverse(*count));
        Self(counts)
    }

    /// `orders-team 412, unknown 3, 2 others 5`, each value rendered by `label`.
    pub(super) fn text(&self, label: impl Fn(&str) -> String) -> String {
        const NAMED: usize = 8;
        let (first, rest) = self.0.split_at(NAMED.min(self.0.len()));
        let first = first.iter().map(|(value, count)| format!("{} {count}", value.map_or("unknown".into(), &label)));
        let others = rest.iter().map(|(_, count)| *count).fold(0, usize::saturating_add);
        let others = (others > 0).then(|| format!("{} others {others}", rest.len()));
        first.chain(others).collect::<Vec<_>>().join(", ")
    }

    /// Returns the first counts, each value in the field `name` of at most `budget` bytes, and the number of omitted values.
    pub(super) fn json(&self, name: &str, budget: usize) -> (Value, usize) {
        let first = self.0.iter().take(Self::LISTED);
        let first =
            first.map(|(value, count)| json!({ name: value.map(|value| fit(value, budget)), "violations": count }));
        (first.collect(), self.0.len().saturating_sub(Self::LISTED))
    }
}

pub(super) fn tally<T: Ord>(values: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for value in values {
        let count: &mut usize = counts.entry(value).or_default();
        *count = count.saturating_add(1);
    }
    counts
}

/// The change of a violation that a notice reports, in the order of a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum UpdateKind {
    Opened,
    ExemptionEnded,
    Exempted,
    Resolved,
}

impl UpdateKind {
    pub(super) const fn of(update: &Update) -> Self {
        match update {
            Update::Opened | Update::Refreshed => Self::Opened,
            Update::ExemptionEnded(_) => Self::ExemptionEnded,
            Update::Exempted(_) => Self::Exempted,
            Update::Resolved(_) => Self::Resolved,
        }
    }

    pub(super) const fn change(self) -> &'static str {
        match self {
            Self::Opened | Self::ExemptionEnded => "opened",
            Self::Exempted => "exempted",
            Self::Resolved => "resolved",
        }
    }

    /// Whether the violation is open and requires action: it is neither closed nor exempt.
    pub(super) const fn is_open(self) -> bool {
        matches!(self, Self::Opened | Self::ExemptionEnded)
    }
}

/// Renders a command line option. Values that a shell could interpret are omitted with the option.
pub(super) fn option(name: &str, value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.@+/=:".contains(c);
    if value.is_empty() || value.len() > 128 || value.starts_with(['-', '=']) || !value.chars().all(is_plain) {
        return String::new();
    }
    format!(" --{name} {value}")
}

pub(super) fn owner(owner: &str) -> String {
    quoted(&shown(owner, 48))
}

/// The account's name with a space before it; empty if it is not known.
pub(super) fn name_after_account(name: Option<&str>) -> String {
    name.map(|name| format!(" {}", quoted(&shown(name, 64)))).unwrap_or_default()
}

pub(super) fn resource_type(resource_type: &str) -> String {
    shown(control::resource_kind(resource_type), 48)
}

/// The state of several resources that break a control, as in "412 opened: *resources in no backup plan*".
pub(super) fn broken_by_many(control: &str) -> String {
    let state = match control {
        "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN" => "resources in no backup plan",
        "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK" => "plans short on frequency or retention",
        "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED" => "vaults that allow manual deletion",
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
    state.to_owned()
}

pub(super) fn opened_by(found: OpenedBy, heard: DetectionSource) -> String {
    let reason = match found {
        OpenedBy::Rollout => "rollout of the control: the resource broke the control before",
        OpenedBy::Regression => "regression: the resource satisfied the control before",
        OpenedBy::FirstResult => "first result for this resource: it is new, or newly in scope",
    };
    let source = match heard {
        DetectionSource::Event => "",
        DetectionSource::Sweep => "; detected by the sweep, since the event of AWS Config was lost",
    };
    format!("{reason}{source}")
}

pub(super) fn earlier_transitions(transitions: usize) -> Option<String> {
    let number = super::text::count(transitions, "earlier transition");
    (transitions > 0).then(|| format!("{number} between open and resolved, without separate notices"))
}

pub(super) const fn closed_reason(update: &Update) -> Option<ClosedReason> {
    if let Update::Resolved(closing) = update { Some(*closing) } else { None }
}

/// The reason for the end of several violations, behind "Resolved, ".
pub(super) const fn closed_title(closing: ClosedReason) -> &'static str {
    match closing {
        ClosedReason::Satisfied => "the control is satisfied",
        ClosedReason::NotApplicable => "the control no longer applies",
        ClosedReason::ResourceGone => "the resource was deleted",
        ClosedReason::ControlRemoved => "the control was removed from the framework",
        ClosedReason::FrameworkRemoved => "the framework was removed",
    }
}

pub(super) const fn closed_sentence(closing: ClosedReason) -> &'static str {
    match closing {
        ClosedReason::Satisfied => "The resource satisfies the control. No action is required.",
        ClosedReason::NotApplicable => {
            "AWS Config reports that the control no longer applies to the resource. No action is required."
        }
        ClosedReason::ResourceGone => {
            "AWS Config no longer has a result for the resource: it was deleted. No action is required."
        }
        ClosedReason::ControlRemoved => {
            "The control is no longer part of the framework in this account and Region, so the resource is no longer \
             evaluated. No action is required."
        }
        ClosedReason::FrameworkRemoved => {
            "No framework is in force in this account and Region any more, so the resource is no longer evaluated. No \
             action is required."
        }
    }
}
