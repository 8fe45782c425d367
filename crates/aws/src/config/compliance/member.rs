//! Compliance results from AWS Config in the member account.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt;
use futures_util::stream::iter;
use tracing::info;

use app::ports::{PortErrorKind, Result};
use app::sweep::ports::{EvaluationResult, RegionCompliance};
use domain::notice::{BlindSpotCause, BlindSpotReason};
use domain::violation::ComplianceType;
use framework::ids::{AccountId, RegionName};

use super::super::Pages;
use super::result::{ApiResult, api_type, is_missing_rule};
use super::{BACKUP_RULES, PARALLEL_RULES, RESULTS};
use crate::error::wrap;
use crate::members::MemberAccounts;

/// End of the service principal that creates Audit Manager's rules.
const BACKUP: &str = "backup.amazonaws.com";

/// Reads the rules and NON_COMPLIANT results of an account. A Region that denies the call is a blind spot; if the role cannot be
/// assumed, all Regions are.
pub(super) async fn read(
    members: &MemberAccounts,
    account: &AccountId,
    regions: &BTreeSet<RegionName>,
) -> Result<BTreeMap<RegionName, RegionCompliance>> {
    let mut sights = BTreeMap::new();
    for region in regions {
        let sight = match members.config(account, region).await {
            Ok(client) => read_region(&client).await,
            Err(error) if error.kind == PortErrorKind::Denied => {
                info!(%account, %error, "member role cannot be assumed");
                return Ok(regions.iter().map(|region| (region.clone(), blind(error.blind_spot_reason()))).collect());
            }
            Err(error) => return Err(error),
        };
        let sight = match sight {
            Err(error) if error.kind == PortErrorKind::Denied => {
                info!(%account, %region, %error, "AWS Config denied access");
                blind(error.blind_spot_reason())
            }
            other => other?,
        };
        sights.insert(region.clone(), sight);
    }
    Ok(sights)
}

fn blind(reason: BlindSpotReason) -> RegionCompliance {
    RegionCompliance { blind: Some(reason), ..RegionCompliance::default() }
}

async fn read_region(client: &aws_sdk_config::Client) -> Result<RegionCompliance> {
    const OPERATION: &str = "config:DescribeConfigRules";
    let mut rules: BTreeMap<String, String> = BTreeMap::new();
    let mut pages = Pages::of(OPERATION);
    while pages.more() {
        let response = client
            .describe_config_rules()
            .set_next_token(pages.token())
            .send()
            .await
            .map_err(|error| wrap(OPERATION, &error))?;
        for rule in response.config_rules() {
            let arn = rule.config_rule_arn().unwrap_or_default();
            let is_backup = arn.contains(BACKUP_RULES) || rule.created_by().is_some_and(|by| by.ends_with(BACKUP));
            if let (true, Some(name)) = (is_backup, rule.config_rule_name()) {
                rules.insert(name.to_owned(), arn.to_owned());
            }
        }
        pages.turn(response.next_token())?;
    }
    if rules.is_empty() {
        let cause = if is_recording(client).await { BlindSpotCause::NoRule } else { BlindSpotCause::NotRecording };
        return Ok(blind(BlindSpotReason { cause, detail: None }));
    }
    let mut broken = Vec::new();
    let queries = rules
        .clone()
        .into_iter()
        .map(|(rule, arn)| async move { self::results(client, &rule, &arn, ComplianceType::NonCompliant).await });
    let mut pending = iter(queries).buffered(PARALLEL_RULES);
    while let Some(results) = pending.next().await {
        broken.extend(results?);
    }
    Ok(RegionCompliance { rules: rules.into_keys().collect(), non_compliant: broken, blind: None })
}

/// Whether a customer managed recorder is on. It is assumed to be on when the call fails.
async fn is_recording(client: &aws_sdk_config::Client) -> bool {
    match client.describe_configuration_recorder_status().send().await {
        Ok(response) => {
            let mut recorders = response.configuration_recorders_status().iter();
            recorders.any(|recorder| recorder.service_principal().is_none() && recorder.recording())
        }
        Err(error) => {
            let error = wrap("config:DescribeConfigurationRecorderStatus", &error);
            info!(%error, "status of the configuration recorder is unknown");
            true
        }
    }
}

/// Reads the results of one rule.
pub(super) async fn results(
    client: &aws_sdk_config::Client,
    rule: &str,
    arn: &str,
    compliance: ComplianceType,
) -> Result<Vec<EvaluationResult>> {
    const OPERATION: &str = "config:GetComplianceDetailsByConfigRule";
    let mut results = Vec::new();
    let mut pages = Pages::of(OPERATION);
    while pages.more() {
        let response = client
            .get_compliance_details_by_config_rule()
            .config_rule_name(rule)
            .compliance_types(api_type(compliance))
            .limit(RESULTS)
            .set_next_token(pages.token())
            .send()
            .await
            .map_err(|error| wrap(OPERATION, &error));
        let response = match response {
            Err(error) if is_missing_rule(&error) => break,
            other => other?,
        };
        for result in response.evaluation_results() {
            let result = ApiResult {
                identifier: result.evaluation_result_identifier(),
                compliance: result.compliance_type(),
                recorded: result.result_recorded_time(),
                invoked: result.config_rule_invoked_time(),
                annotation: result.annotation(),
            };
            results.extend(result.read(OPERATION, rule, arn, compliance)?);
        }
        pages.turn(response.next_token())?;
    }
    Ok(results)
}
