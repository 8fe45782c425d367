//! What is wrong with a change of a template, and not with the template.

use std::collections::BTreeMap;

use super::combined::compared;
use super::rules;
use crate::fault::{Fault, Faults, Source};
use crate::framework::read::{self, Read};
use crate::ids::shown;
use crate::template::{Resolved, Resolver, Template};

/// What would go wrong when stacks of the old template are updated to the new one, with the values that the templates' parameters
/// have. Findings stand in the new template.
#[must_use]
pub fn change(
    (old, old_parameters): (&Template, &BTreeMap<String, String>),
    (new, new_parameters): (&Template, &BTreeMap<String, String>),
) -> Vec<Fault> {
    let old_source = Source::new(old.file(), old.text());
    let new_source = Source::new(new.file(), new.text());
    // What is wrong with either of them is not asked here.
    let old_resolver = Resolver::new(old, old_parameters);
    let before = read::frameworks(&mut Faults::new(&old_source), old, &old_resolver);
    let new_resolver = Resolver::new(new, new_parameters);
    let after = read::frameworks(&mut Faults::new(&new_source), new, &new_resolver);
    let mut faults = Faults::new(&new_source);
    for one in &after {
        let Some(controls) = compared(one) else { continue };
        // Both are there for certain, or wherever the same condition holds.
        let is_certain = |other: &Read<'_>| (one.is_there && other.is_there) || one.condition == other.condition;
        let is_same = |other: &&Read<'_>| is_certain(other) && compared(other).as_ref() == Some(&controls);
        let stays = |other: &Read<'_>| other.framework.logical_id == one.framework.logical_id;
        for other in before.iter().filter(is_same) {
            let (is, was) = (shown(&one.framework.logical_id), shown(&other.framework.logical_id));
            let problem = if stays(other) {
                match (&other.framework.name, &one.framework.name) {
                    (Resolved::Unknown, _) | (_, Resolved::Unknown) => continue,
                    (was, is) if was == is => continue,
                    (was, is) => format!(
                        "the framework `{}` is replaced: its name was {} and is {}",
                        shown(&one.framework.logical_id),
                        named(was),
                        named(is)
                    ),
                }
            } else if before.iter().any(stays) {
                // A framework that is there already takes over controls of another. What CloudFormation does first is not known.
                continue;
            } else {
                format!("the framework `{is}` is created while `{was}`, which has the same controls, is still there")
            };
            let fix = "change a control or parameter too, or do it in two rollouts";
            faults.tell(&rules::SELF_COLLISION, one.id, problem, fix, Vec::new());
        }
    }
    faults.into_vec()
}

fn named(name: &Resolved) -> String {
    match name {
        Resolved::Text(name) => format!("`{}`", shown(name)),
        Resolved::Absent | Resolved::Unknown => "made up by AWS".to_owned(),
    }
}
