//! The policy repository in AWS CodeCommit.

use serde_json::json;

use app::deploy::ports::{CommitDetails, PolicyRepository, RepositoryFile};
use app::ports::{PortErrorKind, Result};
use domain::rollout::digest_of;
use framework::ids::CommitId;

use crate::error::wrap;

/// One branch of one repository.
#[derive(Debug, Clone)]
pub struct CodeCommitRepository {
    client: aws_sdk_codecommit::Client,
    repository: String,
    branch: String,
}

impl CodeCommitRepository {
    /// Reads this branch of the repository.
    #[must_use]
    pub fn new(client: aws_sdk_codecommit::Client, repository: &str, branch: &str) -> Self {
        Self { client, repository: repository.to_owned(), branch: branch.to_owned() }
    }
}

impl PolicyRepository for CodeCommitRepository {
    async fn head(&self) -> Result<Option<CommitId>> {
        const OPERATION: &str = "codecommit:GetBranch";
        let response =
            self.client.get_branch().repository_name(&self.repository).branch_name(&self.branch).send().await;
        match response {
            Ok(found) => {
                let id = found.branch.and_then(|branch| branch.commit_id).unwrap_or_default();
                CommitId::parse(&id).map(Some).map_err(|error| crate::error::unexpected(OPERATION, error.to_string()))
            }
            Err(error) if error.as_service_error().is_some_and(|error| error.is_branch_does_not_exist_exception()) => {
                Ok(None)
            }
            Err(error) => Err(wrap(OPERATION, &error)),
        }
    }

    async fn file(&self, commit: &CommitId, path: &str) -> Result<RepositoryFile> {
        let request = self.client.get_file().repository_name(&self.repository).commit_specifier(commit.as_str());
        match request.file_path(path).send().await {
            Ok(found) => Ok(RepositoryFile::decode(found.file_content.into_inner())),
            Err(error) => match error.as_service_error() {
                Some(service) if service.is_file_does_not_exist_exception() => Ok(RepositoryFile::Missing),
                Some(service) if service.is_file_too_large_exception() => Ok(RepositoryFile::TooLarge),
                _ => Err(wrap("codecommit:GetFile", &error)),
            },
        }
    }

    async fn commit(&self, commit: &CommitId) -> Result<CommitDetails> {
        let request = self.client.get_commit().repository_name(&self.repository).commit_id(commit.as_str());
        let found = match request.send().await.map_err(|error| wrap("codecommit:GetCommit", &error)) {
            Ok(found) => found.commit,
            // Removed by a forced push in between: the notice matters more than its author.
            Err(error) if error.kind == PortErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let author = found.as_ref().and_then(|commit| commit.author.as_ref());
        let (name, email) = author.map_or((None, None), |author| (author.name.as_deref(), author.email.as_deref()));
        let author = match (name, email) {
            (Some(name), Some(email)) => format!("{name} <{email}>"),
            (Some(one), None) | (None, Some(one)) => one.to_owned(),
            (None, None) => "unknown".to_owned(),
        };
        let message = found.and_then(|commit| commit.message).unwrap_or_default();
        Ok(CommitDetails { author, message: message.lines().next().unwrap_or_default().to_owned() })
    }

    async fn comment(&self, commit: &CommitId, text: &str) -> Result<()> {
        self.client
            .post_comment_for_compared_commit()
            .repository_name(&self.repository)
            .after_commit_id(commit.as_str())
            .content(text)
            // Makes a repeated comment idempotent, after a lost response.
            .client_request_token(digest_of(&json!([commit, text])).0)
            .send()
            .await
            .map(drop)
            .map_err(|error| wrap("codecommit:PostCommentForComparedCommit", &error))
    }
}
