//! `DeployQueue` and `ReportQueue`.

use std::time::{Duration, Instant};

use app::ports::{DeployQueue, PortErrorKind, ReportQueue, TriggerQueue};
use aws::{FeedQueue, Queue};
use domain::violation::Group;
use sandbox::wait;
use serde_json::{Value, json};
use testkit::world::World;

use crate::cloud::Local;
use crate::records::{ACCOUNT, CONTROL, account};

fn group() -> Group {
    Group { account: account(ACCOUNT), control: CONTROL.to_owned() }
}

#[tokio::test]
async fn the_fake_holds_the_contract() {
    let world = World::new();
    world.look("r-1").await.unwrap();
    assert_eq!(world.state().looks, ["r-1"]);
    world.ask_flush(&group(), Duration::from_secs(300)).await.unwrap();
    let due = world.state().now + Duration::from_secs(300);
    assert_eq!(world.state().flushes, [(due, group())]);
    world.bury("{}", "no `detail`").await.unwrap();
    assert_eq!(world.state().buried, [("{}".to_owned(), "no `detail`".to_owned())]);
}

#[tokio::test]
async fn the_queue_holds_the_contract() {
    let local = Local::start().await;
    let client = local.client();
    let attributes = json!({"FifoQueue": "true", "ContentBasedDeduplication": "true"});
    let ask = json!({"QueueName": "deploy.fifo", "Attributes": attributes});
    let created = client.json("sqs", "AmazonSQS.CreateQueue", &ask).unwrap();
    let url = created["QueueUrl"].as_str().unwrap();
    let queue = Queue::new(local.clients.sqs(), url);
    queue.look("r-1").await.unwrap();
    queue.look("r-1").await.unwrap();
    queue.look("r-2").await.unwrap();
    assert_eq!(client.sqs_depth(url).unwrap(), (2, 0), "the same request twice is one message");
    let ask = json!({
        "QueueUrl": url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 2, "MessageSystemAttributeNames": ["All"], "AttributeNames": ["All"],
    });
    let answer = client.json("sqs", "AmazonSQS.ReceiveMessage", &ask).unwrap();
    let messages = answer["Messages"].as_array().unwrap();
    let bodies: Vec<Value> =
        messages.iter().map(|m| serde_json::from_str(m["Body"].as_str().unwrap()).unwrap()).collect();
    let look = |id: &str| json!({"source": "backup-compliance.lifecycle", "requestId": id});
    assert_eq!(bodies, [look("r-1"), look("r-2")]);
    for message in messages {
        assert_eq!(message["Attributes"]["MessageGroupId"], "deploy", "one group, or two looks overlap");
    }
    let receipts: Vec<&str> = messages.iter().map(|message| message["ReceiptHandle"].as_str().unwrap()).collect();
    assert_eq!(client.sqs_depth(url).unwrap(), (0, 2), "in flight");
    queue.redeliver(&receipts, Duration::ZERO).await.unwrap();
    assert_eq!(client.sqs_depth(url).unwrap(), (2, 0), "visible before the visibility timeout has ended");
    let error = queue.redeliver(&["no receipt handle"], Duration::ZERO).await.unwrap_err();
    assert_eq!(error.operation, "sqs:ChangeMessageVisibility", "{error}");
    let gone = Queue::new(local.clients.sqs(), &url.replace("deploy.fifo", "gone.fifo"));
    let error = gone.look("r-1").await.unwrap_err();
    assert_eq!(error.operation, "sqs:SendMessage");
    assert_eq!(error.kind, PortErrorKind::NotFound, "{error}");
    assert_eq!(local.cloud.stop(), []);
}

fn create(local: &Local, name: &str) -> String {
    let created = local.client().json("sqs", "AmazonSQS.CreateQueue", &json!({"QueueName": name})).unwrap();
    created["QueueUrl"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_flush_comes_when_it_is_due_and_what_is_buried_says_why() {
    let local = Local::start().await;
    let client = local.client();
    let (url, dead_letters) = (create(&local, "report"), create(&local, "report-dead-letters"));
    let queue = FeedQueue::new(local.clients.sqs(), &url, &dead_letters, "report");

    let asked = Instant::now();
    queue.ask_flush(&group(), Duration::from_millis(2_500)).await.unwrap();
    assert_eq!(client.sqs_take(&url, 0).unwrap(), Vec::<String>::new(), "not at once");
    let mut bodies = Vec::new();
    wait::until("the flush message", || {
        bodies = client.sqs_take(&url, 1)?;
        Ok(wait::when(!bodies.is_empty(), || "no message".to_owned()))
    })
    .unwrap();
    let waited = asked.elapsed();
    assert!(waited >= Duration::from_millis(2_500), "{waited:?}: what is held must be due when the flush comes");
    let body: Value = serde_json::from_str(&bodies[0]).unwrap();
    let expected = json!({"source": "backup-compliance.report", "flush": {"account": ACCOUNT, "control": CONTROL}});
    assert_eq!(body, expected);
    queue.ask_flush(&group(), Duration::ZERO).await.unwrap();
    assert_eq!(client.sqs_take(&url, 2).unwrap().len(), 1);
    // Longer than SQS can hold it: as long as it can.
    queue.ask_flush(&group(), Duration::from_secs(10_000)).await.unwrap();

    let odd = "{\"source\": \"aws.config\", \"\u{1f9ef}\": \"\u{202e}\"";
    queue.bury(odd, "no `detail`:\r\n\u{0}expected\u{7}an object").await.unwrap();
    queue.bury("", &"é".repeat(5_000)).await.unwrap();
    let ask = json!({
        "QueueUrl": dead_letters, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 2, "MessageAttributeNames": ["All"],
    });
    let mut messages: Vec<Value> = Vec::new();
    wait::until("2 dead letters", || {
        let answer = client.json("sqs", "AmazonSQS.ReceiveMessage", &ask)?;
        messages.extend(answer["Messages"].as_array().into_iter().flatten().cloned());
        Ok(wait::when(messages.len() >= 2, || format!("{messages:?}")))
    })
    .unwrap();
    let text = |message: &Value, name: &str| {
        let attribute = &message["MessageAttributes"][name];
        assert_eq!(attribute["DataType"], "String", "{message}");
        attribute["StringValue"].as_str().unwrap().to_owned()
    };
    let message = messages.iter().find(|message| message["Body"] == odd).expect("the body is as it came");
    assert_eq!(text(message, "reason"), "no `detail`: expected an object");
    assert_eq!(text(message, "function"), "report");
    assert!(text(message, "buried-at").parse::<jiff::Timestamp>().is_ok(), "{message}");
    let empty = messages.iter().find(|message| message["Body"] == "(empty)").expect("SQS takes no empty body");
    assert_eq!(text(empty, "reason").chars().count(), 1_000);

    let gone = FeedQueue::new(local.clients.sqs(), &url, &dead_letters.replace("dead-letters", "gone"), "report");
    let error = gone.bury("x", "y").await.unwrap_err();
    assert_eq!((error.kind, error.operation), (PortErrorKind::NotFound, "sqs:SendMessage"), "{error}");
    assert_eq!(local.cloud.stop(), []);
}
