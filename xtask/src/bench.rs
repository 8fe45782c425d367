//! `cargo xtask bench`: builds the benchmarks and their subjects, and runs them.
//!
//! The packages `bench-cold-start`, `bench-inventory`, `bench-policy`, `bench-report` and `bench-rollout` are separate
//! programs. They are compiled with optimizations, because a slow server would distort the results, and the other commands do not
//! build their dependencies.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use clap::Args;

use sandbox::tools::{Tools, ensure_cloudformation_validate, ensure_python_function};

use crate::tools;

/// The measured functions and their packages (and binaries); the Python function has none.
const SUBJECTS: [(&str, Option<&str>); 4] =
    [("floor", Some("bench-floor")), ("deploy", Some("deploy")), ("report", Some("report")), ("python", None)];

/// Measure start-up, invocations, memory and size of functions
///
/// Compares the functions with an empty Rust function and with one in Python.
#[derive(Args)]
#[command(after_help = "Example:\n  cargo xtask bench cold-start --rounds 40 --json target/bench/cold-start.json")]
pub(crate) struct ColdStartArguments {
    /// Measured rounds; each starts each function over HTTP and TLS
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Also write the results to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure the functions in `target/lambda` without a build
    #[arg(long)]
    no_build: bool,
    /// Measure only these; the ratios need `floor` and `python`
    #[arg(long, value_delimiter = ',', value_parser = SUBJECTS.map(|(name, _)| name), default_values = SUBJECTS.map(|(name, _)| name))]
    only: Vec<String>,
}

/// The sections of `bench report`.
const SECTIONS: [&str; 5] = ["throughput", "growth", "flood", "memory", "sample"];

/// Measure the reporting of compliance changes
///
/// Measures throughput, growth, a flood of events through the local cloud, memory and cost, and compares them with
/// the logic of the public sample.
#[derive(Args)]
#[command(after_help = "Example:\n  cargo xtask bench report --only throughput,growth")]
pub(crate) struct ReportArguments {
    /// Number of events in the flood
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(10..))]
    events: u32,
    /// Number of events for the public sample, two calls each
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(10..))]
    sample_events: u32,
    /// Digest window in the local cloud, in seconds
    #[arg(long, default_value_t = 30)]
    window: u32,
    /// Write the results to this file, as JSON
    #[arg(long, value_name = "FILE", default_value = "target/bench-report.json")]
    json: PathBuf,
    /// Use the application of the last `sam build`
    #[arg(long)]
    no_build: bool,
    /// Measure only these; the last three start a local cloud
    #[arg(long, value_delimiter = ',', value_parser = SECTIONS, default_values = SECTIONS)]
    only: Vec<String>,
}

/// The sections of `bench rollout`.
const ROLLOUT_SECTIONS: [&str; 3] = ["planning", "calls", "simulator"];

/// Measure rollouts
///
/// Measures plans of up to 100,000 instances, the AWS calls of an unchanged push, and schedules of the simulator.
#[derive(Args)]
#[command(after_help = "Example:\n  cargo xtask bench rollout --only planning --rounds 11")]
pub(crate) struct RolloutArguments {
    /// Measured plans per fleet
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Schedules that the simulator runs
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..))]
    schedules: u32,
    /// Write the results to this file, as JSON
    #[arg(long, value_name = "FILE", default_value = "target/bench-rollout.json")]
    json: PathBuf,
    /// Measure only these
    #[arg(long, value_delimiter = ',', value_parser = ROLLOUT_SECTIONS, default_values = ROLLOUT_SECTIONS)]
    only: Vec<String>,
}

/// The sections of `bench policy`.
const POLICY_SECTIONS: [&str; 7] = ["lint", "decisions", "scale", "instructions", "cfn-lint", "field-cases", "python"];

/// Measure lint and evaluation
///
/// Measures templates, decisions per second, growth to a million resources, memory and instructions, and compares
/// them with cfn-lint, with AWS's cloudformation-validate, and with an evaluator in Python.
#[derive(Args)]
#[command(after_help = "Example:\n  cargo xtask bench policy --only lint,decisions --samples 50")]
pub(crate) struct PolicyArguments {
    /// Criterion samples of lint and decisions
    ///
    /// Criterion writes its reports to `target/criterion`.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(10..))]
    samples: u32,
    /// Resources of the largest inventory
    ///
    /// A million resources need 600 MB of disk during the run.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(10_000..))]
    resources: u32,
    /// Write the results to this file, as JSON
    #[arg(long, value_name = "FILE", default_value = "target/bench-policy.json")]
    json: PathBuf,
    /// Measure only these; `instructions` needs valgrind
    #[arg(long, value_delimiter = ',', value_parser = POLICY_SECTIONS, default_values = POLICY_SECTIONS)]
    only: Vec<String>,
}

