//! The flood through the logic of the public sample, which makes two calls for each event and stores no record.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use serde_json::Value;

use bench_common::count;
use sandbox::tools::ensure_python_function;

use crate::application::DeployedApplication;
use crate::flood::Flood;

/// The name of its calls in the journal.
const NAME: &str = "python-sample";

/// The figures of the public sample.
#[derive(Debug, Serialize)]
pub(crate) struct PublicSampleRun {
    pub(crate) events: usize,
    pub(crate) seconds: f64,
    pub(crate) events_per_second: f64,
    pub(crate) calls: BTreeMap<String, usize>,
    pub(crate) calls_per_1000: BTreeMap<String, f64>,
    /// Resources that are noncompliant at the end.
    pub(crate) truly_open: usize,
    /// Findings, and those with status FAILED.
    pub(crate) findings: usize,
    pub(crate) findings_open: usize,
}

pub(crate) fn run(application: &DeployedApplication, root: &Path, flood: &Flood) -> Result<PublicSampleRun> {
    let python = ensure_python_function(root, &mut |line| eprintln!("{line}"))?;
    application.add_resources(flood);
    let file = application.cloud.directory().join("sample.json");
    std::fs::write(&file, serde_json::to_vec(&flood.events)?)?;
    let before = findings(application).len();
    let mark = application.cloud.journal().mark();
    let started = Instant::now();
    let mut command = Command::new(python);
    command.arg(root.join("benches/python-sample/run.py")).arg(&file).envs(application.cloud.environment());
    command.env("NO_PROXY", "127.0.0.1").env("AWS_LAMBDA_FUNCTION_NAME", NAME);
    command
        .env("CONFIG_AGGREGATOR_NAME", sandbox::config::AGGREGATOR)
        .env("ACCOUNT_ID", &application.cloud.options().account);
    let status = command.status().context("cannot run the public sample's logic")?;
    ensure!(status.success(), "the public sample's logic failed: {status}");
    let seconds = started.elapsed().as_secs_f64();
    let journal = application.cloud.journal();
    let calls = journal.counts(mark, journal.mark(), Some(NAME));
    let findings = findings(application);
    ensure!(before == 0, "the sample had findings before the run");
    let events = flood.events.len();
    Ok(PublicSampleRun {
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

fn findings(application: &DeployedApplication) -> Vec<Value> {
    let mut findings = application.cloud.findings();
    findings.retain(|finding| finding["GeneratorId"] == NAME);
    findings
}
