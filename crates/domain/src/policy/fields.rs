//! Reads mappings with known keys, and the kinds of values that several keys share.

use std::collections::BTreeSet;
use std::fmt::Display;

use framework::ids::IdError;
use syntax::diagnostic::{Diagnostics, Position};
use syntax::text::{closest_match, printable};
use syntax::yaml::{Node, ScalarKind};

pub(super) type Errors<'s> = Diagnostics<'s, 's>;

pub(super) struct FieldKeys {
    /// The mapping in messages: "a target".
    pub(super) of: &'static str,
    pub(super) known: &'static [&'static str],
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
    pub(super) fn of(errors: &mut Errors<'_>, node: &'n Node, keys: &FieldKeys) -> Option<Self> {
        if !no_tag(errors, node) {
            return None;
        }
        let Some(entries) = node.entries() else {
            let fix = format!("write it as a mapping with the keys {}", quoted_list(keys.known, "and"));
            return reject(errors, node.at, format!("{} is {}", keys.of, node.describe()), fix);
        };
        let mut meant = Vec::new();
        for (key, _) in entries {
            let name = key.as_str().unwrap_or_default();
            if !keys.known.contains(&name) {
                let closest = closest_match(name, keys.known.iter().copied());
                meant.extend(closest);
                let all = || format!("{} has the keys {}", keys.of, quoted_list(keys.known, "and"));
                let problem = format!("unknown key `{}` in {}", printable(name), keys.of);
                errors.report_error(key.at, problem, did_you_mean(closest).unwrap_or_else(all));
            }
        }
        Some(Self { at: node.at, of: keys.of, node, meant })
    }

    /// Reads the value of an optional key. A key without a value is reported.
    pub(super) fn optional<T>(
        &self,
        errors: &mut Errors<'_>,
        key: &str,
        read: impl FnOnce(&mut Errors<'_>, &'n Node) -> Option<T>,
    ) -> Option<T> {
        let value = self.node.get(key)?;
        if value.is_null() {
            return reject(errors, value.at, format!("`{key}` has no value"), "give it a value or remove the key");
        }
        if no_tag(errors, value) { read(errors, value) } else { None }
    }

    pub(super) fn required<T>(
        &self,
        errors: &mut Errors<'_>,
        key: &str,
        example: &str,
        read: impl FnOnce(&mut Errors<'_>, &'n Node) -> Option<T>,
    ) -> Option<T> {
        match self.node.get(key) {
            None if self.meant.contains(&key) => None,
            None => {
                let fix = format!("add `{key}`, such as `{key}: {example}`");
                reject(errors, self.at, format!("{} has no `{key}`", self.of), fix)
            }
            Some(value) if value.is_null() => {
                let fix = format!("give it one, such as `{key}: {example}`");
                reject(errors, value.at, format!("`{key}` has no value"), fix)
            }
            Some(_) => self.optional(errors, key, read),
        }
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
pub(super) fn no_tag(errors: &mut Errors<'_>, node: &Node) -> bool {
    if let Some(tag) = &node.tag {
        let problem = format!("the YAML tag `!{}` is not supported in a policy file", printable(tag));
        errors.report_error(node.at, problem, "write the value itself");
    }
    node.tag.is_none()
}

/// The items of a list that may be empty.
pub(super) fn sequence<'n>(errors: &mut Errors<'_>, node: &'n Node, what: &str, fix: &str) -> Option<&'n [Node]> {
    node.as_sequence().or_else(|| reject(errors, node.at, format!("{what} is {}", node.describe()), fix))
}

/// The items of a list that must not be empty.
pub(super) fn list<'n>(errors: &mut Errors<'_>, node: &'n Node, key: &str, example: &str) -> Option<&'n [Node]> {
    let items = sequence(errors, node, &format!("`{key}`"), &format!("write a list, such as {example}"))?;
    if items.is_empty() {
        let fix = format!("list at least one, such as {example}");
        return reject(errors, node.at, format!("`{key}` is empty"), fix);
    }
    // `all` would stop at the first.
    let tagged = items.iter().filter(|item| !no_tag(errors, item)).count();
    (tagged == 0).then_some(items)
}

/// Reads each item of a list. An item that is listed twice is reported.
pub(super) fn unique<T: Ord + Clone + Display>(
    errors: &mut Errors<'_>,
    items: &[Node],
    what: &str,
    read: impl Fn(&mut Errors<'_>, &Node) -> Option<T>,
) -> Vec<T> {
    let mut all: Vec<T> = Vec::new();
    let mut known = BTreeSet::new();
    for item in items {
        match read(errors, item) {
            Some(one) if !known.insert(one.clone()) => {
                errors.report_error(item.at, format!("{what} `{one}` is listed twice"), "list it once");
            }
            one => all.extend(one),
        }
    }
    all
}

/// A text that is not empty. Numbers and booleans are rejected: YAML may not keep them as written.
pub(super) fn text<'n>(errors: &mut Errors<'_>, node: &'n Node, what: &str) -> Option<&'n str> {
    match (node.scalar_kind(), node.as_str()) {
        (Some(ScalarKind::Text), Some(text)) if text.trim().is_empty() => {
            reject(errors, node.at, format!("{what} is empty"), "write a text")
        }
        (Some(ScalarKind::Text), Some(text)) => Some(text),
        (Some(ScalarKind::Number | ScalarKind::Boolean), Some(text)) => {
            let problem = format!("{what} is {}, `{}`", node.describe(), printable(text));
            reject(errors, node.at, problem, format!("put it in quotes: \"{}\"", printable(text)))
        }
        _ => reject(errors, node.at, format!("{what} is {}", node.describe()), "write a text"),
    }
}

pub(super) fn name<T>(
    errors: &mut Errors<'_>,
    node: &Node,
    what: &str,
    parse: impl FnOnce(&str) -> Result<T, IdError>,
) -> Option<T> {
    let text = text(errors, node, what)?;
    parse(text).map_err(|IdError { message, help }| errors.report_error(node.at, message, help)).ok()
}

/// The meaning of one of a few words. Another word is a `problem`.
pub(super) fn meaning<T: Copy>(
    errors: &mut Errors<'_>,
    at: Position,
    word: &str,
    known: &[(&str, T)],
    problem: String,
) -> Option<T> {
    let found = known.iter().find(|(known, _)| *known == word).map(|(_, meaning)| *meaning);
    found.or_else(|| {
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        let all = || format!("write {}", quoted_list(&words, "or"));
        reject(errors, at, problem, did_you_mean(closest_match(word, words.iter().copied())).unwrap_or_else(all))
    })
}

pub(super) fn did_you_mean(closest: Option<&str>) -> Option<String> {
    closest.map(|known| format!("did you mean `{known}`?"))
}

pub(super) fn reject<T>(
    errors: &mut Errors<'_>,
    at: Position,
    problem: impl Into<String>,
    fix: impl Into<String>,
) -> Option<T> {
    errors.report_error(at, problem, fix);
    None
}

/// "`a`, `b` and `c`", with this conjunction.
fn quoted_list(words: &[&str], conjunction: &str) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} {conjunction} {last}", others.join(", ")),
        _ => words.concat(),
    }
}

/// A whole number without quotes: as in the JSON Schema that editors use, a number in quotes is a text.
pub(super) fn whole_number(node: &Node) -> Option<u32> {
    let text = node.as_str().filter(|_| node.scalar_kind() == Some(ScalarKind::Number))?;
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}
