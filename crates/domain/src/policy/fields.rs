//! Reads mappings with known keys, and the kinds of values that several keys share.

use framework::ids::IdError;
use syntax::diagnostic::{Diagnostics, Position};
use syntax::text::{closest_match, printable};
use syntax::yaml::{Node, ScalarKind};

/// The keys of a mapping.
pub(super) struct Keys {
    /// The mapping in messages: "a target".
    pub(super) of: &'static str,
    pub(super) known: &'static [&'static str],
    /// Keys that users may expect, each with its replacement.
    pub(super) unsupported: &'static [(&'static str, &'static str)],
}

/// A mapping whose unknown keys are reported.
pub(super) struct Fields<'n> {
    pub(super) at: Position,
    of: &'static str,
    node: &'n Node,
    /// Known keys that unknown keys probably stand for: they are not reported as missing too.
    meant: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// `None` if the node is not a mapping.
    pub(super) fn of(diagnostics: &mut Diagnostics<'_, '_>, node: &'n Node, keys: &Keys) -> Option<Self> {
        if !no_tag(diagnostics, node) {
            return None;
        }
        let Some(entries) = node.entries() else {
            let fix = format!("write it as a mapping with the keys {}", quoted_list(keys.known, "and"));
            return reject(diagnostics, node.at, format!("{} is {}", keys.of, node.describe()), fix);
        };
        let mut meant = Vec::new();
        for (key, _) in entries {
            let name = key.as_str().unwrap_or_default();
            if let Some((_, instead)) = keys.unsupported.iter().find(|(key, _)| *key == name) {
                diagnostics.report_error(key.at, format!("`{name}` is not supported in this version"), *instead);
            } else if !keys.known.contains(&name) {
                let fix = match closest_match(name, keys.known.iter().copied()) {
                    Some(known) => {
                        meant.push(known);
                        format!("did you mean `{known}`?")
                    }
                    None => format!("{} has the keys {}", keys.of, quoted_list(keys.known, "and")),
                };
                diagnostics.report_error(key.at, format!("unknown key `{}` in {}", printable(name), keys.of), fix);
            }
        }
        Some(Self { at: node.at, of: keys.of, node, meant })
    }

    /// The value of an optional key. A key without a value is reported.
    pub(super) fn optional(&self, diagnostics: &mut Diagnostics<'_, '_>, key: &str) -> Option<&'n Node> {
        let value = self.node.get(key)?;
        if value.is_null() {
            return reject(diagnostics, value.at, format!("`{key}` has no value"), "give it a value or remove the key");
        }
        no_tag(diagnostics, value).then_some(value)
    }

    /// The value of a required key.
    pub(super) fn required(&self, diagnostics: &mut Diagnostics<'_, '_>, key: &str, example: &str) -> Option<&'n Node> {
        if !self.has(key) {
            if self.meant.contains(&key) {
                return None;
            }
            let fix = format!("add `{key}`, such as `{key}: {example}`");
            return reject(diagnostics, self.at, format!("{} has no `{key}`", self.of), fix);
        }
        let value = self.node.get(key)?;
        if value.is_null() {
            let fix = format!("give it one, such as `{key}: {example}`");
            return reject(diagnostics, value.at, format!("`{key}` has no value"), fix);
        }
        no_tag(diagnostics, value).then_some(value)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.node.get(key).is_some()
    }

    /// Whether the key exists, or an unknown key that probably stands for it.
    pub(super) fn means(&self, key: &str) -> bool {
        self.has(key) || self.meant.contains(&key)
    }
}

/// Whether the node has no YAML tag. A tag is reported: reading `!Ref x` as the text `x` would change the meaning of the policy.
pub(super) fn no_tag(diagnostics: &mut Diagnostics<'_, '_>, node: &Node) -> bool {
    if let Some(tag) = &node.tag {
        let problem = format!("the YAML tag `!{}` is not supported in a policy file", printable(tag));
        diagnostics.report_error(node.at, problem, "write the value itself");
    }
    node.tag.is_none()
}

/// The items of a list that must not be empty.
pub(super) fn list<'n>(
    diagnostics: &mut Diagnostics<'_, '_>,
    node: &'n Node,
    key: &str,
    example: &str,
) -> Option<&'n [Node]> {
    match node.as_sequence() {
        None => {
            let problem = format!("`{key}` is {}", node.describe());
            reject(diagnostics, node.at, problem, format!("write a list, such as {example}"))
        }
        Some([]) => {
            reject(diagnostics, node.at, format!("`{key}` is empty"), format!("list at least one, such as {example}"))
        }
        Some(items) => {
            // `all` would stop at the first.
            let tagged = items.iter().filter(|item| !no_tag(diagnostics, item)).count();
            (tagged == 0).then_some(items)
        }
    }
}

/// A text that is not empty. Numbers and booleans are rejected: YAML may not keep them as written.
pub(super) fn text<'n>(diagnostics: &mut Diagnostics<'_, '_>, node: &'n Node, what: &str) -> Option<&'n str> {
    match (node.scalar_kind(), node.as_str()) {
        (Some(ScalarKind::Text), Some(text)) if text.trim().is_empty() => {
            reject(diagnostics, node.at, format!("{what} is empty"), "write a text")
        }
        (Some(ScalarKind::Text), Some(text)) => Some(text),
        (Some(ScalarKind::Number | ScalarKind::Boolean), Some(text)) => {
            let problem = format!("{what} is {}, `{}`", node.describe(), printable(text));
            reject(diagnostics, node.at, problem, format!("put it in quotes: \"{}\"", printable(text)))
        }
        _ => reject(diagnostics, node.at, format!("{what} is {}", node.describe()), "write a text"),
    }
}

/// A name that `parse` accepts.
pub(super) fn name<T>(
    diagnostics: &mut Diagnostics<'_, '_>,
    node: &Node,
    what: &str,
    parse: impl FnOnce(&str) -> Result<T, IdError>,
) -> Option<T> {
    let text = text(diagnostics, node, what)?;
    parse(text).map_err(|IdError { message: problem, help: fix }| diagnostics.report_error(node.at, problem, fix)).ok()
}

/// Reports a diagnostic and returns `None`.
pub(super) fn reject<T>(
    diagnostics: &mut Diagnostics<'_, '_>,
    at: Position,
    problem: impl Into<String>,
    fix: impl Into<String>,
) -> Option<T> {
    diagnostics.report_error(at, problem, fix);
    None
}

/// "`a`, `b` and `c`", with this conjunction.
pub(super) fn quoted_list(words: &[&str], conjunction: &str) -> String {
    match words {
        [] => String::new(),
        [only] => format!("`{only}`"),
        [others @ .., last] => {
            let others: Vec<String> = others.iter().map(|word| format!("`{word}`")).collect();
            format!("{} {conjunction} `{last}`", others.join(", "))
        }
    }
}
