//! Plans a push: compares the policy at a commit with the deployed StackSets, as `deploy` does. The use case has only the reading
//! part of the port [`StackSets`], so it cannot change anything.

use std::collections::BTreeMap;
use std::future::Future;

use domain::rollout::plan::RolloutPlan;
use domain::rollout::transition::{OperationProgress, Settled, settled};
use domain::rollout::{AppliedOverrides, Membership, Observed, ObservedStackSet, OperationStatus};
use framework::ids::{CommitId, StackSetName};
use syntax::diagnostic::Diagnostic;

use crate::deploy::StackSetRef;
use crate::deploy::desired::EVENT_BUS_PARAMETER;
use crate::deploy::members::{members_left, with_former_units};
use crate::deploy::ports::{OrganizationalUnits, PolicyRepository, StackSets};
use crate::deploy::reconcile::ownership_error;
use crate::deploy::{DeployState, DesiredFramework, DesiredPolicy, InFlight, PolicySource, RolloutRecord};
use crate::ports::Result;

/// A placeholder for an unknown event bus.
const UNKNOWN_BUS: &str = "arn:aws:events:us-east-1:000000000000:event-bus/backup-compliance";

/// The reading part of [`StackSets`], which implements it.
pub trait DeployedStackSets {
    /// See [`StackSets::describe`].
    fn describe(&self, of: StackSetRef<'_>) -> impl Future<Output = Result<Option<ObservedStackSet>>> + Send;
    /// See [`StackSets::observe`].
    fn observe(
        &self,
        of: StackSetRef<'_>,
        stack_set: ObservedStackSet,
    ) -> impl Future<Output = Result<Observed>> + Send;
    /// See [`StackSets::operation`].
    fn operation(&self, of: StackSetRef<'_>, id: &str) -> impl Future<Output = Result<Option<OperationStatus>>> + Send;
}

impl<T: StackSets> DeployedStackSets for T {
    fn describe(&self, of: StackSetRef<'_>) -> impl Future<Output = Result<Option<ObservedStackSet>>> + Send {
        StackSets::describe(self, of)
    }

    fn observe(
        &self,
        of: StackSetRef<'_>,
        stack_set: ObservedStackSet,
    ) -> impl Future<Output = Result<Observed>> + Send {
        StackSets::observe(self, of, stack_set)
    }

    fn operation(&self, of: StackSetRef<'_>, id: &str) -> impl Future<Output = Result<Option<OperationStatus>>> + Send {
        StackSets::operation(self, of, id)
    }
}

/// The adapters that [`Planner`] works with.
pub trait PlanEnv {
    /// The repository or folder of the policy.
    type Repository: PolicyRepository;
    /// CloudFormation StackSets.
    type StackSets: DeployedStackSets;
    /// AWS Organizations, for targets that are organizational units.
    type Organization: OrganizationalUnits;
}

/// The use case.
#[derive(Debug)]
pub struct Planner<E: PlanEnv> {
    /// The repository or folder of the policy.
    pub repository: E::Repository,
    /// The deployed StackSets.
    pub stack_sets: E::StackSets,
    /// The organization, for targets with organizational units.
    pub organization: E::Organization,
}

/// The request for a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRequest {
    /// The commit.
    pub commit: CommitId,
    /// The path of the policy file.
    pub policy_file: String,
    /// The value of the owner tag on the application's StackSets.
    pub owner: String,
    /// The event bus for compliance events. If it is unknown (`None`), frameworks keep the one that they have.
    pub event_bus_arn: Option<String>,
    /// Plan only this framework.
    pub only: Option<StackSetName>,
}

/// The plan of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushPlan {
    /// The names of all frameworks of the policy, also if only one is planned.
    pub declared: Vec<StackSetName>,
    /// The frameworks in the order of the policy.
    pub frameworks: Vec<FrameworkPlan>,
    /// Frameworks that have left the policy, by name; empty without the records of `deploy`.
    pub undeclared: Vec<UndeclaredFramework>,
    /// Whether the records of `deploy` were available.
    pub has_records: bool,
    /// The application is being removed, so `deploy` rolls out nothing.
    pub removing: bool,
}

/// The plan of one framework.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameworkPlan {
    /// The plan from the current state.
    pub plan: RolloutPlan,
    /// A running operation of `deploy`, which waits for its end; the state will be different then.
    pub running_operation: Option<InFlight>,
    /// The policy is unchanged since the last successful rollout: a push does not read the instances, and the next full
    /// reconciliation runs the plan.
    pub left_to_full_reconciliation: bool,
}

