//! Predicts the findings of Audit Manager for templates and Terraform plans before deployment.
//!
//! [`crate::inventory::template::add`] adds the files to an inventory, the evaluator evaluates it, and this module
//! turns the results into findings at the line of the resource, with a fix.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::tz::TimeZone;

use framework::control::Control;
use framework::ids::RegionName;
use framework::lint::{Level, remove_suppressed};
use syntax::diagnostic::{Diagnostic, Edit, Position, SourceText};
use syntax::template::Template;
use syntax::text::printable;

use crate::evaluator::display::{local, selection_of};
use crate::evaluator::{
    ComplianceResult, ControlQuery, EvaluationCounts, Evaluator, FindExemption, NonComplianceReason, NotSelectedReason,
    RemediationStep, Subject, Uncertainty, ViolatingItem, ViolationExemption,
};
use crate::inventory::document::{LocationPart, SelectionPart};
use crate::inventory::template::{
    AMBIGUOUS_CLUSTER, AddedTemplates, CheckedFile, DeploymentTarget, GLOBAL_TABLE_TYPE, ItemId, NotJudged,
    ORGANIZATION_PLAN, Origin, UNKNOWN_REGIONS,
};
use crate::inventory::{Inventory, InventoryGap};
use edit::ProposedEdit;

mod edit;
mod terraform;
mod volumes;

#[cfg(test)]
mod tests;

/// A finding: an error is a predicted violation, or a plan, selection or vault that AWS Backup rejects. A warning is
/// undecided, or violates a lint rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckFinding {
    /// The level.
    pub level: Level,
    /// The message and position; the rule is the name of the control, or a lint rule about plans, selections and vaults.
    pub diagnostic: Diagnostic,
}

