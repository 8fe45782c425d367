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
use domain::violation::{Channel, ViolationRecord};
use framework::ids::{AccountId, Location};

use crate::delivery::{DeliveryCounts, NoticeDelivery, PendingRecord, Plans};
use crate::in_force::{InForce, PolicyContext, PolicyDirectory as _};
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
    /// Violation records, the state of the sweep and the policy in force.
    pub store: E::Store,
    /// Delivers notices.
    pub channels: E::Channels,
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
/// expects a preview, but the sweep would write that time into records. The error describes the expected event.
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

impl SweepSummary {
    /// Returns the value, or `None` after an error, which is logged with `message` and added to the failures.
    fn check<T>(&mut self, result: Result<T>, message: &str) -> Option<T> {
        result
            .inspect_err(|error| warn!(%error, "{message}"))
            .map_err(|error| self.failures.push(error.to_string()))
            .ok()
    }
}

struct Round<'a, E: SweepEnv> {
    sweep: &'a Sweep<E>,
    context: PolicyContext<'a>,
    progress: Versioned<Option<SweepProgress>>,
    blind: Vec<BlindSpot>,
    summary: SweepSummary,
}

impl<E: SweepEnv> Sweep<E> {
    /// Sweeps until all accounts are compared or `time_left` is used up.
    pub async fn run(&self, time_left: impl Fn() -> Option<Duration>) -> Result<SweepSummary> {
        let mut summary = SweepSummary::default();
        let now = self.clock.now();
        let mut in_force = self.store.in_force().await?;
        let progress = SweepStore::progress(&self.store).await?;
        if progress.value.is_none() {
            self.update_account_names(&mut in_force, &mut summary).await;
        }
        let (reporting, channels) = (in_force.reporting(), self.channels.enabled());
        let context = PolicyContext { in_force: &in_force, reporting: &reporting, channels: &channels, now };
        let blind = progress.value.as_ref().map(|progress| progress.blind.clone()).unwrap_or_default();
        let mut round = Round { sweep: self, context, progress, blind, summary };
        round.deliver_pending(&time_left).await?;
        let is_time_up = || time_left().is_some_and(|left| left < RESERVE);
        if round.compare_accounts(is_time_up).await? {
            round.finish().await?;
            self.store.put_progress(&Versioned { value: None, version: round.progress.version }).await?;
            round.summary.complete = true;
        }
        Ok(round.summary)
    }

    /// Updates the accounts of the organization and their names, once in a round.
    async fn update_account_names(&self, in_force: &mut InForce, summary: &mut SweepSummary) {
        let read = Organization::accounts(&self.organization).await;
        let accounts = summary.check(read, "accounts of the organization not read").flatten();
        if let Some(accounts) = accounts.filter(|accounts| *accounts != in_force.accounts) {
            summary.check(self.store.put_accounts(&accounts).await, "names of accounts not stored");
            in_force.accounts = accounts;
        }
    }
}

