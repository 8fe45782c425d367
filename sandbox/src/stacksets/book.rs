//! StackSets, their instances and operations, without the world around them: what an operation does when it begins and ends.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::ids;
use crate::organization::Standing;

/// An account and a Region.
pub(super) type Place = (String, String);

#[derive(Debug, Default)]
pub(super) struct Book {
    /// By name, those that a delegated administrator made apart: they are another account's.
    pub(super) sets: BTreeMap<(bool, String), Set>,
    /// Ids of StackSets that are no more: they can still be described.
    pub(super) deleted: BTreeMap<String, Set>,
    pub(super) conditions: Conditions,
    /// Stacks of members that moto is to be told of.
    pub(super) stacks: Vec<(&'static str, Place, Member)>,
}

/// What lets operations fail.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    failures: Vec<Failure>,
    /// Accounts without the role that self-managed StackSets work through.
    pub(super) without_role: BTreeSet<String>,
}

#[derive(Debug)]
struct Failure {
    place: Place,
    reason: String,
    times: u32,
}

/// A StackSet.
#[derive(Debug, Clone, Default)]
pub(super) struct Set {
    pub(super) id: String,
    pub(super) definition: Definition,
    pub(super) managed_execution: bool,
    /// Units and Regions that were deployed to as a whole, or but for some accounts: new accounts there get the stack, if
    /// auto-deployment is on. Of a list of accounts in a unit AWS says nothing; here it is none.
    pub(super) auto_targets: BTreeMap<String, BTreeSet<String>>,
    pub(super) operations: Vec<Operation>,
    pub(super) members: BTreeMap<Place, Member>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Definition {
    pub(super) template: String,
    pub(super) parameters: BTreeMap<String, String>,
    pub(super) description: String,
    pub(super) capabilities: Vec<String>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) administration_role: Option<String>,
    pub(super) execution_role: Option<String>,
    pub(super) service_managed: bool,
    /// Enabled, and whether stacks are retained; with service-managed permissions only.
    pub(super) auto_deployment: Option<(bool, bool)>,
}

/// A stack instance, with what its stack was last deployed with.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) template: String,
    /// The parameters of the StackSet with the overrides of this instance on top.
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) deployed: bool,
    pub(super) overrides: BTreeMap<String, String>,
    pub(super) unit: Option<String>,
    pub(super) stack_id: String,
    pub(super) status: &'static str,
    pub(super) detailed: &'static str,
    pub(super) reason: String,
    pub(super) last_operation: String,
}

#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) action: &'static str,
    pub(super) outcomes: Vec<Outcome>,
    /// What instances are given; `None` leaves them what they have.
    pub(super) overrides: Option<BTreeMap<String, String>>,
    /// Every instance there is when it begins.
    pub(super) all: bool,
    pub(super) preferences: Preferences,
    pub(super) retain: bool,
    pub(super) stage: Stage,
    pub(super) stopping: bool,
    pub(super) created: String,
    /// Set once it is over.
    pub(super) ended: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Waits for another one to end.
    Queued,
    /// Runs until then.
    Running(Instant),
    Ended,
}

#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub(super) place: Place,
    /// The unit through which it is reached.
    pub(super) unit: Option<String>,
    pub(super) result: Fate,
}

