//! `inventory`: the live state of an organisation, for `evaluate` and `check`.

mod partial;
mod summary;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use app::inventory::{Failure, Finished, Narrowed, Outcome, Question, Step, read};
use domain::ids::{AccountId, RegionName};
use domain::inventory::document::Document;
use jiff::Timestamp;

use crate::cloud::{self, Cloud};
use crate::{Format, Verdict, output, plain};
use partial::{Asked, Partial};
use summary::Summary;

/// What the role is called in `framework/prerequisites/inventory-role.yaml`.
const ROLE: &str = "backup-compliance-inventory";

/// Read what an organisation has into an inventory document, for `evaluate` and `check --plans`.
///
/// Resources come from an aggregator of AWS Config, in the account and Region that it is in. What that cannot give (tags and
/// conditions of backup selections, policies and locks of vaults, switches for services, restores, recovery points that are
/// snapshots) comes from AWS Backup in each account and Region, through the role of framework/prerequisites/inventory-role.yaml.
/// What could not be read is named in the document, and a judgement that hangs on it is undecided. Changes nothing.
///
/// With --output, what was read is kept in FILE.partial until all is done: the same command goes on from there after it was
/// broken off. Credentials and Region are those that the AWS CLI would use; they need config:SelectAggregateResourceConfig
/// and config:DescribeConfigurationAggregatorSourcesStatus, sts:AssumeRole on the role, and without --aggregator
/// cloudformation:DescribeStacks.
///
/// Exit status: 0 when everything was read, 1 when the document is written and something is missing from it, 2 when there is no
/// document.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  backup-compliance inventory --output inventory.json
  backup-compliance inventory --aggregator organization --output inventory.json
  backup-compliance inventory --in-account 222222222222 --in-region eu-west-1 \\
    | backup-compliance evaluate --framework framework -
  backup-compliance inventory --without-role --output resources.json
  backup-compliance inventory --format json --output inventory.json \\
    | jq '.unread'")]
pub(crate) struct Args {
    /// The aggregator, instead of asking the application's stack for its parameter `ConfigAggregatorName`.
    #[arg(long, value_name = "NAME")]
    aggregator: Option<String>,
    /// The application's stack, which says what the aggregator is called.
    #[arg(long, value_name = "NAME", default_value = cloud::STACK, conflicts_with = "aggregator")]
    stack: String,
    /// The role in each account.
    #[arg(long, value_name = "NAME", default_value = ROLE, value_parser = role)]
    role: String,
    /// Ask nobody but the aggregator; what it cannot give is named as unread.
    #[arg(long, conflicts_with = "role")]
    without_role: bool,
    /// Only this account; may be given again.
    #[arg(long, value_name = "ID", value_parser = AccountId::parse)]
    in_account: Vec<AccountId>,
    /// Only this Region; may be given again.
    #[arg(long, value_name = "CODE", value_parser = crate::commands::evaluate::region)]
    in_region: Vec<RegionName>,
    /// The file for the document, instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Begin anew, whatever FILE.partial holds.
    #[arg(long, requires = "output")]
    fresh: bool,
    /// Accounts and Regions that are read side by side.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=64))]
    jobs: usize,
    /// The form of the result on standard output.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    #[command(flatten)]
    access: cloud::Access,
}

/// The name of an IAM role, without its path.
fn role(name: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if (1..=64).contains(&name.len()) && name.chars().all(fits) {
        return Ok(name.to_owned());
    }
    Err("a role is named without account and path, by 1 to 64 letters, digits and `_+=,.@-`".to_owned())
}

