//! What changes in the framework that a StackSet deploys, in words: the template that is deployed held against the one that is
//! wanted, with the values that their parameters have, and will have, at the targets.

use super::super::{AutoDeployment, Desired, Instance, Observed, Parameters};
use crate::framework::{Framework, FrameworkControl};
use crate::template::{Found, Resolved, Resolver, Template};
use crate::yaml::Node;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Combinations of overrides before and after for which frameworks are compared; each takes reading two templates.
const MOST_COMBINATIONS: usize = 20;

/// What changes in a framework.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FrameworkChange {
    /// Why what is deployed cannot be compared, if it cannot.
    pub unreadable: Option<String>,
    /// What changes, where nothing else is said.
    pub changes: Vec<Alteration>,
    /// What changes instead where parameter overrides make a difference to the controls.
    pub elsewhere: Vec<LocalChange>,
    /// Further combinations of overrides that were not compared.
    pub not_compared: usize,
}

/// What changes in the controls of instances that share their overrides, before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalChange {
    /// The overrides in force now.
    pub overrides_before: Parameters,
    /// Those that are wanted.
    pub overrides: Parameters,
    /// The number of instances.
    pub instances: usize,
    /// One of them.
    pub for_example: Instance,
    /// What changes in the controls; nothing, perhaps.
    pub changes: Vec<Alteration>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "change")]
pub enum Alteration {
    /// A framework is new; its controls follow.
    FrameworkAdded {
        /// Its name in the template.
        framework: String,
    },
    /// A framework is no more, and its controls with it.
    FrameworkRemoved {
        /// Its name in the template.
        framework: String,
    },
    /// AWS knows a framework by another name, which replaces it.
    FrameworkRenamed {
        /// Its name in the template.
        framework: String,
        /// `FrameworkName` now.
        before: String,
        /// `FrameworkName` afterwards.
        after: String,
    },
    /// A control is new.
    ControlAdded {
        /// The framework's name in the template.
        framework: String,
        /// The control.
        control: &'static str,
        /// What it asks for.
        requirement: String,
        /// Of which resources.
        scope: String,
    },
    /// A control is no more.
    ControlRemoved {
        /// The framework's name in the template.
        framework: String,
        /// The control.
        control: &'static str,
        /// What it asked for.
        requirement: String,
        /// Of which resources.
        scope: String,
    },
    /// A parameter of a control changes.
    ControlParameter {
        /// The framework's name in the template.
        framework: String,
        /// The control.
        control: &'static str,
        /// The parameter.
        parameter: String,
        /// Its value now, if it is given and known.
        before: Option<String>,
        /// Its value afterwards.
        after: Option<String>,
        /// What the control asks for afterwards.
        requirement: String,
    },
    /// A control is about other resources.
    ControlScope {
        /// The framework's name in the template.
        framework: String,
        /// The control.
        control: &'static str,
        /// The resources now.
        before: String,
        /// The resources afterwards.
        after: String,
    },
    /// A parameter of the StackSet changes.
    Parameter {
        /// Its name.
        name: String,
        /// Its value now, if it is given.
        before: Option<String>,
        /// Its value afterwards.
        after: Option<String>,
    },
    /// Another part of the template changes.
    Resource {
        /// The resource's name in the template.
        resource: String,
        /// Its type.
        r#type: String,
        /// How.
        how: ResourceChange,
    },
    /// A section of the template other than `Resources` changes.
    Section {
        /// Its name.
        section: String,
    },
    /// Only comments or layout of the template change; CloudFormation works on all instances all the same.
    Layout,
    /// What happens to accounts that join or leave the organizational units changes.
    AutoDeployment {
        /// Now.
        before: Option<AutoDeployment>,
        /// Afterwards.
        after: Option<AutoDeployment>,
    },
    /// The StackSet was last given another definition, and nothing that can be read of it differs.
    Unseen,
}

/// How a resource changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ResourceChange {
    /// It is new.
    Added,
    /// It is no more.
    Removed,
    /// It is written otherwise.
    Changed,
}

