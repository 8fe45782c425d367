//! The file that faults are about, and the faults found in it so far.

use std::cell::OnceCell;

use super::{Edit, Fault, Position, is_invisible};
use crate::lint::{Level, Rule};
use crate::yaml::{Node, Value};

/// A file being read: makes faults with the line they are about.
pub(crate) struct Source<'t> {
    pub(crate) file: &'t str,
    pub(crate) text: &'t str,
    /// Found when the first fault is told: most files have none.
    lines: OnceCell<Vec<&'t str>>,
}

impl<'t> Source<'t> {
    /// `text` may start with a byte order mark, which is no part of the first line.
    pub(crate) fn new(file: &'t str, text: &'t str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self { file, text, lines: OnceCell::new() }
    }

    pub(crate) fn fault(&self, at: Position, problem: impl Into<String>, fix: impl Into<String>) -> Fault {
        Fault {
            file: self.file.to_owned(),
            at: Some(at),
            end: None,
            rule: None,
            problem: problem.into(),
            fix: fix.into(),
            excerpt: self.line(at.line).and_then(|line| excerpt(line, at.column)),
            edits: Vec::new(),
        }
    }

    /// What stands between two places of one line.
    pub(crate) fn slice(&self, from: Position, to: Position) -> Option<&'t str> {
        let line = self.line(from.line).filter(|_| from.line == to.line && from.column <= to.column)?;
        let mut indexes = line.char_indices().map(|(index, _)| index).chain([line.len()]);
        let start = indexes.nth(from.column.checked_sub(1)?)?;
        let length = to.column - from.column;
        let end = if length == 0 { start } else { indexes.nth(length - 1)? };
        line.get(start..end)
    }

    /// Where the value between two places of one line ends: behind its closing quote, if it has quotes.
    fn end(&self, from: Position, to: Position) -> Option<Position> {
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

    /// The change that makes another text of a value, in the quotes that it has. `None` where the value is not written here as one
    /// word, but comes from elsewhere or runs over several lines.
    pub(crate) fn rewritten(&self, node: &Node, new: &str) -> Option<Edit> {
        let Value::Scalar { text, .. } = &node.value else { return None };
        let end = self.end(node.at, node.end)?;
        let written = self.slice(node.at, end).filter(|_| node.tag.is_none())?;
        let is_plain = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_alphanumeric())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':' | ' '))
                && !text.ends_with([' ', ':'])
                && !text.contains(": ")
        };
        let new = match written.chars().next()? {
            quote @ ('"' | '\'') if written.len() == text.len() + 2 && !new.contains(['"', '\'', '\\']) => {
                format!("{quote}{new}{quote}")
            }
            _ if written == text && is_plain(new) => new.to_owned(),
            _ => return None,
        };
        Some(Edit { from: node.at, to: end, new })
    }

    /// A line, counted from 1.
    pub(crate) fn line(&self, number: usize) -> Option<&'t str> {
        self.lines.get_or_init(|| lines(self.text)).get(number.checked_sub(1)?).copied()
    }
}

/// Lines as YAML counts them: a lone carriage return ends one too.
fn lines(text: &str) -> Vec<&str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r')).collect()
}

/// The line and, below it, a caret under the column. Long lines are cut around the column, and whatever would move the
/// caret (tabs, control characters, marks that turn the direction of text) is shown as one column.
fn excerpt(line: &str, column: usize) -> Option<String> {
    /// Indented by four, it fits the width of an e-mail.
    const WIDTH: usize = 72;
    const BEFORE: usize = 48;
    if line.trim().is_empty() {
        return None;
    }
    let length = line.trim_end().chars().count();
    // A fault may lie just behind the last character, where something is missing.
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

/// Where a finding stands: a place, and where what is wrong ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    at: Position,
    end: Option<Position>,
}

impl From<Position> for Place {
    fn from(at: Position) -> Self {
        Self { at, end: None }
    }
}

impl From<&Node> for Place {
    /// Of a list or a mapping only the start: nobody wants half a file underlined.
    fn from(node: &Node) -> Self {
        let is_short =
            matches!(node.value, Value::Scalar { .. }) && node.at.line == node.end.line && node.at < node.end;
        Self { at: node.at, end: is_short.then_some(node.end) }
    }
}

/// The faults of one file, in the order they were found.
pub(crate) struct Faults<'s, 't> {
    source: &'s Source<'t>,
    found: Vec<Fault>,
    /// How many of each level there are, kept or not.
    counts: [usize; Level::ALL.len()],
    /// The rule of the last that was not kept, of each level.
    dropped: [Option<&'static str>; Level::ALL.len()],
}

impl<'s, 't> Faults<'s, 't> {
    /// Most that is kept of each level. Nobody reads more, and a file made to be wrong must not fill the memory of a function with
    /// excerpts. Each level has room of its own, so that notes never crowd out an error.
    pub(crate) const MOST: usize = 100;

    pub(crate) fn new(source: &'s Source<'t>) -> Self {
        Self { source, found: Vec::new(), counts: [0; Level::ALL.len()], dropped: [None; Level::ALL.len()] }
    }

    pub(crate) fn at(&mut self, at: Position, problem: impl Into<String>, fix: impl Into<String>) {
        if self.takes(Level::Error) {
            let fault = self.source.fault(at, problem, fix);
            self.found.push(fault);
        }
    }

    pub(crate) fn in_file(&mut self, problem: impl Into<String>, fix: impl Into<String>) {
        if self.takes(Level::Error) {
            self.found.push(Fault::of_file(self.source.file, problem, fix));
        }
    }

    /// Notes that a rule is broken.
    pub(crate) fn tell(
        &mut self,
        rule: &'static Rule,
        place: impl Into<Place>,
        problem: impl Into<String>,
        fix: impl Into<String>,
        edits: Vec<Edit>,
    ) {
        if self.takes(rule.level) {
            let Place { at, end } = place.into();
            let end = end.and_then(|end| self.source.end(at, end));
            let fault = self.source.fault(at, problem, fix);
            self.found.push(Fault { rule: Some(rule.id), end, edits, ..fault });
        } else if let Some(dropped) = self.dropped.get_mut(rule.level as usize) {
            *dropped = Some(rule.id);
        }
    }

    /// Whether another of this level would be kept. Where not, nobody reads what would be right, and it need not be looked for.
    pub(crate) fn has_room(&self, level: Level) -> bool {
        self.counts.get(level as usize).is_some_and(|count| *count < Self::MOST)
    }

    /// Counts one of this level. Whether it is kept.
    fn takes(&mut self, level: Level) -> bool {
        let Some(count) = self.counts.get_mut(level as usize) else { return false };
        *count += 1;
        *count <= Self::MOST
    }

    /// Whether nothing at all was found.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// How many errors were found.
    pub(crate) fn errors(&self) -> usize {
        self.counts.get(Level::Error as usize).copied().unwrap_or_default()
    }

    pub(crate) fn source(&self) -> &'s Source<'t> {
        self.source
    }

    /// The faults from the top of the file to its end.
    pub(crate) fn into_vec(mut self) -> Vec<Fault> {
        self.found.sort_by_key(|fault| fault.at);
        for (count, rule) in self.counts.into_iter().zip(self.dropped) {
            let more = count.saturating_sub(Self::MOST);
            if more > 0 {
                let problem = format!("{more} more faults are not shown");
                self.found.push(Fault { rule, ..Fault::of_file(self.source.file, problem, "mend these first") });
            }
        }
        self.found
    }
}
