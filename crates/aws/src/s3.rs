//! Stages templates in a bucket that are too large for a CloudFormation call, without the SDK's client (`signed.rs` says why).

use aws_credential_types::provider::SharedCredentialsProvider;
use hyper::Method;
use hyper::body::Bytes;

use app::ports::Result;
use domain::rollout::digest_of;

use crate::https::Https;
use crate::signed::Signer;

/// The bucket of the application for templates.
#[derive(Debug, Clone)]
pub struct TemplateBucket {
    signer: Signer,
    endpoint: Option<String>,
    name: String,
    region: String,
}

#[derive(Debug)]
pub(crate) struct Staged {
    key: String,
    /// The URL for CloudFormation, which reads it with the permissions of its caller.
    pub(crate) url: String,
}

impl TemplateBucket {
    pub(crate) fn new(
        credentials: Option<SharedCredentialsProvider>,
        endpoint: Option<String>,
        name: &str,
        region: &str,
    ) -> Self {
        let signer = Signer::new(Https::default(), credentials, "s3", region);
        Self { signer, endpoint, name: name.to_owned(), region: region.to_owned() }
    }

    pub(crate) async fn put(&self, template: &str) -> Result<Staged> {
        let key = format!("templates/{}", digest_of(&serde_json::json!(template)));
        self.send("s3:PutObject", Method::PUT, &key, Bytes::copy_from_slice(template.as_bytes())).await.map(drop)?;
        Ok(Staged { url: self.address(&key), key })
    }

    /// Deletes a template. CloudFormation has read it when the call returns, and a bucket that is not empty cannot be deleted with the
    /// application.
    pub(crate) async fn remove(&self, staged: &Staged) -> Result<()> {
        self.send("s3:DeleteObject", Method::DELETE, &staged.key, Bytes::new()).await.map(drop)
    }

    fn address(&self, key: &str) -> String {
        format!("https://{}.s3.{}.amazonaws.com/{key}", self.name, self.region)
    }

    /// Sends a request about a key, which may have a query, and returns the body of the response.
    pub(crate) async fn send(&self, operation: &'static str, method: Method, key: &str, body: Bytes) -> Result<Bytes> {
        // Custom endpoints (emulators) use path-style addresses.
        let address = self
            .endpoint
            .as_deref()
            .map_or_else(|| self.address(key), |base| format!("{}/{}/{key}", base.trim_end_matches('/'), self.name));
        self.signer.send(operation, method, &address, &[], body).await
    }
}
