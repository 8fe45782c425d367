//! Violations of one account and control, told together.

use super::text::{self, count, day, field, fit, item, paragraph, quoted, shown};
use super::violation::{NAME, control_json, requirement};
use super::words::Counts;
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
    Exempted,
    Resolved,
}

impl EntryKind {
    pub(super) const fn of(entry: &DigestEntry) -> Self {
        match &entry.what {
            Told::Opened | Told::Refreshed => Self::Opened,
            Told::ExemptionEnded(_) => Self::ExemptionEnded,
            Told::Exempted(_) => Self::Exempted,
            Told::Resolved(_) => Self::Resolved,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::ExemptionEnded => "exemptionEnded",
            Self::Exempted => "exempted",
            Self::Resolved => "resolved",
        }
    }
}

/// The place of a section among the others.
type Rank = (EntryKind, u8);

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

    /// Counts all entries by owner.
    pub(super) fn by_owner(&self) -> Counts<'_> {
        Counts::of(self.entries.iter().map(|entry| entry.owner.as_deref()))
    }

    /// Counts all entries by resource type.
    pub(super) fn by_type(&self) -> Counts<'_> {
        Counts::of(self.entries.iter().map(|entry| Some(entry.key.resource_type.as_str())))
    }

    /// `412 opened, 3 resolved`.
    pub(super) fn tally(&self) -> String {
        let ended = self.number(EntryKind::ExemptionEnded);
        let parts = [
            (self.number(EntryKind::Opened), "opened".to_owned()),
            (ended, format!("exemption{} ended", if ended == 1 { "" } else { "s" })),
            (self.number(EntryKind::Exempted), "exempt".to_owned()),
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
        if self.number(EntryKind::Exempted) == self.entries.len() {
            "EXEMPT"
        } else if !self.is_open() {
            "RESOLVED"
        } else {
            self.severity().label()
        }
    }

    /// The account's name as it stands in a sentence; empty when it is not known.
    pub(super) fn shown_name(&self) -> String {
        self.account_name.as_deref().map(|name| quoted(&shown(name, 64))).unwrap_or_default()
    }

    /// The account is never cut off: where there is no room for all, first its name is left out, then what makes up the number.
    pub(super) fn subject(&self, limit: usize) -> String {
        let (mark, what, account) = (self.mark(), words::broken_by_many(&self.control), &self.account);
        let name = self.shown_name();
        let space = if name.is_empty() { "" } else { " " };
        let (tally, total) = (self.tally(), count(self.entries.len(), "change"));
        let whole = |name: &str| format!("[{mark}] {tally}: {what} ({account}{space}{name})");
        let without_name = |_: &str| format!("[{mark}] {tally}: {what} ({account})");
        let without_tally = |name: &str| format!("[{mark}] {total}: {what} ({account}{space}{name})");
        text::subject_of(&name, limit, &[&whole, &without_name, &without_tally])
    }

    /// Everything, grouped, with the entries that are shown.
    pub(super) fn sections(&self) -> Vec<Section<'_>> {
        let mut sections: BTreeMap<Rank, Section<'_>> = BTreeMap::new();
        for (entry, is_shown) in self.chosen() {
            let section = sections.entry(rank(entry)).or_insert_with(|| Section {
                title: title(entry),
                total: 0,
                shown: Vec::new(),
            });
            section.total = section.total.saturating_add(1);
            if is_shown {
                section.shown.push(entry);
            }
        }
        sections.into_values().collect()
    }

    /// All entries, the worst first, then the oldest, and whether each is shown: the first ones, and the first few of each section.
    fn chosen(&self) -> Vec<(&DigestEntry, bool)> {
        /// Of each section; of all sections there can be, no more than are shown.
        const FEW: usize = 2;
        let mut entries: Vec<&DigestEntry> = self.entries.iter().collect();
        entries.sort_by(|a, b| {
            let place =
                |entry: &DigestEntry| (EntryKind::of(entry), Reverse(entry.severity), entry.since.unwrap_or(entry.at));
            place(a).cmp(&place(b)).then_with(|| a.key.cmp(&b.key)).then_with(|| a.recorded_at.cmp(&b.recorded_at))
        });
        let mut of_section: BTreeMap<Rank, usize> = BTreeMap::new();
        let mut chosen: Vec<(&DigestEntry, bool)> = entries
            .into_iter()
            .map(|entry| {
                let number = of_section.entry(rank(entry)).or_default();
                *number = number.saturating_add(1);
                (entry, *number <= FEW)
            })
            .collect();
        let room = SHOWN.saturating_sub(chosen.iter().filter(|(_, is_shown)| *is_shown).count());
        chosen.iter_mut().filter(|(_, is_shown)| !is_shown).take(room).for_each(|(_, is_shown)| *is_shown = true);
        chosen
    }

    /// Turns that are not told one by one.
    fn earlier(&self) -> usize {
        let folded = self.entries.iter().map(|entry| usize::try_from(entry.folded).unwrap_or(usize::MAX));
        folded.fold(0, usize::saturating_add)
    }

    /// That there were more turns, in a sentence.
    pub(super) fn before(&self) -> Option<String> {
        match self.earlier() {
            0 => None,
            turns => Some(format!("{}, back and forth, not told one by one", count(turns, "earlier turn"))),
        }
    }

    /// What shows all that is open.
    pub(super) fn command(&self) -> String {
        format!("backup-compliance violations --in-account {}{}", self.account, words::option("control", &self.control))
    }

    /// The command as a shell reads it when it is copied from a mail.
    fn command_lines(&self) -> String {
        format!("  {}\n", self.command().replace(" --control ", " \\\n    --control "))
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
        self.entries.iter().any(|entry| words::is_open(&entry.what))
    }

    pub(super) fn requirement(&self) -> Option<String> {
        requirement(&self.control, self.parameters()).map(|words| shown(&words, 500))
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
        let sections: String =
            self.sections().iter().map(|entries| section(entries, regions.len() > 1, self.severity())).collect();
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
            field("Control", &shown(&self.control, NAME)),
            self.requirement().map(|words| field("Required", &words)).unwrap_or_default(),
            field("Severity", self.severity().label()),
            field("By owner", &self.by_owner().words(words::owner_word)),
            field("By type", &self.by_type().words(words::type_word)),
            self.before().map(|turns| field("Before", &turns)).unwrap_or_default(),
            sections,
            advice.unwrap_or_default(),
            "\nAll that is open\n".into(),
            self.command_lines(),
            if links.is_empty() { String::new() } else { "\nIn the AWS console of the account\n".into() },
            links.iter().map(|link| paragraph(link, 2)).collect(),
        ]
        .concat()
    }

    pub(super) fn json(&self) -> Value {
        let entries = self.chosen();
        let shown = entries.iter().filter(|(_, is_shown)| *is_shown).map(|(entry, _)| entry_json(entry));
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
        let (owners, more_owners) = self.by_owner().json("owner", 128);
        let (types, more_types) = self.by_type().json("type", 120);
        json!({
            "reason": "changes",
            "account": self.account,
            "accountName": self.account_name.as_deref().map(|name| fit(name, 400)),
            "control": control_json(&self.control, self.parameters()),
            "regions": self.regions(),
            "counts": {
                "opened": self.number(EntryKind::Opened),
                "resolved": self.number(EntryKind::Resolved),
                "exempted": self.number(EntryKind::Exempted),
                "exemptionEnded": self.number(EntryKind::ExemptionEnded),
                "earlierTurns": self.earlier(),
                "found": {
                    "rollout": found(Found::Rollout),
                    "regression": found(Found::Regression),
                    "firstResult": found(Found::FirstResult),
                },
                "closed": closed,
                "owners": owners,
                "moreOwners": more_owners,
                "resourceTypes": types,
                "moreResourceTypes": more_types,
            },
            "entries": shown.collect::<Vec<_>>(),
            "more": entries.len().saturating_sub(SHOWN),
            "command": self.command(),
            "consoleLinks": self.links(),
        })
    }
}

