//! A CloudFormation template with source positions; intrinsic functions resolved as far as they can be, the rest *unknown*.

use std::collections::BTreeMap;

use crate::fault::{Fault, Faults, Position, Source};
use crate::lint::rules;
use crate::yaml::Node;

mod capability;
mod intrinsic;
mod part;
mod places;
mod read;
mod resolve;
#[cfg(test)]
mod tests;

pub use capability::Capability;
pub(crate) use intrinsic::{Call, call};
pub(crate) use part::resources_of;
pub use part::{Content, Part, Piece, Resource};
pub use places::Alike;
pub(crate) use resolve::{Found, Resolver};

/// A CloudFormation template, in YAML or JSON.
#[derive(Clone, Debug)]
pub struct Template {
    file: String,
    text: String,
    root: Node,
    parameters: BTreeMap<String, Option<String>>,
    /// Where aliases and merge keys stand, which CloudFormation refuses.
    aliases: Vec<Position>,
}

/// A part of a template that CloudFormation replaces by something else before it reads the template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expansion {
    /// Where it stands.
    pub at: Position,
    /// What it is: `Fn::ForEach`, `Fn::Transform`, or a macro by its name.
    pub what: String,
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

    /// Reads a template as CloudFormation would. `file` is what the faults call it: its path in the repository.
    ///
    /// # Errors
    /// Every fault found: a file that is too large, is no YAML or JSON, is no template, or has aliases.
    pub fn read(file: &str, text: &str) -> Result<Self, Vec<Fault>> {
        let template = Self::read_source(file, text)?;
        let source = Source::new(file, text);
        let mut faults = Faults::new(&source);
        template.refuse_aliases(&mut faults);
        if faults.is_empty() { Ok(template) } else { Err(faults.into_vec()) }
    }

    /// Reads a template as people write it, before a tool packages it: aliases and merge keys are written out.
    ///
    /// # Errors
    /// Every fault found: a file that is too large, is no YAML or JSON, or is no template.
    pub fn read_source(file: &str, text: &str) -> Result<Self, Vec<Fault>> {
        let source = Source::new(file, text);
        let mut faults = Faults::new(&source);
        let read = read::template(&mut faults, text.len());
        match read {
            Some(read::Read { root, parameters, aliases }) if faults.is_empty() => {
                Ok(Self { file: file.to_owned(), text: text.to_owned(), root, parameters, aliases })
            }
            _ => {
                let unreadable = |fault: Fault| Fault { rule: fault.rule.or(Some(rules::UNREADABLE.id)), ..fault };
                Err(faults.into_vec().into_iter().map(unreadable).collect())
            }
        }
    }

    /// Whether a file is meant to be a template, as far as its first level tells. A file that cannot be read is taken for one if it
    /// names the sections of one.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
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
        // What is larger than any template is not read to find out.
        let keys = if text.len() > Self::MAX { None } else { read::keys(text) };
        keys.map_or_else(names_one, |keys| keys.iter().any(|key| OF_TEMPLATES.contains(&key.as_str())))
    }

    /// Returns the first syntax error of a file that is neither valid YAML nor valid JSON.
    #[must_use]
    pub fn syntax_error(file: &str, text: &str) -> Option<Fault> {
        read::syntax_error(file, text)
    }

    /// Notes the aliases and merge keys, which CloudFormation refuses.
    pub(crate) fn refuse_aliases(&self, faults: &mut Faults<'_, '_>) {
        for at in &self.aliases {
            let (problem, fix) = read::refused(faults.source(), *at);
            faults.tell(&rules::ALIASES, *at, problem, fix, Vec::new());
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

    /// The value of a key in the `Metadata` of the resource at a position, if it is a text.
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

    /// The resources with the nodes of their names: name, type, body.
    pub(crate) fn named_resources(&self) -> impl Iterator<Item = (&Node, &str, &Node)> {
        let entries = self.root.get("Resources").and_then(Node::entries).unwrap_or_default();
        entries.iter().filter_map(|(key, body)| Some((key, body.get("Type")?.as_str()?, body)))
    }

    /// The resources with their properties resolved as far as these values of the template's parameters tell. A value for a
    /// pseudo parameter (`AWS::Region`) may be among them. Those that their condition switches off are there too, and say so.
    ///
    /// Parts that [`Self::expansions`] names may bring more resources.
    #[must_use]
    pub fn resolved_resources<'t>(&'t self, parameters: &'t BTreeMap<String, String>) -> Vec<Resource<'t>> {
        part::resources(self, parameters)
    }

    /// The part that may bring resources which nobody can see before a deployment, if there is one: a macro, or `Fn::ForEach` or
    /// `Fn::Transform` among the resources.
    #[must_use]
    pub fn brings_resources(&self) -> Option<Expansion> {
        part::brings_resources(self)
    }

    /// Whether the frameworks or the conditions of the template look at a pseudo parameter, such as `AWS::Region`.
    #[must_use]
    pub fn depends_on(&self, pseudo: &str) -> bool {
        part::depends_on(self, pseudo)
    }

    /// Whether its frameworks name a pseudo parameter, not only its conditions.
    fn is_in_framework(&self, pseudo: &str) -> bool {
        part::in_frameworks(self, pseudo)
    }

    /// The parts that CloudFormation replaces before it reads the template, so that nobody else knows what they become. SAM's own
    /// transform is none of them: it leaves plain resources as they are.
    #[must_use]
    pub fn expansions(&self) -> Vec<Expansion> {
        part::expansions(self)
    }
}
