//! Output of `redrive` as text and JSON.

use console::style;
use jiff::SignedDuration;
use serde_json::{Value, json};

use app::inspect::{
    Action, Destination, HIDDEN_TO_CHANGE, HIDDEN_TO_SHOW, HandledMessage, RedriveJob, RedriveOutcome, RedriveResult,
    Validity,
};

use super::FunctionLog;
use crate::plain::{self, count, escaped};

/// An upper bound of the time between the first attempt and the dead-letter queue.
const ATTEMPTS_SPAN: SignedDuration = SignedDuration::from_hours(24);

pub(super) fn page(job: &RedriveJob, done: &RedriveResult, log: Option<&FunctionLog>) -> String {
    let blocks = done.messages.iter().map(|handled| block(job, handled, log));
    blocks.chain(missing(done)).chain([summary(job, done)]).map(|text| format!("{text}\n")).collect()
}

/// Returns the command that reads the log of a message, if only the log has its error.
fn log_command(
    job: &RedriveJob,
    HandledMessage { message: letter, assessed, .. }: &HandledMessage,
    log: Option<&FunctionLog>,
) -> Option<String> {
    let FunctionLog { group, options } = log.filter(|_| assessed.is_logged)?;
    let is_plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/' | '.'));
    if !is_plain(group) || !is_plain(&letter.id) {
        return None;
    }
    // In a FIFO dead-letter queue the time is that of its arrival (Amazon SQS Developer Guide, "Setting-up dead-letter queue retention").
    let first_attempt = letter.sent.map(|sent| if job.queue.ends_with(".fifo") { sent - ATTEMPTS_SPAN } else { sent });
    let start = first_attempt.map(|since| format!(" --start-time {}", since.as_millisecond())).unwrap_or_default();
    Some(format!(
        "aws logs filter-log-events --log-group-name {group}{start} --filter-pattern '\"{}\"' --query 'events[].message' --output text{options}",
        letter.id
    ))
}

fn block(job: &RedriveJob, handled: &HandledMessage, log: Option<&FunctionLog>) -> String {
    let HandledMessage { message: letter, assessed, outcome: fate } = handled;
    let sent = letter.sent.map_or_else(|| "at an unknown time".to_owned(), plain::time);
    let (id, received) = (style(escaped(&letter.id)).bold(), count(letter.receives, "time"));
    let (subject, reason) = (escaped(&assessed.subject), escaped(&assessed.reason));
    let mut text = format!("{id}  sent {sent}, received {received}\n  subject  {subject}\n  reason   {reason}\n");
    if let Some(command) = log_command(job, handled, log) {
        text.push_str(&format!("  log      {command}\n"));
    }
    let fate = match fate {
        RedriveOutcome::Unchanged => return text,
        RedriveOutcome::NotSent { reason: why } => style(format!("not sent: {}", escaped(why))).yellow(),
        RedriveOutcome::Sent { to } => style(format!("sent back to {}", escaped(to))).green(),
        RedriveOutcome::SentNotDeleted { to } => {
            style(format!("sent back to {} but not deleted here: it may be processed twice", escaped(to))).yellow()
        }
        RedriveOutcome::Deleted => style("deleted".to_owned()).green(),
    };
    text.push_str(&format!("  outcome  {fate}\n"));
    text
}

fn missing(done: &RedriveResult) -> Option<String> {
    let ids = done.missing.iter().map(|id| escaped(id)).collect::<Vec<_>>().join(", ");
    let (seconds, minutes) = (HIDDEN_TO_SHOW.as_secs(), HIDDEN_TO_CHANGE.as_secs() / 60);
    let hidden = format!("for up to {seconds} seconds, or for {minutes} minutes while it sends or deletes messages");
    (!done.missing.is_empty()).then(|| format!("not found: {ids}; another consumer may hide it {hidden}\n"))
}

