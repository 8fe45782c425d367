//! Notices about one violation.

use super::text::{field, one_line, paragraph, sentence};
use crate::control::{self, Severity};
use crate::violation::{Closing, Debt, Found, Heard, Key, Record, ResourceFacts, Told};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const UNKNOWN_CONTROL: &str =
    "This version does not know the control. See what the Config rule above checks, and correct the resource.";
const AUDIT_MANAGER: &str = "https://docs.aws.amazon.com/aws-backup/latest/devguide/controls-and-remediation.html";

/// A violation as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViolationNotice {
    /// Which violation.
    pub key: Key,
    /// What is told of it.
    pub what: Told,
    /// How bad it is.
    pub severity: Severity,
    /// What AWS Config knows of the resource.
    pub resource: ResourceFacts,
    /// Who owns the resource, by the tag that the policy names.
    pub owner: Option<String>,
    /// The name or alias of the account.
    pub account_name: Option<String>,
    /// Since when the resource breaks (or broke) the control.
    pub since: Option<Timestamp>,
    /// When the result came that this notice tells of.
    pub at: Timestamp,
    /// When what this notice tells was recorded: later for every later notice of one violation.
    pub recorded_at: Timestamp,
    /// How the violation came to be.
    pub found: Found,
    /// Who brought the news.
    pub heard: Heard,
    /// The Config rule.
    pub rule_name: String,
    /// Its ARN.
    pub rule_arn: String,
    /// What the rule adds in words.
    pub annotation: Option<String>,
    /// The control's parameters in force for this account and Region. `None` when nobody knows, which is not the same as
    /// none: those that a framework does not give have their defaults.
    pub parameters: Option<BTreeMap<String, String>>,
    /// What would bring the resource into a backup plan that is there already, one sentence each, best first.
    pub ways: Vec<String>,
    /// The exemption that nearly applies, and what it lacks, in one sentence.
    pub near_exemption: Option<String>,
}

/// What a notice says beyond what is on record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NoticeContext {
    /// The name or alias of the account.
    pub account_name: Option<String>,
    /// The key of the tag that names an owner.
    pub owner_tag: Option<String>,
    /// The control's parameters in force.
    pub parameters: Option<BTreeMap<String, String>>,
    /// See [`ViolationNotice::ways`].
    pub ways: Vec<String>,
    /// See [`ViolationNotice::near_exemption`].
    pub near_exemption: Option<String>,
}

impl ViolationNotice {
    /// The notice of a debt of a record.
    #[must_use]
    pub fn new(record: &Record, debt: &Debt, context: NoticeContext) -> Self {
        let NoticeContext { account_name, owner_tag, parameters, ways, near_exemption } = context;
        Self {
            key: record.key.clone(),
            what: debt.what.clone(),
            severity: record.severity,
            owner: owner_tag.and_then(|key| record.resource.tags.get(&key).cloned()),
            resource: record.resource.clone(),
            account_name,
            since: debt.since.or(record.since),
            at: record.ordering.triggered,
            recorded_at: debt.at,
            found: record.found,
            heard: record.heard,
            rule_name: record.rule_name.clone(),
            rule_arn: record.rule_arn.clone(),
            annotation: record.annotation.clone(),
            parameters,
            ways,
            near_exemption,
        }
    }

    /// It was closed for another reason than that the resource satisfies the control.
    fn no_longer_applies(&self) -> bool {
        matches!(&self.what, Told::Resolved(closing) if *closing != Closing::Satisfied)
    }

    pub(super) fn name(&self) -> String {
        one_line(self.resource.name.as_deref().unwrap_or(&self.key.resource_id))
    }

