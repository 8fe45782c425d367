//! `cargo xtask fuzz`: runs the fuzz targets in libFuzzer, which searches for inputs that reach new code.
//!
//! Stable Rust has the instrumentation for libFuzzer (`-Cpasses=sancov-module`). It does not have the address
//! sanitizer, which would find little here: the workspace forbids `unsafe`.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::tools;

/// The targets, each with folders of further inputs besides its own corpus. `crates/fuzzing` has the same list.
const TARGETS: [(&str, &[&str]); 8] = [
    ("template", &["framework"]),
    ("check", &["examples"]),
    ("policy", &["framework"]),
    ("schedule", &[]),
    ("vault_policy", &[]),
    ("event", &["events"]),
    ("inventory", &[]),
    ("archive", &[]),
];

/// The version of cargo-fuzz, which builds the targets for libFuzzer.
const CARGO_FUZZ: &str = "0.13.2";

/// Fuzz the parsers of untrusted files and events
///
/// Finds panics, hangs and excessive memory use. Reads `fuzz/corpus` and `target/fuzz/corpus`, writes the inputs that
/// fail to `target/fuzz/found`. Exit status 1 if an input fails.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask fuzz                                  run each target for a minute
  cargo xtask fuzz --seconds 600 template           run one target for ten minutes
  cargo xtask fuzz --executions 10000000            run ten million executions in total")]
pub(crate) struct FuzzArguments {
    /// Seconds per target
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Executions in total, instead of seconds
    #[arg(long, value_name = "N", conflicts_with = "seconds", value_parser = clap::value_parser!(u64).range(7..))]
    executions: Option<u64>,
    /// Targets to run; all by default
    #[arg(value_parser = TARGETS.map(|(name, _)| name))]
    targets: Vec<String>,
}

/// Builds and runs the targets in sequence.
pub(crate) fn run(arguments: &FuzzArguments) -> Result<()> {
    let root = tools::workspace();
    let programs = build(&root)?;
    let chosen: Vec<_> = TARGETS
        .iter()
        .filter(|(name, _)| arguments.targets.is_empty() || arguments.targets.iter().any(|target| target == name))
        .collect();
    let share = arguments.executions.map(|all| all.div_ceil(chosen.len() as u64));
    let mut rows = Vec::new();
    let mut failed = Vec::new();
    for (name, more) in chosen {
        println!("{name}");
        let limit = match share {
            Some(share) => format!("-runs={share}"),
            None => format!("-max_total_time={}", arguments.seconds),
        };
        let run_result = one(&root, &programs.join(name), name, more, &limit)?;
        rows.push(format!(
            "{name:<14} {:>12} executions {:>8.0} s {:>8.0} per second  {}",
            run_result.executions,
            run_result.seconds,
            run_result.executions as f64 / run_result.seconds.max(0.001),
            if run_result.passed { "passed" } else { "FAILED" },
        ));
        if !run_result.passed {
            failed.push(*name);
        }
    }
    println!();
    rows.iter().for_each(|row| println!("{row}"));
    ensure!(
        failed.is_empty(),
        "failed targets: {}; repeat an input of target/fuzz/found with `target/fuzz/.../TARGET FILE`, and add it to fuzz/corpus",
        failed.join(", ")
    );
    Ok(())
}

struct FuzzRun {
    executions: u64,
    seconds: f64,
    passed: bool,
}

/// Builds the targets; returns the folder of the programs.
fn build(root: &Path) -> Result<PathBuf> {
    let cargo = || Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let home = root.join("target/tools/fuzz");
    let bin = home.join("bin");
    let installed = Command::new(bin.join("cargo-fuzz")).args(["fuzz", "--version"]).output();
    if !installed.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(CARGO_FUZZ)) {
        println!("installing cargo-fuzz {CARGO_FUZZ}");
        let mut install = cargo();
        install.args(["install", "--quiet", "--locked", "--force", "cargo-fuzz", "--version", CARGO_FUZZ, "--root"]);
        pass(install.arg(&home).current_dir(root))?;
    }
    let target = root.join("target/fuzz");
    let mut fuzz = Command::new(bin.join("cargo-fuzz"));
    fuzz.args(["fuzz", "build", "--sanitizer", "none", "--target-dir"]).arg(&target).current_dir(root);
    pass(&mut fuzz).context("libFuzzer needs a C++ compiler, such as g++")?;
    let triple = host(&cargo)?;
    Ok(target.join(triple).join("release"))
}

/// Returns the target triple of this machine.
pub(crate) fn host(cargo: &dyn Fn() -> Command) -> Result<String> {
    let output = cargo().arg("-vV").output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line =
        text.lines().find_map(|line| line.strip_prefix("host: ")).context("`cargo -vV` does not contain the host")?;
    Ok(line.to_owned())
}

/// Runs a target. The next run continues with the inputs that this one adds to `target/fuzz/corpus`.
fn one(root: &Path, program: &Path, name: &str, more: &[&str], limit: &str) -> Result<FuzzRun> {
    let (corpus, found) = (root.join("target/fuzz/corpus").join(name), root.join("target/fuzz/found"));
    for folder in [&corpus, &found] {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    }
    let dictionary = root.join("fuzz/dictionaries").join(format!("{name}.dict"));
    let mut fuzzer = Command::new(program);
    fuzzer
        .args([limit, "-print_funcs=0", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1", "-max_len=2048"])
        .arg(format!("-dict={}", dictionary.display()))
        .arg(format!("-artifact_prefix={}/{name}-", found.display()))
        .arg(&corpus)
        .arg(root.join("fuzz/corpus").join(name))
        .args(more.iter().map(|more| root.join(more)))
        .current_dir(root)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let started = Instant::now();
    let mut child = fuzzer.spawn().with_context(|| format!("cannot run `{}`", program.display()))?;
    let stderr = child.stderr.take().context("no output")?;
    let mut executions = 0;
    for line in BufReader::new(stderr).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        if let Some(number) = line.strip_prefix("stat::number_of_executed_units:") {
            executions = number.trim().parse().unwrap_or(0);
        } else if line.contains("pulse") || line.contains("DONE") || line.contains("INITED") {
            println!("  {line}");
        } else if !line.starts_with('#') && !line.starts_with("INFO:") && !line.contains("# Uses:") {
            eprintln!("  {line}");
        }
    }
    let passed = child.wait()?.success();
    Ok(FuzzRun { executions, seconds: started.elapsed().as_secs_f64(), passed })
}

fn pass(command: &mut Command) -> Result<()> {
    let shown = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot run `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed: {status}");
    }
    Ok(())
}
