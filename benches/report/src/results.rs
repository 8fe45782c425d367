//! All figures of a run, as JSON and as tables.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use bench_common::aims::Verdicts;
use bench_common::machine::Machine;
use bench_common::table::{lay_out, row};
use domain::violation::Outlet;
use serde::Serialize;

use crate::cost::Cost;
use crate::findings::Findings;
use crate::memory::Memory;
use crate::sample::Sample;
use crate::speed::Speed;
use crate::through::Through;

/// Events per second and core, at least.
const RATE: f64 = 20_000.0;
/// MiB at a batch of 1,000, less than.
const PEAK: f64 = 64.0;
/// How much slower an event may be with 100,000 records on file than with 1,000.
const GROWTH: f64 = 1.25;

/// Minutes for a finding in each account and Region, less than: a sweep has fifteen.
const IMPORTED: f64 = 5.0;

/// What was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    machine: Machine,
    /// The first with the outlets that the application usually has.
    pub(crate) throughput: Vec<Speed>,
    pub(crate) growth: Vec<Speed>,
    pub(crate) findings: Option<Findings>,
    pub(crate) flood: Option<Through>,
    pub(crate) cost: Option<Cost>,
    pub(crate) memory: Option<Memory>,
    pub(crate) sample: Option<Sample>,
    verdicts: Verdicts,
}

