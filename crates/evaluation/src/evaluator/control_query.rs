//! The controls of a framework with their parameters and scopes.

use std::collections::BTreeMap;

use framework::control::{self, Control, ParameterKind};
use framework::{Framework, FrameworkControl};
use syntax::template::{NodeValue, Resolved, Resolver, Template};
use syntax::yaml::Node;

/// A control as a framework uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlQuery {
    /// The control.
    pub control: &'static Control,
    /// The explicit parameters; the others have their defaults.
    pub parameters: BTreeMap<String, String>,
    /// Parameters whose values are known only at deployment.
    pub unknown: Vec<&'static str>,
    /// The resources that the control evaluates.
    pub scope: QueryScope,
}

/// The resources that a control evaluates (`ControlScope`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryScope {
    /// Every resource of the control's types.
    All,
    /// Resources of these AWS Config types.
    Types(Vec<String>),
    /// Resources with a tag; without a value, with any value. CloudFormation requires a value, so an empty one means
    /// any.
    Tag {
        /// The key.
        key: String,
        /// The value.
        value: Option<String>,
        /// Additional AWS Config types. AWS does not document the combination, so a resource with the tag and of
        /// another type is undecided.
        types: Vec<String>,
    },
    /// One resource.
    Resource {
        /// The id in AWS Config, the name, or the ARN.
        id: String,
        /// The possible types, because types can share ids; empty for any.
        types: Vec<String>,
    },
    /// Known only at deployment.
    Unknown,
}

impl ControlQuery {
    /// Returns a query over every resource, with default parameters.
    pub fn everything(control: &'static Control) -> Self {
        Self { control, parameters: BTreeMap::new(), unknown: Vec::new(), scope: QueryScope::All }
    }

    /// Returns the queries of a framework in the order of its controls. `template` and `given` are those that it was
    /// read with.
    pub fn all(framework: &Framework, template: &Template, given: &BTreeMap<String, String>) -> Vec<Self> {
        let resolver = Resolver::new(template, given);
        let body = template.resources().find(|(logical_id, _, _)| *logical_id == framework.logical_id);
        let items = body.and_then(|(_, _, body)| items(&resolver, body)).unwrap_or_default();
        let query = |used: &FrameworkControl| {
            let item = items.iter().find(|item| item.at == used.at);
            Self {
                control: used.control,
                parameters: used.parameters.clone(),
                unknown: item.map(|item| unknown(&resolver, used, item)).unwrap_or_default(),
                scope: item.map_or(QueryScope::Unknown, |item| scope(&resolver, item)),
            }
        };
        framework.controls.iter().map(query).collect()
    }

    /// Returns the explicit value of a parameter, or its default. An empty value counts as none.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let given = self.parameters.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        given.or_else(|| self.control.parameter(name)?.default)
    }

    /// Returns the first parameter that is unknown or invalid.
    pub(super) fn unclear(&self) -> Option<&'static str> {
        let unclear = |parameter: &&control::Parameter| match (parameter.kind, self.value(parameter.name)) {
            (_, None) => parameter.required,
            (ParameterKind::Integer { .. } | ParameterKind::Period { .. }, Some(value)) => {
                value.parse::<u32>().is_err()
            }
            (ParameterKind::OneOf(words), Some(value)) => !words.contains(&value),
            _ => false,
        };
        let of_template = self.unknown.first().copied();
        of_template.or_else(|| self.control.parameters.iter().find(unclear).map(|parameter| parameter.name))
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.value(name)?.parse().ok()
    }

    /// Returns a period of hours or days in minutes.
    pub(super) fn minutes(&self, value: &str, unit: &str) -> Option<u64> {
        let hours = if self.value(unit)? == "hours" { 1 } else { 24 };
        Some(self.number(value)? * hours * 60)
    }

    pub(super) fn list(&self, name: &str) -> Vec<&str> {
        let items = self.value(name).unwrap_or_default().split(',');
        items.map(str::trim).filter(|item| !item.is_empty()).collect()
    }
}

/// Returns the control nodes of a framework.
fn items<'t>(resolver: &Resolver<'t>, body: &'t Node) -> Option<Vec<&'t Node>> {
    let properties = tree(resolver, body.get("Properties")?)?;
    let controls = tree(resolver, properties.get("FrameworkControls")?)?.as_sequence()?;
    Some(controls.iter().filter_map(|item| tree(resolver, item)).collect())
}

