//! Notices about a policy: it was rejected, or it has warnings.

use serde_json::{Value, json};

use framework::ids::CommitId;
use syntax::diagnostic::Diagnostic;

use super::text::{
    self, and_more, and_more_below, count, field, fit, item, one_line, paragraph, section, sentence, shown,
};
use super::{Render, SHOWN};

const NAMED: usize = 20;

/// A rejected policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRejection {
    /// The policy repository.
    pub repository: String,
    /// Its branch.
    pub branch: String,
    /// The rejected commit.
    pub commit: CommitId,
    /// The commit's author.
    pub author: String,
    /// The first line of the commit's message.
    pub message: String,
    /// All diagnostics.
    pub diagnostics: Vec<Diagnostic>,
}

/// The warnings about a policy that was put in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyWarnings {
    /// The commit.
    pub commit: CommitId,
    /// The policy repository.
    pub repository: String,
    /// Its branch.
    pub branch: String,
    /// The warnings, one sentence each.
    pub warnings: Vec<String>,
}

impl Render for PolicyRejection {
    fn subject(&self) -> String {
        let number = count(self.diagnostics.len(), "error");
        let headline = |commit: &str| format!("[REJECTED] Backup policy at {commit} has {number}; nothing was changed");
        text::subject(self.commit.short(), &[&headline])
    }

    fn text(&self) -> String {
        let (commit, number) = (self.commit.short(), count(self.diagnostics.len(), "error"));
        let summary = format!("The backup policy at commit {commit} has {number} and was not rolled out.");
        let diagnostics: String = self.diagnostics.iter().take(NAMED).map(details).collect();
        let todo = "Fix the errors and push again. To see all errors before a push, run `backup-compliance lint` in the \
                    repository.";
        [
            paragraph(&format!("{summary} Deployed frameworks stay unchanged."), 0),
            "\n".into(),
            field("Commit", &format!("{} {}", self.commit.short(), self.message)),
            field("Author", &self.author),
            field("Repository", &format!("{} ({})", self.repository, self.branch)),
            diagnostics,
            and_more_below(self.diagnostics.len().saturating_sub(NAMED)),
            section("What to do", &paragraph(todo, 2)),
        ]
        .concat()
    }

    fn json(&self) -> Value {
        let diagnostics = self.diagnostics.iter().take(NAMED).map(|diagnostic| {
            let Diagnostic { file, at, rule, message, help, excerpt, .. } = diagnostic;
            let mut document = json!({ "file": fit(file, 400), "message": fit(message, 800), "help": fit(help, 600) });
            let optional = [
                ("line", at.map(|at| json!(at.line))),
                ("column", at.map(|at| json!(at.column))),
                ("rule", rule.map(|rule| json!(rule))),
                ("excerpt", excerpt.as_deref().map(|excerpt| json!(fit(excerpt, 600)))),
            ];
            if let Value::Object(fields) = &mut document {
                fields.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
            }
            document
        });
        json!({
            "repository": fit(&self.repository, 400),
            "branch": fit(&self.branch, 1_000),
            "commit": self.commit,
            "author": fit(&self.author, 1_000),
            "message": fit(&one_line(&self.message), 4_000),
            "diagnosticCount": self.diagnostics.len(),
            "diagnostics": diagnostics.collect::<Vec<_>>(),
        })
    }
}

fn details(diagnostic: &Diagnostic) -> String {
    let file = fit(&diagnostic.file, 400);
    let position = diagnostic.at.map_or_else(|| file.clone(), |at| format!("{file}, {at}"));
    let excerpt = diagnostic.excerpt.as_deref().map(|excerpt| fit(excerpt, 600)).unwrap_or_default();
    let excerpt: String = excerpt.lines().map(|line| format!("    {}\n", one_line(line))).collect();
    let help = fit(&diagnostic.help, 600);
    [
        "\n".into(),
        paragraph(&position, 0),
        paragraph(&sentence(&fit(&diagnostic.message, 800)), 2),
        excerpt,
        if help.is_empty() { help } else { paragraph(&format!("Fix: {help}"), 2) },
    ]
    .concat()
}

impl Render for PolicyWarnings {
    fn subject(&self) -> String {
        let number = count(self.warnings.len(), "warning");
        text::subject(self.commit.short(), &[&|commit| format!("[WARNING] Backup policy at {commit} has {number}")])
    }

    fn text(&self) -> String {
        let (commit, number) = (self.commit.short(), count(self.warnings.len(), "warning"));
        let summary = format!("The backup policy at commit {commit} has {number} and was put in force.");
        let warnings: String = self.warnings.iter().take(SHOWN).map(|warning| item(&shown(warning, 300))).collect();
        let more = and_more(self.warnings.len().saturating_sub(SHOWN), 4);
        [
            paragraph(&summary, 0),
            "\n".into(),
            field("Commit", self.commit.as_str()),
            field("Repository", &format!("{} ({})", self.repository, self.branch)),
            section("Warnings", &(warnings + &more)),
        ]
        .concat()
    }

    fn json(&self) -> Value {
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
