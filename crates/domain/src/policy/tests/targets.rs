//! Targets that repeat accounts or cross partitions, and rules that match nothing in them.

use super::*;

fn account(text: &str) -> AccountId {
    AccountId::parse(text).expect("an account")
}

fn region(text: &str) -> RegionName {
    RegionName::parse(text).expect("a Region")
}

/// A policy with one framework for each list of targets, and more text.
fn policy(frameworks: &[&[&str]], more: &str) -> String {
    let mut text = "version: 1\nframeworks:\n".to_owned();
    for (number, targets) in frameworks.iter().enumerate() {
        write!(text, "  - name: backup-{number}\n    template: framework.yaml\n    targets:\n").expect("a text");
        for target in *targets {
            writeln!(text, "      - {{ {target} }}").expect("a text");
        }
    }
    text + more
}

const A: &str = "accounts: ['111111111111'], regions: [eu-west-1]";

#[test]
fn targets_of_two_partitions_are_rejected() {
    let of = |frameworks: &[&[&str]]| match Policy::read("p", &policy(frameworks, "")) {
        Ok(_) => Vec::new(),
        Err(diagnostics) => diagnostics.into_iter().map(|diagnostic| diagnostic.message).collect(),
    };
    let nothing: [&str; 0] = [];
    let both = "the target has Regions of two partitions: `eu-west-1` of `aws` and `cn-north-1` of `aws-cn`";
    assert_eq!(of(&[&["accounts: ['111111111111'], regions: [eu-west-1, cn-north-1]"]]), [both]);
    let units = "the target has Regions of two partitions: `us-gov-west-1` of `aws-us-gov` and `us-east-1` of `aws`";
    assert_eq!(of(&[&["organizationalUnits: [ou-abcd-11111111], regions: [us-gov-west-1, us-east-1]"]]), [units]);
    let china = "accounts: ['222222222222'], regions: [cn-north-1]";
    assert_eq!(
        of(&[&[A, china]]),
        ["this target is in the partition `aws-cn`, and the one at line 6, column 9 in `aws`"]
    );
    assert_eq!(of(&[&[A], &[china]]), nothing, "another account");
    let same = "accounts: ['111111111111'], regions: [cn-north-1]";
    let expected = "account 111111111111 is in the partition `aws` at line 6, column 9 and in `aws-cn` here";
    assert_eq!(of(&[&[A], &[same]]), [expected]);
    assert_eq!(of(&[&["accounts: ['111111111111'], regions: [eu-west-1, us-east-1, il-central-1]"]]), nothing);
    assert_eq!(of(&[&["accounts: ['111111111111'], regions: [cn-north-1, cn-northwest-1]"]]), nothing);
}

#[test]
fn repeated_accounts_and_regions_are_found() {
    let of = |targets: &[&str]| -> Vec<String> {
        read(&policy(&[targets], "")).repetitions().into_iter().map(|(_, message, _)| message).collect()
    };
    let nothing: [&str; 0] = [];
    assert_eq!(of(&[A]), nothing);
    assert_eq!(
        of(&["accounts: ['111111111111', '222222222222', '111111111111'], regions: [eu-west-1]"]),
        ["account `111111111111` is listed twice"]
    );
    assert_eq!(
        of(&["accounts: ['111111111111'], regions: [eu-west-1, eu-west-1]"]),
        ["the Region `eu-west-1` is listed twice"]
    );
    assert_eq!(of(&[A, A]), ["account 111111111111 in eu-west-1 is also in the target at line 6, column 9"]);
    assert_eq!(of(&[A, "accounts: ['111111111111'], regions: [us-east-1]"]), nothing);
}

/// The scope of a policy with control ENCRYPTED in 111111111111 and PLAN in 222222222222, in eu-west-1.
fn scope() -> PolicyScope {
    let mut scope = PolicyScope::default();
    let regions = [region("eu-west-1")].into();
    scope.add(["BACKUP_RECOVERY_POINT_ENCRYPTED"], &[account("111111111111")].into(), &regions);
    scope.add(["BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN"], &[account("222222222222")].into(), &regions);
    scope
}

