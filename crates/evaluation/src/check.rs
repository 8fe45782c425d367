//! Predicts the findings of Audit Manager for templates before deployment.
//!
//! [`crate::inventory::template::add`] adds the templates to an inventory, the evaluator evaluates it, and this module
//! turns the results into findings at the line of the resource, with a fix.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use framework::control::Control;
use framework::lint::Level;
use syntax::diagnostic::{Diagnostic, Edit, Position, Source};
use syntax::template::Template;
use syntax::text::printable;

use crate::evaluator::display::selection_of;
use crate::evaluator::{
    ComplianceResult, ControlQuery, EvaluationCounts, Evaluator, NonComplianceReason, NotSelectedReason,
    RemediationStep, Subject, Uncertainty,
};
use crate::inventory::document::{LocationPart, SelectionPart};
use crate::inventory::template::{AMBIGUOUS_CLUSTER, AddedTemplates, DeploymentTarget, ItemId, Origin, TemplateStack};
use crate::inventory::{Inventory, InventoryGap};
use edit::ProposedEdit;

mod edit;

#[cfg(test)]
mod tests;

/// A finding: an error is a predicted violation, a warning is undecided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckFinding {
    /// The level.
    pub level: Level,
    /// The message and position; the rule is the name of the control.
    pub diagnostic: Diagnostic,
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

