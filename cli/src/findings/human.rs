//! A finding for people.

use console::style;
use domain::fault::{Fault, Position};
use domain::lint::Level;

use super::Finding;
use crate::output;
use crate::plain::shown;

pub(crate) fn one(Finding { level, fault }: &Finding) -> anyhow::Result<()> {
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
