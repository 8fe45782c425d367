//! `violations`: lists open violations and blind spots.

mod human;
mod machine;
#[cfg(test)]
mod tests;

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::Timestamp;

use app::in_force::PolicyDirectory;
use app::inspect::{Exemptions, ListedViolation, ViolationList, ViolationOrder, ViolationQuery, open_violations};
use app::sweep::ports::SweepStore;
use app::violations::ViolationStore;
use framework::control::{CONTROLS, Severity, closest_name};
use framework::ids::{AccountId, RegionName};

use crate::{CommandOutcome, cloud, output, plain};

/// List open violations, oldest first.
///
/// Reads the application's state table in the current account and Region. Exempt violations are counted, and listed only with
/// `--exempt`. Blind spots (accounts and Regions without visibility in the last sweep) are listed at the end: their violations are not
/// known. Uses the credentials and Region of the AWS CLI.
///
/// Exit status: 0 when no violation is open, 1 when violations are open, 2 on errors.
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
pub(crate) struct ViolationsArgs {
    /// The application's stack, whose outputs name the state table.
    #[arg(long, value_name = "NAME", default_value = cloud::STACK)]
    stack: String,
    /// The state table, instead of the one in the outputs of the stack.
    #[arg(long, value_name = "NAME", conflicts_with = "stack")]
    table: Option<String>,
    /// Only violations in this account; repeatable.
    #[arg(long, value_name = "ID", value_parser = AccountId::parse)]
    in_account: Vec<AccountId>,
    /// Only violations in this Region; repeatable.
    #[arg(long, value_name = "CODE", value_parser = crate::commands::evaluate::region)]
    in_region: Vec<RegionName>,
    /// Only violations of this control; repeatable.
    #[arg(long, value_name = "NAME")]
    control: Vec<String>,
    /// Only violations with this severity or a higher one.
    #[arg(long, value_name = "SEVERITY", value_parser = one_of(SEVERITIES))]
    severity: Option<Severity>,
    /// Only violations of this owner, by the owner tag; repeatable.
    #[arg(long, value_name = "NAME")]
    owner: Vec<String>,
    /// Only violations that have been open for at least this many days.
    #[arg(long, value_name = "DAYS")]
    older_than: Option<u32>,
    /// Exempt violations: only count them (`exclude`), list them too (`include`), or list no others (`only`).
    #[arg(long, default_value = "exclude", value_parser = one_of(EXEMPTIONS))]
    exempt: Exemptions,
    /// The order: by age, by account or control and age, or by severity.
    #[arg(long, default_value = "age", value_parser = one_of(ORDERS))]
    sort: ViolationOrder,
    /// The number of violations to list; the others are counted.
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    limit: Option<usize>,
    /// The format of the output.
    #[arg(long, value_enum, default_value_t = ListFormat::Human)]
    format: ListFormat,
    #[command(flatten)]
    access: cloud::AwsOptions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ListFormat {
    /// A table; in color on a terminal, unless `NO_COLOR` is set.
    Human,
    /// One JSON document.
    Json,
    /// CSV for spreadsheets (RFC 4180).
    Csv,
}

const SEVERITIES: &[(&str, Severity)] = &[
    ("informational", Severity::Informational),
    ("low", Severity::Low),
    ("medium", Severity::Medium),
    ("high", Severity::High),
    ("critical", Severity::Critical),
];
const EXEMPTIONS: &[(&str, Exemptions)] =
    &[("exclude", Exemptions::Exclude), ("include", Exemptions::Include), ("only", Exemptions::Only)];
const ORDERS: &[(&str, ViolationOrder)] = &[
    ("age", ViolationOrder::Age),
    ("account", ViolationOrder::Account),
    ("control", ViolationOrder::Control),
    ("severity", ViolationOrder::Severity),
];

/// Parses an option with named values.
fn one_of<T: Copy + Send + Sync + 'static>(values: &'static [(&'static str, T)]) -> impl TypedValueParser<Value = T> {
    let value = move |name: String| values.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    PossibleValuesParser::new(values.iter().map(|(name, _)| *name))
        .try_map(move |name| value(name).ok_or("not one of the possible values"))
}

impl ViolationsArgs {
    fn query(&self) -> ViolationQuery {
        ViolationQuery {
            accounts: self.in_account.iter().cloned().collect(),
            regions: self.in_region.iter().cloned().collect(),
            controls: self.control.clone(),
            severity: self.severity,
            owners: self.owner.clone(),
            older_than: self.older_than,
            exemptions: self.exempt,
            order: self.sort,
        }
    }

    /// Whether a filter is set.
    fn narrows(&self) -> bool {
        !(self.in_account.is_empty() && self.in_region.is_empty() && self.control.is_empty() && self.owner.is_empty())
            || self.severity.is_some()
            || self.older_than.is_some()
            || self.exempt == Exemptions::Only
    }
}

#[derive(Debug)]
struct ListingView<'a> {
    listing: &'a ViolationList,
    violations: &'a [ListedViolation],
    /// Whether a filter is set.
    narrowed: bool,
}

impl<'a> ListingView<'a> {
    fn new(listing: &'a ViolationList, limit: Option<usize>, narrowed: bool) -> Self {
        let most = limit.unwrap_or(usize::MAX).min(listing.violations.len());
        Self { listing, violations: listing.violations.get(..most).unwrap_or_default(), narrowed }
    }

