//! YAML and JSON as a tree that knows where each part stands in the file.
//!
//! A tree over the events of `saphyr-parser` and not a deserialiser, because a fault must name the line and column of a
//! *value*, several faults must come out of one run, and CloudFormation's tags (`!Sub`) must be kept.

use std::collections::BTreeMap;

use crate::fault::Position;

#[cfg(test)]
mod edited;
mod json;
mod reader;
mod scalar;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use edited::edited;
pub(crate) use reader::{Dialect, Document, document, read, refused};
pub use scalar::ScalarKind;

/// The beginning of the message about a file that the parser refuses.
pub(crate) const NOT_VALID: &str = "not valid YAML";

/// Deepest nesting that is read. Everything that walks a tree by recursion relies on it.
pub const MAX_DEPTH: usize = 100;

/// A part of a file: a scalar, a list or a mapping, with the place where it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where the node starts; for a value that is not there (`key:`), where its key starts.
    pub at: Position,
    /// Where it ends: behind its last character. A block of several lines ends where the next thing starts, and of a text in quotes
    /// the parser counts blanks and a comment behind it in.
    pub end: Position,
    /// The local tag without its `!`, such as `Sub` for `!Sub`.
    pub tag: Option<String>,
    /// What it is.
    pub value: Value,
}

/// What a [`Node`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text, number, boolean or null.
    Scalar {
        /// The text as written, without quotes.
        text: String,
        /// Whether it was written without quotes, so that YAML may take it for a number, a boolean or null.
        plain: bool,
    },
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in the order of the file. Keys are scalars and differ from each other.
    Mapping(Vec<(Node, Node)>),
}

impl Node {
    /// The text of a scalar, be it a number, a boolean or a text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            Value::Sequence(_) | Value::Mapping(_) => None,
        }
    }

    /// The items of a list.
    #[must_use]
    pub fn as_sequence(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Sequence(items) => Some(items),
            Value::Scalar { .. } | Value::Mapping(_) => None,
        }
    }

    /// The keys and values of a mapping.
    #[must_use]
    pub fn entries(&self) -> Option<&[(Node, Node)]> {
        match &self.value {
            Value::Mapping(entries) => Some(entries),
            Value::Scalar { .. } | Value::Sequence(_) => None,
        }
    }

    /// The value of a key, if this is a mapping that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries()?.iter().find(|(name, _)| name.as_str() == Some(key)).map(|(_, value)| value)
    }

    /// What YAML's core schema takes a scalar for.
    #[must_use]
    pub fn scalar_kind(&self) -> Option<ScalarKind> {
        match &self.value {
            Value::Scalar { text, plain: true } => Some(ScalarKind::of_plain(text)),
            Value::Scalar { .. } => Some(ScalarKind::Text),
            Value::Sequence(_) | Value::Mapping(_) => None,
        }
    }

    /// Whether there is nothing here: `key:`, `key: null`, `key: ~`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.scalar_kind() == Some(ScalarKind::Null)
    }

    /// What the node is, in words for a message: "a list", "a number", ...
    #[must_use]
    pub fn describe(&self) -> &'static str {
        match &self.value {
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
            Value::Scalar { .. } => self.scalar_kind().map_or("a text", ScalarKind::describe),
        }
    }

    /// Whether two nodes say the same, wherever they stand.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        self.tag == other.tag
            && match (&self.value, &other.value) {
                (Value::Sequence(a), Value::Sequence(b)) => {
                    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same_as(b))
                }
                (Value::Mapping(a), Value::Mapping(b)) => {
                    // The order of keys means nothing.
                    let (a, b) = (by_key(a), by_key(b));
                    a.len() == b.len() && a.iter().zip(&b).all(|((a, one), (b, other))| a == b && one.same_as(other))
                }
                (Value::Scalar { text: a, .. }, Value::Scalar { text: b, .. }) => a == b,
                _ => false,
            }
    }
}

fn by_key(entries: &[(Node, Node)]) -> BTreeMap<&str, &Node> {
    entries.iter().filter_map(|(key, value)| Some((key.as_str()?, value))).collect()
}
