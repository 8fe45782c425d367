//! Dead-letter queues: what is in them, sending it back, throwing it away.
//!
//! A message that is taken is hidden from everybody else for a while. Whatever is not sent back or deleted is given back at the
//! end; should this process die before, it comes into sight again by itself.

use super::{Assessed, Prospect, Reader, assess};
use crate::ports::{PortError, Result};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

/// How long messages are hidden while they are only looked at.
pub const HIDDEN_TO_LOOK: Duration = Duration::from_secs(30);
/// And while they are sent back or deleted: ten messages are two calls each, and a call may be tried again.
pub const HIDDEN_TO_WORK: Duration = Duration::from_secs(120);
/// The group of what is sent to a FIFO queue and had none: that of everything that wakes `deploy`.
const GROUP: &str = "deploy";

/// A message in a dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Letter {
    /// The queue's id of it.
    pub id: String,
    /// What it is deleted or given back by, until it is taken again.
    pub receipt: String,
    /// Its body.
    pub body: String,
    /// When it was first sent.
    pub sent: Option<Timestamp>,
    /// How often it was taken out of a queue, this time included.
    pub receives: u32,
    /// Its message group, if it has one.
    pub group: Option<String>,
    /// Its attributes, those that are text.
    pub attributes: BTreeMap<String, String>,
}

/// A queue, about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueFacts {
    /// Messages that can be taken.
    pub waiting: u64,
    /// Messages that somebody has taken and not deleted.
    pub hidden: u64,
    /// After how many takings the queue hands a message on to its own dead-letter queue; `None` for a queue that has none.
    pub hands_on_after: Option<u32>,
}

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing<'a> {
    /// Its body.
    pub body: &'a str,
    /// Group and deduplication id, for a FIFO queue.
    pub fifo: Option<(&'a str, String)>,
}

/// Queues with messages that could not be processed.
pub trait DeadLetters {
    /// How full a queue is.
    fn facts(&self, queue: &str) -> impl Future<Output = Result<QueueFacts>> + Send;
    /// Takes some messages, and hides them from everybody else for a while. None when there are none in sight.
    fn take(&self, queue: &str, hidden: Duration) -> impl Future<Output = Result<Vec<Letter>>> + Send;
    /// Brings messages back into sight, by their receipts.
    fn give_back(&self, queue: &str, receipts: &[String]) -> impl Future<Output = Result<()>> + Send;
    /// Sends a message.
    fn send(&self, queue: &str, letter: &Outgoing<'_>) -> impl Future<Output = Result<()>> + Send;
    /// Deletes a message, by its receipt.
    fn delete(&self, queue: &str, receipt: &str) -> impl Future<Output = Result<()>> + Send;
}

/// Where messages belong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// All of them into the queue of this URL.
    Queue(String),
    /// Each into the one of these queues (URLs) that it says it was meant for.
    Target(Vec<String>),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The dead-letter queue's URL.
    pub queue: String,
    /// Where its messages belong.
    pub destination: Destination,
    /// Who reads them there.
    pub reader: Reader,
    /// Ids of the messages that it is about; empty for all.
    pub only: BTreeSet<String>,
    /// The most messages that it is about.
    pub limit: Option<usize>,
    /// What to do with them.
    pub action: Action,
}

/// What to do with messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Look, and leave them.
    Look,
    /// Send them back.
    Send {
        /// Also those that can never be understood.
        force: bool,
    },
    /// Delete them.
    Delete,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Redriven {
    /// The messages that it was about, in the order in which they came.
    pub letters: Vec<Handled>,
    /// About how many other messages are in the queue: not among `only`, beyond the limit, or hidden from this reader.
    pub more: u64,
    /// Of `only`, those that were not in sight.
    pub missing: BTreeSet<String>,
    /// Why it ended before its time.
    pub failed: Option<PortError>,
}

/// A message and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handled {
    /// The message.
    pub letter: Letter,
    /// What it is about and why it was here.
    pub assessed: Assessed,
    /// What came of it.
    pub fate: Fate,
}

/// What came of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is where it was.
    Seen,
    /// It is where it was, although it should have been sent back.
    KeptBack {
        /// Why.
        why: String,
    },
    /// It was sent back.
    Sent {
        /// The queue.
        to: String,
    },
    /// It was sent back, and is still here too: it could not be deleted.
    SentAndStillHere {
        /// The queue.
        to: String,
    },
    /// It was deleted.
    Deleted,
}

/// Why a queue was not touched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRedrive {
    /// It could not be asked.
    #[error(transparent)]
    Port(#[from] PortError),
    /// Looking would move its messages.
    #[error(
        "`{queue}` is no dead-letter queue: it hands a message on to another queue after {receives} receives, and looking counts as one"
    )]
    HandsOn {
        /// Its URL.
        queue: String,
        /// After how many.
        receives: u32,
    },
}

