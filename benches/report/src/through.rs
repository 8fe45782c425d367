//! A flood through the whole application: what it costs in calls, what people get, and whether anything is lost.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::Serialize;
use serde_json::Value;

use crate::flood::Flood;
use crate::stage::Stage;

/// The longest that a flood may take.
const PATIENCE: Duration = Duration::from_secs(1800);

/// What came of a flood.
#[derive(Debug, Serialize)]
pub(crate) struct Through {
    pub(crate) events: usize,
    /// The length of the window in this run; the application's own default is 300.
    pub(crate) window_seconds: Option<u32>,
    /// From the first message to the last notice.
    pub(crate) seconds: f64,
    /// Violations that must be on record, and those that must be open.
    pub(crate) expected: usize,
    pub(crate) expected_open: usize,
    /// Records there are, open ones, and ones that still owe something.
    pub(crate) records: usize,
    pub(crate) open: usize,
    pub(crate) owing: usize,
    /// Violations that are missing, or open and should not be, or the other way round.
    pub(crate) lost: usize,
    pub(crate) dead_letters: u64,
    /// Notices to people, by kind.
    pub(crate) notices: BTreeMap<String, usize>,
    /// Findings, by their compliance status.
    pub(crate) findings: BTreeMap<String, usize>,
    /// Calls of `report`, by kind.
    pub(crate) calls: BTreeMap<String, usize>,
    pub(crate) calls_per_1000: BTreeMap<String, f64>,
    /// Invocations of `report`, and how long they took together; nothing where its log does not tell.
    pub(crate) invocations: Option<usize>,
    pub(crate) billed_seconds: Option<f64>,
    pub(crate) memory_mb: f64,
    /// The mean size of a record.
    pub(crate) record_bytes: usize,
}

/// Sends the flood to the report queue and waits until everything is told.
pub(crate) fn run(stage: &Stage, flood: &Flood) -> Result<Through> {
    stage.know(flood);
    let queue = stage.output("ReportQueueUrl")?;
    let bodies: Vec<String> = flood.events.iter().map(Value::to_string).collect();
    let mails_before = stage.cloud.mails().len();
    let from = stage.cloud.journal().mark();
    let started = Instant::now();
    stage.client.sqs_send_all(queue, &bodies)?;
    eprintln!("{} events sent in {:.1} s", bodies.len(), started.elapsed().as_secs_f64());
    let items = drained(stage, queue, started)?;
    let seconds = started.elapsed().as_secs_f64();
    let calls = stage.cloud.journal().counts(from, stage.cloud.journal().mark(), Some("report"));

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
    for mail in stage.cloud.mails().into_iter().skip(mails_before) {
        *notices.entry(mail.kind).or_default() += 1;
    }
    let mut findings = BTreeMap::new();
    for finding in stage.cloud.findings() {
        let status = finding["Compliance"]["Status"].as_str().unwrap_or("none").to_owned();
        *findings.entry(status).or_default() += 1;
    }
    let dead = stage.output("ReportDeadLetterQueueUrl").and_then(|queue| stage.client.sqs_depth(queue))?;
    let (invocations, billed_seconds) = invocations(stage)?;
    let thousands = count(flood.events.len()) / 1000.0;
    Ok(Through {
        events: flood.events.len(),
        window_seconds: stage.window_seconds,
        seconds,
        expected: flood.expected.len(),
        expected_open: flood.open(),
        records: items.len(),
        open: found.values().filter(|open| **open).count(),
        owing: items.iter().filter(|item| owes(item)).count(),
        lost: lost.count(),
        dead_letters: dead.0 + dead.1,
        notices,
        findings,
        calls_per_1000: calls.iter().map(|(kind, calls)| (kind.clone(), count(*calls) / thousands)).collect(),
        calls,
        invocations,
        billed_seconds,
        memory_mb: stage.memory_mb("ReportFunction")?,
        record_bytes: bytes / items.len().max(1),
    })
}

/// Waits until the queue is empty, nothing of it is in work or delayed, and no record owes anything; gives the records.
fn drained(stage: &Stage, queue: &str, started: Instant) -> Result<Vec<Value>> {
    let mut shown = Instant::now();
    loop {
        let (waiting, delayed) = (stage.client.sqs_depth(queue)?, stage.client.sqs_delayed(queue)?);
        if (waiting, delayed) == ((0, 0), 0) {
            let mut items = stage.client.scan(stage.output("StateTableName")?)?;
            items.retain(|item| item["pk"]["S"].as_str().is_some_and(|pk| pk.starts_with("violation#")));
            let quiet = stage.client.sqs_depth(queue)? == (0, 0) && stage.client.sqs_delayed(queue)? == 0;
            if quiet && !items.iter().any(owes) {
                return Ok(items);
            }
            // A record that owes something and has no flush on its way waits for the sweep: that is for the figures to show.
            if quiet && started.elapsed() > Duration::from_secs(60) {
                return Ok(items);
            }
        }
        if started.elapsed() > PATIENCE {
            bail!("after {} s the report queue still has {waiting:?} and {delayed} delayed", PATIENCE.as_secs());
        }
        if shown.elapsed() > Duration::from_secs(10) {
            shown = Instant::now();
            eprintln!("{} waiting, {} in work, {delayed} delayed", waiting.0, waiting.1);
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn owes(item: &Value) -> bool {
    item["pending_group"]["S"].is_string()
}

/// As DynamoDB counts it: names and values.
fn size(item: &Value) -> usize {
    let value = |value: &Value| {
        value.as_object().into_iter().flatten().map(|(_, value)| value.as_str().map_or(1, str::len)).sum::<usize>()
    };
    item.as_object().into_iter().flatten().map(|(name, attribute)| name.len() + value(attribute)).sum()
}

/// What the platform's own log lines say: how often `report` was invoked, and how long it took in all.
fn invocations(stage: &Stage) -> Result<(Option<usize>, Option<f64>)> {
    let function = stage.output("ReportFunction")?;
    let groups = [format!("/aws/lambda/{function}"), format!("/aws/lambda/{}-report", sandbox::app::STACK)];
    let lines: Vec<String> = groups.iter().filter_map(|group| stage.client.logs(group, "").ok()).flatten().collect();
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

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(crate) fn count(number: usize) -> f64 {
    number as f64
}
