//! A CloudFormation template with source positions; intrinsic functions resolved as far as they can be, the rest *unknown*.

use std::collections::BTreeMap;

use crate::fault::{Fault, Faults, Source};
use crate::yaml::Node;

mod capability;
mod intrinsic;
mod read;
mod resolve;
#[cfg(test)]
mod tests;

pub use capability::Capability;
pub(crate) use resolve::{Found, Resolver};

/// A CloudFormation template, in YAML or JSON.
#[derive(Clone, Debug)]
pub struct Template {
    file: String,
    text: String,
    root: Node,
    parameters: BTreeMap<String, Option<String>>,
}

/// A text in a template as far as it can be known without deploying it. What cannot be known is never guessed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Resolved {
    /// Known.
    Text(String),
    /// Not given.
    Absent,
    /// Given, but only a deployment can tell.
    Unknown,
}

impl Template {
    /// Most bytes a template may have in a request (`TemplateBody`, CloudFormation quotas).
    pub const INLINE_LIMIT: usize = 51_200;
    /// Most bytes a template may have at all (`TemplateURL`, CloudFormation quotas).
    pub const MAX: usize = 1_048_576;

    /// Reads a template. `file` is what the faults call it: its path in the repository.
    ///
    /// # Errors
    /// Every fault found: a file that is too large, is no YAML, or is no template.
    pub fn read(file: &str, text: &str) -> Result<Self, Vec<Fault>> {
        let source = Source::new(file, text);
        let mut faults = Faults::new(&source);
        match read::template(&mut faults, text.len()) {
            Some((root, parameters)) if faults.is_empty() => {
                Ok(Self { file: file.to_owned(), text: text.to_owned(), root, parameters })
            }
            _ => Err(faults.into_vec()),
        }
    }

    /// The template as it was read, byte for byte.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its path, as faults name it.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The whole tree.
    #[must_use]
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// The declared parameters and their defaults.
    #[must_use]
    pub fn parameters(&self) -> &BTreeMap<String, Option<String>> {
        &self.parameters
    }

    /// Whether the template declares a parameter of this name.
    #[must_use]
    pub fn declares(&self, name: &str) -> bool {
        self.parameters.contains_key(name)
    }

    /// The capabilities CloudFormation asks for, no more.
    #[must_use]
    pub fn capabilities(&self) -> Vec<Capability> {
        capability::needed(self)
    }

    /// The resources: logical id, type, body.
    pub(crate) fn resources(&self) -> impl Iterator<Item = (&str, &str, &Node)> {
        let entries = self.root.get("Resources").and_then(Node::entries).unwrap_or_default();
        entries.iter().filter_map(|(key, body)| Some((key.as_str()?, body.get("Type")?.as_str()?, body)))
    }
}
