//! Evaluates whether a backup plan selects a resource and meets the control; if not, finds the closest selection.

use super::prepared_query::{ControlTest, PreparedQuery};
use super::reason::{
    ClosestSelection, ComplianceReason, ComplianceResult, NonComplianceReason, NotSelectedReason, Uncertainty,
};
use super::selection::{Candidate, ChangeCost, CompiledSelection};
use super::ternary::Ternary;
use super::{Evaluator, plan, undecided};
use crate::inventory::document::PlanPart;
use crate::inventory::{LocationId, LocationPart, Plan, Selection};

/// A selection that matches a resource, or may match it.
#[derive(Debug, Clone, Copy)]
pub(super) struct SelectionMatch {
    plan: usize,
    /// The index among the selections of the location; `None` for selections that were not read.
    selection: Option<usize>,
    truth: Ternary,
}

impl<'a> Evaluator<'a> {
    /// Collects the selections that match a resource, or may match it.
    pub(super) fn matching(&self, candidate: &Candidate<'a>, matching: &mut Vec<SelectionMatch>) {
        matching.clear();
        let Some(local) = self.locations.get(candidate.resource.location.index()) else { return };
        for (number, (plan, compiled)) in local.selections.iter().enumerate() {
            let truth = compiled.selects(self.inventory, candidate);
            if truth != Ternary::No {
                matching.push(SelectionMatch { plan: *plan, selection: Some(number), truth });
            }
        }
        for plan in &local.plans {
            if self.plan(*plan).is_some_and(|plan| plan.unread.contains(&PlanPart::Selections)) {
                matching.push(SelectionMatch { plan: *plan, selection: None, truth: Ternary::Unknown });
            }
        }
    }

