//! `--profile` and `--region`: with the meaning that they have in the AWS CLI.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::{CREDENTIALS, run_with};

/// The commands that call AWS.
const COMMANDS: [&[&str]; 5] =
    [&["violations"], &["redrive"], &["status"], &["plan", "--commit", "head"], &["inventory"]];

const CONFIG: &str = r#"
[profile dev]
region = eu-central-1
credential_process = printf '{"Version": 1, "AccessKeyId": "OFPROCESS", "SecretAccessKey": "s"}'

[profile locked]
region = eu-west-1
credential_process = echo "the store is locked" >&2; exit 1

[profile staff]
region = eu-west-1
sso_session = corp
sso_account_id = 111111111111
sso_role_name = Auditor

[sso-session corp]
sso_region = eu-west-1
sso_start_url = https://corp.awsapps.com/start
sso_registration_scopes = sso:account:access
"#;

/// The name of the cached token of the session `corp`: the SHA-1 of its name.
const TOKEN: &str = ".aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json";

/// A home directory with profiles, and a token of the session `corp` if it is to have one.
fn home(token_expires: Option<&str>) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir_all(home.path().join(".aws/sso/cache")).unwrap();
    fs::write(home.path().join(".aws/config"), CONFIG).unwrap();
    if let Some(expires) = token_expires {
        let token = format!(r#"{{"accessToken": "token", "expiresAt": "{expires}", "region": "eu-west-1"}}"#);
        fs::write(home.path().join(TOKEN), token).unwrap();
    }
    home
}

fn environment<'a>(home: &'a TempDir, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let own = [("HOME", home.path().to_str().unwrap()), ("AWS_EC2_METADATA_DISABLED", "true")];
    [&own[..], more].concat()
}

/// The last line of an error, which is the only one but for progress.
fn error(command: &[&str], environment: &[(&str, &str)]) -> String {
    let ran = run_with(Path::new("."), command, environment, "");
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(2), ""), "{command:?}: {}", ran.stderr);
    let mut lines = ran.stderr.lines().filter(|line| !line.starts_with("reading the stack"));
    let line = lines.next().unwrap_or_default();
    assert_eq!(lines.next(), None, "{command:?}: {}", ran.stderr);
    line.to_owned()
}

#[test]
fn missing_profile_is_named_by_every_command() {
    let home = home(None);
    let known = environment(&home, &CREDENTIALS);
    for command in COMMANDS {
        let said = error(&[command, &["--profile", "stuff"]].concat(), &known);
        let expected =
            "error: the profile `stuff` does not exist in ~/.aws/config and ~/.aws/credentials: did you mean `staff`?";
        assert_eq!(said, expected, "{command:?}");
    }
    let said = error(&["status"], &environment(&home, &[("AWS_PROFILE", "nothing")]));
    assert!(
        said.contains("`nothing` does not exist") && said.contains("the profiles are dev, locked, staff"),
        "{said}"
    );
    let elsewhere = environment(&home, &[("AWS_CONFIG_FILE", "/nonexistent/config")]);
    let said = error(&["status", "--profile", "dev"], &elsewhere);
    assert!(said.ends_with("in /nonexistent/config and ~/.aws/credentials: no profiles are defined"), "{said}");
}

#[test]
fn expired_sso_session_has_sign_in_command() {
    for token in [Some("2020-01-01T00:00:00Z"), None] {
        let home = home(token);
        let expected = "error: no AWS credentials: the IAM Identity Center session of the profile `staff` is missing or has expired: \
                        sign in with `aws sso login --profile staff`";
        for command in COMMANDS {
            let said = error(&[command, &["--profile", "staff"]].concat(), &environment(&home, &[]));
            assert_eq!(said, expected, "{command:?}");
        }
        assert_eq!(error(&["status"], &environment(&home, &[("AWS_PROFILE", "staff")])), expected);
    }
}

#[test]
fn a_credential_process_that_fails_is_shown() {
    let home = home(None);
    let said = error(&["status", "--profile", "locked"], &environment(&home, &[]));
    assert!(said.starts_with("error: no AWS credentials: the profile `locked` provides none: "), "{said}");
    assert!(said.contains("the store is locked"), "{said}");
}

/// A program that runs against a listener until the test has received its request.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The head of the first request that a command sends; the variable names the address of the listener.
fn first_request(command: &[&str], environment: &[(&str, &str)], variable: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let mut program = Command::new(env!("CARGO_BIN_EXE_backup-compliance"));
    program.args(command).env_clear().envs(runtime_api::host_environment());
    program.envs(environment.iter().copied()).env(variable, address);
    let _running = Running(program.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let (stream, _) = listener.accept().unwrap();
    let lines = BufReader::new(stream).lines().map(Result::unwrap).take_while(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn profile_and_region_are_those_of_the_calls() {
    let home = home(None);
    let environment = environment(&home, &[&CREDENTIALS[..], &[("AWS_REGION", "us-east-1")]].concat());
    for command in COMMANDS {
        let sent = |more: &[&str]| first_request(&[command, more].concat(), &environment, "AWS_ENDPOINT_URL");
        // Named ones go before the environment; a Region in the environment goes before that of a profile.
        for (more, key, region) in [
            (&[][..], "x", "us-east-1"),
            (&["--profile", "dev"], "OFPROCESS", "us-east-1"),
            (&["--region", "ap-south-1"], "x", "ap-south-1"),
            (&["--profile", "dev", "--region", "ap-south-1"], "OFPROCESS", "ap-south-1"),
        ] {
            let request = sent(more);
            let scope = format!("Credential={key}/");
            assert!(
                request.contains(&scope) && request.contains(&format!("/{region}/")),
                "{command:?} {more:?}: {request}"
            );
        }
    }
    let without_region = self::environment(&home, &[]);
    let request = first_request(&["status", "--profile", "dev"], &without_region, "AWS_ENDPOINT_URL");
    assert!(request.contains("Credential=OFPROCESS/") && request.contains("/eu-central-1/"), "{request}");
}

#[test]
fn sso_session_is_exchanged_for_credentials() {
    let home = home(Some("2999-01-01T00:00:00Z"));
    let request = first_request(&["status", "--profile", "staff"], &environment(&home, &[]), "HTTPS_PROXY");
    assert!(request.starts_with("CONNECT portal.sso.eu-west-1.amazonaws.com:443 "), "{request}");
}
