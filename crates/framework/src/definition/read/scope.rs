//! Reads the scope of a control.

use std::collections::BTreeSet;

use syntax::template::{NodeValue, Resolved};
use syntax::text::{closest_match, printable};
use syntax::yaml::Node;

use super::{Reading, listed};
use crate::control::{self, Control, SCOPE_NAMES, ScopeKind};
use crate::definition::ControlScope;
use crate::rules;

const TYPES: &str = "ComplianceResourceTypes";
const IDS: &str = "ComplianceResourceIds";
const TAGS: &str = "Tags";

// Long because each property of a scope has its own diagnostic.
pub(super) fn read<'t>(
    reading: &mut Reading<'_, '_, '_, 't>,
    control: &'static Control,
    node: Option<&'t Node>,
) -> ControlScope {
    let empty = ControlScope::default();
    let Some(node) = node else { return empty };
    let scope = match reading.resolver.resolve(node) {
        NodeValue::Tree(scope) if scope.entries().is_some() => scope,
        NodeValue::Absent => return empty,
        NodeValue::Unknown | NodeValue::Pieces(_) => return ControlScope { is_unknown: true, ..empty },
        NodeValue::Tree(_) | NodeValue::Text(_) | NodeValue::Texts(_) => {
            let message = format!("`ControlScope` is {}", node.describe());
            reading.diagnostics.report(
                &rules::framework::SHAPE,
                node,
                message,
                format!("write a mapping with {}", listed(&[TYPES, IDS, TAGS])),
            );
            return empty;
        }
    };
    reading.keys("`ControlScope`", scope, &[TYPES, IDS, TAGS], None);
    let (types, types_known) = texts(reading, scope, TYPES);
    let (ids, ids_known) = texts(reading, scope, IDS);
    let (tags, tags_known) = tags(reading, scope);
    let is_whole = types.is_empty() && ids.is_empty() && tags.is_empty() && types_known && ids_known && tags_known;
    for key in [TYPES, IDS, TAGS] {
        report_empty(reading, scope, key, is_whole);
    }
    if let [_, second, ..] = ids.as_slice() {
        let message = format!("`{IDS}` lists {} resources", ids.len());
        reading.diagnostics.report(
            &rules::scopes::SEVERAL_RESOURCES,
            second.0,
            message,
            "keep one: a scope has at most one resource",
        );
    }
    if let [_, second, ..] = tags.as_slice() {
        let message = format!("`{TAGS}` lists {} tags", tags.len());
        reading.diagnostics.report(
            &rules::scopes::SEVERAL_TAGS,
            second.0,
            message,
            "keep one: a scope has at most one tag",
        );
    }
    report_scopes(reading, control, scope, [!tags.is_empty(), !types.is_empty(), !ids.is_empty()]);
    if !ids.is_empty() && types.is_empty() && types_known {
        let message = format!("`{IDS}` is given without `{TYPES}`");
        reading.diagnostics.report(
            &rules::scopes::RESOURCE_WITHOUT_TYPE,
            scope,
            message,
            format!("add the type of the resource in `{TYPES}`"),
        );
    }
    if control.scopes.contains(&ScopeKind::ResourceTypes) {
        check_types(reading, &types);
    }
    let plain = |texts: Vec<(&Node, String)>| texts.into_iter().map(|(_, text)| text).collect();
    ControlScope {
        resource_types: plain(types),
        resource_ids: plain(ids),
        tags: tags.into_iter().map(|(_, tag)| tag).collect(),
        is_unknown: !(types_known && ids_known && tags_known),
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
                reading.diagnostics.report(&rules::framework::SHAPE, node, message, "write a string");
            }
        }
    }
    (texts, is_known)
}

type Tag = (String, Option<String>);

