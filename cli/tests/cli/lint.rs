//! Long because the tests of one command share their helpers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::{run, run_with};

pub(crate) fn starter() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../framework")
}

/// A copy of the starter policy, its policy file changed.
pub(crate) fn changed(change: impl Fn(&str) -> String) -> tempfile::TempDir {
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
fn starter_policy_has_no_findings() {
    let ran = run(&starter(), &["lint"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""), "{}", ran.stdout);
    assert_eq!(ran.stdout, "1 policy, 1 framework, 3 controls, 6 stack instances: no findings, 1 note (see --notes)\n");
    let ran = run(&starter(), &["lint", "--notes", "--strict"]);
    assert_eq!(ran.status, Some(0), "{}", ran.stdout);
    assert!(ran.stdout.contains(": note: BC054 AWS Config must record `AWS::Backup::BackupPlan`, "), "{}", ran.stdout);
}

#[test]
fn error_has_position_help_and_status_1() {
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
    assert!(ran.stdout.contains("\n  help: "), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("1 policy: 1 finding\n"), "{}", ran.stdout);
    assert!(!ran.stdout.contains('\u{1b}'), "colors without a terminal");
}

#[test]
fn findings_as_json() {
    let folder = changed(|policy| policy.replace("template: framework.yaml", "template: nowhere.yaml"));
    let ran = run(folder.path(), &["lint", "--format", "json"]);
    assert_eq!(ran.status, Some(1), "{}{}", ran.stdout, ran.stderr);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let finding = &report["findings"][0];
    assert_eq!(finding["file"], "backup-compliance.yaml");
    assert_eq!(finding["message"], "the template `nowhere.yaml` is not in the repository");
    assert!(finding["line"].is_u64(), "{finding}");
}

/// A copy of the starter policy with an exemption.
fn exempting(exemption: &str) -> tempfile::TempDir {
    changed(|policy| format!("{policy}\nexemptions:\n  - {exemption}\n"))
}

#[test]
fn exemption_without_effect_is_a_warning() {
    let exemption =
        "{ control: BACKUP_RECOVERY_POINT_ENCRYPTED, resources: [\"*\"], reason: r, owner: o, until: 2020-01-31 }";
    let folder = exempting(exemption);
    let ran = run(folder.path(), &["lint"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""), "{}", ran.stdout);
    assert!(ran.stdout.contains(": warning: the exemption has ended: its last day was 2020-01-31\n"), "{}", ran.stdout);
    assert!(ran.stdout.ends_with(": no findings, 1 warning, 1 note (see --notes)\n"), "{}", ran.stdout);

    let folder =
        exempting(&exemption.replace("2020", "9000").replace("reason", "accounts: [\"999999999999\"], reason"));
    let ran = run(folder.path(), &["lint", "--format", "json"]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["findings"], serde_json::json!([]));
    let warning = &report["warnings"][0];
    assert_eq!(warning["message"], "account 999999999999 of the exemption is in no target of this policy");
    assert_eq!((&warning["file"], warning["line"].is_u64()), (&"backup-compliance.yaml".into(), true), "{warning}");
}

#[test]
fn unknown_control_is_reported_in_the_template() {
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
fn template_paths_are_relative_to_the_root() {
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
fn undeclared_parameter_is_reported_in_the_policy() {
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
fn large_file_is_read_to_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    fs::File::create(folder.path().join("backup-compliance.yaml")).unwrap().set_len(1 << 40).unwrap();
    for (arguments, status, message) in [
        (&["lint", "backup-compliance.yaml"][..], 1, "larger than 6 MB"),
        (&["lint", ".", "--root", "."], 1, "larger than 6 MB"),
        (&["check", "--framework", "backup-compliance.yaml", "app.yaml"], 2, "larger than 6 MB"),
        (&["notice", "backup-compliance.yaml"], 2, "exceeds the limit of 6 MiB"),
    ] {
        let ran = run(folder.path(), arguments);
        assert_eq!(ran.status, Some(status), "{arguments:?}: {}{}", ran.stdout, ran.stderr);
        assert!((ran.stdout + &ran.stderr).contains(message), "{arguments:?}");
    }
}

/// A device may be endless, and a named pipe without a writer blocks.
#[cfg(unix)]
#[test]
fn device_or_named_pipe_is_rejected() {
    let folder = folder(PLAIN);
    let made = Command::new("mkfifo").arg(folder.path().join("pipe.yaml")).status().unwrap();
    assert!(made.success());
    std::os::unix::fs::symlink("pipe.yaml", folder.path().join("backup-compliance.yaml")).unwrap();
    for name in ["pipe.yaml", "backup-compliance.yaml", "/dev/zero"] {
        for arguments in [
            &["lint", name][..],
            &["lint", "framework.yaml", "--base", name],
            &["check", "--framework", name, "framework.yaml"],
            &["check", "--framework", "framework.yaml", name],
            &["check", "--framework", "framework.yaml", "framework.yaml", "--plans", name],
            &["evaluate", "--framework", "framework.yaml", name],
            &["notice", name],
            &["invoke", "report", name],
        ] {
            let ran = run(folder.path(), arguments);
            assert_eq!((ran.status, ran.stdout.as_str()), (Some(2), ""), "{arguments:?}: {}", ran.stderr);
            assert!(
                ran.stderr.contains("neither a regular file nor a pipe of the shell"),
                "{arguments:?}: {}",
                ran.stderr
            );
        }
    }
    let ran = run(folder.path(), &["lint"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(2), ""), "{}", ran.stderr);
    // In a folder it is passed over.
    fs::write(folder.path().join("topic.yaml"), "Resources: { Topic: { Type: AWS::SNS::Topic } }").unwrap();
    let ran = run(folder.path(), &["check", "--framework", "framework.yaml", "."]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    for name in ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"].iter().filter(|name| Path::new(name).exists()) {
        let ran = run_with(folder.path(), &["lint", name], &[], TEMPLATE);
        assert!(ran.status == Some(1) && ran.stdout.contains(":5:22: BC011 "), "{name}: {}{}", ran.stdout, ran.stderr);
        // It is read once.
        let ran = run_with(folder.path(), &["check", "--framework", name, "topic.yaml"], &[], PLAIN);
        assert_eq!(ran.status, Some(0), "{name}: {}{}", ran.stdout, ran.stderr);
    }
}

#[cfg(unix)]
#[test]
fn file_with_a_link_is_checked_once() {
    let folder = folder(TEMPLATE);
    std::os::unix::fs::symlink("framework.yaml", folder.path().join("link.yaml")).unwrap();
    let ran = run(folder.path(), &["lint", "framework.yaml", "link.yaml", "./framework.yaml"]);
    assert!(ran.stdout.contains("\n1 template: 3 findings"), "{}", ran.stdout);
}

#[test]
fn unreadable_input_has_status_2() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(folder.path(), &["lint"]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.stderr.contains("no `backup-compliance.yaml` in `.`"), "{}", ran.stderr);

    let ran = run(folder.path(), &["lint", "gone.yaml"]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.stderr.contains("cannot read `gone.yaml`"), "{}", ran.stderr);

    fs::write(folder.path().join("latin.yaml"), b"version: \xe9").unwrap();
    let ran = run(folder.path(), &["lint", "latin.yaml"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(1), ""), "a finding like any other fault of a file");
    assert!(ran.stdout.starts_with("latin.yaml:1:10: the file is not UTF-8 text\n"), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("1 unreadable file: 1 finding\n"), "{}", ran.stdout);
    // The policy file of a folder, and a template of a policy.
    fs::write(folder.path().join("backup-compliance.yaml"), b"version: 1\n# \xe9").unwrap();
    let ran = run(folder.path(), &["lint"]);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert!(ran.stdout.starts_with("backup-compliance.yaml:2:3: the file is not UTF-8 text\n"), "{}", ran.stdout);

    let folder = changed(|policy| policy.replace("template: framework.yaml", "template: latin.yaml"));
    fs::write(folder.path().join("latin.yaml"), b"Resources: \xe9").unwrap();
    let ran = run(folder.path(), &["lint"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(1), ""));
    assert!(ran.stdout.starts_with("latin.yaml:1:12: the file is not UTF-8 text\n"), "{}", ran.stdout);
}

/// A template with fixable errors, one that is not, and a warning.
pub(crate) const TEMPLATE: &str = "\
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkName: org-backup
      FrameworkControls:
        - ControlName: BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK
          ControlInputParameters:
            - { ParameterName: requiredFrequencyUnit, ParameterValue: \"hours\" }
            - { ParameterName: requiredFrequencyValue, ParameterValue: \"48\" }
        - ControlName: NO_SUCH_CONTROL
";

pub(crate) fn folder(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("framework.yaml"), text).unwrap();
    folder
}

#[test]
fn template_is_checked_without_a_policy() {
    let folder = folder(TEMPLATE);
    let ran = run(folder.path(), &["lint", "framework.yaml"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(1), ""), "{}", ran.stdout);
    let name = "framework.yaml:5:22: BC011 the framework name `org-backup` contains `-`\n          FrameworkName: org-backup\n";
    let caret = format!("{}^^^^^^^^^^\n  help: ", " ".repeat(25));
    assert!(ran.stdout.contains(&format!("{name}{caret}")), "{}", ran.stdout);
    assert!(ran.stdout.contains("framework.yaml:2:3: warning: BC051 "), "{}", ran.stdout);
    assert!(!ran.stdout.contains("BC054"), "a note");
    assert!(
        ran.stdout.ends_with("\n1 template: 3 findings, 1 warning, 1 note (see --notes), 2 fixable with --fix\n"),
        "{}",
        ran.stdout
    );

    let ran = run_with(folder.path(), &["lint", "-"], &[], TEMPLATE);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert!(ran.stdout.contains("<stdin>:5:22: BC011 "), "{}", ran.stdout);

    let ran = run(&starter(), &["lint", "framework.yaml", "examples/five-controls/framework.yaml"]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stdout.ends_with("2 templates, 2 frameworks, 8 controls: no findings, 2 notes (see --notes)\n"),
        "{}",
        ran.stdout
    );
}

#[test]
fn warnings_have_status_1_only_with_strict() {
    let clean = TEMPLATE
        .replace("org-backup", "org_backup")
        .replace("48", "24")
        .replace("NO_SUCH_CONTROL", "BACKUP_RECOVERY_POINT_ENCRYPTED");
    let folder = folder(&clean);
    let ran = run(folder.path(), &["lint", "framework.yaml"]);
    assert_eq!(ran.status, Some(0), "{}", ran.stdout);
    let ran = run(folder.path(), &["lint", "framework.yaml", "--strict"]);
    assert_eq!(ran.status, Some(1), "{}", ran.stdout);
}

#[test]
fn parameter_option_sets_template_parameters() {
    let text = TEMPLATE
        .replace("\"48\"", "!Ref Every")
        .replace("Resources:", "Parameters: { Every: { Type: Number } }\nResources:");
    let folder = folder(&text);
    let ran = run(folder.path(), &["lint", "framework.yaml"]);
    assert!(!ran.stdout.contains("requiredFrequencyValue"), "unknown values are omitted: {}", ran.stdout);
    let ran = run(folder.path(), &["lint", "framework.yaml", "--parameter", "Every=25"]);
    assert!(ran.stdout.contains("BC034 the parameter `requiredFrequencyValue` is `25`"), "{}", ran.stdout);
    let ran = run(folder.path(), &["lint", "framework.yaml", "--parameter", "Evry=25"]);
    assert!(ran.stdout.contains("BC004 ") && ran.stdout.contains("did you mean `Every`?"), "{}", ran.stdout);
}

#[test]
fn base_reports_failures_of_an_update() {
    let now = TEMPLATE
        .replace("org-backup", "new_name")
        .replace("48", "24")
        .replace("NO_SUCH_CONTROL", "BACKUP_RECOVERY_POINT_ENCRYPTED");
    let folder = folder(&now);
    fs::write(folder.path().join("before.yaml"), now.replace("new_name", "old_name")).unwrap();
    let ran = run(folder.path(), &["lint", "framework.yaml", "--base", "before.yaml"]);
    assert_eq!(ran.status, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stdout.contains(
            "BC026 the framework `Framework` is replaced, because its name changes from `old_name` to `new_name`"
        ),
        "{}",
        ran.stdout
    );
    let ran = run(folder.path(), &["lint", "framework.yaml", "--base", "framework.yaml"]);
    assert_eq!(ran.status, Some(0), "{}", ran.stdout);
    let ran = run(folder.path(), &["lint", "framework.yaml", "--base", "gone.yaml"]);
    assert_eq!((ran.status, ran.stderr.contains("`gone.yaml`")), (Some(2), true), "{}", ran.stderr);
}

#[test]
fn fix_applies_unambiguous_edits() {
    let folder = folder(TEMPLATE);
    let file = folder.path().join("framework.yaml");
    let ran = run(folder.path(), &["lint", "framework.yaml", "--fix", "--dry-run"]);
    assert_eq!(ran.status, Some(1), "{}{}", ran.stdout, ran.stderr);
    for line in ["--- a/framework.yaml\n", "-      FrameworkName: org-backup\n", "+      FrameworkName: org_backup\n"] {
        assert!(ran.stdout.contains(line), "{}", ran.stdout);
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), TEMPLATE, "nothing is changed");

    let ran = run(folder.path(), &["lint", "framework.yaml", "--fix"]);
    assert_eq!(ran.status, Some(1), "one is left: {}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stdout.starts_with("framework.yaml:5:22: fixed: the framework name `org-backup` contains `-`\n"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("\nframework.yaml: 2 changes\n"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("BC021 the control `NO_SUCH_CONTROL` does not exist") && !ran.stdout.contains("BC034"),
        "{}",
        ran.stdout
    );
    let expected =
        TEMPLATE.replace("org-backup", "org_backup").replace("\"48\"", "\"2\"").replace("\"hours\"", "\"days\"");
    assert_eq!(fs::read_to_string(&file).unwrap(), expected);
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["framework.yaml"], "nothing is left behind");

    // A second run changes nothing, and other formats are unchanged.
    let ran = run(folder.path(), &["lint", "framework.yaml", "--fix", "--format", "json"]);
    assert!(serde_json::from_str::<Value>(&ran.stdout).is_ok(), "{}", ran.stdout);
    assert_eq!(fs::read_to_string(&file).unwrap(), expected);
}

/// The unit is corrected first, then the number in that unit.
#[test]
fn fix_ends_when_no_edit_is_left() {
    let template = TEMPLATE.replace("\"hours\"", "\"Hours\"");
    let folder = folder(&template);
    let dry = run(folder.path(), &["lint", "framework.yaml", "--fix", "--dry-run"]);
    assert!(dry.stdout.contains("\"days\"") && dry.stdout.contains("\"2\""), "{}", dry.stdout);
    let ran = run(folder.path(), &["lint", "framework.yaml", "--fix"]);
    assert!(!ran.stdout.contains("--fix applies") && ran.stdout.contains("BC021"), "{}", ran.stdout);
    let fixed = fs::read_to_string(folder.path().join("framework.yaml")).unwrap();
    assert!(fixed.contains("\"days\"") && fixed.contains("\"2\""), "{fixed}");
}

#[test]
fn fix_does_not_change_the_control() {
    let template = TEMPLATE.replace("NO_SUCH_CONTROL", "BACKUP_RECOVERY_POINT_CREATED");
    let folder = folder(&template);
    let ran = run(folder.path(), &["lint", "framework.yaml", "--fix"]);
    assert_eq!(ran.status, Some(1), "{}", ran.stdout);
    assert!(ran.stdout.contains("BACKUP_RECOVERY_POINT_CREATED"), "{}", ran.stdout);
    assert!(fs::read_to_string(folder.path().join("framework.yaml")).unwrap().contains("_POINT_CREATED"));
}

#[test]
fn fix_of_standard_input_goes_to_standard_output() {
    let expected =
        TEMPLATE.replace("org-backup", "org_backup").replace("\"48\"", "\"2\"").replace("\"hours\"", "\"days\"");
    let folder = folder(TEMPLATE);
    // The file beside it is changed too, and standard input is not read again.
    let ran = run_with(folder.path(), &["lint", "--fix", "-", "framework.yaml"], &[], TEMPLATE);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(1), expected.as_str()), "{}", ran.stderr);
    assert!(ran.stderr.contains("<stdin>:5:22: fixed: "), "{}", ran.stderr);
    assert!(ran.stderr.contains("<stdin>:11:24: BC021 the control `NO_SUCH_CONTROL` does not exist"), "{}", ran.stderr);
    assert!(ran.stderr.contains("\n2 templates: 2 findings"), "{}", ran.stderr);
    assert_eq!(fs::read_to_string(folder.path().join("framework.yaml")).unwrap(), expected);
    let ran = run_with(folder.path(), &["lint", "--fix", "--dry-run", "-"], &[], TEMPLATE);
    assert!(ran.stdout.contains("+++ b/<stdin>\n"), "{}", ran.stdout);
}

