//! What people and machines are told: one notice, as a subject, as text for a person, as JSON for a machine, and as the
//! attributes that subscriptions filter on.

mod chat;
mod comment;
mod digest;
mod finding;
mod gathered;
mod link;
#[cfg(test)]
mod page;
mod rejection;
mod rollout;
#[cfg(test)]
mod samples;
mod text;
mod violation;
mod words;

pub use digest::{Digest, DigestEntry};
pub use gathered::{BlindSpot, BlindSpots, ExpiringExemption, ExpiringExemptions, PolicyWarnings};
pub use rejection::Rejection;
pub use rollout::RolloutReport;
pub use violation::{NoticeContext, ViolationNotice};

use crate::control::Severity;
use crate::ids::{AccountId, RegionName};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The version of the JSON form; `schemas/notice.schema.json` describes it.
pub const VERSION: u32 = 1;

/// The longest subject that SNS takes is under 100 characters.
const SUBJECT_LIMIT: usize = 99;
/// A message attribute that a filter policy compares; SNS takes longer ones, nobody writes them into a policy.
const ATTRIBUTE_LIMIT: usize = 256;

/// A notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A resource breaks a control.
    ViolationOpened(ViolationNotice),
    /// It no longer does.
    ViolationResolved(ViolationNotice),
    /// Several violations of one account and control: opened, resolved, or still open.
    ViolationDigest(Digest),
    /// Exemptions of one owner that end soon.
    ExemptionsExpiring(ExpiringExemptions),
    /// Accounts and Regions of which nothing is known.
    BlindSpots(BlindSpots),
    /// What is odd about a policy that was put in force.
    PolicyWarnings(PolicyWarnings),
    /// Every instance is as the policy wants it.
    RolloutSucceeded(RolloutReport),
    /// Some are not.
    RolloutFailed(RolloutReport),
    /// The policy at a commit cannot be used; nothing was touched.
    PolicyRejected(Rejection),
}

