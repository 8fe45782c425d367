use crate::policy::{FRAMEWORK, ONE, THREE, TWO, policy};
use app::deploy::{FrameworkOutcome, Seen};
use app::events::{Look, Trigger};
use app::lifecycle::{Envelope, Lifecycle, ResponseUrl};
use app::ports::{PortErrorKind, Result};
use domain::ids::StackSetName;
use domain::notice::Notice;
use domain::rollout::InstanceStatus;
use serde_json::{Value, json};
use testkit::deploy::Deployer;
use testkit::world::World;

pub(crate) fn deploy(world: &World) -> Deployer {
    testkit::deploy::deploy("backup-policy", world, world)
}

pub(crate) fn name() -> StackSetName {
    StackSetName::parse("backup-compliance").unwrap()
}

pub(crate) fn outcome(seen: &Seen) -> &FrameworkOutcome {
    &seen.frameworks[&name()]
}

pub(crate) async fn push_seen(world: &World) -> Result<Seen> {
    deploy(world).handle(&[Trigger::Push]).await
}

pub(crate) async fn ended(world: &World) -> Result<Seen> {
    deploy(world).handle(&[Trigger::OperationEnded { stack_set: "backup-compliance".into() }]).await
}

/// Looks until nothing is in flight, as events would make it.
pub(crate) async fn settle(world: &World) -> Seen {
    for _ in 0..20 {
        let busy = world.end_operations() > 0;
        let seen = ended(world).await.unwrap();
        if !busy {
            return seen;
        }
    }
    panic!("the rollout does not settle");
}

pub(crate) async fn rolled_out(accounts: &[&str]) -> World {
    let world = World::new();
    world.push(
        "Start",
        &[("backup-compliance.yaml", Some(&policy(accounts, None))), ("framework.yaml", Some(FRAMEWORK))],
    );
    push_seen(&world).await.unwrap();
    settle(&world).await;
    world.take_notices();
    world.take_calls();
    world
}

/// The calls to StackSets that change something, since the last time this was asked.
pub(crate) fn mutations(world: &World) -> Vec<&'static str> {
    World::mutating(&world.take_calls()).into_iter().filter_map(|call| call.strip_prefix("cloudformation:")).collect()
}

pub(crate) fn current(world: &World) -> usize {
    let state = world.state();
    state.stack_sets[&name()].instances.values().filter(|found| found.status == InstanceStatus::Current).count()
}

#[tokio::test(flavor = "current_thread")]
async fn the_first_push_creates_the_stack_set_and_all_its_instances() {
    let world = World::new();
    world.push(
        "Start",
        &[("backup-compliance.yaml", Some(&policy(&[ONE, TWO, THREE], None))), ("framework.yaml", Some(FRAMEWORK))],
    );
    let seen = push_seen(&world).await.unwrap();
    assert!(matches!(outcome(&seen), FrameworkOutcome::Started(_)), "{seen:?}");
    let operations = mutations(&world);
    assert_eq!(operations, ["CreateStackSet", "CreateStackInstances"]);

    assert!(matches!(outcome(&ended(&world).await.unwrap()), FrameworkOutcome::Waiting));
    assert!(world.take_notices().is_empty(), "nothing is told while the operation runs");

    world.end_operations();
    assert_eq!(outcome(&ended(&world).await.unwrap()), &FrameworkOutcome::Succeeded);
    assert_eq!(current(&world), 6);
    let notices = world.take_notices();
    let [Notice::RolloutSucceeded(report)] = notices.as_slice() else { panic!("{notices:?}") };
    assert_eq!((report.verdict.succeeded, report.verdict.total, report.created), (6, 6, 6));
    assert_eq!((report.author.as_str(), report.message.as_str()), ("Ada <ada@example.com>", "Start"));
}

#[tokio::test(flavor = "current_thread")]
async fn the_event_bus_goes_to_a_framework_that_asks_for_it() {
    let world = rolled_out(&[ONE]).await;
    let digest_with_bus = world.state().stack_sets[&name()].observed.definition.clone();
    let without = FRAMEWORK.replace("  ComplianceEventBusArn: { Type: String, Default: \"\" }\n", "");
    world.push("No bus", &[("framework.yaml", Some(&without))]);
    assert!(push_seen(&world).await.unwrap().rejected.is_empty());
    settle(&world).await;
    assert_ne!(world.state().stack_sets[&name()].observed.definition, digest_with_bus);
}

