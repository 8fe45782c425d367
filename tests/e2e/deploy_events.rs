//! Every sample event of `deploy`.

use serde_json::json;

use runtime_api::InvocationOutcome;

use crate::application::{DeployedApplication, FunctionProcess, bare, event, failures, file};
use crate::cost;

/// Delivers an event to `deploy`, which accepts it, and checks its calls.
fn deliver(deploy: &mut FunctionProcess<'_>, name: &str, case: &str) {
    assert_eq!(deploy.answer(&event(name)), failures(&[]), "{name}: {case}");
    cost::check(deploy, case);
}

/// Long because each event depends on the state after the events before.
#[test]
fn sample_events_have_documented_effects() {
    let application = DeployedApplication::start();
    let mut deploy = application.function("deploy");

    for near_miss in [
        "codecommit-tag-pushed.json",
        "codecommit-other-branch.json",
        "codecommit-other-repository.json",
        "codecommit-branch-deleted.json",
        "s3-policy-object-created.json",
        "stackset-operation-running.json",
        "stackset-instance.json",
        "bad/not-ours.json",
        "bad/unknown-look.json",
        "bad/sqs-no-records.json",
    ] {
        deliver(&mut deploy, near_miss, "deploy: ignored event");
    }
    deliver(&mut deploy, "stackset-operation-other-stackset.json", "deploy: operation of another StackSet");
    deliver(&mut deploy, "schedule-light.json", "deploy: quick check without pending rollouts");
    deliver(&mut deploy, "codecommit-branch-created.json", "deploy: no branch yet");

    let commit = application.push_starter();
    deliver(&mut deploy, "codecommit-branch-created.json", "deploy: first rollout");
    application.take_notices(&[]);
    deliver(&mut deploy, "stackset-operation.json", "deploy: rollout ended");
    let notice = application.take_notices(&["rollout.succeeded"]).remove(0);
    assert_eq!(notice["commit"], commit.as_str());
    assert_eq!(notice["author"], "Ada <ada@example.com>");
    assert_eq!((&notice["instances"]["succeeded"], &notice["instances"]["total"]), (&json!(6), &json!(6)));
    assert_eq!(application.instances().len(), 6);
    assert!(
        application.instances().iter().all(|instance| instance.ends_with(" CURRENT")),
        "{:?}",
        application.instances()
    );

    application.push("Explain", &[("README.md", Some(b"# Our policy\n"))]);
    for name in
        ["codecommit-push.json", "codecommit-merge.json", "stackset-operation.json", "stackset-operation-failed.json"]
    {
        deliver(&mut deploy, name, "deploy: unchanged policy");
    }
    deliver(&mut deploy, "bad/deploy-batch-one-poisoned.json", "deploy: batch of several triggers");
    deliver(&mut deploy, "schedule-light.json", "deploy: quick check without pending rollouts");
    deliver(&mut deploy, "schedule-full.json", "deploy: full reconciliation without changes");
    application.take_notices(&[]);

    // An exemption deploys nothing and holds at once; a notice warns that it covers no violation.
    let exemption = "exemptions:\n  - control: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN\n    \
                     resources: [\"arn:aws:rds:*:*:cluster:scratch-*\"]\n    reason: throw-away test clusters\n    \
                     owner: data-platform@example.com\n    until: 2999-01-31\n";
    let policy = format!("{}\n{exemption}", file("framework/backup-compliance.yaml").trim_end());
    application.push("Exempt scratch clusters", &[("backup-compliance.yaml", Some(policy.as_bytes()))]);
    deliver(&mut deploy, "codecommit-push.json", "deploy: changed exemptions");
    let digest = application.take_notices(&["violation.digest"]).remove(0);
    assert_eq!(digest["reason"], "policyWarnings");

    // The quick check replaces a lost event.
    let five = file("framework/examples/five-controls/framework.yaml");
    application.push("Five controls", &[("framework.yaml", Some(five.as_bytes()))]);
    deliver(&mut deploy, "codecommit-push.json", "deploy: changed framework");
    deliver(&mut deploy, "schedule-light.json", "deploy: rollout ended, by quick check");
    let notice = application.take_notices(&["rollout.succeeded"]).remove(0);
    assert_eq!(notice["instances"]["updated"], 6);

    let log = deploy.stop();
    assert!(log.contains("dropped a trigger that is not valid"), "dropped events are in the log:\n{log}");
    application.stop();
}

