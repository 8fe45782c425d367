//! What is looked at and what is found in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use app::deploy::Wanted;
use domain::fault::Fault;
use domain::framework::Framework;
use domain::ids::{AccountId, RegionName};
use domain::lint::{self, Judged, Level, Question};
use domain::policy::Policy;
use domain::rollout::{Instance, Wanted as WantedInstance};
use domain::template::Template;
use jiff::civil::Date;
use serde_json::Value;

use super::Args;
use crate::Verdict;
use crate::findings::{self, Finding, generated, machine};
use crate::input::{self, STANDARD_INPUT};
use crate::repository::{self, EVENT_BUS, EVENT_BUS_PARAMETER};
use crate::templates;

type Parameters = BTreeMap<String, String>;

/// What was looked at, for the last line.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) policies: usize,
    pub(super) templates: usize,
    pub(super) frameworks: usize,
    pub(super) controls: usize,
    pub(super) instances: usize,
    /// Files that are not text, or too large to be read.
    pub(super) unreadable: usize,
}

/// Everything that was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) findings: Vec<Finding>,
    pub(super) seen: Seen,
    /// The files by their names in findings, and their texts.
    pub(super) files: BTreeMap<String, String>,
    /// Messages about generated files, which are not changed.
    pub(super) generated: Vec<String>,
    told: BTreeSet<(String, Option<&'static str>)>,
    /// What suppressions hide, each with its reason.
    pub(super) suppressed: Vec<(Finding, String)>,
}

impl Found {
    /// Checks everything that is named. Templates that are in `read` are not read again: standard input and pipes cannot be.
    pub(super) fn of(args: &Args, today: Date, read: &BTreeMap<String, String>) -> anyhow::Result<Self> {
        let mut found = Self::default();
        let given: Parameters = args.parameter.iter().cloned().collect();
        let mut templates = Vec::new();
        let mut known = BTreeSet::new();
        // A file that is named twice, be it through a link, is checked once.
        for path in args.paths.iter().filter(|path| known.insert(templates::identity(path))) {
            match input(path, read)? {
                Input::Template(name, text) => {
                    found.template(&name, &text, &given, today);
                    templates.push((name, text));
                }
                Input::Policy => found.policy(path, args.root.as_deref(), today)?,
                Input::Faulty(fault) => {
                    found.seen.unreadable += 1;
                    found.add(Level::Error, fault);
                }
            }
        }
        if let Some(was) = &args.was {
            let [(name, text)] = templates.as_slice() else {
                bail!("`--was` goes with exactly one framework template");
            };
            found.change(was, name, text, &given)?;
        }
        found.findings.sort_by(|a, b| (&a.fault.file, a.fault.at).cmp(&(&b.fault.file, b.fault.at)));
        found.generated = generated::keep(&mut found.findings, &found.files);
        Ok(found)
    }

    fn add(&mut self, level: Level, fault: Fault) {
        // A template that several policies use has its faults once.
        if self.told.insert((fault.to_string(), fault.rule)) {
            self.findings.push(Finding { level, fault });
        }
    }

    fn add_all(&mut self, faults: Vec<Fault>) {
        for fault in faults {
            self.add(fault.level(), fault);
        }
    }

    fn add_judged(&mut self, judged: Judged) {
        self.add_all(judged.faults);
        for (fault, reason) in judged.suppressed {
            if self.told.insert((fault.to_string(), fault.rule)) {
                self.suppressed.push((Finding { level: fault.level(), fault }, reason));
            }
        }
    }

    /// A framework template on its own.
    fn template(&mut self, name: &str, text: &str, given: &Parameters, today: Date) {
        self.seen.templates += 1;
        self.files.insert(name.to_owned(), text.to_owned());
        let variants = std::slice::from_ref(given);
        self.add_judged(lint::judged(name, text, &Question { variants, is_complete: false, today }));
        if let Ok(frameworks) = Template::read(name, text).and_then(|template| {
            // Whoever deploys it gives what is missing here.
            let mut given = given.clone();
            for (parameter, default) in template.parameters() {
                if default.is_none() {
                    given.entry(parameter.clone()).or_default();
                }
            }
            Framework::read_all(&template, &given)
        }) {
            self.seen.frameworks += frameworks.len();
            self.seen.controls += frameworks.iter().map(|framework| framework.controls.len()).sum::<usize>();
        }
    }

