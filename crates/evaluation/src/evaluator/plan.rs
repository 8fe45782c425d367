//! Evaluates backup plans: frequency, retention and copies.

use jiff::civil::Date;

use framework::backup::lifecycle;
use framework::backup::schedule::{LongestGap, Schedule};

use super::reason::ComplianceResult::{self, Compliant, NotCompliant, Undecided};
use super::reason::{ComplianceReason, NonComplianceReason, RuleShortfall, Uncertainty};
use super::ternary::Ternary;
use crate::inventory::document::{PlanPart, RulePart};
use crate::inventory::partial_arn::parts;
use crate::inventory::{InventoryLocation, Plan, Rule};

const MOST_CONTINUOUS_DAYS: u64 = lifecycle::MOST_CONTINUOUS_DAYS.unsigned_abs();

/// Evaluates whether one rule of a plan meets both frequency and retention.
///
/// A rule with continuous backups still has a schedule, which is evaluated. A schedule that is too infrequent is then
/// undecided, because AWS does not document how the control counts continuous backups.
pub(super) fn often_and_long(plan: &Plan, most_minutes: u64, days: u64, date: Date) -> ComplianceResult<'_> {
    let mut unknown = Vec::new();
    let mut short = Vec::new();
    for rule in &plan.rules {
        let mut uncertainties = Vec::new();
        let mut retention = None;
        match rule.lifecycle.kept_days() {
            _ if rule.unread.contains(&RulePart::Lifecycle) => {
                uncertainties.push(Uncertainty::Rule(rule, RulePart::Lifecycle));
            }
            _ if rule.lifecycle.is_refused() => uncertainties.push(Uncertainty::RefusedLifecycle(rule)),
            Some(kept) if kept < days => retention = Some((kept, days)),
            kept if rule.continuous && days > MOST_CONTINUOUS_DAYS && kept.is_none_or(|kept| kept >= days) => {
                uncertainties.push(Uncertainty::ContinuousRetention(rule));
            }
            _ => {}
        }
        let mut frequency = None;
        if rule.unread.contains(&RulePart::Schedule) {
            uncertainties.push(Uncertainty::Rule(rule, RulePart::Schedule));
        } else {
            match Schedule::parse(rule.schedule.as_deref().unwrap_or(Schedule::DEFAULT)) {
                Ok(schedule) => match schedule.longest_gap(date) {
                    longest if longest <= LongestGap::Minutes(most_minutes) => {}
                    _ if rule.continuous => uncertainties.push(Uncertainty::Continuous(rule)),
                    longest => frequency = Some((longest, most_minutes)),
                },
                Err(problem) => uncertainties.push(Uncertainty::Schedule(rule, problem)),
            }
        }
        if frequency.is_some() || retention.is_some() {
            short.push(RuleShortfall { rule, frequency, retention });
        } else if uncertainties.is_empty() {
            return Compliant(ComplianceReason::RuleMeets(rule));
        } else {
            unknown.extend(uncertainties);
        }
    }
    if plan.unread.contains(&PlanPart::Rules) {
        unknown.push(Uncertainty::Rules(plan));
    }
    if unknown.is_empty() { NotCompliant(NonComplianceReason::NoRuleMeets(short)) } else { Undecided(unknown) }
}

/// Copies that a control requires: to each of the list, or to any other than the plan's own if it is empty.
#[derive(Debug)]
pub(super) struct RequiredCopies<'a> {
    pub(super) list: Vec<&'a str>,
    pub(super) to: CopyTargetKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CopyTargetKind {
    Region,
    Account,
}

impl RequiredCopies<'_> {
    pub(super) fn targets(&self) -> usize {
        self.list.len().max(1)
    }

    /// Returns, for each target, whether the plan copies there. The Region and account of an unknown deployment target
    /// are unknown.
    pub(super) fn satisfied_by(&self, plan: &Plan, at: Option<&InventoryLocation>) -> Vec<Ternary> {
        let side = |(region, account)| if self.to == CopyTargetKind::Region { region } else { account };
        let own = side((plan.region.as_str(), plan.account.as_str()));
        let is_unknown = at.is_some_and(|at| match self.to {
            CopyTargetKind::Region => at.has_unknown_region,
            CopyTargetKind::Account => at.has_unknown_account,
        });
        let unread = plan.unread.contains(&PlanPart::Rules)
            || plan.rules.iter().any(|rule| rule.unread.contains(&RulePart::Copies));
        let known = |arn| location(arn).map(side).filter(|to| !to.is_empty());
        let reached: Vec<Option<&str>> = copies(plan).map(known).collect();
        let made = |wanted: &dyn Fn(&str) -> Ternary| {
            let to_one = reached.iter().map(|to| to.map_or(Ternary::Unknown, wanted));
            to_one.max().unwrap_or(Ternary::No).or(Ternary::unknown_if(unread))
        };
        if self.list.is_empty() {
            vec![made(&|to| match to {
                // A pseudo parameter is the plan's own.
                _ if to.starts_with('$') => Ternary::No,
                _ if is_unknown => Ternary::Unknown,
                _ => (to != own).into(),
            })]
        } else {
            let is_it =
                |to: &str, target: &str| if to.starts_with('$') { Ternary::Unknown } else { (to == target).into() };
            self.list.iter().map(|target| made(&|to| is_it(to, target))).collect()
        }
    }
}

fn copies(plan: &Plan) -> impl Iterator<Item = &str> {
    plan.rules.iter().flat_map(|rule| rule.copies.iter().map(|copy| copy.vault.as_str()))
}

/// Returns Region and account of a vault ARN. An empty part means that it is unknown whether it differs from the
/// plan's own.
fn location(arn: &str) -> Option<(&str, &str)> {
    let [arn, _, service, region, account, _] = parts(arn)?;
    (arn == "arn" && service == "backup").then_some((region, account))
}

pub(super) fn unknown_copies<'a>(plan: &'a Plan, at: Option<&InventoryLocation>) -> Vec<Uncertainty<'a>> {
    let mut unknown = unknown_parts(plan, RulePart::Copies);
    let is_target_known = at.is_none_or(|at| !at.has_unknown_region && !at.has_unknown_account);
    let is_known = |part: &str| !part.is_empty() && !part.starts_with('$');
    let is_clear = |arn: &str| {
        is_target_known && location(arn).is_some_and(|(region, account)| is_known(region) && is_known(account))
    };
    unknown.extend(copies(plan).filter(|arn| !is_clear(arn)).map(Uncertainty::CopyTarget));
    unknown
}

/// Returns the rules with an unread part, and whether rules are missing.
pub(super) fn unknown_parts(plan: &Plan, part: RulePart) -> Vec<Uncertainty<'_>> {
    let with = |rule: &&Rule| rule.unread.contains(&part);
    let mut unknown: Vec<Uncertainty<'_>> =
        plan.rules.iter().filter(with).map(|rule| Uncertainty::Rule(rule, part)).collect();
    if plan.unread.contains(&PlanPart::Rules) {
        unknown.push(Uncertainty::Rules(plan));
    }
    unknown
}
