//! One framework, brought a step further: what was remembered, what is found, the one next operation, and the verdict.

use super::members::with_former_units;
use super::memory::{Ended, FrameworkFacts, InFlight, Phase, RETRIES, Rollout, complete, given_by_nobody};
use super::reconcile::{Deploy, FrameworkOutcome, Work, settled};
use super::wanted::WantedFramework;
use crate::events::Look;
use crate::ports::{
    Clock, CommitFacts, DeployStore, Notifier, OrganizationalUnits, PolicyRepository, PortError, PortErrorKind,
    RequestStore, Responder, Result, StackSets, Start, Versioned, ViolationStore,
};
use domain::ids::CommitId;
use domain::notice::{Notice, RolloutReport};
use domain::rollout::{
    Context, Digest, Membership, Observed, ObservedStackSet, Operation, OperationStatus, Step, Verdict, digest_of,
    next_step,
};
use serde_json::json;
use std::collections::BTreeSet;
use tracing::{Span, info, warn};

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
    /// Brings one framework a step further.
    pub(super) async fn bring(
        &self,
        framework: &WantedFramework,
        known: Option<Versioned<Rollout>>,
        stack_set: Option<ObservedStackSet>,
        membership: Option<Membership>,
        work: &mut Work<'_>,
    ) -> Result<FrameworkOutcome> {
        let desired = &framework.desired;
        let remembered = known.as_ref().map(|known| &known.value);
        if let Some(outcome) = settled(desired, remembered, stack_set.as_ref(), work.commit, work.look) {
            return Ok(outcome);
        }
        work.counts.reconciliations = work.counts.reconciliations.saturating_add(1);
        let digest = desired.digest();
        let same =
            known.as_ref().is_some_and(|known| known.value.digest == digest && known.value.phase != Phase::Removing);
        let mut rollout = match known {
            Some(known) => known,
            None => Versioned { value: self.begin(framework, &digest, stack_set.as_ref(), work).await?, version: 0 },
        };
        if let Some(in_flight) = rollout.value.in_flight.clone() {
            Span::current().record("operation", &in_flight.id);
            match self.stack_sets.operation(framework.stack_set(), &in_flight.id).await? {
                Some(OperationStatus::InFlight | OperationStatus::Stopping) => return Ok(FrameworkOutcome::Waiting),
                Some(OperationStatus::Ended) => rollout.value.operation_ended(),
                // Written down, and never started; or not visible yet.
                None => {}
            }
        }
        if !same && rollout.version > 0 {
            let fresh = self.begin(framework, &digest, stack_set.as_ref(), work).await?;
            // An operation that was written down and never seen is waited for, should it only not be visible yet.
            // What was let go of is named by the next notice, whatever it is about.
            let Rollout { sequence, in_flight, let_go, .. } = rollout.value;
            let given = if stack_set.is_some() { rollout.value.given } else { fresh.given.clone() };
            rollout.value = Rollout { sequence, in_flight, given, let_go, ..fresh };
        } else if rollout.value.phase == Phase::Failed {
            if work.look < Look::Full || rollout.value.commit != *work.commit {
                // A push: the count of attempts starts anew, and the verdict is told to whoever pushed.
                let CommitFacts { author, message } = self.facts(work).await?;
                let value = &mut rollout.value;
                (value.commit, value.author, value.message) = (work.commit.clone(), author, message);
                value.attempt = 1;
                value.began = self.clock.now();
            } else if rollout.value.attempt > RETRIES {
                return Ok(FrameworkOutcome::FailedBefore);
            } else {
                rollout.value.attempt = rollout.value.attempt.saturating_add(1);
            }
            rollout.value.start_over();
            rollout.value.phase = Phase::Running;
        } else if rollout.value.phase == Phase::Left {
            // Nobody has judged what was done before it left.
            rollout.value.start_over();
            rollout.value.attempt = 1;
            rollout.value.began = self.clock.now();
        }
        if rollout.version == 0 || !same || membership.is_some() {
            self.publish(&framework.facts).await?;
        }

        let mut observed = match stack_set {
            Some(stack_set) => self.stack_sets.observe(framework.stack_set(), stack_set).await?,
            None => Observed::default(),
        };
        let owner = self.application.owner();
        let doubted = complete(&mut rollout.value.given, &mut observed, &owner);
        let membership = with_former_units(&self.organization, membership.unwrap_or_default(), &observed).await?;
        let tried = rollout.value.tried.clone();
        let context = Context { owner: &owner, membership: &membership, tried: &tried };
        let mut step = next_step(desired, &observed, context);
        // What was written down for another policy is not the same again, whatever it is called.
        let next = if let (true, Step::Start(operation)) = (same, &step) { Some(operation) } else { None };
        if observed.stack_set.is_some() && rollout.value.is_in_doubt(next, self.clock.now()) {
            return Ok(FrameworkOutcome::Waiting);
        }
        if !same {
            rollout.value.in_flight = None;
        }
        if rollout.value.undeclared {
            // It is back in the policy: should it leave again, people are told again.
            rollout.value.undeclared = false;
            self.remember(&mut rollout).await?;
        }
        if step == Step::CreateStackSet {
            self.remember(&mut rollout).await?;
            work.counts.mutating_calls = work.counts.mutating_calls.saturating_add(1);
            if let Err(error) = self.stack_sets.create(desired, &owner).await {
                return self.trouble(rollout, &error, framework, work).await;
            }
            // Creation is no operation and has no event: go on at once with what the StackSet looks like now.
            let created = self.stack_sets.describe(framework.stack_set()).await?;
            observed = Observed { stack_set: created, ..Observed::default() };
            step = next_step(desired, &observed, context);
        }
        match step {
            Step::Start(operation) => self.start(rollout, operation, framework, &observed, work).await,
            Step::Finished(verdict) => self.finish(rollout, verdict, doubted, work).await,
            // Not there right after its creation, or taken over by somebody in between: the next look tells.
            Step::CreateStackSet | Step::NotOurs { .. } | Step::OtherPermissions { .. } | Step::DeleteStackSet => {
                Ok(FrameworkOutcome::Waiting)
            }
        }
    }

    /// Publishes the controls of a framework, unless that is what was published last.
    async fn publish(&self, facts: &FrameworkFacts) -> Result<()> {
        let published = self.memory.framework(&facts.stack_set).await?;
        let facts = facts.clone().following(published.as_ref(), self.clock.now());
        if published.as_ref() == Some(&facts) {
            return Ok(());
        }
        self.memory.put_framework(&facts).await
    }

    pub(super) async fn facts(&self, work: &mut Work<'_>) -> Result<CommitFacts> {
        Ok(match &work.facts {
            Some(facts) => facts.clone(),
            None => work.facts.insert(self.repository.commit(work.commit).await?).clone(),
        })
    }

    async fn begin(
        &self,
        framework: &WantedFramework,
        digest: &Digest,
        found: Option<&ObservedStackSet>,
        work: &mut Work<'_>,
    ) -> Result<Rollout> {
        let CommitFacts { author, message } = self.facts(work).await?;
        Ok(Rollout {
            name: framework.desired.name.clone(),
            digest: digest.clone(),
            commit: work.commit.clone(),
            author,
            message,
            phase: Phase::Running,
            attempt: 1,
            tried: BTreeSet::new(),
            in_flight: None,
            sequence: 0,
            created: 0,
            updated: 0,
            deleted: 0,
            given: given_by_nobody(found.is_some()),
            call_as: framework.desired.permissions.call_as(),
            began: self.clock.now(),
            ended: None,
            let_go: Vec::new(),
            undeclared: false,
            stuck: None,
        })
    }

    async fn start(
        &self,
        mut rollout: Versioned<Rollout>,
        operation: Operation,
        framework: &WantedFramework,
        observed: &Observed,
        work: &mut Work<'_>,
    ) -> Result<FrameworkOutcome> {
        let Some(found) = &observed.stack_set else { return Ok(FrameworkOutcome::Waiting) };
        let size = operation.size(observed.instances.len());
        let again = rollout.value.is_repeated(&operation);
        let value = &mut rollout.value;
        if value.phase == Phase::Succeeded {
            // A full look has found something to do: another attempt, counted for itself.
            value.start_over();
            value.attempt = 1;
            value.began = self.clock.now();
        }
        value.phase = Phase::Running;
        let id = self.write_down(&mut rollout, &operation, size).await?;
        let owner = self.application.owner();
        let started = self.stack_sets.start(Start {
            of: framework.stack_set(),
            id: &id,
            operation: &operation,
            desired: Some(&framework.desired),
            owner: &owner,
            found,
        });
        work.counts.mutating_calls = work.counts.mutating_calls.saturating_add(1);
        match started.await {
            Ok(_) => {
                info!(what = operation.api(), instances = size, "operation started");
                Ok(FrameworkOutcome::Started(id))
            }
            // Somebody else's operation is going on, or was just now: the schedule looks again.
            Err(error) if error.kind == PortErrorKind::Conflict => {
                info!(%error, "the StackSet is busy");
                Ok(FrameworkOutcome::Waiting)
            }
            Err(error) => {
                // What is refused the second time may have been accepted the first time.
                if !again && error.kind != PortErrorKind::Retryable {
                    rollout.value.in_flight = None;
                }
                self.trouble(rollout, &error, framework, work).await
            }
        }
    }

    /// Remembers an operation before it is started, so that one whose answer is lost is found again.
    pub(super) async fn write_down(
        &self,
        rollout: &mut Versioned<Rollout>,
        operation: &Operation,
        size: usize,
    ) -> Result<String> {
        let value = &mut rollout.value;
        // Written down before and not found since: the same id again, should it only not be visible yet.
        let before = value.in_flight.take().filter(|in_flight| in_flight.operation == *operation);
        let id = before.map_or_else(
            || {
                value.sequence = value.sequence.saturating_add(1);
                format!("bc-{}", digest_of(&json!([value.name, value.digest, value.sequence])))
            },
            |in_flight| in_flight.id,
        );
        Span::current().record("operation", &id);
        value.in_flight =
            Some(InFlight { id: id.clone(), operation: operation.clone(), size, since: Some(self.clock.now()) });
        self.remember(rollout).await?;
        Ok(id)
    }

    pub(super) async fn remember(&self, rollout: &mut Versioned<Rollout>) -> Result<()> {
        self.memory.put_rollout(rollout).await?;
        rollout.version = rollout.version.saturating_add(1);
        Ok(())
    }

    async fn finish(
        &self,
        mut rollout: Versioned<Rollout>,
        verdict: Verdict,
        doubted: bool,
        work: &mut Work<'_>,
    ) -> Result<FrameworkOutcome> {
        let success = verdict.is_success();
        work.counts.instances_succeeded = work.counts.instances_succeeded.saturating_add(verdict.succeeded);
        work.counts.instances_failed = work.counts.instances_failed.saturating_add(verdict.faults.len());
        work.counts.instances_skipped = work.counts.instances_skipped.saturating_add(verdict.skipped.len());
        if rollout.value.phase == Phase::Succeeded && success {
            if doubted {
                self.remember(&mut rollout).await?;
            }
            return Ok(FrameworkOutcome::Unchanged);
        }
        let (succeeded, total) = (verdict.succeeded, verdict.total);
        let now = self.clock.now();
        rollout.value.ended = Some(Ended::new(now, &verdict, None));
        let report = self.report(&rollout.value, verdict, None);
        let notice = if success { Notice::RolloutSucceeded(report) } else { Notice::RolloutFailed(report) };
        self.tell(&notice).await?;
        self.comment(&rollout.value.commit, &notice).await;
        rollout.value.phase = if success { Phase::Succeeded } else { Phase::Failed };
        rollout.value.let_go.clear();
        rollout.value.tried.clear();
        rollout.value.in_flight = None;
        self.remember(&mut rollout).await?;
        if success {
            work.counts.rollouts_succeeded = work.counts.rollouts_succeeded.saturating_add(1);
            let seconds = now.as_second().saturating_sub(rollout.value.began.as_second());
            work.counts.seconds_to_converge = work.counts.seconds_to_converge.max(Some(seconds));
        } else {
            work.counts.rollouts_failed = work.counts.rollouts_failed.saturating_add(1);
        }
        Ok(if success {
            FrameworkOutcome::Succeeded
        } else {
            FrameworkOutcome::Failed(format!("{succeeded} of {total} instances are as wanted"))
        })
    }

    /// AWS refused a mutating call. What may pass later is left to the next delivery of the trigger; the rest is told.
    async fn trouble(
        &self,
        mut rollout: Versioned<Rollout>,
        error: &PortError,
        framework: &WantedFramework,
        work: &mut Work<'_>,
    ) -> Result<FrameworkOutcome> {
        if matches!(error.kind, PortErrorKind::Retryable | PortErrorKind::Conflict) {
            return Err(error.clone());
        }
        let verdict = Verdict { total: framework.desired.instances.len(), ..Verdict::default() };
        rollout.value.ended = Some(Ended::new(self.clock.now(), &verdict, Some(error.explained())));
        let notice = Notice::RolloutFailed(self.report(&rollout.value, verdict, Some(error.explained())));
        self.tell(&notice).await?;
        self.comment(&rollout.value.commit, &notice).await;
        rollout.value.phase = Phase::Failed;
        self.remember(&mut rollout).await?;
        work.counts.rollouts_failed = work.counts.rollouts_failed.saturating_add(1);
        Ok(FrameworkOutcome::Failed(error.explained()))
    }

    pub(super) fn report(&self, rollout: &Rollout, verdict: Verdict, trouble: Option<String>) -> RolloutReport {
        let failed = !verdict.is_success() || trouble.is_some();
        let removed = rollout.phase == Phase::Removing;
        let next = failed.then(|| {
            if removed && !rollout.undeclared {
                "Deleting the application again goes on from here.".to_owned()
            } else if rollout.attempt <= RETRIES {
                format!(
                    "The next full look (hourly, unless it is set otherwise) tries again: retry {} of {RETRIES}. A push starts over.",
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
            removed,
            let_go: rollout.let_go.iter().flat_map(domain::rollout::Places::instances).collect(),
            trouble,
            next,
        }
    }

    pub(super) async fn tell(&self, notice: &Notice) -> Result<()> {
        self.notifier.publish(std::slice::from_ref(notice)).await.into_iter().collect()
    }

    /// Writes a verdict where its author sees it, if that is switched on. It was told already: a comment that fails holds nothing
    /// back.
    pub(super) async fn comment(&self, commit: &CommitId, notice: &Notice) {
        if !self.application.comment_on_commits {
            return;
        }
        if let Err(error) = self.repository.comment(commit, &notice.comment()).await {
            warn!(commit = %commit, %error, "the commit could not be commented on");
        }
    }
}
