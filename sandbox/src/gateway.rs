//! The one endpoint of the local cloud: routes each request to the server that answers it, and records it in the
//! journal.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use crate::backup::Backup;
use crate::call::ApiCall;
use crate::client::CloudClient;
use crate::codecommit::CodeCommit;
use crate::config::Config;
use crate::faults::FaultInjector;
use crate::http::{self, HOP_BY_HOP, HttpRequest, HttpResponse};
use crate::journal::{self, Entry, Journal};
use crate::mailbox::Mailbox;
use crate::member_services::MemberServices;
use crate::organization::Organizations;
use crate::securityhub::SecurityHubEmulator;
use crate::stacksets::{AcceptedOperation, StackSets};
use crate::wire::{self, Form};
use crate::{caller, events, ids};

/// State of all servers and emulators behind the endpoint.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) account: String,
    pub(crate) region: String,
    /// MiniStack, which answers all requests that no emulator answers.
    pub(crate) ministack: SocketAddr,
    /// Calls MiniStack without the gateway, so that the sandbox's own calls are not in the journal.
    pub(crate) inside: CloudClient,
    pub(crate) journal: Journal,
    pub(crate) faults: FaultInjector,
    pub(crate) stacksets: Arc<StackSets>,
    pub(crate) codecommit: CodeCommit,
    pub(crate) config: Config,
    pub(crate) backup: Backup,
    pub(crate) live: MemberServices,
    pub(crate) organization: Arc<Organizations>,
    pub(crate) securityhub: SecurityHubEmulator,
    pub(crate) mailbox: Mailbox,
    /// Receives the errors that no caller receives.
    pub(crate) log: PathBuf,
}

/// The running server; dropping it stops the server.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    runtime: Option<tokio::runtime::Runtime>,
    listener: Option<std::net::TcpListener>,
}

impl Gateway {
    /// Binds a free port; requests wait until [`Gateway::serve`].
    pub(crate) fn bind() -> Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("take a port for the gateway")?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("gateway")
            .enable_all()
            .build()
            .context("start the gateway")?;
        Ok(Self { address: listener.local_addr()?, runtime: Some(runtime), listener: Some(listener) })
    }

    pub(crate) fn serve(&mut self, state: Arc<Backend>) -> Result<()> {
        let (Some(runtime), Some(listener)) = (&self.runtime, self.listener.take()) else { return Ok(()) };
        let _inside = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        runtime.spawn(async move {
            loop {
                if let Ok((stream, peer)) = listener.accept().await {
                    tokio::spawn(connection(stream, peer, Arc::clone(&state)));
                }
            }
        });
        Ok(())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Requests in flight belong to processes that are being killed.
            runtime.shutdown_background();
        }
    }
}

async fn connection(stream: tokio::net::TcpStream, peer: SocketAddr, state: Arc<Backend>) {
    let _ = stream.set_nodelay(true);
    let function: Arc<OnceLock<Option<String>>> = Arc::default();
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let (state, function) = (Arc::clone(&state), Arc::clone(&function));
        async move {
            let request = match read(request).await {
                Ok(request) => request,
                Err(error) => {
                    return Ok::<_, Infallible>(write(HttpResponse::new(400, "text/plain", format!("{error:#}"))));
                }
            };
            let answered = tokio::task::spawn_blocking(move || {
                let function = function.get_or_init(|| caller::function_behind(peer)).clone();
                state.answer(&request, function)
            });
            let response = answered.await;
            Ok(write(response.unwrap_or_else(|error| HttpResponse::new(500, "text/plain", error.to_string()))))
        }
    });
    // An error of one connection does not affect the others.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn read(request: hyper::Request<Incoming>) -> Result<HttpRequest> {
    let (head, body) = request.into_parts();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let body = body.collect().await.context("read the body")?.to_bytes().to_vec();
    Ok(HttpRequest { method: head.method.to_string(), target, headers: http::headers_of(&head.headers), body })
}

