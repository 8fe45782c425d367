//! Reads the controls of a framework and their parameters.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use syntax::diagnostic::Position;
use syntax::template::{NodeValue, Resolved};
use syntax::text::{printable, typing_error};
use syntax::yaml::Node;

use super::{GivenParameter, PROPERTIES, ReadControl, Reading, scope, value};
use crate::control::{self, CONTROLS, Control, Parameter, RuleName};
use crate::definition::{ControlScope, FrameworkControl, UnknownPart};
use crate::rules::controls::{CONTROL_SHAPE, REPEATED_CONTROL, UNKNOWN_CONTROL};
use crate::rules::framework::NO_CONTROLS;
use crate::rules::parameters::{PARAMETER_SHAPE, REPEATED_PARAMETER, UNKNOWN_PARAMETER};

const CONTROL: &[&str] = &["ControlName", "ControlInputParameters", "ControlScope"];

const PARAMETER: &[&str] = &["ParameterName", "ParameterValue"];

/// Reads the controls. The second result is whether all controls are known.
pub(super) fn read<'t>(
    reading: &mut Reading<'_, '_, '_, 't>,
    properties: &'t Node,
    unknown: &mut Vec<UnknownPart>,
) -> (Vec<ReadControl<'t>>, bool) {
    const KEY: &str = "FrameworkControls";
    let Some(node) = properties.get(KEY) else {
        let (near, edits) = reading.misspelt(properties, KEY, PROPERTIES);
        let help = match near {
            Some(key) => format!("did you mean `{KEY}` instead of `{}`?", printable(key)),
            None => "add it with a list of controls, each with its `ControlName`".to_owned(),
        };
        reading.diagnostics.report_fixable(&NO_CONTROLS, properties, format!("`{KEY}` is missing"), help, edits);
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
        reading.diagnostics.report(&NO_CONTROLS, node, format!("`{KEY}` is empty{why}"), help);
    }
    let mut controls = Vec::new();
    let mut is_known = true;
    let mut uses = Uses::default();
    let names = written(&items, "ControlName");
    let mut taken: BTreeSet<&str> = names.filter_map(control::find).map(|control| control.name).collect();
    for (node, item) in items {
        let what = ("the control is not a mapping", "write a mapping with `ControlName`");
        let item = match reading.mapping((node, item), &CONTROL_SHAPE, what) {
            Ok(item) => item,
            Err(is_unknown) => {
                is_known = false;
                unknown.extend(is_unknown.then(|| UnknownPart { at: node.at, what: "the control".to_owned() }));
                continue;
            }
        };
        if let Some(control) = control(reading, item, &mut taken) {
            is_known &= control.is_known;
            report_repetition(reading, &mut uses, &control, item.get("ControlScope"));
            controls.push(control);
            continue;
        }
        is_known = false;
        let name = item.get("ControlName").map(|name| reading.resolver.resolve(name));
        if let Some(NodeValue::Unknown | NodeValue::Pieces(_)) = name {
            unknown.push(UnknownPart { at: item.at, what: "the name of the control".to_owned() });
        }
    }
    (controls, is_known)
}

/// Returns the texts at a key of the mappings in a list.
fn written<'t>(items: &[(&'t Node, NodeValue<'t>)], key: &str) -> impl Iterator<Item = &'t str> {
    let mappings =
        items.iter().filter_map(|(_, item)| if let NodeValue::Tree(item) = item { Some(*item) } else { None });
    mappings.filter_map(move |item| item.get(key)?.as_str())
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
            let (_, edits) = reading.misspelt(item, "ControlName", CONTROL);
            let message = "the control has no `ControlName`";
            reading.diagnostics.report_fixable(&CONTROL_SHAPE, item, message, help, edits);
            return None;
        }
    };
    let found = control::find(&name);
    let Some(control) = found.or_else(|| unknown_control(reading, node, &name, taken)) else {
        of_any_control(reading, item);
        return None;
    };
    let (given, parameters_known) = parameters(reading, control, item);
    let scope = scope::read(reading, Some(control), item.get("ControlScope"));
    let is_known = parameters_known && !scope.is_unknown && found.is_some();
    let known = given.iter().filter_map(|given| Some((given.parameter.name.to_owned(), given.text.clone()?)));
    let used = FrameworkControl { control, parameters: known.collect(), scope, at: item.at };
    Some(ReadControl { used, node: item, name: node, given, parameters_known, is_known })
}

