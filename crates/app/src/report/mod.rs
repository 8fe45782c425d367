//! `report`: compliance changes become violations on record, and notices to those who can act.
//!
//! Recorded as owed, published, marked as told: a crash anywhere in between leads to a second notice at worst, never to none.

use crate::events::{Message, NotUnderstood, compliance_change};
use crate::ports::{
    Clock, FrameworkDirectory, Notifier, PortError, PortErrorKind, ResourceDirectory, ResourceId, Result,
    ViolationStore,
};
use domain::notice::{Notice, ViolationNotice};
use domain::violation::{Change, Key, Outcome, Pending, Quiet, Record, apply};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use tracing::{error, info, warn};

/// How often a record that somebody else changed meanwhile is read again within one batch.
const READS: usize = 3;

/// The use case.
#[derive(Debug)]
pub struct Report<V, N, F, R, C> {
    /// Violations on record.
    pub violations: V,
    /// Tells people and machines.
    pub notifier: N,
    /// The controls in force.
    pub frameworks: F,
    /// Names of resources.
    pub resources: R,
    /// The time.
    pub clock: C,
}

/// What came of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reported {
    /// Notices published.
    pub told: usize,
    /// Changes that were already known, or older than what is known.
    pub quiet: usize,
    /// Events that are none of ours.
    pub ignored: usize,
    /// Messages to be delivered again, or to end in the dead-letter queue.
    #[serde(skip)]
    pub failed: Vec<String>,
    /// Why, one text a message.
    pub failures: Vec<String>,
}

/// A notice that is due, and the messages that depend on it.
struct Due {
    record: Record,
    pending: Pending,
    messages: BTreeSet<String>,
}

