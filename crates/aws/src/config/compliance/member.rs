//! Compliance results from AWS Config in the member account.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{StreamExt as _, TryStreamExt as _, iter};
use tracing::info;

use app::ports::{PortErrorKind, Result};
use app::sweep::ports::{EvaluationResult, RegionCompliance};
use domain::notice::{BlindSpotCause, BlindSpotReason};
use domain::violation::ComplianceType;
use framework::ids::{AccountId, RegionName};

use super::result::{api_type, read as read_result, unless_missing};
use super::{BACKUP_RULES, PARALLEL_RULES, RESULTS};
use crate::error::wrap;
use crate::members::MemberAccounts;
use crate::pages::sdk_pages;

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
        let client = match members.config(account, region).await {
            Err(error) if error.kind == PortErrorKind::Denied => {
                info!(%account, %error, "member role cannot be assumed");
                return Ok(regions.iter().map(|region| (region.clone(), blind(error.blind_spot_reason()))).collect());
            }
            client => client?,
        };
        let sight = match read_region(&client).await {
            Err(error) if error.kind == PortErrorKind::Denied => {
                info!(%account, %region, %error, "AWS Config denied access");
                blind(error.blind_spot_reason())
            }
            sight => sight?,
        };
        sights.insert(region.clone(), sight);
    }
    Ok(sights)
}

fn blind(reason: BlindSpotReason) -> RegionCompliance {
    RegionCompliance { blind: Some(reason), ..RegionCompliance::default() }
}

async fn read_region(client: &aws_sdk_config::Client) -> Result<RegionCompliance> {
    let mut rules: BTreeMap<String, String> = BTreeMap::new();
    let ask = |token| client.describe_config_rules().set_next_token(token).send();
    sdk_pages("config:DescribeConfigRules", ask, |page| {
        for rule in page.config_rules() {
            let arn = rule.config_rule_arn().unwrap_or_default();
            let is_backup = arn.contains(BACKUP_RULES) || rule.created_by().is_some_and(|by| by.ends_with(BACKUP));
            if let (true, Some(name)) = (is_backup, rule.config_rule_name()) {
                rules.insert(name.to_owned(), arn.to_owned());
            }
        }
        Ok(page.next_token)
    })
    .await?;
    if rules.is_empty() {
        let cause = if is_recording(client).await { BlindSpotCause::NoRule } else { BlindSpotCause::NotRecording };
        return Ok(blind(BlindSpotReason { cause, detail: None }));
    }
    let results = iter(rules.clone())
        .map(|(rule, arn)| async move { self::results(client, &rule, &arn, ComplianceType::NonCompliant).await });
    let non_compliant: Vec<_> = results.buffered(PARALLEL_RULES).try_collect().await?;
    let non_compliant = non_compliant.into_iter().flatten().collect();
    Ok(RegionCompliance { rules: rules.into_keys().collect(), non_compliant, blind: None })
}

/// Whether a customer managed recorder is on. It is assumed to be on when the call fails.
async fn is_recording(client: &aws_sdk_config::Client) -> bool {
    match client.describe_configuration_recorder_status().send().await {
        Ok(response) => {
            let mut recorders = response.configuration_recorders_status().iter();
            recorders.any(|recorder| recorder.service_principal().is_none() && recorder.recording())
        }
        Err(error) => {
            let error = wrap("config:DescribeConfigurationRecorderStatus")(error);
            info!(%error, "status of the configuration recorder is unknown");
            true
        }
    }
}

pub(super) async fn results(
    client: &aws_sdk_config::Client,
    rule: &str,
    arn: &str,
    compliance: ComplianceType,
) -> Result<Vec<EvaluationResult>> {
    const OPERATION: &str = "config:GetComplianceDetailsByConfigRule";
    let request = client.get_compliance_details_by_config_rule().config_rule_name(rule);
    let request = request.compliance_types(api_type(compliance)).limit(RESULTS);
    let mut results = Vec::new();
    let ask = |token| request.clone().set_next_token(token).send();
    let outcome = sdk_pages(OPERATION, ask, |page| {
        for result in page.evaluation_results() {
            results.extend(read_result(result, OPERATION, rule, arn, compliance)?);
        }
        Ok(page.next_token)
    });
    unless_missing(outcome.await)?;
    Ok(results)
}
