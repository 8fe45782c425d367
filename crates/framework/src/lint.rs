//! Lint: checks frameworks before they are deployed, by rules with stable ids.
//!
//! An error is rejected by AWS or leaves a framework without effect. `deploy` rejects it too, and it cannot be suppressed. Warnings and
//! notes can be suppressed in the template's metadata, with a reason and a last day.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use syntax::diagnostic::{Diagnostic, Diagnostics, Edit, Position, SourceText};
use syntax::template::{Resolver, Template};

use crate::definition::{Framework, parameter, read};
use crate::rules::{
    cloudformation as cloudformation_rules, controls, framework, parameters, plans, scopes, selections,
    template as template_rules, vaults,
};

pub use crate::rules::{Example, LintRule, Snippet};
pub use syntax::diagnostic::Level;

mod allowed_names;
mod backup;
mod cloudformation;
mod cross_control;
mod cross_framework;
mod deployment;
mod environment;
mod overlap;
mod references;
mod regions;
mod suppressions;
#[cfg(test)]
mod tests;
mod update;

pub use backup::{BackupDiagnostics, check_backup, check_backup_resources};
pub use cross_framework::check_policy;
pub use deployment::FrameworkDeployment;
pub use regions::{opt_in_regions, unsupported_regions};
pub use suppressions::remove_suppressed;
pub use update::check_update;

/// Returns every rule, in the order of their ids.
pub fn rules() -> Vec<&'static LintRule> {
    let families = [
        template_rules::FAMILY,
        framework::FAMILY,
        controls::FAMILY,
        parameters::FAMILY,
        scopes::FAMILY,
        plans::FAMILY,
        selections::FAMILY,
        vaults::FAMILY,
        environment::FAMILY,
        cross_control::FAMILY,
        regions::FAMILY,
        suppressions::FAMILY,
        cloudformation_rules::FAMILY,
    ];
    let mut rules = families.concat();
    rules.sort_unstable_by_key(|rule| rule.id);
    rules
}

/// Returns the rule with an id.
pub fn rule(id: &str) -> Option<&'static LintRule> {
    rules().into_iter().find(|rule| rule.id == id)
}

/// The context in which a template is checked.
#[derive(Clone, Copy, Debug)]
pub struct LintContext<'a> {
    /// At least one set of parameter values: a policy may give each target its own.
    pub variants: &'a [BTreeMap<String, String>],
    /// Whether the variants have all values of a deployment. If not, a missing value is not reported.
    pub is_complete: bool,
    /// The current day, on which suppressions may have expired.
    pub today: Date,
}

/// Checks the text of a template and returns the diagnostics in the order of the file. `file` is its name in them.
pub fn check_text(file: &str, text: &str, question: &LintContext<'_>) -> Vec<Diagnostic> {
    check_with_suppressions(file, text, question).diagnostics
}

/// The diagnostics of a template and the suppressed ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LintResult {
    /// The diagnostics in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
    /// The suppressed diagnostics, each with the reason of its suppression.
    pub suppressed: Vec<(Diagnostic, String)>,
}

/// Checks the text of a template, like [`check_text`], and returns the suppressed diagnostics too.
pub fn check_with_suppressions(file: &str, text: &str, question: &LintContext<'_>) -> LintResult {
    match Template::read_source(file, text) {
        Ok(template) => check_template(&template, question),
        Err(diagnostics) => LintResult { diagnostics, suppressed: Vec::new() },
    }
}

fn check_template(template: &Template, question: &LintContext<'_>) -> LintResult {
    let Some(written_out) = template.without_loops() else { return check_written_out(template, question) };
    let mut result = check_written_out(&written_out, question);
    // An edit of the body of a loop would replace its variables.
    let loops = template.loops();
    let is_in_loop = |edit: &Edit| loops.iter().any(|(from, to)| (*from..*to).contains(&edit.from));
    for diagnostic in &mut result.diagnostics {
        if diagnostic.edits.iter().any(is_in_loop) {
            diagnostic.edits.clear();
        }
    }
    result
}

