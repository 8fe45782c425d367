//! The end of a StackSet: instances first, then the StackSet. Of one framework that has left the policy, or of all of them when the
//! application is deleted; only then is CloudFormation answered.

use super::members::members_left;
use super::memory::{Ended, Memory, Phase, RETRIES, Rollout, Stuck};
use super::reconcile::{Counts, Deploy, FrameworkOutcome, Seen, Work};
use crate::events::Look;
use crate::lifecycle::{Answer, RequestKind, Waiting};
use crate::ports::{
    Clock, DeployStore, Notifier, OrganizationalUnits, PolicyRepository, PortErrorKind, RequestStore, Responder,
    Result, StackSets, Start, Versioned, ViolationStore,
};
use domain::notice::Notice;
use domain::rollout::{Context, Observed, Operation, OperationStatus, Step, Verdict, next_removal_step};
use tracing::field::Empty;
use tracing::{Instrument as _, Span, info, info_span, warn};

/// Instances that the answer to CloudFormation names; the rest are counted.
const NAMED: usize = 20;

impl<G, S, O, M, N, R, C> Deploy<G, S, O, M, N, R, C>
where
    G: PolicyRepository,
    S: StackSets,
    O: OrganizationalUnits,
    M: DeployStore + RequestStore + ViolationStore,
    N: Notifier,
    R: Responder,
    C: Clock,
{
    /// Brings the removal of everything a step further, and answers when nothing is left or the time is up.
    pub(super) async fn remove_everything(&self, memory: Memory, waiting: &[Waiting]) -> Result<Seen> {
        if !memory.removing {
            self.memory.set_removal(true).await?;
        }
        let mut seen = Seen::default();
        let request = waiting.iter().find(|waiting| waiting.request.kind == RequestKind::Delete);
        let request = request.map(|waiting| waiting.request.envelope.request_id.as_str());
        for (name, mut rollout) in memory.rollouts {
            // Others may still be on their way: what could not be removed is tried again by the next deletion.
            if let Some(stuck) = rollout.value.stuck.as_ref().filter(|stuck| Some(stuck.request.as_str()) == request) {
                seen.frameworks.insert(name, FrameworkOutcome::Failed(stuck.reason.clone()));
                continue;
            }
            let before = rollout.value.clone();
            // Whatever the policy said of it: now it goes with everything else.
            rollout.value.undeclared = false;
            let span = info_span!("removal", stack_set = %name, commit = %rollout.value.commit, operation = Empty);
            let removed = self.remove(&before, rollout, request, &mut seen.counts).instrument(span.clone()).await;
            let outcome = match removed {
                // It would fail again, and must not keep the others.
                Err(error) if !matches!(error.kind, PortErrorKind::Retryable | PortErrorKind::Conflict) => {
                    FrameworkOutcome::Failed(error.explained())
                }
                removed => removed?,
            };
            span.in_scope(|| info!(outcome = ?outcome, "removing"));
            seen.frameworks.insert(name, outcome);
        }
        let left: Vec<String> = seen
            .frameworks
            .iter()
            .filter_map(|(name, outcome)| match outcome {
                FrameworkOutcome::Failed(reason) => Some(format!("{name}: {reason}")),
                _ => None,
            })
            .collect();
        let done = seen.frameworks.values().all(|outcome| *outcome == FrameworkOutcome::Removed);
        let stuck = !left.is_empty()
            && seen
                .frameworks
                .values()
                .all(|outcome| matches!(outcome, FrameworkOutcome::Removed | FrameworkOutcome::Failed(_)));
        for Waiting { request, since, .. } in waiting {
            let envelope = &request.envelope;
            let answer = if request.kind != RequestKind::Delete {
                Answer::failure(envelope, "overtaken by the deletion of the application")
            } else if done {
                Answer::success(envelope)
            } else if stuck || self.overdue(*since) {
                let going: Vec<&str> = seen
                    .frameworks
                    .iter()
                    .filter(|(_, outcome)| !matches!(outcome, FrameworkOutcome::Removed | FrameworkOutcome::Failed(_)))
                    .map(|(name, _)| name.as_str())
                    .collect();
                let late = (!going.is_empty()).then(|| {
                    format!(
                        "the StackSet operations did not end within the hour that CloudFormation gives, still there: {}",
                        going.join(", ")
                    )
                });
                let left: Vec<String> = left.iter().cloned().chain(late).collect();
                let left = left.join(" | ");
                Answer::failure(envelope, &format!("not everything could be removed, deleting again resumes: {left}"))
            } else {
                continue;
            };
            self.settle(request, &answer).await?;
        }
        Ok(seen)
    }

    /// A framework that has left the policy: removed if the policy says so, else left as it is and told once.
    pub(super) async fn undeclared(
        &self,
        mut rollout: Versioned<Rollout>,
        remove: bool,
        work: &mut Work<'_>,
    ) -> Result<FrameworkOutcome> {
        if !remove {
            // Told already, unless a removal has begun that is now not to go on.
            if !rollout.value.undeclared || rollout.value.phase == Phase::Removing {
                let warning = format!(
                    "the policy no longer declares the framework `{}`; its StackSet and instances stay as they are. Write `removeUndeclared: true` to have it removed, or declare it again",
                    rollout.value.name
                );
                self.warn(&[warning], work.commit).await?;
                rollout.value.undeclared = true;
                self.remember(&mut rollout).await?;
            }
            if rollout.value.phase.is_busy() {
                self.leave(rollout).await?;
            }
            return Ok(FrameworkOutcome::Undeclared);
        }
        let before = rollout.value.clone();
        let value = &mut rollout.value;
        if !value.undeclared || value.commit != *work.commit {
            let facts = self.facts(work).await?;
            (value.commit, value.author, value.message) = (work.commit.clone(), facts.author, facts.message);
            (value.attempt, value.began) = (1, self.clock.now());
            value.undeclared = true;
        } else if value.phase == Phase::Failed {
            // What could not be removed is tried again as a rollout is: by the full look, or by a push.
            if work.look < Look::Full || value.attempt > RETRIES {
                return Ok(FrameworkOutcome::FailedBefore);
            }
            value.attempt = value.attempt.saturating_add(1);
        }
        self.remove(&before, rollout, None, &mut work.counts).await
    }

    /// Waits for what was under way when a framework left the policy, so that light looks need not ask for ever.
    async fn leave(&self, mut rollout: Versioned<Rollout>) -> Result<()> {
        if let Some(in_flight) = rollout.value.in_flight.clone() {
            match self.stack_sets.operation(rollout.value.stack_set(), &in_flight.id).await? {
                Some(OperationStatus::InFlight | OperationStatus::Stopping) => return Ok(()),
                Some(OperationStatus::Ended) => rollout.value.operation_ended(),
                None if rollout.value.is_in_doubt(None, self.clock.now()) => return Ok(()),
                None => rollout.value.in_flight = None,
            }
        }
        rollout.value.phase = Phase::Left;
        self.remember(&mut rollout).await
    }

    /// Brings the removal of one StackSet a step further; `before` is what is remembered of it.
    async fn remove(
        &self,
        before: &Rollout,
        mut rollout: Versioned<Rollout>,
        request: Option<&str>,
        counts: &mut Counts,
    ) -> Result<FrameworkOutcome> {
        counts.reconciliations = counts.reconciliations.saturating_add(1);
        let name = rollout.value.name.clone();
        if rollout.value.phase != Phase::Removing {
            rollout.value.phase = Phase::Removing;
            rollout.value.start_over();
        }
        if let Some(in_flight) = rollout.value.in_flight.clone() {
            Span::current().record("operation", &in_flight.id);
            match self.stack_sets.operation(rollout.value.stack_set(), &in_flight.id).await? {
                Some(OperationStatus::InFlight)
                    if !matches!(in_flight.operation, Operation::DeleteInstances { .. }) =>
                {
                    return self.stop(rollout, &in_flight.id, counts).await;
                }
                Some(OperationStatus::InFlight | OperationStatus::Stopping) => {
                    return self.wait(rollout, before).await;
                }
                Some(OperationStatus::Ended) => rollout.value.operation_ended(),
                None => {}
            }
        }
        let observed = match self.stack_sets.describe(rollout.value.stack_set()).await? {
            Some(stack_set) => self.stack_sets.observe(rollout.value.stack_set(), stack_set).await?,
            None => Observed::default(),
        };
        let membership = members_left(&self.organization, &observed).await?;
        let owner = self.application.owner();
        let tried = rollout.value.tried.clone();
        let context = Context { owner: &owner, membership: &membership, tried: &tried };
        let step = next_removal_step(&observed, context);
        let next = if let Step::Start(operation) = &step { Some(operation) } else { None };
        if observed.stack_set.is_some() && rollout.value.is_in_doubt(next, self.clock.now()) {
            return self.wait(rollout, before).await;
        }
        if next.is_none() {
            rollout.value.in_flight = None;
        }
        match step {
            Step::Start(operation) => {
                let Some(found) = &observed.stack_set else { return Ok(FrameworkOutcome::Waiting) };
                let size = operation.size(observed.instances.len());
                let again = rollout.value.is_repeated(&operation);
                let id = self.write_down(&mut rollout, &operation, size).await?;
                counts.mutating_calls = counts.mutating_calls.saturating_add(1);
                let of = rollout.value.stack_set();
                let start = Start { of, id: &id, operation: &operation, desired: None, owner: &owner, found };
                match self.stack_sets.start(start).await {
                    Ok(_) => Ok(FrameworkOutcome::Started(id)),
                    Err(error) if error.kind == PortErrorKind::Conflict => Ok(FrameworkOutcome::Waiting),
                    Err(error) if error.kind == PortErrorKind::Retryable => Err(error),
                    Err(error) => {
                        if !again {
                            rollout.value.in_flight = None;
                        }
                        self.stuck(rollout, request, Verdict::default(), Some(error.explained()), counts).await
                    }
                }
            }
            Step::DeleteStackSet => {
                counts.mutating_calls = counts.mutating_calls.saturating_add(1);
                match self.stack_sets.delete(rollout.value.stack_set()).await {
                    Ok(()) => self.gone(rollout).await,
                    Err(error) if error.kind == PortErrorKind::Conflict => self.wait(rollout, before).await,
                    Err(error) if error.kind == PortErrorKind::Retryable => Err(error),
                    Err(error) => {
                        self.stuck(rollout, request, Verdict::default(), Some(error.explained()), counts).await
                    }
                }
            }
            Step::Finished(verdict) if verdict.is_success() => self.gone(rollout).await,
            Step::Finished(verdict) => self.stuck(rollout, request, verdict, None, counts).await,
            // Somebody else's: not ours to remove.
            Step::NotOurs { owner } => {
                warn!(stack_set = %name, ?owner, "the StackSet is no longer ours; it is left as it is");
                if rollout.value.let_go.is_empty() {
                    self.forget(&rollout.value).await
                } else {
                    self.gone(rollout).await
                }
            }
            Step::CreateStackSet | Step::OtherPermissions { .. } => self.forget(&rollout.value).await,
        }
    }

    /// Leaves it to the next look; what has changed is remembered, and nothing is written when nothing has.
    async fn wait(&self, mut rollout: Versioned<Rollout>, before: &Rollout) -> Result<FrameworkOutcome> {
        if rollout.value != *before {
            self.remember(&mut rollout).await?;
        }
        Ok(FrameworkOutcome::Waiting)
    }

    /// A rollout may take hours, and a removal has one: what it has not come to is cancelled.
    async fn stop(&self, mut rollout: Versioned<Rollout>, id: &str, counts: &mut Counts) -> Result<FrameworkOutcome> {
        self.remember(&mut rollout).await?;
        counts.mutating_calls = counts.mutating_calls.saturating_add(1);
        match self.stack_sets.stop(rollout.value.stack_set(), id).await {
            Ok(()) => {}
            Err(error) if error.kind == PortErrorKind::Retryable => return Err(error),
            // It ends by itself.
            Err(error) => warn!(%error, "the operation could not be stopped"),
        }
        Ok(FrameworkOutcome::Waiting)
    }

    /// What is left cannot be removed by what was tried. The next deletion starts over.
    async fn stuck(
        &self,
        mut rollout: Versioned<Rollout>,
        request: Option<&str>,
        verdict: Verdict,
        trouble: Option<String>,
        counts: &mut Counts,
    ) -> Result<FrameworkOutcome> {
        counts.rollouts_failed = counts.rollouts_failed.saturating_add(1);
        counts.instances_failed = counts.instances_failed.saturating_add(verdict.faults.len());
        let named = verdict.faults.iter().take(NAMED).map(|fault| format!("{} ({})", fault.instance, fault.reason));
        let mut left: Vec<String> = trouble.clone().into_iter().chain(named).collect();
        let more = verdict.faults.len().saturating_sub(NAMED);
        if more > 0 {
            left.push(format!("and {more} more"));
        }
        rollout.value.ended = Some(Ended::new(self.clock.now(), &verdict, trouble.clone()));
        let notice = Notice::RolloutFailed(self.report(&rollout.value, verdict, trouble));
        self.tell(&notice).await?;
        self.comment(&rollout.value.commit, &notice).await;
        rollout.value.tried.clear();
        rollout.value.phase = Phase::Failed;
        let reason = left.join(", ");
        rollout.value.stuck = request.map(|request| Stuck { request: request.to_owned(), reason: reason.clone() });
        self.remember(&mut rollout).await?;
        Ok(FrameworkOutcome::Failed(reason))
    }

    async fn gone(&self, rollout: Versioned<Rollout>) -> Result<FrameworkOutcome> {
        let rollout = rollout.value;
        // What was never there is not worth a word.
        if rollout.deleted > 0 || !rollout.let_go.is_empty() || rollout.undeclared {
            let notice = Notice::RolloutSucceeded(self.report(&rollout, Verdict::default(), None));
            match self.tell(&notice).await {
                // The topic may be gone before: what is removed stays removed.
                Err(error) if error.kind != PortErrorKind::Retryable => warn!(%error, "the removal could not be told"),
                told => told?,
            }
            if rollout.undeclared {
                self.comment(&rollout.commit, &notice).await;
            }
        }
        self.forget(&rollout).await
    }

    async fn forget(&self, rollout: &Rollout) -> Result<FrameworkOutcome> {
        self.memory.forget_framework(&rollout.name).await?;
        self.memory.forget_rollout(&rollout.name).await?;
        Ok(FrameworkOutcome::Removed)
    }
}
