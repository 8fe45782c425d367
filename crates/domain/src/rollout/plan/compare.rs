//! Compares the deployed template with the desired one, with the values that their parameters have in the target accounts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use framework::{Framework, FrameworkControl};
use syntax::diagnostic::Diagnostic;
use syntax::template::{NodeValue, Resolved, Resolver, Template};
use syntax::yaml::Node;

use super::super::{Desired, Instance, Observed, Parameters};
use super::{ControlDefinition, DefinitionChange, FrameworkChange, OverrideChange, ResourceChange};

/// Maximum combinations of overrides for which frameworks are compared; each reads two templates.
const MAX_COMBINATIONS: usize = 20;

const NOT_RETURNED: &str = "CloudFormation does not return it";

impl FrameworkChange {
    /// The changes from the observed to the desired StackSet; `updated` if its definition changes.
    pub(super) fn new(desired: &Desired, observed: &Observed, updated: bool) -> Self {
        Self::compare(desired, observed, updated).unwrap_or_else(Self::unreadable)
    }

    fn compare(desired: &Desired, observed: &Observed, updated: bool) -> Result<Self, String> {
        let combinations = combinations(desired, observed);
        let template = parse("the policy's template", &desired.template)?;
        let after = |overrides: &Parameters| read(&template, &merged(&desired.parameters, overrides));
        let Some(stack_set) = &observed.stack_set else {
            return Self::everywhere(combinations, |_, overrides| Ok(controls(&[], &after(overrides)?)));
        };
        let deployed = match stack_set.template.as_deref() {
            Some(text) => parse("the deployed template", text)?,
            None if updated => return Err(NOT_RETURNED.to_owned()),
            None => return Ok(Self::default()),
        };
        let before = |overrides: &Parameters| read(&deployed, &merged(&stack_set.parameters, overrides));
        let mut change = Self::everywhere(combinations, |old, new| Ok(controls(&before(old)?, &after(new)?)))?;
        // Without an update only overrides change: a template that CloudFormation has rewritten is not a difference.
        if updated {
            let controls_differ = !change.changes.is_empty() || !change.override_changes.is_empty();
            change.changes.extend(parameters(&stack_set.parameters, &desired.parameters, &template));
            change.changes.extend(rest(&deployed, &template, controls_differ));
            let after = desired.permissions.service_managed().map(|service| service.auto_deployment);
            let before = stack_set.auto_deployment;
            if before.unwrap_or_default() != after.unwrap_or_default() {
                change.changes.push(DefinitionChange::AutoDeployment { before, after });
            }
            if change.changes.is_empty() && change.override_changes.is_empty() {
                let same = deployed.text() == template.text();
                change.changes.push(if same { DefinitionChange::Invisible } else { DefinitionChange::Layout });
            }
        }
        Ok(change)
    }

    /// The changes of a StackSet that is removed: all controls are removed.
    pub(super) fn for_removal(observed: &Observed) -> Self {
        let Some(stack_set) = &observed.stack_set else { return Self::default() };
        let text = stack_set.template.as_deref().ok_or_else(|| NOT_RETURNED.to_owned());
        let old = text
            .and_then(|text| parse("the deployed template", text))
            .and_then(|template| read(&template, &stack_set.parameters));
        old.map_or_else(Self::unreadable, |old| Self { changes: controls(&old, &[]), ..Self::default() })
    }

    fn unreadable(why: String) -> Self {
        Self { unreadable: Some(why), ..Self::default() }
    }

    /// Compares each combination of overrides. The most frequent gives `changes`, differing ones `override_changes`.
    fn everywhere(
        combinations: Vec<Combination<'_>>,
        compare: impl Fn(&Parameters, &Parameters) -> Result<Vec<DefinitionChange>, String>,
    ) -> Result<Self, String> {
        let mut change = Self { not_compared: combinations.len().saturating_sub(MAX_COMBINATIONS), ..Self::default() };
        let mut combinations = combinations.into_iter().take(MAX_COMBINATIONS);
        let Some(((before, after), _)) = combinations.next() else { return Ok(change) };
        change.changes = compare(&before, &after)?;
        for ((before, after), (instances, example)) in combinations {
            let changes = compare(&before, &after)?;
            if let Some(example) = example.filter(|_| changes != change.changes).cloned() {
                let (overrides_before, overrides) = (Parameters::clone(&before), Parameters::clone(&after));
                let other = OverrideChange { overrides_before, overrides, instances, example, changes };
                change.override_changes.push(other);
            }
        }
        Ok(change)
    }
}

