//! `sweep`: compares the records with AWS Config's own state, and sees to what is overdue.
//!
//! Events of AWS Config are best effort and never repeated, so the sweep opens what was never heard of, closes what is gone, and
//! tells what was recorded and never told. It goes account by account, ends before its time is up, and goes on from there. What
//! it cannot see it reports as a blind spot, never as compliant.

mod account;
mod compare;
mod expiring;
mod reminders;

use crate::ports::{
    BackupPlans, Clock, ComplianceSource, InForce, Organization, Outlets, PolicyDirectory, PortErrorKind, Progress,
    ResourceDirectory, Result, SweepStore, Versioned, ViolationStore,
};
use crate::telling::{Tally, Telling, Touched};
use domain::ids::AccountId;
use domain::notice::{BlindCause, BlindReason, BlindSpot, BlindSpots, Notice};
use domain::policy::Reporting;
use domain::violation::{Outlet, Record};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tracing::{error, info, warn};

/// What is kept back of the time: an account that was begun must come to its end, and the progress must be stored.
const RESERVE: Duration = Duration::from_secs(45);
/// What a running `report` has just recorded, it tells itself; what is held in a window is told when it ends.
const OWED_AFTER: SignedDuration = SignedDuration::from_mins(30);
/// Records with pending deliveries that are in memory at one time.
const RETOLD: usize = 1_000;

/// The use case.
#[derive(Debug)]
pub struct Sweep<S, O, D, R, X, G, C> {
    /// Violations on record, and what the sweep remembers.
    pub store: S,
    /// Tells people and machines.
    pub outlets: O,
    /// What is in force.
    pub directory: D,
    /// Names and tags of resources, and backup plans.
    pub resources: R,
    /// AWS Config's own state.
    pub source: X,
    /// The organisation.
    pub organization: G,
    /// The time.
    pub clock: C,
}

/// What a sweep found and did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Swept {
    /// What was told.
    #[serde(flatten)]
    pub tally: Tally,
    /// Accounts compared.
    pub accounts: usize,
    /// Violations that nobody had heard of.
    pub opened: usize,
    /// Violations that are gone.
    pub closed: usize,
    /// Violations that were on record as closed, and are not.
    pub repaired: usize,
    /// Open violations in the weekly reminders that were sent.
    pub reminded: usize,
    /// Violations that have come to be exempt.
    pub exempted: usize,
    /// Violations whose exemption has ended.
    pub exemptions_ended: usize,
    /// Records that owed something for some time.
    pub retold: usize,
    /// Accounts and Regions where a framework should be in force and cannot be seen.
    pub blind_spots: usize,
    /// Whether all accounts are done; if not, the next sweep goes on where this one ended.
    pub complete: bool,
    /// What could not be asked or told.
    pub failures: Vec<String>,
}

/// How far the clock of the sender may be ahead of ours.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Accepts an event that asks for a sweep. Every sweep is as of now. A `time` in the event is checked, since whoever sends one may
/// expect a look ahead, which would write the future into records.
///
/// # Errors
/// Says what was expected.
pub fn asked(event: &Value, now: Timestamp) -> Result<(), String> {
    let is = |key: &str, expected: &str| event.get(key).and_then(Value::as_str) == Some(expected);
    if !(is("source", "backup-compliance.schedule") && is("look", "sweep")) {
        return Err(
            "not an event of the sweep: `{\"source\": \"backup-compliance.schedule\", \"look\": \"sweep\"}` is expected".into(),
        );
    }
    let Some(time) = event.get("time") else { return Ok(()) };
    match time.as_str().and_then(|time| time.parse::<Timestamp>().ok()) {
        None => Err(format!(
            "`time` is not a time: `{time}`; leave it out, or write RFC 3339, such as `2026-11-23T09:00:00Z`"
        )),
        Some(due) if due.duration_since(now) > CLOCK_SKEW => Err(format!(
            "`time` is {due}, later than now ({now:.0}): a sweep changes records and is always as of now; leave `time` out"
        )),
        Some(_) => Ok(()),
    }
}

