//! Reads dead-lettered messages: their subject, the reason of their failure, and whether they are valid.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use domain::violation::{ComplianceChange, ComplianceType, ViolationKey};

use crate::events::{DeployTrigger, EventError, PolicyPlace, ReconcileScope, compliance_change, trigger};
use crate::review::{ReviewTrigger, review_trigger};

/// The attribute that `report` sets on invalid messages.
const REASON: &str = "reason";

/// A message in a dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeadLetter {
    /// The message id of SQS.
    pub id: String,
    /// The receipt handle, valid until the message is received again.
    pub receipt: String,
    /// The message body.
    pub body: String,
    /// `SentTimestamp`.
    pub sent: Option<Timestamp>,
    /// `ApproximateReceiveCount`, including this receive.
    pub receives: u32,
    /// `MessageGroupId`.
    pub group: Option<String>,
    /// The text attributes.
    pub attributes: BTreeMap<String, String>,
}

/// The function that consumes a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consumer {
    /// `report`.
    Report,
    /// `deploy`.
    Deploy,
    /// `preview`.
    Preview,
    /// Any of them.
    Any,
}

/// Whether a message that is sent back would be processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// Valid.
    Valid,
    /// Accepted and dropped.
    Foreign,
    /// Invalid: it would be dead-lettered again.
    Invalid,
}

/// The assessment of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// Its subject in words.
    pub subject: String,
    /// The reason of its failure.
    pub reason: String,
    /// Its validity.
    pub validity: Validity,
    /// Whether only the log of its function contains the error, with the message id.
    pub is_logged: bool,
}

/// Assesses a message.
pub fn assess(letter: &DeadLetter, reader: Consumer) -> Assessment {
    let event = serde_json::from_str::<Value>(&letter.body);
    let (validity, text) = match &event {
        Ok(event) => read(event, reader),
        Err(error) => {
            let reason = format!("the message body is not JSON at line {}, column {}", error.line(), error.column());
            (Validity::Invalid, reason)
        }
    };
    let invalid_reason = letter.attributes.get(REASON).filter(|reason| !reason.trim().is_empty());
    let undelivered = undelivered(letter);
    let is_valid = validity == Validity::Valid;
    let is_logged = is_valid && invalid_reason.is_none() && undelivered.is_none();
    let prospect = if invalid_reason.is_some() { Validity::Invalid } else { validity };
    let reason = match (validity, invalid_reason, undelivered) {
        (Validity::Valid, Some(reason), _) => {
            format!("{reason} (this command can read the message, but the function could not)")
        }
        (_, Some(reason), _) => reason.clone(),
        (Validity::Invalid, None, Some(undelivered)) => format!("{undelivered}; the message is also invalid: {text}"),
        (_, None, Some(undelivered)) => undelivered,
        (Validity::Invalid, None, None) => format!("invalid message: {text}"),
        (Validity::Foreign, None, None) => format!("not addressed to this application, would be dropped: {text}"),
        (Validity::Valid, None, None) => {
            "every attempt failed, although the message is valid; the function's log contains the error".to_owned()
        }
    };
    let known_fields = || event.map_or_else(|_| beginning(&letter.body), |event| known_fields(&event));
    Assessment { subject: if is_valid { text } else { known_fields() }, reason, validity: prospect, is_logged }
}

/// The delivery error of EventBridge or the scheduler, from the message attributes.
fn undelivered(letter: &DeadLetter) -> Option<String> {
    let attribute = |name: &str| letter.attributes.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let code = attribute("ERROR_CODE")?;
    let message = attribute("ERROR_MESSAGE").map(|message| format!(": {message}"));
    let attempts = attribute("RETRY_ATTEMPTS").map(|attempts| format!(" (retries: {attempts})"));
    let resources = [("rule", "RULE_ARN"), ("schedule", "SCHEDULE_ARN"), ("target", "TARGET_ARN")];
    let resources = resources.into_iter().filter_map(|(word, attribute_name)| {
        let arn = attribute(attribute_name)?;
        let name = arn.rsplit(['/', ':']).next().filter(|name| !name.is_empty()).unwrap_or(arn);
        Some(format!("; {word} {name}"))
    });
    let details: String = message.into_iter().chain(attempts).chain(resources).collect();
    Some(format!("not delivered: {code}{details}"))
}

