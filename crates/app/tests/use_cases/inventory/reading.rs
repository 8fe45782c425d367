//! Calls, locations and unread parts.

use std::collections::{BTreeMap, BTreeSet};

use app::inventory::{
    InventoryError, InventoryScope, QUERIED, ReadFailureReason, ReadOptions, Recording, UNQUERIED, read,
};
use app::ports::PortErrorKind;
use evaluation::inventory::document::{LocationPart, PlanPart, Resource, SelectionPart, VaultPart};
use framework::control::CONTROLS;
use testkit::world::World;

use super::world::resource;
use super::{LocationKey, all, counted, go_on, location, options, organization, without_role};

/// The unread parts of a location.
fn parts(outcome: &app::inventory::InventoryOutcome, location: &LocationKey) -> BTreeSet<LocationPart> {
    let found = outcome.document.locations.iter().find(|of| of.account == location.0 && of.region == location.1);
    found.unwrap().unread.iter().map(|unread| unread.part).collect()
}

#[test]
fn every_control_type_is_queried_or_listed() {
    let asked: BTreeSet<&str> = QUERIED.into_iter().chain(UNQUERIED).collect();
    assert_eq!(asked.len(), QUERIED.len() + UNQUERIED.len());
    let protected: BTreeSet<&str> = CONTROLS
        .iter()
        .flat_map(|control| control.resource_types)
        .copied()
        .filter(|kind| !kind.starts_with("AWS::Backup::"))
        .collect();
    assert_eq!(asked, protected);
}

#[tokio::test]
async fn reading_makes_no_call_twice() {
    let world = organization();
    let outcome = all(&world).await;
    assert_eq!(outcome.failures, []);
    assert_eq!(outcome.document.locations.len(), 4);
    let expected = [
        ("backup-gateway:ListVirtualMachines", 4),
        // Of the table that has recovery points.
        ("backup:DescribeProtectedResource", 4),
        ("backup:DescribeRegionSettings", 4),
        ("backup:GetBackupPlan", 4),
        ("backup:GetBackupSelection", 4),
        ("backup:GetBackupVaultAccessPolicy", 4),
        ("backup:ListBackupPlans", 4),
        ("backup:ListBackupSelections", 4),
        ("backup:ListBackupVaults", 4),
        ("backup:ListProtectedResources", 4),
        ("backup:ListRecoveryPointsByBackupVault", 4),
        // Of a plan and of a vault.
        ("backup:ListTags", 8),
        ("config:DescribeConfigurationAggregatorSourcesStatus", 1),
        ("config:DescribeConfigurationRecorders", 4),
        // The types, and recovery points: plans and vaults come from AWS Backup.
        ("config:SelectAggregateResourceConfig", QUERIED.len() + 1),
        ("fsx:DescribeFileSystems", 4),
        ("storagegateway:ListVolumes", 4),
        // Once for each account.
        ("sts:AssumeRole", 2),
    ];
    assert_eq!(counted(&world.take_calls()), expected);
    // The list may not contain locks.
    for location in world.state().backup.locations.values_mut() {
        location.lists_locks = false;
    }
    all(&world).await;
    assert!(counted(&world.take_calls()).contains(&("backup:DescribeBackupVault", 4)));
}

fn key_of(location: &LocationKey, id: &str) -> String {
    format!("arn:aws:kms:{}:{}:key/{id}", location.1, location.0)
}

fn volume(location: &LocationKey, id: &str, key: &str, is_managed: Option<bool>) -> Resource {
    Resource {
        arn: format!("arn:aws:ec2:{}:{}:volume/{id}", location.1, location.0),
        account: location.0.to_string(),
        region: location.1.to_string(),
        encryption_key: Some(key.to_owned()),
        aws_managed_key: is_managed,
        ..resource("volume/a", &[])
    }
}

