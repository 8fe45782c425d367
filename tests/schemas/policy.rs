//! `schemas/policy.schema.json`. That it agrees with the reader of the policy file case by case is tested in `domain`; this
//! holds it against the files people start from.

use domain::policy::Policy;
use serde_json::Value;

use crate::{faults, read, schema, yaml};

const SCHEMA: &str = "schemas/policy.schema.json";
const STARTER: &str = "framework/backup-compliance.yaml";

#[test]
fn the_starter_policy_is_accepted() {
    let text = read(STARTER);
    assert!(Policy::read(STARTER, &text).is_ok());
    assert_eq!(faults(&schema(SCHEMA), &yaml::parse(&text)), Vec::<String>::new());
}

/// The text with the comments taken off that start with `# key:`, up to the next line that is no comment.
fn uncommented(text: &str, key: &str) -> String {
    let (before, comment) = text.split_once(&format!("# {key}:")).unwrap();
    let (comment, after) = comment.split_once("\n\n").unwrap_or((comment, ""));
    let lines = comment.lines().map(|line| line.strip_prefix("# ").unwrap_or(line));
    format!("{before}{key}:{}\n\n{after}", lines.collect::<Vec<_>>().join("\n"))
}

/// They stand in comments, for people to take out of them.
#[test]
fn the_starter_policy_with_its_notices_and_its_exemption_is_accepted() {
    let text = uncommented(&uncommented(&read(STARTER), "notices"), "exemptions");
    let policy = Policy::read(STARTER, &text).unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!(policy.reporting.exemptions.len(), 1);
    assert_eq!(policy.reporting.exemptions[0].tags.len(), 1);
    assert_eq!(policy.reporting.severity.len(), 2);
    assert_eq!(faults(&schema(SCHEMA), &yaml::parse(&text)), Vec::<String>::new());
}

#[test]
fn the_obvious_is_refused_by_both() {
    let schema = schema(SCHEMA);
    let starter = uncommented(&uncommented(&read(STARTER), "notices"), "exemptions");
    let frameworks = starter.split_once("\nframeworks:").unwrap().1.split_once("\n\n").unwrap().0;
    for (what, right, wrong) in [
        ("another version", "version: 1", "version: 2"),
        ("no version", "version: 1\n", ""),
        ("an unknown key", "targets:", "target:"),
        ("an account too short", "\"111111111111\"", "\"11111111111\""),
        ("an account that is a number", "\"111111111111\"", "111111111111"),
        ("a Region that does not exist", "eu-west-1]", "eu-wset-1]"),
        ("no Regions", "[us-east-1, eu-west-1]", "[]"),
        ("a name with an underscore", "name: backup-compliance", "name: backup_compliance"),
        ("a share over 100%", "maxConcurrency: 100%", "maxConcurrency: 101%"),
        ("a word for the Regions that is none", "regions: parallel", "regions: sideways"),
        ("a severity that is none", "severity: critical", "severity: urgent"),
        ("a severity in capitals", "severity: critical", "severity: CRITICAL"),
        ("a rule without a severity", "      severity: critical\n", ""),
        ("a reminder of today", "[7, 30]", "[0, 30]"),
        ("a reminder twice", "[7, 30]", "[7, 7]"),
        ("a reminder in words", "[7, 30]", "[weekly]"),
        ("an owner tag without a key", "ownerTag: owner", "ownerTag: \"\""),
        ("no tags", "tags: { environment: sandbox }\n    reason", "tags: {}\n    reason"),
        ("a tag that is a number", "tags: { environment: sandbox }\n    reason", "tags: { cost: 5 }\n    reason"),
        ("no frameworks", frameworks, " []\n"),
    ] {
        assert!(starter.contains(right), "{what}: `{right}` is not in the starter policy");
        let text = starter.replacen(right, wrong, 1);
        let document: Value = yaml::parse(&text);
        assert!(!schema.is_valid(&document), "the schema accepts {what}");
        assert!(Policy::read(STARTER, &text).is_err(), "the reader accepts {what}");
    }
}
