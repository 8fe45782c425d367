//! Findings in files, which `lint` and `check` have: what they are, and how they are written.

use domain::fault::Fault;
use domain::lint::Level;

pub(crate) mod fix;
pub(crate) mod generated;
pub(crate) mod human;
pub(crate) mod machine;

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
