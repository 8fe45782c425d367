//! Compares with other programs: the lint with cfn-lint, the evaluation with a plain evaluator in Python.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::sample;
use crate::work::{self, CoverageRun};

/// A template checked by both linters, each as a separate process.
#[derive(Debug, Serialize)]
pub(crate) struct LinterComparison {
    pub(crate) template: &'static str,
    /// Core seconds of the process.
    pub(crate) ours: f64,
    pub(crate) cfn_lint: f64,
    /// Lines with a deliberate error.
    pub(crate) faults: usize,
    /// Lines with a deliberate error on which a linter reports a finding.
    pub(crate) found_by_us: usize,
    pub(crate) found_by_cfn_lint: usize,
}

/// The number of runs: one run is too short for the kernel's clock of processes.
pub(crate) const STARTS: u32 = 40;

pub(crate) fn lint(cfn_lint: &Path, folder: &Path) -> anyhow::Result<Vec<LinterComparison>> {
    let mut all = Vec::new();
    let large = sample::large_template();
    for (template, text) in
        [("ten controls", sample::TEN_CONTROLS), ("ten faults", sample::FAULTY), ("1 MB", large.as_str())]
    {
        let file = folder.join("template.yaml");
        std::fs::write(&file, text)?;
        let before = work::worked_by_children()?;
        let mut ours = Vec::new();
        for _ in 0..STARTS {
            ours = lines(&lint_process(&file)?, "/line")?;
        }
        let between = work::worked_by_children()?;
        let output = Command::new(cfn_lint)
            .args(["--non-zero-exit-code", "none", "--format", "json", "--regions", "us-east-1", "--"])
            .arg(&file)
            .output()
            .context("cannot run cfn-lint")?;
        ensure!(output.status.success(), "cfn-lint: {}", String::from_utf8_lossy(&output.stderr));
        let theirs = lines(&output.stdout, "/Location/Start/LineNumber")?;
        let after = work::worked_by_children()?;
        let faulty: Vec<u64> =
            (1..).zip(text.lines()).filter(|(_, line)| line.contains("# fault")).map(|(number, _)| number).collect();
        let found = |lines: &[u64]| faulty.iter().filter(|line| lines.contains(line)).count();
        all.push(LinterComparison {
            template,
            ours: (between - before) / f64::from(STARTS),
            cfn_lint: after - between,
            faults: faulty.len(),
            found_by_us: found(&ours),
            found_by_cfn_lint: found(&theirs),
        });
    }
    Ok(all)
}

pub(crate) fn lint_process(file: &Path) -> anyhow::Result<Vec<u8>> {
    let output = Command::new(std::env::current_exe()?).args(["work", "lint"]).arg(file).output()?;
    ensure!(output.status.success(), "lint: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

/// Returns the lines of the findings.
fn lines(json: &[u8], pointer: &str) -> anyhow::Result<Vec<u64>> {
    let findings: Vec<Value> = serde_json::from_slice(json).context("the findings are not a JSON list")?;
    Ok(findings.iter().filter_map(|finding| finding.pointer(pointer)?.as_u64()).collect())
}

/// An inventory evaluated by both evaluators.
#[derive(Debug, Serialize)]
pub(crate) struct EvaluatorComparison {
    pub(crate) resources: usize,
    pub(crate) ours: CoverageRun,
    pub(crate) python: CoverageRun,
}

pub(crate) fn evaluate(
    python: &Path,
    program: &Path,
    document: &Path,
    resources: usize,
) -> anyhow::Result<EvaluatorComparison> {
    let output = Command::new(python).arg(program).arg(document).output().context("cannot run Python")?;
    ensure!(output.status.success(), "{}: {}", program.display(), String::from_utf8_lossy(&output.stderr));
    let theirs: CoverageRun = serde_json::from_slice(&output.stdout)?;
    let ours = crate::scale::one(document)?;
    ensure!(
        (ours.compliant, ours.not_compliant) == (theirs.compliant, theirs.not_compliant),
        "the evaluators disagree: {ours:?} and {theirs:?}"
    );
    Ok(EvaluatorComparison { resources, ours, python: theirs })
}
