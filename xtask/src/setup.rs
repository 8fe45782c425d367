//! What a command needs before it can start a local cloud: the Python tools, the functions and the command line. Both are made
//! at the same time, since one of them mostly waits for the network.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use sandbox::app;
use sandbox::process::{self, Guard};
use sandbox::tools::Tools;

use crate::progress::{Progress, Task, took};
use crate::tools::workspace;

/// What the first build writes under `target/`, in GiB: measured, and rounded up.
const FIRST_BUILD_GIB: u64 = 6;
/// What a later one may need.
const LATER_BUILD_GIB: u64 = 1;
/// Seconds of one core for a crate, on the average of the first build; measured.
const SECONDS_PER_CRATE: f64 = 3.2;
/// Fewer crates than this are not announced: their average is another one.
const MANY: u64 = 50;

/// Installs the tools and builds the programs. What fails first ends the other.
///
/// # Errors
/// When something that is needed is missing on this machine, an installation or the build fails.
pub(crate) fn run(progress: &Progress) -> Result<Tools> {
    let workspace = workspace();
    check_machine(&workspace)?;
    let (sender, results) = mpsc::channel::<Result<Option<Tools>>>();
    let (task, root, done) = (progress.task("installing the Python tools"), workspace.clone(), sender.clone());
    std::thread::spawn(move || drop(done.send(install(&root, task).map(Some))));
    let task = progress.task("building the functions and the command line");
    std::thread::spawn(move || drop(sender.send(build(&workspace, task).map(|()| None))));
    // A failure ends this process, and the guards then end what the other thread has started.
    let mut tools = None;
    for _ in 0..2 {
        tools = results.recv().context("a thread of the set-up ended without a result")??.or(tools);
    }
    tools.context("the tools were not installed")
}

/// The command line, as [`run`] has built it.
pub(crate) fn command_line() -> PathBuf {
    app::program(&workspace(), app::COMMAND_LINE)
}

fn install(workspace: &Path, task: Task) -> Result<Tools> {
    let tools = Tools::ensure(workspace, &mut |line| task.message(line))?;
    task.finish();
    Ok(tools)
}

/// Builds the functions and the command line.
fn build(workspace: &Path, task: Task) -> Result<()> {
    let guard = Guard::start(Path::new("python3"), &process::new_id(), None)?;
    let mut announced = false;
    app::build_programs(&guard, workspace, &mut |line| match app::crates_built(line) {
        Some((done, total, names)) => {
            if !announced && total - done >= MANY {
                let cores = std::thread::available_parallelism().map_or(1, usize::from);
                let seconds = (total - done) as f64 * SECONDS_PER_CRATE / cores as f64;
                let time = Duration::from_secs_f64(seconds);
                task.note(&format!("building {} crates, about {} on {cores} cores, once", total - done, took(time)));
            }
            announced = true;
            task.count(done, total, names);
        }
        None => task.message(line),
    })?;
    task.finish();
    Ok(())
}

/// Finds in the first seconds what would make the set-up fail after minutes.
fn check_machine(workspace: &Path) -> Result<()> {
    sandbox::tools::check_python()?;
    let git = Command::new("git").arg("--version").output();
    ensure!(git.is_ok_and(|git| git.status.success()), "`git` is needed and cannot be run: install it");
    check_disk(workspace)?;
    if !Tools::are_installed(workspace) {
        check_network()?;
    }
    Ok(())
}

fn check_disk(workspace: &Path) -> Result<()> {
    let needed =
        if workspace.join("target/sandbox/build/template.yaml").exists() { LATER_BUILD_GIB } else { FIRST_BUILD_GIB };
    // Without `df` nothing is known, and the build reports a full disk itself.
    let Ok(output) = Command::new("df").arg("-Pk").arg(workspace).output() else { return Ok(()) };
    let text = String::from_utf8_lossy(&output.stdout);
    let free = text.lines().nth(1).and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
    let Some(free) = free.map(|kib| kib >> 20) else { return Ok(()) };
    ensure!(
        free >= needed,
        "{free} GiB are free in `{}`, and {needed} GiB are needed: free some space, or move the checkout to a larger disk",
        workspace.display()
    );
    Ok(())
}

/// Asks the package index for one small package, as the installation will.
fn check_network() -> Result<()> {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "index", "versions", "six", "--disable-pip-version-check", "--no-input"]);
    pip.args(["--retries", "0", "--timeout", "10"]);
    // A Python without pip brings it along in its virtual environments.
    let Ok(output) = pip.output() else { return Ok(()) };
    let error = String::from_utf8_lossy(&output.stderr);
    let unreachable = ["onnection", "timed out", "No matching distribution", "ProxyError"];
    if !output.status.success() && unreachable.iter().any(|sign| error.contains(sign)) {
        let last = error.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        bail!(
            "the Python package index cannot be reached ({}): check the network, or set HTTPS_PROXY or PIP_INDEX_URL",
            last.trim()
        );
    }
    Ok(())
}
