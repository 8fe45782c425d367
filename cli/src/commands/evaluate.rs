//! `evaluate`: evaluates an inventory as Audit Manager does.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, anyhow, bail};
use clap::ValueEnum;
use jiff::Timestamp;

use app::in_force::today;
use app::queries::{QueryGroup, UnreadPart};
use evaluation::inventory::Inventory;
use evaluation::{
    ComplianceResult, ControlQuery, Evaluation, EvaluationCounts, Evaluator, Subject, ViolatingItem, ViolationExemption,
};
use framework::control::{CONTROLS, Control};
use framework::ids::{AccountId, RegionName};
use syntax::text::closest_match;

use super::lint::assignment;
use crate::{CommandOutcome, cloud, frameworks, input, output, plain};

mod human;
mod machine;
mod sarif;

pub(crate) use human::by_control;
pub(crate) use machine::counts;

/// Evaluate an inventory against a framework
///
/// Predicts Audit Manager's result for each resource, backup plan, vault and recovery point in documents of the format
/// schemas/inventory.schema.json: compliant, not compliant, or undecided with the unread parts. For a resource that no
/// plan selects, shows the closest selection and the smallest fix. With a policy, each account and Region is evaluated
/// with its parameters, and violations that the policy exempts are listed and counted apart. Several documents are
/// evaluated together, as of the earliest. Needs no AWS account.
///
/// Exit status: 0 without findings, 1 with findings, 2 when a file cannot be read.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  backup-compliance evaluate --framework framework inventory.json
  backup-compliance evaluate --framework framework.yaml \\
    --parameter RetentionDays=35 inventory.json
  backup-compliance evaluate --framework policies/production.yaml \\
    --root . eu.json us.json --in-account 222222222222
  backup-compliance evaluate --framework framework - < inventory.json
  backup-compliance evaluate --format json \\
    --framework framework inventory.json | jq '.summary'
  backup-compliance evaluate --format csv --all \\
    --framework framework inventory.json > evaluation.csv
  backup-compliance evaluate --format sarif \\
    --framework framework inventory.json > evaluation.sarif")]
pub(crate) struct EvaluateArgs {
    /// Inventory documents; `-` for standard input
    #[arg(value_name = "INVENTORY", required = true)]
    inventories: Vec<PathBuf>,
    /// Framework template, policy file, or folder with a `backup-compliance.yaml`
    #[arg(long, value_name = "TEMPLATE|POLICY")]
    framework: PathBuf,
    /// Root of the policy repository for template paths [default: folder of the policy file]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Parameter value for the framework template; policies have their own; repeatable
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    parameter: Vec<(String, String)>,
    /// Evaluate only this control; repeatable
    #[arg(long, value_name = "CONTROL", value_parser = control)]
    control: Vec<&'static Control>,
    /// Evaluate only this account; repeatable
    #[arg(long, value_name = "ACCOUNT_ID", value_parser = AccountId::parse)]
    in_account: Vec<AccountId>,
    /// Show compliant results too
    #[arg(long)]
    all: bool,
    /// Exit with status 1 if a result is undecided, a part is unread, or nothing is evaluated
    #[arg(long)]
    strict: bool,
    /// Report violations that the policy exempts as findings
    #[arg(long)]
    no_exemptions: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Text; in color on a terminal, unless `NO_COLOR` is set
    Human,
    /// One JSON document
    Json,
    /// CSV (RFC 4180), one row for each evaluation
    Csv,
    /// SARIF 2.1.0, for code scanning and editors
    Sarif,
}

fn control(name: &str) -> Result<&'static Control, String> {
    let upper = name.to_uppercase();
    CONTROLS.iter().find(|control| control.name == upper).ok_or_else(|| {
        match closest_match(name, CONTROLS.iter().map(|control| control.name)) {
            Some(near) => format!("unknown control; did you mean `{near}`?"),
            None => "unknown control; see docs/controls.md".to_owned(),
        }
    })
}

pub(crate) fn region(name: &str) -> Result<RegionName, String> {
    let region = RegionName::parse(name).map_err(|error| error.to_string())?;
    // It may be newer than this version; a typing error is far more likely.
    if let Err(error) = RegionName::parse_listed(name, &[]) {
        output::hint(&format!("this version does not know the Region `{}`: {}", plain::escaped(name), error.help));
    }
    Ok(region)
}

