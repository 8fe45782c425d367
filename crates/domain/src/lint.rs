//! Is a framework right before it is deployed? Rules with stable ids, each with a level, an explanation and an example.
//!
//! Errors are what AWS refuses, or what leaves a framework without a meaning: `deploy` refuses them too, and nothing suppresses
//! them. Warnings and notes can be suppressed in the template's metadata, with a reason and a last day.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use crate::fault::{Fault, Faults, Position, Source};
use crate::framework::{parameter, read};
use crate::ids::{RegionName, is_opt_in};
use crate::template::{Resolver, Template};

mod around;
mod change;
mod combined;
mod names;
#[cfg(test)]
mod page;
mod rule;
pub(crate) mod rules;
mod suppress;
#[cfg(test)]
mod tests;
mod together;

pub use change::change;
pub use rule::{Example, Level, Rule};
pub use rules::RULES;
pub use together::{Placed, together};

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

/// What is found in a template, and what its suppressions hide.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// What is wrong, from the top of the file to its end.
    pub faults: Vec<Fault>,
    /// What a suppression hides, and the reason that it gives.
    pub suppressed: Vec<(Fault, String)>,
}

/// As [`text`], with what is suppressed.
#[must_use]
pub fn judged(file: &str, text: &str, question: &Question<'_>) -> Judged {
    match Template::read_source(file, text) {
        Ok(template) => judged_template(&template, question),
        Err(faults) => Judged { faults, suppressed: Vec::new() },
    }
}

/// Everything that is wrong with a framework template that can be read, as [`text`].
#[must_use]
pub fn template(template: &Template, question: &Question<'_>) -> Vec<Fault> {
    judged_template(template, question).faults
}

fn judged_template(template: &Template, question: &Question<'_>) -> Judged {
    let source = Source::new(template.file(), template.text());
    let values = if question.is_complete { parameter::Values::All } else { parameter::Values::Some };
    let mut found: Vec<Fault> = Vec::new();
    // What several variants have in common is told once.
    let mut told: BTreeSet<(Option<Position>, Option<&'static str>, String)> = BTreeSet::new();
    for (number, parameters) in question.variants.iter().enumerate() {
        let mut faults = Faults::new(&source);
        if number == 0 {
            names::check(&mut faults, template);
        }
        parameter::check(&mut faults, template, parameters, values);
        template.refuse_aliases(&mut faults);
        let resolver = Resolver::new(template, parameters);
        let frameworks = read::frameworks(&mut faults, template, &resolver);
        judge(&mut faults, template, &resolver, &frameworks);
        let mut unseen: BTreeMap<Position, &str> = unseen(&frameworks).collect();
        let elsewhere =
            if question.is_complete { Elsewhere::default() } else { elsewhere(&source, template, &resolver) };
        if elsewhere.is_somewhere {
            // What one of the ways makes known has been judged there.
            unseen.retain(|at, _| elsewhere.unseen.contains(at));
        }
        for (at, what) in unseen {
            let fix = "look at what is deployed, or write it here";
            faults.tell(&rules::UNSEEN, at, format!("{what} is known only at deployment"), fix, Vec::new());
        }
        let all = faults.into_vec().into_iter().chain(elsewhere.faults);
        found.extend(all.filter(|fault| told.insert((fault.at, fault.rule, fault.problem.clone()))));
    }
    let suppressed = suppress::apply(template, question.today, &mut found);
    found.sort_by_key(|fault| fault.at);
    Judged { faults: found, suppressed }
}

/// The parts of frameworks that nobody knows. A framework whose condition is undecided is judged as if it were there.
fn unseen<'f>(frameworks: &'f [read::Read<'_>]) -> impl Iterator<Item = (Position, &'f str)> {
    let of = |read: &'f read::Read<'_>| read.framework.unknown.iter().skip(usize::from(!read.is_there));
    frameworks.iter().flat_map(of).map(|unseen| (unseen.at, unseen.what.as_str()))
}

/// What there is in the ways in which conditions may turn out.
#[derive(Default)]
struct Elsewhere {
    is_somewhere: bool,
    faults: Vec<Fault>,
    /// Where parts stand that are not known in some way.
    unseen: BTreeSet<Position>,
}

/// What is wrong with the frameworks in each way in which conditions may turn out that nobody can decide yet: every branch of a
/// template must be right. That nothing is left in some way is no fault: the template may never be deployed so.
fn elsewhere<'t>(source: &Source<'_>, template: &'t Template, resolver: &Resolver<'t>) -> Elsewhere {
    const NOT_HERE: &[&Rule] = &[&rules::NO_CONTROLS, &rules::NO_FRAMEWORK];
    let bodies = template.resources().filter(|(_, kind, _)| *kind == read::TYPE).map(|(_, _, body)| body);
    let mut all = Elsewhere::default();
    for world in resolver.worlds(bodies) {
        all.is_somewhere = true;
        let mut faults = Faults::new(source);
        let frameworks = read::frameworks(&mut faults, template, &resolver.within(world));
        combined::check(&mut faults, &frameworks);
        let is_meant = |fault: &Fault| NOT_HERE.iter().all(|rule| fault.rule != Some(rule.id));
        all.faults.extend(faults.into_vec().into_iter().filter(is_meant));
        all.unseen.extend(unseen(&frameworks).map(|(at, _)| at));
    }
    all
}

/// Notes the names that stand for nothing, which no value changes.
pub(crate) fn names(faults: &mut Faults<'_, '_>, template: &Template) {
    names::check(faults, template);
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
    let problem = format!("the framework goes to Regions without Audit Manager: {}", quoted(&missing));
    let fix = "take them out of its targets; if AWS has opened them since, pass this over";
    faults.tell(&rules::REGION, at, problem, fix, Vec::new());
    faults.into_vec().pop()
}

/// Warns of the opt-in Regions of a policy that its targets with self-managed permissions name: the administration role must trust
/// CloudFormation in each. `file` and `text` are those of the policy file, `targets` the Regions with the position of their framework.
#[must_use]
pub fn opt_in_regions<'r>(
    file: &str,
    text: &str,
    targets: impl IntoIterator<Item = (Position, &'r RegionName)>,
) -> Option<Fault> {
    let targets = targets.into_iter().map(|(at, region)| (at, region.as_str()));
    let opt_in: Vec<(Position, &str)> = targets.filter(|(_, region)| is_opt_in(region)).collect();
    let at = opt_in.iter().map(|(at, _)| *at).min()?;
    // The value replaces the one of an earlier deployment, so it has the Regions of all frameworks.
    let regions: BTreeSet<&str> = opt_in.into_iter().map(|(_, region)| region).collect();
    let source = Source::new(file, text);
    let mut faults = Faults::new(&source);
    let problem =
        format!("StackSets reaches opt-in Regions only if its administration role trusts them: {}", quoted(&regions));
    let value = regions.into_iter().collect::<Vec<_>>().join(",");
    let fix = format!(
        "deploy `framework/prerequisites/administration-role.yaml` with `OptInRegions={value}`, and enable the Regions in the \
         application's account and in the target accounts; if that is done, pass this over"
    );
    faults.tell(&rules::OPT_IN_REGION, at, problem, fix, Vec::new());
    faults.into_vec().pop()
}

/// "`a`, `b`"
fn quoted(names: &BTreeSet<&str>) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
