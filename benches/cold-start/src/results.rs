//! The measurements of a run, and their summary.

use std::collections::BTreeMap;

use serde::Serialize;

use bench_common::stats::Spread;
use bench_common::targets::TargetChecks;

use crate::figures::{Figures, Times};
use crate::machine::Environment;
use crate::measure::ProcessSample;
use crate::subject::BenchFunction;
use crate::targets;

/// The measurements so far.
#[derive(Debug)]
pub(crate) struct ColdStartResults {
    machine: Environment,
    rounds: u32,
    subjects: Vec<Measured>,
}

#[derive(Debug)]
struct Measured {
    name: &'static str,
    zipped: u64,
    transports: BTreeMap<&'static str, Vec<ProcessSample>>,
}

/// The results of a run.
#[derive(Debug, Serialize)]
pub(crate) struct ColdStartSummary {
    pub(crate) machine: Environment,
    pub(crate) rounds: u32,
    pub(crate) subjects: Vec<Figures>,
    pub(crate) targets: TargetChecks,
}

impl ColdStartResults {
    pub(crate) fn new(machine: Environment, rounds: u32) -> Self {
        Self { machine, rounds, subjects: Vec::new() }
    }

    pub(crate) fn add(&mut self, subject: &BenchFunction, zipped: u64) {
        self.subjects.push(Measured { name: subject.name, zipped, transports: BTreeMap::new() });
    }

    pub(crate) fn record(&mut self, subject: &BenchFunction, transport: &'static str, sample: ProcessSample) {
        if let Some(measured) = self.subjects.iter_mut().find(|measured| measured.name == subject.name) {
            measured.transports.entry(transport).or_default().push(sample);
        }
    }

    pub(crate) fn summary(self) -> ColdStartSummary {
        let subjects = self.subjects.iter().map(Measured::figures).collect::<Vec<_>>();
        let targets = targets::check(&subjects);
        ColdStartSummary { machine: self.machine, rounds: self.rounds, subjects, targets }
    }
}

impl Measured {
    fn figures(&self) -> Figures {
        let memory = self.transports.values().flatten().filter_map(|sample| sample.memory).collect::<Vec<_>>();
        let calls = self.transports.values().flatten().next().map(|sample| sample.calls.clone());
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52 bytes")]
        let zipped = self.zipped as f64;
        Figures {
            name: self.name,
            zipped_mb: zipped / 1e6,
            http: self.times("http"),
            tls: self.times("tls"),
            directory: self.times("directory"),
            memory_mib: Spread::of(&memory),
            calls: calls.unwrap_or_default(),
        }
    }

    fn times(&self, transport: &str) -> Option<Times> {
        let samples = self.transports.get(transport)?;
        let spread = |of: fn(&ProcessSample) -> f64| Spread::of(&samples.iter().map(of).collect::<Vec<_>>());
        Some(Times {
            start: spread(|sample| sample.start)?,
            first: spread(|sample| sample.first)?,
            warm: spread(|sample| sample.warm)?,
            cold: spread(|sample| sample.start + sample.first)?,
        })
    }
}
