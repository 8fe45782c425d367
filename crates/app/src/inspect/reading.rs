//! What a message of a dead-letter queue is about, why it is there, and whether sending it back could help.

use super::Letter;
use crate::events::{Look, NotUnderstood, Trigger, compliance_change, trigger};
use domain::violation::{Change, Compliance};
use serde_json::Value;

/// The attribute in which `report` says why a message can never be understood.
const REASON: &str = "reason";

/// Who would read the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// `report`.
    Report,
    /// `deploy`.
    Deploy,
    /// One of them.
    Either,
}

/// What would become of a message that is sent back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prospect {
    /// It would be understood.
    Readable,
    /// It would be accepted and dropped.
    NotOurs,
    /// It would come here again.
    Never,
}

/// A message, understood as far as it can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessed {
    /// What it is about.
    pub about: String,
    /// Why it is here.
    pub reason: String,
    /// What would become of it.
    pub prospect: Prospect,
    /// Whether only the log of its function has the error, under the id of the message.
    pub is_logged: bool,
}

enum Read {
    Understood(String),
    NotOurs(String),
    Never(String),
}

/// Assesses a message.
#[must_use]
pub fn assess(letter: &Letter, reader: Reader) -> Assessed {
    let event = serde_json::from_str::<Value>(&letter.body);
    let read = match &event {
        Ok(event) => read(event, reader),
        Err(error) => {
            Read::Never(format!("the message body is not JSON at line {}, column {}", error.line(), error.column()))
        }
    };
    let buried = letter.attributes.get(REASON).filter(|reason| !reason.trim().is_empty());
    let undelivered = undelivered(letter);
    let is_logged = matches!(read, Read::Understood(_)) && buried.is_none() && undelivered.is_none();
    let (prospect, reason) = match (&read, buried, undelivered) {
        (Read::Understood(_), Some(reason), _) => {
            (Prospect::Never, format!("{reason} (this program can read it; the function that put it here could not)"))
        }
        (_, Some(reason), _) => (Prospect::Never, reason.clone()),
        (Read::Never(why), None, Some(undelivered)) => {
            (Prospect::Never, format!("{undelivered}; it cannot be understood either: {why}"))
        }
        (Read::Never(why), None, None) => (Prospect::Never, format!("can never be understood: {why}")),
        (Read::NotOurs(_), None, Some(undelivered)) => (Prospect::NotOurs, undelivered),
        (Read::NotOurs(why), None, None) => (Prospect::NotOurs, format!("not for us, would be dropped: {why}")),
        (Read::Understood(_), None, Some(undelivered)) => (Prospect::Readable, undelivered),
        (Read::Understood(_), None, None) => (
            Prospect::Readable,
            "failed every time it was tried, and can be read; the error is in the function's log".to_owned(),
        ),
    };
    let about = match read {
        Read::Understood(about) => about,
        Read::NotOurs(_) | Read::Never(_) => event.map_or_else(|_| beginning(&letter.body), |event| salvaged(&event)),
    };
    Assessed { about, reason, prospect, is_logged }
}

/// Why EventBridge or the scheduler could not deliver it, if it says so.
fn undelivered(letter: &Letter) -> Option<String> {
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

/// What people call the thing that an ARN names: its last part.
fn name_in(arn: &str) -> &str {
    arn.rsplit(['/', ':']).next().filter(|name| !name.is_empty()).unwrap_or(arn)
}

fn read(event: &Value, reader: Reader) -> Read {
    match reader {
        Reader::Report => of_report(event),
        Reader::Deploy => of_deploy(event),
        Reader::Either => match of_report(event) {
            Read::NotOurs(why) => match of_deploy(event) {
                Read::NotOurs(_) => Read::NotOurs(why),
                read => read,
            },
            read => read,
        },
    }
}

fn of_report(event: &Value) -> Read {
    if text(event, "source") == Some("backup-compliance.report") {
        let flush = event.get("flush");
        let of = |key: &str| flush.and_then(|flush| text(flush, key));
        return match (of("account"), of("control")) {
            (Some(account), Some(control)) => {
                Read::Understood(format!("asks to tell what is held of {account}, {control}"))
            }
            _ => Read::Never("a message of `report` to itself without `flush`".to_owned()),
        };
    }
    match compliance_change(event) {
        Ok(change) => Read::Understood(change_in_words(&change)),
        Err(NotUnderstood::NotOurs(why)) => Read::NotOurs(why),
        Err(NotUnderstood::Poisoned(why)) => Read::Never(why),
    }
}

fn change_in_words(change: &Change) -> String {
    let key = &change.key;
    let result = match change.compliance {
        Compliance::Compliant => "COMPLIANT",
        Compliance::NonCompliant => "NON_COMPLIANT",
        Compliance::NotApplicable => "NOT_APPLICABLE",
    };
    format!(
        "{} {}: {} {} is {result} by {}",
        key.account, key.region, key.resource_type, key.resource_id, change.rule_name
    )
}

fn of_deploy(event: &Value) -> Read {
    let of_detail = |key: &str| event.get("detail").and_then(|detail| text(detail, key)).unwrap_or_default();
    // Which repository and branch are followed only `deploy` knows: whatever the event names is taken for them.
    let (repository, branch) = (of_detail("repositoryName"), of_detail("referenceName"));
    match trigger(event, repository, branch) {
        Trigger::Push => Read::Understood(format!("push to the branch {branch} of {repository}")),
        Trigger::OperationEnded { stack_set } => {
            Read::Understood(format!("an operation of the StackSet {stack_set} has ended"))
        }
        Trigger::Schedule(Look::Light) => Read::Understood("the schedule asks for a light look".to_owned()),
        Trigger::Schedule(Look::Normal | Look::Full) => {
            Read::Understood("the schedule asks for a full look".to_owned())
        }
        Trigger::Request { id } => Read::Understood(format!("the CloudFormation request {id} waits")),
        // `deploy` drops what makes no sense too.
        Trigger::Ignored(why) | Trigger::Nonsense(why) => Read::NotOurs(why),
    }
}

/// What can be told of an event that is not understood.
fn salvaged(event: &Value) -> String {
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
    const MOST: usize = 80;
    let start: String = body.chars().take(MOST).collect();
    let mark = if body.chars().nth(MOST).is_some() { "…" } else { "" };
    if start.trim().is_empty() { "an empty message".to_owned() } else { format!("{start}{mark}") }
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}
