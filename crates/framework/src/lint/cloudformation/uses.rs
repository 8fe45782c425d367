//! Collects the references between the resources of a template.

use std::collections::{BTreeMap, BTreeSet};

use syntax::template::{Template, call};
use syntax::yaml::{Node, Value};

/// A reference to a resource.
pub(super) struct Use<'t> {
    /// The node of the reference.
    pub(super) node: &'t Node,
    /// The referring resource; `None` for an output.
    pub(super) by: Option<usize>,
    /// The resource, by its number in the section.
    pub(super) of: usize,
    /// The attribute.
    pub(super) attribute: Option<&'t str>,
    /// Whether it is within `Fn::If`, of which one branch may never exist.
    pub(super) is_conditional: bool,
}

/// Returns the references in resources, without their metadata, and in outputs.
pub(super) fn of_resources(template: &Template) -> Vec<Use<'_>> {
    let resources = template.root().section("Resources");
    let numbers = resources.iter().enumerate().filter_map(|(number, (key, _))| Some((key.as_str()?, number)));
    let mut collector = Collector { numbers: numbers.collect(), by: None, found: Vec::new() };
    for (number, (_, body)) in resources.iter().enumerate() {
        collector.by = Some(number);
        for (key, value) in body.entries().unwrap_or_default() {
            match key.as_str() {
                Some("DependsOn") => {
                    let one = std::slice::from_ref(value);
                    for node in value.as_sequence().unwrap_or(one).iter().filter(|node| node.tag.is_none()) {
                        collector.add(node, node.as_str().unwrap_or_default(), None, false);
                    }
                }
                Some("Metadata") => {}
                _ => collector.node(value, false),
            }
        }
    }
    collector.by = None;
    template.root().section("Outputs").iter().for_each(|(_, body)| collector.node(body, false));
    collector.found
}

struct Collector<'t> {
    numbers: BTreeMap<&'t str, usize>,
    by: Option<usize>,
    found: Vec<Use<'t>>,
}

impl<'t> Collector<'t> {
    fn add(&mut self, node: &'t Node, name: &str, attribute: Option<&'t str>, is_conditional: bool) {
        if let Some(of) = self.numbers.get(name) {
            self.found.push(Use { node, by: self.by, of: *of, attribute, is_conditional });
        }
    }

    /// Recursive: the tree has at most [`syntax::yaml::MAX_DEPTH`] levels.
    fn node(&mut self, node: &'t Node, is_conditional: bool) {
        let mut is_conditional = is_conditional;
        if let Some(call) = call(node) {
            match (call.function, call.text(), call.list()) {
                ("Ref", Some(name), _) => self.add(node, name, None, is_conditional),
                ("GetAtt", Some(text), _) => {
                    if let Some((name, attribute)) = text.split_once('.') {
                        self.add(node, name, Some(attribute), is_conditional);
                    }
                }
                ("GetAtt", _, Some([name, attribute])) if name.tag.is_none() => {
                    let attribute_text = attribute.as_str().filter(|_| attribute.tag.is_none());
                    self.add(node, name.as_str().unwrap_or_default(), attribute_text, is_conditional);
                }
                ("Sub", Some(pattern), _) => self.pattern(node, pattern, &[], is_conditional),
                ("Sub", _, Some([pattern, variables])) => {
                    let text = pattern.as_str().unwrap_or_default();
                    self.pattern(pattern, text, variables.entries().unwrap_or_default(), is_conditional);
                }
                ("If", ..) => is_conditional = true,
                _ => {}
            }
        }
        match &node.value {
            Value::Scalar { .. } => {}
            Value::Sequence(items) => items.iter().for_each(|item| self.node(item, is_conditional)),
            Value::Mapping(entries) => entries.iter().for_each(|(_, value)| self.node(value, is_conditional)),
        }
    }

    fn pattern(&mut self, node: &'t Node, pattern: &'t str, own: &[(Node, Node)], is_conditional: bool) {
        let own: BTreeSet<&str> = own.iter().filter_map(|(key, _)| key.as_str()).collect();
        let mut rest = pattern;
        while let Some((name, after)) = rest.split_once("${").and_then(|(_, after)| after.split_once('}')) {
            rest = after;
            let name = name.trim();
            if own.contains(name) {
                continue;
            }
            match name.split_once('.') {
                Some((resource, attribute)) => self.add(node, resource, Some(attribute), is_conditional),
                None => self.add(node, name, None, is_conditional),
            }
        }
    }
}
