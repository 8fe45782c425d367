//! The operations that a StackSet needs, and the next step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use framework::ids::{AccountId, RegionName, UnitId};

use super::verdict::evaluate;
use super::{
    AccountFilter, AccountFilterType, DeploymentTargets, Desired, DesiredInstance, DetailedStatus, Digest, Instance,
    InstanceStatus, Membership, Observed, ObservedInstance, Operation, OperationTargets, Parameters, PermissionModel,
    Verdict,
};

/// The next step of a rollout or removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutStep {
    /// Create the StackSet (not an operation; takes effect immediately).
    CreateStackSet,
    /// Start an operation and wait for its end.
    Start(Operation),
    /// Delete the empty StackSet (not an operation; takes effect immediately).
    DeleteStackSet,
    /// No operation is left that this attempt has not tried.
    Finished(Verdict),
    /// The owner tag of the StackSet names another owner, or (`None`) it has no owner tag.
    OtherOwner(Option<String>),
    /// The StackSet has the other permission model, which cannot change.
    OtherPermissions(PermissionModel),
}

/// The context that a step depends on beside the desired and observed state.
#[derive(Debug, Clone, Copy)]
pub struct StepContext<'a> {
    /// The value of the owner tag on StackSets of this application.
    pub owner: &'a str,
    /// The accounts of the organizational units; empty with self-managed permissions.
    pub membership: &'a Membership,
    /// Keys of the operations of this attempt that have ended. An instance that they did not bring to the desired state has failed
    /// and is not retried in this attempt.
    pub ended_operations: &'a BTreeSet<Digest>,
}

/// The next step towards `desired`.
pub fn next_step(desired: &Desired, observed: &Observed, context: StepContext<'_>) -> RolloutStep {
    let Some(stack_set) = &observed.stack_set else { return RolloutStep::CreateStackSet };
    let ours = stack_set.owner.as_deref() == Some(context.owner);
    // A StackSet owned by another policy is never adopted.
    let adopted = desired.adopt && stack_set.owner.is_none();
    if !ours && !adopted {
        return RolloutStep::OtherOwner(stack_set.owner.clone());
    }
    if stack_set.permissions != desired.permissions.model() {
        return RolloutStep::OtherPermissions(stack_set.permissions);
    }
    first_untried(operations(desired, observed, context.owner, context.membership), context)
        .unwrap_or_else(|| RolloutStep::Finished(Verdict::new(desired, observed)))
}

/// The next step of a removal: instances first, then the StackSet. [`RolloutStep::Finished`] if the StackSet is deleted, or with
/// a verdict of the instances that this attempt could not delete.
pub fn next_removal_step(observed: &Observed, context: StepContext<'_>) -> RolloutStep {
    let Some(stack_set) = &observed.stack_set else { return RolloutStep::Finished(Verdict::default()) };
    if stack_set.owner.as_deref() != Some(context.owner) {
        return RolloutStep::OtherOwner(stack_set.owner.clone());
    }
    if observed.instances.is_empty() {
        return RolloutStep::DeleteStackSet;
    }
    first_untried(removal_operations(observed, context.membership), context)
        .unwrap_or_else(|| RolloutStep::Finished(Verdict::remaining(observed)))
}

/// The operations that delete all instances of a StackSet if each succeeds, in order.
pub fn removal_operations(observed: &Observed, membership: &Membership) -> Vec<Operation> {
    let mut operations = deletions(None, observed, membership);
    // A StackSet without instances can be deleted although it has organizational units with auto-deployment.
    let deletes_none = |operation: &Operation| operation.targets().is_some_and(|at| at.accounts.is_empty());
    let is_reachable = |(instance, found): (&Instance, &ObservedInstance)| {
        found.unit.is_none() || reaching(instance, found, membership).is_some()
    };
    if observed.instances.iter().all(is_reachable) {
        while operations.last().is_some_and(deletes_none) {
            operations.pop();
        }
    }
    operations
}

fn first_untried(operations: Vec<Operation>, context: StepContext<'_>) -> Option<RolloutStep> {
    let is_untried = |operation: &Operation| !context.ended_operations.contains(&operation.key());
    operations.into_iter().find(is_untried).map(RolloutStep::Start)
}

