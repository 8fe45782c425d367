//! Targets that are organizational units.

use framework::ids::UnitId;

use super::*;

/// Everything that a framework with organizational units may have.
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
        regions: [us-east-1, eu-west-1]
        excludedAccounts: ["111111111111"]
      - organizationalUnits: [ou-abcd-22222222]
        onlyAccounts: ["222222222222", "333333333333"]
        regions: [us-east-1]
        parameters: { MinimumRetentionDays: "90" }
    rollout:
      concurrencyMode: strict
"#;

fn account(text: &str) -> AccountId {
    AccountId::parse(text).expect("an account")
}

fn unit(text: &str) -> UnitId {
    UnitId::parse(text).expect("a unit")
}

#[test]
fn policy_with_organizational_units_is_read() {
    let policy = read(UNITS);
    assert!(policy.remove_undeclared);
    let [framework] = policy.frameworks.as_slice() else { panic!("one framework") };
    assert!(framework.adopt && framework.is_service_managed());
    assert_eq!(framework.call_as, CallAs::DelegatedAdministrator);
    assert_eq!(framework.auto_deployment, AutoDeployment { enabled: true, retain_stacks: true });
    assert_eq!(framework.rollout, RolloutSettings { mode: ConcurrencyMode::Strict, ..RolloutSettings::default() });
    let places: Vec<&TargetScope> = framework.targets.iter().map(|target| &target.scope).collect();
    assert_eq!(
        places,
        [
            &TargetScope::OrganizationalUnits {
                units: vec![unit("ou-abcd-11111111"), unit("r-abcd")],
                accounts: AccountFilter::Except([account("111111111111")].into()),
            },
            &TargetScope::OrganizationalUnits {
                units: vec![unit("ou-abcd-22222222")],
                accounts: AccountFilter::Only([account("222222222222"), account("333333333333")].into()),
            },
        ]
    );
    assert!(framework.targets.iter().all(|target| target.accounts().is_empty()), "only AWS knows them");
}

#[test]
fn auto_deployment_is_on_by_default() {
    let units = LEAST.replace("accounts: [\"111111111111\"]", "organizationalUnits: [ou-abcd-11111111]");
    let with = |line: &str| {
        let text = units.replace("    targets:", &format!("{line}    targets:"));
        let framework = read(&text).frameworks.remove(0);
        let AutoDeployment { enabled, retain_stacks } = framework.auto_deployment;
        (enabled, retain_stacks)
    };
    for (line, expected) in [
        ("", (true, false)),
        ("    autoDeployment: true\n", (true, false)),
        ("    autoDeployment: false\n", (false, false)),
        ("    autoDeployment: { enabled: False }\n", (false, false)),
        ("    autoDeployment: { enabled: false, retainStacks: false }\n", (false, false)),
        ("    autoDeployment: { retainStacks: true, enabled: TRUE }\n", (true, true)),
    ] {
        assert_eq!(with(line), expected, "{line}");
    }
    let policy = read(&units);
    assert!(!policy.remove_undeclared && !policy.frameworks[0].adopt);
    assert_eq!(policy.frameworks[0].call_as, CallAs::Own);
    assert_eq!(policy.frameworks[0].rollout.mode, ConcurrencyMode::Soft, "stays as concurrent as it is set");
}

/// Text of [`UNITS`], and its replacement.
const BROKEN: &[(&str, &str)] = &[
    ("organizationalUnits: [ou-abcd-22222222]", "accounts: [\"222222222222\"]"),
    ("organizationalUnits: [ou-abcd-22222222]\n        onlyAccounts", "accounts"),
    ("organizationalUnits: [ou-abcd-22222222]", "organizationalUnits: [ou-abcd-22222222]\n        accounts: [\"4\"]"),
    ("excludedAccounts", "onlyAccounts: [\"222222222222\"]\n        excludedAccounts"),
    ("excludedAccounts", "onlyAccounts: [\"222222222222\", \"111111111111\"]\n        excludedAccounts"),
    ("ou-abcd-11111111, r-abcd", "ou-abcd-11111111, r-abcd, ou-abcd-11111111"),
    (
        "ou-abcd-11111111, r-abcd",
        "ou-abcd-1111111, OU-abcd-11111111, ou-abc-11111111, r-abc, root, 5, \"\", o-abcdefghij",
    ),
    ("ou-abcd-11111111, r-abcd", ""),
    ("[ou-abcd-11111111, r-abcd]", "ou-abcd-11111111"),
    ("organizationalUnits: [ou-abcd-11111111, r-abcd]", "organizationalUnits:"),
    ("organizationalUnits: [ou-abcd-11111111, r-abcd]", "organizationalUnit: [ou-abcd-11111111]"),
    ("organizationalUnits: [ou-abcd-11111111, r-abcd]\n        ", ""),
    ("excludedAccounts", "exludedAccounts"),
    ("excludedAccounts: [\"111111111111\"]", "excludedAccounts: []"),
    ("excludedAccounts: [\"111111111111\"]", "excludedAccounts: [111111111111, \"11\"]"),
    ("excludedAccounts: [\"111111111111\"]", "excludedAccounts:"),
    ("callAs: delegatedAdministrator", "callAs: delegatedadministrator"),
    ("callAs: delegatedAdministrator", "callAs: management"),
    ("callAs: delegatedAdministrator", "callAs: true"),
    ("callAs: delegatedAdministrator", "callas: self"),
    ("{ enabled: true, retainStacks: true }", "{ enabled: false, retainStacks: true }"),
    ("{ enabled: true, retainStacks: true }", "{ retainStacks: true }"),
    ("{ enabled: true, retainStacks: true }", "{ enabled: on it, retainStacks: 1, retain: true }"),
    ("{ enabled: true, retainStacks: true }", "enabled"),
    ("{ enabled: true, retainStacks: true }", "[true]"),
    ("{ enabled: true, retainStacks: true }", ""),
    // An organizational unit in two targets.
    ("[ou-abcd-22222222]", "[ou-abcd-11111111]"),
    (
        "[ou-abcd-22222222]\n        onlyAccounts: [\"222222222222\"",
        "[r-abcd]\n        onlyAccounts: [\"111111111111\", \"222222222222\"",
    ),
    ("[ou-abcd-22222222]\n        onlyAccounts: [\"222222222222\", \"333333333333\"]", "[ou-abcd-11111111]"),
];

