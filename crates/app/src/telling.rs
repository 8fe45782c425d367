//! Telling what records owe.
//!
//! A record is stored with its debts before anybody is told; a debt is taken off when its outlet was told, and the record stored
//! again. A crash in between leads to a second notice at worst, never to none.

use crate::in_force::nearly_covering;
use crate::ports::{
    BackupPlans, InForce, Outlets, PortError, PortErrorKind, Result, Selection, Versioned, ViolationStore,
};
use crate::ways::ways;
use domain::ids::{AccountId, RegionName};
use domain::notice::{Digest, Notice, NoticeContext, ViolationNotice};
use domain::policy::Reporting;
use domain::violation::{Debt, Group, Key, Outlet, Record, Told};
use futures_util::StreamExt;
use futures_util::stream::iter;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use tracing::{error, info, warn};

/// Writes to the table under way at one time.
pub(crate) const AT_ONCE: usize = 16;
/// How often a record that somebody else changed meanwhile is read again.
const READS: usize = 4;
/// Places whose backup plans are asked for in one go. Beyond that a flood is told, and nobody reads three ways for each.
const PLACES: usize = 10;
/// The control about which an existing plan can be named.
const COVERAGE: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN";

/// A record that may owe something, and the messages that depend on its being told.
#[derive(Debug, Clone)]
pub(crate) struct Touched {
    pub(crate) record: Versioned<Record>,
    pub(crate) messages: BTreeSet<String>,
}

/// What was told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Turns of violations that people were told, on the notification topic.
    pub told: usize,
    /// Messages that this took: single notices and digests.
    pub notices: usize,
    /// Of them, digests.
    pub digests: usize,
    /// Turns that wait for the end of their window.
    pub held: usize,
    /// What an outlet would not take. It stays on record as owed; the sweep tries again.
    pub refused: usize,
    /// Deliveries that were rejected again and again and are not tried any more. The record says why.
    pub given_up: usize,
    /// Deliveries that the invocation had no time for. They stay on record, and the next sweep makes them.
    pub deferred: usize,
}

/// What could not be told and should be tried again soon.
#[derive(Debug)]
pub(crate) struct Untold {
    pub(crate) messages: BTreeSet<String>,
    pub(crate) why: String,
}

/// Tells what records owe, in the light of what is in force.
#[derive(Debug)]
pub(crate) struct Telling<'a, S, O, R> {
    pub(crate) store: &'a S,
    pub(crate) outlets: &'a O,
    pub(crate) resources: &'a R,
    pub(crate) in_force: &'a InForce,
    pub(crate) reporting: &'a Reporting,
    pub(crate) now: Timestamp,
    /// Only deliveries that are due are made, as after an earlier failure; and every failure is recorded. For what no message brings
    /// again.
    pub(crate) only_due: bool,
}

/// What became of the deliveries of one record.
#[derive(Default)]
struct Delivered {
    /// Debts that were paid, by the outlet that was told.
    paid: Vec<(Outlet, Debt)>,
    /// Outlets that were not told.
    failed: BTreeMap<Outlet, Failed>,
}

/// A failure that is recorded: whether the service rejected the request.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Rejected(bool);

/// Debts that an outlet was not told.
struct Failed {
    debts: Vec<Debt>,
    reason: String,
    /// Whether the service rejected the request: an equal one would be rejected again.
    is_rejected: bool,
}

/// A message to one outlet, and the debts that it pays.
struct Message {
    notice: Notice,
    /// Index of the record, and which of its debts.
    pays: Vec<(usize, Debt)>,
}

