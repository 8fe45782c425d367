//! Reads the frameworks of a template and reports violations of the families 10 to 40.

use std::collections::BTreeMap;

use syntax::diagnostic::{Diagnostics, Edit};
use syntax::template::{NodeValue, Resolved, Resolver, Template};
use syntax::text::{closest_match, printable, typing_error};
use syntax::yaml::Node;

use super::{Framework, FrameworkControl, UnknownPart};
use crate::control::Parameter;
use crate::rules::LintRule;
use crate::rules::framework::{DESCRIPTION, SHAPE, UNKNOWN_PROPERTY};
use crate::rules::template::NO_FRAMEWORK;

mod controls;
pub(crate) mod name;
mod partial;
mod scope;
mod value;

pub(crate) const TYPE: &str = "AWS::Backup::Framework";

/// A framework with its nodes.
pub(crate) struct ReadFramework<'t> {
    pub(crate) framework: Framework,
    /// The node of its logical id.
    pub(crate) id: &'t Node,
    /// The controls in the order of [`Self::framework`].
    pub(crate) controls: Vec<ReadControl<'t>>,
    /// Whether all controls are known.
    pub(crate) is_known: bool,
    /// Whether it certainly exists; false if its condition is undecided.
    pub(crate) is_there: bool,
    /// The name of its condition.
    pub(crate) condition: Option<&'t str>,
}

impl ReadFramework<'_> {
    /// Drops the nodes.
    pub(crate) fn into_framework(self) -> Framework {
        Framework { is_known: self.is_known && self.is_there, ..self.framework }
    }
}

/// A control of a framework with its nodes.
pub(crate) struct ReadControl<'t> {
    pub(crate) used: FrameworkControl,
    pub(crate) node: &'t Node,
    /// The node of `ControlName`.
    pub(crate) name: &'t Node,
    pub(crate) given: Vec<GivenParameter<'t>>,
    /// Whether all parameters and values are known.
    pub(crate) parameters_known: bool,
    /// Whether parameters and scope are known.
    pub(crate) is_known: bool,
}

/// A parameter with a value.
pub(crate) struct GivenParameter<'t> {
    pub(crate) parameter: &'static Parameter,
    /// The node of `ParameterValue`.
    pub(crate) value: &'t Node,
    /// The value, if known.
    pub(crate) text: Option<String>,
}

impl ReadControl<'_> {
    /// Returns the parameter if it is given.
    pub(crate) fn given(&self, name: &str) -> Option<&GivenParameter<'_>> {
        self.given.iter().find(|given| given.parameter.name == name)
    }
}

pub(crate) fn frameworks<'t>(
    diagnostics: &mut Diagnostics<'_, '_>,
    template: &'t Template,
    resolver: &Resolver<'t>,
) -> Vec<ReadFramework<'t>> {
    let mut frameworks = Vec::new();
    for (id, _, body) in template.named_resources().filter(|(_, kind, _)| *kind == TYPE) {
        let is_on = body.get("Condition").and_then(Node::as_str).map_or(Some(true), |name| resolver.condition(name));
        if is_on == Some(false) {
            continue;
        }
        let mut read = framework(&mut Reading { diagnostics, resolver }, id, body);
        read.is_there = is_on == Some(true);
        if !read.is_there {
            let at = body.get("Condition").map_or(id.at, |node| node.at);
            let what = format!("whether the framework `{}` exists", printable(&read.framework.logical_id));
            read.framework.unknown.insert(0, UnknownPart { at, what });
        }
        frameworks.push(read);
    }
    // Generated resources may include a framework.
    if template.resources().all(|(_, kind, _)| kind != TYPE) && template.resource_expansion().is_none() {
        report_none(diagnostics, template);
    }
    frameworks
}

