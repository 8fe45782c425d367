use crate::report::{about, event, kinds, send};
use app::deploy::{FrameworkFacts, Variant};
use app::ports::{EvaluationResult, PortErrorKind, ResourceId, Versioned, Via};
use app::sweep::{Sweep, Swept};
use domain::control::Severity;
use domain::ids::{AccountId, RegionName, StackSetName};
use domain::notice::{BlindCause, BlindReason, Notice};
use domain::policy::{Exemption, Reporting};
use domain::violation::{Closing, Compliance, Found, Heard, Opening, Outlet, ResourceFacts, Status, Told};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use testkit::world::World;

const COVERAGE: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN";
const RULE: &str = "AURORA-RESOURCES_PROTECTED_BY_BACKUP_PLAN-1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d";

fn account(id: &str) -> AccountId {
    AccountId::parse(id).unwrap()
}

fn home() -> AccountId {
    account("222222222222")
}

fn region() -> RegionName {
    RegionName::parse("eu-west-1").unwrap()
}

fn sweep(world: &World) -> Sweep<World, World, World, World, World, World, World> {
    Sweep {
        store: world.clone(),
        outlets: world.clone(),
        directory: world.clone(),
        resources: world.clone(),
        source: world.clone(),
        organization: world.clone(),
        clock: world.clone(),
    }
}

/// Two hours after the events.
fn world() -> World {
    let world = World::new();
    world.state().now = "2026-11-20T06:30:00Z".parse().unwrap();
    world
}

async fn run(world: &World) -> Swept {
    sweep(world).run(|| None).await.unwrap()
}

/// The coverage control is in force in these accounts.
fn in_force(world: &World, accounts: &[&str]) {
    let name = StackSetName::parse("backup-compliance").unwrap();
    let variant = Variant {
        accounts: accounts.iter().map(|id| account(id)).collect(),
        regions: BTreeSet::from([region()]),
        controls: BTreeMap::from([(COVERAGE.to_owned(), BTreeMap::new())]),
        since: BTreeMap::new(),
    };
    world.state().frameworks.insert(name.clone(), FrameworkFacts { stack_set: name, variants: vec![variant] });
}

fn time(minute: u8, second: &str) -> Timestamp {
    format!("2026-11-20T04:{minute:02}:{second}Z").parse().unwrap()
}

/// What Config has of a cluster of an account.
fn config_says(world: &World, id: &str, resource: &str, compliance: Option<Compliance>, minute: u8) {
    let mut state = world.state();
    let rules = state.compliance.entry((account(id), region())).or_default();
    let results = rules.entry(RULE.to_owned()).or_default();
    results.retain(|result| result.resource_id != resource);
    results.extend(compliance.map(|compliance| EvaluationResult {
        rule_name: RULE.into(),
        rule_arn: String::new(),
        resource_type: "AWS::RDS::DBCluster".into(),
        resource_id: resource.into(),
        compliance,
        triggered: time(minute, "09.311"),
        recorded: time(minute, "29.902"),
        annotation: None,
    }));
}

fn hours(world: &World, hours: i64) {
    let mut state = world.state();
    state.now = state.now.checked_add(SignedDuration::from_hours(hours)).unwrap();
}

fn closings(world: &World) -> Vec<Closing> {
    let notices = world.take_notices();
    let closing = |notice: &Notice| match notice {
        Notice::ViolationResolved(notice) => match notice.what {
            Told::Resolved(closing) => Some(closing),
            _ => None,
        },
        _ => None,
    };
    notices.iter().filter_map(closing).collect()
}

#[tokio::test(flavor = "current_thread")]
async fn a_violation_whose_event_was_lost_is_found_and_told_once() {
    let world = world();
    in_force(&world, &["222222222222"]);
    config_says(&world, "222222222222", "orders", Some(Compliance::NonCompliant), 10);
    let swept = run(&world).await;
    assert_eq!((swept.accounts, swept.opened, swept.closed, swept.blind_spots), (1, 1, 0, 0), "{swept:?}");
    assert!(swept.complete && swept.failures.is_empty());
    let notices = world.take_notices();
    let Notice::ViolationOpened(notice) = &notices[0] else { panic!("{notices:?}") };
    assert_eq!((notices.len(), notice.heard), (1, Heard::Sweep));
    let swept = run(&world).await;
    assert_eq!((swept.opened, swept.repaired), (0, 0));
    send(&world, &[event("NON_COMPLIANT", 10)]).await;
    assert!(kinds(&world).is_empty(), "the event comes late, and is known");
}

