//! Requests signed by AWS's signing crate, for services that are called without an SDK client.
//!
//! The functions send two requests to S3 and one to Security Hub. The S3 client would enlarge the zipped package of `deploy` by a
//! fifth: checksums, event streams and a second signature algorithm that nothing here uses. The Security Hub client (1.137.0) has
//! 370,000 lines of Rust, nearly twice as many as the largest client that is linked (CodeCommit, 200,000). `aws-sigv4` and hyper
//! are linked by the SDK in any case.

use std::time::{Duration, SystemTime};

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
use tokio::time::sleep;

use app::ports::{PortError, PortErrorKind, Result};

use crate::error::{unexpected, with_kind_of_code};
use crate::https::{Https, failure};

/// Variants of Signature Version 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SigningStyle {
    /// S3 only: the digest of the body is a header, and paths are not normalized.
    S3,
    /// All other services.
    Standard,
}

/// Signs requests to one service in one Region.
#[derive(Debug, Clone)]
pub(crate) struct Signer {
    credentials: Option<SharedCredentialsProvider>,
    service: &'static str,
    region: String,
    manner: SigningStyle,
}

impl Signer {
    pub(crate) fn new(
        credentials: Option<SharedCredentialsProvider>,
        service: &'static str,
        region: &str,
        manner: SigningStyle,
    ) -> Self {
        Self { credentials, service, region: region.to_owned(), manner }
    }

    /// Builds a request whose signature covers `headers` and `body`.
    #[expect(clippy::disallowed_methods, reason = "a signature is valid for minutes of wall-clock time")]
    pub(crate) async fn signed(
        &self,
        operation: &'static str,
        method: Method,
        address: &str,
        headers: &[(&'static str, &str)],
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>> {
        let invalid = |error: &dyn std::error::Error| failure(operation, PortErrorKind::Rejected, error.to_string());
        let provider = self.credentials.as_ref().ok_or_else(|| no_credentials(operation, "none are configured"))?;
        let identity =
            provider.provide_credentials().await.map_err(|error| no_credentials(operation, &error.to_string()))?.into();
        let mut settings = SigningSettings::default();
        if self.manner == SigningStyle::S3 {
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
            .map_err(|error| invalid(&error))?
            .into();
        let signable =
            SignableRequest::new(method.as_str(), address, headers.iter().copied(), SignableBody::Bytes(&body))
                .map_err(|error| invalid(&error))?;
        let (instructions, _) = sign(signable, &parameters).map_err(|error| invalid(&error))?.into_parts();
        let request = headers.iter().fold(Request::builder().method(method).uri(address), |request, (name, value)| {
            request.header(*name, *value)
        });
        let mut request = request.body(Full::new(body)).map_err(|error| invalid(&error))?;
        instructions.apply_to_request_http1x(&mut request);
        Ok(request)
    }
}

/// A call of a service with the AWS JSON protocol.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JsonCall<'a> {
    /// `service:Operation`.
    pub(crate) operation: &'static str,
    pub(crate) address: &'a str,
    /// `X-Amz-Target` without the operation.
    pub(crate) target: &'static str,
    pub(crate) content_type: &'static str,
    /// Pauses between attempts: there is one attempt more.
    pub(crate) waits: &'static [Duration],
}

impl Signer {
    /// Returns the response document. Retryable errors are retried.
    pub(crate) async fn json(&self, https: &Https, call: JsonCall<'_>, input: &Value) -> Result<Value> {
        let JsonCall { operation, address, target, content_type, waits } = call;
        let name = operation.split_once(':').map_or(operation, |(_, name)| name);
        let target = format!("{target}.{name}");
        let headers = [("content-type", content_type), ("x-amz-target", target.as_str())];
        let body = Bytes::from(input.to_string());
        let mut waits = waits.iter();
        loop {
            let request = self.signed(operation, Method::POST, address, &headers, body.clone()).await?;
            let wait = match https.send(operation, request).await.map_err(with_kind_of_code) {
                Ok(response) => {
                    let document = serde_json::from_slice(&response);
                    return document
                        .map_err(|error| unexpected(operation, format!("the response is not JSON: {error}")));
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
