//! Evaluates recovery points and restores.

use jiff::{SignedDuration, Timestamp};

use super::reason::ComplianceResult::{self, Compliant, NotCompliant, Undecided};
use super::reason::{ComplianceReason, NonComplianceReason, Uncertainty};
use super::{Evaluator, undecided};
use crate::inventory::document::{RecoveryPointPart, RecoveryPointStatus, VaultKind};
use crate::inventory::{Located, LocationPart, RecoveryPoint, StoredResource};

impl<'a> Evaluator<'a> {
    fn points_of(&self, resource: &str) -> &[&'a Located<RecoveryPoint>] {
        let from = self.points.partition_point(|point| *point.item.resource < *resource);
        let rest = self.points.get(from..).unwrap_or_default();
        let count = rest.partition_point(|point| *point.item.resource == *resource);
        rest.get(..count).unwrap_or_default()
    }

    /// Evaluates whether a resource has a recovery point that is recent enough: in its own location, or in an
    /// air-gapped vault anywhere.
    pub(super) fn recent(
        &self,
        resource: &'a StoredResource,
        most_minutes: i64,
        air_gapped: bool,
    ) -> ComplianceResult<'a> {
        if resource.arn_end_unread {
            return Undecided(vec![Uncertainty::ArnEnd]);
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
                        return Compliant(ComplianceReason::RecoveryPoint(&point.item, age_minutes));
                    }
                    newest = newest.or(Some(age_minutes));
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
        unknown
            .extend(self.inventory.unread(resource.location, LocationPart::RecoveryPoints).map(Uncertainty::Location));
        // Air-gapped vaults are usually in other accounts.
        unknown.extend(self.point_gap.clone().filter(|_| air_gapped).map(Uncertainty::Location));
        if unknown.is_empty()
            && air_gapped
            && newest.is_none()
            && resource.aws_managed_key == Some(true)
            && !self.is_fully_managed(resource)
        {
            NotCompliant(NonComplianceReason::AwsManagedKey)
        } else if unknown.is_empty() {
            NotCompliant(NonComplianceReason::NoRecoveryPoint(newest, most_minutes))
        } else {
            undecided(unknown)
        }
    }

    /// Returns whether AWS Backup manages the backups of a type fully, with the key of the vault ("Feature availability by
    /// resource").
    fn is_fully_managed(&self, resource: &StoredResource) -> bool {
        matches!(
            self.inventory.kind(resource),
            "AWS::EFS::FileSystem" | "AWS::S3::Bucket" | "AWS::BackupGateway::VirtualMachine"
        )
    }

    fn vault_kind(&self, point: &Located<RecoveryPoint>) -> Option<VaultKind> {
        let vault = || self.vault(point.location, &point.item.vault).flatten();
        point.item.vault_kind.or_else(|| vault().map(|vault| vault.kind))
    }

    pub(super) fn restored(&self, resource: &'a StoredResource, most_minutes: u64) -> ComplianceResult<'a> {
        if resource.arn_end_unread {
            return Undecided(vec![Uncertainty::ArnEnd]);
        }
        let gap = || self.inventory.unread(resource.location, LocationPart::Restores).map(Uncertainty::Location);
        match self.restores.get(resource.arn()).copied() {
            // An unread one may be later.
            Some(restore)
                if restore.completed < Timestamp::MAX
                    && let Some(gap) = gap() =>
            {
                Undecided(vec![gap])
            }
            Some(restore) if restore.minutes <= most_minutes => Compliant(ComplianceReason::Restored(restore)),
            Some(restore) => NotCompliant(NonComplianceReason::RestoredTooSlowly(restore, most_minutes)),
            None => Undecided(vec![gap().unwrap_or(Uncertainty::NeverRestored)]),
        }
    }
}

pub(super) fn encrypted(point: &RecoveryPoint) -> ComplianceResult<'_> {
    match point.encrypted {
        Some(true) => Compliant(ComplianceReason::Encrypted),
        Some(false) => NotCompliant(NonComplianceReason::NotEncrypted),
        None => Undecided(vec![Uncertainty::Encryption]),
    }
}

pub(super) fn kept(point: &RecoveryPoint, required: u64) -> ComplianceResult<'_> {
    if point.unread.contains(&RecoveryPointPart::Lifecycle) || point.lifecycle.is_refused() {
        return Undecided(vec![Uncertainty::Lifecycle]);
    }
    match point.lifecycle.kept_days() {
        Some(days) if days < required => NotCompliant(NonComplianceReason::KeptTooShort(days, required)),
        days => Compliant(ComplianceReason::Kept(days)),
    }
}
