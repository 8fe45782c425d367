//! What a part of a template will be, as far as parameters, defaults and conditions tell.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::intrinsic::{Call, call};
use super::{Resolved, Template};
use crate::yaml::{Node, ScalarKind, Value};

/// What a node stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found<'t> {
    /// A text, as CloudFormation hands it on (numbers and booleans are texts there).
    Text(String),
    /// A list, or a mapping that is no function call. What is inside has not been resolved.
    Tree(&'t Node),
    /// Nothing: `AWS::NoValue` or null.
    Absent,
    /// Only a deployment can tell.
    Unknown,
}

impl Found<'_> {
    /// As a text; a list or mapping is no text that anybody could know.
    pub(crate) fn into_resolved(self) -> Resolved {
        match self {
            Self::Text(text) => Resolved::Text(text),
            Self::Absent => Resolved::Absent,
            Self::Tree(_) | Self::Unknown => Resolved::Unknown,
        }
    }
}

/// Deepest chain of calls and of conditions that name each other. A deeper one is unknown.
const DEPTH: usize = 64;

/// Resolves parts of one template for one set of parameter values.
pub(crate) struct Resolver<'t> {
    template: &'t Template,
    given: &'t BTreeMap<String, String>,
    /// Conditions decided so far, so that conditions made of conditions are each decided once. One that is being decided
    /// stands here as undecided, which ends circles.
    decided: RefCell<BTreeMap<&'t str, Option<bool>>>,
}

impl<'t> Resolver<'t> {
    pub(crate) fn new(template: &'t Template, given: &'t BTreeMap<String, String>) -> Self {
        Self { template, given, decided: RefCell::default() }
    }

