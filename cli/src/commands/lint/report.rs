//! Checks the inputs and collects the findings.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use jiff::civil::Date;
use serde_json::{Value, json};

use app::deploy::DesiredPolicy;
use domain::policy::Policy;
use domain::rollout::{DesiredInstance as WantedInstance, Instance, Parameters};
use framework::ids::{AccountId, RegionName};
use framework::lint::{self, Level, LintContext, LintResult};
use framework::{EquivalentLocations, Framework};
use syntax::diagnostic::{Diagnostic, Position};
use syntax::template::Template;

use super::LintArgs;
use crate::findings::{generated, machine};
use crate::input::{self, STANDARD_INPUT};
use crate::repository::{self, EVENT_BUS, EVENT_BUS_PARAMETER};
use crate::templates;

/// The number of checked inputs, for the summary.
#[derive(Debug, Default)]
pub(super) struct CheckedInputs {
    pub(super) policies: usize,
    pub(super) templates: usize,
    pub(super) frameworks: usize,
    pub(super) controls: usize,
    pub(super) instances: usize,
    /// Files that are not UTF-8 or too large.
    pub(super) unreadable: usize,
}

#[derive(Debug, Default)]
pub(super) struct LintReport {
    pub(super) findings: Vec<Diagnostic>,
    pub(super) checked: CheckedInputs,
    /// The texts of the files by their names in findings.
    pub(super) files: BTreeMap<String, String>,
    /// Messages about generated files, which `--fix` does not change.
    pub(super) generated: Vec<String>,
    reported: BTreeSet<(String, Option<&'static str>)>,
    /// The suppressed findings, each with the reason.
    pub(super) suppressed: Vec<(Diagnostic, String)>,
}

impl LintReport {
    /// Checks the inputs. A template in `texts` is not read again, because standard input and pipes cannot be.
    pub(super) fn new(args: &LintArgs, today: Date, texts: &BTreeMap<String, String>) -> anyhow::Result<Self> {
        let mut report = Self::default();
        let given: Parameters = args.parameter.iter().cloned().collect();
        let mut templates = Vec::new();
        let mut known = BTreeSet::new();
        // A file is checked once, even if a link names it again.
        for path in args.paths.iter().filter(|path| known.insert(templates::identity(path))) {
            let is_stdin = path == Path::new("-");
            let file = if is_stdin { STANDARD_INPUT.to_owned() } else { name(path) };
            let text = match texts.get(&file) {
                _ if path.is_dir() => None,
                Some(text) => Some(Ok(text.clone())),
                None => Some(input::template(path)?),
            };
            match text {
                Some(Ok(text)) if is_stdin || Template::is_intended(&text) => {
                    report.template(&file, &text, &given, today);
                    templates.push((file, text));
                }
                None | Some(Ok(_)) => report.policy(path, args.root.as_deref(), today, texts)?,
                Some(Err(diagnostic)) => {
                    report.checked.unreadable += 1;
                    report.add(Diagnostic { file, ..diagnostic });
                }
            }
        }
        if let Some(base) = &args.base {
            let [(name, text)] = templates.as_slice() else {
                bail!("`--base` requires exactly one framework template");
            };
            report.update(base, name, text, &given)?;
        }
        report.findings.sort_by(|a, b| (&a.file, a.at).cmp(&(&b.file, b.at)));
        report.generated = generated::drop_edits(&mut report.findings, &report.files);
        Ok(report)
    }

    /// Checks a policy.
    pub(super) fn of_policy(path: &Path, root: Option<&Path>, today: Date) -> anyhow::Result<Self> {
        let mut report = Self::default();
        report.policy(path, root, today, &BTreeMap::new())?;
        report.findings.sort_by(|a, b| (&a.file, a.at).cmp(&(&b.file, b.at)));
        Ok(report)
    }

    fn add(&mut self, diagnostic: Diagnostic) {
        // Several policies may use a template.
        if self.reported.insert((diagnostic.to_string(), diagnostic.rule)) {
            self.findings.push(diagnostic);
        }
    }

    fn add_all(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        diagnostics.into_iter().for_each(|diagnostic| self.add(diagnostic));
    }

    fn add_judged(&mut self, judged: LintResult) {
        self.add_all(judged.diagnostics);
        for (diagnostic, reason) in judged.suppressed {
            if self.reported.insert((diagnostic.to_string(), diagnostic.rule)) {
                self.suppressed.push((diagnostic, reason));
            }
        }
    }

    fn template(&mut self, name: &str, text: &str, given: &Parameters, today: Date) {
        self.checked.templates += 1;
        self.files.insert(name.to_owned(), text.to_owned());
        let context = LintContext { variants: std::slice::from_ref(given), is_complete: false, today };
        self.add_judged(lint::check_with_suppressions(name, text, &context));
        if let Ok(frameworks) = Template::read(name, text).and_then(|template| {
            // The deployment gives missing values.
            let mut given = given.clone();
            for (parameter, default) in template.parameters() {
                if default.is_none() {
                    given.entry(parameter.clone()).or_default();
                }
            }
            Framework::read_all(&template, &given)
        }) {
            self.checked.frameworks += frameworks.len();
            self.checked.controls += frameworks.iter().map(|framework| framework.controls.len()).sum::<usize>();
        }
    }

