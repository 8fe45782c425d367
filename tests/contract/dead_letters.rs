//! `DeadLetters` and `Stacks`, and their use by `backup-compliance redrive`.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use app::inspect::{
    Action, Consumer, DeadLetters, Destination, OutgoingMessage, QueueFacts, RedriveError, RedriveJob, RedriveOutcome,
    RedriveResult, Stacks, redrive,
};
use app::ports::PortErrorKind;
use aws::{CloudFormationStacks, DeadLetterQueues};
use sandbox::wait;

use crate::cloud::{Local, workspace};

/// The body of the message in a sample event.
fn sample(name: &str) -> String {
    let text = std::fs::read_to_string(workspace().join("events").join(name)).unwrap();
    let event: Value = serde_json::from_str(&text).unwrap();
    event["Records"][0]["body"].as_str().unwrap().to_owned()
}

fn queue(local: &Local, name: &str, attributes: &Value) -> String {
    let ask = json!({"QueueName": name, "Attributes": attributes});
    let created = local.client().json("sqs", "AmazonSQS.CreateQueue", &ask).unwrap();
    created["QueueUrl"].as_str().unwrap().to_owned()
}

fn arn(local: &Local, url: &str) -> String {
    let ask = json!({"QueueUrl": url, "AttributeNames": ["QueueArn"]});
    let answer = local.client().json("sqs", "AmazonSQS.GetQueueAttributes", &ask).unwrap();
    answer["Attributes"]["QueueArn"].as_str().unwrap().to_owned()
}

fn send(local: &Local, url: &str, body: &str, attributes: &[(&str, &str)]) {
    let attributes: serde_json::Map<String, Value> = attributes
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!({"DataType": "String", "StringValue": value})))
        .collect();
    let ask = json!({"QueueUrl": url, "MessageBody": body, "MessageAttributes": attributes});
    local.client().json("sqs", "AmazonSQS.SendMessage", &ask).unwrap();
}

fn job(queue: &str, to: &str, action: Action) -> RedriveJob {
    RedriveJob {
        queue: queue.to_owned(),
        destination: Destination::Queue(to.to_owned()),
        reader: Consumer::Any,
        only: BTreeSet::new(),
        limit: None,
        action,
    }
}

const SEND: Action = Action::Send { force: false };

async fn ran(queues: &DeadLetterQueues, job: &RedriveJob) -> RedriveResult {
    let done = redrive(queues, job, |_, _| ()).await.unwrap();
    assert_eq!(done.failed, None);
    done
}

/// Waits until a queue has this number of visible messages.
fn has(local: &Local, url: &str, waiting: u64) {
    wait::until(&format!("{waiting} waiting messages in {url}"), || {
        let (found, received) = local.client().sqs_depth(url)?;
        Ok(wait::when((found, received) == (waiting, 0), || format!("{found}, and {received} received")))
    })
    .unwrap();
}

