mod faults;

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use lambda_runtime::Context;
use serde_json::{Value, json};

use app::lifecycle::ports::{DeployQueue, LifecycleEnv, RequestStore, Responder};
use app::lifecycle::{CloudFormationRequest, RequestAnswer, StackLifecycle, WaitingRequest};
use app::ports::{PortErrorKind, Result};
use testkit::world::World;

use super::{RESERVE, handle, working_time};

/// A failure of the queue.
#[derive(Clone, Copy)]
enum QueueFailure {
    Panics,
    Hangs,
}

struct BrokenQueue(QueueFailure);

impl DeployQueue for BrokenQueue {
    async fn request_reconciliation(&self, _request_id: &str) -> Result<()> {
        match self.0 {
            QueueFailure::Panics => panic!("as the test wants it"),
            QueueFailure::Hangs => pending().await,
        }
    }
}

enum WithBrokenQueue {}

impl LifecycleEnv for WithBrokenQueue {
    type Requests = World;
    type Queue = BrokenQueue;
    type Clock = World;
}

/// Never returns.
struct HangingStore;

impl RequestStore for HangingStore {
    async fn store(&self, _request: &CloudFormationRequest, _at: Timestamp) -> Result<()> {
        pending().await
    }

    async fn settle(
        &self,
        _request: &CloudFormationRequest,
        _answer: &RequestAnswer,
        _at: Timestamp,
    ) -> Result<Option<RequestAnswer>> {
        pending().await
    }

    async fn waiting(&self) -> Result<Vec<WaitingRequest>> {
        pending().await
    }

    async fn record_answered(&self, _request_id: &str, _at: Timestamp) -> Result<()> {
        pending().await
    }
}

enum WithHangingStore {}

impl LifecycleEnv for WithHangingStore {
    type Requests = HangingStore;
    type Queue = World;
    type Clock = World;
}

/// CloudFormation cannot be reached.
struct Unreachable;

impl Responder for Unreachable {
    async fn answer(&self, _answer: &RequestAnswer) -> Result<()> {
        Err(testkit::world::error("cloudformation:answer", PortErrorKind::Retryable))
    }
}

fn event() -> Value {
    request("Create", "r-1")
}

fn request(kind: &str, id: &str) -> Value {
    json!({
        "RequestType": kind,
        "ResponseURL": "https://example.com/answer",
        "StackId": "arn:aws:cloudformation:us-east-1:000000000000:stack/app/1",
        "RequestId": id,
        "LogicalResourceId": "Rollout",
        "ResourceType": "Custom::BackupCompliance",
        "ResourceProperties": { "ServiceTimeout": "3600" },
    })
}

fn reasons(world: &World) -> Vec<String> {
    world.state().answers.iter().map(|answer| answer.reason().unwrap_or("none").to_owned()).collect()
}

/// An invocation with half a second for its work.
fn short_of_time() -> Context {
    ending_in(Duration::from_millis(1_500))
}

#[expect(clippy::disallowed_methods, reason = "Lambda's deadline is a wall-clock time")]
fn ending_in(left: Duration) -> Context {
    let deadline = SystemTime::now() + left;
    let mut context = Context::default();
    context.deadline = deadline.duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap();
    context
}

#[tokio::test]
async fn panics_and_hanging_calls_are_answered_once() {
    let cases = [
        (QueueFailure::Panics, "an internal error"),
        (QueueFailure::Hangs, "could not be handed to deploy within 0 s"),
    ];
    for (failure, expected) in cases {
        let world = World::new();
        let lifecycle = StackLifecycle::<WithBrokenQueue> {
            requests: world.clone(),
            queue: BrokenQueue(failure),
            clock: world.clone(),
        };
        let answered = handle(event(), short_of_time(), &Ok(Arc::new(lifecycle)), &world).await.unwrap();
        assert_eq!(answered, json!({ "answered": "r-1" }));
        let reasons = reasons(&world);
        assert_eq!(reasons.len(), 1, "{reasons:?}");
        assert!(reasons[0].contains(expected), "{reasons:?}");
        assert!(world.state().requests.is_empty(), "deploy would answer again");
        let calls = world.take_calls();
        let expected = ["dynamodb:PutItem", "dynamodb:UpdateItem", "cloudformation:PutAnswer", "dynamodb:PutItem"];
        assert_eq!(calls, expected, "stored, and settled before it is answered");
    }
}

