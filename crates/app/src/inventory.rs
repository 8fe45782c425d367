//! Reads the live state of an organization into an inventory document.
//!
//! An aggregator of AWS Config provides the resources. Its missing parts (tag selections and conditions, vault
//! policies and locks, opt-in services) come from AWS Backup in each account and Region, through a role there.
//! Failures are recorded in the document for the exact part and location.
//!
//! Each completed read is passed on at once and accepted again, so that an interrupted run can resume.

mod assemble;
mod location;
mod ports;

pub use ports::{
    InvalidRow, InventoryScope, ListedItem, ListedVault, LocationRef, MemberBackup, RecordedInventory, Recording, Rows,
    Source,
};

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt as _;
use futures_util::stream::iter;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use evaluation::inventory::document::{
    self, Document, LocationPart, Plan, RecoveryPoint, Resource, Restore, Unread, Vault,
};
use framework::ids::{AccountId, RegionName};

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

/// Concurrent queries. AWS Config does not document its rate limit, and the sweep uses the same quota.
const QUERIES: usize = 2;

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
        sources: Vec<Source>,
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
    /// The location, with its unread parts.
    pub location: document::LocationRecord,
    /// Resources that the aggregator does not support.
    pub resources: Vec<Resource>,
    /// The plans with their selections.
    pub plans: Vec<Plan>,
    /// The vaults.
    pub vaults: Vec<Vault>,
    /// The recovery points, without tags.
    pub recovery_points: Vec<RecoveryPoint>,
    /// The restores.
    pub restores: Vec<Restore>,
    /// All failures, including those of unread parts.
    pub failures: Vec<ReadFailure>,
}

/// A failed read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadFailure {
    /// The account and Region; `None` if all are affected.
    pub location: Option<(AccountId, RegionName)>,
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

impl ReadFailureReason {
    fn of(error: &PortError) -> Self {
        match error.kind {
            _ if location::is_region_disabled(error) => Self::RegionDisabled,
            PortErrorKind::Retryable | PortErrorKind::OutOfTime => Self::Unavailable,
            PortErrorKind::Denied => Self::Denied,
            PortErrorKind::NotFound | PortErrorKind::Conflict | PortErrorKind::Rejected => Self::Rejected,
        }
    }

    /// Returns whether a retry may succeed without other changes.
    fn is_retryable(self) -> bool {
        self == Self::Unavailable
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
    sources: Option<Vec<Source>>,
    resources: BTreeMap<String, Rows<Resource>>,
    recovery_points: Option<Rows<RecoveryPoint>>,
    locations: BTreeMap<(AccountId, RegionName), LocationRead>,
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
            CompletedRead::RecoveryPoints { rows } => self.recovery_points = Some(rows),
            CompletedRead::Location(read) => {
                let location = (read.location.account.clone(), read.location.region.clone());
                self.locations.insert(location, *read);
            }
        }
    }

    fn record_failure(&mut self, subject: &str, error: &PortError) {
        let failure = ReadFailure {
            location: None,
            subject: subject.to_owned(),
            reason: ReadFailureReason::of(error),
            message: message_of(error),
        };
        self.failures.push(failure);
    }

    /// Returns the locations in scope that are known.
    fn asked(&self, scope: &InventoryScope) -> BTreeSet<(AccountId, RegionName)> {
        let mut locations: BTreeSet<(AccountId, RegionName)> = BTreeSet::new();
        let sources = self.sources.iter().flatten();
        locations.extend(sources.map(|source| (source.account.clone(), source.region.clone())));
        for rows in self.resources.values() {
            locations.extend(rows.items.iter().filter_map(|resource| {
                Some((AccountId::parse(&resource.account).ok()?, RegionName::parse(&resource.region).ok()?))
            }));
            locations.extend(rows.invalid.iter().filter_map(|invalid| invalid.location.clone()));
        }
        let points = self.recovery_points.iter().flat_map(|rows| &rows.items);
        locations.extend(points.map(|point| (point.account.clone(), point.region.clone())));
        // Scopes with both accounts and Regions name their locations.
        for account in &scope.accounts {
            locations.extend(scope.regions.iter().map(|region| (account.clone(), region.clone())));
        }
        locations.retain(|(account, region)| scope.includes(account, region));
        locations
    }
}

/// Reads everything in scope that `earlier` does not contain, and assembles the document. `began` is the time of the
/// first read. `keep` gets each completed read at once.
///
/// # Errors
/// The aggregator answers no query at all, or a completed read cannot be stored.
pub async fn read(
    aggregator: &impl RecordedInventory,
    members: Option<&impl MemberBackup>,
    options: &ReadOptions,
    (began, earlier): (Timestamp, Vec<CompletedRead>),
    mut keep: impl FnMut(&CompletedRead) -> std::result::Result<(), String>,
    mut tell: impl FnMut(ReadProgress),
) -> Result<InventoryOutcome, InventoryError> {
    let mut known = CollectedReads::default();
    earlier.into_iter().for_each(|part| known.take(part));
    query(aggregator, &options.scope, &mut known, &mut keep, &mut tell).await?;
    let locations = known.asked(&options.scope);
    if let Some(members) = members {
        read_locations(members, options, &locations, &mut known, &mut keep, &mut tell).await?;
    }
    let lacking =
        |known: &CollectedReads, part: LocationPart| locations.iter().any(|location| known.lacks(location, part));
    if lacking(&known, LocationPart::Plans) {
        match aggregator.plans(&options.scope).await {
            Ok(rows) => known.plans = rows,
            Err(error) => known.record_failure("backup plans, from the aggregator", &error),
        }
    }
    if lacking(&known, LocationPart::Vaults) {
        match aggregator.vaults(&options.scope).await {
            Ok(rows) => known.vaults = rows,
            Err(error) => known.record_failure("vaults, from the aggregator", &error),
        }
    }
    Ok(assemble::document(known, &locations, &options.scope, began))
}

