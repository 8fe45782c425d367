//! Every sample event of `deploy`, and what it costs.

use serde_json::json;
use testkit::runtime_api::Outcome;

use crate::application::{Application, Running, bare, event, failures, file};

/// What a look at an unchanged policy reads.
const UNCHANGED: [&str; 5] = [
    "dynamodb:Query",
    "codecommit:GetBranch",
    "codecommit:GetFile",
    "codecommit:GetFile",
    "cloudformation:DescribeStackSet",
];

/// Gives an event to `deploy`, which accepts it; holds the calls against the expected ones.
fn costs(deploy: &mut Running<'_>, name: &str, what: &str, expected: &[&str]) {
    assert_eq!(deploy.answer(&event(name)), failures(&[]), "{name}: {what}");
    let calls = deploy.calls();
    println!("| {name} | {what} | {} | {} |", calls.len(), calls.join(" "));
    assert_eq!(calls, expected, "{name}: {what}");
}

#[test]
fn each_event_does_what_the_readme_says_and_no_call_more() {
    let application = Application::start();
    let mut deploy = application.function("deploy");

    for near_miss in [
        "codecommit-tag-pushed.json",
        "codecommit-other-branch.json",
        "codecommit-other-repository.json",
        "codecommit-branch-deleted.json",
        "stackset-operation-running.json",
        "stackset-instance.json",
        "bad/not-ours.json",
        "bad/unknown-look.json",
        "bad/sqs-no-records.json",
    ] {
        costs(&mut deploy, near_miss, "nothing", &[]);
    }
    let query = "dynamodb:Query";
    costs(&mut deploy, "stackset-operation-other-stackset.json", "not ours", &[query]);
    costs(&mut deploy, "schedule-light.json", "nothing pending", &[query, query]);
    let branch = "codecommit:GetBranch";
    costs(&mut deploy, "codecommit-branch-created.json", "no branch yet", &[query, branch]);

    let commit = application.push_starter();
    let first = [
        "dynamodb:Query",
        "codecommit:GetBranch",
        "codecommit:GetFile",
        "codecommit:GetFile",
        "cloudformation:DescribeStackSet",
        // How violations are told: published, and remembered.
        "dynamodb:PutItem",
        "dynamodb:PutItem",
        "codecommit:GetCommit",
        // What was in force before, so that it is known since when.
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:PutItem",
        "cloudformation:CreateStackSet",
        "cloudformation:DescribeStackSet",
        "dynamodb:PutItem",
        "cloudformation:CreateStackInstances",
    ];
    costs(&mut deploy, "codecommit-branch-created.json", "first rollout", &first);
    application.take_notices(&[]);
    let ended = [
        UNCHANGED.as_slice(),
        &[
            "cloudformation:DescribeStackSetOperation",
            "cloudformation:ListStackInstances",
            "sns:PublishBatch",
            "dynamodb:PutItem",
        ],
    ]
    .concat();
    costs(&mut deploy, "stackset-operation.json", "rollout ended", &ended);
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
        costs(&mut deploy, name, "unchanged", &UNCHANGED);
    }
    costs(
        &mut deploy,
        "bad/deploy-batch-one-poisoned.json",
        "one look",
        &[&UNCHANGED[..1], &["dynamodb:Query"], &UNCHANGED[1..]].concat(),
    );
    costs(&mut deploy, "schedule-light.json", "nothing pending", &[query, query]);
    let full = [&UNCHANGED[..1], &["dynamodb:Query"], &UNCHANGED[1..], &["cloudformation:ListStackInstances"]].concat();
    costs(&mut deploy, "schedule-full.json", "all as wanted", &full);
    application.take_notices(&[]);

    // Nothing is deployed for an exemption, and it holds at once; that it covers nothing is said.
    let exemption = "exemptions:\n  - control: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN\n    \
                     resources: [\"arn:aws:rds:*:*:cluster:scratch-*\"]\n    reason: throw-away test clusters\n    \
                     owner: data-platform@example.com\n    until: 2999-01-31\n";
    let policy = format!("{}\n{exemption}", file("framework/backup-compliance.yaml").trim_end());
    application.push("Exempt scratch clusters", &[("backup-compliance.yaml", Some(policy.as_bytes()))]);
    let published =
        [UNCHANGED.as_slice(), &["dynamodb:Scan", "sns:PublishBatch", "dynamodb:PutItem", "dynamodb:PutItem"]].concat();
    costs(&mut deploy, "codecommit-push.json", "other exemptions", &published);
    let digest = application.take_notices(&["violation.digest"]).remove(0);
    assert_eq!(digest["reason"], "policyWarnings");

    // An event that was lost: the light look stands in for it.
    let five = file("framework/examples/five-controls/framework.yaml");
    application.push("Five controls", &[("framework.yaml", Some(five.as_bytes()))]);
    let update = [
        UNCHANGED.as_slice(),
        &[
            "codecommit:GetCommit",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "cloudformation:ListStackInstances",
            "dynamodb:PutItem",
            "cloudformation:UpdateStackSet",
        ],
    ]
    .concat();
    costs(&mut deploy, "codecommit-push.json", "framework changed", &update);
    let light = [&UNCHANGED[..1], &["dynamodb:Query"], &ended[1..]].concat();
    costs(&mut deploy, "schedule-light.json", "rollout ended", &light);
    let notice = application.take_notices(&["rollout.succeeded"]).remove(0);
    assert_eq!(notice["instances"]["updated"], 6);

    let log = deploy.stop();
    assert!(log.contains("not understood, dropped"), "what is dropped is in the log:\n{log}");
    application.stop();
}

