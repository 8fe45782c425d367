//! Applies one framework: reads the facts that the transitions of a rollout depend on, and performs the action they decide.

use tracing::{Span, info, warn};

use domain::notice::{Notice, RolloutReport};
use domain::rollout::record::RETRIES;
use domain::rollout::transition::{
    Attempt, OperationProgress, OperationStart, Revision, RolloutAction, Settled, Situation, advance, settled,
};
use domain::rollout::{Desired, Observed, StepContext, Verdict, next_step};
use framework::ids::CommitId;

use super::desired::{DesiredFramework, ObservedFramework};
use super::members::with_former_units;
use super::ports::{
    DeployEnv, DeployStore, DeployedStackSets as _, Notifier, PolicyRepository, StackSets, StartRequest,
};
use super::reconcile::{Deploy, DeployCounts, FrameworkOutcome, Work};
use super::state::{Phase, PublishedFramework, RolloutRecord, StackSetRef};
use crate::ports::{Clock, PortError, PortErrorKind, Result, Versioned};

impl<E: DeployEnv> Deploy<E> {
    /// Reconciles one framework: at most one StackSet operation is started. Long because each read depends on the decision before it.
    pub(super) async fn apply(
        &self,
        framework: &DesiredFramework,
        known: Option<Versioned<RolloutRecord>>,
        ObservedFramework { stack_set, membership }: ObservedFramework,
        work: &mut Work<'_>,
    ) -> Result<FrameworkOutcome> {
        let desired = &framework.desired;
        let (mut known, version) = known.map_or((None, 0), |known| (Some(known.value), known.version));
        match settled(desired, known.as_ref(), stack_set.as_ref(), work.commit, work.is_full) {
            Some(Settled::Unchanged) => return Ok(FrameworkOutcome::Unchanged),
            Some(Settled::FailedBefore) => return Ok(FrameworkOutcome::FailedBefore),
            None => {}
        }
        work.counts.reconciliations += 1;
        let attempt = Attempt::next(known.as_ref(), &desired.digest(), work.commit, work.is_full);
        if let Some(known) = &mut known
            && self.observe_operation(framework.stack_set(), known).await? != OperationProgress::Idle
        {
            return Ok(FrameworkOutcome::Waiting);
        }
        let revision = if attempt.needs_revision() { Some(self.revision(work).await?) } else { None };
        let Some(value) = attempt.begin(known, desired, stack_set.is_some(), revision, self.clock.now()) else {
            return Ok(FrameworkOutcome::FailedBefore);
        };
        let mut rollout = Versioned { value, version };
        if !attempt.keeps_digest() || membership.is_some() {
            self.publish(&framework.published).await?;
        }

        let mut observed = match stack_set {
            Some(stack_set) => self.stack_sets.observe(framework.stack_set(), stack_set).await?,
            None => Observed::default(),
        };
        let owner = self.application.owner();
        let overrides_doubted = rollout.value.applied_overrides.apply(&mut observed, &owner);
        let membership = with_former_units(&self.organization, membership.unwrap_or_default(), &observed).await?;
        let tried = rollout.value.tried.clone();
        let context = StepContext { owner: &owner, membership: &membership, ended_operations: &tried };
        let mut just_created = false;
        loop {
            let step = next_step(desired, &observed, context);
            let counts = work.counts.with_instances(&step);
            let situation = Situation {
                attempt,
                stack_set_exists: observed.stack_set.is_some(),
                just_created,
                instances: observed.instances.len(),
                overrides_doubted,
                now: self.clock.now(),
            };
            let (value, decision) = advance(rollout.value, step, situation);
            rollout.value = value;
            if decision.record {
                self.record(&mut rollout).await?;
            }
            match decision.action {
                RolloutAction::Wait => return Ok(FrameworkOutcome::Waiting),
                RolloutAction::Unchanged => {
                    work.counts = counts;
                    return Ok(FrameworkOutcome::Unchanged);
                }
                RolloutAction::Report(verdict) => {
                    work.counts = counts;
                    return self.finish(rollout, verdict, None, &mut work.counts).await;
                }
                RolloutAction::Start(launch) => {
                    let of = framework.stack_set();
                    let started = self.start(of, &launch, Some(desired), &observed, &mut work.counts).await;
                    let Err(error) = started else { return started };
                    rollout.value.forget_rejected(launch.repeated);
                    return self.fail(rollout, error, desired, &mut work.counts).await;
                }
                RolloutAction::CreateStackSet => {
                    work.counts.mutating_calls += 1;
                    if let Err(error) = self.stack_sets.create(desired, &owner).await {
                        return self.fail(rollout, error, desired, &mut work.counts).await;
                    }
                    // Creating a StackSet is not an operation, so no event follows: the rollout continues at once.
                    let stack_set = self.stack_sets.describe(framework.stack_set()).await?;
                    observed = Observed { stack_set, ..Observed::default() };
                    just_created = true;
                }
            }
        }
    }

