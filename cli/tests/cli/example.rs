//! The commands in the README of the example application end as documented.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{run, run_with};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

const CHECK: [&str; 8] =
    ["check", "--framework", "../../framework", "--opt-in", "Aurora", "app.yaml", "backup.yaml", "--format=human"];

/// A copy of the example where its README expects it: `examples/orders` beside `framework`.
fn copy() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    for part in ["examples/orders", "framework"] {
        let to = folder.path().join(part);
        fs::create_dir_all(&to).unwrap();
        for file in fs::read_dir(root().join(part)).unwrap().map(|file| file.unwrap().path()) {
            if file.is_file() {
                fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
            }
        }
    }
    let example = folder.path().join("examples/orders");
    (folder, example)
}

fn readme() -> String {
    fs::read_to_string(root().join("examples/orders/README.md")).unwrap()
}

/// Runs a command of the README and returns its output.
fn shown(example: &Path, command: &str, status: i32) -> String {
    assert!(readme().contains(&format!("$ {command}\n")), "the README should have `{command}`");
    let args: Vec<&str> = command.split(' ').skip(1).collect();
    let ran = run(example, &args);
    assert_eq!(ran.status, Some(status), "{command}: {}{}", ran.stdout, ran.stderr);
    ran.stdout
}

#[test]
fn cluster_without_tag_is_found_and_fixed() {
    let (_folder, example) = copy();
    let check = "backup-compliance check --framework ../../framework --opt-in Aurora app.yaml backup.yaml";
    let found = shown(&example, check, 1);
    assert!(found.contains("app.yaml:11:3: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN `Database`"), "{found}");
    assert!(found.contains("help: tag it `backup` = `daily`, under `Tags` in line 20"), "{found}");
    let diff = shown(&example, &format!("{check} --fix --dry-run"), 1);
    assert!(
        diff.contains("+++ b/app.yaml") && diff.contains("\n+        - Key: backup\n+          Value: daily\n"),
        "{diff}"
    );
    let before = fs::read_to_string(example.join("app.yaml")).unwrap();
    let fixed = run(&example, &[&CHECK[..], &["--fix"]].concat());
    assert_eq!(fixed.status, Some(0), "{}{}", fixed.stdout, fixed.stderr);
    let after = fs::read_to_string(example.join("app.yaml")).unwrap();
    assert_eq!(after.lines().count(), before.lines().count() + 2, "{after}");
    shown(&example, check, 0);
}

#[test]
fn folder_equals_its_templates() {
    let (folder, example) = copy();
    let deep = example.join("services/orders");
    fs::create_dir_all(deep.join("node_modules")).unwrap();
    fs::create_dir_all(deep.join(".aws-sam")).unwrap();
    fs::rename(example.join("app.yaml"), deep.join("app.yaml")).unwrap();
    fs::write(deep.join("settings.yaml"), "colour: red\n").unwrap();
    fs::write(deep.join("other.json"), [0xff, 0xfe]).unwrap();
    for hidden in ["node_modules/a.yaml", ".aws-sam/b.yaml"] {
        fs::copy(deep.join("app.yaml"), deep.join(hidden)).unwrap();
    }
    let check = |more: &[&str]| {
        let first = ["check", "--framework", "../../framework", "--opt-in", "Aurora", "--format", "json"];
        let ran = run(&example, &[&first[..], more].concat());
        let json: Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
        let findings = json["findings"].as_array().cloned().unwrap_or_default();
        let place = |finding: &Value| format!("{}:{}", finding["file"].as_str().unwrap(), finding["line"]);
        (ran.status, findings.iter().map(place).collect::<Vec<_>>(), ran.stderr)
    };
    let expected = ["services/orders/app.yaml:11", "services/orders/app.yaml:27"].map(str::to_owned).to_vec();
    let (status, places, _) = check(&["services", "backup.yaml"]);
    assert_eq!((status, places), (Some(1), expected.clone()));
    // The same file twice, by two names and as a plan too, is checked once.
    assert_eq!(check(&[".", "./backup.yaml", "--plans", "backup.yaml"]), check(&["backup.yaml", "services"]));
    let (status, places, _) = check(&["services", "--plans", "."]);
    assert_eq!((status, places), (Some(1), expected));
    fs::create_dir(folder.path().join("empty")).unwrap();
    let (status, _, stderr) = check(&["../../empty"]);
    assert_eq!(status, Some(2));
    assert!(stderr.contains("`../../empty` has no CloudFormation template"), "{stderr}");
}