fn report_none(diagnostics: &mut Diagnostics<'_, '_>, template: &Template) {
    let types: Vec<&str> = template.resources().map(|(_, kind, _)| kind).collect();
    let mut edits = Vec::new();
    let help = match closest_match(TYPE, types) {
        Some(kind) => {
            let bodies = template.named_resources().filter(|(_, other, _)| *other == kind);
            let mut nodes = bodies.filter_map(|(_, _, body)| body.get("Type"));
            // Among several the misspelled one is ambiguous.
            if typing_error(kind, [TYPE]).is_some()
                && let (Some(node), None) = (nodes.next(), nodes.next())
            {
                edits.extend(diagnostics.source().rewritten(node, TYPE));
            }
            format!("did you mean `{TYPE}` instead of `{}`?", printable(kind))
        }
        None => format!("add a resource of the type `{TYPE}`"),
    };
    let at = template.root().get("Resources").map_or(template.root().at, |resources| resources.at);
    diagnostics.report_fixable(&NO_FRAMEWORK, at, "the template has no `AWS::Backup::Framework`", help, edits);
}

/// The context of every reading function.
struct Reading<'r, 's, 'f, 't> {
    diagnostics: &'r mut Diagnostics<'s, 'f>,
    resolver: &'r Resolver<'t>,
}