impl Notice {
    /// The kind, as in the JSON form and in the message attribute.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ViolationOpened(_) => "violation.opened",
            Self::ViolationResolved(_) => "violation.resolved",
            Self::ViolationDigest(_) | Self::ExemptionsExpiring(_) | Self::BlindSpots(_) | Self::PolicyWarnings(_) => {
                "violation.digest"
            }
            Self::RolloutSucceeded(_) => "rollout.succeeded",
            Self::RolloutFailed(_) => "rollout.failed",
            Self::PolicyRejected(_) => "policy.rejected",
        }
    }

    /// The notice as a comment on a commit, in Markdown, at most 10,240 bytes (CodeCommit quotas). The same notice gives the same
    /// comment.
    #[must_use]
    pub fn comment(&self) -> String {
        comment::comment(self)
    }

    /// The subject of an e-mail: printable ASCII in one line, under 100 characters.
    #[must_use]
    pub fn subject(&self) -> String {
        match self {
            Self::ViolationOpened(violation) | Self::ViolationResolved(violation) => violation.subject(SUBJECT_LIMIT),
            Self::ViolationDigest(digest) => digest.subject(SUBJECT_LIMIT),
            Self::ExemptionsExpiring(expiring) => expiring.subject(SUBJECT_LIMIT),
            Self::BlindSpots(spots) => spots.subject(SUBJECT_LIMIT),
            Self::PolicyWarnings(warnings) => warnings.subject(SUBJECT_LIMIT),
            Self::RolloutSucceeded(report) | Self::RolloutFailed(report) => {
                text::subject(report.stack_set.as_str(), SUBJECT_LIMIT, |name| report.headline(name))
            }
            Self::PolicyRejected(rejection) => {
                text::subject(rejection.commit.short(), SUBJECT_LIMIT, |commit| rejection.headline(commit))
            }
        }
    }

    /// The text for a person. The first line says it all; no line of prose is longer than 76 columns.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::ViolationOpened(violation) | Self::ViolationResolved(violation) => violation.text(),
            Self::ViolationDigest(digest) => digest.text(),
            Self::ExemptionsExpiring(expiring) => expiring.text(),
            Self::BlindSpots(spots) => spots.text(),
            Self::PolicyWarnings(warnings) => warnings.text(),
            Self::RolloutSucceeded(report) | Self::RolloutFailed(report) => report.text(),
            Self::PolicyRejected(rejection) => rejection.text(),
        }
    }

    /// The JSON form.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut document = match self {
            Self::ViolationOpened(violation) | Self::ViolationResolved(violation) => violation.json(),
            Self::ViolationDigest(digest) => digest.json(),
            Self::ExemptionsExpiring(expiring) => expiring.json(),
            Self::BlindSpots(spots) => spots.json(),
            Self::PolicyWarnings(warnings) => warnings.json(),
            Self::RolloutSucceeded(report) | Self::RolloutFailed(report) => report.json(),
            Self::PolicyRejected(rejection) => rejection.json(),
        };
        if let Value::Object(fields) = &mut document {
            fields.insert("version".into(), json!(VERSION));
            fields.insert("kind".into(), json!(self.kind()));
            fields.insert("severity".into(), json!(self.severity().label()));
            fields.insert("subject".into(), json!(self.subject()));
        }
        document
    }

    /// The message attributes that subscription filter policies use. None is empty: SNS refuses empty values.
    #[must_use]
    pub fn attributes(&self) -> BTreeMap<&'static str, Attribute> {
        let text = |text: &str| Attribute::Text(text::short(text, ATTRIBUTE_LIMIT));
        let mut attributes: BTreeMap<&'static str, Attribute> =
            BTreeMap::from([("kind", self.kind().into()), ("severity", self.severity().label().into())]);
        match self {
            Self::ViolationOpened(violation) | Self::ViolationResolved(violation) => {
                attributes.insert("account", violation.key.account.as_str().into());
                attributes.insert("region", violation.key.region.as_str().into());
                attributes.insert("control", text(&violation.key.control));
            }
            Self::ViolationDigest(digest) => {
                attributes.insert("account", digest.account.as_str().into());
                attributes.insert("control", text(&digest.control));
                let regions: Vec<&str> = digest.regions().into_iter().map(RegionName::as_str).collect();
                let regions = match regions.as_slice() {
                    [only] => Attribute::Text((*only).to_owned()),
                    several => Attribute::List(several.iter().map(|region| (*region).to_owned()).collect()),
                };
                attributes.insert("region", regions);
            }
            Self::ExemptionsExpiring(expiring) => {
                attributes.insert("owner", text(&expiring.owner));
            }
            Self::BlindSpots(_)
            | Self::PolicyWarnings(_)
            | Self::RolloutSucceeded(_)
            | Self::RolloutFailed(_)
            | Self::PolicyRejected(_) => {}
        }
        attributes.retain(|_, value| match value {
            Attribute::Text(text) => !text.is_empty(),
            Attribute::List(texts) => !texts.is_empty(),
        });
        attributes
    }

    /// The custom notification of Amazon Q Developer in chat applications.
    #[must_use]
    pub fn chat(&self) -> Value {
        chat::notification(self)
    }

    /// Type and detail of the event on the bus; only single turns of violations have one.
    #[must_use]
    pub fn event(&self) -> Option<(&'static str, Value)> {
        match self {
            Self::ViolationOpened(_) => Some(("Backup Compliance Violation Opened", self.json())),
            Self::ViolationResolved(_) => Some(("Backup Compliance Violation Resolved", self.json())),
            _ => None,
        }
    }

    /// The finding in the AWS Security Finding Format; only single turns of violations have one.
    #[must_use]
    pub fn finding(&self, home: &FindingHome) -> Option<Value> {
        match self {
            Self::ViolationOpened(violation) | Self::ViolationResolved(violation) => {
                Some(finding::finding(violation, home))
            }
            _ => None,
        }
    }

    /// How bad it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self {
            Self::ViolationOpened(violation) => violation.severity,
            Self::ViolationDigest(digest) => digest.severity(),
            Self::ViolationResolved(_) | Self::RolloutSucceeded(_) => Severity::Informational,
            Self::PolicyWarnings(_) => Severity::Low,
            Self::ExemptionsExpiring(_) | Self::BlindSpots(_) | Self::PolicyRejected(_) => Severity::Medium,
            Self::RolloutFailed(_) => Severity::High,
        }
    }
}

impl From<ViolationNotice> for Notice {
    /// The notice of a single turn.
    fn from(violation: ViolationNotice) -> Self {
        match words::closed_word(&violation.what) {
            Some(_) => Self::ViolationResolved(violation),
            None => Self::ViolationOpened(violation),
        }
    }
}

/// The value of a message attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// `String`.
    Text(String),
    /// `String.Array`: a filter policy matches when it matches any of them.
    List(Vec<String>),
}

impl From<&str> for Attribute {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// Where a finding of Security Hub is imported.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FindingHome {
    /// The account that imports it.
    pub account: AccountId,
    /// The Region that it is imported in.
    pub region: RegionName,
}

#[cfg(test)]
mod tests;
