//! StackSets with one operation at a time. An operation stays in progress until a test ends it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use app::deploy::StackSetRef;
use app::deploy::ports::{Acceptance, DeployedStackSets, OrganizationalUnits, StackSets, StartRequest};
use app::ports::{PortErrorKind, Result};
use domain::rollout::{
    AccountFilterType, Desired, DetailedStatus, Instance, InstanceStatus, Membership, Observed, ObservedInstance,
    ObservedStackSet, Operation, OperationStatus, Parameters, Permissions,
};
use framework::ids::{StackSetName, UnitId};

use super::{World, WorldState, error};

/// A StackSet.
#[derive(Debug, Clone)]
pub struct FakeStackSet {
    /// The result of `DescribeStackSet`.
    pub observed: ObservedStackSet,
    /// The definition's template and parameters.
    pub template: String,
    /// Its instances.
    pub instances: BTreeMap<Instance, ObservedInstance>,
    /// Units with automatic deployment.
    pub auto_targets: BTreeMap<UnitId, BTreeSet<framework::ids::RegionName>>,
    /// Operations by id.
    pub operations: BTreeMap<String, (OperationStatus, Operation)>,
}

impl World {
    /// Ends every operation in progress, with its effect. Returns their number.
    pub fn end_operations(&self) -> usize {
        let mut state = self.state();
        let broken = state.broken.clone();
        let mut ended = 0;
        for stack_set in state.stack_sets.values_mut() {
            let in_flight: Vec<(String, Operation)> = stack_set
                .operations
                .iter()
                .filter(|(_, (status, _))| *status != OperationStatus::Ended)
                .map(|(id, (_, operation))| (id.clone(), operation.clone()))
                .collect();
            for (id, operation) in in_flight {
                stack_set.take_effect(&operation, &broken);
                stack_set.operations.insert(id, (OperationStatus::Ended, operation));
                ended += 1;
            }
        }
        ended
    }
}

impl FakeStackSet {
    fn take_effect(&mut self, operation: &Operation, broken: &BTreeMap<String, String>) {
        let work = |instance: &Instance, overrides: Option<Arc<Parameters>>, unit: Option<UnitId>| {
            let (status, detailed, reason) = match broken.get(&instance.to_string()) {
                None => (InstanceStatus::Current, DetailedStatus::Succeeded, None),
                Some(reason) => (InstanceStatus::Outdated, DetailedStatus::Failed, Some(reason.clone())),
            };
            ObservedInstance { status, detailed, reason, overrides, unit }
        };
        match operation {
            Operation::ManagedExecution => self.observed.managed_execution = true,
            Operation::UpdateStackSet => {
                for (instance, found) in &mut self.instances {
                    *found = work(instance, found.overrides.take(), found.unit.take());
                }
            }
            Operation::CreateInstances { at, overrides } | Operation::UpdateInstances { at, overrides } => {
                let overrides = Arc::new(overrides.clone());
                let unit = at.through.as_ref().map(|through| through.unit.clone());
                for instance in at.instances() {
                    let worked = work(&instance, Some(Arc::clone(&overrides)), unit.clone());
                    self.instances.insert(instance, worked);
                }
                if let (Operation::CreateInstances { .. }, Some(through)) = (operation, &at.through)
                    && through.filter != AccountFilterType::Listed
                {
                    self.auto_targets.entry(through.unit.clone()).or_default().extend(at.regions.iter().cloned());
                }
            }
            Operation::DeleteInstances { at, retain } => {
                for instance in at.instances() {
                    match broken.get(&instance.to_string()) {
                        Some(reason) if !retain => {
                            if let Some(found) = self.instances.get_mut(&instance) {
                                found.status = InstanceStatus::Inoperable;
                                found.detailed = DetailedStatus::Inoperable;
                                found.reason = Some(reason.clone());
                            }
                        }
                        _ => {
                            self.instances.remove(&instance);
                        }
                    }
                }
                if let Some(through) = at.through.as_ref().filter(|through| through.filter == AccountFilterType::Whole)
                    && let Some(regions) = self.auto_targets.get_mut(&through.unit)
                {
                    regions.retain(|region| !at.regions.contains(region));
                }
                self.auto_targets.retain(|_, regions| !regions.is_empty());
            }
        }
    }

    fn is_busy(&self) -> bool {
        self.operations.values().any(|(status, _)| *status != OperationStatus::Ended)
    }
}

fn find<'s>(state: &'s mut WorldState, operation: &'static str, name: &StackSetName) -> Result<&'s mut FakeStackSet> {
    state.stack_sets.get_mut(name).ok_or_else(|| error(operation, PortErrorKind::NotFound))
}

impl DeployedStackSets for World {
    async fn describe(&self, of: StackSetRef<'_>) -> Result<Option<ObservedStackSet>> {
        self.remote("cloudformation:DescribeStackSet", |state| {
            Ok(state.stack_sets.get(of.name).map(|stack_set| stack_set.observed.clone()))
        })
        .await
    }

