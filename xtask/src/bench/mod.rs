//! `cargo xtask bench`: builds what is measured, then runs the measuring program.
//!
//! The programs are the packages `bench-cold-start`, `bench-policy`, `bench-report` and `bench-rollout`. They are compiled with optimisations, because a slow server
//! would be measured along with the functions, and what they link stays out of the build of every other command.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use clap::Args;
use sandbox::tools::{Tools, ensure_python_function};

use crate::tools;

/// What is measured, and the package (and binary) behind it; the Python function has none.
const SUBJECTS: [(&str, Option<&str>); 4] =
    [("floor", Some("bench-floor")), ("deploy", Some("deploy")), ("report", Some("report")), ("python", None)];

/// Measure start, first and warm invocation, memory and size of the functions, beside an empty one and one in Python
#[derive(Args)]
#[command(after_help = "Example:\n  cargo xtask bench cold-start --rounds 40 --json target/bench/cold-start.json")]
pub(crate) struct ColdStart {
    /// Measured rounds; each starts every function twice, once over HTTP and once over TLS
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Also write the results here, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure the functions in `target/lambda` as they are, even if their sources have changed since
    #[arg(long)]
    no_build: bool,
    /// Measure only these; the ratios need `floor` and `python`
    #[arg(long, value_delimiter = ',', value_parser = SUBJECTS.map(|(name, _)| name), default_values = SUBJECTS.map(|(name, _)| name))]
    only: Vec<String>,
}

/// What `bench report` measures.
const SECTIONS: [&str; 5] = ["throughput", "growth", "flood", "memory", "sample"];

/// Measure how compliance changes are reported: speed, growth, a flood through the local cloud, memory and cost, beside the logic
/// of the public sample
#[derive(Args)]
#[command(after_help = "Example:\n  cargo xtask bench report --only throughput,growth")]
pub(crate) struct Report {
    /// Events of the flood
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(10..))]
    events: u32,
    /// Events for the logic of the public sample, which takes two calls for each
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(10..))]
    sample_events: u32,
    /// The length of the digest window in the local cloud, in seconds
    #[arg(long, default_value_t = 30)]
    window: u32,
    /// Write the results here, as JSON
    #[arg(long, value_name = "FILE", default_value = "target/bench-report.json")]
    json: PathBuf,
    /// Take the application as `sam build` built it last
    #[arg(long)]
    no_build: bool,
    /// Measure only these; the last three start a local cloud with the application in it
    #[arg(long, value_delimiter = ',', value_parser = SECTIONS, default_values = SECTIONS)]
    only: Vec<String>,
}

/// What `bench rollout` measures.
const ROLLOUT_SECTIONS: [&str; 3] = ["planning", "calls", "simulator"];

/// Measure rollouts: planning up to 100,000 instances, the calls of an unchanged push, schedules of the simulator
#[derive(Args)]
#[command(after_help = "Example:\n  cargo xtask bench rollout --only planning --rounds 11")]
pub(crate) struct Rollout {
    /// Measured plans of each fleet
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Schedules that the simulator runs
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..))]
    schedules: u32,
    /// Write the results here, as JSON
    #[arg(long, value_name = "FILE", default_value = "target/bench-rollout.json")]
    json: PathBuf,
    /// Measure only these
    #[arg(long, value_delimiter = ',', value_parser = ROLLOUT_SECTIONS, default_values = ROLLOUT_SECTIONS)]
    only: Vec<String>,
}

/// What `bench policy` measures.
const POLICY_SECTIONS: [&str; 6] = ["lint", "decisions", "scale", "instructions", "cfn-lint", "python"];

