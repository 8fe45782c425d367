//! The use case of `sweep`: compares the records of violations with AWS Config, and makes pending deliveries.
//!
//! Events of AWS Config are best effort and never repeated. The sweep therefore opens violations without an event, closes resolved
//! ones, and delivers pending notices. It processes one account after another, stops before its timeout, and the next sweep continues.
//! Accounts and Regions without visible results are reported as blind spots, never as compliant.

mod account;
mod compare;
mod expiring;
pub mod ports;
mod reminders;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;
use tracing::{error, info, warn};

use domain::notice::{BlindSpot, BlindSpotCause, BlindSpots, Notice};
use domain::policy::Reporting;
use domain::violation::{Channel, ViolationRecord};
use framework::ids::AccountId;

use crate::delivery::{DeliveryCounts, NoticeDelivery, PendingRecord};
use crate::in_force::{InForce, PolicyDirectory};
use crate::ports::{Clock, PortErrorKind, Result, Versioned};
use crate::sweep::ports::{ComplianceSource, Organization, SweepEnv, SweepProgress, SweepStore};
use crate::violations::{NotificationChannels, ViolationStore};

/// Time reserved for the current account and for storing the progress.
const RESERVE: Duration = Duration::from_secs(45);
/// Age of the pending deliveries that the sweep makes. `report` makes younger ones, after their digest window.
const REDELIVERY_AGE: SignedDuration = SignedDuration::from_mins(30);
/// Records with pending deliveries in one page.
const PAGE: usize = 1_000;

/// The use case.
#[derive(Debug)]
pub struct Sweep<E: SweepEnv> {
    /// Violation records and the state of the sweep.
    pub store: E::Store,
    /// Delivers notices.
    pub channels: E::Channels,
    /// The policy in force.
    pub directory: E::Directory,
    /// Names and tags of resources, and backup plans.
    pub resources: E::Resources,
    /// Compliance results of AWS Config.
    pub source: E::Source,
    /// AWS Organizations.
    pub organization: E::Organization,
    /// The time.
    pub clock: E::Clock,
}

/// The result of a sweep, whose counts become metrics.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SweepSummary {
    /// Counts of deliveries.
    #[serde(flatten)]
    pub deliveries: DeliveryCounts,
    /// Compared accounts.
    pub accounts: usize,
    /// Opened violations without a record.
    pub opened: usize,
    /// Closed violations.
    pub closed: usize,
    /// Opened violations whose record was closed.
    pub reopened: usize,
    /// Open violations in the weekly reminders.
    pub reminded: usize,
    /// Violations that became exempt.
    pub exempted: usize,
    /// Violations whose exemption ended.
    pub exemptions_ended: usize,
    /// Records with a pending delivery that was due for 30 minutes.
    pub redelivered: usize,
    /// Accounts and Regions with a framework in force but without visible results.
    pub blind_spots: usize,
    /// Whether all accounts are compared. If not, the next sweep continues.
    pub complete: bool,
    /// Reasons of failed reads and deliveries.
    pub failures: Vec<String>,
}

/// Allowed clock difference between the sender of an event and this function.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Validates the event of a sweep. A sweep always uses the current time: a later `time` in the event is rejected, since the sender
/// expects a preview, but the sweep would write that time into records.
///
/// # Errors
/// Describes the expected event.
pub fn check_event(event: &Value, now: Timestamp) -> Result<(), String> {
    let is = |key: &str, expected: &str| event.get(key).and_then(Value::as_str) == Some(expected);
    if !(is("source", "backup-compliance.schedule") && is("task", "sweep")) {
        return Err(
            "not an event of the sweep: `{\"source\": \"backup-compliance.schedule\", \"task\": \"sweep\"}` is expected".into(),
        );
    }
    let Some(time) = event.get("time") else { return Ok(()) };
    match time.as_str().and_then(|time| time.parse::<Timestamp>().ok()) {
        None => {
            Err(format!("`time` is not a time: `{time}`; remove it, or use RFC 3339, such as `2026-11-23T09:00:00Z`"))
        }
        Some(due) if due.duration_since(now) > CLOCK_SKEW => Err(format!(
            "`time` is {due}, later than now ({now:.0}): a sweep changes records and always uses the current time; remove `time`"
        )),
        Some(_) => Ok(()),
    }
}

/// The data that all parts of a sweep share.
struct Round<'a> {
    in_force: &'a InForce,
    reporting: &'a Reporting,
    channels: &'a BTreeSet<Channel>,
    now: Timestamp,
}

