//! Checks sections, resource attributes, parameter declarations, outputs and logical ids: BC111 to BC113 (CloudFormation user guide,
//! "Template sections").

use syntax::diagnostic::{Diagnostics, Edit};
use syntax::template::Template;
use syntax::text::{closest_match, printable};
use syntax::yaml::Node;

use super::is_generator;
use crate::definition::read::{ATTRIBUTES, TYPE};
use crate::rules::cloudformation::{LOGICAL_ID, SKELETON, UNKNOWN_PART};

const SECTIONS: &[&str] = &[
    "AWSTemplateFormatVersion",
    "Description",
    "Metadata",
    "Parameters",
    "Rules",
    "Mappings",
    "Conditions",
    "Transform",
    "Hooks",
    "Resources",
    "Outputs",
];

/// The properties of a parameter (CloudFormation template reference, "Parameters").
const OF_PARAMETER: &[&str] = &[
    "Type",
    "Default",
    "AllowedValues",
    "AllowedPattern",
    "ConstraintDescription",
    "Description",
    "MaxLength",
    "MinLength",
    "MaxValue",
    "MinValue",
    "NoEcho",
];

const PARAMETER_TYPES: &[&str] = &["String", "Number", "List<Number>", "CommaDelimitedList", "List<String>"];

/// The values of `DeletionPolicy` and `UpdateReplacePolicy` (CloudFormation template reference).
const POLICIES: [(&str, &[&str]); 2] = [
    ("DeletionPolicy", &["Delete", "Retain", "RetainExceptOnCreate", "Snapshot"]),
    ("UpdateReplacePolicy", &["Delete", "Retain", "Snapshot"]),
];

const VERSION: &str = "2010-09-09";

/// Most characters of a logical id and of the description.
const LONGEST_ID: usize = 255;
const LONGEST_DESCRIPTION: usize = 1_024;

pub(super) fn check(diagnostics: &mut Diagnostics<'_, '_>, template: &Template, is_serverless: bool) {
    let root = template.root();
    let globals: &[&str] = if is_serverless { &["Globals"] } else { &[] };
    unknown_keys(diagnostics, (&|| "a template".to_owned(), "section"), root, (SECTIONS, globals));
    head(diagnostics, root);
    for name in ["Parameters", "Rules", "Mappings", "Conditions", "Outputs", "Metadata"] {
        if let Some(section) = root.get(name)
            && section.entries().is_none()
            && !section.is_null()
        {
            let message = format!("`{name}` is {}", section.describe());
            diagnostics.report(&SKELETON, section, message, "write a mapping");
        }
    }
    for name in ["Parameters", "Mappings", "Resources", "Outputs"] {
        for (key, _) in template.root().section(name).iter().filter(|(key, _)| !is_generator(key)) {
            logical_id(diagnostics, name, key);
        }
    }
    for (key, body) in template.root().section("Parameters").iter().filter(|(key, _)| !is_generator(key)) {
        parameter(diagnostics, key, body);
    }
    let conditions = template.root().section("Conditions").iter().filter(|(key, _)| !is_generator(key));
    conditions.for_each(|(key, body)| condition(diagnostics, key, body));
    for (key, body) in template.root().section("Resources").iter().filter(|(key, _)| !is_generator(key)) {
        resource(diagnostics, key, body, is_serverless);
    }
    for (key, body) in template.root().section("Outputs").iter().filter(|(key, _)| !is_generator(key)) {
        let has_value = body
            .entries()
            .is_none_or(|entries| entries.iter().any(|(key, _)| key.as_str() == Some("Value") || is_generator(key)));
        if !body.is_null() && (!has_value || body.entries().is_none()) {
            let message = format!("the output `{}` has no `Value`", printable(key.as_str().unwrap_or_default()));
            diagnostics.report(&SKELETON, key, message, "add its `Value`");
        }
    }
}

