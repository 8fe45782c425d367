//! What `deploy` remembers between two looks.

use crate::ports::Versioned;
use domain::ids::{AccountId, CommitId, RegionName, StackSetName};
use domain::rollout::{Digest, Instance, Observed, Operation, Parameters};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Everything, as one read returns it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Memory {
    /// The rollouts by StackSet.
    pub rollouts: BTreeMap<StackSetName, Versioned<Rollout>>,
    /// The application is being removed: nothing may be deployed.
    pub removing: bool,
    /// The digest of what the policy said about violations when that was last published.
    pub reporting: Option<String>,
}

/// What is known of the rollout of one StackSet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// The StackSet.
    pub name: StackSetName,
    /// What is being, or was last, rolled out.
    pub digest: Digest,
    /// The commit that brought it.
    pub commit: CommitId,
    /// Its author.
    pub author: String,
    /// The first line of its message.
    pub message: String,
    /// How far it is.
    pub phase: Phase,
    /// Which attempt at this digest this is, from 1.
    pub attempt: u32,
    /// Operations that this attempt has seen end.
    pub tried: BTreeSet<Digest>,
    /// The operation that was started, or was about to be when a look ended early.
    pub in_flight: Option<InFlight>,
    /// Counts operations, so that no two have one id.
    pub sequence: u64,
    /// Instances created by this attempt.
    pub created: usize,
    /// Instances updated by this attempt.
    pub updated: usize,
    /// Instances deleted by this attempt.
    pub deleted: usize,
    /// Parameter overrides that were last given to instances (`account/region`), those that have any. StackSets do not list
    /// them with the instances, and asking for each instance would cost a call for each.
    pub overrides: BTreeMap<String, Parameters>,
}

impl Rollout {
    /// The operation in flight has ended.
    pub(super) fn ended(&mut self) {
        let Some(InFlight { operation, size, .. }) = self.in_flight.take() else { return };
        self.tried.insert(operation.key());
        // Counted at the end: an operation that had to be started twice has happened once.
        let counter = match operation {
            Operation::CreateInstances { .. } => &mut self.created,
            Operation::DeleteInstances { .. } => &mut self.deleted,
            Operation::UpdateStackSet | Operation::UpdateInstances { .. } => &mut self.updated,
        };
        *counter = counter.saturating_add(size);
        let (accounts, regions, given) = match &operation {
            Operation::UpdateStackSet => return,
            Operation::DeleteInstances { accounts, regions, .. } => (accounts, regions, None),
            Operation::CreateInstances { accounts, regions, overrides }
            | Operation::UpdateInstances { accounts, regions, overrides } => {
                (accounts, regions, Some(overrides).filter(|overrides| !overrides.is_empty()))
            }
        };
        for account in accounts {
            for region in regions {
                let instance = Instance { account: account.clone(), region: region.clone() }.to_string();
                match given {
                    Some(overrides) => self.overrides.insert(instance, overrides.clone()),
                    None => self.overrides.remove(&instance),
                };
            }
        }
    }

    /// Adds to what was observed the overrides that only we know of.
    pub(super) fn complete(&self, observed: &mut Observed) {
        for (instance, found) in &mut observed.instances {
            if let Some(overrides) = self.overrides.get(&instance.to_string()) {
                found.overrides.clone_from(overrides);
            }
        }
    }
}

/// How far a rollout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Operations are going on.
    Running,
    /// Every instance was as wanted, and people were told.
    Succeeded,
    /// Not every instance was, and people were told.
    Failed,
}

/// An operation and its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InFlight {
    /// The id, chosen by us before the call.
    pub id: String,
    /// What it does.
    pub operation: Operation,
    /// The number of instances it works on.
    pub size: usize,
}

/// The controls that one StackSet puts in force, for those who explain violations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrameworkFacts {
    /// The StackSet.
    pub stack_set: StackSetName,
    /// The controls, per target of the policy.
    pub variants: Vec<Variant>,
}

/// Accounts and Regions that share the parameters of their controls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Variant {
    /// The accounts.
    pub accounts: BTreeSet<AccountId>,
    /// The Regions.
    pub regions: BTreeSet<RegionName>,
    /// Control name to its parameters.
    pub controls: BTreeMap<String, BTreeMap<String, String>>,
    /// Since when each control has been in force with these parameters, at least; one that is missing, for an unknown time.
    #[serde(default)]
    pub since: BTreeMap<String, Timestamp>,
}

impl FrameworkFacts {
    /// Whether this framework has a control anywhere.
    #[must_use]
    pub fn has(&self, control: &str) -> bool {
        self.variants.iter().any(|variant| variant.controls.contains_key(control))
    }

    /// The parameters of a control in an account and Region, if this framework has it there.
    #[must_use]
    pub fn parameters(
        &self,
        account: &AccountId,
        region: &RegionName,
        control: &str,
    ) -> Option<&BTreeMap<String, String>> {
        self.variants
            .iter()
            .filter(|variant| variant.accounts.contains(account) && variant.regions.contains(region))
            .find_map(|variant| variant.controls.get(control))
    }

    /// Since when a control has been in force in an account and Region with its parameters, if that is known.
    #[must_use]
    pub fn since(&self, account: &AccountId, region: &RegionName, control: &str) -> Option<Timestamp> {
        self.variants
            .iter()
            .filter(|variant| variant.accounts.contains(account) && variant.regions.contains(region))
            .find_map(|variant| variant.since.get(control).copied())
    }
}
