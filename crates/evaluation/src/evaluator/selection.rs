//! Evaluates whether a backup selection matches a resource.
//!
//! Sources: AWS Backup developer guide, "Assign resources with AWS CLI"; API reference, BackupSelection, Conditions,
//! Condition. A resource is selected when it matches one of `Resources` or one of `ListOfTags` (everything matches if
//! both are empty), every condition holds, no pattern of `NotResources` matches, and its service is enabled. A
//! selection by type or ARN does not need the service to be enabled, unless other services share the ARN format.

use framework::backup::arn::matches_nothing;
use framework::backup::selection::{MOST_ARNS, MOST_PATTERNS, ValueCondition, contradiction};
use syntax::wildcard::Wildcard;

use super::reason::{FailedClause, RemediationStep, Uncertainty};
use super::ternary::Ternary;
use super::{has_tag, value};
use crate::inventory::document::{Conditions, SelectionPart, TagValue};
use crate::inventory::{
    Inventory, InventoryLocation, Plan, ProtectedType, Selection, StoredResource, Symbol, Tag, partial_arn,
};

#[derive(Debug)]
pub(super) struct CompiledSelection<'a> {
    inventory: &'a Inventory,
    pub(super) plan: &'a Plan,
    pub(super) selection: &'a Selection,
    everything: bool,
    /// Whether users can add one more ARN.
    can_add: bool,
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
    /// Whether the key is a bare tag key.
    is_clear: bool,
    /// The index in `keys` of the conditions on the same tag.
    conditioned: Option<usize>,
    /// Whether the value satisfies these conditions, and users can set the tag.
    can_be_set: bool,
}

#[derive(Debug)]
struct CompiledCondition<'a> {
    operator: &'static str,
    is_like: bool,
    /// A negative operator holds for a resource without the tag.
    is_negative: bool,
    /// Whether the key has the required prefix; the effect of other keys is not documented.
    is_clear: bool,
    key: Option<Symbol>,
    value: Option<Symbol>,
    key_text: &'a str,
    value_text: &'a str,
    pattern: Wildcard,
}

#[derive(Debug)]
struct ConditionedTag<'a> {
    text: &'a str,
    /// Indexes in `conditions`.
    conditions: Vec<usize>,
    /// The change of the tag after which they all hold.
    fix: Option<TagFix>,
}

#[derive(Debug)]
enum TagFix {
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
    /// By the tag of automatic backups of EFS, which only EFS sets.
    AutomaticBackups,
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
    pub(super) resource: &'a StoredResource,
    pub(super) protected: &'static ProtectedType,
    /// Whether its service is enabled in its location.
    pub(super) opt_in: Ternary,
    pub(super) service: &'static str,
}

impl<'a> CompiledSelection<'a> {
    pub(super) fn new(inventory: &'a Inventory, plan: &'a Plan, selection: &'a Selection) -> Self {
        let conditions = compiled(inventory, &selection.conditions);
        let keys = keys(&conditions);
        let list = selection
            .list_of_tags
            .iter()
            .map(|tag| {
                // AWS does not document whether this prefix of conditions is a part of the key here.
                let bare = tag.tag();
                let conditioned = keys.iter().position(|key| key.text == tag.key);
                let fits = conditioned.and_then(|key| keys.get(key)).is_none_or(|key| {
                    let mut own = key.conditions.iter().filter_map(|index| conditions.get(*index));
                    own.all(|condition| condition.holds_for(&tag.value))
                });
                TagClause {
                    key: inventory.symbols.find(bare.unwrap_or(&tag.key)),
                    value: inventory.symbols.find(&tag.value),
                    key_text: &tag.key,
                    value_text: &tag.value,
                    is_clear: bare.is_none(),
                    conditioned,
                    can_be_set: fits && can_be_set(&tag.key) && can_be_value(&tag.value),
                }
            })
            .collect();
        let is_none = |part, is_empty| is_empty && !selection.unread.contains(&part);
        let everything = is_none(SelectionPart::Resources, selection.resources.is_empty())
            && is_none(SelectionPart::ListOfTags, selection.list_of_tags.is_empty());
        let patterns = |texts: &[String]| texts.iter().map(|text| Wildcard::new(text)).collect();
        Self {
            inventory,
            plan,
            selection,
            everything,
            can_add: has_room(selection) && !is_managed(plan),
            resources: patterns(&selection.resources),
            not_resources: patterns(&selection.not_resources),
            list,
            conditions,
            keys,
        }
    }

