//! The program from outside: what people type and what they get.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

#[path = "cli/check.rs"]
mod check;
#[path = "cli/example.rs"]
mod example;
#[path = "cli/invoke.rs"]
mod invoke;
#[path = "cli/lint.rs"]
mod lint;
#[path = "cli/notice.rs"]
mod notice;
#[path = "cli/places.rs"]
mod places;

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs the program in this folder, with nothing of our own environment's AWS settings.
fn run(folder: &Path, args: &[&str]) -> Ran {
    run_with(folder, args, &[], "")
}

fn run_with(folder: &Path, args: &[&str], env: &[(&str, &str)], input: &str) -> Ran {
    use std::io::Write as _;
    let mut command = Command::new(env!("CARGO_BIN_EXE_backup-compliance"));
    command
        .args(args)
        .current_dir(folder)
        .env_clear()
        .envs(testkit::runtime_api::host_environment())
        .envs(env.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A program that refuses its arguments does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    Ran::of(&child.wait_with_output().unwrap())
}

struct Ran {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { status: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

#[test]
fn every_command_explains_itself_with_an_example() {
    let here = Path::new(".");
    for (name, command) in [
        ("help", &["--help"][..]),
        ("help_lint", &["lint", "--help"]),
        ("help_plan", &["plan", "--help"]),
        ("help_status", &["status", "--help"]),
        ("help_check", &["check", "--help"]),
        ("help_evaluate", &["evaluate", "--help"]),
        ("help_inventory", &["inventory", "--help"]),
        ("help_completions", &["completions", "--help"]),
        ("help_man", &["man", "--help"]),
        ("help_notice", &["notice", "--help"]),
        ("help_invoke", &["invoke", "--help"]),
        ("help_violations", &["violations", "--help"]),
        ("help_redrive", &["redrive", "--help"]),
    ] {
        let ran = run(here, command);
        assert_eq!(ran.status, Some(0));
        assert!(name == "help" || ran.stdout.contains("\nExamples:\n"), "{command:?} has no example");
        insta::assert_snapshot!(name, ran.stdout);
    }
}

#[test]
fn arguments_that_make_no_sense_are_refused_with_status_2() {
    for (args, said) in [
        (&["frobnicate"][..], "frobnicate"),
        (&["lint", "--format", "xml"], "[possible values: human, json, csv, sarif, github]"),
        (&["lint", "--format", "csv"], "this command has no CSV, only `violations` has"),
        (&["check", "x", "--framework", "y", "--format", "csv"], "this command has no CSV"),
        (&["check", "x"], "--framework <TEMPLATE|POLICY>"),
        (&["evaluate", "--framework", "y"], "<INVENTORY>"),
        (&["evaluate", "x", "--framework", "y", "--format", "github"], "use --format json or sarif"),
        (&["redrive", "--format", "sarif"], "only `lint`, `check` and `evaluate` have SARIF"),
        (&["violations", "--format", "github"], "only `lint`, `check` and `evaluate` have SARIF"),
        (&["lint", "--dry-run"], "--fix"),
        (&["lint", "--parameter", "Days"], "not of the form `NAME=value`"),
        (&["plan", "--format", "csv"], "this command has no CSV, only `violations` has"),
        (&["plan", ".", "--commit", "head"], "cannot be used with"),
        (&["plan", "--framework", "a_b"], "contains `_`"),
        (&["redrive", "--format", "csv"], "this command has no CSV, only `violations` has"),
        (&["violations", "--account", "1234"], "has 4 digits"),
        (&["redrive", "--delete"], "--only <MESSAGE_ID>..."),
        (&["invoke", "report"], "<EVENT>"),
        (&["notice"], "<EVENT>"),
        (&["notice", "-", "--channel", "sms"], "[possible values: email, json, chat, finding, event]"),
        (&["invoke", "report", "-", "--env", "NOVALUE"], "not of the form `NAME=value`"),
        (&["invoke", "report", "-", "--timeout", "0"], "1..=900"),
    ] {
        let ran = run(Path::new("."), args);
        assert_eq!(ran.status, Some(2), "{args:?}");
        assert!(ran.stderr.contains(said), "{args:?} said:\n{}", ran.stderr);
    }
}

const ALONE: [(&str, &str); 2] = [("AWS_EC2_METADATA_DISABLED", "true"), ("HOME", "/nonexistent")];
const CREDENTIALS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "y")];

/// Runs a command that AWS cannot be asked for, and expects one line about it.
fn fails_in_one_line(command: &[&str], env: &[(&str, &str)], said: &str) {
    let ran = run_with(Path::new("."), command, env, "");
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(2), ""), "{command:?}: {}", ran.stderr);
    assert!(ran.stderr.contains(said), "{command:?}: {}", ran.stderr);
    assert!(ran.stderr.starts_with("error: ") && ran.stderr.lines().count() == 1, "{command:?}: {}", ran.stderr);
    assert!(!ran.stderr.contains("Failure("), "{command:?}: {}", ran.stderr);
}

#[test]
fn without_credentials_or_a_region_one_line_says_what_would_help() {
    for command in [
        &["violations"][..],
        &["violations", "--table", "state"],
        &["redrive"],
        &["redrive", "deploy", "--send"],
        &["plan", "../framework"],
        &["plan", "--commit", "head", "--repository", "policy"],
        &["status"],
        &["status", "--table", "state", "--live"],
    ] {
        fails_in_one_line(command, &ALONE, "no AWS credentials are at hand: sign in");
        fails_in_one_line(command, &[ALONE, CREDENTIALS].concat(), "no AWS Region is known: set AWS_REGION");
    }
}

#[test]
fn an_endpoint_where_nobody_answers_is_told_in_one_line() {
    // The discard port.
    let nobody = [("AWS_REGION", "eu-west-1"), ("AWS_ENDPOINT_URL", "http://127.0.0.1:9")];
    fails_in_one_line(&["redrive"], &[ALONE, CREDENTIALS, nobody].concat(), "Connection refused");
}
