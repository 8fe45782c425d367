//! Writes findings as text.

use console::style;

use syntax::diagnostic::{Diagnostic, Level};

use super::report::LintReport;
use crate::findings::{self, human::print_finding};
use crate::output;
use crate::plain::{count, positive};

pub(super) fn show(report: &LintReport, notes: bool) -> anyhow::Result<()> {
    let is_shown = |finding: &&Diagnostic| notes || finding.level != Level::Note;
    // The most severe last, next to the prompt of a terminal.
    for level in Level::ALL.into_iter().rev() {
        for finding in report.findings.iter().filter(|finding| finding.level == level).filter(is_shown) {
            print_finding(finding)?;
        }
    }
    output::line(&summary(report, notes))
}

/// The rules about unknown parts.
const NOT_CHECKED: &[&str] = &["BC005", "BC006"];

fn summary(report: &LintReport, notes: bool) -> String {
    let checked = &report.checked;
    let inputs = [
        (checked.policies, "policy", "policies"),
        (checked.templates, "template", "templates"),
        (checked.frameworks, "framework", "frameworks"),
        (checked.controls, "control", "controls"),
        (checked.instances, "stack instance", "stack instances"),
        (checked.unreadable, "unreadable file", "unreadable files"),
    ];
    let inputs = positive(inputs.map(|(n, one, many)| (n, if n == 1 { one } else { many })));
    let [errors, warnings, all_notes] = Level::ALL.map(|level| findings::count(&report.findings, level));
    let mut results = vec![match errors {
        0 => style("no findings".to_owned()).green().to_string(),
        n => style(count(n, "finding")).red().to_string(),
    }];
    if warnings > 0 {
        results.push(style(count(warnings, "warning")).yellow().to_string());
    }
    if all_notes > 0 {
        let hint = if notes { "" } else { " (see --notes)" };
        results.push(format!("{}{hint}", count(all_notes, "note")));
    }
    // "no findings" alone would suggest that every part was checked.
    let unknown = report.findings.iter().filter(|finding| finding.rule.is_some_and(|rule| NOT_CHECKED.contains(&rule)));
    if let unknown @ 1.. = unknown.count() {
        results.push(style(format!("{} not checked (see --notes)", count(unknown, "part"))).yellow().to_string());
    }
    if !report.suppressed.is_empty() {
        results.push(format!("{} suppressed", report.suppressed.len()));
    }
    let fixable = report.findings.iter().filter(|finding| !finding.edits.is_empty()).count();
    if fixable > 0 {
        results.push(format!("{fixable} fixable with --fix"));
    }
    format!("{inputs}: {}", results.join(", "))
}