    /// A policy and its templates, with the values that it gives them.
    fn policy(&mut self, path: &Path, root: Option<&Path>, today: Date) -> anyhow::Result<()> {
        let repository::Read { wanted, file, templates } = repository::read_policy(path, root)?;
        let (policy_file, policy_text) = file;
        self.seen.policies += 1;
        self.files.insert(policy_file.clone(), policy_text.clone());
        self.files.extend(templates.clone());
        match wanted {
            Ok(wanted) => {
                self.seen.add(&wanted);
                for warning in wanted.warnings(today) {
                    self.add(Level::Warning, warning);
                }
                for framework in &wanted.frameworks {
                    let regions = framework.desired.instances.keys().map(|instance| &instance.region);
                    if let Some(warning) = lint::regions(&policy_file, &policy_text, framework.at, regions) {
                        self.add(Level::Warning, warning);
                    }
                }
                // Frameworks for organizational units have no instances here.
                let targets = wanted.frameworks.iter().flat_map(|framework| {
                    framework.desired.instances.keys().map(|instance| (framework.at, &instance.region))
                });
                if let Some(warning) = lint::opt_in_regions(&policy_file, &policy_text, targets) {
                    self.add(Level::Warning, warning);
                }
                for (name, text) in &templates {
                    let variants = variants(&wanted, text);
                    let question = Question { variants: &variants, is_complete: true, today };
                    self.add_judged(lint::judged(name, text, &question));
                }
            }
            Err(faults) => {
                self.add_all(faults);
                // The policy file may be right by itself.
                if let Ok(policy) = Policy::read(&policy_file, &policy_text) {
                    for framework in &policy.frameworks {
                        let regions = framework.targets.iter().flat_map(|target| &target.regions);
                        if let Some(warning) = lint::regions(&policy_file, &policy_text, framework.at, regions) {
                            self.add(Level::Warning, warning);
                        }
                    }
                    let accounts = policy.frameworks.iter().filter(|framework| !framework.is_service_managed());
                    let targets = accounts.flat_map(|framework| {
                        let targets = framework.targets.iter().flat_map(|target| &target.regions);
                        targets.map(|region| (framework.at, region))
                    });
                    if let Some(warning) = lint::opt_in_regions(&policy_file, &policy_text, targets) {
                        self.add(Level::Warning, warning);
                    }
                }
                // What is wrong beside the errors, as far as it can be told without the policy.
                for (name, text) in &templates {
                    let variants = [filled_in(text)];
                    let question = Question { variants: &variants, is_complete: false, today };
                    let beside = lint::text(name, text, &question).into_iter();
                    self.add_all(beside.filter(|fault| fault.level() != Level::Error).collect());
                }
            }
        }
        Ok(())
    }

    fn change(&mut self, was: &Path, name: &str, text: &str, given: &Parameters) -> anyhow::Result<()> {
        let old = input::template(was)?.map_err(|fault| anyhow!("{fault}"))?;
        let Ok(old) = Template::read_source(&was.display().to_string(), &old) else {
            bail!("`{}` is no template that could be compared with; see `lint {}`", was.display(), was.display());
        };
        // A new template that cannot be read has been told of.
        if let Ok(new) = Template::read_source(name, text) {
            self.add_all(lint::change((&old, given), (&new, given)));
        }
        Ok(())
    }

    /// What is suppressed, for programs.
    pub(super) fn suppressed_json(&self) -> anyhow::Result<Value> {
        let one = |(finding, reason): &(Finding, String)| {
            let mut fault = serde_json::to_value(&finding.fault)?;
            machine::set(&mut fault, "reason", reason.as_str().into());
            Ok(fault)
        };
        self.suppressed.iter().map(one).collect()
    }