/// Checks version and description.
fn head(diagnostics: &mut Diagnostics<'_, '_>, root: &Node) {
    if let Some(node) = root.get("AWSTemplateFormatVersion").filter(|node| !node.is_null())
        && node.as_str().is_none_or(|version| !version.trim().starts_with(VERSION))
    {
        let shown =
            node.as_str().map_or_else(|| node.describe().to_owned(), |version| format!("`{}`", printable(version)));
        let edits = diagnostics.rewritten(SKELETON.level, node, VERSION).into_iter().collect();
        let message = format!("`AWSTemplateFormatVersion` is {shown}");
        diagnostics.report_fixable(&SKELETON, node, message, format!("write `{VERSION}`, the only version"), edits);
    }
    let Some(node) = root.get("Description").filter(|node| !node.is_null()) else { return };
    match node.as_str() {
        Some(text) if text.len() > LONGEST_DESCRIPTION => {
            let message = format!("`Description` has {} bytes", text.len());
            diagnostics.report(&SKELETON, node, message, format!("shorten it to {LONGEST_DESCRIPTION} bytes"));
        }
        Some(_) => {}
        None => diagnostics.report(&SKELETON, node, format!("`Description` is {}", node.describe()), "write a string"),
    }
}

fn logical_id(diagnostics: &mut Diagnostics<'_, '_>, section: &str, key: &Node) {
    let Some(name) = key.as_str() else { return };
    let odd = name.chars().find(|c| !c.is_ascii_alphanumeric());
    // A loop with an unknown list generates the name.
    if (odd.is_none() && name.len() <= LONGEST_ID && !name.is_empty()) || name.contains("${") || name.contains("&{") {
        return;
    }
    let what = match odd {
        Some(odd) => format!("contains `{}`", odd.escape_debug()),
        None => format!("has {} characters", name.len()),
    };
    let kind = section.trim_end_matches('s').to_lowercase();
    let message = format!("the name of the {kind} `{}` is not alphanumeric: it {what}", printable(name));
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let help = match odd {
        Some(_) if !letters.is_empty() => format!("use letters and digits only, such as `{}`", printable(&letters)),
        _ => format!("use 1 to {LONGEST_ID} letters and digits"),
    };
    diagnostics.report(&LOGICAL_ID, key, message, help);
}

fn parameter(diagnostics: &mut Diagnostics<'_, '_>, key: &Node, body: &Node) {
    let name = || printable(key.as_str().unwrap_or_default());
    unknown_keys(diagnostics, (&|| format!("the parameter `{}`", name()), "property"), body, (OF_PARAMETER, &[]));
    if let Some(values) = body.get("AllowedValues").filter(|values| values.as_sequence().is_none() && !values.is_null())
    {
        let message = format!("`AllowedValues` of the parameter `{}` is {}", name(), values.describe());
        diagnostics.report(&SKELETON, values, message, "write a list");
    }
    let Some((node, kind)) = body.get("Type").and_then(|node| Some((node, node.as_str()?))) else { return };
    let inner = kind.strip_prefix("List<").and_then(|kind| kind.strip_suffix('>')).unwrap_or(kind);
    // AWS adds types of this form.
    if kind.is_empty() || PARAMETER_TYPES.contains(&kind) || inner.starts_with("AWS::") {
        return;
    }
    let lower = kind.to_lowercase();
    let (help, edits) = match (lower.as_str(), closest_match(kind, PARAMETER_TYPES.iter().copied())) {
        ("bool" | "boolean", _) => ("use `String` with `AllowedValues: ['true', 'false']`".to_owned(), Vec::new()),
        ("int" | "integer" | "float" | "double", _) => ("use `Number`".to_owned(), Vec::new()),
        ("list" | "array", _) => ("use `CommaDelimitedList`".to_owned(), Vec::new()),
        (_, Some(closest)) => {
            let is_same = lower == closest.to_lowercase();
            let edit = diagnostics.rewritten(SKELETON.level, node, closest).filter(|_| is_same);
            (format!("did you mean `{closest}`?"), edit.into_iter().collect())
        }
        (_, None) => ("use `String`, `Number` or `CommaDelimitedList`".to_owned(), Vec::new()),
    };
    let message = format!("the type `{}` of the parameter `{}` does not exist", printable(kind), name());
    diagnostics.report_fixable(&SKELETON, node, message, help, edits);
}

