//! What happens to the resources of the member accounts, for stories: floods, lost events, times that are not now.

use std::collections::BTreeMap;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::client::Client;
use crate::cloud::Cloud;
use crate::config::{Compliance, Evaluation, Resource};

/// The control of the starter policy that most resources break.
pub const COVERAGE: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN";

/// The table `carts` of the payments team, which the tag `backup=daily` would bring into an existing plan.
#[must_use]
pub fn carts(compliance: Compliance, at: Timestamp) -> Evaluation {
    Evaluation {
        account: "222222222222".to_owned(),
        region: "eu-west-1".to_owned(),
        control: COVERAGE.to_owned(),
        resource_type: "AWS::DynamoDB::Table".to_owned(),
        resource_id: "carts".to_owned(),
        compliance,
        at: Some(at),
        annotation: None,
    }
}

/// So many volumes of one account and Region, known to Config, that break [`COVERAGE`] from `from` on, a second apart; gives the
/// events.
pub fn flood(cloud: &Cloud, account: &str, region: &str, count: u32, from: Timestamp) -> Vec<Value> {
    let found = (0..count).filter_map(|n| {
        let id = format!("vol-{n:017x}");
        cloud.add_resource(Resource {
            account: account.to_owned(),
            region: region.to_owned(),
            resource_type: "AWS::EC2::Volume".to_owned(),
            resource_id: id.clone(),
            resource_name: String::new(),
            arn: format!("arn:aws:ec2:{region}:{account}:volume/{id}"),
            tags: BTreeMap::from([("owner".to_owned(), "shop-team@example.com".to_owned())]),
            configuration: Value::Null,
        });
        cloud.evaluate(&Evaluation {
            account: account.to_owned(),
            region: region.to_owned(),
            control: COVERAGE.to_owned(),
            resource_type: "AWS::EC2::Volume".to_owned(),
            resource_id: id,
            compliance: Compliance::NonCompliant,
            at: Some(from + SignedDuration::from_secs(i64::from(n))),
            annotation: None,
        })
    });
    found.collect()
}

/// Lets the sweep compare as of a time; gives its answer. It may stop before it is through: then its answer says so.
///
/// # Errors
/// When the function ends with an error.
pub fn sweep(client: &Client, function: &str, at: Timestamp) -> Result<Value> {
    let event = json!({"source": "backup-compliance.schedule", "look": "sweep", "time": at.to_string()});
    client.invoke(function, &event)
}

/// The findings about a resource (a part of its id or ARN), each with its compliance status and record state.
#[must_use]
pub fn findings(cloud: &Cloud, resource: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut findings = cloud.findings();
    findings.retain(|finding| finding["Resources"][0]["Id"].as_str().is_some_and(|id| id.contains(resource)));
    findings.iter().map(|finding| (text(&finding["Compliance"]["Status"]), text(&finding["RecordState"]))).collect()
}
