//! The ports of `deploy`.

use std::collections::BTreeSet;
use std::future::ready;

use domain::notice::Notice;
use domain::policy::Reporting;
use domain::rollout::transition::Revision;
use domain::rollout::{Desired, Membership, Observed, ObservedStackSet, Operation, OperationStatus};
use framework::ids::{CommitId, StackSetName, UnitId};
use syntax::diagnostic::{Diagnostic, Position};

use super::state::{AcceptedRevision, DeployState, PublishedFramework, RevisionOrder, RolloutRecord, StackSetRef};
use crate::inventory::InventoryStore;
use crate::lifecycle::ports::{RequestStore, Responder};
use crate::ports::{Call, Clock, Result, Versioned};
use crate::violations::ViolationStore;

/// The adapters that [`Deploy`](super::Deploy) works with.
pub trait DeployEnv {
    /// The policy repository.
    type Repository: PolicyRepository;
    /// CloudFormation StackSets.
    type StackSets: StackSets;
    /// AWS Organizations, for targets that are organizational units.
    type Organization: OrganizationalUnits;
    /// The inventory in the application's bucket, which is removed with the application.
    type Inventories: InventoryStore;
    /// The state table.
    type Store: DeployStore + RequestStore + ViolationStore;
    /// Publishes notices.
    type Notifier: Notifier;
    /// Answers CloudFormation.
    type Responder: Responder;
    /// The time.
    type Clock: Clock;
}

/// A file of the repository at a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RepositoryFile {
    /// Its text.
    Text(String),
    /// The file does not exist.
    Missing,
    /// The file is not UTF-8; the position of the first invalid byte.
    NotUtf8(Position),
    /// The file is larger than CodeCommit's `GetFile` returns: [`RepositoryFile::LARGEST`].
    TooLarge,
    /// The archive that should contain the file, or its entry, is refused.
    Refused(Box<Diagnostic>),
}

impl RepositoryFile {
    /// The most bytes of a file.
    /// [AWS](https://docs.aws.amazon.com/codecommit/latest/APIReference/API_GetFile.html)
    pub const LARGEST: u64 = 6 * 1024 * 1024;

    /// Decodes the content of a file.
    pub fn decode(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(
            |error| {
                let valid = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
                Self::NotUtf8(Position::after(&String::from_utf8_lossy(valid)))
            },
            Self::Text,
        )
    }

    /// Returns the text, or a diagnostic about the file.
    pub fn into_text(self, file: &str) -> std::result::Result<String, Box<Diagnostic>> {
        let (at, message, help) = match self {
            Self::Text(text) => return Ok(text),
            Self::Missing => (None, "the file does not exist", "add it, or correct its path"),
            Self::NotUtf8(at) => (Some(at), "the file is not UTF-8 text", "store it as UTF-8"),
            Self::Refused(diagnostic) => return Err(diagnostic),
            Self::TooLarge => (
                None,
                "the file is larger than 6 MB, the most that is read",
                "make it smaller: CloudFormation accepts templates of at most 1 MB",
            ),
        };
        Err(Box::new(Diagnostic { at, ..Diagnostic::of_file(file, message, help) }))
    }
}

/// The source of the policy: a branch of a repository, or an object with versions. Its head is read again in every reconciliation, so
/// the order of events has no effect.
pub trait PolicyRepository {
    /// The commit at the head of the branch, or the current version of the object; `None` if there is none.
    fn head(&self) -> impl Call<Option<CommitId>>;
    /// Reads a file at a commit.
    fn file(&self, commit: &CommitId, path: &str) -> impl Call<RepositoryFile>;
    /// Reads author and message of a commit.
    fn commit(&self, commit: &CommitId) -> impl Call<Revision>;
    /// Comments on a commit. Idempotent for equal texts.
    fn comment(&self, commit: &CommitId, text: &str) -> impl Call<()>;
    /// Reads what orders this revision among the others.
    fn order(&self, _commit: &CommitId) -> impl Call<RevisionOrder> {
        ready(Ok(RevisionOrder::History))
    }
}

/// How StackSets accepted a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// The operation was started by this call.
    Started,
    /// An operation of this id was started before, and its answer was lost.
    AlreadyStarted,
}

