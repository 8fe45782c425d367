//! `preview`: the effects of a change to the policy, before it is merged.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, anyhow, bail};
use clap::ValueEnum;
use jiff::civil::Date;
use tempfile::TempDir;

use app::deploy::DesiredPolicy;
use app::in_force::today;
use app::plan::plan_change;
use domain::cost::Prices;
use domain::preview::{
    ChangeVerdict, ControlChange, PredictedCounts, PredictedViolation, PredictedViolations, Preview, UnreadLocation,
};
use evaluation::inventory::Inventory;
use evaluation::{ComparedState, Comparison, ControlQuery, Evaluation, ViolatingItem, ViolationChange, compare};
use syntax::diagnostic::{Diagnostic, Level};

use super::evaluate::{self, LocatedEvaluation};
use super::lint;
use crate::findings::{machine, sarif};
use crate::frameworks::{ControlQueries, QueryGroup};
use crate::{CommandOutcome, cloud, input, output, plain, repository};

mod human;

/// Preview the effects of a change to the policy
///
/// Compares two states of a policy repository: the findings of lint that are new, the rollout, the violations that the changed frameworks
/// will report for the resources in an inventory (new, resolved, unchanged, undecided, exempt), and the cost of their evaluations. The
/// policy's limits (`preview` in the policy file after the change) decide the verdict: ok, attention or blocked. Needs no AWS account.
///
/// A state is a folder, or a commit, branch or tag of the git repository in the current folder.
///
/// Exit status: 0 if the verdict is ok or attention, 1 if it is blocked (with --strict also attention), 2 when a file cannot be read.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  backup-compliance preview --before origin/main --after . \\
    --inventory inventory.json
  backup-compliance preview --before origin/main --after HEAD \\
    --policy policies --inventory eu.json --inventory us.json
  backup-compliance preview --before old --after new --format markdown \\
    --inventory inventory.json > comment.md
  backup-compliance preview --before origin/main --after . \\
    --format json | jq '.verdict'")]
pub(crate) struct PreviewArgs {
    /// PolicyState before the change: a folder, or a commit of the git repository
    #[arg(long, value_name = "DIR|REF")]
    before: String,
    /// PolicyState after the change
    #[arg(long, value_name = "DIR|REF", default_value = ".")]
    after: String,
    /// Path of the policy file or its folder in both states
    #[arg(long, value_name = "PATH", default_value = ".")]
    policy: PathBuf,
    /// Root of template paths in both states [default: folder of the policy file]
    #[arg(long, value_name = "PATH")]
    root: Option<PathBuf>,
    /// Inventory document; without one, no violations are predicted; `-` for standard input; repeatable
    #[arg(long, value_name = "INVENTORY")]
    inventory: Vec<PathBuf>,
    /// Price list instead of that of this version
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Exit with status 1 if the verdict is attention
    #[arg(long)]
    strict: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = PreviewFormat::Human)]
    format: PreviewFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PreviewFormat {
    /// Text; in color on a terminal, unless `NO_COLOR` is set
    Human,
    /// One JSON document (schemas/preview.schema.json)
    Json,
    /// Markdown for a comment, at most 10,240 characters (the limit of CodeCommit)
    Markdown,
    /// SARIF 2.1.0: the new findings, and one for each control with new violations
    Sarif,
    /// Code Quality report of GitLab
    Codequality,
}

/// Maximum characters of a comment in CodeCommit.
const MOST_CHARACTERS: usize = 10_240;

/// Most new, and most resolved violations that are listed; all are counted.
const MOST_LISTED: usize = 10_000;

