//! Operations: how they start, fail, stop and end.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use app::deploy::ports::Acceptance;
use domain::policy::RegionConcurrency;
use domain::rollout::{DetailedStatus, Instance, InstanceStatus, Operation, OperationTargets, PermissionModel};
use framework::ids::{AccountId, RegionName, StackSetName, UnitId};

use super::definition::SimulatedDefinition;
use super::run::{
    InstanceResult, OperationOrigin, OperationScope, OperationTask, Region, SimulatedOperation, SimulatedProgress,
};
use super::stack_set::{SimulatedInstance, SimulatedStackSet};
use super::{AccountState, Due, FaultyWork, SimulatedCloud, SimulatorEvent};

impl SimulatedOperation {
    /// Cancels the instances that have not begun in the Regions that match.
    fn cancel(&mut self, stack_set: &mut SimulatedStackSet, of: impl Fn(usize, &Region) -> bool) {
        let deletes = matches!(self.task, OperationTask::Delete { .. });
        for (number, region) in self.regions.iter_mut().enumerate() {
            if !of(number, region) {
                continue;
            }
            for account in region.pending.drain(..) {
                let instance = Instance { account, region: region.name.clone() };
                if let Some(found) = stack_set.instances.get_mut(&instance) {
                    // Assumed: an instance that was to be deleted keeps its status.
                    if !deletes && found.status != InstanceStatus::Inoperable {
                        found.status = InstanceStatus::Outdated;
                    }
                    if found.status != InstanceStatus::Inoperable {
                        found.detailed = DetailedStatus::Cancelled;
                        found.reason = Some(CANCELLED.to_owned());
                    }
                }
                self.results.insert(instance, InstanceResult::Cancelled);
            }
        }
    }
}

const CANCELLED: &str = "Cancelled since failure tolerance has exceeded, or the operation was stopped";

/// The error code of the CloudFormation API.
pub(super) type Code = &'static str;

