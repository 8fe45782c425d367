//! Plans a push: compares the policy at a commit with the deployed StackSets, as `deploy` does. The use case has only the reading
//! calls of StackSets, so it cannot change anything.

use std::collections::{BTreeMap, BTreeSet};

use domain::rollout::plan::RolloutPlan;
use domain::rollout::transition::{OperationProgress, Settled, settled};
use domain::rollout::{AppliedOverrides, Desired, Membership, Observed};
use framework::ids::{CommitId, StackSetName};
use syntax::diagnostic::Diagnostic;

use crate::deploy::StackSetRef;
use crate::deploy::desired::{EVENT_BUS_PARAMETER, ObservedFramework, ObservedFrameworks, UNKNOWN_EVENT_BUS};
use crate::deploy::members::{members_left, with_former_units};
use crate::deploy::ports::{DeployedStackSets, OrganizationalUnits, PolicyRepository};
use crate::deploy::{DeployState, DesiredFramework, DesiredPolicy, InFlight, PolicySource, RolloutRecord};
use crate::ports::Result;

/// The use case.
#[derive(Debug)]
pub struct Planner<R, S, O> {
    /// The repository or folder of the policy.
    pub repository: R,
    /// The deployed StackSets.
    pub stack_sets: S,
    /// The organization, for targets with organizational units.
    pub organization: O,
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
    /// The policy is unchanged since the last successful rollout: the next full reconciliation runs the plan, not a push.
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

/// Plans the change from one policy to another without AWS, as if the first was rolled out completely. Returns a plan for each framework,
/// and the frameworks that leave the policy and stay deployed. Accounts of organizational units are not known.
pub fn plan_change(before: Option<&DesiredPolicy>, after: &DesiredPolicy) -> (Vec<RolloutPlan>, Vec<StackSetName>) {
    const OWNER: &str = "this policy";
    let membership = Membership::default();
    let frameworks = |policy: &DesiredPolicy| -> BTreeMap<StackSetName, Observed> {
        let observed = |desired: &Desired| (desired.name.clone(), Observed::after_rollout(desired, OWNER));
        policy.frameworks.iter().map(|framework| observed(&framework.desired)).collect()
    };
    let mut deployed = before.map(frameworks).unwrap_or_default();
    let planned = after.frameworks.iter().map(|framework| {
        let observed = deployed.remove(&framework.desired.name).unwrap_or_default();
        RolloutPlan::new(&framework.desired, &observed, OWNER, &membership)
    });
    let mut plans: Vec<RolloutPlan> = planned.collect();
    if !after.remove_undeclared {
        return (plans, deployed.into_keys().collect());
    }
    plans.extend(deployed.iter().map(|(name, observed)| RolloutPlan::for_removal(name, observed, &membership)));
    (plans, Vec::new())
}

impl<R: PolicyRepository, S: DeployedStackSets, O: OrganizationalUnits> Planner<R, S, O> {
    /// Plans a push. `memory` has the records of `deploy`, if available; `reading` is called with each StackSet before its
    /// instances are read. The inner error has every diagnostic of a policy that `deploy` would reject.
    pub async fn plan(
        &self,
        request: &PlanRequest,
        memory: Option<&DeployState>,
        mut reading: impl FnMut(&StackSetName),
    ) -> Result<Result<PushPlan, Vec<Diagnostic>>> {
        let event_bus_arn = request.event_bus_arn.as_deref().unwrap_or(UNKNOWN_EVENT_BUS);
        let policy = PolicySource { commit: &request.commit, policy_file: &request.policy_file, event_bus_arn };
        let mut desired = match policy.read(&self.repository).await? {
            Ok(desired) => desired,
            Err(faults) => return Ok(Err(faults)),
        };
        let (has_records, nothing) = (memory.is_some(), DeployState::default());
        let memory = memory.unwrap_or(&nothing);
        let mut found = match self.check(&mut desired, memory, request).await? {
            Ok(found) => found,
            Err(faults) => return Ok(Err(faults)),
        };
        let selected = |name: &StackSetName| request.only.as_ref().is_none_or(|only| only == name);
        let declared = desired.frameworks.iter().map(|framework| framework.desired.name.clone()).collect();
        let (frameworks, undeclared, removing) = (Vec::new(), Vec::new(), memory.removing);
        let mut outlook = PushPlan { declared, frameworks, undeclared, has_records, removing };
        for framework in desired.frameworks.iter().filter(|framework| selected(&framework.desired.name)) {
            let name = &framework.desired.name;
            reading(name);
            let observed = found.remove(name).unwrap_or_default();
            let known = memory.rollouts.get(name).map(|known| &known.value);
            outlook.frameworks.push(self.framework(framework, known, observed, request).await?);
        }
        for (name, rollout) in memory.rollouts.iter().filter(|(name, _)| selected(name)) {
            if outlook.declared.contains(name) {
                continue;
            }
            let mut action = UndeclaredAction::Keep;
            if desired.remove_undeclared {
                reading(name);
                action = self.removal(&rollout.value, request).await?;
            }
            let commit = rollout.value.commit.clone();
            outlook.undeclared.push(UndeclaredFramework { name: name.clone(), commit, action });
        }
        Ok(Ok(outlook))
    }

