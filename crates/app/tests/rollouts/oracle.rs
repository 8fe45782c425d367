//! What must be true on the way and in the end.

use crate::places::{STACK_SETS, stack_set};
use crate::policy::Wants;
use crate::run::{OWNER, Run};
use app::deploy::{Phase, Seen as Looked};
use app::lifecycle::RequestKind;
use app::ports::PortError;
use domain::ids::StackSetName;
use domain::notice::{Notice, RolloutReport};
use domain::rollout::{Instance, InstanceFault, Outcome};
use std::collections::{BTreeMap, BTreeSet};
use testkit::simulator::{AccountState, By, Cloud, Event, Fate, SimulatedInstance, Simulator, Task};
use testkit::world::World;

/// What is watched from look to look.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    events: usize,
    notices: usize,
    /// Whose StackSets were before the look.
    owners: BTreeMap<StackSetName, Option<String>>,
    /// Operations of ours that run.
    running: BTreeMap<StackSetName, BTreeSet<String>>,
    /// StackSets whose instances were listed since an operation of ours was started there, and ended.
    observed: BTreeSet<StackSetName>,
    /// Instances that others have deleted since the last look that listed them and came to its end.
    pub(crate) unseen: BTreeSet<(StackSetName, Instance)>,
    listed: BTreeSet<StackSetName>,
    /// What we have let go of, and what of it was named.
    let_go: BTreeSet<(StackSetName, Instance)>,
    named: BTreeSet<(StackSetName, Instance)>,
    /// What was told last of each rollout: that it succeeded.
    last: BTreeMap<StackSetName, bool>,
    /// Warnings that name a StackSet, and refusals, that were told.
    warned: BTreeSet<StackSetName>,
    refused: BTreeSet<String>,
    /// Notices about rollouts.
    pub(crate) told: usize,
    /// Requests of CloudFormation.
    pub(crate) asked: BTreeMap<String, RequestKind>,
    /// Answers to each, and whether they may be repeated.
    answers: BTreeMap<String, Vec<bool>>,
    may_repeat: BTreeSet<String>,
    answers_seen: usize,
    pub(crate) disturbed: bool,
    /// The application was being deleted before the look.
    removing_before: bool,
    /// The application was deleted.
    pub(crate) is_gone: bool,
}

impl Watch {
    pub(crate) fn before(&mut self, world: &World, simulator: &Simulator, heeds_requests: bool) {
        let cloud = simulator.cloud();
        self.owners =
            cloud.stack_sets.iter().map(|(name, found)| (name.clone(), found.definition.owner.clone())).collect();
        self.listed.clear();
        let state = world.state();
        let delete = state.requests.values().any(|waiting| waiting.request.kind == RequestKind::Delete);
        // A push that is looked at before the request is, is rolled out.
        let taken_back = !state.requests.is_empty() && !delete;
        self.removing_before = (state.removing && !taken_back) || (delete && heeds_requests);
    }
}

fn number(name: &StackSetName) -> usize {
    usize::from(name.as_str() == STACK_SETS[1])
}

impl Run {
    /// Whether an account is active, and the application can know.
    fn is_active(&self, cloud: &Cloud, name: &StackSetName, instance: &Instance) -> bool {
        number(name) == 1 && cloud.organization.state(&instance.account) == AccountState::Active
    }

    fn wants(&self, name: &StackSetName) -> Option<Wants> {
        let framework = &self.policy.frameworks[number(name)];
        let cloud = self.simulator.cloud();
        framework.declared.then(|| framework.wants(number(name), &cloud.organization))
    }

