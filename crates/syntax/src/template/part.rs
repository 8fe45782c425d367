//! The resources of a template with resolved properties.

use std::collections::BTreeMap;

use super::resolve::{NodeValue, Piece, Resolver};
use super::{Expansion, Template};
use crate::diagnostic::Position;
use crate::text::printable;
use crate::yaml::{Node, Value};

/// A resource of a template.
#[derive(Clone, Debug)]
pub struct Resource<'t> {
    /// The logical id.
    pub logical_id: &'t str,
    /// Its type, such as `AWS::RDS::DBCluster`.
    pub kind: &'t str,
    /// The position of the logical id.
    pub at: Position,
    /// The name of its condition.
    pub condition: Option<&'t str>,
    /// Whether the condition holds; `None` if known only at deployment.
    pub is_on: Option<bool>,
    /// The body as written.
    pub body: &'t Node,
    /// The resolved `Properties`; an empty mapping if absent.
    pub properties: Part,
}

/// A value in a template with its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The position; for the result of a function call, that of the call unless the value is in the template.
    pub at: Position,
    /// The value.
    pub content: Content,
}

/// A value as far as it is known before a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A string; numbers and booleans are strings too.
    Text(String),
    /// A partly known string, or a reference to a resource.
    Pieces(Vec<Piece>),
    /// A list without absent items.
    List(Vec<Part>),
    /// A mapping in the order of the file without absent values.
    Mapping(Vec<(String, Part)>),
    /// Known only at deployment.
    Unknown,
}

impl Part {
    /// Returns the string, if known.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        if let Content::Text(text) = &self.content { Some(text) } else { None }
    }

    /// Returns the items of a list.
    #[must_use]
    pub fn items(&self) -> Option<&[Part]> {
        if let Content::List(items) = &self.content { Some(items) } else { None }
    }

    /// Returns the entries of a mapping.
    #[must_use]
    pub fn entries(&self) -> Option<&[(String, Part)]> {
        if let Content::Mapping(entries) = &self.content { Some(entries) } else { None }
    }

    /// Returns the value of a key of a mapping.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Part> {
        self.entries()?.iter().find(|(name, _)| name == key).map(|(_, part)| part)
    }

    /// Returns the resource and attribute if the value is one reference.
    #[must_use]
    pub fn reference(&self) -> Option<(&str, Option<&str>)> {
        match &self.content {
            Content::Pieces(pieces) => match pieces.as_slice() {
                [Piece::Resource { logical_id, attribute }] => Some((logical_id, attribute.as_deref())),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether every part is known. References to resources are known.
    #[must_use]
    pub fn is_known(&self) -> bool {
        match &self.content {
            Content::Text(_) => true,
            Content::Pieces(pieces) => !pieces.contains(&Piece::Unknown),
            Content::List(items) => items.iter().all(Self::is_known),
            Content::Mapping(entries) => entries.iter().all(|(_, part)| part.is_known()),
            Content::Unknown => false,
        }
    }
}

/// The budget of a template: one for each part and one for every 32 bytes of text. A list in `Mappings` may be used any number of
/// times; parts beyond the budget are unknown.
const MOST: usize = 1_000_000;
/// Deepest nesting. A tree is never deeper, but an entry of `Mappings` may contain itself.
const DEPTH: usize = crate::yaml::MAX_DEPTH;
const BYTES_OF_ONE: usize = 32;

pub(super) fn resources<'t>(template: &'t Template, parameters: &'t BTreeMap<String, String>) -> Vec<Resource<'t>> {
    resources_of(template, &Resolver::new(template, parameters), |_| true)
}

/// Returns the resources of these types.
pub fn resources_of<'t>(
    template: &'t Template,
    resolver: &Resolver<'t>,
    is_wanted: impl Fn(&str) -> bool,
) -> Vec<Resource<'t>> {
    let mut builder = Builder { resolver, left: MOST };
    let entries = template.root.get("Resources").and_then(Node::entries).unwrap_or_default();
    let mut resources = Vec::new();
    for (key, body) in entries {
        let (Some(logical_id), Some(kind)) = (key.as_str(), body.get("Type").and_then(Node::as_str)) else { continue };
        if !is_wanted(kind) {
            continue;
        }
        let condition = body.get("Condition").and_then(Node::as_str);
        let properties = body.get("Properties").and_then(|properties| builder.part(properties, DEPTH));
        let nothing = Part { at: body.at, content: Content::Mapping(Vec::new()) };
        resources.push(Resource {
            logical_id,
            kind,
            at: key.at,
            condition,
            is_on: condition.map_or(Some(true), |name| resolver.condition(name)),
            body,
            properties: properties.unwrap_or(nothing),
        });
    }
    resources
}

struct Builder<'r, 't> {
    resolver: &'r Resolver<'t>,
    left: usize,
}