#[tokio::test(flavor = "current_thread")]
async fn a_push_that_changes_nothing_mutates_nothing_and_costs_five_reads() {
    let world = rolled_out(&[ONE, TWO, THREE]).await;
    world.push("Explain", &[("README.md", Some("# Our policy"))]);
    let seen = push_seen(&world).await.unwrap();
    assert_eq!(outcome(&seen), &FrameworkOutcome::Unchanged);
    let calls = world.take_calls();
    assert_eq!(World::mutating(&calls), Vec::<&str>::new());
    assert_eq!(calls.len(), 5, "{calls:?}");
    assert!(world.take_notices().is_empty());
}

#[tokio::test(flavor = "current_thread")]
async fn a_full_look_at_a_healthy_fleet_mutates_nothing() {
    let world = rolled_out(&[ONE, TWO]).await;
    let seen = deploy(&world).handle(&[Trigger::Schedule(Look::Full)]).await.unwrap();
    assert_eq!(outcome(&seen), &FrameworkOutcome::Unchanged);
    assert_eq!(World::mutating(&world.take_calls()), Vec::<&str>::new());
}

#[tokio::test(flavor = "current_thread")]
async fn a_full_look_repairs_an_instance_that_somebody_deleted() {
    let world = rolled_out(&[ONE, TWO]).await;
    let victim = world.state().stack_sets[&name()].instances.keys().next().unwrap().clone();
    world.state().stack_sets.get_mut(&name()).unwrap().instances.remove(&victim);
    let seen = deploy(&world).handle(&[Trigger::Schedule(Look::Full)]).await.unwrap();
    assert!(matches!(outcome(&seen), FrameworkOutcome::Started(_)));
    settle(&world).await;
    assert_eq!(current(&world), 4);
}

#[tokio::test(flavor = "current_thread")]
async fn a_light_look_costs_two_reads_when_nothing_is_pending() {
    let world = rolled_out(&[ONE]).await;
    let seen = deploy(&world).handle(&[Trigger::Schedule(Look::Light)]).await.unwrap();
    assert!(seen.skipped.is_some());
    assert_eq!(world.take_calls(), ["dynamodb:Query"; 2]);
}

#[tokio::test(flavor = "current_thread")]
async fn a_light_look_stands_in_for_a_completion_event_that_was_lost() {
    let world = World::new();
    world
        .push("Start", &[("backup-compliance.yaml", Some(&policy(&[ONE], None))), ("framework.yaml", Some(FRAMEWORK))]);
    push_seen(&world).await.unwrap();
    world.end_operations();
    let seen = deploy(&world).handle(&[Trigger::Schedule(Look::Light)]).await.unwrap();
    assert_eq!(outcome(&seen), &FrameworkOutcome::Succeeded);
}

#[tokio::test(flavor = "current_thread")]
async fn accounts_that_leave_are_deleted_before_others_are_created() {
    let world = rolled_out(&[ONE, TWO]).await;
    world.push("Swap", &[("backup-compliance.yaml", Some(&policy(&[TWO, THREE], None)))]);
    push_seen(&world).await.unwrap();
    settle(&world).await;
    let operations = mutations(&world);
    assert_eq!(operations, ["DeleteStackInstances", "CreateStackInstances"]);
    let notices = world.take_notices();
    let [Notice::RolloutSucceeded(report)] = notices.as_slice() else { panic!("{notices:?}") };
    assert_eq!((report.created, report.updated, report.deleted), (2, 0, 2));
    assert_eq!((report.verdict.succeeded, report.verdict.total), (4, 4));
}