/// Overrides before and after, the number of instances that have them, and one of these.
type Combination<'d> = ((Arc<Parameters>, Arc<Parameters>), (usize, Option<&'d Instance>));

/// All combinations of overrides of the instances that stay, or of all instances of a new StackSet; the most frequent first.
fn combinations<'d>(desired: &'d Desired, observed: &Observed) -> Vec<Combination<'d>> {
    let mut all: BTreeMap<_, (usize, Option<&Instance>)> = BTreeMap::new();
    let is_new = observed.stack_set.is_none();
    for (instance, goal) in &desired.instances {
        let before = match observed.instances.get(instance) {
            // If the overrides are unknown, only the templates differ.
            Some(found) => found.overrides.clone().unwrap_or_else(|| Arc::clone(&goal.overrides)),
            None if is_new => Arc::default(),
            None => continue,
        };
        let (count, _) = all.entry((before, Arc::clone(&goal.overrides))).or_insert((0, Some(instance)));
        *count = count.saturating_add(1);
    }
    if all.is_empty() {
        all.insert(Default::default(), (0, None));
    }
    let mut combinations: Vec<Combination<'_>> = all.into_iter().collect();
    combinations.sort_by_key(|(_, (instances, _))| std::cmp::Reverse(*instances));
    combinations
}

fn merged(parameters: &Parameters, overrides: &Parameters) -> Parameters {
    parameters.iter().chain(overrides).map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn first_message(diagnostics: Vec<Diagnostic>) -> String {
    diagnostics.first().map(ToString::to_string).unwrap_or_default()
}

fn parse(name: &str, text: &str) -> Result<Template, String> {
    Template::read(name, text).map_err(first_message)
}

struct ScopedFramework {
    logical_id: String,
    name: Resolved,
    controls: Vec<(FrameworkControl, String)>,
}

fn read(template: &Template, parameters: &Parameters) -> Result<Vec<ScopedFramework>, String> {
    // As `read_all` reads it.
    let written_out = template.without_loops();
    let template = written_out.as_ref().unwrap_or(template);
    // A parameter that the template no longer declares is not an error of the comparison.
    let given = parameters.iter().filter(|(name, _)| template.declares(name));
    let given: Parameters = given.map(|(name, value)| (name.clone(), value.clone())).collect();
    let frameworks = Framework::read_all(template, &given).map_err(first_message)?;
    let resolver = Resolver::new(template, &given);
    let scoped = |Framework { logical_id, name, controls, .. }: Framework| {
        let items = control_nodes(template, &resolver, &logical_id);
        let scope = |control: &FrameworkControl| {
            let item = items.iter().find(|item| item.at == control.at);
            scope(&resolver, item.and_then(|item| item.get("ControlScope")))
        };
        let controls = controls.into_iter().map(|control| (control.clone(), scope(&control))).collect();
        ScopedFramework { logical_id, name, controls }
    };
    Ok(frameworks.into_iter().map(scoped).collect())
}

fn control_nodes<'t>(template: &'t Template, resolver: &Resolver<'t>, logical_id: &str) -> Vec<&'t Node> {
    let body = template.resources().find(|(id, _, _)| *id == logical_id).map(|(_, _, body)| body);
    let tree = |node: &'t Node| if let NodeValue::Tree(tree) = resolver.resolve(node) { Some(tree) } else { None };
    let properties = body.and_then(|body| body.get("Properties")).and_then(tree);
    let list = properties.and_then(|properties| properties.get("FrameworkControls")).and_then(tree);
    list.and_then(Node::as_sequence).unwrap_or_default().iter().filter_map(tree).collect()
}

fn scope<'t>(resolver: &Resolver<'t>, node: Option<&'t Node>) -> String {
    const ALL: &str = "all resources";
    const UNKNOWN: &str = "resources that are known only at deployment";
    let tree = match node.map(|node| resolver.resolve(node)) {
        None | Some(NodeValue::Absent) => return ALL.to_owned(),
        Some(NodeValue::Tree(tree)) => tree,
        Some(_) => return UNKNOWN.to_owned(),
    };
    let text = |node: &'t Node| match resolver.resolve(node) {
        NodeValue::Text(text) => text,
        _ => "?".to_owned(),
    };
    let items = |key: &str| match tree.get(key).map(|node| resolver.resolve(node)) {
        Some(NodeValue::Tree(list)) => list.as_sequence().unwrap_or_default(),
        _ => &[],
    };
    let tag = |tag: &'t Node| {
        let part = |key: &str| tag.get(key).map_or_else(String::new, text);
        match part("Value") {
            value if value.is_empty() => format!("resources with the tag `{}`", part("Key")),
            value => format!("resources with the tag `{}` = `{value}`", part("Key")),
        }
    };
    let list = |key: &str, title: &str| {
        let texts: Vec<String> = items(key).iter().map(text).collect();
        (!texts.is_empty()).then(|| format!("{title} {}", texts.join(", ")))
    };
    let mut parts: Vec<String> = items("Tags").iter().map(tag).collect();
    parts.extend(list("ComplianceResourceTypes", "resources of the types"));
    parts.extend(list("ComplianceResourceIds", "the resource"));
    match parts.is_empty() {
        true if tree.entries().is_some_and(<[_]>::is_empty) => ALL.to_owned(),
        true => UNKNOWN.to_owned(),
        false => parts.join(" and "),
    }
}

