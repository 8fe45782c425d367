use jiff::ToSpan as _;

use app::events::{DeployTrigger, ReconcileScope};
use app::lifecycle::ports::RequestStore;
use app::lifecycle::{CloudFormationRequest, RequestEnvelope, RequestKind, ResponseUrl};
use testkit::deploy::deploy;
use testkit::world::World;

use super::*;

const POLICY: &str = r#"version: 1
frameworks:
  - name: alpha
    template: framework.yaml
    targets:
      - accounts: ["111111111111", "222222222222"]
        regions: [eu-west-1, us-east-1]
"#;
const TEMPLATE: &str = r#"Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
"#;

async fn reconcile(world: &World) {
    let deploy = deploy("policy", world, world);
    deploy.handle(&[DeployTrigger::Push, DeployTrigger::Schedule(ReconcileScope::Full)]).await.unwrap();
}

fn push(world: &World, policy: &str) {
    world.push("Back everything up", &[("backup-compliance.yaml", Some(policy)), ("framework.yaml", Some(TEMPLATE))]);
}

async fn read_status(world: &World, live: bool) -> RolloutStatus {
    let now = world.state().now + 3.hours();
    world.take_calls();
    let status = ask(world, live.then_some(world), Some(world), now).await.unwrap();
    assert_eq!(World::mutating(&world.take_calls()), Vec::<&str>::new());
    status
}

/// The page with a placeholder for the operation id.
fn page(status: &RolloutStatus) -> String {
    let id =
        status.frameworks.iter().find_map(|framework| framework.rollout.in_flight.as_ref()).map(|one| one.id.clone());
    human::page(status).replace(&id.unwrap_or_else(|| "no id".to_owned()), "ID")
}

#[tokio::test(flavor = "current_thread")]
async fn status_page_of_each_phase_matches_snapshot() {
    let world = World::new();
    assert_eq!(page(&read_status(&world, true).await), "no framework has been rolled out\n");
    push(&world, POLICY);
    world.state().broken.insert("222222222222/eu-west-1".into(), "the execution role is missing".into());
    reconcile(&world).await;
    let running = read_status(&world, false).await;
    assert!(!running.is_failure());
    insta::assert_snapshot!("status_running", page(&running));

    world.end_operations();
    reconcile(&world).await;
    while world.end_operations() > 0 {
        reconcile(&world).await;
    }
    let failed = read_status(&world, true).await;
    assert!(failed.is_failure());
    insta::assert_snapshot!("status_failed", page(&failed));

    world.state().broken.clear();
    push(&world, &POLICY.replace("\"111111111111\", ", ""));
    reconcile(&world).await;
    while world.end_operations() > 0 {
        reconcile(&world).await;
    }
    let done = read_status(&world, true).await;
    assert!(!done.is_failure(), "{done:#?}");
    insta::assert_snapshot!("status_done", page(&done));
}

#[tokio::test(flavor = "current_thread")]
async fn status_page_shows_rejection_request_and_deletion() {
    let world = World::new();
    push(&world, POLICY);
    reconcile(&world).await;
    world.end_operations();
    reconcile(&world).await;
    push(&world, &POLICY.replace("framework.yaml", "nowhere.yaml"));
    reconcile(&world).await;
    let envelope = RequestEnvelope {
        response_url: ResponseUrl::from("https://example.com/secret"),
        stack_id: "stack".into(),
        request_id: "one".into(),
        logical_resource_id: "Rollout".into(),
        physical_resource_id: "rollout".into(),
    };
    let since = world.state().now;
    RequestStore::store(&world, &CloudFormationRequest { kind: RequestKind::Update, envelope }, since).await.unwrap();
    let status = read_status(&world, true).await;
    assert!(status.is_failure());
    let page = page(&status);
    assert!(page.starts_with("CloudFormation waits for the answer to Update of Rollout, 3 hours ago\n"), "{page}");
    assert!(page.contains("the policy at the head of the branch (") && page.contains("is rejected"), "{page}");
    assert!(!page.contains("secret") && !json(&status).to_string().contains("secret"), "{page}");
    let without = read_status(&world, false).await;
    assert!(!without.is_failure(), "the head is unknown");
    assert!(human::page(&without).contains("--live shows whether it is still the head"));

    world.state().stack_sets.clear();
    let gone = read_status(&world, true).await;
    assert!(gone.frameworks[0].is_failure());
    assert!(human::page(&gone).contains("the StackSet does not exist"));
}
