//! The partial file and the summary.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use app::inventory::{
    CompletedRead, InventoryOutcome, InventoryScope, ReadFailure, ReadFailureReason, ReadRequest, Rows,
};
use evaluation::inventory::document::{Document, LocationRecord};
use framework::ids::{AccountId, RegionName};

use super::partial::Partial;
use super::summary::InventorySummary;

fn now() -> Timestamp {
    "2026-11-26T12:00:00Z".parse().unwrap()
}

fn asked() -> ReadRequest {
    ReadRequest { aggregator: "organization".into(), role: Some("reader".into()), scope: InventoryScope::default() }
}

fn part(kind: &str) -> CompletedRead {
    CompletedRead::Resources { kind: kind.to_owned(), rows: Rows::default() }
}

fn output(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("inventory.json")
}

fn open(output: &Path, at: Timestamp) -> (Partial, Timestamp, Vec<CompletedRead>) {
    Partial::open(output, &asked(), at, false).unwrap()
}

#[test]
fn partial_file_cut_at_any_byte_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let output = output(&folder);
    let (mut partial, began, parts) = open(&output, now());
    assert_eq!((began, parts), (now(), vec![]));
    for kind in ["a", "b"] {
        partial.keep(&part(kind)).unwrap();
    }
    let path = partial.path.clone();
    assert_eq!(path.file_name().unwrap(), "inventory.json.partial");
    drop(partial);
    let whole = fs::read(&path).unwrap();
    let ends: Vec<usize> = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
    assert_eq!(ends.len(), 3);
    let later = now() + SignedDuration::from_hours(23);
    for length in 0..=whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let (mut partial, began, parts) = open(&output, later);
        let lines = ends.iter().filter(|end| **end <= length).count();
        // Without a header, nothing is resumed.
        assert_eq!(began, if lines == 0 { later } else { now() }, "{length}");
        let expected: Vec<CompletedRead> = ["a", "b"].into_iter().take(lines.saturating_sub(1)).map(part).collect();
        assert_eq!(parts, expected, "{length}");
        partial.keep(&part("c")).unwrap();
        drop(partial);
        let (partial, _, parts) = open(&output, later);
        assert_eq!(parts, expected.into_iter().chain([part("c")]).collect::<Vec<_>>(), "{length}");
        partial.remove().unwrap();
        assert!(!path.exists());
    }
}

#[test]
fn partial_file_of_other_request_or_day_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let output = output(&folder);
    let (mut partial, _, _) = open(&output, now());
    partial.keep(&part("a")).unwrap();
    let busy = Partial::open(&output, &asked(), now(), false).unwrap_err();
    assert!(busy.to_string().contains("another run"), "{busy}");
    drop(partial);

    for other in [
        ReadRequest { aggregator: "other".into(), ..asked() },
        ReadRequest { role: None, ..asked() },
        ReadRequest {
            scope: InventoryScope {
                regions: [RegionName::parse("eu-west-1").unwrap()].into(),
                ..InventoryScope::default()
            },
            ..asked()
        },
    ] {
        let error = Partial::open(&output, &other, now(), false).unwrap_err().to_string();
        assert!(
            error.contains("another aggregator, role, account or Region") && error.contains("--no-resume"),
            "{error}"
        );
        let (partial, _, parts) = open(&output, now());
        assert_eq!(parts.len(), 1, "nothing is lost");
        drop(partial);
    }
    let tomorrow = now() + SignedDuration::from_hours(24) + SignedDuration::from_secs(1);
    let (partial, began, parts) = open(&output, tomorrow);
    assert_eq!((began, parts), (tomorrow, vec![]));
    drop(partial);

    let (mut partial, _, _) = open(&output, tomorrow);
    partial.keep(&part("a")).unwrap();
    drop(partial);
    let (_partial, _, parts) = Partial::open(&output, &asked(), tomorrow, true).unwrap();
    assert_eq!(parts, []);
}

