//! What a rollout would do, before it does it.
//!
//! The operations of a plan are those of [`operations`], no others and in the same order; everything else says in words and numbers
//! what they mean. Instances are grouped into accounts and Regions that share a fate, so that a plan stays readable, and small,
//! where there are many.

mod change;
mod waves;

pub use change::{Alteration, FrameworkChange, LocalChange, ResourceChange};
pub use waves::{RegionWaves, Waves};

use super::step::{can_be_worked, is_let_go, products, reaching};
use super::verdict::judge;
use super::{
    Desired, DetailedStatus, Instance, Membership, Observed, ObservedInstance, Operation, Parameters, PermissionModel,
    SkipReason, operations, removal_operations,
};
use crate::ids::{AccountId, RegionName, StackSetName, UnitId};
use crate::policy::{Amount, ConcurrencyMode, RegionConcurrency, Rollout};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What would become of one StackSet and its instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The StackSet.
    pub stack_set: StackSetName,
    /// What becomes of the StackSet itself.
    pub fate: Fate,
    /// What changes in the framework that it deploys.
    pub framework: FrameworkChange,
    /// What becomes of the instances; each is in exactly one group.
    pub groups: Vec<Group>,
    /// The same in numbers.
    pub instances: Tally,
    /// How operations proceed.
    pub settings: Rollout,
    /// The operations, in the order in which they run.
    pub operations: Vec<PlannedOperation>,
}

/// What becomes of a StackSet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Fate {
    /// It is created.
    Create,
    /// It is taken over from whoever made it.
    Adopt,
    /// Its template, its parameters or its settings change, and with them every instance.
    Update,
    /// It stays as it is; instances may change.
    Keep,
    /// It is removed with all its instances.
    Remove,
}

/// What becomes of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum InstanceFate {
    /// It is deleted, with its stack.
    Delete,
    /// StackSets forgets it, and its stack stays.
    Retain,
    /// It is created.
    Create,
    /// It is updated.
    Update,
    /// StackSets leaves it alone.
    Skip,
    /// It is as it should be.
    Keep,
}

impl InstanceFate {
    /// The fate in one word.
    #[must_use]
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

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Because {
    /// No stack instance exists.
    Missing,
    /// The StackSet's definition changes.
    Definition,
    /// Other parameter overrides are in force.
    Overrides,
    /// Nobody knows which parameter overrides are in force, so they are set.
    OverridesUnknown,
    /// An earlier operation failed, or did not come to it.
    EarlierFailure,
    /// The policy does not name it.
    NotWanted,
    /// An earlier deletion failed.
    Inoperable,
    /// The account is suspended or closed.
    Suspended,
    /// It is the management account, to which StackSets with organizational units never deploy.
    ManagementAccount,
    /// None of the units through which StackSets could reach it is known.
    Unreachable,
}

impl Because {
    /// The reason in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Missing => "no stack instance exists",
            Self::Definition => "the template or its parameters change",
            Self::Overrides => "its parameter overrides change",
            Self::OverridesUnknown => "nobody knows its parameter overrides, they are set",
            Self::EarlierFailure => "an earlier operation left it behind",
            Self::NotWanted => "the policy does not name it",
            Self::Inoperable => "an earlier deletion failed",
            Self::Suspended => SkipReason::Suspended.words(),
            Self::ManagementAccount => SkipReason::ManagementAccount.words(),
            Self::Unreachable => "no organizational unit through which StackSets reaches it is known",
        }
    }
}

/// Accounts in Regions, each account in each Region, whose instances share a fate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// What becomes of them.
    pub fate: InstanceFate,
    /// Why; empty for what stays as it is.
    pub because: BTreeSet<Because>,
    /// What CloudFormation says of them now, where something is wrong.
    pub reason: Option<String>,
    /// The parameter overrides that are in force afterwards, or now if nothing comes afterwards; `null` where nobody knows.
    pub overrides: Option<Parameters>,
    /// The overrides in force now, where others follow.
    pub overrides_before: Option<Parameters>,
    /// The organizational unit through which StackSets reaches them.
    pub unit: Option<UnitId>,
    /// The accounts.
    pub accounts: BTreeSet<AccountId>,
    /// The Regions.
    pub regions: BTreeSet<RegionName>,
}

impl Group {
    /// The number of instances.
    #[must_use]
    pub fn size(&self) -> usize {
        self.accounts.len().saturating_mul(self.regions.len())
    }

    /// Every instance.
    pub fn instances(&self) -> impl Iterator<Item = Instance> {
        self.accounts.iter().flat_map(|account| {
            self.regions.iter().map(|region| Instance { account: account.clone(), region: region.clone() })
        })
    }

    /// Why, in words.
    #[must_use]
    pub fn words(&self) -> String {
        let because: Vec<&str> = self.because.iter().map(|because| because.words()).collect();
        because.join("; ")
    }
}

/// Instances by what becomes of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Created.
    pub create: usize,
    /// Updated.
    pub update: usize,
    /// Deleted with their stacks.
    pub delete: usize,
    /// Forgotten by StackSets, their stacks stay.
    pub retain: usize,
    /// As they should be.
    pub unchanged: usize,
    /// Left alone by StackSets.
    pub skipped: usize,
}

