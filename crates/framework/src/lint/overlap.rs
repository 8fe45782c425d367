//! Reports uses of a control that evaluate some resources twice: BC028.

use std::collections::{BTreeMap, BTreeSet};

use syntax::diagnostic::{Diagnostics, Position};

use crate::definition::ControlScope;
use crate::definition::read::{ReadControl, ReadFramework};
use crate::rules::controls::OVERLAPPING_SCOPES;

/// The control, its parameters, and a resource type.
type Key<'c> = (&'static str, &'c BTreeMap<String, String>, String);

/// Checks scopes of types, and of one resource whose type is given. Equal scopes are BC022, uses without a scope BC023.
pub(super) fn check(diagnostics: &mut Diagnostics<'_, '_>, framework: &ReadFramework<'_>) {
    let limited = |control: &&ReadControl<'_>| {
        let scope = &control.used.scope;
        control.is_known && scope.tags.is_empty() && !scope.resource_types.is_empty()
    };
    let uses: Vec<(&ReadControl<'_>, ControlScope)> = framework
        .controls
        .iter()
        .filter(limited)
        .map(|control| (control, control.used.scope.clone().sorted()))
        .collect();
    // Indexed, because a comparison of each with each takes the square of their number.
    let mut first: BTreeMap<Key<'_>, (&ControlScope, Position)> = BTreeMap::new();
    let mut report = |control: &ReadControl<'_>, kind: &str, at: Position| {
        let name = control.used.control.name;
        let message = format!("the control `{name}` evaluates `{kind}` here and at {at}");
        let help = format!("remove `{kind}` from one of the two, or use different parameters");
        let node = control.node.get("ControlScope").unwrap_or(control.node);
        diagnostics.report(&OVERLAPPING_SCOPES, node, message, help);
    };
    for (control, scope) in uses.iter().filter(|(_, scope)| scope.resource_ids.is_empty()) {
        let mut reported = BTreeSet::new();
        for kind in &scope.resource_types {
            let key = (control.used.control.name, &control.used.parameters, kind.clone());
            let (other, at) = *first.entry(key).or_insert((scope, control.used.at));
            if other != scope && reported.insert(at) {
                report(control, kind, at);
            }
        }
    }
    for (control, scope) in uses.iter().filter(|(_, scope)| !scope.resource_ids.is_empty()) {
        if let [kind] = scope.resource_types.as_slice()
            && let Some((_, at)) = first.get(&(control.used.control.name, &control.used.parameters, kind.clone()))
        {
            report(control, kind, *at);
        }
    }
}
