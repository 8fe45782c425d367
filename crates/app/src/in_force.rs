//! The frameworks and reporting rules in force, and queries of them.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use domain::policy::{ExemptionMatch, Reporting};
use domain::violation::{AppliedExemption, ComplianceChange, OpenedBy, ResourceDetails, ViolationKey, ViolationRecord};
use framework::ids::{AccountId, RegionName};

use crate::deploy::{ControlVariant, PublishedFramework};
use crate::ports::Result;

/// Coverage controls are evaluated every 24 hours: a violation that a rollout reveals is reported within this time.
const REVEALED_WITHIN: SignedDuration = SignedDuration::from_hours(36);

/// The frameworks and reporting rules in force, as `deploy` published them, and the names of accounts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InForce {
    /// The controls of every framework.
    pub frameworks: Vec<PublishedFramework>,
    /// The rules for reporting violations; `None` if nothing is published yet.
    pub reporting: Option<Reporting>,
    /// The accounts of the organization with their names; empty if AWS Organizations could not be read.
    pub accounts: BTreeMap<AccountId, String>,
}

/// The store of the frameworks and reporting rules in force.
pub trait PolicyDirectory {
    /// Reads everything at once.
    fn in_force(&self) -> impl Future<Output = Result<InForce>> + Send;
}

impl InForce {
    /// The parameters of a control in an account and Region, if a framework has it there.
    #[must_use]
    pub fn parameters(
        &self,
        account: &AccountId,
        region: &RegionName,
        control: &str,
    ) -> Option<BTreeMap<String, String>> {
        self.frameworks.iter().find_map(|facts| facts.parameters(account, region, control)).cloned()
    }

    /// Whether violations of an account are reported: it is in the organization, or a framework is in force in it. While both
    /// are unknown, those of every account are.
    #[must_use]
    pub fn reports_on(&self, account: &AccountId) -> bool {
        let nothing_known = self.accounts.is_empty() && self.frameworks.is_empty();
        nothing_known
            || self.accounts.contains_key(account)
            || self.variants().any(|variant| variant.accounts.contains(account))
    }

    /// All accounts in which a framework is in force.
    #[must_use]
    pub fn target_accounts(&self) -> BTreeSet<AccountId> {
        self.variants().flat_map(|variant| variant.accounts.iter().cloned()).collect()
    }

    /// The controls in force in an account, by Region; Regions without controls are left out.
    #[must_use]
    pub fn controls_in(&self, account: &AccountId) -> BTreeMap<RegionName, BTreeSet<String>> {
        let mut controls: BTreeMap<RegionName, BTreeSet<String>> = BTreeMap::new();
        let here = |variant: &&ControlVariant| variant.accounts.contains(account) && !variant.controls.is_empty();
        for variant in self.variants().filter(here) {
            for region in &variant.regions {
                controls.entry(region.clone()).or_default().extend(variant.controls.keys().cloned());
            }
        }
        controls
    }

    fn variants(&self) -> impl Iterator<Item = &ControlVariant> {
        self.frameworks.iter().flat_map(|facts| &facts.variants)
    }

    /// The reporting rules as published, or the defaults.
    #[must_use]
    pub fn reporting(&self) -> Reporting {
        self.reporting.clone().unwrap_or_default()
    }

    /// The origin of a violation that opens with `change` after the record `before`.
    pub(crate) fn opened_by(&self, before: Option<&ViolationRecord>, change: &ComplianceChange) -> OpenedBy {
        let ViolationKey { account, region, control, .. } = &change.key;
        let since = self.frameworks.iter().find_map(|facts| facts.since(account, region, control));
        let last = before.map(|record| record.ordering.triggered).max(change.previous);
        let has_history = before.is_some() || change.had_result;
        match since {
            // The first result since the control is in force with these parameters.
            Some(since) if last.is_none_or(|last| last < since) && change.ordering.triggered <= end(since) => {
                OpenedBy::Rollout
            }
            Some(_) if has_history => OpenedBy::Regression,
            Some(_) => OpenedBy::FirstResult,
            None if has_history => OpenedBy::Regression,
            None => OpenedBy::Rollout,
        }
    }
}

fn end(since: Timestamp) -> Timestamp {
    since.checked_add(REVEALED_WITHIN).unwrap_or(Timestamp::MAX)
}

/// The exemption that covers a violation, as recorded with it.
pub(crate) fn covering_exemption(
    reporting: &Reporting,
    key: &ViolationKey,
    resource: &ResourceDetails,
    now: Timestamp,
) -> Option<AppliedExemption> {
    match reporting.match_exemptions(key, resource, today(now)) {
        ExemptionMatch::Covered(exemption) => Some(exemption.into()),
        ExemptionMatch::Unmatched | ExemptionMatch::NearMiss(_) => None,
    }
}

/// Explains why an exemption does not cover a violation, if one condition is unmet.
pub(crate) fn near_miss(reporting: &Reporting, record: &ViolationRecord, now: Timestamp) -> Option<String> {
    match reporting.match_exemptions(&record.key, &record.resource, today(now)) {
        ExemptionMatch::NearMiss(sentence) => Some(sentence),
        ExemptionMatch::Unmatched | ExemptionMatch::Covered(_) => None,
    }
}

/// The day in UTC, since one policy applies to all Regions.
pub(crate) fn today(now: Timestamp) -> Date {
    now.to_zoned(TimeZone::UTC).date()
}
