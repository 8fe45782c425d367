//! `check`: predicts Audit Manager's findings for templates.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use serde_json::{Value, json};

use app::in_force::today;
use app::queries::ControlQueries;
use evaluation::check::{self, CheckReport, ExemptViolation};
use evaluation::inventory::template::{self, CheckedFile, DeploymentTarget, NotJudged, TemplateStack};
use evaluation::inventory::terraform::TerraformPlan;
use evaluation::inventory::{BackupPolicyFile, Inventory, OPT_IN_SERVICES};
use evaluation::{ControlQuery, EvaluationCounts, ViolatingItem, ViolationExemption};
use framework::ids::{AccountId, RegionName, UnitId};
use framework::lint;
use syntax::diagnostic::{Diagnostic, Level};
use syntax::template::Template;
use syntax::text::closest_match;

use super::evaluate::{self, region};
use super::lint::assignment;
use crate::findings::{self, FindingFormat, fix, generated, human, machine, sarif};
use crate::templates::{Exclusion, Files};
use crate::{CommandOutcome, cloud, frameworks, input, output, plain, templates};

/// Check templates and Terraform plans against a framework before deployment
///
/// Predicts Audit Manager's findings for the resources, backup plans and vaults of CloudFormation templates, and of plans
/// of Terraform and OpenTofu in JSON (`terraform show -json`). Plans and selections come from the same templates, from
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
  terraform show -json tfplan | \\
    backup-compliance check --framework framework -
  backup-compliance check --format github --framework framework \\
    --plans backup.yaml app.yaml
  backup-compliance check --format sarif --framework framework \\
    --plans backup.yaml app.yaml > check.sarif")]
