//! The results of a run, as JSON and as tables.

use std::fmt::Write as _;

use serde::Serialize;

use bench_common::count;
use bench_common::machine::Machine;
use bench_common::stats::Spread;
use bench_common::table::{lay_out, row};
use bench_common::targets::TargetChecks;

use crate::comparison::{EvaluatorComparison, LinterComparison};
use crate::field_cases::FieldCaseComparison;
use crate::instructions::InstructionCount;
use crate::scale::Size;

/// Upper limits of the lint of ten controls and of a 1 MB template, in milliseconds.
const LINT: [f64; 2] = [1.0, 50.0];
/// Lower limit of decisions per core second.
const RATE: f64 = 5e6;
/// The largest inventory, with the upper limits of its seconds and MiB (1 GB).
const LARGEST: (usize, f64, f64) = (1_000_000, 10.0, 1e9 / 1_048_576.0);
/// Upper limit of the time per resource in the largest inventory, relative to the smallest one, which fits into
/// caches.
const GROWTH: f64 = 2.0;

/// The results.
#[derive(Debug, Serialize)]
pub(crate) struct PolicyResults {
    machine: Machine,
    pub(crate) lint: Vec<Lint>,
    pub(crate) decisions: Option<DecisionRate>,
    pub(crate) scale: Vec<Size>,
    pub(crate) instructions: Vec<InstructionCount>,
    pub(crate) linters: Vec<LinterComparison>,
    pub(crate) field_cases: Option<FieldCaseComparison>,
    pub(crate) evaluators: Option<EvaluatorComparison>,
    /// Skipped sections, with the reasons.
    pub(crate) skipped: Vec<String>,
    checks: TargetChecks,
}

/// The time of the lint of a template.
#[derive(Debug, Serialize)]
pub(crate) struct Lint {
    pub(crate) template: &'static str,
    pub(crate) bytes: usize,
    pub(crate) findings: usize,
    /// Core milliseconds.
    pub(crate) milliseconds: Spread,
    pub(crate) target: Option<f64>,
}

/// The rate of decisions whether a selection matches a resource.
#[derive(Debug, Serialize)]
pub(crate) struct DecisionRate {
    pub(crate) resources: usize,
    pub(crate) selections: usize,
    pub(crate) covered: u64,
    /// Includes the explanation of each miss: the closest selection, and the change that would make it match.
    pub(crate) per_second: Spread,
}

impl PolicyResults {
    pub(crate) fn new() -> Self {
        Self {
            machine: Machine::this(),
            lint: Vec::new(),
            decisions: None,
            scale: Vec::new(),
            instructions: Vec::new(),
            linters: Vec::new(),
            field_cases: None,
            evaluators: None,
            skipped: Vec::new(),
            checks: TargetChecks::default(),
        }
    }

    /// Returns the upper limits of the templates.
    pub(crate) fn lint_targets() -> [Option<f64>; 3] {
        [Some(LINT[0]), Some(LINT[1]), Some(LINT[1])]
    }

    /// Compares the figures with their targets.
    pub(crate) fn check_targets(&mut self) {
        let mut checks = TargetChecks::default();
        for lint in &self.lint {
            if let Some(target) = lint.target {
                let value = lint.milliseconds.p50;
                let figure = format!("lint of {}, ms", lint.template);
                checks.add(figure, format!("{value:.3}"), format!("less than {target}"), value < target);
            }
        }
        if let Some(decisions) = &self.decisions {
            let rate = decisions.per_second.p50;
            checks.add(
                "decisions per core second",
                millions(rate),
                format!("at least {}", millions(RATE)),
                rate >= RATE,
            );
        }
        if let (Some(first), Some(last)) = (self.scale.first(), self.scale.last()) {
            let (resources, seconds, mib) = LARGEST;
            if last.resources >= resources {
                let figure = format!("{} resources by 20 selections, s", last.resources);
                let all = last.took.read_seconds + last.took.seconds;
                checks.add(
                    format!("{figure}, JSON read and evaluated"),
                    format!("{all:.2}"),
                    format!("less than {seconds}"),
                    all < seconds,
                );
                let peak = last.took.peak_mib.unwrap_or(f64::INFINITY);
                checks.add("their peak memory, MiB", format!("{peak:.0}"), format!("less than {mib:.0}"), peak < mib);
            }
            let each = |size: &Size| size.took.seconds / count(size.resources);
            let growth = each(last) / each(first);
            let figure = format!("time per resource, {} relative to {}", last.resources, first.resources);
            checks.add(figure, format!("x {growth:.2}"), format!("at most x {GROWTH}"), growth <= GROWTH);
        }
        self.checks = checks;
    }

    pub(crate) fn render(&self) -> String {
        let mut text = format!("On {}. Times are core times.\n", self.machine.describe());
        self.render_lint(&mut text);
        self.render_coverage(&mut text);
        self.render_comparison(&mut text);
        for skipped in &self.skipped {
            let _ = writeln!(text, "\nSkipped: {skipped}.");
        }
        self.checks.render(&mut text);
        text
    }

    fn render_lint(&self, text: &mut String) {
        if self.lint.is_empty() {
            return;
        }
        text.push('\n');
        let mut rows = vec![row(&["lint of", "bytes", "findings", "ms", "min", "max"])];
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
                "\n{} resources by {} selections, {} of them covered: {} decisions per second ({} to {}), with an explanation of each miss.",
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
            let mut rows =
                vec![row(&["resources", "document, MB", "read, s", "evaluated, s", "µs each", "covered", "peak, MiB"])];
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

    fn render_comparison(&self, text: &mut String) {
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
        if let Some(cases) = &self.field_cases {
            cases.render(text);
        }
        if let Some(EvaluatorComparison { resources, ours, python }) = &self.evaluators {
            let _ = writeln!(
                text,
                "\n{resources} resources, equal results ({} covered, {} not): ours {:.3} s to read and {:.3} s to evaluate, Python \
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
