//! Builds the functions and deploys the application into the cloud with `sam`, as on AWS.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};

use crate::cloud::{self, LocalCloud};
use crate::config::AGGREGATOR;
use crate::process::{self, Guard};
use crate::tools::Tools;

/// The name of the application's stack.
pub const STACK: &str = "backup-compliance";

/// The functions: program, and logical id in the template.
pub const FUNCTIONS: [(&str, &str); 6] = [
    ("deploy", "DeployFunction"),
    ("inventory", "InventoryFunction"),
    ("lifecycle", "LifecycleFunction"),
    ("report", "ReportFunction"),
    ("sweep", "SweepFunction"),
    ("preview", "PreviewFunction"),
];

/// The program of the command line.
pub const COMMAND_LINE: &str = "backup-compliance";

/// The profile that the functions are compiled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// The development profile, as for the command line and the tests: cargo compiles each dependency once for all of
    /// them.
    Development,
    /// `sam build`, which creates the packages for AWS. Link-time optimization takes minutes for each function.
    Release,
}

impl Build {
    /// Returns the directory with the template and the packages, for `sam deploy`.
    pub fn directory(self, workspace: &Path) -> PathBuf {
        let name = match self {
            Self::Development => "build",
            Self::Release => "release",
        };
        workspace.join("target/sandbox").join(name)
    }
}

/// Returns the program of a function or of the command line, as built by [`build_programs`].
pub fn program(workspace: &Path, name: &str) -> PathBuf {
    workspace.join("target/debug").join(name)
}

/// A build holds this lock exclusively, deployments share it: a deployment does not read an incomplete build.
fn build_lock(workspace: &Path) -> Result<File> {
    let directory = workspace.join("target/sandbox");
    fs::create_dir_all(&directory)?;
    File::create(directory.join("build.lock")).context("open the lock of the build")
}

/// Returns the `cargo build` of the functions and the command line. It selects the whole workspace, as the tests do:
/// cargo then resolves the same features of each dependency, and compiles it once.
pub fn build_command(workspace: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--workspace", "--bin", COMMAND_LINE]).current_dir(workspace);
    FUNCTIONS.iter().for_each(|(name, _)| _ = cargo.args(["--bin", name]));
    process::forget_cargo(&mut cargo);
    cargo
}

/// Compiles the functions and the command line with the development profile; `line` receives cargo's output.
pub fn build_programs(guard: &Guard, workspace: &Path, line: &mut dyn FnMut(&str)) -> Result<()> {
    // MiniStack runs the functions as processes of this machine.
    ensure!(
        cfg!(target_os = "linux"),
        "the functions are Linux programs and do not run on {}: use a Linux container or virtual machine",
        std::env::consts::OS
    );
    let lock = build_lock(workspace)?;
    lock.lock()?;
    let mut cargo = build_command(workspace);
    // [`crates_built`] parses the progress bar, which cargo otherwise shows on terminals only.
    cargo.env("CARGO_TERM_PROGRESS_WHEN", "always").env("CARGO_TERM_PROGRESS_WIDTH", "100");
    process::run(guard, &mut cargo, line)?;
    package(workspace)
}

/// Parses cargo's progress bar: the crates built, all crates, and the current ones.
pub fn crates_built(line: &str) -> Option<(u64, u64, &str)> {
    let (_, counts) = line.trim_start().strip_prefix("Building [")?.split_once("] ")?;
    let (done, rest) = counts.split_once('/')?;
    let (total, names) = rest.split_once(':').unwrap_or((rest, ""));
    Some((done.trim().parse().ok()?, total.trim().parse().ok()?, names.trim()))
}

/// Creates the layout of `sam build`: a directory for each function, and the template that refers to them.
fn package(workspace: &Path) -> Result<()> {
    let directory = Build::Development.directory(workspace);
    let mut template = fs::read_to_string(workspace.join("template.yaml")).context("cannot read `template.yaml`")?;
    for (name, id) in FUNCTIONS {
        let source = format!("CodeUri: functions/{name}\n");
        ensure!(template.contains(&source), "`template.yaml` has no `{}`", source.trim_end());
        template = template.replace(&source, &format!("CodeUri: {id}\n"));
        fs::create_dir_all(directory.join(id))?;
        let (program, packed) = (program(workspace, name), directory.join(id).join("bootstrap"));
        if modified(&packed) <= modified(&program) {
            pack(&program, &packed).with_context(|| format!("cannot package `{}`", program.display()))?;
        }
    }
    fs::write(directory.join("template.yaml"), template).context("cannot write the template of the local cloud")
}

