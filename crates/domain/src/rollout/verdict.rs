//! How a rollout ended, read from its instances and never from the operation's own word.

use super::{Desired, DetailedStatus, Instance, InstanceStatus, Observed, ObservedInstance};
use serde::{Deserialize, Serialize};

/// The outcome, instance by instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Instances that the policy wants (or, in a removal, that were still there).
    pub total: usize,
    /// Those that are as they should be.
    pub succeeded: usize,
    /// Those that are not, each with its reason.
    pub faults: Vec<InstanceFault>,
}

/// An instance that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceFault {
    /// Which one.
    #[serde(flatten)]
    pub instance: Instance,
    /// `failed`, `cancelled`, `skipped`, `never reached`, `not deleted`.
    pub outcome: String,
    /// CloudFormation's reason, or ours.
    pub reason: String,
}

impl Verdict {
    /// Whether every instance is as it should be.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.faults.is_empty()
    }

    pub(super) fn of(desired: &Desired, observed: &Observed) -> Self {
        let mut faults: Vec<InstanceFault> = desired
            .instances
            .keys()
            .filter_map(|instance| match observed.instances.get(instance) {
                None => Some(fault(instance, "never reached", "no stack instance exists")),
                Some(found) => judge(instance, found),
            })
            .collect();
        let succeeded = desired.instances.len().saturating_sub(faults.len());
        faults.extend(
            observed
                .instances
                .iter()
                .filter(|(instance, _)| !desired.instances.contains_key(instance))
                .map(|(instance, found)| not_deleted(instance, found)),
        );
        Self { total: desired.instances.len(), succeeded, faults }
    }

    pub(super) fn nothing_left() -> Self {
        Self::default()
    }

    pub(super) fn left_over(observed: &Observed) -> Self {
        Self {
            total: observed.instances.len(),
            succeeded: 0,
            faults: observed.instances.iter().map(|(instance, found)| not_deleted(instance, found)).collect(),
        }
    }
}

/// What is wrong with an instance that the policy wants.
pub(super) fn judge(instance: &Instance, found: &ObservedInstance) -> Option<InstanceFault> {
    let told = found.reason.as_deref().filter(|reason| !reason.trim().is_empty());
    match (&found.status, &found.detailed) {
        (_, DetailedStatus::SkippedSuspendedAccount) => {
            Some(fault(instance, "skipped", told.unwrap_or("the account is suspended")))
        }
        (InstanceStatus::Current, DetailedStatus::Failed) | (InstanceStatus::Outdated, _) => {
            let outcome = match found.detailed {
                DetailedStatus::Cancelled => "cancelled",
                DetailedStatus::Pending | DetailedStatus::Running => "never reached",
                _ => "failed",
            };
            Some(fault(instance, outcome, told.unwrap_or("CloudFormation gave no reason")))
        }
        (InstanceStatus::Current, _) => None,
        (InstanceStatus::Inoperable, _) => {
            Some(fault(instance, "failed", told.unwrap_or("the instance is inoperable: an earlier delete failed")))
        }
        (InstanceStatus::Unknown(word), _) => {
            Some(fault(instance, "failed", told.unwrap_or(&format!("unknown instance status `{word}`"))))
        }
    }
}

fn not_deleted(instance: &Instance, found: &ObservedInstance) -> InstanceFault {
    fault(instance, "not deleted", found.reason.as_deref().unwrap_or("CloudFormation gave no reason"))
}

fn fault(instance: &Instance, outcome: &str, reason: &str) -> InstanceFault {
    InstanceFault { instance: instance.clone(), outcome: outcome.to_owned(), reason: reason.to_owned() }
}
