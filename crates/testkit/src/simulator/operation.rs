//! Operations: how they start, fail, stop and end.

use super::stack_set::{Definition, SimulatedInstance, SimulatedStackSet};
use super::{AccountState, Cloud, Due, Event, Faulty};
use app::ports::Accepted;
use domain::ids::{AccountId, RegionName, StackSetName, UnitId};
use domain::policy::{Amount, ConcurrencyMode, RegionConcurrency, Rollout};
use domain::rollout::{DetailedStatus, Instance, InstanceStatus, Operation, Parameters, PermissionModel, Places};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// How operations proceed (`OperationPreferences` of the CloudFormation API).
pub type Preferences = Rollout;

/// An operation.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its id.
    pub id: String,
    /// Whose.
    pub by: By,
    /// What it does.
    pub task: Task,
    /// Where.
    pub scope: Scope,
    /// How it proceeds.
    pub preferences: Preferences,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// How far it is.
    pub progress: Progress,
    /// What has become of each of its instances.
    pub results: BTreeMap<Instance, Result>,
    /// When work on each instance began, in that order.
    pub begun: Vec<(Timestamp, Instance)>,
    regions: Vec<Region>,
}

/// Whose operation it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// It came through the port.
    Port,
    /// Somebody started it by hand.
    Hand,
    /// StackSets did, because an account has joined or left.
    AutoDeployment,
}

/// What an operation does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// `CreateStackInstances`.
    Create(Parameters),
    /// `UpdateStackInstances`; `None` keeps all overrides.
    Update(Option<Parameters>),
    /// `UpdateStackSet` with another definition.
    Define(Box<Definition>),
    /// `DeleteStackInstances`.
    Delete {
        /// The stacks stay.
        retain: bool,
    },
    /// `UpdateStackSet` that switches managed execution.
    ManageExecution(bool),
    /// `DetectStackSetDrift`: changes nothing, and takes its time.
    DetectDrift,
}

/// Where an operation works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// On all instances that there are.
    All,
    /// In these places: accounts, or units with a filter.
    Places(Places),
}

/// `StackSetOperation.Status` of the CloudFormation API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Waits for others that it conflicts with.
    Queued,
    /// Runs.
    Running,
    /// Was asked to stop, and is still at what it has begun.
    Stopping,
    /// Has ended, within its tolerance.
    Succeeded,
    /// Has ended, beyond it.
    Failed,
    /// Has ended because it was asked to.
    Stopped,
}

/// What has become of an instance in an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Result {
    /// Its turn has not come.
    Pending,
    /// Being worked on.
    Running,
    /// Done.
    Succeeded,
    /// Not done.
    Failed,
    /// Its turn will not come.
    Cancelled,
    /// Left alone: the account is suspended.
    Skipped,
}

#[derive(Debug, Clone)]
struct Region {
    name: RegionName,
    pending: VecDeque<AccountId>,
    running: usize,
    failed: usize,
    /// Most at the same time.
    most: usize,
    tolerance: usize,
}

impl Region {
    fn is_done(&self) -> bool {
        self.pending.is_empty() && self.running == 0
    }

    fn has_failed(&self) -> bool {
        self.failed > self.tolerance
    }

    /// How many may be worked on at the same time now.
    ///
    /// A sliding window: whenever one is done, the next begins. Strict, no more than would exceed the tolerance by one if all of
    /// them failed.
    fn window(&self, mode: ConcurrencyMode) -> usize {
        match mode {
            ConcurrencyMode::Soft => self.most,
            ConcurrencyMode::Strict => self.most.min((self.tolerance + 1).saturating_sub(self.failed)),
        }
    }
}

impl Progress {
    /// Whether it is over.
    #[must_use]
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Stopped)
    }
}

impl Run {
    /// An operation that is about to be accepted.
    #[must_use]
    pub fn new(id: &str, by: By, task: Task, scope: Scope, preferences: Preferences, now: Timestamp) -> Self {
        Self {
            id: id.to_owned(),
            by,
            task,
            scope,
            preferences,
            accepted: now,
            progress: Progress::Queued,
            results: BTreeMap::new(),
            begun: Vec::new(),
            regions: Vec::new(),
        }
    }

