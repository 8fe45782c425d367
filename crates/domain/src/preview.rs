//! The preview of a change to the policy: new findings, rollout, violations, cost, and a verdict by the limits of the policy.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, Serializer};

use framework::control::{self, Severity};
use framework::ids::{AccountId, RegionName, StackSetName};
use syntax::diagnostic::{Diagnostic, Level};

use crate::cost::CostChange;
use crate::policy::PreviewLimits;
use crate::rollout::plan::{InstanceCounts, RolloutPlan};

mod markdown;
#[cfg(test)]
mod tests;

pub use markdown::{MAX_COMMENT_CHARACTERS, finding_comment};

/// An inventory that is older than this may be wrong: the verdict is at most [`ChangeVerdict::Attention`].
pub const MAX_INVENTORY_AGE: SignedDuration = SignedDuration::from_hours(48);

/// The effects of a change.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// The version of this format.
    pub version: u32,
    /// The state before the change: a folder, or a commit.
    pub before: String,
    /// The state after the change.
    pub after: String,
    /// The verdict.
    pub verdict: ChangeVerdict,
    /// The reasons for the verdict, the most important first; empty if it is [`ChangeVerdict::Ok`].
    pub reasons: Vec<String>,
    /// The errors of lint after the change, and the warnings that it adds.
    #[serde(serialize_with = "with_levels")]
    pub findings: Vec<Diagnostic>,
    /// The rollout of each framework from the state before, as if that was rolled out completely; empty if lint rejects a state.
    pub plan: Vec<RolloutPlan>,
    /// Frameworks that leave the policy and stay deployed.
    pub kept: Vec<StackSetName>,
    /// The violations; `None` without an inventory, or if lint rejects a state.
    pub violations: Option<PredictedViolations>,
    /// The cost of evaluations; `None` without violations.
    pub cost: Option<CostChange>,
}

/// Serializes findings with their levels, which separate lists have elsewhere.
fn with_levels<S: Serializer>(findings: &[Diagnostic], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Finding<'a> {
        level: &'static str,
        #[serde(flatten)]
        diagnostic: &'a Diagnostic,
    }
    serializer.collect_seq(findings.iter().map(|diagnostic| Finding { level: diagnostic.level.as_str(), diagnostic }))
}

/// The verdict on a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ChangeVerdict {
    /// No limit is exceeded, and everything was judged.
    Ok,
    /// No limit is exceeded, but a person should look.
    Attention,
    /// `deploy` would reject the policy, or the change exceeds a limit.
    Blocked,
}

impl ChangeVerdict {
    /// Returns the verdict in one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Attention => "attention",
            Self::Blocked => "blocked",
        }
    }
}

/// The violations of the resources in an inventory, before and after a change.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PredictedViolations {
    /// The time of the inventory.
    pub inventory_as_of: Timestamp,
    /// The numbers.
    pub counts: PredictedCounts,
    /// The numbers of new and resolved violations, by control.
    pub by_control: BTreeMap<&'static str, ControlChange>,
    /// The violations that `report` will report after the change and not before; the most severe first.
    pub new: Vec<PredictedViolation>,
    /// The violations that are reported before the change and not after.
    pub resolved: Vec<PredictedViolation>,
    /// Accounts and Regions of the policy of which the inventory has not everything.
    pub unread: Vec<UnreadLocation>,
}

/// Numbers of predicted violations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct PredictedCounts {
    /// Added.
    pub new: u64,
    /// Removed.
    pub resolved: u64,
    /// Reported before and after.
    pub unchanged: u64,
    /// Undecided after the change.
    pub undecided: u64,
    /// Exempt after the change.
    pub exempt: u64,
}

/// Numbers of one control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct ControlChange {
    /// Added.
    pub new: u64,
    /// Removed.
    pub resolved: u64,
}

/// One violation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PredictedViolation {
    /// The control.
    pub control: &'static str,
    /// The framework.
    pub framework: String,
    /// The account.
    pub account: AccountId,
    /// The Region.
    pub region: RegionName,
    /// The type in AWS Config.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// The ARN, or the id in AWS Config.
    pub resource: String,
    /// The name, if it has one.
    pub name: Option<String>,
    /// The reason.
    pub reason: String,
    /// The fix.
    pub fix: Option<String>,
}

impl PredictedViolation {
    /// Returns the name, unless ARN or id contain it.
    pub fn other_name(&self) -> Option<&str> {
        self.name.as_deref().filter(|name| !name.is_empty() && !self.resource.contains(name))
    }

    /// Returns the severity of the control.
    pub fn severity(&self) -> Severity {
        control::find(self.control).map_or(Severity::Medium, |control| control.severity)
    }
}

/// An account and Region of which the inventory has not everything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct UnreadLocation {
    /// The account.
    pub account: AccountId,
    /// The Region.
    pub region: RegionName,
    /// The missing part and the reason.
    pub reason: String,
}

impl Preview {
    /// Judges the change by the limits of the policy, at a time. `errors` are the errors of lint after the change.
    ///
    /// What could not be judged is never [`ChangeVerdict::Ok`].
    pub fn judge(&mut self, limits: &PreviewLimits, errors: usize, now: Timestamp) {
        let (mut blocked, mut attention) = (Vec::new(), Vec::new());
        if errors > 0 {
            blocked.push(format!("lint has {}: `deploy` would reject the policy", number(errors as u64, "error")));
        }
        let warnings = self.findings.iter().filter(|finding| finding.level == Level::Warning).count();
        if warnings > 0 {
            attention.push(format!("lint has {}", number(warnings as u64, "new warning")));
        }
        match &self.violations {
            Some(violations) => {
                let PredictedCounts { new, undecided, .. } = violations.counts;
                let counts = [
                    (new, limits.max_new_violations, "new violation", "maxNewViolations"),
                    (undecided, limits.max_undecided, "undecided result", "maxUndecided"),
                ];
                for (count, limit, noun, key) in counts {
                    match limit {
                        Some(limit) if count > u64::from(limit) => {
                            blocked.push(format!("{}: the limit is {limit} (`preview.{key}`)", number(count, noun)));
                        }
                        None if count > 0 => attention.push(number(count, noun)),
                        _ => {}
                    }
                }
                if !violations.unread.is_empty() {
                    let unread = number(violations.unread.len() as u64, "part");
                    attention.push(format!("{unread} of the inventory not read"));
                }
                let age = now.duration_since(violations.inventory_as_of);
                if age > MAX_INVENTORY_AGE {
                    attention.push(format!("the inventory is {} old", number(age.as_hours().unsigned_abs(), "hour")));
                }
            }
            None if errors == 0 => attention.push("violations are not predicted".to_owned()),
            None => {}
        }
        if let (Some(limit), Some(cost)) = (limits.max_monthly_increase, &self.cost)
            && cost.increase.high > f64::from(limit)
        {
            blocked.push(format!(
                "up to {:.2} {} a month more: the limit is {limit} (`preview.maxMonthlyIncrease`)",
                cost.increase.high, cost.currency
            ));
        }
        self.verdict = match (blocked.is_empty(), attention.is_empty()) {
            (false, _) => ChangeVerdict::Blocked,
            (true, false) => ChangeVerdict::Attention,
            (true, true) => ChangeVerdict::Ok,
        };
        self.reasons = blocked.into_iter().chain(attention).collect();
    }

    /// Returns the sum of the planned stack instances, by action.
    pub fn instances(&self) -> InstanceCounts {
        let mut sum = InstanceCounts::default();
        self.plan.iter().for_each(|plan| sum.add(plan.instances));
        sum
    }
}

/// `1 violation`, `6 violations`.
fn number(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
