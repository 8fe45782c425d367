//! The triggers of `preview`: events of CodeCommit about pull requests.

use serde_json::Value;

/// The trigger of a review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReviewTrigger {
    /// The pull request of this id was created, or its source branch was updated.
    PullRequest(String),
    /// A valid event that needs no review.
    Ignored(String),
    /// An invalid event.
    Invalid(String),
}

/// Parses an event for the application that deploys from `repository`.
///
/// <https://docs.aws.amazon.com/codecommit/latest/userguide/monitoring-events.html>
pub fn review_trigger(event: &Value, repository: &str) -> ReviewTrigger {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let kind = text(event, "detail-type").unwrap_or_default();
    if text(event, "source").as_deref() != Some("aws.codecommit") || kind != "CodeCommit Pull Request State Change" {
        let shown: String = kind.chars().take(100).collect();
        return match event.get("source") {
            Some(_) => ReviewTrigger::Ignored(format!("an event `{shown}` is not about a pull request")),
            None => ReviewTrigger::Invalid("the event has no `source`: an EventBridge event is expected".to_owned()),
        };
    }
    let Some(detail) = event.get("detail").filter(|detail| detail.is_object()) else {
        return ReviewTrigger::Invalid("the event has no `detail`".to_owned());
    };
    let named = detail.get("repositoryNames").and_then(Value::as_array).into_iter().flatten();
    // The names are optional: the review reads the repository of the pull request.
    let mut named = named.filter_map(Value::as_str).peekable();
    if named.peek().is_some() && named.all(|name| name != repository) {
        return ReviewTrigger::Ignored(format!("the pull request is not in the repository `{repository}`"));
    }
    let change = text(detail, "event").unwrap_or_default();
    if !matches!(change.as_str(), "pullRequestCreated" | "pullRequestSourceBranchUpdated") {
        let shown: String = change.chars().take(100).collect();
        return ReviewTrigger::Ignored(format!("the event `{shown}` does not change what is reviewed"));
    }
    let id = text(detail, "pullRequestId").filter(|id| {
        // As the API accepts it; the id becomes part of requests.
        (1..=20).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit())
    });
    match id {
        Some(id) => ReviewTrigger::PullRequest(id),
        None => ReviewTrigger::Invalid("the event has no valid `pullRequestId`: digits are expected".to_owned()),
    }
}
