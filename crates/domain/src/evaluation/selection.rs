//! Whether a backup selection takes a resource in.
//!
//! Sources: AWS Backup developer guide, "Assign resources with AWS CLI"; API reference, BackupSelection, Conditions, Condition.
//! A resource is in when it matches one of `Resources` or one of `ListOfTags` (with neither given, everything does), every
//! condition holds, no pattern of `NotResources` matches, and the switch of its service allows it. A selection by type or ARN
//! needs no switch, unless other services have ARNs of the same shape.

use super::pattern::Pattern;
use super::reason::{Change, Clause, Operator, Unknown};
use super::truth::Truth;
use super::value;
use crate::inventory::document::SelectionPart;
use crate::inventory::{Inventory, Place, Plan, Protected, Resource, Selection, Tag, Text};

/// A selection, made ready for an inventory.
#[derive(Debug)]
pub(super) struct Ready<'a> {
    pub(super) plan: &'a Plan,
    pub(super) selection: &'a Selection,
    everything: bool,
    resources: Vec<Pattern>,
    not_resources: Vec<Pattern>,
    list: Vec<Listed<'a>>,
    conditions: Vec<Condition<'a>>,
    keys: Vec<Key<'a>>,
}

/// An entry of `ListOfTags`.
#[derive(Debug)]
struct Listed<'a> {
    key: Option<Text>,
    value: Option<Text>,
    key_text: &'a str,
    value_text: &'a str,
    /// The place in `keys` of the conditions on the same tag.
    conditioned: Option<usize>,
    /// Whether the value satisfies these conditions, and people can set the tag.
    can_be_set: bool,
}

#[derive(Debug)]
struct Condition<'a> {
    operator: Operator,
    /// Whether the key begins as AWS Backup wants it; what it makes of others is not documented.
    is_clear: bool,
    key: Option<Text>,
    value: Option<Text>,
    key_text: &'a str,
    value_text: &'a str,
    pattern: Pattern,
}

/// A tag that conditions are about.
#[derive(Debug)]
struct Key<'a> {
    text: &'a str,
    /// Places in `conditions`.
    conditions: Vec<usize>,
    mend: Mend,
}

/// What makes all conditions on a tag hold.
#[derive(Debug)]
enum Mend {
    Nothing,
    Remove,
    Set(String),
}

/// What brings a resource into a selection whose conditions it satisfies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// It is taken in already, if the switch is on.
    Taken,
    /// With this entry of the list of tags.
    Listed(usize),
    /// With its ARN.
    Arn,
}

/// The way into a selection that takes the fewest changes. Ordered by what should be proposed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Nearest {
    changes: u32,
    kind: u8,
    way: Way,
    opt_in: bool,
}

/// What is asked of a selection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub(super) resource: &'a Resource,
    pub(super) protected: &'static Protected,
    /// The switch of its service in its place.
    pub(super) opt_in: Truth,
    pub(super) service: &'static str,
}

