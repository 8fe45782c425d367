//! Histories of violations, many thousands, generated: events in any order, repeated and lost; stores and topics that fail or
//! take something and lose the answer; functions that die after any step, or run at once. Then all is well, and the sweep runs.
//! Whatever was put on record was told, once unless something went wrong after which nobody could know that it was; and in the
//! end everybody knows what is true.
//!
//! Another set of histories: `HISTORIES=2 cargo nextest run -p app --test histories` (read when the test is compiled).
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that cannot set itself up has failed; helpers of tests are no tests to the linter"
)]

mod known;
mod oracle;
mod run;
mod story;

use domain::violation::{Heard, Status};
use run::Run;
use story::{Dice, Story, Theme};
use testkit::world::Written;

/// In each of the tests below.
const HISTORIES: usize = 11_000;

/// What has been seen in all histories of a test: a test that sees nothing shows nothing.
#[derive(Debug, Default)]
struct Seen {
    turns: usize,
    notices: usize,
    faults: usize,
    crashes: usize,
    at_once: usize,
    swept: usize,
    exempted: usize,
    folded: u32,
    repeated: usize,
}

fn histories(theme: Theme, salt: u64) -> Seen {
    let set: u64 = option_env!("HISTORIES").map_or(1, |set| set.parse().unwrap());
    let mut dice = Dice::new(set.wrapping_mul(1_000_003) ^ salt);
    let mut seen = Seen::default();
    for number in 0..HISTORIES {
        let seed = dice.roll();
        let story = Story::generate(theme, seed);
        match Run::of(&story) {
            Ok(run) => seen.add(&run),
            Err(_) => fail(number, story),
        }
    }
    seen
}

fn fail(number: usize, story: Story) -> ! {
    let story = story.simplest(|story| Run::of(story).is_err());
    let Story { outlets, window, .. } = &story;
    let lines = Run::told(&story).join("\n");
    panic!("history {number}, made as simple as it gets: outlets {outlets:?}, a window of {window} s\n{lines}\n");
}

impl Seen {
    fn add(&mut self, run: &Run) {
        let state = run.world.state();
        for Written { before, after, .. } in state.written.as_deref().unwrap_or_default() {
            let opens = after.status == Status::Open;
            if opens != before.as_ref().is_some_and(|before| before.status == Status::Open) {
                self.turns += 1;
                self.swept += usize::from(opens && after.heard == Heard::Sweep);
            }
            let folded_before = before.as_ref().map_or(0, |before| oracle::folded(&before.owed));
            self.folded += oracle::folded(&after.owed).saturating_sub(folded_before);
            self.exempted += usize::from(after.exempt.is_some());
        }
        self.notices += state.notices.len();
        self.faults += run.faults;
        self.crashes += run.crashes;
        self.at_once += usize::from(run.were_at_once);
        self.repeated += run.repeated;
    }
}

#[test]
fn events_in_any_order_repeated_and_lost() {
    let seen = histories(Theme { faults: false, crashes: false, at_once: false, all_outlets: false }, 1);
    println!("{seen:?}");
    assert!(seen.turns > HISTORIES && seen.swept > HISTORIES / 20, "{seen:?}");
    assert_eq!(seen.repeated, 0, "nothing went wrong");
}

#[test]
fn stores_and_topics_that_fail() {
    let seen = histories(Theme { faults: true, crashes: false, at_once: false, all_outlets: true }, 2);
    println!("{seen:?}");
    assert!(seen.turns > HISTORIES && seen.faults > HISTORIES / 2, "{seen:?}");
}

#[test]
fn functions_that_die_after_any_step() {
    let seen = histories(Theme { faults: false, crashes: true, at_once: false, all_outlets: true }, 3);
    println!("{seen:?}");
    assert!(seen.turns > HISTORIES && seen.crashes > HISTORIES / 3 && seen.repeated > 0, "{seen:?}");
}

#[test]
fn functions_that_run_at_once() {
    let seen = histories(Theme { faults: false, crashes: false, at_once: true, all_outlets: true }, 4);
    println!("{seen:?}");
    assert!(seen.turns > HISTORIES && seen.at_once > HISTORIES / 2 && seen.repeated > 0, "{seen:?}");
}

#[test]
fn everything_at_once() {
    let seen = histories(Theme { faults: true, crashes: true, at_once: true, all_outlets: true }, 5);
    println!("{seen:?}");
    let least = seen.faults.min(seen.crashes).min(seen.at_once);
    assert!(seen.turns > HISTORIES && least > HISTORIES / 2, "{seen:?}");
}
