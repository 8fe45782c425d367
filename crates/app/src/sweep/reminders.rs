//! Weekly reminders of open violations.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::iter;
use futures_util::{StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};

use domain::notice::{Notice, Reminder, ReminderEntry};
use domain::violation::ViolationRecord;

use super::{Round, Sweep, SweepSummary};
use crate::ports::Result;
use crate::sweep::ports::{ReminderWeek, SweepEnv, SweepStore};
use crate::violations::ViolationStore;

/// Accounts whose records are read in parallel.
const PARALLEL_READS: usize = 16;
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Violations by owner; `None` for resources without an owner.
type ByOwner = BTreeMap<Option<String>, Vec<ReminderEntry>>;

impl<E: SweepEnv> Sweep<E> {
    /// Sends each owner one reminder a week, and one for all resources without an owner. The first week begins with the first sweep.
    /// The week is stored with the owners whose reminder the topic rejected: later sweeps of the week retry only those.
    pub(super) async fn remind(&self, round: &Round<'_>, swept: &mut SweepSummary) -> Result<()> {
        let known = self.store.reminders().await?;
        let Some(known) = known else {
            return self.store.put_reminders(&ReminderWeek { week: round.now, missing: BTreeSet::new() }).await;
        };
        let week = week(known.week, round.now);
        if week <= known.week && known.missing.is_empty() {
            return Ok(());
        }
        let mut open = self.open_by_owner(round).await?;
        if week <= known.week {
            open.retain(|owner, _| known.missing.contains(owner));
        }
        let (owners, notices): (Vec<Option<String>>, Vec<Notice>) = open
            .into_iter()
            .map(|(owner, violations)| {
                let ages = round.reporting.reminders.clone();
                let reminder = Reminder { owner: owner.clone(), ages, at: round.now, violations };
                (owner, Notice::ViolationReminder(reminder))
            })
            .unzip();
        let accepted = self.publish(&notices, swept).await;
        let mut missing = BTreeSet::new();
        for ((owner, notice), is_accepted) in owners.into_iter().zip(&notices).zip(accepted) {
            match notice {
                Notice::ViolationReminder(reminder) if is_accepted => {
                    swept.reminded = swept.reminded.saturating_add(reminder.violations.len());
                }
                _ => drop(missing.insert(owner)),
            }
        }
        self.store.put_reminders(&ReminderWeek { week: week.max(known.week), missing }).await
    }

    /// Returns the open violations that are not exempt and have reached the first reminder age.
    async fn open_by_owner(&self, round: &Round<'_>) -> Result<ByOwner> {
        let mut open = ByOwner::new();
        let Some(age) = round.reporting.reminders.first() else { return Ok(open) };
        let age = SignedDuration::from_hours(24_i64.saturating_mul(i64::from(*age)));
        let until = round.now.checked_sub(age).unwrap_or(Timestamp::MIN);
        let accounts = ViolationStore::accounts(&self.store).await?;
        let mut records =
            iter(accounts).map(|account| async move { self.store.open_in(&account).await }).buffered(PARALLEL_READS);
        while let Some(records) = records.try_next().await? {
            for record in records {
                let ViolationRecord { key, exemption: None, since: Some(since), severity, resource, .. } = record.value
                else {
                    continue;
                };
                if since <= until {
                    let owner = resource.tags.get(&round.reporting.owner_tag).filter(|owner| !owner.trim().is_empty());
                    let violation = ReminderEntry { key, name: resource.name.clone(), severity, since };
                    open.entry(owner.cloned()).or_default().push(violation);
                }
            }
        }
        Ok(open)
    }
}

/// Returns the start of the week of `now`, with weeks counted from `first`.
fn week(first: Timestamp, now: Timestamp) -> Timestamp {
    let weeks = now.duration_since(first).as_secs().max(0) / WEEK.as_secs();
    first.checked_add(SignedDuration::from_secs(weeks.saturating_mul(WEEK.as_secs()))).unwrap_or(first)
}