    /// Reads the StackSets and organizational units, and reports everything for which `deploy` would reject the policy.
    async fn check(
        &self,
        policy: &mut DesiredPolicy,
        memory: &DeployState,
        request: &PlanRequest,
    ) -> Result<Result<ObservedFrameworks, Vec<Diagnostic>>> {
        let (mut all, mut faults) = policy.describe(&self.stack_sets, &request.owner).await?;
        if !faults.is_empty() {
            return Ok(Err(faults));
        }
        for Desired { name, parameters, .. } in policy.frameworks.iter_mut().map(|framework| &mut framework.desired) {
            let stack_set = all.get(name).and_then(|found| found.stack_set.as_ref());
            if request.event_bus_arn.is_none()
                && let Some(bus) = stack_set.and_then(|found| found.parameters.get(EVENT_BUS_PARAMETER))
                && let Some(value) = parameters.get_mut(EVENT_BUS_PARAMETER).filter(|value| *value == UNKNOWN_EVENT_BUS)
            {
                value.clone_from(bus);
            }
        }
        faults = policy.resolve_units(&self.organization, memory, &mut all, &BTreeSet::new()).await?;
        Ok(if faults.is_empty() { Ok(all) } else { Err(faults) })
    }

    async fn framework(
        &self,
        framework: &DesiredFramework,
        known: Option<&RolloutRecord>,
        ObservedFramework { stack_set, membership }: ObservedFramework,
        request: &PlanRequest,
    ) -> Result<FrameworkPlan> {
        let desired = &framework.desired;
        let settled = settled(desired, known, stack_set.as_ref(), &request.commit, false);
        let (mut overrides, running_operation) =
            self.overrides(framework.stack_set(), known, stack_set.is_some()).await?;
        let mut observed = match stack_set {
            Some(stack_set) => self.stack_sets.observe(framework.stack_set(), stack_set).await?,
            None => Observed::default(),
        };
        overrides.apply(&mut observed, &request.owner);
        let membership = with_former_units(&self.organization, membership.unwrap_or_default(), &observed).await?;
        let plan = RolloutPlan::new(desired, &observed, &request.owner, &membership);
        let left_to_full_reconciliation = settled == Some(Settled::Unchanged) && plan.is_change();
        Ok(FrameworkPlan { plan, running_operation, left_to_full_reconciliation })
    }

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

    async fn removal(&self, rollout: &RolloutRecord, request: &PlanRequest) -> Result<UndeclaredAction> {
        let Some(stack_set) = self.stack_sets.describe(rollout.stack_set()).await? else {
            return Ok(UndeclaredAction::Missing);
        };
        if stack_set.owner.as_deref() != Some(&request.owner) {
            return Ok(UndeclaredAction::OtherOwner);
        }
        let (mut overrides, _) = self.overrides(rollout.stack_set(), Some(rollout), true).await?;
        let mut observed = self.stack_sets.observe(rollout.stack_set(), stack_set).await?;
        overrides.apply(&mut observed, &request.owner);
        let membership = members_left(&self.organization, &observed).await?;
        Ok(UndeclaredAction::Remove(Box::new(RolloutPlan::for_removal(&rollout.name, &observed, &membership))))
    }
}
