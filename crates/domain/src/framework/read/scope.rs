//! What a control is narrowed to.

use std::collections::BTreeSet;

use super::{Reading, listed};
use crate::control::{self, Control, SCOPE_NAMES, Scope};
use crate::fault::nearest;
use crate::framework::Narrowing;
use crate::ids::shown;
use crate::lint::rules;
use crate::template::{Found, Resolved};
use crate::yaml::Node;

const TYPES: &str = "ComplianceResourceTypes";
const IDS: &str = "ComplianceResourceIds";
const TAGS: &str = "Tags";

pub(super) fn read<'t>(
    reading: &mut Reading<'_, '_, '_, 't>,
    control: &'static Control,
    node: Option<&'t Node>,
) -> Narrowing {
    let nothing = Narrowing::default();
    let Some(node) = node else { return nothing };
    let scope = match reading.resolver.resolve(node) {
        Found::Tree(scope) if scope.entries().is_some() => scope,
        Found::Absent => return nothing,
        Found::Unknown | Found::Pieces(_) => return Narrowing { is_unknown: true, ..nothing },
        Found::Tree(_) | Found::Text(_) | Found::Texts(_) => {
            let problem = format!("`ControlScope` is {}", node.describe());
            reading.tell(&rules::SHAPE, node, problem, format!("write {} under it", listed(&[TYPES, IDS, TAGS])));
            return nothing;
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
        let problem = format!("`{IDS}` lists {} resources", ids.len());
        reading.tell(
            &rules::SEVERAL_RESOURCES,
            second.0,
            problem,
            "a control can be narrowed to one resource: keep one",
        );
    }
    if let [_, second, ..] = tags.as_slice() {
        let problem = format!("`{TAGS}` lists {} tags", tags.len());
        reading.tell(&rules::SEVERAL_TAGS, second.0, problem, "a control can be narrowed to one tag: keep one");
    }
    report_scopes(reading, control, scope, [!tags.is_empty(), !types.is_empty(), !ids.is_empty()]);
    if !ids.is_empty() && types.is_empty() && types_known {
        let problem = format!("`{IDS}` is given without `{TYPES}`");
        reading.tell(
            &rules::RESOURCE_WITHOUT_TYPE,
            scope,
            problem,
            format!("say of what type the resource is in `{TYPES}`"),
        );
    }
    if control.scopes.contains(&Scope::ResourceTypes) {
        check_types(reading, &types);
    }
    let plain = |texts: Vec<(&Node, String)>| texts.into_iter().map(|(_, text)| text).collect();
    Narrowing {
        resource_types: plain(types),
        resource_ids: plain(ids),
        tags: tags.into_iter().map(|(_, tag)| tag).collect(),
        is_unknown: !(types_known && ids_known && tags_known),
    }
}

/// The known texts of a list, and whether they are all.
fn texts<'t>(reading: &mut Reading<'_, '_, '_, 't>, scope: &'t Node, key: &str) -> (Vec<(&'t Node, String)>, bool) {
    let Some(items) = reading.list(scope.get(key), key) else { return (Vec::new(), false) };
    let mut texts = Vec::new();
    let mut is_known = true;
    for (node, item) in items {
        match item {
            Found::Text(text) => texts.push((node, text)),
            Found::Unknown | Found::Absent | Found::Pieces(_) => is_known = false,
            Found::Tree(_) | Found::Texts(_) => {
                let problem = format!("an item of `{key}` is {}", node.describe());
                reading.tell(&rules::SHAPE, node, problem, "write one text");
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
            Found::Tree(tag) if tag.entries().is_some() => tag,
            Found::Unknown | Found::Absent | Found::Pieces(_) => {
                is_known = false;
                continue;
            }
            Found::Tree(_) | Found::Text(_) | Found::Texts(_) => {
                reading.tell(&rules::TAG_SHAPE, node, "this tag is no mapping", "write `- Key: ...` with its `Value`");
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
                reading.tell(&rules::TAG_SHAPE, tag, "this tag has no `Key`", "add one, such as `Key: environment`");
            }
            (Resolved::Unknown, _) | (_, Resolved::Unknown) => is_known = false,
        }
    }
    (tags, is_known)
}

/// A list that is written and has nothing in it narrows nothing, which is seldom what is meant.
fn report_empty<'t>(reading: &mut Reading<'_, '_, '_, 't>, scope: &'t Node, key: &str, is_whole: bool) {
    let Some(node) = scope.get(key) else { return };
    if reading.resolver.items(node).is_some_and(|items| items.is_empty()) && !node.is_null() {
        // `AWS::NoValue` says on purpose that there is none.
        if reading.resolver.resolve(node) == Found::Absent {
            return;
        }
        let (problem, fix) = match is_whole {
            true => ("so the control judges everything", "list what it is to judge, or remove the key"),
            false => ("and narrows nothing", "remove the key: the others narrow the control"),
        };
        reading.tell(&rules::EMPTY_SCOPE, node, format!("`{key}` is empty, {problem}"), fix);
    }
}

fn report_scopes(
    reading: &mut Reading<'_, '_, '_, '_>,
    control: &'static Control,
    scope: &Node,
    [has_tags, has_types, has_ids]: [bool; 3],
) {
    let words = |scope: &Scope| match scope {
        Scope::Tag => "one tag",
        Scope::ResourceTypes => "resource types",
        Scope::SingleResource => "one resource",
    };
    let used: Vec<(Scope, &str)> = [
        (Scope::Tag, TAGS, has_tags),
        (Scope::SingleResource, IDS, has_ids),
        // With an id, the type only says what the id is of.
        (Scope::ResourceTypes, TYPES, has_types && !has_ids),
    ]
    .into_iter()
    .filter_map(|(scope, key, is_used)| is_used.then_some((scope, key)))
    .collect();
    let allowed: Vec<&str> = control.scopes.iter().map(words).collect();
    for (used, key) in &used {
        if !control.scopes.contains(used) {
            let place = scope.get(key).map_or(scope.at, |node| node.at);
            let problem = format!("the control `{}` cannot be narrowed to {}", control.name, words(used));
            let fix = format!("remove `{key}`: it can be narrowed to {}", allowed.join(" or "));
            reading.tell(&rules::SCOPE_NOT_ALLOWED, place, problem, fix);
        }
    }
    if used.len() > 1 {
        let keys: Vec<&str> = used.iter().map(|(_, key)| *key).collect();
        let problem = format!("the control is narrowed by {} at once", listed(&keys));
        reading.tell(&rules::MIXED_SCOPE, scope, problem, "AWS documents one of them at a time: keep one");
    }
}

fn check_types<'t>(reading: &mut Reading<'_, '_, '_, 't>, types: &[(&'t Node, String)]) {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    // A change must not make a type stand twice.
    let mut taken: BTreeSet<&str> = types.iter().map(|(_, name)| name.as_str()).collect();
    for (node, name) in types {
        let meant = control::scope_name(name);
        if !seen.insert(meant.unwrap_or(name)) {
            let problem = format!("the resource type `{}` is listed twice", shown(name));
            reading.tell(&rules::REPEATED_TYPE, *node, problem, "keep one of the two");
        }
        match meant {
            Some(meant) if meant == name => {}
            Some(meant) if name.contains("::") => {
                let edits = if taken.insert(meant) { reading.rewritten(node, meant) } else { Vec::new() };
                let problem = format!("`{}` is what CloudFormation calls the type", shown(name));
                let fix = format!("write `{meant}`: Audit Manager takes the names of services here");
                reading.faults.tell(&rules::UNKNOWN_TYPE, *node, problem, fix, edits);
            }
            Some(meant) => {
                let edits = if taken.insert(meant) { reading.rewritten(node, meant) } else { Vec::new() };
                let problem = format!("the resource type `{}` is documented in another spelling", shown(name));
                reading.faults.tell(&rules::TYPE_SPELLING, *node, problem, format!("write `{meant}`"), edits);
            }
            None => {
                let names: Vec<&str> = SCOPE_NAMES.iter().map(|(name, _)| *name).collect();
                let is_known = control::is_not_audited(name);
                // CloudFormation's name without its `AWS::` is nearer to it than to any service.
                let is_open = !is_known && reading.faults.has_room(rules::UNKNOWN_TYPE.level);
                let near =
                    || control::scope_name(&format!("AWS::{name}")).or_else(|| nearest(name, names.iter().copied()));
                let (fix, edits) = match is_open.then(near).flatten() {
                    Some(near) => {
                        let edits = if taken.insert(near) { reading.rewritten(node, near) } else { Vec::new() };
                        (format!("did you mean `{near}`?"), edits)
                    }
                    None => (format!("there are {}", listed(&names)), Vec::new()),
                };
                let problem = match is_known {
                    true => format!("Audit Manager does not judge resources of the type `{}`", shown(name)),
                    false => format!("there is no resource type `{}`", shown(name)),
                };
                reading.faults.tell(&rules::UNKNOWN_TYPE, *node, problem, fix, edits);
            }
        }
    }
}
