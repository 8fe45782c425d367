//! Evaluations as text.

use console::style;
use jiff::Timestamp;

use evaluation::{ComplianceResult, EvaluationCounts, NonComplianceReason};

use super::out::{self, EvaluationWriter};
use super::{LocatedEvaluation, SummaryRow, UnreadPart};
use crate::output;
use crate::plain::{count, escaped, to_u64};
use crate::table::{self, Column, Cut};

#[derive(Debug, Default)]
pub(super) struct Human {
    located: usize,
}

/// The maximum of unread parts shown.
pub(super) const MOST: usize = 20;
/// The maximum of evaluations shown; more are not readable on a terminal, and the other formats contain all.
const MOST_EVALUATIONS: usize = 100;

impl EvaluationWriter for Human {
    fn begin(&mut self, _: Timestamp, _: &[&str]) -> anyhow::Result<()> {
        Ok(())
    }

    fn one(&mut self, located: &LocatedEvaluation<'_>) -> anyhow::Result<()> {
        self.located = self.located.saturating_add(1);
        if self.located > MOST_EVALUATIONS {
            return Ok(());
        }
        let evaluation = &located.evaluation;
        let name = evaluation.subject.name().unwrap_or(evaluation.subject.id());
        let head = format!("{} ({}) in {} {}", escaped(name), escaped(located.kind), located.account, located.region);
        let control = evaluation.query.control.name;
        let word = match &evaluation.result {
            ComplianceResult::Compliant(_) => style("compliant").green(),
            ComplianceResult::NotCompliant(_) => style("not compliant").red().bold(),
            ComplianceResult::Undecided(_) => style("undecided").yellow().bold(),
        };
        out::write(&format!("{}: {word}, {control}\n  {}\n", style(head).bold(), evaluation.result))?;
        if let ComplianceResult::NotCompliant(reason) = &evaluation.result {
            out::write(&format!(
                "  {} {}\n",
                style("fix:").green().bold(),
                fix(reason, evaluation.query.control.remediation)
            ))?;
        }
        out::write("\n")
    }

    fn end(&mut self, rows: &[SummaryRow], unread: &[UnreadPart]) -> anyhow::Result<()> {
        if let more @ 1.. = self.located.saturating_sub(MOST_EVALUATIONS) {
            out::write(&format!(
                "and {} more, not shown; filter with --control or --in-account, or use --format csv or json, which show all\n\n",
                to_u64(more)
            ))?;
        }
        let judged =
            rows.iter().map(|SummaryRow { counts, .. }| counts.compliant + counts.not_compliant + counts.undecided);
        if judged.sum::<u64>() == 0 {
            out::write("Nothing was evaluated: the frameworks cover no resource of the inventory.\n\n")?;
        }
        out::write(&summary(rows, output::terminal_width()))?;
        for unread in unread.iter().take(MOST) {
            out::write(&format!("{} {}\n", style("not read:").yellow(), unread_line(unread)))?;
        }
        if unread.len() > MOST {
            out::write(&format!("and {} more unread parts\n", unread.len() - MOST))?;
        }
        out::flush()
    }
}

/// Describes an unread part.
pub(super) fn unread_line(UnreadPart { account, region, part, reason }: &UnreadPart) -> String {
    let part = part.as_deref().unwrap_or("everything");
    let reason = if reason.is_empty() { String::new() } else { format!(" ({})", escaped(reason)) };
    format!("{part} of account {account} in {region}{reason}")
}

/// Returns the fix.
pub(super) fn fix(reason: &NonComplianceReason<'_>, remediation: &str) -> String {
    match reason {
        NonComplianceReason::NotSelected(not_selected) if !not_selected.steps.is_empty() => {
            let all: Vec<String> = not_selected.steps.iter().map(ToString::to_string).collect();
            let of =
                not_selected.cluster.map(|arn| format!("for its cluster `{}`: ", escaped(arn))).unwrap_or_default();
            format!("{of}{}", all.join(" and "))
        }
        _ => remediation.to_owned(),
    }
}

/// Formats the table by control and the totals.
fn summary(rows: &[SummaryRow], room: Option<usize>) -> String {
    let several = rows.iter().any(|row| Some(&row.framework) != rows.first().map(|row| &row.framework));
    let named = rows.iter().map(|row| {
        let name =
            if several { format!("{}: {}", row.framework, row.control.name) } else { row.control.name.to_owned() };
        (name, row.counts)
    });
    by_control(&named.collect::<Vec<_>>(), room)
}

/// Formats the table of counts, at most `room` wide.
pub(crate) fn by_control(rows: &[(String, EvaluationCounts)], room: Option<usize>) -> String {
    // Numbers are not truncated, and control names differ at their ends.
    const COLUMNS: [Column; 4] = [
        Column { head: "CONTROL", least: 25, cut: Cut::Start },
        Column { head: "COMPLIANT", least: 9, cut: Cut::End },
        Column { head: "NOT COMPLIANT", least: 13, cut: Cut::End },
        Column { head: "UNDECIDED", least: 9, cut: Cut::End },
    ];
    let texts: Vec<Vec<String>> = rows
        .iter()
        .map(|(name, counts)| {
            vec![
                name.clone(),
                counts.compliant.to_string(),
                counts.not_compliant.to_string(),
                counts.undecided.to_string(),
            ]
        })
        .collect();
    let mut out = String::new();
    match table::widths(&COLUMNS, &texts, room) {
        Some(widths) => {
            let heads: Vec<String> = COLUMNS.iter().map(|column| column.head.to_owned()).collect();
            out.push_str(&format!("{}\n", style(table::line(&table::cells(&COLUMNS, &heads, &widths))).bold()));
            for row in &texts {
                out.push_str(&format!("{}\n", table::line(&table::cells(&COLUMNS, row, &widths))));
            }
        }
        // Too narrow for a table.
        None => {
            for (name, counts) in rows {
                let name = table::from_end(name, room.unwrap_or(usize::MAX));
                out.push_str(&format!("{}\n", style(name).bold()));
                let numbers = [
                    ("compliant", counts.compliant),
                    ("not compliant", counts.not_compliant),
                    ("undecided", counts.undecided),
                ];
                for (word, number) in numbers {
                    out.push_str(&format!("  {number} {word}\n"));
                }
            }
        }
    }
    let sum = |of: fn(&EvaluationCounts) -> u64| rows.iter().map(|(_, counts)| of(counts)).sum::<u64>();
    let (broken, undecided) = (sum(|counts| counts.not_compliant), sum(|counts| counts.undecided));
    let controls = count(to_u64(rows.len()), "control");
    let findings = match broken {
        0 => style("no findings".to_owned()).green().to_string(),
        n => style(count(n, "finding")).red().to_string(),
    };
    let undecided = match undecided {
        0 => String::new(),
        n => format!(", {}", style(format!("{n} undecided")).yellow()),
    };
    out.push_str(&format!("\n{controls}: {findings}{undecided}\n"));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_table_never_exceeds_the_terminal_width() {
        let counts = EvaluationCounts { compliant: 120_000, not_compliant: 3, undecided: 0 };
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
