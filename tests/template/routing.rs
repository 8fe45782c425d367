//! The routes of events to queues.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::parsed::{ParsedTemplate, REGION};
use super::{events, pattern};
use crate::files;

const PUSH: &str = "PushRule";
const OBJECT: &str = "PolicyObjectRule";
const OPERATION: &str = "StackSetOperationRule";
const CHANGE: &str = "ComplianceChangeRule";
const REQUEST: &str = "PullRequestRule";

/// The rule that matches each message of a file. No rule matches the files that are not listed here.
const PASSED: &[(&str, &[Option<&str>])] = &[
    ("bad/account-mismatch.json", &[Some(CHANGE)]),
    ("bad/deploy-batch-one-poisoned.json", &[Some(PUSH), None, None]),
    ("bad/sqs-batch-one-poisoned.json", &[Some(CHANGE), None, Some(CHANGE)]),
    ("bad/timestamp-is-text.json", &[Some(CHANGE)]),
    ("bad/unknown-account.json", &[Some(CHANGE)]),
    ("codecommit-branch-created.json", &[Some(PUSH)]),
    ("codecommit-merge.json", &[Some(PUSH)]),
    ("codecommit-push.json", &[Some(PUSH)]),
    ("config-compliant.json", &[Some(CHANGE)]),
    ("config-flood.json", &[Some(CHANGE); 12]),
    ("config-no-old-result.json", &[Some(CHANGE)]),
    ("config-noncompliant-backup-plan.json", &[Some(CHANGE)]),
    ("config-noncompliant-resource-id.json", &[Some(CHANGE)]),
    ("config-noncompliant.json", &[Some(CHANGE)]),
    ("config-not-applicable.json", &[Some(CHANGE)]),
    ("config-odd-timestamps.json", &[Some(CHANGE)]),
    ("config-unknown-control.json", &[Some(CHANGE)]),
    ("pull-request-created.json", &[Some(REQUEST)]),
    ("pull-request-updated.json", &[Some(REQUEST)]),
    ("s3-policy-object-created.json", &[Some(OBJECT)]),
    ("stackset-operation-failed.json", &[Some(OPERATION)]),
    ("stackset-operation-other-stackset.json", &[Some(OPERATION)]),
    ("stackset-operation.json", &[Some(OPERATION)]),
];

/// The rules of the application and their patterns.
fn rules(template: &ParsedTemplate) -> Vec<(&str, Value)> {
    let ids = template.of_type("AWS::Events::Rule");
    ids.into_iter().map(|id| (id, template.resolve(&template.properties(id)["EventPattern"]))).collect()
}

#[test]
fn patterns_have_resolvable_references() {
    for (id, pattern) in rules(&ParsedTemplate::application()) {
        let text = pattern.to_string();
        assert!(!text.contains("${") && !text.contains("Fn::") && !text.contains("\"Ref\""), "{id}: {text}");
    }
}

#[test]
fn events_match_exactly_their_rules() {
    let template = ParsedTemplate::application();
    let rules = rules(&template);
    let mut used = BTreeSet::new();
    for name in events::names() {
        let events = events::inner(&name);
        let nothing = vec![None; events.len()];
        let expected = PASSED.iter().find(|(file, _)| *file == name).map_or(nothing, |(_, rules)| rules.to_vec());
        assert_eq!(events.len(), expected.len(), "{name}: messages");
        for (event, expected) in events.iter().zip(expected) {
            let passed: Vec<&str> =
                rules.iter().filter(|(_, pattern)| pattern::matches(pattern, event)).map(|(id, _)| *id).collect();
            assert_eq!(passed, Vec::from_iter(expected), "{name}");
            used.extend(passed);
        }
    }
    assert_eq!(used.len(), rules.len(), "a rule that no sample event passes");
}

#[test]
fn events_readme_names_the_same_rules() {
    let readme = files::read("events/README.md");
    for line in readme.lines() {
        let Some((name, rest)) = line.strip_prefix("| `").and_then(|row| row.split_once('`')) else { continue };
        let expected = PASSED.iter().find(|(file, _)| *file == name).map_or(&[][..], |(_, rules)| *rules);
        let cell = rest.split('|').find(|cell| cell.contains("Rule`")).unwrap_or_default();
        let named: Vec<&str> = cell.split('`').filter(|word| word.ends_with("Rule")).collect();
        let mut passed: Vec<&str> = expected.iter().copied().flatten().collect();
        // A batch that matches one rule as a whole names it once.
        if passed.len() == expected.len() {
            passed.dedup();
        }
        assert_eq!(named, passed, "{name}");
    }
}

