//! `Config Rules Compliance Change` events of AWS Config.
//!
//! Format: AWS Config developer guide, "Example Amazon EventBridge event for a compliance change". Optional there or in
//! captured events, so optional here: `oldEvaluationResult`, `annotation`, `resultRecordedTime`.

use jiff::Timestamp;
use serde::Deserialize as _;
use serde_json::Value;

use domain::violation::{ComplianceChange, ComplianceType, ResultOrdering, ViolationGroup, ViolationKey};
use framework::control::RuleName;
use framework::ids::{AccountId, RegionName};

/// The reason that an event is not a compliance change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// A valid event that is not addressed to this application: accepted and dropped.
    #[error("{0}")]
    Foreign(String),
    /// Invalid, for the dead-letter queue.
    #[error("{0}")]
    Invalid(String),
}

use EventError::{Foreign, Invalid};

/// Part of the ARNs of AWS Backup's service-linked rules, which evaluate the controls of frameworks.
const RULE_OWNER: &str = ":config-rule/aws-service-rule/backup.amazonaws.com/";

/// A message of the report queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportRequest {
    /// A compliance change.
    Change(Box<ComplianceChange>),
    /// The digest window of a group has ended.
    Flush(ViolationGroup),
}

/// The source of [`ReportRequest::Flush`]. AWS events have other sources, and EventBridge passes only events of AWS Config to the queue.
const OWN_SOURCE: &str = "backup-compliance.report";

/// Builds the message that flushes the buffered notices of a group.
pub fn flush_message(group: &ViolationGroup) -> Value {
    serde_json::json!({ "source": OWN_SOURCE, "flush": group })
}

/// Parses a message of the report queue.
pub fn report_request(event: &Value) -> Result<ReportRequest, EventError> {
    if text(event, "source") == Some(OWN_SOURCE) {
        let group = ViolationGroup::deserialize(event.get("flush").unwrap_or(&Value::Null))
            .map_err(|error| Invalid(format!("`flush` does not contain an account and control: {error}")))?;
        check_length(group.excess_length())?;
        return Ok(ReportRequest::Flush(group));
    }
    compliance_change(event).map(|change| ReportRequest::Change(Box::new(change)))
}

/// Parses an event. Another source, type or rule owner and results without compliance are foreign; missing or contradictory
/// fields are invalid.
pub fn compliance_change(event: &Value) -> Result<ComplianceChange, EventError> {
    if !event.is_object() {
        return Err(Invalid("the event is not a JSON object".to_owned()));
    }
    let source = text(event, "source").ok_or_else(|| Invalid("the event has no `source`".to_owned()))?;
    let kind = text(event, "detail-type").unwrap_or("");
    if source != "aws.config" || kind != "Config Rules Compliance Change" {
        return Err(Foreign(format!("an event `{kind}` of `{source}` is not a compliance change of AWS Config")));
    }
    let detail = event
        .get("detail")
        .filter(|detail| detail.is_object())
        .ok_or_else(|| Invalid("the event has no `detail`".to_owned()))?;
    if let Some(message) = text(detail, "messageType")
        && message != "ComplianceChangeNotification"
    {
        return Err(Foreign(format!("a `{message}` is not a compliance change")));
    }
    let rule_arn = required(detail, "configRuleARN")?;
    if !rule_arn.contains(RULE_OWNER) {
        return Err(Foreign(format!("the rule `{rule_arn}` is not a rule of AWS Backup Audit Manager")));
    }

    let (account, region) = location(event, detail, rule_arn)?;
    let result = detail.get("newEvaluationResult").ok_or_else(|| missing("newEvaluationResult"))?;
    let word = required(result, "complianceType")?;
    let compliance = ComplianceType::from_api(word)
        .ok_or_else(|| Foreign(format!("the compliance type `{word}` is not a result")))?;
    let identifier = result.get("evaluationResultIdentifier");
    let qualifier = identifier.and_then(|identifier| identifier.get("evaluationResultQualifier"));
    let of_resource = |key: &str| {
        let found = text(detail, key).or_else(|| text(qualifier?, key));
        found.map(ToOwned::to_owned).ok_or_else(|| missing(key))
    };
    let (resource_type, resource_id) = (of_resource("resourceType")?, of_resource("resourceId")?);
    let rule_name = of_resource("configRuleName")?;

    let ordering = ordering(event, detail, result)?;
    let before = detail.get("oldEvaluationResult").filter(|before| before.is_object());
    let control = control_of(&rule_name);
    let key = ViolationKey { account, region, control, resource_type, resource_id };
    check_length(key.excess_length())?;
    Ok(ComplianceChange {
        key,
        compliance,
        ordering,
        rule_name,
        rule_arn: rule_arn.to_owned(),
        annotation: text(result, "annotation").map(ToOwned::to_owned),
        had_result: before.is_some(),
        // Only distinguishes a regression from a finding of a rollout, so an invalid time counts as missing.
        previous: before
            .and_then(|before| before.get("evaluationResultIdentifier"))
            .and_then(|identifier| time(identifier, "orderingTimestamp")),
    })
}

