//! Warns about values without quotes that CloudFormation reads as other strings: BC121.
//!
//! Only values that are certainly used as strings are reported: those of frameworks, tags, names, account ids, string parameters and
//! comparisons. `True` is harmless as the value of a boolean property.

use syntax::diagnostic::{Diagnostics, Edit, Position};
use syntax::template::Template;
use syntax::text::printable;
use syntax::yaml::{Node, Value, Yaml11};

use crate::definition::read::TYPE;
use crate::rules::cloudformation::UNQUOTED;

/// The readings that are reported.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reported {
    /// All.
    All,
    /// Integers only: the value may be used as a boolean or a floating-point number.
    Integers,
}

pub(super) fn check(diagnostics: &mut Diagnostics<'_, '_>, template: &Template) {
    let mut unquoted = Unquoted { diagnostics };
    for (_, body) in template.root().section("Parameters") {
        let kind = body.get("Type").and_then(Node::as_str).unwrap_or_default();
        let reported = if matches!(kind, "Number" | "List<Number>") { Reported::Integers } else { Reported::All };
        for key in ["Default", "AllowedValues"] {
            body.get(key).into_iter().for_each(|node| unquoted.text(node, reported));
        }
    }
    for (_, body) in template.root().section("Mappings") {
        unquoted.keys_and_values(body);
    }
    for name in ["Conditions", "Rules"] {
        template.root().section(name).iter().for_each(|(_, body)| unquoted.comparisons(body));
    }
    for (_, body) in template.root().section("Resources") {
        let Some(properties) = body.get("Properties") else { continue };
        match body.get("Type").and_then(Node::as_str) {
            Some(TYPE) => unquoted.text(properties, Reported::All),
            _ => unquoted.resource(properties),
        }
    }
    for (_, body) in template.root().section("Outputs") {
        body.get("Export").into_iter().for_each(|export| unquoted.text(export, Reported::All));
    }
}

struct Unquoted<'r, 's, 'f> {
    diagnostics: &'r mut Diagnostics<'s, 'f>,
}

impl Unquoted<'_, '_, '_> {
    /// Checks every scalar of a node that is used as a string. Recursive: the tree has at most [`syntax::yaml::MAX_DEPTH`] levels.
    fn text(&mut self, node: &Node, reported: Reported) {
        match &node.value {
            Value::Scalar { .. } => self.scalar(node, reported),
            Value::Sequence(items) => items.iter().for_each(|item| self.text(item, reported)),
            Value::Mapping(entries) => entries.iter().for_each(|(_, value)| self.text(value, reported)),
        }
    }

    /// Checks the keys and values of a mapping in `Mappings`, which may be used as booleans.
    fn keys_and_values(&mut self, node: &Node) {
        for (key, value) in node.entries().unwrap_or_default() {
            self.scalar(key, Reported::Integers);
            self.keys_and_values(value);
        }
        node.as_sequence().unwrap_or_default().iter().for_each(|item| self.keys_and_values(item));
        self.scalar(node, Reported::Integers);
    }

    /// Checks the operands of comparisons, which are strings.
    fn comparisons(&mut self, node: &Node) {
        let is_comparison =
            |name: &str| matches!(name, "Equals" | "FindInMap" | "Contains" | "EachMemberIn" | "EachMemberEquals");
        if node.tag.as_deref().is_some_and(is_comparison) {
            self.text(node, Reported::All);
            return;
        }
        node.as_sequence().unwrap_or_default().iter().for_each(|item| self.comparisons(item));
        for (key, value) in node.entries().unwrap_or_default() {
            match key.as_str().and_then(|name| name.strip_prefix("Fn::")) {
                Some(function) if is_comparison(function) => self.text(value, Reported::All),
                _ => self.comparisons(value),
            }
        }
    }

    /// Checks the tags, names and account ids of a resource.
    fn resource(&mut self, node: &Node) {
        if node.tag.as_deref() == Some("FindInMap") {
            self.text(node, Reported::All);
            return;
        }
        node.as_sequence().unwrap_or_default().iter().for_each(|item| self.resource(item));
        for (key, value) in node.entries().unwrap_or_default() {
            match key.as_str().unwrap_or_default() {
                "ConditionKey" | "ConditionValue" | "Fn::FindInMap" => self.text(value, Reported::All),
                name if name.ends_with("Tags") => self.tags(value),
                name if is_name(name) && value.entries().is_none() => self.text(value, Reported::All),
                _ => self.resource(value),
            }
        }
    }

    /// Checks tags or conditions on tags: a list of mappings with key and value, or a mapping.
    fn tags(&mut self, node: &Node) {
        for item in node.as_sequence().unwrap_or_default() {
            let parts = ["Key", "Value", "ConditionKey", "ConditionValue"].into_iter().filter_map(|key| item.get(key));
            parts.for_each(|part| self.text(part, Reported::All));
        }
        node.entries().unwrap_or_default().iter().for_each(|(_, value)| self.text(value, Reported::All));
    }

    fn scalar(&mut self, node: &Node, reported: Reported) {
        let Some(text) = node.as_str().filter(|_| node.tag.is_none()) else { return };
        let (value, what) = match node.yaml11() {
            Some(Yaml11::Other(value)) => (value, ""),
            Some(Yaml11::Number(value)) => (value, "the number "),
            Some(Yaml11::Written | Yaml11::Null) | None => return,
        };
        let is_integer = what.is_empty() && value.ends_with(|c: char| c.is_ascii_digit());
        if reported == Reported::Integers && !is_integer {
            return;
        }
        let source = self.diagnostics.source();
        let is_there = self.diagnostics.has_room(UNQUOTED.level)
            && source.slice(node.at, node.end).is_some_and(|written| written.trim_end() == text);
        let quoted = format!("\"{text}\"");
        let end = Position { column: node.at.column + text.chars().count(), ..node.at };
        let edits = if is_there { vec![Edit { from: node.at, to: end, new: quoted.clone() }] } else { Vec::new() };
        let message =
            format!("CloudFormation reads the unquoted `{}` as {what}`{}`", printable(text), printable(&value));
        self.diagnostics.report_fixable(&UNQUOTED, node, message, format!("quote it: `{}`", printable(&quoted)), edits);
    }
}

/// Whether a property is a name or the id of an account.
fn is_name(property: &str) -> bool {
    property.ends_with("Name")
        || ["Account", "Accounts", "AccountId", "AccountIds"].iter().any(|end| property.ends_with(end))
        || property == "AWS"
}
