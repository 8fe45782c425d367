use serde_json::{Value, json};

use super::*;

const SCHEMA: &str = include_str!("../../../../schemas/inventory.schema.json");

/// A document with every key.
fn full() -> Value {
    let (account, region) = ("111122223333", "eu-west-1");
    json!({
        "version": 1,
        "asOf": "2026-11-26T12:00:00Z",
        "locations": [{
            "account": account, "region": region, "optIn": { "Aurora": true, "EC2": false },
            "unread": [{ "part": "vaultLocks", "reason": "AccessDenied" }, { "part": "restores" }],
        }],
        "resources": [{
            "arn": "arn:aws:rds:eu-west-1:111122223333:db:orders-1", "type": "AWS::RDS::DBInstance",
            "account": account, "region": region, "id": "db-ABC", "name": "orders-1", "tags": { "stage": "prod", "secret": null },
            "cluster": "arn:aws:rds:eu-west-1:111122223333:cluster:orders", "engine": "aurora-mysql", "encrypted": true,
            "created": "2026-01-01T00:00:00Z", "active": false, "unread": ["tags", "arnEnd"],
        }],
        "plans": [{
            "id": "p", "name": "gold", "account": account, "region": region, "tags": { "a": "b" },
            "rules": [{
                "name": "daily", "schedule": "cron(0 5 ? * * *)", "targetVault": "default",
                "lifecycle": { "coldAfterDays": 1, "deleteAfterDays": 91 }, "continuous": true,
                "copies": [{ "vault": "arn:aws:backup:us-east-1:111122223333:backup-vault:c", "lifecycle": { "deleteAfterDays": -1 } }],
                "startWindowMinutes": 60, "completionWindowMinutes": 120, "unread": ["schedule", "targetVault", "lifecycle", "copies"],
            }],
            "selections": [{
                "id": "s", "name": "tagged", "resources": ["*"], "notResources": ["arn:aws:ec2:*"],
                "listOfTags": [{ "key": "backup", "value": "true" }],
                "conditions": {
                    "stringEquals": [{ "key": "aws:ResourceTag/a", "value": "b" }], "stringNotEquals": [{ "key": "c", "value": "d" }],
                    "stringLike": [{ "key": "e", "value": "*" }], "stringNotLike": [{ "key": "f", "value": "g*" }],
                },
                "unread": ["resources", "notResources", "listOfTags", "conditions"],
            }],
            "unread": ["tags", "rules", "selections"],
        }],
        "vaults": [{
            "name": "default", "account": account, "region": region, "kind": "airGapped", "tags": { "a": "b" },
            "encryptionKey": "arn:aws:kms:eu-west-1:111122223333:key/k", "policy": { "Statement": [] },
            "lock": { "minRetentionDays": 1, "maxRetentionDays": 36500, "mode": "compliance" }, "unread": ["tags", "policy", "lock"],
        }],
        "recoveryPoints": [{
            "arn": "arn:aws:backup:eu-west-1:111122223333:recovery-point:r",
            "resource": "arn:aws:rds:eu-west-1:111122223333:cluster:orders", "account": account, "region": region,
            "vault": "default", "vaultKind": "ordinary", "tags": { "a": "b" }, "created": "2026-11-26T00:00:00Z",
            "completed": "2026-11-26T01:00:00Z", "status": "AVAILABLE", "lifecycle": { "deleteAfterDays": 35 },
            "encrypted": false, "unread": ["tags", "lifecycle"],
        }],
        "restores": [{ "resource": "arn:aws:s3:::bucket", "completed": "2026-11-26T00:00:00Z", "minutes": 5 }],
    })
}

fn read(document: &Value) -> Result<Inventory, Box<Diagnostic>> {
    Inventory::read("inventory.json", &serde_json::to_string_pretty(document).expect("JSON"))
}

fn schema() -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(SCHEMA).expect("JSON");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    jsonschema::meta::validate(&schema).expect("a schema");
    jsonschema::draft202012::options().should_validate_formats(true).build(&schema).expect("a schema")
}

