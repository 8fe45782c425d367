//! The rules of a policy for reporting violations.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::json;

use framework::control::{self, Severity};
use framework::ids::AccountId;
use syntax::wildcard;

use super::exemption::has_tag;
use super::{Exemption, ExemptionMatch};
use crate::digest::{Digest, digest_of};
use crate::violation::{ResourceDetails, ViolationKey};

/// The rules for reporting violations, as `deploy` publishes them to the functions that report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reporting {
    /// Violations that are exempt until a day.
    pub exemptions: Vec<Exemption>,
    /// Rules for the severity; the first that matches applies.
    pub severity: Vec<SeverityRule>,
    /// The key of the tag that names the owner of a resource.
    pub owner_tag: String,
    /// Ages in days, ascending: weekly reminders list the violations of the first age and count the others; empty for none.
    pub reminders: Vec<u32>,
}

/// A rule for the severity of violations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeverityRule {
    /// The control; `None` for every control.
    pub control: Option<String>,
    /// Accounts; empty for all.
    pub accounts: Vec<AccountId>,
    /// Tags that the resource must all have; `*` in a value matches any text.
    pub tags: BTreeMap<String, String>,
    /// The severity.
    pub severity: Severity,
}

impl Default for Reporting {
    fn default() -> Self {
        Self { exemptions: Vec::new(), severity: Vec::new(), owner_tag: "owner".to_owned(), reminders: vec![7, 30] }
    }
}

impl Reporting {
    /// Whether a rule depends on the tags of a resource.
    pub fn depends_on_tags(&self) -> bool {
        self.exemptions.iter().any(|exemption| !exemption.tags.is_empty())
            || self.severity.iter().any(|rule| !rule.tags.is_empty())
    }

    /// The severity of a violation: by the first rule that matches, else the default of the control.
    pub fn severity(&self, key: &ViolationKey, resource: &ResourceDetails) -> Severity {
        let ruled = self.severity.iter().find(|rule| rule.matches(key, resource)).map(|rule| rule.severity);
        ruled.or_else(|| control::find(&key.control).map(|control| control.severity)).unwrap_or(Severity::Medium)
    }

    /// Matches a violation with the exemptions on a day (UTC).
    pub fn match_exemptions(&self, key: &ViolationKey, resource: &ResourceDetails, today: Date) -> ExemptionMatch<'_> {
        // `max_by_key` returns the last of equals: here the first in the file.
        let reversed = || self.exemptions.iter().rev();
        let covering = reversed().filter(|exemption| exemption.covers(key, resource, today));
        if let Some(longest) = covering.max_by_key(|exemption| exemption.until) {
            return ExemptionMatch::Covered(longest);
        }
        let near = reversed().filter_map(|exemption| Some((exemption.until, exemption.nearly(key, resource, today)?)));
        near.max_by_key(|(until, _)| *until)
            .map_or(ExemptionMatch::Unmatched, |(_, sentence)| ExemptionMatch::NearMiss(sentence))
    }

    /// Identifies these rules.
    pub fn digest(&self) -> Digest {
        digest_of(&json!(self))
    }
}

impl SeverityRule {
    fn matches(&self, key: &ViolationKey, resource: &ResourceDetails) -> bool {
        self.control.as_ref().is_none_or(|control| *control == key.control)
            && (self.accounts.is_empty() || self.accounts.contains(&key.account))
            && self.tags.iter().all(|(name, pattern)| has_tag(resource, name, pattern))
    }

    /// Whether it matches every violation that another rule matches.
    pub(super) fn includes(&self, other: &Self) -> bool {
        (self.control.is_none() || self.control == other.control)
            && (self.accounts.is_empty()
                || (!other.accounts.is_empty() && other.accounts.iter().all(|one| self.accounts.contains(one))))
            // A `*` in the other pattern is matched as text, which only a `*` in this one matches.
            && self.tags.iter().all(|(name, pattern)| other.tags.get(name).is_some_and(|value| wildcard::matches(pattern, value)))
    }
}
