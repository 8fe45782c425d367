//! A model of an organization and of StackSets with service-managed permissions.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use framework::ids::{AccountId, RegionName, UnitId};

use super::super::OWNER;
use crate::rollout::*;

/// The organizational units with the index of their parents: a root, a unit with a child unit, and two others.
pub(super) const UNITS: [(&str, usize); 5] =
    [("r-aaaa", 0), ("ou-aaaa-10000000", 0), ("ou-aaaa-11000000", 1), ("ou-aaaa-20000000", 0), ("ou-aaaa-30000000", 0)];
pub(super) const REGIONS: [&str; 2] = ["eu-west-1", "us-east-1"];
pub(super) const ACCOUNTS: usize = 6;
/// The home of accounts outside the organization.
pub(super) const OUTSIDE: usize = UNITS.len();

pub(super) fn unit(index: usize) -> UnitId {
    UnitId::parse(UNITS[index].0).expect("a unit")
}

pub(super) fn account(index: usize) -> AccountId {
    AccountId::parse(&format!("{:012}", 111_111_111_111 * (index + 1))).expect("12 digits")
}

pub(super) fn region(index: usize) -> RegionName {
    RegionName::parse(REGIONS[index]).expect("a Region")
}

pub(super) fn at(account: usize, region: usize) -> Instance {
    Instance { account: self::account(account), region: self::region(region) }
}

/// The accounts of an organization.
#[derive(Debug, Clone)]
pub(super) struct Organization {
    /// The direct parent of each account.
    pub(super) home: Vec<usize>,
    pub(super) inactive: BTreeSet<usize>,
    pub(super) management: Option<usize>,
    /// Deleted units, without accounts.
    pub(super) deleted: BTreeSet<usize>,
}

impl Organization {
    pub(super) fn contains(&self, unit: usize, account: usize) -> bool {
        let mut at = self.home[account];
        if at == OUTSIDE {
            return false;
        }
        while at != unit && at != 0 {
            at = UNITS[at].1;
        }
        at == unit
    }

    /// The response of the port `OrganizationalUnits` for these units.
    pub(super) fn membership(&self, requested: &BTreeSet<UnitId>) -> Membership {
        let exists = |index: &usize| requested.contains(&unit(*index)) && !self.deleted.contains(index);
        let members = |index| (0..ACCOUNTS).filter(|one| self.contains(index, *one)).map(account).collect();
        Membership {
            root: Some(unit(0)),
            management: self.management.map(account),
            units: (0..UNITS.len()).filter(exists).map(|index| (unit(index), members(index))).collect(),
            inactive: self.inactive.iter().copied().map(account).collect(),
        }
    }

    pub(super) fn all(&self) -> Membership {
        self.membership(&(0..UNITS.len()).map(unit).collect())
    }
}

/// Undocumented behavior of AWS.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unknowns {
    /// `CreateStackInstances` sets its overrides on existing instances.
    pub(super) create_touches_existing: bool,
    /// It starts auto-deployment of a unit also if it lists accounts.
    pub(super) listed_registers: bool,
}

/// The state of StackSets, with the actual overrides.
#[derive(Debug, Clone)]
pub(super) struct Aws {
    pub(super) organization: Organization,
    pub(super) unknowns: Unknowns,
    pub(super) now: Observed,
    /// Every operation of this attempt reaches all its instances.
    pub(super) smooth: bool,
}

/// The instances that an operation reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    All,
    /// Those whose bit is set; the operation stops before the others.
    Some(u16),
}

impl Reach {
    pub(super) fn reaches(self, instance: &Instance) -> bool {
        let Self::Some(bits) = self else { return true };
        let places = (0..ACCOUNTS).flat_map(|a| (0..REGIONS.len()).map(move |r| at(a, r)));
        let number = places.into_iter().position(|place| place == *instance).expect("an instance of the model");
        bits >> number & 1 == 1
    }
}

pub(super) fn found(overrides: &Parameters, unit: &UnitId, reached: bool) -> ObservedInstance {
    ObservedInstance {
        status: if reached { InstanceStatus::Current } else { InstanceStatus::Outdated },
        detailed: if reached { DetailedStatus::Succeeded } else { DetailedStatus::Cancelled },
        reason: None,
        overrides: Some(Arc::new(if reached { overrides.clone() } else { Parameters::new() })),
        unit: Some(unit.clone()),
    }
}

impl Aws {
    pub(super) fn is_active(&self, account: &AccountId) -> bool {
        self.organization.all().skip_reason(account).is_none()
    }

