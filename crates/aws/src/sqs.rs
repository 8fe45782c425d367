//! SQS queues: the one that wakes `deploy`, the one that feeds `report`, and its dead-letter queue.

use std::time::Duration;

use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, MessageAttributeValue};
use serde_json::json;

use app::deploy::ports::TriggerQueue;
use app::lifecycle::ports::DeployQueue;
use app::ports::{Clock, PortError, PortErrorKind, Result};
use app::report::ports::ReportQueue;
use domain::violation::ViolationGroup;

use crate::clients::Clients;
use crate::clock::SystemClock;
use crate::error::{failed_entry, invalid, wrap};

const SEND: &str = "sqs:SendMessage";
/// One message group: no two reconciliations overlap.
const GROUP: &str = "deploy";
/// The limit of `DelaySeconds`.
const LONGEST_DELAY: Duration = Duration::from_mins(15);
/// Entries in one call: the limit of SQS's batch operations.
pub(crate) const BATCH: usize = 10;
/// Characters of a reason in a message attribute.
const REASON: usize = 1000;
/// Bytes of a body. A message has at most 1 MiB including attributes.
const BODY: usize = 1024 * 1024 - 8 * 1024;

/// The queue that feeds `deploy`.
#[derive(Debug, Clone)]
pub struct SqsDeployQueue {
    client: aws_sdk_sqs::Client,
    url: String,
}

impl SqsDeployQueue {
    /// The queue at this URL.
    pub fn new(clients: &Clients, url: &str) -> Self {
        Self { client: aws_sdk_sqs::Client::new(&clients.config), url: url.to_owned() }
    }
}

impl DeployQueue for SqsDeployQueue {
    async fn request_reconciliation(&self, request_id: &str) -> Result<()> {
        let body = json!({ "source": "backup-compliance.lifecycle", "requestId": request_id }).to_string();
        let message = self.client.send_message().queue_url(&self.url).message_group_id(GROUP).message_body(body);
        message.send().await.map(drop).map_err(wrap(SEND))
    }
}

impl TriggerQueue for SqsDeployQueue {
    async fn redeliver(&self, receipts: &[&str], after: Duration) -> Result<()> {
        change_visibility(&self.client, &self.url, receipts, delay(after)).await
    }
}

/// Sets the remaining visibility timeout of received messages, in seconds. A batch that fails does not keep the later ones from
/// being sent.
pub(crate) async fn change_visibility(
    client: &aws_sdk_sqs::Client,
    queue_url: &str,
    receipts: &[impl AsRef<str>],
    seconds: i32,
) -> Result<()> {
    const OPERATION: &str = "sqs:ChangeMessageVisibility";
    let mut failed = None;
    for receipts in receipts.chunks(BATCH) {
        let mut request = client.change_message_visibility_batch().queue_url(queue_url);
        for (index, receipt) in receipts.iter().enumerate() {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(index.to_string())
                .receipt_handle(receipt.as_ref())
                .visibility_timeout(seconds)
                .build();
            request = request.entries(entry.map_err(invalid(OPERATION))?);
        }
        let response = request.send().await.map_err(wrap(OPERATION))?;
        failed = failed.or_else(|| response.failed.into_iter().next());
    }
    failed.map_or(Ok(()), |entry| {
        let kind = if entry.sender_fault { PortErrorKind::Rejected } else { PortErrorKind::Retryable };
        Err(PortError { kind, ..failed_entry(OPERATION, &entry.code, entry.message.as_deref()) })
    })
}

/// The queue that feeds a function, and its dead-letter queue.
#[derive(Debug, Clone)]
pub struct SqsReportQueue {
    client: aws_sdk_sqs::Client,
    url: String,
    dead_letters: String,
    function: &'static str,
}

impl SqsReportQueue {
    /// The queue at this URL, its dead-letter queue, and the name of the function that it feeds.
    pub fn new(clients: &Clients, url: &str, dead_letters: &str, function: &'static str) -> Self {
        let client = aws_sdk_sqs::Client::new(&clients.config);
        Self { client, url: url.to_owned(), dead_letters: dead_letters.to_owned(), function }
    }
}

impl ReportQueue for SqsReportQueue {
    async fn request_flush(&self, group: &ViolationGroup, after: Duration) -> Result<()> {
        let body = app::events::flush_message(group).to_string();
        let message = self.client.send_message().queue_url(&self.url).delay_seconds(delay(after)).message_body(body);
        message.send().await.map(drop).map_err(wrap(SEND))
    }

    async fn dead_letter(&self, body: &str, reason: &str) -> Result<()> {
        let attributes = [
            ("reason", one_line(reason)),
            ("dead-lettered-at", SystemClock.now().to_string()),
            ("function", self.function.to_owned()),
        ];
        let mut message = self.client.send_message().queue_url(&self.dead_letters).message_body(sendable(body));
        for (name, text) in attributes {
            let value = MessageAttributeValue::builder().data_type("String").string_value(text).build();
            let value = value.map_err(invalid(SEND))?;
            message = message.message_attributes(name, value);
        }
        message.send().await.map(drop).map_err(wrap(SEND))
    }
}

/// Whole seconds, rounded up so that a message is never early.
fn delay(after: Duration) -> i32 {
    let after = after.min(LONGEST_DELAY);
    let seconds = after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0));
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

/// Removes control characters. The result is never empty, since SQS rejects empty attributes.
fn one_line(reason: &str) -> String {
    let line: String = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).filter(is_sendable).collect();
    let line: String = line.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(REASON).collect();
    if line.is_empty() { "no reason was given".to_owned() } else { line }
}

/// Whether SQS accepts a character: those of XML 1.0.
fn is_sendable(c: &char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

/// A body that SQS accepts, in nearly every case the unchanged one.
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
    fn delay_is_rounded_up_and_limited_to_15_minutes() {
        for (millis, seconds) in
            [(0, 0), (1, 1), (1000, 1), (1001, 2), (899_500, 900), (900_000, 900), (5_000_000, 900)]
        {
            assert_eq!(delay(Duration::from_millis(millis)), seconds, "{millis} ms");
        }
    }

    #[test]
    fn reason_of_any_text_fits_into_an_attribute() {
        assert_eq!(one_line("no `detail`\r\n\tat 1:2\u{0}\u{ffff}"), "no `detail` at 1:2");
        assert_eq!(one_line(&"é".repeat(5000)).chars().count(), 1000);
        for nothing in ["", " \n", "\u{0}"] {
            assert_eq!(one_line(nothing), "no reason was given");
        }
    }

    #[test]
    fn body_changes_only_where_sqs_would_reject_it() {
        let body = "{\"a\":\n\"\u{1f9ef} é\"}";
        assert_eq!(sendable(body), body);
        assert_eq!(sendable("a\u{0}b"), "a\u{fffd}b");
        assert_eq!(sendable(""), "(empty)");
        let long = sendable(&"é".repeat(BODY));
        assert!(long.len() <= BODY && long.len() > BODY - 4, "{}", long.len());
    }
}
