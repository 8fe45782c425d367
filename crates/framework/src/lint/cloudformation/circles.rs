//! Checks for circular dependencies of resources and conditions: BC118.

use std::collections::BTreeMap;

use syntax::diagnostic::{Diagnostics, Position};
use syntax::template::{Template, call};
use syntax::text::printable;
use syntax::yaml::Node;

use super::uses::Use;
use crate::rules::cloudformation::CIRCLE;

pub(super) fn check(diagnostics: &mut Diagnostics<'_, '_>, template: &Template, uses: &[Use<'_>]) {
    let resources = template.root().section("Resources");
    let edges = uses.iter().filter(|used| !used.is_conditional);
    let edges = edges.filter_map(|used| Some((used.by?, used.of, used.node.at)));
    report(diagnostics, "resource", resources, edges);
    let conditions = template.root().section("Conditions");
    report(diagnostics, "condition", conditions, condition_edges(conditions).into_iter());
}

/// Returns the references between conditions: from, to, position.
fn condition_edges(conditions: &[(Node, Node)]) -> Vec<(usize, usize, Position)> {
    let numbers = conditions.iter().enumerate().filter_map(|(number, (key, _))| Some((key.as_str()?, number)));
    let numbers: BTreeMap<&str, usize> = numbers.collect();
    let mut edges = Vec::new();
    for (number, (_, definition)) in conditions.iter().enumerate() {
        let mut left = vec![definition];
        while let Some(node) = left.pop() {
            let named = call(node).filter(|call| call.function == "Condition").and_then(|call| call.text());
            edges.extend(named.and_then(|name| Some((number, *numbers.get(name)?, node.at))));
            left.extend(node.as_sequence().unwrap_or_default());
            left.extend(node.entries().unwrap_or_default().iter().map(|(_, value)| value));
        }
    }
    edges
}

/// Reports each set of names that refer to each other once, and each name that refers to itself.
fn report(
    diagnostics: &mut Diagnostics<'_, '_>,
    kind: &str,
    entries: &[(Node, Node)],
    edges: impl Iterator<Item = (usize, usize, Position)>,
) {
    let mut targets: Vec<Vec<usize>> = vec![Vec::new(); entries.len()];
    let name = |number: usize| printable(entries.get(number).and_then(|(key, _)| key.as_str()).unwrap_or_default());
    for (from, to, at) in edges {
        if from == to {
            let message = format!("circular dependency: the {kind} `{}` refers to itself", name(from));
            diagnostics.report(&CIRCLE, at, message, "remove the reference");
        } else if let Some(of) = targets.get_mut(from) {
            of.push(to);
        }
    }
    for mut component in components(&targets).into_iter().filter(|component| component.len() > 1) {
        const MOST: usize = 10;
        component.sort_unstable();
        let names: Vec<String> = component.iter().take(MOST).map(|number| format!("`{}`", name(*number))).collect();
        let more = if component.len() > MOST { format!(" and {} more", component.len() - MOST) } else { String::new() };
        let message = format!("circular dependency between {kind}s: {}{more}", names.join(", "));
        if let Some((key, _)) = component.first().and_then(|number| entries.get(*number)) {
            diagnostics.report(&CIRCLE, key, message, "remove one of the references between them");
        }
    }
}

/// Returns the strongly connected components of a graph, by the path-based algorithm (Gabow), without recursion.
fn components(targets: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut order: Vec<Option<usize>> = vec![None; targets.len()];
    let mut is_done = vec![false; targets.len()];
    let (mut found, mut open, mut path, mut next) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for root in 0..targets.len() {
        // A node with the number of its targets that were visited.
        let mut stack: Vec<(usize, usize)> = vec![(root, 0)];
        if order.get(root).is_some_and(Option::is_some) {
            continue;
        }
        while let Some((node, visited)) = stack.pop() {
            if visited == 0 {
                if let Some(number) = order.get_mut(node) {
                    *number = Some(next);
                }
                next += 1;
                open.push(node);
                path.push(node);
            }
            let number_of = |node: usize| order.get(node).copied().flatten();
            match targets.get(node).and_then(|targets| targets.get(visited)) {
                Some(target) => {
                    stack.push((node, visited + 1));
                    match number_of(*target) {
                        None => stack.push((*target, 0)),
                        Some(number) if is_done.get(*target) == Some(&false) => {
                            while path.last().is_some_and(|last| number_of(*last) > Some(number)) {
                                path.pop();
                            }
                        }
                        Some(_) => {}
                    }
                }
                None if path.last() == Some(&node) => {
                    path.pop();
                    let start = open.iter().rposition(|other| *other == node).unwrap_or(open.len());
                    let component = open.split_off(start);
                    for node in &component {
                        if let Some(done) = is_done.get_mut(*node) {
                            *done = true;
                        }
                    }
                    found.push(component);
                }
                None => {}
            }
        }
    }
    found
}
