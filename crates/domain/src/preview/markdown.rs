//! The preview as Markdown, for comments on pull requests: without tables and HTML, which CodeCommit does not show.

use std::fmt::Write as _;

use syntax::diagnostic::Diagnostic;

use super::{PredictedViolation, PredictedViolations, Preview};
use crate::cost::{CostChange, CostRange};
use crate::notice::text::{code, fitting, markdown, moment, numbers};

/// Most characters of a comment in CodeCommit.
pub const MAX_COMMENT_CHARACTERS: usize = 10_240;

/// The longest text of a message, in characters.
const LONGEST: usize = 300;

impl Preview {
    /// Renders Markdown of at most `limit` characters, the most important first. What does not fit is counted.
    ///
    /// A line break counts twice, since CodeCommit shows a single one as a space and may store two.
    pub fn markdown(&self, limit: usize) -> String {
        let mut head = vec![format!("**Backup Compliance: {}**", self.verdict.word()), String::new()];
        head.extend(self.reasons.iter().map(|reason| format!("- {}", markdown(reason, LONGEST))));
        head.extend(self.violations.iter().map(|violations| format!("- {}", violations.line())));
        head.push(format!("- {}", self.rollout()));
        head.extend(self.cost.iter().map(|cost| format!("- {}", cost.line())));
        let violations = self.violations.as_ref();
        let counts = violations.map(|violations| violations.counts).unwrap_or_default();
        let list = |of: fn(&PredictedViolations) -> &[PredictedViolation]| -> Vec<String> {
            violations.map(of).unwrap_or_default().iter().map(violation).collect()
        };
        let sections = [
            ("Findings of lint", self.findings.iter().map(finding).collect(), self.findings.len() as u64),
            ("New violations", list(|all| &all.new), counts.new),
            ("Resolved violations", list(|all| &all.resolved), counts.resolved),
        ];
        let length = |line: &str| line.chars().count().saturating_add(1);
        let used = |lines: &[String]| lines.iter().map(|line| length(line).saturating_add(1)).sum::<usize>();
        let mut lines = head;
        for (title, items, total) in sections {
            if total == 0 {
                continue;
            }
            // Room for the title, the line with the number of others, and the titles of later sections.
            let room = limit.saturating_sub(used(&lines)).saturating_sub(300);
            let shown = fitting(&items, room, length);
            lines.extend([String::new(), format!("**{title} ({total})**"), String::new()]);
            lines.extend(shown.iter().cloned());
            if let more @ 1.. = total.saturating_sub(shown.len() as u64) {
                lines.push(format!("- and {more} more"));
            }
        }
        lines.join("\n")
    }

    /// The rollout in one line.
    pub fn rollout(&self) -> String {
        let counts = self.instances();
        let changes = numbers([
            (counts.create, "created"),
            (counts.update, "updated"),
            (counts.delete, "deleted"),
            (counts.retain, "deleted with their stacks retained"),
        ]);
        let mut line = match changes.is_empty() {
            true => "the rollout changes no known stack instance".to_owned(),
            false => format!("stack instances: {changes}"),
        };
        if !self.kept.is_empty() {
            let names: Vec<String> = self.kept.iter().map(|name| format!("`{name}`")).collect();
            let _ = write!(line, "; not in the policy any more and still deployed: {}", names.join(", "));
        }
        line
    }
}

impl PredictedViolations {
    /// The numbers in one line.
    pub fn line(&self) -> String {
        let counts = self.counts;
        format!(
            "violations: {} new, {} resolved, {} unchanged, {} exempt, {} undecided, by the inventory of {}",
            counts.new,
            counts.resolved,
            counts.unchanged,
            counts.exempt,
            counts.undecided,
            moment(self.inventory_as_of)
        )
    }
}

impl CostChange {
    /// The cost in one line.
    pub fn line(&self) -> String {
        let cost = self;
        let range = |CostRange { low, high }: CostRange| format!("{low:.2} to {high:.2} {} a month", cost.currency);
        let mut line = format!("cost of evaluations: {}, a change of {}", range(cost.after), range(cost.increase));
        let _ = write!(line, " (prices of {}", cost.prices_of);
        if !cost.unconfirmed.is_empty() {
            line.push_str("; the price of Audit Manager is not confirmed");
        }
        line.push(')');
        if let Some(driver) = cost.drivers.first() {
            let _ = write!(line, ", most by {} ({:+.0} evaluations a month)", driver.control, driver.evaluations);
        }
        line
    }
}

/// Renders a finding of lint for a comment at its line.
pub fn finding_comment(finding: &Diagnostic) -> String {
    let rule = finding.rule.map(|rule| format!(" {rule}")).unwrap_or_default();
    let (message, help) = (markdown(&finding.message, LONGEST), markdown(&finding.help, LONGEST));
    format!("**{}{rule}**: {message}; {help}", finding.level.as_str())
}

fn finding(finding: &Diagnostic) -> String {
    let at = finding.at.map(|at| format!(":{}:{}", at.line, at.column)).unwrap_or_default();
    let message = format!("{}; {}", finding.message, finding.help);
    let rule = finding.rule.map(|rule| format!(" {rule}")).unwrap_or_default();
    let file = code(&format!("{}{at}", finding.file), LONGEST);
    format!("- {}{rule} {file}: {}", finding.level.as_str(), markdown(&message, LONGEST))
}

fn violation(violation: &PredictedViolation) -> String {
    let fix = violation.fix.as_deref().map(|fix| format!("; {}", markdown(fix, LONGEST))).unwrap_or_default();
    let name = violation.other_name().map(|name| format!("{} ", code(name, LONGEST))).unwrap_or_default();
    format!(
        "- {name}{} ({} {}): {}: {}{fix}",
        code(&violation.resource, LONGEST),
        violation.account,
        violation.region,
        violation.control,
        markdown(&violation.reason, LONGEST)
    )
}
