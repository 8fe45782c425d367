//! `Config Rules Compliance Change`, as AWS Config sends it through EventBridge.
//!
//! Shapes: AWS Config developer guide, "Example Amazon EventBridge event for a compliance change". Optional there or in
//! captured events, so optional here: `oldEvaluationResult`, `annotation`, `resultRecordedTime`.

use domain::control::RuleName;
use domain::ids::{AccountId, RegionName};
use domain::violation::{Change, Compliance, Group, Key, Ordering};
use jiff::Timestamp;
use serde_json::Value;

/// Why an event is not a change of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotUnderstood {
    /// Well formed, and nothing to do with us: accepted and dropped.
    #[error("{0}")]
    NotOurs(String),
    /// Cannot be understood, now or later: for the dead-letter queue.
    #[error("{0}")]
    Poisoned(String),
}

/// The service whose service-linked rules carry the frameworks' controls.
const RULE_OWNER: &str = ":config-rule/aws-service-rule/backup.amazonaws.com/";

/// What a message on the report queue asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// A compliance change is to be recorded and told.
    Change(Box<Change>),
    /// The window of a group has ended: what was held is to be told.
    Flush(Group),
}

/// Who sends [`Asked::Flush`]; no event of AWS has this source, and EventBridge sends only events of AWS Config to the queue.
const OWN_SOURCE: &str = "backup-compliance.report";

/// The message that asks to tell what is held of a group.
#[must_use]
pub fn flush_message(group: &Group) -> Value {
    serde_json::json!({ "source": OWN_SOURCE, "flush": group })
}

/// Understands a message of the report queue.
///
/// # Errors
/// As [`compliance_change`].
pub fn asked(event: &Value) -> Result<Asked, NotUnderstood> {
    if text(event, "source") == Some(OWN_SOURCE) {
        let group = event.get("flush").cloned().unwrap_or_default();
        let group: Group = serde_json::from_value(group)
            .map_err(|error| poisoned(format!("`flush` names no account and control: {error}")))?;
        return match group.excess_length() {
            None => Ok(Asked::Flush(group)),
            Some(length) => Err(poisoned(too_long(length))),
        };
    }
    compliance_change(event).map(|change| Asked::Change(Box::new(change)))
}

