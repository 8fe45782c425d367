//! Evaluates locks and access policies of vaults.

use super::prepared_query::{ControlTest, PreparedQuery};
use super::reason::{
    ComplianceReason, ComplianceResult, LockShortfall, NonComplianceReason, Uncertainty, UnlockedVault,
};
use super::ternary::Ternary;
use super::{Evaluator, plan, vault_policy};
use crate::inventory::document::{Lock, PlanPart, RulePart, VaultKind, VaultPart};
use crate::inventory::{Located, LocationId, LocationPart, Plan, Vault};

impl<'a> Evaluator<'a> {
    /// Returns whether a plan stores into a vault with the required lock.
    pub(super) fn locks(&self, plan: &Located<Plan>, min: Option<u64>, max: Option<u64>) -> Ternary {
        let own = plan.item.rules.iter().map(|rule| {
            if rule.unread.contains(&RulePart::TargetVault) {
                return Ternary::Unknown;
            }
            let vaults = self.locations.get(plan.location.index()).map(|local| &local.vaults);
            match vaults.and_then(|vaults| vaults.get(rule.target_vault.as_str())) {
                Some(Some(vault)) => self.is_locked(plan.location, vault, min, max),
                Some(None) => Ternary::Unknown,
                None => {
                    self.inventory.unread(plan.location, LocationPart::Vaults).map_or(Ternary::No, |_| Ternary::Unknown)
                }
            }
        });
        let unread = if plan.item.unread.contains(&PlanPart::Rules) { Ternary::Unknown } else { Ternary::No };
        own.max().unwrap_or(Ternary::No).or(unread)
    }

    fn is_locked(&self, location: LocationId, vault: &Vault, min: Option<u64>, max: Option<u64>) -> Ternary {
        let unread = vault.unread.contains(&VaultPart::Lock)
            || self.inventory.unread(location, LocationPart::VaultLocks).is_some();
        let air_gapped = vault.kind == VaultKind::AirGapped;
        let Some(lock) = vault.lock else {
            // An air-gapped vault is always locked; its lock contains the bounds.
            return match (unread, air_gapped, min.or(max)) {
                (_, true, None) => Ternary::Yes,
                (_, true, Some(_)) | (true, false, _) => Ternary::Unknown,
                (false, false, _) => Ternary::No,
            };
        };
        beyond(lock, min, max).is_none().into()
    }

    /// Returns the shortfalls of the vaults that plans store into, each vault once.
    pub(super) fn unlocked(
        &self,
        location: LocationId,
        plans: &[&'a Plan],
        prepared: &PreparedQuery<'_>,
    ) -> Vec<UnlockedVault<'a>> {
        let ControlTest::Locked { min, max } = prepared.test else { return Vec::new() };
        let mut unlocked: Vec<UnlockedVault<'a>> = Vec::new();
        for rule in plans.iter().flat_map(|plan| &plan.rules) {
            let name = rule.target_vault.as_str();
            if unlocked.iter().any(|known| known.vault == name) {
                continue;
            }
            let vault = self.locations.get(location.index()).and_then(|local| local.vaults.get(name));
            let shortfall = match vault {
                None => Some(LockShortfall::Vault),
                Some(Some(vault)) => vault.lock.map_or(Some(LockShortfall::Lock), |lock| beyond(lock, min, max)),
                Some(None) => None,
            };
            unlocked.extend(shortfall.map(|shortfall| UnlockedVault { vault: name, shortfall }));
        }
        unlocked
    }

    pub(super) fn unknown_locks(&self, location: LocationId, plan: &'a Plan) -> Vec<Uncertainty<'a>> {
        let mut unknown = plan::unknown_parts(plan, RulePart::TargetVault);
        for rule in &plan.rules {
            let vault =
                self.locations.get(location.index()).and_then(|local| local.vaults.get(rule.target_vault.as_str()));
            match vault {
                Some(Some(vault)) if vault.lock.is_none() => unknown.push(Uncertainty::Lock(vault)),
                Some(Some(_)) => {}
                Some(None) | None => unknown.push(Uncertainty::Vault(&rule.target_vault)),
            }
        }
        unknown
    }

    pub(super) fn not_deleted(&self, vault: &'a Located<Vault>, exempt: &[&str]) -> ComplianceResult<'a> {
        let Some(policy) = &vault.item.policy else {
            let gap = self.inventory.unread(vault.location, LocationPart::VaultPolicies);
            return match gap {
                Some(gap) => ComplianceResult::Undecided(vec![gap.into()]),
                None if vault.item.unread.contains(&VaultPart::Policy) => {
                    ComplianceResult::Undecided(vec![Uncertainty::Policy])
                }
                None => ComplianceResult::NotCompliant(NonComplianceReason::NoPolicy),
            };
        };
        match vault_policy::evaluate(policy, exempt) {
            vault_policy::PolicyResult::Denied => ComplianceResult::Compliant(ComplianceReason::Denied),
            vault_policy::PolicyResult::Allowed(open) => {
                ComplianceResult::NotCompliant(NonComplianceReason::Allowed(open))
            }
            vault_policy::PolicyResult::Uncertain(uncertainty) => {
                ComplianceResult::Undecided(vec![Uncertainty::PolicyEffect(uncertainty)])
            }
        }
    }
}

/// Returns the bound that a lock does not meet.
fn beyond(lock: Lock, min: Option<u64>, max: Option<u64>) -> Option<LockShortfall> {
    /// The bounds of AWS Backup itself (API reference, PutBackupVaultLockConfiguration).
    const LEAST: u64 = 1;
    const MOST: u64 = 36_500;
    let (own_min, own_max) = (lock.min_retention_days, lock.max_retention_days);
    let short = min.filter(|min| own_min.unwrap_or(LEAST) < *min);
    let long = max.filter(|max| own_max.unwrap_or(MOST) > *max);
    let short = short.map(|required| LockShortfall::Minimum { own: own_min, required });
    short.or(long.map(|required| LockShortfall::Maximum { own: own_max, required }))
}
