//! The work itself, and how much of a core it takes.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use domain::evaluation::{Evaluator, Tally};
use domain::fault::Fault;
use domain::inventory::Inventory;
use domain::lint::{self, Question};
use jiff::civil::date;
use serde::{Deserialize, Serialize};

use crate::sample;

/// What a template has in the way of faults.
pub(crate) fn lint(text: &str) -> Vec<Fault> {
    let variants = [BTreeMap::new()];
    lint::text("template.yaml", text, &Question { variants: &variants, is_complete: false, today: date(2026, 11, 26) })
}

/// How many resources are in a backup plan, are not, or may be.
pub(crate) fn evaluate(inventory: &Inventory) -> anyhow::Result<Tally> {
    let asked = [sample::coverage()?];
    let mut tally = Tally::default();
    Evaluator::new(inventory, &asked).each(|judgement| tally.add(&judgement.verdict));
    Ok(tally)
}

/// How long this thread has worked so far: what others do on the machine does not count.
fn worked() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// Takes the time that a core works for this thread; that of the clock where the kernel does not tell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch {
    started: Instant,
    before: Option<Duration>,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now(), before: worked() }
    }

    pub(crate) fn worked(self) -> Duration {
        match (self.before, worked()) {
            (Some(before), Some(after)) => after.saturating_sub(before),
            _ => self.started.elapsed(),
        }
    }
}

/// What something comes to, and the seconds of a core that it takes.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let stopwatch = Stopwatch::start();
    let done = work();
    (done, stopwatch.worked().as_secs_f64())
}

/// What came of a document.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Covered {
    pub(crate) read_seconds: f64,
    pub(crate) seconds: f64,
    pub(crate) compliant: u64,
    pub(crate) not_compliant: u64,
    pub(crate) peak_mib: Option<f64>,
}

/// Reads and judges a document: in a process of its own, so that the peak of its memory is that of this work.
pub(crate) fn covered(document: &Path) -> anyhow::Result<Covered> {
    let (inventory, read_seconds) = timed(|| {
        let text = std::fs::read_to_string(document)?;
        Inventory::read("inventory.json", &text).map_err(|fault| anyhow::anyhow!("{fault}"))
    });
    let inventory = inventory?;
    let (tally, seconds) = timed(|| evaluate(&inventory));
    let Tally { compliant, not_compliant, undecided } = tally?;
    anyhow::ensure!(undecided == 0, "{undecided} undecided in a document in which everything is known");
    Ok(Covered { read_seconds, seconds, compliant, not_compliant, peak_mib: peak_mib() })
}

/// The most memory that this process has had.
fn peak_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<f64>().ok().map(|kib| kib / 1024.0)
}

/// Seconds of cores that processes took that this one started and that have ended.
pub(crate) fn worked_by_others() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The name of the program stands in brackets and may contain anything; behind it, the fields 16 and 17 are meant.
    let (_, fields) = stat.rsplit_once(')').context("no name in `/proc/self/stat`")?;
    let ticks: Vec<f64> = fields.split_whitespace().skip(13).take(2).filter_map(|field| field.parse().ok()).collect();
    anyhow::ensure!(ticks.len() == 2, "`/proc/self/stat` is cut off");
    Ok(ticks.iter().sum::<f64>() / 100.0)
}