/// A violation that an exemption covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExemptViolation {
    /// The control.
    pub control: &'static Control,
    /// The logical id and the type.
    pub subject: String,
    /// The template.
    pub file: String,
    /// The position of the logical id.
    pub at: Position,
    /// The exemption.
    pub exemption: ViolationExemption,
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckReport {
    /// Sorted by file and position.
    pub findings: Vec<CheckFinding>,
    /// Numbers of evaluations by control, in the order of the queries.
    pub rows: Vec<(&'static Control, EvaluationCounts)>,
    /// Controls that only recovery points and restores can decide.
    pub later: Vec<&'static Control>,
    /// Types in the templates that no control judges; empty if the queries are not about resources.
    pub not_judged: Vec<NotJudged>,
    /// Violations that exemptions cover; they are no findings.
    pub exempt: Vec<ExemptViolation>,
}

/// Returns whether templates can decide a control.
fn is_decidable(control: &Control) -> bool {
    control.resource_types != ["AWS::Backup::RecoveryPoint"]
        && !matches!(
            control.name,
            "BACKUP_LAST_RECOVERY_POINT_CREATED"
                | "RESTORE_TIME_FOR_RESOURCES_MEET_TARGET"
                | "RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT"
        )
}

/// Returns the distinct queries that templates can decide: several frameworks, or one with several sets of values, may have equal ones.
fn decidable(all: &[ControlQuery], later: &mut Vec<&'static Control>) -> Vec<ControlQuery> {
    let mut queries: Vec<ControlQuery> = Vec::new();
    for one in all {
        if !is_decidable(one.control) {
            if !later.contains(&one.control) {
                later.push(one.control);
            }
        } else if !queries.contains(one) {
            queries.push(one.clone());
        }
    }
    queries
}

/// Evaluates the first `checked` files; the others only provide plans.
pub fn check(
    inventory: &Inventory,
    added: &AddedTemplates,
    target: &DeploymentTarget,
    files: &[CheckedFile<'_>],
    checked: usize,
    all: &[ControlQuery],
    exempt: FindExemption<'_>,
) -> CheckReport {
    let mut report = CheckReport::default();
    let queries = decidable(all, &mut report.later);
    if all.iter().any(|query| query.control.resource_types.len() > 1) {
        report.not_judged = not_judged(added.not_judged.iter().take(checked).flatten());
    }
    let sources: Vec<SourceText<'_>> = files.iter().map(source).collect();
    let subject = |item| match item {
        ItemId::Resource(index) => inventory.resources.get(index).map(Subject::Resource),
        ItemId::Plan(index) => inventory.plans.get(index).map(|plan| Subject::Plan(&plan.item)),
        ItemId::Vault(index) => inventory.vaults.get(index).map(|vault| Subject::Vault(&vault.item)),
    };
    let origins = added.origins.iter().filter_map(|origin| Some((subject(origin.item)?, origin))).collect();
    let logical_ids = logical_ids(inventory, &added.origins);
    let proposals = RefCell::default();
    let builder = FindingBuilder { inventory, target, files, sources: &sources, origins, logical_ids, proposals };
    let mut seen = BTreeSet::new();
    Evaluator::new(inventory, &queries).each(|evaluation| {
        let origin = builder.origins.get(&evaluation.subject).filter(|origin| origin.stack < checked);
        let Some(origin) = origin else { return };
        let control = evaluation.query.control;
        if !report.rows.iter().any(|(known, _)| *known == control) {
            report.rows.push((control, EvaluationCounts::default()));
        }
        let counts = report.rows.iter_mut().find(|(known, _)| *known == control).map(|(_, counts)| counts);
        if let Some(exempt) = builder.exemption(origin, control, evaluation.subject, &evaluation.result, exempt) {
            counts.into_iter().for_each(|counts| counts.exempt += 1);
            // Several parameter sets of a control may have equal results.
            if !report.exempt.contains(&exempt) {
                report.exempt.push(exempt);
            }
            return;
        }
        let (result, finding) = builder.finding(origin, control, evaluation.result);
        counts.into_iter().for_each(|counts| counts.add(&result));
        report.findings.extend(finding.filter(|finding| seen.insert(finding.diagnostic.to_string())));
    });
    builder.verify_edits(&mut report.findings);
    for unresolved in added.unresolved.iter().filter(|part| part.stack < checked || part.is_about_plans) {
        if let Some(source) = sources.get(unresolved.stack) {
            let diagnostic = source.error(unresolved.at, format!("unknown: {}", unresolved.what), unresolved.fix);
            report.findings.push(CheckFinding { level: Level::Warning, diagnostic });
        }
    }
    report.findings.extend(rejections(inventory, added, files, checked));
    report.findings.sort_by(|one, other| {
        (&one.diagnostic.file, one.diagnostic.at).cmp(&(&other.diagnostic.file, other.diagnostic.at))
    });
    report
}

fn source<'t>(file: &CheckedFile<'t>) -> SourceText<'t> {
    SourceText::new(file.file(), file.text())
}

/// Returns the logical id and type of an item, as messages name it.
fn subject_of(origin: &Origin) -> String {
    let of = if origin.volumes.is_some() { "volumes of " } else { "" };
    let construct = origin.construct.as_ref().map(|path| format!(", construct `{}`", printable(path)));
    let construct = construct.unwrap_or_default();
    format!("{of}`{}` ({}{construct})", printable(&origin.logical_id), printable(&origin.kind))
}

/// Returns the calls that add tags to a construct of the CDK, if these are the fix.
fn cdk_tags(not_selected: &NotSelectedReason<'_>) -> Option<String> {
    let quoted = |text: &str| format!("'{}'", printable(text).replace('\\', "\\\\").replace('\'', "\\'"));
    let call = |step: &RemediationStep<'_>| match step {
        RemediationStep::SetTag { key, value, .. } => {
            Some(format!("Tags.of(construct).add({}, {})", quoted(key), quoted(value)))
        }
        _ => None,
    };
    let calls: Vec<String> = not_selected.steps.iter().map(call).collect::<Option<_>>()?;
    (not_selected.cluster.is_none() && !calls.is_empty()).then(|| calls.join("; "))
}