/// Understands an event.
///
/// # Errors
/// [`NotUnderstood::NotOurs`] for an event of another source, type or rule owner, or a result that says nothing about
/// compliance; [`NotUnderstood::Poisoned`] for one that claims to be ours and lacks what it must have, or contradicts itself.
pub fn compliance_change(event: &Value) -> Result<Change, NotUnderstood> {
    if !event.is_object() {
        return Err(poisoned("the event is not a JSON object"));
    }
    let source = text(event, "source").ok_or_else(|| poisoned("the event has no `source`"))?;
    let kind = text(event, "detail-type").unwrap_or("");
    if source != "aws.config" || kind != "Config Rules Compliance Change" {
        return Err(not_ours(format!("an event `{kind}` of `{source}` is no compliance change of AWS Config")));
    }
    let detail =
        event.get("detail").filter(|detail| detail.is_object()).ok_or_else(|| poisoned("the event has no `detail`"))?;
    if let Some(message) = text(detail, "messageType")
        && message != "ComplianceChangeNotification"
    {
        return Err(not_ours(format!("a `{message}` is no compliance change")));
    }
    let rule_arn = required(detail, "configRuleARN")?;
    if !rule_arn.contains(RULE_OWNER) {
        return Err(not_ours(format!("the rule `{rule_arn}` is none of AWS Backup Audit Manager")));
    }

    let account = required(detail, "awsAccountId")?;
    if let Some(sender) = text(event, "account")
        && sender != account
    {
        return Err(poisoned(format!(
            "the event was sent by account {sender} and claims to be about account {account}"
        )));
    }
    let account = AccountId::parse(account).map_err(|error| poisoned(error.to_string()))?;
    let region = RegionName::parse(required(detail, "awsRegion")?).map_err(|error| poisoned(error.to_string()))?;
    if let Some((_, owner)) =
        rule_arn.split_once(":config:").map(|(_, rest)| rest).and_then(|rest| rest.split_once(':'))
        && !owner.starts_with(account.as_str())
    {
        return Err(poisoned(format!("the rule `{rule_arn}` belongs to another account than {account}")));
    }

    let result =
        detail.get("newEvaluationResult").ok_or_else(|| poisoned("the detail has no `newEvaluationResult`"))?;
    let word = required(result, "complianceType")?;
    let compliance = Compliance::from_api(word)
        .ok_or_else(|| not_ours(format!("the result `{word}` says nothing about compliance")))?;
    let identifier = result.get("evaluationResultIdentifier");
    let qualifier = identifier.and_then(|identifier| identifier.get("evaluationResultQualifier"));
    let of_resource = |key: &str| text(detail, key).or_else(|| qualifier.and_then(|qualifier| text(qualifier, key)));
    let resource_type = of_resource("resourceType").ok_or_else(|| poisoned("the detail has no `resourceType`"))?;
    let resource_id = of_resource("resourceId").ok_or_else(|| poisoned("the detail has no `resourceId`"))?;
    let rule_name = of_resource("configRuleName").ok_or_else(|| poisoned("the detail has no `configRuleName`"))?;

    // A time that is missing is replaced by the next best; one that cannot be read would put the change in a wrong place.
    let triggered = identifier.map_or(Ok(None), |identifier| readable_time(identifier, "orderingTimestamp"))?;
    let recorded = readable_time(result, "resultRecordedTime")?;
    let notified = time(detail, "notificationCreationTime").or_else(|| time(event, "time"));
    let earliest = triggered
        .or(recorded)
        .or(notified)
        .ok_or_else(|| poisoned("the event tells no time: neither `orderingTimestamp` nor any other can be read"))?;
    let recorded = recorded.unwrap_or(earliest);
    let ordering = Ordering { triggered: earliest, recorded, notified: notified.unwrap_or(recorded) };

    let before = detail.get("oldEvaluationResult").filter(|before| before.is_object());
    let rule = RuleName::parse(rule_name);
    let control = rule.control.map_or_else(|| rule_name.to_owned(), |control| control.name.to_owned());
    let key =
        Key { account, region, control, resource_type: resource_type.to_owned(), resource_id: resource_id.to_owned() };
    if let Some(length) = key.excess_length() {
        return Err(poisoned(too_long(length)));
    }
    Ok(Change {
        key,
        compliance,
        ordering,
        rule_name: rule_name.to_owned(),
        rule_arn: rule_arn.to_owned(),
        annotation: text(result, "annotation").map(ToOwned::to_owned),
        had_result: before.is_some(),
        // Only tells a regression from what a rollout found: one that cannot be read is as good as none.
        previous: before
            .and_then(|before| before.get("evaluationResultIdentifier"))
            .and_then(|identifier| time(identifier, "orderingTimestamp")),
    })
}

/// A time as AWS services write it: RFC 3339 with `Z` or an offset, the offset also without a colon.
fn time(value: &Value, key: &str) -> Option<Timestamp> {
    let written = text(value, key)?;
    written.parse().ok().or_else(|| Timestamp::strptime("%Y-%m-%dT%H:%M:%S%.f%z", written).ok())
}

fn readable_time(value: &Value, key: &str) -> Result<Option<Timestamp>, NotUnderstood> {
    let found = time(value, key);
    match value.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(_) if found.is_some() => Ok(found),
        Some(other) => Err(poisoned(format!(
            "`{key}` is no time: `{other}`; RFC 3339 is expected, such as `2026-11-23T04:12:09Z`"
        ))),
    }
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str).filter(|text| !text.trim().is_empty())
}

fn required<'a>(value: &'a Value, key: &str) -> Result<&'a str, NotUnderstood> {
    text(value, key).ok_or_else(|| poisoned(format!("the detail has no `{key}`")))
}

/// A key that the state table would reject, and with it every other key of the same call.
pub(crate) fn too_long(length: usize) -> String {
    format!(
        "control, resource type and resource id together have {length} bytes, and a key of DynamoDB has at most 1,024"
    )
}

fn poisoned(why: impl Into<String>) -> NotUnderstood {
    NotUnderstood::Poisoned(why.into())
}

fn not_ours(why: impl Into<String>) -> NotUnderstood {
    NotUnderstood::NotOurs(why.into())
}
