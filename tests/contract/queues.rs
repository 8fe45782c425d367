//! `DeployQueue` and `ReportQueue`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use app::deploy::ports::TriggerQueue;
use app::lifecycle::ports::DeployQueue;
use app::ports::PortErrorKind;
use app::report::ports::ReportQueue;
use aws::{SqsDeployQueue, SqsReportQueue};
use domain::violation::ViolationGroup;
use sandbox::wait;
use testkit::world::World;

use crate::cloud::Local;
use crate::records::{ACCOUNT, CONTROL, account};

fn group() -> ViolationGroup {
    ViolationGroup { account: account(ACCOUNT), control: CONTROL.to_owned() }
}

#[tokio::test]
async fn fake_fulfills_queue_contract() {
    let world = World::new();
    world.request_reconciliation("r-1").await.unwrap();
    assert_eq!(world.state().looks, ["r-1"]);
    world.request_flush(&group(), Duration::from_secs(300)).await.unwrap();
    let due = world.state().now + Duration::from_secs(300);
    assert_eq!(world.state().flushes, [(due, group())]);
    world.dead_letter("{}", "no `detail`").await.unwrap();
    assert_eq!(world.state().dead_letters, [("{}".to_owned(), "no `detail`".to_owned())]);
}

#[tokio::test]
async fn adapter_fulfills_queue_contract() {
    let local = Local::start().await;
    let client = local.client();
    let attributes = json!({"FifoQueue": "true", "ContentBasedDeduplication": "true"});
    let ask = json!({"QueueName": "deploy.fifo", "Attributes": attributes});
    let created = client.json("sqs", "AmazonSQS.CreateQueue", &ask).unwrap();
    let url = created["QueueUrl"].as_str().unwrap();
    let queue = SqsDeployQueue::new(&local.clients, url);
    queue.request_reconciliation("r-1").await.unwrap();
    queue.request_reconciliation("r-1").await.unwrap();
    queue.request_reconciliation("r-2").await.unwrap();
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
        assert_eq!(message["Attributes"]["MessageGroupId"], "deploy", "one group, or two reconciliations overlap");
    }
    let receipts: Vec<&str> = messages.iter().map(|message| message["ReceiptHandle"].as_str().unwrap()).collect();
    assert_eq!(client.sqs_depth(url).unwrap(), (0, 2), "in flight");
    queue.redeliver(&receipts, Duration::ZERO).await.unwrap();
    assert_eq!(client.sqs_depth(url).unwrap(), (2, 0), "visible before the visibility timeout has ended");
    let error = queue.redeliver(&["no receipt handle"], Duration::ZERO).await.unwrap_err();
    assert_eq!(error.operation, "sqs:ChangeMessageVisibility", "{error}");
    let gone = SqsDeployQueue::new(&local.clients, &url.replace("deploy.fifo", "gone.fifo"));
    let error = gone.request_reconciliation("r-1").await.unwrap_err();
    assert_eq!(error.operation, "sqs:SendMessage");
    assert_eq!(error.kind, PortErrorKind::NotFound, "{error}");
    assert_eq!(local.cloud.stop(), []);
}

fn create(local: &Local, name: &str) -> String {
    let created = local.client().json("sqs", "AmazonSQS.CreateQueue", &json!({"QueueName": name})).unwrap();
    created["QueueUrl"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn flush_arrives_when_due_with_dead_letter_reason() {
    let local = Local::start().await;
    let client = local.client();
    let (url, dead_letters) = (create(&local, "report"), create(&local, "report-dead-letters"));
    let queue = SqsReportQueue::new(&local.clients, &url, &dead_letters, "report");

    let asked = Instant::now();
    queue.request_flush(&group(), Duration::from_millis(2_500)).await.unwrap();
    assert_eq!(client.sqs_receive(&url, 0).unwrap(), Vec::<String>::new(), "not at once");
    let mut bodies = Vec::new();
    wait::until("the flush message", || {
        bodies = client.sqs_receive(&url, 1)?;
        Ok(wait::when(!bodies.is_empty(), || "no message".to_owned()))
    })
    .unwrap();
    let waited = asked.elapsed();
    assert!(
        waited >= Duration::from_millis(2_500),
        "{waited:?}: buffered notices must be due when the flush message arrives"
    );
    let body: Value = serde_json::from_str(&bodies[0]).unwrap();
    let expected = json!({"source": "backup-compliance.report", "flush": {"account": ACCOUNT, "control": CONTROL}});
    assert_eq!(body, expected);
    queue.request_flush(&group(), Duration::ZERO).await.unwrap();
    assert_eq!(client.sqs_receive(&url, 2).unwrap().len(), 1);
    // Longer than the maximum delay of SQS: the maximum is used.
    queue.request_flush(&group(), Duration::from_secs(10_000)).await.unwrap();

    let odd = "{\"source\": \"aws.config\", \"\u{1f9ef}\": \"\u{202e}\"";
    queue.dead_letter(odd, "no `detail`:\r\n\u{0}expected\u{7}an object").await.unwrap();
    queue.dead_letter("", &"é".repeat(5_000)).await.unwrap();
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
    assert!(text(message, "dead-lettered-at").parse::<jiff::Timestamp>().is_ok(), "{message}");
    let empty = messages.iter().find(|message| message["Body"] == "(empty)").expect("SQS takes no empty body");
    assert_eq!(text(empty, "reason").chars().count(), 1_000);

    let gone = SqsReportQueue::new(&local.clients, &url, &dead_letters.replace("dead-letters", "gone"), "report");
    let error = gone.dead_letter("x", "y").await.unwrap_err();
    assert_eq!((error.kind, error.operation), (PortErrorKind::NotFound, "sqs:SendMessage"), "{error}");
    assert_eq!(local.cloud.stop(), []);
}
