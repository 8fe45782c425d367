//! The ports of `preview`.

use framework::ids::CommitId;

use crate::deploy::ports::PolicyRepository;
use crate::inventory::InventoryStore;
use crate::ports::{Call, Clock};

/// The adapters that [`Review`](super::Review) works with.
pub trait ReviewEnv {
    /// The policy repository.
    type Repository: PolicyRepository;
    /// The pull requests of the repository.
    type PullRequests: PullRequests;
    /// The stored inventory of the organization.
    type Inventories: InventoryStore;
    /// The clock.
    type Clock: Clock;
}

/// The current state of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// The id.
    pub id: String,
    /// The revision, which changes with each commit in the source branch.
    pub revision: String,
    /// Whether it is neither merged nor closed.
    pub is_open: bool,
    /// The name of the repository.
    pub repository: String,
    /// The destination branch, as a full reference.
    pub destination: String,
    /// The head of the source branch.
    pub source_commit: CommitId,
    /// The head of the destination branch when the pull request was last updated.
    pub destination_commit: CommitId,
    /// The commit that both branches have in common.
    pub merge_base: Option<CommitId>,
}

/// A comment of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequestComment {
    /// The id.
    pub id: String,
    /// The text.
    pub text: String,
    /// The idempotency token that it was posted with.
    pub token: Option<String>,
    /// Its line; `None` for a comment on the whole pull request.
    pub line: Option<CommentLine>,
}

/// A line of a file after the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommentLine {
    /// The path in the repository.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
}

/// A comment to post.
#[derive(Debug, Clone)]
pub struct NewComment<'a> {
    /// The pull request.
    pub request: &'a PullRequest,
    /// Its line; `None` for a comment on the whole pull request.
    pub line: Option<CommentLine>,
    /// The text.
    pub text: &'a str,
    /// Posts a comment once for equal tokens.
    pub token: &'a str,
}

/// How an edit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EditOutcome {
    /// The comment has the new text.
    Edited,
    /// Another identity wrote the comment, or it was deleted.
    NotAuthor,
}

/// The approval of a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approval {
    /// Approve it.
    Approve,
    /// Take an own approval back; without one, nothing changes.
    Revoke,
}

/// How an approval ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalOutcome {
    /// The approval is as wanted.
    Set,
    /// The pull request has a newer revision.
    RevisionNotCurrent,
    /// The pull request was closed or merged.
    Closed,
    /// The caller created the pull request and cannot approve it.
    Author,
}

/// The pull requests of a repository.
pub trait PullRequests {
    /// Reads a pull request; `None` if it does not exist.
    fn pull_request(&self, id: &str) -> impl Call<Option<PullRequest>>;
    /// Reads its comments in the order of their creation, without deleted ones.
    fn comments(&self, id: &str) -> impl Call<Vec<PullRequestComment>>;
    /// Posts a comment. Idempotent for equal tokens and texts; a conflict for an equal token with another text.
    fn post(&self, comment: &NewComment<'_>) -> impl Call<()>;
    /// Replaces the text of a comment.
    fn edit(&self, comment: &str, text: &str) -> impl Call<EditOutcome>;
    /// Approves a revision, or takes the own approval back.
    fn set_approval(&self, request: &PullRequest, approval: Approval) -> impl Call<ApprovalOutcome>;
}