impl Alteration {
    /// The change in one line.
    #[must_use]
    pub fn words(&self) -> String {
        let value =
            |value: &Option<String>| value.as_ref().map_or_else(|| "not given".to_owned(), |v| format!("`{v}`"));
        let auto = |auto: &Option<AutoDeployment>| match auto {
            Some(AutoDeployment { enabled: true, retain_stacks: true }) => "on, stacks of accounts that leave stay",
            Some(AutoDeployment { enabled: true, retain_stacks: false }) => "on",
            Some(AutoDeployment { enabled: false, .. }) | None => "off",
        };
        match self {
            Self::FrameworkAdded { framework } => format!("framework `{framework}` is added"),
            Self::FrameworkRemoved { framework } => format!("framework `{framework}` is removed"),
            Self::FrameworkRenamed { framework, before, after } => format!(
                "framework `{framework}` is renamed from {before} to {after}: AWS replaces it, which fails while both have the same controls"
            ),
            Self::ControlAdded { control, requirement, scope, .. } => {
                format!("control {control} is added: {requirement} ({scope})")
            }
            Self::ControlRemoved { control, requirement, scope, .. } => {
                format!("control {control} is removed: {requirement} ({scope})")
            }
            Self::ControlParameter { control, parameter, before, after, requirement, .. } => {
                format!(
                    "control {control}: {parameter} changes from {} to {}: {requirement}",
                    value(before),
                    value(after)
                )
            }
            Self::ControlScope { control, before, after, .. } => {
                format!("control {control} is about {after}, no longer about {before}")
            }
            Self::Parameter { name, before, after } => {
                format!("parameter {name} changes from {} to {}", value(before), value(after))
            }
            Self::Resource { resource, r#type, how } => {
                let how = match how {
                    ResourceChange::Added => "added",
                    ResourceChange::Removed => "removed",
                    ResourceChange::Changed => "changed",
                };
                format!("resource `{resource}` ({type}) is {how}")
            }
            Self::Section { section } => format!("section `{section}` of the template changes"),
            Self::Layout => {
                "only comments or layout of the template change; every instance is worked on all the same".into()
            }
            Self::AutoDeployment { before, after } => {
                format!("auto-deployment changes from {} to {}", auto(before), auto(after))
            }
            Self::Unseen => {
                "the StackSet was last given another definition; nothing that can be read of it differs".into()
            }
        }
    }
}

impl FrameworkChange {
    pub(super) fn of(desired: &Desired, observed: &Observed, updated: bool) -> Self {
        let combinations = combinations(desired, observed);
        let wanted = match Template::read("the policy's template", &desired.template) {
            Ok(wanted) => wanted,
            Err(faults) => return Self::unreadable(faults.first().map(ToString::to_string).unwrap_or_default()),
        };
        let Some(stack_set) = &observed.stack_set else {
            let read = |_: &Parameters, after: &Parameters| {
                let given = together(&desired.parameters, after);
                Ok(controls(&[], &read(&wanted, &given)?))
            };
            return Self::everywhere(combinations, read).unwrap_or_else(Self::unreadable);
        };
        let deployed = match stack_set.template.as_deref().map(|text| Template::read("the deployed template", text)) {
            Some(Ok(deployed)) => deployed,
            Some(Err(faults)) => {
                return Self::unreadable(faults.first().map(ToString::to_string).unwrap_or_default());
            }
            None if updated => return Self::unreadable("CloudFormation does not tell it".to_owned()),
            None => return Self::default(),
        };
        let compare = |before: &Parameters, after: &Parameters| {
            let old = read(&deployed, &together(&stack_set.parameters, before))?;
            let new = read(&wanted, &together(&desired.parameters, after))?;
            Ok(controls(&old, &new))
        };
        let mut change = match Self::everywhere(combinations, compare) {
            Ok(change) => change,
            Err(why) => return Self::unreadable(why),
        };
        // Without an update nothing but overrides changes: what CloudFormation has rewritten is no difference.
        if updated {
            let controls_differ = !change.changes.is_empty() || !change.elsewhere.is_empty();
            change.changes.extend(parameters(&stack_set.parameters, &desired.parameters, &wanted));
            change.changes.extend(rest(&deployed, &wanted, controls_differ));
            let after = desired.permissions.service_managed().map(|service| service.auto_deployment);
            let before = stack_set.auto_deployment;
            if before.unwrap_or_default() != after.unwrap_or_default() {
                change.changes.push(Alteration::AutoDeployment { before, after });
            }
            if change.changes.is_empty() && change.elsewhere.is_empty() {
                let same = deployed.text() == wanted.text();
                change.changes.push(if same { Alteration::Unseen } else { Alteration::Layout });
            }
        }
        change
    }