pub(crate) fn run(args: &PreviewArgs) -> anyhow::Result<CommandOutcome> {
    let now = cloud::now();
    let today = today(now);
    let (before, after) = (PolicyState::open(&args.before, args)?, PolicyState::open(&args.after, args)?);
    let (old, new) = (before.lint(today)?, after.lint(today)?);
    let errors = new.iter().filter(|finding| finding.level == Level::Error).count();
    let (desired_before, desired_after) = (before.desired()?, after.desired()?);
    let (plan, kept) = match &desired_after {
        Some(desired) => plan_change(desired_before.as_ref(), desired),
        None => Default::default(),
    };
    let mut preview = Preview {
        version: 1,
        before: args.before.clone(),
        after: args.after.clone(),
        verdict: ChangeVerdict::Ok,
        reasons: Vec::new(),
        findings: added(old, new),
        plan,
        kept,
        violations: None,
        cost: None,
    };
    let files = args.inventory.iter().map(|path| Ok((input::name(path), input::text(path, input::INVENTORY)?)));
    let inventory = evaluate::merged(files)?;
    let mut at_controls = Vec::new();
    if let (Some(inventory), Some(_)) = (&inventory, &desired_after) {
        let before = match &desired_before {
            Some(_) => before.queries(inventory)?,
            None => ControlQueries::default(),
        };
        let after_queries = after.queries(inventory)?;
        let prices = match &args.prices {
            None => Prices::of_this_version()?,
            Some(path) => Prices::read(&input::text(path, input::SETTINGS)?)
                .with_context(|| format!("`{}` is not a price list", path.display()))?,
        };
        let (violations, comparison) = predicted(inventory, &before, &after_queries, today);
        at_controls = by_control(&violations, &after);
        preview.violations = Some(violations);
        preview.cost = Some(prices.change(&comparison.before, &comparison.after));
    }
    let limits = desired_after.as_ref().map(|desired| desired.preview).unwrap_or_default();
    preview.judge(&limits, errors, now);
    let findings = || preview.findings.iter().cloned().chain(at_controls.iter().cloned()).collect::<Vec<_>>();
    match args.format {
        PreviewFormat::Human => output::text(&human::page(&preview))?,
        PreviewFormat::Json => output::json(&serde_json::to_value(&preview)?)?,
        PreviewFormat::Markdown => output::line(&preview.markdown(MOST_CHARACTERS))?,
        PreviewFormat::Sarif => output::json(&sarif::sarif(&findings(), &[], &BTreeMap::new()))?,
        PreviewFormat::Codequality => output::json(&machine::code_quality(&findings()))?,
    }
    let is_blocked = preview.verdict == ChangeVerdict::Blocked || (args.strict && preview.verdict != ChangeVerdict::Ok);
    Ok(if is_blocked { CommandOutcome::Findings } else { CommandOutcome::Clean })
}

/// A state of the policy repository.
struct PolicyState {
    name: String,
    folder: PathBuf,
    policy: PathBuf,
    root: Option<PathBuf>,
    /// Removed with the value.
    _checkout: Option<TempDir>,
}

impl PolicyState {
    /// Opens a folder, or checks a commit out into a temporary one.
    fn open(name: &str, args: &PreviewArgs) -> anyhow::Result<Self> {
        let mut paths = [Some(&args.policy), args.root.as_ref()].into_iter().flatten();
        if let Some(path) = paths.find(|path| path.is_absolute()) {
            bail!("`{}` is absolute; `--policy` and `--root` are paths in both states", path.display());
        }
        let (folder, checkout) = match Path::new(name) {
            folder if folder.is_dir() => (folder.to_path_buf(), None),
            _ => {
                let checkout = check_out(name)?;
                (checkout.path().to_path_buf(), Some(checkout))
            }
        };
        let within = |path: &PathBuf| if path == Path::new(".") { folder.clone() } else { folder.join(path) };
        let (policy, root) = (within(&args.policy), args.root.as_ref().map(within));
        Ok(Self { name: name.to_owned(), folder, policy, root, _checkout: checkout })
    }

    /// Whether the state has a policy file. A repository may have none before the change.
    fn has_policy(&self) -> bool {
        self.policy.is_file() || self.policy.join(repository::POLICY_FILE).is_file()
    }

    /// Returns the findings of lint, with paths from the folder of the state. Notes are no effects of a change.
    fn lint(&self, today: Date) -> anyhow::Result<Vec<Diagnostic>> {
        if !self.has_policy() {
            return Ok(Vec::new());
        }
        let mut findings = lint::findings(&self.policy, self.root.as_deref(), today)?;
        findings.retain(|finding| finding.level != Level::Note);
        for finding in &mut findings {
            if let Ok(path) = Path::new(&finding.file).strip_prefix(&self.folder) {
                finding.file = path.display().to_string();
            }
        }
        Ok(findings)
    }

    /// Returns the desired state; `None` without a policy, or if lint rejects it.
    fn desired(&self) -> anyhow::Result<Option<DesiredPolicy>> {
        if !self.has_policy() {
            return Ok(None);
        }
        Ok(repository::read_policy(&self.policy, self.root.as_deref())?.desired.ok())
    }

