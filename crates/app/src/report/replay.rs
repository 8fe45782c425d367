//! Applying the changes of one violation, oldest first.

use crate::in_force::covering;
use crate::ports::InForce;
use domain::policy::Reporting;
use domain::violation::{
    Change, Compliance, Heard, Opening, Outcome, Outlet, Quiet, Record, ResourceFacts, Status, Turn, apply,
};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// What is needed to write down that something opens.
#[derive(Debug)]
pub(crate) struct Judge<'a> {
    pub(crate) in_force: &'a InForce,
    pub(crate) reporting: &'a Reporting,
    pub(crate) outlets: &'a BTreeSet<Outlet>,
    pub(crate) heard: Heard,
    pub(crate) now: Timestamp,
}

/// What changes lead to.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    /// The record to store; `None` when it is as before.
    pub(crate) record: Option<Record>,
    /// Turns that were written down.
    pub(crate) turns: usize,
    /// Changes that were already known, or older than what is known.
    pub(crate) quiet: usize,
}

impl Judge<'_> {
    /// Whether one of the changes opens the violation, so that more must be known of the resource.
    pub(crate) fn opens<'c>(known: Option<&Record>, changes: impl Iterator<Item = &'c Change>) -> bool {
        let mut open = known.is_some_and(|known| known.status == Status::Open);
        let mut last = known.map(|known| known.ordering);
        for change in changes {
            // As `apply` has it, without the records that it would make.
            if last.is_some_and(|last| change.ordering <= last) {
                continue;
            }
            let broken = change.compliance == Compliance::NonCompliant;
            if broken && !open {
                return true;
            }
            (open, last) = (broken, Some(change.ordering));
        }
        false
    }

    /// Applies changes in order, and writes down what each turn owes to whom.
    pub(crate) fn replay<'c>(
        &self,
        known: Option<&Record>,
        changes: impl Iterator<Item = &'c Change>,
        resource: Option<&ResourceFacts>,
    ) -> Replayed {
        let mut replayed = Replayed::default();
        for change in changes {
            let current = replayed.record.as_ref().or(known);
            match apply(current, change) {
                Outcome::Store { record, turn } => {
                    let mut record = *record;
                    match turn {
                        Some(Turn::Opens) => {
                            let found = self.in_force.found(current, change);
                            self.open(&mut record, found, resource);
                        }
                        Some(Turn::Closes(closing)) => record.closed_by(closing, self.outlets, self.now),
                        None => {}
                    }
                    replayed.turns = replayed.turns.saturating_add(usize::from(turn.is_some()));
                    replayed.record = Some(record);
                }
                Outcome::Quiet(Quiet::Repeated | Quiet::Late) => replayed.quiet = replayed.quiet.saturating_add(1),
            }
        }
        replayed
    }

    fn open(&self, record: &mut Record, found: domain::violation::Found, resource: Option<&ResourceFacts>) {
        // What could not be looked up now may be known from before.
        let resource = resource.cloned().unwrap_or_else(|| record.resource.clone());
        let opening = Opening {
            found,
            heard: self.heard,
            severity: self.reporting.severity(&record.key, &resource),
            exempt: covering(self.reporting, &record.key, &resource, self.now),
            resource,
        };
        record.opened(opening, self.outlets, self.now);
    }
}
