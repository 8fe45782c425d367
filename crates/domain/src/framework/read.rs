//! From the resources of a template to its frameworks.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::{Framework, FrameworkControl, Narrowing, Unseen};
use crate::control::{self, Control, Parameter};
use crate::fault::{Edit, Faults, Place, Position, nearest};
use crate::ids::shown;
use crate::lint::{Rule, rules};
use crate::template::{Found, Piece, Resolved, Resolver, Template};
use crate::yaml::Node;

mod scope;
mod value;

pub(crate) const TYPE: &str = "AWS::Backup::Framework";

/// A framework with the nodes that it was read from.
pub(crate) struct Read<'t> {
    pub(crate) framework: Framework,
    /// Where its logical id stands.
    pub(crate) id: &'t Node,
    /// Its controls, in the same order as in [`Self::framework`].
    pub(crate) controls: Vec<ReadControl<'t>>,
    /// Whether all of its controls are known.
    pub(crate) is_known: bool,
    /// Whether it is known to be there; its condition may be undecided.
    pub(crate) is_there: bool,
    /// The name of its condition.
    pub(crate) condition: Option<&'t str>,
}

impl Read<'_> {
    /// What is kept of it without the template.
    pub(crate) fn into_framework(self) -> Framework {
        Framework { is_known: self.is_known && self.is_there, ..self.framework }
    }
}

/// A control of a framework with the nodes that it was read from.
pub(crate) struct ReadControl<'t> {
    pub(crate) used: FrameworkControl,
    pub(crate) node: &'t Node,
    /// The node of `ControlName`.
    pub(crate) name: &'t Node,
    pub(crate) given: Vec<Given<'t>>,
    /// Whether all of its parameters and their values are known.
    pub(crate) parameters_known: bool,
    /// Whether everything about it is known.
    pub(crate) is_known: bool,
}

/// A parameter of a control that is given.
pub(crate) struct Given<'t> {
    pub(crate) parameter: &'static Parameter,
    /// The node of `ParameterValue`.
    pub(crate) value: &'t Node,
    /// The value, if it is known.
    pub(crate) text: Option<String>,
}

impl ReadControl<'_> {
    /// The parameter of this name, if it is given.
    pub(crate) fn given(&self, name: &str) -> Option<&Given<'_>> {
        self.given.iter().find(|given| given.parameter.name == name)
    }
}

pub(crate) fn frameworks<'t>(
    faults: &mut Faults<'_, '_>,
    template: &'t Template,
    resolver: &Resolver<'t>,
) -> Vec<Read<'t>> {
    let mut frameworks = Vec::new();
    let mut there_is_one = false;
    for (id, _, body) in template.named_resources().filter(|(_, kind, _)| *kind == TYPE) {
        there_is_one = true;
        let is_on = body.get("Condition").and_then(Node::as_str).map_or(Some(true), |name| resolver.condition(name));
        if is_on == Some(false) {
            continue;
        }
        let mut read = framework(&mut Reading { faults, resolver }, id, body);
        read.is_there = is_on == Some(true);
        if !read.is_there {
            let at = body.get("Condition").map_or(id.at, |node| node.at);
            let what = format!("whether the framework `{}` is there", shown(&read.framework.logical_id));
            read.framework.unknown.insert(0, Unseen { at, what });
        }
        frameworks.push(read);
    }
    // Where resources are made that nobody can see, a framework may be among them.
    if !there_is_one && template.brings_resources().is_none() {
        report_none(faults, template);
    }
    frameworks
}

fn report_none(faults: &mut Faults<'_, '_>, template: &Template) {
    let types: Vec<&str> = template.resources().map(|(_, kind, _)| kind).collect();
    let mut edits = Vec::new();
    let fix = match nearest(TYPE, types) {
        Some(kind) => {
            let bodies = template.named_resources().filter(|(_, other, _)| *other == kind);
            let mut nodes = bodies.filter_map(|(_, _, body)| body.get("Type"));
            // Of several nobody knows which is meant.
            if let (Some(node), None) = (nodes.next(), nodes.next()) {
                edits.extend(faults.source().rewritten(node, TYPE));
            }
            format!("is `{}` meant to be `{TYPE}`?", shown(kind))
        }
        None => format!("add a resource of the type `{TYPE}`"),
    };
    let at = template.root().get("Resources").map_or(template.root().at, |resources| resources.at);
    faults.tell(&rules::NO_FRAMEWORK, at, "the template has no backup framework", fix, edits);
}

