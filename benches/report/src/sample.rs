//! The same events through the logic of the public sample: two calls for every event, and no record.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use sandbox::tools::ensure_python_function;
use serde::Serialize;
use serde_json::Value;

use crate::flood::Flood;
use crate::stage::Stage;
use crate::through::count;

/// The name that its calls have in the journal.
const NAME: &str = "python-sample";

/// What came of it.
#[derive(Debug, Serialize)]
pub(crate) struct Sample {
    pub(crate) events: usize,
    pub(crate) seconds: f64,
    pub(crate) events_per_second: f64,
    pub(crate) calls: BTreeMap<String, usize>,
    pub(crate) calls_per_1000: BTreeMap<String, f64>,
    /// Resources that break their control in the end.
    pub(crate) truly_open: usize,
    /// Findings there are, and those that say that something is broken.
    pub(crate) findings: usize,
    pub(crate) findings_open: usize,
}

pub(crate) fn run(stage: &Stage, root: &Path, flood: &Flood) -> Result<Sample> {
    let python = ensure_python_function(root, &mut |line| eprintln!("{line}"))?;
    stage.know(flood);
    let file = stage.cloud.directory().join("sample.json");
    std::fs::write(&file, serde_json::to_vec(&flood.events)?)?;
    let before = findings(stage).len();
    let mark = stage.cloud.journal().mark();
    let started = Instant::now();
    let mut command = Command::new(python);
    command.arg(root.join("benches/python-sample/run.py")).arg(&file).envs(stage.cloud.environment());
    command.env("NO_PROXY", "127.0.0.1").env("AWS_LAMBDA_FUNCTION_NAME", NAME);
    command
        .env("CONFIG_AGGREGATOR_NAME", sandbox::config::AGGREGATOR)
        .env("ACCOUNT_ID", &stage.cloud.options().account);
    let status = command.status().context("cannot run the public sample's logic")?;
    ensure!(status.success(), "the public sample's logic failed: {status}");
    let seconds = started.elapsed().as_secs_f64();
    let journal = stage.cloud.journal();
    let calls = journal.counts(mark, journal.mark(), Some(NAME));
    let findings = findings(stage);
    ensure!(before == 0, "there were findings of the sample before");
    let events = flood.events.len();
    Ok(Sample {
        events,
        seconds,
        events_per_second: count(events) / seconds,
        calls_per_1000: calls
            .iter()
            .map(|(kind, calls)| (kind.clone(), count(*calls) * 1000.0 / count(events)))
            .collect(),
        calls,
        truly_open: flood.open(),
        findings: findings.len(),
        findings_open: findings.iter().filter(|finding| finding["Compliance"]["Status"] == "FAILED").count(),
    })
}

fn findings(stage: &Stage) -> Vec<Value> {
    let mut findings = stage.cloud.findings();
    findings.retain(|finding| finding["GeneratorId"] == NAME);
    findings
}
