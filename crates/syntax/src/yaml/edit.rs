//! Spans and edits of nodes.

use super::{Node, Value};
use crate::diagnostic::{Diagnostics, Edit, Level, SourceText, Span};

impl SourceText<'_> {
    /// Returns the edit that replaces a scalar, in its own quotes. `None` for a scalar with a tag, an alias, or a scalar of several
    /// lines.
    pub fn rewritten(&self, node: &Node, new: &str) -> Option<Edit> {
        let Value::Scalar { text, .. } = &node.value else { return None };
        let end = self.end(node.at, node.end)?;
        let written = self.slice(node.at, end).filter(|_| node.tag.is_none())?;
        let is_plain = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_alphanumeric())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./: ()*?".contains(c))
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
}

impl Diagnostics<'_, '_> {
    /// Returns the edit of [`SourceText::rewritten`], unless a diagnostic of this level would be dropped: the position of an edit in a long
    /// line is searched from its start.
    pub fn rewritten(&self, level: Level, node: &Node, new: &str) -> Option<Edit> {
        self.has_room(level).then(|| self.source().rewritten(node, new)).flatten()
    }
}

impl From<&Node> for Span {
    /// Spans only the start of a list or mapping, so that not half a file is underlined.
    fn from(node: &Node) -> Self {
        let is_short =
            matches!(node.value, Value::Scalar { .. }) && node.at.line == node.end.line && node.at < node.end;
        Self { at: node.at, end: is_short.then_some(node.end) }
    }
}
