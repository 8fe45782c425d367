//! One reconciliation: the triggers of a batch, the policy at the head of the branch, each framework.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tracing::field::Empty;
use tracing::{Instrument as _, info, info_span, warn};

use domain::notice::{Notice, PolicyRejection};
use domain::rollout::transition::{Revision, settled};
use domain::rollout::{Desired, RolloutStep};
use framework::ids::{CommitId, StackSetName};
use syntax::diagnostic::Diagnostic;

use super::desired::{DesiredPolicy, ObservedFrameworks, PolicySource};
use super::ports::{DeployEnv, DeployStore, PolicyRepository};
use super::state::DeployState;
use crate::events::{DeployTrigger, ReconcileScope};
use crate::lifecycle::RequestKind;
use crate::lifecycle::ports::RequestStore;
use crate::ports::Result;

/// The repository that an application follows, and its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// The policy repository.
    pub repository: String,
    /// Its branch.
    pub branch: String,
    /// Path of the policy file in the repository.
    pub policy_file: String,
    /// ARN of the event bus to which frameworks forward compliance events.
    pub event_bus_arn: String,
    /// Notices of rollouts and rejections are also written as comments on their commits.
    pub comment_on_commits: bool,
}

impl Application {
    /// The owner tag of this application's StackSets.
    pub fn owner(&self) -> String {
        owner(&self.repository, &self.branch)
    }
}

/// The owner tag on the StackSets of the application that follows this repository and branch.
pub fn owner(repository: &str, branch: &str) -> String {
    format!("{repository}@{branch}")
}

/// Rolls the policy out.
#[derive(Debug)]
pub struct Deploy<E: DeployEnv> {
    /// The repository to follow, and the settings.
    pub application: Application,
    /// The policy repository.
    pub repository: E::Repository,
    /// CloudFormation StackSets.
    pub stack_sets: E::StackSets,
    /// AWS Organizations, for targets that are organizational units.
    pub organization: E::Organization,
    /// The inventory in the application's bucket.
    pub inventories: E::Inventories,
    /// The state of `deploy`, and the CloudFormation requests that wait for an answer.
    pub store: E::Store,
    /// Publishes notices of rollouts and policies.
    pub notifier: E::Notifier,
    /// Answers CloudFormation.
    pub responder: E::Responder,
    /// The time.
    pub clock: E::Clock,
}

/// The result of a reconciliation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct ReconcileSummary {
    /// The head of the branch; absent if the branch does not exist or was not read.
    pub commit: Option<CommitId>,
    /// The outcome of each framework.
    pub frameworks: BTreeMap<StackSetName, FrameworkOutcome>,
    /// The diagnostics of a rejected policy.
    pub rejected: Vec<String>,
    /// The warnings about the policy; reported once for each change of its reporting rules.
    pub warnings: Vec<String>,
    /// The reason why nothing was reconciled.
    pub skipped: Option<String>,
    /// Counts, for metrics.
    pub counts: DeployCounts,
}

impl ReconcileSummary {
    fn skipped(reason: impl Into<String>) -> Self {
        Self { skipped: Some(reason.into()), ..Self::default() }
    }
}

/// Counts of one reconciliation, emitted as metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct DeployCounts {
    /// StackSets whose instances or operations were read.
    pub reconciliations: usize,
    /// Mutating calls to StackSets.
    pub mutating_calls: usize,
    /// Rollouts that ended with every instance as desired.
    pub rollouts_succeeded: usize,
    /// Rollouts that ended otherwise.
    pub rollouts_failed: usize,
    /// Instances that verdicts of this reconciliation found as desired.
    pub instances_succeeded: usize,
    /// Instances that they found to have failed.
    pub instances_failed: usize,
    /// Instances that StackSets skips.
    pub instances_skipped: usize,
    /// Seconds from the beginning of a rollout to its success; of the slowest rollout that succeeded in this reconciliation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_to_converge: Option<i64>,
}

impl DeployCounts {
    /// These counts with the instances of the verdict that a step brings, if it does.
    pub(super) fn with_instances(self, step: &RolloutStep) -> Self {
        let RolloutStep::Finished(verdict) = step else { return self };
        Self {
            instances_succeeded: self.instances_succeeded.saturating_add(verdict.succeeded),
            instances_failed: self.instances_failed.saturating_add(verdict.failures.len()),
            instances_skipped: self.instances_skipped.saturating_add(verdict.skipped.len()),
            ..self
        }
    }
}

