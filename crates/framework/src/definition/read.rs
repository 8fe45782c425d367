//! Reads the frameworks of a template and reports violations of the families 10 to 40.

use std::collections::BTreeMap;

use syntax::diagnostic::{Diagnostics, Edit};
use syntax::template::{NodeValue, Piece, Resolved, Resolver, Template};
use syntax::text::{closest_match, printable};
use syntax::yaml::Node;

use super::{Framework, FrameworkControl, UnknownPart};
use crate::control::Parameter;
use crate::rules;

mod controls;
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
    let mut has_framework = false;
    for (id, _, body) in template.named_resources().filter(|(_, kind, _)| *kind == TYPE) {
        has_framework = true;
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
    if !has_framework && template.resource_expansion().is_none() {
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
            if let (Some(node), None) = (nodes.next(), nodes.next()) {
                edits.extend(diagnostics.source().rewritten(node, TYPE));
            }
            format!("did you mean `{TYPE}` instead of `{}`?", printable(kind))
        }
        None => format!("add a resource of the type `{TYPE}`"),
    };
    let at = template.root().get("Resources").map_or(template.root().at, |resources| resources.at);
    diagnostics.report_fixable(
        &rules::template::NO_FRAMEWORK,
        at,
        "the template has no `AWS::Backup::Framework`",
        help,
        edits,
    );
}

/// The context of every reading function.
struct Reading<'r, 's, 'f, 't> {
    diagnostics: &'r mut Diagnostics<'s, 'f>,
    resolver: &'r Resolver<'t>,
}

impl<'t> Reading<'_, '_, '_, 't> {
    /// Returns the edit that replaces a scalar, as a list of at most one.
    fn rewritten(&self, node: &Node, new: &str) -> Vec<Edit> {
        self.diagnostics.source().rewritten(node, new).into_iter().collect()
    }

    /// Returns the items of a list with resolved functions. `None` if unknown before a deployment; empty if absent.
    fn list(&mut self, node: Option<&'t Node>, key: &str) -> Option<Vec<(&'t Node, NodeValue<'t>)>> {
        let Some(node) = node else { return Some(Vec::new()) };
        if let Some(items) = self.resolver.items(node) {
            return Some(items);
        }
        if let NodeValue::Tree(_) | NodeValue::Text(_) = self.resolver.resolve(node) {
            let message = format!("`{key}` is {}", node.describe());
            self.diagnostics.report(&rules::framework::SHAPE, node, message, "write a list, each item after `-`");
        }
        None
    }

    /// Returns the scalar at a key of a mapping and its node, or [`Resolved::Absent`] and the node of the mapping.
    fn text(&mut self, mapping: &'t Node, key: &str) -> (&'t Node, Resolved) {
        let Some(node) = mapping.get(key) else { return (mapping, Resolved::Absent) };
        let found = self.resolver.resolve(node);
        if let NodeValue::Tree(_) | NodeValue::Texts(_) = &found {
            let message =
                format!("`{key}` is {}", if matches!(found, NodeValue::Texts(_)) { "a list" } else { node.describe() });
            self.diagnostics.report(&rules::framework::SHAPE, node, message, "write a string");
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
                Some(near) if mapping.get(near).is_none() => {
                    // Two keys cannot both be renamed to it.
                    let is_only = meant.get(near) == Some(&1);
                    let edits = if is_only { self.rewritten(key, near) } else { Vec::new() };
                    (format!("did you mean `{near}`?"), edits)
                }
                _ => (format!("remove it, or use {}", listed(known)), Vec::new()),
            };
            let message = format!("{of} has no property `{}`", printable(name));
            self.diagnostics.report_fixable(&rules::framework::UNKNOWN_PROPERTY, key, message, help, edits);
        }
    }

    /// Returns the unknown key that resembles a missing one, and the edit that renames it.
    fn misspelt(&self, mapping: &'t Node, key: &str, known: &[&str]) -> Option<(&'t str, Vec<Edit>)> {
        let keys = mapping.entries().unwrap_or_default();
        if mapping.get(key).is_some() {
            // The key exists without a value, and a duplicate is not valid YAML.
            return None;
        }
        let unknown = keys.iter().filter_map(|(key, _)| key.as_str()).filter(|key| !known.contains(key));
        let near = closest_match(key, unknown)?;
        let node = keys.iter().map(|(key, _)| key).find(|node| node.as_str() == Some(near))?;
        Some((near, self.rewritten(node, key)))
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
const ATTRIBUTES: &[&str] = &[
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
        Some((node, NodeValue::Tree(_) | NodeValue::Text(_) | NodeValue::Texts(_) | NodeValue::Pieces(_))) => {
            let message = format!("`Properties` is {}", node.describe());
            reading.diagnostics.report(
                &rules::framework::SHAPE,
                node,
                message,
                "write a mapping with `FrameworkControls`",
            );
            return read;
        }
        Some((_, NodeValue::Absent)) | None => {
            let message = format!("the framework `{}` has no `Properties`", printable(logical_id));
            let edits = reading.misspelt(body, "Properties", ATTRIBUTES).map(|(_, edits)| edits).unwrap_or_default();
            reading.diagnostics.report_fixable(
                &rules::framework::SHAPE,
                body,
                message,
                "add `Properties` with `FrameworkControls`",
                edits,
            );
            return read;
        }
    };
    reading.keys("a resource", body, ATTRIBUTES, None);
    let missing = properties.get("FrameworkControls").is_none().then_some("FrameworkControls");
    reading.keys("`AWS::Backup::Framework`", properties, PROPERTIES, missing);
    read.framework.name = name(reading, properties);
    description(reading, properties);
    tags(reading, properties);
    (read.controls, read.is_known) = controls::read(reading, properties, &mut read.framework.unknown);
    read.framework.controls = read.controls.iter().map(|control| control.used.clone()).collect();
    read
}

