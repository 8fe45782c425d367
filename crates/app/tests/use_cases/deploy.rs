use serde_json::{Value, json};

use app::deploy::{FrameworkOutcome, ReconcileSummary};
use app::events::{DeployTrigger, ReconcileScope};
use app::lifecycle::{RequestEnvelope, ResponseUrl, StackLifecycle};
use app::ports::{PortErrorKind, Result};
use domain::notice::Notice;
use domain::rollout::InstanceStatus;
use framework::ids::StackSetName;
use testkit::deploy::Deployer;
use testkit::world::World;

use crate::policy::{FRAMEWORK, ONE, THREE, TWO, policy};

pub(crate) fn deploy(world: &World) -> Deployer {
    testkit::deploy::deploy("backup-policy", world, world)
}

pub(crate) fn name() -> StackSetName {
    StackSetName::parse("backup-compliance").unwrap()
}

pub(crate) fn outcome(seen: &ReconcileSummary) -> &FrameworkOutcome {
    &seen.frameworks[&name()]
}

pub(crate) async fn push_seen(world: &World) -> Result<ReconcileSummary> {
    deploy(world).handle(&[DeployTrigger::Push]).await
}

pub(crate) async fn ended(world: &World) -> Result<ReconcileSummary> {
    deploy(world).handle(&[DeployTrigger::OperationEnded("backup-compliance".into())]).await
}

/// Reconciles until no operation is in progress, as the events would.
pub(crate) async fn settle(world: &World) -> ReconcileSummary {
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

/// The calls to StackSets that change state since the last time this was called.
pub(crate) fn mutations(world: &World) -> Vec<&'static str> {
    World::mutating(&world.take_calls()).into_iter().filter_map(|call| call.strip_prefix("cloudformation:")).collect()
}

pub(crate) fn current(world: &World) -> usize {
    let state = world.state();
    state.stack_sets[&name()].instances.values().filter(|found| found.status == InstanceStatus::Current).count()
}

#[tokio::test(flavor = "current_thread")]
async fn first_push_creates_stack_set_and_instances() {
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
    assert!(world.take_notices().is_empty(), "no notice while the operation runs");

    world.end_operations();
    assert_eq!(outcome(&ended(&world).await.unwrap()), &FrameworkOutcome::Succeeded);
    assert_eq!(current(&world), 6);
    let notices = world.take_notices();
    let [Notice::RolloutSucceeded(report)] = notices.as_slice() else { panic!("{notices:?}") };
    assert_eq!((report.verdict.succeeded, report.verdict.total, report.created), (6, 6, 6));
    assert_eq!((report.author.as_str(), report.message.as_str()), ("Ada <ada@example.com>", "Start"));
}

#[tokio::test(flavor = "current_thread")]
async fn event_bus_is_passed_to_framework_parameter() {
    let world = rolled_out(&[ONE]).await;
    let digest_with_bus = world.state().stack_sets[&name()].observed.definition.clone();
    let without = FRAMEWORK.replace("  ComplianceEventBusArn: { Type: String, Default: \"\" }\n", "");
    world.push("No bus", &[("framework.yaml", Some(&without))]);
    assert!(push_seen(&world).await.unwrap().rejected.is_empty());
    settle(&world).await;
    assert_ne!(world.state().stack_sets[&name()].observed.definition, digest_with_bus);
}

