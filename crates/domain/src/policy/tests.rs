use std::fmt::Write as _;

use proptest::prelude::*;

use framework::control::Severity;

use super::*;

mod exempting;
mod targets;
mod units;

/// A policy with every key.
const FULL: &str = r#"version: 1
frameworks:
  - name: backup-compliance
    template: policies/framework.yaml
    parameters: { MinimumRetentionDays: "35", Days: 35, Strict: true, Empty: "" }
    targets:
      - accounts: ["111111111111", "222222222222"]
        regions: [us-east-1, eu-west-1]
      - accounts: ["333333333333"]
        regions: [us-east-1]
        parameters: { MinimumRetentionDays: "90" }
    rollout:
      maxConcurrency: 2
      failureTolerance: 25%
      regions: sequential
      regionOrder: [eu-west-1, us-east-1]
exemptions:
  - control: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
    resources: ["arn:aws:rds:*:*:cluster:scratch-*"]
    accounts: ["222222222222"]
    tags: { environment: sandbox, "cost-center": "" }
    reason: throw-away test clusters
    owner: data-platform@example.com
    until: 2027-01-31
notices:
  ownerTag: team
  reminders: [3, 14]
  severity:
    - control: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
      accounts: ["222222222222"]
      tags: { environment: prod-* }
      severity: critical
    - tags: { environment: demo }
      severity: low
"#;

/// A policy with the required keys only.
const LEAST: &str = r#"version: 1
frameworks:
  - name: backup-compliance
    template: framework.yaml
    targets:
      - accounts: ["111111111111"]
        regions: [eu-west-1]
"#;

fn read(text: &str) -> Policy {
    match Policy::read("backup-compliance.yaml", text) {
        Ok(policy) => policy,
        Err(diagnostics) => panic!("{diagnostics:#?}"),
    }
}

fn diagnostics(text: &str) -> Vec<Diagnostic> {
    Policy::read("p", text).expect_err("the policy should be rejected")
}

#[test]
fn policy_with_every_key_is_read() {
    let policy = read(FULL);
    let [framework] = policy.frameworks.as_slice() else { panic!("one framework") };
    assert_eq!(framework.name.as_str(), "backup-compliance");
    assert_eq!(framework.template, "policies/framework.yaml");
    assert_eq!(framework.at, Position { line: 3, column: 5 });
    let parameters: Vec<_> = framework.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(parameters, [("Days", "35"), ("Empty", ""), ("MinimumRetentionDays", "35"), ("Strict", "true")]);
    assert_eq!(framework.targets.len(), 2);
    assert_eq!(framework.targets[1].parameters["MinimumRetentionDays"], "90");
    let region = |name| RegionName::parse(name).expect("a Region");
    assert_eq!(
        framework.rollout,
        RolloutSettings {
            max_concurrency: CountOrPercentage::Count(2),
            failure_tolerance: CountOrPercentage::Percentage(25),
            mode: ConcurrencyMode::Soft,
            regions: RegionConcurrency::Sequential,
            region_order: vec![region("eu-west-1"), region("us-east-1")],
        }
    );
    let [exemption] = policy.reporting.exemptions.as_slice() else { panic!("one exemption") };
    assert_eq!(exemption.control.name, "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN");
    assert_eq!(exemption.until, jiff::civil::date(2027, 1, 31));
    let tags: Vec<_> = exemption.tags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(tags, [("cost-center", ""), ("environment", "sandbox")]);
    assert_eq!(policy.exemption_positions, [Position { line: 18, column: 5 }]);
    assert_eq!((policy.reporting.owner_tag.as_str(), policy.reporting.reminders.as_slice()), ("team", &[3, 14][..]));
    let [prod, demo] = policy.reporting.severity.as_slice() else { panic!("two rules") };
    assert_eq!(
        *prod,
        SeverityRule {
            control: Some("BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN".to_owned()),
            accounts: vec![AccountId::parse("222222222222").expect("an account")],
            tags: BTreeMap::from([("environment".to_owned(), "prod-*".to_owned())]),
            severity: Severity::Critical,
        }
    );
    assert_eq!((demo.control.as_ref(), demo.accounts.len(), demo.severity), (None, 0, Severity::Low));
}

