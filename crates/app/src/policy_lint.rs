//! Lints a policy and its templates with the values of the policy.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use domain::policy::Policy;
use domain::rollout::{DesiredInstance, Instance, Parameters};
use framework::EquivalentLocations;
use framework::ids::{AccountId, RegionName};
use framework::lint::{self, Level, LintContext, LintResult};
use syntax::diagnostic::{Diagnostic, Position};
use syntax::template::Template;

use crate::deploy::{DesiredPolicy, EVENT_BUS_PARAMETER, PolicyFiles, UNKNOWN_EVENT_BUS};

/// Returns the diagnostics of a policy and its templates on a day (UTC), each once.
pub fn lint_policy(files: &PolicyFiles, today: Date) -> LintResult {
    let mut result = LintResult::default();
    let text = files.text.as_deref().unwrap_or_default();
    let regions = RegionLint { file: &files.path, text };
    match &files.desired {
        Ok(wanted) => {
            let warnings = wanted.warnings(today).into_iter();
            result.diagnostics.extend(warnings.map(|found| Diagnostic { level: Level::Warning, ..found }));
            // Frameworks for organizational units have no instances here.
            let targets = wanted.frameworks.iter().map(|framework| {
                let regions = framework.desired.instances.keys().map(|instance| &instance.region);
                (framework.at, true, regions.collect())
            });
            result.diagnostics.extend(regions.warnings(&targets.collect::<Vec<_>>()));
            for (name, text) in &files.templates {
                let variants = variants(wanted, text);
                let context = LintContext { variants: &variants, is_complete: true, today };
                let of_template = lint::check_with_suppressions(name, text, &context);
                result.diagnostics.extend(of_template.diagnostics);
                result.suppressed.extend(of_template.suppressed);
            }
        }
        Err(diagnostics) => {
            result.diagnostics.extend(diagnostics.iter().cloned());
            // The policy file alone may be valid.
            if let Ok(policy) = Policy::read(&files.path, text) {
                let targets = policy.frameworks.iter().map(|framework| {
                    let regions = framework.targets.iter().flat_map(|target| &target.regions);
                    (framework.at, !framework.is_service_managed(), regions.collect())
                });
                result.diagnostics.extend(regions.warnings(&targets.collect::<Vec<_>>()));
            }
            // Warnings and notes that do not depend on the policy.
            for (name, text) in &files.templates {
                let variants = [filled_in(text)];
                let context = LintContext { variants: &variants, is_complete: false, today };
                let others = lint::check_text(name, text, &context).into_iter();
                result.diagnostics.extend(others.filter(|found| found.level != Level::Error));
            }
        }
    }
    let mut reported = BTreeSet::new();
    result.diagnostics.retain(|found| reported.insert((found.to_string(), found.rule)));
    result.suppressed.retain(|(found, _)| reported.insert((found.to_string(), found.rule)));
    result
}

/// The policy file, for warnings about the Regions of its frameworks.
struct RegionLint<'a> {
    file: &'a str,
    text: &'a str,
}

impl RegionLint<'_> {
    /// Returns the warnings for targets, each with its position and whether StackSets permissions are self-managed.
    fn warnings(&self, targets: &[(Position, bool, Vec<&RegionName>)]) -> Vec<Diagnostic> {
        let unsupported = targets
            .iter()
            .flat_map(|(at, _, regions)| lint::unsupported_regions(self.file, self.text, *at, regions.iter().copied()));
        let opt_in = targets.iter().filter(|(_, is_self_managed, _)| *is_self_managed);
        let opt_in = opt_in.flat_map(|(at, _, regions)| regions.iter().map(|region| (*at, *region)));
        unsupported.chain(lint::opt_in_regions(self.file, self.text, opt_in)).collect()
    }
}

/// Returns the parameter values of a policy for a template, for each group of locations with the same frameworks.
fn variants(wanted: &DesiredPolicy, text: &str) -> Vec<Parameters> {
    let Ok(template) = Template::read_source("", text) else { return vec![Parameters::new()] };
    let mut sets: BTreeSet<Parameters> = BTreeSet::new();
    for framework in wanted.frameworks.iter().filter(|framework| framework.desired.template == text) {
        let desired = &framework.desired;
        // Many instances share few overrides.
        let mut locations: BTreeMap<&Parameters, (BTreeSet<AccountId>, BTreeSet<RegionName>)> = BTreeMap::new();
        for (instance, wanted) in &desired.instances {
            let (accounts, regions) = locations.entry(&*wanted.overrides).or_default();
            accounts.insert(instance.account.clone());
            regions.insert(instance.region.clone());
        }
        for target in desired.permissions.service_managed().into_iter().flat_map(|service| &service.targets) {
            locations.entry(&target.overrides).or_default().1.extend(target.regions.iter().cloned());
        }
        for (overrides, (accounts, regions)) in locations {
            for group in EquivalentLocations::of(&template, &accounts, &regions, false) {
                let is_in = |(instance, wanted): (&Instance, &DesiredInstance)| {
                    *wanted.overrides == *overrides
                        && group.accounts.contains(&instance.account)
                        && group.regions.contains(&instance.region)
                };
                if !group.accounts.is_empty() && !desired.instances.iter().any(is_in) {
                    continue;
                }
                let mut parameters = desired.parameters.clone();
                parameters.extend(overrides.clone());
                parameters.extend(group.pseudo);
                sets.insert(parameters);
            }
        }
    }
    sets.into_iter().collect()
}

/// Returns the values that every deployment gives.
fn filled_in(text: &str) -> Parameters {
    let is_declared = Template::read_source("", text).is_ok_and(|template| template.declares(EVENT_BUS_PARAMETER));
    let bus = (EVENT_BUS_PARAMETER.to_owned(), UNKNOWN_EVENT_BUS.to_owned());
    is_declared.then_some(bus).into_iter().collect()
}
