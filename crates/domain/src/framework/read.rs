//! From the resources of a template to its frameworks.

use std::collections::BTreeMap;

use super::{Framework, FrameworkControl};
use crate::control::{self, Control, Kind, Parameter};
use crate::fault::{Faults, Position, nearest};
use crate::ids::{AccountId, RegionName, shown};
use crate::template::{Found, Resolved, Resolver, Template};
use crate::yaml::Node;

const TYPE: &str = "AWS::Backup::Framework";

pub(super) fn frameworks(
    faults: &mut Faults<'_, '_>,
    template: &Template,
    given: &BTreeMap<String, String>,
) -> Vec<Framework> {
    let resolver = Resolver::new(template, given);
    let mut frameworks = Vec::new();
    let mut there_is_one = false;
    for (logical_id, _, body) in template.resources().filter(|(_, kind, _)| *kind == TYPE) {
        there_is_one = true;
        let condition = body.get("Condition").and_then(Node::as_str);
        if condition.and_then(|name| resolver.condition(name)) == Some(false) {
            continue;
        }
        frameworks.push(framework(&mut Reading { faults, resolver: &resolver }, logical_id, body));
    }
    if !there_is_one {
        let types: Vec<&str> = template.resources().map(|(_, kind, _)| kind).collect();
        let fix = match nearest(TYPE, types) {
            Some(kind) => format!("is `{}` meant to be `{TYPE}`?", shown(kind)),
            None => format!("add a resource of the type `{TYPE}`"),
        };
        match template.root().get("Resources") {
            Some(resources) => faults.at(resources.at, "the template has no backup framework", fix),
            None => faults.in_file("the template has no backup framework", fix),
        }
    }
    frameworks
}

/// What reading any part of a framework takes.
struct Reading<'r, 's, 'f, 't> {
    faults: &'r mut Faults<'s, 'f>,
    resolver: &'r Resolver<'t>,
}

impl<'t> Reading<'_, '_, '_, 't> {
    fn fault(&mut self, at: Position, problem: impl Into<String>, fix: impl Into<String>) {
        self.faults.at(at, problem, fix);
    }

    /// The items of a list, functions among them resolved. `None` when only a deployment can tell; not given is empty.
    fn list(&mut self, node: Option<&'t Node>, key: &str) -> Option<Vec<(Position, Found<'t>)>> {
        let Some(node) = node else { return Some(Vec::new()) };
        match self.resolver.resolve(node) {
            Found::Unknown => None,
            Found::Absent => Some(Vec::new()),
            Found::Tree(tree) if tree.as_sequence().is_some() => {
                let items = tree.as_sequence().unwrap_or_default();
                let found = items.iter().map(|item| (item.at, self.resolver.resolve(item)));
                Some(found.filter(|(_, item)| *item != Found::Absent).collect())
            }
            Found::Tree(_) | Found::Text(_) => {
                self.fault(
                    node.at,
                    format!("`{key}` is {}", node.describe()),
                    "write it as a list, each item after a `-`",
                );
                None
            }
        }
    }

    /// The text under a key of a mapping, and where it stands. Not given is [`Resolved::Absent`].
    fn text(&mut self, mapping: &'t Node, key: &str) -> (Position, Resolved) {
        let Some(node) = mapping.get(key) else { return (mapping.at, Resolved::Absent) };
        let found = self.resolver.resolve(node);
        if let Found::Tree(tree) = &found {
            self.fault(tree.at, format!("`{key}` is {}", tree.describe()), "write one text");
        }
        (node.at, found.into_resolved())
    }
}

fn framework<'t>(reading: &mut Reading<'_, '_, '_, 't>, logical_id: &str, body: &'t Node) -> Framework {
    let mut framework = Framework { logical_id: logical_id.to_owned(), name: Resolved::Absent, controls: Vec::new() };
    let properties = match body.get("Properties").map(|node| (node, reading.resolver.resolve(node))) {
        Some((_, Found::Tree(properties))) if properties.entries().is_some() => properties,
        Some((_, Found::Unknown)) => return Framework { name: Resolved::Unknown, ..framework },
        Some((node, Found::Tree(_) | Found::Text(_))) => {
            reading.fault(
                node.at,
                format!("`Properties` is {}", node.describe()),
                "write `FrameworkControls` under it",
            );
            return framework;
        }
        Some((_, Found::Absent)) | None => {
            reading.fault(
                body.at,
                format!("the framework `{}` has no `Properties`", shown(logical_id)),
                "add `FrameworkControls`",
            );
            return framework;
        }
    };
    framework.name = name(reading, properties);
    framework.controls = controls(reading, properties);
    framework
}

