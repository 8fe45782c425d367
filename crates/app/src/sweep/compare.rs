//! Compares open records with the compliance results of AWS Config. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use domain::notice::{BlindSpot, BlindSpotCause, BlindSpotReason};
use domain::violation::{ClosedReason, ComplianceChange, ResultOrdering, ViolationKey, ViolationRecord};
use framework::ids::{AccountId, RegionName};

use crate::events::control_of;
use crate::sweep::ports::{EvaluationResult, RegionCompliance};

/// A missing result counts as deleted only after this time, since an aggregator lags minutes behind.
const AGGREGATION_DELAY: SignedDuration = SignedDuration::from_hours(1);

/// The controls in force in an account, and its results in AWS Config.
pub(super) struct AccountComparison<'a> {
    /// The controls in force, by Region.
    pub(super) in_force: &'a BTreeMap<RegionName, BTreeSet<String>>,
    /// Whether a framework is in force in any account. If not, `deploy` has not published yet and no framework was removed.
    pub(super) is_published: bool,
    /// The Regions with visible rules.
    pub(super) visible: &'a BTreeMap<&'a RegionName, &'a RegionCompliance>,
}

/// What to do with an open record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RecordCheck {
    /// Keep it open.
    Keep,
    /// Close it.
    Close(ClosedReason),
    /// Read the COMPLIANT results of its rules.
    ReadResults(ResultQuery),
    /// Its control has no results: close it if AWS Config has deleted the resource.
    FindResource,
}

/// The rules that evaluate the resource of an open record without a NON_COMPLIANT result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ResultQuery {
    pub(super) rules: Vec<String>,
    /// What to do if no rule has a result.
    pub(super) if_missing: Box<RecordCheck>,
}

impl AccountComparison<'_> {
    fn rules(&self, region: &RegionName, control: &str) -> Vec<String> {
        let sight = self.visible.get(region);
        sight.into_iter().flat_map(|sight| &sight.rules).filter(|rule| control_of(rule) == control).cloned().collect()
    }

    /// Returns the NON_COMPLIANT results as changes detected at `now`.
    pub(super) fn non_compliant(
        &self,
        account: &AccountId,
        now: Timestamp,
    ) -> BTreeMap<ViolationKey, ComplianceChange> {
        let mut changes: BTreeMap<ViolationKey, ComplianceChange> = BTreeMap::new();
        for (region, sight) in self.visible {
            for result in &sight.non_compliant {
                let change = change_of(account, region, result, now);
                // Two frameworks may have the same control: the later result counts.
                match changes.get(&change.key) {
                    Some(other) if other.ordering >= change.ordering => {}
                    _ => drop(changes.insert(change.key.clone(), change)),
                }
            }
        }
        changes
    }

    /// Returns the Regions with controls in force but without visible rules. A single missing control is not a blind spot, since an
    /// aggregator omits rules without results, and rules without resources have none.
    pub(super) fn blind_spots(
        &self,
        account: &AccountId,
        reasons: &BTreeMap<RegionName, BlindSpotReason>,
        now: Timestamp,
    ) -> Vec<BlindSpot> {
        const UNKNOWN: BlindSpotReason = BlindSpotReason { cause: BlindSpotCause::NoResult, detail: None };
        let regions = self.in_force.keys().filter(|region| !self.visible.contains_key(*region));
        regions
            .map(|region| BlindSpot {
                account: account.clone(),
                region: region.clone(),
                reason: reasons.get(region).cloned().unwrap_or(UNKNOWN),
                since: now,
            })
            .collect()
    }

    /// Decides about an open record.
    pub(super) fn check(&self, record: &ViolationRecord, is_non_compliant: bool, now: Timestamp) -> RecordCheck {
        if is_non_compliant {
            return RecordCheck::Keep;
        }
        let ViolationKey { region, control, .. } = &record.key;
        let rules = self.rules(region, control);
        // The event of a new result may arrive before the aggregator has the result.
        let is_old = now.duration_since(record.ordering.notified) >= AGGREGATION_DELAY;
        if !rules.is_empty() {
            // The rules of a recreated framework have no results until they have evaluated all resources.
            let if_missing = match (is_old, rules.contains(&record.rule_name)) {
                (true, true) => RecordCheck::Close(ClosedReason::ResourceGone),
                (true, false) => RecordCheck::FindResource,
                (false, _) => RecordCheck::Keep,
            };
            return RecordCheck::ReadResults(ResultQuery { rules, if_missing: Box::new(if_missing) });
        }
        if !self.is_published {
            return RecordCheck::Keep;
        }
        let is_visible = self.visible.contains_key(region);
        match self.in_force.get(region) {
            Some(controls) if controls.contains(control) && is_old && is_visible => RecordCheck::FindResource,
            Some(controls) if controls.contains(control) => RecordCheck::Keep,
            // An unknown control may belong to a framework in force, which only its visible rules would show.
            Some(_) if framework::control::find(control).is_none() && !is_visible => RecordCheck::Keep,
            Some(_) => RecordCheck::Close(ClosedReason::ControlRemoved),
            None => RecordCheck::Close(ClosedReason::FrameworkRemoved),
        }
    }
}

/// Converts a result into a change detected at `now`.
pub(super) fn change_of(
    account: &AccountId,
    region: &RegionName,
    result: &EvaluationResult,
    now: Timestamp,
) -> ComplianceChange {
    ComplianceChange {
        key: ViolationKey {
            account: account.clone(),
            region: region.clone(),
            control: control_of(&result.rule_name),
            resource_type: result.resource_type.clone(),
            resource_id: result.resource_id.clone(),
        },
        compliance: result.compliance,
        ordering: ResultOrdering { triggered: result.triggered, recorded: result.recorded, notified: now },
        rule_name: result.rule_name.clone(),
        rule_arn: result.rule_arn.clone(),
        annotation: result.annotation.clone(),
        had_result: false,
        previous: None,
    }
}
