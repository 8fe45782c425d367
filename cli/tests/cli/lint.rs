use std::fs;
use std::path::PathBuf;

use crate::run;

fn starter() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../framework")
}

/// A copy of the starter policy, its policy file changed.
fn changed(change: impl Fn(&str) -> String) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let read = |name: &str| fs::read_to_string(starter().join(name)).unwrap();
    fs::write(folder.path().join("framework.yaml"), read("framework.yaml")).unwrap();
    let policy = read("backup-compliance.yaml");
    let changed = change(&policy);
    assert_ne!(policy, changed, "the starter policy has changed: so must this test");
    fs::write(folder.path().join("backup-compliance.yaml"), changed).unwrap();
    folder
}

#[test]
fn the_starter_policy_is_clean() {
    let ran = run(&starter(), &["lint"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""), "{}", ran.stdout);
    assert_eq!(ran.stdout, "1 policy, 1 framework, 3 controls, 6 stack instances: no findings\n");
}

#[test]
fn a_fault_has_its_place_its_fix_and_status_1() {
    let folder = changed(|policy| policy.replace("\"222222222222\", \"333333333333\"", "\"22222222222\""));
    let ran = run(folder.path(), &["lint"]);
    assert_eq!(ran.status, Some(1), "{}{}", ran.stdout, ran.stderr);
    let line = 1 + fs::read_to_string(folder.path().join("backup-compliance.yaml"))
        .unwrap()
        .lines()
        .position(|line| line.contains("\"22222222222\""))
        .unwrap();
    assert!(ran.stdout.starts_with(&format!("backup-compliance.yaml:{line}:")), "{}", ran.stdout);
    assert!(ran.stdout.contains("`22222222222`"), "{}", ran.stdout);
    assert!(ran.stdout.contains("\n  fix: "), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("1 finding in 1 policy\n"), "{}", ran.stdout);
    assert!(!ran.stdout.contains('\u{1b}'), "colours without a terminal");
}

#[test]
fn findings_can_be_had_as_json() {
    let folder = changed(|policy| policy.replace("template: framework.yaml", "template: nowhere.yaml"));
    let ran = run(folder.path(), &["lint", "--format", "json"]);
    assert_eq!(ran.status, Some(1), "{}{}", ran.stdout, ran.stderr);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let finding = &report["findings"][0];
    assert_eq!(finding["file"], "backup-compliance.yaml");
    assert_eq!(finding["problem"], "the template `nowhere.yaml` is not in the repository");
    assert!(finding["line"].is_u64(), "{finding}");
}

/// A copy of the starter policy with an exemption.
fn exempting(exemption: &str) -> tempfile::TempDir {
    changed(|policy| format!("{policy}\nexemptions:\n  - {exemption}\n"))
}

#[test]
fn exemptions_that_do_nothing_are_warned_of_and_the_status_stays_0() {
    let exemption =
        "{ control: BACKUP_RECOVERY_POINT_ENCRYPTED, resources: [\"*\"], reason: r, owner: o, until: 2020-01-31 }";
    let folder = exempting(exemption);
    let ran = run(folder.path(), &["lint"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""), "{}", ran.stdout);
    assert!(ran.stdout.contains(": warning: the exemption has ended: its last day was 2020-01-31\n"), "{}", ran.stdout);
    assert!(ran.stdout.ends_with(": no findings, 1 warning\n"), "{}", ran.stdout);

    let folder =
        exempting(&exemption.replace("2020", "9000").replace("reason", "accounts: [\"999999999999\"], reason"));
    let ran = run(folder.path(), &["lint", "--format", "json"]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["findings"], serde_json::json!([]));
    let warning = &report["warnings"][0];
    assert_eq!(warning["problem"], "account 999999999999 of the exemption is in no target of this policy");
    assert_eq!((&warning["file"], warning["line"].is_u64()), (&"backup-compliance.yaml".into(), true), "{warning}");
}

#[test]
fn a_control_that_does_not_exist_is_found_in_the_template() {
    let folder = changed(|policy| policy.replace("template: framework.yaml", "template: other.yaml"));
    let template = fs::read_to_string(starter().join("framework.yaml")).unwrap();
    let wrong = template.replace("BACKUP_RECOVERY_POINT_ENCRYPTED", "BACKUP_RECOVERY_POINT_ENCRIPTED");
    assert_ne!(template, wrong);
    fs::write(folder.path().join("other.yaml"), wrong).unwrap();
    let ran = run(folder.path(), &["lint"]);
    assert_eq!(ran.status, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.starts_with("other.yaml:"), "{}", ran.stdout);
    assert!(ran.stdout.contains("BACKUP_RECOVERY_POINT_ENCRYPTED"), "no suggestion:\n{}", ran.stdout);
}

#[test]
fn templates_start_from_the_root_that_is_given() {
    let folder = changed(|policy| policy.replace("maxConcurrency: 100%", "maxConcurrency: 50%"));
    let policies = folder.path().join("policies");
    fs::create_dir(&policies).unwrap();
    fs::rename(folder.path().join("backup-compliance.yaml"), policies.join("production.yaml")).unwrap();
    let ran = run(folder.path(), &["lint", "policies/production.yaml"]);
    assert_eq!(ran.status, Some(1), "found the template in the wrong folder: {}", ran.stdout);
    let ran = run(folder.path(), &["lint", "policies/production.yaml", "--root", "."]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn a_parameter_that_the_template_lacks_is_found_in_the_policy() {
    let folder = changed(|policy| {
        policy
            .replace("        regions: [us", "        parameters: { MinimumRetentionDay: \"3\" }\n        regions: [us")
    });
    let ran = run(folder.path(), &["lint"]);
    assert_eq!(ran.status, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.starts_with("backup-compliance.yaml:"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("the template `framework.yaml` declares no parameter `MinimumRetentionDay`"),
        "{}",
        ran.stdout
    );
}

#[test]
fn what_cannot_be_read_is_status_2() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(folder.path(), &["lint"]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.stderr.contains("no `backup-compliance.yaml` in `.`"), "{}", ran.stderr);

    let ran = run(folder.path(), &["lint", "gone.yaml"]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.stderr.contains("cannot read the policy file `gone.yaml`"), "{}", ran.stderr);

    fs::write(folder.path().join("latin.yaml"), b"version: \xe9").unwrap();
    let ran = run(folder.path(), &["lint", "latin.yaml"]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.stderr.contains("not UTF-8"), "{}", ran.stderr);

    let folder = changed(|policy| policy.replace("template: framework.yaml", "template: latin.yaml"));
    fs::write(folder.path().join("latin.yaml"), b"Resources: \xe9").unwrap();
    let ran = run(folder.path(), &["lint"]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.stderr.contains("cannot read the template `latin.yaml`: it is not UTF-8"), "{}", ran.stderr);
}
