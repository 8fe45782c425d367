use app::events::{Look, Trigger};
use app::lifecycle::{Envelope, Request, RequestKind, ResponseUrl};
use jiff::ToSpan as _;
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

async fn look_once(world: &World) {
    let deploy = deploy("policy", world, world);
    deploy.handle(&[Trigger::Push, Trigger::Schedule(Look::Full)]).await.unwrap();
}

fn push(world: &World, policy: &str) {
    world.push("Back everything up", &[("backup-compliance.yaml", Some(policy)), ("framework.yaml", Some(TEMPLATE))]);
}

async fn seen(world: &World, live: bool) -> Status {
    let now = world.state().now + 3.hours();
    world.take_calls();
    let status = ask(world, live.then_some(world), Some(world), now).await.unwrap();
    assert_eq!(World::mutating(&world.take_calls()), Vec::<&str>::new());
    status
}

/// What the page says, without the ids that differ with the code.
fn page(status: &Status) -> String {
    let id = status.frameworks.iter().find_map(|framework| framework.operation.as_ref()).map(|one| one.id.clone());
    human::page(status).replace(&id.unwrap_or_else(|| "no id".to_owned()), "ID")
}

#[tokio::test(flavor = "current_thread")]
async fn what_runs_what_failed_and_what_is_done_is_on_one_screen() {
    let world = World::new();
    assert_eq!(page(&seen(&world, true).await), "no framework was ever rolled out\n");
    push(&world, POLICY);
    world.state().broken.insert("222222222222/eu-west-1".into(), "the execution role is missing".into());
    look_once(&world).await;
    let running = seen(&world, false).await;
    assert!(!running.is_failure());
    insta::assert_snapshot!("status_running", page(&running));

    world.end_operations();
    look_once(&world).await;
    while world.end_operations() > 0 {
        look_once(&world).await;
    }
    let failed = seen(&world, true).await;
    assert!(failed.is_failure());
    insta::assert_snapshot!("status_failed", page(&failed));

    world.state().broken.clear();
    push(&world, &POLICY.replace("\"111111111111\", ", ""));
    look_once(&world).await;
    while world.end_operations() > 0 {
        look_once(&world).await;
    }
    let done = seen(&world, true).await;
    assert!(!done.is_failure(), "{done:#?}");
    insta::assert_snapshot!("status_done", page(&done));
}

#[tokio::test(flavor = "current_thread")]
async fn a_rejected_head_a_waiting_request_and_a_stack_set_that_is_gone_are_told() {
    let world = World::new();
    push(&world, POLICY);
    look_once(&world).await;
    world.end_operations();
    look_once(&world).await;
    push(&world, &POLICY.replace("framework.yaml", "nowhere.yaml"));
    look_once(&world).await;
    let envelope = Envelope {
        response_url: ResponseUrl::from("https://example.com/secret"),
        stack_id: "stack".into(),
        request_id: "one".into(),
        logical_resource_id: "Rollout".into(),
        physical_resource_id: "rollout".into(),
    };
    let since = world.state().now;
    RequestStore::keep(&world, &Request { kind: RequestKind::Update, envelope }, since).await.unwrap();
    let status = seen(&world, true).await;
    assert!(status.is_failure());
    let page = page(&status);
    assert!(page.starts_with("CloudFormation waits for the answer to Update of Rollout, 3 hours ago\n"), "{page}");
    assert!(page.contains("the policy at the head of the branch (") && page.contains("is rejected"), "{page}");
    assert!(!page.contains("secret") && !json!(status).to_string().contains("secret"), "{page}");
    let without = seen(&world, false).await;
    assert!(!without.is_failure(), "nobody knows the head");
    assert!(human::page(&without).contains("--live tells whether it still is the head"));

    world.state().stack_sets.clear();
    let gone = seen(&world, true).await;
    assert!(gone.frameworks[0].is_failure());
    assert!(human::page(&gone).contains("there is no such StackSet"));
}
