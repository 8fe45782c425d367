//! `lint`: is this policy right, with the eyes of `deploy`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use app::deploy::Wanted;
use console::style;
use domain::fault::{Fault, Position};
use jiff::civil::Date;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;

use crate::{Format, Verdict, output, repository};

/// Check policy files and the frameworks they deploy.
///
/// Reads what a push would put in force and names every fault with file, line and column, what is wrong and what would
/// be right. Warns of exemptions that have ended or can match nothing, which does not change the exit status. Needs no
/// AWS account.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  backup-compliance lint
  backup-compliance lint framework
  backup-compliance lint policies/production.yaml --root .
  backup-compliance --format json lint | jq '.findings[].problem'")]
pub(crate) struct Args {
    /// Policy files, or folders with a `backup-compliance.yaml`.
    #[arg(value_name = "DIR|POLICY_FILE", default_value = ".")]
    paths: Vec<PathBuf>,
    /// The root of the policy repository, which template paths start from; without it, the policy file's folder.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

/// What was looked at, for the last line.
#[derive(Debug, Default)]
struct Seen {
    policies: usize,
    frameworks: usize,
    controls: usize,
    instances: usize,
}

pub(crate) fn run(args: &Args, format: Format) -> anyhow::Result<Verdict> {
    let mut seen = Seen::default();
    let mut faults = Vec::new();
    let mut warnings = Vec::new();
    for path in &args.paths {
        seen.policies += 1;
        match repository::policy(path, args.root.as_deref())? {
            Ok(wanted) => {
                seen.add(&wanted);
                warnings.extend(wanted.warnings(today()));
            }
            Err(more) => faults.extend(more),
        }
    }
    // A template that several policies use has its faults once.
    let mut told = BTreeSet::new();
    faults.retain(|fault: &Fault| told.insert(fault.to_string()));
    match format {
        Format::Human => human(&faults, &warnings, &seen)?,
        Format::Json => {
            let report = json!({ "findings": faults, "warnings": warnings });
            output::line(&serde_json::to_string_pretty(&report)?)?;
        }
    }
    Ok(if faults.is_empty() { Verdict::Clean } else { Verdict::Findings })
}

impl Seen {
    fn add(&mut self, wanted: &Wanted) {
        for framework in &wanted.frameworks {
            // A parameter may switch a control off for some targets.
            let names = framework.facts.variants.iter().flat_map(|variant| variant.controls.keys());
            self.frameworks += 1;
            self.controls += names.collect::<BTreeSet<_>>().len();
            self.instances += framework.desired.instances.len();
        }
    }
}

/// The day as `deploy` has it: in UTC, wherever the terminal is.
#[expect(clippy::disallowed_methods, reason = "whoever asks at a terminal means today")]
fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}

fn human(faults: &[Fault], warnings: &[Fault], seen: &Seen) -> anyhow::Result<()> {
    for fault in faults {
        show(fault, &style(&fault.problem).red().to_string())?;
    }
    for warning in warnings {
        show(warning, &format!("{} {}", style("warning:").yellow().bold(), warning.problem))?;
    }
    let warned = match warnings.len() {
        0 => String::new(),
        n => format!(", {}", style(count(n, "warning", "warnings")).yellow()),
    };
    let policies = count(seen.policies, "policy", "policies");
    output::line(&if faults.is_empty() {
        format!(
            "{policies}, {}, {}, {}: {}{warned}",
            count(seen.frameworks, "framework", "frameworks"),
            count(seen.controls, "control", "controls"),
            count(seen.instances, "stack instance", "stack instances"),
            style("no findings").green()
        )
    } else {
        format!("{}{warned} in {policies}", count(faults.len(), "finding", "findings"))
    })
}

fn show(fault: &Fault, problem: &str) -> anyhow::Result<()> {
    let place = match fault.at {
        Some(Position { line, column }) => format!("{}:{line}:{column}:", fault.file),
        None => format!("{}:", fault.file),
    };
    output::line(&format!("{} {problem}", style(place).bold()))?;
    for line in fault.excerpt.iter().flat_map(|excerpt| excerpt.lines()) {
        output::line(&format!("    {line}"))?;
    }
    output::line(&format!("  {} {}\n", style("fix:").green().bold(), fault.fix))
}

fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
