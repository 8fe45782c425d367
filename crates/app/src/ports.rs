//! What the use cases need of the world.

use crate::lifecycle::Answer;
use domain::ids::{AccountId, CommitId, RegionName, StackSetName};
use domain::notice::{Notice, ResourceFacts};
use domain::rollout::{Desired, Observed, ObservedStackSet, Operation, OperationStatus};
use domain::violation;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::future::Future;

/// Why a port could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation} failed: {}{message}{}", code.as_deref().map(|code| format!("{code}: ")).unwrap_or_default(), request(request_id.as_deref()))]
pub struct PortError {
    /// Service and operation, such as `cloudformation:CreateStackSet`.
    pub operation: &'static str,
    /// The service's error code.
    pub code: Option<String>,
    /// The service's message.
    pub message: String,
    /// The id to quote to AWS Support.
    pub request_id: Option<String>,
    /// What to make of it.
    pub kind: PortErrorKind,
}

fn request(id: Option<&str>) -> String {
    id.map(|id| format!(" (request {id})")).unwrap_or_default()
}

/// What to make of a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortErrorKind {
    /// Throttled, timed out, the service is unwell: the same call may succeed later.
    Retryable,
    /// The caller may not do this.
    Denied,
    /// The thing is not there.
    NotFound,
    /// Somebody else is at it, or was just now: look again.
    Conflict,
    /// The service refuses the request as it is.
    Refused,
}

impl PortError {
    /// The same error with what would help.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        let action = self.operation;
        match self.kind {
            PortErrorKind::Denied => Some(format!(
                "the role of this function, or a policy above it, does not allow `{action}`: compare it with the role in template.yaml"
            )),
            PortErrorKind::Refused if self.message.contains("AWSCloudFormationStackSetAdministrationRole") || self.message.contains("AdministrationRole") => {
                Some("the StackSets administration role is missing or cannot be used: deploy framework/prerequisites/administration-role.yaml in this account".to_owned())
            }
            PortErrorKind::Refused if self.message.contains("ExecutionRole") => {
                Some("the StackSets execution role is missing in a target account: deploy framework/prerequisites/execution-role.yaml there".to_owned())
            }
            _ => None,
        }
    }

    /// Error and advice in one text.
    #[must_use]
    pub fn explained(&self) -> String {
        match self.advice() {
            Some(advice) => format!("{self}; {advice}"),
            None => self.to_string(),
        }
    }
}

/// The outcome of a port's call.
pub type Result<T, E = PortError> = std::result::Result<T, E>;

/// What time it is.
pub trait Clock {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// A file of the repository at a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RepositoryFile {
    /// Its text.
    Text(String),
    /// There is none of that name.
    Missing,
    /// It is not UTF-8.
    NotText,
    /// It is larger than the repository service hands out (6 MB for CodeCommit's `GetFile`).
    TooLarge,
}

/// Who made a commit, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitFacts {
    /// Name and e-mail address of the author.
    pub author: String,
    /// The first line of the message.
    pub message: String,
}

/// The repository that the policy is in.
pub trait PolicyRepository {
    /// The commit at the head of the branch; `None` when the branch does not exist (yet).
    fn head(&self) -> impl Future<Output = Result<Option<CommitId>>> + Send;
    /// A file at a commit.
    fn file(&self, commit: &CommitId, path: &str) -> impl Future<Output = Result<RepositoryFile>> + Send;
    /// Author and message of a commit.
    fn commit(&self, commit: &CommitId) -> impl Future<Output = Result<CommitFacts>> + Send;
}

/// How a mutating call was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It was accepted now.
    Now,
    /// The operation of this id was started before: an answer was lost.
    Before,
}

/// CloudFormation StackSets.
pub trait StackSets {
    /// The StackSet itself, strongly consistent; `None` when there is none.
    fn describe(&self, name: &StackSetName) -> impl Future<Output = Result<Option<ObservedStackSet>>> + Send;
    /// All its instances.
    fn observe(
        &self,
        name: &StackSetName,
        stack_set: ObservedStackSet,
    ) -> impl Future<Output = Result<Observed>> + Send;
    /// The state of an operation; `None` when there is none of that id.
    fn operation(&self, name: &StackSetName, id: &str) -> impl Future<Output = Result<Option<OperationStatus>>> + Send;
    /// Creates the StackSet, tagged as ours.
    fn create(&self, desired: &Desired, owner: &str) -> impl Future<Output = Result<()>> + Send;
    /// Starts an operation under the given id.
    fn start(
        &self,
        name: &StackSetName,
        id: &str,
        operation: &Operation,
        desired: Option<&Desired>,
        owner: &str,
    ) -> impl Future<Output = Result<Accepted>> + Send;
    /// Deletes the empty StackSet; one that is gone already is deleted.
    fn delete(&self, name: &StackSetName) -> impl Future<Output = Result<()>> + Send;
}

