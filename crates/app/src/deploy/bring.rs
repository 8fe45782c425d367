//! One framework, brought a step further: what was remembered, what is found, the one next operation, and the verdict.

use super::memory::{FrameworkFacts, InFlight, Phase, Rollout};
use super::reconcile::{Deploy, FrameworkOutcome};
use super::wanted::WantedFramework;
use crate::events::Look;
use crate::ports::{
    Clock, CommitFacts, DeployStore, Notifier, PolicyRepository, PortError, PortErrorKind, RequestStore, Responder,
    Result, StackSets, Versioned, ViolationStore,
};
use domain::ids::CommitId;
use domain::notice::{Notice, RolloutReport};
use domain::rollout::{
    Desired, Digest, Observed, ObservedStackSet, Operation, OperationStatus, Step, Verdict, digest_of, next_step,
};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use tracing::info;

/// How often the schedule tries a failed rollout of one digest.
const ATTEMPTS: u32 = 3;

impl<G, S, M, N, R, C> Deploy<G, S, M, N, R, C>
where
    G: PolicyRepository,
    S: StackSets,
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
        commit: &CommitId,
        facts: &mut Option<CommitFacts>,
        look: Look,
    ) -> Result<FrameworkOutcome> {
        let desired = &framework.desired;
        let digest = desired.digest();
        let same = known.as_ref().is_some_and(|known| known.value.digest == digest);
        let intact = stack_set.as_ref().is_some_and(|found| found.definition == Some(desired.definition_digest()));
        if let Some(known) = &known
            && same
            && look < Look::Full
        {
            match known.value.phase {
                Phase::Succeeded if intact => return Ok(FrameworkOutcome::Unchanged),
                Phase::Failed => return Ok(FrameworkOutcome::FailedBefore),
                Phase::Running | Phase::Succeeded => {}
            }
        }

        let mut rollout = match known {
            Some(known) => known,
            None => Versioned { value: self.begin(desired, &digest, commit, facts).await?, version: 0 },
        };
        if let Some(in_flight) = rollout.value.in_flight.clone() {
            match self.stack_sets.operation(&desired.name, &in_flight.id).await? {
                Some(OperationStatus::InFlight) => return Ok(FrameworkOutcome::Waiting),
                Some(OperationStatus::Ended) => rollout.value.ended(),
                // Written down, never started: the look before this one ended too early.
                None => {}
            }
        }
        if !same && rollout.version > 0 {
            let fresh = self.begin(desired, &digest, commit, facts).await?;
            let Rollout { sequence, overrides, .. } = rollout.value;
            rollout.value = Rollout { sequence, overrides, ..fresh };
        } else if rollout.value.phase == Phase::Failed {
            if rollout.value.attempt >= ATTEMPTS {
                return Ok(FrameworkOutcome::FailedBefore);
            }
            rollout.value.attempt = rollout.value.attempt.saturating_add(1);
            rollout.value.tried.clear();
        }
        if rollout.version == 0 || !same {
            self.publish(&framework.facts).await?;
        }

        let mut observed = match stack_set {
            Some(stack_set) => self.stack_sets.observe(&desired.name, stack_set).await?,
            None => Observed::default(),
        };
        rollout.value.complete(&mut observed);
        let owner = self.application.owner();
        if let Step::CreateStackSet = next_step(desired, &observed, &owner, &rollout.value.tried) {
            self.remember(&mut rollout).await?;
            if let Err(error) = self.stack_sets.create(desired, &owner).await {
                return self.trouble(rollout, &error, desired.instances.len()).await;
            }
            // Creation is no operation and has no event: go on at once with what the StackSet looks like now.
            let created = self.stack_sets.describe(&desired.name).await?;
            observed = Observed { stack_set: created, ..Observed::default() };
        }
        match next_step(desired, &observed, &owner, &rollout.value.tried) {
            Step::Start(operation) => self.start(rollout, operation, framework, observed.instances.len()).await,
            Step::Finished(verdict) => self.finish(rollout, verdict).await,
            // Not there right after its creation, or taken over by somebody in between: the next look tells.
            Step::CreateStackSet | Step::NotOurs { .. } | Step::DeleteStackSet => Ok(FrameworkOutcome::Waiting),
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

    async fn begin(
        &self,
        desired: &Desired,
        digest: &Digest,
        commit: &CommitId,
        facts: &mut Option<CommitFacts>,
    ) -> Result<Rollout> {
        let CommitFacts { author, message } = match facts {
            Some(facts) => facts.clone(),
            None => facts.insert(self.repository.commit(commit).await?).clone(),
        };
        Ok(Rollout {
            name: desired.name.clone(),
            digest: digest.clone(),
            commit: commit.clone(),
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
            overrides: BTreeMap::new(),
        })
    }

    async fn start(
        &self,
        mut rollout: Versioned<Rollout>,
        operation: Operation,
        framework: &WantedFramework,
        instances: usize,
    ) -> Result<FrameworkOutcome> {
        let size = operation.size(instances);
        rollout.value.phase = Phase::Running;
        let id = self.write_down(&mut rollout, &operation, size).await?;
        let owner = self.application.owner();
        let started =
            self.stack_sets.start(&rollout.value.name, &id, &operation, Some(&framework.desired), &owner).await;
        match started {
            Ok(_) => {
                info!(stack_set = %rollout.value.name, operation = %id, what = ?operation, "operation started");
                Ok(FrameworkOutcome::Started(id))
            }
            // Somebody else's operation is going on, or was just now: the schedule looks again.
            Err(error) if error.kind == PortErrorKind::Conflict => {
                info!(stack_set = %rollout.value.name, %error, "the StackSet is busy");
                Ok(FrameworkOutcome::Waiting)
            }
            Err(error) => self.trouble(rollout, &error, framework.desired.instances.len()).await,
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
        value.in_flight = Some(InFlight { id: id.clone(), operation: operation.clone(), size });
        self.remember(rollout).await?;
        Ok(id)
    }

    pub(super) async fn remember(&self, rollout: &mut Versioned<Rollout>) -> Result<()> {
        self.memory.put_rollout(rollout).await?;
        rollout.version = rollout.version.saturating_add(1);
        Ok(())
    }

    async fn finish(&self, mut rollout: Versioned<Rollout>, verdict: Verdict) -> Result<FrameworkOutcome> {
        let settled = rollout.value.phase == Phase::Succeeded && verdict.is_success();
        if settled {
            return Ok(FrameworkOutcome::Unchanged);
        }
        let success = verdict.is_success();
        let (succeeded, total) = (verdict.succeeded, verdict.total);
        let report = self.report(&rollout.value, verdict, None);
        self.tell(if success { Notice::RolloutSucceeded(report) } else { Notice::RolloutFailed(report) }).await?;
        rollout.value.phase = if success { Phase::Succeeded } else { Phase::Failed };
        rollout.value.tried.clear();
        rollout.value.in_flight = None;
        self.remember(&mut rollout).await?;
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
        total: usize,
    ) -> Result<FrameworkOutcome> {
        if matches!(error.kind, PortErrorKind::Retryable | PortErrorKind::Conflict) {
            return Err(error.clone());
        }
        let verdict = Verdict { total, succeeded: 0, faults: Vec::new() };
        let report = self.report(&rollout.value, verdict, Some(error.explained()));
        self.tell(Notice::RolloutFailed(report)).await?;
        rollout.value.phase = Phase::Failed;
        rollout.value.in_flight = None;
        self.remember(&mut rollout).await?;
        Ok(FrameworkOutcome::Failed(error.explained()))
    }

    fn report(&self, rollout: &Rollout, verdict: Verdict, trouble: Option<String>) -> RolloutReport {
        let failed = !verdict.is_success() || trouble.is_some();
        let next = failed.then(|| {
            if rollout.attempt < ATTEMPTS {
                format!(
                    "The next hourly look tries again (attempt {} of {ATTEMPTS}). A push starts over.",
                    rollout.attempt.saturating_add(1)
                )
            } else {
                format!("It was tried {ATTEMPTS} times and is not tried again before the next push.")
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
            trouble,
            next,
        }
    }

    pub(super) async fn tell(&self, notice: Notice) -> Result<()> {
        self.notifier.publish(std::slice::from_ref(&notice)).await.into_iter().collect()
    }
}