fn summary(job: &RedriveJob, done: &RedriveResult) -> String {
    let queue = escaped(&job.queue);
    let number = |is: fn(&HandledMessage) -> bool| done.messages.iter().filter(|handled| is(handled)).count();
    let mut text = match job.action {
        Action::Show if done.messages.is_empty() && done.more == 0 && job.only.is_empty() => {
            return format!("no messages in {queue}");
        }
        Action::Show => {
            let found = match (done.messages.len(), job.only.len()) {
                (found, 0) => count(found, "message"),
                (found, named) => format!("{found} of {}", count(named, "named message")),
            };
            match number(|handled| handled.assessed.validity == Validity::Invalid) {
                0 => format!("{found} in {queue}"),
                invalid => format!("{found} in {queue}, {invalid} of them invalid"),
            }
        }
        Action::Send { .. } => {
            let sent = number(|handled| {
                matches!(handled.outcome, RedriveOutcome::Sent { .. } | RedriveOutcome::SentNotDeleted { .. })
            });
            let kept = number(|handled| matches!(handled.outcome, RedriveOutcome::NotSent { .. }));
            format!("{} sent back, {kept} not sent from {queue}", count(sent, "message"))
        }
        Action::Delete => {
            let deleted = number(|handled| handled.outcome == RedriveOutcome::Deleted);
            format!("{} deleted from {queue}", count(deleted, "message"))
        }
    };
    if done.more > 0 && !job.only.is_empty() {
        text.push_str(&format!("; about {} in it", count(done.more, "other message")));
    } else if done.more > 0 {
        text.push_str(&format!("; about {} more (SQS's approximate count, up to a minute old)", done.more));
        if job.queue.ends_with(".fifo") && job.limit.is_none_or(|limit| done.messages.len() < limit) {
            text.push_str(
                ": a FIFO queue returns only the first messages of a group until they are sent back or deleted",
            );
        }
    }
    if job.action == Action::Show && !done.messages.is_empty() {
        text.push_str(&format!("\n{}", advice(job, done)));
    }
    text
}

/// Returns the options that remove the messages from the queue.
fn advice(job: &RedriveJob, done: &RedriveResult) -> &'static str {
    if done.messages.iter().all(|handled| handled.assessed.validity == Validity::Invalid) {
        return "invalid messages are not sent: delete with --delete --only MESSAGE_ID or, after an update that can read them, send with --send --force";
    }
    // The destination is unknown without --to.
    if job.destination == Destination::Target(Vec::new()) {
        return "send back with --to QUEUE_URL --send; delete with --delete --only MESSAGE_ID";
    }
    if done.messages.iter().any(|handled| job.would_send(handled)) {
        "send back with --send; delete with --delete --only MESSAGE_ID"
    } else {
        "the messages are not addressed to a queue of this stack: delete with --delete --only MESSAGE_ID"
    }
}

/// Returns the JSON document. It has an `error` if the run ended early.
pub(super) fn json(job: &RedriveJob, done: &RedriveResult, log: Option<&FunctionLog>) -> Value {
    let message = |handled @ HandledMessage { message: letter, assessed, outcome: fate }: &HandledMessage| {
        let (outcome, to, not_sent_reason) = match fate {
            RedriveOutcome::Unchanged => ("unchanged", None, None),
            RedriveOutcome::NotSent { reason: why } => ("notSent", None, Some(why)),
            RedriveOutcome::Sent { to } => ("sent", Some(to), None),
            RedriveOutcome::SentNotDeleted { to } => ("sentNotDeleted", Some(to), None),
            RedriveOutcome::Deleted => ("deleted", None, None),
        };
        json!({
            "id": letter.id,
            "sent": letter.sent,
            "receives": letter.receives,
            "subject": assessed.subject,
            "reason": assessed.reason,
            "logCommand": log_command(job, handled, log),
            "validity": match assessed.validity {
                Validity::Valid => "valid",
                Validity::Foreign => "foreign",
                Validity::Invalid => "invalid",
            },
            "outcome": outcome,
            "to": to,
            "notSentReason": not_sent_reason,
            "attributes": letter.attributes,
            "body": letter.body,
        })
    };
    json!({
        "version": 1,
        "queue": job.queue,
        "messages": done.messages.iter().map(message).collect::<Vec<_>>(),
        "missing": done.missing,
        "more": done.more,
        "logGroup": log.map(|log| &log.group),
        "error": done.failed.as_ref().map(ToString::to_string),
    })
}