#[test]
fn check_findings_have_every_format() {
    let (_folder, example) = copy();
    let as_format = |format: &str| {
        let format = format!("--format={format}");
        let ran = run(&example, &[&CHECK[..7], &[&format]].concat());
        assert_eq!(ran.status, Some(1), "{format}: {}{}", ran.stdout, ran.stderr);
        ran.stdout
    };
    let json: Value = serde_json::from_str(&as_format("json")).unwrap();
    assert_eq!(json["findings"].as_array().unwrap().len(), 2, "{json}");
    let finding = &json["findings"][0];
    assert_eq!(finding["rule"], "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN");
    assert_eq!((&finding["file"], &finding["line"], &finding["column"]), (&"app.yaml".into(), &11.into(), &3.into()));
    assert!(finding["edits"][0]["new"].as_str().unwrap().contains("backup"), "{finding}");
    assert_eq!(json["notEvaluated"], serde_json::json!(["BACKUP_RECOVERY_POINT_ENCRYPTED"]));
    let row = &json["summary"][0];
    assert_eq!((&row["notCompliant"], &row["undecided"]), (&2.into(), &0.into()), "{row}");

    let github = as_format("github");
    assert!(github.starts_with("::error file=app.yaml,line=11,col=3,"), "{github}");
    let sarif: Value = serde_json::from_str(&as_format("sarif")).unwrap();
    crate::sarif::valid_sarif(&sarif);
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN");
    assert!(result["fixes"].is_array(), "{result}");
}

#[test]
fn undecided_is_a_warning_unless_strict() {
    let (_folder, example) = copy();
    let app = fs::read_to_string(example.join("app.yaml")).unwrap();
    let tagged = app.replace("      Tags:\n", "      Tags:\n        - { Key: backup, Value: daily }\n");
    fs::write(example.join("app.yaml"), tagged).unwrap();
    let args = ["check", "--framework", "../../framework", "app.yaml", "--plans", "backup.yaml"];
    let ran = run(&example, &args);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("whether Aurora is enabled"), "{}", ran.stdout);
    assert!(ran.stderr.contains("2 warnings: some results are undecided"), "{}", ran.stderr);
    let ran = run(&example, &[&args[..], &["--strict"]].concat());
    assert_eq!(ran.status, Some(1), "{}{}", ran.stdout, ran.stderr);
    // An inventory contains the opt-in services and the deployment target too.
    let place = r#"{ "version": 1, "asOf": "2026-11-26T06:00:00Z", "locations": [{ "account": "222222222222", "region": "eu-west-1", "optIn": { "Aurora": true } }] }"#;
    fs::write(example.join("place.json"), place).unwrap();
    let ran = run(&example, &[&args[..], &["--strict", "--plans", "place.json"]].concat());
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn inventory_evaluates_as_the_readme_documents() {
    let example = root().join("examples/orders");
    shown(
        &example,
        "backup-compliance evaluate --framework ../../framework inventory.json --in-account 222222222222",
        1,
    );
}

const EVALUATE: [&str; 4] = ["evaluate", "--framework", "../../framework", "inventory.json"];

