//! Measures lint and evaluation: how long a template takes, how many decisions a second, how both grow, in memory and in
//! instructions, and the same questions put to cfn-lint and to Python.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is what this program is for")]
#![allow(clippy::indexing_slicing, reason = "a tool: a panic in it harms nobody")]

mod beside;
mod instructions;
mod results;
mod sample;
mod scale;
mod timing;
mod work;

use std::hint::black_box;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::results::{Decisions, Lint, Results, count};
use crate::timing::{Timing, spread};

/// What can be measured.
const SECTIONS: [&str; 6] = ["lint", "decisions", "scale", "instructions", "cfn-lint", "python"];

#[derive(Debug, Parser)]
#[command(version, about)]
struct Args {
    #[command(subcommand)]
    work: Option<Command>,
    /// Samples that Criterion takes of lint and decisions.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(10..))]
    samples: u32,
    /// Resources of the largest inventory.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(10_000..))]
    resources: u32,
    /// Where documents may be written.
    #[arg(long, default_value = "target")]
    folder: PathBuf,
    /// The linter to compare with.
    #[arg(long)]
    cfn_lint: Option<PathBuf>,
    /// The Python to compare with, and its evaluator.
    #[arg(long, requires = "python_policy")]
    python: Option<PathBuf>,
    #[arg(long)]
    python_policy: Option<PathBuf>,
    /// Where to write the results as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Measure only these.
    #[arg(long, value_delimiter = ',', value_parser = SECTIONS, default_values = SECTIONS)]
    only: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One piece of work, for the process that measures it.
    #[command(subcommand)]
    Work(Work),
}

#[derive(Debug, Subcommand)]
enum Work {
    /// Lint a file.
    Lint { file: PathBuf },
    /// Read and judge an inventory.
    Cover { document: PathBuf },
    /// Lint a framework so many times.
    CountLint { times: u32 },
    /// Lint a large template so many times.
    CountLarge { times: u32 },
    /// Judge an inventory so many times.
    CountCover { times: u32 },
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let Some(Command::Work(work)) = &args.work {
        return do_one(work);
    }
    let wants = |section: &str| args.only.iter().any(|only| only == section);
    let folder = args.folder.join("bench-policy");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    let mut timing = Timing::new(&args.folder.join("criterion"), size(args.samples));
    let mut results = Results::new();
    if wants("lint") {
        results.lint = lint(&mut timing)?;
    }
    if wants("decisions") {
        results.decisions = Some(decisions(&mut timing)?);
    }
    if wants("scale") {
        for resources in [10_000, 100_000, size(args.resources)] {
            eprintln!("scale: {resources} resources");
            results.scale.push(scale::measure(resources, &folder)?);
        }
    }
    if wants("instructions") {
        if instructions::is_possible() {
            eprintln!("instructions, with valgrind");
            results.instructions = instructions::measure(&folder)?;
        } else {
            results.skipped.push("instructions, for valgrind is not installed".to_owned());
        }
    }
    if wants("cfn-lint") {
        match &args.cfn_lint {
            Some(program) => {
                eprintln!("cfn-lint");
                results.linters = beside::lint(program, &folder)?;
            }
            None => results.skipped.push("cfn-lint, for nobody said where it is".to_owned()),
        }
    }
    if wants("python") {
        match (&args.python, &args.python_policy) {
            (Some(python), Some(program)) => {
                eprintln!("python");
                results.evaluators = Some(python_beside(python, program, &folder)?);
            }
            _ => results.skipped.push("Python, for nobody said where it is".to_owned()),
        }
    }
    results.judge();
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&results)?;
        std::fs::write(path, text + "\n").with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    println!("{}", results.render());
    Ok(())
}

fn do_one(work: &Work) -> anyhow::Result<()> {
    match work {
        Work::Lint { file } => {
            println!("{}", serde_json::to_string(&work::lint(&std::fs::read_to_string(file)?))?);
        }
        Work::Cover { document } => println!("{}", serde_json::to_string(&work::covered(document)?)?),
        Work::CountLint { times } => (0..*times).for_each(|_| drop(black_box(work::lint(sample::TEN_CONTROLS)))),
        Work::CountLarge { times } => {
            let text = sample::large_template();
            (0..*times).for_each(|_| drop(black_box(work::lint(&text))));
        }
        Work::CountCover { times } => {
            let inventory = sample::inventory(1_000)?;
            for _ in 0..*times {
                black_box(work::evaluate(&inventory)?);
            }
        }
    }
    Ok(())
}

fn lint(timing: &mut Timing) -> anyhow::Result<Vec<Lint>> {
    let (large, json) = (sample::large_template(), sample::large_json().to_string());
    let templates = [
        ("ten controls", "ten-controls", sample::TEN_CONTROLS),
        ("a 1 MB template", "large-yaml", &large),
        ("the like in JSON", "large-json", &json),
    ];
    let mut all = Vec::new();
    for ((template, name, text), aim) in templates.into_iter().zip(Results::lint_aims()) {
        let findings = work::lint(text);
        if let Some(found) = findings.iter().find(|found| found.level() == domain::lint::Level::Error) {
            anyhow::bail!("{template} is to have no errors: {found}");
        }
        let milliseconds = spread(&timing.seconds("lint", name, || work::lint(text))?, |seconds| seconds * 1e3)?;
        all.push(Lint { template, bytes: text.len(), findings: findings.len(), milliseconds, aim });
    }
    Ok(all)
}

fn decisions(timing: &mut Timing) -> anyhow::Result<Decisions> {
    let resources = 100_000;
    let inventory = sample::inventory(resources)?;
    let covered = work::evaluate(&inventory)?.compliant;
    let took = timing.seconds("evaluate", "coverage", || work::evaluate(&inventory))?;
    let per_second = spread(&took, |seconds| count(resources * sample::SELECTIONS) / seconds)?;
    Ok(Decisions { resources, selections: sample::SELECTIONS, covered, per_second })
}

fn python_beside(python: &Path, program: &Path, folder: &Path) -> anyhow::Result<beside::Judged> {
    let resources = 20_000;
    let document = folder.join("inventory-python.json");
    sample::write(&document, resources)?;
    let judged = beside::evaluate(python, program, &document, resources);
    std::fs::remove_file(&document)?;
    judged
}

fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
