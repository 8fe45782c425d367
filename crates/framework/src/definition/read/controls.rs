//! Reads the controls of a framework and their parameters.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use syntax::diagnostic::Position;
use syntax::template::{NodeValue, Resolved};
use syntax::text::{closest_match, printable};
use syntax::yaml::Node;

use super::{GivenParameter, PROPERTIES, ReadControl, Reading, scope, value};
use crate::control::{self, Control, Parameter};
use crate::definition::{ControlScope, FrameworkControl, UnknownPart};
use crate::rules;

const CONTROL: &[&str] = &["ControlName", "ControlInputParameters", "ControlScope"];

const PARAMETER: &[&str] = &["ParameterName", "ParameterValue"];

/// Reads the controls. The second result is whether all controls are known.
/// Long because each property of a control has its own diagnostic.
pub(super) fn read<'t>(
    reading: &mut Reading<'_, '_, '_, 't>,
    properties: &'t Node,
    unknown: &mut Vec<UnknownPart>,
) -> (Vec<ReadControl<'t>>, bool) {
    const KEY: &str = "FrameworkControls";
    let Some(node) = properties.get(KEY) else {
        let (help, edits) = match reading.misspelt(properties, KEY, PROPERTIES) {
            Some((key, edits)) => (format!("did you mean `{KEY}` instead of `{}`?", printable(key)), edits),
            None => ("add it with a list of controls, each with its `ControlName`".to_owned(), Vec::new()),
        };
        reading.diagnostics.report_fixable(
            &rules::framework::NO_CONTROLS,
            properties,
            format!("`{KEY}` is missing"),
            help,
            edits,
        );
        return (Vec::new(), false);
    };
    let Some(items) = reading.list(Some(node), KEY) else {
        unknown.push(UnknownPart { at: node.at, what: "the list of controls".to_owned() });
        return (Vec::new(), false);
    };
    if items.is_empty() {
        let has_items = node.as_sequence().is_some_and(|items| !items.is_empty());
        let why = if has_items { ": `Fn::If` excludes every control in it" } else { "" };
        let help = "list at least one control with its `ControlName`";
        reading.diagnostics.report(&rules::framework::NO_CONTROLS, node, format!("`{KEY}` is empty{why}"), help);
    }
    let mut controls = Vec::new();
    let mut is_known = true;
    let mut uses = Uses::default();
    let names = items.iter().filter_map(|(_, item)| match item {
        NodeValue::Tree(item) => control::find(item.get("ControlName")?.as_str()?),
        _ => None,
    });
    let mut taken: BTreeSet<&str> = names.map(|control| control.name).collect();
    for (node, item) in items {
        match item {
            NodeValue::Tree(item) if item.entries().is_some() => {
                let Some(control) = control(reading, item, &mut taken) else {
                    is_known = false;
                    let name = item.get("ControlName").map(|name| reading.resolver.resolve(name));
                    if let Some(NodeValue::Unknown | NodeValue::Pieces(_)) = name {
                        unknown.push(UnknownPart { at: item.at, what: "the name of the control".to_owned() });
                    }
                    continue;
                };
                is_known &= control.is_known;
                report_repetition(reading, &mut uses, &control, item.get("ControlScope"));
                controls.push(control);
            }
            NodeValue::Unknown | NodeValue::Absent | NodeValue::Pieces(_) => {
                is_known = false;
                unknown.push(UnknownPart { at: node.at, what: "the control".to_owned() });
            }
            NodeValue::Tree(_) | NodeValue::Text(_) | NodeValue::Texts(_) => {
                is_known = false;
                reading.diagnostics.report(
                    &rules::controls::CONTROL_SHAPE,
                    node,
                    "the control is not a mapping",
                    "write `- ControlName: ...`",
                );
            }
        }
    }
    (controls, is_known)
}

/// Reads a control. `taken` has the controls that the framework has, or will have after the edits so far.
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
            let help = "add one, such as `ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED`";
            let edits = reading.misspelt(item, "ControlName", CONTROL).map(|(_, edits)| edits).unwrap_or_default();
            reading.diagnostics.report_fixable(
                &rules::controls::CONTROL_SHAPE,
                item,
                "the control has no `ControlName`",
                help,
                edits,
            );
            return None;
        }
    };
    let Some(control) = control::find(&name) else {
        let is_open = reading.diagnostics.has_room(rules::controls::UNKNOWN_CONTROL.level);
        let (help, edits) = match is_open.then(|| control::closest_name(&name)).flatten() {
            // An edit must not duplicate a control.
            Some(control) => {
                let edits = if taken.insert(control) { reading.rewritten(node, control) } else { Vec::new() };
                (format!("did you mean `{control}`?"), edits)
            }
            None => (
                "use a control of AWS Backup Audit Manager, such as `BACKUP_RECOVERY_POINT_ENCRYPTED`".to_owned(),
                Vec::new(),
            ),
        };
        let message = format!("the control `{}` does not exist", printable(&name));
        reading.diagnostics.report_fixable(&rules::controls::UNKNOWN_CONTROL, node, message, help, edits);
        return None;
    };
    let (given, parameters_known) = parameters(reading, control, item);
    let scope = scope::read(reading, control, item.get("ControlScope"));
    let is_known = parameters_known && !scope.is_unknown;
    let known = given.iter().filter_map(|given| Some((given.parameter.name.to_owned(), given.text.clone()?)));
    let used = FrameworkControl { control, parameters: known.collect(), scope, at: item.at };
    Some(ReadControl { used, node: item, name: node, given, parameters_known, is_known })
}

