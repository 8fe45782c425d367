//! The events of a flood, and the expected records at its end.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// The accounts and Regions of the starter policy.
const ACCOUNTS: [&str; 3] = ["111111111111", "222222222222", "333333333333"];
const REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];

/// Controls of the starter policy, each with a resource type and the prefix of its rules.
const CONTROLS: [(&str, &str, &str); 3] = [
    ("BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN", "AWS::EC2::Volume", "EBS-"),
    ("BACKUP_LAST_RECOVERY_POINT_CREATED", "AWS::DynamoDB::Table", "DYNAMODB-"),
    ("BACKUP_RECOVERY_POINT_ENCRYPTED", "AWS::Backup::RecoveryPoint", ""),
];

/// A violation: account, Region, control, type, id.
pub(crate) type FloodKey = (&'static str, &'static str, &'static str, &'static str, String);

/// Of ten events, eight are first results, one is a duplicate, and one reports a resource as compliant again. Their
/// order is random, as of events from many accounts.
#[derive(Debug)]
pub(crate) struct Flood {
    pub(crate) events: Vec<Value>,
    /// Whether the violation is open at the end.
    pub(crate) expected: BTreeMap<FloodKey, bool>,
}

impl Flood {
    /// Creates this many events within half an hour from `from`; equal for equal numbers.
    pub(crate) fn new(count: usize, from: Timestamp) -> Self {
        Self::beginning_with(0, count, from)
    }

    /// Creates events of resources that are numbered from `first`.
    pub(crate) fn beginning_with(first: usize, count: usize, from: Timestamp) -> Self {
        let (mut events, mut expected) = (Vec::with_capacity(count), BTreeMap::new());
        let mut number = first;
        while events.len() < count {
            let at = from + SignedDuration::from_millis(i64::try_from(number % 1000).unwrap_or_default() * 600);
            let flood_key = flood_key(number);
            let first = event(&flood_key, number, "NON_COMPLIANT", at);
            let second = match number % 8 {
                6 => Some(first.clone()),
                7 => Some(event(&flood_key, number, "COMPLIANT", at + SignedDuration::from_mins(10))),
                _ => None,
            };
            let closes = second.as_ref().is_some_and(|second| *second != first);
            events.push(first);
            let added = second.is_some() && events.len() < count;
            events.extend(second.filter(|_| added));
            expected.insert(flood_key, !(closes && added));
            number += 1;
        }
        shuffle(&mut events);
        Self { events, expected }
    }

    /// Returns the number of open violations at the end.
    pub(crate) fn open(&self) -> usize {
        self.expected.values().filter(|open| **open).count()
    }

    /// Returns the payloads of a function that receives batches of this size.
    pub(crate) fn batches(&self, size: usize) -> Vec<String> {
        self.events.chunks(size).enumerate().map(|(n, events)| batch(n, events).to_string()).collect()
    }
}

/// Returns a batch of queue messages with these bodies.
pub(crate) fn batch(number: usize, events: &[Value]) -> Value {
    let record = |(n, event): (usize, &Value)| {
        json!({
            "messageId": format!("{number:08x}-0000-4000-8000-{n:012x}"), "receiptHandle": "handle", "body": event.to_string(),
            "attributes": {"ApproximateReceiveCount": "1"}, "messageAttributes": {}, "md5OfBody": "", "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:report", "awsRegion": "us-east-1",
        })
    };
    json!({"Records": events.iter().enumerate().map(record).collect::<Vec<_>>()})
}

fn flood_key(number: usize) -> FloodKey {
    let (control, kind, _) = CONTROLS[number % 3];
    let (account, region) = (ACCOUNTS[number / 3 % 3], REGIONS[number / 9 % 2]);
    let id = match kind {
        "AWS::EC2::Volume" => format!("vol-{number:017x}"),
        "AWS::DynamoDB::Table" => format!("table-{number}"),
        _ => format!("arn:aws:ec2:{region}::snapshot/snap-{number:017x}"),
    };
    (account, region, control, kind, id)
}

fn event((account, region, control, kind, id): &FloodKey, number: usize, compliance: &str, at: Timestamp) -> Value {
    let prefix = CONTROLS.iter().find(|(name, _, _)| name == control).map_or("", |(_, _, prefix)| prefix);
    let name = format!("{prefix}{control}-1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d");
    let time = |seconds: i64| format!("{:.3}", at + SignedDuration::from_secs(seconds));
    json!({
        "version": "0", "id": format!("{number:08x}-0000-4000-9000-{:012x}", compliance.len()), "source": "aws.config",
        "detail-type": "Config Rules Compliance Change", "account": account, "region": region, "resources": [], "time": time(3),
        "detail": {
            "resourceId": id, "resourceType": kind, "awsRegion": region, "awsAccountId": account, "configRuleName": name,
            "recordVersion": "1.0", "messageType": "ComplianceChangeNotification", "notificationCreationTime": time(3),
            "configRuleARN":
                format!("arn:aws:config:{region}:{account}:config-rule/aws-service-rule/backup.amazonaws.com/config-rule-ab12cd"),
            "newEvaluationResult": {
                "evaluationResultIdentifier": {
                    "evaluationResultQualifier": {
                        "configRuleName": name, "resourceType": kind, "resourceId": id, "evaluationMode": "DETECTIVE",
                    },
                    "orderingTimestamp": time(0),
                },
                "complianceType": compliance, "resultRecordedTime": time(2), "configRuleInvokedTime": time(1),
            },
        },
    })
}

/// Shuffles the events, in the same order each time.
fn shuffle(events: &mut [Value]) {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for at in (1..events.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let other = usize::try_from(seed >> 33).unwrap_or_default() % (at + 1);
        events.swap(at, other);
    }
}

#[cfg(test)]
mod tests;