/// An output format, whose texts are written as they arrive, so that a million evaluations need no memory.
trait EvaluationWriter {
    fn begin(&mut self, _as_of: Timestamp, _frameworks: &[&str]) -> anyhow::Result<String> {
        Ok(String::new())
    }

    fn one(&mut self, located: &LocatedEvaluation<'_>) -> anyhow::Result<String>;

    fn end(&mut self, _rows: &[SummaryRow<'_>], _unread: &BTreeSet<UnreadPart>) -> anyhow::Result<String> {
        Ok(String::new())
    }
}

pub(super) struct LocatedEvaluation<'a> {
    pub(super) group: &'a QueryGroup,
    pub(super) account: &'a AccountId,
    pub(super) region: &'a RegionName,
    pub(super) kind: &'a str,
    pub(super) evaluation: Evaluation<'a>,
    /// The exemption of a result that is not compliant.
    pub(super) exemption: Option<ViolationExemption>,
}

impl LocatedEvaluation<'_> {
    pub(super) fn arn(&self) -> Option<&str> {
        match self.evaluation.subject {
            Subject::Resource(resource) => Some(resource.arn()),
            _ => None,
        }
    }
}

#[derive(Debug)]
struct SummaryRow<'a> {
    framework: &'a str,
    control: &'static Control,
    counts: EvaluationCounts,
}

impl EvaluateArgs {
    fn is_in_scope(&self, account: &AccountId) -> bool {
        self.in_account.is_empty() || self.in_account.contains(account)
    }
}

/// Long because results are streamed: query groups and summary rows must stay borrowed while evaluating.
pub(crate) fn run(args: &EvaluateArgs) -> anyhow::Result<CommandOutcome> {
    let mut writer: Box<dyn EvaluationWriter> = match args.format {
        Format::Human => Box::new(human::Human::default()),
        Format::Json => Box::new(machine::Json::default()),
        Format::Csv => Box::new(machine::Csv),
        Format::Sarif => Box::new(sarif::Sarif::new(&args.inventories)),
    };
    let given: BTreeMap<String, String> = args.parameter.iter().cloned().collect();
    let questions = frameworks::queries(&args.framework, args.root.as_deref(), &given)?;
    questions.remarks.iter().for_each(|remark| output::hint(remark));
    let files = args.inventories.iter().map(|path| Ok((input::name(path), input::text(path, input::INVENTORY)?)));
    let inventory = merged(files)?.context("no inventory is named")?;
    let (accounts, regions) =
        inventory.locations().map(|location| (location.account.clone(), location.region.clone())).unzip();
    let questions = questions.at(&accounts, &regions).map_err(frameworks::unusable)?;
    let mut known = args.in_account.iter();
    if let Some(account) =
        known.find(|own| !accounts.contains(own) && questions.named().all(|(account, _)| account != *own))
    {
        bail!("the account {account} of `--in-account` is neither in the inventory nor in the policy");
    }
    for (kind, count) in inventory.unevaluated_types() {
        let (resources, kind) = (plain::count(count, "resource"), plain::escaped(kind));
        output::hint(&format!("note: {resources} of the type {kind} not evaluated: no control covers it"));
    }
    let is_wanted = |asked: &&ControlQuery| args.control.is_empty() || args.control.contains(&asked.control);
    // The queries, each with its group.
    let (asked, groups): (Vec<ControlQuery>, Vec<&QueryGroup>) = questions
        .groups
        .iter()
        .flat_map(|group| group.asked.iter().filter(is_wanted).map(move |asked| (asked.clone(), group)))
        .unzip();
    if asked.is_empty() && questions.groups.iter().all(|group| group.unknown.is_empty()) {
        match args.control.is_empty() {
            true => bail!("`{}` has no control for the locations of the inventory", args.framework.display()),
            false => bail!("no framework has the control of `--control`"),
        }
    }
    let mut rows: Vec<SummaryRow<'_>> = Vec::new();
    let row_of: Vec<usize> = asked
        .iter()
        .zip(&groups)
        .map(|(asked, group)| {
            let (framework, control) = (group.framework.as_str(), asked.control);
            let is_same = |row: &SummaryRow<'_>| row.framework == framework && row.control == control;
            rows.iter().position(is_same).unwrap_or_else(|| {
                rows.push(SummaryRow { framework, control, counts: EvaluationCounts::default() });
                rows.len().saturating_sub(1)
            })
        })
        .collect();
    let mut frameworks: Vec<&str> = questions.groups.iter().map(|group| group.framework.as_str()).collect();
    frameworks.dedup();
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout());
    let mut write = |text: String| output::written(out.write_all(text.as_bytes()));
    let mut ended = writer.begin(inventory.as_of(), &frameworks).and_then(&mut write);
    let evaluator = Evaluator::new(&inventory, &asked);
    let mut without_rule: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    evaluator.each_without_rule(|query_index, resource| {
        let (Some(query), Some(group)) = (asked.get(query_index), groups.get(query_index)) else { return };
        let Some(location) = inventory.location_of_resource(resource) else { return };
        if group.applies(Some(&location.account), Some(&location.region)) && args.is_in_scope(&location.account) {
            let key = (query.control.name, inventory.kind(resource));
            without_rule.entry(key).or_default().insert(resource.arn());
        }
    });
    for ((control, kind), resources) in without_rule {
        let resources = plain::count(resources.len(), "resource");
        let reason = "AWS has no rule for this type";
        output::hint(&format!("note: {control}: {resources} of the type {kind} not judged: {reason}"));
    }
    let (today, has_exemptions) = (today(cloud::now()), !args.no_exemptions && questions.has_exemptions());
    let exemption = |evaluation: &Evaluation<'_>, account, region| {
        if !has_exemptions || !matches!(evaluation.result, ComplianceResult::NotCompliant(_)) {
            return None;
        }
        let control = evaluation.query.control;
        questions.exemption(&ViolatingItem::new(&inventory, control, &evaluation.subject, account, region), today)
    };
    evaluator.each(|evaluation| {
        let group = groups.get(evaluation.query_index);
        let (Some(group), Some((account, region, kind))) = (group, evaluation.location(&inventory)) else { return };
        if !group.applies(Some(account), Some(region)) || !args.is_in_scope(account) {
            return;
        }
        let exemption = exemption(&evaluation, account, region);
        if let Some(row) = row_of.get(evaluation.query_index).and_then(|row| rows.get_mut(*row)) {
            match exemption {
                Some(_) => row.counts.exempt += 1,
                None => row.counts.add(&evaluation.result),
            }
        }
        let is_shown = args.all || !matches!(evaluation.result, ComplianceResult::Compliant(_));
        if is_shown && ended.is_ok() {
            let located = LocatedEvaluation { group, account, region, kind, evaluation, exemption };
            ended = writer.one(&located).and_then(&mut write);
        }
    });
    ended?;
    let unread = questions.unread(&inventory, |account| args.is_in_scope(account));
    writer.end(&rows, &unread).and_then(&mut write)?;
    output::written(out.flush())?;
    if matches!(args.format, Format::Csv | Format::Sarif) {
        // Unread parts are not evaluations, so they are not in these formats.
        human::unread_lines(&unread, "not read:").for_each(|line| output::note(&line));
    }
    Ok(verdict(&rows, &unread, args.strict))
}

