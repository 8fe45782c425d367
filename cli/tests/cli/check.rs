//! Folders, links and standard input as templates of `check`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::{Ran, run, run_with};

const FRAMEWORK: &str = "\
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkControls:
        - ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
";

const TABLE: &str = "Resources:\n  Table: { Type: AWS::DynamoDB::Table }\n";

/// A folder with a framework beside the folder `app`, which has these files.
fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("framework.yaml"), FRAMEWORK).unwrap();
    for (name, text) in files {
        let path = folder.path().join("app").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn check(folder: &Path, args: &[&str]) -> Ran {
    check_with(folder, args, "")
}

fn check_with(folder: &Path, args: &[&str], input: &str) -> Ran {
    let place = ["--opt-in", "all", "--account", "111122223333", "--region", "eu-west-1"];
    run_with(folder, &[&["check", "--framework", "framework.yaml"], &place[..], args].concat(), &[], input)
}

/// The files of the findings of a level, in JSON.
fn files(ran: &Ran, level: &str) -> Vec<String> {
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let findings = report.get(level).and_then(Value::as_array).unwrap().iter();
    findings.map(|finding| finding.get("file").and_then(Value::as_str).unwrap().to_owned()).collect()
}

/// Files of other programs, and files that only look like a template.
const FOREIGN: [(&str, &[u8]); 8] = [
    ("charts/service.yaml", b"{{- if .Values.on }}\nkind: Service\n{{- end }}\n"),
    ("broken.yml", b"Resources:\n  A: [\n"),
    ("cdk.out/asset.1/data.json", b"{ \"Resources\": [\"a\"] }"),
    ("latin.yaml", b"Resources:\n  A: \xe9"),
    // These are not templates, whatever their content.
    ("manifests.yaml", b"kind: A\n---\nkind: B\n"),
    ("list.json", b"[1, 2]"),
    ("empty.yaml", b""),
    ("notes.txt", b"Resources: ["),
];

#[test]
fn foreign_file_of_a_folder_is_skipped_with_a_warning() {
    let folder = folder(&[&FOREIGN[..], &[("table.yaml", TABLE.as_bytes())]].concat());
    let skipped = ["app/broken.yml", "app/cdk.out/asset.1/data.json", "app/charts/service.yaml", "app/latin.yaml"];

    let ran = check(folder.path(), &["app", "--format", "json"]);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert_eq!(files(&ran, "findings"), ["app/table.yaml"]);
    assert_eq!(files(&ran, "warnings"), skipped);

    let ran = check(folder.path(), &["app"]);
    assert!(ran.stdout.contains("`Table` (AWS::DynamoDB::Table)"), "{}", ran.stdout);
    assert!(ran.stdout.contains("warning: BC001 skipped: not valid YAML: "), "{}", ran.stdout);
    assert!(ran.stdout.contains("if it is not a CloudFormation template, exclude it with --exclude"), "{}", ran.stdout);
    let line = "app/latin.yaml:2:6: warning: skipped: the file is not UTF-8 text\n";
    assert!(ran.stdout.contains(line), "{}", ran.stdout);

    let ran = check(folder.path(), &["app", "--format", "sarif"]);
    let log: Value = serde_json::from_str(&ran.stdout).unwrap();
    crate::sarif::valid_sarif(&log);
    let results = log["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.iter().filter(|result| result["level"] == "warning").count(), 4, "{log:#}");
    let ran = check(folder.path(), &["app", "--format", "github"]);
    assert!(ran.stdout.contains("::warning file=app/broken.yml,line=3,col=1,title=BC001::skipped: "), "{}", ran.stdout);

    // The same for plans; a file that is in both is skipped once.
    let ran = check(folder.path(), &["app/table.yaml", "--plans", "app", "--format", "json"]);
    assert_eq!((ran.status, files(&ran, "warnings")), (Some(1), skipped.map(str::to_owned).to_vec()), "{}", ran.stderr);
    let ran = check(folder.path(), &["app", "--plans", "app", "--format", "json"]);
    assert_eq!(files(&ran, "warnings"), skipped, "{}", ran.stderr);
}

#[test]
fn skipped_file_is_a_finding_only_with_strict() {
    let topic = b"Resources: { Topic: { Type: AWS::SNS::Topic } }";
    let folder = folder(&[&FOREIGN[..], &[("topic.yaml", topic)]].concat());
    let ran = check(folder.path(), &["app"]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("4 warnings"), "{}", ran.stderr);
    assert_eq!(check(folder.path(), &["app", "--strict"]).status, Some(1));
    let exclude = ["--exclude", "charts", "--exclude", "cdk.out/**", "--exclude", "app/*n*.y*ml"];
    let ran = check(folder.path(), &[&["app", "--strict"], &exclude[..]].concat());
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""), "{}", ran.stdout);
}

#[test]
fn file_that_is_named_must_be_a_template() {
    let folder = folder(&[&FOREIGN[..], &[("table.yaml", TABLE.as_bytes())]].concat());
    for (name, message) in [
        ("app/charts/service.yaml", "app/charts/service.yaml:"),
        ("app/broken.yml", "app/broken.yml:3:1: not valid YAML"),
        ("app/cdk.out/asset.1/data.json", "`Resources` is a list"),
        ("app/latin.yaml", "not UTF-8"),
        ("app/manifests.yaml", "app/manifests.yaml:"),
    ] {
        // Whether it is in another named folder, or an exclusion matches it.
        for args in
            [&[name][..], &["app", name], &[name, "app", "--exclude", "app"], &["app/table.yaml", "--plans", name]]
        {
            let ran = check(folder.path(), args);
            assert_eq!((ran.status, ran.stdout.as_str()), (Some(2), ""), "{args:?}: {}", ran.stderr);
            assert!(ran.stderr.contains(message), "{args:?}: {}", ran.stderr);
        }
    }
}

#[test]
fn folder_without_template_is_an_error() {
    let folder = folder(&FOREIGN);
    let ran = check(folder.path(), &["app"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(2), ""));
    assert!(ran.stderr.contains("`app` has no CloudFormation template"), "{}", ran.stderr);
    assert!(ran.stderr.contains("app/broken.yml:3:1: skipped: not valid YAML"), "{}", ran.stderr);
}

#[test]
fn exclusion_matches_a_name_at_any_depth_or_a_path() {
    let table = TABLE.as_bytes();
    let folder = folder(&[("a.yaml", table), ("x/b.yaml", table), ("x/y/c.yaml", table), ("x/y/z/d.json", table)]);
    for (pattern, left) in [
        ("nothing", &["a.yaml", "x/b.yaml", "x/y/c.yaml", "x/y/z/d.json"][..]),
        ("*.yaml", &["x/y/z/d.json"]),
        ("y", &["a.yaml", "x/b.yaml"]),
        ("y/", &["a.yaml", "x/b.yaml"]),
        ("app/x/*", &["a.yaml"]),
        ("x/*", &["a.yaml"]),
        ("x/*.yaml", &["a.yaml", "x/y/c.yaml", "x/y/z/d.json"]),
        ("x/**/*.json", &["a.yaml", "x/b.yaml", "x/y/c.yaml"]),
        ("**/c.yaml", &["a.yaml", "x/b.yaml", "x/y/z/d.json"]),
        ("app/**/y/**", &["a.yaml", "x/b.yaml"]),
        ("y/c.yaml", &["a.yaml", "x/b.yaml", "x/y/c.yaml", "x/y/z/d.json"]),
    ] {
        let ran = check(folder.path(), &["app", "--exclude", pattern, "--format", "json"]);
        let left: Vec<String> = left.iter().map(|name| format!("app/{name}")).collect();
        assert_eq!(files(&ran, "findings"), left, "{pattern}");
    }
    for pattern in ["", "/", "a?.yaml", "[ab].yaml", "!a.yaml", "{a,b}.yaml"] {
        let ran = check(folder.path(), &["app", "--exclude", pattern]);
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(2), ""), "{pattern}");
        assert!(ran.stderr.contains("--exclude"), "{pattern}: {}", ran.stderr);
    }
}