impl<'t> Builder<'_, 't> {
    /// `None` if the value is absent.
    fn part(&mut self, node: &'t Node, depth: usize) -> Option<Part> {
        let Some(depth) = depth.checked_sub(1) else { return Some(Part { at: node.at, content: Content::Unknown }) };
        let content = match self.resolver.resolve(node) {
            NodeValue::Absent => return None,
            NodeValue::Unknown => Content::Unknown,
            NodeValue::Text(text) if self.pay(text.len()) => Content::Text(text),
            NodeValue::Pieces(pieces) if self.pay(pieces.iter().map(length).sum()) => Content::Pieces(pieces),
            NodeValue::Texts(texts) if self.pay(texts.iter().map(|text| text.len() + BYTES_OF_ONE).sum()) => {
                let part = |text| Part { at: node.at, content: Content::Text(text) };
                Content::List(texts.into_iter().map(part).collect())
            }
            NodeValue::Tree(tree) if self.pay(0) => match &tree.value {
                Value::Sequence(items) => {
                    Content::List(items.iter().filter_map(|item| self.part(item, depth)).collect())
                }
                Value::Mapping(entries) => Content::Mapping(
                    entries
                        .iter()
                        .filter_map(|(key, value)| Some((key.as_str()?.to_owned(), self.part(value, depth)?)))
                        .collect(),
                ),
                Value::Scalar { .. } => Content::Unknown,
            },
            NodeValue::Text(_) | NodeValue::Pieces(_) | NodeValue::Texts(_) | NodeValue::Tree(_) => Content::Unknown,
        };
        Some(Part { at: node.at, content })
    }

    fn pay(&mut self, bytes: usize) -> bool {
        let price = 1 + bytes / BYTES_OF_ONE;
        let is_paid = self.left >= price;
        self.left = self.left.saturating_sub(price);
        is_paid
    }
}

fn length(piece: &Piece) -> usize {
    BYTES_OF_ONE
        + match piece {
            Piece::Text(text) => text.len(),
            Piece::Resource { logical_id, attribute } => logical_id.len() + attribute.as_ref().map_or(0, String::len),
            Piece::Unknown => 0,
        }
}

/// Macros of AWS that do not change plain resources.
const HARMLESS: &[&str] = &[
    "AWS::Serverless-2016-10-31",
    "AWS::LanguageExtensions",
    "AWS::SecretsManager-2020-07-23",
    "AWS::SecretsManager-2024-09-16",
    "AWS::CodeDeployBlueGreen",
];

pub(super) fn brings_resources(template: &Template) -> Option<Expansion> {
    let resources = template.root.get("Resources").and_then(Node::entries).unwrap_or_default();
    let of_key = |(key, _): &(Node, Node)| {
        let name = key.as_str().filter(|name| name.starts_with("Fn::"))?;
        let what = if name.starts_with("Fn::ForEach") { "`Fn::ForEach`" } else { "`Fn::Transform`" };
        Some(Expansion { at: key.at, what: what.to_owned() })
    };
    let all = template.root.entries().unwrap_or_default();
    macros(template).into_iter().next().or_else(|| all.iter().chain(resources).find_map(of_key))
}

/// A name in a string counts as a use: a false positive costs only another evaluation.
pub(super) fn depends_on(template: &Template, pseudo: &str) -> bool {
    mentions(template.root.get("Conditions").into_iter().collect(), pseudo) || in_frameworks(template, pseudo)
}

/// Whether the frameworks use it, directly or in conditions of other resources.
pub(super) fn in_frameworks(template: &Template, pseudo: &str) -> bool {
    let frameworks = template.resources().filter(|(_, kind, _)| *kind == "AWS::Backup::Framework");
    mentions(frameworks.map(|(_, _, body)| body).collect(), pseudo)
}

fn mentions(mut nodes: Vec<&Node>, pseudo: &str) -> bool {
    while let Some(node) = nodes.pop() {
        match &node.value {
            Value::Scalar { text, .. } if text.contains(pseudo) => return true,
            Value::Scalar { .. } => {}
            Value::Sequence(items) => nodes.extend(items),
            Value::Mapping(entries) => nodes.extend(entries.iter().map(|(_, value)| value)),
        }
    }
    false
}

pub(super) fn expansions(template: &Template) -> Vec<Expansion> {
    let mut found = macros(template);
    inner_expansions(&template.root, &mut found);
    found.sort_by_key(|expansion| expansion.at);
    found
}

/// Returns the macros that process the whole template.
fn macros(template: &Template) -> Vec<Expansion> {
    let mut found = Vec::new();
    if let Some(transform) = template.root.get("Transform") {
        let one = std::slice::from_ref(transform);
        for node in transform.as_sequence().unwrap_or(one) {
            let name = node.as_str().or_else(|| node.get("Name").and_then(Node::as_str));
            if name.is_none_or(|name| !HARMLESS.contains(&name)) {
                let what = format!("the macro `{}`", printable(name.unwrap_or("?")));
                found.push(Expansion { at: node.at, what });
            }
        }
    }
    found
}

/// Recursive: the tree has at most [`crate::yaml::MAX_DEPTH`] levels.
fn inner_expansions(node: &Node, found: &mut Vec<Expansion>) {
    if node.tag.as_deref() == Some("Transform") {
        found.push(Expansion { at: node.at, what: "`Fn::Transform`".to_owned() });
    }
    match &node.value {
        Value::Scalar { .. } => {}
        Value::Sequence(items) => items.iter().for_each(|item| inner_expansions(item, found)),
        Value::Mapping(entries) => {
            for (key, value) in entries {
                match key.as_str() {
                    Some("Fn::Transform") => {
                        found.push(Expansion { at: key.at, what: "`Fn::Transform`".to_owned() });
                    }
                    Some(name) if name.starts_with("Fn::ForEach") => {
                        found.push(Expansion { at: key.at, what: "`Fn::ForEach`".to_owned() });
                    }
                    _ => {}
                }
                inner_expansions(value, found);
            }
        }
    }
}
