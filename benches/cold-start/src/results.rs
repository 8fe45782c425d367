//! All measurements of a run, and what they come to.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::machine::Machine;
use crate::measure::Sample;
use crate::reach::{self, Reach};
use crate::subject::Subject;
use bench_common::stats::Spread;

/// The measurements as they come in.
#[derive(Debug)]
pub(crate) struct Results {
    machine: Machine,
    rounds: u32,
    subjects: Vec<Measured>,
}

#[derive(Debug)]
struct Measured {
    name: &'static str,
    zipped: u64,
    transports: BTreeMap<&'static str, Vec<Sample>>,
}

/// What is printed and written.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) machine: Machine,
    pub(crate) rounds: u32,
    pub(crate) subjects: Vec<Figures>,
    pub(crate) reaches: Vec<Reach>,
}

/// The figures of one function. Times in milliseconds, sizes in MiB or MB as named.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) name: &'static str,
    /// A package of at most 4 MB means 4,000,000 bytes, as Lambda's own limits are not meant.
    pub(crate) zipped_mb: f64,
    pub(crate) http: Option<Times>,
    pub(crate) tls: Option<Times>,
    /// Over HTTP with the certificates where this machine has them, for information.
    pub(crate) directory: Option<Times>,
    pub(crate) memory_mib: Option<Spread>,
    /// The AWS calls of one invocation.
    pub(crate) calls: BTreeMap<String, usize>,
}

/// How long the stages took over one transport.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Times {
    /// From the start of the process to its first request for an event.
    pub(crate) start: Spread,
    pub(crate) first: Spread,
    pub(crate) warm: Spread,
    /// Start and first invocation of the same process together.
    pub(crate) cold: Spread,
}

impl Results {
    pub(crate) fn new(machine: Machine, rounds: u32) -> Self {
        Self { machine, rounds, subjects: Vec::new() }
    }

    pub(crate) fn add(&mut self, subject: &Subject, zipped: u64) {
        self.subjects.push(Measured { name: subject.name, zipped, transports: BTreeMap::new() });
    }

    pub(crate) fn record(&mut self, subject: &Subject, transport: &'static str, sample: Sample) {
        if let Some(measured) = self.subjects.iter_mut().find(|measured| measured.name == subject.name) {
            measured.transports.entry(transport).or_default().push(sample);
        }
    }

    pub(crate) fn summary(self) -> Summary {
        let subjects = self.subjects.iter().map(Measured::figures).collect::<Vec<_>>();
        let reaches = reach::all(&subjects);
        Summary { machine: self.machine, rounds: self.rounds, subjects, reaches }
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
        let spread = |of: fn(&Sample) -> f64| Spread::of(&samples.iter().map(of).collect::<Vec<_>>());
        Some(Times {
            start: spread(|sample| sample.start)?,
            first: spread(|sample| sample.first)?,
            warm: spread(|sample| sample.warm)?,
            cold: spread(|sample| sample.start + sample.first)?,
        })
    }
}
