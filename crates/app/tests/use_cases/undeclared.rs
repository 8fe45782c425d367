//! A framework that was removed from the policy.

use app::deploy::{FrameworkOutcome, ReconcileSummary};
use app::ports::PortErrorKind;
use domain::notice::Notice;
use framework::ids::StackSetName;
use testkit::world::World;

use crate::deploy::{mutations, push_seen, settle};
use crate::policy::{FRAMEWORK, ONE, TWO, policy};
use crate::units::full;

const BOTH: bool = true;
const ONE_ONLY: bool = false;

fn other() -> StackSetName {
    StackSetName::parse("other").unwrap()
}

fn outcome(seen: &ReconcileSummary) -> &FrameworkOutcome {
    &seen.frameworks[&other()]
}

fn push(world: &World, message: &str, both: bool, remove: bool) {
    let mut text = policy(&[ONE], None);
    if both {
        text.push_str(&format!(
            "  - name: other\n    template: framework.yaml\n    targets:\n      - accounts: [\"{TWO}\"]\n        regions: [eu-west-1]\n"
        ));
    }
    if remove {
        text = text.replace("version: 1\n", "version: 1\nremoveUndeclared: true\n");
    }
    world.push(message, &[("backup-compliance.yaml", Some(&text)), ("framework.yaml", Some(FRAMEWORK))]);
}

async fn both() -> World {
    let world = World::new();
    push(&world, "Both", BOTH, false);
    push_seen(&world).await.unwrap();
    settle(&world).await;
    world.take_notices();
    world.take_calls();
    world
}

fn instances(world: &World) -> Option<usize> {
    world.state().stack_sets.get(&other()).map(|found| found.instances.len())
}

#[tokio::test(flavor = "current_thread")]
async fn undeclared_framework_is_kept_and_reported_once() {
    let world = both().await;
    for time in 0..2 {
        push(&world, "Without", ONE_ONLY, false);
        for look in 0..3 {
            let seen = if look < 2 { push_seen(&world).await.unwrap() } else { full(&world).await };
            assert_eq!(outcome(&seen), &FrameworkOutcome::Undeclared);
            let notices = world.take_notices();
            if look > 0 {
                assert_eq!(notices, [], "time {time}, look {look}");
                continue;
            }
            let [Notice::PolicyWarnings(warnings)] = notices.as_slice() else { panic!("{notices:?}") };
            assert!(warnings.warnings[0].contains("no longer declares the framework `other`"), "{warnings:?}");
            assert!(warnings.warnings[0].contains("`removeUndeclared: true`"), "{warnings:?}");
        }
        assert_eq!((instances(&world), mutations(&world)), (Some(1), vec![]));
        push(&world, "Back", BOTH, false);
        assert_eq!(outcome(&push_seen(&world).await.unwrap()), &FrameworkOutcome::Unchanged);
        assert_eq!((world.take_notices(), mutations(&world)), (vec![], vec![]));
    }
}

#[tokio::test(flavor = "current_thread")]
async fn undeclared_framework_is_removed_if_allowed() {
    let world = both().await;
    push(&world, "Remove", ONE_ONLY, true);
    let seen = push_seen(&world).await.unwrap();
    assert!(matches!(outcome(&seen), FrameworkOutcome::Started(_)), "{seen:?}");
    settle(&world).await;
    assert_eq!(mutations(&world), ["DeleteStackInstances", "DeleteStackSet"]);
    assert_eq!(instances(&world), None);
    {
        let state = world.state();
        assert!(!state.rollouts.contains_key(&other()) && !state.frameworks.contains_key(&other()));
        assert_eq!(state.rollouts.len(), 1, "the other framework stays");
    }
    let notices = world.take_notices();
    let [Notice::RolloutSucceeded(report)] = notices.as_slice() else { panic!("{notices:?}") };
    assert_eq!((report.is_removal, report.deleted, report.message.as_str()), (true, 1, "Remove"));
    let seen = push_seen(&world).await.unwrap();
    assert!(!seen.frameworks.contains_key(&other()));
}