#[test]
fn generated_template_is_not_changed() {
    let folder = folder("");
    let file = folder.path().join("cdk.out/framework.yaml");
    fs::create_dir(file.parent().unwrap()).unwrap();
    fs::write(&file, TEMPLATE).unwrap();
    let ran = run(folder.path(), &["lint", "--fix", "cdk.out/framework.yaml"]);
    assert_eq!((ran.status, fs::read_to_string(&file).unwrap().as_str()), (Some(1), TEMPLATE), "{}", ran.stdout);
    assert!(
        ran.stderr.starts_with("cdk.out/framework.yaml: not changed, because `cdk synth` generates it"),
        "{}",
        ran.stderr
    );
    assert!(ran.stdout.contains("; change the CDK application: `cdk synth` generates this file\n"), "{}", ran.stdout);
}

#[test]
fn region_without_audit_manager_is_a_warning() {
    let folder =
        changed(|policy| policy.replace("regions: [us-east-1, eu-west-1]", "regions: [us-east-1, il-central-1]"));
    let ran = run(folder.path(), &["lint"]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stdout
            .contains(": warning: BC060 the framework has target Regions without Audit Manager: `il-central-1`\n"),
        "{}",
        ran.stdout
    );
}

/// Frameworks for organizational units do not use the administration role.
#[test]
fn opt_in_region_warning_has_the_role_parameter() {
    let regions = "regions: [us-east-1, eu-west-1]";
    let finding = "BC061 StackSets needs an administration role that trusts these opt-in Regions: `af-south-1`\n";
    let folder = changed(|policy| policy.replace(regions, "regions: [us-east-1, af-south-1]"));
    let ran = run(folder.path(), &["lint"]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains(finding), "{}", ran.stdout);
    assert!(ran.stdout.contains("administration-role.yaml` with `OptInRegions=af-south-1`"), "{}", ran.stdout);
    // With an error too.
    let policy = fs::read_to_string(folder.path().join("backup-compliance.yaml")).unwrap();
    let wrong = policy.replace("[us-east-1, af-south-1]", "[us-east-1, af-south-1]\n        parameters: { X: y }");
    fs::write(folder.path().join("backup-compliance.yaml"), wrong).unwrap();
    let ran = run(folder.path(), &["lint"]);
    assert_eq!(ran.status, Some(1), "{}", ran.stdout);
    assert!(ran.stdout.contains(finding), "{}", ran.stdout);

    let folder = changed(|policy| {
        let units = "- organizationalUnits: [ou-abcd-11111111]\n        regions: [af-south-1]";
        let (before, target) = policy.split_once("- accounts:").unwrap();
        let (_, regions) = target.split_once("]\n        regions:").unwrap();
        let (_, rest) = regions.split_once('\n').unwrap();
        format!("{before}{units}\n{rest}")
    });
    let ran = run(folder.path(), &["lint"]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(!ran.stdout.contains("BC061"), "{}", ran.stdout);
}

#[test]
fn github_annotations_are_one_line_each() {
    let text = TEMPLATE.replace("org-backup", "\"a%b,c\"");
    let folder = folder(&text);
    fs::rename(folder.path().join("framework.yaml"), folder.path().join("a,b.yaml")).unwrap();
    let ran = run(folder.path(), &["lint", "a,b.yaml", "--format", "github"]);
    assert_eq!(ran.status, Some(1));
    let line = "::error file=a%2Cb.yaml,line=5,col=22,endLine=5,endColumn=29,title=BC011::the framework name `a%25b,c` contains `%25`; ";
    assert!(ran.stdout.lines().any(|found| found.starts_with(line)), "{}", ran.stdout);
    assert!(ran.stdout.lines().all(|line| line.starts_with("::")), "{}", ran.stdout);
    assert!(ran.stdout.contains("\n::notice ") || ran.stdout.starts_with("::notice "), "{}", ran.stdout);
}

/// On Unix a name may have any character.
#[cfg(unix)]
#[test]
fn names_in_logs_have_no_invisible_characters() {
    let name = "a\u{1b}[31m\u{202e}\u{200b}\rb.yaml";
    let shown = "a\\u{1b}[31m\\u{202e}\\u{200b}\\u{d}b.yaml";
    let folder = folder(TEMPLATE);
    fs::rename(folder.path().join("framework.yaml"), folder.path().join(name)).unwrap();
    let ran = run(folder.path(), &["lint", name, "--format", "github"]);
    assert!(ran.stdout.contains(&format!("::error file={shown},line=5,")), "{:?}", ran.stdout);
    let unseen = |text: &str| text.chars().any(|c| c != '\n' && (c.is_control() || syntax::text::is_invisible(c)));
    let missing = format!("{name}.gone");
    for arguments in [
        &["lint", name][..],
        &["lint", name, "--format", "github"],
        &["lint", name, "--fix", "--dry-run"],
        &["lint", &missing],
        &["check", "--framework", name, &missing],
        &["evaluate", "--framework", name, &missing],
        &["notice", &missing],
        &["lint", name, "--fix", "--format", "json"],
    ] {
        let ran = run(folder.path(), arguments);
        assert!(!unseen(&ran.stderr), "{arguments:?}: {:?}", ran.stderr);
        assert!(arguments.contains(&"json") || !unseen(&ran.stdout), "{arguments:?}: {:?}", ran.stdout);
    }
}

const PLAIN: &str = "\
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
";

fn policy(second: &str) -> String {
    format!(
        "version: 1\nframeworks:\n  - name: a\n    template: framework.yaml\n    targets:\n      - accounts: [\"111111111111\"]\n        \
         regions: [eu-west-1, us-east-1]\n  - name: b\n    template: framework.yaml\n    targets:\n      - {second}\n"
    )
}

#[test]
fn equal_frameworks_of_a_policy_are_an_error() {
    let folder = folder(PLAIN);
    let lint = |second: &str| {
        fs::write(folder.path().join("backup-compliance.yaml"), policy(second)).unwrap();
        run(folder.path(), &["lint"])
    };
    let ran = lint("{ accounts: [\"111111111111\"], regions: [eu-west-1] }");
    assert_eq!(ran.status, Some(1), "{}", ran.stdout);
    let said = "backup-compliance.yaml:11:9: BC025 the framework `b` has the same controls as `a`, and both are deployed to 111111111111 in eu-west-1\n";
    assert!(ran.stdout.contains(said), "{}", ran.stdout);
    for elsewhere in [
        "{ accounts: [\"222222222222\"], regions: [eu-west-1] }",
        "{ accounts: [\"111111111111\"], regions: [eu-west-2] }",
    ] {
        let ran = lint(elsewhere);
        assert_eq!(ran.status, Some(0), "{}", ran.stdout);
    }
}

#[test]
fn region_warnings_appear_with_errors() {
    let folder = folder(PLAIN);
    let wrong = "{ accounts: [\"222222222222\"], regions: [il-central-1], parameters: { X: y } }";
    fs::write(folder.path().join("backup-compliance.yaml"), policy(wrong)).unwrap();
    let ran = run(folder.path(), &["lint"]);
    assert_eq!(ran.status, Some(1), "{}", ran.stdout);
    assert!(ran.stdout.contains("declares no parameter `X`"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("BC060 the framework has target Regions without Audit Manager: `il-central-1`"),
        "{}",
        ran.stdout
    );
}

#[test]
fn summary_counts_unchecked_and_suppressed() {
    let made = "Transform: AWS::LanguageExtensions\nParameters: { Names: { Type: CommaDelimitedList } }\nResources:\n  Fn::ForEach::F: [X, !Ref Names, { \"F${X}\": { Type: AWS::Backup::Framework } }]\n";
    let unseen = folder(made);
    let ran = run(unseen.path(), &["lint", "framework.yaml"]);
    assert_eq!(
        ran.stdout, "1 template: no findings, 1 note (see --notes), 1 part not checked (see --notes)\n",
        "{}",
        ran.stderr
    );

    let suppressing = format!(
        "Metadata: {{ BackupCompliance: {{ Suppress: [{{ rule: BC051, reason: elsewhere, until: 2099-12-31 }}] }} }}\n{PLAIN}"
    );
    let hidden = folder(&suppressing);
    let ran = run(hidden.path(), &["lint", "framework.yaml"]);
    assert_eq!(ran.stdout, "1 template, 1 framework, 1 control: no findings, 1 note (see --notes), 1 suppressed\n");
    let ran = run(hidden.path(), &["lint", "framework.yaml", "--format", "json"]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["suppressed"][0]["rule"], "BC051");
    assert_eq!(report["suppressed"][0]["reason"], "elsewhere");
    let ran = run(hidden.path(), &["lint", "framework.yaml", "--format", "sarif"]);
    let log: Value = serde_json::from_str(&ran.stdout).unwrap();
    crate::sarif::valid_sarif(&log);
    let results = log["runs"][0]["results"].as_array().unwrap();
    let of = |rule: &str| &results.iter().find(|result| result["ruleId"] == rule).unwrap()["suppressions"];
    assert_eq!(*of("BC051"), serde_json::json!([{ "kind": "inSource", "justification": "elsewhere" }]));
    assert_eq!(*of("BC054"), serde_json::json!([]), "the others say that they are not");
}

#[test]
fn broken_template_is_not_a_policy() {
    let folder = folder("Resources:\n  A: [\n");
    let ran = run(folder.path(), &["lint", "framework.yaml"]);
    assert!(ran.stdout.ends_with("1 template: 1 finding\n"), "{}", ran.stdout);
    fs::write(folder.path().join("framework.yaml"), format!("Resources:\n{}", "  A: { Type: T }\n".repeat(100_000)))
        .unwrap();
    let ran = run(folder.path(), &["lint", "framework.yaml"]);
    assert!(ran.stdout.contains("the limit of CloudFormation is 1048576 bytes"), "{}", ran.stdout);
}

/// Templates go by any name, so the hook must run for all that may be one.
#[test]
fn hook_runs_for_changed_templates() {
    let hooks = fs::read_to_string(starter().join("../.pre-commit-hooks.yaml")).unwrap();
    let lint = hooks.split("- id:").find(|hook| hook.contains("backup-compliance-lint")).unwrap();
    assert!(lint.contains("\n  files: \\.(ya?ml|json)$\n") && lint.contains("\n  pass_filenames: false\n"), "{lint}");
}