/// Returns the logical ids of resources by ARN or placeholder.
fn logical_ids<'a>(inventory: &'a Inventory, origins: &'a [Origin]) -> HashMap<&'a str, &'a str> {
    let named = origins.iter().filter(|origin| origin.volumes.is_none()).filter_map(|origin| match origin.item {
        ItemId::Resource(index) => Some((inventory.resources.get(index)?.key(), origin.logical_id.as_str())),
        ItemId::Plan(_) | ItemId::Vault(_) => None,
    });
    named.collect()
}

/// Combines the entries of all templates by type.
fn not_judged<'a>(all: impl Iterator<Item = &'a NotJudged>) -> Vec<NotJudged> {
    let mut found: BTreeMap<(&str, &'static str), Vec<String>> = BTreeMap::new();
    for NotJudged { kind, reason, resources } in all {
        found.entry((kind, reason)).or_default().extend(resources.iter().cloned());
    }
    let entry = |((kind, reason), resources): ((&str, _), _)| NotJudged { kind: kind.to_owned(), reason, resources };
    found.into_iter().map(entry).collect()
}

/// Returns the findings about the plans, selections and vaults themselves. For templates that only provide plans, these are
/// warnings about what AWS Backup rejects: it explains why they cover nothing.
fn rejections<'a>(
    inventory: &Inventory,
    added: &'a AddedTemplates,
    files: &'a [CheckedFile<'_>],
    checked: usize,
) -> impl Iterator<Item = CheckFinding> + 'a {
    let today = inventory.as_of().to_zoned(TimeZone::UTC).date();
    added.backup.iter().zip(files).enumerate().flat_map(move |(number, (backup, file))| {
        let mut diagnostics = backup.diagnostics.clone();
        match file {
            CheckedFile::Template(stack) => remove_suppressed(stack.template, today, &mut diagnostics),
            CheckedFile::Terraform(plan) => {
                diagnostics = diagnostics.into_iter().map(|found| terraform::rejection(plan, &found)).collect();
            }
            CheckedFile::Policy(_) => {}
        }
        let is_checked = number < checked;
        diagnostics.retain(|diagnostic| is_checked || diagnostic.level == Level::Error);
        diagnostics.into_iter().map(move |diagnostic| match is_checked {
            true => CheckFinding { level: diagnostic.level, diagnostic },
            false => CheckFinding { level: Level::Warning, diagnostic: Diagnostic { edits: Vec::new(), ..diagnostic } },
        })
    })
}

/// How to decide whether a backup policy applies, and with which settings.
const OF_POLICY: &str = "give the account, its Region and its units (--account, --region, --organizational-unit) and all its backup policies";

struct FindingBuilder<'a> {
    inventory: &'a Inventory,
    target: &'a DeploymentTarget,
    files: &'a [CheckedFile<'a>],
    sources: &'a [SourceText<'a>],
    origins: HashMap<Subject<'a>, &'a Origin>,
    /// By ARN or placeholder.
    logical_ids: HashMap<&'a str, &'a str>,
    /// Edits to verify, by the index of their template.
    proposals: RefCell<BTreeMap<usize, Vec<ProposedEdit>>>,
}

/// The maximum of bytes to parse again to verify edits. All edits of a template are verified together, so that this
/// suffices for any number of them unless many fail.
const BUDGET: usize = 16 * Template::MAX;

impl<'a> FindingBuilder<'a> {
    /// Removes the edits that do not have their effect.
    fn verify_edits(&self, findings: &mut [CheckFinding]) {
        let mut budget = BUDGET;
        let mut good = BTreeSet::new();
        let proposals = self.proposals.borrow();
        for (number, proposals) in proposals.iter() {
            let Some(stack) = self.files.get(*number).and_then(CheckedFile::template) else { continue };
            let tried = edit::verified(stack.template, proposals, &mut budget);
            good.extend(tried.iter().map(|it| (stack.template.file(), it.edit.from, it.edit.new.as_str())));
        }
        for CheckFinding { diagnostic: Diagnostic { file, edits, .. }, .. } in findings {
            edits.retain(|edit| good.contains(&(file.as_str(), edit.from, edit.new.as_str())));
        }
    }