    pub(crate) fn resolve(&self, node: &'t Node) -> Found<'t> {
        self.node(node, DEPTH)
    }

    /// Whether a named condition holds, if that can be known.
    pub(crate) fn condition(&self, name: &'t str) -> Option<bool> {
        self.named_condition(name, DEPTH)
    }

    fn node(&self, node: &'t Node, depth: usize) -> Found<'t> {
        let Some(depth) = depth.checked_sub(1) else { return Found::Unknown };
        match call(node) {
            Some(call) => self.call(&call, depth),
            None => match &node.value {
                Value::Scalar { text, plain } => scalar(text, *plain),
                Value::Sequence(_) | Value::Mapping(_) => Found::Tree(node),
            },
        }
    }

    fn call(&self, call: &Call<'t>, depth: usize) -> Found<'t> {
        match call.function {
            "Ref" => call.text().map_or(Found::Unknown, |name| self.reference(name)),
            "Sub" => self.substitute(call, depth),
            "If" => match call.list() {
                Some([condition, yes, no]) => {
                    match condition.as_str().and_then(|name| self.named_condition(name, depth)) {
                        Some(true) => self.node(yes, depth),
                        Some(false) => self.node(no, depth),
                        None => Found::Unknown,
                    }
                }
                _ => Found::Unknown,
            },
            _ => Found::Unknown,
        }
    }

    fn reference(&self, name: &str) -> Found<'t> {
        match name {
            "AWS::NoValue" => Found::Absent,
            name => self.parameter(name).map_or(Found::Unknown, |text| literal(text.to_owned())),
        }
    }

    /// The value of a parameter that is one text.
    fn parameter(&self, name: &str) -> Option<&'t str> {
        let default = self.template.parameters.get(name)?;
        let declaration = self.template.root.get("Parameters")?.get(name)?;
        // Lists are no texts, and the value of an `AWS::SSM::Parameter::Value<...>` is only the name of a value.
        let kind = declaration.get("Type")?.as_str()?;
        if kind == "CommaDelimitedList" || kind.contains('<') {
            return None;
        }
        self.given.get(name).map(String::as_str).or(default.as_deref())
    }

    fn substitute(&self, call: &Call<'t>, depth: usize) -> Found<'t> {
        let nothing: &[(Node, Node)] = &[];
        let (pattern, variables) = match (call.text(), call.list()) {
            (Some(pattern), _) => (Some(pattern), nothing),
            (None, Some([pattern, variables])) => (pattern.as_str(), variables.entries().unwrap_or_default()),
            _ => (None, nothing),
        };
        // Each once, however often the pattern names it: patterns within patterns would double the work at every level.
        let variables: BTreeMap<&str, Option<String>> = variables
            .iter()
            .filter_map(|(key, value)| match self.node(value, depth) {
                Found::Text(text) => Some((key.as_str()?, Some(text))),
                Found::Tree(_) | Found::Absent | Found::Unknown => Some((key.as_str()?, None)),
            })
            .collect();
        let lookup = |name: &str| match variables.get(name) {
            Some(value) => value.clone(),
            None => self.parameter(name).map(str::to_owned),
        };
        pattern.and_then(|pattern| fill_in(pattern, lookup)).map_or(Found::Unknown, literal)
    }

    fn named_condition(&self, name: &'t str, depth: usize) -> Option<bool> {
        if let Some(decided) = self.decided.borrow().get(name) {
            return *decided;
        }
        let definition = self.template.root.get("Conditions")?.get(name)?;
        self.decided.borrow_mut().insert(name, None);
        let decided = self.decide(definition, depth);
        self.decided.borrow_mut().insert(name, decided);
        decided
    }

    fn decide(&self, node: &'t Node, depth: usize) -> Option<bool> {
        let depth = depth.checked_sub(1)?;
        let call = call(node)?;
        let parts = || call.list().unwrap_or_default().iter().map(|part| self.decide(part, depth));
        match (call.function, call.list()) {
            ("Condition", _) => self.named_condition(call.text()?, depth),
            ("Equals", Some([a, b])) => match (self.node(a, depth), self.node(b, depth)) {
                (Found::Text(a), Found::Text(b)) => Some(a == b),
                _ => None,
            },
            ("Not", Some([part])) => self.decide(part, depth).map(|holds| !holds),
            // One part can settle it, however unknown the others are.
            ("And", Some([_, ..])) => all(parts()),
            ("Or", Some([_, ..])) => all(parts().map(|part| part.map(|holds| !holds))).map(|none| !none),
            _ => None,
        }
    }
}

/// Three-valued "and".
fn all(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut all = Some(true);
    for part in parts {
        match part {
            Some(true) => {}
            Some(false) => return Some(false),
            None => all = None,
        }
    }
    all
}

/// A scalar as CloudFormation reads it. It follows YAML 1.1, where an unquoted `010` is 8 and `yes` is true: what the two
/// versions do not read alike is unknown.
fn scalar(text: &str, plain: bool) -> Found<'static> {
    if !plain {
        return literal(text.to_owned());
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_decimal = digits == "0" || (!digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()));
    match ScalarKind::of_plain(text) {
        ScalarKind::Null => Found::Absent,
        ScalarKind::Boolean => Found::Text(text.to_ascii_lowercase()),
        ScalarKind::Number if is_decimal => Found::Text(text.to_owned()),
        ScalarKind::Number => Found::Unknown,
        ScalarKind::Text => match text.to_ascii_lowercase().as_str() {
            "y" | "n" | "yes" | "no" | "on" | "off" => Found::Unknown,
            // Digits with underscores or colons are numbers in YAML 1.1.
            _ if text.starts_with(|c: char| c.is_ascii_digit())
                && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'_' | b':')) =>
            {
                Found::Unknown
            }
            _ => literal(text.to_owned()),
        },
    }
}

/// A text, unless it asks CloudFormation to fetch it from elsewhere.
fn literal(text: String) -> Found<'static> {
    if text.contains("{{resolve:") { Found::Unknown } else { Found::Text(text) }
}

/// Replaces every `${name}`; `${!name}` is a literal `${name}`. `None` when a name is unknown.
fn fill_in(pattern: &str, lookup: impl Fn(&str) -> Option<String>) -> Option<String> {
    /// Longest text that is worked out. A value may be named many times.
    const LONGEST: usize = 65_536;
    let mut out = String::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let (name, after) = after.split_once('}')?;
        match name.strip_prefix('!') {
            Some(literal) => out.extend(["${", literal, "}"]),
            None => out.push_str(&lookup(name.trim())?),
        }
        if out.len() > LONGEST {
            return None;
        }
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}
