//! `Notifier` and `DeployQueue`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use app::ports::{DeployQueue, Notifier, PortErrorKind};
use aws::{Queue, Topic};
use domain::fault::{Fault, Position};
use domain::ids::{AccountId, CommitId, RegionName, StackSetName};
use domain::notice::{Notice, Rejection, ResourceFacts, RolloutReport, ViolationNotice};
use domain::rollout::Verdict;
use domain::violation::{Key, Ordering, Pending, Record, Status};
use serde_json::{Value, json};
use testkit::world::World;

use crate::cloud::Local;

/// A name that tries everything a name could do: end the subject, forge a header, turn the text round, break the JSON.
const HOSTILE: &str = "orders\r\nSubject: you have won\u{202e}\u{0}\"}],{\u{1f9ef}\u{2028}'--&lt;<script>";

fn violation(name: &str, control: &str) -> Notice {
    let at = "2026-11-23T04:12:09.311Z".parse().unwrap();
    let record = Record {
        key: Key {
            account: AccountId::parse("222222222222").unwrap(),
            region: RegionName::parse("eu-west-1").unwrap(),
            control: control.to_owned(),
            resource_type: "AWS::RDS::DBCluster".to_owned(),
            resource_id: name.to_owned(),
        },
        status: Status::Open,
        since: Some(at),
        ordering: Ordering { triggered: at, recorded: at, notified: at },
        rule_name: "rule".to_owned(),
        rule_arn: "arn:aws:config:eu-west-1:222222222222:config-rule/x".to_owned(),
        annotation: Some(HOSTILE.to_owned()),
        pending: Some(Pending::Opened),
    };
    let facts = ResourceFacts { name: Some(name.to_owned()), arn: None };
    Notice::ViolationOpened(ViolationNotice::new(&record, Pending::Opened, facts, None))
}

const CONTROL: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN";

fn commit() -> CommitId {
    CommitId::parse(&"a".repeat(40)).unwrap()
}

fn rollout() -> Notice {
    Notice::RolloutSucceeded(RolloutReport {
        stack_set: StackSetName::parse("backup-compliance").unwrap(),
        repository: "backup-policy".to_owned(),
        branch: "main".to_owned(),
        commit: commit(),
        author: HOSTILE.to_owned(),
        message: HOSTILE.to_owned(),
        verdict: Verdict { total: 6, succeeded: 6, faults: Vec::new() },
        created: 6,
        updated: 0,
        deleted: 0,
        trouble: None,
        next: None,
    })
}

fn rejection() -> Notice {
    let mut fault = Fault::of_file("policy.yaml", format!("the name `{HOSTILE}` is no name"), "choose another");
    fault.at = Some(Position { line: 3, column: 7 });
    Notice::PolicyRejected(Rejection {
        repository: "backup-policy".to_owned(),
        branch: "main".to_owned(),
        commit: commit(),
        author: "Ada <ada@example.com>".to_owned(),
        message: "Break it".to_owned(),
        faults: vec![fault],
    })
}

/// More than one call holds, with everything hostile in it.
fn notices() -> Vec<Notice> {
    let mut notices: Vec<Notice> = (0..11).map(|n| violation(&format!("cluster-{n}"), CONTROL)).collect();
    notices.extend([violation(HOSTILE, CONTROL), violation("unknown", "MY RULE / \u{fc}"), rollout(), rejection()]);
    notices
}

/// Publishes, and expects one outcome for each notice.
async fn holds(notifier: &impl Notifier) {
    assert_eq!(notifier.publish(&[]).await, []);
    let notices = notices();
    assert_eq!(notifier.publish(&notices).await, vec![Ok(()); notices.len()]);
}

#[tokio::test]
async fn the_fake_holds_the_contract() {
    let world = World::new();
    holds(&world).await;
    assert_eq!(world.take_notices(), notices());
    world.look("r-1").await.unwrap();
    assert_eq!(world.state().looks, ["r-1"]);
}

