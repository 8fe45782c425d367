//! A CloudFormation template with source positions. Intrinsic functions are resolved as far as possible; the rest is *unknown*.

use std::collections::BTreeMap;

use crate::diagnostic::{ALIASES, Diagnostic, Diagnostics, Position, SourceText, UNREADABLE};
use crate::yaml::{self, Node};

mod capability;
mod intrinsic;
mod part;
mod read;
mod resolve;
#[cfg(test)]
mod tests;
mod transform;

pub use capability::Capability;
pub use intrinsic::{FunctionCall, call};
pub use part::{Content, Part, TemplateResource, resources_of};
pub use resolve::{NodeValue, Piece, Resolver};
pub use transform::{LANGUAGE_EXTENSIONS, SERVERLESS};

/// A CloudFormation template, in YAML or JSON.
#[derive(Clone, Debug)]
pub struct Template {
    file: String,
    text: String,
    root: Node,
    parameters: BTreeMap<String, Option<String>>,
    /// The positions of aliases and merge keys, which CloudFormation rejects.
    aliases: Vec<Position>,
}

/// A part of a template that CloudFormation replaces before it processes the template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expansion {
    /// The position.
    pub at: Position,
    /// The name: `Fn::ForEach`, `Fn::Transform`, or a macro.
    pub what: String,
}

/// A string of a template as far as it is known before a deployment.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Resolved {
    /// Known.
    Text(String),
    /// Absent.
    Absent,
    /// Known only at deployment.
    Unknown,
}

impl Template {
    /// Most bytes of a template in a request (`TemplateBody`, CloudFormation quotas).
    pub const INLINE_LIMIT: usize = 51_200;
    /// Most bytes of a template (`TemplateURL`, CloudFormation quotas).
    pub const MAX: usize = 1_048_576;

    /// Reads a template as CloudFormation does. `file` is its path in the repository, for diagnostics.
    ///
    /// # Errors
    /// Every diagnostic: a file that is too large, neither valid YAML nor valid JSON, not a template, or has aliases.
    pub fn read(file: &str, text: &str) -> Result<Self, Vec<Diagnostic>> {
        let template = Self::read_source(file, text)?;
        let source = SourceText::new(file, text);
        let mut diagnostics = Diagnostics::new(&source);
        template.reject_aliases(&mut diagnostics);
        if diagnostics.is_empty() { Ok(template) } else { Err(diagnostics.into_vec()) }
    }

    /// Reads a template as a user writes it, before a tool packages it: aliases and merge keys are expanded.
    ///
    /// # Errors
    /// Every diagnostic: a file that is too large, neither valid YAML nor valid JSON, or not a template.
    pub fn read_source(file: &str, text: &str) -> Result<Self, Vec<Diagnostic>> {
        let source = SourceText::new(file, text);
        let mut diagnostics = Diagnostics::new(&source);
        let template = read::template(&mut diagnostics, text).filter(|_| diagnostics.is_empty());
        let unreadable =
            |diagnostic: Diagnostic| Diagnostic { rule: diagnostic.rule.or(Some(UNREADABLE.id)), ..diagnostic };
        template.ok_or_else(|| diagnostics.into_vec().into_iter().map(unreadable).collect())
    }

    /// Whether a file is intended as a template, judging by its first level. An unreadable file is if it has the keys of a template.
    pub fn is_intended(text: &str) -> bool {
        const OF_TEMPLATES: &[&str] =
            &["AWSTemplateFormatVersion", "Resources", "Transform", "Conditions", "Mappings", "Outputs"];
        // A section at the start of a line, or on the first level of JSON.
        let names_one = || {
            let is_key = |line: &str| {
                let (key, rest) = match line.trim_start().strip_prefix('"') {
                    Some(rest) => rest.split_once('"').unwrap_or_default(),
                    None => line.split_once(':').map_or((line, ""), |(key, _)| (key, ":")),
                };
                OF_TEMPLATES.contains(&key.trim_end()) && rest.trim_start().starts_with(':')
            };
            text.lines().any(is_key) || text.contains("AWS::Backup::Framework")
        };
        // A file above the size limit is not parsed for this.
        let root = if text.len() > Self::MAX { None } else { read::root(text) };
        let root = root.filter(|root| root.entries().is_some());
        root.map_or_else(names_one, |root| OF_TEMPLATES.iter().any(|key| root.get(key).is_some()))
    }

    /// Reports the aliases and merge keys, which CloudFormation rejects.
    pub fn reject_aliases(&self, diagnostics: &mut Diagnostics<'_, '_>) {
        for at in &self.aliases {
            let (message, help) = yaml::rejection(diagnostics.source(), &read::DIALECT, *at);
            diagnostics.report(ALIASES, *at, message, help);
        }
    }

    /// Returns the text as it was read.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the path in diagnostics.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Returns the tree.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// Returns the declared parameters and their defaults.
    pub fn parameters(&self) -> &BTreeMap<String, Option<String>> {
        &self.parameters
    }

    /// Whether a resource has a key in its `Metadata`.
    pub fn has_metadata(&self, key: &str) -> bool {
        self.resources().any(|(_, _, body)| body.get("Metadata").is_some_and(|metadata| metadata.get(key).is_some()))
    }

    /// Whether the template declares a parameter of this name.
    pub fn declares(&self, name: &str) -> bool {
        self.parameters.contains_key(name)
    }

    /// Returns the resources: logical id, type, body.
    pub fn resources(&self) -> impl Iterator<Item = (&str, &str, &Node)> {
        self.named_resources().filter_map(|(key, kind, body)| Some((key.as_str()?, kind, body)))
    }

    /// Returns the resources with the nodes of their logical ids: id, type, body.
    pub fn named_resources(&self) -> impl Iterator<Item = (&Node, &str, &Node)> {
        let entries = self.root.section("Resources").iter();
        entries.filter_map(|(key, body)| Some((key, body.get("Type")?.as_str()?, body)))
    }
}
