//! Requests signed by AWS's signing crate, for services that are called without an SDK client.
//!
//! The S3 client would enlarge the zipped package of `deploy` by a fifth. The Security Hub client (1.137.0) has 370,000 lines of
//! Rust, the largest one that is linked (CodeCommit) 200,000. `aws-sigv4` and hyper are linked by the SDK in any case.

use std::time::{Duration, SystemTime};

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Request, Response};
use serde_json::Value;

use app::ports::{PortErrorKind, Result};

use crate::error::{failure, invalid, unexpected, with_kind_of_code};
use crate::https::{Https, retried};

/// Sends signed requests to one service in one Region.
#[derive(Debug, Clone)]
pub(crate) struct Signer {
    https: Https,
    credentials: Option<SharedCredentialsProvider>,
    service: &'static str,
    region: String,
}

impl Signer {
    pub(crate) fn new(
        https: Https,
        credentials: Option<SharedCredentialsProvider>,
        service: &'static str,
        region: &str,
    ) -> Self {
        Self { https, credentials, service, region: region.to_owned() }
    }

    /// Sends a request whose signature covers `headers` and `body`, and returns the body of the response.
    pub(crate) async fn send(
        &self,
        operation: &'static str,
        method: Method,
        address: &str,
        headers: &[(&'static str, &str)],
        body: Bytes,
    ) -> Result<Bytes> {
        self.exchange(operation, method, address, headers, body).await.map(Response::into_body)
    }

    /// Sends a request like [`Self::send`], and returns the whole response.
    #[expect(clippy::disallowed_methods, reason = "a signature is valid for minutes of wall-clock time")]
    pub(crate) async fn exchange(
        &self,
        operation: &'static str,
        method: Method,
        address: &str,
        headers: &[(&'static str, &str)],
        body: Bytes,
    ) -> Result<Response<Bytes>> {
        let no_credentials = |why: &str| failure(operation, PortErrorKind::Denied, format!("no credentials: {why}"));
        let provider = self.credentials.as_ref().ok_or_else(|| no_credentials("none are configured"))?;
        let credentials = provider.provide_credentials().await;
        let identity = credentials.map_err(|error| no_credentials(&error.to_string()))?.into();
        let mut settings = SigningSettings::default();
        // S3 signs differently: the digest of the body is a header, and paths are not normalized.
        if self.service == "s3" {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        let parameters = v4::SigningParams::builder().identity(&identity).region(&self.region).name(self.service);
        let parameters = parameters.time(SystemTime::now()).settings(settings).build();
        let parameters = parameters.map_err(invalid(operation))?.into();
        let signable =
            SignableRequest::new(method.as_str(), address, headers.iter().copied(), SignableBody::Bytes(&body));
        let signed = sign(signable.map_err(invalid(operation))?, &parameters).map_err(invalid(operation))?;
        let (instructions, _) = signed.into_parts();
        let request = Request::builder().method(method).uri(address);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let mut request = request.body(Full::new(body)).map_err(invalid(operation))?;
        instructions.apply_to_request_http1x(&mut request);
        self.https.exchange(operation, request).await
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
    /// Pauses between attempts in milliseconds: there is one attempt more.
    pub(crate) waits: &'static [u64],
}

impl Signer {
    /// Returns the response document. Retryable errors are retried.
    pub(crate) async fn json(&self, call: JsonCall<'_>, input: &Value) -> Result<Value> {
        let JsonCall { operation, address, target, content_type, waits } = call;
        let name = operation.split_once(':').map_or(operation, |(_, name)| name);
        let target = format!("{target}.{name}");
        let headers = [("content-type", content_type), ("x-amz-target", target.as_str())];
        let body = Bytes::from(input.to_string());
        let response = retried(waits.iter().copied().map(Duration::from_millis), || async {
            self.send(operation, Method::POST, address, &headers, body.clone()).await.map_err(with_kind_of_code)
        });
        serde_json::from_slice(&response.await?)
            .map_err(|error| unexpected(operation, format!("the response is not JSON: {error}")))
    }
}
