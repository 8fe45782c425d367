//! A flood through the whole application: its calls, its notices, and lost violations.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::Serialize;
use serde_json::Value;

use bench_common::count;

use crate::application::DeployedApplication;
use crate::flood::Flood;

/// The timeout of a flood.
const PATIENCE: Duration = Duration::from_secs(1800);

/// The figures of a flood.
#[derive(Debug, Serialize)]
pub(crate) struct FloodRun {
    pub(crate) events: usize,
    /// The digest window of this run, in seconds; the application's default is 300.
    pub(crate) window_seconds: Option<u32>,
    /// From the first message to the last notice.
    pub(crate) seconds: f64,
    /// Expected records, and expected open ones.
    pub(crate) expected: usize,
    pub(crate) expected_open: usize,
    /// Records, open ones, and ones with a pending delivery.
    pub(crate) records: usize,
    pub(crate) open: usize,
    pub(crate) pending: usize,
    /// Violations that are missing or have the wrong status.
    pub(crate) lost: usize,
    pub(crate) dead_letters: u64,
    /// Notices to subscribers, by kind.
    pub(crate) notices: BTreeMap<String, usize>,
    /// Findings, by compliance status.
    pub(crate) findings: BTreeMap<String, usize>,
    /// Calls of `report`, by kind.
    pub(crate) calls: BTreeMap<String, usize>,
    pub(crate) calls_per_1000: BTreeMap<String, f64>,
    /// Invocations of `report` and their total duration; `None` if its log does not report them.
    pub(crate) invocations: Option<usize>,
    pub(crate) billed_seconds: Option<f64>,
    pub(crate) memory_mb: f64,
    /// The mean size of a record.
    pub(crate) record_bytes: usize,
}

/// Sends the flood to the report queue and waits until all notices are delivered.
pub(crate) fn run(application: &DeployedApplication, flood: &Flood) -> Result<FloodRun> {
    application.add_resources(flood);
    let queue = application.output("ReportQueueUrl")?;
    let bodies: Vec<String> = flood.events.iter().map(Value::to_string).collect();
    let mails_before = application.cloud.notices().len();
    let from = application.cloud.journal().mark();
    let started = Instant::now();
    application.client.sqs_send_all(queue, &bodies)?;
    eprintln!("{} events sent in {:.1} s", bodies.len(), started.elapsed().as_secs_f64());
    let items = drained(application, queue, started)?;
    let seconds = started.elapsed().as_secs_f64();
    let calls = application.cloud.journal().counts(from, application.cloud.journal().mark(), Some("report"));

    let mut found: BTreeMap<String, bool> = BTreeMap::new();
    let mut bytes = 0;
    for item in &items {
        let text = |name: &str| item[name]["S"].as_str().unwrap_or_default();
        let document: Value = serde_json::from_str(text("document")).unwrap_or_default();
        found.insert(format!("{}/{}", text("pk"), text("sk")), document["status"] == "open");
        bytes += size(item);
    }
    let lost = flood.expected.iter().filter(|((account, region, control, kind, id), open)| {
        found.get(&format!("violation#{account}#{region}/{control}#{kind}#{id}")) != Some(open)
    });
    let mut notices = BTreeMap::new();
    for mail in application.cloud.notices().into_iter().skip(mails_before) {
        *notices.entry(mail.kind).or_default() += 1;
    }
    let mut findings = BTreeMap::new();
    for finding in application.cloud.findings() {
        let status = finding["Compliance"]["Status"].as_str().unwrap_or("none").to_owned();
        *findings.entry(status).or_default() += 1;
    }
    let dead = application.output("ReportDeadLetterQueueUrl").and_then(|queue| application.client.sqs_depth(queue))?;
    let (invocations, billed_seconds) = invocations(application)?;
    let thousands = count(flood.events.len()) / 1000.0;
    Ok(FloodRun {
        events: flood.events.len(),
        window_seconds: application.window_seconds,
        seconds,
        expected: flood.expected.len(),
        expected_open: flood.open(),
        records: items.len(),
        open: found.values().filter(|open| **open).count(),
        pending: items.iter().filter(|item| is_pending(item)).count(),
        lost: lost.count(),
        dead_letters: dead.0 + dead.1,
        notices,
        findings,
        calls_per_1000: calls.iter().map(|(kind, calls)| (kind.clone(), count(*calls) / thousands)).collect(),
        calls,
        invocations,
        billed_seconds,
        memory_mb: application.memory_mb("ReportFunction")?,
        record_bytes: bytes / items.len().max(1),
    })
}

/// Waits until the queue has no message and no record has a pending delivery; returns the records.
fn drained(application: &DeployedApplication, queue: &str, started: Instant) -> Result<Vec<Value>> {
    let mut shown = Instant::now();
    loop {
        let (waiting, delayed) = (application.client.sqs_depth(queue)?, application.client.sqs_delayed(queue)?);
        if (waiting, delayed) == ((0, 0), 0) {
            let mut items = application.client.scan(application.output("StateTableName")?)?;
            items.retain(|item| item["pk"]["S"].as_str().is_some_and(|pk| pk.starts_with("violation#")));
            let is_idle = application.client.sqs_depth(queue)? == (0, 0) && application.client.sqs_delayed(queue)? == 0;
            if is_idle && !items.iter().any(is_pending) {
                return Ok(items);
            }
            // A pending delivery without a flush message waits for the sweep: the figures show it.
            if is_idle && started.elapsed() > Duration::from_secs(60) {
                return Ok(items);
            }
        }
        if started.elapsed() > PATIENCE {
            bail!("the report queue is not empty after {} s: {waiting:?}, {delayed} delayed", PATIENCE.as_secs());
        }
        if shown.elapsed() > Duration::from_secs(10) {
            shown = Instant::now();
            eprintln!("{} visible, {} in flight, {delayed} delayed", waiting.0, waiting.1);
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn is_pending(item: &Value) -> bool {
    item["pending_group"]["S"].is_string()
}

/// Returns the size as DynamoDB counts it: names and values.
fn size(item: &Value) -> usize {
    let value = |value: &Value| {
        value.as_object().into_iter().flatten().map(|(_, value)| value.as_str().map_or(1, str::len)).sum::<usize>()
    };
    item.as_object().into_iter().flatten().map(|(name, attribute)| name.len() + value(attribute)).sum()
}

/// Reads the platform's log lines: the invocations of `report`, and their total duration.
fn invocations(application: &DeployedApplication) -> Result<(Option<usize>, Option<f64>)> {
    let function = application.output("ReportFunction")?;
    let groups = [format!("/aws/lambda/{function}"), format!("/aws/lambda/{}-report", sandbox::app::STACK)];
    let lines: Vec<String> =
        groups.iter().filter_map(|group| application.client.logs(group, "").ok()).flatten().collect();
    let reports: Vec<&String> = lines.iter().filter(|line| line.starts_with("REPORT RequestId")).collect();
    if reports.is_empty() {
        return Ok((None, None));
    }
    let duration = |line: &str| {
        let text = line.split("Billed Duration:").nth(1)?.trim();
        text.split(' ').next()?.parse::<f64>().ok()
    };
    let milliseconds: Option<f64> = reports.iter().map(|line| duration(line)).sum();
    Ok((Some(reports.len()), milliseconds.map(|milliseconds| milliseconds / 1000.0)))
}