fn evaluation_schema() -> jsonschema::Validator {
    let schema: Value =
        serde_json::from_str(&fs::read_to_string(root().join("schemas/evaluation.schema.json")).unwrap()).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

/// Asserts that a document matches `schemas/evaluation.schema.json`.
pub(crate) fn valid_evaluation(document: &Value) {
    let errors: Vec<String> = evaluation_schema().iter_errors(document).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{document:#}");
}

#[test]
fn evaluation_json_matches_the_schema() {
    let schema = evaluation_schema();
    let example = root().join("examples/orders");
    let ran = run(&example, &[&EVALUATE[..], &["--format", "json"], &["--all"]].concat());
    assert_eq!(ran.status, Some(1), "{}{}", ran.stdout, ran.stderr);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    valid_evaluation(&document);
    let evaluations = document["evaluations"].as_array().unwrap();
    let of = |name: &str| {
        let is_coverage =
            |one: &&Value| one["name"] == name && one["control"] == "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN";
        evaluations.iter().find(is_coverage).unwrap()
    };
    assert_eq!(of("orders-prod")["compliance"], "NON_COMPLIANT");
    assert_eq!(
        of("orders-prod")["remediation"],
        serde_json::json!([{ "kind": "setTag", "key": "backup", "value": "daily" }])
    );
    assert_eq!(of("carts")["compliance"], "COMPLIANT");
    assert_eq!(of("sessions")["compliance"], "UNDECIDED");
    assert!(of("sessions")["uncertainties"][0].as_str().unwrap().contains("AccessDeniedException"));
    // Four of the six locations of the policy are in no document.
    assert_eq!(document["unread"].as_array().unwrap().len(), 5, "{}", document["unread"]);
    assert!(
        !faults_of(&schema, &document, |document| document["evaluations"][0]["compliance"] = "GOOD".into()).is_empty()
    );

    // Output without entries is well-formed too.
    let empty = r#"{ "version": 1, "asOf": "2026-11-26T06:00:00Z" }"#;
    let args = ["evaluate", "--format", "json", "--framework", "../../framework", "-"];
    let ran = run_with(&example, &args, &[], empty);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(schema.is_valid(&serde_json::from_str(&ran.stdout).unwrap()), "{}", ran.stdout);

    let sarif = run(&example, &[&EVALUATE[..], &["--format", "sarif"], &["--all"]].concat());
    let sarif: Value = serde_json::from_str(&sarif.stdout).unwrap();
    crate::sarif::valid_sarif(&sarif);
    assert_eq!(sarif["runs"][0]["results"].as_array().unwrap().len(), evaluations.len());
}

fn faults_of(schema: &jsonschema::Validator, document: &Value, spoil: impl Fn(&mut Value)) -> Vec<String> {
    let mut document = document.clone();
    spoil(&mut document);
    schema.iter_errors(&document).map(|error| error.to_string()).collect()
}

#[test]
fn evaluate_filters_and_strict_work() {
    let example = root().join("examples/orders");
    let status = |more: &[&str]| run(&example, &[&EVALUATE[..], more].concat()).status;
    let encrypted = ["--control", "backup_recovery_point_encrypted"];
    assert_eq!(status(&encrypted), Some(0));
    assert_eq!(status(&[&encrypted[..], &["--strict"]].concat()), Some(1), "there may be more that nobody read");
    assert_eq!(status(&["--in-account", "111111111111"]), Some(0));
    let wrong = run(&example, &[&EVALUATE[..], &["--control", "BACKUP_RECOVERY_POINT_ENCRIPTED"]].concat());
    assert_eq!(wrong.status, Some(2));
    assert!(wrong.stderr.contains("did you mean `BACKUP_RECOVERY_POINT_ENCRYPTED`?"), "{}", wrong.stderr);
    let nobody = run(&example, &[&EVALUATE[..], &["--in-account", "999999999999"]].concat());
    assert_eq!((nobody.status, nobody.stdout.as_str()), (Some(2), ""));
    assert!(nobody.stderr.contains("the account 999999999999 of `--in-account`"), "{}", nobody.stderr);
}

fn tables(count: usize, kind: &str) -> String {
    let table = |number: usize| {
        format!(
            r#"{{ "type": "{kind}", "arn": "arn:aws:dynamodb:eu-west-1:222222222222:table/t{number}", "account": "222222222222", "region": "eu-west-1" }}"#
        )
    };
    let all: Vec<String> = (0..count).map(table).collect();
    format!(
        r#"{{ "version": 1, "asOf": "2026-11-26T06:00:00Z", "locations": [{{ "account": "222222222222", "region": "eu-west-1" }}], "resources": [{}] }}"#,
        all.join(",")
    )
}

#[test]
fn csv_has_a_row_for_each_evaluation() {
    let example = root().join("examples/orders");
    let json = run(&example, &[&EVALUATE[..], &["--all", "--format", "json"]].concat());
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    let ran = run(&example, &[&EVALUATE[..], &["--all", "--format", "csv"]].concat());
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    let mut reader = csv::Reader::from_reader(ran.stdout.as_bytes());
    let heads = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let evaluations = json["evaluations"].as_array().unwrap();
    assert_eq!(rows.len(), evaluations.len());
    let columns = [
        ("framework", "framework"),
        ("control", "control"),
        ("account", "account"),
        ("region", "region"),
        ("resource_type", "type"),
        ("resource_id", "id"),
        ("resource_name", "name"),
        ("resource_arn", "arn"),
        ("compliance", "compliance"),
        ("reason", "reason"),
        ("fix", "fix"),
        ("exempt_until", "exemption"),
        ("exemption_reason", "exemption"),
    ];
    assert_eq!(heads.iter().collect::<Vec<_>>(), columns.map(|(head, _)| head));
    for (row, evaluation) in rows.iter().zip(evaluations) {
        let expected = columns.map(|(_, key)| evaluation[key].as_str().unwrap_or_default());
        assert_eq!(row.iter().collect::<Vec<_>>(), expected);
    }
    // Unread parts have no row, but a warning.
    assert_eq!(ran.stderr.matches("not read: ").count(), json["unread"].as_array().unwrap().len(), "{}", ran.stderr);

    let formula = r#"{ "version": 1, "asOf": "2026-11-26T06:00:00Z", "locations": [{ "account": "222222222222", "region": "eu-west-1" }],
        "resources": [{ "type": "AWS::DynamoDB::Table", "account": "222222222222", "region": "eu-west-1",
        "arn": "arn:aws:dynamodb:eu-west-1:222222222222:table/t", "id": "t", "name": "=1+1" }] }"#;
    let args = ["evaluate", "--format", "csv", "--framework", "../../framework/framework.yaml", "-"];
    let ran = run_with(&example, &args, &[], formula);
    assert!(ran.stdout.contains(",'=1+1,"), "{}{}", ran.stdout, ran.stderr);
}

/// A terminal shows a limited number of lines, other formats all.
#[test]
fn text_is_limited_and_other_formats_are_complete() {
    let example = root().join("examples/orders");
    let args =
        |format: &'static str| ["evaluate", "--format", format, "--framework", "../../framework/framework.yaml", "-"];
    let human = run_with(&example, &args("human"), &[], &tables(250, "AWS::DynamoDB::Table"));
    assert_eq!(human.status, Some(1), "{}", human.stderr);
    assert_eq!(human.stdout.matches("not compliant, BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN").count(), 100);
    assert!(human.stdout.contains("and 150 more, not shown"), "{}", human.stdout);
    let json = run_with(&example, &args("json"), &[], &tables(250, "AWS::DynamoDB::Table"));
    assert_eq!(json.stdout.matches("NON_COMPLIANT").count(), 250);

    let template: String = (0..120).map(|number| format!("  T{number}: {{ Type: AWS::DynamoDB::Table }}\n")).collect();
    let check = ["check", "--framework", "../../framework/framework.yaml", "-"];
    let ran = run_with(&example, &check, &[], &format!("Resources:\n{template}"));
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert_eq!(ran.stdout.matches("no plan selects it").count(), 100, "{}", ran.stdout);
    assert!(ran.stdout.contains("and 20 more errors, not shown"), "{}", ran.stdout);
}

/// A run without findings but also without evaluations is not a proof.
#[test]
fn unevaluated_resources_are_reported() {
    let example = root().join("examples/orders");
    let evaluate = ["evaluate", "--framework", "../../framework/framework.yaml", "-"];
    let ran = run_with(&example, &evaluate, &[], &tables(3, "AWS::Redshift::Cluster"));
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("Nothing was evaluated"), "{}", ran.stdout);
    assert!(ran.stderr.contains("3 resources of the type AWS::Redshift::Cluster not evaluated"), "{}", ran.stderr);
    let ran = run_with(&example, &evaluate, &[], &tables(1, "AWS::DynamoDB::table"));
    assert_eq!(ran.status, Some(2), "{}", ran.stdout);
    assert!(ran.stderr.contains("did you mean `AWS::DynamoDB::Table`?"), "{}", ran.stderr);
    let switch = tables(1, "AWS::DynamoDB::Table")
        .replace(r#""region": "eu-west-1" }],"#, r#""region": "eu-west-1", "optIn": { "dynamodb": true } }],"#);
    let ran = run_with(&example, &evaluate, &[], &switch);
    assert_eq!(ran.status, Some(2), "{}", ran.stdout);
    assert!(ran.stderr.contains("did you mean `DynamoDB`?"), "{}", ran.stderr);
}

#[test]
fn types_without_rule_of_a_control_are_not_judged() {
    let folder = tempfile::tempdir().unwrap();
    let framework = "Resources:\n  F:\n    Type: AWS::Backup::Framework\n    Properties:\n      FrameworkControls:\n        \
                     - ControlName: RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT\n";
    fs::write(folder.path().join("framework.yaml"), framework).unwrap();
    let ran = run_with(
        folder.path(),
        &["evaluate", "--framework", "framework.yaml", "-"],
        &[],
        &tables(2, "AWS::DynamoDB::Table"),
    );
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    let note = "RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT: 2 resources of the type AWS::DynamoDB::Table not judged: AWS has no rule for this type";
    assert!(ran.stderr.contains(note), "{}", ran.stderr);
}

/// The parameters of each target, and several documents.
#[test]
fn policy_parameters_apply_by_location() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write(
        "framework.yaml",
        "Parameters: { Days: { Type: String, Default: '7' } }\nResources:\n  F:\n    Type: AWS::Backup::Framework\n    Properties:\n      \
         FrameworkName: f\n      FrameworkControls:\n        - ControlName: BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK\n          \
         ControlInputParameters: [{ ParameterName: requiredRetentionDays, ParameterValue: !Ref Days }]\n",
    );
    write(
        "backup-compliance.yaml",
        "version: 1\nframeworks:\n  - name: f\n    template: framework.yaml\n    targets:\n      - { accounts: ['111111111111'], regions: [eu-west-1] }\n      \
         - { accounts: ['222222222222'], regions: [eu-west-1], parameters: { Days: '30' } }\n",
    );
    let document = |account: &str| {
        format!(
            r#"{{ "version": 1, "asOf": "2026-11-26T06:00:00Z", "locations": [{{ "account": "{account}", "region": "eu-west-1" }}], "recoveryPoints": [{{
            "arn": "arn:aws:backup:eu-west-1:{account}:recovery-point:1", "resource": "arn:aws:s3:::b", "account": "{account}", "region": "eu-west-1",
            "vault": "v", "created": "2026-11-26T03:00:00Z", "lifecycle": {{ "deleteAfterDays": 14 }} }}] }}"#
        )
    };
    write("1.json", &document("111111111111"));
    write("2.json", &document("222222222222"));
    let ran = run(folder.path(), &["evaluate", "--format=json", "--framework", ".", "1.json", "2.json", "--all"]);
    assert_eq!(ran.status, Some(1), "{}{}", ran.stdout, ran.stderr);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    let verdicts: Vec<_> =
        document["evaluations"].as_array().unwrap().iter().map(|one| (&one["account"], &one["compliance"])).collect();
    assert_eq!(
        verdicts,
        [(&"111111111111".into(), &"COMPLIANT".into()), (&"222222222222".into(), &Value::from("NON_COMPLIANT"))]
    );
    let given = ["evaluate", "--framework", "framework.yaml", "--parameter", "Days=10", "1.json", "2.json"];
    assert_eq!(run(folder.path(), &given).status, Some(0));

    let twice = run(folder.path(), &["evaluate", "--framework", ".", "1.json", "1.json"]);
    assert_eq!(twice.status, Some(2));
    assert!(twice.stderr.contains("1.json:1:") && twice.stderr.contains("listed twice"), "{}", twice.stderr);
}

