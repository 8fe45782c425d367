//! `cargo xtask bench cold-start`: builds what is compared, then runs the measuring program.
//!
//! The program is the package `bench-cold-start`, compiled with optimisations; this module only prepares for it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use clap::Args;

/// The functions of the product that are measured, and the empty one they are held against.
const BINARIES: [(&str, &str); 3] = [("deploy", "deploy"), ("report", "report"), ("bench-floor", "bench-floor")];

/// Measure start, first and warm invocation, memory and size of the functions, beside an empty one and one in Python.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  cargo xtask bench cold-start --rounds 40 --json target/bench/cold-start.json")]
pub struct ColdStart {
    /// Measured rounds; each starts every function twice, once over HTTP and once over TLS.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Also write the results here, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Measure the functions in `target/lambda` as they are, even if the sources have changed since.
    #[arg(long)]
    no_build: bool,
    /// Measure only these: floor, deploy, report, python.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

/// Runs the benchmark. A figure that misses its aim is shown as such and is no error.
///
/// # Errors
/// When something cannot be built or a function does not do its work.
pub fn cold_start(args: ColdStart) -> anyhow::Result<()> {
    let root = root()?;
    let python = python(&root)?;
    for (package, binary) in BINARIES {
        let bootstrap = root.join("target/lambda").join(binary).join("bootstrap");
        if !(args.no_build && bootstrap.is_file()) {
            build_function(&root, package, binary)?;
        }
    }
    run(cargo().args(["build", "--quiet", "--profile", "tool", "--package", "bench-cold-start"]).current_dir(&root))?;

    let mut bench = Command::new(target_dir(&root).join("tool/bench-cold-start"));
    bench.arg("--root").arg(&root).arg("--python").arg(python).arg("--rounds").arg(args.rounds.to_string());
    if !args.only.is_empty() {
        bench.arg("--only").arg(args.only.join(","));
    }
    if let Some(json) = &args.json {
        if let Some(folder) = json.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
        }
        bench.arg("--json").arg(json);
    }
    run(&mut bench)
}

/// Built the way it is deployed, or the numbers would be somebody else's.
fn build_function(root: &Path, package: &str, binary: &str) -> anyhow::Result<()> {
    let mut path = OsString::from(root.join("target/tools/sam/bin"));
    if let Some(inherited) = std::env::var_os("PATH") {
        path.push(":");
        path.push(inherited);
    }
    // `target/lambda` is where everything else looks for functions, wherever cargo keeps its own files.
    let mut build = cargo();
    build.args(["lambda", "build", "--release", "--package", package, "--bin", binary, "--lambda-dir"]);
    build.arg(root.join("target/lambda")).env("PATH", path).current_dir(root);
    run(&mut build)
}

/// The Python with the packages of `benches/python-report`, set up on first use.
fn python(root: &Path) -> anyhow::Result<PathBuf> {
    let folder = root.join("target/tools/pyfn");
    let python = folder.join("bin/python");
    if !python.exists() {
        // The version the comparison is about, else what there is; the table names it.
        let has = |name: &str| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
        let host = if has("python3.11") { "python3.11" } else { "python3" };
        run(Command::new(host).args(["-m", "venv"]).arg(&folder))?;
    }
    // Quick when all is there; finishes what an interrupted run left.
    let requirements = root.join("benches/python-report/requirements.txt");
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(requirements);
    run(&mut install)?;
    Ok(python)
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot run `{shown}`"))?;
    anyhow::ensure!(status.success(), "`{shown}` failed: {status}");
    Ok(())
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn target_dir(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

fn root() -> anyhow::Result<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(manifest.parent().context("xtask has no folder around it")?.to_path_buf())
}
