//! Evaluates whether a backup selection matches a resource.
//!
//! Sources: AWS Backup developer guide, "Assign resources with AWS CLI"; API reference, BackupSelection, Conditions,
//! Condition. A resource is selected when it matches one of `Resources` or one of `ListOfTags` (everything matches if
//! both are empty), every condition holds, no pattern of `NotResources` matches, and its service is enabled. A
//! selection by type or ARN does not need the service to be enabled, unless other services share the ARN format.

use syntax::wildcard::Wildcard;

use super::reason::{ConditionOperator, FailedClause, RemediationStep, Uncertainty};
use super::ternary::Ternary;
use super::value;
use crate::inventory::document::SelectionPart;
use crate::inventory::{Inventory, InventoryLocation, Plan, ProtectedType, Resource, Selection, Symbol, Tag};

/// A selection compiled for an inventory.
#[derive(Debug)]
pub(super) struct CompiledSelection<'a> {
    pub(super) plan: &'a Plan,
    pub(super) selection: &'a Selection,
    everything: bool,
    resources: Vec<Wildcard>,
    not_resources: Vec<Wildcard>,
    list: Vec<TagClause<'a>>,
    conditions: Vec<CompiledCondition<'a>>,
    keys: Vec<ConditionedTag<'a>>,
}

/// An entry of `ListOfTags`.
#[derive(Debug)]
struct TagClause<'a> {
    key: Option<Symbol>,
    value: Option<Symbol>,
    key_text: &'a str,
    value_text: &'a str,
    /// The index in `keys` of the conditions on the same tag.
    conditioned: Option<usize>,
    /// Whether the value satisfies these conditions, and users can set the tag.
    can_be_set: bool,
}

#[derive(Debug)]
struct CompiledCondition<'a> {
    operator: ConditionOperator,
    /// Whether the key has the required prefix; the effect of other keys is not documented.
    is_clear: bool,
    key: Option<Symbol>,
    value: Option<Symbol>,
    key_text: &'a str,
    value_text: &'a str,
    pattern: Wildcard,
}

/// A tag with conditions.
#[derive(Debug)]
struct ConditionedTag<'a> {
    text: &'a str,
    /// Indexes in `conditions`.
    conditions: Vec<usize>,
    fix: TagFix,
}

/// The change of a tag after which all conditions on it hold.
#[derive(Debug)]
enum TagFix {
    Nothing,
    Remove,
    Set(String),
}

/// The clause that makes a selection match, if its conditions hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum MatchRoute {
    /// It matches already, if the service is enabled.
    Already,
    /// By this entry of the list of tags.
    Listed(usize),
    /// By its ARN.
    Arn,
}

/// The cost of making a selection match. Ordered by preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ChangeCost {
    changes: u32,
    kind: u8,
    route: MatchRoute,
    opt_in: bool,
}

/// A resource to match.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub(super) resource: &'a Resource,
    pub(super) protected: &'static ProtectedType,
    /// Whether its service is enabled in its location.
    pub(super) opt_in: Ternary,
    pub(super) service: &'static str,
}