    pub(super) async fn observe_operation(
        &self,
        of: StackSetRef<'_>,
        rollout: &mut RolloutRecord,
    ) -> Result<OperationProgress> {
        let Some(in_flight) = &rollout.in_flight else { return Ok(OperationProgress::Idle) };
        Span::current().record("operation", &in_flight.id);
        let status = self.stack_sets.operation(of, &in_flight.id).await?;
        Ok(rollout.observe_operation(status))
    }

    async fn publish(&self, facts: &PublishedFramework) -> Result<()> {
        let published = self.store.framework(&facts.stack_set).await?;
        let facts = facts.clone().following(published.as_ref(), self.clock.now());
        if published.as_ref() == Some(&facts) {
            return Ok(());
        }
        self.store.put_framework(&facts).await
    }

    pub(super) async fn revision(&self, work: &mut Work<'_>) -> Result<Revision> {
        if let Some(revision) = &work.revision {
            return Ok(revision.clone());
        }
        Ok(work.revision.insert(self.repository.commit(work.commit).await?).clone())
    }

    /// Starts an operation that is recorded as in flight.
    pub(super) async fn start(
        &self,
        of: StackSetRef<'_>,
        launch: &OperationStart,
        desired: Option<&Desired>,
        observed: &Observed,
        counts: &mut DeployCounts,
    ) -> Result<FrameworkOutcome> {
        let OperationStart { id, operation, .. } = launch;
        let Some(found) = &observed.stack_set else { return Ok(FrameworkOutcome::Waiting) };
        Span::current().record("operation", id);
        counts.mutating_calls += 1;
        let owner = &self.application.owner();
        match self.stack_sets.start(StartRequest { of, id, operation, desired, owner, observed: found }).await {
            Ok(_) => {
                let instances = operation.size(observed.instances.len());
                info!(operation = operation.api_name(), instances, "started a StackSet operation");
                Ok(FrameworkOutcome::Started(id.clone()))
            }
            // Another operation runs on the StackSet: the next scheduled reconciliation tries again.
            Err(error) if error.kind == PortErrorKind::Conflict => {
                info!(%error, "the StackSet is busy");
                Ok(FrameworkOutcome::Waiting)
            }
            Err(error) => Err(error),
        }
    }

    /// Stores a rollout. An operation is recorded before it is started, so that it is found again if its answer is lost.
    pub(super) async fn record(&self, rollout: &mut Versioned<RolloutRecord>) -> Result<()> {
        self.store.put_rollout(rollout).await?;
        rollout.version = rollout.version.saturating_add(1);
        Ok(())
    }