    async fn observe(&self, of: StackSetRef<'_>, stack_set: ObservedStackSet) -> Result<Observed> {
        self.remote("cloudformation:ListStackInstances", |state| {
            let Some(found) = state.stack_sets.get(of.name) else { return Ok(Observed::default()) };
            Ok(Observed {
                stack_set: Some(stack_set),
                instances: found.instances.clone().into_iter().map(hide).collect(),
                auto_targets: found.auto_targets.clone(),
            })
        })
        .await
    }

    async fn operation(&self, of: StackSetRef<'_>, id: &str) -> Result<Option<OperationStatus>> {
        self.remote("cloudformation:DescribeStackSetOperation", |state| {
            let stack_set = state.stack_sets.get(of.name);
            Ok(stack_set.and_then(|stack_set| stack_set.operations.get(id)).map(|(status, _)| *status))
        })
        .await
    }
}

impl StackSets for World {
    async fn create(&self, desired: &Desired, owner: &str) -> Result<()> {
        self.remote("cloudformation:CreateStackSet", |state| {
            state.stack_sets.entry(desired.name.clone()).or_insert_with(|| FakeStackSet {
                observed: ObservedStackSet { managed_execution: true, ..defined(desired, owner) },
                template: desired.template.clone(),
                instances: BTreeMap::new(),
                auto_targets: BTreeMap::new(),
                operations: BTreeMap::new(),
            });
            Ok(())
        })
        .await
    }

    async fn start(&self, start: StartRequest<'_>) -> Result<Acceptance> {
        let StartRequest { of, id, operation, desired, owner, observed: found } = start;
        let call = match operation {
            Operation::UpdateStackSet | Operation::ManagedExecution => "cloudformation:UpdateStackSet",
            Operation::CreateInstances { .. } => "cloudformation:CreateStackInstances",
            Operation::UpdateInstances { .. } => "cloudformation:UpdateStackInstances",
            Operation::DeleteInstances { .. } => "cloudformation:DeleteStackInstances",
        };
        self.remote(call, |state| {
            let stack_set = find(state, call, of.name)?;
            if stack_set.operations.contains_key(id) {
                return Ok(Acceptance::AlreadyStarted);
            }
            if stack_set.is_busy() {
                return Err(error(call, PortErrorKind::Conflict));
            }
            if let (Operation::UpdateStackSet, Some(desired)) = (operation, desired) {
                stack_set.template.clone_from(&desired.template);
                stack_set.observed = ObservedStackSet {
                    id: stack_set.observed.id.clone(),
                    managed_execution: stack_set.observed.managed_execution,
                    tags: found.tags.clone(),
                    ..defined(desired, owner)
                };
                for found in stack_set.instances.values_mut() {
                    found.status = InstanceStatus::Outdated;
                    found.detailed = DetailedStatus::Pending;
                }
            }
            stack_set.operations.insert(id.to_owned(), (OperationStatus::InFlight, operation.clone()));
            Ok(Acceptance::Started)
        })
        .await
    }

    async fn stop(&self, of: StackSetRef<'_>, id: &str) -> Result<()> {
        const OPERATION: &str = "cloudformation:StopStackSetOperation";
        self.remote(OPERATION, |state| {
            if let Some((status, _)) = find(state, OPERATION, of.name)?.operations.get_mut(id)
                && *status == OperationStatus::InFlight
            {
                *status = OperationStatus::Stopping;
            }
            Ok(())
        })
        .await
    }

    async fn delete(&self, of: StackSetRef<'_>) -> Result<()> {
        const OPERATION: &str = "cloudformation:DeleteStackSet";
        self.remote(OPERATION, |state| match state.stack_sets.get(of.name) {
            Some(stack_set) if !stack_set.instances.is_empty() || stack_set.is_busy() => {
                Err(error(OPERATION, PortErrorKind::Conflict))
            }
            _ => {
                state.stack_sets.remove(of.name);
                Ok(())
            }
        })
        .await
    }
}

impl OrganizationalUnits for World {
    async fn membership(&self, units: &BTreeSet<UnitId>) -> Result<Membership> {
        self.remote("organizations:ListAccountsForParent", |state| {
            let known = state.units.units.iter().filter(|(unit, _)| units.contains(*unit));
            Ok(Membership {
                units: known.map(|(unit, accounts)| (unit.clone(), accounts.clone())).collect(),
                ..state.units.clone()
            })
        })
        .await
    }
}

/// The result of `DescribeStackSet` about the applied overrides.
fn defined(desired: &Desired, owner: &str) -> ObservedStackSet {
    ObservedStackSet {
        id: format!("{}:0", desired.name),
        owner: Some(owner.to_owned()),
        definition: Some(desired.definition_digest()),
        permissions: desired.permissions.model(),
        managed_execution: false,
        auto_deployment: match &desired.permissions {
            Permissions::SelfManaged => None,
            Permissions::ServiceManaged(service) => Some(service.auto_deployment),
        },
        template: Some(desired.template.clone()),
        parameters: desired.parameters.clone(),
        tags: BTreeMap::new(),
    }
}

/// `ListStackInstances` does not list overrides.
fn hide((instance, found): (Instance, ObservedInstance)) -> (Instance, ObservedInstance) {
    (instance, ObservedInstance { overrides: None, ..found })
}
