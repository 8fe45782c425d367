//! Requests that are signed by AWS's own signing crate, for the few calls that are made without an SDK client.

use crate::error::{sorted, unexpected};
use crate::https::{Https, failure};
use app::ports::{PortError, PortErrorKind, Result};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Request};
use serde_json::Value;
use std::time::{Duration, SystemTime};
use tokio::time::sleep;

/// How a service wants its requests signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As S3 does, unlike all other services: the digest as a header, and paths as they are.
    Storage,
    /// As all others do.
    Usual,
}

/// Signs for one service in one Region.
#[derive(Debug, Clone)]
pub(crate) struct Signer {
    credentials: Option<SharedCredentialsProvider>,
    service: &'static str,
    region: String,
    manner: Manner,
}

impl Signer {
    pub(crate) fn new(
        credentials: Option<SharedCredentialsProvider>,
        service: &'static str,
        region: &str,
        manner: Manner,
    ) -> Self {
        Self { credentials, service, region: region.to_owned(), manner }
    }

    /// The request with its signature; the headers given are signed, too.
    #[expect(clippy::disallowed_methods, reason = "a signature holds for some minutes of wall-clock time")]
    pub(crate) async fn signed(
        &self,
        operation: &'static str,
        method: Method,
        address: &str,
        headers: &[(&'static str, &str)],
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>> {
        let refused = |error: &dyn std::error::Error| failure(operation, PortErrorKind::Refused, error.to_string());
        let provider = self.credentials.as_ref().ok_or_else(|| no_credentials(operation, "there are none"))?;
        let identity =
            provider.provide_credentials().await.map_err(|error| no_credentials(operation, &error.to_string()))?.into();
        let mut settings = SigningSettings::default();
        if self.manner == Manner::Storage {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.service)
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .map_err(|error| refused(&error))?
            .into();
        let signable =
            SignableRequest::new(method.as_str(), address, headers.iter().copied(), SignableBody::Bytes(&body))
                .map_err(|error| refused(&error))?;
        let (instructions, _) = sign(signable, &parameters).map_err(|error| refused(&error))?.into_parts();
        let request = headers.iter().fold(Request::builder().method(method).uri(address), |request, (name, value)| {
            request.header(*name, *value)
        });
        let mut request = request.body(Full::new(body)).map_err(|error| refused(&error))?;
        instructions.apply_to_request_http1x(&mut request);
        Ok(request)
    }
}

/// A call of a service that speaks JSON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JsonCall<'a> {
    /// `service:Operation`.
    pub(crate) operation: &'static str,
    pub(crate) address: &'a str,
    /// `X-Amz-Target` up to the operation.
    pub(crate) target: &'static str,
    pub(crate) content_type: &'static str,
    /// Waits between the attempts; one attempt more than there are waits.
    pub(crate) waits: &'static [Duration],
}

impl Signer {
    /// The answer to a call; what may succeed later was tried again.
    pub(crate) async fn json(&self, https: &Https, call: JsonCall<'_>, question: &Value) -> Result<Value> {
        let JsonCall { operation, address, target, content_type, waits } = call;
        let name = operation.split_once(':').map_or(operation, |(_, name)| name);
        let target = format!("{target}.{name}");
        let headers = [("content-type", content_type), ("x-amz-target", target.as_str())];
        let body = Bytes::from(question.to_string());
        let mut waits = waits.iter();
        loop {
            let request = self.signed(operation, Method::POST, address, &headers, body.clone()).await?;
            let wait = match https.send(operation, request).await.map_err(sorted) {
                Ok(answer) => {
                    let document = serde_json::from_slice(&answer);
                    return document.map_err(|error| unexpected(operation, format!("no JSON in the answer: {error}")));
                }
                Err(error) if error.kind == PortErrorKind::Retryable => waits.next().ok_or(error)?,
                Err(error) => return Err(error),
            };
            sleep(*wait).await;
        }
    }
}

fn no_credentials(operation: &'static str, why: &str) -> PortError {
    failure(operation, PortErrorKind::Denied, format!("no credentials: {why}"))
}