impl<'t> Reading<'_, '_, '_, 't> {
    /// Returns the edit that replaces a scalar and corrects a violation of the rule, as a list of at most one.
    fn rewritten(&self, rule: &LintRule, node: &Node, new: &str) -> Vec<Edit> {
        self.diagnostics.rewritten(rule.level, node, new).into_iter().collect()
    }

    /// Returns an item of a list that is a mapping, or whether the item is known only at deployment. Reports an item of another type.
    fn mapping(
        &mut self,
        (node, item): (&'t Node, NodeValue<'t>),
        rule: &'static LintRule,
        (message, help): (&str, &str),
    ) -> Result<&'t Node, bool> {
        match item {
            NodeValue::Tree(item) if item.entries().is_some() => Ok(item),
            NodeValue::Unknown | NodeValue::Absent | NodeValue::Pieces(_) => Err(true),
            NodeValue::Tree(_) | NodeValue::Text(_) | NodeValue::Texts(_) => {
                self.diagnostics.report(rule, node, message, help);
                Err(false)
            }
        }
    }

    /// Returns the items of a list with resolved functions. `None` if unknown before a deployment; empty if absent.
    fn list(&mut self, node: Option<&'t Node>, key: &str) -> Option<Vec<(&'t Node, NodeValue<'t>)>> {
        let Some(node) = node else { return Some(Vec::new()) };
        if let Some(items) = self.resolver.items(node) {
            return Some(items);
        }
        if let NodeValue::Tree(_) | NodeValue::Text(_) = self.resolver.resolve(node) {
            let message = format!("`{key}` is {}", node.describe());
            let help = self.list_help(node, key);
            self.diagnostics.report(&SHAPE, node, message, help);
        }
        None
    }

    /// Returns how to write a list instead of a node. Tags are often written as a mapping.
    fn list_help(&self, node: &Node, key: &str) -> String {
        let entries = node.entries().filter(|_| matches!(key, "Tags" | "FrameworkTags"));
        let Some([(first, value), ..]) = entries else {
            let help = if self.diagnostics.source().is_json() {
                "write a list in `[]`"
            } else {
                "write a list, each item after `-`"
            };
            return help.to_owned();
        };
        let text = |node: &Node| printable(node.as_str().unwrap_or("..."));
        let (key, value) = match node.get("Key") {
            Some(key) => (text(key), node.get("Value").map_or("...".to_owned(), text)),
            None => (text(first), text(value)),
        };
        let example = match self.diagnostics.source().is_json() {
            true => format!("[{{\"Key\": \"{key}\", \"Value\": \"{value}\"}}]"),
            false => format!("[{{ Key: {key}, Value: {value} }}]"),
        };
        format!("write a list of mappings with `Key` and `Value`: `{example}`")
    }

    /// Returns the scalar at a key of a mapping and its node, or [`Resolved::Absent`] and the node of the mapping.
    fn text(&mut self, mapping: &'t Node, key: &str) -> (&'t Node, Resolved) {
        let Some(node) = mapping.get(key) else { return (mapping, Resolved::Absent) };
        let found = self.resolver.resolve(node);
        if let NodeValue::Tree(_) | NodeValue::Texts(_) = &found {
            let what = if matches!(found, NodeValue::Texts(_)) { "a list" } else { node.describe() };
            self.diagnostics.report(&SHAPE, node, format!("`{key}` is {what}"), "write a string");
        }
        (node, found.into_resolved())
    }

    /// Reports unknown keys. A misspelling of `missing` was reported with the missing key.
    fn keys(&mut self, of: &str, mapping: &'t Node, known: &[&str], missing: Option<&str>) {
        let keys = mapping.entries().unwrap_or_default().iter();
        let unknown: Vec<(&Node, &str, Option<&str>)> = keys
            .filter_map(|(key, _)| Some((key, key.as_str().filter(|name| !known.contains(name))?)))
            .map(|(key, name)| (key, name, closest_match(name, known.iter().copied())))
            .collect();
        let mut meant: BTreeMap<&str, usize> = BTreeMap::new();
        unknown.iter().filter_map(|(_, _, near)| *near).for_each(|near| *meant.entry(near).or_default() += 1);
        for (key, name, near) in unknown {
            if name.starts_with("Fn::") || (near.is_some() && near == missing) {
                continue;
            }
            let (help, edits) = match near {
                // Two keys cannot both be renamed to it.
                Some(near) if mapping.get(near).is_none() => {
                    let is_certain =
                        meant.get(near) == Some(&1) && typing_error(name, known.iter().copied()) == Some(near);
                    let edits = if is_certain { self.rewritten(&UNKNOWN_PROPERTY, key, near) } else { Vec::new() };
                    (format!("did you mean `{near}`?"), edits)
                }
                _ => (format!("remove it, or use {}", listed(known)), Vec::new()),
            };
            let message = format!("{of} has no property `{}`", printable(name));
            self.diagnostics.report_fixable(&UNKNOWN_PROPERTY, key, message, help, edits);
        }
    }

    /// Returns the unknown key that resembles a missing one, and the edit that renames it if it is certainly a typing error.
    fn misspelt(&self, mapping: &'t Node, key: &str, known: &[&str]) -> (Option<&'t str>, Vec<Edit>) {
        // The key may exist without a value, and a duplicate is not valid YAML.
        let entries = mapping.entries().filter(|_| mapping.get(key).is_none()).unwrap_or_default();
        let names = || entries.iter().filter_map(|(key, _)| Some((key, key.as_str()?)));
        let near = closest_match(key, names().map(|(_, name)| name).filter(|name| !known.contains(name)));
        let is_certain = |name: &str| Some(name) == near && typing_error(name, known.iter().copied()) == Some(key);
        let node = names().find(|(_, name)| is_certain(name)).map(|(node, _)| node);
        (near, node.map(|node| self.rewritten(&UNKNOWN_PROPERTY, node, key)).unwrap_or_default())
    }
}

/// "`a`, `b` and `c`".
fn listed(words: &[&str]) -> String {
    match words {
        [] => "none".to_owned(),
        [one] => format!("`{one}`"),
        [others @ .., last] => {
            let others: Vec<String> = others.iter().map(|word| format!("`{word}`")).collect();
            format!("{} and `{last}`", others.join(", "))
        }
    }
}

/// The attributes of a resource (CloudFormation user guide, "Resource attribute reference").
pub(crate) const ATTRIBUTES: &[&str] = &[
    "Type",
    "Properties",
    "Condition",
    "DependsOn",
    "Metadata",
    "DeletionPolicy",
    "UpdateReplacePolicy",
    "CreationPolicy",
    "UpdatePolicy",
];

const NOT_A_TAG: (&str, &str) = ("the tag is not a mapping", "write a mapping with `Key` and `Value`");

const PROPERTIES: &[&str] = &["FrameworkName", "FrameworkDescription", "FrameworkControls", "FrameworkTags"];

