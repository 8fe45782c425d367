//! The resources of a template with resolved properties.

use std::collections::BTreeMap;

use super::resolve::{NodeValue, Piece, Resolver};
use super::{Expansion, Template};
use crate::diagnostic::Position;
use crate::text::printable;
use crate::yaml::{Node, Value};

/// A resource of a template.
#[derive(Clone, Debug)]
pub struct TemplateResource<'t> {
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
    pub fn as_text(&self) -> Option<&str> {
        if let Content::Text(text) = &self.content { Some(text) } else { None }
    }

    /// Returns the items of a list.
    pub fn items(&self) -> Option<&[Part]> {
        if let Content::List(items) = &self.content { Some(items) } else { None }
    }

    /// Returns the entries of a mapping.
    pub fn entries(&self) -> Option<&[(String, Part)]> {
        if let Content::Mapping(entries) = &self.content { Some(entries) } else { None }
    }

    /// Returns the value of a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Part> {
        self.entries()?.iter().find(|(name, _)| name == key).map(|(_, part)| part)
    }

    /// Returns the resource and attribute if the value is one reference.
    pub fn reference(&self) -> Option<(&str, Option<&str>)> {
        let Content::Pieces(pieces) = &self.content else { return None };
        let [Piece::Resource { logical_id, attribute }] = pieces.as_slice() else { return None };
        Some((logical_id, attribute.as_deref()))
    }

    /// Whether every part is known. References to resources are known.
    pub fn is_known(&self) -> bool {
        match &self.content {
            Content::Text(_) => true,
            Content::Pieces(pieces) => !pieces.iter().any(|piece| matches!(piece, Piece::Unknown | Piece::Pseudo(_))),
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

/// Returns the resources of these types.
pub fn resources_of<'t>(
    template: &'t Template,
    resolver: &Resolver<'t>,
    is_wanted: impl Fn(&str) -> bool,
) -> Vec<TemplateResource<'t>> {
    let mut builder = PartBuilder { resolver, left: MOST };
    let wanted = template.named_resources().filter(|(_, kind, _)| is_wanted(kind));
    let resources = wanted.filter_map(|(key, kind, body)| {
        let condition = body.get("Condition").and_then(Node::as_str);
        let properties = body.get("Properties").and_then(|properties| builder.part(properties, DEPTH));
        Some(TemplateResource {
            logical_id: key.as_str()?,
            kind,
            at: key.at,
            condition,
            is_on: condition.map_or(Some(true), |name| resolver.condition(name)),
            body,
            properties: properties.unwrap_or(Part { at: body.at, content: Content::Mapping(Vec::new()) }),
        })
    });
    resources.collect()
}

struct PartBuilder<'r, 't> {
    resolver: &'r Resolver<'t>,
    left: usize,
}

impl<'t> PartBuilder<'_, 't> {
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
                Value::Mapping(entries) => {
                    let part =
                        |(key, value): &'t (Node, Node)| Some((key.as_str()?.to_owned(), self.part(value, depth)?));
                    Content::Mapping(entries.iter().filter_map(part).collect())
                }
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
            Piece::Pseudo(name) => name.len(),
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

impl Template {
    /// Returns the resources with their properties resolved by these parameter values, which may include pseudo parameters
    /// (`AWS::Region`). Resources with a false condition are included.
    ///
    /// The parts of [`Self::expansions`] may generate more resources.
    pub fn resolved_resources<'t>(&'t self, parameters: &'t BTreeMap<String, String>) -> Vec<TemplateResource<'t>> {
        resources_of(self, &Resolver::new(self, parameters), |_| true)
    }

    /// Returns the first part that may generate resources: a macro, or `Fn::ForEach` or `Fn::Transform` among the resources.
    pub fn resource_expansion(&self) -> Option<Expansion> {
        let mut keys = self.root.entries().unwrap_or_default().iter().chain(self.root.section("Resources"));
        macros(self).next().or_else(|| keys.find_map(|(key, _)| of_key(key)))
    }

    /// Whether a framework, a condition or a look-up in `Mappings` uses a pseudo parameter, such as `AWS::Region`. A name in a string counts as a use: a false
    /// positive costs only another evaluation.
    pub fn depends_on(&self, pseudo: &str) -> bool {
        self.root.get("Conditions").is_some_and(|conditions| mentions(conditions, pseudo))
            || self.is_in_framework(pseudo)
            || lookups(&self.root).into_iter().any(|node| mentions(node, pseudo))
    }

    /// Whether a macro that is not AWS's processes the whole template.
    pub fn has_macro(&self) -> bool {
        macros(self).next().is_some()
    }

    /// Whether a framework uses a pseudo parameter, not only a condition.
    pub fn is_in_framework(&self, pseudo: &str) -> bool {
        self.resources().any(|(_, kind, body)| kind == "AWS::Backup::Framework" && mentions(body, pseudo))
    }

    /// Returns the parts that CloudFormation replaces before it processes the template. The SAM transform is not among them, because it
    /// does not change plain resources.
    pub fn expansions(&self) -> Vec<Expansion> {
        let mut found: Vec<Expansion> = macros(self).collect();
        for node in self.root.descendants() {
            if node.tag.as_deref() == Some("Transform") {
                found.push(Expansion { at: node.at, what: "`Fn::Transform`".to_owned() });
            }
            let keys = node.entries().unwrap_or_default().iter().map(|(key, _)| key);
            let is_expanded = |name: &str| name == "Fn::Transform" || name.starts_with("Fn::ForEach");
            found.extend(keys.filter(|key| key.as_str().is_some_and(is_expanded)).filter_map(of_key));
        }
        found.sort_by_key(|expansion| expansion.at);
        found
    }
}

/// Returns the nodes that may fail in some locations only: `Fn::FindInMap`; and loops, which may generate frameworks.
fn lookups(root: &Node) -> Vec<&Node> {
    let mut found = Vec::new();
    for node in ["Resources", "Outputs"].iter().filter_map(|section| root.get(section)).flat_map(Node::descendants) {
        if node.tag.as_deref() == Some("FindInMap") {
            found.push(node);
        }
        let is_lookup =
            |key: &Node| key.as_str().is_some_and(|name| name == "Fn::FindInMap" || name.starts_with("Fn::ForEach"));
        found.extend(
            node.entries().unwrap_or_default().iter().filter(|(key, _)| is_lookup(key)).map(|(_, value)| value),
        );
    }
    found
}

fn mentions(node: &Node, pseudo: &str) -> bool {
    node.descendants().any(|node| node.as_str().is_some_and(|text| text.contains(pseudo)))
}

/// Returns the expansion of a key that is a function.
fn of_key(key: &Node) -> Option<Expansion> {
    let name = key.as_str().filter(|name| name.starts_with("Fn::"))?;
    let what = if name.starts_with("Fn::ForEach") { "`Fn::ForEach`" } else { "`Fn::Transform`" };
    Some(Expansion { at: key.at, what: what.to_owned() })
}

/// Returns the macros that process the whole template.
fn macros(template: &Template) -> impl Iterator<Item = Expansion> {
    let transforms = template.root.get("Transform").into_iter();
    let transforms = transforms.flat_map(|node| node.as_sequence().unwrap_or(std::slice::from_ref(node)));
    transforms.filter_map(|node| {
        let name = node.as_str().or_else(|| node.get("Name").and_then(Node::as_str));
        let is_harmless = name.is_some_and(|name| HARMLESS.contains(&name));
        let what = || format!("the macro `{}`", printable(name.unwrap_or("?")));
        (!is_harmless).then(|| Expansion { at: node.at, what: what() })
    })
}