/// Reports an unknown control, and returns the control if the name is certainly a typing error.
fn unknown_control(
    reading: &mut Reading<'_, '_, '_, '_>,
    node: &Node,
    name: &str,
    taken: &mut BTreeSet<&'static str>,
) -> Option<&'static Control> {
    let meant = typing_error(name, CONTROLS.iter().map(|control| control.name));
    let rule = RuleName::parse(name);
    let similar = || reading.diagnostics.has_room(UNKNOWN_CONTROL.level).then(|| control::closest_name(name)).flatten();
    let kind = rule.kind.as_deref().and_then(control::scope_name);
    let help = match (rule.control, kind, meant.or_else(similar)) {
        (Some(control), Some(kind), _) => format!(
            "did you mean `{}` with the type `{kind}` in `ComplianceResourceTypes`? The name is that of an AWS Config rule",
            control.name
        ),
        (_, _, Some(near)) => format!("did you mean `{near}`?"),
        _ => "use a control of AWS Backup Audit Manager, such as `BACKUP_RECOVERY_POINT_ENCRYPTED`".to_owned(),
    };
    // An edit must not duplicate a control.
    let free = meant.filter(|meant| taken.insert(meant));
    let edits = free.map(|meant| reading.rewritten(&UNKNOWN_CONTROL, node, meant)).unwrap_or_default();
    let message = format!("the control `{}` does not exist", printable(name));
    reading.diagnostics.report_fixable(&UNKNOWN_CONTROL, node, message, help, edits);
    control::find(meant?)
}

/// Reports violations that do not depend on the control: in its scope, in the form of its parameters, and repeated parameters.
fn of_any_control<'t>(reading: &mut Reading<'_, '_, '_, 't>, item: &'t Node) {
    scope::read(reading, None, item.get("ControlScope"));
    let mut given = BTreeSet::new();
    for item in reading.list(item.get("ControlInputParameters"), "ControlInputParameters").unwrap_or_default() {
        let Ok(ParameterEntry { name_node, name, value, item, .. }) = parameter_entry(reading, item) else { continue };
        match name {
            Resolved::Text(name) if given.contains(&name) => report_twice(reading, name_node, &name),
            Resolved::Text(name) => {
                if value == Resolved::Absent {
                    report_without_value(reading, item, &name);
                }
                given.insert(name);
            }
            Resolved::Absent => report_without_name(reading, name_node),
            Resolved::Unknown => {}
        }
    }
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
        reading.diagnostics.report(&REPEATED_CONTROL, used.at, message, help);
    }
}

/// Reads the parameters. The second result is whether all parameters and values are known.
fn parameters<'t>(
    reading: &mut Reading<'_, '_, '_, 't>,
    control: &'static Control,
    item: &'t Node,
) -> (Vec<GivenParameter<'t>>, bool) {
    let listed = reading.list(item.get("ControlInputParameters"), "ControlInputParameters");
    let mut is_known = listed.is_some();
    let listed = listed.unwrap_or_default();
    let mut given: Vec<GivenParameter<'t>> = Vec::new();
    let mut taken: BTreeSet<&str> = written(&listed, "ParameterName").collect();
    for item in listed {
        let ParameterEntry { item, name_node, name, value_node, value } = match parameter_entry(reading, item) {
            Ok(entry) => entry,
            Err(is_unknown) => {
                is_known &= !is_unknown;
                continue;
            }
        };
        let Some(parameter) = parameter(reading, control, name_node, name, &mut taken) else {
            is_known = false;
            continue;
        };
        if given.iter().any(|other| other.parameter == parameter) {
            report_twice(reading, name_node, parameter.name);
            continue;
        }
        let text = match value {
            Resolved::Text(text) => Some(text),
            Resolved::Unknown => None,
            Resolved::Absent => {
                report_without_value(reading, item, parameter.name);
                continue;
            }
        };
        is_known &= text.is_some();
        given.push(GivenParameter { parameter, value: value_node, text });
    }
    // After all were read: the limits of one can depend on another.
    let known: BTreeMap<&str, &GivenParameter<'t>> = given.iter().map(|given| (given.parameter.name, given)).collect();
    for one in &given {
        value::check(reading, one, &known);
    }
    (given, is_known)
}

