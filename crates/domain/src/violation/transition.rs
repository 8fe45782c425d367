//! The state machine of a violation: a result of AWS Config opens it, closes it, or changes nothing.

use std::collections::BTreeMap;

use framework::control::Severity;

use super::{
    ClosedReason, ComplianceChange, ComplianceType, DetectionSource, OpenedBy, ResourceDetails, ViolationRecord,
    ViolationStatus,
};

/// The outcome of a compliance change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeOutcome {
    /// The record must be stored.
    Store {
        /// The updated record.
        record: Box<ViolationRecord>,
        /// The transition, if any. Callers apply it with [`ViolationRecord::record_opening`] or [`ViolationRecord::record_closing`] before they store the record.
        transition: Option<Transition>,
    },
    /// Nothing to store. Pending deliveries of the record stay pending.
    Suppressed(SuppressedReason),
}

/// A change of a violation's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// The violation opens.
    Opens,
    /// The violation closes.
    Closes(ClosedReason),
}

/// The reason for ignoring a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SuppressedReason {
    /// The same result was applied before.
    Duplicate,
    /// A later result was applied before.
    OutOfOrder,
}

/// Applies a change to the record of its violation. Duplicate and out-of-order results change nothing.
pub fn apply(known: Option<&ViolationRecord>, change: &ComplianceChange) -> ChangeOutcome {
    if let Some(record) = known {
        if status_after(change.compliance) == record.status && change.ordering.same_result(&record.ordering) {
            return ChangeOutcome::Suppressed(SuppressedReason::Duplicate);
        }
        if change.ordering <= record.ordering {
            return ChangeOutcome::Suppressed(SuppressedReason::OutOfOrder);
        }
    }
    let mut record = known.cloned().unwrap_or_else(|| never_open(change));
    let turn = transition(record.status, change.compliance);
    record.status = status_after(change.compliance);
    record.ordering = change.ordering;
    record.rule_name.clone_from(&change.rule_name);
    record.annotation.clone_from(&change.annotation);
    if !change.rule_arn.is_empty() {
        record.rule_arn.clone_from(&change.rule_arn);
    }
    if turn == Some(Transition::Opens) {
        record.since = Some(change.ordering.triggered);
    }
    ChangeOutcome::Store { record: Box::new(record), transition: turn }
}

const fn transition(status: ViolationStatus, compliance: ComplianceType) -> Option<Transition> {
    match (status, compliance) {
        (ViolationStatus::Closed, ComplianceType::NonCompliant) => Some(Transition::Opens),
        (ViolationStatus::Open, ComplianceType::Compliant) => Some(Transition::Closes(ClosedReason::Satisfied)),
        (ViolationStatus::Open, ComplianceType::NotApplicable) => Some(Transition::Closes(ClosedReason::NotApplicable)),
        (ViolationStatus::Open, ComplianceType::NonCompliant)
        | (ViolationStatus::Closed, ComplianceType::Compliant | ComplianceType::NotApplicable) => None,
    }
}

const fn status_after(compliance: ComplianceType) -> ViolationStatus {
    match compliance {
        ComplianceType::NonCompliant => ViolationStatus::Open,
        ComplianceType::Compliant | ComplianceType::NotApplicable => ViolationStatus::Closed,
    }
}

fn never_open(change: &ComplianceChange) -> ViolationRecord {
    ViolationRecord {
        key: change.key.clone(),
        status: ViolationStatus::Closed,
        since: None,
        ordering: change.ordering,
        rule_name: String::new(),
        rule_arn: String::new(),
        annotation: None,
        opened_by: OpenedBy::FirstResult,
        detected_by: DetectionSource::Event,
        closed_reason: None,
        severity: Severity::Medium,
        resource: ResourceDetails::default(),
        exemption: None,
        finding_sent_at: None,
        last_pending_at: None,
        pending: Vec::new(),
        delivery_claimed_until: None,
        delivery_failures: BTreeMap::new(),
    }
}