/// Measure lint and evaluation: time of templates, decisions a second, growth to a million resources, memory, instructions, beside
/// cfn-lint and an evaluator in Python
#[derive(Args)]
#[command(after_help = "Example:\n  cargo xtask bench policy --only lint,decisions --samples 50")]
pub(crate) struct Policy {
    /// Samples that Criterion takes of lint and decisions; its account of them is in `target/criterion`
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(10..))]
    samples: u32,
    /// Resources of the largest inventory; a million take 600 MB of disk for a while
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(10_000..))]
    resources: u32,
    /// Write the results here, as JSON
    #[arg(long, value_name = "FILE", default_value = "target/bench-policy.json")]
    json: PathBuf,
    /// Measure only these; `instructions` needs valgrind and is left out without
    #[arg(long, value_delimiter = ',', value_parser = POLICY_SECTIONS, default_values = POLICY_SECTIONS)]
    only: Vec<String>,
}

/// Runs the benchmark of lint and evaluation. A figure that misses its aim is shown as such and is no error.
///
/// # Errors
/// When something cannot be built, or does not do its work.
pub(crate) fn policy(args: &Policy) -> anyhow::Result<()> {
    let root = tools::workspace();
    let mut bench = program(&root, "bench-policy")?;
    bench.arg("--only").arg(args.only.join(",")).arg("--samples").arg(args.samples.to_string());
    bench.arg("--resources").arg(args.resources.to_string()).arg("--folder").arg(root.join("target"));
    if args.only.iter().any(|only| only == "cfn-lint") {
        bench.arg("--cfn-lint").arg(tools::ensure()?.cfn_lint);
    }
    bench.args(["--python", "python3", "--python-policy"]).arg(root.join("benches/python-policy/index.py"));
    if let Some(folder) = args.json.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    }
    run(bench.arg("--json").arg(&args.json))
}

/// Runs the benchmark of rollouts. A figure that misses its aim is shown as such and is no error.
///
/// # Errors
/// When something cannot be built, or does not do its work.
pub(crate) fn rollout(args: &Rollout) -> anyhow::Result<()> {
    let mut bench = program(&tools::workspace(), "bench-rollout")?;
    bench.arg("--only").arg(args.only.join(","));
    bench.arg("--rounds").arg(args.rounds.to_string()).arg("--schedules").arg(args.schedules.to_string());
    if let Some(folder) = args.json.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    }
    run(bench.arg("--json").arg(&args.json))
}

/// Runs the benchmark of reports. A figure that misses its aim is shown as such and is no error.
///
/// # Errors
/// When something cannot be built, or does not do its work.
pub(crate) fn report(args: &Report) -> anyhow::Result<()> {
    let root = tools::workspace();
    let mut bench = program(&root, "bench-report")?;
    bench.arg("--root").arg(&root).arg("--only").arg(args.only.join(","));
    bench.arg("--events").arg(args.events.to_string()).arg("--sample-events").arg(args.sample_events.to_string());
    bench.arg("--window").arg(args.window.to_string());
    if args.no_build {
        bench.arg("--no-build");
    }
    if let Some(folder) = args.json.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    }
    run(bench.arg("--json").arg(&args.json))
}

/// Runs the benchmark. A figure that misses its aim is shown as such and is no error.
///
/// # Errors
/// When something cannot be built or a function does not do its work.
pub(crate) fn cold_start(args: &ColdStart) -> anyhow::Result<()> {
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
        if let Some(folder) = json.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
        }
        bench.arg("--json").arg(json);
    }
    run(&mut bench)
}

/// A measuring program, built.
fn program(root: &Path, package: &str) -> anyhow::Result<Command> {
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    run(build.args(["build", "--profile", "tool", "--package", package]).current_dir(root))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(Command::new(target.join("tool").join(package)))
}

/// Built the way it is deployed, or the numbers would be somebody else's.
fn build_function(root: &Path, tools: &Tools, package: &str) -> anyhow::Result<()> {
    let mut build = Command::new(&tools.cargo_lambda);
    // `target/lambda` is where everything else looks for functions, wherever cargo keeps its own files.
    build.args(["lambda", "build", "--release", "--package", package, "--bin", package, "--lambda-dir"]);
    build.arg(root.join("target/lambda")).env("PATH", tools.path()).current_dir(root);
    run(&mut build)
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot run `{shown}`"))?;
    anyhow::ensure!(status.success(), "`{shown}` failed: {status}");
    Ok(())
}