    pub(super) fn selects(&self, candidate: &Candidate<'_>) -> Ternary {
        let mut holds = self.known(SelectionPart::Conditions).and(self.known(SelectionPart::Existence));
        for condition in &self.conditions {
            holds = holds.and(condition.holds(self.inventory, candidate.resource));
            if holds == Ternary::No {
                return holds;
            }
        }
        holds = holds.and(self.matches_resource(candidate));
        if holds == Ternary::No {
            return holds;
        }
        holds.and(self.known(SelectionPart::NotResources)).and(self.excludes(candidate.resource).not())
    }

    /// `Yes` if the part was read completely.
    fn known(&self, part: SelectionPart) -> Ternary {
        let unread = &self.selection.unread;
        // Almost all selections are read completely.
        Ternary::unknown_if(!unread.is_empty() && unread.contains(&part)).not()
    }

    fn excludes(&self, resource: &StoredResource) -> Ternary {
        self.not_resources.iter().map(|pattern| matches(pattern, resource)).max().unwrap_or(Ternary::No)
    }

    fn matches_resource(&self, candidate: &Candidate<'_>) -> Ternary {
        let Candidate { resource, protected, opt_in, .. } = *candidate;
        if self.everything {
            return opt_in;
        }
        let mut matched = Ternary::No;
        if !self.selection.unread.is_empty() {
            let unread = |part| self.known(part).not();
            let without_name = if protected.shared { opt_in } else { Ternary::Yes };
            matched = unread(SelectionPart::Resources).and(without_name);
            matched = matched.or(unread(SelectionPart::ListOfTags).and(opt_in));
        }
        for pattern in &self.resources {
            let truth = matches(pattern, resource);
            if truth != Ternary::No {
                let needs_service = protected.shared || !candidate.is_named_by(pattern);
                matched = matched.or(truth.and(if needs_service { opt_in } else { Ternary::Yes }));
            }
            if matched == Ternary::Yes {
                return matched;
            }
        }
        if opt_in > matched {
            for listed in &self.list {
                let mut holds = listed.holds(resource);
                if holds == Ternary::Yes && is_ontap(self.inventory, resource) {
                    holds = Ternary::Unknown;
                }
                matched = matched.or(holds.and(opt_in));
            }
        }
        matched
    }

    /// Returns the cheapest changes that make the selection match; `None` if no supported change does.
    pub(super) fn cheapest(&self, candidate: &Candidate<'_>) -> Option<ChangeCost> {
        let resource = candidate.resource;
        let is_needed = |part: &SelectionPart| {
            matches!(part, SelectionPart::Conditions | SelectionPart::Existence | SelectionPart::NotResources)
        };
        if self.selection.unread.iter().any(is_needed)
            || self.conditions.iter().any(|condition| !condition.is_clear)
            || self.excludes(resource) != Ternary::No
        {
            return None;
        }
        let mut tags = 0;
        for key in self.keys.iter().filter(|key| !self.key_holds(resource, key)) {
            key.fix.as_ref()?;
            tags += 1;
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
            Some(true)
        } else {
            let matching = self.resources.iter().filter(|pattern| matches(pattern, resource) == Ternary::Yes);
            matching.map(|pattern| shared || !candidate.is_named_by(pattern)).min()
        };
        let already = already.map(|needs_switch| new(tags, MatchRoute::Already, needs_switch));
        let by_tag = if is_ontap(self.inventory, resource) { &[] } else { self.list.as_slice() };
        let listed = by_tag.iter().enumerate().filter_map(|(index, listed)| {
            let key = listed.conditioned.and_then(|key| self.keys.get(key));
            let counted = key.is_some_and(|key| !self.key_holds(resource, key));
            if listed.holds(resource) == Ternary::Yes {
                // Listed only with this value, with which a condition fails.
                return (!counted).then(|| new(tags, MatchRoute::Listed(index), true));
            }
            listed.can_be_set.then(|| new(tags + u32::from(!counted), MatchRoute::Listed(index), true))
        });
        let arn =
            (!self.everything && !resource.arn_end_unread && self.can_add).then(|| new(tags, MatchRoute::Arn, shared));
        let automatic = candidate.protected.config_type == "AWS::EFS::FileSystem"
            && self.list.iter().any(|listed| listed.key_text == AUTOMATIC_BACKUPS && listed.value_text == "enabled");
        let automatic = automatic.then(|| new(tags + 1, MatchRoute::AutomaticBackups, true));
        already.into_iter().chain(listed).chain(automatic).chain(arn).min()
    }

