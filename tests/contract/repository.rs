//! `PolicyRepository`.

use std::cell::Cell;
use std::path::Path;
use std::process::Command;

use app::deploy::RevisionOrder;
use app::deploy::ports::{PolicyRepository, RepositoryFile};
use app::ports::PortErrorKind;
use aws::CodeCommitRepository;
use domain::rollout::transition::Revision;
use framework::ids::CommitId;
use sandbox::cloud::LocalCloud;
use syntax::diagnostic::Position;
use testkit::world::World;

use crate::cloud::Local;

/// The limit of CodeCommit's `GetFile` is 6 MB.
const LARGEST: usize = 6 * 1024 * 1024;

/// Commits files, path and content, on top of the head.
trait Push {
    fn push(&self, message: &str, files: &[(&str, &[u8])]) -> CommitId;
}

trait Comments {
    /// The comments on commits, oldest first.
    fn comments(&self) -> Vec<(String, String)>;
}

/// The contract of a branch: its files, authors and comments.
async fn holds(repository: &impl PolicyRepository, git: &(impl Push + Comments)) {
    let [first, odd, gone] = files_hold(repository, git).await;
    let (author, message) = ("Ada <ada@example.com>".to_owned(), "First policy".to_owned());
    let revision = Revision { commit: first.clone(), author, message };
    assert_eq!(repository.commit(&first).await.unwrap(), revision);
    let unknown = Revision { commit: gone.clone(), author: "unknown".to_owned(), message: String::new() };
    assert_eq!(repository.commit(&gone).await.unwrap(), unknown);
    // The history of a branch orders its commits.
    assert_eq!(repository.order(&first).await.unwrap(), RevisionOrder::History);

    // The same comment again after a lost response is one comment; comments on two commits, or with different texts,
    // are two.
    let said = [(&first, "5 of 6 ü"), (&first, "5 of 6 ü"), (&odd, "5 of 6 ü"), (&first, "6 of 6")];
    for (commit, text) in said {
        repository.comment(commit, text).await.unwrap();
    }
    let comment = |commit: &CommitId, text: &str| (commit.to_string(), text.to_owned());
    assert_eq!(git.comments(), [comment(&first, "5 of 6 ü"), comment(&odd, "5 of 6 ü"), comment(&first, "6 of 6")]);
}

/// The contract of all sources: head and files. Returns two revisions, and one that does not exist.
async fn files_hold(repository: &impl PolicyRepository, git: &impl Push) -> [CommitId; 3] {
    assert_eq!(repository.head().await.unwrap(), None, "a branch that is not there yet");

    let first = git.push(
        "First policy\n\nWith a reason.",
        &[("policy.yaml", b"version: 1\n"), ("a/b/deep.yaml", "ü: ✓\n".as_bytes())],
    );
    assert_eq!(repository.head().await.unwrap(), Some(first.clone()));
    let text = |text: &str| RepositoryFile::Text(text.to_owned());
    assert_eq!(repository.file(&first, "policy.yaml").await.unwrap(), text("version: 1\n"));
    assert_eq!(repository.file(&first, "a/b/deep.yaml").await.unwrap(), text("ü: ✓\n"));
    for absent in ["none.yaml", "a/b", "policy.yaml/x", "Policy.yaml"] {
        assert_eq!(repository.file(&first, absent).await.unwrap(), RepositoryFile::Missing, "{absent}");
    }

    let odd = git.push(
        "Odd files",
        &[
            ("binary.yaml", b"a: 1\nb: \xff\xfe"),
            ("empty.yaml", b""),
            ("policy.yaml", b"version: 2\n"),
            ("large.yaml", &vec![b'#'; LARGEST]),
            ("too-large.yaml", &vec![b'#'; LARGEST + 1]),
        ],
    );
    assert_eq!(repository.head().await.unwrap(), Some(odd.clone()));
    assert_eq!(
        repository.file(&odd, "binary.yaml").await.unwrap(),
        RepositoryFile::NotUtf8(Position { line: 2, column: 4 })
    );
    assert_eq!(repository.file(&odd, "empty.yaml").await.unwrap(), text(""));
    assert_eq!(repository.file(&odd, "too-large.yaml").await.unwrap(), RepositoryFile::TooLarge);
    let RepositoryFile::Text(large) = repository.file(&odd, "large.yaml").await.unwrap() else { panic!("large.yaml") };
    assert_eq!(large.len(), LARGEST);
    assert_eq!(repository.file(&first, "policy.yaml").await.unwrap(), text("version: 1\n"), "the commit counts");
    assert_eq!(repository.file(&first, "empty.yaml").await.unwrap(), RepositoryFile::Missing);

    // The branch was rewritten between two calls.
    let gone = CommitId::parse(&"dead".repeat(10)).unwrap();
    let error = repository.file(&gone, "policy.yaml").await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::NotFound, "{error}");
    [first, odd, gone]
}

