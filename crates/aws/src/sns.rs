//! The topics that people and machines are told through.

use crate::error::wrap;
use app::ports::{Notifier, PortError, PortErrorKind, Result};
use aws_sdk_sns::types::{MessageAttributeValue, PublishBatchRequestEntry};
use domain::notice::{Attribute, Notice};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use tracing::error;

/// SNS takes at most ten messages in one call.
const BATCH: usize = 10;
/// And at most 256 KiB in all, attributes included; the rest is for subjects and envelopes.
const BATCH_BYTES: usize = 200 * 1024;

/// A topic.
#[derive(Debug, Clone)]
pub struct Topic {
    client: aws_sdk_sns::Client,
    arn: String,
    readers: Readers,
}

/// Who subscribes to a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Readers {
    /// E-mail addresses, queues, functions, web hooks.
    All,
    /// Chat channels, which drop whatever does not look like a notification of theirs without a word.
    Chat,
}

impl Topic {
    /// The notification topic of this ARN.
    #[must_use]
    pub fn new(client: aws_sdk_sns::Client, arn: &str) -> Self {
        Self { client, arn: arn.to_owned(), readers: Readers::All }
    }

    /// The topic of this ARN that chat channels subscribe to.
    #[must_use]
    pub fn chat(client: aws_sdk_sns::Client, arn: &str) -> Self {
        Self { client, arn: arn.to_owned(), readers: Readers::Chat }
    }

    async fn publish_batch(&self, entries: Vec<PublishBatchRequestEntry>) -> Vec<Result<()>> {
        let count = entries.len();
        let answer = self
            .client
            .publish_batch()
            .topic_arn(&self.arn)
            .set_publish_batch_request_entries(Some(entries))
            .send()
            .await;
        match answer {
            Ok(answer) => {
                // The call succeeds even where single messages were refused.
                let mut outcomes: BTreeMap<&str, Result<()>> =
                    answer.successful().iter().filter_map(|entry| Some((entry.id()?, Ok(())))).collect();
                let refused = answer.failed().iter().map(|entry| {
                    let error = PortError {
                        operation: "sns:PublishBatch",
                        code: Some(entry.code().to_owned()),
                        message: entry.message().unwrap_or("the message was refused").to_owned(),
                        request_id: None,
                        kind: if entry.sender_fault() { PortErrorKind::Refused } else { PortErrorKind::Retryable },
                    };
                    (entry.id(), Err(error))
                });
                outcomes.extend(refused);
                // What the answer does not speak of may be lost: told again, it is told twice at worst.
                let silence = || Err(PortError { kind: PortErrorKind::Retryable, ..unspoken() });
                (0..count)
                    .map(|index| outcomes.get(index.to_string().as_str()).cloned().unwrap_or_else(silence))
                    .collect()
            }
            Err(error) => {
                let error = wrap("sns:PublishBatch", &error);
                (0..count).map(|_| Err(error.clone())).collect()
            }
        }
    }
}

fn unspoken() -> PortError {
    crate::error::unexpected("sns:PublishBatch", "the answer does not say what became of the message")
}

impl Notifier for Topic {
    async fn publish(&self, notices: &[Notice]) -> Vec<Result<()>> {
        let mut outcomes = Vec::with_capacity(notices.len());
        let mut batch = Vec::new();
        let mut bytes = 0_usize;
        for notice in notices {
            let message = match self.readers {
                Readers::All => message(notice),
                Readers::Chat => notice.chat().to_string(),
            };
            let attributes: HashMap<String, MessageAttributeValue> = notice
                .attributes()
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), attribute(value)?)))
                .collect();
            let lengths = attributes.iter().map(|(name, value)| (name.len(), value.string_value().map_or(0, str::len)));
            let size =
                lengths.fold(message.len(), |size, (name, value)| size.saturating_add(name).saturating_add(value));
            if !batch.is_empty() && (batch.len() == BATCH || bytes.saturating_add(size) > BATCH_BYTES) {
                outcomes.extend(self.publish_batch(std::mem::take(&mut batch)).await);
                bytes = 0;
            }
            bytes = bytes.saturating_add(size);
            let entry = PublishBatchRequestEntry::builder()
                .id(batch.len().to_string())
                .message(message)
                .set_message_attributes(Some(attributes));
            let entry = match self.readers {
                Readers::All => entry.subject(notice.subject()).message_structure("json"),
                Readers::Chat => entry,
            };
            match entry.build() {
                Ok(entry) => batch.push(entry),
                // The builder only misses what is set above; keep the outcomes in step all the same.
                Err(error) => {
                    outcomes.extend(self.publish_batch(std::mem::take(&mut batch)).await);
                    outcomes.push(Err(crate::error::unexpected("sns:PublishBatch", error.to_string())));
                }
            }
        }
        if !batch.is_empty() {
            outcomes.extend(self.publish_batch(batch).await);
        }
        outcomes
    }
}

/// The topics of `deploy`: what is said on the notification topic is said in chat channels, too.
#[derive(Debug, Clone)]
pub struct Topics {
    notifications: Topic,
    chat: Option<Topic>,
}

impl Topics {
    /// The notification topic, and the one for chat channels if there is one.
    #[must_use]
    pub fn new(notifications: Topic, chat: Option<Topic>) -> Self {
        Self { notifications, chat }
    }
}

impl Notifier for Topics {
    async fn publish(&self, notices: &[Notice]) -> Vec<Result<()>> {
        let outcomes = self.notifications.publish(notices).await;
        if let Some(chat) = &self.chat {
            // What is not told will be told again, then to both.
            let told = notices.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_ok());
            let told: Vec<Notice> = told.map(|(notice, _)| notice.clone()).collect();
            for (notice, outcome) in told.iter().zip(chat.publish(&told).await) {
                // A second e-mail would be worse than a gap in a chat channel.
                if let Err(error) = outcome {
                    error!(subject = notice.subject(), %error, "the chat topic was not told");
                }
            }
        }
        outcomes
    }
}

fn attribute(value: Attribute) -> Option<MessageAttributeValue> {
    let value = match value {
        Attribute::Text(text) => MessageAttributeValue::builder().data_type("String").string_value(text),
        Attribute::List(texts) => {
            MessageAttributeValue::builder().data_type("String.Array").string_value(json!(texts).to_string())
        }
    };
    value.build().ok()
}

/// One text for people, one document for machines. Each protocol gets the one that fits it.
fn message(notice: &Notice) -> String {
    let text = notice.text();
    let document = notice.json().to_string();
    json!({
        "default": text,
        "email": text,
        "sqs": document,
        "lambda": document,
        "https": document,
    })
    .to_string()
}
