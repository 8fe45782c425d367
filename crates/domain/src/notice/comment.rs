//! Comments on commits, which CodeCommit shows as Markdown.
//!
//! External text is escaped as in chats. Comments have no subscribers, so they contain only the facts for the author of the
//! commit; the mail has the rest.

use syntax::diagnostic::Diagnostic;

use super::rollout::RETAINED;
use super::text::{code, count, headline, list, markdown, short};
use super::{Notice, PolicyRejection, RolloutReport};

/// Bytes of a comment: `MaximumContentLength` of CodeCommit counts characters, and bytes are never fewer.
const MAX_COMMENT: usize = 10_240;
/// Characters of a reason.
const MAX_REASON: usize = 300;
/// Diagnostics that are shown; the others are counted.
const DIAGNOSTICS: usize = 20;

pub(super) fn comment(notice: &Notice) -> String {
    let headline = format!("**{}**", headline(&notice.subject()));
    let (lines, last) = match notice {
        Notice::RolloutSucceeded(report) | Notice::RolloutFailed(report) => rollout(report),
        Notice::PolicyRejected(rejection) => rejected(rejection),
        other => {
            let text = other.text();
            let lines = text.lines().filter(|line| !line.trim().is_empty());
            (lines.map(|line| format!("- {}", code(line, 300))).collect(), None)
        }
    };
    fit_lines(&headline, &lines, last.as_deref())
}

fn rollout(report: &RolloutReport) -> (Vec<String>, Option<String>) {
    let mut lines = Vec::new();
    let mut paragraph = |text: String| lines.extend([String::new(), text]);
    match &report.error {
        Some(failure) => paragraph(format!("Error: {}", code(failure, 1_000))),
        None => {
            let outcomes = report.outcomes();
            let outcomes = if outcomes.is_empty() { outcomes } else { format!("Outcome: {outcomes}. ") };
            let (label, changes) = report.changes();
            paragraph(format!("{outcomes}{label}: {changes}."));
        }
    }
    if let Some(advice) = report.advice() {
        paragraph(format!("What to do: {advice}"));
    }
    for section in report.sections() {
        lines.extend([String::new(), format!("**{}**", section.title()), String::new()]);
        for group in &section.groups {
            let reason = group.reason().map(|reason| code(&reason, MAX_REASON));
            let (first, more) = group.instances();
            let names: Vec<String> = first.iter().map(|name| code(name, 40)).collect();
            let (cause, details) = match (group.cause(), reason) {
                (Some(cause), reason) => (cause, reason.map(|reason| format!("  - CloudFormation reports: {reason}"))),
                (None, reason) => (reason.unwrap_or_default(), None),
            };
            lines.push(format!("- {}: {cause}", group.number()));
            lines.extend(group.advice().map(|advice| format!("  - What to do: {advice}")));
            lines.extend(details);
            lines.push(format!("  - {}", list(&names, more)));
        }
        lines.extend(section.rest().map(|rest| format!("- {rest}")));
    }
    let (retained, more) = report.retained();
    if !retained.is_empty() {
        let names: Vec<String> = retained.iter().map(|name| code(name, 40)).collect();
        let title = format!("**{RETAINED} ({})**", report.retained.len());
        lines.extend([String::new(), title, String::new(), format!("- {}", list(&names, more))]);
    }
    (lines, report.next.as_deref().map(|next| markdown(next, 500)))
}

fn rejected(rejection: &PolicyRejection) -> (Vec<String>, Option<String>) {
    let mut lines = vec![String::new()];
    lines.extend(rejection.diagnostics.iter().take(DIAGNOSTICS).map(diagnostic));
    let more = rejection.diagnostics.len().saturating_sub(DIAGNOSTICS);
    lines.extend((more > 0).then(|| format!("- and {}", count(more, "more error"))));
    let last = "Deployed frameworks stay unchanged. Run `backup-compliance lint` to see all errors before a push.";
    (lines, Some(last.to_owned()))
}

/// `file:line:column`, message and help; the line and column are never cut.
fn diagnostic(diagnostic: &Diagnostic) -> String {
    let Diagnostic { file, at, message: problem, help: fix, .. } = diagnostic;
    let file = short(file, 150);
    let position = at.map_or_else(|| file.clone(), |at| format!("{file}:{}:{}", at.line, at.column));
    let help = if fix.is_empty() { String::new() } else { format!("; {}", markdown(fix, MAX_REASON)) };
    format!("- {}: {}{help}", code(&position, 200), markdown(problem, MAX_REASON))
}

/// Joins the whole lines that fit between the first and the last.
fn fit_lines(first: &str, lines: &[String], last: Option<&str>) -> String {
    const CUT: &str = "\n\n…";
    let last = last.map(|last| format!("\n\n{last}")).unwrap_or_default();
    let mut left = MAX_COMMENT.saturating_sub(first.len()).saturating_sub(last.len()).saturating_sub(CUT.len());
    let mut out = first.to_owned();
    for line in lines {
        let Some(rest) = left.checked_sub(line.len().saturating_add(1)) else {
            out.push_str(CUT);
            break;
        };
        left = rest;
        out.push('\n');
        out.push_str(line);
    }
    out + &last
}
