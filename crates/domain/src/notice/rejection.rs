//! The notice about a policy that cannot be used.

use super::text::{count, field, fit, one_line, paragraph, sentence};
use crate::fault::Fault;
use crate::ids::CommitId;
use serde_json::{Value, json};

/// Faults told one by one; the rest are counted.
const NAMED: usize = 20;

/// A policy that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The policy repository.
    pub repository: String,
    /// Its branch.
    pub branch: String,
    /// The commit that was refused.
    pub commit: CommitId,
    /// Who wrote it.
    pub author: String,
    /// The first line of its message.
    pub message: String,
    /// Everything that is wrong with it.
    pub faults: Vec<Fault>,
}

impl Rejection {
    pub(super) fn headline(&self, commit: &str) -> String {
        format!("[REJECTED] Backup policy at {commit} has {}; nothing was changed", count(self.faults.len(), "fault"))
    }

    pub(super) fn text(&self) -> String {
        let faults: String = self.faults.iter().take(NAMED).map(|fault| describe(&bounded(fault))).collect();
        let more = self.faults.len().saturating_sub(NAMED);
        [
            paragraph(
                &format!(
                    "The backup policy at commit {} has {} and was not rolled out. What is deployed stays as it is.",
                    self.commit.short(),
                    count(self.faults.len(), "fault"),
                ),
                0,
            ),
            "\n".into(),
            field("Commit", &format!("{} {}", self.commit.short(), self.message)),
            field("Author", &self.author),
            field("Repository", &format!("{} ({})", self.repository, self.branch)),
            faults,
            if more > 0 { format!("\n{}", paragraph(&format!("and {more} more"), 0)) } else { String::new() },
            "\n".into(),
            paragraph("To see all faults before a push, run `backup-compliance lint` in the repository.", 0),
        ]
        .concat()
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "repository": fit(&self.repository, 400),
            "branch": fit(&self.branch, 1_000),
            "commit": self.commit,
            "author": fit(&self.author, 1_000),
            "message": fit(&one_line(&self.message), 4_000),
            "faultCount": self.faults.len(),
            "faults": self.faults.iter().take(NAMED).map(bounded).collect::<Vec<_>>(),
        })
    }
}

fn describe(fault: &Fault) -> String {
    let place = fault.at.map_or_else(|| fault.file.clone(), |at| format!("{}, {at}", fault.file));
    let excerpt: String = fault
        .excerpt
        .as_deref()
        .map(|excerpt| excerpt.lines().map(|line| format!("    {}\n", one_line(line))).collect())
        .unwrap_or_default();
    [
        "\n".into(),
        paragraph(&place, 0),
        paragraph(&sentence(&fault.problem), 2),
        excerpt,
        if fault.fix.is_empty() { String::new() } else { paragraph(&format!("Fix: {}", fault.fix), 2) },
    ]
    .concat()
}

/// Files and lines come from a repository, and a notice has its limits.
fn bounded(fault: &Fault) -> Fault {
    Fault {
        file: fit(&fault.file, 400),
        at: fault.at,
        end: None,
        rule: fault.rule,
        problem: fit(&fault.problem, 800),
        fix: fit(&fault.fix, 600),
        excerpt: fault.excerpt.as_deref().map(|excerpt| fit(excerpt, 600)),
        edits: Vec::new(),
    }
}
