//! CloudFormation is answered exactly once, whatever happens.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::runtime_api::Outcome;

use crate::application::{Application, Running, event, failures};
use crate::server::{Reply, SECRET, Server};

/// A sample request whose answer goes to this server.
fn request(name: &str, server: &Server) -> Value {
    let mut request = event(name);
    request["ResponseURL"] = json!(server.signed_url());
    request
}

/// The one answer that CloudFormation got.
fn only_answer(server: &Server, case: &str) -> Value {
    let received = server.received();
    assert_eq!(received.len(), 1, "{case}: {received:?}");
    assert_eq!(received[0].method, "PUT", "{case}");
    assert_eq!(received[0].header("content-type"), Some(""), "{case}");
    received[0].json()
}

/// The reason in the one answer, which must be FAILED and name the request.
fn only_failure(server: &Server, request: &Value, case: &str) -> String {
    let answer = only_answer(server, case);
    assert_eq!(answer["Status"], "FAILED", "{case}: {answer}");
    for field in ["StackId", "RequestId", "LogicalResourceId"] {
        assert_eq!(answer[field], request[field], "{case}: {field}");
    }
    assert!(answer["PhysicalResourceId"].as_str().is_some_and(|id| !id.is_empty()), "{case}: {answer}");
    answer["Reason"].as_str().unwrap().to_owned()
}

/// The requests that wait; one that was answered leaves no more than its id, without the signed address.
fn waiting(application: &Application) -> Vec<Value> {
    let mut items = application.items("request");
    assert!(items.iter().all(|item| item.get("document").is_some() != item.get("answered_at").is_some()), "{items:?}");
    items.retain(|item| item.get("document").is_some());
    items
}

fn nothing_is_left(application: &Application, case: &str) {
    assert_eq!(waiting(application), Vec::<Value>::new(), "{case}: deploy would answer once more");
    assert_eq!(application.client.sqs_depth(&application.deploy_queue).unwrap(), (0, 0), "{case}");
}

fn ends_without_a_secret(function: Running<'_>) -> String {
    let log = function.stop();
    assert!(!log.contains(SECRET) && !log.contains("X-Amz-Signature"), "the signed address is in the log:\n{log}");
    log
}

#[test]
fn a_good_request_is_handed_over_and_deploy_answers_it_once() {
    let application = Application::start();
    let mut lifecycle = application.function("lifecycle");
    let mut deploy = application.function("deploy");
    application.push_starter();
    let mut hand_over = |name: &str, server: &Server, calls: usize| {
        let request = request(name, server);
        assert_eq!(lifecycle.answer(&request), json!({"handed": request["RequestId"]}), "{name}");
        let made = lifecycle.calls();
        println!("| {name} | handed over | {} | {} |", made.len(), made.join(" "));
        assert_eq!(made, ["dynamodb:PutItem", "sqs:SendMessage"], "{name}");
        assert_eq!(made.len(), calls);
        assert_eq!(server.received().len(), 0, "{name}: deploy answers");
        assert_eq!(waiting(&application).len(), 1, "{name}");
        let bodies = application.client.sqs_take(&application.deploy_queue, 5).unwrap();
        let look = json!({"source": "backup-compliance.lifecycle", "requestId": request["RequestId"]});
        let [body] = bodies.as_slice() else { panic!("{bodies:?}") };
        assert_eq!(serde_json::from_str::<Value>(body).unwrap(), look);
        look
    };

    let server = Server::start(&[]);
    let look = hand_over("lifecycle-create.json", &server, 2);
    deploy.answer(&look);
    println!("| lifecycle-create.json | first rollout | {} | {} |", deploy.calls().len(), deploy.calls().join(" "));
    let answer = only_answer(&server, "create");
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    assert!(answer.get("Reason").is_none());
    nothing_is_left(&application, "create");
    // The message comes once more: nobody waits any longer.
    deploy.answer(&look);
    only_answer(&server, "create, told twice");
    assert_eq!(application.instances().len(), 6);

    let server = Server::start(&[]);
    let look = hand_over("lifecycle-update.json", &server, 2);
    deploy.answer(&look);
    let answer = only_answer(&server, "update");
    assert_eq!((&answer["Status"], &answer["PhysicalResourceId"]), (&json!("SUCCESS"), &json!("rollout")));

    let server = Server::start(&[]);
    let look = hand_over("lifecycle-delete.json", &server, 2);
    deploy.answer(&look);
    println!("| lifecycle-delete.json | deletion begins | {} | {} |", deploy.calls().len(), deploy.calls().join(" "));
    assert!(deploy.changes().contains(&"cloudformation:DeleteStackInstances".to_owned()), "{:?}", deploy.changes());
    assert_eq!(server.received().len(), 0, "not before all is gone");
    assert_eq!(deploy.answer(&event("stackset-operation.json")), failures(&[]));
    println!("| stackset-operation.json | deletion ends | {} | {} |", deploy.calls().len(), deploy.calls().join(" "));
    let answer = only_answer(&server, "delete");
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    nothing_is_left(&application, "delete");
    // What the policy says about violations stays: it is nobody's framework, and the table goes with the stack.
    let kept = |partition: &str| {
        let mut items = application.items(partition);
        items.retain(|item| item["sk"]["S"] != "#reporting");
        items
    };
    assert_eq!(kept("rollout").len(), 1, "only the marker of the removal");
    assert_eq!(kept("framework"), Vec::<Value>::new());
    let gone = application.client.query("cloudformation", "DescribeStackSet", &[("StackSetName", "backup-compliance")]);
    assert!(gone.unwrap_err().to_string().contains("StackSetNotFoundException"));
    // While the stack is being deleted nothing comes back.
    deploy.answer(&event("codecommit-push.json"));
    assert_eq!(deploy.changes(), Vec::<String>::new());

    ends_without_a_secret(lifecycle);
    ends_without_a_secret(deploy);
    application.stop();
}

