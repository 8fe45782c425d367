//! The world of `report`, as lean as can be: what is measured is the work of the domain and the use case.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use app::ports::{
    BackupPlans, Clock, InForce, Outlets, PendingPage, PendingPosition, PolicyDirectory, PortError, PortErrorKind,
    ReportQueue, ResourceDirectory, ResourceId, Result, Selection, Versioned, ViolationStore, Window, WindowStore,
};
use domain::ids::{AccountId, RegionName};
use domain::notice::{FindingHome, Notice};
use domain::violation::{Group, Key, Outlet, Record, ResourceFacts};
use jiff::{SignedDuration, Timestamp};

/// What `report` is given.
#[derive(Debug)]
pub(crate) struct World {
    /// The account and the Region that findings are imported in.
    home: (AccountId, RegionName),
    outlets: BTreeSet<Outlet>,
    /// Whether the outlets write down what they are told, as real ones must.
    write: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    now: Timestamp,
    in_force: InForce,
    records: BTreeMap<Key, Versioned<Record>>,
    /// The index of what is owed.
    owing: BTreeMap<Group, BTreeSet<Key>>,
    windows: BTreeMap<Group, Window>,
    asked: BTreeSet<Group>,
    buried: usize,
    notices: BTreeMap<Outlet, usize>,
    bytes: usize,
    calls: BTreeMap<&'static str, usize>,
}

