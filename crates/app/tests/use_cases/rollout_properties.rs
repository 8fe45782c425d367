//! Properties of generated rollouts: any policy and any edit of it, from any initial state of a StackSet; triggers in any order,
//! repeated and lost; functions that die after any step; AWS that throttles, denies and loses responses; instances that fail;
//! accounts that move, are suspended and closed; other users of the same StackSets; and the deletion of the application at any
//! time. Then the faults end, and `deploy` reconciles until the fleet is stable. `oracle` has the properties.
//!
//! `PROPTEST_CASES=100000 cargo nextest run -p app --test use_cases rollout_properties` runs this number of cases of each theme,
//! with the same seeds.
mod case;
mod fixture;
mod oracle;
mod policy;
mod regressions;
mod run;

use proptest::prelude::Rng as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng};

use case::{RolloutCase, RolloutTheme};
use run::{RolloutRun, RolloutStatistics};

/// The number of cases in each of the tests below, unless `PROPTEST_CASES` is set.
const CASES: u32 = 5_200;

fn cases(theme: RolloutTheme, salt: u8) -> RolloutStatistics {
    // Proptest reads the variable itself, with a default.
    let asked = Config::default().cases;
    let number = if asked == DEFAULT_CASES { CASES } else { asked };
    let mut dice = TestRng::from_seed(RngAlgorithm::ChaCha, &[salt; 32]);
    let mut seen = RolloutStatistics::default();
    for number in 0..number {
        let case = RolloutCase::generate(theme, dice.next_u64());
        match RolloutRun::of(&case) {
            Ok(run) => seen.add(&run),
            Err(_) => fail(number, case),
        }
    }
    seen
}

/// Proptest's default.
const DEFAULT_CASES: u32 = 256;

fn fail(number: u32, case: RolloutCase) -> ! {
    let case = case.simplest(|case| RolloutRun::of(case).is_err());
    let lines = RolloutRun::trace(&case).join("\n");
    panic!("case {number}, made as simple as it gets:\n{case}{lines}\n");
}

#[test]
fn rollouts_survive_reordered_triggers_and_edits() {
    let seen = cases(RolloutTheme { faults: false, crashes: false, removal: false }, 1);
    println!("{seen:?}");
    assert!(seen.is_representative(false, false, false), "{seen:?}");
}

#[test]
fn rollouts_survive_failing_calls() {
    let seen = cases(RolloutTheme { faults: true, crashes: false, removal: false }, 2);
    println!("{seen:?}");
    assert!(seen.is_representative(true, false, false), "{seen:?}");
}

#[test]
fn rollouts_survive_death_at_each_step() {
    let seen = cases(RolloutTheme { faults: false, crashes: true, removal: true }, 3);
    println!("{seen:?}");
    assert!(seen.is_representative(false, true, true), "{seen:?}");
}

#[test]
fn rollouts_survive_all_faults() {
    let seen = cases(RolloutTheme { faults: true, crashes: true, removal: true }, 4);
    println!("{seen:?}");
    assert!(seen.is_representative(true, true, true), "{seen:?}");
}
