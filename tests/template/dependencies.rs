//! CloudFormation deletes resources in the reverse order of their dependencies. Each resource that the custom resource
//! needs to remove the StackSets must outlive it.

use std::collections::BTreeSet;

use serde_json::json;

use super::parsed::{ParsedTemplate, texts};

#[test]
fn resources_of_a_rollout_outlive_custom_resource() {
    let template = ParsedTemplate::application();
    let outlives = template.depends_on("Rollout");
    let gone: BTreeSet<&str> = template
        .section("Resources")
        .keys()
        .map(String::as_str)
        .filter(|id| !outlives.contains(*id) && *id != "Rollout")
        .collect();
    let mut expected: BTreeSet<&str> = template.of_type("AWS::CloudWatch::Alarm").into_iter().collect();
    // Dashboards and alarms only observe. The inventory writes into the bucket that a removal empties.
    expected.insert("Dashboard");
    expected.extend(INVENTORY);
    assert_eq!(gone, expected);
}

/// The resources of the function `inventory`.
const INVENTORY: [&str; 5] =
    ["InventoryFunction", "InventoryLogGroup", "InventoryRole", "InventorySchedule", "InventoryScheduleRole"];

/// Nothing may write into the bucket after `deploy` has emptied it: CloudFormation deletes the schedule, the function and its role
/// before it sends the request. The role is deleted last, and a running invocation has no permissions without it.
#[test]
fn inventory_is_deleted_before_bucket_is_emptied() {
    let template = ParsedTemplate::application();
    assert_eq!(texts(&template.resource("InventoryRole")["DependsOn"]), ["Rollout"]);
    for (one, other) in [("InventorySchedule", "InventoryFunction"), ("InventoryFunction", "InventoryRole")] {
        assert!(template.depends_on(one).contains(other), "{one} -> {other}");
    }
    for id in INVENTORY {
        assert_eq!(template.resource(id)["Condition"], "HasAggregator", "{id}");
    }
    for id in template.section("Resources").keys() {
        let properties = template.properties(id).to_string();
        let writes = properties.contains("s3:PutObject") && properties.contains("TemplateBucket.Arn}/inventory/");
        assert_eq!(writes, id == "InventoryRole", "{id}");
    }
}

/// A reference to a conditional resource is under the same condition; otherwise CloudFormation rejects the template
/// without it.
#[test]
fn conditional_resources_are_referenced_conditionally() {
    let template = ParsedTemplate::application();
    let mut optional = Vec::new();
    for choice in template.resource("Rollout")["Metadata"]["AlsoDependsOn"].as_array().unwrap() {
        let [condition, reference, nothing] = choice["Fn::If"].as_array().unwrap().as_slice() else {
            panic!("{choice}");
        };
        let id = reference["Ref"].as_str().unwrap();
        assert_eq!((&template.resource(id)["Condition"], nothing), (condition, &json!("")), "{id}");
        optional.push(id);
    }
    assert_eq!(optional, ["ChatTopicPolicy", "EmailSubscription", "PolicyBucketPolicy"]);
}

#[test]
fn only_inventory_depends_on_custom_resource() {
    let template = ParsedTemplate::application();
    let observers = template.of_type("AWS::CloudWatch::Alarm");
    for id in template.section("Resources").keys().filter(|id| *id != "Rollout") {
        // Through the function of the inventory.
        let of_inventory = INVENTORY.contains(&id.as_str()) || id == "Dashboard" || observers.contains(&id.as_str());
        assert!(of_inventory || !template.depends_on(id).contains("Rollout"), "{id}");
    }
}

#[test]
fn depends_on_lists_no_implied_dependency() {
    let template = ParsedTemplate::application();
    let named = texts(&template.resource("Rollout")["DependsOn"]);
    assert!(named.is_sorted(), "sorted, so that a missing one shows");
    for one in &named {
        let resource = one.strip_suffix("EventInvokeConfig").unwrap_or(one);
        let others: BTreeSet<String> = named
            .iter()
            .filter(|other| other != &one && !other.ends_with("EventInvokeConfig"))
            .flat_map(|other| template.depends_on(other))
            .collect();
        assert!(resource != *one || !others.contains(resource), "{one} is there through another one already");
    }
}

/// CloudFormation invokes asynchronously. If the function ends before it responds, a retry saves an hour of waiting.
#[test]
fn retry_settings_precede_lifecycle_invocation() {
    let template = ParsedTemplate::application();
    let asynchronous = &template.properties("LifecycleFunction")["EventInvokeConfig"];
    assert_eq!(*asynchronous, json!({"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 3600}));
    assert!(texts(&template.resource("Rollout")["DependsOn"]).contains(&"LifecycleFunctionEventInvokeConfig"));
}

#[test]
fn changed_settings_update_custom_resource() {
    let template = ParsedTemplate::application();
    assert_eq!(template.resource("Rollout")["Type"], "Custom::BackupCompliance");
    assert_eq!(
        *template.properties("Rollout"),
        json!({
            "ServiceToken": {"Fn::GetAtt": ["LifecycleFunction", "Arn"]},
            "ServiceTimeout": 3600,
            "PolicySource": {"Ref": "PolicySource"},
            "RepositoryName": {"Ref": "RepositoryName"},
            "BranchName": {"Ref": "BranchName"},
            "PolicyFile": {"Ref": "PolicyFile"}
        })
    );
}
