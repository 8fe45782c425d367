//! What must be true of every history.

use crate::run::{Run, key, resource};
use domain::notice::{Notice, ViolationNotice};
use domain::policy::Exempting;
use domain::violation::{Debt, Outlet, Record, Status, Told};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet};
use testkit::world::{State, Written};

/// Something that was put on record, to be told.
struct Turn {
    resource: usize,
    what: Told,
    at: Timestamp,
    outlets: BTreeSet<Outlet>,
    /// Notices and messages to other outlets when it was put on record.
    after: (usize, usize),
    /// It was folded into a later one.
    folded: bool,
}

/// What one outlet was told, in order: the number of the message, and what it said.
type Heard<'n> = Vec<(usize, usize, &'n ViolationNotice)>;

/// How many turns were told more than once, or what is wrong.
pub(crate) fn judge(run: &Run) -> Result<usize, String> {
    let mut repeated = 0;
    let state = run.world.state();
    let written = state.written.as_deref().unwrap_or_default();
    let mut heard: BTreeMap<Outlet, Heard<'_>> = BTreeMap::new();
    for (number, notice) in state.notices.iter().enumerate() {
        let entries = entries(notice).into_iter().map(|entry| (number, resource(&entry.key), entry));
        heard.entry(Outlet::Topic).or_default().extend(entries);
    }
    for (number, (outlet, notice)) in state.told.iter().enumerate() {
        let entries = entries(notice).into_iter().map(|entry| (number, resource(&entry.key), entry));
        heard.entry(*outlet).or_default().extend(entries);
    }
    let turns = turns(written, &heard)?;

    for turn in &turns {
        for outlet in turn.outlets.iter().filter(|outlet| **outlet != Outlet::Finding) {
            let times = heard.get(outlet).into_iter().flatten().filter(|heard| is(turn, heard)).count();
            let named =
                || format!("{outlet:?} was told {times} times that {}", name(turn.resource, &turn.what, turn.at));
            if times == 0 && !turn.folded {
                return Err(named());
            }
            if times > 1 && !run.may_repeat {
                return Err(format!("{}, and nothing went wrong that would explain it", named()));
            }
            repeated += usize::from(times > 1);
        }
    }
    for (outlet, heard) in &heard {
        for heard in heard {
            let (number, about, entry) = heard;
            let said = || format!("{outlet:?} was told that {}", name(*about, &entry.what, entry.recorded_at));
            let Some(turn) = turns.iter().find(|turn| is(turn, heard)) else {
                return Err(format!("{}, and that was never on record", said()));
            };
            let since = if *outlet == Outlet::Topic { turn.after.0 } else { turn.after.1 };
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
        ends_true(run, &state, about, record, &turns, &heard)?;
    }
    let (buried, poison) = (state.buried.len() + run.put_aside, run.poison);
    if buried < poison || (buried > poison && !run.may_repeat) {
        return Err(format!("{poison} messages could not be understood, and {buried} were put aside"));
    }
    Ok(repeated)
}

/// All that was put on record to be told. Checks that a record never forgets what it owes, and tells turns as they happen.
fn turns(written: &[Written], heard: &BTreeMap<Outlet, Heard<'_>>) -> Result<Vec<Turn>, String> {
    let mut turns: Vec<Turn> = Vec::new();
    let mut told_open: BTreeSet<usize> = BTreeSet::new();
    let mut last: BTreeMap<usize, Timestamp> = BTreeMap::new();
    for Written { before, after, notices, told } in written {
        let about = resource(&after.key);
        let owed_before = before.as_ref().map(|before| before.owed.as_slice()).unwrap_or_default();
        let same = |one: &Debt, other: &Debt| one.at == other.at && one.what == other.what;
        let new: Vec<&Debt> =
            after.owed.iter().filter(|debt| !owed_before.iter().any(|known| same(known, debt))).collect();
        let folds = folded(&after.owed) > folded(owed_before);
        for debt in owed_before {
            let left = after.owed.iter().find(|left| same(left, debt));
            if left.is_none() && folds {
                turns
                    .iter_mut()
                    .filter(|turn| turn.resource == about && turn.at == debt.at)
                    .for_each(|turn| turn.folded = true);
                continue;
            }
            for outlet in debt.outlets.iter().filter(|outlet| left.is_none_or(|left| !left.outlets.contains(outlet))) {
                let superseded = *outlet == Outlet::Finding && new.iter().any(|new| new.outlets.contains(outlet));
                let until = if *outlet == Outlet::Topic { *notices } else { *told };
                let was_told = heard.get(outlet).into_iter().flatten().any(|(number, of, entry)| {
                    *number < until && *of == about && entry.recorded_at == debt.at && entry.what == debt.what
                });
                if !was_told && !superseded {
                    return Err(format!(
                        "it was noted and not true that {outlet:?} was told that {}",
                        name(about, &debt.what, debt.at)
                    ));
                }
            }
        }
        for debt in new {
            let said = || name(about, &debt.what, debt.at);
            let fits = match debt.what {
                Told::Opened | Told::ExemptionEnded(_) => told_open.insert(about),
                Told::Resolved(_) | Told::Exempted(_) => told_open.remove(&about),
                Told::Refreshed => true,
            };
            if !fits && !folds {
                return Err(format!("it is on record that {}, which does not follow from what was before", said()));
            }
            if last.insert(about, debt.at).is_some_and(|last| last >= debt.at) {
                return Err(format!("it is on record that {}, not later than what was before", said()));
            }
            turns.push(Turn {
                resource: about,
                what: debt.what.clone(),
                at: debt.at,
                outlets: debt.outlets.clone(),
                after: (*notices, *told),
                folded: false,
            });
        }
        let open = after.status == Status::Open && after.exempt.is_none();
        if told_open.contains(&about) != open {
            return Err(format!("r{about} is {:?} on record, and that is not to be told", after.status));
        }
    }
    Ok(turns)
}

/// In the end the record, people and Security Hub know what is true.
fn ends_true(
    run: &Run,
    state: &State,
    about: usize,
    record: Option<&Record>,
    turns: &[Turn],
    heard: &BTreeMap<Outlet, Heard<'_>>,
) -> Result<(), String> {
    let truth = run.open.contains(&about);
    if record.is_some_and(|record| record.status == Status::Open) != truth {
        return Err(format!("in the end r{about} is {}, and the record says otherwise: {record:?}", word(truth)));
    }
    let Some(record) = record else { return Ok(()) };
    if !record.owed.is_empty() {
        return Err(format!("in the end something is owed of r{about}: {:?}", record.owed));
    }
    let opened = turns.iter().filter(|turn| turn.resource == about && turn.what == Told::Opened).count();
    let broken = run.broken.get(&about).map_or(0, Vec::len);
    if opened > broken {
        return Err(format!("r{about} was found broken {broken} times, and opened {opened} times"));
    }
    if let (true, Some(reporting)) = (truth, &state.reporting) {
        let today = state.now.to_zoned(TimeZone::UTC).date();
        let covered = matches!(reporting.exempting(&record.key, &record.resource, today), Exempting::Covered(_));
        if covered != record.exempt.is_some() {
            return Err(format!("in the end r{about} is exempt: {covered}, and the record says {:?}", record.exempt));
        }
    }
    let told_open = truth && record.exempt.is_none();
    for (outlet, heard) in heard {
        let of_it = heard.iter().filter(|(_, of, _)| *of == about).map(|(_, _, entry)| *entry);
        let mut of_it = of_it.filter(|entry| entry.what != Told::Refreshed || *outlet == Outlet::Finding);
        let last = match outlet {
            // An import that is not later than what Security Hub has is ignored.
            Outlet::Finding => of_it.fold(None, |known: Option<&ViolationNotice>, entry| match known {
                Some(known) if millis(known.recorded_at) >= millis(entry.recorded_at) => Some(known),
                _ => Some(entry),
            }),
            // An event bus keeps no order, and of two functions at once the slower one may come with old news.
            Outlet::Event => of_it.max_by_key(|entry| entry.recorded_at),
            _ if run.raced => of_it.max_by_key(|entry| entry.recorded_at),
            Outlet::Topic | Outlet::Chat => of_it.next_back(),
        };
        let open = last.is_some_and(|last| !matches!(last.what, Told::Resolved(_) | Told::Exempted(_)));
        if open != told_open {
            let last = last.map_or_else(|| "nothing".into(), |last| name(about, &last.what, last.recorded_at));
            return Err(format!(
                "in the end r{about} is {}, and the last that {outlet:?} knows is: {last}",
                word(truth)
            ));
        }
    }
    Ok(())
}

fn is(turn: &Turn, (_, about, entry): &(usize, usize, &ViolationNotice)) -> bool {
    turn.resource == *about && turn.at == entry.recorded_at && turn.what == entry.what
}

fn entries(notice: &Notice) -> Vec<&ViolationNotice> {
    match notice {
        Notice::ViolationDigest(digest) => digest.entries.iter().collect(),
        other => other.violation().into_iter().collect(),
    }
}

/// Turns that stand in later debts only as a number.
pub(crate) fn folded(owed: &[Debt]) -> u32 {
    owed.iter().map(|debt| debt.folded).sum()
}

fn name(about: usize, what: &Told, at: Timestamp) -> String {
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
        entries(notice).iter().map(|entry| name(resource(&entry.key), &entry.what, entry.recorded_at)).collect();
    format!("{} ({})", notice.kind(), entries.join(", "))
}