fn check_written_out(template: &Template, question: &LintContext<'_>) -> LintResult {
    let source = SourceText::new(template.file(), template.text());
    let mut found: Vec<Diagnostic> = Vec::new();
    // A diagnostic of several variants is reported once.
    let mut reported: BTreeSet<(Option<Position>, Option<&'static str>, String)> = BTreeSet::new();
    for (number, parameters) in question.variants.iter().enumerate() {
        let mut diagnostics = Diagnostics::new(&source);
        if number == 0 {
            check_whole(&mut diagnostics, template);
            cloudformation::check_values(&mut diagnostics, template);
        }
        parameter::check(&mut diagnostics, template, parameters, question.is_complete);
        template.reject_aliases(&mut diagnostics);
        let resolver = Resolver::new(template, parameters);
        let frameworks = read::frameworks(&mut diagnostics, template, &resolver);
        cross_control::check(&mut diagnostics, &frameworks);
        environment::check(&mut diagnostics, template, &resolver, &frameworks);
        cloudformation::check_lookups(&mut diagnostics, template, &resolver);
        backup::check(&mut diagnostics, template, &resolver);
        let mut unknown: BTreeMap<Position, &str> = unknown_parts(&frameworks).collect();
        let assigned = if question.is_complete { None } else { by_assignment(&source, template, &resolver) };
        if let Some(assigned) = &assigned {
            // A part that some assignment makes known was checked with it.
            unknown.retain(|at, _| assigned.unknown.contains(at));
        }
        for (at, what) in unknown {
            let help = "check the deployed framework, or write the value here";
            diagnostics.report(&template_rules::UNSEEN, at, format!("{what} is known only at deployment"), help);
        }
        if !question.is_complete {
            allowed_names::check(&mut diagnostics, template, parameters);
        }
        // A template that no policy deploys may have plans, selections or vaults alone.
        let needs_framework = question.is_complete || !backup::is_complete_without_framework(template);
        let mut all = diagnostics.into_vec();
        all.retain(|diagnostic| needs_framework || diagnostic.rule != Some(template_rules::NO_FRAMEWORK.id));
        // A list without controls is not reported as one that can be empty.
        let of_rule = |diagnostic: &Diagnostic, rule: &LintRule| diagnostic.rule == Some(rule.id);
        let empty = all.iter().filter(|diagnostic| of_rule(diagnostic, &framework::NO_CONTROLS));
        let empty: BTreeSet<Option<Position>> = empty.map(|diagnostic| diagnostic.at).collect();
        let mut assigned = assigned.map(|assigned| assigned.diagnostics).unwrap_or_default();
        assigned.retain(|one| !of_rule(one, &framework::MAYBE_NO_CONTROLS) || !empty.contains(&one.at));
        all.append(&mut assigned);
        all.retain(|diagnostic| reported.insert((diagnostic.at, diagnostic.rule, diagnostic.message.clone())));
        found.append(&mut all);
    }
    let suppressed = suppressions::apply(template, question.today, &mut found);
    found.sort_by_key(|diagnostic| diagnostic.at);
    LintResult { diagnostics: found, suppressed }
}

/// Returns the unknown parts of frameworks. A framework with an undecided condition is checked as if the condition held.
fn unknown_parts<'f>(frameworks: &'f [read::ReadFramework<'_>]) -> impl Iterator<Item = (Position, &'f str)> {
    let of = |read: &'f read::ReadFramework<'_>| read.framework.unknown.iter().skip(usize::from(!read.is_there));
    frameworks.iter().flat_map(of).map(|unseen| (unseen.at, unseen.what.as_str()))
}

/// The result of checking a template under every assignment of its undecided conditions.
#[derive(Default)]
struct Assigned {
    diagnostics: Vec<Diagnostic>,
    /// The positions of parts that are unknown under some assignment.
    unknown: BTreeSet<Position>,
}

/// Checks the frameworks under every assignment of the undecided conditions: each branch of a template must be valid. Missing frameworks
/// or controls are not reported, because the template may never be deployed with that assignment.
fn by_assignment<'t>(source: &SourceText<'_>, template: &'t Template, resolver: &Resolver<'t>) -> Option<Assigned> {
    const IGNORED: &[&LintRule] = &[&framework::NO_CONTROLS, &template_rules::NO_FRAMEWORK];
    let bodies = template.resources().filter(|(_, kind, _)| *kind == read::TYPE).map(|(_, _, body)| body);
    let mut all = None;
    for assignment in resolver.condition_assignments(bodies) {
        let Assigned { diagnostics: found, unknown } = all.get_or_insert_with(Assigned::default);
        let mut diagnostics = Diagnostics::new(source);
        let frameworks = read::frameworks(&mut diagnostics, template, &resolver.with_assignment(assignment));
        cross_control::check(&mut diagnostics, &frameworks);
        // With `Rules`, a template rejects some combinations of parameters.
        let may_be_empty = |diagnostic: &Diagnostic| {
            diagnostic.rule == Some(framework::NO_CONTROLS.id) && template.root().get("Rules").is_none()
        };
        let all = diagnostics.into_vec();
        let empty = all.iter().filter(|diagnostic| may_be_empty(diagnostic)).find_map(|diagnostic| diagnostic.at);
        if let Some(at) = empty {
            let mut diagnostics = Diagnostics::new(source);
            let message = "the list of controls can be empty: every control depends on a condition";
            let help =
                "keep one control without a condition, or give the framework a `Condition` that excludes it then";
            diagnostics.report(&framework::MAYBE_NO_CONTROLS, at, message, help);
            found.extend(diagnostics.into_vec());
        }
        let is_relevant = |diagnostic: &Diagnostic| IGNORED.iter().all(|rule| diagnostic.rule != Some(rule.id));
        found.extend(all.into_iter().filter(is_relevant));
        unknown.extend(unknown_parts(&frameworks).map(|(at, _)| at));
    }
    all
}

