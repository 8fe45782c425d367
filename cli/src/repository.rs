//! A folder in place of the policy repository, and the policy in it as `deploy` would read it.

use std::collections::BTreeMap;
use std::future::Future;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Waker};

use anyhow::{Context as _, anyhow, bail};
use app::deploy::{PolicyAt, Wanted};
use app::ports::{CommitFacts, PolicyRepository, PortError, PortErrorKind, RepositoryFile};
use domain::fault::Fault;
use domain::ids::CommitId;

use crate::input;

/// The policy file of a folder.
const POLICY_FILE: &str = "backup-compliance.yaml";
/// The parameter that the deployment fills in.
pub(crate) const EVENT_BUS_PARAMETER: &str = "ComplianceEventBusArn";
/// What the deployment fills in; any event bus will do to read a policy.
pub(crate) const EVENT_BUS: &str = "arn:aws:events:us-east-1:000000000000:event-bus/backup-compliance";

/// A policy that was read.
pub(crate) struct Read {
    /// What it wants, or everything that is wrong with it.
    pub(crate) wanted: Result<Wanted, Vec<Fault>>,
    /// The policy file: its path as faults name it, and its text.
    pub(crate) file: (String, String),
    /// Its templates: their paths as faults name them, and their texts.
    pub(crate) templates: BTreeMap<String, String>,
}

/// Reads the policy in a file, or in the policy file of a folder: what it wants, or everything that is wrong with it.
/// Templates are looked for from `root`; without it, from the policy file's folder.
///
/// # Errors
/// When a file cannot be read. A template that is not there is a fault.
pub(crate) fn policy(path: &Path, root: Option<&Path>) -> anyhow::Result<Result<Wanted, Vec<Fault>>> {
    Ok(read_policy(path, root)?.wanted)
}

/// Reads a policy as [`policy`] does, and keeps what it was read from.
///
/// # Errors
/// When a file cannot be read. A template that is not there is a fault.
pub(crate) fn read_policy(path: &Path, root: Option<&Path>) -> anyhow::Result<Read> {
    let folder = Folder::open(path, root)?;
    let commit = Folder::commit_id()?;
    let policy = PolicyAt { commit: &commit, policy_file: &folder.policy_file, event_bus_arn: EVENT_BUS };
    let wanted = at_once(policy.read(&folder))?.map_err(|error| anyhow!(error.message))?;
    let wanted = wanted.map_err(|faults| faults.into_iter().map(|fault| folder.located(fault)).collect());
    // Nobody panics while holding it.
    let templates = folder.templates.lock().map(|templates| templates.clone()).unwrap_or_default();
    let text = match folder.policy {
        RepositoryFile::Text(text) => text,
        // Its only fault says so.
        _ => String::new(),
    };
    Ok(Read { wanted, file: (folder.policy_file, text), templates })
}

fn policy_file(path: &Path) -> anyhow::Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_path_buf());
    }
    let file = if path == Path::new(".") { PathBuf::from(POLICY_FILE) } else { path.join(POLICY_FILE) };
    if !file.exists() {
        bail!("no `{POLICY_FILE}` in `{}`; name the policy file if it is called otherwise", path.display());
    }
    Ok(file)
}

/// Drives a future that has nothing to wait for, since a folder answers at once.
fn at_once<T>(future: impl Future<Output = T>) -> anyhow::Result<T> {
    match pin!(future).poll(&mut TaskContext::from_waker(Waker::noop())) {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => bail!("reading a folder does not wait"),
    }
}

/// A folder that holds the templates of a policy.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    root: PathBuf,
    /// The policy file as the user knows it; it need not be under the root.
    policy_file: String,
    policy: RepositoryFile,
    /// The templates that were asked for.
    templates: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Folder {
    /// The folder of this policy file, or with the policy file of this folder.
    ///
    /// # Errors
    /// When the policy file cannot be read.
    pub(crate) fn open(path: &Path, root: Option<&Path>) -> anyhow::Result<Self> {
        let file = policy_file(path)?;
        let policy = input::document(&file).with_context(|| format!("cannot read `{}`", file.display()))?;
        let root = root.or(file.parent()).unwrap_or(Path::new("")).to_path_buf();
        Ok(Self { root, policy_file: file.display().to_string(), policy, templates: Arc::default() })
    }

    /// Stands for the commit that a folder is not.
    pub(crate) fn commit_id() -> anyhow::Result<CommitId> {
        Ok(CommitId::parse("0")?)
    }

    /// The policy file as this repository calls it.
    pub(crate) fn policy_file(&self) -> &str {
        &self.policy_file
    }

    /// The fault with the file as the user can open it from here.
    pub(crate) fn located(&self, mut fault: Fault) -> Fault {
        if fault.file != self.policy_file {
            fault.file = self.root.join(&fault.file).display().to_string();
        }
        fault
    }
}

impl PolicyRepository for Folder {
    async fn head(&self) -> Result<Option<CommitId>, PortError> {
        Ok(None)
    }

    async fn file(&self, _: &CommitId, path: &str) -> Result<RepositoryFile, PortError> {
        if path == self.policy_file {
            return Ok(self.policy.clone());
        }
        let path = self.root.join(path);
        match input::document(&path) {
            Ok(file) => {
                if let (Ok(mut templates), RepositoryFile::Text(text)) = (self.templates.lock(), &file) {
                    templates.insert(path.display().to_string(), text.clone());
                }
                Ok(file)
            }
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(RepositoryFile::Missing),
            Err(e) => Err(PortError {
                operation: "read",
                code: None,
                message: format!("cannot read `{}`: {e}", path.display()),
                request_id: None,
                kind: PortErrorKind::Refused,
            }),
        }
    }

    async fn commit(&self, _: &CommitId) -> Result<CommitFacts, PortError> {
        Ok(CommitFacts { author: String::new(), message: String::new() })
    }

    async fn comment(&self, _: &CommitId, _: &str) -> Result<(), PortError> {
        Ok(())
    }
}
