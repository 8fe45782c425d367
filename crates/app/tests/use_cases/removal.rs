//! The deletion of the application, beyond what goes well.

use crate::deploy::{answers, deploy, ended, mutations, name, push_seen, request, rolled_out};
use crate::policy::{FRAMEWORK, ONE, THREE, TWO, policy};
use crate::units;
use app::events::{Look, Trigger};
use app::ports::PortErrorKind;
use domain::notice::Notice;
use testkit::world::World;

async fn finish(world: &World) {
    for _ in 0..6 {
        world.end_operations();
        ended(world).await.unwrap();
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_rollout_that_is_going_on_is_stopped_and_not_waited_for() {
    let world = World::new();
    world
        .push("Start", &[("backup-compliance.yaml", Some(&policy(&[ONE], None))), ("framework.yaml", Some(FRAMEWORK))]);
    push_seen(&world).await.unwrap();
    mutations(&world);
    request(&world, "Delete", "9").await.unwrap();
    assert_eq!(mutations(&world), ["StopStackSetOperation"]);
    // It is asked once: what it has begun takes its time.
    deploy(&world).handle(&[Trigger::Schedule(Look::Light)]).await.unwrap();
    assert_eq!(mutations(&world), Vec::<&str>::new());
    finish(&world).await;
    assert_eq!(mutations(&world), ["DeleteStackInstances", "DeleteStackSet", "PutAnswer"]);
    assert_eq!(answers(&world)[0]["Status"], "SUCCESS");
}

/// It may have ended in the same moment.
#[tokio::test(flavor = "current_thread")]
async fn an_operation_that_cannot_be_stopped_ends_by_itself() {
    let world = World::new();
    world
        .push("Start", &[("backup-compliance.yaml", Some(&policy(&[ONE], None))), ("framework.yaml", Some(FRAMEWORK))]);
    push_seen(&world).await.unwrap();
    world.fail_next("cloudformation:StopStackSetOperation", PortErrorKind::Refused);
    request(&world, "Delete", "9").await.unwrap();
    finish(&world).await;
    assert_eq!(answers(&world)[0]["Status"], "SUCCESS");
}

#[tokio::test(flavor = "current_thread")]
async fn stacks_in_suspended_accounts_are_let_go_and_named() {
    let world = units::rolled_out(&units::policy(&[units::UNIT, units::OTHER], &[])).await;
    world.state().units.inactive = [THREE.parse().unwrap()].into();
    request(&world, "Delete", "9").await.unwrap();
    finish(&world).await;
    assert_eq!(answers(&world)[0]["Status"], "SUCCESS");
    assert!(world.state().stack_sets.is_empty());
    let notices = world.take_notices();
    let [Notice::RolloutSucceeded(report)] = notices.as_slice() else { panic!("{notices:?}") };
    assert!(report.removed);
    assert_eq!(report.deleted, 4, "what was let go is not deleted");
    let let_go: Vec<String> = report.let_go.iter().map(ToString::to_string).collect();
    assert_eq!(let_go, [format!("{THREE}/eu-west-1"), format!("{THREE}/us-east-1")]);
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_left_is_told_with_what_to_do() {
    let world = rolled_out(&[ONE, TWO]).await;
    world.fail_next("cloudformation:DeleteStackInstances", PortErrorKind::Denied);
    request(&world, "Delete", "9").await.unwrap();
    let failed = answers(&world);
    assert_eq!(failed[0]["Status"], "FAILED");
    let notices = world.take_notices();
    let [Notice::RolloutFailed(report)] = notices.as_slice() else { panic!("{notices:?}") };
    let next = report.next.as_deref().unwrap();
    assert!(report.removed && next.contains("Deleting the application again"), "{next}");
    // No schedule tries again: nothing may happen before somebody says so.
    mutations(&world);
    units::full(&world).await;
    assert_eq!(mutations(&world), Vec::<&str>::new());
    request(&world, "Delete", "10").await.unwrap();
    finish(&world).await;
    assert_eq!(answers(&world)[0]["Status"], "SUCCESS");
    assert!(!world.state().stack_sets.contains_key(&name()));
}
