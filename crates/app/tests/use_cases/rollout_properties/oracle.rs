//! The properties during a rollout and in the end.

use std::collections::{BTreeMap, BTreeSet};

use app::deploy::{Phase, ReconcileSummary as Looked};
use app::lifecycle::RequestKind;
use app::ports::PortError;
use domain::notice::{Notice, RolloutReport};
use domain::rollout::{Instance, InstanceFailure, InstanceOutcome};
use framework::ids::StackSetName;
use testkit::simulator::{
    AccountState, OperationOrigin, OperationTask, SimulatedCloud, SimulatedInstance, SimulatedOutcome, Simulator,
    SimulatorEvent,
};
use testkit::world::World;

use super::fixture::{STACK_SETS, stack_set};
use super::policy::DesiredStackSet;
use super::run::{OWNER, RolloutRun};

/// The observations from one reconciliation to the next.
#[derive(Debug, Default)]
pub(crate) struct RolloutMonitor {
    events: usize,
    notices: usize,
    /// The owners of the StackSets before the reconciliation.
    owners: BTreeMap<StackSetName, Option<String>>,
    /// Running operations of the application.
    running: BTreeMap<StackSetName, BTreeSet<String>>,
    /// StackSets whose instances were listed since an operation of the application was started there, and ended.
    observed: BTreeSet<StackSetName>,
    /// Instances that others have deleted since the last complete reconciliation that listed them.
    pub(crate) unseen: BTreeSet<(StackSetName, Instance)>,
    listed: BTreeSet<StackSetName>,
    /// Retained instances, and those of them that a notice named.
    let_go: BTreeSet<(StackSetName, Instance)>,
    named: BTreeSet<(StackSetName, Instance)>,
    /// The last notice of each rollout: whether it succeeded.
    last: BTreeMap<StackSetName, bool>,
    /// Published warnings that name a StackSet, and rejections.
    warned: BTreeSet<StackSetName>,
    refused: BTreeSet<String>,
    /// Notices about rollouts.
    pub(crate) notice_count: usize,
    /// Requests of CloudFormation.
    pub(crate) asked: BTreeMap<String, RequestKind>,
    /// Responses to each request, and whether they may be repeated.
    answers: BTreeMap<String, Vec<bool>>,
    may_repeat: BTreeSet<String>,
    answers_seen: usize,
    pub(crate) disturbed: bool,
    /// The application was being deleted before the reconciliation.
    removing_before: bool,
    /// The application was deleted.
    pub(crate) is_gone: bool,
}

impl RolloutMonitor {
    pub(crate) fn before(&mut self, world: &World, simulator: &Simulator, heeds_requests: bool) {
        let cloud = simulator.cloud();
        self.owners =
            cloud.stack_sets.iter().map(|(name, found)| (name.clone(), found.definition.owner.clone())).collect();
        self.listed.clear();
        let state = world.state();
        let delete = state.requests.values().any(|waiting| waiting.request.kind == RequestKind::Delete);
        // A push that is read before the request is rolled out.
        let taken_back = !state.requests.is_empty() && !delete;
        self.removing_before = (state.removing && !taken_back) || (delete && heeds_requests);
    }
}

fn number(name: &StackSetName) -> usize {
    usize::from(name.as_str() == STACK_SETS[1])
}

impl RolloutRun {
    /// Whether an account is active, and the application can know it.
    fn is_active(&self, cloud: &SimulatedCloud, name: &StackSetName, instance: &Instance) -> bool {
        number(name) == 1 && cloud.organization.state(&instance.account) == AccountState::Active
    }

    fn desired(&self, name: &StackSetName) -> Option<DesiredStackSet> {
        let framework = &self.policy.frameworks[number(name)];
        let cloud = self.simulator.cloud();
        framework.declared.then(|| framework.desired(number(name), &cloud.organization))
    }

