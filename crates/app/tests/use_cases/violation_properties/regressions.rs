//! Histories that failed once.

use std::collections::BTreeSet;

use domain::violation::Channel;

use super::fail;
use super::history::{FunctionCall, History, HistoryAct, InvokedFunction, RuleResult};
use super::run::HistoryRun;

fn happens(result: RuleResult, copies: usize) -> HistoryAct {
    HistoryAct::Evaluated { resource: 0, result, copies, ahead: 0, lags: false }
}

fn call(what: InvokedFunction) -> FunctionCall {
    FunctionCall { what, dies_after: None, behind: false }
}

/// `report` stores an opened violation while `sweep`, which read the clock before, is about to store that it is
/// closed. The stored times had it closed before it opened, and Security Hub, which ignores updates that are not
/// later, kept it open.
#[test]
fn earlier_clock_with_later_write_keeps_order() {
    for order in 0..400 {
        let calls =
            vec![call(InvokedFunction::Report { from: 0, count: 1 }), call(InvokedFunction::Sweep { short: false })];
        let history = History {
            outlets: BTreeSet::from([Channel::Topic, Channel::SecurityHub]),
            window: 0,
            lost_flushes: 0,
            acts: vec![
                happens(RuleResult::Broken, 1),
                happens(RuleResult::Satisfied, 0),
                HistoryAct::Invoked { calls, order, faults: Vec::new(), index_lags: false },
            ],
        };
        if HistoryRun::of(&history).is_err() {
            fail(usize::try_from(order).unwrap(), history);
        }
    }
}
