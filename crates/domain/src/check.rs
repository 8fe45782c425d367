//! What a framework will say of templates that are not deployed yet.
//!
//! [`crate::inventory::template::add`] says what they bring, the evaluator judges it, and here the answers become findings: at the
//! line of the resource, with what would be right.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::control::Control;
use crate::evaluation::{Asked, Change, Evaluator, Flaw, Miss, Subject, Tally, Unknown, Verdict};
use crate::fault::{Edit, Fault, Position, Source};
use crate::ids::shown;
use crate::inventory::Inventory;
use crate::inventory::document::{Part, SelectionPart};
use crate::inventory::template::{Added, Origin, SEVERAL, Stack, Target, Thing};
use crate::lint::Level;
use crate::template::Template;

mod edit;

use edit::Proposal;

#[cfg(test)]
mod tests;

/// Something that was found, and how bad it is: an error is what Audit Manager will find too, a warning what nobody can decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad.
    pub level: Level,
    /// What and where; its rule is the name of the control.
    pub fault: Fault,
}

/// What there is to say about templates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    /// By file and place.
    pub findings: Vec<Finding>,
    /// How many judgements there are, by control in the order in which they were asked.
    pub rows: Vec<(&'static Control, Tally)>,
    /// Controls that only recovery points and restores tell anything about.
    pub later: Vec<&'static Control>,
}

/// Whether templates can say anything about a control.
fn can_be_told(control: &Control) -> bool {
    control.resource_types != ["AWS::Backup::RecoveryPoint"]
        && !matches!(
            control.name,
            "BACKUP_LAST_RECOVERY_POINT_CREATED"
                | "RESTORE_TIME_FOR_RESOURCES_MEET_TARGET"
                | "RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT"
        )
}

/// Judges what templates have added to an inventory. Only the first `judged` of the stacks are, the others are there for their
/// plans.
#[must_use]
pub fn check(
    inventory: &Inventory,
    added: &Added,
    target: &Target,
    stacks: &[Stack<'_>],
    judged: usize,
    asked: &[Asked],
) -> Checked {
    let mut checked = Checked::default();
    let mut told: Vec<Asked> = Vec::new();
    for one in asked {
        if !can_be_told(one.control) {
            if !checked.later.contains(&one.control) {
                checked.later.push(one.control);
            }
        } else if !told.contains(one) {
            // Several frameworks, or one with several sets of values, may ask the same.
            told.push(one.clone());
        }
    }
    let sources: Vec<Source<'_>> =
        stacks.iter().map(|stack| Source::new(stack.template.file(), stack.template.text())).collect();
    let subject = |thing| match thing {
        Thing::Resource(index) => inventory.resources.get(index).map(Subject::Resource),
        Thing::Plan(index) => inventory.plans.get(index).map(|plan| Subject::Plan(&plan.it)),
        Thing::Vault(index) => inventory.vaults.get(index).map(|vault| Subject::Vault(&vault.it)),
    };
    let origins = added.origins.iter().filter_map(|origin| Some((address(subject(origin.thing)?), origin))).collect();
    let teller = Teller { target, stacks, sources: &sources, origins, proposals: RefCell::default() };
    let mut seen = BTreeSet::new();
    Evaluator::new(inventory, &told).each(|judgement| {
        let Some(origin) = teller.origin(judgement.subject).filter(|origin| origin.stack < judged) else { return };
        let (verdict, finding) = teller.finding(origin, judgement.asked.control, judgement.verdict);
        let control = judgement.asked.control;
        let row = match checked.rows.iter().position(|(known, _)| *known == control) {
            Some(row) => row,
            None => {
                checked.rows.push((control, Tally::default()));
                checked.rows.len() - 1
            }
        };
        if let Some((_, tally)) = checked.rows.get_mut(row) {
            tally.add(&verdict);
        }
        checked.findings.extend(finding.filter(|finding| seen.insert(finding.fault.to_string())));
    });
    teller.try_changes(&mut checked.findings);
    for unseen in added.unseen.iter().filter(|unseen| unseen.stack < judged) {
        if let Some(source) = sources.get(unseen.stack) {
            let fault = source.fault(unseen.at, format!("not known: {}", unseen.what), "only a deployment tells");
            checked.findings.push(Finding { level: Level::Warning, fault });
        }
    }
    checked.findings.sort_by(|one, other| (&one.fault.file, one.fault.at).cmp(&(&other.fault.file, other.fault.at)));
    checked
}

struct Teller<'a> {
    target: &'a Target,
    stacks: &'a [Stack<'a>],
    sources: &'a [Source<'a>],
    origins: HashMap<(u8, usize), &'a Origin>,
    /// Changes that are not tried yet, by the number of their template.
    proposals: RefCell<BTreeMap<usize, Vec<Proposal>>>,
}

