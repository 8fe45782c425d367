//! The comparison of two states against the evaluations of each.

use std::collections::{BTreeMap, BTreeSet};

use evaluation::inventory::Inventory;
use evaluation::{
    ComparedState, ComplianceResult, ControlQuery, Evaluation, Evaluator, ViolationChange, ViolationCounts, compare,
};

use super::differential::{CONTROLS, SPREAD, key, seeds};
use super::generated::{Dice, any_document, any_parameters};
use super::world::{asked, inventory};

/// A control and an item.
type Found = BTreeSet<(&'static str, String)>;

fn queries(dice: &mut Dice) -> Vec<ControlQuery> {
    let mut queries: Vec<ControlQuery> = Vec::new();
    // A control may be in two frameworks with different values, or in none.
    for name in CONTROLS.iter().chain(&CONTROLS) {
        if dice.one_in(2) {
            let mut query = asked(name, &[]);
            query.parameters = any_parameters(dice, name);
            queries.push(query);
        }
    }
    queries
}

/// Whether a query applies to an item, by chance: the same in each call.
fn applies(salt: usize) -> impl Fn(&Evaluation<'_>) -> bool {
    move |evaluation| !(evaluation.query_index * 7 + key(&evaluation.subject).len() + salt).is_multiple_of(5)
}

fn is_exempt(salt: usize) -> impl Fn(&Evaluation<'_>) -> bool {
    move |evaluation| {
        let length = evaluation.query.control.name.len() + key(&evaluation.subject).len();
        (length + salt).is_multiple_of(4)
    }
}

/// Returns the reported violations and the undecided results as `evaluate` has them: one by one.
fn reported(inventory: &Inventory, queries: &[ControlQuery], salt: usize) -> (Found, Found, Found) {
    let (mut violations, mut exempt, mut undecided) = (Found::new(), Found::new(), Found::new());
    let (applies, is_exempt) = (applies(salt), is_exempt(salt));
    Evaluator::new(inventory, queries).each(|evaluation| {
        let found = (evaluation.query.control.name, key(&evaluation.subject));
        if !applies(&evaluation) {
            return;
        }
        match evaluation.result {
            ComplianceResult::Compliant(_) => false,
            ComplianceResult::Undecided(_) => undecided.insert(found),
            ComplianceResult::NotCompliant(_) if is_exempt(&evaluation) => exempt.insert(found),
            ComplianceResult::NotCompliant(_) => violations.insert(found),
        };
    });
    let exempt = exempt.difference(&violations).cloned().collect();
    let undecided = undecided.difference(&violations).cloned().collect::<Found>();
    let undecided = undecided.difference(&exempt).cloned().collect();
    (violations, exempt, undecided)
}

#[test]
fn comparison_agrees_with_two_evaluations() {
    let mut totals = ViolationCounts::default();
    for seed in seeds(4_000) {
        let mut dice = Dice(seed.wrapping_mul(SPREAD));
        let inventory = inventory(&any_document(&mut dice));
        let (before, after) = (queries(&mut dice), queries(&mut dice));
        let (old, ..) = reported(&inventory, &before, 0);
        let (new, exempt, undecided) = reported(&inventory, &after, 1);

        let mut found: BTreeMap<ViolationChange, Vec<(&str, String)>> = BTreeMap::new();
        let state = |queries, applies, is_exempt| ComparedState { queries, applies, is_exempt };
        let compared = compare(
            &inventory,
            &state(&before, &applies(0), &is_exempt(0)),
            &state(&after, &applies(1), &is_exempt(1)),
            |change, evaluation| {
                assert!(matches!(evaluation.result, ComplianceResult::NotCompliant(_)), "seed {seed}");
                let item = (evaluation.query.control.name, key(&evaluation.subject));
                found.entry(change).or_default().push(item);
            },
        );

        let resolved: Found = old.difference(&new).filter(|item| !undecided.contains(item)).cloned().collect();
        let expected = [
            (ViolationChange::New, new.difference(&old).cloned().collect::<Found>()),
            (ViolationChange::Resolved, resolved),
        ];
        for (change, expected) in &expected {
            let listed = found.remove(change).unwrap_or_default();
            assert_eq!(listed.len(), expected.len(), "seed {seed}: {change:?} listed twice or not at all");
            assert_eq!(&listed.into_iter().collect::<Found>(), expected, "seed {seed}: {change:?}");
        }
        let [(_, added), (_, resolved)] = &expected;
        let count = |set: &Found| set.len() as u64;
        let counts = compared.counts;
        assert_eq!(
            counts,
            ViolationCounts {
                new: count(added),
                resolved: count(resolved),
                unchanged: new.intersection(&old).count() as u64,
                undecided: count(&undecided),
                exempt: count(&exempt),
            },
            "seed {seed}"
        );
        for (total, count) in [
            (&mut totals.new, counts.new),
            (&mut totals.resolved, counts.resolved),
            (&mut totals.unchanged, counts.unchanged),
            (&mut totals.undecided, counts.undecided),
            (&mut totals.exempt, counts.exempt),
        ] {
            *total += count;
        }
    }
    let ViolationCounts { new, resolved, unchanged, undecided, exempt } = totals;
    assert!([new, resolved, unchanged, undecided, exempt].iter().all(|total| *total > 1_000), "{totals:?}");
}