fn tags<'t>(reading: &mut Reading<'_, '_, '_, 't>, scope: &'t Node) -> (Vec<(&'t Node, Tag)>, bool) {
    let Some(items) = reading.list(scope.get(TAGS), TAGS) else { return (Vec::new(), false) };
    let mut tags = Vec::new();
    let mut is_known = true;
    for (node, item) in items {
        let tag = match item {
            NodeValue::Tree(tag) if tag.entries().is_some() => tag,
            NodeValue::Unknown | NodeValue::Absent | NodeValue::Pieces(_) => {
                is_known = false;
                continue;
            }
            NodeValue::Tree(_) | NodeValue::Text(_) | NodeValue::Texts(_) => {
                reading.diagnostics.report(
                    &rules::scopes::TAG_SHAPE,
                    node,
                    "the tag is not a mapping",
                    "write `- Key: ...` with its `Value`",
                );
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
                reading.diagnostics.report(
                    &rules::scopes::TAG_SHAPE,
                    tag,
                    "the tag has no `Key`",
                    "add one, such as `Key: environment`",
                );
            }
            (Resolved::Unknown, _) | (_, Resolved::Unknown) => is_known = false,
        }
    }
    (tags, is_known)
}

/// Reports an empty list, which does not limit the scope.
fn report_empty<'t>(reading: &mut Reading<'_, '_, '_, 't>, scope: &'t Node, key: &str, is_whole: bool) {
    let Some(node) = scope.get(key) else { return };
    if reading.resolver.items(node).is_some_and(|items| items.is_empty()) && !node.is_null() {
        // `AWS::NoValue` omits the list on purpose.
        if reading.resolver.resolve(node) == NodeValue::Absent {
            return;
        }
        let (message, help) = match is_whole {
            true => ("so the control evaluates every resource", "add items, or remove the key"),
            false => ("and does not limit the scope", "remove the key: the other keys limit the scope"),
        };
        reading.diagnostics.report(&rules::scopes::EMPTY_SCOPE, node, format!("`{key}` is empty, {message}"), help);
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
            reading.diagnostics.report(&rules::scopes::SCOPE_NOT_ALLOWED, place, message, help);
        }
    }
    if used.len() > 1 {
        let keys: Vec<&str> = used.iter().map(|(_, key)| *key).collect();
        let message = format!("the scope combines {}", listed(&keys));
        reading.diagnostics.report(
            &rules::scopes::MIXED_SCOPE,
            scope,
            message,
            "keep one: AWS documents no combination",
        );
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
            reading.diagnostics.report(&rules::scopes::REPEATED_TYPE, *node, message, "keep one of the two");
        }
        match meant {
            Some(meant) if meant == name => {}
            Some(meant) if name.contains("::") => {
                let edits = if taken.insert(meant) { reading.rewritten(node, meant) } else { Vec::new() };
                let message = format!("`{}` is a CloudFormation type", printable(name));
                let help = format!("write `{meant}`: Audit Manager uses names of services here");
                reading.diagnostics.report_fixable(&rules::scopes::UNKNOWN_TYPE, *node, message, help, edits);
            }
            Some(meant) => {
                let edits = if taken.insert(meant) { reading.rewritten(node, meant) } else { Vec::new() };
                let message = format!("the resource type `{}` differs from the documented spelling", printable(name));
                reading.diagnostics.report_fixable(
                    &rules::scopes::TYPE_SPELLING,
                    *node,
                    message,
                    format!("write `{meant}`"),
                    edits,
                );
            }
            None => {
                let names: Vec<&str> = SCOPE_NAMES.iter().map(|(name, _)| *name).collect();
                let is_known = control::is_not_audited(name);
                // Try the CloudFormation type without its `AWS::` first.
                let is_open = !is_known && reading.diagnostics.has_room(rules::scopes::UNKNOWN_TYPE.level);
                let near = || {
                    control::scope_name(&format!("AWS::{name}")).or_else(|| closest_match(name, names.iter().copied()))
                };
                let (help, edits) = match is_open.then(near).flatten() {
                    Some(near) => {
                        let edits = if taken.insert(near) { reading.rewritten(node, near) } else { Vec::new() };
                        (format!("did you mean `{near}`?"), edits)
                    }
                    None => (format!("use one of {}", listed(&names)), Vec::new()),
                };
                let message = match is_known {
                    true => format!("Audit Manager does not evaluate the resource type `{}`", printable(name)),
                    false => format!("the resource type `{}` does not exist", printable(name)),
                };
                reading.diagnostics.report_fixable(&rules::scopes::UNKNOWN_TYPE, *node, message, help, edits);
            }
        }
    }
}
