//! The operations that a StackSet needs, and the one next thing to do.

use super::verdict::judge;
use super::{
    AccountFilter, Desired, DetailedStatus, Digest, Filter, Instance, InstanceStatus, Membership, Observed,
    ObservedInstance, Operation, Parameters, PermissionModel, Places, Through, Verdict, Wanted,
};
use crate::ids::{AccountId, RegionName, UnitId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Create the StackSet (no operation, takes effect at once).
    CreateStackSet,
    /// Start one operation and wait for its end.
    Start(Operation),
    /// Delete the empty StackSet (no operation, takes effect at once).
    DeleteStackSet,
    /// Nothing is left to do, or nothing that this attempt has not tried.
    Finished(Verdict),
    /// The StackSet exists and is not ours.
    NotOurs {
        /// Who claims it by tag, if anybody.
        owner: Option<String>,
    },
    /// The StackSet has the other permission model, which cannot be changed.
    OtherPermissions {
        /// The one that it has.
        found: PermissionModel,
    },
}

/// What else a step depends on.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// What our tag on a StackSet says when it is ours.
    pub owner: &'a str,
    /// Who belongs to the units of the policy; empty with self-managed permissions.
    pub membership: &'a Membership,
    /// The keys of the operations that this attempt has already seen end: an instance that still is not right after them is a
    /// failure to be reported, not to be tried for ever.
    pub tried: &'a BTreeSet<Digest>,
}

/// The next step towards `desired`.
#[must_use]
pub fn next_step(desired: &Desired, observed: &Observed, context: Context<'_>) -> Step {
    let Some(stack_set) = &observed.stack_set else { return Step::CreateStackSet };
    let ours = stack_set.owner.as_deref() == Some(context.owner);
    // Somebody else's policy is not robbed, whatever this one says.
    let adopted = desired.adopt && stack_set.owner.is_none();
    if !ours && !adopted {
        return Step::NotOurs { owner: stack_set.owner.clone() };
    }
    if stack_set.permissions != desired.permissions.model() {
        return Step::OtherPermissions { found: stack_set.permissions };
    }
    first_untried(operations(desired, observed, context.owner, context.membership), context)
        .unwrap_or_else(|| Step::Finished(Verdict::of(desired, observed)))
}

/// The next step towards nothing at all: instances first, then the StackSet.
///
/// Returns [`Step::Finished`] when the StackSet is gone, or when instances are left that this attempt could not delete; the
/// verdict then names them.
#[must_use]
pub fn next_removal_step(observed: &Observed, context: Context<'_>) -> Step {
    let Some(stack_set) = &observed.stack_set else { return Step::Finished(Verdict::nothing_left()) };
    if stack_set.owner.as_deref() != Some(context.owner) {
        return Step::NotOurs { owner: stack_set.owner.clone() };
    }
    if observed.instances.is_empty() {
        return Step::DeleteStackSet;
    }
    first_untried(removal_operations(observed, context.membership), context)
        .unwrap_or_else(|| Step::Finished(Verdict::left_over(observed)))
}

/// The operations that leave nothing of a StackSet's instances if each of them succeeds, in the order in which they run.
#[must_use]
pub fn removal_operations(observed: &Observed, membership: &Membership) -> Vec<Operation> {
    let nothing_wanted = BTreeMap::new();
    let mut operations = deletions(&Wishes { desired: None, instances: &nothing_wanted }, observed, membership);
    // A StackSet without instances is deleted at once, whatever units it would deploy to.
    let deletes_none = |operation: &Operation| operation.places().is_some_and(|at| at.accounts.is_empty());
    if observed
        .instances
        .iter()
        .all(|(instance, found)| found.unit.is_none() || reaching(instance, found, membership).is_some())
    {
        while operations.last().is_some_and(deletes_none) {
            operations.pop();
        }
    }
    operations
}

fn first_untried(operations: Vec<Operation>, context: Context<'_>) -> Option<Step> {
    operations.into_iter().find(|operation| !context.tried.contains(&operation.key())).map(Step::Start)
}

/// The operations that bring a StackSet of ours to `desired` if each of them succeeds, in the order in which they run.
#[must_use]
pub fn operations(desired: &Desired, observed: &Observed, owner: &str, membership: &Membership) -> Vec<Operation> {
    let mut operations = Vec::new();
    if observed.stack_set.as_ref().is_some_and(|found| !found.managed_execution) {
        operations.push(Operation::ManagedExecution);
    }
    let wanted = Wishes { desired: Some(desired), instances: &desired.instances };
    operations.extend(deletions(&wanted, observed, membership));
    // A StackSet that is yet to be created is created as it should be.
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

/// What is to stay.
struct Wishes<'a> {
    desired: Option<&'a Desired>,
    instances: &'a BTreeMap<Instance, Wanted>,
}

