use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use domain::violation::{ComplianceChange, ComplianceType};

use super::{Batch, DeployTrigger, EventError, PolicyPlace, ReconcileScope, compliance_change, trigger};

/// The sample events of the project with their paths.
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

fn reads(event: &Value) -> DeployTrigger {
    trigger(event, PolicyPlace::Branch { repository: "backup-policy", branch: "main" })
}

fn reads_of_bucket(event: &Value) -> DeployTrigger {
    trigger(event, PolicyPlace::Object { bucket: "backup-compliance-policybucket-1a2b3c4d5e6f" })
}

fn change(event: &Value) -> ComplianceChange {
    compliance_change(event).unwrap()
}

fn rejected(event: &Value) -> String {
    match compliance_change(event) {
        Err(EventError::Invalid(why)) => why,
        other => panic!("{other:?}"),
    }
}

fn dropped(event: &Value) -> String {
    match compliance_change(event) {
        Err(EventError::Foreign(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// A copy with the value at a pointer replaced or removed.
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
fn push_to_configured_branch_is_a_trigger() {
    for name in ["codecommit-push.json", "codecommit-branch-created.json", "codecommit-merge.json"] {
        assert_eq!(reads(&inner(name)), DeployTrigger::Push, "{name}");
    }
    let push = inner("codecommit-push.json");
    let foreign = [
        ("/detail/repositoryName", json!("backup-policy-test"), "repository `backup-policy-test`"),
        ("/detail/repositoryName", json!("Backup-Policy"), "repository"),
        ("/detail/referenceName", json!("Main"), "the branch `Main`"),
        ("/detail/referenceName", json!("feature/main"), "the branch `feature/main`"),
        ("/detail/referenceType", json!("tag"), "the tag `main`"),
        ("/detail/event", json!("referenceDeleted"), "does not update a branch"),
        ("/detail/event", json!(7), "does not update a branch"),
        ("/source", json!("my.codecommit"), "is not a trigger"),
        ("/detail-type", json!("CodeCommit Comment on Commit"), "is not a trigger"),
    ];
    for (pointer, value, why) in foreign {
        let event = with(&push, pointer, Some(value.clone()));
        assert!(matches!(reads(&event), DeployTrigger::Ignored(reason) if reason.contains(why)), "{pointer} {value}");
    }
}

#[test]
fn new_version_of_the_object_is_a_trigger() {
    let created = inner("s3-policy-object-created.json");
    assert_eq!(reads_of_bucket(&created), DeployTrigger::Push);
    let foreign = [
        ("/detail/bucket/name", json!("backup-compliance-policybucket"), "the bucket `backup-compliance-policybucket`"),
        ("/detail/bucket", json!([]), "the bucket ``"),
        ("/detail/object/key", json!("policy.zip.bak"), "the object `policy.zip.bak`"),
        ("/detail/object/key", json!("Policy.zip"), "the object `Policy.zip`"),
        ("/detail-type", json!("Object Deleted"), "is not a trigger"),
        ("/source", json!("my.s3"), "is not a trigger"),
    ];
    for (pointer, value, why) in foreign {
        let event = with(&created, pointer, Some(value.clone()));
        let trigger = reads_of_bucket(&event);
        assert!(
            matches!(&trigger, DeployTrigger::Ignored(reason) if reason.contains(why)),
            "{pointer} {value}: {trigger:?}"
        );
    }
    for near_miss in ["s3-other-object-created.json", "s3-policy-object-deleted.json"] {
        assert!(matches!(reads_of_bucket(&inner(near_miss)), DeployTrigger::Ignored(_)), "{near_miss}");
    }
    // Each application has one source.
    assert!(matches!(reads(&created), DeployTrigger::Ignored(why) if why.contains("is in CodeCommit")));
    let push = inner("codecommit-push.json");
    assert!(matches!(reads_of_bucket(&push), DeployTrigger::Ignored(why) if why.contains("is in S3")));
    let without = json!({"source": "aws.s3", "detail-type": "Object Created"});
    assert!(matches!(reads_of_bucket(&without), DeployTrigger::Invalid(why) if why.contains("no `detail`")));
}

#[test]
fn ended_operation_is_a_trigger_with_any_status() {
    let ended = DeployTrigger::OperationEnded("backup-compliance".into());
    let event = inner("stackset-operation.json");
    for status in ["SUCCEEDED", "FAILED", "STOPPED", "A_FUTURE_STATUS"] {
        assert_eq!(reads(&with(&event, "/detail/status-details/status", Some(json!(status)))), ended, "{status}");
    }
    for status in ["RUNNING", "QUEUED", "STOPPING"] {
        let event = with(&event, "/detail/status-details/status", Some(json!(status)));
        assert!(matches!(reads(&event), DeployTrigger::Ignored(_)), "{status}");
    }
    for arn in [json!("arn:aws:cloudformation:us-east-1:0:stackset/"), json!("text"), json!(5), Value::Null] {
        let event = with(&event, "/detail/stack-set-arn", Some(arn.clone()));
        assert!(matches!(reads(&event), DeployTrigger::Invalid(why) if why.contains("stack-set-arn")), "{arn}");
    }
}

#[test]
fn own_messages_are_read_and_similar_ones_rejected() {
    assert_eq!(reads(&inner("schedule-light.json")), DeployTrigger::Schedule(ReconcileScope::QuickCheck));
    assert_eq!(reads(&inner("schedule-full.json")), DeployTrigger::Schedule(ReconcileScope::Full));
    let request = |id: Value| json!({"source": "backup-compliance.lifecycle", "requestId": id});
    assert_eq!(reads(&request(json!("r-1"))), DeployTrigger::Request("r-1".into()));
    for nonsense in [
        request(Value::Null),
        request(json!(1)),
        inner("bad/unknown-look.json"),
        json!({"source": "backup-compliance.schedule"}),
        json!({"source": "aws.codecommit", "detail-type": "CodeCommit Repository State Change"}),
        json!({"source": "aws.cloudformation", "detail-type": "CloudFormation StackSet Operation Status Change", "detail": []}),
        json!({}),
        json!([]),
        json!("text"),
        Value::Null,
    ] {
        assert!(matches!(reads(&nonsense), DeployTrigger::Invalid(why) if !why.is_empty()), "{nonsense}");
    }
}

#[test]
fn invalid_json_affects_only_its_own_message() {
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
fn payload_that_is_not_an_sqs_batch_is_one_event() {
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
    // A message without a body affects only itself.
    let batch = Batch::read(json!({"Records": [{"messageId": "m-1", "eventSource": "aws:sqs"}]}));
    assert_eq!((batch.messages.len(), batch.messages[0].id.as_str()), (1, "m-1"));
    assert!(batch.messages[0].event.is_err());
}

#[test]
fn change_is_read_with_and_without_optional_fields() {
    let event = inner("config-noncompliant.json");
    let read = change(&event);
    assert_eq!(
        read.key.to_string(),
        "222222222222/eu-west-1/BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN/AWS::RDS::DBCluster/orders"
    );
    assert_eq!(read.compliance, ComplianceType::NonCompliant);
    assert!(read.had_result);
    assert!(!change(&inner("config-no-old-result.json")).had_result);
    for optional in
        ["/detail/newEvaluationResult/annotation", "/detail/messageType", "/account", "/time", "/detail/resourceId"]
    {
        assert_eq!(change(&with(&event, optional, None)).key, read.key, "{optional}");
    }
    let words = [("COMPLIANT", ComplianceType::Compliant), ("NOT_APPLICABLE", ComplianceType::NotApplicable)];
    for (word, compliance) in words {
        let event = with(&event, "/detail/newEvaluationResult/complianceType", Some(json!(word)));
        assert_eq!(change(&event).compliance, compliance);
    }
    let unknown = change(&inner("config-unknown-control.json"));
    assert_eq!(unknown.key.control, unknown.rule_name);
}

#[test]
fn times_are_read_in_aws_formats_or_replaced() {
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
    // An invalid time would break the order of changes.
    for pointer in [TRIGGERED, RECORDED] {
        for wrong in [json!("yesterday"), json!(1_795_407_129), json!(""), json!("2026-13-01T00:00:00Z")] {
            let why = rejected(&with(&event, pointer, Some(wrong.clone())));
            assert!(why.contains(pointer.rsplit_once('/').unwrap().1), "{wrong}: {why}");
        }
        assert_eq!(change(&with(&event, pointer, Some(Value::Null))), change(&with(&event, pointer, None)));
    }
    let without =
        [TRIGGERED, RECORDED, NOTIFIED, "/time"].iter().fold(event, |event, pointer| with(&event, pointer, None));
    assert!(rejected(&without).contains("has no time"));
}

#[test]
fn foreign_event_is_dropped_contradiction_rejected() {
    let event = inner("config-noncompliant.json");
    for (pointer, value, why) in [
        ("/source", json!("my.config"), "`my.config`"),
        ("/detail-type", json!("Config Rules Re-evaluation Status"), "is not a compliance change"),
        ("/detail/messageType", json!("ConfigurationItemChangeNotification"), "is not a compliance change"),
        (
            "/detail/configRuleARN",
            json!("arn:aws:config:eu-west-1:222222222222:config-rule/config-rule-1"),
            "is not a rule of AWS Backup",
        ),
        ("/detail/newEvaluationResult/complianceType", json!("INSUFFICIENT_DATA"), "is not a result"),
    ] {
        let reason = dropped(&with(&event, pointer, Some(value)));
        assert!(reason.contains(why), "{pointer}: {reason}");
    }
    for (pointer, value, why) in [
        ("/account", json!("333333333333"), "sent by account 333333333333"),
        ("/detail/awsAccountId", json!("22222222222"), "222222222222"),
        ("/detail/awsRegion", json!("Ireland"), "Ireland"),
        (
            "/detail/configRuleARN",
            json!("arn:aws:config:eu-west-1:999999999999:config-rule/aws-service-rule/backup.amazonaws.com/x"),
            "does not belong",
        ),
        ("/detail", json!("NON_COMPLIANT"), "no `detail`"),
        ("/source", json!(5), "no `source`"),
    ] {
        let reason = rejected(&with(&event, pointer, Some(value)));
        assert!(reason.contains(why), "{pointer}: {reason}");
    }
    for required in
        ["/detail/configRuleARN", "/detail/awsAccountId", "/detail/awsRegion", "/detail/newEvaluationResult"]
    {
        let reason = rejected(&with(&event, required, None));
        assert!(reason.contains(required.rsplit_once('/').unwrap().1), "{required}: {reason}");
    }
}

/// Collects the pointers of all values.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| pointers(value, &format!("{at}/{key}"), found)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| pointers(item, &format!("{at}/{n}"), found))
        }
        _ => {}
    }
}

#[test]
fn parsing_never_panics() {
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
            self::pointers(&whole, "", &mut pointers);
            for pointer in pointers {
                for value in &odd {
                    let mut event = whole.clone();
                    let Some(target) = event.pointer_mut(&pointer) else { continue };
                    *target = value.clone();
                    let _ = compliance_change(&event);
                    if let DeployTrigger::Ignored(why) | DeployTrigger::Invalid(why) = reads(&event) {
                        assert!(!why.is_empty(), "{name}{pointer}");
                    }
                    let batch = Batch::read(event);
                    let _ = batch.triggers(reads, DeployTrigger::Invalid);
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 10_000, "only {tried}");
}
