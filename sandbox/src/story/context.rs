//! The deployed application, the policy repository, and helpers of all chapters.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use super::StoryRun;
use super::policy::Checkout;
use crate::client::CloudClient;
use crate::events::samples;
use crate::journal::{Entry, Mark};
use crate::wait;

/// The deployed application and the policy repository.
pub(super) struct StoryContext {
    pub(super) client: CloudClient,
    pub(super) outputs: BTreeMap<String, String>,
    pub(super) checkout: Checkout,
    pub(super) policy: String,
}

/// The digest window: short, because readers wait for its end.
pub(super) const WINDOW_SECONDS: u32 = 4;

pub(super) fn file(story: &StoryRun<'_>, path: &str) -> Result<String> {
    std::fs::read_to_string(story.tools.workspace.join(path)).with_context(|| format!("cannot read `{path}`"))
}

/// Returns the event in a sample file of `events/`, moved to the present: the body of its only message.
pub(super) fn body(story: &StoryRun<'_>, name: &str) -> Result<Value> {
    let batch = samples::read(&story.tools.workspace.join("events").join(name))?;
    let body = batch["Records"][0]["body"].as_str().with_context(|| format!("`{name}` does not have a message"))?;
    Ok(serde_json::from_str(body)?)
}

pub(super) fn bus(context: &StoryContext) -> Result<&str> {
    context.outputs.get("EventBusArn").map(String::as_str).context("no EventBusArn")
}

pub(super) fn short(commit: &str) -> &str {
    commit.get(..8).unwrap_or(commit)
}

pub(super) fn names(calls: &[Entry]) -> Vec<String> {
    calls.iter().map(|call| call.operation.clone()).collect()
}

/// Adds the calls of a function to the summary.
pub(super) fn count(story: &mut StoryRun<'_>, what: &str, function: &str, mark: Mark) {
    let calls = names(&story.cloud.journal().calls_of(function, mark));
    story.listener.detail(&format!("{} AWS calls of {function}: {}.", calls.len(), calls.join(", ")));
    story.summary.calls.push((what.to_owned(), function.to_owned(), calls));
}

/// Waits until the report queue is empty and none of its messages is being processed.
pub(super) fn settle(story: &StoryRun<'_>, context: &StoryContext) -> Result<()> {
    let queue = context.outputs.get("ReportQueueUrl").context("no ReportQueueUrl")?;
    story.wait_for("an empty report queue", || {
        let (waiting, received) = context.client.sqs_depth(queue)?;
        Ok(wait::when((waiting, received) == (0, 0), || format!("{waiting} visible messages, {received} in flight")))
    })
}
