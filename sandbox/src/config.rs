//! The aggregator queries of AWS Config, over resources that are held in memory.

use std::collections::BTreeMap;
use std::sync::Mutex;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::gateway::Call;
use crate::http::{Request, Response};
use crate::{ids, seed, wire};

/// The one aggregator there is.
pub const AGGREGATOR: &str = "organization";

/// A resource of a member account as Config would record it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// The account, 12 digits.
    pub account: String,
    /// The Region.
    pub region: String,
    /// The type, for instance `AWS::RDS::DBCluster`.
    pub resource_type: String,
    /// The id that compliance events name.
    pub resource_id: String,
    /// The name people know; may be empty.
    #[serde(default)]
    pub resource_name: String,
    /// The ARN.
    #[serde(default)]
    pub arn: String,
    /// The tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// The configuration, in the type's own shape.
    #[serde(default)]
    pub configuration: Value,
}

/// What Config has recorded.
#[derive(Debug)]
pub struct Config {
    account: String,
    region: String,
    resources: Mutex<Vec<Resource>>,
}

impl Config {
    pub(crate) fn new(account: &str, region: &str) -> Self {
        Self { account: account.to_owned(), region: region.to_owned(), resources: Mutex::new(seed::resources()) }
    }

    /// Everything recorded.
    #[must_use]
    pub fn resources(&self) -> Vec<Resource> {
        self.resources.lock().map(|resources| resources.clone()).unwrap_or_default()
    }

    /// Records a resource, in place of one with the same account, Region, type and id.
    pub fn add(&self, resource: Resource) {
        self.remove(&resource.account, &resource.region, &resource.resource_type, &resource.resource_id);
        if let Ok(mut resources) = self.resources.lock() {
            resources.push(resource);
        }
    }

    /// Forgets a resource.
    pub fn remove(&self, account: &str, region: &str, resource_type: &str, resource_id: &str) {
        let is_it = |known: &Resource| {
            (known.account.as_str(), known.region.as_str(), known.resource_type.as_str(), known.resource_id.as_str())
                == (account, region, resource_type, resource_id)
        };
        if let Ok(mut resources) = self.resources.lock() {
            resources.retain(|known| !is_it(known));
        }
    }

    /// Records one resource, or a list of them, given as JSON.
    pub(crate) fn add_json(&self, body: &Value) -> Result<usize> {
        let list = if body.is_array() { body.clone() } else { json!([body]) };
        let resources: Vec<Resource> = serde_json::from_value(list)
            .context("a resource has account, region, resourceType, resourceId and may have resourceName, arn, tags, configuration")?;
        let count = resources.len();
        resources.into_iter().for_each(|resource| self.add(resource));
        Ok(count)
    }

    pub(crate) fn answer(&self, call: &Call, request: &Request) -> Response {
        let Ok(ask) = serde_json::from_slice::<Value>(&request.body) else {
            return wire::json_error(400, "SerializationException", "the body is not JSON");
        };
        if call.operation == "DescribeConfigurationAggregators" {
            return wire::json_response(&self.aggregators());
        }
        let aggregator = ask["ConfigurationAggregatorName"].as_str().unwrap_or_default();
        if aggregator != AGGREGATOR {
            let message = format!("The configuration aggregator does not exist: {aggregator}");
            return wire::json_error(400, "NoSuchConfigurationAggregatorException", &message);
        }
        match call.operation.as_str() {
            "BatchGetAggregateResourceConfig" => wire::json_response(&self.batch_get(&ask)),
            "GetAggregateResourceConfig" => match self.find(&ask["ResourceIdentifier"]) {
                Some(resource) => wire::json_response(&json!({"ConfigurationItem": item(&resource, true)})),
                None => wire::json_error(400, "ResourceNotDiscoveredException", "Resource is not discovered"),
            },
            "SelectAggregateResourceConfig" => {
                match select(&self.resources(), ask["Expression"].as_str().unwrap_or_default()) {
                    Some((fields, rows)) => {
                        let fields: Vec<Value> = fields.iter().map(|name| json!({"Name": name})).collect();
                        wire::json_response(&json!({"Results": rows, "QueryInfo": {"SelectFields": fields}}))
                    }
                    None => wire::json_error(
                        400,
                        "InvalidExpressionException",
                        "the sandbox reads SELECT fields WHERE field = 'text' AND field IN ('text', …)",
                    ),
                }
            }
            other => wire::json_error(400, "InvalidAction", &format!("the sandbox's Config has no {other}")),
        }
    }

    fn aggregators(&self) -> Value {
        let arn =
            format!("arn:aws:config:{}:{}:config-aggregator/config-aggregator-sandbox", self.region, self.account);
        json!({"ConfigurationAggregators": [{
            "ConfigurationAggregatorName": AGGREGATOR, "ConfigurationAggregatorArn": arn,
            "OrganizationAggregationSource": {"AllAwsRegions": true, "RoleArn": format!("arn:aws:iam::{}:role/config", self.account)},
        }]})
    }