impl World {
    pub(crate) fn new(
        home: (AccountId, RegionName),
        outlets: &[Outlet],
        write: bool,
        in_force: InForce,
        now: Timestamp,
    ) -> Self {
        Self {
            home,
            outlets: outlets.iter().copied().collect(),
            write,
            state: Mutex::new(State { in_force, now, ..State::default() }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a call.
    fn call(&self, name: &'static str) -> MutexGuard<'_, State> {
        let mut state = self.state();
        *state.calls.entry(name).or_default() += 1;
        state
    }

    /// Lets the time pass until every window has ended.
    pub(crate) fn end_windows(&self, length: Duration) {
        let mut state = self.state();
        let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
        state.now = state.now.saturating_add(length).unwrap_or(state.now);
        state.now = state.now.saturating_add(SignedDuration::from_secs(1)).unwrap_or(state.now);
    }

    /// The groups whose flush was asked for, once.
    pub(crate) fn take_asked(&self) -> BTreeSet<Group> {
        std::mem::take(&mut self.state().asked)
    }

    pub(crate) fn take_calls(&self) -> BTreeMap<&'static str, usize> {
        std::mem::take(&mut self.state().calls)
    }

    pub(crate) fn notices(&self, outlet: Outlet) -> usize {
        self.state().notices.get(&outlet).copied().unwrap_or_default()
    }

    pub(crate) fn buried(&self) -> usize {
        self.state().buried
    }

    /// Every record.
    pub(crate) fn records(&self) -> Vec<Record> {
        self.state().records.values().map(|record| record.value.clone()).collect()
    }

    /// Puts records on file that were told long ago.
    pub(crate) fn preload(&self, records: impl Iterator<Item = Record>) {
        let mut state = self.state();
        state.records.extend(records.map(|value| (value.key.clone(), Versioned { value, version: 1 })));
    }
}

impl Clock for &World {
    fn now(&self) -> Timestamp {
        self.state().now
    }
}

impl PolicyDirectory for &World {
    async fn in_force(&self) -> Result<InForce> {
        Ok(self.call("in_force").in_force.clone())
    }
}

impl ViolationStore for &World {
    async fn read(&self, keys: &[Key]) -> Result<BTreeMap<Key, Versioned<Record>>> {
        let state = self.call("read");
        let found = keys.iter().filter_map(|key| Some((key.clone(), state.records.get(key)?.clone())));
        Ok(found.collect())
    }

    async fn put(&self, record: &Versioned<Record>) -> Result<u64> {
        let mut state = self.call("put");
        let key = &record.value.key;
        let stored = state.records.get(key).map_or(0, |stored| stored.version);
        if stored != record.version {
            return Err(conflict());
        }
        let version = stored + 1;
        let group = state.owing.entry(key.group()).or_default();
        if record.value.owed.is_empty() {
            group.remove(key);
        } else {
            group.insert(key.clone());
        }
        state.records.insert(key.clone(), Versioned { value: record.value.clone(), version });
        Ok(version)
    }

    async fn owed_by(&self, group: &Group) -> Result<Vec<Versioned<Record>>> {
        let state = self.call("owed_by");
        let keys = state.owing.get(group).into_iter().flatten();
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

    async fn open_in(&self, _account: &AccountId) -> Result<Vec<Versioned<Record>>> {
        Err(unused())
    }

    async fn accounts(&self) -> Result<BTreeSet<AccountId>> {
        Err(unused())
    }
}

impl WindowStore for &World {
    async fn windows(&self, groups: &[Group]) -> Result<BTreeMap<Group, Window>> {
        let state = self.call("windows");
        Ok(groups.iter().filter_map(|group| Some((group.clone(), *state.windows.get(group)?))).collect())
    }

    async fn open_window(&self, group: &Group, now: Timestamp, until: Timestamp) -> Result<bool> {
        let mut state = self.call("open_window");
        let is_open = state.windows.get(group).is_some_and(|window| window.until > now);
        if !is_open {
            state.windows.insert(group.clone(), Window { until, flush_asked: false });
        }
        Ok(!is_open)
    }

    async fn flush_asked(&self, group: &Group, until: Timestamp) -> Result<()> {
        let mut state = self.call("flush_asked");
        if let Some(window) = state.windows.get_mut(group).filter(|window| window.until == until) {
            window.flush_asked = true;
        }
        Ok(())
    }
}

impl Outlets for &World {
    fn in_use(&self) -> BTreeSet<Outlet> {
        self.outlets.clone()
    }

    async fn tell(&self, outlet: Outlet, notices: &[Notice]) -> Vec<Result<()>> {
        // An outlet would write the notice down, so that is part of the work.
        let home = FindingHome { account: self.home.0.clone(), region: self.home.1.clone() };
        let written: usize = match outlet {
            _ if !self.write => 0,
            Outlet::Topic => notices
                .iter()
                .map(|notice| notice.subject().len() + notice.text().len() + notice.json().to_string().len())
                .sum(),
            Outlet::Chat => notices.iter().map(|notice| notice.chat().to_string().len()).sum(),
            Outlet::Event => notices.iter().filter_map(Notice::event).map(|(_, detail)| detail.to_string().len()).sum(),
            Outlet::Finding => {
                notices.iter().filter_map(|notice| notice.finding(&home)).map(|finding| finding.to_string().len()).sum()
            }
        };
        let mut state = self.call("tell");
        state.bytes += written;
        *state.notices.entry(outlet).or_default() += notices.len();
        notices.iter().map(|_| Ok(())).collect()
    }
}

impl ResourceDirectory for &World {
    async fn look_up(&self, resources: &[ResourceId]) -> Result<BTreeMap<ResourceId, ResourceFacts>> {
        drop(self.call("look_up"));
        let facts = |resource: &ResourceId| ResourceFacts {
            name: Some(format!("name of {}", resource.id)),
            arn: Some(format!("arn:aws:ec2:{}:{}:volume/{}", resource.region, resource.account, resource.id)),
            tags: BTreeMap::from([("owner".to_owned(), "team@example.com".to_owned())]),
        };
        Ok(resources.iter().map(|resource| (resource.clone(), facts(resource))).collect())
    }
}

impl BackupPlans for &World {
    async fn selections(&self, _account: &AccountId, _region: &RegionName) -> Result<Vec<Selection>> {
        drop(self.call("selections"));
        Ok(vec![Selection {
            plan: "daily".to_owned(),
            name: "by-tag".to_owned(),
            tags: vec![("backup".to_owned(), "daily".to_owned())],
            resources: Vec::new(),
        }])
    }
}

impl ReportQueue for &World {
    async fn ask_flush(&self, group: &Group, _after: Duration) -> Result<()> {
        self.call("ask_flush").asked.insert(group.clone());
        Ok(())
    }

    async fn bury(&self, _body: &str, _reason: &str) -> Result<()> {
        self.call("bury").buried += 1;
        Ok(())
    }
}

fn conflict() -> PortError {
    failed("put", PortErrorKind::Conflict)
}

/// `report` has no use for this port.
fn unused() -> PortError {
    failed("unused", PortErrorKind::Refused)
}

fn failed(operation: &'static str, kind: PortErrorKind) -> PortError {
    PortError { operation, code: None, message: "in the bench".to_owned(), request_id: None, kind }
}
