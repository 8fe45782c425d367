use serde_json::{Value, json};

use app::lifecycle::ports::RequestStore as _;
use app::lifecycle::{CloudFormationRequest, RequestAnswer, RequestEnvelope, StackLifecycle};
use app::ports::PortErrorKind;
use testkit::world::World;

fn event() -> Value {
    json!({
        "RequestType": "Create",
        "ResponseURL": "https://example.com/answer",
        "StackId": "arn:aws:cloudformation:us-east-1:000000000000:stack/app/1",
        "RequestId": "r-1",
        "LogicalResourceId": "Rollout",
        "ResourceType": "Custom::BackupCompliance",
        "ResourceProperties": { "ServiceTimeout": "3600" },
    })
}

async fn take(world: &World, event: &Value) -> Result<CloudFormationRequest, String> {
    let lifecycle = StackLifecycle::<World> { requests: world.clone(), queue: world.clone(), clock: world.clone() };
    lifecycle.receive(event, RequestEnvelope::read(event).unwrap()).await
}

#[tokio::test(flavor = "current_thread")]
async fn request_is_stored_and_triggers_deploy() {
    let world = World::new();
    take(&world, &event()).await.unwrap();
    assert_eq!(world.state().looks, ["r-1"]);
    assert!(world.state().requests.contains_key("r-1"));
}

#[tokio::test(flavor = "current_thread")]
async fn invalid_request_is_answered_with_error() {
    let cases = [
        ("RequestType", json!("Explode"), "unknown RequestType `Explode`"),
        ("RequestType", Value::Null, "no RequestType"),
        ("RequestId", json!(""), "no RequestId"),
        ("ResourceProperties", Value::Null, "no ResourceProperties"),
        ("ResourceProperties", json!("text"), "no ResourceProperties"),
    ];
    for (field, value, expected) in cases {
        let world = World::new();
        let mut event = event();
        event[field] = value;
        let reason = take(&world, &event).await.unwrap_err();
        assert!(reason.contains(expected), "{reason}");
        assert!(world.take_calls().is_empty());
    }
}

#[tokio::test(flavor = "current_thread")]
async fn delete_needs_no_properties() {
    let world = World::new();
    let mut event = event();
    event["RequestType"] = json!("Delete");
    event["ResourceProperties"] = Value::Null;
    take(&world, &event).await.unwrap();
}

#[tokio::test(flavor = "current_thread")]
async fn failed_call_is_answered_unless_already_settled() {
    for call in ["dynamodb:PutItem", "sqs:SendMessage"] {
        let world = World::new();
        world.fail_next(call, PortErrorKind::Denied);
        let reason = take(&world, &event()).await.unwrap_err();
        assert!(reason.contains(call), "{reason}");
        let envelope = RequestEnvelope::read(&event()).unwrap();
        let failure = RequestAnswer::failure(&envelope, &reason);
        let request = CloudFormationRequest::read(&event(), envelope.clone()).unwrap();
        let now = world.state().now;
        assert_eq!(world.settle(&request, &failure, now).await, Ok(Some(failure.clone())), "{call}");
        assert_eq!(
            world.settle(&request, &RequestAnswer::success(&envelope), now).await,
            Ok(Some(failure.clone())),
            "{call}"
        );
        assert_eq!(world.waiting().await.unwrap()[0].answer, Some(failure.clone()), "{call}");
        world.record_answered("r-1", now).await.unwrap();
        assert_eq!(world.settle(&request, &failure, now).await, Ok(None), "{call}: answered");
        assert_eq!(world.waiting().await, Ok(Vec::new()), "{call}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn redelivered_request_is_stored_once() {
    let world = World::new();
    take(&world, &event()).await.unwrap();
    let since = world.state().requests["r-1"].since;
    world.state().now += jiff::SignedDuration::from_mins(2);
    take(&world, &event()).await.unwrap();
    assert_eq!(world.state().requests["r-1"].since, since, "the clock of the first delivery runs");
}

#[test]
fn request_without_address_is_an_error() {
    for url in [Value::Null, json!(""), json!("ftp://example.com"), json!(5)] {
        let mut event = event();
        event["ResponseURL"] = url;
        assert!(RequestEnvelope::read(&event).is_err());
    }
    assert!(RequestEnvelope::read(&json!([])).is_err());
}

#[test]
fn physical_id_is_kept_or_derived() {
    let first = RequestEnvelope::read(&event()).unwrap().physical_resource_id;
    assert_eq!(RequestEnvelope::read(&event()).unwrap().physical_resource_id, first);
    let mut update = event();
    update["PhysicalResourceId"] = json!("as-it-was");
    assert_eq!(RequestEnvelope::read(&update).unwrap().physical_resource_id, "as-it-was");
}

#[test]
fn response_fits_limit_with_reason_only_on_failure() {
    let envelope = RequestEnvelope::read(&event()).unwrap();
    let success = RequestAnswer::success(&envelope).body();
    assert_eq!(
        success.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["LogicalResourceId", "PhysicalResourceId", "RequestId", "StackId", "Status"]
    );
    let failure = RequestAnswer::failure(&envelope, &"\u{1f9ef}\"".repeat(3_000)).body();
    assert_eq!(failure["Status"], "FAILED");
    assert!(failure.to_string().len() <= 4_096, "{}", failure.to_string().len());
    assert!(!RequestAnswer::failure(&envelope, "  ").body()["Reason"].as_str().unwrap().trim().is_empty());
}
