//! Requests that are signed by AWS's own signing crate, for the few calls that are made without an SDK client.

use crate::https::failure;
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
use std::time::SystemTime;

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

fn no_credentials(operation: &'static str, why: &str) -> PortError {
    failure(operation, PortErrorKind::Denied, format!("no credentials: {why}"))
}
