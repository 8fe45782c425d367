//! `schemas/notice.schema.json`.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use jsonschema::Validator;
use serde_json::{Value, json};

use app::events::Batch;
use app::report::Report;
use domain::notice::Notice;
use testkit::world::World;

use super::{faults, samples, schema};
use crate::files::read;

const SCHEMA: &str = "schemas/notice.schema.json";
const KINDS: [&str; 8] = [
    "policy.rejected",
    "rollout.failed",
    "rollout.succeeded",
    "violation.digest",
    "violation.exempted",
    "violation.opened",
    "violation.reminder",
    "violation.resolved",
];

/// The schema of one shape: the error of a `oneOf` reports only that no shape matches.
fn of_shape(notice: &Notice) -> Validator {
    let name = match notice {
        Notice::ViolationOpened(_) => "violationOpened",
        Notice::ViolationResolved(_) => "violationResolved",
        Notice::ViolationExempted(_) => "violationExempted",
        Notice::ViolationDigest(_) => "violationDigest",
        Notice::ViolationReminder(_) => "violationReminder",
        Notice::ExemptionsExpiring(_) => "exemptionsExpiring",
        Notice::BlindSpots(_) => "blindSpots",
        Notice::PolicyWarnings(_) => "policyWarnings",
        Notice::RolloutSucceeded(_) => "rolloutSucceeded",
        Notice::RolloutFailed(_) => "rolloutFailed",
        Notice::PolicyRejected(_) => "policyRejected",
    };
    let mut schema: Value = serde_json::from_str(&read(SCHEMA)).unwrap();
    schema["$ref"] = json!(format!("#/$defs/{name}"));
    schema.as_object_mut().unwrap().remove("oneOf");
    jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap()
}

fn check(notice: &Notice) {
    let document = notice.json();
    // The event on the bus is the same document.
    assert!(notice.event().is_none_or(|(_, detail)| detail == document));
    let found = faults(&of_shape(notice), &document);
    assert!(found.is_empty(), "{found:#?}\n{document:#}");
    assert!(schema(SCHEMA).is_valid(&document), "{document:#}");
}

#[test]
fn notices_of_each_kind_match_schema() {
    let notices = samples::all();
    notices.iter().for_each(check);
    let kinds: BTreeSet<&str> = notices.iter().map(Notice::kind).collect();
    assert_eq!(kinds, BTreeSet::from(KINDS));
}

#[tokio::test(flavor = "current_thread")]
async fn notices_of_sample_events_match_schema() {
    let mut count = 0;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !(name.starts_with("config-") && name.ends_with(".json")) {
            continue;
        }
        let world = World::new();
        let report = Report::<World> {
            store: world.clone(),
            channels: world.clone(),
            resources: world.clone(),
            queue: world.clone(),
            clock: world.clone(),
            digest_window: Duration::ZERO,
        };
        let event = |name: &str| Batch::read(serde_json::from_str(&read(&format!("events/{name}"))).unwrap());
        // A violation must be open before it can be resolved.
        if name != "config-noncompliant.json" {
            report.handle(&event("config-noncompliant.json").messages).await;
        }
        report.handle(&event(&name).messages).await;
        let notices = world.take_notices();
        notices.iter().for_each(check);
        count += notices.len();
    }
    assert!(count > 10, "{count}");
}

/// Readers of notices depend on every member: the schema rejects any change.
#[test]
fn changed_members_are_rejected() {
    let schema = schema(SCHEMA);
    for notice in samples::all() {
        let document = notice.json();
        for key in document.as_object().unwrap().keys() {
            let mut without = document.clone();
            without.as_object_mut().unwrap().remove(key);
            assert!(!schema.is_valid(&without), "{} without `{key}`", notice.kind());
            let mut other = document.clone();
            other[key] = json!([[]]);
            assert!(!schema.is_valid(&other), "{} with another `{key}`", notice.kind());
        }
        let mut more = document.clone();
        more["extra"] = json!(1);
        assert!(!schema.is_valid(&more), "{} with one more", notice.kind());
        for kind in KINDS.iter().copied().filter(|kind| *kind != notice.kind()) {
            let mut other = document.clone();
            other["kind"] = json!(kind);
            assert!(!schema.is_valid(&other), "{} as {kind}", notice.kind());
        }
    }
}

/// A new cause must be described in the schema.
#[test]
fn causes_of_blind_spots_match_schema() {
    let schema: Value = serde_json::from_str(&read(SCHEMA)).unwrap();
    let blind = &schema["$defs"]["blindSpots"]["properties"];
    for described in [
        &blind["blindSpots"]["items"]["properties"]["cause"],
        &blind["counts"]["properties"]["causes"]["propertyNames"],
    ] {
        let words = samples::CAUSES.map(|cause| serde_json::to_value(cause).unwrap().to_string());
        let described: BTreeSet<String> =
            described["enum"].as_array().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(described, BTreeSet::from(words));
    }
}

#[test]
fn schema_members_have_descriptions() {
    let schema: Value = serde_json::from_str(&read(SCHEMA)).unwrap();
    for shape in [
        "violation",
        "violationDigest",
        "violationReminder",
        "exemptionsExpiring",
        "blindSpots",
        "policyWarnings",
        "rollout",
        "rejection",
    ] {
        described(shape, &schema["$defs"][shape], &schema);
    }
}

fn described(path: &str, schema: &Value, root: &Value) {
    let target = schema["$ref"].as_str().map(|name| &root["$defs"][name.trim_start_matches("#/$defs/")]);
    let said = schema.get("description").or_else(|| target.and_then(|target| target.get("description")));
    assert!(said.is_some_and(Value::is_string), "`{path}` has no description");
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        described(&format!("{path}.{name}"), member, root);
    }
    if let Some(items) = schema.get("items") {
        described(&format!("{path}[]"), items, root);
    }
}
