//! Open violations on record, and what nobody can see.

use crate::ports::{InForce, PolicyDirectory, Result, SweepStore, ViolationStore};
use domain::control::Severity;
use domain::ids::{AccountId, RegionName};
use domain::notice::BlindSpot;
use domain::violation::{Exempt, Record, Status};
use futures_util::{StreamExt as _, stream};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Which open violations are asked for, and in which order. What is empty or `None` asks for all.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Accounts.
    pub accounts: BTreeSet<AccountId>,
    /// Regions.
    pub regions: BTreeSet<RegionName>,
    /// Controls, as on record; case does not count.
    pub controls: Vec<String>,
    /// The least severity.
    pub severity: Option<Severity>,
    /// Owners, as the owner tag has them; case does not count.
    pub owners: Vec<String>,
    /// The least age, in days of 24 hours.
    pub older_than: Option<u32>,
    /// What is to become of exempt ones.
    pub exemptions: Exemptions,
    /// The order.
    pub order: Order,
}

/// Which violations are listed: exempt ones or others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Exemptions {
    /// The others; exempt ones are counted.
    #[default]
    Exclude,
    /// Both.
    Include,
    /// Exempt ones.
    Only,
}

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The oldest.
    #[default]
    Age,
    /// By account, then the oldest.
    Account,
    /// By control, then the oldest.
    Control,
    /// The worst, then the oldest.
    Severity,
}

/// A violation that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenViolation {
    /// What is on record.
    pub record: Record,
    /// Since when it is open.
    pub since: Timestamp,
    /// For how many whole days.
    pub days: i64,
    /// The account's name.
    pub account_name: Option<String>,
    /// The value of the owner tag.
    pub owner: Option<String>,
}

impl OpenViolation {
    /// The exemption, while it holds. Between its last day and the next sweep it is still on record and holds no longer.
    #[must_use]
    pub fn exempt(&self, now: Timestamp) -> Option<&Exempt> {
        self.record.exempt.as_ref().filter(|exempt| exempt.until >= Offset::UTC.to_datetime(now).date())
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// When it was looked.
    pub at: Timestamp,
    /// The violations that were asked for.
    pub violations: Vec<OpenViolation>,
    /// Exempt ones that would have been among them, had they been asked for.
    pub exempt_left_out: usize,
    /// Places among those asked for that nobody can see.
    pub blind: Vec<BlindSpot>,
    /// Names of accounts.
    pub account_names: BTreeMap<AccountId, String>,
    /// Whether a framework is in force anywhere: without one there are no violations, and nothing is known.
    pub in_force: bool,
}

/// Lists open violations. `told` hears how many of how many accounts are done.
///
/// # Errors
/// When something cannot be read: half a list would look like a whole one.
pub async fn open_violations<S>(
    store: &S,
    query: &Query,
    now: Timestamp,
    mut told: impl FnMut(usize, usize),
) -> Result<Listing>
where
    S: ViolationStore + PolicyDirectory + SweepStore,
{
    let InForce { frameworks, reporting, accounts: account_names } = store.in_force().await?;
    let owner_tag = reporting.unwrap_or_default().owner_tag;
    let accounts =
        if query.accounts.is_empty() { ViolationStore::accounts(store).await? } else { query.accounts.clone() };
    let mut violations = Vec::new();
    let mut reads = stream::iter(&accounts).map(|account| store.open_in(account)).buffered(AT_ONCE);
    let mut done = 0;
    while let Some(records) = reads.next().await {
        let records = records?.into_iter().map(|stored| stored.value);
        violations.extend(records.filter(|record| record.status == Status::Open).map(|record| {
            let since = record.since.unwrap_or(record.ordering.triggered);
            OpenViolation {
                since,
                days: now.duration_since(since).as_secs().max(0) / SECONDS_OF_A_DAY,
                account_name: account_names.get(&record.key.account).cloned(),
                owner: owner(&record, &owner_tag),
                record,
            }
        }));
        done += 1;
        told(done, accounts.len());
    }
    violations.retain(|violation| query.asks_for(violation, now));
    let all = violations.len();
    violations.retain(|violation| match query.exemptions {
        Exemptions::Exclude => violation.exempt(now).is_none(),
        Exemptions::Include => true,
        Exemptions::Only => violation.exempt(now).is_some(),
    });
    let exempt_left_out =
        if query.exemptions == Exemptions::Exclude { all.saturating_sub(violations.len()) } else { 0 };
    query.order.sort(&mut violations);
    let mut blind = store.blind_spots().await?;
    blind.retain(|spot| asked(&query.accounts, &spot.account) && asked(&query.regions, &spot.region));
    blind.sort();
    Ok(Listing { at: now, violations, exempt_left_out, blind, account_names, in_force: !frameworks.is_empty() })
}

/// Accounts that are read at a time.
const AT_ONCE: usize = 8;
const SECONDS_OF_A_DAY: i64 = 24 * 60 * 60;

fn owner(record: &Record, tag: &str) -> Option<String> {
    record.resource.tags.get(tag).filter(|owner| !owner.trim().is_empty()).cloned()
}

fn asked<T: Ord>(asked: &BTreeSet<T>, value: &T) -> bool {
    asked.is_empty() || asked.contains(value)
}

impl Query {
    fn asks_for(&self, violation: &OpenViolation, now: Timestamp) -> bool {
        let key = &violation.record.key;
        let one_of = |words: &[String], word: Option<&str>| {
            words.is_empty()
                || word.is_some_and(|word| words.iter().any(|asked| asked.to_lowercase() == word.to_lowercase()))
        };
        let old_enough = self.older_than.is_none_or(|days| {
            now.duration_since(violation.since) >= SignedDuration::from_hours(i64::from(days).saturating_mul(24))
        });
        asked(&self.accounts, &key.account)
            && asked(&self.regions, &key.region)
            && one_of(&self.controls, Some(&key.control))
            && one_of(&self.owners, violation.owner.as_deref())
            && self.severity.is_none_or(|least| violation.record.severity >= least)
            && old_enough
    }
}

impl Order {
    fn sort(self, violations: &mut [OpenViolation]) {
        violations.sort_by(|a, b| {
            let by_age = (a.since, &a.record.key).cmp(&(b.since, &b.record.key));
            match self {
                Self::Age => by_age,
                Self::Account => a.record.key.account.cmp(&b.record.key.account).then(by_age),
                Self::Control => a.record.key.control.cmp(&b.record.key.control).then(by_age),
                Self::Severity => Reverse(a.record.severity).cmp(&Reverse(b.record.severity)).then(by_age),
            }
        });
    }
}
