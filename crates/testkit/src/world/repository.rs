//! A policy repository.

use std::collections::BTreeMap;

use app::deploy::RevisionOrder;
use app::deploy::ports::{PolicyRepository, RepositoryFile};
use app::ports::{PortErrorKind, Result};
use domain::rollout::transition::Revision;
use framework::ids::CommitId;

use super::{World, error};

/// One commit: all files, author and message.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Path to content.
    pub files: BTreeMap<String, RepositoryFile>,
    /// Its id, author and message.
    pub revision: Revision,
}

impl World {
    /// Commits files on top of the head, as `git commit && git push` does; `None` removes a file.
    ///
    /// # Panics
    /// Never for commits made here: their ids are well formed.
    pub fn push(&self, message: &str, changes: &[(&str, Option<&str>)]) -> CommitId {
        let mut state = self.state();
        let mut files =
            state.head.as_ref().and_then(|head| state.commits.get(head)).map(|c| c.files.clone()).unwrap_or_default();
        for (path, content) in changes {
            match content {
                Some(content) => files.insert((*path).to_owned(), RepositoryFile::Text((*content).to_owned())),
                None => files.remove(*path),
            };
        }
        let id = format!("{:040x}", 0xa11c_e000_u64 + state.commits.len() as u64 + 1);
        #[expect(clippy::expect_used, reason = "forty hexadecimal digits are a commit id")]
        let id = CommitId::parse(&id).expect("forty hexadecimal digits");
        let revision = Revision {
            commit: id.clone(),
            author: "Ada <ada@example.com>".into(),
            message: message.lines().next().unwrap_or_default().into(),
        };
        state.commits.insert(id.clone(), Commit { files, revision });
        state.head = Some(id.clone());
        id
    }
}

impl PolicyRepository for World {
    async fn head(&self) -> Result<Option<CommitId>> {
        self.remote("codecommit:GetBranch", |state| Ok(state.head.clone())).await
    }

    async fn file(&self, commit: &CommitId, path: &str) -> Result<RepositoryFile> {
        self.remote("codecommit:GetFile", |state| {
            let Some(commit) = state.commits.get(commit) else {
                return Err(error("codecommit:GetFile", PortErrorKind::NotFound));
            };
            Ok(commit.files.get(path).cloned().unwrap_or(RepositoryFile::Missing))
        })
        .await
    }

    async fn commit(&self, commit: &CommitId) -> Result<Revision> {
        self.remote("codecommit:GetCommit", |state| {
            Ok(state.commits.get(commit).map_or_else(
                || Revision { commit: commit.clone(), author: "unknown".into(), message: String::new() },
                |commit| commit.revision.clone(),
            ))
        })
        .await
    }

    async fn comment(&self, commit: &CommitId, text: &str) -> Result<()> {
        self.remote("codecommit:PostCommentForComparedCommit", |state| {
            let comment = (commit.clone(), text.to_owned());
            if !state.comments.contains(&comment) {
                state.comments.push(comment);
            }
            Ok(())
        })
        .await
    }

    async fn order(&self, commit: &CommitId) -> Result<RevisionOrder> {
        // Not a call: AWS is asked for the order of objects only.
        Ok(self.state().orders.get(commit).copied().unwrap_or(RevisionOrder::History))
    }
}
