//! `violations`: what is open now, and what nobody can see.

mod human;
mod machine;
#[cfg(test)]
mod tests;

use app::inspect::{Exemptions, Listing, OpenViolation, Order, Query, open_violations};
use app::ports::{PolicyDirectory, SweepStore, ViolationStore};
use clap::ValueEnum;
use domain::control::{CONTROLS, Severity, nearest};
use domain::ids::{AccountId, RegionName};
use jiff::Timestamp;

use crate::cloud::{self, Cloud};
use crate::{Verdict, output, plain};

/// List the violations that are open, oldest first.
///
/// Reads what the application has on record, in the account and Region that it is deployed in. Exempt ones are counted, not
/// listed, unless asked for. Accounts and Regions that the last sweep could not see are named at the end: nothing is known of
/// them. Credentials and Region are those that the AWS CLI would use.
///
/// Exit status: 0 when none is open, 1 when some are, 2 when that cannot be known.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  backup-compliance violations
  backup-compliance violations --in-account 222222222222 --severity high
  backup-compliance violations --older-than 30 --sort account --limit 20
  backup-compliance violations --owner team-shop --exempt include
  backup-compliance violations --format csv > violations.csv
  backup-compliance violations --format json | jq '.violations[] \\
    | .resourceArn'")]
pub(crate) struct Args {
    /// The application's stack, which says where the records are.
    #[arg(long, value_name = "NAME", default_value = cloud::STACK)]
    stack: String,
    /// The state table, instead of asking the stack for it.
    #[arg(long, value_name = "NAME", conflicts_with = "stack")]
    table: Option<String>,
    /// Only in this account; may be given again.
    #[arg(long, value_name = "ID", value_parser = AccountId::parse)]
    in_account: Vec<AccountId>,
    /// Only in this Region; may be given again.
    #[arg(long, value_name = "CODE", value_parser = crate::commands::evaluate::region)]
    in_region: Vec<RegionName>,
    /// Only of this control; may be given again.
    #[arg(long, value_name = "NAME")]
    control: Vec<String>,
    /// Only of this severity or worse.
    #[arg(long, value_enum, value_name = "SEVERITY")]
    severity: Option<Least>,
    /// Only of this owner, as the owner tag names it; may be given again.
    #[arg(long, value_name = "NAME")]
    owner: Vec<String>,
    /// Only those that have been open for so many days.
    #[arg(long, value_name = "DAYS")]
    older_than: Option<u32>,
    /// Those that an exemption covers.
    #[arg(long, value_enum, default_value_t = Exempt::Exclude)]
    exempt: Exempt,
    /// What comes first: the oldest, or of each account or control the oldest, or the worst.
    #[arg(long, value_enum, default_value_t = Sort::Age)]
    sort: Sort,
    /// List so many and count the others.
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    limit: Option<usize>,
    /// The form of the result on standard output.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    #[command(flatten)]
    access: cloud::Access,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people; in color on a terminal, unless `NO_COLOR` is set.
    Human,
    /// One JSON document.
    Json,
    /// For spreadsheets (RFC 4180).
    Csv,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Least {
    Informational,
    Low,
    Medium,
    High,
    Critical,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Exempt {
    /// Are left out and counted.
    Exclude,
    /// Are listed too.
    Include,
    /// Are listed, and no others.
    Only,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sort {
    Age,
    Account,
    Control,
    Severity,
}

impl Args {
    fn query(&self) -> Query {
        Query {
            accounts: self.in_account.iter().cloned().collect(),
            regions: self.in_region.iter().cloned().collect(),
            controls: self.control.clone(),
            severity: self.severity.map(|least| match least {
                Least::Informational => Severity::Informational,
                Least::Low => Severity::Low,
                Least::Medium => Severity::Medium,
                Least::High => Severity::High,
                Least::Critical => Severity::Critical,
            }),
            owners: self.owner.clone(),
            older_than: self.older_than,
            exemptions: match self.exempt {
                Exempt::Exclude => Exemptions::Exclude,
                Exempt::Include => Exemptions::Include,
                Exempt::Only => Exemptions::Only,
            },
            order: match self.sort {
                Sort::Age => Order::Age,
                Sort::Account => Order::Account,
                Sort::Control => Order::Control,
                Sort::Severity => Order::Severity,
            },
        }
    }

    /// Whether anything narrows the list.
    fn narrows(&self) -> bool {
        !(self.in_account.is_empty() && self.in_region.is_empty() && self.control.is_empty() && self.owner.is_empty())
            || self.severity.is_some()
            || self.older_than.is_some()
            || self.exempt == Exempt::Only
    }
}

/// What is shown of a listing.
#[derive(Debug)]
struct Shown<'a> {
    listing: &'a Listing,
    /// Those within the limit.
    violations: &'a [OpenViolation],
    /// Whether anything narrows the list.
    narrowed: bool,
}

impl<'a> Shown<'a> {
    fn new(listing: &'a Listing, limit: Option<usize>, narrowed: bool) -> Self {
        let most = limit.unwrap_or(usize::MAX).min(listing.violations.len());
        Self { listing, violations: listing.violations.get(..most).unwrap_or_default(), narrowed }
    }

    /// How many are open of each severity, the worst first.
    fn by_severity(&self) -> Vec<(Severity, usize)> {
        [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Informational]
            .into_iter()
            .map(|severity| {
                (severity, self.listing.violations.iter().filter(|v| v.record.severity == severity).count())
            })
            .collect()
    }

    fn oldest(&self) -> Option<&'a OpenViolation> {
        self.listing.violations.iter().min_by_key(|violation| violation.since)
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Verdict> {
    let listing = cloud::wait(async {
        let cloud = Cloud::connect(&args.access).await?;
        let table = match &args.table {
            Some(table) => table.clone(),
            None => cloud.outputs(&args.stack).await?.get("StateTableName")?,
        };
        list(&cloud.state_table(&table), &args.query(), cloud::now()).await
    })?;
    let shown = Shown::new(&listing, args.limit, args.narrows());
    match args.format {
        Format::Human => output::text(&human::page(&shown, output::room()))?,
        Format::Json => output::line(&serde_json::to_string_pretty(&machine::json(&shown))?)?,
        Format::Csv => {
            output::text(&machine::csv(&shown)?)?;
            // No row may stand for what is not there.
            human::caveats(&shown).iter().for_each(|line| output::note(line));
        }
    }
    for unknown in unknown_controls(&args.control, &listing) {
        output::aside(&unknown);
    }
    Ok(if listing.violations.is_empty() { Verdict::Clean } else { Verdict::Findings })
}

async fn list<S>(store: &S, query: &Query, now: Timestamp) -> anyhow::Result<Listing>
where
    S: ViolationStore + PolicyDirectory + SweepStore,
{
    let mut progress = output::Progress::of("accounts");
    let listing = open_violations(store, query, now, |done, of| progress.at(done, plain::number(of))).await;
    listing.map_err(|error| cloud::problem(&error))
}

/// A note on each control that was asked for, is in no violation and in no catalogue.
fn unknown_controls(asked: &[String], listing: &Listing) -> Vec<String> {
    let is = |name: &str, other: &str| name.to_lowercase() == other.to_lowercase();
    let known = |name: &str| {
        CONTROLS.iter().any(|control| is(control.name, name))
            || listing.violations.iter().any(|violation| is(&violation.record.key.control, name))
    };
    let unknown = asked.iter().filter(|name| !known(name));
    unknown
        .map(|name| {
            let hint = nearest(name);
            let hint = hint.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
            format!("note: no control and no open violation's rule is called `{}`{hint}", plain::shown(name))
        })
        .collect()
}
