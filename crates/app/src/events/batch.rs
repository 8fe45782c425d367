//! The payload of an invocation: a batch of SQS messages, or one event of a direct invocation.

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use serde_json::Value;

/// A batch of messages.
#[derive(Debug)]
pub struct Batch {
    /// The messages in the order of the batch.
    pub messages: Vec<BatchMessage>,
    /// Whether the payload is an SQS batch, which needs a batch response.
    pub queued: bool,
}

/// One message.
#[derive(Debug)]
pub struct BatchMessage {
    /// The message id; empty for a direct invocation.
    pub id: String,
    /// The receipt handle; empty for a direct invocation.
    pub receipt: String,
    /// `ApproximateReceiveCount`, including this delivery; 0 if unknown.
    pub receives: u32,
    /// The unchanged body.
    pub body: String,
    /// The parsed body, or the error.
    pub event: Result<Value, String>,
}

impl Batch {
    fn direct(body: String, event: Result<Value, String>) -> Self {
        let message = BatchMessage { id: String::new(), receipt: String::new(), receives: 0, body, event };
        Self { messages: vec![message], queued: false }
    }

    /// Parses a payload. A body with invalid JSON affects only its own message.
    pub fn read(payload: Value) -> Self {
        let is_queued = |record: &Value| record.get("eventSource").is_some_and(|source| source == "aws:sqs");
        let records = payload.get("Records").and_then(Value::as_array);
        if !records.is_some_and(|records| records.iter().all(is_queued)) {
            return Self::direct(payload.to_string(), Ok(payload));
        }
        match serde_json::from_value::<SqsEvent>(payload) {
            Ok(batch) => Self { messages: batch.records.into_iter().map(message).collect(), queued: true },
            Err(error) => Self::direct(String::new(), Err(format!("the SQS batch cannot be read: {error}"))),
        }
    }

    /// Returns the trigger of each message; `invalid` makes that of a message without an event from the reason.
    pub fn triggers<T>(&self, read: impl Fn(&Value) -> T, invalid: impl Fn(String) -> T) -> Vec<T> {
        let events = self.messages.iter().map(|message| message.event.as_ref());
        events.map(|event| event.map_or_else(|reason| invalid(reason.clone()), &read)).collect()
    }

    /// Builds the response that redelivers these messages and deletes all others.
    pub fn response(failed: impl IntoIterator<Item = String>) -> SqsBatchResponse {
        let failure = |id| {
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = id;
            failure
        };
        let mut response = SqsBatchResponse::default();
        response.batch_item_failures = failed.into_iter().map(failure).collect();
        response
    }
}

fn message(message: SqsMessage) -> BatchMessage {
    let body = message.body.unwrap_or_default();
    let event = serde_json::from_str(&body).map_err(|error| {
        format!("the message body is not JSON at line {}, column {}: {error}", error.line(), error.column())
    });
    let receives = message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok());
    BatchMessage {
        id: message.message_id.unwrap_or_default(),
        receipt: message.receipt_handle.unwrap_or_default(),
        receives: receives.unwrap_or_default(),
        body,
        event,
    }
}