/// A plan that selects by the tag `keep`.
const PLAN: &str = "\
Resources:
  Vault: { Type: AWS::Backup::BackupVault, Properties: { BackupVaultName: main } }
  Plan:
    Type: AWS::Backup::BackupPlan
    Properties:
      BackupPlan:
        BackupPlanName: daily
        BackupPlanRule:
          - { RuleName: daily, TargetBackupVault: !Ref Vault, ScheduleExpression: \"cron(0 3 * * ? *)\" }
  Selection:
    Type: AWS::Backup::BackupSelection
    Properties:
      BackupPlanId: !Ref Plan
      BackupSelection:
        SelectionName: some
        IamRoleArn: arn:aws:iam::111122223333:role/backup
        ListOfTags: [{ ConditionType: STRINGEQUALS, ConditionKey: keep, ConditionValue: \"1\" }]
";

const VOLUME: &str = "\
Resources:
  Volume:
    Type: AWS::EC2::Volume
    Properties:
      Size: 8
      Tags:
        - Key: team
          Value: orders
";

/// The volume with the tag of the plan.
fn tagged() -> String {
    VOLUME.replace("      Tags:\n", "      Tags:\n        - Key: keep\n          Value: \"1\"\n")
}

fn with_plan(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = folder(files);
    fs::write(folder.path().join("plan.yaml"), PLAN).unwrap();
    folder
}

#[test]
fn fix_of_standard_input_goes_to_standard_output() {
    let folder = with_plan(&[]);
    let fix = ["--plans", "plan.yaml", "--fix", "-"];
    let ran = check_with(folder.path(), &fix, VOLUME);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(0), tagged().as_str()), "{}", ran.stderr);
    assert!(ran.stderr.starts_with("<stdin>:2:3: fixed: `Volume` (AWS::EC2::Volume)"), "{}", ran.stderr);
    assert!(ran.stderr.contains("1 control: no findings"), "{}", ran.stderr);

    // Nothing to change: the same bytes.
    for text in [tagged(), format!("\u{feff}{}", tagged().replace('\n', "\r\n")), tagged().trim_end().to_owned()] {
        let ran = check_with(folder.path(), &fix, &text);
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(0), text.as_str()), "{}", ran.stderr);
    }
    let ran = check_with(folder.path(), &["--fix", "-"], VOLUME);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(1), VOLUME), "{}", ran.stderr);
    assert!(ran.stderr.contains("BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN"), "{}", ran.stderr);
    // Not a template, nor similar to one.
    let ran = check_with(folder.path(), &fix, "Resources: [");
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(2), ""), "{}", ran.stderr);

    // Other forms of the findings are on standard error as a whole.
    let ran = check_with(folder.path(), &[&fix[..], &["--format", "json"]].concat(), VOLUME);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(0), tagged().as_str()), "{}", ran.stderr);
    let report: Value = serde_json::from_str(&ran.stderr).unwrap_or_else(|_| panic!("{}", ran.stderr));
    assert_eq!(report["findings"], serde_json::json!([]));

    let ran = check_with(folder.path(), &[&fix[..], &["--dry-run"]].concat(), VOLUME);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert!(ran.stdout.starts_with("--- a/<stdin>\n+++ b/<stdin>\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("\n+        - Key: keep\n"), "{}", ran.stdout);

    // Files beside it are changed where they are, and standard input is read once.
    fs::write(folder.path().join("beside.yaml"), VOLUME.replace("Volume:", "Other:")).unwrap();
    let ran = check_with(folder.path(), &[&fix[..], &["beside.yaml"]].concat(), VOLUME);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(0), tagged().as_str()), "{}", ran.stderr);
    assert_eq!(fs::read_to_string(folder.path().join("beside.yaml")).unwrap(), tagged().replace("Volume:", "Other:"));
}

