//! Results of the rules of AWS Backup Audit Manager, in three ways.

use super::query::{configuration, list, literal, text};
use super::{ConfigAggregator, Pages};
use crate::error::{unexpected, wrap};
use crate::members::Members;
use app::ports::{ComplianceSource, EvaluationResult, PortError, PortErrorKind, Result, Sight, Via};
use aws_sdk_config::types::{ComplianceType, ConfigRuleComplianceFilters, EvaluationResultIdentifier};
use aws_smithy_types::DateTime;
use domain::control::RuleName;
use domain::ids::{AccountId, RegionName};
use domain::notice::{BlindCause, BlindReason};
use domain::violation::Compliance;
use futures_util::StreamExt;
use futures_util::stream::iter;
use jiff::{Timestamp, Unit};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tracing::info;

/// What the service principal that makes the rules ends in.
const BACKUP: &str = "backup.amazonaws.com";
/// What ARNs of its rules have in them.
const BACKUP_RULES: &str = ":config-rule/aws-service-rule/backup.amazonaws.com";
/// The most rules in a page of the aggregator.
const RULES: i32 = 1000;
/// The most results in a page.
const RESULTS: i32 = 100;
/// Rules that are asked about side by side: an account has some dozens, and AWS Config does not say how many calls it takes.
const AT_ONCE: usize = 4;

/// AWS Config's own state.
#[derive(Debug, Clone)]
pub struct ConfigCompliance {
    aggregator: ConfigAggregator,
    members: Option<Members>,
}

impl ConfigCompliance {
    /// Through an aggregator, and through a role in member accounts, where there is one.
    #[must_use]
    pub fn new(aggregator: ConfigAggregator, members: Option<Members>) -> Self {
        Self { aggregator, members }
    }
}

impl ComplianceSource for ConfigCompliance {
    fn ways(&self) -> Vec<Via> {
        let mut ways = Vec::new();
        if self.aggregator.name.is_some() {
            ways.extend([Via::Aggregator, Via::Query]);
        }
        if self.members.is_some() {
            ways.push(Via::Member);
        }
        ways
    }

    async fn look(
        &self,
        via: Via,
        account: &AccountId,
        regions: &BTreeSet<RegionName>,
    ) -> Result<BTreeMap<RegionName, Sight>> {
        if regions.is_empty() {
            return Ok(BTreeMap::new());
        }
        match (via, &self.aggregator.name, &self.members) {
            (Via::Aggregator, Some(name), _) => self.aggregator.rules(name, account, regions).await,
            (Via::Query, Some(name), _) => self.aggregator.compliance_items(name, account, regions).await,
            (Via::Member, _, Some(members)) => look_there(members, account, regions).await,
            (Via::Aggregator | Via::Query, None, _) | (Via::Member, _, None) => Ok(BTreeMap::new()),
        }
    }

    async fn diagnose(
        &self,
        places: &BTreeSet<(AccountId, RegionName)>,
    ) -> Result<BTreeMap<(AccountId, RegionName), BlindReason>> {
        let Some(name) = &self.aggregator.name else { return Ok(BTreeMap::new()) };
        let sources = self.aggregator.source_status().await?;
        let sources: BTreeMap<(AccountId, RegionName), Option<String>> =
            sources.into_iter().map(|source| ((source.account, source.region), source.stale)).collect();
        let mut reasons = BTreeMap::new();
        let mut covered = BTreeSet::new();
        for place in places {
            let cause = match sources.get(place) {
                None => BlindReason { cause: BlindCause::NotAggregated, detail: None },
                Some(Some(error)) => BlindReason { cause: BlindCause::AggregationFailed, detail: Some(error.clone()) },
                Some(None) => {
                    covered.insert(place.clone());
                    continue;
                }
            };
            reasons.insert(place.clone(), cause);
        }
        let recording = self.aggregator.recording(name, covered.iter().map(|(account, _)| account).collect()).await?;
        let silent = covered.into_iter().filter(|place| !recording.contains(place));
        reasons.extend(silent.map(|place| (place, BlindReason { cause: BlindCause::NotRecording, detail: None })));
        Ok(reasons)
    }

