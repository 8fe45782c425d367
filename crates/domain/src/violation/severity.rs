//! How bad a violation is.

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
}

impl Severity {
    /// The severity of a violation of a control. Where no backup exists or somebody could delete it, data can be lost: high.
    #[must_use]
    pub fn of_control(control: &str) -> Self {
        match control {
            "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN"
            | "BACKUP_LAST_RECOVERY_POINT_CREATED"
            | "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED" => Self::High,
            _ => Self::Medium,
        }
    }

    /// The label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Informational => "INFORMATIONAL",
            Self::Low => "LOW",
            Self::Medium => "MEDIUM",
            Self::High => "HIGH",
        }
    }
}