/// What reading any part of a framework takes.
struct Reading<'r, 's, 'f, 't> {
    faults: &'r mut Faults<'s, 'f>,
    resolver: &'r Resolver<'t>,
}

impl<'t> Reading<'_, '_, '_, 't> {
    fn tell(
        &mut self,
        rule: &'static Rule,
        place: impl Into<Place>,
        problem: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.faults.tell(rule, place, problem, fix, Vec::new());
    }

    /// The change that makes another text of a value, as a list of none or one.
    fn rewritten(&self, node: &Node, new: &str) -> Vec<Edit> {
        self.faults.source().rewritten(node, new).into_iter().collect()
    }

    /// The items of a list, functions among them resolved. `None` when only a deployment can tell; not given is empty.
    fn list(&mut self, node: Option<&'t Node>, key: &str) -> Option<Vec<(&'t Node, Found<'t>)>> {
        let Some(node) = node else { return Some(Vec::new()) };
        if let Some(items) = self.resolver.items(node) {
            return Some(items);
        }
        if let Found::Tree(_) | Found::Text(_) = self.resolver.resolve(node) {
            let problem = format!("`{key}` is {}", node.describe());
            self.tell(&rules::SHAPE, node, problem, "write it as a list, each item after a `-`");
        }
        None
    }

    /// The text under a key of a mapping, and its node; without one, that of the mapping. Not given is [`Resolved::Absent`].
    fn text(&mut self, mapping: &'t Node, key: &str) -> (&'t Node, Resolved) {
        let Some(node) = mapping.get(key) else { return (mapping, Resolved::Absent) };
        let found = self.resolver.resolve(node);
        if let Found::Tree(_) | Found::Texts(_) = &found {
            let problem =
                format!("`{key}` is {}", if matches!(found, Found::Texts(_)) { "a list" } else { node.describe() });
            self.tell(&rules::SHAPE, node, problem, "write one text");
        }
        (node, found.into_resolved())
    }

    /// Reports keys that CloudFormation does not know. One that is meant to be `missing` was reported where that is missing.
    fn keys(&mut self, of: &str, mapping: &'t Node, known: &[&str], missing: Option<&str>) {
        let keys = mapping.entries().unwrap_or_default().iter();
        let odd: Vec<(&Node, &str, Option<&str>)> = keys
            .filter_map(|(key, _)| Some((key, key.as_str().filter(|name| !known.contains(name))?)))
            .map(|(key, name)| (key, name, nearest(name, known.iter().copied())))
            .collect();
        let mut meant: BTreeMap<&str, usize> = BTreeMap::new();
        odd.iter().filter_map(|(_, _, near)| *near).for_each(|near| *meant.entry(near).or_default() += 1);
        for (key, name, near) in odd {
            if name.starts_with("Fn::") || (near.is_some() && near == missing) {
                continue;
            }
            let (fix, edits) = match near {
                Some(near) if mapping.get(near).is_none() => {
                    // Two cannot both become the one.
                    let is_only = meant.get(near) == Some(&1);
                    let edits = if is_only { self.rewritten(key, near) } else { Vec::new() };
                    (format!("did you mean `{near}`?"), edits)
                }
                _ => (format!("remove it: there are {}", listed(known)), Vec::new()),
            };
            let problem = format!("{of} has no property `{}`", shown(name));
            self.faults.tell(&rules::UNKNOWN_PROPERTY, key, problem, fix, edits);
        }
    }

    /// The key that was meant to be this one, and the change that makes it so. One that is `known` means itself.
    fn misspelt(&self, mapping: &'t Node, key: &str, known: &[&str]) -> Option<(&'t str, Vec<Edit>)> {
        let keys = mapping.entries().unwrap_or_default();
        if mapping.get(key).is_some() {
            // It is there and has no value; a second one would leave a template that cannot be read.
            return None;
        }
        let odd = keys.iter().filter_map(|(key, _)| key.as_str()).filter(|key| !known.contains(key));
        let near = nearest(key, odd)?;
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

/// The attributes of any resource (CloudFormation user guide, "Resource attribute reference").
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

const CONTROL: &[&str] = &["ControlName", "ControlInputParameters", "ControlScope"];

const PARAMETER: &[&str] = &["ParameterName", "ParameterValue"];

fn framework<'t>(reading: &mut Reading<'_, '_, '_, 't>, id: &'t Node, body: &'t Node) -> Read<'t> {
    let logical_id = id.as_str().unwrap_or_default();
    let mut read = Read {
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
        Some((_, Found::Tree(properties))) if properties.entries().is_some() => properties,
        Some((node, Found::Unknown)) => {
            read.framework.name = Resolved::Unknown;
            let what = format!("which properties the framework `{}` has", shown(logical_id));
            read.framework.unknown.push(Unseen { at: node.at, what });
            return read;
        }
        Some((node, Found::Tree(_) | Found::Text(_) | Found::Texts(_) | Found::Pieces(_))) => {
            let problem = format!("`Properties` is {}", node.describe());
            reading.tell(&rules::SHAPE, node, problem, "write `FrameworkControls` under it");
            return read;
        }
        Some((_, Found::Absent)) | None => {
            let problem = format!("the framework `{}` has no `Properties`", shown(logical_id));
            let edits = reading.misspelt(body, "Properties", ATTRIBUTES).map(|(_, edits)| edits).unwrap_or_default();
            reading.faults.tell(&rules::SHAPE, body, problem, "add `FrameworkControls`", edits);
            return read;
        }
    };
    reading.keys("a resource", body, ATTRIBUTES, None);
    let missing = properties.get("FrameworkControls").is_none().then_some("FrameworkControls");
    reading.keys("`AWS::Backup::Framework`", properties, PROPERTIES, missing);
    read.framework.name = name(reading, properties);
    description(reading, properties);
    tags(reading, properties);
    (read.controls, read.is_known) = controls(reading, properties, &mut read.framework.unknown);
    read.framework.controls = read.controls.iter().map(|control| control.used.clone()).collect();
    read
}

/// `FrameworkName`: a letter, then letters, digits and underscores, 256 at most (AWS Backup API).
fn name<'t>(reading: &mut Reading<'_, '_, '_, 't>, properties: &'t Node) -> Resolved {
    const MOST: usize = 256;
    let (node, name) = reading.text(properties, "FrameworkName");
    let is_odd = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    if name == Resolved::Unknown {
        part_of_name(reading, node, is_odd);
    }
    if let Resolved::Text(text) = &name {
        let shown = shown(text);
        let mut edits = Vec::new();
        let problem = if text.is_empty() {
            Some("the framework name is empty".to_owned())
        } else if let Some(odd) = text.chars().find(|c| is_odd(*c)) {
            // Where only hyphens, dots or blanks are in the way, underscores are what everybody writes instead.
            if text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text.chars().all(|c| !is_odd(c) || "-. ".contains(c))
            {
                edits = reading.rewritten(node, &text.replace(is_odd, "_"));
            }
            Some(format!("the framework name `{shown}` contains `{}`", odd.escape_debug()))
        } else if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
            Some(format!("the framework name `{shown}` does not start with a letter"))
        } else if text.len() > MOST {
            Some(format!("the framework name `{shown}` has {} characters", text.len()))
        } else {
            None
        };
        if let Some(problem) = problem {
            let fix = "AWS Backup takes a letter followed by letters, digits and underscores, 256 at most";
            reading.faults.tell(&rules::FRAMEWORK_NAME, node, problem, fix, edits);
        }
    }
    name
}