    pub(super) fn changes(&self, candidate: &Candidate<'a>, cost: ChangeCost) -> Vec<RemediationStep<'a>> {
        let resource = candidate.resource;
        let mut changes = Vec::new();
        let listed = match cost.route {
            MatchRoute::Listed(index) => self.list.get(index).filter(|listed| listed.holds(resource) != Ternary::Yes),
            MatchRoute::Already | MatchRoute::AutomaticBackups | MatchRoute::Arn => None,
        };
        let current = |key: &str| tag_text(self.inventory, resource, self.inventory.symbols.find(key));
        for key in &self.keys {
            if listed.is_some_and(|listed| listed.key_text == key.text) || self.key_holds(resource, key) {
                continue;
            }
            let (fix, key, current) = (&key.fix, key.text, current(key.text));
            match fix {
                Some(TagFix::Set(value)) => {
                    let similar = self.similar(resource, key);
                    changes.push(RemediationStep::SetTag { key, value: value.clone(), current, similar })
                }
                Some(TagFix::Remove) => changes.push(RemediationStep::RemoveTag { key, current }),
                None => {}
            }
        }
        if let Some(TagClause { key_text: key, value_text, .. }) = listed {
            let (value, similar) = ((*value_text).to_owned(), self.similar(resource, key));
            changes.push(RemediationStep::SetTag { key, value, current: current(key), similar });
        }
        if cost.route == MatchRoute::AutomaticBackups {
            changes.push(RemediationStep::TurnOnAutomaticBackups);
        }
        if cost.route == MatchRoute::Arn {
            changes.push(RemediationStep::AddArn { plan: self.plan, selection: self.selection, arn: &resource.arn });
        }
        if cost.opt_in
            && let Some(InventoryLocation { account, region, .. }) = self.inventory.location_of_resource(resource)
        {
            changes.push(RemediationStep::OptIn { account, region, service: candidate.service });
        }
        changes
    }

    pub(super) fn failed(&self, candidate: &Candidate<'a>) -> Vec<FailedClause<'a>> {
        let resource = candidate.resource;
        let mut failed = Vec::new();
        for condition in self.conditions.iter().filter(|one| one.holds(self.inventory, resource) == Ternary::No) {
            failed.push(FailedClause::Condition {
                operator: condition.operator,
                key: condition.key_text,
                value: condition.value_text,
                found: tag_text(self.inventory, resource, condition.key),
                similar: self.similar(resource, condition.key_text),
            });
        }
        let never = self.keys.iter().filter(|key| self.is_contradiction(key));
        failed.extend(never.map(|key| FailedClause::Contradiction(key.text)));
        let mut patterns = self.selection.not_resources.iter().zip(&self.not_resources);
        let excluding = patterns.find(|(_, pattern)| matches(pattern, resource) == Ternary::Yes);
        failed.extend(excluding.map(|(text, _)| FailedClause::Excluded(text)));
        let switched_on = Candidate { opt_in: Ternary::Yes, ..*candidate };
        if self.matches_resource(&switched_on) == Ternary::No {
            failed.push(FailedClause::NotNamed);
            failed.extend(self.other_type(candidate).map(FailedClause::OtherType));
            let as_pattern = self.list.iter().find(|listed| listed.would_match(self.inventory, resource));
            failed.extend(as_pattern.map(|listed| FailedClause::LiteralStar(listed.key_text, listed.value_text)));
        } else if self.matches_resource(candidate) == Ternary::No {
            failed.push(FailedClause::SwitchedOff(candidate.service));
        }
        failed
    }

    /// Returns whether no value of a tag satisfies all conditions on it.
    fn is_contradiction(&self, key: &ConditionedTag<'_>) -> bool {
        let own = key.conditions.iter().filter_map(|index| self.conditions.get(*index));
        let own =
            own.map(|one| ValueCondition { is_like: one.is_like, is_negative: one.is_negative, value: one.value_text });
        contradiction(&own.collect::<Vec<_>>()).is_some()
    }

    /// Returns the uncertainties that decide whether the selection matches.
    pub(super) fn unknown(&self, candidate: &Candidate<'a>) -> Vec<Uncertainty<'a>> {
        let Candidate { resource, opt_in, service, .. } = *candidate;
        let unread = self.selection.unread.iter();
        let mut unknown: Vec<Uncertainty<'a>> =
            unread.map(|part| Uncertainty::Selection(self.plan, self.selection, *part)).collect();
        let unclear = self.conditions.iter().filter(|condition| !condition.is_clear);
        unknown.extend(unclear.map(|condition| Uncertainty::ConditionKey(condition.key_text)));
        let unclear = self.list.iter().filter(|listed| !listed.is_clear && listed.holds(resource) != Ternary::No);
        unknown.extend(unclear.map(|listed| Uncertainty::ListedKey(listed.key_text)));
        let tags = self.conditions.iter().map(|condition| (condition.key, condition.key_text));
        for (key, text) in tags.chain(self.list.iter().map(|listed| (listed.key, listed.key_text))) {
            match key.and_then(|key| resource.tag(key)) {
                None if resource.tags_unread => unknown.push(Uncertainty::Tags),
                Some(Tag { value: None, .. }) => unknown.push(Uncertainty::TagValue(text)),
                _ => {}
            }
        }
        if is_ontap(self.inventory, resource) && self.list.iter().any(|listed| listed.holds(resource) == Ternary::Yes) {
            unknown.push(Uncertainty::OntapTags);
        }
        let patterns = || self.resources.iter().chain(&self.not_resources);
        if resource.arn_end_unread && patterns().any(|pattern| matches(pattern, resource) == Ternary::Unknown) {
            unknown.push(Uncertainty::ArnEnd);
        }
        if opt_in == Ternary::Unknown && self.selects(&Candidate { opt_in: Ternary::Yes, ..*candidate }) != Ternary::No
        {
            unknown.push(Uncertainty::OptIn(service));
        }
        unknown
    }

    /// Returns a pattern that names another type of the service.
    fn other_type(&self, candidate: &Candidate<'_>) -> Option<&'a str> {
        let (own, _) = candidate.protected.arn_kind.split_once([':', '/'])?;
        let names_other = |pattern: &&String| {
            partial_arn::parts(pattern.as_str()).is_some_and(|[_, _, service, _, _, last]| {
                service == candidate.protected.service
                    && last.split_once([':', '/']).is_some_and(|(kind, _)| kind != own && !kind.contains('*'))
            })
        };
        self.selection.resources.iter().find(names_other).map(String::as_str)
    }

    /// Returns the key of a tag that differs from `key` in case only, if the resource does not have `key`.
    fn similar(&self, resource: &StoredResource, key: &str) -> Option<&'a str> {
        let mut keys = resource.tags.iter().map(|tag| self.inventory.symbols.get(tag.key));
        if keys.clone().any(|own| own == key) {
            return None;
        }
        keys.find(|own| own.eq_ignore_ascii_case(key))
    }

    fn key_holds(&self, resource: &StoredResource, key: &ConditionedTag<'_>) -> bool {
        let mut own = key.conditions.iter().filter_map(|index| self.conditions.get(*index));
        own.all(|condition| condition.holds(self.inventory, resource) == Ternary::Yes)
    }
}

impl TagClause<'_> {
    /// Returns whether the value would match if its `*` were one of a pattern.
    fn would_match(&self, inventory: &Inventory, resource: &StoredResource) -> bool {
        let is_match = |value: &str| syntax::wildcard::matches(self.value_text, value);
        self.value_text.contains('*') && tag_text(inventory, resource, self.key).is_some_and(is_match)
    }

    fn holds(&self, resource: &StoredResource) -> Ternary {
        let has = has_tag(resource, self.key, |value| value.map_or(Ternary::Unknown, |_| (value == self.value).into()));
        if self.is_clear { has } else { has.and(Ternary::Unknown) }
    }
}

impl CompiledCondition<'_> {
    fn holds(&self, inventory: &Inventory, resource: &StoredResource) -> Ternary {
        if !self.is_clear {
            return Ternary::Unknown;
        }
        let fits = has_tag(resource, self.key, |value| match value {
            None if self.is_like && self.pattern.is_everything() => Ternary::Yes,
            None => Ternary::Unknown,
            Some(value) if self.is_like => self.pattern.matches(inventory.symbols.get(value)).into(),
            Some(_) => (value == self.value).into(),
        });
        if self.is_negative { fits.not() } else { fits }
    }

    /// Returns whether it holds for this value of the tag.
    fn holds_for(&self, value: &str) -> bool {
        let fits = if self.is_like { self.pattern.matches(value) } else { self.pattern.text() == value };
        fits != self.is_negative
    }
}

/// Returns whether a file system is FSx for ONTAP. AWS Backup asks to tag its volumes, not the file system (AWS Backup
/// developer guide, "Assign resources").
fn is_ontap(inventory: &Inventory, resource: &StoredResource) -> bool {
    let engine = resource.engine.map(|engine| inventory.symbols.get(engine));
    engine.is_some_and(|engine| engine.eq_ignore_ascii_case("ONTAP"))
}

/// Returns the value of a tag, if known.
fn tag_text<'a>(inventory: &'a Inventory, resource: &StoredResource, key: Option<Symbol>) -> Option<&'a str> {
    Some(inventory.symbols.get(resource.tag(key?)?.value?))
}

