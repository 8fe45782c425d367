//! Summary of a read: counts, failures and advice.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use console::Style;
use serde_json::{Value, json};

use app::inventory::{InventoryOutcome, ReadFailure, ReadFailureReason};
use evaluation::inventory::document::{Document, LocationRecord};
use framework::ids::{AccountId, RegionName};

use crate::plain::{count, escaped};

const NAMED: usize = 5;

#[derive(Debug)]
pub(super) struct InventorySummary<'a> {
    document: &'a Document,
    output: Option<&'a Path>,
    role: Option<&'a str>,
    resources: BTreeMap<&'a str, u64>,
    /// Locations without failures.
    complete: usize,
    groups: BTreeMap<(ReadFailureReason, &'a str), UnreadGroup<'a>>,
}

/// Failures with one reason and message.
#[derive(Debug, Default)]
struct UnreadGroup<'a> {
    locations: BTreeSet<&'a (AccountId, RegionName)>,
    subjects: BTreeSet<&'a str>,
}

impl<'a> InventorySummary<'a> {
    pub(super) fn of(outcome: &'a InventoryOutcome, output: Option<&'a Path>, role: Option<&'a str>) -> Self {
        let InventoryOutcome { document, failures } = outcome;
        let mut resources: BTreeMap<&str, u64> = BTreeMap::new();
        for resource in &document.resources {
            let of_kind = resources.entry(resource.kind.as_str()).or_default();
            *of_kind = of_kind.saturating_add(1);
        }
        let troubled =
            failures.iter().map(|failure| failure.location.as_ref().map(|(account, region)| (account, region)));
        let troubled: BTreeSet<_> = troubled.collect();
        let is_complete = |location: &&LocationRecord| {
            !troubled.contains(&None) && !troubled.contains(&Some((&location.account, &location.region)))
        };
        let complete = document.locations.iter().filter(is_complete).count();
        let mut groups: BTreeMap<_, UnreadGroup<'_>> = BTreeMap::new();
        for ReadFailure { location, subject, reason, message } in failures {
            let group = groups.entry((*reason, message.as_str())).or_default();
            group.locations.extend(location);
            group.subjects.insert(subject);
        }
        Self { document, output, role, resources, complete, groups }
    }

    pub(super) fn json(&self) -> Value {
        let groups = self.groups.iter().map(|((reason, message), group)| {
            let locations =
                group.locations.iter().map(|(account, region)| json!({"account": account, "region": region}));
            json!({
                "reason": reason,
                "message": message,
                "subjects": group.subjects,
                "locations": locations.collect::<Vec<_>>(),
                "fix": self.advice(*reason),
            })
        });
        json!({
            "version": 1,
            "asOf": self.document.as_of,
            "output": self.output.map(|file| file.display().to_string()),
            "complete": self.groups.is_empty(),
            "locations": {"asked": self.document.locations.len(), "complete": self.complete},
            "resources": self.resources,
            "plans": self.document.plans.len(),
            "vaults": self.document.vaults.len(),
            "recoveryPoints": self.document.recovery_points.len(),
            "restores": restored(self.document),
            "unread": groups.collect::<Vec<_>>(),
        })
    }

    pub(super) fn page(&self) -> String {
        let mut page = String::new();
        let Document { as_of, resources, plans, vaults, recovery_points, locations, .. } = self.document;
        let locations = match locations.len() {
            1 => "1 account and Region".to_owned(),
            locations => format!("{locations} accounts and Regions"),
        };
        let _ = writeln!(page, "{} in {locations}, as of {as_of:.0}", count(resources.len(), "resource"));
        let width = self.resources.keys().map(|kind| kind.len()).max().unwrap_or(0);
        for (kind, of) in &self.resources {
            let _ = writeln!(page, "  {kind:width$}  {of}");
        }
        let others = [
            count(plans.len(), "backup plan"),
            count(vaults.len(), "vault"),
            count(recovery_points.len(), "recovery point"),
            count(restored(self.document), "resource with a restore time"),
        ];
        let _ = writeln!(page, "  {}", others.join(", "));
        if let Some(file) = self.output {
            let _ = writeln!(page, "written to {}", file.display());
        }
        if self.groups.is_empty() {
            return page;
        }
        let bold = Style::new().for_stderr().bold();
        let _ = writeln!(page, "\n{}", bold.apply_to("not read; results that depend on it are undecided:"));
        for ((reason, message), group) in &self.groups {
            let _ = writeln!(page, "  {}", self.head(*reason, group));
            let _ = writeln!(page, "    {}", escaped(message));
            if let Some(named) = named(group) {
                let _ = writeln!(page, "    {named}");
            }
            if let Some(advice) = self.advice(*reason) {
                let _ = writeln!(page, "    fix: {advice}");
            }
        }
        page
    }

    fn head(&self, reason: ReadFailureReason, group: &UnreadGroup<'_>) -> String {
        const MOST: usize = 3;
        if reason == ReadFailureReason::NoRole {
            let accounts: BTreeSet<_> = group.locations.iter().map(|(account, _)| account).collect();
            let role = self.role.unwrap_or_default();
            return format!("the role {role} cannot be assumed in {}", count(accounts.len(), "account"));
        }
        let subjects: Vec<String> = group.subjects.iter().take(MOST).map(|subject| escaped(subject)).collect();
        match group.subjects.len().saturating_sub(MOST) {
            0 => subjects.join(", "),
            more => format!("{} and {more} more", subjects.join(", ")),
        }
    }

    fn advice(&self, reason: ReadFailureReason) -> Option<String> {
        let advice = match reason {
            ReadFailureReason::NoRole => {
                let role = self.role.unwrap_or(super::ROLE);
                return Some(format!(
                    "deploy framework/prerequisites/inventory-role.yaml in the account, with the name {role}, this account and \
                     the principal that runs this command; the principal needs sts:AssumeRole on it"
                ));
            }
            ReadFailureReason::Denied => {
                "compare the role with framework/prerequisites/inventory-role.yaml, and look for a service control policy"
            }
            ReadFailureReason::RegionDisabled => "none needed if the Region is not used; exclude it with --in-region",
            ReadFailureReason::NotRecorded => "record these types in AWS Config (README, \"What must be there\")",
            ReadFailureReason::Stale => {
                "see the aggregator's source status in AWS Config: authorization, or a stopped recorder"
            }
            ReadFailureReason::AggregatorOnly => "run without --aggregator-only",
            ReadFailureReason::Unavailable => {
                "run the command again: later, with fewer --jobs, or with credentials that have not expired"
            }
            ReadFailureReason::Invalid | ReadFailureReason::Rejected => return None,
        };
        Some(advice.to_owned())
    }
}

fn named(group: &UnreadGroup<'_>) -> Option<String> {
    let mut accounts: BTreeMap<&AccountId, Vec<&str>> = BTreeMap::new();
    for (account, region) in group.locations.iter().take(NAMED) {
        accounts.entry(account).or_default().push(region.as_str());
    }
    let named = accounts.iter().map(|(account, regions)| format!("{account} ({})", regions.join(", ")));
    let more = group.locations.len().saturating_sub(NAMED);
    let named: Vec<String> = named.chain((more > 0).then(|| format!("and {more} more"))).collect();
    (!named.is_empty()).then(|| format!("in {}", named.join(", ")))
}

/// Counts the resources whose latest restore has a duration.
fn restored(document: &Document) -> usize {
    document.resources.iter().filter(|resource| resource.latest_restore_minutes.is_some()).count()
}
