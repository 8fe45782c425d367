//! A folder in place of the policy repository; its policy is read as `deploy` reads it.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, ensure};
use futures_util::FutureExt as _;

use app::deploy::ports::{PolicyRepository, RepositoryFile};
use app::deploy::{PolicyFiles, PolicySource, UNKNOWN_EVENT_BUS};
use app::ports::{PortError, PortErrorKind};
use domain::rollout::transition::Revision;
use framework::ids::CommitId;
use syntax::diagnostic::Diagnostic;

use crate::input;

pub(crate) const POLICY_FILE: &str = "backup-compliance.yaml";

/// Reads the policy in a file, or in the policy file of a folder. Paths of templates start from `root`; without it, from the folder of
/// the policy file. A missing template is a diagnostic, not an error.
pub(crate) fn read_policy(path: &Path, root: Option<&Path>) -> anyhow::Result<PolicyFiles> {
    read_policy_with(path, root, &BTreeMap::new())
}

/// Reads a policy like [`read_policy`], with texts that take the place of its templates, by path.
pub(crate) fn read_policy_with(
    path: &Path,
    root: Option<&Path>,
    texts: &BTreeMap<String, String>,
) -> anyhow::Result<PolicyFiles> {
    let folder = PolicyFolder { texts: texts.clone(), ..PolicyFolder::open(path, root)? };
    let commit = PolicyFolder::commit_id()?;
    let policy = PolicySource { commit: &commit, policy_file: &folder.policy_file, event_bus_arn: UNKNOWN_EVENT_BUS };
    let files = policy.read_files(&folder).now_or_never().context("reading a folder does not wait")?;
    let files = files.map_err(|error| anyhow!(error.message))?;
    let templates = files.templates.into_iter();
    let templates = templates.map(|(path, text)| (folder.root.join(path).display().to_string(), text)).collect();
    let desired = files.desired.map_err(|diagnostics| folder.located(diagnostics));
    Ok(PolicyFiles { desired, templates, ..files })
}

fn policy_file(path: &Path) -> anyhow::Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_path_buf());
    }
    let file = if path == Path::new(".") { PathBuf::from(POLICY_FILE) } else { path.join(POLICY_FILE) };
    ensure!(file.exists(), "no `{POLICY_FILE}` in `{}`; name the policy file if it has another name", path.display());
    Ok(file)
}

/// A folder with the templates of a policy.
#[derive(Debug, Clone)]
pub(crate) struct PolicyFolder {
    root: PathBuf,
    /// The path of the policy file from the working directory; it may be outside the root.
    pub(crate) policy_file: String,
    policy: RepositoryFile,
    /// Texts that take the place of files, by path.
    texts: BTreeMap<String, String>,
}

impl PolicyFolder {
    /// Opens the folder of a policy file, or a folder with one.
    pub(crate) fn open(path: &Path, root: Option<&Path>) -> anyhow::Result<Self> {
        let file = policy_file(path)?;
        let policy = input::document(&file).with_context(|| format!("cannot read `{}`", file.display()))?;
        let root = root.or(file.parent()).unwrap_or(Path::new("")).to_path_buf();
        Ok(Self { root, policy_file: file.display().to_string(), policy, texts: BTreeMap::new() })
    }

    /// The id that represents the state of a folder.
    pub(crate) fn commit_id() -> anyhow::Result<CommitId> {
        Ok(CommitId::parse("0")?)
    }

    /// Returns the diagnostics with their paths from the working directory.
    pub(crate) fn located(&self, mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
        for diagnostic in diagnostics.iter_mut().filter(|diagnostic| diagnostic.file != self.policy_file) {
            diagnostic.file = self.root.join(&diagnostic.file).display().to_string();
        }
        diagnostics
    }
}

impl PolicyRepository for PolicyFolder {
    async fn head(&self) -> Result<Option<CommitId>, PortError> {
        Ok(None)
    }

    async fn file(&self, _: &CommitId, path: &str) -> Result<RepositoryFile, PortError> {
        if path == self.policy_file {
            return Ok(self.policy.clone());
        }
        let path = self.root.join(path);
        let known = self.texts.get(&path.display().to_string()).cloned();
        match known.map_or_else(|| input::document(&path), |text| Ok(RepositoryFile::Text(text))) {
            Ok(file) => Ok(file),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(RepositoryFile::Missing),
            Err(e) => Err(PortError {
                operation: "read",
                code: None,
                message: format!("cannot read `{}`: {e}", path.display()),
                request_id: None,
                kind: PortErrorKind::Rejected,
            }),
        }
    }

    async fn commit(&self, commit: &CommitId) -> Result<Revision, PortError> {
        Ok(Revision { commit: commit.clone(), author: String::new(), message: String::new() })
    }

    async fn comment(&self, _: &CommitId, _: &str) -> Result<(), PortError> {
        Ok(())
    }
}
