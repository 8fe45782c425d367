//! Evaluates locks and access policies of vaults.

use super::prepared_query::{ControlTest, PreparedQuery};
use super::reason::ComplianceResult::{self, Compliant, NotCompliant, Undecided};
use super::reason::{ComplianceReason, LockShortfall, NonComplianceReason, Uncertainty, UnlockedVault};
use super::ternary::Ternary;
use super::vault_policy::{self, PolicyResult};
use super::{Evaluator, plan};
use crate::inventory::document::{Lock, PlanPart, RulePart, VaultKind, VaultPart};
use crate::inventory::{Located, LocationId, LocationPart, Plan, Vault};

impl<'a> Evaluator<'a> {
    /// Returns whether a plan stores into a vault with the required lock.
    pub(super) fn locks(&self, plan: &Located<Plan>, min: Option<u64>, max: Option<u64>) -> Ternary {
        let own = plan.item.rules.iter().map(|rule| {
            if rule.target_air_gapped_vault.is_none() && rule.unread.contains(&RulePart::TargetVault) {
                return Ternary::Unknown;
            }
            if let Some(arn) = &rule.target_air_gapped_vault {
                return self.is_air_gapped_within(plan.location, arn, min, max);
            }
            match self.vault(plan.location, &rule.target_vault) {
                Some(Some(vault)) => self.is_locked(plan.location, vault, min, max),
                Some(None) => Ternary::Unknown,
                None => Ternary::unknown_if(self.inventory.unread(plan.location, LocationPart::Vaults).is_some()),
            }
        });
        own.max().unwrap_or(Ternary::No).or(Ternary::unknown_if(plan.item.unread.contains(&PlanPart::Rules)))
    }

    /// Returns the vault with this name; `Some(None)` if the name is ambiguous.
    pub(super) fn vault(&self, location: LocationId, name: &str) -> Option<Option<&'a Vault>> {
        self.locations.get(location.index())?.vaults.get(name).copied()
    }

    /// Returns whether the lock of an air-gapped vault is within bounds. It is always locked, in compliance mode (AWS
    /// Backup developer guide, "Logically air-gapped vault"), and in the account and Region of its plan.
    fn is_air_gapped_within(&self, location: LocationId, arn: &str, min: Option<u64>, max: Option<u64>) -> Ternary {
        match self.vault(location, vault_name(arn)).flatten() {
            Some(vault) if vault.kind == VaultKind::AirGapped => self.is_locked(location, vault, min, max),
            _ if min.or(max).is_none() => Ternary::Yes,
            _ => Ternary::Unknown,
        }
    }

    fn is_locked(&self, location: LocationId, vault: &Vault, min: Option<u64>, max: Option<u64>) -> Ternary {
        match vault.lock {
            Some(lock) => beyond(lock, min, max).is_none().into(),
            // An air-gapped vault is always locked; its lock contains the bounds.
            None if vault.kind == VaultKind::AirGapped && min.or(max).is_none() => Ternary::Yes,
            None if vault.kind == VaultKind::AirGapped => Ternary::Unknown,
            None => Ternary::unknown_if(
                vault.unread.contains(&VaultPart::Lock)
                    || self.inventory.unread(location, LocationPart::VaultLocks).is_some(),
            ),
        }
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
            let name = rule.target_air_gapped_vault.as_deref().map_or(&*rule.target_vault, vault_name);
            if unlocked.iter().any(|known| known.vault == name) {
                continue;
            }
            let shortfall = match self.vault(location, name) {
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
            if let Some(arn) = &rule.target_air_gapped_vault {
                unknown.push(Uncertainty::AirGappedLock(vault_name(arn)));
                continue;
            }
            match self.vault(location, &rule.target_vault) {
                Some(Some(vault)) if vault.lock.is_none() => unknown.push(Uncertainty::Lock(vault)),
                Some(Some(_)) => {}
                Some(None) => unknown.push(Uncertainty::AmbiguousVault(&rule.target_vault)),
                None => unknown.push(Uncertainty::Vault(&rule.target_vault)),
            }
        }
        unknown
    }

    pub(super) fn not_deleted(&self, vault: &'a Vault, location: LocationId, exempt: &[&str]) -> ComplianceResult<'a> {
        let Some(policy) = &vault.policy else {
            return match self.inventory.unread(location, LocationPart::VaultPolicies) {
                Some(gap) => Undecided(vec![Uncertainty::Location(gap)]),
                None if vault.unread.contains(&VaultPart::Policy) => Undecided(vec![Uncertainty::Policy]),
                None => NotCompliant(NonComplianceReason::NoPolicy),
            };
        };
        match vault_policy::evaluate(policy, exempt) {
            PolicyResult::Denied => Compliant(ComplianceReason::Denied),
            PolicyResult::Allowed(open) => NotCompliant(NonComplianceReason::Allowed(open)),
            PolicyResult::Uncertain(uncertainty) => Undecided(vec![Uncertainty::PolicyEffect(uncertainty)]),
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
    let short = short.map(|required| LockShortfall::Minimum(own_min, required));
    short.or(long.map(|required| LockShortfall::Maximum(own_max, required)))
}

/// Returns the name in the ARN of a vault.
fn vault_name(arn: &str) -> &str {
    arn.rsplit_once("backup-vault:").map_or(arn, |(_, name)| name)
}
