//! Violations of one account and control, told together.

use super::text::{self, count, field, fit, item, moment, paragraph, quoted, short};
use super::violation::{NAME, control_json, requirement};
use super::{ViolationNotice, link, words};
use crate::control::{self, Severity};
use crate::ids::{AccountId, RegionName};
use crate::violation::{Found, Told};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Entries shown one by one; the rest is counted.
pub(super) const SHOWN: usize = 25;

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

/// What an entry tells, in the order in which a digest tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum EntryKind {
    Opened,
    ExemptionEnded,
    Reminder,
    Resolved,
}

impl EntryKind {
    pub(super) const fn of(entry: &DigestEntry) -> Self {
        match &entry.what {
            Told::Opened | Told::Refreshed => Self::Opened,
            Told::ExemptionEnded(_) => Self::ExemptionEnded,
            Told::Reminder(_) => Self::Reminder,
            Told::Resolved(_) | Told::Exempted(_) => Self::Resolved,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::ExemptionEnded => "exemptionEnded",
            Self::Reminder => "reminder",
            Self::Resolved => "resolved",
        }
    }
}

/// Entries that are told under one title.
#[derive(Debug)]
pub(super) struct Section<'a> {
    /// What is so with them.
    pub(super) title: String,
    /// How many there are in all.
    pub(super) total: usize,
    /// Those that are shown.
    pub(super) shown: Vec<&'a DigestEntry>,
}

impl Digest {
    fn number(&self, kind: EntryKind) -> usize {
        self.entries.iter().filter(|entry| EntryKind::of(entry) == kind).count()
    }

    /// Whether nothing has happened, and people are only reminded.
    pub(super) fn is_reminder(&self) -> bool {
        self.number(EntryKind::Reminder) == self.entries.len()
    }

    /// The worst that is told; what is resolved is not bad any more.
    pub(super) fn severity(&self) -> Severity {
        self.entries.iter().map(ViolationNotice::severity_told).max().unwrap_or(Severity::Informational)
    }

    /// The Regions of all entries.
    pub(super) fn regions(&self) -> BTreeSet<&RegionName> {
        self.entries.iter().map(|entry| &entry.key.region).collect()
    }

    /// The parameters in force, where they are known and the same for all entries.
    fn parameters(&self) -> Option<&BTreeMap<String, String>> {
        let (first, rest) = self.entries.split_first()?;
        let parameters = first.parameters.as_ref()?;
        rest.iter().all(|entry| entry.parameters.as_ref() == Some(parameters)).then_some(parameters)
    }