    /// The number of instances of which this has become.
    #[must_use]
    pub fn count(&self, result: Result) -> usize {
        self.results.values().filter(|found| **found == result).count()
    }

    fn prepare(&mut self, instances: &BTreeSet<Instance>) {
        self.results = instances.iter().map(|instance| (instance.clone(), Result::Pending)).collect();
        let mut accounts: BTreeMap<RegionName, VecDeque<AccountId>> = BTreeMap::new();
        for instance in instances {
            accounts.entry(instance.region.clone()).or_default().push_back(instance.account.clone());
        }
        let mut order: Vec<RegionName> =
            self.preferences.region_order.iter().filter(|region| accounts.contains_key(*region)).cloned().collect();
        // Assumed: Regions that the order does not name come last, by name.
        order.extend(accounts.keys().filter(|region| !self.preferences.region_order.contains(region)).cloned());
        self.regions = order
            .into_iter()
            .map(|name| {
                let pending = accounts.remove(&name).unwrap_or_default();
                let all = pending.len();
                let of = |amount| match amount {
                    Amount::Count(count) => usize::try_from(count).unwrap_or(usize::MAX),
                    // Percentages round down.
                    Amount::Percentage(percentage) => all * usize::from(percentage) / 100,
                };
                let most = of(self.preferences.max_concurrency).max(1);
                let tolerance = of(self.preferences.failure_tolerance);
                Region { name, pending, running: 0, failed: 0, most, tolerance }
            })
            .collect();
    }

    /// Cancels what has not begun, in the Regions that this is true of.
    fn cancel(&mut self, stack_set: &mut SimulatedStackSet, of: impl Fn(usize, &Region) -> bool) {
        let deletes = matches!(self.task, Task::Delete { .. });
        for (number, region) in self.regions.iter_mut().enumerate() {
            if !of(number, region) {
                continue;
            }
            for account in region.pending.drain(..) {
                let instance = Instance { account, region: region.name.clone() };
                if let Some(found) = stack_set.instances.get_mut(&instance) {
                    // Assumed: an instance that was to be deleted stays what it was.
                    if !deletes && found.status != InstanceStatus::Inoperable {
                        found.status = InstanceStatus::Outdated;
                    }
                    if found.status != InstanceStatus::Inoperable {
                        found.detailed = DetailedStatus::Cancelled;
                        found.reason = Some(CANCELLED.to_owned());
                    }
                }
                self.results.insert(instance, Result::Cancelled);
            }
        }
    }
}

const CANCELLED: &str = "Cancelled since failure tolerance has exceeded, or the operation was stopped";

/// The code of an error of the CloudFormation API.
pub(super) type Code = &'static str;

