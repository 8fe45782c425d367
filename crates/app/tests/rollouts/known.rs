//! Stories that ended badly once.

use crate::fail;
use crate::places::{ACCOUNTS, REGIONS, UNITS};
use crate::policy::{Framework, Policy, Target};
use crate::run::Run;
use crate::story::{Act, Edit, Found, FoundInstance, Owner, State, Story, Wake, Why};
use app::events::Look;
use std::collections::BTreeSet;
use testkit::simulator::AccountState;

/// One framework for units, with one target in one Region.
fn units(members: [Option<usize>; UNITS.len()], region: usize, days: Option<usize>, auto: bool) -> Policy {
    let target = || Target { regions: BTreeSet::from([region]), days, ..Target::default() };
    let framework = |declared: bool, members: Vec<Option<usize>>| Framework {
        declared,
        members,
        targets: [target(), target()],
        template: 0,
        days: 0,
        rollout: 0,
        adopt: false,
        auto: (auto, false),
    };
    Policy {
        frameworks: [framework(false, vec![None; ACCOUNTS.len() - 1]), framework(true, members.to_vec())],
        remove_undeclared: false,
        broken: false,
    }
}

fn story(policy: Policy, homes: [Option<usize>; ACCOUNTS.len()], acts: Vec<Act>) -> Story {
    Story { seed: 1, policy, found: [None, None], homes: homes.to_vec(), hidden: 0, stale: 0, acts }
}

fn look(why: Why) -> Act {
    Act::Look(Wake::calm(why))
}

fn ends_well(story: Story) {
    if Run::of(&story).is_err() {
        fail(0, story);
    }
}

/// An account that was closed when its turn came, and is open again, stayed without a framework and was called suspended.
#[test]
fn an_account_that_is_open_again_is_deployed_to() {
    let policy = units([Some(0), None, None], 1, None, false);
    let homes = [Some(2), Some(3), Some(1), Some(0), Some(1), Some(0)];
    let closed = |state| Act::State { who: 3, state };
    let acts = vec![look(Why::Push), closed(AccountState::Closed), Act::Wait(300), closed(AccountState::Active)];
    ends_well(story(policy, homes, acts));
}

/// An update of the StackSet that could not be found yet was taken for the one that the next policy needs, which then never came;
/// and people were told that all went well.
#[test]
fn another_definition_is_another_update() {
    let policy = units([None, None, Some(0)], 0, None, false);
    let homes = [None, Some(1), Some(2), Some(1), Some(1), Some(0)];
    let there = FoundInstance { who: 2, place: REGIONS.len() - 1, state: State::Current, days: None };
    let found = Found { owner: Owner::Ours, managed: true, same: false, other_model: false, instances: vec![there] };
    let acts = vec![
        look(Why::Push),
        Act::Wait(3_700),
        look(Why::Ended(1)),
        Act::Push(Edit::Template { framework: 1, template: 1 }),
        look(Why::Schedule(Look::Full)),
    ];
    ends_well(Story { hidden: 120, found: [None, Some(found)], ..story(policy, homes, acts) });
}

/// StackSets deleted an account's instance and made it again through another unit, without overrides, before anybody had seen it.
#[test]
fn overrides_do_not_move_with_an_account() {
    let policy = units([Some(0), None, None], 2, Some(1), true);
    let homes = [Some(2), Some(2), Some(2), None, Some(3), Some(0)];
    let acts = vec![
        look(Why::Schedule(Look::Full)),
        Act::Wait(100),
        Act::Push(Edit::Member { framework: 1, member: 2, target: Some(0) }),
        look(Why::Ended(1)),
        Act::Move { who: 2, to: Some(0) },
    ];
    ends_well(story(policy, homes, acts));
}
