//! The weekly summary of the violations of one owner that stay open.

use super::digest::SHOWN;
use super::text::{self, count, day, field, fit, item, moment, paragraph, quoted, shown};
use super::words::{self, Counts};
use crate::control::{self, Severity};
use crate::violation::Key;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::cmp::Reverse;

/// The violations of one owner that stay open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reminder {
    /// Who owns the resources, by the tag that the policy names; `None` for the resources without an owner, which are left to the
    /// platform team.
    pub owner: Option<String>,
    /// The ages in days that the policy names, smallest first; at least one.
    pub ages: Vec<u32>,
    /// When the summary was made.
    pub at: Timestamp,
    /// The violations that have reached the smallest age, at least one.
    pub violations: Vec<OpenViolation>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenViolation {
    /// Which violation.
    pub key: Key,
    /// The name that people use for the resource, where it is known.
    pub name: Option<String>,
    /// How bad it is.
    pub severity: Severity,
    /// Since when the resource breaks the control.
    pub since: Timestamp,
}

impl OpenViolation {
    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.key.resource_id)
    }

    /// Returns the age in whole days.
    fn days(&self, at: Timestamp) -> i64 {
        at.duration_since(self.since).as_hours().max(0) / 24
    }

    fn line(&self) -> String {
        let Key { account, region, control, resource_type, .. } = &self.key;
        let state = control::find(control)
            .map_or_else(|| format!("breaks {}", shown(control, 40)), |control| control.broken.to_owned());
        format!(
            "{} {} in {account} {region} {state}, {}, since {}",
            text::sentence(&shown(control::resource_kind(resource_type), 40)),
            quoted(&shown(self.name(), 80)),
            self.severity.label(),
            day(self.since)
        )
    }
}

impl Reminder {
    /// Returns how many violations have reached each age.
    fn ages(&self) -> impl Iterator<Item = (u32, usize)> {
        let reached = |age: u32| self.violations.iter().filter(|open| open.days(self.at) >= i64::from(age)).count();
        self.ages.iter().map(move |age| (*age, reached(*age)))
    }

    /// Returns the worst severity.
    pub(super) fn severity(&self) -> Severity {
        self.violations.iter().map(|open| open.severity).max().unwrap_or(Severity::Informational)
    }

    fn of(&self, owner: &str) -> String {
        match self.owner {
            Some(_) => format!("of {}", quoted(owner)),
            None => "without an owner".to_owned(),
        }
    }

    /// Returns the first violations: the worst, then the oldest.
    fn first(&self) -> Vec<&OpenViolation> {
        let mut all: Vec<&OpenViolation> = self.violations.iter().collect();
        all.sort_by(|a, b| (Reverse(a.severity), a.since, &a.key).cmp(&(Reverse(b.severity), b.since, &b.key)));
        all.truncate(SHOWN);
        all
    }

    fn more(&self) -> usize {
        self.violations.len().saturating_sub(SHOWN)
    }

    fn by_account(&self) -> Counts<'_> {
        Counts::of(self.violations.iter().map(|open| Some(open.key.account.as_str())))
    }

    fn by_control(&self) -> Counts<'_> {
        Counts::of(self.violations.iter().map(|open| Some(open.key.control.as_str())))
    }

    fn by_type(&self) -> Counts<'_> {
        Counts::of(self.violations.iter().map(|open| Some(open.key.resource_type.as_str())))
    }

    fn command(&self) -> String {
        let owner = self.owner.as_deref().map(|owner| words::option("owner", owner));
        format!("backup-compliance violations{}", owner.unwrap_or_default())
    }

    pub(super) fn subject(&self, limit: usize) -> String {
        let number = count(self.violations.len(), "open violation");
        let owner = self.owner.as_deref().map(|owner| shown(owner, 200)).unwrap_or_default();
        text::subject(&owner, limit, |owner| format!("[REMINDER] {number} {}", self.of(owner)))
    }

    pub(super) fn text(&self) -> String {
        let owner = self.owner.as_deref().map(|owner| shown(owner, 200)).unwrap_or_default();
        let ages: Vec<String> = self.ages().map(|(age, number)| format!("{number} for {age} days or more")).collect();
        let severities = Counts::of(self.violations.iter().map(|open| Some(open.severity.label())));
        let violations: String = self.first().into_iter().map(|open| item(&open.line())).collect();
        [
            paragraph(
                &format!("{} {}.", count(self.violations.len(), "open violation"), self.of(&owner)),
                0,
            ),
            "\n".into(),
            field("As of", &moment(self.at)),
            field("Open", &ages.join(", ")),
            field("By severity", &severities.words(str::to_owned)),
            field("By account", &self.by_account().words(str::to_owned)),
            field("By control", &self.by_control().words(|control| shown(control, 80))),
            field("By type", &self.by_type().words(words::type_word)),
            "\nThe worst, then the oldest\n".into(),
            violations,
            match self.more() {
                0 => String::new(),
                more => paragraph(&format!("and {more} more"), 4),
            },
            "\nAll that is open\n".into(),
            format!("  {}\n\n", self.command()),
            paragraph(
                "This summary is sent once a week for as long as a violation stays open. To stop it for a resource, fix the \
                 violation or exempt the resource in the policy file.",
                0,
            ),
        ]
        .concat()
    }

    pub(super) fn json(&self) -> Value {
        let violations = self.first().into_iter().map(|open| {
            let Key { account, region, control, resource_type, resource_id } = &open.key;
            json!({
                "id": fit(&open.key.to_string(), 600),
                "account": account,
                "region": region,
                "control": fit(control, 400),
                "resource": {
                    "type": fit(resource_type, 120),
                    "id": fit(resource_id, 400),
                    "name": fit(open.name(), 300),
                },
                "severity": open.severity.label(),
                "since": open.since,
                "days": open.days(self.at),
            })
        });
        let ages = self.ages().map(|(days, violations)| json!({ "days": days, "violations": violations }));
        let (accounts, more_accounts) = self.by_account().json("account", 20);
        let (controls, more_controls) = self.by_control().json("control", 400);
        let (types, more_types) = self.by_type().json("type", 120);
        json!({
            "owner": self.owner.as_deref().map(|owner| fit(owner, 1_000)),
            "at": self.at,
            "counts": {
                "violations": self.violations.len(),
                "ages": ages.collect::<Vec<_>>(),
                "accounts": accounts,
                "moreAccounts": more_accounts,
                "controls": controls,
                "moreControls": more_controls,
                "resourceTypes": types,
                "moreResourceTypes": more_types,
            },
            "violations": violations.collect::<Vec<_>>(),
            "more": self.more(),
            "command": self.command(),
        })
    }
}
