//! Evaluates whether a backup plan selects a resource and meets the control; if not, finds the closest selection.

use std::ptr;

use super::prepared_query::{ControlTest, PreparedQuery};
use super::reason::ComplianceResult::{self, Compliant, NotCompliant, Undecided};
use super::reason::{ClosestSelection, ComplianceReason, NonComplianceReason, NotSelectedReason, Uncertainty};
use super::selection::{Candidate, CompiledSelection, is_managed};
use super::ternary::Ternary;
use super::{Evaluator, plan, undecided};
use crate::inventory::document::PlanPart;
use crate::inventory::{LocationId, LocationPart, Plan};

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
            let truth = compiled.selects(candidate);
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
        let parts = [LocationPart::Plans, LocationPart::Selections].into_iter();
        let gaps = || parts.clone().filter_map(|part| self.inventory.unread(location, part));
        let does = |found: &SelectionMatch, target: usize| {
            prepared.plans.get(found.plan).and_then(|does| does.get(target)).copied().unwrap_or(Ternary::No)
        };
        // For each copy target: whether any selecting plan meets it.
        let targets = match &prepared.test {
            ControlTest::Copied(copies) => copies.targets(),
            _ => 1,
        };
        let unseen = Ternary::unknown_if(gaps().next().is_some());
        let truth_of = |target: usize| {
            matching.iter().map(|found| found.truth.and(does(found, target))).max().unwrap_or(Ternary::No).or(unseen)
        };
        let mut selecting = matching.iter().filter(|found| found.truth == Ternary::Yes);
        match (0..targets).map(truth_of).min().unwrap_or(Ternary::Yes) {
            Ternary::Yes => {
                let first = selecting.find(|found| (0..targets).any(|target| does(found, target) == Ternary::Yes));
                let plan = first.and_then(|found| self.plan(found.plan));
                let compiled = first.and_then(|found| self.compiled(location, found.selection));
                match (plan, compiled, &prepared.test) {
                    (Some(plan), _, ControlTest::Copied(_)) => Compliant(ComplianceReason::Copied(plan)),
                    (Some(plan), _, ControlTest::Locked { .. }) => Compliant(ComplianceReason::Locked(plan)),
                    (Some(plan), Some(compiled), _) => Compliant(ComplianceReason::Selected(plan, compiled.selection)),
                    // Unreachable: `Yes` comes from a plan.
                    _ => Undecided(vec![Uncertainty::Scope]),
                }
            }
            Ternary::No if matching.is_empty() || matches!(prepared.test, ControlTest::Selected) => {
                let others: Vec<_> = self.selections(location).collect();
                NotCompliant(NonComplianceReason::NotSelected(Box::new(self.not_selected(candidate, cluster, &others))))
            }
            Ternary::No => {
                let mut plans: Vec<&'a Plan> = Vec::new();
                for plan in selecting.filter_map(|found| self.plan(found.plan)) {
                    if !plans.iter().any(|known| ptr::eq(*known, plan)) {
                        plans.push(plan);
                    }
                }
                NotCompliant(match &prepared.test {
                    ControlTest::Copied(copies) => {
                        let missing = |(target, name): (usize, &&'a str)| {
                            // Without a plan that selects it for certain, no copy is certain either.
                            (plans.is_empty() || truth_of(target) == Ternary::No).then_some(*name)
                        };
                        let to = copies.list.iter().enumerate().filter_map(missing).collect();
                        NonComplianceReason::NotCopied(plans, to)
                    }
                    _ => {
                        let vaults = self.unlocked(location, &plans, prepared);
                        NonComplianceReason::NotLocked(plans, vaults)
                    }
                })
            }
            Ternary::Unknown => {
                let mut unknown: Vec<Uncertainty<'a>> = gaps().map(Uncertainty::Location).collect();
                let any = |found: &SelectionMatch, truth| (0..targets).any(|target| does(found, target) == truth);
                for found in matching.iter().filter(|found| any(found, Ternary::Yes) || any(found, Ternary::Unknown)) {
                    let Some(plan) = self.plan(found.plan) else { continue };
                    if found.truth == Ternary::Unknown {
                        match self.compiled(location, found.selection) {
                            Some(compiled) => unknown.extend(compiled.unknown(candidate)),
                            None => unknown.push(Uncertainty::Selections(plan)),
                        }
                    }
                    if any(found, Ternary::Unknown) {
                        match &prepared.test {
                            ControlTest::Copied(_) => {
                                let at = self.inventory.locations.get(location.index());
                                unknown.extend(plan::unknown_copies(plan, at));
                            }
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

    pub(super) fn selections(&self, location: LocationId) -> impl Iterator<Item = &CompiledSelection<'a>> {
        let local = self.locations.get(location.index()).into_iter();
        local.flat_map(|local| &local.selections).map(|(_, compiled)| compiled)
    }

    /// Returns the closest of `others`, the selections that do not match, with the changes that make it match.
    pub(super) fn not_selected(
        &self,
        candidate: &Candidate<'a>,
        cluster: Option<&'a str>,
        others: &[&CompiledSelection<'a>],
    ) -> NotSelectedReason<'a> {
        let all = || others.iter().copied();
        let near = |compiled: &CompiledSelection<'a>| ClosestSelection {
            plan: compiled.plan,
            selection: compiled.selection,
            failed: compiled.failed(candidate),
        };
        let costs = all().filter_map(|compiled| Some((compiled.cheapest(candidate)?, compiled)));
        let fixable = costs.min_by_key(|(cost, _)| *cost);
        let local = self.locations.get(candidate.resource.location.index());
        let is_empty = |plan: &Plan| plan.selections.is_empty() && !plan.unread.contains(&PlanPart::Selections);
        let mut plans = local.into_iter().flat_map(|local| &local.plans).filter_map(|plan| self.plan(*plan));
        NotSelectedReason {
            empty_plan: plans.find(|plan| is_empty(plan) && !is_managed(plan)),
            closest: match fixable {
                Some((_, compiled)) => Some(near(compiled)),
                None => all().map(near).min_by_key(|near| near.failed.len()),
            },
            steps: fixable.map_or_else(Vec::new, |(cost, compiled)| compiled.changes(candidate, cost)),
            cluster,
        }
    }
}
