//! The results of a run, as JSON and as tables.

use std::fmt::Write as _;

use serde::Serialize;

use bench_common::machine::Machine;
use bench_common::stats::Spread;
use bench_common::table::{lay_out, row};
use bench_common::targets::TargetChecks;

use crate::calls::UnchangedPush;
use crate::planning::Planning;
use crate::schedules::Schedules;

/// Upper limit of the seconds for a plan of 100,000 instances.
const SECONDS: f64 = 1.0;
/// Upper limit of its memory in MiB.
const PEAK: f64 = 300.0;
/// Upper limit of the time per instance in the largest fleet, relative to the smallest.
const GROWTH: f64 = 1.5;
/// Upper limit of the calls of an unchanged push.
const CALLS: usize = 6;
/// An unchanged StackSet with 800 accounts takes half an hour in Customizations for AWS Control Tower (its issue
/// 174).
const FIELD_SECONDS: f64 = 1_800.0;

/// The results.
#[derive(Debug, Serialize)]
pub(crate) struct RolloutResults {
    machine: Machine,
    pub(crate) planning: Vec<Planning>,
    pub(crate) calls: Vec<UnchangedPush>,
    pub(crate) schedules: Option<Schedules>,
    checks: TargetChecks,
}

impl RolloutResults {
    pub(crate) fn new() -> Self {
        Self {
            machine: Machine::this(),
            planning: Vec::new(),
            calls: Vec::new(),
            schedules: None,
            checks: TargetChecks::default(),
        }
    }

    /// Compares the figures with their targets.
    pub(crate) fn check_targets(&mut self) {
        let mut checks = TargetChecks::default();
        if let (Some(first), Some(last)) = (self.planning.first(), self.planning.last()) {
            let seconds = last.seconds.p50;
            let (few, many) = (first.instances, last.instances);
            checks.add(
                format!("seconds to plan {many} instances"),
                format!("{seconds:.3}"),
                format!("less than {SECONDS}"),
                seconds < SECONDS,
            );
            if let Some(peak) = last.peak_mib {
                checks.add(
                    format!("peak MiB, including the fleet ({many} instances)"),
                    format!("{:.0}", peak.max),
                    format!("less than {PEAK}"),
                    peak.max < PEAK,
                );
            }
            let growth = per_instance(last) / per_instance(first);
            checks.add(
                format!("time per instance, {few} to {many} instances"),
                format!("x {growth:.2}"),
                format!("at most x {GROWTH}"),
                growth <= GROWTH,
            );
        }
        if let Some(first) = self.calls.first() {
            let most = self.calls.iter().map(|calls| calls.calls.len()).max().unwrap_or_default();
            let same = self.calls.iter().all(|calls| calls.calls == first.calls);
            checks.add("calls of an unchanged push", most.to_string(), format!("at most {CALLS}"), most <= CALLS);
            let value = if same { "the same" } else { "differ" };
            checks.add("the same calls at every size", value, "the same", same);
            let mutating: usize = self.calls.iter().map(|calls| calls.mutating).sum();
            checks.add("mutating calls", mutating.to_string(), "0", mutating == 0);
        }
        self.checks = checks;
    }

    pub(crate) fn render(&self) -> String {
        let mut text = format!("On {}.\n", self.machine.describe());
        if !self.planning.is_empty() {
            text.push_str("\nFrom the text of the policy to the plan as JSON; one in a hundred accounts changes.\n\n");
            let mut rows = vec![row(&[
                "instances",
                "changed",
                "seconds, median (min to max)",
                "us per instance",
                "peak MiB (before)",
                "plan as JSON, KB",
            ])];
            rows.extend(self.planning.iter().map(planned));
            lay_out(&mut text, &rows);
        }
        if !self.calls.is_empty() {
            text.push_str("\nA push that changes no framework.\n\n");
            let mut rows = vec![row(&["instances", "calls", "mutating", "which"])];
            rows.extend(self.calls.iter().map(|calls| {
                let (number, mutating) = (calls.calls.len().to_string(), calls.mutating.to_string());
                row(&[&calls.instances.to_string(), &number, &mutating, &calls.calls.join(", ")])
            }));
            lay_out(&mut text, &rows);
            let _ = writeln!(
                text,
                "\nFor comparison: Customizations for AWS Control Tower takes about {FIELD_SECONDS:.0} s for an unchanged StackSet at 800 accounts."
            );
        }
        if let Some(schedules) = &self.schedules {
            text.push_str(&schedules.render());
        }
        self.checks.render(&mut text);
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
