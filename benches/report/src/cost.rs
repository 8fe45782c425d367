//! The cost of a million events at list prices, from the calls of a flood.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use bench_common::count;

use crate::run::FloodRun;

const PRICES: &str = include_str!("../prices.json");

/// The price list: `prices.json` in this crate's folder.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Prices {
    region: String,
    prices: BTreeMap<String, Price>,
    left_out: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Price {
    usd: f64,
    per: f64,
    what: String,
    source: String,
    date: String,
}

impl Price {
    fn line(&self, units: f64, how: String) -> CostLine {
        CostLine {
            what: self.what.clone(),
            units,
            how,
            usd: units * self.usd / self.per,
            source: self.source.clone(),
            date: self.date.clone(),
        }
    }
}

/// The cost of a million events.
#[derive(Debug, Serialize)]
pub(crate) struct Cost {
    pub(crate) region: String,
    pub(crate) lines: Vec<CostLine>,
    pub(crate) total_usd: f64,
    pub(crate) left_out: Vec<String>,
}

/// The cost of one kind of unit.
#[derive(Debug, Serialize)]
pub(crate) struct CostLine {
    pub(crate) what: String,
    /// Units per million events.
    pub(crate) units: f64,
    /// How the units were counted.
    pub(crate) how: String,
    pub(crate) usd: f64,
    pub(crate) source: String,
    pub(crate) date: String,
}

pub(crate) fn of(flood: &FloodRun) -> Result<Cost> {
    let prices: Prices = serde_json::from_str(PRICES).context("prices.json")?;
    let events = count(flood.events);
    let calls = |kinds: &[&str]| -> f64 {
        kinds.iter().map(|kind| count(flood.calls.get(*kind).copied().unwrap_or_default())).sum()
    };
    let writes = calls(&["dynamodb:PutItem", "dynamodb:UpdateItem"]);
    let units = count(flood.record_bytes.div_ceil(1024));
    let reads = calls(&["dynamodb:Query", "dynamodb:GetItem", "dynamodb:BatchGetItem"]);
    let sent = calls(&["sqs:SendMessage", "sqs:SendMessageBatch"]);
    let notices: usize = flood.notices.values().sum();
    let transitions = count(flood.expected) + count(flood.expected - flood.expected_open);
    let mut counted = vec![
        (
            "sqsRequest",
            1.2 * events + sent,
            "one send per event, a tenth each for receive and delete in tens, and the sends of report".to_owned(),
        ),
        (
            "dynamodbWrite",
            writes * units * 3.0,
            format!("upper limit: {} B per record, each write also writes both indexes", flood.record_bytes),
        ),
        (
            "dynamodbRead",
            events + count(flood.expected) * count(flood.record_bytes.div_ceil(4096)) + reads,
            "upper limit: each event reads its record, each batched record is read once more, and one per call"
                .to_owned(),
        ),
        ("snsPublish", count(notices), "notices".to_owned()),
        (
            "eventbridgeCustom",
            transitions.min(10.0 * calls(&["events:PutEvents"])),
            "upper limit: all transitions, ten per call".to_owned(),
        ),
        ("eventbridgeDelivered", events, "each event comes from another account".to_owned()),
    ];
    let mut left_out = prices.left_out.clone();
    match (flood.invocations, flood.billed_seconds) {
        (Some(invocations), Some(seconds)) => {
            counted.push(("lambdaRequest", count(invocations), "invocations in the sandbox".to_owned()));
            let how = format!("duration in the sandbox, at {} MB", flood.memory_mb);
            counted.push(("lambdaGbSecond", seconds * flood.memory_mb / 1024.0, how));
        }
        _ => left_out.push("Lambda: the sandbox's log does not report invocations and durations".to_owned()),
    }
    let mut lines = Vec::new();
    for (name, units, how) in counted {
        let price = prices.prices.get(name).with_context(|| format!("prices.json has no `{name}`"))?;
        lines.push(price.line(units * 1e6 / events, how));
    }
    let total_usd = lines.iter().map(|line| line.usd).sum();
    Ok(Cost { region: prices.region, lines, total_usd, left_out })
}

#[cfg(test)]
mod tests;
