//! The policy repository in AWS CodeCommit.

mod pull_requests;

use serde_json::json;

use app::deploy::ports::{PolicyRepository, RepositoryFile};
use app::ports::{PortErrorKind, Result};
use domain::rollout::digest_of;
use domain::rollout::transition::Revision;
use framework::ids::CommitId;

use crate::clients::Clients;
use crate::error::{has_code, invalid, optional, wrap};

/// One branch of one repository.
#[derive(Debug, Clone)]
pub struct CodeCommitRepository {
    client: aws_sdk_codecommit::Client,
    repository: String,
    branch: String,
}

impl CodeCommitRepository {
    /// Reads this branch of the repository.
    pub fn new(clients: &Clients, repository: &str, branch: &str) -> Self {
        let client = aws_sdk_codecommit::Client::new(&clients.config);
        Self { client, repository: repository.to_owned(), branch: branch.to_owned() }
    }
}

impl PolicyRepository for CodeCommitRepository {
    async fn head(&self) -> Result<Option<CommitId>> {
        const OPERATION: &str = "codecommit:GetBranch";
        let request = self.client.get_branch().repository_name(&self.repository).branch_name(&self.branch);
        let found = request.send().await.map_err(wrap(OPERATION));
        let found = optional(found, |error| has_code(error, &["BranchDoesNotExistException"]))?;
        let id = found.map(|found| found.branch.and_then(|branch| branch.commit_id).unwrap_or_default());
        id.map(|id| CommitId::parse(&id).map_err(invalid(OPERATION))).transpose()
    }

    async fn file(&self, commit: &CommitId, path: &str) -> Result<RepositoryFile> {
        let request = self.client.get_file().repository_name(&self.repository).commit_specifier(commit.as_str());
        match request.file_path(path).send().await.map_err(wrap("codecommit:GetFile")) {
            Ok(found) => Ok(RepositoryFile::decode(found.file_content.into_inner())),
            Err(error) if has_code(&error, &["FileDoesNotExistException"]) => Ok(RepositoryFile::Missing),
            Err(error) if has_code(&error, &["FileTooLargeException"]) => Ok(RepositoryFile::TooLarge),
            Err(error) => Err(error),
        }
    }

    async fn commit(&self, commit: &CommitId) -> Result<Revision> {
        let request = self.client.get_commit().repository_name(&self.repository).commit_id(commit.as_str());
        let found = request.send().await.map_err(wrap("codecommit:GetCommit"));
        // Removed by a forced push in between: the notice matters more than its author.
        let found = optional(found, |error| error.kind == PortErrorKind::NotFound)?.and_then(|found| found.commit);
        let author = found.as_ref().and_then(|commit| commit.author.as_ref());
        let author = match author.map_or((None, None), |author| (author.name.as_deref(), author.email.as_deref())) {
            (Some(name), Some(email)) => format!("{name} <{email}>"),
            (Some(one), None) | (None, Some(one)) => one.to_owned(),
            (None, None) => "unknown".to_owned(),
        };
        let message = found.and_then(|commit| commit.message).unwrap_or_default();
        let message = message.lines().next().unwrap_or_default().to_owned();
        Ok(Revision { commit: commit.clone(), author, message })
    }

    async fn comment(&self, commit: &CommitId, text: &str) -> Result<()> {
        let request = self.client.post_comment_for_compared_commit().repository_name(&self.repository);
        let request = request.after_commit_id(commit.as_str()).content(text);
        // Makes a repeated comment idempotent, after a lost response.
        let request = request.client_request_token(digest_of(&json!([commit, text])).0);
        request.send().await.map(drop).map_err(wrap("codecommit:PostCommentForComparedCommit"))
    }
}
