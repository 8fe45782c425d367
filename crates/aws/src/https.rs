//! The one HTTP client beside the SDK's, made of what the SDK links already.

use app::ports::{PortError, PortErrorKind, Result};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::timeout;

/// The longest that one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(8);

type Connection = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A client that trusts the machine's certificates. It is made when it is first used: reading some 150 certificate files is half
/// of the start of a function, and most invocations have no use for it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Https {
    client: Arc<OnceLock<Connection>>,
}

impl Https {
    fn client(&self, operation: &'static str) -> Result<&Connection> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()
            .map_err(|error| failure(operation, PortErrorKind::Refused, format!("no certificates to trust: {error}")))?
            // Local emulators have plain addresses.
            .https_or_http()
            .enable_http1()
            .build();
        Ok(self.client.get_or_init(|| Client::builder(TokioExecutor::new()).build(connector)))
    }

    /// One request. An error names `operation` and never the address, which may be a secret.
    pub(crate) async fn send(&self, operation: &'static str, request: Request<Full<Bytes>>) -> Result<()> {
        let answer = timeout(ATTEMPT, self.client(operation)?.request(request)).await;
        let response = match answer {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if error.is_connect() => {
                return Err(failure(operation, PortErrorKind::Retryable, "no connection"));
            }
            Ok(Err(_)) => return Err(failure(operation, PortErrorKind::Retryable, "the connection broke")),
            Err(_) => return Err(failure(operation, PortErrorKind::Retryable, "no answer within 8 s")),
        };
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let request_id =
            response.headers().get("x-amz-request-id").and_then(|id| id.to_str().ok()).map(ToOwned::to_owned);
        let body = timeout(ATTEMPT, response.into_body().collect()).await;
        let body =
            body.ok().and_then(std::result::Result::ok).map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let text = String::from_utf8_lossy(&body);
        let element = |name: &str| {
            let (_, rest) = text.split_once(&format!("<{name}>"))?;
            rest.split_once(&format!("</{name}>")).map(|(inner, _)| inner.to_owned())
        };
        let kind = match status {
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => PortErrorKind::Denied,
            StatusCode::NOT_FOUND => PortErrorKind::NotFound,
            StatusCode::TOO_MANY_REQUESTS => PortErrorKind::Retryable,
            status if status.is_server_error() => PortErrorKind::Retryable,
            _ => PortErrorKind::Refused,
        };
        Err(PortError {
            operation,
            code: element("Code"),
            message: element("Message").unwrap_or_else(|| format!("the answer was {status}")),
            request_id,
            kind,
        })
    }
}

pub(crate) fn failure(operation: &'static str, kind: PortErrorKind, message: impl Into<String>) -> PortError {
    PortError { operation, code: None, message: message.into(), request_id: None, kind }
}