impl<'a> Ready<'a> {
    pub(super) fn new(inventory: &'a Inventory, plan: &'a Plan, selection: &'a Selection) -> Self {
        let find = |text: &str| inventory.texts.find(text);
        let of_operator = |operator: Operator, list: &'a [crate::inventory::document::TagValue]| {
            list.iter().map(move |condition| {
                let key = condition.tag().unwrap_or(&condition.key);
                Condition {
                    operator,
                    is_clear: condition.tag().is_some(),
                    key: find(key),
                    value: find(&condition.value),
                    key_text: key,
                    value_text: &condition.value,
                    pattern: Pattern::new(&condition.value),
                }
            })
        };
        let written = &selection.conditions;
        let conditions: Vec<Condition<'a>> = of_operator(Operator::StringEquals, &written.string_equals)
            .chain(of_operator(Operator::StringNotEquals, &written.string_not_equals))
            .chain(of_operator(Operator::StringLike, &written.string_like))
            .chain(of_operator(Operator::StringNotLike, &written.string_not_like))
            .collect();
        let keys = keys(&conditions);
        let list = selection
            .list_of_tags
            .iter()
            .map(|tag| {
                let conditioned = keys.iter().position(|key| key.text == tag.key);
                let fits = conditioned.and_then(|key| keys.get(key)).is_none_or(|key| {
                    let own = key.conditions.iter().filter_map(|index| conditions.get(*index));
                    own.into_iter().all(|condition| condition.holds_for(&tag.value))
                });
                Listed {
                    key: find(&tag.key),
                    value: find(&tag.value),
                    key_text: &tag.key,
                    value_text: &tag.value,
                    conditioned,
                    can_be_set: fits && can_be_set(&tag.key) && can_be_value(&tag.value),
                }
            })
            .collect();
        let unread = |part| selection.unread.contains(&part);
        let everything = selection.resources.is_empty()
            && selection.list_of_tags.is_empty()
            && !unread(SelectionPart::Resources)
            && !unread(SelectionPart::ListOfTags);
        let patterns = |texts: &[String]| texts.iter().map(|text| Pattern::new(text)).collect();
        Self {
            plan,
            selection,
            everything,
            resources: patterns(&selection.resources),
            not_resources: patterns(&selection.not_resources),
            list,
            conditions,
            keys,
        }
    }

    /// Whether it takes a resource in.
    pub(super) fn takes(&self, inventory: &Inventory, candidate: &Candidate<'_>) -> Truth {
        let mut holds = self.known(SelectionPart::Conditions).and(self.known(SelectionPart::Existence));
        for condition in &self.conditions {
            holds = holds.and(condition.holds(inventory, candidate.resource));
            if holds == Truth::No {
                return Truth::No;
            }
        }
        holds = holds.and(self.brings_in(candidate));
        if holds == Truth::No {
            return Truth::No;
        }
        holds.and(self.known(SelectionPart::NotResources)).and(self.leaves_out(candidate.resource).not())
    }

    /// Yes if all of a part is known.
    fn known(&self, part: SelectionPart) -> Truth {
        let unread = &self.selection.unread;
        if !unread.is_empty() && unread.contains(&part) { Truth::Unknown } else { Truth::Yes }
    }

    fn leaves_out(&self, resource: &Resource) -> Truth {
        self.not_resources.iter().map(|pattern| matches(pattern, resource)).max().unwrap_or(Truth::No)
    }

    fn brings_in(&self, candidate: &Candidate<'_>) -> Truth {
        let Candidate { resource, protected, opt_in, .. } = *candidate;
        if self.everything {
            return opt_in;
        }
        let switched = |pattern: &Pattern| {
            if protected.shared || !candidate.is_named_by(pattern) { opt_in } else { Truth::Yes }
        };
        let mut brought = match self.known(SelectionPart::Resources) {
            Truth::Yes => Truth::No,
            unknown if protected.shared => unknown.and(opt_in),
            unknown => unknown,
        };
        if self.known(SelectionPart::ListOfTags) == Truth::Unknown {
            brought = brought.or(opt_in.and(Truth::Unknown));
        }
        for pattern in &self.resources {
            let matched = matches(pattern, resource);
            if matched != Truth::No {
                brought = brought.or(matched.and(switched(pattern)));
            }
            if brought == Truth::Yes {
                return brought;
            }
        }
        if opt_in > brought {
            for listed in &self.list {
                brought = brought.or(listed.holds(resource).and(opt_in));
            }
        }
        brought
    }

    /// The fewest changes that bring a resource in that it does not take; `None` where changes of the kinds that we propose do
    /// not.
    pub(super) fn nearest(&self, inventory: &Inventory, candidate: &Candidate<'_>) -> Option<Nearest> {
        let resource = candidate.resource;
        let all_known = |part| self.known(part) == Truth::Yes;
        if !all_known(SelectionPart::Conditions)
            || !all_known(SelectionPart::Existence)
            || self.conditions.iter().any(|condition| !condition.is_clear)
            || !all_known(SelectionPart::NotResources)
            || self.leaves_out(resource) != Truth::No
        {
            return None;
        }
        let mut tags = 0;
        for key in &self.keys {
            if !self.key_holds(inventory, resource, key) {
                if matches!(key.mend, Mend::Nothing) {
                    return None;
                }
                tags += 1;
            }
        }
        let switch_off = candidate.opt_in == Truth::No;
        let new = |tags: u32, way: Way, needs_switch: bool| {
            let opt_in = switch_off && needs_switch;
            let changes = tags + u32::from(opt_in) + u32::from(way == Way::Arn);
            // A tag is the smallest thing to change, a switch is for a whole Region, an ARN is for this resource alone.
            let kind = match (way, opt_in) {
                (Way::Arn, _) => 2,
                (_, true) => 1,
                _ => 0,
            };
            Nearest { changes, kind, way, opt_in }
        };
        let shared = candidate.protected.shared;
        let taken = if self.everything {
            Some(new(tags, Way::Taken, true))
        } else {
            let matching = self.resources.iter().filter(|pattern| matches(pattern, resource) == Truth::Yes);
            matching
                .map(|pattern| shared || !candidate.is_named_by(pattern))
                .min()
                .map(|needs_switch| new(tags, Way::Taken, needs_switch))
        };
        let listed = self.list.iter().enumerate().filter_map(|(index, listed)| {
            let key = listed.conditioned.and_then(|key| self.keys.get(key));
            let counted = key.is_some_and(|key| !self.key_holds(inventory, resource, key));
            if listed.holds(resource) == Truth::Yes {
                // With another value it would not be listed, with this one the conditions do not hold.
                return (!counted).then(|| new(tags, Way::Listed(index), true));
            }
            listed.can_be_set.then(|| new(tags + u32::from(!counted), Way::Listed(index), true))
        });
        let has_room = self.selection.resources.len() < MOST_ARNS;
        let arn = (!self.everything && !resource.arn_end_unread && has_room).then(|| new(tags, Way::Arn, shared));
        taken.into_iter().chain(listed).chain(arn).min()
    }

    /// The changes themselves.
    pub(super) fn changes(
        &self,
        inventory: &'a Inventory,
        place: &'a Place,
        candidate: &Candidate<'a>,
        nearest: Nearest,
    ) -> Vec<Change<'a>> {
        let resource = candidate.resource;
        let mut changes = Vec::new();
        let listed = match nearest.way {
            Way::Listed(index) => self.list.get(index).filter(|listed| listed.holds(resource) != Truth::Yes),
            Way::Taken | Way::Arn => None,
        };
        let now = |key: &str| {
            let tag = inventory.texts.find(key).and_then(|key| resource.tag(key));
            tag.and_then(|tag| tag.value).map(|value| inventory.texts.get(value))
        };
        for key in &self.keys {
            if listed.is_some_and(|listed| listed.key_text == key.text) || self.key_holds(inventory, resource, key) {
                continue;
            }
            match &key.mend {
                Mend::Set(value) => {
                    changes.push(Change::SetTag { key: key.text, value: value.clone(), now: now(key.text) });
                }
                Mend::Remove => changes.push(Change::RemoveTag { key: key.text, now: now(key.text) }),
                Mend::Nothing => {}
            }
        }
        if let Some(Listed { key_text: key, value_text, .. }) = listed {
            changes.push(Change::SetTag { key, value: (*value_text).to_owned(), now: now(key) });
        }
        if nearest.way == Way::Arn {
            changes.push(Change::AddArn { plan: self.plan, selection: self.selection, arn: &resource.arn });
        }
        if nearest.opt_in {
            changes.push(Change::OptIn { account: &place.account, region: &place.region, service: candidate.service });
        }
        changes
    }

    /// Why it does not take a resource in: everything that speaks against it.
    pub(super) fn failed(&self, inventory: &'a Inventory, candidate: &Candidate<'a>) -> Vec<Clause<'a>> {
        let resource = candidate.resource;
        let mut failed = Vec::new();
        for condition in &self.conditions {
            if condition.holds(inventory, resource) == Truth::No {
                let tag = condition.key.and_then(|key| resource.tag(key));
                failed.push(Clause::Condition {
                    operator: condition.operator,
                    key: condition.key_text,
                    value: condition.value_text,
                    found: tag.and_then(|tag| tag.value).map(|value| inventory.texts.get(value)),
                });
            }
        }
        if let Some(pattern) = self
            .selection
            .not_resources
            .iter()
            .zip(&self.not_resources)
            .find(|(_, own)| matches(own, resource) == Truth::Yes)
        {
            failed.push(Clause::Excluded { pattern: pattern.0 });
        }
        let switched_on = Candidate { opt_in: Truth::Yes, ..*candidate };
        if self.brings_in(&switched_on) == Truth::No {
            failed.push(Clause::NotNamed);
        } else if self.brings_in(candidate) == Truth::No {
            failed.push(Clause::SwitchedOff { service: candidate.service });
        }
        failed
    }

    /// What must be known to tell whether it takes a resource in.
    pub(super) fn unknown(&self, inventory: &'a Inventory, candidate: &Candidate<'a>) -> Vec<Unknown<'a>> {
        let Candidate { resource, opt_in, service, .. } = *candidate;
        let mut unknown: Vec<Unknown<'a>> = self
            .selection
            .unread
            .iter()
            .map(|part| Unknown::Selection { plan: self.plan, selection: self.selection, part: *part })
            .collect();
        for condition in self.conditions.iter().filter(|condition| !condition.is_clear) {
            unknown.push(Unknown::ConditionKey { key: condition.key_text });
        }
        let tags = self.conditions.iter().map(|condition| (condition.key, condition.key_text));
        for (key, text) in tags.chain(self.list.iter().map(|listed| (listed.key, listed.key_text))) {
            let found = key.and_then(|key| resource.tag(key));
            match found {
                None if resource.tags_unread => unknown.push(Unknown::Tags),
                Some(Tag { value: None, .. }) => unknown.push(Unknown::TagValue { key: text }),
                _ => {}
            }
        }
        let patterns = || self.resources.iter().chain(&self.not_resources);
        if resource.arn_end_unread && patterns().any(|pattern| matches(pattern, resource) == Truth::Unknown) {
            unknown.push(Unknown::ArnEnd);
        }
        if opt_in == Truth::Unknown
            && self.takes(inventory, &Candidate { opt_in: Truth::Yes, ..*candidate }) != Truth::No
        {
            unknown.push(Unknown::OptIn { service });
        }
        unknown
    }

    fn key_holds(&self, inventory: &Inventory, resource: &Resource, key: &Key<'_>) -> bool {
        let own = key.conditions.iter().filter_map(|index| self.conditions.get(*index));
        own.into_iter().all(|condition| condition.holds(inventory, resource) == Truth::Yes)
    }
}

