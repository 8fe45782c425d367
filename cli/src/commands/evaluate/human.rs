//! Judgements for people.

use console::style;
use domain::evaluation::{Flaw, Tally, Verdict};
use jiff::Timestamp;

use super::out::{self, Out};
use super::{Row, Told, Unread};
use crate::plain::{count, number, shown};
use crate::table::{self, Column, Cut};

#[derive(Debug, Default)]
pub(super) struct Human {
    told: usize,
}

/// Most that is shown of what was not read.
const MOST: usize = 20;
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
                "and {} more, which are not shown; narrow it with --control or --account, or take --format json, which has all\n\n",
                number(more)
            ))?;
        }
        let judged = rows.iter().map(|Row { tally, .. }| tally.compliant + tally.not_compliant + tally.undecided);
        if judged.sum::<u64>() == 0 {
            out::write("Nothing was judged: the inventory has nothing that is asked about.\n\n")?;
        }
        out::write(&summary(rows))?;
        for Unread { account, region, part, why } in unread.iter().take(MOST) {
            let part = part.as_deref().unwrap_or("everything");
            let why = if why.is_empty() { String::new() } else { format!(" ({})", shown(why)) };
            out::write(&format!("{} {part} of account {account} in {region}{why}\n", style("not read:").yellow()))?;
        }
        if unread.len() > MOST {
            out::write(&format!("and {} more that were not read\n", unread.len() - MOST))?;
        }
        out::flush()
    }
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
pub(crate) fn summary(rows: &[Row]) -> String {
    let several = rows.iter().any(|row| Some(&row.framework) != rows.first().map(|row| &row.framework));
    let named = rows.iter().map(|row| {
        let name =
            if several { format!("{}: {}", row.framework, row.control.name) } else { row.control.name.to_owned() };
        (name, row.tally)
    });
    by_control(&named.collect::<Vec<_>>())
}

/// The table of how many judgements there are, by name.
pub(crate) fn by_control(rows: &[(String, Tally)]) -> String {
    const fn column(head: &'static str) -> Column {
        Column { head, least: 1, cut: Cut::End }
    }
    const COLUMNS: [Column; 4] = [column("CONTROL"), column("COMPLIANT"), column("NOT COMPLIANT"), column("UNDECIDED")];
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
    let Some(widths) = table::widths(&COLUMNS, &texts, None) else { return String::new() };
    let heads: Vec<String> = COLUMNS.iter().map(|column| column.head.to_owned()).collect();
    let mut out = format!("{}\n", style(table::line(&table::cells(&COLUMNS, &heads, &widths))).bold());
    for row in &texts {
        out.push_str(&table::line(&table::cells(&COLUMNS, row, &widths)));
        out.push('\n');
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
