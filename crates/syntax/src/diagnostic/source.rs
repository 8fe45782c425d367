use std::cell::OnceCell;
use std::collections::BTreeMap;

use super::{Diagnostic, Edit, Level, Position, RuleId};
use crate::text::{closest_match, is_invisible};

/// A file that is being read.
pub struct SourceText<'t> {
    /// The file's name in diagnostics.
    pub file: &'t str,
    /// The text without a byte order mark.
    pub text: &'t str,
    /// The byte offsets of the lines, found on the first diagnostic: most files have none.
    starts: OnceCell<Vec<usize>>,
}

impl<'t> SourceText<'t> {
    /// Returns a file. `text` may start with a byte order mark, which does not count as a character of the first line.
    pub fn new(file: &'t str, text: &'t str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self { file, text, starts: OnceCell::new() }
    }

    /// Whether the file is JSON, in which a help or an edit must not have the syntax of YAML.
    pub fn is_json(&self) -> bool {
        self.text.trim_start().starts_with('{')
    }

    /// Returns an error about a position, with the line as excerpt.
    pub fn error(&self, at: Position, message: impl Into<String>, help: impl Into<String>) -> Diagnostic {
        let excerpt = self.line(at.line).and_then(|line| excerpt(line, at.column));
        Diagnostic { at: Some(at), excerpt, ..Diagnostic::of_file(self.file, message, help) }
    }

    /// Returns the text between two positions of one line.
    pub fn slice(&self, from: Position, to: Position) -> Option<&'t str> {
        self.text.get(self.offset(from)?..self.offset(to).filter(|_| from.line == to.line)?)
    }

    /// Returns the byte offset of a position.
    pub(super) fn offset(&self, at: Position) -> Option<usize> {
        let line = self.line(at.line)?;
        let mut columns = line.char_indices().map(|(index, _)| index).chain([line.len()]);
        Some(self.starts().get(at.line - 1)? + columns.nth(at.column.checked_sub(1)?)?)
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
    pub fn line(&self, number: usize) -> Option<&'t str> {
        let start = *self.starts().get(number.checked_sub(1)?)?;
        let end = self.starts().get(number).copied().unwrap_or(self.text.len());
        Some(self.text.get(start..end)?.trim_end_matches(['\r', '\n']))
    }

    /// Splits lines as YAML does: a carriage return alone ends a line too.
    fn starts(&self) -> &[usize] {
        self.starts.get_or_init(|| {
            // Searching one character is much faster than searching two.
            if !self.text.contains('\r') {
                return std::iter::once(0).chain(self.text.match_indices('\n').map(|(at, _)| at + 1)).collect();
            }
            let bytes = self.text.as_bytes();
            let is_end = |at: usize| bytes.get(at) == Some(&b'\n') || bytes.get(at + 1) != Some(&b'\n');
            let ends = self.text.match_indices(['\n', '\r']).map(|(at, _)| at).filter(|at| is_end(*at));
            std::iter::once(0).chain(ends.map(|at| at + 1)).collect()
        })
    }
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

    let shown = line.chars().enumerate().skip(start).take(end - start).map(|(index, character)| match character {
        _ if (index == start && start > 0) || (index + 1 == end && end < length) => '…',
        '\t' => ' ',
        other if other.is_control() || is_invisible(other) => '\u{fffd}',
        other => other,
    });
    Some(format!("{}\n{:caret$}^", shown.collect::<String>(), "", caret = caret.saturating_sub(start)))
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
#[derive(Clone)]
pub struct Diagnostics<'s, 't> {
    source: &'s SourceText<'t>,
    found: Vec<Diagnostic>,
    /// The number of reported diagnostics, and the rule of the last dropped one.
    counts: BTreeMap<Level, (usize, Option<&'static str>)>,
}

impl<'s, 't> Diagnostics<'s, 't> {
    /// Most diagnostics that are kept of each level, so that a hostile file cannot exhaust memory with excerpts. The limit is by level, so
    /// that notes never displace an error.
    pub const MOST: usize = 100;

    /// Returns an empty list for a file.
    pub fn new(source: &'s SourceText<'t>) -> Self {
        Self { source, found: Vec::new(), counts: BTreeMap::new() }
    }

    /// Reports an error without a rule at a position.
    pub fn report_error(&mut self, at: Position, message: impl Into<String>, help: impl Into<String>) {
        if self.count(Level::Error, None) {
            self.found.push(self.source.error(at, message, help));
        }
    }

    /// Reports an error without a rule about the whole file.
    pub fn report_file_error(&mut self, message: impl Into<String>, help: impl Into<String>) {
        if self.count(Level::Error, None) {
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
        if self.count(level, Some(id)) {
            let Span { at, end } = span.into();
            let end = end.and_then(|end| self.source.end(at, end));
            let diagnostic = self.source.error(at, message, help);
            self.found.push(Diagnostic { rule: Some(id), level, end, edits, ..diagnostic });
        }
    }

    /// Whether another diagnostic of this level would be kept. If not, its edits need not be computed.
    pub fn has_room(&self, level: Level) -> bool {
        self.counts.get(&level).is_none_or(|(count, _)| *count < Self::MOST)
    }

    /// Returns the candidate that is closest to a word, unless another diagnostic of this level would be dropped.
    pub fn closest<'c>(
        &self,
        level: Level,
        word: &str,
        candidates: impl IntoIterator<Item = &'c str>,
    ) -> Option<&'c str> {
        self.has_room(level).then(|| closest_match(word, candidates)).flatten()
    }

    /// Counts a diagnostic and returns whether it is kept.
    fn count(&mut self, level: Level, rule: Option<&'static str>) -> bool {
        let (count, dropped) = self.counts.entry(level).or_default();
        *count += 1;
        let is_kept = *count <= Self::MOST;
        if !is_kept && rule.is_some() {
            *dropped = rule;
        }
        is_kept
    }

    /// Whether nothing was reported.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Returns the file.
    pub fn source(&self) -> &'s SourceText<'t> {
        self.source
    }

    /// Returns the diagnostics in the order of the file.
    pub fn into_vec(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|diagnostic| diagnostic.at);
        for (level, (count, rule)) in self.counts.into_iter().filter(|(_, (count, _))| *count > Self::MOST) {
            let message = format!("{} more diagnostics are not shown", count - Self::MOST);
            let diagnostic = Diagnostic::of_file(self.source.file, message, "fix these first");
            self.found.push(Diagnostic { rule, level, ..diagnostic });
        }
        self.found
    }
}