/// A world of one location with these resources.
fn world_of(here: &LocationKey, resources: Vec<Resource>) -> World {
    let world = organization();
    world.state().backup.locations.retain(|location, _| location == here);
    world.state().backup.locations.get_mut(here).unwrap().resources = resources;
    world
}

#[tokio::test]
async fn keys_are_described_once_and_only_if_needed() {
    let here = location("111122223333", "eu-west-1");
    let (managed, own) = (key_of(&here, "1"), key_of(&here, "2"));
    let other = "arn:aws:kms:eu-west-1:444455556666:key/3";
    let table = Resource { kind: resource("table/t", &[]).kind, ..volume(&here, "table", &own, None) };
    let world = world_of(
        &here,
        vec![
            volume(&here, "vol-1", &managed, Some(true)),
            volume(&here, "vol-2", &managed, Some(true)),
            volume(&here, "vol-3", &own, Some(false)),
            volume(&here, "vol-4", "alias/aws/ebs", None),
            volume(&here, "vol-5", "arn:aws:kms:eu-west-1:111122223333:alias/mine", None),
            volume(&here, "vol-6", other, None),
            // A key that was deleted.
            volume(&here, "vol-7", &key_of(&here, "4"), None),
            // No rule of the control judges tables.
            table,
        ],
    );
    let outcome = all(&world).await;
    assert_eq!(outcome.failures, []);
    let managers: Vec<Option<bool>> = outcome.document.resources.iter().map(|of| of.aws_managed_key).collect();
    let expected = [None, Some(true), Some(true), Some(false), Some(true), Some(false), Some(false), Some(false)];
    assert_eq!(managers, expected);
    assert!(counted(&world.take_calls()).contains(&("kms:DescribeKey", 3)));
}

#[tokio::test]
async fn restore_times_are_read_of_protected_resources() {
    let here = location("111122223333", "eu-west-1");
    let restored =
        |id: &str, minutes| Resource { latest_restore_minutes: minutes, ..volume(&here, id, "alias/x", None) };
    let machine = Resource { kind: resource("vm/v", &[]).kind, ..restored("machine", Some(3)) };
    let world =
        world_of(&here, vec![restored("vol-1", Some(61)), restored("vol-2", None), restored("vol-3", None), machine]);
    // Its recovery point was never restored; `vol-3` has none.
    let point = serde_json::json!({"arn": "p", "resource": restored("vol-2", None).arn, "account": here.0, "region": here.1,
        "vault": "daily", "created": "2026-11-26T03:00:00Z"});
    let point = serde_json::from_value(point).unwrap();
    world.state().backup.locations.get_mut(&here).unwrap().recovery_points.push(point);
    let outcome = all(&world).await;
    assert_eq!(outcome.failures, []);
    let minutes: Vec<Option<u64>> = outcome.document.resources.iter().map(|of| of.latest_restore_minutes).collect();
    assert_eq!(minutes, [None, Some(61), None, None], "the control judges no virtual machine");
    assert!(counted(&world.take_calls()).contains(&("backup:DescribeProtectedResource", 2)));

    // Without a resource to judge there is no call, and a denied one is not repeated.
    let calls = |world: &World| counted(&world.take_calls()).into_iter().collect::<BTreeMap<_, _>>();
    let world = world_of(&here, Vec::new());
    all(&world).await;
    assert_eq!(calls(&world).get("backup:ListProtectedResources"), None);
    for (kind, count) in [(PortErrorKind::Denied, 1), (PortErrorKind::Rejected, 2)] {
        let world = world_of(&here, vec![restored("vol-1", Some(5)), restored("vol-2", Some(6))]);
        world.fail_next("backup:DescribeProtectedResource", kind);
        let outcome = all(&world).await;
        assert_eq!(calls(&world)["backup:DescribeProtectedResource"], count);
        assert_eq!(parts(&outcome, &here), BTreeSet::from([LocationPart::Restores]));
        assert!(outcome.document.locations[0].unread[0].reason.starts_with("backup:DescribeProtectedResource failed"));
    }
}

