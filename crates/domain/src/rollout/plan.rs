//! The plan of a rollout.
//!
//! The operations of a plan are exactly those of [`operations`], in the same order; the rest explains them. Instances are grouped
//! into accounts and Regions with the same action, so that a plan of many instances stays readable and small.

mod change;
mod compare;
mod waves;

pub use change::{ControlDefinition, DefinitionChange, FrameworkChange, OverrideChange, ResourceChange};
pub use waves::{RegionWaves, Waves};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use framework::ids::{AccountId, RegionName, StackSetName, UnitId};

use super::operation::product;
use super::step::{is_retained, is_workable, products, reaching};
use super::verdict::evaluate;
use super::{
    Desired, DetailedStatus, Instance, Membership, Observed, ObservedInstance, Operation, Parameters, PermissionModel,
    SkipReason, operations, removal_operations,
};
use crate::policy::RolloutSettings;

/// The plan of one StackSet and its instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutPlan {
    /// The StackSet.
    pub stack_set: StackSetName,
    /// The action on the StackSet.
    pub action: StackSetAction,
    /// The changes of the framework that it deploys.
    pub framework: FrameworkChange,
    /// The actions on the instances; each instance is in exactly one group.
    pub groups: Vec<PlannedGroup>,
    /// The number of instances by action.
    pub instances: InstanceCounts,
    /// Preferences of the operations.
    pub settings: RolloutSettings,
    /// The operations, in order.
    pub operations: Vec<PlannedOperation>,
}

/// The planned action on a StackSet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum StackSetAction {
    /// It is created.
    Create,
    /// It exists without an owner and is adopted.
    Adopt,
    /// Its template, parameters or settings change, and with them every instance.
    Update,
    /// It does not change; instances may.
    Keep,
    /// It is removed with all instances.
    Remove,
}

/// The planned action on an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum InstanceAction {
    /// It is deleted with its stack.
    Delete,
    /// It is deleted and its stack is retained.
    Retain,
    /// It is created.
    Create,
    /// It is updated.
    Update,
    /// StackSets skips it.
    Skip,
    /// It is in the desired state.
    Keep,
}

impl InstanceAction {
    /// The action in one word, for reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Retain => "retain",
            Self::Create => "create",
            Self::Update => "update",
            Self::Skip => "skip",
            Self::Keep => "unchanged",
        }
    }
}

/// The reason for the action on an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ActionReason {
    /// No stack instance exists.
    Missing,
    /// The StackSet's definition changes.
    Definition,
    /// Its parameter overrides change.
    Overrides,
    /// Its parameter overrides in force are unknown, so they are set.
    OverridesUnknown,
    /// An earlier operation failed or did not reach it.
    EarlierFailure,
    /// The policy does not select it.
    NotDesired,
    /// An earlier deletion failed.
    Inoperable,
    /// The account is suspended or closed.
    Suspended,
    /// The management account, to which StackSets with service-managed permissions never deploys.
    ManagementAccount,
    /// No organizational unit is known through which StackSets reaches it.
    Unreachable,
}

impl ActionReason {
    /// The reason, for reports.
    pub fn words(self) -> &'static str {
        match self {
            Self::Missing => "no stack instance exists",
            Self::Definition => "the template or its parameters change",
            Self::Overrides => "its parameter overrides change",
            Self::OverridesUnknown => "its parameter overrides are unknown, so they are set",
            Self::EarlierFailure => "an earlier operation did not update it",
            Self::NotDesired => "the policy does not select it",
            Self::Inoperable => "an earlier deletion failed",
            Self::Suspended => SkipReason::Suspended.description(),
            Self::ManagementAccount => SkipReason::ManagementAccount.description(),
            Self::Unreachable => "no organizational unit is known through which StackSets reaches it",
        }
    }
}

