//! What a framework asks: its controls with their parameters, each narrowed to what it is for.

use std::collections::BTreeMap;

use crate::control::{self, Control, Kind};
use crate::framework::{Framework, FrameworkControl};
use crate::template::{Found, Resolved, Resolver, Template};
use crate::yaml::Node;

/// A control as a framework uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The control.
    pub control: &'static Control,
    /// Its parameters. Those that are not given have their defaults.
    pub parameters: BTreeMap<String, String>,
    /// Parameters that are given and that only a deployment can tell.
    pub unknown: Vec<&'static str>,
    /// What it is narrowed to.
    pub scope: Narrowed,
}

/// What a control is narrowed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Narrowed {
    /// Everything that it can evaluate.
    Not,
    /// Resources of these types, by their names in AWS Config.
    Types(Vec<String>),
    /// Resources with a tag. Without a value: with any. CloudFormation cannot leave the value out, so there an empty one is any.
    Tag {
        /// The tag.
        key: String,
        /// Its value.
        value: Option<String>,
        /// Types that are given beside it, by their names in AWS Config. AWS does not say what the two come to together, so what
        /// has the tag and is of none of them is undecided.
        types: Vec<String>,
    },
    /// One resource.
    Resource {
        /// Its id in AWS Config, its name, or its ARN.
        id: String,
        /// The types that it may have; ids of types can be alike. Empty: any.
        types: Vec<String>,
    },
    /// Only a deployment can tell.
    Unknown,
}

impl Asked {
    /// A control that is not narrowed, with its defaults.
    #[must_use]
    pub fn everything(control: &'static Control) -> Self {
        Self { control, parameters: BTreeMap::new(), unknown: Vec::new(), scope: Narrowed::Not }
    }

    /// What a framework asks, in the order of its controls. `template` and `given` are those that it was read with.
    #[must_use]
    pub fn all(framework: &Framework, template: &Template, given: &BTreeMap<String, String>) -> Vec<Self> {
        let resolver = Resolver::new(template, given);
        let body = template.resources().find(|(logical_id, _, _)| *logical_id == framework.logical_id);
        let items = body.map(|(_, _, body)| items(&resolver, body)).unwrap_or_default();
        let asked = |used: &FrameworkControl| {
            // Controls and their places were read from these items.
            let item = items.iter().find(|item| item.at == used.at);
            Self {
                control: used.control,
                parameters: used.parameters.clone(),
                unknown: item.map(|item| unknown(&resolver, used, item)).unwrap_or_default(),
                scope: item.map_or(Narrowed::Unknown, |item| scope(&resolver, item)),
            }
        };
        framework.controls.iter().map(asked).collect()
    }

    /// The value of a parameter: the one that is given, or its default. An empty one is as good as none.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let given = self.parameters.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        given.or_else(|| self.control.parameter(name)?.default)
    }

    /// The first parameter that is not known, or that makes no sense.
    pub(super) fn unclear(&self) -> Option<&'static str> {
        let unclear = |parameter: &&control::Parameter| match (parameter.kind, self.value(parameter.name)) {
            (_, None) => parameter.required,
            (Kind::Integer { .. } | Kind::Period { .. }, Some(value)) => value.parse::<u32>().is_err(),
            (Kind::OneOf(words), Some(value)) => !words.contains(&value),
            (Kind::RegionList | Kind::AccountList { .. } | Kind::ArnList { .. }, Some(_)) => false,
        };
        let of_template = self.unknown.first().copied();
        of_template.or_else(|| self.control.parameters.iter().find(unclear).map(|parameter| parameter.name))
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.value(name)?.parse().ok()
    }

    /// A number of hours or days, in minutes.
    pub(super) fn minutes(&self, value: &str, unit: &str) -> Option<u64> {
        let hours = if self.value(unit)? == "hours" { 1 } else { 24 };
        Some(self.number(value)? * hours * 60)
    }

    /// The items of a list.
    pub(super) fn list(&self, name: &str) -> Vec<&str> {
        let items = self.value(name).unwrap_or_default().split(',');
        items.map(str::trim).filter(|item| !item.is_empty()).collect()
    }
}

/// The controls of a framework, as they stand in the template.
fn items<'t>(resolver: &Resolver<'t>, body: &'t Node) -> Vec<&'t Node> {
    let properties = body.get("Properties").and_then(|node| tree(resolver, node));
    let controls = properties.and_then(|properties| list(resolver, properties.get("FrameworkControls")?));
    controls.unwrap_or_default()
}

fn tree<'t>(resolver: &Resolver<'t>, node: &'t Node) -> Option<&'t Node> {
    match resolver.resolve(node) {
        Found::Tree(tree) => Some(tree),
        Found::Text(_) | Found::Texts(_) | Found::Pieces(_) | Found::Unknown | Found::Absent => None,
    }
}

