//! The findings of `check` for people and machines.

use std::collections::BTreeMap;

use anyhow::{bail, ensure};
use serde_json::{Value, json};

use app::in_force::today;
use app::queries::ControlQueries;
use evaluation::check::{self, CheckReport, ExemptViolation};
use evaluation::inventory::template::{self, CheckedFile, DeploymentTarget, NotJudged, TemplateStack};
use evaluation::inventory::{Inventory, OPT_IN_SERVICES};
use evaluation::{ControlQuery, EvaluationCounts, ViolatingItem, ViolationExemption};
use framework::ids::{AccountId, RegionName};
use framework::lint;
use syntax::diagnostic::{Diagnostic, Level};
use syntax::template::Template;
use syntax::text::closest_match;

use super::files::{CheckInput, OtherFile, StackPlace};
use super::{ALL, CheckArgs};
use crate::commands::evaluate;
use crate::findings::{self, generated, human, machine};
use crate::frameworks::unusable;
use crate::{CommandOutcome, cloud, output, plain};

/// The maximum of findings shown for each level; more are not readable on a terminal.
const MOST_FINDINGS: usize = 100;

#[derive(Default)]
pub(super) struct CheckOutput {
    pub(super) findings: Vec<Diagnostic>,
    rows: Vec<(&'static str, EvaluationCounts)>,
    later: Vec<&'static str>,
    not_judged: Vec<NotJudged>,
    exempt: Vec<ExemptViolation>,
    /// The checked files.
    pub(super) files: BTreeMap<String, String>,
    /// Messages about generated files, which are not changed.
    pub(super) generated: Vec<String>,
}

/// The parts of a check that are the same for every account and Region.
struct CheckRun<'r> {
    args: &'r CheckArgs,
    questions: &'r ControlQueries,
    parameters: &'r BTreeMap<String, String>,
    read: &'r CheckInput,
    templates: BTreeMap<&'r str, Template>,
}

impl CheckOutput {
    pub(super) fn of(
        args: &CheckArgs,
        questions: &ControlQueries,
        parameters: &BTreeMap<String, String>,
        read: &CheckInput,
    ) -> anyhow::Result<Self> {
        let CheckInput { files, others, checked, inventories, skipped, .. } = read;
        let inventory = evaluate::merged(inventories.iter().map(|(name, text)| Ok((name, text))))?;
        // The time only matters for schedules, which are evaluated over a year.
        let mut inventory = Some(inventory.unwrap_or_else(|| Inventory::new(cloud::now())));
        let mut templates = BTreeMap::new();
        for (name, text) in files.iter().filter(|(name, _)| !others.contains_key(name)) {
            templates.insert(name.as_str(), Template::read_source(name, text).map_err(unusable)?);
        }
        reject_unknown(parameters, &templates, questions)?;
        let run = CheckRun { args, questions, parameters, read, templates };
        let mut places: Vec<StackPlace> = Vec::new();
        for (name, _) in files.iter().take(*checked) {
            let place = read.place(args, name);
            if !places.contains(&place) {
                places.push(place);
            }
        }
        let mut output = Self::default();
        let mut is_asked = false;
        for (index, place) in places.iter().enumerate() {
            let is_last = index + 1 == places.len();
            // A large inventory is copied only if several places need it.
            let own = if is_last { inventory.take() } else { inventory.clone() };
            let own = own.unwrap_or_else(|| Inventory::new(cloud::now()));
            is_asked |= run.at(place, own, &mut output)?;
        }
        if !is_asked {
            bail!("`{}` has no framework in the account and Region of the deployment", args.framework.display());
        }
        let skipped = skipped.iter().map(warning);
        // At the end, because findings about resources matter more when there are too many to show.
        output.findings.extend(skipped);
        output.files = files.iter().take(*checked).filter(|(name, _)| !others.contains_key(name)).cloned().collect();
        output.generated = generated::drop_edits(&mut output.findings, &output.files);
        Ok(output)
    }

