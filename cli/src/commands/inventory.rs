//! `inventory`: reads the live state of an organization for `evaluate` and `check`.

mod partial;
mod summary;
#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail, ensure};

use app::inventory::{
    CompletedRead, InventoryError, InventoryOutcome, InventoryScope, ReadOptions, ReadProgress, ReadRequest, read,
};
use app::ports::PortError;
use evaluation::inventory::document::Document;
use framework::ids::{AccountId, RegionName};

use crate::{CommandOutcome, OutputFormat, cloud, output, plain};
use partial::Partial;
use summary::InventorySummary;

/// The name in `framework/prerequisites/inventory-role.yaml`.
const ROLE: &str = "backup-compliance-inventory";

/// Read the state of an organization into an inventory document
///
/// Reads resources from an aggregator of AWS Config, in the account and Region of the aggregator. Reads tags and
/// conditions of backup selections, vault policies and locks, opt-in services, restore times, and recovery points that
/// are snapshots from AWS Backup in each account and Region, and who manages KMS keys from KMS, through the role of
/// framework/prerequisites/inventory-role.yaml. Parts that cannot be read are listed in the document; results that
/// depend on them are undecided. Changes nothing.
///
/// With --output, completed reads are stored in FILE.partial until the document is written: after an interruption, the
/// same command resumes. Uses the credentials and Region of the AWS CLI; needs config:SelectAggregateResourceConfig
/// and config:DescribeConfigurationAggregatorSourcesStatus, sts:AssumeRole on the role, and without --aggregator
/// cloudformation:DescribeStacks.
///
/// Exit status: 0 when everything was read, 1 when parts are missing from the document, 2 without a document.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  backup-compliance inventory --output inventory.json
  backup-compliance inventory --aggregator organization --output inventory.json
  backup-compliance inventory --in-account 222222222222 --in-region eu-west-1 \\
    | backup-compliance evaluate --framework framework -
  backup-compliance inventory --aggregator-only --output resources.json
  backup-compliance inventory --format json --output inventory.json \\
    | jq '.unread'")]
pub(crate) struct InventoryArgs {
    /// Name of the aggregator [default: parameter `ConfigAggregatorName` of the application's stack]
    #[arg(long, value_name = "NAME")]
    aggregator: Option<String>,
    /// Stack of the application, for the name of the aggregator
    #[arg(long, value_name = "NAME", default_value = cloud::STACK, conflicts_with = "aggregator")]
    stack: String,
    /// Name of the role in each account
    #[arg(long, value_name = "NAME", default_value = ROLE, value_parser = role)]
    role: String,
    /// Read only the aggregator; the parts it does not have are listed as unread
    #[arg(long, conflicts_with = "role")]
    aggregator_only: bool,
    /// Read only this account; repeatable
    #[arg(long, value_name = "ID", value_parser = AccountId::parse)]
    in_account: Vec<AccountId>,
    /// Read only this Region; repeatable
    #[arg(long, value_name = "CODE", value_parser = crate::commands::evaluate::region)]
    in_region: Vec<RegionName>,
    /// File for the document, instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Ignore the completed reads in FILE.partial
    #[arg(long, requires = "output")]
    no_resume: bool,
    /// Accounts and Regions to read concurrently
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=64))]
    jobs: usize,
    /// Output format of the summary
    #[arg(long, value_enum, default_value_t = OutputFormat::Human)]
    format: OutputFormat,
    #[command(flatten)]
    access: cloud::AwsOptions,
}

/// Validates the name of an IAM role, without its path.
fn role(name: &str) -> Result<String, &'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    let is_valid = (1..=64).contains(&name.len()) && name.chars().all(fits);
    is_valid
        .then(|| name.to_owned())
        .ok_or("a role name has 1 to 64 letters, digits or `_+=,.@-`, without account and path")
}

