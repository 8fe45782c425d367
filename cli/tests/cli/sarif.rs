//! SARIF logs: the schema by OASIS, and what GitHub code scanning requires ("SARIF support for code scanning", "SARIF results
//! exceed limits").

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::lint::{TEMPLATE, changed, folder, starter};
use crate::run;

/// The schema of SARIF 2.1.0 by OASIS, from the package `serde-sarif`, which is a dependency for this only.
fn schema_of_sarif() -> jsonschema::Validator {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let arguments = ["metadata", "--format-version", "1", "--locked", "--filter-platform", &target];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut packages = metadata.get("packages").and_then(Value::as_array).unwrap().iter();
    let package = packages.find(|package| package.get("name").is_some_and(|name| name == "serde-sarif")).unwrap();
    let manifest = Path::new(package.get("manifest_path").and_then(Value::as_str).unwrap());
    let text = fs::read_to_string(manifest.with_file_name("src/schema.json")).unwrap();
    assert!(text.contains("Static Analysis Results Format (SARIF) Version 2.1.0 JSON Schema"));
    // The pattern for languages has an unescaped bracket, which strict regex engines reject.
    let schema: Value = serde_json::from_str(&text.replace("{2}]?$", "{2}\\\\]?$")).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

/// Asserts that a log matches the schema of SARIF, and that code scanning accepts it.
pub(crate) fn valid_sarif(log: &Value) {
    let errors: Vec<String> = schema_of_sarif().iter_errors(log).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{log:#}");
    let rejections = rejections(log);
    assert!(rejections.is_empty(), "{rejections:#?}\n{log:#}");
}

fn items<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn length(value: &Value, pointer: &str) -> usize {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().chars().count()
}

/// Returns the reasons for which code scanning rejects a log or does not show a result.
pub(crate) fn rejections(log: &Value) -> Vec<String> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(log.to_string().as_bytes()).unwrap();
    let runs = items(log, "runs");
    let mut found = Vec::new();
    let mut require = |is_met: bool, what: &str| found.extend((!is_met).then(|| what.to_owned()));
    require(gzip.finish().unwrap().len() <= 10_000_000, "more than 10 MB, compressed");
    require(log["version"] == "2.1.0" && length(log, "/$schema") > 0, "version and schema");
    require((1..=20).contains(&runs.len()), "number of runs");
    for run in runs {
        let rules = items(&run["tool"]["driver"], "rules");
        require(length(run, "/tool/driver/name") > 0, "name of the tool");
        require(rules.len() <= 25_000, "more than 25,000 rules");
        let ids: BTreeSet<&str> = rules.iter().filter_map(|rule| rule["id"].as_str()).collect();
        require(ids.len() == rules.len(), "each rule has its own id");
        for rule in rules {
            for text in ["/shortDescription/text", "/fullDescription/text"] {
                require((1..=1_024).contains(&length(rule, text)), &format!("{text} of the rule {}", rule["id"]));
            }
            require(length(rule, "/help/text") > 0, "help of the rule");
            require(length(rule, "/name") <= 255, "name of the rule");
            let level = rule.pointer("/defaultConfiguration/level").and_then(Value::as_str).unwrap_or("warning");
            require(["note", "warning", "error"].contains(&level), "default level of the rule");
            let tags = rule.pointer("/properties/tags").and_then(Value::as_array).map_or(0, Vec::len);
            require(tags <= 20, "more than 20 tags");
        }
        let results = items(run, "results");
        require(results.len() <= 25_000, "more than 25,000 results");
        let suppressed = results.iter().filter(|result| result.get("suppressions").is_some()).count();
        require(suppressed == 0 || suppressed == results.len(), "all results or none have suppressions");
        for result in results {
            result_rejections(result, rules, &mut require);
        }
    }
    found
}

fn result_rejections(result: &Value, rules: &[Value], require: &mut impl FnMut(bool, &str)) {
    let index = result["ruleIndex"].as_u64().and_then(|index| usize::try_from(index).ok());
    let rule = index.and_then(|index| rules.get(index));
    require(rule.is_some_and(|rule| rule["id"] == result["ruleId"]), "rule of the result");
    require(length(result, "/message/text") > 0, "message");
    require(length(result, "/partialFingerprints/primaryLocationLineHash") > 0, "fingerprint");
    let locations = items(result, "locations");
    require(locations.len() == 1, "one location");
    for location in locations {
        let uri = location.pointer("/physicalLocation/artifactLocation/uri").and_then(Value::as_str);
        let uri = uri.unwrap_or_default();
        let is_relative = !uri.is_empty() && !uri.starts_with('/') && !uri.contains(':') && !uri.contains('\\');
        require(is_relative && uri.split('/').all(|part| part != ".."), &format!("relative URI: `{uri}`"));
        let number = |key: &str| {
            location.pointer(&format!("/physicalLocation/region/{key}")).map(|it| it.as_u64().unwrap_or_default())
        };
        let (line, column) = (number("startLine").unwrap_or_default(), number("startColumn").unwrap_or(1));
        let (end_line, end_column) = (number("endLine").unwrap_or(line), number("endColumn").unwrap_or(u64::MAX));
        require(line >= 1 && column >= 1 && (line, column) <= (end_line, end_column), "region");
    }
}

#[test]
fn each_demand_of_code_scanning_is_checked() {
    let folder = folder(TEMPLATE);
    let log: Value =
        serde_json::from_str(&run(folder.path(), &["lint", "framework.yaml", "--format", "sarif"]).stdout).unwrap();
    assert!(rejections(&log).is_empty());
    let (result, rule) = ("/runs/0/results/0", "/runs/0/tool/driver/rules/0");
    let place = format!("{result}/locations/0/physicalLocation");
    for (pointer, value) in [
        (format!("{result}/message/text"), json!("")),
        (format!("{result}/ruleId"), json!("BC999")),
        (format!("{result}/partialFingerprints"), json!({})),
        (format!("{result}/locations"), json!([])),
        (place.clone(), Value::Null),
        (format!("{place}/artifactLocation/uri"), json!("../framework.yaml")),
        (format!("{place}/artifactLocation/uri"), json!("file:///framework.yaml")),
        (format!("{place}/region"), json!({ "startColumn": 1 })),
        (format!("{place}/region/startLine"), json!(0)),
        (format!("{rule}/help/text"), json!("")),
        (format!("{rule}/fullDescription/text"), json!("x".repeat(1_025))),
        (format!("{rule}/defaultConfiguration/level"), json!("none")),
        ("/runs/0/results".to_owned(), Value::Array(vec![log.pointer(result).unwrap().clone(); 25_001])),
        ("/runs".to_owned(), json!([])),
    ] {
        let mut wrong = log.clone();
        *wrong.pointer_mut(&pointer).unwrap() = value;
        assert!(!rejections(&wrong).is_empty(), "{pointer}");
    }
}

#[test]
fn sarif_matches_the_schema() {
    let folder = folder(TEMPLATE);
    let broken = changed(|policy| policy.replace("version: 1", "version: 3"));
    for (folder, args) in [
        (folder.path(), &["lint", "framework.yaml", "--format", "sarif"][..]),
        (starter().as_path(), &["lint", "--format", "sarif"]),
        (broken.path(), &["lint", "--format", "sarif"]),
    ] {
        let ran = run(folder, args);
        let log: Value = serde_json::from_str(&ran.stdout).unwrap();
        valid_sarif(&log);
    }
    let log: Value =
        serde_json::from_str(&run(folder.path(), &["lint", "framework.yaml", "--format", "sarif"]).stdout).unwrap();
    let results = log["runs"][0]["results"].as_array().unwrap();
    let name = results.iter().find(|result| result["ruleId"] == "BC011").unwrap();
    assert_eq!(
        name["locations"][0]["physicalLocation"]["region"],
        json!({ "startLine": 5, "startColumn": 22, "endLine": 5, "endColumn": 32 })
    );
    assert_eq!(name["fixes"][0]["artifactChanges"][0]["replacements"][0]["insertedContent"]["text"], "org_backup");
    // The schema has definitions.
    let schema = schema_of_sarif();
    let mut wrong = log.clone();
    wrong["runs"][0]["results"][0]["level"] = "bad".into();
    assert!(!schema.is_valid(&wrong));
    let mut wrong = log;
    wrong["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] = 0.into();
    assert!(!schema.is_valid(&wrong));
}
