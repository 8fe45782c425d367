//! Answers CloudFormation: one PUT to a pre-signed URL.

use app::lifecycle::{Answer, ResponseUrl};
use app::ports::{PortError, PortErrorKind, Responder, Result};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE};
use hyper::{Method, Request};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::time::Duration;
use tokio::time::{sleep, timeout};

const OPERATION: &str = "cloudformation:answer to the custom resource";
/// Waits between the attempts; one attempt more than there are waits.
const WAITS: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(2)];
const ATTEMPT: Duration = Duration::from_secs(8);

/// Puts answers.
#[derive(Debug, Clone)]
pub struct SignedUrlResponder {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl SignedUrlResponder {
    /// A responder that trusts the machine's certificates.
    ///
    /// # Errors
    /// When the machine has none.
    pub fn new() -> Result<Self> {
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()
            .map_err(|error| failure(PortErrorKind::Refused, error.to_string()))?
            // Local emulators hand out plain addresses; CloudFormation's are https.
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector) })
    }

    async fn put(&self, url: &ResponseUrl, body: Bytes) -> Result<()> {
        let request = Request::builder()
            .method(Method::PUT)
            .uri(url.reveal())
            // The URL is signed for an empty type; any other is refused.
            .header(CONTENT_TYPE, "")
            .header(CONTENT_LENGTH, body.len())
            .body(Full::new(body))
            .map_err(|_| failure(PortErrorKind::Refused, "the response URL is no address"))?;
        let answer = timeout(ATTEMPT, self.client.request(request)).await;
        // The errors of the client may name the address: none of them is passed on.
        let response = match answer {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if error.is_connect() => {
                return Err(failure(PortErrorKind::Retryable, "no connection to the response URL"));
            }
            Ok(Err(_)) => return Err(failure(PortErrorKind::Retryable, "the connection broke")),
            Err(_) => return Err(failure(PortErrorKind::Retryable, "no answer within 8 s")),
        };
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let detail = response.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let code = String::from_utf8_lossy(&detail)
            .split_once("<Code>")
            .and_then(|(_, rest)| rest.split_once("</Code>").map(|(code, _)| code.to_owned()));
        let kind = if status.is_server_error() { PortErrorKind::Retryable } else { PortErrorKind::Refused };
        Err(failure(kind, format!("status {status} {}", code.unwrap_or_default())))
    }
}

impl Responder for SignedUrlResponder {
    async fn answer(&self, url: &ResponseUrl, answer: &Answer) -> Result<()> {
        let body = Bytes::from(answer.body().to_string());
        let mut outcome = self.put(url, body.clone()).await;
        for wait in WAITS {
            match outcome {
                Err(ref error) if error.kind == PortErrorKind::Retryable => {
                    sleep(wait).await;
                    outcome = self.put(url, body.clone()).await;
                }
                _ => break,
            }
        }
        outcome
    }
}

fn failure(kind: PortErrorKind, message: impl Into<String>) -> PortError {
    PortError { operation: OPERATION, code: None, message: message.into(), request_id: None, kind }
}
