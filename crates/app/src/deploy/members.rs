//! Accounts of organizational units that StackSets still knows and the policy no longer names.

use std::collections::BTreeSet;

use domain::rollout::{Membership, Observed, PermissionModel};
use framework::ids::UnitId;

use crate::deploy::ports::OrganizationalUnits;
use crate::ports::Result;

/// Adds the members of the units that the policy no longer names and that StackSets still knows.
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

/// Returns the members of the units of a StackSet that is to be removed.
pub(crate) async fn members_left(organization: &impl OrganizationalUnits, observed: &Observed) -> Result<Membership> {
    match &observed.stack_set {
        Some(found) if found.permissions == PermissionModel::ServiceManaged => {
            organization.membership(&units(observed).cloned().collect()).await
        }
        _ => Ok(Membership::default()),
    }
}

fn units(observed: &Observed) -> impl Iterator<Item = &UnitId> {
    let through = observed.instances.values().filter_map(|found| found.unit.as_ref());
    observed.auto_targets.keys().chain(through)
}
