use super::{Batch, Look, NotUnderstood, Trigger, compliance_change, trigger};
use domain::violation::{Change, Compliance};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// The sample events of the project, by path.
fn samples() -> Vec<(String, String)> {
    let events = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events");
    let json = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
    let mut samples = Vec::new();
    for folder in [events.clone(), events.join("bad")] {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(json) {
            let name = path.strip_prefix(&events).unwrap().display().to_string();
            samples.push((name, fs::read_to_string(path).unwrap()));
        }
    }
    assert!(samples.len() > 30, "only {} sample events", samples.len());
    samples
}

fn sample(name: &str) -> Value {
    let (_, text) = samples().into_iter().find(|(found, _)| found == name).unwrap_or_else(|| panic!("{name}"));
    serde_json::from_str(&text).unwrap()
}

/// The events in a sample: the bodies of a batch, or the sample itself.
fn inner(name: &str) -> Value {
    Batch::read(sample(name)).messages.remove(0).event.unwrap()
}

fn reads(event: &Value) -> Trigger {
    trigger(event, "backup-policy", "main")
}

fn change(event: &Value) -> Change {
    compliance_change(event).unwrap()
}

fn poison(event: &Value) -> String {
    match compliance_change(event) {
        Err(NotUnderstood::Poisoned(why)) => why,
        other => panic!("{other:?}"),
    }
}

