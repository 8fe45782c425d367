//! Is a framework right before it is deployed? Rules with stable ids, each with a level, an explanation and an example.
//!
//! Errors are what AWS refuses, or what leaves a framework without a meaning: `deploy` refuses them too, and nothing suppresses
//! them. Warnings and notes can be suppressed in the template's metadata, with a reason and a last day.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use crate::fault::{Fault, Faults, Position, Source};
use crate::framework::{parameter, read};
use crate::ids::RegionName;
use crate::template::{Resolver, Template};

mod around;
mod change;
mod combined;
#[cfg(test)]
mod page;
mod rule;
pub(crate) mod rules;
mod suppress;
#[cfg(test)]
mod tests;

pub use change::change;
pub use rule::{Example, Level, Rule};
pub use rules::RULES;

/// The rule of this id.
#[must_use]
pub fn rule(id: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.id == id)
}

/// What is asked of a template.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The sets of values that the template's parameters will have, at least one: a policy may give each target its own.
    pub variants: &'a [BTreeMap<String, String>],
    /// Whether these are all the values that a deployment gives. If not, a parameter without a value is no finding.
    pub is_complete: bool,
    /// The day on which it is asked, for suppressions that end.
    pub today: Date,
}

/// Everything that is wrong with a framework template, errors, warnings and notes, from the top of the file to its end.
/// `file` is what the findings call it.
#[must_use]
pub fn text(file: &str, text: &str, question: &Question<'_>) -> Vec<Fault> {
    match Template::read_source(file, text) {
        Ok(template) => self::template(&template, question),
        Err(faults) => faults,
    }
}

/// Everything that is wrong with a framework template that can be read, as [`text`].
#[must_use]
pub fn template(template: &Template, question: &Question<'_>) -> Vec<Fault> {
    let source = Source::new(template.file(), template.text());
    let values = if question.is_complete { parameter::Values::All } else { parameter::Values::Some };
    let mut found: Vec<Fault> = Vec::new();
    // What several variants have in common is told once.
    let mut told: BTreeSet<(Option<Position>, Option<&'static str>, String)> = BTreeSet::new();
    for parameters in question.variants {
        let mut faults = Faults::new(&source);
        parameter::check(&mut faults, template, parameters, values);
        template.refuse_aliases(&mut faults);
        let resolver = Resolver::new(template, parameters);
        let frameworks = read::frameworks(&mut faults, template, &resolver);
        judge(&mut faults, template, &resolver, &frameworks);
        let new =
            faults.into_vec().into_iter().filter(|fault| told.insert((fault.at, fault.rule, fault.problem.clone())));
        found.extend(new);
    }
    suppress::apply(template, question.today, &mut found);
    found.sort_by_key(|fault| fault.at);
    found
}

/// Notes what is wrong beyond single controls: with how they go together, and with what stands around the frameworks.
pub(crate) fn judge<'t>(
    faults: &mut Faults<'_, '_>,
    template: &'t Template,
    resolver: &Resolver<'t>,
    frameworks: &[read::Read<'t>],
) {
    combined::check(faults, frameworks);
    around::check(faults, template, resolver, frameworks);
}

/// The Regions in which AWS Backup has no Audit Manager ("Backup feature availability", November 2026).
pub const WITHOUT_AUDIT_MANAGER: &[&str] = &[
    "ap-east-2",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eusc-de-east-1",
    "il-central-1",
    "mx-central-1",
];

/// Warns of Regions in which a framework cannot be created. `file` and `text` are those of the policy file, `at` is where it declares
/// the framework.
#[must_use]
pub fn regions<'r>(
    file: &str,
    text: &str,
    at: Position,
    regions: impl IntoIterator<Item = &'r RegionName>,
) -> Option<Fault> {
    let missing: BTreeSet<&str> =
        regions.into_iter().map(RegionName::as_str).filter(|region| WITHOUT_AUDIT_MANAGER.contains(region)).collect();
    if missing.is_empty() {
        return None;
    }
    let source = Source::new(file, text);
    let mut faults = Faults::new(&source);
    let names = missing.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let problem = format!("the framework goes to Regions without Audit Manager: {names}");
    let fix = "take them out of its targets; if AWS has opened them since, pass this over";
    faults.tell(&rules::REGION, at, problem, fix, Vec::new());
    faults.into_vec().pop()
}
