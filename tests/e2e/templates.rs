//! Large templates.

use sandbox::http::HttpRequest;
use sandbox::wire;

use crate::application::{BUCKET, DeployedApplication, STACK_SET, event, failures, file};
use crate::cost;

/// The starter framework, padded to a size with comments.
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

fn push(application: &DeployedApplication, framework: &str) {
    let policy = file("framework/backup-compliance.yaml");
    let files = [("backup-compliance.yaml", Some(policy.as_bytes())), ("framework.yaml", Some(framework.as_bytes()))];
    application.push("A framework of some size", &files);
}

fn objects(application: &DeployedApplication) -> Vec<String> {
    let listed = application.client.send("s3", HttpRequest::new("GET", &format!("/{BUCKET}?list-type=2"))).unwrap();
    assert!(listed.is_success());
    wire::xml_elements(&listed.text(), "Contents").into_iter().map(ToOwned::to_owned).collect()
}

#[test]
fn template_over_51200_bytes_uses_bucket() {
    let application = DeployedApplication::start();
    let mut deploy = application.function("deploy");
    push(&application, &framework_of(51_200));
    deploy.answer(&event("codecommit-push.json"));
    assert!(!deploy.calls().iter().any(|call| call.starts_with("s3:")), "{:?}", deploy.calls());

    let large = framework_of(51_201);
    push(&application, &large);
    assert_eq!(deploy.answer(&event("codecommit-push.json")), failures(&[]));
    let calls = deploy.calls();
    let staged: Vec<String> =
        calls.into_iter().filter(|call| call.starts_with("s3:") || call.ends_with("UpdateStackSet")).collect();
    cost::check_calls(&staged, "deploy: staged template");
    assert_eq!(objects(&application), Vec::<String>::new());
    let xml = application.client.query("cloudformation", "DescribeStackSet", &[("StackSetName", STACK_SET)]).unwrap();
    let deployed = wire::xml_text(&xml, "TemplateBody").unwrap();
    assert_eq!(deployed.trim(), large.trim(), "the template in CloudFormation");
    deploy.answer(&event("stackset-operation.json"));
    application.take_notices(&["rollout.succeeded"]);

    // CloudFormation rejects the template: the bucket is empty nevertheless.
    let other = framework_of(60_000);
    push(&application, &other);
    application.cloud.fail_next("cloudformation", "UpdateStackSet", 400, "ValidationError", "Template format error", 1);
    deploy.answer(&event("codecommit-push.json"));
    assert_eq!(objects(&application), Vec::<String>::new());
    let notice = application.take_notices(&["rollout.failed"]).remove(0);
    assert!(notice["error"].as_str().unwrap().contains("Template format error"), "{notice}");
    deploy.stop();
    application.stop();
}

#[test]
fn template_over_a_megabyte_is_rejected() {
    let application = DeployedApplication::start();
    let mut deploy = application.function("deploy");
    push(&application, &framework_of(1024 * 1024 + 1));
    assert_eq!(deploy.answer(&event("codecommit-push.json")), failures(&[]));
    cost::check_calls(&deploy.changes(), "deploy: template over a megabyte");
    let notice = application.take_notices(&["policy.rejected"]).remove(0);
    let fault = &notice["diagnostics"][0];
    assert_eq!(fault["file"], "framework.yaml", "{notice}");
    assert!(fault["message"].as_str().unwrap().contains("1048577 bytes"), "{notice}");

    push(&application, &framework_of(6 * 1024 * 1024 + 1));
    deploy.answer(&event("codecommit-push.json"));
    let notice = application.take_notices(&["policy.rejected"]).remove(0);
    assert!(notice["diagnostics"][0]["message"].as_str().unwrap().contains("larger than 6 MB"), "{notice}");
    deploy.stop();
    application.stop();
}
