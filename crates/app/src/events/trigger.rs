//! The triggers of `deploy`. Each only starts a reconciliation.

use serde_json::Value;

/// The trigger of a reconciliation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeployTrigger {
    /// The configured branch was created or updated.
    Push,
    /// An operation of the StackSet of this name ended.
    OperationEnded(String),
    /// The schedule.
    Schedule(ReconcileScope),
    /// The CloudFormation request of this id needs a response.
    Request(String),
    /// A valid event that is not addressed to this application.
    Ignored(String),
    /// An invalid event.
    Invalid(String),
}

/// The scope of a reconciliation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReconcileScope {
    /// Pending operations only; one read if there are none.
    QuickCheck,
    /// The head of the branch, and the stack instances of changed StackSets.
    Standard,
    /// All stack instances.
    Full,
}

/// Parses an event for the application that deploys `branch` of `repository`.
pub fn trigger(event: &Value, repository: &str, branch: &str) -> DeployTrigger {
    let Some(source) = text(event, "source") else {
        return DeployTrigger::Invalid("the event has no `source`: an EventBridge event is expected".into());
    };
    let detail = event.get("detail").filter(|detail| detail.is_object());
    match (source, text(event, "detail-type")) {
        ("backup-compliance.lifecycle", _) => match text(event, "requestId") {
            Some(id) => DeployTrigger::Request(id.to_owned()),
            None => DeployTrigger::Invalid("the lifecycle message has no `requestId`".into()),
        },
        ("backup-compliance.schedule", _) => match text(event, "task") {
            Some("quick-check") => DeployTrigger::Schedule(ReconcileScope::QuickCheck),
            Some("full-reconciliation") => DeployTrigger::Schedule(ReconcileScope::Full),
            other => DeployTrigger::Invalid(format!(
                "the task of the schedule is `{}`: `quick-check` or `full-reconciliation` is expected",
                other.unwrap_or("")
            )),
        },
        ("aws.codecommit", Some("CodeCommit Repository State Change")) => detail.map_or_else(
            || DeployTrigger::Invalid("the CodeCommit event has no `detail`".into()),
            |detail| push(detail, repository, branch),
        ),
        ("aws.cloudformation", Some("CloudFormation StackSet Operation Status Change")) => {
            detail.map_or_else(|| DeployTrigger::Invalid("the StackSet event has no `detail`".into()), operation)
        }
        (source, kind) => DeployTrigger::Ignored(format!(
            "an event `{}` of `{source}` is not a trigger",
            kind.unwrap_or("without a type")
        )),
    }
}

fn push(detail: &Value, repository: &str, branch: &str) -> DeployTrigger {
    let named = text(detail, "repositoryName").unwrap_or("");
    if named != repository {
        return DeployTrigger::Ignored(format!("repository `{named}` is not `{repository}`"));
    }
    let event = text(detail, "event").unwrap_or("");
    if !matches!(event, "referenceCreated" | "referenceUpdated") {
        return DeployTrigger::Ignored(format!("the event `{event}` does not update a branch"));
    }
    let (kind, name) = (text(detail, "referenceType").unwrap_or(""), text(detail, "referenceName").unwrap_or(""));
    if kind != "branch" || name != branch {
        return DeployTrigger::Ignored(format!("the {kind} `{name}` is not the branch `{branch}`"));
    }
    DeployTrigger::Push
}

fn operation(detail: &Value) -> DeployTrigger {
    // arn:aws:cloudformation:REGION:ACCOUNT:stackset/NAME:UUID
    let name = text(detail, "stack-set-arn")
        .and_then(|arn| arn.split_once(":stackset/"))
        .and_then(|(_, id)| id.split(':').next())
        .filter(|name| !name.is_empty());
    let Some(name) = name else {
        return DeployTrigger::Invalid("the StackSet event has no valid `stack-set-arn`".into());
    };
    let status = detail.get("status-details").and_then(|details| text(details, "status")).unwrap_or("");
    match status {
        "RUNNING" | "QUEUED" | "STOPPING" => DeployTrigger::Ignored(format!("the operation is still {status}")),
        // An unknown status costs one reconciliation.
        _ => DeployTrigger::OperationEnded(name.to_owned()),
    }
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}
