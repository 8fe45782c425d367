//! The application in the cloud: built and deployed with `sam`, as people do it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::cloud::{self, Cloud};
use crate::config::AGGREGATOR;
use crate::process;
use crate::tools::Tools;

/// The name of the application's stack.
pub const STACK: &str = "backup-compliance";

/// Where `sam build` puts the packages; kept, so that the next build is quick.
fn build_directory(workspace: &Path) -> PathBuf {
    workspace.join("target/sandbox/build")
}

/// Taken by a build alone and by deployments together, so that no one deploys half a build.
fn build_lock(workspace: &Path) -> Result<File> {
    let directory = workspace.join("target/sandbox");
    std::fs::create_dir_all(&directory)?;
    File::create(directory.join("build.lock")).context("open the lock of the build")
}

/// Builds the functions; `line` hears what `sam` and cargo write.
///
/// # Errors
/// When the build fails: with the end of what it wrote.
pub fn build(cloud: &Cloud, tools: &Tools, line: &mut dyn FnMut(&str)) -> Result<()> {
    // MiniStack runs the very packages that are built for Lambda.
    anyhow::ensure!(
        cfg!(target_os = "linux"),
        "the local cloud runs the functions as Linux programs: on {} use a Linux container or virtual machine",
        std::env::consts::OS
    );
    let lock = build_lock(&tools.workspace)?;
    lock.lock()?;
    let mut sam = sam(cloud, tools, "build");
    sam.arg("--template-file").arg(tools.workspace.join("template.yaml"));
    sam.arg("--build-dir").arg(build_directory(&tools.workspace));
    process::run(cloud.guard(), &mut sam, line).map(drop)
}

/// Deploys what [`build`] has built; returns the outputs of the stack. `overrides` are further parameters (`Name=value`).
///
/// # Errors
/// When the deployment fails: with the end of what `sam` wrote.
pub fn deploy(
    cloud: &Cloud,
    tools: &Tools,
    overrides: &[&str],
    line: &mut dyn FnMut(&str),
) -> Result<BTreeMap<String, String>> {
    let lock = build_lock(&tools.workspace)?;
    lock.lock_shared()?;
    let mut sam = sam(cloud, tools, "deploy");
    sam.arg("--template-file").arg(build_directory(&tools.workspace).join("template.yaml"));
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
    // What `cargo run` and `cargo test` tell their child is not meant for the cargo that `sam build` runs.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_"]
            .iter()
            .any(|own| text.starts_with(own))
        {
            command.env_remove(&name);
        }
    }
    cloud::set_environment(&mut command, &cloud.url(), &cloud.options().region)
        .env("PATH", tools.path())
        .env("SAM_CLI_TELEMETRY", "0")
        .env("PYTHONUNBUFFERED", "1");
    command
}
