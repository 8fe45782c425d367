//! Functions with missing or invalid settings, and payloads that Lambda would reject.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use runtime_api::{InvocationOutcome, host_environment};

use crate::application::{DeployedApplication, event, file};
use crate::binaries::program;
use crate::server::{Reply, Server};

#[test]
fn missing_variables_are_all_named_at_start() {
    let application = DeployedApplication::start();
    for name in ["deploy", "preview", "report", "sweep"] {
        let required: Vec<&str> = application
            .settings(name)
            .into_iter()
            .map(|(variable, _)| variable)
            .filter(|variable| *variable != "CONFIG_AGGREGATOR_NAME")
            .collect();
        // The first is set and the second is empty, so all but the first are missing.
        let mut function = application.launch(name, |launch| launch.env(required[0], "x").env(required[1], " "));
        let ended = function.ready().expect_err("it starts without its settings");
        assert!(!matches!(ended, InvocationOutcome::TimedOut), "{name}: {ended:?}");
        let log = function.stop();
        for variable in &required[1..] {
            assert!(log.contains(&format!("`{variable}`")), "{name} does not name {variable}:\n{log}");
        }
        assert!(!log.contains(&format!("`{}`", required[0])), "{name}:\n{log}");
        assert!(!log.contains("CONFIG_AGGREGATOR_NAME"), "{name}: that one is optional:\n{log}");
    }
    // An invalid value is named with the expected form.
    for (name, variable, wrong, expected) in [
        ("report", "DIGEST_WINDOW_SECONDS", "five minutes", "`DIGEST_WINDOW_SECONDS` is `five minutes`"),
        ("report", "SECURITY_HUB", "member", "`MEMBER_ROLE_NAME` is not set"),
        ("sweep", "SECURITY_HUB", "yes", "`off`, `central` or `member`"),
        ("sweep", "NOTIFICATION_TOPIC_ARN", "notices", "the ARN of an SNS topic"),
        ("inventory", "CONFIG_AGGREGATOR_NAME", " ", "missing environment variable `CONFIG_AGGREGATOR_NAME`"),
    ] {
        let mut function =
            application.launch(name, |launch| launch.envs(application.settings(name)).env(variable, wrong));
        assert!(function.ready().is_err(), "{name} starts with `{variable}` = `{wrong}`");
        let log = function.stop();
        assert!(log.contains(expected) && log.contains(variable), "{name}:\n{log}");
    }
    // Without an aggregator only the names are missing.
    let mut report = application
        .launch("report", |launch| launch.envs(application.settings("report")).env("CONFIG_AGGREGATOR_NAME", ""));
    report.answer(&event("config-noncompliant-resource-id.json"));
    let notice = application.take_notices(&["violation.opened"]).remove(0);
    assert_eq!(notice["resource"]["name"], "cluster-7XK3Q2EXAMPLE5NWQ4");
    assert!(!report.calls().iter().any(|call| call.starts_with("config:")), "{:?}", report.calls());
    report.stop();
    application.stop();
}

/// Lambda rejects such a payload before the function sees it. A function that receives one reports an error and
/// continues.
/// Long because it speaks the protocol of the Runtime API step by step.
#[test]
fn payload_that_is_not_json_is_an_error() {
    let payload = file("events/bad/not-json.json");
    assert!(serde_json::from_str::<serde_json::Value>(&payload).is_err());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("functions-{}", std::process::id()));
    for name in ["deploy", "inventory", "report", "lifecycle", "sweep", "preview"] {
        let next = format!(
            "HTTP/1.1 200 OK\r\nlambda-runtime-aws-request-id: 00000000-0000-4000-8000-000000000001\r\n\
             lambda-runtime-deadline-ms: 4102444800000\r\nlambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:000000000000:function:f\r\n\
             content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{payload}",
            payload.len()
        );
        let api = Server::start(&[Reply::Raw(next), Reply::Status(202, "{\"status\":\"OK\"}".into()), Reply::Hang]);
        let any = [
            "REPOSITORY_NAME",
            "BRANCH_NAME",
            "POLICY_FILE",
            "STATE_TABLE_NAME",
            "COMPLIANCE_EVENT_BUS_ARN",
            "TEMPLATE_BUCKET_NAME",
            "ADMINISTRATION_ROLE_ARN",
            "EXECUTION_ROLE_NAME",
            "DEPLOY_QUEUE_URL",
            "REPORT_QUEUE_URL",
            "REPORT_DEAD_LETTER_QUEUE_URL",
            "PREVIEW_QUEUE_URL",
            "CONFIG_AGGREGATOR_NAME",
        ];
        let mut child = Command::new(program(name, &folder))
            .env_clear()
            .envs(host_environment())
            .envs(any.map(|variable| (variable, "x")))
            .envs([
                ("NOTIFICATION_TOPIC_ARN", "arn:aws:sns:us-east-1:000000000000:notices"),
                ("DIGEST_WINDOW_SECONDS", "300"),
                ("SECURITY_HUB", "off"),
                ("ORGANIZATIONAL_UNITS", "disabled"),
                ("COMMENT_ON_COMMITS", "disabled"),
                ("APPROVE_PULL_REQUESTS", "disabled"),
                ("AWS_LAMBDA_RUNTIME_API", api.address().to_string().as_str()),
                ("AWS_LAMBDA_FUNCTION_NAME", name),
                ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
                ("AWS_LAMBDA_LOG_GROUP_NAME", "g"),
                ("AWS_LAMBDA_LOG_STREAM_NAME", "s"),
                ("AWS_REGION", "us-east-1"),
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        // `next`, the report of the error, and `next` again: it waits for another event.
        while api.received().len() < 3 && Instant::now() < deadline && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(20));
        }
        let alive = child.try_wait().unwrap().is_none();
        let _ = child.kill();
        let _ = child.wait();
        let received = api.received();
        assert_eq!(received.len(), 3, "{name}: {received:?}");
        assert!(received[1].target.ends_with("/00000000-0000-4000-8000-000000000001/error"), "{name}: {received:?}");
        assert_ne!(received[1].json()["errorMessage"], json!(""), "{name}");
        assert!(alive, "{name} ended");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
