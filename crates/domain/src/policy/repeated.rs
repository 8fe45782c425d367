//! Finds accounts and Regions that a policy lists twice, which has no effect.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use framework::ids::{AccountId, RegionName};
use syntax::diagnostic::Position;

use super::{Policy, PolicyTarget};

impl Policy {
    /// Returns position, message and help for each target and exemption that repeats an account or a Region.
    pub fn repetitions(&self) -> Vec<(Position, String, &'static str)> {
        const HELP: &str = "list it once; often another one was intended";
        let mut found = Vec::new();
        for framework in &self.frameworks {
            let mut first: BTreeMap<(&AccountId, &RegionName), &PolicyTarget> = BTreeMap::new();
            for target in &framework.targets {
                let repeated =
                    repeated("account", target.accounts()).or_else(|| repeated("the Region", &target.regions));
                if let Some(message) = repeated {
                    found.push((target.at, message, HELP));
                }
                let accounts = target.accounts().iter();
                let mut pairs = accounts.flat_map(|account| target.regions.iter().map(move |region| (account, region)));
                // Other parameters are an error, which was reported.
                let other = pairs.find_map(|pair| {
                    let other = *first.entry(pair).or_insert(target);
                    (other.at != target.at).then_some((pair, other.at))
                });
                first.extend(pairs.map(|pair| (pair, target)));
                if let Some(((account, region), at)) = other {
                    found.push((
                        target.at,
                        format!("account {account} in {region} is also in the target at {at}"),
                        HELP,
                    ));
                }
            }
        }
        for (at, exemption) in self.exemption_positions.iter().zip(&self.reporting.exemptions) {
            if let Some(message) = repeated("account", &exemption.accounts) {
                found.push((*at, message, HELP));
            }
        }
        found
    }
}

fn repeated<T: Ord + Display>(what: &str, items: &[T]) -> Option<String> {
    let mut known = BTreeSet::new();
    let again = items.iter().find(|item| !known.insert(*item))?;
    Some(format!("{what} `{again}` is listed twice"))
}