pub(crate) struct CheckArgs {
    /// Templates of the application, Terraform plans in JSON, backup policies, or folders with them; `-` for standard
    /// input
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
    /// Account of the deployment [default: the only account of the policy or inventory]
    #[arg(long, alias = "in-account", value_name = "ACCOUNT_ID", value_parser = AccountId::parse)]
    account: Option<AccountId>,
    /// Region of the deployment [default: the only Region of the Terraform plans, the policy or the inventory]
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

/// The maximum of findings shown for each level; more are not readable on a terminal.
const MOST_FINDINGS: usize = 100;

fn service(name: &str) -> Result<String, String> {
    let all = OPT_IN_SERVICES.into_iter().chain([ALL]);
    let known = all.clone().find(|known| known.eq_ignore_ascii_case(name.trim()));
    known.map(str::to_owned).ok_or_else(|| match closest_match(name, all) {
        Some(near) => format!("unknown service of AWS Backup; did you mean `{near}`?"),
        None => format!("unknown service of AWS Backup; valid are `{}` or `{ALL}`", OPT_IN_SERVICES.join("`, `")),
    })
}

/// The files, each with its name and text.
#[derive(Default)]
struct CheckInput {
    /// First the templates to check, then those with plans.
    files: Vec<(String, String)>,
    /// The files that are not templates by name. Their texts are empty.
    others: BTreeMap<String, OtherFile>,
    checked: usize,
    inventories: Vec<(String, String)>,
    /// Files of folders that are not valid templates.
    skipped: Vec<Diagnostic>,
}

/// A checked file that is not a template.
enum OtherFile {
    Terraform(Box<TerraformPlan>),
    Policy(BackupPolicyFile),
}

struct CheckOutput {
    findings: Vec<Diagnostic>,
    rows: Vec<(&'static str, EvaluationCounts)>,
    later: Vec<&'static str>,
    not_judged: Vec<NotJudged>,
    exempt: Vec<ExemptViolation>,
    /// The checked files.
    files: BTreeMap<String, String>,
    /// Messages about generated files, which are not changed.
    generated: Vec<String>,
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

impl CheckInput {
    fn of(args: &CheckArgs) -> anyhow::Result<Self> {
        let mut read = Self::default();
        let mut known = BTreeSet::new();
        let Files { files, skipped } = templates::find(&args.templates, &args.exclude)?;
        for (path, text) in files {
            let text = match text {
                Some(text) => text,
                None => input::checked(&path)?.map_err(|diagnostic| frameworks::unusable(vec![diagnostic]))?,
            };
            read.add(&path, text)?;
            known.insert(templates::identity(&path));
        }
        read.checked = read.files.len();
        read.skipped = skipped;
        let Files { files, skipped } = templates::find(&args.plans, &args.exclude)?;
        for (path, text) in files {
            if known.contains(&templates::identity(&path)) {
                continue;
            }
            let text = text.map_or_else(|| input::text(&path, input::INVENTORY), Ok)?;
            let is_inventory =
                text.trim_start_matches('\u{feff}').trim_start().starts_with('{') && text.contains("\"asOf\"");
            match is_inventory {
                true => read.inventories.push((input::name(&path), text)),
                false => read.add(&path, text)?,
            }
        }
        for diagnostic in skipped {
            if !read.skipped.contains(&diagnostic) {
                read.skipped.push(diagnostic);
            }
        }
        Ok(read)
    }

    /// Adds a template, a Terraform plan or a backup policy.
    fn add(&mut self, path: &Path, text: String) -> anyhow::Result<()> {
        let name = input::name(path);
        if TerraformPlan::is_plan(&text) {
            let plan =
                TerraformPlan::read(&name, &text).map_err(|diagnostic| frameworks::unusable(vec![*diagnostic]))?;
            let plan = plan.with_sources(templates::terraform_sources(path));
            self.others.insert(name.clone(), OtherFile::Terraform(Box::new(plan)));
            self.files.push((name, String::new()));
        } else if BackupPolicyFile::is_policy(&text) {
            let policy = BackupPolicyFile::read(&name, &text).map_err(frameworks::unusable)?;
            self.others.insert(name.clone(), OtherFile::Policy(policy));
            self.files.push((name, String::new()));
        } else {
            self.files.push((name, text));
        }
        Ok(())
    }
}

impl CheckOutput {
    fn of(
        args: &CheckArgs,
        questions: &ControlQueries,
        parameters: &BTreeMap<String, String>,
        read: &CheckInput,
    ) -> anyhow::Result<Self> {
        let CheckInput { files, others, checked, inventories, skipped } = read;
        let inventory = evaluate::merged(inventories.iter().map(|(name, text)| Ok((name, text))))?;
        // The time only matters for schedules, which are evaluated over a year.
        let mut inventory = inventory.unwrap_or_else(|| Inventory::new(cloud::now()));
        let target = target(args, questions, &inventory, others)?;
        let (accounts, regions) =
            (target.account().into_iter().cloned().collect(), target.region().into_iter().cloned().collect());
        let questions = &questions.clone().at(&accounts, &regions).map_err(frameworks::unusable)?;
        let groups = || questions.groups.iter().filter(|group| group.applies(target.account(), target.region()));
        let asked: Vec<ControlQuery> = groups().flat_map(|group| group.asked.iter().cloned()).collect();
        let mut unknown: Vec<&Diagnostic> = Vec::new();
        for diagnostic in groups().flat_map(|group| &group.unknown) {
            if !unknown.contains(&diagnostic) {
                unknown.push(diagnostic);
            }
        }
        if asked.is_empty() && unknown.is_empty() {
            bail!("`{}` has no framework in the account and Region of the deployment", args.framework.display());
        }
        let mut templates = BTreeMap::new();
        for (name, text) in files.iter().filter(|(name, _)| !others.contains_key(name)) {
            templates.insert(name, Template::read_source(name, text).map_err(frameworks::unusable)?);
        }
        reject_unknown(parameters, &templates, questions)?;
        let stack = |template| {
            let mut parameters = parameters.clone();
            parameters.retain(|name, _| Template::declares(template, name) || name.starts_with("AWS::"));
            CheckedFile::Template(TemplateStack { template, parameters })
        };
        let read = |(name, _): &(String, String)| match others.get(name) {
            Some(OtherFile::Terraform(plan)) => Some(CheckedFile::Terraform(plan)),
            Some(OtherFile::Policy(policy)) => Some(CheckedFile::Policy(policy)),
            None => templates.get(name).map(stack),
        };
        let deployed: Vec<CheckedFile<'_>> = files.iter().filter_map(read).collect();
        let added = template::add(&mut inventory, &target, &deployed);
        let today = today(cloud::now());
        let exempt = |item: &ViolatingItem<'_>| match args.no_exemptions {
            true => None,
            false => questions.exemption(item, today),
        };
        let CheckReport { findings, rows, later, not_judged, exempt } =
            check::check(&inventory, &added, &target, &deployed, *checked, &asked, &exempt);
        let warning = |diagnostic: &Diagnostic| Diagnostic { level: Level::Warning, ..diagnostic.clone() };
        let findings = findings.into_iter().map(|found| Diagnostic { level: found.level, ..found.diagnostic });
        // At the end, because findings about resources matter more when there are too many to show.
        let skipped = skipped.iter().map(warning);
        let mut findings: Vec<Diagnostic> = unknown.into_iter().map(warning).chain(findings).chain(skipped).collect();
        let files = files.iter().take(*checked).filter(|(name, _)| !others.contains_key(name)).cloned().collect();
        let generated = generated::drop_edits(&mut findings, &files);
        let rows = rows.into_iter().map(|(control, counts)| (control.name, counts)).collect();
        let later = later.into_iter().map(|control| control.name).collect();
        Ok(Self { findings, rows, later, not_judged, exempt, files, generated })
    }

    fn show(&self) -> anyhow::Result<()> {
        for level in Level::ALL.into_iter().rev() {
            let of_level = || self.findings.iter().filter(|finding| finding.level == level);
            for finding in of_level().take(MOST_FINDINGS) {
                human::print_finding(finding)?;
            }
            if let more @ 1.. = of_level().count().saturating_sub(MOST_FINDINGS) {
                let more = plain::count(more, &format!("more {}", level.as_str()));
                output::line(&format!("and {more}, not shown; --format json shows all\n"))?;
            }
        }
        if self.rows.is_empty() {
            output::line(if findings::count(&self.findings, Level::Error) > 0 {
                "The framework evaluates no resource of the templates; AWS Backup rejects the parts with errors.\n"
            } else if !self.findings.iter().any(is_undecided) {
                "The framework evaluates no resource of the templates.\n"
            } else {
                "Nothing was evaluated: parts that only a deployment resolves may add resources.\n"
            })?;
        }
        output::text(&evaluate::by_control(&self.rows, output::terminal_width()))?;
        for ExemptViolation { control, subject, file, at, exemption } in &self.exempt {
            let at = format!("{}:{}:{}", plain::escaped(file), at.line, at.column);
            let ViolationExemption { until, reason } = exemption;
            let reason = plain::escaped(reason);
            output::line(&format!("{at}: exempt until {until}: {subject}, {} ({reason})", control.name))?;
        }
        for NotJudged { kind, reason, .. } in &self.not_judged {
            output::line(&format!("not judged: `{}` ({reason})", plain::escaped(kind)))?;
        }
        if !self.later.is_empty() {
            let later = self.later.join(", ");
            output::line(&format!("Not evaluated, because only backups and restores decide: {later}; see `evaluate`"))?;
        }
        let changes = self.findings.iter().filter(|finding| !finding.edits.is_empty()).count();
        if changes > 0 {
            output::line(&format!("{} can be fixed with --fix", plain::count(changes, "finding")))?;
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let mut json = machine::json(&self.findings);
        let rows = self.rows.iter().map(|(control, counts)| evaluate::counts(None, control, counts));
        machine::set(&mut json, "summary", rows.collect());
        machine::set(&mut json, "notEvaluated", json!(self.later));
        let not_judged = self.not_judged.iter();
        let not_judged =
            not_judged.map(|own| json!({"type": own.kind, "reason": own.reason, "resources": own.resources}));
        machine::set(&mut json, "notJudged", not_judged.collect());
        let exempt = self.exempt.iter().map(|own| {
            let ExemptViolation { control, subject, file, at, exemption: ViolationExemption { until, reason } } = own;
            json!({
                "control": control.name,
                "subject": subject,
                "file": file,
                "line": at.line,
                "until": until,
                "reason": reason,
            })
        });
        machine::set(&mut json, "exempt", exempt.collect());
        json
    }

    fn verdict(&self, strict: bool) -> CommandOutcome {
        let undecided = findings::count(&self.findings, Level::Warning);
        if undecided > 0 {
            let warnings = plain::count(undecided, "warning");
            let more = if strict { "" } else { "; --strict makes it a finding" };
            let what = if self.findings.iter().any(is_undecided) { ": some results are undecided" } else { "" };
            output::hint(&format!("{warnings}{what}{more}"));
        }
        findings::verdict(&self.findings, strict)
    }
}

/// Returns whether a deployment decides a finding: a result, or an unknown part of the framework, which is a note of lint.
fn is_undecided(finding: &Diagnostic) -> bool {
    let is_decided = |id| lint::rule(id).is_some_and(|rule| rule.level != Level::Note);
    finding.level == Level::Warning && !finding.rule.is_some_and(is_decided)
}

/// Returns the deployment target of the options.
fn target(
    args: &CheckArgs,
    questions: &ControlQueries,
    inventory: &Inventory,
    others: &BTreeMap<String, OtherFile>,
) -> anyhow::Result<DeploymentTarget> {
    let plans = others.values().filter_map(|own| if let OtherFile::Terraform(plan) = own { Some(plan) } else { None });
    let regions: Vec<RegionName> = plans.flat_map(|plan| plan.regions()).collect();
    let given = args.region.clone().or_else(|| only(regions.iter()));
    let (account, region) = location((args.account.clone(), given), questions, inventory)?;
    let mut target = DeploymentTarget::new(account, region)?;
    let all = args.opt_in.iter().any(|service| service == ALL);
    let services = OPT_IN_SERVICES.into_iter().filter(|service| all || args.opt_in.iter().any(|own| own == service));
    target.opt_in = services.map(|service| (service.to_owned(), true)).collect();
    target.tags = args.tag.iter().cloned().collect();
    target.units.clone_from(&args.organizational_unit);
    Ok(target)
}

/// Returns the account and Region: as given, or if there is only one.
fn location(
    given: (Option<AccountId>, Option<RegionName>),
    questions: &ControlQueries,
    inventory: &Inventory,
) -> anyhow::Result<(Option<AccountId>, Option<RegionName>)> {
    let of_inventory = inventory.locations().map(|location| (&location.account, &location.region));
    let has_inventory = inventory.locations().next().is_some();
    let mut locations: Vec<_> = if has_inventory { of_inventory.collect() } else { questions.named().collect() };
    locations.retain(|(account, region)| {
        given.0.as_ref().is_none_or(|own| own == *account) && given.1.as_ref().is_none_or(|own| own == *region)
    });
    let account = given.0.clone().or_else(|| only(locations.iter().map(|(account, _)| *account)));
    let region = given.1.clone().or_else(|| only(locations.iter().map(|(_, region)| *region)));
    ensure!(
        !has_inventory || (account.is_some() && region.is_some()),
        "the inventory has several accounts or Regions; give the deployment target with --account and --region"
    );
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
    templates: &BTreeMap<&String, Template>,
    questions: &ControlQueries,
) -> anyhow::Result<()> {
    let of_templates = || templates.values().flat_map(|template| template.parameters().keys());
    let declared = || of_templates().chain(&questions.parameters).map(String::as_str);
    let is_unknown = |name: &&String| !name.starts_with("AWS::") && declared().all(|own| own != *name);
    let Some(name) = given.keys().find(is_unknown) else { return Ok(()) };
    let near = closest_match(name, declared()).map(|near| format!("did you mean `{near}`?"));
    let fix = near.unwrap_or_else(|| "remove it".to_owned());
    bail!("no template declares the parameter `{}`; {fix}", plain::escaped(name))
}
