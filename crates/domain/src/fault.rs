//! A fault in a file people wrote: where it is, what is wrong, what would be right.

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::lint::{self, Level};

mod edit;
mod source;
#[cfg(test)]
mod tests;

pub use edit::apply;
pub(crate) use source::{Faults, Place, Source};

/// A place in a text file, both numbers counted from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Position {
    /// The position that follows this text, from the beginning of a file.
    #[must_use]
    pub fn after(text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let last = text.rsplit('\n').next().unwrap_or_default();
        let lines = text.bytes().filter(|byte| *byte == b'\n').count();
        Self { line: lines.saturating_add(1), column: last.chars().count().saturating_add(1) }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// One thing wrong with one file.
///
/// Shown as `file:line:column: problem; fix`, the form editors and terminals make clickable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, as the person who wrote it knows it: its path in the repository.
    pub file: String,
    /// Where; absent when the fault is about the file as a whole.
    pub at: Option<Position>,
    /// Where what is wrong ends, if that is known.
    pub end: Option<Position>,
    /// The lint rule it breaks, such as `BC021`; none for faults of a policy file.
    pub rule: Option<&'static str>,
    /// What is wrong: lower case, no full stop, input in backticks.
    pub problem: String,
    /// What would be right, in the same style.
    pub fix: String,
    /// The line of the file with a caret under the column.
    pub excerpt: Option<String>,
    /// The changes that mend it, where there is exactly one way to.
    pub edits: Vec<Edit>,
}

/// A change to the text of a file: what stands between two places is replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Edit {
    /// The first character that is replaced.
    pub from: Position,
    /// Behind the last character that is replaced.
    pub to: Position,
    /// What takes its place.
    pub new: String,
}

impl Fault {
    /// A fault about a file as a whole, such as a file that is not there.
    pub fn of_file(file: impl Into<String>, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            at: None,
            end: None,
            rule: None,
            problem: problem.into(),
            fix: fix.into(),
            excerpt: None,
            edits: Vec::new(),
        }
    }

    /// How bad it is: what its rule says; without one, an error.
    #[must_use]
    pub fn level(&self) -> Level {
        self.rule.and_then(lint::rule).map_or(Level::Error, |rule| rule.level)
    }

    /// A fault at a place in a file of this text.
    pub fn at(file: &str, text: &str, at: Position, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Source::new(file, text).fault(at, problem, fix)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(Position { line, column }) = self.at {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}; {}", self.problem, self.fix)
    }
}

impl Serialize for Fault {
    /// Flat and in camel case: `file`, `line`, `column`, `endLine`, `endColumn`, `rule`, `problem`, `fix`, `excerpt`, `edits`; what
    /// is absent is left out.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = 3
            + 2 * usize::from(self.at.is_some())
            + 2 * usize::from(self.end.is_some())
            + usize::from(self.rule.is_some())
            + usize::from(self.excerpt.is_some())
            + usize::from(!self.edits.is_empty());
        let mut out = serializer.serialize_struct("Fault", fields)?;
        out.serialize_field("file", &self.file)?;
        if let Some(at) = self.at {
            out.serialize_field("line", &at.line)?;
            out.serialize_field("column", &at.column)?;
        }
        if let Some(end) = self.end {
            out.serialize_field("endLine", &end.line)?;
            out.serialize_field("endColumn", &end.column)?;
        }
        if let Some(rule) = self.rule {
            out.serialize_field("rule", rule)?;
        }
        out.serialize_field("problem", &self.problem)?;
        out.serialize_field("fix", &self.fix)?;
        if let Some(excerpt) = &self.excerpt {
            out.serialize_field("excerpt", excerpt)?;
        }
        if !self.edits.is_empty() {
            out.serialize_field("edits", &self.edits)?;
        }
        out.end()
    }
}

/// The candidate a person most likely meant by `word`, if one is near enough to be worth suggesting.
///
/// Case and the difference between `_` and `-` do not count.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    /// Longer input is no typing error, and comparing it costs time in proportion to its length.
    const LONGEST: usize = 256;
    if word.len() > LONGEST {
        return None;
    }
    let word = plain(word);
    candidates
        .into_iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(&word, &plain(candidate)), candidate))
        .filter(|(likeness, _)| *likeness >= 0.6)
        // The first of equals, so that the answer follows the order of the candidates.
        .fold(None, |best: Option<(f64, &str)>, new| match best {
            Some(old) if old.0 >= new.0 => Some(old),
            _ => Some(new),
        })
        .map(|(_, candidate)| candidate)
}

/// Characters that show nothing and may change how the text around them is shown: direction marks and overrides, joiners,
/// separators of lines and paragraphs.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

fn plain(word: &str) -> String {
    word.to_lowercase().replace('-', "_")
}
