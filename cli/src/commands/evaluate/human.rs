//! Judgements for people.

use console::style;
use domain::evaluation::{Flaw, Tally, Verdict};
use jiff::Timestamp;

use super::out::{self, Out};
use super::{Row, Told, Unread};
use crate::output;
use crate::plain::{count, number, shown};
use crate::table::{self, Column, Cut};

#[derive(Debug, Default)]
pub(super) struct Human {
    told: usize,
}

/// Most that is shown of what was not read.
pub(super) const MOST: usize = 20;
/// Most judgements that are shown: nobody reads more on a terminal, and other forms have all.
const MOST_JUDGEMENTS: usize = 100;

impl Out for Human {
    fn begin(&mut self, _: Timestamp, _: &[&str]) -> anyhow::Result<()> {
        Ok(())
    }

    fn one(&mut self, told: &Told<'_>) -> anyhow::Result<()> {
        self.told = self.told.saturating_add(1);
        if self.told > MOST_JUDGEMENTS {
            return Ok(());
        }
        let judgement = &told.judgement;
        let name = judgement.subject.name().unwrap_or(judgement.subject.id());
        let head = format!("{} ({}) in {} {}", shown(name), shown(told.kind), told.account, told.region);
        let control = judgement.asked.control.name;
        let word = match &judgement.verdict {
            Verdict::Compliant(_) => style("compliant").green(),
            Verdict::NotCompliant(_) => style("not compliant").red().bold(),
            Verdict::Undecided(_) => style("undecided").yellow().bold(),
        };
        out::write(&format!("{}: {word}, {control}\n  {}\n", style(head).bold(), judgement.verdict))?;
        if let Verdict::NotCompliant(flaw) = &judgement.verdict {
            out::write(&format!(
                "  {} {}\n",
                style("fix:").green().bold(),
                fix(flaw, judgement.asked.control.remediation)
            ))?;
        }
        out::write("\n")
    }

    fn end(&mut self, rows: &[Row], unread: &[Unread]) -> anyhow::Result<()> {
        if let more @ 1.. = self.told.saturating_sub(MOST_JUDGEMENTS) {
            out::write(&format!(
                "and {} more, which are not shown; narrow it with --control or --in-account, or take --format csv or json, which have all\n\n",
                number(more)
            ))?;
        }
        let judged = rows.iter().map(|Row { tally, .. }| tally.compliant + tally.not_compliant + tally.undecided);
        if judged.sum::<u64>() == 0 {
            out::write("Nothing was judged: the inventory has nothing that is asked about.\n\n")?;
        }
        out::write(&summary(rows, output::room()))?;
        for unread in unread.iter().take(MOST) {
            out::write(&format!("{} {}\n", style("not read:").yellow(), unread_line(unread)))?;
        }
        if unread.len() > MOST {
            out::write(&format!("and {} more that were not read\n", unread.len() - MOST))?;
        }
        out::flush()
    }
}

/// A part of the inventory that was not read.
pub(super) fn unread_line(Unread { account, region, part, why }: &Unread) -> String {
    let part = part.as_deref().unwrap_or("everything");
    let why = if why.is_empty() { String::new() } else { format!(" ({})", shown(why)) };
    format!("{part} of account {account} in {region}{why}")
}

/// What would be right.
pub(super) fn fix(flaw: &Flaw<'_>, remediation: &str) -> String {
    match flaw {
        Flaw::NotSelected(miss) if !miss.changes.is_empty() => {
            let all: Vec<String> = miss.changes.iter().map(ToString::to_string).collect();
            let of = miss.cluster.map(|arn| format!("for its cluster `{}`: ", shown(arn))).unwrap_or_default();
            format!("{of}{}", all.join(" and "))
        }
        _ => remediation.to_owned(),
    }
}

/// The table by control, and the sum.
fn summary(rows: &[Row], room: Option<usize>) -> String {
    let several = rows.iter().any(|row| Some(&row.framework) != rows.first().map(|row| &row.framework));
    let named = rows.iter().map(|row| {
        let name =
            if several { format!("{}: {}", row.framework, row.control.name) } else { row.control.name.to_owned() };
        (name, row.tally)
    });
    by_control(&named.collect::<Vec<_>>(), room)
}

/// The table of how many judgements there are, by name; at most `room` wide.
pub(crate) fn by_control(rows: &[(String, Tally)], room: Option<usize>) -> String {
    // Numbers are not cut, and names of controls differ in their ends.
    const COLUMNS: [Column; 4] = [
        Column { head: "CONTROL", least: 25, cut: Cut::Start },
        Column { head: "COMPLIANT", least: 9, cut: Cut::End },
        Column { head: "NOT COMPLIANT", least: 13, cut: Cut::End },
        Column { head: "UNDECIDED", least: 9, cut: Cut::End },
    ];
    let texts: Vec<Vec<String>> = rows
        .iter()
        .map(|(name, tally)| {
            vec![
                name.clone(),
                tally.compliant.to_string(),
                tally.not_compliant.to_string(),
                tally.undecided.to_string(),
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
            for (name, tally) in rows {
                let name = table::from_end(name, room.unwrap_or(usize::MAX));
                out.push_str(&format!("{}\n", style(name).bold()));
                let numbers = [
                    ("compliant", tally.compliant),
                    ("not compliant", tally.not_compliant),
                    ("undecided", tally.undecided),
                ];
                for (word, number) in numbers {
                    out.push_str(&format!("  {number} {word}\n"));
                }
            }
        }
    }
    let sum = |of: fn(&Tally) -> u64| rows.iter().map(|(_, tally)| of(tally)).sum::<u64>();
    let (broken, undecided) = (sum(|tally| tally.not_compliant), sum(|tally| tally.undecided));
    let controls = count(number(rows.len()), "control");
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
    fn the_table_by_control_is_as_wide_as_the_terminal_at_most() {
        let tally = Tally { compliant: 120_000, not_compliant: 3, undecided: 0 };
        let name = "acme-backup-framework: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN".to_owned();
        let rows = [(name.clone(), tally), (name, Tally::default())];
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
