//! CloudFormation gets exactly one response.

use std::time::Duration;

use serde_json::{Value, json};

use runtime_api::InvocationOutcome;

use crate::application::{DeployedApplication, FunctionProcess, event, failures};
use crate::cost;
use crate::server::{Reply, SECRET, Server};

/// A sample request whose response goes to this server.
fn request(name: &str, server: &Server) -> Value {
    let mut request = event(name);
    request["ResponseURL"] = json!(server.signed_url());
    request
}

/// The one response that CloudFormation received.
fn only_answer(server: &Server, case: &str) -> Value {
    let received = server.received();
    assert_eq!(received.len(), 1, "{case}: {received:?}");
    assert_eq!(received[0].method, "PUT", "{case}");
    assert_eq!(received[0].header("content-type"), Some(""), "{case}");
    received[0].json()
}

/// The reason in the one response, which must be FAILED and name the request.
fn only_failure(server: &Server, request: &Value, case: &str) -> String {
    let answer = only_answer(server, case);
    assert_eq!(answer["Status"], "FAILED", "{case}: {answer}");
    for field in ["StackId", "RequestId", "LogicalResourceId"] {
        assert_eq!(answer[field], request[field], "{case}: {field}");
    }
    assert!(answer["PhysicalResourceId"].as_str().is_some_and(|id| !id.is_empty()), "{case}: {answer}");
    answer["Reason"].as_str().unwrap().to_owned()
}

/// The stored requests. An answered one keeps its id only, without the signed address.
fn waiting(application: &DeployedApplication) -> Vec<Value> {
    let mut items = application.items("request");
    assert!(items.iter().all(|item| item.get("document").is_some() != item.get("answered_at").is_some()), "{items:?}");
    items.retain(|item| item.get("document").is_some());
    items
}

fn nothing_is_left(application: &DeployedApplication, case: &str) {
    assert_eq!(waiting(application), Vec::<Value>::new(), "{case}: deploy would answer once more");
    assert_eq!(application.client.sqs_depth(&application.deploy_queue).unwrap(), (0, 0), "{case}");
}

fn ends_without_a_secret(function: FunctionProcess<'_>) -> String {
    let log = function.stop();
    assert!(!log.contains(SECRET) && !log.contains("X-Amz-Signature"), "the signed address is in the log:\n{log}");
    log
}

/// Long because each request depends on the state after the requests before.
#[test]
fn valid_request_is_queued_and_answered_once() {
    let application = DeployedApplication::start();
    let mut lifecycle = application.function("lifecycle");
    let mut deploy = application.function("deploy");
    application.push_starter();
    let mut hand_over = |name: &str, server: &Server| {
        let request = request(name, server);
        assert_eq!(lifecycle.answer(&request), json!({"handed": request["RequestId"]}), "{name}");
        cost::check_calls(&lifecycle.calls(), "lifecycle: request queued");
        assert_eq!(server.received().len(), 0, "{name}: deploy answers");
        assert_eq!(waiting(&application).len(), 1, "{name}");
        let bodies = application.client.sqs_receive(&application.deploy_queue, 5).unwrap();
        let look = json!({"source": "backup-compliance.lifecycle", "requestId": request["RequestId"]});
        let [body] = bodies.as_slice() else { panic!("{bodies:?}") };
        assert_eq!(serde_json::from_str::<Value>(body).unwrap(), look);
        look
    };

    let server = Server::start(&[]);
    let look = hand_over("lifecycle-create.json", &server);
    deploy.answer(&look);
    cost::print("lifecycle-create.json, first rollout", &deploy.calls());
    let answer = only_answer(&server, "create");
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    assert!(answer.get("Reason").is_none());
    nothing_is_left(&application, "create");
    // The message arrives again after the response.
    deploy.answer(&look);
    only_answer(&server, "create, delivered twice");
    assert_eq!(application.instances().len(), 6);

    let server = Server::start(&[]);
    let look = hand_over("lifecycle-update.json", &server);
    deploy.answer(&look);
    let answer = only_answer(&server, "update");
    assert_eq!((&answer["Status"], &answer["PhysicalResourceId"]), (&json!("SUCCESS"), &json!("rollout")));

    let server = Server::start(&[]);
    let look = hand_over("lifecycle-delete.json", &server);
    deploy.answer(&look);
    cost::print("lifecycle-delete.json, deletion begins", &deploy.calls());
    assert!(deploy.changes().contains(&"cloudformation:DeleteStackInstances".to_owned()), "{:?}", deploy.changes());
    assert_eq!(server.received().len(), 0, "not before all is gone");
    assert_eq!(deploy.answer(&event("stackset-operation.json")), failures(&[]));
    cost::print("stackset-operation.json, deletion ends", &deploy.calls());
    let answer = only_answer(&server, "delete");
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    nothing_is_left(&application, "delete");
    // The reporting settings stay: they belong to no framework, and the stack deletes the table.
    let kept = |partition: &str| {
        let mut items = application.items(partition);
        items.retain(|item| item["sk"]["S"] != "#reporting");
        items
    };
    assert_eq!(kept("rollout").len(), 1, "only the marker of the removal");
    assert_eq!(kept("framework"), Vec::<Value>::new());
    let gone = application.client.query("cloudformation", "DescribeStackSet", &[("StackSetName", "backup-compliance")]);
    assert!(gone.unwrap_err().to_string().contains("StackSetNotFoundException"));
    // While the stack is being deleted, no framework is created again.
    deploy.answer(&event("codecommit-push.json"));
    assert_eq!(deploy.changes(), Vec::<String>::new());

    ends_without_a_secret(lifecycle);
    ends_without_a_secret(deploy);
    application.stop();
}