    /// Adds the result of a place.
    fn add(&mut self, unknown: &[&Diagnostic], report: CheckReport) {
        let CheckReport { findings, rows, later, not_judged, exempt } = report;
        let findings = findings.into_iter().map(|found| Diagnostic { level: found.level, ..found.diagnostic });
        for finding in unknown.iter().map(|diagnostic| warning(diagnostic)).chain(findings) {
            // What concerns a file with plans is the same for every place.
            if !self.findings.contains(&finding) {
                self.findings.push(finding);
            }
        }
        for (control, counts) in rows {
            match self.rows.iter_mut().find(|(name, _)| *name == control.name) {
                Some((_, known)) => {
                    known.compliant += counts.compliant;
                    known.not_compliant += counts.not_compliant;
                    known.undecided += counts.undecided;
                    known.exempt += counts.exempt;
                }
                None => self.rows.push((control.name, counts)),
            }
        }
        for control in later.into_iter().filter(|control| !self.later.contains(&control.name)).collect::<Vec<_>>() {
            self.later.push(control.name);
        }
        for NotJudged { kind, reason, resources } in not_judged {
            match self.not_judged.iter_mut().find(|own| own.kind == kind && own.reason == reason) {
                Some(known) => known.resources.extend(resources),
                None => self.not_judged.push(NotJudged { kind, reason, resources }),
            }
        }
        self.exempt.extend(exempt);
    }

    pub(super) fn show(&self) -> anyhow::Result<()> {
        for level in Level::ALL.into_iter().rev() {
            let of_level = || self.findings.iter().filter(|finding| finding.level == level);
            for finding in of_level().take(MOST_FINDINGS) {
                human::print_finding(finding)?;
            }
            if let more @ 1.. = of_level().count().saturating_sub(MOST_FINDINGS) {
                let more = plain::count(more, &format!("more {}", level.as_str()));
                output::line(&format!("and {more}, not shown; --format json shows all\n"))?;
            }
        }
        if self.rows.is_empty() {
            output::line(if findings::count(&self.findings, Level::Error) > 0 {
                "The framework evaluates no resource of the templates; AWS Backup rejects the parts with errors.\n"
            } else if !self.findings.iter().any(is_undecided) {
                "The framework evaluates no resource of the templates.\n"
            } else {
                "Nothing was evaluated: parts that only a deployment resolves may add resources.\n"
            })?;
        }
        output::text(&evaluate::by_control(&self.rows, output::terminal_width()))?;
        for ExemptViolation { control, subject, file, at, exemption } in &self.exempt {
            let at = format!("{}:{}:{}", plain::escaped(file), at.line, at.column);
            let ViolationExemption { until, reason } = exemption;
            let reason = plain::escaped(reason);
            output::line(&format!("{at}: exempt until {until}: {subject}, {} ({reason})", control.name))?;
        }
        for NotJudged { kind, reason, .. } in &self.not_judged {
            output::line(&format!("not judged: `{}` ({reason})", plain::escaped(kind)))?;
        }
        if !self.later.is_empty() {
            let later = self.later.join(", ");
            output::line(&format!("Not evaluated, because only backups and restores decide: {later}; see `evaluate`"))?;
        }
        let changes = self.findings.iter().filter(|finding| !finding.edits.is_empty()).count();
        if changes > 0 {
            output::line(&format!("{} can be fixed with --fix", plain::count(changes, "finding")))?;
        }
        Ok(())
    }

    pub(super) fn json(&self) -> Value {
        let mut json = machine::json(&self.findings);
        let rows = self.rows.iter().map(|(control, counts)| evaluate::counts(None, control, counts));
        machine::set(&mut json, "summary", rows.collect());
        machine::set(&mut json, "notEvaluated", json!(self.later));
        let not_judged = self.not_judged.iter();
        let not_judged =
            not_judged.map(|own| json!({"type": own.kind, "reason": own.reason, "resources": own.resources}));
        machine::set(&mut json, "notJudged", not_judged.collect());
        let exempt = self.exempt.iter().map(|own| {
            let ExemptViolation { control, subject, file, at, exemption: ViolationExemption { until, reason } } = own;
            json!({
                "control": control.name,
                "subject": subject,
                "file": file,
                "line": at.line,
                "until": until,
                "reason": reason,
            })
        });
        machine::set(&mut json, "exempt", exempt.collect());
        json
    }