/// The path of the shell's process substitution.
#[cfg(target_os = "linux")]
#[test]
fn pipe_is_read_once_and_not_changed() {
    let folder = with_plan(&[("volume.yaml", VOLUME.as_bytes())]);
    let fix = ["--plans", "plan.yaml", "--fix", "/dev/stdin", "app/volume.yaml"];
    let ran = check_with(folder.path(), &fix, &VOLUME.replace("Volume:", "Piped:"));
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert!(ran.stdout.contains("/dev/stdin: not changed, because it is not a regular file\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("/dev/stdin:2:3: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN `Piped`"), "{}", ran.stdout);
    assert_eq!(fs::read_to_string(folder.path().join("app/volume.yaml")).unwrap(), tagged());
}

/// The volume as the CDK writes it.
const SYNTHESIZED: &str = r#"{
 "Resources": {
  "Data9F4": {
   "Type": "AWS::EC2::Volume",
   "Properties": { "Size": 8 },
   "Metadata": { "aws:cdk:path": "Orders/Data/Resource" }
  }
 }
}
"#;

#[test]
fn generated_file_is_unchanged_and_names_its_source() {
    let without_path = SYNTHESIZED.replace("aws:cdk:path", "other");
    let cdk = "; change the CDK application: `cdk synth` generates this file";
    let construct = "; in the CDK: `Tags.of(construct).add('keep', '1')`, with the construct `Orders/Data`; change the CDK \
                     application: `cdk synth` generates this file\n";
    let sam = "; change the template that `sam build` reads: `sam build` generates this file\n";
    for (name, text, fix) in [
        ("cdk.out/Orders.template.json", SYNTHESIZED, construct),
        ("cdk.out/Orders.template.json", &without_path, &format!("{cdk}\n")),
        // Under another name: a cloud assembly, or a redirected one.
        ("build/Orders.template.json", &without_path, &format!("{cdk}\n")),
        ("orders.json", SYNTHESIZED, construct),
        (".aws-sam/build/template.yaml", VOLUME, sam),
        (".serverless/template.yaml", VOLUME, "; change `serverless.yml`: `serverless package` generates this file\n"),
    ] {
        let folder = with_plan(&[(name, text.as_bytes()), ("build/cdk.out", b"{\"version\":\"36.0.0\"}")]);
        let file = folder.path().join("app").join(name);
        let path = format!("app/{name}");
        let args = [path.as_str(), "--plans", "plan.yaml"];
        let ran = check(folder.path(), &args);
        assert_eq!(ran.status, Some(1), "{name}: {}", ran.stderr);
        assert!(ran.stdout.contains("help: tag it `keep` = `1`") && ran.stdout.contains(fix), "{name}: {}", ran.stdout);
        assert!(!ran.stdout.contains("can be fixed"), "{name}: {}", ran.stdout);
        assert_eq!(ran.stderr, "", "{name}");

        let ran = check(folder.path(), &[&args[..], &["--fix"]].concat());
        assert_eq!((ran.status, fs::read_to_string(&file).unwrap().as_str()), (Some(1), text), "{name}");
        let message = format!("{path}: not changed, because `");
        assert!(ran.stderr.starts_with(&message) && ran.stderr.contains(" instead\n"), "{name}: {}", ran.stderr);
        assert!(ran.stdout.contains(fix), "{name}: {}", ran.stdout);

        let ran = check(folder.path(), &[&args[..], &["--fix", "--dry-run"]].concat());
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(1), ""), "{name}: {}", ran.stderr);
        let ran = check(folder.path(), &[&args[..], &["--format", "json"]].concat());
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(report["findings"][0].get("edits"), None, "{name}: editors must not change it either");
        // Seen from its own folder.
        let own = file.file_name().unwrap().to_str().unwrap();
        let up = "../".repeat(path.matches('/').count());
        let (framework, plan) = (format!("{up}framework.yaml"), format!("{up}plan.yaml"));
        let inside = ["check", "--framework", &framework, "--opt-in", "all", "--plans", &plan, "--fix", own];
        run(file.parent().unwrap(), &inside);
        assert_eq!(fs::read_to_string(&file).unwrap(), text, "{name}");
    }
    // Files beside generated ones are the user's, and standard output is not a file.
    let folder = with_plan(&[("cdk.out/x.json", b"{}"), ("volume.yaml", VOLUME.as_bytes())]);
    let ran = check(folder.path(), &["app/volume.yaml", "--plans", "plan.yaml", "--fix"]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    let ran = check_with(folder.path(), &["-", "--plans", "plan.yaml", "--fix"], SYNTHESIZED);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("\"Value\": \"1\""), "{}", ran.stdout);
}

