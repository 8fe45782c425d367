use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::{run, run_with};

/// A folder in which `probe` is built: a shell script that ends at once, since none of these tests needs an answer.
fn built(script: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let bin = folder.path().join("target/lambda/probe");
    fs::create_dir_all(&bin).unwrap();
    let bootstrap = bin.join("bootstrap");
    fs::write(&bootstrap, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&bootstrap, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(folder.path().join("event.json"), "{}").unwrap();
    folder
}

#[test]
fn event_with_invalid_json_is_status_2_with_position() {
    let folder = built("exit 0");
    fs::write(folder.path().join("bad.json"), "{\n  \"a\": 1,\n  b\n}").unwrap();
    let ran = run(folder.path(), &["invoke", "probe", "bad.json"]);
    assert_eq!(ran.status, Some(2));
    assert_eq!(ran.stderr, "error: bad.json:3:3: the event is not JSON: key must be a string\n");

    let ran = run_with(folder.path(), &["invoke", "probe", "-"], &[], "[1,");
    assert_eq!(ran.status, Some(2));
    assert_eq!(ran.stderr, "error: -:1:3: the event is not JSON: EOF while parsing a value\n");
}

#[test]
fn unbuilt_function_is_status_2_with_build_command() {
    let folder = built("exit 0");
    let ran = run(folder.path(), &["invoke", "report", "event.json"]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.stderr.contains("cargo lambda build --release --bin report"), "{}", ran.stderr);

    let ran = run(folder.path(), &["invoke", "probe", "event.json", "--binary", "gone"]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.stderr.contains("/gone`"), "{}", ran.stderr);
}

#[test]
fn output_of_failed_function_is_printed() {
    let folder = built("echo 'missing environment variables: `STATE_TABLE_NAME`' >&2; exit 3");
    let below = folder.path().join("a/b");
    fs::create_dir_all(&below).unwrap();
    let ran = run_with(&below, &["invoke", "probe", "-"], &[], "{}");
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(1), ""));
    assert_eq!(
        ran.stderr,
        "missing environment variables: `STATE_TABLE_NAME`\n\
         error: `probe` exited with status 3 before it was ready for an event; see its log above\n"
    );
}

#[test]
fn later_sources_override_variables() {
    let folder = built("env | grep -E '^(A|B|C|AWS_REGION|AWS_PROFILE|AWS_ACCESS_KEY_ID|AWS_LAMBDA_X)='; exit 1");
    fs::write(folder.path().join("env"), "export A=file\nexport B='file'\nexport AWS_REGION=eu-west-1\n").unwrap();
    let args = ["invoke", "probe", "event.json", "--env-file", "env", "--env", "B=given", "--env", "C="];
    let shell = [("AWS_REGION", "shell"), ("AWS_LAMBDA_X", "shell"), ("A", "shell"), ("AWS_PROFILE", "mine")];
    let ran = run_with(folder.path(), &args, &shell, "");
    let mut lines = ran.stderr.lines().filter(|line| !line.starts_with("error:")).collect::<Vec<_>>();
    lines.sort_unstable();
    assert_eq!(lines, ["A=file", "AWS_PROFILE=mine", "AWS_REGION=eu-west-1", "B=given", "C="]);
}

#[test]
fn invalid_environment_file_is_status_2_with_line() {
    let folder = built("exit 0");
    fs::write(folder.path().join("env"), "export A=1\nexport B=$A\n").unwrap();
    let ran = run(folder.path(), &["invoke", "probe", "event.json", "--env-file", "env"]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.stderr.starts_with("error: env:2: "), "{}", ran.stderr);
}

/// An answer, an error and a hang, from the least program that speaks the Runtime API: Python's standard library.
#[test]
fn answer_is_on_stdout_and_error_is_status_1() {
    let folder = built("");
    let script = r#"#!/usr/bin/env python3
import http.client, json, os, time
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
root = "/2018-06-01/runtime/invocation/"
api.request("GET", root + "next")
got = api.getresponse()
event = json.load(got)
id = got.headers["Lambda-Runtime-Aws-Request-Id"]
print("working on", event["do"], flush=True)
if event["do"] == "hang":
    time.sleep(60)
answer = {"errorType": "Refused", "errorMessage": "no such table"} if event["do"] == "fail" else {"b": 1, "a": [2]}
api.request("POST", root + id + ("/error" if event["do"] == "fail" else "/response"), json.dumps(answer))
api.getresponse().read()
api.request("GET", root + "next")
api.getresponse()
"#;
    fs::write(folder.path().join("target/lambda/probe/bootstrap"), script).unwrap();
    let invoke = |what: &str, more: &[&str]| {
        let args = [&["invoke", "probe", "-"], more].concat();
        run_with(folder.path(), &args, &[], &format!(r#"{{"do": "{what}"}}"#))
    };

    let ran = invoke("answer", &[]);
    assert_eq!(
        (ran.status, ran.stdout.as_str()),
        (Some(0), "{\n  \"a\": [\n    2\n  ],\n  \"b\": 1\n}\n"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.starts_with("working on answer\nstarted in "), "{}", ran.stderr);

    let ran = invoke("fail", &[]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.ends_with("\nerror: `probe` failed: no such table (Refused)\n"), "{}", ran.stderr);

    let ran = invoke("hang", &["--timeout", "1"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(1), ""));
    assert!(
        ran.stderr.ends_with("error: `probe` did not respond within 1 seconds and was stopped\n"),
        "{}",
        ran.stderr
    );
}
