//! A CloudFormation template with source positions. Intrinsic functions are resolved as far as possible; the rest is *unknown*.

use std::collections::BTreeMap;

use crate::diagnostic::{ALIASES, Diagnostic, Diagnostics, Position, Source, UNREADABLE};
use crate::yaml::Node;

mod capability;
mod intrinsic;
mod part;
mod read;
mod resolve;
#[cfg(test)]
mod tests;

pub use capability::Capability;
pub use intrinsic::{Call, call};
pub use part::{Content, Part, Resource, resources_of};
pub use resolve::{NodeValue, Piece, Resolver};

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
        let source = Source::new(file, text);
        let mut diagnostics = Diagnostics::new(&source);
        template.reject_aliases(&mut diagnostics);
        if diagnostics.is_empty() { Ok(template) } else { Err(diagnostics.into_vec()) }
    }

    /// Reads a template as a user writes it, before a tool packages it: aliases and merge keys are expanded.
    ///
    /// # Errors
    /// Every diagnostic: a file that is too large, neither valid YAML nor valid JSON, or not a template.
    pub fn read_source(file: &str, text: &str) -> Result<Self, Vec<Diagnostic>> {
        let source = Source::new(file, text);
        let mut diagnostics = Diagnostics::new(&source);
        let read = read::template(&mut diagnostics, text.len());
        match read {
            Some(read::ParsedTemplate { root, parameters, aliases }) if diagnostics.is_empty() => {
                Ok(Self { file: file.to_owned(), text: text.to_owned(), root, parameters, aliases })
            }
            _ => {
                let unreadable =
                    |diagnostic: Diagnostic| Diagnostic { rule: diagnostic.rule.or(Some(UNREADABLE.id)), ..diagnostic };
                Err(diagnostics.into_vec().into_iter().map(unreadable).collect())
            }
        }
    }

    /// Whether a file is intended as a template, judging by its first level. An unreadable file is if it has the keys of a template.
    #[must_use]
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
        let keys = if text.len() > Self::MAX { None } else { read::keys(text) };
        keys.map_or_else(names_one, |keys| keys.iter().any(|key| OF_TEMPLATES.contains(&key.as_str())))
    }

    /// Returns the first syntax error of a file that is neither valid YAML nor valid JSON.
    #[must_use]
    pub fn syntax_error(file: &str, text: &str) -> Option<Diagnostic> {
        read::syntax_error(file, text)
    }

    /// Reports the aliases and merge keys, which CloudFormation rejects.
    pub fn reject_aliases(&self, diagnostics: &mut Diagnostics<'_, '_>) {
        for at in &self.aliases {
            let (message, help) = read::rejection(diagnostics.source(), *at);
            diagnostics.report(ALIASES, *at, message, help);
        }
    }

    /// Returns the text as it was read.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the path in diagnostics.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Returns the tree.
    #[must_use]
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// Returns the declared parameters and their defaults.
    #[must_use]
    pub fn parameters(&self) -> &BTreeMap<String, Option<String>> {
        &self.parameters
    }

    /// Returns the value of a key in the `Metadata` of the resource at a position, if it is a scalar.
    #[must_use]
    pub fn metadata(&self, at: Position, key: &str) -> Option<&str> {
        let is_there = |(name, body): &(&Node, &Node)| name.at <= at && at < body.end;
        let (_, body) = self.named_resources().map(|(name, _, body)| (name, body)).find(is_there)?;
        body.get("Metadata")?.get(key)?.as_str()
    }

    /// Whether a resource has a key in its `Metadata`.
    #[must_use]
    pub fn has_metadata(&self, key: &str) -> bool {
        self.resources().any(|(_, _, body)| body.get("Metadata").is_some_and(|metadata| metadata.get(key).is_some()))
    }

    /// Whether the template declares a parameter of this name.
    #[must_use]
    pub fn declares(&self, name: &str) -> bool {
        self.parameters.contains_key(name)
    }

    /// Returns the required capabilities.
    #[must_use]
    pub fn capabilities(&self) -> Vec<Capability> {
        capability::needed(self)
    }

    /// Returns the resources: logical id, type, body.
    pub fn resources(&self) -> impl Iterator<Item = (&str, &str, &Node)> {
        let entries = self.root.get("Resources").and_then(Node::entries).unwrap_or_default();
        entries.iter().filter_map(|(key, body)| Some((key.as_str()?, body.get("Type")?.as_str()?, body)))
    }

    /// Returns the resources with the nodes of their logical ids: id, type, body.
    pub fn named_resources(&self) -> impl Iterator<Item = (&Node, &str, &Node)> {
        let entries = self.root.get("Resources").and_then(Node::entries).unwrap_or_default();
        entries.iter().filter_map(|(key, body)| Some((key, body.get("Type")?.as_str()?, body)))
    }

    /// Returns the resources with their properties resolved by these parameter values, which may include pseudo parameters
    /// (`AWS::Region`). Resources with a false condition are included.
    ///
    /// The parts of [`Self::expansions`] may generate more resources.
    #[must_use]
    pub fn resolved_resources<'t>(&'t self, parameters: &'t BTreeMap<String, String>) -> Vec<Resource<'t>> {
        part::resources(self, parameters)
    }

    /// Returns the first part that may generate resources: a macro, or `Fn::ForEach` or `Fn::Transform` among the resources.
    #[must_use]
    pub fn resource_expansion(&self) -> Option<Expansion> {
        part::brings_resources(self)
    }

    /// Whether a framework or a condition uses a pseudo parameter, such as `AWS::Region`.
    #[must_use]
    pub fn depends_on(&self, pseudo: &str) -> bool {
        part::depends_on(self, pseudo)
    }

    /// Whether a framework uses a pseudo parameter, not only a condition.
    #[must_use]
    pub fn is_in_framework(&self, pseudo: &str) -> bool {
        part::in_frameworks(self, pseudo)
    }

    /// Returns the parts that CloudFormation replaces before it processes the template. The SAM transform is not among them, because it
    /// does not change plain resources.
    #[must_use]
    pub fn expansions(&self) -> Vec<Expansion> {
        part::expansions(self)
    }
}