#[cfg(unix)]
#[test]
fn linked_file_is_checked_once() {
    let folder = folder(&[("table.yaml", TABLE.as_bytes())]);
    std::os::unix::fs::symlink("app/table.yaml", folder.path().join("link.yaml")).unwrap();
    std::os::unix::fs::symlink("app", folder.path().join("linked")).unwrap();
    for (args, file) in [
        (&["app/table.yaml", "link.yaml"][..], "app/table.yaml"),
        (&["link.yaml", "app"], "link.yaml"),
        (&["app", "linked"], "app/table.yaml"),
        (&["linked", "app/../app"], "linked/table.yaml"),
        (&["app", "--plans", "link.yaml"], "app/table.yaml"),
        (&["link.yaml", "--plans", "app", "--plans", "linked"], "link.yaml"),
    ] {
        let ran = check(folder.path(), &[args, &["--format", "json"]].concat());
        assert_eq!((ran.status, files(&ran, "findings")), (Some(1), vec![file.to_owned()]), "{args:?}: {}", ran.stderr);
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(report["summary"][0]["notCompliant"], 1, "{args:?}");
    }
}

/// Neither a link nor an encoding excludes a template without a warning.
#[cfg(unix)]
#[test]
fn linked_file_is_checked_and_linked_folder_warned() {
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(TABLE.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let folder = folder(&[("wide.yaml", &utf16)]);
    let outside = folder.path().join("shared");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("table.yaml"), TABLE).unwrap();
    let link =
        |target: &Path, name: &str| std::os::unix::fs::symlink(target, folder.path().join("app").join(name)).unwrap();
    link(&outside.join("table.yaml"), "linked.yaml");
    link(&outside, "linked-folder");
    link(&outside.join("nothing.yaml"), "dangling.yaml");
    let ran = check(folder.path(), &["app", "--format", "json"]);
    assert_eq!(files(&ran, "findings"), ["app/linked.yaml"], "{}{}", ran.stdout, ran.stderr);
    assert_eq!(files(&ran, "warnings"), ["app/linked-folder", "app/dangling.yaml", "app/wide.yaml"], "{}", ran.stdout);
}

