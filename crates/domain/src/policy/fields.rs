//! Reading a mapping whose keys are known, and the values that stand in several places of a policy.

use crate::fault::{Faults, Position, nearest};
use crate::ids::{IdError, shown};
use crate::yaml::{Node, ScalarKind};

/// The keys that a mapping may have.
pub(super) struct Keys {
    /// What the mapping is, for messages: "a target".
    pub(super) of: &'static str,
    pub(super) known: &'static [&'static str],
    /// Keys that people expect and that are not there, each with what to do instead.
    pub(super) unsupported: &'static [(&'static str, &'static str)],
}

/// A mapping whose unknown keys have been reported.
pub(super) struct Fields<'n> {
    pub(super) at: Position,
    of: &'static str,
    node: &'n Node,
    /// Keys that unknown keys were probably meant to be: that they are missing has then been said.
    meant: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// `None` when the node is no mapping.
    pub(super) fn of(faults: &mut Faults<'_, '_>, node: &'n Node, keys: &Keys) -> Option<Self> {
        if !no_tag(faults, node) {
            return None;
        }
        let Some(entries) = node.entries() else {
            let problem = format!("{} is {}", keys.of, node.describe());
            faults.at(node.at, problem, format!("write it as a mapping with the keys {}", words(keys.known)));
            return None;
        };
        let mut meant = Vec::new();
        for (key, _) in entries {
            let name = key.as_str().unwrap_or_default();
            if let Some((_, instead)) = keys.unsupported.iter().find(|(key, _)| *key == name) {
                faults.at(key.at, format!("`{name}` is not supported in this version"), *instead);
            } else if !keys.known.contains(&name) {
                let fix = match nearest(name, keys.known.iter().copied()) {
                    Some(known) => {
                        meant.push(known);
                        format!("did you mean `{known}`?")
                    }
                    None => format!("{} has the keys {}", keys.of, words(keys.known)),
                };
                faults.at(key.at, format!("unknown key `{}` in {}", shown(name), keys.of), fix);
            }
        }
        Some(Self { at: node.at, of: keys.of, node, meant })
    }

    /// The value of a key that may be missing, but not empty.
    pub(super) fn optional(&self, faults: &mut Faults<'_, '_>, key: &str) -> Option<&'n Node> {
        let value = self.node.get(key)?;
        if value.is_null() {
            faults.at(value.at, format!("`{key}` has no value"), "give it a value or remove the key");
            return None;
        }
        no_tag(faults, value).then_some(value)
    }

    /// The value of a key that must be there.
    pub(super) fn required(&self, faults: &mut Faults<'_, '_>, key: &str, example: &str) -> Option<&'n Node> {
        if !self.has(key) {
            if self.meant.contains(&key) {
                return None;
            }
            faults.at(
                self.at,
                format!("{} has no `{key}`", self.of),
                format!("add `{key}`, such as `{key}: {example}`"),
            );
            return None;
        }
        let value = self.node.get(key)?;
        if value.is_null() {
            faults.at(value.at, format!("`{key}` has no value"), format!("give it one, such as `{key}: {example}`"));
            return None;
        }
        no_tag(faults, value).then_some(value)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.node.get(key).is_some()
    }

    /// Whether the key is there, or one that was probably meant to be it.
    pub(super) fn means(&self, key: &str) -> bool {
        self.has(key) || self.meant.contains(&key)
    }
}

/// Whether the node has no tag. CloudFormation's tags would be kept as plain texts without a word, and the policy would not
/// mean what it says.
pub(super) fn no_tag(faults: &mut Faults<'_, '_>, node: &Node) -> bool {
    if let Some(tag) = &node.tag {
        faults.at(
            node.at,
            format!("the tag `!{}` means nothing in a policy file", shown(tag)),
            "write the value itself",
        );
    }
    node.tag.is_none()
}

/// The items of a list that must have some.
pub(super) fn list<'n>(faults: &mut Faults<'_, '_>, node: &'n Node, key: &str, example: &str) -> Option<&'n [Node]> {
    match node.as_sequence() {
        None => {
            faults.at(node.at, format!("`{key}` is {}", node.describe()), format!("write a list, such as {example}"));
            None
        }
        Some([]) => {
            faults.at(node.at, format!("`{key}` is empty"), format!("list at least one, such as {example}"));
            None
        }
        Some(items) => {
            // Counting and not `all`, which would stop at the first.
            let tagged = items.iter().filter(|item| !no_tag(faults, item)).count();
            (tagged == 0).then_some(items)
        }
    }
}

/// A text that must not be empty. A number or a boolean is refused: YAML may not keep it as written.
pub(super) fn text<'n>(faults: &mut Faults<'_, '_>, node: &'n Node, what: &str) -> Option<&'n str> {
    match (node.scalar_kind(), node.as_str()) {
        (Some(ScalarKind::Text), Some(text)) if text.trim().is_empty() => {
            faults.at(node.at, format!("{what} is empty"), "write a text");
            None
        }
        (Some(ScalarKind::Text), Some(text)) => Some(text),
        (Some(ScalarKind::Number | ScalarKind::Boolean), Some(text)) => {
            let problem = format!("{what} is {}, `{}`", node.describe(), shown(text));
            faults.at(node.at, problem, format!("put it in quotes: \"{}\"", shown(text)));
            None
        }
        _ => {
            faults.at(node.at, format!("{what} is {}", node.describe()), "write a text");
            None
        }
    }
}

/// A text that `parse` turns into a name.
pub(super) fn name<T>(
    faults: &mut Faults<'_, '_>,
    node: &Node,
    what: &str,
    parse: impl FnOnce(&str) -> Result<T, IdError>,
) -> Option<T> {
    let text = text(faults, node, what)?;
    parse(text).map_err(|IdError { problem, fix }| faults.at(node.at, problem, fix)).ok()
}

/// "`a`, `b` and `c`".
pub(super) fn words(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => format!("`{only}`"),
        [others @ .., last] => {
            let others: Vec<String> = others.iter().map(|word| format!("`{word}`")).collect();
            format!("{} and `{last}`", others.join(", "))
        }
    }
}