/// A framework that has left the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndeclaredFramework {
    /// The StackSet.
    pub name: StackSetName,
    /// The commit that last declared it.
    pub commit: CommitId,
    /// The planned action.
    pub action: UndeclaredAction,
}

/// The planned action on a framework that has left the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UndeclaredAction {
    /// It stays, since the policy does not set `removeUndeclared`.
    Keep,
    /// It stays, since another policy or user owns the StackSet.
    OtherOwner,
    /// It does not exist any more.
    Missing,
    /// It is removed.
    Remove(Box<RolloutPlan>),
}

impl PushPlan {
    /// Whether the push would change anything.
    #[must_use]
    pub fn is_change(&self) -> bool {
        self.frameworks.iter().any(|framework| framework.plan.is_change())
            || self.undeclared.iter().any(|undeclared| matches!(undeclared.action, UndeclaredAction::Remove(_)))
    }

    /// All plans, removals last.
    pub fn plans(&self) -> impl Iterator<Item = &RolloutPlan> {
        let removed = self.undeclared.iter().filter_map(|undeclared| match &undeclared.action {
            UndeclaredAction::Remove(plan) => Some(&**plan),
            _ => None,
        });
        self.frameworks.iter().map(|framework| &framework.plan).chain(removed)
    }
}

impl<E: PlanEnv> Planner<E> {
    /// Plans a push. `memory` has the records of `deploy`, if available; `reading` is called with each StackSet before its
    /// instances are read.
    ///
    /// # Errors
    /// The outer error if a call to AWS fails; the inner one with every diagnostic if `deploy` would reject the policy.
    pub async fn plan(
        &self,
        question: &PlanRequest,
        memory: Option<&DeployState>,
        mut reading: impl FnMut(&StackSetName),
    ) -> Result<Result<PushPlan, Vec<Diagnostic>>> {
        let event_bus_arn = question.event_bus_arn.as_deref().unwrap_or(UNKNOWN_BUS);
        let policy = PolicySource { commit: &question.commit, policy_file: &question.policy_file, event_bus_arn };
        let mut desired = match policy.read(&self.repository).await? {
            Ok(desired) => desired,
            Err(faults) => return Ok(Err(faults)),
        };
        let remembered = memory.is_some();
        let nothing = DeployState::default();
        let memory = memory.unwrap_or(&nothing);
        let mut found = match self.check(&mut desired, memory, question).await? {
            Ok(found) => found,
            Err(faults) => return Ok(Err(faults)),
        };
        let selected = |name: &StackSetName| question.only.as_ref().is_none_or(|only| only == name);
        let declared = desired.frameworks.iter().map(|framework| framework.desired.name.clone()).collect();
        let mut outlook = PushPlan {
            declared,
            frameworks: Vec::new(),
            undeclared: Vec::new(),
            has_records: remembered,
            removing: memory.removing,
        };
        for framework in desired.frameworks.iter().filter(|framework| selected(&framework.desired.name)) {
            let name = &framework.desired.name;
            reading(name);
            let ObservedFramework { stack_set, membership } = found.remove(name).unwrap_or_default();
            let known = memory.rollouts.get(name).map(|known| &known.value);
            outlook.frameworks.push(self.framework(framework, known, stack_set, membership, question).await?);
        }
        for (name, rollout) in memory.rollouts.iter().filter(|(name, _)| selected(name)) {
            if outlook.declared.contains(name) {
                continue;
            }
            let fate = if desired.remove_undeclared {
                reading(name);
                self.removal(&rollout.value, question).await?
            } else {
                UndeclaredAction::Keep
            };
            let commit = rollout.value.commit.clone();
            outlook.undeclared.push(UndeclaredFramework { name: name.clone(), commit, action: fate });
        }
        Ok(Ok(outlook))
    }

