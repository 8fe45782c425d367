//! The same questions, put to others: the linter of AWS's own, and a plainly written evaluator in Python.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::sample;
use crate::work::{self, Covered};

/// A template put to both linters, each as a program of its own.
#[derive(Debug, Serialize)]
pub(crate) struct Linted {
    pub(crate) template: &'static str,
    /// Seconds of a core, from the start of the program to its end.
    pub(crate) ours: f64,
    pub(crate) cfn_lint: f64,
    /// Lines that have a fault by design.
    pub(crate) faults: usize,
    /// Of these, lines on which something was found.
    pub(crate) found_by_us: usize,
    pub(crate) found_by_cfn_lint: usize,
}

/// A program ends so quickly that the kernel's clock for it is too coarse; many are not.
const STARTS: u32 = 40;

pub(crate) fn lint(cfn_lint: &Path, folder: &Path) -> anyhow::Result<Vec<Linted>> {
    let mut all = Vec::new();
    let large = sample::large_template();
    for (template, text) in
        [("ten controls", sample::TEN_CONTROLS), ("ten faults", sample::FAULTY), ("1 MB", large.as_str())]
    {
        let file = folder.join("template.yaml");
        std::fs::write(&file, text)?;
        let before = work::worked_by_others()?;
        let mut ours = Vec::new();
        for _ in 0..STARTS {
            ours = lines(&ours_output(&file)?, "/line")?;
        }
        let between = work::worked_by_others()?;
        let output = Command::new(cfn_lint)
            .args(["--non-zero-exit-code", "none", "--format", "json", "--regions", "us-east-1", "--"])
            .arg(&file)
            .output()
            .context("cannot run cfn-lint")?;
        ensure!(output.status.success(), "cfn-lint: {}", String::from_utf8_lossy(&output.stderr));
        let theirs = lines(&output.stdout, "/Location/Start/LineNumber")?;
        let after = work::worked_by_others()?;
        let faulty: Vec<u64> =
            (1..).zip(text.lines()).filter(|(_, line)| line.contains("# fault")).map(|(number, _)| number).collect();
        let found = |lines: &[u64]| faulty.iter().filter(|line| lines.contains(line)).count();
        all.push(Linted {
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

fn ours_output(file: &Path) -> anyhow::Result<Vec<u8>> {
    let output = Command::new(std::env::current_exe()?).args(["work", "lint"]).arg(file).output()?;
    ensure!(output.status.success(), "lint: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

/// The lines that findings stand on.
fn lines(json: &[u8], pointer: &str) -> anyhow::Result<Vec<u64>> {
    let findings: Vec<Value> = serde_json::from_slice(json).context("findings that are no list in JSON")?;
    Ok(findings.iter().filter_map(|finding| finding.pointer(pointer)?.as_u64()).collect())
}

/// An inventory put to both evaluators.
#[derive(Debug, Serialize)]
pub(crate) struct Judged {
    pub(crate) resources: usize,
    pub(crate) ours: Covered,
    pub(crate) python: Covered,
}

pub(crate) fn evaluate(python: &Path, program: &Path, document: &Path, resources: usize) -> anyhow::Result<Judged> {
    let output = Command::new(python).arg(program).arg(document).output().context("cannot run Python")?;
    ensure!(output.status.success(), "{}: {}", program.display(), String::from_utf8_lossy(&output.stderr));
    let theirs: Covered = serde_json::from_slice(&output.stdout)?;
    let ours = crate::scale::one(document)?;
    ensure!(
        (ours.compliant, ours.not_compliant) == (theirs.compliant, theirs.not_compliant),
        "the two do not agree: {ours:?} and {theirs:?}"
    );
    Ok(Judged { resources, ours, python: theirs })
}
