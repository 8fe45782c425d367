//! `evaluate`: evaluates an inventory as Audit Manager does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::ValueEnum;

use evaluation::inventory::Inventory;
use evaluation::{ComplianceResult, ControlQuery, Evaluation, EvaluationCounts, Evaluator, Subject};
use framework::control::{CONTROLS, Control};
use framework::ids::{AccountId, RegionName};
use syntax::text::closest_match;

use super::lint::assignment;
use crate::frameworks::ControlQueries;
use crate::{CommandOutcome, input, output, plain};
use out::EvaluationWriter;

mod human;
mod machine;
mod out;

pub(crate) use human::by_control;
pub(crate) use machine::counts;

/// Evaluate an inventory against a framework
///
/// Predicts Audit Manager's result for each resource, backup plan, vault and recovery point in documents of the format
/// schemas/inventory.schema.json: compliant, not compliant, or undecided with the unread parts. For a resource that no
/// plan selects, shows the closest selection and the smallest fix. With a policy, each account and Region is evaluated
/// with its parameters. Several documents are evaluated together, as of the earliest. Needs no AWS account.
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
pub(crate) struct Args {
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
    #[arg(long, value_name = "ACCOUNT_ID", value_parser = account)]
    in_account: Vec<AccountId>,
    /// Show compliant results too
    #[arg(long)]
    all: bool,
    /// Exit with status 1 if a result is undecided, a part is unread, or nothing is evaluated
    #[arg(long)]
    strict: bool,
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

pub(crate) fn account(id: &str) -> Result<AccountId, String> {
    AccountId::parse(id).map_err(|error| error.to_string())
}

pub(crate) fn region(name: &str) -> Result<RegionName, String> {
    let region = RegionName::parse(name).map_err(|error| error.to_string())?;
    // It may be newer than this version; a typing error is far more likely.
    if let Err(error) = RegionName::parse_listed(name, &[]) {
        output::hint(&format!("this version does not know the Region `{}`: {}", plain::escaped(name), error.help));
    }
    Ok(region)
}

/// An evaluation with its location.
struct LocatedEvaluation<'a> {
    framework: &'a str,
    account: &'a AccountId,
    region: &'a RegionName,
    kind: &'a str,
    evaluation: Evaluation<'a>,
}

/// A row of the summary.
#[derive(Debug)]
struct SummaryRow {
    framework: String,
    control: &'static Control,
    counts: EvaluationCounts,
}

/// An unread part in scope.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct UnreadPart {
    account: String,
    region: String,
    /// As in documents; `None` for a whole location.
    part: Option<String>,
    reason: String,
}

/// Long because results are streamed: query groups and summary rows must stay borrowed while evaluating.
pub(crate) fn run(args: &Args) -> anyhow::Result<CommandOutcome> {
    let mut out: Box<dyn EvaluationWriter> = match args.format {
        Format::Human => Box::new(human::Human::default()),
        Format::Json => Box::new(machine::Json::default()),
        Format::Csv => Box::new(machine::Csv),
        Format::Sarif => Box::new(machine::Sarif::default()),
    };
    let given: BTreeMap<String, String> = args.parameter.iter().cloned().collect();
    let questions = ControlQueries::read(&args.framework, args.root.as_deref(), &given)?;
    for remark in &questions.remarks {
        output::hint(remark);
    }
    let inventory = read(&args.inventories)?;
    let (accounts, regions) =
        inventory.locations().map(|location| (location.account.clone(), location.region.clone())).unzip();
    let questions = questions.at(&accounts, &regions)?;
    for account in &args.in_account {
        let is_there = inventory.locations().any(|location| location.account == *account)
            || questions
                .groups
                .iter()
                .flat_map(crate::frameworks::QueryGroup::named)
                .any(|(named, _)| named == account);
        if !is_there {
            bail!("the account {account} of `--in-account` is neither in the inventory nor in the policy");
        }
    }
    for (kind, count) in inventory.unevaluated_types() {
        output::hint(&format!(
            "note: {} of the type {} not evaluated: no control covers it",
            plain::count(count, "resource"),
            plain::escaped(kind)
        ));
    }
    let is_wanted = |asked: &&ControlQuery| args.control.is_empty() || args.control.contains(&asked.control);
    // The group of each query.
    let (asked, of): (Vec<ControlQuery>, Vec<usize>) = questions
        .groups
        .iter()
        .enumerate()
        .flat_map(|(number, group)| group.asked.iter().filter(is_wanted).map(move |asked| (asked.clone(), number)))
        .unzip();
    let is_all_known = questions.groups.iter().all(|group| group.unknown.is_empty());
    match (asked.is_empty() && is_all_known, args.control.is_empty()) {
        (false, _) => {}
        (true, true) => bail!("`{}` has no control for the locations of the inventory", args.framework.display()),
        (true, false) => bail!("no framework has the control of `--control`"),
    }
    let mut rows: Vec<SummaryRow> = Vec::new();
    let row_of: Vec<usize> = asked
        .iter()
        .zip(&of)
        .map(|(asked, group)| {
            let framework = questions.groups.get(*group).map_or("", |group| group.framework.as_str());
            let is_same = |row: &SummaryRow| row.framework == framework && row.control == asked.control;
            rows.iter().position(is_same).unwrap_or_else(|| {
                rows.push(SummaryRow {
                    framework: framework.to_owned(),
                    control: asked.control,
                    counts: EvaluationCounts::default(),
                });
                rows.len().saturating_sub(1)
            })
        })
        .collect();
    let mut frameworks: Vec<&str> = questions.groups.iter().map(|group| group.framework.as_str()).collect();
    frameworks.dedup();
    out.begin(inventory.as_of(), &frameworks)?;
    let mut ended = Ok(());
    Evaluator::new(&inventory, &asked).each(|evaluation| {
        let group = of.get(evaluation.query_index).and_then(|group| questions.groups.get(*group));
        let (Some(group), Some((account, region, kind))) = (group, location(&inventory, &evaluation)) else { return };
        if !group.applies(Some(account), Some(region))
            || !(args.in_account.is_empty() || args.in_account.contains(account))
        {
            return;
        }
        if let Some(row) = row_of.get(evaluation.query_index).and_then(|row| rows.get_mut(*row)) {
            row.counts.add(&evaluation.result);
        }
        let is_shown = args.all || !matches!(evaluation.result, ComplianceResult::Compliant(_));
        if is_shown && ended.is_ok() {
            ended = out.one(&LocatedEvaluation { framework: &group.framework, account, region, kind, evaluation });
        }
    });
    ended?;
    let unread = unread(&inventory, &questions, args);
    out.end(&rows, &unread)?;
    Ok(verdict(&rows, &unread, args.strict))
}

