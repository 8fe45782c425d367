//! Histories that ended badly once.

use crate::fail;
use crate::run::Run;
use crate::story::{Act, Call, Invocation, Outcome, Story};
use domain::violation::Outlet;
use std::collections::BTreeSet;

fn happens(result: Outcome, copies: usize) -> Act {
    Act::Happens { resource: 0, result, copies, ahead: 0, lags: false }
}

fn call(what: Invocation) -> Call {
    Call { what, dies_after: None, behind: false }
}

/// `report` writes down what has opened while `sweep`, which looked at the clock before, waits to write down that it is closed.
/// The times on record said that it closed before it opened, and Security Hub, which ignores what is not later, kept it open.
#[test]
fn who_looked_at_the_clock_first_writes_last() {
    for order in 0..400 {
        let calls = vec![call(Invocation::Report { from: 0, count: 1 }), call(Invocation::Sweep { short: false })];
        let story = Story {
            outlets: BTreeSet::from([Outlet::Topic, Outlet::Finding]),
            window: 0,
            lost_flushes: 0,
            acts: vec![
                happens(Outcome::Broken, 1),
                happens(Outcome::Satisfied, 0),
                Act::Invoked { calls, order, faults: Vec::new(), index_lags: false },
            ],
        };
        if Run::of(&story).is_err() {
            fail(usize::try_from(order).unwrap(), story);
        }
    }
}
