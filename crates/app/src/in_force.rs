//! Questions to what is in force.

use crate::deploy::Variant;
use crate::ports::InForce;
use domain::ids::{AccountId, RegionName};
use domain::policy::{Exempting, Reporting};
use domain::violation::{Change, Exempt, Found, Key, Record, ResourceFacts};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use std::collections::{BTreeMap, BTreeSet};

/// Coverage controls are evaluated every 24 hours: what a rollout finds, it has found by then.
const FOUND_BY_ROLLOUT: SignedDuration = SignedDuration::from_hours(36);

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

    /// Whether an account may be told of: it is in the organisation, or a framework is in force in it. As long as neither is
    /// known, every account may.
    #[must_use]
    pub fn knows(&self, account: &AccountId) -> bool {
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

    /// The controls in force in an account, by Region. Where a template brings none, there is nothing to see.
    #[must_use]
    pub fn controls_in(&self, account: &AccountId) -> BTreeMap<RegionName, BTreeSet<String>> {
        let mut controls: BTreeMap<RegionName, BTreeSet<String>> = BTreeMap::new();
        let here = |variant: &&Variant| variant.accounts.contains(account) && !variant.controls.is_empty();
        for variant in self.variants().filter(here) {
            for region in &variant.regions {
                controls.entry(region.clone()).or_default().extend(variant.controls.keys().cloned());
            }
        }
        controls
    }

    fn variants(&self) -> impl Iterator<Item = &Variant> {
        self.frameworks.iter().flat_map(|facts| &facts.variants)
    }

    /// How violations are judged and told: as published, or as a policy that says nothing has it.
    #[must_use]
    pub fn reporting(&self) -> Reporting {
        self.reporting.clone().unwrap_or_default()
    }

    /// How a violation that opens with `change` came to be, for one who knew `before`.
    pub(crate) fn found(&self, before: Option<&Record>, change: &Change) -> Found {
        let Key { account, region, control, .. } = &change.key;
        let since = self.frameworks.iter().find_map(|facts| facts.since(account, region, control));
        let last = before.map(|record| record.ordering.triggered).max(change.previous);
        let has_history = before.is_some() || change.had_result;
        match since {
            // No result since the control came into force as it is: this is the first.
            Some(since) if last.is_none_or(|last| last < since) && change.ordering.triggered <= end(since) => {
                Found::Rollout
            }
            Some(_) if has_history => Found::Regression,
            Some(_) => Found::FirstResult,
            None if has_history => Found::Regression,
            None => Found::Rollout,
        }
    }
}

fn end(since: Timestamp) -> Timestamp {
    since.checked_add(FOUND_BY_ROLLOUT).unwrap_or(Timestamp::MAX)
}

/// The exemption that covers a violation on a day, as it is kept on record.
pub(crate) fn covering(reporting: &Reporting, key: &Key, resource: &ResourceFacts, now: Timestamp) -> Option<Exempt> {
    match reporting.exempting(key, resource, today(now)) {
        Exempting::Covered(exemption) => {
            Some(Exempt { reason: exemption.reason.clone(), owner: exemption.owner.clone(), until: exemption.until })
        }
        Exempting::No | Exempting::Nearly(_) => None,
    }
}

/// The exemption that nearly covers a violation, in words.
pub(crate) fn nearly_covering(reporting: &Reporting, record: &Record, now: Timestamp) -> Option<String> {
    match reporting.exempting(&record.key, &record.resource, today(now)) {
        Exempting::Nearly(sentence) => Some(sentence),
        Exempting::No | Exempting::Covered(_) => None,
    }
}

/// The day, in UTC: the policy is one for all Regions.
pub(crate) fn today(now: Timestamp) -> Date {
    now.to_zoned(TimeZone::UTC).date()
}