    /// `412 opened, 3 resolved`.
    pub(super) fn tally(&self) -> String {
        let ended = self.number(EntryKind::ExemptionEnded);
        let reminders = self.entries.iter().filter_map(|entry| match entry.what {
            Told::Reminder(days) => Some(days),
            _ => None,
        });
        let ages: BTreeSet<u32> = reminders.collect();
        let age = match (ages.first(), ages.len()) {
            (Some(days), 1) => format!("after {}", count(usize::try_from(*days).unwrap_or(usize::MAX), "day")),
            (Some(days), _) => format!("after {days} days or more"),
            (None, _) => String::new(),
        };
        let parts = [
            (self.number(EntryKind::Opened), "opened".to_owned()),
            (ended, format!("exemption{} ended", if ended == 1 { "" } else { "s" })),
            (self.number(EntryKind::Reminder), format!("still open {age}")),
            (self.number(EntryKind::Resolved), "resolved".to_owned()),
        ];
        let parts: Vec<String> = parts
            .into_iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, what)| format!("{number} {what}"))
            .collect();
        parts.join(", ")
    }

    fn mark(&self) -> &'static str {
        if self.is_reminder() {
            "REMINDER"
        } else if self.entries.iter().all(|entry| EntryKind::of(entry) == EntryKind::Resolved) {
            "RESOLVED"
        } else {
            self.severity().label()
        }
    }

    pub(super) fn headline(&self, account_name: &str) -> String {
        let space = if account_name.is_empty() { "" } else { " " };
        let (mark, tally, what) = (self.mark(), self.tally(), words::broken_by_many(&self.control));
        format!("[{mark}] {tally}: {what} ({}{space}{account_name})", self.account)
    }

    /// The account's name as it stands in a sentence; empty when it is not known.
    pub(super) fn shown_name(&self) -> String {
        self.account_name.as_deref().map(|name| quoted(&short(name, 64))).unwrap_or_default()
    }

    pub(super) fn subject(&self, limit: usize) -> String {
        text::subject(&self.shown_name(), limit, |name| self.headline(name))
    }

    /// Everything, grouped; of all entries the first are shown: what opened before what is resolved, the worst and oldest first.
    pub(super) fn sections(&self) -> Vec<Section<'_>> {
        let mut sections: Vec<Section<'_>> = Vec::new();
        for (number, entry) in self.in_order().into_iter().enumerate() {
            let title = title(entry);
            let at = sections.iter().position(|section| section.title == title);
            if at.is_none() {
                sections.push(Section { title, total: 0, shown: Vec::new() });
            }
            let section = match at {
                Some(at) => sections.get_mut(at),
                None => sections.last_mut(),
            };
            if let Some(section) = section {
                section.total = section.total.saturating_add(1);
                if number < SHOWN {
                    section.shown.push(entry);
                }
            }
        }
        sections
    }

    fn in_order(&self) -> Vec<&DigestEntry> {
        let mut entries: Vec<&DigestEntry> = self.entries.iter().collect();
        entries.sort_by(|a, b| {
            let place =
                |entry: &DigestEntry| (EntryKind::of(entry), Reverse(entry.severity), entry.since.unwrap_or(entry.at));
            place(a).cmp(&place(b)).then_with(|| a.key.cmp(&b.key)).then_with(|| a.recorded_at.cmp(&b.recorded_at))
        });
        entries
    }

    /// What shows all that is open. A name that a shell would read otherwise than we mean it is left out.
    pub(super) fn command(&self) -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let control = match self.control.as_str() {
            name if name.len() <= 128 && !name.starts_with('-') && !name.is_empty() && name.chars().all(is_plain) => {
                format!(" --control {name}")
            }
            _ => String::new(),
        };
        format!("backup-compliance violations --account {}{control}", self.account)
    }

    /// The rule in the console of the account, in each of the first Regions.
    pub(super) fn links(&self) -> Vec<String> {
        /// Nobody opens more from one mail.
        const MOST: usize = 3;
        let rules: BTreeMap<&RegionName, &str> =
            self.entries.iter().map(|entry| (&entry.key.region, entry.rule_name.as_str())).collect();
        rules.into_iter().filter_map(|(region, rule)| link::rule(region, rule)).take(MOST).collect()
    }

    /// Whether there is anything to do.
    pub(super) fn is_open(&self) -> bool {
        self.entries.iter().any(|entry| EntryKind::of(entry) != EntryKind::Resolved)
    }

    pub(super) fn requirement(&self) -> Option<String> {
        requirement(&self.control, self.parameters()).map(|words| short(&words, 500))
    }

    /// What to do, and where AWS describes it.
    pub(super) fn advice(&self) -> Option<(&'static str, &'static str)> {
        let first = self.entries.first()?;
        let remediation = control::find(&self.control).map(|control| control.remediation)?;
        self.is_open().then_some((remediation, first.documentation()))
    }

    pub(super) fn text(&self) -> String {
        let account_name = self.shown_name();
        let space = if account_name.is_empty() { "" } else { " " };
        let first = format!(
            "{}: {} (account {}{space}{account_name}).",
            self.tally(),
            words::broken_by_many(&self.control),
            self.account
        );
        let regions: Vec<&str> = self.regions().into_iter().map(RegionName::as_str).collect();
        let sections: String = self.sections().iter().map(section).collect();
        let advice =
            self.advice().map(|(todo, page)| format!("\nWhat to do\n{}{}", paragraph(todo, 2), paragraph(page, 2)));
        let links = self.links();
        [
            paragraph(&first, 0),
            "\n".into(),
            field(
                "Account",
                &match account_name.as_str() {
                    "" => self.account.to_string(),
                    name => format!("{} ({name})", self.account),
                },
            ),
            field(if regions.len() == 1 { "Region" } else { "Regions" }, &regions.join(", ")),
            field("Control", &short(&self.control, NAME)),
            self.requirement().map(|words| field("Required", &words)).unwrap_or_default(),
            field("Severity", self.severity().label()),
            sections,
            advice.unwrap_or_default(),
            "\nAll that is open\n".into(),
            paragraph(&self.command(), 2),
            if links.is_empty() { String::new() } else { "\nIn the AWS console of the account\n".into() },
            links.iter().map(|link| paragraph(link, 2)).collect(),
        ]
        .concat()
    }

    pub(super) fn json(&self) -> Value {
        let entries = self.in_order();
        let found = |found: Found| {
            self.entries
                .iter()
                .filter(|entry| EntryKind::of(entry) == EntryKind::Opened && entry.found == found)
                .count()
        };
        let mut closed: BTreeMap<&str, usize> = BTreeMap::new();
        for word in self.entries.iter().filter_map(|entry| words::closed_word(&entry.what)) {
            let number = closed.entry(word).or_default();
            *number = number.saturating_add(1);
        }
        json!({
            "reason": if self.is_reminder() { "reminder" } else { "changes" },
            "account": self.account,
            "accountName": self.account_name.as_deref().map(|name| fit(name, 400)),
            "control": control_json(&self.control, self.parameters()),
            "regions": self.regions(),
            "counts": {
                "opened": self.number(EntryKind::Opened),
                "resolved": self.number(EntryKind::Resolved),
                "exemptionEnded": self.number(EntryKind::ExemptionEnded),
                "reminded": self.number(EntryKind::Reminder),
                "found": {
                    "rollout": found(Found::Rollout),
                    "regression": found(Found::Regression),
                    "firstResult": found(Found::FirstResult),
                },
                "closed": closed,
            },
            "entries": entries.iter().take(SHOWN).map(|entry| entry_json(entry)).collect::<Vec<_>>(),
            "more": entries.len().saturating_sub(SHOWN),
            "command": self.command(),
            "consoleLinks": self.links(),
        })
    }
}

