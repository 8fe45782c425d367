//! What vaults keep people from: locks, and access policies.

use super::question::{Question, Test};
use super::reason::{Flaw, Lack, Unknown, Unlocked, Verdict, Why};
use super::truth::Truth;
use super::{Evaluator, plan, vault_policy};
use crate::inventory::document::{Lock, PlanPart, RulePart, VaultKind, VaultPart};
use crate::inventory::{Part, PlaceId, Placed, Plan, Vault};

impl<'a> Evaluator<'a> {
    /// Whether a plan stores into a vault that is locked within bounds.
    pub(super) fn locks(&self, plan: &Placed<Plan>, min: Option<u64>, max: Option<u64>) -> Truth {
        let own = plan.it.rules.iter().map(|rule| {
            if rule.unread.contains(&RulePart::TargetVault) {
                return Truth::Unknown;
            }
            let vaults = self.places.get(plan.place.index()).map(|here| &here.vaults);
            match vaults.and_then(|vaults| vaults.get(rule.target_vault.as_str())) {
                Some(Some(vault)) => self.is_locked(plan.place, vault, min, max),
                Some(None) => Truth::Unknown,
                None => self.inventory.unread(plan.place, Part::Vaults).map_or(Truth::No, |_| Truth::Unknown),
            }
        });
        let unread = if plan.it.unread.contains(&PlanPart::Rules) { Truth::Unknown } else { Truth::No };
        own.max().unwrap_or(Truth::No).or(unread)
    }

    fn is_locked(&self, place: PlaceId, vault: &Vault, min: Option<u64>, max: Option<u64>) -> Truth {
        let unread =
            vault.unread.contains(&VaultPart::Lock) || self.inventory.unread(place, Part::VaultLocks).is_some();
        let air_gapped = vault.kind == VaultKind::AirGapped;
        let Some(lock) = vault.lock else {
            // An air-gapped vault is locked from the start; within which bounds is written in its lock.
            return match (unread, air_gapped, min.or(max)) {
                (_, true, None) => Truth::Yes,
                (_, true, Some(_)) | (true, false, _) => Truth::Unknown,
                (false, false, _) => Truth::No,
            };
        };
        beyond(lock, min, max).is_none().into()
    }

    /// What is wrong with the vaults that plans store into, each once.
    pub(super) fn unlocked(&self, place: PlaceId, plans: &[&'a Plan], question: &Question<'_>) -> Vec<Unlocked<'a>> {
        let Test::Locked { min, max } = question.test else { return Vec::new() };
        let mut unlocked: Vec<Unlocked<'a>> = Vec::new();
        for rule in plans.iter().flat_map(|plan| &plan.rules) {
            let name = rule.target_vault.as_str();
            if unlocked.iter().any(|known| known.vault == name) {
                continue;
            }
            let vault = self.places.get(place.index()).and_then(|here| here.vaults.get(name));
            let lack = match vault {
                None => Some(Lack::Vault),
                Some(Some(vault)) => vault.lock.map_or(Some(Lack::Lock), |lock| beyond(lock, min, max)),
                Some(None) => None,
            };
            unlocked.extend(lack.map(|lack| Unlocked { vault: name, lack }));
        }
        unlocked
    }

    pub(super) fn unknown_locks(&self, place: PlaceId, plan: &'a Plan) -> Vec<Unknown<'a>> {
        let mut unknown = plan::unknown_parts(plan, RulePart::TargetVault);
        for rule in &plan.rules {
            let vault = self.places.get(place.index()).and_then(|here| here.vaults.get(rule.target_vault.as_str()));
            match vault {
                Some(Some(vault)) if vault.lock.is_none() => unknown.push(Unknown::Lock { vault }),
                Some(Some(_)) => {}
                Some(None) | None => unknown.push(Unknown::Vault { name: &rule.target_vault }),
            }
        }
        unknown
    }

    pub(super) fn not_deleted(&self, vault: &'a Placed<Vault>, exempt: &[&str]) -> Verdict<'a> {
        let Some(policy) = &vault.it.policy else {
            let gap = self.inventory.unread(vault.place, Part::VaultPolicies);
            return match gap {
                Some(gap) => Verdict::Undecided(vec![gap.into()]),
                None if vault.it.unread.contains(&VaultPart::Policy) => Verdict::Undecided(vec![Unknown::Policy]),
                None => Verdict::NotCompliant(Flaw::NoPolicy),
            };
        };
        match vault_policy::judge(policy, exempt) {
            vault_policy::Denial::Denied => Verdict::Compliant(Why::Denied),
            vault_policy::Denial::Open(open) => Verdict::NotCompliant(Flaw::Allowed(open)),
            vault_policy::Denial::Doubtful(doubt) => Verdict::Undecided(vec![Unknown::PolicyDoubt(doubt)]),
        }
    }
}

/// The bound that a lock does not keep.
fn beyond(lock: Lock, min: Option<u64>, max: Option<u64>) -> Option<Lack> {
    /// The bounds of AWS Backup itself (API reference, PutBackupVaultLockConfiguration).
    const LEAST: u64 = 1;
    const MOST: u64 = 36_500;
    let (own_min, own_max) = (lock.min_retention_days, lock.max_retention_days);
    let short = min.filter(|min| own_min.unwrap_or(LEAST) < *min);
    let long = max.filter(|max| own_max.unwrap_or(MOST) > *max);
    let short = short.map(|required| Lack::Minimum { own: own_min, required });
    short.or(long.map(|required| Lack::Maximum { own: own_max, required }))
}
