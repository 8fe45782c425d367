//! AWS denies calls of `deploy`: the notice names operation, code, request id, and the missing permission.

use serde_json::{Value, json};

use crate::application::{DeployedApplication, bare, event, failures};

/// Operation, status, code, message, number of failures, and the text of the notice.
type DeniedCall = (&'static str, u16, &'static str, &'static str, u32, &'static [&'static str]);

/// Long because it is one table of denied calls.
#[test]
fn denied_rollout_names_missing_permission() {
    let application = DeployedApplication::start();
    let mut deploy = application.function("deploy");
    application.push_starter();
    let administration = "Role arn:aws:iam::000000000000:role/AWSCloudFormationStackSetAdministrationRole is invalid or cannot be assumed";
    // The SDK treats a limit as throttling and makes three attempts.
    let cases: [DeniedCall; 4] = [
        (
            "CreateStackSet",
            403,
            "AccessDenied",
            "not authorized",
            1,
            &[
                "cloudformation:CreateStackSet failed: AccessDenied: not authorized (request ",
                "does not allow `cloudformation:CreateStackSet`",
            ],
        ),
        (
            "CreateStackSet",
            400,
            "ValidationError",
            administration,
            1,
            &[
                "cloudformation:CreateStackSet failed: ValidationError",
                "framework/prerequisites/administration-role.yaml",
            ],
        ),
        (
            "CreateStackInstances",
            403,
            "AccessDenied",
            "not authorized",
            1,
            &["does not allow `cloudformation:CreateStackInstances`"],
        ),
        (
            "CreateStackInstances",
            400,
            "LimitExceededException",
            "too many",
            3,
            &["cloudformation:CreateStackInstances failed: LimitExceededException: too many (request "],
        ),
    ];
    for (operation, status, code, message, times, expected) in cases {
        application.forget("rollout");
        let _ = application.client.query("cloudformation", "DeleteStackSet", &[("StackSetName", "backup-compliance")]);
        application.cloud.fail_next("cloudformation", operation, status, code, message, times);
        assert_eq!(deploy.answer(&event("codecommit-push.json")), failures(&[]), "{operation} {code}");
        application.cloud.clear_faults();
        let notice = application.take_notices(&["rollout.failed"]).remove(0);
        let trouble = notice["error"].as_str().unwrap();
        for text in expected {
            assert!(trouble.contains(text), "{operation} {code}: `{text}` is not in `{trouble}`");
        }
        assert!(notice["next"].as_str().unwrap().contains("retries"), "{notice}");
        let mut remembered = application.items("rollout");
        remembered.retain(|item| item["sk"]["S"] != "#reporting");
        assert_eq!(remembered.len(), 1, "the attempt is stored");
    }
    // The next full reconciliation retries and succeeds, since the denial has ended.
    assert_eq!(deploy.answer(&event("schedule-full.json")), failures(&[]));
    assert_eq!(deploy.answer(&event("stackset-operation.json")), failures(&[]));
    application.take_notices(&["rollout.succeeded"]);
    deploy.stop();
    application.stop();
}

#[test]
fn denied_read_is_an_error_without_changes() {
    let application = DeployedApplication::start();
    let mut deploy = application.function("deploy");
    application.push_starter();
    for (service, operation, named) in [
        ("dynamodb", "Query", "dynamodb:Query"),
        ("codecommit", "GetBranch", "codecommit:GetBranch"),
        ("codecommit", "GetFile", "codecommit:GetFile"),
        ("cloudformation", "DescribeStackSet", "cloudformation:DescribeStackSet"),
    ] {
        let code = "AccessDeniedException";
        application.cloud.fail_next(service, operation, 400, code, "not authorized", 1);
        let said = deploy.refuse(&bare("codecommit-push.json"));
        let starts = format!("{named} failed: {code}: not authorized (request ");
        assert!(said.starts_with(&starts), "{said}");
        assert!(said.contains(&format!("does not allow `{named}`")), "{said}");
        assert_eq!(deploy.changes(), Vec::<String>::new(), "{named}");
    }
    assert_eq!(application.items(""), Vec::<Value>::new());
    application.take_notices(&[]);
    deploy.stop();
    application.stop();
}

#[test]
fn lost_response_starts_no_second_operation() {
    let application = DeployedApplication::start();
    let mut deploy = application.function("deploy");
    application.push_starter();
    // The operation is accepted, then the notice fails: the reconciliation ends after its effect.
    deploy.answer(&event("codecommit-push.json"));
    application.cloud.fail_next("sns", "PublishBatch", 500, "InternalFailure", "later", 3);
    let batch = event("stackset-operation.json");
    let id = batch["Records"][0]["messageId"].as_str().unwrap();
    assert_eq!(deploy.answer(&batch), failures(&[id]));
    assert_eq!(deploy.answer(&batch), failures(&[]));
    let notice = application.take_notices(&["rollout.succeeded"]).remove(0);
    let counted =
        ["total", "succeeded", "failed", "created", "updated", "deleted"].map(|name| &notice["instances"][name]);
    assert_eq!(json!(counted), json!([6, 6, 0, 6, 0, 0]), "{notice}");
    let operations =
        application.client.query("cloudformation", "ListStackSetOperations", &[("StackSetName", "backup-compliance")]);
    assert_eq!(operations.unwrap().matches("<Action>CREATE</Action>").count(), 1);
    deploy.stop();
    application.stop();
}
