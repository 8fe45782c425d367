//! The verdict of a rollout, from the status of its instances and never from that of the operation.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Desired, DetailedStatus, Instance, InstanceStatus, Observed, ObservedInstance, SkipReason};

const NO_REASON: &str = "CloudFormation gave no reason";

/// The result of a rollout by instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Verdict {
    /// The number of desired instances, including skipped ones; in a removal, of remaining instances.
    pub total: usize,
    /// The number of instances in the desired state.
    pub succeeded: usize,
    /// Instances that are not in the desired state.
    pub failures: Vec<InstanceFailure>,
    /// Instances that StackSets skips. A retry would not change them, so they are not failures.
    #[serde(default)]
    pub skipped: Vec<InstanceFailure>,
}

/// An instance that is not in the desired state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceFailure {
    /// The instance.
    #[serde(flatten)]
    pub instance: Instance,
    /// The outcome.
    pub outcome: InstanceOutcome,
    /// The reason, from CloudFormation if it gave one.
    pub reason: String,
}

/// The outcome of an instance that is not in the desired state, failures before their consequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstanceOutcome {
    /// The operation on it failed.
    Failed,
    /// It is not desired and was not deleted.
    #[serde(rename = "not deleted")]
    NotDeleted,
    /// The operation stopped before it reached the instance.
    Cancelled,
    /// No operation reached it.
    #[serde(rename = "never reached")]
    NeverReached,
    /// StackSets skips it: the account is suspended, or is the management account.
    Skipped,
}

impl InstanceOutcome {
    /// The outcome, for reports and JSON.
    pub fn description(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::NeverReached => "never reached",
            Self::NotDeleted => "not deleted",
        }
    }
}

impl std::fmt::Display for InstanceOutcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.description())
    }
}

impl Verdict {
    /// Whether every instance that StackSets can reach is in the desired state.
    pub fn is_success(&self) -> bool {
        self.failures.is_empty()
    }

    pub(super) fn new(desired: &Desired, observed: &Observed) -> Self {
        let mut verdict =
            Self { total: desired.instances.len().saturating_add(desired.skipped.len()), ..Self::default() };
        for instance in desired.instances.keys() {
            let failure = match observed.instances.get(instance) {
                None => Some(diagnostic(instance, InstanceOutcome::NeverReached, "no stack instance exists")),
                Some(found) => evaluate(instance, found),
            };
            match failure {
                None => verdict.succeeded = verdict.succeeded.saturating_add(1),
                Some(skipped) if skipped.outcome == InstanceOutcome::Skipped => verdict.skipped.push(skipped),
                Some(failed) => verdict.failures.push(failed),
            }
        }
        let left = observed.instances.iter().filter(|(instance, _)| !desired.selects(instance));
        verdict.failures.extend(left.map(|(instance, found)| not_deleted(instance, found)));
        let skip = |(instance, reason): (&Instance, &SkipReason)| {
            diagnostic(instance, InstanceOutcome::Skipped, reason.description())
        };
        verdict.skipped.extend(desired.skipped.iter().map(skip));
        verdict.skipped.sort_by(|one, other| one.instance.cmp(&other.instance));
        verdict
    }

    /// The verdict of a removal that cannot delete the remaining instances.
    pub(super) fn remaining(observed: &Observed) -> Self {
        let diagnostics = observed.instances.iter().map(|(instance, found)| not_deleted(instance, found)).collect();
        Self { total: observed.instances.len(), failures: diagnostics, ..Self::default() }
    }
}

impl Desired {
    /// Whether the policy names an instance, also if StackSets skips it.
    pub fn selects(&self, instance: &Instance) -> bool {
        self.instances.contains_key(instance) || self.skipped.contains_key(instance)
    }
}

/// Evaluates a desired instance; `None` if it is in the desired state.
pub(super) fn evaluate(instance: &Instance, found: &ObservedInstance) -> Option<InstanceFailure> {
    let reason = found.reason.as_deref().filter(|reason| !reason.trim().is_empty());
    let (outcome, otherwise): (_, Cow<'static, str>) = match (&found.status, &found.detailed) {
        (_, DetailedStatus::SkippedSuspendedAccount) => {
            (InstanceOutcome::Skipped, SkipReason::Suspended.description().into())
        }
        (InstanceStatus::Current, DetailedStatus::Failed) | (InstanceStatus::Outdated, _) => {
            let outcome = match found.detailed {
                DetailedStatus::Cancelled => InstanceOutcome::Cancelled,
                DetailedStatus::Pending | DetailedStatus::Running => InstanceOutcome::NeverReached,
                _ => InstanceOutcome::Failed,
            };
            (outcome, NO_REASON.into())
        }
        (InstanceStatus::Current, _) => return None,
        (InstanceStatus::Inoperable, _) => {
            (InstanceOutcome::Failed, "the instance is inoperable: an earlier delete failed".into())
        }
        (InstanceStatus::Unknown(word), _) => {
            (InstanceOutcome::Failed, format!("unknown instance status `{word}`").into())
        }
    };
    Some(diagnostic(instance, outcome, reason.unwrap_or(&otherwise)))
}

fn not_deleted(instance: &Instance, found: &ObservedInstance) -> InstanceFailure {
    diagnostic(instance, InstanceOutcome::NotDeleted, found.reason.as_deref().unwrap_or(NO_REASON))
}

fn diagnostic(instance: &Instance, outcome: InstanceOutcome, reason: &str) -> InstanceFailure {
    InstanceFailure { instance: instance.clone(), outcome, reason: reason.to_owned() }
}
