//! CloudFormation requests that wait for an answer: each is answered when its work is done or has failed.

use tracing::{info, warn};

use framework::ids::StackSetName;

use super::ports::DeployEnv;
use super::reconcile::{Deploy, FrameworkOutcome, ReconcileSummary};
use crate::lifecycle::ports::{RequestStore, Responder};
use crate::lifecycle::{CloudFormationRequest, RequestAnswer, WaitingRequest};
use crate::ports::{Clock, PortError, PortErrorKind, Result};

/// CloudFormation allows a custom resource one hour. Quick checks run at least every ten minutes (`QuickCheckRate` in
/// template.yaml), so the first one after this time answers early enough, even if it fails once and is retried.
pub const ANSWER_WITHIN: jiff::SignedDuration = jiff::SignedDuration::from_mins(45);

impl<E: DeployEnv> Deploy<E> {
    /// Answers Create and Update requests: a rejected policy or a rejected call fails them, a rollout in progress does not. An error
    /// fails every request whose retry would not succeed or whose time is up. `remaining` are the StackSets that may still exist.
    pub(super) async fn answer_waiting(
        &self,
        waiting: &[WaitingRequest],
        outcome: &Result<ReconcileSummary>,
        remaining: &[StackSetName],
    ) -> Result<()> {
        let names = remaining.iter().map(StackSetName::as_str).collect::<Vec<_>>().join(", ");
        for WaitingRequest { request, since, .. } in waiting {
            let envelope = &request.envelope;
            let answer = match outcome {
                Ok(seen) if !seen.rejected.is_empty() => {
                    RequestAnswer::failure(envelope, &format!("the policy is rejected: {}", seen.rejected.join(" | ")))
                }
                Ok(seen) => {
                    let failure = seen.frameworks.values().find_map(|outcome| match outcome {
                        FrameworkOutcome::Failed(reason) => Some(RequestAnswer::failure(envelope, reason)),
                        _ => None,
                    });
                    failure.unwrap_or_else(|| RequestAnswer::success(envelope))
                }
                Err(error) if self.is_retried_in_time(error, *since) => continue,
                Err(error) if remaining.is_empty() => RequestAnswer::failure(envelope, &error.with_fix()),
                Err(error) => {
                    let reason = error.with_fix();
                    let reason = format!(
                        "not everything could be removed, deleting again continues; possibly remaining: {names}; {reason}"
                    );
                    RequestAnswer::failure(envelope, &reason)
                }
            };
            self.settle(request, &answer).await?;
        }
        Ok(())
    }

    /// Whether a retry may succeed before the request has to be answered.
    fn is_retried_in_time(&self, error: &PortError, since: jiff::Timestamp) -> bool {
        matches!(error.kind, PortErrorKind::Retryable | PortErrorKind::Conflict) && !self.overdue(since)
    }

    pub(super) fn overdue(&self, since: jiff::Timestamp) -> bool {
        self.clock.now().duration_since(since) > ANSWER_WITHIN
    }

    /// Sends the answers that were settled before and are not recorded as sent. Returns the requests without an answer.
    pub(super) async fn give_settled(&self, waiting: Vec<WaitingRequest>) -> Result<Vec<WaitingRequest>> {
        let mut unanswered = Vec::new();
        for waiting in waiting {
            let Some(answer) = &waiting.answer else {
                unanswered.push(waiting);
                continue;
            };
            match self.put(answer).await {
                // A later reconciliation sends it again, until CloudFormation no longer accepts it.
                Err(error) if error.kind == PortErrorKind::Retryable && !self.overdue(waiting.since) => {
                    warn!(request = answer.request_id(), %error, "the answer to CloudFormation was not sent; the next reconciliation retries");
                }
                Err(error) if error.kind == PortErrorKind::Retryable => {
                    warn!(request = answer.request_id(), %error, "the answer to CloudFormation was never sent; its time is up");
                    self.store.record_answered(answer.request_id(), self.clock.now()).await?;
                }
                put => put?,
            }
        }
        Ok(unanswered)
    }

    /// Settles an answer and sends it, or the one that was settled before.
    pub(super) async fn settle(&self, request: &CloudFormationRequest, answer: &RequestAnswer) -> Result<()> {
        let Some(answer) = self.store.settle(request, answer, self.clock.now()).await? else { return Ok(()) };
        self.put(&answer).await
    }

    /// Sends a settled answer, then records that. A crash in between repeats the same answer, which is idempotent.
    async fn put(&self, answer: &RequestAnswer) -> Result<()> {
        let request_id = answer.request_id();
        match self.responder.answer(answer).await {
            Ok(()) => info!(request = request_id, failure = ?answer.reason(), "answered CloudFormation"),
            // An expired URL stays expired: a request that is kept would block every later reconciliation.
            Err(error) if error.kind != PortErrorKind::Retryable => {
                warn!(request = request_id, %error, "CloudFormation rejects the answer");
            }
            Err(error) => return Err(error),
        }
        self.store.record_answered(request_id, self.clock.now()).await
    }
}
