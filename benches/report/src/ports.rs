//! Minimal in-memory ports of `report`: the benchmark measures the domain and the use case.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use app::in_force::{InForce, PolicyDirectory};
use app::ports::{Clock, PortError, PortErrorKind, Result, Versioned};
use app::report::ports::{DigestWindow, ReportEnv, ReportQueue, WindowStore};
use app::violations::{
    BackupPlans, NotificationChannels, PendingPage, PendingPosition, ResourceDirectory, ResourceId, ViolationEnv,
    ViolationStore,
};
use domain::notice::{FindingHome, Notice};
use domain::violation::{Channel, ResourceDetails, ViolationGroup, ViolationKey, ViolationRecord};
use evaluation::inventory::document::{Plan, Selection, TagValue};
use framework::ids::{AccountId, RegionName};

/// All ports of `report`.
#[derive(Debug)]
pub(crate) struct InMemoryPorts {
    /// The account and Region of imported findings.
    home: (AccountId, RegionName),
    outlets: BTreeSet<Channel>,
    /// Whether the channels format the notices, as real ones do.
    format: bool,
    state: Mutex<PortState>,
}

#[derive(Debug, Default)]
struct PortState {
    now: Timestamp,
    in_force: InForce,
    records: BTreeMap<ViolationKey, Versioned<ViolationRecord>>,
    /// The index of pending deliveries.
    pending: BTreeMap<ViolationGroup, BTreeSet<ViolationKey>>,
    windows: BTreeMap<ViolationGroup, DigestWindow>,
    asked: BTreeSet<ViolationGroup>,
    dead_lettered: usize,
    notices: BTreeMap<Channel, usize>,
    bytes: usize,
    calls: BTreeMap<&'static str, usize>,
}

impl InMemoryPorts {
    pub(crate) fn new(
        home: (AccountId, RegionName),
        outlets: &[Channel],
        format: bool,
        in_force: InForce,
        now: Timestamp,
    ) -> Self {
        Self {
            home,
            outlets: outlets.iter().copied().collect(),
            format,
            state: Mutex::new(PortState { in_force, now, ..PortState::default() }),
        }
    }

    fn state(&self) -> MutexGuard<'_, PortState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call.
    fn call(&self, name: &'static str) -> MutexGuard<'_, PortState> {
        let mut state = self.state();
        *state.calls.entry(name).or_default() += 1;
        state
    }

    /// Advances the time to the end of all digest windows.
    pub(crate) fn end_windows(&self, length: Duration) {
        let mut state = self.state();
        let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
        state.now = state.now.saturating_add(length).unwrap_or(state.now);
        state.now = state.now.saturating_add(SignedDuration::from_secs(1)).unwrap_or(state.now);
    }

    /// Removes and returns the groups with a requested flush.
    pub(crate) fn take_asked(&self) -> BTreeSet<ViolationGroup> {
        std::mem::take(&mut self.state().asked)
    }

    pub(crate) fn take_calls(&self) -> BTreeMap<&'static str, usize> {
        std::mem::take(&mut self.state().calls)
    }

    pub(crate) fn notices(&self, outlet: Channel) -> usize {
        self.state().notices.get(&outlet).copied().unwrap_or_default()
    }

    pub(crate) fn dead_lettered(&self) -> usize {
        self.state().dead_lettered
    }

    /// Returns all records.
    pub(crate) fn records(&self) -> Vec<ViolationRecord> {
        self.state().records.values().map(|record| record.value.clone()).collect()
    }

    /// Stores records whose notices were delivered.
    pub(crate) fn preload(&self, records: impl Iterator<Item = ViolationRecord>) {
        let mut state = self.state();
        state.records.extend(records.map(|value| (value.key.clone(), Versioned { value, version: 1 })));
    }
}

impl ViolationEnv for &InMemoryPorts {
    type Store = Self;
    type Channels = Self;
    type Resources = Self;
    type Clock = Self;
}

impl ReportEnv for &InMemoryPorts {
    type Queue = Self;
}

impl Clock for &InMemoryPorts {
    fn now(&self) -> Timestamp {
        self.state().now
    }
}

impl PolicyDirectory for &InMemoryPorts {
    async fn in_force(&self) -> Result<InForce> {
        Ok(self.call("in_force").in_force.clone())
    }
}

impl ViolationStore for &InMemoryPorts {
    async fn read(&self, keys: &[ViolationKey]) -> Result<BTreeMap<ViolationKey, Versioned<ViolationRecord>>> {
        let state = self.call("read");
        let found = keys.iter().filter_map(|key| Some((key.clone(), state.records.get(key)?.clone())));
        Ok(found.collect())
    }

    async fn put(&self, record: &Versioned<ViolationRecord>) -> Result<u64> {
        let mut state = self.call("put");
        let key = &record.value.key;
        let stored = state.records.get(key).map_or(0, |stored| stored.version);
        if stored != record.version {
            return Err(conflict());
        }
        let version = stored + 1;
        let group = state.pending.entry(key.group()).or_default();
        if record.value.pending.is_empty() {
            group.remove(key);
        } else {
            group.insert(key.clone());
        }
        state.records.insert(key.clone(), Versioned { value: record.value.clone(), version });
        Ok(version)
    }

