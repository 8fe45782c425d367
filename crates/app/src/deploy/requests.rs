//! CloudFormation requests that wait: each is answered once what it asked for has been done, or cannot be.

use super::reconcile::{Deploy, FrameworkOutcome, Seen};
use crate::lifecycle::{self, Answer, Waiting};
use crate::ports::{
    Clock, DeployStore, Notifier, OrganizationalUnits, PolicyRepository, PortErrorKind, RequestStore, Responder,
    Result, StackSets, ViolationStore,
};
use tracing::{info, warn};

/// CloudFormation gives a custom resource an hour; the answer must be there before.
const ANSWER_WITHIN_SECONDS: i64 = 55 * 60;

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
        for Waiting { request, since } in waiting {
            let envelope = &request.envelope;
            let answer = match outcome {
                Ok(seen) if !seen.rejected.is_empty() => {
                    Answer::failure(envelope, &format!("the policy is rejected: {}", seen.rejected.join(" | ")))
                }
                Ok(seen) => match seen.frameworks.values().find_map(FrameworkOutcome::failure) {
                    Some(failure) => Answer::failure(envelope, failure),
                    None => Answer::success(envelope),
                },
                Err(error) if error.kind == PortErrorKind::Retryable && !self.overdue(*since) => continue,
                Err(error) => Answer::failure(envelope, &error.explained()),
            };
            self.settle(&answer, &envelope.request_id).await?;
        }
        Ok(())
    }

    pub(super) fn overdue(&self, since: jiff::Timestamp) -> bool {
        self.clock.now().as_second().saturating_sub(since.as_second()) > ANSWER_WITHIN_SECONDS
    }

    /// Puts an answer, then notes it: a crash in between repeats the same answer, which changes nothing.
    pub(super) async fn settle(&self, answer: &Answer, request_id: &str) -> Result<()> {
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
