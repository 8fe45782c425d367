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
/// Waits between the attempts of whoever comes back to it anyway; one attempt more than there are waits.
const WAITS: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(2)];
/// The first and the longest wait of whoever does not give up.
const FIRST_WAIT: Duration = Duration::from_millis(300);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Puts answers, to addresses whose certificates the machine trusts.
#[derive(Debug, Clone, Default)]
pub struct SignedUrlResponder {
    https: Https,
    untiring: bool,
}

impl SignedUrlResponder {
    /// Tries again until whoever asked for it stops waiting. (The default gives up after a few attempts: `deploy` has other work,
    /// and comes back.)
    #[must_use]
    pub fn untiring() -> Self {
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
        for wait in self.waits() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_back_gives_up_soon_and_who_does_not_never() {
        assert_eq!(SignedUrlResponder::default().waits().collect::<Vec<_>>(), WAITS);
        let waits: Vec<_> = SignedUrlResponder::untiring().waits().take(100).map(|wait| wait.as_millis()).collect();
        assert_eq!(waits[..6], [300, 600, 1_200, 2_400, 4_800, 5_000]);
        assert_eq!((waits.len(), waits[99]), (100, 5_000));
    }
}
