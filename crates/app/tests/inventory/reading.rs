//! Calls, places and gaps.

use std::collections::BTreeSet;

use app::inventory::{Failure, Narrowed, QUERIED, Question, Reason, Recording, UNQUERIED, read};
use app::ports::PortErrorKind;
use domain::control::CONTROLS;
use domain::inventory::document::{Part, PlanPart, SelectionPart, VaultPart};

use crate::{PlaceKey, all, counted, go_on, organisation, place, question, without_role};

/// The unread parts of a place.
fn parts(outcome: &app::inventory::Outcome, place: &PlaceKey) -> BTreeSet<Part> {
    let found = outcome.document.places.iter().find(|of| of.account == place.0 && of.region == place.1);
    found.unwrap().unread.iter().map(|unread| unread.part).collect()
}

#[test]
fn every_type_of_the_controls_is_asked_for_in_one_of_two_ways() {
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
async fn no_call_is_made_twice() {
    let world = organisation();
    let outcome = all(&world).await;
    assert_eq!(outcome.troubles, []);
    assert_eq!(outcome.document.places.len(), 4);
    let expected = [
        ("backup-gateway:ListVirtualMachines", 4),
        ("backup:DescribeRegionSettings", 4),
        ("backup:GetBackupPlan", 4),
        ("backup:GetBackupSelection", 4),
        ("backup:GetBackupVaultAccessPolicy", 4),
        ("backup:ListBackupPlans", 4),
        ("backup:ListBackupSelections", 4),
        ("backup:ListBackupVaults", 4),
        ("backup:ListRecoveryPointsByBackupVault", 4),
        ("backup:ListRestoreJobs", 4),
        // Of a plan and of a vault.
        ("backup:ListTags", 8),
        ("config:DescribeConfigurationAggregatorSourcesStatus", 1),
        ("config:DescribeConfigurationRecorders", 4),
        // The types, and recovery points: plans and vaults come from AWS Backup.
        ("config:SelectAggregateResourceConfig", QUERIED.len() + 1),
        ("fsx:DescribeFileSystems", 4),
        ("storagegateway:ListVolumes", 4),
        // Once an account.
        ("sts:AssumeRole", 2),
    ];
    assert_eq!(counted(&world.take_calls()), expected);
    // The list may not tell of locks.
    for place in world.state().backup.places.values_mut() {
        place.lists_locks = false;
    }
    all(&world).await;
    assert!(counted(&world.take_calls()).contains(&("backup:DescribeBackupVault", 4)));
}

#[tokio::test]
async fn a_place_is_known_by_what_is_in_it_or_by_name() {
    let world = organisation();
    world.state().backup.names_sources = false;
    let empty = place("777788889999", "eu-west-1");
    world.state().backup.places.insert(empty.clone(), testkit::world::FakePlace::default());
    assert_eq!(all(&world).await.document.places.len(), 4, "nothing of the fifth is recorded");
    let narrowed = Narrowed { accounts: [empty.0.clone()].into(), regions: [empty.1.clone()].into() };
    let outcome = go_on(&world, &Question { narrowed, jobs: 1 }, Vec::new(), &mut Vec::new()).await.unwrap();
    assert_eq!(outcome.troubles, []);
    assert_eq!(outcome.document.places.len(), 1);
    assert_eq!(outcome.document.places[0].account, empty.0);
    assert_eq!(outcome.document.resources, []);

    let narrowed =
        Narrowed { accounts: BTreeSet::new(), regions: [place("1".repeat(12).as_str(), "us-east-1").1].into() };
    let outcome = go_on(&world, &Question { narrowed, jobs: 1 }, Vec::new(), &mut Vec::new()).await.unwrap();
    let regions: Vec<&str> = outcome.document.places.iter().map(|place| place.region.as_str()).collect();
    assert_eq!(regions, ["us-east-1", "us-east-1"]);
    assert!(outcome.document.resources.iter().all(|resource| resource.region == "us-east-1"));

    let nowhere = Narrowed { accounts: [place("999999999999", "eu-west-1").0].into(), regions: BTreeSet::new() };
    let outcome = go_on(&world, &Question { narrowed: nowhere, jobs: 1 }, Vec::new(), &mut Vec::new()).await.unwrap();
    assert_eq!(outcome.troubles.len(), 1, "an empty document is not a complete one");
}

#[tokio::test]
async fn an_account_without_the_role_is_known_as_far_as_the_aggregator_tells() {
    let world = organisation();
    let closed = place("444455556666", "eu-west-1");
    world.state().backup.closed.insert(closed.0.clone());
    let outcome = all(&world).await;
    let all_parts = BTreeSet::from([Part::Resources, Part::Plans, Part::Vaults, Part::RecoveryPoints, Part::Restores]);
    assert_eq!(parts(&outcome, &closed), all_parts);
    assert_eq!(parts(&outcome, &place("111122223333", "eu-west-1")), BTreeSet::new());
    assert!(outcome.troubles.iter().all(|trouble| trouble.reason == Reason::NoRole));
    assert!(outcome.troubles.iter().all(|trouble| trouble.place.as_ref().is_some_and(|(of, _)| *of == closed.0)));
    let why = &outcome.document.places.iter().find(|of| of.account == closed.0).unwrap().unread[0].why;
    assert!(why.starts_with("sts:AssumeRole failed"), "{why}");
    // Its resources are there; of its selections what AWS Config has.
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
async fn without_the_role_only_the_aggregator_is_asked() {
    let world = organisation();
    let outcome = without_role(&world).await;
    assert_eq!(outcome.document.resources.len(), 4);
    assert_eq!(outcome.document.plans.len(), 4);
    assert!(outcome.troubles.iter().all(|trouble| trouble.reason == Reason::NotAsked));
    assert!(world.take_calls().iter().all(|call| call.starts_with("config:")));
    assert!(parts(&outcome, &place("111122223333", "eu-west-1")).contains(&Part::Resources), "it may record less");
}

#[tokio::test]
async fn a_region_that_is_not_enabled_is_asked_once() {
    let world = organisation();
    let off = place("111122223333", "us-east-1");
    world.state().backup.off.insert(off.clone());
    let outcome = all(&world).await;
    assert_eq!(parts(&outcome, &off).len(), 5);
    assert_eq!(outcome.troubles.len(), 1);
    assert_eq!((outcome.troubles[0].reason, outcome.troubles[0].place.as_ref()), (Reason::RegionOff, Some(&off)));
    let calls = counted(&world.take_calls());
    assert!(calls.contains(&("backup:ListBackupPlans", 3)), "{calls:?}");
}

#[tokio::test]
async fn what_is_not_recorded_may_be_there() {
    let world = organisation();
    let (none, some) = (place("111122223333", "us-east-1"), place("444455556666", "us-east-1"));
    let stale = place("444455556666", "eu-west-1");
    {
        let places = &mut world.state().backup.places;
        places.get_mut(&none).unwrap().recording = Recording::Nothing;
        let but = BTreeSet::from(["AWS::DynamoDB::Table".to_owned(), "AWS::IAM::User".to_owned()]);
        places.get_mut(&some).unwrap().recording = Recording::AllBut(but);
        places.get_mut(&stale).unwrap().stale = Some("the aggregator cannot read from here".to_owned());
    }
    let outcome = all(&world).await;
    let why = |place: &PlaceKey| {
        let of = outcome.document.places.iter().find(|of| of.account == place.0 && of.region == place.1).unwrap();
        of.unread.iter().map(|unread| (unread.part, unread.why.clone())).collect::<Vec<_>>()
    };
    assert_eq!(why(&none), [(Part::Resources, "AWS Config does not record here".to_owned())]);
    assert_eq!(why(&some), [(Part::Resources, "AWS Config does not record AWS::DynamoDB::Table here".to_owned())]);
    assert_eq!(why(&stale), [(Part::Resources, "the aggregator cannot read from here".to_owned())]);
    let reasons: Vec<Reason> = outcome.troubles.iter().map(|trouble| trouble.reason).collect();
    assert_eq!(reasons, [Reason::NotRecorded, Reason::Stale, Reason::NotRecorded]);
    // Recovery points are not recorded there either, so nobody knows their tags; there are none.
    assert_eq!(outcome.document.recovery_points, []);
}

#[tokio::test]
async fn a_vault_without_a_policy_has_none() {
    let world = organisation();
    let here = place("111122223333", "us-east-1");
    world.state().backup.places.get_mut(&here).unwrap().vaults[0].policy = None;
    let outcome = all(&world).await;
    assert_eq!(outcome.troubles, []);
    let vault = outcome.document.vaults.iter().find(|of| of.account == here.0 && of.region == here.1).unwrap();
    assert_eq!((&vault.policy, vault.unread.len()), (&None, 0));
}

#[tokio::test]
async fn a_service_that_is_not_in_a_region_has_nothing_there() {
    for (call, switch) in [
        ("fsx:DescribeFileSystems", "FSx"),
        ("storagegateway:ListVolumes", "Storage Gateway"),
        ("backup-gateway:ListVirtualMachines", "VirtualMachine"),
    ] {
        for (kind, has_switch, troubles) in [
            (PortErrorKind::Retryable, false, 0),
            (PortErrorKind::Retryable, true, 1),
            (PortErrorKind::Denied, false, 1),
        ] {
            let world = organisation();
            let here = place("111122223333", "eu-west-1");
            world.state().backup.places.retain(|place, _| *place == here);
            if !has_switch {
                world.state().backup.places.get_mut(&here).unwrap().opt_in.remove(switch);
            }
            world.fail_next(call, kind);
            assert_eq!(all(&world).await.troubles.len(), troubles, "{call} {kind:?} {has_switch}");
        }
    }
}

/// What one refused call costs, in a world of one place.
#[tokio::test]
async fn every_call_that_fails_leaves_a_gap_of_its_size() {
    let here = place("111122223333", "eu-west-1");
    let of_place: [(&str, &[Part]); 8] = [
        ("config:DescribeConfigurationRecorders", &[Part::Resources]),
        ("backup:ListBackupPlans", &[Part::Plans]),
        ("backup:ListBackupVaults", &[Part::Vaults, Part::RecoveryPoints]),
        ("backup:ListRecoveryPointsByBackupVault", &[Part::RecoveryPoints]),
        ("backup:ListRestoreJobs", &[Part::Restores]),
        ("fsx:DescribeFileSystems", &[Part::Resources]),
        ("storagegateway:ListVolumes", &[Part::Resources]),
        ("backup-gateway:ListVirtualMachines", &[Part::Resources]),
    ];
    // In the document these stand at the thing itself.
    let of_things = [
        "backup:DescribeRegionSettings",
        "backup:GetBackupPlan",
        "backup:ListBackupSelections",
        "backup:GetBackupSelection",
        "backup:DescribeBackupVault",
        "backup:GetBackupVaultAccessPolicy",
        "backup:ListTags",
    ];
    let calls: Vec<(&str, &[Part])> = of_place.into_iter().chain(of_things.map(|call| (call, &[][..]))).collect();
    for (call, lost) in calls {
        for (kind, reason) in [
            (PortErrorKind::Denied, Reason::Denied),
            (PortErrorKind::Retryable, Reason::Unavailable),
            (PortErrorKind::Refused, Reason::Refused),
        ] {
            let world = organisation();
            world.state().backup.places.retain(|place, _| *place == here);
            world.state().backup.places.get_mut(&here).unwrap().lists_locks = false;
            world.fail_next(call, kind);
            let mut kept = Vec::new();
            let outcome = go_on(&world, &question(), Vec::new(), &mut kept).await.unwrap();
            assert_eq!(world.take_faults(), Vec::<&str>::new(), "{call} is not called");
            assert_eq!(parts(&outcome, &here), lost.iter().copied().collect(), "{call}");
            assert_eq!(outcome.troubles.len(), 1, "{call}: {:?}", outcome.troubles);
            assert_eq!(
                (outcome.troubles[0].reason, outcome.troubles[0].place.as_ref()),
                (reason, Some(&here)),
                "{call}"
            );
            assert!(outcome.troubles[0].why.starts_with(&format!("{call} failed")), "{:?}", outcome.troubles);
            let whole = kept.iter().any(|part| matches!(part, app::inventory::Finished::Place(_)));
            assert_eq!(whole, reason != Reason::Unavailable, "{call}: what may pass is asked again");
            let document = &outcome.document;
            let unread = || (document.plans[0].unread.clone(), document.vaults[0].unread.clone());
            match call {
                "backup:DescribeRegionSettings" => assert!(document.places[0].opt_in.is_empty()),
                "backup:GetBackupPlan" => assert_eq!(unread().0, [PlanPart::Rules]),
                "backup:ListBackupSelections" => assert_eq!(unread().0, [PlanPart::Selections]),
                "backup:GetBackupSelection" => assert_eq!(document.plans[0].selections[0].unread.len(), 4),
                "backup:DescribeBackupVault" => assert_eq!(unread().1, [VaultPart::Lock]),
                "backup:GetBackupVaultAccessPolicy" => assert_eq!(unread().1, [VaultPart::Policy]),
                "backup:ListTags" => assert_eq!(unread().0, [PlanPart::Tags]),
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn what_is_deleted_meanwhile_is_not_there() {
    for (call, plans, selections, vaults) in [
        ("backup:GetBackupPlan", 0, 0, 1),
        ("backup:ListBackupSelections", 0, 0, 1),
        ("backup:GetBackupSelection", 1, 0, 1),
        ("backup:DescribeBackupVault", 1, 1, 0),
        ("backup:ListRecoveryPointsByBackupVault", 1, 1, 0),
    ] {
        let world = organisation();
        let here = place("111122223333", "eu-west-1");
        world.state().backup.places.retain(|place, _| *place == here);
        world.state().backup.places.get_mut(&here).unwrap().lists_locks = false;
        world.fail_next(call, PortErrorKind::NotFound);
        let outcome = all(&world).await;
        assert_eq!(outcome.troubles, [], "{call}");
        let document = &outcome.document;
        let found = (document.plans.len(), document.plans.iter().map(|plan| plan.selections.len()).sum::<usize>());
        assert_eq!((found, document.vaults.len()), ((plans, selections), vaults), "{call}");
    }
}

#[tokio::test]
async fn one_type_that_cannot_be_asked_for_is_missing_everywhere_and_nothing_else() {
    let world = organisation();
    world.fail_next("config:SelectAggregateResourceConfig", PortErrorKind::Refused);
    let outcome = all(&world).await;
    assert_eq!(outcome.troubles.len(), 1);
    assert_eq!((outcome.troubles[0].what.as_str(), &outcome.troubles[0].place), (QUERIED[0], &None));
    for place in &outcome.document.places {
        assert_eq!(place.unread.len(), 1);
        assert_eq!(place.unread[0].why, format!("the aggregator could not be asked for {}", QUERIED[0]));
    }
    assert_eq!(outcome.document.resources.len(), 4);
}

#[tokio::test]
async fn an_aggregator_that_answers_nothing_ends_the_run() {
    let world = organisation();
    for _ in QUERIED {
        world.fail_next("config:SelectAggregateResourceConfig", PortErrorKind::Denied);
    }
    let failed = go_on(&world, &question(), Vec::new(), &mut Vec::new()).await.unwrap_err();
    let Failure::Aggregator(error) = failed else { panic!("{failed}") };
    assert_eq!(error.kind, PortErrorKind::Denied);
    assert!(world.take_calls().iter().all(|call| call.starts_with("config:")), "no account is bothered");
}

#[tokio::test]
async fn sources_that_are_not_told_are_a_gap_that_is_named() {
    let world = organisation();
    world.fail_next("config:DescribeConfigurationAggregatorSourcesStatus", PortErrorKind::Denied);
    let outcome = all(&world).await;
    assert_eq!(outcome.document.places.len(), 4, "by what is in them");
    assert_eq!(outcome.troubles.len(), 1);
}

#[tokio::test]
async fn a_part_that_cannot_be_kept_ends_the_run() {
    let world = organisation();
    let began = (crate::world::as_of(), Vec::new());
    let full = |_: &app::inventory::Finished| Err("the disk is full".to_owned());
    let failed = read(&world, Some(&world), &question(), began, full, |_| ()).await.unwrap_err();
    assert_eq!(failed, Failure::Keep("the disk is full".to_owned()));
}