/// Instances with the same action: each account in each Region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedGroup {
    /// The action.
    pub action: InstanceAction,
    /// The reasons; empty without a change.
    pub reasons: BTreeSet<ActionReason>,
    /// The status reason of CloudFormation, if they are not in the desired state.
    pub status_reason: Option<String>,
    /// The parameter overrides after the rollout, or those in force without a change; `None` if unknown.
    pub overrides: Option<Parameters>,
    /// The overrides in force, if they change.
    pub overrides_before: Option<Parameters>,
    /// The organizational unit they are deployed through.
    pub unit: Option<UnitId>,
    /// The accounts.
    pub accounts: BTreeSet<AccountId>,
    /// The Regions.
    pub regions: BTreeSet<RegionName>,
}

impl PlannedGroup {
    /// The number of instances.
    pub fn size(&self) -> usize {
        self.accounts.len().saturating_mul(self.regions.len())
    }

    /// Every instance.
    pub fn instances(&self) -> impl Iterator<Item = Instance> {
        product(&self.accounts, &self.regions)
    }

    /// The reasons, for reports.
    pub fn words(&self) -> String {
        self.reasons.iter().map(|reason| reason.words()).collect::<Vec<_>>().join("; ")
    }
}

/// The number of instances by action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct InstanceCounts {
    /// Created.
    pub create: usize,
    /// Updated.
    pub update: usize,
    /// Deleted with their stacks.
    pub delete: usize,
    /// Deleted, with their stacks retained.
    pub retain: usize,
    /// In the desired state.
    pub unchanged: usize,
    /// Skipped by StackSets.
    pub skipped: usize,
}

impl InstanceCounts {
    fn new(groups: &[PlannedGroup]) -> Self {
        let mut tally = Self::default();
        for group in groups {
            let counter = match group.action {
                InstanceAction::Create => &mut tally.create,
                InstanceAction::Update => &mut tally.update,
                InstanceAction::Delete => &mut tally.delete,
                InstanceAction::Retain => &mut tally.retain,
                InstanceAction::Keep => &mut tally.unchanged,
                InstanceAction::Skip => &mut tally.skipped,
            };
            *counter = counter.saturating_add(group.size());
        }
        tally
    }

    /// Adds the numbers of another plan.
    pub fn add(&mut self, other: Self) {
        self.create = self.create.saturating_add(other.create);
        self.update = self.update.saturating_add(other.update);
        self.delete = self.delete.saturating_add(other.delete);
        self.retain = self.retain.saturating_add(other.retain);
        self.unchanged = self.unchanged.saturating_add(other.unchanged);
        self.skipped = self.skipped.saturating_add(other.skipped);
    }
}

/// One operation of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedOperation {
    /// The operation.
    #[serde(flatten)]
    pub operation: Operation,
    /// The number of instances it works on.
    pub instances: usize,
    /// Its waves.
    pub waves: Waves,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Common {
    action: InstanceAction,
    reasons: BTreeSet<ActionReason>,
    status_reason: Option<String>,
    overrides: Option<Arc<Parameters>>,
    overrides_before: Option<Arc<Parameters>>,
    unit: Option<UnitId>,
}