fn resource(diagnostics: &mut Diagnostics<'_, '_>, key: &Node, body: &Node, is_serverless: bool) {
    let name = || printable(key.as_str().unwrap_or_default());
    let kind = body.get("Type").and_then(Node::as_str).unwrap_or_default();
    // The reader of frameworks reports their attributes, and SAM has more.
    if kind != TYPE && !kind.starts_with("AWS::Serverless::") {
        let is_custom = kind.starts_with("Custom::") || kind == "AWS::CloudFormation::CustomResource";
        let more: &[&str] = match (is_custom, is_serverless) {
            (true, true) => &["Version", "Connectors"],
            (true, false) => &["Version"],
            (false, true) => &["Connectors"],
            (false, false) => &[],
        };
        unknown_keys(diagnostics, (&|| format!("the resource `{}`", name()), "attribute"), body, (ATTRIBUTES, more));
    }
    for (attribute, values) in POLICIES {
        if let Some(node) = body.get(attribute).filter(|node| !node.is_null())
            && !is_policy(node, kind, values)
        {
            policy(diagnostics, (attribute, values), &name(), kind, node);
        }
    }
}

/// Whether a deletion policy is valid. The language extensions allow functions in it.
fn is_policy(node: &Node, kind: &str, values: &[&str]) -> bool {
    let is_function = node.tag.is_some() || node.entries().is_some();
    let is_supported = |value: &str| value != "Snapshot" || !kind.starts_with("AWS::Backup::");
    is_function || node.as_str().is_some_and(|value| values.contains(&value) && is_supported(value))
}

/// Reports an invalid deletion policy.
fn policy(
    diagnostics: &mut Diagnostics<'_, '_>,
    (attribute, values): (&str, &[&str]),
    name: &str,
    kind: &str,
    node: &Node,
) {
    let mut edits = Vec::new();
    let value = match node.as_str() {
        None => node.describe().to_owned(),
        // Of the types that AWS Backup protects, some have snapshots.
        Some(value) if values.contains(&value) => format!("`{value}`, which `{}` does not support", printable(kind)),
        Some(value) => {
            let is_kept = diagnostics.has_room(SKELETON.level);
            let same = values.iter().find(|known| is_kept && known.eq_ignore_ascii_case(value));
            edits.extend(same.and_then(|known| diagnostics.rewritten(SKELETON.level, node, known)));
            format!("`{}`", printable(value))
        }
    };
    let message = format!("`{attribute}` of the resource `{name}` is {value}");
    diagnostics.report_fixable(&SKELETON, node, message, format!("use one of {}", listed(values)), edits);
}

/// Checks that a condition is a condition function.
fn condition(diagnostics: &mut Diagnostics<'_, '_>, key: &Node, node: &Node) {
    let is_function = node
        .tag
        .as_deref()
        .map_or_else(|| matches!(node.entries(), Some([(key, _)]) if key.as_str() != Some("Ref")), |tag| tag != "Ref");
    if !is_function && !node.is_null() {
        let message =
            format!("the condition `{}` is not a condition function", printable(key.as_str().unwrap_or_default()));
        diagnostics.report(&SKELETON, key, message, "use `Fn::Equals`, `Fn::And`, `Fn::Or`, `Fn::Not` or `Condition`");
    }
}

/// Reports keys of a mapping that are in none of two lists.
fn unknown_keys(
    diagnostics: &mut Diagnostics<'_, '_>,
    (of, what): (&dyn Fn() -> String, &str),
    mapping: &Node,
    (known, more): (&[&str], &[&str]),
) {
    let is_known = |name: &str| known.contains(&name) || more.contains(&name);
    let entries = mapping.entries().unwrap_or_default();
    if entries.iter().all(|(key, _)| key.as_str().is_none_or(is_known)) {
        return;
    }
    let keys = entries.iter().map(|(key, _)| key).filter(|key| !is_generator(key));
    let unknown: Vec<&Node> = keys.filter(|key| key.as_str().is_some_and(|name| !is_known(name))).collect();
    let known = [known, more].concat();
    for key in &unknown {
        let name = key.as_str().unwrap_or_default();
        let missing = known.iter().copied().filter(|known| mapping.get(known).is_none());
        let (help, edits): (String, Vec<Edit>) = match diagnostics.closest(UNKNOWN_PART.level, name, missing) {
            Some(closest) => {
                let edit = diagnostics.rewritten(UNKNOWN_PART.level, key, closest).filter(|_| unknown.len() == 1);
                (format!("did you mean `{closest}`?"), edit.into_iter().collect())
            }
            None => (format!("remove it, or use one of {}", listed(&known)), Vec::new()),
        };
        let message = format!("{} has no {what} `{}`", of(), printable(name));
        diagnostics.report_fixable(&UNKNOWN_PART, *key, message, help, edits);
    }
}

fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
