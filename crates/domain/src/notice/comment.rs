//! Comments on commits, which CodeCommit shows as Markdown.
//!
//! External text is escaped as in chats. Comments have no subscribers, so they contain only the facts for the author of the
//! commit; the mail has the rest.

use syntax::diagnostic::Diagnostic;

use super::rollout::RETAINED;
use super::text::{code, count, fitting, headline, list, markdown, short};
use super::{Notice, PolicyRejection, RolloutReport};

/// Bytes of a comment: `MaximumContentLength` of CodeCommit counts characters, and bytes are never fewer.
const MAX_COMMENT: usize = 10_240;
const MAX_REASON: usize = 300;
const DIAGNOSTICS: usize = 20;

impl Notice {
    /// Renders a Markdown comment on a commit of at most 10,240 bytes (CodeCommit quotas). Equal notices give equal comments.
    pub fn comment(&self) -> String {
        const CUT: &str = "\n\n…";
        let headline = format!("**{}**", headline(&self.subject()));
        let (lines, last) = match self {
            Self::RolloutSucceeded(report) | Self::RolloutFailed(report) => rollout(report),
            Self::PolicyRejected(rejection) => rejected(rejection),
            other => {
                let text = other.text();
                let lines = text.lines().filter(|line| !line.trim().is_empty());
                (lines.map(|line| format!("- {}", code(line, 300))).collect(), None)
            }
        };
        let last = last.map(|last| format!("\n\n{last}")).unwrap_or_default();
        let used = [&headline, &last, CUT].map(str::len).into_iter().fold(0, usize::saturating_add);
        let fitting = fitting(&lines, MAX_COMMENT.saturating_sub(used), str::len);
        let cut = if fitting.len() < lines.len() { CUT } else { "" };
        [headline].iter().chain(fitting).map(String::as_str).collect::<Vec<_>>().join("\n") + cut + &last
    }
}

fn rollout(report: &RolloutReport) -> (Vec<String>, Option<String>) {
    let mut lines = Vec::new();
    let mut paragraph = |text: String| lines.extend([String::new(), text]);
    let (outcomes, (label, changes)) = (report.outcomes(), report.changes());
    let outcomes = if outcomes.is_empty() { outcomes } else { format!("Outcome: {outcomes}. ") };
    let error = report.error.as_deref().map(|error| format!("Error: {}", code(error, 1_000)));
    paragraph(error.unwrap_or_else(|| format!("{outcomes}{label}: {changes}.")));
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
    let Diagnostic { file, at, message, help, .. } = diagnostic;
    let at = at.map(|at| format!(":{}:{}", at.line, at.column)).unwrap_or_default();
    let help = if help.is_empty() { String::new() } else { format!("; {}", markdown(help, MAX_REASON)) };
    format!("- {}: {}{help}", code(&(short(file, 150) + &at), 200), markdown(message, MAX_REASON))
}