fn controls(old: &[ScopedFramework], new: &[ScopedFramework]) -> Vec<DefinitionChange> {
    let mut changes = Vec::new();
    for framework in new {
        let before = old.iter().find(|before| before.logical_id == framework.logical_id);
        match before {
            None => changes.push(DefinitionChange::FrameworkAdded { framework: framework.logical_id.clone() }),
            Some(before) => changes.extend(renamed(before, framework)),
        }
        between(before, Some(framework), &mut changes);
    }
    let is_removed = |before: &&ScopedFramework| new.iter().all(|after| after.logical_id != before.logical_id);
    for framework in old.iter().filter(is_removed) {
        changes.push(DefinitionChange::FrameworkRemoved { framework: framework.logical_id.clone() });
        between(Some(framework), None, &mut changes);
    }
    changes
}

fn renamed(old: &ScopedFramework, new: &ScopedFramework) -> Option<DefinitionChange> {
    let name = |name: &Resolved| match name {
        Resolved::Text(name) => format!("`{name}`"),
        Resolved::Absent => "a generated name".to_owned(),
        Resolved::Unknown => "a name that is known only at deployment".to_owned(),
    };
    (old.name != new.name).then(|| DefinitionChange::FrameworkRenamed {
        framework: new.logical_id.clone(),
        before: name(&old.name),
        after: name(&new.name),
    })
}

/// Pairs the controls of a framework before and after: first by name and scope, then by name, in order.
fn between(old: Option<&ScopedFramework>, new: Option<&ScopedFramework>, changes: &mut Vec<DefinitionChange>) {
    let framework = || new.or(old).map(|framework| framework.logical_id.clone()).unwrap_or_default();
    let definition = |(control, scope): &(FrameworkControl, String)| ControlDefinition {
        framework: framework(),
        control: control.control.name,
        requirement: control.requirement(),
        scope: scope.clone(),
    };
    let mut left: Vec<&(FrameworkControl, String)> = old.into_iter().flat_map(|old| &old.controls).collect();
    let mut pairs = Vec::new();
    let desired = || new.into_iter().flat_map(|new| &new.controls);
    for control in desired() {
        let same =
            left.iter().position(|(other, scope)| other.control.name == control.0.control.name && *scope == control.1);
        pairs.push((control, same.map(|at| left.remove(at))));
    }
    for (control, before) in &mut pairs {
        if before.is_none()
            && let Some(at) = left.iter().position(|(other, _)| other.control.name == control.0.control.name)
        {
            *before = Some(left.remove(at));
        }
    }
    for (after @ (control, scope), before) in pairs {
        let Some((before, scope_before)) = before else {
            changes.push(DefinitionChange::ControlAdded(definition(after)));
            continue;
        };
        let name = control.control.name;
        if scope != scope_before {
            let (before, after) = (scope_before.clone(), scope.clone());
            changes.push(DefinitionChange::ControlScope { framework: framework(), control: name, before, after });
        }
        let names: BTreeSet<&String> = before.parameters.keys().chain(control.parameters.keys()).collect();
        for parameter in names {
            let (old, new) = (before.parameters.get(parameter), control.parameters.get(parameter));
            if old != new {
                changes.push(DefinitionChange::ControlParameter {
                    framework: framework(),
                    control: name,
                    parameter: parameter.clone(),
                    before: old.cloned(),
                    after: new.cloned(),
                    requirement: control.requirement(),
                });
            }
        }
    }
    changes.extend(left.into_iter().map(|before| DefinitionChange::ControlRemoved(definition(before))));
}

