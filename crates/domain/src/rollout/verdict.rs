//! How a rollout ended, read from its instances and never from the operation's own word.

use super::{Desired, DetailedStatus, Instance, InstanceStatus, Observed, ObservedInstance, SkipReason};
use serde::{Deserialize, Serialize};

/// The outcome, instance by instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Instances that the policy wants, those that StackSets skip among them (or, in a removal, that were still there).
    pub total: usize,
    /// Those that are as they should be.
    pub succeeded: usize,
    /// Those that are not, each with its reason.
    pub faults: Vec<InstanceFault>,
    /// Those that StackSets leave alone. Trying again would change nothing, so they are named and are no failure.
    #[serde(default)]
    pub skipped: Vec<InstanceFault>,
}

/// An instance that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceFault {
    /// Which one.
    #[serde(flatten)]
    pub instance: Instance,
    /// What became of it.
    pub outcome: Outcome,
    /// CloudFormation's reason, or ours.
    pub reason: String,
}

/// What became of an instance that is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// CloudFormation tried, and failed.
    #[serde(rename = "failed")]
    Failed,
    /// The operation stopped before it came to it.
    #[serde(rename = "cancelled")]
    Cancelled,
    /// StackSets left it alone: its account is suspended, or is the management account.
    #[serde(rename = "skipped")]
    Skipped,
    /// No operation came to it.
    #[serde(rename = "never reached")]
    NeverReached,
    /// It should be gone.
    #[serde(rename = "not deleted")]
    NotDeleted,
}

impl Outcome {
    /// The outcome in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::NeverReached => "never reached",
            Self::NotDeleted => "not deleted",
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.words())
    }
}

impl Verdict {
    /// Whether every instance that StackSets can reach is as it should be.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.faults.is_empty()
    }

    pub(super) fn of(desired: &Desired, observed: &Observed) -> Self {
        let mut verdict =
            Self { total: desired.instances.len().saturating_add(desired.skipped.len()), ..Self::default() };
        for instance in desired.instances.keys() {
            let found = observed.instances.get(instance);
            let wrong = match found {
                None => Some(fault(instance, Outcome::NeverReached, "no stack instance exists")),
                Some(found) => judge(instance, found),
            };
            match wrong {
                None => verdict.succeeded = verdict.succeeded.saturating_add(1),
                Some(skipped) if skipped.outcome == Outcome::Skipped => verdict.skipped.push(skipped),
                Some(wrong) => verdict.faults.push(wrong),
            }
        }
        let left = observed.instances.iter().filter(|(instance, _)| !desired.knows(instance));
        verdict.faults.extend(left.map(|(instance, found)| not_deleted(instance, found)));
        verdict.skipped.extend(desired.skipped.iter().map(|(instance, reason)| skipped(instance, *reason)));
        verdict.skipped.sort_by(|one, other| one.instance.cmp(&other.instance));
        verdict
    }

    pub(super) fn nothing_left() -> Self {
        Self::default()
    }

    pub(super) fn left_over(observed: &Observed) -> Self {
        Self {
            total: observed.instances.len(),
            succeeded: 0,
            faults: observed.instances.iter().map(|(instance, found)| not_deleted(instance, found)).collect(),
            skipped: Vec::new(),
        }
    }
}

impl Desired {
    /// Whether an instance belongs to what the policy names, also where StackSets skip it.
    #[must_use]
    pub fn knows(&self, instance: &Instance) -> bool {
        self.instances.contains_key(instance) || self.skipped.contains_key(instance)
    }
}

/// What is wrong with an instance that the policy wants.
pub(super) fn judge(instance: &Instance, found: &ObservedInstance) -> Option<InstanceFault> {
    let told = found.reason.as_deref().filter(|reason| !reason.trim().is_empty());
    match (&found.status, &found.detailed) {
        (_, DetailedStatus::SkippedSuspendedAccount) => {
            Some(fault(instance, Outcome::Skipped, told.unwrap_or(SkipReason::Suspended.words())))
        }
        (InstanceStatus::Current, DetailedStatus::Failed) | (InstanceStatus::Outdated, _) => {
            let outcome = match found.detailed {
                DetailedStatus::Cancelled => Outcome::Cancelled,
                DetailedStatus::Pending | DetailedStatus::Running => Outcome::NeverReached,
                _ => Outcome::Failed,
            };
            Some(fault(instance, outcome, told.unwrap_or("CloudFormation gave no reason")))
        }
        (InstanceStatus::Current, _) => None,
        (InstanceStatus::Inoperable, _) => {
            let reason = told.unwrap_or("the instance is inoperable: an earlier delete failed");
            Some(fault(instance, Outcome::Failed, reason))
        }
        (InstanceStatus::Unknown(word), _) => {
            Some(fault(instance, Outcome::Failed, told.unwrap_or(&format!("unknown instance status `{word}`"))))
        }
    }
}

fn skipped(instance: &Instance, reason: SkipReason) -> InstanceFault {
    fault(instance, Outcome::Skipped, reason.words())
}

fn not_deleted(instance: &Instance, found: &ObservedInstance) -> InstanceFault {
    fault(instance, Outcome::NotDeleted, found.reason.as_deref().unwrap_or("CloudFormation gave no reason"))
}

fn fault(instance: &Instance, outcome: Outcome, reason: &str) -> InstanceFault {
    InstanceFault { instance: instance.clone(), outcome, reason: reason.to_owned() }
}