#[test]
fn working_time_leaves_the_reserve_or_is_a_third() {
    let seconds = Duration::from_secs;
    assert_eq!(working_time(seconds(60)), seconds(60) - RESERVE);
    assert_eq!(working_time(seconds(30)), seconds(10));
    assert_eq!(working_time(seconds(0)), seconds(0));
}

#[tokio::test]
async fn hanging_table_does_not_prevent_the_answer() {
    let world = World::new();
    let lifecycle =
        StackLifecycle::<WithHangingStore> { requests: HangingStore, queue: world.clone(), clock: world.clone() };
    handle(event(), short_of_time(), &Ok(Arc::new(lifecycle)), &world).await.unwrap();
    assert_eq!(reasons(&world).len(), 1);
}

#[tokio::test]
async fn missing_settings_are_answered() {
    let world = World::new();
    let missing: std::result::Result<Arc<StackLifecycle<World>>, String> =
        Err("missing environment variables `STATE_TABLE_NAME`, `DEPLOY_QUEUE_URL`".into());
    handle(event(), Context::default(), &missing, &world).await.unwrap();
    assert_eq!(reasons(&world), ["missing environment variables `STATE_TABLE_NAME`, `DEPLOY_QUEUE_URL`"]);
    assert!(world.state().requests.is_empty());
}

#[tokio::test]
async fn request_handed_over_is_not_answered() {
    let world = World::new();
    let lifecycle = StackLifecycle::<World> { requests: world.clone(), queue: world.clone(), clock: world.clone() };
    let handed = handle(event(), Context::default(), &Ok(Arc::new(lifecycle)), &world).await.unwrap();
    assert_eq!(handed, json!({ "handed": "r-1" }));
    assert_eq!(reasons(&world), Vec::<String>::new());
    assert!(world.state().requests.contains_key("r-1"));
}

#[tokio::test]
async fn answer_not_accepted_fails_the_invocation() {
    let world = World::new();
    world.fail_next("sqs:SendMessage", PortErrorKind::Denied);
    let lifecycle = StackLifecycle::<World> { requests: world.clone(), queue: world.clone(), clock: world.clone() };
    let failed = handle(event(), Context::default(), &Ok(Arc::new(lifecycle)), &Unreachable).await;
    assert!(format!("{:?}", failed.unwrap_err()).contains("cloudformation:answer"));
    // `deploy` finds the settled answer.
    let settled = world.state().requests["r-1"].answer.clone().unwrap();
    assert!(settled.reason().unwrap().contains("sqs:SendMessage"), "{settled:?}");
}

/// CloudFormation never responds.
struct Silent;

impl Responder for Silent {
    async fn answer(&self, _answer: &RequestAnswer) -> Result<()> {
        pending().await
    }
}

#[tokio::test]
async fn sending_an_answer_ends_with_the_invocation() {
    let world = World::new();
    world.fail_next("sqs:SendMessage", PortErrorKind::Denied);
    let lifecycle = StackLifecycle::<World> { requests: world.clone(), queue: world.clone(), clock: world.clone() };
    let began = Instant::now();
    let failed = handle(event(), short_of_time(), &Ok(Arc::new(lifecycle)), &Silent).await;
    assert!(format!("{:?}", failed.unwrap_err()).contains("could not be reached within the time"));
    let took = began.elapsed();
    assert!((1_000..1_500).contains(&took.as_millis()), "{took:?}");
    assert!(world.state().requests["r-1"].answer.is_some());
}