#[tokio::test(flavor = "current_thread")]
async fn a_violation_that_is_gone_is_closed_with_the_reason() {
    for (now_in_config, expected) in [
        (Some(Compliance::Compliant), Closing::Satisfied),
        // No result any more: the resource was deleted.
        (None, Closing::ResourceGone),
    ] {
        let world = world();
        in_force(&world, &["222222222222"]);
        config_says(&world, "222222222222", "orders", now_in_config, 30);
        send(&world, &[event("NON_COMPLIANT", 10)]).await;
        world.take_notices();
        let swept = run(&world).await;
        assert_eq!(swept.closed, 1, "{expected:?}: {swept:?}");
        assert_eq!(closings(&world), [expected]);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_rule_without_results_is_no_blind_spot_and_closes_only_what_is_gone() {
    let world = world();
    in_force(&world, &["222222222222"]);
    // The aggregator shows a rule of another control and none of this one: it leaves out rules without results.
    let other = "BACKUP_RECOVERY_POINT_ENCRYPTED-1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d".to_owned();
    world.state().compliance.insert((home(), region()), BTreeMap::from([(other, Vec::new())]));
    send(&world, &[event("NON_COMPLIANT", 10), about("deleted", "NON_COMPLIANT", 10)]).await;
    world.take_notices();
    let orders =
        ResourceId { account: home(), region: region(), kind: "AWS::RDS::DBCluster".into(), id: "orders".into() };
    world.state().resources.insert(orders, ResourceFacts::default());
    let swept = run(&world).await;
    assert_eq!((swept.closed, swept.blind_spots), (1, 0), "{swept:?}");
    assert_eq!(closings(&world), [Closing::ResourceGone]);
    let open: Vec<_> = world.state().violations.values().filter(|r| r.value.status == Status::Open).cloned().collect();
    assert_eq!(
        (open.len(), open[0].value.key.resource_id.as_str()),
        (1, "orders"),
        "it is there, and not yet evaluated anew"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn a_framework_made_anew_closes_only_what_is_gone() {
    let world = world();
    in_force(&world, &["222222222222"]);
    send(&world, &[event("NON_COMPLIANT", 10), about("deleted", "NON_COMPLIANT", 10)]).await;
    world.take_notices();
    // The new rule has a new name, and has looked at one other resource only.
    let renamed = RULE.replace("1b2c3d4e", "99999999");
    config_says(&world, "222222222222", "other", Some(Compliance::Compliant), 20);
    for rules in world.state().compliance.values_mut() {
        let mut results = rules.remove(RULE).unwrap();
        results.iter_mut().for_each(|result| result.rule_name.clone_from(&renamed));
        rules.insert(renamed.clone(), results);
    }
    let orders =
        ResourceId { account: home(), region: region(), kind: "AWS::RDS::DBCluster".into(), id: "orders".into() };
    world.state().resources.insert(orders, ResourceFacts::default());
    let swept = run(&world).await;
    assert_eq!((swept.closed, swept.opened), (1, 0), "{swept:?}");
    assert_eq!(closings(&world), [Closing::ResourceGone]);
}

#[tokio::test(flavor = "current_thread")]
async fn what_was_not_known_of_a_resource_when_it_opened_is_learnt() {
    let world = world();
    in_force(&world, &["222222222222"]);
    config_says(&world, "222222222222", "orders", Some(Compliance::NonCompliant), 10);
    let mut exemption = scratch("2099-01-31");
    exemption.resources = vec!["arn:aws:rds:*:*:cluster:scratch-*".into()];
    exemption.tags = BTreeMap::from([("stage".to_owned(), "sandbox".to_owned())]);
    world.state().reporting = Some(Reporting { exemptions: vec![exemption], ..Reporting::default() });
    send(&world, &[event("NON_COMPLIANT", 10)]).await;
    assert_eq!(kinds(&world), ["violation.opened"], "nothing is known of it yet");
    let orders =
        ResourceId { account: home(), region: region(), kind: "AWS::RDS::DBCluster".into(), id: "orders".into() };
    let facts = ResourceFacts {
        name: Some("scratch-1".into()),
        arn: Some("arn:aws:rds:eu-west-1:222222222222:cluster:scratch-1".into()),
        tags: BTreeMap::from([("stage".to_owned(), "sandbox".to_owned())]),
    };
    world.state().resources.insert(orders, facts.clone());
    let swept = run(&world).await;
    assert_eq!(swept.exempted, 1, "{swept:?}");
    assert_eq!(world.state().violations.values().next().unwrap().value.resource, facts);
}

#[tokio::test(flavor = "current_thread")]
async fn a_doubt_that_cannot_be_settled_does_not_hold_back_what_was_found() {
    let world = world();
    in_force(&world, &["222222222222"]);
    send(&world, &[event("NON_COMPLIANT", 10)]).await;
    config_says(&world, "222222222222", "orders", Some(Compliance::Compliant), 30);
    config_says(&world, "222222222222", "lost", Some(Compliance::NonCompliant), 30);
    world.take_notices();
    world.fail_next("config:GetAggregateComplianceDetailsByConfigRule", PortErrorKind::Retryable);
    let swept = run(&world).await;
    assert_eq!((swept.opened, swept.closed, swept.blind_spots, swept.failures.len()), (1, 0, 0, 1), "{swept:?}");
    assert_eq!(kinds(&world), ["violation.opened"]);
    assert_eq!(run(&world).await.closed, 1, "and is settled by the next");
}

#[tokio::test(flavor = "current_thread")]
async fn an_aggregator_that_lags_behind_changes_nothing() {
    let world = world();
    in_force(&world, &["222222222222"]);
    config_says(&world, "222222222222", "orders", Some(Compliance::Compliant), 5);
    config_says(&world, "222222222222", "bills", Some(Compliance::NonCompliant), 5);
    send(&world, &[event("NON_COMPLIANT", 10), about("bills", "COMPLIANT", 10)]).await;
    let mut fresh = about("fresh", "NON_COMPLIANT", 10);
    fresh["detail"]["notificationCreationTime"] = json!(world.state().now.to_string());
    send(&world, &[fresh]).await;
    world.take_notices();
    let swept = run(&world).await;
    assert_eq!((swept.opened, swept.closed, swept.repaired), (0, 0, 0), "{swept:?}");
    hours(&world, 2);
    let swept = run(&world).await;
    assert_eq!(swept.closed, 1, "the one that the aggregator has still not heard of is gone: {swept:?}");
    config_says(&world, "222222222222", "fresh", Some(Compliance::NonCompliant), 10);
    hours(&world, 1);
    assert_eq!(run(&world).await.repaired, 1, "and back when it has");
}

#[tokio::test(flavor = "current_thread")]
async fn a_record_that_is_stale_is_repaired() {
    let world = world();
    in_force(&world, &["222222222222"]);
    send(&world, &[event("NON_COMPLIANT", 10), event("COMPLIANT", 20)]).await;
    world.take_notices();
    config_says(&world, "222222222222", "orders", Some(Compliance::NonCompliant), 30);
    assert_eq!(run(&world).await.repaired, 1);
    assert_eq!(kinds(&world), ["violation.opened"]);
}

#[tokio::test(flavor = "current_thread")]
async fn a_removed_control_and_a_removed_framework_close_what_they_found() {
    let world = world();
    in_force(&world, &["222222222222"]);
    send(&world, &[event("NON_COMPLIANT", 10)]).await;
    world.take_notices();
    in_force(&world, &["333333333333"]);
    assert_eq!(run(&world).await.closed, 1);
    assert_eq!(closings(&world), [Closing::FrameworkRemoved]);

    send(&world, &[event("COMPLIANT", 20)]).await;
    in_force(&world, &["222222222222"]);
    send(&world, &[event("NON_COMPLIANT", 30)]).await;
    for facts in world.state().frameworks.values_mut() {
        for variant in &mut facts.variants {
            variant.controls = BTreeMap::from([("BACKUP_RECOVERY_POINT_ENCRYPTED".to_owned(), BTreeMap::new())]);
        }
    }
    world.take_notices();
    run(&world).await;
    assert!(closings(&world).contains(&Closing::ControlRemoved));
}

#[tokio::test(flavor = "current_thread")]
async fn as_long_as_nothing_was_published_nothing_was_removed() {
    let world = world();
    send(&world, &[event("NON_COMPLIANT", 10)]).await;
    assert_eq!(run(&world).await.closed, 0);
}

#[tokio::test(flavor = "current_thread")]
async fn what_cannot_be_seen_is_a_blind_spot_and_not_compliant() {
    let world = world();
    in_force(&world, &["222222222222", "333333333333"]);
    config_says(&world, "222222222222", "orders", Some(Compliance::NonCompliant), 10);
    send(&world, &[event("NON_COMPLIANT", 10)]).await;
    world.state().hidden.insert((Via::Aggregator, home(), region()));
    world.take_notices();
    let swept = run(&world).await;
    assert_eq!((swept.closed, swept.blind_spots), (0, 2), "{swept:?}");
    let notices = world.take_notices();
    let Notice::BlindSpots(spots) = &notices[0] else { panic!("{notices:?}") };
    assert_eq!(spots.spots.len(), 2);
    assert_eq!(run(&world).await.blind_spots, 2, "counted each time");
    assert!(kinds(&world).is_empty(), "and told once");
    for facts in world.state().frameworks.values_mut() {
        let elsewhere = BTreeSet::from(["us-west-2".parse().unwrap()]);
        let nothing = Variant { regions: elsewhere, controls: BTreeMap::new(), ..facts.variants[0].clone() };
        facts.variants.push(nothing);
    }
    assert_eq!(run(&world).await.blind_spots, 2, "where the template brings no control there is nothing to see");

    world.state().ways = vec![Via::Aggregator, Via::Query, Via::Member];
    let swept = run(&world).await;
    assert_eq!((swept.closed, swept.blind_spots), (0, 1), "another way shows it: {swept:?}");
    world.state().hidden.clear();
    world.fail_next("config:DescribeAggregateComplianceByConfigRules", PortErrorKind::Denied);
    world.state().ways = vec![Via::Aggregator];
    let swept = run(&world).await;
    assert_eq!((swept.closed, swept.blind_spots, swept.failures.len()), (0, 2, 1), "nor is one that failed: {swept:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_throttled_account_is_a_blind_spot_only_if_a_second_round_fails_as_well() {
    let world = world();
    in_force(&world, &["222222222222"]);
    config_says(&world, "222222222222", "orders", Some(Compliance::NonCompliant), 10);
    let throttle = |times: usize| {
        (0..times)
            .for_each(|_| world.fail_next("config:DescribeAggregateComplianceByConfigRules", PortErrorKind::Retryable));
    };
    throttle(1);
    let swept = run(&world).await;
    assert_eq!((swept.blind_spots, swept.opened, swept.accounts), (0, 1, 1), "{swept:?}");
    assert_eq!(kinds(&world), ["violation.opened"]);
    throttle(2);
    assert_eq!(run(&world).await.blind_spots, 1);
    assert_eq!(kinds(&world), ["violation.digest"]);
    throttle(2);
    assert_eq!(run(&world).await.blind_spots, 1);
    assert_eq!(kinds(&world), [""; 0], "once");
    // The cause that is known stays known while a throttle hides it.
    world.fail_next("config:DescribeAggregateComplianceByConfigRules", PortErrorKind::Denied);
    run(&world).await;
    assert_eq!(kinds(&world), ["violation.digest"]);
    throttle(2);
    run(&world).await;
    assert_eq!(kinds(&world), [""; 0]);
    assert_eq!(world.state().blind[0].reason.cause, BlindCause::AccessDenied);
    assert_eq!(run(&world).await.blind_spots, 0);
}

#[tokio::test(flavor = "current_thread")]
async fn it_stops_before_its_time_is_up_and_goes_on_from_there() {
    let world = world();
    let accounts = ["111111111111", "222222222222", "333333333333", "444444444444", "555555555555"];
    in_force(&world, &accounts);
    for id in accounts {
        config_says(&world, id, "orders", Some(Compliance::NonCompliant), 10);
    }
    let minutes = Cell::new(4_u64);
    let time_left = || {
        minutes.set(minutes.get().saturating_sub(1));
        Some(Duration::from_secs(60 * minutes.get()))
    };
    let first = sweep(&world).run(time_left).await.unwrap();
    assert_eq!((first.accounts, first.opened, first.complete), (2, 2, false), "{first:?}");
    let second = run(&world).await;
    assert_eq!((second.accounts, second.opened, second.complete), (3, 3, true), "{second:?}");
    assert_eq!(run(&world).await.accounts, 5, "the next round begins anew");
}

#[tokio::test(flavor = "current_thread")]
async fn each_owner_gets_one_reminder_a_week_and_the_platform_another() {
    let world = world();
    let accounts = ["222222222222", "333333333333", "444444444444"];
    in_force(&world, &accounts);
    world.state().now = time(10, "00");
    assert_eq!(run(&world).await.reminded, 0, "the first week begins");
    for id in accounts {
        for name in ["orders", "bills"] {
            config_says(&world, id, name, Some(Compliance::NonCompliant), 10);
            if name == "orders" {
                owned(&world, id, name, "orders-team");
            }
        }
    }
    world.state().now = time(10, "10");
    assert_eq!(run(&world).await.opened, 6);
    world.take_notices();
    let mut told = BTreeMap::new();
    for hour in 0..24 * 22 {
        hours(&world, 1);
        let swept = run(&world).await;
        let notices = world.take_notices();
        assert_eq!(swept.reminded, reminders(&notices).values().map(|(violations, _)| violations).sum::<usize>());
        if !notices.is_empty() {
            told.insert(hour / 24, reminders(&notices));
        }
    }
    // A day old after a week, as the sweep of that hour found them; seven days old a week later. Three accounts, and one for each owner.
    let both = BTreeMap::from([(None, (3, 3)), (Some("orders-team".to_owned()), (3, 3))]);
    assert_eq!(told, BTreeMap::from([(6, both.clone()), (13, both.clone()), (20, both.clone())]), "{told:?}");

    // One that could not be sent is sent by the next sweep, and only that.
    hours(&world, 24 * 7);
    world.fail_next("sns:Publish", PortErrorKind::Retryable);
    let swept = run(&world).await;
    assert_eq!((swept.reminded, swept.failures.len()), (3, 1), "{swept:?}");
    assert_eq!(reminders(&world.take_notices()).len(), 1);
    hours(&world, 1);
    assert_eq!(run(&world).await.reminded, 3);
    assert_eq!(reminders(&world.take_notices()).keys().cloned().collect::<Vec<_>>(), [None]);
    hours(&world, 1);
    assert_eq!(run(&world).await.reminded, 0, "once");

    // What is exempt or closed is in none, nor is anything where the policy wants no reminders.
    world.state().reporting = Some(Reporting { exemptions: vec![scratch("2030-12-31")], ..Reporting::default() });
    hours(&world, 24 * 7);
    let swept = run(&world).await;
    assert_eq!((swept.exempted, swept.reminded), (6, 0), "{swept:?}");
    world.state().reporting = Some(Reporting { reminders: Vec::new(), ..Reporting::default() });
    hours(&world, 24 * 7);
    let swept = run(&world).await;
    assert_eq!((swept.exemptions_ended, swept.reminded), (6, 0), "{swept:?}");
}

/// Gives a cluster the tag of an owner.
fn owned(world: &World, id: &str, name: &str, owner: &str) {
    let resource = ResourceId {
        account: AccountId::parse(id).unwrap(),
        region: region(),
        kind: "AWS::RDS::DBCluster".into(),
        id: name.into(),
    };
    let facts = ResourceFacts { tags: [("owner".to_owned(), owner.to_owned())].into(), ..ResourceFacts::default() };
    world.state().resources.insert(resource, facts);
}

/// The reminders among notices: how many violations of how many accounts each has, by owner.
fn reminders(notices: &[Notice]) -> BTreeMap<Option<String>, (usize, usize)> {
    let mut found = BTreeMap::new();
    for notice in notices {
        let Notice::ViolationReminder(reminder) = notice else { continue };
        let accounts: BTreeSet<_> = reminder.violations.iter().map(|open| &open.key.account).collect();
        let one = found.insert(reminder.owner.clone(), (reminder.violations.len(), accounts.len()));
        assert_eq!(one, None, "one each");
    }
    found
}

#[tokio::test(flavor = "current_thread")]
async fn every_blind_spot_has_the_cause_that_was_found() {
    let world = world();
    in_force(&world, &["222222222222", "333333333333"]);
    let causes = |notices: &[Notice]| -> Vec<BlindCause> {
        let spots = notices.iter().filter_map(|notice| match notice {
            Notice::BlindSpots(spots) => Some(&spots.spots),
            _ => None,
        });
        spots.flatten().map(|spot| spot.reason.cause).collect()
    };
    let place = |id: &str| (AccountId::parse(id).unwrap(), region());
    // Covered, recording, and without a result; and one that the aggregator does not cover.
    let reason = BlindReason { cause: BlindCause::NotAggregated, detail: None };
    world.state().blind_reasons.insert(place("333333333333"), reason);
    run(&world).await;
    assert_eq!(causes(&world.take_notices()), [BlindCause::NoResult, BlindCause::NotAggregated]);
    // Another cause is news, the same one is not.
    let reason = BlindReason { cause: BlindCause::NotRecording, detail: None };
    world.state().blind_reasons.insert(place("333333333333"), reason);
    run(&world).await;
    assert_eq!(causes(&world.take_notices()), [BlindCause::NotRecording]);
    run(&world).await;
    assert_eq!(causes(&world.take_notices()), []);
    // A cause that is known stays known while the aggregator cannot be asked.
    world.fail_next("config:DescribeConfigurationAggregatorSourcesStatus", PortErrorKind::Retryable);
    run(&world).await;
    assert_eq!(causes(&world.take_notices()), []);
    run(&world).await;
    assert_eq!(causes(&world.take_notices()), [], "and is no news afterwards");
    // Causes that cannot be found now hide no blind spot.
    world.state().blind.clear();
    world.fail_next("config:DescribeConfigurationAggregatorSourcesStatus", PortErrorKind::Retryable);
    let swept = run(&world).await;
    assert_eq!((swept.blind_spots, swept.failures.len()), (2, 1), "{swept:?}");
    assert_eq!(causes(&world.take_notices()), [BlindCause::NoResult; 2]);
    for (kind, cause) in [
        (PortErrorKind::Retryable, BlindCause::Throttled),
        (PortErrorKind::Denied, BlindCause::AccessDenied),
        (PortErrorKind::Refused, BlindCause::CallFailed),
    ] {
        world.state().blind.clear();
        // In both rounds.
        (0..4).for_each(|_| world.fail_next("config:DescribeAggregateComplianceByConfigRules", kind));
        run(&world).await;
        world.take_faults();
        assert_eq!(causes(&world.take_notices()), [cause; 2], "{kind:?}");
    }
    world.state().ways.clear();
    run(&world).await;
    assert_eq!(causes(&world.take_notices()), [BlindCause::NoSource; 2]);
}

fn scratch(until: &str) -> Exemption {
    Exemption {
        control: domain::control::find(COVERAGE).unwrap(),
        resources: vec!["*".into()],
        accounts: Vec::new(),
        tags: BTreeMap::new(),
        reason: "throw-away test clusters".into(),
        owner: "data-platform@example.com".into(),
        until: until.parse().unwrap(),
    }
}

#[tokio::test(flavor = "current_thread")]
async fn an_exemption_holds_to_its_last_day_and_is_announced_two_weeks_before() {
    let world = world();
    in_force(&world, &["222222222222"]);
    config_says(&world, "222222222222", "orders", Some(Compliance::NonCompliant), 10);
    world.state().reporting = Some(Reporting { exemptions: vec![scratch("2027-01-31")], ..Reporting::default() });
    send(&world, &[event("NON_COMPLIANT", 10)]).await;
    async fn run_at(world: &World, day: &str) -> Swept {
        world.state().now = format!("{day}T12:00:00Z").parse().unwrap();
        run(world).await
    }
    assert!(kinds(&world).is_empty());
    run_at(&world, "2027-01-16").await;
    assert!(kinds(&world).is_empty(), "15 days before");
    for _ in 0..2 {
        run_at(&world, "2027-01-17").await;
    }
    let notices = world.take_notices();
    let [Notice::ExemptionsExpiring(expiring)] = notices.as_slice() else { panic!("once: {notices:?}") };
    assert_eq!((expiring.owner.as_str(), expiring.exemptions[0].violations), ("data-platform@example.com", 1));
    run_at(&world, "2027-01-31").await;
    assert!(kinds(&world).is_empty(), "it holds on its last day");
    let swept = run_at(&world, "2027-02-01").await;
    assert_eq!(swept.exemptions_ended, 1);
    let notices = world.take_notices();
    let [Notice::ViolationOpened(notice)] = notices.as_slice() else { panic!("{notices:?}") };
    assert!(matches!(&notice.what, Told::ExemptionEnded(exempt) if exempt.owner == "data-platform@example.com"));
    send(&world, &[event("COMPLIANT", 20)]).await;
    assert_eq!(kinds(&world), ["violation.resolved"], "a violation like any other");
}

#[tokio::test(flavor = "current_thread")]
async fn a_violation_that_comes_to_be_exempt_is_told_as_exempt() {
    let world = world();
    world.state().outlets = BTreeSet::from([Outlet::Topic, Outlet::Finding]);
    in_force(&world, &["222222222222"]);
    config_says(&world, "222222222222", "orders", Some(Compliance::NonCompliant), 10);
    send(&world, &[event("NON_COMPLIANT", 10)]).await;
    world.take_notices();
    world.state().reporting = Some(Reporting { exemptions: vec![scratch("2099-01-31")], ..Reporting::default() });
    assert_eq!(run(&world).await.exempted, 1);
    assert_eq!(kinds(&world), ["violation.exempted"]);
    assert_eq!(world.state().told.len(), 2, "Security Hub is put right too");
    let record = world.state().violations.values().next().unwrap().value.clone();
    assert!(record.status == Status::Open && record.exempt.is_some(), "still recorded");
    assert_eq!(run(&world).await.exempted, 0);
}

#[tokio::test(flavor = "current_thread")]
async fn findings_are_imported_again_before_they_are_forgotten() {
    let world = world();
    world.state().outlets = BTreeSet::from([Outlet::Finding]);
    in_force(&world, &["222222222222"]);
    config_says(&world, "222222222222", "orders", Some(Compliance::NonCompliant), 10);
    send(&world, &[event("NON_COMPLIANT", 10)]).await;
    run(&world).await;
    assert_eq!(world.state().told.len(), 1);
    hours(&world, 31 * 24);
    run(&world).await;
    run(&world).await;
    assert_eq!(world.state().told.len(), 2);
}

#[tokio::test(flavor = "current_thread")]
async fn sweep_claims_what_it_is_about_to_deliver() {
    let world = world();
    in_force(&world, &["222222222222"]);
    config_says(&world, "222222222222", "orders", Some(Compliance::NonCompliant), 10);
    world.fail_next("sns:Publish", PortErrorKind::Retryable);
    run(&world).await;
    let claim = || world.state().violations.values().next().unwrap().value.delivery_claimed_until;
    assert_eq!(claim(), Some(world.state().now + jiff::SignedDuration::from_mins(10)));
    hours(&world, 1);
    run(&world).await;
    assert_eq!((claim(), kinds(&world)), (None, vec!["violation.opened"]));
}

#[tokio::test(flavor = "current_thread")]
async fn what_a_crash_left_untold_is_told() {
    let world = world();
    in_force(&world, &["222222222222"]);
    config_says(&world, "222222222222", "orders", Some(Compliance::NonCompliant), 10);
    world.fail_next("sns:Publish", PortErrorKind::Retryable);
    send(&world, &[event("NON_COMPLIANT", 10)]).await;
    assert!(kinds(&world).is_empty());
    assert_eq!(run(&world).await.retold, 0, "whoever recorded it just now is about to tell it");
    hours(&world, 1);
    let swept = run(&world).await;
    assert_eq!((swept.retold, kinds(&world)), (1, vec!["violation.opened"]));
    assert_eq!(run(&world).await.retold, 0);
}

#[tokio::test(flavor = "current_thread")]
async fn names_of_accounts_are_learnt_and_published() {
    let world = world();
    in_force(&world, &["222222222222"]);
    config_says(&world, "222222222222", "orders", Some(Compliance::NonCompliant), 10);
    let names = BTreeMap::from([(home(), "payments".to_owned())]);
    world.state().organization = Some(names.clone());
    run(&world).await;
    assert_eq!(world.state().account_names, names);
    let notices = world.take_notices();
    let Notice::ViolationOpened(notice) = &notices[0] else { panic!("{notices:?}") };
    assert_eq!(notice.account_name.as_deref(), Some("payments"));
}

#[test]
fn an_event_with_a_time_to_come_or_an_unreadable_one_is_rejected() {
    let now = "2026-12-01T00:00:00Z".parse().unwrap();
    let asked = |event: &serde_json::Value| app::sweep::asked(event, now);
    let mut event = json!({ "source": "backup-compliance.schedule", "look": "sweep" });
    asked(&event).unwrap();
    for accepted in ["2026-12-01T00:00:00Z", "2026-11-30T00:00:00Z", "2026-12-01T00:04:59Z"] {
        event["time"] = json!(accepted);
        asked(&event).unwrap();
    }
    for (time, why) in [
        (json!("2026-12-08T00:00:00Z"), "later than now (2026-12-01T00:00:00Z)"),
        (json!("next week"), "`time` is not a time: `\"next week\"`"),
        (json!("<aws.scheduler.scheduled-time>"), "is not a time"),
        (json!(null), "is not a time"),
        (json!(1_796_000_000), "is not a time"),
    ] {
        event["time"] = time;
        let error = asked(&event).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
    assert!(asked(&json!({ "source": "aws.config" })).is_err());
}

/// Twelve thousand open violations in accounts without Security Hub, and one notice that the topic once rejected.
#[tokio::test(flavor = "current_thread")]
async fn rejected_deliveries_do_not_keep_others_from_their_turn_and_are_given_up() {
    const REJECTED: usize = 12_000;
    let world = world();
    world.state().outlets = BTreeSet::from([Outlet::Topic, Outlet::Finding]);
    send(&world, &[event("NON_COMPLIANT", 10)]).await;
    let mut template = world.state().violations.values().next().unwrap().value.clone();
    world.take_notices();
    world.state().violations.clear();
    template.last_owed = None;
    template.opened(
        Opening {
            found: Found::FirstResult,
            heard: Heard::Event,
            severity: Severity::High,
            resource: ResourceFacts::default(),
            exempt: None,
        },
        &BTreeSet::from([Outlet::Finding]),
        time(10, "10"),
    );
    let mut last = template.clone();
    last.key.account = account("999999999999");
    last.owed[0].outlets = BTreeSet::from([Outlet::Topic]);
    for number in 0..REJECTED {
        let mut record = template.clone();
        record.key.resource_id = format!("cluster-{number:05}");
        world.state().violations.insert(record.key.clone(), Versioned { value: record, version: 1 });
    }
    let topic = last.key.clone();
    world.state().violations.insert(topic.clone(), Versioned { value: last, version: 1 });
    let rejections = |count: usize| {
        for _ in 0..count {
            world.fail_next("securityhub:BatchImportFindings", PortErrorKind::Refused);
        }
    };
    // Seen by AWS Config, and open: nothing but the deliveries is to do.
    rejections(REJECTED);
    let swept = run(&world).await;
    assert_eq!((swept.retold, swept.tally.refused, swept.tally.told), (REJECTED + 1, REJECTED, 1));
    assert_eq!(world.take_notices().len(), 1, "the last of the scan in the first sweep");
    assert!(world.state().violations[&topic].value.owed.is_empty());

    // Of the rest a few, until they are given up.
    world.state().violations.retain(|key, _| key.resource_id.as_str() < "cluster-00003");
    let mut attempts = 1;
    let mut sweeps = 1;
    let mut given_up = 0;
    while given_up < 3 {
        hours(&world, 1);
        sweeps += 1;
        assert!(sweeps < 24 * 10, "never given up");
        rejections(3);
        let swept = run(&world).await;
        world.take_faults();
        attempts += usize::from(swept.tally.refused > 0);
        given_up += swept.tally.given_up;
    }
    assert_eq!((attempts, given_up), (10, 3));
    assert!((24 * 4..24 * 7).contains(&sweeps), "{sweeps} hours");
    for record in world.state().violations.values() {
        let reason = &record.value.undelivered[&Outlet::Finding];
        assert!(record.value.owed.is_empty() && reason.given_up && reason.reason.contains("Refused"), "{record:?}");
    }
    hours(&world, 24);
    world.take_calls();
    run(&world).await;
    assert!(!world.take_calls().contains(&"securityhub:BatchImportFindings"));
    // News is attempted anew.
    let mut record = world.state().violations.values().next().unwrap().clone();
    record.value.closed_by(Closing::Satisfied, &BTreeSet::from([Outlet::Finding]), world.state().now);
    assert!(record.value.undelivered.is_empty() && !record.value.owed.is_empty());
}

/// The time of the first sweep ends within the second round, and again before the end of the round.
#[tokio::test(flavor = "current_thread")]
async fn the_second_round_and_the_end_wait_for_a_sweep_with_time() {
    let world = world();
    in_force(&world, &["111111111111", "222222222222"]);
    for id in ["111111111111", "222222222222"] {
        config_says(&world, id, "orders", Some(Compliance::NonCompliant), 10);
    }
    let left = Cell::new(0_u64);
    let time_left = || {
        left.set(left.get().saturating_sub(1));
        Some(Duration::from_secs(44 + left.get()))
    };
    // Both accounts fail in the first round, and one in the second; looks at the clock: one for the deliveries, then one for each account.
    (0..3).for_each(|_| world.fail_next("config:DescribeAggregateComplianceByConfigRules", PortErrorKind::Retryable));
    for (looks, accounts) in [(5, 2), (3, 0), (2, 0)] {
        left.set(looks);
        let swept = sweep(&world).run(time_left).await.unwrap();
        assert_eq!((swept.complete, swept.accounts), (false, accounts), "{swept:?}");
        assert!(world.state().progress.value.is_some());
        assert!(!kinds(&world).contains(&"violation.digest"), "nothing is told before the end of the round");
    }
    let swept = run(&world).await;
    assert_eq!((swept.complete, swept.accounts, swept.blind_spots), (true, 0, 1), "{swept:?}");
    assert_eq!(kinds(&world), ["violation.digest"]);
}