fn verdict(rows: &[SummaryRow], unread: &[UnreadPart], strict: bool) -> CommandOutcome {
    let total = |count: fn(&EvaluationCounts) -> u64| rows.iter().map(|row| count(&row.counts)).sum::<u64>();
    let (broken, undecided) = (total(|counts| counts.not_compliant), total(|counts| counts.undecided));
    if undecided > 0 || !unread.is_empty() {
        let undecided = plain::count(undecided, "evaluation");
        let unread = plain::count(plain::to_u64(unread.len()), "part");
        output::hint(&format!("warning: {undecided} undecided, {unread} of the inventory not read"));
    }
    // A successful run without evaluations would hide a wrong policy or inventory.
    let is_nothing =
        total(|counts| counts.compliant.saturating_add(counts.not_compliant).saturating_add(counts.undecided)) == 0;
    let is_strict_finding = strict && (undecided > 0 || !unread.is_empty() || is_nothing);
    if broken > 0 || is_strict_finding { CommandOutcome::Findings } else { CommandOutcome::Clean }
}

/// Returns the location and type of an item.
fn location<'a>(
    inventory: &'a Inventory,
    evaluation: &Evaluation<'a>,
) -> Option<(&'a AccountId, &'a RegionName, &'a str)> {
    let kind = evaluation.query.control.resource_types.first().copied().unwrap_or_default();
    Some(match evaluation.subject {
        Subject::Resource(resource) => {
            let location = inventory.location_of_resource(resource)?;
            (&location.account, &location.region, inventory.kind(resource))
        }
        Subject::Plan(plan) => (&plan.account, &plan.region, kind),
        Subject::Vault(vault) => (&vault.account, &vault.region, kind),
        Subject::RecoveryPoint(point) => (&point.account, &point.region, kind),
    })
}

/// Returns the unread parts in scope.
fn unread(inventory: &Inventory, questions: &ControlQueries, args: &Args) -> Vec<UnreadPart> {
    let is_wanted = |account: &AccountId| args.in_account.is_empty() || args.in_account.contains(account);
    let mut unread = BTreeSet::new();
    let gaps = inventory.gaps();
    for gap in gaps {
        let applies = questions.groups.iter().any(|group| group.applies(Some(gap.account), Some(gap.region)));
        if applies && is_wanted(gap.account) {
            unread.insert(UnreadPart {
                account: gap.account.to_string(),
                region: gap.region.to_string(),
                part: gap.part.and_then(|part| Some(serde_json::to_value(part).ok()?.as_str()?.to_owned())),
                reason: gap.reason.to_owned(),
            });
        }
    }
    // Unknown controls of a framework were not evaluated in any location in its scope.
    for group in questions.groups.iter().filter(|group| !group.unknown.is_empty()) {
        for location in inventory.locations() {
            let (account, region) = (&location.account, &location.region);
            if group.applies(Some(account), Some(region)) && is_wanted(account) {
                unread.extend(group.unknown.iter().map(|diagnostic| UnreadPart {
                    account: account.to_string(),
                    region: region.to_string(),
                    part: Some("framework".to_owned()),
                    reason: diagnostic.to_string(),
                }));
            }
        }
    }
    for (account, region) in questions.groups.iter().flat_map(crate::frameworks::QueryGroup::named) {
        if is_wanted(account) && !inventory.has_location(account, region) {
            let reason = "no document contains it".to_owned();
            unread.insert(UnreadPart { account: account.to_string(), region: region.to_string(), part: None, reason });
        }
    }
    unread.into_iter().collect()
}

/// Reads documents one by one, and drops each text.
pub(crate) fn read(paths: &[PathBuf]) -> anyhow::Result<Inventory> {
    let mut inventory: Option<Inventory> = None;
    for path in paths {
        let (name, text) = (input::name(path), input::text(path, input::INVENTORY)?);
        let read = match inventory.take() {
            None => Inventory::read(&name, &text),
            Some(before) => before.read_more(&name, &text),
        };
        inventory = Some(read.map_err(|diagnostic| anyhow::anyhow!("{diagnostic}"))?);
    }
    inventory.context("no inventory is named")
}
