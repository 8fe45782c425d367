//! Reads the live state of an organization into an inventory document.
//!
//! An aggregator of AWS Config provides the resources. Its missing parts (tag selections and conditions, vault
//! policies and locks, opt-in services) come from AWS Backup in each account and Region, through a role there.
//! Failures are recorded in the document for the exact part and location.
//!
//! Each completed read is passed on at once and accepted again, so that an interrupted run can resume.

mod assemble;
mod location;
mod partial;
mod ports;
mod renewal;

pub use partial::{EarlierReads, PartialFault, ReadRequest};
pub use ports::{
    AggregatorSource, InvalidRow, InventoryListing, InventoryScope, InventoryStore, ListedItem, ListedVault,
    MemberBackup, RecordedInventory, Recording, Rows, StoredInventory,
};
pub use renewal::{InventoryEnv, InventoryRenewal, RenewalEnd, RenewalSummary, check_event};

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::LocalBoxFuture;
use futures_util::stream::iter;
use futures_util::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use evaluation::inventory::document::{self, Document, LocationPart, Plan, RecoveryPoint, Resource, Unread, Vault};
use framework::ids::{AccountId, Location, RegionName};

use crate::ports::{PortError, PortErrorKind, Result};

/// The evaluated types that advanced queries of AWS Config support.
pub const QUERIED: [&str; 7] = [
    "AWS::RDS::DBCluster",
    "AWS::RDS::DBInstance",
    "AWS::EC2::Volume",
    "AWS::EC2::Instance",
    "AWS::EFS::FileSystem",
    "AWS::DynamoDB::Table",
    "AWS::S3::Bucket",
];

/// The evaluated types that queries do not support: their own services are called.
pub const UNQUERIED: [&str; 3] =
    ["AWS::FSx::FileSystem", "AWS::StorageGateway::Volume", "AWS::BackupGateway::VirtualMachine"];

/// The largest number of accounts whose recovery points one query reads. There are many recovery points and 100 in a page, so that the
/// queries of a large organization would not end within an invocation of a function.
pub const ACCOUNTS_OF_POINTS: usize = 25;

/// Concurrent queries. AWS Config does not document its rate limit, and the sweep uses the same quota.
const QUERIES: usize = 2;

type LocationKey = (AccountId, RegionName);

/// Options of a read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadOptions {
    /// The locations to read.
    pub scope: InventoryScope,
    /// The number of locations to read concurrently.
    pub jobs: usize,
}

/// A completed read without failures that a retry may fix. An interrupted run passes it in again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "read", rename_all = "camelCase")]
pub enum CompletedRead {
    /// The sources of the aggregator.
    Sources {
        /// The sources.
        sources: Vec<AggregatorSource>,
    },
    /// The resources of a type in the aggregator.
    Resources {
        /// The type.
        kind: String,
        /// The rows.
        rows: Rows<Resource>,
    },
    /// The recovery points in the aggregator.
    RecoveryPoints {
        /// The accounts; empty for all.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        accounts: BTreeSet<AccountId>,
        /// The rows.
        rows: Rows<RecoveryPoint>,
    },
    /// The data of an account and Region.
    Location(Box<LocationRead>),
}

/// The data of an account and Region, read through the role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LocationRead {
    location: document::LocationRecord,
    /// Resources that the aggregator does not support.
    resources: Vec<Resource>,
    plans: Vec<Plan>,
    vaults: Vec<Vault>,
    /// The recovery points, without tags.
    recovery_points: Vec<RecoveryPoint>,
    /// The durations of latest restores, by the ARN of the resource.
    restore_minutes: BTreeMap<String, u64>,
    /// Whether AWS manages the KMS key, by the ARN of the resource.
    aws_managed_keys: BTreeMap<String, bool>,
    /// All failures, including those of unread parts.
    failures: Vec<ReadFailure>,
}

/// A failed read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadFailure {
    /// The account and Region; `None` if all are affected.
    pub location: Option<LocationKey>,
    /// The subject: `backup plans`, `policy of the vault daily`.
    pub subject: String,
    /// The kind of failure.
    pub reason: ReadFailureReason,
    /// The full reason.
    pub message: String,
}

