//! Reports allowed values of parameters that make a framework name invalid: BC015.

use std::collections::{BTreeMap, BTreeSet};

use syntax::diagnostic::Diagnostics;
use syntax::template::{NodeValue, Resolver, Template, call};
use syntax::text::printable;
use syntax::yaml::Node;

use crate::definition::read::{TYPE, name};
use crate::rules::framework::ALLOWED_NAME;

/// Most values of a template that are tried.
const MOST: usize = 500;

/// Checks the names with each allowed value of the parameters in them that have no given value.
pub(super) fn check(diagnostics: &mut Diagnostics<'_, '_>, template: &Template, given: &BTreeMap<String, String>) {
    let mut left = MOST;
    for (_, kind, body) in template.resources() {
        let name = body.get("Properties").and_then(|properties| properties.get("FrameworkName"));
        let Some(node) = name.filter(|_| kind == TYPE) else { continue };
        let resolved = |given: &BTreeMap<String, String>| match Resolver::new(template, given).resolve(node) {
            NodeValue::Text(name) => Some(name),
            _ => None,
        };
        // The name with the defaults is BC011.
        if resolved(given).is_some_and(|name| name::violation(&name).is_some()) {
            continue;
        }
        for parameter in references(node).into_iter().filter(|parameter| !given.contains_key(*parameter)) {
            let declaration = template.root().get("Parameters").and_then(|parameters| parameters.get(parameter));
            let allowed = declaration.and_then(|declaration| declaration.get("AllowedValues"));
            for value in allowed.and_then(Node::as_sequence).unwrap_or_default().iter().filter_map(Node::as_str) {
                let Some(fewer) = left.checked_sub(1) else { return };
                left = fewer;
                let mut with = given.clone();
                with.insert(parameter.to_owned(), value.to_owned());
                let message = resolved(&with).and_then(|name| name::violation(&name));
                if let Some(message) = message {
                    let message =
                        format!("with the value `{}` of `{}`, {message}", printable(value), printable(parameter));
                    let help = "remove the value from `AllowedValues`, or replace its characters in the name";
                    diagnostics.report(&ALLOWED_NAME, node, message, help);
                    break;
                }
            }
        }
    }
}

/// Returns the names in `Ref` and `Fn::Sub` below a node.
fn references(node: &Node) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for call in node.descendants().filter_map(call) {
        let text = call.text().or_else(|| call.list()?.first()?.as_str());
        match (call.function, text) {
            ("Ref", Some(name)) => {
                names.insert(name);
            }
            ("Sub", Some(pattern)) => {
                let parts = pattern.split("${").skip(1);
                names.extend(parts.filter_map(|part| Some(part.split_once('}')?.0.trim())));
            }
            _ => {}
        }
    }
    names
}
