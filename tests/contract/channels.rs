//! `Notifier` and the notification channels.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use app::deploy::ports::Notifier;
use app::ports::{PortErrorKind, Result};
use app::violations::NotificationChannels;
use aws::settings::{ChannelSettings, SecurityHubMode, TopicArn};
use aws::{Channels, Clients, EventBus, Topic, Topics};
use domain::notice::{Attribute, FindingHome, Notice, PolicyRejection, RolloutReport, ViolationDigest};
use domain::rollout::Verdict;
use domain::violation::{Channel, ClosedReason, Update, ViolationRecord};
use framework::ids::{CommitId, StackSetName};
use sandbox::wait;
use syntax::diagnostic::{Diagnostic, Position};
use testkit::world::World;

use crate::cloud::{Local, clients_of};
use crate::records::{ACCOUNT, CONTROL, account, notice, record, region};
use crate::server::{Reply, Server};

/// A hostile name: it tries to end the subject, forge a header, reverse the text, and break the JSON.
const HOSTILE: &str = "orders\r\nSubject: you have won\u{202e}\u{0}\"}],{\u{1f9ef}\u{2028}'--&lt;<script>";

/// A topic that no test of findings publishes to.
const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:notices";

fn named(name: &str, control: &str) -> ViolationRecord {
    let mut record = record(name);
    record.key.control = control.to_owned();
    record.annotation = Some(HOSTILE.to_owned());
    record
}

fn violation(name: &str, control: &str) -> Notice {
    notice(&named(name, control), Update::Opened, 10)
}

/// Violations of two Regions.
fn digest() -> Notice {
    let mut there = named("there", CONTROL);
    there.key.region = region("us-east-1");
    let entries = [named(HOSTILE, CONTROL), there].map(|record| match notice(&record, Update::Opened, 10) {
        Notice::ViolationOpened(entry) => entry,
        other => panic!("{other:?}"),
    });
    Notice::ViolationDigest(ViolationDigest {
        account: account(ACCOUNT),
        account_name: Some(HOSTILE.to_owned()),
        control: CONTROL.to_owned(),
        entries: entries.to_vec(),
    })
}

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
        verdict: Verdict { total: 6, succeeded: 6, ..Verdict::default() },
        is_removal: false,
        retained: Vec::new(),
        created: 6,
        updated: 0,
        deleted: 0,
        error: None,
        next: None,
    })
}

fn rejection() -> Notice {
    let mut fault = Diagnostic::of_file("policy.yaml", format!("the name `{HOSTILE}` is no name"), "choose another");
    fault.at = Some(Position { line: 3, column: 7 });
    Notice::PolicyRejected(PolicyRejection {
        repository: "backup-policy".to_owned(),
        branch: "main".to_owned(),
        commit: commit(),
        author: "Ada <ada@example.com>".to_owned(),
        message: "Break it".to_owned(),
        diagnostics: vec![fault],
    })
}

/// More notices than one call can hold, with hostile names.
fn notices() -> Vec<Notice> {
    let mut notices: Vec<Notice> = (0..11).map(|n| violation(&format!("cluster-{n}"), CONTROL)).collect();
    notices.extend([
        violation(HOSTILE, CONTROL),
        violation("unknown", "MY RULE / \u{fc}"),
        rollout(),
        rejection(),
        digest(),
    ]);
    notices
}

/// Publishes, and expects one outcome for each notice.
async fn holds(notifier: &impl Notifier) {
    assert_eq!(notifier.publish(&[]).await, []);
    let notices = notices();
    assert_eq!(notifier.publish(&notices).await, vec![Ok(()); notices.len()]);
}

#[tokio::test]
async fn fake_fulfills_channel_contract() {
    let world = World::new();
    holds(&world).await;
    assert_eq!(world.take_notices(), notices());

    world.state().channels = [Channel::Topic, Channel::Chat, Channel::SecurityHub, Channel::EventBus].into();
    all_channels_deliver(&world).await;
}

/// One outcome for each notice, also for those that have no form for a channel.
async fn all_channels_deliver(outlets: &impl NotificationChannels) {
    for outlet in outlets.enabled() {
        assert_eq!(outlets.deliver(outlet, &[]).await, [], "{outlet:?}");
        let outcomes = outlets.deliver(outlet, &notices()).await;
        assert_eq!(outcomes, vec![Ok(()); notices().len()], "{outlet:?}");
    }
}