    /// Checks a policy and its templates with the values of the policy.
    fn policy(
        &mut self,
        path: &Path,
        root: Option<&Path>,
        today: Date,
        texts: &BTreeMap<String, String>,
    ) -> anyhow::Result<()> {
        let repository::PolicyFiles { desired: wanted, file, templates } =
            repository::read_policy_with(path, root, texts)?;
        self.checked.policies += 1;
        self.files.insert(file.0.clone(), file.1.clone());
        self.files.extend(templates.clone());
        match wanted {
            Ok(wanted) => {
                for framework in &wanted.frameworks {
                    // A parameter may exclude a control for some targets.
                    let controls = framework.published.variants.iter().flat_map(|variant| variant.controls.keys());
                    self.checked.frameworks += 1;
                    self.checked.controls += controls.collect::<BTreeSet<_>>().len();
                    self.checked.instances += framework.desired.instances.len();
                }
                let warnings = wanted.warnings(today).into_iter();
                self.add_all(warnings.map(|diagnostic| Diagnostic { level: Level::Warning, ..diagnostic }));
                // Frameworks for organizational units have no instances here.
                let targets = wanted.frameworks.iter().map(|framework| {
                    let regions = framework.desired.instances.keys().map(|instance| &instance.region);
                    (framework.at, true, regions.collect())
                });
                self.region_warnings(&file, &targets.collect::<Vec<_>>());
                for (name, text) in &templates {
                    let variants = variants(&wanted, text);
                    let question = LintContext { variants: &variants, is_complete: true, today };
                    self.add_judged(lint::check_with_suppressions(name, text, &question));
                }
            }
            Err(diagnostics) => {
                self.add_all(diagnostics);
                // The policy file alone may be valid.
                if let Ok(policy) = Policy::read(&file.0, &file.1) {
                    let targets = policy.frameworks.iter().map(|framework| {
                        let regions = framework.targets.iter().flat_map(|target| &target.regions);
                        (framework.at, !framework.is_service_managed(), regions.collect())
                    });
                    self.region_warnings(&file, &targets.collect::<Vec<_>>());
                }
                // Warnings and notes that do not depend on the policy.
                for (name, text) in &templates {
                    let variants = [filled_in(text)];
                    let question = LintContext { variants: &variants, is_complete: false, today };
                    let others = lint::check_text(name, text, &question).into_iter();
                    self.add_all(others.filter(|diagnostic| diagnostic.level != Level::Error));
                }
            }
        }
        Ok(())
    }

    /// Adds the warnings about the Regions of frameworks, each with its position and whether StackSets permissions are self-managed.
    fn region_warnings(&mut self, (file, text): &(String, String), targets: &[(Position, bool, Vec<&RegionName>)]) {
        for (at, _, regions) in targets {
            self.add_all(lint::unsupported_regions(file, text, *at, regions.iter().copied()));
        }
        let opt_in = targets.iter().filter(|(_, is_self_managed, _)| *is_self_managed);
        let opt_in = opt_in.flat_map(|(at, _, regions)| regions.iter().map(|region| (*at, *region)));
        self.add_all(lint::opt_in_regions(file, text, opt_in));
    }

    fn update(&mut self, base: &Path, name: &str, text: &str, given: &Parameters) -> anyhow::Result<()> {
        let old = input::template(base)?.map_err(|diagnostic| anyhow!("{diagnostic}"))?;
        let base = base.display().to_string();
        let Ok(old) = Template::read_source(&base, &old) else {
            bail!("`{base}` is not a valid template; see `lint {base}`");
        };
        // An invalid new template was reported already.
        if let Ok(new) = Template::read_source(name, text) {
            self.add_all(lint::check_update((&old, given), (&new, given)));
        }
        Ok(())
    }

    pub(super) fn suppressed_json(&self) -> Value {
        let one = |(diagnostic, reason): &(Diagnostic, String)| {
            let mut diagnostic = json!(diagnostic);
            machine::set(&mut diagnostic, "reason", reason.as_str().into());
            diagnostic
        };
        self.suppressed.iter().map(one).collect()
    }
}

/// Returns the path as displayed in findings.
fn name(path: &Path) -> String {
    let path: PathBuf = path.components().collect();
    path.display().to_string()
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
                let is_in = |(instance, wanted): (&Instance, &WantedInstance)| {
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
    let bus = (EVENT_BUS_PARAMETER.to_owned(), EVENT_BUS.to_owned());
    is_declared.then_some(bus).into_iter().collect()
}
