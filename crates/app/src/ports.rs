//! What the use cases need of the world.

use crate::lifecycle::Answer;
use domain::fault::{Fault, Position};
use domain::ids::{AccountId, CommitId, RegionName, StackSetName, UnitId};
use domain::notice::{BlindCause, BlindReason, BlindSpot, Notice};
use domain::policy::Reporting;
use domain::rollout::{CallAs, Desired, Membership, Observed, ObservedStackSet, Operation, OperationStatus};
use domain::violation::{Compliance, Group, Key, Outlet, Record, ResourceFacts};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
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
    /// Not called, or not awaited to its end: the invocation has no time left for it. A later run does it.
    OutOfTime,
}

impl PortError {
    /// The same error with what would help.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        let action = self.operation;
        match self.kind {
            PortErrorKind::Denied if action.starts_with("organizations:") => Some(
                "set the application's parameter `OrganizationalUnits` to `enabled`, and run it in the management account or in a delegated administrator's account: no other may ask AWS Organizations"
                    .to_owned(),
            ),
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

    /// Returns why an account and Region cannot be seen after this error.
    #[must_use]
    pub fn blind(&self) -> BlindReason {
        let code = self.code.as_deref().unwrap_or_default();
        let cause = match self.kind {
            // Credentials of the role that the Region does not know: only Regions that are not enabled refuse them.
            _ if ["InvalidClientTokenId", "UnrecognizedClientException", "OptInRequired"].contains(&code) => {
                BlindCause::RegionNotEnabled
            }
            PortErrorKind::Denied if self.operation == "sts:AssumeRole" => BlindCause::RoleNotAssumable,
            PortErrorKind::Denied => BlindCause::AccessDenied,
            PortErrorKind::NotFound if code.contains("ConfigurationAggregator") => BlindCause::NoSource,
            PortErrorKind::Retryable | PortErrorKind::OutOfTime => BlindCause::Throttled,
            PortErrorKind::NotFound | PortErrorKind::Conflict | PortErrorKind::Refused => BlindCause::CallFailed,
        };
        // Without the message, which differs from one account to the next.
        let code = self.code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default();
        BlindReason { cause, detail: Some(format!("{} failed{code}", self.operation)) }
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
    /// It is not UTF-8: where the first byte is that does not belong.
    NotText(Position),
    /// It is larger than the repository service hands out (6 MB for CodeCommit's `GetFile`).
    TooLarge,
}

impl RepositoryFile {
    /// The content of a file that is there.
    pub fn decode(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(
            |error| {
                let valid = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
                Self::NotText(Position::after(&String::from_utf8_lossy(valid)))
            },
            Self::Text,
        )
    }

    /// The text, or a fault of the file of this name.
    pub fn into_text(self, file: &str) -> std::result::Result<String, Box<Fault>> {
        let (at, problem, fix) = match self {
            Self::Text(text) => return Ok(text),
            Self::Missing => (None, "the file does not exist", "add it, or correct its path"),
            Self::NotText(at) => (Some(at), "the file is not UTF-8 text", "store it as UTF-8"),
            Self::TooLarge => (
                None,
                "the file is larger than 6 MB, the most that CodeCommit returns",
                "make it smaller: CloudFormation accepts templates of at most 1 MB",
            ),
        };
        Err(Box::new(Fault { at, ..Fault::of_file(file, problem, fix) }))
    }
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
    /// Comments on a commit. The same text again is one comment.
    fn comment(&self, commit: &CommitId, text: &str) -> impl Future<Output = Result<()>> + Send;
}

/// How a mutating call was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It was accepted now.
    Now,
    /// The operation of this id was started before: an answer was lost.
    Before,
}

/// Which StackSet, and for whom it is called: every call has to say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StackSetRef<'a> {
    /// The StackSet.
    pub name: &'a StackSetName,
    /// For whom.
    pub call_as: CallAs,
}

/// An operation to be started.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// The StackSet.
    pub of: StackSetRef<'a>,
    /// The id, chosen by us: the same again is not started again.
    pub id: &'a str,
    /// What it does.
    pub operation: &'a Operation,
    /// What the policy wants; `None` in a removal, which has no settings of its own.
    pub desired: Option<&'a Desired>,
    /// What our tag says.
    pub owner: &'a str,
    /// The StackSet as it was found: its other tags are kept.
    pub found: &'a ObservedStackSet,
}

