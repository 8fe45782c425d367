//! `PullRequests`.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use app::ports::PortErrorKind;
use app::review::ports::{Approval, ApprovalOutcome, CommentLine, EditOutcome, NewComment, PullRequest, PullRequests};
use aws::CodeCommitRepository;
use framework::ids::CommitId;
use testkit::world::World;

use crate::cloud::Local;

/// The limit of CodeCommit for a comment, in characters.
const LONGEST: usize = 10_240;

const MARY: &str = "arn:aws:iam::000000000000:user/mary";

/// The users of the repository beside the application.
trait Users {
    /// Pushes a file to the source branch; returns the commit.
    fn push(&mut self, text: &str) -> CommitId;
    /// Opens a pull request for the source branch.
    fn open(&mut self) -> String;
    /// Comments on it as another user; returns the id of the comment.
    fn comment(&mut self, id: &str, text: &str) -> String;
    /// Closes it.
    fn close(&mut self, id: &str);
}

async fn post(
    requests: &impl PullRequests,
    request: &PullRequest,
    line: Option<usize>,
    text: &str,
    token: &str,
) -> Result<(), PortErrorKind> {
    let line = line.map(|line| CommentLine { file: "policy.yaml".to_owned(), line });
    requests.post(&NewComment { request, line, text, token }).await.map_err(|error| error.kind)
}

async fn holds(requests: &impl PullRequests, users: &mut impl Users) {
    assert_eq!(requests.pull_request("27").await.unwrap(), None, "none exists");
    let source = users.push("version: 1\n");
    let id = users.open();
    let request = requests.pull_request(&id).await.unwrap().unwrap();
    assert!(request.is_open);
    assert_eq!((&request.id, &request.source_commit), (&id, &source));
    assert_eq!(request.destination, "refs/heads/main");
    assert_eq!(request.merge_base.as_ref(), Some(&request.destination_commit));
    assert_eq!(requests.comments(&id).await.unwrap(), []);

    // A token posts once; with another text, another review was faster.
    post(requests, &request, None, "first", "token-1").await.unwrap();
    post(requests, &request, None, "first", "token-1").await.unwrap();
    assert_eq!(post(requests, &request, None, "second", "token-1").await, Err(PortErrorKind::Conflict));
    post(requests, &request, Some(1), "at a line", "token-2").await.unwrap();
    let elsewhere = CommentLine { file: "none.yaml".to_owned(), line: 1 };
    let comment = NewComment { request: &request, line: Some(elsewhere), text: "lost", token: "token-3" };
    assert_eq!(requests.post(&comment).await.unwrap_err().kind, PortErrorKind::NotFound);
    let long = "ü".repeat(LONGEST);
    post(requests, &request, None, &long, "token-4").await.unwrap();
    assert_eq!(post(requests, &request, None, &(long + "ü"), "token-5").await, Err(PortErrorKind::Rejected));
    let foreign = users.comment(&id, "by a person");
    let comments = requests.comments(&id).await.unwrap();
    let seen: Vec<_> =
        comments.iter().map(|one| (one.token.as_deref(), one.line.as_ref().map(|line| line.line))).collect();
    assert_eq!(seen, [(Some("token-1"), None), (Some("token-2"), Some(1)), (Some("token-4"), None), (None, None)]);
    assert_eq!((comments[0].text.as_str(), comments[3].text.as_str()), ("first", "by a person"));

    assert_eq!(requests.edit(&comments[0].id, "edited ü").await.unwrap(), EditOutcome::Edited);
    assert_eq!(requests.edit(&foreign, "not mine").await.unwrap(), EditOutcome::NotAuthor);
    assert_eq!(
        requests.edit(&comments[0].id, &"x".repeat(LONGEST + 1)).await.unwrap_err().kind,
        PortErrorKind::Rejected
    );
    assert_eq!(requests.comments(&id).await.unwrap()[0].text, "edited ü");

    assert_eq!(requests.set_approval(&request, Approval::Revoke).await.unwrap(), ApprovalOutcome::Set, "there is none");
    for _ in 0..2 {
        assert_eq!(requests.set_approval(&request, Approval::Approve).await.unwrap(), ApprovalOutcome::Set);
    }
    let source = users.push("version: 2\n");
    assert_eq!(
        requests.set_approval(&request, Approval::Approve).await.unwrap(),
        ApprovalOutcome::RevisionNotCurrent,
        "the source branch was updated"
    );
    let updated = requests.pull_request(&id).await.unwrap().unwrap();
    assert_eq!(updated.source_commit, source);
    assert_ne!(updated.revision, request.revision);
    users.close(&id);
    assert_eq!(requests.set_approval(&updated, Approval::Approve).await.unwrap(), ApprovalOutcome::Closed);
    assert!(!requests.pull_request(&id).await.unwrap().unwrap().is_open);
}

