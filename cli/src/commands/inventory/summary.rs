//! Summary of a read: counts, failures and advice.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use console::Style;
use jiff::Timestamp;
use serde_json::{Value, json};

use app::inventory::{InventoryOutcome, ReadFailure, ReadFailureReason};
use framework::ids::{AccountId, RegionName};

use crate::plain::{count, escaped, to_u64};

/// The version of the JSON format. New fields do not change it.
const VERSION: u32 = 1;
/// The maximum of locations named for each failure.
const NAMED: usize = 5;

#[derive(Debug)]
pub(super) struct InventorySummary<'a> {
    as_of: Timestamp,
    output: Option<&'a Path>,
    role: Option<&'a str>,
    resources: BTreeMap<&'a str, u64>,
    /// In the order of the document.
    others: [(&'static str, &'static str, u64); 4],
    locations: u64,
    /// Locations without failures.
    complete: u64,
    groups: Vec<UnreadGroup<'a>>,
}

/// Failures with one reason.
#[derive(Debug)]
struct UnreadGroup<'a> {
    reason: ReadFailureReason,
    message: &'a str,
    locations: BTreeSet<&'a (AccountId, RegionName)>,
    subject: BTreeSet<&'a str>,
}

impl<'a> InventorySummary<'a> {
    pub(super) fn of(outcome: &'a InventoryOutcome, output: Option<&'a Path>, role: Option<&'a str>) -> Self {
        let document = &outcome.document;
        let mut resources: BTreeMap<&str, u64> = BTreeMap::new();
        for resource in &document.resources {
            let of_kind = resources.entry(resource.kind.as_str()).or_default();
            *of_kind = of_kind.saturating_add(1);
        }
        let others = [
            ("plans", "backup plan", to_u64(document.plans.len())),
            ("vaults", "vault", to_u64(document.vaults.len())),
            ("recoveryPoints", "recovery point", to_u64(document.recovery_points.len())),
            ("restores", "restore", to_u64(document.restores.len())),
        ];
        let troubled: BTreeSet<_> = outcome.failures.iter().filter_map(|failure| failure.location.as_ref()).collect();
        let everywhere = outcome.failures.iter().any(|failure| failure.location.is_none());
        let whole = |location: &&evaluation::inventory::document::LocationRecord| {
            !everywhere
                && !troubled.iter().any(|(account, region)| *account == location.account && *region == location.region)
        };
        Self {
            as_of: document.as_of,
            output,
            role,
            resources,
            others,
            locations: to_u64(document.locations.len()),
            complete: to_u64(document.locations.iter().filter(whole).count()),
            groups: grouped(&outcome.failures),
        }
    }

    pub(super) fn json(&self) -> Value {
        let groups = self.groups.iter().map(|group| {
            let locations =
                group.locations.iter().map(|(account, region)| json!({"account": account, "region": region}));
            json!({
                "reason": group.reason,
                "message": group.message,
                "subjects": group.subject,
                "locations": locations.collect::<Vec<_>>(),
                "fix": self.advice(group.reason),
            })
        });
        let mut document = json!({
            "version": VERSION,
            "asOf": self.as_of,
            "output": self.output.map(|file| file.display().to_string()),
            "complete": self.groups.is_empty(),
            "locations": {"asked": self.locations, "complete": self.complete},
            "resources": self.resources,
            "unread": groups.collect::<Vec<_>>(),
        });
        if let Some(fields) = document.as_object_mut() {
            fields.extend(self.others.iter().map(|(key, _, count)| ((*key).to_owned(), (*count).into())));
        }
        document
    }

