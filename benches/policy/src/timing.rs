//! Criterion with core time as its measure, which other processes do not affect.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use criterion::Criterion;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use serde::Deserialize;

use bench_common::stats::Spread;

use crate::work::Stopwatch;

/// Core time in nanoseconds, formatted like Criterion's wall time.
struct CoreTime;

impl Measurement for CoreTime {
    type Intermediate = Stopwatch;
    type Value = Duration;

    fn start(&self) -> Stopwatch {
        Stopwatch::start()
    }

    fn end(&self, stopwatch: Stopwatch) -> Duration {
        stopwatch.worked()
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_secs_f64() * 1e9
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

/// Measures small work. Criterion writes its reports, with a comparison to the previous run, to `folder`.
pub(crate) struct Timing {
    criterion: Criterion<CoreTime>,
    folder: PathBuf,
}

/// Criterion's file of a benchmark: the iterations and the nanoseconds of each sample.
#[derive(Deserialize)]
struct CriterionSample {
    iters: Vec<f64>,
    times: Vec<f64>,
}

impl Timing {
    pub(crate) fn new(folder: &Path, samples: usize) -> Self {
        let criterion = Criterion::default().with_measurement(CoreTime).sample_size(samples);
        Self { criterion: criterion.without_plots().output_directory(folder), folder: folder.to_path_buf() }
    }

    /// Returns the core seconds of each sample. Group and name are also folder names.
    pub(crate) fn seconds<T>(
        &mut self,
        group: &str,
        name: &str,
        mut work: impl FnMut() -> T,
    ) -> anyhow::Result<Vec<f64>> {
        let mut benches = self.criterion.benchmark_group(group);
        benches.bench_function(name, |bencher| bencher.iter(|| black_box(work())));
        benches.finish();
        let path = self.folder.join(group).join(name).join("new/sample.json");
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let CriterionSample { iters, times } = serde_json::from_str(&text)?;
        Ok(iters.iter().zip(&times).map(|(iters, nanoseconds)| nanoseconds / iters / 1e9).collect())
    }
}

/// Converts the values; returns their spread.
pub(crate) fn spread(values: &[f64], change: impl Fn(f64) -> f64) -> anyhow::Result<Spread> {
    let changed: Vec<f64> = values.iter().map(|value| change(*value)).collect();
    Spread::of(&changed).context("nothing was measured")
}
