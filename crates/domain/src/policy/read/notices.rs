//! Reads `notices`: owner tag, reminders, severities.

use std::collections::BTreeMap;

use framework::control::Severity;
use syntax::diagnostic::{Diagnostics, Position};
use syntax::text::{closest_match, printable};
use syntax::yaml::{Node, ScalarKind};

use super::{accounts, control_name, tags};
use crate::policy::fields::{Fields, Keys, no_tag, quoted_list, reject, text};
use crate::policy::{Reporting, SeverityRule};

pub(in crate::policy) const NOTICES: Keys =
    Keys { of: "`notices`", known: &["ownerTag", "reminders", "severity"], unsupported: &[] };

pub(in crate::policy) const SEVERITY_RULE: Keys =
    Keys { of: "a severity rule", known: &["control", "accounts", "tags", "severity"], unsupported: &[] };

/// The words for severities, in ascending order.
pub(in crate::policy) const SEVERITIES: [(&str, Severity); 5] = [
    ("informational", Severity::Informational),
    ("low", Severity::Low),
    ("medium", Severity::Medium),
    ("high", Severity::High),
    ("critical", Severity::Critical),
];

/// Maximum characters of the key of a tag (AWS's rules for tags).
pub(super) const MOST_KEY_CHARACTERS: usize = 128;
/// Maximum age for reminders: ten years.
pub(in crate::policy) const MOST_DAYS: u32 = 3650;

/// Everything but the exemptions, which have their own key.
pub(super) fn notices(diagnostics: &mut Diagnostics<'_, '_>, fields: &Fields<'_>) -> Reporting {
    let mut reporting = Reporting::default();
    let Some(node) = fields.optional(diagnostics, "notices") else { return reporting };
    let Some(fields) = Fields::of(diagnostics, node, &NOTICES) else { return reporting };
    if let Some(node) = fields.optional(diagnostics, "ownerTag")
        && let Some(key) = owner_tag(diagnostics, node)
    {
        reporting.owner_tag = key;
    }
    if let Some(node) = fields.optional(diagnostics, "reminders") {
        reporting.reminders = reminders(diagnostics, node);
    }
    if let Some(node) = fields.optional(diagnostics, "severity") {
        reporting.severity = severity_rules(diagnostics, node);
    }
    reporting
}

fn owner_tag(diagnostics: &mut Diagnostics<'_, '_>, node: &Node) -> Option<String> {
    let key = text(diagnostics, node, "`ownerTag`")?;
    let characters = key.chars().count();
    if characters > MOST_KEY_CHARACTERS {
        let problem = format!("`ownerTag` has {characters} characters");
        return reject(diagnostics, node.at, problem, "write the key of a tag: at most 128 characters");
    }
    Some(key.to_owned())
}

fn reminders(diagnostics: &mut Diagnostics<'_, '_>, node: &Node) -> Vec<u32> {
    let Some(items) = node.as_sequence() else {
        let fix = "list ages in days, such as `[7, 30]`, or `[]` for no reminders";
        diagnostics.report_error(node.at, format!("`reminders` is {}", node.describe()), fix);
        return Vec::new();
    };
    let mut reminders: Vec<u32> = Vec::new();
    for item in items {
        let Some(days) = days(diagnostics, item) else { continue };
        match reminders.last() {
            Some(_) if reminders.contains(&days) => {
                diagnostics.report_error(
                    item.at,
                    format!("the reminder after {days} days is listed twice"),
                    "list it once",
                );
            }
            Some(last) if *last > days => {
                let problem = format!("the reminder after {days} days follows the one after {last} days");
                diagnostics.report_error(item.at, problem, "write the ages in ascending order");
            }
            _ => reminders.push(days),
        }
    }
    reminders
}

fn days(diagnostics: &mut Diagnostics<'_, '_>, node: &Node) -> Option<u32> {
    if !no_tag(diagnostics, node) {
        return None;
    }
    let fix = format!("write a whole number of days from 1 to {MOST_DAYS}, without quotes");
    let Some(text) = node.as_str() else {
        return reject(diagnostics, node.at, format!("the reminder is {}", node.describe()), fix);
    };
    // As in the JSON Schema that editors use, a number in quotes is a text.
    let days = Some(text)
        .filter(|text| node.scalar_kind() == Some(ScalarKind::Number) && text.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|text| text.parse::<u32>().ok())
        .filter(|days| (1..=MOST_DAYS).contains(days));
    if days.is_none() {
        diagnostics.report_error(node.at, format!("the reminder is `{}`", printable(text)), fix);
    }
    days
}

fn severity_rules(diagnostics: &mut Diagnostics<'_, '_>, node: &Node) -> Vec<SeverityRule> {
    let Some(items) = node.as_sequence() else {
        let fix = "write a list; each item has `severity` and any of `control`, `accounts` and `tags`";
        diagnostics.report_error(node.at, format!("`severity` of `notices` is {}", node.describe()), fix);
        return Vec::new();
    };
    let mut rules: Vec<(Position, SeverityRule)> = Vec::new();
    for item in items {
        let Some(rule) = severity_rule(diagnostics, item) else { continue };
        // A rule with an error may be meant to match other violations.
        if diagnostics.is_empty()
            && let Some((first, _)) = rules.iter().find(|(_, earlier)| earlier.includes(&rule))
        {
            let problem = format!("this rule never applies: the rule at {first} matches everything that it matches");
            diagnostics.report_error(
                item.at,
                problem,
                "move it before that rule, or remove it: the first rule that matches applies",
            );
        }
        rules.push((item.at, rule));
    }
    rules.into_iter().map(|(_, rule)| rule).collect()
}

fn severity_rule(diagnostics: &mut Diagnostics<'_, '_>, node: &Node) -> Option<SeverityRule> {
    let fields = Fields::of(diagnostics, node, &SEVERITY_RULE)?;
    let control = fields.optional(diagnostics, "control").and_then(|node| control_name(diagnostics, node));
    let accounts = fields.optional(diagnostics, "accounts").map(|node| accounts(diagnostics, node)).unwrap_or_default();
    let tags = fields.optional(diagnostics, "tags").map_or_else(BTreeMap::new, |node| tags(diagnostics, node));
    let severity = fields.required(diagnostics, "severity", "critical").and_then(|node| severity(diagnostics, node));
    Some(SeverityRule { control: control.map(|control| control.name.to_owned()), accounts, tags, severity: severity? })
}

fn severity(diagnostics: &mut Diagnostics<'_, '_>, node: &Node) -> Option<Severity> {
    let word = node.as_str().unwrap_or_default();
    let found = SEVERITIES.iter().find(|(known, _)| *known == word).map(|(_, severity)| *severity);
    if found.is_none() {
        let problem = match node.as_str() {
            Some(word) => format!("unknown severity `{}`", printable(word)),
            None => format!("`severity` is {}", node.describe()),
        };
        let known = SEVERITIES.map(|(word, _)| word);
        let fix = match closest_match(word, known) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("write {}", quoted_list(&known, "or")),
        };
        diagnostics.report_error(node.at, problem, fix);
    }
    found
}
