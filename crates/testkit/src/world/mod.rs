//! A world to run the use cases in: every port of `app`, stateful, with a journal of calls and faults on demand.
//!
//! The same contract tests run on this and on the adapters against the local cloud (`tests/contract`), so that it tells the
//! truth about what matters.

mod backup;
mod compliance;
mod outlets;
mod repository;
mod stack_sets;
mod stores;
mod violations;

use app::deploy::{FrameworkFacts, Rollout};
use app::lifecycle::{Answer, Waiting};
use app::ports::{
    EvaluationResult, PortError, PortErrorKind, Progress, Reminders, ResourceId, Result, Selection, Versioned, Via,
    Window,
};
use domain::ids::{AccountId, CommitId, RegionName, StackSetName};
use domain::notice::{BlindReason, BlindSpot, Notice};
use domain::policy::Reporting;
use domain::rollout::Membership;
use domain::violation::{Group, Key, Outlet, Record, ResourceFacts};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

pub use backup::{FakeBackup, FakePlace};
pub use repository::Commit;
pub use stack_sets::FakeStackSet;

/// Every port at once. Clones are the same world.
#[derive(Debug, Clone)]
pub struct World {
    state: Arc<Mutex<State>>,
}

/// What a world holds. Tests may look at and change all of it.
#[derive(Debug)]
pub struct State {
    /// The time; moves only when a test moves it.
    pub now: Timestamp,
    /// The branch's head.
    pub head: Option<CommitId>,
    /// All commits.
    pub commits: BTreeMap<CommitId, Commit>,
    /// The StackSets by name.
    pub stack_sets: BTreeMap<StackSetName, FakeStackSet>,
    /// Instances (`account/region`) on which operations fail, and why.
    pub broken: BTreeMap<String, String>,
    /// The organisation's units, its management account and its inactive accounts.
    pub units: Membership,
    /// Comments on commits.
    pub comments: Vec<(CommitId, String)>,
    /// The rollouts that `deploy` remembers.
    pub rollouts: BTreeMap<StackSetName, Versioned<Rollout>>,
    /// The marker of a removal.
    pub removing: bool,
    /// The commit whose rejection was told.
    pub rejected: Option<CommitId>,
    /// The controls in force.
    pub frameworks: BTreeMap<StackSetName, FrameworkFacts>,
    /// Requests that wait.
    pub requests: BTreeMap<String, Waiting>,
    /// Requests that were answered.
    pub answered: BTreeSet<String>,
    /// Requests for which `deploy` was woken.
    pub looks: Vec<String>,
    /// Answers that CloudFormation got.
    pub answers: Vec<Answer>,
    /// Notices published on the notification topic.
    pub notices: Vec<Notice>,
    /// What the other outlets were told.
    pub told: Vec<(Outlet, Notice)>,
    /// The outlets that are switched on.
    pub outlets: BTreeSet<Outlet>,
    /// Violations on record.
    pub violations: BTreeMap<Key, Versioned<Record>>,
    /// Windows in which what comes is held.
    pub windows: BTreeMap<Group, Window>,
    /// Flushes that were asked for, and when they come.
    pub flushes: Vec<(Timestamp, Group)>,
    /// Messages that can never be understood, with their reasons.
    pub buried: Vec<(String, String)>,
    /// How violations are judged and told, as published.
    pub reporting: Option<Reporting>,
    /// The digest of it that `deploy` remembers.
    pub reporting_digest: Option<String>,
    /// Names of the organisation's accounts, as published.
    pub account_names: BTreeMap<AccountId, String>,
    /// The organisation's accounts, if this one may ask.
    pub organization: Option<BTreeMap<AccountId, String>>,
    /// How far a sweep is.
    pub progress: Versioned<Option<Progress>>,
    /// What the last sweep could not see.
    pub blind: Vec<BlindSpot>,
    /// Why places cannot be seen, as the aggregator knows it.
    pub blind_reasons: BTreeMap<(AccountId, RegionName), BlindReason>,
    /// The week of the last reminders.
    pub reminders: Option<Reminders>,
    /// Exemptions whose end was told.
    pub expiry_told: BTreeSet<String>,
    /// What AWS Config knows of resources.
    pub resources: BTreeMap<ResourceId, ResourceFacts>,
    /// Results of Audit Manager's rules in AWS Config: by place, then by rule.
    pub compliance: BTreeMap<(AccountId, RegionName), BTreeMap<String, Vec<EvaluationResult>>>,
    /// The ways to AWS Config that are set up.
    pub ways: Vec<Via>,
    /// Places that a way does not show.
    pub hidden: BTreeSet<(Via, AccountId, RegionName)>,
    /// Backup selections by place.
    pub selections: BTreeMap<(AccountId, RegionName), Vec<Selection>>,
    /// AWS Backup in the organisation.
    pub backup: FakeBackup,
    /// The process dies at the step of this number from now: calls go on for ever. A call has two steps, before its effect and
    /// after it.
    pub dies_in: Option<usize>,
    /// Steps of calls over the network so far.
    pub steps: usize,
    /// What happens at the step of this number: before its call takes effect, or after it.
    pub strikes: BTreeMap<usize, Strike>,
    /// Which calls that has happened to.
    pub struck: Vec<(&'static str, Strike)>,
    /// Every step of a call lets others go first: for tests that run two at once.
    pub yields: bool,
    /// Every record that was stored, with what it replaced; `None`: not kept.
    pub written: Option<Vec<Written>>,
    /// The indexes of the table do not know of the last write yet.
    pub index_lags: bool,
    last_write: Option<(Key, Option<Versioned<Record>>)>,
    calls: Vec<&'static str>,
    faults: BTreeMap<&'static str, VecDeque<Option<Fault>>>,
}

/// What can happen to a call over the network, at either of its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strike {
    /// The task panics.
    Panics,
    /// It waits for ever.
    Hangs,
    /// An error that may pass.
    Throttles,
    /// An error that will not.
    Denies,
}

