//! `schemas/notice.schema.json`.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use app::events::Batch;
use app::report::Report;
use domain::notice::{BlindCause, Notice};
use domain::rollout::Cause;
use jsonschema::Validator;
use serde_json::{Value, json};
use testkit::world::World;

use crate::{faults, samples, schema};

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

/// The error of a `oneOf` says only that none fits: this asks the one that is meant.
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
    let mut schema: Value = serde_json::from_str(&crate::read(SCHEMA)).unwrap();
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
fn every_kind_of_notice_is_described() {
    let notices = samples::all();
    notices.iter().for_each(check);
    let kinds: BTreeSet<&str> = notices.iter().map(Notice::kind).collect();
    assert_eq!(kinds, BTreeSet::from(KINDS));
}

#[tokio::test(flavor = "current_thread")]
async fn what_the_sample_events_lead_to_is_described() {
    let mut told = 0;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !(name.starts_with("config-") && name.ends_with(".json")) {
            continue;
        }
        let world = World::new();
        let report = Report {
            store: world.clone(),
            outlets: world.clone(),
            directory: world.clone(),
            resources: world.clone(),
            queue: world.clone(),
            clock: world.clone(),
            window: Duration::ZERO,
        };
        let event = |name: &str| Batch::read(serde_json::from_str(&crate::read(&format!("events/{name}"))).unwrap());
        // What is resolved must have been open.
        if name != "config-noncompliant.json" {
            report.handle(&event("config-noncompliant.json").messages).await;
        }
        report.handle(&event(&name).messages).await;
        let notices = world.take_notices();
        notices.iter().for_each(check);
        told += notices.len();
    }
    assert!(told > 10, "{told}");
}

/// What a reader of notices may rely on: change any of it, and the schema refuses the notice.
#[test]
fn what_is_missing_added_or_of_another_type_is_refused() {
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

/// A cause that is added must be described.
#[test]
fn every_cause_is_described() {
    let schema: Value = serde_json::from_str(&crate::read(SCHEMA)).unwrap();
    let described = &schema["$defs"]["rollout"]["properties"]["groups"]["items"]["properties"]["cause"]["enum"];
    let described: BTreeSet<&str> = described.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(described, Cause::WORDS.into_iter().collect());
}

#[test]
fn every_cause_of_a_blind_spot_is_described() {
    let schema: Value = serde_json::from_str(&crate::read(SCHEMA)).unwrap();
    let blind = &schema["$defs"]["blindSpots"]["properties"];
    for described in
        [&blind["spots"]["items"]["properties"]["cause"], &blind["counts"]["properties"]["causes"]["propertyNames"]]
    {
        let described: BTreeSet<&str> =
            described["enum"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert_eq!(described, BlindCause::ALL.iter().map(|cause| cause.word()).collect());
    }
}

#[test]
fn every_member_says_what_it_is() {
    let schema: Value = serde_json::from_str(&crate::read(SCHEMA)).unwrap();
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
