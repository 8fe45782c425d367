//! Applies the changes of one violation, oldest first.

use domain::violation::{
    ChangeOutcome, ComplianceChange, ComplianceType, DetectionSource, OpenedBy, Opening, ResourceDetails,
    SuppressedReason, Transition, ViolationRecord, ViolationStatus, apply,
};

use crate::in_force::PolicyContext;

/// The data that opened and closed records are completed with.
#[derive(Debug)]
pub(crate) struct Replay<'a> {
    pub(crate) context: PolicyContext<'a>,
    pub(crate) detected_by: DetectionSource,
}

/// The result of a sequence of changes.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    /// The record to store; `None` if it is unchanged.
    pub(crate) record: Option<ViolationRecord>,
    pub(crate) transitions: usize,
    /// Changes that were known, or older than the record.
    pub(crate) duplicates: usize,
}

impl Replay<'_> {
    /// Whether one of the changes opens the violation, which needs the names and tags of the resource.
    pub(crate) fn opens<'c>(
        known: Option<&ViolationRecord>,
        changes: impl Iterator<Item = &'c ComplianceChange>,
    ) -> bool {
        let mut is_open = known.is_some_and(|known| known.status == ViolationStatus::Open);
        let mut last = known.map(|known| known.ordering);
        for change in changes {
            // The same order as in `apply`, without building records.
            if last.is_some_and(|last| change.ordering <= last) {
                continue;
            }
            let is_non_compliant = change.compliance == ComplianceType::NonCompliant;
            if is_non_compliant && !is_open {
                return true;
            }
            (is_open, last) = (is_non_compliant, Some(change.ordering));
        }
        false
    }

    /// Applies changes in order, and adds the deliveries of each transition to the record.
    pub(crate) fn apply<'c>(
        &self,
        known: Option<&ViolationRecord>,
        changes: impl Iterator<Item = &'c ComplianceChange>,
        resource: Option<&ResourceDetails>,
    ) -> Replayed {
        let mut replayed = Replayed::default();
        for change in changes {
            let current = replayed.record.as_ref().or(known);
            match apply(current, change) {
                ChangeOutcome::Store { mut record, transition } => {
                    match transition {
                        Some(Transition::Opens) => {
                            let opened_by = self.context.in_force.opened_by(current, change);
                            self.open(&mut record, opened_by, resource);
                        }
                        Some(Transition::Closes(closing)) => {
                            record.record_closing(closing, self.context.channels, self.context.now)
                        }
                        None => {}
                    }
                    replayed.transitions += usize::from(transition.is_some());
                    replayed.record = Some(*record);
                }
                ChangeOutcome::Suppressed(SuppressedReason::Duplicate | SuppressedReason::OutOfOrder) => {
                    replayed.duplicates += 1;
                }
            }
        }
        replayed
    }

    fn open(&self, record: &mut ViolationRecord, opened_by: OpenedBy, resource: Option<&ResourceDetails>) {
        let PolicyContext { reporting, channels, now, .. } = self.context;
        // The record may still contain the resource of an earlier look-up.
        let resource = resource.cloned().unwrap_or_else(|| record.resource.clone());
        let opening = Opening {
            opened_by,
            detected_by: self.detected_by,
            severity: reporting.severity(&record.key, &resource),
            exemption: self.context.exemption(&record.key, &resource),
            resource,
        };
        record.record_opening(opening, channels, now);
    }
}
