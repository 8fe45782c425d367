//! Messages of a dead-letter queue for people and programs.

use app::inspect::{Action, Destination, Fate, HIDDEN_TO_LOOK, HIDDEN_TO_WORK, Handled, Job, Prospect, Redriven};
use console::style;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::Log;
use crate::plain::{self, count, shown};

/// Longer than a message is tried before it comes to a dead-letter queue.
const TRIED: SignedDuration = SignedDuration::from_hours(24);

/// The version of the JSON form. Fields are added without a new one.
const VERSION: u32 = 1;

pub(super) fn page(job: &Job, done: &Redriven, log: Option<&Log>) -> String {
    let blocks = done.letters.iter().map(|handled| block(job, handled, log));
    blocks.chain(missing(done)).chain([summary(job, done)]).map(|text| format!("{text}\n")).collect()
}

/// The command that shows what the function has logged about a message, if only the log has the error.
fn log_command(job: &Job, Handled { letter, assessed, .. }: &Handled, log: Option<&Log>) -> Option<String> {
    let Log { group, options } = log.filter(|_| assessed.is_logged)?;
    let is_plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/' | '.'));
    if !is_plain(group) || !is_plain(&letter.id) {
        return None;
    }
    // A FIFO queue counts from when the message came here (Amazon SQS Developer Guide, "Setting-up dead-letter queue retention").
    let tried_since = letter.sent.map(|sent| if job.queue.ends_with(".fifo") { sent - TRIED } else { sent });
    let start = tried_since.map(|since| format!(" --start-time {}", since.as_millisecond())).unwrap_or_default();
    Some(format!(
        "aws logs filter-log-events --log-group-name {group}{start} --filter-pattern '\"{}\"' --query 'events[].message' --output text{options}",
        letter.id
    ))
}

fn block(job: &Job, handled: &Handled, log: Option<&Log>) -> String {
    let Handled { letter, assessed, fate } = handled;
    let sent = letter.sent.map_or_else(|| "at an unknown time".to_owned(), plain::time);
    let mut text = format!(
        "{}  sent {sent}, received {}\n  about   {}\n  reason  {}\n",
        style(shown(&letter.id)).bold(),
        count(letter.receives, "time"),
        shown(&assessed.about),
        shown(&assessed.reason)
    );
    if let Some(command) = log_command(job, handled, log) {
        text.push_str(&format!("  log     {command}\n"));
    }
    let fate = match fate {
        Fate::Seen => return text,
        Fate::KeptBack { why } => style(format!("kept back: {}", shown(why))).yellow(),
        Fate::Sent { to } => style(format!("sent back to {}", shown(to))).green(),
        Fate::SentAndStillHere { to } => {
            style(format!("sent back to {}, and still here: it could not be deleted, and may come twice", shown(to)))
                .yellow()
        }
        Fate::Deleted => style("deleted".to_owned()).green(),
    };
    text.push_str(&format!("  now     {fate}\n"));
    text
}

fn missing(done: &Redriven) -> Option<String> {
    let ids: Vec<String> = done.missing.iter().map(|id| shown(id)).collect();
    (!ids.is_empty()).then(|| {
        format!(
            "not found: {}; another reader may have it: for {} seconds at most, or {} minutes if that one sends or deletes\n",
            ids.join(", "),
            HIDDEN_TO_LOOK.as_secs(),
            HIDDEN_TO_WORK.as_secs() / 60
        )
    })
}

