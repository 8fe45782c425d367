//! `evaluate`: what Audit Manager will say of an inventory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use domain::control::{CONTROLS, Control};
use domain::evaluation::{Asked, Evaluator, Judgement, Subject, Tally, Verdict as Judged};
use domain::fault::nearest;
use domain::ids::{AccountId, RegionName};
use domain::inventory::Inventory;

use super::lint::assignment;
use crate::frameworks::Questions;
use crate::{Verdict, input, output, plain};

mod human;
mod machine;
mod out;

pub(crate) use human::by_control;
pub(crate) use machine::tally;
use out::Out;

/// Say of an inventory what Audit Manager will say, control by control, and why.
///
/// Judges resources, backup plans, vaults and recovery points in documents of the form schemas/inventory.schema.json. Each is
/// compliant, not compliant, or undecided, which names what could not be read. A resource that no plan selects comes with the
/// selection that is nearest and the smallest change that brings it in. With a policy, each account and Region is judged with
/// the parameters that the policy gives there. Several documents are judged together, as of the earliest. Needs no AWS account.
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
    /// The inventory documents; `-` is one on standard input.
    #[arg(value_name = "INVENTORY", required = true)]
    inventories: Vec<PathBuf>,
    /// What is asked: a framework template, a policy file, or a folder with a `backup-compliance.yaml`.
    #[arg(long, value_name = "TEMPLATE|POLICY")]
    framework: PathBuf,
    /// The root of the policy repository, which template paths start from; without it, the policy file's folder.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// A value for a parameter of the framework template; policies give theirs.
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    parameter: Vec<(String, String)>,
    /// Only this control; may be given several times.
    #[arg(long, value_name = "CONTROL", value_parser = control)]
    control: Vec<&'static Control>,
    /// Only this account; may be given several times.
    #[arg(long, value_name = "ACCOUNT_ID", value_parser = account)]
    in_account: Vec<AccountId>,
    /// Show what is compliant too.
    #[arg(long)]
    all: bool,
    /// End with status 1 if anything is undecided or could not be read, or if nothing was evaluated.
    #[arg(long)]
    strict: bool,
    /// The form of the result on standard output.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people; in color on a terminal, unless `NO_COLOR` is set.
    Human,
    /// One JSON document.
    Json,
    /// For spreadsheets (RFC 4180): a row for each judgement.
    Csv,
    /// SARIF 2.1.0, for code scanning and editors.
    Sarif,
}

fn control(name: &str) -> Result<&'static Control, String> {
    let upper = name.to_uppercase();
    CONTROLS.iter().find(|control| control.name == upper).ok_or_else(|| {
        match nearest(name, CONTROLS.iter().map(|control| control.name)) {
            Some(near) => format!("there is no such control; did you mean `{near}`?"),
            None => "there is no such control, see docs/controls.md".to_owned(),
        }
    })
}

pub(crate) fn account(id: &str) -> Result<AccountId, String> {
    AccountId::parse(id).map_err(|error| error.to_string())
}

pub(crate) fn region(name: &str) -> Result<RegionName, String> {
    let region = RegionName::parse(name).map_err(|error| error.to_string())?;
    // A newer one is right, and far more often one is misspelled.
    if let Err(error) = RegionName::parse_listed(name, &[]) {
        output::aside(&format!("this version does not know the Region `{}`: {}", plain::shown(name), error.fix));
    }
    Ok(region)
}

/// A judgement with what stands around it.
struct Told<'a> {
    framework: &'a str,
    account: &'a AccountId,
    region: &'a RegionName,
    kind: &'a str,
    judgement: Judgement<'a>,
}

/// A line of the table at the end.
#[derive(Debug)]
struct Row {
    framework: String,
    control: &'static Control,
    tally: Tally,
}

