//! Evaluates Audit Manager's controls: the inventory, AWS Backup's selection rule, and the check of CloudFormation templates.
//!
//! An evaluation is compliant, not compliant, or undecided with the missing input. Pure: no I/O, no clock, no environment, no panic.
//!
//! ```
//! use evaluation::inventory::Inventory;
//!
//! let document = r#"{"version": 1, "asOf": "2026-01-01T00:00:00Z", "locations": []}"#;
//! assert!(Inventory::read("inventory.json", document).is_ok());
//! ```

pub mod check;
#[cfg(test)]
#[path = "../../syntax/src/yaml/edited.rs"]
mod edited;
mod evaluator;
pub mod inventory;

pub use evaluator::{
    ClosestSelection, ComplianceReason, ComplianceResult, ConditionOperator, ControlQuery, Evaluation,
    EvaluationCounts, Evaluator, FailedClause, LockShortfall, NonComplianceReason, NotSelectedReason, QueryScope,
    RemediationStep, RuleShortfall, Subject, Uncertainty, UnlockedVault, remediation, schedule, vault_policy,
};
