//! Queues: the one that wakes `deploy`, the one that `report` is fed from, and the one for what nobody can read.

use crate::clock::SystemClock;
use crate::error::{partial, unexpected, wrap};
use app::ports::{Clock, DeployQueue, ReportQueue, Result, TriggerQueue};
use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, MessageAttributeValue};
use domain::violation::Group;
use serde_json::json;
use std::time::Duration;

const OPERATION: &str = "sqs:SendMessage";
/// Everything that `deploy` does is one message group: no two looks overlap.
const GROUP: &str = "deploy";
/// SQS holds a message back for at most a quarter of an hour.
const LONGEST_DELAY: Duration = Duration::from_mins(15);
/// Entries of one call of a batch operation.
const ENTRIES: usize = 10;
/// The longest reason that is kept, in characters.
const REASON: usize = 1000;
/// A message has at most 1 MiB, attributes included.
const BODY: usize = 1024 * 1024 - 8 * 1024;

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
            .map_err(|error| wrap(OPERATION, &error))
    }
}

impl TriggerQueue for Queue {
    async fn redeliver(&self, receipts: &[&str], after: Duration) -> Result<()> {
        const OPERATION: &str = "sqs:ChangeMessageVisibility";
        for receipts in receipts.chunks(ENTRIES) {
            let mut change = self.client.change_message_visibility_batch().queue_url(&self.url);
            for (index, receipt) in receipts.iter().enumerate() {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(*receipt)
                    .visibility_timeout(delay(after))
                    .build();
                change = change.entries(entry.map_err(|error| unexpected(OPERATION, error.to_string()))?);
            }
            let changed = change.send().await.map_err(|error| wrap(OPERATION, &error))?;
            if let Some(failed) = changed.failed.first() {
                return Err(partial(OPERATION, &failed.code, failed.message.as_deref()));
            }
        }
        Ok(())
    }
}

/// The queue that a function is fed from, and the one behind it.
#[derive(Debug, Clone)]
pub struct FeedQueue {
    client: aws_sdk_sqs::Client,
    url: String,
    dead_letters: String,
    function: &'static str,
}

impl FeedQueue {
    /// The queue at this URL that feeds `function`, and its dead-letter queue.
    #[must_use]
    pub fn new(client: aws_sdk_sqs::Client, url: &str, dead_letters: &str, function: &'static str) -> Self {
        Self { client, url: url.to_owned(), dead_letters: dead_letters.to_owned(), function }
    }
}

impl ReportQueue for FeedQueue {
    async fn ask_flush(&self, group: &Group, after: Duration) -> Result<()> {
        let body = json!({ "source": "backup-compliance.report", "flush": group });
        self.client
            .send_message()
            .queue_url(&self.url)
            .delay_seconds(delay(after))
            .message_body(body.to_string())
            .send()
            .await
            .map(drop)
            .map_err(|error| wrap(OPERATION, &error))
    }

    async fn bury(&self, body: &str, reason: &str) -> Result<()> {
        let attributes = [
            ("reason", one_line(reason)),
            ("buried-at", SystemClock.now().to_string()),
            ("function", self.function.to_owned()),
        ];
        let mut message = self.client.send_message().queue_url(&self.dead_letters).message_body(sendable(body));
        for (name, text) in attributes {
            let value = MessageAttributeValue::builder().data_type("String").string_value(text).build();
            let value = value.map_err(|error| unexpected(OPERATION, error.to_string()))?;
            message = message.message_attributes(name, value);
        }
        message.send().await.map(drop).map_err(|error| wrap(OPERATION, &error))
    }
}

/// Whole seconds, not before the time.
fn delay(after: Duration) -> i32 {
    let after = after.min(LONGEST_DELAY);
    let seconds = after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0));
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

/// Without control characters, and never empty: SQS refuses empty attributes.
fn one_line(reason: &str) -> String {
    let line: String = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).filter(is_sendable).collect();
    let line: String = line.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(REASON).collect();
    if line.is_empty() { "no reason was given".to_owned() } else { line }
}

/// Whether SQS takes a character: XML 1.0 has it.
fn is_sendable(c: &char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

/// A body that SQS takes: as it is, in nearly every case.
fn sendable(body: &str) -> String {
    let body: String = body.chars().map(|c| if is_sendable(&c) { c } else { char::REPLACEMENT_CHARACTER }).collect();
    let end = body.char_indices().map(|(at, c)| at.saturating_add(c.len_utf8())).take_while(|end| *end <= BODY).last();
    match end.and_then(|end| body.get(..end)) {
        Some(body) => body.to_owned(),
        None => "(empty)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_not_too_short_and_not_longer_than_there_is() {
        for (millis, seconds) in
            [(0, 0), (1, 1), (1000, 1), (1001, 2), (899_500, 900), (900_000, 900), (5_000_000, 900)]
        {
            assert_eq!(delay(Duration::from_millis(millis)), seconds, "{millis} ms");
        }
    }

    #[test]
    fn a_reason_fits_into_an_attribute() {
        assert_eq!(one_line("no `detail`\r\n\tat 1:2\u{0}\u{ffff}"), "no `detail` at 1:2");
        assert_eq!(one_line(&"é".repeat(5000)).chars().count(), 1000);
        for nothing in ["", " \n", "\u{0}"] {
            assert_eq!(one_line(nothing), "no reason was given");
        }
    }

    #[test]
    fn a_body_is_sent_as_it_came_where_that_is_possible() {
        let body = "{\"a\":\n\"\u{1f9ef} é\"}";
        assert_eq!(sendable(body), body);
        assert_eq!(sendable("a\u{0}b"), "a\u{fffd}b");
        assert_eq!(sendable(""), "(empty)");
        let long = sendable(&"é".repeat(BODY));
        assert!(long.len() <= BODY && long.len() > BODY - 4, "{}", long.len());
    }
}
