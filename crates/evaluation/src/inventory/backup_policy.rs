//! Backup policies of AWS Organizations: their documents, and the policy that is effective in an account.
//!
//! Source: AWS Organizations user guide, "Backup policy syntax and examples", "Inheritance operators".

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use syntax::diagnostic::{Diagnostic, Diagnostics, Level, Position, SourceText};
use syntax::template::{Content, Part, Piece};
use syntax::yaml::{self, Dialect, Node, Value};

mod effective;
mod shape;
#[cfg(test)]
mod tests;

pub(super) use effective::{EffectivePolicy, PolicySetting};
pub(super) use shape::{PolicyViolation, violations};

/// The key with the plans of a policy.
const PLANS: &str = "plans";
/// The operator that sets a value.
const ASSIGN: &str = "@@assign";
/// The operator that adds to an inherited list.
const APPEND: &str = "@@append";
/// The operator that removes from an inherited list.
const REMOVE: &str = "@@remove";
/// The key with the operators that child policies may use.
const FOR_CHILDREN: &str = "@@operators_allowed_for_child_policies";

const DIALECT: Dialect = Dialect {
    aliases_rejected_by: Some("AWS Organizations"),
    merges: false,
    empty_help: "write a backup policy with `plans`",
};

/// A backup policy in a file of its own.
#[derive(Debug)]
pub struct BackupPolicyFile {
    file: String,
    text: String,
    content: Part,
    /// The positions of the names of plans.
    plans: BTreeMap<String, Position>,
}

impl BackupPolicyFile {
    /// Returns whether a text is a backup policy: JSON with a mapping `plans`.
    pub fn is_policy(text: &str) -> bool {
        #[derive(Deserialize)]
        struct Keys {
            #[serde(rename = "plans")]
            _plans: BTreeMap<String, IgnoredAny>,
            #[serde(rename = "Resources")]
            resources: Option<IgnoredAny>,
        }
        let text = text.trim_start_matches('\u{feff}').trim_start();
        if !text.starts_with('{') || !text.contains("\"plans\"") {
            return false;
        }
        match serde_json::from_str::<Keys>(text) {
            Ok(keys) => keys.resources.is_none(),
            // Invalid JSON, which is reported when it is read.
            Err(error) => !error.is_data() && [ASSIGN, APPEND].iter().any(|operator| text.contains(operator)),
        }
    }

    /// Reads a policy.
    ///
    /// # Errors
    /// The file is not valid JSON.
    pub fn read(file: &str, text: &str) -> Result<Self, Vec<Diagnostic>> {
        let source = SourceText::new(file, text);
        let mut diagnostics = Diagnostics::new(&source);
        let root = yaml::read(&mut diagnostics, &DIALECT);
        let Some(root) = root.filter(|_| diagnostics.is_empty()) else {
            let as_json = |found: Diagnostic| Diagnostic { message: of_json(&found.message), ..found };
            return Err(diagnostics.into_vec().into_iter().map(as_json).collect());
        };
        let names = root.section(PLANS).iter();
        let plans = names.filter_map(|(key, _)| Some((key.as_str()?.to_owned(), key.at))).collect();
        Ok(Self { file: file.to_owned(), text: text.to_owned(), content: literal(&root), plans })
    }

    /// Returns the name of the file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Returns the text as it was read.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn content(&self) -> &Part {
        &self.content
    }

    /// Returns the position of a plan.
    pub(super) fn position(&self, plan: &str) -> Option<Position> {
        self.plans.get(plan).copied()
    }

    /// Returns the diagnostics about the document, in the order of the file.
    pub(super) fn diagnostics(&self) -> Vec<Diagnostic> {
        let source = SourceText::new(&self.file, &self.text);
        violations(&self.content).into_iter().map(|violation| violation.diagnostic(&source)).collect()
    }
}

impl PolicyViolation {
    pub(super) fn diagnostic(self, source: &SourceText<'_>) -> Diagnostic {
        let Self { at, message, help, is_warning } = self;
        let level = if is_warning { Level::Warning } else { Level::Error };
        Diagnostic { level, ..source.error(at, message, help) }
    }
}

/// Replaces an unknown part of a text with JSON.
const UNKNOWN: char = '\u{F0004}';

/// Returns the policy in the property `Content` of a resource: an object, or a text with JSON. Every part of a text has the position of the
/// property. `Ok(None)` if only a deployment knows it.
pub(super) fn content(part: &Part) -> Result<Option<Part>, PolicyViolation> {
    let (text, is_partial) = match &part.content {
        Content::Mapping(_) => return Ok(Some(part.clone())),
        Content::Text(text) => (text.clone(), false),
        Content::Pieces(pieces) => {
            let known = |piece: &Piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Pseudo(_) | Piece::Resource { .. } | Piece::Unknown => UNKNOWN.to_string(),
            };
            (pieces.iter().map(known).collect(), true)
        }
        Content::List(_) | Content::Unknown => return Ok(None),
    };
    let source = SourceText::new("", &text);
    let mut diagnostics = Diagnostics::new(&source);
    let root = yaml::read(&mut diagnostics, &DIALECT);
    let found = diagnostics.into_vec().into_iter().next();
    let (message, help) = match (found, root) {
        (None, Some(root)) => return Ok(Some(placed(literal(&root), part.at))),
        (Some(Diagnostic { at, message, help, .. }), _) => {
            let place = at.map(|at| format!(" (at {at} of the text)")).unwrap_or_default();
            (format!("the backup policy is invalid: {}{place}", of_json(&message)), help)
        }
        (None, None) => ("the backup policy is empty".to_owned(), DIALECT.empty_help.to_owned()),
    };
    if is_partial { Ok(None) } else { Err(PolicyViolation { at: part.at, message, help, is_warning: false }) }
}

/// Returns a message of the reader about JSON.
fn of_json(message: &str) -> String {
    message.replace(yaml::NOT_VALID, "not valid JSON")
}

/// Returns a tree without functions as a part of a template.
fn literal(node: &Node) -> Part {
    let content = match &node.value {
        Value::Scalar { text, .. } if text.contains(UNKNOWN) => Content::Unknown,
        Value::Scalar { text, .. } => Content::Text(text.clone()),
        Value::Sequence(items) => Content::List(items.iter().map(literal).collect()),
        Value::Mapping(entries) => {
            let entry = |(key, value): &(Node, Node)| Some((key.as_str()?.to_owned(), literal(value)));
            Content::Mapping(entries.iter().filter_map(entry).collect())
        }
    };
    Part { at: node.at, content }
}

/// Gives a part and all in it a position.
fn placed(part: Part, at: Position) -> Part {
    let content = match part.content {
        Content::List(items) => Content::List(items.into_iter().map(|item| placed(item, at)).collect()),
        Content::Mapping(entries) => {
            Content::Mapping(entries.into_iter().map(|(key, value)| (key, placed(value, at))).collect())
        }
        content => content,
    };
    Part { at, content }
}