#[test]
fn full_document_is_read_and_matches_the_schema() {
    let inventory = read(&full()).expect("an inventory");
    assert_eq!(schema().iter_errors(&full()).map(|error| error.to_string()).collect::<Vec<_>>(), Vec::<String>::new());
    assert_eq!(inventory.resources.len(), 1);
    let resource = &inventory.resources[0];
    let text = |symbol| inventory.symbols.get(symbol);
    let tags: Vec<(&str, Option<&str>)> =
        resource.tags.iter().map(|tag| (text(tag.key), tag.value.map(text))).collect();
    assert!(tags.contains(&("stage", Some("prod"))) && tags.contains(&("secret", None)), "{tags:?}");
    assert_eq!(
        (resource.id(), resource.name(), inventory.kind(resource)),
        ("db-ABC", Some("orders-1"), "AWS::RDS::DBInstance")
    );
    let gaps: Vec<(Option<LocationPart>, &str)> = inventory.gaps().iter().map(|gap| (gap.part, gap.reason)).collect();
    assert_eq!(gaps, [(Some(LocationPart::VaultLocks), "AccessDenied"), (Some(LocationPart::Restores), "")]);
    assert!(read(&json!({ "version": 1, "asOf": "2026-11-26T12:00:00Z" })).is_ok(), "an empty one is one too");
}

/// Writing and reading preserves every key, and written documents match the schema.
#[test]
fn document_round_trips() {
    let mut document = Document::new("2026-11-26T12:00:00Z".parse().expect("a time"));
    let full = full();
    document.locations = serde_json::from_value(full["locations"].clone()).expect("locations");
    document.resources = serde_json::from_value(full["resources"].clone()).expect("resources");
    document.plans = serde_json::from_value(full["plans"].clone()).expect("plans");
    document.vaults = serde_json::from_value(full["vaults"].clone()).expect("vaults");
    document.recovery_points = serde_json::from_value(full["recoveryPoints"].clone()).expect("recovery points");
    document.restores = serde_json::from_value(full["restores"].clone()).expect("restores");
    assert_eq!(serde_json::to_value(&document).expect("JSON"), full);
    assert!(read(&full).is_ok());
    let empty = serde_json::to_value(Document::new(Timestamp::UNIX_EPOCH)).expect("JSON");
    assert!(schema().is_valid(&empty) && read(&empty).is_ok());
}

/// Removes each key, replaces each value, and adds an unknown key to each object.
#[test]
fn reader_and_schema_reject_the_same() {
    let schema = schema();
    let mut tried = 0;
    let mut paths = Vec::new();
    collect(&full(), &mut String::new(), &mut paths);
    for path in &paths {
        let parent = path.rsplit_once('/').expect("a path").0;
        let key = path.rsplit_once('/').expect("a path").1;
        // Tags, opt-in services and policies have free keys.
        let free = ["/tags", "/optIn", "/policy"].iter().any(|own| parent.contains(own));
        let mut changes: Vec<(&str, Value)> = Vec::new();
        for (what, odd) in [
            ("a number", json!(5.5)),
            ("a list", json!([[]])),
            ("an object", json!({ "x": {} })),
            ("a text", json!("§")),
        ] {
            changes.push((what, odd));
        }
        for (what, odd) in changes {
            let mut document = full();
            // serde accepts a list for an object, in the order of its keys; the schema does not.
            if odd.is_array() && document.pointer(path).is_some_and(Value::is_object) {
                continue;
            }
            *document.pointer_mut(path).expect("there") = odd;
            let (by_reader, by_schema) = (read(&document).is_ok(), schema.is_valid(&document));
            assert_eq!(by_reader, by_schema, "{what} at {path}");
            tried += 1;
        }
        let mut document = full();
        if let Some(object) = document.pointer_mut(parent).and_then(Value::as_object_mut) {
            object.remove(key);
            assert_eq!(read(&document).is_ok(), schema.is_valid(&document), "without {path}");
            let mut document = full();
            let object = document.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object");
            object.insert("odd".to_owned(), if free { json!(null) } else { json!("x") });
            assert_eq!(read(&document).is_ok(), schema.is_valid(&document), "with a key too many in {parent}");
            tried += 2;
        }
    }
    assert!(tried > 500, "{tried}");
}

fn collect(value: &Value, path: &mut String, paths: &mut Vec<String>) {
    let mut below = |key: &str, value: &Value| {
        let length = path.len();
        path.push('/');
        path.push_str(&key.replace('/', "~1"));
        paths.push(path.clone());
        collect(value, path, paths);
        path.truncate(length);
    };
    match value {
        Value::Object(object) => object.iter().for_each(|(key, value)| below(key, value)),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| below(&index.to_string(), item)),
        _ => {}
    }
}