#[test]
fn exemptions_that_match_nothing_are_found() {
    let of = |scope: &PolicyScope, resource: &str, accounts: &str| -> String {
        let more = format!(
            "exemptions:\n  - control: BACKUP_RECOVERY_POINT_ENCRYPTED\n    resources: ['{resource}']\n{accounts}    reason: r\n    \
             owner: o\n    until: 2027-01-31\n"
        );
        let policy = read(&policy(&[&[A]], &more));
        let exemption = policy.reporting.exemptions.first().expect("an exemption");
        scope.unmatched_exemption(exemption).map(|(message, _)| message).unwrap_or_default()
    };
    let known = scope();
    for (resource, accounts, expected) in [
        ("arn:aws:backup:eu-west-1:111111111111:recovery-point:*", "", ""),
        ("arn:aws:backup:*:*:recovery-point:*", "", ""),
        ("arn:*:rds:*:222222222222:cluster:*", "", ""),
        ("*", "", ""),
        ("arn:aws:s3:::bucket", "", ""),
        ("arn:aws:ec2:eu-west-1::snapshot/snap-1", "", ""),
        ("arn:aws*", "", ""),
        ("arn:aws:backup:eu-west-1:333333333333:recovery-point:*", "", "account 333333333333 is in no target"),
        ("arn:aws:backup:*:333333333333:recovery-point:*", "", "account 333333333333 is in no target"),
        ("arn:aws:backup:us-east-1:111111111111:recovery-point:*", "", "the Region `us-east-1` is in no target"),
        ("arn:aws-cn:s3:::bucket", "", "no target is in the partition `aws-cn`"),
        ("arn:aws:rds:eu-west-1:222222222222:cluster:a", "['111111111111']", "not among `accounts` of the exemption"),
        ("*", "['333333333333']", "account 333333333333 of the exemption is in no target"),
        ("*", "['222222222222']", "is in force in none of its accounts"),
    ] {
        let accounts = if accounts.is_empty() { String::new() } else { format!("    accounts: {accounts}\n") };
        let found = of(&known, resource, &accounts);
        assert!(found.contains(expected) && found.is_empty() == expected.is_empty(), "{resource} {accounts}: {found}");
    }
    let mut unknown = scope();
    unknown.add_unknown_accounts();
    assert_eq!(of(&unknown, "arn:aws:backup:eu-west-1:333333333333:recovery-point:*", ""), "");
    let mut none = PolicyScope::default();
    assert!(of(&none, "*", "").contains("no framework of this policy has"));
    none.add_unknown_controls();
    assert_eq!(of(&none, "*", ""), "");
}

#[test]
fn severity_rules_that_match_nothing_are_found() {
    let of = |rule: &str| -> String {
        let policy = read(&policy(&[&[A]], &format!("notices:\n  severity:\n    - {{ {rule}, severity: low }}\n")));
        assert_eq!(policy.severity_positions.len(), 1);
        let rule = policy.reporting.severity.first().expect("a rule");
        scope().unmatched_severity_rule(rule).map(|(message, _)| message).unwrap_or_default()
    };
    assert_eq!(of("control: BACKUP_RECOVERY_POINT_ENCRYPTED"), "");
    assert_eq!(of("tags: { a: b }"), "");
    assert_eq!(of("accounts: ['222222222222']"), "");
    assert!(of("control: BACKUP_LAST_RECOVERY_POINT_CREATED").starts_with("the severity rule matches nothing"));
    assert!(of("accounts: ['333333333333']").contains("account 333333333333 of the severity rule"));
    assert!(
        of("accounts: ['222222222222'], control: BACKUP_RECOVERY_POINT_ENCRYPTED").contains("in none of its accounts")
    );
}

#[test]
fn many_exemptions_are_rejected_before_comparison() {
    let exemption = |number: usize| {
        format!(
            "  - {{ control: BACKUP_RECOVERY_POINT_ENCRYPTED, resources: ['arn:aws:rds:*:*:cluster:{number}'], reason: r, owner: o, until: \
             2027-01-31 }}\n"
        )
    };
    let of = |number: usize| {
        let more: String = (0..number).map(exemption).collect();
        Policy::read("p", &policy(&[&[A]], &format!("exemptions:\n{more}")))
    };
    assert!(of(1_000).is_ok());
    let found = of(20_000).expect_err("too many");
    assert_eq!(found[0].message, "`exemptions` has 20000 items");
    let mut twice = (0..1_000).map(exemption).collect::<String>();
    twice.push_str(&exemption(7));
    let found = Policy::read("p", &policy(&[&[A]], &format!("exemptions:\n{twice}"))).expect_err("twice");
    assert!(found[0].message.contains("is for the same control"), "{found:?}");
}

#[test]
fn quoted_numbers_have_the_fix_without_quotes() {
    let help = |rollout: &str| -> String {
        let text = policy(&[&[A]], "").replace("    targets:", &format!("    rollout: {{ {rollout} }}\n    targets:"));
        diagnostics(&text)[0].help.clone()
    };
    assert_eq!(help("maxConcurrency: '5'"), "remove the quotes: write `maxConcurrency: 5`");
    assert_eq!(help("failureTolerance: \"0\""), "remove the quotes: write `failureTolerance: 0`");
    assert!(help("maxConcurrency: '0'").starts_with("write a number"));
    assert!(help("maxConcurrency: many").starts_with("write a number"));
}
