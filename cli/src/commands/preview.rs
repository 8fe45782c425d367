//! `preview`: the effects of a change to the policy, before it is merged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, anyhow, bail};
use clap::ValueEnum;
use jiff::civil::Date;
use tempfile::TempDir;

use app::in_force::today;
use app::preview::{PolicyState, preview};
use domain::cost::Prices;
use domain::preview::{ChangeVerdict, ControlChange, MAX_COMMENT_CHARACTERS, PredictedViolations};
use syntax::diagnostic::{Diagnostic, Level};

use super::evaluate;
use crate::findings::{machine, sarif};
use crate::frameworks::unusable;
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
    /// State before the change: a folder, or a commit of the git repository
    #[arg(long, value_name = "DIR|REF")]
    before: String,
    /// State after the change
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

pub(crate) fn run(args: &PreviewArgs) -> anyhow::Result<CommandOutcome> {
    let now = cloud::now();
    let (before, after) = (PolicyFolderState::open(&args.before, args)?, PolicyFolderState::open(&args.after, args)?);
    let files = args.inventory.iter().map(|path| Ok((input::name(path), input::text(path, input::INVENTORY)?)));
    let inventory = evaluate::merged(files)?;
    let prices = match &args.prices {
        None => Prices::of_this_version()?,
        Some(path) => Prices::read(&input::text(path, input::SETTINGS)?)
            .with_context(|| format!("`{}` is not a price list", path.display()))?,
    };
    let states = (before.state(today(now))?, after.state(today(now))?);
    let preview = preview(states.0, states.1, inventory.as_ref(), &prices, now).map_err(unusable)?;
    let at_controls = preview.violations.as_ref().map(|found| by_control(found, &after)).unwrap_or_default();
    let findings = || preview.findings.iter().cloned().chain(at_controls.iter().cloned()).collect::<Vec<_>>();
    match args.format {
        PreviewFormat::Human => output::text(&human::page(&preview))?,
        PreviewFormat::Json => output::json(&serde_json::to_value(&preview)?)?,
        PreviewFormat::Markdown => output::line(&preview.markdown(MAX_COMMENT_CHARACTERS))?,
        PreviewFormat::Sarif => output::json(&sarif::sarif(&findings(), &[], &BTreeMap::new()))?,
        PreviewFormat::Codequality => output::json(&machine::code_quality(&findings()))?,
    }
    let is_blocked = preview.verdict == ChangeVerdict::Blocked || (args.strict && preview.verdict != ChangeVerdict::Ok);
    Ok(if is_blocked { CommandOutcome::Findings } else { CommandOutcome::Clean })
}

/// A state of the policy repository.
struct PolicyFolderState {
    name: String,
    folder: PathBuf,
    policy: PathBuf,
    root: Option<PathBuf>,
    /// Removed with the value.
    _checkout: Option<TempDir>,
}

impl PolicyFolderState {
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

    /// Reads and lints the policy. The paths in findings start from the folder of the state.
    fn state(&self, today: Date) -> anyhow::Result<PolicyState> {
        let read = || repository::read_policy(&self.policy, self.root.as_deref());
        let files = self.has_policy().then(read).transpose()?;
        let mut state = PolicyState::new(&self.name, files, today);
        for finding in &mut state.findings {
            if let Ok(path) = Path::new(&finding.file).strip_prefix(&self.folder) {
                finding.file = path.display().to_string();
            }
        }
        Ok(state)
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

/// Returns one finding for each control with new violations, at the policy file.
fn by_control(violations: &PredictedViolations, after: &PolicyFolderState) -> Vec<Diagnostic> {
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
