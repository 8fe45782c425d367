//! A local Lambda Runtime API for one function at a time, and the process of that function.
//!
//! The API has four requests (AWS Lambda developer guide, "Using the Lambda runtime API"). The function requests the `next`
//! event and waits until there is one. It answers with `response` or `error`. With `init/error` it reports that it could not
//! start. Tests, `backup-compliance invoke` and the benchmarks run functions through this server.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use std::time::Duration;
//!
//! let mut function = runtime_api::Launch::new("target/debug/report").env("TABLE", "violations").start().await?;
//! let invocation = function.invoke(&serde_json::json!({ "Records": [] }), Duration::from_secs(30)).await;
//! println!("{:?} after {:?}", invocation.outcome, invocation.duration);
//! # Ok(())
//! # }
//! ```

mod function;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::Context as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

pub use function::{Function, Launch, host_environment};

/// The default name of a function; see [`Launch::name`].
const NAME: &str = "function";
/// The Region of the local functions.
const REGION: &str = "us-east-1";
/// The account of the local functions: the one that AWS emulators use.
const ACCOUNT: &str = "000000000000";

/// The result of one invocation.
#[derive(Debug, Clone, PartialEq)]
pub enum InvocationOutcome {
    /// The response of the function.
    Response(Value),
    /// The function reported an error, for this event or at start-up.
    Error {
        /// `errorType` of the report.
        kind: String,
        /// `errorMessage` of the report.
        message: String,
    },
    /// The process ended without a response.
    Exited {
        /// Its exit status; `None` if a signal ended it.
        code: Option<i32>,
    },
    /// No response before the timeout. [`Function`] then kills the process, as Lambda does.
    TimedOut,
}

/// An [`InvocationOutcome`] with its duration.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    /// The result.
    pub outcome: InvocationOutcome,
    /// From the delivery of the event to the last byte of the response, without start-up.
    pub duration: Duration,
}

/// The state of the function's start-up.
#[derive(Debug, Clone, PartialEq)]
enum Startup {
    Pending,
    /// The time of the first request for an event.
    Ready(Instant),
    /// The report to `init/error`.
    Failed(InvocationOutcome),
}

/// The server. Dropping it stops it.
#[derive(Debug)]
struct RuntimeApi {
    address: SocketAddr,
    shared: Arc<ServerState>,
    events: mpsc::UnboundedSender<QueuedEvent>,
    startup: watch::Receiver<Startup>,
    name: String,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct ServerState {
    /// Events that no request has received yet.
    queue: AsyncMutex<mpsc::UnboundedReceiver<QueuedEvent>>,
    /// Invocations without a response, by request id.
    pending: Mutex<HashMap<String, PendingInvocation>>,
    startup: watch::Sender<Startup>,
}

#[derive(Debug)]
struct QueuedEvent {
    id: String,
    payload: Bytes,
    deadline_ms: u128,
    arn: String,
}

#[derive(Debug)]
struct PendingInvocation {
    delivered: Option<Instant>,
    answer: oneshot::Sender<Invocation>,
}

impl ServerState {
    fn pending(&self) -> MutexGuard<'_, HashMap<String, PendingInvocation>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RuntimeApi {
    /// Listens on a free port of 127.0.0.1, for a function of this name, which becomes part of its ARN.
    async fn start_as(name: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("no free port for the local Runtime API")?;
        let address = listener.local_addr()?;
        let (events, queue) = mpsc::unbounded_channel();
        let (startup, seen) = watch::channel(Startup::Pending);
        let shared =
            Arc::new(ServerState { queue: AsyncMutex::new(queue), pending: Mutex::new(HashMap::new()), startup });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, events, startup: seen, name: name.to_owned(), accepting })
    }

    /// Waits until the function requests an event or reports that it cannot start.
    async fn started(&self) -> Startup {
        let mut startup = self.startup.clone();
        startup.wait_for(|now| *now != Startup::Pending).await.map_or(Startup::Pending, |now| now.clone())
    }

    /// Delivers `payload` with the next request for an event and waits for the response. The deadline in the event is `timeout`
    /// from now; a later response is rejected.
    async fn invoke(&self, payload: &Value, timeout: Duration) -> Invocation {
        let begin = Instant::now();
        let id = request_id();
        let (answer, answered) = oneshot::channel();
        self.shared.pending().insert(id.clone(), PendingInvocation { delivered: None, answer });
        let _guard = RemoveOnDrop { shared: &self.shared, id: &id };
        let event = QueuedEvent {
            id: id.clone(),
            payload: Bytes::from(payload.to_string()),
            deadline_ms: epoch_ms() + timeout.as_millis(),
            arn: format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{}", self.name),
        };
        // Cannot fail: `self.shared` owns the receiver.
        let _ = self.events.send(event);
        match tokio::time::timeout(timeout, answered).await {
            Ok(Ok(invocation)) => invocation,
            Ok(Err(_)) | Err(_) => Invocation { outcome: InvocationOutcome::TimedOut, duration: begin.elapsed() },
        }
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Removes an invocation when its caller ends, also by cancellation, so that a late response is rejected.
struct RemoveOnDrop<'a> {
    shared: &'a ServerState,
    id: &'a str,
}

impl Drop for RemoveOnDrop<'_> {
    fn drop(&mut self) {
        self.shared.pending().remove(self.id);
    }
}

