//! What reading an inventory needs of the world.

use crate::ports::Result;
use domain::ids::{AccountId, RegionName};
use domain::inventory::document::{Plan, RecoveryPoint, Resource, Restore, Rule, Selection, Vault};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

/// What an inventory is asked about; an empty set narrows nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Narrowed {
    /// These accounts only.
    pub accounts: BTreeSet<AccountId>,
    /// These Regions only.
    pub regions: BTreeSet<RegionName>,
}

impl Narrowed {
    /// Whether a place is asked about.
    #[must_use]
    pub fn takes(&self, account: &AccountId, region: &RegionName) -> bool {
        (self.accounts.is_empty() || self.accounts.contains(account))
            && (self.regions.is_empty() || self.regions.contains(region))
    }
}

/// A place that an aggregator takes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The account.
    pub account: AccountId,
    /// The Region.
    pub region: RegionName,
    /// Why the aggregator has nothing from there, or nothing new.
    pub stale: Option<String>,
}

/// What a query found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows<T> {
    /// The rows that could be read.
    pub items: Vec<T>,
    /// Those that could not.
    pub odd: Vec<Odd>,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { items: Vec::new(), odd: Vec::new() }
    }
}

/// Something that was found and makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Odd {
    /// Where it is, if that much can be told.
    pub place: Option<(AccountId, RegionName)>,
    /// What is wrong with it.
    pub why: String,
}

/// What an organisation's aggregator has recorded.
pub trait Recorded {
    /// Where it takes from.
    fn sources(&self) -> impl Future<Output = Result<Vec<Source>>> + Send;
    /// The resources of a type; only of one of [`QUERIED`](super::QUERIED).
    fn resources(&self, kind: &'static str, of: &Narrowed) -> impl Future<Output = Result<Rows<Resource>>> + Send;
    /// The recovery points that are recorded.
    fn recovery_points(&self, of: &Narrowed) -> impl Future<Output = Result<Rows<RecoveryPoint>>> + Send;
    /// The backup plans with their selections, of which AWS Config knows neither tags nor conditions.
    fn plans(&self, of: &Narrowed) -> impl Future<Output = Result<Rows<Plan>>> + Send;
    /// The vaults, of which it knows neither policies nor locks.
    fn vaults(&self, of: &Narrowed) -> impl Future<Output = Result<Rows<Vault>>> + Send;
}

/// An account and Region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot<'a> {
    /// The account.
    pub account: &'a AccountId,
    /// The Region.
    pub region: &'a RegionName,
}

/// What AWS Config records in a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recording {
    /// Nothing: there is no recorder, or it is switched off.
    Nothing,
    /// Whatever it can.
    Everything,
    /// Whatever it can but these types.
    AllBut(BTreeSet<String>),
    /// These types.
    Only(BTreeSet<String>),
}

impl Recording {
    /// Whether resources of a type are recorded, if AWS Config can record it.
    #[must_use]
    pub fn has(&self, kind: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::AllBut(kinds) => !kinds.contains(kind),
            Self::Only(kinds) => kinds.contains(kind),
        }
    }
}

/// A plan as the list of plans has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its ARN; empty for what has none.
    pub arn: String,
}

/// A vault as the list of vaults has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedVault {
    /// The vault, without policy and tags.
    pub vault: Vault,
    /// Its ARN.
    pub arn: String,
    /// Whether the list tells of its lock.
    pub lock_is_known: bool,
}

/// AWS Backup and AWS Config in member accounts, through a role that each of them has.
pub trait MemberBackup {
    /// Assumes the role in an account.
    fn enter(&self, account: &AccountId) -> impl Future<Output = Result<()>> + Send;
    /// The switches for services (`DescribeRegionSettings`).
    fn opt_in(&self, at: Spot<'_>) -> impl Future<Output = Result<BTreeMap<String, bool>>> + Send;
    /// What AWS Config records there.
    fn recording(&self, at: Spot<'_>) -> impl Future<Output = Result<Recording>> + Send;
    /// The plans.
    fn plans(&self, at: Spot<'_>) -> impl Future<Output = Result<Vec<Listed>>> + Send;
    /// The rules of a plan.
    fn rules(&self, at: Spot<'_>, plan: &str) -> impl Future<Output = Result<Vec<Rule>>> + Send;
    /// The selections of a plan.
    fn selections(&self, at: Spot<'_>, plan: &str) -> impl Future<Output = Result<Vec<Listed>>> + Send;
    /// A selection.
    fn selection(&self, at: Spot<'_>, plan: &str, selection: &str) -> impl Future<Output = Result<Selection>> + Send;
    /// The vaults of the account: not those that others share with it.
    fn vaults(&self, at: Spot<'_>) -> impl Future<Output = Result<Vec<ListedVault>>> + Send;
    /// A vault with its lock, where the list does not tell of it.
    fn vault(&self, at: Spot<'_>, name: &str) -> impl Future<Output = Result<Vault>> + Send;
    /// The access policy of a vault; `None`: it has none.
    fn policy(&self, at: Spot<'_>, vault: &str) -> impl Future<Output = Result<Option<String>>> + Send;
    /// The tags of a plan or vault.
    fn tags(&self, at: Spot<'_>, arn: &str) -> impl Future<Output = Result<BTreeMap<String, String>>> + Send;
    /// The recovery points in a vault, without tags.
    fn recovery_points(&self, at: Spot<'_>, vault: &str) -> impl Future<Output = Result<Rows<RecoveryPoint>>> + Send;
    /// The restores that ended well, as far back as AWS Backup knows them.
    fn restores(&self, at: Spot<'_>) -> impl Future<Output = Result<Rows<Restore>>> + Send;
    /// The resources of a type that AWS Config cannot be asked for; only of one of [`UNQUERIED`](super::UNQUERIED).
    fn others(&self, at: Spot<'_>, kind: &'static str) -> impl Future<Output = Result<Rows<Resource>>> + Send;
}