#[test]
fn rejected_policy_fails_request_without_changes() {
    let application = DeployedApplication::start();
    let mut lifecycle = application.function("lifecycle");
    let mut deploy = application.function("deploy");
    application.push("Break it", &[("backup-compliance.yaml", Some(b"version: 1\nframeworks: []\n"))]);
    let server = Server::start(&[]);
    let request = request("lifecycle-create.json", &server);
    lifecycle.answer(&request);
    deploy.answer(&json!({"source": "backup-compliance.lifecycle", "requestId": request["RequestId"]}));
    let reason = only_failure(&server, &request, "rejected");
    assert!(reason.contains("the policy is rejected: backup-compliance.yaml:2:13: `frameworks` is empty"), "{reason}");
    assert!(!deploy.changes().iter().any(|call| call.starts_with("cloudformation:")), "{:?}", deploy.changes());
    application.take_notices(&["policy.rejected"]);
    ends_without_a_secret(lifecycle);
    ends_without_a_secret(deploy);
    application.stop();
}

#[test]
fn invalid_request_fails_with_its_error() {
    let application = DeployedApplication::start();
    let mut lifecycle = application.function("lifecycle");
    for (name, expected) in [
        ("bad/lifecycle-unknown-type.json", "unknown RequestType"),
        ("bad/lifecycle-no-properties.json", "no ResourceProperties"),
    ] {
        let server = Server::start(&[]);
        let request = request(name, &server);
        assert_eq!(lifecycle.answer(&request), json!({"answered": request["RequestId"]}));
        assert_eq!(lifecycle.calls(), Vec::<String>::new(), "{name}");
        let reason = only_failure(&server, &request, name);
        assert!(reason.contains(expected), "{name}: {reason}");
    }
    // A request without an address: an error in the log and for the caller.
    for wrong in [event("bad/lifecycle-no-url.json"), event("bad/empty-object.json"), json!([])] {
        let said = lifecycle.refuse(&wrong);
        assert!(said.contains("no `ResponseURL`"), "{said}");
        assert_eq!(lifecycle.calls(), Vec::<String>::new());
    }
    // S3 fails once; then permanently, and Lambda delivers the request again.
    let server = Server::start(&[Reply::Status(503, String::new()), Reply::Status(200, String::new())]);
    lifecycle.answer(&request("bad/lifecycle-unknown-type.json", &server));
    assert_eq!(server.received().len(), 2);
    let server = Server::start(&[Reply::Status(403, "<Error><Code>AccessDenied</Code></Error>".into())]);
    let said = lifecycle.refuse(&request("bad/lifecycle-unknown-type.json", &server));
    assert!(said.contains("AccessDenied") && !said.contains(SECRET) && !said.contains("role"), "{said}");
    nothing_is_left(&application, "wrong requests");
    ends_without_a_secret(lifecycle);
    application.stop();
}

