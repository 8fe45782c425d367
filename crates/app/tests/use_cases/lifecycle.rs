use app::lifecycle::{Answer, Envelope, Handled, Lifecycle, Request};
use app::ports::{PortErrorKind, RequestStore as _};
use serde_json::{Value, json};
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

async fn take(world: &World, event: &Value) -> Handled {
    let lifecycle = Lifecycle { requests: world.clone(), queue: world.clone(), clock: world.clone() };
    lifecycle.take(event, Envelope::read(event).unwrap()).await
}

fn reason(handled: &Handled) -> String {
    let Handled::Answer(answer) = handled else { panic!("{handled:?}") };
    answer.reason().expect("a failure").to_owned()
}

#[tokio::test(flavor = "current_thread")]
async fn a_request_is_kept_and_deploy_is_woken() {
    let world = World::new();
    assert!(matches!(take(&world, &event()).await, Handled::Handed(_)));
    assert_eq!(world.state().looks, ["r-1"]);
    assert!(world.state().requests.contains_key("r-1"));
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_wrong_with_a_request_is_answered() {
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
        let reason = reason(&take(&world, &event).await);
        assert!(reason.contains(expected), "{reason}");
        assert!(world.take_calls().is_empty());
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_delete_needs_no_properties() {
    let world = World::new();
    let mut event = event();
    event["RequestType"] = json!("Delete");
    event["ResourceProperties"] = Value::Null;
    assert!(matches!(take(&world, &event).await, Handled::Handed(_)));
}

#[tokio::test(flavor = "current_thread")]
async fn a_failing_call_is_answered_and_whoever_settles_an_answer_first_decides() {
    for call in ["dynamodb:PutItem", "sqs:SendMessage"] {
        let world = World::new();
        world.fail_next(call, PortErrorKind::Denied);
        let handled = take(&world, &event()).await;
        let reason = reason(&handled);
        assert!(reason.contains(call), "{reason}");
        let Handled::Answer(failure) = handled else { panic!("{handled:?}") };
        let envelope = Envelope::read(&event()).unwrap();
        let request = Request::read(&event(), envelope.clone()).unwrap();
        let now = world.state().now;
        assert_eq!(world.settle(&request, &failure, now).await, Ok(Some(failure.clone())), "{call}");
        assert_eq!(world.settle(&request, &Answer::success(&envelope), now).await, Ok(Some(failure.clone())), "{call}");
        assert_eq!(world.waiting().await.unwrap()[0].answer, Some(failure.clone()), "{call}");
        world.answered("r-1", now).await.unwrap();
        assert_eq!(world.settle(&request, &failure, now).await, Ok(None), "{call}: answered");
        assert_eq!(world.waiting().await, Ok(Vec::new()), "{call}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_request_that_is_delivered_twice_is_kept_once() {
    let world = World::new();
    take(&world, &event()).await;
    let since = world.state().requests["r-1"].since;
    world.state().now += jiff::SignedDuration::from_mins(2);
    take(&world, &event()).await;
    assert_eq!(world.state().requests["r-1"].since, since, "the clock of the first delivery runs");
}

#[test]
fn nobody_can_be_answered_without_an_address() {
    for url in [Value::Null, json!(""), json!("ftp://example.com"), json!(5)] {
        let mut event = event();
        event["ResponseURL"] = url;
        assert!(Envelope::read(&event).is_err());
    }
    assert!(Envelope::read(&json!([])).is_err());
}

#[test]
fn the_physical_id_is_kept_or_derived_and_never_fresh() {
    let first = Envelope::read(&event()).unwrap().physical_resource_id;
    assert_eq!(Envelope::read(&event()).unwrap().physical_resource_id, first);
    let mut update = event();
    update["PhysicalResourceId"] = json!("as-it-was");
    assert_eq!(Envelope::read(&update).unwrap().physical_resource_id, "as-it-was");
}

#[test]
fn an_answer_fits_into_four_kilobytes_and_has_a_reason_only_when_it_fails() {
    let envelope = Envelope::read(&event()).unwrap();
    let success = Answer::success(&envelope).body();
    assert_eq!(
        success.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["LogicalResourceId", "PhysicalResourceId", "RequestId", "StackId", "Status"]
    );
    let failure = Answer::failure(&envelope, &"\u{1f9ef}\"".repeat(3_000)).body();
    assert_eq!(failure["Status"], "FAILED");
    assert!(failure.to_string().len() <= 4_096, "{}", failure.to_string().len());
    assert!(!Answer::failure(&envelope, "  ").body()["Reason"].as_str().unwrap().trim().is_empty());
}