/// Returns the subject of a valid message, or the reason that it is foreign or invalid.
fn read(event: &Value, reader: Consumer) -> (Validity, String) {
    match reader {
        Consumer::Report => read_report(event),
        Consumer::Deploy => read_deploy(event),
        Consumer::Preview => read_preview(event),
        Consumer::Any => {
            let report = read_report(event);
            let others = [read_deploy(event), read_preview(event)].into_iter();
            let mut known = std::iter::once(report.clone()).chain(others).filter(|read| read.0 != Validity::Foreign);
            known.next().unwrap_or(report)
        }
    }
}

fn read_report(event: &Value) -> (Validity, String) {
    if text(event, "source") == Some("backup-compliance.report") {
        let flush = event.get("flush");
        let of = |key: &str| flush.and_then(|flush| text(flush, key));
        return match (of("account"), of("control")) {
            (Some(account), Some(control)) => (Validity::Valid, format!("flush message for {account}, {control}")),
            _ => (Validity::Invalid, "a flush message without `flush`".to_owned()),
        };
    }
    match compliance_change(event) {
        Ok(ComplianceChange { key, compliance, rule_name, .. }) => {
            let result = match compliance {
                ComplianceType::Compliant => "COMPLIANT",
                ComplianceType::NonCompliant => "NON_COMPLIANT",
                ComplianceType::NotApplicable => "NOT_APPLICABLE",
            };
            let ViolationKey { account, region, resource_type, resource_id, .. } = key;
            let subject = format!("{account} {region}: {resource_type} {resource_id} is {result} by {rule_name}");
            (Validity::Valid, subject)
        }
        Err(EventError::Foreign(why)) => (Validity::Foreign, why),
        Err(EventError::Invalid(why)) => (Validity::Invalid, why),
    }
}

fn read_deploy(event: &Value) -> (Validity, String) {
    let of_detail = |key: &str| event.get("detail").and_then(|detail| text(detail, key)).unwrap_or_default();
    // Only `deploy` knows the place of its policy, so that of the event is assumed.
    let (repository, branch) = (of_detail("repositoryName"), of_detail("referenceName"));
    let bucket = event.pointer("/detail/bucket/name").and_then(Value::as_str);
    let place = bucket.map_or(PolicyPlace::Branch { repository, branch }, |bucket| PolicyPlace::Object { bucket });
    let subject = match trigger(event, place) {
        DeployTrigger::Push if bucket.is_some() => "new version of the policy in S3".to_owned(),
        DeployTrigger::Push => format!("push to the branch {branch} of {repository}"),
        DeployTrigger::OperationEnded(name) => format!("end of an operation on the StackSet {name}"),
        DeployTrigger::Schedule(ReconcileScope::QuickCheck) => "scheduled quick check".to_owned(),
        DeployTrigger::Schedule(_) => "scheduled full reconciliation".to_owned(),
        DeployTrigger::Request(id) => format!("CloudFormation request {id}"),
        // `deploy` also drops invalid messages.
        DeployTrigger::Ignored(why) | DeployTrigger::Invalid(why) => return (Validity::Foreign, why),
    };
    (Validity::Valid, subject)
}

fn read_preview(event: &Value) -> (Validity, String) {
    // Only `preview` knows its repository, so that of the event is assumed.
    let detail = event.get("detail").unwrap_or(&Value::Null);
    let repository = detail.get("repositoryNames").and_then(|names| names.get(0)).and_then(Value::as_str);
    match review_trigger(event, repository.unwrap_or_default()) {
        ReviewTrigger::PullRequest(id) => (Validity::Valid, format!("pull request {id}")),
        // `preview` also drops invalid messages.
        ReviewTrigger::Ignored(why) | ReviewTrigger::Invalid(why) => (Validity::Foreign, why),
    }
}

fn known_fields(event: &Value) -> String {
    let detail = event.get("detail").unwrap_or(&Value::Null);
    let fields = [
        text(event, "source"),
        text(event, "detail-type"),
        text(detail, "awsAccountId").or_else(|| text(event, "account")),
        text(detail, "awsRegion").or_else(|| text(event, "region")),
        text(detail, "configRuleName"),
        text(detail, "resourceType"),
        text(detail, "resourceId"),
    ];
    let found: Vec<&str> = fields.into_iter().flatten().collect();
    if found.is_empty() { beginning(&event.to_string()) } else { found.join(" ") }
}

fn beginning(body: &str) -> String {
    const LENGTH: usize = 80;
    let start: String = body.chars().take(LENGTH).collect();
    let mark = if body.chars().nth(LENGTH).is_some() { "…" } else { "" };
    if start.trim().is_empty() { "an empty message".to_owned() } else { format!("{start}{mark}") }
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}