    /// Of a StackSet that is removed: all its controls are.
    pub(super) fn of_removal(observed: &Observed) -> Self {
        let Some(stack_set) = &observed.stack_set else { return Self::default() };
        let Some(text) = stack_set.template.as_deref() else {
            return Self::unreadable("CloudFormation does not tell it".to_owned());
        };
        let template = Template::read("the deployed template", text);
        let old = template.map_err(|faults| faults.first().map(ToString::to_string).unwrap_or_default());
        match old.and_then(|template| read(&template, &stack_set.parameters)) {
            Ok(old) => Self { changes: controls(&old, &[]), ..Self::default() },
            Err(why) => Self::unreadable(why),
        }
    }

    /// Whether nothing changes, as far as anybody can tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.unreadable.is_none() && self.changes.is_empty() && self.elsewhere.is_empty() && self.not_compared == 0
    }

    fn unreadable(why: String) -> Self {
        Self { unreadable: Some(why), ..Self::default() }
    }

    /// What changes for most instances is the rule, other combinations of overrides are the exceptions.
    fn everywhere(
        combinations: Vec<Combination>,
        compare: impl Fn(&Parameters, &Parameters) -> Result<Vec<Alteration>, String>,
    ) -> Result<Self, String> {
        let mut change = Self { not_compared: combinations.len().saturating_sub(MOST_COMBINATIONS), ..Self::default() };
        let mut combinations = combinations.into_iter().take(MOST_COMBINATIONS);
        let Some(first) = combinations.next() else { return Ok(change) };
        change.changes = compare(&first.before, &first.after)?;
        for Combination { before, after, instances, for_example } in combinations {
            let changes = compare(&before, &after)?;
            if let Some(for_example) = for_example.filter(|_| changes != change.changes) {
                change.elsewhere.push(LocalChange {
                    overrides_before: Parameters::clone(&before),
                    overrides: Parameters::clone(&after),
                    instances,
                    for_example,
                    changes,
                });
            }
        }
        Ok(change)
    }
}

/// Overrides now and wanted, and how many instances have these.
struct Combination {
    before: Arc<Parameters>,
    after: Arc<Parameters>,
    instances: usize,
    for_example: Option<Instance>,
}

type BeforeAndAfter = (Arc<Parameters>, Arc<Parameters>);

/// All combinations among the instances that stay, or where there are none, that come; the most frequent first.
fn combinations(desired: &Desired, observed: &Observed) -> Vec<Combination> {
    let mut all: BTreeMap<BeforeAndAfter, (usize, &Instance)> = BTreeMap::new();
    let is_new = observed.stack_set.is_none();
    for (instance, wanted) in &desired.instances {
        let before = match observed.instances.get(instance) {
            // Where nobody knows, the template alone is compared.
            Some(found) => found.overrides.clone().unwrap_or_else(|| Arc::clone(&wanted.overrides)),
            None if is_new => Arc::default(),
            None => continue,
        };
        let (count, _) = all.entry((before, Arc::clone(&wanted.overrides))).or_insert((0, instance));
        *count = count.saturating_add(1);
    }
    let mut combinations: Vec<Combination> = all
        .into_iter()
        .map(|((before, after), (instances, example))| Combination {
            before,
            after,
            instances,
            for_example: Some(example.clone()),
        })
        .collect();
    if combinations.is_empty() {
        let none = Arc::<Parameters>::default();
        combinations.push(Combination { before: none.clone(), after: none, instances: 0, for_example: None });
    }
    combinations.sort_by_key(|combination| std::cmp::Reverse(combination.instances));
    combinations
}

