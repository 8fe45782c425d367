//! What AWS Config knows.

use super::World;
use app::ports::{
    BackupPlans, ComplianceSource, EvaluationResult, ResourceDirectory, ResourceId, Result, Selection, Sight, Via,
};
use domain::ids::{AccountId, RegionName};
use domain::notice::BlindReason;
use domain::violation::{Compliance, ResourceFacts};
use std::collections::{BTreeMap, BTreeSet};

impl ResourceDirectory for World {
    async fn look_up(&self, resources: &[ResourceId]) -> Result<BTreeMap<ResourceId, ResourceFacts>> {
        self.remote("config:SelectAggregateResourceConfig", |state| {
            let known =
                resources.iter().filter_map(|id| state.resources.get(id).map(|facts| (id.clone(), facts.clone())));
            Ok(known.collect())
        })
        .await
    }
}

impl BackupPlans for World {
    async fn selections(&self, account: &AccountId, region: &RegionName) -> Result<Vec<Selection>> {
        self.remote("config:SelectAggregateResourceConfig", |state| {
            Ok(state.selections.get(&(account.clone(), region.clone())).cloned().unwrap_or_default())
        })
        .await
    }
}

impl ComplianceSource for World {
    fn ways(&self) -> Vec<Via> {
        self.state().ways.clone()
    }

    async fn look(
        &self,
        via: Via,
        account: &AccountId,
        regions: &BTreeSet<RegionName>,
    ) -> Result<BTreeMap<RegionName, Sight>> {
        self.remote("config:DescribeAggregateComplianceByConfigRules", |state| {
            let shown = regions
                .iter()
                .filter(|region| !state.hidden.contains(&(via, account.clone(), (*region).clone())))
                .filter_map(|region| {
                    let rules = state.compliance.get(&(account.clone(), region.clone()))?;
                    let broken =
                        rules.values().flatten().filter(|result| result.compliance == Compliance::NonCompliant);
                    let rules = rules.keys().cloned().collect();
                    let sight = Sight { rules, broken: broken.cloned().collect(), blind: None };
                    Some((region.clone(), sight))
                });
            Ok(shown.collect())
        })
        .await
    }

    async fn diagnose(
        &self,
        places: &BTreeSet<(AccountId, RegionName)>,
    ) -> Result<BTreeMap<(AccountId, RegionName), BlindReason>> {
        self.remote("config:DescribeConfigurationAggregatorSourcesStatus", |state| {
            let reasons = state.blind_reasons.iter().filter(|(place, _)| places.contains(place));
            Ok(reasons.map(|(place, reason)| (place.clone(), reason.clone())).collect())
        })
        .await
    }

    async fn satisfied(
        &self,
        _via: Via,
        account: &AccountId,
        region: &RegionName,
        rule_name: &str,
    ) -> Result<Vec<EvaluationResult>> {
        self.remote("config:GetAggregateComplianceDetailsByConfigRule", |state| {
            let rules = state.compliance.get(&(account.clone(), region.clone()));
            let results = rules.and_then(|rules| rules.get(rule_name)).cloned().unwrap_or_default();
            Ok(results.into_iter().filter(|result| result.compliance == Compliance::Compliant).collect())
        })
        .await
    }
}
