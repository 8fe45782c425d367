//! Checks of an update from one template to another. The rule is BC026.

use std::collections::BTreeMap;

use syntax::diagnostic::{Diagnostic, Diagnostics, SourceText};
use syntax::template::{Resolved, Resolver, Template};
use syntax::text::printable;

use super::cross_control::known_controls;
use crate::definition::read::{self, ReadFramework};
use crate::rules::controls::SELF_COLLISION;

/// Reports failures of an update of stacks from the old template to the new one, with these values of their parameters. Positions are
/// those in the new template.
pub fn check_update(
    (old, old_parameters): (&Template, &BTreeMap<String, String>),
    (new, new_parameters): (&Template, &BTreeMap<String, String>),
) -> Vec<Diagnostic> {
    let old_source = SourceText::new(old.file(), old.text());
    let new_source = SourceText::new(new.file(), new.text());
    // Diagnostics of either template alone are reported elsewhere.
    let old_resolver = Resolver::new(old, old_parameters);
    let before = read::frameworks(&mut Diagnostics::new(&old_source), old, &old_resolver);
    let new_resolver = Resolver::new(new, new_parameters);
    let after = read::frameworks(&mut Diagnostics::new(&new_source), new, &new_resolver);
    let mut diagnostics = Diagnostics::new(&new_source);
    for one in &after {
        let Some(controls) = known_controls(one) else { continue };
        let id = printable(&one.framework.logical_id);
        // Both certainly exist, or exist under the same condition.
        let coexists = |other: &ReadFramework<'_>| (one.is_there && other.is_there) || one.condition == other.condition;
        let is_equal =
            |other: &&ReadFramework<'_>| coexists(other) && known_controls(other).as_ref() == Some(&controls);
        let is_same = |other: &ReadFramework<'_>| other.framework.logical_id == one.framework.logical_id;
        for other in before.iter().filter(is_equal) {
            let message = if is_same(other) {
                match (&other.framework.name, &one.framework.name) {
                    (Resolved::Unknown, _) | (_, Resolved::Unknown) => continue,
                    (old, new) if old == new => continue,
                    (old, new) => format!(
                        "the framework `{id}` is replaced, because its name changes from {} to {}",
                        described(old),
                        described(new)
                    ),
                }
            } else if before.iter().any(is_same) {
                // An existing framework gets the controls of another. The order of CloudFormation's updates is unknown.
                continue;
            } else {
                let other = printable(&other.framework.logical_id);
                format!("the framework `{id}` is created while `{other}` with the same controls still exists")
            };
            let help = "change a control or parameter too, or use two rollouts";
            diagnostics.report(&SELF_COLLISION, one.id, message, help);
        }
    }
    diagnostics.into_vec()
}

fn described(name: &Resolved) -> String {
    match name {
        Resolved::Text(name) => format!("`{}`", printable(name)),
        Resolved::Absent | Resolved::Unknown => "a generated name".to_owned(),
    }
}
