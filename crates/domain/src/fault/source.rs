//! The file that faults are about, and the faults found in it so far.

use super::{Fault, Position, is_invisible};

/// A file being read: makes faults with the line they are about.
pub(crate) struct Source<'t> {
    pub(crate) file: &'t str,
    pub(crate) text: &'t str,
    lines: Vec<&'t str>,
}

impl<'t> Source<'t> {
    /// `text` may start with a byte order mark, which is no part of the first line.
    pub(crate) fn new(file: &'t str, text: &'t str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self { file, text, lines: lines(text) }
    }

    pub(crate) fn fault(&self, at: Position, problem: impl Into<String>, fix: impl Into<String>) -> Fault {
        Fault {
            file: self.file.to_owned(),
            at: Some(at),
            problem: problem.into(),
            fix: fix.into(),
            excerpt: self.line(at.line).and_then(|line| excerpt(line, at.column)),
        }
    }

    /// A line, counted from 1.
    pub(crate) fn line(&self, number: usize) -> Option<&'t str> {
        self.lines.get(number.checked_sub(1)?).copied()
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

/// The faults of one file, in the order they were found.
pub(crate) struct Faults<'s, 't> {
    source: &'s Source<'t>,
    found: Vec<Fault>,
    /// Faults beyond [`Self::MOST`], which are counted and not kept.
    more: usize,
}

impl<'s, 't> Faults<'s, 't> {
    /// Nobody reads more, and a file made to be wrong must not fill the memory of a function with excerpts.
    pub(crate) const MOST: usize = 100;

    pub(crate) fn new(source: &'s Source<'t>) -> Self {
        Self { source, found: Vec::new(), more: 0 }
    }

    pub(crate) fn at(&mut self, at: Position, problem: impl Into<String>, fix: impl Into<String>) {
        if self.has_room() {
            let fault = self.source.fault(at, problem, fix);
            self.found.push(fault);
        }
    }

    pub(crate) fn in_file(&mut self, problem: impl Into<String>, fix: impl Into<String>) {
        if self.has_room() {
            self.found.push(Fault::of_file(self.source.file, problem, fix));
        }
    }

    fn has_room(&mut self) -> bool {
        let room = self.found.len() < Self::MOST;
        self.more += usize::from(!room);
        room
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(crate) fn source(&self) -> &'s Source<'t> {
        self.source
    }

    /// The faults from the top of the file to its end.
    pub(crate) fn into_vec(mut self) -> Vec<Fault> {
        self.found.sort_by_key(|fault| fault.at);
        if self.more > 0 {
            let problem = format!("{} more faults are not shown", self.more);
            self.found.push(Fault::of_file(self.source.file, problem, "mend these first"));
        }
        self.found
    }
}
