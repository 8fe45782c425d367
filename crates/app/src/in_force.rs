//! The frameworks and reporting rules in force, and queries of them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use domain::policy::{ExemptionMatch, Reporting};
use domain::violation::{
    AppliedExemption, Channel, ComplianceChange, OpenedBy, ResourceDetails, ViolationKey, ViolationRecord,
};
use framework::ids::{AccountId, RegionName};

use crate::deploy::{ControlVariant, PublishedFramework};
use crate::ports::Call;

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

/// The policy in force, the enabled channels and the time of an invocation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PolicyContext<'a> {
    pub(crate) in_force: &'a InForce,
    pub(crate) reporting: &'a Reporting,
    pub(crate) channels: &'a BTreeSet<Channel>,
    pub(crate) now: Timestamp,
}

/// The store of the frameworks and reporting rules in force.
pub trait PolicyDirectory {
    /// Reads everything at once.
    fn in_force(&self) -> impl Call<InForce>;
}

impl InForce {
    /// The parameters of a violation's control, if a framework has it in the account and Region.
    pub(crate) fn parameters(&self, key: &ViolationKey) -> Option<BTreeMap<String, String>> {
        let ViolationKey { account, region, control, .. } = key;
        self.frameworks.iter().find_map(|facts| facts.parameters(account, region, control)).cloned()
    }

    /// Whether an account is in the organization or a framework is in force in it. While both are unknown, every account counts.
    pub(crate) fn reports_on(&self, account: &AccountId) -> bool {
        (self.accounts.is_empty() && self.frameworks.is_empty())
            || self.accounts.contains_key(account)
            || self.variants().any(|variant| variant.accounts.contains(account))
    }

    pub(crate) fn target_accounts(&self) -> BTreeSet<AccountId> {
        self.variants().flat_map(|variant| variant.accounts.iter().cloned()).collect()
    }

    /// The controls in force in an account, by Region; Regions without controls are left out.
    pub(crate) fn controls_in(&self, account: &AccountId) -> BTreeMap<RegionName, BTreeSet<String>> {
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
    pub(crate) fn reporting(&self) -> Reporting {
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
            Some(since)
                if last.is_none_or(|last| last < since)
                    && change.ordering.triggered <= since.checked_add(REVEALED_WITHIN).unwrap_or(Timestamp::MAX) =>
            {
                OpenedBy::Rollout
            }
            _ if has_history => OpenedBy::Regression,
            Some(_) => OpenedBy::FirstResult,
            None => OpenedBy::Rollout,
        }
    }
}

impl PolicyContext<'_> {
    /// The exemption that covers a violation, as recorded with it.
    pub(crate) fn exemption(&self, key: &ViolationKey, resource: &ResourceDetails) -> Option<AppliedExemption> {
        match self.reporting.match_exemptions(key, resource, today(self.now)) {
            ExemptionMatch::Covered(exemption) => Some(exemption.into()),
            ExemptionMatch::Unmatched | ExemptionMatch::NearMiss(_) => None,
        }
    }

    /// Explains why an exemption does not cover a violation, if one condition is unmet.
    pub(crate) fn near_miss(&self, record: &ViolationRecord) -> Option<String> {
        match self.reporting.match_exemptions(&record.key, &record.resource, today(self.now)) {
            ExemptionMatch::NearMiss(sentence) => Some(sentence),
            ExemptionMatch::Unmatched | ExemptionMatch::Covered(_) => None,
        }
    }
}

/// The day in UTC, since one policy applies to all Regions.
pub fn today(now: Timestamp) -> Date {
    now.to_zoned(TimeZone::UTC).date()
}
