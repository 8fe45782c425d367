//! Reads `notices`: owner tag, reminders, severities.

use framework::control::Severity;
use syntax::diagnostic::Position;
use syntax::text::printable;
use syntax::yaml::Node;

use super::{accounts, control_name, tags};
use crate::policy::fields::{Errors, FieldKeys, Fields, meaning, no_tag, reject, sequence, text, whole_number};
use crate::policy::{Reporting, SeverityRule};

pub(in crate::policy) const NOTICES: FieldKeys =
    FieldKeys { of: "`notices`", known: &["ownerTag", "reminders", "severity"] };

pub(in crate::policy) const SEVERITY_RULE: FieldKeys =
    FieldKeys { of: "a severity rule", known: &["control", "accounts", "tags", "severity"] };

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

/// Everything but the exemptions, which have their own key, and the positions of the severity rules.
pub(super) fn notices(errors: &mut Errors<'_>, node: &Node) -> Option<(Reporting, Vec<Position>)> {
    let fields = Fields::of(errors, node, &NOTICES)?;
    let default = Reporting::default();
    let owner_tag = fields.optional(errors, "ownerTag", owner_tag).unwrap_or(default.owner_tag);
    let reminders = fields.optional(errors, "reminders", reminders).unwrap_or(default.reminders);
    let rules = fields.optional(errors, "severity", severity_rules).unwrap_or_default();
    let (positions, severity) = rules.into_iter().unzip();
    Some((Reporting { owner_tag, reminders, severity, exemptions: default.exemptions }, positions))
}

fn owner_tag(errors: &mut Errors<'_>, node: &Node) -> Option<String> {
    let key = text(errors, node, "`ownerTag`")?;
    let characters = key.chars().count();
    if characters > MOST_KEY_CHARACTERS {
        let problem = format!("`ownerTag` has {characters} characters");
        return reject(errors, node.at, problem, "write the key of a tag: at most 128 characters");
    }
    Some(key.to_owned())
}

fn reminders(errors: &mut Errors<'_>, node: &Node) -> Option<Vec<u32>> {
    let fix = "list ages in days, such as `[7, 30]`, or `[]` for no reminders";
    let mut reminders: Vec<u32> = Vec::new();
    for item in sequence(errors, node, "`reminders`", fix)? {
        let Some(days) = days(errors, item) else { continue };
        match reminders.last() {
            Some(_) if reminders.contains(&days) => {
                let problem = format!("the reminder after {days} days is listed twice");
                errors.report_error(item.at, problem, "list it once");
            }
            Some(last) if *last > days => {
                let problem = format!("the reminder after {days} days follows the one after {last} days");
                errors.report_error(item.at, problem, "write the ages in ascending order");
            }
            _ => reminders.push(days),
        }
    }
    Some(reminders)
}

fn days(errors: &mut Errors<'_>, node: &Node) -> Option<u32> {
    if !no_tag(errors, node) {
        return None;
    }
    let fix = format!("write a whole number of days from 1 to {MOST_DAYS}, without quotes");
    let Some(text) = node.as_str() else {
        return reject(errors, node.at, format!("the reminder is {}", node.describe()), fix);
    };
    let days = whole_number(node).filter(|days| (1..=MOST_DAYS).contains(days));
    days.or_else(|| reject(errors, node.at, format!("the reminder is `{}`", printable(text)), fix))
}

fn severity_rules(errors: &mut Errors<'_>, node: &Node) -> Option<Vec<(Position, SeverityRule)>> {
    /// Most rules that later ones are compared with: the time is quadratic.
    const MOST: usize = 300;
    let fix = "write a list; each item has `severity` and any of `control`, `accounts` and `tags`";
    let mut rules: Vec<(Position, SeverityRule)> = Vec::new();
    for item in sequence(errors, node, "`severity` of `notices`", fix)? {
        let Some(rule) = severity_rule(errors, item) else { continue };
        // A rule with an error may be meant to match other violations.
        if errors.is_empty()
            && let Some((first, _)) = rules.iter().take(MOST).find(|(_, earlier)| earlier.includes(&rule))
        {
            let problem = format!("this rule never applies: the rule at {first} matches everything that it matches");
            let fix = "move it before that rule, or remove it: the first rule that matches applies";
            errors.report_error(item.at, problem, fix);
        }
        rules.push((item.at, rule));
    }
    Some(rules)
}

fn severity_rule(errors: &mut Errors<'_>, node: &Node) -> Option<SeverityRule> {
    let fields = Fields::of(errors, node, &SEVERITY_RULE)?;
    Some(SeverityRule {
        control: fields.optional(errors, "control", control_name).map(|control| control.name.to_owned()),
        accounts: fields.optional(errors, "accounts", accounts).unwrap_or_default(),
        tags: fields.optional(errors, "tags", tags).unwrap_or_default(),
        severity: fields.required(errors, "severity", "critical", severity)?,
    })
}

fn severity(errors: &mut Errors<'_>, node: &Node) -> Option<Severity> {
    let problem = match node.as_str() {
        Some(word) => format!("unknown severity `{}`", printable(word)),
        None => format!("`severity` is {}", node.describe()),
    };
    meaning(errors, node.at, node.as_str().unwrap_or_default(), &SEVERITIES, problem)
}