/// What was not read, and matters.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Unread {
    account: String,
    region: String,
    /// As documents call it; `None` for all of a place.
    part: Option<String>,
    why: String,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Verdict> {
    let mut out: Box<dyn Out> = match args.format {
        Format::Human => Box::new(human::Human::default()),
        Format::Json => Box::new(machine::Json::default()),
        Format::Csv => Box::new(machine::Csv),
        Format::Sarif => Box::new(machine::Sarif::default()),
    };
    let given: BTreeMap<String, String> = args.parameter.iter().cloned().collect();
    let questions = Questions::read(&args.framework, args.root.as_deref(), &given)?;
    for remark in &questions.remarks {
        output::aside(remark);
    }
    let inventory = read(&args.inventories)?;
    let (accounts, regions) = inventory.places().map(|place| (place.account.clone(), place.region.clone())).unzip();
    let questions = questions.at(&accounts, &regions)?;
    for account in &args.in_account {
        let is_there = inventory.places().any(|place| place.account == *account)
            || questions.groups.iter().flat_map(crate::frameworks::Group::named).any(|(named, _)| named == account);
        if !is_there {
            bail!(
                "neither the inventory nor the policy says anything of the account {account}, which `--in-account` names"
            );
        }
    }
    for (kind, count) in inventory.not_asked_about() {
        output::aside(&format!(
            "note: {} of the type {} not judged: no control is about it",
            plain::count(count, "resource"),
            plain::shown(kind)
        ));
    }
    let is_wanted = |asked: &&Asked| args.control.is_empty() || args.control.contains(&asked.control);
    // Of each question the group that it is from.
    let (asked, of): (Vec<Asked>, Vec<usize>) = questions
        .groups
        .iter()
        .enumerate()
        .flat_map(|(number, group)| group.asked.iter().filter(is_wanted).map(move |asked| (asked.clone(), number)))
        .unzip();
    let is_all_known = questions.groups.iter().all(|group| group.unknown.is_empty());
    match (asked.is_empty() && is_all_known, args.control.is_empty()) {
        (false, _) => {}
        (true, true) => bail!("`{}` asks nothing where the inventory is from", args.framework.display()),
        (true, false) => bail!("no framework asks for the control that `--control` names"),
    }
    let mut rows: Vec<Row> = Vec::new();
    let row_of: Vec<usize> = asked
        .iter()
        .zip(&of)
        .map(|(asked, group)| {
            let framework = questions.groups.get(*group).map_or("", |group| group.framework.as_str());
            let is_same = |row: &Row| row.framework == framework && row.control == asked.control;
            rows.iter().position(is_same).unwrap_or_else(|| {
                rows.push(Row { framework: framework.to_owned(), control: asked.control, tally: Tally::default() });
                rows.len().saturating_sub(1)
            })
        })
        .collect();
    let mut frameworks: Vec<&str> = questions.groups.iter().map(|group| group.framework.as_str()).collect();
    frameworks.dedup();
    out.begin(inventory.as_of(), &frameworks)?;
    let mut ended = Ok(());
    Evaluator::new(&inventory, &asked).each(|judgement| {
        let group = of.get(judgement.question).and_then(|group| questions.groups.get(*group));
        let (Some(group), Some((account, region, kind))) = (group, place(&inventory, &judgement)) else { return };
        if !group.applies(Some(account), Some(region))
            || !(args.in_account.is_empty() || args.in_account.contains(account))
        {
            return;
        }
        if let Some(row) = row_of.get(judgement.question).and_then(|row| rows.get_mut(*row)) {
            row.tally.add(&judgement.verdict);
        }
        let is_shown = args.all || !matches!(judgement.verdict, Judged::Compliant(_));
        if is_shown && ended.is_ok() {
            ended = out.one(&Told { framework: &group.framework, account, region, kind, judgement });
        }
    });
    ended?;
    let unread = unread(&inventory, &questions, args);
    out.end(&rows, &unread)?;
    Ok(verdict(&rows, &unread, args.strict))
}

