//! Notices about many things at once: turns of many violations, reminders, exemptions that end, places that nobody can see.

use super::ViolationNotice;
use super::text::{self, count, paragraph};
use crate::ids::{AccountId, RegionName};
use crate::policy::Exemption;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Entries shown one by one; the rest is counted.
pub const SHOWN: usize = 25;

/// Violations of one account and control, told together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// The account.
    pub account: AccountId,
    /// Its name or alias.
    pub account_name: Option<String>,
    /// The control, as in [`crate::violation::Key::control`].
    pub control: String,
    /// All there is to tell, at least one; the same violation may stand here more than once.
    pub entries: Vec<DigestEntry>,
}

/// One thing told in a digest.
pub type DigestEntry = ViolationNotice;

/// Exemptions of one owner that end within two weeks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiringExemptions {
    /// Who answers for them.
    pub owner: String,
    /// The exemptions, those that end first first.
    pub exemptions: Vec<ExpiringExemption>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiringExemption {
    /// The exemption.
    pub exemption: Exemption,
    /// Open violations that it keeps quiet and that will be told on the day after its last.
    pub violations: usize,
}

/// Accounts and Regions where a framework should be in force and nothing can be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlindSpots {
    /// The places.
    pub spots: Vec<BlindSpot>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlindSpot {
    /// The account.
    pub account: AccountId,
    /// The Region.
    pub region: RegionName,
    /// What could not be seen there, and why, in words.
    pub why: String,
    /// Since when.
    pub since: Timestamp,
}

impl Digest {
    pub(super) fn subject(&self, limit: usize) -> String {
        text::subject(&self.control, limit, |name| format!("{} of {name}", count(self.entries.len(), "violation")))
    }

    pub(super) fn text(&self) -> String {
        paragraph(&self.subject(usize::MAX), 0)
    }

    pub(super) fn json(&self) -> Value {
        json!({ "account": self.account, "control": self.control })
    }
}

impl ExpiringExemptions {
    pub(super) fn subject(&self, limit: usize) -> String {
        text::subject(&self.owner, limit, |name| format!("{} of {name} end", count(self.exemptions.len(), "exemption")))
    }

    pub(super) fn text(&self) -> String {
        paragraph(&self.subject(usize::MAX), 0)
    }

    pub(super) fn json(&self) -> Value {
        json!({ "owner": self.owner })
    }
}

impl BlindSpots {
    pub(super) fn subject(&self, limit: usize) -> String {
        text::subject("", limit, |_| count(self.spots.len(), "blind spot"))
    }

    pub(super) fn text(&self) -> String {
        paragraph(&self.subject(usize::MAX), 0)
    }

    pub(super) fn json(&self) -> Value {
        json!({ "spots": self.spots })
    }
}
