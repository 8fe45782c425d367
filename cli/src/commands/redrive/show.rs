//! Messages of a dead-letter queue for people and programs.

use app::inspect::{Action, Fate, Handled, Job, Prospect, Redriven};
use console::style;
use serde_json::{Value, json};

use crate::plain::{self, count, shown};

/// The version of the JSON form. Fields are added without a new one.
const VERSION: u32 = 1;

pub(super) fn page(job: &Job, done: &Redriven) -> String {
    let blocks = done.letters.iter().map(block);
    blocks.chain(missing(done)).chain([summary(job, done)]).map(|text| format!("{text}\n")).collect()
}

fn block(handled: &Handled) -> String {
    let Handled { letter, assessed, fate } = handled;
    let sent = letter.sent.map_or_else(|| "at an unknown time".to_owned(), plain::time);
    let mut text = format!(
        "{}  sent {sent}, received {}\n  about   {}\n  reason  {}\n",
        style(shown(&letter.id)).bold(),
        count(letter.receives, "time"),
        shown(&assessed.about),
        shown(&assessed.reason)
    );
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
            "not found: {}; it may be hidden while somebody else reads it, for two minutes at most\n",
            ids.join(", ")
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
            format!("{} in {queue}{hopeless}", count(plain::number(done.letters.len()), "message"))
        }
        Action::Send { .. } => {
            let kept = number(|handled| matches!(handled.fate, Fate::KeptBack { .. }));
            format!("{} sent back, {kept} kept back in {queue}", count(sent, "message"))
        }
        Action::Delete => {
            format!("{} deleted from {queue}", count(number(|handled| handled.fate == Fate::Deleted), "message"))
        }
    };
    if done.more > 0 && job.only.is_empty() {
        text.push_str(&format!("; about {} more (by the queue's own count, which may be a minute old)", done.more));
        if job.queue.ends_with(".fifo") && job.limit.is_none_or(|limit| done.letters.len() < limit) {
            text.push_str(": a FIFO queue shows the first of a group only, until they are sent back or deleted");
        }
    }
    if job.action == Action::Look && !done.letters.is_empty() {
        text.push_str("\nsend back with --send; throw away with --delete --only MESSAGE_ID");
    }
    text
}

/// As JSON: `version`, `queue`; `messages`, each with `id`, `sent`, `receives`, `about`, `reason`, `prospect` (`readable`,
/// `notOurs`, `never`), `outcome` (`seen`, `keptBack`, `sent`, `sentAndStillHere`, `deleted`), `to`, `why`, `attributes`, `body`;
/// `missing`, `more`, and `error` when it ended before its time.
pub(super) fn json(job: &Job, done: &Redriven) -> Value {
    let messages: Vec<Value> = done
        .letters
        .iter()
        .map(|Handled { letter, assessed, fate }| {
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
        "error": done.failed.as_ref().map(ToString::to_string),
    })
}