/// `FrameworkName`: a letter, then letters, digits and underscores, 256 at most (AWS Backup API).
fn name<'t>(reading: &mut Reading<'_, '_, '_, 't>, properties: &'t Node) -> Resolved {
    const MOST: usize = 256;
    let (at, name) = reading.text(properties, "FrameworkName");
    if let Resolved::Text(text) = &name {
        let is_odd = |c: char| !c.is_ascii_alphanumeric() && c != '_';
        let shown = shown(text);
        let problem = if text.is_empty() {
            Some("the framework name is empty".to_owned())
        } else if let Some(odd) = text.chars().find(|c| is_odd(*c)) {
            Some(format!("the framework name `{shown}` contains `{}`", odd.escape_debug()))
        } else if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
            Some(format!("the framework name `{shown}` does not start with a letter"))
        } else if text.len() > MOST {
            Some(format!("the framework name `{shown}` has {} characters", text.len()))
        } else {
            None
        };
        if let Some(problem) = problem {
            reading.fault(
                at,
                problem,
                "AWS Backup takes a letter followed by letters, digits and underscores, 256 at most",
            );
        }
    }
    name
}

fn controls<'t>(reading: &mut Reading<'_, '_, '_, 't>, properties: &'t Node) -> Vec<FrameworkControl> {
    const KEY: &str = "FrameworkControls";
    let Some(node) = properties.get(KEY) else {
        let keys = properties.entries().unwrap_or_default().iter().filter_map(|(key, _)| key.as_str());
        let fix = match nearest(KEY, keys) {
            Some(key) => format!("is `{}` meant to be `{KEY}`?", shown(key)),
            None => "list the controls under it, each with its `ControlName`".to_owned(),
        };
        reading.fault(properties.at, format!("`{KEY}` is missing"), fix);
        return Vec::new();
    };
    let Some(items) = reading.list(Some(node), KEY) else { return Vec::new() };
    if items.is_empty() {
        reading.fault(node.at, format!("`{KEY}` is empty"), "list at least one control with its `ControlName`");
    }
    let mut controls = Vec::new();
    let mut uses: Vec<(&'static str, Option<&Node>, Position)> = Vec::new();
    for (at, item) in items {
        match item {
            Found::Tree(item) if item.entries().is_some() => {
                let Some(control) = control(reading, item) else { continue };
                report_repetition(reading, &mut uses, &control, item.get("ControlScope"));
                controls.push(control);
            }
            Found::Unknown | Found::Absent => {}
            Found::Tree(_) | Found::Text(_) => {
                reading.fault(at, "this control is no mapping", "write `- ControlName: ...`")
            }
        }
    }
    controls
}

fn control<'t>(reading: &mut Reading<'_, '_, '_, 't>, item: &'t Node) -> Option<FrameworkControl> {
    let (at, name) = reading.text(item, "ControlName");
    let name = match name {
        Resolved::Text(name) => name,
        Resolved::Unknown => return None,
        Resolved::Absent => {
            reading.fault(
                item.at,
                "this control has no `ControlName`",
                "add one, such as `ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED`",
            );
            return None;
        }
    };
    let Some(control) = control::find(&name) else {
        let fix = match control::nearest(&name) {
            Some(control) => format!("did you mean `{control}`?"),
            None => "name a control of AWS Backup Audit Manager, such as `BACKUP_RECOVERY_POINT_ENCRYPTED`".to_owned(),
        };
        reading.fault(at, format!("there is no control `{}`", shown(&name)), fix);
        return None;
    };
    let parameters = parameters(reading, control, item);
    Some(FrameworkControl { control, parameters, at: item.at })
}

/// The same control may be used for different resources, but not twice for the same.
fn report_repetition<'t>(
    reading: &mut Reading<'_, '_, '_, 't>,
    uses: &mut Vec<(&'static str, Option<&'t Node>, Position)>,
    used: &FrameworkControl,
    scope: Option<&'t Node>,
) {
    let name = used.control.name;
    let same_scope = |other: Option<&Node>| match (scope, other) {
        (Some(scope), Some(other)) => scope.same_as(other),
        (scope, other) => scope.is_none() && other.is_none(),
    };
    match uses.iter().find(|(other, scope, _)| *other == name && same_scope(*scope)) {
        Some((_, _, first)) => {
            let problem = format!("the control `{name}` is used twice for the same resources, first at {first}");
            reading.fault(used.at, problem, "keep one, or give them different `ControlScope`s");
        }
        None => uses.push((name, scope, used.at)),
    }
}

