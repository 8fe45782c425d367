//! Recovery points and restores.

use jiff::SignedDuration;

use super::reason::{Flaw, Unknown, Verdict, Why};
use super::{Evaluator, undecided};
use crate::inventory::document::{RecoveryPointPart, RecoveryPointStatus, VaultKind};
use crate::inventory::{Part, Placed, RecoveryPoint, Resource};

impl<'a> Evaluator<'a> {
    fn points_of(&self, resource: &str) -> &[&'a Placed<RecoveryPoint>] {
        let from = self.points.partition_point(|point| *point.it.resource < *resource);
        let rest = self.points.get(from..).unwrap_or_default();
        let count = rest.partition_point(|point| *point.it.resource == *resource);
        rest.get(..count).unwrap_or_default()
    }

    /// Whether a resource has a recovery point that is young enough: one in its own place, or one in an air-gapped vault
    /// wherever that is.
    pub(super) fn recent(&self, resource: &'a Resource, most_minutes: i64, air_gapped: bool) -> Verdict<'a> {
        if resource.arn_end_unread {
            return Verdict::Undecided(vec![Unknown::ArnEnd]);
        }
        let mut unknown = Vec::new();
        let mut newest = None;
        for point in self.points_of(resource.arn()) {
            if !air_gapped && point.place != resource.place {
                continue;
            }
            let kind = if air_gapped { self.vault_kind(point) } else { Some(VaultKind::AirGapped) };
            let age = self.inventory.as_of.duration_since(point.it.created);
            let young = age <= SignedDuration::from_mins(most_minutes);
            match (kind, point.it.status) {
                (Some(VaultKind::Ordinary), _) => {}
                (Some(VaultKind::AirGapped), RecoveryPointStatus::Completed) => {
                    let age_minutes = age.as_mins();
                    if young {
                        return Verdict::Compliant(Why::RecoveryPoint { point: &point.it, age_minutes });
                    }
                    newest = newest.or(Some((&point.it, age_minutes)));
                }
                (Some(VaultKind::AirGapped), RecoveryPointStatus::Available) => {
                    unknown.push(Unknown::ContinuousPoint { point: &point.it });
                }
                (None, RecoveryPointStatus::Available) => unknown.push(Unknown::Vault { name: &point.it.vault }),
                (None, RecoveryPointStatus::Completed) if young => {
                    unknown.push(Unknown::Vault { name: &point.it.vault });
                }
                _ => {}
            }
        }
        unknown.extend(self.inventory.unread(resource.place, Part::RecoveryPoints).map(Unknown::from));
        // Air-gapped vaults stand in other accounts as a rule.
        unknown.extend(self.point_gap.clone().filter(|_| air_gapped).map(Unknown::from));
        if unknown.is_empty() {
            Verdict::NotCompliant(Flaw::NoRecoveryPoint { newest, most_minutes, created: resource.created })
        } else {
            undecided(unknown)
        }
    }

    fn vault_kind(&self, point: &Placed<RecoveryPoint>) -> Option<VaultKind> {
        let here = self.places.get(point.place.index())?;
        let vault = here.vaults.get(point.it.vault.as_str()).copied().flatten();
        point.it.vault_kind.or_else(|| vault.map(|vault| vault.kind))
    }

    pub(super) fn restored(&self, resource: &'a Resource, most_minutes: u64) -> Verdict<'a> {
        if resource.arn_end_unread {
            return Verdict::Undecided(vec![Unknown::ArnEnd]);
        }
        match self.restores.get(resource.arn()).copied() {
            Some(restore) if restore.minutes <= most_minutes => Verdict::Compliant(Why::Restored { restore }),
            Some(restore) => Verdict::NotCompliant(Flaw::RestoredTooSlowly { restore, most_minutes }),
            None => {
                let gap = self.inventory.unread(resource.place, Part::Restores).map(Unknown::from);
                Verdict::Undecided(vec![gap.unwrap_or(Unknown::NeverRestored)])
            }
        }
    }
}

pub(super) fn encrypted(point: &RecoveryPoint) -> Verdict<'_> {
    match point.encrypted {
        Some(true) => Verdict::Compliant(Why::Encrypted),
        Some(false) => Verdict::NotCompliant(Flaw::NotEncrypted),
        None => Verdict::Undecided(vec![Unknown::Encryption]),
    }
}

pub(super) fn kept(point: &RecoveryPoint, required: u64) -> Verdict<'_> {
    if point.unread.contains(&RecoveryPointPart::Lifecycle) || point.lifecycle.is_refused() {
        return Verdict::Undecided(vec![Unknown::Lifecycle]);
    }
    match point.lifecycle.kept_days() {
        Some(days) if days < required => Verdict::NotCompliant(Flaw::KeptTooShort { days, required }),
        days => Verdict::Compliant(Why::Kept { days }),
    }
}
