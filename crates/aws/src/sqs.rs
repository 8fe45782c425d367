//! The queue that wakes `deploy`.

use crate::error::wrap;
use app::ports::{DeployQueue, Result};
use serde_json::json;

/// Everything that `deploy` does is one message group: no two looks overlap.
const GROUP: &str = "deploy";

/// The deploy queue.
#[derive(Debug, Clone)]
pub struct Queue {
    client: aws_sdk_sqs::Client,
    url: String,
}

impl Queue {
    /// The queue at this URL.
    #[must_use]
    pub fn new(client: aws_sdk_sqs::Client, url: &str) -> Self {
        Self { client, url: url.to_owned() }
    }
}

impl DeployQueue for Queue {
    async fn look(&self, request_id: &str) -> Result<()> {
        let body = json!({ "source": "backup-compliance.lifecycle", "requestId": request_id });
        self.client
            .send_message()
            .queue_url(&self.url)
            .message_group_id(GROUP)
            .message_body(body.to_string())
            .send()
            .await
            .map(|_| ())
            .map_err(|error| wrap("sqs:SendMessage", &error))
    }
}
