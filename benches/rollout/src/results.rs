//! All figures of a run, as JSON and as tables.

use std::fmt::Write as _;

use bench_common::aims::Verdicts;
use bench_common::machine::Machine;
use bench_common::stats::Spread;
use bench_common::table::{lay_out, row};
use serde::Serialize;

use crate::calls::Calls;
use crate::planning::Planning;
use crate::schedules::Schedules;

/// Seconds for a plan of 100,000 instances, at most.
const SECONDS: f64 = 1.0;
/// MiB for it, at most.
const PEAK: f64 = 300.0;
/// How much more an instance may cost in the largest fleet than in the smallest.
const GROWTH: f64 = 1.5;
/// Calls of an unchanged push, at most.
const CALLS: usize = 6;
/// What the field reports for an unchanged StackSet at 800 accounts: half an hour (Customizations for AWS Control Tower, issue 174).
const FIELD_SECONDS: f64 = 1_800.0;

/// What was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    machine: Machine,
    pub(crate) planning: Vec<Planning>,
    pub(crate) calls: Vec<Calls>,
    pub(crate) schedules: Option<Schedules>,
    verdicts: Verdicts,
}

impl Results {
    pub(crate) fn new() -> Self {
        Self {
            machine: Machine::this(),
            planning: Vec::new(),
            calls: Vec::new(),
            schedules: None,
            verdicts: Verdicts::default(),
        }
    }

    /// Puts the figures beside their aims.
    pub(crate) fn judge(&mut self) {
        let mut verdicts = Verdicts::default();
        let mut judge = |figure: String, value: String, aim: String, met: bool| verdicts.judge(figure, value, aim, met);
        if let (Some(first), Some(last)) = (self.planning.first(), self.planning.last()) {
            let seconds = last.seconds.p50;
            let (few, many) = (first.instances, last.instances);
            judge(
                format!("seconds to plan {many} instances"),
                format!("{seconds:.3}"),
                format!("less than {SECONDS}"),
                seconds < SECONDS,
            );
            if let Some(peak) = last.peak_mib {
                judge(
                    format!("peak MiB meanwhile, the fleet itself in it ({many} instances)"),
                    format!("{:.0}", peak.max),
                    format!("less than {PEAK}"),
                    peak.max < PEAK,
                );
            }
            let growth = per_instance(last) / per_instance(first);
            judge(
                format!("time for an instance, {few} to {many} instances"),
                format!("x {growth:.2}"),
                format!("at most x {GROWTH}"),
                growth <= GROWTH,
            );
        }
        if let Some(first) = self.calls.first() {
            let most = self.calls.iter().map(|calls| calls.calls.len()).max().unwrap_or_default();
            let same = self.calls.iter().all(|calls| calls.calls == first.calls);
            judge("calls of an unchanged push".into(), most.to_string(), format!("at most {CALLS}"), most <= CALLS);
            let value = if same { "the same" } else { "differ" };
            judge("the same calls at every size".into(), value.into(), "the same".into(), same);
            let mutating: usize = self.calls.iter().map(|calls| calls.mutating).sum();
            judge("mutating ones among them".into(), mutating.to_string(), "0".into(), mutating == 0);
        }
        self.verdicts = verdicts;
    }

    pub(crate) fn render(&self) -> String {
        let mut text = format!("On {}.\n", self.machine.describe());
        if !self.planning.is_empty() {
            text.push_str("\nFrom the text of the policy to the plan as JSON; one account in a hundred changes.\n\n");
            let mut rows = vec![row(&[
                "instances",
                "changed",
                "seconds, median (min to max)",
                "us for an instance",
                "peak MiB (before)",
                "plan as JSON, KB",
            ])];
            rows.extend(self.planning.iter().map(planned));
            lay_out(&mut text, &rows);
        }
        if !self.calls.is_empty() {
            text.push_str("\nA push that changes nothing in force.\n\n");
            let mut rows = vec![row(&["instances", "calls", "mutating", "which"])];
            rows.extend(self.calls.iter().map(|calls| {
                let (number, mutating) = (calls.calls.len().to_string(), calls.mutating.to_string());
                row(&[&calls.instances.to_string(), &number, &mutating, &calls.calls.join(", ")])
            }));
            lay_out(&mut text, &rows);
            let _ = writeln!(
                text,
                "\nThe field: Customizations for AWS Control Tower takes about {FIELD_SECONDS:.0} s for an unchanged StackSet at 800 accounts."
            );
        }
        if let Some(schedules) = &self.schedules {
            text.push_str(&schedules.render());
        }
        self.verdicts.render(&mut text);
        text
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52 instances")]
fn per_instance(planning: &Planning) -> f64 {
    planning.seconds.p50 / planning.instances as f64
}

fn planned(planning: &Planning) -> Vec<String> {
    let Spread { p50, min, max, .. } = planning.seconds;
    let peak =
        |spread: Option<Spread>| spread.map_or_else(|| "unknown".to_owned(), |spread| format!("{:.0}", spread.max));
    row(&[
        &planning.instances.to_string(),
        &planning.changes.to_string(),
        &format!("{p50:.4} ({min:.4} to {max:.4})"),
        &format!("{:.2}", per_instance(planning) * 1e6),
        &format!("{} ({})", peak(planning.peak_mib), peak(planning.before_mib)),
        &(planning.json_bytes / 1_000).to_string(),
    ])
}
