//! Removes StackSets, instances first: of a framework that has left the policy, or of all when the application is deleted.

use tracing::field::Empty;
use tracing::{Instrument as _, info, info_span, warn};

use domain::notice::Notice;
use domain::rollout::transition::{Attempt, OperationProgress, RemovalAction, advance_removal};
use domain::rollout::{Observed, RolloutStep, StepContext, Verdict, next_removal_step};

use super::members::members_left;
use super::ports::{DeployEnv, DeployStore, DeployedStackSets as _, StackSets};
use super::reconcile::{Deploy, DeployCounts, FrameworkOutcome, ReconcileSummary, Work};
use super::state::{DeployState, Phase, RolloutRecord};
use crate::inventory::InventoryStore as _;
use crate::lifecycle::{RequestAnswer, RequestKind, WaitingRequest};
use crate::ports::{Clock, PortErrorKind, Result, Versioned};

/// Instances that the answer to CloudFormation names; the others are counted.
const NAMED: usize = 20;

struct Removal<'a> {
    /// The recorded rollout, to be written only if it has changed.
    before: RolloutRecord,
    rollout: Versioned<RolloutRecord>,
    /// The CloudFormation request that asked for the removal of the application.
    request: Option<&'a str>,
    counts: &'a mut DeployCounts,
}

impl<E: DeployEnv> Deploy<E> {
    /// Continues the removal of all frameworks, and answers when nothing remains, nothing more can be removed or the time is up.
    pub(super) async fn remove_everything(
        &self,
        memory: DeployState,
        waiting: &[WaitingRequest],
    ) -> Result<ReconcileSummary> {
        if !memory.removing {
            self.store.set_removal(true).await?;
        }
        let mut seen = ReconcileSummary::default();
        let request = waiting.iter().find(|waiting| waiting.request.kind == RequestKind::Delete);
        let request = request.map(|waiting| waiting.request.envelope.request_id.as_str());
        for (name, mut rollout) in memory.rollouts {
            // While other removals go on, a blocked one is not retried before the next request.
            if let Some(stuck) = &rollout.value.removal_blocked
                && Some(stuck.request.as_str()) == request
            {
                seen.frameworks.insert(name, FrameworkOutcome::Failed(stuck.reason.clone()));
                continue;
            }
            let before = rollout.value.clone();
            // The removal of the application takes precedence over that by the policy.
            rollout.value.undeclared = false;
            let span = info_span!("removal", stack_set = %name, commit = %rollout.value.commit, operation = Empty);
            let removal = Removal { before, rollout, request, counts: &mut seen.counts };
            let outcome = match self.remove(removal).instrument(span.clone()).await {
                // It would fail again, and must not block the others.
                Err(error) if !matches!(error.kind, PortErrorKind::Retryable | PortErrorKind::Conflict) => {
                    FrameworkOutcome::Failed(error.with_fix())
                }
                removed => removed?,
            };
            span.in_scope(|| info!(outcome = ?outcome, "continued the removal"));
            seen.frameworks.insert(name, outcome);
        }
        self.answer_removal(waiting, &seen).await?;
        Ok(seen)
    }

    async fn answer_removal(&self, waiting: &[WaitingRequest], seen: &ReconcileSummary) -> Result<()> {
        let (mut remaining, mut running) = (Vec::new(), Vec::new());
        for (name, outcome) in &seen.frameworks {
            match outcome {
                FrameworkOutcome::Removed => {}
                FrameworkOutcome::Failed(reason) => remaining.push(format!("{name}: {reason}")),
                _ => running.push(name.as_str()),
            }
        }
        let is_running = !running.is_empty();
        if is_running {
            remaining.push(format!(
                "the StackSet operations did not end within the hour that CloudFormation allows, remaining: {}",
                running.join(", ")
            ));
        }
        if remaining.is_empty() {
            remaining.extend(self.remove_inventories(waiting).await?);
        }
        for WaitingRequest { request, since, .. } in waiting {
            let envelope = &request.envelope;
            let answer = if request.kind != RequestKind::Delete {
                RequestAnswer::failure(envelope, "superseded by the deletion of the application")
            } else if remaining.is_empty() {
                RequestAnswer::success(envelope)
            } else if !is_running || self.overdue(*since) {
                let remaining = remaining.join(" | ");
                let reason = format!("not everything could be removed, deleting again continues: {remaining}");
                RequestAnswer::failure(envelope, &reason)
            } else {
                continue;
            };
            self.settle(request, &answer).await?;
        }
        Ok(())
    }