impl Cloud {
    /// Takes an operation on, and begins it if nothing is in its way.
    pub(super) fn accept(
        &mut self,
        name: &StackSetName,
        mut run: Run,
        now: Timestamp,
    ) -> std::result::Result<Accepted, Code> {
        let Some(stack_set) = self.stack_sets.get(name) else { return Err("StackSetNotFoundException") };
        if stack_set.operations.contains_key(&run.id) {
            self.note(now, Event::Repeated { stack_set: name.clone(), id: run.id });
            return Ok(Accepted::Before);
        }
        if self.settings.stale_within.is_positive() {
            let since = now.checked_sub(self.settings.stale_within).unwrap_or(Timestamp::MIN);
            if stack_set.operations.values().any(|other| other.accepted > since) {
                return Err("StaleRequestException");
            }
        }
        if stack_set.is_busy() && (!stack_set.managed_execution || matches!(run.task, Task::ManageExecution(_))) {
            return Err("OperationInProgressException");
        }
        let targets = self.targets(stack_set, &run);
        if let Task::Update(_) = run.task {
            let none = match &run.scope {
                Scope::Places(places) if places.through.is_none() => {
                    places.instances().any(|instance| !stack_set.instances.contains_key(&instance))
                }
                _ => targets.is_empty(),
            };
            if none {
                return Err("StackInstanceNotFoundException");
            }
        }
        if let (Some(_), PermissionModel::SelfManaged) = (through(&run.scope), stack_set.permissions) {
            return Err("ValidationError");
        }
        if through(&run.scope).is_some_and(|unit| !self.organization.has(unit)) {
            return Err("ValidationError");
        }
        let waits = stack_set.active.iter().filter_map(|id| stack_set.operations.get(id));
        if waits.clone().any(|other| conflict(other, &run, &targets))
            && waits.filter(|other| other.progress == Progress::Queued).count() >= self.settings.queue_limit
        {
            let limited = self.settings.queue_limit > 0;
            return Err(if limited { "LimitExceededException" } else { "OperationInProgressException" });
        }
        let (id, by, task) = (run.id.clone(), run.by, run.task.clone());
        run.results = targets.iter().map(|instance| (instance.clone(), Result::Pending)).collect();
        if let Some(stack_set) = self.stack_sets.get_mut(name) {
            stack_set.active.push(id.clone());
            stack_set.operations.insert(id.clone(), run);
        }
        let about = targets.into_iter().collect();
        self.note(now, Event::Accepted { stack_set: name.clone(), id, by, task, about });
        self.begin_those_that_can(name, now);
        Ok(Accepted::Now)
    }

    /// The instances that an operation works on.
    fn targets(&self, stack_set: &SimulatedStackSet, run: &Run) -> BTreeSet<Instance> {
        let creates = matches!(run.task, Task::Create(_));
        match (&run.task, &run.scope) {
            (Task::ManageExecution(_) | Task::DetectDrift, _) => BTreeSet::new(),
            (_, Scope::All) => stack_set.instances.keys().cloned().collect(),
            (_, Scope::Places(places)) => match &places.through {
                None if creates => places.instances().collect(),
                None => places.instances().filter(|instance| stack_set.instances.contains_key(instance)).collect(),
                Some(through) => {
                    let admits = |account: &AccountId| match &through.filter {
                        domain::rollout::Filter::Whole => true,
                        domain::rollout::Filter::Listed => places.accounts.contains(account),
                        domain::rollout::Filter::Except(listed) => !listed.contains(account),
                    };
                    if creates {
                        let accounts = self.organization.members(&through.unit).filter(|account| admits(account));
                        return accounts
                            .flat_map(|account| {
                                let at =
                                    |region: &RegionName| Instance { account: account.clone(), region: region.clone() };
                                places.regions.iter().map(at)
                            })
                            .collect();
                    }
                    // Assumed: an instance is reached through a unit that its account is in now, and through the one that it
                    // was deployed through.
                    let reached = |instance: &Instance, found: &SimulatedInstance| {
                        places.regions.contains(&instance.region)
                            && admits(&instance.account)
                            && (found.unit.as_ref() == Some(&through.unit)
                                || self.organization.contains(&through.unit, &instance.account))
                    };
                    let instances = stack_set.instances.iter();
                    instances.filter(|(instance, found)| reached(instance, found)).map(|(at, _)| at.clone()).collect()
                }
            },
        }
    }

    /// Begins what waits and is no longer in conflict with what was accepted before it.
    fn begin_those_that_can(&mut self, name: &StackSetName, now: Timestamp) {
        loop {
            let Some(stack_set) = self.stack_sets.get(name) else { return };
            let runs: Vec<&Run> = stack_set.active.iter().filter_map(|id| stack_set.operations.get(id)).collect();
            let can = runs.iter().enumerate().find(|(number, run)| {
                run.progress == Progress::Queued && {
                    let targets = self.targets(stack_set, run);
                    !runs.iter().take(*number).any(|before| conflict(before, run, &targets))
                }
            });
            let Some((_, run)) = can else { return };
            let id = run.id.clone();
            self.begin(name, &id, now);
        }
    }