    fn queries(&self, inventory: &Inventory) -> anyhow::Result<ControlQueries> {
        let (accounts, regions) =
            inventory.locations().map(|location| (location.account.clone(), location.region.clone())).unzip();
        let read = ControlQueries::read(&self.policy, self.root.as_deref(), &BTreeMap::new());
        read.and_then(|queries| queries.at(&accounts, &regions)).with_context(|| format!("in `{}`", self.name))
    }
}

/// Checks a commit of the git repository in the current folder out into a temporary folder.
fn check_out(name: &str) -> anyhow::Result<TempDir> {
    let git = |args: &[&str], index: Option<&Path>| -> anyhow::Result<String> {
        let mut command = Command::new("git");
        command.args(args);
        if let Some(index) = index {
            command.env("GIT_INDEX_FILE", index);
        }
        let ran = command.output().context("cannot start `git`")?;
        match ran.status.success() {
            true => Ok(String::from_utf8_lossy(&ran.stdout).trim().to_owned()),
            false => Err(anyhow!("{}", String::from_utf8_lossy(&ran.stderr).trim())),
        }
    };
    let shown = plain::escaped(name);
    let revision = format!("{name}^{{commit}}");
    let commit = git(&["rev-parse", "--verify", "--quiet", "--end-of-options", &revision], None).map_err(|_| {
        anyhow!("`{shown}` is neither a folder nor a commit of the git repository in the current folder")
    })?;
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let index = folder.path().join(".git-index");
    // From the root of the repository: paths are then those of the commit, in whatever folder the command runs.
    let top = git(&["rev-parse", "--show-toplevel"], None)?;
    let files = folder.path().join("files");
    let prefix = format!("--prefix={}/", files.display());
    git(&["-C", &top, "read-tree", &commit], Some(&index))
        .and_then(|_| git(&["-C", &top, "checkout-index", "--all", &prefix], Some(&index)))
        .with_context(|| format!("cannot check out `{shown}`"))?;
    std::fs::create_dir_all(&files)?;
    for entry in std::fs::read_dir(&files)? {
        let entry = entry?;
        std::fs::rename(entry.path(), folder.path().join(entry.file_name()))?;
    }
    Ok(folder)
}

/// Returns the findings after the change that were not there before, and all errors; a moved one is not new.
fn added(before: Vec<Diagnostic>, after: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut known: HashMap<(String, Option<&str>, String), usize> = HashMap::new();
    for finding in before {
        *known.entry((finding.file, finding.rule, finding.message)).or_default() += 1;
    }
    let is_new =
        |finding: &Diagnostic| match known.get_mut(&(finding.file.clone(), finding.rule, finding.message.clone())) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            _ => true,
        };
    after.into_iter().filter(is_new).collect()
}

/// The queries of a state over an inventory.
struct StateQueries<'a> {
    inventory: &'a Inventory,
    policy: &'a ControlQueries,
    asked: Vec<ControlQuery>,
    /// The group of each query.
    groups: Vec<&'a QueryGroup>,
    today: Date,
}

impl<'a> StateQueries<'a> {
    fn new(inventory: &'a Inventory, policy: &'a ControlQueries, today: Date) -> Self {
        let queries = policy.groups.iter();
        let (asked, groups) =
            queries.flat_map(|group| group.asked.iter().map(move |asked| (asked.clone(), group))).unzip();
        Self { inventory, policy, asked, groups, today }
    }

