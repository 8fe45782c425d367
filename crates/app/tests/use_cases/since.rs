//! The time since which a control is in force, which `deploy` publishes with the controls.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use app::deploy::{ControlVariant, PublishedFramework};
use framework::ids::{AccountId, RegionName};
use testkit::world::World;

use crate::deploy::{name, push_seen, rolled_out, settle};
use crate::policy::{FRAMEWORK, ONE, THREE, TWO, policy};

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
async fn control_keeps_time_until_parameters_change() {
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
async fn new_account_and_region_have_their_own_time() {
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

    // An account that leaves and returns starts over.
    push(&world, "Leave", &[("backup-compliance.yaml", Some(&policy(&[TWO, THREE], None)))]).await;
    pass(&world, HOUR);
    push(&world, "Return", &[("backup-compliance.yaml", Some(&policy(&[ONE, TWO, THREE], None)))]).await;
    assert_eq!(since(&world, ONE, "eu-west-1", COVERAGE), Some(now(&world)));
    assert_eq!(since(&world, TWO, "eu-west-1", COVERAGE), Some(first));
}

#[tokio::test(flavor = "current_thread")]
async fn old_times_are_merged() {
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

/// Published by a version that stored no times.
#[tokio::test(flavor = "current_thread")]
async fn unknown_time_stays_unknown() {
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
async fn unchanged_facts_are_not_published_again() {
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

/// Two accounts in two Regions, each of which was without the control, or had it with the same or other parameters.
#[test]
fn locations_have_independent_times() {
    let now: Timestamp = "2026-11-30T00:00:00Z".parse().unwrap();
    let time = |days: i64| now - SignedDuration::from_hours(days * 24);
    let account = |text: &str| AccountId::parse(text).unwrap();
    let region = |text: &str| RegionName::parse(text).unwrap();
    let places: Vec<_> =
        [ONE, TWO].iter().flat_map(|one| ["eu-west-1", "us-east-1"].map(|name| (account(one), region(name)))).collect();
    let controls = |days: &str| {
        let parameters = BTreeMap::from([("requiredRetentionDays".to_owned(), days.to_owned())]);
        BTreeMap::from([(RETENTION.to_owned(), parameters), (COVERAGE.to_owned(), BTreeMap::new())])
    };
    let facts = |variants| PublishedFramework { stack_set: name(), variants };
    let wanted = facts(vec![ControlVariant {
        accounts: places.iter().map(|(account, _)| account.clone()).collect(),
        regions: places.iter().map(|(_, region)| region.clone()).collect(),
        controls: controls("35"),
        since: BTreeMap::new(),
    }]);
    // Parameters and time before, and the times of the two controls after; the two old times become one.
    let (settled, recent) = (time(40), time(2));
    let states = [
        (None, now, now),
        (Some(("35", recent)), recent, recent),
        (Some(("90", recent)), now, recent),
        (Some(("35", settled)), settled, settled),
    ];
    for combination in 0..states.len().pow(4) {
        let of = |place: usize| states[combination / states.len().pow(u32::try_from(place).unwrap()) % states.len()];
        let published = facts(
            places
                .iter()
                .enumerate()
                .filter_map(|(place, (account, region))| {
                    let (days, since) = of(place).0?;
                    Some(ControlVariant {
                        accounts: BTreeSet::from([account.clone()]),
                        regions: BTreeSet::from([region.clone()]),
                        controls: controls(days),
                        since: [RETENTION, COVERAGE].map(|control| (control.to_owned(), since)).into(),
                    })
                })
                .collect(),
        );
        let next = wanted.clone().following(Some(&published), now);
        for (place, (account, region)) in places.iter().enumerate() {
            let (_, retention, coverage) = of(place);
            assert_eq!(next.since(account, region, RETENTION), Some(retention), "{combination}: {next:#?}");
            assert_eq!(next.since(account, region, COVERAGE), Some(coverage), "{combination}: {next:#?}");
            assert_eq!(next.parameters(account, region, RETENTION), wanted.parameters(account, region, RETENTION));
            let holding = |v: &&ControlVariant| v.accounts.contains(account) && v.regions.contains(region);
            assert_eq!(next.variants.iter().filter(holding).count(), 1, "{combination}: {next:#?}");
        }
        // Published facts are not published again.
        assert_eq!(wanted.clone().following(Some(&next), now + HOUR), next);
    }
}
