//! Compliance results through the aggregator's compliance calls.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_config::types::{
    ComplianceType as ApiComplianceType, ConfigRuleComplianceFilters, EvaluationResult as ApiResult,
};
use futures_util::StreamExt as _;
use futures_util::stream::{TryStreamExt as _, iter};

use app::ports::Result;
use app::sweep::ports::{EvaluationResult, RegionCompliance};
use domain::violation::ComplianceType;
use framework::ids::{AccountId, Location, RegionName};

use super::super::ConfigAggregator;
use super::super::query::location;
use super::result::{api_type, read, unless_missing};
use super::{PARALLEL_RULES, RESULTS, backup_rules};
use crate::pages::sdk_pages;

/// Rules in one page: the limit of the aggregator.
const RULES: i32 = 1000;

impl ConfigAggregator {
    /// Reads the rules and NON_COMPLIANT results of an account. Regions without rules of AWS Backup have no entry.
    pub(super) async fn compliance(
        &self,
        account: &AccountId,
        regions: &BTreeSet<RegionName>,
    ) -> Result<BTreeMap<RegionName, RegionCompliance>> {
        const OPERATION: &str = "config:DescribeAggregateComplianceByConfigRules";
        let region = regions.first().filter(|_| regions.len() == 1).map(ToString::to_string);
        let filters = ConfigRuleComplianceFilters::builder().account_id(account.as_str()).set_aws_region(region);
        let request = self.client.describe_aggregate_compliance_by_config_rules().limit(RULES);
        let request = request.configuration_aggregator_name(self.name(OPERATION)?).filters(filters.build());
        // By Region and rule name: whether the rule is NON_COMPLIANT.
        let mut rules: BTreeMap<RegionName, BTreeMap<String, bool>> = BTreeMap::new();
        let ask = |token| request.clone().set_next_token(token).send();
        sdk_pages(OPERATION, ask, |page| {
            for rule in page.aggregate_compliance_by_config_rules() {
                let region = rule.aws_region().and_then(|region| RegionName::parse(region).ok());
                let (Some(region), Some(rule_name)) = (region, rule.config_rule_name()) else { continue };
                if !regions.contains(&region) || rule.account_id().is_some_and(|of| of != account.as_str()) {
                    continue;
                }
                let compliance = rule.compliance().and_then(|compliance| compliance.compliance_type());
                let is_compliant = compliance.is_some_and(|kind| *kind != ApiComplianceType::NonCompliant);
                rules.entry(region).or_default().insert(rule_name.to_owned(), !is_compliant);
            }
            Ok(page.next_token)
        })
        .await?;
        let mut sights = BTreeMap::new();
        let mut queries = Vec::new();
        for (region, rules) in rules {
            let selected = backup_rules(rules.keys().map(String::as_str));
            let non_compliant = selected.iter().filter(|rule| rules.get(*rule).is_some_and(|found| *found));
            queries.extend(non_compliant.map(|rule| (region.clone(), rule.clone())));
            // Rules of other services do not show that Audit Manager's rules are visible.
            if !selected.is_empty() {
                sights.insert(region, RegionCompliance { rules: selected, ..RegionCompliance::default() });
            }
        }
        let results = iter(queries).map(|(region, rule)| async move {
            let results = self.results(account, &region, &rule, ComplianceType::NonCompliant).await;
            results.map(|results| (region, results))
        });
        let mut results = results.buffered(PARALLEL_RULES);
        while let Some((region, results)) = results.try_next().await? {
            if let Some(sight) = sights.get_mut(&region) {
                sight.non_compliant.extend(results);
            }
        }
        Ok(sights)
    }

    pub(super) async fn results(
        &self,
        account: &AccountId,
        region: &RegionName,
        rule: &str,
        compliance: ComplianceType,
    ) -> Result<Vec<EvaluationResult>> {
        const OPERATION: &str = "config:GetAggregateComplianceDetailsByConfigRule";
        let request = self.client.get_aggregate_compliance_details_by_config_rule().config_rule_name(rule);
        let request = request.configuration_aggregator_name(self.name(OPERATION)?).account_id(account.as_str());
        let request = request.aws_region(region.as_str()).compliance_type(api_type(compliance)).limit(RESULTS);
        let mut results = Vec::new();
        let ask = |token| request.clone().set_next_token(token).send();
        let outcome = sdk_pages(OPERATION, ask, |page| {
            for result in page.aggregate_evaluation_results.unwrap_or_default() {
                let result = ApiResult::builder()
                    .set_evaluation_result_identifier(result.evaluation_result_identifier)
                    .set_compliance_type(result.compliance_type)
                    .set_result_recorded_time(result.result_recorded_time)
                    .set_config_rule_invoked_time(result.config_rule_invoked_time)
                    .set_annotation(result.annotation);
                results.extend(read(&result.build(), OPERATION, rule, "", compliance)?);
            }
            Ok(page.next_token)
        });
        unless_missing(outcome.await)?;
        Ok(results)
    }

    /// Returns the accounts and Regions, of these accounts, with recorded resources.
    pub(super) async fn recording(&self, accounts: BTreeSet<&AccountId>) -> Result<BTreeSet<Location>> {
        /// Accounts in one expression, whose limit is 4,096 characters.
        const ACCOUNTS: usize = 200;
        let accounts: Vec<String> = accounts.into_iter().map(|account| format!("'{account}'")).collect();
        let mut recording = BTreeSet::new();
        for accounts in accounts.chunks(ACCOUNTS) {
            let listed = accounts.join(", ");
            let expression = format!(
                "SELECT accountId, awsRegion, COUNT(*) WHERE accountId IN ({listed}) GROUP BY accountId, awsRegion"
            );
            let rows = self.select(&expression).await?;
            let locations = rows.iter().filter_map(location);
            recording.extend(locations.map(|(account, region)| Location { account, region }));
        }
        Ok(recording)
    }
}