    /// Removes the inventory, since CloudFormation deletes only an empty bucket. Its function is deleted before this request. Returns the
    /// error if it cannot be removed.
    async fn remove_inventories(&self, waiting: &[WaitingRequest]) -> Result<Option<String>> {
        let Some(delete) = waiting.iter().find(|waiting| waiting.request.kind == RequestKind::Delete) else {
            return Ok(None);
        };
        match self.inventories.remove_inventories().await {
            Ok(()) => Ok(None),
            Err(error) if error.kind == PortErrorKind::Retryable && !self.overdue(delete.since) => Err(error),
            Err(error) => Ok(Some(format!("the inventory in the application's bucket: {}", error.with_fix()))),
        }
    }

    /// Handles a framework that has left the policy: removes it if the policy asks for that; else retains it and warns once.
    pub(super) async fn undeclared(
        &self,
        mut rollout: Versioned<RolloutRecord>,
        remove: bool,
        work: &mut Work<'_>,
    ) -> Result<FrameworkOutcome> {
        if !remove {
            // Warned before, unless a removal has begun that must not go on.
            if !rollout.value.undeclared || rollout.value.phase == Phase::Removing {
                let warning = format!(
                    "the policy no longer declares the framework `{}`; its StackSet and instances are retained. Write `removeUndeclared: true` to remove them, or declare the framework again",
                    rollout.value.name
                );
                self.warn(&[warning], work.commit).await?;
                rollout.value.undeclared = true;
                self.record(&mut rollout).await?;
            }
            if rollout.value.phase.is_busy() {
                let status = match &rollout.value.in_flight {
                    Some(in_flight) => self.stack_sets.operation(rollout.value.stack_set(), &in_flight.id).await?,
                    None => None,
                };
                if rollout.value.leave(status, self.clock.now()) {
                    self.record(&mut rollout).await?;
                }
            }
            return Ok(FrameworkOutcome::Undeclared);
        }
        let attempt = Attempt::next_removal(&rollout.value, work.commit, work.is_full);
        let revision = if attempt.needs_revision() { Some(self.revision(work).await?) } else { None };
        let before = rollout.value.clone();
        let Some(value) = attempt.begin_removal(rollout.value, revision, self.clock.now()) else {
            return Ok(FrameworkOutcome::FailedBefore);
        };
        let rollout = Versioned { value, ..rollout };
        self.remove(Removal { before, rollout, request: None, counts: &mut work.counts }).await
    }

    async fn remove(&self, mut removal: Removal<'_>) -> Result<FrameworkOutcome> {
        removal.counts.reconciliations += 1;
        let rollout = &mut removal.rollout.value;
        let of = removal.before.stack_set();
        rollout.start_removal();
        match self.observe_operation(of, rollout).await? {
            OperationProgress::Running if rollout.is_stopped_by_removal() => return self.stop(removal).await,
            OperationProgress::Running | OperationProgress::Stopping => return self.wait(removal).await,
            OperationProgress::Idle => {}
        }
        let observed = match self.stack_sets.describe(of).await? {
            Some(stack_set) => self.stack_sets.observe(of, stack_set).await?,
            None => Observed::default(),
        };
        let membership = members_left(&self.organization, &observed).await?;
        let owner = self.application.owner();
        let context = StepContext { owner: &owner, membership: &membership, ended_operations: &rollout.tried };
        let step = next_removal_step(&observed, context);
        if let RolloutStep::OtherOwner(owner) = &step {
            warn!(stack_set = %of.name, ?owner, "the StackSet has another owner; it is retained");
        }
        let (exists, instances) = (observed.stack_set.is_some(), observed.instances.len());
        let (value, action) = advance_removal(rollout.clone(), step, exists, instances, self.clock.now());
        *rollout = value;
        let outcome = match action {
            RemovalAction::Wait => return self.wait(removal).await,
            RemovalAction::Forget => return self.forget(rollout).await,
            RemovalAction::Report => return self.removed(rollout).await,
            RemovalAction::Block(verdict) => return self.block(removal, verdict, None).await,
            RemovalAction::Start(launch) => {
                self.record(&mut removal.rollout).await?;
                let started = self.start(of, &launch, None, &observed, removal.counts).await;
                if started.is_err() {
                    removal.rollout.value.forget_rejected(launch.repeated);
                }
                started
            }
            RemovalAction::DeleteStackSet => {
                removal.counts.mutating_calls += 1;
                match self.stack_sets.delete(of).await {
                    Ok(()) => return self.removed(rollout).await,
                    Err(error) if error.kind == PortErrorKind::Conflict => return self.wait(removal).await,
                    Err(error) => Err(error),
                }
            }
        };
        match outcome {
            Err(error) if error.kind != PortErrorKind::Retryable => {
                self.block(removal, Verdict::default(), Some(error.with_fix())).await
            }
            outcome => outcome,
        }
    }

