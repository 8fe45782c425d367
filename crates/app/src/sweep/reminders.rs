//! Weekly reminders of what stays open.

use super::{Round, Sweep, Swept};
use crate::ports::{
    BackupPlans, Clock, ComplianceSource, Organization, Outlets, PolicyDirectory, Reminders, ResourceDirectory, Result,
    SweepStore, ViolationStore,
};
use crate::telling::AT_ONCE;
use domain::notice::{Notice, OpenViolation, Reminder};
use domain::violation::Record;
use futures_util::stream::iter;
use futures_util::{StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Violations by owner; `None` for those without one.
type ByOwner = BTreeMap<Option<String>, Vec<OpenViolation>>;

impl<S, O, D, R, X, G, C> Sweep<S, O, D, R, X, G, C>
where
    S: ViolationStore + SweepStore,
    O: Outlets,
    D: PolicyDirectory,
    R: ResourceDirectory + BackupPlans,
    X: ComplianceSource,
    G: Organization,
    C: Clock,
{
    /// Sends each owner one reminder a week, and one for all resources without an owner. The first week begins with the first sweep.
    /// The week is stored with the owners whose reminder the topic rejected; the later sweeps of a week send only those.
    pub(super) async fn remind(&self, round: &Round<'_>, swept: &mut Swept) -> Result<()> {
        let known = self.store.reminders().await?;
        let Some(known) = known else {
            return self.store.put_reminders(&Reminders { week: round.now, missing: BTreeSet::new() }).await;
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
        let told = self.tell_people(&notices, swept).await;
        let mut missing = BTreeSet::new();
        for ((owner, notice), told) in owners.into_iter().zip(&notices).zip(told) {
            match notice {
                Notice::ViolationReminder(reminder) if told => {
                    swept.reminded = swept.reminded.saturating_add(reminder.violations.len());
                }
                _ => drop(missing.insert(owner)),
            }
        }
        self.store.put_reminders(&Reminders { week: week.max(known.week), missing }).await
    }

    /// Returns the open violations that have reached the smallest age and are not exempt.
    async fn open_by_owner(&self, round: &Round<'_>) -> Result<ByOwner> {
        let mut open = ByOwner::new();
        let Some(age) = round.reporting.reminders.first() else { return Ok(open) };
        let age = SignedDuration::from_hours(24_i64.saturating_mul(i64::from(*age)));
        let until = round.now.checked_sub(age).unwrap_or(Timestamp::MIN);
        let accounts = ViolationStore::accounts(&self.store).await?;
        let mut records =
            iter(accounts).map(|account| async move { self.store.open_in(&account).await }).buffered(AT_ONCE);
        while let Some(records) = records.try_next().await? {
            for record in records {
                let Record { key, exempt: None, since: Some(since), severity, resource, .. } = record.value else {
                    continue;
                };
                if since <= until {
                    let owner = resource.tags.get(&round.reporting.owner_tag).filter(|owner| !owner.trim().is_empty());
                    let violation = OpenViolation { key, name: resource.name.clone(), severity, since };
                    open.entry(owner.cloned()).or_default().push(violation);
                }
            }
        }
        Ok(open)
    }
}

/// The begin of the week that `now` is in, when weeks are counted from `first`.
fn week(first: Timestamp, now: Timestamp) -> Timestamp {
    let weeks = now.duration_since(first).as_secs().max(0) / WEEK.as_secs();
    first.checked_add(SignedDuration::from_secs(weeks.saturating_mul(WEEK.as_secs()))).unwrap_or(first)
}
