//! The properties of every history.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use domain::notice::{Notice, ViolationNotice};
use domain::policy::ExemptionMatch;
use domain::violation::{Channel, PendingDelivery, Update, ViolationRecord, ViolationStatus};
use testkit::world::{StoredWrite, WorldState};

use super::run::{HistoryRun, key, resource};

/// A stored update that must be delivered.
struct StoredUpdate {
    resource: usize,
    what: Update,
    at: Timestamp,
    outlets: BTreeSet<Channel>,
    /// The number of notices and of messages to other channels when it was stored.
    after: (usize, usize),
    /// It was folded into a later update.
    folded: bool,
}

/// The messages of one channel, in order: the number of the message, and its content.
type ReceivedUpdates<'n> = Vec<(usize, usize, &'n ViolationNotice)>;

/// The number of updates that were delivered more than once, or the broken property.
pub(crate) fn check(run: &HistoryRun) -> Result<usize, String> {
    let mut repeated = 0;
    let state = run.world.state();
    let written = state.written.as_deref().unwrap_or_default();
    let mut received: BTreeMap<Channel, ReceivedUpdates<'_>> = BTreeMap::new();
    for (number, notice) in state.notices.iter().enumerate() {
        let entries = entries(notice).into_iter().map(|entry| (number, resource(&entry.key), entry));
        received.entry(Channel::Topic).or_default().extend(entries);
    }
    for (number, (outlet, notice)) in state.delivered.iter().enumerate() {
        let entries = entries(notice).into_iter().map(|entry| (number, resource(&entry.key), entry));
        received.entry(*outlet).or_default().extend(entries);
    }
    let updates = updates(written, &received)?;

    for turn in &updates {
        for outlet in turn.outlets.iter().filter(|outlet| **outlet != Channel::SecurityHub) {
            let times = received.get(outlet).into_iter().flatten().filter(|received| is(turn, received)).count();
            let named =
                || format!("{outlet:?} was notified {times} times that {}", name(turn.resource, &turn.what, turn.at));
            if times == 0 && !turn.folded {
                return Err(named());
            }
            if times > 1 && !run.may_repeat {
                return Err(format!("{}, and nothing went wrong that would explain it", named()));
            }
            repeated += usize::from(times > 1);
        }
    }
    for (outlet, received) in &received {
        for received in received {
            let (number, about, entry) = received;
            let said = || format!("{outlet:?} was notified that {}", name(*about, &entry.update, entry.recorded_at));
            let Some(turn) = updates.iter().find(|turn| is(turn, received)) else {
                return Err(format!("{}, and that was never on record", said()));
            };
            let since = if *outlet == Channel::Topic { turn.after.0 } else { turn.after.1 };
            if *number < since {
                return Err(format!("{} before it was on record", said()));
            }
            let broken = run.broken.get(about).map(Vec::as_slice).unwrap_or_default();
            if !entry.since.is_some_and(|since| broken.contains(&since)) {
                return Err(format!("{} since {:?}, when it was not", said(), entry.since));
            }
        }
    }
    for about in 0..4 {
        let record = state.violations.get(&key(about)).map(|record| &record.value);
        check_final_state(run, &state, about, record, &updates, &received)?;
    }
    let (buried, invalid) = (state.dead_letters.len() + run.put_aside, run.invalid);
    if buried < invalid || (buried > invalid && !run.may_repeat) {
        return Err(format!("{invalid} messages could not be understood, and {buried} were put aside"));
    }
    Ok(repeated)
}

/// All stored updates. Checks that a record never loses a pending delivery, and has updates in the order of events.
/// Long because it lists the properties of each write.
fn updates(
    written: &[StoredWrite],
    received: &BTreeMap<Channel, ReceivedUpdates<'_>>,
) -> Result<Vec<StoredUpdate>, String> {
    let mut updates: Vec<StoredUpdate> = Vec::new();
    let mut told_open: BTreeSet<usize> = BTreeSet::new();
    let mut last: BTreeMap<usize, Timestamp> = BTreeMap::new();
    for StoredWrite { before, after, notices, delivered: told } in written {
        let about = resource(&after.key);
        let owed_before = before.as_ref().map(|before| before.pending.as_slice()).unwrap_or_default();
        let same = |one: &PendingDelivery, other: &PendingDelivery| one.at == other.at && one.update == other.update;
        let new: Vec<&PendingDelivery> =
            after.pending.iter().filter(|debt| !owed_before.iter().any(|known| same(known, debt))).collect();
        let folds = folded(&after.pending) > folded(owed_before);
        for debt in owed_before {
            let left = after.pending.iter().find(|left| same(left, debt));
            if left.is_none() && folds {
                updates
                    .iter_mut()
                    .filter(|turn| turn.resource == about && turn.at == debt.at)
                    .for_each(|turn| turn.folded = true);
                continue;
            }
            for outlet in debt.channels.iter().filter(|outlet| left.is_none_or(|left| !left.channels.contains(outlet)))
            {
                let superseded = *outlet == Channel::SecurityHub && new.iter().any(|new| new.channels.contains(outlet));
                let until = if *outlet == Channel::Topic { *notices } else { *told };
                let was_told = received.get(outlet).into_iter().flatten().any(|(number, of, entry)| {
                    *number < until && *of == about && entry.recorded_at == debt.at && entry.update == debt.update
                });
                if !was_told && !superseded {
                    return Err(format!(
                        "a delivery was recorded that did not happen: {outlet:?} was notified that {}",
                        name(about, &debt.update, debt.at)
                    ));
                }
            }
        }
        for debt in new {
            let said = || name(about, &debt.update, debt.at);
            let fits = match debt.update {
                Update::Opened | Update::ExemptionEnded(_) => told_open.insert(about),
                Update::Resolved(_) | Update::Exempted(_) => told_open.remove(&about),
                Update::Refreshed => true,
            };
            if !fits && !folds {
                return Err(format!("the stored update {} does not follow from the record before", said()));
            }
            if last.insert(about, debt.at).is_some_and(|last| last >= debt.at) {
                return Err(format!("the stored update {} is not later than the record before", said()));
            }
            updates.push(StoredUpdate {
                resource: about,
                what: debt.update.clone(),
                at: debt.at,
                outlets: debt.channels.clone(),
                after: (*notices, *told),
                folded: false,
            });
        }
        let open = after.status == ViolationStatus::Open && after.exemption.is_none();
        if told_open.contains(&about) != open {
            return Err(format!("r{about} is stored as {:?} without a pending delivery", after.status));
        }
    }
    Ok(updates)
}

