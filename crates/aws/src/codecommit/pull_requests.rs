//! The pull requests of the policy repository.

use aws_sdk_codecommit::types::{ApprovalState, Location, PullRequestStatusEnum, RelativeFileVersionEnum};

use app::ports::{PortErrorKind, Result};
use app::review::ports::{
    Approval, ApprovalOutcome, CommentLine, EditOutcome, NewComment, PullRequest, PullRequestComment, PullRequests,
};
use framework::ids::CommitId;

use super::CodeCommitRepository;
use crate::error::{has_code, invalid, optional, unexpected, wrap};
use crate::pages::sdk_pages;

impl PullRequests for CodeCommitRepository {
    async fn pull_request(&self, id: &str) -> Result<Option<PullRequest>> {
        const OPERATION: &str = "codecommit:GetPullRequest";
        let found = self.client.get_pull_request().pull_request_id(id).send().await.map_err(wrap(OPERATION));
        let found = optional(found, |error| has_code(error, &["PullRequestDoesNotExistException"]))?;
        let Some(found) = found.and_then(|found| found.pull_request) else { return Ok(None) };
        // CodeCommit supports one target.
        let Some(target) = found.pull_request_targets().first() else {
            return Err(unexpected(OPERATION, "the pull request has no target"));
        };
        let commit = |id: Option<&str>| CommitId::parse(id.unwrap_or_default()).map_err(invalid(OPERATION));
        Ok(Some(PullRequest {
            id: id.to_owned(),
            revision: found.revision_id().unwrap_or_default().to_owned(),
            is_open: found.pull_request_status() == Some(&PullRequestStatusEnum::Open),
            repository: target.repository_name().unwrap_or_default().to_owned(),
            destination: target.destination_reference().unwrap_or_default().to_owned(),
            source_commit: commit(target.source_commit())?,
            destination_commit: commit(target.destination_commit())?,
            merge_base: target.merge_base().and_then(|id| CommitId::parse(id).ok()),
        }))
    }

    async fn comments(&self, id: &str) -> Result<Vec<PullRequestComment>> {
        const OPERATION: &str = "codecommit:GetCommentsForPullRequest";
        let mut dated = Vec::new();
        let request = self.client.get_comments_for_pull_request().pull_request_id(id);
        sdk_pages(
            OPERATION,
            |token| request.clone().set_next_token(token).send(),
            |page| {
                for group in page.comments_for_pull_request_data.unwrap_or_default() {
                    let line = group.location.as_ref().and_then(|location| {
                        let line = usize::try_from(location.file_position?).ok()?;
                        Some(CommentLine { file: location.file_path.clone()?, line })
                    });
                    for comment in group.comments.unwrap_or_default().into_iter().filter(|comment| !comment.deleted) {
                        let created = comment.creation_date.map(|date| date.as_nanos());
                        let read = PullRequestComment {
                            id: comment.comment_id.unwrap_or_default(),
                            text: comment.content.unwrap_or_default(),
                            token: comment.client_request_token,
                            line: line.clone(),
                        };
                        dated.push((created, read));
                    }
                }
                Ok(page.next_token)
            },
        )
        .await?;
        dated.sort_by_key(|(created, _)| *created);
        Ok(dated.into_iter().map(|(_, comment)| comment).collect())
    }

    async fn post(&self, comment: &NewComment<'_>) -> Result<()> {
        let request = comment.request;
        let location = comment.line.as_ref().map(|line| {
            let position = i64::try_from(line.line).unwrap_or(i64::MAX);
            let version = RelativeFileVersionEnum::After;
            Location::builder().file_path(&line.file).file_position(position).relative_file_version(version).build()
        });
        let posted = self.client.post_comment_for_pull_request().pull_request_id(&request.id);
        let posted = posted.repository_name(&request.repository).set_location(location).content(comment.text);
        let posted = posted.before_commit_id(request.destination_commit.as_str());
        let posted = posted.after_commit_id(request.source_commit.as_str()).client_request_token(comment.token);
        let posted = posted.send().await.map_err(wrap("codecommit:PostCommentForPullRequest"));
        posted.map(drop).map_err(|mut error| {
            // Another review has posted it since the comments were read.
            if has_code(&error, &["IdempotencyParameterMismatchException"]) {
                error.kind = PortErrorKind::Conflict;
            }
            error
        })
    }

    async fn edit(&self, comment: &str, text: &str) -> Result<EditOutcome> {
        let edited = self.client.update_comment().comment_id(comment).content(text).send().await;
        let edited = edited.map_err(wrap("codecommit:UpdateComment"));
        let is_lost = ["CommentNotCreatedByCallerException", "CommentDeletedException", "CommentDoesNotExistException"];
        let edited = optional(edited, |error| has_code(error, &is_lost))?;
        Ok(edited.map_or(EditOutcome::NotAuthor, |_| EditOutcome::Edited))
    }

    async fn set_approval(&self, request: &PullRequest, approval: Approval) -> Result<ApprovalOutcome> {
        let state = match approval {
            Approval::Approve => ApprovalState::Approve,
            Approval::Revoke => ApprovalState::Revoke,
        };
        let set = self.client.update_pull_request_approval_state().pull_request_id(&request.id);
        let set = set.revision_id(&request.revision).approval_state(state).send().await;
        match set.map_err(wrap("codecommit:UpdatePullRequestApprovalState")) {
            Ok(_) => Ok(ApprovalOutcome::Set),
            Err(error) if has_code(&error, &["RevisionNotCurrentException"]) => Ok(ApprovalOutcome::RevisionNotCurrent),
            Err(error) if has_code(&error, &["PullRequestAlreadyClosedException"]) => Ok(ApprovalOutcome::Closed),
            Err(error) if has_code(&error, &["PullRequestCannotBeApprovedByAuthorException"]) => {
                Ok(ApprovalOutcome::Author)
            }
            Err(error) => Err(error),
        }
    }
}