#[tokio::test(flavor = "current_thread")]
async fn a_new_template_updates_every_instance_with_one_operation() {
    let world = rolled_out(&[ONE, TWO, THREE]).await;
    let grown = format!("{FRAMEWORK}        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED\n");
    world.push("Grow", &[("framework.yaml", Some(&grown))]);
    push_seen(&world).await.unwrap();
    settle(&world).await;
    let notices = world.take_notices();
    let [Notice::RolloutSucceeded(report)] = notices.as_slice() else { panic!("{notices:?}") };
    assert_eq!((report.created, report.updated, report.verdict.succeeded), (0, 6, 6));
    let controls = &world.state().frameworks[&name()].variants[0].controls;
    assert!(controls.contains_key("BACKUP_RECOVERY_POINT_ENCRYPTED"), "{controls:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn overrides_are_given_changed_and_taken_back() {
    let world = rolled_out(&[ONE, TWO]).await;
    let override_of_two = |world: &World| {
        let state = world.state();
        let found = state.stack_sets[&name()].instances.iter().find(|(instance, _)| instance.account.as_str() == TWO);
        found.unwrap().1.overrides.as_ref().and_then(|overrides| overrides.get("MinimumRetentionDays")).cloned()
    };
    for retention in [Some("90"), Some("120"), None] {
        world.push("Retention", &[("backup-compliance.yaml", Some(&policy(&[ONE, TWO], retention)))]);
        push_seen(&world).await.unwrap();
        settle(&world).await;
        assert_eq!(override_of_two(&world).as_deref(), retention);
        let calls = world.take_calls();
        assert_eq!(calls.iter().filter(|call| **call == "cloudformation:UpdateStackInstances").count(), 1, "{calls:?}");
        assert_eq!(world.take_notices().len(), 1);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_policy_that_is_wrong_is_told_once_and_nothing_is_touched() {
    let world = rolled_out(&[ONE]).await;
    world.push("Typo", &[("backup-compliance.yaml", Some(&policy(&["11111111111"], None)))]);
    for attempt in 0..3 {
        let seen = push_seen(&world).await.unwrap();
        assert_eq!(seen.rejected.len(), 1, "{seen:?}");
        assert_eq!(world.take_notices().len(), usize::from(attempt == 0), "told once");
        let mutating = World::mutating(&world.take_calls());
        assert!(mutating.iter().all(|call| !call.starts_with("cloudformation:")), "{mutating:?}");
    }
    assert_eq!(current(&world), 2);
}

#[tokio::test(flavor = "current_thread")]
async fn files_that_are_missing_are_named_where_they_are_named() {
    let world = World::new();
    world.push("Start", &[("README.md", Some("hello"))]);
    let seen = push_seen(&world).await.unwrap();
    assert!(seen.rejected[0].contains("`backup-compliance.yaml` is not in the repository"), "{seen:?}");
    world.push("Policy", &[("backup-compliance.yaml", Some(&policy(&[ONE], None)))]);
    let seen = push_seen(&world).await.unwrap();
    assert!(seen.rejected[0].contains("backup-compliance.yaml:3:"), "{seen:?}");
    assert!(seen.rejected[0].contains("`framework.yaml` is not in the repository"), "{seen:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_stack_set_of_somebody_else_is_left_alone() {
    let world = rolled_out(&[ONE]).await;
    world.state().stack_sets.get_mut(&name()).unwrap().observed.owner = None;
    world.push("Grow", &[("backup-compliance.yaml", Some(&policy(&[ONE, TWO], None)))]);
    let seen = push_seen(&world).await.unwrap();
    assert!(seen.rejected[0].contains("exists already and was not made by this application"), "{seen:?}");
    assert!(matches!(world.take_notices().as_slice(), [Notice::PolicyRejected(_)]));
    let mutating = World::mutating(&world.take_calls());
    assert!(mutating.iter().all(|call| !call.starts_with("cloudformation:")), "{mutating:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn an_answer_that_is_lost_starts_no_second_operation() {
    // The writes: exemptions and severities, their digest, the controls, the rollout twice.
    let writes = (0..5).map(|before| ("dynamodb:PutItem", before));
    let operations = ["cloudformation:CreateStackInstances", "cloudformation:CreateStackSet"].map(|call| (call, 0));
    for (call, before) in operations.into_iter().chain(writes) {
        let world = World::new();
        world.push(
            "Start",
            &[("backup-compliance.yaml", Some(&policy(&[ONE], None))), ("framework.yaml", Some(FRAMEWORK))],
        );
        for _ in 0..before {
            world.pass_next(call);
        }
        world.lose_next_answer(call);
        assert_eq!(push_seen(&world).await.unwrap_err().kind, PortErrorKind::Retryable, "{call} {before}");
        // SQS delivers the trigger again; a write whose answer was lost makes one delivery more necessary.
        for _ in 0..3 {
            let _ = push_seen(&world).await;
        }
        assert_eq!(world.state().stack_sets[&name()].operations.len(), 1, "{call}");
        settle(&world).await;
        assert_eq!(current(&world), 2, "{call}");
        assert_eq!(world.take_notices().len(), 1, "{call}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn an_operation_that_had_to_be_started_twice_has_one_id_and_is_counted_once() {
    let world = World::new();
    world
        .push("Start", &[("backup-compliance.yaml", Some(&policy(&[ONE], None))), ("framework.yaml", Some(FRAMEWORK))]);
    world.fail_next("cloudformation:CreateStackInstances", PortErrorKind::Retryable);
    push_seen(&world).await.unwrap_err();
    let id = world.state().rollouts[&name()].value.in_flight.clone().unwrap().id;
    push_seen(&world).await.unwrap();
    assert_eq!(world.state().stack_sets[&name()].operations.keys().cloned().collect::<Vec<_>>(), [id]);
    settle(&world).await;
    let notices = world.take_notices();
    let [Notice::RolloutSucceeded(report)] = notices.as_slice() else { panic!("{notices:?}") };
    assert_eq!((report.created, report.verdict.succeeded), (2, 2));
}

#[tokio::test(flavor = "current_thread")]
async fn a_refusal_of_aws_is_told_with_what_would_help() {
    let world = World::new();
    world
        .push("Start", &[("backup-compliance.yaml", Some(&policy(&[ONE], None))), ("framework.yaml", Some(FRAMEWORK))]);
    world.fail_next("cloudformation:CreateStackSet", PortErrorKind::Denied);
    let seen = push_seen(&world).await.unwrap();
    assert!(matches!(outcome(&seen), FrameworkOutcome::Failed(_)));
    let notices = world.take_notices();
    let text = notices[0].text();
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("does not allow `cloudformation:CreateStackSet`"), "{text}");
    assert!(flat.contains("request 00000000-0000-4000-8000-000000000000"), "{text}");
}

#[tokio::test(flavor = "current_thread")]
async fn triggers_that_are_none_of_ours_cost_nothing() {
    let world = rolled_out(&[ONE]).await;
    let seen = deploy(&world).handle(&[Trigger::Ignored("a tag".into())]).await.unwrap();
    assert_eq!(seen.skipped.as_deref(), Some("a tag"));
    let seen = deploy(&world).handle(&[Trigger::Nonsense("no source".into())]).await.unwrap();
    assert_eq!(seen.skipped.as_deref(), Some("no source"));
    assert!(world.take_calls().is_empty());

    let other = Trigger::OperationEnded { stack_set: "other".into() };
    assert!(deploy(&world).handle(&[other]).await.unwrap().skipped.is_some());
    assert_eq!(world.take_calls(), ["dynamodb:Query"]);
}

// --- CloudFormation requests

pub(crate) async fn request(world: &World, kind: &str, id: &str) -> Result<Seen> {
    request_kept(world, kind, id).await;
    deploy(world).handle(&[Trigger::Request { id: id.into() }]).await
}

/// `lifecycle` keeps a request; `deploy` has not looked yet.
pub(crate) async fn request_kept(world: &World, kind: &str, id: &str) {
    let event = json!({
        "RequestType": kind,
        "ResponseURL": "https://example.com/answer",
        "StackId": "arn:aws:cloudformation:us-east-1:000000000000:stack/app/1",
        "RequestId": id,
        "LogicalResourceId": "Rollout",
        "ResourceProperties": { "RepositoryName": "backup-policy" },
    });
    let lifecycle = Lifecycle { requests: world.clone(), queue: world.clone(), clock: world.clone() };
    lifecycle.take(&event, Envelope::read(&event).unwrap()).await;
}

pub(crate) fn answers(world: &World) -> Vec<Value> {
    std::mem::take(&mut world.state().answers).iter().map(app::lifecycle::Answer::body).collect()
}

#[tokio::test(flavor = "current_thread")]
async fn a_create_succeeds_while_the_branch_is_empty() {
    let world = World::new();
    request(&world, "Create", "1").await.unwrap();
    let answers = answers(&world);
    assert_eq!(answers.len(), 1);
    assert_eq!((answers[0]["Status"].as_str(), answers[0]["RequestId"].as_str()), (Some("SUCCESS"), Some("1")));
    assert!(world.state().requests.is_empty());
}

#[tokio::test(flavor = "current_thread")]
async fn a_create_succeeds_when_the_first_operation_is_accepted_and_fails_on_a_wrong_policy() {
    let world = World::new();
    world.push("Start", &[("backup-compliance.yaml", Some("version: 2")), ("framework.yaml", Some(FRAMEWORK))]);
    request(&world, "Create", "1").await.unwrap();
    let failed = answers(&world);
    assert_eq!(failed[0]["Status"], "FAILED");
    assert!(failed[0]["Reason"].as_str().unwrap().contains("backup-compliance.yaml:1:"), "{failed:?}");

    world.push("Right", &[("backup-compliance.yaml", Some(&policy(&[ONE], None)))]);
    request(&world, "Create", "2").await.unwrap();
    assert_eq!(answers(&world)[0]["Status"], "SUCCESS");
    assert_eq!(world.end_operations(), 1, "the operation is still going on");
}

#[tokio::test(flavor = "current_thread")]
async fn a_request_that_is_delivered_again_after_its_answer_is_not_answered_again() {
    let world = World::new();
    request(&world, "Create", "1").await.unwrap();
    assert_eq!(answers(&world).len(), 1);
    request(&world, "Create", "1").await.unwrap();
    assert_eq!(answers(&world), Vec::<Value>::new());
}

#[tokio::test(flavor = "current_thread")]
async fn a_delete_is_answered_only_when_instances_and_stack_set_are_gone() {
    let world = rolled_out(&[ONE, TWO]).await;
    request(&world, "Delete", "9").await.unwrap();
    assert!(answers(&world).is_empty(), "instances are still being deleted");
    // Whatever else comes in between deploys nothing any more.
    push_seen(&world).await.unwrap();
    assert!(answers(&world).is_empty());
    world.end_operations();
    ended(&world).await.unwrap();
    let answers_given = answers(&world);
    assert_eq!(answers_given.len(), 1);
    assert_eq!(answers_given[0]["Status"], "SUCCESS");
    let state_is_empty = {
        let state = world.state();
        state.stack_sets.is_empty()
            && state.rollouts.is_empty()
            && state.frameworks.is_empty()
            && state.requests.is_empty()
    };
    assert!(state_is_empty);

    world.push("Late", &[("backup-compliance.yaml", Some(&policy(&[ONE, TWO, THREE], None)))]);
    push_seen(&world).await.unwrap();
    assert!(world.state().stack_sets.is_empty(), "a late push deploys nothing while the application goes away");
}

#[tokio::test(flavor = "current_thread")]
async fn a_delete_of_what_never_was_succeeds() {
    let world = World::new();
    request(&world, "Delete", "9").await.unwrap();
    assert_eq!(answers(&world)[0]["Status"], "SUCCESS");
}

#[tokio::test(flavor = "current_thread")]
async fn a_delete_waits_for_an_operation_that_is_going_on() {
    let world = World::new();
    world
        .push("Start", &[("backup-compliance.yaml", Some(&policy(&[ONE], None))), ("framework.yaml", Some(FRAMEWORK))]);
    push_seen(&world).await.unwrap();
    request(&world, "Delete", "9").await.unwrap();
    assert!(answers(&world).is_empty());
    for _ in 0..4 {
        world.end_operations();
        ended(&world).await.unwrap();
    }
    assert_eq!(answers(&world)[0]["Status"], "SUCCESS");
    assert!(world.state().stack_sets.is_empty());
}

#[tokio::test(flavor = "current_thread")]
async fn an_instance_that_cannot_be_deleted_is_let_go_with_its_stack_retained() {
    let world = rolled_out(&[ONE, TWO]).await;
    world.state().broken.insert(format!("{TWO}/us-east-1"), "the execution role is gone".into());
    request(&world, "Delete", "9").await.unwrap();
    for _ in 0..4 {
        world.end_operations();
        ended(&world).await.unwrap();
    }
    assert_eq!(answers(&world)[0]["Status"], "SUCCESS");
    assert!(world.state().stack_sets.is_empty());
}

#[tokio::test(flavor = "current_thread")]
async fn a_delete_that_takes_longer_than_the_hour_fails_and_deleting_again_resumes() {
    let world = rolled_out(&[ONE]).await;
    request(&world, "Delete", "9").await.unwrap();
    world.state().now += jiff::SignedDuration::from_mins(56);
    deploy(&world).handle(&[Trigger::Schedule(Look::Light)]).await.unwrap();
    let failed = answers(&world);
    assert_eq!(failed[0]["Status"], "FAILED");
    assert!(failed[0]["Reason"].as_str().unwrap().contains("deleting again resumes"), "{failed:?}");

    world.end_operations();
    request(&world, "Delete", "10").await.unwrap();
    assert_eq!(answers(&world)[0]["Status"], "SUCCESS");
}

#[tokio::test(flavor = "current_thread")]
async fn an_update_after_a_failed_delete_deploys_again() {
    let world = rolled_out(&[ONE]).await;
    request(&world, "Delete", "9").await.unwrap();
    world.end_operations();
    ended(&world).await.unwrap();
    request(&world, "Update", "10").await.unwrap();
    settle(&world).await;
    assert_eq!(current(&world), 2);
}

#[tokio::test(flavor = "current_thread")]
async fn the_answer_to_cloudformation_never_shows_the_url_in_a_log() {
    let event = json!({ "ResponseURL": "https://secret.example.com/?X-Amz-Signature=abc", "RequestId": "1" });
    let envelope = Envelope::read(&event).unwrap();
    assert!(!format!("{envelope:?}").contains("secret"), "{envelope:?}");
    assert!(!format!("{:?}", ResponseUrl::from("https://secret")).contains("secret"));
}
