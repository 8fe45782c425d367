//! A Lambda Runtime API for one function at a time, and the function's process behind it.
//!
//! Four requests make up the API (AWS Lambda developer guide, "Using the Lambda runtime API"): the function asks for the
//! `next` event and is kept waiting until there is one, and answers it with `response` or `error`; `init/error` tells
//! that it could not start. Tests, the command line and the benchmark all run functions through this one server.

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

/// The name a function has here unless its [`Launch`] says otherwise.
const NAME: &str = "function";
/// The Region of the local functions.
const REGION: &str = "us-east-1";
/// The account of the local functions, as emulators use it.
const ACCOUNT: &str = "000000000000";

/// What became of one invocation.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The function's answer.
    Response(Value),
    /// The function reported an error, for this event or at start-up.
    Error {
        /// `errorType` of the report.
        kind: String,
        /// `errorMessage` of the report.
        message: String,
    },
    /// The process ended without an answer.
    Exited {
        /// Its exit status; none when a signal ended it.
        code: Option<i32>,
    },
    /// No answer in time. Like Lambda, [`Function`] kills the process then.
    TimedOut,
}

/// An [`Outcome`] and how long it took.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    /// What became of it.
    pub outcome: Outcome,
    /// From handing out the event to having read the whole answer; start-up is not in it.
    pub duration: Duration,
}

/// How far the function has come in starting up.
#[derive(Debug, Clone, PartialEq)]
pub enum Startup {
    /// It has not asked for an event yet.
    Pending,
    /// It asked for its first event at this moment.
    Ready(Instant),
    /// It reported an error to `init/error`.
    Failed(Outcome),
}

/// The server; stops when dropped.
#[derive(Debug)]
pub struct RuntimeApi {
    address: SocketAddr,
    shared: Arc<Shared>,
    events: mpsc::UnboundedSender<Event>,
    startup: watch::Receiver<Startup>,
    name: String,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    /// Events nobody has taken yet.
    queue: AsyncMutex<mpsc::UnboundedReceiver<Event>>,
    /// Invocations that wait for their answer, by request id.
    waiting: Mutex<HashMap<String, Waiting>>,
    startup: watch::Sender<Startup>,
}

#[derive(Debug)]
struct Event {
    id: String,
    payload: Bytes,
    deadline_ms: u128,
    arn: String,
}

#[derive(Debug)]
struct Waiting {
    taken: Option<Instant>,
    answer: oneshot::Sender<Invocation>,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, HashMap<String, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RuntimeApi {
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_as(NAME).await
    }

    /// Like [`RuntimeApi::start`], for a function of this name (it shows in the function's ARN).
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start_as(name: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("no free port for the local Runtime API")?;
        let address = listener.local_addr()?;
        let (events, queue) = mpsc::unbounded_channel();
        let (startup, seen) = watch::channel(Startup::Pending);
        let shared = Arc::new(Shared { queue: AsyncMutex::new(queue), waiting: Mutex::new(HashMap::new()), startup });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, events, startup: seen, name: name.to_owned(), accepting })
    }

    /// Where the server listens: the value of `AWS_LAMBDA_RUNTIME_API`.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How far the function has come.
    #[must_use]
    pub fn startup(&self) -> Startup {
        self.startup.borrow().clone()
    }

    /// Waits until the function asks for an event or says that it cannot start.
    pub async fn started(&self) -> Startup {
        let mut startup = self.startup.clone();
        match startup.wait_for(|now| *now != Startup::Pending).await {
            Ok(now) => now.clone(),
            Err(_) => Startup::Pending,
        }
    }

    /// Hands `payload` to the function that asks next and waits for the answer. The function is told a deadline
    /// `timeout` from now, and no answer is taken after it.
    pub async fn invoke(&self, payload: &Value, timeout: Duration) -> Invocation {
        let begin = Instant::now();
        let id = request_id();
        let (answer, answered) = oneshot::channel();
        self.shared.waiting().insert(id.clone(), Waiting { taken: None, answer });
        let _forget = Forget { shared: &self.shared, id: &id };
        let event = Event {
            id: id.clone(),
            payload: Bytes::from(payload.to_string()),
            deadline_ms: epoch_ms() + timeout.as_millis(),
            arn: format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{}", self.name),
        };
        // The receiving end lives in `shared`, which we hold: sending cannot fail.
        let _ = self.events.send(event);
        match tokio::time::timeout(timeout, answered).await {
            Ok(Ok(invocation)) => invocation,
            Ok(Err(_)) | Err(_) => Invocation { outcome: Outcome::TimedOut, duration: begin.elapsed() },
        }
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Takes an invocation off the list however its caller ends, so that a late answer is refused.
struct Forget<'a> {
    shared: &'a Shared,
    id: &'a str,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.shared.waiting().remove(self.id);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, which ends the connections too: a function that outlives its server would wait for ever.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // Small answers must not wait for an acknowledgement: it would show as 40 ms in every measurement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(request, &shared).await) }
    });
    // A function that is killed hangs up; that is no fault of the server.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, shared: &Shared) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    let Some(path) = path.strip_prefix("/2018-06-01/runtime/") else {
        return refuse(StatusCode::NOT_FOUND, "InvalidPath", &path);
    };
    let route = path.split('/').collect::<Vec<_>>();
    match (request.method(), route.as_slice()) {
        (&Method::GET, ["invocation", "next"]) => next(shared).await,
        (&Method::POST, ["invocation", id, kind @ ("response" | "error")]) => {
            let (id, failed) = ((*id).to_owned(), *kind == "error");
            match request.into_body().collect().await {
                Ok(body) => settle(shared, &id, failed, &body.to_bytes()),
                Err(e) => refuse(StatusCode::BAD_REQUEST, "InvalidBody", &e.to_string()),
            }
        }
        (&Method::POST, ["init", "error"]) => match request.into_body().collect().await {
            Ok(body) => {
                shared.startup.send_replace(Startup::Failed(reported(&body.to_bytes())));
                accepted()
            }
            Err(e) => refuse(StatusCode::BAD_REQUEST, "InvalidBody", &e.to_string()),
        },
        _ => refuse(StatusCode::NOT_FOUND, "InvalidPath", path),
    }
}