/// Reports errors that do not depend on parameter values.
fn check_whole(diagnostics: &mut Diagnostics<'_, '_>, template: &Template) {
    cloudformation::check(diagnostics, template);
    if references::is_complete(template) {
        references::check(diagnostics, template);
        cloudformation::check_references(diagnostics, template);
    }
}

impl Framework {
    /// Reads every framework of a template with these parameter values. A framework with a false `Condition` is omitted, so the list may
    /// be empty.
    ///
    /// # Errors
    /// Every error of [`check_text`], with these values as all values of the deployment.
    pub fn read_all(template: &Template, parameters: &BTreeMap<String, String>) -> Result<Vec<Self>, Vec<Diagnostic>> {
        let written_out = template.without_loops();
        let template = written_out.as_ref().unwrap_or(template);
        let source = SourceText::new(template.file(), template.text());
        let mut diagnostics = Diagnostics::new(&source);
        parameter::check(&mut diagnostics, template, parameters, true);
        template.reject_aliases(&mut diagnostics);
        let resolver = Resolver::new(template, parameters);
        let found = read::frameworks(&mut diagnostics, template, &resolver);
        check_whole(&mut diagnostics, template);
        cross_control::check(&mut diagnostics, &found);
        environment::check(&mut diagnostics, template, &resolver, &found);
        cloudformation::check_lookups(&mut diagnostics, template, &resolver);
        backup::check(&mut diagnostics, template, &resolver);
        let mut errors = diagnostics.into_vec();
        errors.retain(|diagnostic| diagnostic.level == Level::Error);
        let frameworks = || found.into_iter().map(read::ReadFramework::into_framework).collect();
        if errors.is_empty() { Ok(frameworks()) } else { Err(errors) }
    }
}