fn write(response: HttpResponse) -> hyper::Response<Full<Bytes>> {
    let mut builder = hyper::Response::builder().status(response.status);
    let has_body = !response.body.is_empty();
    for (name, value) in &response.headers {
        // hyper knows the length of a body; a response to HEAD has a length and no body.
        let length = name.eq_ignore_ascii_case("content-length");
        if (length && !has_body) || !HOP_BY_HOP.iter().any(|hop| name.eq_ignore_ascii_case(hop)) {
            builder = builder.header(name, value);
        }
    }
    builder.body(Full::new(Bytes::from(response.body))).unwrap_or_default()
}

/// The longest time that `DescribeStacks` waits for the end of a deletion.
const DELETION: Duration = Duration::from_secs(20);

impl Backend {
    fn answer(self: &Arc<Self>, request: &HttpRequest, function: Option<String>) -> HttpResponse {
        if let Some(path) = request.path().strip_prefix("/_sandbox/") {
            return self.own(path, request);
        }
        if request.path().starts_with("/_ministack") {
            return self.forward(request);
        }
        let call = ApiCall::of(request);
        let at = ids::now_millis();
        let fault = self.faults.strike(&call.service, &call.operation, call.protocol(request));
        let response = fault.unwrap_or_else(|| self.route(&call, request, function.as_deref()));
        self.journal.add(Entry {
            mutating: journal::is_mutating(&call.operation),
            from_function: function.is_some(),
            who: function.unwrap_or(call.access_key),
            service: call.service,
            operation: call.operation,
            at,
            status: response.status,
        });
        response
    }

    fn route(self: &Arc<Self>, call: &ApiCall, request: &HttpRequest, function: Option<&str>) -> HttpResponse {
        let is_stack_set = call.operation.contains("StackSet") || call.operation.contains("StackInstance");
        match call.service.as_str() {
            _ if MemberServices::knows(call) && self.organization.has_assumed(&call.access_key) => {
                self.live.answer(call, &self.caller(call), request)
            }
            "cloudformation" if is_stack_set => {
                let (response, accepted) = self.stacksets.answer(call, request);
                accepted.into_iter().for_each(|accepted| self.finish(accepted));
                response
            }
            "cloudformation" if call.operation == "DescribeStacks" => self.describe_stacks(request),
            "codecommit" => {
                let (response, events) = self.codecommit.answer(call, request, function);
                events.iter().for_each(|event| self.emit(event));
                response
            }
            "config" if Config::knows(&call.operation) => self.config.answer(call, &self.caller(call), request),
            "securityhub" => self.securityhub.answer(call, &self.caller(call), request),
            "organizations" if Organizations::knows(&call.operation) => {
                self.organization.answer(call, &self.caller(call), request)
            }
            "sts" if call.operation == "AssumeRole" => self.organization.assume_role_error(call).unwrap_or_else(|| {
                let answer = self.forward(request);
                self.organization.record_assumed_role(call, &answer);
                answer
            }),
            "backup" if self.backup.knows(call, &self.stacksets) => self.backup.answer(call, request, &self.stacksets),
            _ => self.forward(request),
        }
    }

    /// Waits for the end of a StackSet operation and sends its event.
    fn finish(self: &Arc<Self>, accepted: AcceptedOperation) {
        let state = Arc::clone(self);
        std::thread::spawn(move || {
            if let Some(event) = state.stacksets.finish(&accepted) {
                state.emit(&event);
            }
        });
    }

    /// Starts the operations of auto-deployment after an account joined or left a unit.
    pub(crate) fn account_moved(self: &Arc<Self>, account: &str) {
        self.stacksets.account_moved(account).into_iter().for_each(|accepted| self.finish(accepted));
    }

    fn caller(&self, call: &ApiCall) -> String {
        self.organization.account_of(&call.access_key)
    }