/// CloudFormation StackSets.
pub trait StackSets {
    /// The StackSet itself, strongly consistent; `None` when there is none.
    fn describe(&self, of: StackSetRef<'_>) -> impl Future<Output = Result<Option<ObservedStackSet>>> + Send;
    /// All its instances, and with service-managed permissions the units that StackSets deploys to on its own.
    fn observe(
        &self,
        of: StackSetRef<'_>,
        stack_set: ObservedStackSet,
    ) -> impl Future<Output = Result<Observed>> + Send;
    /// The state of an operation; `None` when there is none of that id.
    fn operation(&self, of: StackSetRef<'_>, id: &str) -> impl Future<Output = Result<Option<OperationStatus>>> + Send;
    /// Creates the StackSet, tagged as ours, with managed execution.
    fn create(&self, desired: &Desired, owner: &str) -> impl Future<Output = Result<()>> + Send;
    /// Starts an operation under its id.
    fn start(&self, start: Start<'_>) -> impl Future<Output = Result<Accepted>> + Send;
    /// Asks an operation to stop: what it has not come to is cancelled. One that has ended already is left as it is.
    fn stop(&self, of: StackSetRef<'_>, id: &str) -> impl Future<Output = Result<()>> + Send;
    /// Deletes the empty StackSet; one that is gone already is deleted.
    fn delete(&self, of: StackSetRef<'_>) -> impl Future<Output = Result<()>> + Send;
}

/// The organizational units of the organisation.
pub trait OrganizationalUnits {
    /// The accounts below these units, child units included, with the root and the management account; one that does not exist, or
    /// is not in this organisation, is missing from the answer.
    fn membership(&self, units: &BTreeSet<UnitId>) -> impl Future<Output = Result<Membership>> + Send;
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
    /// What was published last of a StackSet's controls. Only asked before something is published.
    fn framework(
        &self,
        name: &StackSetName,
    ) -> impl Future<Output = Result<Option<crate::deploy::FrameworkFacts>>> + Send;
    /// Publishes to the other functions which controls are in force where.
    fn put_framework(&self, facts: &crate::deploy::FrameworkFacts) -> impl Future<Output = Result<()>> + Send;
    /// Publishes to them how violations are judged and told; then remembers its digest, for [`Memory::reporting`].
    ///
    /// [`Memory::reporting`]: crate::deploy::Memory::reporting
    fn put_reporting(&self, reporting: &Reporting) -> impl Future<Output = Result<()>> + Send;
    /// Takes the controls back.
    fn forget_framework(&self, name: &StackSetName) -> impl Future<Output = Result<()>> + Send;
}

/// CloudFormation requests that wait for their answer.
pub trait RequestStore {
    /// Keeps a request. Keeping it twice changes nothing, also when it was answered in between.
    fn keep(&self, request: &crate::lifecycle::Request, at: Timestamp) -> impl Future<Output = Result<()>> + Send;
    /// Settles what a request is answered with, whether it was kept or not. Whoever comes first decides, and everybody gives that
    /// answer; `None` when it was answered before.
    fn settle(
        &self,
        request: &crate::lifecycle::Request,
        answer: &Answer,
        at: Timestamp,
    ) -> impl Future<Output = Result<Option<Answer>>> + Send;
    /// All that wait, oldest first, with their answers where those are settled.
    fn waiting(&self) -> impl Future<Output = Result<Vec<crate::lifecycle::Waiting>>> + Send;
    /// Notes that a request was answered: it waits no longer, and a late second delivery of it is not answered again.
    fn answered(&self, request_id: &str, at: Timestamp) -> impl Future<Output = Result<()>> + Send;
}

/// Answers CloudFormation through the pre-signed URL of a request.
pub trait Responder {
    /// Puts the answer. Tries again within reason; an error means that CloudFormation did not take it.
    fn answer(&self, url: &crate::lifecycle::ResponseUrl, answer: &Answer) -> impl Future<Output = Result<()>> + Send;
}

/// The queue that feeds `deploy`, as the function that is fed sees it.
pub trait TriggerQueue {
    /// Makes messages of this delivery visible again `after` from now, instead of at the end of the queue's visibility timeout.
    ///
    /// [AWS](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibilityBatch.html)
    fn redeliver(&self, receipts: &[&str], after: std::time::Duration) -> impl Future<Output = Result<()>> + Send;
}

/// Wakes `deploy`.
pub trait DeployQueue {
    /// Asks for a look on behalf of a CloudFormation request.
    fn look(&self, request_id: &str) -> impl Future<Output = Result<()>> + Send;
}

/// Tells people: of rollouts and policies.
pub trait Notifier {
    /// Publishes notices; the outcome of each, in order.
    fn publish(&self, notices: &[Notice]) -> impl Future<Output = Vec<Result<()>>> + Send;
}

/// Tells people and machines of violations.
pub trait Outlets {
    /// Those that are switched on.
    fn in_use(&self) -> BTreeSet<Outlet>;
    /// Tells one of them; the outcome of each notice, in order. A notice that the outlet has no form for is told by leaving it
    /// out.
    fn tell(&self, outlet: Outlet, notices: &[Notice]) -> impl Future<Output = Vec<Result<()>>> + Send;
}

/// Some of the records with pending deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PendingPage {
    /// The records.
    pub records: Vec<Versioned<Record>>,
    /// Where to go on; `None` when these were the last.
    pub next: Option<PendingPosition>,
}

/// A place among the records with pending deliveries, as the store names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingPosition(pub BTreeMap<String, String>);

/// Violations on record.
pub trait ViolationStore {
    /// The records of these keys, those that exist. Strongly consistent.
    fn read(&self, keys: &[Key]) -> impl Future<Output = Result<BTreeMap<Key, Versioned<Record>>>> + Send;
    /// Stores a record if the stored one is still at the version that it was read at (0: if there is none), and says the version
    /// that it has now. A conflict otherwise.
    fn put(&self, record: &Versioned<Record>) -> impl Future<Output = Result<u64>> + Send;
    /// Records of a group that owe something. May miss what was stored in the last second.
    fn owed_by(&self, group: &Group) -> impl Future<Output = Result<Vec<Versioned<Record>>>> + Send;
    /// Records of all groups with a delivery that was due before `before` ([`Record::pending_since`]), from `position` on: `limit` of
    /// them and perhaps some more, and where to go on.
    fn pending(
        &self,
        before: Timestamp,
        position: Option<PendingPosition>,
        limit: usize,
    ) -> impl Future<Output = Result<PendingPage>> + Send;
    /// Open records of an account, exempt ones included. May miss what was stored in the last second.
    fn open_in(&self, account: &AccountId) -> impl Future<Output = Result<Vec<Versioned<Record>>>> + Send;
    /// Accounts with open records.
    fn accounts(&self) -> impl Future<Output = Result<BTreeSet<AccountId>>> + Send;
}

/// A stretch of time in which a group was told something: what comes meanwhile is held, and told together when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its end.
    pub until: Timestamp,
    /// Whether somebody has seen to it that what is held is told then.
    pub flush_asked: bool,
}

/// The windows.
pub trait WindowStore {
    /// The windows of these groups, those that exist; ended ones may be among them.
    fn windows(&self, groups: &[Group]) -> impl Future<Output = Result<BTreeMap<Group, Window>>> + Send;
    /// Opens a window, unless there is one that has not ended at `now`: then `false`.
    fn open_window(&self, group: &Group, now: Timestamp, until: Timestamp)
    -> impl Future<Output = Result<bool>> + Send;
    /// Notes that a flush was asked for at the end of the window that lasts until then. Nothing is noted of a later one.
    fn flush_asked(&self, group: &Group, until: Timestamp) -> impl Future<Output = Result<()>> + Send;
}

/// The queue that `report` itself is fed from.
pub trait ReportQueue {
    /// Sends a message that asks to tell what is held of a group, `after` from now.
    fn ask_flush(&self, group: &Group, after: std::time::Duration) -> impl Future<Output = Result<()>> + Send;
    /// Puts a message that can never be understood where people find it, with the reason.
    fn bury(&self, body: &str, reason: &str) -> impl Future<Output = Result<()>> + Send;
}

/// What is in force, as `deploy` published it, and who is who.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InForce {
    /// The controls of every framework.
    pub frameworks: Vec<crate::deploy::FrameworkFacts>,
    /// How violations are judged and told; `None` when nothing was published yet.
    pub reporting: Option<Reporting>,
    /// The accounts of the organisation and their names, as far as somebody could ask.
    pub accounts: BTreeMap<AccountId, String>,
}

/// What `deploy` published.
pub trait PolicyDirectory {
    /// All of it, in one read.
    fn in_force(&self) -> impl Future<Output = Result<InForce>> + Send;
}

/// What the sweep remembers.
pub trait SweepStore {
    /// Where to go on, if a sweep ended before it was through; and what was found on the way so far.
    fn progress(&self) -> impl Future<Output = Result<Versioned<Option<Progress>>>> + Send;
    /// Stores it; a conflict when another sweep stored it since.
    fn put_progress(&self, progress: &Versioned<Option<Progress>>) -> impl Future<Output = Result<u64>> + Send;
    /// Places that could not be seen when they were looked at last.
    fn blind_spots(&self) -> impl Future<Output = Result<Vec<BlindSpot>>> + Send;
    /// Replaces them.
    fn put_blind_spots(&self, spots: &[BlindSpot]) -> impl Future<Output = Result<()>> + Send;
    /// Exemptions (their digests) whose owner was told that they end soon.
    fn expiry_told(&self) -> impl Future<Output = Result<BTreeSet<String>>> + Send;
    /// Replaces them.
    fn put_expiry_told(&self, told: &BTreeSet<String>) -> impl Future<Output = Result<()>> + Send;
    /// The last week for which reminders were sent; `None` before the first sweep.
    fn reminders(&self) -> impl Future<Output = Result<Option<Reminders>>> + Send;

    /// Replaces it.
    fn put_reminders(&self, reminders: &Reminders) -> impl Future<Output = Result<()>> + Send;

    /// Publishes the names of the organisation's accounts to whoever tells of violations.
    fn put_accounts(&self, accounts: &BTreeMap<AccountId, String>) -> impl Future<Output = Result<()>> + Send;
}

/// The week for which reminders were sent last.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reminders {
    /// When the week began: a whole number of weeks after the first sweep.
    pub week: Timestamp,
    /// The owners who could not be sent theirs, and are to get it; `None` for the resources without an owner.
    pub missing: BTreeSet<Option<String>>,
}

/// How far a sweep is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// When this round began.
    pub began: Timestamp,
    /// The last account that is done.
    pub after: AccountId,
    /// Places that could not be seen so far.
    pub blind: Vec<BlindSpot>,
    /// The last account that is done of the second round, for accounts that were throttled in the first.
    #[serde(default)]
    pub again: Option<AccountId>,
}

