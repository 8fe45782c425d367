//! The targets of the functions. They are ratios where machines differ.

use bench_common::targets::TargetChecks;

use crate::figures::{Figures, Times};

#[cfg(test)]
mod tests;

const START_TIMES_FLOOR: f64 = 3.5;
const COLD_FASTER_THAN_PYTHON: f64 = 25.0;
const MEMORY_MIB: f64 = 16.0;
const ZIPPED_MB: f64 = 4.0;

/// Checks the targets of the product's own functions, except those of figures that were not measured.
pub(crate) fn check(subjects: &[Figures]) -> TargetChecks {
    let named = |name: &str| subjects.iter().find(|figures| figures.name == name);
    let (floor, python) = (named("floor"), named("python"));
    let mut checks = TargetChecks::default();
    for own in ["deploy", "report"].into_iter().filter_map(named) {
        check_one(own, floor, python, &mut checks);
    }
    checks
}

fn check_one(own: &Figures, floor: Option<&Figures>, python: Option<&Figures>, checks: &mut TargetChecks) {
    let http = |figures: &Figures| figures.http.clone();
    let tls = |figures: &Figures| figures.tls.clone();
    let start = |times: Times| times.start.p50;
    let cold = |times: Times| times.cold.p50;
    let ratio = |above: Option<f64>, below: Option<f64>| Some(above? / below?);
    let own_start = http(own).map(start);

    let mut add = |figure, value: Option<f64>, limit: f64, at_most: bool, unit: &str| {
        let Some(value) = value else { return };
        let met = if at_most { value <= limit } else { value >= limit };
        let word = if at_most { "at most" } else { "at least" };
        checks.add(format!("{}: {figure}", own.name), format!("{value:.1}"), format!("{word} {limit}{unit}"), met);
    };
    let python_http = python.and_then(http).map(cold);
    let python_tls = python.and_then(tls).map(cold);
    add("start / floor", ratio(own_start, floor.and_then(http).map(start)), START_TIMES_FLOOR, true, "");
    add("Python start / start", ratio(python.and_then(http).map(start), own_start), COLD_FASTER_THAN_PYTHON, false, "");
    add("Python cold / cold, HTTP", ratio(python_http, http(own).map(cold)), COLD_FASTER_THAN_PYTHON, false, "");
    add("Python cold / cold, TLS", ratio(python_tls, tls(own).map(cold)), COLD_FASTER_THAN_PYTHON, false, "");
    add("peak memory", own.memory_mib.map(|memory| memory.max), MEMORY_MIB, true, " MiB");
    add("zipped package", Some(own.zipped_mb), ZIPPED_MB, true, " MB");
}
