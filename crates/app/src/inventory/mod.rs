//! Reads the live state of an organisation into an inventory document.
//!
//! Resources come from an aggregator of AWS Config, which has them all in one place. What it cannot give (tag selections and
//! conditions, policies and locks of vaults, switches for services) comes from AWS Backup itself in each account and Region, through
//! a role there. What could not be read is named in the document, for exactly the part and place that it is missing from.
//!
//! Every part is handed out as soon as it was read, and may be handed in again: so a run that was broken off goes on.

mod assemble;
mod place;
mod ports;

pub use ports::{Listed, ListedVault, MemberBackup, Narrowed, Odd, Recorded, Recording, Rows, Source, Spot};

use crate::ports::{PortError, PortErrorKind, Result};
use domain::ids::{AccountId, RegionName};
use domain::inventory::document::{self, Document, Part, Plan, RecoveryPoint, Resource, Restore, Unread, Vault};
use futures_util::StreamExt as _;
use futures_util::stream::iter;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The types that Audit Manager protects and that advanced queries of AWS Config know.
pub const QUERIED: [&str; 7] = [
    "AWS::RDS::DBCluster",
    "AWS::RDS::DBInstance",
    "AWS::EC2::Volume",
    "AWS::EC2::Instance",
    "AWS::EFS::FileSystem",
    "AWS::DynamoDB::Table",
    "AWS::S3::Bucket",
];

/// The types that it protects and that queries do not know: their own services are asked.
pub const UNQUERIED: [&str; 3] =
    ["AWS::FSx::FileSystem", "AWS::StorageGateway::Volume", "AWS::BackupGateway::VirtualMachine"];

/// Queries that run side by side. AWS Config does not say how many it takes in a second, and the sweep asks it too.
const QUERIES: usize = 2;

/// What is to be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Question {
    /// Which places.
    pub narrowed: Narrowed,
    /// How many places are read side by side.
    pub jobs: usize,
}

/// A part that was read without a gap that may close by itself. A run that was broken off hands it in again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "read", rename_all = "camelCase")]
pub enum Finished {
    /// Where the aggregator takes from.
    Sources {
        /// The places.
        sources: Vec<Source>,
    },
    /// The resources of a type, from the aggregator.
    Resources {
        /// The type.
        kind: String,
        /// Those that it has.
        rows: Rows<Resource>,
    },
    /// The recovery points that the aggregator has.
    RecoveryPoints {
        /// All of them.
        rows: Rows<RecoveryPoint>,
    },
    /// What was read in an account and Region.
    Place(Box<PlaceRead>),
}

/// What was read in an account and Region, through the role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlaceRead {
    /// The place, and what of it could not be read.
    pub place: document::Place,
    /// Resources that the aggregator does not know.
    pub resources: Vec<Resource>,
    /// The plans with their selections.
    pub plans: Vec<Plan>,
    /// The vaults.
    pub vaults: Vec<Vault>,
    /// The recovery points, without tags.
    pub recovery_points: Vec<RecoveryPoint>,
    /// The restores.
    pub restores: Vec<Restore>,
    /// Everything that went wrong, the unread parts of the place included.
    pub troubles: Vec<Trouble>,
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trouble {
    /// The account and the Region; `None` when all are concerned.
    pub place: Option<(AccountId, RegionName)>,
    /// What, in words: `backup plans`, `policy of the vault daily`.
    pub what: String,
    /// What kind of reason.
    pub reason: Reason,
    /// The reason in full.
    pub why: String,
}

/// Why something could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// The role is not in the account, or does not trust the caller.
    NoRole,
    /// The role may not do this, or a policy above it forbids it.
    Denied,
    /// The Region is not enabled in the account, or the service is not there.
    RegionOff,
    /// AWS Config does not record it.
    NotRecorded,
    /// The aggregator has nothing from there, or nothing new.
    Stale,
    /// Nobody was to be asked but the aggregator.
    NotAsked,
    /// Throttled or unwell for longer than anybody waits.
    Unavailable,
    /// The answer makes no sense.
    Odd,
    /// The service refuses the request.
    Refused,
}

impl Reason {
    fn of(error: &PortError) -> Self {
        match error.kind {
            _ if place::is_region_off(error) => Self::RegionOff,
            PortErrorKind::Retryable | PortErrorKind::OutOfTime => Self::Unavailable,
            PortErrorKind::Denied => Self::Denied,
            PortErrorKind::NotFound | PortErrorKind::Conflict | PortErrorKind::Refused => Self::Refused,
        }
    }

