//! What the functions share: logs, and how a failure is told to Lambda.

use app::events::Batch;
use lambda_runtime::{Context, Diagnostic, LambdaEvent};
use serde::Serialize;
use serde_json::Value;
use std::future::Future;
use std::time::{Duration, SystemTime};
use tracing::error;

/// Starts logging. Honours `AWS_LAMBDA_LOG_LEVEL` and `AWS_LAMBDA_LOG_FORMAT`, which template.yaml sets through
/// `LoggingConfig`.
pub fn init_logs() {
    lambda_runtime::tracing::init_default_subscriber();
}

/// A failure as Lambda shows it: a stable type and the whole text.
#[derive(Debug)]
pub struct Failure {
    kind: &'static str,
    message: String,
}

impl Failure {
    /// AWS could not be asked, or said no.
    #[must_use]
    pub fn port(error: &app::ports::PortError) -> Self {
        Self { kind: "AwsCallFailed", message: error.explained() }
    }

    /// The event cannot be used.
    #[must_use]
    pub fn event(message: impl Into<String>) -> Self {
        Self { kind: "EventNotUnderstood", message: message.into() }
    }
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        Self { error_type: failure.kind.to_owned(), error_message: failure.message }
    }
}

/// Runs a function: one event after another, each as JSON of whatever shape.
///
/// # Errors
/// When the Runtime API ends.
pub async fn run<H, F>(handler: H) -> Result<(), lambda_runtime::Error>
where
    H: Fn(Value, Context) -> F,
    F: Future<Output = Result<Value, Failure>>,
{
    let handler = &handler;
    lambda_runtime::run(lambda_runtime::service_fn(move |event: LambdaEvent<Value>| {
        let (payload, context) = event.into_parts();
        // Boxed: the future of a use case is large and deeply nested, and the runtime wraps it some ten times more.
        Box::pin(handler(payload, context))
    }))
    .await
}

/// The time left before Lambda ends this invocation. A deadline in the past means that nobody told a real one (local
/// emulators do that): then `None`.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "Lambda's deadline is a wall-clock time")]
pub fn time_left(context: &Context) -> Option<Duration> {
    context.deadline().duration_since(SystemTime::now()).ok()
}

/// The answer of a function to what it was handed: to a queue which messages are to come again, to a person what came of it.
///
/// # Errors
/// When the work failed and the event did not come from a queue, or when a person's event failed.
pub fn answer<T: Serialize>(
    batch: &Batch,
    outcome: Result<T, Failure>,
    failed: impl FnOnce(&T) -> Vec<String>,
) -> Result<Value, Failure> {
    match outcome {
        Ok(done) if batch.queued => document(&Batch::response(failed(&done))),
        Ok(done) => document(&done),
        Err(failure) if batch.queued => {
            error!(kind = failure.kind, message = failure.message, "the whole batch comes again");
            document(&Batch::response(batch.messages.iter().map(|message| message.id.clone())))
        }
        Err(failure) => Err(failure),
    }
}

/// A result as JSON.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn document<T: Serialize>(value: &T) -> Result<Value, Failure> {
    serde_json::to_value(value).map_err(|error| Failure { kind: "AnswerNotWritten", message: error.to_string() })
}
