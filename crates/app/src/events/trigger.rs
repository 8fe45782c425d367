//! What makes `deploy` look: every trigger means no more than "look again".

use serde_json::Value;

/// A reason to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// The configured branch moved.
    Push,
    /// A StackSet operation has ended.
    OperationEnded {
        /// The StackSet's name, from its ARN.
        stack_set: String,
    },
    /// The schedule.
    Schedule(Look),
    /// A CloudFormation request waits for its answer.
    Request {
        /// Its id.
        id: String,
    },
    /// Well formed, and nothing to do with us.
    Ignored(String),
    /// Not understood.
    Nonsense(String),
}

/// How closely to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Look {
    /// Only whether something waits: one cheap read when nothing does.
    Light,
    /// At the head of the branch; at the instances only where something changed.
    Normal,
    /// At every instance.
    Full,
}

/// Tells what an event means for the application that follows `branch` of `repository`.
#[must_use]
pub fn trigger(event: &Value, repository: &str, branch: &str) -> Trigger {
    let Some(source) = text(event, "source") else {
        return Trigger::Nonsense("the event has no `source`: an EventBridge event is expected".into());
    };
    let detail = event.get("detail").filter(|detail| detail.is_object());
    match (source, text(event, "detail-type")) {
        ("backup-compliance.lifecycle", _) => match text(event, "requestId") {
            Some(id) => Trigger::Request { id: id.to_owned() },
            None => Trigger::Nonsense("the lifecycle message has no `requestId`".into()),
        },
        ("backup-compliance.schedule", _) => match text(event, "look") {
            Some("light") => Trigger::Schedule(Look::Light),
            Some("full") => Trigger::Schedule(Look::Full),
            other => {
                Trigger::Nonsense(format!("the schedule asks for the look `{}`: light or full", other.unwrap_or("")))
            }
        },
        ("aws.codecommit", Some("CodeCommit Repository State Change")) => match detail {
            Some(detail) => push(detail, repository, branch),
            None => Trigger::Nonsense("the CodeCommit event has no `detail`".into()),
        },
        ("aws.cloudformation", Some("CloudFormation StackSet Operation Status Change")) => match detail {
            Some(detail) => operation(detail),
            None => Trigger::Nonsense("the StackSet event has no `detail`".into()),
        },
        (source, kind) => {
            Trigger::Ignored(format!("an event `{}` of `{source}` is none of ours", kind.unwrap_or("without a type")))
        }
    }
}

fn push(detail: &Value, repository: &str, branch: &str) -> Trigger {
    let named = text(detail, "repositoryName").unwrap_or("");
    if named != repository {
        return Trigger::Ignored(format!("repository `{named}` is not `{repository}`"));
    }
    let event = text(detail, "event").unwrap_or("");
    if !matches!(event, "referenceCreated" | "referenceUpdated") {
        return Trigger::Ignored(format!("`{event}` moves no branch"));
    }
    let (kind, name) = (text(detail, "referenceType").unwrap_or(""), text(detail, "referenceName").unwrap_or(""));
    if kind != "branch" || name != branch {
        return Trigger::Ignored(format!("the {kind} `{name}` is not the branch `{branch}`"));
    }
    Trigger::Push
}

fn operation(detail: &Value) -> Trigger {
    // arn:aws:cloudformation:REGION:ACCOUNT:stackset/NAME:UUID
    let name = text(detail, "stack-set-arn")
        .and_then(|arn| arn.split_once(":stackset/"))
        .and_then(|(_, id)| id.split(':').next())
        .filter(|name| !name.is_empty());
    let Some(name) = name else { return Trigger::Nonsense("the StackSet event has no usable `stack-set-arn`".into()) };
    let status = detail.get("status-details").and_then(|details| text(details, "status")).unwrap_or("");
    match status {
        "RUNNING" | "QUEUED" | "STOPPING" => Trigger::Ignored(format!("the operation is still {status}")),
        // A word that AWS did not have when this was written costs one look.
        _ => Trigger::OperationEnded { stack_set: name.to_owned() },
    }
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}