#[tokio::test(flavor = "current_thread")]
async fn unchanged_push_costs_five_reads() {
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
async fn full_reconciliation_of_healthy_fleet_is_read_only() {
    let world = rolled_out(&[ONE, TWO]).await;
    let seen = deploy(&world).handle(&[DeployTrigger::Schedule(ReconcileScope::Full)]).await.unwrap();
    assert_eq!(outcome(&seen), &FrameworkOutcome::Unchanged);
    assert_eq!(World::mutating(&world.take_calls()), Vec::<&str>::new());
}

#[tokio::test(flavor = "current_thread")]
async fn full_reconciliation_recreates_deleted_instance() {
    let world = rolled_out(&[ONE, TWO]).await;
    let victim = world.state().stack_sets[&name()].instances.keys().next().unwrap().clone();
    world.state().stack_sets.get_mut(&name()).unwrap().instances.remove(&victim);
    let seen = deploy(&world).handle(&[DeployTrigger::Schedule(ReconcileScope::Full)]).await.unwrap();
    assert!(matches!(outcome(&seen), FrameworkOutcome::Started(_)));
    settle(&world).await;
    assert_eq!(current(&world), 4);
}

#[tokio::test(flavor = "current_thread")]
async fn quick_check_costs_two_reads() {
    let world = rolled_out(&[ONE]).await;
    let seen = deploy(&world).handle(&[DeployTrigger::Schedule(ReconcileScope::QuickCheck)]).await.unwrap();
    assert!(seen.skipped.is_some());
    assert_eq!(world.take_calls(), ["dynamodb:Query"; 2]);
}

#[tokio::test(flavor = "current_thread")]
async fn quick_check_replaces_lost_event() {
    let world = World::new();
    world
        .push("Start", &[("backup-compliance.yaml", Some(&policy(&[ONE], None))), ("framework.yaml", Some(FRAMEWORK))]);
    push_seen(&world).await.unwrap();
    world.end_operations();
    let seen = deploy(&world).handle(&[DeployTrigger::Schedule(ReconcileScope::QuickCheck)]).await.unwrap();
    assert_eq!(outcome(&seen), &FrameworkOutcome::Succeeded);
}

#[tokio::test(flavor = "current_thread")]
async fn deletions_precede_creations() {
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
async fn new_template_updates_all_in_one_operation() {
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
async fn overrides_are_set_changed_and_removed() {
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
async fn invalid_policy_is_rejected_once_without_changes() {
    let world = rolled_out(&[ONE]).await;
    world.push("Typo", &[("backup-compliance.yaml", Some(&policy(&["11111111111"], None)))]);
    for attempt in 0..3 {
        let seen = push_seen(&world).await.unwrap();
        assert_eq!(seen.rejected.len(), 1, "{seen:?}");
        assert_eq!(world.take_notices().len(), usize::from(attempt == 0), "one notice");
        let mutating = World::mutating(&world.take_calls());
        assert!(mutating.iter().all(|call| !call.starts_with("cloudformation:")), "{mutating:?}");
    }
    assert_eq!(current(&world), 2);
}

#[tokio::test(flavor = "current_thread")]
async fn missing_files_are_reported_at_their_reference() {
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
async fn foreign_stack_set_is_not_changed() {
    let world = rolled_out(&[ONE]).await;
    world.state().stack_sets.get_mut(&name()).unwrap().observed.owner = None;
    world.push("Grow", &[("backup-compliance.yaml", Some(&policy(&[ONE, TWO], None)))]);
    let seen = push_seen(&world).await.unwrap();
    assert!(seen.rejected[0].contains("exists already and was not created by this application"), "{seen:?}");
    assert!(matches!(world.take_notices().as_slice(), [Notice::PolicyRejected(_)]));
    let mutating = World::mutating(&world.take_calls());
    assert!(mutating.iter().all(|call| !call.starts_with("cloudformation:")), "{mutating:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn lost_response_starts_no_second_operation() {
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
        // SQS delivers the trigger again; a write whose response was lost makes one more delivery necessary.
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
async fn restarted_operation_keeps_id_and_counts_once() {
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
async fn denied_call_is_reported_with_advice() {
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
async fn foreign_triggers_make_no_calls() {
    let world = rolled_out(&[ONE]).await;
    let seen = deploy(&world).handle(&[DeployTrigger::Ignored("a tag".into())]).await.unwrap();
    assert_eq!(seen.skipped.as_deref(), Some("a tag"));
    let seen = deploy(&world).handle(&[DeployTrigger::Invalid("no source".into())]).await.unwrap();
    assert_eq!(seen.skipped.as_deref(), Some("no source"));
    assert!(world.take_calls().is_empty());

    let other = DeployTrigger::OperationEnded("other".into());
    assert!(deploy(&world).handle(&[other]).await.unwrap().skipped.is_some());
    assert_eq!(world.take_calls(), ["dynamodb:Query"]);
}

// --- CloudFormation requests

pub(crate) async fn request(world: &World, kind: &str, id: &str) -> Result<ReconcileSummary> {
    request_kept(world, kind, id).await;
    deploy(world).handle(&[DeployTrigger::Request(id.into())]).await
}

/// A request that `lifecycle` has stored and `deploy` has not read yet.
pub(crate) async fn request_kept(world: &World, kind: &str, id: &str) {
    let event = json!({
        "RequestType": kind,
        "ResponseURL": "https://example.com/answer",
        "StackId": "arn:aws:cloudformation:us-east-1:000000000000:stack/app/1",
        "RequestId": id,
        "LogicalResourceId": "Rollout",
        "ResourceProperties": { "RepositoryName": "backup-policy" },
    });
    let lifecycle = StackLifecycle::<World> { requests: world.clone(), queue: world.clone(), clock: world.clone() };
    lifecycle.receive(&event, RequestEnvelope::read(&event).unwrap()).await.unwrap();
}

pub(crate) fn answers(world: &World) -> Vec<Value> {
    std::mem::take(&mut world.state().answers).iter().map(app::lifecycle::RequestAnswer::body).collect()
}

#[tokio::test(flavor = "current_thread")]
async fn create_succeeds_without_branch() {
    let world = World::new();
    request(&world, "Create", "1").await.unwrap();
    let answers = answers(&world);
    assert_eq!(answers.len(), 1);
    assert_eq!((answers[0]["Status"].as_str(), answers[0]["RequestId"].as_str()), (Some("SUCCESS"), Some("1")));
    assert!(world.state().requests.is_empty());
}

#[tokio::test(flavor = "current_thread")]
async fn create_needs_valid_policy_and_accepted_operation() {
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
async fn answered_request_is_not_answered_again() {
    let world = World::new();
    request(&world, "Create", "1").await.unwrap();
    assert_eq!(answers(&world).len(), 1);
    request(&world, "Create", "1").await.unwrap();
    assert_eq!(answers(&world), Vec::<Value>::new());
}

#[tokio::test(flavor = "current_thread")]
async fn delete_is_answered_after_removal_of_stack_set() {
    let world = rolled_out(&[ONE, TWO]).await;
    request(&world, "Delete", "9").await.unwrap();
    assert!(answers(&world).is_empty(), "instances are still being deleted");
    // Other triggers in the meantime deploy nothing.
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
async fn delete_without_stack_set_succeeds() {
    let world = World::new();
    request(&world, "Delete", "9").await.unwrap();
    assert_eq!(answers(&world)[0]["Status"], "SUCCESS");
}

#[tokio::test(flavor = "current_thread")]
async fn delete_waits_for_running_operation() {
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
async fn undeletable_instance_is_retained() {
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
async fn delete_over_an_hour_fails_and_resumes() {
    let world = rolled_out(&[ONE]).await;
    request(&world, "Delete", "9").await.unwrap();
    world.state().now += jiff::SignedDuration::from_mins(56);
    deploy(&world).handle(&[DeployTrigger::Schedule(ReconcileScope::QuickCheck)]).await.unwrap();
    let failed = answers(&world);
    assert_eq!(failed[0]["Status"], "FAILED");
    assert!(failed[0]["Reason"].as_str().unwrap().contains("deleting again continues"), "{failed:?}");

    world.end_operations();
    request(&world, "Delete", "10").await.unwrap();
    assert_eq!(answers(&world)[0]["Status"], "SUCCESS");
}

#[tokio::test(flavor = "current_thread")]
async fn update_after_failed_delete_deploys_again() {
    let world = rolled_out(&[ONE]).await;
    request(&world, "Delete", "9").await.unwrap();
    world.end_operations();
    ended(&world).await.unwrap();
    request(&world, "Update", "10").await.unwrap();
    settle(&world).await;
    assert_eq!(current(&world), 2);
}

#[tokio::test(flavor = "current_thread")]
async fn signed_url_is_not_logged() {
    let event = json!({ "ResponseURL": "https://secret.example.com/?X-Amz-Signature=abc", "RequestId": "1" });
    let envelope = RequestEnvelope::read(&event).unwrap();
    assert!(!format!("{envelope:?}").contains("secret"), "{envelope:?}");
    assert!(!format!("{:?}", ResponseUrl::from("https://secret")).contains("secret"));
}