    pub(super) fn verdict(&self, strict: bool) -> CommandOutcome {
        let undecided = findings::count(&self.findings, Level::Warning);
        if undecided > 0 {
            let warnings = plain::count(undecided, "warning");
            let more = if strict { "" } else { "; --strict makes it a finding" };
            let what = if self.findings.iter().any(is_undecided) { ": some results are undecided" } else { "" };
            output::hint(&format!("{warnings}{what}{more}"));
        }
        findings::verdict(&self.findings, strict)
    }
}

/// Returns whether a deployment decides a finding: a result, or an unknown part of the framework, which is a note of lint.
fn is_undecided(finding: &Diagnostic) -> bool {
    let is_decided = |id| lint::rule(id).is_some_and(|rule| rule.level != Level::Note);
    finding.level == Level::Warning && !finding.rule.is_some_and(is_decided)
}

impl CheckRun<'_> {
    /// Adds the result of the stacks in an account and Region, and returns whether a framework applies there.
    fn at(&self, place: &StackPlace, mut inventory: Inventory, output: &mut CheckOutput) -> anyhow::Result<bool> {
        let Self { args, questions, read, .. } = self;
        let target = target(args, place, questions, &inventory, &read.others)?;
        let (accounts, regions) =
            (target.account().into_iter().cloned().collect(), target.region().into_iter().cloned().collect());
        let questions = &ControlQueries::clone(questions).at(&accounts, &regions).map_err(unusable)?;
        let groups = || questions.groups.iter().filter(|group| group.applies(target.account(), target.region()));
        let asked: Vec<ControlQuery> = groups().flat_map(|group| group.asked.iter().cloned()).collect();
        let mut unknown: Vec<&Diagnostic> = Vec::new();
        for diagnostic in groups().flat_map(|group| &group.unknown) {
            if !unknown.contains(&diagnostic) {
                unknown.push(diagnostic);
            }
        }
        let is_here = |name: &str| read.place(args, name) == *place;
        let own: Vec<&str> =
            read.files.iter().take(read.checked).map(|(name, _)| name.as_str()).filter(|name| is_here(name)).collect();
        if asked.is_empty() && unknown.is_empty() {
            if read.stacks.keys().any(|name| own.contains(&name.as_str())) {
                let region = target.region().map_or("?", RegionName::as_str);
                let account = target.account().map_or("?", AccountId::as_str);
                output::hint(&format!(
                    "note: {} not judged: no framework in account {account} and Region {region}",
                    plain::count(own.len(), "template")
                ));
            }
            return Ok(false);
        }
        // Plans of other places do not reach these stacks.
        let others = read.files.iter().map(|(name, _)| name.as_str()).filter(|name| !own.contains(name));
        let others = others.filter(|name| may_be_same(&read.place(args, name), place));
        let deployed: Vec<CheckedFile<'_>> =
            own.iter().copied().chain(others).filter_map(|name| self.file(name)).collect();
        let added = template::add(&mut inventory, &target, &deployed);
        let today = today(cloud::now());
        let exempt = |item: &ViolatingItem<'_>| match args.no_exemptions {
            true => None,
            false => questions.exemption(item, today),
        };
        let report = check::check(&inventory, &added, &target, &deployed, own.len(), &asked, &exempt);
        output.add(&unknown, report);
        Ok(true)
    }

    fn file(&self, name: &str) -> Option<CheckedFile<'_>> {
        match self.read.others.get(name) {
            Some(OtherFile::Terraform(plan)) => Some(CheckedFile::Terraform(plan)),
            Some(OtherFile::Policy(policy)) => Some(CheckedFile::Policy(policy)),
            None => {
                let template = self.templates.get(name)?;
                let stack = self.read.stacks.get(name).cloned().unwrap_or_default();
                let mut parameters = stack.parameters;
                parameters.extend(self.parameters.clone());
                parameters.retain(|name, _| template.declares(name) || name.starts_with("AWS::"));
                Some(CheckedFile::Template(TemplateStack {
                    template,
                    parameters,
                    tags: stack.tags,
                    nested: stack.nested,
                }))
            }
        }
    }
}