impl Wishes<'_> {
    fn knows(&self, instance: &Instance) -> bool {
        self.instances.contains_key(instance) || self.desired.is_some_and(|desired| desired.knows(instance))
    }

    /// The units that the policy names, in each Region where it does.
    fn named(&self) -> BTreeSet<(&UnitId, &RegionName)> {
        let targets = self.desired.and_then(|desired| desired.permissions.service_managed());
        let targets = targets.into_iter().flat_map(|service| &service.targets);
        targets
            .flat_map(|target| {
                target.units.iter().flat_map(|unit| target.regions.iter().map(move |region| (unit, region)))
            })
            .collect()
    }
}

/// Deletions, those with retained stacks apart: an inoperable instance and one in a suspended account can only be let go.
fn deletions(wanted: &Wishes<'_>, observed: &Observed, membership: &Membership) -> Vec<Operation> {
    let left: BTreeMap<&Instance, &ObservedInstance> =
        observed.instances.iter().filter(|(instance, _)| !wanted.knows(instance)).collect();
    let retained = |instance: &Instance, found: &ObservedInstance| is_let_go(instance, found, membership);
    if observed.stack_set.as_ref().is_none_or(|found| found.permissions == PermissionModel::SelfManaged) {
        let pairs = left.iter().map(|(instance, found)| (*instance, retained(instance, found)));
        return products(pairs)
            .into_iter()
            .map(|(accounts, regions, retain)| Operation::DeleteInstances {
                at: Places { accounts, regions, through: None },
                retain,
            })
            .collect();
    }
    let (gone, let_go): (BTreeMap<_, _>, BTreeMap<_, _>) =
        left.iter().partition(|(instance, found)| !retained(instance, found));
    let one_by_one = |instances: BTreeMap<&Instance, &ObservedInstance>, retain: bool| {
        let pairs = instances
            .into_iter()
            .filter_map(|(instance, found)| Some((instance, (retain, listed(reaching(instance, found, membership)?)))));
        products(pairs).into_iter().map(|(accounts, regions, (retain, through))| Operation::DeleteInstances {
            at: Places { accounts, regions, through: Some(through) },
            retain,
        })
    };
    let mut operations: Vec<Operation> = one_by_one(let_go, true).collect();
    let (whole, rest) = whole_units(wanted, observed, gone, membership);
    operations.extend(one_by_one(rest, false));
    operations.extend(whole);
    operations
}

/// Units that the policy no longer names are deleted as a whole, for only that ends their auto-deployment; the rest is left to be
/// deleted one by one. StackSets deletes every instance of such a unit, those of its child units too: where one of them is wanted
/// through another unit, it is not done. Nor is it with a unit that is no more, which no call may name.
fn whole_units<'a>(
    wanted: &Wishes<'_>,
    observed: &Observed,
    mut gone: BTreeMap<&'a Instance, &'a ObservedInstance>,
    membership: &Membership,
) -> (Vec<Operation>, BTreeMap<&'a Instance, &'a ObservedInstance>) {
    let named = wanted.named();
    let stays = observed.instances.iter().filter(|(instance, _)| wanted.knows(instance));
    let stays_through: BTreeSet<(&UnitId, &RegionName)> =
        stays.filter_map(|(instance, found)| Some((found.unit.as_ref()?, &instance.region))).collect();
    let mut operations = Vec::new();
    let mut rest = BTreeMap::new();
    for (unit, regions) in &observed.auto_targets {
        let Some(members) = membership.units.get(unit) else { continue };
        let instance =
            |account: &AccountId, region: &RegionName| Instance { account: account.clone(), region: region.clone() };
        let regions: BTreeSet<RegionName> = regions
            .iter()
            .filter(|region| !named.contains(&(unit, *region)) && !stays_through.contains(&(unit, *region)))
            .filter(|region| !members.iter().any(|account| wanted.knows(&instance(account, region))))
            .cloned()
            .collect();
        if regions.is_empty() {
            continue;
        }
        // Accounts that have something in some of the Regions only are left to the rest, so that the operation works on each account
        // in each Region, as all others do.
        let mut accounts = BTreeSet::new();
        for account in members {
            let here: Vec<Instance> =
                regions.iter().map(|region| instance(account, region)).filter(|one| gone.contains_key(one)).collect();
            let everywhere = here.len() == regions.len();
            if everywhere {
                accounts.insert(account.clone());
            }
            let found = here.iter().filter_map(|one| gone.remove_entry(one));
            rest.extend(found.filter(|_| !everywhere));
        }
        let through = Some(Through { unit: unit.clone(), filter: Filter::Whole });
        operations.push(Operation::DeleteInstances { at: Places { accounts, regions, through }, retain: false });
    }
    rest.append(&mut gone);
    (operations, rest)
}

/// Whether the stack of an instance that is not wanted stays, since StackSets cannot work on it.
pub(super) fn is_let_go(instance: &Instance, found: &ObservedInstance, membership: &Membership) -> bool {
    !can_be_worked(found) || membership.inactive.contains(&instance.account)
}

