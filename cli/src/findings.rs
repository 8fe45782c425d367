//! The findings of `lint` and `check` and their output formats.

use clap::ValueEnum;

use framework::lint::Level;
use syntax::diagnostic::Diagnostic;

pub(crate) mod fix;
pub(crate) mod generated;
pub(crate) mod human;
pub(crate) mod machine;

/// The output formats of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text; in color on a terminal, unless `NO_COLOR` is set.
    Human,
    /// One JSON document.
    Json,
    /// SARIF 2.1.0, for code scanning and editors.
    Sarif,
    /// Annotations of GitHub Actions.
    Github,
}

/// A diagnostic with its level, which may differ from that of its rule.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) level: Level,
    pub(crate) diagnostic: Diagnostic,
}

/// Returns the number of findings of a level.
pub(crate) fn count(findings: &[Finding], level: Level) -> usize {
    findings.iter().filter(|finding| finding.level == level).count()
}
