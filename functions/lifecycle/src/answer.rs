//! One request, one answer: also when the work fails, panics, or takes too long, and when CloudFormation cannot be reached at once.
//!
//! What cannot be handed to `deploy` is answered here, after the answer was settled in the table: a request that is delivered twice,
//! or that `deploy` has come to know all the same, gets no other. Only where the table takes no answer for as long as there is time
//! is one given that is not settled, since without any CloudFormation would wait for an hour; should the table have taken the request
//! before, and `deploy` answer it otherwise, then CloudFormation takes the one that comes first.

use app::lifecycle::{Answer, Envelope, Handled, Lifecycle, Request, put};
use app::ports::{Clock, DeployQueue, RequestStore, Responder};
use aws::runtime::{self, Failure};
use lambda_runtime::Context;
use serde_json::{Value, json};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{error, info, warn};

/// What is kept back of the invocation's time to settle the answer and to put it.
const RESERVE: Duration = Duration::from_secs(32);
/// The time to work where nobody tells a real deadline (`cargo lambda watch` sends one in 1970).
const WITHOUT_DEADLINE: Duration = Duration::from_secs(25);
/// What settling an answer may take of the reserve.
const SETTLING: Duration = Duration::from_secs(8);
/// What noting that an answer was put may take.
const NOTING: Duration = Duration::from_secs(4);
/// Between two attempts to settle an answer.
const WAIT: Duration = Duration::from_millis(200);
/// Lambda is to have the outcome before it ends the function.
const MARGIN: Duration = Duration::from_secs(1);

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
    let left = runtime::time_left(&context).unwrap_or(WITHOUT_DEADLINE + RESERVE);
    let end = Instant::now() + left.saturating_sub(MARGIN.min(left / 10));
    let envelope = Envelope::read(&event).map_err(Failure::event)?;
    let request_id = envelope.request_id.clone();
    // What is no request is answered with what is wrong with it, each time in the same words.
    let request = Request::read(&event, envelope.clone()).ok();
    let handled = match lifecycle {
        Err(missing) => Handled::Answer(Answer::failure(&envelope, missing)),
        Ok(lifecycle) => {
            let time = working_time(left);
            let (taker, given) = (Arc::clone(lifecycle), envelope.clone());
            match apart(time, async move { taker.take(&event, given).await }).await {
                Ok(handled) => handled,
                Err(Ended::Panicked(why)) => {
                    error!(request = request_id, why, "the work ended early");
                    let why = "an internal error: see the log of the lifecycle function";
                    Handled::Answer(Answer::failure(&envelope, why))
                }
                Err(Ended::Late) => {
                    let why = format!("the request could not be taken on within {} s", time.as_secs());
                    Handled::Answer(Answer::failure(&envelope, &why))
                }
            }
        }
    };
    let answer = match (handled, lifecycle, &request) {
        (Handled::Handed(request), ..) => {
            info!(request = request_id, kind = ?request.kind, "handed to deploy, which answers");
            return Ok(json!({ "handed": request_id }));
        }
        (Handled::Answer(answer), Ok(lifecycle), Some(request)) => {
            match settled(lifecycle, request, answer, end).await {
                Some(answer) => answer,
                None => {
                    info!(request = request_id, "answered before");
                    return Ok(json!({ "handed": request_id }));
                }
            }
        }
        (Handled::Answer(answer), ..) => answer,
    };
    info!(request = request_id, failure = ?answer.reason(), "answering CloudFormation");
    match timeout_at(end, put(responder, &answer)).await {
        Ok(Ok(())) => {
            if let (Ok(lifecycle), Some(_)) = (lifecycle, &request) {
                note(lifecycle, &request_id, end).await;
            }
            Ok(json!({ "answered": request_id }))
        }
        // Lambda delivers the request once more; and what was settled `deploy` gives, too.
        Ok(Err(error)) => Err(Failure::port(&error)),
        Err(_) => Err(Failure::event("CloudFormation could not be reached within the time of this invocation")),
    }
}

/// How work ends that does not come to its end.
enum Ended {
    Panicked(String),
    Late,
}

/// Does something in a task of its own: a panic in it ends the task, and is answered like any other failure.
async fn apart<T: Send + 'static>(time: Duration, work: impl Future<Output = T> + Send + 'static) -> Result<T, Ended> {
    let mut work = tokio::spawn(work);
    match timeout(time, &mut work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(panicked)) => Err(Ended::Panicked(panicked.to_string())),
        Err(_) => {
            work.abort();
            Err(Ended::Late)
        }
    }
}

/// The answer that everybody gives to this request: this one, unless another was settled before. `None` when it was given before.
async fn settled<S, Q, C>(
    lifecycle: &Arc<Lifecycle<S, Q, C>>,
    request: &Request,
    answer: Answer,
    end: Instant,
) -> Option<Answer>
where
    S: RequestStore + Send + Sync + 'static,
    Q: DeployQueue + Send + Sync + 'static,
    C: Clock + Send + Sync + 'static,
{
    let began = Instant::now();
    let until = began + SETTLING.min(end.saturating_duration_since(began) / 2);
    loop {
        // Half of what is left for each attempt: one that hangs leaves time for others.
        let time = until.saturating_duration_since(Instant::now()) / 2;
        let (settler, of, given) = (Arc::clone(lifecycle), request.clone(), answer.clone());
        let why = match apart(time, async move { settler.settle(&of, &given).await }).await {
            Ok(Ok(settled)) => return settled,
            Ok(Err(error)) => error.to_string(),
            Err(Ended::Panicked(why)) => why,
            Err(Ended::Late) => "no answer in time".to_owned(),
        };
        warn!(request = answer.request_id(), why, "the answer could not be settled");
        let wait = WAIT.min(until.saturating_duration_since(Instant::now()) / 4);
        if wait < Duration::from_millis(1) {
            return Some(answer);
        }
        sleep(wait).await;
    }
}

/// Notes that the answer was put. Should that not work, `deploy` puts the same one once more.
async fn note<S, Q, C>(lifecycle: &Arc<Lifecycle<S, Q, C>>, request_id: &str, end: Instant)
where
    S: RequestStore + Send + Sync + 'static,
    Q: DeployQueue + Send + Sync + 'static,
    C: Clock + Send + Sync + 'static,
{
    let (noter, id) = (Arc::clone(lifecycle), request_id.to_owned());
    let time = NOTING.min(end.saturating_duration_since(Instant::now()));
    match apart(time, async move { noter.answered(&id).await }).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(request = request_id, %error, "the answer may be given once more"),
        Err(_) => warn!(request = request_id, "the answer may be given once more: no answer in time"),
    }
}

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;