impl Push for World {
    fn push(&self, message: &str, files: &[(&str, &[u8])]) -> CommitId {
        let texts: Vec<_> = files.iter().map(|(path, _)| (*path, Some(""))).collect();
        let id = World::push(self, message, &texts);
        let mut state = self.state();
        let commit = state.commits.get_mut(&id).unwrap();
        for (path, content) in files {
            let file = match content.len() <= LARGEST {
                true => RepositoryFile::decode(content.to_vec()),
                false => RepositoryFile::TooLarge,
            };
            commit.files.insert((*path).to_owned(), file);
        }
        id
    }
}

impl Comments for World {
    fn comments(&self) -> Vec<(String, String)> {
        self.state().comments.iter().map(|(commit, text)| (commit.to_string(), text.clone())).collect()
    }
}

/// A clone, as a user has it.
struct Clone<'a> {
    work: &'a Path,
    remote: &'a Path,
    cloud: &'a LocalCloud,
}

impl Clone<'_> {
    fn git(&self, arguments: &[&str]) -> String {
        let identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "core.autocrlf=false"];
        let output = Command::new("git").current_dir(self.work).args(identity).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Clone<'_> {
    fn commit(&self, message: &str, files: &[(&str, &[u8])]) {
        for (path, content) in files {
            let path = self.work.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "-m", message]);
    }
}

impl Push for Clone<'_> {
    fn push(&self, message: &str, files: &[(&str, &[u8])]) -> CommitId {
        self.commit(message, files);
        self.git(&["push", "--quiet", self.remote.to_str().unwrap(), "HEAD:main"]);
        CommitId::parse(&self.git(&["rev-parse", "HEAD"])).unwrap()
    }
}

impl Comments for Clone<'_> {
    fn comments(&self) -> Vec<(String, String)> {
        self.cloud.comments(&self.cloud.options().repository)
    }
}

/// A checkout elsewhere whose CI writes each commit to a bucket.
struct Ci<'a> {
    git: Clone<'a>,
    bucket: &'a str,
    /// The number of the last run.
    run: Cell<u64>,
}

impl Push for Ci<'_> {
    fn push(&self, message: &str, files: &[(&str, &[u8])]) -> CommitId {
        self.git.commit(message, files);
        // Stored, since one file of the contract is text that shrinks like a bomb.
        self.git.git(&["archive", "--format=zip", "-0", "--output=../policy.zip", "HEAD"]);
        let commit = self.git.git(&["rev-parse", "HEAD"]);
        self.run.set(self.run.get() + 1);
        let (client, run) = (self.git.cloud.client(), self.run.get().to_string());
        let metadata = [
            ("commit", commit.as_str()),
            ("ref", "refs/heads/main"),
            ("repository", "github.com/acme/backup-frameworks"),
            ("run-url", "https://github.com/acme/backup-frameworks/actions/runs/1"),
            ("run-number", run.as_str()),
        ];
        let archive = std::fs::read(self.git.work.join("../policy.zip")).unwrap();
        CommitId::parse(&client.put_object(self.bucket, "policy.zip", archive, &metadata).unwrap()).unwrap()
    }
}

