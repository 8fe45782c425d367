//! `check`: predicts Audit Manager's findings for templates.

use std::collections::BTreeMap;
use std::path::PathBuf;

use evaluation::inventory::OPT_IN_SERVICES;
use framework::ids::{AccountId, RegionName, UnitId};
use syntax::text::closest_match;

use super::evaluate::region;
use super::lint::assignment;
use crate::findings::{FindingFormat, fix, machine, sarif};
use crate::templates::Exclusion;
use crate::{CommandOutcome, frameworks, output};
use files::CheckInput;
use report::CheckOutput;

mod assembly;
mod files;
mod report;

/// Check templates and Terraform plans against a framework before deployment
///
/// Predicts Audit Manager's findings for the resources, backup plans and vaults of CloudFormation templates, of stacks of
/// the CDK (`cdk.out`), and of plans of Terraform and OpenTofu in JSON (`terraform show -json`). Plans and selections come from the same templates, from
/// backup policies of AWS Organizations, and from --plans; no others are assumed to exist. Each finding has file,
/// line and column, and a fix. Facts that only a deployment decides are warnings. Plans, selections and vaults are also
/// checked by the lint rules, and one that AWS Backup rejects covers nothing. Needs no AWS account.
///
/// In folders, files that are neither valid YAML nor valid JSON, and files that look like a template but are not
/// valid, are skipped with a warning. Files named on the command line must be templates, Terraform plans
/// or backup policies.
///
/// Exit status: 0 without findings, 1 with findings, 2 when a file cannot be read.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  backup-compliance check --framework framework --plans backup.yaml \\
    --opt-in all app.yaml
  backup-compliance check --framework framework.yaml \\
    --plans inventory.json app.yaml \\
    --account 222222222222 --region eu-west-1
  backup-compliance check --framework framework app.yaml backup.yaml \\
    --parameter Stage=prod --tag team=orders
  backup-compliance check --framework framework --plans backup \\
    --opt-in all services
  backup-compliance check --framework framework . --exclude charts \\
    --exclude 'assets/**/*.json'
  backup-compliance check --framework framework --plans backup.yaml app.yaml \\
    --fix --dry-run
  backup-compliance check --framework framework --plans backup.yaml \\
    --fix - < app.yaml > fixed.yaml
  cdk synth --quiet && backup-compliance check --framework framework \\
    --opt-in all cdk.out
  terraform show -json tfplan | \\
    backup-compliance check --framework framework -
  backup-compliance check --format github --framework framework \\
    --plans backup.yaml app.yaml
  backup-compliance check --format sarif --framework framework \\
    --plans backup.yaml app.yaml > check.sarif")]
pub(crate) struct CheckArgs {
    /// Templates of the application, Terraform plans in JSON, backup policies, folders with them, or cloud assemblies of
    /// the CDK; `-` for standard input
    #[arg(value_name = "FILE|DIR", required = true)]
    templates: Vec<PathBuf>,
    /// Framework template, policy file, or folder with a `backup-compliance.yaml`
    #[arg(long, value_name = "TEMPLATE|POLICY")]
    framework: PathBuf,
    /// Root of the policy repository for template paths [default: folder of the policy file]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Template, Terraform plan, backup policy of AWS Organizations, folder with them, or inventory document with plans,
    /// selections and vaults that are deployed elsewhere; repeatable. Backup policies in files are merged in their order,
    /// from the root of the organization down
    #[arg(long, value_name = "FILE|DIR|INVENTORY")]
    plans: Vec<PathBuf>,
    /// Exclude files and folders: `charts` matches this name at any depth, `a/**/*.json` a path from the current or
    /// the named folder; repeatable
    #[arg(long, value_name = "GLOB", value_parser = Exclusion::parse)]
    exclude: Vec<Exclusion>,
    /// Account of the deployment; stacks of the CDK may have their own [default: the only account of the policy or inventory]
    #[arg(long, alias = "in-account", value_name = "ACCOUNT_ID", value_parser = AccountId::parse)]
    account: Option<AccountId>,
    /// Region of the deployment; stacks of the CDK may have their own [default: the only Region of the Terraform plans, the policy or the inventory]
    #[arg(long, alias = "in-region", value_name = "REGION", value_parser = region)]
    region: Option<RegionName>,
    /// Organizational unit of the account, whose backup policies apply to it; repeatable, from the root down
    #[arg(long, value_name = "UNIT_ID", value_parser = UnitId::parse)]
    organizational_unit: Vec<UnitId>,
    /// Parameter value for the templates or the framework template; repeatable
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    parameter: Vec<(String, String)>,
    /// Service that is enabled in the settings of AWS Backup, such as `Aurora`, or `all`; an inventory under --plans
    /// declares it too
    #[arg(long, value_name = "SERVICE", value_parser = service, value_delimiter = ',')]
    opt_in: Vec<String>,
    /// Tag of the stacks, which CloudFormation adds to their resources; repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = assignment)]
    tag: Vec<(String, String)>,
    /// Exit with status 1 if there are warnings, such as undecided results
    #[arg(long)]
    strict: bool,
    /// Report violations that the policy exempts as findings
    #[arg(long)]
    no_exemptions: bool,
    /// Apply fixes that are unambiguous, then check again. With `-`, the changed template goes to standard output and
    /// everything else to standard error. Generated files, such as those in `cdk.out`, are not changed
    #[arg(long)]
    fix: bool,
    /// Show the changes of `--fix` without applying them
    #[arg(long, requires = "fix")]
    dry_run: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = FindingFormat::Human)]
    format: FindingFormat,
}