    async fn pending_for(&self, group: &ViolationGroup) -> Result<Vec<Versioned<ViolationRecord>>> {
        let state = self.call("owed_by");
        let keys = state.pending.get(group).into_iter().flatten();
        Ok(keys.filter_map(|key| state.records.get(key).cloned()).collect())
    }

    async fn pending(
        &self,
        _before: Timestamp,
        _position: Option<PendingPosition>,
        _limit: usize,
    ) -> Result<PendingPage> {
        Err(unused())
    }

    async fn open_in(&self, _account: &AccountId) -> Result<Vec<Versioned<ViolationRecord>>> {
        Err(unused())
    }

    async fn accounts(&self) -> Result<BTreeSet<AccountId>> {
        Err(unused())
    }
}

impl WindowStore for &InMemoryPorts {
    async fn windows(&self, groups: &[ViolationGroup]) -> Result<BTreeMap<ViolationGroup, DigestWindow>> {
        let state = self.call("windows");
        Ok(groups.iter().filter_map(|group| Some((group.clone(), *state.windows.get(group)?))).collect())
    }

    async fn open_window(&self, group: &ViolationGroup, now: Timestamp, until: Timestamp) -> Result<bool> {
        let mut state = self.call("open_window");
        let is_open = state.windows.get(group).is_some_and(|window| window.until > now);
        if !is_open {
            state.windows.insert(group.clone(), DigestWindow { until, is_flush_requested: false });
        }
        Ok(!is_open)
    }

    async fn record_flush_request(&self, group: &ViolationGroup, until: Timestamp) -> Result<()> {
        let mut state = self.call("flush_asked");
        if let Some(window) = state.windows.get_mut(group).filter(|window| window.until == until) {
            window.is_flush_requested = true;
        }
        Ok(())
    }
}

impl NotificationChannels for &InMemoryPorts {
    fn enabled(&self) -> BTreeSet<Channel> {
        self.outlets.clone()
    }

    async fn deliver(&self, outlet: Channel, notices: &[Notice]) -> Vec<Result<()>> {
        // A channel would format the notice, so this is part of the work.
        let home = FindingHome { account: self.home.0.clone(), region: self.home.1.clone() };
        let formatted: usize = match outlet {
            _ if !self.format => 0,
            Channel::Topic => notices
                .iter()
                .map(|notice| notice.subject().len() + notice.text().len() + notice.json().to_string().len())
                .sum(),
            Channel::Chat => notices.iter().map(|notice| notice.chat().to_string().len()).sum(),
            Channel::EventBus => {
                notices.iter().filter_map(Notice::event).map(|(_, detail)| detail.to_string().len()).sum()
            }
            Channel::SecurityHub => {
                notices.iter().filter_map(|notice| notice.finding(&home)).map(|finding| finding.to_string().len()).sum()
            }
        };
        let mut state = self.call("tell");
        state.bytes += formatted;
        *state.notices.entry(outlet).or_default() += notices.len();
        notices.iter().map(|_| Ok(())).collect()
    }
}

impl ResourceDirectory for &InMemoryPorts {
    async fn look_up(&self, resources: &[ResourceId]) -> Result<BTreeMap<ResourceId, ResourceDetails>> {
        drop(self.call("look_up"));
        let facts = |resource: &ResourceId| ResourceDetails {
            name: Some(format!("name of {}", resource.id)),
            arn: Some(format!("arn:aws:ec2:{}:{}:volume/{}", resource.region, resource.account, resource.id)),
            tags: BTreeMap::from([("owner".to_owned(), "team@example.com".to_owned())]),
        };
        Ok(resources.iter().map(|resource| (resource.clone(), facts(resource))).collect())
    }
}

impl BackupPlans for &InMemoryPorts {
    async fn plans(&self, account: &AccountId, region: &RegionName) -> Result<Vec<Plan>> {
        drop(self.call("plans"));
        let tag = TagValue { key: "backup".to_owned(), value: "daily".to_owned() };
        let selection = Selection { name: "by-tag".to_owned(), list_of_tags: vec![tag], ..Selection::default() };
        Ok(vec![Plan {
            id: "daily".to_owned(),
            name: "daily".to_owned(),
            account: account.clone(),
            region: region.clone(),
            tags: BTreeMap::new(),
            rules: Vec::new(),
            selections: vec![selection],
            unread: Vec::new(),
        }])
    }
}

impl ReportQueue for &InMemoryPorts {
    async fn request_flush(&self, group: &ViolationGroup, _after: Duration) -> Result<()> {
        self.call("ask_flush").asked.insert(group.clone());
        Ok(())
    }

    async fn dead_letter(&self, _body: &str, _reason: &str) -> Result<()> {
        self.call("bury").dead_lettered += 1;
        Ok(())
    }
}

fn conflict() -> PortError {
    failed("put", PortErrorKind::Conflict)
}

/// `report` does not use this port.
fn unused() -> PortError {
    failed("unused", PortErrorKind::Rejected)
}

fn failed(operation: &'static str, kind: PortErrorKind) -> PortError {
    PortError { operation, code: None, message: "in the bench".to_owned(), request_id: None, kind }
}
