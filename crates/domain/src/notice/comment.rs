//! The form of a notice for the commit that it is about: a comment, which CodeCommit shows as Markdown.
//!
//! What comes from outside stands in code, or has the characters replaced that mean something in Markdown, as in chats. Comments
//! cannot be subscribed to, so they show what the author of the commit needs, and the mail has the rest.

use super::chat::{code, plain, unformatted};
use super::rollout::{LET_GO, named};
use super::text::{count, short};
use super::{Notice, Rejection, RolloutReport};
use crate::fault::Fault;

/// Longest comment, in bytes: `MaximumContentLength` of CodeCommit counts characters, and bytes are never fewer.
const LIMIT: usize = 10_240;
/// Longest reason that is shown, in characters.
const REASON: usize = 300;
/// Faults of a policy that are shown; the rest are counted.
const FAULTS: usize = 20;

/// The notice as a comment.
pub(super) fn comment(notice: &Notice) -> String {
    let headline = format!("**{}**", headline(notice));
    let (lines, last) = match notice {
        Notice::RolloutSucceeded(report) | Notice::RolloutFailed(report) => rollout(report),
        Notice::PolicyRejected(rejection) => rejected(rejection),
        other => (
            other
                .text()
                .lines()
                .filter(|line| !line.trim().is_empty())
                .map(|line| format!("- {}", code(line, 300)))
                .collect(),
            None,
        ),
    };
    fit(&headline, &lines, last.as_deref())
}

/// The subject of the mail. What stands in brackets before it is ours.
fn headline(notice: &Notice) -> String {
    const LONGEST: usize = 200;
    let subject = notice.subject();
    match subject.strip_prefix('[').and_then(|subject| subject.split_once("] ")) {
        Some((mark, rest)) => format!("[{mark}] {}", plain(rest, LONGEST)),
        None => plain(&subject, LONGEST),
    }
}

fn rollout(report: &RolloutReport) -> (Vec<String>, Option<String>) {
    let mut lines = Vec::new();
    let mut paragraph = |text: String| lines.extend([String::new(), text]);
    match &report.trouble {
        Some(trouble) => paragraph(format!("What went wrong: {}", code(trouble, 1_000))),
        None => {
            let ends = report.ends();
            let ends = if ends.is_empty() { ends } else { format!("Outcome: {ends}. ") };
            let (label, changes) = report.changes();
            paragraph(format!("{ends}{label}: {changes}."));
        }
    }
    if let Some(advice) = report.advice() {
        paragraph(format!("What to do: {advice}"));
    }
    for section in report.sections() {
        lines.extend([String::new(), format!("**{}**", section.title()), String::new()]);
        for told in &section.groups {
            let reason = told.reason().map(|reason| code(&reason, REASON));
            let (first, more) = told.instances();
            let names: Vec<String> = first.iter().map(|name| code(name, 40)).collect();
            let (said, below) = match (told.words(), reason) {
                (Some(words), reason) => (words, reason.map(|reason| format!("  - CloudFormation says: {reason}"))),
                (None, reason) => (reason.unwrap_or_default(), None),
            };
            lines.push(format!("- {}: {said}", told.number()));
            lines.extend(told.advice().map(|advice| format!("  - What to do: {advice}")));
            lines.extend(below);
            lines.push(format!("  - {}", named(&names, more)));
        }
        lines.extend(section.rest().map(|rest| format!("- {rest}")));
    }
    let (let_go, more) = report.let_go();
    if !let_go.is_empty() {
        let names: Vec<String> = let_go.iter().map(|name| code(name, 40)).collect();
        let title = format!("**{LET_GO} ({})**", report.let_go.len());
        lines.extend([String::new(), title, String::new(), format!("- {}", named(&names, more))]);
    }
    (lines, report.next.as_deref().map(|next| prose(next, 500)))
}

fn rejected(rejection: &Rejection) -> (Vec<String>, Option<String>) {
    let mut lines = vec![String::new()];
    lines.extend(rejection.faults.iter().take(FAULTS).map(fault));
    let more = rejection.faults.len().saturating_sub(FAULTS);
    if more > 0 {
        lines.push(format!("- and {}", count(more, "more fault")));
    }
    (
        lines,
        Some("What is deployed stays as it is. `backup-compliance lint` shows all faults before a push.".to_owned()),
    )
}

/// `file:line:column` and what is wrong there; the end of a place is never cut.
fn fault(fault: &Fault) -> String {
    let file = short(&fault.file, 150);
    let place = fault.at.map_or_else(|| file.clone(), |at| format!("{file}:{}:{}", at.line, at.column));
    let fix = if fault.fix.is_empty() { String::new() } else { format!("; {}", prose(&fault.fix, REASON)) };
    format!("- {}: {}{fix}", code(&place, 200), prose(&fault.problem, REASON))
}

/// Our own words with what people wrote in backticks, which stays code. Somebody's backtick can turn the two around, and cannot do
/// more: either is shown as it is.
fn prose(text: &str, limit: usize) -> String {
    let text = short(text, limit);
    let parts: Vec<&str> = text.split('`').collect();
    let last = parts.len().saturating_sub(1);
    let part = |(at, part): (usize, &&str)| match at % 2 {
        // A backtick that is not closed opens nothing.
        1 if at == last => format!("ˋ{}", words(part)),
        1 => code(part, limit),
        _ => words(part),
    };
    parts.iter().enumerate().map(part).collect()
}

/// Markdown makes links of what begins like a host's name, too.
fn words(text: &str) -> String {
    unformatted(text).replace("www.", "www․").replace("WWW.", "WWW․")
}

/// As many whole lines as there is room for between the first and the last.
fn fit(first: &str, lines: &[String], last: Option<&str>) -> String {
    const CUT: &str = "\n\n…";
    let last = last.map(|last| format!("\n\n{last}")).unwrap_or_default();
    let mut left = LIMIT.saturating_sub(first.len()).saturating_sub(last.len()).saturating_sub(CUT.len());
    let mut out = first.to_owned();
    let mut is_cut = false;
    for line in lines {
        let Some(rest) = left.checked_sub(line.len().saturating_add(1)) else {
            is_cut = true;
            break;
        };
        left = rest;
        out.push('\n');
        out.push_str(line);
    }
    if is_cut {
        out.push_str(CUT);
    }
    out.push_str(&last);
    out
}
