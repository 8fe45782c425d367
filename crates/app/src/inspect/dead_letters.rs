//! Shows the messages of dead-letter queues, sends them back or deletes them.
//!
//! Received messages are hidden from other consumers for their visibility timeout. Messages that are neither sent back nor deleted
//! are released at the end or, if this process dies, by the timeout.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Assessment, Consumer, DeadLetter, Validity, assess};
use crate::ports::{Call, PortError};

/// Visibility timeout while messages are shown.
pub const HIDDEN_TO_SHOW: Duration = Duration::from_secs(30);
/// Visibility timeout while messages are sent back or deleted: ten messages need two calls each, with retries.
pub const HIDDEN_TO_CHANGE: Duration = Duration::from_secs(120);
/// The message group of `deploy`, for messages to a FIFO queue without a group.
const GROUP: &str = "deploy";

/// Approximate counts of a queue, and its redrive policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueFacts {
    /// Visible messages.
    pub waiting: u64,
    /// Messages in flight.
    pub hidden: u64,
    /// `maxReceiveCount` of the redrive policy; `None` without one.
    pub max_receives: Option<u32>,
}

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingMessage<'a> {
    /// The message body.
    pub body: &'a str,
    /// Message group and deduplication id, for a FIFO queue.
    pub fifo: Option<(&'a str, String)>,
}

/// Access to dead-letter queues by URL.
pub trait DeadLetters {
    /// Reads the counts and the redrive policy of a queue.
    fn facts(&self, queue: &str) -> impl Call<QueueFacts>;
    /// Receives up to ten messages with this visibility timeout. Empty if no message is visible.
    fn receive(&self, queue: &str, hidden: Duration) -> impl Call<Vec<DeadLetter>>;
    /// Makes received messages visible again, by receipt handle.
    fn release(&self, queue: &str, receipts: &[String]) -> impl Call<()>;
    /// Sends a message.
    fn send(&self, queue: &str, message: &OutgoingMessage<'_>) -> impl Call<()>;
    /// Deletes a message by receipt handle.
    fn delete(&self, queue: &str, receipt: &str) -> impl Call<()>;
}

/// The queues that messages are sent back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// One queue URL for all messages.
    Queue(String),
    /// Queue URLs, of which each message selects one by its attribute `TARGET_ARN`.
    Target(Vec<String>),
}

/// An action on the messages of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedriveJob {
    /// URL of the dead-letter queue.
    pub queue: String,
    /// The queues that messages are sent back to.
    pub destination: Destination,
    /// The function that consumes them there.
    pub reader: Consumer,
    /// Ids of the selected messages; empty for all.
    pub only: BTreeSet<String>,
    /// The maximum number of selected messages.
    pub limit: Option<usize>,
    /// The action on the selected messages.
    pub action: Action,
}

/// An action on messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Show them.
    Show,
    /// Send them back to their queue.
    Send {
        /// Whether invalid messages are sent too.
        force: bool,
    },
    /// Delete them.
    Delete,
}

/// The result of a job.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RedriveResult {
    /// The selected messages, in the order of their receipt.
    pub messages: Vec<HandledMessage>,
    /// Approximate number of other messages: not selected by `only`, beyond the limit, or in flight elsewhere.
    pub more: u64,
    /// Ids of `only` that were not received.
    pub missing: BTreeSet<String>,
    /// The error that ended the job early.
    pub failed: Option<PortError>,
}

/// A selected message and its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandledMessage {
    /// The message.
    pub message: DeadLetter,
    /// Its subject, the reason of its failure, and its validity.
    pub assessed: Assessment,
    /// The outcome.
    pub outcome: RedriveOutcome,
}

/// The outcome of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedriveOutcome {
    /// Still in the dead-letter queue, since it was only shown or could not be deleted.
    Unchanged,
    /// Still in the dead-letter queue, although it should have been sent back.
    NotSent {
        /// The reason.
        reason: String,
    },
    /// Sent back and deleted.
    Sent {
        /// URL of the queue.
        to: String,
    },
    /// Sent back, but not deleted from the dead-letter queue.
    SentNotDeleted {
        /// URL of the queue.
        to: String,
    },
    /// Deleted.
    Deleted,
}

/// An error before the first message was received.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedriveError {
    /// An SQS call failed.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The queue has a redrive policy, so that receives would move its messages.
    #[error(
        "`{queue}` is not a dead-letter queue: its redrive policy moves a message after {receives} receives, and this command receives messages"
    )]
    NotADeadLetterQueue {
        /// URL of the queue.
        queue: String,
        /// `maxReceiveCount`.
        receives: u32,
    },
}