/// The operations that bring an owned StackSet to the desired state if each succeeds, in order.
pub fn operations(desired: &Desired, observed: &Observed, owner: &str, membership: &Membership) -> Vec<Operation> {
    let mut operations = Vec::new();
    if observed.stack_set.as_ref().is_some_and(|found| !found.managed_execution) {
        operations.push(Operation::ManagedExecution);
    }
    operations.extend(deletions(Some(desired), observed, membership));
    // A StackSet that does not exist yet is created with the desired definition.
    let updated = observed.stack_set.as_ref().is_some_and(|found| {
        found.definition != Some(desired.definition_digest()) || found.owner.as_deref() != Some(owner)
    });
    if updated {
        operations.push(Operation::UpdateStackSet);
    }
    operations.extend(creations(desired, observed, membership));
    operations.extend(corrections(desired, observed, updated));
    operations
}

/// Whether the policy keeps an instance; in a removal (`None`) it keeps none.
fn keeps(desired: Option<&Desired>, instance: &Instance) -> bool {
    desired.is_some_and(|desired| desired.selects(instance))
}

fn targeted(desired: Option<&Desired>) -> BTreeSet<(&UnitId, &RegionName)> {
    let targets = desired.and_then(|desired| desired.permissions.service_managed());
    let targets = targets.into_iter().flat_map(|service| &service.targets);
    targets
        .flat_map(|target| target.units.iter().flat_map(|unit| target.regions.iter().map(move |region| (unit, region))))
        .collect()
}

/// Deletions. Inoperable instances and instances in suspended accounts can only be removed with their stacks retained, which
/// needs operations of their own.
fn deletions(desired: Option<&Desired>, observed: &Observed, membership: &Membership) -> Vec<Operation> {
    let left: BTreeMap<&Instance, &ObservedInstance> =
        observed.instances.iter().filter(|(instance, _)| !keeps(desired, instance)).collect();
    let permissions = observed.stack_set.as_ref().map_or(PermissionModel::SelfManaged, |found| found.permissions);
    let by_account = |instances: BTreeMap<&Instance, &ObservedInstance>| -> Vec<Operation> {
        let pairs = instances.into_iter().filter_map(|(instance, found)| {
            let through = match permissions {
                PermissionModel::SelfManaged => None,
                PermissionModel::ServiceManaged => Some(listed(reaching(instance, found, membership)?)),
            };
            Some((instance, (is_retained(instance, found, membership), through)))
        });
        let delete = |(accounts, regions, (retain, through))| Operation::DeleteInstances {
            at: OperationTargets { accounts, regions, through },
            retain,
        };
        products(pairs).into_iter().map(delete).collect()
    };
    if permissions == PermissionModel::SelfManaged {
        return by_account(left);
    }
    let (retained, deleted): (BTreeMap<_, _>, BTreeMap<_, _>) =
        left.into_iter().partition(|(instance, found)| is_retained(instance, found, membership));
    let mut operations = by_account(retained);
    let (whole, rest) = whole_units(desired, observed, deleted, membership);
    operations.extend(by_account(rest));
    operations.extend(whole);
    operations
}

