//! The state of StackSets, their instances and operations, without I/O: the effects of an operation when it begins
//! and ends.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::ids::{self, AccountRegion};
use crate::organization::AccountRestrictions;

#[derive(Debug, Default)]
pub(super) struct StackSetBook {
    /// By caller (`true`: a delegated administrator, whose StackSets are separate) and name.
    pub(super) sets: BTreeMap<(bool, String), StackSetRecord>,
    /// Deleted StackSets by id: they can still be described.
    pub(super) deleted: BTreeMap<String, StackSetRecord>,
    pub(super) conditions: FaultConditions,
    /// Changes of member stacks that moto did not receive yet.
    pub(super) stacks: Vec<(&'static str, AccountRegion, StackInstance)>,
}

/// Conditions under which operations fail.
#[derive(Debug, Default)]
pub(super) struct FaultConditions {
    failures: Vec<InjectedFailure>,
    /// Accounts without the execution role of self-managed StackSets.
    pub(super) without_role: BTreeSet<String>,
}

#[derive(Debug)]
struct InjectedFailure {
    location: AccountRegion,
    reason: String,
    times: u32,
}

#[derive(Debug, Clone, Default)]
pub(super) struct StackSetRecord {
    pub(super) id: String,
    pub(super) definition: StackSetDefinition,
    pub(super) managed_execution: bool,
    /// Units and Regions that were deployed to as a whole, or with `DIFFERENCE`: with auto-deployment, new accounts
    /// in them get the stack. AWS does not document this for `INTERSECTION`; here such a list of accounts is not
    /// followed.
    pub(super) auto_targets: BTreeMap<String, BTreeSet<String>>,
    pub(super) operations: Vec<StackSetOperation>,
    pub(super) members: BTreeMap<AccountRegion, StackInstance>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct StackSetDefinition {
    pub(super) template: String,
    pub(super) parameters: BTreeMap<String, String>,
    pub(super) description: String,
    pub(super) capabilities: Vec<String>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) administration_role: Option<String>,
    pub(super) execution_role: Option<String>,
    pub(super) service_managed: bool,
    /// Whether auto-deployment is enabled, and whether it retains stacks; only with service-managed permissions.
    pub(super) auto_deployment: Option<(bool, bool)>,
}

/// A stack instance, with the template and the parameters of its last deployment.
#[derive(Debug, Clone)]
pub(crate) struct StackInstance {
    pub(crate) template: String,
    /// The parameters of the StackSet with the overrides of this instance.
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
pub(super) struct StackSetOperation {
    pub(super) id: String,
    pub(super) action: &'static str,
    pub(super) outcomes: Vec<InstanceOutcome>,
    /// The parameter overrides of the request; `None` keeps those of the instances.
    pub(super) overrides: Option<BTreeMap<String, String>>,
    /// Whether it changes all instances that exist when it begins.
    pub(super) all: bool,
    pub(super) preferences: OperationPreferences,
    pub(super) retain: bool,
    pub(super) stage: OperationStage,
    pub(super) stopping: bool,
    pub(super) created: String,
    /// Set at its end.
    pub(super) ended: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OperationStage {
    /// Waits for the end of another operation.
    Queued,
    /// Runs until this time.
    Running(Instant),
    Ended,
}

#[derive(Debug, Clone)]
pub(super) struct InstanceOutcome {
    pub(super) location: AccountRegion,
    /// The unit that the account was selected through.
    pub(super) unit: Option<String>,
    pub(super) result: InstanceResult,
}

/// The result of an operation for one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum InstanceResult {
    Succeeded,
    Failed(String),
    /// Skipped, because the account is suspended.
    Skipped,
    /// An earlier Region exceeded the failure tolerance, or the operation was stopped.
    Cancelled,
}

#[derive(Debug, Clone, Default)]
pub(super) struct OperationPreferences {
    pub(super) tolerance: FailureTolerance,
    /// Regions in sequence, in this order and then in the order of the instances; `None`: in parallel.
    pub(super) in_order: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum FailureTolerance {
    Count(usize),
    Percentage(usize),
}

impl Default for FailureTolerance {
    fn default() -> Self {
        Self::Count(0)
    }
}

impl FailureTolerance {
    fn is_exceeded(self, all: usize, failed: usize) -> bool {
        match self {
            Self::Count(count) => failed > count,
            Self::Percentage(percentage) => failed > all * percentage / 100,
        }
    }
}

impl FaultConditions {
    pub(super) fn fail(&mut self, account: &str, region: &str, reason: &str, times: u32) {
        let location = (account.to_owned(), region.to_owned());
        self.failures.push(InjectedFailure { location, reason: reason.to_owned(), times });
    }

