//! What people and machines are told: one notice, as a subject, as text for a person, as JSON for a machine, and as the
//! attributes that subscriptions filter on.

mod blind;
mod chat;
mod comment;
mod digest;
mod finding;
mod gathered;
mod link;
#[cfg(test)]
mod page;
mod rejection;
mod reminder;
mod rollout;
#[cfg(test)]
mod samples;
mod text;
mod violation;
mod words;

pub use blind::{BlindCause, BlindReason, BlindSpot, BlindSpots};
pub use digest::{Digest, DigestEntry};
pub use gathered::{ExpiringExemption, ExpiringExemptions, PolicyWarnings};
pub use rejection::Rejection;
pub use reminder::{OpenViolation, Reminder};
pub use rollout::RolloutReport;
pub use violation::{NoticeContext, ViolationNotice};

use crate::control::Severity;
use crate::ids::{AccountId, RegionName};
use crate::violation::Told;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The version of the JSON form; `schemas/notice.schema.json` describes it.
pub const VERSION: u32 = 1;

/// The longest subject that SNS takes is under 100 characters.
const SUBJECT_LIMIT: usize = 99;
/// A message attribute that a filter policy compares; SNS takes longer ones, nobody writes them into a policy.
const ATTRIBUTE_LIMIT: usize = 256;
/// Bytes of all texts of a list attribute. Attributes count toward the 256 KiB of a message.
const LIST_LIMIT: usize = 8 * 1_024;

/// A notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A resource breaks a control.
    ViolationOpened(ViolationNotice),
    /// It no longer does.
    ViolationResolved(ViolationNotice),
    /// It still does, and an exemption of the policy covers it.
    ViolationExempted(ViolationNotice),
    /// Several violations of one account and control: opened, resolved, or exempt.
    ViolationDigest(Digest),
    /// What stays open of one owner.
    ViolationReminder(Reminder),
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
            Self::ViolationExempted(_) => "violation.exempted",
            Self::ViolationDigest(_) | Self::ExemptionsExpiring(_) | Self::BlindSpots(_) | Self::PolicyWarnings(_) => {
                "violation.digest"
            }
            Self::ViolationReminder(_) => "violation.reminder",
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
            Self::ViolationOpened(violation)
            | Self::ViolationResolved(violation)
            | Self::ViolationExempted(violation) => violation.subject(SUBJECT_LIMIT),
            Self::ViolationDigest(digest) => digest.subject(SUBJECT_LIMIT),
            Self::ViolationReminder(reminder) => reminder.subject(SUBJECT_LIMIT),
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
            Self::ViolationOpened(violation)
            | Self::ViolationResolved(violation)
            | Self::ViolationExempted(violation) => violation.text(),
            Self::ViolationDigest(digest) => digest.text(),
            Self::ViolationReminder(reminder) => reminder.text(),
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
            Self::ViolationOpened(violation)
            | Self::ViolationResolved(violation)
            | Self::ViolationExempted(violation) => violation.json(),
            Self::ViolationDigest(digest) => digest.json(),
            Self::ViolationReminder(reminder) => reminder.json(),
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
            Self::ViolationOpened(violation)
            | Self::ViolationResolved(violation)
            | Self::ViolationExempted(violation) => {
                attributes.insert("account", violation.key.account.as_str().into());
                attributes.insert("region", violation.key.region.as_str().into());
                attributes.insert("control", text(&violation.key.control));
                attributes.insert("owner", several(violation.owners()));
                attributes.insert("change", change(&violation.what).into());
            }
            Self::ViolationDigest(digest) => {
                attributes.insert("account", digest.account.as_str().into());
                attributes.insert("control", text(&digest.control));
                attributes.insert("region", several(digest.regions().into_iter().map(RegionName::as_str)));
                attributes.insert("owner", several(digest.entries.iter().flat_map(ViolationNotice::owners)));
                attributes.insert("change", several(digest.entries.iter().map(|entry| change(&entry.what))));
            }
            Self::ViolationReminder(reminder) => {
                attributes.insert("owner", several(reminder.owner.as_deref().into_iter()));
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
            Self::ViolationExempted(_) => Some(("Backup Compliance Violation Exempted", self.json())),
            _ => None,
        }
    }

    /// The finding in the AWS Security Finding Format; only single turns of violations have one.
    #[must_use]
    pub fn finding(&self, home: &FindingHome) -> Option<Value> {
        self.violation().map(|violation| finding::finding(violation, home))
    }

    /// Returns the violation of a notice about one violation.
    #[must_use]
    pub const fn violation(&self) -> Option<&ViolationNotice> {
        match self {
            Self::ViolationOpened(violation)
            | Self::ViolationResolved(violation)
            | Self::ViolationExempted(violation) => Some(violation),
            _ => None,
        }
    }

    /// How bad it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self {
            Self::ViolationOpened(violation) => violation.severity,
            Self::ViolationDigest(digest) => digest.severity(),
            Self::ViolationReminder(reminder) => reminder.severity(),
            Self::ViolationResolved(_) | Self::ViolationExempted(_) | Self::RolloutSucceeded(_) => {
                Severity::Informational
            }
            Self::PolicyWarnings(_) => Severity::Low,
            Self::ExemptionsExpiring(_) | Self::BlindSpots(_) | Self::PolicyRejected(_) => Severity::Medium,
            Self::RolloutFailed(_) => Severity::High,
        }
    }
}

impl From<ViolationNotice> for Notice {
    /// The notice of a single turn.
    fn from(violation: ViolationNotice) -> Self {
        match violation.what {
            Told::Resolved(_) => Self::ViolationResolved(violation),
            Told::Exempted(_) => Self::ViolationExempted(violation),
            Told::Opened | Told::ExemptionEnded(_) | Told::Refreshed => Self::ViolationOpened(violation),
        }
    }
}

/// The change of a violation, in a word to filter by.
const fn change(what: &Told) -> &'static str {
    match what {
        Told::Opened | Told::ExemptionEnded(_) | Told::Refreshed => "opened",
        Told::Resolved(_) => "resolved",
        Told::Exempted(_) => "exempted",
    }
}

/// The attribute of several texts: each once, a plain `String` where there is only one. What exceeds [`LIST_LIMIT`] is left out.
fn several<'t>(texts: impl Iterator<Item = &'t str>) -> Attribute {
    let mut texts: Vec<String> = texts
        .map(|one| text::short(one, ATTRIBUTE_LIMIT))
        .filter(|one| !one.is_empty())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .scan(LIST_LIMIT, |room, one| {
            *room = room.checked_sub(one.len())?;
            Some(one)
        })
        .collect();
    match (texts.pop(), texts.is_empty()) {
        (Some(only), true) => Attribute::Text(only),
        (last, _) => Attribute::List(texts.into_iter().chain(last).collect()),
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