fn tree<'t>(resolver: &Resolver<'t>, node: &'t Node) -> Option<&'t Node> {
    if let NodeValue::Tree(tree) = resolver.resolve(node) { Some(tree) } else { None }
}

fn resolved<'t>(resolver: &Resolver<'t>, mapping: &'t Node, key: &str) -> Resolved {
    mapping.get(key).map_or(Resolved::Absent, |node| resolver.resolve(node).into_resolved())
}

/// Returns the parameters whose values are known only at deployment.
fn unknown<'t>(resolver: &Resolver<'t>, used: &FrameworkControl, item: &'t Node) -> Vec<&'static str> {
    let all = || used.control.parameters.iter().map(|parameter| parameter.name);
    let items = match item.get("ControlInputParameters").map(|node| resolver.resolve(node)) {
        None | Some(NodeValue::Absent) => return Vec::new(),
        Some(NodeValue::Tree(tree)) => tree.as_sequence().unwrap_or_default(),
        Some(_) => return all().collect(),
    };
    let mut unknown = Vec::new();
    for item in items {
        let (name, value) = match resolver.resolve(item) {
            NodeValue::Absent => continue,
            NodeValue::Tree(pair) => {
                (resolved(resolver, pair, "ParameterName"), resolved(resolver, pair, "ParameterValue"))
            }
            _ => (Resolved::Unknown, Resolved::Unknown),
        };
        match (name, value) {
            (Resolved::Text(name), Resolved::Unknown) => unknown.extend(all().find(|parameter| *parameter == name)),
            // It may be any parameter.
            (Resolved::Unknown, _) => return all().filter(|name| !used.parameters.contains_key(*name)).collect(),
            _ => {}
        }
    }
    unknown
}

fn scope<'t>(resolver: &Resolver<'t>, item: &'t Node) -> QueryScope {
    match item.get("ControlScope").map(|node| resolver.resolve(node)) {
        None | Some(NodeValue::Absent) => QueryScope::All,
        Some(NodeValue::Tree(scope)) => known_scope(resolver, scope).unwrap_or(QueryScope::Unknown),
        Some(_) => QueryScope::Unknown,
    }
}

fn known_scope<'t>(resolver: &Resolver<'t>, scope: &'t Node) -> Option<QueryScope> {
    let texts = |key: &str| -> Option<Vec<String>> {
        match scope.get(key).map(|node| resolver.resolve(node)) {
            None | Some(NodeValue::Absent) => Some(Vec::new()),
            // The value of a list parameter, or the result of a split.
            Some(NodeValue::Texts(texts)) => Some(texts),
            Some(NodeValue::Tree(tree)) => {
                let items = tree.as_sequence().unwrap_or_default().iter();
                let items = items.map(|item| resolver.resolve(item).into_resolved());
                let known = items.filter(|item| *item != Resolved::Absent);
                known.map(|item| if let Resolved::Text(text) = item { Some(text) } else { None }).collect()
            }
            Some(_) => None,
        }
    };
    let (ids, types) = (texts("ComplianceResourceIds")?, texts("ComplianceResourceTypes")?);
    // A service name, or a type as in AWS's sample for vaults. Lint reports any other name.
    let types: Vec<String> =
        types.into_iter().map(|name| control::config_type(&name).map_or(name, str::to_owned)).collect();
    if let Some(id) = ids.into_iter().next() {
        return Some(QueryScope::Resource { id, types });
    }
    let tags = match scope.get("Tags").map(|node| resolver.resolve(node)) {
        None | Some(NodeValue::Absent) => &[],
        Some(NodeValue::Tree(tags)) => tags.as_sequence().unwrap_or_default(),
        Some(_) => return None,
    };
    if let Some(tag) = tags.first() {
        let tag = tree(resolver, tag)?;
        return match (resolved(resolver, tag, "Key"), resolved(resolver, tag, "Value")) {
            (Resolved::Text(key), Resolved::Text(value)) => {
                Some(QueryScope::Tag { key, value: Some(value).filter(|value| !value.is_empty()), types })
            }
            (Resolved::Text(key), Resolved::Absent) => Some(QueryScope::Tag { key, value: None, types }),
            _ => None,
        };
    }
    Some(if types.is_empty() { QueryScope::All } else { QueryScope::Types(types) })
}
