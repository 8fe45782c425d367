//! Evaluations as text.

use std::collections::BTreeSet;
use std::fmt::Display;

use console::style;

use evaluation::{ComplianceResult, EvaluationCounts, ViolationExemption};

use super::{EvaluationWriter, LocatedEvaluation, SummaryRow, UnreadPart};
use crate::output;
use crate::plain::{count, escaped};
use crate::table::{self, Column, Cut};

#[derive(Debug, Default)]
pub(super) struct Human {
    located: usize,
}

/// The maximum of unread parts shown.
const MOST: usize = 20;
/// The maximum of evaluations shown; more are not readable on a terminal, and the other formats contain all.
const MOST_EVALUATIONS: usize = 100;

impl EvaluationWriter for Human {
    fn one(&mut self, located: &LocatedEvaluation<'_>) -> anyhow::Result<String> {
        self.located = self.located.saturating_add(1);
        if self.located > MOST_EVALUATIONS {
            return Ok(String::new());
        }
        let evaluation = &located.evaluation;
        let name = evaluation.subject.name().unwrap_or(evaluation.subject.id());
        let head = format!("{} ({}) in {} {}", escaped(name), escaped(located.kind), located.account, located.region);
        let control = evaluation.query.control.name;
        if let Some(ViolationExemption { until, reason }) = &located.exemption {
            let (head, result, label) = (style(head).bold(), &evaluation.result, style("exemption:").bold());
            let reason = escaped(reason);
            return Ok(format!("{head}: exempt until {until}, {control}\n  {result}\n  {label} {reason}\n\n"));
        }
        let word = match &evaluation.result {
            ComplianceResult::Compliant(_) => style("compliant").green(),
            ComplianceResult::NotCompliant(_) => style("not compliant").red().bold(),
            ComplianceResult::Undecided(_) => style("undecided").yellow().bold(),
        };
        let fix = located
            .evaluation
            .fix()
            .map(|fix| format!("  {} {fix}\n", style("fix:").green().bold()))
            .unwrap_or_default();
        Ok(format!("{}: {word}, {control}\n  {}\n{fix}\n", style(head).bold(), evaluation.result))
    }

    fn end(&mut self, rows: &[SummaryRow<'_>], unread: &BTreeSet<UnreadPart>) -> anyhow::Result<String> {
        let mut out = String::new();
        if let more @ 1.. = self.located.saturating_sub(MOST_EVALUATIONS) {
            out.push_str(&format!(
                "and {more} more, not shown; filter with --control or --in-account, or use --format csv or json, which show all\n\n"
            ));
        }
        if rows.iter().all(|row| row.counts == EvaluationCounts::default()) {
            out.push_str("Nothing was evaluated: the frameworks cover no resource of the inventory.\n\n");
        }
        let several = rows.iter().any(|row| Some(row.framework) != rows.first().map(|row| row.framework));
        let rows = rows.iter().map(|SummaryRow { framework, control, counts }| {
            let name = if several { format!("{framework}: {}", control.name) } else { control.name.to_owned() };
            (name, *counts)
        });
        out.push_str(&by_control(&rows.collect::<Vec<_>>(), output::terminal_width()));
        unread_lines(unread, style("not read:").yellow()).for_each(|line| out.push_str(&format!("{line}\n")));
        Ok(out)
    }
}

/// Describes the first unread parts, and returns the number of the others.
pub(super) fn unread_lines(parts: &BTreeSet<UnreadPart>, label: impl Display) -> impl Iterator<Item = String> {
    let line = move |UnreadPart { account, region, part, reason }: &UnreadPart| {
        let part = part.as_deref().unwrap_or("everything");
        let reason = if reason.is_empty() { String::new() } else { format!(" ({})", escaped(reason)) };
        format!("{label} {part} of account {account} in {region}{reason}")
    };
    let more = parts.len().saturating_sub(MOST);
    parts.iter().take(MOST).map(line).chain((more > 0).then(|| format!("and {more} more unread parts")))
}

/// Formats the table of counts, at most `room` wide, and the totals.
pub(crate) fn by_control<N: AsRef<str>>(rows: &[(N, EvaluationCounts)], room: Option<usize>) -> String {
    // Numbers are not truncated, and control names differ at their ends.
    const COLUMNS: [Column; 5] = [
        Column { head: "CONTROL", least: 25, cut: Cut::Start },
        Column::new("COMPLIANT", 9),
        Column::new("NOT COMPLIANT", 13),
        Column::new("UNDECIDED", 9),
        Column::new("EXEMPT", 6),
    ];
    let exempt = rows.iter().map(|(_, counts)| counts.exempt).sum::<u64>();
    let numbers = |of: &EvaluationCounts| {
        let exempt = (exempt > 0).then_some(of.exempt);
        [of.compliant, of.not_compliant, of.undecided].into_iter().chain(exempt)
    };
    let columns = COLUMNS.get(..COLUMNS.len() - usize::from(exempt == 0)).unwrap_or(&COLUMNS);
    let texts: Vec<Vec<String>> = rows
        .iter()
        .map(|(name, counts)| {
            let numbers = numbers(counts).map(|number| number.to_string());
            std::iter::once(name.as_ref().to_owned()).chain(numbers).collect()
        })
        .collect();
    // A terminal may be too narrow for the table.
    let lines = table::lines(columns, &texts, room, |_, _| {}).unwrap_or_else(|| {
        let block = |(name, counts): &(N, EvaluationCounts)| {
            let name = style(table::from_end(name.as_ref(), room.unwrap_or(usize::MAX))).bold().to_string();
            let words = ["compliant", "not compliant", "undecided", "exempt"];
            let numbers = numbers(counts).zip(words).map(|(number, word)| format!("  {number} {word}"));
            std::iter::once(name).chain(numbers).collect::<Vec<_>>()
        };
        rows.iter().flat_map(block).collect()
    });
    let findings = match rows.iter().map(|(_, counts)| counts.not_compliant).sum::<u64>() {
        0 => style("no findings".to_owned()).green(),
        broken => style(count(broken, "finding")).red(),
    };
    let undecided = match rows.iter().map(|(_, counts)| counts.undecided).sum::<u64>() {
        0 => String::new(),
        n => format!(", {}", style(format!("{n} undecided")).yellow()),
    };
    let controls = count(rows.len(), "control");
    let exempt = if exempt == 0 { String::new() } else { format!(", {exempt} exempt") };
    let total = format!("\n{controls}: {findings}{undecided}{exempt}");
    lines.into_iter().chain([total]).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_table_never_exceeds_the_terminal_width() {
        let counts = EvaluationCounts { compliant: 120_000, not_compliant: 3, undecided: 0, exempt: 0 };
        let name = "acme-backup-framework: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN".to_owned();
        let rows = [(name.clone(), counts), (name, EvaluationCounts::default())];
        for room in 30..130 {
            let table = by_control(&rows, Some(room));
            for line in table.lines() {
                assert!(console::measure_text_width(line) <= room, "{room}: {line}");
            }
            assert!(table.contains("PROTECTED_BY_BACKUP_PLAN") && table.contains("120000"), "{room}: {table}");
        }
        assert!(by_control(&rows, Some(80)).starts_with("CONTROL "));
        assert!(by_control(&rows, Some(40)).contains("\n  120000 compliant\n  3 not compliant\n  0 undecided\n"));
        assert!(by_control(&rows, None).contains("acme-backup-framework: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN  "));
    }
}