    async fn satisfied(
        &self,
        via: Via,
        account: &AccountId,
        region: &RegionName,
        rule_name: &str,
    ) -> Result<Vec<EvaluationResult>> {
        let wanted = Compliance::Compliant;
        match (via, &self.aggregator.name, &self.members) {
            (Via::Aggregator, Some(name), _) => self.aggregator.results(name, account, region, rule_name, wanted).await,
            (Via::Query, Some(name), _) => {
                self.aggregator.items_of_rule(name, account, region, rule_name, wanted).await
            }
            (Via::Member, _, Some(members)) => {
                let client = members.config(account, region).await?;
                results_there(&client, rule_name, "", wanted).await
            }
            (Via::Aggregator | Via::Query, None, _) | (Via::Member, _, None) => Ok(Vec::new()),
        }
    }
}

/// Through the aggregator's compliance calls.
impl ConfigAggregator {
    async fn rules(
        &self,
        name: &str,
        account: &AccountId,
        regions: &BTreeSet<RegionName>,
    ) -> Result<BTreeMap<RegionName, Sight>> {
        const OPERATION: &str = "config:DescribeAggregateComplianceByConfigRules";
        let mut filters = ConfigRuleComplianceFilters::builder().account_id(account.as_str());
        if let (1, Some(region)) = (regions.len(), regions.first()) {
            filters = filters.aws_region(region.as_str());
        }
        let filters = filters.build();
        // By Region and name: whether the rule has found something.
        let mut rules: BTreeMap<RegionName, BTreeMap<String, bool>> = BTreeMap::new();
        let mut pages = Pages::of(OPERATION);
        while pages.more() {
            let answer = self
                .client
                .describe_aggregate_compliance_by_config_rules()
                .configuration_aggregator_name(name)
                .filters(filters.clone())
                .limit(RULES)
                .set_next_token(pages.token())
                .send()
                .await
                .map_err(|error| wrap(OPERATION, &error))?;
            for rule in answer.aggregate_compliance_by_config_rules() {
                let region = rule.aws_region().and_then(|region| RegionName::parse(region).ok());
                let (Some(region), Some(rule_name)) = (region, rule.config_rule_name()) else { continue };
                if !regions.contains(&region) || rule.account_id().is_some_and(|of| of != account.as_str()) {
                    continue;
                }
                let compliance = rule.compliance().and_then(|compliance| compliance.compliance_type());
                let clean = matches!(compliance, Some(kind) if *kind != ComplianceType::NonCompliant);
                rules.entry(region).or_default().insert(rule_name.to_owned(), !clean);
            }
            pages.turn(answer.next_token())?;
        }
        let mut sights = BTreeMap::new();
        let mut questions = Vec::new();
        for (region, rules) in rules {
            let ours = of_backup(rules.keys().map(String::as_str));
            let broken = ours.iter().filter(|rule| rules.get(*rule).is_some_and(|found| *found));
            questions.extend(broken.map(|rule| (region.clone(), rule.clone())));
            // Rules of others say nothing of Audit Manager's.
            if !ours.is_empty() {
                sights.insert(region, Sight { rules: ours, ..Sight::default() });
            }
        }
        let mut answers = iter(questions.into_iter().map(|(region, rule)| async move {
            let results = self.results(name, account, &region, &rule, Compliance::NonCompliant).await;
            results.map(|results| (region, results))
        }))
        .buffered(AT_ONCE);
        while let Some(answer) = answers.next().await {
            let (region, results) = answer?;
            if let Some(sight) = sights.get_mut(&region) {
                sight.broken.extend(results);
            }
        }
        Ok(sights)
    }

