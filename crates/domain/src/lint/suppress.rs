//! Suppressions in a template's metadata.

use jiff::civil::Date;

use super::{Level, Rule, rules};
use crate::fault::{Fault, Faults, Position, Source, nearest};
use crate::ids::shown;
use crate::template::Template;
use crate::yaml::Node;

/// A suppression that is in force.
struct Suppression {
    rule: &'static Rule,
    reason: String,
    at: Position,
    /// From where to where it holds; everywhere without.
    within: Option<(Position, Position)>,
    is_used: bool,
}

/// Takes out what is suppressed, and adds what is wrong with the suppressions. What was taken out, each with a reason.
pub(super) fn apply(template: &Template, today: Date, found: &mut Vec<Fault>) -> Vec<(Fault, String)> {
    let source = Source::new(template.file(), template.text());
    let mut faults = Faults::new(&source);
    let mut suppressions = Vec::new();
    read(&mut faults, template.root(), None, today, &mut suppressions);
    let resources = template.root().get("Resources").and_then(Node::entries).unwrap_or_default();
    for (key, body) in resources {
        read(&mut faults, body, Some((key.at, body.end)), today, &mut suppressions);
    }
    let mut hidden = Vec::new();
    found.retain(|fault| {
        let mut reason = None;
        for suppression in suppressions.iter_mut().filter(|suppression| suppression.holds(fault)) {
            suppression.is_used = true;
            reason.get_or_insert_with(|| suppression.reason.clone());
        }
        let is_shown = reason.is_none();
        hidden.extend(reason.map(|reason| (fault.clone(), reason)));
        is_shown
    });
    for Suppression { rule, at, within, .. } in suppressions.iter().filter(|suppression| !suppression.is_used) {
        let place = if within.is_some() { "this resource" } else { "this template" };
        let problem = format!("nothing of {place} breaks `{}` ({})", rule.id, rule.title);
        faults.tell(&rules::SUPPRESSION_UNUSED, *at, problem, "remove the suppression", Vec::new());
    }
    found.extend(faults.into_vec());
    hidden
}

impl Suppression {
    fn holds(&self, fault: &Fault) -> bool {
        fault.rule == Some(self.rule.id)
            && match (self.within, fault.at) {
                (Some((from, to)), Some(at)) => from <= at && at < to,
                (Some(_), None) => false,
                (None, _) => true,
            }
    }
}

const KEYS: [&str; 3] = ["rule", "reason", "until"];

/// The suppressions of the template or of a resource.
fn read(
    faults: &mut Faults<'_, '_>,
    of: &Node,
    within: Option<(Position, Position)>,
    today: Date,
    suppressions: &mut Vec<Suppression>,
) {
    let Some(ours) = of.get("Metadata").and_then(|metadata| metadata.get("BackupCompliance")) else { return };
    let mut wrong = |node: &Node, problem: String, fix: &str| {
        faults.tell(&rules::SUPPRESSION, node, problem, fix, Vec::new());
    };
    let example = "write `Suppress: [{ rule: BC051, reason: ..., until: 2027-01-31 }]`";
    let Some(list) = ours.get("Suppress") else {
        return wrong(ours, "`BackupCompliance` has no `Suppress`".to_owned(), example);
    };
    for (key, _) in ours.entries().unwrap_or_default().iter().filter(|(key, _)| key.as_str() != Some("Suppress")) {
        let name = shown(key.as_str().unwrap_or_default());
        wrong(key, format!("`BackupCompliance` takes no `{name}`"), "it takes `Suppress`");
    }
    let Some(items) = list.as_sequence() else {
        return wrong(list, format!("`Suppress` is {}", list.describe()), example);
    };
    for item in items {
        if item.entries().is_none() {
            faults.tell(
                &rules::SUPPRESSION,
                item,
                format!("this suppression is {}", item.describe()),
                example,
                Vec::new(),
            );
            continue;
        }
        if let Some(suppression) = suppression(faults, item, within, today) {
            suppressions.push(suppression);
        }
    }
}

/// A suppression that is right and has not ended. Everything that is wrong with it is told at once.
fn suppression(
    faults: &mut Faults<'_, '_>,
    item: &Node,
    within: Option<(Position, Position)>,
    today: Date,
) -> Option<Suppression> {
    for (key, _) in item.entries().unwrap_or_default() {
        let name = key.as_str().unwrap_or_default();
        if !KEYS.contains(&name) {
            let fix = match nearest(name, KEYS) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "it takes `rule`, `reason` and `until`".to_owned(),
            };
            faults.tell(&rules::SUPPRESSION, key, format!("a suppression takes no `{}`", shown(name)), fix, Vec::new());
        }
    }
    let text = |key: &str| item.get(key).and_then(Node::as_str).map(str::trim).filter(|text| !text.is_empty());
    let place = |key: &str| item.get(key).map_or(item.at, |node| node.at);
    let mut wrong = |key: &str, problem: String, fix: String| {
        faults.tell(&rules::SUPPRESSION, place(key), problem, fix, Vec::new());
    };
    let rule = match text("rule") {
        None => {
            wrong("rule", "the suppression names no rule".into(), "add `rule`, such as `rule: BC051`".into());
            None
        }
        Some(id) => {
            let rule = super::rule(&id.to_ascii_uppercase());
            if rule.is_none() {
                let fix = match nearest(id, super::RULES.iter().map(|rule| rule.id)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "see docs/rules.md for the rules".to_owned(),
                };
                wrong("rule", format!("there is no rule `{}`", shown(id)), fix);
            }
            rule
        }
    };
    if text("reason").is_none() {
        wrong("reason", "the suppression has no reason".into(), "add `reason`: why this is as it should be".into());
    }
    let until = match text("until").map(str::parse::<Date>) {
        None => {
            wrong(
                "until",
                "the suppression has no end".into(),
                "add `until`, its last day: `until: 2027-01-31`".into(),
            );
            None
        }
        Some(Err(_)) => {
            let shown = shown(text("until").unwrap_or_default());
            wrong("until", format!("`{shown}` is no day"), "write the last day as year-month-day: 2027-01-31".into());
            None
        }
        Some(Ok(date)) => Some(date),
    };
    let (rule, until) = (rule?, until?);
    let reason = text("reason")?.to_owned();
    if rule.level == Level::Error {
        let problem = format!("`{}` is an error ({})", rule.id, rule.title);
        faults.tell(&rules::SUPPRESSION_OF_ERROR, item, problem, "mend it and remove the suppression", Vec::new());
        return None;
    }
    if rule.id.starts_with("BC06") || rule.id.starts_with("BC09") {
        let problem = format!("`{}` cannot be suppressed in a template ({})", rule.id, rule.title);
        faults.tell(&rules::SUPPRESSION, item, problem, "remove the suppression", Vec::new());
        return None;
    }
    if until < today {
        let problem = format!("the suppression of `{}` has ended: its last day was {until}", rule.id);
        faults.tell(&rules::SUPPRESSION_ENDED, item, problem, "mend what it hides, or give it a new day", Vec::new());
        return None;
    }
    Some(Suppression { rule, reason, at: item.at, within, is_used: false })
}
