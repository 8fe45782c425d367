//! Compares open records with the compliance results of AWS Config. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use domain::notice::{BlindSpot, BlindSpotCause, BlindSpotReason};
use domain::violation::{ClosedReason, ComplianceChange, ResultOrdering, ViolationKey, ViolationRecord};
use framework::ids::{AccountId, RegionName};

use crate::events::control_of;
use crate::sweep::ports::{ComplianceApi, EvaluationResult, RegionCompliance};

/// A missing result counts as deleted only after this time, since an aggregator lags minutes behind.
const AGGREGATION_DELAY: SignedDuration = SignedDuration::from_hours(1);

/// The controls in force in an account, and its results in AWS Config.
pub(super) struct AccountComparison<'a> {
    pub(super) account: &'a AccountId,
    pub(super) now: Timestamp,
    pub(super) in_force: BTreeMap<RegionName, BTreeSet<String>>,
    /// Whether a framework is in force in any account. If not, `deploy` has not published yet and no framework was removed.
    pub(super) is_published: bool,
    /// The results of each Region with visible rules, and the API that returned them.
    pub(super) visible: BTreeMap<RegionName, (ComplianceApi, RegionCompliance)>,
}

/// The decision about an open record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RecordCheck {
    /// Keep it open.
    Keep,
    /// Close it.
    Close(ClosedReason),
    /// Read the COMPLIANT results of its rules.
    ReadResults {
        rules: Vec<String>,
        /// The decision if no rule has a result.
        if_missing: Box<RecordCheck>,
    },
    /// Its control has no results: close it if AWS Config has deleted the resource.
    FindResource,
}

impl AccountComparison<'_> {
    /// Returns the NON_COMPLIANT results as changes detected now.
    pub(super) fn non_compliant(&self) -> BTreeMap<ViolationKey, ComplianceChange> {
        let mut changes: BTreeMap<ViolationKey, ComplianceChange> = BTreeMap::new();
        for (region, (_, results)) in &self.visible {
            for result in &results.non_compliant {
                let change = self.change(region, result);
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
    pub(super) fn blind_spots(&self, reasons: &BTreeMap<RegionName, BlindSpotReason>) -> Vec<BlindSpot> {
        const UNKNOWN: BlindSpotReason = BlindSpotReason { cause: BlindSpotCause::NoResult, detail: None };
        let regions = self.in_force.keys().filter(|region| !self.visible.contains_key(*region));
        let spot = |region: &RegionName| BlindSpot {
            account: self.account.clone(),
            region: region.clone(),
            reason: reasons.get(region).cloned().unwrap_or(UNKNOWN),
            since: self.now,
        };
        regions.map(spot).collect()
    }

    pub(super) fn check(&self, record: &ViolationRecord, is_non_compliant: bool) -> RecordCheck {
        if is_non_compliant {
            return RecordCheck::Keep;
        }
        let ViolationKey { region, control, .. } = &record.key;
        let rules = self.visible.get(region).into_iter().flat_map(|(_, results)| &results.rules);
        let rules: Vec<String> = rules.filter(|rule| control_of(rule) == *control).cloned().collect();
        // The event of a new result may arrive before the aggregator has the result.
        let is_old = self.now.duration_since(record.ordering.notified) >= AGGREGATION_DELAY;
        if !rules.is_empty() {
            // The rules of a recreated framework have no results until they have evaluated all resources.
            let if_missing = match (is_old, rules.contains(&record.rule_name)) {
                (true, true) => RecordCheck::Close(ClosedReason::ResourceGone),
                (true, false) => RecordCheck::FindResource,
                (false, _) => RecordCheck::Keep,
            };
            return RecordCheck::ReadResults { rules, if_missing: Box::new(if_missing) };
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

    /// Converts a result into a change detected now.
    pub(super) fn change(&self, region: &RegionName, result: &EvaluationResult) -> ComplianceChange {
        ComplianceChange {
            key: ViolationKey {
                account: self.account.clone(),
                region: region.clone(),
                control: control_of(&result.rule_name),
                resource_type: result.resource_type.clone(),
                resource_id: result.resource_id.clone(),
            },
            compliance: result.compliance,
            ordering: ResultOrdering { triggered: result.triggered, recorded: result.recorded, notified: self.now },
            rule_name: result.rule_name.clone(),
            rule_arn: result.rule_arn.clone(),
            annotation: result.annotation.clone(),
            had_result: false,
            previous: None,
        }
    }
}