/// The outcome of reconciling one framework.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "outcome", content = "detail")]
pub enum FrameworkOutcome {
    /// Every instance is as desired; nothing was done.
    Unchanged,
    /// An operation of this id was started.
    Started(String),
    /// An operation is in progress.
    Waiting,
    /// The rollout has ended with every instance as desired.
    Succeeded,
    /// The rollout has ended otherwise, for this reason.
    Failed(String),
    /// The rollout failed before; a push or a full reconciliation retries it.
    FailedBefore,
    /// The StackSet and its instances were deleted.
    Removed,
    /// The policy no longer declares the framework and does not ask for its removal.
    Undeclared,
}

impl<E: DeployEnv> Deploy<E> {
    /// Acts on the triggers of a batch. They cause one reconciliation together, of the widest scope that one of them asks for.
    /// After an error they should be delivered again.
    pub async fn handle(&self, triggers: &[DeployTrigger]) -> Result<ReconcileSummary> {
        let (mut scope, mut requests) = (None::<ReconcileScope>, false);
        let (mut ended, mut reason) = (Vec::new(), None);
        for trigger in triggers {
            match trigger {
                DeployTrigger::Ignored(why) => {
                    info!(why, "ignored a trigger");
                    reason = Some(why.clone());
                }
                DeployTrigger::Invalid(why) => {
                    warn!(why, "dropped a trigger that is not valid");
                    reason = Some(why.clone());
                }
                DeployTrigger::Push => scope = scope.max(Some(ReconcileScope::Standard)),
                DeployTrigger::OperationEnded(stack_set) => ended.push(stack_set.as_str()),
                DeployTrigger::Request(_) => {
                    scope = scope.max(Some(ReconcileScope::Standard));
                    requests = true;
                }
                DeployTrigger::Schedule(scheduled) => {
                    scope = scope.max(Some(*scheduled));
                    requests = true;
                }
            }
        }
        if scope.is_none() && ended.is_empty() {
            return Ok(ReconcileSummary { skipped: reason, ..ReconcileSummary::default() });
        }
        let memory = self.store.load_state().await?;
        if memory.rollouts.keys().any(|name| ended.contains(&name.as_str())) {
            scope = scope.max(Some(ReconcileScope::Standard));
        }
        match scope {
            Some(scope) => self.reconcile(memory, scope, requests).await,
            None => Ok(ReconcileSummary::skipped("the operation is on a StackSet of another owner")),
        }
    }

    async fn reconcile(&self, memory: DeployState, scope: ReconcileScope, requests: bool) -> Result<ReconcileSummary> {
        let waiting = if requests || memory.removing { self.store.waiting().await? } else { Vec::new() };
        let waiting = self.give_settled(waiting).await?;
        let busy = memory.rollouts.values().any(|rollout| rollout.value.phase.is_busy());
        if scope == ReconcileScope::QuickCheck && waiting.is_empty() && !busy {
            return Ok(ReconcileSummary::skipped("nothing is pending"));
        }
        if waiting.iter().any(|waiting| waiting.request.kind == RequestKind::Delete) {
            let names: Vec<StackSetName> = memory.rollouts.keys().cloned().collect();
            let outcome = self.remove_everything(memory, &waiting).await;
            if outcome.is_err() {
                self.answer_waiting(&waiting, &outcome, &names).await?;
            }
            return outcome;
        }
        if memory.removing {
            if waiting.is_empty() {
                return Ok(ReconcileSummary::skipped("the application is being removed"));
            }
            // The removal failed, and the application was created again on the same table.
            self.store.set_removal(false).await?;
        }
        let outcome = self.roll_out(memory, scope == ReconcileScope::Full).await;
        self.answer_waiting(&waiting, &outcome, &[]).await?;
        outcome
    }