/// Returns the message for the full document with one replacement.
fn diagnostic(right: &str, wrong: &str) -> String {
    let text = serde_json::to_string_pretty(&full()).expect("JSON");
    assert!(text.contains(right), "`{right}`");
    let diagnostic = Inventory::read("inventory.json", &text.replacen(right, wrong, 1)).expect_err("a diagnostic");
    assert!(diagnostic.at.is_some() && diagnostic.excerpt.is_some(), "{diagnostic:?}");
    format!("{}; {}", diagnostic.message, diagnostic.help)
}

#[test]
fn diagnostic_names_path_and_fix() {
    for (right, wrong, expected) in [
        ("\"version\": 1", "\"version\": 2", "`version`: version 2 is not supported; use version 1"),
        ("\"asOf\"", "\"asof\"", "unknown key `asof`; did you mean `asOf`?"),
        ("\"notResources\"", "\"notResource\"", "unknown key `notResource`; did you mean `notResources`?"),
        (
            "\"minutes\": 5",
            "\"minutes\": -5",
            "`restores[0].minutes`: invalid value: integer `-5`; it must be an integer of at least 0",
        ),
        (
            "\"encrypted\": true",
            "\"encrypted\": \"yes\"",
            "`resources[0].encrypted`: invalid value: string \"yes\"; it must be a boolean",
        ),
        ("\"vaultLocks\"", "\"vaultLock\"", "`vaultLock` is not a valid value; did you mean `vaultLocks`?"),
        ("\"eu-west-1\"", "\"eu_west_1\"", "the AWS Region `eu_west_1` does not exist; did you mean `eu-west-1`?"),
        ("\"111122223333\"", "\"11112222333\"", "the account id `11112222333` has 11 digits; write 12 digits"),
        (
            "arn:aws:rds:eu-west-1:111122223333:db:orders-1",
            "orders-1",
            "`resources[0]`: `arn` is `orders-1`; an ARN begins with `arn:`",
        ),
        (
            "arn:aws:rds:eu-west-1:111122223333:db:orders-1",
            "arn:aws:rds:us-east-1:111122223333:db:orders-1",
            "`resources[0]`: `region` is `eu-west-1`, but `us-east-1` in the ARN `arn:aws:rds:us-east-1:111122223333:db:orders-1`; \
             make them equal",
        ),
        ("\"restores\": [", "\"restores\": {", "must be"),
    ] {
        let message = diagnostic(right, wrong);
        assert!(message.contains(expected), "{right} -> {wrong}: {message}");
    }
    let whole = r#"{"version":1,"asOf":"2026-11-01T00:00:00Z","locations":[],"resources":[{"type":"AWS::RDS::DBInstance",
"arn":"arn:aws:rds","account":"111122223333","region":"eu-west-1"}]}"#;
    let diagnostic = Inventory::read("inventory.json", whole).expect_err("a diagnostic");
    assert!(diagnostic.to_string().contains("`arn` is `arn:aws:rds`; an ARN has six parts"), "{diagnostic}");
    let diagnostic = Inventory::read("inventory.json", "").expect_err("a diagnostic");
    assert_eq!(
        diagnostic.to_string(),
        "inventory.json:1:1: EOF while parsing a value; the document must be JSON, see schemas/inventory.schema.json"
    );
    assert!(Inventory::read("inventory.json", "[]").expect_err("a diagnostic").help.contains("an inventory"));
}

#[test]
fn duplicates_are_errors() {
    let twice = |list: &str, change: fn(&mut Value)| {
        let mut document = full();
        change(&mut document);
        let items = document[list].as_array_mut().expect("a list");
        items.push(items[0].clone());
        read(&document).map(|_| ()).map_err(|diagnostic| format!("{}; {}", diagnostic.message, diagnostic.help))
    };
    assert_eq!(
        twice("locations", |_| {}),
        Err("`locations[1]`: the account 111122223333 is listed twice with the Region `eu-west-1`; remove one"
            .to_owned())
    );
    assert_eq!(
        twice("resources", |document| document["resources"][0]["unread"] = json!([])),
        Err(
            "`resources[1]`: the resource `arn:aws:rds:eu-west-1:111122223333:db:orders-1` is listed twice; remove one"
                .to_owned()
        )
    );
    assert_eq!(twice("resources", |_| {}), Ok(()), "before a deployment several have one beginning");
    let text = r#"{"version":1,"version":1,"asOf":"2026-11-26T12:00:00Z"}"#;
    assert_eq!(Inventory::read("i", text).expect_err("a diagnostic").message, "duplicate key `version`");
}

#[test]
fn byte_order_mark_is_accepted() {
    let text = format!("\u{feff}{}", full());
    assert!(Inventory::read("inventory.json", &text).is_ok());
}
