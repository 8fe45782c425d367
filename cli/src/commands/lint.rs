//! `lint`: checks policies and framework templates.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::tz::TimeZone;

use crate::findings::{self, FindingFormat, fix, machine, sarif};
use crate::{CommandOutcome, cloud, output};
use report::LintReport;

mod human;
mod report;

/// Check policies and framework templates by the lint rules.
///
/// Reads policy files with the templates they deploy, or templates alone. Needs no AWS account. Writes each finding with file, line and
/// column, its message and its fix. docs/rules.md describes the rules.
///
/// Exit status: 0 without errors; 1 with errors, which `deploy` rejects too, or with warnings and `--strict`; 2 if an input cannot be
/// read.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  backup-compliance lint
  backup-compliance lint framework
  backup-compliance lint policies/production.yaml --root .
  backup-compliance lint framework.yaml other.json --parameter RetentionDays=35
  backup-compliance lint framework.yaml --base framework.before.yaml
  backup-compliance lint --fix --dry-run
  backup-compliance lint --format json | jq '.findings[].message'
  backup-compliance lint --format sarif > lint.sarif")]
pub(crate) struct LintArgs {
    /// Policy files, folders with a `backup-compliance.yaml`, or framework templates; `-` is a template on standard input.
    #[arg(value_name = "DIR|FILE", default_value = ".")]
    paths: Vec<PathBuf>,
    /// The root of the policy repository, to which template paths are relative. Default: the folder of the policy file.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Set a parameter or pseudo parameter (`AWS::Region`) of the named templates; policies have their own values.
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    parameter: Vec<(String, String)>,
    /// Compare with an earlier version of the template, to find failures of an update.
    #[arg(long, value_name = "FILE")]
    base: Option<PathBuf>,
    /// Show notes too, not only their number.
    #[arg(long)]
    notes: bool,
    /// Exit with status 1 if there are warnings.
    #[arg(long)]
    strict: bool,
    /// Apply fixes that are unambiguous, then check again. With `-`, the fixed template is written to standard output and the result
    /// to standard error. Generated files, such as those in `cdk.out`, are not changed.
    #[arg(long)]
    fix: bool,
    /// Show the changes of `--fix` as a diff, without writing them.
    #[arg(long, requires = "fix")]
    dry_run: bool,
    /// The output format.
    #[arg(long, value_enum, default_value_t = FindingFormat::Human)]
    format: FindingFormat,
}

pub(crate) fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("not of the form `NAME=value`".to_owned()),
    }
}

pub(crate) fn run(args: &LintArgs) -> anyhow::Result<CommandOutcome> {
    // As `deploy` uses it.
    let today = cloud::now().to_zoned(TimeZone::UTC).date();
    let mut report = LintReport::new(args, today, &BTreeMap::new())?;
    if args.fix {
        if !args.dry_run {
            fix::redirect_results(&args.paths, args.format);
        }
        report.generated.iter().for_each(|message| output::hint(message));
    }
    if args.dry_run {
        let old = report.files.clone();
        let verdict = findings::verdict(&report.findings, args.strict);
        fix::until_unchanged(|| {
            let is_changed = fix::apply_in_memory(&report.findings, &mut report.files);
            if is_changed {
                report = LintReport::new(args, today, &report.files)?;
            }
            Ok(is_changed)
        })?;
        output::text(&fix::diff(&old, &report.files)?)?;
        return Ok(verdict);
    }
    fix::until_unchanged(|| {
        let is_changed = args.fix && fix::apply_edits(&report.findings, &mut report.files, args.format)?;
        if is_changed {
            report = LintReport::new(args, today, &report.files)?;
        }
        Ok(is_changed)
    })?;
    match args.format {
        FindingFormat::Human => human::show(&report, args.notes)?,
        FindingFormat::Json => {
            let mut json = machine::json(&report.findings);
            machine::set(&mut json, "suppressed", report.suppressed_json());
            output::json(&json)?
        }
        FindingFormat::Sarif => output::json(&sarif::sarif(&report.findings, &report.suppressed, &report.files))?,
        FindingFormat::Github => output::text(&machine::github(&report.findings))?,
    }
    if args.fix {
        fix::write_standard_input(&report.files)?;
    }
    Ok(findings::verdict(&report.findings, args.strict))
}
