//! Automatic deployment of StackSets to accounts that join or leave a unit of their targets.

use std::collections::BTreeSet;

use jiff::Timestamp;

use domain::policy::{ConcurrencyMode, CountOrPercentage, RegionConcurrency, RolloutSettings};
use domain::rollout::{AccountFilterType, DeploymentTargets, Instance, OperationTargets, Parameters};
use framework::ids::{AccountId, RegionName, StackSetName, UnitId};

use super::run::{OperationOrigin, OperationScope, OperationTask, SimulatedOperation};
use super::{SimulatedCloud, SimulatedOrganization};

impl SimulatedCloud {
    pub(super) fn move_account(&mut self, account: &AccountId, to: Option<&UnitId>, now: Timestamp) {
        let before = self.organization.clone();
        match to {
            Some(unit) => drop(self.organization.accounts.insert(account.clone(), unit.clone())),
            None => drop(self.organization.accounts.remove(account)),
        }
        if self.organization.management.as_ref() == Some(account) {
            return;
        }
        let names: Vec<StackSetName> = self.stack_sets.keys().cloned().collect();
        for name in names {
            self.follow(&name, account, &before, now);
        }
    }

    fn follow(&mut self, name: &StackSetName, account: &AccountId, before: &SimulatedOrganization, now: Timestamp) {
        let Some(stack_set) = self.stack_sets.get(name) else { return };
        let Some(auto) = stack_set.definition.auto_deployment.filter(|auto| auto.enabled) else { return };
        let mut leaves: BTreeSet<RegionName> = BTreeSet::new();
        let mut joins: Vec<(UnitId, BTreeSet<RegionName>)> = Vec::new();
        let mut stays: BTreeSet<RegionName> = BTreeSet::new();
        for (unit, regions) in &stack_set.auto_targets {
            match (before.contains(unit, account), self.organization.contains(unit, account)) {
                (true, false) => leaves.extend(regions.iter().cloned()),
                (false, true) => joins.push((unit.clone(), regions.clone())),
                (true, true) => stays.extend(regions.iter().cloned()),
                (false, false) => {}
            }
        }
        let there = |region: &RegionName| {
            let instance = Instance { account: account.clone(), region: region.clone() };
            stack_set.instances.contains_key(&instance)
        };
        leaves.retain(|region| !stays.contains(region) && there(region));
        // An account that left is deleted even if it joined another unit: it is created again through that unit.
        let mut creations = Vec::new();
        for (unit, regions) in joins {
            let regions: BTreeSet<RegionName> = regions
                .into_iter()
                .filter(|region| !stays.contains(region) && (leaves.contains(region) || !there(region)))
                .collect();
            stays.extend(regions.iter().cloned());
            if !regions.is_empty() {
                creations.push((unit, regions));
            }
        }
        if !leaves.is_empty() {
            let task = OperationTask::Delete { retain: auto.retain_stacks };
            self.on_its_own(name, task, places(account, leaves, None), now);
        }
        for (unit, regions) in creations {
            // Filters are ignored, and there are no overrides.
            let through = Some(DeploymentTargets { unit, filter: AccountFilterType::Listed });
            self.on_its_own(name, OperationTask::Create(Parameters::new()), places(account, regions, through), now);
        }
    }

    fn on_its_own(&mut self, name: &StackSetName, task: OperationTask, places: OperationTargets, now: Timestamp) {
        let id = self.fresh_id("auto");
        let all = RolloutSettings {
            max_concurrency: CountOrPercentage::Percentage(100),
            failure_tolerance: CountOrPercentage::Percentage(100),
            mode: ConcurrencyMode::Soft,
            regions: RegionConcurrency::Parallel,
            region_order: Vec::new(),
        };
        let run = SimulatedOperation::new(
            &id,
            OperationOrigin::AutoDeployment,
            task,
            OperationScope::Places(places),
            all,
            now,
        );
        // Rejected only without managed execution. Assumed: StackSets retry later, which is not simulated.
        let _refused = self.accept(name, run, now);
    }
}

fn places(account: &AccountId, regions: BTreeSet<RegionName>, through: Option<DeploymentTargets>) -> OperationTargets {
    OperationTargets { accounts: BTreeSet::from([account.clone()]), regions, through }
}
