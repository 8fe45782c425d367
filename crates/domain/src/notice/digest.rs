//! The digest of updates of violations of one account and control.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use framework::control::{self, Severity};
use framework::ids::{AccountId, RegionName};

use super::labels::{self, GroupedCounts, UpdateKind};
use super::text::{
    self, and_more, count, day, field, fit, item, numbers, optional, paragraph, quoted, section, sentence, shown,
};
use super::violation::{MAX_NAME, control_json, requirement};
use super::{Render, SHOWN, ViolationNotice, link};
use crate::violation::{ClosedReason, OpenedBy, Update};

/// Updates of violations of one account and control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViolationDigest {
    /// The account.
    pub account: AccountId,
    /// Its name or alias.
    pub account_name: Option<String>,
    /// The control, as in [`crate::violation::ViolationKey::control`].
    pub control: String,
    /// The updates, at least one; a violation may have several.
    pub entries: Vec<ViolationNotice>,
}

/// The title of a section, in the order of the sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Title {
    OpenedByRollout,
    Regressions,
    FirstResults,
    ExemptionEnded,
    Exempted,
    Resolved(ClosedReason),
}

impl Title {
    const fn of(entry: &ViolationNotice) -> Self {
        match (&entry.update, entry.opened_by) {
            (Update::Opened | Update::Refreshed, OpenedBy::Rollout) => Self::OpenedByRollout,
            (Update::Opened | Update::Refreshed, OpenedBy::Regression) => Self::Regressions,
            (Update::Opened | Update::Refreshed, OpenedBy::FirstResult) => Self::FirstResults,
            (Update::ExemptionEnded(_), _) => Self::ExemptionEnded,
            (Update::Exempted(_), _) => Self::Exempted,
            (Update::Resolved(closing), _) => Self::Resolved(*closing),
        }
    }

    fn text(self) -> String {
        match self {
            Self::OpenedByRollout => "Opened by the rollout of the control".to_owned(),
            Self::Regressions => "Opened, regressions".to_owned(),
            Self::FirstResults => "Opened, new resources or newly in scope".to_owned(),
            Self::ExemptionEnded => "Exemption ended".to_owned(),
            Self::Exempted => "Exempt by the policy".to_owned(),
            Self::Resolved(closing) => format!("Resolved, {}", labels::closed_title(closing)),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct DigestSection<'a> {
    pub(super) title: String,
    pub(super) total: usize,
    pub(super) shown: Vec<&'a ViolationNotice>,
}

impl DigestSection<'_> {
    fn text(&self, names_region: bool, worst: Severity) -> String {
        let entries: String = self.shown.iter().map(|entry| item(&line(entry, names_region, worst))).collect();
        let more = and_more(self.total.saturating_sub(self.shown.len()), 4);
        format!("\n{} ({})\n{entries}{more}", self.title, self.total)
    }
}

impl ViolationDigest {
    fn number(&self, kind: UpdateKind) -> usize {
        self.entries.iter().filter(|entry| UpdateKind::of(&entry.update) == kind).count()
    }

    pub(super) fn severity(&self) -> Severity {
        self.entries.iter().map(ViolationNotice::severity_of_update).max().unwrap_or(Severity::Informational)
    }

    pub(super) fn regions(&self) -> BTreeSet<&RegionName> {
        self.entries.iter().map(|entry| &entry.key.region).collect()
    }

    /// Returns the parameters in force if they are known and equal for all updates.
    fn parameters(&self) -> Option<&BTreeMap<String, String>> {
        let (first, rest) = self.entries.split_first()?;
        let parameters = first.parameters.as_ref()?;
        rest.iter().all(|entry| entry.parameters.as_ref() == Some(parameters)).then_some(parameters)
    }

    pub(super) fn by_owner(&self) -> GroupedCounts<'_> {
        GroupedCounts::of(self.entries.iter().map(|entry| entry.owner.as_deref()))
    }

