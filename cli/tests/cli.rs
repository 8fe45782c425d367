//! Tests of the command line as a process.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot set itself up has failed")]

#[path = "cli/cases.rs"]
mod cases;
#[path = "cli/cdk.rs"]
mod cdk;
#[path = "cli/check.rs"]
mod check;
#[path = "cli/evaluate.rs"]
mod evaluate;
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
#[path = "cli/preview.rs"]
mod preview;
#[path = "cli/profiles.rs"]
mod profiles;
#[path = "cli/sarif.rs"]
mod sarif;
#[path = "cli/terraform.rs"]
mod terraform;

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs the program in a folder, without the AWS settings of the environment.
fn run(folder: &Path, args: &[&str]) -> Ran {
    run_with(folder, args, &[], "")
}

fn run_with(folder: &Path, args: &[&str], env: &[(&str, &str)], input: &str) -> Ran {
    use std::io::Write as _;
    let mut command = Command::new(env!("CARGO_BIN_EXE_backup-compliance"));
    command.args(args).current_dir(folder).env_clear().envs(runtime_api::host_environment()).envs(env.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A program that rejects its arguments does not read.
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
fn help_of_commands_has_examples() {
    let here = Path::new(".");
    for (name, command) in [
        ("help", &["--help"][..]),
        ("help_lint", &["lint", "--help"]),
        ("help_plan", &["plan", "--help"]),
        ("help_preview", &["preview", "--help"]),
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

/// The output formats of each command.
const FORMATS: [(&str, &[&str]); 12] = [
    ("lint", &["human", "json", "sarif", "github"]),
    ("check", &["human", "json", "sarif", "github"]),
    ("evaluate", &["human", "json", "csv", "sarif"]),
    ("inventory", &["human", "json"]),
    ("plan", &["human", "json"]),
    ("status", &["human", "json"]),
    ("notice", &["human", "json"]),
    ("invoke", &[]),
    ("violations", &["human", "json", "csv"]),
    ("redrive", &["human", "json"]),
    ("completions", &[]),
    ("man", &[]),
];

#[test]
fn help_man_and_completions_list_the_formats() {
    let text = |args: &[&str]| {
        let ran = run(Path::new("."), args);
        assert_eq!(ran.status, Some(0), "{args:?}: {}", ran.stderr);
        ran.stdout
    };
    // The text between an option and the next one.
    let part = |text: &str, from: &str, to: &str| {
        let (_, after) = text.split_once(from)?;
        Some(after.split_once(to).map_or(after, |(part, _)| part).to_owned())
    };
    let bash = text(&["completions", "bash"]);
    for (command, formats) in FORMATS {
        let values = |list: Option<String>, start: &str| -> Vec<String> {
            let list = list.unwrap_or_default();
            let values = list.lines().filter_map(|line| line.trim_start().strip_prefix(start)?.split_once(':'));
            values.map(|(value, _)| value.to_owned()).collect()
        };
        let help = part(&text(&[command, "--help"]), "--format <FORMAT>", "[default:");
        assert_eq!(values(help, "- "), formats, "{command} --help");
        let manual = text(&["man", command]).replace(".IP \\(bu 2\n", "* ");
        let manual = part(&manual, "\\fB\\-\\-format\\fR \\fI<FORMAT>\\fR", "\n.RE");
        assert_eq!(values(manual, "* "), formats, "man {command}");
        if !formats.is_empty() {
            assert_eq!(completed(&bash, command), formats, "completions of {command}");
        }
    }
    assert!(!text(&["--help"]).contains("--format"));
}

/// Returns the values of `--format` that Bash completes.
fn completed(script: &str, command: &str) -> Vec<String> {
    let call = format!(
        r#"
        COMP_WORDS=(backup-compliance {command} --format "")
        COMP_CWORD=3
        _backup__compliance backup-compliance "" --format
        echo "${{COMPREPLY[*]}}"
        "#
    );
    let output = Command::new("bash").args(["-c", &format!("{script}{call}")]).output().unwrap();
    let words = String::from_utf8(output.stdout).unwrap();
    words.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn invalid_arguments_have_status_2() {
    for (args, said) in [
        (&["frobnicate"][..], "frobnicate"),
        (&["lint", "--format", "csv"], "[possible values: human, json, sarif, github]"),
        (&["--format", "json", "lint"], "'lint --format' exists"),
        (&["check", "x"], "--framework <TEMPLATE|POLICY>"),
        (&["evaluate", "--framework", "y"], "<INVENTORY>"),
        (&["lint", "--dry-run"], "--fix"),
        (&["lint", "--parameter", "Days"], "not of the form `NAME=value`"),
        (&["plan", ".", "--commit", "head"], "cannot be used with"),
        (&["plan", "--framework", "a_b"], "contains `_`"),
        (&["violations", "--in-account", "1234"], "has 4 digits"),
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

/// Runs a command without AWS access and expects an error of one line.
fn fails_in_one_line(command: &[&str], env: &[(&str, &str)], said: &str) {
    let ran = run_with(Path::new("."), command, env, "");
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(2), ""), "{command:?}: {}", ran.stderr);
    assert!(ran.stderr.contains(said), "{command:?}: {}", ran.stderr);
    assert!(ran.stderr.starts_with("error: ") && ran.stderr.lines().count() == 1, "{command:?}: {}", ran.stderr);
    assert!(!ran.stderr.contains("Failure("), "{command:?}: {}", ran.stderr);
}

#[test]
fn missing_credentials_or_region_is_one_line() {
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
        fails_in_one_line(command, &ALONE, "no AWS credentials: sign in");
        fails_in_one_line(command, &[ALONE, CREDENTIALS].concat(), "no AWS Region is configured: set --region");
    }
}

/// Without a terminal, a step is logged before its first response.
#[test]
fn inventory_logs_steps_as_lines() {
    use std::io::{BufRead as _, BufReader};
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    for (args, expected) in [
        (&["inventory"][..], "reading the stack `backup-compliance`"),
        (&["inventory", "--aggregator", "org"], "querying the aggregator `org`: 0 of 9 queries"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_backup-compliance"));
        command.args(args).env_clear().envs(runtime_api::host_environment()).envs(ALONE).envs(CREDENTIALS);
        command.env("AWS_REGION", "eu-west-1").env("AWS_ENDPOINT_URL", &endpoint).stderr(Stdio::piped());
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        let read = BufReader::new(child.stderr.take().unwrap()).read_line(&mut line);
        child.kill().unwrap();
        child.wait().unwrap();
        read.unwrap();
        assert_eq!(line.trim_end(), expected, "{args:?}");
    }
}

#[test]
fn refused_connection_is_one_line() {
    // The discard port.
    let closed = [("AWS_REGION", "eu-west-1"), ("AWS_ENDPOINT_URL", "http://127.0.0.1:9")];
    fails_in_one_line(&["redrive"], &[ALONE, CREDENTIALS, closed].concat(), "Connection refused");
}
