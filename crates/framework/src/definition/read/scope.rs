//! Reads the scope of a control.

use std::collections::BTreeSet;

use syntax::template::{NodeValue, Resolved};
use syntax::text::{printable, typing_error};
use syntax::yaml::Node;

use super::{NOT_A_TAG, Reading, listed};
use crate::control::{self, Control, SCOPE_NAMES, ScopeKind};
use crate::definition::ControlScope;
use crate::rules::framework::SHAPE;
use crate::rules::scopes;

const TYPES: &str = "ComplianceResourceTypes";
const IDS: &str = "ComplianceResourceIds";
const TAGS: &str = "Tags";

pub(super) fn read<'t>(
    reading: &mut Reading<'_, '_, '_, 't>,
    // `None` if the name of the control is wrong.
    control: Option<&'static Control>,
    node: Option<&'t Node>,
) -> ControlScope {
    let empty = ControlScope::default();
    let Some(node) = node else { return empty };
    let scope = match reading.resolver.resolve(node) {
        NodeValue::Tree(scope) if scope.entries().is_some() => scope,
        NodeValue::Absent => return empty,
        NodeValue::Unknown | NodeValue::Pieces(_) => return ControlScope { is_unknown: true, ..empty },
        NodeValue::Tree(_) | NodeValue::Text(_) | NodeValue::Texts(_) => {
            let help = format!("write a mapping with {}", listed(&[TYPES, IDS, TAGS]));
            reading.diagnostics.report(&SHAPE, node, format!("`ControlScope` is {}", node.describe()), help);
            return empty;
        }
    };
    reading.keys("`ControlScope`", scope, &[TYPES, IDS, TAGS], None);
    let (types, types_known) = texts(reading, scope, TYPES);
    let (ids, ids_known) = texts(reading, scope, IDS);
    let (tags, tags_known) = tags(reading, scope);
    let is_known = types_known && ids_known && tags_known;
    let is_whole = types.is_empty() && ids.is_empty() && tags.is_empty() && is_known;
    for key in [TYPES, IDS, TAGS] {
        report_empty(reading, scope, key, is_whole);
    }
    if let [_, (second, _), ..] = ids.as_slice() {
        let message = format!("`{IDS}` lists {} resources", ids.len());
        let help = "use the control once for each: a scope has at most one resource";
        reading.diagnostics.report(&scopes::SEVERAL_RESOURCES, *second, message, help);
    }
    if let [_, (second, _), ..] = tags.as_slice() {
        let message = format!("`{TAGS}` lists {} tags", tags.len());
        let help = "use the control once for each: a scope has at most one tag";
        reading.diagnostics.report(&scopes::SEVERAL_TAGS, *second, message, help);
    }
    if let Some(control) = control {
        report_scopes(reading, control, scope, [!tags.is_empty(), !types.is_empty(), !ids.is_empty()]);
    }
    if !ids.is_empty() && types.is_empty() && types_known {
        let message = format!("`{IDS}` is given without `{TYPES}`");
        let help = format!("add the type of the resource in `{TYPES}`");
        reading.diagnostics.report(&scopes::RESOURCE_WITHOUT_TYPE, scope, message, help);
    }
    if control.is_none_or(|control| control.scopes.contains(&ScopeKind::ResourceTypes)) {
        check_types(reading, &types);
        report_types_of_id(reading, &types, !ids.is_empty());
        control.into_iter().for_each(|control| report_types_without_rule(reading, control, &types));
    }
    let plain = |texts: Vec<(&Node, String)>| texts.into_iter().map(|(_, text)| text).collect();
    ControlScope {
        resource_types: plain(types),
        resource_ids: plain(ids),
        tags: tags.into_iter().map(|(_, tag)| tag).collect(),
        is_unknown: !is_known,
    }
}

