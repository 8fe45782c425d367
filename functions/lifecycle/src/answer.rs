//! Answers each request once, even if the work fails, panics or takes too long, or CloudFormation cannot be reached at once.
//!
//! A request that cannot be handed to `deploy` is answered here, after the answer was settled in the table. So a request that is
//! delivered twice, or that `deploy` reads all the same, gets the same answer. If the table is unavailable until the end of the
//! invocation, the answer is sent without being settled, since CloudFormation would otherwise wait for an hour. If `deploy` then
//! sends a different one, CloudFormation accepts the first.

use std::sync::Arc;
use std::time::Duration;

use lambda_runtime::Context;
use serde_json::{Value, json};
use tokio::task::JoinError;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{error, info, warn};

use app::lifecycle::ports::{LifecycleEnv, RequestStore as _, Responder};
use app::lifecycle::{CloudFormationRequest, RequestAnswer, RequestEnvelope, StackLifecycle};
use app::ports::Clock as _;
use aws::runtime::{self, FunctionError};

/// Time of the invocation reserved for settling and sending the answer.
const RESERVE: Duration = Duration::from_secs(32);
/// Time for the work without a valid deadline (`cargo lambda watch` sends one in 1970).
const WITHOUT_DEADLINE: Duration = Duration::from_secs(25);
/// Share of the reserve for settling an answer.
const SETTLING: Duration = Duration::from_secs(8);
/// Longest time for recording that an answer was sent.
const NOTING: Duration = Duration::from_secs(4);
/// Delay between two attempts to settle an answer.
const WAIT: Duration = Duration::from_millis(200);
/// Time left for returning the result to Lambda.
const MARGIN: Duration = Duration::from_secs(1);

/// Returns the time for the work: the remaining time without the reserve, and at least a third of it.
fn working_time(left: Duration) -> Duration {
    left.saturating_sub(RESERVE).max(left / 3)
}

/// Handles a request of CloudFormation.
pub(crate) async fn handle<E: LifecycleEnv>(
    event: Value,
    context: Context,
    lifecycle: &Result<Arc<StackLifecycle<E>>, String>,
    responder: &impl Responder,
) -> Result<Value, FunctionError> {
    let left = runtime::time_left(&context).unwrap_or(WITHOUT_DEADLINE + RESERVE);
    let end = Instant::now() + left.saturating_sub(MARGIN.min(left / 10));
    let envelope = RequestEnvelope::read(&event).map_err(FunctionError::event)?;
    let request_id = envelope.request_id.clone();
    // An invalid request needs no settling: its answer is always the same.
    let request = CloudFormationRequest::read(&event, envelope.clone()).ok();
    let handed = match lifecycle {
        Err(missing) => Err(missing.clone()),
        Ok(lifecycle) => {
            let time = working_time(left);
            let (taker, given) = (Arc::clone(lifecycle), envelope.clone());
            match spawned(time, async move { taker.receive(&event, given).await }).await {
                Ok(Ok(handed)) => handed,
                Ok(Err(panicked)) => {
                    error!(request = request_id, why = %panicked, "the work panicked");
                    Err("an internal error: see the log of the lifecycle function".to_owned())
                }
                Err(_) => Err(format!("the request could not be handed to deploy within {} s", time.as_secs())),
            }
        }
    };
    let mut answer = match handed {
        Ok(request) => {
            info!(request = request_id, kind = ?request.kind, "handed the request to deploy, which answers it");
            return Ok(json!({ "handed": request_id }));
        }
        Err(reason) => RequestAnswer::failure(&envelope, &reason),
    };
    if let (Ok(lifecycle), Some(request)) = (lifecycle, &request) {
        let Some(settled) = settle(lifecycle, request, answer, end).await else {
            info!(request = request_id, "answered before");
            return Ok(json!({ "handed": request_id }));
        };
        answer = settled;
    }
    info!(request = request_id, failure = ?answer.reason(), "answering CloudFormation");
    match timeout_at(end, responder.answer(&answer)).await {
        Ok(Ok(())) => {
            if let (Ok(lifecycle), Some(_)) = (lifecycle, &request) {
                record_answer(lifecycle, &request_id, end).await;
            }
            Ok(json!({ "answered": request_id }))
        }
        // Lambda delivers the request again, and `deploy` sends the settled answer, too.
        Ok(Err(error)) => Err(FunctionError::port(&error)),
        Err(_) => Err(FunctionError::event("CloudFormation could not be reached within the time of this invocation")),
    }
}

/// Runs work in a task of its own, so that a panic is answered like any other failure.
async fn spawned<T: Send + 'static>(
    time: Duration,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<Result<T, JoinError>, Elapsed> {
    let mut work = tokio::spawn(work);
    let ended = timeout(time, &mut work).await;
    work.abort();
    ended
}

/// Settles this answer and returns it, or the one that was settled before; `None` if the request was answered.
async fn settle<E: LifecycleEnv>(
    lifecycle: &Arc<StackLifecycle<E>>,
    request: &CloudFormationRequest,
    answer: RequestAnswer,
    end: Instant,
) -> Option<RequestAnswer> {
    let began = Instant::now();
    let until = began + SETTLING.min(end.saturating_duration_since(began) / 2);
    loop {
        // Each attempt gets half of the remaining time, so that one that hangs leaves time for others.
        let time = until.saturating_duration_since(Instant::now()) / 2;
        let (settler, of, given) = (Arc::clone(lifecycle), request.clone(), answer.clone());
        let why =
            match spawned(time, async move { settler.requests.settle(&of, &given, settler.clock.now()).await }).await {
                Ok(Ok(Ok(settled))) => return settled,
                Ok(Ok(Err(error))) => error.to_string(),
                Ok(Err(panicked)) => panicked.to_string(),
                Err(_) => "timed out".to_owned(),
            };
        warn!(request = answer.request_id(), why, "the answer could not be settled; retrying");
        let wait = WAIT.min(until.saturating_duration_since(Instant::now()) / 4);
        if wait < Duration::from_millis(1) {
            return Some(answer);
        }
        sleep(wait).await;
    }
}

/// Records that the answer was sent. If that fails, `deploy` sends the same answer again.
async fn record_answer<E: LifecycleEnv>(lifecycle: &Arc<StackLifecycle<E>>, request_id: &str, end: Instant) {
    let (noter, id) = (Arc::clone(lifecycle), request_id.to_owned());
    let time = NOTING.min(end.saturating_duration_since(Instant::now()));
    match spawned(time, async move { noter.requests.record_answered(&id, noter.clock.now()).await }).await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error))) => warn!(request = request_id, %error, "the answer may be sent again"),
        Ok(Err(_)) | Err(_) => warn!(request = request_id, "the answer may be sent again: recording it timed out"),
    }
}

#[cfg(test)]
mod tests;