    /// Whether asking again may help without anybody doing anything.
    fn may_pass(self) -> bool {
        self == Self::Unavailable
    }
}

/// An error without the request's id: equal errors are told once.
fn said(error: &PortError) -> String {
    PortError { request_id: None, ..error.clone() }.to_string()
}

/// How far the reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Queries of the aggregator are done, of so many.
    Queries(usize, usize),
    /// Places are done, of so many.
    Places(usize, usize),
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The document.
    pub document: Document,
    /// What could not be read, sorted. Empty when everything was.
    pub troubles: Vec<Trouble>,
}

/// Why there is no document at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The aggregator answers no query.
    #[error(transparent)]
    Aggregator(#[from] PortError),
    /// A part could not be kept.
    #[error("{0}")]
    Keep(String),
}

/// Parts that were read, by what they are about.
#[derive(Debug, Default)]
struct Known {
    sources: Option<Vec<Source>>,
    resources: BTreeMap<String, Rows<Resource>>,
    recovery_points: Option<Rows<RecoveryPoint>>,
    places: BTreeMap<(AccountId, RegionName), PlaceRead>,
    /// Of accounts that did not let us in, or that nobody was to ask: what AWS Config tells instead.
    plans: Rows<Plan>,
    vaults: Rows<Vault>,
    troubles: Vec<Trouble>,
}

impl Known {
    fn take(&mut self, part: Finished) {
        match part {
            Finished::Sources { sources } => self.sources = Some(sources),
            Finished::Resources { kind, rows } => drop(self.resources.insert(kind, rows)),
            Finished::RecoveryPoints { rows } => self.recovery_points = Some(rows),
            Finished::Place(read) => {
                let place = (read.place.account.clone(), read.place.region.clone());
                self.places.insert(place, *read);
            }
        }
    }

    fn missing(&mut self, what: &str, error: &PortError) {
        let trouble = Trouble { place: None, what: what.to_owned(), reason: Reason::of(error), why: said(error) };
        self.troubles.push(trouble);
    }

    /// The places that are asked about, as far as anybody knows of them.
    fn asked(&self, narrowed: &Narrowed) -> BTreeSet<(AccountId, RegionName)> {
        let mut places: BTreeSet<(AccountId, RegionName)> = BTreeSet::new();
        let sources = self.sources.iter().flatten();
        places.extend(sources.map(|source| (source.account.clone(), source.region.clone())));
        for rows in self.resources.values() {
            places.extend(rows.items.iter().filter_map(|resource| {
                Some((AccountId::parse(&resource.account).ok()?, RegionName::parse(&resource.region).ok()?))
            }));
            places.extend(rows.odd.iter().filter_map(|odd| odd.place.clone()));
        }
        let points = self.recovery_points.iter().flat_map(|rows| &rows.items);
        places.extend(points.map(|point| (point.account.clone(), point.region.clone())));
        // Who names both knows of the place.
        for account in &narrowed.accounts {
            places.extend(narrowed.regions.iter().map(|region| (account.clone(), region.clone())));
        }
        places.retain(|(account, region)| narrowed.takes(account, region));
        places
    }
}

/// Reads everything that is asked about and was not handed in, and puts the document together. `began` is when the first part was
/// asked for. `keep` gets each part as soon as it was read.
///
/// # Errors
/// When the aggregator answers no query at all, or a part cannot be kept.
pub async fn read<A, M>(
    aggregator: &A,
    members: Option<&M>,
    question: &Question,
    (began, earlier): (Timestamp, Vec<Finished>),
    mut keep: impl FnMut(&Finished) -> std::result::Result<(), String>,
    mut tell: impl FnMut(Step),
) -> Result<Outcome, Failure>
where
    A: Recorded,
    M: MemberBackup,
{
    let mut known = Known::default();
    earlier.into_iter().for_each(|part| known.take(part));
    query(aggregator, &question.narrowed, &mut known, &mut keep, &mut tell).await?;
    let places = known.asked(&question.narrowed);
    if let Some(members) = members {
        visit(members, question, &places, &mut known, &mut keep, &mut tell).await?;
    }
    let lacking = |known: &Known, part: Part| places.iter().any(|place| known.lacks(place, part));
    if lacking(&known, Part::Plans) {
        match aggregator.plans(&question.narrowed).await {
            Ok(rows) => known.plans = rows,
            Err(error) => known.missing("backup plans, from the aggregator", &error),
        }
    }
    if lacking(&known, Part::Vaults) {
        match aggregator.vaults(&question.narrowed).await {
            Ok(rows) => known.vaults = rows,
            Err(error) => known.missing("vaults, from the aggregator", &error),
        }
    }
    Ok(assemble::document(known, &places, &question.narrowed, began))
}

