//! AWS says no to `deploy`: the text names operation, code, request id, and what is missing.

use serde_json::{Value, json};

use crate::application::{Application, bare, event, failures};

/// Operation, status, code, message, how often it is refused, and what the notice says.
type Refusal = (&'static str, u16, &'static str, &'static str, u32, &'static [&'static str]);

#[test]
fn a_refused_rollout_is_told_with_what_is_missing() {
    let application = Application::start();
    let mut deploy = application.function("deploy");
    application.push_starter();
    let administration = "Role arn:aws:iam::000000000000:role/AWSCloudFormationStackSetAdministrationRole is invalid or cannot be assumed";
    // A limit counts as throttling for the SDK, which tries it three times.
    let cases: [Refusal; 4] = [
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
        let trouble = notice["trouble"].as_str().unwrap();
        for text in expected {
            assert!(trouble.contains(text), "{operation} {code}: `{text}` is not in `{trouble}`");
        }
        assert!(notice["next"].as_str().unwrap().contains("tries again"), "{notice}");
        let mut remembered = application.items("rollout");
        remembered.retain(|item| item["sk"]["S"] != "#reporting");
        assert_eq!(remembered.len(), 1, "what was tried is remembered");
    }
    // The next full look tries again and succeeds, since nobody refuses any more.
    assert_eq!(deploy.answer(&event("schedule-full.json")), failures(&[]));
    assert_eq!(deploy.answer(&event("stackset-operation.json")), failures(&[]));
    application.take_notices(&["rollout.succeeded"]);
    deploy.stop();
    application.stop();
}

#[test]
fn a_read_that_is_refused_is_an_error_and_changes_nothing() {
    let application = Application::start();
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
fn an_answer_that_is_lost_starts_nothing_twice() {
    let application = Application::start();
    let mut deploy = application.function("deploy");
    application.push_starter();
    // Accepted, then the notice could not be told: the look ends early after its effect.
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