/// Evaluates the first `checked` stacks; the others only provide plans.
pub fn check(
    inventory: &Inventory,
    added: &AddedTemplates,
    target: &DeploymentTarget,
    stacks: &[TemplateStack<'_>],
    checked: usize,
    all: &[ControlQuery],
) -> CheckReport {
    let mut report = CheckReport::default();
    let mut queries: Vec<ControlQuery> = Vec::new();
    for one in all {
        if !is_decidable(one.control) {
            if !report.later.contains(&one.control) {
                report.later.push(one.control);
            }
        } else if !queries.contains(one) {
            // Several frameworks, or one with several sets of values, may have equal queries.
            queries.push(one.clone());
        }
    }
    let sources: Vec<Source<'_>> =
        stacks.iter().map(|stack| Source::new(stack.template.file(), stack.template.text())).collect();
    let subject = |item| match item {
        ItemId::Resource(index) => inventory.resources.get(index).map(Subject::Resource),
        ItemId::Plan(index) => inventory.plans.get(index).map(|plan| Subject::Plan(&plan.item)),
        ItemId::Vault(index) => inventory.vaults.get(index).map(|vault| Subject::Vault(&vault.item)),
    };
    let origins = added.origins.iter().filter_map(|origin| Some((subject(origin.item)?, origin))).collect();
    let builder = FindingBuilder { target, stacks, sources: &sources, origins, proposals: RefCell::default() };
    let mut seen = BTreeSet::new();
    Evaluator::new(inventory, &queries).each(|evaluation| {
        let origin = builder.origins.get(&evaluation.subject).filter(|origin| origin.stack < checked);
        let Some(origin) = origin else { return };
        let control = evaluation.query.control;
        let (result, finding) = builder.finding(origin, control, evaluation.result);
        if !report.rows.iter().any(|(known, _)| *known == control) {
            report.rows.push((control, EvaluationCounts::default()));
        }
        for (_, counts) in report.rows.iter_mut().filter(|(known, _)| *known == control) {
            counts.add(&result);
        }
        report.findings.extend(finding.filter(|finding| seen.insert(finding.diagnostic.to_string())));
    });
    builder.verify_edits(&mut report.findings);
    for unresolved in added.unresolved.iter().filter(|unresolved| unresolved.stack < checked) {
        if let Some(source) = sources.get(unresolved.stack) {
            let diagnostic =
                source.error(unresolved.at, format!("unknown: {}", unresolved.what), "known only at deployment");
            report.findings.push(CheckFinding { level: Level::Warning, diagnostic });
        }
    }
    report.findings.sort_by(|one, other| {
        (&one.diagnostic.file, one.diagnostic.at).cmp(&(&other.diagnostic.file, other.diagnostic.at))
    });
    report
}

struct FindingBuilder<'a> {
    target: &'a DeploymentTarget,
    stacks: &'a [TemplateStack<'a>],
    sources: &'a [Source<'a>],
    origins: HashMap<Subject<'a>, &'a Origin>,
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
            let Some(stack) = self.stacks.get(*number) else { continue };
            let tried = edit::verified(stack.template, proposals, &mut budget);
            good.extend(tried.iter().map(|it| (stack.template.file(), it.edit.from, it.edit.new.as_str())));
        }
        for CheckFinding { diagnostic: Diagnostic { file, edits, .. }, .. } in findings {
            edits.retain(|edit| good.contains(&(file.as_str(), edit.from, edit.new.as_str())));
        }
    }

    /// Returns the final result, which conditions of the template may make undecided, with its finding.
    fn finding(
        &self,
        origin: &Origin,
        control: &'static Control,
        mut result: ComplianceResult<'a>,
    ) -> (ComplianceResult<'a>, Option<CheckFinding>) {
        let Some(source) = self.sources.get(origin.stack) else { return (result, None) };
        let (level, problem, (fix, edits)) = match &result {
            ComplianceResult::Compliant(_) => return (result, None),
            ComplianceResult::NotCompliant(reason) if origin.uncertainties.is_empty() => {
                (Level::Error, result.to_string(), self.fix(origin, control, reason))
            }
            ComplianceResult::NotCompliant(_) => {
                let fix = "known only at deployment; give known values with --parameter".to_owned();
                let problem = format!("unknown: {}", origin.uncertainties.join("; "));
                result = ComplianceResult::Undecided(vec![Uncertainty::Scope]);
                (Level::Warning, problem, (fix, Vec::new()))
            }
            ComplianceResult::Undecided(unknown) => {
                let text = |unknown: &Uncertainty<'_>| match unknown {
                    // The location may be a placeholder.
                    Uncertainty::Location(gap) if !gap.reason.is_empty() => printable(gap.reason),
                    other => other.to_string(),
                };
                let all: Vec<String> = unknown.iter().map(text).collect();
                (Level::Warning, format!("unknown: {}", all.join("; ")), (self.resolution(unknown), Vec::new()))
            }
        };
        let subject = format!("`{}` ({})", printable(&origin.logical_id), printable(&origin.kind));
        let end = Position { column: origin.at.column + origin.logical_id.chars().count(), ..origin.at };
        let diagnostic = source.error(origin.at, format!("{subject}: {problem}"), fix);
        let diagnostic = Diagnostic { end: Some(end), rule: Some(control.name), edits, ..diagnostic };
        (result, Some(CheckFinding { level, diagnostic }))
    }

    /// Returns the fix, with an edit of the template if that suffices.
    fn fix(&self, origin: &Origin, control: &Control, reason: &NonComplianceReason<'_>) -> (String, Vec<Edit>) {
        let NonComplianceReason::NotSelected(not_selected) = reason else {
            return (control.remediation.to_owned(), Vec::new());
        };
        let NotSelectedReason { closest, steps, cluster } = &**not_selected;
        if steps.is_empty() {
            let fix = if closest.is_some() {
                "add it to a selection of a backup plan"
            } else {
                "give the templates or the inventory with the backup plans with --plans, or add a plan and a selection"
            };
            return (fix.to_owned(), Vec::new());
        }
        let own = || self.stacks.get(origin.stack).zip(self.sources.get(origin.stack));
        if let ([RemediationStep::SetTag { key, value, current }], None, Some((stack, source))) =
            (steps.as_slice(), cluster, own())
        {
            let tag = edit::tag(stack.template, source, &origin.logical_id, (key, value, *current));
            let fix = steps.first().map(ToString::to_string).unwrap_or_default();
            let fix = match tag.tags_at {
                Some(at) => format!("{fix}, under `{}` in line {}", tag.property, at.line),
                None => format!("{fix}, with the property `{}`", tag.property),
            };
            let edits = tag.proposal.iter().map(|proposal| proposal.edit.clone()).collect();
            if let Some(proposal) = tag.proposal {
                let mut proposals = self.proposals.borrow_mut();
                let own = proposals.entry(origin.stack).or_default();
                // Several controls may propose the same edit.
                if own.last() != Some(&proposal) {
                    own.push(proposal);
                }
            }
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
        let of = cluster.map(|cluster| format!("for its cluster `{}`: ", printable(cluster))).unwrap_or_default();
        (format!("{of}{}", all.join(" and ")), Vec::new())
    }

    /// Returns how to resolve the uncertainties.
    fn resolution(&self, unknown: &[Uncertainty<'_>]) -> String {
        let mut resolutions: Vec<&str> = Vec::new();
        for one in unknown {
            let resolution = match one {
                Uncertainty::OptIn(_) => "give the enabled services with --opt-in, or an inventory with --plans",
                Uncertainty::Selection(_, _, SelectionPart::Existence) => {
                    "give the values that its condition needs with --parameter"
                }
                Uncertainty::ConditionKey(_) => "write the key as `aws:ResourceTag/<key>`",
                Uncertainty::RefusedLifecycle(_) | Uncertainty::ContinuousRetention(_) => {
                    "give the rule a lifecycle that AWS Backup accepts"
                }
                Uncertainty::Policy | Uncertainty::ArnEnd | Uncertainty::Rule(..) | Uncertainty::Selection(..)
                    if self.target.account().is_none() || self.target.region().is_none() =>
                {
                    "give the deployment target with --in-account and --in-region"
                }
                Uncertainty::Tags
                | Uncertainty::TagValue(_)
                | Uncertainty::Engine
                | Uncertainty::Parameter(_)
                | Uncertainty::Scope => "give known values with --parameter",
                Uncertainty::Cluster(arn) if arn.ends_with(AMBIGUOUS_CLUSTER) => {
                    "refer to the cluster with `!Ref`, or check the templates that contain it one by one"
                }
                Uncertainty::Cluster(_)
                | Uncertainty::Vault(_)
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
