//! Compares the violations of one inventory in two states of the controls: before and after a change.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use crate::evaluator::{ComplianceResult, ControlQuery, Evaluation, Evaluator, Subject};
use crate::inventory::Inventory;

/// One state: the queries in force, and what applies to each evaluation.
pub struct ComparedState<'a> {
    /// The queries.
    pub queries: &'a [ControlQuery],
    /// Whether the query applies to the item; the same control may have other values elsewhere.
    pub applies: &'a dyn Fn(&Evaluation<'_>) -> bool,
    /// Whether an exemption covers a violation.
    pub is_exempt: &'a dyn Fn(&Evaluation<'_>) -> bool,
}

/// The result for one control and item, over all queries of the control; a later one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ItemState {
    Undecided,
    Exempt,
    Violation,
}

/// The way in which a violation changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ViolationChange {
    /// It is reported after the change, and not before.
    New,
    /// It is reported before the change, and not after.
    Resolved,
}

/// Numbers of violations, one for each control and item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ViolationCounts {
    /// Reported after the change, and not before.
    pub new: u64,
    /// Reported before the change, and compliant or not evaluated after it.
    pub resolved: u64,
    /// Reported before and after the change.
    pub unchanged: u64,
    /// Undecided after the change.
    pub undecided: u64,
    /// Exempt after the change.
    pub exempt: u64,
}

/// Estimated evaluations a month, by control; a control of two frameworks is evaluated twice.
pub type MonthlyEvaluations = BTreeMap<&'static str, f64>;

/// The result of [`compare`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Comparison {
    /// The numbers of violations.
    pub counts: ViolationCounts,
    /// The evaluations before the change.
    pub before: MonthlyEvaluations,
    /// The evaluations after the change.
    pub after: MonthlyEvaluations,
}

/// Days of a month, on average.
const DAYS: f64 = 30.4;

/// Returns the evaluations of an item a month. Assumed: a resource is evaluated once a day, a recovery point when it is created (those
/// of the last day stand for every day), a plan or vault once.
fn evaluations_a_month(subject: &Subject<'_>, as_of: Timestamp) -> f64 {
    match subject {
        Subject::Resource(_) => DAYS,
        Subject::Plan(_) | Subject::Vault(_) => 1.0,
        Subject::RecoveryPoint(point) => {
            let is_new = as_of.duration_since(point.created) <= SignedDuration::from_hours(24);
            if is_new { DAYS } else { 0.0 }
        }
    }
}

type ControlItem<'a> = (&'static str, Subject<'a>);
type ItemStates<'a> = HashMap<ControlItem<'a>, ItemState>;

/// Compares the violations of both states, and calls `take` once for each that is new or resolved, with the evaluation that
/// finds it. A violation that is undecided after the change is not resolved.
///
/// Needs memory for the violations and undecided results only.
pub fn compare<'a>(
    inventory: &'a Inventory,
    before: &ComparedState<'a>,
    after: &ComparedState<'a>,
    mut take: impl FnMut(ViolationChange, Evaluation<'a>),
) -> Comparison {
    let mut comparison = Comparison::default();
    let old = states(inventory, before, &mut comparison.before);
    let new = states(inventory, after, &mut comparison.after);
    let counts = &mut comparison.counts;
    for (key, state) in &new {
        match state {
            ItemState::Undecided => counts.undecided += 1,
            ItemState::Exempt => counts.exempt += 1,
            ItemState::Violation if old.get(key) == Some(&ItemState::Violation) => counts.unchanged += 1,
            ItemState::Violation => counts.new += 1,
        }
    }
    let is_resolved = |key: &ControlItem<'a>| {
        old.get(key) == Some(&ItemState::Violation)
            && !matches!(new.get(key), Some(ItemState::Violation | ItemState::Undecided))
    };
    counts.resolved = old.keys().filter(|key| is_resolved(key)).count() as u64;
    let is_new = |key: &ControlItem<'a>| {
        new.get(key) == Some(&ItemState::Violation) && old.get(key) != Some(&ItemState::Violation)
    };
    if counts.new > 0 {
        first_violations(inventory, after, counts.new, is_new, |evaluation| take(ViolationChange::New, evaluation));
    }
    if counts.resolved > 0 {
        let resolved = |evaluation| take(ViolationChange::Resolved, evaluation);
        first_violations(inventory, before, counts.resolved, is_resolved, resolved);
    }
    comparison
}

fn states<'a>(inventory: &'a Inventory, state: &ComparedState<'a>, monthly: &mut MonthlyEvaluations) -> ItemStates<'a> {
    let mut states = ItemStates::new();
    Evaluator::new(inventory, state.queries).each(|evaluation| {
        if !(state.applies)(&evaluation) {
            return;
        }
        let Evaluation { query, subject, result, .. } = &evaluation;
        *monthly.entry(query.control.name).or_default() += evaluations_a_month(subject, inventory.as_of());
        let found = match result {
            ComplianceResult::Compliant(_) => return,
            ComplianceResult::Undecided(_) => ItemState::Undecided,
            ComplianceResult::NotCompliant(_) if (state.is_exempt)(&evaluation) => ItemState::Exempt,
            ComplianceResult::NotCompliant(_) => ItemState::Violation,
        };
        let known = states.entry((query.control.name, *subject)).or_insert(found);
        *known = found.max(*known);
    });
    states
}

/// Calls `take` with the first violation of each key that is `wanted`.
fn first_violations<'a>(
    inventory: &'a Inventory,
    state: &ComparedState<'a>,
    count: u64,
    wanted: impl Fn(&ControlItem<'a>) -> bool,
    mut take: impl FnMut(Evaluation<'a>),
) {
    let mut taken = HashSet::with_capacity(usize::try_from(count).unwrap_or_default());
    Evaluator::new(inventory, state.queries).each(|evaluation| {
        let key = (evaluation.query.control.name, evaluation.subject);
        if matches!(evaluation.result, ComplianceResult::NotCompliant(_))
            && wanted(&key)
            && (state.applies)(&evaluation)
            && taken.insert(key)
        {
            take(evaluation);
        }
    });
}