/// The kind of a failed read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ReadFailureReason {
    /// The role does not exist in the account, or does not trust the caller.
    NoRole,
    /// The role or an organization policy denies the call.
    Denied,
    /// The Region is not enabled in the account, or the service is not available.
    RegionDisabled,
    /// AWS Config does not record it.
    NotRecorded,
    /// The aggregator has no data from the location, or none that is current.
    Stale,
    /// Only the aggregator was read.
    AggregatorOnly,
    /// Throttled or unavailable after all retries.
    Unavailable,
    /// The response is invalid.
    Invalid,
    /// The service rejects the request.
    Rejected,
}

impl ReadFailure {
    fn new(
        location: Option<LocationKey>,
        subject: impl Into<String>,
        reason: ReadFailureReason,
        message: impl Into<String>,
    ) -> Self {
        Self { location, subject: subject.into(), reason, message: message.into() }
    }

    fn of(location: Option<LocationKey>, subject: impl Into<String>, error: &PortError) -> Self {
        Self::new(location, subject, ReadFailureReason::of(error), message_of(error))
    }
}

impl ReadFailureReason {
    fn of(error: &PortError) -> Self {
        match error.kind {
            _ if location::is_region_disabled(error) => Self::RegionDisabled,
            PortErrorKind::Retryable | PortErrorKind::OutOfTime => Self::Unavailable,
            PortErrorKind::Denied => Self::Denied,
            PortErrorKind::NotFound | PortErrorKind::Conflict | PortErrorKind::Rejected => Self::Rejected,
        }
    }
}

/// Formats an error without its request id, so that equal errors are reported once.
fn message_of(error: &PortError) -> String {
    PortError { request_id: None, ..error.clone() }.to_string()
}

/// Progress of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadProgress {
    /// Completed and total queries of the aggregator.
    Queries(usize, usize),
    /// Completed and total locations.
    Locations(usize, usize),
}

/// The result of a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryOutcome {
    /// The document.
    pub document: Document,
    /// The failures, sorted.
    pub failures: Vec<ReadFailure>,
}

/// A failure that yields no document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InventoryError {
    /// The aggregator answers no query.
    #[error(transparent)]
    Aggregator(#[from] PortError),
    /// A completed read cannot be stored.
    #[error("{0}")]
    Store(String),
}

/// Completed reads by subject.
#[derive(Debug, Default)]
struct CollectedReads {
    sources: Option<Vec<AggregatorSource>>,
    resources: BTreeMap<String, Rows<Resource>>,
    recovery_points: Rows<RecoveryPoint>,
    /// Whether the recovery points of all accounts were read, and otherwise of which.
    has_all_points: bool,
    accounts_with_points: BTreeSet<AccountId>,
    locations: BTreeMap<LocationKey, LocationRead>,
    /// From the aggregator, for locations that AWS Backup did not return.
    plans: Rows<Plan>,
    vaults: Rows<Vault>,
    failures: Vec<ReadFailure>,
}

impl CollectedReads {
    fn take(&mut self, part: CompletedRead) {
        match part {
            CompletedRead::Sources { sources } => self.sources = Some(sources),
            CompletedRead::Resources { kind, rows } => drop(self.resources.insert(kind, rows)),
            CompletedRead::RecoveryPoints { accounts, rows } => {
                self.has_all_points |= accounts.is_empty();
                self.accounts_with_points.extend(accounts);
                self.recovery_points.items.extend(rows.items);
                self.recovery_points.invalid.extend(rows.invalid);
            }
            CompletedRead::Location(read) => {
                let location = (read.location.account.clone(), read.location.region.clone());
                self.locations.insert(location, *read);
            }
        }
    }

    fn record_failure(&mut self, subject: &str, error: &PortError) {
        self.failures.push(ReadFailure::of(None, subject, error));
    }

    /// Returns the rows; none after an error, which is recorded.
    fn rows<T>(&mut self, subject: &str, read: Result<Rows<T>>) -> Rows<T> {
        read.inspect_err(|error| self.record_failure(subject, error)).unwrap_or_default()
    }

    fn lacks(&self, location: &LocationKey, part: LocationPart) -> bool {
        self.locations.get(location).is_none_or(|read| read.lacks(part))
    }