/// Returns the known strings of a list, and whether all are known.
fn texts<'t>(reading: &mut Reading<'_, '_, '_, 't>, scope: &'t Node, key: &str) -> (Vec<(&'t Node, String)>, bool) {
    let Some(items) = reading.list(scope.get(key), key) else { return (Vec::new(), false) };
    let mut texts = Vec::new();
    let mut is_known = true;
    for (node, item) in items {
        match item {
            NodeValue::Text(text) => texts.push((node, text)),
            NodeValue::Unknown | NodeValue::Absent | NodeValue::Pieces(_) => is_known = false,
            NodeValue::Tree(_) | NodeValue::Texts(_) => {
                let message = format!("an item of `{key}` is {}", node.describe());
                reading.diagnostics.report(&SHAPE, node, message, "write a string");
            }
        }
    }
    (texts, is_known)
}

type ScopeTag = (String, Option<String>);

fn tags<'t>(reading: &mut Reading<'_, '_, '_, 't>, scope: &'t Node) -> (Vec<(&'t Node, ScopeTag)>, bool) {
    let Some(items) = reading.list(scope.get(TAGS), TAGS) else { return (Vec::new(), false) };
    let mut tags = Vec::new();
    let mut is_known = true;
    for item in items {
        let node = item.0;
        let tag = match reading.mapping(item, &scopes::TAG_SHAPE, NOT_A_TAG) {
            Ok(tag) => tag,
            Err(is_unknown) => {
                is_known &= !is_unknown;
                continue;
            }
        };
        let (_, key) = reading.text(tag, "Key");
        let (_, value) = reading.text(tag, "Value");
        reading.keys("a tag", tag, &["Key", "Value"], (key == Resolved::Absent).then_some("Key"));
        match (key, value) {
            (Resolved::Text(key), Resolved::Text(value)) => tags.push((node, (key, Some(value)))),
            (Resolved::Text(key), Resolved::Absent) => tags.push((node, (key, None))),
            (Resolved::Absent, _) => {
                let help = "add one, such as `Key: environment`";
                reading.diagnostics.report(&scopes::TAG_SHAPE, tag, "the tag has no `Key`", help);
            }
            (Resolved::Unknown, _) | (_, Resolved::Unknown) => is_known = false,
        }
    }
    (tags, is_known)
}

/// Reports an empty list, which does not limit the scope.
fn report_empty<'t>(reading: &mut Reading<'_, '_, '_, 't>, scope: &'t Node, key: &str, is_whole: bool) {
    let Some(node) = scope.get(key) else { return };
    // `AWS::NoValue` and null omit the list on purpose.
    let is_absent = reading.resolver.resolve(node) == NodeValue::Absent;
    if !is_absent && reading.resolver.items(node).is_some_and(|items| items.is_empty()) {
        let (message, help) = match is_whole {
            true => ("so the control evaluates every resource", "add items, or remove the key"),
            false => ("and does not limit the scope", "remove the key: the other keys limit the scope"),
        };
        reading.diagnostics.report(&scopes::EMPTY_SCOPE, node, format!("`{key}` is empty, {message}"), help);
    }
}

fn report_scopes(
    reading: &mut Reading<'_, '_, '_, '_>,
    control: &'static Control,
    scope: &Node,
    [has_tags, has_types, has_ids]: [bool; 3],
) {
    let words = |scope: &ScopeKind| match scope {
        ScopeKind::Tag => "one tag",
        ScopeKind::ResourceTypes => "resource types",
        ScopeKind::SingleResource => "one resource",
    };
    let used: Vec<(ScopeKind, &str)> = [
        (ScopeKind::Tag, TAGS, has_tags),
        (ScopeKind::SingleResource, IDS, has_ids),
        // With an id, the type belongs to the id.
        (ScopeKind::ResourceTypes, TYPES, has_types && !has_ids),
    ]
    .into_iter()
    .filter_map(|(scope, key, is_used)| is_used.then_some((scope, key)))
    .collect();
    let allowed: Vec<&str> = control.scopes.iter().map(words).collect();
    for (used, key) in &used {
        if !control.scopes.contains(used) {
            let place = scope.get(key).map_or(scope.at, |node| node.at);
            let message = format!("the control `{}` does not support a scope of {}", control.name, words(used));
            let help = format!("remove `{key}`; the control supports {}", allowed.join(" or "));
            reading.diagnostics.report(&scopes::SCOPE_NOT_ALLOWED, place, message, help);
        }
    }
    if used.len() > 1 {
        let keys: Vec<&str> = used.iter().map(|(_, key)| *key).collect();
        let message = format!("the scope combines {}", listed(&keys));
        let help = "keep one, which changes the evaluated resources: AWS documents no combination";
        reading.diagnostics.report(&scopes::MIXED_SCOPE, scope, message, help);
    }
}