/// Runs the benchmark of lint and evaluation. A missed target is reported, and is not an error.
pub(crate) fn policy(args: &PolicyArguments) -> anyhow::Result<()> {
    let root = tools::workspace();
    let mut bench = program(&root, "bench-policy")?;
    bench.arg("--only").arg(args.only.join(",")).arg("--samples").arg(args.samples.to_string());
    bench.arg("--resources").arg(args.resources.to_string()).arg("--folder").arg(root.join("target"));
    let includes = |section: &str| args.only.iter().any(|only| only == section);
    if includes("cfn-lint") || includes("field-cases") {
        bench.arg("--cfn-lint").arg(tools::ensure()?.cfn_lint);
    }
    if includes("field-cases") {
        let python = ensure_cloudformation_validate(&root, &mut |line| eprintln!("{line}"))?;
        bench.arg("--cloudformation-validate").arg(python).arg("--cases").arg(root.join("cli/tests/cases"));
        bench.arg("--python-lint").arg(root.join("benches/python-lint/index.py"));
    }
    bench.args(["--python", "python3", "--python-policy"]).arg(root.join("benches/python-policy/index.py"));
    create_folder_of(&args.json)?;
    run(bench.arg("--json").arg(&args.json))
}

/// Measure the nightly inventory
///
/// Reads a large organization against a stand-in with the documented rates of AWS Backup, in virtual time.
#[derive(Args)]
#[command(after_help = "Example:\n  cargo xtask bench inventory --accounts 100 --resources 50")]
pub(crate) struct InventoryArguments {
    /// Accounts of the organization
    #[arg(long, default_value_t = 800)]
    accounts: u32,
    /// Regions of each account
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=4))]
    regions: u8,
    /// Resources in each account and Region
    #[arg(long, default_value_t = 10)]
    resources: u32,
    /// Recovery points of each resource
    #[arg(long, default_value_t = 7)]
    points: u32,
    /// Write the results to this file, as JSON
    #[arg(long, value_name = "FILE", default_value = "target/bench-inventory.json")]
    json: PathBuf,
}

/// Runs the benchmark of the inventory. A missed target is reported, and is not an error.
pub(crate) fn inventory(args: &InventoryArguments) -> anyhow::Result<()> {
    let mut bench = program(&tools::workspace(), "bench-inventory")?;
    bench.arg("--accounts").arg(args.accounts.to_string()).arg("--regions").arg(args.regions.to_string());
    bench.arg("--resources").arg(args.resources.to_string()).arg("--points").arg(args.points.to_string());
    create_folder_of(&args.json)?;
    run(bench.arg("--json").arg(&args.json))
}

/// Runs the benchmark of rollouts. A missed target is reported, and is not an error.
pub(crate) fn rollout(args: &RolloutArguments) -> anyhow::Result<()> {
    let mut bench = program(&tools::workspace(), "bench-rollout")?;
    bench.arg("--only").arg(args.only.join(","));
    bench.arg("--rounds").arg(args.rounds.to_string()).arg("--schedules").arg(args.schedules.to_string());
    create_folder_of(&args.json)?;
    run(bench.arg("--json").arg(&args.json))
}

/// Runs the benchmark of reports. A missed target is reported, and is not an error.
pub(crate) fn report(args: &ReportArguments) -> anyhow::Result<()> {
    let root = tools::workspace();
    let mut bench = program(&root, "bench-report")?;
    bench.arg("--root").arg(&root).arg("--only").arg(args.only.join(","));
    bench.arg("--events").arg(args.events.to_string()).arg("--sample-events").arg(args.sample_events.to_string());
    bench.arg("--window").arg(args.window.to_string());
    if args.no_build {
        bench.arg("--no-build");
    }
    create_folder_of(&args.json)?;
    run(bench.arg("--json").arg(&args.json))
}

/// Runs the benchmark of cold starts. A missed target is reported, and is not an error.
pub(crate) fn cold_start(args: &ColdStartArguments) -> anyhow::Result<()> {
    let root = tools::workspace();
    let python = ensure_python_function(&root, &mut |line| eprintln!("{line}"))?;
    let chosen = SUBJECTS.iter().filter(|(name, _)| args.only.iter().any(|only| only == name));
    for package in chosen.filter_map(|(_, package)| *package) {
        if !(args.no_build && root.join("target/lambda").join(package).join("bootstrap").is_file()) {
            build_function(&root, &tools::ensure()?, package)?;
        }
    }
    let mut bench = program(&root, "bench-cold-start")?;
    bench.arg("--root").arg(&root).arg("--python").arg(python);
    bench.arg("--rounds").arg(args.rounds.to_string()).arg("--only").arg(args.only.join(","));
    if let Some(json) = &args.json {
        create_folder_of(json)?;
        bench.arg("--json").arg(json);
    }
    run(&mut bench)
}

/// Builds a benchmark.
fn program(root: &Path, package: &str) -> anyhow::Result<Command> {
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    run(build.args(["build", "--profile", "tool", "--package", package]).current_dir(root))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(Command::new(target.join("tool").join(package)))
}

/// Builds a function as it is deployed; other builds would have other results.
fn build_function(root: &Path, tools: &Tools, package: &str) -> anyhow::Result<()> {
    let mut build = Command::new(&tools.cargo_lambda);
    // All other code looks for functions in `target/lambda`, also if cargo has another target directory.
    build.args(["lambda", "build", "--release", "--package", package, "--bin", package, "--lambda-dir"]);
    build.arg(root.join("target/lambda")).env("PATH", tools.path()).current_dir(root);
    run(&mut build)
}

fn create_folder_of(file: &Path) -> anyhow::Result<()> {
    let Some(folder) = file.parent() else { return Ok(()) };
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot run `{shown}`"))?;
    anyhow::ensure!(status.success(), "`{shown}` failed: {status}");
    Ok(())
}