impl<E: SweepEnv> Sweep<E> {
    /// Sweeps until all accounts are compared or `time_left` is used up.
    ///
    /// # Errors
    /// When the policy in force or the records cannot be read.
    pub async fn run(&self, time_left: impl Fn() -> Option<Duration>) -> Result<SweepSummary> {
        let mut swept = SweepSummary::default();
        let now = self.clock.now();
        let mut in_force = self.directory.in_force().await?;
        let mut progress = SweepStore::progress(&self.store).await?;
        if progress.value.is_none() {
            self.update_account_names(&mut in_force, &mut swept).await;
        }
        let reporting = in_force.reporting();
        let channels = self.channels.enabled();
        let round = Round { in_force: &in_force, reporting: &reporting, channels: &channels, now };
        self.deliver_pending(&round, &mut swept, &time_left).await?;
        let is_time_up = || time_left().is_some_and(|left| left < RESERVE);
        let Some(blind) = self.compare_accounts(&round, &mut progress, &mut swept, is_time_up).await? else {
            return Ok(swept);
        };
        self.finish(&round, blind, &mut swept).await?;
        self.store.put_progress(&Versioned { value: None, version: progress.version }).await?;
        swept.complete = true;
        Ok(swept)
    }

    /// Compares the remaining accounts, then the throttled ones again. Returns the blind spots, or `None` if the time is up.
    async fn compare_accounts(
        &self,
        round: &Round<'_>,
        progress: &mut Versioned<Option<SweepProgress>>,
        swept: &mut SweepSummary,
        is_time_up: impl Fn() -> bool,
    ) -> Result<Option<Vec<BlindSpot>>> {
        let mut accounts = round.in_force.target_accounts();
        accounts.extend(ViolationStore::accounts(&self.store).await?);
        let (began, mut blind, after) = match &progress.value {
            Some(progress) => (progress.began, progress.blind.clone(), Some(progress.after.clone())),
            None => (round.now, Vec::new(), None),
        };
        for account in accounts.into_iter().filter(|account| after.as_ref().is_none_or(|after| account > after)) {
            if is_time_up() {
                info!(before = %account, "time is up, the next sweep continues here");
                return Ok(None);
            }
            self.account(round, &account, &mut blind, swept).await;
            swept.accounts = swept.accounts.saturating_add(1);
            let done = SweepProgress { began, after: account, blind: blind.clone(), after_again: None };
            if !self.store_progress(progress, done, swept).await {
                return Ok(None);
            }
        }
        // A throttled account is a blind spot only if a second attempt fails.
        let throttled = blind.iter().filter(|spot| spot.reason.cause == BlindSpotCause::Throttled);
        let throttled: BTreeSet<AccountId> = throttled.map(|spot| spot.account.clone()).collect();
        let again = progress.value.as_ref().and_then(|progress| progress.after_again.clone());
        for account in throttled.into_iter().filter(|account| again.as_ref().is_none_or(|again| account > again)) {
            if is_time_up() {
                info!(before = %account, "time is up, the next sweep continues with the second attempts");
                return Ok(None);
            }
            blind.retain(|spot| spot.account != account);
            self.account(round, &account, &mut blind, swept).await;
            let Some(before) = progress.value.clone() else { break };
            let done = SweepProgress { blind: blind.clone(), after_again: Some(account), ..before };
            if !self.store_progress(progress, done, swept).await {
                return Ok(None);
            }
        }
        if progress.value.is_some() && is_time_up() {
            info!("time is up, the next sweep completes the round");
            return Ok(None);
        }
        Ok(Some(blind))
    }

    /// Stores the progress. Returns whether this sweep may continue.
    async fn store_progress(
        &self,
        progress: &mut Versioned<Option<SweepProgress>>,
        done: SweepProgress,
        swept: &mut SweepSummary,
    ) -> bool {
        let next = Versioned { value: Some(done), version: progress.version };
        match self.store.put_progress(&next).await {
            Ok(version) => {
                *progress = Versioned { version, ..next };
                true
            }
            Err(error) => {
                // Concurrent sweeps would report the same blind spots. Their comparisons are safe.
                let is_concurrent = error.kind == PortErrorKind::Conflict;
                warn!(%error, is_concurrent, "progress not stored, this sweep ends");
                swept.failures.push(error.to_string());
                false
            }
        }
    }

    /// Updates the accounts of the organization and their names, once in a round.
    async fn update_account_names(&self, in_force: &mut InForce, swept: &mut SweepSummary) {
        match Organization::accounts(&self.organization).await {
            Ok(Some(accounts)) if accounts != in_force.accounts => {
                if let Err(error) = self.store.put_accounts(&accounts).await {
                    warn!(%error, "names of accounts not stored");
                    swept.failures.push(error.to_string());
                }
                in_force.accounts = accounts;
            }
            Ok(_) => {}
            Err(error) => {
                warn!(%error, "accounts of the organization not read");
                swept.failures.push(error.to_string());
            }
        }
    }