fn foreign(event: &Value) -> String {
    match compliance_change(event) {
        Err(NotUnderstood::NotOurs(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// A copy with the value at a pointer replaced, or taken away.
fn with(event: &Value, pointer: &str, value: Option<Value>) -> Value {
    let mut event = event.clone();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let fields = event.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => fields.insert(key.to_owned(), value),
        None => fields.remove(key),
    };
    event
}

#[test]
fn the_configured_branch_is_told_from_all_others() {
    for name in ["codecommit-push.json", "codecommit-branch-created.json", "codecommit-merge.json"] {
        assert_eq!(reads(&inner(name)), Trigger::Push, "{name}");
    }
    let push = inner("codecommit-push.json");
    let near_misses = [
        ("/detail/repositoryName", json!("backup-policy-test"), "repository `backup-policy-test`"),
        ("/detail/repositoryName", json!("Backup-Policy"), "repository"),
        ("/detail/referenceName", json!("Main"), "the branch `Main`"),
        ("/detail/referenceName", json!("feature/main"), "the branch `feature/main`"),
        ("/detail/referenceType", json!("tag"), "the tag `main`"),
        ("/detail/event", json!("referenceDeleted"), "moves no branch"),
        ("/detail/event", json!(7), "moves no branch"),
        ("/source", json!("my.codecommit"), "none of ours"),
        ("/detail-type", json!("CodeCommit Comment on Commit"), "none of ours"),
    ];
    for (pointer, value, why) in near_misses {
        let event = with(&push, pointer, Some(value.clone()));
        assert!(matches!(reads(&event), Trigger::Ignored(said) if said.contains(why)), "{pointer} {value}");
    }
}

#[test]
fn an_operation_counts_when_it_has_ended_however() {
    let ended = Trigger::OperationEnded { stack_set: "backup-compliance".into() };
    let event = inner("stackset-operation.json");
    for status in ["SUCCEEDED", "FAILED", "STOPPED", "A_WORD_OF_TOMORROW"] {
        assert_eq!(reads(&with(&event, "/detail/status-details/status", Some(json!(status)))), ended, "{status}");
    }
    for status in ["RUNNING", "QUEUED", "STOPPING"] {
        let event = with(&event, "/detail/status-details/status", Some(json!(status)));
        assert!(matches!(reads(&event), Trigger::Ignored(_)), "{status}");
    }
    for arn in [json!("arn:aws:cloudformation:us-east-1:0:stackset/"), json!("text"), json!(5), Value::Null] {
        let event = with(&event, "/detail/stack-set-arn", Some(arn.clone()));
        assert!(matches!(reads(&event), Trigger::Nonsense(why) if why.contains("stack-set-arn")), "{arn}");
    }
}

#[test]
fn our_own_messages_are_understood_and_nothing_that_only_looks_like_them() {
    assert_eq!(reads(&inner("schedule-light.json")), Trigger::Schedule(Look::Light));
    assert_eq!(reads(&inner("schedule-full.json")), Trigger::Schedule(Look::Full));
    let look = |id: Value| json!({"source": "backup-compliance.lifecycle", "requestId": id});
    assert_eq!(reads(&look(json!("r-1"))), Trigger::Request { id: "r-1".into() });
    for nonsense in [
        look(Value::Null),
        look(json!(1)),
        inner("bad/unknown-look.json"),
        json!({"source": "backup-compliance.schedule"}),
        json!({"source": "aws.codecommit", "detail-type": "CodeCommit Repository State Change"}),
        json!({"source": "aws.cloudformation", "detail-type": "CloudFormation StackSet Operation Status Change", "detail": []}),
        json!({}),
        json!([]),
        json!("text"),
        Value::Null,
    ] {
        assert!(matches!(reads(&nonsense), Trigger::Nonsense(why) if !why.is_empty()), "{nonsense}");
    }
}

#[test]
fn a_body_that_is_not_json_spoils_its_own_message_only() {
    let batch = Batch::read(sample("bad/sqs-batch-one-poisoned.json"));
    assert!(batch.queued);
    let good: Vec<bool> = batch.messages.iter().map(|message| message.event.is_ok()).collect();
    assert_eq!(good, [true, false, true]);
    assert!(batch.messages.iter().all(|message| !message.id.is_empty()));
    let why = batch.messages[1].event.as_ref().unwrap_err();
    assert!(why.contains("not JSON at line 1"), "{why}");

    let response = serde_json::to_value(Batch::response([batch.messages[1].id.clone()])).unwrap();
    assert_eq!(response, json!({"batchItemFailures": [{"itemIdentifier": batch.messages[1].id}]}));
    assert_eq!(serde_json::to_value(Batch::response([])).unwrap(), json!({"batchItemFailures": []}));
}

#[test]
fn what_is_no_batch_of_sqs_is_one_event() {
    let empty = Batch::read(json!({"Records": []}));
    assert!(empty.queued && empty.messages.is_empty());
    for event in
        [json!({"Records": [{"eventSource": "aws:sns"}]}), json!({"Records": 5}), json!({}), json!([1]), Value::Null]
    {
        let batch = Batch::read(event.clone());
        assert!(!batch.queued, "{event}");
        assert_eq!(batch.messages.len(), 1, "{event}");
        assert_eq!(batch.messages[0].event.as_ref().unwrap(), &event);
    }
    // A message without a body is a message, and its own problem.
    let batch = Batch::read(json!({"Records": [{"messageId": "m-1", "eventSource": "aws:sqs"}]}));
    assert_eq!((batch.messages.len(), batch.messages[0].id.as_str()), (1, "m-1"));
    assert!(batch.messages[0].event.is_err());
}

#[test]
fn a_compliance_change_is_read_with_and_without_what_is_optional() {
    let event = inner("config-noncompliant.json");
    let read = change(&event);
    assert_eq!(
        read.key.to_string(),
        "222222222222/eu-west-1/BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN/AWS::RDS::DBCluster/orders"
    );
    assert_eq!(read.compliance, Compliance::NonCompliant);
    assert!(read.had_result);
    assert!(!change(&inner("config-no-old-result.json")).had_result);
    for optional in
        ["/detail/newEvaluationResult/annotation", "/detail/messageType", "/account", "/time", "/detail/resourceId"]
    {
        assert_eq!(change(&with(&event, optional, None)).key, read.key, "{optional}");
    }
    let words = [("COMPLIANT", Compliance::Compliant), ("NOT_APPLICABLE", Compliance::NotApplicable)];
    for (word, compliance) in words {
        let event = with(&event, "/detail/newEvaluationResult/complianceType", Some(json!(word)));
        assert_eq!(change(&event).compliance, compliance);
    }
    let unknown = change(&inner("config-unknown-control.json"));
    assert_eq!(unknown.key.control, unknown.rule_name);
}

#[test]
fn times_are_read_as_aws_writes_them_and_replaced_by_the_next_best() {
    const TRIGGERED: &str = "/detail/newEvaluationResult/evaluationResultIdentifier/orderingTimestamp";
    const RECORDED: &str = "/detail/newEvaluationResult/resultRecordedTime";
    const NOTIFIED: &str = "/detail/notificationCreationTime";
    let event = inner("config-noncompliant.json");
    let plain = change(&event).ordering;
    for same in [
        "2026-11-23T04:12:09.311Z",
        "2026-11-23T04:12:09.311000000Z",
        "2026-11-23T05:12:09.311+01:00",
        "2026-11-23T05:12:09.311+0100",
    ] {
        assert_eq!(change(&with(&event, TRIGGERED, Some(json!(same)))).ordering, plain, "{same}");
    }
    assert!(plain.triggered < plain.recorded && plain.recorded < plain.notified);
    assert_eq!(change(&with(&event, TRIGGERED, None)).ordering.triggered, plain.recorded);
    assert_eq!(change(&with(&event, RECORDED, None)).ordering.recorded, plain.triggered);
    let event_time = change(&with(&event, NOTIFIED, None)).ordering.notified;
    assert_eq!(event_time.to_string(), "2026-11-23T04:12:33Z");
    // One that is there and cannot be read would put the change in a wrong place.
    for pointer in [TRIGGERED, RECORDED] {
        for wrong in [json!("yesterday"), json!(1_795_407_129), json!(""), json!("2026-13-01T00:00:00Z")] {
            let why = poison(&with(&event, pointer, Some(wrong.clone())));
            assert!(why.contains(pointer.rsplit_once('/').unwrap().1), "{wrong}: {why}");
        }
        assert_eq!(change(&with(&event, pointer, Some(Value::Null))), change(&with(&event, pointer, None)));
    }
    let without =
        [TRIGGERED, RECORDED, NOTIFIED, "/time"].iter().fold(event, |event, pointer| with(&event, pointer, None));
    assert!(poison(&without).contains("tells no time"));
}

#[test]
fn what_is_not_ours_is_dropped_and_what_contradicts_itself_is_not() {
    let event = inner("config-noncompliant.json");
    for (pointer, value, why) in [
        ("/source", json!("my.config"), "`my.config`"),
        ("/detail-type", json!("Config Rules Re-evaluation Status"), "no compliance change"),
        ("/detail/messageType", json!("ConfigurationItemChangeNotification"), "no compliance change"),
        (
            "/detail/configRuleARN",
            json!("arn:aws:config:eu-west-1:222222222222:config-rule/config-rule-1"),
            "none of AWS Backup",
        ),
        ("/detail/newEvaluationResult/complianceType", json!("INSUFFICIENT_DATA"), "says nothing"),
    ] {
        let why_not = foreign(&with(&event, pointer, Some(value)));
        assert!(why_not.contains(why), "{pointer}: {why_not}");
    }
    for (pointer, value, why) in [
        ("/account", json!("333333333333"), "sent by account 333333333333"),
        ("/detail/awsAccountId", json!("22222222222"), "222222222222"),
        ("/detail/awsRegion", json!("Ireland"), "Ireland"),
        (
            "/detail/configRuleARN",
            json!("arn:aws:config:eu-west-1:999999999999:config-rule/aws-service-rule/backup.amazonaws.com/x"),
            "another account",
        ),
        ("/detail", json!("NON_COMPLIANT"), "no `detail`"),
        ("/source", json!(5), "no `source`"),
    ] {
        let said = poison(&with(&event, pointer, Some(value)));
        assert!(said.contains(why), "{pointer}: {said}");
    }
    for required in
        ["/detail/configRuleARN", "/detail/awsAccountId", "/detail/awsRegion", "/detail/newEvaluationResult"]
    {
        let said = poison(&with(&event, required, None));
        assert!(said.contains(required.rsplit_once('/').unwrap().1), "{required}: {said}");
    }
}

/// Every place in a value, as pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| places(value, &format!("{at}/{key}"), found)),
        Value::Array(items) => items.iter().enumerate().for_each(|(n, item)| places(item, &format!("{at}/{n}"), found)),
        _ => {}
    }
}

#[test]
fn whatever_stands_anywhere_in_an_event_nothing_panics() {
    let odd = [
        json!(null),
        json!(-1),
        json!(1e300),
        json!(""),
        json!("\u{0}\u{1f9ef}"),
        json!([]),
        json!({}),
        json!([[{}]]),
        json!(true),
    ];
    let mut tried = 0;
    for (name, text) in samples() {
        let Ok(sample) = serde_json::from_str::<Value>(&text) else { continue };
        let batch = Batch::read(sample.clone());
        let events = batch.messages.into_iter().filter_map(|message| message.event.ok());
        for whole in events.chain([sample]) {
            let mut pointers = Vec::new();
            places(&whole, "", &mut pointers);
            for pointer in pointers {
                for value in &odd {
                    let mut event = whole.clone();
                    let Some(place) = event.pointer_mut(&pointer) else { continue };
                    *place = value.clone();
                    let _ = compliance_change(&event);
                    if let Trigger::Ignored(why) | Trigger::Nonsense(why) = reads(&event) {
                        assert!(!why.is_empty(), "{name}{pointer}");
                    }
                    let batch = Batch::read(event);
                    let _ = batch.triggers(reads);
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 10_000, "only {tried}");
}