fn compiled<'a>(inventory: &Inventory, written: &'a Conditions) -> Vec<CompiledCondition<'a>> {
    let condition = |operator, is_like, is_negative| {
        move |condition: &'a TagValue| {
            let key = condition.tag().unwrap_or(&condition.key);
            CompiledCondition {
                operator,
                is_like,
                is_negative,
                is_clear: condition.tag().is_some(),
                key: inventory.symbols.find(key),
                value: inventory.symbols.find(&condition.value),
                key_text: key,
                value_text: &condition.value,
                pattern: Wildcard::new(&condition.value),
            }
        }
    };
    let equals = written.string_equals.iter().map(condition("StringEquals", false, false));
    let not_equals = written.string_not_equals.iter().map(condition("StringNotEquals", false, true));
    let like = written.string_like.iter().map(condition("StringLike", true, false));
    let not_like = written.string_not_like.iter().map(condition("StringNotLike", true, true));
    equals.chain(not_equals).chain(like).chain(not_like).collect()
}

/// Groups conditions by tag, with the change that satisfies them.
fn keys<'a>(conditions: &[CompiledCondition<'a>]) -> Vec<ConditionedTag<'a>> {
    let mut keys: Vec<ConditionedTag<'a>> = Vec::new();
    for (index, condition) in conditions.iter().enumerate() {
        match keys.iter_mut().find(|key| key.text == condition.key_text) {
            Some(key) => key.conditions.push(index),
            None => keys.push(ConditionedTag { text: condition.key_text, conditions: vec![index], fix: None }),
        }
    }
    for key in keys.iter_mut().filter(|key| can_be_set(key.text)) {
        let own: Vec<&CompiledCondition<'_>> =
            key.conditions.iter().filter_map(|index| conditions.get(*index)).collect();
        key.fix = fix(&own);
    }
    keys
}