#[test]
fn organizational_unit_errors_match_snapshot() {
    let mut all = String::new();
    for (old, new) in BROKEN {
        assert!(UNITS.contains(old), "{old}");
        let _ = writeln!(all, "{} -> {}", old.trim().escape_debug(), new.trim().escape_debug());
        for diagnostic in diagnostics(&UNITS.replacen(old, new, 1)) {
            let _ = writeln!(all, "    {diagnostic}");
        }
    }
    insta::assert_snapshot!(all);
}

#[test]
fn targets_may_share_a_unit_with_disjoint_accounts() {
    let with = |one: &str, other: &str| {
        let target = |line: &str| {
            format!("      - organizationalUnits: [ou-abcd-11111111]\n        regions: [eu-west-1]\n        {line}\n")
        };
        let start = "version: 1\nframeworks:\n  - name: a\n    template: t.yaml\n    targets:\n";
        Policy::read("p", &format!("{start}{}{}", target(one), target(other)))
    };
    let (one, two) = ("\"111111111111\"", "\"222222222222\"");
    for (first, second, expected) in [
        (format!("onlyAccounts: [{one}]"), format!("onlyAccounts: [{two}]"), None),
        (format!("onlyAccounts: [{one}]"), format!("excludedAccounts: [{one}]"), None),
        (format!("excludedAccounts: [{one}, {two}]"), format!("onlyAccounts: [{two}]"), None),
        (
            format!("onlyAccounts: [{one}, {two}]"),
            format!("excludedAccounts: [{one}]"),
            Some(
                "this target and the one at line 6, column 9 have the organizational unit `ou-abcd-11111111`, and only one",
            ),
        ),
        (
            format!("onlyAccounts: [{one}, {two}]"),
            format!("onlyAccounts: [{two}]"),
            Some("the organizational unit `ou-abcd-11111111` in eu-west-1 is also in the target at line 6, column 9"),
        ),
        (
            format!("excludedAccounts: [{one}]"),
            format!("excludedAccounts: [{two}]"),
            Some("the organizational unit `ou-abcd-11111111` in eu-west-1 is also in the target at line 6, column 9"),
        ),
    ] {
        match (with(&first, &second), expected) {
            (Ok(policy), None) => assert_eq!(policy.frameworks[0].targets.len(), 2),
            (Err(diagnostics), Some(expected)) => {
                assert_eq!(diagnostics.len(), 1, "{diagnostics:#?}");
                assert!(diagnostics[0].message.starts_with(expected), "{first}, {second}: {}", diagnostics[0].message);
                assert_eq!(diagnostics[0].at, Some(Position { line: 9, column: 9 }));
            }
            (outcome, _) => panic!("{first}, {second}: {outcome:?}"),
        }
    }
    // In different Regions they do not conflict.
    let apart = UNITS.replace("[ou-abcd-22222222]", "[r-abcd]").replace("[us-east-1]", "[eu-west-2]");
    assert_eq!(read(&apart).frameworks[0].targets.len(), 2);
}

#[test]
fn target_over_50_units_is_rejected() {
    let units = |number: usize| {
        let list: Vec<String> = (0..number).map(|n| format!("ou-abcd-{n:08}")).collect();
        UNITS.replace("ou-abcd-11111111, r-abcd", &list.join(", "))
    };
    assert_eq!(read(&units(50)).frameworks.len(), 1);
    let diagnostics = diagnostics(&units(51));
    assert_eq!(diagnostics.len(), 1, "{diagnostics:#?}");
    assert_eq!(
        diagnostics[0].to_string(),
        "p:10:30: `organizationalUnits` has 51 items; list their parent, or split the target: AWS accepts at most 50"
    );
}

proptest! {
    #[test]
    fn policy_edited_units_are_read_or_rejected(text in crate::edited::edited(UNITS)) {
        if let Err(diagnostics) = Policy::read("p", &text) {
            prop_assert!(well_formed(&diagnostics), "{:?}", diagnostics);
        }
    }
}