impl Tally {
    fn of(groups: &[Group]) -> Self {
        let mut tally = Self::default();
        for group in groups {
            let counter = match group.fate {
                InstanceFate::Create => &mut tally.create,
                InstanceFate::Update => &mut tally.update,
                InstanceFate::Delete => &mut tally.delete,
                InstanceFate::Retain => &mut tally.retain,
                InstanceFate::Keep => &mut tally.unchanged,
                InstanceFate::Skip => &mut tally.skipped,
            };
            *counter = counter.saturating_add(group.size());
        }
        tally
    }
}

/// One operation of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedOperation {
    /// The operation.
    #[serde(flatten)]
    pub operation: Operation,
    /// The instances it works on.
    pub instances: usize,
    /// In how many waves.
    pub waves: Waves,
}

/// What a group of instances has in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Common {
    fate: InstanceFate,
    because: BTreeSet<Because>,
    reason: Option<String>,
    overrides: Option<Arc<Parameters>>,
    overrides_before: Option<Arc<Parameters>>,
    unit: Option<UnitId>,
}

impl Plan {
    /// The plan of a StackSet that is not there, is ours, or is to be adopted.
    #[must_use]
    pub fn of(desired: &Desired, observed: &Observed, owner: &str, membership: &Membership) -> Self {
        let operations = operations(desired, observed, owner, membership);
        let updated = operations.contains(&Operation::UpdateStackSet);
        let fate = match &observed.stack_set {
            None => Fate::Create,
            Some(found) if found.owner.as_deref() != Some(owner) => Fate::Adopt,
            Some(_) if updated => Fate::Update,
            Some(_) => Fate::Keep,
        };
        let wanted = desired.instances.iter().map(|(instance, wanted)| {
            let common = match observed.instances.get(instance) {
                None => Common {
                    overrides: Some(Arc::clone(&wanted.overrides)),
                    unit: wanted.unit.clone(),
                    ..Common::simply(InstanceFate::Create, Because::Missing)
                },
                Some(found) => Common::existing(instance, wanted, found, updated),
            };
            (instance, common)
        });
        let skipped = desired.skipped.iter().map(|(instance, reason)| {
            let because = match reason {
                SkipReason::Suspended => Because::Suspended,
                SkipReason::ManagementAccount => Because::ManagementAccount,
            };
            (instance, Common::simply(InstanceFate::Skip, because))
        });
        let left = observed.instances.iter().filter(|(instance, _)| !desired.knows(instance));
        let left = left.map(|(instance, found)| (instance, Common::leaving(instance, found, observed, membership)));
        let groups = groups(wanted.chain(skipped).chain(left));
        Self {
            stack_set: desired.name.clone(),
            fate,
            framework: FrameworkChange::of(desired, observed, updated),
            instances: Tally::of(&groups),
            operations: planned(operations, observed, &groups, &desired.rollout),
            groups,
            settings: desired.rollout.clone(),
        }
    }

    /// The plan of a StackSet of ours that is to be removed; afterwards it is deleted, if all instances are gone.
    #[must_use]
    pub fn of_removal(name: &StackSetName, observed: &Observed, membership: &Membership) -> Self {
        let left = observed.instances.iter();
        let left = left.map(|(instance, found)| (instance, Common::leaving(instance, found, observed, membership)));
        let groups = groups(left);
        let settings = removal_settings();
        Self {
            stack_set: name.clone(),
            fate: Fate::Remove,
            framework: FrameworkChange::of_removal(observed),
            instances: Tally::of(&groups),
            operations: planned(removal_operations(observed, membership), observed, &groups, &settings),
            groups,
            settings,
        }
    }

    /// Whether anything would be done.
    #[must_use]
    pub fn is_change(&self) -> bool {
        !self.operations.is_empty() || matches!(self.fate, Fate::Create | Fate::Remove)
    }

    /// The waves of all operations together, one operation after the other.
    #[must_use]
    pub fn waves(&self) -> usize {
        self.operations.iter().map(|operation| operation.waves.total).fold(0, usize::saturating_add)
    }
}

impl Common {
    fn simply(fate: InstanceFate, because: Because) -> Self {
        Self {
            fate,
            because: BTreeSet::from([because]),
            reason: None,
            overrides: None,
            overrides_before: None,
            unit: None,
        }
    }