impl<E: SweepEnv> Round<'_, E> {
    /// Compares the remaining accounts, then the throttled ones again. Returns whether the round is complete.
    async fn compare_accounts(&mut self, is_time_up: impl Fn() -> bool) -> Result<bool> {
        let mut accounts = self.context.in_force.target_accounts();
        accounts.extend(ViolationStore::accounts(&self.sweep.store).await?);
        let known = self.progress.value.as_ref();
        let (began, after) =
            (known.map_or(self.context.now, |known| known.began), known.map(|known| known.after.clone()));
        for account in accounts.into_iter().filter(|account| Some(account) > after.as_ref()) {
            if is_time_up() {
                info!(before = %account, "time is up, the next sweep continues here");
                return Ok(false);
            }
            self.account(&account).await;
            self.summary.accounts += 1;
            let done = SweepProgress { began, after: account, blind: self.blind.clone(), after_again: None };
            if !self.store_progress(done).await {
                return Ok(false);
            }
        }
        // A throttled account is a blind spot only if a second attempt fails.
        let throttled = self.blind.iter().filter(|spot| spot.reason.cause == BlindSpotCause::Throttled);
        let throttled: BTreeSet<AccountId> = throttled.map(|spot| spot.account.clone()).collect();
        let again = self.progress.value.as_ref().and_then(|progress| progress.after_again.clone());
        for account in throttled.into_iter().filter(|account| Some(account) > again.as_ref()) {
            if is_time_up() {
                info!(before = %account, "time is up, the next sweep continues with the second attempts");
                return Ok(false);
            }
            self.blind.retain(|spot| spot.account != account);
            self.account(&account).await;
            let Some(before) = self.progress.value.clone() else { break };
            let done = SweepProgress { blind: self.blind.clone(), after_again: Some(account), ..before };
            if !self.store_progress(done).await {
                return Ok(false);
            }
        }
        let is_complete = self.progress.value.is_none() || !is_time_up();
        if !is_complete {
            info!("time is up, the next sweep completes the round");
        }
        Ok(is_complete)
    }

    /// Stores the progress. Returns whether this sweep may continue.
    async fn store_progress(&mut self, done: SweepProgress) -> bool {
        let next = Versioned { value: Some(done), version: self.progress.version };
        let stored = self.sweep.store.put_progress(&next).await;
        match &stored {
            Ok(version) => self.progress = Versioned { version: *version, ..next },
            Err(error) => {
                // Concurrent sweeps would report the same blind spots. Their comparisons are safe.
                let is_concurrent = error.kind == PortErrorKind::Conflict;
                warn!(%error, is_concurrent, "progress not stored, this sweep ends");
                self.summary.failures.push(error.to_string());
            }
        }
        stored.is_ok()
    }

    /// Makes the due deliveries that `report` did not complete. Each failure postpones the next attempt, so that none blocks others.
    async fn deliver_pending(&mut self, time_left: &impl Fn() -> Option<Duration>) -> Result<()> {
        let now = self.context.now;
        let before = now.checked_sub(REDELIVERY_AGE).unwrap_or(now);
        // Half of the time is reserved for the comparison.
        let half = time_left().map(|left| left / 2);
        let mut position = None;
        loop {
            let page = self.sweep.store.pending(before, position, PAGE).await?;
            self.summary.redelivered += page.records.len();
            self.deliver(page.records, true).await;
            position = page.next;
            if position.is_none() || time_left() < half {
                return Ok(());
            }
        }
    }

    async fn deliver(&mut self, records: Vec<Versioned<ViolationRecord>>, only_due: bool) {
        let records = records.into_iter().map(|record| PendingRecord::new(record, BTreeSet::new())).collect();
        let Sweep { store, channels, resources, .. } = self.sweep;
        let (context, buffered, plans) = (self.context, &BTreeSet::new(), Plans::new());
        let delivery = NoticeDelivery::<E> { store, channels, resources, context, only_due, buffered, plans };
        let undelivered = delivery.deliver(records, &mut self.summary.deliveries).await;
        self.summary.failures.extend(undelivered.into_iter().map(|(_, reason)| reason));
    }

    /// Completes a round: reports new blind spots, expiring exemptions and reminders.
    async fn finish(&mut self) -> Result<()> {
        let is_diagnosed = self.diagnose().await;
        // An unclear cause does not replace a known one.
        let is_unclear = |cause: BlindSpotCause| {
            cause == BlindSpotCause::Throttled || (cause == BlindSpotCause::NoResult && !is_diagnosed)
        };
        let known = self.sweep.store.blind_spots().await?.into_iter();
        let known: BTreeMap<Location, BlindSpot> = known.map(|spot| (location(&spot), spot)).collect();
        let (mut new, mut spots) = (Vec::new(), Vec::new());
        for spot in std::mem::take(&mut self.blind) {
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
        self.summary.blind_spots = spots.len();
        if !new.is_empty() && self.publish(&[Notice::BlindSpots(BlindSpots { spots: new })]).await != [true] {
            // The blind spots are not stored, so that the next sweep reports them.
            return Ok(());
        }
        if !(spots.is_empty() && known.is_empty()) {
            self.sweep.store.put_blind_spots(&spots).await?;
        }
        self.expiring().await?;
        self.remind().await
    }

    /// Replaces the cause of blind spots without results by that of the aggregator. Returns whether it could be read.
    async fn diagnose(&mut self) -> bool {
        let unexplained = self.blind.iter_mut().filter(|spot| spot.reason.cause == BlindSpotCause::NoResult);
        let mut unexplained: BTreeMap<Location, &mut BlindSpot> =
            unexplained.map(|spot| (location(spot), spot)).collect();
        if unexplained.is_empty() {
            return true;
        }
        let read = self.sweep.source.diagnose(&unexplained.keys().cloned().collect()).await;
        let Some(reasons) = self.summary.check(read, "causes of blind spots not read") else { return false };
        for (location, reason) in reasons {
            if let Some(spot) = unexplained.get_mut(&location) {
                spot.reason = reason;
            }
        }
        true
    }

    /// Publishes notices to both topics. Returns for each notice whether the notification topic accepted it.
    async fn publish(&mut self, notices: &[Notice]) -> Vec<bool> {
        let mut accepted = vec![true; notices.len()];
        for channel in [Channel::Topic, Channel::Chat].into_iter().filter(|topic| self.context.channels.contains(topic))
        {
            let outcomes = self.sweep.channels.deliver(channel, notices).await;
            for ((notice, accepted), outcome) in notices.iter().zip(&mut accepted).zip(outcomes) {
                match outcome {
                    Ok(()) => self.summary.deliveries.notices += usize::from(channel == Channel::Topic),
                    Err(error) => {
                        error!(?channel, subject = notice.subject(), %error, "notice not delivered");
                        self.summary.failures.push(error.to_string());
                        *accepted &= channel != Channel::Topic;
                    }
                }
            }
        }
        accepted
    }
}

fn location(spot: &BlindSpot) -> Location {
    Location { account: spot.account.clone(), region: spot.region.clone() }
}