#[tokio::test]
async fn location_is_known_by_content_or_scope() {
    let world = organization();
    world.state().backup.names_sources = false;
    let empty = location("777788889999", "eu-west-1");
    world.state().backup.locations.insert(empty.clone(), testkit::world::FakeLocation::default());
    assert_eq!(all(&world).await.document.locations.len(), 4, "nothing of the fifth is recorded");
    let scope = InventoryScope { accounts: [empty.0.clone()].into(), regions: [empty.1.clone()].into() };
    let outcome = go_on(&world, &ReadOptions { scope, jobs: 1 }, Vec::new(), &mut Vec::new()).await.unwrap();
    assert_eq!(outcome.failures, []);
    assert_eq!(outcome.document.locations.len(), 1);
    assert_eq!(outcome.document.locations[0].account, empty.0);
    assert_eq!(outcome.document.resources, []);

    let scope = InventoryScope {
        accounts: BTreeSet::new(),
        regions: [location("1".repeat(12).as_str(), "us-east-1").1].into(),
    };
    let outcome = go_on(&world, &ReadOptions { scope, jobs: 1 }, Vec::new(), &mut Vec::new()).await.unwrap();
    let regions: Vec<&str> = outcome.document.locations.iter().map(|location| location.region.as_str()).collect();
    assert_eq!(regions, ["us-east-1", "us-east-1"]);
    assert!(outcome.document.resources.iter().all(|resource| resource.region == "us-east-1"));

    let nowhere =
        InventoryScope { accounts: [location("999999999999", "eu-west-1").0].into(), regions: BTreeSet::new() };
    let outcome = go_on(&world, &ReadOptions { scope: nowhere, jobs: 1 }, Vec::new(), &mut Vec::new()).await.unwrap();
    assert_eq!(outcome.failures.len(), 1, "an empty document is not a complete one");
}

#[tokio::test]
async fn account_without_role_has_aggregator_data_only() {
    let world = organization();
    let closed = location("444455556666", "eu-west-1");
    world.state().backup.closed.insert(closed.0.clone());
    let outcome = all(&world).await;
    let all_parts = BTreeSet::from([
        LocationPart::Resources,
        LocationPart::Plans,
        LocationPart::Vaults,
        LocationPart::RecoveryPoints,
        LocationPart::Restores,
    ]);
    assert_eq!(parts(&outcome, &closed), all_parts);
    assert_eq!(parts(&outcome, &location("111122223333", "eu-west-1")), BTreeSet::new());
    assert!(outcome.failures.iter().all(|failure| failure.reason == ReadFailureReason::NoRole));
    assert!(outcome.failures.iter().all(|failure| failure.location.as_ref().is_some_and(|(of, _)| *of == closed.0)));
    let message = &outcome.document.locations.iter().find(|of| of.account == closed.0).unwrap().unread[0].reason;
    assert!(message.starts_with("sts:AssumeRole failed"), "{message}");
    // Its resources are complete, its selections as AWS Config has them.
    let resources = outcome.document.resources.iter().filter(|of| of.account == closed.0.as_str());
    assert_eq!(resources.count(), 2);
    let plan = outcome.document.plans.iter().find(|plan| plan.account == closed.0).unwrap();
    assert_eq!(plan.selections[0].unread, [SelectionPart::ListOfTags, SelectionPart::Conditions]);
    let vault = outcome.document.vaults.iter().find(|vault| vault.account == closed.0).unwrap();
    assert_eq!(vault.unread, [VaultPart::Policy, VaultPart::Lock]);
    let calls = counted(&world.take_calls());
    assert!(calls.contains(&("sts:AssumeRole", 2)), "{calls:?}");
    assert!(calls.contains(&("backup:DescribeRegionSettings", 2)), "nobody is asked in vain: {calls:?}");
    assert!(calls.contains(&("config:SelectAggregateResourceConfig", QUERIED.len() + 3)), "{calls:?}");
}

