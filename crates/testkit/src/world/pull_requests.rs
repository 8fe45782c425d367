//! Pull requests of the policy repository.

use app::ports::{PortErrorKind, Result};
use app::review::ports::{
    Approval, ApprovalOutcome, EditOutcome, NewComment, PullRequest, PullRequestComment, PullRequests, ReviewEnv,
};
use framework::ids::CommitId;

use super::{World, WorldState, error};

/// Most characters of a comment.
const LONGEST_COMMENT: usize = 10_240;

/// A pull request with its comments and the approval of the application.
#[derive(Debug, Clone)]
pub struct FakePullRequest {
    /// The pull request.
    pub request: PullRequest,
    /// Its comments, in the order of their creation; each with whether the application wrote it.
    pub comments: Vec<(PullRequestComment, bool)>,
    /// Whether the application has approved the current revision.
    pub is_approved: bool,
    /// Whether the application created it.
    pub is_own: bool,
}

impl World {
    /// Opens a pull request between two commits; returns its id.
    pub fn open_pull_request(&self, destination: &CommitId, source: &CommitId) -> String {
        let mut state = self.state();
        let id = (state.pull_requests.len() + 1).to_string();
        let request = PullRequest {
            id: id.clone(),
            revision: "revision-1".to_owned(),
            is_open: true,
            repository: "backup-policy".to_owned(),
            destination: "refs/heads/main".to_owned(),
            source_commit: source.clone(),
            destination_commit: destination.clone(),
            merge_base: Some(destination.clone()),
        };
        let fake = FakePullRequest { request, comments: Vec::new(), is_approved: false, is_own: false };
        state.pull_requests.insert(id.clone(), fake);
        id
    }

    /// Pushes a commit to the source branch: a new revision, without approvals.
    pub fn update_pull_request(&self, id: &str, source: &CommitId) {
        if let Some(fake) = self.state().pull_requests.get_mut(id) {
            fake.request.source_commit = source.clone();
            fake.request.revision.push('+');
            fake.is_approved = false;
        }
    }

    /// Comments on a pull request as a user; returns the id of the comment.
    pub fn comment_as_user(&self, id: &str, text: &str) -> String {
        let mut state = self.state();
        let comment = format!("{id}:by-user");
        if let Some(fake) = state.pull_requests.get_mut(id) {
            let (text, id) = (text.to_owned(), comment.clone());
            fake.comments.push((PullRequestComment { id, text, token: None, line: None }, false));
        }
        comment
    }

    /// The comments of a pull request: the line, if any, and the text.
    pub fn pull_request_comments(&self, id: &str) -> Vec<(Option<usize>, String)> {
        let state = self.state();
        let comments = state.pull_requests.get(id).into_iter().flat_map(|fake| &fake.comments);
        comments.map(|(comment, _)| (comment.line.as_ref().map(|line| line.line), comment.text.clone())).collect()
    }
}

impl ReviewEnv for World {
    type Repository = Self;
    type PullRequests = Self;
    type Inventories = Self;
    type Clock = Self;
}

fn found<'a>(state: &'a mut WorldState, id: &str, operation: &'static str) -> Result<&'a mut FakePullRequest> {
    state.pull_requests.get_mut(id).ok_or_else(|| error(operation, PortErrorKind::NotFound))
}

impl PullRequests for World {
    async fn pull_request(&self, id: &str) -> Result<Option<PullRequest>> {
        let read = |state: &mut WorldState| Ok(state.pull_requests.get(id).map(|fake| fake.request.clone()));
        self.remote("codecommit:GetPullRequest", read).await
    }

    async fn comments(&self, id: &str) -> Result<Vec<PullRequestComment>> {
        const OPERATION: &str = "codecommit:GetCommentsForPullRequest";
        self.remote(OPERATION, |state| {
            Ok(found(state, id, OPERATION)?.comments.iter().map(|(comment, _)| comment.clone()).collect())
        })
        .await
    }

    async fn post(&self, comment: &NewComment<'_>) -> Result<()> {
        const OPERATION: &str = "codecommit:PostCommentForPullRequest";
        self.remote(OPERATION, |state| {
            let files = state.commits.get(&comment.request.source_commit).map(|commit| commit.files.clone());
            let fake = found(state, &comment.request.id, OPERATION)?;
            let is_file = |file: &str| files.as_ref().is_some_and(|files| files.contains_key(file));
            if comment.text.chars().count() > LONGEST_COMMENT {
                return Err(error(OPERATION, PortErrorKind::Rejected));
            }
            if comment.line.as_ref().is_some_and(|line| !is_file(&line.file)) {
                return Err(error(OPERATION, PortErrorKind::NotFound));
            }
            let mut known = fake.comments.iter().filter(|(known, _)| known.token.as_deref() == Some(comment.token));
            match known.next() {
                Some((known, _)) if known.text == comment.text => return Ok(()),
                Some(_) => return Err(error(OPERATION, PortErrorKind::Conflict)),
                None => {}
            }
            let id = format!("{}:{}", comment.request.id, fake.comments.len());
            let (text, token) = (comment.text.to_owned(), Some(comment.token.to_owned()));
            fake.comments.push((PullRequestComment { id, text, token, line: comment.line.clone() }, true));
            Ok(())
        })
        .await
    }

    async fn edit(&self, comment: &str, text: &str) -> Result<EditOutcome> {
        const OPERATION: &str = "codecommit:UpdateComment";
        self.remote(OPERATION, |state| {
            if text.chars().count() > LONGEST_COMMENT {
                return Err(error(OPERATION, PortErrorKind::Rejected));
            }
            let mut comments = state.pull_requests.values_mut().flat_map(|fake| &mut fake.comments);
            match comments.find(|(known, _)| known.id == comment) {
                Some((known, true)) => {
                    text.clone_into(&mut known.text);
                    Ok(EditOutcome::Edited)
                }
                _ => Ok(EditOutcome::NotAuthor),
            }
        })
        .await
    }

    async fn set_approval(&self, request: &PullRequest, approval: Approval) -> Result<ApprovalOutcome> {
        const OPERATION: &str = "codecommit:UpdatePullRequestApprovalState";
        self.remote(OPERATION, |state| {
            let fake = found(state, &request.id, OPERATION)?;
            if !fake.request.is_open {
                return Ok(ApprovalOutcome::Closed);
            }
            if fake.request.revision != request.revision {
                return Ok(ApprovalOutcome::RevisionNotCurrent);
            }
            if fake.is_own {
                return Ok(ApprovalOutcome::Author);
            }
            fake.is_approved = approval == Approval::Approve;
            Ok(ApprovalOutcome::Set)
        })
        .await
    }
}