/// The account and Region of a change, which must match the sender and the rule.
fn location(event: &Value, detail: &Value, rule_arn: &str) -> Result<(AccountId, RegionName), EventError> {
    let account = required(detail, "awsAccountId")?;
    if let Some(sender) = text(event, "account")
        && sender != account
    {
        return Err(Invalid(format!("the event was sent by account {sender}, but its account is {account}")));
    }
    let account = AccountId::parse(account).map_err(|error| Invalid(error.to_string()))?;
    let region = RegionName::parse(required(detail, "awsRegion")?).map_err(|error| Invalid(error.to_string()))?;
    if let Some((_, owner)) = rule_arn.split_once(":config:").and_then(|(_, rest)| rest.split_once(':'))
        && !owner.starts_with(account.as_str())
    {
        return Err(Invalid(format!("the rule `{rule_arn}` does not belong to the account {account}")));
    }
    Ok((account, region))
}

/// The times of a change. Missing ones are replaced. Invalid ones are rejected, since they would break the order of changes.
fn ordering(event: &Value, detail: &Value, result: &Value) -> Result<ResultOrdering, EventError> {
    let identifier = result.get("evaluationResultIdentifier");
    let triggered = identifier.map_or(Ok(None), |identifier| readable_time(identifier, "orderingTimestamp"))?;
    let recorded = readable_time(result, "resultRecordedTime")?;
    let notified = time(detail, "notificationCreationTime").or_else(|| time(event, "time"));
    let earliest = triggered.or(recorded).or(notified).ok_or_else(|| {
        Invalid("the event has no time: `orderingTimestamp` and its replacements are missing".to_owned())
    })?;
    let recorded = recorded.unwrap_or(earliest);
    Ok(ResultOrdering { triggered: earliest, recorded, notified: notified.unwrap_or(recorded) })
}

/// Parses RFC 3339 with `Z` or an offset, also without its colon, as AWS services write it.
fn time(value: &Value, key: &str) -> Option<Timestamp> {
    let written = text(value, key)?;
    written.parse().ok().or_else(|| Timestamp::strptime("%Y-%m-%dT%H:%M:%S%.f%z", written).ok())
}

fn readable_time(value: &Value, key: &str) -> Result<Option<Timestamp>, EventError> {
    let Some(written) = value.get(key).filter(|written| !written.is_null()) else { return Ok(None) };
    let expected = "RFC 3339 is expected, such as `2026-11-23T04:12:09Z`";
    time(value, key).map(Some).ok_or_else(|| Invalid(format!("`{key}` is not a time: `{written}`; {expected}")))
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str).filter(|text| !text.trim().is_empty())
}

fn required<'a>(value: &'a Value, key: &str) -> Result<&'a str, EventError> {
    text(value, key).ok_or_else(|| missing(key))
}

fn missing(key: &str) -> EventError {
    Invalid(format!("the detail has no `{key}`"))
}

/// The control of a rule as in [`ViolationKey::control`]: the name of the rule if the control is unknown.
pub(crate) fn control_of(rule_name: &str) -> String {
    RuleName::parse(rule_name).control.map_or_else(|| rule_name.to_owned(), |control| control.name.to_owned())
}

/// The error of a key that the state table would reject, together with all other keys of the call.
pub(crate) fn too_long(length: usize) -> String {
    format!("control, resource type and resource id have {length} bytes, but a sort key of DynamoDB has at most 1,024")
}

fn check_length(excess: Option<usize>) -> Result<(), EventError> {
    excess.map_or(Ok(()), |length| Err(Invalid(too_long(length))))
}
