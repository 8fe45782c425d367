//! Rollouts that failed once.

use std::collections::BTreeSet;

use app::events::ReconcileScope;
use testkit::simulator::AccountState;

use super::case::{
    InitialInstance, InitialOwner, InitialStackSet, InitialState, PolicyEdit, RolloutAct, RolloutCase, ScriptedTrigger,
    TriggerReason,
};
use super::fail;
use super::fixture::{ACCOUNTS, REGIONS, UNITS};
use super::policy::{CaseFramework, CasePolicy, CaseTarget};
use super::run::RolloutRun;

/// One framework for units, with one target in one Region.
fn units(members: [Option<usize>; UNITS.len()], region: usize, days: Option<usize>, auto: bool) -> CasePolicy {
    let target = || CaseTarget { regions: BTreeSet::from([region]), days, ..CaseTarget::default() };
    let framework = |declared: bool, members: Vec<Option<usize>>| CaseFramework {
        declared,
        members,
        targets: [target(), target()],
        template: 0,
        days: 0,
        rollout: 0,
        adopt: false,
        auto: (auto, false),
    };
    CasePolicy {
        frameworks: [framework(false, vec![None; ACCOUNTS.len() - 1]), framework(true, members.to_vec())],
        remove_undeclared: false,
        broken: false,
    }
}

fn case(policy: CasePolicy, homes: [Option<usize>; ACCOUNTS.len()], acts: Vec<RolloutAct>) -> RolloutCase {
    RolloutCase { seed: 1, policy, found: [None, None], homes: homes.to_vec(), hidden: 0, stale: 0, acts }
}

fn look(why: TriggerReason) -> RolloutAct {
    RolloutAct::Reconcile(ScriptedTrigger::without_faults(why))
}

fn succeeds(case: RolloutCase) {
    if RolloutRun::of(&case).is_err() {
        fail(0, case);
    }
}

/// An account that was closed when work on it was due, and is open again, stayed without a framework and was reported
/// as suspended.
#[test]
fn reopened_account_is_deployed() {
    let policy = units([Some(0), None, None], 1, None, false);
    let homes = [Some(2), Some(3), Some(1), Some(0), Some(1), Some(0)];
    let closed = |state| RolloutAct::State { who: 3, state };
    let acts = vec![
        look(TriggerReason::Push),
        closed(AccountState::Closed),
        RolloutAct::Wait(300),
        closed(AccountState::Active),
    ];
    succeeds(case(policy, homes, acts));
}

/// An update of the StackSet that could not be found yet was taken for the update of the next policy, which then never
/// started; the notice reported success.
#[test]
fn update_is_identified_by_its_definition() {
    let policy = units([None, None, Some(0)], 0, None, false);
    let homes = [None, Some(1), Some(2), Some(1), Some(1), Some(0)];
    let there = InitialInstance { who: 2, place: REGIONS.len() - 1, state: InitialState::Current, days: None };
    let found = InitialStackSet {
        owner: InitialOwner::Ours,
        managed: true,
        same: false,
        other_model: false,
        instances: vec![there],
    };
    let acts = vec![
        look(TriggerReason::Push),
        RolloutAct::Wait(3_700),
        look(TriggerReason::Ended(1)),
        RolloutAct::Push(PolicyEdit::Template { framework: 1, template: 1 }),
        look(TriggerReason::Schedule(ReconcileScope::Full)),
    ];
    succeeds(RolloutCase { hidden: 120, found: [None, Some(found)], ..case(policy, homes, acts) });
}

/// StackSets deleted an account's instance and created it again through another unit, without overrides, before any
/// reconciliation read it.
#[test]
fn overrides_are_set_again_after_account_moves() {
    let policy = units([Some(0), None, None], 2, Some(1), true);
    let homes = [Some(2), Some(2), Some(2), None, Some(3), Some(0)];
    let acts = vec![
        look(TriggerReason::Schedule(ReconcileScope::Full)),
        RolloutAct::Wait(100),
        RolloutAct::Push(PolicyEdit::Member { framework: 1, member: 2, target: Some(0) }),
        look(TriggerReason::Ended(1)),
        RolloutAct::Move { who: 2, to: Some(0) },
    ];
    succeeds(case(policy, homes, acts));
}