/// Bytes that may be read again to see whether changes do what they should. Those of a template are tried together: it is enough for
/// any number of them, unless many fail.
const BUDGET: usize = 16 * Template::MAX;

/// Where something of an inventory is in memory: an inventory may have a million of them that are from no template.
fn address(subject: Subject<'_>) -> (u8, usize) {
    match subject {
        Subject::Resource(resource) => (0, std::ptr::from_ref(resource).addr()),
        Subject::Plan(plan) => (1, std::ptr::from_ref(plan).addr()),
        Subject::Vault(vault) => (2, std::ptr::from_ref(vault).addr()),
        Subject::RecoveryPoint(point) => (3, std::ptr::from_ref(point).addr()),
    }
}

impl<'a> Teller<'a> {
    /// Takes the changes out that do not do what they should.
    fn try_changes(&self, findings: &mut [Finding]) {
        let mut budget = BUDGET;
        let mut good = BTreeSet::new();
        let proposals = self.proposals.borrow();
        for (number, proposals) in proposals.iter() {
            let Some(stack) = self.stacks.get(*number) else { continue };
            let tried = edit::tried(stack.template, proposals, &mut budget);
            good.extend(tried.iter().map(|it| (stack.template.file(), it.edit.from, it.edit.new.as_str())));
        }
        for Finding { fault: Fault { file, edits, .. }, .. } in findings {
            edits.retain(|edit| good.contains(&(file.as_str(), edit.from, edit.new.as_str())));
        }
    }

