use app::events::{Batch, Message};
use app::ports::{PortErrorKind, ResourceId};
use app::report::{Report, Reported};
use domain::ids::{AccountId, RegionName};
use domain::notice::{Notice, ResourceFacts};
use serde_json::{Value, json};
use testkit::world::World;

fn report(world: &World) -> Report<World, World, World, World, World> {
    Report {
        violations: world.clone(),
        notifier: world.clone(),
        frameworks: world.clone(),
        resources: world.clone(),
        clock: world.clone(),
    }
}

/// An event about the Aurora cluster `orders` at a minute of an hour.
fn event(compliance: &str, minute: u8) -> Value {
    about("orders", compliance, minute)
}

fn about(resource: &str, compliance: &str, minute: u8) -> Value {
    let rule = "AURORA-RESOURCES_PROTECTED_BY_BACKUP_PLAN-1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d";
    json!({
        "source": "aws.config",
        "detail-type": "Config Rules Compliance Change",
        "account": "222222222222",
        "region": "eu-west-1",
        "time": format!("2026-11-20T04:{minute:02}:31Z"),
        "detail": {
            "messageType": "ComplianceChangeNotification",
            "awsAccountId": "222222222222",
            "awsRegion": "eu-west-1",
            "configRuleName": rule,
            "configRuleARN": "arn:aws:config:eu-west-1:222222222222:config-rule/aws-service-rule/backup.amazonaws.com/config-rule-ab12cd",
            "resourceType": "AWS::RDS::DBCluster",
            "resourceId": resource,
            "newEvaluationResult": {
                "evaluationResultIdentifier": { "orderingTimestamp": format!("2026-11-20T04:{minute:02}:09.311Z") },
                "complianceType": compliance,
                "resultRecordedTime": format!("2026-11-20T04:{minute:02}:29.902Z"),
                "annotation": "The resource is not protected by a backup plan.",
            },
            "notificationCreationTime": format!("2026-11-20T04:{minute:02}:31.377Z"),
        },
    })
}

fn batch(events: &[Value]) -> Vec<Message> {
    let records: Vec<Value> = events
        .iter()
        .enumerate()
        .map(|(index, event)| {
            let body = event.as_str().map_or_else(|| event.to_string(), ToOwned::to_owned);
            json!({ "messageId": format!("m{index}"), "eventSource": "aws:sqs", "body": body })
        })
        .collect();
    let batch = Batch::read(json!({ "Records": records }));
    assert!(batch.queued);
    batch.messages
}

async fn send(world: &World, events: &[Value]) -> Reported {
    report(world).handle(&batch(events)).await
}

fn kinds(world: &World) -> Vec<&'static str> {
    world.take_notices().iter().map(Notice::kind).collect()
}

#[tokio::test(flavor = "current_thread")]
async fn one_notice_when_it_opens_and_one_when_it_is_resolved() {
    let world = World::new();
    send(&world, &[event("NON_COMPLIANT", 10)]).await;
    assert_eq!(kinds(&world), ["violation.opened"]);
    assert_eq!(send(&world, &[event("NON_COMPLIANT", 10)]).await.quiet, 1, "the same event again");
    assert_eq!(send(&world, &[event("COMPLIANT", 5)]).await.quiet, 1, "an older one that comes late");
    assert_eq!(kinds(&world), Vec::<&str>::new());
    send(&world, &[event("NON_COMPLIANT", 20)]).await;
    assert_eq!(kinds(&world), Vec::<&str>::new(), "still open");
    send(&world, &[event("COMPLIANT", 30)]).await;
    assert_eq!(kinds(&world), ["violation.resolved"]);
    send(&world, &[event("NON_COMPLIANT", 40)]).await;
    assert_eq!(kinds(&world), ["violation.opened"], "a regression is news");
    send(&world, &[event("NOT_APPLICABLE", 50)]).await;
    assert_eq!(kinds(&world), ["violation.resolved"]);
}

#[tokio::test(flavor = "current_thread")]
async fn compliant_from_the_start_is_no_news_but_keeps_late_events_quiet() {
    let world = World::new();
    send(&world, &[event("COMPLIANT", 10)]).await;
    send(&world, &[event("NON_COMPLIANT", 5)]).await;
    assert_eq!(kinds(&world), Vec::<&str>::new());
}

#[tokio::test(flavor = "current_thread")]
async fn a_batch_in_any_order_leads_to_what_is_true_at_its_end() {
    let world = World::new();
    send(&world, &[event("COMPLIANT", 30), event("NON_COMPLIANT", 10), event("NON_COMPLIANT", 20)]).await;
    assert_eq!(kinds(&world), Vec::<&str>::new(), "opened and resolved before anybody heard of it");
    send(&world, &[event("COMPLIANT", 40), event("NON_COMPLIANT", 50)]).await;
    assert_eq!(kinds(&world), ["violation.opened"]);
}

