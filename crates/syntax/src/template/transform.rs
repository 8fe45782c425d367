//! The transforms of a template, and `Fn::ForEach` with a literal list.

use std::collections::BTreeMap;

use super::Template;
use crate::diagnostic::Position;
use crate::yaml::{MAX_DEPTH, Node, Value};

/// The transform with `Fn::ForEach`, `Fn::Length` and functions in more places.
pub const LANGUAGE_EXTENSIONS: &str = "AWS::LanguageExtensions";

/// The transform of the Serverless Application Model.
pub const SERVERLESS: &str = "AWS::Serverless-2016-10-31";

/// The budget: one for each generated node and one for every 32 bytes of its text. A template beyond it is left as it is.
const MOST: usize = 250_000;
const BYTES_OF_ONE: usize = 32;

impl Template {
    /// Returns the names of the transforms of the whole template; an empty one if it is not a string.
    #[must_use]
    pub fn transforms(&self) -> Vec<&str> {
        let Some(transform) = self.root.get("Transform") else { return Vec::new() };
        let one = std::slice::from_ref(transform);
        let nodes = transform.as_sequence().unwrap_or(one).iter();
        nodes.map(|node| node.as_str().or_else(|| node.get("Name")?.as_str()).unwrap_or_default()).collect()
    }

    /// Returns the template with the resources, conditions, outputs and properties that `Fn::ForEach` generates from literal lists
    /// (CloudFormation template reference, "Fn::ForEach"). `None` if there is no such loop. The generated nodes have the positions of the
    /// loop's body.
    #[must_use]
    pub fn without_loops(&self) -> Option<Self> {
        if !self.transforms().contains(&LANGUAGE_EXTENSIONS) || !self.text.contains("Fn::ForEach::") {
            return None;
        }
        let mut loops = Loops { left: MOST, is_expanded: false, variables: BTreeMap::new() };
        let root = loops.node(&self.root, MAX_DEPTH)?;
        loops.is_expanded.then(|| Self { root, ..self.clone() })
    }

    /// Returns the start and end of each `Fn::ForEach`.
    #[must_use]
    pub fn loops(&self) -> Vec<(Position, Position)> {
        let mut found = Vec::new();
        let mut left = vec![&self.root];
        while let Some(node) = left.pop() {
            left.extend(node.as_sequence().unwrap_or_default());
            for (key, value) in node.entries().unwrap_or_default() {
                match key.as_str() {
                    Some(name) if name.starts_with("Fn::ForEach::") => found.push((key.at, value.end)),
                    _ => left.push(value),
                }
            }
        }
        found
    }
}

/// Copies a tree and expands its loops.
struct Loops {
    left: usize,
    is_expanded: bool,
    /// The variables of the surrounding loops.
    variables: BTreeMap<String, String>,
}

impl Loops {
    /// `None` if the limit is exceeded.
    fn node(&mut self, node: &Node, depth: usize) -> Option<Node> {
        let depth = depth.checked_sub(1)?;
        self.pay(node)?;
        if let Some(value) = self.reference(node) {
            return Some(Node {
                at: node.at,
                end: node.end,
                tag: None,
                value: Value::Scalar { text: value, plain: false },
            });
        }
        let value = match &node.value {
            Value::Scalar { text, plain } => Value::Scalar { text: self.substituted(text), plain: *plain },
            Value::Sequence(items) => {
                Value::Sequence(items.iter().map(|item| self.node(item, depth)).collect::<Option<_>>()?)
            }
            Value::Mapping(entries) => {
                let mut new = Vec::new();
                self.entries(entries, depth, &mut new)?;
                Value::Mapping(new)
            }
        };
        Some(Node { at: node.at, end: node.end, tag: node.tag.clone(), value })
    }

    fn pay(&mut self, node: &Node) -> Option<()> {
        let price = 1 + node.as_str().map_or(0, str::len) / BYTES_OF_ONE;
        self.left = self.left.checked_sub(price)?;
        Some(())
    }