#[test]
fn unrelated_file_is_rejected_and_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let output = output(&folder);
    let path = folder.path().join("inventory.json.partial");
    for text in ["my notes\n", "{}\n", "{\"inventory\":4,\"began\":\"2026-11-26T12:00:00Z\"}\n"] {
        fs::write(&path, text).unwrap();
        let error = Partial::open(&output, &asked(), now(), false).unwrap_err().to_string();
        assert!(error.contains("is not a partial inventory"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    fs::remove_file(&path).unwrap();
    let (partial, _, _) = open(&output, now());
    drop(partial);
    let header = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{header}{{\"read\":\"nothing\"}}\n")).unwrap();
    let error = Partial::open(&output, &asked(), now(), false).unwrap_err().to_string();
    assert!(error.contains("line 2 of") && error.contains("--no-resume"), "{error}");
    let nowhere = folder.path().join("missing/inventory.json");
    assert!(Partial::open(&nowhere, &asked(), now(), false).is_err());
}

fn location(account: &str, region: &str) -> (AccountId, RegionName) {
    (AccountId::parse(account).unwrap(), RegionName::parse(region).unwrap())
}

fn outcome(failures: Vec<ReadFailure>) -> InventoryOutcome {
    let mut document = Document::new(now());
    for region in ["eu-west-1", "us-east-1"] {
        let (account, region) = location("222222222222", region);
        document.locations.push(LocationRecord {
            account,
            region,
            opt_in: std::collections::BTreeMap::new(),
            unread: Vec::new(),
        });
    }
    for name in ["a", "b"] {
        let resource = serde_json::json!({
            "arn": format!("arn:aws:s3:::{name}"), "type": "AWS::S3::Bucket", "account": "222222222222", "region": "eu-west-1",
        });
        document.resources.push(serde_json::from_value(resource).unwrap());
    }
    InventoryOutcome { document, failures }
}

#[test]
fn summary_groups_failures_and_names_the_fix() {
    let failure = |region: &str, subject: &str, reason, message: &str| ReadFailure {
        location: Some(location("222222222222", region)),
        subject: subject.to_owned(),
        reason,
        message: message.to_owned(),
    };
    let whole = outcome(Vec::new());
    let summary = InventorySummary::of(&whole, Some(Path::new("inventory.json")), Some("reader"));
    let page = summary.page();
    assert!(page.starts_with("2 resources in 2 accounts and Regions, as of 2026-11-26T12:00:00Z\n"), "{page}");
    assert!(page.contains("AWS::S3::Bucket  2") && page.contains("written to inventory.json"), "{page}");
    assert!(!page.contains("not read"), "{page}");
    assert_eq!(summary.json()["complete"], true);

    let message = "sts:AssumeRole failed: AccessDenied: no";
    let broken = outcome(vec![
        failure("eu-west-1", "the parts that only AWS Backup has", ReadFailureReason::NoRole, message),
        failure("us-east-1", "the parts that only AWS Backup has", ReadFailureReason::NoRole, message),
        failure("us-east-1", "policy of the vault \u{1b}[31mred", ReadFailureReason::Denied, "no"),
    ]);
    let summary = InventorySummary::of(&broken, None, Some("reader"));
    let page = summary.page();
    for message_of in [
        "the role reader cannot be assumed in 1 account\n",
        "in 222222222222 (eu-west-1, us-east-1)\n",
        "deploy framework/prerequisites/inventory-role.yaml in the account, with the name reader",
        "policy of the vault \\u{1b}[31mred\n",
        "fix: compare the role",
    ] {
        assert!(page.contains(message_of), "`{message_of}` is missing:\n{page}");
    }
    let json = summary.json();
    assert_eq!((&json["complete"], &json["locations"]["complete"]), (&false.into(), &0.into()));
    let unread = json["unread"].as_array().unwrap();
    assert_eq!((unread.len(), &unread[0]["reason"]), (2, &"noRole".into()));
    assert_eq!(unread[0]["locations"].as_array().unwrap().len(), 2);
}

#[test]
fn role_option_accepts_only_role_names() {
    assert_eq!(super::role("backup-compliance-inventory").as_deref(), Ok("backup-compliance-inventory"));
    for bad in ["", "arn:aws:iam::1:role/x", "a/b", "a b", &"x".repeat(65)] {
        assert!(super::role(bad).is_err(), "{bad}");
    }
}
