//! Templates that are too large for a CloudFormation call are handed over through a bucket.
//!
//! Two plain requests, signed by AWS's own signing crate. The S3 client of the SDK would add a fifth to the package of `deploy`,
//! for the checksums, event streams and second signature algorithm that nothing here uses.

use crate::https::Https;
use crate::signed::{Manner, Signer};
use app::ports::Result;
use aws_credential_types::provider::SharedCredentialsProvider;
use domain::rollout::digest_of;
use hyper::Method;
use hyper::body::Bytes;

/// The application's own bucket for templates.
#[derive(Debug, Clone)]
pub struct TemplateBucket {
    https: Https,
    signer: Signer,
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
        let signer = Signer::new(credentials, "s3", region, Manner::Storage);
        Self { https, signer, endpoint, name: name.to_owned(), region: region.to_owned() }
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
        let request = self.signer.signed(operation, method, &address, &[], body).await?;
        self.https.send(operation, request).await.map(drop)
    }
}
