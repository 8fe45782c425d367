//! Findings in files, which `lint` and `check` have: what they are, and how they are written.

use clap::ValueEnum;
use domain::fault::Fault;
use domain::lint::Level;

pub(crate) mod fix;
pub(crate) mod generated;
pub(crate) mod human;
pub(crate) mod machine;

/// The forms of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people; in color on a terminal, unless `NO_COLOR` is set.
    Human,
    /// One JSON document.
    Json,
    /// SARIF 2.1.0, for code scanning and editors.
    Sarif,
    /// Annotations of GitHub Actions.
    Github,
}

/// A finding: how bad, and what.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) level: Level,
    pub(crate) fault: Fault,
}

/// How many findings are of a level.
pub(crate) fn count(findings: &[Finding], level: Level) -> usize {
    findings.iter().filter(|finding| finding.level == level).count()
}