    pub(super) fn by_type(&self) -> GroupedCounts<'_> {
        GroupedCounts::of(self.entries.iter().map(|entry| Some(entry.key.resource_type.as_str())))
    }

    /// `412 opened, 3 resolved`.
    pub(super) fn counts(&self) -> String {
        let ended = if self.number(UpdateKind::ExemptionEnded) == 1 { "exemption ended" } else { "exemptions ended" };
        let labels = [
            (UpdateKind::Opened, "opened"),
            (UpdateKind::ExemptionEnded, ended),
            (UpdateKind::Exempted, "exempt"),
            (UpdateKind::Resolved, "resolved"),
        ];
        numbers(labels.map(|(kind, label)| (self.number(kind), label)))
    }

    pub(super) fn sections(&self) -> Vec<DigestSection<'_>> {
        let mut sections: BTreeMap<Title, DigestSection<'_>> = BTreeMap::new();
        for (entry, is_shown) in self.selected() {
            let title = Title::of(entry);
            let section = sections.entry(title).or_default();
            section.title = title.text();
            section.total = section.total.saturating_add(1);
            section.shown.extend(is_shown.then_some(entry));
        }
        sections.into_values().collect()
    }

    /// Returns all updates, the highest severity first, then the oldest, and whether each is shown: the first ones of each section,
    /// then the first ones of all.
    fn selected(&self) -> Vec<(&ViolationNotice, bool)> {
        /// Of each section. All sections together have no more than are shown.
        const FEW: usize = 2;
        let mut entries: Vec<&ViolationNotice> = self.entries.iter().collect();
        entries.sort_by(|a, b| {
            let rank = |entry: &ViolationNotice| {
                (UpdateKind::of(&entry.update), Reverse(entry.severity), entry.since.unwrap_or(entry.at))
            };
            rank(a).cmp(&rank(b)).then_with(|| a.key.cmp(&b.key)).then_with(|| a.recorded_at.cmp(&b.recorded_at))
        });
        let mut of_section: BTreeMap<Title, usize> = BTreeMap::new();
        let mut selected: Vec<(&ViolationNotice, bool)> = entries
            .into_iter()
            .map(|entry| {
                let number = of_section.entry(Title::of(entry)).or_default();
                *number = number.saturating_add(1);
                (entry, *number <= FEW)
            })
            .collect();
        let room = SHOWN.saturating_sub(selected.iter().filter(|(_, is_shown)| *is_shown).count());
        selected.iter_mut().filter(|(_, is_shown)| !is_shown).take(room).for_each(|(_, is_shown)| *is_shown = true);
        selected
    }

    fn earlier(&self) -> usize {
        let folded = self.entries.iter().map(|entry| usize::try_from(entry.earlier_transitions).unwrap_or(usize::MAX));
        folded.fold(0, usize::saturating_add)
    }

    pub(super) fn earlier_transitions(&self) -> Option<String> {
        labels::earlier_transitions(self.earlier())
    }

    pub(super) fn command(&self) -> String {
        let control = labels::option("control", &self.control);
        format!("backup-compliance violations --in-account {}{control}", self.account)
    }

    pub(super) fn links(&self) -> Vec<String> {
        const MAX_LINKS: usize = 3;
        let rules: BTreeMap<&RegionName, &str> =
            self.entries.iter().map(|entry| (&entry.key.region, entry.rule_name.as_str())).collect();
        rules.into_iter().filter_map(|(region, rule)| link::rule(region, rule)).take(MAX_LINKS).collect()
    }

    fn is_open(&self) -> bool {
        self.entries.iter().any(ViolationNotice::is_open)
    }

    pub(super) fn requirement(&self) -> Option<String> {
        requirement(&self.control, self.parameters()).map(|text| shown(&text, 500))
    }

    pub(super) fn advice(&self) -> Option<(&'static str, &'static str)> {
        let control = control::find(&self.control).filter(|_| self.is_open())?;
        Some((control.remediation, control.documentation))
    }
}

impl Render for ViolationDigest {
    /// The account is never cut. If the line is too long, first the account's name is omitted, then the parts of the total.
    fn subject(&self) -> String {
        let mark = if self.number(UpdateKind::Exempted) == self.entries.len() {
            "EXEMPT"
        } else if self.is_open() {
            self.severity().label()
        } else {
            "RESOLVED"
        };
        let (state, account) = (labels::broken_by_many(&self.control), &self.account);
        let space = if self.account_name.is_some() { " " } else { "" };
        let (counts, total) = (self.counts(), count(self.entries.len(), "change"));
        let whole = |name: &str| format!("[{mark}] {counts}: {state} ({account}{space}{name})");
        let without_name = |_: &str| format!("[{mark}] {counts}: {state} ({account})");
        let without_counts = |name: &str| format!("[{mark}] {total}: {state} ({account}{space}{name})");
        text::subject(
            labels::name_after_account(self.account_name.as_deref()).trim_start(),
            &[&whole, &without_name, &without_counts],
        )
    }

