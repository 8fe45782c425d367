//! The part of a policy that says how violations are judged and told.

use std::collections::BTreeMap;

use super::{accounts, control_name, tags};
use crate::control::Severity;
use crate::fault::{Faults, Position, nearest};
use crate::ids::shown;
use crate::policy::fields::{Fields, Keys, no_tag, text, words};
use crate::policy::{Reporting, SeverityRule};
use crate::yaml::{Node, ScalarKind};

pub(in crate::policy) const NOTICES: Keys =
    Keys { of: "`notices`", known: &["ownerTag", "reminders", "severity"], unsupported: &[] };

pub(in crate::policy) const SEVERITY_RULE: Keys =
    Keys { of: "a severity rule", known: &["control", "accounts", "tags", "severity"], unsupported: &[] };

/// How severities are written, from the least to the greatest.
pub(in crate::policy) const SEVERITIES: [(&str, Severity); 5] = [
    ("informational", Severity::Informational),
    ("low", Severity::Low),
    ("medium", Severity::Medium),
    ("high", Severity::High),
    ("critical", Severity::Critical),
];

/// Most characters of the key of a tag (AWS's rules for tags).
pub(super) const MOST_KEY_CHARACTERS: usize = 128;
/// Greatest age for reminders: ten years.
pub(in crate::policy) const MOST_DAYS: u32 = 3650;

/// Everything but the exemptions, which stand elsewhere in the file.
pub(super) fn notices(faults: &mut Faults<'_, '_>, fields: &Fields<'_>) -> Reporting {
    let mut reporting = Reporting::default();
    let Some(node) = fields.optional(faults, "notices") else { return reporting };
    let Some(fields) = Fields::of(faults, node, &NOTICES) else { return reporting };
    if let Some(node) = fields.optional(faults, "ownerTag")
        && let Some(key) = owner_tag(faults, node)
    {
        reporting.owner_tag = key;
    }
    if let Some(node) = fields.optional(faults, "reminders") {
        reporting.reminders = reminders(faults, node);
    }
    if let Some(node) = fields.optional(faults, "severity") {
        reporting.severity = severity_rules(faults, node);
    }
    reporting
}

fn owner_tag(faults: &mut Faults<'_, '_>, node: &Node) -> Option<String> {
    let key = text(faults, node, "`ownerTag`")?;
    let characters = key.chars().count();
    if characters > MOST_KEY_CHARACTERS {
        let problem = format!("`ownerTag` has {characters} characters");
        faults.at(node.at, problem, "write the key of a tag: 128 characters at most");
        return None;
    }
    Some(key.to_owned())
}

fn reminders(faults: &mut Faults<'_, '_>, node: &Node) -> Vec<u32> {
    let Some(items) = node.as_sequence() else {
        let fix = "list ages in days, such as `[7, 30]`, or `[]` for no reminders";
        faults.at(node.at, format!("`reminders` is {}", node.describe()), fix);
        return Vec::new();
    };
    let mut reminders: Vec<u32> = Vec::new();
    for item in items {
        let Some(days) = days(faults, item) else { continue };
        match reminders.last() {
            Some(_) if reminders.contains(&days) => {
                faults.at(item.at, format!("the reminder after {days} days is in the list twice"), "keep it once");
            }
            Some(last) if *last > days => {
                let problem = format!("the reminder after {days} days stands behind the one after {last} days");
                faults.at(item.at, problem, "write the ages in ascending order");
            }
            _ => reminders.push(days),
        }
    }
    reminders
}

fn days(faults: &mut Faults<'_, '_>, node: &Node) -> Option<u32> {
    if !no_tag(faults, node) {
        return None;
    }
    let fix = format!("write a whole number of days from 1 to {MOST_DAYS}, without quotes");
    let Some(text) = node.as_str() else {
        faults.at(node.at, format!("the reminder is {}", node.describe()), fix);
        return None;
    };
    // A number in quotes is a text to the JSON Schema that editors use, so it is one here.
    let days = Some(text)
        .filter(|text| node.scalar_kind() == Some(ScalarKind::Number) && text.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|text| text.parse::<u32>().ok())
        .filter(|days| (1..=MOST_DAYS).contains(days));
    if days.is_none() {
        faults.at(node.at, format!("the reminder is `{}`", shown(text)), fix);
    }
    days
}

fn severity_rules(faults: &mut Faults<'_, '_>, node: &Node) -> Vec<SeverityRule> {
    let Some(items) = node.as_sequence() else {
        let fix = "write a list; each item has `severity`, and of `control`, `accounts` and `tags` what it depends on";
        faults.at(node.at, format!("`severity` of `notices` is {}", node.describe()), fix);
        return Vec::new();
    };
    let mut rules: Vec<(Position, SeverityRule)> = Vec::new();
    for item in items {
        let Some(rule) = severity_rule(faults, item) else { continue };
        // A rule with a fault may have been meant to match something else.
        if faults.is_empty()
            && let Some((first, _)) = rules.iter().find(|(_, earlier)| earlier.includes(&rule))
        {
            let problem = format!("this rule is never reached: the one at {first} matches all that it matches");
            faults.at(item.at, problem, "put it before that one, or remove it: the first rule that matches counts");
        }
        rules.push((item.at, rule));
    }
    rules.into_iter().map(|(_, rule)| rule).collect()
}

fn severity_rule(faults: &mut Faults<'_, '_>, node: &Node) -> Option<SeverityRule> {
    let fields = Fields::of(faults, node, &SEVERITY_RULE)?;
    let control = fields.optional(faults, "control").and_then(|node| control_name(faults, node));
    let accounts = fields.optional(faults, "accounts").map(|node| accounts(faults, node)).unwrap_or_default();
    let tags = fields.optional(faults, "tags").map_or_else(BTreeMap::new, |node| tags(faults, node));
    let severity = fields.required(faults, "severity", "critical").and_then(|node| severity(faults, node));
    Some(SeverityRule { control: control.map(|control| control.name.to_owned()), accounts, tags, severity: severity? })
}

fn severity(faults: &mut Faults<'_, '_>, node: &Node) -> Option<Severity> {
    let word = node.as_str().unwrap_or_default();
    let found = SEVERITIES.iter().find(|(known, _)| *known == word).map(|(_, severity)| *severity);
    if found.is_none() {
        let problem = match node.as_str() {
            Some(word) => format!("there is no severity `{}`", shown(word)),
            None => format!("`severity` is {}", node.describe()),
        };
        let known = SEVERITIES.map(|(word, _)| word);
        let fix = match nearest(word, known) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("it is {}", words(&known).replace(" and ", " or ")),
        };
        faults.at(node.at, problem, fix);
    }
    found
}
