//! Compliance results through the aggregator's compliance calls.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_config::types::{ComplianceType as ApiComplianceType, ConfigRuleComplianceFilters};
use futures_util::StreamExt;
use futures_util::stream::iter;

use app::ports::Result;
use app::sweep::ports::{EvaluationResult, RegionCompliance};
use domain::violation::ComplianceType;
use framework::ids::{AccountId, RegionName};

use super::super::query::text;
use super::super::{ConfigAggregator, Pages};
use super::result::{ApiResult, api_type, is_missing_rule};
use super::{PARALLEL_RULES, RESULTS, backup_rules};
use crate::error::wrap;

/// Rules in one page: the limit of the aggregator.
const RULES: i32 = 1000;

impl ConfigAggregator {
    /// Reads the rules and NON_COMPLIANT results of an account. Regions without rules of AWS Backup have no entry.
    pub(super) async fn compliance(
        &self,
        name: &str,
        account: &AccountId,
        regions: &BTreeSet<RegionName>,
    ) -> Result<BTreeMap<RegionName, RegionCompliance>> {
        const OPERATION: &str = "config:DescribeAggregateComplianceByConfigRules";
        let region = regions.first().filter(|_| regions.len() == 1).map(ToString::to_string);
        let filters =
            ConfigRuleComplianceFilters::builder().account_id(account.as_str()).set_aws_region(region).build();
        // By Region and rule name: whether the rule is NON_COMPLIANT.
        let mut rules: BTreeMap<RegionName, BTreeMap<String, bool>> = BTreeMap::new();
        let mut pages = Pages::of(OPERATION);
        while pages.more() {
            let response = self
                .client
                .describe_aggregate_compliance_by_config_rules()
                .configuration_aggregator_name(name)
                .filters(filters.clone())
                .limit(RULES)
                .set_next_token(pages.token())
                .send()
                .await
                .map_err(|error| wrap(OPERATION, &error))?;
            for rule in response.aggregate_compliance_by_config_rules() {
                let region = rule.aws_region().and_then(|region| RegionName::parse(region).ok());
                let (Some(region), Some(rule_name)) = (region, rule.config_rule_name()) else { continue };
                if !regions.contains(&region) || rule.account_id().is_some_and(|of| of != account.as_str()) {
                    continue;
                }
                let compliance = rule.compliance().and_then(|compliance| compliance.compliance_type());
                let is_compliant = matches!(compliance, Some(kind) if *kind != ApiComplianceType::NonCompliant);
                rules.entry(region).or_default().insert(rule_name.to_owned(), !is_compliant);
            }
            pages.turn(response.next_token())?;
        }
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
        let mut results = iter(queries.into_iter().map(|(region, rule)| async move {
            let results = self.results(name, account, &region, &rule, ComplianceType::NonCompliant).await;
            results.map(|results| (region, results))
        }))
        .buffered(PARALLEL_RULES);
        while let Some(result) = results.next().await {
            let (region, results) = result?;
            if let Some(sight) = sights.get_mut(&region) {
                sight.non_compliant.extend(results);
            }
        }
        Ok(sights)
    }

    /// Reads the results of one rule.
    pub(super) async fn results(
        &self,
        name: &str,
        account: &AccountId,
        region: &RegionName,
        rule: &str,
        compliance: ComplianceType,
    ) -> Result<Vec<EvaluationResult>> {
        const OPERATION: &str = "config:GetAggregateComplianceDetailsByConfigRule";
        let mut results = Vec::new();
        let mut pages = Pages::of(OPERATION);
        while pages.more() {
            let response = self
                .client
                .get_aggregate_compliance_details_by_config_rule()
                .configuration_aggregator_name(name)
                .config_rule_name(rule)
                .account_id(account.as_str())
                .aws_region(region.as_str())
                .compliance_type(api_type(compliance))
                .limit(RESULTS)
                .set_next_token(pages.token())
                .send()
                .await
                .map_err(|error| wrap(OPERATION, &error));
            let response = match response {
                // The rule was deleted after it was listed.
                Err(error) if is_missing_rule(&error) => break,
                other => other?,
            };
            for result in response.aggregate_evaluation_results() {
                let result = ApiResult {
                    identifier: result.evaluation_result_identifier(),
                    compliance: result.compliance_type(),
                    recorded: result.result_recorded_time(),
                    invoked: result.config_rule_invoked_time(),
                    annotation: result.annotation(),
                };
                results.extend(result.read(OPERATION, rule, "", compliance)?);
            }
            pages.turn(response.next_token())?;
        }
        Ok(results)
    }

    /// Returns the accounts and Regions, of these accounts, with recorded resources.
    pub(super) async fn recording(
        &self,
        name: &str,
        accounts: BTreeSet<&AccountId>,
    ) -> Result<BTreeSet<(AccountId, RegionName)>> {
        /// Accounts in one expression, whose limit is 4,096 characters.
        const ACCOUNTS: usize = 200;
        let accounts: Vec<String> = accounts.into_iter().map(|account| format!("'{account}'")).collect();
        let mut recording = BTreeSet::new();
        for accounts in accounts.chunks(ACCOUNTS) {
            let listed = accounts.join(", ");
            let expression = format!(
                "SELECT accountId, awsRegion, COUNT(*) WHERE accountId IN ({listed}) GROUP BY accountId, awsRegion"
            );
            let rows = self.select(name, &expression).await?;
            recording.extend(rows.iter().filter_map(|row| {
                let account = text(row, "accountId").and_then(|account| AccountId::parse(account).ok())?;
                Some((account, text(row, "awsRegion").and_then(|region| RegionName::parse(region).ok())?))
            }));
        }
        Ok(recording)
    }
}
