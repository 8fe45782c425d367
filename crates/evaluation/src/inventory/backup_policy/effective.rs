//! The policy that is effective in an account: the policies from the root of the organization down to the account, merged.

use syntax::template::{Content, Part};

use super::shape::{POLICY, SettingShape};
use super::{APPEND, ASSIGN, FOR_CHILDREN, PLANS, REMOVE};

/// The operators that child policies may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ChildOperators {
    assign: bool,
    append: bool,
    remove: bool,
}

impl ChildOperators {
    const ALL: Self = Self { assign: true, append: true, remove: true };

    /// Returns the operators of a list; all if it is unknown.
    fn of(part: &Part) -> Self {
        let Some(items) = part.items() else { return Self::ALL };
        let has =
            |name: &str| items.iter().any(|item| matches!(item.as_text(), Some(own) if own == name || own == "@@all"));
        Self { assign: has(ASSIGN), append: has(APPEND), remove: has(REMOVE) }
    }

    /// Returns the operators of both: a child policy cannot lift the limits of its parent.
    fn and(self, other: Self) -> Self {
        Self {
            assign: self.assign && other.assign,
            append: self.append && other.append,
            remove: self.remove && other.remove,
        }
    }

    fn are_none(self) -> bool {
        !(self.assign || self.append || self.remove)
    }
}

/// A setting of an effective policy: a group, or the values of one.
#[derive(Debug, Clone)]
pub(crate) struct PolicySetting {
    allowed: ChildOperators,
    /// There may be more, or another value.
    pub(crate) is_open: bool,
    /// It adds to or removes from a policy that is not known.
    lacks_parent: bool,
    /// The settings of a group.
    pub(crate) entries: Vec<(String, PolicySetting)>,
    /// The values.
    pub(crate) items: Vec<String>,
}

impl PolicySetting {
    fn new() -> Self {
        Self {
            allowed: ChildOperators::ALL,
            is_open: false,
            lacks_parent: false,
            entries: Vec::new(),
            items: Vec::new(),
        }
    }

    /// Returns a setting of a group.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        self.entries.iter().find(|(own, _)| own == name).map(|(_, setting)| setting)
    }

    /// Returns the only value, if it is known.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let setting = self.get(name).filter(|setting| !setting.is_open)?;
        setting.items.first().map(String::as_str)
    }

    /// Whether a part of it depends on a policy that is not known.
    pub(crate) fn depends_on_parent(&self) -> bool {
        self.lacks_parent || self.entries.iter().any(|(_, setting)| setting.depends_on_parent())
    }
}

/// An effective policy.
#[derive(Debug, Clone)]
pub(crate) struct EffectivePolicy(PolicySetting);

impl EffectivePolicy {
    pub(crate) fn new() -> Self {
        Self(PolicySetting::new())
    }

    /// Merges the policy of the next level. `may_have_parent` if policies above it may be unknown.
    pub(crate) fn merge(&mut self, policy: &Part, may_have_parent: bool) {
        let inherited = std::mem::replace(&mut self.0, PolicySetting::new());
        if let Some(merged) = merged(Some(inherited), policy, &POLICY, may_have_parent) {
            self.0 = merged;
        }
    }

    /// Returns the plans by name.
    pub(crate) fn plans(&self) -> &[(String, PolicySetting)] {
        self.0.get(PLANS).map_or(&[], |plans| plans.entries.as_slice())
    }
}

/// Returns a setting with what a child policy changes; `None` if it remains absent.
fn merged(
    inherited: Option<PolicySetting>,
    part: &Part,
    shape: &SettingShape,
    may_have_parent: bool,
) -> Option<PolicySetting> {
    match shape {
        SettingShape::Free => inherited,
        SettingShape::Group(_) | SettingShape::Named(_) => Some(group(inherited, part, shape, may_have_parent)),
        SettingShape::Text | SettingShape::List => value(inherited, part, may_have_parent),
    }
}

fn group(inherited: Option<PolicySetting>, part: &Part, shape: &SettingShape, may_have_parent: bool) -> PolicySetting {
    let mut own = inherited.unwrap_or_else(PolicySetting::new);
    let Some(entries) = part.entries() else {
        own.is_open = true;
        return own;
    };
    let mut allowed = own.allowed;
    for (key, value) in entries {
        if key == FOR_CHILDREN {
            allowed = allowed.and(ChildOperators::of(value));
            continue;
        }
        let Some(shape) = shape.get(key) else { continue };
        match own.entries.iter_mut().find(|(name, _)| name == key) {
            Some((_, known)) => {
                let inherited = std::mem::replace(known, PolicySetting::new());
                if let Some(merged) = merged(Some(inherited), value, shape, may_have_parent) {
                    *known = merged;
                }
            }
            None if own.allowed.are_none() => {}
            None => {
                let new = merged(None, value, shape, may_have_parent);
                own.entries.extend(new.map(|new| (key.clone(), new)));
            }
        }
    }
    own.allowed = allowed;
    own
}

fn value(inherited: Option<PolicySetting>, part: &Part, may_have_parent: bool) -> Option<PolicySetting> {
    let allowed = inherited.as_ref().map_or(ChildOperators::ALL, |own| own.allowed);
    let mut has_base = inherited.is_some();
    let mut is_set = has_base;
    let mut own = inherited.unwrap_or_else(PolicySetting::new);
    let Some(entries) = part.entries() else {
        // A value of an effective policy, or an unknown one.
        if allowed.assign {
            (own.items, own.is_open) = operands(part);
            is_set = true;
        }
        return is_set.then_some(own);
    };
    let operand = |name: &str, is_allowed: bool| part.get(name).filter(|_| is_allowed).map(operands);
    if let Some((items, is_open)) = operand(ASSIGN, allowed.assign) {
        (own.items, own.is_open, own.lacks_parent) = (items, is_open, false);
        (has_base, is_set) = (true, true);
    }
    let lacks_parent = !has_base && may_have_parent;
    if let Some((items, is_open)) = operand(APPEND, allowed.append) {
        let new = items.into_iter().filter(|item| !own.items.contains(item)).collect::<Vec<_>>();
        own.items.extend(new);
        own.is_open |= is_open || lacks_parent;
        own.lacks_parent |= lacks_parent;
        is_set = true;
    }
    if let Some((items, is_open)) = operand(REMOVE, allowed.remove) {
        own.items.retain(|item| !items.contains(item));
        own.is_open |= is_open || lacks_parent;
        own.lacks_parent |= lacks_parent;
        is_set = true;
    }
    let limits = entries.iter().filter(|(key, _)| key == FOR_CHILDREN);
    own.allowed = limits.fold(allowed, |allowed, (_, value)| allowed.and(ChildOperators::of(value)));
    is_set.then_some(own)
}

/// Returns the known values, and whether there may be others.
fn operands(part: &Part) -> (Vec<String>, bool) {
    match &part.content {
        Content::Text(text) => (vec![text.clone()], false),
        Content::List(items) => {
            let known: Vec<String> = items.iter().filter_map(Part::as_text).map(str::to_owned).collect();
            let is_open = known.len() < items.len();
            (known, is_open)
        }
        Content::Pieces(_) | Content::Mapping(_) | Content::Unknown => (Vec::new(), true),
    }
}