/// Reads `FrameworkName`: a letter, then letters, digits and underscores, at most 256 (AWS Backup API).
fn name<'t>(reading: &mut Reading<'_, '_, '_, 't>, properties: &'t Node) -> Resolved {
    const MOST: usize = 256;
    let (node, name) = reading.text(properties, "FrameworkName");
    let is_invalid = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    if name == Resolved::Unknown {
        partial_name(reading, node, is_invalid);
    }
    if let Resolved::Text(text) = &name {
        let shown = printable(text);
        let mut edits = Vec::new();
        let message = if text.is_empty() {
            Some("the framework name is empty".to_owned())
        } else if let Some(odd) = text.chars().find(|c| is_invalid(*c)) {
            // Hyphens, dots and spaces are conventionally replaced by underscores.
            if text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text.chars().all(|c| !is_invalid(c) || "-. ".contains(c))
            {
                edits = reading.rewritten(node, &text.replace(is_invalid, "_"));
            }
            Some(format!("the framework name `{shown}` contains `{}`", odd.escape_debug()))
        } else if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
            Some(format!("the framework name `{shown}` does not start with a letter"))
        } else if text.len() > MOST {
            Some(format!("the framework name `{shown}` has {} characters", text.len()))
        } else {
            None
        };
        if let Some(message) = message {
            let help = "use a letter followed by letters, digits and underscores, at most 256 characters";
            reading.diagnostics.report_fixable(&rules::framework::FRAMEWORK_NAME, node, message, help, edits);
        }
    }
    name
}

/// Checks the known parts of a name. Every Region code has a hyphen, so a name that contains it is invalid everywhere.
fn partial_name<'t>(reading: &mut Reading<'_, '_, '_, 't>, node: &'t Node, is_invalid: impl Fn(char) -> bool) {
    /// Not a Region, so that comparisons with one are false.
    const SOME_REGION: &str = "xx-xxxx-0";
    let pieces = match reading.resolver.in_region(SOME_REGION).resolve(node) {
        NodeValue::Pieces(pieces) => pieces,
        NodeValue::Text(text) => vec![Piece::Text(text)],
        _ => return,
    };
    let texts = pieces.iter().filter_map(|piece| match piece {
        Piece::Text(text) => Some(text.as_str()),
        Piece::Resource { .. } | Piece::Unknown => None,
    });
    let odd = texts.flat_map(str::chars).find(|c| is_invalid(*c));
    let starts_wrong = || match pieces.first() {
        Some(Piece::Text(text)) => !text.starts_with(|c: char| c.is_ascii_alphabetic()),
        _ => false,
    };
    let is_written = || match reading.resolver.resolve(node) {
        NodeValue::Pieces(pieces) => {
            pieces.iter().any(|piece| matches!(piece, Piece::Text(text) if text.contains(&is_invalid)))
        }
        _ => false,
    };
    let message = match odd {
        Some(odd) if is_written() => format!("the framework name contains `{}`", odd.escape_debug()),
        Some(odd) => format!("the framework name contains the Region code, which has a `{}`", odd.escape_debug()),
        None if starts_wrong() => "the framework name does not start with a letter".to_owned(),
        None => return,
    };
    let help = "use a letter followed by letters, digits and underscores, at most 256 characters; `!Join [_, !Split ['-', !Ref \
               AWS::Region]]` is the Region code with underscores";
    reading.diagnostics.report(&rules::framework::FRAMEWORK_NAME, node, message, help);
}

/// Checks `FrameworkDescription`: 1 to 1,024 characters, not blank (AWS Backup API).
fn description<'t>(reading: &mut Reading<'_, '_, '_, 't>, properties: &'t Node) {
    const MOST: usize = 1024;
    let (node, Resolved::Text(text)) = reading.text(properties, "FrameworkDescription") else { return };
    let length = text.chars().count();
    if length > MOST {
        let message = format!("the framework description has {length} characters");
        reading.diagnostics.report(&rules::framework::DESCRIPTION, node, message, "shorten it to 1024 characters");
    } else if text.trim().is_empty() {
        reading.diagnostics.report(
            &rules::framework::DESCRIPTION,
            node,
            "the framework description is blank",
            "write a description, or remove the property",
        );
    }
}

/// Checks `FrameworkTags`: a list of mappings with `Key` and `Value` (CloudFormation template reference).
fn tags<'t>(reading: &mut Reading<'_, '_, '_, 't>, properties: &'t Node) {
    const KEY: &str = "FrameworkTags";
    for (node, item) in reading.list(properties.get(KEY), KEY).unwrap_or_default() {
        let tag = match item {
            NodeValue::Tree(tag) if tag.entries().is_some() => tag,
            NodeValue::Unknown | NodeValue::Absent | NodeValue::Pieces(_) => continue,
            NodeValue::Tree(_) | NodeValue::Text(_) | NodeValue::Texts(_) => {
                reading.diagnostics.report(
                    &rules::framework::SHAPE,
                    node,
                    "the tag is not a mapping",
                    "write `- Key: ...` with its `Value`",
                );
                continue;
            }
        };
        reading.keys("a tag", tag, &["Key", "Value"], None);
        for key in ["Key", "Value"] {
            if reading.text(tag, key).1 == Resolved::Absent {
                reading.diagnostics.report(
                    &rules::framework::SHAPE,
                    tag,
                    format!("the tag has no `{key}`"),
                    format!("add `{key}`, or remove the tag"),
                );
            }
        }
    }
}