async fn next(shared: &Shared) -> Response<Full<Bytes>> {
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
        // An invocation that nobody waits for any more is not handed out.
        let mut waiting = shared.waiting();
        let Some(entry) = waiting.get_mut(&event.id) else { continue };
        entry.taken = Some(Instant::now());
        return Response::builder()
            .header("content-type", "application/json")
            .header("lambda-runtime-aws-request-id", &event.id)
            .header("lambda-runtime-deadline-ms", event.deadline_ms.to_string())
            .header("lambda-runtime-invoked-function-arn", &event.arn)
            .header("lambda-runtime-trace-id", trace_id(&event.id))
            .body(Full::new(event.payload))
            .unwrap_or_else(|e| refuse(StatusCode::INTERNAL_SERVER_ERROR, "Unsendable", &e.to_string()));
    }
    refuse(StatusCode::GONE, "Stopped", "the local Runtime API is stopping")
}

fn settle(shared: &Shared, id: &str, failed: bool, body: &[u8]) -> Response<Full<Bytes>> {
    let end = Instant::now();
    let Some(entry) = shared.waiting().remove(id) else {
        return refuse(StatusCode::BAD_REQUEST, "InvalidRequestID", id);
    };
    let outcome = if failed {
        reported(body)
    } else {
        match serde_json::from_slice(body) {
            Ok(value) => Outcome::Response(value),
            Err(e) => Outcome::Error {
                kind: "Runtime.InvalidResponse".to_owned(),
                message: format!("the function's answer is not JSON: {e}: `{}`", String::from_utf8_lossy(body)),
            },
        }
    };
    let duration = entry.taken.map_or(Duration::ZERO, |taken| end.duration_since(taken));
    // The caller may have given up in this very moment.
    let _ = entry.answer.send(Invocation { outcome, duration });
    accepted()
}

/// Reads an error report, `{"errorType": ..., "errorMessage": ...}`; anything else is passed on as it is.
fn reported(body: &[u8]) -> Outcome {
    let report = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let text = |key: &str| report.get(key).and_then(Value::as_str).map(str::to_owned);
    Outcome::Error {
        kind: text("errorType").unwrap_or_else(|| "Runtime.Unknown".to_owned()),
        message: text("errorMessage").unwrap_or_else(|| String::from_utf8_lossy(body).into_owned()),
    }
}

fn accepted() -> Response<Full<Bytes>> {
    plain(StatusCode::ACCEPTED, r#"{"status":"OK"}"#.to_owned())
}

fn refuse(status: StatusCode, kind: &str, message: &str) -> Response<Full<Bytes>> {
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

/// Unique in this process and, by the clock, nearly so elsewhere; in the form Lambda gives its ids.
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