impl Listed<'_> {
    fn holds(&self, resource: &Resource) -> Truth {
        match self.key.and_then(|key| resource.tag(key)) {
            None if resource.tags_unread => Truth::Unknown,
            None => Truth::No,
            Some(Tag { value: None, .. }) => Truth::Unknown,
            Some(Tag { value, .. }) => (value == self.value).into(),
        }
    }
}

impl Condition<'_> {
    /// A negative operator holds for a resource without the tag too.
    fn holds(&self, inventory: &Inventory, resource: &Resource) -> Truth {
        if !self.is_clear {
            return Truth::Unknown;
        }
        let fits = match self.key.and_then(|key| resource.tag(key)) {
            None if resource.tags_unread => Truth::Unknown,
            None => Truth::No,
            Some(Tag { value: None, .. }) if self.operator.is_like() && self.pattern.is_everything() => Truth::Yes,
            Some(Tag { value: None, .. }) => Truth::Unknown,
            Some(Tag { value: Some(value), .. }) if self.operator.is_like() => {
                self.pattern.matches(inventory.texts.get(value)).into()
            }
            Some(Tag { value, .. }) => (value == self.value).into(),
        };
        if self.operator.is_negative() { fits.not() } else { fits }
    }

    /// Whether it holds for a resource that has the tag with this value.
    fn holds_for(&self, value: &str) -> bool {
        let fits = if self.operator.is_like() { self.pattern.matches(value) } else { self.pattern.text() == value };
        fits != self.operator.is_negative()
    }
}