    /// Answers `DescribeStacks` for a stack in deletion once the deletion ended, or after [`DELETION`]: `sam delete`
    /// polls every 30 seconds, and the deletion takes a few.
    fn describe_stacks(&self, request: &HttpRequest) -> HttpResponse {
        let deadline = Instant::now() + DELETION;
        loop {
            let response = self.forward(request);
            let is_deleting = String::from_utf8_lossy(&response.body).contains("<StackStatus>DELETE_IN_PROGRESS<");
            if !is_deleting || Instant::now() > deadline {
                return response;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn forward(&self, request: &HttpRequest) -> HttpResponse {
        http::send(self.ministack, request).unwrap_or_else(|error| {
            self.log_error(&format!("{error:#}"));
            wire::json_error(503, "ServiceUnavailable", &format!("MiniStack did not answer: {error:#}"))
        })
    }

    /// Puts an event on the default bus.
    pub(crate) fn emit(&self, event: &Value) {
        if let Err(error) = events::deliver(&self.inside, "default", event) {
            self.log_error(&format!("event {event} was not delivered: {error:#}"));
        }
    }

    pub(crate) fn log_error(&self, text: &str) {
        use std::io::Write;
        if let Ok(mut log) = std::fs::OpenOptions::new().append(true).create(true).open(&self.log) {
            let _ = writeln!(log, "{} {text}", ids::now_millis());
        }
    }

    /// Answers the sandbox's own paths, for the git hook and for users with `curl`.
    fn own(&self, path: &str, request: &HttpRequest) -> HttpResponse {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let form = Form::parse(request.query());
        let answer = match (request.method.as_str(), path) {
            ("POST", "push") => {
                let events = self.codecommit.pushed(form.get("repository").unwrap_or_default(), &body);
                for event in &events {
                    self.emit(event);
                }
                Ok(json!({"events": events.len()}))
            }
            ("POST", "events") => events::deliver(&self.inside, form.get("bus").unwrap_or("default"), &body)
                .map(|rules| json!({"matched": rules})),
            ("POST", "resources") => self.config.add_json(&body).map(|added| json!({"added": added})),
            ("POST", "evaluations") => self.evaluate(form.get("bus"), &body),
            ("POST", "backup") => self.live.put_json(&form, &body).map(|()| json!({"put": true})),
            ("GET", "findings") => Ok(json!(self.securityhub.findings())),
            ("POST", "mail") => self.mailbox.receive(&self.inside, &body).map(|()| json!({"received": true})),
            ("GET", "mail") => Ok(json!(self.mailbox.all())),
            ("GET", "resources") => Ok(json!(self.config.resources())),
            ("GET", "journal") => Ok(json!(self.journal.since(journal::Mark::default()))),
            ("GET", "calls") => Ok(self.calls(&form)),
            ("GET", "health") => {
                Ok(json!({"account": self.account, "region": self.region, "ministack": self.ministack.to_string()}))
            }
            _ => {
                return HttpResponse::new(
                    404,
                    "text/plain",
                    "unknown path: /_sandbox/ has push, events, evaluations, resources, backup, findings, mail, journal, calls and health\
                    ",
                );
            }
        };
        match answer {
            Ok(value) => HttpResponse::new(200, "application/json", value.to_string()),
            Err(error) => {
                HttpResponse::new(400, "application/json", json!({"error": format!("{error:#}")}).to_string())
            }
        }
    }

    /// Stores results of rules; returns the events, and delivers them if `bus` is given.
    fn evaluate(&self, bus: Option<&str>, body: &Value) -> Result<Value> {
        let events = self.config.evaluate_json(body)?;
        if let Some(bus) = bus {
            events::deliver_all(&self.inside, bus, &events)?;
        }
        Ok(json!({"events": events}))
    }

    /// Counts calls by kind between two marks, of one function if it is given.
    fn calls(&self, form: &Form) -> Value {
        let mark = |name: &str| form.get(name).and_then(|text| text.parse().ok()).map(journal::Mark::at);
        let now = self.journal.mark();
        let (from, to) = (mark("from").unwrap_or_default(), mark("to").unwrap_or(now));
        json!({"mark": now.number(), "calls": self.journal.counts(from, to, form.get("function"))})
    }
}
