//! Finds exemptions and severity rules that can match nothing in the targets of a policy.

use std::collections::{BTreeMap, BTreeSet};

use framework::ids::{AccountId, RegionName};
use syntax::text::printable;

use super::{Exemption, SeverityRule};

/// Accounts that are named in a message at most.
const NAMED: usize = 3;

/// The accounts and Regions in which a policy has each control.
#[derive(Clone, Debug, Default)]
pub struct PolicyScope {
    by_control: BTreeMap<String, BTreeSet<AccountId>>,
    accounts: BTreeSet<AccountId>,
    regions: BTreeSet<RegionName>,
    /// The accounts of organizational units may be unknown.
    accounts_unknown: bool,
    /// Controls of some frameworks may be unknown.
    controls_unknown: bool,
}

impl PolicyScope {
    /// Adds the controls that some accounts and Regions have.
    pub fn add<'c>(
        &mut self,
        controls: impl IntoIterator<Item = &'c str>,
        accounts: &BTreeSet<AccountId>,
        regions: &BTreeSet<RegionName>,
    ) {
        for control in controls {
            self.by_control.entry(control.to_owned()).or_default().extend(accounts.iter().cloned());
        }
        self.accounts.extend(accounts.iter().cloned());
        self.regions.extend(regions.iter().cloned());
    }

    /// Declares that the accounts of a framework are unknown.
    pub fn add_unknown_accounts(&mut self) {
        self.accounts_unknown = true;
    }

    /// Declares that a framework has unknown controls.
    pub fn add_unknown_controls(&mut self) {
        self.controls_unknown = true;
    }

    /// Returns message and help of the first reason for which an exemption, or a part of it, matches nothing.
    pub fn unmatched_exemption(&self, exemption: &Exemption) -> Option<(String, &'static str)> {
        let Exemption { control, accounts, resources, .. } = exemption;
        self.unmatched("exemption", Some(control.name), accounts)
            .or_else(|| resources.iter().find_map(|resource| self.unmatched_pattern(resource, accounts)))
    }

    /// Returns message and help of the first reason for which a severity rule, or a part of it, matches nothing.
    pub fn unmatched_severity_rule(&self, rule: &SeverityRule) -> Option<(String, &'static str)> {
        self.unmatched("severity rule", rule.control.as_deref(), &rule.accounts)
    }

    fn unmatched(&self, what: &str, control: Option<&str>, accounts: &[AccountId]) -> Option<(String, &'static str)> {
        if let Some(name) = control.filter(|name| !self.controls_unknown && !self.by_control.contains_key(*name)) {
            let message = format!("the {what} matches nothing: no framework of this policy has `{name}`");
            return Some((message, "remove it, or name a control that is in force"));
        }
        // The accounts of organizational units are unknown before AWS Organizations was read.
        if self.accounts_unknown {
            return None;
        }
        let elsewhere: Vec<&AccountId> = accounts.iter().filter(|account| !self.accounts.contains(*account)).collect();
        if let Some(one) = elsewhere.first() {
            let message = match elsewhere.len() {
                1 => format!("account {one} of the {what} is in no target of this policy"),
                _ => format!("accounts {} of the {what} are in no target of this policy", named(&elsewhere)),
            };
            return Some((message, "correct `accounts`, or remove those that were deleted"));
        }
        let name = control.filter(|_| !self.controls_unknown && !accounts.is_empty())?;
        let with_control = self.by_control.get(name)?;
        if accounts.iter().any(|account| with_control.contains(account)) {
            return None;
        }
        let message = format!("the {what} matches nothing: `{name}` is in force in none of its accounts");
        Some((message, "remove it, or name accounts in which the control is in force"))
    }

    /// Returns why a pattern of ARNs matches no resource of the targets and of these accounts, if any are listed.
    fn unmatched_pattern(&self, pattern: &str, accounts: &[AccountId]) -> Option<(String, &'static str)> {
        let mut parts = pattern.splitn(6, ':').skip(1);
        let (partition, _, region, account) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let shown = printable(pattern);
        if let Ok(account) = AccountId::parse(account) {
            if !accounts.is_empty() && !accounts.contains(&account) {
                let message =
                    format!("`{shown}` matches nothing: account {account} is not among `accounts` of the exemption");
                return Some((message, "correct the account of the ARN, or add it to `accounts`"));
            }
            if !self.accounts_unknown && !self.accounts.contains(&account) {
                let message = format!("`{shown}` matches nothing: account {account} is in no target of this policy");
                return Some((message, "correct the account of the ARN, or remove it"));
            }
        }
        if let Ok(region) = RegionName::parse(region)
            && !self.regions.is_empty()
            && !self.regions.contains(&region)
        {
            let message = format!("`{shown}` matches nothing: the Region `{region}` is in no target of this policy");
            return Some((message, "correct the Region of the ARN, or remove it"));
        }
        let is_there = |region: &RegionName| region.partition() == partition;
        if !partition.contains('*') && !self.regions.is_empty() && !self.regions.iter().any(is_there) {
            let message =
                format!("`{shown}` matches nothing: no target is in the partition `{}`", printable(partition));
            return Some((message, "correct the partition of the ARN: it is that of the target Regions"));
        }
        None
    }
}

fn named(accounts: &[&AccountId]) -> String {
    let shown: Vec<&str> = accounts.iter().take(NAMED).map(|account| account.as_str()).collect();
    match accounts.len().saturating_sub(NAMED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