    /// Reports the end of an attempt, by its verdict or by an error, then records it.
    async fn finish(
        &self,
        mut rollout: Versioned<RolloutRecord>,
        verdict: Verdict,
        error: Option<String>,
        counts: &mut DeployCounts,
    ) -> Result<FrameworkOutcome> {
        let now = self.clock.now();
        self.report_end(&rollout.value, &verdict, error.clone()).await?;
        match &error {
            Some(error) => rollout.value.reject(&verdict, error.clone(), now),
            None => rollout.value.finish(&verdict, now),
        }
        self.record(&mut rollout).await?;
        if error.is_none() && verdict.is_success() {
            counts.rollouts_succeeded += 1;
            let seconds = now.as_second().saturating_sub(rollout.value.started.as_second());
            counts.seconds_to_converge = counts.seconds_to_converge.max(Some(seconds));
            return Ok(FrameworkOutcome::Succeeded);
        }
        counts.rollouts_failed += 1;
        let Verdict { succeeded, total, .. } = verdict;
        let reason = error.unwrap_or_else(|| format!("{succeeded} of {total} instances are as desired"));
        Ok(FrameworkOutcome::Failed(reason))
    }

    /// Ends an attempt whose mutating call AWS has rejected. An error that may pass is left to the next delivery of the trigger.
    async fn fail(
        &self,
        rollout: Versioned<RolloutRecord>,
        error: PortError,
        desired: &Desired,
        counts: &mut DeployCounts,
    ) -> Result<FrameworkOutcome> {
        if matches!(error.kind, PortErrorKind::Retryable | PortErrorKind::Conflict) {
            return Err(error);
        }
        let verdict = Verdict { total: desired.instances.len(), ..Verdict::default() };
        self.finish(rollout, verdict, Some(error.with_fix()), counts).await
    }

    pub(super) async fn report_end(
        &self,
        rollout: &RolloutRecord,
        verdict: &Verdict,
        error: Option<String>,
    ) -> Result<()> {
        let is_success = verdict.is_success() && error.is_none();
        let report = self.report(rollout, verdict.clone(), error);
        let notice = if is_success { Notice::RolloutSucceeded(report) } else { Notice::RolloutFailed(report) };
        self.notify(&notice).await?;
        self.comment(&rollout.commit, &notice).await;
        Ok(())
    }

    pub(super) fn report(&self, rollout: &RolloutRecord, verdict: Verdict, trouble: Option<String>) -> RolloutReport {
        let failed = !verdict.is_success() || trouble.is_some();
        let removed = rollout.phase == Phase::Removing;
        let next = failed.then(|| {
            if removed && !rollout.undeclared {
                "Deleting the application again continues the removal.".to_owned()
            } else if rollout.is_retried() {
                format!(
                    "The next full reconciliation (hourly by default) retries: retry {} of {RETRIES}. A push restarts the count.",
                    rollout.attempt
                )
            } else {
                format!("It was tried {} times and is not tried again before the next push.", rollout.attempt)
            }
        });
        RolloutReport {
            stack_set: rollout.name.clone(),
            repository: self.application.repository.clone(),
            branch: self.application.branch.clone(),
            commit: rollout.commit.clone(),
            author: rollout.author.clone(),
            message: rollout.message.clone(),
            verdict,
            created: rollout.created,
            updated: rollout.updated,
            deleted: rollout.deleted,
            is_removal: removed,
            retained: rollout.retained.iter().flat_map(domain::rollout::OperationTargets::instances).collect(),
            error: trouble,
            next,
        }
    }

    pub(super) async fn notify(&self, notice: &Notice) -> Result<()> {
        self.notifier.publish(std::slice::from_ref(notice)).await.into_iter().collect()
    }

    /// Comments on a commit, if the application is set so. The notice was published before, so a failure is only logged.
    pub(super) async fn comment(&self, commit: &CommitId, notice: &Notice) {
        if !self.application.comment_on_commits {
            return;
        }
        if let Err(error) = self.repository.comment(commit, &notice.comment()).await {
            warn!(commit = %commit, %error, "the comment on the commit failed");
        }
    }
}
