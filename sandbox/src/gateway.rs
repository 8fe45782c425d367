//! The one endpoint: finds out what a request asks for, keeps the journal, and hands it to the server that has the answer.

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
use crate::client::Client;
use crate::codecommit::CodeCommit;
use crate::config::Config;
use crate::faults::{Faults, Protocol};
use crate::http::{self, HOP_BY_HOP, Request, Response};
use crate::journal::{self, Entry, Journal};
use crate::live::Live;
use crate::mailbox::Mailbox;
use crate::organization::Organization;
use crate::securityhub::SecurityHub;
use crate::stacksets::{Accepted, StackSets};
use crate::wire::{self, Form};
use crate::{caller, events, ids};

/// Everything behind the endpoint.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) account: String,
    pub(crate) region: String,
    /// MiniStack, which answers whatever nobody else does.
    pub(crate) ministack: SocketAddr,
    /// MiniStack without the detour through the gateway, for the sandbox's own calls: they are not in the journal.
    pub(crate) inside: Client,
    pub(crate) journal: Journal,
    pub(crate) faults: Faults,
    pub(crate) stacksets: Arc<StackSets>,
    pub(crate) codecommit: CodeCommit,
    pub(crate) config: Config,
    pub(crate) backup: Backup,
    pub(crate) live: Live,
    pub(crate) organization: Arc<Organization>,
    pub(crate) securityhub: SecurityHub,
    pub(crate) mailbox: Mailbox,
    /// Where trouble is written that no caller hears of.
    pub(crate) log: PathBuf,
}

/// The running server; it stops when this is dropped.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    runtime: Option<tokio::runtime::Runtime>,
    listener: Option<std::net::TcpListener>,
}

impl Gateway {
    /// Takes a port; nobody is answered before [`Gateway::serve`].
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

    pub(crate) fn serve(&mut self, state: Arc<State>) -> Result<()> {
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
            // Requests in flight belong to processes that are being ended.
            runtime.shutdown_background();
        }
    }
}

async fn connection(stream: tokio::net::TcpStream, peer: SocketAddr, state: Arc<State>) {
    let _ = stream.set_nodelay(true);
    let function: Arc<OnceLock<Option<String>>> = Arc::default();
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let (state, function) = (Arc::clone(&state), Arc::clone(&function));
        async move {
            let request = match read(request).await {
                Ok(request) => request,
                Err(error) => {
                    return Ok::<_, Infallible>(write(Response::new(400, "text/plain", format!("{error:#}"))));
                }
            };
            let answered = tokio::task::spawn_blocking(move || {
                let function = function.get_or_init(|| caller::function_behind(peer)).clone();
                state.answer(&request, function)
            });
            let response = answered.await;
            Ok(write(response.unwrap_or_else(|error| Response::new(500, "text/plain", error.to_string()))))
        }
    });
    // A client that breaks off concerns nobody else.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn read(request: hyper::Request<Incoming>) -> Result<Request> {
    let (head, body) = request.into_parts();
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let headers = headers.collect();
    let body = body.collect().await.context("read the body")?.to_bytes().to_vec();
    Ok(Request { method: head.method.to_string(), target, headers, body })
}

fn write(response: Response) -> hyper::Response<Full<Bytes>> {
    let mut builder = hyper::Response::builder().status(response.status);
    let has_body = !response.body.is_empty();
    for (name, value) in &response.headers {
        // The length of the body is known to the server; an answer to HEAD has a length and no body.
        let length = name.eq_ignore_ascii_case("content-length");
        if (length && !has_body) || !HOP_BY_HOP.iter().any(|hop| name.eq_ignore_ascii_case(hop)) {
            builder = builder.header(name, value);
        }
    }
    builder.body(Full::new(Bytes::from(response.body))).unwrap_or_default()
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) service: String,
    pub(crate) operation: String,
    pub(crate) access_key: String,
    pub(crate) region: String,
    /// The parameters of a Query request; empty for every other protocol.
    pub(crate) form: Form,
}

/// The longest that a description of a stack waits for the end of its deletion.
const DELETION: Duration = Duration::from_secs(20);