impl Args {
    fn question(&self) -> Question {
        let narrowed = Narrowed {
            accounts: self.in_account.iter().cloned().collect::<BTreeSet<_>>(),
            regions: self.in_region.iter().cloned().collect::<BTreeSet<_>>(),
        };
        Question { narrowed, jobs: self.jobs }
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Verdict> {
    if let Some(file) = &args.output {
        check_output(file)?;
    }
    let outcome = cloud::wait(async {
        let cloud = Cloud::connect(&args.access).await?;
        let steps = output::Steps::new();
        let aggregator = match &args.aggregator {
            Some(name) => name.clone(),
            None => {
                if steps.is_in_lines() {
                    steps.at(&format!("reading the stack `{}`", plain::shown(&args.stack)));
                }
                of_stack(&cloud, &args.stack).await?
            }
        };
        let question = args.question();
        let role = (!args.without_role).then(|| args.role.clone());
        let asked = Asked { aggregator: aggregator.clone(), role: role.clone(), narrowed: question.narrowed.clone() };
        let now = cloud::now();
        let (mut partial, began, earlier) = match &args.output {
            Some(file) => {
                let (partial, begun) = Partial::open(file, &asked, now, args.fresh)?;
                (Some(partial), begun.began, begun.parts)
            }
            None => (None, now, Vec::new()),
        };
        let keep = |part: &Finished| match &mut partial {
            Some(partial) => partial.keep(part).map_err(|error| format!("{error:#}")),
            None => Ok(()),
        };
        let source = cloud.aggregator(&aggregator);
        let members = role.map(|role| cloud.member_backups(&role));
        let mut progress = Progress::new(steps, &aggregator);
        let reading = read(&source, members.as_ref(), &question, (began, earlier), keep, |step| progress.at(step));
        let stopped = tokio::select! {
            read = reading => Some(read),
            _ = tokio::signal::ctrl_c() => None,
        };
        drop(progress);
        let outcome = match stopped {
            Some(Ok(outcome)) => outcome,
            Some(Err(Failure::Keep(why))) => bail!(why),
            Some(Err(Failure::Aggregator(error))) => {
                if let Some(partial) = partial.filter(|partial| partial.kept() == 0) {
                    partial.remove()?;
                }
                return Err(no_aggregator(&aggregator, &error));
            }
            None => match &partial {
                Some(partial) => bail!(
                    "stopped; the same command goes on from `{}`, where {} are kept",
                    partial.path().display(),
                    plain::count(partial.kept(), "part")
                ),
                None => bail!("stopped; with --output, what was read would have been kept"),
            },
        };
        let complete = outcome.troubles.is_empty();
        write(&outcome.document, args.output.as_deref())?;
        if let Some(partial) = partial {
            partial.remove()?;
        }
        Ok((outcome, complete))
    });
    let (outcome, complete) = outcome?;
    show(&outcome, args)?;
    Ok(if complete { Verdict::Clean } else { Verdict::Findings })
}

/// Whether a document could be written, before anything is read.
fn check_output(file: &Path) -> anyhow::Result<()> {
    let folder = folder(file);
    if file.is_dir() {
        bail!("`{}` is a folder; name a file", file.display());
    }
    if !folder.is_dir() {
        bail!("there is no folder `{}` for `{}`", folder.display(), file.display());
    }
    Ok(())
}

fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// The aggregator that the application uses.
async fn of_stack(cloud: &Cloud, stack: &str) -> anyhow::Result<String> {
    let application = cloud.application(stack).await.map_err(|error| cloud::problem(&error))?;
    let shown = plain::shown(stack);
    let application = application.with_context(|| {
        format!(
            "there is no stack `{shown}` in this account and Region: name the application's with --stack, or the \
             aggregator with --aggregator"
        )
    })?;
    let name = application.parameters.get("ConfigAggregatorName").filter(|name| !name.is_empty()).cloned();
    name.with_context(|| {
        format!(
            "the stack `{shown}` uses no aggregator (its parameter ConfigAggregatorName): name one with --aggregator"
        )
    })
}

fn no_aggregator(name: &str, error: &app::ports::PortError) -> anyhow::Error {
    if error.code.as_deref() == Some("NoSuchConfigurationAggregatorException") {
        return anyhow!(
            "there is no aggregator `{}` in this account and Region: `aws configservice \
             describe-configuration-aggregators` lists them",
            plain::shown(name)
        );
    }
    cloud::problem(error)
}

/// Writes the document: a file appears as a whole, or not at all.
fn write(document: &Document, file: Option<&Path>) -> anyhow::Result<()> {
    let Some(file) = file else {
        return output::line(&serde_json::to_string_pretty(document)?);
    };
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

/// What was read and what was not: on standard error, where the document itself is on standard output.
fn show(outcome: &Outcome, args: &Args) -> anyhow::Result<()> {
    let role = (!args.without_role).then_some(args.role.as_str());
    let summary = Summary::of(outcome, args.output.as_deref(), role);
    match (args.format, &args.output) {
        (Format::Json, Some(_)) => output::line(&serde_json::to_string_pretty(&summary.json())?)?,
        (Format::Json, None) => output::note(&serde_json::to_string(&summary.json())?),
        (Format::Human, _) => output::note(summary.page().trim_end()),
    }
    Ok(())
}

/// How far the reading is, on standard error.
struct Progress {
    aggregator: String,
    steps: output::Steps,
    /// Tenths of the places for which there is a line.
    tenths: Option<usize>,
}

impl Progress {
    fn new(steps: output::Steps, aggregator: &str) -> Self {
        Self { aggregator: plain::shown(aggregator), steps, tenths: None }
    }

    fn at(&mut self, step: Step) {
        match step {
            Step::Queries(done, of) => {
                self.steps.at(&format!("querying the aggregator `{}`: {done} of {of} queries", self.aggregator));
            }
            Step::Places(done, of) => {
                let tenths = done.saturating_mul(10).checked_div(of);
                if tenths != self.tenths || !self.steps.is_in_lines() {
                    self.tenths = tenths;
                    self.steps.at(&format!("reading accounts and Regions: {done} of {of}"));
                }
            }
        }
    }
}

/// When the first part was read, and the parts.
#[derive(Debug)]
struct Begun {
    began: Timestamp,
    parts: Vec<Finished>,
}