/// What stands above an entry: entries with one title stand together.
fn title(entry: &DigestEntry) -> String {
    match EntryKind::of(entry) {
        EntryKind::Opened => match entry.found {
            Found::Rollout => "Opened, found by the rollout of the control".to_owned(),
            Found::Regression => "Opened, regressions".to_owned(),
            Found::FirstResult => "Opened, new resources or newly in scope".to_owned(),
        },
        EntryKind::ExemptionEnded => "Exemption ended".to_owned(),
        EntryKind::Reminder => "Still open".to_owned(),
        EntryKind::Resolved => {
            format!("Resolved, {}", words::closed_title(words::closed_word(&entry.what).unwrap_or_default()))
        }
    }
}

fn section(section: &Section<'_>) -> String {
    let entries: String = section.shown.iter().map(|entry| item(&line(entry))).collect();
    let more = section.total.saturating_sub(section.shown.len());
    let more = match (more, section.shown.is_empty()) {
        (0, _) | (_, true) => String::new(),
        (more, false) => paragraph(&format!("and {more} more"), 4),
    };
    format!("\n{} ({})\n{entries}{more}", section.title, section.total)
}

/// One entry in one line.
fn line(entry: &DigestEntry) -> String {
    let owner =
        entry.owner.as_deref().map(|owner| format!(", owner {}", quoted(&short(owner, 64)))).unwrap_or_default();
    format!(
        "{} {} ({}){owner}, {}",
        text::sentence(&entry.kind_of_resource()),
        quoted(&short(&entry.name(), 100)),
        entry.key.region,
        facts(entry)
    )
}

/// What is told of an entry behind its name.
pub(super) fn facts(entry: &DigestEntry) -> String {
    let since = moment(entry.since.unwrap_or(entry.at));
    let severity = entry.severity.label();
    match &entry.what {
        Told::Resolved(_) | Told::Exempted(_) => format!("open since {since}"),
        Told::Reminder(days) => {
            format!("{severity}, since {since}, over {}", count(usize::try_from(*days).unwrap_or(usize::MAX), "day"))
        }
        Told::ExemptionEnded(exempt) => format!("{severity}, since {since}, was exempt until {}", exempt.until),
        Told::Opened | Told::Refreshed => format!("{severity}, since {since}"),
    }
}

fn entry_json(entry: &DigestEntry) -> Value {
    let since = entry.since.unwrap_or(entry.at);
    json!({
        "kind": EntryKind::of(entry).word(),
        "id": fit(&entry.key.to_string(), 600),
        "region": entry.key.region,
        "resource": {
            "type": fit(&entry.key.resource_type, 120),
            "id": fit(&entry.key.resource_id, 400),
            "name": fit(&entry.name(), 300),
            "arn": entry.resource.arn.as_deref().map(|arn| fit(arn, 400)),
        },
        "owner": entry.owner.as_deref().map(|owner| fit(owner, 128)),
        "severity": entry.severity.label(),
        "since": entry.since,
        "at": entry.at,
        "found": words::found_word(entry.found),
        "closed": words::closed_word(&entry.what),
        "days": days(since, entry.recorded_at),
    })
}

/// Whole days from one time to another.
fn days(from: Timestamp, to: Timestamp) -> i64 {
    to.duration_since(from).as_secs().max(0) / 86_400
}
