//! Objects of S3 without the SDK's client (`signed.rs` says why), and the bucket in which templates are staged that are too large for a
//! CloudFormation call.

use aws_credential_types::provider::SharedCredentialsProvider;
use hyper::body::Bytes;
use hyper::{Method, Response};

use app::ports::Result;
use domain::rollout::digest_of;

use crate::https::Https;
use crate::signed::Signer;

/// A bucket in this Region.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    signer: Signer,
    endpoint: Option<String>,
    name: String,
    region: String,
}

impl Bucket {
    pub(crate) fn new(
        credentials: Option<SharedCredentialsProvider>,
        endpoint: Option<String>,
        name: &str,
        region: &str,
    ) -> Self {
        let signer = Signer::new(Https::default(), credentials, "s3", region);
        Self { signer, endpoint, name: name.to_owned(), region: region.to_owned() }
    }

    fn address(&self, key: &str) -> String {
        format!("https://{}.s3.{}.amazonaws.com/{key}", self.name, self.region)
    }

    /// Sends a request for an object; `key` may end in a query.
    pub(crate) async fn send(
        &self,
        operation: &'static str,
        method: Method,
        key: &str,
        body: Bytes,
    ) -> Result<Response<Bytes>> {
        // Custom endpoints (emulators) use path-style addresses.
        let address = self
            .endpoint
            .as_deref()
            .map_or_else(|| self.address(key), |base| format!("{}/{}/{key}", base.trim_end_matches('/'), self.name));
        self.signer.exchange(operation, method, &address, &[], body).await
    }
}

/// The bucket of the application for templates.
#[derive(Debug, Clone)]
pub struct TemplateBucket(Bucket);

#[derive(Debug)]
pub(crate) struct Staged {
    key: String,
    /// The URL for CloudFormation, which reads it with the permissions of its caller.
    pub(crate) url: String,
}

impl TemplateBucket {
    pub(crate) fn new(bucket: Bucket) -> Self {
        Self(bucket)
    }

    pub(crate) async fn put(&self, template: &str) -> Result<Staged> {
        let key = format!("templates/{}", digest_of(&serde_json::json!(template)));
        self.0.send("s3:PutObject", Method::PUT, &key, Bytes::copy_from_slice(template.as_bytes())).await?;
        Ok(Staged { url: self.0.address(&key), key })
    }

    /// Deletes a template. CloudFormation has read it when the call returns, and a bucket that is not empty cannot be deleted with the
    /// application.
    pub(crate) async fn remove(&self, staged: &Staged) -> Result<()> {
        self.0.send("s3:DeleteObject", Method::DELETE, &staged.key, Bytes::new()).await.map(drop)
    }
}
