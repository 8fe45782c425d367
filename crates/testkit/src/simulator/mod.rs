//! A simulator of StackSets and of the organisation around them, behind the ports that the AWS adapters implement.
//!
//! It is deterministic: chance comes from a seed, time is the world's clock and moves only when a test moves it. What goes on in
//! between is a queue of events, so that an operation takes its time, fails where it should, and is met by other operations on its
//! way. Faults of calls, the journal of calls and the steps at which a process may die are those of the [`World`] that it is made
//! for: one knows of all calls, whoever takes them.
//!
//! The rules are those of the CloudFormation user guide and API reference. Where these are silent, the rule is marked as assumed.

mod auto;
mod dice;
mod operation;
mod organization;
mod ports;
mod stack_set;
#[cfg(test)]
mod tests;

pub use dice::Dice;
pub use operation::{By, Preferences, Progress, Result as InstanceResult, Run, Scope, Task};
pub use organization::{AccountState, Organization};
pub use stack_set::{Definition, Fate, SimulatedInstance, SimulatedStackSet, Stack};

use crate::world::World;
use domain::ids::{AccountId, StackSetName, UnitId};
use domain::rollout::Instance;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// StackSets and an organisation. Clones are the same.
#[derive(Debug, Clone)]
pub struct Simulator {
    world: World,
    cloud: Arc<Mutex<Cloud>>,
}

/// What there is. Tests may look at and change all of it.
#[derive(Debug)]
pub struct Cloud {
    /// How it behaves.
    pub settings: Settings,
    /// The organisation.
    pub organization: Organization,
    /// StackSets by name.
    pub stack_sets: BTreeMap<StackSetName, SimulatedStackSet>,
    /// Stacks that a StackSet has let go of: they stay in their accounts.
    pub retained: BTreeMap<(StackSetName, Instance), Stack>,
    /// What goes wrong where.
    pub faults: BTreeMap<Instance, InstanceFault>,
    /// What has happened, in its order; a test may take it.
    pub log: Vec<(Timestamp, Event)>,
    dice: Dice,
    queue: BTreeMap<(Timestamp, u64), Due>,
    number: u64,
}

/// How the simulator behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Least and most time that one instance takes.
    pub takes: (SignedDuration, SignedDuration),
    /// So long an operation that was just accepted cannot be found by its id. Assumed: the documents say it of lists.
    pub hidden_for: SignedDuration,
    /// A call is stale if another operation was accepted so shortly before.
    pub stale_within: SignedDuration,
    /// Most operations that wait under managed execution; with 0, what would wait is refused.
    pub queue_limit: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            takes: (SignedDuration::from_secs(20), SignedDuration::from_secs(90)),
            hidden_for: SignedDuration::ZERO,
            stale_within: SignedDuration::ZERO,
            queue_limit: 10_000,
        }
    }
}

/// What goes wrong with an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceFault {
    /// How often; `None`: always.
    pub times: Option<u32>,
    /// In CloudFormation's words.
    pub reason: String,
    /// Which work fails.
    pub of: Faulty,
}

/// Which work on an instance fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Faulty {
    /// Any but letting go of it.
    Everything,
    /// Creating and updating.
    Deploying,
    /// Deleting, unless the stack is retained.
    Deleting,
}

/// Something that has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A StackSet was created.
    Created {
        /// Its name.
        stack_set: StackSetName,
    },
    /// It was deleted.
    Removed {
        /// Its name.
        stack_set: StackSetName,
    },
    /// An operation was accepted.
    Accepted {
        /// On which StackSet.
        stack_set: StackSetName,
        /// Its id.
        id: String,
        /// Whose.
        by: By,
        /// What it is to do.
        task: Task,
        /// The instances that it is about, as far as there are any yet.
        about: Vec<Instance>,
    },
    /// The id of an operation came again.
    Repeated {
        /// On which StackSet.
        stack_set: StackSetName,
        /// The id.
        id: String,
    },
    /// An operation was asked to stop.
    Stopped {
        /// On which StackSet.
        stack_set: StackSetName,
        /// Its id.
        id: String,
    },
    /// All instances of a StackSet were listed.
    Observed {
        /// Which.
        stack_set: StackSetName,
    },
    /// An operation has ended.
    Ended {
        /// On which StackSet.
        stack_set: StackSetName,
        /// Its id.
        id: String,
        /// How.
        how: Progress,
    },
    /// An instance is no more.
    Gone {
        /// Of which StackSet.
        stack_set: StackSetName,
        /// Which.
        instance: Instance,
        /// Whose operation it was.
        by: By,
        /// The stack stays.
        retained: bool,
    },
}