/// The changed parameters of the StackSet. CloudFormation returns parameters without a value with their defaults.
fn parameters(old: &Parameters, new: &Parameters, template: &Template) -> Vec<DefinitionChange> {
    let default = |name: &String| template.parameters().get(name).cloned().flatten();
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changes = names.into_iter().filter_map(|name| {
        let (before, after) = (old.get(name).cloned(), new.get(name).cloned().or_else(|| default(name)));
        let before_or_default = before.clone().or_else(|| default(name));
        (before_or_default != after).then(|| DefinitionChange::Parameter { name: name.clone(), before, after })
    });
    changes.collect()
}

/// The changes outside of controls: resources, other properties of frameworks, sections.
fn rest(old: &Template, new: &Template, controls_differ: bool) -> Vec<DefinitionChange> {
    const FRAMEWORK: &str = "AWS::Backup::Framework";
    let mut changes = Vec::new();
    let before: BTreeMap<&str, (&str, &Node)> = old.resources().map(|(id, kind, body)| (id, (kind, body))).collect();
    let after: BTreeMap<&str, (&str, &Node)> = new.resources().map(|(id, kind, body)| (id, (kind, body))).collect();
    for id in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let (kind, how) = match (before.get(id), after.get(id)) {
            (None, Some((kind, _))) => (kind, ResourceChange::Added),
            (Some((kind, _)), None) => (kind, ResourceChange::Removed),
            (Some((kind, one)), Some((_, other))) if !one.same_as(other) => (kind, ResourceChange::Changed),
            _ => continue,
        };
        let only_controls = how == ResourceChange::Changed && controls_differ && {
            let (one, other) = (before.get(id).map(|(_, body)| *body), after.get(id).map(|(_, body)| *body));
            one.zip(other).is_some_and(|(one, other)| same_apart_from_controls(one, other))
        };
        // Added and removed frameworks are reported with their controls.
        if *kind == FRAMEWORK && (only_controls || (how != ResourceChange::Changed && controls_differ)) {
            continue;
        }
        changes.push(DefinitionChange::Resource { resource: (*id).to_owned(), r#type: (*kind).to_owned(), how });
    }
    let (before, after) = (sections(old), sections(new));
    for section in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let is_same = before.get(section).zip(after.get(section)).is_some_and(|(one, other)| one.same_as(other));
        if *section != "Resources" && !is_same {
            changes.push(DefinitionChange::Section { section: (*section).to_owned() });
        }
    }
    changes
}

fn sections(template: &Template) -> BTreeMap<&str, &Node> {
    let entries = template.root().entries().unwrap_or_default().iter();
    entries.filter_map(|(key, value)| Some((key.as_str()?, value))).collect()
}

/// Whether two frameworks differ at most in their controls and names, which are compared elsewhere.
fn same_apart_from_controls(one: &Node, other: &Node) -> bool {
    let (one, other) = (other_parts(one), other_parts(other));
    one.len() == other.len() && one.iter().zip(&other).all(|((a, x), (b, y))| a == b && x.same_as(y))
}

fn other_parts(framework: &Node) -> BTreeMap<(&str, &str), &Node> {
    let mut parts = BTreeMap::new();
    for (key, value) in framework.entries().unwrap_or_default() {
        match (key.as_str(), value.entries()) {
            (Some("Properties"), Some(properties)) => {
                let properties = properties.iter().map(|(name, value)| (name.as_str().unwrap_or_default(), value));
                let others = properties.filter(|(name, _)| !matches!(*name, "FrameworkControls" | "FrameworkName"));
                parts.extend(others.map(|(name, value)| (("Properties", name), value)));
            }
            (Some(key), _) => drop(parts.insert((key, ""), value)),
            (None, _) => {}
        }
    }
    parts
}