impl<S, O, R> Telling<'_, S, O, R>
where
    S: ViolationStore,
    O: Outlets,
    R: BackupPlans,
{
    /// Tells every outlet what these records owe it. Groups in `held` are not told to people now.
    pub(crate) async fn tell(
        &self,
        mut touched: Vec<Touched>,
        held: &BTreeSet<Group>,
        tally: &mut Tally,
    ) -> Vec<Untold> {
        touched.retain(|touched| !touched.record.value.owed.is_empty());
        let mut untold = Vec::new();
        if touched.is_empty() {
            return untold;
        }
        let plans = self.plans(&touched, held).await;
        let mut delivered: Vec<Delivered> = Vec::new();
        let in_use = self.outlets.in_use();
        for touched in &touched {
            // What was switched off is owed nothing any more.
            let owed = touched.record.value.owed.iter();
            let off = owed.flat_map(|debt| debt.outlets.difference(&in_use).map(|outlet| (*outlet, debt.clone())));
            delivered.push(Delivered { paid: off.collect(), ..Delivered::default() });
        }
        // Findings and events come before the topics: findings may take long, and an invocation that ends between a notice to people
        // and the note about it sends that notice twice.
        let people = |outlet: &Outlet| matches!(outlet, Outlet::Topic | Outlet::Chat);
        let (people, machines): (Vec<Outlet>, Vec<Outlet>) = in_use.into_iter().partition(people);
        for outlet in machines.into_iter().chain(people) {
            let messages = match outlet {
                Outlet::Topic | Outlet::Chat => self.for_people(outlet, &touched, held, &plans),
                Outlet::Finding | Outlet::Event => self.for_machines(outlet, &touched, &plans),
            };
            if outlet == Outlet::Topic {
                let waiting = touched.iter().filter(|touched| held.contains(&touched.record.value.key.group()));
                tally.held = waiting
                    .map(|touched| touched.record.value.owed_to(outlet).count())
                    .fold(tally.held, usize::saturating_add);
            }
            if messages.is_empty() {
                continue;
            }
            let (notices, pays): (Vec<Notice>, Vec<Vec<(usize, Debt)>>) =
                messages.into_iter().map(|message| (message.notice, message.pays)).unzip();
            let outcomes = self.outlets.tell(outlet, &notices).await;
            for ((notice, pays), outcome) in notices.iter().zip(pays).zip(outcomes) {
                match outcome {
                    Ok(()) => {
                        info!(?outlet, kind = notice.kind(), subject = notice.subject(), "told");
                        if outlet == Outlet::Topic {
                            tally.notices = tally.notices.saturating_add(1);
                            tally.told = tally.told.saturating_add(pays.len());
                            tally.digests =
                                tally.digests.saturating_add(usize::from(matches!(notice, Notice::ViolationDigest(_))));
                        }
                        for (index, debt) in pays {
                            if let Some(delivered) = delivered.get_mut(index) {
                                delivered.paid.push((outlet, debt));
                            }
                        }
                    }
                    Err(error) => {
                        let failure = self.not_told(outlet, notice, &pays, &touched, &error, tally, &mut untold);
                        for (index, debt) in pays.into_iter().filter(|_| failure.is_some()) {
                            let Some(delivered) = delivered.get_mut(index) else { continue };
                            let failed = delivered.failed.entry(outlet).or_insert_with(|| Failed {
                                debts: Vec::new(),
                                reason: error.to_string(),
                                is_rejected: failure == Some(Rejected(true)),
                            });
                            failed.debts.push(debt);
                        }
                    }
                }
            }
        }
        untold.extend(self.note(touched, delivered, tally).await);
        untold
    }

    #[expect(clippy::too_many_arguments, reason = "one place where a failure is judged")]
    fn not_told(
        &self,
        outlet: Outlet,
        notice: &Notice,
        pays: &[(usize, Debt)],
        touched: &[Touched],
        error: &PortError,
        tally: &mut Tally,
        untold: &mut Vec<Untold>,
    ) -> Option<Rejected> {
        error!(?outlet, kind = notice.kind(), subject = notice.subject(), %error, "not told");
        match error.kind {
            PortErrorKind::OutOfTime => {
                tally.deferred = tally.deferred.saturating_add(pays.len());
                None
            }
            PortErrorKind::Retryable | PortErrorKind::Conflict => {
                let messages = pays.iter().filter_map(|(index, _)| touched.get(*index));
                let messages = messages.flat_map(|touched| touched.messages.iter().cloned()).collect();
                untold.push(Untold { messages, why: error.to_string() });
                // The messages come again; without any, the record itself must tell when to try again.
                self.only_due.then_some(Rejected(false))
            }
            PortErrorKind::Denied | PortErrorKind::NotFound | PortErrorKind::Refused => {
                // The same call would be refused again. The debt stays on record, and the sweep tries again when somebody has seen to it.
                tally.refused = tally.refused.saturating_add(1);
                Some(Rejected(true))
            }
        }
    }

    /// Takes off what was told, record by record.
    async fn note(&self, touched: Vec<Touched>, delivered: Vec<Delivered>, tally: &mut Tally) -> Vec<Untold> {
        let notes = touched
            .into_iter()
            .zip(delivered)
            .filter(|(_, delivered)| !delivered.paid.is_empty() || !delivered.failed.is_empty());
        let mut notes = iter(notes.map(|(Touched { record, messages }, delivered)| async move {
            (self.note_one(record, &delivered).await, messages)
        }))
        .buffer_unordered(AT_ONCE);
        let mut untold = Vec::new();
        while let Some((noted, messages)) = notes.next().await {
            match noted {
                Ok(given_up) => tally.given_up = tally.given_up.saturating_add(given_up),
                Err(error) => {
                    error!(%error, "told, and not noted: it may be told again");
                    untold.push(Untold { messages, why: error.to_string() });
                }
            }
        }
        untold
    }

    /// Stores what became of the deliveries of a record; the number of those that are given up.
    async fn note_one(&self, mut record: Versioned<Record>, delivered: &Delivered) -> Result<usize> {
        let in_use = self.outlets.in_use();
        let mut last = None;
        for _ in 0..READS {
            for (outlet, debt) in &delivered.paid {
                let finding_at = record.value.finding_at;
                record.value.told(*outlet, std::slice::from_ref(debt), self.now);
                if !in_use.contains(outlet) {
                    // Let off, not told: when Security Hub is switched on again it gets its finding at once.
                    record.value.finding_at = finding_at;
                }
            }
            let mut given_up = 0_usize;
            for (outlet, Failed { debts, reason, is_rejected }) in &delivered.failed {
                let lost = record.value.not_delivered(*outlet, debts, reason, *is_rejected, self.now);
                if lost > 0 {
                    error!(violation = %record.value.key, ?outlet, reason, "given up after many attempts");
                }
                given_up = given_up.saturating_add(lost);
            }
            match self.store.put(&record).await {
                Ok(_) => return Ok(given_up),
                Err(error) if error.kind == PortErrorKind::Conflict => {
                    // Somebody has written down something newer; what it adds remains.
                    let key = record.value.key.clone();
                    match self.store.read(std::slice::from_ref(&key)).await?.remove(&key) {
                        Some(newer) => record = newer,
                        None => return Ok(0),
                    }
                    last = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(changes_all_the_time))
    }

    fn is_due(&self, record: &Record, outlet: Outlet) -> bool {
        !self.only_due || record.due(outlet).is_some_and(|due| due <= self.now)
    }

    /// One message for each account and control: a notice of one turn, or a digest.
    fn for_people(&self, outlet: Outlet, touched: &[Touched], held: &BTreeSet<Group>, plans: &Plans) -> Vec<Message> {
        let mut groups: BTreeMap<Group, Vec<(usize, Debt)>> = BTreeMap::new();
        for (index, touched) in touched.iter().enumerate() {
            let group = touched.record.value.key.group();
            if held.contains(&group) || !self.is_due(&touched.record.value, outlet) {
                continue;
            }
            let owed = touched.record.value.owed_to(outlet).map(|debt| (index, debt.clone()));
            groups.entry(group).or_default().extend(owed);
        }
        groups
            .into_iter()
            .filter_map(|(group, pays)| {
                let single = pays.len() == 1 && pays.iter().all(|(_, debt)| debt.folded == 0);
                let mut entries: Vec<ViolationNotice> = pays
                    .iter()
                    .filter_map(|(index, debt)| {
                        touched.get(*index).map(|touched| self.notice(&touched.record.value, debt, plans, single))
                    })
                    .collect();
                let notice = match entries.pop() {
                    None => return None,
                    Some(only) if single => only.into(),
                    Some(last) => {
                        let account_name = last.account_name.clone();
                        entries.push(last);
                        let Group { account, control } = group;
                        Notice::ViolationDigest(Digest { account, account_name, control, entries })
                    }
                };
                Some(Message { notice, pays })
            })
            .collect()
    }

    /// A message for each turn.
    fn for_machines(&self, outlet: Outlet, touched: &[Touched], plans: &Plans) -> Vec<Message> {
        let due = touched.iter().enumerate().filter(|(_, touched)| self.is_due(&touched.record.value, outlet));
        let owed = due.flat_map(|(index, touched)| {
            touched.record.value.owed_to(outlet).map(move |debt| (index, &touched.record.value, debt))
        });
        owed.map(|(index, record, debt)| Message {
            notice: self.notice(record, debt, plans, true).into(),
            pays: vec![(index, debt.clone())],
        })
        .collect()
    }

    /// What a debt tells; with what would help this one resource, if it is told alone.
    fn notice(&self, record: &Record, debt: &Debt, plans: &Plans, alone: bool) -> ViolationNotice {
        let Key { account, region, control, .. } = &record.key;
        let opens = alone && matches!(debt.what, Told::Opened | Told::ExemptionEnded(_));
        let selections = plans.get(&(account.clone(), region.clone())).map(Vec::as_slice).unwrap_or_default();
        let context = NoticeContext {
            account_name: self.in_force.accounts.get(account).cloned(),
            owner_tag: Some(self.reporting.owner_tag.clone()),
            parameters: self.in_force.parameters(account, region, control),
            ways: if opens && control == COVERAGE { ways(selections, &record.resource) } else { Vec::new() },
            near_exemption: if opens { nearly_covering(self.reporting, record, self.now) } else { None },
        };
        ViolationNotice::new(record, debt, context)
    }

    /// The backup selections of the places where something is in no plan and somebody is about to be told.
    async fn plans(&self, touched: &[Touched], held: &BTreeSet<Group>) -> Plans {
        let places: BTreeSet<(AccountId, RegionName)> = touched
            .iter()
            .map(|touched| &touched.record.value)
            .filter(|record| record.key.control == COVERAGE && !held.contains(&record.key.group()))
            .filter(|record| record.owed.iter().any(|debt| matches!(debt.what, Told::Opened | Told::ExemptionEnded(_))))
            .map(|record| (record.key.account.clone(), record.key.region.clone()))
            .collect();
        let mut plans = Plans::new();
        if places.len() > PLACES {
            return plans;
        }
        let mut queries = iter(places.into_iter().map(|(account, region)| async move {
            let selections = self.resources.selections(&account, &region).await;
            ((account, region), selections)
        }))
        .buffer_unordered(PLACES);
        while let Some((location, selections)) = queries.next().await {
            match selections {
                Ok(selections) => drop(plans.insert(location, selections)),
                // The notice contains as much as is known.
                Err(error) => warn!(account = %location.0, region = %location.1, %error, "backup plans are not known"),
            }
        }
        plans
    }
}

type Plans = BTreeMap<(AccountId, RegionName), Vec<Selection>>;

pub(crate) fn changes_all_the_time() -> PortError {
    PortError {
        operation: "dynamodb:PutItem",
        code: None,
        message: "the record changed again and again".into(),
        request_id: None,
        kind: PortErrorKind::Retryable,
    }
}