    /// Of an instance that is there and wanted.
    fn existing(instance: &Instance, wanted: &super::Wanted, found: &ObservedInstance, updated: bool) -> Self {
        let wrong = judge(instance, found);
        let reason = wrong.as_ref().map(|wrong| wrong.reason.clone());
        let unit = wanted.unit.clone();
        if !can_be_worked(found) {
            let because = match found.detailed {
                DetailedStatus::SkippedSuspendedAccount => Because::Suspended,
                _ => Because::Inoperable,
            };
            return Self {
                reason,
                overrides: found.overrides.clone(),
                unit,
                ..Self::simply(InstanceFate::Skip, because)
            };
        }
        let mut because = BTreeSet::new();
        if updated {
            because.insert(Because::Definition);
        }
        match found.overrides.as_deref() {
            None => drop(because.insert(Because::OverridesUnknown)),
            Some(now) if *now != *wanted.overrides => drop(because.insert(Because::Overrides)),
            Some(_) => {}
        }
        if wrong.is_some() {
            because.insert(Because::EarlierFailure);
        }
        Self {
            fate: if because.is_empty() { InstanceFate::Keep } else { InstanceFate::Update },
            reason,
            overrides: Some(Arc::clone(&wanted.overrides)),
            overrides_before: found.overrides.clone().filter(|now| **now != *wanted.overrides),
            unit,
            because,
        }
    }

    /// Of an instance that is there and not wanted.
    fn leaving(instance: &Instance, found: &ObservedInstance, observed: &Observed, membership: &Membership) -> Self {
        let service_managed = observed
            .stack_set
            .as_ref()
            .is_some_and(|stack_set| stack_set.permissions == PermissionModel::ServiceManaged);
        let reachable = !service_managed || reaching(instance, found, membership).is_some();
        let (fate, why) = match (reachable, is_let_go(instance, found, membership)) {
            (false, _) => (InstanceFate::Skip, Some(Because::Unreachable)),
            (true, false) => (InstanceFate::Delete, None),
            (true, true) if can_be_worked(found) || found.detailed == DetailedStatus::SkippedSuspendedAccount => {
                (InstanceFate::Retain, Some(Because::Suspended))
            }
            (true, true) => (InstanceFate::Retain, Some(Because::Inoperable)),
        };
        Self {
            fate,
            because: std::iter::once(Because::NotWanted).chain(why).collect(),
            reason: why.and_then(|_| found.reason.clone()).filter(|reason| !reason.trim().is_empty()),
            overrides: found.overrides.clone(),
            overrides_before: None,
            unit: found.unit.clone(),
        }
    }
}

/// The policy has no settings any more for what has left it: all at once, whatever fails on the way.
fn removal_settings() -> Rollout {
    Rollout {
        max_concurrency: Amount::Percentage(100),
        failure_tolerance: Amount::Percentage(100),
        mode: ConcurrencyMode::Soft,
        regions: RegionConcurrency::Parallel,
        region_order: Vec::new(),
    }
}

/// Instances by what they have in common, as accounts and Regions.
fn groups<'a>(instances: impl Iterator<Item = (&'a Instance, Common)>) -> Vec<Group> {
    // A number stands for what many share: it is compared far more often than it is made.
    let mut numbers: BTreeMap<Common, usize> = BTreeMap::new();
    let numbered = instances.map(|(instance, common)| {
        let next = numbers.len();
        (instance, *numbers.entry(common).or_insert(next))
    });
    let products = products(numbered);
    let commons: BTreeMap<usize, &Common> = numbers.iter().map(|(common, number)| (*number, common)).collect();
    let mut groups: Vec<Group> = products
        .into_iter()
        .filter_map(|(accounts, regions, number)| {
            let Common { fate, because, reason, overrides, overrides_before, unit } = (*commons.get(&number)?).clone();
            let owned = |shared: Option<Arc<Parameters>>| shared.as_deref().cloned();
            let (overrides, overrides_before) = (owned(overrides), owned(overrides_before));
            Some(Group { fate, because, reason, overrides, overrides_before, unit, accounts, regions })
        })
        .collect();
    groups.sort_by_cached_key(|group| (group.fate, std::cmp::Reverse(group.size()), group.accounts.first().cloned()));
    groups
}

fn planned(
    operations: Vec<Operation>,
    observed: &Observed,
    groups: &[Group],
    settings: &Rollout,
) -> Vec<PlannedOperation> {
    let plan = |operation: Operation| {
        let regions: BTreeMap<&RegionName, usize> = match operation.places() {
            Some(at) => at.regions.iter().map(|region| (region, at.accounts.len())).collect(),
            None if operation == Operation::ManagedExecution => BTreeMap::new(),
            None => remaining(observed, groups),
        };
        let instances = regions.values().copied().fold(0, usize::saturating_add);
        let waves = Waves::of(&regions, settings);
        PlannedOperation { operation, instances, waves }
    };
    operations.into_iter().map(plan).collect()
}

/// Instances by Region that are still there when the StackSet is updated: deletions come before.
fn remaining<'a>(observed: &'a Observed, groups: &'a [Group]) -> BTreeMap<&'a RegionName, usize> {
    let mut regions: BTreeMap<&RegionName, usize> = BTreeMap::new();
    for instance in observed.instances.keys() {
        let count = regions.entry(&instance.region).or_default();
        *count = count.saturating_add(1);
    }
    for group in groups.iter().filter(|group| matches!(group.fate, InstanceFate::Delete | InstanceFate::Retain)) {
        for region in &group.regions {
            let count = regions.entry(region).or_default();
            *count = count.saturating_sub(group.accounts.len());
        }
    }
    regions
}
