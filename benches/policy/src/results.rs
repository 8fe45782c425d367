//! All figures of a run, as JSON and as tables.

use std::fmt::Write as _;

use bench_common::aims::Verdicts;
use bench_common::machine::Machine;
use bench_common::stats::Spread;
use bench_common::table::{lay_out, row};
use serde::Serialize;

use crate::beside::{Judged, Linted};
use crate::instructions::Count;
use crate::scale::Size;

/// Milliseconds for the lint of ten controls and of a template of 1 MB, less than.
const LINT: [f64; 2] = [1.0, 50.0];
/// Decisions a second and core, at least.
const RATE: f64 = 5e6;
/// For the largest inventory: seconds, MiB (1 GB), less than.
const LARGEST: (usize, f64, f64) = (1_000_000, 10.0, 1e9 / 1_048_576.0);
/// How much slower a resource may be in the largest inventory than in the smallest. Caches are smaller than it.
const GROWTH: f64 = 2.0;

/// What was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    machine: Machine,
    pub(crate) lint: Vec<Lint>,
    pub(crate) decisions: Option<Decisions>,
    pub(crate) scale: Vec<Size>,
    pub(crate) instructions: Vec<Count>,
    pub(crate) linters: Vec<Linted>,
    pub(crate) evaluators: Option<Judged>,
    /// What was left out, and why.
    pub(crate) skipped: Vec<String>,
    verdicts: Verdicts,
}

/// How long the lint of a template takes.
#[derive(Debug, Serialize)]
pub(crate) struct Lint {
    pub(crate) template: &'static str,
    pub(crate) bytes: usize,
    pub(crate) findings: usize,
    /// Of a core.
    pub(crate) milliseconds: Spread,
    pub(crate) aim: Option<f64>,
}

/// How quickly it is decided whether a selection takes a resource in.
#[derive(Debug, Serialize)]
pub(crate) struct Decisions {
    pub(crate) resources: usize,
    pub(crate) selections: usize,
    pub(crate) covered: u64,
    /// With everything that a verdict says: for a miss, the selection that came nearest and what would bring the resource in.
    pub(crate) per_second: Spread,
}

impl Results {
    pub(crate) fn new() -> Self {
        Self {
            machine: Machine::this(),
            lint: Vec::new(),
            decisions: None,
            scale: Vec::new(),
            instructions: Vec::new(),
            linters: Vec::new(),
            evaluators: None,
            skipped: Vec::new(),
            verdicts: Verdicts::default(),
        }
    }

    /// The aim for a template.
    pub(crate) fn lint_aims() -> [Option<f64>; 3] {
        [Some(LINT[0]), Some(LINT[1]), Some(LINT[1])]
    }

    /// Puts the figures beside their aims.
    pub(crate) fn judge(&mut self) {
        let mut verdicts = Verdicts::default();
        let mut judge = |figure: String, value: String, aim: String, met: bool| verdicts.judge(figure, value, aim, met);
        for lint in &self.lint {
            if let Some(aim) = lint.aim {
                let value = lint.milliseconds.p50;
                let figure = format!("lint of {}, ms", lint.template);
                judge(figure, format!("{value:.3}"), format!("less than {aim}"), value < aim);
            }
        }
        if let Some(decisions) = &self.decisions {
            let rate = decisions.per_second.p50;
            let figure = "decisions a second and core".to_owned();
            judge(figure, millions(rate), format!("at least {}", millions(RATE)), rate >= RATE);
        }
        if let (Some(first), Some(last)) = (self.scale.first(), self.scale.last()) {
            let (resources, seconds, mib) = LARGEST;
            if last.resources >= resources {
                let figure = format!("{} resources by 20 selections, s", last.resources);
                let all = last.took.read_seconds + last.took.seconds;
                judge(
                    format!("{figure}, JSON read and judged"),
                    format!("{all:.2}"),
                    format!("less than {seconds}"),
                    all < seconds,
                );
                let peak = last.took.peak_mib.unwrap_or(f64::INFINITY);
                judge(
                    "their memory at its peak, MiB".to_owned(),
                    format!("{peak:.0}"),
                    format!("less than {mib:.0}"),
                    peak < mib,
                );
            }
            let each = |size: &Size| size.took.seconds / count(size.resources);
            let growth = each(last) / each(first);
            let figure = format!("time for a resource, of {} against {}", last.resources, first.resources);
            judge(figure, format!("x {growth:.2}"), format!("at most x {GROWTH}"), growth <= GROWTH);
        }
        self.verdicts = verdicts;
    }