/// A record that was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// As it was before; `None`: there was none.
    pub before: Option<Record>,
    /// As it is now.
    pub after: Record,
    /// Notices published on the notification topic until then.
    pub notices: usize,
    /// What the other outlets had been told until then.
    pub told: usize,
}

#[derive(Debug, Clone)]
struct Fault {
    error: PortError,
    /// The call takes effect all the same: only its answer is lost.
    after_effect: bool,
}

impl Default for World {
    fn default() -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                now: Timestamp::from_second(1_796_000_000).unwrap_or(Timestamp::UNIX_EPOCH),
                head: None,
                commits: BTreeMap::new(),
                stack_sets: BTreeMap::new(),
                broken: BTreeMap::new(),
                units: Membership::default(),
                comments: Vec::new(),
                rollouts: BTreeMap::new(),
                removing: false,
                rejected: None,
                frameworks: BTreeMap::new(),
                requests: BTreeMap::new(),
                answered: BTreeSet::new(),
                looks: Vec::new(),
                answers: Vec::new(),
                notices: Vec::new(),
                told: Vec::new(),
                outlets: BTreeSet::from([Outlet::Topic]),
                violations: BTreeMap::new(),
                windows: BTreeMap::new(),
                flushes: Vec::new(),
                buried: Vec::new(),
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
                ways: vec![Via::Aggregator],
                hidden: BTreeSet::new(),
                selections: BTreeMap::new(),
                backup: FakeBackup { names_sources: true, ..FakeBackup::default() },
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
    /// A world with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The state, to look at and to change.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next call of `operation` fails and does nothing.
    pub fn fail_next(&self, operation: &'static str, kind: PortErrorKind) {
        self.fault(operation, kind, false);
    }

    /// The next call of `operation` takes effect, but its answer is lost.
    pub fn lose_next_answer(&self, operation: &'static str) {
        self.fault(operation, PortErrorKind::Retryable, true);
    }

    /// The next call of `operation` succeeds: a fault that is asked for after this happens to the one behind it.
    pub fn pass_next(&self, operation: &'static str) {
        self.state().faults.entry(operation).or_default().push_back(None);
    }

    fn fault(&self, operation: &'static str, kind: PortErrorKind, after_effect: bool) {
        self.state()
            .faults
            .entry(operation)
            .or_default()
            .push_back(Some(Fault { error: error(operation, kind), after_effect }));
    }

    /// The calls since the last time this was asked.
    pub fn take_calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.state().calls)
    }

    /// Faults that were asked for and have not happened. They will not.
    pub fn take_faults(&self) -> Vec<&'static str> {
        let faults = std::mem::take(&mut self.state().faults);
        faults.into_iter().flat_map(|(operation, faults)| faults.into_iter().map(move |_| operation)).collect()
    }

    /// Of these calls, those that change something.
    #[must_use]
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

    /// The notices published since the last time this was asked.
    pub fn take_notices(&self) -> Vec<Notice> {
        std::mem::take(&mut self.state().notices)
    }

    /// Makes a call over the network: as [`World::call`], and the process may die before it or after it.
    pub(crate) async fn remote<T>(
        &self,
        operation: &'static str,
        effect: impl FnOnce(&mut State) -> Result<T>,
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
            Some(Strike::Panics) => panic!("{operation}: as the test wants it"),
            Some(Strike::Hangs) => std::future::pending().await,
            Some(Strike::Throttles) => Err(error(operation, PortErrorKind::Retryable)),
            Some(Strike::Denies) => Err(error(operation, PortErrorKind::Denied)),
        }
    }

    /// Makes a call: counts it, lets it fail if it is to fail, lets it take effect.
    fn call<T>(&self, operation: &'static str, effect: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
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

/// An error of a port.
#[must_use]
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
