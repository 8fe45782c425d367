//! What the functions share: logs, and how a failure is told to Lambda.

use crate::settings::environment;
use app::events::Batch;
use lambda_runtime::tracing::subscriber;
use lambda_runtime::tracing::subscriber::filter::{LevelFilter, Targets};
use lambda_runtime::tracing::subscriber::layer::SubscriberExt;
use lambda_runtime::tracing::subscriber::util::SubscriberInitExt;
use lambda_runtime::{Context, Diagnostic, LambdaEvent};
use serde::Serialize;
use serde_json::Value;
use std::future::Future;
use std::time::{Duration, SystemTime};
use tracing::error;

/// Our crates and functions, as log targets.
const OWN: [&str; 7] = ["app::", "aws::", "domain::", "deploy", "lifecycle", "report", "sweep"];

/// Starts logging. Honours `AWS_LAMBDA_LOG_LEVEL` and `AWS_LAMBDA_LOG_FORMAT`, which template.yaml sets through
/// `LoggingConfig`.
///
/// The level is for our own lines. What the runtime and the SDK log below INFO holds whole events and requests, and with them the
/// pre-signed URLs of CloudFormation.
pub fn init_logs() {
    let level = environment("AWS_LAMBDA_LOG_LEVEL").or_else(|| environment("RUST_LOG"));
    let level = level.and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    let targets = Targets::new().with_default(level.min(LevelFilter::INFO));
    let targets = targets.with_targets(OWN.map(|target| (target, level)));
    let lines = subscriber::fmt().with_target(false).without_time().with_max_level(level);
    if environment("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("json")) {
        lines.json().finish().with(targets).init();
    } else {
        lines.finish().with(targets).init();
    }
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
