//! A simulator of StackSets and their organization, behind the ports that the AWS adapters implement.
//!
//! It is deterministic: random numbers come from a seed, and the world's clock moves only when a test moves it. Operations
//! proceed through a queue of events, so that they take time, fail where a fault is injected, and overlap with others. The
//! [`World`] that it belongs to injects the faults of calls, keeps the journal of calls, and decides at which step a process
//! dies; its journal has the calls to both.
//!
//! The rules come from the CloudFormation user guide and API reference. A rule that these do not specify is marked as assumed.

mod auto;
mod definition;
mod dice;
mod operation;
mod organization;
mod ports;
mod run;
mod stack_set;
#[cfg(test)]
mod tests;

pub use definition::{SimulatedDefinition, SimulatedStack};
pub use dice::Dice;
pub use organization::{AccountState, SimulatedOrganization};
pub use run::{
    InstanceResult, OperationOrigin, OperationScope, OperationTask, SimulatedOperation, SimulatedPreferences,
    SimulatedProgress,
};
pub use stack_set::{SimulatedInstance, SimulatedOutcome, SimulatedStackSet};

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use domain::rollout::Instance;
use framework::ids::{AccountId, StackSetName, UnitId};

use crate::world::World;

/// StackSets and an organization. Clones share their state.
#[derive(Debug, Clone)]
pub struct Simulator {
    world: World,
    cloud: Arc<Mutex<SimulatedCloud>>,
}

/// The state, which tests may read and change.
#[derive(Debug)]
pub struct SimulatedCloud {
    /// The behavior.
    pub settings: SimulatorSettings,
    /// The organization.
    pub organization: SimulatedOrganization,
    /// StackSets by name.
    pub stack_sets: BTreeMap<StackSetName, SimulatedStackSet>,
    /// Stacks that a StackSet has retained: they stay in their accounts.
    pub retained: BTreeMap<(StackSetName, Instance), SimulatedStack>,
    /// Injected faults by location.
    pub faults: BTreeMap<Instance, InjectedInstanceFault>,
    /// The events so far, in order; a test may take them.
    pub log: Vec<(Timestamp, SimulatorEvent)>,
    dice: Dice,
    queue: BTreeMap<(Timestamp, u64), Due>,
    number: u64,
}

/// The behavior of the simulator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulatorSettings {
    /// Minimum and maximum duration of the work on one instance.
    pub takes: (SignedDuration, SignedDuration),
    /// For this time after its acceptance, an operation cannot be found by its id. Assumed: the documentation
    /// describes it for lists.
    pub hidden_for: SignedDuration,
    /// A call is stale if another operation was accepted this short a time before.
    pub stale_within: SignedDuration,
    /// The most operations that wait under managed execution; with 0, operations are rejected instead of queued.
    pub queue_limit: usize,
}

impl Default for SimulatorSettings {
    fn default() -> Self {
        Self {
            takes: (SignedDuration::from_secs(20), SignedDuration::from_secs(90)),
            hidden_for: SignedDuration::ZERO,
            stale_within: SignedDuration::ZERO,
            queue_limit: 10_000,
        }
    }
}

/// A fault of the work on an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InjectedInstanceFault {
    /// The number of failures; `None`: always.
    pub times: Option<u32>,
    /// CloudFormation's reason.
    pub reason: String,
    /// The kind of work that fails.
    pub of: FaultyWork,
}

/// The kind of work on an instance that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultyWork {
    /// All work except retaining the stack.
    Everything,
    /// Creation and update.
    Deploying,
    /// Deletion without retaining the stack.
    Deleting,
}

/// An event in the simulation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SimulatorEvent {
    /// A StackSet was created.
    Created {
        /// Its name.
        stack_set: StackSetName,
    },
    /// A StackSet was deleted.
    Removed {
        /// Its name.
        stack_set: StackSetName,
    },
    /// An operation was accepted.
    Accepted {
        /// The StackSet.
        stack_set: StackSetName,
        /// The id of the operation.
        id: String,
        /// The origin of the operation.
        by: OperationOrigin,
        /// The task of the operation.
        task: OperationTask,
        /// The instances of the operation that exist already.
        about: Vec<Instance>,
    },
    /// A call repeated the id of an operation.
    Repeated {
        /// The StackSet.
        stack_set: StackSetName,
        /// The id.
        id: String,
    },
    /// A call requested that an operation stops.
    Stopped {
        /// The StackSet.
        stack_set: StackSetName,
        /// The id of the operation.
        id: String,
    },
    /// All instances of a StackSet were listed.
    Observed {
        /// The StackSet.
        stack_set: StackSetName,
    },
    /// An operation has ended.
    Ended {
        /// The StackSet.
        stack_set: StackSetName,
        /// The id of the operation.
        id: String,
        /// The final status.
        how: SimulatedProgress,
    },
    /// An instance was deleted.
    Gone {
        /// The StackSet.
        stack_set: StackSetName,
        /// The instance.
        instance: Instance,
        /// The origin of the operation.
        by: OperationOrigin,
        /// The stack is retained.
        retained: bool,
    },
}