/// What is known of a name that is not known as a whole. Every Region has a hyphen in its name, so that one with the Region in it is
/// wrong wherever it is deployed.
fn part_of_name<'t>(reading: &mut Reading<'_, '_, '_, 't>, node: &'t Node, is_odd: impl Fn(char) -> bool) {
    /// No Region is called this, so that no comparison with one holds.
    const SOME_REGION: &str = "xx-xxxx-0";
    let pieces = match reading.resolver.in_region(SOME_REGION).resolve(node) {
        Found::Pieces(pieces) => pieces,
        Found::Text(text) => vec![Piece::Text(text)],
        _ => return,
    };
    let texts = pieces.iter().filter_map(|piece| match piece {
        Piece::Text(text) => Some(text.as_str()),
        Piece::Resource { .. } | Piece::Unknown => None,
    });
    let odd = texts.flat_map(str::chars).find(|c| is_odd(*c));
    let starts_wrong = || match pieces.first() {
        Some(Piece::Text(text)) => !text.starts_with(|c: char| c.is_ascii_alphabetic()),
        _ => false,
    };
    let is_written = || match reading.resolver.resolve(node) {
        Found::Pieces(pieces) => {
            pieces.iter().any(|piece| matches!(piece, Piece::Text(text) if text.contains(&is_odd)))
        }
        _ => false,
    };
    let problem = match odd {
        Some(odd) if is_written() => format!("the framework name contains `{}`", odd.escape_debug()),
        Some(odd) => format!("the framework name contains that of the Region, which contains `{}`", odd.escape_debug()),
        None if starts_wrong() => "the framework name does not start with a letter".to_owned(),
        None => return,
    };
    let fix = "AWS Backup takes a letter followed by letters, digits and underscores, 256 at most; `!Join [_, !Split ['-', !Ref \
               AWS::Region]]` is the Region with underscores";
    reading.tell(&rules::FRAMEWORK_NAME, node, problem, fix);
}