/// The unit through which StackSets reach an instance: the one that it was deployed through, if its account is still there, else
/// the root, below which all accounts are.
pub(super) fn reaching(instance: &Instance, found: &ObservedInstance, membership: &Membership) -> Option<UnitId> {
    let deployed = found.unit.as_ref();
    deployed
        .filter(|unit| membership.contains(unit, &instance.account))
        .or(membership.root.as_ref())
        .or(deployed)
        .or_else(|| {
            membership.units.iter().find(|(_, accounts)| accounts.contains(&instance.account)).map(|(unit, _)| unit)
        })
        .cloned()
}

fn listed(unit: UnitId) -> Through {
    Through { unit, filter: Filter::Listed }
}

fn creations(desired: &Desired, observed: &Observed, membership: &Membership) -> Vec<Operation> {
    let mut missing: BTreeMap<&Instance, &Wanted> =
        desired.instances.iter().filter(|(instance, _)| !observed.instances.contains_key(instance)).collect();
    let mut operations = registrations(desired, observed, membership, &mut missing);
    operations.extend(grouped(missing.into_iter()).map(|(at, overrides)| Operation::CreateInstances { at, overrides }));
    operations
}

/// A unit in which StackSets is to deploy on its own has to be named as a whole once, also while no account is in it; that creates
/// what is missing in it, and is taken from `missing`. Accounts that are not wanted there, or are to have other overrides, or have a
/// part of their instances already, are taken away from the whole: auto-deployment knows no filters, and is for those that join
/// later.
///
/// A target that lists the accounts it wants has nothing to do with accounts that join.
fn registrations(
    desired: &Desired,
    observed: &Observed,
    membership: &Membership,
    missing: &mut BTreeMap<&Instance, &Wanted>,
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
            for account in membership.accounts(unit).filter(|account| membership.is_deployed_to(account)) {
                let places =
                    || regions.iter().map(|region| Instance { account: account.clone(), region: region.clone() });
                let meant = places().all(|instance| {
                    desired.instances.get(&instance).is_some_and(|wanted| *wanted.overrides == target.overrides)
                });
                let lacking = places().filter(|instance| missing.contains_key(instance)).count();
                if meant && lacking == regions.len() {
                    accounts.insert(account.clone());
                } else if !meant || lacking > 0 {
                    except.insert(account.clone());
                }
            }
            let filter = if except.is_empty() { Filter::Whole } else { Filter::Except(except) };
            let at = Places { accounts, regions, through: Some(Through { unit: unit.clone(), filter }) };
            for instance in at.instances() {
                missing.remove(&instance);
            }
            operations.push(Operation::CreateInstances { at, overrides: target.overrides.clone() });
        }
    }
    operations
}

/// What the policy wants otherwise than it is: other overrides, or an instance that an earlier operation left behind. An update of
/// the StackSet brings instances along, but changes no overrides.
fn corrections(desired: &Desired, observed: &Observed, updated: bool) -> impl Iterator<Item = Operation> {
    let wrong = desired.instances.iter().filter(move |(instance, wanted)| {
        observed.instances.get(instance).is_some_and(|found| {
            // A suspension that is over: StackSets notices that only when it works the instance, the organisation says it now. (With
            // self-managed permissions nobody says it, and the next update does.)
            let resumed = wanted.unit.is_some() && found.detailed == DetailedStatus::SkippedSuspendedAccount;
            (can_be_worked(found) || (resumed && found.status != InstanceStatus::Inoperable))
                && (found.overrides.as_deref() != Some(&*wanted.overrides)
                    || (!updated && judge(instance, found).is_some()))
        })
    });
    grouped(wrong).map(|(at, overrides)| Operation::UpdateInstances { at, overrides })
}

/// Groups instances by what they are to be given and through which unit they are reached.
fn grouped<'a>(
    instances: impl Iterator<Item = (&'a Instance, &'a Wanted)>,
) -> impl Iterator<Item = (Places, Parameters)> {
    let pairs = instances.map(|(instance, wanted)| (instance, (Arc::clone(&wanted.overrides), wanted.unit.clone())));
    products(pairs).into_iter().map(|(accounts, regions, (overrides, unit))| {
        (Places { accounts, regions, through: unit.map(listed) }, Parameters::clone(&overrides))
    })
}

/// StackSets do not touch instances in suspended accounts, nor those whose deletion has failed.
pub(super) fn can_be_worked(found: &ObservedInstance) -> bool {
    found.status != InstanceStatus::Inoperable
        && !matches!(found.detailed, DetailedStatus::Inoperable | DetailedStatus::SkippedSuspendedAccount)
}

/// Accounts and Regions, each account in each Region, and what they share.
type Product<P> = (BTreeSet<AccountId>, BTreeSet<RegionName>, P);

/// Groups (account, Region) pairs that share a property into products of accounts and Regions that cover exactly them.
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