    /// Returns the exemption of a certain violation.
    fn exemption(
        &self,
        origin: &Origin,
        control: &'static Control,
        subject: Subject<'a>,
        result: &ComplianceResult<'_>,
        exempt: FindExemption<'_>,
    ) -> Option<ExemptViolation> {
        if !matches!(result, ComplianceResult::NotCompliant(_)) || !origin.uncertainties.is_empty() {
            return None;
        }
        let (account, region) = (&self.target.account, self.region(subject)?);
        let exemption = exempt(&ViolatingItem::new(self.inventory, control, &subject, account, region))?;
        let subject = subject_of(origin);
        let Diagnostic { file, at, .. } = self.diagnostic(origin, String::new(), String::new())?;
        Some(ExemptViolation { control, subject, file, at: at.unwrap_or(origin.at), exemption })
    }

    /// Returns the final result, which conditions of the template may make undecided, with its finding.
    fn finding(
        &self,
        origin: &Origin,
        control: &'static Control,
        mut result: ComplianceResult<'a>,
    ) -> (ComplianceResult<'a>, Option<CheckFinding>) {
        let (level, problem, (fix, edits)) = match &result {
            ComplianceResult::Compliant(_) => return (result, None),
            ComplianceResult::NotCompliant(reason) if origin.uncertainties.is_empty() => {
                (Level::Error, self.problem(origin, &result), self.fix(origin, control, reason))
            }
            ComplianceResult::NotCompliant(reason) => {
                let fix = if origin.uncertainties.iter().any(|one| one.starts_with("whether it exists")) {
                    format!("known only at deployment{}", self.parameter_hint(origin))
                } else {
                    // It does not matter after the fix.
                    self.fix(origin, control, reason).0
                };
                let problem = format!("unknown: {}", origin.uncertainties.join("; "));
                result = ComplianceResult::Undecided(vec![Uncertainty::Scope]);
                (Level::Warning, problem, (fix, Vec::new()))
            }
            ComplianceResult::Undecided(unknown) => {
                let text = |unknown: &Uncertainty<'_>| match unknown {
                    // The location may be a placeholder.
                    Uncertainty::Location(gap) if !gap.reason.is_empty() => printable(gap.reason),
                    Uncertainty::Cluster(arn) => self.unknown_cluster(arn),
                    Uncertainty::Tags if self.lacks_region(origin) => {
                        "its tags, which depend on the Region of the replica".to_owned()
                    }
                    other => other.to_string(),
                };
                let mut all: Vec<String> = unknown.iter().map(text).collect();
                all.dedup();
                (Level::Warning, format!("unknown: {}", all.join("; ")), (self.resolution(origin, unknown), Vec::new()))
            }
        };
        let subject = subject_of(origin);
        let diagnostic = self.diagnostic(origin, format!("{subject}: {problem}"), fix);
        let diagnostic = diagnostic.map(|diagnostic| Diagnostic { rule: Some(control.name), edits, ..diagnostic });
        (result, diagnostic.map(|diagnostic| CheckFinding { level, diagnostic }))
    }

    /// Returns a diagnostic at the logical id, or at the block in Terraform.
    fn diagnostic(&self, origin: &Origin, message: String, help: String) -> Option<Diagnostic> {
        if let Some(plan) = self.files.get(origin.stack)?.terraform() {
            return Some(plan.diagnostic(&origin.logical_id, message, help));
        }
        let end = Position { column: origin.at.column + origin.logical_id.chars().count(), ..origin.at };
        let diagnostic = self.sources.get(origin.stack)?.error(origin.at, message, help);
        Some(Diagnostic { end: Some(end), address: origin.construct.clone(), ..diagnostic })
    }

    /// Returns the Region of a subject, a placeholder if it is unknown.
    fn region(&self, subject: Subject<'a>) -> Option<&'a RegionName> {
        match subject {
            Subject::Resource(resource) => {
                self.inventory.location_of_resource(resource).map(|location| &location.region)
            }
            Subject::Plan(plan) => Some(&plan.region),
            Subject::Vault(vault) => Some(&vault.region),
            Subject::RecoveryPoint(_) => None,
        }
    }

    /// Returns the fix, with an edit of the template if that suffices, and in the words of the CDK too.
    fn fix(&self, origin: &Origin, control: &Control, reason: &NonComplianceReason<'_>) -> (String, Vec<Edit>) {
        let (mut fix, edits) = self.template_fix(origin, control, reason);
        if let (NonComplianceReason::NotSelected(not_selected), Some(path), None) =
            (reason, &origin.construct, origin.volumes)
            && let Some(calls) = cdk_tags(not_selected)
        {
            fix.push_str(&format!("; in the CDK: `{calls}`, with the construct `{}`", printable(path)));
        }
        (fix, edits)
    }

    fn template_fix(
        &self,
        origin: &Origin,
        control: &Control,
        reason: &NonComplianceReason<'_>,
    ) -> (String, Vec<Edit>) {
        let NonComplianceReason::NotSelected(not_selected) = reason else {
            return (control.remediation.to_owned(), Vec::new());
        };
        let NotSelectedReason { steps, cluster, .. } = &**not_selected;
        if let Some(fix) = self.terraform_fix(origin, steps, *cluster) {
            return (fix, Vec::new());
        }
        if origin.volumes.is_some() {
            return self.volumes_fix(origin, steps);
        }
        if steps.is_empty() {
            let none =
                "give the templates or the inventory with the backup plans with --plans, or add a plan and a selection";
            return (not_selected.fix().unwrap_or_else(|| none.to_owned()), Vec::new());
        }
        let own = || self.files.get(origin.stack)?.template().zip(self.sources.get(origin.stack));
        if let ([RemediationStep::SetTag { key, value, current, .. }], None, Some((stack, source))) =
            (steps.as_slice(), cluster, own())
        {
            let region = self.target.region().map(|region| region.as_str());
            let mut tag = edit::tag(stack.template, source, &origin.logical_id, (key, value), region);
            if current.is_some() {
                // Other selections, costs and permissions may depend on the value.
                tag.proposal = None;
            }
            let fix = steps.first().map(ToString::to_string).unwrap_or_default();
            let replica = tag.replica.map(|region| format!(" of the replica in `{}`", printable(&region)));
            let replica = replica.unwrap_or_default();
            let fix = match tag.tags_at {
                Some(at) => format!("{fix}, under `{}`{replica} in line {}", tag.property, at.line),
                None => format!("{fix}, with the property `{}`{replica}", tag.property),
            };
            let edits = tag.proposal.iter().map(|proposal| proposal.edit.clone()).collect();
            tag.proposal.into_iter().for_each(|proposal| self.propose(origin, proposal));
            return (fix, edits);
        }
        let text = |step: &RemediationStep<'_>| match step {
            // Here the ARN may be incomplete, or only a logical id.
            RemediationStep::AddArn { plan, selection, .. } => {
                format!("add its ARN to the resources of {}", selection_of(selection, plan))
            }
            other => other.to_string(),
        };
        let all: Vec<String> = steps.iter().map(text).collect();
        let of = cluster.map(|cluster| format!("for its cluster `{}`: ", printable(self.cluster(cluster))));
        (format!("{}{}", of.unwrap_or_default(), all.join(" and ")), Vec::new())
    }

    /// Returns the logical id of a cluster in the templates, or its ARN.
    fn cluster<'s>(&'s self, arn: &'s str) -> &'s str {
        self.logical_ids.get(arn).copied().unwrap_or_else(|| local(arn))
    }

    fn unknown_cluster(&self, arn: &str) -> String {
        match arn.split_once(AMBIGUOUS_CLUSTER) {
            Some((name, all)) => format!("its cluster `{}` (several have this name: {all})", printable(name)),
            None => format!("its cluster `{}`", printable(self.cluster(arn))),
        }
    }

    fn propose(&self, origin: &Origin, proposal: ProposedEdit) {
        let mut proposals = self.proposals.borrow_mut();
        let own = proposals.entry(origin.stack).or_default();
        // Several controls may propose the same edit.
        if own.last() != Some(&proposal) {
            own.push(proposal);
        }
    }

    /// Returns whether tags depend on the unknown Region of the deployment.
    fn lacks_region(&self, origin: &Origin) -> bool {
        origin.kind == GLOBAL_TABLE_TYPE && self.target.region().is_none()
    }

    fn is_terraform(&self, origin: &Origin) -> bool {
        self.files.get(origin.stack).and_then(CheckedFile::terraform).is_some()
    }

    /// Returns the hint to give parameter values, if the template has parameters.
    fn parameter_hint(&self, origin: &Origin) -> &'static str {
        let stack = self.files.get(origin.stack).and_then(CheckedFile::template);
        match stack.is_some_and(|stack| !stack.template.parameters().is_empty()) {
            true => "; give known values with --parameter",
            false => "",
        }
    }

    /// Returns how to resolve the uncertainties.
    fn resolution(&self, origin: &Origin, unknown: &[Uncertainty<'_>]) -> String {
        let mut resolutions: Vec<&str> = Vec::new();
        let lacks_target = self.target.account().is_none() || self.target.region().is_none();
        for one in unknown {
            let resolution = match one {
                Uncertainty::OptIn(_) => "give the enabled services with --opt-in, or an inventory with --plans",
                Uncertainty::Selection(plan, ..) | Uncertainty::Selections(plan) | Uncertainty::Rules(plan)
                    if plan.id.starts_with(ORGANIZATION_PLAN) =>
                {
                    OF_POLICY
                }
                Uncertainty::Selection(_, _, SelectionPart::Existence) => {
                    "give the values that its condition needs with --parameter"
                }
                Uncertainty::ConditionKey(_) => "correct the key in the selection",
                Uncertainty::ListedKey(_) => "write the bare tag key in the selection",
                Uncertainty::Schedule(..) => "write a schedule that AWS documents",
                Uncertainty::Location(gap) if gap.reason == UNKNOWN_REGIONS => "give the Region with --region",
                Uncertainty::Selection(..) if self.is_terraform(origin) => {
                    "known only at deployment; select by a tag or a pattern, which the plan contains"
                }
                Uncertainty::Policy
                | Uncertainty::ArnEnd
                | Uncertainty::CopyTarget(_)
                | Uncertainty::Rule(..)
                | Uncertainty::Selection(..)
                    if lacks_target =>
                {
                    "give the deployment target with --account and --region"
                }
                Uncertainty::Tags if self.lacks_region(origin) => "give the Region of the deployment with --region",
                Uncertainty::Parameter(_) | Uncertainty::Scope => "give known values with --parameter",
                Uncertainty::Tags | Uncertainty::TagValue(_) | Uncertainty::Engine
                    if !self.parameter_hint(origin).is_empty() =>
                {
                    "give known values with --parameter"
                }
                Uncertainty::OntapTags => "tag its volumes and select them by the tag, or select the ARN of a volume",
                Uncertainty::AmbiguousVault(_) => "give the vaults different names, or check the templates one by one",
                Uncertainty::Cluster(arn) if arn.contains(AMBIGUOUS_CLUSTER) => {
                    "refer to the cluster with `!Ref`, or check the templates that contain it one by one"
                }
                Uncertainty::Cluster(_)
                | Uncertainty::Vault(_)
                | Uncertainty::AirGappedLock(_)
                | Uncertainty::Location(InventoryGap { part: Some(LocationPart::Vaults), .. }) => {
                    "give the template or the inventory that contains it with --plans"
                }
                _ => "known only at deployment",
            };
            if !resolutions.contains(&resolution) {
                resolutions.push(resolution);
            }
        }
        resolutions.join("; ")
    }
}