    /// How many findings are of a level.
    pub(super) fn count(&self, level: Level) -> usize {
        findings::count(&self.findings, level)
    }

    /// Errors are findings; warnings where people ask for it.
    pub(super) fn verdict(&self, strict: bool) -> Verdict {
        let is_clean = self.count(Level::Error) == 0 && (!strict || self.count(Level::Warning) == 0);
        if is_clean { Verdict::Clean } else { Verdict::Findings }
    }
}

impl Seen {
    fn add(&mut self, wanted: &Wanted) {
        for framework in &wanted.frameworks {
            // A parameter may switch a control off for some targets.
            let names = framework.facts.variants.iter().flat_map(|variant| variant.controls.keys());
            self.frameworks += 1;
            self.controls += names.collect::<BTreeSet<_>>().len();
            self.instances += framework.desired.instances.len();
        }
    }
}

/// What a path of the command line is.
enum Input {
    /// A framework template: its name and its text.
    Template(String, String),
    /// A policy file, or a folder with one.
    Policy,
    /// A file that is neither, since it is not text.
    Faulty(Fault),
}

fn input(path: &Path, read: &BTreeMap<String, String>) -> anyhow::Result<Input> {
    if path.is_dir() {
        return Ok(Input::Policy);
    }
    let is_stdin = path == Path::new("-");
    let file = if is_stdin { STANDARD_INPUT.to_owned() } else { name(path) };
    let known = read.get(&file).cloned();
    Ok(match known.map_or_else(|| input::template(path), |text| Ok(Ok(text)))? {
        Ok(text) if is_stdin || Template::is_meant(&text) => Input::Template(file, text),
        Ok(_) => Input::Policy,
        Err(fault) => Input::Faulty(Fault { file, ..fault }),
    })
}

/// A path as findings have it.
fn name(path: &Path) -> String {
    let path: PathBuf = path.components().collect();
    path.display().to_string()
}

/// The sets of values that a policy gives to a template, in each of the places between which it makes a difference.
fn variants(wanted: &Wanted, text: &str) -> Vec<Parameters> {
    let Ok(template) = Template::read_source("", text) else { return vec![Parameters::new()] };
    let mut sets: BTreeSet<Parameters> = BTreeSet::new();
    for framework in wanted.frameworks.iter().filter(|framework| framework.desired.template == text) {
        let desired = &framework.desired;
        // Many instances share few overrides.
        let mut places: BTreeMap<&Parameters, (BTreeSet<AccountId>, BTreeSet<RegionName>)> = BTreeMap::new();
        for (instance, wanted) in &desired.instances {
            let (accounts, regions) = places.entry(&*wanted.overrides).or_default();
            accounts.insert(instance.account.clone());
            regions.insert(instance.region.clone());
        }
        for target in desired.permissions.service_managed().into_iter().flat_map(|service| &service.targets) {
            places.entry(&target.overrides).or_default().1.extend(target.regions.iter().cloned());
        }
        for (overrides, (accounts, regions)) in places {
            for alike in template.alike(&accounts, &regions, false) {
                let is_in = |(instance, wanted): (&Instance, &WantedInstance)| {
                    *wanted.overrides == *overrides
                        && alike.accounts.contains(&instance.account)
                        && alike.regions.contains(&instance.region)
                };
                if !alike.accounts.is_empty() && !desired.instances.iter().any(is_in) {
                    continue;
                }
                let mut parameters = desired.parameters.clone();
                parameters.extend(overrides.clone());
                parameters.extend(alike.pseudo);
                sets.insert(parameters);
            }
        }
    }
    sets.into_iter().collect()
}

/// The values that a deployment gives whatever the policy says.
fn filled_in(text: &str) -> Parameters {
    let is_declared = Template::read_source("", text).is_ok_and(|template| template.declares(EVENT_BUS_PARAMETER));
    let bus = (EVENT_BUS_PARAMETER.to_owned(), EVENT_BUS.to_owned());
    is_declared.then_some(bus).into_iter().collect()
}