const ALL: &str = "all";

fn service(name: &str) -> Result<String, String> {
    let all = OPT_IN_SERVICES.into_iter().chain([ALL]);
    let known = all.clone().find(|known| known.eq_ignore_ascii_case(name.trim()));
    known.map(str::to_owned).ok_or_else(|| match closest_match(name, all) {
        Some(near) => format!("unknown service of AWS Backup; did you mean `{near}`?"),
        None => format!("unknown service of AWS Backup; valid are `{}` or `{ALL}`", OPT_IN_SERVICES.join("`, `")),
    })
}

pub(crate) fn run(args: &CheckArgs) -> anyhow::Result<CommandOutcome> {
    let given: BTreeMap<String, String> = args.parameter.iter().cloned().collect();
    let questions = frameworks::queries(&args.framework, args.root.as_deref(), &given)?;
    let mut read = CheckInput::of(args)?;
    let mut found = CheckOutput::of(args, &questions, &given, &read)?;
    if args.fix {
        if !args.dry_run {
            fix::redirect_results(&args.templates, args.format);
        }
        found.generated.iter().for_each(|message| output::hint(message));
    }
    // Files are read once: standard input and pipes cannot be read again.
    let mut again = |found: &mut CheckOutput| -> anyhow::Result<()> {
        for (name, text) in read.files.iter_mut().take(read.checked) {
            if let Some(new) = found.files.remove(name) {
                *text = new;
            }
        }
        *found = CheckOutput::of(args, &questions, &given, &read)?;
        Ok(())
    };
    if args.dry_run {
        let (old, verdict) = (found.files.clone(), found.verdict(args.strict));
        fix::until_unchanged(|| {
            let is_changed = fix::apply_in_memory(&found.findings, &mut found.files);
            if is_changed {
                again(&mut found)?;
            }
            Ok(is_changed)
        })?;
        output::text(&fix::diff(&old, &found.files)?)?;
        return Ok(verdict);
    }
    fix::until_unchanged(|| {
        let is_changed = args.fix && fix::apply_edits(&found.findings, &mut found.files, args.format)?;
        if is_changed {
            again(&mut found)?;
        }
        Ok(is_changed)
    })?;
    match args.format {
        FindingFormat::Human => found.show()?,
        FindingFormat::Json => output::json(&found.json())?,
        FindingFormat::Sarif => output::json(&sarif::sarif(&found.findings, &[], &found.files))?,
        FindingFormat::Github => output::text(&machine::github(&found.findings))?,
    }
    let verdict = found.verdict(args.strict);
    if args.fix {
        fix::write_standard_input(&found.files)?;
    }
    Ok(verdict)
}