#[test]
fn invalid_input_is_reported_in_one_line() {
    let (_folder, example) = copy();
    fs::write(example.join("broken.json"), "{ \"asOf\": 1 }").unwrap();
    fs::write(example.join("broken.yaml"), "Resources: { A: { Type: [").unwrap();
    let framework = ["--framework", "../../framework"];
    for (args, said) in [
        (vec!["evaluate", "nothing.json"], "cannot read `nothing.json`"),
        (vec!["evaluate", "broken.json"], "broken.json:1:"),
        (vec!["evaluate", "app.yaml"], "app.yaml:1:1: "),
        (vec!["check", "broken.yaml"], "broken.yaml:2:1: "),
        (vec!["check", "nothing.yaml"], "cannot read `nothing.yaml`"),
        (vec!["check", "app.yaml", "--plans", "broken.json"], "broken.json:1:"),
        (vec!["check", "app.yaml", "--opt-in", "Aurara"], "did you mean `Aurora`?"),
        (vec!["check", "app.yaml", "--parameter", "Stag=x"], "did you mean `Stage`?"),
        (vec!["check", "app.yaml", "--account", "999999999999"], "no framework in the account and Region"),
        (vec!["check", "app.yaml", "--plans", "inventory.json"], "with --account and --region"),
    ] {
        let (command, rest) = args.split_first().unwrap();
        let ran = run(&example, &[&[*command], &framework[..], rest].concat());
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(2), ""), "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{args:?}: {}", ran.stderr);
        assert!(!ran.stderr.contains("panicked"), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn completions_and_manuals_contain_every_command() {
    for (args, start, named) in [
        (["completions", "bash"], "_backup__compliance()", "evaluate"),
        (["completions", "zsh"], "#compdef backup-compliance", "evaluate"),
        (["completions", "fish"], "# Print", "evaluate"),
    ] {
        let ran = run(Path::new("."), &args);
        assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""), "{args:?}");
        assert!(ran.stdout.contains(named), "{args:?}");
        assert!(ran.stdout.starts_with(start), "{args:?}: {}", ran.stdout.lines().next().unwrap());
    }
    let page = run(Path::new("."), &["man"]).stdout;
    assert!(page.contains(".TH backup-compliance 1") && page.contains("evaluate"), "{page}");
    let page = run(Path::new("."), &["man", "check"]).stdout;
    assert!(page.contains(".TH backup-compliance-check 1") && page.contains("\\-\\-opt\\-in"), "{page}");
    assert_eq!(run(Path::new("."), &["man", "nothing"]).status, Some(2));
}
