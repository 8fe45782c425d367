//! Notices to those who run the policy, not about single violations: exemptions that end, warnings.

use super::digest::SHOWN;
use super::text::{self, count, field, fit, item, paragraph, quoted, shown};
use crate::ids::CommitId;
use crate::policy::Exemption;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Accounts, resources and tags of an exemption that are shown; the rest is counted.
const NAMED: usize = 5;

/// Exemptions of one owner that end within two weeks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiringExemptions {
    /// Who answers for them.
    pub owner: String,
    /// The exemptions, those that end first first.
    pub exemptions: Vec<ExpiringExemption>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiringExemption {
    /// The exemption.
    pub exemption: Exemption,
    /// Open violations that it keeps quiet and that will be told on the day after its last.
    pub violations: usize,
}

/// What is odd about a policy that was put in force all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyWarnings {
    /// The commit.
    pub commit: CommitId,
    /// The policy repository.
    pub repository: String,
    /// Its branch.
    pub branch: String,
    /// What is odd, a sentence each.
    pub warnings: Vec<String>,
}

impl ExpiringExemptions {
    fn violations(&self) -> usize {
        self.exemptions.iter().map(|expiring| expiring.violations).fold(0, usize::saturating_add)
    }

    /// `1 exemption of data@example.com ends on 2026-12-31`.
    fn summary(&self, owner: &str) -> String {
        let first = self.exemptions.iter().map(|expiring| expiring.exemption.until).min();
        let first = first.map(|until| until.to_string()).unwrap_or_default();
        let number = count(self.exemptions.len(), "exemption");
        let end = if self.exemptions.len() == 1 { "ends on" } else { "end soon, the first on" };
        format!("{number} of {} {end} {first}", quoted(owner))
    }

    pub(super) fn subject(&self, limit: usize) -> String {
        text::subject(&shown(&self.owner, 200), limit, |name| format!("[EXEMPTIONS] {}", self.summary(name)))
    }

    pub(super) fn text(&self) -> String {
        let number = self.exemptions.len();
        let exemptions: String = self.exemptions.iter().take(SHOWN).map(describe).collect();
        [
            paragraph(
                &format!(
                    "{}. What still breaks its control on the day after is told to everybody; that would be {} today.",
                    self.summary(&shown(&self.owner, 200)),
                    count(self.violations(), "violation"),
                ),
                0,
            ),
            exemptions,
            more(number),
            "\nWhat to do\n".into(),
            paragraph(
                "Bring the resources into line, or choose a later `until` in the policy file with a reason that still holds.",
                2,
            ),
        ]
        .concat()
    }

    pub(super) fn json(&self) -> Value {
        let exemptions = self.exemptions.iter().take(SHOWN).map(|ExpiringExemption { exemption, violations }| {
            let tags: BTreeMap<String, String> =
                exemption.tags.iter().take(NAMED).map(|(key, value)| (fit(key, 60), fit(value, 60))).collect();
            json!({
                "control": exemption.control.name,
                "resources": exemption.resources.iter().take(NAMED).map(|arn| fit(arn, 150)).collect::<Vec<_>>(),
                "resourceCount": exemption.resources.len(),
                "accounts": exemption.accounts.iter().take(NAMED).collect::<Vec<_>>(),
                "accountCount": exemption.accounts.len(),
                "tags": tags,
                "reason": fit(&exemption.reason, 250),
                "until": exemption.until,
                "violations": violations,
            })
        });
        json!({
            "reason": "exemptionsExpiring",
            "owner": fit(&self.owner, 500),
            "counts": { "exemptions": self.exemptions.len(), "violations": self.violations() },
            "exemptions": exemptions.collect::<Vec<_>>(),
            "more": self.exemptions.len().saturating_sub(SHOWN),
        })
    }
}

fn describe(expiring: &ExpiringExemption) -> String {
    let ExpiringExemption { exemption, violations } = expiring;
    let accounts: Vec<String> = exemption.accounts.iter().map(ToString::to_string).collect();
    let resources: Vec<String> = exemption.resources.iter().take(NAMED).map(|arn| shown(&fit(arn, 150), 150)).collect();
    let tags: Vec<String> =
        exemption.tags.iter().take(NAMED).map(|(key, value)| shown(&fit(&format!("{key}={value}"), 100), 60)).collect();
    [
        format!("\n{} ends\n", exemption.until),
        field("Control", exemption.control.name),
        field("Resources", &listed(&resources, exemption.resources.len())),
        field("Accounts", &listed(accounts.get(..NAMED).unwrap_or(&accounts), accounts.len())),
        field("Tags", &listed(&tags, exemption.tags.len())),
        field("Reason", &shown(&fit(&exemption.reason, 300), 200)),
        field("Keeps quiet", &count(*violations, "open violation")),
    ]
    .concat()
}

/// The first ones, and how many more there are.
fn listed(first: &[String], total: usize) -> String {
    match total.saturating_sub(first.len()) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

pub(super) fn more(total: usize) -> String {
    match total.saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!("\n{}", paragraph(&format!("and {more} more"), 0)),
    }
}

impl PolicyWarnings {
    pub(super) fn subject(&self, limit: usize) -> String {
        text::subject(self.commit.short(), limit, |commit| {
            format!("[WARNING] Backup policy at {commit} has {}", count(self.warnings.len(), "warning"))
        })
    }

    pub(super) fn text(&self) -> String {
        let number = self.warnings.len();
        let warnings: String = self.warnings.iter().take(SHOWN).map(|warning| item(&shown(warning, 300))).collect();
        [
            paragraph(
                &format!(
                    "The backup policy at commit {} has {}. It is put in force all the same.",
                    self.commit.short(),
                    count(number, "warning")
                ),
                0,
            ),
            "\n".into(),
            field("Commit", self.commit.as_str()),
            field("Repository", &format!("{} ({})", self.repository, self.branch)),
            "\nWhat is odd\n".into(),
            warnings,
            match number.saturating_sub(SHOWN) {
                0 => String::new(),
                more => paragraph(&format!("and {more} more"), 4),
            },
        ]
        .concat()
    }

    pub(super) fn json(&self) -> Value {
        let warnings = self.warnings.iter().take(SHOWN).map(|warning| fit(warning, 1_500));
        json!({
            "reason": "policyWarnings",
            "repository": fit(&self.repository, 400),
            "branch": fit(&self.branch, 1_000),
            "commit": self.commit,
            "counts": { "warnings": self.warnings.len() },
            "warnings": warnings.collect::<Vec<_>>(),
            "more": self.warnings.len().saturating_sub(SHOWN),
        })
    }
}