    /// Counts the open violations by severity, the highest first.
    fn by_severity(&self) -> impl Iterator<Item = (Severity, usize)> {
        let number = |of: Severity| self.listing.violations.iter().filter(|open| open.record.severity == of).count();
        SEVERITIES.iter().rev().map(move |(_, severity)| (*severity, number(*severity)))
    }

    fn oldest(&self) -> Option<&'a ListedViolation> {
        self.listing.violations.iter().min_by_key(|violation| violation.since)
    }
}

pub(crate) fn run(args: &ViolationsArgs) -> anyhow::Result<CommandOutcome> {
    let listing = cloud::block_on(async {
        let aws = cloud::connect(&args.access).await?;
        let table = cloud::state_table(&aws, args.table.as_deref(), &args.stack).await?;
        list(&table, &args.query(), cloud::now()).await
    })?;
    let shown = ListingView::new(&listing, args.limit, args.narrows());
    match args.format {
        ListFormat::Human => output::text(&human::page(&shown, output::terminal_width()))?,
        ListFormat::Json => output::json(&machine::json(&shown))?,
        ListFormat::Csv => {
            output::text(&machine::csv(&shown)?)?;
            // CSV has no place for remarks.
            human::caveats(&shown).iter().for_each(|line| output::note(line));
        }
    }
    unknown_controls(&args.control, &listing).iter().for_each(|note| output::hint(note));
    Ok(if listing.violations.is_empty() { CommandOutcome::Clean } else { CommandOutcome::Findings })
}

async fn list(
    store: &(impl ViolationStore + PolicyDirectory + SweepStore),
    query: &ViolationQuery,
    now: Timestamp,
) -> anyhow::Result<ViolationList> {
    let mut progress = output::progress("accounts");
    open_violations(store, query, now, |done, of| progress(done, of as u64)).await.map_err(cloud::aws_error)
}

/// Returns a note for each control of the query that is in no violation and not in the catalog.
fn unknown_controls(controls: &[String], listing: &ViolationList) -> Vec<String> {
    let is = |name: &str, other: &str| name.to_lowercase() == other.to_lowercase();
    let known = |name: &str| {
        CONTROLS.iter().any(|control| is(control.name, name))
            || listing.violations.iter().any(|violation| is(&violation.record.key.control, name))
    };
    let note = |name: &String| {
        let hint = closest_name(name).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
        format!("note: `{}` is neither a control nor the rule of an open violation{hint}", plain::escaped(name))
    };
    controls.iter().filter(|name| !known(name)).map(note).collect()
}