#[test]
fn a_rollout_that_fails_in_one_account_says_where_and_why() {
    let application = Application::start();
    let mut deploy = application.function("deploy");
    let commit = application.push_starter();
    application.cloud.fail_instance("333333333333", "eu-west-1", "the execution role cannot be assumed", 9);
    assert_eq!(deploy.answer(&event("codecommit-push.json")), failures(&[]));
    // Once more for the instance that is behind, then it is told.
    assert_eq!(deploy.answer(&event("stackset-operation-failed.json")), failures(&[]));
    assert!(deploy.changes().contains(&"cloudformation:UpdateStackInstances".to_owned()), "{:?}", deploy.changes());
    application.take_notices(&[]);
    assert_eq!(deploy.answer(&event("stackset-operation-failed.json")), failures(&[]));
    let notice = application.take_notices(&["rollout.failed"]).remove(0);
    assert_eq!(notice["commit"], commit.as_str());
    assert_eq!((&notice["instances"]["succeeded"], &notice["instances"]["total"]), (&json!(5), &json!(6)));
    assert_eq!(notice["faults"].as_array().unwrap().len(), 1);
    let fault = &notice["faults"][0];
    assert_eq!((&fault["account"], &fault["region"]), (&json!("333333333333"), &json!("eu-west-1")));
    assert_eq!(fault["reason"], "the execution role cannot be assumed");
    // Told once; a later look at the same commit is quiet.
    assert_eq!(deploy.answer(&event("stackset-operation-failed.json")), failures(&[]));
    assert_eq!(deploy.changes(), Vec::<String>::new());
    application.take_notices(&[]);
    deploy.stop();
    application.stop();
}

#[test]
fn a_person_who_sends_one_event_is_told_what_came_of_it() {
    let application = Application::start();
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
        (bare("bad/unknown-look.json"), "`sideways`: light or full"),
    ] {
        let said = deploy.refuse(&wrong);
        assert!(said.contains(expected), "{wrong}: {said}");
        assert_eq!(deploy.calls(), Vec::<String>::new(), "{wrong}");
    }
    deploy.stop();
    application.stop();
}

#[test]
fn when_aws_is_unwell_the_messages_come_again() {
    let application = Application::start();
    let mut deploy = application.function("deploy");
    application.push_starter();
    let batch = event("bad/deploy-batch-one-poisoned.json");
    let ids: Vec<&str> =
        batch["Records"].as_array().unwrap().iter().map(|record| record["messageId"].as_str().unwrap()).collect();
    // The SDK tries three times.
    application.cloud.fail_next("codecommit", "GetBranch", 500, "InternalFailure", "try later", 3);
    assert_eq!(deploy.answer(&batch), failures(&ids), "the whole batch: one look stands for it");
    assert_eq!(deploy.changes(), ["sqs:ChangeMessageVisibilityBatch"], "the other triggers wait for seconds only");
    application.cloud.fail_next("codecommit", "GetBranch", 500, "InternalFailure", "try later", 3);
    let Outcome::Error { kind, message } = deploy.invoke(&bare("codecommit-push.json")) else { panic!("no error") };
    assert_eq!(kind, "AwsCallFailed");
    assert!(message.starts_with("codecommit:GetBranch failed: InternalFailure: try later (request "), "{message}");
    // Then all is as if nothing had been.
    assert_eq!(deploy.answer(&batch), failures(&[]));
    assert!(deploy.changes().contains(&"cloudformation:CreateStackInstances".to_owned()));
    deploy.stop();
    application.stop();
}