/// A change of any member of a matching event must prevent the match.
#[test]
fn changed_event_does_not_match() {
    let template = ParsedTemplate::application();
    let cases = [
        (PUSH, "codecommit-push.json", "/source", "my.codecommit"),
        (PUSH, "codecommit-push.json", "/detail/event", "unreferencedMergeCommitCreated"),
        (PUSH, "codecommit-push.json", "/detail/referenceType", "tag"),
        (PUSH, "codecommit-push.json", "/detail/referenceName", "Main"),
        (PUSH, "codecommit-push.json", "/resources/0", "arn:aws:codecommit:us-east-1:000000000000:backup-policy2"),
        (PUSH, "codecommit-push.json", "/resources/0", "arn:aws:codecommit:eu-west-1:000000000000:backup-policy"),
        (REQUEST, "pull-request-created.json", "/source", "my.codecommit"),
        (REQUEST, "pull-request-created.json", "/detail/event", "pullRequestStatusChanged"),
        (REQUEST, "pull-request-created.json", "/detail/destinationReference", "refs/heads/Main"),
        (REQUEST, "pull-request-created.json", "/resources/0", "arn:aws:codecommit:us-east-1:000000000000:other"),
        (OBJECT, "s3-policy-object-created.json", "/source", "my.s3"),
        (OBJECT, "s3-policy-object-created.json", "/detail-type", "Object Deleted"),
        (
            OBJECT,
            "s3-policy-object-created.json",
            "/detail/bucket/name",
            "backup-compliance-policybucket-1a2b3c4d5e6f2",
        ),
        (OBJECT, "s3-policy-object-created.json", "/detail/object/key", "a/policy.zip"),
        (OPERATION, "stackset-operation.json", "/account", "111111111111"),
        (OPERATION, "stackset-operation.json", "/region", "eu-west-1"),
        (OPERATION, "stackset-operation.json", "/detail/status-details/status", "QUEUED"),
        (
            OPERATION,
            "stackset-operation.json",
            "/detail/stack-set-arn",
            "arn:aws:cloudformation:us-east-1:111111111111:stackset/a:b",
        ),
        (CHANGE, "config-noncompliant.json", "/source", "custom.config"),
        (CHANGE, "config-noncompliant.json", "/detail-type", "Config Configuration Item Change"),
        (CHANGE, "config-noncompliant.json", "/detail/messageType", "ConfigRuleComplianceSummary"),
        (
            CHANGE,
            "config-noncompliant.json",
            "/detail/configRuleARN",
            "arn:aws:config:eu-west-1:222222222222:config-rule/aws-service-rule/securityhub.amazonaws.com/config-rule-ab12cd",
        ),
    ];
    for (rule, file, member, other) in cases {
        let pattern = template.resolve(&template.properties(rule)["EventPattern"]);
        let mut event = events::inner(file).remove(0);
        assert!(pattern::matches(&pattern, &event), "{rule} {file}");
        *event.pointer_mut(member).unwrap_or_else(|| panic!("{member}")) = json!(other);
        assert!(!pattern::matches(&pattern, &event), "{rule} lets {member} = {other} through");
    }
}

/// An application has one source of its policy, and a rule for it only.
#[test]
fn source_of_policy_has_its_own_rule() {
    let template = ParsedTemplate::application();
    for (id, condition) in [(PUSH, "PolicyIsInCodeCommit"), (OBJECT, "PolicyIsInS3")] {
        assert_eq!(template.resource(id)["Condition"], condition, "{id}");
    }
    let key = &template.properties(OBJECT)["EventPattern"]["detail"]["object"]["key"];
    assert_eq!(*key, json!([app::events::OBJECT_KEY]));
    let role = template.properties("DeployRole")["Policies"].to_string();
    assert!(role.contains(&format!("${{PolicyBucket.Arn}}/{}", app::events::OBJECT_KEY)), "{role}");
}

#[test]
fn compliance_changes_come_from_central_bus() {
    let template = ParsedTemplate::application();
    for id in template.of_type("AWS::Events::Rule") {
        let bus = template.properties(id).get("EventBusName");
        assert_eq!(bus.is_some(), id == CHANGE, "{id}");
    }
    assert_eq!(template.properties(CHANGE)["EventBusName"], json!({"Ref": "ComplianceEventBus"}));
}

