//! Notices about a rollout.

use super::text::{count, field, fit, item, one_line, paragraph};
use crate::ids::{CommitId, StackSetName};
use crate::rollout::{Instance, InstanceFault, Verdict};
use serde_json::{Value, json};

/// Instances named one by one in a notice; the rest are counted.
const NAMED: usize = 20;
/// Longest reason of each, in bytes; CloudFormation's own are a few hundred.
const REASON: usize = 1_200;

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
    /// It was a removal: of a framework that has left the policy, or of all of them.
    pub removed: bool,
    /// Stacks that a removal has let go of: they stay in their accounts.
    pub let_go: Vec<Instance>,
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

    pub(super) fn headline(&self, stack_set: &str) -> String {
        if self.succeeded() {
            format!("Backup framework {stack_set} is rolled out: {}", self.tally())
        } else if self.trouble.is_some() {
            format!("[FAILED] Backup framework {stack_set} could not be rolled out")
        } else {
            format!("[FAILED] Rollout of backup framework {stack_set}: {} done", self.tally())
        }
    }

    fn summary(&self) -> String {
        let (name, tally) = (&self.stack_set, self.tally());
        if self.succeeded() {
            format!("The backup framework {name} is rolled out: {tally} are as the policy wants them.")
        } else if self.trouble.is_some() {
            format!("The backup framework {name} could not be rolled out.")
        } else {
            format!("The rollout of the backup framework {name} failed: {tally} are as the policy wants them.")
        }
    }

    /// What was done on the way, as far as anything was.
    fn changes(&self) -> String {
        let changes: Vec<String> = [(self.created, "created"), (self.updated, "updated"), (self.deleted, "deleted")]
            .into_iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, what)| format!("{number} {what}"))
            .collect();
        if changes.is_empty() { "none were needed".to_owned() } else { changes.join(", ") }
    }

    /// The faults by what went wrong: a missing role or a suspended account is one cause for many instances.
    fn faults(&self) -> String {
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        for InstanceFault { instance, outcome, reason } in self.verdict.faults.iter().take(NAMED) {
            let (cause, place) = (format!("{outcome}: {}", fit(reason, REASON)), instance.to_string());
            match groups.iter_mut().find(|(known, _)| *known == cause) {
                Some((_, places)) => places.push(place),
                None => groups.push((cause, vec![place])),
            }
        }
        groups.iter().map(|(cause, places)| [item(cause), paragraph(&places.join(", "), 4)].concat()).collect()
    }

    pub(super) fn text(&self) -> String {
        let faults = self.faults();
        let more = self.verdict.faults.len().saturating_sub(NAMED);
        let section = |title: &str, body: String| match body.is_empty() {
            true => body,
            false => format!("\n{title}\n{body}"),
        };
        [
            paragraph(&self.summary(), 0),
            "\n".into(),
            field("Commit", &format!("{} {}", self.commit.short(), self.message)),
            field("Author", &self.author),
            field("Repository", &format!("{} ({})", self.repository, self.branch)),
            if self.trouble.is_some() { String::new() } else { field("Changes", &self.changes()) },
            section(
                "What went wrong",
                self.trouble.as_deref().map(|trouble| paragraph(trouble, 2)).unwrap_or_default(),
            ),
            section("Instances that are not as they should be", faults),
            if more > 0 { paragraph(&format!("and {more} more"), 2) } else { String::new() },
            self.next.as_deref().map(|next| format!("\n{}", paragraph(next, 0))).unwrap_or_default(),
        ]
        .concat()
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "stackSet": self.stack_set,
            "repository": fit(&self.repository, 400),
            "branch": fit(&self.branch, 1_000),
            "commit": self.commit,
            "author": fit(&self.author, 1_000),
            "message": fit(&one_line(&self.message), 4_000),
            "instances": {
                "total": self.verdict.total,
                "succeeded": self.verdict.succeeded,
                "failed": self.verdict.faults.len(),
                "created": self.created,
                "updated": self.updated,
                "deleted": self.deleted,
            },
            "faults": self.verdict.faults.iter().take(NAMED).map(bounded).collect::<Vec<_>>(),
            "trouble": self.trouble.as_deref().map(|trouble| fit(trouble, 4_000)),
            "next": self.next.as_deref().map(|next| fit(next, 4_000)),
        })
    }
}

fn bounded(fault: &InstanceFault) -> InstanceFault {
    InstanceFault { reason: fit(&fault.reason, REASON), ..fault.clone() }
}