impl Call {
    pub(crate) fn of(request: &Request) -> Self {
        let query = Form::parse(request.query());
        let scope = request.get("authorization").and_then(|header| header.split("Credential=").nth(1));
        let scope = scope.map(|rest| rest.split([',', ' ']).next().unwrap_or_default().to_owned());
        let scope = scope.or_else(|| query.get("X-Amz-Credential").map(str::to_owned)).unwrap_or_default();
        let parts: Vec<&str> = scope.split('/').collect();
        let part = |n: usize| parts.get(n).copied().unwrap_or_default().to_owned();
        let target = request.get("x-amz-target").unwrap_or_default();
        let is_form =
            request.get("content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        let form = if is_form { Form::parse(&String::from_utf8_lossy(&request.body)) } else { query };
        let service = if part(3).is_empty() { service_of_target(target).to_owned() } else { part(3) };
        let operation = match (target.rsplit_once('.'), form.get("Action")) {
            (Some((_, operation)), _) => operation.to_owned(),
            (None, Some(action)) => action.to_owned(),
            (None, None) => rest_operation(&service, request),
        };
        let form = if form.get("Action").is_some() { form } else { Form::default() };
        Self { service, operation, access_key: part(0), region: part(2), form }
    }

    fn protocol(&self, request: &Request) -> Protocol {
        match self.service.as_str() {
            "s3" => Protocol::RestXml,
            _ if request.get("x-amz-target").is_none() && self.form.get("Action").is_some() => Protocol::Query,
            _ => Protocol::Json,
        }
    }
}

fn service_of_target(target: &str) -> &'static str {
    match target.split('.').next().unwrap_or_default() {
        "CodeCommit_20150413" => "codecommit",
        "StarlingDoveService" => "config",
        "DynamoDB_20120810" => "dynamodb",
        "AmazonSQS" => "sqs",
        "AWSEvents" => "events",
        "AWSOrganizationsV20161128" => "organizations",
        _ => "",
    }
}

/// REST protocols have no operation names on the wire: those that matter get theirs, the others method and path.
fn rest_operation(service: &str, request: &Request) -> String {
    let (method, path) = (request.method.as_str(), request.path());
    if let ("securityhub", Some(operation)) = (service, SecurityHub::operation(method, path)) {
        return operation.to_owned();
    }
    if let ("backup", Some(operation)) = (service, Live::operation(method, path)) {
        return operation.to_owned();
    }
    let in_bucket = path.trim_matches('/').contains('/');
    match (service, method) {
        ("lambda", "POST") if path.ends_with("/invocations") => "Invoke".to_owned(),
        ("s3", "PUT") if in_bucket => "PutObject".to_owned(),
        ("s3", "GET") if in_bucket => "GetObject".to_owned(),
        ("s3", "HEAD") if in_bucket => "HeadObject".to_owned(),
        ("s3", "DELETE") if in_bucket => "DeleteObject".to_owned(),
        ("backup", "GET") if path.trim_end_matches('/') == "/audit/frameworks" => "ListFrameworks".to_owned(),
        ("backup", "GET") if path.starts_with("/audit/frameworks/") => "DescribeFramework".to_owned(),
        _ => format!("{method} {path}"),
    }
}