fn framework<'t>(reading: &mut Reading<'_, '_, '_, 't>, id: &'t Node, body: &'t Node) -> ReadFramework<'t> {
    let logical_id = id.as_str().unwrap_or_default();
    let mut read = ReadFramework {
        framework: Framework {
            logical_id: logical_id.to_owned(),
            name: Resolved::Absent,
            controls: Vec::new(),
            unknown: Vec::new(),
            is_known: false,
        },
        id,
        controls: Vec::new(),
        is_known: false,
        is_there: true,
        condition: body.get("Condition").and_then(Node::as_str),
    };
    let properties = match body.get("Properties").map(|node| (node, reading.resolver.resolve(node))) {
        Some((_, NodeValue::Tree(properties))) if properties.entries().is_some() => properties,
        Some((node, NodeValue::Unknown)) => {
            read.framework.name = Resolved::Unknown;
            let what = format!("the value of `Properties` of the framework `{}`", printable(logical_id));
            read.framework.unknown.push(UnknownPart { at: node.at, what });
            return read;
        }
        Some((_, NodeValue::Absent)) | None => {
            let message = format!("the framework `{}` has no `Properties`", printable(logical_id));
            let (key, edits) = reading.misspelt(body, "Properties", ATTRIBUTES);
            let help = match key {
                Some(key) => format!("did you mean `Properties` instead of `{}`?", printable(key)),
                None => "add `Properties` with `FrameworkControls`".to_owned(),
            };
            reading.diagnostics.report_fixable(&SHAPE, body, message, help, edits);
            return read;
        }
        Some((node, NodeValue::Tree(_) | NodeValue::Text(_) | NodeValue::Texts(_) | NodeValue::Pieces(_))) => {
            let message = format!("`Properties` is {}", node.describe());
            reading.diagnostics.report(&SHAPE, node, message, "write a mapping with `FrameworkControls`");
            return read;
        }
    };
    reading.keys("a resource", body, ATTRIBUTES, None);
    let missing = properties.get("FrameworkControls").is_none().then_some("FrameworkControls");
    reading.keys("`AWS::Backup::Framework`", properties, PROPERTIES, missing);
    read.framework.name = name::read(reading, properties);
    description(reading, properties);
    tags(reading, properties);
    (read.controls, read.is_known) = controls::read(reading, properties, &mut read.framework.unknown);
    read.framework.controls = read.controls.iter().map(|control| control.used.clone()).collect();
    read
}

/// Checks `FrameworkDescription`: 1 to 1,024 characters, not blank (AWS Backup API).
fn description<'t>(reading: &mut Reading<'_, '_, '_, 't>, properties: &'t Node) {
    const MOST: usize = 1024;
    let (node, Resolved::Text(text)) = reading.text(properties, "FrameworkDescription") else { return };
    let length = text.chars().count();
    if length > MOST {
        let message = format!("the framework description has {length} characters");
        reading.diagnostics.report(&DESCRIPTION, node, message, "shorten it to 1024 characters");
    } else if text.trim().is_empty() {
        let help = "write a description, or remove the property";
        reading.diagnostics.report(&DESCRIPTION, node, "the framework description is blank", help);
    }
}

/// Checks `FrameworkTags`: a list of mappings with `Key` and `Value` (CloudFormation template reference).
fn tags<'t>(reading: &mut Reading<'_, '_, '_, 't>, properties: &'t Node) {
    const KEY: &str = "FrameworkTags";
    for item in reading.list(properties.get(KEY), KEY).unwrap_or_default() {
        let Ok(tag) = reading.mapping(item, &SHAPE, NOT_A_TAG) else { continue };
        reading.keys("a tag", tag, &["Key", "Value"], None);
        for key in ["Key", "Value"] {
            if reading.text(tag, key).1 == Resolved::Absent {
                let help = format!("add `{key}`, or remove the tag");
                reading.diagnostics.report(&SHAPE, tag, format!("the tag has no `{key}`"), help);
            }
        }
    }
}
