//! Weekly reminders of open violations.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::iter;
use futures_util::{StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};

use domain::notice::{Notice, Reminder, ReminderEntry};
use domain::violation::ViolationRecord;

use super::Round;
use crate::in_force::PolicyContext;
use crate::ports::Result;
use crate::sweep::ports::{ReminderWeek, SweepEnv, SweepStore};
use crate::violations::ViolationStore;

const PARALLEL_READS: usize = 16;
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Violations by owner; `None` for resources without an owner.
type ByOwner = BTreeMap<Option<String>, Vec<ReminderEntry>>;

impl<E: SweepEnv> Round<'_, E> {
    /// Sends each owner one reminder a week, and one for all resources without an owner. The first week begins with the first sweep.
    /// The week is stored with the owners whose reminder the topic rejected: later sweeps of the week retry only those.
    pub(super) async fn remind(&mut self) -> Result<()> {
        let (store, now) = (&self.sweep.store, self.context.now);
        let Some(known) = store.reminders().await? else {
            return store.put_reminders(&ReminderWeek { week: now, missing: BTreeSet::new() }).await;
        };
        let week = week(known.week, now);
        if week <= known.week && known.missing.is_empty() {
            return Ok(());
        }
        let mut open = self.open_by_owner().await?;
        if week <= known.week {
            open.retain(|owner, _| known.missing.contains(owner));
        }
        let counts: Vec<(Option<String>, usize)> =
            open.iter().map(|(owner, violations)| (owner.clone(), violations.len())).collect();
        let reminders = open.into_iter().map(|(owner, violations)| {
            let ages = self.context.reporting.reminders.clone();
            Notice::ViolationReminder(Reminder { owner, ages, at: now, violations })
        });
        let reminders = Vec::from_iter(reminders);
        let accepted = self.publish(&reminders).await;
        let mut missing = BTreeSet::new();
        for ((owner, count), is_accepted) in counts.into_iter().zip(accepted) {
            if is_accepted {
                self.summary.reminded += count;
            } else {
                missing.insert(owner);
            }
        }
        store.put_reminders(&ReminderWeek { week: week.max(known.week), missing }).await
    }

    /// Returns the open violations that are not exempt and have reached the first reminder age.
    async fn open_by_owner(&self) -> Result<ByOwner> {
        let PolicyContext { reporting, now, .. } = self.context;
        let store = &self.sweep.store;
        let mut open = ByOwner::new();
        let Some(age) = reporting.reminders.first() else { return Ok(open) };
        let age = SignedDuration::from_hours(24_i64.saturating_mul(i64::from(*age)));
        let until = now.checked_sub(age).unwrap_or(Timestamp::MIN);
        let accounts = ViolationStore::accounts(store).await?;
        let mut records =
            iter(accounts).map(|account| async move { store.open_in(&account).await }).buffered(PARALLEL_READS);
        while let Some(records) = records.try_next().await? {
            for record in records {
                let ViolationRecord { key, exemption: None, since: Some(since), severity, resource, .. } = record.value
                else {
                    continue;
                };
                if since <= until {
                    let owner = resource.tags.get(&reporting.owner_tag).filter(|owner| !owner.trim().is_empty());
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
