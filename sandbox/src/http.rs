//! Blocking HTTP/1.1 requests with whole bodies, over hyper: one connection for each request.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::runtime::Runtime;

/// A request with its whole body.
#[derive(Debug, Clone, Default)]
pub struct HttpRequest {
    /// The method, in capitals.
    pub method: String,
    /// Path and query, percent-encoded.
    pub target: String,
    /// Names and values in the order of the request.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl HttpRequest {
    /// Creates a request without headers and body.
    pub fn new(method: &str, target: &str) -> Self {
        Self { method: method.to_owned(), target: target.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Returns the first header of this name, in any case.
    pub fn get(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Returns the path without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Returns the query without its question mark; empty when the target has none.
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }
}

/// A response with its whole body.
#[derive(Debug, Clone, Default)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// Names and values in the order of the response.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// Creates a response with a content type and a body.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("content-type".to_owned(), content_type.to_owned())], body: body.into() }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Returns the first header of this name, in any case.
    pub fn get(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Returns the body as text; bytes that are not UTF-8 become replacement characters.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// Copies the headers of a hyper message.
pub(crate) fn headers_of(headers: &hyper::HeaderMap) -> Vec<(String, String)> {
    let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

/// Headers that belong to one connection and are not forwarded.
pub(crate) const HOP_BY_HOP: [&str; 8] =
    ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "expect", "te", "content-length"];

/// Longer than the 15 minutes that a Lambda function may run.
const TIMEOUT: Duration = Duration::from_secs(1000);

/// Sends one request and reads the whole response; `Host` is the server's address unless the request has the header.
///
/// # Errors
/// When the server cannot be reached, closes the connection early, or does not speak HTTP/1.1.
pub fn send(server: SocketAddr, request: &HttpRequest) -> Result<HttpResponse> {
    exchange(server, request).with_context(|| format!("{} {} at {server}", request.method, request.path()))
}

fn exchange(server: SocketAddr, request: &HttpRequest) -> Result<HttpResponse> {
    // A runtime of its own: callers are threads of another runtime, where `block_on` would panic.
    static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("http").enable_all().build()
    });
    let runtime = runtime.as_ref().map_err(|error| anyhow!("start the HTTP client: {error}"))?;
    let mut builder =
        hyper::Request::builder().method(request.method.as_str()).uri(format!("http://{server}{}", request.target));
    for (name, value) in &request.headers {
        if !HOP_BY_HOP.iter().any(|hop| name.eq_ignore_ascii_case(hop)) {
            builder = builder.header(name, value);
        }
    }
    let request = builder.body(Full::new(Bytes::from(request.body.clone())))?;
    let (sender, receiver) = mpsc::channel();
    runtime.spawn(async move {
        let response = tokio::time::timeout(TIMEOUT, receive(request)).await;
        // The receiver waits until this message.
        let _ = sender.send(response.unwrap_or_else(|elapsed| Err(elapsed.into())));
    });
    receiver.recv()?
}

async fn receive(request: hyper::Request<Full<Bytes>>) -> Result<HttpResponse> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(Duration::from_secs(5)));
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
    let (head, body) = client.request(request).await?.into_parts();
    let body = body.collect().await.context("the connection was closed before the response was complete")?;
    Ok(HttpResponse {
        status: head.status.as_u16(),
        headers: headers_of(&head.headers),
        body: body.to_bytes().to_vec(),
    })
}

#[cfg(test)]
mod tests;