fn together(parameters: &Parameters, overrides: &Parameters) -> Parameters {
    parameters.iter().chain(overrides).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// A framework with what each of its controls is about.
struct Read {
    logical_id: String,
    name: Resolved,
    controls: Vec<(FrameworkControl, String)>,
}

fn read(template: &Template, parameters: &Parameters) -> Result<Vec<Read>, String> {
    // What the template does not declare any more is no fault of a comparison.
    let declared = |name: &str| template.declares(name);
    let given: Parameters =
        parameters.iter().filter(|(name, _)| declared(name)).map(|(k, v)| (k.clone(), v.clone())).collect();
    let frameworks = Framework::read_all(template, &given)
        .map_err(|faults| faults.first().map(ToString::to_string).unwrap_or_default())?;
    let resolver = Resolver::new(template, &given);
    Ok(frameworks
        .into_iter()
        .map(|framework| {
            let items = control_nodes(template, &resolver, &framework.logical_id);
            let scope = |control: &FrameworkControl| {
                let item = items.iter().find(|item| item.at == control.at);
                scope(&resolver, item.and_then(|item| item.get("ControlScope")))
            };
            let controls = framework.controls.into_iter().map(|control| (control.clone(), scope(&control))).collect();
            Read { logical_id: framework.logical_id, name: framework.name, controls }
        })
        .collect())
}

/// The controls of a framework as they stand in the template.
fn control_nodes<'t>(template: &'t Template, resolver: &Resolver<'t>, logical_id: &str) -> Vec<&'t Node> {
    let body = template.resources().find(|(id, _, _)| *id == logical_id).map(|(_, _, body)| body);
    let tree = |node: &'t Node| match resolver.resolve(node) {
        Found::Tree(tree) => Some(tree),
        _ => None,
    };
    let properties = body.and_then(|body| body.get("Properties")).and_then(tree);
    let list = properties.and_then(|properties| properties.get("FrameworkControls")).and_then(tree);
    list.and_then(Node::as_sequence).unwrap_or_default().iter().filter_map(tree).collect()
}

/// The resources that a control is about, in words.
fn scope<'t>(resolver: &Resolver<'t>, node: Option<&'t Node>) -> String {
    const ALL: &str = "all resources";
    const UNKNOWN: &str = "resources that only a deployment can tell";
    let tree = match node.map(|node| resolver.resolve(node)) {
        None | Some(Found::Absent) => return ALL.to_owned(),
        Some(Found::Tree(tree)) => tree,
        Some(Found::Text(_) | Found::Texts(_) | Found::Pieces(_) | Found::Unknown) => return UNKNOWN.to_owned(),
    };
    let text = |node: &'t Node| match resolver.resolve(node) {
        Found::Text(text) => text,
        _ => "?".to_owned(),
    };
    let items = |key: &str| match tree.get(key).map(|node| resolver.resolve(node)) {
        Some(Found::Tree(list)) => list.as_sequence().unwrap_or_default(),
        _ => &[],
    };
    let types: Vec<String> = items("ComplianceResourceTypes").iter().map(text).collect();
    let ids: Vec<String> = items("ComplianceResourceIds").iter().map(text).collect();
    let tags: Vec<String> = items("Tags")
        .iter()
        .map(|tag| {
            let part = |key: &str| tag.get(key).map_or_else(String::new, text);
            match part("Value") {
                value if value.is_empty() => format!("resources with the tag `{}`", part("Key")),
                value => format!("resources with the tag `{}` = `{value}`", part("Key")),
            }
        })
        .collect();
    let mut parts = tags;
    if !types.is_empty() {
        parts.push(format!("resources of the types {}", types.join(", ")));
    }
    if !ids.is_empty() {
        parts.push(format!("the resource {}", ids.join(", ")));
    }
    match parts.is_empty() {
        true if tree.entries().is_some_and(<[_]>::is_empty) => ALL.to_owned(),
        true => UNKNOWN.to_owned(),
        false => parts.join(" and "),
    }
}

/// What changes between the frameworks of two templates.
fn controls(old: &[Read], new: &[Read]) -> Vec<Alteration> {
    let mut changes = Vec::new();
    let find = |among: &[Read], id: &str| among.iter().position(|framework| framework.logical_id == id);
    for framework in new {
        let before = find(old, &framework.logical_id).and_then(|at| old.get(at));
        match before {
            None => changes.push(Alteration::FrameworkAdded { framework: framework.logical_id.clone() }),
            Some(before) => changes.extend(renamed(before, framework)),
        }
        between(before, Some(framework), &mut changes);
    }
    for framework in old.iter().filter(|framework| find(new, &framework.logical_id).is_none()) {
        changes.push(Alteration::FrameworkRemoved { framework: framework.logical_id.clone() });
        between(Some(framework), None, &mut changes);
    }
    changes
}

fn renamed(old: &Read, new: &Read) -> Option<Alteration> {
    let name = |name: &Resolved| match name {
        Resolved::Text(name) => format!("`{name}`"),
        Resolved::Absent => "a name of AWS's own".to_owned(),
        Resolved::Unknown => "a name that only a deployment can tell".to_owned(),
    };
    (old.name != new.name).then(|| Alteration::FrameworkRenamed {
        framework: new.logical_id.clone(),
        before: name(&old.name),
        after: name(&new.name),
    })
}

