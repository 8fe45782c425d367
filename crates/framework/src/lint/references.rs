//! Checks that references name declared parts of the template. The rule is BC007.

use std::collections::BTreeSet;

use syntax::diagnostic::Diagnostics;
use syntax::template::{FunctionCall, LANGUAGE_EXTENSIONS, Template, call};
use syntax::text::printable;
use syntax::yaml::{Node, Value};

use super::cloudformation::is_generated;
use crate::rules::template::UNDECLARED;

/// Pseudo parameters (CloudFormation template reference).
const PSEUDO: &[&str] = &[
    "AWS::AccountId",
    "AWS::NoValue",
    "AWS::NotificationARNs",
    "AWS::Partition",
    "AWS::Region",
    "AWS::StackId",
    "AWS::StackName",
    "AWS::URLSuffix",
];

/// Whether a template declares everything that references may name. Macros, SAM and tools may declare anything, and references may
/// name resources in modules.
pub(super) fn is_complete(template: &Template) -> bool {
    let has_modules = template.resources().any(|(_, kind, _)| kind.ends_with("::MODULE"));
    let is_changed = template.transforms().iter().any(|name| *name != LANGUAGE_EXTENSIONS);
    !has_modules && !is_changed && !is_generated(template) && template.expansions().is_empty()
}

/// Checks a template that [`is_complete`].
pub(super) fn check(diagnostics: &mut Diagnostics<'_, '_>, template: &Template) {
    let root = template.root();
    let keys = |section: &str| -> BTreeSet<&str> {
        root.section(section).iter().filter_map(|(key, _)| key.as_str()).collect()
    };
    let resources = keys("Resources");
    let names: BTreeSet<&str> = keys("Parameters").into_iter().chain(resources.iter().copied()).collect();
    let conditions = keys("Conditions");
    let mut references = References { diagnostics, names, resources, conditions, section: "" };
    for section in ["Rules", "Conditions", "Resources", "Outputs"] {
        references.section = section;
        for (_, body) in root.section(section) {
            if let Some(depends_on) = body.get("DependsOn").filter(|_| section == "Resources") {
                references.depends_on(depends_on);
            }
            if let Some(condition) = body.get("Condition").filter(|_| matches!(section, "Resources" | "Outputs")) {
                references.condition(condition);
            }
            references.node(body, section == "Conditions");
        }
    }
}

struct References<'r, 's, 'f, 't> {
    diagnostics: &'r mut Diagnostics<'s, 'f>,
    /// Parameters and resources, which `Ref` may name.
    names: BTreeSet<&'t str>,
    resources: BTreeSet<&'t str>,
    conditions: BTreeSet<&'t str>,
    /// The section that is checked.
    section: &'static str,
}

impl<'t> References<'_, '_, '_, 't> {
    /// Recursive: the tree has at most [`syntax::yaml::MAX_DEPTH`] levels.
    fn node(&mut self, node: &'t Node, is_condition: bool) {
        if let Some(call) = call(node) {
            self.call(node, &call, is_condition);
        }
        match &node.value {
            Value::Scalar { .. } => {}
            Value::Sequence(items) => items.iter().for_each(|item| self.node(item, is_condition)),
            // Metadata is for other tools.
            Value::Mapping(entries) => entries
                .iter()
                .filter(|(key, _)| key.as_str() != Some("Metadata"))
                .for_each(|(_, value)| self.node(value, is_condition)),
        }
    }

    fn call(&mut self, node: &'t Node, call: &FunctionCall<'t>, is_condition: bool) {
        match (call.function, call.text(), call.list()) {
            ("Ref", Some(name), _) => self.reference(node, name, "Ref"),
            ("Condition", Some(name), _) if is_condition => self.condition_named(node, name),
            ("If", _, Some([condition, ..])) => self.condition(condition),
            ("GetAtt", Some(text), _) => {
                if let Some((name, _)) = text.split_once('.') {
                    self.resource(node, name);
                }
            }
            ("GetAtt", _, Some([name, _])) => {
                // A function there needs the transform for language extensions.
                if let Some(name) = name.as_str().filter(|_| name.tag.is_none()) {
                    self.resource(node, name);
                }
            }
            ("Sub", Some(pattern), _) => self.pattern(node, pattern, &[]),
            ("Sub", _, Some([pattern, variables])) => {
                if let Some(text) = pattern.as_str() {
                    self.pattern(pattern, text, variables.entries().unwrap_or_default());
                }
            }
            _ => {}
        }
    }

    fn pattern(&mut self, node: &Node, pattern: &str, variables: &[(Node, Node)]) {
        let own: BTreeSet<&str> = variables.iter().filter_map(|(key, _)| key.as_str()).collect();
        let mut rest = pattern;
        while let Some((name, after)) = rest.split_once("${").and_then(|(_, after)| after.split_once('}')) {
            rest = after;
            let name = name.trim();
            match name.split_once('.') {
                _ if name.starts_with('!') || own.contains(name) => {}
                Some((resource, _)) => self.resource(node, resource),
                None => self.reference(node, name, "Fn::Sub"),
            }
        }
    }

    /// Checks the logical ids of `DependsOn`.
    fn depends_on(&mut self, node: &'t Node) {
        let one = std::slice::from_ref(node);
        for node in node.as_sequence().unwrap_or(one).iter().filter(|node| node.tag.is_none()) {
            if let Some(name) = node.as_str().filter(|_| !node.is_null()) {
                self.resource(node, name);
            }
        }
    }

    fn reference(&mut self, node: &Node, name: &str, function: &str) {
        if matches!(self.section, "Rules" | "Conditions") && self.resources.contains(name) {
            let message = format!("`{function}` in `{}` names the resource `{}`", self.section, printable(name));
            self.diagnostics.report(&UNDECLARED, node, message, "use a parameter: resources do not exist yet there");
            return;
        }
        if self.names.contains(name) || PSEUDO.contains(&name) {
            return;
        }
        let message = format!("`{function}` names `{}`, which is neither a parameter nor a resource", printable(name));
        report(self.diagnostics, node, self.names.iter().chain(PSEUDO), message, name);
    }

    fn resource(&mut self, node: &Node, name: &str) {
        if !self.resources.contains(name) {
            let message = format!("the template has no resource `{}`", printable(name));
            report(self.diagnostics, node, self.resources.iter(), message, name);
        }
    }

    /// Checks the name of a condition; other nodes are not names.
    fn condition(&mut self, node: &Node) {
        if let Some(name) = node.as_str().filter(|_| node.tag.is_none()) {
            self.condition_named(node, name);
        }
    }

    fn condition_named(&mut self, node: &Node, name: &str) {
        if !self.conditions.contains(name) {
            let message = format!("the template has no condition `{}`", printable(name));
            report(self.diagnostics, node, self.conditions.iter(), message, name);
        }
    }
}

fn report<'c>(
    diagnostics: &mut Diagnostics<'_, '_>,
    node: &Node,
    candidates: impl Iterator<Item = &'c &'c str>,
    message: String,
    name: &str,
) {
    /// Most compared names; templates have at most 500 resources.
    const MOST: usize = 1_000;
    let help = match diagnostics.closest(UNDECLARED.level, name, candidates.copied().take(MOST)) {
        Some(closest) => format!("did you mean `{}`?", printable(closest)),
        None => "declare it in the template, or remove the reference".to_owned(),
    };
    diagnostics.report(&UNDECLARED, node, message, help);
}
