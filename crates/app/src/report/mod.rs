//! `report`: compliance changes become violations on record, and notices to those who can act.
//!
//! A batch is read, recorded with what is owed to whom, told, and marked as told, in this order: a crash anywhere in between leads
//! to a second notice at worst, never to none. The first message about an account and control goes out at once and opens a
//! window; what comes meanwhile is held, and told as one digest when the window ends.

mod replay;

pub(crate) use replay::Judge;

use crate::events::{Asked, Message, NotUnderstood, asked};
use crate::ports::{
    BackupPlans, Clock, InForce, Outlets, PolicyDirectory, PortErrorKind, ReportQueue, ResourceDirectory, ResourceId,
    Result, Versioned, ViolationStore, Window, WindowStore,
};
use crate::telling::{AT_ONCE, Tally, Telling, Touched, changes_all_the_time};
use domain::policy::Reporting;
use domain::violation::{Change, Group, Heard, Key, Outlet, Record, ResourceFacts};
use futures_util::StreamExt;
use futures_util::stream::iter;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tracing::{error, info, warn};

/// How often a record that somebody else changed meanwhile is read again within one batch.
const READS: usize = 3;
/// A flush comes a little after its window has ended.
const AFTER: SignedDuration = SignedDuration::from_secs(1);

/// The use case.
#[derive(Debug)]
pub struct Report<S, O, D, R, Q, C> {
    /// Violations on record, and the windows.
    pub store: S,
    /// Tells people and machines.
    pub outlets: O,
    /// What is in force.
    pub directory: D,
    /// Names and tags of resources, and backup plans.
    pub resources: R,
    /// The queue that feeds this function.
    pub queue: Q,
    /// The time.
    pub clock: C,
    /// How long what follows a notice of an account and control is held, to be told together. Zero: not at all.
    pub window: Duration,
}

/// What came of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reported {
    /// What was told.
    #[serde(flatten)]
    pub tally: Tally,
    /// Turns that were recorded under an exemption, and not told.
    pub exempt: usize,
    /// Changes that were already known, or older than what is known.
    pub quiet: usize,
    /// Events that are none of ours.
    pub ignored: usize,
    /// Messages that can never be understood, put into the dead-letter queue with the reason.
    pub buried: usize,
    /// How many messages are to be delivered again.
    pub retried: usize,
    /// Which.
    #[serde(skip)]
    pub failed: BTreeSet<String>,
    /// Why, one text each.
    pub failures: Vec<String>,
}

/// The changes of one violation, oldest first, and the messages that brought them.
type Changes = Vec<(Change, String)>;

/// A batch, taken apart.
#[derive(Default)]
struct Sorted {
    by_key: BTreeMap<Key, Changes>,
    flushes: BTreeMap<Group, BTreeSet<String>>,
}

