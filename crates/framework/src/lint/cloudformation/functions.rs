//! Checks functions and their arguments: BC114 to BC116 and BC119 (CloudFormation template reference, "Intrinsic functions").

use syntax::diagnostic::{Diagnostics, Edit, Position};
use syntax::template::Template;
use syntax::text::{closest_match, printable};
use syntax::yaml::{Node, Value};

use crate::rules::cloudformation::{ARGUMENTS, NO_VALUE, TRANSFORM, UNKNOWN_FUNCTION};

/// The functions, without their `Fn::`, in the order of bytes.
const KNOWN: &[&str] = &[
    "And",
    "Base64",
    "Cidr",
    "Contains",
    "EachMemberEquals",
    "EachMemberIn",
    "Equals",
    "FindInMap",
    "ForEach",
    "GetAZs",
    "GetAtt",
    "GetStackOutput",
    "If",
    "ImportValue",
    "Join",
    "Length",
    "Not",
    "Or",
    "RefAll",
    "Select",
    "Split",
    "Sub",
    "ToJsonString",
    "Transform",
    "ValueOf",
    "ValueOfAll",
];

const TEXT: &str = "AWS::NoValue";

pub(super) fn check(diagnostics: &mut Diagnostics<'_, '_>, template: &Template, has_extensions: bool) {
    let is_json = diagnostics.source().is_json();
    let mut functions = Functions { diagnostics, has_extensions, is_json, is_value: false };
    for name in ["Conditions", "Rules", "Resources", "Outputs"] {
        functions.is_value = matches!(name, "Resources" | "Outputs");
        functions.entries(template.root().section(name));
    }
}

struct Functions<'r, 's, 'f> {
    diagnostics: &'r mut Diagnostics<'s, 'f>,
    has_extensions: bool,
    is_json: bool,
    /// Whether `AWS::NoValue` can be meant.
    is_value: bool,
}

impl Functions<'_, '_, '_> {
    /// Recursive: the tree has at most [`syntax::yaml::MAX_DEPTH`] levels.
    fn node(&mut self, node: &Node) {
        if let Some(tag) = &node.tag {
            self.tag(node, tag);
            // The arguments of a macro are its own.
            if tag == "Transform" {
                return;
            }
        }
        match &node.value {
            Value::Scalar { text, .. } => {
                if self.is_value && text == TEXT && node.tag.is_none() {
                    self.no_value(node);
                }
            }
            Value::Sequence(items) => items.iter().for_each(|item| self.node(item)),
            Value::Mapping(entries) => self.entries(entries),
        }
    }

    fn entries(&mut self, entries: &[(Node, Node)]) {
        for (key, value) in entries {
            match key.as_str() {
                // Metadata is for other tools, and the arguments of a macro are its own.
                Some("Metadata" | "Fn::Transform") => continue,
                Some("Ref") if entries.len() == 1 => {
                    self.function(key, "Ref", value, value.tag.is_none());
                    if value.as_str().is_some() {
                        continue;
                    }
                }
                Some(name) => {
                    if let Some(function) = name.strip_prefix("Fn::") {
                        self.full(key, function, value);
                    }
                }
                None => {}
            }
            self.node(value);
        }
    }

    /// Checks a function in short form: `!Sub x`.
    fn tag(&mut self, node: &Node, tag: &str) {
        if matches!(tag, "Ref" | "Condition") || is_known(tag) {
            self.function(node, tag, node, true);
            return;
        }
        let known = || KNOWN.iter().copied().chain(["Ref", "Condition"]);
        let Some((closest, is_clear)) = Self::closest(tag, known) else { return };
        let written = format!("!{tag}");
        let end = Position { column: node.at.column + written.chars().count(), ..node.at };
        let is_there = self.diagnostics.source().slice(node.at, end) == Some(&*written);
        let edit = Edit { from: node.at, to: end, new: format!("!{closest}") };
        let edits = if is_clear && is_there { vec![edit] } else { Vec::new() };
        let message = format!("the function `!{}` does not exist", printable(tag));
        self.diagnostics.report_fixable(
            &UNKNOWN_FUNCTION,
            node.at,
            message,
            format!("did you mean `!{closest}`?"),
            edits,
        );
    }

    /// Checks a function in full form: `Fn::Sub: x`.
    fn full(&mut self, key: &Node, name: &str, value: &Node) {
        let (name, is_loop) = match name.split_once("::") {
            Some(("ForEach", _)) => ("ForEach", true),
            _ => (name, name == "ForEach"),
        };
        if is_loop || is_known(name) {
            self.function(key, name, value, value.tag.is_none());
            return;
        }
        let Some((closest, is_clear)) = Self::closest(name, || KNOWN.iter().copied()) else { return };
        let closest = format!("Fn::{closest}");
        let edit = self.diagnostics.rewritten(UNKNOWN_FUNCTION.level, key, &closest).filter(|_| is_clear);
        let message = format!("the function `Fn::{}` does not exist", printable(name));
        let help = format!("did you mean `{closest}`?");
        self.diagnostics.report_fixable(&UNKNOWN_FUNCTION, key, message, help, edit.into_iter().collect());
    }

    /// Returns the known function that resembles a name most, and whether it is the only one.
    fn closest<'k, I: Iterator<Item = &'k str>>(name: &str, known: impl Fn() -> I) -> Option<(&'k str, bool)> {
        let closest = closest_match(name, known())?;
        let is_only = || closest_match(name, known().filter(|other| *other != closest)).is_none();
        Some((closest, closest.eq_ignore_ascii_case(name) || is_only()))
    }

    /// Checks the argument of a known function. With `is_plain`, the argument is not a function in short form.
    fn function(&mut self, at: &Node, name: &str, argument: &Node, is_plain: bool) {
        let shown = || if matches!(name, "Ref" | "Condition") { name.to_owned() } else { format!("Fn::{name}") };
        let has_default = name == "FindInMap" && argument.as_sequence().is_some_and(|items| items.len() == 4);
        if !self.has_extensions && (has_default || matches!(name, "Length" | "ToJsonString" | "ForEach")) {
            let what =
                if has_default { "the `DefaultValue` of `Fn::FindInMap`".to_owned() } else { format!("`{}`", shown()) };
            let message = format!("{what} needs the transform `AWS::LanguageExtensions`");
            self.diagnostics.report(&TRANSFORM, at.at, message, "add `Transform: AWS::LanguageExtensions`");
            return;
        }
        // The language extensions allow functions in the argument of `Ref` too.
        if !is_plain || (is_call(argument) && (self.has_extensions || name != "Ref")) {
            return;
        }
        if let Some((what, help)) = invalid(name, argument) {
            self.diagnostics.report(&ARGUMENTS, at.at, format!("`{}` {what}", shown()), help);
        }
    }

    fn no_value(&mut self, node: &Node) {
        let edit = Edit { from: node.at, to: node.at, new: "!Ref ".to_owned() };
        let edits = if self.is_json { Vec::new() } else { vec![edit] };
        let help = "write `!Ref AWS::NoValue` to remove the property or item";
        self.diagnostics.report_fixable(&NO_VALUE, node, format!("`{TEXT}` is a text here"), help, edits);
    }
}