    /// Reads the StackSets and organizational units, and reports everything for which `deploy` would reject the policy.
    async fn check(
        &self,
        policy: &mut DesiredPolicy,
        memory: &DeployState,
        question: &PlanRequest,
    ) -> Result<Result<BTreeMap<StackSetName, ObservedFramework>, Vec<Diagnostic>>> {
        let mut all = BTreeMap::new();
        let mut faults = Vec::new();
        for framework in &policy.frameworks {
            let stack_set = self.stack_sets.describe(framework.stack_set()).await?;
            let rejection =
                stack_set.as_ref().and_then(|found| ownership_error(&framework.desired, found, &question.owner));
            faults.extend(rejection.map(|(problem, fix)| policy.diagnostic(framework.at, problem, fix)));
            all.insert(framework.desired.name.clone(), ObservedFramework { stack_set, membership: None });
        }
        if !faults.is_empty() {
            return Ok(Err(faults));
        }
        for index in 0..policy.frameworks.len() {
            let Some(framework) = policy.frameworks.get_mut(index) else { continue };
            let desired = &mut framework.desired;
            let Some(found) = all.get_mut(&desired.name) else { continue };
            if question.event_bus_arn.is_none()
                && let Some(bus) = found.stack_set.as_ref().and_then(|found| found.parameters.get(EVENT_BUS_PARAMETER))
                && let Some(value) =
                    desired.parameters.get_mut(EVENT_BUS_PARAMETER).filter(|value| *value == UNKNOWN_BUS)
            {
                value.clone_from(bus);
            }
            let units = desired.organizational_units();
            if !units.is_empty() {
                let membership = self.organization.membership(&units).await?;
                let known = memory.rollouts.get(&desired.name);
                let fresh = known.is_none_or(|known| known.value.digest != desired.digest());
                faults.extend(policy.resolve_units(index, &membership, fresh));
                found.membership = Some(membership);
            }
        }
        Ok(if faults.is_empty() { Ok(all) } else { Err(faults) })
    }

    async fn framework(
        &self,
        framework: &DesiredFramework,
        known: Option<&RolloutRecord>,
        stack_set: Option<ObservedStackSet>,
        membership: Option<Membership>,
        question: &PlanRequest,
    ) -> Result<FrameworkPlan> {
        let desired = &framework.desired;
        let settled = settled(desired, known, stack_set.as_ref(), &question.commit, false);
        let (mut overrides, busy) = self.overrides(framework.stack_set(), known, stack_set.is_some()).await?;
        let mut observed = match stack_set {
            Some(stack_set) => self.stack_sets.observe(framework.stack_set(), stack_set).await?,
            None => Observed::default(),
        };
        overrides.apply(&mut observed, &question.owner);
        let membership = with_former_units(&self.organization, membership.unwrap_or_default(), &observed).await?;
        let plan = RolloutPlan::new(desired, &observed, &question.owner, &membership);
        let left_to_full_look = settled == Some(Settled::Unchanged) && plan.is_change();
        Ok(FrameworkPlan { plan, running_operation: busy, left_to_full_reconciliation: left_to_full_look })
    }

    /// The known overrides, and the running operation.
    async fn overrides(
        &self,
        of: StackSetRef<'_>,
        known: Option<&RolloutRecord>,
        exists: bool,
    ) -> Result<(AppliedOverrides, Option<InFlight>)> {
        let Some(mut known) = known.cloned() else { return Ok((AppliedOverrides::unrecorded(exists), None)) };
        let mut busy = None;
        if let Some(in_flight) = known.in_flight.clone() {
            let status = self.stack_sets.operation(of, &in_flight.id).await?;
            busy = Some(in_flight).filter(|_| known.observe_operation(status) != OperationProgress::Idle);
        }
        Ok((known.applied_overrides, busy))
    }

    async fn removal(&self, rollout: &RolloutRecord, question: &PlanRequest) -> Result<UndeclaredAction> {
        let Some(stack_set) = self.stack_sets.describe(rollout.stack_set()).await? else {
            return Ok(UndeclaredAction::Missing);
        };
        if stack_set.owner.as_deref() != Some(&question.owner) {
            return Ok(UndeclaredAction::OtherOwner);
        }
        let (mut overrides, _) = self.overrides(rollout.stack_set(), Some(rollout), true).await?;
        let mut observed = self.stack_sets.observe(rollout.stack_set(), stack_set).await?;
        overrides.apply(&mut observed, &question.owner);
        let membership = members_left(&self.organization, &observed).await?;
        Ok(UndeclaredAction::Remove(Box::new(RolloutPlan::for_removal(&rollout.name, &observed, &membership))))
    }
}

/// The observed StackSet and organizational units of a framework.
#[derive(Default)]
struct ObservedFramework {
    stack_set: Option<ObservedStackSet>,
    membership: Option<Membership>,
}
