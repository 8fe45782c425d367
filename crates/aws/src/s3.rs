//! Templates that are too large for a CloudFormation call are handed over through a bucket.

use crate::error::wrap;
use app::ports::Result;
use aws_sdk_s3::primitives::ByteStream;
use domain::rollout::digest_of;

/// The application's own bucket for templates.
#[derive(Debug, Clone)]
pub struct TemplateBucket {
    client: aws_sdk_s3::Client,
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
    /// The bucket of this name.
    #[must_use]
    pub fn new(client: aws_sdk_s3::Client, name: &str, region: &str) -> Self {
        Self { client, name: name.to_owned(), region: region.to_owned() }
    }

    pub(crate) async fn put(&self, template: &str) -> Result<Staged> {
        let key = format!("templates/{}", digest_of(&serde_json::json!(template)));
        self.client
            .put_object()
            .bucket(&self.name)
            .key(&key)
            .body(ByteStream::from(template.as_bytes().to_vec()))
            .send()
            .await
            .map_err(|error| wrap("s3:PutObject", &error))?;
        let url = format!("https://{}.s3.{}.amazonaws.com/{key}", self.name, self.region);
        Ok(Staged { key, url })
    }

    /// CloudFormation has read the template when the call that names it returns; what stays behind would keep the bucket from
    /// being deleted with the application.
    pub(crate) async fn remove(&self, staged: &Staged) -> Result<()> {
        self.client
            .delete_object()
            .bucket(&self.name)
            .key(&staged.key)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| wrap("s3:DeleteObject", &error))
    }
}