fn parameters<'t>(
    reading: &mut Reading<'_, '_, '_, 't>,
    control: &'static Control,
    item: &'t Node,
) -> BTreeMap<String, String> {
    let items = reading.list(item.get("ControlInputParameters"), "ControlInputParameters").unwrap_or_default();
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let mut given: Vec<(&'static Parameter, Position)> = Vec::new();
    for (at, item) in items {
        let item = match item {
            Found::Tree(item) if item.entries().is_some() => item,
            Found::Unknown | Found::Absent => continue,
            Found::Tree(_) | Found::Text(_) => {
                let fix = "write `- ParameterName: ...` with its `ParameterValue`";
                reading.fault(at, "this control parameter is no mapping", fix);
                continue;
            }
        };
        let (name_at, name) = reading.text(item, "ParameterName");
        let (value_at, value) = reading.text(item, "ParameterValue");
        let Some(parameter) = parameter(reading, control, name_at, name) else { continue };
        if given.iter().any(|(other, _)| *other == parameter) {
            reading.fault(name_at, format!("the parameter `{}` is given twice", parameter.name), "keep one of the two");
            continue;
        }
        match value {
            Resolved::Text(value) => {
                given.push((parameter, value_at));
                known.insert(parameter.name.to_owned(), value);
            }
            Resolved::Unknown => {}
            Resolved::Absent => {
                let problem = format!("the parameter `{}` has no `ParameterValue`", parameter.name);
                reading.fault(item.at, problem, "give it a value or remove it");
            }
        }
    }
    // After all of them have been read: what one may be can depend on another.
    for (parameter, at) in given {
        if let Some(value) = known.get(parameter.name)
            && let Some(expected) = refused(parameter, value, &known)
        {
            let problem = format!("the parameter `{}` is `{}`", parameter.name, shown(value));
            reading.fault(at, problem, format!("it must be {expected}"));
        }
    }
    known
}

fn parameter(
    reading: &mut Reading<'_, '_, '_, '_>,
    control: &'static Control,
    at: Position,
    name: Resolved,
) -> Option<&'static Parameter> {
    let name = match name {
        Resolved::Text(name) => name,
        Resolved::Unknown => return None,
        Resolved::Absent => {
            reading.fault(at, "this control parameter has no `ParameterName`", "add one, or remove the parameter");
            return None;
        }
    };
    let found = control.parameter(&name);
    if found.is_none() {
        let names: Vec<String> = control.parameters.iter().map(|parameter| format!("`{}`", parameter.name)).collect();
        let fix = match nearest(&name, control.parameters.iter().map(|parameter| parameter.name)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => "it takes none: remove it".to_owned(),
            None => format!("it takes {}", names.join(", ")),
        };
        reading.fault(at, format!("the control `{}` has no parameter `{}`", control.name, shown(&name)), fix);
    }
    found
}

/// What the value should have been, if the control does not take it.
fn refused(parameter: &Parameter, value: &str, others: &BTreeMap<String, String>) -> Option<String> {
    let items = || value.split(',');
    let (taken, expected) = match parameter.kind {
        Kind::Integer { min, max: u32::MAX } => (whole(value, min, u32::MAX), format!("a whole number from {min} up")),
        Kind::Integer { min, max } => (whole(value, min, max), format!("a whole number from {min} to {max}")),
        Kind::Period { unit, hours, days } => match others.get(unit).map(String::as_str) {
            Some("hours") => {
                (whole(value, hours.0, hours.1), format!("a whole number of hours from {} to {}", hours.0, hours.1))
            }
            Some("days") => {
                (whole(value, days.0, days.1), format!("a whole number of days from {} to {}", days.0, days.1))
            }
            // The unit is unknown or wrong: what neither could be is wrong all the same.
            _ => {
                let (min, max) = (hours.0.min(days.0), hours.1.max(days.1));
                (whole(value, min, max), format!("a whole number from {min} to {max}"))
            }
        },
        Kind::OneOf(words) => {
            let words_shown: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            (words.contains(&value), words_shown.join(" or "))
        }
        Kind::RegionList => (
            items().all(|item| RegionName::parse(item).is_ok()),
            "Region codes with commas and no spaces between".to_owned(),
        ),
        Kind::AccountList { most } => (
            items().count() <= most && items().all(|item| AccountId::parse(item).is_ok()),
            format!("12-digit account ids with commas and no spaces between, {most} at most"),
        ),
        Kind::ArnList { most } => (
            items().count() <= most && items().all(|item| item.starts_with("arn:")),
            format!("role ARNs with commas and no spaces between, {most} at most"),
        ),
    };
    (!taken).then_some(expected)
}

fn whole(value: &str, min: u32, max: u32) -> bool {
    let digits = value.bytes().all(|b| b.is_ascii_digit());
    digits && value.parse::<u32>().is_ok_and(|number| (min..=max).contains(&number))
}