    /// Records a change, and waits for the next reconciliation.
    async fn wait(&self, mut removal: Removal<'_>) -> Result<FrameworkOutcome> {
        if removal.rollout.value != removal.before {
            self.record(&mut removal.rollout).await?;
        }
        Ok(FrameworkOutcome::Waiting)
    }

    /// Stops the operation in flight: a rollout may take hours, and a removal has one.
    async fn stop(&self, mut removal: Removal<'_>) -> Result<FrameworkOutcome> {
        self.record(&mut removal.rollout).await?;
        let Some(in_flight) = &removal.rollout.value.in_flight else { return Ok(FrameworkOutcome::Waiting) };
        removal.counts.mutating_calls += 1;
        match self.stack_sets.stop(removal.before.stack_set(), &in_flight.id).await {
            Ok(()) => {}
            Err(error) if error.kind == PortErrorKind::Retryable => return Err(error),
            Err(error) => warn!(%error, "the operation could not be stopped; waiting for its end"),
        }
        Ok(FrameworkOutcome::Waiting)
    }

    /// Reports a removal that cannot continue. The next deletion starts over.
    async fn block(
        &self,
        Removal { mut rollout, request, counts, .. }: Removal<'_>,
        verdict: Verdict,
        error: Option<String>,
    ) -> Result<FrameworkOutcome> {
        counts.rollouts_failed += 1;
        counts.instances_failed += verdict.failures.len();
        let named = verdict.failures.iter().take(NAMED).map(|fault| format!("{} ({})", fault.instance, fault.reason));
        let more = verdict.failures.len().checked_sub(NAMED).filter(|more| *more > 0);
        let more = more.map(|more| format!("and {more} more"));
        let reason = Vec::from_iter(error.clone().into_iter().chain(named).chain(more)).join(", ");
        self.report_end(&rollout.value, &verdict, error.clone()).await?;
        rollout.value.block_removal(&verdict, error, request, &reason, self.clock.now());
        self.record(&mut rollout).await?;
        Ok(FrameworkOutcome::Failed(reason))
    }

    /// Reports a completed removal, unless nothing was deployed, and deletes the record.
    async fn removed(&self, rollout: &RolloutRecord) -> Result<FrameworkOutcome> {
        if rollout.deleted > 0 || !rollout.retained.is_empty() || rollout.undeclared {
            let notice = Notice::RolloutSucceeded(self.report(rollout, Verdict::default(), None));
            match self.notify(&notice).await {
                // The topic may be deleted before: the removal is complete all the same.
                Err(error) if error.kind != PortErrorKind::Retryable => warn!(%error, "the notice was not published"),
                published => published?,
            }
            if rollout.undeclared {
                self.comment(&rollout.commit, &notice).await;
            }
        }
        self.forget(rollout).await
    }

    async fn forget(&self, rollout: &RolloutRecord) -> Result<FrameworkOutcome> {
        self.store.delete_framework(&rollout.name).await?;
        self.store.delete_rollout(&rollout.name).await?;
        Ok(FrameworkOutcome::Removed)
    }
}