/// The tags that conditions are about, and what makes them hold.
fn keys<'a>(conditions: &[Condition<'a>]) -> Vec<Key<'a>> {
    let mut keys: Vec<Key<'a>> = Vec::new();
    for (index, condition) in conditions.iter().enumerate() {
        match keys.iter_mut().find(|key| key.text == condition.key_text) {
            Some(key) => key.conditions.push(index),
            None => keys.push(Key { text: condition.key_text, conditions: vec![index], mend: Mend::Nothing }),
        }
    }
    for key in &mut keys {
        if !can_be_set(key.text) {
            continue;
        }
        let own: Vec<&Condition<'_>> = key.conditions.iter().filter_map(|index| conditions.get(*index)).collect();
        let holds = |value: &str| own.iter().all(|condition| condition.holds_for(value));
        key.mend = if own.iter().all(|condition| condition.operator.is_negative()) {
            Mend::Remove
        } else if let Some(equals) = own.iter().find(|condition| condition.operator == Operator::StringEquals) {
            let value = equals.pattern.text();
            if holds(value) && can_be_value(value) { Mend::Set(value.to_owned()) } else { Mend::Nothing }
        } else {
            let with = |negative| {
                let own = own.iter().filter(move |condition| condition.operator.is_negative() == negative);
                // A value cannot have a `*`, so to be unequal to one that has is no condition.
                let own = own.filter(|condition| condition.operator.is_like() || !condition.value_text.contains('*'));
                own.map(|condition| &condition.pattern)
            };
            let (like, unlike): (Vec<_>, Vec<_>) = (with(false).collect(), with(true).collect());
            let value = value::satisfying(&like, &unlike).filter(|value| holds(value) && can_be_value(value));
            value.map_or(Mend::Nothing, Mend::Set)
        };
    }
    keys
}

