//! Logging, errors and responses of the Lambda functions.

use std::future::Future;
use std::time::{Duration, SystemTime};

use lambda_runtime::tracing::subscriber;
use lambda_runtime::tracing::subscriber::filter::{LevelFilter, Targets};
use lambda_runtime::tracing::subscriber::fmt::MakeWriter;
use lambda_runtime::tracing::subscriber::layer::SubscriberExt;
use lambda_runtime::tracing::subscriber::util::SubscriberInitExt;
use lambda_runtime::{Context, Diagnostic, LambdaEvent};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use tracing::{Subscriber, error};

use app::events::Batch;

use crate::settings::environment;

/// Log targets of this project's crates and functions.
const OWN: [&str; 9] = ["app::", "aws::", "domain::", "deploy", "inventory", "lifecycle", "report", "sweep", "preview"];

/// Starts logging with `AWS_LAMBDA_LOG_LEVEL` and `AWS_LAMBDA_LOG_FORMAT`, which template.yaml sets through `LoggingConfig`.
///
/// The level applies to this project's lines. Below INFO, the runtime and the SDK log whole events and requests, which contain
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

/// Each line is a JSON object with `level`, `fields` and `spans`, the enclosing spans with their fields.
fn json_lines<W>(level: LevelFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = subscriber::fmt().with_target(false).without_time().with_max_level(level).with_writer(writer);
    lines.json().finish().with(targets(level))
}

/// An invocation's error as Lambda returns it: a stable error type and the message.
#[derive(Debug)]
pub struct FunctionError {
    kind: &'static str,
    message: String,
}

impl FunctionError {
    /// An AWS call failed.
    pub fn port(error: &app::ports::PortError) -> Self {
        Self { kind: "AwsCallFailed", message: error.with_fix() }
    }

    /// The event is invalid.
    pub fn event(message: impl Into<String>) -> Self {
        Self { kind: "EventNotUnderstood", message: message.into() }
    }
}

impl From<FunctionError> for Diagnostic {
    fn from(failure: FunctionError) -> Self {
        Self { error_type: failure.kind.to_owned(), error_message: failure.message }
    }
}

/// Runs a function until the Runtime API fails. Each event is passed to `handler` as JSON.
pub async fn run<H, F>(handler: H) -> Result<(), lambda_runtime::Error>
where
    H: Fn(Value, Context) -> F,
    F: Future<Output = Result<Value, FunctionError>>,
{
    let handler = &handler;
    lambda_runtime::run(lambda_runtime::service_fn(move |event: LambdaEvent<Value>| {
        let (payload, context) = event.into_parts();
        // Boxed, since the runtime wraps the large future of a use case in about ten more.
        Box::pin(handler(payload, context))
    }))
    .await
}

/// Returns the time until Lambda ends this invocation, or `None` for a deadline in the past, which local emulators send.
#[expect(clippy::disallowed_methods, reason = "Lambda's deadline is a wall-clock time")]
pub fn time_left(context: &Context) -> Option<Duration> {
    context.deadline().duration_since(SystemTime::now()).ok()
}

/// Returns the deadline of optional work that leaves `reserve` for the rest of the invocation, at most `most` from now.
pub fn deadline(context: &Context, reserve: Duration, most: Duration) -> Instant {
    let left = time_left(context).map_or(most, |left| left.saturating_sub(reserve));
    let now = Instant::now();
    now.checked_add(left.min(most)).unwrap_or(now)
}

/// Builds the response of a function: the messages to deliver again for a queue, the result or error of a direct invocation.
pub fn answer<T: Serialize>(
    batch: &Batch,
    outcome: Result<T, FunctionError>,
    failed: impl FnOnce(&T) -> Vec<String>,
) -> Result<Value, FunctionError> {
    match outcome {
        Ok(done) if batch.queued => document(&Batch::response(failed(&done))),
        Ok(done) => document(&done),
        Err(failure) if batch.queued => {
            let messages: Vec<&str> = batch.messages.iter().map(|message| message.id.as_str()).collect();
            // The command `redrive` finds this line by a message id.
            error!(
                kind = failure.kind,
                reason = failure.message,
                ?messages,
                "batch failed, all messages are redelivered"
            );
            document(&Batch::response(batch.messages.iter().map(|message| message.id.clone())))
        }
        Err(failure) => Err(failure),
    }
}

/// Serializes a result.
pub fn document<T: Serialize>(value: &T) -> Result<Value, FunctionError> {
    serde_json::to_value(value).map_err(|error| FunctionError { kind: "AnswerNotWritten", message: error.to_string() })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex, PoisonError};

    use tracing::field::Empty;
    use tracing::{debug, info, info_span};

    use app::lifecycle::{RequestAnswer, RequestEnvelope, ResponseUrl};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// The lines that `work` logs.
    fn lines(level: LevelFilter, work: impl FnOnce()) -> Vec<Value> {
        let kept = Buffer::default();
        let writer = kept.clone();
        tracing::subscriber::with_default(json_lines(level, move || writer.clone()), work);
        let bytes = kept.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn rollout_lines_carry_stack_set_commit_operation() {
        let lines = lines(LevelFilter::INFO, || {
            let span = info_span!("rollout", stack_set = "org-baseline", commit = "c0ffee", operation = Empty);
            span.in_scope(|| {
                info!("before the operation");
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

    #[test]
    fn batch_failure_logs_message_ids() {
        let record = |id: &str| serde_json::json!({ "messageId": id, "body": "{}", "eventSource": "aws:sqs" });
        let batch = Batch::read(serde_json::json!({ "Records": [record("m-1"), record("m-2")] }));
        let lines = lines(LevelFilter::INFO, || {
            let failure = FunctionError { kind: "Throttled", message: "cloudformation: Rate exceeded".to_owned() };
            answer(&batch, Err::<(), _>(failure), |()| Vec::new()).unwrap();
        });
        let fields = &lines[0]["fields"];
        assert_eq!(fields["messages"], "[\"m-1\", \"m-2\"]");
        // The field `message` is the text of the line, so the error has another name.
        assert_eq!(fields["message"], "batch failed, all messages are redelivered");
        assert_eq!(fields["reason"], "cloudformation: Rate exceeded");
    }

    /// Neither through `Debug` of a request nor through lines of other crates, which contain whole requests.
    #[test]
    fn signed_url_is_never_logged() {
        let url = "https://example.com/?X-Amz-Signature=c0ffee5ec7e7";
        let envelope = RequestEnvelope {
            response_url: ResponseUrl::from(url),
            stack_id: "stack".into(),
            request_id: "r-1".into(),
            logical_resource_id: "Rollout".into(),
            physical_resource_id: "rollout".into(),
        };
        let answer = RequestAnswer::failure(&envelope, "no");
        for level in [LevelFilter::INFO, LevelFilter::TRACE] {
            let lines = lines(level, || {
                info!(?envelope, ?answer, "answering");
                tracing::debug!(target: "hyper::client", url, "connecting");
                tracing::trace!(target: "aws_smithy_runtime::client", url, "request");
                tracing::debug!(target: "lambda_runtime", url, "event");
                debug!("own line");
            });
            assert_eq!(lines.len(), if level == LevelFilter::INFO { 1 } else { 2 }, "{lines:?}");
            for line in lines {
                let line = line.to_string();
                assert!(!line.contains("c0ffee5ec7e7") && !line.contains("example.com"), "{line}");
            }
        }
    }
}
