//! What the functions share: logs, and how a failure is told to Lambda.

use crate::settings::environment;
use app::events::Batch;
use lambda_runtime::tracing::subscriber;
use lambda_runtime::tracing::subscriber::filter::{LevelFilter, Targets};
use lambda_runtime::tracing::subscriber::fmt::MakeWriter;
use lambda_runtime::tracing::subscriber::layer::SubscriberExt;
use lambda_runtime::tracing::subscriber::util::SubscriberInitExt;
use lambda_runtime::{Context, Diagnostic, LambdaEvent};
use serde::Serialize;
use serde_json::Value;
use std::future::Future;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use tracing::{Subscriber, error};

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
    if environment("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("json")) {
        json_lines(level, std::io::stdout).init();
    } else {
        let lines = subscriber::fmt().with_target(false).without_time().with_max_level(level);
        lines.finish().with(targets(level)).init();
    }
}

fn targets(level: LevelFilter) -> Targets {
    let targets = Targets::new().with_default(level.min(LevelFilter::INFO));
    targets.with_targets(OWN.map(|target| (target, level)))
}

/// A line is an object: `level`, `fields`, and in `spans` all that it happened in, each with its fields.
fn json_lines<W>(level: LevelFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = subscriber::fmt().with_target(false).without_time().with_max_level(level).with_writer(writer);
    lines.json().finish().with(targets(level))
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

/// When work that may be left undone must end, so that `reserve` is left for the rest of the invocation; never later than `most` from
/// now.
#[must_use]
pub fn deadline(context: &Context, reserve: Duration, most: Duration) -> Instant {
    let left = time_left(context).map_or(most, |left| left.saturating_sub(reserve));
    let now = Instant::now();
    now.checked_add(left.min(most)).unwrap_or(now)
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
            let messages: Vec<&str> = batch.messages.iter().map(|message| message.id.as_str()).collect();
            // `redrive` finds this line by the id of a message.
            error!(kind = failure.kind, why = failure.message, ?messages, "the whole batch comes again");
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

#[cfg(test)]
mod tests {
    use super::*;
    use app::lifecycle::{Answer, Envelope, ResponseUrl};
    use std::io::Write;
    use std::sync::{Arc, Mutex, PoisonError};
    use tracing::field::Empty;
    use tracing::{debug, info, info_span};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is logged meanwhile, line by line.
    fn lines(level: LevelFilter, work: impl FnOnce()) -> Vec<Value> {
        let kept = Kept::default();
        let writer = kept.clone();
        tracing::subscriber::with_default(json_lines(level, move || writer.clone()), work);
        let bytes = kept.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn every_line_of_a_rollout_carries_commit_stack_set_and_operation() {
        let lines = lines(LevelFilter::INFO, || {
            let span = info_span!("rollout", stack_set = "org-baseline", commit = "c0ffee", operation = Empty);
            span.in_scope(|| {
                info!("before there is an operation");
                span.record("operation", "o-1");
                info!(accounts = 3, "started");
                info_span!("deeper").in_scope(|| error!("failed"));
            });
        });
        let of = |line: &Value, name: &str| line["spans"][0][name].as_str().unwrap_or("none").to_owned();
        assert_eq!(lines.len(), 3);
        for (line, operation) in lines.iter().zip(["none", "o-1", "o-1"]) {
            assert_eq!(line["spans"][0]["name"], "rollout", "{line}");
            assert_eq!(of(line, "stack_set"), "org-baseline", "{line}");
            assert_eq!(of(line, "commit"), "c0ffee", "{line}");
            assert_eq!(of(line, "operation"), operation, "{line}");
        }
        assert_eq!((&lines[1]["level"], &lines[1]["fields"]["accounts"]), (&"INFO".into(), &3.into()));
    }

    /// `redrive` reads the log by the id of a message.
    #[test]
    fn failure_of_a_batch_is_logged_with_the_ids_of_its_messages() {
        let record = |id: &str| serde_json::json!({ "messageId": id, "body": "{}", "eventSource": "aws:sqs" });
        let batch = Batch::read(serde_json::json!({ "Records": [record("m-1"), record("m-2")] }));
        let lines = lines(LevelFilter::INFO, || {
            let failure = Failure { kind: "Throttled", message: "cloudformation: Rate exceeded".to_owned() };
            answer(&batch, Err::<(), _>(failure), |()| Vec::new()).unwrap();
        });
        let fields = &lines[0]["fields"];
        assert_eq!(fields["messages"], "[\"m-1\", \"m-2\"]");
        // The text of the line is its field `message`: the error needs another name beside it.
        assert_eq!(fields["message"], "the whole batch comes again");
        assert_eq!(fields["why"], "cloudformation: Rate exceeded");
    }

    /// Neither as what is printed of a request nor through the lines of others, which hold whole requests.
    #[test]
    fn the_signed_address_is_in_no_line() {
        let url = "https://example.com/?X-Amz-Signature=c0ffee5ec7e7";
        let envelope = Envelope {
            response_url: ResponseUrl::from(url),
            stack_id: "stack".into(),
            request_id: "r-1".into(),
            logical_resource_id: "Rollout".into(),
            physical_resource_id: "rollout".into(),
        };
        let answer = Answer::failure(&envelope, "no");
        for level in [LevelFilter::INFO, LevelFilter::TRACE] {
            let lines = lines(level, || {
                info!(?envelope, ?answer, "answering");
                tracing::debug!(target: "hyper::client", url, "connecting");
                tracing::trace!(target: "aws_smithy_runtime::client", url, "request");
                tracing::debug!(target: "lambda_runtime", url, "event");
                debug!("our own");
            });
            assert_eq!(lines.len(), if level == LevelFilter::INFO { 1 } else { 2 }, "{lines:?}");
            for line in lines {
                let line = line.to_string();
                assert!(!line.contains("c0ffee5ec7e7") && !line.contains("example.com"), "{line}");
            }
        }
    }
}