    async fn results(
        &self,
        name: &str,
        account: &AccountId,
        region: &RegionName,
        rule: &str,
        wanted: Compliance,
    ) -> Result<Vec<EvaluationResult>> {
        const OPERATION: &str = "config:GetAggregateComplianceDetailsByConfigRule";
        let mut results = Vec::new();
        let mut pages = Pages::of(OPERATION);
        while pages.more() {
            let answer = self
                .client
                .get_aggregate_compliance_details_by_config_rule()
                .configuration_aggregator_name(name)
                .config_rule_name(rule)
                .account_id(account.as_str())
                .aws_region(region.as_str())
                .compliance_type(word(wanted))
                .limit(RESULTS)
                .set_next_token(pages.token())
                .send()
                .await
                .map_err(|error| wrap(OPERATION, &error));
            let answer = match answer {
                // Removed since it was listed.
                Err(error) if is_no_rule(&error) => break,
                other => other?,
            };
            for result in answer.aggregate_evaluation_results() {
                let found = Found {
                    identifier: result.evaluation_result_identifier(),
                    compliance: result.compliance_type(),
                    recorded: result.result_recorded_time(),
                    invoked: result.config_rule_invoked_time(),
                    annotation: result.annotation(),
                };
                results.extend(found.read(OPERATION, rule, "", wanted)?);
            }
            pages.turn(answer.next_token())?;
        }
        Ok(results)
    }
}

/// Through queries over what AWS Config records of its own results, where it does.
impl ConfigAggregator {
    async fn compliance_items(
        &self,
        name: &str,
        account: &AccountId,
        regions: &BTreeSet<RegionName>,
    ) -> Result<BTreeMap<RegionName, Sight>> {
        let listed = regions.iter().map(|region| format!("'{region}'")).collect::<Vec<_>>().join(", ");
        let expression = query(account, &format!("awsRegion IN ({listed})"));
        sights(&self.select(name, &expression).await?, regions)
    }

    async fn items_of_rule(
        &self,
        name: &str,
        account: &AccountId,
        region: &RegionName,
        rule: &str,
        wanted: Compliance,
    ) -> Result<Vec<EvaluationResult>> {
        // Nothing of AWS has a name that cannot be quoted.
        let Some(quoted) = literal(rule) else { return Ok(Vec::new()) };
        let narrower = format!("awsRegion = '{region}' AND configuration.configRuleList.configRuleName = {quoted}");
        let rows = self.select(name, &query(account, &narrower)).await?;
        let mut results = Vec::new();
        for row in &rows {
            let found = recorded(row)?.into_iter().map(|(_, result)| result);
            results.extend(found.filter(|result| result.rule_name == rule && result.compliance == wanted));
        }
        Ok(results)
    }
}