/// The items of a list that are mappings.
fn list<'t>(resolver: &Resolver<'t>, node: &'t Node) -> Option<Vec<&'t Node>> {
    let items = tree(resolver, node)?.as_sequence()?;
    Some(items.iter().filter_map(|item| tree(resolver, item)).collect())
}

/// The parameters that are given and not known.
fn unknown<'t>(resolver: &Resolver<'t>, used: &FrameworkControl, item: &'t Node) -> Vec<&'static str> {
    let Some(node) = item.get("ControlInputParameters") else { return Vec::new() };
    let all = || used.control.parameters.iter().map(|parameter| parameter.name);
    let items = match resolver.resolve(node) {
        Found::Absent => return Vec::new(),
        Found::Tree(tree) => tree.as_sequence().unwrap_or_default(),
        Found::Text(_) | Found::Texts(_) | Found::Pieces(_) | Found::Unknown => return all().collect(),
    };
    let mut unknown = Vec::new();
    for item in items {
        match resolver.resolve(item) {
            Found::Absent => {}
            // One that may be there may be any.
            Found::Unknown | Found::Text(_) | Found::Texts(_) | Found::Pieces(_) => {
                return all().filter(|name| !used.parameters.contains_key(*name)).collect();
            }
            Found::Tree(pair) => {
                let text =
                    |key: &str| pair.get(key).map_or(Resolved::Absent, |node| resolver.resolve(node).into_resolved());
                match (text("ParameterName"), text("ParameterValue")) {
                    (Resolved::Text(name), Resolved::Unknown) => {
                        unknown.extend(all().find(|parameter| *parameter == name));
                    }
                    (Resolved::Unknown, _) => {
                        return all().filter(|name| !used.parameters.contains_key(*name)).collect();
                    }
                    _ => {}
                }
            }
        }
    }
    unknown
}

fn scope<'t>(resolver: &Resolver<'t>, item: &'t Node) -> Narrowed {
    let Some(node) = item.get("ControlScope") else { return Narrowed::Not };
    let scope = match resolver.resolve(node) {
        Found::Absent => return Narrowed::Not,
        Found::Tree(scope) => scope,
        Found::Text(_) | Found::Texts(_) | Found::Pieces(_) | Found::Unknown => return Narrowed::Unknown,
    };
    let texts = |key: &str| -> Option<Vec<String>> {
        let Some(node) = scope.get(key) else { return Some(Vec::new()) };
        match resolver.resolve(node) {
            Found::Absent => Some(Vec::new()),
            // The value of a list parameter, or a text that was split.
            Found::Texts(texts) => Some(texts),
            Found::Text(_) | Found::Pieces(_) | Found::Unknown => None,
            Found::Tree(tree) => tree
                .as_sequence()
                .unwrap_or_default()
                .iter()
                .map(|item| resolver.resolve(item).into_resolved())
                .filter(|item| *item != Resolved::Absent)
                .map(|item| if let Resolved::Text(text) = item { Some(text) } else { None })
                .collect(),
        }
    };
    let (Some(ids), Some(types)) = (texts("ComplianceResourceIds"), texts("ComplianceResourceTypes")) else {
        return Narrowed::Unknown;
    };
    // A name of a service, or a type as AWS's own sample has it for vaults. What is neither is a finding of lint's.
    let types: Vec<String> =
        types.into_iter().map(|name| control::config_type(&name).map_or(name, str::to_owned)).collect();
    if let Some(id) = ids.into_iter().next() {
        return Narrowed::Resource { id, types };
    }
    match scope.get("Tags").map(|node| resolver.resolve(node)) {
        None | Some(Found::Absent) => {}
        Some(Found::Unknown | Found::Text(_) | Found::Texts(_) | Found::Pieces(_)) => return Narrowed::Unknown,
        Some(Found::Tree(tags)) => {
            if let Some(tag) = tags.as_sequence().and_then(|tags| tags.first()) {
                let text = |key: &str| {
                    let tag = tree(resolver, tag)?;
                    Some(tag.get(key).map_or(Resolved::Absent, |node| resolver.resolve(node).into_resolved()))
                };
                return match (text("Key"), text("Value")) {
                    (Some(Resolved::Text(key)), Some(Resolved::Text(value))) => {
                        Narrowed::Tag { key, value: Some(value).filter(|value| !value.is_empty()), types }
                    }
                    (Some(Resolved::Text(key)), Some(Resolved::Absent)) => Narrowed::Tag { key, value: None, types },
                    _ => Narrowed::Unknown,
                };
            }
        }
    }
    if types.is_empty() { Narrowed::Not } else { Narrowed::Types(types) }
}
