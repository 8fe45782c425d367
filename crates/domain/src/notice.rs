//! Notices: each one rendered as e-mail, JSON, chat message, commit comment, Security Hub finding and event, with the message
//! attributes that subscriptions filter on.

mod blind_spots;
mod chat;
mod comment;
mod digest;
mod exemptions;
mod finding;
mod labels;
mod link;
mod policy;
mod reminder;
mod rollout;
pub(crate) mod text;
mod violation;

pub use blind_spots::{BlindSpot, BlindSpotCause, BlindSpotReason, BlindSpots};
pub use digest::ViolationDigest;
pub use exemptions::{ExpiringExemption, ExpiringExemptions};
pub use policy::{PolicyRejection, PolicyWarnings};
pub use reminder::{Reminder, ReminderEntry};
pub use rollout::RolloutReport;
pub use violation::{NoticeContext, ViolationNotice};

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use framework::control::Severity;
use framework::ids::{Location, RegionName};

use crate::violation::Update;
use labels::UpdateKind;

/// The version of the JSON form, which `schemas/notice.schema.json` describes.
pub const VERSION: u32 = 1;

/// The longest value of a message attribute, in characters. SNS accepts longer ones; filter policies do not contain them.
const MAX_ATTRIBUTE: usize = 256;
/// Bytes of all values of a list attribute. Attributes count toward the 256 KiB of a message.
const MAX_LIST: usize = 8 * 1_024;
/// Entries shown in a notice; the others are counted.
const SHOWN: usize = 25;

/// A notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A resource breaks a control.
    ViolationOpened(ViolationNotice),
    /// The violation ended.
    ViolationResolved(ViolationNotice),
    /// The resource still breaks the control, and an exemption of the policy covers it.
    ViolationExempted(ViolationNotice),
    /// Several updates of violations of one account and control.
    ViolationDigest(ViolationDigest),
    /// The open violations of one owner.
    ViolationReminder(Reminder),
    /// The exemptions of one owner that end soon.
    ExemptionsExpiring(ExpiringExemptions),
    /// Accounts and Regions without visibility.
    BlindSpots(BlindSpots),
    /// Warnings about a policy that was put in force.
    PolicyWarnings(PolicyWarnings),
    /// Every stack instance is up to date.
    RolloutSucceeded(RolloutReport),
    /// Some stack instances are not up to date.
    RolloutFailed(RolloutReport),
    /// The policy at a commit is not valid; nothing was changed.
    PolicyRejected(PolicyRejection),
}

trait Render {
    fn subject(&self) -> String;
    fn text(&self) -> String;
    fn json(&self) -> Value;
}

impl Notice {
    /// The kind in JSON and in the message attribute `kind`.
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

    fn content(&self) -> &dyn Render {
        match self {
            Self::ViolationOpened(violation)
            | Self::ViolationResolved(violation)
            | Self::ViolationExempted(violation) => violation,
            Self::ViolationDigest(digest) => digest,
            Self::ViolationReminder(reminder) => reminder,
            Self::ExemptionsExpiring(expiring) => expiring,
            Self::BlindSpots(spots) => spots,
            Self::PolicyWarnings(warnings) => warnings,
            Self::RolloutSucceeded(report) | Self::RolloutFailed(report) => report,
            Self::PolicyRejected(rejection) => rejection,
        }
    }

    /// Renders the subject of an e-mail: printable ASCII in one line, under 100 characters.
    pub fn subject(&self) -> String {
        self.content().subject()
    }

    /// Renders the text of an e-mail. The first paragraph is a summary; lines of prose have at most 76 columns.
    pub fn text(&self) -> String {
        self.content().text()
    }

    /// Renders the JSON form.
    pub fn json(&self) -> Value {
        let mut document = self.content().json();
        if let Value::Object(fields) = &mut document {
            fields.insert("version".into(), json!(VERSION));
            fields.insert("kind".into(), json!(self.kind()));
            fields.insert("severity".into(), json!(self.severity().label()));
            fields.insert("subject".into(), json!(self.subject()));
        }
        document
    }

