//! A stand-in for AWS that answers at once and always the same, so that a function's own time is what is measured.

mod answers;
mod tls;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

type Calls = Arc<Mutex<BTreeMap<String, usize>>>;

/// The server; stops when dropped.
#[derive(Debug)]
pub(crate) struct Endpoint {
    url: String,
    calls: Calls,
    accepting: JoinHandle<()>,
}

impl Endpoint {
    /// Over plain HTTP.
    pub(crate) async fn http() -> anyhow::Result<Self> {
        Self::start(None).await
    }

    /// Over TLS, with a certificate whose authority is written to this file.
    pub(crate) async fn tls(authority: &Path) -> anyhow::Result<Self> {
        let identity = tls::Identity::new()?;
        std::fs::write(authority, &identity.authority_pem)?;
        Self::start(Some(identity.acceptor)).await
    }

    async fn start(acceptor: Option<TlsAcceptor>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address: SocketAddr = listener.local_addr()?;
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let calls = Calls::default();
        let accepting = tokio::spawn(accept(listener, acceptor, Arc::clone(&calls)));
        Ok(Self { url: format!("{scheme}://{address}"), calls, accepting })
    }

    /// The value of `AWS_ENDPOINT_URL`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// How often each operation was called since [`Endpoint::forget_calls`].
    pub(crate) fn calls(&self) -> BTreeMap<String, usize> {
        lock(&self.calls).clone()
    }

    pub(crate) fn forget_calls(&self) {
        lock(&self.calls).clear();
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn lock(calls: &Calls) -> MutexGuard<'_, BTreeMap<String, usize>> {
    calls.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, calls: Calls) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let (acceptor, calls) = (acceptor.clone(), Arc::clone(&calls));
        tokio::spawn(async move {
            let Some(acceptor) = acceptor else { return serve(stream, calls).await };
            // A client that does not trust us says so itself.
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, calls).await;
            }
        });
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, calls: Calls) {
    let service = service_fn(|request| {
        let calls = Arc::clone(&calls);
        async move { Ok::<_, Infallible>(answer(request, &calls).await) }
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, calls: &Calls) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let target = head.headers.get("x-amz-target").and_then(|value| value.to_str().ok());
    let canned = answers::to(target, &body);
    *lock(calls).entry(canned.operation).or_default() += 1;
    Response::builder()
        .status(canned.status)
        .header("content-type", canned.content_type)
        .header("x-amzn-requestid", "00000000-0000-4000-8000-000000000000")
        .body(Full::new(Bytes::from(canned.body)))
        .unwrap_or_default()
}