    /// The events since the last time this was called.
    pub(crate) fn watch_events(&mut self) -> Result<(), String> {
        let new: Vec<SimulatorEvent> = {
            let cloud = self.simulator.cloud();
            cloud.log[self.watch.events..].iter().map(|(_, event)| event.clone()).collect()
        };
        self.watch.events += new.len();
        let mut begun: BTreeMap<StackSetName, usize> = BTreeMap::new();
        for event in new {
            self.note(|| format!("    {}", words(&event)));
            match event {
                SimulatorEvent::Created { stack_set } => drop(self.watch.observed.insert(stack_set)),
                SimulatorEvent::Accepted { stack_set, id, by: OperationOrigin::Port, task, about } => {
                    *begun.entry(stack_set.clone()).or_default() += 1;
                    self.counts.operations += 1;
                    self.accepted(&stack_set, &id, &task, &about)?;
                }
                SimulatorEvent::Accepted { by, .. } => {
                    self.counts.on_their_own += usize::from(by == OperationOrigin::AutoDeployment)
                }
                SimulatorEvent::Repeated { stack_set, .. } => {
                    self.counts.repeated += 1;
                    *begun.entry(stack_set).or_default() += 1;
                }
                SimulatorEvent::Stopped { .. } => {}
                SimulatorEvent::Removed { stack_set } => {
                    *begun.entry(stack_set.clone()).or_default() += 1;
                    self.counts.removed += 1;
                    if self.watch.owners.get(&stack_set).is_none_or(|owner| owner.as_deref() != Some(OWNER)) {
                        return Err(format!("the StackSet {stack_set} was deleted, and is not ours"));
                    }
                }
                SimulatorEvent::Observed { stack_set } => {
                    self.watch.listed.insert(stack_set.clone());
                    if self.watch.running.get(&stack_set).is_none_or(BTreeSet::is_empty) {
                        self.watch.observed.insert(stack_set);
                    }
                }
                SimulatorEvent::Ended { stack_set, id, .. } => {
                    if self.watch.running.get_mut(&stack_set).is_some_and(|running| running.remove(&id)) {
                        self.watch.observed.remove(&stack_set);
                    }
                }
                SimulatorEvent::Gone { stack_set, instance, by, retained } => {
                    if by != OperationOrigin::Port {
                        self.watch.unseen.insert((stack_set, instance));
                    } else if retained {
                        self.counts.let_go += 1;
                        self.watch.let_go.insert((stack_set, instance));
                    }
                }
            }
        }
        match begun.into_iter().find(|(_, count)| *count > 1) {
            Some((name, count)) => Err(format!("{count} operations on {name} at once")),
            None => Ok(()),
        }
    }

    /// An operation of the application was accepted.
    fn accepted(
        &mut self,
        name: &StackSetName,
        id: &str,
        task: &OperationTask,
        about: &[Instance],
    ) -> Result<(), String> {
        if self.policy.broken && !self.watch.removing_before {
            return Err(format!("{name} was worked on, and the policy cannot be read"));
        }
        let owner = self.watch.owners.get(name).cloned().flatten();
        let existed = self.watch.owners.contains_key(name);
        let framework = &self.policy.frameworks[number(name)];
        let adopted = owner.is_none() && framework.declared && framework.adopt;
        if existed && owner.as_deref() != Some(OWNER) && !adopted {
            return Err(format!("{name} was worked on, and belongs to {owner:?}"));
        }
        let running = self.watch.running.entry(name.clone()).or_default();
        if let Some(other) = running.iter().next() {
            return Err(format!("{id} was started on {name} while {other} of ours was not over"));
        }
        running.insert(id.to_owned());
        if !self.watch.observed.remove(name) {
            return Err(format!("{id} was started on {name} without listing its instances again"));
        }
        match task {
            OperationTask::Delete { .. } if self.watch.removing_before => Ok(()),
            _ if self.watch.removing_before => Err(format!("{id} deploys while the application is being deleted")),
            OperationTask::Delete { .. } => match self.desired(name) {
                None if self.policy.remove_undeclared => Ok(()),
                None => Err(format!("{id} deletes instances of {name}, which the policy does not say")),
                Some(desired) => match about.iter().find(|instance| desired.names(instance)) {
                    Some(wanted) => Err(format!("{id} deletes {wanted}, which the policy declares")),
                    None => Ok(()),
                },
            },
            _ => Ok(()),
        }
    }

