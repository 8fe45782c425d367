//! What was read, and what was not and why.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use app::inventory::{Outcome, Reason, Trouble};
use console::Style;
use domain::ids::{AccountId, RegionName};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::plain::{count, number, shown};

/// The version of the JSON form. Fields are added without a new one.
const VERSION: u32 = 1;
/// Places of one reason that are named; the others are counted.
const NAMED: usize = 5;

/// A summary of a document.
#[derive(Debug)]
pub(super) struct Summary<'a> {
    as_of: Timestamp,
    output: Option<&'a Path>,
    role: Option<&'a str>,
    resources: BTreeMap<&'a str, u64>,
    /// In the order of the document.
    others: [(&'static str, &'static str, u64); 4],
    places: u64,
    /// Of which all was read.
    complete: u64,
    groups: Vec<Group<'a>>,
}

/// All that has one reason.
#[derive(Debug)]
struct Group<'a> {
    reason: Reason,
    why: &'a str,
    places: BTreeSet<&'a (AccountId, RegionName)>,
    what: BTreeSet<&'a str>,
}

impl<'a> Summary<'a> {
    pub(super) fn of(outcome: &'a Outcome, output: Option<&'a Path>, role: Option<&'a str>) -> Self {
        let document = &outcome.document;
        let mut resources: BTreeMap<&str, u64> = BTreeMap::new();
        for resource in &document.resources {
            let of_kind = resources.entry(resource.kind.as_str()).or_default();
            *of_kind = of_kind.saturating_add(1);
        }
        let others = [
            ("plans", "backup plan", number(document.plans.len())),
            ("vaults", "vault", number(document.vaults.len())),
            ("recoveryPoints", "recovery point", number(document.recovery_points.len())),
            ("restores", "restore", number(document.restores.len())),
        ];
        let troubled: BTreeSet<_> = outcome.troubles.iter().filter_map(|trouble| trouble.place.as_ref()).collect();
        let everywhere = outcome.troubles.iter().any(|trouble| trouble.place.is_none());
        let whole = |place: &&domain::inventory::document::Place| {
            !everywhere
                && !troubled.iter().any(|(account, region)| *account == place.account && *region == place.region)
        };
        Self {
            as_of: document.as_of,
            output,
            role,
            resources,
            others,
            places: number(document.places.len()),
            complete: number(document.places.iter().filter(whole).count()),
            groups: grouped(&outcome.troubles),
        }
    }

    pub(super) fn json(&self) -> Value {
        let groups = self.groups.iter().map(|group| {
            let places = group.places.iter().map(|(account, region)| json!({"account": account, "region": region}));
            json!({
                "reason": group.reason,
                "why": group.why,
                "what": group.what,
                "places": places.collect::<Vec<_>>(),
                "advice": self.advice(group.reason),
            })
        });
        let mut document = json!({
            "version": VERSION,
            "asOf": self.as_of,
            "output": self.output.map(|file| file.display().to_string()),
            "complete": self.groups.is_empty(),
            "places": {"asked": self.places, "complete": self.complete},
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
        let places = match self.places {
            1 => "1 account and Region".to_owned(),
            places => format!("{places} accounts and Regions"),
        };
        let _ = writeln!(page, "{} in {}, as of {:.0}", count(total, "resource"), places, self.as_of);
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
        let _ = writeln!(page, "\n{}", bold.apply_to("not read, and undecided where it matters:"));
        for group in &self.groups {
            let _ = writeln!(page, "  {}", self.head(group));
            let _ = writeln!(page, "    {}", shown(group.why));
            if let Some(named) = named(group) {
                let _ = writeln!(page, "    {named}");
            }
            if let Some(advice) = self.advice(group.reason) {
                let _ = writeln!(page, "    what to do: {advice}");
            }
        }
        page
    }

    fn head(&self, group: &Group<'_>) -> String {
        const MOST: usize = 3;
        if group.reason == Reason::NoRole {
            let accounts: BTreeSet<_> = group.places.iter().map(|(account, _)| account).collect();
            let role = self.role.unwrap_or_default();
            return format!("the role {role} cannot be used in {}", count(number(accounts.len()), "account"));
        }
        let what: Vec<String> = group.what.iter().take(MOST).map(|what| shown(what)).collect();
        match group.what.len().saturating_sub(MOST) {
            0 => what.join(", "),
            more => format!("{} and {more} more", what.join(", ")),
        }
    }

    fn advice(&self, reason: Reason) -> Option<String> {
        let role = self.role.unwrap_or(super::ROLE);
        Some(match reason {
            Reason::NoRole => format!(
                "deploy framework/prerequisites/inventory-role.yaml in the account, with the name {role}, this account and \
                 the principal that runs this command; the principal needs sts:AssumeRole on it"
            ),
            Reason::Denied => {
                "compare the role with framework/prerequisites/inventory-role.yaml, and look for a service control policy"
                    .to_owned()
            }
            Reason::RegionOff => "nothing, if the Region is not used; --in-region leaves it out".to_owned(),
            Reason::NotRecorded => {
                "let AWS Config record these types there (README, \"What must be there\")".to_owned()
            }
            Reason::Stale => "see the aggregator's source status in AWS Config: authorisation, or a recorder that is off".to_owned(),
            Reason::NotAsked => "run without --without-role".to_owned(),
            Reason::Unavailable => {
                "run the command again: later, with fewer --jobs, or with credentials that have not expired".to_owned()
            },
            Reason::Odd | Reason::Refused => return None,
        })
    }
}

fn grouped(troubles: &[Trouble]) -> Vec<Group<'_>> {
    let mut groups: BTreeMap<(Reason, &str), Group<'_>> = BTreeMap::new();
    for trouble in troubles {
        let group = groups.entry((trouble.reason, &trouble.why)).or_insert_with(|| Group {
            reason: trouble.reason,
            why: &trouble.why,
            places: BTreeSet::new(),
            what: BTreeSet::new(),
        });
        group.places.extend(&trouble.place);
        group.what.insert(&trouble.what);
    }
    groups.into_values().collect()
}

/// The first places of a group, each account once.
fn named(group: &Group<'_>) -> Option<String> {
    let mut accounts: BTreeMap<&AccountId, Vec<&str>> = BTreeMap::new();
    for (account, region) in group.places.iter().take(NAMED) {
        accounts.entry(account).or_default().push(region.as_str());
    }
    if accounts.is_empty() {
        return None;
    }
    let mut named: Vec<String> =
        accounts.iter().map(|(account, regions)| format!("{account} ({})", regions.join(", "))).collect();
    let more = group.places.len().saturating_sub(NAMED);
    if more > 0 {
        named.push(format!("and {more} more"));
    }
    Some(format!("in {}", named.join(", ")))
}