/// Deletes organizational units that are no longer targeted as a whole, since only that ends their auto-deployment; returns the
/// other instances, to be deleted by account. StackSets deletes every instance of such a unit and of its child units, so a unit
/// with a desired instance is not deleted as a whole. Neither is a unit that no longer exists, which no call may name.
fn whole_units<'a>(
    desired: Option<&Desired>,
    observed: &Observed,
    mut deleted: BTreeMap<&'a Instance, &'a ObservedInstance>,
    membership: &Membership,
) -> (Vec<Operation>, BTreeMap<&'a Instance, &'a ObservedInstance>) {
    let targeted = targeted(desired);
    let kept = observed.instances.iter().filter(|(instance, _)| keeps(desired, instance));
    let kept_through: BTreeSet<(&UnitId, &RegionName)> =
        kept.filter_map(|(instance, found)| Some((found.unit.as_ref()?, &instance.region))).collect();
    let mut operations = Vec::new();
    let mut rest = BTreeMap::new();
    for (unit, regions) in &observed.auto_targets {
        let Some(members) = membership.units.get(unit) else { continue };
        let instance =
            |account: &AccountId, region: &RegionName| Instance { account: account.clone(), region: region.clone() };
        let regions: BTreeSet<RegionName> = regions
            .iter()
            .filter(|region| !targeted.contains(&(unit, *region)) && !kept_through.contains(&(unit, *region)))
            .filter(|region| !members.iter().any(|account| keeps(desired, &instance(account, region))))
            .cloned()
            .collect();
        if regions.is_empty() {
            continue;
        }
        // An account with instances in only some of the Regions is left to the rest, so that the operation works on each account
        // in each Region.
        let mut accounts = BTreeSet::new();
        for account in members {
            let here = regions.iter().map(|region| instance(account, region));
            let here: Vec<Instance> = here.filter(|one| deleted.contains_key(one)).collect();
            let everywhere = here.len() == regions.len();
            if everywhere {
                accounts.insert(account.clone());
            }
            let found = here.iter().filter_map(|one| deleted.remove_entry(one));
            rest.extend(found.filter(|_| !everywhere));
        }
        let through = Some(DeploymentTargets { unit: unit.clone(), filter: AccountFilterType::Whole });
        let at = OperationTargets { accounts, regions, through };
        operations.push(Operation::DeleteInstances { at, retain: false });
    }
    rest.append(&mut deleted);
    (operations, rest)
}

/// Whether the stack of an undesired instance is retained, since StackSets cannot work on it.
pub(super) fn is_retained(instance: &Instance, found: &ObservedInstance, membership: &Membership) -> bool {
    !is_workable(found) || membership.inactive.contains(&instance.account)
}

/// The organizational unit through which StackSets reaches an instance: the one it was deployed through, if its account is
/// still in it, else the root, which contains all accounts.
pub(super) fn reaching(instance: &Instance, found: &ObservedInstance, membership: &Membership) -> Option<UnitId> {
    let deployed = found.unit.as_ref();
    let current = deployed.filter(|unit| membership.contains(unit, &instance.account));
    let containing = || membership.units.keys().find(|unit| membership.contains(unit, &instance.account));
    current.or(membership.root.as_ref()).or(deployed).or_else(containing).cloned()
}

fn listed(unit: UnitId) -> DeploymentTargets {
    DeploymentTargets { unit, filter: AccountFilterType::Listed }
}

fn creations(desired: &Desired, observed: &Observed, membership: &Membership) -> Vec<Operation> {
    let mut missing: BTreeMap<&Instance, &DesiredInstance> =
        desired.instances.iter().filter(|(instance, _)| !observed.instances.contains_key(instance)).collect();
    let mut operations = registrations(desired, observed, membership, &mut missing);
    operations.extend(grouped(missing.into_iter()).map(|(at, overrides)| Operation::CreateInstances { at, overrides }));
    operations
}