/// Returns the change of a tag that satisfies all conditions on it.
fn fix(own: &[&CompiledCondition<'_>]) -> Option<TagFix> {
    if own.iter().all(|condition| condition.is_negative) {
        return Some(TagFix::Remove);
    }
    let value = match own.iter().find(|condition| !condition.is_like && !condition.is_negative) {
        Some(equals) => Some(equals.pattern.text().to_owned()),
        None => {
            let with = |is_negative| {
                let own = own.iter().filter(move |condition| condition.is_negative == is_negative);
                // A tag value cannot contain `*`, so inequality to such a value always holds.
                let own = own.filter(|condition| condition.is_like || !condition.value_text.contains('*'));
                own.map(|condition| &condition.pattern).collect::<Vec<_>>()
            };
            value::satisfying(&with(false), &with(true))
        }
    };
    let holds = |value: &str| own.iter().all(|condition| condition.holds_for(value));
    value.filter(|value| holds(value) && can_be_value(value)).map(TagFix::Set)
}

/// Returns whether `Resources` accepts one more ARN (API reference, BackupSelection).
fn has_room(selection: &Selection) -> bool {
    let has_patterns = selection.resources.iter().any(|arn| arn.contains('*'));
    selection.resources.len() < if has_patterns { MOST_PATTERNS } else { MOST_ARNS }
}

/// The tag that EFS sets on file systems with automatic backups.
const AUTOMATIC_BACKUPS: &str = "aws:elasticfilesystem:default-backup";

/// Returns whether a service manages the plan, so that users cannot change it: EFS (automatic backups), AWS Control
/// Tower, or a backup policy of AWS Organizations.
pub(super) fn is_managed(plan: &Plan) -> bool {
    let starts = |start: &str| plan.id.starts_with(start) || plan.name.starts_with(start);
    starts("aws/efs/") || starts("orgs/") || plan.tags.contains_key("aws-control-tower")
}

/// The characters that all services accept in a tag value (AWS General Reference, "Tagging AWS resources").
fn can_be_value(value: &str) -> bool {
    value.chars().all(|c| c.is_alphanumeric() || " _.:/=+-@".contains(c))
}

/// AWS reserves the prefix.
fn can_be_set(key: &str) -> bool {
    !key.starts_with("aws:")
}

#[inline(always)]
fn matches(pattern: &Wildcard, resource: &StoredResource) -> Ternary {
    if !resource.arn_end_unread && resource.partial_arn.is_none() {
        pattern.matches(&resource.arn).into()
    } else if is_reference(pattern, resource) {
        Ternary::Yes
    } else if let Some(partial) = &resource.partial_arn {
        partial_arn::matches(pattern, partial).map_or(Ternary::Unknown, Ternary::from)
    } else {
        match pattern.matches_prefix(&resource.arn) {
            Some(matches) => matches.into(),
            // The unknown name cannot make up for a wrong type.
            None => Ternary::unknown_if(matches_nothing("Resources", pattern.text()).is_none()),
        }
    }
}

/// A resource without a complete ARN is referred to by its id.
fn is_reference(pattern: &Wildcard, resource: &StoredResource) -> bool {
    resource.arn_end_unread && pattern.text() == resource.id()
}

impl Candidate<'_> {
    /// Returns whether a pattern names the type or the resource, not only the service.
    fn is_named_by(&self, pattern: &Wildcard) -> bool {
        self.protected.is_named_by(pattern.text()) || is_reference(pattern, self.resource)
    }
}