/// In the end the record, the subscribers and Security Hub have the true state.
fn check_final_state(
    run: &HistoryRun,
    state: &WorldState,
    about: usize,
    record: Option<&ViolationRecord>,
    updates: &[StoredUpdate],
    received: &BTreeMap<Channel, ReceivedUpdates<'_>>,
) -> Result<(), String> {
    let truth = run.open.contains(&about);
    if record.is_some_and(|record| record.status == ViolationStatus::Open) != truth {
        return Err(format!("in the end r{about} is {}, and the record says otherwise: {record:?}", word(truth)));
    }
    let Some(record) = record else { return Ok(()) };
    if !record.pending.is_empty() {
        return Err(format!("in the end r{about} has pending deliveries: {:?}", record.pending));
    }
    let opened = updates.iter().filter(|turn| turn.resource == about && turn.what == Update::Opened).count();
    let broken = run.broken.get(&about).map_or(0, Vec::len);
    if opened > broken {
        return Err(format!("r{about} was found broken {broken} times, and opened {opened} times"));
    }
    if let (true, Some(reporting)) = (truth, &state.reporting) {
        let today = state.now.to_zoned(TimeZone::UTC).date();
        let covered =
            matches!(reporting.match_exemptions(&record.key, &record.resource, today), ExemptionMatch::Covered(_));
        if covered != record.exemption.is_some() {
            return Err(format!(
                "in the end r{about} is exempt: {covered}, and the record says {:?}",
                record.exemption
            ));
        }
    }
    let told_open = truth && record.exemption.is_none();
    for (outlet, received) in received {
        let of_it = received.iter().filter(|(_, of, _)| *of == about).map(|(_, _, entry)| *entry);
        let mut of_it = of_it.filter(|entry| entry.update != Update::Refreshed || *outlet == Channel::SecurityHub);
        let last = match outlet {
            // Security Hub ignores an import that is not later than its own state.
            Channel::SecurityHub => of_it.fold(None, |known: Option<&ViolationNotice>, entry| match known {
                Some(known) if millis(known.recorded_at) >= millis(entry.recorded_at) => Some(known),
                _ => Some(entry),
            }),
            // An event bus keeps no order, and of two concurrent functions the slower one may deliver an outdated
            // update.
            Channel::EventBus => of_it.max_by_key(|entry| entry.recorded_at),
            _ if run.raced => of_it.max_by_key(|entry| entry.recorded_at),
            Channel::Topic | Channel::Chat => of_it.next_back(),
        };
        let open = last.is_some_and(|last| !matches!(last.update, Update::Resolved(_) | Update::Exempted(_)));
        if open != told_open {
            let last = last.map_or_else(|| "nothing".into(), |last| name(about, &last.update, last.recorded_at));
            return Err(format!(
                "in the end r{about} is {}, and the last that {outlet:?} knows is: {last}",
                word(truth)
            ));
        }
    }
    Ok(())
}

fn is(turn: &StoredUpdate, (_, about, entry): &(usize, usize, &ViolationNotice)) -> bool {
    turn.resource == *about && turn.at == entry.recorded_at && turn.what == entry.update
}

fn entries(notice: &Notice) -> Vec<&ViolationNotice> {
    match notice {
        Notice::ViolationDigest(digest) => digest.entries.iter().collect(),
        other => other.violation().into_iter().collect(),
    }
}

/// Updates that later deliveries contain only as a number.
pub(crate) fn folded(owed: &[PendingDelivery]) -> u32 {
    owed.iter().map(|debt| debt.earlier_transitions).sum()
}

fn name(about: usize, what: &Update, at: Timestamp) -> String {
    format!("r{about} {what:?}@{}", short(at))
}

fn millis(time: Timestamp) -> i64 {
    time.as_millisecond()
}

const fn word(open: bool) -> &'static str {
    if open { "broken" } else { "not broken" }
}

/// A time within a history: seconds since its beginning.
pub(crate) fn short(time: Timestamp) -> String {
    let nanos = time.as_nanosecond() - 1_796_000_000_000_000_000;
    format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000).trim_end_matches('0').to_owned()
}

/// A notice in a few words.
pub(crate) fn words(notice: &Notice) -> String {
    let entries: Vec<String> =
        entries(notice).iter().map(|entry| name(resource(&entry.key), &entry.update, entry.recorded_at)).collect();
    format!("{} ({})", notice.kind(), entries.join(", "))
}
