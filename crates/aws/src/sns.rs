//! SNS topics.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_sns::types::builders::PublishBatchRequestEntryBuilder;
use aws_sdk_sns::types::{MessageAttributeValue, PublishBatchRequestEntry};
use serde_json::json;
use tracing::error;

use app::deploy::ports::Notifier;
use app::ports::{PortError, PortErrorKind, Result};
use domain::notice::{Attribute, Notice};

use crate::batches::batches;
use crate::clients::Clients;
use crate::error::{failed_entry, failure, invalid, wrap};

const OPERATION: &str = "sns:PublishBatch";
/// Messages in one call: the limit of `PublishBatch`.
const BATCH: usize = 10;
/// Bytes in one call. SNS accepts 256 KiB including attributes; the rest is for subjects and envelopes.
const BATCH_BYTES: usize = 200 * 1024;

/// A topic.
#[derive(Debug, Clone)]
pub struct Topic {
    client: aws_sdk_sns::Client,
    arn: String,
    subscribers: Subscribers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subscribers {
    /// E-mail addresses, queues, functions, webhooks.
    Any,
    /// Chat channels, which silently drop messages that are not in the format of Amazon Q Developer in chat applications.
    Chat,
}

impl Topic {
    /// The notification topic of this ARN.
    pub fn new(clients: &Clients, arn: &str) -> Self {
        let client = aws_sdk_sns::Client::new(&clients.config);
        Self { client, arn: arn.to_owned(), subscribers: Subscribers::Any }
    }

    /// The topic of this ARN that chat channels subscribe to.
    pub fn chat(clients: &Clients, arn: &str) -> Self {
        Self { subscribers: Subscribers::Chat, ..Self::new(clients, arn) }
    }

    async fn publish_batch(&self, batch: Vec<PublishBatchRequestEntryBuilder>) -> Vec<Result<()>> {
        let count = batch.len();
        let entries = batch.into_iter().enumerate().map(|(index, entry)| entry.id(index.to_string()).build());
        let sent = match entries.collect::<Result<Vec<PublishBatchRequestEntry>, _>>() {
            Ok(entries) => {
                let request = self.client.publish_batch().topic_arn(&self.arn);
                let sent = request.set_publish_batch_request_entries(Some(entries)).send().await;
                sent.map_err(wrap(OPERATION))
            }
            Err(error) => Err(invalid(OPERATION)(error)),
        };
        let response = match sent {
            Ok(response) => response,
            Err(error) => return vec![Err(error); count],
        };
        // The call also succeeds when SNS rejects single messages.
        let mut outcomes: BTreeMap<&str, Result<()>> =
            response.successful().iter().filter_map(|entry| Some((entry.id()?, Ok(())))).collect();
        outcomes.extend(response.failed().iter().map(|entry| {
            let kind = if entry.sender_fault() { PortErrorKind::Rejected } else { PortErrorKind::Retryable };
            let error = failed_entry(OPERATION, entry.code(), entry.message());
            (entry.id(), Err(PortError { kind, ..error }))
        }));
        // A message without an outcome may be lost. A retry sends it twice at worst.
        let no_outcome =
            || Err(failure(OPERATION, PortErrorKind::Retryable, "the response has no outcome for the message"));
        (0..count).map(|index| outcomes.remove(index.to_string().as_str()).unwrap_or_else(no_outcome)).collect()
    }

    /// Builds an entry without its id. Also returns its size in bytes.
    fn entry(&self, notice: &Notice) -> (usize, PublishBatchRequestEntryBuilder) {
        let message = match self.subscribers {
            Subscribers::Any => message(notice),
            Subscribers::Chat => notice.chat().to_string(),
        };
        let attributes: HashMap<String, MessageAttributeValue> = notice
            .attributes()
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), attribute(value)?)))
            .collect();
        let lengths = attributes.iter().map(|(name, value)| (name.len(), value.string_value().map_or(0, str::len)));
        let size = lengths.fold(message.len(), |size, (name, value)| size.saturating_add(name).saturating_add(value));
        let entry = PublishBatchRequestEntry::builder().message(message).set_message_attributes(Some(attributes));
        let entry = match self.subscribers {
            Subscribers::Any => entry.subject(notice.subject()).message_structure("json"),
            Subscribers::Chat => entry,
        };
        (size, entry)
    }
}

impl Notifier for Topic {
    async fn publish(&self, notices: &[Notice]) -> Vec<Result<()>> {
        let mut outcomes = Vec::with_capacity(notices.len());
        for batch in batches(notices.iter().map(|notice| self.entry(notice)), BATCH, BATCH_BYTES) {
            outcomes.extend(self.publish_batch(batch).await);
        }
        outcomes
    }
}

/// The topics of `deploy`: chat channels get the notices of the notification topic too.
#[derive(Debug, Clone)]
pub struct Topics {
    notifications: Topic,
    chat: Option<Topic>,
}

impl Topics {
    /// The notification topic, and the one for chat channels if it is enabled.
    pub fn new(notifications: Topic, chat: Option<Topic>) -> Self {
        Self { notifications, chat }
    }
}

impl Notifier for Topics {
    async fn publish(&self, notices: &[Notice]) -> Vec<Result<()>> {
        let outcomes = self.notifications.publish(notices).await;
        if let Some(chat) = &self.chat {
            // A notice that failed is published again later, then to both topics.
            let published = notices.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_ok());
            let published: Vec<Notice> = published.map(|(notice, _)| notice.clone()).collect();
            for (notice, outcome) in published.iter().zip(chat.publish(&published).await) {
                // A retry would send a second e-mail, which is worse than a gap in a chat channel.
                if let Err(error) = outcome {
                    error!(subject = notice.subject(), %error, "notice not published to the chat topic");
                }
            }
        }
        outcomes
    }
}

fn attribute(value: Attribute) -> Option<MessageAttributeValue> {
    let (data_type, text) = match value {
        Attribute::Text(text) => ("String", text),
        Attribute::List(texts) => ("String.Array", json!(texts).to_string()),
    };
    MessageAttributeValue::builder().data_type(data_type).string_value(text).build().ok()
}

/// Text for the protocols that users read, JSON for those that programs read.
fn message(notice: &Notice) -> String {
    let text = notice.text();
    let document = notice.json().to_string();
    json!({ "default": text, "email": text, "sqs": document, "lambda": document, "https": document }).to_string()
}
