//! Compliance results through advanced queries over `AWS::Config::ResourceCompliance`, where that type is recorded.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use app::ports::Result;
use app::sweep::ports::{EvaluationResult, RegionCompliance};
use domain::violation::ComplianceType;
use framework::ids::{AccountId, RegionName};

use super::super::query::{configuration, list, literal, owned, text};
use super::super::{ConfigAggregator, SELECT};
use super::{BACKUP_RULES, backup_rules};
use crate::error::unexpected;

impl ConfigAggregator {
    pub(super) async fn recorded_compliance(
        &self,
        account: &AccountId,
        regions: &BTreeSet<RegionName>,
    ) -> Result<BTreeMap<RegionName, RegionCompliance>> {
        let listed = regions.iter().map(|region| format!("'{region}'")).collect::<Vec<_>>().join(", ");
        let expression = query(account, &format!("awsRegion IN ({listed})"));
        sights(&self.select(&expression).await?, regions)
    }

    /// Reads the COMPLIANT results of one rule.
    pub(super) async fn recorded_results(
        &self,
        account: &AccountId,
        region: &RegionName,
        rule: &str,
    ) -> Result<Vec<EvaluationResult>> {
        // AWS rejects rule names that cannot be quoted.
        let Some(quoted) = literal(rule) else { return Ok(Vec::new()) };
        let filter = format!("awsRegion = '{region}' AND configuration.configRuleList.configRuleName = {quoted}");
        let rows = self.select(&query(account, &filter)).await?;
        let mut results = Vec::new();
        for row in &rows {
            results.extend(recorded(row)?.into_iter().map(|(_, result)| result));
        }
        results.retain(|result| result.rule_name == rule && result.compliance == ComplianceType::Compliant);
        Ok(results)
    }
}

fn query(account: &AccountId, filter: &str) -> String {
    format!(
        "SELECT awsRegion, configuration, configurationItemCaptureTime WHERE resourceType = 'AWS::Config::ResourceCompliance' \
         AND accountId = '{account}' AND {filter}"
    )
}

fn sights(rows: &[Value], regions: &BTreeSet<RegionName>) -> Result<BTreeMap<RegionName, RegionCompliance>> {
    let mut found: BTreeMap<RegionName, Vec<EvaluationResult>> = BTreeMap::new();
    for row in rows {
        for (region, result) in recorded(row)?.into_iter().filter(|(region, _)| regions.contains(region)) {
            found.entry(region).or_default().push(result);
        }
    }
    let mut sights = BTreeMap::new();
    for (region, mut results) in found {
        let unnamed = results.iter().filter(|result| result.rule_arn.is_empty());
        let selected = backup_rules(unnamed.map(|result| result.rule_name.as_str()));
        results.retain(|result| result.rule_arn.contains(BACKUP_RULES) || selected.contains(&result.rule_name));
        let rules: BTreeSet<String> = results.iter().map(|result| result.rule_name.clone()).collect();
        results.retain(|result| result.compliance == ComplianceType::NonCompliant);
        if !rules.is_empty() {
            sights.insert(region, RegionCompliance { rules, non_compliant: results, blind: None });
        }
    }
    Ok(sights)
}

