//! Checks `Fn::FindInMap` with the values of each target: BC120 (CloudFormation template reference, "Fn::FindInMap").

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use syntax::diagnostic::Diagnostics;
use syntax::template::{NodeValue, Resolver, Template, call};
use syntax::text::printable;
use syntax::yaml::{Node, Value};

use super::{is_generated, is_generator};
use crate::rules::cloudformation::LOOKUP;

/// The keys of a mapping.
#[derive(Default)]
struct MappingKeys<'t> {
    /// The first keys with their second keys.
    first: BTreeMap<Cow<'t, str>, BTreeSet<Cow<'t, str>>>,
    /// All second keys.
    second: BTreeSet<Cow<'t, str>>,
}

/// Checks the look-ups of a template for one set of parameter values.
pub(in crate::lint) fn check<'t>(
    diagnostics: &mut Diagnostics<'_, '_>,
    template: &'t Template,
    resolver: &Resolver<'t>,
) {
    let mappings = template.root().section("Mappings");
    // Most templates have none, and each variant of the values is checked.
    if !template.text().contains("FindInMap")
        || is_generated(template)
        || mappings.iter().any(|(key, _)| is_generator(key))
    {
        return;
    }
    let keys = mappings.iter().filter_map(|(key, body)| Some((key.as_str()?, keys(body))));
    let mut lookups = Lookups { diagnostics, resolver, keys: keys.collect() };
    for name in ["Conditions", "Rules"] {
        template.root().section(name).iter().for_each(|(_, body)| lookups.node(body, true));
    }
    for name in ["Resources", "Outputs"] {
        for (_, body) in template.root().section(name).iter().filter(|(key, _)| !is_generator(key)) {
            let condition = body.get("Condition").and_then(Node::as_str).map(|name| resolver.condition(name));
            if condition != Some(Some(false)) {
                let entries = body.entries().unwrap_or_default().iter();
                entries
                    .filter(|(key, _)| key.as_str() != Some("Metadata"))
                    .for_each(|(_, value)| lookups.node(value, condition != Some(None)));
            }
        }
    }
}

/// Returns the keys of a mapping; `None` if a macro or a loop generates some.
fn keys(mapping: &Node) -> Option<MappingKeys<'_>> {
    let entries = mapping.entries().filter(|entries| !entries.iter().any(|(key, _)| is_generator(key)))?;
    let mut keys = MappingKeys::default();
    for (key, body) in entries {
        let names = body.entries().filter(|names| !names.iter().any(|(key, _)| is_generator(key)))?;
        let names: BTreeSet<_> = names.iter().map(|(key, _)| key.yaml11_text()).collect::<Option<_>>()?;
        keys.second.extend(names.iter().cloned());
        keys.first.insert(key.yaml11_text()?, names);
    }
    Some(keys)
}

struct Lookups<'r, 's, 'f, 't> {
    diagnostics: &'r mut Diagnostics<'s, 'f>,
    resolver: &'r Resolver<'t>,
    keys: BTreeMap<&'t str, Option<MappingKeys<'t>>>,
}

impl<'t> Lookups<'_, '_, '_, 't> {
    /// Recursive: the tree has at most [`syntax::yaml::MAX_DEPTH`] levels. With `is_certain`, every condition around the node holds.
    fn node(&mut self, node: &'t Node, is_certain: bool) {
        if let Some(call) = call(node) {
            match (call.function, call.list()) {
                ("If", Some([condition, yes, no])) => {
                    let holds = condition.as_str().and_then(|name| self.resolver.condition(name));
                    match holds {
                        Some(true) => self.node(yes, is_certain),
                        Some(false) => self.node(no, is_certain),
                        None => [yes, no].into_iter().for_each(|branch| self.node(branch, false)),
                    }
                    return;
                }
                ("FindInMap", Some([map, top, second])) => self.lookup(node, [map, top, second], is_certain),
                _ => {}
            }
        }
        match &node.value {
            Value::Scalar { .. } => {}
            Value::Sequence(items) => items.iter().for_each(|item| self.node(item, is_certain)),
            // The keys in a loop that is not written out depend on its variable.
            Value::Mapping(entries) => entries
                .iter()
                .filter(|(key, _)| !key.as_str().is_some_and(|key| key.starts_with("Fn::ForEach")))
                .for_each(|(_, value)| self.node(value, is_certain)),
        }
    }

    fn lookup(&mut self, node: &Node, parts: [&'t Node; 3], is_certain: bool) {
        // A look-up with literals is wrong wherever it is; one with values that the location decides may be under a condition on it.
        let known = |part: &'t Node| match self.resolver.resolve(part) {
            NodeValue::Text(text) if is_certain || is_literal(part) => Some(text),
            _ => None,
        };
        let [map, top, second] = parts;
        let Some(name) = known(map) else { return };
        let shown = printable(&name);
        let Some(keys) = self.keys.get(name.as_str()) else {
            let near = self.closest(&name, self.keys.keys().copied());
            let help = near.unwrap_or_else(|| "add it to `Mappings`".to_owned());
            self.diagnostics.report(&LOOKUP, node.at, format!("the template has no mapping `{shown}`"), help);
            return;
        };
        let Some(keys) = keys else { return };
        let (first, last) = (known(top), known(second));
        let found = first.as_deref().map(|first| (first, keys.first.get(first)));
        let add = |key: &str| format!("add `{}` to the mapping `{shown}`", printable(key));
        let (message, help) = match (found, &last) {
            (Some((first, None)), _) => {
                let near = self.closest_literal(top, first, keys.first.keys());
                (
                    format!("the mapping `{shown}` has no key `{}`{}", printable(first), source(top)),
                    near.unwrap_or_else(|| add(first)),
                )
            }
            (Some((first, Some(names))), Some(last)) if !names.contains(last.as_str()) => {
                let of = format!("the key `{}` of the mapping `{shown}`", printable(first));
                let near = self.closest_literal(second, last, names);
                (format!("{of} has no key `{}`{}", printable(last), source(second)), near.unwrap_or_else(|| add(last)))
            }
            (None, Some(last)) if !keys.second.contains(last.as_str()) => {
                let near = self.closest_literal(second, last, &keys.second);
                let message =
                    format!("no key of the mapping `{shown}` has a key `{}`{}", printable(last), source(second));
                (message, near.unwrap_or_else(|| add(last)))
            }
            _ => return,
        };
        self.diagnostics.report(&LOOKUP, node.at, message, help);
    }

    /// Returns the help with the closest key, if the key is a literal.
    fn closest_literal<'k>(
        &self,
        part: &Node,
        key: &str,
        keys: impl IntoIterator<Item = &'k Cow<'k, str>>,
    ) -> Option<String> {
        if is_literal(part) { self.closest(key, keys.into_iter().map(AsRef::as_ref)) } else { None }
    }

    fn closest<'k>(&self, name: &str, candidates: impl Iterator<Item = &'k str>) -> Option<String> {
        /// Most compared names.
        const MOST: usize = 200;
        let near = self.diagnostics.closest(LOOKUP.level, name, candidates.take(MOST))?;
        Some(format!("did you mean `{}`?", printable(near)))
    }
}

fn is_literal(part: &Node) -> bool {
    part.tag.is_none() && part.as_str().is_some()
}

/// Returns the parameter that a key is the value of, in parentheses.
fn source(part: &Node) -> String {
    let name = call(part).filter(|call| call.function == "Ref").and_then(|call| call.text());
    name.map(|name| format!(" (`{}`)", printable(name))).unwrap_or_default()
}