    fn begin(&mut self, name: &StackSetName, id: &str, now: Timestamp) {
        let Some(stack_set) = self.stack_sets.get(name) else { return };
        let Some(run) = stack_set.operations.get(id) else { return };
        let targets = self.targets(stack_set, run);
        let Some(mut stack_set) = self.stack_sets.remove(name) else { return };
        let Some(mut run) = stack_set.operations.remove(id) else { return };
        run.progress = Progress::Running;
        run.prepare(&targets);
        match &run.task {
            Task::Define(definition) => {
                stack_set.definition = (**definition).clone();
                for found in stack_set.instances.values_mut() {
                    wait(found);
                }
            }
            Task::ManageExecution(on) => stack_set.managed_execution = *on,
            Task::Create(overrides) => {
                let overrides = Arc::new(overrides.clone());
                for instance in &targets {
                    let unit = through(&run.scope).cloned();
                    let new = || SimulatedInstance::new(Arc::clone(&overrides), unit.clone());
                    let found = stack_set.instances.entry(instance.clone()).or_insert_with(new);
                    // Assumed: creating what is there updates it.
                    found.overrides = Arc::clone(&overrides);
                    found.unit = unit;
                    wait(found);
                }
                if let Scope::Places(Places { through: Some(through), regions, .. }) = &run.scope
                    && through.filter != domain::rollout::Filter::Listed
                    && run.by != By::AutoDeployment
                {
                    stack_set.auto_targets.entry(through.unit.clone()).or_default().extend(regions.iter().cloned());
                }
            }
            Task::Update(overrides) => {
                let overrides = overrides.clone().map(Arc::new);
                for instance in &targets {
                    if let Some(found) = stack_set.instances.get_mut(instance) {
                        if let Some(overrides) = &overrides {
                            found.overrides = Arc::clone(overrides);
                        }
                        wait(found);
                    }
                }
            }
            Task::Delete { .. } => {
                for instance in &targets {
                    if let Some(found) = stack_set.instances.get_mut(instance)
                        && found.status != InstanceStatus::Inoperable
                    {
                        found.detailed = DetailedStatus::Pending;
                    }
                }
                if let Scope::Places(Places { through: Some(through), regions, .. }) = &run.scope
                    && through.filter == domain::rollout::Filter::Whole
                    && let Some(known) = stack_set.auto_targets.get_mut(&through.unit)
                {
                    known.retain(|region| !regions.contains(region));
                    if known.is_empty() {
                        stack_set.auto_targets.remove(&through.unit);
                    }
                }
            }
            Task::DetectDrift => {}
        }
        if run.regions.is_empty() {
            self.schedule(now, Due::Operation { stack_set: name.clone(), id: id.to_owned() });
        }
        self.pump(name, &mut stack_set, &mut run, now);
        stack_set.operations.insert(id.to_owned(), run);
        self.stack_sets.insert(name.clone(), stack_set);
    }

    /// Begins work on as many instances as may be worked on now.
    fn pump(&mut self, name: &StackSetName, stack_set: &mut SimulatedStackSet, run: &mut Run, now: Timestamp) {
        let sequential = run.preferences.regions == RegionConcurrency::Sequential;
        let Run { id, regions, results, begun, preferences, .. } = run;
        for region in regions {
            if region.is_done() {
                continue;
            }
            let window = region.window(preferences.mode);
            while region.running < window && !region.has_failed() {
                let Some(account) = region.pending.pop_front() else { break };
                region.running += 1;
                let instance = Instance { account, region: region.name.clone() };
                if let Some(found) = stack_set.instances.get_mut(&instance)
                    && found.status != InstanceStatus::Inoperable
                {
                    found.detailed = DetailedStatus::Running;
                }
                results.insert(instance.clone(), Result::Running);
                begun.push((now, instance.clone()));
                self.schedule(now, Due::Instance { stack_set: name.clone(), id: id.clone(), instance });
            }
            if sequential {
                break;
            }
        }
    }