impl<V, N, F, R, C> Report<V, N, F, R, C>
where
    V: ViolationStore,
    N: Notifier,
    F: FrameworkDirectory,
    R: ResourceDirectory,
    C: Clock,
{
    /// Handles a batch. A message that fails, fails alone.
    pub async fn handle(&self, messages: &[Message]) -> Reported {
        let mut reported = Reported::default();
        let mut by_key: BTreeMap<Key, Vec<(Change, String)>> = BTreeMap::new();
        for message in messages {
            match message.event.as_ref().map_err(|why| NotUnderstood::Poisoned(why.clone())).and_then(compliance_change)
            {
                Ok(change) => by_key.entry(change.key.clone()).or_default().push((change, message.id.clone())),
                Err(NotUnderstood::NotOurs(why)) => {
                    info!(message = message.id, why, "ignored");
                    reported.ignored = reported.ignored.saturating_add(1);
                }
                Err(NotUnderstood::Poisoned(why)) => {
                    error!(message = message.id, why, "not understood");
                    reported.fail([message.id.clone()], &why);
                }
            }
        }
        let due = self.record(by_key, &mut reported).await;
        self.tell(due, &mut reported).await;
        reported
    }

    /// Applies the changes, oldest first for each violation, and stores what they lead to.
    async fn record(&self, by_key: BTreeMap<Key, Vec<(Change, String)>>, reported: &mut Reported) -> Vec<Due> {
        let keys: Vec<Key> = by_key.keys().cloned().collect();
        if keys.is_empty() {
            return Vec::new();
        }
        let known = match self.violations.read(&keys).await {
            Ok(known) => known,
            Err(error) => {
                reported.fail(by_key.into_values().flatten().map(|(_, id)| id), &error.to_string());
                return Vec::new();
            }
        };
        let mut due = Vec::new();
        for (key, mut changes) in by_key {
            changes.sort_by_key(|(change, _)| change.ordering);
            let messages: BTreeSet<String> = changes.iter().map(|(_, id)| id.clone()).collect();
            match self.record_one(known.get(&key).cloned(), &changes).await {
                Ok(recorded) => {
                    reported.quiet = reported.quiet.saturating_add(recorded.quiet);
                    due.extend(recorded.owed.into_iter().map(|(record, pending)| Due {
                        record,
                        pending,
                        messages: messages.clone(),
                    }));
                }
                Err(error) => reported.fail(messages, &error.to_string()),
            }
        }
        due
    }

    async fn record_one(&self, known: Option<Record>, changes: &[(Change, String)]) -> Result<Recorded> {
        let mut known = known;
        let mut last = None;
        for _ in 0..READS {
            let (recorded, record) = replay(known.clone(), changes);
            let Some(record) = record else { return Ok(recorded) };
            match self.violations.put(&record, known.as_ref().map(|known| &known.ordering)).await {
                Ok(()) => return Ok(recorded),
                Err(error) if error.kind == PortErrorKind::Conflict => {
                    info!(violation = %record.key, "changed meanwhile, read again");
                    let key = record.key.clone();
                    known = self.violations.read(std::slice::from_ref(&key)).await?.remove(&key);
                    last = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(no_conflict))
    }

    async fn tell(&self, due: Vec<Due>, reported: &mut Reported) {
        if due.is_empty() {
            return;
        }
        let notices = self.notices(&due).await;
        let outcomes = self.notifier.publish(&notices).await;
        for (due, outcome) in due.into_iter().zip(outcomes) {
            let told = match outcome {
                Ok(()) => self.violations.told(&due.record, self.clock.now()).await,
                Err(error) => Err(error),
            };
            match told {
                Ok(()) => {
                    info!(violation = %due.record.key, notice = ?due.pending, "told");
                    reported.told = reported.told.saturating_add(1);
                }
                Err(error) => {
                    error!(violation = %due.record.key, %error, "not told");
                    reported.fail(due.messages, &error.to_string());
                }
            }
        }
    }

    /// What is told says as much as is known: a name or a parameter that cannot be had now must not hold back the notice.
    async fn notices(&self, due: &[Due]) -> Vec<Notice> {
        let ids: Vec<ResourceId> = due.iter().map(|due| resource(&due.record.key)).collect();
        let resources = self.resources.look_up(&ids).await.unwrap_or_else(|error| {
            warn!(%error, "resource names are not known");
            BTreeMap::new()
        });
        let frameworks = self.frameworks.frameworks().await.unwrap_or_else(|error| {
            warn!(%error, "parameters in force are not known");
            Vec::new()
        });
        due.iter()
            .zip(ids)
            .map(|(due, id)| {
                let Key { account, region, control, .. } = &due.record.key;
                let parameters =
                    frameworks.iter().find_map(|facts| facts.parameters(account, region, control)).cloned();
                let resource = resources.get(&id).cloned().unwrap_or_default();
                let notice = ViolationNotice::new(&due.record, due.pending, resource, parameters);
                match due.pending {
                    Pending::Opened => Notice::ViolationOpened(notice),
                    Pending::Resolved | Pending::NoLongerApplies => Notice::ViolationResolved(notice),
                }
            })
            .collect()
    }

    /// Tells what was recorded and not told: the last resort for what a crash left behind.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub async fn tell_owed(&self, limit: usize) -> Result<Reported> {
        let now = self.clock.now();
        // What a running `report` has just recorded, it is about to tell itself.
        let before = now.checked_sub(jiff::SignedDuration::from_mins(5)).unwrap_or(now);
        let owed = self.violations.owing(before, limit).await?;
        let due = owed
            .into_iter()
            .filter_map(|record| {
                record.pending.map(|pending| Due { record: record.clone(), pending, messages: BTreeSet::new() })
            })
            .collect();
        let mut reported = Reported::default();
        self.tell(due, &mut reported).await;
        Ok(reported)
    }
}

#[derive(Default)]
struct Recorded {
    owed: Option<(Record, Pending)>,
    quiet: usize,
}

/// Applies changes in order. However many changes of one violation a batch holds, they lead to one record and at most one
/// notice: what was opened and resolved before anybody heard of it is not told.
fn replay(known: Option<Record>, changes: &[(Change, String)]) -> (Recorded, Option<Record>) {
    let mut quiet = 0_usize;
    let mut current = known;
    let mut stored = None;
    for (change, _) in changes {
        match apply(current.as_ref(), change) {
            Outcome::Store(record) => {
                current = Some((*record).clone());
                stored = Some(*record);
            }
            Outcome::Quiet(Quiet::Repeated | Quiet::Late) => quiet = quiet.saturating_add(1),
            Outcome::Owed(_) => {}
        }
    }
    let owed = current.and_then(|record| record.pending.map(|pending| (record, pending)));
    (Recorded { owed, quiet }, stored)
}

fn resource(key: &Key) -> ResourceId {
    ResourceId {
        account: key.account.clone(),
        region: key.region.clone(),
        kind: key.resource_type.clone(),
        id: key.resource_id.clone(),
    }
}

fn no_conflict() -> PortError {
    PortError {
        operation: "dynamodb:PutItem",
        code: None,
        message: "the record changed again and again".into(),
        request_id: None,
        kind: PortErrorKind::Retryable,
    }
}

impl Reported {
    fn fail(&mut self, messages: impl IntoIterator<Item = String>, why: &str) {
        for message in messages {
            if !self.failed.contains(&message) {
                self.failed.push(message);
            }
        }
        self.failures.push(why.to_owned());
    }
}