/// Does a job. `told` hears how many messages were taken so far, and about how many there are.
///
/// # Errors
/// When the queue could not be asked at all, or must not be. What fails later is told in [`Redriven::failed`], with what was done
/// before.
pub async fn redrive(
    port: &impl DeadLetters,
    job: &Job,
    mut told: impl FnMut(usize, u64),
) -> std::result::Result<Redriven, NoRedrive> {
    let facts = port.facts(&job.queue).await?;
    if let Some(receives) = facts.hands_on_after {
        return Err(NoRedrive::HandsOn { queue: job.queue.clone(), receives });
    }
    let there = facts.waiting.saturating_add(facts.hidden);
    let hidden = if job.action == Action::Look { HIDDEN_TO_LOOK } else { HIDDEN_TO_WORK };
    let mut work = Work { missing: job.only.clone(), ..Work::default() };
    while work.failed.is_none() && !work.is_through(job) {
        let batch = match port.take(&job.queue, hidden).await {
            Ok(batch) => batch,
            Err(error) if work.taken.is_empty() => return Err(error.into()),
            Err(error) => {
                work.failed = Some(error);
                break;
            }
        };
        let before = work.taken.len();
        for letter in batch {
            work.handle(port, job, letter).await;
        }
        // Nothing in sight, or the first ones come round again.
        if work.taken.len() == before {
            break;
        }
        told(work.taken.len(), there);
    }
    let receipts: Vec<String> = work.held.into_values().collect();
    if !receipts.is_empty() {
        // If this fails they come into sight a little later.
        let _ = port.give_back(&job.queue, &receipts).await;
    }
    let unseen = there.saturating_sub(u64::try_from(work.taken.len()).unwrap_or(u64::MAX));
    Ok(Redriven {
        letters: work.letters,
        more: unseen.saturating_add(work.beyond),
        missing: work.missing,
        failed: work.failed,
    })
}

#[derive(Debug, Default)]
struct Work {
    letters: Vec<Handled>,
    /// Ids of all messages that came.
    taken: BTreeSet<String>,
    /// The last receipts of those to give back, by id.
    held: BTreeMap<String, String>,
    missing: BTreeSet<String>,
    beyond: u64,
    failed: Option<PortError>,
}

impl Work {
    fn is_through(&self, job: &Job) -> bool {
        self.is_full(job) || (!job.only.is_empty() && self.missing.is_empty())
    }

    fn is_full(&self, job: &Job) -> bool {
        job.limit.is_some_and(|limit| self.letters.len() >= limit)
    }

    async fn handle(&mut self, port: &impl DeadLetters, job: &Job, letter: Letter) {
        let known = !self.taken.insert(letter.id.clone());
        if known {
            // One that was sent and not deleted stays hidden: in sight, it would soon be sent once more.
            if let Some(receipt) = self.held.get_mut(&letter.id) {
                *receipt = letter.receipt;
            }
            return;
        }
        self.held.insert(letter.id.clone(), letter.receipt.clone());
        if !job.only.is_empty() && !job.only.contains(&letter.id) {
            self.beyond = self.beyond.saturating_add(1);
            return;
        }
        if self.failed.is_some() || self.is_full(job) {
            self.beyond = self.beyond.saturating_add(1);
            return;
        }
        self.missing.remove(&letter.id);
        let assessed = assess(&letter, job.reader);
        let fate = match job.action {
            Action::Look => Fate::Seen,
            Action::Delete => match port.delete(&job.queue, &letter.receipt).await {
                Ok(()) => Fate::Deleted,
                Err(error) => {
                    self.failed = Some(error);
                    Fate::Seen
                }
            },
            Action::Send { force } => self.send(port, job, &letter, &assessed, force).await,
        };
        if matches!(fate, Fate::Sent { .. } | Fate::SentAndStillHere { .. } | Fate::Deleted) {
            self.held.remove(&letter.id);
        }
        self.letters.push(Handled { letter, assessed, fate });
    }

    async fn send(
        &mut self,
        port: &impl DeadLetters,
        job: &Job,
        letter: &Letter,
        assessed: &Assessed,
        force: bool,
    ) -> Fate {
        if assessed.prospect == Prospect::Never && !force {
            return Fate::KeptBack { why: "it would come here again".to_owned() };
        }
        let to = match job.destination.of(letter) {
            Ok(to) => to,
            Err(why) => return Fate::KeptBack { why },
        };
        let fifo = to.ends_with(".fifo").then(|| {
            // Its own id: should the deletion below fail and somebody try again at once, the queue drops the second one. The
            // id that it had before could be remembered by the queue as well.
            (letter.group.as_deref().unwrap_or(GROUP), format!("redrive-{}", letter.id))
        });
        if let Err(error) = port.send(&to, &Outgoing { body: &letter.body, fifo }).await {
            self.failed = Some(error);
            return Fate::KeptBack { why: "the queue did not take it".to_owned() };
        }
        match port.delete(&job.queue, &letter.receipt).await {
            Ok(()) => Fate::Sent { to },
            Err(error) => {
                self.failed = Some(error);
                Fate::SentAndStillHere { to }
            }
        }
    }
}

impl Job {
    /// Whether the message would be sent back without `force`.
    #[must_use]
    pub fn would_send(&self, handled: &Handled) -> bool {
        handled.assessed.prospect != Prospect::Never && self.destination.of(&handled.letter).is_ok()
    }
}

impl Destination {
    /// The queue that a message belongs into, or why there is none.
    fn of(&self, letter: &Letter) -> std::result::Result<String, String> {
        let queues = match self {
            Self::Queue(url) => return Ok(url.clone()),
            Self::Target(queues) => queues,
        };
        let Some(arn) = letter.attributes.get("TARGET_ARN") else {
            return Err("it does not say what it was meant for (no attribute TARGET_ARN)".to_owned());
        };
        // arn:aws:sqs:REGION:ACCOUNT:NAME
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let [_, _, service, _, account, name] = parts.as_slice() else {
            return Err(format!("its target `{arn}` is no ARN"));
        };
        if *service != "sqs" {
            return Err(format!("its target `{arn}` is no queue: what it asked for must be done there"));
        }
        let path = format!("/{account}/{name}");
        let found = queues.iter().find(|url| url.ends_with(&path));
        found.cloned().ok_or_else(|| format!("its target `{arn}` is no queue of this stack"))
    }
}
