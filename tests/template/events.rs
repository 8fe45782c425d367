//! The sample events: well formed, and each one explained in its README.

use md5::{Digest as _, Md5};
use serde_json::Value;
use sha2::Sha256;

use crate::files;

/// The sample events, by their path in `events/`.
pub(crate) fn names() -> Vec<String> {
    let bad = files::json_files("events/bad").into_iter().map(|name| format!("bad/{name}"));
    files::json_files("events").into_iter().chain(bad).collect()
}

/// The input of a function; `None` if it is not JSON.
fn input(name: &str) -> Option<Value> {
    serde_json::from_str(&files::read(&format!("events/{name}"))).ok()
}

/// The events in a file: the bodies of a batch, or the file itself. A body that is not JSON is `null`.
pub(crate) fn inner(name: &str) -> Vec<Value> {
    let Some(input) = input(name) else { return vec![Value::Null] };
    match input.get("Records") {
        Some(records) => {
            let bodies = records.as_array().unwrap().iter().map(|record| record["body"].as_str().unwrap());
            bodies.map(|body| serde_json::from_str(body).unwrap_or_default()).collect()
        }
        None => vec![input],
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn all_sample_events_but_one_are_json() {
    let broken: Vec<String> = names().into_iter().filter(|name| input(name).is_none()).collect();
    assert_eq!(broken, ["bad/not-json.json"]);
}

#[test]
fn batches_have_the_form_of_sqs() {
    let mut checked = 0;
    for name in names() {
        let Some(input) = input(&name) else { continue };
        let Some(records) = input.get("Records") else { continue };
        let mut ids = Vec::new();
        for record in records.as_array().unwrap() {
            let body = record["body"].as_str().unwrap();
            assert_eq!(record["md5OfBody"], hex(&Md5::digest(body)), "{name}");
            assert_eq!(record["eventSource"], "aws:sqs", "{name}");
            assert!(record["messageAttributes"].is_object(), "{name}");
            for text in ["messageId", "receiptHandle", "awsRegion"] {
                assert!(record[text].is_string(), "{name}: {text}");
            }
            let fifo = record["eventSourceARN"].as_str().unwrap().ends_with(".fifo");
            let attributes = &record["attributes"];
            let queue = record["eventSourceARN"].as_str().unwrap();
            let group = if queue.contains("PreviewQueue") { "preview" } else { "deploy" };
            assert_eq!(attributes["MessageGroupId"] == group, fifo, "{name}");
            if fifo {
                assert_eq!(attributes["MessageDeduplicationId"], hex(&Sha256::digest(body)), "{name}");
            }
            ids.push(&record["messageId"]);
            checked += 1;
        }
        let all = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), all, "{name}: a message id twice");
    }
    assert!(checked > 30, "only {checked} messages found");
}

#[test]
fn events_readme_explains_exactly_these_files() {
    let readme = files::read("events/README.md");
    let mut explained: Vec<&str> =
        readme.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name).collect();
    explained.sort_unstable();
    let mut there = names();
    there.sort_unstable();
    assert_eq!(explained, there);
}

#[test]
fn sample_events_contain_no_secrets() {
    for name in names() {
        let text = files::read(&format!("events/{name}"));
        for (at, found) in text.match_indices("X-Amz-Signature=").chain(text.match_indices("X-Amz-Credential=")) {
            let value = text.get(at + found.len()..).unwrap();
            assert!(value.starts_with("EXAMPLE"), "{name}");
        }
    }
}