impl RolloutPlan {
    /// The plan of a rollout. The StackSet must be missing, owned, or to be adopted.
    pub fn new(desired: &Desired, observed: &Observed, owner: &str, membership: &Membership) -> Self {
        let operations = operations(desired, observed, owner, membership);
        let updated = operations.contains(&Operation::UpdateStackSet);
        let action = match &observed.stack_set {
            None => StackSetAction::Create,
            Some(found) if found.owner.as_deref() != Some(owner) => StackSetAction::Adopt,
            Some(_) if updated => StackSetAction::Update,
            Some(_) => StackSetAction::Keep,
        };
        let goal = desired.instances.iter().map(|(instance, goal)| {
            let common = match observed.instances.get(instance) {
                None => Common {
                    overrides: Some(Arc::clone(&goal.overrides)),
                    unit: goal.unit.clone(),
                    ..Common::with_reason(InstanceAction::Create, ActionReason::Missing)
                },
                Some(found) => Common::existing(instance, goal, found, updated),
            };
            (instance, common)
        });
        let skipped = desired.skipped.iter().map(|(instance, reason)| {
            let reason = match reason {
                SkipReason::Suspended => ActionReason::Suspended,
                SkipReason::ManagementAccount => ActionReason::ManagementAccount,
            };
            (instance, Common::with_reason(InstanceAction::Skip, reason))
        });
        let left = observed.instances.iter().filter(|(instance, _)| !desired.selects(instance));
        let left = left.map(|(instance, found)| (instance, Common::leaving(instance, found, observed, membership)));
        let groups = groups(goal.chain(skipped).chain(left));
        Self {
            stack_set: desired.name.clone(),
            action,
            framework: FrameworkChange::new(desired, observed, updated),
            instances: InstanceCounts::new(&groups),
            operations: planned(operations, observed, &groups, &desired.rollout),
            groups,
            settings: desired.rollout.clone(),
        }
    }

    /// The plan of the removal of an owned StackSet, which is deleted at the end if no instance remains.
    pub fn for_removal(name: &StackSetName, observed: &Observed, membership: &Membership) -> Self {
        let leaving = |(instance, found)| (instance, Common::leaving(instance, found, observed, membership));
        let groups = groups(observed.instances.iter().map(leaving));
        let settings = RolloutSettings::for_removal();
        Self {
            stack_set: name.clone(),
            action: StackSetAction::Remove,
            framework: FrameworkChange::for_removal(observed),
            instances: InstanceCounts::new(&groups),
            operations: planned(removal_operations(observed, membership), observed, &groups, &settings),
            groups,
            settings,
        }
    }

    /// Whether the plan changes anything.
    pub fn is_change(&self) -> bool {
        !self.operations.is_empty() || matches!(self.action, StackSetAction::Create | StackSetAction::Remove)
    }

    /// The total waves of all operations, which run one after the other.
    pub fn waves(&self) -> usize {
        self.operations.iter().map(|operation| operation.waves.total).fold(0, usize::saturating_add)
    }
}

impl Common {
    fn with_reason(action: InstanceAction, reason: ActionReason) -> Self {
        let reasons = BTreeSet::from([reason]);
        Self { action, reasons, status_reason: None, overrides: None, overrides_before: None, unit: None }
    }

    fn existing(instance: &Instance, goal: &super::DesiredInstance, found: &ObservedInstance, updated: bool) -> Self {
        let failure = evaluate(instance, found);
        let status_reason = failure.as_ref().map(|failure| failure.reason.clone());
        let unit = goal.unit.clone();
        if !is_workable(found) {
            let reason = match found.detailed {
                DetailedStatus::SkippedSuspendedAccount => ActionReason::Suspended,
                _ => ActionReason::Inoperable,
            };
            let overrides = found.overrides.clone();
            return Self { status_reason, overrides, unit, ..Self::with_reason(InstanceAction::Skip, reason) };
        }
        let overrides = match found.overrides.as_deref() {
            None => Some(ActionReason::OverridesUnknown),
            Some(now) => (*now != *goal.overrides).then_some(ActionReason::Overrides),
        };
        let definition = updated.then_some(ActionReason::Definition);
        let reasons = [definition, overrides, failure.map(|_| ActionReason::EarlierFailure)];
        let reasons: BTreeSet<ActionReason> = reasons.into_iter().flatten().collect();
        Self {
            action: if reasons.is_empty() { InstanceAction::Keep } else { InstanceAction::Update },
            reasons,
            status_reason,
            overrides: Some(Arc::clone(&goal.overrides)),
            overrides_before: found.overrides.clone().filter(|now| **now != *goal.overrides),
            unit,
        }
    }

