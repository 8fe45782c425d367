//! Since when a control is in force: what `deploy` publishes beside the controls.

use crate::deploy::{name, push_seen, rolled_out, settle};
use crate::policy::{FRAMEWORK, ONE, THREE, TWO, policy};
use domain::ids::{AccountId, RegionName};
use jiff::{SignedDuration, Timestamp};
use testkit::world::World;

const COVERAGE: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN";
const RETENTION: &str = "BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK";

fn now(world: &World) -> Timestamp {
    world.state().now
}

fn pass(world: &World, time: SignedDuration) {
    world.state().now += time;
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn since(world: &World, account: &str, region: &str, control: &str) -> Option<Timestamp> {
    let (account, region) = (AccountId::parse(account).unwrap(), RegionName::parse(region).unwrap());
    let state = world.state();
    let facts = &state.frameworks[&name()];
    assert!(facts.parameters(&account, &region, control).is_some(), "{control} is in force in {account}/{region}");
    facts.since(&account, &region, control)
}

async fn push(world: &World, message: &str, files: &[(&str, Option<&str>)]) {
    world.push(message, files);
    push_seen(world).await.unwrap();
    settle(world).await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_control_keeps_its_time_until_its_parameters_change() {
    let world = rolled_out(&[ONE, TWO]).await;
    let first = since(&world, ONE, "eu-west-1", COVERAGE).unwrap();
    assert_eq!(since(&world, TWO, "us-east-1", RETENTION), Some(first));

    pass(&world, HOUR);
    let stricter = FRAMEWORK.replace("Default: \"35\"", "Default: \"90\"");
    push(&world, "Stricter", &[("framework.yaml", Some(&stricter))]).await;
    let second = now(&world);
    assert_ne!(first, second);
    for account in [ONE, TWO] {
        assert_eq!(since(&world, account, "eu-west-1", COVERAGE), Some(first));
        assert_eq!(since(&world, account, "eu-west-1", RETENTION), Some(second));
    }

    pass(&world, HOUR);
    push(&world, "One override", &[("backup-compliance.yaml", Some(&policy(&[ONE, TWO], Some("120"))))]).await;
    assert_eq!(since(&world, ONE, "eu-west-1", RETENTION), Some(second));
    assert_eq!(since(&world, TWO, "eu-west-1", RETENTION), Some(now(&world)));
    assert_eq!(since(&world, TWO, "eu-west-1", COVERAGE), Some(first));
}

#[tokio::test(flavor = "current_thread")]
async fn an_account_and_a_region_that_join_have_a_time_of_their_own() {
    let world = rolled_out(&[ONE, TWO]).await;
    let first = now(&world);
    pass(&world, HOUR);
    push(&world, "Join", &[("backup-compliance.yaml", Some(&policy(&[ONE, TWO, THREE], None)))]).await;
    let second = now(&world);
    assert_eq!(since(&world, ONE, "eu-west-1", COVERAGE), Some(first));
    assert_eq!(since(&world, THREE, "eu-west-1", COVERAGE), Some(second));

    pass(&world, HOUR);
    let wider = policy(&[ONE, TWO, THREE], None).replace("us-east-1, eu-west-1", "us-east-1, eu-west-1, eu-west-2");
    push(&world, "Widen", &[("backup-compliance.yaml", Some(&wider))]).await;
    let third = now(&world);
    for (account, region, expected) in [
        (ONE, "eu-west-1", first),
        (TWO, "us-east-1", first),
        (THREE, "us-east-1", second),
        (ONE, "eu-west-2", third),
        (THREE, "eu-west-2", third),
    ] {
        assert_eq!(since(&world, account, region, COVERAGE), Some(expected), "{account}/{region}");
    }
    assert_eq!(world.state().frameworks[&name()].variants.len(), 3, "split no further than it differs");

    // Who leaves and comes back starts over.
    push(&world, "Leave", &[("backup-compliance.yaml", Some(&policy(&[TWO, THREE], None)))]).await;
    pass(&world, HOUR);
    push(&world, "Return", &[("backup-compliance.yaml", Some(&policy(&[ONE, TWO, THREE], None)))]).await;
    assert_eq!(since(&world, ONE, "eu-west-1", COVERAGE), Some(now(&world)));
    assert_eq!(since(&world, TWO, "eu-west-1", COVERAGE), Some(first));
}

#[tokio::test(flavor = "current_thread")]
async fn times_that_lie_long_back_become_one() {
    let world = rolled_out(&[ONE]).await;
    pass(&world, HOUR);
    push(&world, "Two", &[("backup-compliance.yaml", Some(&policy(&[ONE, TWO], None)))]).await;
    let second = now(&world);
    assert_eq!(world.state().frameworks[&name()].variants.len(), 2);
    pass(&world, SignedDuration::from_hours(31 * 24));
    push(&world, "Three", &[("backup-compliance.yaml", Some(&policy(&[ONE, TWO, THREE], None)))]).await;
    assert_eq!(since(&world, ONE, "eu-west-1", COVERAGE), Some(second));
    assert_eq!(since(&world, TWO, "eu-west-1", COVERAGE), Some(second));
    assert_eq!(since(&world, THREE, "eu-west-1", COVERAGE), Some(now(&world)));
    assert_eq!(world.state().frameworks[&name()].variants.len(), 2);
}

/// Published by a version that wrote down no times.
#[tokio::test(flavor = "current_thread")]
async fn a_time_that_nobody_knows_stays_unknown() {
    let world = rolled_out(&[ONE]).await;
    for variant in &mut world.state().frameworks.get_mut(&name()).unwrap().variants {
        variant.since.clear();
    }
    let stricter = FRAMEWORK.replace("Default: \"35\"", "Default: \"90\"");
    push(&world, "Stricter", &[("framework.yaml", Some(&stricter))]).await;
    assert_eq!(since(&world, ONE, "eu-west-1", COVERAGE), None);
    assert_eq!(since(&world, ONE, "eu-west-1", RETENTION), Some(now(&world)));
}

#[tokio::test(flavor = "current_thread")]
async fn facts_that_stay_the_same_are_not_published_again() {
    let world = rolled_out(&[ONE, TWO]).await;
    let before = world.state().frameworks[&name()].clone();
    pass(&world, HOUR);
    let slower = format!("{}    rollout: {{ maxConcurrency: 1 }}\n", policy(&[ONE, TWO], None));
    world.push("Slower", &[("backup-compliance.yaml", Some(&slower))]);
    push_seen(&world).await.unwrap();
    // One write: the rollout itself.
    assert_eq!(World::mutating(&world.take_calls()), ["sns:Publish", "dynamodb:PutItem"]);
    assert_eq!(world.state().frameworks[&name()], before);
}