/// A document and the version that it was read at, for optimistic locking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The document.
    pub value: T,
    /// Its version; 0 for one that was never stored.
    pub version: u64,
}

/// What `deploy` remembers between two looks.
pub trait DeployStore {
    /// All rollouts and the marker of a removal, in one read.
    fn memory(&self) -> impl Future<Output = Result<crate::deploy::Memory>> + Send;
    /// Stores a rollout; a conflict when somebody stored it since it was read.
    fn put_rollout(&self, rollout: &Versioned<crate::deploy::Rollout>) -> impl Future<Output = Result<()>> + Send;
    /// Forgets a rollout.
    fn forget_rollout(&self, name: &StackSetName) -> impl Future<Output = Result<()>> + Send;
    /// Sets or lifts the marker that everything is to be removed and nothing to be deployed.
    fn set_removal(&self, removing: bool) -> impl Future<Output = Result<()>> + Send;
    /// The commit whose rejection was told last.
    fn rejected(&self) -> impl Future<Output = Result<Option<CommitId>>> + Send;
    /// Remembers it.
    fn set_rejected(&self, commit: &CommitId) -> impl Future<Output = Result<()>> + Send;
    /// Publishes to the other functions which controls are in force where.
    fn put_framework(&self, facts: &crate::deploy::FrameworkFacts) -> impl Future<Output = Result<()>> + Send;
    /// Takes them back.
    fn forget_framework(&self, name: &StackSetName) -> impl Future<Output = Result<()>> + Send;
}

/// CloudFormation requests that wait for their answer.
pub trait RequestStore {
    /// Keeps a request. Keeping it twice changes nothing, also when it was answered in between.
    fn keep(&self, request: &crate::lifecycle::Request, at: Timestamp) -> impl Future<Output = Result<()>> + Send;
    /// All that wait, oldest first.
    fn waiting(&self) -> impl Future<Output = Result<Vec<crate::lifecycle::Waiting>>> + Send;
    /// Notes that a request was answered: it waits no longer, and a late second delivery of it is not answered again.
    fn answered(&self, request_id: &str, at: Timestamp) -> impl Future<Output = Result<()>> + Send;
    /// Takes back one that was kept and is answered elsewhere.
    fn forget(&self, request_id: &str) -> impl Future<Output = Result<()>> + Send;
}

/// Answers CloudFormation through the pre-signed URL of a request.
pub trait Responder {
    /// Puts the answer. Tries again within reason; an error means that CloudFormation did not take it.
    fn answer(&self, url: &crate::lifecycle::ResponseUrl, answer: &Answer) -> impl Future<Output = Result<()>> + Send;
}

/// Wakes `deploy`.
pub trait DeployQueue {
    /// Asks for a look on behalf of a CloudFormation request.
    fn look(&self, request_id: &str) -> impl Future<Output = Result<()>> + Send;
}

/// Tells people and machines.
pub trait Notifier {
    /// Publishes notices; the outcome of each, in order.
    fn publish(&self, notices: &[Notice]) -> impl Future<Output = Vec<Result<()>>> + Send;
}

/// Violations on record.
pub trait ViolationStore {
    /// The records of these keys, those that exist.
    fn read(
        &self,
        keys: &[violation::Key],
    ) -> impl Future<Output = Result<BTreeMap<violation::Key, violation::Record>>> + Send;
    /// Stores a record if the stored one is still at `seen` (`None`: if there is none). A conflict otherwise.
    fn put(
        &self,
        record: &violation::Record,
        seen: Option<&violation::Ordering>,
    ) -> impl Future<Output = Result<()>> + Send;
    /// Marks that people were told what this record owed, unless a later result has changed it since.
    fn told(&self, record: &violation::Record, at: Timestamp) -> impl Future<Output = Result<()>> + Send;
    /// Records that owe a notice since before `before`, at most `limit`.
    fn owing(&self, before: Timestamp, limit: usize) -> impl Future<Output = Result<Vec<violation::Record>>> + Send;
}

/// The controls in force, as `deploy` published them.
pub trait FrameworkDirectory {
    /// Of every framework.
    fn frameworks(&self) -> impl Future<Output = Result<Vec<crate::deploy::FrameworkFacts>>> + Send;
}

/// A resource in an account and Region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId {
    /// The account that owns it.
    pub account: AccountId,
    /// The Region that it is in.
    pub region: RegionName,
    /// The type as AWS Config names it.
    pub kind: String,
    /// The id as AWS Config has it.
    pub id: String,
}

/// What AWS Config knows of resources across the organisation.
pub trait ResourceDirectory {
    /// Names and ARNs of resources, those that are known. Without an aggregator nothing is known, which is no error.
    fn look_up(
        &self,
        resources: &[ResourceId],
    ) -> impl Future<Output = Result<BTreeMap<ResourceId, ResourceFacts>>> + Send;
}