    /// What has happened since this was asked last.
    pub(crate) fn watch_events(&mut self) -> Result<(), String> {
        let new: Vec<Event> = {
            let cloud = self.simulator.cloud();
            cloud.log[self.watch.events..].iter().map(|(_, event)| event.clone()).collect()
        };
        self.watch.events += new.len();
        let mut begun: BTreeMap<StackSetName, usize> = BTreeMap::new();
        for event in new {
            self.say(|| format!("    {}", words(&event)));
            match event {
                Event::Created { stack_set } => drop(self.watch.observed.insert(stack_set)),
                Event::Accepted { stack_set, id, by: By::Port, task, about } => {
                    *begun.entry(stack_set.clone()).or_default() += 1;
                    self.counts.operations += 1;
                    self.accepted(&stack_set, &id, &task, &about)?;
                }
                Event::Accepted { by, .. } => self.counts.on_their_own += usize::from(by == By::AutoDeployment),
                Event::Repeated { stack_set, .. } => {
                    self.counts.repeated += 1;
                    *begun.entry(stack_set).or_default() += 1;
                }
                Event::Stopped { .. } => {}
                Event::Removed { stack_set } => {
                    *begun.entry(stack_set.clone()).or_default() += 1;
                    self.counts.removed += 1;
                    if self.watch.owners.get(&stack_set).is_none_or(|owner| owner.as_deref() != Some(OWNER)) {
                        return Err(format!("the StackSet {stack_set} was deleted, and is not ours"));
                    }
                }
                Event::Observed { stack_set } => {
                    self.watch.listed.insert(stack_set.clone());
                    if self.watch.running.get(&stack_set).is_none_or(BTreeSet::is_empty) {
                        self.watch.observed.insert(stack_set);
                    }
                }
                Event::Ended { stack_set, id, .. } => {
                    if self.watch.running.get_mut(&stack_set).is_some_and(|running| running.remove(&id)) {
                        self.watch.observed.remove(&stack_set);
                    }
                }
                Event::Gone { stack_set, instance, by, retained } => {
                    if by != By::Port {
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

    /// An operation of ours was accepted.
    fn accepted(&mut self, name: &StackSetName, id: &str, task: &Task, about: &[Instance]) -> Result<(), String> {
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
            return Err(format!("{id} was started on {name} without another look at its instances"));
        }
        match task {
            Task::Delete { .. } if self.watch.removing_before => Ok(()),
            _ if self.watch.removing_before => Err(format!("{id} deploys while the application is being deleted")),
            Task::Delete { .. } => match self.wants(name) {
                None if self.policy.remove_undeclared => Ok(()),
                None => Err(format!("{id} deletes instances of {name}, which the policy does not say")),
                Some(wants) => match about.iter().find(|instance| wants.names(instance)) {
                    Some(wanted) => Err(format!("{id} deletes {wanted}, which the policy wants")),
                    None => Ok(()),
                },
            },
            _ => Ok(()),
        }
    }

    /// What a look has done and told.
    pub(crate) fn watch_look(
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
            return Err(format!("too much was done in one look: {mutating:?}"));
        }
        if let Some(Ok(seen)) = done {
            if !seen.rejected.is_empty() && !mutating.is_empty() {
                return Err(format!("the policy is refused ({:?}), and {mutating:?}", seen.rejected));
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
            self.say(|| format!("    told: {}", notice.subject()));
            match notice {
                Notice::RolloutSucceeded(report) => self.hear(&report, true)?,
                Notice::RolloutFailed(report) => self.hear(&report, false)?,
                Notice::PolicyWarnings(warnings) => {
                    let text = format!("{warnings:?}");
                    let named = STACK_SETS.iter().enumerate().filter(|(_, name)| text.contains(**name));
                    self.watch.warned.extend(named.map(|(number, _)| stack_set(number)));
                }
                Notice::PolicyRejected(rejection) => {
                    self.watch.refused.insert(rejection.commit.to_string());
                }
                other => return Err(format!("nobody asked for {}", other.subject())),
            }
        }
        self.watch_answers()
    }

    /// What people are told is what is there.
    fn hear(&mut self, report: &RolloutReport, success: bool) -> Result<(), String> {
        let name = &report.stack_set;
        self.watch.told += 1;
        self.watch.last.insert(name.clone(), success);
        self.watch.named.extend(report.let_go.iter().map(|instance| (name.clone(), instance.clone())));
        if success {
            self.counts.succeeded += 1;
        } else {
            self.counts.failed += 1;
        }
        self.counts.skipped += report.verdict.skipped.len();
        if report.trouble.is_some() {
            return if success { Err("a success with a trouble".into()) } else { Ok(()) };
        }
        let (expected, total, succeeded) = if report.removed {
            let cloud = self.simulator.cloud();
            let left = cloud.stack_sets.get(name).filter(|found| found.definition.owner.as_deref() == Some(OWNER));
            let left = left.into_iter().flat_map(|found| found.instances.keys());
            let left: BTreeMap<Instance, Outcome> =
                left.map(|instance| (instance.clone(), Outcome::NotDeleted)).collect();
            let count = left.len();
            (left, count, 0)
        } else {
            let Some(wants) = self.wants(name) else { return Err(format!("{name} is not wanted, and was judged")) };
            let cloud = self.simulator.cloud();
            let mut expected: BTreeMap<Instance, Outcome> =
                wants.skipped.iter().map(|instance| (instance.clone(), Outcome::Skipped)).collect();
            let mut succeeded = 0;
            for (instance, (overrides, stack)) in &wants.instances {
                let outcome = match cloud.fate(name, instance) {
                    Fate::Current(found) => {
                        let given = &cloud.stack_sets[name].instances[instance].overrides;
                        if found != *stack || **given != *overrides {
                            return Err(format!(
                                "{instance} of {name} was judged, and is {found:?} with {given:?} where {stack:?} with {overrides:?} is wanted"
                            ));
                        }
                        succeeded += 1;
                        continue;
                    }
                    Fate::Missing | Fate::Waiting => Outcome::NeverReached,
                    Fate::Failed(_) | Fate::Inoperable(_) => Outcome::Failed,
                    Fate::Cancelled => Outcome::Cancelled,
                    // Of accounts outside of units only StackSets know, until they try again.
                    Fate::Skipped if self.is_active(&cloud, name, instance) => Outcome::Failed,
                    Fate::Skipped => Outcome::Skipped,
                };
                expected.insert(instance.clone(), outcome);
            }
            let there = cloud.stack_sets.get(name).into_iter().flat_map(|found| found.instances.keys());
            let left = there.filter(|instance| !wants.names(instance));
            expected.extend(left.map(|instance| (instance.clone(), Outcome::NotDeleted)));
            (expected, wants.instances.len() + wants.skipped.len(), succeeded)
        };
        let verdict = &report.verdict;
        let told: BTreeMap<Instance, Outcome> = verdict
            .faults
            .iter()
            .chain(&verdict.skipped)
            .map(|InstanceFault { instance, outcome, .. }| (instance.clone(), *outcome))
            .collect();
        if told != expected || (verdict.total, verdict.succeeded) != (total, succeeded) {
            return Err(format!(
                "of {name} was told {} of {} and {told:?}, and the truth is {succeeded} of {total} and {expected:?}",
                verdict.succeeded, verdict.total
            ));
        }
        if success != expected.values().all(|outcome| *outcome == Outcome::Skipped) {
            return Err(format!("{name} was said to succeed: {success}, with {expected:?}"));
        }
        Ok(())
    }

    /// CloudFormation is answered once.
    fn watch_answers(&mut self) -> Result<(), String> {
        let bodies: Vec<_> = {
            let state = self.world.state();
            state.answers[self.watch.answers_seen..].iter().map(app::lifecycle::Answer::body).collect()
        };
        self.watch.answers_seen += bodies.len();
        for body in bodies {
            let id = body["RequestId"].as_str().unwrap_or_default().to_owned();
            let success = body["Status"] == "SUCCESS";
            self.say(|| format!("    answered: {body}"));
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
            // Those that were found and never worked on are nobody's that the application knows of.
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
            Some(name) => Err(format!("{name} is left, and the answer does not say so: {reason}")),
            None => Ok(()),
        }
    }
}

/// What is true in the end.
pub(crate) fn judge(run: &Run) -> Result<(), String> {
    let watch = &run.watch;
    let cloud = run.simulator.cloud();
    for id in watch.asked.keys() {
        if !watch.answers.contains_key(id) {
            return Err(format!("{id} was never answered"));
        }
    }
    if let Some((name, instance)) = watch.let_go.iter().find(|gone| !watch.named.contains(*gone)) {
        let told = watch.last.get(name).copied();
        // Of what is gone people were told; what goes on tells when it has ended, a removal that was late when it is asked again.
        if watch.is_gone || (told == Some(true) && !run.world.state().removing) {
            return Err(format!("{instance} of {name} was let go of, and nobody was told"));
        }
    }
    if watch.is_gone || run.world.state().removing {
        return Ok(());
    }
    if run.rejected {
        let told = watch.refused.contains(&run.commit.to_string());
        return if told { Ok(()) } else { Err("the policy is refused, and nobody was told".into()) };
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
                    return Err(format!("{name} has left the policy, and nobody was told"));
                }
            } else if ours && watch.last.get(&name) != Some(&false) {
                return Err(format!("{name} was to be removed, is there ({phase:?}), and nobody was told"));
            }
            continue;
        }
        let wants = framework.wants(number, &cloud.organization);
        let wrong: Vec<String> = wants
            .instances
            .iter()
            .filter_map(|(instance, (overrides, stack))| match cloud.fate(&name, instance) {
                Fate::Current(found) if found == *stack => {
                    let given = &cloud.stack_sets[&name].instances[instance].overrides;
                    (**given != *overrides).then(|| format!("{instance} has {given:?}"))
                }
                Fate::Skipped if !run.is_active(&cloud, &name, instance) => None,
                other => Some(format!("{instance} is {other:?}")),
            })
            .chain(
                found
                    .into_iter()
                    .flat_map(|found| found.instances.keys())
                    .filter(|instance| !wants.names(instance))
                    .map(|instance| format!("{instance} is there")),
            )
            .collect();
        let stays = |(instance, found): (&Instance, &SimulatedInstance)| {
            // Nobody knows how an account that has left the organisation is reached.
            let reached = number == 0 || cloud.organization.accounts.contains_key(&instance.account);
            reached && matches!(found.fate(), Fate::Inoperable(_)) && !wants.names(instance)
        };
        let refused = run.was_refused(number);
        if ours && !refused && found.is_some_and(|found| found.instances.iter().any(stays)) {
            return Err(format!("{name} has instances that can only be let go of, and are not wanted"));
        }
        let reported = watch.last.get(&name) == Some(&false) && phase == Some(Phase::Failed);
        if wrong.is_empty() && found.is_some() {
            if phase != Some(Phase::Succeeded) && !reported {
                return Err(format!("{name} is as the policy wants it, and its phase is {phase:?}"));
            }
        } else if !reported {
            return Err(format!("{name} rests ({phase:?}), and nobody was told that it is not as wanted: {wrong:?}"));
        }
    }
    Ok(())
}

fn words(event: &Event) -> String {
    match event {
        Event::Created { stack_set } => format!("{stack_set} was created"),
        Event::Removed { stack_set } => format!("{stack_set} was deleted"),
        Event::Accepted { stack_set, id, by, task, about } => {
            let about: Vec<String> = about.iter().map(ToString::to_string).collect();
            let task = match task {
                Task::Define(definition) => format!("Define({:?})", definition.parameters),
                other => format!("{other:?}"),
            };
            format!("{stack_set}: {id} accepted ({by:?}): {task} {}", about.join(" "))
        }
        Event::Repeated { stack_set, id } => format!("{stack_set}: {id} came again"),
        Event::Stopped { stack_set, id } => format!("{stack_set}: {id} was asked to stop"),
        Event::Observed { stack_set } => format!("{stack_set} was listed"),
        Event::Ended { stack_set, id, how } => format!("{stack_set}: {id} has {how:?}"),
        Event::Gone { stack_set, instance, by, retained } => {
            format!("{stack_set}: {instance} is gone ({by:?}, retained: {retained})")
        }
    }
}