/// `FrameworkDescription`: 1,024 characters at most, of which one is not blank (AWS Backup API).
fn description<'t>(reading: &mut Reading<'_, '_, '_, 't>, properties: &'t Node) {
    const MOST: usize = 1024;
    let (node, Resolved::Text(text)) = reading.text(properties, "FrameworkDescription") else { return };
    let length = text.chars().count();
    if length > MOST {
        let problem = format!("the framework's description has {length} characters");
        reading.tell(&rules::DESCRIPTION, node, problem, "AWS Backup takes 1024 at most");
    } else if text.trim().is_empty() {
        reading.tell(
            &rules::DESCRIPTION,
            node,
            "the framework's description is blank",
            "describe it or remove the property",
        );
    }
}

/// `FrameworkTags`: a list of mappings, each with `Key` and `Value` (CloudFormation template reference).
fn tags<'t>(reading: &mut Reading<'_, '_, '_, 't>, properties: &'t Node) {
    const KEY: &str = "FrameworkTags";
    for (node, item) in reading.list(properties.get(KEY), KEY).unwrap_or_default() {
        let tag = match item {
            Found::Tree(tag) if tag.entries().is_some() => tag,
            Found::Unknown | Found::Absent | Found::Pieces(_) => continue,
            Found::Tree(_) | Found::Text(_) | Found::Texts(_) => {
                reading.tell(&rules::SHAPE, node, "this tag is no mapping", "write `- Key: ...` with its `Value`");
                continue;
            }
        };
        reading.keys("a tag", tag, &["Key", "Value"], None);
        for key in ["Key", "Value"] {
            if reading.text(tag, key).1 == Resolved::Absent {
                reading.tell(
                    &rules::SHAPE,
                    tag,
                    format!("this tag has no `{key}`"),
                    format!("add `{key}`, or remove the tag"),
                );
            }
        }
    }
}

/// The controls, and whether they are all.
fn controls<'t>(
    reading: &mut Reading<'_, '_, '_, 't>,
    properties: &'t Node,
    unknown: &mut Vec<Unseen>,
) -> (Vec<ReadControl<'t>>, bool) {
    const KEY: &str = "FrameworkControls";
    let Some(node) = properties.get(KEY) else {
        let (fix, edits) = match reading.misspelt(properties, KEY, PROPERTIES) {
            Some((key, edits)) => (format!("is `{}` meant to be `{KEY}`?", shown(key)), edits),
            None => ("list the controls under it, each with its `ControlName`".to_owned(), Vec::new()),
        };
        reading.faults.tell(&rules::NO_CONTROLS, properties, format!("`{KEY}` is missing"), fix, edits);
        return (Vec::new(), false);
    };
    let Some(items) = reading.list(Some(node), KEY) else {
        unknown.push(Unseen { at: node.at, what: "which controls the framework has".to_owned() });
        return (Vec::new(), false);
    };
    if items.is_empty() {
        let has_items = node.as_sequence().is_some_and(|items| !items.is_empty());
        let why = if has_items { ": every control in it is switched off" } else { "" };
        let fix = "list at least one control with its `ControlName`";
        reading.tell(&rules::NO_CONTROLS, node, format!("`{KEY}` is empty{why}"), fix);
    }
    let mut controls = Vec::new();
    let mut is_known = true;
    let mut uses = Uses::default();
    let names = items.iter().filter_map(|(_, item)| match item {
        Found::Tree(item) => control::find(item.get("ControlName")?.as_str()?),
        _ => None,
    });
    let mut taken: BTreeSet<&str> = names.map(|control| control.name).collect();
    for (node, item) in items {
        match item {
            Found::Tree(item) if item.entries().is_some() => {
                let Some(control) = control(reading, item, &mut taken) else {
                    is_known = false;
                    let name = item.get("ControlName").map(|name| reading.resolver.resolve(name));
                    if let Some(Found::Unknown | Found::Pieces(_)) = name {
                        unknown.push(Unseen { at: item.at, what: "which control this is".to_owned() });
                    }
                    continue;
                };
                is_known &= control.is_known;
                report_repetition(reading, &mut uses, &control, item.get("ControlScope"));
                controls.push(control);
            }
            Found::Unknown | Found::Absent | Found::Pieces(_) => {
                is_known = false;
                unknown.push(Unseen { at: node.at, what: "which control stands here".to_owned() });
            }
            Found::Tree(_) | Found::Text(_) | Found::Texts(_) => {
                is_known = false;
                reading.tell(&rules::CONTROL_SHAPE, node, "this control is no mapping", "write `- ControlName: ...`");
            }
        }
    }
    (controls, is_known)
}

