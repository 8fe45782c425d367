//! The one next thing to do.

use super::verdict::judge;
use super::{
    Desired, DetailedStatus, Digest, Instance, InstanceStatus, Observed, ObservedInstance, Parameters, Verdict,
    digest_of,
};
use crate::ids::{AccountId, RegionName};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Create the StackSet (no operation, takes effect at once).
    CreateStackSet,
    /// Start one operation and wait for its end.
    Start(Operation),
    /// Delete the empty StackSet (no operation, takes effect at once).
    DeleteStackSet,
    /// Nothing is left to do, or nothing that this attempt has not tried.
    Finished(Verdict),
    /// The StackSet exists and is not ours.
    NotOurs {
        /// Who claims it by tag, if anybody.
        owner: Option<String>,
    },
}

/// One StackSets operation: exactly one mutating call.
///
/// StackSets work on the product of accounts and Regions, so the pairs that need the same thing are grouped into products.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "operation")]
pub enum Operation {
    /// `DeleteStackInstances`.
    DeleteInstances {
        /// The accounts.
        accounts: BTreeSet<AccountId>,
        /// The Regions.
        regions: BTreeSet<RegionName>,
        /// Leave the stacks where they are: for accounts that StackSets cannot reach.
        retain: bool,
    },
    /// `UpdateStackSet`, which brings every instance along.
    UpdateStackSet,
    /// `CreateStackInstances`.
    CreateInstances {
        /// The accounts.
        accounts: BTreeSet<AccountId>,
        /// The Regions.
        regions: BTreeSet<RegionName>,
        /// Parameter overrides of these instances.
        overrides: Parameters,
    },
    /// `UpdateStackInstances`: sets the overrides, and so also works a failed instance again.
    UpdateInstances {
        /// The accounts.
        accounts: BTreeSet<AccountId>,
        /// The Regions.
        regions: BTreeSet<RegionName>,
        /// Parameter overrides of these instances.
        overrides: Parameters,
    },
}

impl Operation {
    /// Tells this operation from others of the same rollout.
    #[must_use]
    pub fn key(&self) -> Digest {
        digest_of(&serde_json::json!(self))
    }

    /// The number of instances it works on; `all` is the number in the StackSet.
    #[must_use]
    pub fn size(&self, all: usize) -> usize {
        match self {
            Self::UpdateStackSet => all,
            Self::DeleteInstances { accounts, regions, .. }
            | Self::CreateInstances { accounts, regions, .. }
            | Self::UpdateInstances { accounts, regions, .. } => accounts.len().saturating_mul(regions.len()),
        }
    }
}

/// The next step towards `desired`.
///
/// `owner` is what our tag on the StackSet says when it is ours. `tried` holds the keys of the operations that this attempt
/// has already seen end: an instance that still is not right after them is a failure to be reported, not to be tried for ever.
#[must_use]
pub fn next_step(desired: &Desired, observed: &Observed, owner: &str, tried: &BTreeSet<Digest>) -> Step {
    let Some(stack_set) = &observed.stack_set else { return Step::CreateStackSet };
    if stack_set.owner.as_deref() != Some(owner) {
        return Step::NotOurs { owner: stack_set.owner.clone() };
    }
    let untried = |operation: Operation| (!tried.contains(&operation.key())).then_some(Step::Start(operation));

    let left = observed.instances.iter().filter(|(instance, _)| !desired.instances.contains_key(instance));
    if let Some(step) = delete_groups(left).into_iter().find_map(untried) {
        return step;
    }

    if stack_set.definition != Some(desired.definition_digest())
        && let Some(step) = untried(Operation::UpdateStackSet)
    {
        return step;
    }

    let missing = desired.instances.iter().filter(|(instance, _)| !observed.instances.contains_key(instance));
    let creations = products(missing.map(|(instance, overrides)| (instance, overrides.clone())))
        .into_iter()
        .map(|(accounts, regions, overrides)| Operation::CreateInstances { accounts, regions, overrides });
    if let Some(step) = creations.into_iter().find_map(untried) {
        return step;
    }

    // What the policy wants otherwise than it is: other overrides, or an instance that an earlier operation left behind.
    let wrong = desired.instances.iter().filter(|(instance, overrides)| {
        observed.instances.get(instance).is_some_and(|found| {
            can_be_worked(found) && (&found.overrides != *overrides || judge(instance, found).is_some())
        })
    });
    let corrections = products(wrong.map(|(instance, overrides)| (instance, overrides.clone())))
        .into_iter()
        .map(|(accounts, regions, overrides)| Operation::UpdateInstances { accounts, regions, overrides });
    if let Some(step) = corrections.into_iter().find_map(untried) {
        return step;
    }

    Step::Finished(Verdict::of(desired, observed))
}

/// The next step towards nothing at all: instances first, then the StackSet.
///
/// Returns [`Step::Finished`] when the StackSet is gone, or when instances are left that this attempt could not delete; the
/// verdict then names them.
#[must_use]
pub fn next_removal_step(observed: &Observed, owner: &str, tried: &BTreeSet<Digest>) -> Step {
    let Some(stack_set) = &observed.stack_set else { return Step::Finished(Verdict::nothing_left()) };
    if stack_set.owner.as_deref() != Some(owner) {
        return Step::NotOurs { owner: stack_set.owner.clone() };
    }
    if observed.instances.is_empty() {
        return Step::DeleteStackSet;
    }
    delete_groups(observed.instances.iter())
        .into_iter()
        .find(|operation| !tried.contains(&operation.key()))
        .map_or_else(|| Step::Finished(Verdict::left_over(observed)), Step::Start)
}

/// StackSets do not touch instances in suspended accounts, nor those whose deletion has failed.
fn can_be_worked(found: &ObservedInstance) -> bool {
    found.status != InstanceStatus::Inoperable
        && !matches!(found.detailed, DetailedStatus::Inoperable | DetailedStatus::SkippedSuspendedAccount)
}

/// Deletions, those with retained stacks apart: an inoperable instance and one in a suspended account can only be let go.
fn delete_groups<'a>(instances: impl Iterator<Item = (&'a Instance, &'a ObservedInstance)>) -> Vec<Operation> {
    let with_retain = instances.map(|(instance, found)| (instance, !can_be_worked(found)));
    products(with_retain)
        .into_iter()
        .map(|(accounts, regions, retain)| Operation::DeleteInstances { accounts, regions, retain })
        .collect()
}

/// Groups (account, Region) pairs that share a property into products of accounts and Regions that cover exactly them.
pub(super) fn products<'a, P: Ord + Clone>(
    pairs: impl Iterator<Item = (&'a Instance, P)>,
) -> Vec<(BTreeSet<AccountId>, BTreeSet<RegionName>, P)> {
    let mut regions_of: BTreeMap<(P, AccountId), BTreeSet<RegionName>> = BTreeMap::new();
    for (instance, property) in pairs {
        regions_of.entry((property, instance.account.clone())).or_default().insert(instance.region.clone());
    }
    let mut accounts_of: BTreeMap<(P, BTreeSet<RegionName>), BTreeSet<AccountId>> = BTreeMap::new();
    for ((property, account), regions) in regions_of {
        accounts_of.entry((property, regions)).or_default().insert(account);
    }
    accounts_of.into_iter().map(|((property, regions), accounts)| (accounts, regions, property)).collect()
}
