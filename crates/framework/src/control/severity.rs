//! The severity of a violation.

use serde::{Deserialize, Serialize};

/// The labels of AWS Security Hub, so that all channels use one scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// No action needed.
    Informational,
    /// An improvement is possible.
    Low,
    /// A backup exists but does not meet the policy.
    Medium,
    /// Data loss is possible: there is no backup, or backups can be deleted.
    High,
    /// As high, for a resource that the policy declares more important.
    Critical,
}

impl Severity {
    /// Returns the label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Informational => "INFORMATIONAL",
            Self::Low => "LOW",
            Self::Medium => "MEDIUM",
            Self::High => "HIGH",
            Self::Critical => "CRITICAL",
        }
    }
}
