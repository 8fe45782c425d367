//! `check`: predicts Audit Manager's findings for templates.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::bail;
use jiff::Timestamp;
use serde_json::{Value, json};

use evaluation::check::{self, CheckReport};
use evaluation::inventory::template::{self, DeploymentTarget, TemplateStack};
use evaluation::inventory::{Inventory, OPT_IN_SERVICES};
use evaluation::{ControlQuery, EvaluationCounts};
use framework::ids::{AccountId, RegionName};
use framework::lint::Level;
use syntax::diagnostic::Diagnostic;
use syntax::template::Template;
use syntax::text::closest_match;

use super::evaluate::{self, account, region};
use super::lint::assignment;
use crate::findings::{self, Finding, Format, fix, generated, human, machine};
use crate::frameworks::{ControlQueries, unusable};
use crate::templates::{Exclusion, Files};
use crate::{CommandOutcome, input, output, plain, templates};

/// Check templates against a framework before deployment
///
/// Predicts Audit Manager's findings for the resources, backup plans and vaults of CloudFormation templates. Plans and
/// selections come from the same templates and from --plans; no others are assumed to exist. Each finding has file,
/// line and column, and a fix. Facts that only a deployment decides are warnings. Needs no AWS account.
///
/// In folders, files that are neither valid YAML nor valid JSON, and files that look like a template but are not
/// valid, are skipped with a warning. Files named on the command line must be templates.
///
/// Exit status: 0 without findings, 1 with findings, 2 when a file cannot be read.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  backup-compliance check --framework framework --plans backup.yaml \\
    --opt-in all app.yaml
  backup-compliance check --framework framework.yaml \\
    --plans inventory.json app.yaml \\
    --in-account 222222222222 --in-region eu-west-1
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
  backup-compliance check --format github --framework framework \\
    --plans backup.yaml app.yaml
  backup-compliance check --format sarif --framework framework \\
    --plans backup.yaml app.yaml > check.sarif")]