    pub(super) fn instance_done(&mut self, name: &StackSetName, id: &str, instance: &Instance, now: Timestamp) {
        let Some(mut stack_set) = self.stack_sets.remove(name) else { return };
        let Some(mut run) = stack_set.operations.remove(id) else {
            self.stack_sets.insert(name.clone(), stack_set);
            return;
        };
        let result = self.work(name, &mut stack_set, &run, instance, now);
        run.results.insert(instance.clone(), result);
        let mut failed = None;
        for (number, region) in run.regions.iter_mut().enumerate() {
            if region.name == instance.region {
                region.running = region.running.saturating_sub(1);
                region.failed += usize::from(result == Result::Failed);
                failed = region.has_failed().then_some(number);
            }
        }
        if let Some(failed) = failed {
            let sequential = run.preferences.regions == RegionConcurrency::Sequential;
            // Assumed: Regions that run at the same time do not stop each other.
            run.cancel(&mut stack_set, |number, _| number == failed || (sequential && number > failed));
        }
        self.pump(name, &mut stack_set, &mut run, now);
        let over = run.regions.iter().all(Region::is_done);
        self.put_back(name, stack_set, run, over, now);
    }

    pub(super) fn empty_done(&mut self, name: &StackSetName, id: &str, now: Timestamp) {
        let Some(mut stack_set) = self.stack_sets.remove(name) else { return };
        match stack_set.operations.remove(id) {
            Some(run) if !run.progress.has_ended() => self.put_back(name, stack_set, run, true, now),
            Some(run) => {
                stack_set.operations.insert(id.to_owned(), run);
                self.stack_sets.insert(name.clone(), stack_set);
            }
            None => drop(self.stack_sets.insert(name.clone(), stack_set)),
        }
    }

    fn put_back(
        &mut self,
        name: &StackSetName,
        mut stack_set: SimulatedStackSet,
        mut run: Run,
        over: bool,
        now: Timestamp,
    ) {
        let (id, how) = (run.id.clone(), &mut run.progress);
        if over {
            *how = match *how {
                Progress::Stopping => Progress::Stopped,
                _ if run.regions.iter().any(Region::has_failed) => Progress::Failed,
                _ => Progress::Succeeded,
            };
            stack_set.active.retain(|active| *active != id);
            let ended = Event::Ended { stack_set: name.clone(), id: id.clone(), how: *how };
            self.note(now, ended);
        }
        stack_set.operations.insert(id, run);
        self.stack_sets.insert(name.clone(), stack_set);
        if over {
            self.begin_those_that_can(name, now);
        }
    }

    /// Asks an operation to stop.
    pub(super) fn stop(&mut self, name: &StackSetName, id: &str, now: Timestamp) {
        let Some(mut stack_set) = self.stack_sets.remove(name) else { return };
        let Some(mut run) = stack_set.operations.remove(id) else {
            self.stack_sets.insert(name.clone(), stack_set);
            return;
        };
        let mut over = false;
        if matches!(run.progress, Progress::Queued | Progress::Running) {
            self.note(now, Event::Stopped { stack_set: name.clone(), id: id.to_owned() });
            // One that waits has touched nothing yet.
            over = run.progress == Progress::Queued;
            run.progress = Progress::Stopping;
            run.cancel(&mut stack_set, |_, _| true);
            over |= !run.regions.is_empty() && run.regions.iter().all(Region::is_done);
        }
        self.put_back(name, stack_set, run, over, now);
    }

