//! The measured work, and its core time.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::civil::date;
use serde::{Deserialize, Serialize};

use bench_common::process::{core_time, status_mib};
use evaluation::inventory::Inventory;
use evaluation::{EvaluationCounts, Evaluator};
use framework::lint::{self, LintContext};
use syntax::diagnostic::Diagnostic;

use crate::sample;

/// Lints a template.
pub(crate) fn lint(text: &str) -> Vec<Diagnostic> {
    let variants = [BTreeMap::new()];
    lint::check_text(
        "template.yaml",
        text,
        &LintContext { variants: &variants, is_complete: false, today: date(2026, 11, 26) },
    )
}

/// Counts the resources that are in a backup plan, are not, or are undecided.
pub(crate) fn evaluate(inventory: &Inventory) -> anyhow::Result<EvaluationCounts> {
    let asked = [sample::coverage()?];
    let mut counts = EvaluationCounts::default();
    Evaluator::new(inventory, &asked).each(|evaluation| counts.add(&evaluation.result));
    Ok(counts)
}

/// Measures core time of this thread; wall time if the kernel does not report core time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch {
    started: Instant,
    before: Option<Duration>,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now(), before: core_time() }
    }

    pub(crate) fn worked(self) -> Duration {
        match (self.before, core_time()) {
            (Some(before), Some(after)) => after.saturating_sub(before),
            _ => self.started.elapsed(),
        }
    }
}

/// Runs the work; returns its result and its core seconds.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let stopwatch = Stopwatch::start();
    let done = work();
    (done, stopwatch.worked().as_secs_f64())
}

/// The evaluation of a document.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CoverageRun {
    pub(crate) read_seconds: f64,
    pub(crate) seconds: f64,
    pub(crate) compliant: u64,
    pub(crate) not_compliant: u64,
    pub(crate) peak_mib: Option<f64>,
}

/// Reads and evaluates a document; in a process of its own, so that the peak memory is that of this work.
pub(crate) fn cover(document: &Path) -> anyhow::Result<CoverageRun> {
    let (inventory, read_seconds) = timed(|| {
        let text = std::fs::read_to_string(document)?;
        Inventory::read("inventory.json", &text).map_err(|fault| anyhow::anyhow!("{fault}"))
    });
    let inventory = inventory?;
    let (counts, seconds) = timed(|| evaluate(&inventory));
    let EvaluationCounts { compliant, not_compliant, undecided, .. } = counts?;
    anyhow::ensure!(undecided == 0, "{undecided} resources are undecided in a complete inventory");
    Ok(CoverageRun { read_seconds, seconds, compliant, not_compliant, peak_mib: status_mib("VmHWM:") })
}

/// Returns the core seconds of this process's ended child processes.
pub(crate) fn worked_by_children() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The program's name is in parentheses and may contain any character; after it come the fields 16 and 17.
    let (_, fields) = stat.rsplit_once(')').context("no name in `/proc/self/stat`")?;
    let ticks: Vec<f64> = fields.split_whitespace().skip(13).take(2).filter_map(|field| field.parse().ok()).collect();
    anyhow::ensure!(ticks.len() == 2, "`/proc/self/stat` has too few fields");
    Ok(ticks.iter().sum::<f64>() / 100.0)
}
