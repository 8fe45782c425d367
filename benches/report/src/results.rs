//! The results of a run, as JSON and as tables.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use bench_common::count;
use bench_common::machine::Machine;
use bench_common::table::{lay_out, row};
use bench_common::targets::TargetChecks;
use domain::violation::Channel;

use crate::cost::Cost;
use crate::findings::FindingImports;
use crate::memory::MemoryUse;
use crate::run::FloodRun;
use crate::sample::PublicSampleRun;
use crate::throughput::ThroughputRun;

/// Lower limit of events per core second.
const RATE: f64 = 20_000.0;
/// Upper limit of MiB for batches of 1,000.
const PEAK: f64 = 64.0;
/// Upper limit of the time per event with 100,000 records, relative to 1,000.
const GROWTH: f64 = 1.25;

/// Upper limit of the minutes for a finding in each account and Region; a sweep has fifteen.
const IMPORTED: f64 = 5.0;

/// The results.
#[derive(Debug, Serialize)]
pub(crate) struct ReportResults {
    machine: Machine,
    /// The first entry has the default channels of the application.
    pub(crate) throughput: Vec<ThroughputRun>,
    pub(crate) growth: Vec<ThroughputRun>,
    pub(crate) findings: Option<FindingImports>,
    pub(crate) flood: Option<FloodRun>,
    pub(crate) cost: Option<Cost>,
    pub(crate) memory: Option<MemoryUse>,
    pub(crate) sample: Option<PublicSampleRun>,
    checks: TargetChecks,
}

impl ReportResults {
    pub(crate) fn new() -> Self {
        Self {
            machine: Machine::this(),
            throughput: Vec::new(),
            growth: Vec::new(),
            findings: None,
            flood: None,
            cost: None,
            memory: None,
            sample: None,
            checks: TargetChecks::default(),
        }
    }

    /// Compares the figures with their targets.
    pub(crate) fn check_targets(&mut self) {
        let mut checks = TargetChecks::default();
        // With the adapters' formatting of notices, and without it: domain and use case alone.
        for throughput in self.throughput.iter().take(2) {
            let rate = throughput.events_per_cpu_second.unwrap_or(throughput.events_per_second).p50;
            checks.add(
                format!("events per core second, channels {}", names(throughput)),
                format!("{rate:.0}"),
                format!("at least {RATE:.0}"),
                rate >= RATE,
            );
        }
        if let (Some(first), Some(last)) = (self.growth.first(), self.growth.last()) {
            let ratio = last.microseconds_per_event / first.microseconds_per_event;
            let figure = format!("time per event, {} to {} records", first.stored, last.stored);
            checks.add(figure, format!("x {ratio:.2}"), format!("at most x {GROWTH}"), ratio <= GROWTH);
            let same = first.calls_per_1000 == last.calls_per_1000;
            checks.add("calls per event, the same range", if same { "the same" } else { "differ" }, "the same", same);
        }
        if let Some(findings) = &self.findings {
            let (took, met) = (findings.seconds / 60.0, findings.seconds < 60.0 * IMPORTED);
            checks.add(
                "minutes for the import of all findings",
                format!("{took:.1}"),
                format!("less than {IMPORTED}"),
                met,
            );
        }
        if let Some(flood) = &self.flood {
            let missing = flood.lost + flood.pending;
            checks.add("lost or undelivered violations in the flood", missing.to_string(), "0", missing == 0);
            checks.add("dead letters of the flood", flood.dead_letters.to_string(), "0", flood.dead_letters == 0);
        }
        if let Some(memory) = &self.memory {
            let peak = memory.peak_mib.iter().copied().fold(0.0, f64::max);
            checks.add("peak MiB at a batch of 1,000", format!("{peak:.1}"), format!("less than {PEAK}"), peak < PEAK);
        }
        self.checks = checks;
    }

    pub(crate) fn render(&self) -> String {
        let mut text = format!("On {}.\n", self.machine.describe());
        self.render_speed(&mut text);
        self.render_flood(&mut text);
        self.render_rest(&mut text);
        self.checks.render(&mut text);
        text
    }

