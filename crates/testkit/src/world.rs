//! A fake of every port of `app`, with state, a journal of calls and injected faults.
//!
//! The contract tests in `tests/contract` check that it behaves like the adapters with the local cloud.

mod backup;
mod compliance;
mod environments;
mod inventories;
mod outlets;
mod pull_requests;
mod repository;
mod stack_sets;
mod stores;
mod violations;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use jiff::Timestamp;

use app::deploy::{AcceptedRevision, PublishedFramework, RevisionOrder, RolloutRecord};
use app::inventory::StoredInventory;
use app::lifecycle::{RequestAnswer, WaitingRequest};
use app::ports::{PortError, PortErrorKind, Result, Versioned};
use app::report::ports::DigestWindow;
use app::sweep::ports::{ComplianceApi, EvaluationResult, ReminderWeek, SweepProgress};
use app::violations::ResourceId;
use domain::notice::{BlindSpot, BlindSpotReason, Notice};
use domain::policy::Reporting;
use domain::rollout::Membership;
use domain::violation::{Channel, ResourceDetails, ViolationGroup, ViolationKey, ViolationRecord};
use evaluation::inventory::document::Plan;
use framework::ids::{AccountId, CommitId, RegionName, StackSetName};

pub use backup::{FakeBackup, FakeLocation};
pub use pull_requests::FakePullRequest;
pub use repository::Commit;
pub use stack_sets::FakeStackSet;

/// Every port at once. Clones share their state.
#[derive(Debug, Clone)]
pub struct World {
    state: Arc<Mutex<WorldState>>,
}

/// The state of a world, which tests may read and change.
#[derive(Debug)]
pub struct WorldState {
    /// The time. It moves only when a test moves it.
    pub now: Timestamp,
    /// The branch's head.
    pub head: Option<CommitId>,
    /// All commits.
    pub commits: BTreeMap<CommitId, Commit>,
    /// The StackSets by name.
    pub stack_sets: BTreeMap<StackSetName, FakeStackSet>,
    /// Instances (`account/region`) on which operations fail, with the reason.
    pub broken: BTreeMap<String, String>,
    /// The organization's units, its management account and its inactive accounts.
    pub units: Membership,
    /// Comments on commits.
    pub comments: Vec<(CommitId, String)>,
    /// Pull requests by id.
    pub pull_requests: BTreeMap<String, FakePullRequest>,
    /// The rollouts in the state of `deploy`.
    pub rollouts: BTreeMap<StackSetName, Versioned<RolloutRecord>>,
    /// The marker of a removal.
    pub removing: bool,
    /// The commit whose rejection was published.
    pub rejected: Option<CommitId>,
    /// What orders revisions; the history of the branch, unless a test sets it.
    pub orders: BTreeMap<CommitId, RevisionOrder>,
    /// The revision that was accepted last.
    pub accepted: Option<AcceptedRevision>,
    /// The controls in force.
    pub frameworks: BTreeMap<StackSetName, PublishedFramework>,
    /// Requests without a response.
    pub requests: BTreeMap<String, WaitingRequest>,
    /// Answered requests.
    pub answered: BTreeSet<String>,
    /// Requests for which `deploy` was triggered.
    pub looks: Vec<String>,
    /// Responses to CloudFormation.
    pub answers: Vec<RequestAnswer>,
    /// Notices on the notification topic.
    pub notices: Vec<Notice>,
    /// Deliveries to the other channels.
    pub delivered: Vec<(Channel, Notice)>,
    /// The enabled channels.
    pub channels: BTreeSet<Channel>,
    /// The stored violations.
    pub violations: BTreeMap<ViolationKey, Versioned<ViolationRecord>>,
    /// Digest windows with buffered notices.
    pub windows: BTreeMap<ViolationGroup, DigestWindow>,
    /// Scheduled flush messages with their times.
    pub flushes: Vec<(Timestamp, ViolationGroup)>,
    /// Dead-lettered messages with their reasons.
    pub dead_letters: Vec<(String, String)>,
    /// The published reporting settings.
    pub reporting: Option<Reporting>,
    /// Their digest in the state of `deploy`.
    pub reporting_digest: Option<String>,
    /// Names of the organization's accounts, as published.
    pub account_names: BTreeMap<AccountId, String>,
    /// The organization's accounts, if this account may list them.
    pub organization: Option<BTreeMap<AccountId, String>>,
    /// The progress of a sweep.
    pub progress: Versioned<Option<SweepProgress>>,
    /// The blind spots of the last sweep.
    pub blind: Vec<BlindSpot>,
    /// Reasons for unobserved locations, as the aggregator reports them.
    pub blind_reasons: BTreeMap<(AccountId, RegionName), BlindSpotReason>,
    /// The week of the last reminders.
    pub reminders: Option<ReminderWeek>,
    /// Exemptions whose end was announced.
    pub expiry_told: BTreeSet<String>,
    /// Resources in AWS Config.
    pub resources: BTreeMap<ResourceId, ResourceDetails>,
    /// Results of Audit Manager's rules in AWS Config: by location, then by rule.
    pub compliance: BTreeMap<(AccountId, RegionName), BTreeMap<String, Vec<EvaluationResult>>>,
    /// The enabled sources for AWS Config's results.
    pub sources: Vec<ComplianceApi>,
    /// Locations that a source does not show.
    pub hidden: BTreeSet<(ComplianceApi, AccountId, RegionName)>,
    /// Backup plans by location.
    pub plans: BTreeMap<(AccountId, RegionName), Vec<Plan>>,
    /// AWS Backup in the organization.
    pub backup: FakeBackup,
    /// The newest inventory in the bucket.
    pub inventory: Option<StoredInventory>,
    /// The partial inventory in the bucket.
    pub partial_inventory: Option<String>,
    /// The process dies at the step of this number from now: the call never returns. A call has two steps, before its
    /// effect and after it.
    pub dies_in: Option<usize>,
    /// Steps of network calls so far.
    pub steps: usize,
    /// The interruption at the step of this number: before the call takes effect, or after it.
    pub strikes: BTreeMap<usize, Interruption>,
    /// The calls that were interrupted.
    pub struck: Vec<(&'static str, Interruption)>,
    /// Every step of a call yields to other tasks, for tests that run two at once.
    pub yields: bool,
    /// Every stored record with the record that it replaced; `None`: not kept.
    pub written: Option<Vec<StoredWrite>>,
    /// The indexes of the table do not contain the last write yet.
    pub index_lags: bool,
    last_write: Option<(ViolationKey, Option<Versioned<ViolationRecord>>)>,
    calls: Vec<&'static str>,
    faults: BTreeMap<&'static str, VecDeque<Option<ScheduledFault>>>,
}

/// An interruption of a network call, at either of its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// The task panics.
    Panics,
    /// The call never returns.
    Hangs,
    /// A transient error.
    Throttles,
    /// A permanent error.
    Denies,
}