    fn entries(&mut self, entries: &[(Node, Node)], depth: usize, new: &mut Vec<(Node, Node)>) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        for (key, value) in entries {
            match literal_loop(key, value) {
                Some((variable, items, body)) => {
                    self.is_expanded = true;
                    let outer = self.variables.get(variable).cloned();
                    for item in items {
                        let item = self.substituted(item);
                        self.variables.insert(variable.to_owned(), item);
                        self.entries(body, depth, new)?;
                    }
                    match outer {
                        Some(outer) => self.variables.insert(variable.to_owned(), outer),
                        None => self.variables.remove(variable),
                    };
                }
                None => {
                    self.pay(key)?;
                    let name = self.substituted(key.as_str().unwrap_or_default());
                    let plain = matches!(key.value, Value::Scalar { plain: true, .. });
                    let key = Node { value: Value::Scalar { text: name, plain }, ..key.clone() };
                    new.push((key, self.node(value, depth)?));
                }
            }
        }
        Some(())
    }

    /// Returns the value of a `Ref` to the variable of a loop.
    fn reference(&self, node: &Node) -> Option<String> {
        let name = match (node.tag.as_deref(), node.entries()) {
            (Some("Ref"), _) => node.as_str()?,
            (None, Some([(key, value)])) if key.as_str() == Some("Ref") && value.tag.is_none() => value.as_str()?,
            _ => return None,
        };
        self.variables.get(name).cloned()
    }

    /// Replaces `${Variable}`, and `&{Variable}` by the alphanumeric characters of the value.
    fn substituted(&self, text: &str) -> String {
        let mut text = text.to_owned();
        if text.contains('{') {
            for (name, value) in &self.variables {
                text = text.replace(&format!("${{{name}}}"), value);
                let letters: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
                text = text.replace(&format!("&{{{name}}}"), &letters);
            }
        }
        text
    }
}

/// A loop over a literal list: variable, items and body.
type LiteralLoop<'t> = (&'t str, Vec<&'t str>, &'t [(Node, Node)]);

fn literal_loop<'t>(key: &Node, value: &'t Node) -> Option<LiteralLoop<'t>> {
    let _ = key.as_str()?.strip_prefix("Fn::ForEach::")?;
    let [variable, items, body] = value.as_sequence().filter(|_| value.tag.is_none())? else { return None };
    let items = items.as_sequence().filter(|_| items.tag.is_none())?;
    let texts = items.iter().map(|item| item.as_str().filter(|_| item.tag.is_none()));
    Some((variable.as_str()?, texts.collect::<Option<_>>()?, body.entries().filter(|_| body.tag.is_none())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Template {
        Template::read("t", text).expect("a template")
    }

    #[test]
    fn literal_loop_is_written_out() {
        let text = "Transform: AWS::LanguageExtensions\nResources:\n  Fn::ForEach::A:\n    - X\n    - [p-1, q]\n    - T&{X}:\n        \
                    Type: AWS::SNS::Topic\n        Properties:\n          TopicName: !Sub a-${X}\n          DisplayName: !Ref X\n          \
                    Fn::ForEach::B: [Y, [v, w], {'Z${Y}': {Ref: Y}}]\n";
        let written = "Transform: AWS::LanguageExtensions\nResources:\n  Tp1:\n    Type: AWS::SNS::Topic\n    Properties: {TopicName: \
                       !Sub a-p-1, DisplayName: p-1, Zv: v, Zw: w}\n  Tq:\n    Type: AWS::SNS::Topic\n    Properties: {TopicName: !Sub \
                       a-q, DisplayName: q, Zv: v, Zw: w}\n";
        let expanded = read(text).without_loops().expect("loops");
        assert!(expanded.root().same_as(read(written).root()), "{:#?}", expanded.root());
        let (id, _, _) = expanded.named_resources().next().expect("a resource");
        assert_eq!(id.at, Position { line: 6, column: 7 });
        assert_eq!(read(text).loops().len(), 1);
    }

    #[test]
    fn other_loops_are_left() {
        let of = |transform: &str, list: &str| {
            let text = format!(
                "{transform}Resources:\n  T: {{Type: AWS::SNS::Topic}}\n  Fn::ForEach::A: [X, {list}, {{'T${{X}}': {{Type: \
                 AWS::SNS::Topic}}}}]\n"
            );
            read(&text).without_loops().map(|template| template.resources().count())
        };
        let transform = "Transform: AWS::LanguageExtensions\n";
        assert_eq!(of(transform, "[a, b, c]"), Some(4));
        assert_eq!(of(transform, "!Ref List"), None);
        assert_eq!(of(transform, "[!Ref A]"), None);
        assert_eq!(of("", "[a]"), None, "CloudFormation rejects it without the transform");
        assert_eq!(of("Transform: [AWS::LanguageExtensions, Other]\n", "[a]"), Some(2));
    }

    #[test]
    fn nested_loops_are_bounded() {
        let mut body = "{'T${A}${B}${C}${D}': {Type: AWS::SNS::Topic}}".to_owned();
        for name in ["A", "B", "C", "D"] {
            let items = (0..200).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
            body = format!("{{'Fn::ForEach::{name}': [{name}, [{items}], {body}]}}");
        }
        assert!(read(&format!("Transform: AWS::LanguageExtensions\nResources: {body}\n")).without_loops().is_none());
    }
}
