//! Vaults and their locks.

use syntax::template::TemplateResource;

use super::{AIR_GAPPED_VAULT, Context, Reporter, lock_days};
use crate::backup::name;
use crate::rules::vaults;

const BOUNDS: &[&str] = &["MinRetentionDays", "MaxRetentionDays"];

pub(super) fn check(
    reporter: &mut Reporter<'_, '_, '_, '_>,
    context: &Context<'_, '_>,
    resource: &TemplateResource<'_>,
) {
    reporter.name(&vaults::VAULT_NAME, &resource.properties, name::VAULT);
    if resource.kind == AIR_GAPPED_VAULT {
        let own = &resource.properties;
        if own.entries().is_none() {
            return;
        }
        let is_missing = |property: &str| own.get(property).is_none();
        for rejection in lock_days(own).air_gapped_rejections() {
            if is_missing(rejection.property) {
                reporter.report(&vaults::AIR_GAPPED, resource.at, rejection);
            } else {
                reporter.report_in(&vaults::AIR_GAPPED, own, rejection);
            }
        }
        return reporter.integers(&vaults::AIR_GAPPED, own, BOUNDS);
    }
    let Some(lock) = resource.properties.get("LockConfiguration").filter(|lock| lock.entries().is_some()) else {
        return;
    };
    let days = lock_days(lock);
    // Only CloudFormation requires it.
    if let Some(rejection) = days.without_minimum().filter(|_| !context.is_terraform) {
        reporter.report_in(&vaults::LOCK_MINIMUM, lock, rejection);
    }
    for rejection in days.out_of_range() {
        reporter.report_in(&vaults::LOCK_RANGE, lock, rejection);
    }
    reporter.integers(&vaults::LOCK_RANGE, lock, &["MinRetentionDays", "MaxRetentionDays", "ChangeableForDays"]);
    if let Some(rejection) = days.out_of_order() {
        reporter.report_in(&vaults::LOCK_ORDER, lock, rejection);
    }
}
