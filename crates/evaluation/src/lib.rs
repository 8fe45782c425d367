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
mod comparison;
#[cfg(test)]
#[path = "../../syntax/src/yaml/tests/edited.rs"]
mod edited;
mod evaluator;
pub mod inventory;

pub use comparison::{ComparedState, Comparison, MonthlyEvaluations, ViolationChange, ViolationCounts, compare};
pub use evaluator::{
    ComplianceResult, ControlQuery, Evaluation, EvaluationCounts, Evaluator, FailedClause, FindExemption,
    NonComplianceReason, QueryScope, RemediationStep, Subject, ViolatingItem, ViolationExemption, remediation,
    vault_policy,
};
