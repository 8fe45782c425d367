//! What `deploy` remembers between two looks.

use crate::ports::{StackSetRef, Versioned};
use domain::ids::{AccountId, CommitId, RegionName, StackSetName};
use domain::rollout::{CallAs, Digest, Given, Observed, Operation, Places, Verdict};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Instances that are remembered one by one of those that are not as they should be; the rest are counted.
const FAULTS_KEPT: usize = 20;
/// After so long an operation that was accepted is seen by everybody.
const SEEN_WITHIN_SECONDS: i64 = 5 * 60;

/// How often the schedule tries a failed rollout of one digest again.
pub(crate) const RETRIES: u32 = 3;

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
    /// Parameter overrides that were last given to instances.
    pub given: Given,
    /// For whom the StackSet is called.
    #[serde(default)]
    pub call_as: CallAs,
    /// When this rollout was first looked at.
    pub began: Timestamp,
    /// How the last attempt ended, when one has.
    #[serde(default)]
    pub ended: Option<Ended>,
    /// Stacks that this removal has let go of: they stay, and no StackSet knows of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub let_go: Vec<Places>,
    /// People were told that the policy no longer declares it.
    #[serde(default)]
    pub undeclared: bool,
    /// What the removal of the application could not remove.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stuck: Option<Stuck>,
}

/// A removal that went as far as it could.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stuck {
    /// The request of CloudFormation that it was for; the next one starts over.
    pub request: String,
    /// What is left, and why.
    pub reason: String,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// Instances that are not as they should be, all of them.
    pub failed: usize,
    /// Instances that StackSets leave alone, all of them.
    pub skipped: usize,
    /// The verdict, with the first instances only.
    pub verdict: Verdict,
    /// What AWS refused, if that is why.
    pub trouble: Option<String>,
}

impl Ended {
    pub(super) fn new(at: Timestamp, verdict: &Verdict, trouble: Option<String>) -> Self {
        let first = |faults: &[_]| faults.iter().take(FAULTS_KEPT).cloned().collect();
        Self {
            at,
            failed: verdict.faults.len(),
            skipped: verdict.skipped.len(),
            verdict: Verdict { faults: first(&verdict.faults), skipped: first(&verdict.skipped), ..*verdict },
            trouble,
        }
    }
}

/// What is known of the overrides of a StackSet that nothing is remembered of: of one that is there, nobody knows what it gave to
/// whom.
pub(crate) fn given_by_nobody(is_there: bool) -> Given {
    if is_there { Given::default() } else { Given::all_known() }
}

/// Adds to what was observed the overrides that only we know of, and says whether any of them have come into doubt.
pub(crate) fn complete(given: &mut Given, observed: &mut Observed, owner: &str) -> bool {
    match &observed.stack_set {
        None => *given = Given::all_known(),
        // Not, or no longer, ours: whoever made it may have given anything.
        Some(found) if found.owner.as_deref() != Some(owner) => *given = Given::default(),
        Some(_) => {}
    }
    let doubted = given.doubt(observed);
    given.complete(observed);
    doubted
}

impl Rollout {
    /// The StackSet and for whom it is called.
    #[must_use]
    pub fn stack_set(&self) -> StackSetRef<'_> {
        StackSetRef { name: &self.name, call_as: self.call_as }
    }

    /// Whether an operation that was written down and cannot be found may run all the same: an answer was lost, and what was just
    /// accepted is not seen everywhere at once. The same again under its id is harmless, anything else has to wait.
    pub(super) fn is_in_doubt(&self, next: Option<&Operation>, now: Timestamp) -> bool {
        self.in_flight.as_ref().is_some_and(|in_flight| {
            let age = in_flight.since.map(|since| now.as_second().saturating_sub(since.as_second()));
            next != Some(&in_flight.operation) && age.is_some_and(|age| age < SEEN_WITHIN_SECONDS)
        })
    }

    /// Whether an operation was written down before.
    pub(super) fn is_repeated(&self, operation: &Operation) -> bool {
        self.in_flight.as_ref().is_some_and(|in_flight| in_flight.operation == *operation)
    }

    /// Nothing was tried or done yet.
    pub(super) fn start_over(&mut self) {
        self.tried.clear();
        (self.created, self.updated, self.deleted) = (0, 0, 0);
    }

    /// Whether the full look tries this rollout, which has failed, again.
    #[must_use]
    pub fn is_retried(&self) -> bool {
        self.attempt <= RETRIES
    }

    /// The operation in flight has ended.
    pub(crate) fn operation_ended(&mut self) {
        let Some(InFlight { operation, size, .. }) = self.in_flight.take() else { return };
        self.tried.insert(operation.key());
        self.given.note(&operation);
        // Counted at the end: an operation that had to be started twice has happened once.
        let counter = match &operation {
            Operation::CreateInstances { .. } => &mut self.created,
            Operation::DeleteInstances { .. } => &mut self.deleted,
            Operation::UpdateStackSet | Operation::UpdateInstances { .. } => &mut self.updated,
            Operation::ManagedExecution => return,
        };
        if let Operation::DeleteInstances { at, retain: true } = operation {
            self.let_go.push(at);
            return;
        }
        *counter = counter.saturating_add(size);
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
    /// It is being removed.
    Removing,
    /// The policy no longer declares it; what was under way when it left has ended, and nobody has judged it.
    Left,
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
    /// When it was written down, right before it was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// The controls that one StackSet puts in force, for those who explain violations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrameworkFacts {
    /// The StackSet.
    pub stack_set: StackSetName,
    /// The controls, by the places that have the same: a target is several where its template differs within it.
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

impl Phase {
    /// Whether operations are going on, so that a light look is worth more than one read.
    #[must_use]
    pub fn is_busy(self) -> bool {
        matches!(self, Self::Running | Self::Removing)
    }
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