    /// Returns and counts the injected failure of an instance.
    fn failure_at(&mut self, location: &AccountRegion) -> Option<String> {
        let at = self.failures.iter().position(|failure| failure.location == *location)?;
        let failure = self.failures.get_mut(at)?;
        let reason = failure.reason.clone();
        failure.times = failure.times.saturating_sub(1);
        if failure.times == 0 {
            self.failures.remove(at);
        }
        Some(reason)
    }

    /// Returns the result of an instance when its operation begins.
    fn result_at(
        &mut self,
        set: &StackSetRecord,
        location: &AccountRegion,
        restrictions: &AccountRestrictions,
        retain: bool,
    ) -> InstanceResult {
        let (account, _) = location;
        if retain {
            // The stack is not changed, so the operation cannot fail.
            return InstanceResult::Succeeded;
        }
        if restrictions.suspended.contains(account) {
            return InstanceResult::Skipped;
        }
        if !set.definition.service_managed && self.without_role.contains(account) {
            return InstanceResult::Failed(set.definition.missing_role(account));
        }
        if let Some(reason) = self.failure_at(location) {
            return InstanceResult::Failed(reason);
        }
        match set.members.get(location) {
            Some(member) if member.status == "INOPERABLE" => {
                InstanceResult::Failed("The stack instance is inoperable: delete it with its stack retained".to_owned())
            }
            _ => InstanceResult::Succeeded,
        }
    }
}

impl StackSetDefinition {
    /// Returns CloudFormation's message ("Troubleshooting StackSets" of its user guide).
    fn missing_role(&self, account: &str) -> String {
        let execution = self.execution_role.as_deref().unwrap_or("AWSCloudFormationStackSetExecutionRole");
        let administration = self.administration_role.as_deref().and_then(|arn| arn.rsplit('/').next());
        let administration = administration.unwrap_or("AWSCloudFormationStackSetAdministrationRole");
        format!("Account {account} should have '{execution}' role with trust relationship to Role '{administration}'.")
    }
}

impl StackSetBook {
    /// Ends the operations whose time is over, and begins the next ones.
    pub(super) fn settle(&mut self, now: Instant, delay: Duration, restrictions: &AccountRestrictions) {
        for set in self.sets.values_mut() {
            loop {
                let ended = set.settle(now, &mut self.stacks);
                if !set.begin_next(now + delay, &mut self.conditions, restrictions) && !ended {
                    break;
                }
            }
        }
    }
}

impl StackSetRecord {
    pub(super) fn is_busy(&self) -> bool {
        self.operations.iter().any(|operation| operation.stage != OperationStage::Ended)
    }

    pub(super) fn name(&self) -> &str {
        self.id.split(':').next().unwrap_or_default()
    }

    /// Adds an operation; it begins at once, unless another one runs.
    pub(super) fn accept(
        &mut self,
        operation: StackSetOperation,
        over: Instant,
        conditions: &mut FaultConditions,
        restrictions: &AccountRestrictions,
    ) {
        self.operations.push(operation);
        self.begin_next(over, conditions, restrictions);
    }