    fn render_speed(&self, text: &mut String) {
        let speeds: Vec<&ThroughputRun> = self.throughput.iter().chain(&self.growth).collect();
        if speeds.is_empty() {
            return;
        }
        text.push_str("\nDomain and use case, one core, batches of 1,000 messages:\n\n");
        let mut rows = vec![row(&[
            "channels",
            "stored records",
            "events",
            "events per core s",
            "per s",
            "min",
            "max",
            "µs per event",
            "µs for parsing",
            "notices",
        ])];
        for throughput in &speeds {
            let rate = throughput.events_per_second;
            let of_core = throughput.events_per_cpu_second.map(|rate| format!("{:.0}", rate.p50));
            rows.push(vec![
                names(throughput),
                throughput.stored.to_string(),
                throughput.events.to_string(),
                of_core.unwrap_or_else(|| "–".to_owned()),
                format!("{:.0}", rate.p50),
                format!("{:.0}", rate.min),
                format!("{:.0}", rate.max),
                format!("{:.1}", throughput.microseconds_per_event),
                format!("{:.1}", throughput.microseconds_reading),
                throughput.notices.to_string(),
            ]);
        }
        lay_out(text, &rows);
        text.push_str("\nPort calls per 1,000 events, by channels and stored records:\n\n");
        let mut head = row(&["call"]);
        head.extend(speeds.iter().map(|throughput| format!("{}; {}", names(throughput), throughput.stored)));
        let kinds: BTreeSet<&str> =
            speeds.iter().flat_map(|throughput| throughput.calls_per_1000.keys().copied()).collect();
        let calls =
            |name: &str, throughput: &ThroughputRun| throughput.calls_per_1000.get(name).copied().unwrap_or_default();
        let mut rows = vec![head];
        for name in kinds {
            let cells = speeds.iter().map(|throughput| format!("{:.1}", calls(name, throughput)));
            rows.push(std::iter::once(name.to_owned()).chain(cells).collect());
        }
        lay_out(text, &rows);
    }

    fn render_flood(&self, text: &mut String) {
        let Some(flood) = &self.flood else { return };
        let kinds = |counts: &BTreeMap<String, usize>| {
            let kinds: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") }
        };
        let window = flood
            .window_seconds
            .map_or_else(|| "no digest window".to_owned(), |seconds| format!("a digest window of {seconds} s"));
        let _ = writeln!(
            text,
            "\n{} events through the application, with {window}, took {:.1} s.\n\
             Records: {} of {}, {} of {} open, {} lost or wrong, {} undelivered; {} dead letters.\n\
             Notices: {}. Findings: {}. Invocations: {}.\n",
            flood.events,
            flood.seconds,
            flood.records,
            flood.expected,
            flood.open,
            flood.expected_open,
            flood.lost,
            flood.pending,
            flood.dead_letters,
            kinds(&flood.notices),
            kinds(&flood.findings),
            flood.invocations.map_or_else(|| "unknown".to_owned(), |invocations| invocations.to_string()),
        );
        calls(text, &flood.calls_per_1000);
        let Some(cost) = &self.cost else { return };
        let _ = writeln!(text, "\nA million events at list prices, {}: {:.2} USD.\n", cost.region, cost.total_usd);
        let mut rows = vec![row(&["what", "units", "USD", "how it was counted", "price as of", "source"])];
        rows.extend(cost.lines.iter().map(|line| {
            row(&[
                &line.what,
                &format!("{:.0}", line.units),
                &format!("{:.2}", line.usd),
                &line.how,
                &line.date,
                &line.source,
            ])
        }));
        lay_out(text, &rows);
        text.push_str("\nNot included:\n");
        for line in &cost.left_out {
            let _ = writeln!(text, "- {line}");
        }
    }

    fn render_rest(&self, text: &mut String) {
        if let Some(findings) = &self.findings {
            let _ = writeln!(
                text,
                "\nFindings in {} accounts and Regions, {} calls of {} ms: {:.0} s; in sequence: {:.0} s.",
                findings.homes, findings.calls, findings.latency_ms, findings.seconds, findings.one_by_one_seconds,
            );
        }
        if let Some(memory) = &self.memory {
            let list = |values: &[f64], digits: usize| {
                values.iter().map(|value| format!("{value:.digits$}")).collect::<Vec<_>>().join(", ")
            };
            let _ = writeln!(
                text,
                "\nPeak memory of report: {:.1} MiB after the start, then with batches of {} messages ({:.1} MB): {} MiB; \
                 the batches took {} s.",
                memory.started_mib,
                memory.batch,
                count(memory.payload_bytes) / 1e6,
                list(&memory.peak_mib, 1),
                list(&memory.seconds, 1),
            );
        }
        if let Some(sample) = &self.sample {
            let _ = writeln!(
                text,
                "\
                The logic of the public sample with {} events in sequence: {:.1} s, {:.0} events/s. It created {} findings, \\
                 {} of them FAILED; {} resources are noncompliant.\
                ",
                sample.events,
                sample.seconds,
                sample.events_per_second,
                sample.findings,
                sample.findings_open,
                sample.truly_open,
            );
            calls(text, &sample.calls_per_1000);
        }
    }
}

fn names(throughput: &ThroughputRun) -> String {
    let name = |outlet: &Channel| match outlet {
        Channel::Topic => "topic",
        Channel::Chat => "chat",
        Channel::SecurityHub => "findings",
        Channel::EventBus => "events",
    };
    let names = throughput.outlets.iter().map(name).collect::<Vec<_>>().join(", ");
    if throughput.formatted { names } else { format!("{names} (nothing written)") }
}

fn calls(text: &mut String, calls: &BTreeMap<String, f64>) {
    let mut rows = vec![row(&["call", "per 1,000 events"])];
    rows.extend(calls.iter().map(|(kind, calls)| row(&[kind, &format!("{calls:.1}")])));
    let all: f64 = calls.values().sum();
    rows.push(row(&["all", &format!("{all:.1}")]));
    lay_out(text, &rows);
}
