//! `lint`: is this policy right, with the eyes of `deploy`; and is this framework.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::civil::Date;
use jiff::{Timestamp, tz::TimeZone};

use crate::findings::{Format, fix, machine};
use crate::{Verdict, output};

mod found;
mod human;

use found::Found;

/// Check policy files, the frameworks they deploy, and framework templates.
///
/// Of a policy, reads what a push would put in force; of a template, its frameworks. Names everything that is wrong with file,
/// line and column, what is wrong and what would be right. Errors are what `deploy` refuses and lead to status 1; warnings
/// and notes stop nothing. The rules are in docs/rules.md. Needs no AWS account.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  backup-compliance lint
  backup-compliance lint framework
  backup-compliance lint policies/production.yaml --root .
  backup-compliance lint framework.yaml other.json --parameter RetentionDays=35
  backup-compliance lint framework.yaml --was framework.before.yaml
  backup-compliance lint --fix --dry-run
  backup-compliance lint --format json | jq '.findings[].problem'
  backup-compliance lint --format sarif > lint.sarif")]
pub(crate) struct Args {
    /// Policy files, folders with a `backup-compliance.yaml`, or framework templates; `-` is a template on standard input.
    #[arg(value_name = "DIR|FILE", default_value = ".")]
    paths: Vec<PathBuf>,
    /// The root of the policy repository, which template paths start from; without it, the policy file's folder.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// A value for a parameter of the templates that are named here; policies give theirs. A pseudo parameter such as
    /// `AWS::Region` may be given too.
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    parameter: Vec<(String, String)>,
    /// The template before the change: finds what only an update of its stacks breaks.
    #[arg(long, value_name = "FILE")]
    was: Option<PathBuf>,
    /// Show notes too, and not only how many there are.
    #[arg(long)]
    notes: bool,
    /// End with status 1 if there are warnings.
    #[arg(long)]
    strict: bool,
    /// Mend what can be mended in exactly one way, and check again. With `-`, the changed template is written to standard output
    /// and everything else to standard error. Generated files, such as those in `cdk.out`, are not changed.
    #[arg(long)]
    fix: bool,
    /// Show what `--fix` would change, and change nothing.
    #[arg(long, requires = "fix")]
    dry_run: bool,
    /// The form of the result on standard output.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

pub(crate) fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("not of the form `NAME=value`".to_owned()),
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Verdict> {
    let mut found = Found::of(args, today(), &BTreeMap::new())?;
    if args.fix {
        if !args.dry_run {
            fix::begin(args.paths.iter(), args.format);
        }
        found.generated.iter().for_each(|message| output::aside(message));
    }
    if args.dry_run {
        output::text(&fix::diff(&found.findings, &found.files)?)?;
        return Ok(found.verdict(args.strict));
    }
    if args.fix && fix::mend(&found.findings, &mut found.files, args.format)? {
        let read = found.files;
        found = Found::of(args, today(), &read)?;
    }
    match args.format {
        Format::Human => human::show(&found, args.notes)?,
        Format::Json => {
            let mut json = machine::json(&found.findings)?;
            machine::set(&mut json, "suppressed", found.suppressed_json()?);
            output::line(&serde_json::to_string_pretty(&json)?)?
        }
        Format::Sarif => {
            output::line(&serde_json::to_string_pretty(&machine::sarif(&found.findings, &found.suppressed))?)?
        }
        Format::Github => output::text(&machine::github(&found.findings))?,
    }
    if args.fix {
        fix::end(&found.files)?;
    }
    Ok(found.verdict(args.strict))
}

/// The day as `deploy` has it: in UTC, wherever the terminal is.
#[expect(clippy::disallowed_methods, reason = "whoever asks at a terminal means today")]
pub(crate) fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}
