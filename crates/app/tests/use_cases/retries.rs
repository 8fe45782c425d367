//! A failed rollout: its notices and its retries.

use app::deploy::FrameworkOutcome;
use app::events::{DeployTrigger, ReconcileScope};
use domain::notice::{Notice, RolloutReport};
use testkit::world::World;

use crate::deploy::{current, deploy, ended, name, outcome, push_seen, settle};
use crate::policy::{FRAMEWORK, ONE, TWO, policy};
use crate::units::full;

fn failures(world: &World) -> Vec<RolloutReport> {
    let of = |notice: &Notice| match notice {
        Notice::RolloutFailed(report) => report.clone(),
        other => panic!("{other:?}"),
    };
    world.take_notices().iter().map(of).collect()
}

/// Two accounts, one of which has no execution role in one Region.
async fn failed() -> World {
    let world = World::new();
    world.state().broken.insert(format!("{TWO}/eu-west-1"), "no execution role".into());
    world.push(
        "Start",
        &[("backup-compliance.yaml", Some(&policy(&[ONE, TWO], None))), ("framework.yaml", Some(FRAMEWORK))],
    );
    push_seen(&world).await.unwrap();
    let seen = settle(&world).await;
    assert!(matches!(outcome(&seen), FrameworkOutcome::FailedBefore), "{seen:?}");
    world
}

#[tokio::test(flavor = "current_thread")]
async fn partial_failure_is_reported_and_retried_thrice() {
    let world = failed().await;
    let [report] = failures(&world).try_into().unwrap();
    assert_eq!((report.verdict.succeeded, report.verdict.total), (3, 4));
    assert_eq!(report.verdict.failures[0].reason, "no execution role");
    assert!(report.next.unwrap().contains("retry 1 of 3"));

    let mut told = Vec::new();
    for _ in 0..6 {
        full(&world).await;
        settle(&world).await;
        told.extend(failures(&world).into_iter().map(|report| report.next.unwrap()));
    }
    let [second, third, last] = told.try_into().unwrap();
    assert!(second.contains("retry 2 of 3") && third.contains("retry 3 of 3"), "{second} {third}");
    assert!(last.contains("tried 4 times and is not tried again before the next push"), "{last}");
    world.take_calls();
    assert_eq!(outcome(&full(&world).await), &FrameworkOutcome::FailedBefore);
    assert_eq!(World::mutating(&world.take_calls()), Vec::<&str>::new());
    let ended = world.state().rollouts[&name()].value.ended.clone().unwrap();
    assert_eq!((ended.failed, ended.skipped, ended.verdict.failures.len()), (1, 0, 1));
}

/// An author expects a push to take effect, whatever the commit changes.
#[tokio::test(flavor = "current_thread")]
async fn push_restarts_failed_attempts() {
    let world = failed().await;
    for _ in 0..4 {
        full(&world).await;
        settle(&world).await;
    }
    world.take_notices();
    let commit = world.push("Explain", &[("README.md", Some("# Our policy"))]);
    assert!(matches!(outcome(&push_seen(&world).await.unwrap()), FrameworkOutcome::Started(_)));
    settle(&world).await;
    let [report] = failures(&world).try_into().unwrap();
    assert_eq!((report.commit, report.message.as_str()), (commit, "Explain"));
    assert!(report.next.unwrap().contains("retry 1 of 3"));
    assert_eq!((report.created, report.updated), (0, 1), "the work of this attempt");

    world.state().broken.clear();
    full(&world).await;
    settle(&world).await;
    let notices = world.take_notices();
    let [Notice::RolloutSucceeded(report)] = notices.as_slice() else { panic!("{notices:?}") };
    assert_eq!((report.verdict.succeeded, current(&world)), (4, 4));
}

/// After a repair, the count restarts for the next failure.
#[tokio::test(flavor = "current_thread")]
async fn success_resets_count_of_attempts() {
    let world = failed().await;
    for _ in 0..3 {
        full(&world).await;
        settle(&world).await;
    }
    world.take_notices();
    world.state().broken.clear();
    world.push("Explain", &[("README.md", Some("# Our policy"))]);
    push_seen(&world).await.unwrap();
    settle(&world).await;
    world.take_notices();

    let victim = world.state().stack_sets[&name()].instances.keys().next().unwrap().clone();
    world.state().stack_sets.get_mut(&name()).unwrap().instances.remove(&victim);
    world.state().broken.insert(victim.to_string(), "Config is not recording".into());
    let mut told = 0;
    for _ in 0..6 {
        full(&world).await;
        settle(&world).await;
        told += failures(&world).len();
    }
    assert_eq!(told, 4, "once and three times more");
}

#[tokio::test(flavor = "current_thread")]
async fn counts_match_work_of_reconciliation() {
    let world = World::new();
    world.state().broken.insert(format!("{TWO}/eu-west-1"), "no execution role".into());
    world.push(
        "Start",
        &[("backup-compliance.yaml", Some(&policy(&[ONE, TWO], None))), ("framework.yaml", Some(FRAMEWORK))],
    );
    let counts = push_seen(&world).await.unwrap().counts;
    assert_eq!((counts.reconciliations, counts.mutating_calls), (1, 2));
    let counts = ended(&world).await.unwrap().counts;
    assert_eq!((counts.reconciliations, counts.mutating_calls), (1, 0), "it is going on");
    world.end_operations();
    // The failed instance is retried once within the same attempt.
    assert_eq!(ended(&world).await.unwrap().counts.mutating_calls, 1);
    world.end_operations();
    let counts = ended(&world).await.unwrap().counts;
    assert_eq!((counts.rollouts_failed, counts.rollouts_succeeded), (1, 0));
    assert_eq!((counts.instances_succeeded, counts.instances_failed), (3, 1));
    assert_eq!(counts.seconds_to_converge, None);

    world.state().broken.clear();
    world.state().now += jiff::SignedDuration::from_mins(10);
    full(&world).await;
    world.end_operations();
    world.state().now += jiff::SignedDuration::from_mins(5);
    let counts = ended(&world).await.unwrap().counts;
    assert_eq!((counts.rollouts_succeeded, counts.seconds_to_converge), (1, Some(15 * 60)), "since it was pushed");
    let counts = deploy(&world).handle(&[DeployTrigger::Schedule(ReconcileScope::Standard)]).await.unwrap().counts;
    assert_eq!(counts, app::deploy::DeployCounts::default(), "nothing has changed");
}
