//! Where a template is deployed, as far as that makes a difference to its frameworks.

use std::collections::{BTreeMap, BTreeSet};

use super::Template;
use crate::ids::{AccountId, RegionName};

/// Accounts and Regions between which a template makes no difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alike {
    /// The accounts; none stands for any.
    pub accounts: BTreeSet<AccountId>,
    /// The Regions; none stands for any.
    pub regions: BTreeSet<RegionName>,
    /// The values that the pseudo parameters have there; empty if the template does not look at them, or if it is not known where.
    pub pseudo: BTreeMap<String, String>,
}

const ACCOUNT: &str = "AWS::AccountId";
const REGION: &str = "AWS::Region";
const PARTITION: &str = "AWS::Partition";
const SUFFIX: &str = "AWS::URLSuffix";

/// The domain of the services of a partition.
fn suffix(partition: &str) -> &'static str {
    match partition {
        "aws-cn" => "amazonaws.com.cn",
        "aws-eusc" => "amazonaws.eu",
        _ => "amazonaws.com",
    }
}

impl Template {
    /// Puts accounts and Regions together between which the template makes no difference, as far as its frameworks go. None at all
    /// stands for any: what depends on it then stays unknown.
    ///
    /// Accounts that the template does not name are taken to be alike where it only compares them. `is_exact` sets those apart whose
    /// id is part of a value.
    #[must_use]
    pub fn alike(&self, accounts: &BTreeSet<AccountId>, regions: &BTreeSet<RegionName>, is_exact: bool) -> Vec<Alike> {
        let mut by_account: Vec<BTreeSet<AccountId>> = Vec::new();
        let depends = self.depends_on(ACCOUNT);
        if !depends || accounts.is_empty() {
            by_account.push(accounts.clone());
        } else {
            let is_apart = |account: &&AccountId| {
                (is_exact && self.is_in_framework(ACCOUNT)) || self.text.contains(account.as_str())
            };
            let (apart, others): (Vec<&AccountId>, Vec<&AccountId>) = accounts.iter().partition(is_apart);
            by_account.extend(apart.into_iter().map(|account| BTreeSet::from([account.clone()])));
            by_account.push(others.into_iter().cloned().collect());
            by_account.retain(|accounts| !accounts.is_empty());
        }
        let by_region: Vec<BTreeSet<RegionName>> =
            match [REGION, PARTITION, SUFFIX].iter().any(|name| self.depends_on(name)) {
                true if !regions.is_empty() => regions.iter().map(|region| BTreeSet::from([region.clone()])).collect(),
                _ => vec![regions.clone()],
            };
        let mut all = Vec::new();
        for accounts in &by_account {
            for regions in &by_region {
                let mut pseudo = BTreeMap::new();
                if depends && let Some(account) = accounts.first() {
                    pseudo.insert(ACCOUNT.to_owned(), account.to_string());
                }
                // One alone may be there because only it was asked for: then it is known all the same.
                if let (Some(region), 1) = (regions.first(), regions.len()) {
                    let partition = region.partition();
                    pseudo.insert(REGION.to_owned(), region.to_string());
                    pseudo.insert(PARTITION.to_owned(), partition.to_owned());
                    pseudo.insert(SUFFIX.to_owned(), suffix(partition).to_owned());
                }
                all.push(Alike { accounts: accounts.clone(), regions: regions.clone(), pseudo });
            }
        }
        all
    }
}