    fn locations(&self, scope: &InventoryScope) -> BTreeSet<LocationKey> {
        let sources = self.sources.iter().flatten();
        let mut locations: BTreeSet<LocationKey> =
            sources.map(|source| (source.account.clone(), source.region.clone())).collect();
        for rows in self.resources.values() {
            locations.extend(rows.items.iter().filter_map(|resource| {
                Some((AccountId::parse(&resource.account).ok()?, RegionName::parse(&resource.region).ok()?))
            }));
            locations.extend(rows.invalid.iter().filter_map(|invalid| invalid.location.clone()));
        }
        locations.extend(self.recovery_points.items.iter().map(|point| (point.account.clone(), point.region.clone())));
        // Scopes with both accounts and Regions name their locations.
        for account in &scope.accounts {
            locations.extend(scope.regions.iter().map(|region| (account.clone(), region.clone())));
        }
        locations.retain(|(account, region)| scope.includes(account, region));
        locations
    }
}

/// Reads everything in scope that `earlier` does not contain, and assembles the document. `began` is the time of the
/// first read. `keep` stores each completed read at once.
pub async fn read(
    aggregator: &impl RecordedInventory,
    members: Option<&impl MemberBackup>,
    options: &ReadOptions,
    (began, earlier): (Timestamp, Vec<CompletedRead>),
    keep: impl FnMut(&CompletedRead) -> std::result::Result<(), String>,
    on_progress: impl FnMut(ReadProgress),
) -> Result<InventoryOutcome, InventoryError> {
    let mut reader = Reader { options, known: CollectedReads::default(), keep, on_progress };
    earlier.into_iter().for_each(|part| reader.known.take(part));
    reader.query(aggregator).await?;
    let locations = reader.known.locations(&options.scope);
    if let Some(members) = members {
        reader.read_locations(members, &locations).await?;
    }
    let mut known = reader.known;
    let lacking =
        |known: &CollectedReads, part: LocationPart| locations.iter().any(|location| known.lacks(location, part));
    if lacking(&known, LocationPart::Plans) {
        known.plans = known.rows("backup plans, from the aggregator", aggregator.plans(&options.scope).await);
    }
    if lacking(&known, LocationPart::Vaults) {
        known.vaults = known.rows("vaults, from the aggregator", aggregator.vaults(&options.scope).await);
    }
    Ok(assemble::document(known, &locations, &options.scope, began))
}

/// A query with its subject.
type OpenQuery<'a> = (&'static str, LocalBoxFuture<'a, Result<CompletedRead>>);

fn of_points<'a>(
    aggregator: &'a impl RecordedInventory,
    scope: &'a InventoryScope,
    accounts: BTreeSet<AccountId>,
) -> OpenQuery<'a> {
    let query = async move {
        let group = InventoryScope { accounts: accounts.clone(), regions: scope.regions.clone() };
        let rows = aggregator.recovery_points(if accounts.is_empty() { scope } else { &group }).await?;
        Ok(CompletedRead::RecoveryPoints { accounts, rows })
    };
    ("recovery points, from the aggregator", query.boxed_local())
}

struct Reader<'a, K, T> {
    options: &'a ReadOptions,
    known: CollectedReads,
    keep: K,
    on_progress: T,
}

