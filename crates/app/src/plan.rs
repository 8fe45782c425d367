//! What a push would do: the policy at a commit held against what is deployed, as `deploy` would hold it. Nothing is changed, and
//! nothing here could: of StackSets this use case sees only the questions.

use crate::deploy::members::{members_left, with_former_units};
use crate::deploy::memory::{complete, given_by_nobody};
use crate::deploy::reconcile::{refusal, settled};
use crate::deploy::wanted::EVENT_BUS_PARAMETER;
use crate::deploy::{FrameworkOutcome, InFlight, Memory, PolicyAt, Rollout, Wanted, WantedFramework};
use crate::events::Look;
use crate::ports::{OrganizationalUnits, PolicyRepository, Result, StackSetRef, StackSets};
use domain::fault::Fault;
use domain::ids::{CommitId, StackSetName};
use domain::rollout::plan::Plan;
use domain::rollout::{Given, Membership, Observed, ObservedStackSet, OperationStatus};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

/// Stands for the event bus as long as nobody knows it.
const ANY_BUS: &str = "arn:aws:events:us-east-1:000000000000:event-bus/backup-compliance";

/// The questions of [`StackSets`]: whoever has that has this.
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

/// The use case.
#[derive(Debug)]
pub struct Planner<G, S, O> {
    /// The repository, or the folder, that the policy is in.
    pub repository: G,
    /// What is deployed.
    pub stack_sets: S,
    /// The organisation, for targets that are organizational units.
    pub organization: O,
}

/// Of what a plan is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The commit.
    pub commit: CommitId,
    /// The policy file's path.
    pub policy_file: String,
    /// What the application's tag says on StackSets that are its own.
    pub owner: String,
    /// Where frameworks forward compliance events to; `None` where nobody knows, then they go on as they do.
    pub event_bus_arn: Option<String>,
    /// Only this framework.
    pub only: Option<StackSetName>,
}

/// What a push would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    /// The names of all frameworks of the policy, also where a plan of one was asked for.
    pub declared: Vec<StackSetName>,
    /// The frameworks of the policy, in its order.
    pub frameworks: Vec<FrameworkOutlook>,
    /// Those that have left the policy, by name; none where it is not known what was deployed before.
    pub undeclared: Vec<Undeclared>,
    /// Whether it is known what `deploy` remembers.
    pub remembered: bool,
    /// The application is being removed: `deploy` does nothing else.
    pub removing: bool,
}

/// One framework.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameworkOutlook {
    /// What would be done, from how things are now.
    pub plan: Plan,
    /// An operation of `deploy` that is going on: it waits for its end, and things will be otherwise then.
    pub busy: Option<InFlight>,
    /// The policy has not changed since the rollout that succeeded last: a push does not look at the instances, the full look of
    /// the schedule does what is planned.
    pub left_to_full_look: bool,
}

/// A framework that has left the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undeclared {
    /// The StackSet.
    pub name: StackSetName,
    /// The commit that brought it.
    pub commit: CommitId,
    /// What becomes of it.
    pub fate: UndeclaredFate,
}

/// What becomes of a framework that has left the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UndeclaredFate {
    /// It stays, since the policy does not say that such frameworks are removed.
    Left,
    /// It stays, since the StackSet is no longer ours.
    NotOurs,
    /// It is gone already.
    Gone,
    /// It is removed.
    Removed(Box<Plan>),
}

impl Outlook {
    /// Whether anything would be done.
    #[must_use]
    pub fn is_change(&self) -> bool {
        self.frameworks.iter().any(|framework| framework.plan.is_change())
            || self.undeclared.iter().any(|undeclared| matches!(undeclared.fate, UndeclaredFate::Removed(_)))
    }

    /// Every plan, removals last.
    pub fn plans(&self) -> impl Iterator<Item = &Plan> {
        let removed = self.undeclared.iter().filter_map(|undeclared| match &undeclared.fate {
            UndeclaredFate::Removed(plan) => Some(&**plan),
            _ => None,
        });
        self.frameworks.iter().map(|framework| &framework.plan).chain(removed)
    }
}