/// A query of the aggregator.
#[derive(Debug, Clone, Copy)]
enum AggregatorQuery {
    Sources,
    Resources(&'static str),
    RecoveryPoints,
}

impl AggregatorQuery {
    fn subject(self) -> String {
        match self {
            Self::Sources => "sources of the aggregator".to_owned(),
            Self::Resources(kind) => kind.to_owned(),
            Self::RecoveryPoints => "recovery points, from the aggregator".to_owned(),
        }
    }

    async fn ask(self, aggregator: &impl RecordedInventory, scope: &InventoryScope) -> Result<CompletedRead> {
        Ok(match self {
            Self::Sources => CompletedRead::Sources { sources: aggregator.sources().await? },
            Self::Resources(kind) => {
                CompletedRead::Resources { kind: kind.to_owned(), rows: aggregator.resources(kind, scope).await? }
            }
            Self::RecoveryPoints => CompletedRead::RecoveryPoints { rows: aggregator.recovery_points(scope).await? },
        })
    }
}

/// Runs the queries that are not completed.
async fn query(
    aggregator: &impl RecordedInventory,
    scope: &InventoryScope,
    known: &mut CollectedReads,
    keep: &mut impl FnMut(&CompletedRead) -> std::result::Result<(), String>,
    tell: &mut impl FnMut(ReadProgress),
) -> Result<(), InventoryError> {
    let mut open: Vec<AggregatorQuery> = Vec::new();
    open.extend(known.sources.is_none().then_some(AggregatorQuery::Sources));
    open.extend(
        QUERIED
            .iter()
            .filter(|kind| !known.resources.contains_key(**kind))
            .map(|kind| AggregatorQuery::Resources(kind)),
    );
    open.extend(known.recovery_points.is_none().then_some(AggregatorQuery::RecoveryPoints));
    let all = QUERIED.len().saturating_add(2);
    let mut done = all.saturating_sub(open.len());
    tell(ReadProgress::Queries(done, all));
    let mut answers = iter(open.into_iter().map(|query| async move { (query, query.ask(aggregator, scope).await) }))
        .buffer_unordered(QUERIES);
    let mut failed: Option<PortError> = None;
    while let Some((query, answer)) = answers.next().await {
        match answer {
            Ok(part) => {
                keep(&part).map_err(InventoryError::Store)?;
                known.take(part);
            }
            Err(error) => {
                known.record_failure(&query.subject(), &error);
                if matches!(query, AggregatorQuery::Resources(_)) {
                    failed = failed.or(Some(error));
                }
            }
        }
        done = done.saturating_add(1);
        tell(ReadProgress::Queries(done, all));
    }
    match failed {
        Some(error) if known.resources.is_empty() => Err(InventoryError::Aggregator(error)),
        _ => Ok(()),
    }
}

/// Reads the locations that are not completed.
async fn read_locations(
    members: &impl MemberBackup,
    options: &ReadOptions,
    locations: &BTreeSet<(AccountId, RegionName)>,
    known: &mut CollectedReads,
    keep: &mut impl FnMut(&CompletedRead) -> std::result::Result<(), String>,
    tell: &mut impl FnMut(ReadProgress),
) -> Result<(), InventoryError> {
    let jobs = options.jobs.max(1);
    let open: Vec<(AccountId, RegionName)> =
        locations.iter().filter(|location| !known.locations.contains_key(*location)).cloned().collect();
    let mut done = locations.len().saturating_sub(open.len());
    tell(ReadProgress::Locations(done, locations.len()));
    // The role is assumed once for each account, before its Regions are read concurrently.
    let accounts: BTreeSet<AccountId> = open.iter().map(|(account, _)| account.clone()).collect();
    let entered: BTreeMap<AccountId, Option<PortError>> = iter(accounts.into_iter().map(|account| async move {
        let entered = members.enter(&account).await.err();
        (account, entered)
    }))
    .buffer_unordered(jobs)
    .collect()
    .await;
    let mut visits = iter(open.into_iter().map(|(account, region)| {
        let refused = entered.get(&account).cloned().flatten();
        async move {
            match refused {
                Some(error) => location::not_entered(account, region, &error),
                None => location::read(members, account, region).await,
            }
        }
    }))
    .buffer_unordered(jobs);
    while let Some(read) = visits.next().await {
        // Reads with retryable failures are repeated on the next run.
        let part = CompletedRead::Location(Box::new(read));
        if let CompletedRead::Location(read) = &part
            && !read
                .failures
                .iter()
                .any(|failure| failure.reason.is_retryable() || failure.reason == ReadFailureReason::NoRole)
        {
            keep(&part).map_err(InventoryError::Store)?;
        }
        known.take(part);
        done = done.saturating_add(1);
        tell(ReadProgress::Locations(done, locations.len()));
    }
    Ok(())
}

impl CollectedReads {
    fn lacks(&self, location: &(AccountId, RegionName), part: LocationPart) -> bool {
        let unread = |read: &LocationRead| read.location.unread.iter().any(|unread| unread.part == part);
        self.locations.get(location).is_none_or(unread)
    }
}

fn unread(part: LocationPart, message: impl Into<String>) -> Unread {
    Unread { part, reason: message.into() }
}