/// Pairs the controls of a framework before and after: first those of one scope, then those of one name, in their order.
fn between(old: Option<&Read>, new: Option<&Read>, changes: &mut Vec<Alteration>) {
    let framework = || new.or(old).map(|framework| framework.logical_id.clone()).unwrap_or_default();
    let mut left: Vec<&(FrameworkControl, String)> = old.into_iter().flat_map(|old| &old.controls).collect();
    let mut pairs = Vec::new();
    let wanted = || new.into_iter().flat_map(|new| &new.controls);
    for control in wanted() {
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
    for ((control, scope), before) in pairs {
        let name = control.control.name;
        let Some((before, scope_before)) = before else {
            changes.push(Alteration::ControlAdded {
                framework: framework(),
                control: name,
                requirement: control.requirement(),
                scope: scope.clone(),
            });
            continue;
        };
        if scope != scope_before {
            let (before, after) = (scope_before.clone(), scope.clone());
            changes.push(Alteration::ControlScope { framework: framework(), control: name, before, after });
        }
        let names: BTreeSet<&String> = before.parameters.keys().chain(control.parameters.keys()).collect();
        for parameter in names {
            let (old, new) = (before.parameters.get(parameter), control.parameters.get(parameter));
            if old != new {
                changes.push(Alteration::ControlParameter {
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
    changes.extend(left.into_iter().map(|(control, scope)| Alteration::ControlRemoved {
        framework: framework(),
        control: control.control.name,
        requirement: control.requirement(),
        scope: scope.clone(),
    }));
}

/// Values of the StackSet's parameters that change. CloudFormation tells those that were not given with their defaults.
fn parameters(old: &Parameters, new: &Parameters, wanted: &Template) -> Vec<Alteration> {
    let default = |name: &String| wanted.parameters().get(name).cloned().flatten();
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changes = names.into_iter().filter_map(|name| {
        let (before, after) = (old.get(name).cloned(), new.get(name).cloned().or_else(|| default(name)));
        let before_or_default = before.clone().or_else(|| default(name));
        (before_or_default != after).then(|| Alteration::Parameter { name: name.clone(), before, after })
    });
    changes.collect()
}

/// What differs in the rest of two templates: other resources, what is not control in the frameworks, other sections.
fn rest(old: &Template, new: &Template, controls_differ: bool) -> Vec<Alteration> {
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
        // Added and removed frameworks are told with their controls.
        if *kind == FRAMEWORK && (only_controls || (how != ResourceChange::Changed && controls_differ)) {
            continue;
        }
        changes.push(Alteration::Resource { resource: (*id).to_owned(), r#type: (*kind).to_owned(), how });
    }
    let sections = |template: &'_ Template| -> BTreeMap<String, Node> {
        let entries = template.root().entries().unwrap_or_default().iter();
        entries.filter_map(|(key, value)| Some((key.as_str()?.to_owned(), value.clone()))).collect()
    };
    let (before, after) = (sections(old), sections(new));
    for section in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let same = match (before.get(section), after.get(section)) {
            (Some(one), Some(other)) => one.same_as(other),
            _ => false,
        };
        if section != "Resources" && !same {
            changes.push(Alteration::Section { section: section.clone() });
        }
    }
    changes
}

/// Whether two frameworks differ in nothing but their controls and their names, which are compared elsewhere.
fn same_apart_from_controls(one: &Node, other: &Node) -> bool {
    let parts = |body: &Node| -> BTreeMap<String, Node> {
        let mut parts = BTreeMap::new();
        for (key, value) in body.entries().unwrap_or_default() {
            let Some(key) = key.as_str() else { continue };
            match value.entries() {
                Some(properties) if key == "Properties" => {
                    for (name, value) in properties {
                        let name = name.as_str().unwrap_or_default();
                        if !matches!(name, "FrameworkControls" | "FrameworkName") {
                            parts.insert(format!("Properties.{name}"), value.clone());
                        }
                    }
                }
                _ => drop(parts.insert(key.to_owned(), value.clone())),
            }
        }
        parts
    };
    let (one, other) = (parts(one), parts(other));
    one.len() == other.len() && one.iter().zip(&other).all(|((a, x), (b, y))| a == b && x.same_as(y))
}