#[test]
fn targets_are_queues_with_dead_letter_queue() {
    let template = ParsedTemplate::application();
    let routes = [
        (PUSH, "DeployQueue"),
        (OBJECT, "DeployQueue"),
        (OPERATION, "DeployQueue"),
        (CHANGE, "ReportQueue"),
        (REQUEST, "PreviewQueue"),
    ];
    for (id, queue) in routes {
        let targets = template.properties(id)["Targets"].as_array().unwrap();
        assert_eq!(targets.len(), 1, "{id}");
        let target = &targets[0];
        assert_eq!(target["Arn"], json!({"Fn::GetAtt": [queue, "Arn"]}), "{id}");
        assert_eq!(target["DeadLetterConfig"]["Arn"], json!({"Fn::GetAtt": ["UndeliveredEventsQueue", "Arn"]}), "{id}");
        let group = match queue {
            "DeployQueue" => json!("deploy"),
            "PreviewQueue" => json!("preview"),
            _ => Value::Null,
        };
        assert_eq!(target["SqsParameters"]["MessageGroupId"], group, "{id}");
        assert!(target.get("Input").is_none() && target.get("InputPath").is_none(), "{id}: the event arrives as it is");
    }
}

/// The message that `report` sends to itself equals its sample event, and no rule matches it.
#[test]
fn flush_message_comes_from_report_only() {
    let group = domain::violation::ViolationGroup {
        account: framework::ids::AccountId::parse("222222222222").unwrap(),
        control: "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN".to_owned(),
    };
    assert_eq!(events::inner("report-flush.json"), [app::events::flush_message(&group)]);
    for (id, pattern) in rules(&ParsedTemplate::application()) {
        let sources = pattern["source"].as_array().unwrap();
        assert!(sources.iter().all(|source| source.as_str().unwrap().starts_with("aws.")), "{id}");
    }
}

/// The inputs of the schedules equal their sample events, except for id and time.
#[test]
fn schedules_send_the_sample_events() {
    let template = ParsedTemplate::application();
    let cases = [
        ("QuickCheckSchedule", "schedule-light.json", "DeployQueue"),
        ("FullReconciliationSchedule", "schedule-full.json", "DeployQueue"),
        ("SweepSchedule", "schedule-sweep.json", "SweepFunction"),
        ("InventorySchedule", "schedule-inventory.json", "InventoryFunction"),
    ];
    assert_eq!(template.of_type("AWS::Scheduler::Schedule").len(), cases.len());
    for (id, file, target) in cases {
        let to = &template.properties(id)["Target"];
        assert_eq!(to["Arn"], json!({"Fn::GetAtt": [target, "Arn"]}), "{id}");
        let sent: Value = serde_json::from_str(to["Input"].as_str().unwrap()).unwrap();
        let sample = events::inner(file).remove(0);
        for member in ["source", "task"] {
            assert_eq!(sent[member], sample[member], "{id}: {member}");
        }
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&sent), keys(&sample), "{id}");
        if target == "DeployQueue" {
            // SQS drops messages with equal bodies within five minutes.
            assert_eq!(sent["id"], "<aws.scheduler.execution-id>", "{id}");
            assert_eq!(to["SqsParameters"]["MessageGroupId"], "deploy", "{id}");
        }
    }
}

#[test]
fn central_bus_admits_organization_or_own_account() {
    let template = ParsedTemplate::application();
    let statements = template.properties("ComplianceEventBus")["Policy"]["Statement"].as_array().unwrap();
    assert_eq!(statements.len(), 1);
    let choice = statements[0]["Fn::If"].as_array().unwrap();
    assert_eq!(choice[0], "HasOrganization");
    for statement in [&choice[1], &choice[2]] {
        assert_eq!(statement["Action"], "events:PutEvents");
        let bus = format!("arn:aws:events:{REGION}:000000000000:event-bus/backup-compliance");
        assert_eq!(template.resolve(&statement["Resource"]), json!(bus));
    }
    assert_eq!(choice[1]["Condition"], json!({"StringEquals": {"aws:PrincipalOrgID": {"Ref": "OrganizationId"}}}));
    assert_eq!(template.resolve(&choice[2]["Principal"]), json!({"AWS": "arn:aws:iam::000000000000:root"}));
}
