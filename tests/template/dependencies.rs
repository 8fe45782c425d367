//! CloudFormation deletes in the reverse order of what depends on what: everything that the custom resource needs in order to take
//! the StackSets away has to outlive it.

use std::collections::BTreeSet;

use serde_json::json;

use crate::template::{Template, texts};

#[test]
fn all_that_a_rollout_needs_outlives_the_custom_resource() {
    let template = Template::application();
    let outlives = template.stands_on("Rollout");
    let gone: BTreeSet<&str> = template
        .section("Resources")
        .keys()
        .map(String::as_str)
        .filter(|id| !outlives.contains(*id) && *id != "Rollout")
        .collect();
    let mut expected: BTreeSet<&str> = template.of_type("AWS::CloudWatch::Alarm").into_iter().collect();
    // It only shows.
    expected.insert("Dashboard");
    assert_eq!(gone, expected);
}

/// A resource that may not exist is referred to under its own condition, or CloudFormation rejects the template without it.
#[test]
fn the_custom_resource_refers_to_optional_resources_under_their_condition() {
    let template = Template::application();
    let mut optional = Vec::new();
    for choice in template.resource("Rollout")["Metadata"]["AlsoDependsOn"].as_array().unwrap() {
        let [condition, reference, nothing] = choice["Fn::If"].as_array().unwrap().as_slice() else {
            panic!("{choice}");
        };
        let id = reference["Ref"].as_str().unwrap();
        assert_eq!((&template.resource(id)["Condition"], nothing), (condition, &json!("")), "{id}");
        optional.push(id);
    }
    assert_eq!(optional, ["ChatTopicPolicy", "EmailSubscription"]);
}

#[test]
fn nothing_waits_for_the_custom_resource() {
    let template = Template::application();
    for id in template.section("Resources").keys().filter(|id| *id != "Rollout") {
        assert!(!template.stands_on(id).contains("Rollout"), "{id}");
    }
}

#[test]
fn depends_on_names_only_what_nothing_else_stands_on() {
    let template = Template::application();
    let named = texts(&template.resource("Rollout")["DependsOn"]);
    assert!(named.is_sorted(), "sorted, so that a missing one shows");
    for one in &named {
        let resource = one.strip_suffix("EventInvokeConfig").unwrap_or(one);
        let others: BTreeSet<String> = named
            .iter()
            .filter(|other| other != &one && !other.ends_with("EventInvokeConfig"))
            .flat_map(|other| template.stands_on(other))
            .collect();
        assert!(resource != *one || !others.contains(resource), "{one} is there through another one already");
    }
}

/// CloudFormation invokes asynchronously; should the function die before it can answer, a retry saves an hour of waiting.
#[test]
fn how_lifecycle_is_retried_is_settled_before_it_is_called() {
    let template = Template::application();
    let asynchronous = &template.properties("LifecycleFunction")["EventInvokeConfig"];
    assert_eq!(*asynchronous, json!({"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 3600}));
    assert!(texts(&template.resource("Rollout")["DependsOn"]).contains(&"LifecycleFunctionEventInvokeConfig"));
}

#[test]
fn a_change_of_what_is_in_force_is_an_update() {
    let template = Template::application();
    assert_eq!(template.resource("Rollout")["Type"], "Custom::BackupCompliance");
    assert_eq!(
        *template.properties("Rollout"),
        json!({
            "ServiceToken": {"Fn::GetAtt": ["LifecycleFunction", "Arn"]},
            "ServiceTimeout": 3600,
            "RepositoryName": {"Ref": "RepositoryName"},
            "BranchName": {"Ref": "BranchName"},
            "PolicyFile": {"Ref": "PolicyFile"}
        })
    );
}