/// Creates organizational units with auto-deployment as a whole, once, even without accounts: that starts their auto-deployment.
/// It also creates their missing instances, which are taken from `missing`. Excluded are accounts that are not desired there, that
/// have other overrides, or that have some of the instances already; auto-deployment, for accounts that join later, has no filter.
///
/// A target that lists its accounts needs no auto-deployment.
fn registrations(
    desired: &Desired,
    observed: &Observed,
    membership: &Membership,
    missing: &mut BTreeMap<&Instance, &DesiredInstance>,
) -> Vec<Operation> {
    let mut operations = Vec::new();
    let Some(service) = desired.permissions.service_managed().filter(|service| service.auto_deployment.enabled) else {
        return operations;
    };
    let known = observed.auto_targets.iter();
    let mut registered: BTreeSet<(&UnitId, &RegionName)> =
        known.flat_map(|(unit, regions)| regions.iter().map(move |region| (unit, region))).collect();
    for target in service.targets.iter().filter(|target| !matches!(target.accounts, AccountFilter::Only(_))) {
        for unit in &target.units {
            let regions: BTreeSet<RegionName> =
                target.regions.iter().filter(|region| registered.insert((unit, *region))).cloned().collect();
            if regions.is_empty() {
                continue;
            }
            let mut except = BTreeSet::new();
            let mut accounts = BTreeSet::new();
            for account in membership.accounts(unit).filter(|account| membership.skip_reason(account).is_none()) {
                let instances =
                    || regions.iter().map(|region| Instance { account: account.clone(), region: region.clone() });
                let matches = instances().all(|instance| {
                    desired.instances.get(&instance).is_some_and(|goal| *goal.overrides == target.overrides)
                });
                let absent = instances().filter(|instance| missing.contains_key(instance)).count();
                if matches && absent == regions.len() {
                    accounts.insert(account.clone());
                } else if !matches || absent > 0 {
                    except.insert(account.clone());
                }
            }
            let filter = if except.is_empty() { AccountFilterType::Whole } else { AccountFilterType::Except(except) };
            let at =
                OperationTargets { accounts, regions, through: Some(DeploymentTargets { unit: unit.clone(), filter }) };
            for instance in at.instances() {
                missing.remove(&instance);
            }
            operations.push(Operation::CreateInstances { at, overrides: target.overrides.clone() });
        }
    }
    operations
}

/// Updates of instances with wrong overrides, or that an earlier operation did not update. An update of the StackSet updates
/// instances, but not their overrides.
fn corrections(desired: &Desired, observed: &Observed, updated: bool) -> impl Iterator<Item = Operation> {
    let outdated = desired.instances.iter().filter(move |(instance, goal)| {
        observed.instances.get(instance).is_some_and(|found| {
            // The suspension is over: AWS Organizations reports that now, StackSets only when it works on the instance. With
            // self-managed permissions the next update finds out.
            let resumed = goal.unit.is_some() && found.detailed == DetailedStatus::SkippedSuspendedAccount;
            (is_workable(found) || (resumed && found.status != InstanceStatus::Inoperable))
                && (found.overrides.as_deref() != Some(&*goal.overrides)
                    || (!updated && evaluate(instance, found).is_some()))
        })
    });
    grouped(outdated).map(|(at, overrides)| Operation::UpdateInstances { at, overrides })
}

fn grouped<'a>(
    instances: impl Iterator<Item = (&'a Instance, &'a DesiredInstance)>,
) -> impl Iterator<Item = (OperationTargets, Parameters)> {
    let pairs = instances.map(|(instance, goal)| (instance, (Arc::clone(&goal.overrides), goal.unit.clone())));
    products(pairs).into_iter().map(|(accounts, regions, (overrides, unit))| {
        (OperationTargets { accounts, regions, through: unit.map(listed) }, Parameters::clone(&overrides))
    })
}

/// StackSets does not work on instances in suspended accounts, nor on those whose deletion has failed.
pub(super) fn is_workable(found: &ObservedInstance) -> bool {
    found.status != InstanceStatus::Inoperable
        && !matches!(found.detailed, DetailedStatus::Inoperable | DetailedStatus::SkippedSuspendedAccount)
}

/// Each account in each Region, and their common property.
type Product<P> = (BTreeSet<AccountId>, BTreeSet<RegionName>, P);

/// Groups instances with a common property into products of accounts and Regions that cover exactly them.
pub(super) fn products<'a, P: Ord + Clone>(pairs: impl Iterator<Item = (&'a Instance, P)>) -> Vec<Product<P>> {
    let mut regions_of: BTreeMap<(P, &AccountId), BTreeSet<&RegionName>> = BTreeMap::new();
    for (instance, property) in pairs {
        regions_of.entry((property, &instance.account)).or_default().insert(&instance.region);
    }
    let mut accounts_of: BTreeMap<(P, BTreeSet<&RegionName>), BTreeSet<AccountId>> = BTreeMap::new();
    for ((property, account), regions) in regions_of {
        accounts_of.entry((property, regions)).or_default().insert(account.clone());
    }
    accounts_of
        .into_iter()
        .map(|((property, regions), accounts)| (accounts, regions.into_iter().cloned().collect(), property))
        .collect()
}