/// The position of the first use of each control, by name and scope.
#[derive(Default)]
struct Uses<'t> {
    known: BTreeMap<(&'static str, ControlScope), Position>,
    /// Unknown scopes are equal if they are written the same.
    unknown: BTreeMap<&'static str, Vec<(&'t Node, Position)>>,
}

/// Reports a second use of a control for the same resources.
fn report_repetition<'t>(
    reading: &mut Reading<'_, '_, '_, 't>,
    uses: &mut Uses<'t>,
    control: &ReadControl<'t>,
    node: Option<&'t Node>,
) {
    /// Most scopes that are compared with each other: the time is quadratic.
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
        let message = format!("the control `{name}` is used twice for the same resources, first at {first}");
        let help = "keep one, or use different `ControlScope`s";
        reading.diagnostics.report(&rules::controls::REPEATED_CONTROL, used.at, message, help);
    }
}

/// Reads the parameters. The second result is whether all parameters and values are known.
/// Long because each way to misspell a parameter has its own diagnostic.
fn parameters<'t>(
    reading: &mut Reading<'_, '_, '_, 't>,
    control: &'static Control,
    item: &'t Node,
) -> (Vec<GivenParameter<'t>>, bool) {
    let listed = reading.list(item.get("ControlInputParameters"), "ControlInputParameters");
    let mut is_known = listed.is_some();
    let mut given: Vec<GivenParameter<'t>> = Vec::new();
    let listed = listed.unwrap_or_default();
    let names = listed.iter().filter_map(|(_, item)| match item {
        NodeValue::Tree(item) => item.get("ParameterName")?.as_str(),
        _ => None,
    });
    let mut taken: BTreeSet<&str> = names.collect();
    for (node, item) in listed {
        let item = match item {
            NodeValue::Tree(item) if item.entries().is_some() => item,
            NodeValue::Unknown | NodeValue::Absent | NodeValue::Pieces(_) => {
                is_known = false;
                continue;
            }
            NodeValue::Tree(_) | NodeValue::Text(_) | NodeValue::Texts(_) => {
                let help = "write `- ParameterName: ...` with its `ParameterValue`";
                reading.diagnostics.report(
                    &rules::parameters::PARAMETER_SHAPE,
                    node,
                    "the control parameter is not a mapping",
                    help,
                );
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
            let message = format!("the parameter `{}` is given twice", parameter.name);
            reading.diagnostics.report(
                &rules::parameters::REPEATED_PARAMETER,
                name_node,
                message,
                "keep one of the two",
            );
            continue;
        }
        match value {
            Resolved::Text(text) => given.push(GivenParameter { parameter, value: value_node, text: Some(text) }),
            Resolved::Unknown => {
                is_known = false;
                given.push(GivenParameter { parameter, value: value_node, text: None });
            }
            Resolved::Absent => {
                let message = format!("the parameter `{}` has no `ParameterValue`", parameter.name);
                let edits =
                    reading.misspelt(item, "ParameterValue", PARAMETER).map(|(_, edits)| edits).unwrap_or_default();
                reading.diagnostics.report_fixable(
                    &rules::parameters::PARAMETER_SHAPE,
                    item,
                    message,
                    "add a value, or remove the parameter",
                    edits,
                );
            }
        }
    }
    // After all were read: the limits of one can depend on another.
    let known: BTreeMap<&str, &GivenParameter<'t>> = given.iter().map(|given| (given.parameter.name, given)).collect();
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
            let help = "add one, or remove the parameter";
            reading.diagnostics.report(
                &rules::parameters::PARAMETER_SHAPE,
                node,
                "the control parameter has no `ParameterName`",
                help,
            );
            return None;
        }
    };
    let found = control.parameter(&name);
    if found.is_none() {
        let names: Vec<String> = control.parameters.iter().map(|parameter| format!("`{}`", parameter.name)).collect();
        let is_open = reading.diagnostics.has_room(rules::parameters::UNKNOWN_PARAMETER.level);
        let near = || closest_match(&name, control.parameters.iter().map(|parameter| parameter.name));
        let (help, edits) = match is_open.then(near).flatten() {
            // An edit must not duplicate a parameter.
            Some(near) => {
                let edits = if taken.insert(near) { reading.rewritten(node, near) } else { Vec::new() };
                (format!("did you mean `{near}`?"), edits)
            }
            None if names.is_empty() => ("remove it: the control has no parameters".to_owned(), Vec::new()),
            None => (format!("use one of {}", names.join(", ")), Vec::new()),
        };
        let message = format!("the control `{}` has no parameter `{}`", control.name, printable(&name));
        reading.diagnostics.report_fixable(&rules::parameters::UNKNOWN_PARAMETER, node, message, help, edits);
    }
    found
}
