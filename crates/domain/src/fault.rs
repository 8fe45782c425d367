//! A fault in a file people wrote: where it is, what is wrong, what would be right.

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeStruct};

mod source;
#[cfg(test)]
mod tests;

pub(crate) use source::{Faults, Source};

/// A place in a text file, both numbers counted from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
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
    /// What is wrong: lower case, no full stop, input in backticks.
    pub problem: String,
    /// What would be right, in the same style.
    pub fix: String,
    /// The line of the file with a caret under the column.
    pub excerpt: Option<String>,
}

impl Fault {
    /// A fault about a file as a whole, such as a file that is not there.
    pub fn of_file(file: impl Into<String>, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { file: file.into(), at: None, problem: problem.into(), fix: fix.into(), excerpt: None }
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
    /// Flat and in camel case: `file`, `line`, `column`, `problem`, `fix`, `excerpt`; what is absent is left out.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = 3 + if self.at.is_some() { 2 } else { 0 } + usize::from(self.excerpt.is_some());
        let mut out = serializer.serialize_struct("Fault", fields)?;
        out.serialize_field("file", &self.file)?;
        if let Some(at) = self.at {
            out.serialize_field("line", &at.line)?;
            out.serialize_field("column", &at.column)?;
        }
        out.serialize_field("problem", &self.problem)?;
        out.serialize_field("fix", &self.fix)?;
        if let Some(excerpt) = &self.excerpt {
            out.serialize_field("excerpt", excerpt)?;
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
