//! A clone of a policy repository with a change, and the command line to review it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

pub(super) const COVERAGE: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN";
const ENCRYPTED: &str = "BACKUP_RECOVERY_POINT_ENCRYPTED";

/// A limit that the change exceeds.
pub(super) const LIMIT: &str = "preview: { maxNewViolations: 0 }\n";

/// A clone with the commits `base` and `head`. The change adds a control that two tables of `inventory.json` violate.
#[derive(Debug)]
pub(super) struct Checkout {
    folder: tempfile::TempDir,
    pub(super) base: String,
    pub(super) head: String,
}

impl Checkout {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("clone")).unwrap();
        let mut checkout = Self { folder, base: String::new(), head: String::new() };
        checkout.git(&["init", "--quiet", "--initial-branch=main"]);
        checkout.write("framework.yaml", &template(ENCRYPTED));
        checkout.write("backup-compliance.yaml", &policy("framework.yaml", ""));
        checkout.base = checkout.commit();
        checkout.write("framework.yaml", &template(COVERAGE));
        checkout.head = checkout.commit();
        checkout.write("inventory.json", &inventory().to_string());
        checkout
    }

    /// The folder of the clone, in which a job runs.
    pub(super) fn clone(&self) -> PathBuf {
        self.folder.path().join("clone")
    }

    /// A path beside the clone.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        fs::write(self.clone().join(path), text).unwrap();
    }

    pub(super) fn git(&self, args: &[&str]) -> String {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]).args(args);
        let ran = clean(&mut command).current_dir(self.clone()).env("HOME", self.folder.path()).output().unwrap();
        assert!(ran.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap().trim().to_owned()
    }

    /// Commits the files of the policy; returns the commit.
    pub(super) fn commit(&self) -> String {
        self.git(&["add", "--all", ":!inventory.json"]);
        self.git(&["commit", "--quiet", "--message", "change"]);
        self.git(&["rev-parse", "HEAD"])
    }
}

/// A policy with one framework, and more lines.
pub(super) fn policy(template: &str, more: &str) -> String {
    format!(
        "version: 1\nframeworks:\n  - name: org-backup\n    template: '{template}'\n    targets:\n      - accounts: \
         ['222222222222']\n        regions: [eu-west-1]\n{more}"
    )
}

fn template(control: &str) -> String {
    format!(
        "Resources:\n  Framework:\n    Type: AWS::Backup::Framework\n    Properties:\n      FrameworkControls:\n        - \
         ControlName: {control}\n"
    )
}

fn inventory() -> Value {
    let location = json!({ "account": "222222222222", "region": "eu-west-1", "optIn": { "DynamoDB": true } });
    let table = |name: &str| {
        json!({
            "arn": format!("arn:aws:dynamodb:eu-west-1:222222222222:table/{name}"),
            "type": "AWS::DynamoDB::Table", "account": "222222222222", "region": "eu-west-1", "name": name, "tags": {},
        })
    };
    json!({
        "version": 1, "asOf": "2099-01-01T00:00:00Z", "locations": [location],
        "resources": [table("a"), table("b")], "vaults": [],
    })
}

/// The command line, which cargo builds beside this test in every run of the workspace.
pub(super) fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().unwrap().parent().unwrap().join("backup-compliance");
    assert!(program.exists(), "`{}` is missing: cargo build --workspace --bin backup-compliance", program.display());
    program
}

/// Writes an executable script.
pub(super) fn executable(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Removes all variables that a program does not need to start.
pub(super) fn clean(command: &mut Command) -> &mut Command {
    command.env_clear().envs(runtime_api::host_environment())
}

/// A finished job.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) status: Option<i32>,
    /// Standard output and error.
    pub(super) log: String,
}

impl Job {
    pub(super) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { status: output.status.code(), log: text(&output.stdout) + &text(&output.stderr) }
    }

    /// Asserts that the log has all these texts.
    #[track_caller]
    pub(super) fn shows(&self, texts: &[&str]) {
        for text in texts {
            assert!(self.log.contains(text), "`{text}` is not in the log:\n{}", self.log);
        }
    }
}

/// A release folder `v1.2.3` with the archive of this machine, whose program runs `script`. Returns the archive and its SHA-256.
pub(super) fn release(folder: &Path, script: &str) -> (Vec<u8>, String) {
    use sha2::{Digest as _, Sha256};
    let name = archive_name();
    let content = folder.join(&name);
    fs::create_dir_all(&content).unwrap();
    executable(&content.join("backup-compliance"), script);
    fs::copy(crate::files::root().join("ci/review.py"), content.join("review.py")).unwrap();
    let archive = folder.join("archive.tar.gz");
    let packed = Command::new("tar").arg("-czf").arg(&archive).arg("-C").arg(folder).arg(&name).status().unwrap();
    assert!(packed.success());
    let bytes = fs::read(archive).unwrap();
    let hash = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    (bytes, hash)
}

/// The name of the archive of version 1.2.3 for this machine.
pub(super) fn archive_name() -> String {
    format!("backup-compliance-1.2.3-{}-unknown-linux-gnu", std::env::consts::ARCH)
}