pub(crate) struct Args {
    /// Templates of the application, or folders with templates; `-` for standard input
    #[arg(value_name = "TEMPLATE|DIR", required = true)]
    templates: Vec<PathBuf>,
    /// Framework template, policy file, or folder with a `backup-compliance.yaml`
    #[arg(long, value_name = "TEMPLATE|POLICY")]
    framework: PathBuf,
    /// Root of the policy repository for template paths [default: folder of the policy file]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Template, folder with templates, or inventory document with plans, selections and vaults that are deployed
    /// elsewhere; repeatable
    #[arg(long, value_name = "TEMPLATE|DIR|INVENTORY")]
    plans: Vec<PathBuf>,
    /// Exclude files and folders: `charts` matches this name at any depth, `a/**/*.json` a path from the current or
    /// the named folder; repeatable
    #[arg(long, value_name = "GLOB", value_parser = Exclusion::parse)]
    exclude: Vec<Exclusion>,
    /// Account of the deployment [default: the only account of the policy or inventory]
    #[arg(long, value_name = "ACCOUNT_ID", value_parser = account)]
    in_account: Option<AccountId>,
    /// Region of the deployment [default: the only Region of the policy or inventory]
    #[arg(long, value_name = "REGION", value_parser = region)]
    in_region: Option<RegionName>,
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
    /// Exit with status 1 if a result is undecided
    #[arg(long)]
    strict: bool,
    /// Apply fixes that are unambiguous, then check again. With `-`, the changed template goes to standard output and
    /// everything else to standard error. Generated files, such as those in `cdk.out`, are not changed
    #[arg(long)]
    fix: bool,
    /// Show the changes of `--fix` without applying them
    #[arg(long, requires = "fix")]
    dry_run: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

const ALL: &str = "all";

/// The maximum of findings shown for each level; more are not readable on a terminal.
const MOST_FINDINGS: usize = 100;

fn service(name: &str) -> Result<String, String> {
    let all = OPT_IN_SERVICES.into_iter().chain([ALL]);
    match all.clone().find(|known| known.eq_ignore_ascii_case(name.trim())) {
        Some(known) => Ok(known.to_owned()),
        None => Err(match closest_match(name, all) {
            Some(near) => format!("unknown service of AWS Backup; did you mean `{near}`?"),
            None => format!("unknown service of AWS Backup; valid are `{}` or `{ALL}`", OPT_IN_SERVICES.join("`, `")),
        }),
    }
}

/// File name and text.
type File = (String, String);

/// The input files.
#[derive(Default)]
struct CheckInput {
    /// First the templates to check, then those with plans.
    files: Vec<File>,
    checked: usize,
    inventories: Vec<File>,
    /// Files of folders that are not valid templates.
    skipped: Vec<Diagnostic>,
}

/// The result of a check.
struct CheckOutput {
    findings: Vec<Finding>,
    rows: Vec<(&'static str, EvaluationCounts)>,
    later: Vec<&'static str>,
    /// The checked files.
    files: BTreeMap<String, String>,
    /// Messages about generated files, which are not changed.
    generated: Vec<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<CommandOutcome> {
    let given: BTreeMap<String, String> = args.parameter.iter().cloned().collect();
    let questions = ControlQueries::read(&args.framework, args.root.as_deref(), &given)?;
    let mut read = CheckInput::of(args)?;
    let mut found = CheckOutput::of(args, &questions, &given, &read)?;
    if args.fix {
        if !args.dry_run {
            fix::redirect_results(args.templates.iter(), args.format);
        }
        found.generated.iter().for_each(|message| output::hint(message));
    }
    if args.dry_run {
        output::text(&fix::diff(&found.findings, &found.files)?)?;
        return Ok(found.verdict(args.strict));
    }
    if args.fix && fix::apply_edits(&found.findings, &mut found.files, args.format)? {
        // Standard input and pipes can be read only once.
        for (name, text) in read.files.iter_mut().take(read.checked) {
            if let Some(new) = found.files.remove(name) {
                *text = new;
            }
        }
        found = CheckOutput::of(args, &questions, &given, &read)?;
    }
    match args.format {
        Format::Human => found.show()?,
        Format::Json => output::line(&serde_json::to_string_pretty(&found.json()?)?)?,
        Format::Sarif => output::line(&serde_json::to_string_pretty(&machine::sarif(&found.findings, &[]))?)?,
        Format::Github => output::text(&machine::github(&found.findings))?,
    }
    let verdict = found.verdict(args.strict);
    if args.fix {
        fix::write_standard_input(&found.files)?;
    }
    Ok(verdict)
}

impl CheckInput {
    fn of(args: &Args) -> anyhow::Result<Self> {
        let mut read = Self::default();
        let mut known = BTreeSet::new();
        let Files { files, skipped } = templates::find(&args.templates, &args.exclude)?;
        for file in files {
            let (path, text) = match file {
                templates::TemplateFile::Found(path, text) => (path, text),
                templates::TemplateFile::Named(path) => {
                    let text = input::template(&path)?.map_err(|diagnostic| unusable(&[diagnostic]))?;
                    (path, text)
                }
            };
            read.files.push((input::name(&path), text));
            known.insert(templates::identity(&path));
        }
        read.checked = read.files.len();
        read.skipped = skipped;
        let Files { files, skipped } = templates::find(&args.plans, &args.exclude)?;
        for file in files {
            let (path, text) = match file {
                templates::TemplateFile::Found(path, text) => (path, Some(text)),
                templates::TemplateFile::Named(path) => (path, None),
            };
            if known.contains(&templates::identity(&path)) {
                continue;
            }
            let text = text.map_or_else(|| input::text(&path, input::INVENTORY), Ok)?;
            let is_inventory =
                text.trim_start_matches('\u{feff}').trim_start().starts_with('{') && text.contains("\"asOf\"");
            let all = if is_inventory { &mut read.inventories } else { &mut read.files };
            all.push((input::name(&path), text));
        }
        for diagnostic in skipped {
            if !read.skipped.contains(&diagnostic) {
                read.skipped.push(diagnostic);
            }
        }
        Ok(read)
    }
}

impl CheckOutput {
    /// Long because each step narrows the input of the next: inventory, target, queries, stacks, findings.
    fn of(
        args: &Args,
        questions: &ControlQueries,
        given: &BTreeMap<String, String>,
        read: &CheckInput,
    ) -> anyhow::Result<Self> {
        let CheckInput { files, checked, inventories, skipped } = read;
        let mut inventory: Option<Inventory> = None;
        for (name, text) in inventories {
            let read = match inventory.take() {
                None => Inventory::read(name, text),
                Some(before) => before.read_more(name, text),
            };
            inventory = Some(read.map_err(|diagnostic| anyhow::anyhow!("{diagnostic}"))?);
        }
        // The time only matters for schedules, which are evaluated over a year.
        let mut inventory = inventory.unwrap_or_else(|| Inventory::new(now()));
        let (account, region) = location(args, questions, &inventory)?;
        let (accounts, regions) = (account.iter().cloned().collect(), region.iter().cloned().collect());
        let questions = &questions.clone().at(&accounts, &regions)?;
        let mut target = DeploymentTarget::new(account, region)?;
        let switched = args.opt_in.iter().flat_map(|service| match service.as_str() {
            ALL => OPT_IN_SERVICES.to_vec(),
            one => vec![one],
        });
        target.opt_in = switched.map(|service| (service.to_owned(), true)).collect();
        target.tags = args.tag.iter().cloned().collect();

        let asked: Vec<ControlQuery> = questions
            .groups
            .iter()
            .filter(|group| group.applies(target.account(), target.region()))
            .flat_map(|group| group.asked.iter().cloned())
            .collect();
        let mut unknown: Vec<&Diagnostic> = Vec::new();
        for diagnostic in questions
            .groups
            .iter()
            .filter(|group| group.applies(target.account(), target.region()))
            .flat_map(|group| &group.unknown)
        {
            if !unknown.contains(&diagnostic) {
                unknown.push(diagnostic);
            }
        }
        if asked.is_empty() && unknown.is_empty() {
            bail!("`{}` has no framework in the account and Region of the deployment", args.framework.display());
        }
        let templates = files
            .iter()
            .map(|(name, text)| Template::read_source(name, text).map_err(|diagnostics| unusable(&diagnostics)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        reject_unknown(given, &templates, questions)?;
        let stacks: Vec<TemplateStack<'_>> = templates
            .iter()
            .map(|template| {
                let own = given.iter().filter(|(name, _)| template.declares(name) || name.starts_with("AWS::"));
                TemplateStack { template, parameters: own.map(|(name, value)| (name.clone(), value.clone())).collect() }
            })
            .collect();
        let added = template::add(&mut inventory, &target, &stacks);
        let CheckReport { findings, rows, later } =
            check::check(&inventory, &added, &target, &stacks, *checked, &asked);
        let undecided =
            unknown.into_iter().map(|diagnostic| Finding { level: Level::Warning, diagnostic: diagnostic.clone() });
        let findings =
            findings.into_iter().map(|check::CheckFinding { level, diagnostic }| Finding { level, diagnostic });
        // At the end, because findings about resources matter more when there are too many to show.
        let skipped =
            skipped.iter().map(|diagnostic| Finding { level: Level::Warning, diagnostic: diagnostic.clone() });
        let mut findings: Vec<Finding> = undecided.chain(findings).chain(skipped).collect();
        let files = files.iter().take(*checked).cloned().collect();
        let generated = generated::drop_edits(&mut findings, &files);
        let rows = rows.into_iter().map(|(control, counts)| (control.name, counts)).collect();
        let later = later.into_iter().map(|control| control.name).collect();
        Ok(Self { findings, rows, later, files, generated })
    }

    fn show(&self) -> anyhow::Result<()> {
        for level in Level::ALL.into_iter().rev() {
            let of_level = || self.findings.iter().filter(|finding| finding.level == level);
            for finding in of_level().take(MOST_FINDINGS) {
                human::print_finding(finding)?;
            }
            if let more @ 1.. = of_level().count().saturating_sub(MOST_FINDINGS) {
                output::line(&format!(
                    "and {}, not shown; --format json shows all\n",
                    plain::count(plain::to_u64(more), &format!("more {}", level.as_str()))
                ))?;
            }
        }
        if self.rows.is_empty() {
            output::line(if self.findings.is_empty() {
                "The framework evaluates no resource of the templates.\n"
            } else {
                "Nothing was evaluated: parts that only a deployment resolves may add resources.\n"
            })?;
        }
        let rows: Vec<(String, EvaluationCounts)> =
            self.rows.iter().map(|(name, counts)| ((*name).to_owned(), *counts)).collect();
        output::text(&evaluate::by_control(&rows, output::terminal_width()))?;
        if !self.later.is_empty() {
            output::line(&format!(
                "Not evaluated, because only backups and restores decide: {}; see `evaluate`",
                self.later.join(", ")
            ))?;
        }
        let changes = self.findings.iter().filter(|finding| !finding.diagnostic.edits.is_empty()).count();
        if changes > 0 {
            output::line(&format!("{} can be fixed with --fix", plain::count(plain::to_u64(changes), "finding")))?;
        }
        Ok(())
    }

    fn json(&self) -> anyhow::Result<Value> {
        let mut json = machine::json(&self.findings)?;
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|(control, counts)| {
                let mut row = evaluate::counts(counts);
                machine::set(&mut row, "control", (*control).into());
                row
            })
            .collect();
        machine::set(&mut json, "summary", rows.into());
        machine::set(&mut json, "notEvaluated", json!(self.later));
        Ok(json)
    }

    fn verdict(&self, strict: bool) -> CommandOutcome {
        let undecided = findings::count(&self.findings, Level::Warning);
        if undecided > 0 {
            let warnings = plain::count(plain::to_u64(undecided), "warning");
            let more = if strict { "" } else { "; --strict makes it a finding" };
            output::hint(&format!("{warnings}: some results are undecided{more}"));
        }
        let is_clean = findings::count(&self.findings, Level::Error) == 0 && (!strict || undecided == 0);
        if is_clean { CommandOutcome::Clean } else { CommandOutcome::Findings }
    }
}

/// Returns the deployment target: from the options, or if there is only one.
fn location(
    args: &Args,
    questions: &ControlQueries,
    inventory: &Inventory,
) -> anyhow::Result<(Option<AccountId>, Option<RegionName>)> {
    let of_policy = questions.groups.iter().flat_map(crate::frameworks::QueryGroup::named);
    let of_inventory = inventory.locations().map(|location| (&location.account, &location.region));
    let mut locations: Vec<_> =
        if inventory.locations().next().is_some() { of_inventory.collect() } else { of_policy.collect() };
    locations.retain(|(account, region)| {
        args.in_account.as_ref().is_none_or(|own| own == *account)
            && args.in_region.as_ref().is_none_or(|own| own == *region)
    });
    let account = args.in_account.clone().or_else(|| only(locations.iter().map(|(account, _)| *account)));
    let region = args.in_region.clone().or_else(|| only(locations.iter().map(|(_, region)| *region)));
    if inventory.locations().next().is_some() && (account.is_none() || region.is_none()) {
        bail!(
            "the inventory has several accounts or Regions; give the deployment target with --in-account and --in-region"
        );
    }
    Ok((account, region))
}

/// Returns the value if all are equal.
fn only<'a, T: PartialEq + Clone + 'a>(mut all: impl Iterator<Item = &'a T>) -> Option<T> {
    let first = all.next()?;
    all.all(|other| other == first).then(|| first.clone())
}

/// Rejects parameters that no template declares.
fn reject_unknown(
    given: &BTreeMap<String, String>,
    templates: &[Template],
    questions: &ControlQueries,
) -> anyhow::Result<()> {
    let declared = || {
        let of_templates = templates.iter().flat_map(|template| template.parameters().keys());
        of_templates.chain(&questions.parameters).map(String::as_str)
    };
    for name in given.keys().filter(|name| !name.starts_with("AWS::")) {
        if declared().all(|own| own != name) {
            match closest_match(name, declared()) {
                Some(near) => {
                    bail!("no template declares the parameter `{}`; did you mean `{near}`?", plain::escaped(name))
                }
                None => bail!("no template declares the parameter `{}`; remove it", plain::escaped(name)),
            }
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a command at a terminal evaluates the current time")]
fn now() -> Timestamp {
    Timestamp::now()
}