/// Receives messages until the expected number arrived.
fn take(local: &Local, queue: &str, expected: usize) -> Vec<Value> {
    let mut taken = Vec::new();
    wait::until(&format!("{expected} messages"), || {
        let bodies = local.client().sqs_receive(queue, 1)?;
        taken.extend(bodies.iter().map(|body| serde_json::from_str::<Value>(body).unwrap()));
        Ok(wait::when(taken.len() >= expected, || format!("{}", taken.len())))
    })
    .unwrap();
    taken
}

/// The attributes of a notice in the envelope of SNS.
fn attributes(notice: &Notice) -> Value {
    let attributes = notice.attributes().into_iter().map(|(name, value)| {
        let value = match value {
            Attribute::Text(text) => json!({"Type": "String", "Value": text}),
            Attribute::List(texts) => json!({"Type": "String.Array", "Value": json!(texts).to_string()}),
        };
        assert_ne!(value["Value"], "", "SNS rejects empty attributes");
        (name.to_owned(), value)
    });
    Value::Object(attributes.collect())
}

fn topic(local: &Local, name: &str) -> (String, String) {
    let client = local.client();
    let created = client.query("sns", "CreateTopic", &[("Name", name)]).unwrap();
    let arn = sandbox::wire::xml_text(&created, "TopicArn").unwrap();
    let queue = client.subscribe_queue(&arn, name).unwrap();
    (arn, queue)
}

#[tokio::test]
async fn topic_fulfills_contract_for_all_protocols() {
    let local = Local::start().await;
    let (arn, queue) = topic(&local, "notices");
    // A protocol without its own text gets the default text, which is that of e-mail.
    local.cloud.open_mailbox(&arn).unwrap();

    let topic = Topic::new(&local.clients, &arn);
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
        assert_eq!(message["MessageAttributes"], attributes(&notice));
    }
    assert_eq!(taken, Vec::<Value>::new());

    let expected = notices().len();
    wait::until(&format!("{expected} e-mails"), || {
        let received = local.cloud.notices().len();
        Ok(wait::when(received >= expected, || format!("{received}")))
    })
    .unwrap();
    let mut mails: Vec<_> = local.cloud.notices().into_iter().map(|mail| (mail.subject, mail.text)).collect();
    let mut expected: Vec<_> = notices().iter().map(|notice| (notice.subject(), notice.text())).collect();
    mails.sort();
    expected.sort();
    assert_eq!(mails, expected);

    // A topic that was deleted fails each notice.
    let gone = Topic::new(&local.clients, &format!("{arn}-gone"));
    let outcomes = gone.publish(&notices()).await;
    assert_eq!(outcomes.len(), notices().len());
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert_eq!((error.kind, error.operation), (PortErrorKind::NotFound, "sns:PublishBatch"), "{error}");
    }
    // One of two calls fails: its notices are undelivered, the others are delivered.
    local.cloud.fail_next("sns", "PublishBatch", 403, "AuthorizationError", "not you", 1);
    let outcomes = topic.publish(&notices()).await;
    let refused: Vec<bool> = outcomes.iter().map(Result::is_err).collect();
    assert_eq!(refused, [[true; 10].as_slice(), &[false; 6]].concat());
    assert_eq!(outcomes[0].as_ref().unwrap_err().kind, PortErrorKind::Denied);
    assert_eq!(local.cloud.stop(), []);
}

