//! The end: every StackSet of ours is removed, instances first, and only then is CloudFormation answered.

use super::memory::{Memory, Phase, Rollout};
use super::reconcile::{Deploy, FrameworkOutcome, Seen};
use crate::lifecycle::{Answer, RequestKind, Waiting};
use crate::ports::{
    Clock, DeployStore, Notifier, PolicyRepository, PortErrorKind, RequestStore, Responder, Result, StackSets,
    Versioned, ViolationStore,
};
use domain::rollout::{Observed, OperationStatus, Step, next_removal_step};
use tracing::info;

impl<G, S, M, N, R, C> Deploy<G, S, M, N, R, C>
where
    G: PolicyRepository,
    S: StackSets,
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
        for (name, rollout) in memory.rollouts {
            let outcome = self.remove(rollout).await?;
            info!(stack_set = %name, outcome = ?outcome, "removing");
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
        for Waiting { request, since } in waiting {
            let envelope = &request.envelope;
            let answer = if request.kind != RequestKind::Delete {
                Answer::failure(envelope, "overtaken by the deletion of the application")
            } else if done {
                Answer::success(envelope)
            } else if stuck || self.overdue(*since) {
                let left = if left.is_empty() {
                    "the StackSet operations did not end within the hour that CloudFormation gives".to_owned()
                } else {
                    left.join(" | ")
                };
                Answer::failure(envelope, &format!("not everything could be removed, deleting again resumes: {left}"))
            } else {
                continue;
            };
            self.settle(&answer, &envelope.request_id).await?;
        }
        Ok(seen)
    }

    async fn remove(&self, mut rollout: Versioned<Rollout>) -> Result<FrameworkOutcome> {
        let name = rollout.value.name.clone();
        if let Some(in_flight) = rollout.value.in_flight.clone() {
            match self.stack_sets.operation(&name, &in_flight.id).await? {
                Some(OperationStatus::InFlight) => return Ok(FrameworkOutcome::Waiting),
                Some(OperationStatus::Ended) => rollout.value.ended(),
                None => {}
            }
        }
        let observed = match self.stack_sets.describe(&name).await? {
            Some(stack_set) => self.stack_sets.observe(&name, stack_set).await?,
            None => Observed::default(),
        };
        let owner = self.application.owner();
        match next_removal_step(&observed, &owner, &rollout.value.tried) {
            Step::Start(operation) => {
                rollout.value.phase = Phase::Running;
                let size = operation.size(observed.instances.len());
                let id = self.write_down(&mut rollout, &operation, size).await?;
                match self.stack_sets.start(&name, &id, &operation, None, &owner).await {
                    Ok(_) => Ok(FrameworkOutcome::Started(id)),
                    Err(error) if error.kind == PortErrorKind::Conflict => Ok(FrameworkOutcome::Waiting),
                    Err(error) if error.kind == PortErrorKind::Retryable => Err(error),
                    Err(error) => Ok(FrameworkOutcome::Failed(error.explained())),
                }
            }
            Step::DeleteStackSet => match self.stack_sets.delete(&name).await {
                Ok(()) => self.forget(&rollout.value).await,
                Err(error) if error.kind == PortErrorKind::Conflict => Ok(FrameworkOutcome::Waiting),
                Err(error) if error.kind == PortErrorKind::Retryable => Err(error),
                Err(error) => Ok(FrameworkOutcome::Failed(error.explained())),
            },
            Step::Finished(verdict) if verdict.is_success() => self.forget(&rollout.value).await,
            Step::Finished(verdict) => {
                // The next deletion starts over.
                rollout.value.tried.clear();
                rollout.value.phase = Phase::Failed;
                self.remember(&mut rollout).await?;
                let left: Vec<String> =
                    verdict.faults.iter().map(|fault| format!("{} ({})", fault.instance, fault.reason)).collect();
                Ok(FrameworkOutcome::Failed(left.join(", ")))
            }
            // Somebody else's: not ours to remove.
            Step::NotOurs { .. } | Step::CreateStackSet => self.forget(&rollout.value).await,
        }
    }

    async fn forget(&self, rollout: &Rollout) -> Result<FrameworkOutcome> {
        self.memory.forget_framework(&rollout.name).await?;
        self.memory.forget_rollout(&rollout.name).await?;
        Ok(FrameworkOutcome::Removed)
    }
}
