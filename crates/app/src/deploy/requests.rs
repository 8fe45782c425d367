//! CloudFormation requests that wait: each is answered once what it asked for has been done, or cannot be.

use super::reconcile::{Deploy, FrameworkOutcome, Seen};
use crate::lifecycle::{self, Answer, Request, Waiting};
use crate::ports::{
    Clock, DeployStore, Notifier, OrganizationalUnits, PolicyRepository, PortError, PortErrorKind, RequestStore,
    Responder, Result, StackSets, ViolationStore,
};
use domain::ids::StackSetName;
use tracing::{info, warn};

/// CloudFormation gives a custom resource an hour. The schedule looks every ten minutes at the longest (`LightLookRate` in
/// template.yaml): the first look after this time is early enough, also when it fails once and is repeated.
pub const ANSWER_WITHIN: jiff::SignedDuration = jiff::SignedDuration::from_mins(45);

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
    /// Answers Create and Update requests: what is wrong with the policy or refused by AWS fails them, a rollout that is on
    /// its way does not.
    pub(super) async fn answer_waiting(&self, waiting: &[Waiting], outcome: &Result<Seen>) -> Result<()> {
        for Waiting { request, since, .. } in waiting {
            let envelope = &request.envelope;
            let answer = match outcome {
                Ok(seen) if !seen.rejected.is_empty() => {
                    Answer::failure(envelope, &format!("the policy is rejected: {}", seen.rejected.join(" | ")))
                }
                Ok(seen) => match seen.frameworks.values().find_map(FrameworkOutcome::failure) {
                    Some(failure) => Answer::failure(envelope, failure),
                    None => Answer::success(envelope),
                },
                Err(error) if self.may_still_pass(error, *since) => continue,
                Err(error) => Answer::failure(envelope, &error.explained()),
            };
            self.settle(request, &answer).await?;
        }
        Ok(())
    }

    /// Answers FAILED to the requests that an error ends: one that no further attempt would overcome, or whose time is up.
    /// `left` are the StackSets that may still be there.
    pub(super) async fn fail_waiting(
        &self,
        waiting: &[Waiting],
        left: &[StackSetName],
        error: &PortError,
    ) -> Result<()> {
        let left: Vec<&str> = left.iter().map(StackSetName::as_str).collect();
        let reason = if left.is_empty() {
            error.explained()
        } else {
            format!(
                "not everything could be removed, deleting again resumes; perhaps still there: {}; {}",
                left.join(", "),
                error.explained()
            )
        };
        for Waiting { request, since, .. } in waiting {
            if !self.may_still_pass(error, *since) {
                self.settle(request, &Answer::failure(&request.envelope, &reason)).await?;
            }
        }
        Ok(())
    }

    /// Whether another attempt may succeed before the request must be answered.
    fn may_still_pass(&self, error: &PortError, since: jiff::Timestamp) -> bool {
        matches!(error.kind, PortErrorKind::Retryable | PortErrorKind::Conflict) && !self.overdue(since)
    }

    pub(super) fn overdue(&self, since: jiff::Timestamp) -> bool {
        self.clock.now().duration_since(since) > ANSWER_WITHIN
    }

    /// Gives answers that were settled before and are not known to have arrived; the other requests are left.
    pub(super) async fn give_settled(&self, waiting: Vec<Waiting>) -> Result<Vec<Waiting>> {
        let mut left = Vec::new();
        for waiting in waiting {
            let Some(answer) = &waiting.answer else {
                left.push(waiting);
                continue;
            };
            match self.put(answer).await {
                // Nothing waits for it here: the next look, or the one after it, gives it. Later than that nobody listens.
                Err(error) if error.kind == PortErrorKind::Retryable && !self.overdue(waiting.since) => {
                    warn!(request = answer.request_id(), %error, "CloudFormation is still not answered");
                }
                Err(error) if error.kind == PortErrorKind::Retryable => {
                    warn!(request = answer.request_id(), %error, "CloudFormation was never answered");
                    self.memory.answered(answer.request_id(), self.clock.now()).await?;
                }
                put => put?,
            }
        }
        Ok(left)
    }

    /// Settles an answer and gives it, or the one that somebody has settled before.
    pub(super) async fn settle(&self, request: &Request, answer: &Answer) -> Result<()> {
        match self.memory.settle(request, answer, self.clock.now()).await? {
            Some(answer) => self.put(&answer).await,
            None => Ok(()),
        }
    }

    /// Puts a settled answer, then notes it: a crash in between repeats the same answer, which changes nothing.
    async fn put(&self, answer: &Answer) -> Result<()> {
        let request_id = answer.request_id();
        match lifecycle::put(&self.responder, answer).await {
            Ok(()) => info!(request = request_id, failure = ?answer.reason(), "CloudFormation is answered"),
            // An expired URL is refused for good: keeping the request would block every later look.
            Err(error) if error.kind != PortErrorKind::Retryable => {
                warn!(request = request_id, %error, "CloudFormation does not take the answer");
            }
            Err(error) => return Err(error),
        }
        self.memory.answered(request_id, self.clock.now()).await
    }
}