/// ARNs and patterns that a selection has at most (API reference, BackupSelection).
const MOST_ARNS: usize = 500;

/// The characters that all services take in the value of a tag (AWS General Reference, "Tagging AWS resources").
fn can_be_value(value: &str) -> bool {
    value.chars().all(|c| c.is_alphanumeric() || " _.:/=+-@".contains(c))
}

/// Tags of AWS itself cannot be set by people.
fn can_be_set(key: &str) -> bool {
    !key.starts_with("aws:")
}

fn matches(pattern: &Pattern, resource: &Resource) -> Truth {
    if is_reference(pattern, resource) {
        Truth::Yes
    } else if resource.arn_end_unread {
        pattern.matches_beginning(&resource.arn)
    } else {
        pattern.matches(&resource.arn).into()
    }
}

/// Whether a resource whose ARN nobody knows yet is meant: such a one is referred to by its id.
fn is_reference(pattern: &Pattern, resource: &Resource) -> bool {
    resource.arn_end_unread && pattern.text() == resource.id()
}

impl Candidate<'_> {
    /// Whether a pattern names its type or itself, and not its service only.
    fn is_named_by(&self, pattern: &Pattern) -> bool {
        self.protected.is_named_by(pattern.text()) || is_reference(pattern, self.resource)
    }
}