impl<'a> CompiledSelection<'a> {
    pub(super) fn new(inventory: &'a Inventory, plan: &'a Plan, selection: &'a Selection) -> Self {
        let find = |text: &str| inventory.symbols.find(text);
        let of_operator = |operator: ConditionOperator, list: &'a [crate::inventory::document::TagValue]| {
            list.iter().map(move |condition| {
                let key = condition.tag().unwrap_or(&condition.key);
                CompiledCondition {
                    operator,
                    is_clear: condition.tag().is_some(),
                    key: find(key),
                    value: find(&condition.value),
                    key_text: key,
                    value_text: &condition.value,
                    pattern: Wildcard::new(&condition.value),
                }
            })
        };
        let written = &selection.conditions;
        let conditions: Vec<CompiledCondition<'a>> =
            of_operator(ConditionOperator::StringEquals, &written.string_equals)
                .chain(of_operator(ConditionOperator::StringNotEquals, &written.string_not_equals))
                .chain(of_operator(ConditionOperator::StringLike, &written.string_like))
                .chain(of_operator(ConditionOperator::StringNotLike, &written.string_not_like))
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
                TagClause {
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
        let patterns = |texts: &[String]| texts.iter().map(|text| Wildcard::new(text)).collect();
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

    /// Returns whether the selection matches a resource.
    pub(super) fn selects(&self, inventory: &Inventory, candidate: &Candidate<'_>) -> Ternary {
        let mut holds = self.known(SelectionPart::Conditions).and(self.known(SelectionPart::Existence));
        for condition in &self.conditions {
            holds = holds.and(condition.holds(inventory, candidate.resource));
            if holds == Ternary::No {
                return Ternary::No;
            }
        }
        holds = holds.and(self.matches_resource(candidate));
        if holds == Ternary::No {
            return Ternary::No;
        }
        holds.and(self.known(SelectionPart::NotResources)).and(self.excludes(candidate.resource).not())
    }

    /// `Yes` if the part was read completely.
    fn known(&self, part: SelectionPart) -> Ternary {
        let unread = &self.selection.unread;
        if !unread.is_empty() && unread.contains(&part) { Ternary::Unknown } else { Ternary::Yes }
    }

    fn excludes(&self, resource: &Resource) -> Ternary {
        self.not_resources.iter().map(|pattern| matches(pattern, resource)).max().unwrap_or(Ternary::No)
    }

    fn matches_resource(&self, candidate: &Candidate<'_>) -> Ternary {
        let Candidate { resource, protected, opt_in, .. } = *candidate;
        if self.everything {
            return opt_in;
        }
        let needs_no_service = |pattern: &Wildcard| {
            if protected.shared || !candidate.is_named_by(pattern) { opt_in } else { Ternary::Yes }
        };
        let mut matched = match self.known(SelectionPart::Resources) {
            Ternary::Yes => Ternary::No,
            unknown if protected.shared => unknown.and(opt_in),
            unknown => unknown,
        };
        if self.known(SelectionPart::ListOfTags) == Ternary::Unknown {
            matched = matched.or(opt_in.and(Ternary::Unknown));
        }
        for pattern in &self.resources {
            let truth = matches(pattern, resource);
            if truth != Ternary::No {
                matched = matched.or(truth.and(needs_no_service(pattern)));
            }
            if matched == Ternary::Yes {
                return matched;
            }
        }
        if opt_in > matched {
            for listed in &self.list {
                matched = matched.or(listed.holds(resource).and(opt_in));
            }
        }
        matched
    }

    /// Returns the cheapest changes that make the selection match; `None` if no supported change does.
    pub(super) fn cheapest(&self, inventory: &Inventory, candidate: &Candidate<'_>) -> Option<ChangeCost> {
        let resource = candidate.resource;
        let all_known = |part| self.known(part) == Ternary::Yes;
        if !all_known(SelectionPart::Conditions)
            || !all_known(SelectionPart::Existence)
            || self.conditions.iter().any(|condition| !condition.is_clear)
            || !all_known(SelectionPart::NotResources)
            || self.excludes(resource) != Ternary::No
        {
            return None;
        }
        let mut tags = 0;
        for key in &self.keys {
            if !self.key_holds(inventory, resource, key) {
                if matches!(key.fix, TagFix::Nothing) {
                    return None;
                }
                tags += 1;
            }
        }
        let switch_off = candidate.opt_in == Ternary::No;
        let new = |tags: u32, route: MatchRoute, needs_switch: bool| {
            let opt_in = switch_off && needs_switch;
            let changes = tags + u32::from(opt_in) + u32::from(route == MatchRoute::Arn);
            // A tag is the smallest change, an ARN is for this resource alone, enabling a service affects a whole
            // Region.
            let kind = match (route, opt_in) {
                (MatchRoute::Arn, _) => 2,
                (_, true) => 1,
                _ => 0,
            };
            ChangeCost { changes, kind, route, opt_in }
        };
        let shared = candidate.protected.shared;
        let already = if self.everything {
            Some(new(tags, MatchRoute::Already, true))
        } else {
            let matching = self.resources.iter().filter(|pattern| matches(pattern, resource) == Ternary::Yes);
            matching
                .map(|pattern| shared || !candidate.is_named_by(pattern))
                .min()
                .map(|needs_switch| new(tags, MatchRoute::Already, needs_switch))
        };
        let listed = self.list.iter().enumerate().filter_map(|(index, listed)| {
            let key = listed.conditioned.and_then(|key| self.keys.get(key));
            let counted = key.is_some_and(|key| !self.key_holds(inventory, resource, key));
            if listed.holds(resource) == Ternary::Yes {
                // Listed only with this value, with which a condition fails.
                return (!counted).then(|| new(tags, MatchRoute::Listed(index), true));
            }
            listed.can_be_set.then(|| new(tags + u32::from(!counted), MatchRoute::Listed(index), true))
        });
        let has_room = self.selection.resources.len() < MOST_ARNS;
        let arn =
            (!self.everything && !resource.arn_end_unread && has_room).then(|| new(tags, MatchRoute::Arn, shared));
        already.into_iter().chain(listed).chain(arn).min()
    }

    /// Returns the steps for a cost.
    pub(super) fn changes(
        &self,
        inventory: &'a Inventory,
        location: &'a InventoryLocation,
        candidate: &Candidate<'a>,
        cost: ChangeCost,
    ) -> Vec<RemediationStep<'a>> {
        let resource = candidate.resource;
        let mut changes = Vec::new();
        let listed = match cost.route {
            MatchRoute::Listed(index) => self.list.get(index).filter(|listed| listed.holds(resource) != Ternary::Yes),
            MatchRoute::Already | MatchRoute::Arn => None,
        };
        let current = |key: &str| {
            let tag = inventory.symbols.find(key).and_then(|key| resource.tag(key));
            tag.and_then(|tag| tag.value).map(|value| inventory.symbols.get(value))
        };
        for key in &self.keys {
            if listed.is_some_and(|listed| listed.key_text == key.text) || self.key_holds(inventory, resource, key) {
                continue;
            }
            match &key.fix {
                TagFix::Set(value) => {
                    changes.push(RemediationStep::SetTag {
                        key: key.text,
                        value: value.clone(),
                        current: current(key.text),
                    });
                }
                TagFix::Remove => {
                    changes.push(RemediationStep::RemoveTag { key: key.text, current: current(key.text) })
                }
                TagFix::Nothing => {}
            }
        }
        if let Some(TagClause { key_text: key, value_text, .. }) = listed {
            changes.push(RemediationStep::SetTag { key, value: (*value_text).to_owned(), current: current(key) });
        }
        if cost.route == MatchRoute::Arn {
            changes.push(RemediationStep::AddArn { plan: self.plan, selection: self.selection, arn: &resource.arn });
        }
        if cost.opt_in {
            changes.push(RemediationStep::OptIn {
                account: &location.account,
                region: &location.region,
                service: candidate.service,
            });
        }
        changes
    }

