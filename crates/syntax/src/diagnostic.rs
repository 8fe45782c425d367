//! Diagnostics of a file that a user wrote: position, message, help.

use std::fmt;

use serde::{Serialize, Serializer};

mod edit;
mod rule;
mod source;
#[cfg(test)]
mod tests;

pub use edit::apply;
pub use rule::{ALIASES, Level, RuleId, UNREADABLE};
pub use source::{Diagnostics, SourceText, Span};

/// A position in a text file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Position {
    /// Returns the position after a text that begins at the start of a file.
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

/// A diagnostic. Displayed as `file:line:column: message; help`, which editors and terminals make clickable.
/// Serialized flat: `file`, `line`, `column`, `endLine`, `endColumn`, `rule`, `message`, `help`, `excerpt`, `edits`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// The path of the file in the repository.
    pub file: String,
    /// The start; absent for a diagnostic about the whole file.
    #[serde(flatten)]
    pub at: Option<Position>,
    /// The end, if known.
    #[serde(flatten, serialize_with = "serialize_end")]
    pub end: Option<Position>,
    /// The violated lint rule, such as `BC021`; absent for a policy file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<&'static str>,
    /// The severity; an error without a rule.
    #[serde(skip)]
    pub level: Level,
    /// The rule that was broken: lower case, no full stop, input in backticks.
    pub message: String,
    /// The instruction that fixes it, in the same style.
    pub help: String,
    /// The line of the file with a caret under the column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
    /// The edits that fix it, if the fix is unambiguous.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<Edit>,
    /// The address of the resource in a Terraform plan, or the path of its construct in the CDK.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// A replacement of the text between two positions of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Edit {
    /// The first replaced character.
    pub from: Position,
    /// The position after the last replaced character.
    pub to: Position,
    /// The new text.
    pub new: String,
}

impl Diagnostic {
    /// Returns an error about a whole file, such as a missing one.
    pub fn of_file(file: impl Into<String>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            at: None,
            end: None,
            rule: None,
            level: Level::Error,
            message: message.into(),
            help: help.into(),
            excerpt: None,
            edits: Vec::new(),
            address: None,
        }
    }

    /// Returns an error about a position in a file with this text.
    pub fn at(file: &str, text: &str, at: Position, message: impl Into<String>, help: impl Into<String>) -> Self {
        SourceText::new(file, text).error(at, message, help)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(Position { line, column }) = self.at {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}; {}", self.message, self.help)
    }
}

fn serialize_end<S: Serializer>(end: &Option<Position>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct End {
        end_line: usize,
        end_column: usize,
    }
    end.map(|Position { line, column }| End { end_line: line, end_column: column }).serialize(serializer)
}