/// The next step of an operation at its time.
#[derive(Debug, Clone)]
enum Due {
    /// Work on an instance ends.
    Instance { stack_set: StackSetName, id: String, instance: Instance },
    /// An operation without instances ends.
    Operation { stack_set: StackSetName, id: String },
}

impl Simulator {
    /// An empty simulator with the world's clock.
    pub fn new(world: &World, seed: u64) -> Self {
        Self {
            world: world.clone(),
            cloud: Arc::new(Mutex::new(SimulatedCloud {
                settings: SimulatorSettings::default(),
                organization: SimulatedOrganization::default(),
                stack_sets: BTreeMap::new(),
                retained: BTreeMap::new(),
                faults: BTreeMap::new(),
                log: Vec::new(),
                dice: Dice::new(seed),
                queue: BTreeMap::new(),
                number: 0,
            })),
        }
    }

    /// The state, to read and to change. The ports return the part of it that AWS returns.
    pub fn cloud(&self) -> MutexGuard<'_, SimulatedCloud> {
        self.cloud.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Advances the clock and runs all events that become due.
    pub fn advance(&self, by: SignedDuration) {
        let until = self.now().checked_add(by).unwrap_or(Timestamp::MAX);
        while self.next(until) {}
        self.world.state().now = until;
    }

    /// Runs operations until none is left, and advances the clock as needed. Returns the number of operations that
    /// have ended.
    pub fn run_until_idle(&self) -> usize {
        let before = self.cloud().ended();
        while self.next(Timestamp::MAX) {}
        self.cloud().ended() - before
    }

    /// Whether an operation runs or waits.
    pub fn is_busy(&self) -> bool {
        self.cloud().stack_sets.values().any(SimulatedStackSet::is_busy)
    }

    /// Starts an operation on behalf of a user.
    ///
    /// # Errors
    /// The code with which AWS rejects it.
    pub fn by_hand(
        &self,
        name: &StackSetName,
        task: OperationTask,
        scope: OperationScope,
        preferences: SimulatedPreferences,
    ) -> Result<String, &'static str> {
        let now = self.now();
        let mut cloud = self.cloud();
        let id = cloud.fresh_id("hand");
        let run = SimulatedOperation::new(&id, OperationOrigin::Hand, task, scope, preferences, now);
        cloud.accept(name, run, now).map(|_| id)
    }

    /// Requests on behalf of a user that an operation stops.
    pub fn stop_by_hand(&self, name: &StackSetName, id: &str) {
        let now = self.now();
        self.cloud().stop(name, id, now);
    }

    /// Moves an account into the organization, to another unit, or (`None`) out of it.
    pub fn move_account(&self, account: &AccountId, to: Option<&UnitId>) {
        let now = self.now();
        self.cloud().move_account(account, to, now);
    }

    /// Suspends, closes or reopens an account.
    pub fn set_state(&self, account: &AccountId, state: AccountState) {
        self.cloud().organization.set_state(account, state);
    }

    fn now(&self) -> Timestamp {
        self.world.state().now
    }

    /// Runs the next event that is due by then.
    fn next(&self, until: Timestamp) -> bool {
        let due = {
            let mut cloud = self.cloud();
            match cloud.queue.first_key_value() {
                Some(((at, _), _)) if *at <= until => cloud.queue.pop_first(),
                _ => None,
            }
        };
        let Some(((at, _), due)) = due else { return false };
        {
            let mut state = self.world.state();
            state.now = state.now.max(at);
        }
        let mut cloud = self.cloud();
        match due {
            Due::Instance { stack_set, id, instance } => cloud.instance_done(&stack_set, &id, &instance, at),
            Due::Operation { stack_set, id } => cloud.empty_done(&stack_set, &id, at),
        }
        true
    }
}

impl SimulatedCloud {
    /// The status of an instance.
    pub fn fate(&self, name: &StackSetName, instance: &Instance) -> SimulatedOutcome {
        let found = self.stack_sets.get(name).and_then(|stack_set| stack_set.instances.get(instance));
        found.map_or(SimulatedOutcome::Missing, SimulatedInstance::fate)
    }

    fn ended(&self) -> usize {
        let runs = self.stack_sets.values().flat_map(|stack_set| stack_set.operations.values());
        runs.filter(|run| run.progress.has_ended()).count()
    }

    fn fresh_id(&mut self, kind: &str) -> String {
        self.number += 1;
        format!("{kind}-{}", self.number)
    }

    /// Schedules an event after the duration of the work on one instance.
    fn schedule(&mut self, now: Timestamp, due: Due) {
        let (least, most) = self.settings.takes;
        let spread = most.saturating_sub(least).as_millis();
        let more = match usize::try_from(spread) {
            Ok(spread) if spread > 0 => self.dice.below(spread),
            _ => 0,
        };
        let takes = least.saturating_add(SignedDuration::from_millis(i64::try_from(more).unwrap_or(0)));
        self.number += 1;
        self.queue.insert((now.checked_add(takes).unwrap_or(Timestamp::MAX), self.number), due);
    }

    fn note(&mut self, now: Timestamp, event: SimulatorEvent) {
        self.log.push((now, event));
    }
}
