//! The ports of the inventory reader.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use evaluation::inventory::document::{Plan, RecoveryPoint, Resource, Rule, Selection, Vault};
use framework::ids::{AccountId, Location, RegionName};

use crate::ports::Call;

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
    pub fn includes(&self, account: &AccountId, region: &RegionName) -> bool {
        (self.accounts.is_empty() || self.accounts.contains(account))
            && (self.regions.is_empty() || self.regions.contains(region))
    }
}

/// A location that an aggregator collects from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AggregatorSource {
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
    fn sources(&self) -> impl Call<Vec<AggregatorSource>>;
    /// Returns the resources of a type, which is one of [`QUERIED`](super::QUERIED).
    fn resources(&self, kind: &'static str, of: &InventoryScope) -> impl Call<Rows<Resource>>;
    /// Returns the recovery points.
    fn recovery_points(&self, of: &InventoryScope) -> impl Call<Rows<RecoveryPoint>>;
    /// Returns the backup plans with their selections, for which AWS Config reports neither tags nor conditions.
    fn plans(&self, of: &InventoryScope) -> impl Call<Rows<Plan>>;
    /// Returns the vaults, for which AWS Config reports neither policies nor locks.
    fn vaults(&self, of: &InventoryScope) -> impl Call<Rows<Vault>>;
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
    fn enter(&self, account: &AccountId) -> impl Call<()>;
    /// Returns the opt-in services (`DescribeRegionSettings`).
    fn opt_in(&self, at: &Location) -> impl Call<BTreeMap<String, bool>>;
    /// Returns the recorded types.
    fn recording(&self, at: &Location) -> impl Call<Recording>;
    /// Lists the plans.
    fn plans(&self, at: &Location) -> impl Call<Vec<ListedItem>>;
    /// Returns the rules of a plan.
    fn rules(&self, at: &Location, plan: &str) -> impl Call<Vec<Rule>>;
    /// Lists the selections of a plan.
    fn selections(&self, at: &Location, plan: &str) -> impl Call<Vec<ListedItem>>;
    /// Returns a selection.
    fn selection(&self, at: &Location, plan: &str, selection: &str) -> impl Call<Selection>;
    /// Lists the vaults of the account, without shared ones.
    fn vaults(&self, at: &Location) -> impl Call<Vec<ListedVault>>;
    /// Returns a vault with its lock, if the list does not contain it.
    fn vault(&self, at: &Location, name: &str) -> impl Call<Vault>;
    /// Returns the access policy of a vault, if it has one.
    fn policy(&self, at: &Location, vault: &str) -> impl Call<Option<String>>;
    /// Returns the tags of a plan or vault.
    fn tags(&self, at: &Location, arn: &str) -> impl Call<BTreeMap<String, String>>;
    /// Returns the recovery points of a vault, without tags.
    fn recovery_points(&self, at: &Location, vault: &str) -> impl Call<Rows<RecoveryPoint>>;
    /// Lists the ARNs of the resources that have recovery points.
    fn protected_resources(&self, at: &Location) -> impl Call<BTreeSet<String>>;
    /// Returns the duration of the latest restore of a resource in minutes; `None` if no restore ran.
    fn latest_restore_minutes(&self, at: &Location, arn: &str) -> impl Call<Option<u64>>;
    /// Returns whether AWS manages a KMS key, given by ARN or id.
    fn is_aws_managed_key(&self, at: &Location, key: &str) -> impl Call<bool>;
    /// Returns the resources of a type that AWS Config cannot query, which is one of [`UNQUERIED`](super::UNQUERIED).
    fn others(&self, at: &Location, kind: &'static str) -> impl Call<Rows<Resource>>;
}

/// The stored inventories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InventoryListing {
    /// The time at which the newest inventory was stored.
    pub stored_at: Option<Timestamp>,
    /// Whether a partial inventory is stored.
    pub has_partial: bool,
}

/// The newest inventory of the organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredInventory {
    /// The document, as JSON.
    pub text: String,
    /// The time at which it was stored. The document has the time of its first read.
    pub stored_at: Timestamp,
}

/// The inventory in the application's bucket.
pub trait InventoryStore {
    /// Returns the stored inventories, in one call.
    fn listing(&self) -> impl Call<InventoryListing>;
    /// Reads the newest inventory; `None` if there is none.
    fn newest(&self) -> impl Call<Option<StoredInventory>>;
    /// Replaces the newest inventory.
    fn put_newest(&self, text: &str) -> impl Call<()>;
    /// Reads the partial inventory; `None` if there is none.
    fn partial(&self) -> impl Call<Option<String>>;
    /// Replaces the partial inventory.
    fn put_partial(&self, text: &str) -> impl Call<()>;
    /// Removes the partial inventory. Idempotent.
    fn remove_partial(&self) -> impl Call<()>;
    /// Removes the newest and the partial inventory. Idempotent.
    fn remove_inventories(&self) -> impl Call<()>;
}
