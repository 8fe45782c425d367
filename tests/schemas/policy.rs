//! `schemas/policy.schema.json` and the starter policy. The unit tests of the policy reader compare reader and schema
//! case by case.

use serde_json::Value;

use domain::policy::Policy;

use super::{faults, schema};
use crate::files::read;
use crate::template::yaml;

const SCHEMA: &str = "schemas/policy.schema.json";
const STARTER: &str = "framework/backup-compliance.yaml";

#[test]
fn starter_policy_is_valid() {
    let text = read(STARTER);
    assert!(Policy::read(STARTER, &text).is_ok());
    assert_eq!(faults(&schema(SCHEMA), &yaml::parse(&text)), Vec::<String>::new());
}

/// A text in which the comments from `# key:` to the next line without a comment are uncommented.
fn uncommented(text: &str, key: &str) -> String {
    let (before, comment) = text.split_once(&format!("# {key}:")).unwrap();
    let (comment, after) = comment.split_once("\n\n").unwrap_or((comment, ""));
    let lines = comment.lines().map(|line| line.strip_prefix("# ").unwrap_or(line));
    format!("{before}{key}:{}\n\n{after}", lines.collect::<Vec<_>>().join("\n"))
}

/// The starter policy has these sections in comments.
#[test]
fn starter_policy_with_options_is_valid() {
    let text = uncommented(&uncommented(&read(STARTER), "notices"), "exemptions");
    let policy = Policy::read(STARTER, &text).unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!(policy.reporting.exemptions.len(), 1);
    assert_eq!(policy.reporting.exemptions[0].tags.len(), 1);
    assert_eq!(policy.reporting.severity.len(), 2);
    assert_eq!(faults(&schema(SCHEMA), &yaml::parse(&text)), Vec::<String>::new());
}

#[test]
fn invalid_policy_is_rejected_by_schema_and_reader() {
    let schema = schema(SCHEMA);
    let starter = uncommented(&uncommented(&read(STARTER), "notices"), "exemptions");
    let frameworks = starter.split_once("\nframeworks:").unwrap().1.split_once("\n\n").unwrap().0;
    for (case, right, wrong) in [
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
        assert!(starter.contains(right), "{case}: `{right}` is not in the starter policy");
        let text = starter.replacen(right, wrong, 1);
        let document: Value = yaml::parse(&text);
        assert!(!schema.is_valid(&document), "the schema accepts {case}");
        assert!(Policy::read(STARTER, &text).is_err(), "the reader accepts {case}");
    }
}

/// A framework for organizational units with all its options.
const UNITS: &str = r#"version: 1
removeUndeclared: true
frameworks:
  - name: backup-compliance
    template: framework.yaml
    adopt: true
    callAs: delegatedAdministrator
    autoDeployment: { enabled: true, retainStacks: true }
    targets:
      - organizationalUnits: [ou-abcd-11111111, r-abcd]
        excludedAccounts: ["111111111111"]
        regions: [eu-west-1]
      - organizationalUnits: [ou-abcd-22222222]
        onlyAccounts: ["222222222222"]
        regions: [eu-west-1]
    rollout: { concurrencyMode: strict }
"#;

#[test]
fn schema_and_reader_agree_on_units() {
    let schema = schema(SCHEMA);
    let accounts = "accounts: [\"111111111111\"]";
    for (case, right, wrong, accepted) in [
        ("as it is", "version: 1", "version: 1", true),
        ("auto-deployment as a word", "{ enabled: true, retainStacks: true }", "false", true),
        ("auto-deployment without stacks", ", retainStacks: true }", " }", true),
        ("for this account", "delegatedAdministrator", "self", true),
        ("the soft mode", "strict", "soft", true),
        ("no filter", "        excludedAccounts: [\"111111111111\"]\n", "", true),
        ("a flag in quotes", "removeUndeclared: true", "removeUndeclared: \"true\"", false),
        ("a flag that is a number", "adopt: true", "adopt: 1", false),
        ("an administrator that is none", "delegatedAdministrator", "DELEGATED_ADMIN", false),
        ("a mode that is none", "strict", "hard", false),
        ("stacks that stay without it", "{ enabled: true", "{ enabled: false", false),
        ("auto-deployment without a word", "{ enabled: true, retainStacks: true }", "{ retainStacks: true }", false),
        ("auto-deployment with an unknown key", "retainStacks", "retainStack", false),
        ("a unit in capitals", "ou-abcd-11111111", "OU-abcd-11111111", false),
        ("a unit too short", "ou-abcd-11111111", "ou-abcd-1111111", false),
        ("a unit twice", "ou-abcd-11111111, r-abcd", "r-abcd, r-abcd", false),
        ("no units", "[ou-abcd-11111111, r-abcd]", "[]", false),
        ("both filters", "onlyAccounts", "excludedAccounts: [\"333333333333\"]\n        onlyAccounts", false),
        ("a filter with an account too short", "\"222222222222\"", "\"22222222222\"", false),
        ("accounts beside units", "onlyAccounts", "accounts", false),
        (
            "accounts in another target",
            "organizationalUnits: [ou-abcd-22222222]\n        onlyAccounts",
            "accounts",
            false,
        ),
        ("a filter without units", "organizationalUnits: [ou-abcd-11111111, r-abcd]", accounts, false),
        ("neither", "organizationalUnits: [ou-abcd-11111111, r-abcd]\n        excluded", "#", false),
    ] {
        assert!(UNITS.contains(right), "{case}: `{right}`");
        let text = UNITS.replacen(right, wrong, 1);
        assert_eq!(Policy::read("p", &text).is_ok(), accepted, "the reader: {case}\n{text}");
        assert_eq!(schema.is_valid(&yaml::parse(&text)), accepted, "the schema: {case}\n{text}");
    }
    // Options of organizational units are rejected for accounts.
    let starter = read(STARTER);
    for line in ["callAs: self", "autoDeployment: false", "adopt: true"] {
        let text = starter.replacen("    targets:", &format!("    {line}\n    targets:"), 1);
        assert_ne!(text, starter);
        let accepted = line.starts_with("adopt");
        assert_eq!(Policy::read("p", &text).is_ok(), accepted, "the reader: {line}");
        assert_eq!(schema.is_valid(&yaml::parse(&text)), accepted, "the schema: {line}");
    }
}