#[test]
fn types_without_control_are_listed() {
    let documents = "Resources:\n  Documents: { Type: AWS::DocDB::DBCluster }\n  Topic: { Type: AWS::SNS::Topic }\n";
    let folder = folder(&[("documents.yaml", documents.as_bytes())]);
    let reason = "AWS Backup protects it, Audit Manager has no control";
    let ran = check(folder.path(), &["app"]);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    let line = format!("\nnot judged: `AWS::DocDB::DBCluster` ({reason})\n");
    assert!(ran.stdout.contains(&line), "{}", ran.stdout);
    let ran = check(folder.path(), &["app", "--format", "json"]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let expected = serde_json::json!([{"type": "AWS::DocDB::DBCluster", "reason": reason, "resources": ["Documents"]}]);
    assert_eq!(report.get("notJudged"), Some(&expected));
}

#[test]
fn former_names_of_account_and_region_are_accepted() {
    let folder = folder(&[("table.yaml", TABLE.as_bytes())]);
    let former = ["--in-account", "111122223333", "--in-region", "eu-west-1", "--opt-in", "all", "app"];
    let ran = run(folder.path(), &[&["check", "--framework", "framework.yaml"], &former[..]].concat());
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert!(!run(folder.path(), &["check", "--help"]).stdout.contains("--in-account"));
}

#[test]
fn other_tag_value_is_not_overwritten() {
    let app = "\
Resources:
  Plan:
    Type: AWS::Backup::BackupPlan
    Properties: { BackupPlan: { BackupPlanName: p, BackupPlanRule: [{ RuleName: r, TargetBackupVault: v }] } }
  Selection:
    Type: AWS::Backup::BackupSelection
    Properties:
      BackupPlanId: !Ref Plan
      BackupSelection:
        SelectionName: prod
        IamRoleArn: arn:aws:iam::111122223333:role/b
        ListOfTags: [{ ConditionType: STRINGEQUALS, ConditionKey: Environment, ConditionValue: prod }]
  Scratch:
    Type: AWS::DynamoDB::Table
    Properties:
      Tags:
        - Key: Environment
          Value: dev
";
    let folder = folder(&[("app.yaml", app.as_bytes())]);
    let ran = check(folder.path(), &["app", "--fix"]);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert!(ran.stdout.contains("tag it `Environment` = `prod` (currently `dev`)"), "{}", ran.stdout);
    assert_eq!(fs::read_to_string(folder.path().join("app/app.yaml")).unwrap(), app);
}

/// A backup policy of AWS Organizations in eu-west-1.
const POLICY: &str = r#"{
  "plans": {
    "gold": {
      "regions": { "@@assign": ["eu-west-1"] },
      "rules": {
        "daily": {
          "schedule_expression": { "@@assign": "cron(0 5 * * ? *)" },
          "target_backup_vault_name": { "@@assign": "main" }
        }
      },
      "selections": {
        "tags": {
          "tagged": {
            "iam_role_arn": { "@@assign": "arn:aws:iam::$account:role/backup" },
            "tag_key": { "@@assign": "keep" },
            "tag_value": { "@@assign": ["1", "2"] }
          }
        }
      }
    }
  }
}
"#;

