//! `cargo xtask bench cold-start`: builds what is compared, then runs the measuring program.
//!
//! The program is the package `bench-cold-start`. It is compiled with optimisations, because a slow server would be measured
//! along with the functions, and its TLS stack stays out of the build of every other command.

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
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    run(build.args(["build", "--profile", "tool", "--package", "bench-cold-start"]).current_dir(&root))?;

    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let mut bench = Command::new(target.join("tool/bench-cold-start"));
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
