//! `preview` as a process: comments and approval of a pull request in CodeCommit.

use serde_json::{Value, json};

use crate::application::{DeployedApplication, bare, failures, file};

/// Calls an operation of CodeCommit as a person.
fn codecommit(application: &DeployedApplication, operation: &str, ask: &Value) -> Value {
    application.client.json("codecommit", &format!("CodeCommit_20150413.{operation}"), ask).unwrap()
}

/// The sample event about another pull request.
fn event(name: &str, id: &str) -> Value {
    let mut event = bare(name);
    event["detail"]["pullRequestId"] = json!(id);
    event
}

/// Opens a pull request that changes the starter policy by this edit of its text.
fn open(application: &DeployedApplication, edit: impl Fn(String) -> String) -> String {
    application.push_starter();
    let policy = edit(file("framework/backup-compliance.yaml"));
    application.push_to("change", "Change", &[("backup-compliance.yaml", Some(policy.as_bytes()))]);
    let target = json!({
        "repositoryName": application.cloud.options().repository, "sourceReference": "change", "destinationReference": "main",
    });
    let created = codecommit(application, "CreatePullRequest", &json!({ "title": "Change", "targets": [target] }));
    created["pullRequest"]["pullRequestId"].as_str().unwrap().to_owned()
}

fn approvals(application: &DeployedApplication, id: &str) -> Value {
    let found = codecommit(application, "GetPullRequest", &json!({ "pullRequestId": id }));
    let revision = &found["pullRequest"]["revisionId"];
    let ask = json!({ "pullRequestId": id, "revisionId": revision });
    codecommit(application, "EvaluatePullRequestApprovalRules", &ask)["evaluation"]["approved"].clone()
}

#[test]
fn pull_request_gets_one_comment_and_the_approval() {
    let application = DeployedApplication::start();
    let id = open(&application, |policy| policy + "preview: {maxNewViolations: 0}\n");
    let rule = json!({ "Version": "2018-11-08", "Statements": [{
        "Type": "Approvers", "NumberOfApprovalsNeeded": 1,
        "ApprovalPoolMembers": ["arn:aws:sts::000000000000:assumed-role/preview/*"],
    }] });
    let ask = json!({ "pullRequestId": id, "approvalRuleName": "preview", "approvalRuleContent": rule.to_string() });
    codecommit(&application, "CreatePullRequestApprovalRule", &ask);
    let mut preview = application.function("preview");

    // Without an inventory nothing is predicted, so nothing is approved.
    let counts = preview.answer(&event("pull-request-created.json", &id));
    assert_eq!((&counts["posted"], &counts["notApproved"]), (&json!(1), &json!(1)), "{counts}");
    let comments = application.cloud.pull_request_comments(&id);
    let [(None, text)] = &comments[..] else { panic!("{comments:?}") };
    assert!(text.contains("violations are not predicted"), "{text}");
    assert_eq!(approvals(&application, &id), false);
    let merge = json!({ "pullRequestId": id, "repositoryName": application.cloud.options().repository });
    let merged = application.client.json("codecommit", "CodeCommit_20150413.MergePullRequestByFastForward", &merge);
    assert!(format!("{:#}", merged.unwrap_err()).contains("PullRequestApprovalRulesNotSatisfiedException"));

    // The same event in a batch changes nothing.
    let mut batch = crate::application::event("pull-request-created.json");
    batch["Records"][0]["body"] = json!(event("pull-request-created.json", &id).to_string());
    assert_eq!(preview.answer(&batch), failures(&[]));
    assert_eq!(application.cloud.pull_request_comments(&id), comments);

    // A change that leaves the policy as it is has nothing to judge. The comment is edited.
    let policy = file("framework/backup-compliance.yaml");
    application.push_to("change", "Take it back", &[("backup-compliance.yaml", Some(policy.as_bytes()))]);
    let counts = preview.answer(&event("pull-request-updated.json", &id));
    assert_eq!((&counts["edited"], &counts["approved"]), (&json!(1), &json!(1)), "{counts}");
    assert_eq!(application.cloud.pull_request_comments(&id).len(), 1);
    assert_eq!(approvals(&application, &id), true);

    let others = ["pull-request-approved.json", "pull-request-closed.json", "pull-request-other-branch.json"];
    for name in others {
        assert_eq!(preview.answer(&bare(name))["ignored"], 1, "{name}");
    }
    codecommit(&application, "UpdatePullRequestStatus", &json!({ "pullRequestId": id, "pullRequestStatus": "CLOSED" }));
    let counts = preview.answer(&event("pull-request-updated.json", &id));
    assert_eq!((&counts["ignored"], &counts["reviewed"]), (&json!(1), &json!(0)), "{counts}");
    preview.stop();
    application.stop();
}

#[test]
fn errors_are_commented_at_their_lines() {
    let application = DeployedApplication::start();
    let id = open(&application, |policy| policy.replace("222222222222", "22222222222"));
    let mut preview = application.function("preview");
    let counts = preview.answer(&event("pull-request-created.json", &id));
    assert_eq!((&counts["blocked"], &counts["posted"]), (&json!(1), &json!(2)), "{counts}");
    let comments = application.cloud.pull_request_comments(&id);
    let [(None, whole), (Some(_), at_line)] = &comments[..] else { panic!("{comments:?}") };
    assert!(whole.starts_with("**Backup Compliance: blocked**"), "{whole}");
    assert!(at_line.contains("12 digits"), "{at_line}");
    preview.stop();
    application.stop();
}