    /// Returns the group of the query of an evaluation.
    fn group(&self, evaluation: &Evaluation<'_>) -> Option<&'a QueryGroup> {
        self.groups.get(evaluation.query_index).copied()
    }

    fn applies(&self, evaluation: &Evaluation<'_>) -> bool {
        let location = evaluate::location(self.inventory, evaluation);
        let (Some(group), Some((account, region, _))) = (self.group(evaluation), location) else { return false };
        group.applies(Some(account), Some(region))
    }

    fn is_exempt(&self, evaluation: &Evaluation<'_>) -> bool {
        let Some((account, region, _)) = evaluate::location(self.inventory, evaluation) else { return false };
        let control = evaluation.query.control;
        let item = || ViolatingItem::new(self.inventory, control, &evaluation.subject, account, region);
        self.policy.has_exemptions() && self.policy.exemption(&item(), self.today).is_some()
    }

    fn violation(&self, evaluation: Evaluation<'_>) -> Option<PredictedViolation> {
        let (account, region, kind) = evaluate::location(self.inventory, &evaluation)?;
        let group = self.group(&evaluation)?;
        let located = LocatedEvaluation { group, account, region, kind, evaluation, exemption: None };
        let evaluation = &located.evaluation;
        Some(PredictedViolation {
            control: evaluation.query.control.name,
            framework: group.framework.clone(),
            account: account.clone(),
            region: region.clone(),
            resource_type: kind.to_owned(),
            resource: located.arn().unwrap_or_else(|| evaluation.subject.id()).to_owned(),
            reason: evaluation.result.to_string(),
            fix: located.fix(),
        })
    }
}

/// Compares the violations of both states.
fn predicted(
    inventory: &Inventory,
    before: &ControlQueries,
    after: &ControlQueries,
    today: Date,
) -> (PredictedViolations, Comparison) {
    let (old, new) = (StateQueries::new(inventory, before, today), StateQueries::new(inventory, after, today));
    let mut listed: BTreeMap<ViolationChange, BTreeMap<_, Vec<PredictedViolation>>> = BTreeMap::new();
    let mut by_control: BTreeMap<&'static str, ControlChange> = BTreeMap::new();
    let comparison = compare(
        inventory,
        &ComparedState {
            queries: &old.asked,
            applies: &|evaluation| old.applies(evaluation),
            is_exempt: &|evaluation| old.is_exempt(evaluation),
        },
        &ComparedState {
            queries: &new.asked,
            applies: &|evaluation| new.applies(evaluation),
            is_exempt: &|evaluation| new.is_exempt(evaluation),
        },
        |change, evaluation| {
            let control = evaluation.query.control;
            let counts = by_control.entry(control.name).or_default();
            let (state, count) = match change {
                ViolationChange::New => (&new, &mut counts.new),
                ViolationChange::Resolved => (&old, &mut counts.resolved),
            };
            *count += 1;
            let same = listed.entry(change).or_default().entry(control.severity).or_default();
            if same.len() < MOST_LISTED {
                same.extend(state.violation(evaluation));
            }
        },
    );
    // The most severe first.
    let mut worst = |change| -> Vec<PredictedViolation> {
        let by_severity = listed.remove(&change).unwrap_or_default();
        by_severity.into_values().rev().flatten().take(MOST_LISTED).collect()
    };
    let counts = comparison.counts;
    let violations = PredictedViolations {
        inventory_as_of: inventory.as_of(),
        counts: PredictedCounts {
            new: counts.new,
            resolved: counts.resolved,
            unchanged: counts.unchanged,
            undecided: counts.undecided,
            exempt: counts.exempt,
        },
        by_control,
        new: worst(ViolationChange::New),
        resolved: worst(ViolationChange::Resolved),
        unread: unread(inventory, after),
    };
    (violations, comparison)
}

fn unread(inventory: &Inventory, policy: &ControlQueries) -> Vec<UnreadLocation> {
    let parts = evaluate::unread(inventory, policy, |_| true).into_iter();
    let location = |part: evaluate::UnreadPart| UnreadLocation {
        account: part.account,
        region: part.region,
        reason: part.part.map(|name| format!("{name}: {}", part.reason)).unwrap_or(part.reason),
    };
    parts.map(location).collect()
}

/// Returns one finding for each control with new violations, at the policy file.
fn by_control(violations: &PredictedViolations, after: &PolicyState) -> Vec<Diagnostic> {
    let file = match after.policy.is_dir() {
        true => after.policy.join(repository::POLICY_FILE),
        false => after.policy.clone(),
    };
    let file = file.strip_prefix(&after.folder).unwrap_or(&file).display().to_string();
    let changed = violations.by_control.iter().filter(|(_, change)| change.new > 0);
    let finding = |(name, change): (&&'static str, &ControlChange)| Diagnostic {
        rule: Some(name),
        level: Level::Warning,
        ..Diagnostic::of_file(
            &file,
            format!("{} of `{name}`", plain::count(change.new, "new violation")),
            "fix the resources before the merge, or exempt them in the policy",
        )
    };
    changed.map(finding).collect()
}