    /// Effects and notices of a reconciliation.
    pub(crate) fn watch_reconciliation(
        &mut self,
        calls: &[&'static str],
        done: Option<&Result<Looked, PortError>>,
    ) -> Result<(), String> {
        self.watch_events()?;
        if matches!(done, Some(Ok(_))) {
            let listed = std::mem::take(&mut self.watch.listed);
            self.watch.unseen.retain(|(name, _)| !listed.contains(name));
        }
        let mutating: Vec<&str> = World::mutating(calls)
            .into_iter()
            .filter(|call| call.starts_with("cloudformation:") && *call != "cloudformation:PutAnswer")
            .collect();
        let created = mutating.iter().filter(|call| **call == "cloudformation:CreateStackSet").count();
        if mutating.len() - created > STACK_SETS.len() {
            return Err(format!("more than one operation in one reconciliation: {mutating:?}"));
        }
        if let Some(Ok(seen)) = done {
            if !seen.rejected.is_empty() && !mutating.is_empty() {
                return Err(format!("the policy is rejected ({:?}), and {mutating:?}", seen.rejected));
            }
            if seen.counts.mutating_calls != mutating.len() {
                return Err(format!("{} calls were counted, and made {mutating:?}", seen.counts.mutating_calls));
            }
        }
        let new: Vec<Notice> = {
            let state = self.world.state();
            state.notices[self.watch.notices..].to_vec()
        };
        self.watch.notices += new.len();
        for notice in new {
            self.note(|| format!("    notice: {}", notice.subject()));
            match notice {
                Notice::RolloutSucceeded(report) => self.check_notice(&report, true)?,
                Notice::RolloutFailed(report) => self.check_notice(&report, false)?,
                Notice::PolicyWarnings(warnings) => {
                    let text = format!("{warnings:?}");
                    let named = STACK_SETS.iter().enumerate().filter(|(_, name)| text.contains(**name));
                    self.watch.warned.extend(named.map(|(number, _)| stack_set(number)));
                }
                Notice::PolicyRejected(rejection) => {
                    self.watch.refused.insert(rejection.commit.to_string());
                }
                other => return Err(format!("there was no request for {}", other.subject())),
            }
        }
        self.watch_answers()
    }

    /// Notices describe the true state.
    /// Long because the expected numbers of a notice come from one pass over the instances.
    fn check_notice(&mut self, report: &RolloutReport, success: bool) -> Result<(), String> {
        let name = &report.stack_set;
        self.watch.notice_count += 1;
        self.watch.last.insert(name.clone(), success);
        self.watch.named.extend(report.retained.iter().map(|instance| (name.clone(), instance.clone())));
        if success {
            self.counts.succeeded += 1;
        } else {
            self.counts.failed += 1;
        }
        self.counts.skipped += report.verdict.skipped.len();
        if report.error.is_some() {
            return if success { Err("a success with a trouble".into()) } else { Ok(()) };
        }
        let (expected, total, succeeded) = if report.is_removal {
            let cloud = self.simulator.cloud();
            let left = cloud.stack_sets.get(name).filter(|found| found.definition.owner.as_deref() == Some(OWNER));
            let left = left.into_iter().flat_map(|found| found.instances.keys());
            let left: BTreeMap<Instance, InstanceOutcome> =
                left.map(|instance| (instance.clone(), InstanceOutcome::NotDeleted)).collect();
            let count = left.len();
            (left, count, 0)
        } else {
            let Some(desired) = self.desired(name) else {
                return Err(format!("{name} is not declared, and has a verdict"));
            };
            let cloud = self.simulator.cloud();
            let mut expected: BTreeMap<Instance, InstanceOutcome> =
                desired.skipped.iter().map(|instance| (instance.clone(), InstanceOutcome::Skipped)).collect();
            let mut succeeded = 0;
            for (instance, (overrides, stack)) in &desired.instances {
                let outcome = match cloud.fate(name, instance) {
                    SimulatedOutcome::Current(found) => {
                        let given = &cloud.stack_sets[name].instances[instance].overrides;
                        if found != *stack || **given != *overrides {
                            return Err(format!(
                                "{instance} of {name} was judged, and is {found:?} with {given:?} where {stack:?} with {overrides:?} is wanted"
                            ));
                        }
                        succeeded += 1;
                        continue;
                    }
                    SimulatedOutcome::Missing | SimulatedOutcome::Waiting => InstanceOutcome::NeverReached,
                    SimulatedOutcome::Failed(_) | SimulatedOutcome::Inoperable(_) => InstanceOutcome::Failed,
                    SimulatedOutcome::Cancelled => InstanceOutcome::Cancelled,
                    // Accounts outside of units are known to StackSets only, until the next attempt.
                    SimulatedOutcome::Skipped if self.is_active(&cloud, name, instance) => InstanceOutcome::Failed,
                    SimulatedOutcome::Skipped => InstanceOutcome::Skipped,
                };
                expected.insert(instance.clone(), outcome);
            }
            let there = cloud.stack_sets.get(name).into_iter().flat_map(|found| found.instances.keys());
            let left = there.filter(|instance| !desired.names(instance));
            expected.extend(left.map(|instance| (instance.clone(), InstanceOutcome::NotDeleted)));
            (expected, desired.instances.len() + desired.skipped.len(), succeeded)
        };
        let verdict = &report.verdict;
        let reported: BTreeMap<Instance, InstanceOutcome> = verdict
            .failures
            .iter()
            .chain(&verdict.skipped)
            .map(|InstanceFailure { instance, outcome, .. }| (instance.clone(), *outcome))
            .collect();
        if reported != expected || (verdict.total, verdict.succeeded) != (total, succeeded) {
            return Err(format!(
                "a notice of {name} reports {} of {} and {reported:?}, and the true state is {succeeded} of {total} and {expected:?}",
                verdict.succeeded, verdict.total
            ));
        }
        if success != expected.values().all(|outcome| *outcome == InstanceOutcome::Skipped) {
            return Err(format!("{name} was said to succeed: {success}, with {expected:?}"));
        }
        Ok(())
    }

    /// CloudFormation is answered once.
    fn watch_answers(&mut self) -> Result<(), String> {
        let bodies: Vec<_> = {
            let state = self.world.state();
            state.answers[self.watch.answers_seen..].iter().map(app::lifecycle::RequestAnswer::body).collect()
        };
        self.watch.answers_seen += bodies.len();
        for body in bodies {
            let id = body["RequestId"].as_str().unwrap_or_default().to_owned();
            let success = body["Status"] == "SUCCESS";
            self.note(|| format!("    answered: {body}"));
            let Some(kind) = self.watch.asked.get(&id).copied() else { return Err(format!("{id} was never asked")) };
            let before = self.watch.answers.entry(id.clone()).or_default();
            before.push(success);
            if before.len() > 1 && !self.watch.may_repeat.contains(&id) {
                return Err(format!("{id} was answered twice, and nothing went wrong that would explain it"));
            }
            self.counts.answered += 1;
            if kind == RequestKind::Delete {
                self.counts.deleted += 1;
                self.deleted(success, body["Reason"].as_str().unwrap_or_default())?;
            }
        }
        if self.watch.disturbed {
            self.watch.may_repeat.extend(self.watch.asked.keys().cloned());
        }
        Ok(())
    }

    /// The deletion of the application was answered.
    fn deleted(&mut self, success: bool, reason: &str) -> Result<(), String> {
        let left: Vec<StackSetName> = {
            let cloud = self.simulator.cloud();
            // StackSets that were found and never changed do not belong to the application.
            let known = self.world.state().rollouts.keys().cloned().collect::<BTreeSet<_>>();
            let ours = cloud
                .stack_sets
                .iter()
                .filter(|(name, found)| known.contains(*name) && found.definition.owner.as_deref() == Some(OWNER));
            ours.map(|(name, _)| name.clone()).collect()
        };
        if success {
            self.watch.is_gone = true;
            if let Some(name) = left.first() {
                return Err(format!("the application was deleted, and {name} is still there"));
            }
            return Ok(());
        }
        match left.iter().find(|name| !reason.contains(name.as_str())) {
            Some(name) => Err(format!("{name} is left, and the response does not name it: {reason}")),
            None => Ok(()),
        }
    }
}

/// The properties of the final state.
/// Long because it lists the properties of the final state.
pub(crate) fn check_final_state(run: &RolloutRun) -> Result<(), String> {
    let watch = &run.watch;
    let cloud = run.simulator.cloud();
    for id in watch.asked.keys() {
        if !watch.answers.contains_key(id) {
            return Err(format!("{id} was never answered"));
        }
    }
    if let Some((name, instance)) = watch.let_go.iter().find(|gone| !watch.named.contains(*gone)) {
        let reported = watch.last.get(name).copied();
        // A notice reported each removed StackSet; running ones are reported at their end, and a late removal at the
        // next request.
        if watch.is_gone || (reported == Some(true) && !run.world.state().removing) {
            return Err(format!("{instance} of {name} was retained without a notice"));
        }
    }
    if watch.is_gone || run.world.state().removing {
        return Ok(());
    }
    if run.rejected {
        let reported = watch.refused.contains(&run.commit.to_string());
        return if reported { Ok(()) } else { Err("the policy is rejected without a notice".into()) };
    }
    for number in 0..STACK_SETS.len() {
        let name = stack_set(number);
        let framework = &run.policy.frameworks[number];
        let found = cloud.stack_sets.get(&name);
        let ours = found.is_some_and(|found| found.definition.owner.as_deref() == Some(OWNER));
        let phase = run.phase(number);
        if !framework.declared {
            if phase.is_none() {
                continue;
            }
            if !run.policy.remove_undeclared {
                if !watch.warned.contains(&name) && watch.last.get(&name) != Some(&false) {
                    return Err(format!("{name} was removed from the policy without a notice"));
                }
            } else if ours && watch.last.get(&name) != Some(&false) {
                return Err(format!("{name} was to be removed, exists ({phase:?}), and there is no notice"));
            }
            continue;
        }
        let desired = framework.desired(number, &cloud.organization);
        let wrong: Vec<String> = desired
            .instances
            .iter()
            .filter_map(|(instance, (overrides, stack))| match cloud.fate(&name, instance) {
                SimulatedOutcome::Current(found) if found == *stack => {
                    let given = &cloud.stack_sets[&name].instances[instance].overrides;
                    (**given != *overrides).then(|| format!("{instance} has {given:?}"))
                }
                SimulatedOutcome::Skipped if !run.is_active(&cloud, &name, instance) => None,
                other => Some(format!("{instance} is {other:?}")),
            })
            .chain(
                found
                    .into_iter()
                    .flat_map(|found| found.instances.keys())
                    .filter(|instance| !desired.names(instance))
                    .map(|instance| format!("{instance} is there")),
            )
            .collect();
        let stays = |(instance, found): (&Instance, &SimulatedInstance)| {
            // It is undefined how an account that has left the organization is reached.
            let reached = number == 0 || cloud.organization.accounts.contains_key(&instance.account);
            reached && matches!(found.fate(), SimulatedOutcome::Inoperable(_)) && !desired.names(instance)
        };
        let refused = run.was_rejected(number);
        if ours && !refused && found.is_some_and(|found| found.instances.iter().any(stays)) {
            return Err(format!("{name} has undesired instances that can only be retained"));
        }
        let reported = watch.last.get(&name) == Some(&false) && phase == Some(Phase::Failed);
        if wrong.is_empty() && found.is_some() {
            if phase != Some(Phase::Succeeded) && !reported {
                return Err(format!("{name} matches the policy, and its phase is {phase:?}"));
            }
        } else if !reported {
            return Err(format!("{name} is stable ({phase:?}), and no notice reports its differences: {wrong:?}"));
        }
    }
    Ok(())
}

fn words(event: &SimulatorEvent) -> String {
    match event {
        SimulatorEvent::Created { stack_set } => format!("{stack_set} was created"),
        SimulatorEvent::Removed { stack_set } => format!("{stack_set} was deleted"),
        SimulatorEvent::Accepted { stack_set, id, by, task, about } => {
            let about: Vec<String> = about.iter().map(ToString::to_string).collect();
            let task = match task {
                OperationTask::Define(definition) => format!("Define({:?})", definition.parameters),
                other => format!("{other:?}"),
            };
            format!("{stack_set}: {id} accepted ({by:?}): {task} {}", about.join(" "))
        }
        SimulatorEvent::Repeated { stack_set, id } => format!("{stack_set}: {id} came again"),
        SimulatorEvent::Stopped { stack_set, id } => format!("{stack_set}: {id} was asked to stop"),
        SimulatorEvent::Observed { stack_set } => format!("{stack_set} was listed"),
        SimulatorEvent::Ended { stack_set, id, how } => format!("{stack_set}: {id} has {how:?}"),
        SimulatorEvent::Gone { stack_set, instance, by, retained } => {
            format!("{stack_set}: {instance} is gone ({by:?}, retained: {retained})")
        }
    }
}