/// A stored record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredWrite {
    /// The record before; `None`: a new record.
    pub before: Option<ViolationRecord>,
    /// The record after.
    pub after: ViolationRecord,
    /// The number of notices on the notification topic until then.
    pub notices: usize,
    /// The number of deliveries to the other channels until then.
    pub delivered: usize,
}

#[derive(Debug, Clone)]
struct ScheduledFault {
    error: PortError,
    /// The call takes effect, and only its response is lost.
    after_effect: bool,
}

impl Default for World {
    fn default() -> Self {
        Self {
            state: Arc::new(Mutex::new(WorldState {
                now: Timestamp::from_second(1_796_000_000).unwrap_or(Timestamp::UNIX_EPOCH),
                head: None,
                commits: BTreeMap::new(),
                stack_sets: BTreeMap::new(),
                broken: BTreeMap::new(),
                units: Membership::default(),
                comments: Vec::new(),
                pull_requests: BTreeMap::new(),
                rollouts: BTreeMap::new(),
                removing: false,
                rejected: None,
                orders: BTreeMap::new(),
                accepted: None,
                frameworks: BTreeMap::new(),
                requests: BTreeMap::new(),
                answered: BTreeSet::new(),
                looks: Vec::new(),
                answers: Vec::new(),
                notices: Vec::new(),
                delivered: Vec::new(),
                channels: BTreeSet::from([Channel::Topic]),
                violations: BTreeMap::new(),
                windows: BTreeMap::new(),
                flushes: Vec::new(),
                dead_letters: Vec::new(),
                reporting: None,
                reporting_digest: None,
                account_names: BTreeMap::new(),
                organization: None,
                progress: Versioned { value: None, version: 0 },
                blind: Vec::new(),
                blind_reasons: BTreeMap::new(),
                reminders: None,
                expiry_told: BTreeSet::new(),
                resources: BTreeMap::new(),
                compliance: BTreeMap::new(),
                sources: vec![ComplianceApi::Aggregator],
                hidden: BTreeSet::new(),
                plans: BTreeMap::new(),
                backup: FakeBackup { names_sources: true, ..FakeBackup::default() },
                inventory: None,
                partial_inventory: None,
                dies_in: None,
                steps: 0,
                strikes: BTreeMap::new(),
                struck: Vec::new(),
                yields: false,
                written: None,
                index_lags: false,
                last_write: None,
                calls: Vec::new(),
                faults: BTreeMap::new(),
            })),
        }
    }
}