    fn control(&self) -> Option<&'static control::Control> {
        control::find(&self.key.control)
    }

    /// What the control asks for. Numbers are only named where they are known.
    fn requirement(&self) -> Option<String> {
        let control = self.control()?;
        Some(match &self.parameters {
            Some(parameters) => control.requirement(parameters),
            None if control.parameters.is_empty() => control.requirement(&BTreeMap::new()),
            None => control.title.to_owned(),
        })
    }

    fn broken(&self) -> &'static str {
        self.control().map_or("breaks a backup control", |control| control.broken)
    }

    fn fixed(&self) -> &'static str {
        if self.no_longer_applies() {
            "is no longer subject to the control"
        } else {
            self.control().map_or("satisfies the backup control", |control| control.fixed)
        }
    }

    pub(super) fn opened_headline(&self, name: &str) -> String {
        format!("[{}] {}", self.severity.label(), self.headline(name, self.broken()))
    }

    pub(super) fn resolved_headline(&self, name: &str) -> String {
        format!("[RESOLVED] {}", self.headline(name, self.fixed()))
    }

    /// Subjects are short, and the digits say that it is an account.
    fn headline(&self, name: &str, state: &str) -> String {
        let Key { account, region, resource_type, .. } = &self.key;
        format!("{} {name} {state} ({account}, {region})", sentence(control::resource_kind(resource_type)))
    }

    fn summary(&self, state: &str) -> String {
        let Key { account, region, resource_type, .. } = &self.key;
        let kind = sentence(control::resource_kind(resource_type));
        format!("{kind} {} {state} (account {account}, {region}).", self.name())
    }

    fn facts(&self) -> String {
        let id = match self.resource.name.as_deref() {
            Some(name) if name != self.key.resource_id => field("Id", &self.key.resource_id),
            _ => String::new(),
        };
        [
            field("Resource", &format!("{} ({})", self.name(), self.key.resource_type)),
            id,
            self.resource.arn.as_deref().map(|arn| field("ARN", arn)).unwrap_or_default(),
            field("Account", self.key.account.as_str()),
            field("Region", self.key.region.as_str()),
            field("Control", &self.key.control),
            self.requirement().map(|requirement| field("Required", &requirement)).unwrap_or_default(),
        ]
        .concat()
    }

    pub(super) fn opened_text(&self) -> String {
        let (todo, link) = self
            .control()
            .map_or((UNKNOWN_CONTROL, AUDIT_MANAGER), |control| (control.remediation, control.documentation));
        [
            paragraph(&self.summary(self.broken()), 0),
            "\n".into(),
            self.facts(),
            field("Since", &moment(self.since.unwrap_or(self.at))),
            field("Severity", self.severity.label()),
            self.annotation.as_deref().map(|words| field("Config says", words)).unwrap_or_default(),
            field("Config rule", &self.rule_name),
            "\nWhat to do\n".into(),
            paragraph(todo, 2),
            paragraph(link, 2),
            "\n".into(),
            paragraph("You will get one more message, when this is resolved.", 0),
        ]
        .concat()
    }

    pub(super) fn resolved_text(&self) -> String {
        let end = if self.no_longer_applies() {
            "The resource was deleted, or the framework no longer covers it. There is nothing left to do."
        } else {
            "There is nothing left to do."
        };
        [
            paragraph(&format!("Resolved: {}", self.summary(self.fixed())), 0),
            "\n".into(),
            self.facts(),
            self.since.map(|since| field("Open since", &moment(since))).unwrap_or_default(),
            field("Resolved", &moment(self.at)),
            "\n".into(),
            paragraph(end, 0),
        ]
        .concat()
    }

    pub(super) fn json(&self) -> Value {
        let control = self.control();
        json!({
            "id": self.key.to_string(),
            "account": self.key.account,
            "region": self.key.region,
            "control": {
                "name": self.key.control,
                "requirement": self.requirement(),
                "parameters": self.parameters.clone().unwrap_or_default(),
                "remediation": control.map(|control| control.remediation),
                "documentation": control.map(|control| control.documentation),
            },
            "resource": {
                "type": self.key.resource_type,
                "id": self.key.resource_id,
                "name": self.name(),
                "arn": self.resource.arn,
            },
            "since": self.since,
            "at": self.at,
            "rule": { "name": self.rule_name, "arn": self.rule_arn },
            "annotation": self.annotation,
            "noLongerApplies": self.no_longer_applies(),
        })
    }
}

/// `2026-11-20 04:12 UTC`: people compare minutes, not milliseconds.
fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