fn is_known(name: &str) -> bool {
    KNOWN.binary_search(&name).is_ok()
}

/// Whether an argument is a function in full form.
fn is_call(argument: &Node) -> bool {
    let is_function = |name: &str| name == "Ref" || name.starts_with("Fn::");
    matches!(argument.entries(), Some([(key, _)]) if key.as_str().is_some_and(is_function))
}

/// Returns what is invalid about an argument, and the help.
fn invalid(name: &str, argument: &Node) -> Option<(String, String)> {
    let list = argument.as_sequence();
    let numbers = match name {
        "And" | "Or" => Some((2, 10, "2 to 10 conditions")),
        "Not" => Some((1, 1, "a list of one condition")),
        "Equals" => Some((2, 2, "two values")),
        "If" => Some((3, 3, "a condition, the value if it holds, and the value if not (`!Ref AWS::NoValue` for none)")),
        "Join" => Some((2, 2, "a delimiter and a list")),
        "Split" => Some((2, 2, "a delimiter and a string")),
        "Select" => Some((2, 2, "an index and a list")),
        "FindInMap" => Some((3, 4, "a mapping and two keys")),
        "Cidr" => Some((2, 3, "a block, a count and the bits")),
        "Contains" | "EachMemberEquals" | "EachMemberIn" => Some((2, 2, "two values")),
        "ForEach" => Some((3, 3, "a variable, a list and a mapping")),
        _ => None,
    };
    if let Some((least, most, takes)) = numbers {
        let help = format!("it takes {takes}");
        let Some(items) = list else { return Some((format!("is given {}", argument.describe()), help)) };
        if !(least..=most).contains(&items.len()) {
            let values = if items.len() == 1 { "value" } else { "values" };
            return Some((format!("has {} {values}", items.len()), help));
        }
        return match (name, items) {
            ("Join", [_, list]) => join(list),
            ("Select", [index, list]) => select(index, list),
            _ => None,
        };
    }
    match name {
        "Ref" if argument.as_str().is_none() => {
            let what = format!("is given {}", argument.describe());
            Some((what, "write the name of a parameter or resource".to_owned()))
        }
        "GetAtt" => attribute(argument),
        "Sub" => match list {
            Some([_, _]) => None,
            Some(items) => Some((
                format!("has a list of {}", items.len()),
                "write a string, or a list of a string and a mapping".to_owned(),
            )),
            None if argument.entries().is_some() => Some((
                "is given a mapping".to_owned(),
                "write a string, or a list of a string and a mapping".to_owned(),
            )),
            None => None,
        },
        "Base64" | "ImportValue" if list.is_some() => Some(("is given a list".to_owned(), "write a string".to_owned())),
        _ => None,
    }
}

fn join(list: &Node) -> Option<(String, String)> {
    let is_text = list.tag.is_none() && list.as_str().is_some();
    is_text.then(|| ("joins a string".to_owned(), "write a list as second value, each item after `-`".to_owned()))
}

/// Checks a literal index in a literal list.
fn select(index: &Node, list: &Node) -> Option<(String, String)> {
    let text = index.as_str().filter(|_| index.tag.is_none())?;
    let Ok(number) = text.trim().parse::<usize>() else {
        return Some((format!("has the index `{}`", printable(text)), "write an index from 0".to_owned()));
    };
    if list.as_str().is_some() && list.tag.is_none() {
        return Some((
            "selects from a string".to_owned(),
            "write a list as second value, each item after `-`".to_owned(),
        ));
    }
    let items = list.as_sequence().filter(|_| list.tag.is_none())?;
    let last = items.len().checked_sub(1)?;
    (number > last)
        .then(|| (format!("selects index {number} of {} items", items.len()), format!("use an index from 0 to {last}")))
}

fn attribute(argument: &Node) -> Option<(String, String)> {
    let help = "write `Resource.Attribute`, or a list of both";
    match (argument.as_str(), argument.as_sequence()) {
        (Some(text), _) if !text.contains('.') => {
            Some((format!("has no attribute in `{}`", printable(text)), help.to_owned()))
        }
        (None, Some(items)) if items.len() < 2 => Some((format!("has {} value(s)", items.len()), help.to_owned())),
        (None, None) => Some(("is given a mapping".to_owned(), help.to_owned())),
        _ => None,
    }
}
