//! StackSets, one operation at a time. An operation stays in flight until a test ends it.

use super::{State, World, error, product};
use app::ports::{Accepted, PortErrorKind, Result, StackSets};
use domain::ids::StackSetName;
use domain::rollout::{
    Desired, DetailedStatus, Instance, InstanceStatus, Observed, ObservedInstance, ObservedStackSet, Operation,
    OperationStatus, Parameters,
};
use std::collections::BTreeMap;

/// A StackSet.
#[derive(Debug, Clone)]
pub struct FakeStackSet {
    /// What `DescribeStackSet` tells.
    pub observed: ObservedStackSet,
    /// The definition's template and parameters.
    pub template: String,
    /// Its instances.
    pub instances: BTreeMap<Instance, ObservedInstance>,
    /// Operations by id.
    pub operations: BTreeMap<String, (OperationStatus, Operation)>,
}

impl World {
    /// Ends every operation in flight, with its effect; the number of them.
    pub fn end_operations(&self) -> usize {
        let mut state = self.state();
        let broken = state.broken.clone();
        let mut ended = 0;
        for stack_set in state.stack_sets.values_mut() {
            let in_flight: Vec<(String, Operation)> = stack_set
                .operations
                .iter()
                .filter(|(_, (status, _))| *status == OperationStatus::InFlight)
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
        let work = |instance: &Instance, overrides: Parameters| match broken.get(&instance.to_string()) {
            None => ObservedInstance {
                status: InstanceStatus::Current,
                detailed: DetailedStatus::Succeeded,
                reason: None,
                overrides,
            },
            Some(reason) => ObservedInstance {
                status: InstanceStatus::Outdated,
                detailed: DetailedStatus::Failed,
                reason: Some(reason.clone()),
                overrides,
            },
        };
        match operation {
            Operation::UpdateStackSet => {
                for (instance, found) in &mut self.instances {
                    *found = work(instance, std::mem::take(&mut found.overrides));
                }
            }
            Operation::CreateInstances { accounts, regions, overrides }
            | Operation::UpdateInstances { accounts, regions, overrides } => {
                for (account, region) in product(accounts, regions) {
                    let instance = Instance { account: account.clone(), region: region.clone() };
                    let worked = work(&instance, overrides.clone());
                    self.instances.insert(instance, worked);
                }
            }
            Operation::DeleteInstances { accounts, regions, retain } => {
                for (account, region) in product(accounts, regions) {
                    let instance = Instance { account: account.clone(), region: region.clone() };
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
            }
        }
    }

    fn is_busy(&self) -> bool {
        self.operations.values().any(|(status, _)| *status == OperationStatus::InFlight)
    }
}

fn find<'s>(state: &'s mut State, operation: &'static str, name: &StackSetName) -> Result<&'s mut FakeStackSet> {
    state.stack_sets.get_mut(name).ok_or_else(|| error(operation, PortErrorKind::NotFound))
}

impl StackSets for World {
    async fn describe(&self, name: &StackSetName) -> Result<Option<ObservedStackSet>> {
        self.call("cloudformation:DescribeStackSet", |state| {
            Ok(state.stack_sets.get(name).map(|stack_set| stack_set.observed.clone()))
        })
    }

    async fn observe(&self, name: &StackSetName, stack_set: ObservedStackSet) -> Result<Observed> {
        self.call("cloudformation:ListStackInstances", |state| {
            let found = state.stack_sets.get(name);
            Ok(Observed {
                stack_set: found.map(|_| stack_set),
                instances: found
                    .map(|found| found.instances.clone())
                    .unwrap_or_default()
                    .into_iter()
                    .map(hide)
                    .collect(),
            })
        })
    }

    async fn operation(&self, name: &StackSetName, id: &str) -> Result<Option<OperationStatus>> {
        self.call("cloudformation:DescribeStackSetOperation", |state| {
            Ok(state.stack_sets.get(name).and_then(|stack_set| stack_set.operations.get(id)).map(|(status, _)| *status))
        })
    }

    async fn create(&self, desired: &Desired, owner: &str) -> Result<()> {
        self.call("cloudformation:CreateStackSet", |state| {
            state.stack_sets.entry(desired.name.clone()).or_insert_with(|| FakeStackSet {
                observed: ObservedStackSet {
                    id: format!("{}:0", desired.name),
                    owner: Some(owner.to_owned()),
                    definition: Some(desired.definition_digest()),
                },
                template: desired.template.clone(),
                instances: BTreeMap::new(),
                operations: BTreeMap::new(),
            });
            Ok(())
        })
    }

    async fn start(
        &self,
        name: &StackSetName,
        id: &str,
        operation: &Operation,
        desired: Option<&Desired>,
        owner: &str,
    ) -> Result<Accepted> {
        let call = match operation {
            Operation::UpdateStackSet => "cloudformation:UpdateStackSet",
            Operation::CreateInstances { .. } => "cloudformation:CreateStackInstances",
            Operation::UpdateInstances { .. } => "cloudformation:UpdateStackInstances",
            Operation::DeleteInstances { .. } => "cloudformation:DeleteStackInstances",
        };
        self.call(call, |state| {
            let stack_set = find(state, call, name)?;
            if stack_set.operations.contains_key(id) {
                return Ok(Accepted::Before);
            }
            if stack_set.is_busy() {
                return Err(error(call, PortErrorKind::Conflict));
            }
            if let (Operation::UpdateStackSet, Some(desired)) = (operation, desired) {
                stack_set.template.clone_from(&desired.template);
                stack_set.observed.definition = Some(desired.definition_digest());
                stack_set.observed.owner = Some(owner.to_owned());
                for found in stack_set.instances.values_mut() {
                    found.status = InstanceStatus::Outdated;
                    found.detailed = DetailedStatus::Pending;
                }
            }
            stack_set.operations.insert(id.to_owned(), (OperationStatus::InFlight, operation.clone()));
            Ok(Accepted::Now)
        })
    }

    async fn delete(&self, name: &StackSetName) -> Result<()> {
        const OPERATION: &str = "cloudformation:DeleteStackSet";
        self.call(OPERATION, |state| match state.stack_sets.get(name) {
            Some(stack_set) if !stack_set.instances.is_empty() || stack_set.is_busy() => {
                Err(error(OPERATION, PortErrorKind::Conflict))
            }
            _ => {
                state.stack_sets.remove(name);
                Ok(())
            }
        })
    }
}

/// `ListStackInstances` does not list overrides.
fn hide((instance, found): (Instance, ObservedInstance)) -> (Instance, ObservedInstance) {
    (instance, ObservedInstance { overrides: Parameters::new(), ..found })
}