/// The input of [`StackSets::start`].
#[derive(Debug, Clone, Copy)]
pub struct StartRequest<'a> {
    /// The StackSet.
    pub of: StackSetRef<'a>,
    /// The `OperationId`: a repeated call with the same id starts nothing.
    pub id: &'a str,
    /// The operation.
    pub operation: &'a Operation,
    /// The desired state; `None` in a removal.
    pub desired: Option<&'a Desired>,
    /// The value of the owner tag.
    pub owner: &'a str,
    /// The observed StackSet, whose other tags are kept.
    pub observed: &'a ObservedStackSet,
}

/// The reading calls of CloudFormation StackSets.
pub trait DeployedStackSets {
    /// Reads the StackSet, strongly consistent; `None` if it does not exist.
    fn describe(&self, of: StackSetRef<'_>) -> impl Call<Option<ObservedStackSet>>;
    /// Reads all its instances and, with service-managed permissions, the units to which StackSets deploys automatically.
    fn observe(&self, of: StackSetRef<'_>, stack_set: ObservedStackSet) -> impl Call<Observed>;
    /// Reads the status of an operation; `None` if CloudFormation lists none of this id.
    fn operation(&self, of: StackSetRef<'_>, id: &str) -> impl Call<Option<OperationStatus>>;
}

/// CloudFormation StackSets.
pub trait StackSets: DeployedStackSets {
    /// Creates the StackSet with the owner tag and managed execution.
    fn create(&self, desired: &Desired, owner: &str) -> impl Call<()>;
    /// Starts an operation under its id.
    fn start(&self, start: StartRequest<'_>) -> impl Call<Acceptance>;
    /// Stops an operation: its pending instances are cancelled. Idempotent for an operation that has ended.
    fn stop(&self, of: StackSetRef<'_>, id: &str) -> impl Call<()>;
    /// Deletes the empty StackSet. Idempotent.
    fn delete(&self, of: StackSetRef<'_>) -> impl Call<()>;
}

/// Organizational units in AWS Organizations.
pub trait OrganizationalUnits {
    /// Reads the accounts below these units, child units included, with the root and the management account. Units that are not in
    /// this organization are missing from the result.
    fn membership(&self, units: &BTreeSet<UnitId>) -> impl Call<Membership>;
}

/// The state of `deploy` between two reconciliations.
pub trait DeployStore {
    /// Reads all rollouts and the removal marker, in one read.
    fn load_state(&self) -> impl Call<DeployState>;
    /// Stores a rollout. A conflict if another writer has stored it since it was read.
    fn put_rollout(&self, rollout: &Versioned<RolloutRecord>) -> impl Call<()>;
    /// Deletes a rollout.
    fn delete_rollout(&self, name: &StackSetName) -> impl Call<()>;
    /// Sets or clears the marker that the application is being removed.
    fn set_removal(&self, removing: bool) -> impl Call<()>;
    /// Reads the commit whose rejection was reported last.
    fn rejected_commit(&self) -> impl Call<Option<CommitId>>;
    /// Stores the commit whose rejection was reported last.
    fn set_rejected_commit(&self, commit: &CommitId) -> impl Call<()>;
    /// Stores the revision that was accepted last, as [`DeployState::accepted`].
    fn put_accepted(&self, accepted: &AcceptedRevision) -> impl Call<()>;
    /// Reads the controls of a StackSet that were published last.
    fn framework(&self, name: &StackSetName) -> impl Call<Option<PublishedFramework>>;
    /// Publishes the controls of a StackSet to the other functions.
    fn put_framework(&self, facts: &PublishedFramework) -> impl Call<()>;
    /// Publishes the reporting rules to the other functions, then stores their digest as [`DeployState::reporting_digest`].
    fn put_reporting(&self, reporting: &Reporting) -> impl Call<()>;
    /// Deletes the published controls of a StackSet.
    fn delete_framework(&self, name: &StackSetName) -> impl Call<()>;
}

/// The queue that `deploy` receives triggers from.
pub trait TriggerQueue {
    /// Makes received messages visible again after a delay, instead of at the end of the visibility timeout.
    /// [AWS](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibilityBatch.html)
    fn redeliver(&self, receipts: &[&str], after: std::time::Duration) -> impl Call<()>;
}

/// Publishes notices of rollouts and policies.
pub trait Notifier {
    /// Publishes notices; returns the result of each, in order.
    fn publish(&self, notices: &[Notice]) -> impl Future<Output = Vec<Result<()>>> + Send;
}
