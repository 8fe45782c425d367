//! Templates that are too large for a CloudFormation call are handed over through a bucket.
//!
//! Two plain requests, signed by AWS's own signing crate. The S3 client of the SDK would add a fifth to the package of `deploy`,
//! for the checksums, event streams and second signature algorithm that nothing here uses.

use crate::https::{Https, failure};
use app::ports::{PortError, PortErrorKind, Result};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use domain::rollout::digest_of;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Request};
use std::time::SystemTime;

/// The application's own bucket for templates.
#[derive(Debug, Clone)]
pub struct TemplateBucket {
    https: Https,
    credentials: Option<SharedCredentialsProvider>,
    endpoint: Option<String>,
    name: String,
    region: String,
}

/// A template in the bucket.
#[derive(Debug)]
pub(crate) struct Staged {
    key: String,
    /// Where CloudFormation reads it, with the permissions of whoever calls CloudFormation.
    pub(crate) url: String,
}

impl TemplateBucket {
    pub(crate) fn new(
        https: Https,
        credentials: Option<SharedCredentialsProvider>,
        endpoint: Option<String>,
        name: &str,
        region: &str,
    ) -> Self {
        Self { https, credentials, endpoint, name: name.to_owned(), region: region.to_owned() }
    }

    pub(crate) async fn put(&self, template: &str) -> Result<Staged> {
        let key = format!("templates/{}", digest_of(&serde_json::json!(template)));
        self.send("s3:PutObject", Method::PUT, &key, Bytes::copy_from_slice(template.as_bytes())).await?;
        Ok(Staged { url: self.address(&key), key })
    }

    /// CloudFormation has read the template when the call that names it returns; what stays behind would keep the bucket from
    /// being deleted with the application.
    pub(crate) async fn remove(&self, staged: &Staged) -> Result<()> {
        self.send("s3:DeleteObject", Method::DELETE, &staged.key, Bytes::new()).await
    }

    fn address(&self, key: &str) -> String {
        format!("https://{}.s3.{}.amazonaws.com/{key}", self.name, self.region)
    }

    async fn send(&self, operation: &'static str, method: Method, key: &str, body: Bytes) -> Result<()> {
        // An endpoint of one's own (an emulator) has no host name for each bucket.
        let address = self
            .endpoint
            .as_deref()
            .map_or_else(|| self.address(key), |base| format!("{}/{}/{key}", base.trim_end_matches('/'), self.name));
        let request = self.signed(operation, method, &address, body).await?;
        self.https.send(operation, request).await
    }

    #[expect(clippy::disallowed_methods, reason = "a signature holds for some minutes of wall-clock time")]
    async fn signed(
        &self,
        operation: &'static str,
        method: Method,
        address: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>> {
        let refused = |error: &dyn std::error::Error| failure(operation, PortErrorKind::Refused, error.to_string());
        let provider = self.credentials.as_ref().ok_or_else(|| no_credentials(operation, "there are none"))?;
        let identity =
            provider.provide_credentials().await.map_err(|error| no_credentials(operation, &error.to_string()))?.into();
        let mut settings = SigningSettings::default();
        // What S3 asks for, unlike all other services: the digest as a header, and paths as they are.
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .map_err(|error| refused(&error))?
            .into();
        let signable = SignableRequest::new(method.as_str(), address, std::iter::empty(), SignableBody::Bytes(&body))
            .map_err(|error| refused(&error))?;
        let (instructions, _) = sign(signable, &parameters).map_err(|error| refused(&error))?.into_parts();
        let mut request =
            Request::builder().method(method).uri(address).body(Full::new(body)).map_err(|error| refused(&error))?;
        instructions.apply_to_request_http1x(&mut request);
        Ok(request)
    }
}

fn no_credentials(operation: &'static str, why: &str) -> PortError {
    failure(operation, PortErrorKind::Denied, format!("no credentials: {why}"))
}
