//! The application in the cloud: its functions built, and deployed with `sam` as on AWS.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};

use crate::cloud::{self, Cloud};
use crate::config::AGGREGATOR;
use crate::process::{self, Guard};
use crate::tools::Tools;

/// The name of the application's stack.
pub const STACK: &str = "backup-compliance";

/// The functions: the name of the program, and the logical id in the template.
pub const FUNCTIONS: [(&str, &str); 4] = [
    ("deploy", "DeployFunction"),
    ("lifecycle", "LifecycleFunction"),
    ("report", "ReportFunction"),
    ("sweep", "SweepFunction"),
];

/// The program of the command line.
pub const COMMAND_LINE: &str = "backup-compliance";

/// How the functions are compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// With the development profile, like the command line and the tests: cargo compiles each dependency once for all of them.
    Development,
    /// With `sam build`, into the packages that are deployed to AWS. Link-time optimization takes minutes for each function.
    Release,
}

impl Build {
    /// The directory with the template and the packages, for `sam deploy`.
    #[must_use]
    pub fn directory(self, workspace: &Path) -> PathBuf {
        let name = match self {
            Self::Development => "build",
            Self::Release => "release",
        };
        workspace.join("target/sandbox").join(name)
    }
}

/// The program of a function, or of the command line, as [`build_programs`] compiles it.
#[must_use]
pub fn program(workspace: &Path, name: &str) -> PathBuf {
    workspace.join("target/debug").join(name)
}

/// Held exclusively by a build and shared by deployments, so that no deployment reads half of a build.
fn build_lock(workspace: &Path) -> Result<File> {
    let directory = workspace.join("target/sandbox");
    fs::create_dir_all(&directory)?;
    File::create(directory.join("build.lock")).context("open the lock of the build")
}

/// The `cargo build` of the functions and the command line. It selects the whole workspace, as the tests do: cargo then
/// resolves the same features of every dependency, and compiles none of them twice.
#[must_use]
pub fn build_command(workspace: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--workspace", "--bin", COMMAND_LINE]).current_dir(workspace);
    FUNCTIONS.iter().for_each(|(name, _)| _ = cargo.args(["--bin", name]));
    process::forget_cargo(&mut cargo);
    cargo
}

/// Compiles the functions and the command line with the development profile; `line` receives what cargo writes.
///
/// # Errors
/// When the build fails: with the end of cargo's output.
pub fn build_programs(guard: &Guard, workspace: &Path, line: &mut dyn FnMut(&str)) -> Result<()> {
    // MiniStack runs the functions as processes of this machine.
    ensure!(
        cfg!(target_os = "linux"),
        "the local cloud runs the functions as Linux programs: on {} use a Linux container or virtual machine",
        std::env::consts::OS
    );
    let lock = build_lock(workspace)?;
    lock.lock()?;
    let mut cargo = build_command(workspace);
    // [`crates_built`] reads the bar, which cargo otherwise shows on a terminal only.
    cargo.env("CARGO_TERM_PROGRESS_WHEN", "always").env("CARGO_TERM_PROGRESS_WIDTH", "100");
    process::run(guard, &mut cargo, line)?;
    package(workspace)
}

/// The progress in a line of cargo's bar: crates built, crates in all, and which are being built.
#[must_use]
pub fn crates_built(line: &str) -> Option<(u64, u64, &str)> {
    let (_, counts) = line.trim_start().strip_prefix("Building [")?.split_once("] ")?;
    let (done, rest) = counts.split_once('/')?;
    let (total, names) = rest.split_once(':').unwrap_or((rest, ""));
    Some((done.trim().parse().ok()?, total.trim().parse().ok()?, names.trim()))
}

/// Lays out the compiled functions as `sam build` does: a directory for each, and the template that refers to them.
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

/// Copies a program without its symbols, where there is a `strip`: `sam deploy` compresses half as much. The name is replaced in
/// one step.
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

/// Builds the functions with `sam build`, as for AWS; `line` receives what `sam` and cargo write.
///
/// # Errors
/// When the build fails: with the end of the output.
pub fn build_release(cloud: &Cloud, tools: &Tools, line: &mut dyn FnMut(&str)) -> Result<()> {
    sam_build(cloud, tools, &Build::Release.directory(&tools.workspace), None, line)
}

/// Builds the functions with `sam build` in its debug mode, which shows in minutes that it can build what `template.yaml` declares.
///
/// # Errors
/// When the build fails: with the end of the output.
pub fn check_sam_build(cloud: &Cloud, tools: &Tools, line: &mut dyn FnMut(&str)) -> Result<()> {
    let directory = tools.workspace.join("target/sandbox/debug");
    sam_build(cloud, tools, &directory, Some("debug"), line)?;
    for (_, id) in FUNCTIONS {
        ensure!(directory.join(id).join("bootstrap").is_file(), "`sam build` made no program for {id}");
    }
    Ok(())
}

fn sam_build(
    cloud: &Cloud,
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
///
/// # Errors
/// When the deployment fails: with the end of what `sam` wrote.
pub fn deploy(
    cloud: &Cloud,
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

/// Deletes the application, as `sam delete` does.
///
/// # Errors
/// When a resource cannot be deleted: with the end of what `sam` wrote.
pub fn delete(cloud: &Cloud, tools: &Tools, line: &mut dyn FnMut(&str)) -> Result<()> {
    let mut sam = sam(cloud, tools, "delete");
    sam.args(["--stack-name", STACK, "--no-prompts", "--region", &cloud.options().region]);
    process::run(cloud.guard(), &mut sam, line).map(drop)
}

fn sam(cloud: &Cloud, tools: &Tools, verb: &str) -> Command {
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
    fn the_bar_of_cargo_counts_crates() {
        let line = "    Building [=======>                  ] 123/412: aws-sdk-cloudformation, tokio";
        assert_eq!(crates_built(line), Some((123, 412, "aws-sdk-cloudformation, tokio")));
        assert_eq!(crates_built("    Building [>      ] 0/5"), Some((0, 5, "")));
        assert_eq!(crates_built("   Compiling tokio v1.54.1"), None);
    }
}
