//! Notices about a rollout.

use super::text::{count, field, one_line, paragraph};
use crate::ids::{CommitId, StackSetName};
use crate::rollout::Verdict;
use serde_json::{Value, json};

/// Instances named one by one in a notice; the rest are counted.
const NAMED: usize = 20;

/// A rollout that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutReport {
    /// The StackSet.
    pub stack_set: StackSetName,
    /// The policy repository.
    pub repository: String,
    /// Its branch.
    pub branch: String,
    /// The commit that was rolled out.
    pub commit: CommitId,
    /// Who wrote it.
    pub author: String,
    /// The first line of its message.
    pub message: String,
    /// How it ended, instance by instance.
    pub verdict: Verdict,
    /// Instances created on the way.
    pub created: usize,
    /// Instances updated on the way.
    pub updated: usize,
    /// Instances deleted on the way.
    pub deleted: usize,
    /// A fault of the whole rollout: AWS refused a call, the StackSet is not ours.
    pub trouble: Option<String>,
    /// What happens next, when it failed.
    pub next: Option<String>,
}

impl RolloutReport {
    fn succeeded(&self) -> bool {
        self.verdict.is_success() && self.trouble.is_none()
    }

    fn tally(&self) -> String {
        format!("{} of {}", self.verdict.succeeded, count(self.verdict.total, "instance"))
    }

    pub(super) fn headline(&self) -> String {
        if self.succeeded() {
            format!("Backup framework {} is rolled out: {}", self.stack_set, self.tally())
        } else {
            format!("[FAILED] Rollout of backup framework {}: {} done", self.stack_set, self.tally())
        }
    }

    pub(super) fn text(&self) -> String {
        let changes = [(self.created, "created"), (self.updated, "updated"), (self.deleted, "deleted")]
            .into_iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, what)| format!("{number} {what}"))
            .collect::<Vec<_>>()
            .join(", ");
        let changes = if changes.is_empty() { "nothing had to be changed".to_owned() } else { changes };
        let faults: String = self
            .verdict
            .faults
            .iter()
            .take(NAMED)
            .map(|fault| paragraph(&format!("{}: {}: {}", fault.instance, fault.outcome, fault.reason), 2))
            .collect();
        let more = self.verdict.faults.len().saturating_sub(NAMED);
        let verb = if self.succeeded() { "is in force in" } else { "could not be put in force everywhere: it is in" };
        [
            paragraph(&format!("The backup framework {} {verb} {}.", self.stack_set, self.tally()), 0),
            "\n".into(),
            field("Commit", &format!("{} {}", self.commit.short(), self.message)),
            field("Author", &self.author),
            field("Repository", &format!("{} ({})", self.repository, self.branch)),
            field("Changes", &changes),
            self.trouble
                .as_deref()
                .map(|trouble| format!("\nWhat went wrong\n{}", paragraph(trouble, 2)))
                .unwrap_or_default(),
            if faults.is_empty() {
                String::new()
            } else {
                format!("\nInstances that are not as they should be\n{faults}")
            },
            if more > 0 { paragraph(&format!("and {more} more"), 2) } else { String::new() },
            self.next.as_deref().map(|next| format!("\n{}", paragraph(next, 0))).unwrap_or_default(),
        ]
        .concat()
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "stackSet": self.stack_set,
            "repository": self.repository,
            "branch": self.branch,
            "commit": self.commit,
            "author": self.author,
            "message": one_line(&self.message),
            "instances": {
                "total": self.verdict.total,
                "succeeded": self.verdict.succeeded,
                "failed": self.verdict.faults.len(),
                "created": self.created,
                "updated": self.updated,
                "deleted": self.deleted,
            },
            "faults": self.verdict.faults.iter().take(NAMED).collect::<Vec<_>>(),
            "trouble": self.trouble,
            "next": self.next,
        })
    }
}