/// The organisation.
pub trait Organization {
    /// Its active accounts and their names; `None` when this account may not ask.
    fn accounts(&self) -> impl Future<Output = Result<Option<BTreeMap<AccountId, String>>>> + Send;
}

/// The ways in which results of Config rules can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Via {
    /// The aggregator's compliance calls.
    Aggregator,
    /// The aggregator's advanced queries over `AWS::Config::ResourceCompliance`, where that type is recorded.
    Query,
    /// AWS Config in the member account itself, through a role there.
    Member,
}

/// The result of a rule for a resource, as Config has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvaluationResult {
    /// The rule's name.
    pub rule_name: String,
    /// Its ARN; empty where the source does not tell it.
    pub rule_arn: String,
    /// The resource's type as AWS Config names it.
    pub resource_type: String,
    /// The resource's id as AWS Config has it.
    pub resource_id: String,
    /// The result.
    pub compliance: Compliance,
    /// `OrderingTimestamp`, or the next best.
    pub triggered: Timestamp,
    /// `ResultRecordedTime`, or the next best.
    pub recorded: Timestamp,
    /// What the rule adds in words.
    pub annotation: Option<String>,
}

/// What can be seen of one account and Region.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sight {
    /// Names of the rules of AWS Backup Audit Manager there; empty where nothing can be seen.
    pub rules: BTreeSet<String>,
    /// Their NON_COMPLIANT results, all of them.
    pub broken: Vec<EvaluationResult>,
    /// Why nothing can be seen, where that is known.
    pub blind: Option<BlindReason>,
}

