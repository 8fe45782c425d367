//! Answers custom resource requests of CloudFormation: one PUT to a pre-signed URL.

use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE};
use hyper::{Method, Request};

use app::lifecycle::ports::Responder;
use app::lifecycle::{RequestAnswer, ResponseUrl};
use app::ports::{PortError, PortErrorKind, Result};

use crate::error::failure;
use crate::https::{Https, retried};

const OPERATION: &str = "cloudformation:answer to the custom resource";
/// Delays between the three attempts of a caller that retries later.
const WAITS: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(2)];
/// The first and the longest delay of a responder that retries without end.
const FIRST_WAIT: Duration = Duration::from_millis(300);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Sends answers over HTTPS with the trusted certificates of the system.
#[derive(Debug, Clone, Default)]
pub struct SignedUrlResponder {
    https: Https,
    untiring: bool,
}

impl SignedUrlResponder {
    /// Retries until the caller drops the future. The default stops after three attempts, since `deploy` retries later.
    pub fn persistent() -> Self {
        Self { untiring: true, ..Self::default() }
    }

    fn waits(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        let few = WAITS.into_iter().take(if self.untiring { 0 } else { WAITS.len() });
        let first = self.untiring.then_some(FIRST_WAIT);
        few.chain(std::iter::successors(first, |wait| Some(wait.saturating_mul(2).min(LONGEST_WAIT))))
    }

    async fn put(&self, url: &ResponseUrl, body: Bytes) -> Result<()> {
        let request = Request::builder()
            .method(Method::PUT)
            .uri(url.reveal())
            // The URL is signed for an empty content type.
            .header(CONTENT_TYPE, "")
            .header(CONTENT_LENGTH, body.len())
            .body(Full::new(body))
            .map_err(|_| failure(OPERATION, PortErrorKind::Rejected, "the response URL is not a valid URI"))?;
        let outcome = self.https.send(OPERATION, request).await.map(drop);
        // 403 means that the signature has expired, not that a role lacks a permission.
        outcome.map_err(|error| match error.kind {
            PortErrorKind::Denied => PortError { kind: PortErrorKind::Rejected, ..error },
            _ => error,
        })
    }
}

impl Responder for SignedUrlResponder {
    async fn answer(&self, answer: &RequestAnswer) -> Result<()> {
        let url = &answer.envelope.response_url;
        let body = Bytes::from(answer.body().to_string());
        retried(self.waits(), || self.put(url, body.clone())).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_end_by_default_and_not_if_untiring() {
        assert_eq!(SignedUrlResponder::default().waits().collect::<Vec<_>>(), WAITS);
        let waits: Vec<_> = SignedUrlResponder::persistent().waits().take(100).map(|wait| wait.as_millis()).collect();
        assert_eq!(waits[..6], [300, 600, 1_200, 2_400, 4_800, 5_000]);
        assert_eq!((waits.len(), waits[99]), (100, 5_000));
    }
}
