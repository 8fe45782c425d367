//! Measures lint and evaluation: the time of templates, decisions per second, growth, memory and instructions, and
//! compares them with cfn-lint, cloudformation-validate and Python.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this program prints tables")]
#![allow(clippy::indexing_slicing, reason = "a benchmark may panic")]

mod comparison;
mod field_cases;
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

use bench_common::{count, write_json};

use crate::results::{DecisionRate, Lint, PolicyResults};
use crate::timing::{Timing, spread};

/// The sections of the benchmark.
const SECTIONS: [&str; 7] = ["lint", "decisions", "scale", "instructions", "cfn-lint", "field-cases", "python"];

#[derive(Debug, Parser)]
#[command(version, about)]
struct PolicyArgs {
    #[command(subcommand)]
    work: Option<PolicyCommand>,
    /// Criterion samples of lint and decisions.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(10..))]
    samples: u32,
    /// Resources of the largest inventory.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(10_000..))]
    resources: u32,
    /// Folder for temporary documents.
    #[arg(long, default_value = "target")]
    folder: PathBuf,
    /// cfn-lint, for the comparison.
    #[arg(long)]
    cfn_lint: Option<PathBuf>,
    /// The Python with cloudformation-validate, the program that runs both linters, and the folder of the field cases.
    #[arg(long, requires_all = ["cfn_lint", "python_lint", "cases"])]
    cloudformation_validate: Option<PathBuf>,
    #[arg(long)]
    python_lint: Option<PathBuf>,
    #[arg(long)]
    cases: Option<PathBuf>,
    /// Python, for the comparison, and its evaluator.
    #[arg(long, requires = "python_policy")]
    python: Option<PathBuf>,
    #[arg(long)]
    python_policy: Option<PathBuf>,
    /// File for the results, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Measure only these.
    #[arg(long, value_delimiter = ',', value_parser = SECTIONS, default_values = SECTIONS)]
    only: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// Run one piece of work, for the process that measures it.
    #[command(subcommand)]
    Work(WorkItem),
}

#[derive(Debug, Subcommand)]
enum WorkItem {
    /// Lint a file.
    Lint { file: PathBuf },
    /// Read and evaluate an inventory.
    Cover { document: PathBuf },
    /// Lint a framework this many times.
    CountLint { times: u32 },
    /// Lint a large template this many times.
    CountLarge { times: u32 },
    /// Evaluate an inventory this many times.
    CountCover { times: u32 },
}

fn main() -> anyhow::Result<()> {
    let args = PolicyArgs::parse();
    if let Some(PolicyCommand::Work(work)) = &args.work {
        return do_one(work);
    }
    let includes = |section: &str| args.only.iter().any(|only| only == section);
    let folder = args.folder.join("bench-policy");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    let mut timing = Timing::new(&args.folder.join("criterion"), size(args.samples));
    let mut results = PolicyResults::new();
    if includes("lint") {
        results.lint = lint(&mut timing)?;
    }
    if includes("decisions") {
        results.decisions = Some(decisions(&mut timing)?);
    }
    if includes("scale") {
        for resources in [10_000, 100_000, size(args.resources)] {
            eprintln!("scale: {resources} resources");
            results.scale.push(scale::measure(resources, &folder)?);
        }
    }
    if includes("instructions") {
        if instructions::is_possible() {
            eprintln!("instructions, with valgrind");
            results.instructions = instructions::measure(&folder)?;
        } else {
            results.skipped.push("instructions (valgrind is not installed)".to_owned());
        }
    }
    compare(&args, includes, &folder, &mut results)?;
    results.check_targets();
    if let Some(path) = &args.json {
        write_json(path, &results)?;
    }
    println!("{}", results.render());
    Ok(())
}

/// Compares with the other programs.
fn compare(
    args: &PolicyArgs,
    includes: impl Fn(&str) -> bool,
    folder: &Path,
    results: &mut PolicyResults,
) -> anyhow::Result<()> {
    if includes("cfn-lint") {
        match &args.cfn_lint {
            Some(program) => {
                eprintln!("cfn-lint");
                results.linters = comparison::lint(program, folder)?;
            }
            None => results.skipped.push("cfn-lint (use --cfn-lint)".to_owned()),
        }
    }
    if includes("field-cases") {
        match (&args.cfn_lint, &args.cloudformation_validate, &args.python_lint, &args.cases) {
            (Some(cfn_lint), Some(validate), Some(program), Some(cases)) => {
                eprintln!("field cases");
                let others =
                    [("cfn-lint", cfn_lint.with_file_name("python3")), ("cloudformation-validate", validate.clone())];
                results.field_cases = Some(field_cases::compare(cases, program, &others)?);
            }
            _ => results.skipped.push("field cases (use --cloudformation-validate)".to_owned()),
        }
    }
    if includes("python") {
        match (&args.python, &args.python_policy) {
            (Some(python), Some(program)) => {
                eprintln!("python");
                results.evaluators = Some(compare_python(python, program, folder)?);
            }
            _ => results.skipped.push("Python (use --python and --python-policy)".to_owned()),
        }
    }
    Ok(())
}

fn do_one(work: &WorkItem) -> anyhow::Result<()> {
    match work {
        WorkItem::Lint { file } => {
            println!("{}", serde_json::to_string(&work::lint(&std::fs::read_to_string(file)?))?);
        }
        WorkItem::Cover { document } => println!("{}", serde_json::to_string(&work::cover(document)?)?),
        WorkItem::CountLint { times } => (0..*times).for_each(|_| drop(black_box(work::lint(sample::TEN_CONTROLS)))),
        WorkItem::CountLarge { times } => {
            let text = sample::large_template();
            (0..*times).for_each(|_| drop(black_box(work::lint(&text))));
        }
        WorkItem::CountCover { times } => {
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
        ("a 1 MB template in JSON", "large-json", &json),
    ];
    let mut all = Vec::new();
    for ((template, name, text), target) in templates.into_iter().zip(PolicyResults::lint_targets()) {
        let findings = work::lint(text);
        if let Some(found) = findings.iter().find(|found| found.level == framework::lint::Level::Error) {
            anyhow::bail!("{template} has an error: {found}");
        }
        let milliseconds = spread(&timing.seconds("lint", name, || work::lint(text))?, |seconds| seconds * 1e3)?;
        all.push(Lint { template, bytes: text.len(), findings: findings.len(), milliseconds, target });
    }
    Ok(all)
}

fn decisions(timing: &mut Timing) -> anyhow::Result<DecisionRate> {
    let resources = 100_000;
    let inventory = sample::inventory(resources)?;
    let covered = work::evaluate(&inventory)?.compliant;
    let took = timing.seconds("evaluate", "coverage", || work::evaluate(&inventory))?;
    let per_second = spread(&took, |seconds| count(resources * sample::SELECTIONS) / seconds)?;
    Ok(DecisionRate { resources, selections: sample::SELECTIONS, covered, per_second })
}

fn compare_python(python: &Path, program: &Path, folder: &Path) -> anyhow::Result<comparison::EvaluatorComparison> {
    let resources = 20_000;
    let document = folder.join("inventory-python.json");
    sample::write(&document, resources)?;
    let comparison = comparison::evaluate(python, program, &document, resources);
    std::fs::remove_file(&document)?;
    comparison
}

fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