    /// Makes the due deliveries: `report` ended before them, had no time for them, or a channel rejected them. Each failure postpones
    /// the next attempt, so that failing deliveries do not block others.
    async fn deliver_pending(
        &self,
        round: &Round<'_>,
        swept: &mut SweepSummary,
        time_left: &impl Fn() -> Option<Duration>,
    ) -> Result<()> {
        let before = round.now.checked_sub(REDELIVERY_AGE).unwrap_or(round.now);
        // Half of the time is reserved for the comparison.
        let half = time_left().map(|left| left / 2);
        let mut position = None;
        loop {
            let page = self.store.pending(before, position, PAGE).await?;
            swept.redelivered = swept.redelivered.saturating_add(page.records.len());
            self.deliver(round, page.records, true, swept).await;
            position = page.next;
            if position.is_none() || time_left() < half {
                return Ok(());
            }
        }
    }

    async fn deliver(
        &self,
        round: &Round<'_>,
        records: Vec<Versioned<ViolationRecord>>,
        only_due: bool,
        swept: &mut SweepSummary,
    ) {
        let records = records.into_iter().map(|record| PendingRecord { record, messages: BTreeSet::new() }).collect();
        let (store, channels, resources) = (&self.store, &self.channels, &self.resources);
        let Round { in_force, reporting, now, .. } = *round;
        let delivery = NoticeDelivery::<E> { store, channels, resources, in_force, reporting, now, only_due };
        let undelivered = delivery.deliver(records, &BTreeSet::new(), &mut swept.deliveries).await;
        swept.failures.extend(undelivered.into_iter().map(|undelivered| undelivered.reason));
    }

    /// Completes a round: reports new blind spots, expiring exemptions and reminders.
    async fn finish(&self, round: &Round<'_>, blind: Vec<BlindSpot>, swept: &mut SweepSummary) -> Result<()> {
        let (blind, is_diagnosed) = self.diagnose(blind, swept).await;
        // An unclear cause does not replace a known one.
        let is_unclear = |cause: BlindSpotCause| {
            cause == BlindSpotCause::Throttled || (cause == BlindSpotCause::NoResult && !is_diagnosed)
        };
        let known = self.store.blind_spots().await?.into_iter();
        let known: BTreeMap<_, BlindSpot> = known.map(|spot| (location(&spot), spot)).collect();
        let mut new = Vec::new();
        let mut spots = Vec::new();
        for spot in blind {
            match known.get(&location(&spot)) {
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
        if !is_empty && self.publish(&[notice], swept).await != [true] {
            // The blind spots are not stored, so that the next sweep reports them.
            return Ok(());
        }
        if !(spots.is_empty() && known.is_empty()) {
            self.store.put_blind_spots(&spots).await?;
        }
        self.expiring(round, swept).await?;
        self.remind(round, swept).await
    }

    /// Replaces the cause of blind spots without results by that of the aggregator, if it reports one. Also returns whether the
    /// aggregator could be read.
    async fn diagnose(&self, mut blind: Vec<BlindSpot>, swept: &mut SweepSummary) -> (Vec<BlindSpot>, bool) {
        let is_unexplained = |spot: &BlindSpot| spot.reason.cause == BlindSpotCause::NoResult;
        let locations: BTreeSet<_> = blind.iter().filter(|spot| is_unexplained(spot)).map(location).collect();
        if locations.is_empty() {
            return (blind, true);
        }
        match self.source.diagnose(&locations).await {
            Ok(mut reasons) => {
                for spot in blind.iter_mut().filter(|spot| is_unexplained(spot)) {
                    if let Some(reason) = reasons.remove(&location(spot)) {
                        spot.reason = reason;
                    }
                }
                (blind, true)
            }
            Err(error) => {
                warn!(%error, "causes of blind spots not read");
                swept.failures.push(error.to_string());
                (blind, false)
            }
        }
    }

    /// Publishes notices to both topics. Returns for each notice whether the notification topic accepted it.
    async fn publish(&self, notices: &[Notice], swept: &mut SweepSummary) -> Vec<bool> {
        let mut accepted = vec![true; notices.len()];
        for channel in self.channels.enabled() {
            if !matches!(channel, Channel::Topic | Channel::Chat) {
                continue;
            }
            let outcomes = self.channels.deliver(channel, notices).await;
            for ((notice, accepted), outcome) in notices.iter().zip(&mut accepted).zip(outcomes) {
                match outcome {
                    Ok(()) if channel == Channel::Topic => {
                        swept.deliveries.notices = swept.deliveries.notices.saturating_add(1)
                    }
                    Ok(()) => {}
                    Err(error) => {
                        error!(?channel, subject = notice.subject(), %error, "notice not delivered");
                        swept.failures.push(error.to_string());
                        *accepted &= channel != Channel::Topic;
                    }
                }
            }
        }
        accepted
    }
}

fn location(spot: &BlindSpot) -> (AccountId, framework::ids::RegionName) {
    (spot.account.clone(), spot.region.clone())
}
