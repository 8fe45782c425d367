//! One request, one answer: also when the work fails, panics, or takes too long.

use app::lifecycle::{Answer, Envelope, Handled, Lifecycle, put};
use app::ports::{Clock, DeployQueue, RequestStore, Responder};
use aws::runtime::{self, Failure};
use lambda_runtime::Context;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tracing::{error, info, warn};

/// What is kept back of the invocation's time to put the answer: three attempts of 8 s, the waits between them, and the
/// withdrawal.
const RESERVE: Duration = Duration::from_secs(32);
/// The time to work where nobody tells a real deadline (`cargo lambda watch` sends one in 1970).
const WITHOUT_DEADLINE: Duration = Duration::from_secs(25);
/// What taking a request back may cost of the reserve.
const WITHDRAWAL: Duration = Duration::from_secs(4);

/// The time to work out of the time that is left: all but the reserve, and at least a third.
fn working_time(left: Duration) -> Duration {
    left.saturating_sub(RESERVE).max(left / 3)
}

/// Handles a request of CloudFormation.
pub(crate) async fn handle<S, Q, C>(
    event: Value,
    context: Context,
    lifecycle: &Result<Arc<Lifecycle<S, Q, C>>, String>,
    responder: &impl Responder,
) -> Result<Value, Failure>
where
    S: RequestStore + Send + Sync + 'static,
    Q: DeployQueue + Send + Sync + 'static,
    C: Clock + Send + Sync + 'static,
{
    let envelope = Envelope::read(&event).map_err(Failure::event)?;
    let request_id = envelope.request_id.clone();
    let handled = match lifecycle {
        Err(missing) => Handled::Answer(Answer::failure(&envelope, missing)),
        Ok(lifecycle) => {
            let time = runtime::time_left(&context).map_or(WITHOUT_DEADLINE, working_time);
            let lifecycle = Arc::clone(lifecycle);
            let given = envelope.clone();
            // A task of its own: a panic in it ends the task, and is answered like any other failure.
            let taker = Arc::clone(&lifecycle);
            let mut work = tokio::spawn(async move { taker.take(&event, given).await });
            match timeout(time, &mut work).await {
                Ok(Ok(handled)) => handled,
                Ok(Err(panicked)) => {
                    error!(request = request_id, %panicked, "the work ended early");
                    withdraw(&lifecycle, &request_id).await;
                    Handled::Answer(Answer::failure(
                        &envelope,
                        "an internal error: see the log of the lifecycle function",
                    ))
                }
                Err(_) => {
                    work.abort();
                    withdraw(&lifecycle, &request_id).await;
                    Handled::Answer(Answer::failure(
                        &envelope,
                        &format!("the request could not be taken on within {} s", time.as_secs()),
                    ))
                }
            }
        }
    };
    match handled {
        Handled::Handed(request) => {
            info!(request = request_id, kind = ?request.kind, "handed to deploy, which answers");
            Ok(json!({ "handed": request_id }))
        }
        Handled::Answer(answer) => {
            info!(request = request_id, failure = ?answer.reason(), "answering CloudFormation");
            put(responder, &answer).await.map_err(|error| Failure::port(&error))?;
            Ok(json!({ "answered": request_id }))
        }
    }
}

/// Takes back a request that may have been kept before the work ended early: it is answered here, so `deploy` must not find it and
/// answer once more.
async fn withdraw<S: RequestStore, Q, C>(lifecycle: &Lifecycle<S, Q, C>, request_id: &str) {
    if request_id.is_empty() {
        return;
    }
    match timeout(WITHDRAWAL, lifecycle.requests.forget(request_id)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(request = request_id, %error, "the request may still be kept"),
        Err(_) => warn!(request = request_id, "the request may still be kept: no answer in time"),
    }
}

#[cfg(test)]
mod tests;
