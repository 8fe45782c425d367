//! Checks of the frameworks that a policy deploys, and of those that it deploys to the same accounts and Regions. The rules are BC024,
//! BC025 and BC027; BC062 and BC063 are in `regions`.

use std::collections::{BTreeMap, BTreeSet};

use syntax::diagnostic::{Diagnostic, Diagnostics, SourceText};
use syntax::template::Resolved;
use syntax::text::printable;

use super::{FrameworkDeployment, regions};
use crate::definition::{ControlScope, Framework};
use crate::ids::RegionName;
use crate::rules::{LintRule, controls as rules};

/// Quotas of an account in a Region (AWS Backup developer guide, "AWS Backup quotas").
pub(super) const MAX_CONTROLS: usize = 50;
pub(super) const MAX_FRAMEWORKS: usize = 15;

/// The controls of a framework as Audit Manager compares them, sorted: name, parameters, scope.
pub(super) type Comparable<'f> = Vec<(&'static str, &'f BTreeMap<String, String>, ControlScope)>;

pub(super) fn comparable(framework: &Framework) -> Comparable<'_> {
    let mut controls: Comparable<'_> = framework
        .controls
        .iter()
        .map(|used| (used.control.name, &used.parameters, used.scope.clone().sorted()))
        .collect();
    controls.sort_unstable();
    controls
}

/// Reports frameworks of a policy with equal controls or equal names in an account and Region, exceeded quotas, and controls that evaluate
/// nothing or cannot be met in a target. `file` and `text`
/// are those of the policy file.
pub fn check_policy(file: &str, text: &str, placed: &[FrameworkDeployment]) -> Vec<Diagnostic> {
    let source = SourceText::new(file, text);
    let mut diagnostics = Diagnostics::new(&source);
    let mut by_controls: BTreeMap<Comparable<'_>, Vec<&FrameworkDeployment>> = BTreeMap::new();
    let mut by_name: BTreeMap<&str, Vec<&FrameworkDeployment>> = BTreeMap::new();
    for one in placed {
        for framework in &one.frameworks {
            if framework.is_known && !framework.controls.is_empty() {
                by_controls.entry(comparable(framework)).or_default().push(one);
            }
            // A framework with an undecided condition may not exist.
            if let Resolved::Text(name) = &framework.name
                && framework.unknown.is_empty()
            {
                by_name.entry(name).or_default().push(one);
            }
        }
    }
    for group in by_controls.into_values() {
        collide(&mut diagnostics, &group, &rules::EQUAL_FRAMEWORKS, |first, second, location| {
            let message = format!(
                "the framework `{second}` has the same controls as `{first}`, and both are deployed to {location}"
            );
            (message, "AWS Backup rejects the second: keep one there, or change a control or parameter")
        });
    }
    for (name, group) in by_name {
        collide(&mut diagnostics, &group, &rules::EQUAL_NAMES, |first, second, location| {
            let name = printable(name);
            let message = format!("`{first}` and `{second}` both have a framework `{name}` in {location}");
            (message, "AWS Backup rejects the second: change the `FrameworkName` of one")
        });
    }
    quotas(&mut diagnostics, placed);
    regions::check(&mut diagnostics, placed);
    diagnostics.into_vec()
}

/// Reports each deployment that shares an account and Region with a previous one, once.
fn collide(
    diagnostics: &mut Diagnostics<'_, '_>,
    group: &[&FrameworkDeployment],
    rule: &'static LintRule,
    describe: impl Fn(&str, &str, &str) -> (String, &'static str),
) {
    for (index, second) in group.iter().enumerate() {
        let mut previous = group.iter().take(index).filter(|first| first.name != second.name);
        if let Some((first, location)) = previous.find_map(|first| Some((first, shared_location(first, second)?))) {
            let (message, help) = describe(&printable(&first.name), &printable(&second.name), &location);
            diagnostics.report(rule, second.at, message, help);
        }
    }
}

/// "111111111111 in eu-west-1"
fn shared_location(first: &FrameworkDeployment, second: &FrameworkDeployment) -> Option<String> {
    let account = first.accounts.intersection(&second.accounts).next()?;
    let region = first.regions.intersection(&second.regions).next()?;
    Some(format!("{account} in {region}"))
}

/// Reports exceeded quotas of an account in a Region, over all frameworks of the policy; those of one template are reported there.
fn quotas(diagnostics: &mut Diagnostics<'_, '_>, placed: &[FrameworkDeployment]) {
    let mut sums: BTreeMap<(&str, &RegionName), (usize, usize, BTreeSet<&str>)> = BTreeMap::new();
    let mut reported = BTreeSet::new();
    for one in placed {
        let certain = || one.frameworks.iter().filter(|framework| framework.unknown.is_empty());
        let controls = certain().map(|framework| framework.controls.len()).sum::<usize>();
        let locations = one.accounts.iter().flat_map(|account| one.regions.iter().map(move |region| (account, region)));
        for (account, region) in locations {
            let (all_controls, all_frameworks, names) = sums.entry((account, region)).or_default();
            *all_controls += controls;
            *all_frameworks += certain().count();
            names.insert(&one.name);
            for (number, quota, what) in
                [(*all_controls, MAX_CONTROLS, "controls"), (*all_frameworks, MAX_FRAMEWORKS, "frameworks")]
            {
                if number > quota && names.len() > 1 && reported.insert((one.at, what)) {
                    let names: Vec<String> = names.iter().map(|name| format!("`{}`", printable(name))).collect();
                    let message = format!(
                        "{} have {number} {what} together in {account} in {region}; the quota of an account and Region is {quota}",
                        names.join(", ")
                    );
                    let help = "use fewer, or request a higher quota from AWS for every account";
                    diagnostics.report(&rules::TOO_MANY, one.at, message, help);
                }
            }
        }
    }
}
