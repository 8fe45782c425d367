//! The preview as text.

use console::style;

use domain::preview::{ChangeVerdict, PredictedViolation, Preview};
use syntax::diagnostic::Diagnostic;

use crate::findings::human::place;
use crate::plain::{blocks, count, escaped};

/// Most violations and findings that are shown; more are not readable on a terminal.
const MOST: usize = 40;

pub(super) fn page(preview: &Preview) -> String {
    let word = preview.verdict.word();
    let word = match preview.verdict {
        ChangeVerdict::Ok => style(word).green().bold(),
        ChangeVerdict::Attention => style(word).yellow().bold(),
        ChangeVerdict::Blocked => style(word).red().bold(),
    };
    let mut head = vec![format!("{word}: {} -> {}", escaped(&preview.before), escaped(&preview.after))];
    head.extend(preview.reasons.iter().map(|reason| format!("  {}", escaped(reason))));
    let violations = preview.violations.as_ref();
    let counts = violations.map(|violations| violations.counts).unwrap_or_default();
    let listed = |of: &[PredictedViolation]| of.iter().take(MOST).flat_map(violation).collect::<Vec<_>>();
    let findings = preview.findings.iter().take(MOST).flat_map(finding).collect();
    let (new, resolved) =
        violations.map(|violations| (listed(&violations.new), listed(&violations.resolved))).unwrap_or_default();
    let sections = [
        ("Findings of lint", preview.findings.len() as u64, findings),
        ("New violations", counts.new, new),
        ("Resolved violations", counts.resolved, resolved),
    ];
    let section = |(title, total, lines): (&str, u64, Vec<String>)| {
        let title = style(format!("{title} ({total})")).bold().to_string();
        let more = total.saturating_sub(MOST as u64);
        let more = (more > 0).then(|| format!("  and {}, see --format json", count(more, "more")));
        [title].into_iter().chain(lines).chain(more).collect()
    };
    let sections = sections.into_iter().filter(|(_, total, _)| *total > 0).map(section);
    let mut effects = Vec::new();
    effects.extend(violations.map(|violations| violations.line()));
    effects.push(preview.rollout());
    effects.extend(preview.cost.as_ref().map(|cost| cost.line()));
    effects.extend(
        violations
            .into_iter()
            .flat_map(|violations| &violations.unread)
            .take(MOST)
            .map(|unread| format!("not read: {} {}: {}", unread.account, unread.region, escaped(&unread.reason))),
    );
    blocks([head].into_iter().chain(sections).chain([effects]))
}

fn finding(finding: &Diagnostic) -> Vec<String> {
    vec![format!("  {} {}", place(finding), finding.message), format!("    {} {}", style("fix:").green(), finding.help)]
}

fn violation(violation: &PredictedViolation) -> Vec<String> {
    let name = violation.other_name().map(|name| format!("{} ", escaped(name))).unwrap_or_default();
    let mut lines = vec![
        format!("  {name}{} ({} {})", escaped(&violation.resource), violation.account, violation.region),
        format!("    {}: {}", violation.control, escaped(&violation.reason)),
    ];
    lines.extend(violation.fix.as_deref().map(|fix| format!("    {} {}", style("fix:").green(), escaped(fix))));
    lines
}