/// Copies a program without its symbols, if `strip` is installed: `sam deploy` then compresses half as much. The
/// rename replaces the file atomically.
fn pack(program: &Path, packed: &Path) -> Result<()> {
    let fresh = packed.with_extension("new");
    let stripped = Command::new("strip").arg("-o").args([&fresh, program]).output();
    if !stripped.is_ok_and(|strip| strip.status.success()) {
        fs::copy(program, &fresh)?;
    }
    Ok(fs::rename(&fresh, packed)?)
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

/// Builds the functions with `sam build`, as for AWS; `line` receives the output.
pub fn build_release(cloud: &LocalCloud, tools: &Tools, line: &mut dyn FnMut(&str)) -> Result<()> {
    sam_build(cloud, tools, &Build::Release.directory(&tools.workspace), None, line)
}

/// Builds the functions with `sam build` in its debug mode: checks in minutes that `template.yaml` can be built.
pub fn check_sam_build(cloud: &LocalCloud, tools: &Tools, line: &mut dyn FnMut(&str)) -> Result<()> {
    let directory = tools.workspace.join("target/sandbox/debug");
    sam_build(cloud, tools, &directory, Some("debug"), line)?;
    for (_, id) in FUNCTIONS {
        ensure!(directory.join(id).join("bootstrap").is_file(), "`sam build` did not create the program of {id}");
    }
    Ok(())
}

fn sam_build(
    cloud: &LocalCloud,
    tools: &Tools,
    directory: &Path,
    mode: Option<&str>,
    line: &mut dyn FnMut(&str),
) -> Result<()> {
    let lock = build_lock(&tools.workspace)?;
    lock.lock()?;
    let mut sam = sam(cloud, tools, "build");
    sam.arg("--template-file").arg(tools.workspace.join("template.yaml")).arg("--build-dir").arg(directory);
    sam.env_remove("SAM_BUILD_MODE").envs(mode.map(|mode| ("SAM_BUILD_MODE", mode)));
    process::run(cloud.guard(), &mut sam, line).map(drop)
}

/// Deploys a build; returns the outputs of the stack. `overrides` are further parameters (`Name=value`).
pub fn deploy(
    cloud: &LocalCloud,
    tools: &Tools,
    build: Build,
    overrides: &[&str],
    line: &mut dyn FnMut(&str),
) -> Result<BTreeMap<String, String>> {
    let lock = build_lock(&tools.workspace)?;
    lock.lock_shared()?;
    let mut sam = sam(cloud, tools, "deploy");
    sam.arg("--template-file").arg(build.directory(&tools.workspace).join("template.yaml"));
    sam.args(["--stack-name", STACK, "--resolve-s3", "--no-confirm-changeset", "--no-fail-on-empty-changeset"]);
    sam.args([
        "--no-progressbar",
        "--capabilities",
        "CAPABILITY_IAM",
        "CAPABILITY_AUTO_EXPAND",
        "--parameter-overrides",
    ]);
    sam.arg(format!("RepositoryName={}", cloud.options().repository));
    sam.arg(format!("ConfigAggregatorName={AGGREGATOR}"));
    sam.args(overrides);
    process::run(cloud.guard(), &mut sam, line)?;
    cloud.client().stack_outputs(STACK)
}

/// Deletes the application with `sam delete`.
pub fn delete(cloud: &LocalCloud, tools: &Tools, line: &mut dyn FnMut(&str)) -> Result<()> {
    let mut sam = sam(cloud, tools, "delete");
    sam.args(["--stack-name", STACK, "--no-prompts", "--region", &cloud.options().region]);
    process::run(cloud.guard(), &mut sam, line).map(drop)
}

fn sam(cloud: &LocalCloud, tools: &Tools, verb: &str) -> Command {
    let mut command = Command::new(&tools.sam);
    command.arg(verb).current_dir(&tools.workspace);
    process::forget_cargo(&mut command);
    cloud::set_environment(&mut command, &cloud.url(), &cloud.options().region)
        .env("PATH", tools.path())
        .env("SAM_CLI_TELEMETRY", "0")
        .env("PYTHONUNBUFFERED", "1");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_built_parses_the_progress_bar() {
        let line = "    Building [=======>                  ] 123/412: aws-sdk-cloudformation, tokio";
        assert_eq!(crates_built(line), Some((123, 412, "aws-sdk-cloudformation, tokio")));
        assert_eq!(crates_built("    Building [>      ] 0/5"), Some((0, 5, "")));
        assert_eq!(crates_built("   Compiling tokio v1.54.1"), None);
    }
}
