//! Previews a change to the policy: the difference between two states of the policy repository over one inventory.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use jiff::civil::Date;

use domain::cost::Prices;
use domain::preview::{
    ChangeVerdict, ControlChange, PredictedCounts, PredictedViolation, PredictedViolations, Preview, UnreadLocation,
};
use evaluation::inventory::Inventory;
use evaluation::{
    ComparedState, Comparison, ControlQuery, Evaluation, Subject, ViolatingItem, ViolationChange, compare,
};
use framework::lint::Level;
use syntax::diagnostic::Diagnostic;

use crate::deploy::PolicyFiles;
use crate::in_force::today;
use crate::plan::plan_change;
use crate::policy_lint::lint_policy;
use crate::queries::{ControlQueries, QueryGroup, UnreadPart};

/// Most new, and most resolved violations that are listed; all are counted.
const MOST_LISTED: usize = 10_000;

/// A state of the policy repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyState {
    /// The name for people: a commit or a folder.
    pub name: String,
    /// The policy; `None` if there is none yet.
    pub files: Option<PolicyFiles>,
    /// The findings of lint. Notes are no effects of a change.
    pub findings: Vec<Diagnostic>,
}

impl PolicyState {
    /// Lints a state on a day (UTC).
    pub fn new(name: &str, files: Option<PolicyFiles>, today: Date) -> Self {
        let mut findings = files.as_ref().map(|files| lint_policy(files, today).diagnostics).unwrap_or_default();
        findings.retain(|finding| finding.level != Level::Note);
        findings.sort_by(|one, other| (&one.file, one.at).cmp(&(&other.file, other.at)));
        Self { name: name.to_owned(), files, findings }
    }

    fn queries(&self, inventory: &Inventory) -> Result<ControlQueries, Vec<Diagnostic>> {
        match &self.files {
            Some(PolicyFiles { desired: Ok(desired), templates, .. }) => {
                ControlQueries::of_policy(desired, templates)?.over(inventory)
            }
            _ => Ok(ControlQueries::default()),
        }
    }
}

/// Previews the change between two states. Without an inventory, no violations are predicted.
///
/// # Errors
/// The diagnostics of a template that is not valid in a location of the inventory.
pub fn preview(
    before: PolicyState,
    after: PolicyState,
    inventory: Option<&Inventory>,
    prices: &Prices,
    now: Timestamp,
) -> Result<Preview, Vec<Diagnostic>> {
    let errors = after.findings.iter().filter(|finding| finding.level == Level::Error).count();
    let desired = |state: &PolicyState| state.files.as_ref().and_then(|files| files.desired.clone().ok());
    let (desired_before, desired_after) = (desired(&before), desired(&after));
    let (plan, kept) = match &desired_after {
        Some(desired) => plan_change(desired_before.as_ref(), desired),
        None => Default::default(),
    };
    let (mut violations, mut cost) = (None, None);
    if let (Some(inventory), Some(_)) = (inventory, &desired_after) {
        let queries = (before.queries(inventory)?, after.queries(inventory)?);
        let (predicted, comparison) = predict(inventory, &queries.0, &queries.1, today(now));
        violations = Some(predicted);
        cost = Some(prices.change(&comparison.before, &comparison.after));
    }
    let mut preview = Preview {
        version: 1,
        before: before.name,
        after: after.name,
        verdict: ChangeVerdict::Ok,
        reasons: Vec::new(),
        findings: added(before.findings, after.findings),
        plan,
        kept,
        violations,
        cost,
    };
    let limits = desired_after.map(|desired| desired.preview).unwrap_or_default();
    preview.judge(&limits, errors, now);
    Ok(preview)
}

/// Returns the findings after the change that were not there before, and all errors; a moved one is not new.
fn added(before: Vec<Diagnostic>, after: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut known: HashMap<(String, Option<&str>, String), usize> = HashMap::new();
    for finding in before {
        *known.entry((finding.file, finding.rule, finding.message)).or_default() += 1;
    }
    let is_new =
        |finding: &Diagnostic| match known.get_mut(&(finding.file.clone(), finding.rule, finding.message.clone())) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            _ => true,
        };
    after.into_iter().filter(is_new).collect()
}

/// The queries of a state over an inventory.
struct StateQueries<'a> {
    inventory: &'a Inventory,
    policy: &'a ControlQueries,
    asked: Vec<ControlQuery>,
    /// The group of each query.
    groups: Vec<&'a QueryGroup>,
    today: Date,
}