/// Service, operation, status, code, number of failures, and the reason in the response.
type FailingCall = (&'static str, &'static str, u16, &'static str, u32, &'static [&'static str]);

#[test]
fn failed_call_is_named_in_response() {
    let application = DeployedApplication::start();
    let mut lifecycle = application.function("lifecycle");
    let denied = "AccessDeniedException";
    let cases: [FailingCall; 4] = [
        (
            "dynamodb",
            "PutItem",
            400,
            denied,
            1,
            &[
                "dynamodb:PutItem failed: AccessDeniedException: as the test wants it (request ",
                "does not allow `dynamodb:PutItem`",
            ],
        ),
        ("dynamodb", "PutItem", 500, "InternalServerError", 3, &["dynamodb:PutItem failed: InternalServerError"]),
        (
            "sqs",
            "SendMessage",
            403,
            "AccessDenied",
            1,
            &["sqs:SendMessage failed: AccessDenied", "(request ", "does not allow `sqs:SendMessage`"],
        ),
        ("sqs", "SendMessage", 500, "InternalFailure", 3, &["sqs:SendMessage failed: InternalFailure"]),
    ];
    for (number, (service, operation, status, code, times, expected)) in cases.into_iter().enumerate() {
        let case = format!("{service} {code}");
        let server = Server::start(&[]);
        let mut request = request("lifecycle-create.json", &server);
        // An answered request is not answered again.
        request["RequestId"] = json!(format!("82304eb2-bdda-469f-a33b-{number:012}"));
        application.cloud.fail_next(service, operation, status, code, "as the test wants it", times);
        assert_eq!(lifecycle.answer(&request), json!({"answered": request["RequestId"]}), "{case}");
        application.cloud.clear_faults();
        let reason = only_failure(&server, &request, &case);
        for text in expected {
            assert!(reason.contains(text), "{case}: `{text}` is not in `{reason}`");
        }
        nothing_is_left(&application, &case);
    }
    ends_without_a_secret(lifecycle);
    application.stop();
}

#[test]
fn missing_settings_fail_the_request() {
    let application = DeployedApplication::start();
    let mut lifecycle = application.launch("lifecycle", |launch| launch);
    for name in ["lifecycle-create.json", "lifecycle-update.json", "lifecycle-delete.json"] {
        let server = Server::start(&[]);
        let request = request(name, &server);
        lifecycle.answer(&request);
        let reason = only_failure(&server, &request, name);
        assert!(reason.contains("`STATE_TABLE_NAME`, `DEPLOY_QUEUE_URL`"), "{reason}");
    }
    ends_without_a_secret(lifecycle);
    application.stop();
}

#[test]
fn timeout_still_sends_a_response() {
    let application = DeployedApplication::start();
    let hanging = Server::start(&[Reply::Hang]);
    let mut lifecycle = application.launch("lifecycle", |launch| {
        let launch = launch.envs(application.settings("lifecycle"));
        launch.env("AWS_ENDPOINT_URL_SQS", format!("http://{}", hanging.address()))
    });
    let server = Server::start(&[]);
    let request = request("lifecycle-create.json", &server);
    // A little more than the time reserved for the response: the request is stored, the queue never responds.
    let outcome = lifecycle.invoke_within(&request, Duration::from_secs(18));
    assert_eq!(outcome, InvocationOutcome::Response(json!({"answered": request["RequestId"]})));
    let reason = only_failure(&server, &request, "time");
    assert!(reason.contains("could not be handed to deploy within"), "{reason}");
    assert!(!hanging.received().is_empty(), "the call was on its way");
    nothing_is_left(&application, "time");
    ends_without_a_secret(lifecycle);
    application.stop();
}

#[test]
fn trace_log_hides_signed_address() {
    let application = DeployedApplication::start();
    let verbose = |launch: runtime_api::Launch| {
        launch.env("AWS_LAMBDA_LOG_LEVEL", "TRACE").env("RUST_LOG", "trace").env("AWS_LAMBDA_LOG_FORMAT", "JSON")
    };
    let mut lifecycle =
        application.launch("lifecycle", |launch| verbose(launch.envs(application.settings("lifecycle"))));
    let mut deploy = application.launch("deploy", |launch| verbose(launch.envs(application.settings("deploy"))));
    let server = Server::start(&[]);
    let request = request("lifecycle-create.json", &server);
    lifecycle.answer(&request);
    deploy.answer(&json!({"source": "backup-compliance.lifecycle", "requestId": request["RequestId"]}));
    only_answer(&server, "create");
    let broken = Server::start(&[Reply::Break]);
    // It retries until the deadline.
    let unreachable = self::request("bad/lifecycle-unknown-type.json", &broken);
    let outcome = lifecycle.invoke_within(&unreachable, Duration::from_secs(4));
    assert!(matches!(outcome, InvocationOutcome::Error { .. }), "{outcome:?}");
    assert!(broken.received().len() > 2, "{:?}", broken.received());
    ends_without_a_secret(lifecycle);
    ends_without_a_secret(deploy);
    application.stop();
}