    fn leaving(instance: &Instance, found: &ObservedInstance, observed: &Observed, membership: &Membership) -> Self {
        let permissions = observed.stack_set.as_ref().map(|stack_set| stack_set.permissions);
        let service_managed = permissions == Some(PermissionModel::ServiceManaged);
        let reachable = !service_managed || reaching(instance, found, membership).is_some();
        let (action, reason) = match (reachable, is_retained(instance, found, membership)) {
            (false, _) => (InstanceAction::Skip, Some(ActionReason::Unreachable)),
            (true, false) => (InstanceAction::Delete, None),
            (true, true) if is_workable(found) || found.detailed == DetailedStatus::SkippedSuspendedAccount => {
                (InstanceAction::Retain, Some(ActionReason::Suspended))
            }
            (true, true) => (InstanceAction::Retain, Some(ActionReason::Inoperable)),
        };
        Self {
            action,
            reasons: std::iter::once(ActionReason::NotDesired).chain(reason).collect(),
            status_reason: reason.and_then(|_| found.reason.clone()).filter(|reason| !reason.trim().is_empty()),
            overrides: found.overrides.clone(),
            overrides_before: None,
            unit: found.unit.clone(),
        }
    }
}

fn groups<'a>(instances: impl Iterator<Item = (&'a Instance, Common)>) -> Vec<PlannedGroup> {
    // The common properties are numbered, since they are compared far more often than created.
    let mut numbers: BTreeMap<Common, usize> = BTreeMap::new();
    let numbered = instances.map(|(instance, common)| {
        let next = numbers.len();
        (instance, *numbers.entry(common).or_insert(next))
    });
    let products = products(numbered);
    let commons: BTreeMap<usize, &Common> = numbers.iter().map(|(common, number)| (*number, common)).collect();
    let mut groups: Vec<PlannedGroup> = products
        .into_iter()
        .filter_map(|(accounts, regions, number)| {
            let Common { action, reasons, status_reason, overrides, overrides_before, unit } =
                (*commons.get(&number)?).clone();
            let owned = |shared: Option<Arc<Parameters>>| shared.as_deref().cloned();
            let (overrides, overrides_before) = (owned(overrides), owned(overrides_before));
            Some(PlannedGroup { action, reasons, status_reason, overrides, overrides_before, unit, accounts, regions })
        })
        .collect();
    groups.sort_by_cached_key(|group| (group.action, std::cmp::Reverse(group.size()), group.accounts.first().cloned()));
    groups
}

fn planned(
    operations: Vec<Operation>,
    observed: &Observed,
    groups: &[PlannedGroup],
    settings: &RolloutSettings,
) -> Vec<PlannedOperation> {
    let plan = |operation: Operation| {
        let regions: BTreeMap<&RegionName, usize> = match operation.targets() {
            Some(at) => at.regions.iter().map(|region| (region, at.accounts.len())).collect(),
            None if operation == Operation::ManagedExecution => BTreeMap::new(),
            None => remaining(observed, groups),
        };
        let instances = regions.values().copied().fold(0, usize::saturating_add);
        let waves = Waves::new(&regions, settings);
        PlannedOperation { operation, instances, waves }
    };
    operations.into_iter().map(plan).collect()
}

/// The number of instances by Region that remain when the StackSet is updated, after the deletions.
fn remaining<'a>(observed: &'a Observed, groups: &'a [PlannedGroup]) -> BTreeMap<&'a RegionName, usize> {
    let mut regions: BTreeMap<&RegionName, usize> = BTreeMap::new();
    for instance in observed.instances.keys() {
        let count = regions.entry(&instance.region).or_default();
        *count = count.saturating_add(1);
    }
    for group in groups.iter().filter(|group| matches!(group.action, InstanceAction::Delete | InstanceAction::Retain)) {
        for region in &group.regions {
            let count = regions.entry(region).or_default();
            *count = count.saturating_sub(group.accounts.len());
        }
    }
    regions
}
