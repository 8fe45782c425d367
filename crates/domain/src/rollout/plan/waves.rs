//! The waves of an operation (CloudFormation user guide, "StackSet operation options").

use std::collections::BTreeMap;

use serde::Serialize;

use framework::ids::RegionName;

use crate::policy::{ConcurrencyMode, CountOrPercentage, RegionConcurrency, RolloutSettings};

/// The waves if all accounts take the same time and none fails. AWS starts the next account as soon as one ends.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Waves {
    /// Consecutive waves: of all Regions if they are sequential, of the slowest Region if they are parallel.
    pub total: usize,
    /// The waves by Region.
    pub regions: Vec<RegionWaves>,
}

/// The waves in a Region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RegionWaves {
    /// The Region.
    pub region: RegionName,
    /// The number of accounts.
    pub accounts: usize,
    /// Accounts that are worked on at the same time.
    pub concurrency: usize,
    /// Accounts that may fail before the operation stops there.
    pub tolerance: usize,
    /// The number of waves.
    pub waves: usize,
}

impl Waves {
    /// Computes the waves of an operation from the number of accounts in each Region.
    pub fn new(accounts: &BTreeMap<&RegionName, usize>, settings: &RolloutSettings) -> Self {
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

fn one(region: &RegionName, accounts: usize, settings: &RolloutSettings) -> RegionWaves {
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
fn share(amount: CountOrPercentage, of: usize) -> usize {
    match amount {
        CountOrPercentage::Count(count) => usize::try_from(count).unwrap_or(usize::MAX),
        CountOrPercentage::Percentage(percent) => of.saturating_mul(usize::from(percent)) / 100,
    }
}