    async fn roll_out(&self, memory: DeployState, is_full: bool) -> Result<ReconcileSummary> {
        let Some(commit) = self.repository.head().await? else {
            let Application { repository, branch, .. } = &self.application;
            info!(repository, branch, "the source has no policy yet");
            return Ok(ReconcileSummary::skipped(format!("`{repository}` has no policy on the branch `{branch}` yet")));
        };
        let mut seen = ReconcileSummary { commit: Some(commit.clone()), ..ReconcileSummary::default() };
        let order = self.repository.order(&commit).await?;
        let acceptance = match order.judge(&commit, memory.accepted.as_ref()) {
            Ok(acceptance) => acceptance,
            Err(replay) => return self.reject(&commit, vec![*replay]).await,
        };
        let Application { policy_file, event_bus_arn, .. } = &self.application;
        let policy = PolicySource { commit: &commit, policy_file, event_bus_arn };
        let mut desired = match policy.read(&self.repository).await? {
            Ok(desired) => desired,
            Err(faults) => return self.reject(&commit, faults).await,
        };
        let mut work = Work { commit: &commit, revision: None, is_full, counts: DeployCounts::default() };
        let (mut observed, mut faults) = desired.describe(&self.stack_sets, &self.application.owner()).await?;
        if faults.is_empty() {
            let settled = settled_frameworks(&desired, &memory, &observed, &work);
            faults = desired.resolve_units(&self.organization, &memory, &mut observed, &settled).await?;
        }
        if !faults.is_empty() {
            return self.reject(&commit, faults).await;
        }
        self.accept(acceptance).await?;
        seen.warnings = self.publish_reporting(&memory, &desired, &commit).await?;
        for framework in &desired.frameworks {
            let name = &framework.desired.name;
            let known = memory.rollouts.get(name).cloned();
            let observed = observed.remove(name).unwrap_or_default();
            let span = info_span!("rollout", stack_set = %name, commit = %commit, operation = Empty);
            let applying = self.apply(framework, known, observed, &mut work);
            let outcome = applying.instrument(span.clone()).await?;
            span.in_scope(|| info!(outcome = ?outcome, "reconciled the framework"));
            seen.frameworks.insert(name.clone(), outcome);
        }
        for (name, rollout) in memory.rollouts {
            if seen.frameworks.contains_key(&name) {
                continue;
            }
            let span = info_span!("removal", stack_set = %name, commit = %commit, operation = Empty);
            let removing = self.undeclared(rollout, desired.remove_undeclared, &mut work);
            seen.frameworks.insert(name, removing.instrument(span).await?);
        }
        seen.counts = work.counts;
        Ok(seen)
    }

    async fn reject(&self, commit: &CommitId, diagnostics: Vec<Diagnostic>) -> Result<ReconcileSummary> {
        let mut seen = ReconcileSummary { commit: Some(commit.clone()), ..ReconcileSummary::default() };
        seen.rejected = diagnostics.iter().map(ToString::to_string).collect();
        warn!(commit = %commit, diagnostics = ?seen.rejected, "rejected the policy; nothing was changed");
        if self.store.rejected_commit().await?.as_ref() == Some(commit) {
            return Ok(seen);
        }
        let Revision { commit: id, author, message } = self.repository.commit(commit).await?;
        let Application { repository, branch, .. } = self.application.clone();
        let rejection = PolicyRejection { repository, branch, commit: id, author, message, diagnostics };
        let notice = Notice::PolicyRejected(rejection);
        self.notify(&notice).await?;
        self.comment(commit, &notice).await;
        self.store.set_rejected_commit(commit).await?;
        Ok(seen)
    }
}

/// The frameworks whose organizational units need not be read.
fn settled_frameworks(
    desired: &DesiredPolicy,
    memory: &DeployState,
    observed: &ObservedFrameworks,
    work: &Work<'_>,
) -> BTreeSet<StackSetName> {
    // Exemptions name accounts: changed ones are compared with the accounts of all units.
    if memory.reporting_digest.as_deref() != Some(desired.reporting.digest().0.as_str()) {
        return BTreeSet::new();
    }
    let is_settled = |desired: &&Desired| {
        let known = memory.rollouts.get(&desired.name).map(|known| &known.value);
        let stack_set = observed.get(&desired.name).and_then(|observed| observed.stack_set.as_ref());
        settled(desired, known, stack_set, work.commit, work.is_full).is_some()
    };
    let desired = desired.frameworks.iter().map(|framework| &framework.desired);
    desired.filter(is_settled).map(|desired| desired.name.clone()).collect()
}

/// The state that all frameworks of one reconciliation share.
pub(super) struct Work<'a> {
    pub(super) commit: &'a CommitId,
    /// The same with its author and message, once they were read.
    pub(super) revision: Option<Revision>,
    /// Whether the instances of all frameworks are read.
    pub(super) is_full: bool,
    pub(super) counts: DeployCounts,
}
