//! Access of the command line to SQS dead-letter queues.

use std::time::Duration;

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use jiff::Timestamp;

use app::inspect::{DeadLetter, DeadLetters, OutgoingMessage, QueueFacts};
use app::ports::Result;

use crate::clients::Clients;
use crate::error::wrap;
use crate::sqs::{BATCH, change_visibility};

/// The queues of this account and Region.
#[derive(Debug, Clone)]
pub struct DeadLetterQueues {
    client: aws_sdk_sqs::Client,
}

impl DeadLetterQueues {
    /// The queues that these clients reach.
    pub fn new(clients: &Clients) -> Self {
        Self { client: aws_sdk_sqs::Client::new(&clients.config) }
    }
}

impl DeadLetters for DeadLetterQueues {
    async fn facts(&self, queue: &str) -> Result<QueueFacts> {
        let request = self.client.get_queue_attributes().queue_url(queue).attribute_names(QueueAttributeName::All);
        let response = request.send().await.map_err(wrap("sqs:GetQueueAttributes"))?;
        let attributes = response.attributes.unwrap_or_default();
        let number = |name| attributes.get(&name).and_then(|text| text.parse().ok()).unwrap_or(0_u64);
        Ok(QueueFacts {
            waiting: number(QueueAttributeName::ApproximateNumberOfMessages),
            hidden: number(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
            max_receives: attributes.get(&QueueAttributeName::RedrivePolicy).and_then(|policy| max_receives(policy)),
        })
    }

    async fn receive(&self, queue: &str, hidden: Duration) -> Result<Vec<DeadLetter>> {
        let request = self
            .client
            .receive_message()
            .queue_url(queue)
            .max_number_of_messages(i32::try_from(BATCH).unwrap_or(1))
            .visibility_timeout(i32::try_from(hidden.as_secs()).unwrap_or(i32::MAX))
            // Long polling queries all servers of the queue: an empty response then means an empty queue.
            .wait_time_seconds(1)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All");
        let response = request.send().await.map_err(wrap("sqs:ReceiveMessage"))?;
        Ok(response.messages.unwrap_or_default().into_iter().map(dead_letter).collect())
    }

    async fn release(&self, queue: &str, receipts: &[String]) -> Result<()> {
        change_visibility(&self.client, queue, receipts, 0).await
    }

    async fn send(&self, queue: &str, message: &OutgoingMessage<'_>) -> Result<()> {
        let mut request = self.client.send_message().queue_url(queue).message_body(message.body);
        if let Some((group, deduplication_id)) = &message.fifo {
            request = request.message_group_id(*group).message_deduplication_id(deduplication_id);
        }
        request.send().await.map(drop).map_err(wrap("sqs:SendMessage"))
    }

    async fn delete(&self, queue: &str, receipt: &str) -> Result<()> {
        let request = self.client.delete_message().queue_url(queue).receipt_handle(receipt);
        request.send().await.map(drop).map_err(wrap("sqs:DeleteMessage"))
    }
}

/// `maxReceiveCount` of a redrive policy, a number or its text.
fn max_receives(policy: &str) -> Option<u32> {
    let policy: serde_json::Value = serde_json::from_str(policy).ok()?;
    let most = policy.get("maxReceiveCount")?;
    most.as_u64().and_then(|most| u32::try_from(most).ok()).or_else(|| most.as_str()?.parse().ok())
}

fn dead_letter(message: Message) -> DeadLetter {
    let system = message.attributes.unwrap_or_default();
    let of = |name| system.get(&name).map(String::as_str);
    let sent = of(MessageSystemAttributeName::SentTimestamp).and_then(|text| text.parse().ok());
    let receives = of(MessageSystemAttributeName::ApproximateReceiveCount).and_then(|text| text.parse().ok());
    DeadLetter {
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
    use aws_sdk_sqs::types::MessageAttributeValue;

    use super::*;

    #[test]
    fn message_is_read_with_its_attributes() {
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
        let read = dead_letter(message);
        assert_eq!(read.sent.unwrap().as_millisecond(), 1_795_421_000_040);
        assert_eq!((read.receives, read.group.as_deref()), (6, Some("deploy")));
        assert_eq!(read.attributes, [("reason".to_owned(), "odd".to_owned())].into());
        assert_eq!(dead_letter(Message::builder().build()), DeadLetter::default());
    }

    #[test]
    fn redrive_policy_gives_max_receive_count() {
        for (policy, expected) in [
            (r#"{"deadLetterTargetArn":"arn","maxReceiveCount":5}"#, Some(5)),
            (r#"{"deadLetterTargetArn":"arn","maxReceiveCount":"3"}"#, Some(3)),
            ("{}", None),
            ("", None),
        ] {
            assert_eq!(max_receives(policy), expected, "{policy}");
        }
    }
}
