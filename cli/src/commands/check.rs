//! `check`: what Audit Manager will say of templates once they are deployed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::bail;
use domain::check::{self, Checked};
use domain::evaluation::{Asked, Tally};
use domain::fault::{Fault, nearest};
use domain::ids::{AccountId, RegionName};
use domain::inventory::template::{self, Stack, Target};
use domain::inventory::{Inventory, SWITCHES};
use domain::lint::Level;
use domain::template::Template;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::evaluate::{self, account, region};
use super::lint::assignment;
use crate::findings::{self, Finding, Format, fix, generated, human, machine};
use crate::frameworks::{Questions, unusable};
use crate::templates::{Exclusion, Files};
use crate::{Verdict, input, output, plain, templates};

/// Say of CloudFormation templates what Audit Manager will say once they are deployed.
///
/// Judges the resources, backup plans and vaults of the templates against a framework, with the plans and selections of the same
/// templates and of those under --plans: what is named there is taken for all that there is. Each finding has its file, line and
/// column, and the change that mends it. What only a deployment tells is a warning. Needs no AWS account.
///
/// A file of a folder that is neither valid YAML nor JSON, or looks like a template and is not one, is skipped with a warning. A
/// file that is named must be a template.
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
    /// The templates of the application, or folders with them; `-` is one on standard input.
    #[arg(value_name = "TEMPLATE|DIR", required = true)]
    templates: Vec<PathBuf>,
    /// What is asked: a framework template, a policy file, or a folder with a `backup-compliance.yaml`.
    #[arg(long, value_name = "TEMPLATE|POLICY")]
    framework: PathBuf,
    /// The root of the policy repository, which template paths start from; without it, the policy file's folder.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// A template, a folder with templates, or an inventory document with plans, selections and vaults that are deployed elsewhere;
    /// may be given several times.
    #[arg(long, value_name = "TEMPLATE|DIR|INVENTORY")]
    plans: Vec<PathBuf>,
    /// Leave files and folders out of the folders that are named. `charts` matches that name at any depth, `a/**/*.json` a path from
    /// the current folder or the folder that is named; may be given several times.
    #[arg(long, value_name = "GLOB", value_parser = Exclusion::parse)]
    exclude: Vec<Exclusion>,
    /// The account that the templates are deployed to. Without it, the one that the policy or the inventory names, if it is one.
    #[arg(long, value_name = "ACCOUNT_ID", value_parser = account)]
    in_account: Option<AccountId>,
    /// The Region that the templates are deployed to, likewise.
    #[arg(long, value_name = "REGION", value_parser = region)]
    in_region: Option<RegionName>,
    /// A value for a parameter of the templates, or of the framework template.
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    parameter: Vec<(String, String)>,
    /// A service that is switched on in the settings of AWS Backup there, such as `Aurora`; `all` for all of them. An inventory
    /// under --plans tells it too.
    #[arg(long, value_name = "SERVICE", value_parser = service, value_delimiter = ',')]
    opt_in: Vec<String>,
    /// A tag of the stacks, which CloudFormation puts on their resources.
    #[arg(long, value_name = "KEY=VALUE", value_parser = assignment)]
    tag: Vec<(String, String)>,
    /// End with status 1 if anything is undecided.
    #[arg(long)]
    strict: bool,
    /// Make the changes that mend a finding in exactly one way, and check again. With `-`, the changed template is written to
    /// standard output and everything else to standard error. Generated files, such as those in `cdk.out`, are not changed.
    #[arg(long)]
    fix: bool,
    /// Show what `--fix` would change, and change nothing.
    #[arg(long, requires = "fix")]
    dry_run: bool,
    /// The form of the result on standard output.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

const ALL: &str = "all";

/// Most findings of a level that are shown to people: nobody reads more on a terminal.
const MOST_FINDINGS: usize = 100;

