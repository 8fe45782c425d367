use super::{RESERVE, handle, working_time};
use app::lifecycle::{Answer, Lifecycle, Request, ResponseUrl, Waiting};
use app::ports::{DeployQueue, PortErrorKind, RequestStore, Responder, Result};
use jiff::Timestamp;
use lambda_runtime::Context;
use serde_json::{Value, json};
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use testkit::world::World;

/// What goes wrong in a queue.
#[derive(Clone, Copy)]
enum Trouble {
    Panics,
    Hangs,
}

struct BrokenQueue(Trouble);

impl DeployQueue for BrokenQueue {
    async fn look(&self, _request_id: &str) -> Result<()> {
        match self.0 {
            Trouble::Panics => panic!("as the test wants it"),
            Trouble::Hangs => pending().await,
        }
    }
}

/// Keeps nothing and never answers.
struct HangingStore;

impl RequestStore for HangingStore {
    async fn keep(&self, _request: &Request, _at: Timestamp) -> Result<()> {
        pending().await
    }

    async fn settle(&self, _request: &Request, _answer: &Answer, _at: Timestamp) -> Result<Option<Answer>> {
        pending().await
    }

    async fn waiting(&self) -> Result<Vec<Waiting>> {
        pending().await
    }

    async fn answered(&self, _request_id: &str, _at: Timestamp) -> Result<()> {
        pending().await
    }
}

/// CloudFormation has gone away.
struct Deaf;

impl Responder for Deaf {
    async fn answer(&self, _url: &ResponseUrl, _answer: &Answer) -> Result<()> {
        Err(testkit::world::error("cloudformation:answer", PortErrorKind::Retryable))
    }
}

fn event() -> Value {
    request("Create", "r-1")
}

pub(super) fn request(kind: &str, id: &str) -> Value {
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

/// An invocation that has half a second for its work.
fn short_of_time() -> Context {
    ending_in(Duration::from_millis(1_500))
}

#[expect(clippy::disallowed_methods, reason = "Lambda's deadline is a wall-clock time")]
pub(super) fn ending_in(left: Duration) -> Context {
    let deadline = SystemTime::now() + left;
    let mut context = Context::default();
    context.deadline = deadline.duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap();
    context
}

#[tokio::test]
async fn a_panic_and_a_call_that_never_ends_are_answered_once_and_leave_no_request_behind() {
    let cases = [(Trouble::Panics, "an internal error"), (Trouble::Hangs, "could not be taken on within 0 s")];
    for (trouble, expected) in cases {
        let world = World::new();
        let lifecycle = Lifecycle { requests: world.clone(), queue: BrokenQueue(trouble), clock: world.clone() };
        let answered = handle(event(), short_of_time(), &Ok(Arc::new(lifecycle)), &world).await.unwrap();
        assert_eq!(answered, json!({ "answered": "r-1" }));
        let reasons = reasons(&world);
        assert_eq!(reasons.len(), 1, "{reasons:?}");
        assert!(reasons[0].contains(expected), "{reasons:?}");
        assert!(world.state().requests.is_empty(), "deploy would answer once more");
        let calls = world.take_calls();
        let expected = ["dynamodb:PutItem", "dynamodb:UpdateItem", "cloudformation:PutAnswer", "dynamodb:PutItem"];
        assert_eq!(calls, expected, "kept, and settled before it is answered");
    }
}

#[test]
fn the_answer_has_its_time_and_the_work_has_some_of_what_there_is() {
    let seconds = Duration::from_secs;
    assert_eq!(working_time(seconds(60)), seconds(60) - RESERVE);
    assert_eq!(working_time(seconds(30)), seconds(10));
    assert_eq!(working_time(seconds(0)), seconds(0));
}

#[tokio::test]
async fn a_table_that_never_answers_costs_no_answer() {
    let world = World::new();
    let lifecycle = Lifecycle { requests: HangingStore, queue: world.clone(), clock: world.clone() };
    handle(event(), short_of_time(), &Ok(Arc::new(lifecycle)), &world).await.unwrap();
    assert_eq!(reasons(&world).len(), 1);
}

#[tokio::test]
async fn missing_settings_are_the_answer() {
    let world = World::new();
    let missing: std::result::Result<Arc<Lifecycle<World, World, World>>, String> =
        Err("missing environment variables `STATE_TABLE_NAME`, `DEPLOY_QUEUE_URL`".into());
    handle(event(), Context::default(), &missing, &world).await.unwrap();
    assert_eq!(reasons(&world), ["missing environment variables `STATE_TABLE_NAME`, `DEPLOY_QUEUE_URL`"]);
    assert!(world.state().requests.is_empty());
}

#[tokio::test]
async fn what_is_handed_over_is_not_answered_here() {
    let world = World::new();
    let lifecycle = Lifecycle { requests: world.clone(), queue: world.clone(), clock: world.clone() };
    let handed = handle(event(), Context::default(), &Ok(Arc::new(lifecycle)), &world).await.unwrap();
    assert_eq!(handed, json!({ "handed": "r-1" }));
    assert_eq!(reasons(&world), Vec::<String>::new());
    assert!(world.state().requests.contains_key("r-1"));
}

#[tokio::test]
async fn an_answer_that_does_not_arrive_fails_the_invocation_so_that_lambda_tries_again() {
    let world = World::new();
    world.fail_next("sqs:SendMessage", PortErrorKind::Denied);
    let lifecycle = Lifecycle { requests: world.clone(), queue: world.clone(), clock: world.clone() };
    let failed = handle(event(), Context::default(), &Ok(Arc::new(lifecycle)), &Deaf).await;
    assert!(format!("{:?}", failed.unwrap_err()).contains("cloudformation:answer"));
    // And `deploy` finds what is to be answered.
    let settled = world.state().requests["r-1"].answer.clone().unwrap();
    assert!(settled.reason().unwrap().contains("sqs:SendMessage"), "{settled:?}");
}

/// Nobody listens, for ever.
struct Silent;

impl Responder for Silent {
    async fn answer(&self, _url: &ResponseUrl, _answer: &Answer) -> Result<()> {
        pending().await
    }
}

#[tokio::test]
async fn an_answer_is_tried_for_as_long_as_there_is_time_and_no_longer() {
    let world = World::new();
    world.fail_next("sqs:SendMessage", PortErrorKind::Denied);
    let lifecycle = Lifecycle { requests: world.clone(), queue: world.clone(), clock: world.clone() };
    let began = Instant::now();
    let failed = handle(event(), short_of_time(), &Ok(Arc::new(lifecycle)), &Silent).await;
    assert!(format!("{:?}", failed.unwrap_err()).contains("could not be reached within the time"));
    let took = began.elapsed();
    assert!((1_000..1_500).contains(&took.as_millis()), "{took:?}");
    assert!(world.state().requests["r-1"].answer.is_some());
}