    /// Returns every clause that fails.
    pub(super) fn failed(&self, inventory: &'a Inventory, candidate: &Candidate<'a>) -> Vec<FailedClause<'a>> {
        let resource = candidate.resource;
        let mut failed = Vec::new();
        for condition in &self.conditions {
            if condition.holds(inventory, resource) == Ternary::No {
                let tag = condition.key.and_then(|key| resource.tag(key));
                failed.push(FailedClause::Condition {
                    operator: condition.operator,
                    key: condition.key_text,
                    value: condition.value_text,
                    found: tag.and_then(|tag| tag.value).map(|value| inventory.symbols.get(value)),
                });
            }
        }
        if let Some(pattern) = self
            .selection
            .not_resources
            .iter()
            .zip(&self.not_resources)
            .find(|(_, own)| matches(own, resource) == Ternary::Yes)
        {
            failed.push(FailedClause::Excluded(pattern.0));
        }
        let switched_on = Candidate { opt_in: Ternary::Yes, ..*candidate };
        if self.matches_resource(&switched_on) == Ternary::No {
            failed.push(FailedClause::NotNamed);
        } else if self.matches_resource(candidate) == Ternary::No {
            failed.push(FailedClause::SwitchedOff(candidate.service));
        }
        failed
    }

    /// Returns the uncertainties that decide whether the selection matches.
    pub(super) fn unknown(&self, inventory: &'a Inventory, candidate: &Candidate<'a>) -> Vec<Uncertainty<'a>> {
        let Candidate { resource, opt_in, service, .. } = *candidate;
        let mut unknown: Vec<Uncertainty<'a>> = self
            .selection
            .unread
            .iter()
            .map(|part| Uncertainty::Selection { plan: self.plan, selection: self.selection, part: *part })
            .collect();
        for condition in self.conditions.iter().filter(|condition| !condition.is_clear) {
            unknown.push(Uncertainty::ConditionKey(condition.key_text));
        }
        let tags = self.conditions.iter().map(|condition| (condition.key, condition.key_text));
        for (key, text) in tags.chain(self.list.iter().map(|listed| (listed.key, listed.key_text))) {
            let found = key.and_then(|key| resource.tag(key));
            match found {
                None if resource.tags_unread => unknown.push(Uncertainty::Tags),
                Some(Tag { value: None, .. }) => unknown.push(Uncertainty::TagValue(text)),
                _ => {}
            }
        }
        let patterns = || self.resources.iter().chain(&self.not_resources);
        if resource.arn_end_unread && patterns().any(|pattern| matches(pattern, resource) == Ternary::Unknown) {
            unknown.push(Uncertainty::ArnEnd);
        }
        if opt_in == Ternary::Unknown
            && self.selects(inventory, &Candidate { opt_in: Ternary::Yes, ..*candidate }) != Ternary::No
        {
            unknown.push(Uncertainty::OptIn(service));
        }
        unknown
    }

    fn key_holds(&self, inventory: &Inventory, resource: &Resource, key: &ConditionedTag<'_>) -> bool {
        let own = key.conditions.iter().filter_map(|index| self.conditions.get(*index));
        own.into_iter().all(|condition| condition.holds(inventory, resource) == Ternary::Yes)
    }
}