#[test]
fn failed_rollout_notice_names_account_and_reason() {
    let application = DeployedApplication::start();
    let mut deploy = application.function("deploy");
    let commit = application.push_starter();
    application.cloud.fail_instance("333333333333", "eu-west-1", "the execution role cannot be assumed", 9);
    assert_eq!(deploy.answer(&event("codecommit-push.json")), failures(&[]));
    // The outdated instance is retried once, then the notice is sent.
    assert_eq!(deploy.answer(&event("stackset-operation-failed.json")), failures(&[]));
    assert!(deploy.changes().contains(&"cloudformation:UpdateStackInstances".to_owned()), "{:?}", deploy.changes());
    application.take_notices(&[]);
    assert_eq!(deploy.answer(&event("stackset-operation-failed.json")), failures(&[]));
    let notice = application.take_notices(&["rollout.failed"]).remove(0);
    assert_eq!(notice["commit"], commit.as_str());
    assert_eq!((&notice["instances"]["succeeded"], &notice["instances"]["total"]), (&json!(5), &json!(6)));
    assert_eq!(notice["failures"].as_array().unwrap().len(), 1);
    let fault = &notice["failures"][0];
    assert_eq!((&fault["account"], &fault["region"]), (&json!("333333333333"), &json!("eu-west-1")));
    assert_eq!(fault["reason"], "the execution role cannot be assumed");
    // One notice; a later reconciliation of the same commit sends none.
    assert_eq!(deploy.answer(&event("stackset-operation-failed.json")), failures(&[]));
    assert_eq!(deploy.changes(), Vec::<String>::new());
    application.take_notices(&[]);
    deploy.stop();
    application.stop();
}

#[test]
fn direct_event_returns_its_result() {
    let application = DeployedApplication::start();
    let mut deploy = application.function("deploy");
    let commit = application.push_starter();
    let outcome = deploy.answer(&bare("codecommit-push.json"));
    assert_eq!(outcome["commit"], commit.as_str());
    assert_eq!(outcome["frameworks"]["backup-compliance"]["outcome"], "started");
    let outcome = deploy.answer(&bare("stackset-operation.json"));
    assert_eq!(outcome["frameworks"]["backup-compliance"]["outcome"], "succeeded");
    let outcome = deploy.answer(&bare("codecommit-tag-pushed.json"));
    assert!(outcome["skipped"].as_str().is_some_and(|why| why.contains("tag")), "{outcome}");
    for (wrong, expected) in [
        (event("bad/empty-object.json"), "no `source`"),
        (json!([]), "no `source`"),
        (json!("text"), "no `source`"),
        (bare("bad/unknown-look.json"), "`sideways`: `quick-check` or `full-reconciliation`"),
    ] {
        let said = deploy.refuse(&wrong);
        assert!(said.contains(expected), "{wrong}: {said}");
        assert_eq!(deploy.calls(), Vec::<String>::new(), "{wrong}");
    }
    deploy.stop();
    application.stop();
}

#[test]
fn aws_failure_returns_messages_to_queue() {
    let application = DeployedApplication::start();
    let mut deploy = application.function("deploy");
    application.push_starter();
    let batch = event("bad/deploy-batch-one-poisoned.json");
    let ids: Vec<&str> =
        batch["Records"].as_array().unwrap().iter().map(|record| record["messageId"].as_str().unwrap()).collect();
    // The SDK makes three attempts.
    application.cloud.fail_next("codecommit", "GetBranch", 500, "InternalFailure", "try later", 3);
    assert_eq!(deploy.answer(&batch), failures(&ids), "the whole batch: one reconciliation represents it");
    // The other triggers wait for seconds only.
    cost::check_calls(&deploy.changes(), "deploy: AWS unavailable");
    application.cloud.fail_next("codecommit", "GetBranch", 500, "InternalFailure", "try later", 3);
    let InvocationOutcome::Error { kind, message } = deploy.invoke(&bare("codecommit-push.json")) else {
        panic!("no error")
    };
    assert_eq!(kind, "AwsCallFailed");
    assert!(message.starts_with("codecommit:GetBranch failed: InternalFailure: try later (request "), "{message}");
    // Afterwards the same messages succeed.
    assert_eq!(deploy.answer(&batch), failures(&[]));
    assert!(deploy.changes().contains(&"cloudformation:CreateStackInstances".to_owned()));
    deploy.stop();
    application.stop();
}
