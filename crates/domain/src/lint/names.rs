//! Names that stand for nothing: CloudFormation refuses a template that refers to what it does not have.

use std::collections::BTreeSet;

use super::rules;
use crate::fault::{Faults, nearest};
use crate::ids::shown;
use crate::template::{Call, Template, call};
use crate::yaml::{Node, Value};

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

pub(super) fn check(faults: &mut Faults<'_, '_>, template: &Template) {
    let root = template.root();
    // A macro may declare anything, SAM too, and modules have resources that are named here.
    let has_modules = template.resources().any(|(_, kind, _)| kind.ends_with("::MODULE"));
    if has_modules || root.get("Transform").is_some() || !template.expansions().is_empty() {
        return;
    }
    let keys = |section: &str| {
        let entries = root.get(section).and_then(Node::entries).unwrap_or_default();
        entries.iter().filter_map(|(key, _)| key.as_str()).collect::<BTreeSet<_>>()
    };
    let resources = keys("Resources");
    let names: BTreeSet<&str> = keys("Parameters").into_iter().chain(resources.iter().copied()).collect();
    let mut names = Names { faults, names, resources, conditions: keys("Conditions") };
    for section in ["Conditions", "Resources", "Outputs"] {
        for (_, body) in root.get(section).and_then(Node::entries).unwrap_or_default() {
            if section != "Conditions"
                && let Some(condition) = body.get("Condition")
            {
                names.condition(condition);
            }
            names.node(body, section == "Conditions");
        }
    }
}

struct Names<'r, 's, 'f, 't> {
    faults: &'r mut Faults<'s, 'f>,
    /// What `Ref` takes.
    names: BTreeSet<&'t str>,
    resources: BTreeSet<&'t str>,
    conditions: BTreeSet<&'t str>,
}

impl<'t> Names<'_, '_, '_, 't> {
    /// Recursion ends with the tree, which has at most [`crate::yaml::MAX_DEPTH`] levels.
    fn node(&mut self, node: &'t Node, is_condition: bool) {
        if let Some(call) = call(node) {
            self.call(node, &call, is_condition);
        }
        match &node.value {
            Value::Scalar { .. } => {}
            Value::Sequence(items) => items.iter().for_each(|item| self.node(item, is_condition)),
            // What metadata says is for others.
            Value::Mapping(entries) => entries
                .iter()
                .filter(|(key, _)| key.as_str() != Some("Metadata"))
                .for_each(|(_, value)| self.node(value, is_condition)),
        }
    }

    fn call(&mut self, node: &'t Node, call: &Call<'t>, is_condition: bool) {
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
                if let Some(name) = name.as_str() {
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
        let mut rest = pattern;
        while let Some((name, after)) = rest.split_once("${").and_then(|(_, after)| after.split_once('}')) {
            rest = after;
            let name = name.trim();
            let is_own = variables.iter().any(|(key, _)| key.as_str() == Some(name));
            match name.split_once('.') {
                _ if name.starts_with('!') || is_own => {}
                Some((resource, _)) => self.resource(node, resource),
                None => self.reference(node, name, "Fn::Sub"),
            }
        }
    }

    fn reference(&mut self, node: &Node, name: &str, function: &str) {
        if self.names.contains(name) || PSEUDO.contains(&name) {
            return;
        }
        let candidates = self.names.iter().chain(PSEUDO).copied().collect::<Vec<_>>();
        self.tell(
            node,
            &candidates,
            format!("`{function}` names `{}`, which is no parameter and no resource", shown(name)),
            name,
        );
    }

    fn resource(&mut self, node: &Node, name: &str) {
        if !self.resources.contains(name) {
            let candidates = self.resources.iter().copied().collect::<Vec<_>>();
            self.tell(node, &candidates, format!("there is no resource `{}`", shown(name)), name);
        }
    }

    /// A condition where its name stands; what is no text is no name.
    fn condition(&mut self, node: &Node) {
        if let Some(name) = node.as_str().filter(|_| node.tag.is_none()) {
            self.condition_named(node, name);
        }
    }

    fn condition_named(&mut self, node: &Node, name: &str) {
        if !self.conditions.contains(name) {
            let candidates = self.conditions.iter().copied().collect::<Vec<_>>();
            self.tell(node, &candidates, format!("there is no condition `{}`", shown(name)), name);
        }
    }

    fn tell(&mut self, node: &Node, candidates: &[&str], problem: String, name: &str) {
        /// Most names that are compared; templates have 500 resources at most.
        const MOST: usize = 1_000;
        let is_open = self.faults.has_room(rules::UNDECLARED.level);
        let near = is_open.then(|| nearest(name, candidates.iter().copied().take(MOST))).flatten();
        let fix = match near {
            Some(near) => format!("did you mean `{}`?", shown(near)),
            None => "declare it in the template, or take the reference out".to_owned(),
        };
        self.faults.tell(&rules::UNDECLARED, node, problem, fix, Vec::new());
    }
}
