//! Finds accounts and Regions that a policy lists twice, which has no effect.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use framework::ids::AccountId;
use syntax::diagnostic::Position;

use super::{Policy, PolicyTarget};

impl Policy {
    /// Returns position, message and help for each target and exemption that repeats an account or a Region.
    pub fn repetitions(&self) -> Vec<(Position, String, &'static str)> {
        const HELP: &str = "list it once; often another one was intended";
        let mut found = Vec::new();
        for framework in &self.frameworks {
            let mut by_account: BTreeMap<&AccountId, Vec<&PolicyTarget>> = BTreeMap::new();
            for target in &framework.targets {
                let repeated =
                    repeated("account", target.accounts()).or_else(|| repeated("the Region", &target.regions));
                if let Some(message) = repeated {
                    found.push((target.at, message, HELP));
                }
                // Other parameters are an error, which was reported.
                let other = target.accounts().iter().find_map(|account| {
                    let shared = |other: &&PolicyTarget| {
                        let region = target.regions.iter().find(|region| other.regions.contains(region))?;
                        Some((account, region, other.at))
                    };
                    by_account.get(account)?.iter().find_map(shared)
                });
                for account in target.accounts().iter().collect::<BTreeSet<_>>() {
                    by_account.entry(account).or_default().push(target);
                }
                if let Some((account, region, at)) = other {
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