/// Whether two places may be the same one.
fn may_be_same(one: &StackPlace, other: &StackPlace) -> bool {
    let account = one.0.as_ref().zip(other.0.as_ref()).is_none_or(|(one, other)| one == other);
    account && one.1.as_ref().zip(other.1.as_ref()).is_none_or(|(one, other)| one == other)
}

fn warning(diagnostic: &Diagnostic) -> Diagnostic {
    Diagnostic { level: Level::Warning, ..diagnostic.clone() }
}

/// Returns the deployment target of the options.
fn target(
    args: &CheckArgs,
    place: &StackPlace,
    questions: &ControlQueries,
    inventory: &Inventory,
    others: &BTreeMap<String, OtherFile>,
) -> anyhow::Result<DeploymentTarget> {
    let plans = others.values().filter_map(|own| if let OtherFile::Terraform(plan) = own { Some(plan) } else { None });
    let regions: Vec<RegionName> = plans.flat_map(|plan| plan.regions()).collect();
    let given = place.1.clone().or_else(|| only(regions.iter()));
    let (account, region) = location((place.0.clone(), given), questions, inventory)?;
    let mut target = DeploymentTarget::new(account, region)?;
    let all = args.opt_in.iter().any(|service| service == ALL);
    let services = OPT_IN_SERVICES.into_iter().filter(|service| all || args.opt_in.iter().any(|own| own == service));
    target.opt_in = services.map(|service| (service.to_owned(), true)).collect();
    target.tags = args.tag.iter().cloned().collect();
    target.units.clone_from(&args.organizational_unit);
    Ok(target)
}

/// Returns the account and Region: as given, or if there is only one.
fn location(
    given: (Option<AccountId>, Option<RegionName>),
    questions: &ControlQueries,
    inventory: &Inventory,
) -> anyhow::Result<(Option<AccountId>, Option<RegionName>)> {
    let of_inventory = inventory.locations().map(|location| (&location.account, &location.region));
    let has_inventory = inventory.locations().next().is_some();
    let mut locations: Vec<_> = if has_inventory { of_inventory.collect() } else { questions.named().collect() };
    locations.retain(|(account, region)| {
        given.0.as_ref().is_none_or(|own| own == *account) && given.1.as_ref().is_none_or(|own| own == *region)
    });
    let account = given.0.clone().or_else(|| only(locations.iter().map(|(account, _)| *account)));
    let region = given.1.clone().or_else(|| only(locations.iter().map(|(_, region)| *region)));
    ensure!(
        !has_inventory || (account.is_some() && region.is_some()),
        "the inventory has several accounts or Regions; give the deployment target with --account and --region"
    );
    Ok((account, region))
}

/// Returns the value if all are equal.
fn only<'a, T: PartialEq + Clone + 'a>(mut all: impl Iterator<Item = &'a T>) -> Option<T> {
    let first = all.next()?;
    all.all(|other| other == first).then(|| first.clone())
}

/// Rejects parameters that no template declares.
fn reject_unknown(
    given: &BTreeMap<String, String>,
    templates: &BTreeMap<&str, Template>,
    questions: &ControlQueries,
) -> anyhow::Result<()> {
    let of_templates = || templates.values().flat_map(|template| template.parameters().keys());
    let declared = || of_templates().chain(&questions.parameters).map(String::as_str);
    let is_unknown = |name: &&String| !name.starts_with("AWS::") && declared().all(|own| own != *name);
    let Some(name) = given.keys().find(is_unknown) else { return Ok(()) };
    let near = closest_match(name, declared()).map(|near| format!("did you mean `{near}`?"));
    let fix = near.unwrap_or_else(|| "remove it".to_owned());
    bail!("no template declares the parameter `{}`; {fix}", plain::escaped(name))
}