#[tokio::test]
async fn chat_gets_notices_that_the_topic_delivered() {
    let local = Local::start().await;
    let (people, chat) = (topic(&local, "notices"), topic(&local, "chat"));
    let topics = Topics::new(Topic::new(&local.clients, &people.0), Some(Topic::chat(&local.clients, &chat.0)));
    let mark = local.cloud.journal().mark();
    holds(&topics).await;
    assert_eq!(local.calls("sns", mark), ["PublishBatch"; 4]);
    assert_eq!(take(&local, &people.1, notices().len()).len(), notices().len());
    let mut taken = take(&local, &chat.1, notices().len());
    for notice in notices() {
        let at = taken.iter().position(|message| {
            serde_json::from_str::<Value>(message["Message"].as_str().unwrap()).unwrap() == notice.chat()
        });
        let message = taken.swap_remove(at.unwrap_or_else(|| panic!("no message is {}", notice.chat())));
        assert_eq!(message["MessageAttributes"], attributes(&notice));
        let body: Value = serde_json::from_str(message["Message"].as_str().unwrap()).unwrap();
        assert_eq!((&body["version"], &body["source"]), (&json!("1.0"), &json!("custom")));
        assert!(body["content"]["description"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
    }

    // The topic failed: chat is not notified either, so that the next attempt notifies both.
    let one = [violation("once", CONTROL)];
    local.cloud.fail_next("sns", "PublishBatch", 403, "AuthorizationError", "not you", 1);
    let mark = local.cloud.journal().mark();
    assert!(topics.publish(&one).await[0].is_err());
    assert_eq!(local.calls("sns", mark), ["PublishBatch"]);
    // Chat failed: the topic was delivered and is not repeated.
    let broken = Topics::new(
        Topic::new(&local.clients, &people.0),
        Some(Topic::chat(&local.clients, &format!("{}-gone", chat.0))),
    );
    assert_eq!(broken.publish(&one).await, [Ok(())]);
    assert_eq!(take(&local, &people.1, 1).len(), 1);
    assert_eq!(local.cloud.stop(), []);
}

/// Notification channels of a cloud in us-east-1.
fn channels(clients: &Clients, people: &str, chat: Option<&str>, mode: SecurityHubMode, bus: Option<&str>) -> Channels {
    let home = FindingHome { account: account("000000000000"), region: region("us-east-1") };
    clients.channels(&ChannelSettings {
        notification_topic: &TopicArn { arn: people.to_owned(), partition: "aws".to_owned(), home },
        chat_topic_arn: chat,
        security_hub: mode,
        member_role_name: Some("backup-compliance"),
        event_bus_name: bus,
    })
}

#[tokio::test]
async fn channels_fulfill_contract_if_enabled() {
    let local = Local::start().await;
    let client = local.client();
    let (people, chat) = (topic(&local, "notices"), topic(&local, "chat"));
    client.json("events", "AWSEvents.CreateEventBus", &json!({"Name": "compliance"})).unwrap();
    let queue = client.json("sqs", "AmazonSQS.CreateQueue", &json!({"QueueName": "events"})).unwrap();
    let pattern = json!({"source": ["backup-compliance"]}).to_string();
    let rule = json!({"Name": "all", "EventBusName": "compliance", "EventPattern": pattern});
    client.json("events", "AWSEvents.PutRule", &rule).unwrap();
    let target = json!({
        "Rule": "all", "EventBusName": "compliance", "Targets": [{"Id": "1", "Arn": "arn:aws:sqs:us-east-1:000000000000:events"}],
    });
    client.json("events", "AWSEvents.PutTargets", &target).unwrap();

    let all = channels(&local.clients, &people.0, Some(&chat.0), SecurityHubMode::Central, Some("compliance"));
    assert_eq!(all.enabled(), BTreeSet::from([Channel::Topic, Channel::Chat, Channel::SecurityHub, Channel::EventBus]));
    let mark = local.cloud.journal().mark();
    all_channels_deliver(&all).await;
    assert_eq!(
        local.calls("events", mark),
        ["PutEvents"; 2],
        "ten events a call, and none for notices without an event"
    );
    assert_eq!(local.calls("securityhub", mark), ["BatchImportFindings"]);
    assert_eq!(take(&local, &people.1, notices().len()).len(), notices().len());
    assert_eq!(take(&local, &chat.1, notices().len()).len(), notices().len());

    let expected: Vec<(&str, Value)> = notices().iter().filter_map(Notice::event).collect();
    assert_eq!(expected.len(), 13);
    let mut events = take(&local, queue["QueueUrl"].as_str().unwrap(), expected.len());
    for (kind, detail) in expected {
        let at = events.iter().position(|event| event["detail"] == detail).unwrap_or_else(|| panic!("{detail}"));
        let event = events.swap_remove(at);
        assert_eq!((&event["source"], &event["detail-type"]), (&json!("backup-compliance"), &json!(kind)));
    }

    let few = channels(&local.clients, &people.0, None, SecurityHubMode::Off, None);
    assert_eq!(few.enabled(), BTreeSet::from([Channel::Topic]));
    let mark = local.cloud.journal().mark();
    for outlet in [Channel::Chat, Channel::SecurityHub, Channel::EventBus] {
        assert_eq!(few.deliver(outlet, &notices()).await, vec![Ok(()); notices().len()]);
    }
    for service in ["sns", "events", "securityhub"] {
        assert_eq!(local.calls(service, mark), Vec::<String>::new(), "{service}");
    }
    assert_eq!(local.cloud.stop(), []);
}

/// The result of each notice: delivered, or kind and code of the error.
fn outcomes(told: &[Result<()>]) -> Vec<Option<(PortErrorKind, &str)>> {
    told.iter()
        .map(|outcome| outcome.as_ref().err().map(|error| (error.kind, error.code.as_deref().unwrap_or_default())))
        .collect()
}

#[tokio::test]
async fn rejected_topic_message_is_identified() {
    let answer = "<PublishBatchResponse><PublishBatchResult><Successful><member><Id>0</Id><MessageId>m</MessageId></member>\
                  </Successful><Failed>\
                  <member><Id>2</Id><Code>InvalidParameter</Code><Message>too long</Message><SenderFault>true</SenderFault></member>\
                  <member><Id>1</Id><Code>InternalError</Code><Message>later</Message><SenderFault>false</SenderFault></member>\
                  </Failed></PublishBatchResult></PublishBatchResponse>";
    let server = Server::start(&[Reply::Status(200, answer.to_owned())]);
    let clients = clients_of(&server).await;
    let topic = channels(&clients, "arn:aws:sns:eu-west-1:111111111111:notices", None, SecurityHubMode::Off, None);
    let notices = [violation("a", CONTROL), violation("b", CONTROL), violation("c", CONTROL), violation("d", CONTROL)];
    let told = topic.deliver(Channel::Topic, &notices).await;
    let expected = [
        None,
        Some((PortErrorKind::Retryable, "InternalError")),
        Some((PortErrorKind::Rejected, "InvalidParameter")),
        // The response does not mention this message.
        Some((PortErrorKind::Retryable, "")),
    ];
    assert_eq!(outcomes(&told), expected);
}

#[tokio::test]
async fn rejected_events_are_identified() {
    let answer = json!({"FailedEntryCount": 2, "Entries": [
        {"EventId": "1"}, {"ErrorCode": "ThrottlingException", "ErrorMessage": "later"}, {"EventId": "3"},
        {"ErrorCode": "MalformedDetail", "ErrorMessage": "no"},
    ]});
    let server = Server::start(&[Reply::Status(200, answer.to_string())]);
    let clients = clients_of(&server).await;
    let bus = channels(&clients, "arn", None, SecurityHubMode::Off, Some("default"));
    // The second notice has no event, which therefore cannot be rejected.
    let notices =
        [violation("a", CONTROL), rollout(), violation("b", CONTROL), violation("c", CONTROL), violation("d", CONTROL)];
    let told = bus.deliver(Channel::EventBus, &notices).await;
    let (throttled, refused) = (PortErrorKind::Retryable, PortErrorKind::Rejected);
    let expected = [None, None, Some((throttled, "ThrottlingException")), None, Some((refused, "MalformedDetail"))];
    assert_eq!(outcomes(&told), expected);
    let entries = server.received()[0].json()["Entries"].as_array().unwrap().clone();
    assert_eq!(entries.len(), 4);
    assert!(entries.iter().all(|entry| entry["EventBusName"] == "default" && entry["Source"] == "backup-compliance"));
    // A response without the result of each event is not a success.
    let server = Server::start(&[Reply::Status(200, json!({"FailedEntryCount": 0, "Entries": []}).to_string())]);
    let clients = clients_of(&server).await;
    let bus = channels(&clients, "arn", None, SecurityHubMode::Off, Some("default"));
    assert!(bus.deliver(Channel::EventBus, &notices[..1]).await[0].is_err());
    let _ = EventBus::new(&clients, "default");
}

/// The imported findings: the last part of the id, the account into which it was imported, the state.
fn findings(local: &Local) -> Vec<(String, String, String)> {
    let findings = local.cloud.findings().into_iter();
    let mut found: Vec<_> = findings
        .map(|finding| {
            let id = finding["Id"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (id, text(&finding["AwsAccountId"]), text(&finding["Compliance"]["Status"]))
        })
        .collect();
    found.sort();
    found
}

fn found(resource: &str, account: &str, status: &str) -> (String, String, String) {
    (resource.to_owned(), account.to_owned(), status.to_owned())
}

#[tokio::test]
async fn findings_are_imported_into_own_account() {
    let local = Local::start().await;
    let hub = channels(&local.clients, "arn", None, SecurityHubMode::Central, None);
    let resolved = Update::Resolved(ClosedReason::Satisfied);
    // Opened and resolved in one call: the final state counts.
    let told = [
        notice(&record("a"), Update::Opened, 10),
        rollout(),
        notice(&record("b"), Update::Opened, 10),
        notice(&record("a"), resolved.clone(), 11),
    ];
    let mark = local.cloud.journal().mark();
    assert_eq!(hub.deliver(Channel::SecurityHub, &told).await, vec![Ok(()); 4]);
    assert_eq!(local.calls("securityhub", mark), ["BatchImportFindings"]);
    let central = "000000000000";
    assert_eq!(findings(&local), [found("a", central, "PASSED"), found("b", central, "FAILED")]);
    assert_eq!(hub.deliver(Channel::SecurityHub, &[notice(&record("b"), resolved, 12)]).await, [Ok(())]);
    assert_eq!(findings(&local), [found("a", central, "PASSED"), found("b", central, "PASSED")]);

    let many: Vec<Notice> = (0..150).map(|n| notice(&record(&format!("many-{n}")), Update::Opened, 10)).collect();
    let mark = local.cloud.journal().mark();
    assert_eq!(hub.deliver(Channel::SecurityHub, &many).await, vec![Ok(()); 150]);
    assert_eq!(local.calls("securityhub", mark), ["BatchImportFindings"; 2], "a hundred findings a call");

    // Transient errors are retried, with a limit.
    local.cloud.fail_next("securityhub", "BatchImportFindings", 429, "TooManyRequestsException", "later", 2);
    assert_eq!(hub.deliver(Channel::SecurityHub, &many[..1]).await, [Ok(())]);
    local.cloud.fail_next("securityhub", "BatchImportFindings", 500, "InternalException", "unwell", 3);
    let mark = local.cloud.journal().mark();
    let told = hub.deliver(Channel::SecurityHub, &many[..2]).await;
    assert_eq!(outcomes(&told), [Some((PortErrorKind::Retryable, "InternalException")); 2]);
    assert_eq!(local.calls("securityhub", mark).len(), 3);
    local.cloud.fail_next("securityhub", "BatchImportFindings", 403, "AccessDeniedException", "not you", 1);
    let told = hub.deliver(Channel::SecurityHub, &many[..1]).await;
    assert_eq!(outcomes(&told), [Some((PortErrorKind::Denied, "AccessDeniedException"))]);

    local.cloud.set_security_hub("000000000000", "us-east-1", false);
    let told = hub.deliver(Channel::SecurityHub, &many[..1]).await;
    assert_eq!(
        outcomes(&told),
        [Some((PortErrorKind::Rejected, "InvalidAccessException"))],
        "no permission would help"
    );
    assert!(told[0].as_ref().unwrap_err().message.contains("not subscribed"), "{told:?}");
    assert_eq!(local.cloud.stop(), []);
}

#[tokio::test]
async fn findings_are_imported_into_member_account() {
    let local = Local::start().await;
    let (here, there) = (("222222222222", "eu-west-1"), ("222222222222", "us-east-1"));
    for (account, region) in [here, there] {
        local.cloud.set_security_hub(account, region, true);
    }
    let hub = channels(&local.clients, "arn", None, SecurityHubMode::Member, None);
    let in_region = |name: &str, of: &str| {
        let mut record = record(name);
        record.key.region = region(of);
        record
    };
    let mut outsider = record("outsider");
    outsider.key.account = account("999999999999");
    let told = [
        notice(&in_region("a", "eu-west-1"), Update::Opened, 10),
        notice(&outsider, Update::Opened, 10),
        notice(&in_region("b", "us-east-1"), Update::Opened, 10),
        notice(&in_region("c", "eu-central-1"), Update::Opened, 10),
        rollout(),
    ];
    let mark = local.cloud.journal().mark();
    let outcome = hub.deliver(Channel::SecurityHub, &told).await;
    let expected = [
        None,
        Some((PortErrorKind::Denied, "AccessDenied")),
        None,
        Some((PortErrorKind::Rejected, "InvalidAccessException")),
        None,
    ];
    assert_eq!(outcomes(&outcome), expected, "{outcome:?}");
    assert_eq!(findings(&local), [found("a", ACCOUNT, "FAILED"), found("b", ACCOUNT, "FAILED")]);
    assert_eq!(local.calls("sts", mark), ["AssumeRole"; 2], "once for each account");
    assert_eq!(local.cloud.stop(), []);
}

#[tokio::test]
async fn findings_match_security_hub_format() {
    let first = notice(&record("a"), Update::Opened, 10);
    let second = notice(&record("b"), Update::Opened, 10);
    let home = FindingHome { account: account("000000000000"), region: region("us-east-1") };
    let id = |notice: &Notice| notice.finding(&home).unwrap()["Id"].as_str().unwrap().to_owned();
    let refused = json!({"FailedCount": 1, "SuccessCount": 1, "FailedFindings": [
        {"Id": id(&first), "ErrorCode": "InvalidInput", "ErrorMessage": "finding.Title must not be blank"},
    ]});
    let server = Server::start(&[Reply::Status(200, refused.to_string()), Reply::Status(200, "<html>".to_owned())]);
    let clients = clients_of(&server).await;
    let hub = channels(&clients, "arn", None, SecurityHubMode::Central, None);
    let told = hub.deliver(Channel::SecurityHub, &[first.clone(), second.clone(), first.clone()]).await;
    let wrong = Some((PortErrorKind::Rejected, "InvalidInput"));
    assert_eq!(outcomes(&told), [wrong, None, wrong], "all of one id have one outcome");
    assert!(told[0].as_ref().unwrap_err().to_string().contains("finding.Title must not be blank"), "{told:?}");

    let received = server.received();
    let request = &received[0];
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/findings/import"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    let authorization = request.header("authorization").unwrap();
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=test/"), "{authorization}");
    assert!(authorization.contains("/us-east-1/securityhub/aws4_request"), "{authorization}");
    assert!(authorization.contains("content-type;host;x-amz-date"), "{authorization}");
    let sent = request.json()["Findings"].as_array().unwrap().clone();
    assert_eq!(sent, [first.finding(&home).unwrap(), second.finding(&home).unwrap()]);

    let told = hub.deliver(Channel::SecurityHub, &[second]).await;
    assert_eq!(told[0].as_ref().unwrap_err().kind, PortErrorKind::Rejected, "an unknown response is not a success");
}

/// Responses of a member account: credentials, and an import that `imported` can delay.
fn member_accounts(imported: impl Fn() + Send + Sync + 'static) -> Server {
    Server::answering(move |_, request| {
        if request.target.contains("/findings/import") {
            imported();
            return Reply::Status(200, json!({"FailedCount": 0, "SuccessCount": 1, "FailedFindings": []}).to_string());
        }
        Reply::Status(
            200,
            "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>a</AccessKeyId>\
             <SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
             <Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
                .to_owned(),
        )
    })
}

/// One violation in each of this number of accounts.
fn one_in_each_account(accounts: usize) -> Vec<Notice> {
    let opened = |n: usize| {
        let mut record = record("orders");
        record.key.account = account(&format!("{:012}", 100_000_000_000 + n));
        notice(&record, Update::Opened, 10)
    };
    (0..accounts).map(opened).collect()
}

/// Each import responds when all sixteen requests have arrived.
#[tokio::test]
async fn findings_of_accounts_are_imported_in_parallel() {
    const ACCOUNTS: usize = 16;
    let barrier = std::sync::Barrier::new(ACCOUNTS);
    let server = member_accounts(move || {
        barrier.wait();
    });
    let clients = clients_of(&server).await;
    let channels = channels(&clients, TOPIC, None, SecurityHubMode::Member, None);
    let outcomes = channels.deliver(Channel::SecurityHub, &one_in_each_account(ACCOUNTS)).await;
    assert_eq!(outcomes, vec![Ok(()); ACCOUNTS]);
    assert_eq!(server.received().len(), 2 * ACCOUNTS, "a role and an import each");
}

/// Neither imports that have not begun nor imports without a response delay the function.
#[tokio::test(start_paused = true)]
async fn findings_after_deadline_time_out() {
    for (left, begun) in [(Duration::ZERO, false), (Duration::from_secs(5), true)] {
        let server = Server::start(&[Reply::Hang]);
        let clients = clients_of(&server).await;
        let began = Instant::now();
        let channels = channels(&clients, TOPIC, None, SecurityHubMode::Member, None).until(began + left);
        let outcomes = channels.deliver(Channel::SecurityHub, &one_in_each_account(100)).await;
        assert_eq!(began.elapsed(), left);
        assert!(begun || server.received().is_empty());
        for outcome in outcomes {
            assert_eq!(outcome.unwrap_err().kind, PortErrorKind::OutOfTime);
        }
    }
}