/// First the report, then a policy that allows the removal.
#[tokio::test(flavor = "current_thread")]
async fn undeclared_framework_can_be_removed_later() {
    let world = both().await;
    push(&world, "Without", ONE_ONLY, false);
    push_seen(&world).await.unwrap();
    push(&world, "Remove", ONE_ONLY, true);
    push_seen(&world).await.unwrap();
    settle(&world).await;
    assert_eq!(instances(&world), None);
}

#[tokio::test(flavor = "current_thread")]
async fn framework_returns_during_removal() {
    for deleted_before in [false, true] {
        let world = both().await;
        push(&world, "Remove", ONE_ONLY, true);
        push_seen(&world).await.unwrap();
        if deleted_before {
            world.end_operations();
        }
        push(&world, "Back", BOTH, true);
        push_seen(&world).await.unwrap();
        settle(&world).await;
        assert_eq!(instances(&world), Some(1), "deleted before it came back: {deleted_before}");
        let notices = world.take_notices();
        let [Notice::RolloutSucceeded(report)] = notices.as_slice() else { panic!("{notices:?}") };
        assert_eq!((report.is_removal, report.message.as_str()), (false, "Back"));
        assert_eq!(outcome(&full(&world).await), &FrameworkOutcome::Unchanged);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn failed_removal_is_reported_and_retried_thrice() {
    let world = both().await;
    let refuse = || world.fail_next("cloudformation:DeleteStackInstances", PortErrorKind::Denied);
    refuse();
    push(&world, "Remove", ONE_ONLY, true);
    let seen = push_seen(&world).await.unwrap();
    assert!(matches!(outcome(&seen), FrameworkOutcome::Failed(_)), "{seen:?}");
    assert_eq!((seen.counts.rollouts_failed, seen.counts.mutating_calls), (1, 1));
    let told = |world: &World| -> Vec<String> {
        let of = |notice: &Notice| match notice {
            Notice::RolloutFailed(report) if report.is_removal => report.next.clone().unwrap(),
            other => panic!("{other:?}"),
        };
        world.take_notices().iter().map(of).collect()
    };
    assert!(told(&world)[0].contains("retry 1 of 3"));
    assert_eq!(outcome(&push_seen(&world).await.unwrap()), &FrameworkOutcome::FailedBefore);
    assert_eq!(told(&world), Vec::<String>::new());
    for retry in 2..=4 {
        refuse();
        assert!(matches!(outcome(&full(&world).await), FrameworkOutcome::Failed(_)));
        let next = told(&world).concat();
        let expected = if retry < 4 { format!("retry {retry} of 3") } else { "tried 4 times".to_owned() };
        assert!(next.contains(&expected), "{next}");
    }
    assert_eq!(outcome(&full(&world).await), &FrameworkOutcome::FailedBefore);
    assert_eq!(told(&world), Vec::<String>::new());

    push(&world, "Again", ONE_ONLY, true);
    world.push("Again", &[("README.md", Some("# Our policy"))]);
    push_seen(&world).await.unwrap();
    settle(&world).await;
    assert_eq!(instances(&world), None);
}

/// The removal failed, and the policy declares the framework again, as before.
#[tokio::test(flavor = "current_thread")]
async fn framework_returns_after_failed_removal() {
    let world = both().await;
    world.fail_next("cloudformation:DeleteStackInstances", PortErrorKind::Denied);
    push(&world, "Remove", ONE_ONLY, true);
    push_seen(&world).await.unwrap();
    push(&world, "Back", BOTH, true);
    push_seen(&world).await.unwrap();
    settle(&world).await;
    assert_eq!(instances(&world), Some(1));
    assert!(!world.state().rollouts[&other()].value.undeclared);
    assert_eq!(outcome(&full(&world).await), &FrameworkOutcome::Unchanged);
}