fn verdict(rows: &[SummaryRow<'_>], unread: &BTreeSet<UnreadPart>, strict: bool) -> CommandOutcome {
    let total = |count: fn(&EvaluationCounts) -> u64| rows.iter().map(|row| count(&row.counts)).sum::<u64>();
    let (broken, undecided) = (total(|counts| counts.not_compliant), total(|counts| counts.undecided));
    let is_uncertain = undecided > 0 || !unread.is_empty();
    if is_uncertain {
        let undecided = plain::count(undecided, "evaluation");
        let unread = plain::count(unread.len(), "part");
        output::hint(&format!("warning: {undecided} undecided, {unread} of the inventory not read"));
    }
    // A successful run without evaluations would hide a wrong policy or inventory.
    let is_empty = total(|counts| counts.compliant + counts.exempt) == 0;
    let is_finding = broken > 0 || (strict && (is_uncertain || is_empty));
    if is_finding { CommandOutcome::Findings } else { CommandOutcome::Clean }
}

/// Evaluates several documents together. They are read one by one, and each text is dropped.
pub(crate) fn merged<S: AsRef<str>>(
    files: impl Iterator<Item = anyhow::Result<(S, S)>>,
) -> anyhow::Result<Option<Inventory>> {
    let mut inventory: Option<Inventory> = None;
    for file in files {
        let (name, text) = file?;
        let read = match inventory.take() {
            None => Inventory::read(name.as_ref(), text.as_ref()),
            Some(before) => before.read_more(name.as_ref(), text.as_ref()),
        };
        inventory = Some(read.map_err(|diagnostic| anyhow!("{diagnostic}"))?);
    }
    Ok(inventory)
}
