//! The findings of `lint` and `check` and their output formats.

use clap::ValueEnum;

use syntax::diagnostic::{Diagnostic, Level};

use crate::CommandOutcome;

pub(crate) mod fix;
pub(crate) mod generated;
pub(crate) mod human;
pub(crate) mod machine;
pub(crate) mod sarif;

/// The output formats of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FindingFormat {
    /// Text; in color on a terminal, unless `NO_COLOR` is set.
    Human,
    /// One JSON document.
    Json,
    /// SARIF 2.1.0, for code scanning and editors.
    Sarif,
    /// Annotations of GitHub Actions.
    Github,
}

pub(crate) fn count(findings: &[Diagnostic], level: Level) -> usize {
    findings.iter().filter(|finding| finding.level == level).count()
}

/// Errors are findings, and warnings if `strict`.
pub(crate) fn verdict(findings: &[Diagnostic], strict: bool) -> CommandOutcome {
    let is_clean = count(findings, Level::Error) == 0 && (!strict || count(findings, Level::Warning) == 0);
    if is_clean { CommandOutcome::Clean } else { CommandOutcome::Findings }
}