/// Reports several types beside a resource id.
fn report_types_of_id(reading: &mut Reading<'_, '_, '_, '_>, types: &[(&Node, String)], has_id: bool) {
    let names: BTreeSet<&str> = types.iter().map(|(_, name)| control::scope_name(name).unwrap_or(name)).collect();
    if let (true, true, Some((node, _))) = (has_id, names.len() > 1, types.get(1)) {
        let message = format!("`{TYPES}` lists {} types for one resource id", names.len());
        let help = "keep the type of the resource: one resource id goes with one resource type";
        reading.diagnostics.report(&scopes::TYPES_OF_ID, *node, message, help);
    }
}

/// Reports types for which AWS Config has no managed rule of the control.
fn report_types_without_rule(
    reading: &mut Reading<'_, '_, '_, '_>,
    control: &'static Control,
    types: &[(&Node, String)],
) {
    let has_rule = |kind: &str| control.resource_types.contains(&kind);
    for (node, name) in types {
        let documented = control::scope_name(name);
        let Some((meant, ..)) =
            SCOPE_NAMES.iter().find(|(scope, kind, _)| documented == Some(scope) && !has_rule(kind))
        else {
            continue;
        };
        let with_rule = SCOPE_NAMES.iter().filter(|(_, kind, _)| has_rule(kind)).map(|(scope, ..)| *scope);
        let with_rule: Vec<&str> = with_rule.collect();
        let message = format!("`{meant}` is not evaluated: AWS has no rule of `{}` for this type", control.name);
        let help = format!("remove it from this scope; the control evaluates {}", listed(&with_rule));
        reading.diagnostics.report(&scopes::TYPE_WITHOUT_RULE, *node, message, help);
    }
}

fn check_types<'t>(reading: &mut Reading<'_, '_, '_, 't>, types: &[(&'t Node, String)]) {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    // An edit must not duplicate a type.
    let mut taken: BTreeSet<&str> = types.iter().map(|(_, name)| name.as_str()).collect();
    for (node, name) in types {
        let meant = control::scope_name(name);
        if !seen.insert(meant.unwrap_or(name)) {
            let message = format!("the resource type `{}` is listed twice", printable(name));
            reading.diagnostics.report(&scopes::REPEATED_TYPE, *node, message, "keep one of the two");
        }
        let shown = printable(name);
        let (rule, message, near, help) = match meant {
            Some(meant) if meant == name => continue,
            Some(meant) if name.contains("::") => {
                let help = format!("write `{meant}`: Audit Manager uses names of services here");
                (&scopes::UNKNOWN_TYPE, format!("`{shown}` is a CloudFormation type"), Some(meant), help)
            }
            Some(meant) => {
                let message = format!("the resource type `{shown}` differs from the documented spelling");
                (&scopes::TYPE_SPELLING, message, Some(meant), format!("write `{meant}`"))
            }
            None => {
                let names: Vec<&str> = SCOPE_NAMES.iter().map(|(name, ..)| *name).collect();
                let is_known = control::is_not_audited(name);
                let level = scopes::UNKNOWN_TYPE.level;
                // Try the CloudFormation type without its `AWS::` first.
                let prefixed = || control::scope_name(&format!("AWS::{name}"));
                let certain = || prefixed().or_else(|| typing_error(name, names.iter().copied()));
                let certain = if is_known { None } else { certain() };
                let similar = || reading.diagnostics.closest(level, name, names.iter().copied());
                let help = match certain.or_else(|| if is_known { None } else { similar() }) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("use one of {}", listed(&names)),
                };
                let message = match is_known {
                    true => format!("Audit Manager does not evaluate the resource type `{shown}`"),
                    false => format!("the resource type `{shown}` does not exist"),
                };
                (&scopes::UNKNOWN_TYPE, message, certain, help)
            }
        };
        let free = near.filter(|near| taken.insert(near));
        let edits = free.map(|near| reading.rewritten(rule, node, near)).unwrap_or_default();
        reading.diagnostics.report_fixable(rule, *node, message, help, edits);
    }
}
