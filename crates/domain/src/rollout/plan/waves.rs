//! In how many waves an operation comes to its instances (CloudFormation user guide, "StackSet operation options").

use crate::ids::RegionName;
use crate::policy::{Amount, ConcurrencyMode, RegionConcurrency, Rollout};
use serde::Serialize;
use std::collections::BTreeMap;

/// The waves of an operation. AWS starts the next account as soon as one is done; waves are what that comes to if all take equally
/// long and none fails.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Waves {
    /// One after the other: those of all Regions where they are sequential, those of the slowest where they are parallel.
    pub total: usize,
    /// Region by Region.
    pub regions: Vec<RegionWaves>,
}

/// The waves in a Region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RegionWaves {
    /// The Region.
    pub region: RegionName,
    /// Accounts to be worked on.
    pub accounts: usize,
    /// Accounts that are worked on at the same time.
    pub concurrency: usize,
    /// Accounts that may fail before the operation stops there.
    pub tolerance: usize,
    /// The waves.
    pub waves: usize,
}

impl Waves {
    /// Of an operation on so many accounts in each Region.
    #[must_use]
    pub fn of(accounts: &BTreeMap<&RegionName, usize>, settings: &Rollout) -> Self {
        let busy = accounts.iter().filter(|(_, accounts)| **accounts > 0);
        let regions: Vec<RegionWaves> = busy.map(|(region, accounts)| one(region, *accounts, settings)).collect();
        let waves = regions.iter().map(|region| region.waves);
        let total = match settings.regions {
            RegionConcurrency::Parallel => waves.max().unwrap_or_default(),
            RegionConcurrency::Sequential => waves.fold(0, usize::saturating_add),
        };
        Self { total, regions }
    }
}

fn one(region: &RegionName, accounts: usize, settings: &Rollout) -> RegionWaves {
    let tolerance = share(settings.failure_tolerance, accounts).min(accounts);
    let most = share(settings.max_concurrency, accounts).max(1);
    let concurrency = match settings.mode {
        ConcurrencyMode::Soft => most,
        ConcurrencyMode::Strict => most.min(tolerance.saturating_add(1)),
    };
    let concurrency = concurrency.min(accounts).max(1);
    RegionWaves { region: region.clone(), accounts, concurrency, tolerance, waves: accounts.div_ceil(concurrency) }
}

/// Percentages are rounded down.
fn share(amount: Amount, of: usize) -> usize {
    match amount {
        Amount::Count(count) => usize::try_from(count).unwrap_or(usize::MAX),
        Amount::Percentage(percent) => of.saturating_mul(usize::from(percent)) / 100,
    }
}