/// What becomes of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    Succeeds,
    Fails(String),
    /// The account is suspended: it is left alone.
    Skipped,
    /// A Region before it had more failures than are tolerated, or the operation was stopped.
    Cancelled,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Preferences {
    pub(super) tolerance: Tolerance,
    /// Regions one after the other, in this order and then as they come; `None`: all at once.
    pub(super) in_order: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Tolerance {
    Count(usize),
    Percentage(usize),
}

impl Default for Tolerance {
    fn default() -> Self {
        Self::Count(0)
    }
}

impl Tolerance {
    fn is_exceeded(self, all: usize, failed: usize) -> bool {
        match self {
            Self::Count(count) => failed > count,
            Self::Percentage(percentage) => failed > all * percentage / 100,
        }
    }
}

impl Conditions {
    pub(super) fn fail(&mut self, account: &str, region: &str, reason: &str, times: u32) {
        let place = (account.to_owned(), region.to_owned());
        self.failures.push(Failure { place, reason: reason.to_owned(), times });
    }

    /// The forced failure of a place, which is used up by that.
    fn failure_at(&mut self, place: &Place) -> Option<String> {
        let at = self.failures.iter().position(|failure| failure.place == *place)?;
        let failure = self.failures.get_mut(at)?;
        let reason = failure.reason.clone();
        failure.times = failure.times.saturating_sub(1);
        if failure.times == 0 {
            self.failures.remove(at);
        }
        Some(reason)
    }

    /// What becomes of an instance now that its operation begins.
    fn fate(&mut self, set: &Set, place: &Place, standing: &Standing, retain: bool) -> Fate {
        let (account, _) = place;
        if retain {
            // The stack is not touched, so nothing can be in the way.
            return Fate::Succeeds;
        }
        if standing.suspended.contains(account) {
            return Fate::Skipped;
        }
        if !set.definition.service_managed && self.without_role.contains(account) {
            return Fate::Fails(set.definition.missing_role(account));
        }
        if let Some(reason) = self.failure_at(place) {
            return Fate::Fails(reason);
        }
        match set.members.get(place) {
            Some(member) if member.status == "INOPERABLE" => {
                Fate::Fails("The stack instance is inoperable: delete it with its stack retained".to_owned())
            }
            _ => Fate::Succeeds,
        }
    }
}

impl Definition {
    /// CloudFormation's words ("Troubleshooting StackSets" of its user guide).
    fn missing_role(&self, account: &str) -> String {
        let execution = self.execution_role.as_deref().unwrap_or("AWSCloudFormationStackSetExecutionRole");
        let administration = self.administration_role.as_deref().and_then(|arn| arn.rsplit('/').next());
        let administration = administration.unwrap_or("AWSCloudFormationStackSetAdministrationRole");
        format!("Account {account} should have '{execution}' role with trust relationship to Role '{administration}'.")
    }
}

impl Book {
    /// Ends the operations whose time is over, and begins those that waited for them.
    pub(super) fn settle(&mut self, now: Instant, delay: Duration, standing: &Standing) {
        for set in self.sets.values_mut() {
            loop {
                let ended = set.settle(now, &mut self.stacks);
                if !set.begin_next(now + delay, &mut self.conditions, standing) && !ended {
                    break;
                }
            }
        }
    }
}

impl Set {
    pub(super) fn is_busy(&self) -> bool {
        self.operations.iter().any(|operation| operation.stage != Stage::Ended)
    }

    pub(super) fn name(&self) -> &str {
        self.id.split(':').next().unwrap_or_default()
    }

    /// Takes an operation on; it begins at once, unless another one is going on.
    pub(super) fn accept(
        &mut self,
        operation: Operation,
        over: Instant,
        conditions: &mut Conditions,
        standing: &Standing,
    ) {
        self.operations.push(operation);
        self.begin_next(over, conditions, standing);
    }

    /// Begins the oldest operation that waits, if none is going on.
    fn begin_next(&mut self, over: Instant, conditions: &mut Conditions, standing: &Standing) -> bool {
        if self.operations.iter().any(|operation| matches!(operation.stage, Stage::Running(_))) {
            return false;
        }
        let Some(at) = self.operations.iter().position(|operation| operation.stage == Stage::Queued) else {
            return false;
        };
        let mut operation = self.operations.remove(at);
        operation.stage = Stage::Running(over);
        if operation.all {
            let members = self.members.iter().map(|(place, member)| Outcome {
                place: place.clone(),
                unit: member.unit.clone(),
                result: Fate::Succeeds,
            });
            operation.outcomes = members.collect();
        }
        if operation.action != "CREATE" {
            operation.outcomes.retain(|outcome| self.members.contains_key(&outcome.place));
        }
        for outcome in &mut operation.outcomes {
            outcome.result = conditions.fate(self, &outcome.place, standing, operation.retain);
        }
        operation.cancel_after_failures();
        for outcome in &operation.outcomes {
            self.begin(&operation, outcome);
        }
        self.operations.insert(at, operation);
        true
    }

    fn begin(&mut self, operation: &Operation, outcome: &Outcome) {
        let (account, region) = &outcome.place;
        let name = self.name().to_owned();
        let fresh = || Member {
            template: String::new(),
            parameters: BTreeMap::new(),
            deployed: false,
            overrides: operation.overrides.clone().unwrap_or_default(),
            unit: outcome.unit.clone(),
            stack_id: format!(
                "arn:aws:cloudformation:{region}:{account}:stack/StackSet-{name}-{}/{}",
                ids::uuid(),
                ids::uuid()
            ),
            status: "OUTDATED",
            detailed: "PENDING",
            reason: String::new(),
            last_operation: String::new(),
        };
        let member = self.members.entry(outcome.place.clone()).or_insert_with(fresh);
        if member.status != "INOPERABLE" {
            member.status = "OUTDATED";
            (member.detailed, member.reason) = ("RUNNING", "User Initiated".to_owned());
        }
        member.last_operation.clone_from(&operation.id);
        // Creating an instance that is there leaves it what it has.
        if let (Some(overrides), "UPDATE") = (&operation.overrides, operation.action) {
            member.overrides.clone_from(overrides);
        }
    }

    /// Ends the operation whose time is over, if there is one.
    fn settle(&mut self, now: Instant, stacks: &mut Vec<(&'static str, Place, Member)>) -> bool {
        let due = |operation: &Operation| matches!(operation.stage, Stage::Running(over) if over <= now);
        let Some(at) = self.operations.iter().position(due) else { return false };
        let mut operation = self.operations.remove(at);
        operation.stage = Stage::Ended;
        operation.ended = Some(ids::now_millis());
        if operation.stopping {
            // It was at the first when it was asked to stop.
            for outcome in operation.outcomes.iter_mut().skip(1) {
                outcome.result = Fate::Cancelled;
            }
        }
        for outcome in &operation.outcomes {
            self.end(&operation, outcome, stacks);
        }
        self.operations.insert(at, operation);
        true
    }

    fn end(&mut self, operation: &Operation, outcome: &Outcome, stacks: &mut Vec<(&'static str, Place, Member)>) {
        let place = &outcome.place;
        if operation.action == "DELETE" && outcome.result == Fate::Succeeds {
            let gone = self.members.remove(place);
            stacks.extend(gone.filter(|_| !operation.retain).map(|member| ("DeleteStack", place.clone(), member)));
            return;
        }
        let Some(member) = self.members.get_mut(place) else { return };
        match &outcome.result {
            Fate::Succeeds => {
                let stack = if member.deployed { "UpdateStack" } else { "CreateStack" };
                (member.status, member.detailed, member.deployed) = ("CURRENT", "SUCCEEDED", true);
                member.reason.clear();
                member.template.clone_from(&self.definition.template);
                member.parameters = self.definition.parameters.clone();
                member.parameters.extend(member.overrides.clone());
                stacks.push((stack, place.clone(), member.clone()));
            }
            Fate::Fails(reason) => {
                let is_delete = operation.action == "DELETE" || member.status == "INOPERABLE";
                member.status = if is_delete { "INOPERABLE" } else { "OUTDATED" };
                member.detailed = if is_delete { "INOPERABLE" } else { "FAILED" };
                member.reason.clone_from(reason);
            }
            Fate::Skipped => {
                member.detailed = "SKIPPED_SUSPENDED_ACCOUNT";
                member.reason = format!("Account {} is suspended", place.0);
            }
            Fate::Cancelled => {
                member.detailed = "CANCELLED";
                member.reason = operation.why_cancelled().to_owned();
            }
        }
    }

    /// All instances are behind a new definition until an operation has come to them.
    pub(super) fn outdate(&mut self) {
        for member in self.members.values_mut().filter(|member| member.status == "CURRENT") {
            (member.status, member.detailed) = ("OUTDATED", "PENDING");
        }
    }
}

impl Operation {
    /// A Region with more failures than are tolerated is the last that is worked on, where Regions go one after the other.
    fn cancel_after_failures(&mut self) {
        let Some(order) = &self.preferences.in_order else { return };
        let mut regions = order.clone();
        for outcome in &self.outcomes {
            if !regions.contains(&outcome.place.1) {
                regions.push(outcome.place.1.clone());
            }
        }
        let counts = self.counts();
        let last = regions.iter().position(|region| {
            counts
                .get(region.as_str())
                .is_some_and(|(all, failed)| self.preferences.tolerance.is_exceeded(*all, *failed))
        });
        let Some(last) = last else { return };
        let reached: BTreeSet<String> = regions.into_iter().take(last + 1).collect();
        for outcome in self.outcomes.iter_mut().filter(|outcome| !reached.contains(&outcome.place.1)) {
            outcome.result = Fate::Cancelled;
        }
    }

    /// Instances of each Region, and failures among them.
    fn counts(&self) -> BTreeMap<&str, (usize, usize)> {
        let mut regions: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for outcome in &self.outcomes {
            let (all, failed) = regions.entry(&outcome.place.1).or_default();
            *all += 1;
            *failed += usize::from(matches!(outcome.result, Fate::Fails(_)));
        }
        regions
    }

    pub(super) fn failed(&self) -> usize {
        self.outcomes.iter().filter(|outcome| matches!(outcome.result, Fate::Fails(_))).count()
    }

    pub(super) fn why_cancelled(&self) -> &'static str {
        if self.stopping {
            "Cancelled since the operation was stopped"
        } else {
            "Cancelled since failure tolerance has exceeded"
        }
    }

    /// Over, it has failed when one Region has more failures than are tolerated.
    pub(super) fn status(&self) -> &'static str {
        match self.stage {
            Stage::Queued => "QUEUED",
            Stage::Running(_) if self.stopping => "STOPPING",
            Stage::Running(_) => "RUNNING",
            Stage::Ended if self.stopping => "STOPPED",
            Stage::Ended => {
                let counts = self.counts();
                let beyond = counts.values().any(|(all, failed)| self.preferences.tolerance.is_exceeded(*all, *failed));
                if beyond { "FAILED" } else { "SUCCEEDED" }
            }
        }
    }
}
