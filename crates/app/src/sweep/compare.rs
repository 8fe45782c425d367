//! What is on record against what AWS Config says. Pure.

use super::account::Unseen;
use super::spot;
use crate::ports::{EvaluationResult, Sight};
use domain::control::RuleName;
use domain::ids::{AccountId, RegionName};
use domain::notice::{BlindCause, BlindReason, BlindSpot};
use domain::violation::{Change, Closing, Key, Ordering, Record};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// An aggregator lags minutes behind: what it does not show yet is not gone.
const GONE_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// An account as the policy wants it and as it was seen.
pub(super) struct Places<'a> {
    /// The controls in force, by Region.
    pub(super) in_force: &'a BTreeMap<RegionName, BTreeSet<String>>,
    /// Whether any framework is in force anywhere. If not, nothing was published yet, and nothing can have been removed.
    pub(super) published: bool,
    /// The Regions that could be seen.
    pub(super) seen: &'a BTreeMap<&'a RegionName, &'a Sight>,
}

/// What to do with an open record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Leave it as it is.
    Open,
    /// Close it.
    Close(Closing),
    /// See what Config has to say in its favour.
    Ask(Doubt),
    /// No rule of its control has any result: it is gone, if Config does not know the resource any more.
    Search,
}

/// An open record that Config does not say is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Doubt {
    /// The rules that evaluate it.
    pub(super) rules: Vec<String>,
    /// What to do when none of them has a result for it.
    pub(super) if_gone: Box<Verdict>,
}

/// The control that a rule belongs to, as in [`Key::control`].
pub(super) fn control(rule_name: &str) -> String {
    RuleName::parse(rule_name).control.map_or_else(|| rule_name.to_owned(), |control| control.name.to_owned())
}

impl Places<'_> {
    /// Rules of a control in a Region.
    fn rules(&self, region: &RegionName, name: &str) -> Vec<String> {
        let sight = self.seen.get(region);
        sight.into_iter().flat_map(|sight| &sight.rules).filter(|rule| control(rule) == name).cloned().collect()
    }

    /// What Config says is broken, as changes that a sweep makes at `now`.
    pub(super) fn broken(&self, account: &AccountId, now: Timestamp) -> BTreeMap<Key, Change> {
        let mut broken: BTreeMap<Key, Change> = BTreeMap::new();
        for (region, sight) in self.seen {
            for result in &sight.broken {
                let change = changed(account, region, result, now);
                // Two frameworks may have the same control: the later result counts.
                match broken.get(&change.key) {
                    Some(other) if other.ordering >= change.ordering => {}
                    _ => drop(broken.insert(change.key.clone(), change)),
                }
            }
        }
        broken
    }

    /// Where a framework should be in force and nothing of it can be seen. One control alone says nothing: an aggregator leaves out
    /// rules without results, and where there is nothing to evaluate there are none.
    pub(super) fn blind(&self, account: &AccountId, unseen: &Unseen, now: Timestamp) -> Vec<BlindSpot> {
        const UNKNOWN: BlindReason = BlindReason { cause: BlindCause::NoResult, detail: None };
        let blind = self.in_force.keys().filter(|region| !self.seen.contains_key(*region));
        blind.map(|region| spot(account, region, unseen.get(region).cloned().unwrap_or(UNKNOWN), now)).collect()
    }
}

/// A result as a change, heard of at `now`.
pub(super) fn changed(account: &AccountId, region: &RegionName, result: &EvaluationResult, now: Timestamp) -> Change {
    Change {
        key: Key {
            account: account.clone(),
            region: region.clone(),
            control: control(&result.rule_name),
            resource_type: result.resource_type.clone(),
            resource_id: result.resource_id.clone(),
        },
        compliance: result.compliance,
        ordering: Ordering { triggered: result.triggered, recorded: result.recorded, notified: now },
        rule_name: result.rule_name.clone(),
        rule_arn: result.rule_arn.clone(),
        annotation: result.annotation.clone(),
        had_result: false,
        previous: None,
    }
}

/// What to do with an open record.
pub(super) fn judge(record: &Record, places: &Places<'_>, broken: bool, now: Timestamp) -> Verdict {
    if broken {
        return Verdict::Open;
    }
    let Key { region, control, .. } = &record.key;
    let rules = places.rules(region, control);
    // An event may have told of it before the aggregator has heard.
    let old = now.duration_since(record.ordering.notified) >= GONE_AFTER;
    if !rules.is_empty() {
        // A framework that was made anew has new rules, and as long as those have not looked everywhere they say nothing.
        let if_gone = match (old, rules.contains(&record.rule_name)) {
            (true, true) => Verdict::Close(Closing::ResourceGone),
            (true, false) => Verdict::Search,
            (false, _) => Verdict::Open,
        };
        return Verdict::Ask(Doubt { rules, if_gone: Box::new(if_gone) });
    }
    if !places.published {
        return Verdict::Open;
    }
    let known_control = domain::control::find(control).is_some();
    match places.in_force.get(region) {
        Some(controls) if controls.contains(control) && old && places.seen.contains_key(region) => Verdict::Search,
        Some(controls) if controls.contains(control) => Verdict::Open,
        // A rule whose control we do not know may belong to a framework that is in force: only a look can tell.
        Some(_) if !known_control && !places.seen.contains_key(region) => Verdict::Open,
        Some(_) => Verdict::Close(Closing::ControlRemoved),
        None => Verdict::Close(Closing::FrameworkRemoved),
    }
}
