//! Groups accounts and Regions for which a template has the same frameworks.

use std::collections::{BTreeMap, BTreeSet};

use syntax::template::Template;

use crate::ids::{AccountId, RegionName};

/// Accounts and Regions for which a template has the same frameworks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EquivalentLocations {
    /// The accounts; empty means any.
    pub accounts: BTreeSet<AccountId>,
    /// The Regions; empty means any.
    pub regions: BTreeSet<RegionName>,
    /// The values of the pseudo parameters there; empty if the template does not use them or the location is unknown.
    pub pseudo: BTreeMap<String, String>,
}

const ACCOUNT: &str = "AWS::AccountId";
const REGION: &str = "AWS::Region";
const PARTITION: &str = "AWS::Partition";
const SUFFIX: &str = "AWS::URLSuffix";

/// Returns the DNS suffix of a partition.
fn suffix(partition: &str) -> &'static str {
    match partition {
        "aws-cn" => "amazonaws.com.cn",
        "aws-eusc" => "amazonaws.eu",
        _ => "amazonaws.com",
    }
}

impl EquivalentLocations {
    /// Groups the accounts and Regions. An empty set means any, and values that depend on it stay unknown.
    ///
    /// Accounts that the template does not name are equivalent if it only compares account ids. With `is_exact`, accounts are separate
    /// if their id is part of a value.
    pub fn of(
        template: &Template,
        accounts: &BTreeSet<AccountId>,
        regions: &BTreeSet<RegionName>,
        is_exact: bool,
    ) -> Vec<Self> {
        let depends = template.depends_on(ACCOUNT);
        let by_account: Vec<BTreeSet<AccountId>> = if depends && !accounts.is_empty() {
            let is_apart = |account: &AccountId| {
                (is_exact && template.is_in_framework(ACCOUNT)) || template.text().contains(account.as_str())
            };
            let (apart, others): (BTreeSet<_>, BTreeSet<_>) = accounts.iter().cloned().partition(is_apart);
            let apart = apart.into_iter().map(|account| BTreeSet::from([account]));
            apart.chain(Some(others).filter(|others| !others.is_empty())).collect()
        } else {
            vec![accounts.clone()]
        };
        let depends_on_region = [REGION, PARTITION, SUFFIX].iter().any(|name| template.depends_on(name));
        let by_region: Vec<BTreeSet<RegionName>> = match depends_on_region && !regions.is_empty() {
            true => regions.iter().map(|region| BTreeSet::from([region.clone()])).collect(),
            false => vec![regions.clone()],
        };
        let mut all = Vec::new();
        for accounts in &by_account {
            for regions in &by_region {
                let mut pseudo = BTreeMap::new();
                if depends && let Some(account) = accounts.first() {
                    pseudo.insert(ACCOUNT.to_owned(), account.to_string());
                }
                // A single Region is known even if the template does not depend on it.
                if let (Some(region), 1) = (regions.first(), regions.len()) {
                    let partition = region.partition();
                    pseudo.insert(REGION.to_owned(), region.to_string());
                    pseudo.insert(PARTITION.to_owned(), partition.to_owned());
                    pseudo.insert(SUFFIX.to_owned(), suffix(partition).to_owned());
                }
                all.push(Self { accounts: accounts.clone(), regions: regions.clone(), pseudo });
            }
        }
        all
    }
}