/// AWS Config's own state.
pub trait ComplianceSource {
    /// The ways that are set up, best first.
    fn ways(&self) -> Vec<Via>;
    /// What can be seen of an account in these Regions. A Region that cannot be seen has no entry.
    fn look(
        &self,
        via: Via,
        account: &AccountId,
        regions: &BTreeSet<RegionName>,
    ) -> impl Future<Output = Result<BTreeMap<RegionName, Sight>>> + Send;
    /// Finds out, by the aggregator, why no result can be seen in these accounts and Regions. One that is missing from the answer
    /// records and has no result.
    fn diagnose(
        &self,
        places: &BTreeSet<(AccountId, RegionName)>,
    ) -> impl Future<Output = Result<BTreeMap<(AccountId, RegionName), BlindReason>>> + Send;

    /// The COMPLIANT results of one rule.
    fn satisfied(
        &self,
        via: Via,
        account: &AccountId,
        region: &RegionName,
        rule_name: &str,
    ) -> impl Future<Output = Result<Vec<EvaluationResult>>> + Send;
}

/// A backup selection, as far as AWS Config tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// The name of its plan, or its id where the name is not known.
    pub plan: String,
    /// Its own name.
    pub name: String,
    /// Tags that bring a resource in: key and value.
    pub tags: Vec<(String, String)>,
    /// Patterns of ARNs that bring a resource in.
    pub resources: Vec<String>,
}

/// Backup plans across the organisation.
pub trait BackupPlans {
    /// The selections of all plans in an account and Region; empty where nothing is known.
    fn selections(
        &self,
        account: &AccountId,
        region: &RegionName,
    ) -> impl Future<Output = Result<Vec<Selection>>> + Send;
}

/// A resource in an account and Region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId {
    /// The id as AWS Config has it.
    pub id: String,
    /// The account that owns it.
    pub account: AccountId,
    /// The Region that it is in.
    pub region: RegionName,
    /// The type as AWS Config names it.
    pub kind: String,
}

/// What AWS Config knows of resources across the organisation.
pub trait ResourceDirectory {
    /// Names, ARNs and tags of resources, those that are known. Without an aggregator nothing is known, which is no error.
    fn look_up(
        &self,
        resources: &[ResourceId],
    ) -> impl Future<Output = Result<BTreeMap<ResourceId, ResourceFacts>>> + Send;
}
