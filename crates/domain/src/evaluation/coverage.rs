//! Whether a resource is in a backup plan, and in one that does what is asked; for a miss, what came nearest.

use super::question::{Question, Test};
use super::reason::{Flaw, Miss, Near, Unknown, Verdict, Why};
use super::selection::{Candidate, Ready};
use super::truth::Truth;
use super::{Evaluator, plan, undecided};
use crate::inventory::document::PlanPart;
use crate::inventory::{Part, PlaceId, Plan, Selection};

/// That a plan takes a resource in, or may.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cover {
    plan: usize,
    /// The place of the selection among those of the place; `None` where it was not read.
    selection: Option<usize>,
    truth: Truth,
}

impl<'a> Evaluator<'a> {
    /// The plans that take a resource in, or may.
    pub(super) fn covers(&self, candidate: &Candidate<'a>, covers: &mut Vec<Cover>) {
        covers.clear();
        let Some(here) = self.places.get(candidate.resource.place.index()) else { return };
        for (number, (plan, ready)) in here.selections.iter().enumerate() {
            let truth = ready.takes(self.inventory, candidate);
            if truth != Truth::No {
                covers.push(Cover { plan: *plan, selection: Some(number), truth });
            }
        }
        for plan in &here.plans {
            if self.plan(*plan).is_some_and(|plan| plan.unread.contains(&PlanPart::Selections)) {
                covers.push(Cover { plan: *plan, selection: None, truth: Truth::Unknown });
            }
        }
    }

    fn plan(&self, number: usize) -> Option<&'a Plan> {
        self.inventory.plans.get(number).map(|plan| &plan.it)
    }

    /// Whether the plans that take a resource in do what is asked of them.
    pub(super) fn planned(
        &self,
        question: &Question<'a>,
        candidate: &Candidate<'a>,
        covers: &[Cover],
        cluster: Option<&'a str>,
    ) -> Verdict<'a> {
        let place = candidate.resource.place;
        let gaps = || [Part::Plans, Part::Selections].into_iter().filter_map(|part| self.inventory.unread(place, part));
        let does = |plan: usize, target: usize| {
            question.plans.get(plan).and_then(|does| does.get(target)).copied().unwrap_or(Truth::No)
        };
        // Of each target: whether some plan that takes the resource in does it.
        let targets = match &question.test {
            Test::Copied(copies) => copies.targets(),
            _ => 1,
        };
        let unseen = if gaps().next().is_some() { Truth::Unknown } else { Truth::No };
        let truth_of = |target: usize| {
            covers.iter().map(|cover| cover.truth.and(does(cover.plan, target))).max().unwrap_or(Truth::No).or(unseen)
        };
        let truth = (0..targets).map(truth_of).min().unwrap_or(Truth::Yes);
        match truth {
            Truth::Yes => {
                let first = covers.iter().find(|cover| {
                    cover.truth == Truth::Yes && (0..targets).any(|target| does(cover.plan, target) == Truth::Yes)
                });
                let plan = first.and_then(|cover| self.plan(cover.plan));
                let selection = first.and_then(|cover| self.selection(place, cover.selection?));
                match (plan, selection, &question.test) {
                    (Some(plan), _, Test::Copied(_)) => Verdict::Compliant(Why::Copied { plan }),
                    (Some(plan), _, Test::Locked { .. }) => Verdict::Compliant(Why::Locked { plan }),
                    (Some(plan), Some(selection), _) => Verdict::Compliant(Why::Selected { plan, selection }),
                    // A truth without a plan cannot be.
                    _ => Verdict::Undecided(vec![Unknown::Scope]),
                }
            }
            Truth::No if covers.iter().any(|cover| cover.truth == Truth::Yes) => {
                let mut plans: Vec<&'a Plan> = Vec::new();
                for cover in covers.iter().filter(|cover| cover.truth == Truth::Yes) {
                    plans.extend(
                        self.plan(cover.plan).filter(|plan| !plans.iter().any(|known| std::ptr::eq(*known, *plan))),
                    );
                }
                match &question.test {
                    Test::Copied(copies) => {
                        let missing =
                            copies.list().iter().enumerate().filter(|(target, _)| truth_of(*target) == Truth::No);
                        let to = missing.map(|(_, name)| *name).collect();
                        Verdict::NotCompliant(Flaw::NotCopied { plans, to })
                    }
                    _ => {
                        let vaults = self.unlocked(place, &plans, question);
                        Verdict::NotCompliant(Flaw::NotLocked { plans, vaults })
                    }
                }
            }
            // None that we know of takes it in for certain, and if one did it would not do what is asked.
            Truth::No if !covers.is_empty() && !matches!(question.test, Test::Selected) => match &question.test {
                Test::Copied(copies) => {
                    Verdict::NotCompliant(Flaw::NotCopied { plans: Vec::new(), to: copies.list().to_vec() })
                }
                _ => Verdict::NotCompliant(Flaw::NotLocked { plans: Vec::new(), vaults: Vec::new() }),
            },
            Truth::No => Verdict::NotCompliant(Flaw::NotSelected(Box::new(self.miss(candidate, cluster)))),
            Truth::Unknown => {
                let mut unknown: Vec<Unknown<'a>> = gaps().map(Unknown::from).collect();
                for cover in covers {
                    let matters = (0..targets).any(|target| does(cover.plan, target) != Truth::No);
                    if !matters {
                        continue;
                    }
                    let Some(plan) = self.plan(cover.plan) else { continue };
                    if cover.truth == Truth::Unknown {
                        match self.ready(place, cover.selection) {
                            Some(ready) => unknown.extend(ready.unknown(self.inventory, candidate)),
                            None => unknown.push(Unknown::Selections { plan }),
                        }
                    }
                    if (0..targets).any(|target| does(cover.plan, target) == Truth::Unknown) {
                        match &question.test {
                            Test::Copied(_) => unknown.extend(plan::unknown_copies(plan)),
                            _ => unknown.extend(self.unknown_locks(place, plan)),
                        }
                    }
                }
                undecided(unknown)
            }
        }
    }

    fn ready(&self, place: PlaceId, selection: Option<usize>) -> Option<&Ready<'a>> {
        self.places.get(place.index())?.selections.get(selection?).map(|(_, ready)| ready)
    }

    fn selection(&self, place: PlaceId, selection: usize) -> Option<&'a Selection> {
        self.ready(place, Some(selection)).map(|ready| ready.selection)
    }

    /// The selection that comes nearest to taking a resource in, and what would bring it in.
    fn miss(&self, candidate: &Candidate<'a>, cluster: Option<&'a str>) -> Miss<'a> {
        let (Some(here), Some(place)) =
            (self.places.get(candidate.resource.place.index()), self.inventory.at(candidate.resource.place))
        else {
            return Miss::default();
        };
        let all = || here.selections.iter().map(|(_, ready)| ready);
        let near = |ready: &Ready<'a>| Near {
            plan: ready.plan,
            selection: ready.selection,
            failed: ready.failed(self.inventory, candidate),
        };
        let mendable = all().filter_map(|ready| Some((ready.nearest(self.inventory, candidate)?, ready)));
        match mendable.min_by_key(|(nearest, _)| *nearest) {
            Some((nearest, ready)) => Miss {
                nearest: Some(near(ready)),
                changes: ready.changes(self.inventory, place, candidate, nearest),
                cluster,
            },
            None => {
                Miss { nearest: all().map(near).min_by_key(|near| near.failed.len()), changes: Vec::new(), cluster }
            }
        }
    }
}