/// Runs a job. `on_progress` gets the number of received messages and the approximate total. Errors after the first calls are
/// returned in [`RedriveResult::failed`].
pub async fn redrive(
    port: &impl DeadLetters,
    job: &RedriveJob,
    mut on_progress: impl FnMut(usize, u64),
) -> std::result::Result<RedriveResult, RedriveError> {
    let facts = port.facts(&job.queue).await?;
    if let Some(receives) = facts.max_receives {
        return Err(RedriveError::NotADeadLetterQueue { queue: job.queue.clone(), receives });
    }
    let total = facts.waiting.saturating_add(facts.hidden);
    let hidden = if job.action == Action::Show { HIDDEN_TO_SHOW } else { HIDDEN_TO_CHANGE };
    let result = RedriveResult { missing: job.only.clone(), ..RedriveResult::default() };
    let mut run = RedriveRun { port, job, result, received: BTreeSet::new(), unhandled: BTreeMap::new() };
    while run.result.failed.is_none() && !run.is_complete() {
        let before = run.received.len();
        match port.receive(&job.queue, hidden).await {
            Ok(batch) => {
                for letter in batch {
                    run.handle(letter).await;
                }
            }
            Err(error) if before == 0 => return Err(error.into()),
            Err(error) => run.result.failed = Some(error),
        }
        // No message is visible, or only known ones are received again.
        if run.received.len() == before {
            break;
        }
        on_progress(run.received.len(), total);
    }
    let receipts: Vec<String> = run.unhandled.into_values().collect();
    if !receipts.is_empty() {
        // If this fails, the visibility timeout releases them.
        let _ = port.release(&job.queue, &receipts).await;
    }
    let unreceived = total.saturating_sub(u64::try_from(run.received.len()).unwrap_or(u64::MAX));
    run.result.more += unreceived;
    Ok(run.result)
}

struct RedriveRun<'a, P> {
    port: &'a P,
    job: &'a RedriveJob,
    /// The result so far; `more` without the messages that were not received.
    result: RedriveResult,
    received: BTreeSet<String>,
    /// Last receipt handles of the messages to release, by id.
    unhandled: BTreeMap<String, String>,
}

impl<P: DeadLetters> RedriveRun<'_, P> {
    fn is_complete(&self) -> bool {
        self.is_full() || (!self.job.only.is_empty() && self.result.missing.is_empty())
    }

    fn is_full(&self) -> bool {
        self.job.limit.is_some_and(|limit| self.result.messages.len() >= limit)
    }

    async fn handle(&mut self, letter: DeadLetter) {
        if !self.received.insert(letter.id.clone()) {
            // A message that was sent but not deleted stays hidden, so that it is not sent again.
            if let Some(receipt) = self.unhandled.get_mut(&letter.id) {
                *receipt = letter.receipt;
            }
            return;
        }
        self.unhandled.insert(letter.id.clone(), letter.receipt.clone());
        let is_selected = self.job.only.is_empty() || self.job.only.contains(&letter.id);
        if !is_selected || self.result.failed.is_some() || self.is_full() {
            self.result.more += 1;
            return;
        }
        self.result.missing.remove(&letter.id);
        let assessed = assess(&letter, self.job.reader);
        let outcome = match self.job.action {
            Action::Show => RedriveOutcome::Unchanged,
            Action::Delete => match self.delete(&letter).await {
                true => RedriveOutcome::Deleted,
                false => RedriveOutcome::Unchanged,
            },
            Action::Send { force } if assessed.validity == Validity::Invalid && !force => {
                RedriveOutcome::NotSent { reason: "the message is invalid and would fail again".to_owned() }
            }
            Action::Send { .. } => self.send(&letter).await,
        };
        if !matches!(outcome, RedriveOutcome::Unchanged | RedriveOutcome::NotSent { .. }) {
            self.unhandled.remove(&letter.id);
        }
        self.result.messages.push(HandledMessage { message: letter, assessed, outcome });
    }

    /// Deletes a message. Returns whether that succeeded.
    async fn delete(&mut self, letter: &DeadLetter) -> bool {
        self.result.failed = self.port.delete(&self.job.queue, &letter.receipt).await.err();
        self.result.failed.is_none()
    }

    async fn send(&mut self, letter: &DeadLetter) -> RedriveOutcome {
        let to = match self.job.destination.of(letter) {
            Ok(to) => to,
            Err(reason) => return RedriveOutcome::NotSent { reason },
        };
        let fifo = to.ends_with(".fifo").then(|| {
            // A stable deduplication id: if the deletion fails and a user retries within five minutes, SQS drops the duplicate. SQS could
            // also drop a message with the original id.
            (letter.group.as_deref().unwrap_or(GROUP), format!("redrive-{}", letter.id))
        });
        if let Err(error) = self.port.send(&to, &OutgoingMessage { body: &letter.body, fifo }).await {
            self.result.failed = Some(error);
            return RedriveOutcome::NotSent { reason: "the queue rejected the message".to_owned() };
        }
        match self.delete(letter).await {
            true => RedriveOutcome::Sent { to },
            false => RedriveOutcome::SentNotDeleted { to },
        }
    }
}

impl RedriveJob {
    /// Whether a message would be sent back without `force`.
    pub fn would_send(&self, handled: &HandledMessage) -> bool {
        handled.assessed.validity != Validity::Invalid && self.destination.of(&handled.message).is_ok()
    }
}

impl Destination {
    /// Returns the queue URL of a message, or the reason that it has none.
    fn of(&self, letter: &DeadLetter) -> std::result::Result<String, String> {
        let queues = match self {
            Self::Queue(url) => return Ok(url.clone()),
            Self::Target(queues) => queues,
        };
        let arn = letter.attributes.get("TARGET_ARN").ok_or("the message has no attribute TARGET_ARN")?;
        // arn:aws:sqs:REGION:ACCOUNT:NAME
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let [_, _, service, _, account, name] = parts.as_slice() else {
            return Err(format!("the target `{arn}` is not an ARN"));
        };
        if *service != "sqs" {
            return Err(format!("the target `{arn}` is not a queue: invoke it directly"));
        }
        let path = format!("/{account}/{name}");
        let queue = queues.iter().find(|url| url.ends_with(&path));
        queue.cloned().ok_or_else(|| format!("the target `{arn}` is not a queue of this stack"))
    }
}
