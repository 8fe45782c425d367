//! Folders, links and standard input as templates of `check`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::{Ran, run};

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
    let place = ["--opt-in", "all", "--account", "111122223333", "--region", "eu-west-1"];
    run(folder, &[&["check", "--framework", "framework.yaml"], &place[..], args].concat())
}

/// The files of the findings of a level, in JSON.
fn files(ran: &Ran, level: &str) -> Vec<String> {
    let report: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}{}", ran.stdout, ran.stderr));
    let of = |finding: &Value| finding["file"].as_str().unwrap().to_owned();
    report[level].as_array().unwrap().iter().map(of).collect()
}

/// What belongs to other programs, and what only looks like a template.
const FOREIGN: [(&str, &[u8]); 8] = [
    ("charts/service.yaml", b"{{- if .Values.on }}\nkind: Service\n{{- end }}\n"),
    ("broken.yml", b"Resources:\n  A: [\n"),
    ("cdk.out/asset.1/data.json", b"{ \"Resources\": [\"a\"] }"),
    ("latin.yaml", b"Resources:\n  A: \xe9"),
    // These are not meant as templates, whatever is in them.
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
    assert!(
        ran.stdout.contains("if it is not a CloudFormation template, leave it out with --exclude"),
        "{}",
        ran.stdout
    );
    let line = "app/latin.yaml:2:6: warning: skipped: the file is not UTF-8 text\n";
    assert!(ran.stdout.contains(line), "{}", ran.stdout);

    let ran = check(folder.path(), &["app", "--format", "sarif"]);
    let log: Value = serde_json::from_str(&ran.stdout).unwrap();
    crate::lint::valid_sarif(&log);
    let results = log["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.iter().filter(|result| result["level"] == "warning").count(), 4, "{log:#}");
    let ran = check(folder.path(), &["app", "--format", "github"]);
    assert!(ran.stdout.contains("::warning file=app/broken.yml,line=3,col=1,title=BC001::skipped: "), "{}", ran.stdout);

    // The same for plans, and a file that is in both is skipped once.
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
        // Whether a folder that is named too has it, or an exclusion matches it.
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
fn folder_without_a_template_is_an_error_with_the_reason() {
    let folder = folder(&FOREIGN);
    let ran = check(folder.path(), &["app"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(2), ""));
    assert!(ran.stderr.contains("no CloudFormation template is in `app`"), "{}", ran.stderr);
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
