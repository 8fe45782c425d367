use std::cell::OnceCell;

use super::{Diagnostic, Edit, Level, Position, RuleId};
use crate::text::is_invisible;

/// A file that is being read.
pub struct Source<'t> {
    /// The file's name in diagnostics.
    pub file: &'t str,
    /// The text without a byte order mark.
    pub text: &'t str,
    /// Split on the first diagnostic: most files have none.
    lines: OnceCell<Vec<&'t str>>,
}

impl<'t> Source<'t> {
    /// Returns a file. `text` may start with a byte order mark, which does not count as a character of the first line.
    #[must_use]
    pub fn new(file: &'t str, text: &'t str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self { file, text, lines: OnceCell::new() }
    }

    /// Returns an error about a position, with the line as excerpt.
    pub fn error(&self, at: Position, message: impl Into<String>, help: impl Into<String>) -> Diagnostic {
        let excerpt = self.line(at.line).and_then(|line| excerpt(line, at.column));
        Diagnostic { at: Some(at), excerpt, ..Diagnostic::of_file(self.file, message, help) }
    }

    /// Returns the text between two positions of one line.
    #[must_use]
    pub fn slice(&self, from: Position, to: Position) -> Option<&'t str> {
        let line = self.line(from.line).filter(|_| from.line == to.line && from.column <= to.column)?;
        let mut indexes = line.char_indices().map(|(index, _)| index).chain([line.len()]);
        let start = indexes.nth(from.column.checked_sub(1)?)?;
        let length = to.column - from.column;
        let end = if length == 0 { start } else { indexes.nth(length - 1)? };
        line.get(start..end)
    }

    /// Returns the end of the value between two positions of one line: after the closing quote of a quoted one.
    pub(crate) fn end(&self, from: Position, to: Position) -> Option<Position> {
        let written = self.slice(from, to)?;
        let Some(quote @ ('"' | '\'')) = written.chars().next() else { return Some(to) };
        let mut characters = written.chars().enumerate().skip(1).peekable();
        while let Some((index, c)) = characters.next() {
            let doubles = quote == '\'' && characters.peek().is_some_and(|(_, next)| *next == '\'');
            if (c == '\\' && quote == '"') || (c == quote && doubles) {
                characters.next();
            } else if c == quote {
                return Some(Position { column: from.column + index + 1, ..from });
            }
        }
        None
    }

    /// Returns a line by its number from 1.
    #[must_use]
    pub fn line(&self, number: usize) -> Option<&'t str> {
        self.lines.get_or_init(|| lines(self.text)).get(number.checked_sub(1)?).copied()
    }
}

/// Splits lines as YAML does: a carriage return alone ends a line too.
fn lines(text: &str) -> Vec<&str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r')).collect()
}

/// Returns the line and, below it, a caret under the column. Long lines are cut around the column. Characters that would displace the
/// caret (tabs, control characters, direction marks) are shown as one column.
fn excerpt(line: &str, column: usize) -> Option<String> {
    /// Indented by four, it fits the width of an e-mail.
    const WIDTH: usize = 72;
    const BEFORE: usize = 48;
    if line.trim().is_empty() {
        return None;
    }
    let length = line.trim_end().chars().count();
    // The position of something missing may be after the last character.
    let caret = column.saturating_sub(1).min(length);
    let start = if length <= WIDTH { 0 } else { caret.saturating_sub(BEFORE).min(length - WIDTH) };
    let end = length.min(start + WIDTH);

    let mut out = String::new();
    for (index, character) in line.chars().enumerate().skip(start).take(end - start) {
        let cut = (index == start && start > 0) || (index + 1 == end && end < length);
        out.push(match character {
            _ if cut => '…',
            '\t' => ' ',
            other if other.is_control() || is_invisible(other) => '\u{fffd}',
            other => other,
        });
    }
    out.push('\n');
    out.extend(std::iter::repeat_n(' ', caret.saturating_sub(start)));
    out.push('^');
    Some(out)
}

