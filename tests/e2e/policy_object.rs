//! A policy from a checkout outside of AWS, through S3: CI archives a commit, and writes it with its origin as metadata.

use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use crate::application::{DeployedApplication, FunctionProcess, STACK_SET, bare, event, failures, file};

/// The bucket of the sample event.
const BUCKET: &str = "backup-compliance-policybucket-1a2b3c4d5e6f";
const REPOSITORY: &str = "github.com/acme/backup-frameworks";
const CREATED: &str = "s3-policy-object-created.json";

/// A checkout with the commands of its workflow.
struct Checkout<'a> {
    application: &'a DeployedApplication,
    folder: PathBuf,
}

impl<'a> Checkout<'a> {
    fn init(application: &'a DeployedApplication) -> Self {
        let folder = application.cloud.directory().join("tmp/checkout");
        std::fs::create_dir_all(&folder).unwrap();
        let checkout = Self { application, folder };
        checkout.git(&["init", "--quiet", "-b", "main"]);
        checkout
    }

    fn git(&self, arguments: &[&str]) -> String {
        let identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "core.autocrlf=false"];
        let output = Command::new("git").current_dir(&self.folder).args(identity).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Commits files; returns the commit.
    fn commit(&self, message: &str, files: &[(&str, &str)]) -> String {
        for (path, content) in files {
            std::fs::write(self.folder.join(path), content).unwrap();
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn archive(&self, commit: &str) -> Vec<u8> {
        self.git(&["archive", "--format=zip", "--output=../policy.zip", commit]);
        std::fs::read(self.folder.join("../policy.zip")).unwrap()
    }

    /// A run of CI at a commit; returns the version id.
    fn run(&self, commit: &str, number: Option<&str>) -> String {
        let url = format!("https://{REPOSITORY}/actions/runs/{}", number.unwrap_or("0"));
        let mut metadata =
            vec![("commit", commit), ("ref", "refs/heads/main"), ("repository", REPOSITORY), ("run-url", &url)];
        metadata.extend(number.map(|number| ("run-number", number)));
        self.put(self.archive(commit), &metadata)
    }

    fn put(&self, archive: Vec<u8>, metadata: &[(&str, &str)]) -> String {
        self.application.client.put_object(BUCKET, "policy.zip", archive, metadata).unwrap()
    }
}

fn deploy(application: &DeployedApplication) -> FunctionProcess<'_> {
    application.client.create_versioned_bucket(BUCKET).unwrap();
    application.function_with("deploy", &[("POLICY_BUCKET_NAME", BUCKET), ("REPOSITORY_NAME", REPOSITORY)])
}

/// Long because each step depends on the state after the steps before.
#[test]
fn policy_of_a_checkout_rolls_out_through_s3() {
    let application = DeployedApplication::start();
    let checkout = Checkout::init(&application);
    let mut deploy = deploy(&application);

    let outcome = deploy.answer(&bare(CREATED));
    assert_eq!(outcome["skipped"], "`github.com/acme/backup-frameworks` has no policy on the branch `main` yet");
    for near_miss in ["s3-other-object-created.json", "s3-policy-object-deleted.json", "codecommit-push.json"] {
        assert_eq!(deploy.answer(&event(near_miss)), failures(&[]), "{near_miss}");
        assert_eq!(deploy.calls(), Vec::<String>::new(), "{near_miss}");
    }

    let (policy, framework) = (file("framework/backup-compliance.yaml"), file("framework/framework.yaml"));
    let first = checkout.commit(
        "Start with three controls",
        &[("backup-compliance.yaml", policy.as_str()), ("framework.yaml", framework.as_str())],
    );
    let version = checkout.run(&first, Some("1"));
    assert_eq!(deploy.answer(&event(CREATED)), failures(&[]));
    let calls = deploy.calls();
    let reads: Vec<&String> = calls.iter().filter(|call| call.starts_with("s3:")).collect();
    assert_eq!(reads, ["s3:HeadObject", "s3:GetObject"]);
    assert!(!calls.iter().any(|call| call.starts_with("codecommit:")), "{calls:?}");
    assert_eq!(deploy.answer(&event("stackset-operation.json")), failures(&[]));
    let notice = application.take_notices(&["rollout.succeeded"]).remove(0);
    assert_eq!((&notice["commit"], &notice["repository"]), (&json!(version), &json!(REPOSITORY)));
    let claims = format!("claims commit {first} of {REPOSITORY} at refs/heads/main by run 1");
    assert_eq!(notice["message"], claims);
    assert_eq!(notice["author"], format!("claims https://{REPOSITORY}/actions/runs/1"));
    assert_eq!((&notice["instances"]["succeeded"], &notice["instances"]["total"]), (&json!(6), &json!(6)));
    let query = [("StackSetName", STACK_SET)];
    let stack_set = application.client.query("cloudformation", "DescribeStackSet", &query).unwrap();
    assert!(stack_set.contains("<Value>github.com/acme/backup-frameworks@main</Value>"), "{stack_set}");
    let record = application.items("rollout").into_iter().find(|item| item["sk"]["S"] == STACK_SET).unwrap();
    assert!(record["document"]["S"].as_str().unwrap().contains(&claims), "{record}");

    // An archive that is refused: one notice that names the entry, and no change.
    std::os::unix::fs::symlink("/etc/passwd", checkout.folder.join("link.yaml")).unwrap();
    let link = checkout.commit("Link", &[]);
    let version = checkout.run(&link, Some("2"));
    for _ in 0..2 {
        assert_eq!(deploy.answer(&event(CREATED)), failures(&[]));
    }
    let notice = application.take_notices(&["policy.rejected"]).remove(0);
    assert_eq!(notice["commit"], version.as_str());
    let diagnostic = &notice["diagnostics"][0];
    assert_eq!(
        (&diagnostic["file"], &diagnostic["message"]),
        (&json!("policy.zip"), &json!("the entry `link.yaml` is a link"))
    );

    // The next run is fixed; then the first archive is written again, as a repeated old workflow does.
    std::fs::remove_file(checkout.folder.join("link.yaml")).unwrap();
    let five = file("framework/examples/five-controls/framework.yaml");
    let second = checkout.commit("Five controls", &[("framework.yaml", &five)]);
    checkout.run(&second, Some("3"));
    assert_eq!(deploy.answer(&event(CREATED)), failures(&[]));
    assert_eq!(deploy.answer(&event("stackset-operation.json")), failures(&[]));
    assert_eq!(application.take_notices(&["rollout.succeeded"])[0]["instances"]["updated"], 6);
    checkout.run(&first, Some("1"));
    assert_eq!(deploy.answer(&event(CREATED)), failures(&[]));
    assert_eq!(deploy.changes(), ["sns:PublishBatch", "dynamodb:PutItem"]);
    let notice = application.take_notices(&["policy.rejected"]).remove(0);
    let message = notice["diagnostics"][0]["message"].as_str().unwrap();
    assert!(message.contains("written by run 1, and the policy in force by run 3"), "{message}");

    // Without a number the order is unknown: accepted, with a warning.
    checkout.run(&second, None);
    assert_eq!(deploy.answer(&event(CREATED)), failures(&[]));
    let notice = application.take_notices(&["violation.digest"]).remove(0);
    assert!(notice["warnings"][0].as_str().unwrap().contains("no metadata `run-number`"), "{notice}");
    deploy.stop();
    application.stop();
}

#[test]
fn unreadable_bucket_returns_messages_to_queue() {
    let application = DeployedApplication::start();
    let checkout = Checkout::init(&application);
    let mut deploy = deploy(&application);
    let commit = checkout.commit("Start", &[("backup-compliance.yaml", &file("framework/backup-compliance.yaml"))]);
    checkout.run(&commit, Some("1"));
    let created = event(CREATED);
    let id = created["Records"][0]["messageId"].as_str().unwrap();
    application.cloud.fail_next("s3", "HeadObject", 403, "AccessDenied", "not allowed", 1);
    assert_eq!(deploy.answer(&created), failures(&[id]));
    let log = deploy.stop();
    assert!(log.contains("s3:HeadObject failed"), "{log}");
    application.stop();
}