/// Reads a row: the results of all rules for one resource.
fn recorded(row: &Value) -> Result<Vec<(RegionName, EvaluationResult)>> {
    let missing = |field: &str| unexpected(SELECT, format!("a result has no {field}"));
    let region = text(row, "awsRegion").and_then(|region| RegionName::parse(region).ok());
    let (Some(region), Some(configuration)) = (region, configuration(row)) else { return Ok(Vec::new()) };
    let mut results = Vec::new();
    for rule in list(&configuration, "configRuleList") {
        let compliance = text(rule, "complianceType").and_then(ComplianceType::from_api);
        let (Some(compliance), Some(name)) = (compliance, text(rule, "configRuleName")) else { continue };
        let time = text(row, "configurationItemCaptureTime").and_then(|time| time.parse::<Timestamp>().ok());
        // The time of recording is the only time in a row.
        let time = time.ok_or_else(|| missing("time"))?;
        let result = EvaluationResult {
            rule_name: name.to_owned(),
            rule_arn: owned(rule, "configRuleArn").unwrap_or_default(),
            resource_type: owned(&configuration, "targetResourceType").ok_or_else(|| missing("resource type"))?,
            resource_id: owned(&configuration, "targetResourceId").ok_or_else(|| missing("resource id"))?,
            compliance,
            triggered: time,
            recorded: time,
            annotation: None,
        };
        results.push((region.clone(), result));
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const UUID: &str = "1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d";
    const ARN: &str =
        "arn:aws:config:eu-west-1:222222222222:config-rule/aws-service-rule/backup.amazonaws.com/config-rule-ab12cd";

    fn row(region: &str, rules: &Value) -> Value {
        json!({
            "awsRegion": region, "configurationItemCaptureTime": "2026-11-23T04:12:09.311Z",
            "configuration": {
                "targetResourceType": "AWS::RDS::DBCluster", "targetResourceId": "cluster-1", "complianceType": "NON_COMPLIANT",
                "configRuleList": rules,
            },
        })
    }

    fn regions(names: &[&str]) -> BTreeSet<RegionName> {
        names.iter().map(|name| RegionName::parse(name).unwrap()).collect()
    }

    #[test]
    fn recorded_results_include_only_rules_of_backup() {
        let named = format!("AURORA-RESOURCES_PROTECTED_BY_BACKUP_PLAN-{UUID}");
        let rows = [
            row(
                "eu-west-1",
                &json!([
                    {"configRuleName": "X", "configRuleArn": ARN, "configRuleId": "config-rule-ab12cd", "complianceType": "NON_COMPLIANT"},
                    {"configRuleName": "Y", "configRuleArn": ARN, "complianceType": "COMPLIANT"},
                    {"configRuleName": "own", "configRuleArn": "arn:aws:config:eu-west-1:222222222222:config-rule/config-rule-1", "complianceType": "NON_COMPLIANT"},
                    {"configRuleName": "Z", "configRuleArn": ARN, "complianceType": "INSUFFICIENT_DATA"},
                    {"configRuleArn": ARN, "complianceType": "NON_COMPLIANT"}, 5,
                ]),
            ),
            // A single rule, without an ARN.
            row("us-east-1", &json!({"configRuleName": named, "complianceType": "NON_COMPLIANT"})),
            row("eu-central-1", &json!([{"configRuleName": "own", "complianceType": "NON_COMPLIANT"}])),
            row(
                "ap-south-1",
                &json!([{"configRuleName": "X", "configRuleArn": ARN, "complianceType": "NON_COMPLIANT"}]),
            ),
            json!({}),
            json!(5),
            row("eu-west-1", &json!(null)),
        ];
        let found = sights(&rows, &regions(&["eu-west-1", "us-east-1", "eu-central-1"])).unwrap();
        assert_eq!(found.keys().map(RegionName::as_str).collect::<Vec<_>>(), ["eu-west-1", "us-east-1"]);
        let sight = &found[&RegionName::parse("eu-west-1").unwrap()];
        assert_eq!(sight.rules, BTreeSet::from(["X".to_owned(), "Y".to_owned()]));
        let time: Timestamp = "2026-11-23T04:12:09.311Z".parse().unwrap();
        assert_eq!(
            sight.non_compliant,
            [EvaluationResult {
                rule_name: "X".into(),
                rule_arn: ARN.into(),
                resource_type: "AWS::RDS::DBCluster".into(),
                resource_id: "cluster-1".into(),
                compliance: ComplianceType::NonCompliant,
                triggered: time,
                recorded: time,
                annotation: None,
            }]
        );
        assert_eq!(found[&RegionName::parse("us-east-1").unwrap()].non_compliant.len(), 1);
    }

    #[test]
    fn incomplete_recorded_result_is_an_error() {
        let rules = json!([{"configRuleName": "X", "configRuleArn": ARN, "complianceType": "NON_COMPLIANT"}]);
        for missing in ["configurationItemCaptureTime", "targetResourceType", "targetResourceId"] {
            let mut row = row("eu-west-1", &rules);
            if missing == "configurationItemCaptureTime" {
                row[missing] = json!("yesterday");
            } else {
                row["configuration"][missing] = json!(null);
            }
            let error = sights(&[row], &regions(&["eu-west-1"])).unwrap_err();
            assert!(error.to_string().contains("a result has no"), "{missing}: {error}");
        }
    }
}