fn rank(entry: &DigestEntry) -> Rank {
    let kind = EntryKind::of(entry);
    let within = match (&entry.what, entry.found) {
        (Told::Resolved(closing), _) => *closing as u8,
        (Told::Opened | Told::Refreshed, Found::Regression) => 1,
        (Told::Opened | Told::Refreshed, Found::FirstResult) => 2,
        (Told::Opened | Told::Refreshed | Told::ExemptionEnded(_) | Told::Exempted(_), _) => 0,
    };
    (kind, within)
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
        EntryKind::Exempted => "Exempt by the policy".to_owned(),
        EntryKind::Resolved => {
            format!("Resolved, {}", words::closed_title(words::closed_word(&entry.what).unwrap_or_default()))
        }
    }
}

fn section(section: &Section<'_>, names_region: bool, worst: Severity) -> String {
    let entries: String = section.shown.iter().map(|entry| item(&line(entry, names_region, worst))).collect();
    let more = match section.total.saturating_sub(section.shown.len()) {
        0 => String::new(),
        more => paragraph(&format!("and {more} more"), 4),
    };
    format!("\n{} ({})\n{entries}{more}", section.title, section.total)
}

/// One entry in one line.
fn line(entry: &DigestEntry, names_region: bool, worst: Severity) -> String {
    let region = if names_region { format!(" ({})", entry.key.region) } else { String::new() };
    let owner =
        entry.owner.as_deref().map(|owner| format!(", owner {}", quoted(&shown(owner, 48)))).unwrap_or_default();
    format!(
        "{} {}{region}{owner}, {}",
        text::sentence(&shown(&entry.kind_of_resource(), 40)),
        quoted(&shown(&entry.name(), 80)),
        facts(entry, worst)
    )
}

/// What is told of an entry behind its name. How bad it is stands above all entries, where it is as bad as the worst.
pub(super) fn facts(entry: &DigestEntry, worst: Severity) -> String {
    let since = day(entry.since.unwrap_or(entry.at));
    let severity = if entry.severity == worst { String::new() } else { format!("{}, ", entry.severity.label()) };
    match &entry.what {
        Told::Resolved(_) => format!("open since {since}"),
        Told::Exempted(exempt) => format!("open since {since}, exempt until {}", exempt.until),
        Told::ExemptionEnded(exempt) => format!("{severity}since {since}, was exempt until {}", exempt.until),
        Told::Opened | Told::Refreshed => format!("{severity}since {since}"),
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
            "name": fit(&entry.whole_name(), 300),
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