impl<S, O, D, R, Q, C> Report<S, O, D, R, Q, C>
where
    S: ViolationStore + WindowStore,
    O: Outlets,
    D: PolicyDirectory,
    R: ResourceDirectory + BackupPlans,
    Q: ReportQueue,
    C: Clock,
{
    /// Handles a batch. A message that fails, fails alone.
    pub async fn handle(&self, messages: &[Message]) -> Reported {
        let mut reported = Reported::default();
        let mut sorted = self.sort(messages, &mut reported).await;
        if sorted.by_key.is_empty() && sorted.flushes.is_empty() {
            return reported;
        }
        // Without the policy nobody knows what is exempt: better late than wrong.
        let in_force = match self.directory.in_force().await {
            Ok(in_force) => in_force,
            Err(error) => {
                let messages = sorted.by_key.into_values().flatten().map(|(_, message)| message);
                reported.fail(messages.chain(sorted.flushes.into_values().flatten()), &error.to_string());
                return reported;
            }
        };
        sorted.by_key.retain(|key, changes| {
            let known = in_force.knows(&key.account);
            if !known {
                info!(account = %key.account, events = changes.len(), "ignored: the account is neither in the organisation nor a target");
                reported.ignored = reported.ignored.saturating_add(changes.len());
            }
            known
        });
        let reporting = in_force.reporting();
        let now = self.clock.now();
        let mut touched = self.record(sorted.by_key, &in_force, &reporting, now, &mut reported).await;
        let flushed = self.flushed(sorted.flushes, &mut touched, now, &mut reported).await;
        let held = self.held(&touched, &flushed, now, &mut reported).await;
        let Self { store, outlets, resources, .. } = self;
        let telling =
            Telling { store, outlets, resources, in_force: &in_force, reporting: &reporting, now, only_due: false };
        let untold = telling.tell(touched, &held, &mut reported.tally).await;
        for untold in untold {
            reported.fail(untold.messages, &untold.why);
        }
        reported
    }

    /// Takes a batch apart. What can never be understood is put where people find it, at once and with the reason.
    async fn sort(&self, messages: &[Message], reported: &mut Reported) -> Sorted {
        let mut sorted = Sorted::default();
        for message in messages {
            let understood = message.event.as_ref().map_err(|why| NotUnderstood::Poisoned(why.clone())).and_then(asked);
            match understood {
                Ok(Asked::Change(change)) => {
                    sorted.by_key.entry(change.key.clone()).or_default().push((*change, message.id.clone()));
                }
                Ok(Asked::Flush(group)) => {
                    sorted.flushes.entry(group).or_default().insert(message.id.clone());
                }
                Err(NotUnderstood::NotOurs(why)) => {
                    info!(message = message.id, why, "ignored");
                    reported.ignored = reported.ignored.saturating_add(1);
                }
                Err(NotUnderstood::Poisoned(why)) => {
                    error!(message = message.id, why, "not understood");
                    // An event that a person tries is in no queue: the person is told.
                    if message.id.is_empty() {
                        reported.fail([String::new()], &why);
                        continue;
                    }
                    match self.queue.bury(&message.body, &why).await {
                        Ok(()) => reported.buried = reported.buried.saturating_add(1),
                        Err(error) => {
                            warn!(message = message.id, %error, "it comes again until the queue itself puts it aside");
                            reported.fail([message.id.clone()], &why);
                        }
                    }
                }
            }
        }
        for changes in sorted.by_key.values_mut() {
            changes.sort_by_key(|(change, _)| change.ordering);
        }
        sorted
    }

    /// Applies the changes and stores what they lead to. Returns every record that may owe something now.
    async fn record(
        &self,
        by_key: BTreeMap<Key, Changes>,
        in_force: &InForce,
        reporting: &Reporting,
        now: Timestamp,
        reported: &mut Reported,
    ) -> Vec<Touched> {
        if by_key.is_empty() {
            return Vec::new();
        }
        let keys: Vec<Key> = by_key.keys().cloned().collect();
        let mut known = match self.store.read(&keys).await {
            Ok(known) => known,
            Err(error) => {
                reported.fail(by_key.into_values().flatten().map(|(_, message)| message), &error.to_string());
                return Vec::new();
            }
        };
        let opening = by_key
            .iter()
            .filter(|(key, changes)| {
                Judge::opens(known.get(*key).map(|known| &known.value), changes.iter().map(|(change, _)| change))
            })
            .map(|(key, _)| key);
        let resources = look_up(&self.resources, opening).await;
        let outlets = self.outlets.in_use();
        let judge = &Judge { in_force, reporting, outlets: &outlets, heard: Heard::Event, now };
        let work = by_key.into_iter().map(|(key, changes)| {
            let (known, resource) = (known.remove(&key), resources.get(&key));
            async move {
                let recorded = self.record_one(judge, &key, known, &changes, resource).await;
                let messages: BTreeSet<String> = changes.into_iter().map(|(_, message)| message).collect();
                (recorded, messages)
            }
        });
        let mut work = iter(work).buffer_unordered(AT_ONCE);
        let mut touched = Vec::new();
        while let Some((recorded, messages)) = work.next().await {
            match recorded {
                Ok(recorded) => {
                    reported.quiet = reported.quiet.saturating_add(recorded.quiet);
                    reported.exempt = reported.exempt.saturating_add(recorded.exempt);
                    touched.extend(recorded.record.map(|record| Touched { record, messages }));
                }
                Err(error) => reported.fail(messages, &error.to_string()),
            }
        }
        touched
    }

    async fn record_one(
        &self,
        judge: &Judge<'_>,
        key: &Key,
        mut known: Option<Versioned<Record>>,
        changes: &Changes,
        resource: Option<&ResourceFacts>,
    ) -> Result<Recorded> {
        let mut last = None;
        for _ in 0..READS {
            let before = known.as_ref().map(|known| &known.value);
            let replayed = judge.replay(before, changes.iter().map(|(change, _)| change), resource);
            let Some(value) = replayed.record else {
                // Known already; an attempt that ended early may have left something to tell.
                return Ok(Recorded { record: known, quiet: replayed.quiet, exempt: 0 });
            };
            let owed_before = before.map_or(0, |before| before.owed.len());
            let exempt = if value.owed.len() > owed_before { 0 } else { replayed.turns };
            let record = Versioned { value, version: known.as_ref().map_or(0, |known| known.version) };
            match self.store.put(&record).await {
                Ok(version) => {
                    let record = Some(Versioned { version, ..record });
                    return Ok(Recorded { record, quiet: replayed.quiet, exempt });
                }
                Err(error) if error.kind == PortErrorKind::Conflict => {
                    info!(violation = %key, "changed meanwhile, read again");
                    known = self.store.read(std::slice::from_ref(key)).await?.remove(key);
                    last = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(changes_all_the_time))
    }

    /// Adds what is held of groups whose window has ended.
    async fn flushed(
        &self,
        flushes: BTreeMap<Group, BTreeSet<String>>,
        touched: &mut Vec<Touched>,
        now: Timestamp,
        reported: &mut Reported,
    ) -> BTreeSet<Group> {
        let mut flushed = BTreeSet::new();
        for (group, messages) in flushes {
            let owed = match self.store.owed_by(&group).await {
                Ok(owed) => owed,
                Err(error) => {
                    reported.fail(messages, &error.to_string());
                    continue;
                }
            };
            let here: BTreeSet<Key> = touched.iter().map(|touched| touched.record.value.key.clone()).collect();
            // What this batch has just stored is newer than what the index says.
            let owed = owed.into_iter().filter(|record| {
                let is_claimed = record.value.delivery_claimed_until.is_some_and(|until| until > now);
                !is_claimed && !here.contains(&record.value.key)
            });
            touched.extend(owed.map(|record| Touched { record, messages: messages.clone() }));
            flushed.insert(group);
        }
        flushed
    }

    /// The groups that are not told now, because they were told something a moment ago. Whoever holds something sees to it that it
    /// is told when the window ends.
    async fn held(
        &self,
        touched: &[Touched],
        flushed: &BTreeSet<Group>,
        now: Timestamp,
        reported: &mut Reported,
    ) -> BTreeSet<Group> {
        let mut held = BTreeSet::new();
        let Some(length) = SignedDuration::try_from(self.window).ok().filter(|length| length.is_positive()) else {
            return held;
        };
        let for_people = |record: &Record| {
            [Outlet::Topic, Outlet::Chat].into_iter().any(|outlet| record.owed_to(outlet).next().is_some())
        };
        let mut groups: BTreeMap<Group, Vec<&Touched>> = BTreeMap::new();
        for touched in touched.iter().filter(|touched| for_people(&touched.record.value)) {
            groups.entry(touched.record.value.key.group()).or_default().push(touched);
        }
        let names: Vec<Group> = groups.keys().cloned().collect();
        if names.is_empty() {
            return held;
        }
        let windows = match self.store.windows(&names).await {
            Ok(windows) => windows,
            Err(error) => {
                reported.fail(groups.into_values().flat_map(messages), &error.to_string());
                return names.into_iter().collect();
            }
        };
        let until = now.checked_add(length).unwrap_or(now);
        for (group, waiting) in groups {
            let window = windows.get(&group).filter(|window| window.until > now).copied();
            match self.hold(&group, window, flushed.contains(&group), now, until).await {
                Ok(false) => {}
                Ok(true) => drop(held.insert(group)),
                Err(error) => {
                    reported.fail(messages(waiting), &error.to_string());
                    held.insert(group);
                }
            }
        }
        held
    }

    /// Whether a group is held.
    async fn hold(
        &self,
        group: &Group,
        window: Option<Window>,
        flush: bool,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool> {
        let window = match window {
            // A flush that comes a little early is a flush all the same. One that comes late, when somebody has told of the group
            // again and opened a window of its own, is not.
            Some(window) if flush && window.until.duration_since(now) <= AFTER => return Ok(false),
            Some(window) => window,
            None if self.store.open_window(group, now, until).await? => {
                // What is stored by somebody else at this very moment is told at the end of the window that begins here.
                if flush {
                    self.ask_flush(group, now, until).await?;
                }
                return Ok(false);
            }
            // Somebody else has told something of it just now.
            None => Window { until, flush_asked: false },
        };
        if !window.flush_asked {
            self.ask_flush(group, now, window.until).await?;
        }
        Ok(true)
    }

    async fn ask_flush(&self, group: &Group, now: Timestamp, until: Timestamp) -> Result<()> {
        let wait = until.duration_since(now).saturating_add(AFTER);
        // Asked first and noted then: to ask twice does no harm.
        self.queue.ask_flush(group, Duration::try_from(wait).unwrap_or_default()).await?;
        self.store.flush_asked(group, until).await
    }
}

/// What became of the changes of one violation.
struct Recorded {
    record: Option<Versioned<Record>>,
    quiet: usize,
    exempt: usize,
}

/// What AWS Config knows of the resources of these violations. What is told says as much as is known: a name that cannot be had
/// now must not hold back the notice.
pub(crate) async fn look_up<'k>(
    directory: &impl ResourceDirectory,
    keys: impl Iterator<Item = &'k Key>,
) -> BTreeMap<Key, ResourceFacts> {
    let mut wanted: BTreeMap<ResourceId, Vec<&Key>> = BTreeMap::new();
    for key in keys {
        wanted.entry(resource_id(key)).or_default().push(key);
    }
    if wanted.is_empty() {
        return BTreeMap::new();
    }
    let ids: Vec<ResourceId> = wanted.keys().cloned().collect();
    let found = directory.look_up(&ids).await.unwrap_or_else(|error| {
        warn!(%error, "names and tags of resources are not known");
        BTreeMap::new()
    });
    let known = wanted.into_iter().filter_map(|(id, keys)| found.get(&id).map(|facts| (keys, facts)));
    known.flat_map(|(keys, facts)| keys.into_iter().map(move |key| (key.clone(), facts.clone()))).collect()
}

/// The messages that depend on these being told.
fn messages(of: Vec<&Touched>) -> impl Iterator<Item = String> {
    of.into_iter().flat_map(|touched| touched.messages.iter().cloned())
}

/// The resource of a violation.
pub(crate) fn resource_id(key: &Key) -> ResourceId {
    ResourceId {
        account: key.account.clone(),
        region: key.region.clone(),
        kind: key.resource_type.clone(),
        id: key.resource_id.clone(),
    }
}

impl Reported {
    fn fail(&mut self, messages: impl IntoIterator<Item = String>, why: &str) {
        let messages: Vec<String> = messages.into_iter().collect();
        // `redrive` finds this line by the id of a message.
        error!(why, ?messages, "they come again");
        self.failed.extend(messages);
        self.retried = self.failed.len();
        self.failures.push(why.to_owned());
    }
}