/// `taken` are the controls that the framework has, or will have after the changes that were found so far.
fn control<'t>(
    reading: &mut Reading<'_, '_, '_, 't>,
    item: &'t Node,
    taken: &mut BTreeSet<&'static str>,
) -> Option<ReadControl<'t>> {
    let (node, name) = reading.text(item, "ControlName");
    reading.keys("a control", item, CONTROL, (name == Resolved::Absent).then_some("ControlName"));
    let name = match name {
        Resolved::Text(name) => name,
        Resolved::Unknown => return None,
        Resolved::Absent => {
            let fix = "add one, such as `ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED`";
            let edits = reading.misspelt(item, "ControlName", CONTROL).map(|(_, edits)| edits).unwrap_or_default();
            reading.faults.tell(&rules::CONTROL_SHAPE, item, "this control has no `ControlName`", fix, edits);
            return None;
        }
    };
    let Some(control) = control::find(&name) else {
        let is_open = reading.faults.has_room(rules::UNKNOWN_CONTROL.level);
        let (fix, edits) = match is_open.then(|| control::nearest(&name)).flatten() {
            // A change must not make a control stand twice.
            Some(control) => {
                let edits = if taken.insert(control) { reading.rewritten(node, control) } else { Vec::new() };
                (format!("did you mean `{control}`?"), edits)
            }
            None => (
                "name a control of AWS Backup Audit Manager, such as `BACKUP_RECOVERY_POINT_ENCRYPTED`".to_owned(),
                Vec::new(),
            ),
        };
        let problem = format!("there is no control `{}`", shown(&name));
        reading.faults.tell(&rules::UNKNOWN_CONTROL, node, problem, fix, edits);
        return None;
    };
    let (given, parameters_known) = parameters(reading, control, item);
    let scope = scope::read(reading, control, item.get("ControlScope"));
    let is_known = parameters_known && !scope.is_unknown;
    let known = given.iter().filter_map(|given| Some((given.parameter.name.to_owned(), given.text.clone()?)));
    let used = FrameworkControl { control, parameters: known.collect(), scope, at: item.at };
    Some(ReadControl { used, node: item, name: node, given, parameters_known, is_known })
}

/// The controls so far and what they are used for: where each was first used, by its name and scope.
#[derive(Default)]
struct Uses<'t> {
    known: BTreeMap<(&'static str, Narrowing), Position>,
    /// Of scopes that are not known only those can be compared that are written alike.
    unknown: BTreeMap<&'static str, Vec<(&'t Node, Position)>>,
}

/// The same control may be used for different resources, but not twice for the same.
fn report_repetition<'t>(
    reading: &mut Reading<'_, '_, '_, 't>,
    uses: &mut Uses<'t>,
    control: &ReadControl<'t>,
    node: Option<&'t Node>,
) {
    /// Most scopes that are compared with each other, which takes the square of it.
    const MOST: usize = 100;
    let used = &control.used;
    let name = used.control.name;
    let narrowing = used.scope.clone().sorted();
    let first = match (narrowing.is_unknown, node) {
        (false, _) => match uses.known.entry((name, narrowing)) {
            Entry::Occupied(first) => Some(*first.get()),
            Entry::Vacant(entry) => {
                entry.insert(used.at);
                None
            }
        },
        (true, Some(node)) => {
            let others = uses.unknown.entry(name).or_default();
            let first = others.iter().find(|(other, _)| node.same_as(other)).map(|(_, at)| *at);
            if first.is_none() && others.len() < MOST {
                others.push((node, used.at));
            }
            first
        }
        (true, None) => None,
    };
    if let Some(first) = first {
        let problem = format!("the control `{name}` is used twice for the same resources, first at {first}");
        let fix = "keep one, or give them different `ControlScope`s";
        reading.tell(&rules::REPEATED_CONTROL, used.at, problem, fix);
    }
}