    fn plan(&self, number: usize) -> Option<&'a Plan> {
        self.inventory.plans.get(number).map(|plan| &plan.item)
    }

    /// Evaluates whether the plans that select a resource meet the control.
    /// Long because the three truth values of coverage each have a reason by control.
    pub(super) fn planned(
        &self,
        prepared: &PreparedQuery<'a>,
        candidate: &Candidate<'a>,
        matching: &[SelectionMatch],
        cluster: Option<&'a str>,
    ) -> ComplianceResult<'a> {
        let location = candidate.resource.location;
        let gaps = || {
            [LocationPart::Plans, LocationPart::Selections]
                .into_iter()
                .filter_map(|part| self.inventory.unread(location, part))
        };
        let does = |plan: usize, target: usize| {
            prepared.plans.get(plan).and_then(|does| does.get(target)).copied().unwrap_or(Ternary::No)
        };
        // For each copy target: whether any selecting plan meets it.
        let targets = match &prepared.test {
            ControlTest::Copied(copies) => copies.targets(),
            _ => 1,
        };
        let unseen = if gaps().next().is_some() { Ternary::Unknown } else { Ternary::No };
        let truth_of = |target: usize| {
            matching
                .iter()
                .map(|found| found.truth.and(does(found.plan, target)))
                .max()
                .unwrap_or(Ternary::No)
                .or(unseen)
        };
        let truth = (0..targets).map(truth_of).min().unwrap_or(Ternary::Yes);
        match truth {
            Ternary::Yes => {
                let first = matching.iter().find(|found| {
                    found.truth == Ternary::Yes && (0..targets).any(|target| does(found.plan, target) == Ternary::Yes)
                });
                let plan = first.and_then(|found| self.plan(found.plan));
                let selection = first.and_then(|found| self.selection(location, found.selection?));
                match (plan, selection, &prepared.test) {
                    (Some(plan), _, ControlTest::Copied(_)) => {
                        ComplianceResult::Compliant(ComplianceReason::Copied(plan))
                    }
                    (Some(plan), _, ControlTest::Locked { .. }) => {
                        ComplianceResult::Compliant(ComplianceReason::Locked(plan))
                    }
                    (Some(plan), Some(selection), _) => {
                        ComplianceResult::Compliant(ComplianceReason::Selected { plan, selection })
                    }
                    // Unreachable: `Yes` comes from a plan.
                    _ => ComplianceResult::Undecided(vec![Uncertainty::Scope]),
                }
            }
            Ternary::No if matching.iter().any(|found| found.truth == Ternary::Yes) => {
                let mut plans: Vec<&'a Plan> = Vec::new();
                for found in matching.iter().filter(|found| found.truth == Ternary::Yes) {
                    plans.extend(
                        self.plan(found.plan).filter(|plan| !plans.iter().any(|known| std::ptr::eq(*known, *plan))),
                    );
                }
                match &prepared.test {
                    ControlTest::Copied(copies) => {
                        let missing =
                            copies.list().iter().enumerate().filter(|(target, _)| truth_of(*target) == Ternary::No);
                        let to = missing.map(|(_, name)| *name).collect();
                        ComplianceResult::NotCompliant(NonComplianceReason::NotCopied { plans, to })
                    }
                    _ => {
                        let vaults = self.unlocked(location, &plans, prepared);
                        ComplianceResult::NotCompliant(NonComplianceReason::NotLocked { plans, vaults })
                    }
                }
            }
            // No plan selects it for certain, and none that may would meet the control.
            Ternary::No if !matching.is_empty() && !matches!(prepared.test, ControlTest::Selected) => {
                match &prepared.test {
                    ControlTest::Copied(copies) => ComplianceResult::NotCompliant(NonComplianceReason::NotCopied {
                        plans: Vec::new(),
                        to: copies.list().to_vec(),
                    }),
                    _ => ComplianceResult::NotCompliant(NonComplianceReason::NotLocked {
                        plans: Vec::new(),
                        vaults: Vec::new(),
                    }),
                }
            }
            Ternary::No => ComplianceResult::NotCompliant(NonComplianceReason::NotSelected(Box::new(
                self.not_selected(candidate, cluster),
            ))),
            Ternary::Unknown => {
                let mut unknown: Vec<Uncertainty<'a>> = gaps().map(Uncertainty::from).collect();
                for found in matching {
                    let matters = (0..targets).any(|target| does(found.plan, target) != Ternary::No);
                    if !matters {
                        continue;
                    }
                    let Some(plan) = self.plan(found.plan) else { continue };
                    if found.truth == Ternary::Unknown {
                        match self.compiled(location, found.selection) {
                            Some(compiled) => unknown.extend(compiled.unknown(self.inventory, candidate)),
                            None => unknown.push(Uncertainty::Selections(plan)),
                        }
                    }
                    if (0..targets).any(|target| does(found.plan, target) == Ternary::Unknown) {
                        match &prepared.test {
                            ControlTest::Copied(_) => unknown.extend(plan::unknown_copies(plan)),
                            _ => unknown.extend(self.unknown_locks(location, plan)),
                        }
                    }
                }
                undecided(unknown)
            }
        }
    }

    fn compiled(&self, location: LocationId, selection: Option<usize>) -> Option<&CompiledSelection<'a>> {
        self.locations.get(location.index())?.selections.get(selection?).map(|(_, compiled)| compiled)
    }

    fn selection(&self, location: LocationId, selection: usize) -> Option<&'a Selection> {
        self.compiled(location, Some(selection)).map(|compiled| compiled.selection)
    }

    /// Returns the selections of a location.
    pub(super) fn selections(&self, location: LocationId) -> impl Iterator<Item = &CompiledSelection<'a>> {
        self.locations
            .get(location.index())
            .into_iter()
            .flat_map(|local| &local.selections)
            .map(|(_, compiled)| compiled)
    }

    /// Returns the selection that needs the fewest changes to match a resource.
    pub(super) fn closest<'r>(
        &self,
        selections: impl Iterator<Item = &'r CompiledSelection<'a>>,
        candidate: &Candidate<'a>,
    ) -> Option<(ChangeCost, &'r CompiledSelection<'a>)>
    where
        'a: 'r,
    {
        let fixable = selections.filter_map(|compiled| Some((compiled.cheapest(self.inventory, candidate)?, compiled)));
        fixable.min_by_key(|(cost, _)| *cost)
    }

    /// Returns the closest selection, with the changes that make it match.
    fn not_selected(&self, candidate: &Candidate<'a>, cluster: Option<&'a str>) -> NotSelectedReason<'a> {
        let Some(location) = self.inventory.at(candidate.resource.location) else {
            return NotSelectedReason::default();
        };
        let all = || self.selections(candidate.resource.location);
        let near = |compiled: &CompiledSelection<'a>| ClosestSelection {
            plan: compiled.plan,
            selection: compiled.selection,
            failed: compiled.failed(self.inventory, candidate),
        };
        match self.closest(all(), candidate) {
            Some((cost, compiled)) => NotSelectedReason {
                closest: Some(near(compiled)),
                steps: compiled.changes(self.inventory, location, candidate, cost),
                cluster,
            },
            None => NotSelectedReason {
                closest: all().map(near).min_by_key(|near| near.failed.len()),
                steps: Vec::new(),
                cluster,
            },
        }
    }
}
