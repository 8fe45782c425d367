//! The triggers of `deploy`. Each only starts a reconciliation.

use serde_json::Value;

/// The key of the object with the policy, if the policy is in S3.
pub const OBJECT_KEY: &str = "policy.zip";

/// The place of a policy. Changes elsewhere are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyPlace<'a> {
    /// A branch of a CodeCommit repository.
    Branch {
        /// The repository.
        repository: &'a str,
        /// The branch.
        branch: &'a str,
    },
    /// The object [`OBJECT_KEY`] in a bucket of S3.
    Object {
        /// The bucket.
        bucket: &'a str,
    },
}

/// The trigger of a reconciliation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeployTrigger {
    /// The configured branch was created or updated, or the object has a new version.
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

/// Parses an event for the application that deploys the policy at this place.
pub fn trigger(event: &Value, place: PolicyPlace<'_>) -> DeployTrigger {
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
            |detail| push(detail, place),
        ),
        // A deleted object deploys nothing, like a deleted branch; its event has another type.
        ("aws.s3", Some("Object Created")) => detail.map_or_else(
            || DeployTrigger::Invalid("the S3 event has no `detail`".into()),
            |detail| object(detail, place),
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

fn push(detail: &Value, place: PolicyPlace<'_>) -> DeployTrigger {
    let named = text(detail, "repositoryName").unwrap_or("");
    let PolicyPlace::Branch { repository, branch } = place else {
        return DeployTrigger::Ignored(format!("repository `{named}` is not the source of the policy, which is in S3"));
    };
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

/// The order of events does not matter, so their `sequencer` is not read: a reconciliation reads the current version.
fn object(detail: &Value, place: PolicyPlace<'_>) -> DeployTrigger {
    let of = |member: &str, key: &str| detail.get(member).and_then(|member| text(member, key)).unwrap_or("");
    let (named, key) = (of("bucket", "name"), of("object", "key"));
    let PolicyPlace::Object { bucket } = place else {
        return DeployTrigger::Ignored(format!(
            "the bucket `{named}` is not the source of the policy, which is in CodeCommit"
        ));
    };
    if named != bucket {
        return DeployTrigger::Ignored(format!("the bucket `{named}` is not `{bucket}`"));
    }
    if key != OBJECT_KEY {
        return DeployTrigger::Ignored(format!("the object `{key}` is not `{OBJECT_KEY}`"));
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