    /// Does the work on one instance.
    fn work(
        &mut self,
        name: &StackSetName,
        stack_set: &mut SimulatedStackSet,
        run: &Run,
        instance: &Instance,
        now: Timestamp,
    ) -> Result {
        let Some(found) = stack_set.instances.get_mut(instance) else { return Result::Succeeded };
        let state = self.organization.state(&instance.account);
        match &run.task {
            // Nothing has to be done in the account. Assumed, also of a suspended one.
            Task::Delete { retain: true } => {
                let stack = found.stack.take();
                stack_set.instances.remove(instance);
                if let Some(stack) = stack {
                    self.retained.insert((name.clone(), instance.clone()), stack);
                }
                self.gone(name, instance, run.by, true, now);
                Result::Succeeded
            }
            Task::Delete { retain: false } => {
                if state == AccountState::Suspended {
                    found.detailed = DetailedStatus::SkippedSuspendedAccount;
                    found.reason = Some(SUSPENDED.to_owned());
                    return Result::Skipped;
                }
                let fault = match state {
                    AccountState::Closed => Some("Account is closed".to_owned()),
                    _ if found.status == InstanceStatus::Inoperable => found.reason.clone(),
                    _ => self.fault(instance, Faulty::Deleting),
                };
                match fault {
                    Some(reason) => {
                        found.status = InstanceStatus::Inoperable;
                        found.detailed = DetailedStatus::Inoperable;
                        found.reason = Some(reason);
                        Result::Failed
                    }
                    None => {
                        stack_set.instances.remove(instance);
                        self.gone(name, instance, run.by, false, now);
                        Result::Succeeded
                    }
                }
            }
            Task::Create(_) | Task::Update(_) | Task::Define(_) => {
                if found.status == InstanceStatus::Inoperable {
                    return Result::Failed;
                }
                if state != AccountState::Active {
                    found.detailed = DetailedStatus::SkippedSuspendedAccount;
                    found.reason = Some(SUSPENDED.to_owned());
                    return Result::Skipped;
                }
                if let Some(reason) = self.fault(instance, Faulty::Deploying) {
                    found.detailed = DetailedStatus::Failed;
                    found.reason = Some(reason);
                    return Result::Failed;
                }
                found.status = InstanceStatus::Current;
                found.detailed = DetailedStatus::Succeeded;
                found.reason = None;
                found.stack = Some(stack_set.definition.stack(&found.overrides));
                Result::Succeeded
            }
            Task::ManageExecution(_) | Task::DetectDrift => Result::Succeeded,
        }
    }

    fn gone(&mut self, name: &StackSetName, instance: &Instance, by: By, retained: bool, now: Timestamp) {
        self.note(now, Event::Gone { stack_set: name.clone(), instance: instance.clone(), by, retained });
    }

    /// Whether this work on an instance goes wrong, and why.
    fn fault(&mut self, instance: &Instance, of: Faulty) -> Option<String> {
        let fault = self.faults.get_mut(instance)?;
        if fault.of != of && fault.of != Faulty::Everything {
            return None;
        }
        let reason = fault.reason.clone();
        if let Some(times) = &mut fault.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                self.faults.remove(instance);
            }
        }
        Some(reason)
    }
}

const SUSPENDED: &str = "Account is suspended";

/// An instance that an operation is to create or update.
fn wait(found: &mut SimulatedInstance) {
    if found.status != InstanceStatus::Inoperable {
        found.status = InstanceStatus::Outdated;
        found.detailed = DetailedStatus::Pending;
        found.reason = None;
    }
}

fn through(scope: &Scope) -> Option<&UnitId> {
    match scope {
        Scope::Places(places) => places.through.as_ref().map(|through| &through.unit),
        Scope::All => None,
    }
}

/// Whether two operations must not run side by side. Assumed: if they work on an instance in common, or one of them on the whole
/// StackSet.
fn conflict(one: &Run, other: &Run, targets: &BTreeSet<Instance>) -> bool {
    let whole = |run: &Run| matches!(run.task, Task::Define(_) | Task::ManageExecution(_) | Task::DetectDrift);
    whole(one) || whole(other) || one.results.keys().any(|instance| targets.contains(instance))
}

/// The task of an operation as the port has it; the definition is that of an update.
pub(super) fn task(operation: &Operation, definition: Option<Definition>) -> Option<Task> {
    Some(match operation {
        Operation::ManagedExecution => Task::ManageExecution(true),
        Operation::UpdateStackSet => Task::Define(Box::new(definition?)),
        Operation::CreateInstances { overrides, .. } => Task::Create(overrides.clone()),
        Operation::UpdateInstances { overrides, .. } => Task::Update(Some(overrides.clone())),
        Operation::DeleteInstances { retain, .. } => Task::Delete { retain: *retain },
    })
}