struct WorldUsers {
    world: World,
    base: CommitId,
    source: CommitId,
    id: Option<String>,
}

impl Users for WorldUsers {
    fn push(&mut self, text: &str) -> CommitId {
        self.source = self.world.push("change", &[("policy.yaml", Some(text))]);
        if let Some(id) = &self.id {
            self.world.update_pull_request(id, &self.source);
        }
        self.source.clone()
    }

    fn open(&mut self) -> String {
        let id = self.world.open_pull_request(&self.base, &self.source);
        self.id = Some(id.clone());
        id
    }

    fn comment(&mut self, id: &str, text: &str) -> String {
        self.world.comment_as_user(id, text)
    }

    fn close(&mut self, id: &str) {
        self.world.state().pull_requests.get_mut(id).unwrap().request.is_open = false;
    }
}

#[tokio::test]
async fn fake_fulfills_pull_request_contract() {
    let world = World::new();
    let base = world.push("base", &[]);
    let mut users = WorldUsers { world: world.clone(), source: base.clone(), base, id: None };
    holds(&world, &mut users).await;
}

/// A clone and the API, as a person uses them.
struct LocalUsers<'a> {
    local: &'a Local,
    work: &'a Path,
}

impl LocalUsers<'_> {
    fn git(&self, arguments: &[&str]) -> String {
        let identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"];
        let output = Command::new("git").current_dir(self.work).args(identity).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn api(&self, operation: &str, ask: &Value) -> Value {
        let target = format!("CodeCommit_20150413.{operation}");
        self.local.client().json("codecommit", &target, ask).unwrap()
    }

    fn commit(&self, branch: &str, text: &str) -> CommitId {
        std::fs::write(self.work.join("policy.yaml"), text).unwrap();
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "-m", "change"]);
        self.git(&["push", "--quiet", self.local.cloud.repository_path().to_str().unwrap(), &format!("HEAD:{branch}")]);
        CommitId::parse(&self.git(&["rev-parse", "HEAD"])).unwrap()
    }
}

impl Users for LocalUsers<'_> {
    fn push(&mut self, text: &str) -> CommitId {
        self.commit("change", text)
    }

    fn open(&mut self) -> String {
        let repository = &self.local.cloud.options().repository;
        let target =
            json!({ "repositoryName": repository, "sourceReference": "change", "destinationReference": "main" });
        let created = self.api("CreatePullRequest", &json!({ "title": "Change", "targets": [target] }));
        let id = created["pullRequest"]["pullRequestId"].as_str().unwrap().to_owned();
        self.local.cloud.set_author(&id, MARY);
        id
    }

    fn comment(&mut self, id: &str, text: &str) -> String {
        let target =
            &self.api("GetPullRequest", &json!({ "pullRequestId": id }))["pullRequest"]["pullRequestTargets"][0];
        let posted = self.api(
            "PostCommentForPullRequest",
            &json!({
                "pullRequestId": id, "repositoryName": target["repositoryName"], "content": text,
                "beforeCommitId": target["destinationCommit"], "afterCommitId": target["sourceCommit"],
            }),
        );
        let comment = posted["comment"]["commentId"].as_str().unwrap().to_owned();
        self.local.cloud.set_author(&comment, MARY);
        comment
    }

    fn close(&mut self, id: &str) {
        self.api("UpdatePullRequestStatus", &json!({ "pullRequestId": id, "pullRequestStatus": "CLOSED" }));
    }
}

#[tokio::test]
async fn adapter_fulfills_pull_request_contract() {
    let local = Local::start().await;
    let work = local.cloud.directory().join("tmp/work");
    std::fs::create_dir_all(&work).unwrap();
    let mut users = LocalUsers { local: &local, work: &work };
    users.git(&["init", "--quiet", "-b", "main"]);
    users.commit("main", "version: 0\n");
    let name = &local.cloud.options().repository;
    let repository = CodeCommitRepository::new(&local.clients, name, "main");
    holds(&repository, &mut users).await;
    assert_eq!(local.cloud.stop(), []);
}