/// The parameters that are given, and whether all of them and their values are known.
fn parameters<'t>(
    reading: &mut Reading<'_, '_, '_, 't>,
    control: &'static Control,
    item: &'t Node,
) -> (Vec<Given<'t>>, bool) {
    let listed = reading.list(item.get("ControlInputParameters"), "ControlInputParameters");
    let mut is_known = listed.is_some();
    let mut given: Vec<Given<'t>> = Vec::new();
    let listed = listed.unwrap_or_default();
    let names = listed.iter().filter_map(|(_, item)| match item {
        Found::Tree(item) => item.get("ParameterName")?.as_str(),
        _ => None,
    });
    let mut taken: BTreeSet<&str> = names.collect();
    for (node, item) in listed {
        let item = match item {
            Found::Tree(item) if item.entries().is_some() => item,
            Found::Unknown | Found::Absent | Found::Pieces(_) => {
                is_known = false;
                continue;
            }
            Found::Tree(_) | Found::Text(_) | Found::Texts(_) => {
                let fix = "write `- ParameterName: ...` with its `ParameterValue`";
                reading.tell(&rules::PARAMETER_SHAPE, node, "this control parameter is no mapping", fix);
                continue;
            }
        };
        let (name_node, name) = reading.text(item, "ParameterName");
        let (value_node, value) = reading.text(item, "ParameterValue");
        let missing = match (&name, &value) {
            (Resolved::Absent, _) => Some("ParameterName"),
            (_, Resolved::Absent) => Some("ParameterValue"),
            _ => None,
        };
        reading.keys("a control parameter", item, PARAMETER, missing);
        let Some(parameter) = parameter(reading, control, name_node, name, &mut taken) else {
            is_known = false;
            continue;
        };
        if given.iter().any(|other| other.parameter == parameter) {
            let problem = format!("the parameter `{}` is given twice", parameter.name);
            reading.tell(&rules::REPEATED_PARAMETER, name_node, problem, "keep one of the two");
            continue;
        }
        match value {
            Resolved::Text(text) => given.push(Given { parameter, value: value_node, text: Some(text) }),
            Resolved::Unknown => {
                is_known = false;
                given.push(Given { parameter, value: value_node, text: None });
            }
            Resolved::Absent => {
                let problem = format!("the parameter `{}` has no `ParameterValue`", parameter.name);
                let edits =
                    reading.misspelt(item, "ParameterValue", PARAMETER).map(|(_, edits)| edits).unwrap_or_default();
                reading.faults.tell(&rules::PARAMETER_SHAPE, item, problem, "give it a value or remove it", edits);
            }
        }
    }
    // After all of them have been read: what one may be can depend on another.
    let known: BTreeMap<&str, &Given<'t>> = given.iter().map(|given| (given.parameter.name, given)).collect();
    for one in &given {
        value::check(reading, one, &known);
    }
    (given, is_known)
}

fn parameter(
    reading: &mut Reading<'_, '_, '_, '_>,
    control: &'static Control,
    node: &Node,
    name: Resolved,
    taken: &mut BTreeSet<&str>,
) -> Option<&'static Parameter> {
    let name = match name {
        Resolved::Text(name) => name,
        Resolved::Unknown => return None,
        Resolved::Absent => {
            let fix = "add one, or remove the parameter";
            reading.tell(&rules::PARAMETER_SHAPE, node, "this control parameter has no `ParameterName`", fix);
            return None;
        }
    };
    let found = control.parameter(&name);
    if found.is_none() {
        let names: Vec<String> = control.parameters.iter().map(|parameter| format!("`{}`", parameter.name)).collect();
        let is_open = reading.faults.has_room(rules::UNKNOWN_PARAMETER.level);
        let near = || nearest(&name, control.parameters.iter().map(|parameter| parameter.name));
        let (fix, edits) = match is_open.then(near).flatten() {
            // A change must not make a parameter stand twice.
            Some(near) => {
                let edits = if taken.insert(near) { reading.rewritten(node, near) } else { Vec::new() };
                (format!("did you mean `{near}`?"), edits)
            }
            None if names.is_empty() => ("it takes none: remove it".to_owned(), Vec::new()),
            None => (format!("it takes {}", names.join(", ")), Vec::new()),
        };
        let problem = format!("the control `{}` has no parameter `{}`", control.name, shown(&name));
        reading.faults.tell(&rules::UNKNOWN_PARAMETER, node, problem, fix, edits);
    }
    found
}