async fn accept(listener: TcpListener, shared: Arc<ServerState>) {
    // Dropped with this task, which closes the connections: otherwise a function would wait forever for a stopped server.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, shared: Arc<ServerState>) {
    // Without it, small responses wait for an acknowledgement, which adds 40 ms to every measurement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(request, &shared).await) }
    });
    // A killed function closes its connection; that is not an error of the server.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, shared: &ServerState) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    let Some(path) = path.strip_prefix("/2018-06-01/runtime/") else {
        return reject(StatusCode::NOT_FOUND, "InvalidPath", &path);
    };
    let route = path.split('/').collect::<Vec<_>>();
    match (request.method(), route.as_slice()) {
        (&Method::GET, ["invocation", "next"]) => next(shared).await,
        (&Method::POST, ["invocation", id, kind @ ("response" | "error")]) => {
            with_body(request, |body| settle(shared, id, *kind == "error", body)).await
        }
        (&Method::POST, ["init", "error"]) => {
            let failed = |body: &[u8]| {
                shared.startup.send_replace(Startup::Failed(reported(body)));
                accepted()
            };
            with_body(request, failed).await
        }
        _ => reject(StatusCode::NOT_FOUND, "InvalidPath", path),
    }
}

async fn with_body(
    request: Request<Incoming>,
    respond: impl FnOnce(&[u8]) -> Response<Full<Bytes>>,
) -> Response<Full<Bytes>> {
    match request.into_body().collect().await {
        Ok(body) => respond(&body.to_bytes()),
        Err(e) => reject(StatusCode::BAD_REQUEST, "InvalidBody", &e.to_string()),
    }
}

async fn next(shared: &ServerState) -> Response<Full<Bytes>> {
    let now = Instant::now();
    shared.startup.send_if_modified(|startup| {
        let first = *startup == Startup::Pending;
        if first {
            *startup = Startup::Ready(now);
        }
        first
    });
    let mut queue = shared.queue.lock().await;
    while let Some(event) = queue.recv().await {
        // Skip an invocation whose caller no longer waits.
        let mut pending = shared.pending();
        let Some(entry) = pending.get_mut(&event.id) else { continue };
        entry.delivered = Some(Instant::now());
        return Response::builder()
            .header("content-type", "application/json")
            .header("lambda-runtime-aws-request-id", &event.id)
            .header("lambda-runtime-deadline-ms", event.deadline_ms.to_string())
            .header("lambda-runtime-invoked-function-arn", &event.arn)
            .header("lambda-runtime-trace-id", trace_id(&event.id))
            .body(Full::new(event.payload))
            .unwrap_or_else(|e| reject(StatusCode::INTERNAL_SERVER_ERROR, "Unsendable", &e.to_string()));
    }
    reject(StatusCode::GONE, "Stopped", "the local Runtime API is stopping")
}

fn settle(shared: &ServerState, id: &str, failed: bool, body: &[u8]) -> Response<Full<Bytes>> {
    let end = Instant::now();
    let Some(entry) = shared.pending().remove(id) else {
        return reject(StatusCode::BAD_REQUEST, "InvalidRequestID", id);
    };
    let outcome = match serde_json::from_slice(body) {
        _ if failed => reported(body),
        Ok(value) => InvocationOutcome::Response(value),
        Err(e) => InvocationOutcome::Error {
            kind: "Runtime.InvalidResponse".to_owned(),
            message: format!("the function's response is not JSON: {e}: `{}`", String::from_utf8_lossy(body)),
        },
    };
    let duration = entry.delivered.map_or(Duration::ZERO, |delivered| end.duration_since(delivered));
    // Fails if the caller stopped waiting after the lookup above.
    let _ = entry.answer.send(Invocation { outcome, duration });
    accepted()
}

/// Reads an error report, `{"errorType": ..., "errorMessage": ...}`. Any other body becomes the message.
fn reported(body: &[u8]) -> InvocationOutcome {
    let report = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let text = |key: &str| report.get(key).and_then(Value::as_str).map(str::to_owned);
    InvocationOutcome::Error {
        kind: text("errorType").unwrap_or_else(|| "Runtime.Unknown".to_owned()),
        message: text("errorMessage").unwrap_or_else(|| String::from_utf8_lossy(body).into_owned()),
    }
}

fn accepted() -> Response<Full<Bytes>> {
    plain(StatusCode::ACCEPTED, r#"{"status":"OK"}"#.to_owned())
}

fn reject(status: StatusCode, kind: &str, message: &str) -> Response<Full<Bytes>> {
    plain(status, serde_json::json!({ "errorType": kind, "errorMessage": message }).to_string())
}

fn plain(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
}

fn epoch_ms() -> u128 {
    #[expect(clippy::disallowed_methods, reason = "functions compare the deadline with the real clock")]
    let now = std::time::SystemTime::now();
    now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()
}

/// A request id in Lambda's form: unique in this process, and by its time nearly unique on this machine.
fn request_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{:08x}-0000-4000-8000-{:012x}", epoch_ms() & 0xffff_ffff, count & 0xffff_ffff_ffff)
}

fn trace_id(request_id: &str) -> String {
    let hex = request_id.chars().filter(char::is_ascii_hexdigit).collect::<String>();
    let (start, rest) = hex.split_at_checked(8).unwrap_or((&hex, ""));
    format!("Root=1-{start}-{rest};Parent=0000000000000001;Sampled=0")
}
