//! Whom else a rollout has to know of than the policy names.

use crate::ports::{OrganizationalUnits, Result};
use domain::ids::UnitId;
use domain::rollout::{Membership, Observed, PermissionModel};
use std::collections::BTreeSet;

/// Units that the policy no longer names, and that StackSets still knows, are part of the question, too.
pub(crate) async fn with_former_units(
    organization: &impl OrganizationalUnits,
    mut membership: Membership,
    observed: &Observed,
) -> Result<Membership> {
    let former: BTreeSet<UnitId> =
        units(observed).filter(|unit| !membership.units.contains_key(*unit)).cloned().collect();
    if !former.is_empty() {
        let more = organization.membership(&former).await?;
        membership.units.extend(more.units);
        membership.inactive.extend(more.inactive);
        membership.root = membership.root.or(more.root);
        membership.management = membership.management.or(more.management);
    }
    Ok(membership)
}

/// Who belongs to the units of a StackSet that is to be removed.
pub(crate) async fn members_left(organization: &impl OrganizationalUnits, observed: &Observed) -> Result<Membership> {
    let service_managed =
        observed.stack_set.as_ref().is_some_and(|found| found.permissions == PermissionModel::ServiceManaged);
    if !service_managed {
        return Ok(Membership::default());
    }
    organization.membership(&units(observed).cloned().collect()).await
}

fn units(observed: &Observed) -> impl Iterator<Item = &UnitId> {
    let through = observed.instances.values().filter_map(|found| found.unit.as_ref());
    observed.auto_targets.keys().chain(through)
}