impl World {
    /// An empty world.
    pub fn new() -> Self {
        Self::default()
    }

    /// The state, to read and to change.
    pub fn state(&self) -> MutexGuard<'_, WorldState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next call of `operation` fails without effect.
    pub fn fail_next(&self, operation: &'static str, kind: PortErrorKind) {
        self.fault(operation, kind, false);
    }

    /// The next call of `operation` takes effect, but its response is lost.
    pub fn lose_next_answer(&self, operation: &'static str) {
        self.fault(operation, PortErrorKind::Retryable, true);
    }

    /// The next call of `operation` succeeds; a fault that is injected afterwards affects the call after it.
    pub fn pass_next(&self, operation: &'static str) {
        self.state().faults.entry(operation).or_default().push_back(None);
    }

    fn fault(&self, operation: &'static str, kind: PortErrorKind, after_effect: bool) {
        self.state()
            .faults
            .entry(operation)
            .or_default()
            .push_back(Some(ScheduledFault { error: error(operation, kind), after_effect }));
    }

    /// The calls since the last time this was called.
    pub fn take_calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.state().calls)
    }

    /// Removes and returns the injected faults that have not happened.
    pub fn take_faults(&self) -> Vec<&'static str> {
        let faults = std::mem::take(&mut self.state().faults);
        faults.into_iter().flat_map(|(operation, faults)| faults.into_iter().map(move |_| operation)).collect()
    }

    /// The calls among these that change state.
    pub fn mutating(calls: &[&'static str]) -> Vec<&'static str> {
        calls
            .iter()
            .filter(|call| {
                let verb = call.split_once(':').map_or(**call, |(_, verb)| verb);
                !["Get", "BatchGet", "Describe", "List", "Query", "Scan", "Select"]
                    .iter()
                    .any(|read| verb.starts_with(read))
            })
            .copied()
            .collect()
    }

    /// The notices published since the last time this was called.
    pub fn take_notices(&self) -> Vec<Notice> {
        std::mem::take(&mut self.state().notices)
    }

    /// Makes a network call: like [`World::call`], with the possible death of the process before or after it.
    pub(crate) async fn remote<T>(
        &self,
        operation: &'static str,
        effect: impl FnOnce(&mut WorldState) -> Result<T>,
    ) -> Result<T> {
        self.step(operation).await?;
        let outcome = self.call(operation, effect);
        self.step(operation).await?;
        outcome
    }

    #[expect(clippy::panic, reason = "a test asks for it")]
    async fn step(&self, operation: &'static str) -> Result<()> {
        let (dead, mut waits, strike) = {
            let mut state = self.state();
            let dead = match &mut state.dies_in {
                None => false,
                Some(0) => true,
                Some(left) => {
                    *left -= 1;
                    false
                }
            };
            let step = state.steps;
            state.steps += 1;
            let strike = state.strikes.get(&step).copied();
            state.struck.extend(strike.map(|strike| (operation, strike)));
            (dead, state.yields, strike)
        };
        if waits {
            std::future::poll_fn(|context| {
                if !waits {
                    return Poll::Ready(());
                }
                waits = false;
                context.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
        }
        if dead {
            std::future::pending::<()>().await;
        }
        match strike {
            None => Ok(()),
            Some(Interruption::Panics) => panic!("{operation}: as the test wants it"),
            Some(Interruption::Hangs) => std::future::pending().await,
            Some(Interruption::Throttles) => Err(error(operation, PortErrorKind::Retryable)),
            Some(Interruption::Denies) => Err(error(operation, PortErrorKind::Denied)),
        }
    }

    /// Makes a call: counts it, fails it if a fault is injected, or applies its effect.
    fn call<T>(&self, operation: &'static str, effect: impl FnOnce(&mut WorldState) -> Result<T>) -> Result<T> {
        let mut state = self.state();
        state.calls.push(operation);
        let fault = state.faults.get_mut(operation).and_then(VecDeque::pop_front).flatten();
        match fault {
            Some(fault) if !fault.after_effect => Err(fault.error),
            Some(fault) => effect(&mut state).and(Err(fault.error)),
            None => effect(&mut state),
        }
    }
}

/// A port error.
pub fn error(operation: &'static str, kind: PortErrorKind) -> PortError {
    PortError {
        operation,
        code: Some(format!("{kind:?}")),
        message: "as the test wants it".into(),
        request_id: Some("00000000-0000-4000-8000-000000000000".into()),
        kind,
    }
}

#[cfg(test)]
mod tests;