impl Results {
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
            verdicts: Verdicts::default(),
        }
    }

    /// Puts the figures beside their aims.
    pub(crate) fn judge(&mut self) {
        let mut verdicts = Verdicts::default();
        let mut judge = |figure: &str, value: String, aim: String, met: bool| verdicts.judge(figure, value, aim, met);
        // With what the adapters make of it, and without: domain and use case alone.
        for speed in self.throughput.iter().take(2) {
            let rate = speed.events_per_cpu_second.unwrap_or(speed.events_per_second).p50;
            judge(
                &format!("events per second and core, told to {}", names(speed)),
                format!("{rate:.0}"),
                format!("at least {RATE:.0}"),
                rate >= RATE,
            );
        }
        if let (Some(first), Some(last)) = (self.growth.first(), self.growth.last()) {
            let ratio = last.microseconds_per_event / first.microseconds_per_event;
            let figure = format!("time for an event, {} to {} records", first.on_file, last.on_file);
            judge(&figure, format!("x {ratio:.2}"), format!("at most x {GROWTH}"), ratio <= GROWTH);
            let same = first.calls_per_1000 == last.calls_per_1000;
            judge(
                "calls for an event, the same range",
                if same { "the same" } else { "differ" }.to_owned(),
                "the same".to_owned(),
                same,
            );
        }
        if let Some(findings) = &self.findings {
            let (took, met) = (findings.seconds / 60.0, findings.seconds < 60.0 * IMPORTED);
            judge(
                "minutes until all findings are imported",
                format!("{took:.1}"),
                format!("less than {IMPORTED}"),
                met,
            );
        }
        if let Some(flood) = &self.flood {
            let missing = flood.lost + flood.owing;
            judge("violations lost or not told in the flood", missing.to_string(), "0".to_owned(), missing == 0);
            judge("dead letters of the flood", flood.dead_letters.to_string(), "0".to_owned(), flood.dead_letters == 0);
        }
        if let Some(memory) = &self.memory {
            let peak = memory.peak_mib.iter().copied().fold(0.0, f64::max);
            judge("peak MiB at a batch of 1,000", format!("{peak:.1}"), format!("less than {PEAK}"), peak < PEAK);
        }
        self.verdicts = verdicts;
    }

    pub(crate) fn render(&self) -> String {
        let mut text = format!("On {}.\n", self.machine.describe());
        self.render_speed(&mut text);
        self.render_flood(&mut text);
        self.render_rest(&mut text);
        self.verdicts.render(&mut text);
        text
    }

    fn render_speed(&self, text: &mut String) {
        let speeds: Vec<&Speed> = self.throughput.iter().chain(&self.growth).collect();
        if speeds.is_empty() {
            return;
        }
        text.push_str("\nDomain and use case, one core, batches of 1,000 messages:\n\n");
        let mut rows = vec![row(&[
            "told to",
            "records on file",
            "events",
            "events/s of core",
            "of clock",
            "least",
            "most",
            "µs/event",
            "of that reading",
            "notices",
        ])];
        for speed in &speeds {
            let rate = speed.events_per_second;
            let of_core = speed.events_per_cpu_second.map(|rate| format!("{:.0}", rate.p50));
            rows.push(vec![
                names(speed),
                speed.on_file.to_string(),
                speed.events.to_string(),
                of_core.unwrap_or_else(|| "–".to_owned()),
                format!("{:.0}", rate.p50),
                format!("{:.0}", rate.min),
                format!("{:.0}", rate.max),
                format!("{:.1}", speed.microseconds_per_event),
                format!("{:.1}", speed.microseconds_reading),
                speed.notices.to_string(),
            ]);
        }
        lay_out(text, &rows);
        text.push_str("\nCalls of the ports for 1,000 events, by outlets and records on file:\n\n");
        let mut head = row(&["call"]);
        head.extend(speeds.iter().map(|speed| format!("{}; {}", names(speed), speed.on_file)));
        let kinds: BTreeSet<&str> = speeds.iter().flat_map(|speed| speed.calls_per_1000.keys().copied()).collect();
        let calls = |name: &str, speed: &Speed| speed.calls_per_1000.get(name).copied().unwrap_or_default();
        let mut rows = vec![head];
        for name in kinds {
            let cells = speeds.iter().map(|speed| format!("{:.1}", calls(name, speed)));
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
        let window =
            flood.window_seconds.map_or_else(|| "no window".to_owned(), |seconds| format!("a window of {seconds} s"));
        let _ = writeln!(
            text,
            "\n{} events through the application, with {window}, took {:.1} s.\n\
             Records: {} of {}, {} of {} open, {} lost or wrong, {} not told; {} dead letters.\n\
             Notices to people: {}. Findings: {}. Invocations: {}.\n",
            flood.events,
            flood.seconds,
            flood.records,
            flood.expected,
            flood.open,
            flood.expected_open,
            flood.lost,
            flood.owing,
            flood.dead_letters,
            kinds(&flood.notices),
            kinds(&flood.findings),
            flood.invocations.map_or_else(|| "not known".to_owned(), |invocations| invocations.to_string()),
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
        text.push_str("\nLeft out:\n");
        for line in &cost.left_out {
            let _ = writeln!(text, "- {line}");
        }
    }

    fn render_rest(&self, text: &mut String) {
        if let Some(findings) = &self.findings {
            let _ = writeln!(
                text,
                "\nFindings in {} accounts and Regions, {} calls of {} ms: {:.0} s; one after another: {:.0} s.",
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
                crate::through::count(memory.payload_bytes) / 1e6,
                list(&memory.peak_mib, 1),
                list(&memory.seconds, 1),
            );
        }
        if let Some(sample) = &self.sample {
            let _ = writeln!(
                text,
                "\nThe logic of the public sample with {} events, one after the other: {:.1} s, {:.0} events/s. {} findings, of which \
                 {} say that something is broken; {} resources are.\n",
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

fn names(speed: &Speed) -> String {
    let name = |outlet: &Outlet| match outlet {
        Outlet::Topic => "topic",
        Outlet::Chat => "chat",
        Outlet::Finding => "findings",
        Outlet::Event => "events",
    };
    let names = speed.outlets.iter().map(name).collect::<Vec<_>>().join(", ");
    if speed.written { names } else { format!("{names} (nothing written)") }
}

fn calls(text: &mut String, calls: &BTreeMap<String, f64>) {
    let mut rows = vec![row(&["call", "for 1,000 events"])];
    rows.extend(calls.iter().map(|(kind, calls)| row(&[kind, &format!("{calls:.1}")])));
    let all: f64 = calls.values().sum();
    rows.push(row(&["all", &format!("{all:.1}")]));
    lay_out(text, &rows);
}