impl<G, S, O> Planner<G, S, O>
where
    G: PolicyRepository,
    S: DeployedStackSets,
    O: OrganizationalUnits,
{
    /// Plans a push. `memory` is what `deploy` remembers, if that can be read; `looking` is told the StackSet whose instances are
    /// read next.
    ///
    /// # Errors
    /// The outer one when AWS could not be asked; the inner one when `deploy` would reject the policy: every fault of it.
    pub async fn plan(
        &self,
        question: &Question,
        memory: Option<&Memory>,
        mut looking: impl FnMut(&StackSetName),
    ) -> Result<Result<Outlook, Vec<Fault>>> {
        let event_bus_arn = question.event_bus_arn.as_deref().unwrap_or(ANY_BUS);
        let policy = PolicyAt { commit: &question.commit, policy_file: &question.policy_file, event_bus_arn };
        let mut wanted = match policy.read(&self.repository).await? {
            Ok(wanted) => wanted,
            Err(faults) => return Ok(Err(faults)),
        };
        let remembered = memory.is_some();
        let nothing = Memory::default();
        let memory = memory.unwrap_or(&nothing);
        let mut found = match self.judge(&mut wanted, memory, question).await? {
            Ok(found) => found,
            Err(faults) => return Ok(Err(faults)),
        };
        let asked = |name: &StackSetName| question.only.as_ref().is_none_or(|only| only == name);
        let declared = wanted.frameworks.iter().map(|framework| framework.desired.name.clone()).collect();
        let mut outlook =
            Outlook { declared, frameworks: Vec::new(), undeclared: Vec::new(), remembered, removing: memory.removing };
        for framework in wanted.frameworks.iter().filter(|framework| asked(&framework.desired.name)) {
            let name = &framework.desired.name;
            looking(name);
            let Found { stack_set, membership } = found.remove(name).unwrap_or_default();
            let known = memory.rollouts.get(name).map(|known| &known.value);
            outlook.frameworks.push(self.framework(framework, known, stack_set, membership, question).await?);
        }
        let declared: BTreeSet<&StackSetName> =
            wanted.frameworks.iter().map(|framework| &framework.desired.name).collect();
        for (name, rollout) in memory.rollouts.iter().filter(|(name, _)| !declared.contains(name) && asked(name)) {
            let fate = if wanted.remove_undeclared {
                looking(name);
                self.removal(&rollout.value, question).await?
            } else {
                UndeclaredFate::Left
            };
            let commit = rollout.value.commit.clone();
            outlook.undeclared.push(Undeclared { name: name.clone(), commit, fate });
        }
        Ok(Ok(outlook))
    }

    /// What `deploy` would refuse, and where nothing is, what it would find before it does anything.
    async fn judge(
        &self,
        wanted: &mut Wanted,
        memory: &Memory,
        question: &Question,
    ) -> Result<Result<BTreeMap<StackSetName, Found>, Vec<Fault>>> {
        let mut all = BTreeMap::new();
        let mut faults = Vec::new();
        for framework in &wanted.frameworks {
            let stack_set = self.stack_sets.describe(framework.stack_set()).await?;
            let refused = stack_set.as_ref().and_then(|found| refusal(&framework.desired, found, &question.owner));
            faults.extend(refused.map(|(problem, fix)| wanted.fault(framework.at, problem, fix)));
            all.insert(framework.desired.name.clone(), Found { stack_set, membership: None });
        }
        if !faults.is_empty() {
            return Ok(Err(faults));
        }
        for index in 0..wanted.frameworks.len() {
            let Some(framework) = wanted.frameworks.get_mut(index) else { continue };
            let desired = &mut framework.desired;
            let Some(found) = all.get_mut(&desired.name) else { continue };
            if question.event_bus_arn.is_none()
                && let Some(bus) = found.stack_set.as_ref().and_then(|found| found.parameters.get(EVENT_BUS_PARAMETER))
                && let Some(value) = desired.parameters.get_mut(EVENT_BUS_PARAMETER).filter(|value| *value == ANY_BUS)
            {
                value.clone_from(bus);
            }
            let units = desired.units();
            if !units.is_empty() {
                let membership = self.organization.membership(&units).await?;
                let known = memory.rollouts.get(&desired.name);
                let fresh = known.is_none_or(|known| known.value.digest != desired.digest());
                faults.extend(wanted.place(index, &membership, fresh));
                found.membership = Some(membership);
            }
        }
        Ok(if faults.is_empty() { Ok(all) } else { Err(faults) })
    }

    async fn framework(
        &self,
        framework: &WantedFramework,
        known: Option<&Rollout>,
        stack_set: Option<ObservedStackSet>,
        membership: Option<Membership>,
        question: &Question,
    ) -> Result<FrameworkOutlook> {
        let desired = &framework.desired;
        let outcome = settled(desired, known, stack_set.as_ref(), &question.commit, Look::Normal);
        let (mut given, busy) = self.given(framework.stack_set(), known, stack_set.is_some()).await?;
        let mut observed = match stack_set {
            Some(stack_set) => self.stack_sets.observe(framework.stack_set(), stack_set).await?,
            None => Observed::default(),
        };
        complete(&mut given, &mut observed, &question.owner);
        let membership = with_former_units(&self.organization, membership.unwrap_or_default(), &observed).await?;
        let plan = Plan::of(desired, &observed, &question.owner, &membership);
        let left_to_full_look = outcome == Some(FrameworkOutcome::Unchanged) && plan.is_change();
        Ok(FrameworkOutlook { plan, busy, left_to_full_look })
    }

    /// Which overrides are in force, and the operation that is going on.
    async fn given(
        &self,
        of: StackSetRef<'_>,
        known: Option<&Rollout>,
        is_there: bool,
    ) -> Result<(Given, Option<InFlight>)> {
        let Some(mut known) = known.cloned() else { return Ok((given_by_nobody(is_there), None)) };
        let mut busy = None;
        if let Some(in_flight) = known.in_flight.clone() {
            match self.stack_sets.operation(of, &in_flight.id).await? {
                Some(OperationStatus::InFlight | OperationStatus::Stopping) => busy = Some(in_flight),
                Some(OperationStatus::Ended) => known.operation_ended(),
                None => {}
            }
        }
        Ok((known.given, busy))
    }

    async fn removal(&self, rollout: &Rollout, question: &Question) -> Result<UndeclaredFate> {
        let Some(stack_set) = self.stack_sets.describe(rollout.stack_set()).await? else {
            return Ok(UndeclaredFate::Gone);
        };
        if stack_set.owner.as_deref() != Some(&question.owner) {
            return Ok(UndeclaredFate::NotOurs);
        }
        let (mut given, _) = self.given(rollout.stack_set(), Some(rollout), true).await?;
        let mut observed = self.stack_sets.observe(rollout.stack_set(), stack_set).await?;
        complete(&mut given, &mut observed, &question.owner);
        let membership = members_left(&self.organization, &observed).await?;
        Ok(UndeclaredFate::Removed(Box::new(Plan::of_removal(&rollout.name, &observed, &membership))))
    }
}

/// What was found of a framework.
#[derive(Default)]
struct Found {
    stack_set: Option<ObservedStackSet>,
    membership: Option<Membership>,
}