fn verdict(rows: &[Row], unread: &[Unread], strict: bool) -> Verdict {
    let total = |count: fn(&Tally) -> u64| rows.iter().map(|row| count(&row.tally)).sum::<u64>();
    let (broken, undecided) = (total(|tally| tally.not_compliant), total(|tally| tally.undecided));
    if undecided > 0 || !unread.is_empty() {
        let undecided = plain::count(undecided, "judgement");
        let unread = plain::count(plain::number(unread.len()), "part");
        output::aside(&format!("warning: {undecided} undecided, {unread} of the inventory not read"));
    }
    // A green run that evaluated nothing would hide a wrong policy or inventory.
    let is_nothing =
        total(|tally| tally.compliant.saturating_add(tally.not_compliant).saturating_add(tally.undecided)) == 0;
    let is_strict_finding = strict && (undecided > 0 || !unread.is_empty() || is_nothing);
    if broken > 0 || is_strict_finding { Verdict::Findings } else { Verdict::Clean }
}

/// Where something is, and its type.
fn place<'a>(inventory: &'a Inventory, judgement: &Judgement<'a>) -> Option<(&'a AccountId, &'a RegionName, &'a str)> {
    let kind = judgement.asked.control.resource_types.first().copied().unwrap_or_default();
    Some(match judgement.subject {
        Subject::Resource(resource) => {
            let place = inventory.place_of_resource(resource)?;
            (&place.account, &place.region, inventory.kind(resource))
        }
        Subject::Plan(plan) => (&plan.account, &plan.region, kind),
        Subject::Vault(vault) => (&vault.account, &vault.region, kind),
        Subject::RecoveryPoint(point) => (&point.account, &point.region, kind),
    })
}

/// What was not read of the places that are asked about.
fn unread(inventory: &Inventory, questions: &Questions, args: &Args) -> Vec<Unread> {
    let is_wanted = |account: &AccountId| args.in_account.is_empty() || args.in_account.contains(account);
    let mut unread = BTreeSet::new();
    let gaps = inventory.gaps();
    for gap in gaps {
        let applies = questions.groups.iter().any(|group| group.applies(Some(gap.account), Some(gap.region)));
        if applies && is_wanted(gap.account) {
            unread.insert(Unread {
                account: gap.account.to_string(),
                region: gap.region.to_string(),
                part: gap.part.and_then(|part| Some(serde_json::to_value(part).ok()?.as_str()?.to_owned())),
                why: gap.why.to_owned(),
            });
        }
    }
    // What a framework asks and nobody knows was not judged, in each place where it asks.
    for group in questions.groups.iter().filter(|group| !group.unknown.is_empty()) {
        for place in inventory.places() {
            let (account, region) = (&place.account, &place.region);
            if group.applies(Some(account), Some(region)) && is_wanted(account) {
                unread.extend(group.unknown.iter().map(|fault| Unread {
                    account: account.to_string(),
                    region: region.to_string(),
                    part: Some("framework".to_owned()),
                    why: fault.to_string(),
                }));
            }
        }
    }
    for (account, region) in questions.groups.iter().flat_map(crate::frameworks::Group::named) {
        if is_wanted(account) && !inventory.has_place(account, region) {
            let why = "no document says anything about it".to_owned();
            unread.insert(Unread { account: account.to_string(), region: region.to_string(), part: None, why });
        }
    }
    unread.into_iter().collect()
}

/// Reads documents one by one, and lets go of each text.
pub(crate) fn read(paths: &[PathBuf]) -> anyhow::Result<Inventory> {
    let mut inventory: Option<Inventory> = None;
    for path in paths {
        let (name, text) = (input::name(path), input::text(path, input::INVENTORY)?);
        let read = match inventory.take() {
            None => Inventory::read(&name, &text),
            Some(before) => before.read_more(&name, &text),
        };
        inventory = Some(read.map_err(|fault| anyhow::anyhow!("{fault}"))?);
    }
    inventory.context("no inventory is named")
}
