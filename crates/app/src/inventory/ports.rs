//! The ports of the inventory reader.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use serde::{Deserialize, Serialize};

use evaluation::inventory::document::{Plan, RecoveryPoint, Resource, Restore, Rule, Selection, Vault};
use framework::ids::{AccountId, RegionName};

use crate::ports::Result;

/// The accounts and Regions to read; an empty set does not restrict.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct InventoryScope {
    /// The accounts.
    pub accounts: BTreeSet<AccountId>,
    /// The Regions.
    pub regions: BTreeSet<RegionName>,
}

impl InventoryScope {
    /// Returns whether a location is in scope.
    #[must_use]
    pub fn includes(&self, account: &AccountId, region: &RegionName) -> bool {
        (self.accounts.is_empty() || self.accounts.contains(account))
            && (self.regions.is_empty() || self.regions.contains(region))
    }
}

/// A location that an aggregator collects from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The account.
    pub account: AccountId,
    /// The Region.
    pub region: RegionName,
    /// The reason why the aggregator has no current data of it.
    pub stale: Option<String>,
}

/// The result of a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows<T> {
    /// The valid rows.
    pub items: Vec<T>,
    /// The invalid rows.
    pub invalid: Vec<InvalidRow>,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { items: Vec::new(), invalid: Vec::new() }
    }
}

/// A row that is invalid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvalidRow {
    /// The account and Region, if they can be determined.
    pub location: Option<(AccountId, RegionName)>,
    /// The error.
    pub message: String,
}

/// The data that an organization's aggregator has recorded.
pub trait RecordedInventory {
    /// Returns the locations that it collects from.
    fn sources(&self) -> impl Future<Output = Result<Vec<Source>>> + Send;
    /// Returns the resources of a type, which is one of [`QUERIED`](super::QUERIED).
    fn resources(&self, kind: &'static str, of: &InventoryScope)
    -> impl Future<Output = Result<Rows<Resource>>> + Send;
    /// Returns the recovery points.
    fn recovery_points(&self, of: &InventoryScope) -> impl Future<Output = Result<Rows<RecoveryPoint>>> + Send;
    /// Returns the backup plans with their selections, for which AWS Config reports neither tags nor conditions.
    fn plans(&self, of: &InventoryScope) -> impl Future<Output = Result<Rows<Plan>>> + Send;
    /// Returns the vaults, for which AWS Config reports neither policies nor locks.
    fn vaults(&self, of: &InventoryScope) -> impl Future<Output = Result<Rows<Vault>>> + Send;
}

/// A borrowed account and Region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocationRef<'a> {
    /// The account.
    pub account: &'a AccountId,
    /// The Region.
    pub region: &'a RegionName,
}

/// The types that AWS Config records in a location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recording {
    /// None: there is no recorder, or it is stopped.
    Nothing,
    /// All supported types.
    Everything,
    /// All supported types except these.
    AllBut(BTreeSet<String>),
    /// Only these types.
    Only(BTreeSet<String>),
}

impl Recording {
    /// Returns whether a supported type is recorded.
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

/// A plan or selection in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedItem {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The ARN; empty for selections.
    pub arn: String,
}

/// A vault in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedVault {
    /// The vault, without policy and tags.
    pub vault: Vault,
    /// Its ARN.
    pub arn: String,
    /// Whether the list contains the lock.
    pub lock_is_known: bool,
}

/// AWS Backup and AWS Config in member accounts, through a role in each account.
pub trait MemberBackup {
    /// Assumes the role in an account.
    fn enter(&self, account: &AccountId) -> impl Future<Output = Result<()>> + Send;
    /// Returns the opt-in services (`DescribeRegionSettings`).
    fn opt_in(&self, at: LocationRef<'_>) -> impl Future<Output = Result<BTreeMap<String, bool>>> + Send;
    /// Returns the recorded types.
    fn recording(&self, at: LocationRef<'_>) -> impl Future<Output = Result<Recording>> + Send;
    /// Lists the plans.
    fn plans(&self, at: LocationRef<'_>) -> impl Future<Output = Result<Vec<ListedItem>>> + Send;
    /// Returns the rules of a plan.
    fn rules(&self, at: LocationRef<'_>, plan: &str) -> impl Future<Output = Result<Vec<Rule>>> + Send;
    /// Lists the selections of a plan.
    fn selections(&self, at: LocationRef<'_>, plan: &str) -> impl Future<Output = Result<Vec<ListedItem>>> + Send;
    /// Returns a selection.
    fn selection(
        &self,
        at: LocationRef<'_>,
        plan: &str,
        selection: &str,
    ) -> impl Future<Output = Result<Selection>> + Send;
    /// Lists the vaults of the account, without shared ones.
    fn vaults(&self, at: LocationRef<'_>) -> impl Future<Output = Result<Vec<ListedVault>>> + Send;
    /// Returns a vault with its lock, if the list does not contain it.
    fn vault(&self, at: LocationRef<'_>, name: &str) -> impl Future<Output = Result<Vault>> + Send;
    /// Returns the access policy of a vault, if it has one.
    fn policy(&self, at: LocationRef<'_>, vault: &str) -> impl Future<Output = Result<Option<String>>> + Send;
    /// Returns the tags of a plan or vault.
    fn tags(&self, at: LocationRef<'_>, arn: &str) -> impl Future<Output = Result<BTreeMap<String, String>>> + Send;
    /// Returns the recovery points of a vault, without tags.
    fn recovery_points(
        &self,
        at: LocationRef<'_>,
        vault: &str,
    ) -> impl Future<Output = Result<Rows<RecoveryPoint>>> + Send;
    /// Returns the successful restores, as far back as AWS Backup stores them.
    fn restores(&self, at: LocationRef<'_>) -> impl Future<Output = Result<Rows<Restore>>> + Send;
    /// Returns the resources of a type that AWS Config cannot query, which is one of [`UNQUERIED`](super::UNQUERIED).
    fn others(&self, at: LocationRef<'_>, kind: &'static str) -> impl Future<Output = Result<Rows<Resource>>> + Send;
}
