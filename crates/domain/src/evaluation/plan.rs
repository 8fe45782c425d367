//! What backup plans do: how often they run, how long they keep, where their copies go.

use jiff::civil::Date;

use super::reason::{Flaw, Short, Unknown, Verdict, Why};
use super::schedule::{Longest, Schedule};
use super::truth::Truth;
use crate::inventory::document::{PlanPart, RulePart};
use crate::inventory::{Plan, Rule};

/// Days that continuous backups are kept at most (AWS Backup developer guide, "Continuous backups and point-in-time recovery").
const MOST_CONTINUOUS_DAYS: u64 = 35;

/// Whether one rule of a plan both runs often enough and keeps long enough.
///
/// A rule that makes continuous backups keeps its schedule too, and that is judged. Where the schedule alone is too seldom it is
/// undecided, since AWS does not say what the control makes of the rest.
pub(super) fn often_and_long(plan: &Plan, most_minutes: u64, days: u64, date: Date) -> Verdict<'_> {
    let mut unknown = Vec::new();
    let mut short = Vec::new();
    for rule in &plan.rules {
        let mut doubts = Vec::new();
        let mut retention = None;
        match rule.lifecycle.kept_days() {
            _ if rule.unread.contains(&RulePart::Lifecycle) => {
                doubts.push(Unknown::Rule { rule, part: RulePart::Lifecycle });
            }
            _ if rule.lifecycle.is_refused() => doubts.push(Unknown::RefusedLifecycle { rule }),
            Some(kept) if kept < days => retention = Some((kept, days)),
            kept if rule.continuous && days > MOST_CONTINUOUS_DAYS && kept.is_none_or(|kept| kept >= days) => {
                doubts.push(Unknown::ContinuousRetention { rule });
            }
            _ => {}
        }
        let mut frequency = None;
        if rule.unread.contains(&RulePart::Schedule) {
            doubts.push(Unknown::Rule { rule, part: RulePart::Schedule });
        } else {
            match Schedule::parse(rule.schedule.as_deref().unwrap_or(Schedule::DEFAULT)) {
                Ok(schedule) => match schedule.longest_gap(date) {
                    longest if longest <= Longest::Minutes(most_minutes) => {}
                    _ if rule.continuous => doubts.push(Unknown::Continuous { rule }),
                    longest => frequency = Some((longest, most_minutes)),
                },
                Err(problem) => doubts.push(Unknown::Schedule { rule, problem }),
            }
        }
        if frequency.is_some() || retention.is_some() {
            short.push(Short { rule, frequency, retention });
        } else if doubts.is_empty() {
            return Verdict::Compliant(Why::RuleMeets { rule });
        } else {
            unknown.extend(doubts);
        }
    }
    if plan.unread.contains(&PlanPart::Rules) {
        unknown.push(Unknown::Rules { plan });
    }
    if unknown.is_empty() { Verdict::NotCompliant(Flaw::NoRuleMeets(short)) } else { Verdict::Undecided(unknown) }
}

/// Copies that are asked for.
#[derive(Debug)]
pub(super) struct Copies<'a> {
    list: Vec<&'a str>,
    to: To,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    Region,
    Account,
}

impl<'a> Copies<'a> {
    /// To each of these Regions; without any, to some other Region.
    pub(super) fn to_regions(list: Vec<&'a str>) -> Self {
        Self { list, to: To::Region }
    }

    /// To each of these accounts; without any, to some other account.
    pub(super) fn to_accounts(list: Vec<&'a str>) -> Self {
        Self { list, to: To::Account }
    }

    pub(super) fn list(&self) -> &[&'a str] {
        &self.list
    }

    /// How many places a copy must go to.
    pub(super) fn targets(&self) -> usize {
        self.list.len().max(1)
    }

    /// Of each place: whether a plan makes a copy there.
    pub(super) fn made_by(&self, plan: &Plan) -> Vec<Truth> {
        let own = match self.to {
            To::Region => plan.region.as_str(),
            To::Account => plan.account.as_str(),
        };
        let unread = plan.unread.contains(&PlanPart::Rules)
            || plan.rules.iter().any(|rule| rule.unread.contains(&RulePart::Copies));
        let reached: Vec<Option<&str>> = copies(plan)
            .map(|arn| {
                let (region, account) = place(arn)?;
                Some(if self.to == To::Region { region } else { account }).filter(|to| !to.is_empty())
            })
            .collect();
        let made = |wanted: &dyn Fn(&str) -> bool| {
            let to_one = reached.iter().map(|to| to.map_or(Truth::Unknown, |to| wanted(to).into()));
            to_one.max().unwrap_or(Truth::No).or(if unread { Truth::Unknown } else { Truth::No })
        };
        if self.list.is_empty() {
            vec![made(&|to| to != own)]
        } else {
            self.list.iter().map(|target| made(&|to| to == *target)).collect()
        }
    }
}

fn copies(plan: &Plan) -> impl Iterator<Item = &str> {
    plan.rules.iter().flat_map(|rule| rule.copies.iter().map(|copy| copy.vault.as_str()))
}

/// Region and account of the ARN of a vault; one of which nobody knows whether it is the plan's own is empty.
fn place(arn: &str) -> Option<(&str, &str)> {
    let mut parts = arn.splitn(6, ':');
    let (arn, _, service) = (parts.next()?, parts.next()?, parts.next()?);
    let (region, account, _) = (parts.next()?, parts.next()?, parts.next()?);
    (arn == "arn" && service == "backup").then_some((region, account))
}

/// What must be known of a plan to tell where its copies go.
pub(super) fn unknown_copies(plan: &Plan) -> Vec<Unknown<'_>> {
    let mut unknown = unknown_parts(plan, RulePart::Copies);
    let is_clear = |arn: &str| place(arn).is_some_and(|(region, account)| !region.is_empty() && !account.is_empty());
    unknown.extend(copies(plan).filter(|arn| !is_clear(arn)).map(|arn| Unknown::CopyTarget { arn }));
    unknown
}

/// The rules of which a part is not known, and whether there may be more rules.
pub(super) fn unknown_parts(plan: &Plan, part: RulePart) -> Vec<Unknown<'_>> {
    let with = |rule: &&Rule| rule.unread.contains(&part);
    let mut unknown: Vec<Unknown<'_>> =
        plan.rules.iter().filter(with).map(|rule| Unknown::Rule { rule, part }).collect();
    if plan.unread.contains(&PlanPart::Rules) {
        unknown.push(Unknown::Rules { plan });
    }
    unknown
}
