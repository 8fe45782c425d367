//! What people and machines are told: one notice, as a subject, as text for a person, as JSON for a machine, and as the
//! attributes that subscriptions filter on.

mod rejection;
mod rollout;
mod text;
mod violation;

pub use rejection::Rejection;
pub use rollout::RolloutReport;
pub use violation::{ResourceFacts, ViolationNotice};

use crate::control::Severity;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The version of the JSON form; `schemas/notice.schema.json` describes it.
pub const VERSION: u32 = 1;

/// The longest subject that SNS takes is under 100 characters.
const SUBJECT_LIMIT: usize = 99;

/// A notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A resource breaks a control.
    ViolationOpened(ViolationNotice),
    /// It no longer does.
    ViolationResolved(ViolationNotice),
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
            Self::RolloutSucceeded(_) => "rollout.succeeded",
            Self::RolloutFailed(_) => "rollout.failed",
            Self::PolicyRejected(_) => "policy.rejected",
        }
    }

    /// The subject of an e-mail: printable ASCII in one line, under 100 characters.
    #[must_use]
    pub fn subject(&self) -> String {
        match self {
            Self::ViolationOpened(violation) => {
                text::subject(&violation.name(), SUBJECT_LIMIT, |name| violation.opened_headline(name))
            }
            Self::ViolationResolved(violation) => {
                text::subject(&violation.name(), SUBJECT_LIMIT, |name| violation.resolved_headline(name))
            }
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
            Self::ViolationOpened(violation) => violation.opened_text(),
            Self::ViolationResolved(violation) => violation.resolved_text(),
            Self::RolloutSucceeded(report) | Self::RolloutFailed(report) => report.text(),
            Self::PolicyRejected(rejection) => rejection.text(),
        }
    }

    /// The JSON form.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut document = match self {
            Self::ViolationOpened(violation) | Self::ViolationResolved(violation) => violation.json(),
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
    pub fn attributes(&self) -> BTreeMap<&'static str, String> {
        let mut attributes =
            BTreeMap::from([("kind", self.kind().to_owned()), ("severity", self.severity().label().to_owned())]);
        match self {
            Self::ViolationOpened(violation) | Self::ViolationResolved(violation) => {
                attributes.insert("account", violation.key.account.to_string());
                attributes.insert("region", violation.key.region.to_string());
                attributes.insert("control", violation.key.control.clone());
            }
            Self::RolloutSucceeded(_) | Self::RolloutFailed(_) | Self::PolicyRejected(_) => {}
        }
        attributes.retain(|_, value| !value.is_empty());
        attributes
    }

    /// How bad it is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::ViolationOpened(violation) => violation.severity,
            Self::ViolationResolved(_) | Self::RolloutSucceeded(_) => Severity::Informational,
            Self::RolloutFailed(_) => Severity::High,
            Self::PolicyRejected(_) => Severity::Medium,
        }
    }
}

#[cfg(test)]
mod tests;