/// What is to happen at a time.
#[derive(Debug, Clone)]
enum Due {
    /// Work on an instance is done.
    Instance { stack_set: StackSetName, id: String, instance: Instance },
    /// An operation without instances is done.
    Operation { stack_set: StackSetName, id: String },
}

impl Simulator {
    /// An empty one, with the world's clock.
    #[must_use]
    pub fn new(world: &World, seed: u64) -> Self {
        Self {
            world: world.clone(),
            cloud: Arc::new(Mutex::new(Cloud {
                settings: Settings::default(),
                organization: Organization::default(),
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

    /// The state, to look at and to change: the truth, of which the ports tell what AWS tells.
    pub fn cloud(&self) -> MutexGuard<'_, Cloud> {
        self.cloud.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets time pass, and what is due in it happen.
    pub fn advance(&self, by: SignedDuration) {
        let until = self.now().checked_add(by).unwrap_or(Timestamp::MAX);
        while self.next(until) {}
        self.world.state().now = until;
    }

    /// Lets operations run until none is left; time passes as they need it. The number of operations that have ended.
    pub fn run_until_idle(&self) -> usize {
        let before = self.cloud().ended();
        while self.next(Timestamp::MAX) {}
        self.cloud().ended() - before
    }

    /// Whether any operation runs or waits.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.cloud().stack_sets.values().any(SimulatedStackSet::is_busy)
    }

    /// Somebody starts an operation by hand.
    ///
    /// # Errors
    /// The code with which AWS refuses it.
    pub fn by_hand(
        &self,
        name: &StackSetName,
        task: Task,
        scope: Scope,
        preferences: Preferences,
    ) -> Result<String, &'static str> {
        let now = self.now();
        let mut cloud = self.cloud();
        let id = cloud.fresh_id("hand");
        let run = Run::new(&id, By::Hand, task, scope, preferences, now);
        cloud.accept(name, run, now).map(|_| id)
    }

    /// An account joins the organisation, moves to another of its units, or (`None`) leaves it.
    pub fn move_account(&self, account: &AccountId, to: Option<&UnitId>) {
        let now = self.now();
        self.cloud().move_account(account, to, now);
    }

    /// An account is suspended, closed, or active again.
    pub fn set_state(&self, account: &AccountId, state: AccountState) {
        self.cloud().organization.set_state(account, state);
    }

    fn now(&self) -> Timestamp {
        self.world.state().now
    }

    /// Lets the next thing happen that is due by then.
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

impl Cloud {
    /// What has become of an instance.
    #[must_use]
    pub fn fate(&self, name: &StackSetName, instance: &Instance) -> Fate {
        let found = self.stack_sets.get(name).and_then(|stack_set| stack_set.instances.get(instance));
        found.map_or(Fate::Missing, SimulatedInstance::fate)
    }

    fn ended(&self) -> usize {
        let runs = self.stack_sets.values().flat_map(|stack_set| stack_set.operations.values());
        runs.filter(|run| run.progress.has_ended()).count()
    }

    fn fresh_id(&mut self, kind: &str) -> String {
        self.number += 1;
        format!("{kind}-{}", self.number)
    }

    /// Something is to happen after the time that work on one instance takes.
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

    fn note(&mut self, now: Timestamp, event: Event) {
        self.log.push((now, event));
    }
}