#[tokio::test(flavor = "current_thread")]
async fn the_notice_says_name_and_requirement_where_they_are_known() {
    let world = World::new();
    let id = ResourceId {
        account: AccountId::parse("222222222222").unwrap(),
        region: RegionName::parse("eu-west-1").unwrap(),
        kind: "AWS::RDS::DBCluster".into(),
        id: "cluster-7XK3".into(),
    };
    let arn = "arn:aws:rds:eu-west-1:222222222222:cluster:orders";
    world.state().resources.insert(id, ResourceFacts { name: Some("orders".into()), arn: Some(arn.into()) });
    send(&world, &[about("cluster-7XK3", "NON_COMPLIANT", 10)]).await;
    let notices = world.take_notices();
    assert!(notices[0].subject().contains("Aurora cluster orders is in no backup plan"), "{}", notices[0].subject());
    let text = notices[0].text();
    for expected in ["cluster-7XK3", arn, "222222222222", "eu-west-1", "2026-11-20 04:10 UTC", "What to do"] {
        assert!(text.contains(expected), "{expected} in\n{text}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_poisoned_message_fails_alone_and_what_is_not_ours_is_accepted() {
    let world = World::new();
    let mut elsewhere = event("NON_COMPLIANT", 10);
    elsewhere["detail"]["configRuleARN"] = json!("arn:aws:config:eu-west-1:222222222222:config-rule/config-rule-1");
    let mut forged = event("NON_COMPLIANT", 10);
    forged["account"] = json!("333333333333");
    let reported = send(
        &world,
        &[json!("{not json"), event("NON_COMPLIANT", 10), elsewhere, forged, json!({ "source": "aws.ec2" })],
    )
    .await;
    assert_eq!(reported.failed, ["m0", "m3"]);
    assert_eq!((reported.told, reported.ignored), (1, 2));
    assert!(reported.failures[0].contains("line 1, column 2"), "{reported:?}");
    assert!(reported.failures[1].contains("sent by account 333333333333"), "{reported:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_notice_is_never_lost_wherever_it_fails() {
    for call in ["dynamodb:BatchGetItem", "dynamodb:PutItem", "sns:Publish", "dynamodb:UpdateItem"] {
        for lose_answer in [false, true] {
            let world = World::new();
            if lose_answer {
                world.lose_next_answer(call);
            } else {
                world.fail_next(call, PortErrorKind::Retryable);
            }
            let first = send(&world, &[event("NON_COMPLIANT", 10)]).await;
            assert_eq!(first.failed, ["m0"], "{call}");
            let second = send(&world, &[event("NON_COMPLIANT", 10)]).await;
            assert!(second.failed.is_empty(), "{call}: {second:?}");
            let told = kinds(&world);
            assert!((1..=2).contains(&told.len()), "{call}: {told:?}");
            assert!(told.iter().all(|kind| *kind == "violation.opened"), "{call}: {told:?}");
            send(&world, &[event("NON_COMPLIANT", 10)]).await;
            assert!(kinds(&world).is_empty(), "{call}: told is told, unless the answer that says so was lost");
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_name_that_cannot_be_had_does_not_hold_back_the_notice() {
    let world = World::new();
    world.fail_next("config:BatchGetAggregateResourceConfig", PortErrorKind::Denied);
    world.fail_next("dynamodb:Query", PortErrorKind::Retryable);
    assert_eq!(send(&world, &[event("NON_COMPLIANT", 10)]).await.told, 1);
    assert_eq!(kinds(&world), ["violation.opened"]);
}

#[tokio::test(flavor = "current_thread")]
async fn a_batch_reads_once_and_quiet_events_cost_no_more() {
    let world = World::new();
    let events: Vec<Value> = (0..50).map(|n| about(&format!("c{n}"), "NON_COMPLIANT", 10)).collect();
    send(&world, &events).await;
    let calls = world.take_calls();
    let count = |name: &str| calls.iter().filter(|call| **call == name).count();
    assert_eq!((count("dynamodb:BatchGetItem"), count("dynamodb:PutItem")), (1, 50));
    assert_eq!((count("config:BatchGetAggregateResourceConfig"), count("dynamodb:Query")), (1, 1));
    send(&world, &events).await;
    assert_eq!(world.take_calls(), ["dynamodb:BatchGetItem"]);
}

#[tokio::test(flavor = "current_thread")]
async fn sweep_tells_what_a_crash_left_untold() {
    let world = World::new();
    world.fail_next("sns:Publish", PortErrorKind::Retryable);
    send(&world, &[event("NON_COMPLIANT", 10)]).await;
    assert!(kinds(&world).is_empty());
    let swept = app::sweep::sweep(&report(&world)).await.unwrap();
    assert_eq!((swept.told, kinds(&world)), (1, vec!["violation.opened"]));
    assert_eq!(app::sweep::sweep(&report(&world)).await.unwrap().told, 0);
}
