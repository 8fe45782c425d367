//! One reconciliation: the triggers of a batch, the policy at the head of the branch, each framework.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tracing::field::Empty;
use tracing::{Instrument as _, info, info_span, warn};

use domain::notice::{Notice, PolicyRejection};
use domain::rollout::transition::{Revision, settled};
use domain::rollout::{Desired, Membership, ObservedStackSet, PermissionModel, RolloutStep};
use framework::ids::{CommitId, StackSetName};
use syntax::diagnostic::Diagnostic;

use super::desired::{DesiredPolicy, PolicySource};
use super::ports::{CommitDetails, DeployEnv, DeployStore, OrganizationalUnits, PolicyRepository, StackSets};
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
    #[must_use]
    pub fn owner(&self) -> String {
        owner(&self.repository, &self.branch)
    }
}

/// The owner tag on the StackSets of the application that follows this repository and branch.
#[must_use]
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
    #[must_use]
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
    ///
    /// # Errors
    /// A call to AWS failed and may succeed later; the triggers should be delivered again.
    pub async fn handle(&self, triggers: &[DeployTrigger]) -> Result<ReconcileSummary> {
        let mut scope: Option<ReconcileScope> = None;
        let mut requests = false;
        let mut ended = BTreeSet::new();
        let mut reason = None;
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
                DeployTrigger::OperationEnded { stack_set } => {
                    ended.insert(stack_set.as_str());
                }
                DeployTrigger::Request { .. } => {
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
        if memory.rollouts.keys().any(|name| ended.contains(name.as_str())) {
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
            if let Err(error) = &outcome {
                self.fail_waiting(&waiting, &names, error).await?;
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
        self.answer_waiting(&waiting, &outcome).await?;
        outcome
    }

    async fn roll_out(&self, memory: DeployState, is_full: bool) -> Result<ReconcileSummary> {
        let Some(commit) = self.repository.head().await? else {
            let branch = &self.application.branch;
            info!(branch, "the branch does not exist yet");
            return Ok(ReconcileSummary::skipped(format!("the branch `{branch}` does not exist yet")));
        };
        let mut seen = ReconcileSummary { commit: Some(commit.clone()), ..ReconcileSummary::default() };
        let Application { policy_file, event_bus_arn, .. } = &self.application;
        let policy = PolicySource { commit: &commit, policy_file, event_bus_arn };
        let mut wanted = match policy.read(&self.repository).await? {
            Ok(wanted) => wanted,
            Err(faults) => return self.reject(seen, &commit, faults).await,
        };
        let mut work = Work { commit: &commit, revision: None, is_full, counts: DeployCounts::default() };
        let (mut observed, mut faults) = self.describe(&wanted).await?;
        if faults.is_empty() {
            faults = self.resolve_units(&mut wanted, &memory, &mut observed, &work).await?;
        }
        if !faults.is_empty() {
            return self.reject(seen, &commit, faults).await;
        }
        seen.warnings = self.publish_reporting(&memory, &wanted, &commit).await?;
        for framework in &wanted.frameworks {
            let name = &framework.desired.name;
            let known = memory.rollouts.get(name).cloned();
            let FrameworkState { stack_set, membership } = observed.remove(name).unwrap_or_default();
            let span = info_span!("rollout", stack_set = %name, commit = %commit, operation = Empty);
            let applying = self.apply(framework, known, stack_set, membership, &mut work);
            let outcome = applying.instrument(span.clone()).await?;
            span.in_scope(|| info!(outcome = ?outcome, "reconciled the framework"));
            seen.frameworks.insert(name.clone(), outcome);
        }
        let declared: BTreeSet<&StackSetName> =
            wanted.frameworks.iter().map(|framework| &framework.desired.name).collect();
        for (name, rollout) in memory.rollouts.into_iter().filter(|(name, _)| !declared.contains(name)) {
            let span = info_span!("removal", stack_set = %name, commit = %commit, operation = Empty);
            let removing = self.undeclared(rollout, wanted.remove_undeclared, &mut work);
            seen.frameworks.insert(name, removing.instrument(span).await?);
        }
        seen.counts = work.counts;
        Ok(seen)
    }

    /// Reads the StackSets of all frameworks. Returns a diagnostic for each that has another owner or permission model.
    async fn describe(
        &self,
        wanted: &DesiredPolicy,
    ) -> Result<(BTreeMap<StackSetName, FrameworkState>, Vec<Diagnostic>)> {
        let owner = self.application.owner();
        let mut all = BTreeMap::new();
        let mut faults = Vec::new();
        for framework in &wanted.frameworks {
            let stack_set = self.stack_sets.describe(framework.stack_set()).await?;
            let refusal = stack_set.as_ref().and_then(|found| ownership_error(&framework.desired, found, &owner));
            faults.extend(refusal.map(|(message, help)| wanted.diagnostic(framework.at, message, help)));
            let observed = FrameworkState { stack_set, membership: None };
            all.insert(framework.desired.name.clone(), observed);
        }
        Ok((all, faults))
    }

    /// Reads the accounts of the organizational units of all frameworks that are not settled, and adds their instances.
    async fn resolve_units(
        &self,
        wanted: &mut DesiredPolicy,
        memory: &DeployState,
        observed: &mut BTreeMap<StackSetName, FrameworkState>,
        work: &Work<'_>,
    ) -> Result<Vec<Diagnostic>> {
        let mut faults = Vec::new();
        // Exemptions name accounts: changed ones are compared with the accounts of all units.
        let reporting_changed = memory.reporting_digest.as_deref() != Some(wanted.reporting.digest().0.as_str());
        for index in 0..wanted.frameworks.len() {
            let Some(framework) = wanted.frameworks.get(index) else { continue };
            let Some(observed) = observed.get_mut(&framework.desired.name) else { continue };
            let desired = &framework.desired;
            let units = desired.organizational_units();
            let known = memory.rollouts.get(&desired.name).map(|known| &known.value);
            let is_settled = settled(desired, known, observed.stack_set.as_ref(), work.commit, work.is_full).is_some();
            if units.is_empty() || (is_settled && !reporting_changed) {
                continue;
            }
            let fresh = known.is_none_or(|known| known.digest != desired.digest());
            let membership = self.organization.membership(&units).await?;
            faults.extend(wanted.resolve_units(index, &membership, fresh));
            observed.membership = Some(membership);
        }
        Ok(faults)
    }

    async fn reject(
        &self,
        mut seen: ReconcileSummary,
        commit: &CommitId,
        faults: Vec<Diagnostic>,
    ) -> Result<ReconcileSummary> {
        seen.rejected = faults.iter().map(ToString::to_string).collect();
        warn!(commit = %commit, diagnostics = ?seen.rejected, "rejected the policy; nothing was changed");
        if self.store.rejected_commit().await?.as_ref() == Some(commit) {
            return Ok(seen);
        }
        let CommitDetails { author, message } = self.repository.commit(commit).await?;
        let Application { repository, branch, .. } = self.application.clone();
        let notice = Notice::PolicyRejected(PolicyRejection {
            repository,
            branch,
            commit: commit.clone(),
            author,
            message,
            diagnostics: faults,
        });
        self.notify(&notice).await?;
        self.comment(commit, &notice).await;
        self.store.set_rejected_commit(commit).await?;
        Ok(seen)
    }
}

impl FrameworkOutcome {
    pub(super) fn failure(&self) -> Option<&str> {
        match self {
            Self::Failed(reason) => Some(reason),
            _ => None,
        }
    }
}

/// The state of a framework before an action.
#[derive(Default)]
struct FrameworkState {
    stack_set: Option<ObservedStackSet>,
    /// The accounts of its organizational units, if they were read.
    membership: Option<Membership>,
}

/// The state that all frameworks of one reconciliation share.
pub(super) struct Work<'a> {
    /// The head of the branch.
    pub(super) commit: &'a CommitId,
    /// The same with its author and message, once they were read.
    pub(super) revision: Option<Revision>,
    /// Whether the instances of all frameworks are read.
    pub(super) is_full: bool,
    pub(super) counts: DeployCounts,
}

/// Explains why this policy may not manage a StackSet: message and help.
pub(crate) fn ownership_error(desired: &Desired, found: &ObservedStackSet, owner: &str) -> Option<(String, String)> {
    let name = &desired.name;
    match found.owner.as_deref() {
        Some(ours) if ours == owner => {}
        Some(other) => {
            let message = format!("a StackSet `{name}` exists already and belongs to the policy `{other}`");
            return Some((message, "give the framework another name, or remove it from that policy first".to_owned()));
        }
        None if desired.adopt => {}
        None => {
            let message = format!("a StackSet `{name}` exists already and was not created by this application");
            let help = "give the framework another name, or write `adopt: true` to adopt the StackSet: `backup-compliance plan` shows the changes to its instances";
            return Some((message, help.to_owned()));
        }
    }
    (found.permissions != desired.permissions.model()).then(|| {
        let (has, targets) = match found.permissions {
            PermissionModel::SelfManaged => ("self-managed permissions", "organizational units"),
            PermissionModel::ServiceManaged => ("service-managed permissions", "accounts"),
        };
        let message = format!("the StackSet `{name}` has {has}, and the targets are {targets}");
        (message, "AWS cannot change this while a StackSet has instances: give the framework another name".to_owned())
    })
}
