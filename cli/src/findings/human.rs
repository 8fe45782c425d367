//! Prints a finding as text.

use console::{StyledObject, style};

use syntax::diagnostic::{Diagnostic, Level, Position};

use crate::output;
use crate::plain::escaped;

pub(crate) fn place(diagnostic: &Diagnostic) -> StyledObject<String> {
    let at = diagnostic.at.map(|Position { line, column }| format!(":{line}:{column}")).unwrap_or_default();
    style(format!("{}{at}:", escaped(&diagnostic.file))).bold()
}

pub(crate) fn print_finding(diagnostic: &Diagnostic) -> anyhow::Result<()> {
    let rule = diagnostic.rule.map(|rule| format!("{rule} ")).unwrap_or_default();
    let message = match diagnostic.level {
        Level::Error => format!("{rule}{}", style(&diagnostic.message).red()),
        Level::Warning => format!("{} {rule}{}", style("warning:").yellow().bold(), diagnostic.message),
        Level::Note => format!("{} {rule}{}", style("note:").cyan().bold(), diagnostic.message),
    };
    output::line(&format!("{} {message}", place(diagnostic)))?;
    excerpt(diagnostic).iter().try_for_each(|line| output::line(&format!("    {line}")))?;
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