fn summary(job: &Job, done: &Redriven) -> String {
    let queue = shown(&job.queue);
    let number = |of: fn(&Handled) -> bool| plain::number(done.letters.iter().filter(|handled| of(handled)).count());
    let sent = number(|handled| matches!(handled.fate, Fate::Sent { .. } | Fate::SentAndStillHere { .. }));
    let never = number(|handled| handled.assessed.prospect == Prospect::Never);
    let mut text = match job.action {
        Action::Look if done.letters.is_empty() && done.more == 0 && job.only.is_empty() => {
            return format!("no messages in {queue}");
        }
        Action::Look => {
            let hopeless = if never > 0 { format!(", {never} of them never to be understood") } else { String::new() };
            let found = plain::number(done.letters.len());
            let found = match job.only.len() {
                0 => count(found, "message"),
                named => format!("{found} of {}", count(plain::number(named), "named message")),
            };
            format!("{found} in {queue}{hopeless}")
        }
        Action::Send { .. } => {
            let kept = number(|handled| matches!(handled.fate, Fate::KeptBack { .. }));
            format!("{} sent back, {kept} kept back in {queue}", count(sent, "message"))
        }
        Action::Delete => {
            format!("{} deleted from {queue}", count(number(|handled| handled.fate == Fate::Deleted), "message"))
        }
    };
    if done.more > 0 && !job.only.is_empty() {
        text.push_str(&format!("; about {} in it", count(done.more, "other message")));
    }
    if done.more > 0 && job.only.is_empty() {
        text.push_str(&format!("; about {} more (by the queue's own count, which may be a minute old)", done.more));
        if job.queue.ends_with(".fifo") && job.limit.is_none_or(|limit| done.letters.len() < limit) {
            text.push_str(": a FIFO queue shows the first of a group only, until they are sent back or deleted");
        }
    }
    if job.action == Action::Look && !done.letters.is_empty() {
        text.push_str(&format!("\n{}", advice(job, done)));
    }
    text
}

/// How the messages get out of the queue.
fn advice(job: &Job, done: &Redriven) -> &'static str {
    if done.letters.iter().all(|handled| handled.assessed.prospect == Prospect::Never) {
        return "--send keeps them back: delete with --delete --only MESSAGE_ID, or, after an update that can read them, use --send --force";
    }
    // Without --to it is not known where they would go.
    if job.destination == Destination::Target(Vec::new()) {
        return "send back with --to QUEUE_URL --send; delete with --delete --only MESSAGE_ID";
    }
    if done.letters.iter().any(|handled| job.would_send(handled)) {
        "send back with --send; delete with --delete --only MESSAGE_ID"
    } else {
        "--send keeps them back: they were not meant for a queue of this stack; delete with --delete --only MESSAGE_ID"
    }
}

/// As JSON: `version`, `queue`; `messages`, each with `id`, `sent`, `receives`, `about`, `reason`, `prospect` (`readable`,
/// `notOurs`, `never`), `outcome` (`seen`, `keptBack`, `sent`, `sentAndStillHere`, `deleted`), `to`, `why`, `attributes`, `body`;
/// `logCommand`; `missing`, `more`, `logGroup`, and `error` when it ended before its time.
pub(super) fn json(job: &Job, done: &Redriven, log: Option<&Log>) -> Value {
    let messages: Vec<Value> = done
        .letters
        .iter()
        .map(|handled @ Handled { letter, assessed, fate }| {
            let (outcome, to, why) = match fate {
                Fate::Seen => ("seen", None, None),
                Fate::KeptBack { why } => ("keptBack", None, Some(why)),
                Fate::Sent { to } => ("sent", Some(to), None),
                Fate::SentAndStillHere { to } => ("sentAndStillHere", Some(to), None),
                Fate::Deleted => ("deleted", None, None),
            };
            json!({
                "id": letter.id,
                "sent": letter.sent,
                "receives": letter.receives,
                "about": assessed.about,
                "reason": assessed.reason,
                "logCommand": log_command(job, handled, log),
                "prospect": match assessed.prospect {
                    Prospect::Readable => "readable",
                    Prospect::NotOurs => "notOurs",
                    Prospect::Never => "never",
                },
                "outcome": outcome,
                "to": to,
                "why": why,
                "attributes": letter.attributes,
                "body": letter.body,
            })
        })
        .collect();
    json!({
        "version": VERSION,
        "queue": job.queue,
        "messages": messages,
        "missing": done.missing,
        "more": done.more,
        "logGroup": log.map(|log| &log.group),
        "error": done.failed.as_ref().map(ToString::to_string),
    })
}