#[test]
fn policy_minimal_has_defaults() {
    let policy = read(LEAST);
    assert_eq!(policy.frameworks[0].rollout, RolloutSettings::default());
    assert!(policy.frameworks[0].parameters.is_empty());
    assert_eq!(policy.reporting, Reporting::default());
}

#[test]
fn policy_accepts_aliases_json_bom_and_crlf() {
    let json = r#"{"version": 1, "frameworks": [{"name": "a", "template": "t.json",
	"targets": [{"accounts": ["111111111111"], "regions": ["eu-west-1"]}]}]}"#;
    assert_eq!(read(json).frameworks.len(), 1);
    assert_eq!(read(&format!("\u{feff}{}", LEAST.replace('\n', "\r\n"))), read(LEAST));
    let alias = LEAST.replace(
        "regions: [eu-west-1]",
        "regions: &r [eu-west-1]\n      - accounts: [\"222222222222\"]\n        regions: *r",
    );
    assert_eq!(read(&alias).frameworks[0].targets.len(), 2);
}

#[test]
fn instance_listed_twice_alike_is_accepted() {
    let twice = LEAST.replace(r#"["111111111111"]"#, r#"["111111111111", "111111111111"]"#);
    assert_eq!(read(&twice).frameworks.len(), 1);
}

/// Text of [`FULL`], and its replacement.
const BROKEN: &[(&str, &str)] = &[
    ("version: 1\n", ""),
    ("version: 1", "version: 2"),
    ("version: 1", "version: \"1\""),
    ("version: 1", "version:"),
    ("version: 1", "verison: 1"),
    ("version: 1", "version: 1\nversion: 1"),
    ("version: 1", "version: !Ref x"),
    ("    template: policies/framework.yaml", "    templat: policies/framework.yaml"),
    ("template: policies/framework.yaml", "template: /framework.yaml"),
    ("template: policies/framework.yaml", "template: ../framework.yaml"),
    ("template: policies/framework.yaml", "template: policies\\framework.yaml"),
    ("template: policies/framework.yaml", "template: ./framework.yaml"),
    ("template: policies/framework.yaml", "template: policies/"),
    ("template: policies/framework.yaml", "template: \"\""),
    ("template: policies/framework.yaml", "template: 5"),
    ("template: policies/framework.yaml", "template: [a]"),
    ("name: backup-compliance", "name: backup_compliance"),
    ("name: backup-compliance", "name:"),
    ("parameters: { MinimumRetentionDays: \"35\", Days: 35, Strict: true, Empty: \"\" }", "parameters: [a]"),
    ("Days: 35, Strict", "Days: [35], Nothing: , Function: !Ref X, Strict"),
    ("\"111111111111\"", "111111111111"),
    ("\"111111111111\"", "11111111111"),
    ("\"111111111111\"", "\"11111111111\""),
    ("\"111111111111\"", "\"1111-1111-1111\""),
    ("accounts: [\"111111111111\", \"222222222222\"]", "accounts: \"111111111111\""),
    ("accounts: [\"111111111111\", \"222222222222\"]", "accounts: []"),
    ("accounts: [\"111111111111\", \"222222222222\"]", "accounts:"),
    ("accounts: [\"111111111111\", \"222222222222\"]", "organizationalUnits: [ou-abcd-12345678]"),
    ("accounts: [\"111111111111\", \"222222222222\"]", "acounts: [\"111111111111\"]"),
    ("regions: [us-east-1, eu-west-1]", "regions: [us-esat-1, eu-west-1, Ireland]"),
    ("regions: [us-east-1, eu-west-1]", "regions: []"),
    ("\"333333333333\"", "\"111111111111\""),
    ("maxConcurrency: 2", "maxConcurrency: 0"),
    ("maxConcurrency: 2", "maxConcurrency: 0%"),
    ("maxConcurrency: 2", "maxConcurrency: 101%"),
    ("maxConcurrency: 2", "maxConcurrency: \"2\""),
    ("maxConcurrency: 2", "maxConcurrency: 1.5"),
    ("maxConcurrency: 2", "maxconcurrency: 2"),
    ("failureTolerance: 25%", "failureTolerance: -1"),
    ("failureTolerance: 25%", "failureTolerance: {}"),
    ("failureTolerance: 25%", "failureTolerance: 101%"),
    ("failureTolerance: 25%", "concurrencyMode: Strict"),
    ("failureTolerance: 25%", "concurrencyMode: 1"),
    ("failureTolerance: 25%", "concurrencymode: strict"),
    ("version: 1", "version: 1\nremoveUndeclared: perhaps"),
    ("version: 1", "version: 1\nremoveUndeclared: \"true\""),
    ("version: 1", "version: 1\nremoveUndeclared: 1"),
    ("version: 1", "version: 1\nremoveUndeclared: []"),
    ("version: 1", "version: 1\nremoveUndeclared:"),
    ("version: 1", "version: 1\nremoveundeclared: true"),
    ("    targets:", "    adopt: yes please\n    targets:"),
    ("    targets:", "    adopt: {}\n    targets:"),
    ("    targets:", "    adopted: true\n    targets:"),
    ("    targets:", "    callAs: delegatedAdministrator\n    autoDeployment: true\n    targets:"),
    ("regions: sequential", "regions: Sequential"),
    ("regions: sequential", "regions: sometimes"),
    ("regionOrder: [eu-west-1, us-east-1]", "regionOrder: [eu-west-1, eu-west-1, eu-west-2]"),
    ("control: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN", "control: BACKUP_RESOURCES_PROTECTED_BY_PLAN"),
    ("\"arn:aws:rds:*:*:cluster:scratch-*\"", "scratch-*"),
    ("reason: throw-away test clusters", "reason: \"\""),
    ("    reason: throw-away test clusters\n", ""),
    ("until: 2027-01-31", "until: 31.01.2027"),
    ("until: 2027-01-31", "until: 2027-02-30"),
    ("until: 2027-01-31", "until: 2027-01-31T10:00"),
    ("until: 2027-01-31", "until: 20270131"),
    ("exemptions:", "exemption:"),
    ("exemptions:", "exemptions: {}\nexemption:"),
    ("    tags: { environment: sandbox, \"cost-center\": \"\" }", "    tag: { environment: sandbox }"),
    ("tags: { environment: sandbox, \"cost-center\": \"\" }", "tags: {}"),
    ("tags: { environment: sandbox, \"cost-center\": \"\" }", "tags: [environment]"),
    ("tags: { environment: sandbox, \"cost-center\": \"\" }", "tags:"),
    ("environment: sandbox, \"cost-center\": \"\"", "a: 5, b: true, c: , d: [x], e: !Ref f, \"\": g"),
    (
        "    reason: throw",
        "    reason: is throw-away\n    owner: me\n    until: 2026-12-31\n  - <<: x\n    reason: throw",
    ),
    ("ownerTag: team", "ownerTag: 5"),
    ("ownerTag: team", "ownerTag: \"\""),
    ("ownerTag: team", "ownertag: team"),
    ("ownerTag: team", "owner: team"),
    ("reminders: [3, 14]", "reminders: [14, 3, 14, 7, 30]"),
    ("reminders: [3, 14]", "reminders: [0, -1, 3651, 1.5, \"7\", seven, [7], !Days 7, ]"),
    ("reminders: [3, 14]", "reminders: 7"),
    ("reminders: [3, 14]", "reminders:"),
    ("reminders: [3, 14]", "reminder: [3]"),
    ("  severity:\n    - control", "  severity: high\n  severities:\n    - control"),
    ("severity: critical", "severity: Critical"),
    ("severity: critical", "severity: CRITICAL"),
    ("severity: critical", "severity: hihg"),
    ("severity: critical", "severity: P1"),
    ("severity: critical", "severity: 1"),
    ("      severity: critical\n", ""),
    ("tags: { environment: prod-* }", "tags: { environment: \"*\" }\n      account: [\"222222222222\"]"),
    ("- tags: { environment: demo }\n      severity: low", "- high"),
    (
        "- tags: { environment: demo }\n      severity: low",
        "- severity: low\n    - tags: { a: b }\n      severity: high",
    ),
    ("  - control", "  control"),
];

/// Whole files that are not policies.
const NO_POLICIES: &[&str] = &[
    "",
    "\u{feff}",
    "# nothing\n",
    "just words\n",
    "- version: 1\n",
    "version: 1\nframeworks: []\n",
    "version: 1\nframeworks: {}\n",
    "version: 1\nframeworks:\n",
    "version: 1\nframeworks:\n  - framework.yaml\n",
    "version: 1\nframeworks:\n  - name: a\n  - {}\n",
    "version: 1\nframeworks:\n  - name: a\n    targets: [ {accounts: [\"1\"\n",
    "version: 1\n\tframeworks: []\n",
];

#[test]
fn policy_errors_match_snapshot() {
    let mut all = String::new();
    for (old, new) in BROKEN {
        assert!(FULL.contains(old), "{old}");
        let _ = writeln!(all, "{} -> {}", old.trim().escape_debug(), new.trim().escape_debug());
        for diagnostic in diagnostics(&FULL.replacen(old, new, 1)) {
            let _ = writeln!(all, "    {diagnostic}");
        }
    }
    for text in NO_POLICIES {
        let _ = writeln!(all, "{}", text.escape_debug());
        for diagnostic in diagnostics(text) {
            let _ = writeln!(all, "    {diagnostic}");
        }
    }
    insta::assert_snapshot!(all);
}

#[test]
fn policy_errors_are_all_reported_in_order() {
    let text = FULL
        .replace("version: 1", "version: 7")
        .replace("\"222222222222\"]\n        regions: [us-east-1", "22222222222]\n        regions: [us-esat-1")
        .replace("template: p", "tempate: p")
        .replace("until: 2027-01-31", "until: soon\n    unitl: later");
    let diagnostics = diagnostics(&text);
    let places: Vec<_> =
        diagnostics.iter().filter_map(|diagnostic| diagnostic.at).map(|at| (at.line, at.column)).collect();
    assert_eq!(places, [(1, 10), (4, 5), (7, 36), (8, 19), (24, 12), (25, 5)]);
    assert_eq!(diagnostics[2].message, "the account id `22222222222` has 11 digits");
    assert_eq!(
        diagnostics[2].excerpt.as_deref(),
        Some(concat!("      - accounts: [\"111111111111\", 22222222222]\n", "                                   ^"))
    );
}

/// A rule for every violation is allowed, but rules after it have no effect.
#[test]
fn severity_rule_without_effect_is_rejected() {
    let read = |rules: &str| {
        let text = format!("{LEAST}notices:\n  reminders: []\n  severity:\n{rules}");
        Policy::read("p", &text).map_err(|diagnostics| diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    for (case, first, second, applies) in [
        ("everything", "{ severity: low }", "{ tags: { a: b }, severity: high }", false),
        ("the same", "{ tags: { a: b }, severity: low }", "{ tags: { a: b }, severity: high }", false),
        ("more tags", "{ tags: { a: b }, severity: low }", "{ tags: { a: b, c: d }, severity: high }", false),
        ("fewer tags", "{ tags: { a: b, c: d }, severity: low }", "{ tags: { a: b }, severity: high }", true),
        ("a wider value", "{ tags: { a: \"b*\" }, severity: low }", "{ tags: { a: \"b*c\" }, severity: high }", false),
        (
            "a narrower value",
            "{ tags: { a: \"b*c\" }, severity: low }",
            "{ tags: { a: \"b*\" }, severity: high }",
            true,
        ),
        ("any value", "{ tags: { a: \"*\" }, severity: low }", "{ tags: { a: \"\" }, severity: high }", false),
        (
            "more accounts",
            "{ accounts: [\"111111111111\", \"222222222222\"], severity: low }",
            "{ accounts: [\"222222222222\"], severity: high }",
            false,
        ),
        ("some accounts", "{ accounts: [\"111111111111\"], severity: low }", "{ severity: high }", true),
        (
            "another control",
            "{ control: BACKUP_RECOVERY_POINT_ENCRYPTED, severity: low }",
            "{ control: BACKUP_LAST_RECOVERY_POINT_CREATED, severity: high }",
            true,
        ),
        (
            "all controls",
            "{ accounts: [\"111111111111\"], severity: low }",
            "{ accounts: [\"111111111111\"], control: BACKUP_RECOVERY_POINT_ENCRYPTED, severity: high }",
            false,
        ),
    ] {
        let outcome = read(&format!("    - {first}\n    - {second}\n"));
        match (applies, outcome) {
            (true, Ok(policy)) => assert_eq!(policy.reporting.severity.len(), 2, "{case}"),
            (false, Err(diagnostics)) => assert_eq!(
                diagnostics,
                ["p:12:7: this rule never applies: the rule at line 11, column 7 matches everything that it matches; \
                  move it before that rule, or remove it: the first rule that matches applies"],
                "{case}"
            ),
            (_, outcome) => panic!("{case}: {outcome:?}"),
        }
    }
}

#[test]
fn preview_limits_are_whole_numbers() {
    let limits = |text: &str| Policy::read("p", &format!("{LEAST}preview: {text}\n"));
    let expected = PreviewLimits { max_new_violations: Some(0), max_undecided: None, max_monthly_increase: Some(100) };
    assert_eq!(limits("{ maxNewViolations: 0, maxMonthlyIncrease: 100 }").expect("a policy").preview, expected);
    assert_eq!(limits("{}").expect("a policy").preview, PreviewLimits::default());
    for (text, problem) in [
        ("{ maxUndecided: \"5\" }", "`maxUndecided` is `5`"),
        ("{ maxUndecided: -1 }", "`maxUndecided` is `-1`"),
        ("{ maxUndecided: 1.5 }", "`maxUndecided` is `1.5`"),
        ("{ maxUndecided: 4294967296 }", "`maxUndecided` is `4294967296`"),
        ("{ maxUndecided: [1] }", "`maxUndecided` is a list"),
        ("{ maxUndecided: }", "`maxUndecided` has no value"),
        ("{ maxViolations: 5 }", "unknown key `maxViolations` in `preview`"),
        ("5", "`preview` is a number"),
    ] {
        let found = limits(text).expect_err(text);
        assert_eq!(found.iter().map(|one| one.message.as_str()).collect::<Vec<_>>(), [problem], "{text}");
    }
}

#[test]
fn reminders_may_be_empty() {
    let text = format!("{LEAST}notices: {{ reminders: [] }}\n");
    assert_eq!(read(&text).reporting, Reporting { reminders: Vec::new(), ..Reporting::default() });
}

#[test]
fn exemption_with_equal_conditions_is_rejected() {
    let (frameworks, rest) = FULL.split_once("exemptions:\n").expect("text");
    let (exemption, _) = rest.split_once("notices:").expect("text");
    let read = |second: &str| Policy::read("p", &format!("{frameworks}exemptions:\n{exemption}{second}"));
    let later = exemption.replace("2027-01-31", "2027-06-30").replace("data-platform", "another-team");
    let diagnostics = read(&later).expect_err("a diagnostic");
    assert_eq!(diagnostics.len(), 1, "{diagnostics:#?}");
    assert_eq!(
        diagnostics[0].to_string(),
        "p:25:5: the exemption at line 18, column 5 is for the same control, resources, accounts and tags; \
         keep one of the two"
    );
    for other in [exemption.replace("scratch", "demo"), exemption.replace("sandbox", "demo")] {
        assert_eq!(read(&other).expect("another exemption").reporting.exemptions.len(), 2);
    }
}

#[test]
fn reporting_over_380000_bytes_is_rejected() {
    let (start, rest) = FULL.split_once("[\"arn:aws:rds:*:*:cluster:scratch-*\"]").expect("text");
    let policy = |tables: u32| {
        let list: Vec<String> = (0..tables).map(|n| format!("\"arn:aws:dynamodb:*:*:table/scratch-{n:08}\"")).collect();
        Policy::read("p", &format!("{start}[{}]{rest}", list.join(", ")))
    };
    assert_eq!(policy(8_000).expect("a policy").reporting.exemptions[0].resources.len(), 8_000);
    let diagnostics = policy(9_000).expect_err("a diagnostic");
    assert_eq!(diagnostics.len(), 1, "{diagnostics:#?}");
    assert_eq!(diagnostics[0].message, "`notices` and `exemptions` have 414523 bytes of JSON");
}

#[test]
fn reporting_json_round_trips() {
    let reporting = read(FULL).reporting;
    let json = serde_json::to_string(&reporting).expect("JSON");
    assert_eq!(serde_json::from_str::<Reporting>(&json).expect("is read"), reporting);
    assert_eq!(read(FULL).reporting.digest(), reporting.digest());
    for changed in [
        FULL.replace("[3, 14]", "[3, 15]"),
        FULL.replace("ownerTag: team", "ownerTag: owner"),
        FULL.replace("severity: low", "severity: high"),
        FULL.replace("reason: throw-away", "reason: other"),
    ] {
        assert_ne!(read(&changed).reporting.digest(), reporting.digest());
    }
}

#[test]
fn framework_name_used_twice_is_rejected() {
    let second = FULL.lines().skip(2).take(9).collect::<Vec<_>>().join("\n");
    let text = format!("{}{second}\n", FULL.split("exemptions").next().expect("text"));
    let diagnostics = diagnostics(&text);
    assert_eq!(diagnostics.len(), 1, "{diagnostics:#?}");
    assert_eq!(
        diagnostics[0].to_string(),
        "p:17:11: the framework name `backup-compliance` is already used at line 3, column 11; \
         give each framework its own name: it is also the name of its StackSet"
    );
}

#[test]
fn targets_over_100000_instances_are_rejected() {
    let accounts: Vec<String> = (0..50_001_u64).map(|n| format!("\"{n:012}\"")).collect();
    let text = LEAST.replace("\"111111111111\"", &accounts.join(", ")).replace("[eu-west-1]", "[eu-west-1, us-east-1]");
    assert_eq!(diagnostics(&text)[0].message, "the targets have 100002 stack instances");
}

#[test]
fn rollout_settings_serialize_in_camel_case() {
    let json = serde_json::to_value(RolloutSettings::default()).expect("JSON");
    assert_eq!(
        json,
        serde_json::json!({
            "maxConcurrency": {"percentage": 100}, "failureTolerance": {"percentage": 10},
            "mode": "soft", "regions": "parallel", "regionOrder": []
        })
    );
}

/// Editors validate a policy with the schema, which must agree with the reader.
#[test]
fn schema_has_the_keys_and_words_of_the_reader() {
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../../../../schemas/policy.schema.json")).expect("the schema is JSON");
    let defs = &schema["$defs"];
    let keys = |object: &serde_json::Value| -> Vec<String> {
        assert_eq!(object["additionalProperties"], false);
        object["properties"].as_object().expect("properties").keys().cloned().collect()
    };
    for (object, known) in [
        (&schema, read::POLICY.known),
        (&defs["framework"], read::FRAMEWORK.known),
        (&defs["target"], read::targets::TARGET.known),
        (&defs["autoDeployment"]["anyOf"][1], read::targets::AUTO_DEPLOYMENT.known),
        (&defs["rollout"], read::ROLLOUT.known),
        (&defs["exemption"], read::EXEMPTION.known),
        (&defs["notices"], read::notices::NOTICES.known),
        (&defs["severityRule"], read::notices::SEVERITY_RULE.known),
        (&defs["preview"], read::preview::PREVIEW.known),
    ] {
        let mut known: Vec<&str> = known.to_vec();
        known.sort_unstable();
        assert_eq!(keys(object), known);
    }
    let controls: Vec<&str> = framework::control::CONTROLS.iter().map(|control| control.name).collect();
    assert_eq!(defs["control"]["enum"], serde_json::json!(controls));
    assert_eq!(defs["region"]["enum"], serde_json::json!(framework::ids::REGIONS));
    let severities = read::notices::SEVERITIES.map(|(word, _)| word);
    assert_eq!(defs["severityRule"]["properties"]["severity"]["enum"], serde_json::json!(severities));
    fn words<T>(known: &[(&'static str, T)]) -> serde_json::Value {
        known.iter().map(|(word, _)| *word).collect()
    }
    let rollout = &defs["rollout"]["properties"];
    assert_eq!(rollout["concurrencyMode"]["enum"], words(&read::MODES));
    assert_eq!(rollout["regions"]["enum"], words(&read::CONCURRENCIES));
    assert_eq!(defs["framework"]["properties"]["callAs"]["enum"], words(&read::targets::CALLERS));
    assert_eq!(defs["target"]["properties"]["organizationalUnits"]["maxItems"], read::targets::MOST_UNITS);
    let notices = &defs["notices"]["properties"];
    assert_eq!(notices["reminders"]["items"]["maximum"], read::notices::MOST_DAYS);
    assert_eq!(notices["reminders"]["default"], serde_json::json!(Reporting::default().reminders));
    assert_eq!(notices["ownerTag"]["default"], serde_json::json!(Reporting::default().owner_tag));
}

fn well_formed(diagnostics: &[Diagnostic]) -> bool {
    !diagnostics.is_empty()
        && diagnostics.iter().all(|diagnostic| {
            let Diagnostic { message: problem, help: fix, .. } = diagnostic;
            !problem.is_empty()
                && !fix.is_empty()
                && !problem.contains('\n')
                && !fix.contains('\n')
                && !problem.ends_with('.')
        })
}

proptest! {
    #[test]
    fn policy_any_text_is_read_or_rejected(text in "(\\PC|\n|\t|\r){0,200}") {
        if let Err(diagnostics) = Policy::read("p", &text) {
            prop_assert!(well_formed(&diagnostics), "{:?}", diagnostics);
        }
    }

    #[test]
    fn policy_edited_text_is_read_or_rejected(text in crate::edited::edited(FULL)) {
        if let Err(diagnostics) = Policy::read("p", &text) {
            prop_assert!(well_formed(&diagnostics), "{:?}", diagnostics);
        }
    }
}

#[test]
fn new_regions_allow_unknown_regions() {
    let policy = |top: &str, region: &str| {
        let text = format!(
            "version: 1\n{top}frameworks:\n  - name: a\n    template: a.yaml\n    targets:\n      - accounts: [\"111111111111\"]\n        \
             regions: [eu-west-1, {region}]\n    rollout: {{ regionOrder: [{region}, eu-west-1] }}\n"
        );
        Policy::read("p", &text).map_err(|diagnostics| diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let read = policy("newRegions: [ap-southeast-9]\n", "ap-southeast-9").unwrap();
    assert_eq!(read.frameworks[0].targets[0].regions[1].as_str(), "ap-southeast-9");
    for (top, region, expected) in [
        ("", "ap-southeast-9", "list a newer Region under `newRegions` of the policy"),
        ("newRegions: [ap-southeast-9]\n", "ap-southeast-8", "the AWS Region `ap-southeast-8` does not exist"),
        ("newRegions: [us-east-1]\n", "us-east-1", "p:2:14: the Region `us-east-1` is known to this version"),
        ("newRegions: [ap-southeast-9, ap-southeast-9]\n", "ap-southeast-9", "is listed twice"),
        ("newRegions: [Mars]\n", "us-east-1", "the AWS Region `Mars` does not exist"),
    ] {
        let diagnostics = policy(top, region).unwrap_err();
        assert!(diagnostics[0].contains(expected), "{diagnostics:?}");
    }
}
