//! Findings for people.

use console::style;
use domain::lint::Level;

use super::found::Found;
use crate::findings::{Finding, human::one};
use crate::output;
use crate::plain::{count, number};

pub(super) fn show(found: &Found, notes: bool) -> anyhow::Result<()> {
    let is_shown = |finding: &&Finding| notes || finding.level != Level::Note;
    // The worst last, where a terminal shows it.
    for level in Level::ALL.into_iter().rev() {
        for finding in found.findings.iter().filter(|finding| finding.level == level).filter(is_shown) {
            one(finding)?;
        }
    }
    output::line(&summary(found, notes))
}

/// The rules about what cannot be judged.
const NOT_JUDGED: &[&str] = &["BC005", "BC006"];

fn summary(found: &Found, notes: bool) -> String {
    let seen = &found.seen;
    let parts = [
        (seen.policies, "policy", "policies"),
        (seen.templates, "template", "templates"),
        (seen.frameworks, "framework", "frameworks"),
        (seen.controls, "control", "controls"),
        (seen.instances, "stack instance", "stack instances"),
        (seen.unreadable, "unreadable file", "unreadable files"),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(n, _, _)| *n > 0)
        .map(|(n, one, many)| format!("{n} {}", if n == 1 { one } else { many }))
        .collect();
    let (errors, warnings, all_notes) =
        (found.count(Level::Error), found.count(Level::Warning), found.count(Level::Note));
    let mut said = vec![match errors {
        0 => style("no findings".to_owned()).green().to_string(),
        n => style(count(number(n), "finding")).red().to_string(),
    }];
    if warnings > 0 {
        said.push(style(count(number(warnings), "warning")).yellow().to_string());
    }
    if all_notes > 0 {
        let hint = if notes { "" } else { " (see --notes)" };
        said.push(format!("{}{hint}", count(number(all_notes), "note")));
    }
    // Beside "no findings" it must not look as if everything had been looked at.
    let unseen =
        found.findings.iter().filter(|finding| finding.fault.rule.is_some_and(|rule| NOT_JUDGED.contains(&rule)));
    match unseen.count() {
        0 => {}
        n => said.push(style(format!("{} not judged (see --notes)", count(number(n), "part"))).yellow().to_string()),
    }
    if !found.suppressed.is_empty() {
        said.push(format!("{} suppressed", number(found.suppressed.len())));
    }
    let changes = found.findings.iter().filter(|finding| !finding.fault.edits.is_empty()).count();
    if changes > 0 {
        said.push(format!("{changes} can be mended with --fix"));
    }
    format!("{}: {}", parts.join(", "), said.join(", "))
}
