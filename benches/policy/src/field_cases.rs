//! Compares linters over the field cases of the command line: ours, cfn-lint, and AWS's cloudformation-validate.
//!
//! A faulty file is the only template of a lint case that is to be rejected, and a right file is the framework of a
//! `check` or `evaluate` case. Only the highest level of a file counts, not what is reported.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use bench_common::count;
use bench_common::table::{lay_out, row};
use framework::lint::Level;

use crate::{comparison, work};

/// A case of `cases.json`.
#[derive(Deserialize)]
struct Case {
    folder: String,
    run: Vec<String>,
    status: i32,
}

/// The linters over the same files.
#[derive(Debug, Serialize)]
pub(crate) struct FieldCaseComparison {
    faulty: usize,
    right: usize,
    /// Ours is the first.
    linters: Vec<LinterRun>,
}

/// A linter over the files, each once in one process.
#[derive(Debug, Serialize)]
struct LinterRun {
    linter: &'static str,
    /// Core seconds from the start of the program to the end of its first file.
    start: f64,
    /// Core seconds of a file after that.
    each: f64,
    faulty: Reported,
    right: Reported,
}

/// The files by the highest reported level.
#[derive(Debug, Default, Serialize)]
struct Reported {
    errors: usize,
    warnings: usize,
}

/// The highest level that is reported for a file.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Highest {
    Nothing,
    Warning,
    Error,
}

/// The output of `index.py`.
#[derive(Deserialize)]
struct PythonRun {
    start: f64,
    seconds: f64,
    highest: Vec<Highest>,
}

impl Reported {
    fn of(files: &[Highest]) -> Self {
        let mut reported = Self::default();
        for highest in files {
            match highest {
                Highest::Error => reported.errors += 1,
                Highest::Warning => reported.warnings += 1,
                Highest::Nothing => {}
            }
        }
        reported
    }
}

/// Compares the linters over the cases in a folder; `others` are the names of the other linters, and the Python of each.
pub(crate) fn compare(
    folder: &Path,
    program: &Path,
    others: &[(&'static str, PathBuf)],
) -> anyhow::Result<FieldCaseComparison> {
    let (faulty, right) = files(folder)?;
    ensure!(!faulty.is_empty() && !right.is_empty(), "no field cases in `{}`", folder.display());
    let all: Vec<PathBuf> = faulty.iter().chain(&right).cloned().collect();
    let new = |linter, start, seconds: f64, highest: &[Highest]| {
        let (of_faulty, of_right) = highest.split_at(faulty.len());
        let (faulty, right) = (Reported::of(of_faulty), Reported::of(of_right));
        LinterRun { linter, start, each: seconds / count(all.len()), faulty, right }
    };
    let (start, seconds, highest) = ours(&all)?;
    let mut linters = vec![new("ours", start, seconds, &highest)];
    for (linter, python) in others {
        let output = Command::new(python).arg(program).arg(linter).args(&all).output().context("cannot run Python")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{linter}: {errors}");
        eprint!("{errors}");
        let PythonRun { start, seconds, highest } = serde_json::from_slice(&output.stdout)?;
        ensure!(highest.len() == all.len(), "{linter} lints {} of {} files", highest.len(), all.len());
        linters.push(new(linter, start, seconds, &highest));
    }
    Ok(FieldCaseComparison { faulty: faulty.len(), right: right.len(), linters })
}

/// Returns the faulty and the right files.
fn files(folder: &Path) -> anyhow::Result<(BTreeSet<PathBuf>, BTreeSet<PathBuf>)> {
    let cases: Vec<Case> = serde_json::from_str(&std::fs::read_to_string(folder.join("cases.json"))?)?;
    let (mut faulty, mut right) = (BTreeSet::new(), BTreeSet::new());
    for Case { folder: own, run, status } in cases {
        let framework = run.iter().skip_while(|arg| *arg != "--framework").nth(1);
        right.extend(framework.map(|file| folder.join(&own).join(file)).filter(|path| path.is_file()));
        if let [command, file] = run.as_slice() {
            let path = folder.join(&own).join(file);
            // The other folders have files that are no text.
            if command == "lint" && own.starts_with("lint") && status == 1 && path.is_file() {
                faulty.insert(path);
            }
        }
    }
    Ok((faulty, right))
}

/// Returns the core seconds of a start and of all files, and the highest level of each file.
fn ours(all: &[PathBuf]) -> anyhow::Result<(f64, f64, Vec<Highest>)> {
    const ROUNDS: u32 = 100;
    let first = all.first().context("no files")?;
    let before = work::worked_by_children()?;
    for _ in 0..comparison::STARTS {
        comparison::lint_process(first)?;
    }
    let start = (work::worked_by_children()? - before) / f64::from(comparison::STARTS);
    let round = || all.iter().map(|file| highest(file)).collect::<anyhow::Result<Vec<Highest>>>();
    let found = round()?;
    let (rounds, seconds) = work::timed(|| (0..ROUNDS).try_for_each(|_| round().map(drop)));
    rounds?;
    Ok((start, seconds / f64::from(ROUNDS), found))
}

fn highest(file: &Path) -> anyhow::Result<Highest> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let found = work::lint(&text);
    let has = |level| found.iter().any(|diagnostic| diagnostic.level == level);
    Ok(if has(Level::Error) {
        Highest::Error
    } else if has(Level::Warning) {
        Highest::Warning
    } else {
        Highest::Nothing
    })
}

impl FieldCaseComparison {
    pub(crate) fn render(&self, text: &mut String) {
        let Self { faulty, right, linters } = self;
        let _ = writeln!(text, "\nField cases: {faulty} faulty and {right} right files, each once in one process.\n");
        let mut rows = vec![row(&[
            "linter",
            "start and first file, s",
            "ratio",
            "each file, ms",
            "ratio",
            "faulty: error",
            "only a warning",
            "right: error",
            "only a warning",
        ])];
        rows.extend(linters.iter().map(|run| {
            let ratio = |of: fn(&LinterRun) -> f64| linters.first().map_or(f64::NAN, |ours| of(run) / of(ours));
            vec![
                run.linter.to_owned(),
                format!("{:.4}", run.start),
                format!("{:.0}", ratio(|run| run.start)),
                format!("{:.3}", run.each * 1e3),
                format!("{:.0}", ratio(|run| run.each)),
                run.faulty.errors.to_string(),
                run.faulty.warnings.to_string(),
                run.right.errors.to_string(),
                run.right.warnings.to_string(),
            ]
        }));
        lay_out(text, &rows);
    }
}
