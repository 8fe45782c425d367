//! Prints a finding as text.

use console::style;

use framework::lint::Level;
use syntax::diagnostic::{Diagnostic, Position};

use super::Finding;
use crate::output;
use crate::plain::escaped;

pub(crate) fn print_finding(Finding { level, diagnostic }: &Finding) -> anyhow::Result<()> {
    let place = match diagnostic.at {
        Some(Position { line, column }) => format!("{}:{line}:{column}:", escaped(&diagnostic.file)),
        None => format!("{}:", escaped(&diagnostic.file)),
    };
    let rule = diagnostic.rule.map(|rule| format!("{rule} ")).unwrap_or_default();
    let message = match level {
        Level::Error => format!("{rule}{}", style(&diagnostic.message).red()),
        Level::Warning => format!("{} {rule}{}", style("warning:").yellow().bold(), diagnostic.message),
        Level::Note => format!("{} {rule}{}", style("note:").cyan().bold(), diagnostic.message),
    };
    output::line(&format!("{} {message}", style(place).bold()))?;
    for line in excerpt(diagnostic) {
        output::line(&format!("    {line}"))?;
    }
    output::line(&format!("  {} {}\n", style("help:").green().bold(), diagnostic.help))
}

/// Returns the lines of the excerpt with carets from start to end.
fn excerpt(diagnostic: &Diagnostic) -> Vec<String> {
    let mut lines: Vec<String> = diagnostic.excerpt.iter().flat_map(|text| text.lines()).map(str::to_owned).collect();
    if let (Some(at), Some(end), [line, caret]) = (diagnostic.at, diagnostic.end, lines.as_mut_slice())
        && at.line == end.line
    {
        // The excerpt of a long line is cut.
        let room = line.chars().count().saturating_sub(caret.chars().count());
        let more = end.column.saturating_sub(at.column).saturating_sub(1).min(room);
        caret.extend(std::iter::repeat_n('^', more));
    }
    lines
}