fn service(name: &str) -> Result<String, String> {
    let all = SWITCHES.into_iter().chain([ALL]);
    match all.clone().find(|known| known.eq_ignore_ascii_case(name.trim())) {
        Some(known) => Ok(known.to_owned()),
        None => Err(match nearest(name, all) {
            Some(near) => format!("AWS Backup has no such service; did you mean `{near}`?"),
            None => format!("AWS Backup has no such service; it can be `{}` or `{ALL}`", SWITCHES.join("`, `")),
        }),
    }
}

/// Files that were read: name and text.
type File = (String, String);

/// What was read.
#[derive(Default)]
struct Read {
    /// The templates: first those that are judged, then those with plans.
    files: Vec<File>,
    /// How many are judged.
    judged: usize,
    inventories: Vec<File>,
    /// What is in the folders and was not read as a template.
    skipped: Vec<Fault>,
}

/// What was found, and in what.
struct Found {
    findings: Vec<Finding>,
    rows: Vec<(&'static str, Tally)>,
    later: Vec<&'static str>,
    /// The files that are judged.
    files: BTreeMap<String, String>,
    /// Messages about generated files, which are not changed.
    generated: Vec<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Verdict> {
    let given: BTreeMap<String, String> = args.parameter.iter().cloned().collect();
    let questions = Questions::read(&args.framework, args.root.as_deref(), &given)?;
    let mut read = Read::of(args)?;
    let mut found = Found::of(args, &questions, &given, &read)?;
    if args.fix {
        if !args.dry_run {
            fix::begin(args.templates.iter(), args.format);
        }
        found.generated.iter().for_each(|message| output::aside(message));
    }
    if args.dry_run {
        output::text(&fix::diff(&found.findings, &found.files)?)?;
        return Ok(found.verdict(args.strict));
    }
    if args.fix && fix::mend(&found.findings, &mut found.files, args.format)? {
        // Not read again: standard input and pipes have been read.
        for (name, text) in read.files.iter_mut().take(read.judged) {
            if let Some(new) = found.files.remove(name) {
                *text = new;
            }
        }
        found = Found::of(args, &questions, &given, &read)?;
    }
    match args.format {
        Format::Human => found.show()?,
        Format::Json => output::line(&serde_json::to_string_pretty(&found.json()?)?)?,
        Format::Sarif => output::line(&serde_json::to_string_pretty(&machine::sarif(&found.findings, &[]))?)?,
        Format::Github => output::text(&machine::github(&found.findings))?,
    }
    let verdict = found.verdict(args.strict);
    if args.fix {
        fix::end(&found.files)?;
    }
    Ok(verdict)
}

impl Read {
    fn of(args: &Args) -> anyhow::Result<Self> {
        let mut read = Self::default();
        let mut known = BTreeSet::new();
        let Files { files, skipped } = templates::all(&args.templates, &args.exclude)?;
        for file in files {
            let (path, text) = match file {
                templates::File::Found(path, text) => (path, text),
                templates::File::Named(path) => {
                    let text = input::template(&path)?.map_err(|fault| unusable(&[fault]))?;
                    (path, text)
                }
            };
            read.files.push((input::name(&path), text));
            known.insert(templates::identity(&path));
        }
        read.judged = read.files.len();
        read.skipped = skipped;
        let Files { files, skipped } = templates::all(&args.plans, &args.exclude)?;
        for file in files {
            let (path, text) = match file {
                templates::File::Found(path, text) => (path, Some(text)),
                templates::File::Named(path) => (path, None),
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
        for fault in skipped {
            if !read.skipped.contains(&fault) {
                read.skipped.push(fault);
            }
        }
        Ok(read)
    }
}

impl Found {
    fn of(args: &Args, questions: &Questions, given: &BTreeMap<String, String>, read: &Read) -> anyhow::Result<Self> {
        let Read { files, judged, inventories, skipped } = read;
        let mut inventory: Option<Inventory> = None;
        for (name, text) in inventories {
            let read = match inventory.take() {
                None => Inventory::read(name, text),
                Some(before) => before.read_more(name, text),
            };
            inventory = Some(read.map_err(|fault| anyhow::anyhow!("{fault}"))?);
        }
        // Nothing that templates tell depends on the time, but for schedules, which are judged over a year.
        let mut inventory = inventory.unwrap_or_else(|| Inventory::new(now()));
        let (account, region) = place(args, questions, &inventory)?;
        let (accounts, regions) = (account.iter().cloned().collect(), region.iter().cloned().collect());
        let questions = &questions.clone().at(&accounts, &regions)?;
        let mut target = Target::new(account, region)?;
        let switched = args.opt_in.iter().flat_map(|service| match service.as_str() {
            ALL => SWITCHES.to_vec(),
            one => vec![one],
        });
        target.opt_in = switched.map(|service| (service.to_owned(), true)).collect();
        target.tags = args.tag.iter().cloned().collect();

        let asked: Vec<Asked> = questions
            .groups
            .iter()
            .filter(|group| group.applies(target.account(), target.region()))
            .flat_map(|group| group.asked.iter().cloned())
            .collect();
        let mut unknown: Vec<&Fault> = Vec::new();
        for fault in questions
            .groups
            .iter()
            .filter(|group| group.applies(target.account(), target.region()))
            .flat_map(|group| &group.unknown)
        {
            if !unknown.contains(&fault) {
                unknown.push(fault);
            }
        }
        if asked.is_empty() && unknown.is_empty() {
            bail!(
                "`{}` has no framework in the account and Region that the templates are deployed to",
                args.framework.display()
            );
        }
        let templates = files
            .iter()
            .map(|(name, text)| Template::read_source(name, text).map_err(|faults| unusable(&faults)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        refuse_unknown(given, &templates, questions)?;
        let stacks: Vec<Stack<'_>> = templates
            .iter()
            .map(|template| {
                let own = given.iter().filter(|(name, _)| template.declares(name) || name.starts_with("AWS::"));
                Stack { template, parameters: own.map(|(name, value)| (name.clone(), value.clone())).collect() }
            })
            .collect();
        let added = template::add(&mut inventory, &target, &stacks);
        let Checked { findings, rows, later } = check::check(&inventory, &added, &target, &stacks, *judged, &asked);
        let undecided = unknown.into_iter().map(|fault| Finding { level: Level::Warning, fault: fault.clone() });
        let findings = findings.into_iter().map(|check::Finding { level, fault }| Finding { level, fault });
        // Last: of too many, those about resources are shown.
        let skipped = skipped.iter().map(|fault| Finding { level: Level::Warning, fault: fault.clone() });
        let mut findings: Vec<Finding> = undecided.chain(findings).chain(skipped).collect();
        let files = files.iter().take(*judged).cloned().collect();
        let generated = generated::keep(&mut findings, &files);
        let rows = rows.into_iter().map(|(control, tally)| (control.name, tally)).collect();
        let later = later.into_iter().map(|control| control.name).collect();
        Ok(Self { findings, rows, later, files, generated })
    }

    fn show(&self) -> anyhow::Result<()> {
        for level in Level::ALL.into_iter().rev() {
            let of_level = || self.findings.iter().filter(|finding| finding.level == level);
            for finding in of_level().take(MOST_FINDINGS) {
                human::one(finding)?;
            }
            if let more @ 1.. = of_level().count().saturating_sub(MOST_FINDINGS) {
                output::line(&format!(
                    "and {}, not shown; --format json has all\n",
                    plain::count(plain::number(more), &format!("more {}", level.as_str()))
                ))?;
            }
        }
        if self.rows.is_empty() {
            output::line(if self.findings.is_empty() {
                "The templates have nothing that the framework asks about.\n"
            } else {
                "Nothing was judged: what only a deployment tells may bring what the framework asks about.\n"
            })?;
        }
        let rows: Vec<(String, Tally)> = self.rows.iter().map(|(name, tally)| ((*name).to_owned(), *tally)).collect();
        output::text(&evaluate::by_control(&rows, output::room()))?;
        if !self.later.is_empty() {
            output::line(&format!(
                "Not judged, for only backups and restores tell: {}; see `evaluate`",
                self.later.join(", ")
            ))?;
        }
        let changes = self.findings.iter().filter(|finding| !finding.fault.edits.is_empty()).count();
        if changes > 0 {
            output::line(&format!("{} can be mended with --fix", plain::count(plain::number(changes), "finding")))?;
        }
        Ok(())
    }

    fn json(&self) -> anyhow::Result<Value> {
        let mut json = machine::json(&self.findings)?;
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|(control, tally)| {
                let mut row = evaluate::tally(tally);
                machine::set(&mut row, "control", (*control).into());
                row
            })
            .collect();
        machine::set(&mut json, "summary", rows.into());
        machine::set(&mut json, "notJudged", json!(self.later));
        Ok(json)
    }

    fn verdict(&self, strict: bool) -> Verdict {
        let undecided = findings::count(&self.findings, Level::Warning);
        if undecided > 0 {
            let warnings = plain::count(plain::number(undecided), "warning");
            let more = if strict { "" } else { "; with --strict that is a finding" };
            output::aside(&format!("{warnings}: not everything could be decided{more}"));
        }
        let is_clean = findings::count(&self.findings, Level::Error) == 0 && (!strict || undecided == 0);
        if is_clean { Verdict::Clean } else { Verdict::Findings }
    }
}

/// Where the templates are deployed: as people say, or where alone it can be.
fn place(
    args: &Args,
    questions: &Questions,
    inventory: &Inventory,
) -> anyhow::Result<(Option<AccountId>, Option<RegionName>)> {
    let of_policy = questions.groups.iter().flat_map(crate::frameworks::Group::named);
    let of_inventory = inventory.places().map(|place| (&place.account, &place.region));
    let mut places: Vec<_> =
        if inventory.places().next().is_some() { of_inventory.collect() } else { of_policy.collect() };
    places.retain(|(account, region)| {
        args.in_account.as_ref().is_none_or(|own| own == *account)
            && args.in_region.as_ref().is_none_or(|own| own == *region)
    });
    let account = args.in_account.clone().or_else(|| only(places.iter().map(|(account, _)| *account)));
    let region = args.in_region.clone().or_else(|| only(places.iter().map(|(_, region)| *region)));
    if inventory.places().next().is_some() && (account.is_none() || region.is_none()) {
        bail!(
            "the inventory has several accounts or Regions: say with --in-account and --in-region where the templates are deployed"
        );
    }
    Ok((account, region))
}

/// What all of them are, if they are all the same.
fn only<'a, T: PartialEq + Clone + 'a>(mut all: impl Iterator<Item = &'a T>) -> Option<T> {
    let first = all.next()?;
    all.all(|other| other == first).then(|| first.clone())
}

/// A value that nobody declares is a slip of the pen.
fn refuse_unknown(
    given: &BTreeMap<String, String>,
    templates: &[Template],
    questions: &Questions,
) -> anyhow::Result<()> {
    let declared = || {
        let of_templates = templates.iter().flat_map(|template| template.parameters().keys());
        of_templates.chain(&questions.parameters).map(String::as_str)
    };
    for name in given.keys().filter(|name| !name.starts_with("AWS::")) {
        if declared().all(|own| own != name) {
            match nearest(name, declared()) {
                Some(near) => {
                    bail!("no template declares the parameter `{}`; did you mean `{near}`?", plain::shown(name))
                }
                None => bail!("no template declares the parameter `{}`; remove it", plain::shown(name)),
            }
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "whoever asks at a terminal means now")]
fn now() -> Timestamp {
    Timestamp::now()
}