    fn find(&self, identifier: &Value) -> Option<Resource> {
        self.resources().into_iter().find(|resource| {
            identifier["SourceAccountId"] == resource.account.as_str()
                && identifier["SourceRegion"] == resource.region.as_str()
                && identifier["ResourceType"] == resource.resource_type.as_str()
                && identifier["ResourceId"] == resource.resource_id.as_str()
        })
    }

    fn batch_get(&self, ask: &Value) -> Value {
        let (mut found, mut unprocessed) = (Vec::new(), Vec::new());
        for identifier in ask["ResourceIdentifiers"].as_array().into_iter().flatten() {
            match self.find(identifier) {
                Some(resource) => found.push(item(&resource, false)),
                None => unprocessed.push(identifier.clone()),
            }
        }
        json!({"BaseConfigurationItems": found, "UnprocessedResourceIdentifiers": unprocessed})
    }
}

/// A configuration item; the base form, which batch calls give, has no tags.
fn item(resource: &Resource, whole: bool) -> Value {
    let mut item = json!({
        "version": "1.3", "accountId": resource.account, "awsRegion": resource.region, "resourceType": resource.resource_type,
        "resourceId": resource.resource_id, "arn": resource.arn, "configurationItemStatus": "OK",
        "configuration": resource.configuration.to_string(), "supplementaryConfiguration": {},
    });
    if !resource.resource_name.is_empty() {
        item["resourceName"] = json!(resource.resource_name);
    }
    if whole {
        item["tags"] = json!(resource.tags);
        item["relationships"] = json!([]);
    }
    item
}

/// Runs an expression of the simple kind; gives the fields and one JSON text for each resource found.
fn select(resources: &[Resource], expression: &str) -> Option<(Vec<String>, Vec<String>)> {
    let expression = expression.split_whitespace().collect::<Vec<_>>().join(" ");
    let upper = expression.to_ascii_uppercase();
    let body = upper.starts_with("SELECT ").then(|| expression.get(7..)).flatten()?;
    let at = upper.get(7..)?.find(" WHERE ");
    let (fields, condition) = at.map_or((body, ""), |at| (&body[..at], &body[at + 7..]));
    let fields: Vec<String> = fields.split(',').map(|field| field.trim().to_owned()).collect();
    let conditions: Option<Vec<_>> = split_and(condition).into_iter().map(parse_condition).collect();
    let conditions = conditions?;
    let row = |resource: &Resource| {
        let whole = row_of(resource);
        let picked: serde_json::Map<String, Value> = if fields.iter().any(|field| field == "*") {
            whole.as_object().cloned().unwrap_or_default()
        } else {
            fields.iter().filter_map(|field| Some((field.clone(), whole.get(field)?.clone()))).collect()
        };
        Value::Object(picked).to_string()
    };
    let holds = |resource: &&Resource| {
        let whole = row_of(resource);
        conditions.iter().all(|(field, values)| values.iter().any(|value| whole[field] == value.as_str()))
    };
    Some((fields.clone(), resources.iter().filter(holds).map(row).collect()))
}

fn row_of(resource: &Resource) -> Value {
    let tags =
        resource.tags.iter().map(|(key, value)| json!({"key": key, "value": value, "tag": format!("{key}={value}")}));
    json!({
        "accountId": resource.account, "awsRegion": resource.region, "resourceType": resource.resource_type,
        "resourceId": resource.resource_id, "resourceName": resource.resource_name, "arn": resource.arn,
        "tags": tags.collect::<Vec<_>>(), "configuration": resource.configuration,
        "configurationItemCaptureTime": ids::now_millis(),
    })
}

fn split_and(condition: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut quoted, mut start) = (false, 0);
    for (at, character) in condition.char_indices() {
        quoted ^= character == '\'';
        if !quoted && at >= start && condition.get(at..at + 5).is_some_and(|word| word.eq_ignore_ascii_case(" AND ")) {
            parts.push(&condition[start..at]);
            start = at + 5;
        }
    }
    parts.push(condition.get(start..).unwrap_or_default());
    parts.retain(|part| !part.trim().is_empty());
    parts
}

fn parse_condition(text: &str) -> Option<(String, Vec<String>)> {
    let unquote = |text: &str| text.trim().strip_prefix('\'')?.strip_suffix('\'').map(str::to_owned);
    if let Some((field, value)) = text.split_once('=') {
        return Some((field.trim().to_owned(), vec![unquote(value)?]));
    }
    let at = text.to_ascii_uppercase().find(" IN ")?;
    let list = text[at + 4..].trim().strip_prefix('(')?.strip_suffix(')')?;
    let values: Option<Vec<_>> = list.split(',').map(unquote).collect();
    Some((text[..at].trim().to_owned(), values?))
}

#[cfg(test)]
mod tests;