/// What all parts of one sweep share.
struct Round<'a> {
    in_force: &'a InForce,
    reporting: &'a Reporting,
    outlets: &'a BTreeSet<Outlet>,
    now: Timestamp,
}

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
    /// Sweeps. Ends before the time is up, and goes on from there the next time.
    ///
    /// # Errors
    /// When what is in force or the records cannot be read.
    pub async fn run(&self, time_left: impl Fn() -> Option<Duration>) -> Result<Swept> {
        let mut swept = Swept::default();
        let now = self.clock.now();
        let mut in_force = self.directory.in_force().await?;
        let mut progress = SweepStore::progress(&self.store).await?;
        if progress.value.is_none() {
            self.learn_accounts(&mut in_force, &mut swept).await;
        }
        let reporting = in_force.reporting();
        let outlets = self.outlets.in_use();
        let round = Round { in_force: &in_force, reporting: &reporting, outlets: &outlets, now };
        self.deliver_pending(&round, &mut swept, &time_left).await?;

        let mut accounts = in_force.target_accounts();
        accounts.extend(ViolationStore::accounts(&self.store).await?);
        let began = progress.value.as_ref().map_or(now, |progress| progress.began);
        let mut blind: Vec<BlindSpot> =
            progress.value.as_ref().map(|progress| progress.blind.clone()).unwrap_or_default();
        let after = progress.value.as_ref().map(|progress| progress.after.clone());
        let is_time_up = || time_left().is_some_and(|left| left < RESERVE);
        for account in accounts.into_iter().filter(|account| after.as_ref().is_none_or(|after| account > after)) {
            if is_time_up() {
                info!(before = %account, "the time is up, the next sweep goes on from here");
                return Ok(swept);
            }
            self.account(&round, &account, &mut blind, &mut swept).await;
            swept.accounts = swept.accounts.saturating_add(1);
            let done = Progress { began, after: account, blind: blind.clone(), again: None };
            if !self.store_progress(&mut progress, done, &mut swept).await {
                return Ok(swept);
            }
        }
        // A throttle is a blind spot only if a second round fails as well.
        let throttled = blind.iter().filter(|spot| spot.reason.cause == BlindCause::Throttled);
        let throttled: BTreeSet<AccountId> = throttled.map(|spot| spot.account.clone()).collect();
        let again = progress.value.as_ref().and_then(|progress| progress.again.clone());
        for account in throttled.into_iter().filter(|account| again.as_ref().is_none_or(|again| account > again)) {
            if is_time_up() {
                info!(before = %account, "the time is up, the next sweep goes on with the second round");
                return Ok(swept);
            }
            blind.retain(|spot| spot.account != account);
            self.account(&round, &account, &mut blind, &mut swept).await;
            let Some(before) = progress.value.clone() else { break };
            let done = Progress { blind: blind.clone(), again: Some(account), ..before };
            if !self.store_progress(&mut progress, done, &mut swept).await {
                return Ok(swept);
            }
        }
        if progress.value.is_some() && is_time_up() {
            info!("the time is up, the next sweep ends the round");
            return Ok(swept);
        }
        self.finish(&round, blind, &mut swept).await?;
        self.store.put_progress(&Versioned { value: None, version: progress.version }).await?;
        swept.complete = true;
        Ok(swept)
    }

    /// Stores how far the round is; whether this sweep may go on.
    async fn store_progress(
        &self,
        progress: &mut Versioned<Option<Progress>>,
        done: Progress,
        swept: &mut Swept,
    ) -> bool {
        let next = Versioned { value: Some(done), version: progress.version };
        match self.store.put_progress(&next).await {
            Ok(version) => {
                *progress = Versioned { version, ..next };
                true
            }
            Err(error) => {
                // Two at once would tell of the same blind spots; what they compare is safe.
                let other = error.kind == PortErrorKind::Conflict;
                warn!(%error, other, "the progress could not be stored; if it is another sweep's, that one goes on");
                swept.failures.push(error.to_string());
                false
            }
        }
    }

    /// Names of accounts, and who belongs to the organisation: asked once a round.
    async fn learn_accounts(&self, in_force: &mut InForce, swept: &mut Swept) {
        match Organization::accounts(&self.organization).await {
            Ok(Some(accounts)) if accounts != in_force.accounts => {
                if let Err(error) = self.store.put_accounts(&accounts).await {
                    warn!(%error, "names of accounts could not be stored");
                    swept.failures.push(error.to_string());
                }
                in_force.accounts = accounts;
            }
            Ok(_) => {}
            Err(error) => {
                warn!(%error, "the organisation could not be asked");
                swept.failures.push(error.to_string());
            }
        }
    }

    /// Makes the deliveries that are due: a `report` ended before them, had no time for them, or a channel did not accept them. All
    /// of them, as long as there is time; a failure puts the next attempt off, so that no delivery keeps others from their turn.
    async fn deliver_pending(
        &self,
        round: &Round<'_>,
        swept: &mut Swept,
        time_left: &impl Fn() -> Option<Duration>,
    ) -> Result<()> {
        let before = round.now.checked_sub(OWED_AFTER).unwrap_or(round.now);
        // Half of the time is for the comparison, however much is pending.
        let half = time_left().map(|left| left / 2);
        let mut position = None;
        loop {
            let page = self.store.pending(before, position, RETOLD).await?;
            swept.retold = swept.retold.saturating_add(page.records.len());
            self.tell(round, page.records, true, swept).await;
            position = page.next;
            if position.is_none() || time_left() < half {
                return Ok(());
            }
        }
    }

    async fn tell(&self, round: &Round<'_>, records: Vec<Versioned<Record>>, only_due: bool, swept: &mut Swept) {
        let touched = records.into_iter().map(|record| Touched { record, messages: BTreeSet::new() }).collect();
        let Self { store, outlets, resources, .. } = self;
        let Round { in_force, reporting, now, .. } = round;
        let telling = Telling { store, outlets, resources, in_force, reporting, now: *now, only_due };
        let untold = telling.tell(touched, &BTreeSet::new(), &mut swept.tally).await;
        swept.failures.extend(untold.into_iter().map(|untold| untold.why));
    }

    /// What can be said when all accounts are done.
    async fn finish(&self, round: &Round<'_>, blind: Vec<BlindSpot>, swept: &mut Swept) -> Result<()> {
        let (blind, is_diagnosed) = self.diagnosed(blind, swept).await;
        // A cause that cannot be found now is no news where one is known.
        let is_unclear =
            |cause: BlindCause| cause == BlindCause::Throttled || (cause == BlindCause::NoResult && !is_diagnosed);
        let known: BTreeMap<_, BlindSpot> = self
            .store
            .blind_spots()
            .await?
            .into_iter()
            .map(|spot| ((spot.account.clone(), spot.region.clone()), spot))
            .collect();
        let mut new = Vec::new();
        let mut spots = Vec::new();
        for spot in blind {
            match known.get(&(spot.account.clone(), spot.region.clone())) {
                Some(before) if before.reason.cause == spot.reason.cause => {
                    spots.push(BlindSpot { since: before.since, ..spot });
                }
                Some(before) if is_unclear(spot.reason.cause) => spots.push(before.clone()),
                _ => {
                    new.push(spot.clone());
                    spots.push(spot);
                }
            }
        }
        swept.blind_spots = spots.len();
        let is_empty = new.is_empty();
        let notice = Notice::BlindSpots(BlindSpots { spots: new });
        if !is_empty && self.tell_people(&[notice], swept).await != [true] {
            // Not remembered, so that the next sweep tells of them.
            return Ok(());
        }
        if !(spots.is_empty() && known.is_empty()) {
            self.store.put_blind_spots(&spots).await?;
        }
        self.expiring(round, swept).await?;
        self.remind(round, swept).await
    }

    /// Returns the blind spots, those without a result with the cause that the aggregator gives, and whether the aggregator could be
    /// asked. Where it gives no cause, they keep theirs.
    async fn diagnosed(&self, mut blind: Vec<BlindSpot>, swept: &mut Swept) -> (Vec<BlindSpot>, bool) {
        let unexplained = blind.iter().filter(|spot| spot.reason.cause == BlindCause::NoResult);
        let places: BTreeSet<_> = unexplained.map(|spot| (spot.account.clone(), spot.region.clone())).collect();
        if places.is_empty() {
            return (blind, true);
        }
        match self.source.diagnose(&places).await {
            Ok(mut reasons) => {
                for spot in blind.iter_mut().filter(|spot| spot.reason.cause == BlindCause::NoResult) {
                    if let Some(reason) = reasons.remove(&(spot.account.clone(), spot.region.clone())) {
                        spot.reason = reason;
                    }
                }
                (blind, true)
            }
            Err(error) => {
                warn!(%error, "the causes of blind spots are not known");
                swept.failures.push(error.to_string());
                (blind, false)
            }
        }
    }

    /// Sends notices to both topics; returns of each whether the notification topic accepted it.
    async fn tell_people(&self, notices: &[Notice], swept: &mut Swept) -> Vec<bool> {
        let mut told = vec![true; notices.len()];
        for outlet in self.outlets.in_use() {
            if !matches!(outlet, Outlet::Topic | Outlet::Chat) {
                continue;
            }
            let outcomes = self.outlets.tell(outlet, notices).await;
            for ((notice, told), outcome) in notices.iter().zip(&mut told).zip(outcomes) {
                match outcome {
                    Ok(()) if outlet == Outlet::Topic => swept.tally.notices = swept.tally.notices.saturating_add(1),
                    Ok(()) => {}
                    Err(error) => {
                        error!(?outlet, subject = notice.subject(), %error, "not told");
                        swept.failures.push(error.to_string());
                        *told &= outlet != Outlet::Topic;
                    }
                }
            }
        }
        told
    }
}

/// A place that could not be seen.
fn spot(account: &AccountId, region: &domain::ids::RegionName, reason: BlindReason, now: Timestamp) -> BlindSpot {
    BlindSpot { account: account.clone(), region: region.clone(), reason, since: now }
}
