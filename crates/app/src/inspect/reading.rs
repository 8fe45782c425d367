//! Reads dead-lettered messages: their subject, the reason of their failure, and whether they are valid.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use domain::violation::{ComplianceChange, ComplianceType};

use crate::events::{DeployTrigger, EventError, ReconcileScope, compliance_change, trigger};

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
    /// Either of them.
    Either,
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
#[must_use]
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
    let mut text = format!("not delivered: {code}");
    if let Some(message) = attribute("ERROR_MESSAGE") {
        text.push_str(&format!(": {message}"));
    }
    if let Some(attempts) = attribute("RETRY_ATTEMPTS") {
        text.push_str(&format!(" (retries: {attempts})"));
    }
    for (word, name) in [("rule", "RULE_ARN"), ("schedule", "SCHEDULE_ARN"), ("target", "TARGET_ARN")] {
        if let Some(arn) = attribute(name) {
            text.push_str(&format!("; {word} {}", name_in(arn)));
        }
    }
    Some(text)
}

/// The resource name in an ARN.
fn name_in(arn: &str) -> &str {
    arn.rsplit(['/', ':']).next().filter(|name| !name.is_empty()).unwrap_or(arn)
}

/// Returns the subject of a valid message, or the reason that it is foreign or invalid.
fn read(event: &Value, reader: Consumer) -> (Validity, String) {
    match reader {
        Consumer::Report => read_report(event),
        Consumer::Deploy => read_deploy(event),
        Consumer::Either => match read_report(event) {
            (Validity::Foreign, reason) => match read_deploy(event) {
                (Validity::Foreign, _) => (Validity::Foreign, reason),
                other => other,
            },
            other => other,
        },
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
        Ok(change) => (Validity::Valid, change_in_words(&change)),
        Err(EventError::Foreign(why)) => (Validity::Foreign, why),
        Err(EventError::Invalid(why)) => (Validity::Invalid, why),
    }
}

fn change_in_words(change: &ComplianceChange) -> String {
    let key = &change.key;
    let result = match change.compliance {
        ComplianceType::Compliant => "COMPLIANT",
        ComplianceType::NonCompliant => "NON_COMPLIANT",
        ComplianceType::NotApplicable => "NOT_APPLICABLE",
    };
    format!(
        "{} {}: {} {} is {result} by {}",
        key.account, key.region, key.resource_type, key.resource_id, change.rule_name
    )
}

fn read_deploy(event: &Value) -> (Validity, String) {
    let of_detail = |key: &str| event.get("detail").and_then(|detail| text(detail, key)).unwrap_or_default();
    // Only `deploy` knows its repository and branch, so those of the event are assumed.
    let (repository, branch) = (of_detail("repositoryName"), of_detail("referenceName"));
    match trigger(event, repository, branch) {
        DeployTrigger::Push => (Validity::Valid, format!("push to the branch {branch} of {repository}")),
        DeployTrigger::OperationEnded { stack_set } => {
            (Validity::Valid, format!("end of an operation on the StackSet {stack_set}"))
        }
        DeployTrigger::Schedule(ReconcileScope::QuickCheck) => (Validity::Valid, "scheduled quick check".to_owned()),
        DeployTrigger::Schedule(ReconcileScope::Standard | ReconcileScope::Full) => {
            (Validity::Valid, "scheduled full reconciliation".to_owned())
        }
        DeployTrigger::Request { id } => (Validity::Valid, format!("CloudFormation request {id}")),
        // `deploy` also drops invalid messages.
        DeployTrigger::Ignored(why) | DeployTrigger::Invalid(why) => (Validity::Foreign, why),
    }
}

/// The recognizable fields of an event.
fn known_fields(event: &Value) -> String {
    let detail = event.get("detail").unwrap_or(&Value::Null);
    let found: Vec<&str> = [
        text(event, "source"),
        text(event, "detail-type"),
        text(detail, "awsAccountId").or_else(|| text(event, "account")),
        text(detail, "awsRegion").or_else(|| text(event, "region")),
        text(detail, "configRuleName"),
        text(detail, "resourceType"),
        text(detail, "resourceId"),
    ]
    .into_iter()
    .flatten()
    .collect();
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