/// Long because it holds the order of partial file, read, interruption and document in one place.
pub(crate) fn run(args: &InventoryArgs) -> anyhow::Result<CommandOutcome> {
    args.output.as_deref().map_or(Ok(()), check_output)?;
    let outcome = cloud::block_on(async {
        let aws = cloud::connect(&args.access).await?;
        let steps = output::Steps::new();
        let aggregator = match &args.aggregator {
            Some(name) => name.clone(),
            None => {
                if steps.is_in_lines() {
                    output::note(&format!("reading the stack `{}`", plain::escaped(&args.stack)));
                }
                of_stack(&aws, &args.stack).await?
            }
        };
        let (accounts, regions) = (args.in_account.iter().cloned().collect(), args.in_region.iter().cloned().collect());
        let options = ReadOptions { scope: InventoryScope { accounts, regions }, jobs: args.jobs };
        let role = (!args.aggregator_only).then(|| args.role.clone());
        let request = ReadRequest { aggregator: aggregator.clone(), role: role.clone(), scope: options.scope.clone() };
        let now = cloud::now();
        let (mut partial, began, earlier) = match &args.output {
            Some(file) => {
                let (partial, began, parts) = Partial::open(file, &request, now, args.no_resume)?;
                (Some(partial), began, parts)
            }
            None => (None, now, Vec::new()),
        };
        let keep = |part: &CompletedRead| match &mut partial {
            Some(partial) => partial.keep(part).map_err(|error| format!("{error:#}")),
            None => Ok(()),
        };
        let source = aws.patient_aggregator(&aggregator);
        let members = role.map(|role| aws.member_backups(&role));
        let progress = progress(steps, plain::escaped(&aggregator));
        let reading = read(&source, members.as_ref(), &options, (began, earlier), keep, progress);
        let stopped = tokio::select! {
            read = reading => Some(read),
            _ = tokio::signal::ctrl_c() => None,
        };
        let outcome = match stopped {
            Some(Ok(outcome)) => outcome,
            Some(Err(InventoryError::Store(reason))) => bail!(reason),
            Some(Err(InventoryError::Aggregator(error))) => {
                if let Some(partial) = partial.filter(|partial| partial.kept == 0) {
                    partial.remove()?;
                }
                return Err(no_aggregator(&aggregator, error));
            }
            None => match &partial {
                Some(Partial { path, kept, .. }) => {
                    let parts = plain::count(*kept, "part");
                    bail!("interrupted; the same command resumes from `{}`, which contains {parts}", path.display())
                }
                None => bail!("interrupted; with --output, completed reads would have been stored"),
            },
        };
        write(&outcome.document, args.output.as_deref())?;
        if let Some(partial) = partial {
            partial.remove()?;
        }
        Ok(outcome)
    })?;
    show(&outcome, args)?;
    Ok(if outcome.failures.is_empty() { CommandOutcome::Clean } else { CommandOutcome::Findings })
}

/// Checks that the document can be written, before anything is read.
fn check_output(file: &Path) -> anyhow::Result<()> {
    let folder = folder(file);
    ensure!(!file.is_dir(), "`{}` is a folder; name a file", file.display());
    ensure!(folder.is_dir(), "the folder `{}` of `{}` does not exist", folder.display(), file.display());
    Ok(())
}

fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Returns the aggregator of the application.
async fn of_stack(aws: &aws::Clients, stack: &str) -> anyhow::Result<String> {
    let application = cloud::application(aws, stack).await.map_err(cloud::aws_error)?;
    let shown = plain::escaped(stack);
    let Some(application) = application else {
        bail!(
            "the stack `{shown}` does not exist in this account and Region; give the application's stack with --stack, or the \
             aggregator with --aggregator"
        );
    };
    let name = application.parameters.get("ConfigAggregatorName").filter(|name| !name.is_empty()).cloned();
    let none = "has no aggregator in its parameter ConfigAggregatorName; give one with --aggregator";
    name.with_context(|| format!("the stack `{shown}` {none}"))
}

fn no_aggregator(name: &str, error: PortError) -> anyhow::Error {
    if error.code.as_deref() == Some("NoSuchConfigurationAggregatorException") {
        return anyhow!(
            "the aggregator `{}` does not exist in this account and Region; `aws configservice \
             describe-configuration-aggregators` lists them",
            plain::escaped(name)
        );
    }
    cloud::aws_error(error)
}

/// Writes the document atomically.
fn write(document: &Document, file: Option<&Path>) -> anyhow::Result<()> {
    let Some(file) = file else { return output::line(&serde_json::to_string_pretty(document)?) };
    let cannot = || format!("cannot write `{}`", file.display());
    let mut beside = tempfile::NamedTempFile::new_in(folder(file)).with_context(cannot)?;
    {
        let mut buffered = std::io::BufWriter::new(&mut beside);
        serde_json::to_writer_pretty(&mut buffered, document).with_context(cannot)?;
        buffered.write_all(b"\n").and_then(|()| buffered.flush()).with_context(cannot)?;
    }
    beside.as_file().sync_all().with_context(cannot)?;
    beside.persist(file).with_context(cannot)?;
    Ok(())
}

/// Prints the summary, on standard error if the document is on standard output.
fn show(outcome: &InventoryOutcome, args: &InventoryArgs) -> anyhow::Result<()> {
    let role = (!args.aggregator_only).then_some(args.role.as_str());
    let summary = InventorySummary::of(outcome, args.output.as_deref(), role);
    match (args.format, &args.output) {
        (OutputFormat::Json, Some(_)) => output::json(&summary.json())?,
        (OutputFormat::Json, None) => output::note(&summary.json().to_string()),
        (OutputFormat::Human, _) => output::note(summary.page().trim_end()),
    }
    Ok(())
}

/// Returns a function that shows the progress on standard error.
fn progress(steps: output::Steps, aggregator: String) -> impl FnMut(ReadProgress) {
    // Tenths of the locations already reported.
    let mut reported = None;
    move |step| match step {
        ReadProgress::Queries(done, of) => {
            steps.in_lines(format!("querying the aggregator `{aggregator}`: {done} of {of} queries"));
        }
        ReadProgress::Locations(done, of) => {
            let tenths = done.saturating_mul(10).checked_div(of);
            if tenths != reported || !steps.is_in_lines() {
                reported = tenths;
                steps.in_lines(format!("reading accounts and Regions: {done} of {of}"));
            }
        }
    }
}
