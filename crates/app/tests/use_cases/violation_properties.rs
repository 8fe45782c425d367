//! Properties of generated histories of violations. Events arrive in any order, repeated or not at all; stores and topics fail, or
//! succeed and lose the response; functions die after any step, or run concurrently. Then the faults end, and the sweep runs.
//!
//! Every stored update is delivered: exactly once, unless a fault made it unknown whether the delivery happened. In the end
//! the record, the subscribers and Security Hub have the true state.
//!
//! Another set: `HISTORIES=2 cargo nextest run -p app --test use_cases violation_properties` (read when the test is compiled).
mod history;
mod oracle;
mod regressions;
mod run;

use domain::violation::{DetectionSource, ViolationStatus};
use testkit::simulator::Dice;
use testkit::world::StoredWrite;

use history::{History, HistoryTheme};
use run::HistoryRun;

/// The number of histories in each of the tests below.
const HISTORIES: usize = 11_000;

/// Statistics of all histories of a test: a test without these cases proves nothing.
#[derive(Debug, Default)]
struct HistoryStatistics {
    updates: usize,
    notices: usize,
    faults: usize,
    crashes: usize,
    concurrent: usize,
    swept: usize,
    exempted: usize,
    folded: u32,
    repeated: usize,
}

fn histories(theme: HistoryTheme, salt: u64) -> HistoryStatistics {
    let set: u64 = option_env!("HISTORIES").map_or(1, |set| set.parse().unwrap());
    let mut dice = Dice::new(set.wrapping_mul(1_000_003) ^ salt);
    let mut seen = HistoryStatistics::default();
    for number in 0..HISTORIES {
        let seed = dice.roll();
        let history = History::generate(theme, seed);
        match HistoryRun::of(&history) {
            Ok(run) => seen.add(&run),
            Err(_) => fail(number, history),
        }
    }
    seen
}

fn fail(number: usize, history: History) -> ! {
    let history = history.simplest(|history| HistoryRun::of(history).is_err());
    let History { outlets, window, .. } = &history;
    let lines = HistoryRun::trace(&history).join("\n");
    panic!("history {number}, made as simple as it gets: outlets {outlets:?}, a window of {window} s\n{lines}\n");
}

impl HistoryStatistics {
    fn add(&mut self, run: &HistoryRun) {
        let state = run.world.state();
        for StoredWrite { before, after, .. } in state.written.as_deref().unwrap_or_default() {
            let opens = after.status == ViolationStatus::Open;
            if opens != before.as_ref().is_some_and(|before| before.status == ViolationStatus::Open) {
                self.updates += 1;
                self.swept += usize::from(opens && after.detected_by == DetectionSource::Sweep);
            }
            let folded_before = before.as_ref().map_or(0, |before| oracle::folded(&before.pending));
            self.folded += oracle::folded(&after.pending).saturating_sub(folded_before);
            self.exempted += usize::from(after.exemption.is_some());
        }
        self.notices += state.notices.len();
        self.faults += run.faults;
        self.crashes += run.crashes;
        self.concurrent += usize::from(run.were_concurrent);
        self.repeated += run.repeated;
    }
}

#[test]
fn violations_survive_reordered_and_lost_events() {
    let seen = histories(HistoryTheme { faults: false, crashes: false, concurrent: false, all_outlets: false }, 1);
    println!("{seen:?}");
    assert!(seen.updates > HISTORIES && seen.swept > HISTORIES / 20, "{seen:?}");
    assert_eq!(seen.repeated, 0, "nothing went wrong");
}

#[test]
fn violations_survive_failing_calls() {
    let seen = histories(HistoryTheme { faults: true, crashes: false, concurrent: false, all_outlets: true }, 2);
    println!("{seen:?}");
    assert!(seen.updates > HISTORIES && seen.faults > HISTORIES / 2, "{seen:?}");
}

#[test]
fn violations_survive_death_at_each_step() {
    let seen = histories(HistoryTheme { faults: false, crashes: true, concurrent: false, all_outlets: true }, 3);
    println!("{seen:?}");
    assert!(seen.updates > HISTORIES && seen.crashes > HISTORIES / 3 && seen.repeated > 0, "{seen:?}");
}

#[test]
fn violations_survive_concurrent_functions() {
    let seen = histories(HistoryTheme { faults: false, crashes: false, concurrent: true, all_outlets: true }, 4);
    println!("{seen:?}");
    assert!(seen.updates > HISTORIES && seen.concurrent > HISTORIES / 2 && seen.repeated > 0, "{seen:?}");
}

#[test]
fn violations_survive_all_faults() {
    let seen = histories(HistoryTheme { faults: true, crashes: true, concurrent: true, all_outlets: true }, 5);
    println!("{seen:?}");
    let least = seen.faults.min(seen.crashes).min(seen.concurrent);
    assert!(seen.updates > HISTORIES && least > HISTORIES / 2, "{seen:?}");
}
