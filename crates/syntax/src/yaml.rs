//! A tree of YAML or JSON with source positions.
//!
//! Built from the events of `saphyr-parser` instead of a deserializer: a diagnostic needs the position of a *value*, one run reports
//! several diagnostics, and the tags of CloudFormation (`!Sub`) must be kept.

use std::collections::BTreeMap;

use crate::diagnostic::Position;

mod adapted;
mod edit;
mod json;
mod reader;
mod scalar;
#[cfg(test)]
pub(crate) mod tests;
mod yaml11;

pub use reader::{Dialect, YamlDocument, document, read, rejection};
pub use scalar::ScalarKind;
pub use yaml11::Yaml11;

/// The beginning of the message about a syntax error.
pub const NOT_VALID: &str = "not valid YAML";

/// Deepest nesting that is read. Recursive functions over the tree rely on it.
pub const MAX_DEPTH: usize = 100;

/// A scalar, a list or a mapping with its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The start; for an absent value (`key:`), the start of its key.
    pub at: Position,
    /// The position after the last character. A block of several lines ends where the next token starts. The end of a quoted string
    /// includes blanks and a comment after it.
    pub end: Position,
    /// The local tag without its `!`, such as `Sub` for `!Sub`.
    pub tag: Option<String>,
    /// The value.
    pub value: Value,
}

/// The value of a [`Node`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A string, number, boolean or null.
    Scalar {
        /// The text as written, without quotes.
        text: String,
        /// Whether it has no quotes, so that YAML may read it as a number, a boolean or null.
        plain: bool,
    },
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in the order of the file. Keys are unique scalars.
    Mapping(Vec<(Node, Node)>),
}

impl Node {
    /// Returns the text of a scalar of any kind.
    pub fn as_str(&self) -> Option<&str> {
        if let Value::Scalar { text, .. } = &self.value { Some(text) } else { None }
    }

    /// Returns the items of a list.
    pub fn as_sequence(&self) -> Option<&[Node]> {
        if let Value::Sequence(items) = &self.value { Some(items) } else { None }
    }

    /// Returns the entries of a mapping.
    pub fn entries(&self) -> Option<&[(Node, Node)]> {
        if let Value::Mapping(entries) = &self.value { Some(entries) } else { None }
    }

    /// Returns the entries of a mapping at a key; none if there is no such mapping.
    pub fn section(&self, key: &str) -> &[(Node, Node)] {
        self.get(key).and_then(Self::entries).unwrap_or_default()
    }

    /// Returns the node and all nodes below it except keys. The order is unspecified.
    pub fn descendants(&self) -> impl Iterator<Item = &Self> {
        let mut left = vec![self];
        std::iter::from_fn(move || {
            let node = left.pop()?;
            left.extend(node.as_sequence().unwrap_or_default());
            left.extend(node.entries().unwrap_or_default().iter().map(|(_, value)| value));
            Some(node)
        })
    }

    /// Returns the value of a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries()?.iter().find(|(name, _)| name.as_str() == Some(key)).map(|(_, value)| value)
    }

    /// Returns the kind of a scalar in YAML's core schema.
    pub fn scalar_kind(&self) -> Option<ScalarKind> {
        match &self.value {
            Value::Scalar { text, plain: true } => Some(ScalarKind::of_plain(text)),
            Value::Scalar { .. } => Some(ScalarKind::Text),
            Value::Sequence(_) | Value::Mapping(_) => None,
        }
    }

    /// Whether the value is absent: `key:`, `key: null`, `key: ~`.
    pub fn is_null(&self) -> bool {
        self.scalar_kind() == Some(ScalarKind::Null)
    }

    /// Describes the node in a message: "a list", "a number", …
    pub fn describe(&self) -> &'static str {
        match &self.value {
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
            Value::Scalar { .. } => self.scalar_kind().map_or("a string", ScalarKind::describe),
        }
    }

    /// Whether two nodes are equal regardless of their positions.
    pub fn same_as(&self, other: &Self) -> bool {
        self.tag == other.tag
            && match (&self.value, &other.value) {
                (Value::Sequence(a), Value::Sequence(b)) => {
                    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same_as(b))
                }
                (Value::Mapping(a), Value::Mapping(b)) => {
                    // The order of keys is irrelevant.
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
