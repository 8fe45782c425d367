//! The ports for violations that `report`, `sweep` and the command line share.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use domain::notice::Notice;
use domain::violation::{Channel, ResourceDetails, ViolationGroup, ViolationKey, ViolationRecord};
use evaluation::inventory::document::Plan;
use framework::ids::{AccountId, RegionName};

use crate::in_force::PolicyDirectory;
use crate::ports::{Call, Clock, Result, Versioned};

/// The adapters that record violations and deliver notices of them.
pub trait ViolationEnv {
    /// The state table, with the deployed frameworks and reporting rules.
    type Store: ViolationStore + PolicyDirectory;
    /// The channels for notices.
    type Channels: NotificationChannels;
    /// Names and tags of resources, and backup plans.
    type Resources: ResourceDirectory + BackupPlans;
    /// The time.
    type Clock: Clock;
}

/// Delivers notices about violations to the channels.
pub trait NotificationChannels {
    /// Returns the enabled channels.
    fn enabled(&self) -> BTreeSet<Channel>;
    /// Delivers notices to one channel; the outcome of each, in order. A notice without a format for the channel succeeds without a call.
    fn deliver(&self, channel: Channel, notices: &[Notice]) -> impl Future<Output = Vec<Result<()>>> + Send;
}

/// A page of records with pending deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PendingPage {
    /// The records.
    pub records: Vec<Versioned<ViolationRecord>>,
    /// The position of the next page; `None` after the last.
    pub next: Option<PendingPosition>,
}

/// A position in the index of pending deliveries, as the store represents it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingPosition(pub BTreeMap<String, String>);

/// The records of violations.
pub trait ViolationStore {
    /// Reads the existing records of these keys, strongly consistent.
    fn read(&self, keys: &[ViolationKey]) -> impl Call<BTreeMap<ViolationKey, Versioned<ViolationRecord>>>;
    /// Stores a record and returns its new version. Fails with a conflict unless the stored record has
    /// the version of `record` (0: none is stored).
    fn put(&self, record: &Versioned<ViolationRecord>) -> impl Call<u64>;
    /// Reads the records of a group with pending deliveries. Writes of the last second may be missing.
    fn pending_for(&self, group: &ViolationGroup) -> impl Call<Vec<Versioned<ViolationRecord>>>;
    /// Reads records of all groups with a delivery due before `before` ([`ViolationRecord::next_delivery`]), from `position` on: about
    /// `limit` of them, and the position of the next page.
    fn pending(&self, before: Timestamp, position: Option<PendingPosition>, limit: usize) -> impl Call<PendingPage>;
    /// Reads the open records of an account, exempt ones included. Writes of the last second may be missing.
    fn open_in(&self, account: &AccountId) -> impl Call<Vec<Versioned<ViolationRecord>>>;
    /// Reads the accounts with open records.
    fn accounts(&self) -> impl Call<BTreeSet<AccountId>>;
}

/// Backup plans across the organization.
pub trait BackupPlans {
    /// Returns the plans in an account and Region with their selections, as far as AWS Config reports them; empty if none is known.
    fn plans(&self, account: &AccountId, region: &RegionName) -> impl Call<Vec<Plan>>;
}

/// A resource in an account and Region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId {
    /// The id of AWS Config.
    pub id: String,
    /// The account that owns it.
    pub account: AccountId,
    /// The Region that it is in.
    pub region: RegionName,
    /// The type of AWS Config.
    pub kind: String,
}

/// Resource details in AWS Config across the organization.
pub trait ResourceDirectory {
    /// Reads names, ARNs and tags of the known resources. Empty without an aggregator.
    fn look_up(&self, resources: &[ResourceId]) -> impl Call<BTreeMap<ResourceId, ResourceDetails>>;
}
