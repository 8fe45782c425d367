//! The data of AWS Config.

use std::collections::{BTreeMap, BTreeSet};

use app::ports::Result;
use app::sweep::ports::{ComplianceApi, ComplianceSource, EvaluationResult, RegionCompliance};
use app::violations::{BackupPlans, ResourceDirectory, ResourceId};
use domain::notice::BlindSpotReason;
use domain::violation::{ComplianceType, ResourceDetails};
use evaluation::inventory::document::Plan;
use framework::ids::{AccountId, Location, RegionName};

use super::World;

impl ResourceDirectory for World {
    async fn look_up(&self, resources: &[ResourceId]) -> Result<BTreeMap<ResourceId, ResourceDetails>> {
        self.remote("config:SelectAggregateResourceConfig", |state| {
            let known =
                resources.iter().filter_map(|id| state.resources.get(id).map(|facts| (id.clone(), facts.clone())));
            Ok(known.collect())
        })
        .await
    }
}

impl BackupPlans for World {
    async fn plans(&self, account: &AccountId, region: &RegionName) -> Result<Vec<Plan>> {
        self.remote("config:SelectAggregateResourceConfig", |state| {
            Ok(state.plans.get(&(account.clone(), region.clone())).cloned().unwrap_or_default())
        })
        .await
    }
}

impl ComplianceSource for World {
    fn apis(&self) -> Vec<ComplianceApi> {
        self.state().sources.clone()
    }

    async fn read_results(
        &self,
        via: ComplianceApi,
        account: &AccountId,
        regions: &BTreeSet<RegionName>,
    ) -> Result<BTreeMap<RegionName, RegionCompliance>> {
        self.remote("config:DescribeAggregateComplianceByConfigRules", |state| {
            let shown = regions
                .iter()
                .filter(|region| !state.hidden.contains(&(via, account.clone(), (*region).clone())))
                .filter_map(|region| {
                    let rules = state.compliance.get(&(account.clone(), region.clone()))?;
                    let broken =
                        rules.values().flatten().filter(|result| result.compliance == ComplianceType::NonCompliant);
                    let rules = rules.keys().cloned().collect();
                    let sight = RegionCompliance { rules, non_compliant: broken.cloned().collect(), blind: None };
                    Some((region.clone(), sight))
                });
            Ok(shown.collect())
        })
        .await
    }

    async fn diagnose(&self, locations: &BTreeSet<Location>) -> Result<BTreeMap<Location, BlindSpotReason>> {
        self.remote("config:DescribeConfigurationAggregatorSourcesStatus", |state| {
            let reasons = state.blind_reasons.clone().into_iter();
            let reasons = reasons.map(|((account, region), reason)| (Location { account, region }, reason));
            Ok(reasons.filter(|(location, _)| locations.contains(location)).collect())
        })
        .await
    }

    async fn compliant_results(
        &self,
        _via: ComplianceApi,
        account: &AccountId,
        region: &RegionName,
        rule_name: &str,
    ) -> Result<Vec<EvaluationResult>> {
        self.remote("config:GetAggregateComplianceDetailsByConfigRule", |state| {
            let rules = state.compliance.get(&(account.clone(), region.clone()));
            let results = rules.and_then(|rules| rules.get(rule_name)).cloned().unwrap_or_default();
            Ok(results.into_iter().filter(|result| result.compliance == ComplianceType::Compliant).collect())
        })
        .await
    }
}
