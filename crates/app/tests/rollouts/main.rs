//! Rollouts, many thousands, generated: any policy and any edit of it, from any state that a StackSet may be found in; triggers in
//! any order, repeated and lost; functions that die after any step; AWS that throttles, refuses and loses answers; instances that
//! fail, accounts that move, are suspended and closed; others who work on the same StackSets; and the application deleted at any
//! time. Then all is well, and deploy looks until nothing moves. What must be true on the way and in the end is in `oracle`.
//!
//! `PROPTEST_CASES=100000 cargo nextest run -p app --test rollouts` runs so many of each theme, of the same seeds.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot set itself up has failed; helpers of tests are no tests to the linter"
)]

mod known;
mod oracle;
mod places;
mod policy;
mod run;
mod story;

use proptest::prelude::Rng as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng};
use run::{Run, Seen};
use story::{Story, Theme};

/// In each of the tests below, unless `PROPTEST_CASES` says otherwise.
const STORIES: u32 = 5_200;

fn stories(theme: Theme, salt: u8) -> Seen {
    // Proptest reads the variable, and has a default of its own.
    let asked = Config::default().cases;
    let number = if asked == DEFAULT_CASES { STORIES } else { asked };
    let mut dice = TestRng::from_seed(RngAlgorithm::ChaCha, &[salt; 32]);
    let mut seen = Seen::default();
    for number in 0..number {
        let story = Story::generate(theme, dice.next_u64());
        match Run::of(&story) {
            Ok(run) => seen.add(&run),
            Err(_) => fail(number, story),
        }
    }
    seen
}

/// Of proptest, where nobody says otherwise.
const DEFAULT_CASES: u32 = 256;

fn fail(number: u32, story: Story) -> ! {
    let story = story.simplest(|story| Run::of(story).is_err());
    let lines = Run::told(&story).join("\n");
    panic!("story {number}, made as simple as it gets:\n{story}{lines}\n");
}

#[test]
fn triggers_and_edits_in_any_order() {
    let seen = stories(Theme { faults: false, crashes: false, removal: false }, 1);
    println!("{seen:?}");
    assert!(seen.is_telling(false, false, false), "{seen:?}");
}

#[test]
fn calls_that_fail_and_answers_that_are_lost() {
    let seen = stories(Theme { faults: true, crashes: false, removal: false }, 2);
    println!("{seen:?}");
    assert!(seen.is_telling(true, false, false), "{seen:?}");
}

#[test]
fn functions_that_die_after_any_step() {
    let seen = stories(Theme { faults: false, crashes: true, removal: true }, 3);
    println!("{seen:?}");
    assert!(seen.is_telling(false, true, true), "{seen:?}");
}

#[test]
fn everything_at_once() {
    let seen = stories(Theme { faults: true, crashes: true, removal: true }, 4);
    println!("{seen:?}");
    assert!(seen.is_telling(true, true, true), "{seen:?}");
}