#[tokio::test]
async fn object_fulfills_repository_contract() {
    let local = Local::start().await;
    let work = local.cloud.directory().join("tmp/work");
    std::fs::create_dir_all(&work).unwrap();
    let git = Clone { work: &work, remote: local.cloud.repository_path(), cloud: &local.cloud };
    git.git(&["init", "--quiet", "-b", "main"]);
    let (client, bucket) = (local.client(), "policies");
    client.create_versioned_bucket(bucket).unwrap();
    let ci = Ci { git, bucket, run: Cell::new(0) };
    let source = local.clients.policy_origin(Some(bucket), "github.com/acme/backup-frameworks", "main");
    let [first, odd, gone] = files_hold(&source, &ci).await;

    // The origin is what the writer claims.
    let Revision { author, message, .. } = source.commit(&first).await.unwrap();
    assert!(message.starts_with("claims commit "), "{message}");
    assert!(message.ends_with(" of github.com/acme/backup-frameworks at refs/heads/main by run 1"), "{message}");
    assert_eq!(author, "claims https://github.com/acme/backup-frameworks/actions/runs/1");
    assert_eq!(source.order(&odd).await.unwrap(), RevisionOrder::ClaimedRun(Some(2)));
    assert_eq!(source.order(&gone).await.unwrap(), RevisionOrder::ClaimedRun(None));
    let error = source.comment(&first, "5 of 6").await.unwrap_err();
    assert!(error.to_string().contains("an object has no comments"), "{error}");

    // Without metadata nothing is claimed. Another object, an invalid archive and a deleted object.
    let silent = client.put_object(bucket, "policy.zip", b"no archive".to_vec(), &[]).unwrap();
    let silent = CommitId::parse(&silent).unwrap();
    client.put_object(bucket, "policy.zip.sig", b"other".to_vec(), &[("run-number", "9")]).unwrap();
    assert_eq!(source.head().await.unwrap(), Some(silent.clone()));
    assert_eq!(source.order(&silent).await.unwrap(), RevisionOrder::ClaimedRun(None));
    assert_eq!(source.commit(&silent).await.unwrap().message, "no claim of its origin");
    let RepositoryFile::Refused(refusal) = source.file(&silent, "policy.yaml").await.unwrap() else { panic!() };
    assert!(refusal.to_string().starts_with("policy.zip: the object is not a zip archive"), "{refusal}");
    // One version is downloaded once.
    let mark = local.cloud.journal().mark();
    for path in ["policy.yaml", "a/b/deep.yaml"] {
        source.file(&odd, path).await.unwrap();
    }
    assert_eq!(local.calls("s3", mark), ["HeadObject", "GetObject"]);
    let deletion = sandbox::http::HttpRequest::new("DELETE", "/policies/policy.zip");
    assert!(client.send("s3", deletion).unwrap().is_success());
    assert_eq!(source.head().await.unwrap(), None, "a delete marker");
    assert!(matches!(source.file(&first, "policy.yaml").await.unwrap(), RepositoryFile::Text(_)), "versions stay");

    let missing = local.clients.policy_origin(Some("nowhere"), "github.com/acme/backup-frameworks", "main");
    assert_eq!(missing.head().await.unwrap(), None);
    let request = sandbox::http::HttpRequest::new("PUT", "/plain");
    assert!(client.send("s3", request).unwrap().is_success());
    let plain = sandbox::http::HttpRequest::new("PUT", "/plain/policy.zip").body("x");
    assert!(client.send("s3", plain).unwrap().is_success());
    let plain = local.clients.policy_origin(Some("plain"), "github.com/acme/backup-frameworks", "main");
    let error = plain.head().await.unwrap_err();
    assert!(error.to_string().contains("enable versioning of the bucket"), "{error}");
    assert_eq!(local.cloud.stop(), []);
}

#[tokio::test]
async fn fake_fulfills_repository_contract() {
    let world = World::new();
    holds(&world, &world).await;
}

#[tokio::test]
async fn adapter_fulfills_repository_contract() {
    let local = Local::start().await;
    let work = local.cloud.directory().join("tmp/work");
    std::fs::create_dir_all(&work).unwrap();
    let git = Clone { work: &work, remote: local.cloud.repository_path(), cloud: &local.cloud };
    git.git(&["init", "--quiet", "-b", "main"]);
    let name = &local.cloud.options().repository;
    let repository = CodeCommitRepository::new(&local.clients, name, "main");
    holds(&repository, &git).await;

    // Tags and other branches that share name segments are not the branch.
    git.git(&[
        "push",
        "--quiet",
        git.remote.to_str().unwrap(),
        "HEAD:refs/heads/feature/other",
        "HEAD:refs/tags/release",
    ]);
    for absent in ["release", "feature", "other"] {
        let branch = CodeCommitRepository::new(&local.clients, name, absent);
        assert_eq!(branch.head().await.unwrap(), None, "{absent}");
    }
    // A commit that was removed by a rewrite cannot be commented on.
    let gone = repository.comment(&CommitId::parse(&"dead".repeat(10)).unwrap(), "too late").await.unwrap_err();
    assert_eq!(gone.operation, "codecommit:PostCommentForComparedCommit");
    assert!(gone.to_string().contains("CommitDoesNotExistException"), "{gone}");
    // A missing repository is an error of the settings, and not an empty repository.
    let nowhere = CodeCommitRepository::new(&local.clients, "nowhere", "main");
    let error = nowhere.head().await.unwrap_err();
    assert_eq!((error.kind, error.operation), (PortErrorKind::NotFound, "codecommit:GetBranch"), "{error}");
    assert!(error.to_string().contains("RepositoryDoesNotExistException"), "{error}");
    assert_eq!(local.cloud.stop(), []);
}
