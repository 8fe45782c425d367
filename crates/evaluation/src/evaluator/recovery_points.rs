//! Evaluates recovery points and restores.

use jiff::SignedDuration;

use super::reason::{ComplianceReason, ComplianceResult, NonComplianceReason, Uncertainty};
use super::{Evaluator, undecided};
use crate::inventory::document::{RecoveryPointPart, RecoveryPointStatus, VaultKind};
use crate::inventory::{Located, LocationPart, RecoveryPoint, Resource};

impl<'a> Evaluator<'a> {
    fn points_of(&self, resource: &str) -> &[&'a Located<RecoveryPoint>] {
        let from = self.points.partition_point(|point| *point.item.resource < *resource);
        let rest = self.points.get(from..).unwrap_or_default();
        let count = rest.partition_point(|point| *point.item.resource == *resource);
        rest.get(..count).unwrap_or_default()
    }

    /// Evaluates whether a resource has a recovery point that is recent enough: in its own location, or in an
    /// air-gapped vault anywhere.
    pub(super) fn recent(&self, resource: &'a Resource, most_minutes: i64, air_gapped: bool) -> ComplianceResult<'a> {
        if resource.arn_end_unread {
            return ComplianceResult::Undecided(vec![Uncertainty::ArnEnd]);
        }
        let mut unknown = Vec::new();
        let mut newest = None;
        for point in self.points_of(resource.arn()) {
            if !air_gapped && point.location != resource.location {
                continue;
            }
            let kind = if air_gapped { self.vault_kind(point) } else { Some(VaultKind::AirGapped) };
            let age = self.inventory.as_of.duration_since(point.item.created);
            let young = age <= SignedDuration::from_mins(most_minutes);
            match (kind, point.item.status) {
                (Some(VaultKind::Ordinary), _) => {}
                (Some(VaultKind::AirGapped), RecoveryPointStatus::Completed) => {
                    let age_minutes = age.as_mins();
                    if young {
                        return ComplianceResult::Compliant(ComplianceReason::RecoveryPoint {
                            point: &point.item,
                            age_minutes,
                        });
                    }
                    newest = newest.or(Some((&point.item, age_minutes)));
                }
                (Some(VaultKind::AirGapped), RecoveryPointStatus::Available) => {
                    unknown.push(Uncertainty::ContinuousPoint(&point.item));
                }
                (None, RecoveryPointStatus::Available) => unknown.push(Uncertainty::Vault(&point.item.vault)),
                (None, RecoveryPointStatus::Completed) if young => {
                    unknown.push(Uncertainty::Vault(&point.item.vault));
                }
                _ => {}
            }
        }
        unknown.extend(self.inventory.unread(resource.location, LocationPart::RecoveryPoints).map(Uncertainty::from));
        // Air-gapped vaults are usually in other accounts.
        unknown.extend(self.point_gap.clone().filter(|_| air_gapped).map(Uncertainty::from));
        if unknown.is_empty() {
            ComplianceResult::NotCompliant(NonComplianceReason::NoRecoveryPoint {
                newest,
                most_minutes,
                created: resource.created,
            })
        } else {
            undecided(unknown)
        }
    }

    fn vault_kind(&self, point: &Located<RecoveryPoint>) -> Option<VaultKind> {
        let local = self.locations.get(point.location.index())?;
        let vault = local.vaults.get(point.item.vault.as_str()).copied().flatten();
        point.item.vault_kind.or_else(|| vault.map(|vault| vault.kind))
    }

    pub(super) fn restored(&self, resource: &'a Resource, most_minutes: u64) -> ComplianceResult<'a> {
        if resource.arn_end_unread {
            return ComplianceResult::Undecided(vec![Uncertainty::ArnEnd]);
        }
        match self.restores.get(resource.arn()).copied() {
            Some(restore) if restore.minutes <= most_minutes => {
                ComplianceResult::Compliant(ComplianceReason::Restored(restore))
            }
            Some(restore) => {
                ComplianceResult::NotCompliant(NonComplianceReason::RestoredTooSlowly { restore, most_minutes })
            }
            None => {
                let gap = self.inventory.unread(resource.location, LocationPart::Restores).map(Uncertainty::from);
                ComplianceResult::Undecided(vec![gap.unwrap_or(Uncertainty::NeverRestored)])
            }
        }
    }
}

pub(super) fn encrypted(point: &RecoveryPoint) -> ComplianceResult<'_> {
    match point.encrypted {
        Some(true) => ComplianceResult::Compliant(ComplianceReason::Encrypted),
        Some(false) => ComplianceResult::NotCompliant(NonComplianceReason::NotEncrypted),
        None => ComplianceResult::Undecided(vec![Uncertainty::Encryption]),
    }
}

pub(super) fn kept(point: &RecoveryPoint, required: u64) -> ComplianceResult<'_> {
    if point.unread.contains(&RecoveryPointPart::Lifecycle) || point.lifecycle.is_refused() {
        return ComplianceResult::Undecided(vec![Uncertainty::Lifecycle]);
    }
    match point.lifecycle.kept_days() {
        Some(days) if days < required => {
            ComplianceResult::NotCompliant(NonComplianceReason::KeptTooShort { days, required })
        }
        days => ComplianceResult::Compliant(ComplianceReason::Kept(days)),
    }
}
