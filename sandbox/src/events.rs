//! Delivers events of AWS services as EventBridge does.
//!
//! MiniStack, like AWS, rejects `PutEvents` with a source that begins with `aws.`. So this module reads the rules of
//! the bus, matches their patterns with MiniStack's `TestEventPattern`, and sends the matching events to the targets.

pub mod samples;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::client::CloudClient;
use crate::ids;

/// Creates an event in EventBridge's envelope, with a new id and the current time.
pub fn event(
    account: &str,
    region: &str,
    source: &str,
    detail_type: &str,
    resources: &[String],
    detail: &Value,
) -> Value {
    json!({
        "version": "0", "id": ids::uuid(), "detail-type": detail_type, "source": source, "account": account,
        "time": ids::now_seconds(), "region": region, "resources": resources, "detail": detail,
    })
}

/// Delivers an event to a bus (`default`, or the name or ARN of another); returns the names of the rules it matched.
pub fn deliver(client: &CloudClient, bus: &str, event: &Value) -> Result<Vec<String>> {
    deliver_all(client, bus, std::slice::from_ref(event))
}

/// Delivers events, those for queues in batches of ten; returns the names of the rules that matched any of them.
pub fn deliver_all(client: &CloudClient, bus: &str, events: &[Value]) -> Result<Vec<String>> {
    // For MiniStack, an ARN is the name of a bus without rules.
    let bus = bus.rsplit_once("event-bus/").map_or(bus, |(_, name)| name);
    client.json("events", "AWSEvents.DescribeEventBus", &json!({"Name": bus}))?;
    let mut matched = Vec::new();
    let rules = client.json("events", "AWSEvents.ListRules", &json!({"EventBusName": bus}))?;
    for rule in rules["Rules"].as_array().into_iter().flatten() {
        let (Some(name), Some(pattern)) = (rule["Name"].as_str(), rule["EventPattern"].as_str()) else { continue };
        if rule["State"] == "DISABLED" {
            continue;
        }
        let mut matching = Vec::new();
        for event in events {
            if matches(client, pattern, event)? {
                matching.push(event);
            }
        }
        if matching.is_empty() {
            continue;
        }
        matched.push(name.to_owned());
        let ask = json!({"Rule": name, "EventBusName": bus});
        let targets = client.json("events", "AWSEvents.ListTargetsByRule", &ask)?;
        for target in targets["Targets"].as_array().into_iter().flatten() {
            send(client, target, &matching)
                .with_context(|| format!("deliver an event to a target of the rule `{name}`"))?;
        }
    }
    Ok(matched)
}

/// Whether a pattern matches an event, by MiniStack's `TestEventPattern`.
pub fn matches(client: &CloudClient, pattern: &str, event: &Value) -> Result<bool> {
    let ask = json!({"EventPattern": pattern, "Event": event.to_string()});
    Ok(client.json("events", "AWSEvents.TestEventPattern", &ask)?["Result"] == true)
}

fn send(client: &CloudClient, target: &Value, events: &[&Value]) -> Result<()> {
    let arn = target["Arn"].as_str().unwrap_or_default();
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let inputs: Vec<String> = events.iter().map(|event| input(target, event)).collect();
    match (parts.get(2).copied(), parts.get(5).copied()) {
        (Some("sqs"), Some(queue)) => {
            let url = client.json("sqs", "AmazonSQS.GetQueueUrl", &json!({"QueueName": queue}))?;
            let url = url["QueueUrl"].as_str().context("GetQueueUrl gave no URL")?;
            match target["SqsParameters"]["MessageGroupId"].as_str() {
                Some(group) => inputs.iter().try_for_each(|input| client.sqs_send(url, input, Some(group))),
                None => client.sqs_send_all(url, &inputs),
            }
        }
        (Some("lambda"), Some(_)) => inputs.into_iter().try_for_each(|input| {
            let path = format!("/2015-03-31/functions/{}/invocations", crate::wire::percent_encode(arn));
            let request =
                crate::http::HttpRequest::new("POST", &path).header("x-amz-invocation-type", "Event").body(input);
            client.send("lambda", request).map(drop)
        }),
        (Some("events"), Some(bus)) => {
            let events: Vec<Value> = events.iter().map(|event| (*event).clone()).collect();
            deliver_all(client, bus, &events).map(drop)
        }
        _ => anyhow::bail!("target `{arn}` is not supported: use a queue, a function or a bus"),
    }
}

/// Returns the input of a target: `Input`, the part at `InputPath`, or the whole event.
fn input(target: &Value, event: &Value) -> String {
    if let Some(constant) = target["Input"].as_str() {
        return constant.to_owned();
    }
    let path = target["InputPath"].as_str().unwrap_or("$");
    let part = path.trim_start_matches('$').split('.').filter(|name| !name.is_empty());
    part.fold(event, |value, name| &value[name]).to_string()
}

#[cfg(test)]
mod tests;
