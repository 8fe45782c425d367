//! The weekly reminder of the open violations of one owner.

use std::cmp::Reverse;

use jiff::Timestamp;
use serde_json::{Value, json};

use framework::control::{self, Severity};

use super::labels::{self, GroupedCounts};
use super::text::{self, and_more, count, day, field, fit, item, moment, paragraph, quoted, section, shown};
use super::{Render, SHOWN};
use crate::violation::ViolationKey;

/// The open violations of one owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reminder {
    /// The value of the owner tag; `None` for resources without one, which are reported to the platform team.
    pub owner: Option<String>,
    /// The ages in days from the policy, smallest first; at least one.
    pub ages: Vec<u32>,
    /// The time of the reminder.
    pub at: Timestamp,
    /// The violations that have reached the smallest age, at least one.
    pub violations: Vec<ReminderEntry>,
}

/// An open violation in a reminder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReminderEntry {
    /// The violation.
    pub key: ViolationKey,
    /// The name of the resource, if known.
    pub name: Option<String>,
    /// The severity.
    pub severity: Severity,
    /// Start of the violation.
    pub since: Timestamp,
}

impl ReminderEntry {
    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.key.resource_id)
    }

    fn days(&self, at: Timestamp) -> i64 {
        at.duration_since(self.since).as_hours().max(0) / 24
    }

    fn line(&self) -> String {
        let ViolationKey { account, region, control, resource_type, .. } = &self.key;
        let state = control::find(control)
            .map_or_else(|| format!("breaks {}", shown(control, 40)), |control| control.violation.to_owned());
        let kind = text::sentence(&shown(control::resource_kind(resource_type), 40));
        let (name, severity, since) = (quoted(&shown(self.name(), 80)), self.severity.label(), day(self.since));
        format!("{kind} {name} in {account} {region} {state}, {severity}, since {since}")
    }

    fn json(&self, at: Timestamp) -> Value {
        let ViolationKey { account, region, control, resource_type, resource_id } = &self.key;
        json!({
            "id": fit(&self.key.to_string(), 600),
            "account": account,
            "region": region,
            "control": fit(control, 400),
            "resource": {
                "type": fit(resource_type, 120),
                "id": fit(resource_id, 400),
                "name": fit(self.name(), 300),
            },
            "severity": self.severity.label(),
            "since": self.since,
            "days": self.days(at),
        })
    }
}

impl Reminder {
    fn ages(&self) -> impl Iterator<Item = (u32, usize)> {
        let reached = |age: u32| self.violations.iter().filter(|open| open.days(self.at) >= i64::from(age)).count();
        self.ages.iter().map(move |age| (*age, reached(*age)))
    }

    pub(super) fn severity(&self) -> Severity {
        self.violations.iter().map(|open| open.severity).max().unwrap_or(Severity::Informational)
    }

    fn shown_owner(&self) -> String {
        self.owner.as_deref().map(|owner| shown(owner, 200)).unwrap_or_default()
    }

    /// `41 open violations of orders-team`.
    fn summary(&self, owner: &str) -> String {
        let number = count(self.violations.len(), "open violation");
        match self.owner {
            Some(_) => format!("{number} of {}", quoted(owner)),
            None => format!("{number} without an owner"),
        }
    }

    /// Returns the violations that are shown: the highest severity first, then the oldest.
    fn first(&self) -> Vec<&ReminderEntry> {
        let mut all: Vec<&ReminderEntry> = self.violations.iter().collect();
        all.sort_by(|a, b| (Reverse(a.severity), a.since, &a.key).cmp(&(Reverse(b.severity), b.since, &b.key)));
        all.truncate(SHOWN);
        all
    }

    fn more(&self) -> usize {
        self.violations.len().saturating_sub(SHOWN)
    }

    fn counts<'r>(&'r self, value: impl Fn(&'r ReminderEntry) -> &'r str) -> GroupedCounts<'r> {
        GroupedCounts::of(self.violations.iter().map(|open| Some(value(open))))
    }

    fn command(&self) -> String {
        let owner = self.owner.as_deref().map(|owner| labels::option("owner", owner));
        format!("backup-compliance violations{}", owner.unwrap_or_default())
    }
}

impl Render for Reminder {
    fn subject(&self) -> String {
        text::subject(&self.shown_owner(), &[&|owner| format!("[REMINDER] {}", self.summary(owner))])
    }

    fn text(&self) -> String {
        let ages: Vec<String> = self.ages().map(|(age, number)| format!("{number} for {age} days or more")).collect();
        let violations: String = self.first().into_iter().map(|open| item(&open.line())).collect();
        let end = "This reminder is sent once a week as long as a violation is open. To stop it for a resource, fix the violation \
                   or exempt the resource in the policy file.";
        [
            paragraph(&format!("{}.", self.summary(&self.shown_owner())), 0),
            "\n".into(),
            field("As of", &moment(self.at)),
            field("Open", &ages.join(", ")),
            field("By severity", &self.counts(|open| open.severity.label()).text(str::to_owned)),
            field("By account", &self.counts(|open| open.key.account.as_str()).text(str::to_owned)),
            field("By control", &self.counts(|open| &open.key.control).text(|control| shown(control, 80))),
            field("By type", &self.counts(|open| &open.key.resource_type).text(labels::resource_type)),
            section("Highest severity first, then oldest", &(violations + &and_more(self.more(), 4))),
            format!("\nTo list all open violations\n  {}\n\n", self.command()),
            paragraph(end, 0),
        ]
        .concat()
    }

    fn json(&self) -> Value {
        let ages = self.ages().map(|(days, violations)| json!({ "days": days, "violations": violations }));
        let (accounts, more_accounts) = self.counts(|open| open.key.account.as_str()).json("account", 20);
        let (controls, more_controls) = self.counts(|open| &open.key.control).json("control", 400);
        let (types, more_types) = self.counts(|open| &open.key.resource_type).json("type", 120);
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
            "violations": self.first().into_iter().map(|open| open.json(self.at)).collect::<Vec<_>>(),
            "more": self.more(),
            "command": self.command(),
        })
    }
}