/// The position of a diagnostic and its end, if known.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub(crate) at: Position,
    pub(crate) end: Option<Position>,
}

impl From<Position> for Span {
    fn from(at: Position) -> Self {
        Self { at, end: None }
    }
}

/// The diagnostics of one file.
pub struct Diagnostics<'s, 't> {
    source: &'s Source<'t>,
    found: Vec<Diagnostic>,
    /// The number of reported diagnostics by level.
    counts: [usize; Level::ALL.len()],
    /// The rule of the last dropped diagnostic by level.
    dropped: [Option<&'static str>; Level::ALL.len()],
}

impl<'s, 't> Diagnostics<'s, 't> {
    /// Most diagnostics that are kept of each level, so that a hostile file cannot exhaust memory with excerpts. The limit is by level, so
    /// that notes never displace an error.
    pub const MOST: usize = 100;

    /// Returns an empty list for a file.
    #[must_use]
    pub fn new(source: &'s Source<'t>) -> Self {
        Self { source, found: Vec::new(), counts: [0; Level::ALL.len()], dropped: [None; Level::ALL.len()] }
    }

    /// Reports an error without a rule at a position.
    pub fn report_error(&mut self, at: Position, message: impl Into<String>, help: impl Into<String>) {
        if self.count(Level::Error) {
            self.found.push(self.source.error(at, message, help));
        }
    }

    /// Reports an error without a rule about the whole file.
    pub fn report_file_error(&mut self, message: impl Into<String>, help: impl Into<String>) {
        if self.count(Level::Error) {
            self.found.push(Diagnostic::of_file(self.source.file, message, help));
        }
    }

    /// Reports a violation of a rule.
    pub fn report(
        &mut self,
        rule: impl Into<RuleId>,
        span: impl Into<Span>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.report_fixable(rule, span, message, help, Vec::new());
    }

    /// Reports a violation of a rule with the edits that fix it; none if the fix is ambiguous.
    pub fn report_fixable(
        &mut self,
        rule: impl Into<RuleId>,
        span: impl Into<Span>,
        message: impl Into<String>,
        help: impl Into<String>,
        edits: Vec<Edit>,
    ) {
        let RuleId { id, level } = rule.into();
        if self.count(level) {
            let Span { at, end } = span.into();
            let end = end.and_then(|end| self.source.end(at, end));
            let diagnostic = self.source.error(at, message, help);
            self.found.push(Diagnostic { rule: Some(id), level, end, edits, ..diagnostic });
        } else if let Some(dropped) = self.dropped.get_mut(level as usize) {
            *dropped = Some(id);
        }
    }

    /// Whether another diagnostic of this level would be kept. If not, its help need not be computed.
    #[must_use]
    pub fn has_room(&self, level: Level) -> bool {
        self.counts.get(level as usize).is_some_and(|count| *count < Self::MOST)
    }

    /// Counts a diagnostic and returns whether it is kept.
    fn count(&mut self, level: Level) -> bool {
        let Some(count) = self.counts.get_mut(level as usize) else { return false };
        *count += 1;
        *count <= Self::MOST
    }

    /// Whether nothing was reported.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Returns the number of errors.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.counts.get(Level::Error as usize).copied().unwrap_or_default()
    }

    /// Returns the file.
    #[must_use]
    pub fn source(&self) -> &'s Source<'t> {
        self.source
    }

    /// Returns the diagnostics in the order of the file.
    #[must_use]
    pub fn into_vec(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|diagnostic| diagnostic.at);
        for ((level, count), rule) in Level::ALL.into_iter().zip(self.counts).zip(self.dropped) {
            let more = count.saturating_sub(Self::MOST);
            if more > 0 {
                let message = format!("{more} more diagnostics are not shown");
                self.found.push(Diagnostic {
                    rule,
                    level,
                    ..Diagnostic::of_file(self.source.file, message, "fix these first")
                });
            }
        }
        self.found
    }
}
