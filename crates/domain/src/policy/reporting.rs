//! How violations are judged and told.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::exemption::has_tag;
use super::{Exempting, Exemption, wildcard};
use crate::control::{self, Severity};
use crate::ids::AccountId;
use crate::rollout::{Digest, digest_of};
use crate::violation::{Key, ResourceFacts};

/// Ages in days for reminders when the policy specifies none.
pub const DEFAULT_REMINDERS: [u32; 2] = [7, 30];

/// What the policy says about violations, as `deploy` publishes it to the functions that report them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reporting {
    /// What is exempt, until when and why.
    pub exemptions: Vec<Exemption>,
    /// The first one that matches says how bad a violation is.
    pub severity: Vec<SeverityRule>,
    /// The key of the tag that names the owner of a resource.
    pub owner_tag: String,
    /// Ages in days, ascending: the weekly reminders list what has reached the first and count the others; empty for no reminders.
    pub reminders: Vec<u32>,
}

/// How bad certain violations are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeverityRule {
    /// The control; `None` for all.
    pub control: Option<String>,
    /// Accounts; empty means all.
    pub accounts: Vec<AccountId>,
    /// Tags that the resource must have, all of them; `*` in a value stands for any text.
    pub tags: BTreeMap<String, String>,
    /// How bad it is.
    pub severity: Severity,
}

impl Default for Reporting {
    fn default() -> Self {
        Self {
            exemptions: Vec::new(),
            severity: Vec::new(),
            owner_tag: "owner".to_owned(),
            reminders: DEFAULT_REMINDERS.to_vec(),
        }
    }
}

impl Reporting {
    /// Whether it matters what tags a resource has.
    #[must_use]
    pub fn goes_by_tags(&self) -> bool {
        self.exemptions.iter().any(|exemption| !exemption.tags.is_empty())
            || self.severity.iter().any(|rule| !rule.tags.is_empty())
    }

    /// How bad a violation is: by the first rule that matches, else as the catalogue has it for the control.
    #[must_use]
    pub fn severity(&self, key: &Key, resource: &ResourceFacts) -> Severity {
        let ruled = self.severity.iter().find(|rule| rule.matches(key, resource)).map(|rule| rule.severity);
        ruled.or_else(|| control::find(&key.control).map(|control| control.severity)).unwrap_or(Severity::Medium)
    }

    /// What the exemptions say of a violation on a day (UTC).
    #[must_use]
    pub fn exempting(&self, key: &Key, resource: &ResourceFacts, today: Date) -> Exempting<'_> {
        // The first of equals, so that the answer follows the order of the file.
        let later = |best: &'_ Exemption, new: &'_ Exemption| new.until > best.until;
        let covering = self.exemptions.iter().filter(|exemption| exemption.covers(key, resource, today));
        if let Some(longest) = covering.reduce(|best, new| if later(best, new) { new } else { best }) {
            return Exempting::Covered(longest);
        }
        let near = self
            .exemptions
            .iter()
            .filter_map(|exemption| exemption.nearly(key, resource, today).map(|sentence| (exemption, sentence)));
        near.reduce(|best, new| if later(best.0, new.0) { new } else { best })
            .map_or(Exempting::No, |(_, sentence)| Exempting::Nearly(sentence))
    }

    /// What it is known by.
    #[must_use]
    pub fn digest(&self) -> Digest {
        digest_of(&json!(self))
    }
}

impl SeverityRule {
    fn matches(&self, key: &Key, resource: &ResourceFacts) -> bool {
        self.control.as_ref().is_none_or(|control| *control == key.control)
            && (self.accounts.is_empty() || self.accounts.contains(&key.account))
            && self.tags.iter().all(|(name, pattern)| has_tag(resource, name, pattern))
    }

    /// Whether it matches whatever another rule matches.
    pub(super) fn includes(&self, other: &Self) -> bool {
        (self.control.is_none() || self.control == other.control)
            && (self.accounts.is_empty()
                || (!other.accounts.is_empty() && other.accounts.iter().all(|one| self.accounts.contains(one))))
            // A `*` of the other pattern stands for any text, which only a `*` of this one takes in.
            && self.tags.iter().all(|(name, pattern)| other.tags.get(name).is_some_and(|value| wildcard(pattern, value)))
    }
}