#[test]
fn a_policy_that_is_rejected_fails_the_request_and_touches_nothing() {
    let application = Application::start();
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
fn what_is_wrong_with_a_request_is_its_answer() {
    let application = Application::start();
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
    // Nobody to answer: an error in the log, and for whoever asked.
    for wrong in [event("bad/lifecycle-no-url.json"), event("bad/empty-object.json"), json!([])] {
        let said = lifecycle.refuse(&wrong);
        assert!(said.contains("no `ResponseURL`"), "{said}");
        assert_eq!(lifecycle.calls(), Vec::<String>::new());
    }
    // CloudFormation's S3 is unwell for a moment; and for good, in which case Lambda delivers the request again.
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

/// Service, operation, status, code, how often it is refused, and what the answer says.
type Refusal = (&'static str, &'static str, u16, &'static str, u32, &'static [&'static str]);

#[test]
fn a_failing_call_is_the_answer_and_names_what_is_missing() {
    let application = Application::start();
    let mut lifecycle = application.function("lifecycle");
    let denied = "AccessDeniedException";
    let cases: [Refusal; 4] = [
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
        // One that was answered is not answered again.
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
fn missing_settings_are_the_answer() {
    let application = Application::start();
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
fn when_time_runs_out_there_is_an_answer_all_the_same() {
    let application = Application::start();
    let hanging = Server::start(&[Reply::Hang]);
    let mut lifecycle = application.launch("lifecycle", |launch| {
        let launch = launch.envs(application.settings("lifecycle"));
        launch.env("AWS_ENDPOINT_URL_SQS", format!("http://{}", hanging.address()))
    });
    let server = Server::start(&[]);
    let request = request("lifecycle-create.json", &server);
    // A little more than what is kept back for the answer: the request is kept, the queue never answers.
    let outcome = lifecycle.invoke_within(&request, Duration::from_secs(18));
    assert_eq!(outcome, Outcome::Response(json!({"answered": request["RequestId"]})));
    let reason = only_failure(&server, &request, "time");
    assert!(reason.contains("could not be taken on within"), "{reason}");
    assert!(!hanging.received().is_empty(), "the call was on its way");
    nothing_is_left(&application, "time");
    ends_without_a_secret(lifecycle);
    application.stop();
}

#[test]
fn the_finest_log_shows_no_signed_address() {
    let application = Application::start();
    let verbose = |launch: testkit::runtime_api::Launch| {
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
    // It tries again for as long as there is time.
    let unreachable = self::request("bad/lifecycle-unknown-type.json", &broken);
    let outcome = lifecycle.invoke_within(&unreachable, Duration::from_secs(4));
    assert!(matches!(outcome, Outcome::Error { .. }), "{outcome:?}");
    assert!(broken.received().len() > 2, "{:?}", broken.received());
    ends_without_a_secret(lifecycle);
    ends_without_a_secret(deploy);
    application.stop();
}