/// One query of the aggregator.
#[derive(Debug, Clone, Copy)]
enum Query {
    Sources,
    Resources(&'static str),
    RecoveryPoints,
}

impl Query {
    fn what(self) -> String {
        match self {
            Self::Sources => "the places that the aggregator takes from".to_owned(),
            Self::Resources(kind) => kind.to_owned(),
            Self::RecoveryPoints => "recovery points, from the aggregator".to_owned(),
        }
    }

    async fn ask(self, aggregator: &impl Recorded, narrowed: &Narrowed) -> Result<Finished> {
        Ok(match self {
            Self::Sources => Finished::Sources { sources: aggregator.sources().await? },
            Self::Resources(kind) => {
                Finished::Resources { kind: kind.to_owned(), rows: aggregator.resources(kind, narrowed).await? }
            }
            Self::RecoveryPoints => Finished::RecoveryPoints { rows: aggregator.recovery_points(narrowed).await? },
        })
    }
}

/// Asks the aggregator for what was not handed in.
async fn query(
    aggregator: &impl Recorded,
    narrowed: &Narrowed,
    known: &mut Known,
    keep: &mut impl FnMut(&Finished) -> std::result::Result<(), String>,
    tell: &mut impl FnMut(Step),
) -> Result<(), Failure> {
    let mut open: Vec<Query> = Vec::new();
    open.extend(known.sources.is_none().then_some(Query::Sources));
    open.extend(QUERIED.iter().filter(|kind| !known.resources.contains_key(**kind)).map(|kind| Query::Resources(kind)));
    open.extend(known.recovery_points.is_none().then_some(Query::RecoveryPoints));
    let all = QUERIED.len().saturating_add(2);
    let mut done = all.saturating_sub(open.len());
    tell(Step::Queries(done, all));
    let mut answers = iter(open.into_iter().map(|query| async move { (query, query.ask(aggregator, narrowed).await) }))
        .buffer_unordered(QUERIES);
    let mut failed: Option<PortError> = None;
    while let Some((query, answer)) = answers.next().await {
        match answer {
            Ok(part) => {
                keep(&part).map_err(Failure::Keep)?;
                known.take(part);
            }
            Err(error) => {
                known.missing(&query.what(), &error);
                if matches!(query, Query::Resources(_)) {
                    failed = failed.or(Some(error));
                }
            }
        }
        done = done.saturating_add(1);
        tell(Step::Queries(done, all));
    }
    match failed {
        // Nobody could say anything of anything.
        Some(error) if known.resources.is_empty() => Err(Failure::Aggregator(error)),
        _ => Ok(()),
    }
}

/// Visits the places that were not handed in, account by account.
async fn visit(
    members: &impl MemberBackup,
    question: &Question,
    places: &BTreeSet<(AccountId, RegionName)>,
    known: &mut Known,
    keep: &mut impl FnMut(&Finished) -> std::result::Result<(), String>,
    tell: &mut impl FnMut(Step),
) -> Result<(), Failure> {
    let jobs = question.jobs.max(1);
    let open: Vec<(AccountId, RegionName)> =
        places.iter().filter(|place| !known.places.contains_key(*place)).cloned().collect();
    let mut done = places.len().saturating_sub(open.len());
    tell(Step::Places(done, places.len()));
    // The role is assumed once in each account, before its Regions are visited side by side.
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
                Some(error) => place::not_entered(account, region, &error),
                None => place::read(members, account, region).await,
            }
        }
    }))
    .buffer_unordered(jobs);
    while let Some(read) = visits.next().await {
        // What may be had on the next run is asked for again then.
        let part = Finished::Place(Box::new(read));
        if let Finished::Place(read) = &part
            && !read.troubles.iter().any(|trouble| trouble.reason.may_pass() || trouble.reason == Reason::NoRole)
        {
            keep(&part).map_err(Failure::Keep)?;
        }
        known.take(part);
        done = done.saturating_add(1);
        tell(Step::Places(done, places.len()));
    }
    Ok(())
}

impl Known {
    fn lacks(&self, place: &(AccountId, RegionName), part: Part) -> bool {
        let unread = |read: &PlaceRead| read.place.unread.iter().any(|unread| unread.part == part);
        self.places.get(place).is_none_or(unread)
    }
}

/// An entry for a part that could not be read.
fn unread(part: Part, why: impl Into<String>) -> Unread {
    Unread { part, why: why.into() }
}