    pub(crate) fn render(&self) -> String {
        let mut text = format!("On {}. Times are those that a core worked.\n", self.machine.describe());
        self.render_lint(&mut text);
        self.render_coverage(&mut text);
        self.render_beside(&mut text);
        for skipped in &self.skipped {
            let _ = writeln!(text, "\nLeft out: {skipped}.");
        }
        self.verdicts.render(&mut text);
        text
    }

    fn render_lint(&self, text: &mut String) {
        if self.lint.is_empty() {
            return;
        }
        text.push('\n');
        let mut rows = vec![row(&["lint of", "bytes", "findings", "ms", "least", "most"])];
        rows.extend(self.lint.iter().map(|lint| {
            let Spread { p50, min, max, .. } = lint.milliseconds;
            let ms = [p50, min, max].map(|ms| format!("{ms:.3}"));
            row(&[lint.template, &lint.bytes.to_string(), &lint.findings.to_string(), &ms[0], &ms[1], &ms[2]])
        }));
        lay_out(text, &rows);
    }

    fn render_coverage(&self, text: &mut String) {
        if let Some(decisions) = &self.decisions {
            let Spread { p50, min, max, .. } = decisions.per_second;
            let _ = writeln!(
                text,
                "\n{} resources by {} selections, {} of them covered: {} decisions a second ({} to {}), each miss explained.",
                decisions.resources,
                decisions.selections,
                decisions.covered,
                millions(p50),
                millions(min),
                millions(max),
            );
        }
        if !self.scale.is_empty() {
            text.push('\n');
            let mut rows = vec![row(&[
                "resources",
                "document, MB",
                "read, s",
                "judged, s",
                "µs for each",
                "covered",
                "peak, MiB",
            ])];
            rows.extend(self.scale.iter().map(|size| {
                vec![
                    size.resources.to_string(),
                    format!("{:.1}", size.document_mb),
                    format!("{:.3}", size.took.read_seconds),
                    format!("{:.3}", size.took.seconds),
                    format!("{:.2}", size.took.seconds * 1e6 / count(size.resources)),
                    size.took.compliant.to_string(),
                    size.took.peak_mib.map_or_else(|| "–".to_owned(), |mib| format!("{mib:.0}")),
                ]
            }));
            lay_out(text, &rows);
        }
        if !self.instructions.is_empty() {
            text.push('\n');
            let mut rows = vec![row(&["work", "instructions"])];
            rows.extend(self.instructions.iter().map(|count| row(&[count.what, &millions(count.instructions as f64)])));
            lay_out(text, &rows);
        }
    }

    fn render_beside(&self, text: &mut String) {
        if !self.linters.is_empty() {
            text.push('\n');
            let mut rows = vec![row(&[
                "whole program, lint of",
                "ours, s",
                "cfn-lint, s",
                "ratio",
                "faulty lines",
                "found by us",
                "by cfn-lint",
            ])];
            rows.extend(self.linters.iter().map(|lint| {
                vec![
                    lint.template.to_owned(),
                    format!("{:.4}", lint.ours),
                    format!("{:.2}", lint.cfn_lint),
                    format!("{:.0}", lint.cfn_lint / lint.ours),
                    lint.faults.to_string(),
                    lint.found_by_us.to_string(),
                    lint.found_by_cfn_lint.to_string(),
                ]
            }));
            lay_out(text, &rows);
        }
        if let Some(Judged { resources, ours, python }) = &self.evaluators {
            let _ = writeln!(
                text,
                "\n{resources} resources, the same verdicts ({} covered, {} not): ours {:.3} s to read and {:.3} s to judge, Python \
                 {:.3} s and {:.3} s: {:.1} times and {:.1} times as long.",
                ours.compliant,
                ours.not_compliant,
                ours.read_seconds,
                ours.seconds,
                python.read_seconds,
                python.seconds,
                python.read_seconds / ours.read_seconds,
                python.seconds / ours.seconds,
            );
        }
    }
}

fn millions(number: f64) -> String {
    format!("{:.2} million", number / 1e6)
}

pub(crate) fn count(number: usize) -> f64 {
    number as f64
}