impl ConfigAggregator {
    /// Returns the accounts and Regions of these accounts in which AWS Config has recorded anything.
    async fn recording(&self, name: &str, accounts: BTreeSet<&AccountId>) -> Result<BTreeSet<(AccountId, RegionName)>> {
        /// An expression has at most 4,096 characters.
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

const SELECT: &str = "config:SelectAggregateResourceConfig";

fn query(account: &AccountId, narrower: &str) -> String {
    format!(
        "SELECT awsRegion, configuration, configurationItemCaptureTime WHERE resourceType = 'AWS::Config::ResourceCompliance' \
         AND accountId = '{account}' AND {narrower}"
    )
}

/// What rows of a query show of each Region.
fn sights(rows: &[Value], regions: &BTreeSet<RegionName>) -> Result<BTreeMap<RegionName, Sight>> {
    let mut found: BTreeMap<RegionName, Vec<EvaluationResult>> = BTreeMap::new();
    for row in rows {
        for (region, result) in recorded(row)?.into_iter().filter(|(region, _)| regions.contains(region)) {
            found.entry(region).or_default().push(result);
        }
    }
    let mut sights = BTreeMap::new();
    for (region, results) in found {
        let rules = of_backup(results.iter().filter(|result| result.rule_arn.is_empty()).map(|r| r.rule_name.as_str()));
        let ours: Vec<EvaluationResult> = results
            .into_iter()
            .filter(|result| result.rule_arn.contains(BACKUP_RULES) || rules.contains(&result.rule_name))
            .collect();
        if !ours.is_empty() {
            let rules = ours.iter().map(|result| result.rule_name.clone()).collect();
            let broken = ours.into_iter().filter(|result| result.compliance == Compliance::NonCompliant).collect();
            sights.insert(region, Sight { rules, broken, blind: None });
        }
    }
    Ok(sights)
}

/// The results in a row: those of all rules for one resource.
fn recorded(row: &Value) -> Result<Vec<(RegionName, EvaluationResult)>> {
    let odd = |what: &str| unexpected(SELECT, format!("a result has no {what}"));
    let Some(region) = text(row, "awsRegion").and_then(|region| RegionName::parse(region).ok()) else {
        return Ok(Vec::new());
    };
    let Some(configuration) = configuration(row) else { return Ok(Vec::new()) };
    let mut results = Vec::new();
    for rule in list(&configuration, "configRuleList") {
        let compliance = text(rule, "complianceType").and_then(Compliance::from_api);
        let (Some(compliance), Some(name)) = (compliance, text(rule, "configRuleName")) else { continue };
        let time = text(row, "configurationItemCaptureTime").and_then(|time| time.parse::<Timestamp>().ok());
        // When the result was recorded is the best that is known.
        let time = time.ok_or_else(|| odd("time"))?;
        let result = EvaluationResult {
            rule_name: name.to_owned(),
            rule_arn: text(rule, "configRuleArn").unwrap_or_default().to_owned(),
            resource_type: text(&configuration, "targetResourceType").ok_or_else(|| odd("resource type"))?.to_owned(),
            resource_id: text(&configuration, "targetResourceId").ok_or_else(|| odd("resource id"))?.to_owned(),
            compliance,
            triggered: time,
            recorded: time,
            annotation: None,
        };
        results.push((region.clone(), result));
    }
    Ok(results)
}

/// In the member account itself. A Region that denies the call is not seen; neither is any Region of an account whose role cannot be
/// assumed.
async fn look_there(
    members: &Members,
    account: &AccountId,
    regions: &BTreeSet<RegionName>,
) -> Result<BTreeMap<RegionName, Sight>> {
    let mut sights = BTreeMap::new();
    for region in regions {
        let sight = match members.config(account, region).await {
            Ok(client) => sight_there(&client).await,
            Err(error) if error.kind == PortErrorKind::Denied => {
                info!(%account, %error, "the role cannot be used");
                let blind =
                    |region: &RegionName| (region.clone(), Sight { blind: Some(error.blind()), ..Sight::default() });
                return Ok(regions.iter().map(blind).collect());
            }
            Err(error) => return Err(error),
        };
        match sight {
            Ok(sight) => {
                sights.insert(region.clone(), sight);
            }
            Err(error) if error.kind == PortErrorKind::Denied => {
                info!(%account, %region, %error, "AWS Config may not be asked");
                sights.insert(region.clone(), Sight { blind: Some(error.blind()), ..Sight::default() });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(sights)
}

async fn sight_there(client: &aws_sdk_config::Client) -> Result<Sight> {
    const OPERATION: &str = "config:DescribeConfigRules";
    let mut rules: BTreeMap<String, String> = BTreeMap::new();
    let mut pages = Pages::of(OPERATION);
    while pages.more() {
        let answer = client
            .describe_config_rules()
            .set_next_token(pages.token())
            .send()
            .await
            .map_err(|error| wrap(OPERATION, &error))?;
        for rule in answer.config_rules() {
            let arn = rule.config_rule_arn().unwrap_or_default();
            let ours = arn.contains(BACKUP_RULES) || rule.created_by().is_some_and(|by| by.ends_with(BACKUP));
            if let (true, Some(name)) = (ours, rule.config_rule_name()) {
                rules.insert(name.to_owned(), arn.to_owned());
            }
        }
        pages.turn(answer.next_token())?;
    }
    if rules.is_empty() {
        let cause = if is_recording(client).await { BlindCause::NoRule } else { BlindCause::NotRecording };
        return Ok(Sight { blind: Some(BlindReason { cause, detail: None }), ..Sight::default() });
    }
    let mut broken = Vec::new();
    let questions: Vec<(String, String)> = rules.iter().map(|(rule, arn)| (rule.clone(), arn.clone())).collect();
    let mut answers = iter(
        questions
            .into_iter()
            .map(|(rule, arn)| async move { results_there(client, &rule, &arn, Compliance::NonCompliant).await }),
    )
    .buffered(AT_ONCE);
    while let Some(answer) = answers.next().await {
        broken.extend(answer?);
    }
    drop(answers);
    Ok(Sight { rules: rules.into_keys().collect(), broken, blind: None })
}

/// Whether a recorder that is not a service's own is on. A call that fails says nothing against it.
async fn is_recording(client: &aws_sdk_config::Client) -> bool {
    match client.describe_configuration_recorder_status().send().await {
        Ok(answer) => {
            let mut own =
                answer.configuration_recorders_status().iter().filter(|one| one.service_principal().is_none());
            own.any(|one| one.recording())
        }
        Err(error) => {
            let error = wrap("config:DescribeConfigurationRecorderStatus", &error);
            info!(%error, "whether AWS Config records is not known");
            true
        }
    }
}

async fn results_there(
    client: &aws_sdk_config::Client,
    rule: &str,
    arn: &str,
    wanted: Compliance,
) -> Result<Vec<EvaluationResult>> {
    const OPERATION: &str = "config:GetComplianceDetailsByConfigRule";
    let mut results = Vec::new();
    let mut pages = Pages::of(OPERATION);
    while pages.more() {
        let answer = client
            .get_compliance_details_by_config_rule()
            .config_rule_name(rule)
            .compliance_types(word(wanted))
            .limit(RESULTS)
            .set_next_token(pages.token())
            .send()
            .await
            .map_err(|error| wrap(OPERATION, &error));
        let answer = match answer {
            Err(error) if is_no_rule(&error) => break,
            other => other?,
        };
        for result in answer.evaluation_results() {
            let found = Found {
                identifier: result.evaluation_result_identifier(),
                compliance: result.compliance_type(),
                recorded: result.result_recorded_time(),
                invoked: result.config_rule_invoked_time(),
                annotation: result.annotation(),
            };
            results.extend(found.read(OPERATION, rule, arn, wanted)?);
        }
        pages.turn(answer.next_token())?;
    }
    Ok(results)
}

/// A result as the API gives it.
struct Found<'a> {
    identifier: Option<&'a EvaluationResultIdentifier>,
    compliance: Option<&'a ComplianceType>,
    recorded: Option<&'a DateTime>,
    invoked: Option<&'a DateTime>,
    annotation: Option<&'a str>,
}

impl Found<'_> {
    /// `None` for a result of another kind than was asked for. One that misses what it must have is an error: left out, it would
    /// count as none, and a violation would be closed.
    fn read(
        &self,
        operation: &'static str,
        rule: &str,
        arn: &str,
        wanted: Compliance,
    ) -> Result<Option<EvaluationResult>> {
        if self.compliance.and_then(|kind| Compliance::from_api(kind.as_str())) != Some(wanted) {
            return Ok(None);
        }
        let odd = |what: &str| unexpected(operation, format!("a result of `{rule}` has no {what}"));
        let qualifier = self.identifier.and_then(EvaluationResultIdentifier::evaluation_result_qualifier);
        let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(ToOwned::to_owned);
        let ordering = self.identifier.and_then(EvaluationResultIdentifier::ordering_timestamp);
        let first = |times: [Option<&DateTime>; 3]| times.into_iter().flatten().find_map(moment);
        Ok(Some(EvaluationResult {
            rule_name: rule.to_owned(),
            rule_arn: arn.to_owned(),
            resource_type: text(qualifier.and_then(|q| q.resource_type())).ok_or_else(|| odd("resource type"))?,
            resource_id: text(qualifier.and_then(|q| q.resource_id())).ok_or_else(|| odd("resource id"))?,
            compliance: wanted,
            triggered: first([ordering, self.invoked, self.recorded]).ok_or_else(|| odd("time"))?,
            recorded: first([self.recorded, self.invoked, ordering]).ok_or_else(|| odd("time"))?,
            annotation: text(self.annotation),
        }))
    }
}

/// To the millisecond. On the wire a time is a number of seconds with a fraction, and what comes out of that is some nanoseconds
/// off: unrounded, the result that an event told of would seem to be another one.
fn moment(time: &DateTime) -> Option<Timestamp> {
    let nanos = i32::try_from(time.subsec_nanos()).ok()?;
    Timestamp::new(time.secs(), nanos).ok()?.round(Unit::Millisecond).ok()
}

fn word(compliance: Compliance) -> ComplianceType {
    match compliance {
        Compliance::Compliant => ComplianceType::Compliant,
        Compliance::NonCompliant => ComplianceType::NonCompliant,
        Compliance::NotApplicable => ComplianceType::NotApplicable,
    }
}

fn is_no_rule(error: &PortError) -> bool {
    error.code.as_deref() == Some("NoSuchConfigRuleException")
}

/// The rules of Audit Manager, by their names alone: those that name a control that we know, and those that end in the uuid of the
/// same framework.
fn of_backup<'n>(names: impl Iterator<Item = &'n str>) -> BTreeSet<String> {
    let names: Vec<&str> = names.collect();
    let known = |name: &str| RuleName::parse(name).control.is_some();
    let frameworks: BTreeSet<&str> = names.iter().filter(|name| known(name)).filter_map(|name| uuid(name)).collect();
    let ours = names.iter().filter(|name| known(name) || uuid(name).is_some_and(|uuid| frameworks.contains(uuid)));
    ours.map(|name| (*name).to_owned()).collect()
}

/// The uuid that a name ends in.
fn uuid(name: &str) -> Option<&str> {
    const LENGTH: usize = 36;
    let (rest, uuid) = name.split_at_checked(name.len().checked_sub(LENGTH)?)?;
    let is_uuid = uuid.bytes().enumerate().all(|(index, byte)| match index {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    (is_uuid && rest.ends_with('-')).then_some(uuid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_config::types::EvaluationResultQualifier;
    use serde_json::json;

    const UUID: &str = "1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d";
    const ARN: &str =
        "arn:aws:config:eu-west-1:222222222222:config-rule/aws-service-rule/backup.amazonaws.com/config-rule-ab12cd";

    #[test]
    fn rules_are_told_apart_by_their_names() {
        let known = format!("AURORA-RESOURCES_PROTECTED_BY_BACKUP_PLAN-{UUID}");
        let new = format!("A_CONTROL_OF_NEXT_YEAR-{UUID}");
        let other = "s3-bucket-versioning-enabled-conformance-pack-abcdefgh1";
        let stranger = "A_CONTROL-9b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d";
        let names = [known.as_str(), &new, other, stranger, "", "é"];
        assert_eq!(of_backup(names.into_iter()), BTreeSet::from([known.clone(), new.clone()]));
        assert_eq!(of_backup([new.as_str()].into_iter()), BTreeSet::new(), "alone it could be anybody's");
    }

    #[test]
    fn a_uuid_is_found_at_the_end_only() {
        assert_eq!(uuid(&format!("X-{UUID}")), Some(UUID));
        for none in
            [UUID, "X", "", &format!("X{UUID}"), &format!("X-{UUID}é"), "X-1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5g"]
        {
            assert_eq!(uuid(none), None, "{none}");
        }
    }

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
    fn recorded_results_show_the_rules_of_backup_and_nobody_elses() {
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
            // One alone, without an ARN.
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
            sight.broken,
            [EvaluationResult {
                rule_name: "X".into(),
                rule_arn: ARN.into(),
                resource_type: "AWS::RDS::DBCluster".into(),
                resource_id: "cluster-1".into(),
                compliance: Compliance::NonCompliant,
                triggered: time,
                recorded: time,
                annotation: None,
            }]
        );
        assert_eq!(found[&RegionName::parse("us-east-1").unwrap()].broken.len(), 1);
    }

    #[test]
    fn a_recorded_result_that_misses_something_is_no_absence() {
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

    #[test]
    fn a_time_that_was_a_fraction_is_the_one_that_it_was() {
        let told: Timestamp = "2026-11-23T12:00:00.311Z".parse().unwrap();
        let seconds = told.as_second();
        for nanos in [310_999_870, 311_000_000, 311_000_108, 311_000_499] {
            assert_eq!(moment(&DateTime::from_secs_and_nanos(seconds, nanos)), Some(told), "{nanos}");
        }
        let next = moment(&DateTime::from_secs_and_nanos(seconds, 999_999_880));
        assert_eq!(next.map(|time| time.as_millisecond()), Some((seconds + 1) * 1000));
    }

    #[test]
    fn a_result_takes_the_best_times_that_it_has() {
        let at = |second| Some(DateTime::from_secs_and_nanos(second, 311_000_000));
        let (ordering, recorded, invoked) = (at(10), at(30), at(20));
        let qualifier = EvaluationResultQualifier::builder().resource_type("AWS::S3::Bucket").resource_id("b").build();
        let identifier = |time: Option<DateTime>| {
            EvaluationResultIdentifier::builder()
                .evaluation_result_qualifier(qualifier.clone())
                .set_ordering_timestamp(time)
                .build()
        };
        let read = |ordering: Option<DateTime>, recorded: Option<DateTime>, invoked: Option<DateTime>| {
            let identifier = identifier(ordering);
            let found = Found {
                identifier: Some(&identifier),
                compliance: Some(&ComplianceType::NonCompliant),
                recorded: recorded.as_ref(),
                invoked: invoked.as_ref(),
                annotation: Some(""),
            };
            found.read("config:DescribeConfigRules", "rule", "", Compliance::NonCompliant)
        };
        let times = |result: Result<Option<EvaluationResult>>| {
            let result = result.unwrap().unwrap();
            assert_eq!(result.annotation, None);
            (result.triggered.as_millisecond(), result.recorded.as_millisecond())
        };
        assert_eq!(times(read(ordering, recorded, invoked)), (10_311, 30_311));
        assert_eq!(times(read(None, recorded, invoked)), (20_311, 30_311));
        assert_eq!(times(read(None, recorded, None)), (30_311, 30_311));
        assert_eq!(times(read(ordering, None, None)), (10_311, 10_311));
        assert!(read(None, None, None).unwrap_err().to_string().contains("`rule` has no time"));
        let bare = Found {
            identifier: None,
            compliance: Some(&ComplianceType::NonCompliant),
            recorded: None,
            invoked: None,
            annotation: None,
        };
        assert!(bare.read("config:DescribeConfigRules", "rule", "", Compliance::NonCompliant).is_err());
        assert_eq!(
            bare.read("config:DescribeConfigRules", "rule", "", Compliance::Compliant).unwrap(),
            None,
            "not what was asked for"
        );
    }
}
