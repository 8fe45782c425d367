//! Findings for people.

use console::style;
use domain::fault::{Fault, Position};
use domain::lint::Level;

use super::found::{Finding, Found};
use crate::output;
use crate::plain::{count, number, shown};

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

fn one(Finding { level, fault }: &Finding) -> anyhow::Result<()> {
    let place = match fault.at {
        Some(Position { line, column }) => format!("{}:{line}:{column}:", shown(&fault.file)),
        None => format!("{}:", shown(&fault.file)),
    };
    let rule = fault.rule.map(|rule| format!("{rule} ")).unwrap_or_default();
    let problem = match level {
        Level::Error => format!("{rule}{}", style(&fault.problem).red()),
        Level::Warning => format!("{} {rule}{}", style("warning:").yellow().bold(), fault.problem),
        Level::Note => format!("{} {rule}{}", style("note:").cyan().bold(), fault.problem),
    };
    output::line(&format!("{} {problem}", style(place).bold()))?;
    for line in excerpt(fault) {
        output::line(&format!("    {line}"))?;
    }
    output::line(&format!("  {} {}\n", style("fix:").green().bold(), fault.fix))
}

/// The line, and what is wrong in it underlined.
fn excerpt(fault: &Fault) -> Vec<String> {
    let mut lines: Vec<String> = fault.excerpt.iter().flat_map(|text| text.lines()).map(str::to_owned).collect();
    if let (Some(at), Some(end), [line, caret]) = (fault.at, fault.end, lines.as_mut_slice())
        && at.line == end.line
    {
        // A long line was cut, and what is cut off cannot be underlined.
        let room = line.chars().count().saturating_sub(caret.chars().count());
        let more = end.column.saturating_sub(at.column).saturating_sub(1).min(room);
        caret.extend(std::iter::repeat_n('^', more));
    }
    lines
}

fn summary(found: &Found, notes: bool) -> String {
    let seen = &found.seen;
    let parts = [
        (seen.policies, "policy", "policies"),
        (seen.templates, "template", "templates"),
        (seen.frameworks, "framework", "frameworks"),
        (seen.controls, "control", "controls"),
        (seen.instances, "stack instance", "stack instances"),
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
    let changes = found.findings.iter().filter(|finding| !finding.fault.edits.is_empty()).count();
    if changes > 0 {
        said.push(format!("{changes} can be mended with --fix"));
    }
    format!("{}: {}", parts.join(", "), said.join(", "))
}
