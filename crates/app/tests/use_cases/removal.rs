//! The deletion of the application, with obstacles.

use app::events::{DeployTrigger, ReconcileScope};
use app::inventory::StoredInventory;
use app::ports::PortErrorKind;
use domain::notice::Notice;
use framework::ids::AccountId;
use testkit::world::World;

use crate::deploy::{answers, deploy, ended, mutations, name, push_seen, request, rolled_out};
use crate::policy::{FRAMEWORK, ONE, THREE, TWO, policy};
use crate::units;

async fn finish(world: &World) {
    for _ in 0..6 {
        world.end_operations();
        ended(world).await.unwrap();
    }
}

#[tokio::test(flavor = "current_thread")]
async fn deletion_stops_running_rollout() {
    let world = World::new();
    world
        .push("Start", &[("backup-compliance.yaml", Some(&policy(&[ONE], None))), ("framework.yaml", Some(FRAMEWORK))]);
    push_seen(&world).await.unwrap();
    mutations(&world);
    request(&world, "Delete", "9").await.unwrap();
    assert_eq!(mutations(&world), ["StopStackSetOperation"]);
    // One request: the work that has begun takes its time.
    deploy(&world).handle(&[DeployTrigger::Schedule(ReconcileScope::QuickCheck)]).await.unwrap();
    assert_eq!(mutations(&world), Vec::<&str>::new());
    finish(&world).await;
    assert_eq!(mutations(&world), ["DeleteStackInstances", "DeleteStackSet", "PutAnswer"]);
    assert_eq!(answers(&world)[0]["Status"], "SUCCESS");
}

/// It may have ended in the same moment.
#[tokio::test(flavor = "current_thread")]
async fn unstoppable_operation_ends_by_itself() {
    let world = World::new();
    world
        .push("Start", &[("backup-compliance.yaml", Some(&policy(&[ONE], None))), ("framework.yaml", Some(FRAMEWORK))]);
    push_seen(&world).await.unwrap();
    world.fail_next("cloudformation:StopStackSetOperation", PortErrorKind::Rejected);
    request(&world, "Delete", "9").await.unwrap();
    finish(&world).await;
    assert_eq!(answers(&world)[0]["Status"], "SUCCESS");
}

#[tokio::test(flavor = "current_thread")]
async fn stacks_in_suspended_accounts_are_retained() {
    let world = units::rolled_out(&units::policy(&[units::UNIT, units::OTHER], &[])).await;
    world.state().units.inactive = [AccountId::parse(THREE).unwrap()].into();
    request(&world, "Delete", "9").await.unwrap();
    finish(&world).await;
    assert_eq!(answers(&world)[0]["Status"], "SUCCESS");
    assert!(world.state().stack_sets.is_empty());
    let notices = world.take_notices();
    let [Notice::RolloutSucceeded(report)] = notices.as_slice() else { panic!("{notices:?}") };
    assert!(report.is_removal);
    assert_eq!(report.deleted, 4, "retained instances are not deleted");
    let let_go: Vec<String> = report.retained.iter().map(ToString::to_string).collect();
    assert_eq!(let_go, [format!("{THREE}/eu-west-1"), format!("{THREE}/us-east-1")]);
}

#[tokio::test(flavor = "current_thread")]
async fn remaining_stacks_are_reported_with_advice() {
    let world = rolled_out(&[ONE, TWO]).await;
    world.fail_next("cloudformation:DeleteStackInstances", PortErrorKind::Denied);
    request(&world, "Delete", "9").await.unwrap();
    let failed = answers(&world);
    assert_eq!(failed[0]["Status"], "FAILED");
    let notices = world.take_notices();
    let [Notice::RolloutFailed(report)] = notices.as_slice() else { panic!("{notices:?}") };
    let next = report.next.as_deref().unwrap();
    assert!(report.is_removal && next.contains("Deleting the application again"), "{next}");
    // No schedule retries: nothing happens before a user requests it.
    mutations(&world);
    units::full(&world).await;
    assert_eq!(mutations(&world), Vec::<&str>::new());
    request(&world, "Delete", "10").await.unwrap();
    finish(&world).await;
    assert_eq!(answers(&world)[0]["Status"], "SUCCESS");
    assert!(!world.state().stack_sets.contains_key(&name()));
}

/// CloudFormation deletes only an empty bucket.
#[tokio::test(flavor = "current_thread")]
async fn inventory_is_removed_before_the_answer() {
    let stored = |world: &World| {
        let stored_at = world.state().now;
        world.state().inventory = Some(StoredInventory { text: "{}".to_owned(), stored_at });
        world.state().partial_inventory = Some("{}".to_owned());
    };
    let is_empty = |world: &World| world.state().inventory.is_none() && world.state().partial_inventory.is_none();
    let world = rolled_out(&[ONE]).await;
    stored(&world);
    request(&world, "Delete", "9").await.unwrap();
    assert!(!is_empty(&world), "not before the frameworks are removed");
    finish(&world).await;
    assert!(is_empty(&world));
    assert_eq!(answers(&world)[0]["Status"], "SUCCESS");

    // After a lost response, the next quick check repeats it.
    let world = rolled_out(&[ONE]).await;
    stored(&world);
    request(&world, "Delete", "9").await.unwrap();
    world.end_operations();
    world.lose_next_answer("s3:DeleteObject");
    let mut failed = false;
    for _ in 0..6 {
        failed |= ended(&world).await.is_err();
        if failed {
            break;
        }
        world.end_operations();
    }
    assert!(failed && answers(&world).is_empty());
    deploy(&world).handle(&[DeployTrigger::Schedule(ReconcileScope::QuickCheck)]).await.unwrap();
    assert!(is_empty(&world));
    assert_eq!(answers(&world)[0]["Status"], "SUCCESS");

    let world = rolled_out(&[ONE]).await;
    stored(&world);
    world.fail_next("s3:DeleteObject", PortErrorKind::Denied);
    request(&world, "Delete", "9").await.unwrap();
    finish(&world).await;
    let failed = answers(&world);
    let reason = failed[0]["Reason"].as_str().unwrap();
    assert!(
        failed[0]["Status"] == "FAILED" && reason.contains("the inventory in the application's bucket"),
        "{reason}"
    );
    request(&world, "Delete", "10").await.unwrap();
    assert_eq!(answers(&world)[0]["Status"], "SUCCESS");
}