    /// Returns the message attributes for subscription filter policies. None is empty: SNS rejects empty values.
    pub fn attributes(&self) -> BTreeMap<&'static str, Attribute> {
        let text = |text: &str| Attribute::Text(text::short(text, MAX_ATTRIBUTE));
        let mut attributes: BTreeMap<&'static str, Attribute> =
            BTreeMap::from([("kind", text(self.kind())), ("severity", text(self.severity().label()))]);
        match self {
            Self::ViolationOpened(violation)
            | Self::ViolationResolved(violation)
            | Self::ViolationExempted(violation) => attributes.extend([
                ("account", text(violation.key.account.as_str())),
                ("region", text(violation.key.region.as_str())),
                ("control", text(&violation.key.control)),
                ("owner", list(violation.owners())),
                ("change", text(UpdateKind::of(&violation.update).change())),
            ]),
            Self::ViolationDigest(digest) => attributes.extend([
                ("account", text(digest.account.as_str())),
                ("control", text(&digest.control)),
                ("region", list(digest.regions().into_iter().map(RegionName::as_str))),
                ("owner", list(digest.entries.iter().flat_map(ViolationNotice::owners))),
                ("change", list(digest.entries.iter().map(|entry| UpdateKind::of(&entry.update).change()))),
            ]),
            Self::ViolationReminder(reminder) => {
                attributes.extend([("owner", list(reminder.owner.as_deref().into_iter()))])
            }
            Self::ExemptionsExpiring(expiring) => attributes.extend([("owner", text(&expiring.owner))]),
            _ => {}
        }
        attributes.retain(|_, value| match value {
            Attribute::Text(text) => !text.is_empty(),
            Attribute::List(texts) => !texts.is_empty(),
        });
        attributes
    }

    /// Returns detail type and detail of the event; only notices about one violation have one.
    pub fn event(&self) -> Option<(&'static str, Value)> {
        match self {
            Self::ViolationOpened(_) => Some(("Backup Compliance Violation Opened", self.json())),
            Self::ViolationResolved(_) => Some(("Backup Compliance Violation Resolved", self.json())),
            Self::ViolationExempted(_) => Some(("Backup Compliance Violation Exempted", self.json())),
            _ => None,
        }
    }

    /// Renders the finding in the AWS Security Finding Format; only notices about one violation have one.
    pub fn finding(&self, home: &FindingHome) -> Option<Value> {
        self.violation().map(|violation| finding::finding(violation, home))
    }

    /// Returns the violation of a notice about one violation.
    pub const fn violation(&self) -> Option<&ViolationNotice> {
        match self {
            Self::ViolationOpened(violation)
            | Self::ViolationResolved(violation)
            | Self::ViolationExempted(violation) => Some(violation),
            _ => None,
        }
    }

    /// Returns the severity.
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
    fn from(violation: ViolationNotice) -> Self {
        match violation.update {
            Update::Resolved(_) => Self::ViolationResolved(violation),
            Update::Exempted(_) => Self::ViolationExempted(violation),
            Update::Opened | Update::ExemptionEnded(_) | Update::Refreshed => Self::ViolationOpened(violation),
        }
    }
}

/// Returns the attribute of several distinct values, a `String` for only one. Values beyond [`MAX_LIST`] are omitted.
fn list<'t>(texts: impl Iterator<Item = &'t str>) -> Attribute {
    let mut texts: Vec<String> = texts
        .map(|one| text::short(one, MAX_ATTRIBUTE))
        .filter(|one| !one.is_empty())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .scan(MAX_LIST, |room, one| {
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
    /// `String.Array`: a filter policy matches if it matches any of them.
    List(Vec<String>),
}

/// The account and Region that import a finding into Security Hub.
pub type FindingHome = Location;

#[cfg(test)]
mod tests;
