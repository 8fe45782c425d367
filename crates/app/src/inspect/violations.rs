//! Lists open violations and blind spots.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, stream};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use domain::notice::BlindSpot;
use domain::violation::{AppliedExemption, ViolationRecord, ViolationStatus};
use framework::control::Severity;
use framework::ids::{AccountId, RegionName};

use crate::in_force::{InForce, PolicyDirectory};
use crate::ports::Result;
use crate::sweep::ports::SweepStore;
use crate::violations::ViolationStore;

/// Filters and order of open violations. Empty or `None` selects all.
#[derive(Debug, Clone, Default)]
pub struct ViolationQuery {
    /// Account ids.
    pub accounts: BTreeSet<AccountId>,
    /// Region names.
    pub regions: BTreeSet<RegionName>,
    /// Controls, case-insensitive.
    pub controls: Vec<String>,
    /// The minimum severity.
    pub severity: Option<Severity>,
    /// Values of the owner tag, case-insensitive.
    pub owners: Vec<String>,
    /// The minimum age in days of 24 hours.
    pub older_than: Option<u32>,
    /// Whether exempt violations are selected.
    pub exemptions: Exemptions,
    /// The sort order.
    pub order: ViolationOrder,
}

/// Filter by exemption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Exemptions {
    /// Violations that are not exempt. Exempt ones are only counted.
    #[default]
    Exclude,
    /// All violations.
    Include,
    /// Exempt violations.
    Only,
}

/// Sort order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ViolationOrder {
    /// Oldest first.
    #[default]
    Age,
    /// By account, then oldest first.
    Account,
    /// By control, then oldest first.
    Control,
    /// Highest severity first, then oldest first.
    Severity,
}

/// An open violation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedViolation {
    /// The record.
    pub record: ViolationRecord,
    /// The time of opening.
    pub since: Timestamp,
    /// The age in whole days.
    pub days: i64,
    /// The account's name.
    pub account_name: Option<String>,
    /// The value of the owner tag.
    pub owner: Option<String>,
}

impl ListedViolation {
    /// Returns the exemption if it is valid at `now`. An expired exemption stays in the record until the next sweep.
    pub fn exempt(&self, now: Timestamp) -> Option<&AppliedExemption> {
        self.record.exemption.as_ref().filter(|exempt| exempt.until >= Offset::UTC.to_datetime(now).date())
    }
}

/// The result of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViolationList {
    /// The time of the query.
    pub at: Timestamp,
    /// The selected violations.
    pub violations: Vec<ListedViolation>,
    /// Number of violations excluded only because they are exempt.
    pub excluded_exempt: usize,
    /// Blind spots in the selected accounts and Regions.
    pub blind: Vec<BlindSpot>,
    /// Names of accounts.
    pub account_names: BTreeMap<AccountId, String>,
    /// Whether any framework is in force. Without one an empty list does not mean compliance.
    pub in_force: bool,
}

/// Lists open violations. `on_progress` gets the numbers of completed accounts and of all accounts.
pub async fn open_violations(
    store: &(impl ViolationStore + PolicyDirectory + SweepStore),
    query: &ViolationQuery,
    now: Timestamp,
    mut on_progress: impl FnMut(usize, usize),
) -> Result<ViolationList> {
    let InForce { frameworks, reporting, accounts: account_names } = store.in_force().await?;
    let owner_tag = reporting.unwrap_or_default().owner_tag;
    let accounts =
        if query.accounts.is_empty() { ViolationStore::accounts(store).await? } else { query.accounts.clone() };
    let mut violations = Vec::new();
    let mut reads = stream::iter(&accounts).map(|account| store.open_in(account)).buffered(PARALLEL_ACCOUNTS);
    let mut done = 0;
    while let Some(records) = reads.next().await {
        let records = records?.into_iter().map(|stored| stored.value);
        violations.extend(records.filter(|record| record.status == ViolationStatus::Open).map(|record| {
            let since = record.since.unwrap_or(record.ordering.triggered);
            ListedViolation {
                since,
                days: now.duration_since(since).as_secs().max(0) / SECONDS_OF_A_DAY,
                account_name: account_names.get(&record.key.account).cloned(),
                owner: record.resource.tags.get(&owner_tag).filter(|owner| !owner.trim().is_empty()).cloned(),
                record,
            }
        }));
        done += 1;
        on_progress(done, accounts.len());
    }
    violations.retain(|violation| query.selects(violation, now));
    let all = violations.len();
    violations.retain(|violation| match query.exemptions {
        Exemptions::Exclude => violation.exempt(now).is_none(),
        Exemptions::Include => true,
        Exemptions::Only => violation.exempt(now).is_some(),
    });
    let excluded_exempt = if query.exemptions == Exemptions::Exclude { all - violations.len() } else { 0 };
    query.order.sort(&mut violations);
    let mut blind = store.blind_spots().await?;
    blind.retain(|spot| is_selected(&query.accounts, &spot.account) && is_selected(&query.regions, &spot.region));
    blind.sort();
    let in_force = !frameworks.is_empty();
    Ok(ViolationList { at: now, violations, excluded_exempt, blind, account_names, in_force })
}

const PARALLEL_ACCOUNTS: usize = 8;
const SECONDS_OF_A_DAY: i64 = 24 * 60 * 60;

fn is_selected<T: Ord>(selection: &BTreeSet<T>, value: &T) -> bool {
    selection.is_empty() || selection.contains(value)
}

impl ViolationQuery {
    fn selects(&self, violation: &ListedViolation, now: Timestamp) -> bool {
        let key = &violation.record.key;
        let one_of = |words: &[String], word: Option<&str>| {
            words.is_empty()
                || word.is_some_and(|word| words.iter().any(|selected| selected.to_lowercase() == word.to_lowercase()))
        };
        let is_old_enough = self.older_than.is_none_or(|days| {
            now.duration_since(violation.since) >= SignedDuration::from_hours(i64::from(days).saturating_mul(24))
        });
        is_selected(&self.accounts, &key.account)
            && is_selected(&self.regions, &key.region)
            && one_of(&self.controls, Some(&key.control))
            && one_of(&self.owners, violation.owner.as_deref())
            && self.severity.is_none_or(|minimum| violation.record.severity >= minimum)
            && is_old_enough
    }
}

impl ViolationOrder {
    fn sort(self, violations: &mut [ListedViolation]) {
        violations.sort_by(|a, b| {
            let first = match self {
                Self::Age => Ordering::Equal,
                Self::Account => a.record.key.account.cmp(&b.record.key.account),
                Self::Control => a.record.key.control.cmp(&b.record.key.control),
                Self::Severity => b.record.severity.cmp(&a.record.severity),
            };
            first.then_with(|| (a.since, &a.record.key).cmp(&(b.since, &b.record.key)))
        });
    }
}
