//! How bad it is to break a control.

use serde::{Deserialize, Serialize};

/// The labels of AWS Security Hub, so that every channel uses one scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// Nothing to do.
    Informational,
    /// Could be better.
    Low,
    /// A backup exists but is not as the policy wants it.
    Medium,
    /// Data could be lost: no backup, or backups that can be deleted.
    High,
    /// As high, and the policy says that this resource matters more than others.
    Critical,
}

impl Severity {
    /// The label.
    #[must_use]
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
