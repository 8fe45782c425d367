//! `lint`: is this policy right, with the eyes of `deploy`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use app::deploy::Wanted;
use console::style;
use domain::fault::{Fault, Position};
use serde_json::json;

use crate::{Format, Verdict, output, repository};

/// Check policy files and the frameworks they deploy.
///
/// Reads what a push would put in force and names every fault with file, line and column, what is wrong and what would
/// be right. Needs no AWS account.
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
    for path in &args.paths {
        seen.policies += 1;
        match repository::policy(path, args.root.as_deref())? {
            Ok(wanted) => seen.add(&wanted),
            Err(more) => faults.extend(more),
        }
    }
    // A template that several policies use has its faults once.
    let mut told = BTreeSet::new();
    faults.retain(|fault: &Fault| told.insert(fault.to_string()));
    match format {
        Format::Human => human(&faults, &seen)?,
        Format::Json => output::line(&serde_json::to_string_pretty(&json!({ "findings": faults }))?)?,
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

fn human(faults: &[Fault], seen: &Seen) -> anyhow::Result<()> {
    for fault in faults {
        let place = match fault.at {
            Some(Position { line, column }) => format!("{}:{line}:{column}:", fault.file),
            None => format!("{}:", fault.file),
        };
        output::line(&format!("{} {}", style(place).bold(), style(&fault.problem).red()))?;
        for line in fault.excerpt.iter().flat_map(|excerpt| excerpt.lines()) {
            output::line(&format!("    {line}"))?;
        }
        output::line(&format!("  {} {}\n", style("fix:").green().bold(), fault.fix))?;
    }
    let policies = count(seen.policies, "policy", "policies");
    output::line(&if faults.is_empty() {
        format!(
            "{policies}, {}, {}, {}: {}",
            count(seen.frameworks, "framework", "frameworks"),
            count(seen.controls, "control", "controls"),
            count(seen.instances, "stack instance", "stack instances"),
            style("no findings").green()
        )
    } else {
        format!("{} in {policies}", count(faults.len(), "finding", "findings"))
    })
}

fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