#[tokio::test]
async fn messages_are_received_redriven_and_deleted() {
    let local = Local::start().await;
    let dead = queue(&local, "dead", &json!({}));
    let policy = json!({"deadLetterTargetArn": arn(&local, &dead), "maxReceiveCount": 5}).to_string();
    let live = queue(&local, "live", &json!({"RedrivePolicy": policy}));
    let queues = DeadLetterQueues::new(&local.clients);
    assert_eq!(queues.facts(&dead).await.unwrap(), QueueFacts::default());
    assert_eq!(ran(&queues, &job(&dead, &live, Action::Show)).await, RedriveResult::default());

    // More messages than one call returns.
    let event = sample("config-noncompliant.json");
    (0..11).for_each(|_| send(&local, &dead, &event, &[]));
    send(&local, &dead, "nonsense", &[("reason", "the body is not JSON")]);
    let seen = ran(&queues, &job(&dead, &live, Action::Show)).await;
    assert_eq!((seen.messages.len(), seen.more), (12, 0));
    let hopeless = seen.messages.iter().find(|handled| handled.message.body == "nonsense").unwrap();
    assert_eq!(hopeless.assessed.reason, "the body is not JSON");
    assert!(hopeless.message.sent.is_some() && hopeless.message.receives == 1, "{hopeless:?}");
    let hopeless = hopeless.message.id.clone();
    has(&local, &dead, 12);

    let sent = ran(&queues, &RedriveJob { limit: Some(1), ..job(&dead, &live, SEND) }).await;
    assert_eq!(sent.messages.len(), 1);
    let sent = ran(&queues, &job(&dead, &live, SEND)).await;
    let kept: Vec<_> =
        sent.messages.iter().filter(|handled| !matches!(handled.outcome, RedriveOutcome::Sent { .. })).collect();
    assert_eq!(kept.iter().map(|handled| handled.message.id.as_str()).collect::<Vec<_>>(), [hopeless.as_str()]);
    has(&local, &dead, 1);
    has(&local, &live, 11);

    let only = BTreeSet::from([hopeless, "unknown".to_owned()]);
    let deleted = ran(&queues, &RedriveJob { only, ..job(&dead, &live, Action::Delete) }).await;
    assert_eq!(deleted.messages.iter().map(|handled| &handled.outcome).collect::<Vec<_>>(), [&RedriveOutcome::Deleted]);
    assert_eq!(deleted.missing, BTreeSet::from(["unknown".to_owned()]));
    has(&local, &dead, 0);
    assert_eq!(local.client().sqs_receive(&live, 1).unwrap()[0], event);

    // Receiving from a queue with a redrive policy would move its messages.
    let refused = redrive(&queues, &job(&live, &dead, Action::Show), |_, _| ()).await.unwrap_err();
    assert_eq!(refused, RedriveError::NotADeadLetterQueue { queue: live.clone(), receives: 5 });
    // A queue that was deleted.
    let gone = dead.replace("dead", "gone");
    let RedriveError::Port(error) = redrive(&queues, &job(&gone, &live, SEND), |_, _| ()).await.unwrap_err() else {
        panic!("the port's error")
    };
    assert_eq!((error.operation, error.kind), ("sqs:GetQueueAttributes", PortErrorKind::NotFound), "{error}");
    // A message that a queue rejects stays in its queue.
    send(&local, &dead, &event, &[]);
    let done = redrive(&queues, &job(&dead, &gone, SEND), |_, _| ()).await.unwrap();
    assert_eq!(done.failed.unwrap().operation, "sqs:SendMessage");
    has(&local, &dead, 1);
    assert_eq!(local.cloud.stop(), []);
}

#[tokio::test]
async fn deploy_messages_keep_their_group() {
    let local = Local::start().await;
    let fifo = json!({"FifoQueue": "true"});
    let (dead, live) = (queue(&local, "dead.fifo", &fifo), queue(&local, "live.fifo", &fifo));
    let undelivered = queue(&local, "undelivered", &json!({}));
    let queues = DeadLetterQueues::new(&local.clients);
    let push = sample("codecommit-push.json");
    queues.send(&dead, &OutgoingMessage { body: &push, fifo: Some(("group", "1".to_owned())) }).await.unwrap();
    let sent = ran(&queues, &job(&dead, &live, SEND)).await;
    assert_eq!(sent.messages[0].message.group.as_deref(), Some("group"));
    // A message that the rule or the scheduler could not deliver has no group yet.
    send(&local, &undelivered, &push, &[("ERROR_CODE", "NO_PERMISSIONS"), ("TARGET_ARN", &arn(&local, &live))]);
    let targets = Destination::Target(vec![dead.clone(), live.clone()]);
    let sent = ran(&queues, &RedriveJob { destination: targets, ..job(&undelivered, "", SEND) }).await;
    assert_eq!(sent.messages[0].outcome, RedriveOutcome::Sent { to: live.clone() });
    has(&local, &dead, 0);
    has(&local, &undelivered, 0);
    has(&local, &live, 2);
    let arrived = queues.receive(&live, Duration::from_secs(30)).await.unwrap();
    let groups: Vec<_> = arrived.iter().map(|letter| letter.group.as_deref().unwrap()).collect();
    assert_eq!(groups, ["group", "deploy"]);
    assert_eq!(local.cloud.stop(), []);
}

#[tokio::test]
async fn stack_returns_its_outputs() {
    let local = Local::start().await;
    let template = json!({
        "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {"ReportQueueUrl": {"Value": {"Ref": "Queue"}}},
    });
    let parameters = [("StackName", "application"), ("TemplateBody", &template.to_string())];
    local.client().query("cloudformation", "CreateStack", &parameters).unwrap();
    let stacks = CloudFormationStacks::new(&local.clients);
    let outputs = stacks.outputs("application").await.unwrap().unwrap();
    assert!(outputs["ReportQueueUrl"].starts_with("http"), "{outputs:?}");
    assert_eq!(outputs.len(), 1);
    assert_eq!(stacks.outputs("gone").await.unwrap(), None);
    local.cloud.fail_next("cloudformation", "DescribeStacks", 403, "AccessDenied", "not you", 1);
    let error = stacks.outputs("application").await.unwrap_err();
    assert_eq!((error.operation, error.kind), ("cloudformation:DescribeStacks", PortErrorKind::Denied));
    assert_eq!(local.cloud.stop(), []);
}