    /// Where something stands that came from a template.
    fn origin(&self, subject: Subject<'_>) -> Option<&'a Origin> {
        self.origins.get(&address(subject)).copied()
    }

    /// The verdict that stands when everything about the template is taken into account, and what there is to say of it.
    fn finding(
        &self,
        origin: &Origin,
        control: &'static Control,
        verdict: Verdict<'a>,
    ) -> (Verdict<'a>, Option<Finding>) {
        let Some(source) = self.sources.get(origin.stack) else { return (verdict, None) };
        let subject = format!("`{}` ({})", shown(&origin.logical_id), shown(&origin.kind));
        let (level, problem, fix, edits) = match &verdict {
            Verdict::Compliant(_) => return (verdict, None),
            Verdict::NotCompliant(flaw) if origin.doubts.is_empty() => {
                let (fix, edits) = self.fix(origin, control, flaw);
                (Level::Error, format!("{subject}: {verdict}"), fix, edits)
            }
            Verdict::NotCompliant(_) => {
                let problem = format!("{subject}: not known: {}", origin.doubts.join("; "));
                let fix = "only a deployment tells; give what is known with --parameter".to_owned();
                let finding = self.told(source, origin, control, (Level::Warning, problem, fix, Vec::new()));
                return (Verdict::Undecided(vec![Unknown::Scope]), Some(finding));
            }
            Verdict::Undecided(unknown) => {
                let what: Vec<String> = unknown.iter().map(words).collect();
                (Level::Warning, format!("{subject}: not known: {}", what.join("; ")), self.cure(unknown), Vec::new())
            }
        };
        let finding = self.told(source, origin, control, (level, problem, fix, edits));
        (verdict, Some(finding))
    }

    fn told(
        &self,
        source: &Source<'_>,
        origin: &Origin,
        control: &'static Control,
        (level, problem, fix, edits): (Level, String, String, Vec<Edit>),
    ) -> Finding {
        let end = Position { column: origin.at.column + origin.logical_id.chars().count(), ..origin.at };
        let fault = source.fault(origin.at, problem, fix);
        Finding { level, fault: Fault { end: Some(end), rule: Some(control.name), edits, ..fault } }
    }

    /// What would be right, and the change to the template if that is all it takes.
    fn fix(&self, origin: &Origin, control: &Control, flaw: &Flaw<'_>) -> (String, Vec<Edit>) {
        let Flaw::NotSelected(miss) = flaw else { return (control.remediation.to_owned(), Vec::new()) };
        let Miss { nearest, changes, cluster } = &**miss;
        if changes.is_empty() {
            let fix = match nearest {
                Some(_) => "take it into a selection of a backup plan",
                None => {
                    "name the templates or the inventory with the backup plans under --plans, or add a plan and a selection"
                }
            };
            return (fix.to_owned(), Vec::new());
        }
        let own = || self.stacks.get(origin.stack).zip(self.sources.get(origin.stack));
        if let ([Change::SetTag { key, value, now }], None, Some((stack, source))) =
            (changes.as_slice(), cluster, own())
        {
            let tag = edit::tag(stack.template, source, &origin.logical_id, (key, value, *now));
            let place = match tag.tags_at {
                Some(at) => format!(", under `{}` in line {}", tag.property, at.line),
                None => format!(", with the property `{}`", tag.property),
            };
            let edits = tag.proposal.iter().map(|proposal| proposal.edit.clone()).collect();
            if let Some(proposal) = tag.proposal {
                let mut proposals = self.proposals.borrow_mut();
                let own = proposals.entry(origin.stack).or_default();
                // Several controls may ask for the same.
                if own.last() != Some(&proposal) {
                    own.push(proposal);
                }
            }
            return (format!("{}{place}", changes.first().map(ToString::to_string).unwrap_or_default()), edits);
        }
        let all: Vec<String> = changes
            .iter()
            .map(|change| match change {
                // Here nobody knows the whole ARN, or it is a name that only CloudFormation turns into one.
                Change::AddArn { plan, selection, .. } => format!(
                    "add its ARN to the resources of the selection `{}` of the plan `{}`",
                    shown(&selection.name),
                    shown(&plan.name)
                ),
                other => other.to_string(),
            })
            .collect();
        let of = cluster.map(|cluster| format!("for its cluster `{}`: ", shown(cluster))).unwrap_or_default();
        (format!("{of}{}", all.join(" and ")), Vec::new())
    }

    /// What would make it known.
    fn cure(&self, unknown: &[Unknown<'_>]) -> String {
        let mut cures: Vec<&str> = Vec::new();
        for one in unknown {
            let cure = match one {
                Unknown::OptIn { .. } => "say what is switched on with --opt-in, or name an inventory under --plans",
                Unknown::Selection { part: SelectionPart::Existence, .. } => {
                    "give the values that its condition needs with --parameter"
                }
                Unknown::ConditionKey { .. } => "write the key as `aws:ResourceTag/<key>`",
                Unknown::RefusedLifecycle { .. } | Unknown::ContinuousRetention { .. } => {
                    "give the rule a lifecycle that AWS Backup takes"
                }
                Unknown::Policy | Unknown::ArnEnd | Unknown::Rule { .. } | Unknown::Selection { .. }
                    if self.target.account().is_none() || self.target.region().is_none() =>
                {
                    "say with --in-account and --in-region where it is deployed"
                }
                Unknown::Tags
                | Unknown::TagValue { .. }
                | Unknown::Engine
                | Unknown::Parameter { .. }
                | Unknown::Scope => "give the values that are known with --parameter",
                Unknown::Cluster { arn } if arn.ends_with(SEVERAL) => {
                    "name the cluster with `!Ref`, or check the templates that have it one by one"
                }
                Unknown::Cluster { .. } | Unknown::Vault { .. } | Unknown::Place { part: Some(Part::Vaults), .. } => {
                    "name the template or the inventory that has it under --plans"
                }
                _ => "only a deployment tells",
            };
            if !cures.contains(&cure) {
                cures.push(cure);
            }
        }
        cures.join("; ")
    }
}

fn words(unknown: &Unknown<'_>) -> String {
    match unknown {
        // The place may stand for one that nobody named.
        Unknown::Place { why, .. } if !why.is_empty() => shown(why),
        other => other.to_string(),
    }
}