    fn text(&self) -> String {
        let (account, name) = (&self.account, labels::name_after_account(self.account_name.as_deref()));
        let summary =
            format!("{}: {} (account {account}{name}).", self.counts(), labels::broken_by_many(&self.control));
        let account = if name.is_empty() { account.to_string() } else { format!("{account} ({})", name.trim_start()) };
        let regions: Vec<&str> = self.regions().into_iter().map(RegionName::as_str).collect();
        let (several_regions, worst) = (regions.len() > 1, self.severity());
        let advice = self.advice().map(|(todo, page)| paragraph(todo, 2) + &paragraph(page, 2)).unwrap_or_default();
        let command = self.command().replace(" --control ", " \\\n    --control ");
        let links: String = self.links().iter().map(|link| paragraph(link, 2)).collect();
        [
            paragraph(&summary, 0),
            "\n".into(),
            field("Account", &account),
            field(if several_regions { "Regions" } else { "Region" }, &regions.join(", ")),
            field("Control", &shown(&self.control, MAX_NAME)),
            optional("Required", self.requirement()),
            field("Severity", worst.label()),
            field("By owner", &self.by_owner().text(labels::owner)),
            field("By type", &self.by_type().text(labels::resource_type)),
            optional("Before", self.earlier_transitions()),
            self.sections().iter().map(|section| section.text(several_regions, worst)).collect(),
            section("What to do", &advice),
            format!("\nTo list all open violations\n  {command}\n"),
            section("In the AWS console of the account", &links),
        ]
        .concat()
    }

    fn json(&self) -> Value {
        let entries = self.selected();
        let shown = entries.iter().filter(|(_, is_shown)| *is_shown).map(|(entry, _)| entry_json(entry));
        let opened_by = |found: OpenedBy| {
            let opened = self.entries.iter().filter(|entry| UpdateKind::of(&entry.update) == UpdateKind::Opened);
            opened.filter(|entry| entry.opened_by == found).count()
        };
        let closed = labels::tally(self.entries.iter().filter_map(|entry| labels::closed_reason(&entry.update)));
        let (owners, more_owners) = self.by_owner().json("owner", 128);
        let (types, more_types) = self.by_type().json("type", 120);
        json!({
            "reason": "changes",
            "account": self.account,
            "accountName": self.account_name.as_deref().map(|name| fit(name, 400)),
            "control": control_json(&self.control, self.parameters()),
            "regions": self.regions(),
            "counts": {
                "opened": self.number(UpdateKind::Opened),
                "resolved": self.number(UpdateKind::Resolved),
                "exempted": self.number(UpdateKind::Exempted),
                "exemptionEnded": self.number(UpdateKind::ExemptionEnded),
                "earlierTransitions": self.earlier(),
                "openedBy": {
                    "rollout": opened_by(OpenedBy::Rollout),
                    "regression": opened_by(OpenedBy::Regression),
                    "firstResult": opened_by(OpenedBy::FirstResult),
                },
                "closedReasons": closed,
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

fn line(entry: &ViolationNotice, names_region: bool, worst: Severity) -> String {
    let region = if names_region { format!(" ({})", entry.key.region) } else { String::new() };
    let owner = entry.owner.as_deref().map(|owner| format!(", owner {}", labels::owner(owner))).unwrap_or_default();
    let (kind, name) = (sentence(&shown(&entry.resource_kind(), 40)), quoted(&shown(&entry.name(), 80)));
    format!("{kind} {name}{region}{owner}, {}", facts(entry, worst))
}

/// Returns the facts about an update that follow its name. The severity is omitted if it equals that of the digest.
pub(super) fn facts(entry: &ViolationNotice, worst: Severity) -> String {
    let since = day(entry.since.unwrap_or(entry.at));
    let severity = if entry.severity == worst { String::new() } else { format!("{}, ", entry.severity.label()) };
    match &entry.update {
        Update::Resolved(_) => format!("open since {since}"),
        Update::Exempted(exempt) => format!("open since {since}, exempt until {}", exempt.until),
        Update::ExemptionEnded(exempt) => format!("{severity}since {since}, was exempt until {}", exempt.until),
        Update::Opened | Update::Refreshed => format!("{severity}since {since}"),
    }
}

fn entry_json(entry: &ViolationNotice) -> Value {
    let since = entry.since.unwrap_or(entry.at);
    json!({
        "kind": UpdateKind::of(&entry.update),
        "id": fit(&entry.key.to_string(), 600),
        "region": entry.key.region,
        "resource": {
            "type": fit(&entry.key.resource_type, 120),
            "id": fit(&entry.key.resource_id, 400),
            "name": fit(&entry.full_name(), 300),
            "arn": entry.resource.arn.as_deref().map(|arn| fit(arn, 400)),
        },
        "owner": entry.owner.as_deref().map(|owner| fit(owner, 128)),
        "severity": entry.severity.label(),
        "since": entry.since,
        "at": entry.at,
        "openedBy": entry.opened_by,
        "closedReason": labels::closed_reason(&entry.update),
        "days": entry.recorded_at.duration_since(since).as_secs().max(0) / 86_400,
    })
}