#[tokio::test]
async fn aggregator_only_makes_no_member_calls() {
    let world = organization();
    let outcome = without_role(&world).await;
    assert_eq!(outcome.document.resources.len(), 4);
    assert_eq!(outcome.document.plans.len(), 4);
    assert!(outcome.failures.iter().all(|failure| failure.reason == ReadFailureReason::AggregatorOnly));
    assert!(world.take_calls().iter().all(|call| call.starts_with("config:")));
    assert!(
        parts(&outcome, &location("111122223333", "eu-west-1")).contains(&LocationPart::Resources),
        "it may record less"
    );
}

#[tokio::test]
async fn disabled_region_is_called_once() {
    let world = organization();
    let off = location("111122223333", "us-east-1");
    world.state().backup.off.insert(off.clone());
    let outcome = all(&world).await;
    assert_eq!(parts(&outcome, &off).len(), 5);
    assert_eq!(outcome.failures.len(), 1);
    assert_eq!(
        (outcome.failures[0].reason, outcome.failures[0].location.as_ref()),
        (ReadFailureReason::RegionDisabled, Some(&off))
    );
    let calls = counted(&world.take_calls());
    assert!(calls.contains(&("backup:ListBackupPlans", 3)), "{calls:?}");
}

#[tokio::test]
async fn unrecorded_types_leave_resources_unread() {
    let world = organization();
    let (none, some) = (location("111122223333", "us-east-1"), location("444455556666", "us-east-1"));
    let stale = location("444455556666", "eu-west-1");
    {
        let locations = &mut world.state().backup.locations;
        locations.get_mut(&none).unwrap().recording = Recording::Nothing;
        let but = BTreeSet::from(["AWS::DynamoDB::Table".to_owned(), "AWS::IAM::User".to_owned()]);
        locations.get_mut(&some).unwrap().recording = Recording::AllBut(but);
        locations.get_mut(&stale).unwrap().stale = Some("the aggregator cannot read this source".to_owned());
    }
    let outcome = all(&world).await;
    let message = |location: &LocationKey| {
        let of =
            outcome.document.locations.iter().find(|of| of.account == location.0 && of.region == location.1).unwrap();
        of.unread.iter().map(|unread| (unread.part, unread.reason.clone())).collect::<Vec<_>>()
    };
    assert_eq!(message(&none), [(LocationPart::Resources, "AWS Config does not record in this location".to_owned())]);
    assert_eq!(
        message(&some),
        [(LocationPart::Resources, "AWS Config does not record AWS::DynamoDB::Table here".to_owned())]
    );
    assert_eq!(message(&stale), [(LocationPart::Resources, "the aggregator cannot read this source".to_owned())]);
    let reasons: Vec<ReadFailureReason> = outcome.failures.iter().map(|failure| failure.reason).collect();
    assert_eq!(reasons, [ReadFailureReason::NotRecorded, ReadFailureReason::Stale, ReadFailureReason::NotRecorded]);
    // Recovery points are not recorded there either, so their tags would be unknown; there are none.
    assert_eq!(outcome.document.recovery_points, []);
}

#[tokio::test]
async fn vault_without_policy_is_read_as_none() {
    let world = organization();
    let here = location("111122223333", "us-east-1");
    world.state().backup.locations.get_mut(&here).unwrap().vaults[0].policy = None;
    let outcome = all(&world).await;
    assert_eq!(outcome.failures, []);
    let vault = outcome.document.vaults.iter().find(|of| of.account == here.0 && of.region == here.1).unwrap();
    assert_eq!((&vault.policy, vault.unread.len()), (&None, 0));
}

