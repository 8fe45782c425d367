//! Answers CloudFormation: one PUT to a pre-signed URL.

use crate::https::{Https, failure};
use app::lifecycle::{Answer, ResponseUrl};
use app::ports::{PortError, PortErrorKind, Responder, Result};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE};
use hyper::{Method, Request};
use std::time::Duration;
use tokio::time::sleep;

const OPERATION: &str = "cloudformation:answer to the custom resource";
/// Waits between the attempts; one attempt more than there are waits.
const WAITS: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(2)];

/// Puts answers, to addresses whose certificates the machine trusts.
#[derive(Debug, Clone, Default)]
pub struct SignedUrlResponder {
    https: Https,
}

impl SignedUrlResponder {
    async fn put(&self, url: &ResponseUrl, body: Bytes) -> Result<()> {
        let request = Request::builder()
            .method(Method::PUT)
            .uri(url.reveal())
            // The URL is signed for an empty type; any other is refused.
            .header(CONTENT_TYPE, "")
            .header(CONTENT_LENGTH, body.len())
            .body(Full::new(body))
            .map_err(|_| failure(OPERATION, PortErrorKind::Refused, "the response URL is no address"))?;
        let outcome = self.https.send(OPERATION, request).await.map(drop);
        // The signature is the permission: one that has expired is nothing that a role could mend.
        outcome.map_err(|error| match error.kind {
            PortErrorKind::Denied => PortError { kind: PortErrorKind::Refused, ..error },
            _ => error,
        })
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
