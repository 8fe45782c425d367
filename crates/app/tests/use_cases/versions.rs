//! The policy as an object with versions: events in any order, and older policies that are written again.

use std::iter::repeat_n;

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;

use app::deploy::{AcceptedRevision, ReconcileSummary, RevisionOrder};
use app::events::{DeployTrigger, PolicyPlace, trigger};
use domain::notice::Notice;
use framework::ids::CommitId;
use testkit::world::World;

use crate::deploy::{deploy, name, push_seen, settle};
use crate::policy::{FRAMEWORK, ONE, TWO, policy};

const BUCKET: &str = "policies";

/// Writes a version of the policy with this retention.
fn write(world: &World, days: usize, run: Option<u64>) -> CommitId {
    let files = [
        ("backup-compliance.yaml", Some(policy(&[ONE, TWO], Some(&days.to_string())))),
        ("framework.yaml", Some(FRAMEWORK.to_owned())),
    ];
    let id = world.push("Write", &files.each_ref().map(|(path, text)| (*path, text.as_deref())));
    world.state().orders.insert(id.clone(), RevisionOrder::ClaimedRun(run));
    id
}

/// The trigger of the event of a version.
fn written(version: &CommitId, sequencer: usize) -> DeployTrigger {
    let object = json!({"key": "policy.zip", "version-id": version, "sequencer": format!("{sequencer:016X}")});
    let detail = json!({"bucket": {"name": BUCKET}, "object": object, "reason": "PutObject"});
    let event = json!({"source": "aws.s3", "detail-type": "Object Created", "detail": detail});
    trigger(&event, PolicyPlace::Object { bucket: BUCKET })
}

/// The version in force.
fn in_force(world: &World) -> Option<CommitId> {
    world.state().rollouts.get(&name()).map(|rollout| rollout.value.commit.clone())
}

fn rejections(world: &World) -> Vec<String> {
    let notices = world.take_notices().into_iter();
    notices
        .filter_map(|notice| match notice {
            Notice::PolicyRejected(rejection) => Some(rejection.diagnostics[0].message.clone()),
            _ => None,
        })
        .collect()
}

#[tokio::test(flavor = "current_thread")]
async fn older_policy_written_again_is_refused_once() {
    let world = World::new();
    write(&world, 35, Some(1));
    push_seen(&world).await.unwrap();
    let newest = write(&world, 90, Some(2));
    push_seen(&world).await.unwrap();
    settle(&world).await;
    assert_eq!(rejections(&world), Vec::<String>::new());
    world.take_calls();

    let replay = write(&world, 35, Some(1));
    for _ in 0..2 {
        let ReconcileSummary { commit, rejected, frameworks, .. } = push_seen(&world).await.unwrap();
        assert_eq!((commit.as_ref(), frameworks.len(), rejected.len()), (Some(&replay), 0, 1));
    }
    assert_eq!(
        World::mutating(&world.take_calls()).into_iter().filter(|call| call.starts_with("cloudformation")).count(),
        0
    );
    let refused = rejections(&world);
    assert_eq!(refused.len(), 1, "one notice");
    assert!(refused[0].contains("written by run 1, and the policy in force by run 2"), "{refused:?}");
    assert_eq!(in_force(&world), Some(newest));

    // A new run at the old content is how to go back.
    let back = write(&world, 35, Some(3));
    push_seen(&world).await.unwrap();
    settle(&world).await;
    assert_eq!(in_force(&world), Some(back));
}

#[tokio::test(flavor = "current_thread")]
async fn version_without_run_number_is_warned_of_once() {
    let world = World::new();
    write(&world, 35, Some(7));
    push_seen(&world).await.unwrap();
    settle(&world).await;
    world.take_notices();
    let silent = write(&world, 90, None);
    for _ in 0..2 {
        push_seen(&world).await.unwrap();
    }
    let warnings: Vec<_> = world
        .take_notices()
        .into_iter()
        .filter_map(|notice| match notice {
            Notice::PolicyWarnings(warnings) => Some(warnings),
            _ => None,
        })
        .collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].warnings[0].contains("no metadata `run-number`"), "{warnings:?}");
    settle(&world).await;
    assert_eq!(in_force(&world), Some(silent.clone()));
    // The greatest number stays known.
    assert_eq!(world.state().accepted, Some(AcceptedRevision { commit: silent, run: Some(7) }));
    write(&world, 35, Some(6));
    assert_eq!(push_seen(&world).await.unwrap().rejected.len(), 1);
}

#[tokio::test(flavor = "current_thread")]
async fn invalid_policy_does_not_count_as_accepted() {
    let world = World::new();
    write(&world, 35, Some(1));
    push_seen(&world).await.unwrap();
    let broken = world.push("Break", &[("backup-compliance.yaml", Some("version: 2"))]);
    world.state().orders.insert(broken, RevisionOrder::ClaimedRun(Some(9)));
    push_seen(&world).await.unwrap();
    assert_eq!(world.state().accepted.clone().and_then(|accepted| accepted.run), Some(1));
    let fixed = write(&world, 90, Some(2));
    push_seen(&world).await.unwrap();
    settle(&world).await;
    assert_eq!(in_force(&world), Some(fixed));
}

#[derive(Debug, Clone)]
struct Write {
    run: u64,
    /// Events delivered before the next write: each is that of any version so far.
    delivered: Vec<Index>,
}

fn writes() -> impl Strategy<Value = Vec<Write>> {
    let write = (1_u64..9, prop::collection::vec(any::<Index>(), 0..4));
    prop::collection::vec(write.prop_map(|(run, delivered)| Write { run, delivered }), 1..6)
}

/// Delivers events; returns the version in force by the rule: an older run never replaces a newer one.
async fn play(world: &World, writes: &[Write], last: &[usize]) -> Option<CommitId> {
    let mut versions = Vec::new();
    let mut expected: Option<(u64, CommitId)> = None;
    for (number, Write { run, delivered }) in writes.iter().enumerate() {
        let version = write(world, 30 + number, Some(*run));
        versions.push(version.clone());
        let is_last = number + 1 == writes.len();
        let chosen = delivered.iter().map(|index| index.index(versions.len()));
        let late = if is_last { last } else { &[] };
        for event in chosen.chain(late.iter().copied()) {
            deploy(world).handle(&[written(&versions[event], event)]).await.unwrap();
            if expected.as_ref().is_none_or(|(greatest, _)| run >= greatest) {
                expected = Some((*run, version.clone()));
            }
            world.end_operations();
        }
    }
    settle(world).await;
    expected.map(|(_, version)| version)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Events are late, repeated, lost and out of order; the last ones arrive in any order.
    #[test]
    fn newest_version_wins_in_any_order_of_events(
        (writes, last) in writes().prop_flat_map(|writes| {
            let events: Vec<usize> = (0..writes.len()).chain(repeat_n(0, 2)).collect();
            (Just(writes), Just(events).prop_shuffle())
        }),
        grows: bool,
    ) {
        let mut writes = writes;
        if grows {
            for (number, write) in writes.iter_mut().enumerate() {
                write.run = number as u64 + 1;
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let world = World::new();
        let expected = runtime.block_on(play(&world, &writes, &last));
        prop_assert_eq!(in_force(&world), expected);
        if grows {
            prop_assert_eq!(in_force(&world), world.state().head.clone(), "the newest version");
        }
    }
}