impl State {
    fn answer(self: &Arc<Self>, request: &Request, function: Option<String>) -> Response {
        if let Some(path) = request.path().strip_prefix("/_sandbox/") {
            return self.own(path, request);
        }
        if request.path().starts_with("/_ministack") {
            return self.forward(request);
        }
        let call = Call::of(request);
        let at = ids::now_millis();
        let fault = self.faults.strike(&call.service, &call.operation, call.protocol(request));
        let response = fault.unwrap_or_else(|| self.route(&call, request));
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

    fn route(self: &Arc<Self>, call: &Call, request: &Request) -> Response {
        let is_stack_set = call.operation.contains("StackSet") || call.operation.contains("StackInstance");
        match call.service.as_str() {
            _ if Live::knows(call) && self.organization.has_assumed(&call.access_key) => {
                self.live.answer(call, &self.caller(call), request)
            }
            "cloudformation" if is_stack_set => {
                let (response, accepted) = self.stacksets.answer(call, request);
                accepted.into_iter().for_each(|accepted| self.finish(accepted));
                response
            }
            "cloudformation" if call.operation == "DescribeStacks" => self.describe_stacks(request),
            "codecommit" => self.codecommit.answer(call, request),
            "config" if Config::knows(&call.operation) => self.config.answer(call, &self.caller(call), request),
            "securityhub" => self.securityhub.answer(call, &self.caller(call), request),
            "organizations" if Organization::knows(&call.operation) => {
                self.organization.answer(call, &self.caller(call), request)
            }
            "sts" if call.operation == "AssumeRole" => self.organization.refuses(call).unwrap_or_else(|| {
                let answer = self.forward(request);
                self.organization.assumed(call, &answer);
                answer
            }),
            "backup" if self.backup.knows(call, &self.stacksets) => self.backup.answer(call, request, &self.stacksets),
            _ => self.forward(request),
        }
    }

    /// Ends an operation of a StackSet in its time, and tells of it.
    fn finish(self: &Arc<Self>, accepted: Accepted) {
        let state = Arc::clone(self);
        std::thread::spawn(move || {
            if let Some(event) = state.stacksets.finish(&accepted) {
                state.emit(&event);
            }
        });
    }

    /// StackSets follow an account that has come into a unit, or has left it.
    pub(crate) fn account_moved(self: &Arc<Self>, account: &str) {
        self.stacksets.account_moved(account).into_iter().for_each(|accepted| self.finish(accepted));
    }

    /// The account that a call comes from.
    fn caller(&self, call: &Call) -> String {
        self.organization.account_of(&call.access_key)
    }

    /// Answers for a stack that is being deleted once the deletion has ended, or after [`DELETION`]: `sam delete` asks again only
    /// after 30 seconds, and the deletion takes a few.
    fn describe_stacks(&self, request: &Request) -> Response {
        let deadline = Instant::now() + DELETION;
        loop {
            let response = self.forward(request);
            let is_going_on = String::from_utf8_lossy(&response.body).contains("<StackStatus>DELETE_IN_PROGRESS<");
            if !is_going_on || Instant::now() > deadline {
                return response;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn forward(&self, request: &Request) -> Response {
        http::send(self.ministack, request).unwrap_or_else(|error| {
            self.complain(&format!("{error:#}"));
            wire::json_error(503, "ServiceUnavailable", &format!("the sandbox's MiniStack did not answer: {error:#}"))
        })
    }

    /// Puts an event on the default bus.
    pub(crate) fn emit(&self, event: &Value) {
        if let Err(error) = events::deliver(&self.inside, "default", event) {
            self.complain(&format!("event {event} was not delivered: {error:#}"));
        }
    }

    pub(crate) fn complain(&self, text: &str) {
        use std::io::Write;
        if let Ok(mut log) = std::fs::OpenOptions::new().append(true).create(true).open(&self.log) {
            let _ = writeln!(log, "{} {text}", ids::now_millis());
        }
    }

    /// The sandbox's own paths, for the git hook and for people with `curl`.
    fn own(&self, path: &str, request: &Request) -> Response {
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
            ("POST", "mail") => self.mailbox.take(&self.inside, &body).map(|()| json!({"taken": true})),
            ("GET", "mail") => Ok(json!(self.mailbox.all())),
            ("GET", "resources") => Ok(json!(self.config.resources())),
            ("GET", "journal") => Ok(json!(self.journal.since(journal::Mark::default()))),
            ("GET", "calls") => Ok(self.calls(&form)),
            ("GET", "health") => {
                Ok(json!({"account": self.account, "region": self.region, "ministack": self.ministack.to_string()}))
            }
            _ => {
                return Response::new(
                    404,
                    "text/plain",
                    "the sandbox has push, events, evaluations, resources, backup, findings, mail, journal, calls and health here\n",
                );
            }
        };
        match answer {
            Ok(value) => Response::new(200, "application/json", value.to_string()),
            Err(error) => Response::new(400, "application/json", json!({"error": format!("{error:#}")}).to_string()),
        }
    }

    /// Lets rules find something; delivers the events to the bus, if there is one, and gives them.
    fn evaluate(&self, bus: Option<&str>, body: &Value) -> Result<Value> {
        let events = self.config.evaluate_json(body)?;
        if let Some(bus) = bus {
            events::deliver_all(&self.inside, bus, &events)?;
        }
        Ok(json!({"events": events}))
    }

    /// How many calls of each kind there were between two marks, also of one function only.
    fn calls(&self, form: &Form) -> Value {
        let mark = |name: &str| form.get(name).and_then(|text| text.parse().ok()).map(journal::Mark::at);
        let now = self.journal.mark();
        let (from, to) = (mark("from").unwrap_or_default(), mark("to").unwrap_or(now));
        json!({"mark": now.number(), "calls": self.journal.counts(from, to, form.get("function"))})
    }
}

#[cfg(test)]
mod tests;