/// Takes messages until there are as many as expected.
fn take(local: &Local, queue: &str, expected: usize) -> Vec<Value> {
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut taken = Vec::new();
    while taken.len() < expected {
        assert!(Instant::now() < deadline, "{} of {expected} came", taken.len());
        let bodies = local.client().sqs_take(queue, 1).unwrap();
        taken.extend(bodies.iter().map(|body| serde_json::from_str::<Value>(body).unwrap()));
    }
    taken
}

#[tokio::test]
async fn the_topic_holds_the_contract_and_serves_people_and_machines() {
    let local = Local::start().await;
    let client = local.client();
    let created = client.query("sns", "CreateTopic", &[("Name", "notices")]).unwrap();
    let arn = sandbox::wire::xml_text(&created, "TopicArn").unwrap();
    let queue = client.subscribe_queue(&arn, "notices").unwrap();
    // A protocol without a text of its own gets the default one: what an e-mail says.
    local.cloud.open_mailbox(&arn).unwrap();

    let topic = Topic::new(local.clients.sns(), &arn);
    let mark = local.cloud.journal().mark();
    holds(&topic).await;
    assert_eq!(local.calls("sns", mark), ["PublishBatch"; 2], "ten messages a call");

    let mut taken = take(&local, &queue, notices().len());
    for notice in notices() {
        let document = notice.json();
        let at = taken.iter().position(|message| {
            serde_json::from_str::<Value>(message["Message"].as_str().unwrap()).unwrap() == document
        });
        let message = taken.swap_remove(at.unwrap_or_else(|| panic!("no message is {document}")));
        let subject = message["Subject"].as_str().unwrap();
        assert_eq!(subject, notice.subject());
        assert!(subject.len() < 100 && subject.chars().all(|c| c == ' ' || c.is_ascii_graphic()), "{subject:?}");
        let attributes = message["MessageAttributes"].as_object().unwrap();
        let told: BTreeMap<&str, String> = attributes
            .iter()
            .map(|(name, value)| {
                assert_eq!(value["Type"], "String", "{name}");
                (name.as_str(), value["Value"].as_str().unwrap().to_owned())
            })
            .collect();
        assert_eq!(told, notice.attributes());
        assert!(told.values().all(|value| !value.is_empty()), "SNS refuses empty attributes");
    }
    assert_eq!(taken, Vec::<Value>::new());

    let deadline = Instant::now() + Duration::from_secs(30);
    while local.cloud.mails().len() < notices().len() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut mails: Vec<_> = local.cloud.mails().into_iter().map(|mail| (mail.subject, mail.text)).collect();
    let mut expected: Vec<_> = notices().iter().map(|notice| (notice.subject(), notice.text())).collect();
    mails.sort();
    expected.sort();
    assert_eq!(mails, expected);

    // A topic that is gone: every notice knows.
    let gone = Topic::new(local.clients.sns(), &format!("{arn}-gone"));
    let outcomes = gone.publish(&notices()).await;
    assert_eq!(outcomes.len(), notices().len());
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert_eq!((error.kind, error.operation), (PortErrorKind::NotFound, "sns:PublishBatch"), "{error}");
    }
    // One call of two is refused: its notices are not told, the others are.
    local.cloud.fail_next("sns", "PublishBatch", 403, "AuthorizationError", "not you", 1);
    let outcomes = topic.publish(&notices()).await;
    let refused: Vec<bool> = outcomes.iter().map(Result::is_err).collect();
    assert_eq!(refused, [[true; 10].as_slice(), &[false; 5]].concat());
    assert_eq!(outcomes[0].as_ref().unwrap_err().kind, PortErrorKind::Denied);
    assert_eq!(local.cloud.stop(), []);
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
    let gone = Queue::new(local.clients.sqs(), &url.replace("deploy.fifo", "gone.fifo"));
    let error = gone.look("r-1").await.unwrap_err();
    assert_eq!(error.operation, "sqs:SendMessage");
    assert_eq!(error.kind, PortErrorKind::NotFound, "{error}");
    assert_eq!(local.cloud.stop(), []);
}
