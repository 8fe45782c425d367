//! Dead-letter queues in SQS, as people look into them.

use crate::error::{unexpected, wrap};
use app::inspect::{DeadLetters, Letter, Outgoing, QueueFacts};
use app::ports::{PortError, PortErrorKind, Result};
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, Message, MessageSystemAttributeName, QueueAttributeName,
};
use jiff::Timestamp;
use std::time::Duration;

/// The most messages that a call takes or gives back.
const BATCH: usize = 10;

/// The queues of this account and Region.
#[derive(Debug, Clone)]
pub struct DeadLetterQueues {
    client: aws_sdk_sqs::Client,
}

impl DeadLetterQueues {
    /// Asks through this client.
    #[must_use]
    pub fn new(client: aws_sdk_sqs::Client) -> Self {
        Self { client }
    }
}

impl DeadLetters for DeadLetterQueues {
    async fn facts(&self, queue: &str) -> Result<QueueFacts> {
        let answer = self
            .client
            .get_queue_attributes()
            .queue_url(queue)
            .attribute_names(QueueAttributeName::All)
            .send()
            .await
            .map_err(|error| wrap("sqs:GetQueueAttributes", &error))?;
        let attributes = answer.attributes.unwrap_or_default();
        let number = |name| attributes.get(&name).and_then(|text| text.parse().ok()).unwrap_or(0_u64);
        Ok(QueueFacts {
            waiting: number(QueueAttributeName::ApproximateNumberOfMessages),
            hidden: number(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
            hands_on_after: attributes.get(&QueueAttributeName::RedrivePolicy).and_then(|policy| receives(policy)),
        })
    }

    async fn take(&self, queue: &str, hidden: Duration) -> Result<Vec<Letter>> {
        let answer = self
            .client
            .receive_message()
            .queue_url(queue)
            .max_number_of_messages(i32::try_from(BATCH).unwrap_or(1))
            .visibility_timeout(i32::try_from(hidden.as_secs()).unwrap_or(i32::MAX))
            // Waiting at all makes SQS ask every server that may hold a message, so that an empty answer means that there is none.
            .wait_time_seconds(1)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All")
            .send()
            .await
            .map_err(|error| wrap("sqs:ReceiveMessage", &error))?;
        Ok(answer.messages.unwrap_or_default().into_iter().map(letter).collect())
    }

    async fn give_back(&self, queue: &str, receipts: &[String]) -> Result<()> {
        const OPERATION: &str = "sqs:ChangeMessageVisibility";
        let mut refused = None;
        for batch in receipts.chunks(BATCH) {
            let entries = batch
                .iter()
                .enumerate()
                .map(|(index, receipt)| {
                    ChangeMessageVisibilityBatchRequestEntry::builder()
                        .id(index.to_string())
                        .receipt_handle(receipt)
                        .visibility_timeout(0)
                        .build()
                        .map_err(|error| unexpected(OPERATION, error.to_string()))
                })
                .collect::<Result<Vec<_>>>()?;
            let answer = self
                .client
                .change_message_visibility_batch()
                .queue_url(queue)
                .set_entries(Some(entries))
                .send()
                .await
                .map_err(|error| wrap(OPERATION, &error))?;
            refused = refused.or_else(|| answer.failed.into_iter().next());
        }
        match refused {
            None => Ok(()),
            Some(entry) => Err(PortError {
                operation: OPERATION,
                code: Some(entry.code),
                message: entry.message.unwrap_or_else(|| "a message was not given back".to_owned()),
                request_id: None,
                kind: if entry.sender_fault { PortErrorKind::Refused } else { PortErrorKind::Retryable },
            }),
        }
    }

    async fn send(&self, queue: &str, letter: &Outgoing<'_>) -> Result<()> {
        let mut request = self.client.send_message().queue_url(queue).message_body(letter.body);
        if let Some((group, deduplication_id)) = &letter.fifo {
            request = request.message_group_id(*group).message_deduplication_id(deduplication_id);
        }
        request.send().await.map(|_| ()).map_err(|error| wrap("sqs:SendMessage", &error))
    }

    async fn delete(&self, queue: &str, receipt: &str) -> Result<()> {
        self.client
            .delete_message()
            .queue_url(queue)
            .receipt_handle(receipt)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| wrap("sqs:DeleteMessage", &error))
    }
}

/// `maxReceiveCount` of a redrive policy, which some write as a text.
fn receives(policy: &str) -> Option<u32> {
    let policy: serde_json::Value = serde_json::from_str(policy).ok()?;
    let most = policy.get("maxReceiveCount")?;
    most.as_u64().and_then(|most| u32::try_from(most).ok()).or_else(|| most.as_str()?.parse().ok())
}

fn letter(message: Message) -> Letter {
    let system = message.attributes.unwrap_or_default();
    let of = |name| system.get(&name).map(String::as_str);
    let sent = of(MessageSystemAttributeName::SentTimestamp).and_then(|text| text.parse().ok());
    let receives = of(MessageSystemAttributeName::ApproximateReceiveCount).and_then(|text| text.parse().ok());
    Letter {
        id: message.message_id.unwrap_or_default(),
        receipt: message.receipt_handle.unwrap_or_default(),
        body: message.body.unwrap_or_default(),
        sent: sent.and_then(|milliseconds| Timestamp::from_millisecond(milliseconds).ok()),
        receives: receives.unwrap_or(0),
        group: of(MessageSystemAttributeName::MessageGroupId).map(ToOwned::to_owned),
        attributes: message
            .message_attributes
            .unwrap_or_default()
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.string_value?)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_sqs::types::MessageAttributeValue;

    #[test]
    fn a_message_is_read_with_its_attributes() {
        let attribute =
            |text: &str| MessageAttributeValue::builder().data_type("String").string_value(text).build().unwrap();
        let message = Message::builder()
            .message_id("id")
            .receipt_handle("receipt")
            .body("{}")
            .attributes(MessageSystemAttributeName::SentTimestamp, "1795421000040")
            .attributes(MessageSystemAttributeName::ApproximateReceiveCount, "6")
            .attributes(MessageSystemAttributeName::MessageGroupId, "deploy")
            .message_attributes("reason", attribute("odd"))
            .build();
        let read = letter(message);
        assert_eq!(read.sent.unwrap().as_millisecond(), 1_795_421_000_040);
        assert_eq!((read.receives, read.group.as_deref()), (6, Some("deploy")));
        assert_eq!(read.attributes, [("reason".to_owned(), "odd".to_owned())].into());
        assert_eq!(letter(Message::builder().build()), Letter::default());
    }

    #[test]
    fn a_redrive_policy_says_after_how_many_receives() {
        for (policy, expected) in [
            (r#"{"deadLetterTargetArn":"arn","maxReceiveCount":5}"#, Some(5)),
            (r#"{"deadLetterTargetArn":"arn","maxReceiveCount":"3"}"#, Some(3)),
            ("{}", None),
            ("", None),
        ] {
            assert_eq!(receives(policy), expected, "{policy}");
        }
    }
}
