//! The figures of the measured functions.

use std::collections::BTreeMap;

use serde::Serialize;

use bench_common::stats::Spread;

/// The figures of one function. Times in milliseconds, sizes in MiB or MB.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) name: &'static str,
    /// In units of 1,000,000 bytes.
    pub(crate) zipped_mb: f64,
    pub(crate) http: Option<Times>,
    pub(crate) tls: Option<Times>,
    /// Over HTTP with the machine's default certificates, for information.
    pub(crate) directory: Option<Times>,
    pub(crate) memory_mib: Option<Spread>,
    /// The AWS calls of one invocation.
    pub(crate) calls: BTreeMap<String, usize>,
}

/// The durations of the stages over one transport.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Times {
    /// From the start of the process to its first request for an event.
    pub(crate) start: Spread,
    pub(crate) first: Spread,
    pub(crate) warm: Spread,
    /// Start and first invocation of the same process together.
    pub(crate) cold: Spread,
}
