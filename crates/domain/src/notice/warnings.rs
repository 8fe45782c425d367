//! The notice about what is odd in a policy that was put in force.

use super::text::{self, count, field, item, paragraph};
use crate::ids::CommitId;
use serde_json::{Value, json};

/// What is odd in a policy that was put in force all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyWarnings {
    /// The commit that was deployed.
    pub commit: CommitId,
    /// The policy repository.
    pub repository: String,
    /// Its branch.
    pub branch: String,
    /// What is odd, at least one thing.
    pub warnings: Vec<String>,
}

impl PolicyWarnings {
    pub(super) fn subject(&self, limit: usize) -> String {
        text::subject(self.commit.short(), limit, |commit| {
            format!("Backup policy at {commit} has {}", count(self.warnings.len(), "warning"))
        })
    }

    pub(super) fn text(&self) -> String {
        let summary = format!(
            "The backup policy at commit {} is in force and has {}.",
            self.commit.short(),
            count(self.warnings.len(), "warning")
        );
        let warnings: String = self.warnings.iter().map(|warning| item(warning)).collect();
        let repository = field("Repository", &format!("{} ({})", self.repository, self.branch));
        [paragraph(&summary, 0), "\n".into(), repository, "\n".into(), warnings].concat()
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "reason": "policyWarnings",
            "repository": self.repository,
            "branch": self.branch,
            "commit": self.commit,
            "warnings": self.warnings,
        })
    }
}