/// An item of `ControlInputParameters`.
struct ParameterEntry<'t> {
    item: &'t Node,
    name_node: &'t Node,
    name: Resolved,
    value_node: &'t Node,
    value: Resolved,
}

/// Reads an item of `ControlInputParameters`, or returns whether it is known only at deployment.
fn parameter_entry<'t>(
    reading: &mut Reading<'_, '_, '_, 't>,
    item: (&'t Node, NodeValue<'t>),
) -> Result<ParameterEntry<'t>, bool> {
    let what = ("the control parameter is not a mapping", "write a mapping with `ParameterName` and `ParameterValue`");
    let item = reading.mapping(item, &PARAMETER_SHAPE, what)?;
    let (name_node, name) = reading.text(item, "ParameterName");
    let (value_node, value) = reading.text(item, "ParameterValue");
    let missing = match (&name, &value) {
        (Resolved::Absent, _) => Some("ParameterName"),
        (_, Resolved::Absent) => Some("ParameterValue"),
        _ => None,
    };
    reading.keys("a control parameter", item, PARAMETER, missing);
    Ok(ParameterEntry { item, name_node, name, value_node, value })
}

fn report_twice(reading: &mut Reading<'_, '_, '_, '_>, node: &Node, name: &str) {
    let message = format!("the parameter `{}` is given twice", printable(name));
    reading.diagnostics.report(&REPEATED_PARAMETER, node, message, "keep one of the two");
}

fn report_without_name(reading: &mut Reading<'_, '_, '_, '_>, node: &Node) {
    let message = "the control parameter has no `ParameterName`";
    reading.diagnostics.report(&PARAMETER_SHAPE, node, message, "add one, or remove the parameter");
}

fn report_without_value<'t>(reading: &mut Reading<'_, '_, '_, 't>, item: &'t Node, name: &str) {
    let message = format!("the parameter `{}` has no `ParameterValue`", printable(name));
    let (_, edits) = reading.misspelt(item, "ParameterValue", PARAMETER);
    let help = "add a value, or remove the parameter";
    reading.diagnostics.report_fixable(&PARAMETER_SHAPE, item, message, help, edits);
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
            report_without_name(reading, node);
            return None;
        }
    };
    let found = control.parameter(&name);
    if found.is_none() {
        let names = || control.parameters.iter().map(|parameter| parameter.name);
        let meant = typing_error(&name, names());
        let help = match meant.or_else(|| reading.diagnostics.closest(UNKNOWN_PARAMETER.level, &name, names())) {
            Some(near) => format!("did you mean `{near}`?"),
            None if control.parameters.is_empty() => "remove it: the control has no parameters".to_owned(),
            None => format!("use one of {}", names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
        };
        // An edit must not duplicate a parameter.
        let free = meant.filter(|meant| taken.insert(meant));
        let edits = free.map(|meant| reading.rewritten(&UNKNOWN_PARAMETER, node, meant)).unwrap_or_default();
        let message = format!("the control `{}` has no parameter `{}`", control.name, printable(&name));
        reading.diagnostics.report_fixable(&UNKNOWN_PARAMETER, node, message, help, edits);
    }
    found
}
