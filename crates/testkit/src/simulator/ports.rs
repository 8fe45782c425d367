//! The simulator behind the ports of `deploy`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use app::deploy::StackSetRef;
use app::deploy::ports::{Acceptance, DeployedStackSets, OrganizationalUnits, StackSets, StartRequest};
use app::ports::{PortError, PortErrorKind, Result};
use domain::policy::{ConcurrencyMode, CountOrPercentage, RegionConcurrency, RolloutSettings};
use domain::rollout::{Desired, Membership, Observed, ObservedStackSet, Operation, OperationStatus};
use framework::ids::{StackSetName, UnitId};

use super::definition::SimulatedDefinition;
use super::operation::task;
use super::run::{OperationOrigin, OperationScope, SimulatedOperation, SimulatedProgress};
use super::stack_set::SimulatedStackSet;
use super::{SimulatedCloud, Simulator, SimulatorEvent};

impl Simulator {
    async fn remote<T>(
        &self,
        operation: &'static str,
        effect: impl FnOnce(&mut SimulatedCloud, Timestamp) -> Result<T>,
    ) -> Result<T> {
        let cloud = &self.cloud;
        self.world
            .remote(operation, |state| {
                let mut cloud = cloud.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                effect(&mut cloud, state.now)
            })
            .await
    }
}

impl SimulatedCloud {
    /// A StackSet, if the caller may see it.
    fn find(&mut self, of: StackSetRef<'_>) -> Option<&mut SimulatedStackSet> {
        self.stack_sets.get_mut(of.name).filter(|found| found.call_as == of.call_as)
    }
}

fn refused(operation: &'static str, code: &'static str, name: &StackSetName) -> PortError {
    let kind = match code {
        "OperationInProgressException" | "StaleRequestException" | "StackSetNotEmptyException" => {
            PortErrorKind::Conflict
        }
        "StackSetNotFoundException" | "StackInstanceNotFoundException" => PortErrorKind::NotFound,
        _ => PortErrorKind::Rejected,
    };
    PortError {
        operation,
        code: Some(code.to_owned()),
        message: format!("the simulator rejects it for the StackSet {name}"),
        request_id: Some("00000000-0000-4000-8000-000000000000".to_owned()),
        kind,
    }
}

impl DeployedStackSets for Simulator {
    async fn describe(&self, of: StackSetRef<'_>) -> Result<Option<ObservedStackSet>> {
        self.remote("cloudformation:DescribeStackSet", |cloud, _| Ok(cloud.find(of).map(|found| found.described())))
            .await
    }

    async fn observe(&self, of: StackSetRef<'_>, stack_set: ObservedStackSet) -> Result<Observed> {
        self.remote("cloudformation:ListStackInstances", |cloud, now| {
            let Some(found) = cloud.find(of) else { return Ok(Observed::default()) };
            let observed = Observed {
                stack_set: Some(stack_set),
                instances: found.instances.iter().map(|(at, instance)| (at.clone(), instance.listed())).collect(),
                auto_targets: found.auto_targets.clone(),
            };
            cloud.note(now, SimulatorEvent::Observed { stack_set: of.name.clone() });
            Ok(observed)
        })
        .await
    }

    async fn operation(&self, of: StackSetRef<'_>, id: &str) -> Result<Option<OperationStatus>> {
        self.remote("cloudformation:DescribeStackSetOperation", |cloud, now| {
            let since = now.checked_sub(cloud.settings.hidden_for).unwrap_or(Timestamp::MIN);
            let run = cloud.find(of).and_then(|found| found.operations.get(id));
            Ok(run.filter(|run| run.accepted <= since).map(|run| match run.progress {
                SimulatedProgress::Queued | SimulatedProgress::Running => OperationStatus::InFlight,
                SimulatedProgress::Stopping => OperationStatus::Stopping,
                SimulatedProgress::Succeeded | SimulatedProgress::Failed | SimulatedProgress::Stopped => {
                    OperationStatus::Ended
                }
            }))
        })
        .await
    }
}

impl StackSets for Simulator {
    async fn create(&self, desired: &Desired, owner: &str) -> Result<()> {
        self.remote("cloudformation:CreateStackSet", |cloud, now| {
            if cloud.stack_sets.contains_key(&desired.name) {
                // `NameAlreadyExistsException`: the next reconciliation finds the owner.
                return Ok(());
            }
            let definition = SimulatedDefinition::of(desired, owner, &BTreeMap::new());
            let model = desired.permissions.model();
            let mut new = SimulatedStackSet::new(&desired.name, definition, model, desired.permissions.call_as());
            new.managed_execution = true;
            cloud.stack_sets.insert(desired.name.clone(), new);
            cloud.note(now, SimulatorEvent::Created { stack_set: desired.name.clone() });
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
        self.remote(call, |cloud, now| {
            let refused = |code| refused(call, code, of.name);
            if cloud.find(of).is_none() {
                return Err(refused("StackSetNotFoundException"));
            }
            let scope =
                operation.targets().map_or(OperationScope::All, |places| OperationScope::Places(places.clone()));
            let definition = desired.map(|desired| SimulatedDefinition::of(desired, owner, &found.tags));
            let task = task(operation, definition).ok_or_else(|| refused("ValidationError"))?;
            let preferences = desired.map_or_else(removal, |desired| desired.rollout.clone());
            let run = SimulatedOperation::new(id, OperationOrigin::Port, task, scope, preferences, now);
            cloud.accept(of.name, run, now).map_err(refused)
        })
        .await
    }

    async fn stop(&self, of: StackSetRef<'_>, id: &str) -> Result<()> {
        const OPERATION: &str = "cloudformation:StopStackSetOperation";
        self.remote(OPERATION, |cloud, now| {
            if cloud.find(of).is_none() {
                return Err(refused(OPERATION, "StackSetNotFoundException", of.name));
            }
            cloud.stop(of.name, id, now);
            Ok(())
        })
        .await
    }

    async fn delete(&self, of: StackSetRef<'_>) -> Result<()> {
        const OPERATION: &str = "cloudformation:DeleteStackSet";
        self.remote(OPERATION, |cloud, now| {
            let Some(found) = cloud.find(of) else { return Ok(()) };
            if found.is_busy() {
                return Err(refused(OPERATION, "OperationInProgressException", of.name));
            }
            if !found.instances.is_empty() {
                return Err(refused(OPERATION, "StackSetNotEmptyException", of.name));
            }
            cloud.stack_sets.remove(of.name);
            cloud.note(now, SimulatorEvent::Removed { stack_set: of.name.clone() });
            Ok(())
        })
        .await
    }
}

impl OrganizationalUnits for Simulator {
    async fn membership(&self, units: &BTreeSet<UnitId>) -> Result<Membership> {
        self.remote("organizations:ListAccountsForParent", |cloud, _| Ok(cloud.organization.membership(units))).await
    }
}

/// Removes as the adapter does: a failure does not stop the others.
fn removal() -> RolloutSettings {
    RolloutSettings {
        max_concurrency: CountOrPercentage::Percentage(100),
        failure_tolerance: CountOrPercentage::Percentage(100),
        mode: ConcurrencyMode::Soft,
        regions: RegionConcurrency::Parallel,
        region_order: Vec::new(),
    }
}