    pub(super) fn page(&self) -> String {
        let mut page = String::new();
        let total: u64 = self.resources.values().sum();
        let locations = match self.locations {
            1 => "1 account and Region".to_owned(),
            locations => format!("{locations} accounts and Regions"),
        };
        let _ = writeln!(page, "{} in {}, as of {:.0}", count(total, "resource"), locations, self.as_of);
        let width = self.resources.keys().map(|kind| kind.len()).max().unwrap_or(0);
        for (kind, of) in &self.resources {
            let _ = writeln!(page, "  {kind:width$}  {of}");
        }
        let others: Vec<String> = self.others.iter().map(|(_, noun, of)| count(*of, noun)).collect();
        let _ = writeln!(page, "  {}", others.join(", "));
        if let Some(file) = self.output {
            let _ = writeln!(page, "written to {}", file.display());
        }
        if self.groups.is_empty() {
            return page;
        }
        let bold = Style::new().for_stderr().bold();
        let _ = writeln!(page, "\n{}", bold.apply_to("not read; results that depend on it are undecided:"));
        for group in &self.groups {
            let _ = writeln!(page, "  {}", self.head(group));
            let _ = writeln!(page, "    {}", escaped(group.message));
            if let Some(named) = named(group) {
                let _ = writeln!(page, "    {named}");
            }
            if let Some(advice) = self.advice(group.reason) {
                let _ = writeln!(page, "    fix: {advice}");
            }
        }
        page
    }

    fn head(&self, group: &UnreadGroup<'_>) -> String {
        const MOST: usize = 3;
        if group.reason == ReadFailureReason::NoRole {
            let accounts: BTreeSet<_> = group.locations.iter().map(|(account, _)| account).collect();
            let role = self.role.unwrap_or_default();
            return format!("the role {role} cannot be assumed in {}", count(to_u64(accounts.len()), "account"));
        }
        let subject: Vec<String> = group.subject.iter().take(MOST).map(|subject| escaped(subject)).collect();
        match group.subject.len().saturating_sub(MOST) {
            0 => subject.join(", "),
            more => format!("{} and {more} more", subject.join(", ")),
        }
    }

    fn advice(&self, reason: ReadFailureReason) -> Option<String> {
        let role = self.role.unwrap_or(super::ROLE);
        Some(match reason {
            ReadFailureReason::NoRole => format!(
                "deploy framework/prerequisites/inventory-role.yaml in the account, with the name {role}, this account and \
                 the principal that runs this command; the principal needs sts:AssumeRole on it"
            ),
            ReadFailureReason::Denied => {
                "compare the role with framework/prerequisites/inventory-role.yaml, and look for a service control policy"
                    .to_owned()
            }
            ReadFailureReason::RegionDisabled => "none needed if the Region is not used; exclude it with --in-region".to_owned(),
            ReadFailureReason::NotRecorded => {
                "record these types in AWS Config (README, \"What must be there\")".to_owned()
            }
            ReadFailureReason::Stale => "see the aggregator's source status in AWS Config: authorization, or a stopped recorder".to_owned(),
            ReadFailureReason::AggregatorOnly => "run without --aggregator-only".to_owned(),
            ReadFailureReason::Unavailable => {
                "run the command again: later, with fewer --jobs, or with credentials that have not expired".to_owned()
            },
            ReadFailureReason::Invalid | ReadFailureReason::Rejected => return None,
        })
    }
}

fn grouped(failures: &[ReadFailure]) -> Vec<UnreadGroup<'_>> {
    let mut groups: BTreeMap<(ReadFailureReason, &str), UnreadGroup<'_>> = BTreeMap::new();
    for failure in failures {
        let group = groups.entry((failure.reason, &failure.message)).or_insert_with(|| UnreadGroup {
            reason: failure.reason,
            message: &failure.message,
            locations: BTreeSet::new(),
            subject: BTreeSet::new(),
        });
        group.locations.extend(&failure.location);
        group.subject.insert(&failure.subject);
    }
    groups.into_values().collect()
}

/// Returns the first locations of a group, each account once.
fn named(group: &UnreadGroup<'_>) -> Option<String> {
    let mut accounts: BTreeMap<&AccountId, Vec<&str>> = BTreeMap::new();
    for (account, region) in group.locations.iter().take(NAMED) {
        accounts.entry(account).or_default().push(region.as_str());
    }
    if accounts.is_empty() {
        return None;
    }
    let mut named: Vec<String> =
        accounts.iter().map(|(account, regions)| format!("{account} ({})", regions.join(", "))).collect();
    let more = group.locations.len().saturating_sub(NAMED);
    if more > 0 {
        named.push(format!("and {more} more"));
    }
    Some(format!("in {}", named.join(", ")))
}