impl SimulatedCloud {
    /// Accepts an operation, and begins it if no other one conflicts.
    pub(super) fn accept(
        &mut self,
        name: &StackSetName,
        mut run: SimulatedOperation,
        now: Timestamp,
    ) -> std::result::Result<Acceptance, Code> {
        let Some(stack_set) = self.stack_sets.get(name) else { return Err("StackSetNotFoundException") };
        if stack_set.operations.contains_key(&run.id) {
            self.note(now, SimulatorEvent::Repeated { stack_set: name.clone(), id: run.id });
            return Ok(Acceptance::AlreadyStarted);
        }
        if self.settings.stale_within.is_positive() {
            let since = now.checked_sub(self.settings.stale_within).unwrap_or(Timestamp::MIN);
            if stack_set.operations.values().any(|other| other.accepted > since) {
                return Err("StaleRequestException");
            }
        }
        if stack_set.is_busy()
            && (!stack_set.managed_execution || matches!(run.task, OperationTask::ManageExecution(_)))
        {
            return Err("OperationInProgressException");
        }
        let targets = self.targets(stack_set, &run);
        if let OperationTask::Update(_) = run.task {
            let none = match &run.scope {
                OperationScope::Places(places) if places.through.is_none() => {
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
            && waits.filter(|other| other.progress == SimulatedProgress::Queued).count() >= self.settings.queue_limit
        {
            let limited = self.settings.queue_limit > 0;
            return Err(if limited { "LimitExceededException" } else { "OperationInProgressException" });
        }
        let (id, by, task) = (run.id.clone(), run.by, run.task.clone());
        run.results = targets.iter().map(|instance| (instance.clone(), InstanceResult::Pending)).collect();
        if let Some(stack_set) = self.stack_sets.get_mut(name) {
            stack_set.active.push(id.clone());
            stack_set.operations.insert(id.clone(), run);
        }
        let about = targets.into_iter().collect();
        self.note(now, SimulatorEvent::Accepted { stack_set: name.clone(), id, by, task, about });
        self.begin_those_that_can(name, now);
        Ok(Acceptance::Started)
    }

    /// The instances that an operation works on.
    fn targets(&self, stack_set: &SimulatedStackSet, run: &SimulatedOperation) -> BTreeSet<Instance> {
        let creates = matches!(run.task, OperationTask::Create(_));
        match (&run.task, &run.scope) {
            (OperationTask::ManageExecution(_) | OperationTask::DetectDrift, _) => BTreeSet::new(),
            (_, OperationScope::All) => stack_set.instances.keys().cloned().collect(),
            (_, OperationScope::Places(places)) => match &places.through {
                None if creates => places.instances().collect(),
                None => places.instances().filter(|instance| stack_set.instances.contains_key(instance)).collect(),
                Some(through) => {
                    let admits = |account: &AccountId| match &through.filter {
                        domain::rollout::AccountFilterType::Whole => true,
                        domain::rollout::AccountFilterType::Listed => places.accounts.contains(account),
                        domain::rollout::AccountFilterType::Except(listed) => !listed.contains(account),
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
                    // Assumed: an instance is reached through the current unit of its account, and through the unit
                    // that it was deployed through.
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

    /// Begins the waiting operations that no longer conflict with an operation accepted before them.
    fn begin_those_that_can(&mut self, name: &StackSetName, now: Timestamp) {
        loop {
            let Some(stack_set) = self.stack_sets.get(name) else { return };
            let runs: Vec<&SimulatedOperation> =
                stack_set.active.iter().filter_map(|id| stack_set.operations.get(id)).collect();
            let can = runs.iter().enumerate().find(|(number, run)| {
                run.progress == SimulatedProgress::Queued && {
                    let targets = self.targets(stack_set, run);
                    !runs.iter().take(*number).any(|before| conflict(before, run, &targets))
                }
            });
            let Some((_, run)) = can else { return };
            let id = run.id.clone();
            self.begin(name, &id, now);
        }
    }

    /// Long because each task has one branch.
    fn begin(&mut self, name: &StackSetName, id: &str, now: Timestamp) {
        let Some(stack_set) = self.stack_sets.get(name) else { return };
        let Some(run) = stack_set.operations.get(id) else { return };
        let targets = self.targets(stack_set, run);
        let Some(mut stack_set) = self.stack_sets.remove(name) else { return };
        let Some(mut run) = stack_set.operations.remove(id) else { return };
        run.progress = SimulatedProgress::Running;
        run.prepare(&targets);
        match &run.task {
            OperationTask::Define(definition) => {
                stack_set.definition = (**definition).clone();
                for found in stack_set.instances.values_mut() {
                    wait(found);
                }
            }
            OperationTask::ManageExecution(on) => stack_set.managed_execution = *on,
            OperationTask::Create(overrides) => {
                let overrides = Arc::new(overrides.clone());
                for instance in &targets {
                    let unit = through(&run.scope).cloned();
                    let new = || SimulatedInstance::new(Arc::clone(&overrides), unit.clone());
                    let found = stack_set.instances.entry(instance.clone()).or_insert_with(new);
                    // Assumed: creating an existing instance updates it.
                    found.overrides = Arc::clone(&overrides);
                    found.unit = unit;
                    wait(found);
                }
                if let OperationScope::Places(OperationTargets { through: Some(through), regions, .. }) = &run.scope
                    && through.filter != domain::rollout::AccountFilterType::Listed
                    && run.by != OperationOrigin::AutoDeployment
                {
                    stack_set.auto_targets.entry(through.unit.clone()).or_default().extend(regions.iter().cloned());
                }
            }
            OperationTask::Update(overrides) => {
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
            OperationTask::Delete { .. } => {
                for instance in &targets {
                    if let Some(found) = stack_set.instances.get_mut(instance)
                        && found.status != InstanceStatus::Inoperable
                    {
                        found.detailed = DetailedStatus::Pending;
                    }
                }
                if let OperationScope::Places(OperationTargets { through: Some(through), regions, .. }) = &run.scope
                    && through.filter == domain::rollout::AccountFilterType::Whole
                    && let Some(known) = stack_set.auto_targets.get_mut(&through.unit)
                {
                    known.retain(|region| !regions.contains(region));
                    if known.is_empty() {
                        stack_set.auto_targets.remove(&through.unit);
                    }
                }
            }
            OperationTask::DetectDrift => {}
        }
        if run.regions.is_empty() {
            self.schedule(now, Due::Operation { stack_set: name.clone(), id: id.to_owned() });
        }
        self.pump(name, &mut stack_set, &mut run, now);
        stack_set.operations.insert(id.to_owned(), run);
        self.stack_sets.insert(name.clone(), stack_set);
    }

    /// Begins work on as many instances as the window allows.
    fn pump(
        &mut self,
        name: &StackSetName,
        stack_set: &mut SimulatedStackSet,
        run: &mut SimulatedOperation,
        now: Timestamp,
    ) {
        let sequential = run.preferences.regions == RegionConcurrency::Sequential;
        let SimulatedOperation { id, regions, results, begun, preferences, .. } = run;
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
                results.insert(instance.clone(), InstanceResult::Running);
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
                region.failed += usize::from(result == InstanceResult::Failed);
                failed = region.has_failed().then_some(number);
            }
        }
        if let Some(failed) = failed {
            let sequential = run.preferences.regions == RegionConcurrency::Sequential;
            // Assumed: Regions that run in parallel do not stop each other.
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
        mut run: SimulatedOperation,
        over: bool,
        now: Timestamp,
    ) {
        let (id, how) = (run.id.clone(), &mut run.progress);
        if over {
            *how = match *how {
                SimulatedProgress::Stopping => SimulatedProgress::Stopped,
                _ if run.regions.iter().any(Region::has_failed) => SimulatedProgress::Failed,
                _ => SimulatedProgress::Succeeded,
            };
            stack_set.active.retain(|active| *active != id);
            let ended = SimulatorEvent::Ended { stack_set: name.clone(), id: id.clone(), how: *how };
            self.note(now, ended);
        }
        stack_set.operations.insert(id, run);
        self.stack_sets.insert(name.clone(), stack_set);
        if over {
            self.begin_those_that_can(name, now);
        }
    }

    /// Stops an operation.
    pub(super) fn stop(&mut self, name: &StackSetName, id: &str, now: Timestamp) {
        let Some(mut stack_set) = self.stack_sets.remove(name) else { return };
        let Some(mut run) = stack_set.operations.remove(id) else {
            self.stack_sets.insert(name.clone(), stack_set);
            return;
        };
        let mut over = false;
        if matches!(run.progress, SimulatedProgress::Queued | SimulatedProgress::Running) {
            self.note(now, SimulatorEvent::Stopped { stack_set: name.clone(), id: id.to_owned() });
            // An operation that waits has changed nothing yet.
            over = run.progress == SimulatedProgress::Queued;
            run.progress = SimulatedProgress::Stopping;
            run.cancel(&mut stack_set, |_, _| true);
            over |= !run.regions.is_empty() && run.regions.iter().all(Region::is_done);
        }
        self.put_back(name, stack_set, run, over, now);
    }

    /// Completes the work on one instance.
    /// Long because each task has one branch.
    fn work(
        &mut self,
        name: &StackSetName,
        stack_set: &mut SimulatedStackSet,
        run: &SimulatedOperation,
        instance: &Instance,
        now: Timestamp,
    ) -> InstanceResult {
        let Some(found) = stack_set.instances.get_mut(instance) else { return InstanceResult::Succeeded };
        let state = self.organization.state(&instance.account);
        match &run.task {
            // No work is necessary in the account. Assumed, also for a suspended account.
            OperationTask::Delete { retain: true } => {
                let stack = found.stack.take();
                stack_set.instances.remove(instance);
                if let Some(stack) = stack {
                    self.retained.insert((name.clone(), instance.clone()), stack);
                }
                self.gone(name, instance, run.by, true, now);
                InstanceResult::Succeeded
            }
            OperationTask::Delete { retain: false } => {
                if state == AccountState::Suspended {
                    found.detailed = DetailedStatus::SkippedSuspendedAccount;
                    found.reason = Some(SUSPENDED.to_owned());
                    return InstanceResult::Skipped;
                }
                let fault = match state {
                    AccountState::Closed => Some("Account is closed".to_owned()),
                    _ if found.status == InstanceStatus::Inoperable => found.reason.clone(),
                    _ => self.fault(instance, FaultyWork::Deleting),
                };
                match fault {
                    Some(reason) => {
                        found.status = InstanceStatus::Inoperable;
                        found.detailed = DetailedStatus::Inoperable;
                        found.reason = Some(reason);
                        InstanceResult::Failed
                    }
                    None => {
                        stack_set.instances.remove(instance);
                        self.gone(name, instance, run.by, false, now);
                        InstanceResult::Succeeded
                    }
                }
            }
            OperationTask::Create(_) | OperationTask::Update(_) | OperationTask::Define(_) => {
                if found.status == InstanceStatus::Inoperable {
                    return InstanceResult::Failed;
                }
                if state != AccountState::Active {
                    found.detailed = DetailedStatus::SkippedSuspendedAccount;
                    found.reason = Some(SUSPENDED.to_owned());
                    return InstanceResult::Skipped;
                }
                if let Some(reason) = self.fault(instance, FaultyWork::Deploying) {
                    found.detailed = DetailedStatus::Failed;
                    found.reason = Some(reason);
                    return InstanceResult::Failed;
                }
                found.status = InstanceStatus::Current;
                found.detailed = DetailedStatus::Succeeded;
                found.reason = None;
                found.stack = Some(stack_set.definition.stack(&found.overrides));
                InstanceResult::Succeeded
            }
            OperationTask::ManageExecution(_) | OperationTask::DetectDrift => InstanceResult::Succeeded,
        }
    }

    fn gone(&mut self, name: &StackSetName, instance: &Instance, by: OperationOrigin, retained: bool, now: Timestamp) {
        self.note(now, SimulatorEvent::Gone { stack_set: name.clone(), instance: instance.clone(), by, retained });
    }

    /// The reason if this work on an instance fails.
    fn fault(&mut self, instance: &Instance, of: FaultyWork) -> Option<String> {
        let fault = self.faults.get_mut(instance)?;
        if fault.of != of && fault.of != FaultyWork::Everything {
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

/// An instance that an operation creates or updates.
fn wait(found: &mut SimulatedInstance) {
    if found.status != InstanceStatus::Inoperable {
        found.status = InstanceStatus::Outdated;
        found.detailed = DetailedStatus::Pending;
        found.reason = None;
    }
}

fn through(scope: &OperationScope) -> Option<&UnitId> {
    match scope {
        OperationScope::Places(places) => places.through.as_ref().map(|through| &through.unit),
        OperationScope::All => None,
    }
}

/// Whether two operations must not run in parallel. Assumed: if they share an instance, or one of them works on the
/// whole StackSet.
fn conflict(one: &SimulatedOperation, other: &SimulatedOperation, targets: &BTreeSet<Instance>) -> bool {
    let whole = |run: &SimulatedOperation| {
        matches!(run.task, OperationTask::Define(_) | OperationTask::ManageExecution(_) | OperationTask::DetectDrift)
    };
    whole(one) || whole(other) || one.results.keys().any(|instance| targets.contains(instance))
}

/// The task of an operation in the port's form; the definition is that of an update.
pub(super) fn task(operation: &Operation, definition: Option<SimulatedDefinition>) -> Option<OperationTask> {
    Some(match operation {
        Operation::ManagedExecution => OperationTask::ManageExecution(true),
        Operation::UpdateStackSet => OperationTask::Define(Box::new(definition?)),
        Operation::CreateInstances { overrides, .. } => OperationTask::Create(overrides.clone()),
        Operation::UpdateInstances { overrides, .. } => OperationTask::Update(Some(overrides.clone())),
        Operation::DeleteInstances { retain, .. } => OperationTask::Delete { retain: *retain },
    })
}