impl TagClause<'_> {
    fn holds(&self, resource: &Resource) -> Ternary {
        match self.key.and_then(|key| resource.tag(key)) {
            None if resource.tags_unread => Ternary::Unknown,
            None => Ternary::No,
            Some(Tag { value: None, .. }) => Ternary::Unknown,
            Some(Tag { value, .. }) => (value == self.value).into(),
        }
    }
}

impl CompiledCondition<'_> {
    /// A negative operator holds for a resource without the tag.
    fn holds(&self, inventory: &Inventory, resource: &Resource) -> Ternary {
        if !self.is_clear {
            return Ternary::Unknown;
        }
        let fits = match self.key.and_then(|key| resource.tag(key)) {
            None if resource.tags_unread => Ternary::Unknown,
            None => Ternary::No,
            Some(Tag { value: None, .. }) if self.operator.is_like() && self.pattern.is_everything() => Ternary::Yes,
            Some(Tag { value: None, .. }) => Ternary::Unknown,
            Some(Tag { value: Some(value), .. }) if self.operator.is_like() => {
                self.pattern.matches(inventory.symbols.get(value)).into()
            }
            Some(Tag { value, .. }) => (value == self.value).into(),
        };
        if self.operator.is_negative() { fits.not() } else { fits }
    }

    /// Returns whether it holds for this value of the tag.
    fn holds_for(&self, value: &str) -> bool {
        let fits = if self.operator.is_like() { self.pattern.matches(value) } else { self.pattern.text() == value };
        fits != self.operator.is_negative()
    }
}

/// Groups conditions by tag, with the change that satisfies them.
fn keys<'a>(conditions: &[CompiledCondition<'a>]) -> Vec<ConditionedTag<'a>> {
    let mut keys: Vec<ConditionedTag<'a>> = Vec::new();
    for (index, condition) in conditions.iter().enumerate() {
        match keys.iter_mut().find(|key| key.text == condition.key_text) {
            Some(key) => key.conditions.push(index),
            None => {
                keys.push(ConditionedTag { text: condition.key_text, conditions: vec![index], fix: TagFix::Nothing })
            }
        }
    }
    for key in &mut keys {
        if !can_be_set(key.text) {
            continue;
        }
        let own: Vec<&CompiledCondition<'_>> =
            key.conditions.iter().filter_map(|index| conditions.get(*index)).collect();
        let holds = |value: &str| own.iter().all(|condition| condition.holds_for(value));
        key.fix = if own.iter().all(|condition| condition.operator.is_negative()) {
            TagFix::Remove
        } else if let Some(equals) = own.iter().find(|condition| condition.operator == ConditionOperator::StringEquals)
        {
            let value = equals.pattern.text();
            if holds(value) && can_be_value(value) { TagFix::Set(value.to_owned()) } else { TagFix::Nothing }
        } else {
            let with = |negative| {
                let own = own.iter().filter(move |condition| condition.operator.is_negative() == negative);
                // A tag value cannot contain `*`, so inequality to such a value always holds.
                let own = own.filter(|condition| condition.operator.is_like() || !condition.value_text.contains('*'));
                own.map(|condition| &condition.pattern)
            };
            let (like, unlike): (Vec<_>, Vec<_>) = (with(false).collect(), with(true).collect());
            let value = value::satisfying(&like, &unlike).filter(|value| holds(value) && can_be_value(value));
            value.map_or(TagFix::Nothing, TagFix::Set)
        };
    }
    keys
}

/// The maximum of ARNs and patterns of a selection (API reference, BackupSelection).
const MOST_ARNS: usize = 500;

/// The characters that all services accept in a tag value (AWS General Reference, "Tagging AWS resources").
fn can_be_value(value: &str) -> bool {
    value.chars().all(|c| c.is_alphanumeric() || " _.:/=+-@".contains(c))
}

/// AWS reserves the prefix.
fn can_be_set(key: &str) -> bool {
    !key.starts_with("aws:")
}

fn matches(pattern: &Wildcard, resource: &Resource) -> Ternary {
    if is_reference(pattern, resource) {
        Ternary::Yes
    } else if resource.arn_end_unread {
        pattern.matches_prefix(&resource.arn).map_or(Ternary::Unknown, Ternary::from)
    } else {
        pattern.matches(&resource.arn).into()
    }
}

/// A resource without a complete ARN is referred to by its id.
fn is_reference(pattern: &Wildcard, resource: &Resource) -> bool {
    resource.arn_end_unread && pattern.text() == resource.id()
}

impl Candidate<'_> {
    /// Returns whether a pattern names the type or the resource, not only the service.
    fn is_named_by(&self, pattern: &Wildcard) -> bool {
        self.protected.is_named_by(pattern.text()) || is_reference(pattern, self.resource)
    }
}