    pub(super) fn members(&self, unit: &UnitId) -> BTreeSet<AccountId> {
        self.organization.all().units.get(unit).cloned().unwrap_or_default()
    }

    /// Runs an operation as StackSets does, and fails on calls that must never be made.
    pub(super) fn run(&mut self, desired: &Desired, operation: &Operation, reach: Reach) -> Result<(), TestCaseError> {
        if let Some(through) =
            operation.targets().map(|at| at.through.as_ref().expect("through an organizational unit"))
        {
            prop_assert!(self.organization.all().units.contains_key(&through.unit), "{:?} does not exist", through);
        }
        match operation {
            Operation::ManagedExecution => {
                self.now.stack_set.as_mut().expect("the StackSet exists").managed_execution = true;
            }
            Operation::UpdateStackSet => self.update(desired, reach),
            Operation::DeleteInstances { at, retain } => self.delete(desired, at, *retain, reach)?,
            Operation::CreateInstances { at, overrides } => self.create(desired, at, overrides, reach)?,
            Operation::UpdateInstances { at, overrides } => {
                let DeploymentTargets { unit, filter } = at.through.as_ref().expect("through an organizational unit");
                prop_assert_eq!(filter, &AccountFilterType::Listed);
                prop_assert!(
                    at.accounts.is_subset(&self.members(unit)),
                    "{unit} does not contain all of {:?}",
                    at.accounts
                );
                for instance in at.instances() {
                    assert_desired(desired, &instance, overrides)?;
                    let existing = self.now.instances.get_mut(&instance).expect("it exists");
                    if reach.reaches(&instance) {
                        // Assumed: the instance keeps the unit that it was deployed through.
                        let through = existing.unit.clone().unwrap_or_else(|| unit.clone());
                        *existing = found(overrides, &through, true);
                    } else {
                        (existing.status, existing.detailed) = (InstanceStatus::Outdated, DetailedStatus::Cancelled);
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn update(&mut self, desired: &Desired, reach: Reach) {
        let inactive: BTreeSet<AccountId> = self.organization.inactive.iter().copied().map(account).collect();
        let stack_set = self.now.stack_set.as_mut().expect("the StackSet exists");
        stack_set.owner = Some(OWNER.into());
        stack_set.definition = Some(desired.definition_digest());
        stack_set.auto_deployment = desired.permissions.service_managed().map(|service| service.auto_deployment);
        for (instance, existing) in &mut self.now.instances {
            (existing.status, existing.detailed) = if inactive.contains(&instance.account) {
                (InstanceStatus::Outdated, DetailedStatus::SkippedSuspendedAccount)
            } else if reach.reaches(instance) {
                (InstanceStatus::Current, DetailedStatus::Succeeded)
            } else {
                (InstanceStatus::Outdated, DetailedStatus::Cancelled)
            };
        }
    }

    pub(super) fn delete(
        &mut self,
        desired: &Desired,
        at: &OperationTargets,
        retain: bool,
        reach: Reach,
    ) -> Result<(), TestCaseError> {
        let DeploymentTargets { unit, filter } = at.through.as_ref().expect("through an organizational unit");
        let members = self.members(unit);
        // A whole unit means every instance of all accounts in it and its child units.
        let chosen: BTreeSet<Instance> = match filter {
            AccountFilterType::Listed => {
                at.instances().filter(|instance| members.contains(&instance.account)).collect()
            }
            AccountFilterType::Whole => {
                let all = self.now.instances.keys();
                all.filter(|one| members.contains(&one.account) && at.regions.contains(&one.region)).cloned().collect()
            }
            AccountFilterType::Except(_) => return Err(TestCaseError::fail("a deletion has no excluded accounts")),
        };
        let mut deleted = BTreeSet::new();
        for instance in chosen {
            prop_assert!(!desired.selects(&instance), "{instance} is desired and deleted by {at:?}");
            prop_assert!(self.now.instances.contains_key(&instance), "{instance} does not exist");
            if !retain && !self.is_active(&instance.account) {
                continue;
            }
            if reach.reaches(&instance) {
                self.now.instances.remove(&instance);
            } else if let Some(existing) = self.now.instances.get_mut(&instance) {
                existing.detailed = DetailedStatus::Cancelled;
            }
            deleted.insert(instance);
        }
        if *filter == AccountFilterType::Whole {
            let declared: BTreeSet<Instance> = at.instances().collect();
            prop_assert!(declared.is_subset(&deleted));
            prop_assert!(!self.smooth || declared == deleted, "{deleted:?} is deleted, {declared:?} was declared");
            let regions = self.now.auto_targets.get_mut(unit).expect("the unit has auto-deployment");
            regions.retain(|region| !at.regions.contains(region));
            self.now.auto_targets.retain(|_, regions| !regions.is_empty());
        }
        Ok(())
    }

    pub(super) fn create(
        &mut self,
        desired: &Desired,
        at: &OperationTargets,
        overrides: &Parameters,
        reach: Reach,
    ) -> Result<(), TestCaseError> {
        let DeploymentTargets { unit, filter } = at.through.as_ref().expect("through an organizational unit");
        let members = self.members(unit);
        let active = || members.iter().filter(|account| self.is_active(account));
        let chosen: BTreeSet<AccountId> = match filter {
            AccountFilterType::Listed => {
                prop_assert!(at.accounts.is_subset(&members), "{unit} does not contain all of {:?}", at.accounts);
                prop_assert!(at.accounts.iter().all(|account| self.is_active(account)));
                at.accounts.clone()
            }
            AccountFilterType::Whole => active().cloned().collect(),
            AccountFilterType::Except(out) => {
                prop_assert!(!out.is_empty() && out.is_subset(&members));
                active().filter(|account| !out.contains(*account)).cloned().collect()
            }
        };
        let mut created = BTreeSet::new();
        for instance in (OperationTargets { accounts: chosen, regions: at.regions.clone(), through: None }).instances()
        {
            assert_desired(desired, &instance, overrides)?;
            let reached = reach.reaches(&instance);
            match self.now.instances.get_mut(&instance) {
                None => {
                    created.insert(instance.clone());
                    self.now.instances.insert(instance, found(overrides, unit, reached));
                }
                Some(existing) if self.unknowns.create_touches_existing && reached => {
                    existing.overrides = Some(Arc::new(overrides.clone()));
                }
                Some(_) => {}
            }
        }
        prop_assert_eq!(created, at.instances().collect::<BTreeSet<_>>(), "exactly the declared instances are created");
        if *filter != AccountFilterType::Listed || self.unknowns.listed_registers {
            self.now.auto_targets.entry(unit.clone()).or_default().extend(at.regions.iter().cloned());
        }
        Ok(())
    }

    /// Moves accounts. StackSets deploys to those that join, without overrides, and removes from those that leave.
    pub(super) fn reorganize(&mut self, organization: Organization) {
        self.organization = organization;
        let stack_set = self.now.stack_set.clone().unwrap_or_default();
        if !stack_set.auto_deployment.unwrap_or_default().enabled {
            return;
        }
        let all = self.organization.all();
        self.now.instances.retain(|instance, existing| {
            let unit = existing.unit.as_ref().expect("deployed through a unit");
            all.contains(unit, &instance.account) || all.skip_reason(&instance.account).is_some()
        });
        for (unit, regions) in self.now.auto_targets.clone() {
            for account in all.accounts(&unit).filter(|account| all.skip_reason(account).is_none()) {
                for region in &regions {
                    let instance = Instance { account: account.clone(), region: region.clone() };
                    self.now.instances.entry(instance).or_insert_with(|| found(&Parameters::new(), &unit, true));
                }
            }
        }
    }

    /// The response of `ListStackInstances`: without overrides.
    pub(super) fn observe(&self) -> Observed {
        let mut observed = self.now.clone();
        for (instance, existing) in &mut observed.instances {
            existing.overrides = None;
            if self.organization.inactive.iter().any(|index| account(*index) == instance.account) {
                existing.detailed = DetailedStatus::SkippedSuspendedAccount;
            }
        }
        observed
    }

    /// The membership that `deploy` requests: the units of the policy, and those that StackSets still has.
    pub(super) fn membership(&self, desired: &Desired) -> Membership {
        let through = self.now.instances.values().filter_map(|existing| existing.unit.clone());
        let requested = desired
            .organizational_units()
            .into_iter()
            .chain(self.now.auto_targets.keys().cloned())
            .chain(through)
            .collect();
        self.organization.membership(&requested)
    }
}

pub(super) fn assert_desired(
    desired: &Desired,
    instance: &Instance,
    overrides: &Parameters,
) -> Result<(), TestCaseError> {
    let expected = desired.instances.get(instance).map(|wanted| &*wanted.overrides);
    prop_assert_eq!(expected, Some(overrides), "{} is not desired with these overrides", instance);
    Ok(())
}
