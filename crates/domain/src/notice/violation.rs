//! Notices about one violation.

use super::text::{field, one_line, paragraph};
use super::wording;
use crate::control;
use crate::violation::{Key, Pending, Record, Severity};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A violation as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViolationNotice {
    /// Which violation.
    pub key: Key,
    /// How bad it is.
    pub severity: Severity,
    /// What AWS Config knows of the resource.
    pub resource: ResourceFacts,
    /// Since when the resource breaks (or broke) the control.
    pub since: Option<Timestamp>,
    /// When the result came that this notice tells of.
    pub at: Timestamp,
    /// The Config rule.
    pub rule_name: String,
    /// Its ARN.
    pub rule_arn: String,
    /// What the rule adds in words.
    pub annotation: Option<String>,
    /// The control's parameters in force for this account and Region, where they are known.
    pub parameters: BTreeMap<String, String>,
    /// It was closed because the control no longer applies, not because it is satisfied.
    pub no_longer_applies: bool,
}

/// What AWS Config knows of a resource beyond its id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResourceFacts {
    /// The name that people use.
    pub name: Option<String>,
    /// The ARN.
    pub arn: Option<String>,
}

impl ViolationNotice {
    /// The notice that `pending` says is owed for a record.
    #[must_use]
    pub fn new(
        record: &Record,
        pending: Pending,
        resource: ResourceFacts,
        parameters: BTreeMap<String, String>,
    ) -> Self {
        Self {
            key: record.key.clone(),
            severity: Severity::of_control(&record.key.control),
            resource,
            since: record.since,
            at: record.ordering.triggered,
            rule_name: record.rule_name.clone(),
            rule_arn: record.rule_arn.clone(),
            annotation: record.annotation.clone(),
            parameters,
            no_longer_applies: pending == Pending::NoLongerApplies,
        }
    }

    fn name(&self) -> String {
        one_line(self.resource.name.as_deref().unwrap_or(&self.key.resource_id))
    }

    fn thing(&self) -> String {
        format!("{} {}", control::resource_kind(&self.key.resource_type), self.name())
    }

    fn place(&self) -> String {
        format!("account {}, {}", self.key.account, self.key.region)
    }

    fn control(&self) -> Option<&'static control::Control> {
        control::find(&self.key.control)
    }

    fn requirement(&self) -> Option<String> {
        self.control().map(|control| control.requirement(&self.parameters))
    }

    pub(super) fn opened_headline(&self) -> String {
        format!("{} {} ({})", self.thing(), wording::broken(&self.key.control), self.place())
    }

    pub(super) fn resolved_headline(&self) -> String {
        let now = if self.no_longer_applies {
            "is no longer subject to the control"
        } else {
            wording::fixed(&self.key.control)
        };
        format!("{} {now} ({})", self.thing(), self.place())
    }

    fn facts(&self) -> String {
        let id = if self.resource.name.as_deref().is_some_and(|name| name != self.key.resource_id) {
            field("Id", &self.key.resource_id)
        } else {
            String::new()
        };
        let arn = self.resource.arn.as_deref().map(|arn| field("ARN", arn)).unwrap_or_default();
        [
            field("Resource", &format!("{} ({})", self.name(), self.key.resource_type)),
            id,
            arn,
            field("Account", self.key.account.as_str()),
            field("Region", self.key.region.as_str()),
            field("Control", &self.key.control),
            self.requirement().map(|requirement| field("Required", &requirement)).unwrap_or_default(),
        ]
        .concat()
    }

    pub(super) fn opened_text(&self) -> String {
        let since = self.since.unwrap_or(self.at);
        let said = self.annotation.as_deref().map(|words| field("Config says", words)).unwrap_or_default();
        let (todo, link) = self.control().map_or_else(
            || {
                (
                    "See the Config rule named below for what it checks, and correct the resource.".to_owned(),
                    "https://docs.aws.amazon.com/aws-backup/latest/devguide/controls-and-remediation.html",
                )
            },
            |control| (control.remediation.to_owned(), control.documentation),
        );
        [
            paragraph(&format!("{}.", self.opened_headline()), 0),
            "\n".into(),
            self.facts(),
            field("Since", &moment(since)),
            field("Severity", self.severity.label()),
            said,
            "\nWhat to do\n".into(),
            paragraph(&todo, 2),
            paragraph(link, 2),
            "\n".into(),
            paragraph("You will get one message when this is resolved.", 0),
            paragraph(&format!("Config rule: {}", self.rule_name), 0),
        ]
        .concat()
    }

    pub(super) fn resolved_text(&self) -> String {
        let opened = self.since.map(|since| field("Was open", &format!("since {}", moment(since)))).unwrap_or_default();
        [
            paragraph(&format!("Resolved: {}.", self.resolved_headline()), 0),
            "\n".into(),
            self.facts(),
            opened,
            field("Resolved", &moment(self.at)),
            "\n".into(),
            paragraph("Nothing is left to do.", 0),
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
                "parameters": self.parameters,
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
            "noLongerApplies": self.no_longer_applies,
        })
    }
}

/// `2026-11-20 04:12 UTC`: people compare minutes, not milliseconds.
fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
