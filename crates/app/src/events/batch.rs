//! What a function is handed: a batch of SQS messages, or one event when it is invoked directly.

use super::Trigger;
use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use serde_json::Value;

/// A batch of messages.
#[derive(Debug)]
pub struct Batch {
    /// The messages, in order.
    pub messages: Vec<Message>,
    /// Whether they came from a queue (and a batch response is wanted) or directly.
    pub queued: bool,
}

/// One message.
#[derive(Debug)]
pub struct Message {
    /// The queue's id of it; empty for an event that came directly.
    pub id: String,
    /// The receipt handle of this delivery; empty where there is none.
    pub receipt: String,
    /// How often the queue has delivered it, this delivery included (`ApproximateReceiveCount`); 0 where that is not known.
    pub receives: u32,
    /// Its body, as it came.
    pub body: String,
    /// The event in it, or why there is none.
    pub event: Result<Value, String>,
}

impl Message {
    /// An event that came from no queue.
    fn direct(body: String, event: Result<Value, String>) -> Self {
        Self { id: String::new(), receipt: String::new(), receives: 0, body, event }
    }
}

impl Batch {
    /// Takes a payload apart. One body that is not JSON spoils its own message only.
    #[must_use]
    pub fn read(payload: Value) -> Self {
        let from_queue = payload
            .get("Records")
            .and_then(Value::as_array)
            .is_some_and(|records| records.iter().all(|record| record.get("eventSource") == Some(&"aws:sqs".into())));
        if !from_queue {
            return Self { messages: vec![Message::direct(payload.to_string(), Ok(payload))], queued: false };
        }
        match serde_json::from_value::<SqsEvent>(payload) {
            Ok(batch) => Self { messages: batch.records.into_iter().map(message).collect(), queued: true },
            Err(error) => Self {
                messages: vec![Message::direct(String::new(), Err(format!("the SQS batch cannot be read: {error}")))],
                queued: false,
            },
        }
    }

    /// What every message means; one without an event in it is nonsense.
    pub fn triggers(&self, read: impl Fn(&Value) -> Trigger) -> Vec<Trigger> {
        self.messages
            .iter()
            .map(|message| message.event.as_ref().map_or_else(|why| Trigger::Nonsense(why.clone()), &read))
            .collect()
    }

    /// The response that hands the named messages back to the queue and accepts all others.
    #[must_use]
    pub fn response(failed: impl IntoIterator<Item = String>) -> SqsBatchResponse {
        let mut response = SqsBatchResponse::default();
        response.batch_item_failures = failed
            .into_iter()
            .map(|id| {
                let mut failure = BatchItemFailure::default();
                failure.item_identifier = id;
                failure
            })
            .collect();
        response
    }
}

fn message(message: aws_lambda_events::sqs::SqsMessage) -> Message {
    let body = message.body.unwrap_or_default();
    let event = serde_json::from_str(&body).map_err(|error| {
        format!("the message body is not JSON at line {}, column {}: {error}", error.line(), error.column())
    });
    let receives = message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok());
    Message {
        id: message.message_id.unwrap_or_default(),
        receipt: message.receipt_handle.unwrap_or_default(),
        receives: receives.unwrap_or_default(),
        body,
        event,
    }
}