#[test]
fn backup_policy_in_a_file_is_a_plan() {
    let files: [(&str, &[u8]); 2] = [("app.yaml", VOLUME.as_bytes()), ("policies/gold.json", POLICY.as_bytes())];
    let folder = folder(&files);
    for args in
        [&["app/app.yaml", "--plans", "app/policies"][..], &["app/app.yaml", "app/policies/gold.json"], &["app"]]
    {
        let ran = check(folder.path(), args);
        assert_eq!(ran.status, Some(1), "{args:?}: {}", ran.stderr);
        assert!(ran.stdout.contains("help: tag it `keep` = `1`"), "{args:?}: {}", ran.stdout);
        assert!(!ran.stdout.contains("warning"), "{args:?}: {}", ran.stdout);
        let ran = check(folder.path(), &[args, &["--fix", "--dry-run"]].concat());
        assert!(ran.stdout.contains("Key: keep"), "{}", ran.stdout);
    }
    // It is a finding at its position.
    fs::write(folder.path().join("app/policies/gold.json"), POLICY.replace("@@assign\": [\"eu", "@@add\": [\"eu"))
        .unwrap();
    let ran = check(folder.path(), &["app"]);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert!(ran.stdout.contains("app/policies/gold.json:4:"), "{}", ran.stdout);
    assert!(ran.stdout.contains("`@@add` is not an operator"), "{}", ran.stdout);
    let cut = POLICY.split_once("\"selections\"").unwrap().0;
    fs::write(folder.path().join("app/policies/gold.json"), cut).unwrap();
    let ran = check(folder.path(), &["app/app.yaml", "--plans", "app/policies/gold.json"]);
    assert_eq!(ran.status, Some(2), "{}", ran.stdout);
    assert!(ran.stderr.contains("app/policies/gold.json:12:1: not valid JSON: "), "{}", ran.stderr);
}