impl<'a> StateQueries<'a> {
    fn new(inventory: &'a Inventory, policy: &'a ControlQueries, today: Date) -> Self {
        let queries = policy.groups.iter();
        let (asked, groups) =
            queries.flat_map(|group| group.asked.iter().map(move |asked| (asked.clone(), group))).unzip();
        Self { inventory, policy, asked, groups, today }
    }

    /// Returns the group of the query of an evaluation.
    fn group(&self, evaluation: &Evaluation<'_>) -> Option<&'a QueryGroup> {
        self.groups.get(evaluation.query_index).copied()
    }

    fn applies(&self, evaluation: &Evaluation<'_>) -> bool {
        let location = evaluation.location(self.inventory);
        let (Some(group), Some((account, region, _))) = (self.group(evaluation), location) else { return false };
        group.applies(Some(account), Some(region))
    }

    fn is_exempt(&self, evaluation: &Evaluation<'_>) -> bool {
        let Some((account, region, _)) = evaluation.location(self.inventory) else { return false };
        let control = evaluation.query.control;
        let item = || ViolatingItem::new(self.inventory, control, &evaluation.subject, account, region);
        self.policy.has_exemptions() && self.policy.exemption(&item(), self.today).is_some()
    }

    fn violation(&self, evaluation: Evaluation<'_>) -> Option<PredictedViolation> {
        let (account, region, kind) = evaluation.location(self.inventory)?;
        let group = self.group(&evaluation)?;
        let arn = match evaluation.subject {
            Subject::Resource(resource) => Some(resource.arn()),
            _ => None,
        };
        Some(PredictedViolation {
            control: evaluation.query.control.name,
            framework: group.framework.clone(),
            account: account.clone(),
            region: region.clone(),
            resource_type: kind.to_owned(),
            resource: arn.unwrap_or_else(|| evaluation.subject.id()).to_owned(),
            name: evaluation.subject.name().map(str::to_owned),
            reason: evaluation.result.to_string(),
            fix: evaluation.fix(),
        })
    }
}

/// Compares the violations of both states.
fn predict(
    inventory: &Inventory,
    before: &ControlQueries,
    after: &ControlQueries,
    today: Date,
) -> (PredictedViolations, Comparison) {
    let (old, new) = (StateQueries::new(inventory, before, today), StateQueries::new(inventory, after, today));
    let mut listed: BTreeMap<ViolationChange, BTreeMap<_, Vec<PredictedViolation>>> = BTreeMap::new();
    let mut by_control: BTreeMap<&'static str, ControlChange> = BTreeMap::new();
    let comparison = compare(
        inventory,
        &ComparedState {
            queries: &old.asked,
            applies: &|evaluation| old.applies(evaluation),
            is_exempt: &|evaluation| old.is_exempt(evaluation),
        },
        &ComparedState {
            queries: &new.asked,
            applies: &|evaluation| new.applies(evaluation),
            is_exempt: &|evaluation| new.is_exempt(evaluation),
        },
        |change, evaluation| {
            let control = evaluation.query.control;
            let counts = by_control.entry(control.name).or_default();
            let (state, count) = match change {
                ViolationChange::New => (&new, &mut counts.new),
                ViolationChange::Resolved => (&old, &mut counts.resolved),
            };
            *count += 1;
            let same = listed.entry(change).or_default().entry(control.severity).or_default();
            if same.len() < MOST_LISTED {
                same.extend(state.violation(evaluation));
            }
        },
    );
    // The most severe first.
    let mut worst = |change| -> Vec<PredictedViolation> {
        let by_severity = listed.remove(&change).unwrap_or_default();
        by_severity.into_values().rev().flatten().take(MOST_LISTED).collect()
    };
    let counts = comparison.counts;
    let unread = after.unread(inventory, |_| true);
    let violations = PredictedViolations {
        inventory_as_of: inventory.as_of(),
        counts: PredictedCounts {
            new: counts.new,
            resolved: counts.resolved,
            unchanged: counts.unchanged,
            undecided: counts.undecided,
            exempt: counts.exempt,
        },
        by_control,
        new: worst(ViolationChange::New),
        resolved: worst(ViolationChange::Resolved),
        unread: unread.into_iter().map(unread_location).collect(),
    };
    (violations, comparison)
}

fn unread_location(part: UnreadPart) -> UnreadLocation {
    let reason = match part.part {
        Some(name) => format!("{name}: {}", part.reason),
        None => part.reason,
    };
    UnreadLocation { account: part.account, region: part.region, reason }
}