impl<K, T> Reader<'_, K, T>
where
    K: FnMut(&CompletedRead) -> std::result::Result<(), String>,
    T: FnMut(ReadProgress),
{
    async fn query(&mut self, aggregator: &impl RecordedInventory) -> Result<(), InventoryError> {
        let scope = &self.options.scope;
        let mut open: Vec<OpenQuery<'_>> = Vec::new();
        if self.known.sources.is_none() {
            let query = async { Ok(CompletedRead::Sources { sources: aggregator.sources().await? }) };
            open.push(("sources of the aggregator", query.boxed_local()));
        }
        for kind in QUERIED.into_iter().filter(|kind| !self.known.resources.contains_key(*kind)) {
            let query = async move {
                let rows = aggregator.resources(kind, scope).await?;
                Ok(CompletedRead::Resources { kind: kind.to_owned(), rows })
            };
            open.push((kind, query.boxed_local()));
        }
        let all = QUERIED.len() + 2;
        let done = all.saturating_sub(open.len()).saturating_sub(usize::from(!self.known.has_all_points));
        (self.on_progress)(ReadProgress::Queries(done, all));
        let failed = self.answer(open, (done, all)).await?;
        if let Some(error) = failed.filter(|_| self.known.resources.is_empty()) {
            return Err(InventoryError::Aggregator(error));
        }
        let groups = self.groups_without_points().into_iter();
        let open: Vec<OpenQuery<'_>> = groups.map(|accounts| of_points(aggregator, scope, accounts)).collect();
        let all = all.max(open.len());
        let done = all.saturating_sub(open.len());
        self.answer(open, (done, all)).await.map(drop)
    }

    /// The accounts of each query for recovery points that is to be made; an empty set for all.
    fn groups_without_points(&self) -> Vec<BTreeSet<AccountId>> {
        let Self { options: ReadOptions { scope, .. }, known, .. } = self;
        if known.has_all_points {
            return Vec::new();
        }
        let accounts: BTreeSet<AccountId> = known.locations(scope).into_iter().map(|(account, _)| account).collect();
        if accounts.len() <= ACCOUNTS_OF_POINTS {
            return vec![BTreeSet::new()];
        }
        let open: Vec<AccountId> = accounts.difference(&known.accounts_with_points).cloned().collect();
        open.chunks(ACCOUNTS_OF_POINTS).map(|accounts| accounts.iter().cloned().collect()).collect()
    }

    /// Makes queries, and returns the first error of one for resources.
    async fn answer(
        &mut self,
        open: Vec<OpenQuery<'_>>,
        (mut done, all): (usize, usize),
    ) -> Result<Option<PortError>, InventoryError> {
        let Self { known, keep, on_progress, .. } = self;
        let answers = open.into_iter().map(|(subject, query)| async move { (subject, query.await) });
        let mut answers = iter(answers).buffer_unordered(QUERIES);
        let mut failed: Option<PortError> = None;
        while let Some((subject, answer)) = answers.next().await {
            match answer {
                Ok(part) => {
                    keep(&part).map_err(InventoryError::Store)?;
                    known.take(part);
                }
                Err(error) => {
                    known.record_failure(subject, &error);
                    failed = failed.or(Some(error).filter(|_| QUERIED.contains(&subject)));
                }
            }
            done += 1;
            on_progress(ReadProgress::Queries(done, all));
        }
        Ok(failed)
    }

    async fn read_locations(
        &mut self,
        members: &impl MemberBackup,
        locations: &BTreeSet<LocationKey>,
    ) -> Result<(), InventoryError> {
        let Self { options, known, keep, on_progress } = self;
        let jobs = options.jobs.max(1);
        let open: Vec<LocationKey> =
            locations.iter().filter(|location| !known.locations.contains_key(*location)).cloned().collect();
        let mut done = locations.len() - open.len();
        on_progress(ReadProgress::Locations(done, locations.len()));
        // The role is assumed once for each account, before its Regions are read concurrently.
        let accounts: BTreeSet<AccountId> = open.iter().map(|(account, _)| account.clone()).collect();
        let entries = accounts.into_iter().map(|account| async move {
            let refused = members.enter(&account).await.err();
            (account, refused)
        });
        let refused: BTreeMap<AccountId, Option<PortError>> = iter(entries).buffer_unordered(jobs).collect().await;
        let resources = std::mem::take(&mut known.resources);
        let mut recorded: BTreeMap<(&str, &str), Vec<&Resource>> = BTreeMap::new();
        for resource in resources.values().flat_map(|rows| &rows.items) {
            recorded.entry((&resource.account, &resource.region)).or_default().push(resource);
        }
        let visits = open.iter().map(|(account, region)| {
            let refused = refused.get(account).cloned().flatten();
            let recorded = recorded.get(&(account.as_str(), region.as_str())).map(Vec::as_slice).unwrap_or_default();
            let at = Location { account: account.clone(), region: region.clone() };
            async move {
                match refused {
                    Some(error) => location::not_entered(at, &error),
                    None => location::read(members, at, recorded).await,
                }
            }
        });
        let mut visits = iter(visits).buffer_unordered(jobs);
        while let Some(read) = visits.next().await {
            // Reads with failures that a retry may fix are repeated on the next run.
            let is_repeated = read
                .failures
                .iter()
                .any(|failure| matches!(failure.reason, ReadFailureReason::Unavailable | ReadFailureReason::NoRole));
            let part = CompletedRead::Location(Box::new(read));
            if !is_repeated {
                keep(&part).map_err(InventoryError::Store)?;
            }
            known.take(part);
            done += 1;
            on_progress(ReadProgress::Locations(done, locations.len()));
        }
        drop(visits);
        known.resources = resources;
        Ok(())
    }
}

fn unread(part: LocationPart, message: impl Into<String>) -> Unread {
    Unread { part, reason: message.into() }
}
