//! Templates that are large.

use sandbox::http::Request;
use sandbox::wire;

use crate::application::{Application, BUCKET, STACK_SET, event, failures, file};

/// The starter framework, blown up to a size with comments.
fn framework_of(bytes: usize) -> String {
    let mut text = file("framework/framework.yaml");
    let line = format!("# {}\n", "x".repeat(97));
    while text.len() + line.len() <= bytes {
        text.push_str(&line);
    }
    text.push_str(&"#".repeat(bytes - text.len()));
    assert_eq!(text.len(), bytes);
    text
}

fn push(application: &Application, framework: &str) {
    let policy = file("framework/backup-compliance.yaml");
    let files = [("backup-compliance.yaml", Some(policy.as_bytes())), ("framework.yaml", Some(framework.as_bytes()))];
    application.push("A framework of some size", &files);
}

fn objects(application: &Application) -> Vec<String> {
    let listed = application.client.send("s3", Request::new("GET", &format!("/{BUCKET}?list-type=2"))).unwrap();
    assert!(listed.is_success());
    wire::xml_elements(&listed.text(), "Contents").into_iter().map(ToOwned::to_owned).collect()
}

#[test]
fn over_51200_bytes_it_goes_through_the_bucket_and_nothing_stays_there() {
    let application = Application::start();
    let mut deploy = application.function("deploy");
    push(&application, &framework_of(51_200));
    deploy.answer(&event("codecommit-push.json"));
    assert!(!deploy.calls().iter().any(|call| call.starts_with("s3:")), "{:?}", deploy.calls());

    let large = framework_of(51_201);
    push(&application, &large);
    assert_eq!(deploy.answer(&event("codecommit-push.json")), failures(&[]));
    let calls = deploy.calls();
    let staged: Vec<&str> = calls
        .iter()
        .map(String::as_str)
        .filter(|call| call.starts_with("s3:") || call.ends_with("UpdateStackSet"))
        .collect();
    assert_eq!(staged, ["s3:PutObject", "cloudformation:UpdateStackSet", "s3:DeleteObject"]);
    assert_eq!(objects(&application), Vec::<String>::new());
    let xml = application.client.query("cloudformation", "DescribeStackSet", &[("StackSetName", STACK_SET)]).unwrap();
    let deployed = wire::xml_text(&xml, "TemplateBody").unwrap();
    assert_eq!(deployed.trim(), large.trim(), "what CloudFormation read");
    deploy.answer(&event("stackset-operation.json"));
    application.take_notices(&["rollout.succeeded"]);

    // CloudFormation refuses what it read: the bucket is empty all the same.
    let other = framework_of(60_000);
    push(&application, &other);
    application.cloud.fail_next("cloudformation", "UpdateStackSet", 400, "ValidationError", "Template format error", 1);
    deploy.answer(&event("codecommit-push.json"));
    assert_eq!(objects(&application), Vec::<String>::new());
    let notice = application.take_notices(&["rollout.failed"]).remove(0);
    assert!(notice["trouble"].as_str().unwrap().contains("Template format error"), "{notice}");
    deploy.stop();
    application.stop();
}

#[test]
fn over_a_megabyte_it_is_rejected() {
    let application = Application::start();
    let mut deploy = application.function("deploy");
    push(&application, &framework_of(1024 * 1024 + 1));
    assert_eq!(deploy.answer(&event("codecommit-push.json")), failures(&[]));
    let changes = deploy.changes();
    assert_eq!(changes, ["sns:PublishBatch", "dynamodb:PutItem"]);
    let notice = application.take_notices(&["policy.rejected"]).remove(0);
    let fault = &notice["faults"][0];
    assert_eq!(fault["file"], "framework.yaml", "{notice}");
    assert!(fault["problem"].as_str().unwrap().contains("1048577 bytes"), "{notice}");

    push(&application, &framework_of(6 * 1024 * 1024 + 1));
    deploy.answer(&event("codecommit-push.json"));
    let notice = application.take_notices(&["policy.rejected"]).remove(0);
    assert!(notice["faults"][0]["problem"].as_str().unwrap().contains("larger than 6 MB"), "{notice}");
    deploy.stop();
    application.stop();
}
