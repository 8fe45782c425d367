//! The function `inventory`, which stores an inventory of the organization in the bucket.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde_json::{Value, json};

use app::inventory::{CompletedRead, InventoryScope, ReadRequest};
use runtime_api::InvocationOutcome;
use sandbox::config::AGGREGATOR;
use sandbox::http::HttpRequest;
use sandbox::member_services::MemberData;

use crate::application::{BUCKET, DeployedApplication, event};

const NEWEST: &str = "inventory/latest.json.gz";
const PARTIAL: &str = "inventory/partial.json.gz";

fn object(application: &DeployedApplication, key: &str) -> Option<String> {
    let response = application.client.send("s3", HttpRequest::new("GET", &format!("/{BUCKET}/{key}"))).unwrap();
    response.is_success().then(|| {
        let mut text = String::new();
        GzDecoder::new(response.body.as_slice()).read_to_string(&mut text).unwrap();
        text
    })
}

fn put(application: &DeployedApplication, key: &str, text: &str) {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    let request = HttpRequest::new("PUT", &format!("/{BUCKET}/{key}")).body(packed.finish().unwrap());
    assert!(application.client.send("s3", request).unwrap().is_success());
}

/// Long because a cloud is started and filled once.
#[test]
fn inventory_is_stored_once_a_day_and_resumed() {
    let application = DeployedApplication::start();
    let vaults = MemberData { vaults: vec![json!({"BackupVaultName": "daily"})], ..MemberData::default() };
    application.cloud.member_services().put("222222222222", "eu-west-1", vaults);
    let mut inventory = application.function("inventory");
    let wrong = inventory.refuse(&event("schedule-sweep.json"));
    assert!(wrong.contains("not an event of the inventory"), "{wrong}");

    // An invocation without time stores nothing and is no error.
    let due = event("schedule-inventory.json");
    match inventory.invoke_within(&due, Duration::from_secs(60)) {
        InvocationOutcome::Response(answer) => {
            assert_eq!((&answer["end"], &answer["stored"]), (&json!("stopped"), &json!(0)))
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(object(&application, NEWEST), None);

    let answer = match inventory.invoke_within(&due, Duration::from_secs(200)) {
        InvocationOutcome::Response(answer) => answer,
        other => panic!("{other:?}"),
    };
    assert_eq!((&answer["end"], &answer["stored"], &answer["locations"]), (&json!("stored"), &json!(1), &json!(3)));
    assert_eq!((&answer["failedReads"], &answer["secondsSinceStored"]), (&json!(0), &json!(0)), "{answer}");
    let document: Value = serde_json::from_str(&object(&application, NEWEST).unwrap()).unwrap();
    assert_eq!(document["locations"].as_array().unwrap().len(), 3, "{document}");
    assert!(document["vaults"].as_array().unwrap().iter().any(|vault| vault["name"] == "daily"), "{document}");
    assert!(inventory.calls().iter().any(|call| call == "sts:AssumeRole"), "{:?}", inventory.calls());
    assert_eq!(object(&application, PARTIAL), None);

    // It is recent: one read.
    let answer = inventory.answer(&due);
    assert_eq!((&answer["end"], &answer["stored"]), (&json!("fresh"), &json!(0)));
    let calls = inventory.calls();
    assert_eq!(calls, [format!("s3:GET /{BUCKET}/")]);

    // A read that another invocation has begun is completed, and what it has read is not read again.
    let request = ReadRequest {
        aggregator: AGGREGATOR.to_owned(),
        role: Some("backup-compliance-inventory".to_owned()),
        scope: InventoryScope::default(),
    };
    #[expect(clippy::disallowed_methods, reason = "the function reads the clock, and resumes no older read")]
    let began = Timestamp::now();
    let sources = CompletedRead::Sources { sources: Vec::new() };
    put(&application, PARTIAL, &(request.first_line(began) + &sources.line().unwrap()));
    let answer = match inventory.invoke_within(&due, Duration::from_secs(200)) {
        InvocationOutcome::Response(answer) => answer,
        other => panic!("{other:?}"),
    };
    assert_eq!(answer["end"], "stored", "{answer}");
    let calls = inventory.calls();
    assert!(!calls.iter().any(|call| call.ends_with("SourcesStatus")), "{calls:?}");
    assert_eq!(object(&application, PARTIAL), None);
    let resumed: Value = serde_json::from_str(&object(&application, NEWEST).unwrap()).unwrap();
    assert_eq!(resumed["asOf"].as_str().unwrap().parse::<Timestamp>().unwrap().as_second(), began.as_second());

    // Without the bucket it fails, and names the permission.
    let mut other = application.function_with("inventory", &[("TEMPLATE_BUCKET_NAME", "missing")]);
    let error = other.refuse(&due);
    assert!(error.contains("s3:ListBucket"), "{error}");
    other.stop();
    inventory.stop();
    application.stop();
}