#[tokio::test]
async fn unavailable_service_has_no_resources() {
    for (call, switch) in [
        ("fsx:DescribeFileSystems", "FSx"),
        ("storagegateway:ListVolumes", "Storage Gateway"),
        ("backup-gateway:ListVirtualMachines", "VirtualMachine"),
    ] {
        for (kind, has_switch, failures) in [
            (PortErrorKind::Retryable, false, 0),
            (PortErrorKind::Retryable, true, 1),
            (PortErrorKind::Denied, false, 1),
        ] {
            let world = organization();
            let here = location("111122223333", "eu-west-1");
            world.state().backup.locations.retain(|location, _| *location == here);
            if !has_switch {
                world.state().backup.locations.get_mut(&here).unwrap().opt_in.remove(switch);
            }
            world.fail_next(call, kind);
            assert_eq!(all(&world).await.failures.len(), failures, "{call} {kind:?} {has_switch}");
        }
    }
}

/// The effect of one denied call in a world of one location.
/// Long because it is one table of calls.
#[tokio::test]
async fn failed_call_leaves_exactly_its_part_unread() {
    let here = location("111122223333", "eu-west-1");
    let of_place: [(&str, &[LocationPart]); 9] = [
        ("config:DescribeConfigurationRecorders", &[LocationPart::Resources]),
        ("backup:ListBackupPlans", &[LocationPart::Plans]),
        ("backup:ListBackupVaults", &[LocationPart::Vaults, LocationPart::RecoveryPoints]),
        ("backup:ListRecoveryPointsByBackupVault", &[LocationPart::RecoveryPoints]),
        ("backup:ListProtectedResources", &[LocationPart::Restores]),
        ("backup:DescribeProtectedResource", &[LocationPart::Restores]),
        ("fsx:DescribeFileSystems", &[LocationPart::Resources]),
        ("storagegateway:ListVolumes", &[LocationPart::Resources]),
        ("backup-gateway:ListVirtualMachines", &[LocationPart::Resources]),
    ];
    // In the document, these are at the item itself.
    let of_things = [
        "backup:DescribeRegionSettings",
        "backup:GetBackupPlan",
        "backup:ListBackupSelections",
        "backup:GetBackupSelection",
        "backup:DescribeBackupVault",
        "backup:GetBackupVaultAccessPolicy",
        "backup:ListTags",
        "kms:DescribeKey",
    ];
    let calls: Vec<(&str, &[LocationPart])> =
        of_place.into_iter().chain(of_things.map(|call| (call, &[][..]))).collect();
    for (call, record_failure) in calls {
        for (kind, reason) in [
            (PortErrorKind::Denied, ReadFailureReason::Denied),
            (PortErrorKind::Retryable, ReadFailureReason::Unavailable),
            (PortErrorKind::Rejected, ReadFailureReason::Rejected),
        ] {
            let world = organization();
            world.state().backup.locations.retain(|location, _| *location == here);
            {
                let mut state = world.state();
                let of = state.backup.locations.get_mut(&here).unwrap();
                of.lists_locks = false;
                of.resources.push(volume(&here, "vol-1", &key_of(&here, "1"), Some(true)));
            }
            world.fail_next(call, kind);
            let mut kept = Vec::new();
            let outcome = go_on(&world, &options(), Vec::new(), &mut kept).await.unwrap();
            assert_eq!(world.take_faults(), Vec::<&str>::new(), "{call} is not called");
            assert_eq!(parts(&outcome, &here), record_failure.iter().copied().collect(), "{call}");
            assert_eq!(outcome.failures.len(), 1, "{call}: {:?}", outcome.failures);
            assert_eq!(
                (outcome.failures[0].reason, outcome.failures[0].location.as_ref()),
                (reason, Some(&here)),
                "{call}"
            );
            assert!(outcome.failures[0].message.starts_with(&format!("{call} failed")), "{:?}", outcome.failures);
            let whole = kept.iter().any(|part| matches!(part, app::inventory::CompletedRead::Location(_)));
            assert_eq!(whole, reason != ReadFailureReason::Unavailable, "{call}: what may pass is asked again");
            let document = &outcome.document;
            let unread = || (document.plans[0].unread.clone(), document.vaults[0].unread.clone());
            match call {
                "backup:DescribeRegionSettings" => assert!(document.locations[0].opt_in.is_empty()),
                "backup:GetBackupPlan" => assert_eq!(unread().0, [PlanPart::Rules]),
                "backup:ListBackupSelections" => assert_eq!(unread().0, [PlanPart::Selections]),
                "backup:GetBackupSelection" => assert_eq!(document.plans[0].selections[0].unread.len(), 4),
                "backup:DescribeBackupVault" => assert_eq!(unread().1, [VaultPart::Lock]),
                "backup:GetBackupVaultAccessPolicy" => assert_eq!(unread().1, [VaultPart::Policy]),
                "backup:ListTags" => assert_eq!(unread().0, [PlanPart::Tags]),
                "kms:DescribeKey" => assert!(document.resources.iter().all(|of| of.aws_managed_key.is_none())),
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn item_deleted_while_reading_is_absent() {
    for (call, plans, selections, vaults) in [
        ("backup:GetBackupPlan", 0, 0, 1),
        ("backup:ListBackupSelections", 0, 0, 1),
        ("backup:GetBackupSelection", 1, 0, 1),
        ("backup:DescribeBackupVault", 1, 1, 0),
        ("backup:ListRecoveryPointsByBackupVault", 1, 1, 0),
    ] {
        let world = organization();
        let here = location("111122223333", "eu-west-1");
        world.state().backup.locations.retain(|location, _| *location == here);
        world.state().backup.locations.get_mut(&here).unwrap().lists_locks = false;
        world.fail_next(call, PortErrorKind::NotFound);
        let outcome = all(&world).await;
        assert_eq!(outcome.failures, [], "{call}");
        let document = &outcome.document;
        let found = (document.plans.len(), document.plans.iter().map(|plan| plan.selections.len()).sum::<usize>());
        assert_eq!((found, document.vaults.len()), ((plans, selections), vaults), "{call}");
    }
}

#[tokio::test]
async fn failed_type_query_is_unread_in_every_location() {
    let world = organization();
    world.fail_next("config:SelectAggregateResourceConfig", PortErrorKind::Rejected);
    let outcome = all(&world).await;
    assert_eq!(outcome.failures.len(), 1);
    assert_eq!((outcome.failures[0].subject.as_str(), &outcome.failures[0].location), (QUERIED[0], &None));
    for location in &outcome.document.locations {
        assert_eq!(location.unread.len(), 1);
        assert_eq!(location.unread[0].reason, format!("the aggregator query for {} failed", QUERIED[0]));
    }
    assert_eq!(outcome.document.resources.len(), 4);
}

#[tokio::test]
async fn aggregator_without_answers_fails_the_run() {
    let world = organization();
    for _ in QUERIED {
        world.fail_next("config:SelectAggregateResourceConfig", PortErrorKind::Denied);
    }
    let failed = go_on(&world, &options(), Vec::new(), &mut Vec::new()).await.unwrap_err();
    let InventoryError::Aggregator(error) = failed else { panic!("{failed}") };
    assert_eq!(error.kind, PortErrorKind::Denied);
    assert!(world.take_calls().iter().all(|call| call.starts_with("config:")), "no account is bothered");
}

#[tokio::test]
async fn missing_sources_are_a_named_failure() {
    let world = organization();
    world.fail_next("config:DescribeConfigurationAggregatorSourcesStatus", PortErrorKind::Denied);
    let outcome = all(&world).await;
    assert_eq!(outcome.document.locations.len(), 4, "by what is in them");
    assert_eq!(outcome.failures.len(), 1);
}

#[tokio::test]
async fn read_that_cannot_be_stored_fails_the_run() {
    let world = organization();
    let began = (super::world::as_of(), Vec::new());
    let full = |_: &app::inventory::CompletedRead| Err("the disk is full".to_owned());
    let failed = read(&world, Some(&world), &options(), began, full, |_| ()).await.unwrap_err();
    assert_eq!(failed, InventoryError::Store("the disk is full".to_owned()));
}