    /// Begins the oldest queued operation, unless another one runs.
    fn begin_next(
        &mut self,
        over: Instant,
        conditions: &mut FaultConditions,
        restrictions: &AccountRestrictions,
    ) -> bool {
        if self.operations.iter().any(|operation| matches!(operation.stage, OperationStage::Running(_))) {
            return false;
        }
        let Some(at) = self.operations.iter().position(|operation| operation.stage == OperationStage::Queued) else {
            return false;
        };
        let mut operation = self.operations.remove(at);
        operation.stage = OperationStage::Running(over);
        if operation.all {
            let members = self.members.iter().map(|(location, member)| InstanceOutcome {
                location: location.clone(),
                unit: member.unit.clone(),
                result: InstanceResult::Succeeded,
            });
            operation.outcomes = members.collect();
        }
        if operation.action != "CREATE" {
            operation.outcomes.retain(|outcome| self.members.contains_key(&outcome.location));
        }
        for outcome in &mut operation.outcomes {
            outcome.result = conditions.result_at(self, &outcome.location, restrictions, operation.retain);
        }
        operation.cancel_after_failures();
        for outcome in &operation.outcomes {
            self.begin(&operation, outcome);
        }
        self.operations.insert(at, operation);
        true
    }

    fn begin(&mut self, operation: &StackSetOperation, outcome: &InstanceOutcome) {
        let (account, region) = &outcome.location;
        let name = self.name().to_owned();
        let fresh = || StackInstance {
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
        let member = self.members.entry(outcome.location.clone()).or_insert_with(fresh);
        if member.status != "INOPERABLE" {
            member.status = "OUTDATED";
            (member.detailed, member.reason) = ("RUNNING", "User Initiated".to_owned());
        }
        member.last_operation.clone_from(&operation.id);
        // `CreateStackInstances` keeps the overrides of existing instances.
        if let (Some(overrides), "UPDATE") = (&operation.overrides, operation.action) {
            member.overrides.clone_from(overrides);
        }
    }

    /// Ends the operation whose time is over.
    fn settle(&mut self, now: Instant, stacks: &mut Vec<(&'static str, AccountRegion, StackInstance)>) -> bool {
        let due =
            |operation: &StackSetOperation| matches!(operation.stage, OperationStage::Running(over) if over <= now);
        let Some(at) = self.operations.iter().position(due) else { return false };
        let mut operation = self.operations.remove(at);
        operation.stage = OperationStage::Ended;
        operation.ended = Some(ids::now_millis());
        if operation.stopping {
            // The first instance was in progress when the operation was stopped.
            for outcome in operation.outcomes.iter_mut().skip(1) {
                outcome.result = InstanceResult::Cancelled;
            }
        }
        for outcome in &operation.outcomes {
            self.end(&operation, outcome, stacks);
        }
        self.operations.insert(at, operation);
        true
    }

    fn end(
        &mut self,
        operation: &StackSetOperation,
        outcome: &InstanceOutcome,
        stacks: &mut Vec<(&'static str, AccountRegion, StackInstance)>,
    ) {
        let location = &outcome.location;
        if operation.action == "DELETE" && outcome.result == InstanceResult::Succeeded {
            let gone = self.members.remove(location);
            stacks.extend(gone.filter(|_| !operation.retain).map(|member| ("DeleteStack", location.clone(), member)));
            return;
        }
        let Some(member) = self.members.get_mut(location) else { return };
        match &outcome.result {
            InstanceResult::Succeeded => {
                let stack = if member.deployed { "UpdateStack" } else { "CreateStack" };
                (member.status, member.detailed, member.deployed) = ("CURRENT", "SUCCEEDED", true);
                member.reason.clear();
                member.template.clone_from(&self.definition.template);
                member.parameters = self.definition.parameters.clone();
                member.parameters.extend(member.overrides.clone());
                stacks.push((stack, location.clone(), member.clone()));
            }
            InstanceResult::Failed(reason) => {
                let is_delete = operation.action == "DELETE" || member.status == "INOPERABLE";
                member.status = if is_delete { "INOPERABLE" } else { "OUTDATED" };
                member.detailed = if is_delete { "INOPERABLE" } else { "FAILED" };
                member.reason.clone_from(reason);
            }
            InstanceResult::Skipped => {
                member.detailed = "SKIPPED_SUSPENDED_ACCOUNT";
                member.reason = format!("Account {} is suspended", location.0);
            }
            InstanceResult::Cancelled => {
                member.detailed = "CANCELLED";
                member.reason = operation.cancellation_reason().to_owned();
            }
        }
    }

    /// Marks the instances as outdated until the next operation.
    pub(super) fn outdate(&mut self) {
        for member in self.members.values_mut().filter(|member| member.status == "CURRENT") {
            (member.status, member.detailed) = ("OUTDATED", "PENDING");
        }
    }

    /// Returns the missing instances of an account that joined a unit of this StackSet.
    pub(super) fn joined(&self, account: &str, is_below: impl Fn(&String) -> bool) -> Vec<InstanceOutcome> {
        let mut outcomes: BTreeMap<(String, String), InstanceOutcome> = BTreeMap::new();
        for (unit, regions) in self.auto_targets.iter().filter(|(unit, _)| is_below(unit)) {
            for region in regions {
                let location = (account.to_owned(), region.clone());
                if !self.members.contains_key(&location) {
                    let fresh = InstanceOutcome {
                        location: location.clone(),
                        unit: Some(unit.clone()),
                        result: InstanceResult::Succeeded,
                    };
                    outcomes.entry(location).or_insert(fresh);
                }
            }
        }
        outcomes.into_values().collect()
    }

    /// Returns the instances of an account that left the unit it was deployed through.
    pub(super) fn left(&self, account: &str, is_below: impl Fn(&String) -> bool) -> Vec<InstanceOutcome> {
        let of_it = self.members.iter().filter(|((owner, _), _)| owner == account);
        let away = of_it.filter(|(_, member)| member.unit.as_ref().is_some_and(|unit| !is_below(unit)));
        away.map(|(location, member)| InstanceOutcome {
            location: location.clone(),
            unit: member.unit.clone(),
            result: InstanceResult::Succeeded,
        })
        .collect()
    }
}

impl StackSetOperation {
    /// Creates a queued operation that keeps overrides and does not retain stacks.
    pub(super) fn new(id: &str, action: &'static str, outcomes: Vec<InstanceOutcome>) -> Self {
        Self {
            id: id.to_owned(),
            action,
            outcomes,
            overrides: None,
            all: false,
            preferences: OperationPreferences::default(),
            retain: false,
            stage: OperationStage::Queued,
            stopping: false,
            created: ids::now_millis(),
            ended: None,
        }
    }

    /// Cancels the instances of all Regions after the one that exceeds the failure tolerance, if Regions are deployed
    /// in sequence.
    fn cancel_after_failures(&mut self) {
        let Some(order) = &self.preferences.in_order else { return };
        let mut regions = order.clone();
        for outcome in &self.outcomes {
            if !regions.contains(&outcome.location.1) {
                regions.push(outcome.location.1.clone());
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
        for outcome in self.outcomes.iter_mut().filter(|outcome| !reached.contains(&outcome.location.1)) {
            outcome.result = InstanceResult::Cancelled;
        }
    }

    /// Counts instances and failures for each Region.
    fn counts(&self) -> BTreeMap<&str, (usize, usize)> {
        let mut regions: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for outcome in &self.outcomes {
            let (all, failed) = regions.entry(&outcome.location.1).or_default();
            *all += 1;
            *failed += usize::from(matches!(outcome.result, InstanceResult::Failed(_)));
        }
        regions
    }

    pub(super) fn failed(&self) -> usize {
        self.outcomes.iter().filter(|outcome| matches!(outcome.result, InstanceResult::Failed(_))).count()
    }

    pub(super) fn cancellation_reason(&self) -> &'static str {
        if self.stopping {
            "Cancelled since the operation was stopped"
        } else {
            "Cancelled since failure tolerance has exceeded"
        }
    }

    /// An ended operation has failed if one Region exceeds the failure tolerance.
    pub(super) fn status(&self) -> &'static str {
        match self.stage {
            OperationStage::Queued => "QUEUED",
            OperationStage::Running(_) if self.stopping => "STOPPING",
            OperationStage::Running(_) => "RUNNING",
            OperationStage::Ended if self.stopping => "STOPPED",
            OperationStage::Ended => {
                let counts = self.counts();
                let is_exceeded =
                    counts.values().any(|(all, failed)| self.preferences.tolerance.is_exceeded(*all, *failed));
                if is_exceeded { "FAILED" } else { "SUCCEEDED" }
            }
        }
    }
}
