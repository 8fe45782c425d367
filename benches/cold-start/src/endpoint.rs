//! A stub of AWS that answers each request at once with a constant response, so that only the function's own time is
//! measured.

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

type CallCounts = Arc<Mutex<BTreeMap<String, usize>>>;

/// The server; it stops when it is dropped.
#[derive(Debug)]
pub(crate) struct Endpoint {
    url: String,
    calls: CallCounts,
    accepting: JoinHandle<()>,
}

impl Endpoint {
    /// Starts a server over HTTP.
    pub(crate) async fn http() -> anyhow::Result<Self> {
        Self::start(None).await
    }

    /// Starts a server over TLS; writes the certificate of its authority to this file.
    pub(crate) async fn tls(authority: &Path) -> anyhow::Result<Self> {
        let identity = tls::TlsIdentity::new()?;
        std::fs::write(authority, &identity.authority_pem)?;
        Self::start(Some(identity.acceptor)).await
    }

    async fn start(acceptor: Option<TlsAcceptor>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address: SocketAddr = listener.local_addr()?;
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let calls = CallCounts::default();
        let accepting = tokio::spawn(accept(listener, acceptor, Arc::clone(&calls)));
        Ok(Self { url: format!("{scheme}://{address}"), calls, accepting })
    }

    /// Returns the value of `AWS_ENDPOINT_URL`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Returns the number of calls of each operation since [`Endpoint::forget_calls`].
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

fn lock(calls: &CallCounts) -> MutexGuard<'_, BTreeMap<String, usize>> {
    calls.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, calls: CallCounts) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let (acceptor, calls) = (acceptor.clone(), Arc::clone(&calls));
        tokio::spawn(async move {
            let Some(acceptor) = acceptor else { return serve(stream, calls).await };
            // A client that does not trust the certificate reports that itself.
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, calls).await;
            }
        });
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, calls: CallCounts) {
    let service = service_fn(|request| {
        let calls = Arc::clone(&calls);
        async move { Ok::<_, Infallible>(answer(request, &calls).await) }
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, calls: &CallCounts) -> Response<Full<Bytes>> {
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
